/* The header and the library say the same: each function that attn.h declares is exported, nothing else is, and each is called in this folder. What
 * programs that were compiled before rely on is recorded in abi.txt: the declarations without comments. ATTN_BLESS=1 in the environment records it anew. */
#define _GNU_SOURCE              /* memmem */
#include "world.h"
#include <ctype.h>
#include <dirent.h>

enum { MOST = 200 };
typedef struct { char at[MOST][64]; size_t n; } names;

static void add(names *list, const char *name, size_t n) {
    assert_true(list->n < MOST && n < sizeof list->at[0]);
    snprintf(list->at[list->n++], sizeof list->at[0], "%.*s", (int)n, name);
}

static bool has(const names *list, const char *name) {
    for (size_t k = 0; k < list->n; k++)
        if (!strcmp(list->at[k], name)) return true;
    return false;
}

static char *read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
    fclose(f);
    return text;
}

/* Declarations begin with ATTN_API; the function's name stands before the first parenthesis. */
static void declared(names *out) {
    char *text = read_text(ATTN_SOURCE_DIR "/runtime/include/attn/attn.h");
    for (const char *at = strstr(text, "\nATTN_API "); at; at = strstr(at + 1, "\nATTN_API ")) {
        const char *open = strchr(at, '('), *name = open;
        while (isalnum((unsigned char)name[-1]) || name[-1] == '_') name--;
        add(out, name, (size_t)(open - name));
    }
    free(text);
}

static void test_exported_is_declared(void **state) {
    names header = {0}, library = {0};
    char line[512], name[256], kind;
    (void)state;
    declared(&header);
    assert_true(header.n > 40);
    FILE *f = popen("nm -D --defined-only '" ATTN_BINARY_DIR "/libattn.so'", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%*s %c %255s", &kind, name) == 2) add(&library, name, strcspn(name, "@"));
    assert_int_equal(pclose(f), 0);
    for (size_t k = 0; k < library.n; k++)
        if (!has(&header, library.at[k])) fail_msg("%s is exported and not in attn.h", library.at[k]);
    for (size_t k = 0; k < header.n; k++)
        if (!has(&library, header.at[k])) fail_msg("%s is in attn.h and not exported", header.at[k]);
}

static void test_all_are_called(void **state) {
    names header = {0};
    bool called[MOST] = {false};
    DIR *d = opendir(ATTN_SOURCE_DIR "/tests/api");
    (void)state;
    declared(&header);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[1024];
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || (strcmp(dot, ".c") && strcmp(dot, ".cpp"))) continue;
        snprintf(path, sizeof path, "%s/tests/api/%s", ATTN_SOURCE_DIR, e->d_name);
        char *text = read_text(path);
        for (size_t k = 0; k < header.n; k++) {
            char call[80];
            snprintf(call, sizeof call, "%s(", header.at[k]);
            called[k] |= strstr(text, call) != NULL;
        }
        free(text);
    }
    closedir(d);
    for (size_t k = 0; k < header.n; k++)
        if (!called[k]) fail_msg("no test of tests/api calls %s", header.at[k]);
}

/* ---- declarations, one to a line */

typedef struct { FILE *to; bool inside, blank; } lines;      /* inside of a line; a blank is owed */

static void end_line(lines *l) {
    if (l->inside) fputc('\n', l->to);
    l->inside = l->blank = false;
}

static void put(lines *l, char c) {
    if (isspace((unsigned char)c)) {
        l->blank = l->inside;
        return;
    }
    if (c == '}') end_line(l);
    if (l->blank) fputc(' ', l->to);
    fputc(c, l->to);
    l->inside = true;
    l->blank = false;
    if (c == ';' || c == '{') end_line(l);
}

/* Behind the line. Of the preprocessor's lines those alone count that programs are compiled with. */
static const char *take_directive(lines *l, const char *at) {
    const size_t n = strcspn(at, "\n");
    end_line(l);
    if (memmem(at, n, "_INIT ", 6)) fprintf(l->to, "%.*s\n", (int)n, at);
    return at + n;
}

static void put_declarations(const char *path, FILE *to) {
    char *text = read_text(path);
    lines l = {.to = to};
    for (const char *at = text; *at; at++) {
        if (at[0] == '/' && at[1] == '*') at = strstr(at, "*/") + 1, put(&l, ' ');
        else if (*at == '#' && (at == text || at[-1] == '\n')) at = take_directive(&l, at);
        else put(&l, *at);
        if (!*at) break;
    }
    end_line(&l);
    free(text);
}

/* Whatever is in the record stays as it is; what is new stands behind it, in structs at their end. */
static void test_recorded(void **state) {
    static const char path[] = ATTN_SOURCE_DIR "/tests/api/abi.txt";
    const char *bless = getenv("ATTN_BLESS");
    char *now = NULL;
    size_t n;
    FILE *to = open_memstream(&now, &n);
    (void)state;
    assert_non_null(to);
    put_declarations(ATTN_SOURCE_DIR "/runtime/include/attn/executor.h", to);
    put_declarations(ATTN_SOURCE_DIR "/runtime/include/attn/attn.h", to);
    fclose(to);
    if (bless && *bless == '1') {
        FILE *f = fopen(path, "wb");
        assert_true(f && fwrite(now, n, 1, f) && !fclose(f));
    }
    char *recorded = read_text(path);
    const char *a = recorded, *b = now;
    while (*a && *b && strcspn(a, "\n") == strcspn(b, "\n") && !strncmp(a, b, strcspn(a, "\n") + 1)) a += strcspn(a, "\n") + 1, b += strcspn(b, "\n") + 1;
    if (*a || *b) fail_msg("recorded: %.*s\nnow: %.*s\nATTN_BLESS=1 ctest -R api/header records it", (int)strcspn(a, "\n"), a, (int)strcspn(b, "\n"), b);
    free(recorded);
    free(now);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_exported_is_declared), cmocka_unit_test(test_all_are_called), cmocka_unit_test(test_recorded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Golden texts: `golden PATH...` runs every .attnt file given, or below a folder.
 *
 *   # run: read                 one line per command, at the top; what it needs to know follows its name
 *   graph g (B) { ... }         the input: everything up to the first section. Line numbers are those of the file
 *   ... = q[x] + 1              # error E0501 expected      a report with this code, its text containing the words, on this line
 *   ---- read                   what `# run: read` must print. No such section: it must print nothing
 *   ---- other                  a section that no command is named after is input for commands (golden_section)
 *
 * With ATTN_BLESS=1 in the environment the sections of commands are rewritten instead of compared; reports never are.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "golden.h"

typedef struct { const char *name; golden_fn *fn; } command;
static const command commands[] = {
#define COMMAND(name, fn, doc) {name, fn},
#include "commands.def"
};

typedef struct { const char *name, *text; } section;
struct golden_file {
    base_arena *arena;
    const char *path, *input;
    BASE_VEC(section) sections;          /* as found */
    BASE_VEC(section) results;           /* by command: what it printed */
    bool failed;
};

/* ---------------------------------------------------------------- files */

static char *file_text(base_arena *arena, const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    base_text text;
    base_text_init(&text, arena);
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) base_text_put(&text, part, n);
    fclose(f);
    return text.at;
}

static const char *line_end(const char *at) {
    const char *end = strchr(at, '\n');
    return end ? end + 1 : at + strlen(at);
}

/* ---- starts a section; behind it stands the name */
static const char *section_name(base_arena *arena, const char *line) {
    if (strncmp(line, "---- ", 5) != 0) return NULL;
    return base_strndup(arena, line + 5, strcspn(line + 5, "\r\n"));
}

static void split(golden_file *f, const char *text) {
    const char *from = text, *name = NULL;
    for (const char *at = text;; at = line_end(at)) {
        const char *next = section_name(f->arena, at);
        if (*at && !next) continue;
        const char *part = base_strndup(f->arena, from, (size_t)(at - from));
        if (name) BASE_PUSH(f->arena, &f->sections, ((section){name, part}));
        else f->input = part;
        if (!*at) return;
        name = next, from = line_end(at);
    }
}

static const section *find(const section *all, uint32_t n, const char *name) {
    for (uint32_t k = 0; k < n; k++)
        if (strcmp(all[k].name, name) == 0) return &all[k];
    return NULL;
}

/* ---------------------------------------------------------------- for commands */

const char *golden_section(const golden_run *run, const char *name) {
    const section *s = find(run->of->sections.at, run->of->sections.n, name);
    return s ? s->text : NULL;
}

/* The rest of a line `# name: rest`, the k-th such line. */
static const char *header(base_arena *arena, const char *input, const char *name, uint32_t k) {
    const char *start = base_printf(arena, "# %s:", name);
    for (const char *at = input; *at; at = line_end(at)) {
        if (strncmp(at, start, strlen(start)) != 0 || k-- > 0) continue;
        at += strlen(start);
        at += strspn(at, " ");
        return base_strndup(arena, at, strcspn(at, "\r\n"));
    }
    return NULL;
}

const char *golden_header(const golden_run *run, const char *name) { return header(run->arena, run->of->input, name, 0); }

void golden_fail(golden_run *run, const char *format, ...) {
    va_list list;
    va_start(list, format);
    printf("%s: %s\n", run->of->path, base_vprintf(run->arena, format, list));
    va_end(list);
    run->failed = true;
}

/* ---------------------------------------------------------------- reports */

typedef struct { uint32_t line; const char *code, *words; bool met; } mark;
typedef struct { mark *at; uint32_t n, cap; } marks;

/* All `# error CODE words` of one line; several may stand behind each other. */
static void marks_of_line(golden_run *run, uint32_t line, const char *text, marks *out) {
    while ((text = strstr(text, "# error ")) != NULL) {
        text += 8;
        size_t code = strcspn(text, " #");
        const char *words = text + code + strspn(text + code, " ");
        size_t n = strcspn(words, "#");
        while (n && words[n - 1] == ' ') n--;
        BASE_PUSH(run->arena, out, ((mark){line, base_strndup(run->arena, text, code), base_strndup(run->arena, words, n), false}));
    }
}

static void marks_of(golden_run *run, marks *out) {
    uint32_t line = 1;
    for (const char *at = run->of->input; *at; at = line_end(at), line++)
        marks_of_line(run, line, base_strndup(run->arena, at, strcspn(at, "\r\n")), out);
}

/* A report without a place counts for the first line. */
static bool meets(const golden_run *run, const base_diag *d, const mark *m) {
    uint32_t line = 1, column;
    if (d->span.file == run->file) base_position(&run->diags->files.at[run->file], d->span.start, &line, &column);
    return !m->met && line == m->line && strcmp(base_messages[d->message].code, m->code) == 0 && strstr(d->text, m->words);
}

static void fail_unexpected(golden_run *run, const base_diag *d) {
    base_text text;
    base_text_init(&text, run->arena);
    base_diag_print(run->diags, d, false, &text);
    golden_fail(run, "no `# error` mark expects this:\n%s", text.at);
}

static void compare_reports(golden_run *run) {
    marks expected = {0};
    marks_of(run, &expected);
    for (const base_diag *d = run->diags->first; d; d = d->next) {
        uint32_t k = 0;
        while (k < expected.n && !meets(run, d, &expected.at[k])) k++;
        if (k == expected.n) fail_unexpected(run, d);
        else expected.at[k].met = true;
    }
    for (uint32_t k = 0; k < expected.n; k++)
        if (!expected.at[k].met)
            golden_fail(run, "line %u: nothing reports %s %s", expected.at[k].line, expected.at[k].code, expected.at[k].words);
}

/* ---------------------------------------------------------------- texts */

static void print_lines(const char *prefix, const char *from, const char *to) {
    for (; from < to; from = line_end(from)) printf("%s%.*s", prefix, (int)(line_end(from) - from), from);
}

/* Lines that are the same at both ends are left out, but for one before the first difference. */
static void print_difference(const char *expected, const char *found) {
    const char *e = expected, *f = found, *before = expected;
    uint32_t line = 1;
    while (*e && *f && line_end(e) - e == line_end(f) - f && memcmp(e, f, (size_t)(line_end(e) - e)) == 0) {
        before = e;
        e = line_end(e), f = line_end(f), line++;
    }
    const char *end_e = e + strlen(e), *end_f = f + strlen(f);
    while (end_e > e && end_f > f && end_e[-1] == end_f[-1]) end_e--, end_f--;
    if (end_e > e && end_e[-1] != '\n') end_e = line_end(end_e);
    if (end_f > f && end_f[-1] != '\n') end_f = line_end(end_f);
    printf("@@ line %u of the section; - expected, + found @@\n", line);
    print_lines(" ", before, e);
    print_lines("-", e, end_e);
    print_lines("+", f, end_f);
}

static void compare_text(golden_file *f, const section *result) {
    const section *s = find(f->sections.at, f->sections.n, result->name);
    const char *expected = s ? s->text : "";
    if (strcmp(expected, result->text) == 0) return;
    printf("%s: `%s` prints something else than the file says\n", f->path, result->name);
    print_difference(expected, result->text);
    f->failed = true;
}

/* ---------------------------------------------------------------- running */

static golden_fn *command_of(const char *line, const char **args) {
    size_t n = strcspn(line, " ");
    *args = line + n + strspn(line + n, " ");
    for (uint32_t k = 0; k < sizeof commands / sizeof *commands; k++)
        if (strlen(commands[k].name) == n && strncmp(commands[k].name, line, n) == 0) return commands[k].fn;
    return NULL;
}

static void add_result(golden_file *f, const char *line, const base_text *out) {
    const char *end = out->n && out->at[out->n - 1] != '\n' ? "\n" : "";
    section result = {line, base_printf(f->arena, "%s%s", out->at, end)};
    BASE_PUSH(f->arena, &f->results, result);
}

static void run_command(golden_file *f, const char *line) {
    jmp_buf no_memory;
    const char *args;
    golden_fn *volatile fn = command_of(line, &args);
    base_arena *arena = base_arena_create(NULL, &no_memory);
    base_text *out = BASE_NEW(f->arena, base_text);
    base_text_init(out, f->arena);
    if (!arena || !fn || setjmp(no_memory)) {
        printf("%s: `%s`: %s\n", f->path, line, fn ? "the arena failed" : "there is no such command");
        f->failed = true;
        base_arena_destroy(arena);
        return;
    }
    golden_run *run = BASE_NEW(f->arena, golden_run);
    *run = (golden_run){.arena = arena, .args = args, .of = f, .out = out, .diags = base_diags_create(arena)};
    run->file = base_file_add(run->diags, f->path, f->input, strlen(f->input));
    fn(run);
    compare_reports(run);
    f->failed |= run->failed;
    add_result(f, line, out);
    base_arena_destroy(arena);
}

/* The input first, then what else is no result, then the results in the order of the commands. */
static void bless(golden_file *f) {
    FILE *to = fopen(f->path, "wb");
    if (!to) {
        printf("%s: cannot be written\n", f->path);
        f->failed = true;
        return;
    }
    fputs(f->input, to);
    for (uint32_t k = 0; k < f->sections.n; k++)
        if (!find(f->results.at, f->results.n, f->sections.at[k].name)) fprintf(to, "---- %s\n%s", f->sections.at[k].name, f->sections.at[k].text);
    for (uint32_t k = 0; k < f->results.n; k++)
        if (*f->results.at[k].text) fprintf(to, "---- %s\n%s", f->results.at[k].name, f->results.at[k].text);
    if (fclose(to) != 0) f->failed = true;
}

static void run_commands(golden_file *f) {
    const char *line, *blessing = getenv("ATTN_BLESS");
    for (uint32_t k = 0; (line = header(f->arena, f->input, "run", k)) != NULL; k++) run_command(f, line);
    if (!f->results.n && !f->failed) {
        printf("%s: no `# run:` line\n", f->path);
        f->failed = true;
    }
    if (blessing && *blessing == '1' && !f->failed) bless(f);
    else
        for (uint32_t k = 0; k < f->results.n; k++) compare_text(f, &f->results.at[k]);
}

static bool run_file(const char *path) {
    base_arena *arena = base_arena_create(NULL, NULL);
    golden_file *f = BASE_NEW(arena, golden_file);
    *f = (golden_file){.arena = arena, .path = path};
    const char *text = file_text(arena, path);
    f->failed = !text;
    if (text) {
        split(f, text);
        run_commands(f);
    }
    bool good = !f->failed;
    printf("%s %s\n", good ? "ok    " : "FAILED", path);
    base_arena_destroy(arena);
    return good;
}

/* ---------------------------------------------------------------- folders */

typedef struct { uint32_t n, failed; } totals;

static bool is_folder(const char *path) {
    struct stat is;
    return stat(path, &is) == 0 && S_ISDIR(is.st_mode);
}

static int is_entry(const struct dirent *d) { return d->d_name[0] != '.'; }

static void run_path(const char *path, totals *t) {
    size_t n = strlen(path);
    if (!is_folder(path)) {
        if (n < 6 || strcmp(path + n - 6, ".attnt") != 0) return;
        t->n++;
        t->failed += !run_file(path);
        return;
    }
    struct dirent **entries;
    int found = scandir(path, &entries, is_entry, alphasort);
    for (int k = 0; k < found; k++) {
        char below[4096];
        snprintf(below, sizeof below, "%s/%s", path, entries[k]->d_name);
        free(entries[k]);
        run_path(below, t);
    }
    if (found >= 0) free(entries);
}

int main(int argc, char **argv) {
    totals t = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int k = 1; k < argc; k++) run_path(argv[k], &t);
    printf("%u files, %u failed\n", t.n, t.failed);
    return t.failed || !t.n;
}

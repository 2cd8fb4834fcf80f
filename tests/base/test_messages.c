/* docs/messages.md is the table of messages, sorted by code. ATTN_BLESS=1 in the environment writes it. */
#include <stdlib.h>
#include <string.h>
#include "base.h"
#include <cmocka.h>

static const char path[] = ATTN_SOURCE_DIR "/docs/messages.md";

/* those of attnc, which stands on the public header alone and has a table of its own */
#define USAGE "usage"
#define WRONG "wrong"
static const struct { const char *code, *class_, *text; } own[] = {
#define CLI_MSG(id, code, status, text) {code, status, text},
#include "../../driver/attnc/messages.def"
};
#undef USAGE
#undef WRONG
enum { N_OWN = sizeof own / sizeof *own };

static int by_code(const void *a, const void *b) {
    return strcmp((*(const base_message_info *const *)a)->code, (*(const base_message_info *const *)b)->code);
}

static const char *class_text(base_class c) {
    static const char *const texts[] = {
        [BASE_CLASS_PROGRAM] = "program", [BASE_CLASS_DATA] = "data", [BASE_CLASS_ENVIRONMENT] = "environment",
        [BASE_CLASS_CALLER] = "caller", [BASE_CLASS_INTERNAL] = "internal"};
    return texts[c];
}

/* A format for people: what is filled in becomes three dots. */
static void put_format(base_text *out, const char *format) {
    while (*format) {
        size_t n = strcspn(format, "%|");
        base_text_put(out, format, n);
        format += n;
        if (*format == '|') base_text_put(out, "\\|", 2), format++;
        else if (*format == '%' && format[1] == '%') base_text_put(out, "%", 1), format += 2;
        else if (*format) base_text_put(out, "...", 3), format += 1 + strcspn(format + 1, "sducxg") + 1;
    }
}

static void put_row(base_text *out, const char *code, const char *class_, const char *format) {
    base_text_add(out, "| %s | %s | ", code, class_);
    put_format(out, format);
    base_text_add(out, " |\n");
}

static const char *page(base_arena *arena) {
    const base_message_info *all[BASE_N_MESSAGES];
    base_text out;
    base_text_init(&out, arena);
    base_text_add(&out, "# Messages\n\nEvery message that a user can meet, by its code. Codes are permanent. Written from `runtime/base/messages.def`;\n"
                        "`ATTN_BLESS=1 ctest -R base/messages` writes it again.\n\n"
                        "program: the source is wrong. data: a tensor or weights are. environment: a file, a library or the machine is. caller: a rule of\n"
                        "the API was broken. internal: the compiler is wrong, please report it.\n\n| code | class | message |\n|---|---|---|\n");
    for (uint32_t k = 1; k < BASE_N_MESSAGES; k++) all[k - 1] = &base_messages[k];
    qsort(all, BASE_N_MESSAGES - 1, sizeof *all, by_code);
    for (uint32_t k = 0; k + 1 < BASE_N_MESSAGES; k++) put_row(&out, all[k]->code, class_text(all[k]->class_), all[k]->text);
    base_text_add(&out, "\n## attnc itself\n\nWhat the command says of its own words, from `driver/attnc/messages.def`. usage: the exit status is 2. wrong: it is 1.\n\n"
                        "| code | class | message |\n|---|---|---|\n");
    for (uint32_t k = 0; k < N_OWN; k++) put_row(&out, own[k].code, own[k].class_, own[k].text);
    return out.at;
}

static void bless(const char *text) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void the_page_is_the_table(void **state) {
    (void)state;
    base_arena *arena = base_arena_create(NULL, NULL);
    const char *text = page(arena), *blessing = getenv("ATTN_BLESS");
    if (blessing && *blessing == '1') bless(text);
    base_text found;
    base_text_init(&found, arena);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing: ATTN_BLESS=1 writes it", path);
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) base_text_put(&found, part, n);
    fclose(f);
    if (strcmp(found.at, text) != 0) fail_msg("%s is not what messages.def says: ATTN_BLESS=1 ctest -R base/messages writes it again", path);
    base_arena_destroy(arena);
}

static void codes_are_unique_and_well_formed(void **state) {
    (void)state;
    for (uint32_t k = 1; k < BASE_N_MESSAGES; k++) {
        const char *code = base_messages[k].code;
        assert_true(strlen(code) == 5 && (code[0] == 'E' || code[0] == 'W') && strspn(code + 1, "0123456789") == 4);
        for (uint32_t j = 1; j < k; j++) assert_string_not_equal(base_messages[j].code, code);
        for (uint32_t j = 0; j < N_OWN; j++) assert_string_not_equal(own[j].code, code);
    }
    for (uint32_t k = 1; k < N_OWN; k++) assert_true(strcmp(own[k - 1].code, own[k].code) < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(codes_are_unique_and_well_formed), cmocka_unit_test(the_page_is_the_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

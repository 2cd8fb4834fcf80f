/* Diagnostics as people see them. */
#include <string.h>
#include "base.h"
#include <cmocka.h>

typedef struct { base_arena *arena; base_diags *diags; base_text out; } fixture;

static int set_up(void **state) {
    static fixture f;
    f.arena = base_arena_create(NULL, NULL);
    f.diags = base_diags_create(f.arena);
    base_text_init(&f.out, f.arena);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    base_arena_destroy(((fixture *)*state)->arena);
    return 0;
}

/* Reports at the first place where `at` stands in the text, and returns what is printed. */
static const char *shown(fixture *f, const char *text, const char *at, base_diag **diag) {
    uint32_t file = base_file_add(f->diags, "a.attn", text, strlen(text));
    uint32_t start = (uint32_t)(strstr(text, at) - text);
    base_diag *d = base_report(f->diags, BASE_MSG_INTERNAL_IR, (base_span){file, start, start + (uint32_t)strlen(at)}, "words");
    if (diag) *diag = d;
    f->out.n = 0;
    base_diag_print(f->diags, d, false, &f->out);
    return f->out.at;
}

static void carets_stand_under_the_span(void **state) {
    assert_string_equal(shown(*state, "one\ny[b] = x[c]\n", "x[c]", NULL),
                        "a.attn:2:8: error E0901: internal error: words\n"
                        "    2 | y[b] = x[c]\n"
                        "      |        ^^^^\n");
}

static void an_empty_span_has_one_caret(void **state) {
    assert_string_equal(shown(*state, "abc", "", NULL), "a.attn:1:1: error E0901: internal error: words\n    1 | abc\n      | ^\n");
}

static void tabs_are_kept(void **state) {
    assert_string_equal(shown(*state, "\ta\tb = c", "b", NULL),
                        "a.attn:1:4: error E0901: internal error: words\n    1 | \ta\tb = c\n      | \t \t^\n");
}

static void columns_count_code_points(void **state) {
    assert_string_equal(shown(*state, "\xc3\xa9\xe2\x82\xac = x", "x", NULL),
                        "a.attn:1:6: error E0901: internal error: words\n    1 | \xc3\xa9\xe2\x82\xac = x\n      |      ^\n");
}

static void a_span_over_lines_is_cut(void **state) {
    assert_string_equal(shown(*state, "a = (b\n + c)", "(b\n + c)", NULL),
                        "a.attn:1:5: error E0901: internal error: words\n    1 | a = (b\n      |     ^^\n");
}

static void control_characters_do_not_reach_the_terminal(void **state) {
    assert_string_equal(shown(*state, "a\033[2Jb\r\n", "b", NULL),
                        "a.attn:1:6: error E0901: internal error: words\n    1 | a?[2Jb\n      |      ^\n");
}

static void wide_lines_are_cut(void **state) {
    fixture *f = *state;
    char text[1000];
    memset(text, 'a', sizeof text);
    memcpy(text + 500, "HERE", 4);
    text[999] = 0;
    const char *out = shown(f, text, "HERE", NULL), *line = strchr(out, '\n') + 1, *caret = strchr(line, '\n') + 1;
    assert_true(caret - line < 140);
    assert_memory_equal(line + (strstr(caret, "^^^^") - caret), "HERE", 4);
}

static void words_and_notes_follow(void **state) {
    fixture *f = *state;
    base_diag *d;
    shown(f, "f(x)\ng(y)", "x", &d);
    d->expected = "a real";
    d->found = "a truth value";
    d->hint = "write select(x, 1.0, 0.0)";
    base_diag_note(f->diags, d, (base_span){d->span.file, 5, 9}, "called from %s", "here");
    base_diag_note(f->diags, d, (base_span){0}, "nowhere");
    f->out.n = 0;
    base_diag_print(f->diags, d, false, &f->out);
    assert_string_equal(f->out.at, "a.attn:1:3: error E0901: internal error: words\n"
                                   "    1 | f(x)\n"
                                   "      |   ^\n"
                                   "  expected: a real\n"
                                   "  found: a truth value\n"
                                   "  hint: write select(x, 1.0, 0.0)\n"
                                   "a.attn:2:1: note: called from here\n"
                                   "    2 | g(y)\n"
                                   "      | ^^^^\n"
                                   "note: nowhere\n");
}

static void colour_only_if_asked(void **state) {
    fixture *f = *state;
    base_diag *d;
    assert_null(strchr(shown(f, "abc", "b", &d), '\033'));
    f->out.n = 0;
    base_diag_print(f->diags, d, true, &f->out);
    assert_non_null(strchr(f->out.at, '\033'));
}

static void places_beyond_the_text_are_its_end(void **state) {
    fixture *f = *state;
    uint32_t file = base_file_add(f->diags, "b", "ab\ncd", 5), line, column;
    base_position(&f->diags->files.at[file], 4000, &line, &column);
    assert_int_equal(line, 2);
    assert_int_equal(column, 3);
    base_diag *d = base_report(f->diags, BASE_MSG_INTERNAL_IR, (base_span){file, 900, 4}, "words");
    base_diag_print(f->diags, d, false, &f->out);
    base_diag_print(f->diags, base_report(f->diags, BASE_MSG_NO_MEMORY, (base_span){77, 0, 4}), false, &f->out);
    assert_non_null(strstr(f->out.at, "\nerror E0801: out of memory\n"));
    assert_int_equal(f->diags->n_errors, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(carets_stand_under_the_span), TEST(an_empty_span_has_one_caret), TEST(tabs_are_kept),
        TEST(columns_count_code_points), TEST(a_span_over_lines_is_cut), TEST(control_characters_do_not_reach_the_terminal),
        TEST(wide_lines_are_cut), TEST(words_and_notes_follow), TEST(colour_only_if_asked),
        TEST(places_beyond_the_text_are_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

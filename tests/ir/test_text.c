/* Text forms: the expressions of the operator table, names, sharing, and texts that are wrong in every way. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include "ir.h"
#include <cmocka.h>

typedef struct { char *at; size_t n; } bytes;

static bytes file_bytes(const char *path) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    bytes b = {malloc(1 << 16), 0};
    assert_non_null(b.at);
    b.n = fread(b.at, 1, (1 << 16) - 1, f);
    b.at[b.n] = 0;
    fclose(f);
    char *end = strstr(b.at, "\n---- ");
    if (end) b.n = (size_t)(end + 1 - b.at), b.at[b.n] = 0;
    return b;
}

static ir_graph *read_text(base_arena *a, base_diags *diags, const char *text, size_t n) {
    return ir_graph_read(a, diags, base_file_add(diags, "t", text, n));
}

/* A text is refused with a report, or prints as something that reads back to the same text. Answers whether it was read. */
static bool survives(const char *text, size_t n) {
    base_arena *a = base_arena_create(NULL, NULL);
    base_diags *diags = base_diags_create(a);
    ir_graph *g = read_text(a, diags, text, n);
    if (g) {
        base_text once, twice;
        base_text_init(&once, a);
        base_text_init(&twice, a);
        ir_graph_print(g, &once);
        ir_graph *again = read_text(a, diags, once.at, once.n);
        if (!again) fail_msg("what is printed cannot be read: %s\n%s\nfrom\n%s", diags->first ? diags->first->text : "", once.at, text);
        ir_graph_print(again, &twice);
        assert_string_equal(once.at, twice.at);
    } else {
        assert_true(diags->n_errors > 0);
        base_text out;
        base_text_init(&out, a);
        for (const base_diag *d = diags->first; d; d = d->next) base_diag_print(diags, d, true, &out);
    }
    base_arena_destroy(a);
    return g != NULL;
}

/* ---- texts that are wrong */

static uint32_t next_random(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return (uint32_t)(*state >> 32);
}

static const char *const pieces[] = {"(", ")", "[", "]", "{", "}", ":", ",", "..", "0..", "@1", "@1{", "let @1 = ", ";", "$1", "in", "where",
    "sum(", "max(b in 0..B: ", "select(", "9223372036854775807", "-", "*", "/", "//", "%", "^", "not ", "and", "or", "<", "==", "f32[", "i64",
    "loop l in 0..B (", "yield", "output", "map", "check", "into", "one", "last", "+=", "from", "zeros ", "true", "inf", "nan", "1e999", "#", "\"", "x",
    "B", "b", "0", "1.5", "while", "(B,S)", "const {", "input", "param", "\xff", "\n", " in {1} "};

static size_t mutate(char *text, size_t n, size_t room, uint64_t *state) {
    size_t at = n ? next_random(state) % n : 0, length = next_random(state) % 12, span;
    const char *piece = pieces[next_random(state) % (sizeof pieces / sizeof *pieces)];
    switch (next_random(state) % 6) {
    case 0: text[at] = (char)(next_random(state) % 128); return n;
    case 1: return at;                                            /* cut off */
    case 2:                                                       /* taken out */
        span = length < n - at ? length : n - at;
        memmove(text + at, text + at + span, n - at - span);
        return n - span;
    case 3:                                                       /* doubled */
        span = length < n - at ? length : n - at;
        if (n + span > room) return n;
        memmove(text + at + span, text + at, n - at);
        return n + span;
    default:
        span = strlen(piece);
        if (n + span > room) return n;
        memmove(text + at + span, text + at, n - at);
        memcpy(text + at, piece, span);
        return n + span;
    }
}

static uint32_t mutations_of(const bytes *good, uint64_t seed, uint32_t rounds) {
    char text[1 << 14];
    uint64_t state = seed;
    uint32_t n_read = 0;
    for (uint32_t k = 0; k < rounds; k++) {
        size_t n = good->n < sizeof text / 2 ? good->n : sizeof text / 2;
        memcpy(text, good->at, n);
        for (uint32_t changes = 1 + next_random(&state) % 3; changes; changes--) n = mutate(text, n, sizeof text - 1, &state);
        text[n] = 0;
        n_read += survives(text, n);
    }
    return n_read;
}

static void wrong_texts_are_refused(void **state) {
    (void)state;
    uint32_t n_files = 0, n_read = 0;
    const char *folder = ATTN_SOURCE_DIR "/tests/golden/text";
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        char path[1024];
        if (!strstr(d->d_name, ".attnt")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
        bytes good = file_bytes(path);
        survives(good.at, good.n);
        n_read += mutations_of(&good, 88172645463325252u + n_files++, 150);
        free(good.at);
    }
    closedir(dir);
    assert_true(n_files > 10 && n_read > 100);    /* some changes keep a text right: those must print and read back */
}

/* ---- expressions */

static void every_expansion_of_the_table_reads(void **state) {
    (void)state;
    base_arena *a = base_arena_create(NULL, NULL);
    ir_unit *u = ir_unit_create(a, base_diags_create(a));
    const char *const names[] = {"a", "b", "c"};
    ir_type real = {.dtype = IR_TYPE_F32}, integer = {.dtype = IR_TYPE_I64};
    for (uint32_t op = 0; op < IR_N_OPS; op++) {
        if (!*ir_ops[op].expand) continue;
        ir_expr values[3] = {0};
        for (uint32_t k = 0; k < ir_ops[op].n_args; k++) {
            const ir_type *type = ir_ops[op].args[k] == 'i' ? &integer : &real;
            values[k] = ir_read(u, ir_value_new(u, names[k], type), 0, NULL);
        }
        ir_expr e = ir_expr_parse(u, ir_ops[op].expand, ir_ops[op].n_args, names, values);
        if (!e) fail_msg("%s: %s", ir_ops[op].text, ir_ops[op].expand);
        assert_int_equal(ir_at(u, e)->sort, ir_at(u, ir_apply(u, (ir_op)op, ir_ops[op].n_args, values))->sort);
        assert_false(ir_has_op(u, e, (ir_op)op));
    }
    assert_int_equal(ir_expr_parse(u, "a + ", 0, names, NULL), 0);
    assert_int_equal(u->diags->n_errors, 2);
    base_arena_destroy(a);
}

static const char *printed(const ir_unit *u, ir_expr e) {
    base_text text;
    base_text_init(&text, u->arena);
    ir_expr_print(u, e, &text);
    return text.at;
}

/* An expression that doubles with every step has a text that grows by a line each. */
static void shared_expressions_stay_small(void **state) {
    (void)state;
    base_arena *a = base_arena_create(NULL, NULL);
    ir_unit *u = ir_unit_create(a, base_diags_create(a));
    ir_var i = ir_var_new(u, "i", ir_int(u, 10));
    ir_value x = ir_value_new(u, "x", &(ir_type){.dtype = IR_TYPE_F32, .rank = 1, .dim = {ir_int(u, 10)}});
    ir_expr e = ir_read(u, x, 1, (ir_expr[]){ir_var_expr(u, i)});
    for (int k = 0; k < 60; k++) e = ir_mul(u, ir_op1(u, IR_EXP, e), ir_op1(u, IR_TANH, e));
    const char *text = printed(u, e);
    assert_true(strlen(text) < 8000);
    assert_int_equal(ir_expr_parse(u, text, 1, (const char *const[]){"i"}, (ir_expr[]){ir_var_expr(u, i)}), e);
    base_arena_destroy(a);
}

/* Doubling through reductions: what is shared mentions bound variables. */
static void shared_reductions_stay_small(void **state) {
    (void)state;
    base_arena *a = base_arena_create(NULL, NULL);
    ir_unit *u = ir_unit_create(a, base_diags_create(a));
    ir_expr ten = ir_int(u, 10);
    ir_value x = ir_value_new(u, "x", &(ir_type){.dtype = IR_TYPE_F32, .rank = 1, .dim = {ten}});
    ir_var outer = ir_var_new(u, "i", ten);
    ir_expr e = ir_read(u, x, 1, (ir_expr[]){ir_var_expr(u, outer)});
    for (int k = 0; k < 12; k++) {
        ir_var v = ir_var_new(u, "j", ten);
        ir_expr at_v = ir_substitute(u, e, 1, (ir_binding[]){{outer, ir_var_expr(u, v)}});
        ir_expr most = ir_reduce(u, IR_RED_MAX, 1, &v, ir_bool(u, true), at_v);
        e = ir_op2(u, IR_DIV, ir_sub(u, e, most), ir_op2(u, IR_ADD, ir_op1(u, IR_EXP, e), most));
    }
    const char *text = printed(u, e);
    assert_true(strlen(text) < 100000);
    assert_int_equal(ir_expr_parse(u, text, 1, (const char *const[]){"i"}, (ir_expr[]){ir_var_expr(u, outer)}), e);
    base_arena_destroy(a);
}

static void poison_and_lets_print(void **state) {
    (void)state;
    base_arena *a = base_arena_create(NULL, NULL);
    ir_unit *u = ir_unit_create(a, base_diags_create(a));
    assert_string_equal(printed(u, 0), "?");
    assert_string_equal(printed(u, ir_op1(u, IR_EXP, ir_let_expr(u, 7, IR_SORT_REAL))), "exp($7)");
    base_arena_destroy(a);
}

static void names_of_values_are_unique(void **state) {
    (void)state;
    base_arena *a = base_arena_create(NULL, NULL);
    ir_unit *u = ir_unit_create(a, base_diags_create(a));
    ir_type type = {.dtype = IR_TYPE_F32};
    assert_string_equal(u->value.at[ir_value_new(u, "x", &type)].name, "x");
    assert_string_equal(u->value.at[ir_value_new(u, "x", &type)].name, "x.1");
    assert_string_equal(u->value.at[ir_value_new(u, "x.1", &type)].name, "x.1.1");
    assert_string_equal(u->value.at[ir_value_new(u, "x", &type)].name, "x.2");
    base_arena_destroy(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_texts_are_refused),       cmocka_unit_test(every_expansion_of_the_table_reads),
        cmocka_unit_test(shared_expressions_stay_small), cmocka_unit_test(shared_reductions_stay_small),
        cmocka_unit_test(poison_and_lets_print),         cmocka_unit_test(names_of_values_are_unique),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

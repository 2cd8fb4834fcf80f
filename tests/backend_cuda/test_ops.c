/* Every operator of ops.def has a text, and the text means what the evaluator means: each row, each sort of operands, f32 and f64, emulated. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "emulated.h"
#include "writer.h"

enum { N = 12 };
static const double reals[N] = {0, 1, -1, 0.5, -0.5, 2.5, -2.5, 1e-3, 7, -7.75, 1.5, INFINITY};
static const int64_t ints[N] = {0, 1, -1, 2, 3, -3, 4, 7, -8, 62, 1000000007, -5};
static const int64_t small[N] = {1, 2, 3, 1, 2, 5, 4, 3, 1, 2, 6, 7};           /* divisors and bits */

typedef struct {
    base_arena *arena;
    base_diags *diags;
    ir_unit *u;
    ir_builder *b;
    ir_value real[3], integer[3], truth[3];
    ir_expr extent;
    BASE_VEC(ir_value) results;
    BASE_VEC(const char *) names;
    jmp_buf fail;
} world;

static ir_value input(world *w, const char *name, uint8_t dtype) {
    ir_type type = {.dtype = dtype, .rank = 1, .dim = {w->extent}};
    ir_value v = ir_value_new(w->u, name, &type);
    ir_builder_add(w->b, ir_node_source(w->u, IR_FORM_INPUT, (base_span){0}, v));
    return v;
}

static void begin(world *w, uint8_t dtype) {
    static const char *const names[3][3] = {{"x", "y", "z"}, {"i", "j", "k"}, {"p", "q", "r"}};
    memset(w, 0, sizeof *w);
    w->arena = base_arena_create(NULL, &w->fail);
    w->diags = base_diags_create(w->arena);
    w->u = ir_unit_create(w->arena, w->diags);
    w->b = ir_builder_create(w->u);
    w->extent = ir_int(w->u, N);
    for (int i = 0; i < 3; i++) {
        w->real[i] = input(w, names[0][i], dtype);
        w->integer[i] = input(w, names[1][i], IR_TYPE_I64);
        w->truth[i] = input(w, names[2][i], IR_TYPE_BOOL);
    }
}

static uint8_t result_dtype(uint8_t sort, uint8_t real) { return sort == IR_SORT_REAL ? real : sort == IR_SORT_INT ? IR_TYPE_I64 : IR_TYPE_BOOL; }

/* y[n] = op(operands[n]..), operands of the sort that the row asks for, `any` where it leaves it open. */
static void add_row(world *w, ir_op op, uint8_t any, uint8_t dtype) {
    ir_var v = ir_var_new(w->u, "n", w->extent);
    ir_expr at = ir_var_expr(w->u, v), operand[3];
    for (uint32_t k = 0; k < ir_ops[op].n_args; k++) {
        char letter = ir_ops[op].args[k];
        uint8_t sort = letter == 'n' || letter == 'x' ? any : (uint8_t)letter;
        ir_value from = sort == IR_SORT_REAL ? w->real[k] : sort == IR_SORT_INT ? w->integer[k] : w->truth[k];
        operand[k] = ir_read(w->u, from, 1, &at);
    }
    ir_expr e = ir_apply(w->u, op, ir_ops[op].n_args, operand);
    assert_int_not_equal(e, 0);
    ir_type type = {.dtype = result_dtype(ir_at(w->u, e)->sort, dtype), .rank = 1, .dim = {w->extent}};
    const char *name = base_printf(w->arena, "%s_%c", ir_ops[op].name, any);
    ir_value result = ir_value_new(w->u, name, &type);
    ir_builder_add(w->b, ir_node_map(w->u, (base_span){0}, 1, &v, result, e));
    BASE_PUSH(w->arena, &w->results, result);
    BASE_PUSH(w->arena, &w->names, name);
}

static bool open_sorts(ir_op op, char letter) { return strchr(ir_ops[op].args, letter) != NULL; }

static ir_graph *all_rows(world *w, uint8_t dtype) {
    for (int op = 0; op < IR_N_OPS; op++) {
        if (ir_ops[op].form == 'L') continue;
        bool n = open_sorts((ir_op)op, 'n'), x = open_sorts((ir_op)op, 'x');
        add_row(w, (ir_op)op, IR_SORT_REAL, dtype);
        if (n || x) add_row(w, (ir_op)op, IR_SORT_INT, dtype);
        if (x) add_row(w, (ir_op)op, IR_SORT_BOOL, dtype);
    }
    ir_graph *g = BASE_NEW(w->arena, ir_graph);
    *g = (ir_graph){.unit = w->u, .name = "ops", .body = ir_builder_block(w->b)};
    return g;
}

static ir_frame inputs(world *w) {
    ir_frame f = ir_frame_create(w->u, w->arena);
    int64_t dim[] = {N};
    for (int k = 0; k < 3; k++) {
        ir_tensor *r = &f.value[w->real[k]], *i = &f.value[w->integer[k]], *b = &f.value[w->truth[k]];
        *r = ir_tensor_new(w->arena, w->u->value.at[w->real[k]].type.dtype, 1, dim);
        *i = ir_tensor_new(w->arena, IR_TYPE_I64, 1, dim);
        *b = ir_tensor_new(w->arena, IR_TYPE_BOOL, 1, dim);
        for (int n = 0; n < N; n++) {
            r->f[n] = ir_round_to(r->dtype, reals[(n * (k + 1) + k) % N]);
            i->i[n] = k == 1 ? small[n] : ints[(n + k) % N];
            b->i[n] = n >> k & 1;
        }
    }
    return f;
}

static bool near(const ir_tensor *a, const ir_tensor *b, int n, double tolerance) {
    if (ir_dtypes[a->dtype].sort != IR_SORT_REAL) return a->i[n] == b->i[n];
    if (isnan(a->f[n]) || isnan(b->f[n])) return isnan(a->f[n]) && isnan(b->f[n]);
    return a->f[n] == b->f[n] || fabs(a->f[n] - b->f[n]) <= tolerance * fmax(1, fabs(b->f[n]));
}

static void run_all(uint8_t dtype, double tolerance) {
    world w;
    if (setjmp(w.fail)) fail_msg("out of memory");
    begin(&w, dtype);
    ir_graph *g = all_rows(&w, dtype);
    ir_frame ours = inputs(&w), meaning = inputs(&w);
    assert_true(ir_graph_eval(g, &meaning, w.arena, w.diags));
    assert_true(emulated_graph_eval(g, &ours, w.arena, w.diags));
    for (uint32_t k = 0; k < w.results.n; k++)
        for (int n = 0; n < N; n++)
            if (!near(&ours.value[w.results.at[k]], &meaning.value[w.results.at[k]], n, tolerance))
                fail_msg("%s, row %d: %g instead of %g", w.names.at[k], n, ours.value[w.results.at[k]].f[n], meaning.value[w.results.at[k]].f[n]);
    base_arena_destroy(w.arena);
}

static void test_texts(void **state) {
    (void)state;
    for (int op = 0; op < IR_N_OPS; op++) {
        bool leaf = ir_ops[op].form == 'L';
        if (leaf != (cuda_op_texts[op] == NULL)) fail_msg("operator %s: a text %s", ir_ops[op].name, leaf ? "is not wanted" : "is missing");
        for (uint32_t k = 0; !leaf && k < 3; k++) {
            char operand[] = {'$', (char)('0' + k), 0};
            assert_int_equal(strstr(cuda_op_texts[op], operand) != NULL, k < ir_ops[op].n_args);
        }
    }
}

static void test_f32(void **state) { (void)state, run_all(IR_TYPE_F32, 2e-6); }
static void test_f64(void **state) { (void)state, run_all(IR_TYPE_F64, 1e-14); }

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_f32), cmocka_unit_test(test_f64)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

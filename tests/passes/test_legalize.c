/* What a target lacks, by the texts in the table of operators: expansions end, leave nothing that is lacked, and mean the same. */
#include "passes.h"
#include <cmocka.h>

typedef struct { base_arena *arena; base_diags *diags; ir_unit *u; ir_target poor; } fixture;

static int set_up(void **state) {
    static fixture f;
    f.arena = base_arena_create(NULL, NULL);
    f.diags = base_diags_create(f.arena);
    f.u = ir_unit_create(f.arena, f.diags);
    f.poor = (ir_target){.name = "poor"};
    for (int op = 0; op < IR_N_OPS; op++) f.poor.lacks[op] = *ir_ops[op].expand;     /* all that has other words */
    *state = &f;
    return 0;
}
static int tear_down(void **state) {
    base_arena_destroy(((fixture *)*state)->arena);
    return 0;
}

/* One line that applies the operator to parameters of the right sort. */
static ir_expr application(fixture *f, ir_op op) {
    ir_expr operands[3];
    for (uint32_t k = 0; k < ir_ops[op].n_args; k++) {
        const ir_type type = {.dtype = ir_ops[op].args[k] == 'i' ? IR_TYPE_I64 : ir_ops[op].args[k] == 'b' ? IR_TYPE_BOOL : IR_TYPE_F64};
        operands[k] = ir_read(f->u, ir_value_new(f->u, "x", &type), 0, NULL);
    }
    return ir_apply(f->u, op, ir_ops[op].n_args, operands);
}
static ir_expr legal(fixture *f, ir_expr e) {
    ir_let line = {.kind = IR_LET_EXPR, .sort = ir_at(f->u, e)->sort, .ref = -1, .where = ir_bool(f->u, true), .e = e};
    const ir_kernel k = {.unit = f->u, .name = "k", .lets = &line, .n_lets = 1, .inside = ir_bool(f->u, true)};
    return pass_legalize_kernel(&k, &f->poor)->lets[0].e;
}

typedef struct { const ir_target *target; int found; } lacked;
static bool find_lacked(const ir_unit *u, void *env, ir_expr e) {
    lacked *l = env;
    if (l->target->lacks[ir_at(u, e)->op]) l->found = ir_at(u, e)->op;
    return true;
}
static void nothing_that_is_lacked_is_left(void **state) {
    fixture *f = *state;
    int n = 0;
    for (int op = 0; op < IR_N_OPS; op++) {
        if (!f->poor.lacks[op]) continue;
        lacked l = {&f->poor, 0};
        ir_expr e = legal(f, application(f, (ir_op)op));
        ir_walk(f->u, e, find_lacked, &l);
        if (l.found) fail_msg("%s leaves %s", ir_ops[op].text, ir_ops[l.found].text);
        n++;
    }
    assert_true(n > 5);
    assert_null(f->diags->first);
}
static void what_has_no_other_words_stays(void **state) {
    fixture *f = *state;
    f->poor.lacks[IR_TANH] = true;
    ir_expr e = application(f, IR_TANH);
    assert_int_equal(legal(f, e), e);
}

static double value(fixture *f, ir_expr e, double x) {
    const ir_type type = {.dtype = IR_TYPE_F64};
    ir_value y = ir_value_new(f->u, "y", &type);
    ir_builder *b = ir_builder_create(f->u);
    ir_builder_add(b, ir_node_map(f->u, (base_span){0}, 0, NULL, y, e));
    const ir_graph g = {.unit = f->u, .name = "g", .body = ir_builder_block(b)};
    ir_frame frame = ir_frame_create(f->u, f->arena);
    for (ir_value v = 1; v < y; v++) {
        frame.value[v] = ir_tensor_new(f->arena, IR_TYPE_F64, 0, NULL);
        frame.value[v].f[0] = x;
    }
    if (!ir_graph_eval(&g, &frame, f->arena, f->diags)) fail_msg("%s", f->diags->first->text);
    return frame.value[y].f[0];
}
static void expansions_mean_the_same(void **state) {
    fixture *f = *state;
    static const double at[] = {0.25, 1, 3.5};       /* where every row is defined */
    for (int op = 0; op < IR_N_OPS; op++) {
        if (!f->poor.lacks[op]) continue;
        for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
            ir_expr e = application(f, (ir_op)op);
            const double meant = value(f, e, at[k]), found = value(f, legal(f, e), at[k]);
            if (!(fabs(found - meant) <= 1e-12 * (1 + fabs(meant)))) fail_msg("%s at %g: %.17g instead of %.17g", ir_ops[op].text, at[k], found, meant);
        }
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(nothing_that_is_lacked_is_left), TEST(what_has_no_other_words_stays), TEST(expansions_mean_the_same)};
    return cmocka_run_group_tests_name("legalize", tests, NULL, NULL);
}

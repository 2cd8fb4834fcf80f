/* Programs at the edge: long chains, deep expressions, reductions within reductions, many statements. Each goes through all passes, or is
 * refused by one clear message; neither the stack nor the time may depend on depth as a tree would. */
#include <string.h>
#include "passes.h"
#include <cmocka.h>

static const ir_target machine = {.name = "test", .cpu = "", .features = "", .lanes = 8, .regs = 32, .cores = 1, .matmul_rate = 1e11, .vector_rate = 5e10,
                                  .mem_bytes_per_s = 2e10, .launch_s = 2e-6, .overlap = 0.75, .value_tile_bytes = 1 << 18,
                                  .lacks = {[IR_GELU] = true, [IR_SIGMOID] = true}};

typedef struct { base_arena *arena; base_diags *diags; base_text text; } fixture;
static int set_up(void **state) {
    static fixture f;
    f.arena = base_arena_create(NULL, NULL);
    f.diags = base_diags_create(f.arena);
    base_text_init(&f.text, f.arena);
    *state = &f;
    return 0;
}
static int tear_down(void **state) {
    base_arena_destroy(((fixture *)*state)->arena);
    return 0;
}

static pass_state through(fixture *f, ir_graph *g, bool *ok) {
    pass_state s = {.arena = f->arena, .diags = f->diags, .target = &machine, .graph = g};
    *ok = pass_run_all(&s, &(pass_options){0});
    return s;
}
static pass_state read_and_run(fixture *f, bool *ok) {
    ir_graph *g = ir_graph_read(f->arena, f->diags, base_file_add(f->diags, "g", f->text.at, f->text.n));
    if (!g) fail_msg("%s", f->diags->first->text);
    return through(f, g, ok);
}
static pass_state must_pass(fixture *f) {
    bool ok;
    pass_state s = read_and_run(f, &ok);
    if (!ok) fail_msg("%s", f->diags->first ? f->diags->first->text : "no message");
    assert_non_null(s.plan);
    return s;
}

/* ---- statements that each read the one before */

static void a_chain_of_maps(void **state) {
    fixture *f = *state;
    base_text_add(&f->text, "graph g (N) {\n  x0: f32[N] = input\n");
    for (int i = 1; i <= 1500; i++) base_text_add(&f->text, "  x%d[i in 0..N]: f32 = gelu(x%d[i]) + x%d[i]\n", i, i - 1, i - 1);
    base_text_add(&f->text, "  output x1500\n}\n");
    pass_state s = must_pass(f);
    assert_in_range(s.n_kernels, 2, 20);         /* put in, but no deeper than walks go */
}
static uint32_t size_of_norms(fixture *f, int n) {
    base_text_init(&f->text, f->arena);
    base_text_add(&f->text, "graph g (N, E) {\n  x0: f32[N,E] = input\n");
    for (int i = 1; i <= n; i++) base_text_add(&f->text, "  x%d[i in 0..N, e in 0..E]: f32 = x%d[i,e] - sum(c in 0..E: x%d[i,c])\n", i, i - 1, i - 1);
    base_text_add(&f->text, "  output x%d\n}\n", n);
    return must_pass(f).graph->unit->expr.n;
}
/* Each reduction holds all before it twice: as a tree they double with every statement. */
static void reductions_within_reductions_do_not_double(void **state) {
    const uint32_t few = size_of_norms(*state, 10), twice = size_of_norms(*state, 20), more = size_of_norms(*state, 40);
    if (twice > 10 * few || more > 10 * twice) fail_msg("10, 20, 40 statements: %u, %u, %u expressions", few, twice, more);
}
static void products_of_products(void **state) {
    fixture *f = *state;
    base_text_add(&f->text, "graph g (N, E) {\n  w: f32[E,E] = input\n  x0: f32[N,E] = input\n");
    for (int i = 1; i <= 100; i++) base_text_add(&f->text, "  x%d[i in 0..N, e in 0..E]: f32 = sum(d in 0..E: x%d[i,d]*w[e,d])\n", i, i - 1);
    base_text_add(&f->text, "  output x100\n}\n");
    assert_true(must_pass(f).n_kernels >= 50);
}
/* A check per statement, each with all reads of the chain. */
static void indices_of_indices(void **state) {
    fixture *f = *state;
    base_text_add(&f->text, "graph g (N) {\n  t: i32[N] = input\n  x0: i32[N] = input\n");
    for (int i = 1; i <= 60; i++) base_text_add(&f->text, "  x%d[i in 0..N]: i32 = t[x%d[i]]\n", i, i - 1);
    base_text_add(&f->text, "  output x60\n}\n");
    assert_int_equal(must_pass(f).plan->n_checks, 60);
}
static void statements_that_share_nothing(void **state) {
    fixture *f = *state;
    base_text_add(&f->text, "graph g (N) {\n  x: f32[N] = input\n");
    for (int i = 0; i < 300; i++) base_text_add(&f->text, "  y%d[i in 0..N]: f32 = x[i]*%d.5\n", i, i);
    base_text_add(&f->text, "  output y0");
    for (int i = 1; i < 300; i++) base_text_add(&f->text, ", y%d", i);
    base_text_add(&f->text, "\n}\n");
    must_pass(f);
}

/* ---- one expression */

static ir_graph *graph_of(fixture *f, ir_unit *u, ir_value x, ir_var i, ir_expr body) {
    ir_builder *b = ir_builder_create(u);
    ir_type type = u->value.at[x].type;
    ir_value y = ir_value_new(u, "y", &type);
    ir_graph *g = BASE_NEW(f->arena, ir_graph);
    ir_builder_add(b, ir_node_source(u, IR_FORM_INPUT, (base_span){0}, x));
    ir_builder_add(b, ir_node_map(u, (base_span){0}, 1, &i, y, body));
    ir_builder_add(b, ir_node_use(u, IR_FORM_OUTPUT, (base_span){0}, 1, &y));
    *g = (ir_graph){.unit = u, .name = "g", .body = ir_builder_block(b), .outputs = BASE_NEW(f->arena, ir_output_info), .n_outputs = 1};
    g->outputs[0] = (ir_output_info){.value = y, .name = "y", .dtype = IR_TYPE_F32};
    return g;
}
typedef ir_expr grow(ir_unit *u, ir_expr e, ir_var i, int k);
static ir_expr deeper_operator(ir_unit *u, ir_expr e, ir_var i, int k) {
    (void)i, (void)k;
    return ir_op1(u, IR_TANH, e);
}
static ir_expr deeper_expansion(ir_unit *u, ir_expr e, ir_var i, int k) {
    (void)i, (void)k;
    return ir_op1(u, IR_GELU, e);                        /* which mentions its operand twice, and so on down */
}
static ir_expr deeper_select(ir_unit *u, ir_expr e, ir_var i, int k) {
    return ir_select(u, ir_op2(u, IR_LT, ir_var_expr(u, i), ir_int(u, k)), ir_add(u, e, ir_real(u, k)), e);
}
static ir_expr deeper_reduction(ir_unit *u, ir_expr e, ir_var i, int k) {
    ir_var j = ir_var_new(u, "j", u->var.at[i].extent);
    ir_binding b = {i, ir_var_expr(u, j)};
    return ir_reduce(u, k % 2 ? IR_RED_MAX : IR_RED_SUM, 1, &j, ir_bool(u, true), ir_mul(u, e, ir_substitute(u, e, 1, &b)));
}
static pass_state run_deep(fixture *f, int depth, grow *deeper, bool *ok) {
    ir_unit *u = ir_unit_create(f->arena, f->diags);
    ir_expr n = ir_dim_expr(u, ir_dim_new(u, "N"));
    ir_type type = {.dtype = IR_TYPE_F32, .rank = 1, .dim = {n}};
    ir_value x = ir_value_new(u, "x", &type);
    ir_var i = ir_var_new(u, "i", n);
    ir_expr at = ir_var_expr(u, i), e = ir_read(u, x, 1, &at);
    for (int k = 0; k < depth; k++) e = deeper(u, e, i, k);
    return through(f, graph_of(f, u, x, i, e), ok);
}
static void deep_expressions_pass(void **state) {
    static grow *const all[] = {deeper_operator, deeper_expansion, deeper_select, deeper_reduction};
    static const int depth[] = {1500, 150, 300, 12};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        fixture *f = *state;
        bool ok;
        run_deep(f, depth[k], all[k], &ok);
        if (!ok) fail_msg("%zu: %s", k, f->diags->first ? f->diags->first->text : "no message");
    }
}
/* One message says why: more axes than a kernel has. */
static void reductions_deeper_than_axes_are_refused(void **state) {
    fixture *f = *state;
    bool ok;
    run_deep(f, 200, deeper_reduction, &ok);
    assert_false(ok);
    assert_int_equal(f->diags->n_errors, 1);
    assert_int_equal(f->diags->first->message, BASE_MSG_NO_KERNEL);
}
/* Deeper than any walk goes: said where it is built, and no pass makes anything of it. */
static void what_is_too_deep_is_refused(void **state) {
    fixture *f = *state;
    bool ok;
    pass_state s = run_deep(f, 5000, deeper_operator, &ok);
    assert_false(ok);
    assert_null(s.kernels);
    assert_int_equal(f->diags->first->message, BASE_MSG_EXPR_DEPTH);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_chain_of_maps), TEST(reductions_within_reductions_do_not_double), TEST(products_of_products), TEST(indices_of_indices),
        TEST(statements_that_share_nothing), TEST(deep_expressions_pass), TEST(reductions_deeper_than_axes_are_refused), TEST(what_is_too_deep_is_refused),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}

/* Rules that no text can break, because the reader does not make such graphs: each is broken by hand. */
#include <string.h>
#include "ir.h"
#include <cmocka.h>

typedef struct { base_arena *arena; base_diags *diags; ir_graph *g; ir_unit *u; ir_node *map; ir_value x; } fixture;

static const char text[] = "graph g (B, S) {\n"
                           "  x: f32[B,S] = input\n"
                           "  y[b in 0..B, i in 0..S]: f32 = x[b,i] + 1.0\n"
                           "  z[b in 0..B]: f32 = max(i in 0..S: x[b,i])\n"
                           "  output y, z\n"
                           "}\n";

static int set_up(void **state) {
    static fixture f;
    f.arena = base_arena_create(NULL, NULL);
    f.diags = base_diags_create(f.arena);
    f.g = ir_graph_read(f.arena, f.diags, base_file_add(f.diags, "g", text, sizeof text - 1));
    if (!f.g) return -1;
    f.u = f.g->unit;
    f.map = f.g->body.at[1];
    f.x = f.g->body.at[0]->source.value;
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    base_arena_destroy(((fixture *)*state)->arena);
    return 0;
}

static void is_refused(fixture *f, base_message rule) {
    assert_false(ir_graph_verify(f->g, "a test"));
    assert_int_equal(f->diags->first->message, rule);
    assert_non_null(strstr(f->diags->first->text, "a test"));
}

static void good_graphs_pass(void **state) { assert_true(ir_graph_verify(((fixture *)*state)->g, "a test")); }

static void poison(void **state) {
    ((fixture *)*state)->map->map.results[0].body = 0;
    is_refused(*state, BASE_MSG_RULE_POISON);
}

static void an_id_of_no_expression(void **state) {
    ((fixture *)*state)->map->map.results[0].body = 4000000000u;
    is_refused(*state, BASE_MSG_RULE_POISON);
}

static void lets(void **state) {
    fixture *f = *state;
    f->map->map.results[0].body = ir_op1(f->u, IR_EXP, ir_let_expr(f->u, 3, IR_SORT_REAL));
    is_refused(f, BASE_MSG_RULE_LET);
}

static void a_free_variable(void **state) {
    fixture *f = *state;
    ir_var stray = ir_var_new(f->u, "stray", ir_int(f->u, 3));
    f->map->map.results[0].body = ir_op1(f->u, IR_FLOAT, ir_var_expr(f->u, stray));
    is_refused(f, BASE_MSG_RULE_SCOPE);
}

static void a_variable_of_two_nodes(void **state) {
    fixture *f = *state;
    f->g->body.at[2]->map.outer[0] = f->map->map.outer[0];
    f->g->body.at[2]->map.results[0].body = ir_real(f->u, 1);
    is_refused(f, BASE_MSG_RULE_OWNER);
}

static void a_binder_as_outer_variable(void **state) {
    fixture *f = *state;
    ir_expr red = f->g->body.at[2]->map.results[0].body;
    assert_true(ir_is(f->u, red, IR_RED));
    f->map->map.outer[1] = ir_red_bound(f->u, red, 0);
    f->map->map.results[0].body = ir_real(f->u, 1);
    is_refused(f, BASE_MSG_RULE_OWNER);
}

static void a_result_of_another_sort(void **state) {
    fixture *f = *state;
    f->map->map.results[0].body = ir_int(f->u, 1);
    is_refused(f, BASE_MSG_RULE_SORT);
}

static void a_read_of_another_rank(void **state) {
    fixture *f = *state;
    f->u->value.at[f->x].type.rank = 1;
    is_refused(f, BASE_MSG_RULE_SORT);
}

static void a_read_before_the_definition(void **state) {
    fixture *f = *state;
    ir_node *first = f->g->body.at[1];
    ir_value z = f->g->body.at[2]->map.results[0].store.result;
    first->map.results[0].body = ir_read(f->u, z, 1, (ir_expr[]){ir_var_expr(f->u, first->map.outer[0])});
    is_refused(f, BASE_MSG_RULE_ORDER);
}

static void a_value_defined_twice(void **state) {
    fixture *f = *state;
    f->g->body.at[2] = f->g->body.at[1];
    is_refused(f, BASE_MSG_RULE_OWNER);
}

static void a_rank_beyond_the_limit(void **state) {
    fixture *f = *state;
    f->u->value.at[f->x].type.rank = IR_RANK + 1;
    is_refused(f, BASE_MSG_RULE_TYPE);
}

static void a_map_without_results(void **state) {
    ((fixture *)*state)->map->map.n_results = 0;
    is_refused(*state, BASE_MSG_RULE_STORE);
}

static void outputs_that_differ_from_the_node(void **state) {
    ((fixture *)*state)->g->outputs[1].value = ((fixture *)*state)->x;
    is_refused(*state, BASE_MSG_RULE_OUTPUT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(good_graphs_pass), TEST(poison), TEST(an_id_of_no_expression), TEST(lets), TEST(a_free_variable),
        TEST(a_variable_of_two_nodes), TEST(a_binder_as_outer_variable), TEST(a_result_of_another_sort), TEST(a_read_of_another_rank),
        TEST(a_read_before_the_definition), TEST(a_value_defined_twice), TEST(a_rank_beyond_the_limit), TEST(a_map_without_results),
        TEST(outputs_that_differ_from_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

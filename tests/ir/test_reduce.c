/* Reductions, their binders, and walks: equal up to renaming is one expression, and nothing is ever captured. */
#include <string.h>
#include "expr_world.h"
#include <cmocka.h>

static ir_expr reduce(world *w, ir_red kind, ir_var v, ir_expr body) { return ir_reduce(w->u, kind, 1, &v, ir_bool(w->u, true), body); }
static ir_expr substitute(world *w, ir_expr e, ir_var from, ir_expr to) { return ir_substitute(w->u, e, 1, &(ir_binding){from, to}); }

/* f[a, b] with both indices over T. */
static ir_value square(world *w) { return ir_value_new(w->u, "f", &(ir_type){IR_TYPE_F32, 2, {w->T, w->T}}); }

static void equal_up_to_renaming_is_one(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_value f = square(w);
    ir_var vk = ir_var_new(w->u, "k", w->T);
    ir_expr k = ir_var_expr(w->u, vk);
    assert_int_equal(reduce(w, IR_RED_SUM, w->vj, read1(w, w->y, w->j)), reduce(w, IR_RED_SUM, w->vl, read1(w, w->y, w->l)));
    ir_expr a = reduce(w, IR_RED_SUM, w->vl, reduce(w, IR_RED_MAX, w->vj, read2(w, f, w->j, w->l)));
    ir_expr b = reduce(w, IR_RED_SUM, w->vj, reduce(w, IR_RED_MAX, vk, read2(w, f, k, w->j)));
    ir_expr c = reduce(w, IR_RED_SUM, w->vj, reduce(w, IR_RED_MAX, vk, read2(w, f, w->j, k)));
    assert_int_equal(a, b);
    assert_int_not_equal(a, c);
    assert_int_equal(ir_free(w->u, a), 0);
    assert_int_equal(ir_reduce(w->u, IR_RED_SUM, 2, (ir_var[]){w->vj, w->vl}, ir_bool(w->u, true), read2(w, f, w->j, w->l)),
                     ir_reduce(w->u, IR_RED_SUM, 2, (ir_var[]){w->vl, vk}, ir_bool(w->u, true), read2(w, f, w->l, k)));
    world_destroy(w);
}

static void inner_and_outer_never_share_a_name(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_value f = square(w);
    ir_expr e = reduce(w, IR_RED_SUM, w->vl, reduce(w, IR_RED_MAX, w->vj, read2(w, f, w->j, w->l)));
    ir_var outer = ir_red_bound(w->u, e, 0), inner = ir_red_bound(w->u, ir_red_body(w->u, e), 0);
    assert_int_not_equal(outer, inner);
    assert_int_equal(ir_red_body(w->u, ir_red_body(w->u, e)), read2(w, f, ir_var_expr(w->u, inner), ir_var_expr(w->u, outer)));
    assert_true(outer != w->vl && inner != w->vj);
    world_destroy(w);
}

/* y[j] -> sum(l: f[l, j]) below a max over j: the new text brings a reduction of the same extent under the binder. */
typedef struct { world *w; ir_value f; } into_sum;

static ir_expr read_to_sum(ir_unit *u, void *env, ir_expr e) {
    into_sum *s = env;
    if (!ir_is(u, e, IR_READ) || ir_at(u, e)->u.ref != s->w->y) return 0;
    return reduce(s->w, IR_RED_SUM, s->w->vl, read2(s->w, s->f, s->w->l, ir_operand(u, e, 0)));
}

static void rewriting_below_binders_is_canonical(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_value f = square(w);
    ir_expr before = reduce(w, IR_RED_MAX, w->vj, read1(w, w->y, w->j));
    ir_expr after = ir_rebuild(w->u, before, read_to_sum, &(into_sum){w, f});
    ir_expr direct = reduce(w, IR_RED_MAX, w->vj, reduce(w, IR_RED_SUM, w->vl, read2(w, f, w->l, w->j)));
    assert_int_equal(after, direct);
    ir_expr deep = reduce(w, IR_RED_MIN, w->vl, ir_mul(w->u, read1(w, w->y, w->l), before));
    ir_var vk = ir_var_new(w->u, "k", w->T);
    ir_expr k = ir_var_expr(w->u, vk), column = reduce(w, IR_RED_SUM, w->vj, read2(w, f, w->j, k));
    assert_int_equal(ir_rebuild(w->u, deep, read_to_sum, &(into_sum){w, f}), reduce(w, IR_RED_MIN, vk, ir_mul(w->u, column, direct)));
    world_destroy(w);
}

static void substitution_never_captures(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_value f = square(w);
    ir_expr e = reduce(w, IR_RED_SUM, w->vj, read2(w, f, w->j, w->l));
    ir_expr binder = ir_var_expr(w->u, ir_red_bound(w->u, e, 0));        /* as when a reduction has been opened */
    ir_var vk = ir_var_new(w->u, "k", w->T);
    ir_expr k = ir_var_expr(w->u, vk), moved = substitute(w, e, w->vl, binder);
    assert_true(ir_depends(w->u, moved, ir_at(w->u, binder)->u.ref));
    assert_int_equal(substitute(w, moved, ir_at(w->u, binder)->u.ref, k), substitute(w, e, w->vl, k));
    assert_int_equal(substitute(w, e, ir_at(w->u, binder)->u.ref, k), e);        /* bound: not meant */
    ir_expr both = ir_mul(w->u, read1(w, w->y, binder), e);
    assert_int_equal(substitute(w, both, ir_at(w->u, binder)->u.ref, k), ir_mul(w->u, read1(w, w->y, k), e));
    ir_binding swap[] = {{w->vj, w->l}, {w->vl, w->j}};
    assert_int_equal(ir_substitute(w->u, read2(w, f, w->j, w->l), 2, swap), read2(w, f, w->l, w->j));
    world_destroy(w);
}

static void extents_are_substituted(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_var vk = ir_var_new(w->u, "k", add(w, w->i, lit(w, 1)));
    ir_expr e = reduce(w, IR_RED_SUM, vk, read1(w, w->y, ir_var_expr(w->u, vk)));
    assert_true(ir_depends(w->u, e, w->vi));
    ir_expr moved = substitute(w, e, w->vi, add(w, w->j, lit(w, 2)));
    ir_var vn = ir_var_new(w->u, "n", add(w, w->j, lit(w, 3)));
    assert_int_equal(moved, reduce(w, IR_RED_SUM, vn, read1(w, w->y, ir_var_expr(w->u, vn))));
    assert_true(!ir_depends(w->u, moved, w->vi) && ir_depends(w->u, moved, w->vj));
    ir_var vp = ir_var_new(w->u, "p", w->S), vr = ir_var_new(w->u, "r", add(w, ir_var_expr(w->u, vp), lit(w, 1)));
    ir_expr inner = read1(w, w->y, ir_var_expr(w->u, vr));                      /* the second extent mentions the first variable */
    ir_expr two = ir_reduce(w->u, IR_RED_SUM, 2, (ir_var[]){vp, vr}, ir_bool(w->u, true), inner);
    assert_int_equal(ir_free(w->u, two), 0);
    ir_var vq = ir_var_new(w->u, "q", w->S), vs = ir_var_new(w->u, "s", add(w, ir_var_expr(w->u, vq), lit(w, 1)));
    assert_int_equal(ir_reduce(w->u, IR_RED_SUM, 2, (ir_var[]){vq, vs}, ir_bool(w->u, true), read1(w, w->y, ir_var_expr(w->u, vs))), two);
    world_destroy(w);
}

static void reductions_fold(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    ir_expr t = ir_bool(u, true), f = ir_bool(u, false), x = read1(w, w->y, w->j), c = lt(w, w->j, w->i);
    assert_int_equal(ir_reduce(u, IR_RED_SUM, 1, &w->vj, f, x), ir_real(u, 0));
    assert_int_equal(ir_reduce(u, IR_RED_MAX, 1, &w->vj, f, x), ir_real(u, -INFINITY));
    assert_int_equal(ir_reduce(u, IR_RED_MAX, 1, &w->vj, f, w->j), lit(w, INT64_MIN));
    assert_int_equal(ir_reduce(u, IR_RED_MIN, 1, &w->vj, f, w->j), lit(w, INT64_MAX));
    assert_int_equal(ir_reduce(u, IR_RED_ALL, 1, &w->vj, f, c), t);
    assert_int_equal(ir_reduce(u, IR_RED_ANY, 1, &w->vj, t, f), f);
    assert_int_equal(ir_reduce(u, IR_RED_SUM, 0, NULL, c, x), ir_select(u, c, x, ir_real(u, 0)));
    ir_var none = ir_var_new(u, "n", lit(w, 0));
    assert_int_equal(reduce(w, IR_RED_PROD, none, x), ir_real(u, 1));
    assert_int_equal(ir_at(u, ir_reduce(u, IR_RED_ANY, 1, &w->vj, t, c))->sort, IR_SORT_BOOL);
    assert_int_equal(ir_at(u, reduce(w, IR_RED_SUM, w->vj, w->j))->sort, IR_SORT_INT);
    world_destroy(w);
}

static ir_expr doubled_reads(ir_unit *u, void *env, ir_expr e) {
    (*(uint32_t *)env)++;
    return ir_is(u, e, IR_READ) ? ir_mul(u, e, ir_real(u, 2)) : 0;
}

/* Kernels fix their axes: a reduction over such variables keeps them. */
static void given_binders_stay(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    uint32_t calls = 0;
    ir_expr e = ir_reduce_as(u, IR_RED_SUM, 1, &w->vj, ir_bool(u, true), read2(w, w->x, w->i, w->j));
    assert_int_equal(ir_red_bound(u, e, 0), w->vj);
    ir_expr up = ir_rebuild_up(u, e, doubled_reads, &calls);
    assert_int_equal(ir_red_bound(u, up, 0), w->vj);
    assert_int_equal(ir_red_body(u, up), ir_mul(u, read2(w, w->x, w->i, w->j), ir_real(u, 2)));
    ir_expr moved = substitute(w, e, w->vi, mod(w, w->j, w->S));         /* j comes in from outside */
    assert_int_not_equal(ir_red_bound(u, moved, 0), w->vj);
    assert_true(ir_depends(u, moved, w->vj));
    assert_int_equal(ir_red_bound(u, substitute(w, e, w->vi, mod(w, w->l, w->S)), 0), w->vj);
    world_destroy(w);
}

static bool count(const ir_unit *u, void *env, ir_expr e) {
    (void)u;
    (void)e;
    (*(uint32_t *)env)++;
    return true;
}

/* 2^60 paths, 60 expressions. */
static void sharing_costs_nothing(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_expr e = read1(w, w->y, w->j);
    for (int k = 0; k < 60; k++) e = ir_add(w->u, e, ir_mul(w->u, e, e));
    uint32_t n = 0, calls = 0;
    ir_walk(w->u, e, count, &n);
    assert_int_equal(n, 2 + 120);
    ir_rebuild_up(w->u, e, doubled_reads, &calls);
    assert_int_equal(calls, 2 + 120);
    assert_int_not_equal(substitute(w, e, w->vj, w->l), e);
    world_destroy(w);
}

static void nested_reductions_stay_quick(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_value f = square(w);
    ir_expr e = ir_real(w->u, 1);
    for (int k = 0; k < 12; k++) {
        ir_expr a = read2(w, f, w->j, w->l), b = read2(w, f, w->l, w->j);
        e = reduce(w, IR_RED_SUM, w->vj, ir_mul(w->u, a, reduce(w, IR_RED_MAX, w->vl, ir_add(w->u, b, e))));
    }
    ir_expr moved = ir_rebuild(w->u, substitute(w, e, w->vl, w->j), read_to_sum, &(into_sum){w, f});
    assert_int_equal(substitute(w, moved, w->vj, w->l), e);
    world_destroy(w);
}

/* Thousands of levels, all renamed when one more comes in at the bottom: no stack, no powers. */
static void deep_reductions(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_value f = square(w);
    ir_expr e = read1(w, w->y, w->j);
    for (int k = 0; k < 600; k++) e = reduce(w, IR_RED_SUM, k % 2 ? w->vl : w->vj, ir_mul(w->u, read2(w, f, w->j, w->l), e));
    ir_expr deeper = ir_rebuild(w->u, e, read_to_sum, &(into_sum){w, f});
    assert_int_equal(ir_set_size(w->u, w->u->expr.at[deeper].free), 1);
    ir_expr moved = substitute(w, deeper, w->vj, w->l);
    assert_int_equal(ir_set_size(w->u, ir_free(w->u, moved)), 1);
    for (int k = 0; k < 300; k++) e = ir_reduce_as(w->u, IR_RED_SUM, 1, k % 2 ? &w->vl : &w->vj, ir_bool(w->u, true), ir_add(w->u, read2(w, f, w->j, w->l), e));
    assert_true(ir_reads(w->u, e, w->y));
    world_destroy(w);
}

static void sets(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    ir_set a = ir_set_of(u, 3, (ir_var[]){5, 2, 5}), b = ir_set_of(u, 2, (ir_var[]){2, 7});
    assert_int_equal(ir_set_size(u, a), 2);
    assert_int_equal(ir_set_at(u, a, 0), 2);
    assert_int_equal(ir_set_union(u, a, b), ir_set_of(u, 3, (ir_var[]){7, 5, 2}));
    assert_int_equal(ir_set_minus(u, a, b), ir_set_of(u, 1, (ir_var[]){5}));
    assert_int_equal(ir_set_meet(u, a, b), ir_set_of(u, 1, (ir_var[]){2}));
    assert_int_equal(ir_set_minus(u, a, a), 0);
    assert_true(ir_set_meets(u, a, b) && !ir_set_meets(u, a, 0) && ir_set_has(u, a, 5) && !ir_set_has(u, a, 3));
    for (ir_var k = 1; k < 3000; k++) {                             /* past every growth of the tables */
        ir_var vars[] = {k, k + 1, k + 5};
        ir_set s = ir_set_of(u, 3, vars);
        assert_int_equal(ir_set_union(u, ir_set_of(u, 1, vars), ir_set_of(u, 2, vars + 1)), s);
    }
    world_destroy(w);
}

static void see_forms(void *env, const ir_node *node, uint32_t depth) { strcat(env, (const char[]){(char)('0' + depth), ir_form_names[node->form][0], 0}); }

static void graphs(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    base_span span = {0, 0, 0};
    ir_value inside = ir_value_new(u, "c", &u->value.at[w->y].type), next = ir_value_new(u, "n", &u->value.at[w->y].type);
    ir_value result = ir_value_new(u, "r", &u->value.at[w->y].type);
    ir_builder *body = ir_builder_create(u), *all = ir_builder_create(u);
    ir_builder_add(body, ir_node_map(u, span, 1, &w->vj, next, read1(w, inside, w->j)));
    ir_builder_add(body, ir_node_use(u, IR_FORM_YIELD, span, 1, &next));
    ir_builder_add(all, ir_node_source(u, IR_FORM_INPUT, span, w->y));
    ir_node blank = {.form = IR_FORM_LOOP}, *loop = ir_node_copy(u, &blank);
    loop->loop.carries = base_copy(w->arena, &(ir_carry){inside, w->y, next, result}, sizeof(ir_carry));
    loop->loop.n_carries = 1;
    loop->loop.body = ir_builder_block(body);
    ir_builder_add(all, loop);
    ir_builder_add(all, ir_node_use(u, IR_FORM_OUTPUT, span, 1, &result));
    ir_graph g = {.unit = u, .name = "g"}, *with = ir_graph_with(&g, ir_builder_block(all));
    char seen[32] = "";
    ir_graph_each(with, see_forms, seen);
    assert_string_equal(seen, "0i0l1m1y0o");
    assert_ptr_equal(ir_graph_producer(with, w->y), with->body.at[0]);
    assert_ptr_equal(ir_graph_producer(with, next), loop->loop.body.at[0]);
    assert_ptr_equal(ir_graph_producer(with, result), loop);
    assert_ptr_equal(ir_graph_producer(with, inside), loop);
    assert_null(ir_graph_producer(with, w->m));
    world_destroy(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_up_to_renaming_is_one), cmocka_unit_test(inner_and_outer_never_share_a_name),
        cmocka_unit_test(rewriting_below_binders_is_canonical), cmocka_unit_test(substitution_never_captures),
        cmocka_unit_test(extents_are_substituted), cmocka_unit_test(reductions_fold), cmocka_unit_test(given_binders_stay),
        cmocka_unit_test(sharing_costs_nothing), cmocka_unit_test(nested_reductions_stay_quick), cmocka_unit_test(deep_reductions), cmocka_unit_test(sets), cmocka_unit_test(graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

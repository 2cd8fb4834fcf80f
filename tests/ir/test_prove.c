/* Proofs about integers: what must be found, what must never be, and everything that is found checked over small extents. */
#include <stdlib.h>
#include "expr_world.h"
#include <cmocka.h>

static bool in_range(world *w, ir_expr e, ir_expr n) { return ir_in_range(w->u, e, n); }

static void positions_stay_inside(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    ir_expr row = add(w, mul(w, w->b, w->S), w->i);
    assert_true(in_range(w, w->i, w->S));
    assert_false(in_range(w, w->i, w->T));
    assert_true(in_range(w, row, mul(w, w->B, w->S)));
    assert_true(in_range(w, add(w, mul(w, row, w->D), w->d), mul(w, w->B, mul(w, w->S, w->D))));
    assert_false(in_range(w, add(w, row, lit(w, 1)), mul(w, w->B, w->S)));
    assert_false(in_range(w, add(w, w->i, sub(w, w->T, w->S)), w->T));
    assert_true(in_range(w, mod(w, w->j, lit(w, 16)), lit(w, 16)));
    assert_true(in_range(w, mod(w, w->j, w->S), w->S));
    assert_false(in_range(w, mod(w, w->j, sub(w, w->S, w->T)), w->S));
    assert_true(in_range(w, fdiv(w, w->j, lit(w, 4)), add(w, fdiv(w, w->T, lit(w, 4)), lit(w, 1))));
    assert_true(in_range(w, fdiv(w, w->j, lit(w, 4)), fdiv(w, add(w, w->T, lit(w, 3)), lit(w, 4))));
    assert_true(in_range(w, ir_op2(u, IR_MIN, w->j, sub(w, w->S, lit(w, 1))), w->S) == false);    /* S may be 0 */
    assert_true(in_range(w, ir_op2(u, IR_MAX, sub(w, w->i, lit(w, 3)), lit(w, 0)), w->S));
    assert_true(in_range(w, ir_select(u, lt(w, w->i, w->j), w->i, lit(w, 0)), add(w, w->S, lit(w, 1))));
    assert_true(in_range(w, ir_op1(u, IR_ABS, sub(w, w->i, w->S)), add(w, w->S, lit(w, 1))));
    assert_true(in_range(w, sub(w, sub(w, w->S, lit(w, 1)), w->i), w->S));
    assert_true(in_range(w, sub(w, add(w, w->i, w->T), w->j), add(w, w->S, w->T)));
    world_destroy(w);
}

static void literal_extents(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_expr h = ir_var_expr(w->u, ir_var_new(w->u, "h", lit(w, 12))), d = ir_var_expr(w->u, ir_var_new(w->u, "d", lit(w, 32)));
    ir_expr at = add(w, mul(w, h, lit(w, 32)), d);
    assert_true(in_range(w, at, lit(w, 384)));
    assert_false(in_range(w, at, lit(w, 383)));
    assert_int_equal(fdiv(w, at, lit(w, 32)), h);
    assert_int_equal(mod(w, at, lit(w, 32)), d);
    assert_true(in_range(w, add(w, mul(w, w->i, lit(w, 384)), at), mul(w, w->S, lit(w, 384))));
    world_destroy(w);
}

static void groups_of_heads(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    assert_false(in_range(w, fdiv(w, w->h, fdiv(w, w->H, w->G)), w->G));
    world_fact(w, eq(w, mod(w, w->H, w->G), lit(w, 0)));
    ir_expr group = fdiv(w, w->H, w->G), r = ir_var_expr(w->u, ir_var_new(w->u, "r", group));
    assert_true(in_range(w, fdiv(w, w->h, group), w->G));
    assert_true(in_range(w, add(w, mul(w, w->g, group), r), w->H));
    assert_true(in_range(w, mod(w, w->h, group), group));
    ir_expr nonzero = ne(w, group, lit(w, 0));
    assert_false(ir_provably(w->u, nonzero));                     /* no heads at all */
    assert_true(ir_provably_where(w->u, ir_set_of(w->u, 1, &w->vh), nonzero));
    assert_false(ir_provably_where(w->u, ir_set_of(w->u, 1, &w->vg), nonzero));
    assert_true(ir_at_least(w->u, w->G, 1));                        /* H % G has a value */
    world_destroy(w);
}

static void facts_prove(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_expr least = le(w, lit(w, 1), w->S), at = add(w, w->i, sub(w, w->T, w->S));
    assert_false(ir_provably(w->u, least));
    world_fact(w, least);
    assert_int_equal(w->u->dim.at[w->dim[1]].least, 1);
    assert_true(ir_provably(w->u, least));
    assert_true(ir_at_least(w->u, mul(w, w->B, sub(w, w->S, lit(w, 1))), 0));
    assert_true(in_range(w, ir_op2(w->u, IR_MIN, w->j, sub(w, w->S, lit(w, 1))), w->S));
    world_fact(w, le(w, w->S, w->T));
    assert_true(in_range(w, at, w->T));
    assert_true(ir_at_least(w->u, sub(w, mul(w, w->B, w->T), mul(w, w->B, w->S)), 0));
    assert_true(ir_at_least(w->u, w->T, 1));
    world_fact(w, eq(w, w->R, add(w, w->L, lit(w, 1))));
    assert_true(in_range(w, w->L, w->R));
    assert_true(ir_provably(w->u, lt(w, w->L, w->R)));
    assert_true(ir_provably(w->u, ir_and(w->u, lt(w, w->L, w->R), least)));
    assert_false(ir_provably(w->u, lt(w, w->L, w->T)));
    world_fact(w, ir_and(w->u, le(w, lit(w, 4), w->D), le(w, lit(w, 1), mul(w, w->E, w->W))));
    assert_true(ir_at_least(w->u, w->D, 4) && ir_at_least(w->u, w->E, 1) && ir_at_least(w->u, w->W, 1));
    assert_true(ir_at_least(w->u, mul(w, w->D, w->E), 4));
    world_destroy(w);
}

static void ragged_extents(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_var vk = ir_var_new(w->u, "k", add(w, w->i, lit(w, 1)));        /* causal: k <= i */
    ir_expr k = ir_var_expr(w->u, vk);
    assert_true(in_range(w, k, w->S));
    assert_true(in_range(w, sub(w, w->i, k), w->S));
    assert_true(ir_provably(w->u, le(w, k, w->i)));
    assert_false(ir_provably(w->u, lt(w, k, w->i)));
    world_destroy(w);
}

/* Ranges as programs write them: windows, strides, blocks. */
static void windows_strides_blocks(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    ir_expr first = ir_op2(u, IR_MAX, lit(w, 0), sub(w, w->j, w->W)), end = ir_op2(u, IR_MIN, w->T, add(w, w->j, add(w, w->W, lit(w, 1))));
    ir_expr k = ir_var_expr(u, ir_var_new(u, "k", sub(w, end, first)));
    assert_true(in_range(w, add(w, k, first), w->T));
    ir_expr n = ir_var_expr(u, ir_var_new(u, "n", add(w, fdiv(w, sub(w, w->S, w->L), lit(w, 2)), lit(w, 1))));
    ir_expr m = ir_var_expr(u, ir_var_new(u, "m", w->L));
    assert_true(in_range(w, add(w, mul(w, n, lit(w, 2)), m), w->S));
    ir_expr o = ir_var_expr(u, ir_var_new(u, "o", w->W)), block = add(w, mul(w, fdiv(w, w->i, w->W), w->W), o);
    assert_false(in_range(w, block, w->S));
    world_fact(w, eq(w, mod(w, w->S, w->W), lit(w, 0)));
    assert_true(in_range(w, block, w->S));
    ir_expr q = ir_var_expr(u, ir_var_new(u, "q", lit(w, 16))), sixteen = add(w, mul(w, fdiv(w, w->j, lit(w, 16)), lit(w, 16)), q);
    assert_false(in_range(w, sixteen, w->T));
    world_fact(w, eq(w, mod(w, w->T, lit(w, 16)), lit(w, 0)));
    assert_true(in_range(w, sixteen, w->T));
    assert_true(in_range(w, add(w, mul(w, w->g, fdiv(w, w->S, w->W)), lit(w, 0)), add(w, mul(w, w->G, fdiv(w, w->S, w->W)), lit(w, 1))));
    world_destroy(w);
}

static void affine(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_expr coef, rest;
    assert_true(ir_affine(w->u, add(w, mul(w, add(w, mul(w, w->b, w->S), w->i), w->D), w->d), w->vi, &coef, &rest));
    assert_int_equal(coef, w->D);
    assert_int_equal(rest, add(w, mul(w, mul(w, w->b, w->S), w->D), w->d));
    assert_true(ir_affine(w->u, w->j, w->vi, &coef, &rest) && coef == lit(w, 0) && rest == w->j);
    assert_false(ir_affine(w->u, mul(w, w->i, w->i), w->vi, &coef, &rest));
    assert_false(ir_affine(w->u, read1(w, w->m, w->i), w->vi, &coef, &rest));
    assert_false(ir_affine(w->u, fdiv(w, w->i, w->T), w->vi, &coef, &rest));
    world_destroy(w);
}

static void bounds_of_reals(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    bool nan;
    ir_expr x = read1(w, w->y, w->j), t = ir_op1(u, IR_TANH, x), f = ir_op1(u, IR_FLOAT, sub(w, w->i, w->j));
    ir_interval r = ir_interval_of_real(u, t, &nan);
    assert_true(r.lo == -1 && r.hi == 1 && nan);
    assert_true(ir_maybe_minus_inf(u, x));
    assert_false(ir_maybe_minus_inf(u, t));
    assert_false(ir_maybe_minus_inf(u, ir_mul(u, t, ir_real(u, 50))));
    assert_false(ir_maybe_minus_inf(u, f));
    assert_false(ir_maybe_minus_inf(u, ir_add(u, ir_mul(u, f, ir_real(u, -0.5)), t)));
    assert_true(ir_maybe_minus_inf(u, ir_add(u, x, t)));
    assert_true(ir_maybe_minus_inf(u, ir_select(u, lt(w, w->j, w->i), t, ir_real(u, -INFINITY))));
    assert_false(ir_maybe_minus_inf(u, ir_select(u, lt(w, w->j, w->i), t, ir_real(u, -1e30))));
    assert_true(ir_maybe_minus_inf(u, ir_op1(u, IR_LOG, t)));
    assert_true(ir_maybe_minus_inf(u, ir_reduce(u, IR_RED_MAX, 1, &w->vj, ir_bool(u, true), t)));       /* T may be 0 */
    assert_false(ir_maybe_minus_inf(u, ir_op1(u, IR_EXP, x)));
    ir_interval_of_real(u, ir_op1(u, IR_FLOAT, w->i), &nan);
    assert_false(nan);
    assert_int_equal(ir_interval_of(u, ir_op1(u, IR_FLOOR, t)).hi, 1);
    assert_int_equal(ir_interval_of(u, read1(w, w->m, w->i)).lo, INT64_MIN);
    world_destroy(w);
}

/* ---- everything that is claimed, over all small extents and all points */

enum { N_DIMS = 3, LARGEST = 4 };
static const ir_op random_ops[] = {IR_ADD, IR_SUB, IR_MUL, IR_FDIV, IR_MOD, IR_MIN, IR_MAX, IR_ADD, IR_SUB};

static ir_expr random_int(world *w, uint32_t size) {
    if (size <= 1) {
        ir_expr leaves[] = {w->B, w->S, w->T, w->b, w->i, w->j, w->b, w->i, w->j, lit(w, rand() % 5 - 1)};
        return leaves[rand() % 10];
    }
    uint32_t left = 1 + (uint32_t)rand() % (size - 1);
    return ir_op2(w->u, random_ops[rand() % 9], random_int(w, left), random_int(w, size - left));
}

/* Has the expression a value, every divisor being nonzero? */
static bool is_defined(const ir_unit *u, ir_expr e, const point *p) {
    for (uint32_t k = 0; k < ir_n_operands(u, e); k++)
        if (!is_defined(u, ir_operand(u, e, k), p)) return false;
    return !(ir_is(u, e, IR_FDIV) || ir_is(u, e, IR_MOD)) || value_at(u, ir_operand(u, e, 1), p) != 0;
}

typedef struct { ir_expr e, n, truth, folded_from, folded; bool in_range, provable; } claim;

static void check_at(const world *w, const claim *c, const point *p) {
    const ir_unit *u = w->u;
    if (!is_defined(u, c->e, p) || !is_defined(u, c->n, p)) return;
    for (uint32_t k = 0; k < u->fact.n; k++)
        if (!is_defined(u, u->fact.at[k], p) || !value_at(u, u->fact.at[k], p)) return;
    int64_t e = value_at(u, c->e, p), n = value_at(u, c->n, p);
    if (c->in_range) assert_true(0 <= e && e < n);
    if (c->provable) assert_true(e <= n);
    if (ir_is(u, c->truth, IR_BOOL)) assert_int_equal(ir_is_bool(u, c->truth, true), e < n);
    else if (is_defined(u, c->truth, p)) assert_int_equal(value_at(u, c->truth, p), e < n);
}

static void check_everywhere(const world *w, const claim *c) {
    point p = {{0}, {0}};
    for (int64_t k = 0; k < (LARGEST + 1) * (LARGEST + 1) * (LARGEST + 1); k++) {
        int64_t *extent = &p.dim[w->dim[0]];
        extent[0] = k % (LARGEST + 1);
        extent[1] = k / (LARGEST + 1) % (LARGEST + 1);
        extent[2] = k / (LARGEST + 1) / (LARGEST + 1);
        for (p.var[w->vb] = 0; p.var[w->vb] < extent[0]; p.var[w->vb]++)
            for (p.var[w->vi] = 0; p.var[w->vi] < extent[1]; p.var[w->vi]++)
                for (p.var[w->vj] = 0; p.var[w->vj] < extent[2]; p.var[w->vj]++) check_at(w, c, &p);
    }
}

static void all_hold(world *w, uint32_t rounds, uint32_t least_proved) {
    uint32_t proved = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        claim c = {.e = random_int(w, 1 + (uint32_t)rand() % 6)};
        c.n = random_int(w, 1 + (uint32_t)rand() % 5);
        c.in_range = ir_in_range(w->u, c.e, c.n);
        c.truth = lt(w, c.e, c.n);
        c.provable = ir_provably(w->u, le(w, c.e, c.n));
        if (!c.in_range && !c.provable && !ir_is(w->u, c.truth, IR_BOOL) && round % 8) continue;
        proved += c.in_range;
        check_everywhere(w, &c);
    }
    assert_true(proved > least_proved);
}

static void what_is_proved_holds(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    srand(11);
    all_hold(w, 2000, 30);
    world_fact(w, le(w, lit(w, 1), w->S));
    all_hold(w, 2000, 30);
    world_fact(w, eq(w, mod(w, w->T, w->S), lit(w, 0)));
    all_hold(w, 2000, 30);
    world_fact(w, eq(w, mod(w, w->B, lit(w, 2)), lit(w, 0)));
    world_fact(w, le(w, w->S, w->T));
    all_hold(w, 2000, 30);
    world_destroy(w);
    world v2 = world_create();
    world_fact(&v2, eq(&v2, v2.T, add(&v2, v2.S, v2.B)));
    all_hold(&v2, 2000, 30);
    world_destroy(&v2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(positions_stay_inside), cmocka_unit_test(literal_extents), cmocka_unit_test(groups_of_heads),
        cmocka_unit_test(facts_prove), cmocka_unit_test(ragged_extents), cmocka_unit_test(affine), cmocka_unit_test(windows_strides_blocks),
        cmocka_unit_test(bounds_of_reals), cmocka_unit_test(what_is_proved_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Expressions: what is folded, and that equal spellings are one expression. */
#include <stdlib.h>
#include "expr_world.h"
#include <cmocka.h>

#define SAME(a, b) assert_int_equal((a), (b))

static void polynomials_are_canonical(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    SAME(add(w, mul(w, w->b, w->S), w->i), add(w, w->i, mul(w, w->S, w->b)));
    SAME(sub(w, add(w, w->i, w->j), w->i), w->j);
    SAME(mul(w, add(w, w->S, lit(w, 1)), sub(w, w->S, lit(w, 1))), sub(w, mul(w, w->S, w->S), lit(w, 1)));
    SAME(ir_op1(w->u, IR_NEG, sub(w, w->i, w->j)), sub(w, w->j, w->i));
    SAME(sub(w, w->i, w->i), lit(w, 0));
    SAME(mul(w, add(w, w->i, w->j), lit(w, 0)), lit(w, 0));
    assert_int_not_equal(add(w, w->i, w->j), add(w, w->i, w->l));
    world_destroy(w);
}

static void division_floors_and_folds(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    SAME(fdiv(w, lit(w, -7), lit(w, 2)), lit(w, -4));
    SAME(mod(w, lit(w, -7), lit(w, 2)), lit(w, 1));
    SAME(fdiv(w, add(w, mul(w, w->h, lit(w, 32)), lit(w, 5)), lit(w, 32)), w->h);
    SAME(mod(w, add(w, mul(w, w->h, lit(w, 32)), lit(w, 5)), lit(w, 32)), lit(w, 5));
    SAME(fdiv(w, add(w, mul(w, w->h, w->D), w->d), w->D), w->h);
    SAME(mod(w, add(w, mul(w, w->h, w->D), w->d), w->D), w->d);
    SAME(fdiv(w, mul(w, w->S, add(w, w->T, lit(w, 1))), add(w, w->T, lit(w, 1))), w->S);
    SAME(fdiv(w, add(w, mul(w, w->i, add(w, w->T, lit(w, 1))), w->j), add(w, w->T, lit(w, 1))), w->i);
    SAME(fdiv(w, fdiv(w, w->S, lit(w, 4)), lit(w, 8)), fdiv(w, w->S, lit(w, 32)));
    SAME(sub(w, fdiv(w, add(w, w->S, lit(w, 15)), lit(w, 16)), lit(w, 1)), fdiv(w, sub(w, w->S, lit(w, 1)), lit(w, 16)));
    SAME(mod(w, sub(w, w->S, lit(w, 1)), lit(w, 16)), mod(w, add(w, w->S, lit(w, 31)), lit(w, 16)));
    SAME(mod(w, mod(w, w->j, lit(w, 12)), lit(w, 4)), mod(w, w->j, lit(w, 4)));
    assert_true(ir_is(w->u, fdiv(w, w->S, lit(w, 0)), IR_FDIV));
    assert_true(ir_is(w->u, mod(w, lit(w, 3), lit(w, 0)), IR_MOD));
    assert_true(ir_is(w->u, fdiv(w, w->j, w->S), IR_FDIV));
    SAME(fdiv(w, lit(w, INT64_MIN), lit(w, 1)), lit(w, INT64_MIN));
    assert_false(ir_is_int(w->u, fdiv(w, lit(w, INT64_MIN), lit(w, -1)), NULL));
    world_destroy(w);
}

static void facts_enter_construction(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    world_fact(w, eq(w, mod(w, w->H, w->G), lit(w, 0)));
    world_fact(w, eq(w, mod(w, w->D, lit(w, 8)), lit(w, 0)));
    ir_expr group = fdiv(w, w->H, w->G);
    ir_var vr = ir_var_new(w->u, "r", group);
    ir_expr r = ir_var_expr(w->u, vr);
    SAME(fdiv(w, w->H, group), w->G);
    SAME(mul(w, group, w->G), w->H);
    SAME(mul(w, mul(w, w->S, group), mul(w, w->D, w->G)), mul(w, w->S, mul(w, w->D, w->H)));
    SAME(mod(w, w->H, w->G), lit(w, 0));
    SAME(fdiv(w, add(w, mul(w, w->g, group), r), group), w->g);
    SAME(mod(w, add(w, mul(w, w->g, group), r), group), r);
    SAME(mul(w, fdiv(w, w->D, lit(w, 8)), lit(w, 8)), w->D);
    SAME(mul(w, fdiv(w, w->D, lit(w, 4)), lit(w, 8)), mul(w, w->D, lit(w, 2)));
    SAME(mod(w, w->D, lit(w, 4)), lit(w, 0));
    assert_int_not_equal(mod(w, w->D, lit(w, 16)), lit(w, 0));
    SAME(add(w, fdiv(w, w->D, lit(w, 2)), fdiv(w, w->D, lit(w, 2))), w->D);
    assert_true(ir_divides(w->u, w->G, mul(w, w->H, w->S)));
    assert_true(ir_divides(w->u, lit(w, 8), mul(w, w->D, w->S)));
    assert_false(ir_divides(w->u, w->G, w->S));
    world_destroy(w);
}

static void literals_never_wrap(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_expr big = lit(w, INT64_MAX), sum = add(w, big, lit(w, 1)), product = mul(w, mul(w, big, w->S), lit(w, 2));
    assert_true(ir_is(w->u, sum, IR_ADD));
    assert_true(ir_is(w->u, product, IR_MUL));
    assert_true(ir_is(w->u, add(w, mul(w, big, w->S), w->S), IR_ADD));
    assert_true(ir_is(w->u, sub(w, lit(w, INT64_MIN), lit(w, 1)), IR_SUB));
    SAME(ir_interval_of(w->u, sum).hi, INT64_MAX);
    SAME(mul(w, lit(w, 3), big), mul(w, big, lit(w, 3)));
    ir_expr more = add(w, add(w, sum, w->i), w->j);              /* what did not fit goes on as an atom */
    SAME(sub(w, more, more), lit(w, 0));
    world_destroy(w);
}

static void comparisons_of_integers(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_expr t = ir_bool(w->u, true), f = ir_bool(w->u, false);
    SAME(lt(w, w->i, w->S), t);
    SAME(le(w, lit(w, 0), w->i), t);
    SAME(lt(w, w->i, lit(w, 0)), f);
    SAME(eq(w, w->i, w->S), f);
    SAME(ne(w, w->i, add(w, w->i, lit(w, 1))), t);
    SAME(le(w, w->j, w->i), ir_not(w->u, lt(w, w->i, w->j)));
    SAME(lt(w, w->i, w->j), le(w, add(w, w->i, lit(w, 1)), w->j));
    SAME(lt(w, sub(w, w->i, w->j), w->W), lt(w, w->i, add(w, w->W, w->j)));
    SAME(eq(w, w->i, w->j), eq(w, w->j, w->i));
    SAME(eq(w, sub(w, w->i, w->j), lit(w, 0)), eq(w, w->j, w->i));
    SAME(ir_not(w->u, eq(w, w->i, w->j)), ne(w, w->i, w->j));
    assert_true(ir_is(w->u, lt(w, w->j, w->i), IR_LT));
    SAME(lt(w, mul(w, lit(w, 2), w->i), mul(w, lit(w, 2), w->j)), lt(w, w->i, w->j));
    SAME(le(w, mul(w, lit(w, 4), w->i), add(w, mul(w, lit(w, 4), w->j), lit(w, 3))), le(w, w->i, w->j));
    SAME(eq(w, mul(w, lit(w, 2), w->i), add(w, mul(w, lit(w, 2), w->j), lit(w, 1))), f);
    ir_expr a = read1(w, w->m, w->i), b = read1(w, w->m, lit(w, 3));
    ir_expr c = lt(w, sub(w, a, b), lit(w, 4));                  /* a < 4 + b could overflow where a - b does not */
    assert_true(ir_is(w->u, c, IR_LT) && ir_is_int(w->u, ir_operand(w->u, c, 1), NULL));
    world_destroy(w);
}

static void truth_values(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    ir_expr t = ir_bool(u, true), f = ir_bool(u, false), p = lt(w, w->i, w->j), q = lt(w, w->l, w->i), r = eq(w, w->l, w->j);
    SAME(ir_and(u, t, p), p);
    SAME(ir_and(u, p, f), f);
    SAME(ir_or(u, p, t), t);
    SAME(ir_or(u, f, p), p);
    SAME(ir_and(u, p, p), p);
    SAME(ir_and(u, ir_and(u, p, q), p), ir_and(u, p, q));
    SAME(ir_and(u, p, ir_and(u, q, r)), ir_and(u, ir_and(u, p, q), r));
    SAME(ir_not(u, ir_not(u, ir_and(u, p, q))), ir_and(u, p, q));
    SAME(ir_or(u, ir_and(u, p, q), ir_not(u, ir_and(u, p, q))), t);
    SAME(ir_select(u, p, t, f), p);
    SAME(ir_select(u, p, f, t), ir_not(u, p));
    SAME(ir_select(u, p, t, q), ir_or(u, p, q));
    SAME(ir_select(u, t, w->i, w->j), w->i);
    SAME(ir_select(u, p, w->i, w->i), w->i);
    SAME(ir_op2(u, IR_EQ, p, t), p);
    SAME(ir_op2(u, IR_NE, p, t), ir_not(u, p));
    SAME(ir_op2(u, IR_BIT, lit(w, 5), lit(w, 2)), t);
    SAME(ir_op2(u, IR_BIT, lit(w, 5), lit(w, 1)), f);
    world_destroy(w);
}

static void reals_keep_their_meaning(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    ir_expr x = read2(w, w->x, w->i, w->j), y = read1(w, w->y, w->j), zero = ir_real(u, 0), two = ir_real(u, 2), third = ir_real(u, 3);
    SAME(ir_add(u, x, zero), x);
    SAME(ir_mul(u, x, ir_real(u, 1)), x);
    SAME(ir_op2(u, IR_DIV, x, ir_real(u, 1)), x);
    assert_true(ir_is(u, ir_mul(u, x, zero), IR_MUL));
    assert_true(ir_is(u, ir_sub(u, x, x), IR_SUB));
    assert_int_not_equal(ir_sub(u, ir_add(u, x, y), y), x);
    SAME(ir_mul(u, two, x), ir_mul(u, x, two));
    SAME(ir_op2(u, IR_DIV, x, two), ir_mul(u, x, ir_real(u, 0.5)));
    assert_true(ir_is(u, ir_op2(u, IR_DIV, x, third), IR_DIV));
    assert_true(ir_is(u, ir_op2(u, IR_DIV, x, zero), IR_DIV));
    SAME(ir_op2(u, IR_POW, x, two), ir_mul(u, x, x));
    SAME(ir_op2(u, IR_POW, x, ir_real(u, -1)), ir_op2(u, IR_DIV, ir_real(u, 1), x));
    assert_true(ir_is(u, ir_op2(u, IR_POW, x, ir_real(u, 0.5)), IR_POW));
    SAME(ir_op1(u, IR_NEG, ir_op1(u, IR_NEG, x)), x);
    SAME(ir_op1(u, IR_EXP, zero), ir_real(u, 1));
    assert_true(ir_is(u, ir_op1(u, IR_LOG, ir_real(u, -1)), IR_LOG));
    SAME(ir_op1(u, IR_FLOOR, ir_real(u, 1e300)), lit(w, INT64_MAX));
    SAME(ir_op1(u, IR_ROUND, ir_real(u, 2.5)), lit(w, 2));
    assert_true(ir_is(u, ir_not(u, ir_op2(u, IR_LT, x, y)), IR_NOT));            /* NaN */
    assert_true(ir_is(u, ir_op2(u, IR_EQ, x, x), IR_EQ));
    SAME(ir_op2(u, IR_LT, x, x), ir_bool(u, false));
    SAME(ir_op2(u, IR_MAX, x, ir_real(u, -INFINITY)), x);
    world_destroy(w);
}

static void poison_and_wrong_sorts(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    ir_expr x = read1(w, w->y, w->j);
    SAME(ir_add(u, 0, w->i), 0);
    SAME(ir_add(u, x, w->i), 0);
    SAME(ir_and(u, x, x), 0);
    SAME(ir_select(u, w->i, x, x), 0);
    SAME(ir_op2(u, IR_LT, ir_bool(u, true), ir_bool(u, false)), 0);
    SAME(ir_read(u, w->y, 2, (ir_expr[]){w->i, w->j}), 0);
    SAME(read1(w, w->y, x), 0);
    SAME(read1(w, w->y, 0), 0);
    SAME(ir_apply(u, IR_RED, 0, NULL), 0);
    SAME(ir_op1(u, IR_ADD, w->i), 0);
    SAME(ir_reduce(u, IR_RED_SUM, 1, &w->vj, ir_bool(u, true), 0), 0);
    SAME(ir_reduce(u, IR_RED_ANY, 1, &w->vj, ir_bool(u, true), x), 0);
    SAME(ir_substitute(u, 0, 0, NULL), 0);
    assert_false(ir_provably(u, 0) || ir_divides(u, 0, 0) || ir_in_range(u, 0, w->S));
    world_destroy(w);
}

/* Sums and products built at random, value by value beside what is built. */
static void random_polynomials_keep_their_value(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    srand(7);
    for (uint32_t round = 0; round < 300; round++) {
        point p;
        for (uint32_t k = 0; k < 16; k++) p.dim[k] = rand() % 9 + 1;
        for (uint32_t k = 0; k < 64; k++) p.var[k] = k < w->u->var.n && k ? rand() % value_at(w->u, w->u->var.at[k].extent, &p) : 0;
        ir_expr pool[40] = {w->B, w->S, w->T, w->i, w->j, w->h, w->d, lit(w, 1), lit(w, 3), lit(w, -2)};
        int64_t value[40];
        uint32_t n = 10;
        for (uint32_t k = 0; k < n; k++) value[k] = value_at(w->u, pool[k], &p);
        while (n < 40) {
            int a = rand() % (int)n, b = rand() % (int)n, op = rand() % 7;
            if (llabs(value[a]) > 1000 || llabs(value[b]) > 1000 || (op > 2 && op < 5 && !value[b])) continue;
            static const ir_op ops[] = {IR_ADD, IR_SUB, IR_MUL, IR_FDIV, IR_MOD, IR_MIN, IR_MAX};
            pool[n] = ir_op2(w->u, ops[op], pool[a], pool[b]);
            value[n] = op == 0   ? value[a] + value[b]
                       : op == 1 ? value[a] - value[b]
                       : op == 2 ? value[a] * value[b]
                       : op == 3 ? base_floor_div(value[a], value[b])
                       : op == 4 ? base_floor_mod(value[a], value[b])
                       : op == 5 ? (value[a] < value[b] ? value[a] : value[b])
                                 : (value[a] > value[b] ? value[a] : value[b]);
            SAME(value_at(w->u, pool[n], &p), value[n]);
            ir_interval bounds = ir_interval_of(w->u, pool[n]);
            assert_true(bounds.lo <= value[n] && value[n] <= bounds.hi);
            n++;
        }
    }
    world_destroy(w);
}

/* Every row of the table, over literals of its sorts, has a value: a row without one in fold.c fails here by name. */
static void every_operator_folds_literals(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    for (int op = 0; op < IR_N_OPS; op++) {
        const ir_op_info *row = &ir_ops[op];
        ir_expr o[3];
        if (row->form == 'L') continue;
        for (uint32_t k = 0; k < row->n_args; k++)
            o[k] = row->args[k] == 'b' ? ir_bool(w->u, true) : row->args[k] == 'i' || row->args[k] == 'x' ? lit(w, 9 - 7 * k) : ir_real(w->u, 0.75 - 0.5 * k);
        ir_expr e = ir_apply(w->u, (ir_op)op, row->n_args, o);
        if (!ir_is(w->u, e, IR_INT) && !ir_is(w->u, e, IR_REAL) && !ir_is(w->u, e, IR_BOOL)) fail_msg("%s does not fold", row->name);
        bool any = row->result == 'n' || row->result == 'x';
        assert_true(any || ir_at(w->u, e)->sort == row->result);
    }
    world_destroy(w);
}

/* ---- random expressions of reals, with values beside them */

static double real_apply(ir_op op, double a, double b) {
    switch (op) {
    case IR_ADD: return a + b;
    case IR_SUB: return a - b;
    case IR_MUL: return a * b;
    case IR_DIV: return a / b;
    case IR_POW: return pow(a, b);
    case IR_MIN: return isnan(a) || isnan(b) ? (double)NAN : fmin(a, b);
    case IR_MAX: return isnan(a) || isnan(b) ? (double)NAN : fmax(a, b);
    case IR_NEG: return -a;
    case IR_ABS: return fabs(a);
    case IR_RELU: return isnan(a) ? a : fmax(a, 0);
    case IR_SQRT: return sqrt(a);
    case IR_TANH: return tanh(a);
    default: abort();
    }
}

enum { N_READS = 6 };
static const double read_values[N_READS] = {1.5, -2.25, 0, INFINITY, -INFINITY, NAN};

static double real_value(const ir_unit *u, ir_expr e) {
    const ir_expr_info *x = ir_at(u, e);
    if (x->op == IR_REAL) return x->u.f;
    if (x->op == IR_READ) return read_values[ir_at(u, ir_operand(u, e, 0))->u.i];
    double a = real_value(u, ir_operand(u, e, 0));
    return real_apply((ir_op)x->op, a, x->operands.n > 1 ? real_value(u, ir_operand(u, e, 1)) : 0);
}

/* Equal, but for the sign of zero and the last bits of a power. */
static bool is_near(double a, double b) { return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= 1e-12 * fabs(a); }

static bool is_inside(ir_unit *u, ir_expr e, double value) {
    bool nan;
    ir_interval r = ir_interval_of_real(u, e, &nan);
    if (isnan(value)) return nan;
    if (value == -(double)INFINITY && !ir_maybe_minus_inf(u, e)) return false;
    double slack = 1e-9 * fabs(value) + 1e-12;
    return (r.lo == INT64_MIN || (double)r.lo <= value + slack) && (r.hi == INT64_MAX || value - slack <= (double)r.hi);
}

static void random_reals_keep_their_value(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    static const ir_op ops[] = {IR_ADD, IR_SUB, IR_MUL, IR_DIV, IR_POW, IR_MIN, IR_MAX, IR_NEG, IR_ABS, IR_RELU, IR_SQRT, IR_TANH};
    static const double literals[] = {0, 1, -1, 2, 0.5, 3, -2, INFINITY, -INFINITY};
    srand(5);
    for (uint32_t round = 0; round < 3000; round++) {
        ir_expr pool[40];
        double value[40];
        uint32_t n = 0;
        for (; n < 9; n++) pool[n] = ir_real(w->u, value[n] = literals[n]);
        for (; n < 9 + N_READS; n++) pool[n] = read1(w, w->y, lit(w, n - 9)), value[n] = read_values[n - 9];
        while (n < 30) {
            uint32_t a = (uint32_t)rand() % n, b = (uint32_t)rand() % n;
            ir_op op = ops[rand() % 12];
            if ((op == IR_DIV || op == IR_POW) && value[b] == 0) continue;     /* the sign of a zero would count */
            if (op == IR_POW && value[a] == 0) continue;
            pool[n] = ir_ops[op].n_args == 2 ? ir_op2(w->u, op, pool[a], pool[b]) : ir_op1(w->u, op, pool[a]);
            value[n] = real_apply(op, value[a], value[b]);
            assert_true(is_near(real_value(w->u, pool[n]), value[n]));
            assert_true(is_inside(w->u, pool[n], value[n]));
            n += fabs(value[n]) < 1e100 || !isfinite(value[n]);
        }
    }
    world_destroy(w);
}

/* Truth values built at random over a few comparisons. */
static void random_truths_keep_their_value(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    srand(9);
    for (uint32_t round = 0; round < 2000; round++) {
        point p = {{0}, {0}};
        for (uint32_t k = 0; k < 16; k++) p.dim[k] = rand() % 4 + 1;
        for (ir_var k = 1; k < w->u->var.n; k++) p.var[k] = rand() % value_at(w->u, w->u->var.at[k].extent, &p);
        ir_expr ints[] = {w->i, w->j, w->h, w->S, add(w, w->j, lit(w, 1)), lit(w, 1)};
        ir_expr pool[40] = {ir_bool(w->u, true), ir_bool(w->u, false)};
        int64_t value[40] = {1, 0};
        for (uint32_t n = 2; n < 40; n++) {
            uint32_t a = (uint32_t)rand() % n, b = (uint32_t)rand() % n, c = (uint32_t)rand() % n, how = (uint32_t)rand() % 9;
            ir_expr x = ints[rand() % 6], y = ints[rand() % 6];
            int64_t s = value_at(w->u, x, &p), t = value_at(w->u, y, &p);
            switch (how) {
            case 0: pool[n] = lt(w, x, y), value[n] = s < t; break;
            case 1: pool[n] = le(w, x, y), value[n] = s <= t; break;
            case 2: pool[n] = eq(w, x, y), value[n] = s == t; break;
            case 3: pool[n] = ne(w, x, y), value[n] = s != t; break;
            case 4: pool[n] = ir_and(w->u, pool[a], pool[b]), value[n] = value[a] && value[b]; break;
            case 5: pool[n] = ir_or(w->u, pool[a], pool[b]), value[n] = value[a] || value[b]; break;
            case 6: pool[n] = ir_not(w->u, pool[a]), value[n] = !value[a]; break;
            case 7: pool[n] = eq(w, pool[a], pool[b]), value[n] = value[a] == value[b]; break;
            default: pool[n] = ir_select(w->u, pool[a], pool[b], pool[c]), value[n] = value[a] ? value[b] : value[c]; break;
            }
            SAME(value_at(w->u, pool[n], &p), value[n]);
            assert_true(!ir_provably(w->u, pool[n]) || value[n]);
        }
    }
    world_destroy(w);
}

/* The order of terms depends on structure: added in any order, a sum is one expression. */
static void any_order_of_addition(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_expr terms[] = {mul(w, w->b, w->S), w->i, lit(w, 7), mod(w, w->j, w->S), read1(w, w->m, w->i), mul(w, lit(w, -3), w->T), fdiv(w, w->j, w->S), w->h};
    ir_expr first = 0;
    srand(3);
    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t k = 8; k-- > 1;) {
            uint32_t at = (uint32_t)rand() % (k + 1);
            ir_expr t = terms[k];
            terms[k] = terms[at];
            terms[at] = t;
        }
        ir_expr sum = lit(w, 0);
        for (uint32_t k = 0; k < 8; k++) sum = add(w, sum, terms[k]);
        if (!first) first = sum;
        SAME(sum, first);
    }
    world_destroy(w);
}

static void long_chains(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_unit *u = w->u;
    ir_expr ints = lit(w, 0), reals = ir_real(u, 0), truths = ir_bool(u, true), tower = w->i;
    for (int64_t k = 0; k < 990; k++) {            /* two levels each: just below the limit */
        reals = ir_add(u, reals, read1(w, w->y, lit(w, k)));
        truths = ir_and(u, truths, ir_op2(u, IR_LT, read1(w, w->y, lit(w, k)), ir_real(u, 1)));
        tower = ir_op2(u, IR_MOD, add(w, tower, lit(w, k % 3)), add(w, w->S, lit(w, k % 7)));
    }
    for (int64_t k = 1900; k--;) ints = add(w, ints, read1(w, w->m, lit(w, k)));      /* the order that costs most */
    assert_true(ir_reads(u, reals, w->y) && ir_reads(u, truths, w->y) && !ir_reads(u, ints, w->y));
    ir_binding to = {w->vi, w->h};
    assert_int_not_equal(ir_substitute(u, tower, 1, &to), tower);
    assert_false(ir_provably(u, truths));
    world_destroy(w);
}

/* Deeper than walks allow, or more than a unit holds: the poison, and one report. */
static void beyond_the_limits(void **state) {
    (void)state;
    world v = world_create(), *w = &v;
    ir_expr deep = ir_real(w->u, 0);
    for (int64_t k = 0; k < 5000; k++) deep = ir_add(w->u, deep, read1(w, w->y, lit(w, k)));
    assert_int_equal(deep, 0);
    assert_int_equal(w->u->diags->n_errors, 1);
    assert_int_equal(w->u->diags->first->message, BASE_MSG_EXPR_DEPTH);
    world_destroy(w);
    v = world_create();
    for (int64_t k = 0; k < 2000000; k++) deep = ir_int(w->u, k);
    assert_int_equal(deep, 0);
    assert_int_equal(w->u->diags->n_errors, 1);
    assert_int_equal(w->u->diags->first->message, BASE_MSG_EXPR_COUNT);
    world_destroy(w);
}

/* ---- memory that runs out */

typedef struct { uint32_t left; size_t live; } short_memory;

static void *short_alloc(void *self, size_t bytes) {
    short_memory *m = self;
    if (!m->left) return NULL;
    m->left--;
    m->live += bytes;
    return malloc(bytes);
}

static void short_free(void *self, void *at, size_t bytes) {
    ((short_memory *)self)->live -= bytes;
    free(at);
}

static void build_a_lot(base_arena *arena) {
    ir_unit *u = ir_unit_create(arena, base_diags_create(arena));
    ir_expr n = ir_dim_expr(u, ir_dim_new(u, "N")), sum = ir_int(u, 0);
    ir_var v = ir_var_new(u, "v", n);
    ir_value x = ir_value_new(u, "x", &(ir_type){IR_TYPE_F32, 1, {n}});
    for (int64_t k = 0; k < 400; k++) {
        sum = ir_add(u, sum, ir_op2(u, IR_MOD, ir_var_expr(u, v), ir_int(u, k + 2)));
        ir_expr body = ir_read(u, x, 1, (ir_expr[]){ir_op2(u, IR_MOD, sum, n)});
        ir_substitute(u, ir_reduce(u, IR_RED_SUM, 1, &v, ir_bool(u, true), body), 1, &(ir_binding){v, sum});
    }
}

/* Each allocation fails once: the recovery point is reached, and nothing is left behind. */
static void memory_runs_out(void **state) {
    (void)state;
    static short_memory m;
    static volatile uint32_t n;
    static bool done;
    static jmp_buf failed;
    for (n = 0, done = false; !done; n++) {
        m = (short_memory){n, 0};
        base_arena *arena = base_arena_create(&(base_allocator){short_alloc, short_free, &m}, &failed);
        if (!arena) continue;
        if (!setjmp(failed)) {
            build_a_lot(arena);
            done = true;
        }
        base_arena_destroy(arena);
        SAME(m.live, 0);
        assert_true(n < 1000);
    }
    assert_true(n > 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(polynomials_are_canonical), cmocka_unit_test(division_floors_and_folds), cmocka_unit_test(facts_enter_construction),
        cmocka_unit_test(literals_never_wrap), cmocka_unit_test(comparisons_of_integers), cmocka_unit_test(truth_values),
        cmocka_unit_test(reals_keep_their_meaning), cmocka_unit_test(poison_and_wrong_sorts),
        cmocka_unit_test(every_operator_folds_literals), cmocka_unit_test(random_reals_keep_their_value),
        cmocka_unit_test(random_truths_keep_their_value), cmocka_unit_test(random_polynomials_keep_their_value),
        cmocka_unit_test(any_order_of_addition), cmocka_unit_test(long_chains), cmocka_unit_test(beyond_the_limits),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

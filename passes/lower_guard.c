/* What guards is true inside. `select(c, x, y)`, `a and b` and `where` are lazy, so where x is evaluated c is true: inside x, c is replaced by
 * `true`, and folding does the rest. And the test that a score is not -inf, which attention makes for every pair, leaves a guard
 * where the body at s = -inf is what the fold adds nothing by:
 *   max(j where vis and s != -inf: s)            == max(j where vis: s)
 *   sum(j where vis and s != -inf: exp(s - r)*v) == sum(j where vis: exp(s - r)*v)
 *   any(j where vis and s != -inf: true)         == -inf < max(j where vis: s)
 * Where the body does not vanish (weights = s*s) the test stays. */
#include "lower.h"

/* Left to right: `and` is lazy, so each part may rely on those before it. */
void lower_conjuncts(ir_unit *u, ir_expr e, lower_list *out) {
    if (ir_is(u, e, IR_AND)) {
        ir_expr b = ir_operand(u, e, 1);
        lower_conjuncts(u, ir_operand(u, e, 0), out);
        lower_conjuncts(u, b, out);
    } else if (!ir_is_bool(u, e, true)) {
        BASE_PUSH(u->arena, out, e);
    }
}

/* ---- what is true inside */
typedef struct { pass_memo known; } known_env;          /* truth value to 0 or 1 */
/* What follows from e having this value: of a true `and` and of a false `or` both sides, of a `not` the opposite inside. Nothing is noted of
 * literals: they need no replacing. */
static void know(ir_unit *u, known_env *k, ir_expr e, bool value) {
    ir_op op = (ir_op)ir_at(u, e)->op;
    if (op == IR_BOOL) return;
    pass_memo_put(&k->known, e, value);
    if (op == IR_NOT) know(u, k, ir_operand(u, e, 0), !value);
    if ((op == IR_AND && value) || (op == IR_OR && !value)) {
        ir_expr b = ir_operand(u, e, 1);
        know(u, k, ir_operand(u, e, 0), value);
        know(u, k, b, value);
    }
}
/* Called before the operands: the largest known part is replaced whole, and `rebuild` folds what is above it. */
static ir_expr replace(ir_unit *u, void *env, ir_expr e) {
    known_env *k = env;
    uint32_t value;
    if (ir_at(u, e)->sort != IR_SORT_BOOL || !pass_memo_get(&k->known, e, &value)) return 0;
    return ir_bool(u, value);
}
/* e where `truth` is known to have this value. A literal truth says nothing. */
static ir_expr assume(ir_unit *u, ir_expr e, ir_expr truth, bool value) {
    known_env k = { pass_memo_create(u->arena) };
    if (ir_is(u, truth, IR_BOOL)) return e;
    know(u, &k, truth, value);
    return ir_rebuild(u, e, replace, &k);
}

/* From the leaves up, so that inner guards are used before the outer ones that enclose them. Guards themselves stay: only what they hide
 * is rewritten, a select's second side under the opposite. */
static ir_expr guard(ir_unit *u, void *env, ir_expr e) {
    (void)env;
    ir_expr_info x = *ir_at(u, e);
    if (x.op == IR_RED) {
        ir_expr where = ir_red_where(u, e), body = assume(u, ir_red_body(u, e), where, true);
        return body == ir_red_body(u, e) ? 0 : lower_reduce_like(u, e, where, body);
    }
    if (x.op == IR_SELECT) {
        ir_expr c = ir_operand(u, e, 0), a = ir_operand(u, e, 1), b = ir_operand(u, e, 2);
        ir_expr a2 = assume(u, a, c, true), b2 = assume(u, b, c, false);
        return a2 == a && b2 == b ? 0 : ir_select(u, c, a2, b2);
    }
    return 0;
}
ir_expr lower_guards(ir_unit *u, ir_expr e) { return ir_rebuild_up(u, e, guard, NULL); }

/* ---- the test that a score is not -inf */
static bool minus_inf(const ir_unit *u, ir_expr e) {
    double f;
    return ir_is_real(u, e, &f) && f < 0 && isinf(f);
}
static ir_expr tested(const ir_unit *u, ir_expr e) {     /* s, if e says s != -inf */
    bool negated = ir_is(u, e, IR_NOT);
    if (negated) e = ir_operand(u, e, 0);
    if (!ir_is(u, e, negated ? IR_EQ : IR_NE)) return 0;
    ir_expr a = ir_operand(u, e, 0), b = ir_operand(u, e, 1);
    return minus_inf(u, b) ? a : minus_inf(u, a) ? b : 0;
}

/* SAME: e does not change in a way that is known to matter: it holds no score, or another one. UNKNOWN ends in a refusal, so that it is
 * always right to answer it. */
/* What becomes of e where the score is -inf? */
typedef enum { AT_SAME, AT_MINUS_INF, AT_ZERO, AT_UNKNOWN } at_value;
typedef struct { ir_unit *u; ir_expr score; ir_set keys; pass_memo memo; } at_env; /* keys: variables that the reduction binds, which the score moves with */
static at_value at(at_env *env, ir_expr e);

static at_value at_product(at_env *env, ir_expr e, const at_value *a) {
    ir_unit *u = env->u;
    if (a[0] == AT_ZERO || a[1] == AT_ZERO) return AT_ZERO;
    if (a[0] == AT_MINUS_INF && lower_positive(u, ir_operand(u, e, 1))) return AT_MINUS_INF;
    if (a[1] == AT_MINUS_INF && lower_positive(u, ir_operand(u, e, 0))) return AT_MINUS_INF;
    return AT_UNKNOWN;
}
/* Both sides count, since the condition is one that does not depend on the score. A side that is a literal is of the kind wanted by itself. */
static at_value at_select(at_env *env, ir_expr e, const at_value *a) {
    ir_unit *u = env->u;
    double f;
    if (a[0] != AT_SAME) return AT_UNKNOWN;
    bool low1 = a[1] == AT_MINUS_INF || minus_inf(u, ir_operand(u, e, 1)), low2 = a[2] == AT_MINUS_INF || minus_inf(u, ir_operand(u, e, 2));
    if (low1 && low2) return AT_MINUS_INF;
    bool zero1 = a[1] == AT_ZERO || (ir_is_real(u, ir_operand(u, e, 1), &f) && f == 0);
    bool zero2 = a[2] == AT_ZERO || (ir_is_real(u, ir_operand(u, e, 2), &f) && f == 0);
    return zero1 && zero2 ? AT_ZERO : AT_UNKNOWN;
}
static at_value at_operator(at_env *env, ir_expr e, const at_value *a) {
    switch (ir_at(env->u, e)->op) {
    case IR_ADD: return a[0] == AT_MINUS_INF || a[1] == AT_MINUS_INF ? AT_MINUS_INF : AT_UNKNOWN;   /* the other side: finite, or -inf as well */
    case IR_SUB: return a[0] == AT_MINUS_INF && a[1] == AT_SAME ? AT_MINUS_INF : AT_UNKNOWN;
    case IR_MUL: return at_product(env, e, a);
    case IR_DIV: return a[1] != AT_SAME ? AT_UNKNOWN : a[0] == AT_ZERO ? AT_ZERO : AT_UNKNOWN;
    case IR_EXP: case IR_EXP2: case IR_SIGMOID: case IR_RELU: return a[0] == AT_MINUS_INF ? AT_ZERO : AT_UNKNOWN;
    case IR_SELECT: return at_select(env, e, a);
    default: return AT_UNKNOWN;
    }
}
/* Reads and reductions are not looked into: a score at other indices is another score. Nor is what is free of the keys. */
static at_value at_new(at_env *env, ir_expr e) {
    ir_expr_info x = *ir_at(env->u, e);
    if (e == env->score) return AT_MINUS_INF;
    if (!ir_set_meets(env->u, x.free, env->keys) || !x.operands.n || x.op == IR_READ || x.op == IR_RED) return AT_SAME;
    at_value a[3] = { AT_SAME, AT_SAME, AT_SAME };
    bool any = false;
    for (uint32_t i = 0; i < x.operands.n && i < 3; i++) any |= (a[i] = at(env, ir_operand(env->u, e, i))) != AT_SAME;
    return any ? at_operator(env, e, a) : AT_SAME;
}
static at_value at(at_env *env, ir_expr e) {
    uint32_t known;
    if (pass_memo_get(&env->memo, e, &known)) return (at_value)known;
    at_value a = at_new(env, e);
    pass_memo_put(&env->memo, e, a);
    return a;
}
/* An infinite reference would make exp(s - r) NaN there; a clamp (lower_clamp) sees to it that it is 0. A score that occurs inside a
 * reduction of the body that runs over the keys' variables again is another score. */
static bool vanishes(ir_unit *u, ir_red kind, ir_expr body, ir_expr score, ir_set keys) {
    at_env env = { u, score, keys, pass_memo_create(u->arena) };
    at_value a = at(&env, body);
    return (kind == IR_RED_MAX && a == AT_MINUS_INF) || (kind == IR_RED_SUM && a == AT_ZERO);
}

typedef struct { bool exponentials; lower_list maxima; } test_env; /* exponentials: there are some, so base 2 will scale the scores */
/* The conjuncts but one, in their order. */
static ir_expr without_test(ir_unit *u, const lower_list *all, uint32_t skip) {
    ir_expr rest = ir_bool(u, true);
    for (uint32_t i = 0; i < all->n; i++)
        if (i != skip) rest = ir_and(u, rest, all->at[i]);
    return rest;
}
/* The first test that may go goes; a test of another score stays. `any` has no body to vanish: its test becomes
 * a max of the scores under the other guards, scaled as base 2 will scale those of the exponentials, so that both are one line. */
static ir_expr drop_test(ir_unit *u, void *env, ir_expr e) {
    test_env *t = env;
    if (!ir_is(u, e, IR_RED)) return 0;
    ir_red kind = (ir_red)ir_at(u, e)->u.ref;
    lower_list all = { 0 };
    lower_conjuncts(u, ir_red_where(u, e), &all);
    for (uint32_t i = 0; i < all.n; i++) {
        ir_expr score = tested(u, all.at[i]), body = ir_red_body(u, e);
        if (!score) continue;
        ir_expr rest = without_test(u, &all, i);
        if (kind == IR_RED_ANY && ir_is_bool(u, body, true)) {
            uint32_t n = ir_red_n_bound(u, e);
            ir_var *bound = BASE_ARRAY(u->arena, n, ir_var);
            for (uint32_t k = 0; k < n; k++) bound[k] = ir_red_bound(u, e, k);
            ir_expr s = t->exponentials ? lower_scale(u, score, 1.4426950408889634) : score;
            ir_expr most = ir_reduce(u, IR_RED_MAX, n, bound, rest, s);
            return ir_not(u, ir_op2(u, IR_EQ, most, ir_real(u, -HUGE_VAL)));      /* not `-inf < max`: a row with a NaN is visible */
        }
        if (vanishes(u, kind, body, score, lower_bound(u, e))) return lower_reduce_like(u, e, rest, body);
    }
    return 0;
}

/* Where a maximum runs over the same pairs and its score is never -inf, it says whether there was a pair. */
static bool maxima_visit(const ir_unit *u, void *env, ir_expr e) {
    test_env *t = env;
    if (ir_is(u, e, IR_RED) && ir_at(u, e)->u.ref == IR_RED_MAX && ir_at(u, e)->sort == IR_SORT_REAL) BASE_PUSH(u->arena, &t->maxima, e);
    return true;
}
/* The `any` that such a maximum stands for is built and compared: reductions equal up to renaming are one expression. */
static ir_expr any_by_maximum(ir_unit *u, void *env, ir_expr e) {
    test_env *t = env;
    if (!ir_is(u, e, IR_RED) || ir_at(u, e)->u.ref != IR_RED_ANY || !ir_is_bool(u, ir_red_body(u, e), true)) return 0;
    for (uint32_t i = 0; i < t->maxima.n; i++) {
        ir_expr m = t->maxima.at[i];
        if (ir_maybe_minus_inf(u, ir_red_body(u, m))) continue;
        uint32_t n = ir_red_n_bound(u, m);
        ir_var *bound = BASE_ARRAY(u->arena, n, ir_var);
        for (uint32_t k = 0; k < n; k++) bound[k] = ir_red_bound(u, m, k);
        if (ir_reduce(u, IR_RED_ANY, n, bound, ir_red_where(u, m), ir_bool(u, true)) != e) continue;
        ir_expr low = ir_real(u, -HUGE_VAL);
        return ir_not(u, ir_op2(u, IR_EQ, t->exponentials ? lower_scale(u, m, 1.4426950408889634) : m, low));
    }
    return 0;
}
/* Tests go first: a maximum that has lost its test is one whose range the `any` of the same guard may match. */
ir_expr lower_score_tests(ir_unit *u, ir_expr e) {
    test_env t = { ir_has_op(u, e, IR_EXP), { 0 } };
    e = ir_rebuild_up(u, e, drop_test, &t);
    ir_walk(u, e, maxima_visit, &t);
    return t.maxima.n ? ir_rebuild_up(u, e, any_by_maximum, &t) : e;
}

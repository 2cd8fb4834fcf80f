/* Bounds of integers on a tile: for an integer over positions two expressions over the corners of the tile, with lo <= e <= hi at every
 * point of it. One rule per operator; what has none is unknown (0), which only widens. An answer that 63 bits might not hold is unknown. */
#include "mask.h"

mask_state mask_begin(ir_unit *u, uint32_t n, const mask_corner *corners, mask_summaries *summaries) {
    mask_state s = { .u = u, .arena = u->arena, .corners = corners, .n_corners = n, .summaries = summaries,
                     .bounds_of = pass_memo_create(u->arena), .truth_of = pass_memo_create(u->arena) };
    for (uint32_t k = 0; k < n; k++) s.moving = ir_set_union(u, s.moving, ir_set_of(u, 1, &corners[k].var));
    return s;
}

/* ---- arithmetic */

static ir_expr kept(mask_state *s, ir_expr e) {
    ir_interval i = ir_interval_of(s->u, e);
    return i.lo > INT64_MIN && i.hi < INT64_MAX ? e : 0;
}
ir_expr mask_add(mask_state *s, ir_expr a, ir_expr b) { return a && b ? kept(s, ir_add(s->u, a, b)) : 0; }
ir_expr mask_sub(mask_state *s, ir_expr a, ir_expr b) { return a && b ? kept(s, ir_sub(s->u, a, b)) : 0; }
ir_expr mask_mul(mask_state *s, ir_expr a, ir_expr b) { return a && b ? kept(s, ir_mul(s->u, a, b)) : 0; }
ir_expr mask_div(mask_state *s, ir_expr a, ir_expr d) { return a && d ? ir_op2(s->u, IR_FDIV, a, d) : 0; }
/* ceil(a / d) is -floor(-a / d). */
ir_expr mask_div_up(mask_state *s, ir_expr a, ir_expr d) {
    ir_expr zero = ir_int(s->u, 0);
    return mask_sub(s, zero, mask_div(s, mask_sub(s, zero, a), d));
}
static ir_expr negated(mask_state *s, ir_expr a) { return mask_sub(s, ir_int(s->u, 0), a); }
ir_expr mask_both(mask_state *s, ir_op op, ir_expr a, ir_expr b) { return a && b ? ir_op2(s->u, op, a, b) : 0; }
ir_expr mask_either(mask_state *s, ir_op op, ir_expr a, ir_expr b) { return a && b ? ir_op2(s->u, op, a, b) : a ? a : b; }
static ir_expr least(mask_state *s, ir_expr a, ir_expr b) { return mask_both(s, IR_MIN, a, b); }
static ir_expr most(mask_state *s, ir_expr a, ir_expr b) { return mask_both(s, IR_MAX, a, b); }

/* ---- questions */

/* Nothing in it moves within a tile. */
bool mask_is_point(const mask_state *s, ir_expr e) {
    return !ir_set_meets(s->u, ir_free(s->u, e), s->moving) && !(s->opaque && ir_has_op(s->u, e, IR_LET));
}

/* A divisor that stands still may count as 1 or more where it is no less than 0: a call in which it is 0 ends with an error. */
bool mask_no_less(mask_state *s, ir_expr e, int64_t least_value) { return ir_at_least(s->u, e, least_value); }
static bool divides_upwards(mask_state *s, ir_expr d) { return mask_no_less(s, d, mask_is_point(s, d) ? 0 : 1); }
static bool is_negative_literal(mask_state *s, ir_expr d) {
    int64_t c;
    return ir_is_int(s->u, d, &c) && c < 0;
}

/* ---- sums and products */

static mask_bounds times(mask_state *s, mask_bounds b, ir_expr c, bool is_positive) {
    return is_positive ? (mask_bounds){ mask_mul(s, c, b.lo), mask_mul(s, c, b.hi) } : (mask_bounds){ mask_mul(s, c, b.hi), mask_mul(s, c, b.lo) };
}

/* Of the four products of ends: which is least depends on signs that only the run knows. */
static mask_bounds of_four(mask_state *s, mask_bounds a, mask_bounds b) {
    ir_expr p = mask_mul(s, a.lo, b.lo), q = mask_mul(s, a.lo, b.hi), r = mask_mul(s, a.hi, b.lo), t = mask_mul(s, a.hi, b.hi);
    return (mask_bounds){ least(s, least(s, p, q), least(s, r, t)), most(s, most(s, p, q), most(s, r, t)) };
}

static mask_bounds magnitude(mask_state *s, mask_bounds a) {
    ir_expr lo = mask_either(s, IR_MAX, mask_either(s, IR_MAX, a.lo, negated(s, a.hi)), ir_int(s->u, 0));
    return (mask_bounds){ lo, most(s, a.hi, negated(s, a.lo)) };
}

static mask_bounds square(mask_state *s, mask_bounds a) {
    mask_bounds m = magnitude(s, a);
    return (mask_bounds){ mask_mul(s, m.lo, m.lo), mask_mul(s, m.hi, m.hi) };
}

static mask_bounds product(mask_state *s, ir_expr x, ir_expr y) {
    mask_bounds a = mask_bounds_of(s, x), b = mask_bounds_of(s, y);
    if (mask_is_point(s, y)) {
        ir_expr e = x;
        x = y, y = e;
        mask_bounds t = a;
        a = b, b = t;
    }
    if (mask_is_point(s, x) && mask_no_less(s, x, 0)) return times(s, b, x, true);
    if (mask_is_point(s, x)) {
        ir_expr p = mask_mul(s, x, b.lo), q = mask_mul(s, x, b.hi);
        return (mask_bounds){ least(s, p, q), most(s, p, q) };
    }
    if (x == y) return square(s, a);
    /* end by end where neither changes its sign */
    if (mask_no_less(s, x, 0) && mask_no_less(s, y, 0)) return (mask_bounds){ mask_mul(s, a.lo, b.lo), mask_mul(s, a.hi, b.hi) };
    return of_four(s, a, b);
}

/* x*y of two factors that move: what polynomials have multiplied out, c*x*y + a*x + b*y, is c*(x + b/c)*(y + a/c) - a*b/c, and has
 * closer bounds so. False: term k is no such product. Terms that went in are marked in *gone; *more is what the constant changes by. */
static bool factored(mask_state *s, const ir_poly *p, uint32_t k, mask_bounds *out, uint64_t *gone, int64_t *more) {
    ir_unit *u = s->u;
    const ir_expr m = p->at[k].monomial;
    const int64_t c = p->at[k].coef;
    int64_t a = 0, b = 0, rest;
    if (p->n > 64 || !m || !ir_is(u, m, IR_MUL)) return false;
    const ir_expr x = ir_operand(u, m, 0), y = ir_operand(u, m, 1);
    if (ir_is(u, x, IR_MUL) || mask_is_point(s, x) || mask_is_point(s, y)) return false;
    uint64_t taken = (uint64_t)1 << k;
    for (uint32_t i = 0; i < p->n; i++) {
        const int64_t t = p->at[i].coef, by = x == y ? 2 : 1;
        if (*gone >> i & 1 || (p->at[i].monomial != x && p->at[i].monomial != y) || t == INT64_MIN || t % c || t / c % by) continue;
        if (p->at[i].monomial == x) a = t / c / by;
        if (p->at[i].monomial == y) b = t / c / by;
        taken |= (uint64_t)1 << i;
    }
    if (!base_mul(a, b, &rest) || !base_mul(rest, c, &rest) || rest == INT64_MIN || !base_add(*more, -rest, more)) return false;
    *gone |= taken;
    *out = times(s, product(s, ir_add(u, x, ir_int(u, b)), ir_add(u, y, ir_int(u, a))), ir_int(u, c), c > 0);
    return true;
}

static mask_bounds plus(mask_state *s, mask_bounds a, mask_bounds b) { return (mask_bounds){ mask_add(s, a.lo, b.lo), mask_add(s, a.hi, b.hi) }; }

mask_bounds mask_sum_bounds(mask_state *s, const ir_poly *p, uint32_t skip) {
    ir_unit *u = s->u;
    mask_bounds sum = { ir_int(u, 0), ir_int(u, 0) }, t;
    uint64_t gone = skip < 64 ? (uint64_t)1 << skip : 0;
    int64_t more = 0;
    for (uint32_t k = 0; k < p->n; k++)
        if (k != skip && factored(s, p, k, &t, &gone, &more)) sum = plus(s, sum, t);
    sum = plus(s, sum, (mask_bounds){ ir_int(u, more), ir_int(u, more) });
    for (uint32_t k = 0; k < p->n; k++) {
        if (k == skip || (k < 64 && gone >> k & 1)) continue;
        ir_expr c = ir_int(u, p->at[k].coef);
        t = (mask_bounds){ c, c };
        if (p->at[k].monomial) t = times(s, mask_bounds_of(s, p->at[k].monomial), c, p->at[k].coef > 0);
        sum = plus(s, sum, t);
    }
    return sum;
}

/* ---- division */

static mask_bounds quotient(mask_state *s, ir_expr x, ir_expr d) {
    mask_bounds a = mask_bounds_of(s, x), b = mask_bounds_of(s, d);
    if (is_negative_literal(s, d)) return (mask_bounds){ mask_div(s, a.hi, d), mask_div(s, a.lo, d) };
    if (!divides_upwards(s, d)) return (mask_bounds){ 0, 0 };
    if (mask_is_point(s, d)) return (mask_bounds){ mask_div(s, a.lo, d), mask_div(s, a.hi, d) };
    return (mask_bounds){ least(s, mask_div(s, a.lo, b.lo), mask_div(s, a.lo, b.hi)), most(s, mask_div(s, a.hi, b.lo), mask_div(s, a.hi, b.hi)) };
}

/* Without a wrap the ends keep their order; with one every remainder may occur. */
static mask_bounds remainder_of(mask_state *s, ir_expr x, ir_expr m) {
    ir_unit *u = s->u;
    ir_expr zero = ir_int(u, 0), one = ir_int(u, 1);
    if (is_negative_literal(s, m)) return (mask_bounds){ ir_add(u, m, one), zero };
    if (!divides_upwards(s, m)) return (mask_bounds){ 0, 0 };
    mask_bounds a = mask_bounds_of(s, x), all = { zero, mask_sub(s, mask_bounds_of(s, m).hi, one) };
    if (!mask_is_point(s, m) || !a.lo || !a.hi) return all;
    ir_expr same = ir_op2(u, IR_EQ, mask_div(s, a.lo, m), mask_div(s, a.hi, m));
    return (mask_bounds){ ir_select(u, same, ir_op2(u, IR_MOD, a.lo, m), all.lo), ir_select(u, same, ir_op2(u, IR_MOD, a.hi, m), all.hi) };
}

/* ---- the rest */

static mask_bounds choice(mask_state *s, ir_expr e) {
    ir_unit *u = s->u;
    ir_truth c = mask_truth_of(s, mask_form(u, ir_operand(u, e, 0), MASK_LIFTS));
    mask_bounds a = mask_bounds_of(s, ir_operand(u, e, 1)), b = mask_bounds_of(s, ir_operand(u, e, 2));
    ir_expr lo = least(s, a.lo, b.lo), hi = most(s, a.hi, b.hi);
    if (lo) lo = ir_select(u, c.must, a.lo, ir_select(u, c.may, lo, b.lo));
    if (hi) hi = ir_select(u, c.must, a.hi, ir_select(u, c.may, hi, b.hi));
    return (mask_bounds){ lo, hi };
}

static mask_bounds corners_of(const mask_state *s, ir_var v) {
    for (uint32_t k = 0; k < s->n_corners; k++)
        if (s->corners[k].var == v) return (mask_bounds){ s->corners[k].lo, s->corners[k].hi };
    return (mask_bounds){ 0, 0 };
}

static mask_bounds compute(mask_state *s, ir_expr e) {
    ir_unit *u = s->u;
    if (mask_is_point(s, e)) return (mask_bounds){ e, e };
    const ir_expr_info x = *ir_at(u, e);
    ir_expr p = x.operands.n ? ir_operand(u, e, 0) : 0, q = x.operands.n > 1 ? ir_operand(u, e, 1) : 0;
    mask_bounds a, b;
    switch (x.op) {
    case IR_VAR: return corners_of(s, x.u.ref);
    case IR_FDIV: return quotient(s, p, q);
    case IR_MOD: return remainder_of(s, p, q);
    case IR_SELECT: return choice(s, e);
    case IR_READ: return mask_range(s, e);
    case IR_ABS: return magnitude(s, mask_bounds_of(s, p));
    case IR_MIN: case IR_MAX:
        a = mask_bounds_of(s, p), b = mask_bounds_of(s, q);
        /* of a minimum one known upper end is enough, of a maximum one known lower end */
        return x.op == IR_MIN ? (mask_bounds){ least(s, a.lo, b.lo), mask_either(s, IR_MIN, a.hi, b.hi) }
                              : (mask_bounds){ mask_either(s, IR_MAX, a.lo, b.lo), most(s, a.hi, b.hi) };
    default: return (mask_bounds){ 0, 0 };
    }
}

/* A sum is taken term by term; a lone term with a coefficient is one too. */
static mask_bounds of_sum(mask_state *s, ir_expr e) {
    ir_poly p = ir_poly_of(s->u, e);
    if (p.n != 1 || p.at[0].monomial != e) return mask_sum_bounds(s, &p, p.n);
    /* a product leans to the left, so the last factor stands alone */
    if (ir_is(s->u, e, IR_MUL)) return product(s, ir_operand(s->u, e, 0), ir_operand(s->u, e, 1));
    return compute(s, e);
}

/* Reals: elements of tables, positions, and their negatives. Sums have no rule: infinities make NaN of them that no bound shows. Bounds are NaN
 * where some element is. */
static mask_bounds of_real(mask_state *s, ir_expr e) {
    ir_unit *u = s->u;
    if (mask_is_point(s, e)) return (mask_bounds){ e, e };
    if (ir_is(u, e, IR_READ)) return mask_range(s, e);
    if (!ir_is(u, e, IR_NEG) && !ir_is(u, e, IR_FLOAT)) return (mask_bounds){ 0, 0 };
    const mask_bounds x = mask_bounds_of(s, ir_operand(u, e, 0));
    if (!x.lo || !x.hi) return (mask_bounds){ 0, 0 };
    if (ir_is(u, e, IR_NEG)) return (mask_bounds){ ir_op1(u, IR_NEG, x.hi), ir_op1(u, IR_NEG, x.lo) };
    return (mask_bounds){ ir_op1(u, IR_FLOAT, x.lo), ir_op1(u, IR_FLOAT, x.hi) };
}

mask_bounds mask_bounds_of(mask_state *s, ir_expr e) {
    uint32_t at;
    if (!e || ir_at(s->u, e)->sort != IR_SORT_INT) return e && ir_at(s->u, e)->sort == IR_SORT_REAL ? of_real(s, e) : (mask_bounds){ 0, 0 };
    if (pass_memo_get(&s->bounds_of, e, &at)) return s->bounds.at[at];
    mask_bounds b = mask_is_point(s, e) ? (mask_bounds){ e, e } : of_sum(s, e);
    at = BASE_PUSH(s->arena, &s->bounds, b);
    pass_memo_put(&s->bounds_of, e, at);
    return b;
}

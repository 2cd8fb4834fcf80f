/* Truth on a tile: for a truth value in normal form two expressions over the corners, `may` (it can hold somewhere) and `must` (it holds
 * everywhere). Every rule is one-sided: a `may` is never false where a pair is visible, a `must` never true where one is not. */
#include "mask.h"

static ir_truth unknown(mask_state *s) { return (ir_truth){ ir_bool(s->u, true), ir_bool(s->u, false) }; }

/* a <= b of bounds; where one is not known the answer is the one that widens. */
static ir_expr no_more(mask_state *s, ir_op op, ir_expr a, ir_expr b, bool otherwise) {
    return a && b ? ir_op2(s->u, op, a, b) : ir_bool(s->u, otherwise);
}

/* ---- remainders: one term x % m of coefficient 1 or -1 */

/* Is there an x in [lo, hi] with r0 <= x % m <= r1? Exact: the distance from lo to the next such x. */
static ir_expr meets_residue(mask_state *s, mask_bounds x, ir_expr m, ir_expr r0, ir_expr r1) {
    ir_unit *u = s->u;
    ir_expr zero = ir_int(u, 0), last = ir_sub(u, m, ir_int(u, 1));
    ir_expr lo = ir_op2(u, IR_MAX, r0, zero), hi = ir_op2(u, IR_MIN, r1, last), at = ir_op2(u, IR_MOD, x.lo, m);
    ir_expr ahead = ir_op2(u, IR_MAX, ir_sub(u, lo, at), zero), around = ir_add(u, ir_sub(u, m, at), lo);
    ir_expr distance = ir_select(u, ir_op2(u, IR_LE, at, hi), ahead, around);
    return ir_and(u, ir_op2(u, IR_LE, lo, hi), ir_op2(u, IR_LE, ir_add(u, x.lo, distance), x.hi));
}

/* The only moving remainder of the sum, if its coefficient is 1 or -1 and its divisor stands still; p->n: none, or no such. */
static uint32_t single_remainder(mask_state *s, const ir_poly *p) {
    uint32_t at = p->n;
    for (uint32_t k = 0; k < p->n; k++) {
        ir_expr m = p->at[k].monomial;
        if (!m || !ir_is(s->u, m, IR_MOD) || mask_is_point(s, m)) continue;
        ir_expr d = ir_operand(s->u, m, 1);
        if (at != p->n || (p->at[k].coef != 1 && p->at[k].coef != -1) || !mask_is_point(s, d) || !mask_no_less(s, d, 0)) return p->n;
        at = k;
    }
    return at;
}

/* d >= 0 or d == 0, where d is c*(x % m) + rest: then x % m compares with what the rest leaves, `to`. */
static bool of_remainder(mask_state *s, ir_expr d, bool equal, ir_truth *out) {
    ir_unit *u = s->u;
    ir_poly p = ir_poly_of(u, d);
    uint32_t at = single_remainder(s, &p);
    if (at == p.n) return false;
    ir_expr m = ir_operand(u, p.at[at].monomial, 1), zero = ir_int(u, 0), one = ir_int(u, 1), last = ir_sub(u, m, one);
    mask_bounds x = mask_bounds_of(s, ir_operand(u, p.at[at].monomial, 0)), to = mask_sum_bounds(s, &p, at);
    bool is_lower = p.at[at].coef > 0;           /* x % m >= -rest; else x % m <= rest */
    if (is_lower) to = (mask_bounds){ mask_sub(s, zero, to.hi), mask_sub(s, zero, to.lo) };
    if (!x.lo || !x.hi || !to.lo || !to.hi) return false;
    ir_expr below = ir_not(u, meets_residue(s, x, m, zero, ir_sub(u, to.lo, one))), above = ir_not(u, meets_residue(s, x, m, ir_add(u, to.lo, one), last));
    if (equal) {
        out->may = meets_residue(s, x, m, to.lo, to.hi);
        out->must = ir_and(u, ir_op2(u, IR_EQ, to.lo, to.hi), ir_and(u, below, above));
    } else if (is_lower) {
        out->may = meets_residue(s, x, m, to.lo, last);
        out->must = ir_not(u, meets_residue(s, x, m, zero, ir_sub(u, to.hi, one)));
    } else {
        out->may = meets_residue(s, x, m, zero, to.hi);
        out->must = above;
    }
    return true;
}

/* ---- comparisons */

/* Both elements of tables, or one element and something that stands still: their sets of last bits must meet. */
static ir_expr sets_meet(mask_state *s, ir_expr a, ir_expr b) {
    ir_unit *u = s->u;
    bool reads_a = ir_is(u, a, IR_READ) && !mask_is_point(s, a), reads_b = ir_is(u, b, IR_READ) && !mask_is_point(s, b);
    if (reads_b && !reads_a) return sets_meet(s, b, a);
    if (!reads_a || (!reads_b && !mask_is_point(s, b))) return ir_bool(u, true);
    ir_expr x = mask_presence(s, a), y = reads_b ? mask_presence(s, b) : 0;
    if (!reads_b) y = ir_op2(u, IR_SHL, ir_int(u, 1), ir_op2(u, IR_BITAND, b, ir_int(u, 63)));
    return x && y ? ir_op2(u, IR_NE, ir_op2(u, IR_BITAND, x, y), ir_int(u, 0)) : ir_bool(u, true);
}

static ir_truth of_equality(mask_state *s, ir_expr a, ir_expr b, ir_expr d) {
    ir_unit *u = s->u;
    ir_expr zero = ir_int(u, 0);
    mask_bounds x = mask_bounds_of(s, d ? d : a), y = d ? (mask_bounds){ zero, zero } : mask_bounds_of(s, b);
    ir_expr meet = ir_and(u, no_more(s, IR_LE, x.lo, y.hi, true), no_more(s, IR_LE, y.lo, x.hi, true));
    ir_expr same = ir_and(u, no_more(s, IR_LE, x.hi, y.lo, false), no_more(s, IR_LE, y.hi, x.lo, false));
    return (ir_truth){ ir_and(u, meet, sets_meet(s, a, b)), same };
}

static ir_truth of_comparison(mask_state *s, ir_expr e) {
    ir_unit *u = s->u;
    ir_expr a = ir_operand(u, e, 0), b = ir_operand(u, e, 1), d = mask_difference(u, e);
    ir_op op = (ir_op)ir_at(u, e)->op;
    ir_truth t;
    if (d && of_remainder(s, d, op == IR_EQ, &t)) return t;
    if (op == IR_EQ) return of_equality(s, a, b, d);
    ir_expr zero = ir_int(u, 0);
    /* the two sides apart only where 63 bits may not hold their difference */
    if (d) {
        mask_bounds x = mask_bounds_of(s, d);
        return (ir_truth){ no_more(s, IR_LE, zero, x.hi, true), no_more(s, IR_LE, zero, x.lo, false) };
    }
    mask_bounds x = mask_bounds_of(s, a), y = mask_bounds_of(s, b);
    return (ir_truth){ no_more(s, op, x.lo, y.hi, true), no_more(s, op, x.hi, y.lo, false) };
}

/* Of reals. Bounds that are NaN compare as false, so `may` is asked as what its opposite would need: a NaN leaves the tile undecided. */
static ir_truth of_reals(mask_state *s, ir_op op, ir_expr a, ir_expr b) {
    ir_unit *u = s->u;
    const mask_bounds x = mask_bounds_of(s, a), y = mask_bounds_of(s, b);
    if (!x.lo || !x.hi || !y.lo || !y.hi) return unknown(s);
    if (op == IR_LT) return (ir_truth){ ir_not(u, ir_op2(u, IR_LE, y.hi, x.lo)), ir_op2(u, IR_LT, x.hi, y.lo) };
    ir_expr behind = ir_op2(u, IR_LT, y.hi, x.lo), before = ir_op2(u, IR_LT, x.hi, y.lo), end = ir_op2(u, IR_LE, x.hi, y.lo);
    if (op == IR_LE) return (ir_truth){ ir_not(u, behind), end };
    return (ir_truth){ ir_and(u, ir_not(u, behind), ir_not(u, before)), ir_and(u, end, ir_op2(u, IR_LE, y.hi, x.lo)) };
}

/* ---- all */

static ir_truth opposite(mask_state *s, ir_truth t) { return (ir_truth){ ir_not(s->u, t.must), ir_not(s->u, t.may) }; }

/* Bit n of x where both stand still on the tile, though they are written with what moves. */
static ir_truth of_bit(mask_state *s, ir_expr e) {
    mask_bounds x = mask_bounds_of(s, ir_operand(s->u, e, 0)), n = mask_bounds_of(s, ir_operand(s->u, e, 1));
    if (!x.lo || !n.lo || x.lo != x.hi || n.lo != n.hi) return unknown(s);
    ir_expr bit = ir_op2(s->u, IR_BIT, x.lo, n.lo);
    return (ir_truth){ bit, bit };
}

/* Different is the opposite of equal. */
static ir_truth of_any_comparison(mask_state *s, ir_expr e, uint8_t op) {
    ir_unit *u = s->u;
    const ir_expr a = ir_operand(u, e, 0), b = ir_operand(u, e, 1);
    switch (ir_at(u, a)->sort) {
    case IR_SORT_INT: return op == IR_NE ? opposite(s, mask_truth_of(s, ir_not(u, e))) : of_comparison(s, e);
    case IR_SORT_REAL: return op == IR_NE ? opposite(s, of_reals(s, IR_EQ, a, b)) : of_reals(s, (ir_op)op, a, b);
    default: return unknown(s);
    }
}

/* ---- and, or */

enum { LINKS = 16 };             /* of a chain that are looked at together */
/* The operands of a chain of one operator, from left to right. False: there are more than can be looked at. */
static bool chain(mask_state *s, ir_op op, ir_expr e, ir_expr *out, uint32_t *n) {
    if (ir_is(s->u, e, op)) return chain(s, op, ir_operand(s->u, e, 0), out, n) && chain(s, op, ir_operand(s->u, e, 1), out, n);
    if (*n == LINKS) return false;
    out[(*n)++] = e;
    return true;
}

/* Sides that leave each a part of the tile out may see all of it together. */
static ir_truth of_or(mask_state *s, ir_truth t, uint32_t n, const ir_expr *side) {
    return (ir_truth){ t.may, ir_or(s->u, t.must, mask_covered(s, n, side)) };
}

/* Some side may hold where the condition does. */
static ir_expr some_side(mask_state *s, const mask_corner *c, ir_expr sides, ir_expr condition) {
    ir_expr all[LINKS], some = ir_bool(s->u, false);
    uint32_t n = 0;
    bool apart = false;
    if (!chain(s, IR_OR, sides, all, &n)) return ir_bool(s->u, true);
    for (uint32_t k = 0; k < n; k++) {
        const ir_expr meet = mask_meets(s, c, all[k], condition);
        apart |= !ir_is_bool(s->u, meet, true);
        some = ir_or(s->u, some, ir_and(s->u, mask_truth_of(s, all[k]).may, meet));
    }
    return apart ? some : ir_bool(s->u, true);
}

/* What sides of an `or` and another condition may hold on, each, may be different parts of the tile. That two plain conditions leave nothing the
 * range of keys knows. */
static ir_truth of_and(mask_state *s, ir_truth t, uint32_t n, const ir_expr *condition) {
    ir_unit *u = s->u;
    for (uint32_t k = 0; k < s->n_corners; k++) {
        const mask_corner *c = &s->corners[k];
        for (uint32_t a = 0; a < n && c->joined; a++)
            for (uint32_t b = 0; b < n; b++)
                if (ir_is(u, condition[a], IR_OR) && !ir_is(u, condition[b], IR_OR)) t.may = ir_and(u, t.may, some_side(s, c, condition[a], condition[b]));
    }
    return t;
}

static ir_truth of_chain(mask_state *s, ir_op op, ir_expr e) {
    ir_unit *u = s->u;
    ir_expr link[LINKS];
    uint32_t n = 0;
    const bool whole = chain(s, op, e, link, &n);
    if (!whole) n = 2, link[0] = ir_operand(u, e, 0), link[1] = ir_operand(u, e, 1);
    ir_truth t = mask_truth_of(s, link[0]);
    for (uint32_t k = 1; k < n; k++) {
        const ir_truth b = mask_truth_of(s, link[k]);
        t = (ir_truth){ ir_op2(u, op, t.may, b.may), ir_op2(u, op, t.must, b.must) };
    }
    return !whole ? t : op == IR_OR ? of_or(s, t, n, link) : of_and(s, t, n, link);
}

static ir_truth compute(mask_state *s, ir_expr e) {
    ir_unit *u = s->u;
    if (mask_is_point(s, e)) return (ir_truth){ e, e };
    const ir_expr_info x = *ir_at(u, e);
    switch (x.op) {
    case IR_AND: case IR_OR: return of_chain(s, (ir_op)x.op, e);
    case IR_NOT: return opposite(s, mask_truth_of(s, ir_operand(u, e, 0)));
    case IR_LT: case IR_LE: case IR_EQ: case IR_NE: return of_any_comparison(s, e, x.op);
    case IR_BIT: return of_bit(s, e);
    case IR_READ: return mask_range_truth(s, e);
    default: return unknown(s);
    }
}

ir_truth mask_truth_of(mask_state *s, ir_expr e) {
    uint32_t at;
    if (!e) return unknown(s);
    if (pass_memo_get(&s->truth_of, e, &at)) return s->truth.at[at];
    ir_truth t = compute(s, e);
    at = BASE_PUSH(s->arena, &s->truth, t);
    pass_memo_put(&s->truth_of, e, at);
    return t;
}

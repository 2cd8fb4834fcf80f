/* The normal form of a truth value over integers: `and` and `or` of comparisons, reads and their negations.
 *
 * Sums and comparisons are canonical already where expressions are made (ir/poly.c, ir/fold.c). What is added here makes bounds on tiles exact:
 *  - `not` is pushed down, so that it stands around reads alone;
 *  - min, max, abs and select leave comparisons: max(a, b) + r <= 0 is a + r <= 0 and b + r <= 0. Each lifting may double a comparison, so
 *    their number is limited;
 *  - d*(x//d) + x%d is x, so that linear positions taken apart meet again. */
#include "mask.h"

typedef struct { ir_unit *u; pass_memo done[2]; uint32_t lifts; } former;       /* done: of the truth value; of its negation */

static ir_expr form(former *f, ir_expr e, bool negate);

/* ---- sums */

static bool has_term(const ir_poly *p, ir_term want) {
    for (uint32_t k = 0; k < p->n; k++)
        if (p->at[k].monomial == want.monomial && p->at[k].coef == want.coef) return true;
    return false;
}

/* The term that d*(x//d) is, c times. */
static ir_term quotient_term(ir_unit *u, ir_expr x, ir_expr d, int64_t c) {
    ir_poly p = ir_poly_of(u, ir_mul(u, ir_mul(u, d, ir_op2(u, IR_FDIV, x, d)), ir_int(u, c)));
    return p.n == 1 ? p.at[0] : (ir_term){ 0, 0 };
}

/* One c*(d*(x//d)) + c*(x%d) in e becomes c*x; e itself if there is none. */
static ir_expr join_quotient(ir_unit *u, ir_expr e) {
    ir_poly p = ir_poly_of(u, e);
    for (uint32_t m = 0; m < p.n; m++) {
        if (!p.at[m].monomial || !ir_is(u, p.at[m].monomial, IR_MOD)) continue;
        ir_expr x = ir_operand(u, p.at[m].monomial, 0), d = ir_operand(u, p.at[m].monomial, 1);
        ir_term want = quotient_term(u, x, d, p.at[m].coef);
        if (!want.monomial || !has_term(&p, want)) continue;
        ir_expr gone = ir_add(u, ir_mul(u, ir_int(u, want.coef), want.monomial), ir_mul(u, ir_int(u, p.at[m].coef), p.at[m].monomial));
        return ir_add(u, ir_sub(u, e, gone), ir_mul(u, ir_int(u, p.at[m].coef), x));
    }
    return e;
}

/* Each joining takes two terms and gives those of x, which are fewer levels deep: it ends. */
static ir_expr joined(ir_unit *u, ir_expr e) {
    for (ir_expr next = join_quotient(u, e); next != e; next = join_quotient(u, e)) e = next;
    return e;
}

/* A difference that comes back as a SUB may leave 63 bits. */
ir_expr mask_difference(ir_unit *u, ir_expr c) {
    ir_expr d = ir_sub(u, ir_operand(u, c, 1), ir_operand(u, c, 0));
    if (ir_is(u, c, IR_LT)) d = ir_sub(u, d, ir_int(u, 1));
    return ir_is(u, d, IR_SUB) ? 0 : d;
}

/* ---- comparisons: d >= 0 */

static bool is_liftable(const ir_unit *u, ir_expr m) {
    return m && (ir_is(u, m, IR_MIN) || ir_is(u, m, IR_MAX) || ir_is(u, m, IR_ABS) || ir_is(u, m, IR_SELECT));
}

/* The first term that can be lifted; p->n: none. */
static uint32_t liftable(const ir_unit *u, const ir_poly *p) {
    uint32_t k = 0;
    while (k < p->n && !is_liftable(u, p->at[k].monomial)) k++;
    return k;
}

static ir_expr order(former *f, ir_expr d, uint32_t lifts);

/* d >= 0 with another expression, `sign` times, in the place of one term's monomial. */
static ir_expr with(former *f, ir_expr d, ir_term t, ir_expr by, int64_t sign, uint32_t lifts) {
    ir_unit *u = f->u;
    ir_expr rest = ir_sub(u, d, ir_mul(u, ir_int(u, t.coef), t.monomial));
    return order(f, ir_add(u, rest, ir_mul(u, ir_int(u, sign * t.coef), by)), lifts);
}

static ir_expr lift_select(former *f, ir_expr d, ir_term t, uint32_t lifts) {
    ir_unit *u = f->u;
    ir_expr c = ir_operand(u, t.monomial, 0), yes = form(f, c, false), no = form(f, c, true);
    ir_expr a = with(f, d, t, ir_operand(u, t.monomial, 1), 1, lifts), b = with(f, d, t, ir_operand(u, t.monomial, 2), 1, lifts);
    /* where both sides hold the condition does not matter: tiles across its border are decided too */
    return ir_or(u, ir_or(u, ir_and(u, yes, a), ir_and(u, no, b)), ir_and(u, a, b));
}

/* abs(a) is max(a, -a, 0): the zero says nothing of values, but much of intervals on both sides of it. */
static ir_expr lift_extreme(former *f, ir_expr d, ir_term t, uint32_t lifts) {
    ir_unit *u = f->u;
    bool magnitude = ir_is(u, t.monomial, IR_ABS), least = ir_is(u, t.monomial, IR_MIN);
    ir_op op = least == (t.coef > 0) ? IR_AND : IR_OR;
    ir_expr x = ir_operand(u, t.monomial, 0), y = magnitude ? x : ir_operand(u, t.monomial, 1);
    ir_expr e = ir_op2(u, op, with(f, d, t, x, 1, lifts), with(f, d, t, y, magnitude ? -1 : 1, lifts));
    return magnitude ? ir_op2(u, op, e, with(f, d, t, ir_int(u, 0), 1, lifts)) : e;
}

static ir_expr order(former *f, ir_expr d, uint32_t lifts) {
    ir_unit *u = f->u;
    d = joined(u, d);
    ir_poly p = ir_poly_of(u, d);
    uint32_t k = lifts ? liftable(u, &p) : p.n;
    if (k == p.n || p.at[k].coef == INT64_MIN) return ir_op2(u, IR_LE, ir_int(u, 0), d);
    return ir_is(u, p.at[k].monomial, IR_SELECT) ? lift_select(f, d, p.at[k], lifts - 1) : lift_extreme(f, d, p.at[k], lifts - 1);
}

/* Equality of integers. With something to lift it is two comparisons. */
static ir_expr equality(former *f, ir_expr e) {
    ir_unit *u = f->u;
    ir_expr d = mask_difference(u, e);
    if (!d) return e;
    d = joined(u, d);
    ir_poly p = ir_poly_of(u, d);
    if (!f->lifts || liftable(u, &p) == p.n) return ir_op2(u, IR_EQ, d, ir_int(u, 0));
    return ir_and(u, order(f, d, f->lifts), order(f, ir_sub(u, ir_int(u, 0), d), f->lifts));
}

static ir_expr comparison(former *f, ir_expr e) {
    ir_unit *u = f->u;
    if (ir_is(u, e, IR_EQ)) return equality(f, e);
    /* what a comparison folds to may be no comparison any more */
    if (!ir_is(u, e, IR_LE) && !ir_is(u, e, IR_LT)) return e;
    ir_expr d = mask_difference(u, e);
    return d ? order(f, d, f->lifts) : e;
}

/* An inequality is an equality turned around. */
static ir_expr of_integers(former *f, ir_expr e, bool negate) {
    ir_unit *u = f->u;
    bool equal = ir_is(u, e, IR_EQ), unequal = ir_is(u, e, IR_NE);
    if (!equal && !unequal) return comparison(f, negate ? ir_not(u, e) : e);
    ir_expr same = comparison(f, equal ? e : ir_not(u, e));
    if (equal != negate) return same;
    return ir_is(u, same, IR_EQ) ? ir_not(u, same) : form(f, same, true);
}

/* ---- truth values */

static ir_expr pair(former *f, ir_op op, ir_expr a, ir_expr b, bool negate_a, bool negate_b) {
    return ir_op2(f->u, op, form(f, a, negate_a), form(f, b, negate_b));
}

/* Equality of truth values: both or none. */
static ir_expr alike(former *f, ir_expr a, ir_expr b, bool equal) {
    return ir_or(f->u, pair(f, IR_AND, a, b, false, !equal), pair(f, IR_AND, a, b, true, equal));
}

static ir_expr choice(former *f, ir_expr e, bool negate) {
    ir_unit *u = f->u;
    ir_expr c = ir_operand(u, e, 0), a = ir_operand(u, e, 1), b = ir_operand(u, e, 2);
    return ir_or(u, pair(f, IR_AND, c, a, false, negate), pair(f, IR_AND, c, b, true, negate));
}

static ir_expr formed(former *f, ir_expr e, bool negate) {
    ir_unit *u = f->u;
    const ir_expr_info x = *ir_at(u, e);
    ir_expr a = x.operands.n ? ir_operand(u, e, 0) : 0, b = x.operands.n > 1 ? ir_operand(u, e, 1) : 0;
    ir_sort sort = a ? (ir_sort)ir_at(u, a)->sort : IR_SORT_NONE;
    switch (x.op) {
    case IR_AND: case IR_OR: return pair(f, (x.op == IR_AND) != negate ? IR_AND : IR_OR, a, b, negate, negate);
    case IR_NOT: return form(f, a, !negate);
    case IR_SELECT: return choice(f, e, negate);
    case IR_LT: case IR_LE: case IR_EQ: case IR_NE:
        if (sort == IR_SORT_INT) return of_integers(f, e, negate);
        if (sort == IR_SORT_BOOL) return alike(f, a, b, (x.op == IR_EQ) != negate);
        break;
    default: break;
    }
    return negate ? ir_not(u, e) : e;
}

/* Shared parts are formed once. */
static ir_expr form(former *f, ir_expr e, bool negate) {
    uint32_t known;
    if (pass_memo_get(&f->done[negate], e, &known)) return known;
    ir_expr r = formed(f, e, negate);
    pass_memo_put(&f->done[negate], e, r);
    return r;
}

ir_expr mask_form(ir_unit *u, ir_expr truth, uint32_t lifts) {
    former f = { u, { pass_memo_create(u->arena), pass_memo_create(u->arena) }, lifts };
    return form(&f, truth, false);
}

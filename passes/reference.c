/* References that need not move, or not with every block. A sum of 2^(y - r) is kept relative to the line r, as a rule a running maximum, and moves whenever r does. But a quotient of two
 * such sums is the same at any reference: where y is known to lie near one number, as the scores of a soft cap do, the sums stand at that
 * number from the first column to the last, and nobody computes the maximum unless something else reads it. And where nothing is known of y, they may stay at the
 * maximum of some columns, as long as the sums stay in range, which whoever computes them has to look at: such a reference lags.
 *
 * Two questions, both about one line r, of which one that lags asks the second alone:
 *   how far may y be from the middle of what it can be? Intervals of reals say it, lines written out (ir/interval.c);
 *   do results hold the reference? Each expression has a degree, the power of 2^-r that it is a multiple of: 2^(y - r) and sums of it have 1, a quotient
 *   of two of these 0, and so must all that is stored, folded otherwise, or compared. */
#include "passes.h"
#include "memo.h"

/* Powers of two that a weight may be away from 1. 2^31 columns of 2^75 are far below the largest f32, 2^-75 far above the smallest normal one; values
 * that are summed have 2^21 of room at that, and 2^42 at 2048 columns. Soft caps up to 51 are within. */
enum { REACH = 75 };

enum { FREE, ONE, MIXED };       /* degrees; MIXED: not a multiple of one power, or of another */
typedef struct {
    const ir_kernel *k;
    ir_unit *u;
    uint32_t ref;
    uint8_t *line;               /* degree by line */
    ir_expr *out;                /* by line: written out, 0: not yet */
    pass_memo degrees;           /* by expression */
    ir_interval near;            /* what the exponents of the sums can be, in whole numbers */
    bool met;                    /* there is such an exponent */
    const bool *behind;          /* r lags. By line: a fold that it comes from, which then lacks columns; NULL: r does not */
    ir_expr weight;              /* r lags: the 2^(y - r) that some fold sums */
    bool several;                /* there are others */
} reference;

/* ---- what an exponent can be */

static ir_expr write_out(ir_unit *u, void *env, ir_expr e) {
    reference *r = env;
    if (!ir_is(u, e, IR_LET)) return 0;
    const uint32_t i = ir_at(u, e)->u.ref;
    if (r->k->lets[i].kind != IR_LET_EXPR) return 0;
    if (!r->out[i]) r->out[i] = ir_rebuild(u, r->k->lets[i].e, write_out, env);
    return r->out[i];
}
static void meet(reference *r, ir_expr y) {
    const ir_interval x = ir_interval_of_real(r->u, ir_rebuild(r->u, y, write_out, r), NULL);
    r->near = r->met ? (ir_interval){x.lo < r->near.lo ? x.lo : r->near.lo, x.hi > r->near.hi ? x.hi : r->near.hi} : x;
    r->met = true;
}
/* Ends are compared before they are subtracted: unknown ones are the ends of int64. */
static bool is_near(const reference *r) {
    const int64_t far = 1 << 20;
    return r->met && r->near.lo > -far && r->near.hi < far && r->near.hi - r->near.lo <= 2 * REACH;
}

/* ---- degrees */

static uint8_t degree(reference *r, ir_expr e);

/* What stands behind lines that are only names. */
static ir_expr behind(const reference *r, ir_expr e) {
    while (ir_is(r->u, e, IR_LET) && r->k->lets[ir_at(r->u, e)->u.ref].kind == IR_LET_EXPR && ir_at(r->u, e)->u.ref != r->ref) e = r->k->lets[ir_at(r->u, e)->u.ref].e;
    return e;
}
static bool is_line(const reference *r, ir_expr e) { return ir_is(r->u, e, IR_LET) && ir_at(r->u, e)->u.ref == r->ref; }
/* 2^(y - r): met here, wherever it stands, since sums of it are what the reference is for. */
static bool is_weight(reference *r, ir_expr e) {
    if (!ir_is(r->u, e, IR_EXP2)) return false;
    const ir_expr d = behind(r, ir_operand(r->u, e, 0));
    if (!ir_is(r->u, d, IR_SUB) || !is_line(r, ir_operand(r->u, d, 1)) || degree(r, ir_operand(r->u, d, 0)) != FREE) return false;
    meet(r, ir_operand(r->u, d, 0));
    r->several |= e != r->weight;
    return true;
}
static bool is_zero(const reference *r, ir_expr e) {
    double x;
    return ir_is_real(r->u, e, &x) && x == 0;
}
/* Of two that are added, or of which one is taken: both alike. 0 is a multiple of anything. */
static uint8_t both(reference *r, ir_expr a, ir_expr b) {
    const uint8_t x = degree(r, a), y = degree(r, b);
    return x == y || is_zero(r, b) ? x : is_zero(r, a) ? y : MIXED;
}

/* ---- a row that has seen nothing: r = max(x, -3.4e38), and x == -inf, or != */

static ir_expr fold_out(ir_unit *u, void *env, ir_expr e) {
    const reference *r = env;
    if (!ir_is(u, e, IR_LET)) return 0;
    const uint32_t i = ir_at(u, e)->u.ref;
    return r->behind[i] ? ir_rebuild(u, r->k->lets[i].e, write_out, env) : write_out(u, env, e);
}
/* It holds without the columns that the fold lacks if x is the fold of y: of those y - r is less than 32, so none is above r where r is its least value. */
static bool asks_for_seen(reference *r, ir_expr e) {
    const ir_op op = (ir_op)ir_at(r->u, e)->op;
    const ir_expr top = r->k->lets[r->ref].e;
    double nothing, least;
    if (!r->behind || (op != IR_EQ && op != IR_NE) || !ir_is(r->u, top, IR_MAX)) return false;
    if (!ir_is_real(r->u, ir_operand(r->u, e, 1), &nothing) || nothing != -HUGE_VAL || !ir_is_real(r->u, ir_operand(r->u, top, 1), &least) || least > -3.4e38) return false;
    const ir_expr x = ir_operand(r->u, top, 0), y = ir_operand(r->u, behind(r, ir_operand(r->u, r->weight, 0)), 0);
    return behind(r, ir_operand(r->u, e, 0)) == behind(r, x) && ir_rebuild(r->u, x, fold_out, r) == ir_rebuild(r->u, y, write_out, r);
}

/* ---- degrees of expressions */

static uint8_t degree_new(reference *r, ir_expr e) {
    const ir_expr_info x = *ir_at(r->u, e);
    if (x.op == IR_LET) return x.u.ref == r->ref || (r->behind && r->behind[x.u.ref]) ? MIXED : r->line[x.u.ref];
    if (is_weight(r, e)) return ONE;
    if (asks_for_seen(r, e)) return FREE;
    bool any = false;
    for (uint32_t i = 0; i < x.operands.n; i++) any |= degree(r, ir_operand(r->u, e, i)) != FREE;
    if (!any) return FREE;
    const ir_expr a = ir_operand(r->u, e, 0), b = x.operands.n > 1 ? ir_operand(r->u, e, 1) : a;
    const uint8_t p = degree(r, a), q = degree(r, b);
    switch (x.op) {
    case IR_NEG: return p;
    case IR_ADD: case IR_SUB: return both(r, a, b);
    case IR_SELECT: return p == FREE ? both(r, b, ir_operand(r->u, e, 2)) : MIXED;
    case IR_MUL: return p == FREE ? q : q == FREE ? p : MIXED;
    case IR_DIV: return q == FREE ? p : p == ONE && q == ONE ? FREE : MIXED;
    default: return MIXED;
    }
}
static uint8_t degree(reference *r, ir_expr e) {
    uint32_t known;
    if (!e) return FREE;
    if (pass_memo_get(&r->degrees, e, &known)) return (uint8_t)known;
    const uint8_t d = degree_new(r, e);
    pass_memo_put(&r->degrees, e, d);
    return d;
}

/* False: a fold takes what is no multiple of its power. Other lines are judged by who reads them. */
static bool judge_line(reference *r, uint32_t i) {
    const ir_let *l = &r->k->lets[i];
    const bool plain = degree(r, l->where) == FREE && degree(r, l->b) == FREE;
    const uint8_t d = degree(r, l->e);
    if (l->kind == IR_LET_EXPR) r->line[i] = d;
    else if (l->kind == IR_LET_TERM) r->line[i] = plain && d == FREE && degree(r, l->a) == FREE ? FREE : MIXED;
    else if (l->ref == (int32_t)r->ref) return r->line[i] = ONE, plain && d == ONE;
    else return plain && d == FREE;
    return true;
}
static bool results_hold(reference *r) {
    for (uint32_t i = 0; i < r->k->n_stores; i++) {
        if (degree(r, r->k->stores[i].e) != FREE) return true;
        for (uint32_t n = 0; n < r->k->stores[i].at.n_places; n++)
            if (degree(r, r->k->stores[i].at.places[n]) != FREE) return true;
    }
    return degree(r, r->k->inside) != FREE;
}

static reference reference_at(const ir_kernel *k, uint32_t line) {
    reference r = {.k = k, .u = k->unit, .ref = line, .degrees = pass_memo_create(k->unit->arena)};
    r.line = BASE_ARRAY(k->unit->arena, k->n_lets + 1, uint8_t);
    r.out = BASE_ARRAY(k->unit->arena, k->n_lets + 1, ir_expr);
    return r;
}
static bool is_reference(const ir_kernel *k, uint32_t line) {
    bool used = false;
    for (uint32_t i = line + 1; i < k->n_lets; i++) used |= k->lets[i].kind >= IR_LET_FOLD && k->lets[i].ref == (int32_t)line;
    return used && k->lets[line].kind == IR_LET_EXPR;
}
/* The number at which sums relative to the line may stand in all columns; 0: none that is known here. */
static ir_expr bound_of(const ir_kernel *k, uint32_t line) {
    reference r = reference_at(k, line);
    for (uint32_t i = 0; i < k->n_lets; i++)
        if (!judge_line(&r, i) || (r.met && !is_near(&r))) return 0;
    if (results_hold(&r) || !is_near(&r)) return 0;
    return ir_real(k->unit, ((double)r.near.lo + (double)r.near.hi) / 2);
}

/* ---- may it lag? */

typedef struct { const ir_kernel *k; bool *folds; bool others; } comes_from;
static bool from_visit(const ir_unit *u, void *env, ir_expr e) {
    comes_from *c = env;
    if (!ir_is(u, e, IR_LET)) return true;
    const ir_let *l = &c->k->lets[ir_at(u, e)->u.ref];
    if (l->kind == IR_LET_EXPR) ir_walk(u, l->e, from_visit, env);
    else if (l->kind == IR_LET_FOLD && l->ref < 0) c->folds[ir_at(u, e)->u.ref] = true;
    else c->others = true;
    return true;
}
/* The sums that are looked at are those of the weights themselves. */
static ir_expr weight_of(const reference *r) {
    for (uint32_t i = 0; i < r->k->n_lets; i++) {
        const ir_let *l = &r->k->lets[i];
        if (l->kind == IR_LET_FOLD && l->red == IR_RED_SUM && l->ref == (int32_t)r->ref && ir_is(r->u, behind(r, l->e), IR_EXP2)) return behind(r, l->e);
    }
    return 0;
}
/* NULL, or by line which folds it comes from. */
static const bool *may_lag(const ir_kernel *k, uint32_t line) {
    comes_from c = {k, BASE_ARRAY(k->unit->arena, k->n_lets + 1, bool), false};
    reference r = reference_at(k, line);
    ir_walk(k->unit, k->lets[line].e, from_visit, &c);
    r.behind = c.folds;
    r.weight = weight_of(&r);
    if (c.others || !r.weight) return NULL;
    for (uint32_t i = 0; i < k->n_lets; i++)
        if (!judge_line(&r, i)) return NULL;
    return r.several || results_hold(&r) ? NULL : c.folds;
}
/* Blocks leave all folds behind a sweep's references out, or none. */
static bool sweep_lags(const ir_kernel *k, const ir_let_schedule *lets, uint32_t sweep) {
    for (uint32_t i = 0; i < k->n_lets; i++)
        if (k->lets[i].kind >= IR_LET_FOLD && k->lets[i].sweep == sweep && k->lets[i].ref >= 0 && !lets[k->lets[i].ref].lags) return false;
    return true;
}
static void find_lagging(const ir_kernel *k, ir_let_schedule *lets) {
    for (uint32_t i = 0; i < k->n_lets; i++) {
        const bool *folds = is_reference(k, i) && !lets[i].bound ? may_lag(k, i) : NULL;
        for (uint32_t f = 0; f < i && folds; f++) lets[f].lags |= folds[f];
        lets[i].lags = folds;
    }
    for (uint32_t i = 0; i < k->n_lets; i++) {
        const ir_let *l = &k->lets[i];
        if (l->kind < IR_LET_FOLD || sweep_lags(k, lets, l->sweep)) continue;
        lets[i].lags = false;
        if (l->ref >= 0) lets[l->ref].lags = false;
    }
}

/* ---- who is left to read a fold */

typedef struct { bool *live; } live_env;
static bool live_visit(const ir_unit *u, void *env, ir_expr e) {
    if (ir_is(u, e, IR_LET)) ((live_env *)env)->live[ir_at(u, e)->u.ref] = true;
    return true;
}
static bool *stores_read(const ir_kernel *k) {
    live_env v = {BASE_ARRAY(k->unit->arena, k->n_lets + 1, bool)};
    for (uint32_t i = 0; i < k->n_stores; i++) {
        ir_walk(k->unit, k->stores[i].e, live_visit, &v);
        for (uint32_t n = 0; n < k->stores[i].at.n_places; n++) ir_walk(k->unit, k->stores[i].at.places[n], live_visit, &v);
    }
    ir_walk(k->unit, k->inside, live_visit, &v);
    return v.live;
}
/* Backwards, since lines read upwards: each has been marked by all who read it when it passes that on. A reference that is a number reads nothing. */
void pass_references(const ir_kernel *k, ir_let_schedule *lets) {
    bool any = false;
    for (uint32_t i = 0; i < k->n_lets; i++) any |= is_reference(k, i) && (lets[i].bound = bound_of(k, i)) != 0;
    find_lagging(k, lets);
    if (!any) return;
    live_env v = {stores_read(k)};
    for (uint32_t i = k->n_lets; i--;) {
        const ir_let *l = &k->lets[i];
        const ir_expr parts[] = {l->e, l->a, l->b, l->where};
        lets[i].idle = l->kind == IR_LET_FOLD && !v.live[i];
        for (size_t n = 0; n < sizeof parts / sizeof *parts && v.live[i] && !lets[i].bound; n++)
            if (parts[n]) ir_walk(k->unit, parts[n], live_visit, &v);
    }
}

/* The range of keys that a tile of rows sees, in closed form. Each comparison is solved for the key: one monomial holds it, the rest has
 * bounds on the rows. `and` intersects, `or` takes the hull. What cannot be solved sees every key and fully sees none. */
#include "mask.h"

typedef struct {                 /* ends of the key, inclusive; 0: none. exact: deciding tiles by them is as good as by may and must */
    ir_expr first, last, full_first, full_last;
    bool exact;
} hull;
typedef struct { ir_expr may, must; } limit;     /* for some row of the tile; for all */
typedef struct { mask_state *s; ir_var key; ir_expr n_keys; } solver;

static hull everything(void) { return (hull){ .exact = true }; }
static hull opaque(solver *v) { return (hull){ .full_last = ir_int(v->s->u, -1) }; }
static bool has_key(const solver *v, ir_expr e) { return ir_depends(v->s->u, e, v->key); }

static bool solve_sum(solver *v, ir_expr e, bool upper, limit b, hull *h);

/* p*x <= b with p that stands still: x <= b // p. */
static bool solve_product(solver *v, ir_expr e, bool upper, limit b, hull *h) {
    mask_state *s = v->s;
    ir_expr p = ir_operand(s->u, e, 0), x = ir_operand(s->u, e, 1);
    if (mask_is_point(s, x)) {
        ir_expr t = p;
        p = x, x = t;
    }
    /* a factor of 0 would hide the key: it must be 1 or more */
    if (!mask_is_point(s, p) || !mask_no_less(s, p, 1)) return false;
    limit c = upper ? (limit){ mask_div(s, b.may, p), mask_div(s, b.must, p) } : (limit){ mask_div_up(s, b.may, p), mask_div_up(s, b.must, p) };
    return solve_sum(v, x, upper, c, h);
}

/* x // d <= b: x <= d*b + d - 1; x // d >= b: x >= d*b. */
static bool solve_quotient(solver *v, ir_expr e, bool upper, limit b, hull *h) {
    mask_state *s = v->s;
    ir_expr d = ir_operand(s->u, e, 1), more = upper ? mask_sub(s, d, ir_int(s->u, 1)) : ir_int(s->u, 0);
    if (!mask_is_point(s, d) || !mask_no_less(s, d, 0)) return false;
    limit c = { mask_add(s, mask_mul(s, d, b.may), more), mask_add(s, mask_mul(s, d, b.must), more) };
    return solve_sum(v, ir_operand(s->u, e, 0), upper, c, h);
}

/* m <= b, or m >= b: m holds the key and is no sum. */
static bool solve_monomial(solver *v, ir_expr m, bool upper, limit b, hull *h) {
    const ir_expr_info x = *ir_at(v->s->u, m);
    if (!b.may || !b.must) return false;
    if (x.op == IR_MUL) return solve_product(v, m, upper, b, h);
    if (x.op == IR_FDIV) return solve_quotient(v, m, upper, b, h);
    if (x.op != IR_VAR) return false;
    if (upper) h->last = b.may, h->full_last = b.must;
    else h->first = b.may, h->full_first = b.must;
    return true;
}

/* The only term that holds the key; p->n: none, or several. */
static uint32_t key_term(const solver *v, const ir_poly *p) {
    uint32_t at = p->n;
    for (uint32_t k = 0; k < p->n; k++) {
        if (!p->at[k].monomial || !has_key(v, p->at[k].monomial)) continue;
        if (at != p->n) return p->n;
        at = k;
    }
    return at;
}

/* A remainder that wraps on the tile is judged better by may and must. */
static bool wraps(const solver *v, const ir_poly *p, uint32_t skip) {
    for (uint32_t k = 0; k < p->n; k++)
        if (k != skip && p->at[k].monomial && ir_is(v->s->u, p->at[k].monomial, IR_MOD) && !mask_is_point(v->s, p->at[k].monomial)) return true;
    return false;
}

/* e <= b or e >= b, where e is c*m + rest. */
static bool solve_sum(solver *v, ir_expr e, bool upper, limit b, hull *h) {
    mask_state *s = v->s;
    ir_poly p = ir_poly_of(s->u, e);
    uint32_t at = key_term(v, &p);
    if (at == p.n || p.at[at].coef == INT64_MIN) return false;
    mask_bounds rest = mask_sum_bounds(s, &p, at);
    if (wraps(v, &p, at)) h->exact = false;
    limit c = upper ? (limit){ mask_sub(s, b.may, rest.lo), mask_sub(s, b.must, rest.hi) } : (limit){ mask_sub(s, b.may, rest.hi), mask_sub(s, b.must, rest.lo) };
    int64_t coef = p.at[at].coef;
    if (coef < 0) {
        ir_expr zero = ir_int(s->u, 0);
        c = (limit){ mask_sub(s, zero, c.may), mask_sub(s, zero, c.must) };
        upper = !upper, coef = -coef;
    }
    ir_expr d = ir_int(s->u, coef);
    c = upper ? (limit){ mask_div(s, c.may, d), mask_div(s, c.must, d) } : (limit){ mask_div_up(s, c.may, d), mask_div_up(s, c.must, d) };
    return solve_monomial(v, p.at[at].monomial, upper, c, h);
}

/* ---- truth values */

static hull meet(mask_state *s, hull a, hull b) {
    return (hull){ mask_either(s, IR_MAX, a.first, b.first), mask_either(s, IR_MIN, a.last, b.last),
                   mask_either(s, IR_MAX, a.full_first, b.full_first), mask_either(s, IR_MIN, a.full_last, b.full_last), a.exact && b.exact };
}

/* Keys between the two may be seen by none. Where both begin or both end at the same keys, their union is a range again. */
static hull unite(mask_state *s, hull a, hull b) {
    hull h = { mask_both(s, IR_MIN, a.first, b.first), mask_both(s, IR_MAX, a.last, b.last), a.full_first, a.full_last, false };
    bool left = a.first == b.first && a.full_first == b.full_first, right = a.last == b.last && a.full_last == b.full_last;
    if (left) h.full_last = mask_both(s, IR_MAX, a.full_last, b.full_last);
    if (right) h.full_first = mask_both(s, IR_MIN, a.full_first, b.full_first);
    h.exact = (left || right) && a.exact && b.exact;
    return h;
}

/* A condition without the key: all keys or none. */
static hull when(solver *v, ir_truth t) {
    ir_unit *u = v->s->u;
    hull h = everything();
    ir_expr all = mask_sub(v->s, v->n_keys, ir_int(u, 1)), none = ir_int(u, -1);
    if (!ir_is_bool(u, t.may, true)) h.last = ir_select(u, t.may, all, none);
    if (!ir_is_bool(u, t.must, true)) h.full_last = ir_select(u, t.must, all, none);
    return h;
}

static hull solve_comparison(solver *v, ir_expr e) {
    ir_unit *u = v->s->u;
    hull h = everything(), g = everything();
    ir_expr d = ir_at(u, ir_operand(u, e, 0))->sort == IR_SORT_INT ? mask_difference(u, e) : 0;
    limit zero = { ir_int(u, 0), ir_int(u, 0) };
    if (!d || !solve_sum(v, d, false, zero, &h)) return opaque(v);
    if (!ir_is(u, e, IR_EQ)) return h;
    return solve_sum(v, d, true, zero, &g) ? meet(v->s, h, g) : opaque(v);
}

static hull solve(solver *v, ir_expr e) {
    ir_unit *u = v->s->u;
    if (!has_key(v, e)) return when(v, mask_truth_of(v->s, e));
    switch (ir_at(u, e)->op) {
    case IR_AND: return meet(v->s, solve(v, ir_operand(u, e, 0)), solve(v, ir_operand(u, e, 1)));
    case IR_OR: return unite(v->s, solve(v, ir_operand(u, e, 0)), solve(v, ir_operand(u, e, 1)));
    case IR_LT: case IR_LE: case IR_EQ: return solve_comparison(v, e);
    default: return opaque(v);
    }
}

ir_keys mask_keys_of(mask_state *s, ir_expr any, ir_expr all, ir_var key, ir_expr n_keys) {
    solver v = { s, key, n_keys };
    hull some = solve(&v, any), every = any == all ? some : solve(&v, all);
    ir_expr zero = ir_int(s->u, 0), last = ir_sub(s->u, n_keys, ir_int(s->u, 1));
    return (ir_keys){ .first = mask_either(s, IR_MAX, some.first, zero), .last = mask_either(s, IR_MIN, some.last, last),
                      .full_first = mask_either(s, IR_MAX, every.full_first, zero), .full_last = mask_either(s, IR_MIN, every.full_last, last),
                      .exact = some.exact && any == all };
}

/* ---- what several conditions say together, that none of them says alone: asked of tiles, along axes that are `joined` */

enum { SIDES = 6 };              /* of a chain that are looked at in pairs: each pair adds to what is computed for a tile */

/* Behind the tile nothing matters, so that it counts as the end of the axis. */
static solver along(mask_state *s, const mask_corner *c) { return (solver){ s, c->var, ir_add(s->u, c->hi, ir_int(s->u, 1)) }; }

static bool is_never(const ir_unit *u, ir_expr last) {
    int64_t k;
    return ir_is_int(u, last, &k) && k < 0;
}

/* a from the tile's beginning on, b to its end, and nothing between them. Where one of them is empty the other has all of it. */
static ir_expr cover(ir_unit *u, const mask_corner *c, hull a, hull b) {
    ir_expr all = ir_op2(u, IR_LE, b.full_first, ir_add(u, a.full_last, ir_int(u, 1)));
    if (a.full_first) all = ir_and(u, all, ir_op2(u, IR_LE, a.full_first, c->lo));
    return b.full_last ? ir_and(u, all, ir_op2(u, IR_LE, c->hi, b.full_last)) : all;
}

ir_expr mask_covered(mask_state *s, uint32_t n, const ir_expr *any) {
    ir_unit *u = s->u;
    ir_expr covered = ir_bool(u, false);
    for (uint32_t k = 0; k < s->n_corners; k++) {
        const mask_corner *c = &s->corners[k];
        if (!c->joined) continue;
        solver v = along(s, c);
        hull sides[SIDES];
        uint32_t m = 0;
        for (uint32_t i = 0; i < n && m < SIDES; i++)
            if (has_key(&v, any[i])) sides[m++] = solve(&v, any[i]);
        for (uint32_t a = 0; a < m; a++)
            for (uint32_t b = 0; b < m; b++)
                if (a != b && sides[a].full_last && sides[b].full_first && !is_never(u, sides[a].full_last) && !is_never(u, sides[b].full_last))
                    covered = ir_or(u, covered, cover(u, c, sides[a], sides[b]));
    }
    return covered;
}

static int64_t coefficient(const ir_poly *p, ir_expr monomial) {
    for (uint32_t k = 0; k < p->n; k++)
        if (p->at[k].monomial == monomial) return p->at[k].coef;
    return 0;
}
/* Whether a <= b for every tile, because no corner lies behind the other: b - a is a sum of widths and what is not negative. */
static bool is_always(const mask_state *s, ir_expr a, ir_expr b) {
    const ir_poly p = ir_poly_of(s->u, ir_sub(s->u, b, a));
    ir_expr rest = ir_sub(s->u, b, a);
    for (uint32_t k = 0; k < s->n_corners; k++) {
        const mask_corner *c = &s->corners[k];
        const int64_t n = c->hi ? coefficient(&p, c->hi) : 0;
        if (n > 0 && c->lo && n < INT32_MAX) rest = ir_sub(s->u, rest, ir_mul(s->u, ir_int(s->u, n), ir_sub(s->u, c->hi, c->lo)));
    }
    return ir_interval_of(s->u, rest).lo >= 0;
}
static ir_expr no_later(const mask_state *s, ir_expr a, ir_expr b) { return !a || !b || is_always(s, a, b) ? ir_bool(s->u, true) : ir_op2(s->u, IR_LE, a, b); }

ir_expr mask_meets(mask_state *s, const mask_corner *c, ir_expr a, ir_expr b) {
    solver v = along(s, c);
    if (!has_key(&v, a) || !has_key(&v, b)) return ir_bool(s->u, true);
    const hull x = solve(&v, a), y = solve(&v, b);
    return ir_and(s->u, no_later(s, x.first, y.last), no_later(s, y.first, x.last));
}

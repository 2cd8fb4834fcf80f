/* Split indices. A READ whose position holds v//c or v%c splits the variable v into hi and lo, v = hi*c + lo: heads into group and member,
 * pages into page and slot. All positions become affine, or tables of outer parts. Outer variables are split only where c divides
 * the extent, so that every result axis stays whole; for reductions an inexact split gets the guard hi*c + lo < extent.
 * Splitting is never needed for correctness: where too many axes would come out, the position stays as it is. */
#include "lower.h"

typedef struct {
    lower_state *s;
    ir_var var;                  /* found: this variable, */
    ir_expr by;                  /* by this; 0: none found */
    bool outer;                  /* looking for outer variables; else for those of `red` */
    ir_expr red;
    pass_memo seen;
} finder;

/* May v be split by c? Then lo runs to c and hi to the quotient; the quotient must not divide by a c that may be 0. */
/* c must be the same at every index and known before a launch: no variable, no table. The extent must not move either: halves of a ragged
 * axis would not be a box. Where c divides a symbolic extent but may be 0, the quotient must have folded to something without the division. */
static bool splits(lower_state *s, ir_var v, ir_expr c, bool must_divide) {
    ir_unit *u = s->u;
    ir_expr extent = u->var.at[v].extent;
    if (ir_free(u, c) || ir_has_op(u, c, IR_READ) || ir_free(u, extent)) return false;
    if (ir_divides(u, c, extent)) {
        ir_expr quotient = ir_op2(u, IR_FDIV, extent, c);
        return ir_at_least(u, c, 1) || !ir_is(u, quotient, IR_FDIV);
    }
    return !must_divide && ir_at_least(u, c, 1);
}

/* Looks for v//c and v%c, v a bare variable, in one position. The first one that may be split is taken: after the split all is looked at again. */
static bool position_visit(const ir_unit *u, void *env, ir_expr e) {
    finder *f = env;
    if (f->by || !pass_memo_add(&f->seen, e)) return false;
    ir_op op = (ir_op)ir_at(u, e)->op;
    if (op == IR_READ || op == IR_RED) return false;             /* looked at on their own */
    if ((op != IR_FDIV && op != IR_MOD) || !ir_is(u, ir_operand(u, e, 0), IR_VAR)) return true;
    ir_var v = ir_at(u, ir_operand(u, e, 0))->u.ref;
    bool mine = f->outer ? ir_set_has(u, f->s->fixed, v) : f->var == v;
    if (mine && splits(f->s, v, ir_operand(u, e, 1), f->outer)) f->var = v, f->by = ir_operand(u, e, 1);
    return false;
}
/* One memo per read: positions of one read share expressions, and what was refused for one variable is asked again for another. */
static bool read_visit(const ir_unit *u, void *env, ir_expr e) {
    finder *f = env;
    if (f->by) return false;
    if (ir_is(u, e, IR_READ)) {
        f->seen = pass_memo_create(f->s->arena);
        for (uint32_t i = 0; i < ir_n_operands(u, e); i++) ir_walk(u, ir_operand(u, e, i), position_visit, f);
    }
    return true;
}

/* hi runs to the extent over c, rounded up where c does not divide it: then the last group has indices beyond the extent. */
static void make_halves(lower_state *s, ir_var v, ir_expr c, ir_var *hi, ir_var *lo, ir_expr *whole) {
    ir_unit *u = s->u;
    const char *name = u->var.at[v].name;
    ir_expr extent = u->var.at[v].extent, n = extent;
    if (!ir_divides(u, c, extent)) n = ir_sub(u, ir_add(u, extent, c), ir_int(u, 1));
    *hi = ir_var_new(u, base_printf(u->arena, "%s1", name), ir_op2(u, IR_FDIV, n, c));
    *lo = ir_var_new(u, base_printf(u->arena, "%s0", name), c);
    *whole = ir_add(u, ir_mul(u, ir_var_expr(u, *hi), c), ir_var_expr(u, *lo));
}

/* Places too: they are what says where an element of the result lies once its variable is gone. */
static void substitute_all(lower_state *s, ir_var v, ir_expr by) {
    ir_binding b = { v, by };
    for (uint32_t i = 0; i < s->n_results; i++) {
        s->root[i] = ir_substitute(s->u, s->root[i], 1, &b);
        ir_store *st = &s->store[i];
        ir_expr *places = BASE_ARRAY(s->arena, st->n_places, ir_expr);
        for (uint32_t k = 0; k < st->n_places; k++) places[k] = ir_substitute(s->u, st->places[k], 1, &b);
        st->places = places;
    }
}

/* True: one variable was split, look again. `+ 4`: features and columns need axes too, and a kernel has IR_AXES of them at most. */
static bool split_outer(lower_state *s) {
    finder f = { .s = s, .outer = true };
    for (uint32_t i = 0; i < s->n_results && !f.by; i++) ir_walk(s->u, s->root[i], read_visit, &f);
    if (!f.by || s->outer.n + 4 > IR_AXES) return false;
    uint32_t at = 0;
    while (at < s->outer.n && s->outer.at[at] != f.var) at++;
    if (at == s->outer.n) return false;                          /* a counter */
    ir_var hi, lo;
    ir_expr whole;
    make_halves(s, f.var, f.by, &hi, &lo, &whole);
    substitute_all(s, f.var, whole);
    /* hi and lo take the variable's place side by side: axes stay in the order in which the result lies in memory */
    BASE_PUSH(s->arena, &s->outer, lo);
    for (uint32_t i = s->outer.n - 1; i > at + 1; i--) s->outer.at[i] = s->outer.at[i - 1];
    s->outer.at[at] = hi;
    s->outer.at[at + 1] = lo;
    s->fixed = ir_set_union(s->u, s->fixed, ir_set_of(s->u, 2, (ir_var[]){ hi, lo }));
    return true;
}

/* Reductions over the same extent that do not depend on what others bind (the scores' maximum, say) are split alike, so that they remain
 * reductions over the same columns. */
typedef struct { lower_state *s; ir_expr extent, by; } split_env;

/* One bound variable becomes two in its place. The guard goes in front of the others: what they read at indices beyond the extent
 * must not be read. */
static ir_expr split_one(lower_state *s, ir_expr red, uint32_t at, ir_expr by) {
    ir_unit *u = s->u;
    uint32_t n = ir_red_n_bound(u, red);
    ir_var *bound = BASE_ARRAY(s->arena, n + 1, ir_var), hi, lo, v = ir_red_bound(u, red, at);
    ir_expr whole, where = ir_red_where(u, red), body = ir_red_body(u, red), extent = u->var.at[v].extent;
    make_halves(s, v, by, &hi, &lo, &whole);
    for (uint32_t i = 0; i < n; i++) bound[i < at ? i : i + 1] = ir_red_bound(u, red, i);
    bound[at] = hi;
    bound[at + 1] = lo;
    ir_binding b = { v, whole };
    where = ir_substitute(u, where, 1, &b);
    body = ir_substitute(u, body, 1, &b);
    if (!ir_divides(u, by, extent)) where = ir_and(u, ir_op2(u, IR_LT, whole, extent), where);
    return ir_reduce(u, (ir_red)ir_at(u, red)->u.ref, n + 1, bound, where, body);
}
/* Does an extent of the other variables that it binds move with the i-th? Then that one stays whole: they would need new ranges, too. */
static bool shapes_others(const ir_unit *u, ir_expr red, uint32_t i) {
    for (uint32_t k = 0; k < ir_red_n_bound(u, red); k++)
        if (ir_depends(u, u->var.at[ir_red_bound(u, red, k)].extent, ir_red_bound(u, red, i))) return true;
    return false;
}
/* Called from the leaves up on every reduction. `fixed`: it depends on nothing that others bind, so it may share columns with the one found;
 * any other is split only where its own positions ask for the same divisor. */
static ir_expr split_like(ir_unit *u, void *env, ir_expr e) {
    split_env *p = env;
    if (!ir_is(u, e, IR_RED)) return 0;
    bool fixed = !ir_set_minus(u, ir_free(u, e), p->s->fixed);
    for (uint32_t i = 0; i < ir_red_n_bound(u, e); i++) {
        ir_var v = ir_red_bound(u, e, i);
        if (u->var.at[v].extent != p->extent || shapes_others(u, e, i)) continue;
        finder f = { .s = p->s, .var = v };
        ir_walk(u, ir_red_body(u, e), read_visit, &f);
        if (!f.by) ir_walk(u, ir_red_where(u, e), read_visit, &f);
        if (fixed || f.by == p->by) return split_one(p->s, e, i, p->by);
    }
    return 0;
}

typedef struct { finder f; pass_memo seen; } red_env;
/* The first variable of the first reduction whose positions ask for a split. A reduction over 6 variables or more is left as it is. */
static bool red_visit(const ir_unit *u, void *env, ir_expr e) {
    red_env *r = env;
    if (r->f.by) return false;
    if (!ir_is(u, e, IR_RED)) return true;
    for (uint32_t i = 0; i < ir_red_n_bound(u, e) && !r->f.by && ir_red_n_bound(u, e) < 6; i++) {
        if (shapes_others(u, e, i)) continue;
        r->f.var = ir_red_bound(u, e, i);
        ir_walk(u, ir_red_body(u, e), read_visit, &r->f);
        if (!r->f.by) ir_walk(u, ir_red_where(u, e), read_visit, &r->f);
    }
    return !r->f.by;
}
/* All reductions of this extent are rewritten in one go; by extent and not by variable, since one in the other they bind different ones. */
static bool split_bound(lower_state *s) {
    red_env r = { .f = { .s = s } };
    for (uint32_t i = 0; i < s->n_results && !r.f.by; i++) ir_walk(s->u, s->root[i], red_visit, &r);
    if (!r.f.by) return false;
    split_env p = { s, s->u->var.at[r.f.var].extent, r.f.by };
    for (uint32_t i = 0; i < s->n_results; i++) s->root[i] = ir_rebuild_up(s->u, s->root[i], split_like, &p);
    return true;
}

void lower_split(lower_state *s) {
    enum { MOST = 8 };           /* splits of one node: each removes a // or % by a divisor; the rest stays as it is */
    for (int i = 0; i < MOST && split_outer(s); i++) {}
    for (int i = 0; i < MOST && split_bound(s); i++) {}
}

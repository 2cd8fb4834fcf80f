/* In how many sweeps over the columns can the folds be had? A fold that depends on another runs one sweep later, unless it sums 2^(y - r) times something
 * that is final by then, and r depends on maxima of this sweep: then it is kept relative to 2^r in the same sweep, and when r moves, what was
 * summed is multiplied by 2^(old r - new r). That is the online softmax, derived. */
#include "lower.h"

/* memo: by expression, the sweeps that it needs. It may be kept over all lines: an expression reads lines above only, and those are placed. */
typedef struct { lower_state *s; pass_memo memo; } need_env;
static uint32_t need(need_env *n, ir_expr e);

/* Sweeps that must be over before the line has its final value. */
/* The fold of sweep k is final when k + 1 sweeps are over; other lines have `sweep` as the first that may use them. */
static uint32_t line_need(need_env *n, uint32_t line) {
    const ir_let *l = &n->s->lets.at[line];
    return l->kind == IR_LET_FOLD || l->kind == IR_LET_ACC ? l->sweep + 1u : l->sweep;
}
/* The greatest need of the lines in e. The poison stands for a part that the line does not have. */
static uint32_t need(need_env *n, ir_expr e) {
    ir_unit *u = n->s->u;
    uint32_t most = 0;
    if (!e) return 0;
    if (ir_is(u, e, IR_LET)) return line_need(n, ir_at(u, e)->u.ref);
    if (pass_memo_get(&n->memo, e, &most)) return most;
    for (uint32_t i = 0; i < ir_n_operands(u, e); i++) {
        uint32_t d = need(n, ir_operand(u, e, i));
        if (d > most) most = d;
    }
    pass_memo_put(&n->memo, e, most);
    return most;
}

static uint32_t greater(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* Through lines that hold columns, so that the product inside is seen. */
static ir_expr peel(const lower_state *s, ir_expr e) {
    /* ends: a line reads only lines above it. Lines without columns stay: a reference must be found as the line that it is */
    while (ir_is(s->u, e, IR_LET)) {
        const ir_let *l = &s->lets.at[ir_at(s->u, e)->u.ref];
        if (l->kind != IR_LET_EXPR || !(l->rank & IR_COL)) break;
        e = l->e;
    }
    return e;
}
/* Which side of a division a factor stands on does not matter here: it is only asked what each one needs. */
static void peel_factors(lower_state *s, ir_expr e, lower_list *out) {
    e = peel(s, e);
    if (ir_is(s->u, e, IR_MUL)) {
        ir_expr b = ir_operand(s->u, e, 1);
        peel_factors(s, ir_operand(s->u, e, 0), out);
        peel_factors(s, b, out);
    } else if (ir_is(s->u, e, IR_DIV)) {
        ir_expr b = ir_operand(s->u, e, 1);
        peel_factors(s, ir_operand(s->u, e, 0), out);
        BASE_PUSH(s->arena, out, b);
    } else {
        BASE_PUSH(s->arena, out, e);
    }
}

/* A FOLD that is kept relative to something itself moves down when its reference does: no reference for others. What the reference reads of
 * earlier sweeps is final and may be anything. */
/* All folds of the last needed sweep that the reference reads are absolute maxima: then it never falls far below its final value. */
static bool maxima_only(need_env *n, ir_expr e, uint32_t sweep, pass_memo *seen) {
    ir_unit *u = n->s->u;
    /* final before this sweep, so it does not move; or looked at already, and then that look says no if it must */
    if (need(n, e) <= sweep || !pass_memo_add(seen, e)) return true;
    if (ir_is(u, e, IR_LET)) {
        const ir_let *l = &n->s->lets.at[ir_at(u, e)->u.ref];
        if (l->kind == IR_LET_FOLD) return l->red == IR_RED_MAX && l->ref < 0;
        return l->kind == IR_LET_EXPR && !(l->rank & ~IR_ROW) && maxima_only(n, l->e, sweep, seen);
    }
    for (uint32_t i = 0; i < ir_n_operands(u, e); i++)
        if (!maxima_only(n, ir_operand(u, e, i), sweep, seen)) return false;
    return true;
}

/* The line r of a factor 2^(y - r) that alone keeps the fold from running in `sweep`; -1: there is none. */
static int32_t reference(need_env *n, ir_expr body, uint32_t sweep) {
    lower_state *s = n->s;
    ir_unit *u = s->u;
    lower_list f = { 0 };
    int32_t ref = -1;
    peel_factors(s, body, &f);
    for (uint32_t i = 0; i < f.n; i++) {
        /* invariant: at most one factor needs more than `sweep`, and ref is its reference */
        if (need(n, f.at[i]) <= sweep) continue;
        if (ref >= 0 || !ir_is(u, f.at[i], IR_EXP2)) return -1;
        ir_expr d = peel(s, ir_operand(u, f.at[i], 0));
        if (!ir_is(u, d, IR_SUB)) return -1;
        ir_expr y = ir_operand(u, d, 0), r = ir_operand(u, d, 1);
        if (need(n, y) > sweep || !ir_is(u, r, IR_LET)) return -1;
        uint32_t line = ir_at(u, r)->u.ref;
        const ir_let *l = &s->lets.at[line];
        pass_memo seen = pass_memo_create(s->arena);
        if (l->kind != IR_LET_EXPR || l->rank & ~IR_ROW || l->sort != IR_SORT_REAL || !maxima_only(n, r, sweep, &seen)) return -1;
        ref = (int32_t)line;
    }
    return ref;
}

/* weight: what the body needs; others: what may not move with the reference, the guard and the value factor. One sweep sooner is all that can be
 * had: a fold of that sweep has no running value before it. */
static void place(need_env *n, ir_let *l) {
    uint32_t weight = need(n, l->e), others = greater(need(n, l->where), need(n, l->b));
    l->sweep = (uint8_t)greater(weight, others);
    if (l->red != IR_RED_SUM || l->sort != IR_SORT_REAL || !weight) return;
    uint32_t sooner = weight - 1;
    /* the guard or the value moves with the reference: nothing that has been summed could be corrected by one factor */
    if (others > sooner) return;
    int32_t ref = reference(n, l->e, sooner);
    if (ref >= 0) l->ref = ref, l->sweep = (uint8_t)sooner;
}

/* In the order of lines, each after those that it reads. `sweep` is a byte, hence the limit on chains. */
uint8_t lower_sweeps(lower_state *s) {
    need_env n = { s, pass_memo_create(s->arena) };
    uint32_t sweeps = 0;
    for (uint32_t i = 0; i < s->lets.n; i++) {
        ir_let *l = &s->lets.at[i];
        if (l->kind == IR_LET_EXPR || l->kind == IR_LET_TERM) {
            uint32_t d = greater(greater(need(&n, l->e), need(&n, l->where)), greater(need(&n, l->a), need(&n, l->b)));
            l->sweep = (uint8_t)d;
        } else {
            place(&n, l);
            sweeps = greater(sweeps, l->sweep + 1u);
        }
        if (l->sweep > 250) s->why = "its reductions depend on each other in too long a chain";
        if (s->why) return 0;
    }
    return (uint8_t)sweeps;
}

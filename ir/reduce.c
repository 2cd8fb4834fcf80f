/* Reductions, and the names of what they bind.
 *
 * A binder is canonical: the first binder variable of its extent that occurs nowhere in what it binds. Inner reductions choose
 * first. Where a rewriting worked below a binder, an inner reduction may have chosen while the outer name was in its way; then the
 * outer variable gets a fresh name, the inner ones choose again, and the outer one after them. So reductions that are equal up to
 * renaming are one expression, and no name is ever captured. */
#include "core.h"

/* An integer maximum of nothing is the least int64, a minimum the greatest: integers have no infinity. */
ir_expr ir_red_identity(ir_unit *u, ir_red kind, ir_sort sort) {
    double x = ir_reds[kind].identity;
    if (sort == IR_SORT_BOOL) return ir_bool(u, x != 0);
    if (sort == IR_SORT_REAL) return ir_real(u, x);
    return ir_int(u, x == -(double)INFINITY ? INT64_MIN : x == (double)INFINITY ? INT64_MAX : (int64_t)x);
}

typedef struct {                 /* a reduction being built; only its variables and what they stand in change */
    ir_red kind;
    uint32_t n;
    ir_var bound[IR_AXES];
    ir_expr where, body;
} reduction;

/* `any` and `all` take truth values, the others numbers. */
static bool fits(const ir_unit *u, ir_red kind, uint32_t n, ir_expr where, ir_expr body) {
    ir_sort sort = (ir_sort)ir_at(u, body)->sort;
    if (n > IR_AXES || ir_at(u, where)->sort != IR_SORT_BOOL || sort == IR_SORT_NONE) return false;
    return ir_red_takes(kind, sort);
}

/* 0 if nothing is known without looking at elements. A body that is the identity adds nothing, however often it is taken; the same for a
 * guard that never holds and a range that is surely empty. */
static ir_expr fold(ir_unit *u, const reduction *r) {
    ir_expr identity = ir_red_identity(u, r->kind, (ir_sort)ir_at(u, r->body)->sort);
    if (!r->n) return ir_select(u, r->where, r->body, identity);
    bool empty = ir_is_bool(u, r->where, false) || r->body == identity;
    for (uint32_t k = 0; k < r->n; k++) empty |= ir_int_bounds(u, ir_extent(u, r->bound[k])).hi <= 0;
    return empty ? identity : 0;
}

/* Variables are operands too, so that equal reductions have equal operands. */
static ir_expr intern(ir_unit *u, const reduction *r) {
    ir_expr operands[IR_AXES + 2];
    for (uint32_t k = 0; k < r->n; k++) operands[k] = ir_var_expr(u, r->bound[k]);
    operands[r->n] = r->where;
    operands[r->n + 1] = r->body;
    ir_expr_info key = {.op = IR_RED, .sort = ir_at(u, r->body)->sort, .operands = {0, r->n + 2}};
    key.u.ref = (uint32_t)r->kind;
    return ir_intern(u, key, operands);
}

/* Who is the k-th variable to be? Its extent mentions the new names of those before it; `taken` has these names too. */
typedef ir_var choice(ir_unit *u, const reduction *r, uint32_t k, ir_expr extent, ir_set taken);

/* Left to right, since the extent of a variable may mention those bound before it; guard and body once, with all new names. */
static void rename_bound(ir_unit *u, reduction *r, choice *choose, ir_set taken) {
    ir_binding all[IR_AXES];
    uint32_t n = 0;
    for (uint32_t k = 0; k < r->n; k++) {
        ir_expr extent = ir_substitute(u, ir_extent(u, r->bound[k]), n, all);
        ir_var to = choose(u, r, k, extent, taken);
        if (to != r->bound[k]) all[n++] = (ir_binding){r->bound[k], ir_var_expr(u, to)};
        taken = ir_set_union(u, taken, ir_set_of(u, 1, &to));
        r->bound[k] = to;
    }
    r->where = ir_substitute(u, r->where, n, all);
    r->body = ir_substitute(u, r->body, n, all);
}

static ir_var choose_binder(ir_unit *u, const reduction *r, uint32_t k, ir_expr extent, ir_set taken) {
    (void)r;
    (void)k;
    return ir_binder_at(u, extent, taken);
}

/* What reductions inside bind, those in extents included. */
static ir_set bound_inside(ir_unit *u, const reduction *r) {
    ir_set s = ir_set_union(u, ir_bound(u, r->where), ir_bound(u, r->body));
    for (uint32_t k = 0; k < r->n; k++) s = ir_set_union(u, s, ir_bound(u, ir_extent(u, r->bound[k])));
    return s;
}

/* Was v in the way of an inner reduction? Then a younger binder of its extent is bound inside. */
static bool was_in_the_way(const ir_unit *u, ir_set inside, ir_var v) {
    if (!ir_is_binder(u, v)) return false;
    for (ir_var w = u->index->binder.at[v].next; w; w = u->index->binder.at[w].next)
        if (ir_set_has(u, inside, w)) return true;
    return false;
}

/* A variable that stands where it is wanted keeps its name: then nothing is substituted, which is the rule when expressions grow upwards. */
static ir_var choose_fresh(ir_unit *u, const reduction *r, uint32_t k, ir_expr extent, ir_set taken) {
    (void)taken;
    ir_var v = r->bound[k];
    bool keep = extent == ir_extent(u, v) && !was_in_the_way(u, bound_inside(u, r), v);
    return keep ? v : ir_var_new(u, u->var.at[v].name, extent);
}

/* Names that may not be chosen: free in what is bound over, or bound inside it. */
static ir_set taken_by(ir_unit *u, const reduction *r) {
    ir_set s = ir_set_union(u, ir_free(u, r->where), ir_free(u, r->body));
    for (uint32_t k = 0; k < r->n; k++) s = ir_set_union(u, s, ir_free(u, ir_extent(u, r->bound[k])));
    s = ir_set_minus(u, s, ir_set_of(u, r->n, r->bound));
    return ir_set_union(u, s, bound_inside(u, r));
}

static reduction reduction_of(ir_red kind, uint32_t n, const ir_var *bound, ir_expr where, ir_expr body) {
    reduction r = {kind, n, {0}, where, body};
    for (uint32_t k = 0; k < n; k++) r.bound[k] = bound[k];
    return r;
}

/* Twice: first outer names leave the way of inner reductions, then each takes the first binder that is free. */
ir_expr ir_reduce(ir_unit *u, ir_red kind, uint32_t n, const ir_var *bound, ir_expr where, ir_expr body) {
    if (!fits(u, kind, n, where, body)) return 0;
    reduction r = reduction_of(kind, n, bound, where, body);
    ir_expr folded = fold(u, &r);
    if (folded) return folded;
    rename_bound(u, &r, choose_fresh, 0);
    rename_bound(u, &r, choose_binder, taken_by(u, &r));
    return r.where && r.body ? intern(u, &r) : 0;
}

/* The same but for the renaming: reductions that differ in nothing but their variables are two expressions here. */
ir_expr ir_reduce_as(ir_unit *u, ir_red kind, uint32_t n, const ir_var *bound, ir_expr where, ir_expr body) {
    if (!fits(u, kind, n, where, body)) return 0;
    reduction r = reduction_of(kind, n, bound, where, body);
    ir_expr folded = fold(u, &r);
    return folded ? folded : intern(u, &r);
}

/* Algebra on statements, before any of them is judged.
 *   guards        what guards is true inside; masks that are proved true or false go
 *   any           any(j where vis: true) is `0 < T` where the first pair is visible
 *   distances     sum(d: (x - y)^2) inside another reduction, x and y of different rows: dots and norms, so that it can be a contraction
 *   exponentials  sum(j: exp(s)*v)/sum(j: exp(s)) and exp(s)/sum(j: exp(s)) get their maximum: the same value, without overflow
 *   sharing       equal statements are computed once
 * In and out: a graph. Each rule makes its own pattern rarer, and each is tried once per expression. Smallest example:
 * tests/golden/simplify/softmax.attnt. */
#include "lower.h"
#include "rewrite.h"

/* ---- guards and masks */
/* A mask that is proved false leaves the identity, one that is proved true goes; an `any` of true is whether there is an index at all. */
static ir_expr masks(ir_unit *u, void *env, ir_expr e) {
    (void)env;
    if (!ir_is(u, e, IR_RED)) return 0;
    ir_expr where = ir_red_where(u, e), yes = ir_bool(u, true);
    if (where != yes && ir_provably(u, ir_not(u, where))) return ir_red_identity(u, (ir_red)ir_at(u, e)->u.ref, (ir_sort)ir_at(u, e)->sort);
    if (where != yes && ir_provably(u, where)) return lower_reduce_like(u, e, yes, ir_red_body(u, e));
    if (ir_at(u, e)->u.ref == IR_RED_ANY && ir_is_bool(u, ir_red_body(u, e), true)) {
        ir_expr some = lower_something(u, e);
        return some == e ? 0 : some;
    }
    return 0;
}

/* ---- distances */
/* Beside what is summed, each depends on a variable that the other does not: only then are x*x and y*y smaller than the whole. */
static bool own_variables(ir_unit *u, ir_expr x, ir_expr y, ir_set bound) {
    return ir_set_minus(u, ir_set_minus(u, ir_free(u, x), ir_free(u, y)), bound) && ir_set_minus(u, ir_set_minus(u, ir_free(u, y), ir_free(u, x)), bound);
}
/* (x - y)^2 == x^2 + y^2 - 2xy: a rewriting of real sums, so only inside another reduction (inner_distances), where it turns a loop over pairs
 * into a contraction. */
static ir_expr distance(ir_unit *u, void *env, ir_expr e) {
    (void)env;
    if (!ir_is(u, e, IR_RED) || ir_at(u, e)->u.ref != IR_RED_SUM || ir_at(u, e)->sort != IR_SORT_REAL) return 0;
    ir_expr body = ir_red_body(u, e), where = ir_red_where(u, e);
    if (!ir_is(u, body, IR_MUL) || ir_operand(u, body, 0) != ir_operand(u, body, 1) || !ir_is(u, ir_operand(u, body, 0), IR_SUB)) return 0;
    ir_expr x = ir_operand(u, ir_operand(u, body, 0), 0), y = ir_operand(u, ir_operand(u, body, 0), 1);
    if (!own_variables(u, x, y, lower_bound(u, e))) return 0;
    ir_expr xx = lower_reduce_like(u, e, where, ir_mul(u, x, x)), yy = lower_reduce_like(u, e, where, ir_mul(u, y, y));
    ir_expr xy = lower_reduce_like(u, e, where, ir_mul(u, x, y));
    ir_expr d = ir_sub(u, ir_add(u, xx, yy), ir_mul(u, xy, ir_real(u, 2)));
    return ir_op2(u, IR_MAX, d, ir_real(u, 0));          /* a distance is not negative, whatever rounding says */
}
/* Called from the root down: it takes the outermost reduction and rewrites all distances below, never that reduction itself. */
static ir_expr inner_distances(ir_unit *u, void *env, ir_expr e) {
    if (!ir_is(u, e, IR_RED)) return 0;
    ir_expr body = ir_rebuild_up(u, ir_red_body(u, e), distance, env);
    return lower_reduce_like(u, e, ir_red_where(u, e), body);
}

/* ---- exponentials */
/* The exponent of the factor exp(s) of a product, if it is the only one; 0: none, or it stands relative to a maximum already. */
static bool is_max(const ir_unit *u, ir_expr e) { return ir_is(u, e, IR_RED) && ir_at(u, e)->u.ref == IR_RED_MAX; }
static bool finds_max(const ir_unit *u, void *env, ir_expr e) {
    *(bool *)env |= is_max(u, e);
    return !*(bool *)env;
}
static ir_expr exponent(ir_unit *u, const lower_product *p) {
    ir_expr s = 0;
    for (uint32_t i = 0; i < p->over.n; i++)
        if (ir_is(u, p->over.at[i], IR_EXP)) {
            if (s) return 0;
            s = ir_operand(u, p->over.at[i], 0);
        }
    bool has = false;
    if (s) ir_walk(u, s, finds_max, &has);
    return has ? 0 : s;
}
/* The product with exp(s) replaced by exp(s - m). */
static ir_expr relative(ir_unit *u, lower_product p, ir_expr s, ir_expr m) {
    lower_product q = { .under = p.under };
    for (uint32_t i = 0; i < p.over.n; i++) {
        bool mine = ir_is(u, p.over.at[i], IR_EXP) && ir_operand(u, p.over.at[i], 0) == s;
        ir_expr f = mine ? ir_op1(u, IR_EXP, ir_sub(u, s, m)) : p.over.at[i];
        BASE_PUSH(u->arena, &q.over, f);
    }
    return lower_multiply(u, &q);
}
/* As many variables with equal extents in order; masks are compared with the maxima that hold them. */
static bool same_range(ir_unit *u, ir_expr a, ir_expr b) {
    uint32_t n = ir_red_n_bound(u, a);
    if (n != ir_red_n_bound(u, b)) return false;
    for (uint32_t i = 0; i < n; i++)
        if (u->var.at[ir_red_bound(u, a, i)].extent != u->var.at[ir_red_bound(u, b, i)].extent) return false;
    return true;
}
/* The maximum of s over what `like` runs over, under the same guard: where nothing is visible both are over nothing. */
static ir_expr max_of(ir_unit *u, ir_expr like, ir_expr s) {
    uint32_t n = ir_red_n_bound(u, like);
    ir_var *bound = BASE_ARRAY(u->arena, n, ir_var);
    for (uint32_t i = 0; i < n; i++) bound[i] = ir_red_bound(u, like, i);
    return ir_reduce(u, IR_RED_MAX, n, bound, ir_red_where(u, like), s);
}

/* A factor of the numerator: a sum over the same range of exp(s)*v, or exp(s) itself at one place of the range. 0: neither. */
static ir_expr numerator_factor(ir_unit *u, ir_expr f, ir_expr z, ir_expr s, ir_expr m) {
    if (ir_is(u, f, IR_RED) && ir_at(u, f)->u.ref == IR_RED_SUM && same_range(u, f, z)) {
        lower_product p = lower_factors(u, ir_red_body(u, f));
        ir_expr t = exponent(u, &p);
        if (!t || ir_set_meets(u, ir_free(u, m), lower_bound(u, f)) || max_of(u, f, t) != m) return 0;
        return lower_reduce_like(u, f, ir_red_where(u, f), relative(u, p, t, m));
    }
    if (!ir_is(u, f, IR_EXP) || ir_red_n_bound(u, z) != 1) return 0;
    ir_expr t = ir_operand(u, f, 0);
    ir_set free = ir_free(u, t);
    for (uint32_t i = 0; i < ir_set_size(u, free); i++) {
        ir_binding b = { ir_red_bound(u, z, 0), ir_var_expr(u, ir_set_at(u, free, i)) };
        if (ir_substitute(u, s, 1, &b) == t && !ir_depends(u, m, ir_set_at(u, free, i))) return ir_op1(u, IR_EXP, ir_sub(u, t, m));
    }
    return 0;
}
/* numerator/z, z a sum of exp(s) and of nothing else. Both are divided by exp(m), so the quotient stays; one factor of the numerator must take part, or
 * the value would change. 0: no such factor. */
static ir_expr normalised(ir_unit *u, ir_expr numerator, ir_expr z) {
    lower_product body = lower_factors(u, ir_red_body(u, z)), p = lower_factors(u, numerator);
    ir_expr s = exponent(u, &body);
    if (!s || body.over.n != 1 || body.under.n || !ir_set_meets(u, ir_free(u, s), lower_bound(u, z))) return 0;
    /* built once: equal maxima are one expression, so the numerator's is compared with it by id */
    ir_expr m = max_of(u, z, s);
    for (uint32_t i = 0; i < p.over.n; i++) {
        ir_expr f = numerator_factor(u, p.over.at[i], z, s, m);
        if (!f) continue;
        p.over.at[i] = f;
        return ir_op2(u, IR_DIV, lower_multiply(u, &p), lower_reduce_like(u, z, ir_red_where(u, z), relative(u, body, s, m)));
    }
    return 0;
}
static ir_expr exponentials(ir_unit *u, void *env, ir_expr e) {
    (void)env;
    if (!ir_is(u, e, IR_DIV)) return 0;
    ir_expr z = ir_operand(u, e, 1);
    if (!ir_is(u, z, IR_RED) || ir_at(u, z)->u.ref != IR_RED_SUM || ir_at(u, z)->sort != IR_SORT_REAL) return 0;
    return normalised(u, ir_operand(u, e, 0), z);
}

/* Masks first, since guards are part of what the later rules compare; again at the end, for the bodies that these have rewritten. */
static ir_expr simplified(ir_unit *u, void *env, ir_expr e) {
    e = lower_guards(u, ir_rebuild_up(u, e, masks, env));
    e = ir_rebuild(u, e, inner_distances, env);
    e = ir_rebuild_up(u, e, exponentials, env);
    return lower_guards(u, ir_rebuild_up(u, e, masks, env));
}

/* ---- sharing: a map that equals an earlier one, up to the names of its variables, is read in its place */
typedef struct { ir_unit *u; BASE_VEC(ir_var) stand_in; pass_memo known, alias; bool changed; } share_env; /* known: spelling to value; alias: value to value */

/* Positions of a replaced read may read aliases too, hence the rebuild of each. */
static ir_expr aliased(ir_unit *u, void *env, ir_expr e) {
    share_env *s = env;
    uint32_t to;
    if (!ir_is(u, e, IR_READ) || !pass_memo_get(&s->alias, ir_at(u, e)->u.ref, &to)) return 0;
    uint32_t n = ir_n_operands(u, e);
    ir_expr *at = BASE_ARRAY(u->arena, n, ir_expr);
    for (uint32_t i = 0; i < n; i++) at[i] = ir_rebuild(u, ir_operand(u, e, i), aliased, env);
    return ir_read(u, to, n, at);
}
static ir_expr apply_aliases(ir_unit *u, void *env, ir_expr e) { return ir_rebuild(u, e, aliased, env); }

/* The k-th of this extent, made on demand and kept for the block: equal spellings must use equal variables. */
static ir_var stand_in(share_env *s, uint32_t k, ir_expr extent) {
    uint32_t seen = 0;
    for (uint32_t i = 0; i < s->stand_in.n; i++)
        if (s->u->var.at[s->stand_in.at[i]].extent == extent && seen++ == k) return s->stand_in.at[i];
    ir_var v = ir_var_new(s->u, "z", extent);
    BASE_PUSH(s->u->arena, &s->stand_in, v);
    return v;
}
/* The body with its variables replaced, the k-th of an extent always by the same one; 0: not a plain map. */
static ir_expr spelled(share_env *s, const ir_node *n) {
    if (n->map.n_results != 1 || n->map.results[0].store.n_places || n->map.results[0].store.into || !n->map.results[0].body) return 0;
    ir_binding all[IR_AXES];
    for (uint32_t i = 0; i < n->map.n_outer; i++) {
        uint32_t k = 0;
        ir_expr extent = s->u->var.at[n->map.outer[i]].extent;
        for (uint32_t m = 0; m < i; m++) k += s->u->var.at[n->map.outer[m]].extent == extent;
        all[i] = (ir_binding){ n->map.outer[i], ir_var_expr(s->u, stand_in(s, k, extent)) };
    }
    return ir_substitute(s->u, n->map.results[0].body, n->map.n_outer, all);
}
/* The dtype is no part of the spelling, and decides how a value is rounded when it is stored. */
static bool same_type(const ir_unit *u, ir_value a, ir_value b) {
    ir_type x = u->value.at[a].type, y = u->value.at[b].type;
    bool same = x.dtype == y.dtype && x.rank == y.rank;
    for (uint32_t i = 0; same && i < x.rank; i++) same = x.dim[i] == y.dim[i];
    return same;
}
/* The later of two equal maps stays in the block: where nothing reads it any more, `prune` drops it. */
static void share(share_env *s, const ir_node *n) {
    ir_expr text = spelled(s, n);
    uint32_t first;
    ir_value mine = n->map.results[0].store.result;
    if (!text) return;
    if (!pass_memo_get(&s->known, text, &first)) pass_memo_put(&s->known, text, mine);
    else if (same_type(s->u, first, mine)) pass_memo_put(&s->alias, mine, first);
}

/* Aliases are applied before the map is compared: chains of equal statements fall together link by link. A loop's body shares within itself. */
static ir_block simplify_block(ir_unit *u, const ir_block *block) {
    share_env s = { .u = u, .known = pass_memo_create(u->arena), .alias = pass_memo_create(u->arena) };
    ir_builder *b = ir_builder_create(u);
    for (uint32_t i = 0; i < block->n; i++) {
        ir_node *n = block->at[i];
        if (n->form == IR_FORM_LOOP) {
            n = ir_node_copy(u, n);
            n->loop.body = simplify_block(u, &n->loop.body);
        } else if (n->form == IR_FORM_MAP) {
            n = pass_rewrite_map(u, n, simplified, NULL);
            n = pass_rewrite_map(u, n, apply_aliases, &s);
            share(&s, n);
        }
        ir_builder_add(b, n);
    }
    return ir_builder_block(b);
}

bool pass_simplify(pass_state *state) {
    state->graph = ir_graph_with(state->graph, simplify_block(state->graph->unit, &state->graph->body));
    return true;
}

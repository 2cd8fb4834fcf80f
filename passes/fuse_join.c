/* Join: nodes over the same rows, neither needing the other, that read the same computed operands or share a reduction, become one kernel with
 * several stores: q, k and v of a layer; attention and its log-sum-exp. Variables of the second are those of the first with the
 * same extents, in order. */
#include "fuse.h"

enum { MOST_RESULTS = 8 };

/* ---- may they? */
/* Does `reader` read a result of `maker`? Maps and loops alone: sources stand before all else, and there are no checks yet. */
static bool reads_of(fuse_block *b, const ir_node *reader, const ir_node *maker) {
    if (maker->form == IR_FORM_MAP)
        for (uint32_t i = 0; i < maker->map.n_results; i++)
            if (fuse_node_reads(b, reader, maker->map.results[i].store.result)) return true;
    if (maker->form == IR_FORM_LOOP)
        for (uint32_t i = 0; i < maker->loop.n_carries; i++)
            if (fuse_node_reads(b, reader, maker->loop.carries[i].result)) return true;
    return false;
}
/* Does node k need node i, directly or through others? */
/* One pass forward: nodes are in order, so what lies between i and k is settled when k is looked at. */
static bool *needs(fuse_block *b, uint32_t i) {
    bool *need = BASE_ARRAY(b->arena, b->slots.n, bool);
    need[i] = true;
    for (uint32_t k = i + 1; k < b->slots.n; k++)
        for (uint32_t m = i; m < k && !need[k] && b->slots.at[k].node; m++)
            if (need[m]) need[k] = reads_of(b, b->slots.at[k].node, b->slots.at[m].node);
    return need;
}

/* Only stores that define whole new values. A single result with places of its own is left alone; nodes that were joined have places in every
 * result, and may be joined again. */
static bool joinable(const ir_node *n) {
    if (!n || n->form != IR_FORM_MAP) return false;
    for (uint32_t i = 0; i < n->map.n_results; i++)
        if (n->map.results[i].store.into || n->map.results[i].store.mode != IR_STORE_ONE) return false;
    return n->map.n_results > 1 || !n->map.results[0].store.n_places;
}

/* ---- what do they share? */
typedef struct { const fuse_block *b; pass_memo seen; bool mark, shared; } share_env; /* mark: first walk, seen grows; then it is asked */
/* Everything but weights: sharing one of these alone is no reason to join. */
static bool computed(const fuse_block *b, ir_value v) {
    for (uint32_t i = 0; i < b->slots.n; i++)
        if (b->slots.at[i].node && b->slots.at[i].node->form == IR_FORM_PARAM && b->slots.at[i].node->source.value == v) return false;
    return true;
}
/* A reduction, or a read of something computed that is no scalar. The walk goes on below it: operands hold operands. */
static bool share_visit(const ir_unit *u, void *env, ir_expr e) {
    share_env *s = env;
    bool operand = ir_is(u, e, IR_RED) || (ir_is(u, e, IR_READ) && ir_n_operands(u, e) && computed(s->b, ir_at(u, e)->u.ref));
    if (!operand) return true;
    if (s->mark) pass_memo_add(&s->seen, e);
    else s->shared |= pass_memo_get(&s->seen, e, NULL);
    return !s->shared;
}

/* ---- the joined node: variables of the smaller among those of the larger; a: has the larger space */
/* Each variable of c takes the first free one of a with its extent, in order; false if one finds none. */
static bool match(fuse_block *b, const ir_node *a, const ir_node *c, ir_binding *all) {
    ir_unit *u = b->u;
    bool taken[IR_AXES] = { false };
    for (uint32_t i = 0; i < c->map.n_outer; i++) {
        uint32_t k = 0;
        while (k < a->map.n_outer && (taken[k] || u->var.at[a->map.outer[k]].extent != u->var.at[c->map.outer[i]].extent)) k++;
        /* `taken` is that long; a kernel has no more axes either */
        if (k == a->map.n_outer || k >= IR_AXES) return false;
        taken[k] = true;
        all[i] = (ir_binding){ c->map.outer[i], ir_var_expr(u, a->map.outer[k]) };
    }
    return true;
}
/* Results of `from` over the variables that `all` binds to. Places are filled in even where they were the plain ones: in a larger space `no
 * places` would mean all of its variables. */
static void add_results(fuse_block *b, ir_node *to, const ir_node *from, uint32_t n, const ir_binding *all) {
    for (uint32_t i = 0; i < from->map.n_results; i++) {
        ir_result r = from->map.results[i];
        uint32_t rank = r.store.n_places ? r.store.n_places : from->map.n_outer;
        ir_expr *places = BASE_ARRAY(b->arena, rank, ir_expr);
        for (uint32_t k = 0; k < rank; k++) {
            ir_expr place = r.store.n_places ? r.store.places[k] : ir_var_expr(b->u, from->map.outer[k]);
            places[k] = ir_substitute(b->u, place, n, all);
        }
        r.body = ir_substitute(b->u, r.body, n, all);
        r.store.places = places;
        r.store.n_places = (uint8_t)rank;
        to->map.results[to->map.n_results++] = r;
    }
}
/* Asked after the substitution: only over the same variables are equal operands the same expression. first: results of the one node. */
static bool share(fuse_block *b, const ir_node *joined, uint32_t first) {
    share_env s = { b, pass_memo_create(b->arena), true, false };
    for (uint32_t i = 0; i < first; i++) ir_walk(b->u, joined->map.results[i].body, share_visit, &s);
    s.mark = false;
    for (uint32_t i = first; i < joined->map.n_results; i++) ir_walk(b->u, joined->map.results[i].body, share_visit, &s);
    return s.shared;
}
/* NULL: they do not fit, or share nothing. Results stay in the order of the statements. */
static ir_node *joined(fuse_block *b, const ir_node *a, const ir_node *c) {
    /* the larger space is kept: in it each variable of the smaller finds a partner, or there is no join */
    bool second_larger = c->map.n_outer > a->map.n_outer;
    const ir_node *larger = second_larger ? c : a, *smaller = second_larger ? a : c;
    ir_binding all[IR_AXES];
    if (larger->map.n_outer && !smaller->map.n_outer) return NULL;       /* a number has no place in a space: no places means all of it */
    if (a->map.n_results + c->map.n_results > MOST_RESULTS || !match(b, larger, smaller, all)) return NULL;
    ir_node *n = ir_node_copy(b->u, larger);
    n->span = a->span;
    n->map.results = BASE_ARRAY(b->arena, a->map.n_results + c->map.n_results, ir_result);
    n->map.n_results = 0;
    /* bindings are for the smaller's results; 0 of them leave the larger's as they are */
    add_results(b, n, a, second_larger ? smaller->map.n_outer : 0, all);
    add_results(b, n, c, second_larger ? 0 : smaller->map.n_outer, all);
    return share(b, n, a->map.n_results) ? n : NULL;
}

/* The joined node stands where the second stood; what reads the first and stood between moves behind it. */
static void replace(fuse_block *b, uint32_t i, uint32_t k, ir_node *n, const bool *need) {
    BASE_VEC(fuse_slot) order = { 0 };
    for (uint32_t m = 0; m < b->slots.n; m++)
        if (m != i && !(m > i && m < k && need[m])) BASE_PUSH(b->arena, &order, m == k ? ((fuse_slot){ .node = n, .cost = -1 }) : b->slots.at[m]);
    /* these need i, and nothing that k needs is among them: k would need i too, and there would be no join */
    BASE_VEC(fuse_slot) late = { 0 };
    for (uint32_t m = i + 1; m < k; m++)
        if (need[m]) BASE_PUSH(b->arena, &late, b->slots.at[m]);
    uint32_t at = 0, out = 0;
    fuse_slot *all = BASE_ARRAY(b->arena, order.n + late.n, fuse_slot);
    for (; at < order.n; at++) {
        all[out++] = order.at[at];
        if (order.at[at].node == n)
            for (uint32_t m = 0; m < late.n; m++) all[out++] = late.at[m];
    }
    b->slots.at = all;
    b->slots.n = b->slots.cap = out;
}

/* One launch less is worth a join even where kernels run so long that it is no ten-thousandth of their time, which fuse_gains asks for. */
static bool try_join(fuse_block *b, uint32_t i, uint32_t k, const bool *need) {
    const ir_node *a = b->slots.at[i].node, *c = b->slots.at[k].node;
    const char *why;
    if (need[k] || !joinable(c)) return false;
    ir_node *n = joined(b, a, c);
    if (!n) return false;
    double before = fuse_slot_cost(b, i) + fuse_slot_cost(b, k), after = fuse_cost(b, n, &why);
    bool saves_launch = after <= before - 0.9 * b->state->target->launch_s;
    if (after >= fuse_none || !(fuse_gains(before, after) || saves_launch)) return false;
    fuse_moved(b, c->span, before, after, "%s and %s become one kernel", fuse_name(b, a), fuse_name(b, c));
    replace(b, i, k, n, need);
    return true;
}

/* For fuse_take: is taking the shared part out worse than having both readers in one kernel? */
bool fuse_joins_better(fuse_block *b, uint32_t i, uint32_t k, double than) {
    const ir_node *a = b->slots.at[i].node, *c = b->slots.at[k].node;
    const char *why;
    if (!joinable(a) || !joinable(c) || needs(b, i)[k]) return false;
    const ir_node *n = joined(b, a, c);
    return n && fuse_cost(b, n, &why) < than;
}

/* At most one join per call: the slots move, and `need` with them. */
bool fuse_join(fuse_block *b) {
    for (uint32_t i = 0; i < b->slots.n; i++) {
        if (!joinable(b->slots.at[i].node)) continue;
        bool *need = needs(b, i);
        for (uint32_t k = i + 1; k < b->slots.n; k++)
            if (try_join(b, i, k, need)) return true;
    }
    return false;
}

/* Drops what reaches no output and what no round of a loop needs; moves what is the same in every round out of loops.
 * In: a graph. Out: the same outputs from fewer nodes. Sources stay: they are the graph's interface. It ends because every step removes a node or a carry
 * or moves a node one loop outwards. Smallest example: tests/golden/prune/dead.attnt. */
#include "rewrite.h"

/* ---- what is needed, backwards */
static void need(void *env, ir_value v) { pass_memo_add(env, v); }

/* Is any of the values visited in the set? */
typedef struct { const pass_memo *needed; bool any; } any_env;
static void check_needed(void *env, ir_value v) {
    any_env *a = env;
    a->any |= pass_memo_get(a->needed, v, NULL);
}
/* Only maps and loops may go: sources are the graph's interface, a yield or an output is what all others are for. */
static bool is_needed(const ir_node *n, const pass_memo *needed) {
    any_env a = { needed, false };
    switch ((ir_form)n->form) {
    case IR_FORM_MAP: case IR_FORM_LOOP: pass_node_defines(n, check_needed, &a); return a.any;
    default: return true;
    }
}

static ir_block prune_block(ir_unit *u, const ir_block *block, pass_memo *needed);

/* Values that the body needs of each round: those that its needed carries come to, and whatever these need. A carry lives if its result is
 * needed, or if what is needed reads it inside. */
typedef struct { ir_unit *u; const ir_node *loop; bool *live; const ir_node *yield; } loop_env;

/* Backwards through the body, so that one walk finds all that the live carries need in one round; the set only grows. */
static void body_needs(const loop_env *l, pass_memo *needed) {
    const ir_block *body = &l->loop->loop.body;
    for (uint32_t i = 0; i < l->loop->loop.n_carries; i++)
        if (l->live[i]) pass_memo_add(needed, l->yield->use.values[i]);
    for (uint32_t i = body->n; i--;)
        if (body->at[i]->form != IR_FORM_YIELD && is_needed(body->at[i], needed)) pass_node_reads(l->u, body->at[i], need, needed);
}

typedef struct { pass_memo *needed; } expr_env;
static bool expr_visit(const ir_unit *u, void *env, ir_expr e) {
    expr_env *x = env;
    if (ir_is(u, e, IR_READ)) pass_memo_add(x->needed, ir_at(u, e)->u.ref);
    return true;
}

/* A carry that is read inside needs its own next value, which may read further carries: rounds until no carry comes to life, at most one for each.
 * What the condition reads is needed whoever reads the loop's results. */
static ir_node *prune_loop(ir_unit *u, const ir_node *loop, pass_memo *needed) {
    uint32_t n = loop->loop.n_carries;
    loop_env l = { u, loop, BASE_ARRAY(u->arena, n, bool), loop->loop.body.at[loop->loop.body.n - 1] };
    pass_memo inside = pass_memo_create(u->arena);
    expr_env x = { &inside };
    if (loop->loop.cond) ir_walk(u, loop->loop.cond, expr_visit, &x);
    for (uint32_t i = 0; i < n; i++) l.live[i] = pass_memo_get(needed, loop->loop.carries[i].result, NULL);
    for (bool again = true; again;) {
        again = false;
        body_needs(&l, &inside);
        for (uint32_t i = 0; i < n; i++)
            if (!l.live[i] && pass_memo_get(&inside, loop->loop.carries[i].inside, NULL)) l.live[i] = again = true;
    }
    ir_node *out = ir_node_copy(u, loop);
    ir_value *values = BASE_ARRAY(u->arena, n, ir_value);
    out->loop.carries = BASE_ARRAY(u->arena, n, ir_carry);
    out->loop.n_carries = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!l.live[i]) continue;
        values[out->loop.n_carries] = l.yield->use.values[i];
        out->loop.carries[out->loop.n_carries++] = loop->loop.carries[i];
    }
    /* `inside` holds all that the body needs by now; its last node is the yield, which has fewer values if a carry went */
    out->loop.body = prune_block(u, &loop->loop.body, &inside);
    out->loop.body.at[out->loop.body.n - 1] = ir_node_use(u, IR_FORM_YIELD, l.yield->span, out->loop.n_carries, values);
    return out;
}

/* From the last node up: when a node is reached, all that could read it have said so. A loop is pruned before it is asked what it reads. The
 * yield is left out here, since prune_loop has noted the values of its live carries alone. */
static ir_block prune_block(ir_unit *u, const ir_block *block, pass_memo *needed) {
    ir_node **kept = BASE_ARRAY(u->arena, block->n, ir_node *);
    ir_builder *b = ir_builder_create(u);
    for (uint32_t i = block->n; i--;) {
        ir_node *n = block->at[i];
        if (!is_needed(n, needed)) continue;
        kept[i] = n->form == IR_FORM_LOOP ? prune_loop(u, n, needed) : n;
        if (n->form != IR_FORM_YIELD) pass_node_reads(u, kept[i], need, needed);
    }
    for (uint32_t i = 0; i < block->n; i++)
        if (kept[i]) ir_builder_add(b, kept[i]);
    return ir_builder_block(b);
}

/* ---- what is the same in every round */
/* A map that reads nothing moving, without places of its own, that cannot fail: the loop may have no rounds, and then nothing may be asked
 * of data that would have been asked in none. */
static bool invariant(ir_unit *u, const ir_node *n, const ir_node *loop, pass_memo *moving) {
    if (n->form != IR_FORM_MAP) return false;
    any_env a = { moving, false };
    pass_node_reads(u, n, check_needed, &a);
    for (uint32_t i = 0; i < n->map.n_results && !a.any; i++) {
        const ir_result *r = &n->map.results[i];
        a.any |= ir_depends(u, r->body, loop->loop.counter) || r->store.into || r->store.n_places || !pass_is_total(u, r->body);
    }
    return !a.any;
}

static ir_block hoist(ir_unit *u, const ir_block *block);
/* Inner loops first, so that what leaves one may leave the next as well. In order: a node that stays makes its values moving ones for
 * those behind it. */
static void hoist_loop(ir_unit *u, const ir_node *loop, ir_builder *before) {
    ir_node *out = ir_node_copy(u, loop);
    ir_block body = hoist(u, &loop->loop.body);
    pass_memo moving = pass_memo_create(u->arena);       /* values that change from round to round */
    ir_builder *rest = ir_builder_create(u);
    for (uint32_t i = 0; i < loop->loop.n_carries; i++) pass_memo_add(&moving, loop->loop.carries[i].inside);
    for (uint32_t i = 0; i < body.n; i++) {
        bool same = invariant(u, body.at[i], loop, &moving);
        ir_builder_add(same ? before : rest, body.at[i]);
        /* `need` only adds to a set: here to the values that move */
        if (!same) pass_node_defines(body.at[i], need, &moving);
    }
    out->loop.body = ir_builder_block(rest);
    ir_builder_add(before, out);
}
static ir_block hoist(ir_unit *u, const ir_block *block) {
    ir_builder *b = ir_builder_create(u);
    for (uint32_t i = 0; i < block->n; i++) {
        if (block->at[i]->form == IR_FORM_LOOP) hoist_loop(u, block->at[i], b);
        else ir_builder_add(b, block->at[i]);
    }
    return ir_builder_block(b);
}

/* Hoisting comes first: what has left a loop and is needed by nothing is dropped with the rest. */
bool pass_prune(pass_state *state) {
    ir_unit *u = state->graph->unit;
    ir_block block = hoist(u, &state->graph->body);
    pass_memo needed = pass_memo_create(u->arena);
    state->graph = ir_graph_with(state->graph, prune_block(u, &block, &needed));
    return true;
}

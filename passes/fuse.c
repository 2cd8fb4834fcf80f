/* One judge, three moves, until none lowers the sum of predicted costs:
 *   put in     a producer into all its readers (fuse_put.c)
 *   take out   a reduction, wherever it occurs, becomes a node that all its occurrences read (fuse_take.c)
 *   join       nodes over the same rows that share operands become one kernel with several stores (fuse_join.c)
 * In: a graph of maps. Out: one in which each map is a kernel worth launching. It ends because the sum falls with every move. Each block, a
 * loop's body too, is fused as a graph of its own. The judge lowers what a move would make and asks pass_cost; it knows no names and no order of
 * statements, so that two ways to write a model end alike. What stays apart is a remark with its reason.
 * Smallest example: tests/golden/fuse/norm.attnt. */
#include "fuse.h"

const double fuse_none = 1e3;    /* seconds: worse than anything that has a good kernel; adds up, unlike infinity */

/* A map's identity for the judge: bodies, places, variables. Expressions are interned, so ids are enough. 0 is no key of a memo. */
static uint32_t hash_map(const ir_node *map) {
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < map->map.n_results; i++) {
        h = (h ^ map->map.results[i].body) * 16777619u;
        for (uint32_t k = 0; k < map->map.results[i].store.n_places; k++) h = (h ^ map->map.results[i].store.places[k]) * 16777619u;
    }
    for (uint32_t i = 0; i < map->map.n_outer; i++) h = (h ^ map->map.outer[i]) * 16777619u;
    return h ? h : 1;
}
static bool same_result(const ir_result *a, const ir_result *b) {
    return a->body == b->body && a->store.n_places == b->store.n_places && a->store.result == b->store.result
        && !memcmp(a->store.places ? a->store.places : &a->body, b->store.places ? b->store.places : &b->body, a->store.n_places * sizeof(ir_expr));
}
/* Spans play no part: two moves that come to the same bodies, places and variables are judged once. */
static bool same_map(const ir_node *a, const ir_node *b) {
    bool same = a->map.n_results == b->map.n_results && a->map.n_outer == b->map.n_outer;
    for (uint32_t i = 0; same && i < a->map.n_outer; i++) same = a->map.outer[i] == b->map.outer[i];
    for (uint32_t i = 0; same && i < a->map.n_results; i++) same = same_result(&a->map.results[i], &b->map.results[i]);
    return same;
}

/* Stores run over all items and rows: a result that lacks one of them has no place in this kernel. */
static bool stores_fit(const ir_kernel *k) {
    for (uint32_t i = 0; i < k->n_stores; i++) {
        ir_set seen = 0;
        for (uint32_t p = 0; p < k->stores[i].at.n_places; p++) seen = ir_set_union(k->unit, seen, ir_free(k->unit, k->stores[i].at.places[p]));
        for (uint32_t a = 0; a < k->n_axes; a++)
            if ((k->axes[a].role == IR_ITEM || k->axes[a].role == IR_ROW) && !ir_set_has(k->unit, seen, k->axes[a].var)) return false;
    }
    return true;
}

/* Remembered in `known`, the memo leads there by hash; on a collision the hash moves on in a fixed way, here and where the entry was made.
 * Everything without a good kernel costs fuse_none, so that sums of costs still compare. */
double fuse_cost(fuse_block *b, const ir_node *map, const char **why) {
    uint32_t h = hash_map(map), at;
    for (; pass_memo_get(&b->costs, h, &at); h = h * 16777619u + 1 ? h * 16777619u + 1 : 1)
        if (same_map(b->known.at[at].map, map)) {
            *why = b->known.at[at].why;
            return b->known.at[at].cost;
        }
    /* a trial is what costs time here: lowering and weighing the kernel that a move would make */
    b->state->n_trials++;
    ir_kernel *k = lower_try(b->u, map, why);
    double cost = k ? pass_cost(k, b->state->target, b->state->representative, why) : HUGE_VAL;
    if (k && !stores_fit(k)) cost = HUGE_VAL, *why = "their rows differ";
    if (!(cost < fuse_none)) cost = fuse_none;
    fuse_known known = { map, cost, *why };
    at = BASE_PUSH(b->arena, &b->known, known);
    pass_memo_put(&b->costs, h, at);
    return cost;
}

/* Nothing for what is gone or no map: moves do not change it, so it would stand on both sides. A slot's cost is found when first asked. */
double fuse_slot_cost(fuse_block *b, uint32_t i) {
    const char *why;
    fuse_slot *s = &b->slots.at[i];
    if (!s->node || s->node->form != IR_FORM_MAP) return 0;
    if (s->cost < 0) s->cost = fuse_cost(b, s->node, &why);
    return s->cost;
}

void fuse_set(fuse_block *b, uint32_t i, ir_node *node) { b->slots.at[i] = (fuse_slot){ .node = node, .cost = -1 }; }

/* Less than a ten-thousandth is rounding, not a gain: without the margin two moves could undo each other for ever. */
bool fuse_gains(double before, double after) { return after < before * 0.9999; }

/* What people call the node: its first result. */
const char *fuse_name(const fuse_block *b, const ir_node *map) { return b->u->value.at[map->map.results[0].store.result].name; }

/* Operators from e down to its deepest leaf. The memo outlives the move: bodies share most of what they are made of. */
uint32_t fuse_depth(fuse_block *b, ir_expr e) {
    uint32_t known, most = 0;
    if (!ir_n_operands(b->u, e)) return 0;
    if (pass_memo_get(&b->depth, e, &known)) return known;
    for (uint32_t i = 0; i < ir_n_operands(b->u, e); i++) {
        uint32_t d = fuse_depth(b, ir_operand(b->u, e, i));
        if (d > most) most = d;
    }
    pass_memo_put(&b->depth, e, most + 1);
    return most + 1;
}

/* ---- who reads what */
typedef struct { ir_value wanted; bool found; } wanted_env;
static void is_wanted(void *env, ir_value v) {
    wanted_env *w = env;
    w->found |= w->wanted == v;
}
bool fuse_node_reads(fuse_block *b, const ir_node *n, ir_value v) {
    wanted_env w = { v, false };
    pass_node_reads(b->u, n, is_wanted, &w);
    return w.found;
}

/* ---- remarks */
void fuse_moved(fuse_block *b, base_span span, double before, double after, const char *format, ...) {
    base_text t;
    va_list list;
    base_text_init(&t, b->arena);
    va_start(list, format);
    base_text_add(&t, "%s", base_vprintf(b->arena, format, list));
    va_end(list);
    if (before < fuse_none) base_text_add(&t, " (%.3g us before, %.3g us after)", before * 1e6, after * 1e6);
    else base_text_add(&t, " (before: no kernel, after: %.3g us)", after * 1e6);
    BASE_PUSH(b->state->arena, &b->state->moves, ((pass_remark){ t.at, span }));
}
/* apart is 0 where a rule and not the judge refused: then there are no numbers to show. */
static void remark(fuse_block *b, const fuse_slot *s, const char *readers) {
    base_text t;
    base_text_init(&t, b->arena);
    base_text_add(&t, "%s kept apart from %s: %s", fuse_name(b, s->node), readers, s->kept);
    if (s->apart > 0) base_text_add(&t, " (%.0f us apart, ", s->apart * 1e6);
    if (s->apart > 0 && s->together < fuse_none) base_text_add(&t, "%.0f us together)", s->together * 1e6);
    if (s->apart > 0 && s->together >= fuse_none) base_text_add(&t, "no kernel together)");
    pass_remark r = { t.at, s->node->span };
    BASE_PUSH(b->state->arena, &b->state->remarks, r);
}
/* Only at the end: what a first attempt refused, a later one may have done. A producer that nothing reads by now has no remark. */
static void remarks(fuse_block *b) {
    for (uint32_t i = 0; i < b->slots.n; i++) {
        const fuse_slot *s = &b->slots.at[i];
        if (!s->node || s->node->form != IR_FORM_MAP || !s->kept) continue;
        const char *readers = NULL;
        for (uint32_t k = i + 1; k < b->slots.n; k++) {
            const ir_node *n = b->slots.at[k].node;
            bool reads = n && n->form == IR_FORM_MAP && fuse_node_reads(b, n, s->node->map.results[0].store.result);
            if (reads) readers = readers ? base_printf(b->arena, "%s, %s", readers, fuse_name(b, n)) : fuse_name(b, n);
        }
        if (readers) remark(b, s, readers);
    }
}

/* ---- the whole */
static ir_block fuse_nodes(pass_state *state, const ir_block *block);

/* Nodes are immutable and may be shared with the graph before: the loop is copied, then its body fused as a block of its own. */
static ir_node *fuse_loop(pass_state *state, const ir_node *loop) {
    ir_node *n = ir_node_copy(state->graph->unit, loop);
    n->loop.body = fuse_nodes(state, &loop->loop.body);
    return n;
}

/* Invariant: every `again` follows a move that lowered the sum, so it ends. One join at a time, and only where no take or put is left: it opens
 * new ones. */
static void settle(fuse_block *b) {
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < b->slots.n; i++) {
            while (fuse_take(b, i)) again = true;
            if (fuse_put(b, i)) again = true;
        }
        if (!again) again = fuse_join(b);
    }
}

/* Costs, stand-ins and fresh nodes belong to this block: a value of it means nothing in another. A slot that a put has emptied stays until the
 * end, so that a put moves no other slot. */
static ir_block fuse_nodes(pass_state *state, const ir_block *block) {
    ir_unit *u = state->graph->unit;
    fuse_block b = { .state = state, .u = u, .arena = u->arena, .costs = pass_memo_create(u->arena), .depth = pass_memo_create(u->arena),
                     .taken = pass_memo_create(u->arena) };
    for (uint32_t i = 0; i < block->n; i++) {
        ir_node *n = block->at[i]->form == IR_FORM_LOOP ? fuse_loop(state, block->at[i]) : block->at[i];
        BASE_PUSH(u->arena, &b.slots, ((fuse_slot){ .node = n, .cost = -1 }));
    }
    settle(&b);
    remarks(&b);
    ir_builder *builder = ir_builder_create(u);
    for (uint32_t i = 0; i < b.slots.n; i++)
        if (b.slots.at[i].node) ir_builder_add(builder, b.slots.at[i].node);
    return ir_builder_block(builder);
}

bool pass_fuse(pass_state *state) {
    state->graph = ir_graph_with(state->graph, fuse_nodes(state, &state->graph->body));
    return true;
}

/* From one map node to one kernel, a pure function of the node:
 *   split indices -> what guards is true inside, factors leave sums, score tests leave guards -> exponentials to base 2
 *   -> roles of axes -> lines -> sweeps -> addresses and frame
 * Every map lowers to something correct; only more than IR_AXES axes, extents that move along outer axes and chains of hundreds of dependent
 * reductions are refused. What a kernel may hold: README.md. Example: tests/golden/lower/attention.attnt. */
#include "lower.h"

static const char too_many_axes[] = "it needs more than 16 axes";

/* The state before any step. An outer axis is walked as items, rows or values, whose number must be known at launch: its extent may hold
 * dimensions alone. */
static lower_state *begin(ir_unit *u, const ir_node *map) {
    lower_state *s = BASE_NEW(u->arena, lower_state);
    *s = (lower_state){ .u = u, .arena = u->arena, .node = map };
    pass_memo *memos[] = { &s->role, &s->rank, &s->visited, &s->named, &s->let_hash, &s->bound };
    for (uint32_t i = 0; i < sizeof memos / sizeof *memos; i++) *memos[i] = pass_memo_create(u->arena);
    s->n_results = map->map.n_results;
    s->root = BASE_ARRAY(u->arena, s->n_results, ir_expr);
    s->store = BASE_ARRAY(u->arena, s->n_results, ir_store);
    for (uint32_t i = 0; i < map->map.n_outer; i++) {
        BASE_PUSH(u->arena, &s->outer, map->map.outer[i]);
        if (ir_free(u, u->var.at[map->map.outer[i]].extent) || ir_has_op(u, u->var.at[map->map.outer[i]].extent, IR_READ))
            s->why = "the extent of a result's axis depends on data or on another axis";
    }
    /* counters join in `results`, halves of splits in lower_split */
    s->fixed = ir_set_of(u, s->outer.n, s->outer.at);
    return s;
}

/* Bodies are rewritten and places substituted from here on; the node itself is immutable, hence the copy.
 * What is free in a body and no outer variable is a counter of a loop around: it stands still while the kernel runs, so it is `fixed` too. */
/* A copy of the node's results with places filled in. */
static void results(lower_state *s) {
    ir_unit *u = s->u;
    for (uint32_t i = 0; i < s->n_results; i++) {
        s->root[i] = s->node->map.results[i].body;
        s->store[i] = s->node->map.results[i].store;
        s->fixed = ir_set_union(u, s->fixed, ir_free(u, s->root[i]));
        /* none given means one axis per variable; written out, so that splits can substitute in them */
        if (s->store[i].n_places) continue;
        s->store[i].n_places = (uint8_t)s->outer.n;
        s->store[i].places = BASE_ARRAY(s->arena, s->outer.n, ir_expr);
        for (uint32_t k = 0; k < s->outer.n; k++) s->store[i].places[k] = ir_var_expr(u, s->outer.at[k]);
    }
}

/* Reductions that depend on what others bind nest as features, an axis for each. Known before anything is rewritten: what will not fit
 * is the one thing that rewriting takes long over. */
static uint32_t nested_features(ir_unit *u, ir_set fixed, pass_memo *depth, ir_expr e) {
    uint32_t most = 0, known;
    if (!ir_n_operands(u, e)) return 0;
    if (pass_memo_get(depth, e, &known)) return known;
    for (uint32_t i = 0; i < ir_n_operands(u, e); i++) {
        known = nested_features(u, fixed, depth, ir_operand(u, e, i));
        if (known > most) most = known;
    }
    /* free of what others bind it stands outside them: its axes are shared, and do not add up */
    if (ir_is(u, e, IR_RED) && ir_set_minus(u, ir_free(u, e), fixed)) most += ir_red_n_bound(u, e);
    pass_memo_put(depth, e, most);
    return most;
}
uint32_t lower_nesting(ir_unit *u, ir_expr e) {
    pass_memo depth = pass_memo_create(u->arena);
    return nested_features(u, ir_free(u, e), &depth, e);
}
static void check_nesting(lower_state *s) {
    for (uint32_t i = 0; i < s->n_results; i++)
        if (lower_nesting(s->u, s->root[i]) > IR_AXES) s->why = too_many_axes;
}

/* The order matters. `lower_pull` may leave a test that something was summed, which guards around it fold away: guards come again behind it.
 * Score tests look for the score inside the body as the same expression: they come before base 2 scales one and not the other. */
static void rewrite(lower_state *s) {
    ir_unit *u = s->u;
    for (uint32_t i = 0; i < s->n_results; i++) {
        ir_expr e = lower_guards(u, s->root[i]);
        e = lower_guards(u, lower_pull(u, e));
        s->root[i] = lower_base2(u, lower_score_tests(u, e));
    }
}

/* Here the lines come into being: naming a result pushes all lines that it needs, operands first, and then its own. */
static ir_kernel_store *make_stores(lower_state *s) {
    ir_kernel_store *stores = BASE_ARRAY(s->arena, s->n_results, ir_kernel_store);
    for (uint32_t i = 0; i < s->n_results && !s->why; i++) stores[i] = (ir_kernel_store){ s->store[i], lower_named(s, lower_clamp(s, s->root[i])) };
    return stores;
}

/* Features in an order in which extents depend on earlier axes only: lines above bind the inner ones, so the order of lines reversed. */
/* TERMs alone name features: what a FOLD or ACC runs over are columns, which have their axes since lower_roles. */
static void feature_axes(lower_state *s) {
    ir_unit *u = s->u;
    for (uint32_t i = s->lets.n; i--;) {
        const ir_let *l = &s->lets.at[i];
        for (uint32_t k = 0; k < l->n_over && l->kind == IR_LET_TERM; k++) {
            bool there = false;
            /* binders are canonical, so TERMs side by side often bind the same variable: one axis serves them all */
            for (uint32_t p = 0; p < s->axes.n; p++) there |= s->axes.at[p].var == l->over[k];
            if (there) continue;
            if (s->axes.n == IR_AXES) {
                s->why = too_many_axes;
                return;
            }
            ir_axis axis = { l->over[k], u->var.at[l->over[k]].extent, IR_FEAT };
            BASE_PUSH(s->arena, &s->axes, axis);
        }
    }
}

/* In rounds: each takes what needs nothing that is still waiting. A round that takes nothing proves a circle, so the loop ends. */
/* Stable: an axis moves behind those that its extent needs. */
static void order_axes(lower_state *s) {
    ir_unit *u = s->u;
    uint32_t n = s->axes.n, done = 0;
    ir_axis *out = BASE_ARRAY(s->arena, n, ir_axis);
    bool *used = BASE_ARRAY(s->arena, n, bool);
    while (done < n) {
        uint32_t before = done;
        for (uint32_t i = 0; i < n; i++) {
            bool ready = !used[i];
            for (uint32_t k = 0; k < n && ready; k++) ready = used[k] || k == i || !ir_depends(u, s->axes.at[i].extent, s->axes.at[k].var);
            if (!ready) continue;
            used[i] = true;
            out[done++] = s->axes.at[i];
        }
        if (done == before) { s->why = "extents depend on each other in a circle"; return; }
    }
    s->axes.at = out;
}

/* What must hold of ragged extents: nothing outside the innermost loops moves. */
static void check_axes(lower_state *s) {
    if (s->axes.n > IR_AXES) s->why = too_many_axes;
    for (uint32_t i = 0; i < s->axes.n; i++)
        if (ir_has_op(s->u, s->axes.at[i].extent, IR_RED)) s->why = "an extent holds a reduction";
}

/* `inside` is true: outer variables are only split by what divides their extent (lower_split.c), so all rows exist. */
static ir_kernel *finish(lower_state *s, ir_kernel_store *stores, uint8_t sweeps) {
    ir_unit *u = s->u;
    ir_kernel *k = BASE_NEW(s->arena, ir_kernel);
    *k = (ir_kernel){ .unit = u, .name = u->value.at[s->store[0].result].name, .span = s->node->span, .axes = s->axes.at, .n_axes = s->axes.n,
                      .lets = s->lets.at, .n_lets = s->lets.n, .stores = stores, .n_stores = s->n_results, .n_sweeps = sweeps,
                      .inside = ir_bool(u, true) };
    lower_frame(s, k);
    return k;
}

/* The poison was reported where it was made. Such a node gives no kernel and no second message: `why` stays empty. */
static bool poisoned(const ir_node *map) {
    for (uint32_t i = 0; i < map->map.n_results; i++)
        if (!map->map.results[i].body) return true;
    return !map->map.n_results;
}

/* Each step runs only while `why` is unset. Roles come before lines, whose rank is a set of roles; features after lines, since TERMs say
 * which there are; sweeps after lines, since they follow the references from line to line; the frame last, over the final axes. */
ir_kernel *lower_try(ir_unit *u, const ir_node *map, const char **why) {
    *why = "";
    if (poisoned(map)) return NULL;
    lower_state *s = begin(u, map);
    ir_kernel_store *stores = NULL;
    uint8_t sweeps = 0;
    results(s);
    if (!s->why) check_nesting(s);
    if (!s->why) lower_split(s);
    if (!s->why) rewrite(s);
    if (!s->why) lower_roles(s);
    if (!s->why) stores = make_stores(s);
    if (!s->why) feature_axes(s);
    if (!s->why) order_axes(s);
    if (!s->why) check_axes(s);
    if (!s->why) sweeps = lower_sweeps(s);
    if (s->why) {
        *why = s->why;
        return NULL;
    }
    return finish(s, stores, sweeps);
}

/* lower_try for a node that must have a kernel: here the reason is said to the user, at the statement. */
ir_kernel *pass_lower_node(ir_unit *u, const ir_node *map) {
    const char *why;
    ir_kernel *k = lower_try(u, map, &why);
    if (!k && *why) base_report(u->diags, BASE_MSG_NO_KERNEL, map->span, why);
    return k;
}

/* ---- the pass: kernels in the order of maps; a check gives two, of its position and of what was found there */
typedef struct { pass_state *state; BASE_VEC(ir_kernel *) kernels; bool ok; } lower_env;
/* A node that has no kernel does not stop the pass: the others are lowered, so that every refusal is heard in one run. */
static void lower_one(lower_env *l, const ir_node *map) {
    ir_kernel *k = pass_lower_node(l->state->graph->unit, map);
    if (k) BASE_PUSH(l->state->arena, &l->kernels, k);
    else l->ok = false;
}
static void lower_node(void *env, const ir_node *node, uint32_t depth) {
    (void)depth;
    if (node->form == IR_FORM_MAP) lower_one(env, node);
    if (node->form != IR_FORM_CHECK) return;
    lower_one(env, node->check.position);
    lower_one(env, node->check.found);
}
bool pass_lower(pass_state *state) {
    lower_env l = { .state = state, .ok = true };
    ir_graph_each(state->graph, lower_node, &l);
    /* never NULL, also for a graph without maps: its presence says that the pass has run */
    state->kernels = l.kernels.at ? l.kernels.at : BASE_NEW(state->arena, ir_kernel *);
    state->n_kernels = l.kernels.n;
    return l.ok;
}

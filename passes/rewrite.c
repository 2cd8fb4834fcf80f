/* Helpers of the graph passes. */
#include "rewrite.h"

/* Copied at the first body that changes: graphs share nodes, and one that is the same stays the same pointer. */
ir_node *pass_rewrite_map(ir_unit *u, ir_node *map, pass_expr_rewrite *rewrite, void *env) {
    ir_node *n = NULL;
    for (uint32_t i = 0; i < map->map.n_results; i++) {
        ir_expr old = map->map.results[i].body, body = old ? rewrite(u, env, old) : 0;
        /* interned: a body that means the same after rewriting is the same id */
        if (body == old) continue;
        if (!n) {
            n = ir_node_copy(u, map);
            n->map.results = base_copy(u->arena, map->map.results, map->map.n_results * sizeof *map->map.results);
        }
        n->map.results[i].body = body;
    }
    return n ? n : map;
}

/* ---- who reads what. Values are reported to the caller's `visit`, in no order that one may rely on. */
typedef struct { pass_value_visit *visit; void *env; } reads_env;
/* Positions of a read are walked too: a table that indexes is read as well. */
static bool read_visit(const ir_unit *u, void *env, ir_expr e) {
    reads_env *r = env;
    if (ir_is(u, e, IR_READ)) r->visit(r->env, ir_at(u, e)->u.ref);
    return true;
}
/* The poison, or a part that a node does not have, reads nothing. */
static void expr_reads(const ir_unit *u, ir_expr e, reads_env *r) {
    if (e) ir_walk(u, e, read_visit, r);
}
/* Also what a store goes into, and tables in places and in the extents of outer variables. */
static void map_reads(const ir_unit *u, const ir_node *n, reads_env *r) {
    for (uint32_t i = 0; i < n->map.n_results; i++) {
        const ir_result *result = &n->map.results[i];
        expr_reads(u, result->body, r);
        for (uint32_t k = 0; k < result->store.n_places; k++) expr_reads(u, result->store.places[k], r);
        if (result->store.into) r->visit(r->env, result->store.into);
    }
    /* an extent may be an entry of a table */
    for (uint32_t i = 0; i < n->map.n_outer; i++) expr_reads(u, u->var.at[n->map.outer[i]].extent, r);
}
/* A next value is read by the yield in the body, so the body's nodes say so. What the body itself defines is listed with the rest. */
static void loop_reads(const ir_unit *u, const ir_node *n, reads_env *r) {
    for (uint32_t i = 0; i < n->loop.n_carries; i++)
        if (n->loop.carries[i].init) r->visit(r->env, n->loop.carries[i].init);
    expr_reads(u, n->loop.lo, r);
    expr_reads(u, n->loop.hi, r);
    expr_reads(u, n->loop.cond, r);
    for (uint32_t i = 0; i < n->loop.body.n; i++) pass_node_reads(u, n->loop.body.at[i], r->visit, r->env);
}
/* A value may be visited more than once; callers keep sets. */
void pass_node_reads(const ir_unit *u, const ir_node *n, pass_value_visit *visit, void *env) {
    reads_env r = { visit, env };
    switch ((ir_form)n->form) {
    case IR_FORM_MAP: map_reads(u, n, &r); break;
    case IR_FORM_LOOP: loop_reads(u, n, &r); break;
    case IR_FORM_CHECK:
        map_reads(u, n->check.position, &r);
        map_reads(u, n->check.found, &r);
        break;
    case IR_FORM_YIELD: case IR_FORM_OUTPUT:
        for (uint32_t i = 0; i < n->use.n_values; i++) visit(env, n->use.values[i]);
        break;
    default: break;
    }
}

/* A loop defines the results of its carries; what they are called inside means nothing outside. A check defines nothing that others read. */
void pass_node_defines(const ir_node *n, pass_value_visit *visit, void *env) {
    switch ((ir_form)n->form) {
    case IR_FORM_INPUT: case IR_FORM_PARAM: case IR_FORM_CONST: visit(env, n->source.value); break;
    case IR_FORM_MAP:
        for (uint32_t i = 0; i < n->map.n_results; i++) visit(env, n->map.results[i].store.result);
        break;
    case IR_FORM_LOOP:
        for (uint32_t i = 0; i < n->loop.n_carries; i++) visit(env, n->loop.carries[i].result);
        break;
    default: break;
    }
}

/* u once more, since proving needs a unit that it may add to, and a visit gets one that it may only read. */
typedef struct { ir_unit *u; bool total; } total_env;
/* The type is a copy: proving makes expressions and values may move. Guards do not count, since what hides a read here may not stand where it
 * is evaluated. */
/* Stops at the first thing that may fail. */
static bool total_visit(const ir_unit *u, void *env, ir_expr e) {
    total_env *t = env;
    (void)u;
    if (ir_is(t->u, e, IR_READ)) {
        ir_type type = t->u->value.at[ir_at(t->u, e)->u.ref].type;
        for (uint32_t i = 0; i < type.rank && t->total; i++) t->total = ir_in_range(t->u, ir_operand(t->u, e, i), type.dim[i]);
    }
    if (ir_is(t->u, e, IR_FDIV) || ir_is(t->u, e, IR_MOD)) t->total &= ir_at_least(t->u, ir_operand(t->u, e, 1), 1);
    return t->total;
}
/* Over everything in e, also below guards and in extents of what reductions bind: ir_walk visits all of it once. */
bool pass_is_total(ir_unit *u, ir_expr e) {
    total_env t = { u, true };
    ir_walk(u, e, total_visit, &t);
    return t.total;
}

/* What of a graph does not depend on its inputs: it is computed once, when weights are bound, and kept with them.
 *
 * A value is fixed if it is a param or a constant, or is made by a statement of the outermost block that reads nothing but fixed values, over dimensions
 * that the params alone give. Checks of fixed tables and loops over nothing but fixed values are such statements. Outputs are not: they belong to the call.
 *
 *   s = sum(e: w[e]*w[e])   y[n] = x[n]/s     =>    s is of the set-up, y of the call
 *
 * Ends: one walk over the statements in order; what a statement reads stands before it.
 */
#include "passes.h"

typedef struct {
    const pass_state *state;
    ir_unit *unit;
    bool *fixed, *given;             /* by value; by dimension */
    bool fine;                       /* of the expression that is looked at */
} finder;

/* A dimension stands alone as an axis of a param, as the host sees it: then the param's shape gives it. Others may follow by division; they are left
 * to the call. */
static void note_dims(finder *f, const ir_node *source) {
    const ir_type *t = &f->unit->value.at[source->source.value].type;
    const uint8_t *packed = source->source.packed;
    for (uint32_t k = 0; k < t->rank; k++) {
        bool joined = packed && (packed[k] || (k + 1 < t->rank && packed[k + 1]));
        if (!joined && ir_is(f->unit, t->dim[k], IR_DIM)) f->given[ir_at(f->unit, t->dim[k])->u.ref] = true;
    }
}

static bool look(const ir_unit *u, void *env, ir_expr e) {
    finder *f = env;
    if (ir_is(u, e, IR_READ)) f->fine &= f->fixed[ir_at(u, e)->u.ref];
    if (ir_is(u, e, IR_DIM)) f->fine &= f->given[ir_at(u, e)->u.ref];
    return f->fine;
}

static bool expr_fixed(finder *f, ir_expr e) {
    f->fine = true;
    if (e) ir_walk(f->unit, e, look, f);
    return f->fine;
}

static bool type_fixed(finder *f, ir_value v) {
    const ir_type *t = &f->unit->value.at[v].type;
    for (uint32_t k = 0; k < t->rank; k++)
        if (!expr_fixed(f, t->dim[k])) return false;
    return true;
}

static bool is_output(const finder *f, ir_value v) {
    const ir_graph *g = f->state->graph;
    for (uint32_t k = 0; k < g->n_outputs; k++)
        if (g->outputs[k].value == v) return true;
    return false;
}

static bool result_fixed(finder *f, const ir_result *r) {
    if (is_output(f, r->store.result) || !expr_fixed(f, r->body) || !type_fixed(f, r->store.result)) return false;
    if (r->store.into && !f->fixed[r->store.into]) return false;
    for (uint32_t k = 0; k < r->store.n_places; k++)
        if (!expr_fixed(f, r->store.places[k])) return false;
    return true;
}

/* Panels are no part of the statement: the schedule of its kernel reads them. */
static bool panels_fixed(const finder *f, const ir_node *n) {
    for (uint32_t k = 0; k < f->state->n_kernels; k++) {
        const ir_schedule *s = f->state->schedules[k];
        if (s->kernel->n_values == 0 || s->kernel->values[0] != n->map.results[0].store.result) continue;
        for (uint32_t i = 0; i < s->n_panels; i++)
            if (!f->fixed[s->panels[i]]) return false;
    }
    return true;
}

static bool map_fixed(finder *f, const ir_node *n) {
    for (uint32_t k = 0; k < n->map.n_outer; k++)
        if (!expr_fixed(f, f->unit->var.at[n->map.outer[k]].extent)) return false;
    for (uint32_t k = 0; k < n->map.n_results; k++)
        if (!result_fixed(f, &n->map.results[k])) return false;
    if (!panels_fixed(f, n)) return false;
    for (uint32_t k = 0; k < n->map.n_results; k++) f->fixed[n->map.results[k].store.result] = true;
    return true;
}

static bool node_fixed(finder *f, const ir_node *n);

/* What stands inside of a loop that turns out not to be fixed is read by that loop alone, so marks that stay there mean nothing. */
static bool loop_fixed(finder *f, const ir_node *n) {
    if (!expr_fixed(f, n->loop.lo) || !expr_fixed(f, n->loop.hi) || !expr_fixed(f, n->loop.cond)) return false;
    for (uint32_t k = 0; k < n->loop.n_carries; k++) {
        const ir_carry *c = &n->loop.carries[k];
        if (is_output(f, c->result) || (c->init && !f->fixed[c->init]) || !type_fixed(f, c->inside)) return false;
        f->fixed[c->inside] = true;
    }
    for (uint32_t k = 0; k < n->loop.body.n; k++)
        if (!node_fixed(f, n->loop.body.at[k])) return false;
    /* The next value may be one of the block around. */
    for (uint32_t k = 0; k < n->loop.n_carries; k++)
        if (!f->fixed[n->loop.carries[k].next]) return false;
    for (uint32_t k = 0; k < n->loop.n_carries; k++) f->fixed[n->loop.carries[k].result] = true;
    return true;
}

static bool check_fixed(finder *f, const ir_check *c) {
    for (uint32_t k = 0; k < c->n_over; k++)
        if (!expr_fixed(f, f->unit->var.at[c->over[k]].extent)) return false;
    return expr_fixed(f, c->limit) && map_fixed(f, c->position) && map_fixed(f, c->found);
}

static bool node_fixed(finder *f, const ir_node *n) {
    switch (n->form) {
    case IR_FORM_MAP: return map_fixed(f, n);
    case IR_FORM_CHECK: return check_fixed(f, &n->check);
    case IR_FORM_LOOP: return loop_fixed(f, n);
    case IR_FORM_YIELD: return true;             /* the loop looks at what is handed on */
    default: return false;
    }
}

static bool is_source(const ir_node *n) { return n->form == IR_FORM_INPUT || n->form == IR_FORM_PARAM || n->form == IR_FORM_CONST; }

static void start(finder *f) {
    const ir_block all = f->state->graph->body;
    for (uint32_t k = 0; k < all.n; k++) {
        const ir_node *n = all.at[k];
        if (n->form == IR_FORM_PARAM) note_dims(f, n);
        if (n->form == IR_FORM_PARAM || n->form == IR_FORM_CONST) f->fixed[n->source.value] = true;
    }
}

ir_block pass_setup_first(const pass_state *state, uint32_t *n_first) {
    ir_unit *u = state->graph->unit;
    finder f = {.state = state, .unit = u};
    const ir_block all = state->graph->body;
    f.fixed = BASE_ARRAY(state->arena, u->value.n, bool);
    f.given = BASE_ARRAY(state->arena, u->dim.n, bool);
    ir_builder *first = ir_builder_create(u), *rest = ir_builder_create(u);
    start(&f);
    for (uint32_t k = 0; k < all.n; k++) {
        ir_node *n = all.at[k];
        ir_builder_add(is_source(n) || node_fixed(&f, n) ? first : rest, n);
    }
    ir_block before = ir_builder_block(first), after = ir_builder_block(rest);
    *n_first = before.n;
    for (uint32_t k = 0; k < after.n; k++) ir_builder_add(first, after.at[k]);
    return ir_builder_block(first);
}

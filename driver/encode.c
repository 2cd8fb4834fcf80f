/* From a plan to an entry: expressions become slots of an integer program, indices stay what they are.
 *
 * Steps are encoded in order with the loops around them on a stack, so that an expression of a counter finds its loop.
 */
#include <string.h>
#include "encode_int.h"

/* The encoder with what a plan adds to a signature. */
typedef struct {
    encoder e;
    const ir_plan *plan;
    rt_step *steps;
    enc_ops ops;                     /* of all loops */
} entry;

/* ---- steps */

/* Arithmetic per item is a guess for the executor: an expression that no integer program computes counts as unknown. */
static uint32_t cost_slot(encoder *e, ir_expr cost) { return enc_slot(e, enc_can(e, cost) ? cost : ir_int(e->unit, 0)); }

/* Integers of a kernel's frame: dimensions first, then counters of the loops around it, as ir_kernel lists them. */
static void encode_launch(entry *n, const ir_step *from, rt_step *to) {
    encoder *e = &n->e;
    const ir_schedule *s = n->plan->schedules[from->kernel];
    const ir_kernel *k = s->kernel;
    uint32_t *ints = BASE_ARRAY(e->arena, k->n_dims + k->n_counters, uint32_t);
    for (uint32_t i = 0; i < k->n_dims; i++) ints[i] = k->dims[i] - 1;
    for (uint32_t i = 0; i < k->n_counters; i++) ints[k->n_dims + i] = enc_slot(e, ir_var_expr(e->unit, k->counters[i]));
    to->kernel = from->kernel;
    to->ints = ints;
    to->n_ints = k->n_dims + k->n_counters;
    to->items = enc_slot(e, s->items);
    to->cost = cost_slot(e, s->cost_of_item);
    to->order = s->rising ? ATTN_ORDER_RISING : ATTN_ORDER_LEVEL;
    to->period = s->period ? 1 + enc_slot(e, s->period) : 0;
    to->scratch = enc_slot(e, s->scratch_bytes ? s->scratch_bytes : ir_int(e->unit, 0));
    to->unit_s = s->unit_s;
}

/* The counter gets a slot of its own, and expressions of it become operations of the loop, to be run again with each turn. */
static void encode_loop(entry *n, uint32_t at, const ir_step *from, rt_step *to) {
    encoder *e = &n->e;
    enc_loop *l = BASE_NEW(e->arena, enc_loop);
    /* Bounds are encoded before the loop is pushed: they are computed around it, once for all its turns. */
    to->lo = enc_slot(e, from->lo);
    to->hi = enc_slot(e, from->hi);
    *l = (enc_loop){.counter = from->counter, .slot = e->n_slots++, .step = at, .outer = e->loop};
    enc_define(e, ir_var_expr(e->unit, from->counter), l->slot);
    to->counter = l->slot;
    e->loop = l;
}

/* The operations of the loop are complete when it ends.
 * LOOP and NEXT share one range of operations: the first turn needs them as much as the later ones. Inner loops end first, so
 * ranges of different loops never mix. */
static void encode_next(entry *n, rt_step *to) {
    enc_loop *l = n->e.loop;
    rt_step *loop = &n->steps[l->step];
    loop->first_op = to->first_op = n->ops.n;
    for (uint32_t k = 0; k < l->ops.n; k++) BASE_PUSH(n->e.arena, &n->ops, l->ops.at[k]);
    loop->n_ops = to->n_ops = l->ops.n;
    to->counter = l->slot;
    n->e.loop = l->outer;
}

/* What a failed check is told with: extents to take its linear position apart, and the limit that was passed.
 * Names and texts point into the unit, which lives as long as the entry. */
static rt_check encode_check(entry *n, const ir_check *c) {
    encoder *e = &n->e;
    rt_check out = {.what = c->what, .axis = c->axis, .n_positions = c->n_over, .place = enc_place(e, c->position->span)};
    uint32_t *positions = BASE_ARRAY(e->arena, c->n_over, uint32_t);
    const char **names = BASE_ARRAY(e->arena, c->n_over, const char *);
    for (uint32_t k = 0; k < c->n_over; k++) {
        positions[k] = enc_slot(e, e->unit->var.at[c->over[k]].extent);
        names[k] = e->unit->var.at[c->over[k]].name;
    }
    out.tensor = c->tensor ? e->unit->value.at[c->tensor].name : NULL;
    out.limit = enc_slot(e, c->limit ? c->limit : ir_int(e->unit, 0));
    out.positions = positions;
    out.position_names = names;
    return out;
}

/* Kinds and targets are those of the plan: steps are neither added nor left out, so indices stay valid. TEST, COPY, ZERO, CHECK and FAIL
 * are buffers and targets alone. */
static void encode_step(entry *n, uint32_t at) {
    const ir_step *from = &n->plan->steps[at];
    rt_step *to = &n->steps[at];
    *to = (rt_step){.kind = from->kind, .buffers = from->buffers, .n_buffers = from->n_buffers, .target = from->target, .check = from->check};
    if (from->kind == IR_STEP_LAUNCH) encode_launch(n, from, to);
    if (from->kind == IR_STEP_LOOP) encode_loop(n, at, from, to);
    if (from->kind == IR_STEP_NEXT) encode_next(n, to);
}

/* ---- buffers */

/* Extents of constants are literals. */
static uint64_t const_bytes(encoder *e, const ir_buffer *b) {
    int64_t n = 0;
    if (ir_is_int(e->unit, b->bytes, &n)) return (uint64_t)n;
    base_report(e->diags, BASE_MSG_INTERNAL_IR, (base_span){0, 0, 0}, "the size of a constant is no literal");
    e->failed = true;
    return 0;
}

/* Tensors of an entry are inputs, params, outputs in this order; the plan counts each kind from 0. */
static rt_buffer encode_buffer(entry *n, const ir_buffer *b) {
    encoder *e = &n->e;
    rt_buffer out = {.kind = RT_BUFFER_TENSOR, .bytes = enc_slot(e, b->bytes)};
    switch (b->kind) {
    case IR_BUFFER_INPUT: out.index = b->index; break;
    case IR_BUFFER_PARAM: out.index = e->n_inputs + b->index; break;
    case IR_BUFFER_OUTPUT: out.index = e->n_inputs + e->n_params + b->index; break;
    /* Elements stay where the frontend has put them. */
    case IR_BUFFER_CONST:
        out.kind = RT_BUFFER_CONST;
        out.data = ir_graph_producer(e->graph, b->value)->source.data;
        out.data_bytes = const_bytes(e, b);
        break;
    case IR_BUFFER_KEPT: out.kind = RT_BUFFER_KEPT; break;
    default:
        out.kind = RT_BUFFER_WORK;
        out.offset = enc_slot(e, b->offset);
        out.setup = b->setup;
    }
    return out;
}

/* ---- the signature */

static encoder start(const ir_graph *graph, base_arena *arena, base_diags *diags) {
    return (encoder){.graph = graph, .unit = graph->unit, .arena = arena, .diags = diags};
}

/* Tensors and the binding program without steps: what a program knows of itself, and all that the evaluator needs. ir_dim counts from 1,
 * slots of dimensions from 0. */
bool drv_encode_signature(const ir_graph *graph, base_arena *arena, base_diags *diags, rt_graph *out, rt_param_info **params, uint32_t *n_params) {
    encoder e = start(graph, arena, diags);
    enc_signature(&e);
    const char **names = BASE_ARRAY(arena, e.unit->dim.n + 1, const char *);
    for (uint32_t dim = 1; dim < e.unit->dim.n; dim++) names[dim - 1] = e.unit->dim.at[dim].name;
    *out = (rt_graph){.name = graph->name, .doc = graph->doc, .tensors = e.tensors.at, .n_tensors = e.tensors.n, .dim_names = names,
                      .n_dims = e.unit->dim.n ? e.unit->dim.n - 1 : 0, .n_slots = e.n_slots, .bind = e.bind.at, .n_bind = e.bind.n,
                      .facts = e.facts.at, .n_facts = e.facts.n};
    *params = e.params.at;
    *n_params = e.params.n;
    return !e.failed;
}

/* ---- the entry */

/* The first operations: each symbol that the lowering took for a number has that number. They read the signature's slots. */
static void encode_applies(encoder *e, rt_entry *out) {
    base_text name;
    base_text_init(&name, e->arena);
    out->applies = RT_NONE;
    for (uint32_t dim = 1; dim < e->unit->dim.n; dim++) {
        const ir_dim_info *d = &e->unit->dim.at[dim];
        if (!d->fixed) continue;
        uint32_t value = enc_op(e, (rt_int_op){.op = RT_INT_LITERAL, .literal = d->value});
        uint32_t same = enc_op(e, (rt_int_op){.op = RT_INT_EQ, .a = dim - 1, .b = value});
        bool first = out->applies == RT_NONE;
        out->applies = first ? same : enc_op(e, (rt_int_op){.op = RT_INT_AND, .a = out->applies, .b = same});
        base_text_add(&name, "%s%s = %lld", first ? "" : ", ", d->name, (long long)d->value);
    }
    out->n_applies = e->bind.n;
    out->name = out->applies == RT_NONE ? NULL : name.at;
}

/* A failure here is a mistake of a pass, since programs were checked before; the first ends the encoding. */
static void encode_steps(entry *n, rt_entry *out) {
    rt_buffer *buffers = BASE_ARRAY(n->e.arena, n->plan->n_buffers, rt_buffer);
    rt_check *checks = BASE_ARRAY(n->e.arena, n->plan->n_checks, rt_check);
    n->steps = BASE_ARRAY(n->e.arena, n->plan->n_steps, rt_step);
    for (uint32_t k = 0; k < n->plan->n_buffers; k++) buffers[k] = encode_buffer(n, &n->plan->buffers[k]);
    for (uint32_t k = 0; k < n->plan->n_checks; k++) checks[k] = encode_check(n, n->plan->checks[k]);
    for (uint32_t k = 0; k < n->plan->n_steps && !n->e.failed; k++) encode_step(n, k);
    out->buffers = buffers;
    out->n_buffers = n->plan->n_buffers;
    out->checks = checks;
    out->n_checks = n->plan->n_checks;
    out->steps = n->steps;
    out->n_steps = n->plan->n_steps;
    out->n_setup = n->plan->n_setup;
    out->workspace = enc_slot(&n->e, n->plan->workspace_bytes);
    out->setup_workspace = enc_slot(&n->e, n->plan->setup_bytes);
    out->ops = n->ops.at;
    out->n_ops = n->ops.n;
}

/* Slots and operations last: every expression that steps and buffers asked for has appended to the program and taken slots. */
bool drv_encode_entry(const ir_plan *plan, const rt_graph *signature, const rt_kernel *kernels, base_arena *arena, base_diags *diags, rt_entry *out) {
    entry n = {.e = start(plan->graph, arena, diags), .plan = plan};
    *out = (rt_entry){.kernels = kernels, .n_kernels = plan->n_schedules};
    enc_dims(&n.e, signature);
    encode_applies(&n.e, out);
    encode_steps(&n, out);
    out->n_slots = n.e.n_slots;
    out->bind = n.e.bind.at;
    out->n_bind = n.e.bind.n;
    return !n.e.failed;
}

/* memory: from a graph and its kernels to a plan: steps in order, a buffer for each value, one workspace of symbolic size.
 *
 * In: graph, kernels, schedules. Out: state->plan. Ends: one walk over the nodes, then one over the buffers.
 *
 * - A map is a launch. What it stores into is updated in place where nobody reads the old version later, else copied first.
 * - A loop is LOOP .. NEXT around its body. Each carry has one buffer: init is copied there before the loop, next at the end of each turn, all
 *   at once; a tensor that is filled along the loop is its own next, in place, and costs no copy.
 * - A check is the launch that finds the least failing position, CHECK that jumps on if there is none, the launch that finds the value, FAIL.
 * - What depends on params alone (setup.c) comes first and runs once for a model. Its results that calls read are KEPT; everything else of it lies in a
 *   workspace of its own. Nothing that it has made is updated in place later.
 * - Lifetimes are intervals of steps; what lives before a loop and is read in it lives until its end. Buffers whose lives are disjoint share
 *   a place if one size is provably at most the other (interval colouring, first fit, equal sizes preferred).
 *
 *   h[b,f] = sum(..x..)    y[b] = sum(..h..)    =>    0 launch h   1 launch y   workspace 4*B*F bytes
 */
#include <string.h>
#include "passes.h"

enum { ALIGNMENT = 64 };
static const uint32_t NONE = UINT32_MAX;

typedef struct {
    pass_state *state;
    ir_unit *unit;
    base_arena *arena;
    uint32_t *buffer_of;             /* by value */
    uint32_t *kernel_of;             /* by value: the kernel whose first result it is */
    uint32_t *last_read;             /* by value: number of the last node that reads it, in the order of the walk */
    uint32_t *block_of;              /* by value: the block in which it is defined */
    uint32_t n_values, node, block, n_blocks; /* node, block: where the walk is; both walks count alike, from 0 */
    uint32_t n_inputs, n_params; /* so far: sources number themselves in the graph's order */
    BASE_VEC(ir_step) steps;
    BASE_VEC(ir_buffer) buffers;
    BASE_VEC(const ir_check *) checks;
    ir_block body;                   /* the outermost block, what depends on params alone first: */
    uint32_t n_first, n_setup;       /* so many nodes, so many steps */
    bool setup;                      /* those are planned */
    bool failed;                 /* reported; the walk stops */
} planner;

/* A pass before has broken its promise: said with the node, so that it is found there. */
static void internal(planner *p, base_span span, const char *what) {
    base_report(p->state->diags, BASE_MSG_INTERNAL_IR, span, what);
    p->failed = true;
}

/* node and block are numbers of nodes and blocks in the order of the walk; block 0 is the graph's own. */
/* ---- who reads what, and when: the same walk as below, numbers only */

static bool note_read(const ir_unit *u, void *env, ir_expr e) {
    planner *p = env;
    if (ir_is(u, e, IR_READ)) p->last_read[ir_at(u, e)->u.ref] = p->node;
    return true;
}

static void reads_of_expr(planner *p, ir_expr e) {
    if (e) ir_walk(p->unit, e, note_read, p);
}

static void reads_of_value(planner *p, ir_value v) {
    if (v) p->last_read[v] = p->node;
}

/* What a store goes into counts as read: its old elements are part of the new version. */
static void reads_of_map(planner *p, const ir_node *n) {
    for (uint32_t k = 0; k < n->map.n_outer; k++) reads_of_expr(p, p->unit->var.at[n->map.outer[k]].extent);
    for (uint32_t k = 0; k < n->map.n_results; k++) {
        const ir_result *r = &n->map.results[k];
        reads_of_expr(p, r->body);
        reads_of_value(p, r->store.into);
        for (uint32_t i = 0; i < r->store.n_places; i++) reads_of_expr(p, r->store.places[i]);
        p->block_of[r->store.result] = p->block;
    }
}

static void number_block(planner *p, ir_block block);

/* Each loop is a block of its own. Carries are defined inside for its body and outside for what follows. */
static void number_loop(planner *p, const ir_node *n) {
    uint32_t outside = p->block;
    p->block = ++p->n_blocks;
    for (uint32_t k = 0; k < n->loop.n_carries; k++) {
        reads_of_value(p, n->loop.carries[k].init);
        p->block_of[n->loop.carries[k].inside] = p->block;
        p->block_of[n->loop.carries[k].result] = outside;
    }
    reads_of_expr(p, n->loop.cond);
    number_block(p, n->loop.body);
    p->block = outside;
}

/* Counts in the same order as plan_node, or last_read would mean other nodes there. */
static void number_node(planner *p, const ir_node *n) {
    p->node++;
    switch (n->form) {
    case IR_FORM_MAP: reads_of_map(p, n); break;
    case IR_FORM_LOOP: number_loop(p, n); break;
    case IR_FORM_CHECK:
        reads_of_map(p, n->check.position);
        reads_of_map(p, n->check.found);
        break;
    case IR_FORM_YIELD:
    case IR_FORM_OUTPUT:
        for (uint32_t k = 0; k < n->use.n_values; k++) reads_of_value(p, n->use.values[k]);
        break;
    default: break;
    }
}

static void number_block(planner *p, ir_block block) {
    for (uint32_t k = 0; k < block.n; k++) number_node(p, block.at[k]);
}

/* ---- steps and buffers */

/* Steps own their lists: what is handed in may lie on the stack. */
static uint32_t *list(planner *p, uint32_t n, const uint32_t *from) { return base_copy(p->arena, from, n * sizeof *from); }

/* Every step that touches a buffer prolongs its life. */
static uint32_t add_step(planner *p, ir_step step) {
    uint32_t at = p->steps.n;
    for (uint32_t k = 0; k < step.n_buffers; k++) {
        ir_buffer *b = &p->buffers.at[step.buffers[k]];
        if (b->first == NONE) b->first = at;
        b->last = at;
    }
    return BASE_PUSH(p->arena, &p->steps, step);
}

static void add_pair(planner *p, ir_step_kind kind, uint32_t a, uint32_t b) {
    add_step(p, (ir_step){.kind = (uint8_t)kind, .buffers = list(p, 2, (uint32_t[]){a, b}), .n_buffers = 2});
}

static void add_single(planner *p, ir_step_kind kind, uint32_t a) {
    add_step(p, (ir_step){.kind = (uint8_t)kind, .buffers = list(p, 1, &a), .n_buffers = 1});
}

/* Symbolic, over dimensions; 0 elements are 0 bytes. */
static ir_expr bytes_of(planner *p, ir_value v) {
    const ir_type *t = &p->unit->value.at[v].type;
    ir_expr n = ir_int(p->unit, ir_dtypes[t->dtype].bytes);
    for (uint32_t k = 0; k < t->rank; k++) n = ir_mul(p->unit, n, t->dim[k]);
    return n;
}

/* Buffers are as large in every round of a loop: the workspace is asked for once, before anything runs. */
static uint32_t buffer_new(planner *p, ir_buffer_kind kind, ir_value v, uint32_t index) {
    ir_buffer b = {.kind = (uint8_t)kind, .value = v, .index = index, .bytes = bytes_of(p, v), .first = NONE, .setup = p->setup && kind == IR_BUFFER_WORK};
    if (ir_free(p->unit, b.bytes)) internal(p, (base_span){0, 0, 0}, "the size of a value depends on the counter of a loop");
    return BASE_PUSH(p->arena, &p->buffers, b);
}

/* A value of the outermost block that is handed out is computed where the host wants it. */
static uint32_t buffer_for(planner *p, ir_value v) {
    const ir_graph *g = p->state->graph;
    for (uint32_t k = 0; p->block == 0 && k < g->n_outputs; k++)
        if (g->outputs[k].value == v) return buffer_new(p, IR_BUFFER_OUTPUT, v, k);
    return buffer_new(p, IR_BUFFER_WORK, v, 0);
}

/* ---- maps */

/* Does the kernel read v other than by storing into it? Then it must not see its own stores. */
static bool body_reads(const ir_unit *u, const ir_node *n, ir_value v) {
    for (uint32_t k = 0; k < n->map.n_results; k++) {
        if (ir_reads(u, n->map.results[k].body, v)) return true;
        for (uint32_t i = 0; i < n->map.results[k].store.n_places; i++)
            if (ir_reads(u, n->map.results[k].store.places[i], v)) return true;
    }
    return false;
}

/* The old version may be overwritten: it is ours, of this block (a turn of the loop has its own), and nobody reads it now or later. */
static bool in_place(const planner *p, const ir_node *n, const ir_store *s) {
    uint32_t b = p->buffer_of[s->into];
    if (p->buffers.at[b].setup != p->setup) return false;
    return p->buffers.at[b].kind == IR_BUFFER_WORK && p->block_of[s->into] == p->block && p->last_read[s->into] <= p->node &&
           !body_reads(p->unit, n, s->into);
}

/* Every element gets a value: the places are variables, each once, that run over the whole axis. */
static bool covers(const planner *p, const ir_store *s) {
    const ir_type *type = &p->unit->value.at[s->result].type;
    for (uint32_t k = 0; k < s->n_places; k++) {
        const ir_expr_info *x = ir_at(p->unit, s->places[k]);
        if (x->op != IR_VAR || p->unit->var.at[x->u.ref].extent != type->dim[k]) return false;
        for (uint32_t j = 0; j < k; j++)
            if (s->places[j] == s->places[k]) return false;
    }
    return s->mode != IR_STORE_ADD;
}

/* Zeros are made only where some element may get no value, or is added to: plain stores write them all. */
static void place_result(planner *p, const ir_node *n, const ir_store *s) {
    if (s->into && in_place(p, n, s)) {
        p->buffer_of[s->result] = p->buffer_of[s->into];
        return;
    }
    uint32_t b = p->buffer_of[s->result] = buffer_for(p, s->result);
    /* the old version is still wanted: the kernel stores into a copy of it */
    if (s->into) add_pair(p, IR_STEP_COPY, b, p->buffer_of[s->into]);
    else if (s->n_places && !covers(p, s)) add_single(p, IR_STEP_ZERO, b);
}

/* Buffers in the order of the kernel's values. Each was made by an earlier node or as a result of this one; anything else is a bug before. */
static void launch(planner *p, const ir_node *n) {
    uint32_t k = p->kernel_of[n->map.results[0].store.result];
    if (k == NONE) {
        internal(p, n->span, "a map without a kernel");
        return;
    }
    const ir_kernel *kernel = p->state->kernels[k];
    const ir_schedule *s = p->state->schedules[k];
    const uint32_t n_buffers = kernel->n_values + s->n_panels;
    uint32_t *buffers = BASE_ARRAY(p->arena, n_buffers, uint32_t);
    for (uint32_t i = 0; i < n_buffers; i++) {
        buffers[i] = p->buffer_of[i < kernel->n_values ? kernel->values[i] : s->panels[i - kernel->n_values]];
        if (buffers[i] == NONE) {
            internal(p, n->span, "a kernel reads what no node has made");
            return;
        }
    }
    add_step(p, (ir_step){.kind = IR_STEP_LAUNCH, .kernel = k, .buffers = buffers, .n_buffers = n_buffers});
}

static void plan_map(planner *p, const ir_node *n) {
    for (uint32_t k = 0; k < n->map.n_results; k++) place_result(p, n, &n->map.results[k].store);
    launch(p, n);
}

/* ---- the other forms */

/* Sources come first and in order, so their position counts them. */
static void plan_source(planner *p, const ir_node *n) {
    static const uint8_t kinds[IR_N_FORMS] = {[IR_FORM_INPUT] = IR_BUFFER_INPUT, [IR_FORM_PARAM] = IR_BUFFER_PARAM, [IR_FORM_CONST] = IR_BUFFER_CONST};
    uint32_t index = n->form == IR_FORM_INPUT ? p->n_inputs++ : n->form == IR_FORM_PARAM ? p->n_params++ : 0;
    p->buffer_of[n->source.value] = buffer_new(p, kinds[n->form], n->source.value, index);
}

/* CHECK looks at the position found and jumps behind FAIL if there is none: its target is known only at the end. */
static void plan_check(planner *p, const ir_node *n) {
    const ir_check *c = &n->check;
    plan_map(p, c->position);
    uint32_t position = p->buffer_of[c->position->map.results[0].store.result];
    add_single(p, IR_STEP_CHECK, position);
    /* the CHECK, whose target is set when the steps behind it are there */
    uint32_t at = p->steps.n - 1;
    plan_map(p, c->found);
    uint32_t found = p->buffer_of[c->found->map.results[0].store.result];
    add_pair(p, IR_STEP_FAIL, position, found);
    p->steps.at[p->steps.n - 1].check = BASE_PUSH(p->arena, &p->checks, c);
    p->steps.at[at].target = p->steps.n;
}

static void plan_block(planner *p, ir_block block);

/* A carry's buffer is its own, never that of init: the loop writes it, and init may be an input or be read later. */
static void init_carries(planner *p, const ir_node *n) {
    for (uint32_t k = 0; k < n->loop.n_carries; k++) {
        const ir_carry *c = &n->loop.carries[k];
        uint32_t b = p->buffer_of[c->inside] = buffer_new(p, IR_BUFFER_WORK, c->inside, 0);
        if (c->init) add_pair(p, IR_STEP_COPY, b, p->buffer_of[c->init]);
        else add_single(p, IR_STEP_ZERO, b);
    }
}

/* Does an earlier carry take another value into this buffer before carry k is copied from it? */
static bool overwritten_before(const planner *p, const ir_node *n, uint32_t k, uint32_t source) {
    for (uint32_t i = 0; i < k; i++)
        if (p->buffer_of[n->loop.carries[i].inside] == source && p->buffer_of[n->loop.carries[i].next] != source) return true;
    return false;
}

/* All carries change at once: a next that lies in the buffer of an earlier carry (`a, b = b, a`) is saved before that changes. */
/* First all that would be lost is saved, then all is copied: `from` is where each next value lies by then. */
static void next_carries(planner *p, const ir_node *n) {
    uint32_t *from = BASE_ARRAY(p->arena, n->loop.n_carries, uint32_t);
    for (uint32_t k = 0; k < n->loop.n_carries; k++) {
        from[k] = p->buffer_of[n->loop.carries[k].next];
        if (!overwritten_before(p, n, k, from[k])) continue;
        uint32_t saved = buffer_new(p, IR_BUFFER_WORK, n->loop.carries[k].next, 0);
        add_pair(p, IR_STEP_COPY, saved, from[k]);
        from[k] = saved;
    }
    for (uint32_t k = 0; k < n->loop.n_carries; k++) {
        uint32_t to = p->buffer_of[n->loop.carries[k].inside];
        if (to != from[k]) add_pair(p, IR_STEP_COPY, to, from[k]);
    }
}

/* What is born before the loop and used in it is used in every turn. */
/* A buffer that is born inside needs no more: each turn writes it before reading it. */
static void prolong(planner *p, uint32_t loop, uint32_t next) {
    for (uint32_t k = 0; k < p->buffers.n; k++) {
        ir_buffer *b = &p->buffers.at[k];
        if (b->first < loop && b->last >= loop && b->last < next) b->last = next;
    }
}

static void plan_loop(planner *p, const ir_node *n) {
    if (n->loop.cond && !ir_is_bool(p->unit, n->loop.cond, true)) {      /* IR text can say it, the language not yet */
        base_report(p->state->diags, BASE_MSG_NOT_YET, n->span, "a loop with a condition");
        p->failed = true;
        return;
    }
    /* copies stand before LOOP: they run once, and the carries' buffers live from there */
    init_carries(p, n);
    uint32_t loop = add_step(p, (ir_step){.kind = IR_STEP_LOOP, .counter = n->loop.counter, .lo = n->loop.lo, .hi = n->loop.hi});
    uint32_t outside = p->block;
    p->block = ++p->n_blocks;
    plan_block(p, n->loop.body);
    if (p->failed) return;
    next_carries(p, n);
    p->block = outside;
    uint32_t next = add_step(p, (ir_step){.kind = IR_STEP_NEXT, .counter = n->loop.counter, .target = loop + 1});
    /* no round at all goes there too: the carries then hold what they began with */
    p->steps.at[loop].target = next + 1;
    prolong(p, loop, next);
    /* after the last round the carry's buffer holds the result, so it needs none of its own */
    for (uint32_t k = 0; k < n->loop.n_carries; k++) p->buffer_of[n->loop.carries[k].result] = p->buffer_of[n->loop.carries[k].inside];
}

/* Outputs that were not computed in place: loop results, inputs handed on, one value under two names. */
static void plan_output(planner *p) {
    const ir_graph *g = p->state->graph;
    for (uint32_t k = 0; k < g->n_outputs; k++) {
        uint32_t from = p->buffer_of[g->outputs[k].value];
        const ir_buffer *b = &p->buffers.at[from];
        if (b->kind == IR_BUFFER_OUTPUT && b->index == k) continue;
        uint32_t to = buffer_new(p, IR_BUFFER_OUTPUT, g->outputs[k].value, k);
        add_pair(p, IR_STEP_COPY, to, from);
    }
}

static void plan_node(planner *p, const ir_node *n) {
    p->node++;
    switch (n->form) {
    case IR_FORM_MAP: plan_map(p, n); break;
    case IR_FORM_LOOP: plan_loop(p, n); break;
    case IR_FORM_CHECK: plan_check(p, n); break;
    case IR_FORM_OUTPUT: plan_output(p); break;
    case IR_FORM_YIELD: break;
    default: plan_source(p, n); break;
    }
}

/* Stops at the first failure: what follows would only complain about buffers that were not made. */
static void plan_block(planner *p, ir_block block) {
    for (uint32_t k = 0; k < block.n && !p->failed; k++) plan_node(p, block.at[k]);
}

/* ---- places */

typedef struct { ir_expr bytes; uint32_t last; } slot;       /* of the workspace; last: step until which it is taken */
typedef BASE_VEC(slot) slots;

/* 0: they do not fit together; else the smaller the better: equal sizes, the slot is larger, the slot would grow. */
static int fit(planner *p, const slot *s, const ir_buffer *b) {
    /* `>=`: a step reads and writes at once, so a buffer that dies in the step in which another is born may not give it its place */
    if (s->last >= b->first) return 0;
    if (s->bytes == b->bytes) return 1;
    if (ir_at_least(p->unit, ir_sub(p->unit, s->bytes, b->bytes), 0)) return 2;
    return ir_at_least(p->unit, ir_sub(p->unit, b->bytes, s->bytes), 0) ? 3 : 0;
}

/* The place with the best fit, else a new one. It is taken until the buffer's last step; one that grows keeps those it held before, which were
 * smaller. */
static uint32_t choose(planner *p, slots *all, const ir_buffer *b) {
    uint32_t best = NONE;
    int best_fit = 4;
    for (uint32_t k = 0; k < all->n; k++) {
        int f = fit(p, &all->at[k], b);
        if (f && f < best_fit) best = k, best_fit = f;
    }
    if (best == NONE) return BASE_PUSH(p->arena, all, ((slot){b->bytes, b->last}));
    if (best_fit == 3) all->at[best].bytes = b->bytes;
    all->at[best].last = b->last;
    return best;
}

/* Up to the alignment, without // where it can be had: sizes are printed, and proved about. */
static ir_expr rounded(ir_unit *u, ir_expr bytes) {
    ir_expr a = ir_int(u, ALIGNMENT);
    int64_t n;
    if (ir_is_int(u, bytes, &n)) return ir_int(u, (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (ir_divides(u, a, bytes)) return bytes;
    return ir_mul(u, a, ir_op2(u, IR_FDIV, ir_add(u, bytes, ir_int(u, ALIGNMENT - 1)), a));
}

/* Insertion sort: buffers are made almost in the order of their first step already. First fit by intervals needs this order. */
static uint32_t *by_birth(planner *p) {
    uint32_t *order = BASE_ARRAY(p->arena, p->buffers.n, uint32_t);
    for (uint32_t k = 0; k < p->buffers.n; k++) {
        uint32_t at = k;
        for (; at > 0 && p->buffers.at[order[at - 1]].first > p->buffers.at[k].first; at--) order[at] = order[at - 1];
        order[at] = k;
    }
    return order;
}

static bool lies_in(const ir_buffer *b, bool setup) { return b->kind == IR_BUFFER_WORK && b->setup == setup; }

/* Slots first, offsets after: a slot may grow until the last buffer has its place. Only WORK lives in a workspace, that of its half. */
static ir_expr place_all(planner *p, bool setup) {
    slots all = {0};
    uint32_t *slot_of = BASE_ARRAY(p->arena, p->buffers.n, uint32_t), *order = by_birth(p);
    for (uint32_t k = 0; k < p->buffers.n; k++) {
        ir_buffer *b = &p->buffers.at[order[k]];
        if (lies_in(b, setup)) slot_of[order[k]] = choose(p, &all, b);
    }
    ir_expr *offset = BASE_ARRAY(p->arena, all.n + 1, ir_expr);
    offset[0] = ir_int(p->unit, 0);
    for (uint32_t k = 0; k < all.n; k++) offset[k + 1] = ir_add(p->unit, offset[k], rounded(p->unit, all.at[k].bytes));
    for (uint32_t k = 0; k < p->buffers.n; k++)
        if (lies_in(&p->buffers.at[k], setup)) p->buffers.at[k].offset = offset[slot_of[k]];
    return offset[all.n];
}

/* ---- the pass */

/* By value, all NONE: the byte 0xff four times. */
static uint32_t *table(planner *p) {
    uint32_t *at = BASE_ARRAY(p->arena, p->n_values, uint32_t);
    memset(at, 0xff, p->n_values * sizeof *at);
    return at;
}

/* By the first value of the kernel's frame, which is its first result: results come first (lower_frame.c). */
static void find_kernels(planner *p) {
    p->kernel_of = table(p);
    for (uint32_t k = 0; k < p->state->n_kernels; k++)
        if (p->state->kernels[k]->n_values) p->kernel_of[p->state->kernels[k]->values[0]] = k;
}

static void number_all(planner *p) {
    p->last_read = BASE_ARRAY(p->arena, p->n_values, uint32_t);
    p->block_of = BASE_ARRAY(p->arena, p->n_values, uint32_t);
    number_block(p, p->body);
    /* plan_block counts again from the start, and must come to the same numbers */
    p->node = p->block = p->n_blocks = 0;
}

/* The set-up's first: then it is known which of its values calls read. */
static void plan_halves(planner *p) {
    ir_block all = p->body;
    p->setup = true;
    plan_block(p, (ir_block){all.at, p->n_first});
    p->setup = false;
    p->n_setup = p->steps.n;
    plan_block(p, (ir_block){all.at + p->n_first, all.n - p->n_first});
    for (uint32_t k = 0; k < p->buffers.n; k++) {
        ir_buffer *b = &p->buffers.at[k];
        if (b->setup && b->last != NONE && b->last >= p->n_setup && b->first != NONE) b->kind = IR_BUFFER_KEPT;
    }
}

/* The plan borrows what the passes before have made; all lives in the unit's arena. */
static void finish(planner *p) {
    ir_plan *plan = BASE_NEW(p->arena, ir_plan);
    plan->graph = p->state->graph;
    plan->workspace_bytes = place_all(p, false);
    plan->setup_bytes = place_all(p, true);
    plan->n_setup = p->n_setup;
    plan->schedules = p->state->schedules;
    plan->n_schedules = p->state->n_kernels;
    plan->steps = p->steps.at;
    plan->n_steps = p->steps.n;
    plan->buffers = p->buffers.at;
    plan->n_buffers = p->buffers.n;
    plan->checks = p->checks.at;
    plan->n_checks = p->checks.n;
    p->state->plan = plan;
}

bool pass_memory(pass_state *state) {
    planner p = {.state = state, .unit = state->graph->unit, .arena = state->arena};
    p.n_values = p.unit->value.n;
    p.buffer_of = table(&p);
    find_kernels(&p);
    p.body = pass_setup_first(state, &p.n_first);
    number_all(&p);
    plan_halves(&p);
    if (p.failed) return false;
    finish(&p);
    return ir_plan_verify(state->plan);
}

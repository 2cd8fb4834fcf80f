/* Plans: their text and their rules.
 *
 *   plan encode {
 *     b0 x       input 0      4*B*S*E bytes
 *     b1 h       work at 0    4*B*F*S bytes   steps 0 to 1
 *     b2 y       output 0     4*B*S*E bytes
 *     workspace (4*B*F*S + 63)//64*64 bytes
 *     0 launch h    b1 b0
 *     1 launch y    b2 b1
 *   }
 *
 * A plan with a set-up has its steps first, after the line `set-up`; those of calls stand after the line `call`.
 */
#include "ir.h"

/* in the order of ir_step_kind and ir_buffer_kind */
static const char *const step_names[] = {"launch", "loop", "next", "test", "copy", "zero", "check", "fail"};
static const char *const buffer_names[] = {"input", "param", "const", "output", "work", "kept"};

/* ---- text */

/* Inputs, params and outputs show their place in the graph's list; work buffers where they lie, and for how long. */
static void print_buffer(const ir_plan *p, uint32_t k, base_text *out) {
    const ir_unit *u = p->graph->unit;
    const ir_buffer *b = &p->buffers[k];
    base_text_add(out, "  b%-3u %-12s %-6s ", k, u->value.at[b->value].name, buffer_names[b->kind]);
    if (b->kind == IR_BUFFER_WORK) {
        base_text_add(out, b->setup ? "set-up at " : "at ");
        ir_expr_print(u, b->offset, out);
        base_text_add(out, ", ");
    } else if (b->kind != IR_BUFFER_CONST && b->kind != IR_BUFFER_KEPT) base_text_add(out, "%u, ", b->index);
    ir_expr_print(u, b->bytes, out);
    base_text_add(out, " bytes");
    if (b->kind == IR_BUFFER_WORK) base_text_add(out, ", steps %u to %u", b->first, b->last);
    base_text_add(out, "\n");
}

static void print_range(const ir_unit *u, const ir_step *s, base_text *out) {
    base_text_add(out, " %s in ", u->var.at[s->counter].name);
    ir_expr_print(u, s->lo, out);
    base_text_add(out, "..");
    ir_expr_print(u, s->hi, out);
}

/* Indented by the loops around it; `to` names the step of a jump. */
static void print_step(const ir_plan *p, uint32_t k, uint32_t depth, base_text *out) {
    const ir_unit *u = p->graph->unit;
    const ir_step *s = &p->steps[k];
    base_text_add(out, "  %*s%-3u %s", (int)(2 * depth), "", k, step_names[s->kind]);
    if (s->kind == IR_STEP_LAUNCH) base_text_add(out, " %u %s", s->kernel, p->schedules[s->kernel]->kernel->name);
    if (s->kind == IR_STEP_LOOP) print_range(u, s, out);
    if (s->kind == IR_STEP_NEXT) base_text_add(out, " %s", u->var.at[s->counter].name);
    for (uint32_t i = 0; i < s->n_buffers; i++) base_text_add(out, " b%u", s->buffers[i]);
    if (s->kind == IR_STEP_FAIL) base_text_add(out, " %s", p->checks[s->check]->what);
    if (s->kind == IR_STEP_LOOP || s->kind == IR_STEP_TEST || s->kind == IR_STEP_NEXT || s->kind == IR_STEP_CHECK) base_text_add(out, " to %u", s->target);
    base_text_add(out, "\n");
}

static void print_setup(const ir_plan *p, base_text *out) {
    if (!p->n_setup) return;
    base_text_add(out, "  set-up, workspace ");
    ir_expr_print(p->graph->unit, p->setup_bytes, out);
    base_text_add(out, " bytes\n");
}

void ir_plan_print(const ir_plan *p, base_text *out) {
    base_text_add(out, "plan %s {\n", p->graph->name);
    for (uint32_t k = 0; k < p->n_buffers; k++) print_buffer(p, k, out);
    base_text_add(out, "  workspace ");
    ir_expr_print(p->graph->unit, p->workspace_bytes, out);
    base_text_add(out, " bytes\n");
    print_setup(p, out);
    for (uint32_t k = 0, depth = 0; k < p->n_steps; k++) {
        if (k == p->n_setup && k) base_text_add(out, "  call\n");
        /* a plan that is wrong is printed too */
        if (p->steps[k].kind == IR_STEP_NEXT && depth) depth--;
        print_step(p, k, depth, out);
        if (p->steps[k].kind == IR_STEP_LOOP) depth++;
    }
    base_text_add(out, "}\n");
}

/* ---- rules */

static bool broken(const ir_plan *p, uint32_t step, const char *rule) {
    ir_unit *u = p->graph->unit;
    base_report(u->diags, BASE_MSG_INTERNAL_IR, (base_span){0, 0, 0}, base_printf(u->arena, "plan of %s, step %u: %s", p->graph->name, step, rule));
    return false;
}

/* The set-up knows params, constants and its own; a call reads what was kept, and nothing else of it. */
static bool half_fine(const ir_plan *p, uint32_t k, const ir_buffer *b) {
    bool setup = k < p->n_setup;
    if (b->kind == IR_BUFFER_WORK && b->setup != setup) return broken(p, k, "a buffer of the other half");
    if (setup && (b->kind == IR_BUFFER_INPUT || b->kind == IR_BUFFER_OUTPUT)) return broken(p, k, "the set-up uses a tensor of a call");
    return true;
}

/* Outside of its life its place in the workspace may belong to another buffer. */
static bool buffers_fine(const ir_plan *p, uint32_t k) {
    const ir_step *s = &p->steps[k];
    for (uint32_t i = 0; i < s->n_buffers; i++) {
        if (s->buffers[i] >= p->n_buffers) return broken(p, k, "a buffer that does not exist");
        const ir_buffer *b = &p->buffers[s->buffers[i]];
        if (!half_fine(p, k, b)) return false;
        if (b->kind == IR_BUFFER_WORK && (k < b->first || k > b->last)) return broken(p, k, "a buffer outside of its life");
    }
    return true;
}

/* Buffers stand in the order of kernel->values, results first, panels last. */
static bool launch_fine(const ir_plan *p, uint32_t k) {
    const ir_step *s = &p->steps[k];
    if (s->kernel >= p->n_schedules) return broken(p, k, "a kernel that does not exist");
    const ir_kernel *kernel = p->schedules[s->kernel]->kernel;
    if (kernel->n_values + p->schedules[s->kernel]->n_panels != s->n_buffers) return broken(p, k, "a launch with the wrong number of buffers");
    for (uint32_t i = 0; i < kernel->n_stores; i++)
        if (p->buffers[s->buffers[i]].kind < IR_BUFFER_OUTPUT) return broken(p, k, "a launch writes into an input, param or const");
    for (uint32_t i = 0; i < kernel->n_stores; i++)
        if (k >= p->n_setup && p->buffers[s->buffers[i]].kind == IR_BUFFER_KEPT) return broken(p, k, "a call writes what the set-up has made");
    return true;
}

/* A launch has as many as its kernel has values, and is not asked here; loops have none. */
static uint32_t buffers_of_kind(uint8_t kind) {
    switch (kind) {
    case IR_STEP_COPY: case IR_STEP_FAIL: return 2;
    case IR_STEP_TEST: case IR_STEP_ZERO: case IR_STEP_CHECK: return 1;
    default: return 0;
    }
}

static bool step_fine(const ir_plan *p, uint32_t k) {
    const ir_step *s = &p->steps[k];
    if (s->kind > IR_STEP_FAIL) return broken(p, k, "a kind that does not exist");
    if (!buffers_fine(p, k)) return false;
    if (s->kind == IR_STEP_LAUNCH) return launch_fine(p, k);
    if (s->n_buffers != buffers_of_kind(s->kind)) return broken(p, k, "the wrong number of buffers");
    if (s->kind == IR_STEP_FAIL && s->check >= p->n_checks) return broken(p, k, "a check that does not exist");
    /* n_steps itself is the end: a loop or check may be last */
    if (s->target > p->n_steps || (k < p->n_setup && s->target > p->n_setup)) return broken(p, k, "a jump out of the plan");
    if (s->kind == IR_STEP_NEXT && (s->target == 0 || p->steps[s->target - 1].kind != IR_STEP_LOOP)) return broken(p, k, "next without its loop");
    return true;
}

/* Buffers that live at the same time lie apart: equal offsets mean one place, and places follow each other. */
static bool places_fine(const ir_plan *p) {
    for (uint32_t a = 0; a < p->n_buffers; a++)
        for (uint32_t b = 0; b < a; b++) {
            const ir_buffer *x = &p->buffers[a], *y = &p->buffers[b];
            if (x->kind != IR_BUFFER_WORK || y->kind != IR_BUFFER_WORK || x->offset != y->offset || x->setup != y->setup) continue;
            if (x->first <= y->last && y->first <= x->last) return broken(p, x->first, "two buffers in one place at a time");
        }
    return true;
}

bool ir_plan_verify(const ir_plan *p) {
    for (uint32_t k = 0; k < p->n_steps; k++)
        if (!step_fine(p, k)) return false;
    return places_fine(p);
}

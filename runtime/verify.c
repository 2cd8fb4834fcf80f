/* What must hold of a module that others have written: every index in range, every kind known, jumps where they may go, nothing written but
 * what is the call's own. Sizes depend on the call and are compared there (run.c).
 */
#include <string.h>
#include "rt.h"

typedef struct {
    const rt_module *m;
    const rt_graph *g;
    const rt_entry *e;
    base_arena *arena;
    const char *where;           /* "graph f, step 3" */
    const char *wrong;           /* the first; NULL: none */
} checking;

static bool holds(checking *c, bool rule, const char *text) {
    if (!rule && !c->wrong) c->wrong = base_printf(c->arena, "%s: %s", c->where, text);
    return rule;
}

static void at(checking *c, const char *what, uint32_t k) {
    const char *graph = c->g && c->g->name ? c->g->name : "?";
    if (!c->wrong) c->where = c->g ? base_printf(c->arena, "graph %s, %s %u", graph, what, k) : base_printf(c->arena, "%s %u", what, k);
}

static bool texts_fine(const char *const *texts, uint32_t n) {
    for (uint32_t k = 0; k < n; k++)
        if (!texts[k]) return false;
    return true;
}

static bool slots_fine(const uint32_t *slots, uint32_t n, uint32_t n_slots) {
    for (uint32_t k = 0; k < n; k++)
        if (slots[k] >= n_slots) return false;
    return true;
}

/* ---- integer programs */

static bool bound(const checking *c, uint32_t tensor) {
    return tensor < c->g->n_tensors && (c->g->tensors[tensor].kind == RT_TENSOR_INPUT || c->g->tensors[tensor].kind == RT_TENSOR_PARAM);
}

static bool axis_fine(const checking *c, uint64_t tensor, uint64_t axis) {
    return tensor < c->g->n_tensors && bound(c, (uint32_t)tensor) && axis < c->g->tensors[tensor].rank;
}

static bool scalar_fine(const checking *c, uint32_t tensor) {
    if (tensor >= c->g->n_tensors) return false;
    const rt_tensor_info *t = &c->g->tensors[tensor];
    return t->kind == RT_TENSOR_INPUT && t->rank == 0 && rt_dtypes[t->dtype].sort != 'f';
}

static void op_fine(checking *c, const rt_int_op *op, uint32_t n_slots) {
    uint32_t operands[3] = {op->a, op->b, op->c};
    uint64_t literal = (uint64_t)op->literal;
    bool test = op->op == RT_INT_EXPECT || op->op == RT_INT_REQUIRE;
    if (!holds(c, op->op < RT_N_INTS, "an operation that does not exist")) return;
    holds(c, test || op->dst < n_slots, "a slot that does not exist");
    holds(c, slots_fine(operands, rt_int_operands(op->op), n_slots), "a slot that does not exist");
    if (op->op == RT_INT_SHAPE || op->op == RT_INT_STRIDE) holds(c, axis_fine(c, op->a, op->b), "an axis that does not exist");
    if (op->op == RT_INT_SCALAR) holds(c, scalar_fine(c, op->a), "a tensor that is no integer input of rank 0");
    if (op->op == RT_INT_SOLVE || op->op == RT_INT_EXPECT) holds(c, axis_fine(c, literal >> 8, literal & 255), "an axis that does not exist");
    if (op->op == RT_INT_REQUIRE) holds(c, literal < c->g->n_facts, "a fact that does not exist");
}

static void program_fine(checking *c, const char *what, const rt_int_op *ops, uint32_t n, uint32_t n_slots) {
    for (uint32_t k = 0; k < n && !c->wrong; k++) {
        at(c, what, k);
        op_fine(c, &ops[k], n_slots);
    }
}

/* ---- steps */

/* May it be written here? Results of the set-up are written by the set-up alone; inputs, params and constants never. */
static bool may_write(const checking *c, uint32_t buffer, bool setup) {
    const rt_buffer *b = &c->e->buffers[buffer];
    if (b->kind == RT_BUFFER_TENSOR) return !setup && c->g->tensors[b->index].kind == RT_TENSOR_OUTPUT;
    return b->kind == RT_BUFFER_WORK || (b->kind == RT_BUFFER_KEPT && setup);
}

/* Before there is a call there are params, constants, what is kept, and the set-up's own workspace. */
static bool may_use(const checking *c, uint32_t buffer, bool setup) {
    const rt_buffer *b = &c->e->buffers[buffer];
    if (b->kind == RT_BUFFER_WORK) return (b->setup != 0) == setup;
    return b->kind != RT_BUFFER_TENSOR || !setup || c->g->tensors[b->index].kind == RT_TENSOR_PARAM;
}

/* Kernels alone know strides: what is read with them is no row of bytes. */
static bool is_strided(const checking *c, uint32_t buffer) {
    const rt_buffer *b = &c->e->buffers[buffer];
    return c->e->n_takes && b->kind == RT_BUFFER_TENSOR && c->e->takes[b->index] != RT_NONE;
}

/* How many buffers the kinds other than LAUNCH have. */
static const uint8_t buffers_of_kind[RT_N_STEPS] = {[RT_STEP_TEST] = 1, [RT_STEP_COPY] = 2, [RT_STEP_ZERO] = 1, [RT_STEP_CHECK] = 1, [RT_STEP_FAIL] = 2};

static uint32_t n_written(const checking *c, const rt_step *s) {
    if (s->kind == RT_STEP_LAUNCH) return c->e->kernels[s->kernel].n_results;
    return s->kind == RT_STEP_COPY || s->kind == RT_STEP_ZERO;
}

static void launch_fine(checking *c, const rt_step *s) {
    if (!holds(c, s->kernel < c->e->n_kernels, "a kernel that does not exist")) return;
    const rt_kernel *k = &c->e->kernels[s->kernel];
    uint32_t slots[] = {s->items, s->cost, s->scratch, s->period ? s->period - 1 : 0};
    holds(c, s->n_ints == k->n_ints && s->n_buffers == k->n_buffers, "a launch that does not fit its kernel");
    holds(c, slots_fine(slots, s->period ? 4 : 3, c->e->n_slots) && slots_fine(s->ints, s->n_ints, c->e->n_slots), "a slot that does not exist");
}

/* Set-up and call are two lists of steps: no jump leaves its own. */
static void jump_fine(checking *c, uint32_t k, const rt_step *s) {
    uint32_t first = k < c->e->n_setup ? 0 : c->e->n_setup, end = k < c->e->n_setup ? c->e->n_setup : c->e->n_steps;
    if (s->kind == RT_STEP_NEXT) {
        bool back = s->target > first && s->target <= k && c->e->steps[s->target - 1].kind == RT_STEP_LOOP;
        holds(c, back, "a turn without its loop");
    } else holds(c, s->target > k && s->target <= end, "a jump that leads nowhere");
}

static void loop_fine(checking *c, const rt_step *s) {
    uint32_t slots[] = {s->counter, s->lo, s->hi};
    holds(c, slots_fine(slots, s->kind == RT_STEP_LOOP ? 3 : 1, c->e->n_slots), "a slot that does not exist");
    holds(c, s->first_op <= c->e->n_ops && s->n_ops <= c->e->n_ops - s->first_op, "operations that do not exist");
}

static void step_fine(checking *c, uint32_t k) {
    const rt_step *s = &c->e->steps[k];
    bool setup = k < c->e->n_setup;
    if (!holds(c, s->kind < RT_N_STEPS, "a kind that does not exist")) return;
    if (s->kind == RT_STEP_LAUNCH) launch_fine(c, s);
    else holds(c, s->n_buffers == buffers_of_kind[s->kind], "the wrong number of buffers");
    if (!holds(c, slots_fine(s->buffers, s->n_buffers, c->e->n_buffers), "a buffer that does not exist") || c->wrong) return;
    for (uint32_t i = 0; i < s->n_buffers; i++) holds(c, may_use(c, s->buffers[i], setup), "a buffer that is not there then");
    for (uint32_t i = 0; i < s->n_buffers; i++) holds(c, s->kind == RT_STEP_LAUNCH || !is_strided(c, s->buffers[i]), "it reads strides that only kernels know");
    for (uint32_t i = 0; i < n_written(c, s); i++) holds(c, may_write(c, s->buffers[i], setup), "it writes what may only be read");
    if (s->kind == RT_STEP_LOOP || s->kind == RT_STEP_NEXT) loop_fine(c, s);
    if (s->kind == RT_STEP_LOOP || s->kind == RT_STEP_NEXT || s->kind == RT_STEP_TEST || s->kind == RT_STEP_CHECK) jump_fine(c, k, s);
    for (uint32_t i = 0; i < n_written(c, s) && s->same; i++)
        holds(c, c->e->buffers[s->buffers[i]].kind == RT_BUFFER_KEPT, "results that others cannot share");
    if (s->kind == RT_STEP_FAIL) holds(c, s->check < c->e->n_checks, "a check that does not exist");
}

/* ---- the other tables of an entry */

static void kernel_fine(checking *c, const rt_kernel *k) {
    holds(c, k->name != NULL && k->image.symbol != NULL, "a name is missing");
    holds(c, k->image.bytes != NULL && k->image.entry < k->image.n, "there is no code");
    holds(c, k->n_results <= k->n_buffers, "more results than buffers");
}

static void buffer_fine(checking *c, const rt_buffer *b) {
    const rt_entry *e = c->e;
    if (!holds(c, b->kind < RT_N_BUFFERS, "a kind that does not exist")) return;
    holds(c, b->bytes < e->n_slots, "a slot that does not exist");
    if (b->kind == RT_BUFFER_TENSOR) holds(c, b->index < c->g->n_tensors, "a tensor that does not exist");
    if (b->kind == RT_BUFFER_WORK) holds(c, b->offset < e->n_slots, "a slot that does not exist");
    if (b->kind == RT_BUFFER_CONST) holds(c, b->data || !b->data_bytes, "a constant without elements");
}

static void check_fine(checking *c, const rt_check *k) {
    holds(c, k->what && (k->tensor || strcmp(k->what, "index")) && texts_fine(k->position_names, k->n_positions), "a text is missing");
    holds(c, k->limit < c->e->n_slots && slots_fine(k->positions, k->n_positions, c->e->n_slots), "a slot that does not exist");
}

static void takes_fine(checking *c) {
    const rt_entry *e = c->e;
    holds(c, e->n_takes == 0 || e->n_takes == c->g->n_tensors, "strides that are not those of the tensors");
    for (uint32_t k = 0; k < e->n_takes; k++) holds(c, e->takes[k] == RT_NONE || e->takes[k] < e->n_slots, "a slot that does not exist");
}

#define EACH(c, what, list, n, fine) for (uint32_t k = 0; k < (n) && !(c)->wrong; k++) { at(c, what, k); fine(c, &(list)[k]); }

static void entry_fine(checking *c, const rt_entry *e) {
    c->e = e;
    holds(c, e->n_slots >= c->g->n_slots && e->n_applies <= e->n_bind && e->n_setup <= e->n_steps, "counts that do not fit");
    holds(c, e->applies == RT_NONE || e->applies < e->n_slots, "a slot that does not exist");
    holds(c, e->workspace < e->n_slots && (!e->n_setup || e->setup_workspace < e->n_slots), "a slot that does not exist");
    holds(c, texts_fine(e->remarks, e->n_remarks), "a text is missing");
    takes_fine(c);
    program_fine(c, "operation", e->bind, e->n_bind, e->n_slots);
    program_fine(c, "operation of a loop", e->ops, e->n_ops, e->n_slots);
    EACH(c, "kernel", e->kernels, e->n_kernels, kernel_fine)
    EACH(c, "buffer", e->buffers, e->n_buffers, buffer_fine)
    EACH(c, "check", e->checks, e->n_checks, check_fine)
    for (uint32_t k = 0; k < e->n_steps && !c->wrong; k++) {
        at(c, "step", k);
        step_fine(c, k);
    }
}

/* ---- graphs, and what they share */

static void type_fine(checking *c, const char *name, uint32_t dtype, uint32_t rank, const char *const *dim_texts) {
    holds(c, name != NULL, "a name is missing");
    holds(c, dtype < RT_N_DTYPES && rank <= RT_RANK && texts_fine(dim_texts, rank), "a type that does not exist");
}

static void param_fine(checking *c, const rt_param_info *p) {
    type_fine(c, p->name, p->dtype, p->rank, p->dim_texts);
    holds(c, p->storage != NULL, "a name is missing");
}

/* Inputs, params, states, outputs: the order of their kinds. */
static void tensor_fine(checking *c, const rt_tensor_info *t) {
    const rt_module *m = c->m;
    bool first = t == c->g->tensors;
    type_fine(c, t->name, t->dtype, t->rank, t->dim_texts);
    holds(c, t->kind < RT_N_TENSORS && t->kind != RT_TENSOR_STATE && (first || t[-1].kind <= t->kind), "a kind that may not stand here");
    holds(c, slots_fine(t->dims, t->rank, c->g->n_slots), "a slot that does not exist");
    holds(c, !t->is_dim || (t->kind == RT_TENSOR_INPUT && t->rank == 0 && t->dtype == RT_I64), "a dimension that is no i64 of rank 0");
    if (t->kind != RT_TENSOR_PARAM) return;
    bool same = t->index < m->n_params && m->params[t->index].dtype == t->dtype && m->params[t->index].rank == t->rank;
    holds(c, same, "a param that the module does not have");
}

static void graph_fine(checking *c, const rt_graph *g) {
    c->g = g;
    holds(c, g->name && texts_fine(g->dim_names, g->n_dims), "a name is missing");
    holds(c, g->n_dims <= g->n_slots && g->n_entries, "counts that do not fit");
    EACH(c, "tensor", g->tensors, g->n_tensors, tensor_fine)
    for (uint32_t k = 0; k < g->n_facts; k++) holds(c, g->facts[k].text != NULL, "a text is missing");
    program_fine(c, "operation", g->bind, g->n_bind, g->n_slots);
    for (uint32_t k = 0; k < g->n_entries && !c->wrong; k++) {
        at(c, "entry", k);
        entry_fine(c, &g->entries[k]);
    }
    c->g = NULL;
}

static void source_fine(checking *c, const rt_source *s) {
    holds(c, s->name && (!s->text || strlen(s->text) == s->text_bytes), "a file that is not what it says");
}

const char *rt_module_wrong(const rt_module *m, base_arena *arena) {
    checking c = {.m = m, .arena = arena, .where = "module"};
    holds(&c, m->magic == RT_MAGIC && m->abi == RT_ABI && m->struct_size == sizeof *m, "another version of attn has written it");
    holds(&c, !(m->features & ~(uint32_t)RT_FEATURES_KNOWN) && !m->n_states && !m->n_lengths, "it needs a newer version of attn");
    holds(&c, m->level < RT_N_LEVELS && m->target && m->n_graphs, "counts that do not fit");
    EACH(&c, "file", m->sources, m->n_sources, source_fine)
    EACH(&c, "param", m->params, m->n_params, param_fine)
    EACH(&c, "graph", m->graphs, m->n_graphs, graph_fine)
    return c.wrong;
}

/* The meaning of a graph: every node evaluated in float64 and int64, in the order of the graph.
 *
 * Sources are rounded to their storage type first, outputs last, nothing between: which intermediates exist is the business of
 * fusion. Storage of results is kept from one turn of a loop to the next, so a loop needs no more memory than its body.
 */
#include <math.h>
#include <string.h>
#include "machine.h"

typedef struct { bool *at; int64_t n; } marks;
typedef struct {
    const ir_graph *graph;
    ir_frame *frame;             /* dims and inputs are the caller's; every other value is put here */
    base_arena *arena;
    base_diags *diags;
    ir_machine *machine;
    ir_map_run *run;             /* NULL: maps are evaluated here */
    void *env;                   /* of `run` */
    bool *own;                   /* by value: its tensor is ours to write over */
    marks *taken;                /* by value that is stored at places: which of its elements have been */
} evaluation;

/* After a report only: a caller that gets false looks for the reason among the diagnostics. */
_Noreturn static void give_up(evaluation *v) { longjmp(v->machine->fail, 1); }

static const char *name_of(const evaluation *v, ir_value value) { return v->graph->unit->value.at[value].name; }

/* ---- tensors of values */

/* Shapes are evaluated again each time: inside a loop they may depend on its counter. */
static void shape_of(evaluation *v, ir_value value, int64_t *dim) {
    const ir_unit *u = v->graph->unit;
    if (!ir_type_shape(u, v->frame, &u->value.at[value].type, dim, v->diags)) give_up(v);
}

/* Zeros of the value's shape; what it held before is written over if it was made here. */
static ir_tensor *make(evaluation *v, ir_value value) {
    const ir_type *type = &v->graph->unit->value.at[value].type;
    ir_tensor *t = &v->frame->value[value];
    int64_t dim[IR_RANK];
    shape_of(v, value, dim);
    if (v->own[value] && t->n >= 0 && memcmp(dim, t->dim, sizeof dim[0] * type->rank) == 0)
        memset(t->i, 0, sizeof *t->i * (size_t)t->n);
    else
        *t = ir_tensor_new(v->arena, type->dtype, type->rank, dim);
    v->own[value] = true;
    return t;
}

/* None of n elements marked. Kept from turn to turn like the tensors, or a long loop would need one more each time. */
static bool *marks_of(evaluation *v, ir_value value, int64_t n) {
    marks *m = &v->taken[value];
    if (m->n >= n) memset(m->at, 0, (size_t)n);
    else *m = (marks){BASE_ARRAY(v->arena, (size_t)n, bool), n};
    return m->at;
}

/* Doubles and int64 are both eight bytes, and are copied as they are. Callers give `to` the shape that the verifier proved equal. */
static void copy_elements(evaluation *v, ir_tensor *to, ir_value from) {
    const ir_tensor *t = &v->frame->value[from];
    if (t->n != to->n) ir_machine_internal(v->machine, "%s has another shape than its copy", name_of(v, from));
    memcpy(to->i, t->i, sizeof *t->i * (size_t)t->n);
}

/* In place: an input is rounded once, before anything reads it. The tensor keeps its doubles, each of them now a value that the type can
 * store. */
static void round_elements(ir_tensor *t, uint8_t dtype) {
    bool real = ir_dtypes[dtype].sort == IR_SORT_REAL;
    for (int64_t k = 0; k < t->n; k++) {
        if (real) t->f[k] = ir_round_to(dtype, t->f[k]);
        else t->i[k] = ir_saturate_to(dtype, t->i[k]);
    }
    t->dtype = dtype;
}

/* ---- sources */

/* Constants are kept as the type stores them, which is what a target will read. */
static void load_const(const ir_node *node, ir_tensor *t) {
    const void *data = node->source.data;
    for (int64_t k = 0; k < t->n; k++) switch (t->dtype) {
        case IR_TYPE_F32: t->f[k] = (double)((const float *)data)[k]; break;
        case IR_TYPE_F64: t->f[k] = ((const double *)data)[k]; break;
        case IR_TYPE_I32: t->i[k] = ((const int32_t *)data)[k]; break;
        case IR_TYPE_I64: t->i[k] = ((const int64_t *)data)[k]; break;
        default: t->i[k] = ((const uint8_t *)data)[k] != 0;
        }
}

/* What a caller binds by hand (tests, tools) is checked here as the runtime checks a call.
 * Only ranks and extents: element types follow from the value, since a tensor here is double or int64. */
static void check_shape(evaluation *v, const ir_node *node) {
    ir_value value = node->source.value;
    const ir_tensor *t = &v->frame->value[value];
    const ir_type *type = &v->graph->unit->value.at[value].type;
    int64_t dim[IR_RANK];
    shape_of(v, value, dim);
    if (t->rank != type->rank) {
        base_report(v->diags, BASE_MSG_TENSOR_RANK, node->span, name_of(v, value), t->rank, type->rank);
        give_up(v);
    }
    for (uint32_t k = 0; k < type->rank; k++) {
        if (t->dim[k] == dim[k]) continue;
        base_report(v->diags, BASE_MSG_TENSOR_SHAPE, node->span, k, name_of(v, value), (long long)t->dim[k], (long long)dim[k]);
        give_up(v);
    }
}

/* A graph has a handful of inputs that are dimensions too: no index. */
static bool is_scalar_dim(const ir_graph *g, ir_value value, ir_dim *dim) {
    for (uint32_t k = 0; k < g->n_scalars; k++) {
        if (g->scalars[k] != value) continue;
        *dim = g->scalar_dims[k];
        return true;
    }
    return false;
}

/* An input `K: dim` and the symbol K are one number: the input may be left out, and may not differ. */
static void bind_scalar(evaluation *v, const ir_node *node, ir_dim dim) {
    ir_value value = node->source.value;
    ir_tensor *t = &v->frame->value[value];
    int64_t is = v->frame->dim[dim];
    if (t->n < 0) {
        t = make(v, value);
        t->i[0] = is;
    }
    if (t->n == 1 && t->i[0] == is) return;
    base_report(v->diags, BASE_MSG_SCALAR_DIM, node->span, name_of(v, value), (long long)(t->n == 1 ? t->i[0] : -1), (long long)is);
    give_up(v);
}

/* Constants bring their data, scalars may come from their dimension, all else is bound by the caller before the run. */
static void run_source(evaluation *v, const ir_node *node) {
    ir_value value = node->source.value;
    ir_dim dim;
    if (node->form == IR_FORM_CONST) load_const(node, make(v, value));
    else if (is_scalar_dim(v->graph, value, &dim)) bind_scalar(v, node, dim);
    if (v->frame->value[value].n < 0) {
        base_report(v->diags, BASE_MSG_TENSOR_NONE, node->span, name_of(v, value));
        give_up(v);
    }
    check_shape(v, node);
    round_elements(&v->frame->value[value], v->graph->unit->value.at[value].type.dtype);
}

/* ---- maps */

typedef struct {
    const ir_node *node;
    ir_tensor **to;              /* one per result */
    bool **taken;                /* ONE with places: elements written so far */
} mapping;

/* Without places the outer variables are the place. */
static int64_t outer_address(evaluation *v, const mapping *m, ir_value result) {
    const ir_tensor *t = &v->frame->value[result];
    int64_t at = 0;
    /* The verifier has asked both; a pass between may have broken them, and what follows would write out of the tensor. */
    if (t->rank != m->node->map.n_outer) ir_machine_internal(v->machine, "%s has another rank than its map", name_of(v, result));
    for (uint32_t k = 0; k < t->rank; k++) {
        int64_t i = v->machine->var[m->node->map.outer[k]];
        if (i >= t->dim[k]) ir_machine_internal(v->machine, "%s is smaller than its map", name_of(v, result));
        at = at * t->dim[k] + i;
    }
    return at;
}

/* Places proved distinct are checked nevertheless: a wrong proof shows here, not as a race in a kernel. */
static void store_element(evaluation *v, mapping *m, uint32_t r) {
    const ir_result *result = &m->node->map.results[r];
    const ir_store *s = &result->store;
    ir_scalar value = ir_machine_eval(v->machine, result->body);
    /* The body reads `into` and other values, never the result: that is no value yet where a node stands. */
    int64_t at = s->n_places ? ir_machine_address(v->machine, s->result, s->n_places, s->places) : outer_address(v, m, s->result);
    ir_tensor *t = m->to[r];
    /* Onto the zeros or the copy of `into` that run_map has made of the result. */
    if (s->mode == IR_STORE_ADD) {
        ir_scalar old = ir_dtypes[t->dtype].sort == IR_SORT_REAL ? (ir_scalar){.f = t->f[at]} : (ir_scalar){.i = t->i[at]};
        value = ir_machine_combine(v->machine, IR_RED_SUM, (ir_sort)ir_dtypes[t->dtype].sort, old, value);
    }
    if (m->taken[r]) {
        if (m->taken[r][at]) ir_machine_internal(v->machine, "two elements have one place in %s", name_of(v, s->result));
        m->taken[r][at] = true;
    }
    if (ir_dtypes[t->dtype].sort == IR_SORT_REAL) t->f[at] = value.f;
    else t->i[at] = value.i;
}

/* At the indices that the loops around it have now. */
static int64_t extent_of(evaluation *v, ir_var var) { return ir_machine_eval(v->machine, v->graph->unit->var.at[var].extent).i; }

/* No point at all, however many the axes before the empty one have. Extents that depend on axes are not looked at, nor any behind them. */
static bool is_empty(evaluation *v, const ir_node *map) {
    const ir_unit *u = v->graph->unit;
    for (uint32_t k = 0; k < map->map.n_outer; k++) {
        ir_var var = map->map.outer[k];
        if (ir_free(u, u->var.at[var].extent)) return false;
        if (extent_of(v, var) <= 0) return true;
    }
    return false;
}

/* Extents are evaluated inside the axes before them: they may depend on those (ragged rows). */
static void map_axis(evaluation *v, mapping *m, uint32_t k) {
    const ir_node *node = m->node;
    if (k == node->map.n_outer) {
        for (uint32_t r = 0; r < node->map.n_results; r++) store_element(v, m, r);
        return;
    }
    ir_var var = node->map.outer[k];
    int64_t extent = extent_of(v, var);
    for (int64_t i = 0; i < extent; i++) {
        ir_machine_set(v->machine, var, i);
        map_axis(v, m, k + 1);
    }
}

/* One walk computes all results of a point, as a kernel does. */
static void run_map(evaluation *v, const ir_node *node) {
    uint32_t n = node->map.n_results;
    mapping m = {node, BASE_ARRAY(v->arena, n, ir_tensor *), BASE_ARRAY(v->arena, n, bool *)};
    /* Also what makes remembered reads of a value stale that an earlier turn of a loop has computed anew. */
    ir_machine_start(v->machine, node->span, node->map.n_outer, node->map.outer);
    for (uint32_t r = 0; r < n; r++) {
        const ir_store *s = &node->map.results[r].store;
        m.to[r] = make(v, s->result);
        if (s->into) copy_elements(v, m.to[r], s->into);
        /* Places that are the outer variables themselves are distinct as they stand. */
        if (s->mode == IR_STORE_ONE && s->n_places) m.taken[r] = marks_of(v, s->result, m.to[r]->n + 1);
        ir_machine_prepare(v->machine, node->map.results[r].body);
        for (uint32_t k = 0; k < s->n_places; k++) ir_machine_prepare(v->machine, s->places[k]);
    }
    if (!is_empty(v, node)) map_axis(v, &m, 0);
}

/* ---- loops */

static void run_block(evaluation *v, const ir_block *block);

/* No first value: zeros, from `make`. */
static void init_carries(evaluation *v, const ir_node *node) {
    for (uint32_t c = 0; c < node->loop.n_carries; c++) {
        const ir_carry *carry = &node->loop.carries[c];
        ir_tensor *t = make(v, carry->inside);
        if (carry->init) copy_elements(v, t, carry->init);
    }
}

/* All at once: a carry may be the next value of another. */
static void next_carries(evaluation *v, const ir_node *node, ir_tensor *spare) {
    uint32_t n = node->loop.n_carries;
    /* Copies, not the storage itself: a next value may be an input, a constant, or the same for two carries. */
    for (uint32_t c = 0; c < n; c++) copy_elements(v, &spare[c], node->loop.carries[c].next);
    for (uint32_t c = 0; c < n; c++) {
        ir_tensor *inside = &v->frame->value[node->loop.carries[c].inside], old = *inside;
        *inside = spare[c];
        spare[c] = old;
    }
}

/* An expression outside of any map: bounds of a loop, its condition, a fact. */
static int64_t eval_now(evaluation *v, const ir_node *node, ir_expr e) {
    ir_machine_start(v->machine, node->span, 0, NULL);
    ir_machine_prepare(v->machine, e);
    return ir_machine_eval(v->machine, e).i;
}

/* The body's values keep their storage from turn to turn; only carries have a second one, to change places with. */
static void run_loop(evaluation *v, const ir_node *node) {
    int64_t lo = eval_now(v, node, node->loop.lo), hi = eval_now(v, node, node->loop.hi);
    /* Bounds are taken once, before the first turn; no turn at all gives the first values as results. */
    ir_tensor *spare = BASE_ARRAY(v->arena, node->loop.n_carries + 1u, ir_tensor);
    init_carries(v, node);
    for (uint32_t c = 0; c < node->loop.n_carries; c++) {
        const ir_tensor *t = &v->frame->value[node->loop.carries[c].inside];
        spare[c] = ir_tensor_new(v->arena, t->dtype, t->rank, t->dim);
    }
    /* Nodes of the body see the counter as a constant: no table makes room for its other indices. */
    v->machine->fixed[node->loop.counter] = true;
    for (int64_t i = lo; i < hi; i++) {
        ir_machine_set(v->machine, node->loop.counter, i);
        /* The condition sees the counter and the carries as they stand before this turn. */
        if (node->loop.cond && !eval_now(v, node, node->loop.cond)) break;
        run_block(v, &node->loop.body);
        next_carries(v, node, spare);
    }
    for (uint32_t c = 0; c < node->loop.n_carries; c++)
        copy_elements(v, make(v, node->loop.carries[c].result), node->loop.carries[c].inside);
}

/* ---- the whole */

static void run_node(evaluation *v, const ir_node *node) {
    switch ((ir_form)node->form) {
    case IR_FORM_INPUT:
    case IR_FORM_PARAM:
    case IR_FORM_CONST: run_source(v, node); break;
    case IR_FORM_MAP:
        if (!v->run) run_map(v, node);
        else if (!v->run(v->env, node, v->frame, v->machine->var)) give_up(v);
        break;
    case IR_FORM_LOOP: run_loop(v, node); break;
    default: break;              /* checks: the evaluator looks itself; yield and output: their owners read them */
    }
}

/* Order is the order of the graph, in which every value is computed before it is read; a loop's body is such a block again. */
static void run_block(evaluation *v, const ir_block *block) {
    for (uint32_t k = 0; k < block->n; k++) run_node(v, block->at[k]);
}

/* Facts of `where` and lists of values are the caller's promise, so they are tested before anything is computed. */
static void check_dims(evaluation *v) {
    const ir_graph *g = v->graph;
    for (uint32_t k = 0; k < g->n_facts; k++) {
        if (eval_now(v, &(ir_node){.span = g->facts[k].span}, g->facts[k].fact)) continue;
        base_text t;
        base_text_init(&t, v->diags->arena);
        ir_expr_print(g->unit, g->facts[k].fact, &t);
        base_report(v->diags, BASE_MSG_FACT_FAILS, g->facts[k].span, t.at);
        give_up(v);
    }
    for (uint32_t k = 0; k < g->n_choices; k++) {
        const ir_choice *c = &g->choices[k];
        uint32_t j = 0;
        while (j < c->n && c->values[j] != v->frame->dim[c->dim]) j++;
        if (j < c->n) continue;
        base_report(v->diags, BASE_MSG_DIM_CHOICE, (base_span){0}, g->unit->dim.at[c->dim].name, (long long)v->frame->dim[c->dim]);
        give_up(v);
    }
}

/* In place: nothing runs after this that could read the value unrounded. */
static void finish_outputs(evaluation *v) {
    const ir_graph *g = v->graph;
    for (uint32_t k = 0; k < g->n_outputs; k++) {
        ir_tensor *t = &v->frame->value[g->outputs[k].value];
        if (t->n < 0) ir_machine_internal(v->machine, "output %s was not computed", g->outputs[k].name);
        round_elements(t, g->outputs[k].dtype);
    }
}

/* On the arena, not the stack: what setjmp comes back to must not be in registers. */
bool ir_graph_eval_with(const ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags, ir_map_run *run, void *env) {
    evaluation *v = BASE_NEW(arena, evaluation);
    *v = (evaluation){.graph = g, .frame = frame, .arena = arena, .diags = diags, .run = run, .env = env};
    v->own = BASE_ARRAY(arena, g->unit->value.n + 1, bool);
    v->taken = BASE_ARRAY(arena, g->unit->value.n + 1, marks);
    v->machine = ir_machine_create(g->unit, frame, arena, diags);
    if (setjmp(v->machine->fail)) return false;
    check_dims(v);
    run_block(v, &g->body);
    finish_outputs(v);
    return true;
}

/* The meaning itself; the other entry is for tests, which put compiled or interpreted kernels in the place of maps. */
bool ir_graph_eval(const ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    return ir_graph_eval_with(g, frame, arena, diags, NULL, NULL);
}

/* Small expressions over dimensions are the rule here, and a memory of all expressions for them is not worth setting up. What
 * turns out to be large, or shares so much that it would never end, or has variables, is evaluated again with memory. */
bool ir_eval_expr(const ir_unit *u, const ir_frame *frame, ir_expr e, int64_t *out, base_diags *diags) {
    ir_machine small = {.unit = u, .frame = frame, .diags = diags, .max_steps = 4096};
    switch (setjmp(small.fail)) {
    case 0: *out = ir_machine_eval(&small, e).i; return true;
    /* 1: the failure is reported already, and would be the same with memory */
    case 1: return false;
    default: break;
    }
    ir_machine *x = ir_machine_create(u, frame, diags->arena, diags);
    if (setjmp(x->fail)) return false;
    ir_machine_start(x, (base_span){0}, 0, NULL);
    ir_machine_prepare(x, e);
    *out = ir_machine_eval(x, e).i;
    return true;
}

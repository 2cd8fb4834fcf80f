/* Inputs drawn at random that a program can live with.
 *
 * Reals come from N(0, 1). For integers the graph is asked what it does with them: a tensor that stands in a position of another must be below that
 * axis' extent; one that is compared with an index may reach the index' extent; one that is divided by is not 0; one that is read at i and at
 * i + 1 holds offsets and ascends. What `## try:` says comes first. Generator: splitmix64 (Steele, Lea, Flood 2014), Box-Muller.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "sizes.h"

typedef struct { uint64_t state; } generator;

static uint64_t next(generator *g) {
    uint64_t z = g->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* In (0, 1), never 0 or 1, since a logarithm is taken of it; 53 bits, all that a double holds. */
static double uniform(generator *g) { return ((double)(next(g) >> 11) + 0.5) * 0x1p-53; }
static double normal(generator *g) { return sqrt(-2 * log(uniform(g))) * cos(6.283185307179586 * uniform(g)); }
/* lo and hi are possible results. The remainder favours small values by less than one in 2^32 for any range that a tensor has. */
static int64_t between(generator *g, int64_t lo, int64_t hi) { return lo + (int64_t)(next(g) % ((uint64_t)(hi - lo) + 1)); }

/* Each tensor has its own stream, by name: adding an input to a program changes no other. */
static generator seeded(uint64_t seed, const char *name) {
    /* FNV-1a over the name; one step more mixes the last letters in. */
    generator g = {seed * 0xd1342543de82ef95u + 1};
    for (; *name; name++) g.state = (g.state ^ (unsigned char)*name) * 0x100000001b3u;
    next(&g);
    return g;
}

/* ---- what a program does with an integer tensor */

typedef struct {
    api_call *call;
    ir_unit *unit;
    ir_frame frame;
    ir_value value;                          /* the tensor asked about */
    /* Both possible; hi counts only if limited, else it is a small default. */
    int64_t lo, hi;
    bool limited, ascending;
} allowed;

/* INT64_MAX: it depends on something that has no value here.
 * An extent may depend on variables around it or on elements of tensors: then it says nothing here. */
static int64_t size_of(allowed *a, ir_expr e) {
    int64_t n;
    base_diags *ignored = base_diags_create(a->call->scratch);
    /* What cannot be evaluated is no mistake of the caller: its message is dropped. */
    return !ir_free(a->unit, e) && ir_eval_expr(a->unit, &a->frame, e, &n, ignored) ? n : INT64_MAX;
}

/* Several reads may limit the same tensor: the narrowest counts. */
static void limit(allowed *a, int64_t hi) {
    if (hi == INT64_MAX) return;
    if (!a->limited || hi < a->hi) a->hi = hi;
    a->limited = true;
}

/* The tensor itself at some position, rather than what is made of it. */
static bool is_it(const allowed *a, ir_expr e) { return ir_is(a->unit, e, IR_READ) && ir_at(a->unit, e)->u.ref == a->value; }

/* c * it, or it alone, somewhere in a sum: its coefficient, else 0. */
static int64_t coefficient(const allowed *a, ir_expr e) {
    int64_t c, left;
    if (is_it(a, e)) return 1;
    if (ir_is(a->unit, e, IR_MUL) && ir_is_int(a->unit, ir_operand(a->unit, e, 0), &c) && is_it(a, ir_operand(a->unit, e, 1))) return c;
    if (!ir_is(a->unit, e, IR_ADD)) return 0;
    left = coefficient(a, ir_operand(a->unit, e, 0));
    return left ? left : coefficient(a, ir_operand(a->unit, e, 1));
}

/* `table[it]`: below the extent. `x[it * 16 + i]`: c * it must leave room for what is added, a block of c;
 * with c = 1 it may reach the extent, as the end of a range does. An axis whose own extent is the value (`for i in 0 .. len[b]`) reads up to it. */
static void ask_position(allowed *a, ir_expr read) {
    const ir_type *t = &a->unit->value.at[ir_at(a->unit, read)->u.ref].type;
    for (uint32_t k = 0; k < ir_n_operands(a->unit, read); k++) {
        ir_expr at = ir_operand(a->unit, read, k);
        int64_t n = size_of(a, t->dim[k]), c = coefficient(a, at);
        /* Extents of tensors are over dimensions, which all have a size here. */
        if (is_it(a, at)) limit(a, n - 1);
        else if (c > 0 && n != INT64_MAX) limit(a, n / c - (c > 1));
        if (ir_is(a->unit, at, IR_VAR) && coefficient(a, a->unit->var.at[ir_at(a->unit, at)->u.ref].extent) == 1) limit(a, n);
    }
}

/* row[i + 1] beside row[i] is what offsets look like: then values must not descend. */
static bool one_further(const ir_unit *u, ir_expr e) {
    int64_t c;
    if (!ir_is(u, e, IR_ADD)) return false;
    return ir_is_int(u, ir_operand(u, e, 0), &c) || ir_is_int(u, ir_operand(u, e, 1), &c) || one_further(u, ir_operand(u, e, 0));
}

/* The read is of the tensor itself: how its own positions are written says what it holds. */
static void ask_itself(allowed *a, ir_expr read) {
    for (uint32_t k = 0; k < ir_n_operands(a->unit, read); k++) a->ascending |= one_further(a->unit, ir_operand(a->unit, read, k));
}

/* lengths: `j < len[b]` makes values up to the extent of j sensible. */
static void ask_comparison(allowed *a, ir_expr e) {
    for (uint32_t k = 0; k < 2; k++) {
        ir_expr mine = ir_operand(a->unit, e, k), other = ir_operand(a->unit, e, 1 - k);
        if (!coefficient(a, mine)) continue;
        for (uint32_t v = 0; v < ir_set_size(a->unit, ir_free(a->unit, other)); v++)
            limit(a, size_of(a, a->unit->var.at[ir_set_at(a->unit, ir_free(a->unit, other), v)].extent));
    }
}

/* The visit of ir_walk, on every expression of the graph; true goes on. */
static bool ask(const ir_unit *u, void *env, ir_expr e) {
    allowed *a = env;
    switch (ir_at(u, e)->op) {
    case IR_READ:
        ask_position(a, e);
        if (is_it(a, e)) ask_itself(a, e);
        break;
    case IR_LT: case IR_LE: ask_comparison(a, e); break;
    case IR_FDIV: case IR_MOD:
        /* A divisor of 0 would fail a check. */
        if (coefficient(a, ir_operand(u, e, 1)) && a->lo < 1) a->lo = 1;
        break;
    default: break;
    }
    return true;
}

/* Everything that a map evaluates: extents of its axes, bodies, and the places that results are stored at. */
static void ask_node(void *env, const ir_node *n, uint32_t depth) {
    allowed *a = env;
    (void)depth;
    if (n->form != IR_FORM_MAP) return;
    for (uint32_t k = 0; k < n->map.n_outer; k++) ir_walk(a->unit, a->unit->var.at[n->map.outer[k]].extent, ask, a);
    for (uint32_t k = 0; k < n->map.n_results; k++) {
        ir_walk(a->unit, n->map.results[k].body, ask, a);
        for (uint32_t i = 0; i < n->map.results[k].store.n_places; i++) ir_walk(a->unit, n->map.results[k].store.places[i], ask, a);
    }
}

static allowed find_allowed(api_call *call, const api_graph *g, const char *name, const drv_slots *slots) {
    ir_unit *u = g->graph->unit;
    /* 0 to 7 for integers that nothing limits. */
    allowed a = {.call = call, .unit = u, .hi = 7, .frame = ir_frame_create(u, call->scratch)};
    for (uint32_t dim = 1; dim < u->dim.n; dim++) a.frame.dim[dim] = slots->at[dim - 1];
    for (uint32_t k = 0; k < g->graph->body.n; k++) {
        const ir_node *n = g->graph->body.at[k];
        if ((n->form == IR_FORM_INPUT || n->form == IR_FORM_PARAM) && !strcmp(u->value.at[n->source.value].name, name)) a.value = n->source.value;
    }
    ir_graph_each(g->graph, ask_node, &a);
    /* Limits that contradict each other, an extent of 0 say: any value will do, the run says what is wrong. */
    if (a.hi < a.lo) a.hi = a.lo;
    return a;
}

/* ---- filling */

/* What a program's author or an extent gives; bool is stored as 0 or 1, whatever the number. */
static void put_int(const rt_array *a, int64_t k, int64_t value) {
    if (a->dtype == RT_I64) ((int64_t *)a->data)[k] = value;
    else if (a->dtype == RT_I32) ((int32_t *)a->data)[k] = (int32_t)value;
    else ((uint8_t *)a->data)[k] = value != 0;
}

static void put_real(const rt_array *a, int64_t k, double value) {
    if (a->dtype == RT_F64) ((double *)a->data)[k] = value;
    else ((float *)a->data)[k] = (float)value;
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Offsets start at 0 and end at the limit, so that they cover what they point into. */
static void fill_ints(api_call *call, const rt_array *a, int64_t n, generator *g, const allowed *range) {
    int64_t *values = BASE_ARRAY(call->scratch, (size_t)n, int64_t);
    int64_t lo = a->dtype == RT_BOOL ? 0 : range->lo, hi = a->dtype == RT_BOOL ? 1 : range->hi;
    for (int64_t k = 0; k < n; k++) values[k] = between(g, lo, hi);
    if (range->ascending && n > 0) {
        qsort(values, (size_t)n, sizeof *values, compare);
        values[0] = 0;
        values[n - 1] = hi;
    }
    for (int64_t k = 0; k < n; k++) put_int(a, k, values[k]);
}

/* Params are scaled by their last axis, so that layers of them keep numbers of ordinary size. */
static void fill_reals(const rt_array *a, int64_t n, generator *g, bool param, bool positive) {
    double scale = param && a->rank > 1 && a->dim[a->rank - 1] > 0 ? 1 / sqrt((double)a->dim[a->rank - 1]) : 1;
    for (int64_t k = 0; k < n; k++) {
        double x = scale * normal(g);
        put_real(a, k, positive ? fabs(x) + 1e-3 : x);
    }
}

/* "= {0, 3, 7}" or "= 5" */
static bool fill_said(api_call *call, const char *said, const char *name, const rt_array *a, int64_t n) {
    int64_t k = 0;
    const char *at = said + 1 + strspn(said + 1, " {");
    for (char *end; k < n; k++) {
        /* As real numbers, whatever the type: 2^53 is more than such lines hold. */
        double value = strtod(at, &end);
        if (end == at) break;
        if (rt_dtypes[a->dtype].sort == 'f') put_real(a, k, value);
        else put_int(a, k, (int64_t)value);
        /* The comma behind the last value ends the item. */
        at = end + strspn(end, " ");
        if (k + 1 < n && *at == ',') at += 1 + strspn(at + 1, " ");
    }
    /* As many values as elements, neither fewer nor more. */
    if (k == n && (*at == '}' || *at == 0 || *at == ',')) return true;
    base_diag *d = base_report(call->diags, BASE_MSG_TRY_VALUES, (base_span){0, 0, 0}, name, (long long)n);
    d->found = base_strdup(call->diags->arena, said);
    d->hint = "sizes that differ from those of the line need values of their own";
    return false;
}

typedef struct {
    const attn_program *program;
    const char *graph;
    size_t tensor, n_dims;
    const attn_dim *dims;
    uint64_t seed;
    attn_tensor *out;
} sampling;

/* First what is said of the tensor, then what the graph does with it. */
static bool fill(api_call *call, const sampling *s, const api_graph *g, const rt_tensor_info *info, const drv_slots *slots, const rt_array *a) {
    generator random = seeded(s->seed, info->name);
    const char *said = drv_try(s->program, info->name);
    int64_t n = 0;
    rt_count(a->rank, a->dim, &n);
    /* An input `K: dim` is its dimension's size: anything else would contradict the shapes of the others. */
    for (uint32_t k = 0; a->rank == 0 && k < g->signature.n_dims && g->signature.tensors[s->tensor].is_dim; k++)
        if (!strcmp(g->signature.dim_names[k], info->name)) return put_int(a, 0, slots->at[k]), true;
    if (said && *said == '=') return fill_said(call, said, info->name, a, n);
    if (rt_dtypes[a->dtype].sort == 'f') return fill_reals(a, n, &random, info->kind == RT_TENSOR_PARAM, said && *said == '>'), true;
    allowed range = find_allowed(call, g, info->name, slots);
    fill_ints(call, a, n, &random, &range);
    return true;
}

static void unlock(void *self) { pthread_mutex_unlock(self); }

static attn_status sample(api_call *call, void *args) {
    sampling *s = args;
    const api_graph *g = api_graph_find(s->program, s->graph);
    drv_slots slots;
    int64_t dim[RT_RANK];
    api_use_files(call, s->program);
    if (!g) return api_unknown_graph(call, s->program, s->graph), ATTN_ERROR_ARGUMENT;
    if (s->tensor >= g->signature.n_tensors) return api_argument(call, "the graph has no tensor of that number");
    const rt_tensor_info *info = &g->signature.tensors[s->tensor];
    /* Asking a unit may add expressions to it, which lie in the program's arena: one call at a time, and running out of memory comes back here.
     * The casts are sound, since the lock makes these changes invisible to others. */
    api_defer(call, unlock, &((attn_program *)s->program)->lock, false);
    pthread_mutex_lock(&((attn_program *)s->program)->lock);
    api_borrow(call, s->program->arena);
    g->graph->unit->diags = call->diags;
    if (!drv_sizes(call, s->program, g, s->dims, s->n_dims, true, &slots)) return api_status(call);
    if (!drv_shape(call, g, (uint32_t)s->tensor, &slots, dim)) return api_status(call);
    attn_tensor *t = api_tensor_new(call, info->dtype, info->rank, dim);
    if (!fill(call, s, g, info, &slots, &t->array)) return api_status(call);
    s->out = t;
    return ATTN_OK;
}

attn_status attn_program_sample(attn_context *context, const attn_program *program, const char *graph, size_t tensor, const attn_dim *dims,
                                size_t n_dims, uint64_t seed, attn_diagnostics *diagnostics, attn_tensor **out) {
    sampling s = {program, graph, tensor, n_dims, dims, seed, NULL};
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (!context || !program || (n_dims && !dims)) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&context->allocator, diagnostics, sample, &s);
    if (status == ATTN_OK) *out = s.out;
    return status;
}

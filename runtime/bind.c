/* Binding: the host's tensors against what a graph expects. Type and rank first, then the graph's integer program, which finds the
 * dimensions in the shapes and tests everything else against them. Every message names tensor, axis, what was expected and what was found.
 */
#include <ctype.h>
#include <string.h>
#include "rt.h"

/* A module keeps places as file name, line and column, both from 1; line 0 is no place. They are found again in the text
 * if the file is among those of diags. Columns count code points. */
base_span rt_span(const base_diags *diags, const rt_place *place) {
    for (uint32_t f = 1; place->line && f < diags->files.n; f++) {
        const base_file *file = &diags->files.at[f];
        if (!place->file || strcmp(file->name, place->file)) continue;
        const char *at = file->text, *end = file->text + file->n;
        for (uint32_t line = 1; line < place->line && at < end; line += *at++ == '\n') {}
        /* Bytes that go on with a character begin with the bits 10 and are skipped with it. */
        for (uint32_t column = 1; column < place->column && at < end; column++)
            do at++;
            while (at < end && ((unsigned char)*at & 0xc0) == 0x80);
        uint32_t start = (uint32_t)(at - file->text);
        return (base_span){f, start, start + 1};
    }
    return (base_span){0, 0, 0};
}

/* Extents as the program writes them, where rt_array_text has numbers. */
const char *rt_tensor_text(base_arena *arena, uint32_t dtype, uint32_t rank, const char *const *dim_texts) {
    base_text out;
    base_text_init(&out, arena);
    base_text_add(&out, "%s[", rt_dtypes[dtype].name);
    for (uint32_t k = 0; k < rank; k++) base_text_add(&out, k ? ", %s" : "%s", dim_texts[k]);
    base_text_add(&out, "]");
    return out.at;
}

static const char *declared(base_arena *arena, const rt_tensor_info *info) { return rt_tensor_text(arena, info->dtype, info->rank, info->dim_texts); }

/* Every message about a tensor ends like this: as it is declared, as it was given. Both shapes are said, so that a
 * reader sees the axis that differs. The texts live as long as the report: in its arena. Always false. */
static bool unfit(rt_call *call, base_diag *d, uint32_t k) {
    d->expected = declared(call->diags->arena, &call->instance->graph->tensors[k]);
    d->found = rt_array_text(call->diags->arena, &call->tensors[k]);
    return false;
}

/* Type and rank before anything looks at an extent: the integer program takes both for granted. */
static bool type_fits(rt_call *call, uint32_t k) {
    const rt_tensor_info *info = &call->instance->graph->tensors[k];
    const rt_array *a = &call->tensors[k];
    base_span span = rt_span(call->diags, &info->place);
    if (a->rank == RT_UNKNOWN && info->is_dim) {
        base_report(call->diags, BASE_MSG_DIM_MISSING, span, info->name);
        return false;
    }
    /* The caller gave nothing for this name. */
    if (a->rank == RT_UNKNOWN) {
        base_report(call->diags, BASE_MSG_TENSOR_NONE, span, info->name)->expected = declared(call->diags->arena, info);
        return false;
    }
    if (a->dtype != info->dtype)
        return unfit(call, base_report(call->diags, BASE_MSG_TENSOR_DTYPE, span, info->name, rt_dtypes[a->dtype].name, rt_dtypes[info->dtype].name), k);
    if (a->rank != info->rank) return unfit(call, base_report(call->diags, BASE_MSG_TENSOR_RANK, span, info->name, a->rank, info->rank), k);
    return true;
}

/* Types and ranks of all, before any shape: shapes of a tensor of the wrong rank would be nonsense. All of them are
 * looked at, not the first alone: a caller who mixed up two tensors sees both. */
static bool all_types_fit(rt_call *call) {
    const rt_graph *g = call->instance->graph;
    bool fine = true;
    /* Outputs are what the call makes: the host's memory for them is looked at when their shapes are known. */
    for (uint32_t k = 0; k < g->n_tensors; k++)
        if (g->tensors[k].kind != RT_TENSOR_OUTPUT) fine &= type_fits(call, k);
    return fine;
}

/* Truth values are read as bytes by kernels, so any other byte is refused at the door. After the shapes: those that fit no program may be huge. */
static bool bools_fine(rt_call *call, uint32_t k) {
    const rt_tensor_info *info = &call->instance->graph->tensors[k];
    uint8_t other;
    if (info->kind != RT_TENSOR_INPUT || info->dtype != RT_BOOL || rt_array_bools(&call->tensors[k], &other)) return true;
    base_report(call->diags, BASE_MSG_BOOL_VALUE, rt_span(call->diags, &info->place), info->name, other);
    return false;
}

static bool all_bools_fine(rt_call *call) {
    bool fine = true;
    for (uint32_t k = 0; k < call->instance->graph->n_tensors; k++) fine &= bools_fine(call, k);
    return fine;
}

/* `name` as a word of its own in `text`. */
bool rt_mentions(const char *text, const char *name) {
    size_t n = strlen(name);
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
        if ((at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_')) && !isalnum((unsigned char)at[n]) && at[n] != '_') return true;
    return false;
}

/* "H = 6, G = 4": the dimensions that a text names, NULL if none. What was computed from them failed, so they are known. */
static const char *dims_in(const rt_call *call, const char *text) {
    const rt_graph *g = call->instance->graph;
    base_text out;
    base_text_init(&out, call->diags->arena);
    for (uint32_t k = 0; k < g->n_dims; k++)
        if (rt_mentions(text, g->dim_names[k])) base_text_add(&out, "%s%s = %lld", out.n ? ", " : "", g->dim_names[k], (long long)call->slots[k]);
    return out.n ? out.at : NULL;
}

/* `divides`: a dimension was to be computed from this extent and did not come out whole, so it has no value that could
 * be shown. */
static bool report_shape(rt_call *call, const rt_ints_error *error) {
    const rt_tensor_info *info = &call->instance->graph->tensors[error->tensor];
    base_span span = rt_span(call->diags, &info->place);
    int64_t found = call->tensors[error->tensor].dim[error->axis];
    base_diag *d;
    if (error->divides) d = base_report(call->diags, BASE_MSG_TENSOR_SOLVE, span, error->axis, info->name, (long long)found, info->dim_texts[error->axis]);
    else d = base_report(call->diags, BASE_MSG_TENSOR_SHAPE, span, error->axis, info->name, (long long)error->found, (long long)error->expected);
    unfit(call, d, error->tensor);
    const char *known = error->divides ? NULL : dims_in(call, info->dim_texts[error->axis]);
    if (known) d->expected = base_printf(call->diags->arena, "%s with %s", d->expected, known);
    return false;
}

/* From the status of the integer program to words. What has no case here is arithmetic that left int64 or divided by
 * zero. */
static bool report(rt_call *call, const rt_ints_error *error) {
    const rt_graph *g = call->instance->graph;
    switch (error->status) {
    case RT_INTS_SHAPE: return report_shape(call, error);
    case RT_INTS_EXTENT:
        base_report(call->diags, BASE_MSG_EXTENT_RANGE, rt_span(call->diags, &g->tensors[error->tensor].place), error->axis,
                    g->tensors[error->tensor].name, (long long)error->found, (long long)error->expected);
        return false;
    case RT_INTS_FACT:
        base_report(call->diags, BASE_MSG_FACT_FAILS, rt_span(call->diags, &g->facts[error->fact].place), g->facts[error->fact].text)->found =
            dims_in(call, g->facts[error->fact].text);
        return false;
    default:
        base_report(call->diags, BASE_MSG_SIZE_OVERFLOW, (base_span){0, 0, 0}, "graph", g->name);
        return false;
    }
}

/* ---- entries */

const rt_entry *rt_entry_of(const rt_call *call) { return call->entry == RT_NONE ? NULL : &call->instance->graph->entries[call->entry]; }

uint32_t rt_first_kernel(const rt_graph *graph, uint32_t entry) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < entry && k < graph->n_entries; k++) n += graph->entries[k].n_kernels;
    return n;
}

/* The first that computes these dimensions; its own program has run then, too. Its operations test nothing, so all that can fail is arithmetic. */
static bool choose_entry(rt_call *call, rt_ints_error *error) {
    const rt_graph *g = call->instance->graph;
    const rt_array *tensors = call->tensors;
    for (uint32_t k = 0; k < g->n_entries; k++) {
        const rt_entry *e = &g->entries[k];
        if (!rt_ints_run(e->bind, e->n_applies, tensors, call->slots, error)) return false;
        if (e->applies != RT_NONE && !call->slots[e->applies]) continue;
        call->entry = k;
        return rt_ints_run(e->bind + e->n_applies, e->n_bind - e->n_applies, tensors, call->slots, error);
    }
    return true;
}

/* ---- strides */

static bool aligned(const rt_array *a) { return (uintptr_t)a->data % rt_dtypes[a->dtype].bytes == 0; }

/* An input whose strides the entry takes, as its program has just found. Another device reads copies, which are dense. */
static bool takes(const rt_call *call, const rt_entry *e, uint32_t k) {
    const rt_device *d = call->instance->device;
    bool input = call->instance->graph->tensors[k].kind == RT_TENSOR_INPUT;
    return input && (!d || d->host_memory) && e->takes[k] != RT_NONE && call->slots[e->takes[k]] && aligned(&call->tensors[k]);
}

/* Where a tensor is copied its strides are those of the copy, so the entry's program runs once more. */
static bool choose_strides(rt_call *call, rt_ints_error *error) {
    const rt_graph *g = call->instance->graph;
    const rt_entry *e = rt_entry_of(call);
    bool copies = false;
    if (!e || !e->n_takes) return true;
    bool *taken = base_alloc_array(call->arena, g->n_tensors, sizeof *taken);
    rt_array *read = base_copy(call->arena, call->tensors, g->n_tensors * sizeof *read);
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        const rt_array *a = &call->tensors[k];
        taken[k] = takes(call, e, k);
        if (taken[k] || g->tensors[k].kind != RT_TENSOR_INPUT || rt_array_is_dense(a)) continue;
        rt_array_dense(&read[k], a->dtype, a->rank, a->dim, a->data);
        copies = true;
    }
    call->taken = taken;
    call->read = read;
    return !copies || rt_ints_run(e->bind, e->n_bind, read, call->slots, error);
}

rt_copy rt_input_copy(const rt_call *call, uint32_t k) {
    const rt_array *a = &call->tensors[k];
    const rt_device *d = call->instance->device;
    if (d && !d->host_memory) return RT_COPY_DEVICE;
    if (rt_array_is_dense(a) || (call->taken && call->taken[k])) return RT_COPY_NONE;
    return aligned(a) ? RT_COPY_STRIDES : RT_COPY_ALIGNMENT;
}

/* What the entries are for: the facts of a graph refuse all else before, so this is said of modules that lack an entry. */
static bool no_entry(rt_call *call) {
    const rt_graph *g = call->instance->graph;
    base_text names;
    base_text_init(&names, call->diags->arena);
    for (uint32_t k = 0; k < g->n_entries; k++) base_text_add(&names, "%s%s", k ? "; " : "", g->entries[k].name ? g->entries[k].name : "any");
    base_report(call->diags, BASE_MSG_NO_ENTRY, (base_span){0, 0, 0}, g->name)->expected = names.at;
    return false;
}

/* Extents that an array can have. The facts of a graph say so of each; their product is looked at here. */
static bool outputs_fine(rt_call *call) {
    const rt_graph *g = call->instance->graph;
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        int64_t dim[RT_RANK], n;
        if (g->tensors[k].kind != RT_TENSOR_OUTPUT) continue;
        rt_tensor_shape(call, k, dim);
        if (rt_count(g->tensors[k].rank, dim, &n) && base_mul(n, rt_dtypes[g->tensors[k].dtype].bytes, &n)) continue;
        base_report(call->diags, BASE_MSG_SIZE_OVERFLOW, (base_span){0, 0, 0}, "output", g->tensors[k].name);
        return false;
    }
    return true;
}

static uint32_t most_slots(const rt_graph *g) {
    uint32_t most = g->n_slots;
    for (uint32_t k = 0; k < g->n_entries; k++)
        if (g->entries[k].n_slots > most) most = g->entries[k].n_slots;
    return most;
}

/* The slots begin with the dimensions, in the order of dim_names; then what the graph's program finds and tests; then sizes and
 * items that the steps and kernels of the entry ask for. */
bool rt_bind(rt_call *call) {
    const rt_graph *g = call->instance->graph;
    rt_ints_error error;
    call->entry = RT_NONE;
    call->read = call->tensors;
    call->taken = NULL;
    call->slots = base_alloc_array(call->arena, most_slots(g), sizeof *call->slots);
    if (!all_types_fit(call)) return false;
    if (!rt_ints_run(g->bind, g->n_bind, call->tensors, call->slots, &error) || !choose_entry(call, &error) || !choose_strides(call, &error)) return report(call, &error);
    if (g->n_entries && call->entry == RT_NONE) return no_entry(call);
    if (!outputs_fine(call)) return false;
    return all_bools_fine(call);
}

/* After binding: the extents of a tensor of the entry, such as an output whose memory is yet to be found. */
void rt_tensor_shape(const rt_call *call, uint32_t tensor, int64_t *dim) {
    const rt_tensor_info *info = &call->instance->graph->tensors[tensor];
    for (uint32_t k = 0; k < info->rank; k++) dim[k] = call->slots[info->dims[k]];
}

/* ---- overlaps: a kernel may write an output before another reads the input that lies there. The output of an input's name may be that very
 * tensor: rt_run computes it apart and writes it when all has gone well. */

/* Dense, at the same place, of the same type and shape. */
static bool same_array(const rt_array *a, const rt_array *b) {
    if (a->data != b->data || a->dtype != b->dtype || a->rank != b->rank) return false;
    for (uint32_t k = 0; k < a->rank; k++)
        if (a->dim[k] != b->dim[k]) return false;
    return rt_array_is_dense(a) && rt_array_is_dense(b);
}

static bool alone(const rt_call *c, uint32_t out) {
    const rt_graph *g = c->instance->graph;
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        /* Params cannot be reached by a host: the model holds copies, or a file of its own. */
        bool output = g->tensors[k].kind == RT_TENSOR_OUTPUT;
        if (!output && !strcmp(g->tensors[k].name, g->tensors[out].name) && same_array(&c->tensors[out], &c->tensors[k])) continue;
        if (k == out || g->tensors[k].kind == RT_TENSOR_PARAM || !rt_array_overlaps(&c->tensors[out], &c->tensors[k])) continue;
        base_report(c->diags, BASE_MSG_OUTPUT_OVERLAPS, (base_span){0, 0, 0}, g->tensors[out].name, output ? "output" : "input", g->tensors[k].name);
        return false;
    }
    return true;
}

/* Those without data are not wanted. */
bool rt_outputs_alone(const rt_call *call) {
    const rt_graph *g = call->instance->graph;
    for (uint32_t k = 0; k < g->n_tensors; k++)
        if (g->tensors[k].kind == RT_TENSOR_OUTPUT && call->tensors[k].data && !alone(call, k)) return false;
    return true;
}

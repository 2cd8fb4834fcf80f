/* Sizes of a graph without tensors: from dimensions that somebody names, `## try:` lines, and small defaults. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "api.h"
#include "sizes.h"

enum { SMALL = 8 };                          /* a dimension that nobody names */

/* ---- the text of `## try:` lines: items between commas: NAME = INT, NAME = {numbers}, NAME > 0 */

/* Past white space, which may stand anywhere between the parts of an item. */
static const char *skip(const char *at) {
    while (isspace((unsigned char)*at)) at++;
    return at;
}

/* Commas in braces separate values, not items. */
static const char *item_end(const char *at) {
    for (int depth = 0; *at && (depth > 0 || *at != ','); at++) depth += (*at == '{') - (*at == '}');
    return at;
}

/* What stands behind NAME in an item of that name: "= 5", "> 0", "= {1, 2}". */
static const char *after_name(const char *item, const char *name) {
    size_t n = strlen(name);
    item = skip(item);
    /* The name must end there: N is not the beginning of NB. */
    if (strncmp(item, name, n) || isalnum((unsigned char)item[n]) || item[n] == '_') return NULL;
    return skip(item + n);
}

/* The first line that says something about the name; the rest of its item is read by who asked. */
const char *drv_try(const attn_program *program, const char *name) {
    const char *line;
    for (size_t k = 0; (line = attn_program_try(program, k)); k++)
        for (const char *at = line;; at++) {
            const char *found = after_name(at, name);
            if (found) return found;
            at = item_end(at);
            if (!*at) break;
        }
    return NULL;
}

/* A size in `## try:`; what is no size there is the affair of who fills tensors. */
static bool tried_size(const attn_program *program, const char *name, int64_t *out) {
    const char *at = drv_try(program, name);
    if (!at || *at != '=') return false;
    at = skip(at + 1);
    /* What is behind the number is not looked at: the rest of the line follows. */
    char *end;
    *out = strtoll(at, &end, 10);
    return end > at && *out >= 0;
}

/* ---- sizes */

/* The first of that name. */
static bool given(const attn_dim *dims, size_t n, const char *name, int64_t *out) {
    for (size_t k = 0; k < n; k++)
        if (dims[k].name && !strcmp(dims[k].name, name)) {
            *out = dims[k].value;
            return true;
        }
    return false;
}

/* A dimension that nobody names: the first value that `where` lists, else something small that the facts allow. */
static int64_t fallback(const ir_graph *g, uint32_t dim) {
    for (uint32_t k = 0; k < g->n_choices; k++)
        if (g->choices[k].dim == dim + 1 && g->choices[k].n) return g->choices[k].values[0];
    int64_t least = g->unit->dim.at[dim + 1].least;
    return least > SMALL ? least : SMALL;
}

static bool has_dim(const rt_graph *e, const char *name) {
    for (uint32_t i = 0; i < e->n_dims; i++)
        if (!strcmp(name, e->dim_names[i])) return true;
    return false;
}
static bool some_has_dim(const rt_graph *graphs, uint32_t n, const char *name) {
    for (uint32_t k = 0; k < n; k++)
        if (has_dim(&graphs[k], name)) return true;
    return false;
}

/* For messages: what could have been named, each once. */
static const char *names_of_dims(base_arena *arena, const rt_graph *graphs, uint32_t n) {
    base_text names;
    base_text_init(&names, arena);
    for (uint32_t g = 0; g < n; g++)
        for (uint32_t k = 0; k < graphs[g].n_dims; k++)
            if (!some_has_dim(graphs, g, graphs[g].dim_names[k])) base_text_add(&names, "%s%s", names.n ? ", " : "", graphs[g].dim_names[k]);
    return names.n ? names.at : "none";
}

/* Every name is one of the graphs', and no size is negative: a slip of the pen in a name would otherwise pass without a word. */
bool drv_dims_known(api_call *call, const rt_graph *graphs, uint32_t n_graphs, const attn_dim *dims, size_t n) {
    const char *who = n_graphs == 1 ? base_printf(call->diags->arena, "graph %s", graphs->name) : "the program";
    bool fine = true;
    for (size_t k = 0; k < n; k++) {
        const char *name = dims[k].name ? dims[k].name : "";
        const bool found = some_has_dim(graphs, n_graphs, name);
        /* All that are wrong are reported, not the first alone. */
        if (!found) base_report(call->diags, BASE_MSG_DIM_UNKNOWN, (base_span){0, 0, 0}, who, name)->expected = names_of_dims(call->diags->arena, graphs, n_graphs);
        else if (dims[k].value < 0) base_report(call->diags, BASE_MSG_DIM_NEGATIVE, (base_span){0, 0, 0}, name, (long long)dims[k].value);
        fine &= found && dims[k].value >= 0;
    }
    return fine;
}

/* The same for what a module or a file is made of: each name is one of the graph's, or of any graph's where all are compiled. */
bool drv_dims_of_program(api_call *call, const attn_program *program, const char *graph, const attn_dim *dims, size_t n) {
    if (graph) return drv_dims_known(call, &api_graph_find(program, graph)->signature, 1, dims, n);
    rt_graph *all = BASE_ARRAY(call->scratch, program->n_graphs, rt_graph);
    for (uint32_t k = 0; k < program->n_graphs; k++) all[k] = program->graphs[k].signature;
    return drv_dims_known(call, all, program->n_graphs, dims, n);
}

/* Dimensions first, given or guessed; then the binding program is run with no tensor known, which computes all slots that follow from them. */
bool drv_sizes(api_call *call, const attn_program *program, const api_graph *g, const attn_dim *dims, size_t n_dims, bool defaults, drv_slots *out) {
    const rt_graph *e = &g->signature;
    out->at = BASE_ARRAY(call->scratch, e->n_slots, int64_t);
    out->known = BASE_ARRAY(call->scratch, e->n_slots, bool);
    if (!drv_dims_known(call, e, 1, dims, n_dims)) return false;
    for (uint32_t k = 0; k < e->n_dims; k++) {
        bool known = given(dims, n_dims, e->dim_names[k], &out->at[k]);
        /* In this order: what the caller names, what the file is tried with, what the facts allow. */
        if (!known && defaults && !tried_size(program, e->dim_names[k], &out->at[k])) out->at[k] = fallback(g->graph, k);
        out->known[k] = known || defaults;
    }
    /* Tests are not run: sizes that facts forbid are found when something is bound. */
    rt_array *none = BASE_ARRAY(call->scratch, e->n_tensors, rt_array);
    for (uint32_t k = 0; k < e->n_tensors; k++) none[k].rank = RT_UNKNOWN;
    rt_ints_partial(e->bind, e->n_bind, none, out->at, out->known);
    return true;
}

/* ---- shapes */

/* Blames the dimension rather than the axis: that is what the caller can give. */
static void report_missing(api_call *call, const rt_graph *e, const rt_tensor_info *info, uint32_t axis, const drv_slots *slots) {
    /* An extent with no name in it that is unknown: its own text will do. */
    const char *missing = info->dim_texts[axis];
    for (uint32_t k = 0; k < e->n_dims; k++)
        if (!slots->known[k] && rt_mentions(info->dim_texts[axis], e->dim_names[k])) missing = e->dim_names[k];
    /* The hint shows where it is wanted. */
    base_diag *d = base_report(call->diags, BASE_MSG_DIM_MISSING, rt_span(call->diags, &info->place), missing);
    d->hint = base_printf(call->diags->arena, "axis %u of %s is %s", axis, info->name, info->dim_texts[axis]);
}

/* Extents as a tensor may have them, 0 to 2^31 - 1; *dim has room for the tensor's rank. Only the first that is missing is reported. */
bool drv_shape(api_call *call, const api_graph *g, uint32_t tensor, const drv_slots *slots, int64_t *dim) {
    const rt_tensor_info *info = &g->signature.tensors[tensor];
    for (uint32_t k = 0; k < info->rank; k++) {
        if (!slots->known[info->dims[k]]) {
            report_missing(call, &g->signature, info, k, slots);
            return false;
        }
        dim[k] = slots->at[info->dims[k]];
        if (dim[k] >= 0 && dim[k] <= INT32_MAX) continue;
        base_report(call->diags, BASE_MSG_EXTENT_RANGE, rt_span(call->diags, &info->place), k, info->name, (long long)dim[k], (long long)INT32_MAX);
        return false;
    }
    return true;
}

/* Arguments of attn_program_shape for the body under api_run. */
typedef struct {
    const attn_program *program;
    const char *graph;
    size_t tensor, n_dims;
    const attn_dim *dims;
    int64_t *out;
} asking;

static attn_status shape(api_call *call, void *args) {
    const asking *a = args;
    const api_graph *g = api_graph_find(a->program, a->graph);
    drv_slots slots;
    api_use_files(call, a->program);
    if (!g) return api_unknown_graph(call, a->program, a->graph), ATTN_ERROR_ARGUMENT;
    if (a->tensor >= g->signature.n_tensors) return api_argument(call, "the graph has no tensor of that number");
    /* No defaults: who asks for a shape wants to hear what it depends on. */
    if (!drv_sizes(call, a->program, g, a->dims, a->n_dims, false, &slots)) return api_status(call);
    return drv_shape(call, g, (uint32_t)a->tensor, &slots, a->out) ? ATTN_OK : api_status(call);
}

attn_status attn_program_shape(attn_context *context, const attn_program *program, const char *graph, size_t tensor, const attn_dim *dims,
                               size_t n_dims, attn_diagnostics *diagnostics, int64_t *dims_out) {
    asking a = {program, graph, tensor, n_dims, dims, dims_out};
    if (!context || !program || !dims_out || (n_dims && !dims)) return ATTN_ERROR_ARGUMENT;
    return api_run(&context->allocator, diagnostics, shape, &a);
}

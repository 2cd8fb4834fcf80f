/* What a run will cost, and what runs have cost: the runtime's counting with the arithmetic that the compiler sees, corrected by what was measured.
 * Which inputs a run copies. */
#include "api.h"

typedef struct { attn_model *model; attn_run_options options; attn_cost out; } asking;

/* How much longer than the cost model says the entry takes on this machine; 1 before it has run. */
static double correction(const rt_call *bound) {
    rt_counts c = rt_tally_take(bound->instance->tally[bound->entry], false);
    return c.calls > 0 && c.busy_s > 0 && c.predicted_s > 0 ? c.busy_s / c.predicted_s : 1;
}

/* The graph that is asked about; NULL: reported. */
static const rt_instance *find_graph(api_call *call, const attn_model *model, const char *name, uint32_t *graph) {
    attn_module *m = model->module;
    *graph = drv_module_graph(m, name);
    drv_use_sources(call, m);
    if (*graph == RT_NONE) drv_not_in_module(call, m, name);
    return *graph == RT_NONE ? NULL : &model->rt.graphs[*graph];
}

/* Binds as a run would, so that dimensions have their values and mistakes their messages, but launches nothing: outputs that the caller names are
 * not looked at. */
static bool bind(api_call *call, const rt_instance *i, attn_run_options *options, rt_call *c) {
    rt_array *tensors = BASE_ARRAY(call->scratch, i->graph->n_tensors, rt_array);
    options->n_outputs = 0;
    *c = (rt_call){.instance = i, .arena = call->scratch, .diags = call->diags, .tensors = tensors};
    return drv_arguments(call, i->graph, options, i->params, tensors) && rt_bind(c);
}

static attn_status cost(api_call *call, void *args) {
    asking *a = args;
    const attn_module *m = a->model->module;
    uint32_t graph;
    rt_call c;
    const rt_instance *i = find_graph(call, a->model, a->options.graph, &graph);
    if (!i) return ATTN_ERROR_ARGUMENT;
    if (!i->graph->n_entries) return api_argument(call, "costs are those of kernels, and the evaluator has none");
    if (!bind(call, i, &a->options, &c)) return api_status(call);
    const rt_cost from = rt_cost_of(&c, m->device ? 1 : m->context->threads);
    const double by = correction(&c);
    /* A module from a file has no plan to look at. */
    const double operations = m->program && m->backend ? drv_operations(call, m->graphs[graph].entries[c.entry].plan, &c) : 0;
    a->out = (attn_cost){sizeof(attn_cost), from.launches, from.items, operations, from.tensor_bytes, from.workspace_bytes,
                         from.predicted_s, by * from.predicted_s, by * from.elapsed_s};
    return ATTN_OK;
}

attn_status attn_model_cost(attn_model *model, const attn_run_options *options, attn_diagnostics *diagnostics, attn_cost *out) {
    asking a = {.model = model};
    if (!model || !out || out->struct_size < API_UP_TO(attn_cost, elapsed_s) || !drv_run_options(&a.options, options)) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&model->module->context->allocator, diagnostics, cost, &a);
    if (status == ATTN_OK) api_fill(out, &a.out, sizeof a.out, API_UP_TO(attn_cost, elapsed_s));
    return status;
}

attn_status attn_model_counters(attn_model *model, const char *graph, bool reset, attn_counters *out) {
    uint32_t k = model ? drv_module_graph(model->module, graph) : RT_NONE;
    if (k == RT_NONE || !out || out->struct_size < API_UP_TO(attn_counters, predicted_s)) return ATTN_ERROR_ARGUMENT;
    const rt_instance *i = &model->rt.graphs[k];
    attn_counters sum = {.struct_size = sizeof sum};
    for (uint32_t e = 0; e < i->graph->n_entries; e++) {
        const rt_counts c = rt_tally_take(i->tally[e], reset);
        sum.calls += c.calls, sum.ended_early += c.ended_early, sum.items += c.items;
        sum.busy_s += c.busy_s, sum.elapsed_s += c.elapsed_s, sum.predicted_s += c.predicted_s;
    }
    return api_fill(out, &sum, sizeof sum, API_UP_TO(attn_counters, predicted_s)) ? ATTN_OK : ATTN_ERROR_ARGUMENT;
}

/* ---- copies of inputs */

typedef struct { attn_model *model; attn_run_options options; const char *input; attn_copy out; } copying;

static attn_status copies(api_call *call, void *args) {
    static const attn_copy kinds[] = {[RT_COPY_NONE] = ATTN_COPY_NONE, [RT_COPY_STRIDES] = ATTN_COPY_STRIDES, [RT_COPY_ALIGNMENT] = ATTN_COPY_ALIGNMENT,
                                      [RT_COPY_DEVICE] = ATTN_COPY_DEVICE};
    copying *a = args;
    uint32_t graph;
    rt_call c;
    const rt_instance *i = find_graph(call, a->model, a->options.graph, &graph);
    if (!i) return ATTN_ERROR_ARGUMENT;
    uint32_t tensor = api_tensor_find(i->graph, RT_TENSOR_INPUT, a->input);
    if (tensor == UINT32_MAX) return api_argument(call, "the graph has no input of that name");
    if (!bind(call, i, &a->options, &c)) return api_status(call);
    if (i->graph->n_entries) a->out = kinds[rt_input_copy(&c, tensor)];
    return ATTN_OK;
}

attn_status attn_model_copies(attn_model *model, const attn_run_options *options, const char *input, attn_diagnostics *diagnostics, attn_copy *out) {
    copying a = {.model = model, .input = input, .out = ATTN_COPY_NONE};
    if (!model || !input || !out || !drv_run_options(&a.options, options)) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&model->module->context->allocator, diagnostics, copies, &a);
    if (status == ATTN_OK) *out = a.out;
    return status;
}

/* One call of a graph: tensors by name into the entry's order, binding, outputs, the run. */
#include <math.h>
#include <string.h>
#include "sizes.h"

/* The arguments of attn_model_run, for the body under api_run. */
typedef struct { attn_model *model; const attn_run_options *options; } running;
typedef struct { attn_tensor *at; } made;            /* an output that the run has made */

/* ---- arguments */

/* The first of that name: names given twice have been refused before. */
static const rt_array *find_input(const attn_run_options *o, const char *name) {
    for (size_t k = 0; k < o->n_inputs; k++)
        if (o->inputs[k].name && o->inputs[k].tensor && !strcmp(o->inputs[k].name, name)) return &o->inputs[k].tensor->array;
    return NULL;
}

static const attn_dim *find_dim(const attn_run_options *o, const char *name) {
    for (size_t k = 0; k < o->n_dims; k++)
        if (o->dims[k].name && !strcmp(o->dims[k].name, name)) return &o->dims[k];
    return NULL;
}

/* What a graph calls its tensors of a kind, for messages. */
static const char *names_of(api_call *call, const rt_graph *e, uint32_t kind) {
    base_text names;
    base_text_init(&names, call->diags->arena);
    for (uint32_t k = 0; k < e->n_tensors; k++)
        if (e->tensors[k].kind == kind) base_text_add(&names, "%s%s", names.n ? ", " : "", e->tensors[k].name);
    return names.n ? names.at : "none";
}

/* Names that the graph lacks and names given twice. Inputs that are missing are found when binding, with their types. */
static bool known_names(api_call *call, const rt_graph *e, uint32_t kind, const char *word, const attn_argument *list, size_t n) {
    bool fine = true;
    for (size_t k = 0; k < n; k++) {
        /* An argument without a name cannot be meant: it is reported as an unknown one with an empty name. */
        const char *name = list[k].name ? list[k].name : "";
        bool twice = false;
        for (size_t i = 0; i < k; i++) twice |= list[i].name && !strcmp(list[i].name, name);
        if (twice) base_report(call->diags, BASE_MSG_TENSOR_TWICE, (base_span){0, 0, 0}, word, name);
        /* From here on `twice` stands for any mistake: one message for each argument is enough. */
        else if (api_tensor_find(e, kind, name) == UINT32_MAX) {
            base_report(call->diags, BASE_MSG_TENSOR_UNKNOWN, (base_span){0, 0, 0}, e->name, word, name)->expected = names_of(call, e, kind);
            twice = true;
        }
        fine &= !twice;
    }
    return fine;
}

/* An input `K: dim` may be given among the dims: then it is a tensor made here. */
static bool scalar_from_dims(api_call *call, const attn_run_options *o, const rt_tensor_info *info, rt_array *out) {
    const attn_dim *d = info->rank == 0 && info->dtype == RT_I64 ? find_dim(o, info->name) : NULL;
    if (d) rt_array_dense(out, RT_I64, 0, NULL, base_copy(call->scratch, &d->value, sizeof d->value));
    return d != NULL;
}

/* Params come from the instance, where they may lie in device memory already. What has no array keeps rank RT_UNKNOWN: for an input rt_bind
 * reports it, outputs get theirs in shape_outputs. */
bool drv_arguments(api_call *call, const rt_graph *e, const attn_run_options *o, const rt_array *params, rt_array *tensors) {
    bool fine = known_names(call, e, RT_TENSOR_INPUT, "input", o->inputs, o->n_inputs);
    fine &= known_names(call, e, RT_TENSOR_OUTPUT, "output", o->outputs, o->n_outputs);
    fine &= drv_dims_known(call, e, 1, o->dims, o->n_dims);
    for (uint32_t k = 0; k < e->n_tensors; k++) {
        const rt_tensor_info *info = &e->tensors[k];
        const rt_array *a = info->kind == RT_TENSOR_INPUT ? find_input(o, info->name) : NULL;
        tensors[k].rank = RT_UNKNOWN;
        if (info->kind == RT_TENSOR_PARAM) tensors[k] = params[k];
        else if (a) tensors[k] = *a;
        else if (info->kind == RT_TENSOR_INPUT) scalar_from_dims(call, o, info, &tensors[k]);
    }
    return fine;
}

/* Dimensions that the caller says he knows must be what shapes say.
 * Slot k is dimension k, filled by rt_bind: this must come after it. */
static bool dims_agree(const rt_call *c, const attn_run_options *o) {
    const rt_graph *e = c->instance->graph;
    bool fine = true;
    for (uint32_t k = 0; k < e->n_dims; k++) {
        const attn_dim *d = find_dim(o, e->dim_names[k]);
        if (!d || d->value == c->slots[k]) continue;
        base_report(c->diags, BASE_MSG_DIM_DIFFERS, (base_span){0, 0, 0}, e->dim_names[k], (long long)d->value, (long long)c->slots[k]);
        fine = false;
    }
    return fine;
}

/* ---- outputs */

/* m->at is NULL if memory ran out before the tensor was complete; its arena is call->keep then, and ends with the call. */
static void destroy_made(void *self) {
    made *m = self;
    attn_tensor_destroy(m->at);
}

/* Outputs are written where they lie, so they must be dense: unpacking into strides would be a copy that nobody asked for. */
static bool fits(const rt_array *a, const rt_tensor_info *info, const int64_t *dim) {
    if (a->dtype != info->dtype || a->rank != info->rank || !rt_array_is_dense(a)) return false;
    for (uint32_t k = 0; k < a->rank; k++)
        if (a->dim[k] != dim[k]) return false;
    return true;
}

/* A tensor of its own arena, which the call destroys unless it succeeds. */
static attn_tensor *make_output(api_call *call, const rt_tensor_info *info, const int64_t *dim) {
    /* call->keep is one arena, a run may make many: each is handed to a clean-up of its own, and keep is put back so that none is destroyed twice. */
    base_arena *kept = call->keep;
    made *m = BASE_NEW(call->scratch, made);
    api_defer(call, destroy_made, m, true);
    attn_tensor *t = api_tensor_new(call, info->dtype, info->rank, dim);
    call->keep = kept;
    m->at = t;
    return t;
}

/* An output that the caller gives must fit exactly; one that he leaves NULL is made. known_names has seen the name, so it is found. */
static bool take_output(api_call *call, const rt_call *c, const attn_argument *wanted, rt_array *tensors, attn_tensor **out) {
    uint32_t k = api_tensor_find(c->instance->graph, RT_TENSOR_OUTPUT, wanted->name);
    const rt_tensor_info *info = &c->instance->graph->tensors[k];
    int64_t dim[RT_RANK];
    rt_tensor_shape(c, k, dim);
    if (!wanted->tensor) {
        *out = make_output(call, info, dim);
        tensors[k] = (*out)->array;
        return true;
    }
    if (fits(&wanted->tensor->array, info, dim)) {
        tensors[k] = wanted->tensor->array;
        return true;
    }
    /* An array without data, for the text of the type alone. */
    rt_array wanted_shape;
    rt_array_dense(&wanted_shape, info->dtype, info->rank, dim, NULL);
    /* Expected and found are full types: what differs may be any of type, shape and strides. */
    base_diag *d = base_report(call->diags, BASE_MSG_OUTPUT_UNFIT, rt_span(call->diags, &info->place), info->name);
    d->expected = base_printf(call->diags->arena, "%s, dense", rt_array_text(call->diags->arena, &wanted_shape));
    d->found = base_printf(call->diags->arena, "%s%s", rt_array_text(call->diags->arena, &wanted->tensor->array),
                           rt_array_is_dense(&wanted->tensor->array) ? "" : ", not dense");
    return false;
}

/* Outputs that nobody wants have no data, but a type and shape like the others. */
static void shape_outputs(const rt_call *c, rt_array *tensors) {
    const rt_graph *e = c->instance->graph;
    for (uint32_t k = 0; k < e->n_tensors; k++) {
        int64_t dim[RT_RANK];
        if (e->tensors[k].kind != RT_TENSOR_OUTPUT) continue;
        rt_tensor_shape(c, k, dim);
        rt_array_dense(&tensors[k], e->tensors[k].dtype, e->tensors[k].rank, dim, NULL);
    }
}

/* ---- the run */

static void release(void *self) { rt_release(self); }

/* A device with a queue of its own takes one call at a time. On the host calls run side by side: each has its own device struct and block.
 * The clean-up is registered before the run, since memory may also run out in the middle of it. */
static attn_status execute(api_call *call, attn_module *m, const ir_graph *meaning, rt_call *c) {
    if (meaning) return drv_eval(call, m, meaning, c);
    api_defer(call, release, c, false);
    if (m->device) api_lock(call, &m->lock);
    if (rt_run(c)) return ATTN_OK;
    if (c->no_memory) api_no_memory(call);
    return c->cancelled ? ATTN_ERROR_CANCELLED : c->late ? ATTN_ERROR_DEADLINE : api_status(call);
}

/* Seconds from now on the clock of deadlines; what lies beyond its end is never reached. 0 is none; before now is late already. */
static int64_t deadline_of(double seconds) {
    double at = (double)rt_now_ns() + 1e9 * seconds;
    return seconds == 0 || at >= 0x1p62 ? INT64_MAX : at <= 1 ? 1 : (int64_t)at;
}

static attn_call terms_of(const attn_run_options *o) {
    return (attn_call){sizeof(attn_call), o->weight > 0 ? o->weight : 1, deadline_of(o->deadline_s), o->tenant, o->cancel};
}

/* Nothing of the caller's is changed before the run has succeeded: outputs that it made are handed over at the very end. */
static attn_status run(api_call *call, void *args) {
    const running *r = args;
    const attn_run_options *o = r->options;
    attn_module *m = r->model->module;
    uint32_t graph = drv_module_graph(m, o->graph);
    drv_use_sources(call, m);
    if (graph == RT_NONE) return drv_not_in_module(call, m, o->graph), ATTN_ERROR_ARGUMENT;
    const rt_instance *i = &r->model->rt.graphs[graph];
    const rt_graph *e = i->graph;
    uint32_t n_kernels = rt_first_kernel(e, e->n_entries);
    rt_array *tensors = BASE_ARRAY(call->scratch, e->n_tensors, rt_array);
    attn_tensor **out = BASE_ARRAY(call->scratch, o->n_outputs, attn_tensor *);
    rt_call *c = BASE_NEW(call->scratch, rt_call);
    *c = (rt_call){.instance = i, .arena = call->scratch, .diags = call->diags, .tensors = tensors, .terms = terms_of(o)};
    /* Times of this run alone: they are added to the caller's only when it has succeeded. */
    if (o->times) c->times = BASE_ARRAY(call->scratch, n_kernels, rt_kernel_time);
    if (!drv_arguments(call, e, o, i->params, tensors) || !rt_bind(c) || !dims_agree(c, o)) return api_status(call);
    /* All outputs get a shape first, then those that are wanted get data: kernels write the others nowhere. */
    shape_outputs(c, tensors);
    for (size_t k = 0; k < o->n_outputs; k++)
        if (!take_output(call, c, &o->outputs[k], tensors, &out[k])) return api_status(call);
    if (!rt_outputs_alone(c)) return api_status(call);
    attn_status status = execute(call, m, m->graphs[graph].meaning, c);
    if (status != ATTN_OK) return status;
    for (size_t k = 0; k < o->n_outputs; k++)
        if (out[k]) o->outputs[k].tensor = out[k];
    for (uint32_t k = 0; o->times && k < n_kernels; k++) {
        o->times[k].seconds += c->times[k].seconds;
        o->times[k].launches += c->times[k].launches;
    }
    return ATTN_OK;
}

/* NaN is no weight and no time: comparisons with it are false. */
bool drv_run_options(attn_run_options *to, const attn_run_options *from) {
    *to = (attn_run_options)ATTN_RUN_OPTIONS_INIT;
    if (!from || !api_options(to, sizeof *to, API_UP_TO(attn_run_options, cancel), from)) return false;
    return (!to->n_inputs || to->inputs) && (!to->n_dims || to->dims) && to->weight >= 0 && !isnan(to->deadline_s);
}

/* What can be seen to be wrong without a message is refused before any memory is taken. */
attn_status attn_model_run(attn_model *model, const attn_run_options *options, attn_diagnostics *diagnostics) {
    running r = {model, NULL};
    attn_run_options o;
    if (!model || !drv_run_options(&o, options) || (o.n_outputs && !o.outputs)) return ATTN_ERROR_ARGUMENT;
    r.options = &o;
    return api_run(&model->module->context->allocator, diagnostics, run, &r);
}

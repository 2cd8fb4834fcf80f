/* Models: the runtime's, with what the host gives: tensors by name, a file. */
#include <string.h>
#include "api.h"

/* Arguments of attn_model_create for the body under api_run. */
typedef struct {
    attn_context *context;
    const attn_module *module;
    const attn_model_options *options;
    attn_model *out;
} creation;

static void release(void *self) { rt_model_release(&((attn_model *)self)->rt); }

static void close_file(void *self) { rt_file_close(self); }

/* Tensors whose name or array is missing are not given. */
static void take_given(api_call *call, const attn_model_options *o, rt_weights *out) {
    rt_given *given = BASE_ARRAY(call->scratch, o->n_params, rt_given);
    out->given = given;
    for (size_t k = 0; k < o->n_params; k++)
        if (o->params[k].name && o->params[k].tensor) given[out->n_given++] = (rt_given){o->params[k].name, &o->params[k].tensor->array};
}

/* The file is open for this call, or for as long as the model if params lie in it: then the model has taken it over. Without one a model can still be made, if it has no params or
 * all are given. */
static bool take_weights(api_call *call, const attn_model_options *o, rt_weights *out) {
    rt_safetensors *file = BASE_NEW(call->scratch, rt_safetensors);
    take_given(call, o, out);
    if (!o->weights) return true;
    api_defer(call, close_file, &file->file, false);           /* before opening */
    out->file = file;
    return rt_safetensors_open(file, o->weights, call->scratch, call->diags);
}

static attn_status create(api_call *call, void *args) {
    creation *c = args;
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    rt_weights weights = {0};
    if (c->options && !api_options(&o, sizeof o, API_UP_TO(attn_model_options, n_params), c->options))
        return api_argument(call, "attn_model_options.struct_size is not set");
    if (o.n_params && !o.params) return api_argument(call, "attn_model_options.params is NULL");
    base_arena *arena = api_keep(call);
    attn_model *m = BASE_NEW(arena, attn_model);
    m->arena = arena;
    m->module = (attn_module *)c->module;
    drv_use_sources(call, m->module);
    m->rt = (rt_model){.module = &m->module->contract, .device = m->module->device, .executor = m->module->context->executor, .allocator = call->allocator};
    /* From here on `release` must find m in a state that it can take apart, since any line below may jump. */
    api_defer(call, release, m, true);
    if (m->module->device) api_lock(call, &m->module->lock);
    if (!take_weights(call, &o, &weights) || !rt_model_make(&m->rt, &weights, arena, call->scratch, call->diags)) return api_status(call);
    api_module_retain(m->module);
    c->out = m;
    return ATTN_OK;
}

attn_status attn_model_create(attn_context *context, const attn_module *module, const attn_model_options *options,
                              attn_diagnostics *diagnostics, attn_model **out) {
    creation c = {context, module, options, NULL};
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (!context || !module) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&context->allocator, diagnostics, create, &c);
    if (status == ATTN_OK) *out = c.out;
    return status;
}

/* The module goes last: device memory is given back through its device. */
void attn_model_destroy(attn_model *model) {
    if (!model) return;
    attn_module *module = model->module;
    release(model);
    base_arena_destroy(model->arena);
    attn_module_destroy(module);
}

/* Weights back to a file: each param under its stored name, stacked ones as the tensors they were stacked from, in the program's types and
 * shapes. What two graphs of a program share is stored once.
 */
#include <string.h>
#include "api.h"

typedef struct { const attn_model *model; const char *path; } asking;
typedef struct {
    api_call *call;
    attn_model *model;
    base_map *names;                         /* to the number in `tensors` */
    BASE_VEC(rt_named) tensors;
    BASE_VEC(const char *) params;           /* of each tensor: whose it is, for messages */
} saving;

/* A param of another type, shape or value under the same name would be lost, so it is refused; views of the same elements are the same. */
static bool same_elements(const rt_array *a, const rt_array *b) {
    int64_t n = 0, m = 0;
    rt_count(a->rank, a->dim, &n);
    rt_count(b->rank, b->dim, &m);
    return a->dtype == b->dtype && n == m && (n == 0 || !memcmp(a->data, b->data, (size_t)n * rt_dtypes[a->dtype].bytes));
}

static bool add_tensor(saving *s, const char *param, const char *name, const rt_array *a) {
    uint32_t k;
    if (base_map_get(s->names, name, &k)) {
        if (same_elements(&s->tensors.at[k].array, a)) return true;
        base_report(s->call->diags, BASE_MSG_WEIGHT_CLASH, (base_span){0, 0, 0}, s->params.at[k], param, name);
        return false;
    }
    base_map_put(s->names, name, s->tensors.n);
    BASE_PUSH(s->call->scratch, &s->tensors, ((rt_named){name, *a}));
    BASE_PUSH(s->call->scratch, &s->params, param);
    return true;
}

/* From a device of its own to scratch memory; else the array itself. */
static bool fetch(saving *s, rt_array *a) {
    rt_device *d = s->model->module->device;
    int64_t n = 0;
    if (!d || d->host_memory) return true;
    rt_count(a->rank, a->dim, &n);
    size_t bytes = (size_t)n * rt_dtypes[a->dtype].bytes;
    void *to = base_alloc(s->call->scratch, bytes);
    if (bytes && !d->copy_out(d, to, a->data, bytes)) {
        base_report(s->call->diags, BASE_MSG_DEVICE_FAILS, (base_span){0, 0, 0}, d->name, base_strdup(s->call->diags->arena, d->error));
        return false;
    }
    a->data = to;
    return true;
}

/* One tensor for each index of the stacked axes, in row-major order. More than a header can name are refused before their names are made: params
 * without elements may have any number of slices. */
static bool add_param(saving *s, const rt_param_info *info, rt_array a) {
    uint32_t n_stacked = rt_storage_places(info->storage);
    int64_t index[RT_RANK] = {0}, n_slices, n = 0;
    if (n_stacked > a.rank) {
        base_report(s->call->diags, BASE_MSG_WEIGHT_STACK, (base_span){0, 0, 0}, info->storage, info->name);
        return false;
    }
    if (!rt_count(n_stacked, a.dim, &n_slices) || n_slices > RT_MOST_STORED - (int64_t)s->tensors.n) {
        base_report(s->call->diags, BASE_MSG_WEIGHTS_MANY, (base_span){0, 0, 0});
        return false;
    }
    if (!fetch(s, &a)) return false;
    unsigned char *at = a.data;
    for (int64_t k = 0; k < n_slices; k++) {
        rt_array slice;
        rt_array_dense(&slice, a.dtype, a.rank - n_stacked, a.dim + n_stacked, at);
        rt_count(slice.rank, slice.dim, &n);
        at += n * rt_dtypes[a.dtype].bytes;
        if (!add_tensor(s, info->name, rt_storage_name(s->call->scratch, info->storage, index), &slice)) return false;
        rt_next_index(n_stacked, a.dim, index);
    }
    return true;
}

static bool add_params(saving *s) {
    const rt_model *m = &s->model->rt;
    for (uint32_t k = 0; k < m->module->n_params; k++)
        if (m->params[k].rank != RT_UNKNOWN && !add_param(s, &m->module->params[k], m->params[k])) return false;
    return true;
}

static attn_status save(api_call *call, void *args) {
    const asking *a = args;
    attn_module *module = a->model->module;
    saving s = {.call = call, .model = (attn_model *)(uintptr_t)a->model, .names = base_map_create(call->scratch)};
    if (module->device) api_lock(call, &module->lock);
    if (!add_params(&s)) return api_status(call);
    const rt_output out = rt_safetensors_output(a->path, s.tensors.at, s.tensors.n, call->scratch);
    return rt_files_write(&out, 1, call->scratch, call->diags) ? ATTN_OK : api_status(call);
}

attn_status attn_model_save_weights(const attn_model *model, const char *path, attn_diagnostics *diagnostics) {
    asking a = {model, path};
    return model && path ? api_run(&model->module->context->allocator, diagnostics, save, &a) : ATTN_ERROR_ARGUMENT;
}

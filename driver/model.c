/* Models: params found in tensors and files, converted, and put where the target reads them; constants too. A param that several graphs
 * of the file share is loaded once.
 */
#include <string.h>
#include "api.h"

typedef struct {
    attn_context *context;
    const attn_module *module;
    const attn_model_options *options;
    attn_model *out;
} creation;
/* A param that has been taken, and the declaration that it was taken for; its elements lie in the model's arena. */
typedef struct { const rt_tensor_info *info; rt_array array; } loaded;
typedef struct {
    api_call *call;
    attn_model *model;
    const attn_model_options *options;
    /* Open for this call, or for as long as the model if params lie in it; valid if has_file. */
    rt_safetensors file;
    bool has_file;
    /* Each param once, in the order of first use; device blocks follow this order too. */
    BASE_VEC(loaded) params;
    int64_t device_bytes;                    /* taken so far */
} loading;

/* ---- where a param comes from */

/* A name without a tensor counts as not given: the file is asked then. */
static const attn_tensor *given(const loading *l, const char *name) {
    for (size_t k = 0; k < l->options->n_params; k++)
        if (l->options->params[k].name && !strcmp(l->options->params[k].name, name)) return l->options->params[k].tensor;
    return NULL;
}

/* Extents that are known: literals, and what params before this one say. The rest is compared when a graph is bound. */
static bool extents_fit(const loading *l, const rt_tensor_info *info, const rt_array *a, const int64_t *slots, const bool *known) {
    for (uint32_t k = 0; k < info->rank; k++) {
        if (!known[info->dims[k]] || a->dim[k] == slots[info->dims[k]]) continue;
        base_diag *d = base_report(l->call->diags, BASE_MSG_TENSOR_SHAPE, rt_span(l->call->diags, &info->place), k, info->name, (long long)a->dim[k],
                                   (long long)slots[info->dims[k]]);
        d->expected = rt_tensor_text(l->call->diags->arena, info);
        d->found = rt_array_text(l->call->diags->arena, a);
        return false;
    }
    return true;
}

/* The elements are copied, dense, into the model's arena: the host may free or change its tensor as soon as the call returns. */
static bool take_given(loading *l, const rt_tensor_info *info, const attn_tensor *t, const int64_t *slots, const bool *known, rt_array *out) {
    const rt_array *a = &t->array;
    base_span span = rt_span(l->call->diags, &info->place);
    int64_t n;
    if (a->dtype != info->dtype) {
        base_report(l->call->diags, BASE_MSG_TENSOR_DTYPE, span, info->name, rt_dtypes[a->dtype].name, rt_dtypes[info->dtype].name);
        return false;
    }
    if (a->rank != info->rank) {
        base_report(l->call->diags, BASE_MSG_TENSOR_RANK, span, info->name, a->rank, info->rank);
        return false;
    }
    if (!extents_fit(l, info, a, slots, known)) return false;
    rt_count(a->rank, a->dim, &n);
    void *data = base_alloc_array(l->model->arena, (size_t)n, rt_dtypes[a->dtype].bytes);
    rt_array_pack(a, data);
    rt_array_dense(out, a->dtype, a->rank, a->dim, data);
    return true;
}

/* -1 is an extent that nothing has said yet: the file decides it, and rt_param_load fills it in. */
static bool take_stored(loading *l, const rt_tensor_info *info, const int64_t *slots, const bool *known, rt_array *out) {
    rt_param p = {.name = info->name, .storage = info->storage, .dtype = info->dtype, .rank = info->rank, .dim_texts = info->dim_texts};
    void *data;
    /* The file is searched by the storage name, which may stand for several stored tensors that are stacked. */
    for (uint32_t k = 0; k < info->rank; k++) p.dim[k] = known[info->dims[k]] ? slots[info->dims[k]] : -1;
    if (!l->has_file) {
        base_report(l->call->diags, BASE_MSG_WEIGHT_NONE, rt_span(l->call->diags, &info->place), info->name);
        return false;
    }
    if (!rt_param_load(&l->file, &p, l->model->arena, l->call->diags, &data)) return false;
    rt_array_dense(out, p.dtype, p.rank, p.dim, data);
    return true;
}

/* Graphs of a file share a param if they mean the same: a name alone is not enough, two graphs may see it in different shapes. */
static bool same_param(const rt_tensor_info *a, const rt_tensor_info *b) {
    if (strcmp(a->name, b->name) || strcmp(a->storage, b->storage) || a->dtype != b->dtype || a->rank != b->rank) return false;
    for (uint32_t k = 0; k < a->rank; k++)
        if (strcmp(a->dim_texts[k], b->dim_texts[k])) return false;
    return true;
}

/* A model has tens or hundreds of params, so a list will do. */
static const loaded *find_loaded(const loading *l, const rt_tensor_info *info) {
    for (uint32_t k = 0; k < l->params.n; k++)
        if (same_param(l->params.at[k].info, info)) return &l->params.at[k];
    return NULL;
}

/* Tensors by name come first, so that a host can replace one weight of a file. */
static bool load_param(loading *l, const rt_tensor_info *info, const int64_t *slots, const bool *known, rt_array *out) {
    const loaded *before = find_loaded(l, info);
    const attn_tensor *t = given(l, info->name);
    if (before) {
        *out = before->array;
        return true;
    }
    if (!(t ? take_given(l, info, t, slots, known, out) : take_stored(l, info, slots, known, out))) return false;
    BASE_PUSH(l->call->scratch, &l->params, ((loaded){info, *out}));
    return true;
}

/* Shapes of params follow from literals, from params before them, and from what is stored. */
static bool load_params(loading *l, api_instance *i) {
    const rt_entry *e = &i->entry->entry;
    int64_t *slots = BASE_ARRAY(l->call->scratch, e->n_slots, int64_t);
    bool *known = BASE_ARRAY(l->call->scratch, e->n_slots, bool), fine = true;
    /* By tensor of the entry, so that a call can take them over as they are; inputs and outputs stay unknown. */
    i->instance.params = BASE_ARRAY(l->model->arena, e->n_tensors, rt_array);
    for (uint32_t k = 0; k < e->n_tensors; k++) i->instance.params[k].rank = RT_UNKNOWN;
    for (uint32_t k = 0; k < e->n_tensors; k++) {
        /* Each param that arrived may fix dimensions of those after it. One that failed stays unknown, so nothing is blamed on its account. */
        if (e->tensors[k].kind != RT_TENSOR_PARAM) continue;
        rt_ints_partial(e->bind, e->n_bind, i->instance.params, slots, known);
        rt_array a;
        if (load_param(l, &e->tensors[k], slots, known, &a)) i->instance.params[k] = a;
        else fine = false;
    }
    return fine;
}

/* ---- on a device with memory of its own */

/* Cannot overflow: count and bytes were checked when the array was made. */
static int64_t bytes_of(const rt_array *a) {
    int64_t n = 0;
    rt_count(a->rank, a->dim, &n);
    return n * rt_dtypes[a->dtype].bytes;
}

/* Device blocks are cut at 256 bytes, and an empty array still gets an address of its own. */
static int64_t rounded(int64_t bytes) { return (bytes + 255) / 256 * 256 + 256; }

/* Size of a constant: its slot follows from literals alone. */
static int64_t const_bytes(loading *l, const rt_entry *e, uint32_t buffer) {
    int64_t *slots = BASE_ARRAY(l->call->scratch, e->n_slots, int64_t);
    bool *known = BASE_ARRAY(l->call->scratch, e->n_slots, bool);
    rt_array *none = BASE_ARRAY(l->call->scratch, e->n_tensors, rt_array);
    for (uint32_t k = 0; k < e->n_tensors; k++) none[k].rank = RT_UNKNOWN;
    rt_ints_partial(e->bind, e->n_bind, none, slots, known);
    return known[e->buffers[buffer].bytes] ? slots[e->buffers[buffer].bytes] : 0;
}

/* Everything that stays on the device goes into one block: one allocation, one free. */
static int64_t device_need(loading *l) {
    int64_t all = 0;
    for (uint32_t k = 0; k < l->params.n; k++) all += rounded(bytes_of(&l->params.at[k].array));
    for (uint32_t k = 0; k < l->model->n_instances; k++) {
        const rt_entry *e = &l->model->instances[k].entry->entry;
        for (uint32_t b = 0; b < e->n_buffers; b++)
            if (e->buffers[b].kind == RT_BUFFER_CONST) all += rounded(const_bytes(l, e, b));
    }
    return all;
}

/* The device's text is copied: its buffer is overwritten by the next failure. */
static bool device_failed(loading *l, rt_device *d) {
    base_report(l->call->diags, BASE_MSG_DEVICE_FAILS, (base_span){0, 0, 0}, d->name, base_strdup(l->call->diags->arena, d->error));
    return false;
}

/* Takes the next part of that block. */
static bool upload(loading *l, rt_device *d, const void *from, int64_t bytes, void **out) {
    *out = (char *)l->model->device_memory + l->device_bytes;
    l->device_bytes += rounded(bytes);
    return d->copy_in(d, *out, from, (size_t)bytes) || device_failed(l, d);
}

/* A shared param is copied once; every instance that pointed at the host's copy now points at the device's. */
static bool upload_params(loading *l, rt_device *d) {
    for (uint32_t k = 0; k < l->params.n; k++) {
        loaded *p = &l->params.at[k];
        /* The host's copy stays in the arena, unused: an arena cannot give back a part. */
        void *host = p->array.data;
        if (!upload(l, d, host, bytes_of(&p->array), &p->array.data)) return false;
        for (uint32_t i = 0; i < l->model->n_instances; i++)
            for (uint32_t t = 0; t < l->model->instances[i].entry->entry.n_tensors; t++)
                if (l->model->instances[i].instance.params[t].data == host && host) l->model->instances[i].instance.params[t].data = p->array.data;
    }
    return true;
}

/* Constants belong to their entry, so each instance has its own copy. */
static bool upload_consts(loading *l, rt_device *d, api_instance *i) {
    const rt_entry *e = &i->entry->entry;
    for (uint32_t b = 0; b < e->n_buffers; b++)
        if (e->buffers[b].kind == RT_BUFFER_CONST && !upload(l, d, e->buffers[b].data, const_bytes(l, e, b), &i->instance.consts[b])) return false;
    return true;
}

static bool move_to_device(loading *l, rt_device *d) {
    attn_model *m = l->model;
    if (!d || d->host_memory) return true;
    /* One byte more, since a model without params and constants would ask for an empty block. */
    m->device_bytes = (size_t)device_need(l) + 1;
    if (!d->alloc(d, m->device_bytes, &m->device_memory)) return device_failed(l, d);
    if (!upload_params(l, d)) return false;
    for (uint32_t k = 0; k < m->n_instances; k++)
        if (!upload_consts(l, d, &m->instances[k])) return false;
    return true;
}

/* ---- */

/* What is no memory of the arena, also of a model half made: blocks and device memory may be missing still. */
static void release(void *self) {
    attn_model *m = self;
    rt_device *d = m->module->device;
    rt_blocks_destroy(m->blocks);
    rt_file_close(&m->weights);
    if (m->device_memory) d->free(d, m->device_memory, m->device_bytes);
}

static void close_file(void *self) { rt_file_close(self); }

static bool open_file(loading *l) {
    api_defer(l->call, close_file, &l->file.file, false);      /* before opening */
    /* Without a file a model can still be made, if it has no params or all are given. */
    l->has_file = l->options->weights != NULL;
    return !l->has_file || rt_safetensors_open(&l->file, l->options->weights, l->call->scratch, l->call->diags);
}

/* On the host constants are read where the compiler has put them; a device replaces the pointer in upload_consts. The cast drops a const
 * that kernels keep: no kernel writes a constant. */
static void *const_data(const rt_buffer *b) { return b->kind == RT_BUFFER_CONST ? (void *)(uintptr_t)b->data : NULL; }

/* A mapped file stays open if a param was left in it. On a device of its own all have been copied. */
static void keep_file(loading *l) {
    const rt_file *f = &l->file.file;
    bool used = false;
    for (uint32_t k = 0; k < l->params.n && f->mapped; k++) {
        uintptr_t at = (uintptr_t)l->params.at[k].array.data, first = (uintptr_t)f->at;
        used |= at >= first && at - first < f->n;
    }
    if (!used) return;
    l->model->weights = *f;
    l->file.file = (rt_file){0};
}

/* One instance for each entry: params and constants of that graph, by its own numbers. */
static bool make_instance(loading *l, api_instance *i, const api_entry *e) {
    attn_model *m = l->model;
    i->entry = e;
    i->instance = (rt_instance){.entry = &e->entry, .device = m->module->device, .executor = m->module->context->executor,
                                .allocator = m->module->context->allocator, .blocks = m->blocks};
    /* By buffer of the entry; NULL for those that are no constants. */
    i->instance.consts = BASE_ARRAY(m->arena, e->entry.n_buffers, void *);
    for (uint32_t b = 0; b < e->entry.n_buffers; b++) i->instance.consts[b] = const_data(&e->entry.buffers[b]);
    return load_params(l, i);
}

/* All of them, also after one has failed: every missing or unfit weight is reported, not the first alone. */
static bool make_instances(loading *l) {
    attn_model *m = l->model;
    bool fine = true;
    m->instances = BASE_ARRAY(m->arena, m->module->n_entries, api_instance);
    m->n_instances = m->module->n_entries;
    for (uint32_t k = 0; k < m->n_instances; k++) fine &= make_instance(l, &m->instances[k], &m->module->entries[k]);
    return fine;
}

static attn_status create(api_call *call, void *args) {
    creation *c = args;
    attn_model_options *o = BASE_NEW(call->scratch, attn_model_options);
    *o = (attn_model_options)ATTN_MODEL_OPTIONS_INIT;
    loading *l = BASE_NEW(call->scratch, loading);
    /* `loading` ends with the call; what outlives it lies in the model. */
    *l = (loading){.call = call, .options = o};
    if (c->options && !api_options(o, sizeof *o, API_UP_TO(attn_model_options, n_params), c->options))
        return api_argument(call, "attn_model_options.struct_size is not set");
    if (l->options->n_params && !l->options->params) return api_argument(call, "attn_model_options.params is NULL");
    base_arena *arena = api_keep(call);
    attn_model *m = l->model = BASE_NEW(arena, attn_model);
    m->arena = arena;
    m->module = (attn_module *)c->module;
    api_use_files(call, m->module->program);
    api_defer(call, release, m, true);
    /* From here on `release` must find m in a state that it can take apart, since any line below may jump. */
    m->blocks = rt_blocks_create(&call->allocator, m->module->device);
    if (!m->blocks) api_no_memory(call);
    /* Moved when all have been loaded, since one block for everything needs the sum of their sizes. */
    if (!open_file(l) || !make_instances(l) || !move_to_device(l, m->module->device)) return api_status(call);
    keep_file(l);
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

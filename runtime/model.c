/* Models: params found among the tensors of the host and in a file, converted, each loaded once however many graphs read it; put where
 * the device reads them, constants too; then the set-ups: the steps of each entry that depend on params alone, whose results live as long as
 * the model.
 */
#include <string.h>
#include "rt.h"

typedef struct {
    rt_model *model;
    const rt_weights *weights;
    base_arena *arena, *scratch;     /* arena: the model's */
    base_diags *diags;
    int64_t device_bytes;            /* of the block, taken so far */
} loading;

static const base_span nowhere = {0, 0, 0};

/* ---- where a param comes from */

static const rt_array *given(const loading *l, const char *name) {
    for (uint32_t k = 0; k < l->weights->n_given; k++)
        if (!strcmp(l->weights->given[k].name, name)) return l->weights->given[k].array;
    return NULL;
}

/* Extents that are known: literals, and what params before this one say. The rest is compared when a graph is bound. */
static bool extents_fit(const loading *l, const rt_tensor_info *info, const rt_array *a, const int64_t *slots, const bool *known) {
    for (uint32_t k = 0; k < info->rank; k++) {
        if (!known[info->dims[k]] || a->dim[k] == slots[info->dims[k]]) continue;
        base_diag *d = base_report(l->diags, BASE_MSG_TENSOR_SHAPE, rt_span(l->diags, &info->place), k, info->name, (long long)a->dim[k],
                                   (long long)slots[info->dims[k]]);
        d->expected = rt_tensor_text(l->diags->arena, info->dtype, info->rank, info->dim_texts);
        d->found = rt_array_text(l->diags->arena, a);
        return false;
    }
    return true;
}

/* The elements are copied, dense, into the model's arena: the host may free or change its tensor as soon as the call returns. */
static bool take_given(loading *l, const rt_tensor_info *info, const rt_array *a, const int64_t *slots, const bool *known, rt_array *out) {
    base_span span = rt_span(l->diags, &info->place);
    int64_t n = 0;
    if (a->dtype != info->dtype) {
        base_report(l->diags, BASE_MSG_TENSOR_DTYPE, span, info->name, rt_dtypes[a->dtype].name, rt_dtypes[info->dtype].name);
        return false;
    }
    if (a->rank != info->rank) {
        base_report(l->diags, BASE_MSG_TENSOR_RANK, span, info->name, a->rank, info->rank);
        return false;
    }
    if (!extents_fit(l, info, a, slots, known)) return false;
    rt_count(a->rank, a->dim, &n);
    void *data = base_alloc_array(l->arena, (size_t)n, rt_dtypes[a->dtype].bytes);
    rt_array_pack(a, data);
    rt_array_dense(out, a->dtype, a->rank, a->dim, data);
    return true;
}

/* -1 is an extent that nothing has said yet: the file decides it, and rt_param_load fills it in. */
static bool take_stored(loading *l, const rt_tensor_info *info, const int64_t *slots, const bool *known, rt_array *out) {
    const char *storage = l->model->module->params[info->index].storage;
    rt_param p = {.name = info->name, .storage = storage, .dtype = info->dtype, .rank = info->rank, .dim_texts = info->dim_texts};
    void *data;
    for (uint32_t k = 0; k < info->rank; k++) p.dim[k] = known[info->dims[k]] ? slots[info->dims[k]] : -1;
    if (!l->weights->file) {
        base_report(l->diags, BASE_MSG_WEIGHT_NONE, rt_span(l->diags, &info->place), info->name);
        return false;
    }
    if (!rt_param_load(l->weights->file, &p, l->arena, l->diags, &data)) return false;
    rt_array_dense(out, p.dtype, p.rank, p.dim, data);
    return true;
}

/* Tensors by name come first, so that a host can replace one weight of a file. What a graph before this one has loaded is taken as it is. */
static bool load_param(loading *l, const rt_tensor_info *info, const int64_t *slots, const bool *known) {
    rt_array *at = &l->model->params[info->index], loaded;
    if (at->rank != RT_UNKNOWN) return extents_fit(l, info, at, slots, known);
    const rt_array *from = given(l, info->name);
    if (!(from ? take_given(l, info, from, slots, known, &loaded) : take_stored(l, info, slots, known, &loaded))) return false;
    *at = loaded;
    return true;
}

/* Shapes of params follow from literals, from params before them, and from what is stored. Each param that arrived may fix dimensions of
 * those after it. One that failed stays unknown, so nothing is blamed on its account; all that are missing or unfit are reported. */
static bool load_params(loading *l, rt_instance *i) {
    const rt_graph *g = i->graph;
    int64_t *slots = BASE_ARRAY(l->scratch, g->n_slots, int64_t);
    bool *known = BASE_ARRAY(l->scratch, g->n_slots, bool), fine = true;
    i->params = BASE_ARRAY(l->arena, g->n_tensors, rt_array);
    for (uint32_t k = 0; k < g->n_tensors; k++) i->params[k].rank = RT_UNKNOWN;
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        if (g->tensors[k].kind != RT_TENSOR_PARAM) continue;
        rt_ints_partial(g->bind, g->n_bind, i->params, slots, known);
        if (load_param(l, &g->tensors[k], slots, known)) i->params[k] = l->model->params[g->tensors[k].index];
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

/* The device's text is copied: its buffer is overwritten by the next failure. */
static bool device_failed(loading *l, rt_device *d) {
    base_report(l->diags, BASE_MSG_DEVICE_FAILS, nowhere, d->name, base_strdup(l->diags->arena, d->error));
    return false;
}

/* Takes the next part of the block. */
static bool upload(loading *l, const void *from, int64_t bytes, void **out) {
    rt_device *d = l->model->device;
    *out = (char *)l->model->memory + l->device_bytes;
    l->device_bytes += rounded(bytes);
    return d->copy_in(d, *out, from, (size_t)bytes) || device_failed(l, d);
}

typedef bool each_const(loading *l, const rt_buffer *b, rt_fixed *at);

static bool consts(loading *l, each_const *visit) {
    const rt_module *m = l->model->module;
    for (uint32_t g = 0; g < m->n_graphs; g++)
        for (uint32_t e = 0; e < m->graphs[g].n_entries; e++)
            for (uint32_t b = 0; b < m->graphs[g].entries[e].n_buffers; b++) {
                const rt_buffer *buffer = &m->graphs[g].entries[e].buffers[b];
                if (buffer->kind == RT_BUFFER_CONST && !visit(l, buffer, &l->model->graphs[g].fixed[e][b])) return false;
            }
    return true;
}

static bool count_const(loading *l, const rt_buffer *b, rt_fixed *at) {
    (void)at;
    l->model->bytes += (size_t)rounded((int64_t)b->data_bytes);
    return true;
}

static bool upload_const(loading *l, const rt_buffer *b, rt_fixed *at) { return upload(l, b->data, (int64_t)b->data_bytes, &at->at); }

/* Everything goes into one block: one allocation, one free. The host's copies of params stay in the arena, unused: an arena cannot give back a part. */
static bool move_to_device(loading *l) {
    rt_model *m = l->model;
    rt_device *d = m->device;
    if (!d || d->host_memory) return true;
    m->bytes = 1;                                /* one byte more, since without params and constants the block would be empty */
    for (uint32_t k = 0; k < m->module->n_params; k++)
        if (m->params[k].rank != RT_UNKNOWN) m->bytes += (size_t)rounded(bytes_of(&m->params[k]));
    consts(l, count_const);
    if (!d->alloc(d, m->bytes, &m->memory)) return device_failed(l, d);
    for (uint32_t k = 0; k < m->module->n_params; k++)
        if (m->params[k].rank != RT_UNKNOWN && !upload(l, m->params[k].data, bytes_of(&m->params[k]), &m->params[k].data)) return false;
    for (uint32_t g = 0; g < m->module->n_graphs; g++)
        for (uint32_t t = 0; t < m->graphs[g].graph->n_tensors; t++)
            if (m->graphs[g].graph->tensors[t].kind == RT_TENSOR_PARAM) m->graphs[g].params[t] = m->params[m->graphs[g].graph->tensors[t].index];
    return consts(l, upload_const);
}

/* On the host constants are read where the module has them. The cast drops a const that kernels keep: no kernel writes a constant. */
static bool take_const(loading *l, const rt_buffer *b, rt_fixed *at) {
    (void)l;
    *at = (rt_fixed){(void *)(uintptr_t)b->data, (int64_t)b->data_bytes};
    return true;
}

/* ---- set-ups */

/* Results that launches with a number have left: whoever computes the same takes them. */
typedef struct { const rt_step *step; const int64_t *slots; const rt_fixed *fixed; uint32_t n_results; } computed;
typedef BASE_VEC(computed) memory;

static void with_device(const rt_model *m, rt_host *host, rt_device **device) {
    rt_host_init(host, &m->executor, &m->allocator);
    *device = m->device ? m->device : &host->device;
}

/* Device memory that ends with the model. The record is there before the memory, so that nothing is lost in between. */
static void *keep(loading *l, int64_t bytes) {
    rt_host host;
    rt_device *d;
    rt_kept *k = BASE_NEW(l->arena, rt_kept);
    *k = (rt_kept){NULL, (size_t)bytes, l->model->kept};
    l->model->kept = k;
    with_device(l->model, &host, &d);
    if (!d->alloc(d, k->bytes, &k->at)) {
        k->at = NULL;
        if (strcmp(d->error, "out of memory") == 0) base_arena_fail(l->arena);
        device_failed(l, d);
    }
    return k->at;
}

/* Tests fill no slot: their dst says nothing. */
static void mark_unknown(const rt_int_op *ops, uint32_t n, const bool *known, bool *unknown) {
    for (uint32_t k = 0; k < n; k++)
        if (ops[k].op != RT_INT_EXPECT && ops[k].op != RT_INT_REQUIRE) unknown[ops[k].dst] = !known[ops[k].dst];
}

/* Slots that the programs fill, but not from params alone: because a size overflowed, since set-ups ask for nothing else. */
static bool *unknown_slots(const loading *l, const rt_graph *g, const rt_entry *e, const bool *known) {
    bool *unknown = BASE_ARRAY(l->scratch, e->n_slots, bool);
    mark_unknown(g->bind, g->n_bind, known, unknown);
    mark_unknown(e->bind, e->n_bind, known, unknown);
    return unknown;
}

static bool step_known(const rt_step *s, const bool *unknown) {
    if (s->kind == RT_STEP_LOOP) return !unknown[s->lo] && !unknown[s->hi];
    if (s->kind != RT_STEP_LAUNCH) return true;
    for (uint32_t k = 0; k < s->n_ints; k++)
        if (unknown[s->ints[k]]) return false;
    return !unknown[s->items] && !unknown[s->cost] && !unknown[s->scratch];
}

static bool sizes_known(const rt_entry *e, const bool *unknown, const int64_t *slots) {
    bool fine = !unknown[e->setup_workspace];
    for (uint32_t k = 0; k < e->n_setup; k++) fine &= step_known(&e->steps[k], unknown);
    for (uint32_t k = 0; k < e->n_buffers; k++) fine &= e->buffers[k].kind != RT_BUFFER_KEPT || (!unknown[e->buffers[k].bytes] && slots[e->buffers[k].bytes] >= 0);
    return fine;
}

static bool same_ints(const rt_step *a, const int64_t *a_slots, const rt_step *b, const int64_t *b_slots) {
    if (a->same != b->same || a->n_ints != b->n_ints || a->n_buffers != b->n_buffers || a_slots[a->items] != b_slots[b->items]) return false;
    for (uint32_t k = 0; k < a->n_ints; k++)
        if (a_slots[a->ints[k]] != b_slots[b->ints[k]]) return false;
    return true;
}

/* Its results are there: a launch of the very set-up that is looked at has left nothing yet. */
static bool has_run(const computed *c) {
    for (uint32_t i = 0; i < c->n_results; i++)
        if (!c->fixed[c->step->buffers[i]].at) return false;
    return true;
}

/* Takes over the results of a launch that has been made before, if there is one. */
static bool take_computed(const memory *before, uint32_t n_results, const rt_step *s, const int64_t *slots, rt_fixed *fixed) {
    for (uint32_t k = 0; k < before->n; k++) {
        const computed *c = &before->at[k];
        if (c->n_results != n_results || !same_ints(c->step, c->slots, s, slots) || !has_run(c)) continue;
        for (uint32_t i = 0; i < n_results; i++) fixed[s->buffers[i]] = c->fixed[c->step->buffers[i]];
        return true;
    }
    return false;
}

/* Which launches need not be made. The others that have a number are remembered. */
static const bool *find_done(loading *l, memory *before, const rt_entry *e, const int64_t *slots, rt_fixed *fixed) {
    bool *done = BASE_ARRAY(l->scratch, e->n_setup, bool);
    for (uint32_t k = 0; k < e->n_setup; k++) {
        const rt_step *s = &e->steps[k];
        if (s->kind != RT_STEP_LAUNCH || !s->same) continue;
        uint32_t n_results = e->kernels[s->kernel].n_results;
        done[k] = take_computed(before, n_results, s, slots, fixed);
        if (!done[k]) BASE_PUSH(l->scratch, before, ((computed){s, slots, fixed, n_results}));
    }
    return done;
}

static bool keep_results(loading *l, const rt_entry *e, const int64_t *slots, rt_fixed *fixed) {
    for (uint32_t b = 0; b < e->n_buffers; b++) {
        int64_t bytes = slots[e->buffers[b].bytes];
        if (e->buffers[b].kind != RT_BUFFER_KEPT || fixed[b].at) continue;
        fixed[b] = (rt_fixed){keep(l, bytes), bytes};
        if (!fixed[b].at) return false;
    }
    return true;
}

/* The block of the set-up's workspace goes back to the list afterwards, where the first call may find it. */
static bool run_setup(loading *l, const rt_instance *i, uint32_t entry, int64_t *slots, const bool *done) {
    rt_model *m = l->model;
    rt_call *c = m->setup = BASE_NEW(l->arena, rt_call);
    *c = (rt_call){.instance = i, .arena = l->scratch, .diags = l->diags, .tensors = i->params, .read = i->params, .entry = entry, .slots = slots, .done = done};
    bool fine = rt_run_setup(c);
    rt_release(c);
    m->setup = NULL;
    if (!fine && c->no_memory) base_arena_fail(l->arena);
    return fine;
}

/* Nothing for an entry that these params rule out. */
static bool set_up(loading *l, memory *before, const rt_instance *i, uint32_t entry) {
    const rt_graph *g = i->graph;
    const rt_entry *e = &g->entries[entry];
    int64_t *slots = BASE_ARRAY(l->scratch, e->n_slots, int64_t);
    bool *known = BASE_ARRAY(l->scratch, e->n_slots, bool);
    if (e->n_setup == 0) return true;
    rt_ints_partial(g->bind, g->n_bind, i->params, slots, known);
    rt_ints_partial(e->bind, e->n_bind, i->params, slots, known);
    if (e->applies != RT_NONE && known[e->applies] && !slots[e->applies]) return true;
    if (!sizes_known(e, unknown_slots(l, g, e, known), slots)) {
        base_report(l->diags, BASE_MSG_SIZE_OVERFLOW, nowhere, "graph", g->name);
        return false;
    }
    const bool *done = find_done(l, before, e, slots, i->fixed[entry]);
    return keep_results(l, e, slots, i->fixed[entry]) && run_setup(l, i, entry, slots, done);
}

static bool set_up_all(loading *l) {
    rt_model *m = l->model;
    memory before = {0};
    for (uint32_t g = 0; g < m->module->n_graphs; g++)
        for (uint32_t e = 0; e < m->module->graphs[g].n_entries; e++)
            if (!set_up(l, &before, &m->graphs[g], e)) return false;
    return true;
}

/* ---- */

/* A mapped file stays open if a param was left in it. On a device of its own all have been copied. */
static void keep_file(loading *l) {
    rt_model *m = l->model;
    rt_file *f = l->weights->file ? &l->weights->file->file : NULL;
    bool used = false;
    for (uint32_t k = 0; f && f->mapped && k < m->module->n_params; k++) {
        uintptr_t at = (uintptr_t)m->params[k].data, first = (uintptr_t)f->at;
        used |= m->params[k].rank != RT_UNKNOWN && at >= first && at - first < f->n;
    }
    if (!used) return;
    m->weights = *f;
    *f = (rt_file){0};
}

static bool make_instance(loading *l, uint32_t graph) {
    rt_model *m = l->model;
    const rt_graph *g = &m->module->graphs[graph];
    rt_instance *i = &m->graphs[graph];
    *i = (rt_instance){.graph = g, .device = m->device, .executor = m->executor, .allocator = m->allocator, .blocks = m->blocks};
    i->fixed = BASE_ARRAY(l->arena, g->n_entries, rt_fixed *);
    i->tally = BASE_ARRAY(l->arena, g->n_entries, rt_tally *);
    for (uint32_t e = 0; e < g->n_entries; e++) i->tally[e] = rt_tally_create(l->arena);
    for (uint32_t e = 0; e < g->n_entries; e++) i->fixed[e] = BASE_ARRAY(l->arena, g->entries[e].n_buffers, rt_fixed);
    return load_params(l, i);
}

bool rt_model_make(rt_model *m, const rt_weights *weights, base_arena *arena, base_arena *scratch, base_diags *diags) {
    loading l = {.model = m, .weights = weights, .arena = arena, .scratch = scratch, .diags = diags};
    bool fine = true;
    m->blocks = rt_blocks_create(&m->allocator, m->device);
    if (!m->blocks) base_arena_fail(arena);
    m->params = BASE_ARRAY(arena, m->module->n_params, rt_array);
    m->graphs = BASE_ARRAY(arena, m->module->n_graphs, rt_instance);
    for (uint32_t k = 0; k < m->module->n_params; k++) m->params[k].rank = RT_UNKNOWN;
    for (uint32_t k = 0; k < m->module->n_graphs; k++) fine &= make_instance(&l, k);
    /* Moved when all have been loaded, since one block for everything needs the sum of their sizes. */
    fine = fine && consts(&l, take_const) && move_to_device(&l) && set_up_all(&l);
    if (fine) keep_file(&l);
    return fine;
}

/* Also of a model half made, after memory ran out anywhere above. */
void rt_model_release(rt_model *m) {
    rt_host host;
    rt_device *d;
    with_device(m, &host, &d);
    if (m->setup) rt_release(m->setup);
    for (rt_kept *k = m->kept; k; k = k->next)
        if (k->at) d->free(d, k->at, k->bytes);
    rt_blocks_destroy(m->blocks);
    rt_file_close(&m->weights);
    if (m->memory) d->free(d, m->memory, m->bytes);
}

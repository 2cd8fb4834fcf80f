#include "native.h"
#include <stdlib.h>
#include <string.h>
#include "passes.h"

/* ---- one thread. Scratch is filled with what no kernel should read. */

static bool serial_run(void *self, const rt_job *job) {
    (void)self;
    const size_t bytes = ((size_t)job->scratch_bytes + 127) / 64 * 64;
    void *scratch = aligned_alloc(64, bytes);
    if (!scratch) return false;
    memset(scratch, 0xff, bytes);
    job->fn(job->frame, 0, job->items / 2, scratch);
    job->fn(job->frame, job->items / 2, job->items, scratch);
    free(scratch);
    return true;
}
static int one(void *self) {
    (void)self;
    return 1;
}
const rt_executor native_serial = {sizeof(rt_executor), NULL, serial_run, one};

/* ---- tensors as kernels see them: dense, in their own types; room for one element more, so that an empty one has room */

static size_t bytes_of(const ir_tensor *t) { return ((size_t)t->n + 1) * ir_dtypes[t->dtype].bytes; }
static void *packed(base_arena *arena, const ir_tensor *t) {
    char *at = base_alloc(arena, bytes_of(t));
    for (int64_t i = 0; i < t->n; i++) switch (t->dtype) {
        case IR_TYPE_F32: ((float *)at)[i] = (float)t->f[i]; break;
        case IR_TYPE_F64: ((double *)at)[i] = t->f[i]; break;
        case IR_TYPE_I32: ((int32_t *)at)[i] = (int32_t)t->i[i]; break;
        case IR_TYPE_I64: ((int64_t *)at)[i] = t->i[i]; break;
        default: ((int8_t *)at)[i] = (int8_t)t->i[i];
        }
    return at;
}
static void unpack(ir_tensor *t, const void *at) {
    for (int64_t i = 0; i < t->n; i++) switch (t->dtype) {
        case IR_TYPE_F32: t->f[i] = (double)((const float *)at)[i]; break;
        case IR_TYPE_F64: t->f[i] = ((const double *)at)[i]; break;
        case IR_TYPE_I32: t->i[i] = ((const int32_t *)at)[i]; break;
        case IR_TYPE_I64: t->i[i] = ((const int64_t *)at)[i]; break;
        default: t->i[i] = ((const int8_t *)at)[i];
        }
}

static const ir_store *store_of(const ir_kernel *k, ir_value v) {
    for (uint32_t i = 0; i < k->n_stores; i++)
        if (k->stores[i].at.result == v) return &k->stores[i].at;
    return NULL;
}
static bool make_result(const ir_kernel *k, const ir_store *s, ir_frame *frame, base_arena *arena, base_diags *diags) {
    const ir_type t = k->unit->value.at[s->result].type;
    int64_t dim[IR_RANK];
    if (!ir_type_shape(k->unit, frame, &t, dim, diags)) return false;
    frame->value[s->result] = ir_tensor_new(arena, t.dtype, t.rank, dim);
    if (s->into) memcpy(frame->value[s->result].i, frame->value[s->into].i, sizeof(int64_t) * (size_t)frame->value[s->result].n);
    return true;
}

/* ---- a launch */

typedef struct { const native *n; const ir_kernel *k; ir_frame *frame; base_arena *arena; void **buffers; int64_t *ints; } launch;

static bool bind(launch *l, const int64_t *counters, base_diags *diags) {
    rt_device *d = l->n->device;
    for (uint32_t i = 0; i < l->k->n_dims; i++) l->ints[i] = l->frame->dim[l->k->dims[i]];
    for (uint32_t i = 0; i < l->k->n_counters; i++) l->ints[l->k->n_dims + i] = counters[i];
    for (uint32_t i = 0; i < l->k->n_values; i++) {
        const ir_store *s = store_of(l->k, l->k->values[i]);
        if (s && !make_result(l->k, s, l->frame, l->arena, diags)) return false;
        const ir_tensor *t = &l->frame->value[l->k->values[i]];
        if (!d->alloc(d, bytes_of(t), &l->buffers[i]) || !d->copy_in(d, l->buffers[i], packed(l->arena, t), bytes_of(t))) return false;
    }
    return true;
}
static bool go(launch *l, const rt_kernel *kernel, const ir_schedule *s, base_diags *diags) {
    rt_device *d = l->n->device;
    rt_launch job = {.kernel = kernel, .frame = {l->ints, l->buffers}};
    if (!ir_eval_expr(l->k->unit, l->frame, s->items, &job.items, diags) || !ir_eval_expr(l->k->unit, l->frame, s->scratch_bytes, &job.scratch_bytes, diags) ||
        !ir_eval_expr(l->k->unit, l->frame, s->cost_of_item, &job.cost_of_item, diags))
        return false;
    return d->launch(d, &job) && d->wait(d);
}
static bool fetch(launch *l) {
    rt_device *d = l->n->device;
    for (uint32_t i = 0; i < l->k->n_values; i++) {
        ir_tensor *t = &l->frame->value[l->k->values[i]];
        void *host = base_alloc(l->arena, bytes_of(t));
        if (!store_of(l->k, l->k->values[i])) continue;
        if (!d->copy_out(d, host, l->buffers[i], bytes_of(t))) return false;
        unpack(t, host);
    }
    return true;
}
static void unbind(launch *l) {
    for (uint32_t i = 0; i < l->k->n_values; i++)
        if (l->buffers[i]) l->n->device->free(l->n->device, l->buffers[i], bytes_of(&l->frame->value[l->k->values[i]]));
}

struct native_kernel {
    native how;
    const ir_kernel *k;
    const ir_schedule *schedule;
    void *code;
    rt_kernel kernel;
};

native_kernel *native_open(const native *n, const ir_kernel *k, base_arena *arena, base_diags *diags) {
    native_kernel *x = BASE_NEW(arena, native_kernel);
    x->how = *n;
    x->k = pass_mask_kernel(pass_legalize_kernel(k, n->target));
    x->schedule = pass_schedule_kernel(x->k, n->target, NULL);
    if (!ir_schedule_verify(x->schedule)) return NULL;
    rt_image image;
    if (!n->backend->compile(n->backend, n->target, 1, &x->schedule, NULL, arena, &image, diags)) return NULL;
    x->kernel = ir_kernel_contract(x->schedule, image);
    return n->device->load(n->device, 1, &x->kernel, &x->code) ? x : NULL;
}

void native_close(native_kernel *n) { n->how.device->unload(n->how.device, n->code); }

bool native_launch(const native_kernel *n, ir_frame *frame, const int64_t *counters, base_arena *arena, base_diags *diags) {
    const ir_kernel *k = n->k;
    launch l = {&n->how, k, frame, arena, BASE_ARRAY(arena, k->n_values, void *), BASE_ARRAY(arena, k->n_dims + k->n_counters + 1, int64_t)};
    const bool ok = bind(&l, counters, diags) && go(&l, &n->kernel, n->schedule, diags) && fetch(&l);
    unbind(&l);
    return ok;
}

bool native_run(const native *n, const ir_kernel *k, ir_frame *frame, const int64_t *counters, base_arena *arena, base_diags *diags) {
    native_kernel *x = native_open(n, k, arena, diags);
    if (!x) return false;
    const bool ok = native_launch(x, frame, counters, arena, diags);
    native_close(x);
    return ok;
}

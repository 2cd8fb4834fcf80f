/* Maps of a graph as launches: tensors of the evaluator become buffers of their element types, each an allocation of its own, so that the
 * emulated driver sees every address outside of one. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "emulated.h"
#include "passes.h"

/* ---- the fake libraries */

static void *symbol(const char *name) {
    static void *library;        /* kept open: what it counts must outlive each use */
    if (!library) library = dlopen(ATTN_FAKE_CUDA, RTLD_NOW | RTLD_LOCAL);
    void *at = library ? dlsym(library, name) : NULL;
    if (!at) abort();
    return at;
}

const ir_backend *emulated_backend(base_arena *arena) {
    symbol("cuInit");
    return cuda_backend_create(arena, &(cuda_options){.struct_size = sizeof(cuda_options), .nvrtc = ATTN_FAKE_CUDA, .driver = ATTN_FAKE_CUDA});
}

#define CALL(name, type, ...)                                                                                                              \
    do {                                                                                                                                   \
        void *at = symbol(name);                                                                                                           \
        type *fn;                                                                                                                          \
        memcpy(&fn, &at, sizeof fn);                                                                                                       \
        __VA_ARGS__;                                                                                                                       \
    } while (0)
typedef const char *text_fn(void);
typedef int int_fn(void);
typedef unsigned unsigned_fn(void);
typedef void void_fn(void);
typedef void fail_fn(const char *, unsigned);
const char *emulated_error(void) { CALL("fake_error", text_fn, return fn()); }
int emulated_alive(void) { CALL("fake_alive", int_fn, return fn()); }
unsigned emulated_last_blocks(void) { CALL("fake_last_blocks", unsigned_fn, return fn()); }
void emulated_reset(void) { CALL("fake_reset", void_fn, fn()); }
void emulated_fail(const char *function, unsigned result) { CALL("fake_fail", fail_fn, fn(function, result)); }

/* ---- kernels of a graph */

typedef struct {
    const ir_graph *graph;
    const ir_backend *backend;
    const ir_target *target;
    base_arena *arena;
    base_diags *diags;
    rt_device *device;
    BASE_VEC(const ir_node *) maps;
    BASE_VEC(ir_schedule *) schedules;
    rt_kernel *kernels;
} program;

static void add_map(void *env, const ir_node *node, uint32_t depth) {
    program *p = env;
    (void)depth;
    if (node->form != IR_FORM_MAP) return;
    const ir_kernel *k = pass_lower_node(p->graph->unit, node);
    if (!k || !ir_kernel_verify(k)) return;
    ir_schedule *schedule = pass_schedule_kernel(pass_mask_kernel(pass_legalize_kernel(k, p->target)), p->target, NULL);
    if (!ir_schedule_verify(schedule)) return;
    BASE_PUSH(p->arena, &p->maps, node);
    BASE_PUSH(p->arena, &p->schedules, schedule);
}

static uint32_t index_of(const program *p, const ir_node *map) {
    uint32_t i = 0;
    while (i < p->maps.n && p->maps.at[i] != map) i++;
    return i;
}

/* ---- tensors */

static void to_elements(const ir_tensor *t, char *out) {
    for (int64_t i = 0; i < t->n; i++) switch (t->dtype) {
        case IR_TYPE_F32: ((float *)(void *)out)[i] = (float)t->f[i]; break;
        case IR_TYPE_F64: ((double *)(void *)out)[i] = t->f[i]; break;
        case IR_TYPE_I32: ((int32_t *)(void *)out)[i] = (int32_t)t->i[i]; break;
        case IR_TYPE_I64: ((int64_t *)(void *)out)[i] = t->i[i]; break;
        default: ((uint8_t *)out)[i] = t->i[i] != 0; break;
        }
}

static void from_elements(ir_tensor *t, const char *in) {
    for (int64_t i = 0; i < t->n; i++) switch (t->dtype) {
        case IR_TYPE_F32: t->f[i] = (double)((const float *)(const void *)in)[i]; break;
        case IR_TYPE_F64: t->f[i] = ((const double *)(const void *)in)[i]; break;
        case IR_TYPE_I32: t->i[i] = ((const int32_t *)(const void *)in)[i]; break;
        case IR_TYPE_I64: t->i[i] = ((const int64_t *)(const void *)in)[i]; break;
        default: t->i[i] = ((const uint8_t *)in)[i]; break;
        }
}

static size_t bytes_of(const ir_tensor *t) { return (size_t)t->n * ir_dtypes[t->dtype].bytes; }

static const ir_store *store_of(const ir_kernel *k, ir_value v) {
    for (uint32_t i = 0; i < k->n_stores; i++)
        if (k->stores[i].at.result == v) return &k->stores[i].at;
    return NULL;
}

/* Results start as what they go into, as zeros where a program says at which places they are stored, else as the NaN they are allocated with. */
static bool prepare(program *p, const ir_node *map, const ir_kernel *k, ir_value v, ir_frame *frame, bool *fill) {
    int64_t dim[IR_RANK];
    const ir_type *type = &p->graph->unit->value.at[v].type;
    const ir_store *s = store_of(k, v);
    *fill = true;
    if (!s) return true;
    if (!ir_type_shape(p->graph->unit, frame, type, dim, p->diags)) return false;
    ir_tensor *t = &frame->value[v];
    *t = ir_tensor_new(p->arena, type->dtype, type->rank, dim);
    if (s->into) memcpy(t->i, frame->value[s->into].i, sizeof *t->i * (size_t)t->n);
    *fill = false;
    for (uint32_t i = 0; i < map->map.n_results; i++) *fill |= map->map.results[i].store.result == v && map->map.results[i].store.n_places > 0;
    return true;
}

static bool bring(program *p, const ir_node *map, const ir_kernel *k, ir_value v, ir_frame *frame, void **out) {
    bool fill;
    if (!prepare(p, map, k, v, frame, &fill)) return false;
    const ir_tensor *t = &frame->value[v];
    char *data = base_alloc(p->arena, bytes_of(t) + 1);
    to_elements(t, data);
    return p->device->alloc(p->device, bytes_of(t), out) && (!fill || p->device->copy_in(p->device, *out, data, bytes_of(t)));
}

static bool take(program *p, const ir_kernel *k, ir_value v, ir_frame *frame, void *at) {
    ir_tensor *t = &frame->value[v];
    if (!store_of(k, v)) return true;
    char *data = base_alloc(p->arena, bytes_of(t) + 1);
    if (!p->device->copy_out(p->device, data, at, bytes_of(t))) return false;
    from_elements(t, data);
    return true;
}

/* The work is told as more than it is, so that there are several blocks also for what is small. */
static bool launch(program *p, uint32_t i, ir_frame *frame, const int64_t *counters, void **buffers) {
    const ir_schedule *s = p->schedules.at[i];
    const ir_kernel *k = s->kernel;
    int64_t *ints = BASE_ARRAY(p->arena, k->n_dims + k->n_counters + 1, int64_t);
    for (uint32_t d = 0; d < k->n_dims; d++) ints[d] = frame->dim[k->dims[d]];
    for (uint32_t c = 0; c < k->n_counters; c++) ints[k->n_dims + c] = counters[k->counters[c]];
    rt_launch l = {.kernel = &p->kernels[i], .frame = {ints, buffers}};
    if (!ir_eval_expr(k->unit, frame, s->items, &l.items, p->diags) || !ir_eval_expr(k->unit, frame, s->cost_of_item, &l.cost_of_item, p->diags)) return false;
    l.cost_of_item = l.cost_of_item * 100 + 1000;
    return p->device->launch(p->device, &l) && p->device->wait(p->device);
}

static bool run_map(void *env, const ir_node *map, ir_frame *frame, const int64_t *counters) {
    program *p = env;
    uint32_t i = index_of(p, map);
    if (i == p->maps.n) return false;
    const ir_kernel *k = p->schedules.at[i]->kernel;
    void **buffers = BASE_ARRAY(p->arena, k->n_values + 1, void *);
    bool ok = true;
    for (uint32_t v = 0; ok && v < k->n_values; v++) ok = bring(p, map, k, k->values[v], frame, &buffers[v]);
    ok = ok && launch(p, i, frame, counters, buffers);
    for (uint32_t v = 0; ok && v < k->n_values; v++) ok = take(p, k, k->values[v], frame, buffers[v]);
    for (uint32_t v = 0; v < k->n_values; v++) p->device->free(p->device, buffers[v], 0);
    if (!ok) base_report(p->diags, BASE_MSG_INTERNAL_IR, map->span, p->device->error);
    return ok;
}

static bool lower(program *p) {
    p->target = p->backend->target(p->backend, "sm_80", p->arena);
    ir_graph_each(p->graph, add_map, p);
    return p->diags->n_errors == 0;
}

const char *emulated_text(const ir_graph *g, base_arena *arena, base_diags *diags) {
    program p = {.graph = g, .backend = emulated_backend(arena), .arena = arena, .diags = diags};
    base_text text;
    base_text_init(&text, arena);
    return lower(&p) && p.backend->emit(p.backend, p.target, p.maps.n, (const ir_schedule *const *)p.schedules.at, &text, diags) ? text.at : NULL;
}

bool emulated_graph_eval(const ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    char error[256];
    program p = {.graph = g, .backend = emulated_backend(arena), .arena = arena, .diags = diags};
    if (!lower(&p)) return false;
    p.kernels = BASE_ARRAY(arena, p.maps.n + 1, rt_kernel);
    rt_image *images = BASE_ARRAY(arena, p.maps.n + 1, rt_image);
    void *code = NULL;
    if (!p.backend->compile(p.backend, p.target, p.maps.n, (const ir_schedule *const *)p.schedules.at, NULL, arena, images, diags)) return false;
    for (uint32_t i = 0; i < p.maps.n; i++) p.kernels[i] = ir_kernel_contract(p.schedules.at[i], images[i]);
    p.device = p.backend->device_create(p.backend, NULL, error, sizeof error);
    if (!p.device) return false;
    bool ok = p.device->load(p.device, p.maps.n, p.kernels, &code) && ir_graph_eval_with(g, frame, arena, diags, run_map, &p);
    p.device->unload(p.device, code);
    p.backend->device_destroy(p.backend, p.device);
    return ok;
}

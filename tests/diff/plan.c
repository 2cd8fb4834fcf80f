/* What a host gets: the graph after every pass, its kernels compiled for a backend, the plan encoded, steps run by the runtime, checks
 * included. Each run is made twice: dense inputs on one thread, then inputs that lie in memory as badly as they may (axes in
 * reverse order, gaps, every other axis backwards, stride 0 where elements repeat) on several threads. Both have to give the same bits. */
#include <stdlib.h>
#include <string.h>
#include "encode.h"
#include "host.h"
#include "native.h"
#include "passes.h"
#include "plan.h"
#include "rt.h"

enum { THREADS = 3, GAP = 2 };

typedef struct {                 /* one program, compiled */
    const plan_machine *on;
    const ir_backend *backend;
    const ir_target *target;
    base_arena *arena;
    base_diags *diags;
    pass_state state;
    rt_kernel *kernels;
    void *code;
    rt_graph graph;
    rt_entry entry;
    rt_module module;            /* of this one graph */
    rt_device *device;           /* NULL: the host */
    rt_pool *pool;
    bool beside;                 /* the tiles that are forced mean nothing to it: the evaluator runs it */
} compiled;

/* Blocks of the workspace start as NaN: a kernel that reads what nobody wrote is seen. */
static void *poisoned_alloc(void *self, size_t bytes) {
    (void)self;
    void *at = malloc(bytes);
    if (at) memset(at, 0xff, bytes);
    return at;
}
static void poisoned_free(void *self, void *at, size_t bytes) {
    (void)self, (void)bytes;
    free(at);
}
static const base_allocator poisoned = {poisoned_alloc, poisoned_free, NULL};

/* ---- compiling */

static const ir_target *with_tiles(const ir_target *target, const plan_machine *on, base_arena *arena) {
    if (!target || !(on->keys || on->columns || on->few)) return target;
    ir_target *t = base_copy(arena, target, sizeof *t);
    t->split_columns = on->columns;
    t->few_rows = on->few;
    t->few_columns = on->few_columns;
    t->few_block = on->few ? on->block : 0;
    if (on->few) return t;
    t->tile_keys = on->keys;
    t->tile_vectors = on->vectors;
    t->tile_block = on->block;
    t->reference = on->reference;
    t->contract_rows = on->rows;
    t->contract_vectors = on->vectors;
    t->contract_tile = on->tile;
    t->contract_block = on->features;
    return t;
}
static bool has_tiles(const compiled *c) {
    for (uint32_t k = 0; k < c->state.n_kernels; k++)
        if (c->on->few ? c->state.schedules[k]->form == IR_FEW : c->state.schedules[k]->form != IR_NEST) return true;
    return false;
}

static bool pass_and_compile(compiled *c, ir_graph *g) {
    c->state = (pass_state){.arena = c->arena, .diags = c->diags, .target = c->target, .graph = g};
    if (!pass_run_all(&c->state, &(pass_options){.stop_after = NULL})) return false;
    const uint32_t n = c->state.n_kernels;
    c->beside = (c->on->keys || c->on->few) && !has_tiles(c);
    if (c->beside) return true;
    rt_image *images = BASE_ARRAY(c->arena, n + 1, rt_image);
    c->kernels = BASE_ARRAY(c->arena, n + 1, rt_kernel);
    if (n && !c->backend->compile(c->backend, c->target, n, (const ir_schedule *const *)c->state.schedules, NULL, c->arena, images, c->diags)) return false;
    for (uint32_t k = 0; k < n; k++) c->kernels[k] = ir_kernel_contract(c->state.schedules[k], images[k]);
    rt_param_info *params;
    if (!drv_encode_signature(c->state.graph, c->arena, c->diags, &c->graph, &params, &c->module.n_params)) return false;
    c->module.params = params;
    c->module.graphs = &c->graph;
    c->module.n_graphs = 1;
    c->graph.entries = &c->entry;
    c->graph.n_entries = 1;
    return drv_encode_entry(c->state.plan, &c->graph, c->kernels, c->arena, c->diags, &c->entry);
}

/* The device that loads: that of the backend, or the host's. */
static rt_device *loader(const compiled *c, rt_host *host) {
    if (c->device) return c->device;
    rt_host_init(host, &native_serial, &poisoned);
    return &host->device;
}

static bool load(compiled *c) {
    rt_host host;
    rt_device *device = loader(c, &host);
    if (device->load(device, c->state.n_kernels, c->kernels, &c->code)) return true;
    base_report(c->diags, BASE_MSG_DEVICE_FAILS, (base_span){0}, device->name, base_strdup(c->arena, device->error));
    return false;
}

static bool open_device(compiled *c) {
    char error[256] = "";
    if (!c->on->device) return true;
    c->device = c->backend->device_create(c->backend, NULL, error, sizeof error);
    if (!c->device) base_report(c->diags, BASE_MSG_DEVICE_FAILS, (base_span){0}, c->on->arch, base_strdup(c->arena, error));
    return c->device != NULL;
}

static void close_program(const diff_target *self, void *opened) {
    (void)self;
    compiled *c = opened;
    if (c->pool) rt_pool_destroy(c->pool);
    rt_host host;
    rt_device *device = loader(c, &host);
    device->unload(device, c->code);
    if (c->device) c->backend->device_destroy(c->backend, c->device);
}

static void *open_program(const diff_target *self, ir_graph *g, base_arena *arena, base_diags *diags) {
    compiled *c = BASE_NEW(arena, compiled);
    *c = (compiled){.on = self->env, .arena = arena, .diags = diags};
    c->backend = c->on->backend(arena);
    c->target = with_tiles(c->backend->target(c->backend, c->on->arch, arena), c->on, arena);
    bool ok = c->target && pass_and_compile(c, g) && (c->beside || (open_device(c) && load(c)));
    c->pool = ok ? rt_pool_create(NULL, THREADS) : NULL;
    if (c->pool) return c;
    close_program(self, c);
    return NULL;
}

/* ---- inputs in memory */

static bool same_element(const ir_tensor *t, int64_t a, int64_t b) { return memcmp(&t->i[a], &t->i[b], sizeof t->i[0]) == 0; }

/* Does nothing change along the axis? Then one element stands for all of it. */
static bool repeats(const ir_tensor *t, const rt_array *a, uint32_t axis) {
    int64_t inner = 1;
    for (uint32_t k = axis + 1; k < a->rank; k++) inner *= a->dim[k];
    for (int64_t i = 0; i < t->n; i++)
        if (i / inner % a->dim[axis] && !same_element(t, i, i - inner)) return false;
    return a->dim[axis] > 1;
}

/* Strides from the first axis on, so that the last one jumps farthest; odd axes run backwards. Returns the elements of room. */
static int64_t choose_strides(const ir_tensor *t, rt_array *a, int64_t *start) {
    int64_t room = GAP;
    *start = 0;
    for (uint32_t k = 0; k < a->rank; k++) {
        a->stride[k] = repeats(t, a, k) ? 0 : k % 2 ? -room : room;
        if (a->stride[k] < 0) *start += room * (a->dim[k] - 1);
        if (a->stride[k]) room = room * a->dim[k] + GAP;
    }
    return room;
}

static void scattered(base_arena *arena, const ir_tensor *t, rt_array *a) {
    int64_t start = 0, bytes = rt_dtypes[a->dtype].bytes;
    int64_t room = t->n ? choose_strides(t, a, &start) : 1;
    char *memory = base_alloc(arena, (size_t)((room + 1) * bytes));
    memset(memory, 0xff, (size_t)((room + 1) * bytes));
    a->data = memory + start * bytes;
    for (int64_t i = 0; i < t->n; i++) {
        int64_t rest = i, at = 0;
        for (uint32_t k = a->rank; k-- > 0; rest /= a->dim[k]) at += rest % a->dim[k] * a->stride[k];
        diff_put_element(t, i, (char *)a->data + at * bytes);
    }
}

/* ---- one call */

typedef struct { compiled *c; const ir_graph *g; ir_frame *frame; base_arena *arena; rt_model model; rt_array *tensors; bool scatter; } one_call;

static size_t bytes_of(const rt_array *a) {
    int64_t n = 0;
    rt_count(a->rank, a->dim, &n);
    return (size_t)n * rt_dtypes[a->dtype].bytes;
}

/* Inputs as the call finds them; params, dense, are what the model is given. */
static void take_sources(one_call *o, ir_form form, rt_weights *weights) {
    const ir_graph *g = o->c->state.graph;
    rt_given *given = BASE_ARRAY(o->arena, g->body.n, rt_given);
    uint32_t at = 0;
    if (form == IR_FORM_PARAM) weights->given = given;
    for (uint32_t k = 0; k < g->body.n; k++) {
        const ir_node *n = g->body.at[k];
        if (n->form != form) continue;
        const ir_tensor *t = &o->frame->value[n->source.value];
        rt_array *a = form == IR_FORM_INPUT ? &o->tensors[at++] : BASE_NEW(o->arena, rt_array);
        diff_host_shape(n, t, a);
        (o->scatter && form == IR_FORM_INPUT ? scattered : diff_dense)(o->arena, t, a);
        if (form == IR_FORM_PARAM) given[weights->n_given++] = (rt_given){g->unit->value.at[n->source.value].name, a};
    }
}

static void make_outputs(one_call *o, const rt_call *call) {
    const rt_graph *g = &o->c->graph;
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        int64_t dim[RT_RANK];
        if (g->tensors[k].kind != RT_TENSOR_OUTPUT) continue;
        rt_tensor_shape(call, k, dim);
        rt_array_dense(&o->tensors[k], g->tensors[k].dtype, g->tensors[k].rank, dim, NULL);
        size_t bytes = bytes_of(&o->tensors[k]);
        o->tensors[k].data = memset(base_alloc(o->arena, bytes + 8), 0xff, bytes + 8);
    }
}

static bool bind_and_run(one_call *o, base_diags *diags) {
    const rt_graph *g = &o->c->graph;
    const rt_instance *i = &o->model.graphs[0];
    for (uint32_t k = 0; k < g->n_tensors; k++)
        if (g->tensors[k].kind == RT_TENSOR_PARAM) o->tensors[k] = i->params[k];
    rt_call call = {.instance = i, .arena = o->arena, .diags = diags, .tensors = o->tensors};
    if (!rt_bind(&call)) return false;
    make_outputs(o, &call);
    bool ok = rt_run(&call);
    rt_release(&call);
    return ok;
}

static bool run_call(one_call *o, base_diags *diags) {
    rt_weights weights = {0};
    o->tensors = BASE_ARRAY(o->arena, o->c->graph.n_tensors + 1, rt_array);
    take_sources(o, IR_FORM_INPUT, &weights);
    take_sources(o, IR_FORM_PARAM, &weights);
    bool ok = rt_model_make(&o->model, &weights, o->arena, o->arena, diags) && bind_and_run(o, diags);
    rt_model_release(&o->model);
    return ok;
}

/* ---- results */

static const rt_array *output(const one_call *o, uint32_t k) { return &o->tensors[o->c->graph.n_tensors - o->g->n_outputs + k]; }

static bool same_bits(const one_call *a, const one_call *b, base_diags *diags) {
    for (uint32_t k = 0; k < a->g->n_outputs; k++) {
        if (!memcmp(output(a, k)->data, output(b, k)->data, bytes_of(output(a, k)))) continue;
        base_report(diags, BASE_MSG_INTERNAL_IR, (base_span){0},
                    base_printf(a->arena, "output %s: scattered inputs on %d threads give other bits than dense ones on one", a->g->outputs[k].name, THREADS));
        return false;
    }
    return true;
}

static bool run(const diff_target *self, void *opened, ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    (void)self;
    compiled *c = opened;
    if (c->beside) return ir_graph_eval(g, frame, arena, diags);
    rt_model on_one = {.module = &c->module, .device = c->device, .executor = native_serial, .allocator = poisoned}, on_many = on_one;
    on_many.executor = rt_pool_executor(c->pool);
    one_call plain = {.c = c, .g = g, .frame = frame, .arena = arena, .model = on_one}, bad = plain;
    bad.model = on_many;
    bad.scatter = true;
    return run_call(&plain, diags) && run_call(&bad, diags) && same_bits(&plain, &bad, diags) && diff_give_back(g, frame, output(&plain, 0), arena, diags);
}

static const char *missing(const diff_target *self) {
    const plan_machine *m = self->env;
    return m->missing ? m->missing() : NULL;
}

diff_target plan_target(const char *name, const plan_machine *machine) {
    return (diff_target){.name = name, .precision = DIFF_SINGLE, .open = open_program, .run = run, .close = close_program, .unavailable = missing, .env = machine, .plans = true};
}

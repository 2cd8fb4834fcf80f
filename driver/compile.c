/* From a checked program to a module: text -> graph -> passes -> kernels -> code -> entry. */
#include <string.h>
#include <time.h>
#include "api.h"
#include "encode.h"

typedef struct {
    attn_context *context;
    const attn_program *program;
    const attn_module_options *options;
    attn_module *out;
} creation;

/* Seconds since some moment; it never goes back, so that differences are durations. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- passes */

/* Sizes that costs are judged at, by ir_dim; 0 leaves the choice to the cost model. Names that the graph does not have are no mistake here:
 * the same list is given to every graph of the file. */
static int64_t *representative(base_arena *arena, const ir_unit *u, const attn_dim *dims, size_t n_dims) {
    int64_t *at = BASE_ARRAY(arena, u->dim.n + 1, int64_t);
    for (uint32_t dim = 1; dim < u->dim.n; dim++)
        for (size_t k = 0; k < n_dims; k++)
            if (!strcmp(u->dim.at[dim].name, dims[k].name) && dims[k].value > 0) at[dim] = dims[k].value;
    return at;
}

/* Each call makes a graph of its own: passes write into the unit of theirs, so that one program can be compiled by several threads. */
bool drv_lower(api_call *call, base_arena *arena, const attn_program *program, uint32_t graph, const ir_backend *backend, const char *arch,
               const attn_dim *dims, size_t n_dims, const char *stop_after, pass_state *state) {
    /* Without a backend the graph alone is wanted: the evaluator runs it, and "frontend" is printed, before any pass. */
    *state = (pass_state){.arena = arena, .diags = call->diags};
    state->graph = fe_graph_lower(program->source, graph, arena, call->diags);
    if (!state->graph) return false;
    if (!backend) return true;
    /* NULL: the backend knows no machine of that name, or cannot describe this one. */
    state->target = backend->target(backend, arch, arena);
    if (!state->target) {
        base_report(call->diags, BASE_MSG_ARCH_UNKNOWN, (base_span){0, 0, 0}, backend->name, arch ? base_printf(arena, "'%s'", arch) : "of this machine");
        return false;
    }
    state->representative = representative(arena, state->graph->unit, dims, n_dims);
    pass_options options = {.stop_after = stop_after};
    return pass_run_all(state, &options);
}

/* ---- one entry */

/* Kernels of the host are loaded by a device that is made on the spot: loading is all that it is asked for, and it needs no executor. */
static rt_device *loader(const attn_module *m, rt_host *host) {
    if (m->device) return m->device;
    rt_host_init(host, &m->context->executor, &m->context->allocator);
    return &host->device;
}

/* Loaded code is no memory of the arena: a jump between loading it and the end of the call would lose it. */
typedef struct { const attn_module *module; api_entry *entry; } held_code;

static void unload(const attn_module *m, api_entry *e) {
    rt_host host;
    rt_device *device = loader(m, &host);
    device->unload(device, e->code);
    e->code = NULL;
}

static void release_code(void *self) {
    const held_code *h = self;
    unload(h->module, h->entry);
}

/* What explain shows is made into text at once: kernels point into a unit whose spans need the program's files. */
static void describe_kernels(attn_module *m, const pass_state *s, api_entry *e, base_diags *diags) {
    /* schedules[k] belongs to kernels[k], and so does kernel k of the entry: all three are in the order of the plan. */
    e->kernels = BASE_ARRAY(m->arena, s->n_kernels, api_kernel);
    for (uint32_t k = 0; k < s->n_kernels; k++) {
        base_text text, schedule;
        base_text_init(&text, m->arena);
        base_text_init(&schedule, m->arena);
        ir_kernel_print(s->kernels[k], &text);
        ir_schedule_print(s->schedules[k], &schedule);
        e->kernels[k] = (api_kernel){s->kernels[k]->name, text.at, schedule.at, {0}, s->schedules[k]->predicted_s};
        base_span span = s->kernels[k]->span;
        /* File 0 stands for "nowhere": the place of such a kernel stays empty. */
        if (span.file == 0 || span.file >= diags->files.n) continue;
        e->kernels[k].place.file = diags->files.at[span.file].name;
        base_position(&diags->files.at[span.file], span.start, &e->kernels[k].place.line, &e->kernels[k].place.column);
    }
}

/* Passes keep spans, people need lines: the place is put before the text. A remark without a place stays as it is, in the module's arena. */
static const char *remark_text(attn_module *m, const pass_remark *r, const base_diags *diags) {
    if (r->span.file == 0 || r->span.file >= diags->files.n) return r->text;
    uint32_t line, column;
    base_position(&diags->files.at[r->span.file], r->span.start, &line, &column);
    return base_printf(m->arena, "%s:%u:%u: %s", diags->files.at[r->span.file].name, line, column, r->text);
}

/* What was put together comes before what stayed apart, each in the order of the passes. */
static void keep_remarks(attn_module *m, const pass_state *s, api_entry *e, const base_diags *diags) {
    e->remarks = BASE_ARRAY(m->arena, s->moves.n + s->remarks.n, const char *);
    for (uint32_t k = 0; k < s->moves.n; k++) e->remarks[e->n_remarks++] = remark_text(m, &s->moves.at[k], diags);
    for (uint32_t k = 0; k < s->remarks.n; k++) e->remarks[e->n_remarks++] = remark_text(m, &s->remarks.at[k], diags);
}

/* What a device says when it cannot load: memory is told as memory everywhere, the rest is the device's own message. */
static bool cannot_load(api_call *call, const attn_module *m, const rt_device *device) {
    if (!strcmp(device->error, "out of memory")) api_no_memory(call);
    base_report(call->diags, BASE_MSG_CODE_LOAD, (base_span){0, 0, 0}, m->target, base_strdup(call->scratch, device->error));
    return false;
}

static bool load_kernels(api_call *call, attn_module *m, api_entry *e, uint32_t n, rt_kernel *kernels) {
    rt_host host;
    rt_device *device = loader(m, &host);
    held_code *held = BASE_NEW(call->scratch, held_code);
    *held = (held_code){m, e};
    /* Registered before there is code: registering takes memory, and running out of it then would leave code that nobody unloads. */
    api_defer(call, release_code, held, true);
    return device->load(device, n, kernels, &e->code) || cannot_load(call, m, device);
}

/* All kernels of a graph in one go: a backend shares what they have in common. A graph that only passes inputs on has none. The images stay
 * with the module: who writes it to a file writes these bytes. */
static bool compile_kernels(api_call *call, attn_module *m, const pass_state *s, api_entry *e, rt_kernel *kernels) {
    rt_image *images = BASE_ARRAY(call->scratch, s->n_kernels, rt_image);
    if (s->n_kernels == 0) return true;
    if (!m->backend->compile(m->backend, s->target, s->n_kernels, (const ir_schedule *const *)s->schedules, &m->context->executor, m->arena, images,
                             call->diags))
        return false;
    for (uint32_t k = 0; k < s->n_kernels; k++) kernels[k] = ir_kernel_contract(s->schedules[k]->kernel, images[k]);
    return load_kernels(call, m, e, s->n_kernels, kernels);
}

/* The evaluator needs nothing but the graph and its signature. */
static bool compile_graph(api_call *call, attn_module *m, uint32_t graph, const attn_module_options *o) {
    /* Counted before it is complete; a module whose entry failed is never handed out, and its arena takes the half entry along. */
    api_entry *e = &m->entries[m->n_entries++];
    pass_state state;
    e->graph = graph;
    if (!drv_lower(call, m->arena, m->program, graph, m->backend, NULL, o->dims, o->n_dims, NULL, &state)) return false;
    if (!m->backend) {
        e->meaning = state.graph;
        return drv_encode_signature(state.graph, m->arena, call->diags, &e->entry);
    }
    /* Code first, since encoding looks at what compiling has filled in: n_ints and n_buffers of the kernels. */
    rt_kernel *kernels = BASE_ARRAY(m->arena, state.n_kernels, rt_kernel);
    if (!compile_kernels(call, m, &state, e, kernels)) return false;
    describe_kernels(m, &state, e, call->diags);
    keep_remarks(m, &state, e, call->diags);
    e->plan = state.plan;
    return drv_encode(state.plan, kernels, m->arena, call->diags, &e->entry);
}

/* ---- devices */

/* For clean-up and for the end of a module: it may come before there is a device. */
static void destroy_device(void *self) {
    attn_module *m = self;
    if (m->device) m->backend->device_destroy(m->backend, m->device);
    m->device = NULL;
}

/* Kernels that are functions run on the host, each call with a device of its own; others on one of the backend. */
static bool open_device(api_call *call, attn_module *m) {
    char error[512] = "";
    /* The evaluator, and the CPU, whose kernels are plain functions: m->device stays NULL, which means the host everywhere. */
    if (!m->backend || !m->backend->device_create) return true;
    api_defer(call, destroy_device, m, true);
    m->device = m->backend->device_create(m->backend, &m->context->executor, error, sizeof error);
    if (!m->device) base_report(call->diags, BASE_MSG_TARGET_MISSING, (base_span){0, 0, 0}, m->target, base_strdup(call->scratch, error));
    return m->device != NULL;
}

/* Which backend, and whether it can work here: found out before any graph is lowered, since that takes longer. */
static bool find_target(api_call *call, const attn_context *context, const char *name, const ir_backend **backend) {
    *backend = NULL;
    if (!drv_target_exists(name)) return drv_target_unknown(call, name);
    *backend = drv_backend(context, name);
    const char *why = *backend ? (*backend)->unavailable(*backend, call->scratch) : NULL;
    /* The evaluator needs nothing of the machine, so that it is never missing. */
    if (why) base_report(call->diags, BASE_MSG_TARGET_MISSING, (base_span){0, 0, 0}, name, why);
    return !why;
}

/* ---- modules */

/* All graphs, or the one that was asked for. The rest is compiled also after a mistake: what is wrong with one graph says
 * nothing of the others. */
static bool compile_graphs(api_call *call, attn_module *m, const attn_module_options *o) {
    const attn_program *p = m->program;
    m->entries = BASE_ARRAY(m->arena, p->n_graphs, api_entry);
    if (o->graph && !api_graph_find(p, o->graph)) return api_unknown_graph(call, p, o->graph);
    bool fine = true;
    for (uint32_t k = 0; k < p->n_graphs; k++)
        if (!o->graph || &p->graphs[k] == api_graph_find(p, o->graph)) fine &= compile_graph(call, m, k, o);
    return fine;
}

/* References are taken at the very end, where nothing can fail any more: a call that fails has none to give back. */
static attn_status create(api_call *call, void *args) {
    creation *c = args;
    attn_module_options *o = BASE_NEW(call->scratch, attn_module_options);
    *o = (attn_module_options)ATTN_MODULE_OPTIONS_INIT;
    if (c->options && !api_options(o, sizeof *o, API_UP_TO(attn_module_options, n_dims), c->options))
        return api_argument(call, "attn_module_options.struct_size is not set");
    if (o->n_dims && !o->dims) return api_argument(call, "attn_module_options.dims is NULL");
    double start = now();
    /* Everything of the module, plans and texts too, lies in this one arena: it ends as a whole, or not at all. */
    base_arena *arena = api_keep(call);
    attn_module *m = BASE_NEW(arena, attn_module);
    m->arena = arena;
    m->references = 1;
    m->context = c->context;
    m->program = (attn_program *)c->program;
    m->target = base_strdup(arena, o->target ? o->target : "cpu");
    api_use_files(call, c->program);
    /* A name that is no target is the caller's mistake; a target that cannot work here is the machine's, as the message's class says. */
    if (!find_target(call, m->context, m->target, &m->backend)) return drv_target_exists(m->target) ? api_status(call) : ATTN_ERROR_ARGUMENT;
    /* The device before the code: clean-up goes backwards, so that code is released while its device is still there. */
    if (!open_device(call, m) || !compile_graphs(call, m, o)) return api_status(call);
    pthread_mutex_init(&m->lock, NULL);
    api_context_retain(m->context);
    api_program_retain(m->program);
    m->compile_s = now() - start;
    c->out = m;
    return ATTN_OK;
}

attn_status attn_module_create(attn_context *context, const attn_program *program, const attn_module_options *options,
                               attn_diagnostics *diagnostics, attn_module **out) {
    creation c = {context, program, options, NULL};
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (!context || !program) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&context->allocator, diagnostics, create, &c);
    if (status == ATTN_OK) *out = c.out;
    return status;
}

attn_module *api_module_retain(attn_module *module) {
    atomic_fetch_add(&module->references, 1);
    return module;
}

/* Order of the end: code and device first, since they need the backend; the arena, which holds the module itself; then what it kept alive. */
void attn_module_destroy(attn_module *module) {
    if (!module || atomic_fetch_sub(&module->references, 1) != 1) return;
    for (uint32_t k = 0; k < module->n_entries; k++) unload(module, &module->entries[k]);
    destroy_device(module);
    pthread_mutex_destroy(&module->lock);
    /* Read before the arena goes, in which the module lies. */
    attn_program *program = module->program;
    attn_context *context = module->context;
    base_arena_destroy(module->arena);
    attn_program_destroy(program);
    attn_context_destroy(context);
}

/* ---- what a module says about itself */

/* name NULL: the last graph of the program. If the module was made for another one alone, that is none. */
const api_entry *api_entry_find(const attn_module *module, const char *name) {
    const api_graph *g = api_graph_find(module->program, name);
    for (uint32_t k = 0; g && k < module->n_entries; k++)
        if (&module->program->graphs[module->entries[k].graph] == g) return &module->entries[k];
    return NULL;
}

const char *attn_module_target(const attn_module *module) { return module ? module->target : NULL; }
double attn_module_compile_seconds(const attn_module *module) { return module ? module->compile_s : 0; }

/* 0 for the evaluator and for graphs that are not in the module, so that attn_module_kernel refuses every k there. */
size_t attn_module_n_kernels(const attn_module *module, const char *graph) {
    const api_entry *e = module ? api_entry_find(module, graph) : NULL;
    return e ? e->entry.n_kernels : 0;
}

/* Texts belong to the module and end with it. */
attn_status attn_module_kernel(const attn_module *module, const char *graph, size_t k, attn_kernel_info *out) {
    if (!out || k >= attn_module_n_kernels(module, graph)) return ATTN_ERROR_ARGUMENT;
    const api_kernel *from = &api_entry_find(module, graph)->kernels[k];
    const rt_place *place = &from->place;
    attn_kernel_info info = {sizeof info, from->name, from->text, from->schedule, place->file, place->line, place->column, from->predicted_s};
    return api_fill(out, &info, sizeof info, API_UP_TO(attn_kernel_info, predicted_s)) ? ATTN_OK : ATTN_ERROR_ARGUMENT;
}

/* Ends with NULL: who lists remarks counts up until then. */
const char *attn_module_remark(const attn_module *module, const char *graph, size_t k) {
    const api_entry *e = module ? api_entry_find(module, graph) : NULL;
    return e && k < e->n_remarks ? e->remarks[k] : NULL;
}

/* Modules: their end, and what they say about themselves. A module is made by compile.c or read from a file; here both are the same. */
#include <string.h>
#include "api.h"

attn_module *api_module_retain(attn_module *module) {
    atomic_fetch_add(&module->references, 1);
    return module;
}

/* ---- code */

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

/* What a device says when it cannot load: memory is told as memory everywhere, the rest is the device's own message. */
static bool cannot_load(api_call *call, const attn_module *m, const rt_device *device) {
    if (!strcmp(device->error, "out of memory")) api_no_memory(call);
    base_report(call->diags, BASE_MSG_CODE_LOAD, (base_span){0, 0, 0}, m->contract.target, base_strdup(call->scratch, device->error));
    return false;
}

bool drv_load(api_call *call, const attn_module *m, api_entry *e, uint32_t n, rt_kernel *kernels) {
    rt_host host;
    rt_device *device = loader(m, &host);
    held_code *held = BASE_NEW(call->scratch, held_code);
    *held = (held_code){m, e};
    /* Registered before there is code: registering takes memory, and running out of it then would leave code that nobody unloads. */
    api_defer(call, release_code, held, true);
    return device->load(device, n, kernels, &e->code) || cannot_load(call, m, device);
}

/* For clean-up and for the end of a module: it may come before there is a device. */
static void close_device(void *self) {
    attn_module *m = self;
    if (m->device) m->backend->device_destroy(m->backend, m->device);
    m->device = NULL;
}

/* Kernels that are functions run on the host, each call with a device of its own; others on one of the backend. */
bool drv_device_open(api_call *call, attn_module *m) {
    char error[512] = "";
    /* The evaluator, and the CPU, whose kernels are plain functions: m->device stays NULL, which means the host everywhere. */
    if (!m->backend || !m->backend->device_create) return true;
    api_defer(call, close_device, m, true);
    m->device = m->backend->device_create(m->backend, &m->context->executor, error, sizeof error);
    if (!m->device) base_report(call->diags, BASE_MSG_TARGET_MISSING, (base_span){0, 0, 0}, m->contract.target, base_strdup(call->scratch, error));
    return m->device != NULL;
}

static void unload_all(const attn_module *m) {
    for (uint32_t g = 0; g < m->contract.n_graphs; g++)
        for (uint32_t e = 0; e < m->graphs[g].n_entries; e++) unload(m, &m->graphs[g].entries[e]);
}

/* Order of the end: code and device first, since they need the backend; the arena, which holds the module itself; then what it kept alive. */
void attn_module_destroy(attn_module *module) {
    if (!module || atomic_fetch_sub(&module->references, 1) != 1) return;
    unload_all(module);
    close_device(module);
    rt_file_close(&module->file);
    pthread_mutex_destroy(&module->lock);
    /* Read before the arena goes, in which the module lies. */
    attn_program *program = module->program;
    attn_context *context = module->context;
    base_arena_destroy(module->arena);
    attn_program_destroy(program);
    attn_context_destroy(context);
}

/* ---- graphs by name */

/* name NULL: the last graph of the program. If the module was made for another one alone, that is none. A module from a file knows no more
 * graphs than it has. */
uint32_t drv_module_graph(const attn_module *m, const char *name) {
    if (!name && m->program) name = m->program->n_graphs ? m->program->graphs[m->program->n_graphs - 1].signature.name : "";
    if (!name) return m->contract.n_graphs ? m->contract.n_graphs - 1 : RT_NONE;
    for (uint32_t k = 0; k < m->contract.n_graphs; k++)
        if (!strcmp(m->contract.graphs[k].name, name)) return k;
    return RT_NONE;
}

/* Two mistakes look alike to a caller: a name that the program lacks, and a graph that this module was not made for. */
bool drv_not_in_module(api_call *call, const attn_module *m, const char *name) {
    base_text names;
    const api_graph *known = m->program ? api_graph_find(m->program, name) : NULL;
    if (m->program && !known) return api_unknown_graph(call, m->program, name);
    if (known) {
        base_report(call->diags, BASE_MSG_GRAPH_NOT_COMPILED, (base_span){0, 0, 0}, known->signature.name);
        return false;
    }
    base_text_init(&names, call->diags->arena);
    for (uint32_t k = 0; k < m->contract.n_graphs; k++) base_text_add(&names, "%s%s", k ? ", " : "", m->contract.graphs[k].name);
    base_report(call->diags, BASE_MSG_GRAPH_UNKNOWN, (base_span){0, 0, 0}, name ? name : "")->expected = m->contract.n_graphs ? names.at : "a module with a graph";
    return false;
}

/* Messages of later calls point into the program's texts, which live as long as the module: borrowed, not copied. */
void drv_use_sources(api_call *call, const attn_module *m) {
    for (uint32_t k = 0; k < m->contract.n_sources; k++) {
        const rt_source *s = &m->contract.sources[k];
        BASE_PUSH(call->diags->arena, &call->diags->files, ((base_file){s->name, s->text ? s->text : "", s->text ? (size_t)s->text_bytes : 0}));
    }
}

/* ---- what a module says about itself */

size_t attn_module_n_graphs(const attn_module *module) { return module ? module->contract.n_graphs : 0; }

attn_status attn_module_graph(const attn_module *module, size_t k, attn_graph_info *out) {
    if (!module || !out || k >= module->contract.n_graphs) return ATTN_ERROR_ARGUMENT;
    const rt_graph *g = &module->contract.graphs[k];
    attn_graph_info info = {sizeof info, g->name, g->doc, g->n_tensors, g->n_dims, g->dim_names};
    return api_fill(out, &info, sizeof info, API_UP_TO(attn_graph_info, dim_names)) ? ATTN_OK : ATTN_ERROR_ARGUMENT;
}

attn_status attn_module_tensor(const attn_module *module, const char *graph, size_t k, attn_tensor_info *out) {
    uint32_t at = module ? drv_module_graph(module, graph) : RT_NONE;
    return at == RT_NONE ? ATTN_ERROR_ARGUMENT : api_tensor_info(&module->contract.graphs[at], module->contract.params, k, out);
}

const char *attn_module_target(const attn_module *module) { return module ? module->contract.target : NULL; }
double attn_module_compile_seconds(const attn_module *module) { return module ? module->compile_s : 0; }

static const rt_graph *graph_of(const attn_module *module, const char *graph) {
    uint32_t k = module ? drv_module_graph(module, graph) : RT_NONE;
    return k == RT_NONE ? NULL : &module->contract.graphs[k];
}

/* 0 for the evaluator and for graphs that are not in the module, so that attn_module_kernel refuses every k there. */
size_t attn_module_n_kernels(const attn_module *module, const char *graph) {
    const rt_graph *g = graph_of(module, graph);
    return g ? rt_first_kernel(g, g->n_entries) : 0;
}

/* Kernels of the entries one after the other. Texts belong to the module and end with it. */
attn_status attn_module_kernel(const attn_module *module, const char *graph, size_t k, attn_kernel_info *out) {
    const rt_graph *g = graph_of(module, graph);
    if (!out || k >= attn_module_n_kernels(module, graph)) return ATTN_ERROR_ARGUMENT;
    const rt_entry *e = g->entries;
    for (; k >= e->n_kernels; e++) k -= e->n_kernels;
    const rt_kernel *from = &e->kernels[k];
    const rt_place *place = &from->place;
    attn_kernel_info info = {sizeof info, from->name, from->text, from->schedule, place->line ? place->file : NULL, place->line, place->column,
                             from->predicted_s, e->name};
    return api_fill(out, &info, sizeof info, API_UP_TO(attn_kernel_info, predicted_s)) ? ATTN_OK : ATTN_ERROR_ARGUMENT;
}

/* Ends with NULL: who lists remarks counts up until then. Those of a graph are those of its entries. */
const char *attn_module_remark(const attn_module *module, const char *graph, size_t k) {
    const rt_graph *g = graph_of(module, graph);
    for (uint32_t e = 0; g && e < g->n_entries; k -= g->entries[e++].n_remarks)
        if (k < g->entries[e].n_remarks) return g->entries[e].remarks[k];
    return NULL;
}

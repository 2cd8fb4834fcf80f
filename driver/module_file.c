/* Modules to files and back. What is loaded is the module that was saved, with the same code; it knows its sources for messages, but no program
 * to compile again.
 */
#include <string.h>
#include "api.h"

/* ---- saving */

typedef struct { const attn_module *module; const char *path; } saving;

/* A text with a zero in it cannot be written as a string; nothing but carets of messages would need it. */
static rt_source *sources_for_file(base_arena *arena, const rt_module *m) {
    rt_source *sources = base_copy(arena, m->sources, m->n_sources * sizeof *sources);
    for (uint32_t k = 0; k < m->n_sources; k++)
        if (sources[k].text && strlen(sources[k].text) != sources[k].text_bytes) sources[k] = (rt_source){sources[k].name, NULL, 0};
    return sources;
}

static attn_status save(api_call *call, void *args) {
    const saving *s = args;
    rt_module m = s->module->contract;
    rt_bytes bytes;
    if (s->module->graphs[0].meaning) return api_argument(call, "a module for eval has no code to save");
    m.sources = sources_for_file(call->scratch, &m);
    bytes.at = rt_module_write(&m, call->scratch, &bytes.n);
    rt_output out = {s->path, &bytes, 1};
    return rt_files_write(&out, 1, call->scratch, call->diags) ? ATTN_OK : api_status(call);
}

attn_status attn_module_save(const attn_module *module, const char *path, attn_diagnostics *diagnostics) {
    saving s = {module, path};
    if (!module || !path || module->contract.n_graphs == 0) return ATTN_ERROR_ARGUMENT;
    return api_run(&module->context->allocator, diagnostics, save, &s);
}

/* ---- loading */

typedef struct { attn_context *context; const char *path; attn_module *out; } loading;

static void close_file(void *self) { rt_file_close(self); }

/* Every entry's code is placed now: running never loads. The structs are this module's own, so their functions may be filled in. */
static bool load_code(api_call *call, attn_module *m) {
    m->graphs = BASE_ARRAY(m->arena, m->contract.n_graphs, api_compiled);
    for (uint32_t g = 0; g < m->contract.n_graphs; g++) {
        const rt_graph *graph = &m->contract.graphs[g];
        m->graphs[g].entries = BASE_ARRAY(m->arena, graph->n_entries, api_entry);
        m->graphs[g].n_entries = graph->n_entries;
        for (uint32_t e = 0; e < graph->n_entries; e++)
            if (!drv_load(call, m, &m->graphs[g].entries[e], graph->entries[e].n_kernels, (rt_kernel *)(uintptr_t)graph->entries[e].kernels)) return false;
    }
    return true;
}

static bool wrong(api_call *call, const char *path, const char *why) {
    base_report(call->diags, BASE_MSG_MODULE_DAMAGED, (base_span){0, 0, 0}, path, why);
    return false;
}

/* Code for a CPU needs no compiler here; for a device the backend must be able to work. */
static bool find_device(api_call *call, attn_module *m, const char *path) {
    if (!strcmp(m->contract.target, "cpu")) {
        if (rt_level_runs((rt_level)m->contract.level)) return true;
        base_report(call->diags, BASE_MSG_MODULE_LEVEL, (base_span){0, 0, 0}, path, rt_level_names[m->contract.level], rt_level_names[rt_level_here()]);
        return false;
    }
    m->backend = drv_backend(m->context, m->contract.target);
    if (!m->backend || !m->backend->device_create) return wrong(call, path, "its target is not one of this library");
    const char *why = m->backend->unavailable(m->backend, call->scratch);
    if (why) base_report(call->diags, BASE_MSG_TARGET_MISSING, (base_span){0, 0, 0}, m->contract.target, why);
    return !why && drv_device_open(call, m);
}

static bool read_module(api_call *call, attn_module *m, const char *path) {
    const char *why;
    if (!rt_file_open(path, m->arena, call->diags, &m->file)) return false;
    const rt_module *found = rt_module_read(m->file.at, m->file.n, m->arena, &why);
    if (!found) return wrong(call, path, why);
    m->contract = *found;
    return true;
}

static attn_status load(api_call *call, void *args) {
    loading *l = args;
    base_arena *arena = api_keep(call);
    attn_module *m = BASE_NEW(arena, attn_module);
    m->arena = arena;
    m->references = 1;
    m->context = l->context;
    api_defer(call, close_file, &m->file, true);
    if (!read_module(call, m, l->path) || !find_device(call, m, l->path) || !load_code(call, m)) return api_status(call);
    pthread_mutex_init(&m->lock, NULL);
    api_context_retain(m->context);
    l->out = m;
    return ATTN_OK;
}

attn_status attn_module_load(attn_context *context, const char *path, attn_diagnostics *diagnostics, attn_module **out) {
    loading l = {context, path, NULL};
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (!context || !path) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&context->allocator, diagnostics, load, &l);
    if (status == ATTN_OK) *out = l.out;
    return status;
}

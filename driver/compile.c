/* From a checked program to a module: text -> graph -> passes -> kernels -> code -> entry. A graph whose `where` lists values of
 * dimensions has an entry for each combination of them, compiled with these values as numbers.
 */
#include <string.h>
#include <time.h>
#include "api.h"
#include "encode.h"
#include "sizes.h"

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

/* Sizes that costs are judged at, by ir_dim; 0 leaves the choice to the cost model. Names that the graph does not have belong to
 * other graphs of the file: one list is given to all. */
static int64_t *representative(base_arena *arena, const ir_unit *u, const attn_dim *dims, size_t n_dims) {
    int64_t *at = BASE_ARRAY(arena, u->dim.n + 1, int64_t);
    for (uint32_t dim = 1; dim < u->dim.n; dim++)
        for (size_t k = 0; k < n_dims; k++)
            if (!strcmp(u->dim.at[dim].name, dims[k].name) && dims[k].value > 0) at[dim] = dims[k].value;
    return at;
}

/* Each call makes a graph of its own: passes write into the unit of theirs, so that one program can be compiled by several threads. */
bool drv_lower(api_call *call, base_arena *arena, const attn_program *program, uint32_t graph, uint32_t n_fixed, const fe_fixed *fixed,
               const ir_backend *backend, const char *arch, const attn_dim *dims, size_t n_dims, const char *stop_after, pass_state *state) {
    /* Without a backend the graph alone is wanted: the evaluator runs it, and "frontend" is printed, before any pass. */
    *state = (pass_state){.arena = arena, .diags = call->diags};
    state->graph = fe_graph_lower_for(program->source, graph, n_fixed, fixed, arena, call->diags);
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

/* What explain shows is made into text at once: kernels point into a unit whose spans need the program's files. */
static void describe_kernels(attn_module *m, const pass_state *s, rt_kernel *kernels, const base_diags *diags) {
    /* schedules[k] belongs to kernels[k], and so does kernel k of the entry: all three are in the order of the plan. */
    for (uint32_t k = 0; k < s->n_kernels; k++) {
        base_text text, schedule;
        base_text_init(&text, m->arena);
        base_text_init(&schedule, m->arena);
        ir_kernel_print(s->kernels[k], &text);
        ir_schedule_print(s->schedules[k], &schedule);
        kernels[k].text = text.at;
        kernels[k].schedule = schedule.at;
        kernels[k].predicted_s = s->schedules[k]->predicted_s;
        kernels[k].n_results = s->kernels[k]->n_stores;
        base_span span = s->kernels[k]->span;
        /* File 0 stands for "nowhere": the place of such a kernel stays empty. */
        if (span.file == 0 || span.file >= diags->files.n) continue;
        kernels[k].place.file = diags->files.at[span.file].name;
        base_position(&diags->files.at[span.file], span.start, &kernels[k].place.line, &kernels[k].place.column);
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
static void keep_remarks(attn_module *m, const pass_state *s, rt_entry *e, const base_diags *diags) {
    const char **remarks = BASE_ARRAY(m->arena, s->moves.n + s->remarks.n, const char *);
    for (uint32_t k = 0; k < s->moves.n; k++) remarks[e->n_remarks++] = remark_text(m, &s->moves.at[k], diags);
    for (uint32_t k = 0; k < s->remarks.n; k++) remarks[e->n_remarks++] = remark_text(m, &s->remarks.at[k], diags);
    e->remarks = remarks;
}

/* All kernels of a graph in one go: a backend shares what they have in common. A graph that only passes inputs on has none. The images stay
 * with the module: who writes it to a file writes these bytes. */
static bool compile_kernels(api_call *call, attn_module *m, const pass_state *s, api_entry *e, rt_kernel *kernels) {
    rt_image *images = BASE_ARRAY(call->scratch, s->n_kernels, rt_image);
    if (s->n_kernels == 0) return true;
    if (!drv_images(call, m->context, m->backend, s->target, s->n_kernels, (const ir_schedule *const *)s->schedules, m->arena, images)) return false;
    for (uint32_t k = 0; k < s->n_kernels; k++) kernels[k] = ir_kernel_contract(s->schedules[k], images[k]);
    return m->arch || drv_load(call, m, e, s->n_kernels, kernels);
}

/* One combination of listed values. Code first, since encoding looks at what compiling has filled in: n_ints and n_buffers of the kernels. */
static bool compile_entry(api_call *call, attn_module *m, uint32_t graph, uint32_t n_fixed, const fe_fixed *fixed, const attn_module_options *o,
                          const rt_graph *signature, api_entry *made, rt_entry *e) {
    pass_state state;
    if (!drv_lower(call, m->arena, m->program, graph, n_fixed, fixed, m->backend, m->arch, o->dims, o->n_dims, NULL, &state)) return false;
    rt_kernel *kernels = BASE_ARRAY(m->arena, state.n_kernels, rt_kernel);
    if (!compile_kernels(call, m, &state, made, kernels)) return false;
    m->contract.level = state.target->level;
    describe_kernels(m, &state, kernels, call->diags);
    made->plan = state.plan;
    if (!drv_encode_entry(state.plan, signature, kernels, m->arena, call->diags, e)) return false;
    keep_remarks(m, &state, e, call->diags);
    return true;
}

/* ---- combinations of listed values */

static bool count_entries(api_call *call, const ir_graph *g, uint32_t *out) {
    uint64_t n = 1;
    for (uint32_t k = 0; k < g->n_choices && n <= UINT32_MAX; k++) n *= g->choices[k].n;
    *out = (uint32_t)n;
    if (n <= API_MOST_ENTRIES) return true;
    base_diag *d = base_report(call->diags, BASE_MSG_MANY_ENTRIES, (base_span){0, 0, 0}, g->name, (unsigned long long)n, (unsigned)API_MOST_ENTRIES);
    d->hint = "the graph is compiled once for every combination of the values that `where` lists";
    return false;
}

/* The k-th combination: the last list runs fastest, and a list keeps the order of the program. */
static fe_fixed *combination(base_arena *arena, const ir_graph *g, uint32_t k) {
    fe_fixed *fixed = BASE_ARRAY(arena, g->n_choices, fe_fixed);
    for (uint32_t i = g->n_choices; i-- > 0; k /= g->choices[i].n) fixed[i] = (fe_fixed){g->choices[i].dim, g->choices[i].values[k % g->choices[i].n]};
    return fixed;
}

static bool compile_entries(api_call *call, attn_module *m, uint32_t graph, const attn_module_options *o, rt_graph *out, api_compiled *made) {
    const ir_graph *g = m->program->graphs[graph].graph;
    uint32_t n;
    if (!count_entries(call, g, &n)) return false;
    rt_entry *entries = BASE_ARRAY(m->arena, n, rt_entry);
    made->entries = BASE_ARRAY(m->arena, n, api_entry);
    out->entries = entries;
    for (; out->n_entries < n; out->n_entries++) {
        const fe_fixed *fixed = combination(call->scratch, g, out->n_entries);
        /* Code that it leaves is released by its own clean-up if the call fails, and found by its number when the module ends. */
        made->n_entries = out->n_entries + 1;
        if (!compile_entry(call, m, graph, g->n_choices, fixed, o, out, &made->entries[out->n_entries], &entries[out->n_entries])) return false;
    }
    return true;
}

/* ---- graphs */

static bool same_param(const rt_param_info *a, const rt_param_info *b) {
    if (strcmp(a->name, b->name) || strcmp(a->storage, b->storage) || a->dtype != b->dtype || a->rank != b->rank) return false;
    for (uint32_t k = 0; k < a->rank; k++)
        if (strcmp(a->dim_texts[k], b->dim_texts[k])) return false;
    return true;
}

/* The module's number of a param; a model has tens or hundreds of them, so a list will do. */
static uint32_t share_param(rt_param_info *params, uint32_t *n, const rt_param_info *p) {
    for (uint32_t k = 0; k < *n; k++)
        if (same_param(&params[k], p)) return k;
    params[*n] = *p;
    return (*n)++;
}

/* The program's signature, with the numbers of params that this module gives them. */
static void take_signature(attn_module *m, const api_graph *g, rt_param_info *params, rt_graph *out) {
    rt_tensor_info *tensors = base_copy(m->arena, g->signature.tensors, g->signature.n_tensors * sizeof *tensors);
    for (uint32_t k = 0; k < g->signature.n_tensors; k++)
        if (tensors[k].kind == RT_TENSOR_PARAM) tensors[k].index = share_param(params, &m->contract.n_params, &g->params[tensors[k].index]);
    *out = g->signature;
    out->tensors = tensors;
}

/* The evaluator needs nothing but the graph and its signature. */
static bool compile_graph(api_call *call, attn_module *m, uint32_t graph, const attn_module_options *o, rt_graph *out, api_compiled *made) {
    pass_state state;
    if (m->backend) return compile_entries(call, m, graph, o, out, made);
    if (!drv_lower(call, m->arena, m->program, graph, 0, NULL, NULL, NULL, o->dims, o->n_dims, NULL, &state)) return false;
    made->meaning = state.graph;
    return true;
}

/* ---- targets */

/* Which backend, and whether it can work here: found out before any graph is lowered, since that takes longer. */
static bool find_target(api_call *call, const attn_context *context, const char *name, const ir_backend **backend) {
    *backend = NULL;
    if (!drv_target_exists(name)) return drv_target_unknown(call, name);
    *backend = drv_backend(context, name);
    /* The evaluator needs nothing of the machine. Nor does what was compiled for the host before: whether its compiler is there shows when it is wanted. */
    const char *why = *backend && (*backend)->device_create ? (*backend)->unavailable(*backend, call->scratch) : NULL;
    if (why) base_report(call->diags, BASE_MSG_TARGET_MISSING, (base_span){0, 0, 0}, name, why);
    return !why;
}

/* ---- modules */

static rt_source *sources_of(attn_module *m, const base_diags *diags) {
    rt_source *sources = BASE_ARRAY(m->arena, diags->files.n, rt_source);
    for (uint32_t k = 1; k < diags->files.n; k++) sources[m->contract.n_sources++] = (rt_source){diags->files.at[k].name, diags->files.at[k].text, diags->files.at[k].n};
    return sources;
}

static uint32_t most_params(const attn_program *p) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < p->n_graphs; k++) n += p->graphs[k].n_params;
    return n;
}

/* All graphs, or the one that was asked for. The rest is compiled also after a mistake: what is wrong with one graph says
 * nothing of the others. */
static bool compile_graphs(api_call *call, attn_module *m, const attn_module_options *o) {
    const attn_program *p = m->program;
    rt_graph *graphs = BASE_ARRAY(m->arena, p->n_graphs, rt_graph);
    rt_param_info *params = BASE_ARRAY(m->arena, most_params(p), rt_param_info);
    bool fine = true;
    m->graphs = BASE_ARRAY(m->arena, p->n_graphs, api_compiled);
    m->contract.params = params;
    m->contract.graphs = graphs;
    m->contract.sources = sources_of(m, p->diags);
    if (o->graph && !api_graph_find(p, o->graph)) return api_unknown_graph(call, p, o->graph);
    if (!drv_dims_of_program(call, p, o->graph, o->dims, o->n_dims)) return false;
    for (uint32_t k = 0; k < p->n_graphs; k++) {
        if (o->graph && &p->graphs[k] != api_graph_find(p, o->graph)) continue;
        uint32_t at = m->contract.n_graphs++;
        take_signature(m, &p->graphs[k], params, &graphs[at]);
        fine &= compile_graph(call, m, k, o, &graphs[at], &m->graphs[at]);
    }
    if (fine) drv_number_setups(&m->contract, call->scratch);
    return fine;
}

/* An empty module for a program: what is the same for one that will run and one for a file. */
static attn_module *begin(base_arena *arena, attn_context *context, const attn_program *program, const char *target) {
    attn_module *m = BASE_NEW(arena, attn_module);
    m->arena = arena;
    m->references = 1;
    m->context = context;
    m->program = (attn_program *)program;
    m->contract = (rt_module){.magic = RT_MAGIC, .abi = RT_ABI, .struct_size = sizeof(rt_module), .target = base_strdup(arena, target),
                              .compiler = "attn " ATTN_VERSION};
    return m;
}

/* For a file: it lies in scratch memory with all that it points to, and nothing of it is loaded, so that it may be for a machine that is not this one. */
const rt_module *drv_compile(api_call *call, attn_context *context, const attn_program *program, const attn_module_options *o, const char *arch) {
    attn_module *m = begin(call->scratch, context, program, o->target ? o->target : "cpu");
    m->arch = arch;
    return find_target(call, context, m->contract.target, &m->backend) && compile_graphs(call, m, o) ? &m->contract : NULL;
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
    attn_module *m = begin(arena, c->context, c->program, o->target ? o->target : "cpu");
    api_use_files(call, c->program);
    /* A name that is no target is the caller's mistake; a target that cannot work here is the machine's, as the message's class says. */
    if (!find_target(call, m->context, m->contract.target, &m->backend)) return drv_target_exists(m->contract.target) ? api_status(call) : ATTN_ERROR_ARGUMENT;
    /* The device before the code: clean-up goes backwards, so that code is released while its device is still there. */
    if (!drv_device_open(call, m) || !compile_graphs(call, m, o)) return api_status(call);
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

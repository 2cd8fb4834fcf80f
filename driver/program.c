/* Programs: text, checked. Every graph is lowered once to see that it can be, and for its signature; compiling lowers it again in a unit of
 * its own, since passes write into units.
 */
#include <string.h>
#include "api.h"
#include "encode.h"

/* Arguments of the functions that make programs. bytes: of text, which need not end with 0. */
typedef struct {
    attn_context *context;
    const char *name, *text;
    size_t bytes;
    attn_program *out;
} creation;

/* ---- imports */

/* Imports are relative to the file that imports, not to the folder that the process happens to be in. */
static const char *beside(base_arena *arena, const char *importer, const char *path) {
    const char *slash = strrchr(importer, '/');
    /* An importer without a folder, a program from text say, leaves the path to the folder of the process. */
    if (path[0] == '/' || !slash) return path;
    return base_printf(arena, "%.*s%s", (int)(slash + 1 - importer), importer, path);
}

/* The frontend reports what is not found, at the import: what reading says is not wanted. */
static const char *load(void *env, base_arena *arena, const char *importer, const char *path, const char **name, size_t *n) {
    (void)env;
    const unsigned char *bytes;
    base_diags *ignored = base_diags_create(arena);
    /* Also the name under which messages show the file. */
    *name = beside(arena, importer, path);
    return rt_file_read(*name, arena, ignored, &bytes, n) ? (const char *)bytes : NULL;
}

/* ---- graphs */

/* Lowering finds what the frontend alone cannot: so that a program which exists can be compiled, as far as its text is concerned. */
static bool take_graph(api_call *call, attn_program *p, uint32_t k) {
    api_graph *g = &p->graphs[k];
    g->graph = fe_graph_lower(p->source, k, p->arena, p->diags);
    /* The signature binds dimensions to shapes: a dimension that nothing binds is a mistake of the program, found here. */
    if (!g->graph || !drv_encode_signature(g->graph, p->arena, p->diags, &g->signature, &g->params, &g->n_params)) return false;
    const rt_graph *s = &g->signature;
    g->info = (attn_graph_info){sizeof g->info, s->name, s->doc, s->n_tensors, s->n_dims, s->dim_names};
    (void)call;
    return true;
}

/* All graphs, also after one has failed: mistakes in different graphs are independent. */
static bool take_graphs(api_call *call, attn_program *p) {
    /* A file without graphs is a program too: a library of functions, to be imported. */
    bool fine = true;
    p->n_graphs = fe_n_graphs(p->source);
    p->graphs = BASE_ARRAY(p->arena, p->n_graphs, api_graph);
    for (uint32_t k = 0; k < p->n_graphs; k++) fine &= take_graph(call, p, k);
    return fine && p->diags->n_errors == 0;
}

static attn_status create(api_call *call, void *args) {
    creation *c = args;
    /* Spans count bytes in 32 bits. */
    if (c->bytes > UINT32_MAX / 2) return api_argument(call, "a program of more than 2 GiB");
    base_arena *arena = api_keep(call);
    attn_program *p = BASE_NEW(arena, attn_program);
    p->arena = arena;
    p->references = 1;
    /* The program keeps the list that this call reports into: spans of its graphs point into the files of that list for as long as it lives. */
    p->diags = call->diags = base_diags_create(arena);
    uint32_t file = base_file_add(p->diags, c->name, c->text, c->bytes);
    p->source = fe_program_create(arena, p->diags, file, load, NULL);
    if (!p->source || !take_graphs(call, p)) return api_status(call);
    /* Nothing fails from here on, so a program that failed holds neither lock nor context. */
    pthread_mutex_init(&p->lock, NULL);
    p->context = api_context_retain(c->context);
    c->out = p;
    return ATTN_OK;
}

/* What programs from texts and from files share: arguments that are refused without a message, and the pointer that is set at the end. */
static attn_status make(creation *c, attn_diagnostics *diagnostics, api_body *body, attn_program **out) {
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (!c->context || !c->name) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&c->context->allocator, diagnostics, body, c);
    if (status == ATTN_OK) *out = c->out;
    return status;
}

attn_status attn_program_from_text(attn_context *context, const char *name, const char *text, size_t bytes, attn_diagnostics *diagnostics,
                                   attn_program **out) {
    creation c = {context, name, text, bytes, NULL};
    return text || bytes == 0 ? make(&c, diagnostics, create, out) : ATTN_ERROR_ARGUMENT;
}

/* The text is copied into the program, so the file's bytes end with the call. */
static attn_status create_from_file(api_call *call, void *args) {
    creation *c = args;
    const unsigned char *bytes;
    if (!rt_file_read(c->name, call->scratch, call->diags, &bytes, &c->bytes)) return api_status(call);
    c->text = (const char *)bytes;
    return create(call, c);
}

attn_status attn_program_from_file(attn_context *context, const char *path, attn_diagnostics *diagnostics, attn_program **out) {
    creation c = {context, path, NULL, 0, NULL};
    return make(&c, diagnostics, create_from_file, out);
}

attn_program *api_program_retain(attn_program *program) {
    atomic_fetch_add(&program->references, 1);
    return program;
}

/* The program lies in its arena; the context, whose allocator the arena uses, must come after. */
void attn_program_destroy(attn_program *program) {
    if (!program || atomic_fetch_sub(&program->references, 1) != 1) return;
    attn_context *context = program->context;
    pthread_mutex_destroy(&program->lock);
    base_arena_destroy(program->arena);
    attn_context_destroy(context);
}

/* ---- what a program says about itself */

const api_graph *api_graph_find(const attn_program *program, const char *name) {
    /* Without a name the last graph is meant, wherever attn.h takes one. */
    if (!name) return program->n_graphs ? &program->graphs[program->n_graphs - 1] : NULL;
    for (uint32_t k = 0; k < program->n_graphs; k++)
        if (!strcmp(program->graphs[k].signature.name, name)) return &program->graphs[k];
    return NULL;
}

bool api_unknown_graph(api_call *call, const attn_program *program, const char *name) {
    base_text names;
    base_text_init(&names, call->diags->arena);
    for (uint32_t k = 0; k < program->n_graphs; k++) base_text_add(&names, "%s%s", k ? ", " : "", program->graphs[k].signature.name);
    base_diag *d = base_report(call->diags, BASE_MSG_GRAPH_UNKNOWN, (base_span){0, 0, 0}, name ? name : "");
    d->expected = program->n_graphs ? names.at : "a file with a graph";
    return false;
}

/* Messages of later calls point into the program's texts, which live as long as it does: borrowed, not copied. */
void api_use_files(api_call *call, const attn_program *program) {
    for (uint32_t k = 1; k < program->diags->files.n; k++) BASE_PUSH(call->diags->arena, &call->diags->files, program->diags->files.at[k]);
}

/* The kind is part of the question: an output's name among the inputs of a call is a mistake that must be seen. */
uint32_t api_tensor_find(const rt_graph *graph, uint32_t kind, const char *name) {
    for (uint32_t k = 0; k < graph->n_tensors; k++)
        if (graph->tensors[k].kind == kind && !strcmp(graph->tensors[k].name, name)) return k;
    return UINT32_MAX;
}

size_t attn_program_n_graphs(const attn_program *program) { return program ? program->n_graphs : 0; }

/* Texts in *out belong to the program. */
attn_status attn_program_graph(const attn_program *program, size_t k, attn_graph_info *out) {
    if (!program || !out || k >= program->n_graphs) return ATTN_ERROR_ARGUMENT;
    const attn_graph_info *info = &program->graphs[k].info;
    return api_fill(out, info, sizeof *info, API_UP_TO(attn_graph_info, dim_names)) ? ATTN_OK : ATTN_ERROR_ARGUMENT;
}

attn_status api_tensor_info(const rt_graph *g, const rt_param_info *params, size_t k, attn_tensor_info *out) {
    static const attn_tensor_kind kinds[RT_N_TENSORS] = {[RT_TENSOR_INPUT] = ATTN_INPUT, [RT_TENSOR_PARAM] = ATTN_PARAM, [RT_TENSOR_OUTPUT] = ATTN_OUTPUT};
    if (!out || k >= g->n_tensors) return ATTN_ERROR_ARGUMENT;
    const rt_tensor_info *t = &g->tensors[k];
    const char *storage = t->kind == RT_TENSOR_PARAM ? params[t->index].storage : NULL;
    attn_tensor_info info = {sizeof info, kinds[t->kind], t->name, storage, (attn_dtype)t->dtype, (int)t->rank, t->dim_texts, t->is_dim != 0};
    return api_fill(out, &info, sizeof info, API_UP_TO(attn_tensor_info, is_dim)) ? ATTN_OK : ATTN_ERROR_ARGUMENT;
}

attn_status attn_program_tensor(const attn_program *program, const char *graph, size_t k, attn_tensor_info *out) {
    const api_graph *g = program ? api_graph_find(program, graph) : NULL;
    return g ? api_tensor_info(&g->signature, g->params, k, out) : ATTN_ERROR_ARGUMENT;
}

/* Ends with NULL, as lists of names do here. */
const char *attn_program_try(const attn_program *program, size_t k) {
    return program && k < fe_n_tries(program->source) ? fe_try_text(program->source, (uint32_t)k) : NULL;
}

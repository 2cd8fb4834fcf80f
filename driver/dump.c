/* Programs in the compiler's own words: after any pass, and as the text that a target's own compiler gets. */
#include <string.h>
#include "api.h"
/* pass NULL: after the last. emit: the text for the target's compiler instead. out: from the context's allocator, once all went well. */

typedef struct {
    attn_context *context;
    const attn_program *program;
    const char *graph, *target, *pass;
    bool emit;
    char *out;
} dumping;

const char *attn_pass_name(size_t k) { return k < pass_count() ? pass_name((uint32_t)k) : NULL; }

/* Text that outlives the call: the caller's, from the context's allocator. */
char *api_hand_out(api_call *call, const base_text *text) {
    char *at = call->allocator.alloc(call->allocator.self, text->n + 1);
    if (!at) api_no_memory(call);
    return memcpy(at, text->at, text->n + 1);
}

/* The allocator wants sizes back: the text's own length says it, so a text must come back as it was handed out. */
void attn_text_destroy(attn_context *context, char *text) {
    if (!context || !text) return;
    if (context->allocator.free) context->allocator.free(context->allocator.self, text, strlen(text) + 1);
}

/* "frontend" is no pass: it names the graph before the first. */
static bool pass_fits(const char *pass) { return !pass || !strcmp(pass, "frontend") || pass_exists(pass); }

/* Says which names there are, in the order in which passes run. */
static bool unknown_pass(api_call *call, const char *pass) {
    base_text names;
    base_text_init(&names, call->diags->arena);
    base_text_add(&names, "frontend");
    for (uint32_t k = 0; k < pass_count(); k++) base_text_add(&names, ", %s", pass_name(k));
    base_report(call->diags, BASE_MSG_PASS_UNKNOWN, (base_span){0, 0, 0}, pass)->expected = names.at;
    return false;
}

/* Either the graph, or what a pass has left, or code. Only code can fail. */
static bool print(api_call *call, const dumping *d, const ir_backend *b, pass_state *state, base_text *out) {
    if (d->pass && !strcmp(d->pass, "frontend")) ir_graph_print(state->graph, out);
    else if (!d->emit) pass_state_print(state, out);
    else return b->emit(b, state->target, state->n_kernels, (const ir_schedule *const *)state->schedules, out, call->diags);
    return true;
}

/* "cpu:x86-64-v3": the name of the target, and in *arch what comes after the colon; NULL: this machine. */
static const char *target_of(base_arena *arena, const char *text, const char **arch) {
    const char *colon = text ? strchr(text, ':') : NULL;
    *arch = colon ? colon + 1 : NULL;
    return colon ? base_strndup(arena, text, (size_t)(colon - text)) : text ? text : "cpu";
}

/* The graph is lowered for the occasion, in scratch memory, as far as is asked for. */
static attn_status dump(api_call *call, void *args) {
    dumping *d = args;
    const char *arch, *target = target_of(call->scratch, d->target, &arch);
    const ir_backend *b = drv_backend(d->context, target);
    const api_graph *g = api_graph_find(d->program, d->graph);
    pass_state state;
    base_text text;
    base_text_init(&text, call->scratch);
    api_use_files(call, d->program);
    if (!g) return api_unknown_graph(call, d->program, d->graph), ATTN_ERROR_ARGUMENT;
    /* "frontend" asks for the graph alone: it needs no backend, so that it works for the evaluator too. */
    bool source = d->pass && !strcmp(d->pass, "frontend");
    if (!drv_target_exists(target)) return drv_target_unknown(call, target), ATTN_ERROR_ARGUMENT;
    /* Exists but has no backend: that can only be the evaluator. */
    if (!b && !source) return api_argument(call, "the evaluator runs the graph as it is, so that target eval has no passes and no code");
    /* Names before work: a pass that does not exist is reported without lowering anything. */
    if (!pass_fits(d->pass)) return unknown_pass(call, d->pass), ATTN_ERROR_ARGUMENT;
    /* Representative sizes are left to the cost model here, so that the text depends on nothing but program, target and pass. */
    uint32_t k = (uint32_t)(g - d->program->graphs);
    if (!drv_lower(call, call->scratch, d->program, k, 0, NULL, source ? NULL : b, arch, NULL, 0, d->pass, &state)) return api_status(call);
    if (!print(call, d, b, &state, &text)) return api_status(call);
    /* Last, since what it allocates belongs to no arena: nothing after it can fail. */
    d->out = api_hand_out(call, &text);
    return ATTN_OK;
}

static attn_status run(dumping *d, attn_diagnostics *diagnostics, char **out) {
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (!d->context || !d->program) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&d->context->allocator, diagnostics, dump, d);
    if (status == ATTN_OK) *out = d->out;
    return status;
}

/* pass NULL: what the last pass leaves. */
attn_status attn_program_dump(attn_context *context, const attn_program *program, const char *graph, const char *target, const char *pass,
                              attn_diagnostics *diagnostics, char **out) {
    dumping d = {context, program, graph, target, pass, false, NULL};
    return run(&d, diagnostics, out);
}

/* graph NULL: the last; target NULL: "cpu", for this machine. Also with an architecture that this machine does not have. */
attn_status attn_program_emit(attn_context *context, const attn_program *program, const char *graph, const char *target,
                              attn_diagnostics *diagnostics, char **out) {
    dumping d = {context, program, graph, target, NULL, true, NULL};
    return run(&d, diagnostics, out);
}

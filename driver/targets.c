/* The table of targets. The evaluator is one without a backend: it runs graphs as they are. */
#include <string.h>
#include "api.h"
#ifdef ATTN_WITH_CPU
#include "cpu.h"
#endif
#ifdef ATTN_WITH_CUDA
#include "backend_cuda.h"
#endif

/* A row knows how to find its backend: the one of the CPU is a constant, that of CUDA holds what the context was told about libraries. */
typedef struct { const char *name; const ir_backend *(*backend)(const attn_context *context); } target;

#ifdef ATTN_WITH_CPU
static const ir_backend *the_cpu(const attn_context *context) {
    (void)context;
    return cpu_backend();
}
#endif
#ifdef ATTN_WITH_CUDA
/* NULL until drv_backends_create has run, which is before the context is handed out. */
static const ir_backend *the_cuda(const attn_context *context) { return context->cuda; }
#endif

/* The order is the order of attn_target_name. What was left out when building is no row, so it is unknown rather than broken. */
static const target targets[] = {
    {"eval", NULL},
#ifdef ATTN_WITH_CPU
    {"cpu", the_cpu},
#endif
#ifdef ATTN_WITH_CUDA
    {"cuda", the_cuda},
#endif
};
/* A context looks targets up by name each time: there are three at most. */
enum { N_TARGETS = sizeof targets / sizeof *targets };

/* Ends with NULL. Whether a target can be used here attn_target_check says. */
const char *attn_target_name(size_t k) { return k < N_TARGETS ? targets[k].name : NULL; }

/* Names are exact: "cpu:x86-64-v3" is taken apart by who accepts it. */
static const target *find(const char *name) {
    for (size_t k = 0; k < N_TARGETS; k++)
        if (!strcmp(targets[k].name, name)) return &targets[k];
    return NULL;
}

bool drv_target_exists(const char *name) { return find(name) != NULL; }

/* NULL stands for the evaluator and for names that are none: who must tell them apart asks drv_target_exists. */
const ir_backend *drv_backend(const attn_context *context, const char *name) {
    const target *t = find(name);
    return t && t->backend ? t->backend(context) : NULL;
}

/* Opens no library yet: a host that never uses CUDA does not pay for it, and does not hear of what it lacks. */
void drv_backends_create(attn_context *context, const attn_context_options *o) {
#ifdef ATTN_WITH_CUDA
    /* Paths are copied: the host's options end with its call. */
    cuda_options cuda = {sizeof cuda, o->cuda_path, o->python_paths, o->nvrtc, o->cuda_driver};
    context->cuda = cuda_backend_create(context->arena, &cuda);
#else
    (void)context, (void)o;
#endif
}

/* Says which names there are: what was left out of this build is not among them. */
bool drv_target_unknown(api_call *call, const char *name) {
    base_text names;
    base_text_init(&names, call->diags->arena);
    for (size_t k = 0; k < N_TARGETS; k++) base_text_add(&names, "%s%s", k ? ", " : "", targets[k].name);
    base_report(call->diags, BASE_MSG_TARGET_UNKNOWN, (base_span){0, 0, 0}, name)->expected = names.at;
    return false;
}

/* Arguments of attn_target_check for the body under api_run. */
typedef struct { const attn_context *context; const char *name; } checking;

/* Opens the backend's libraries to see whether they are there. */
static attn_status check(api_call *call, void *args) {
    const checking *c = args;
    if (!drv_target_exists(c->name)) return drv_target_unknown(call, c->name), ATTN_ERROR_ARGUMENT;
    const ir_backend *b = drv_backend(c->context, c->name);
    /* The evaluator can always be used. */
    const char *why = b ? b->unavailable(b, call->scratch) : NULL;
    if (!why) return ATTN_OK;
    base_report(call->diags, BASE_MSG_TARGET_MISSING, (base_span){0, 0, 0}, c->name, why);
    return ATTN_ERROR_ENVIRONMENT;
}

/* For hosts that choose between targets: OK, or why not, without a program. */
attn_status attn_target_check(attn_context *context, const char *name, attn_diagnostics *diagnostics) {
    checking c = {context, name};
    if (!context || !name) return ATTN_ERROR_ARGUMENT;
    return api_run(&context->allocator, diagnostics, check, &c);
}

/* Contexts: threads and memory. References are counted, since programs and what follows from them keep their context alive. */
#include <string.h>
#include "api.h"

const char *attn_version(void) { return ATTN_VERSION; }

/* For people; a number that is no status gets a text too, so that a host can print whatever it was handed. */
const char *attn_status_text(attn_status status) {
    static const char *const texts[] = {
        [ATTN_OK] = "fine",
        [ATTN_ERROR_PROGRAM] = "the program is wrong",
        [ATTN_ERROR_DATA] = "the data are wrong",
        [ATTN_ERROR_ENVIRONMENT] = "a file, library or device is missing or damaged",
        [ATTN_ERROR_ARGUMENT] = "an argument is wrong",
        [ATTN_ERROR_MEMORY] = "out of memory",
        [ATTN_ERROR_CANCELLED] = "cancelled",
        [ATTN_ERROR_INTERNAL] = "internal error",
        [ATTN_ERROR_DEADLINE] = "the deadline has passed",
    };
    return (size_t)status < sizeof texts / sizeof *texts ? texts[status] : "no such status";
}

/* What attn_context_create works on under api_run: options of this version, whatever the caller's. */
typedef struct { attn_context_options options; attn_context **out; } creation;

static void destroy_pool(void *self) { rt_pool_destroy(((attn_context *)self)->pool); }

/* A host that does not say how many items can run at a time has at least the thread that calls. */
static int one_worker(void *self) {
    (void)self;
    return 1;
}

/* A host that brings its own threads gets no pool: its context starts none. */
static bool choose_executor(api_call *call, attn_context *c, const attn_context_options *o) {
    if (o->executor) {
        if (!api_options(&c->executor, sizeof c->executor, API_UP_TO(attn_executor, n_workers), o->executor) || !c->executor.run) return false;
        c->executor.struct_size = sizeof c->executor;
        if (!c->executor.n_workers) c->executor.n_workers = one_worker;
    } else {
        /* Before there is a pool; rt_pool_destroy takes NULL. */
        api_defer(call, destroy_pool, c, true);
        c->pool = rt_pool_create(&c->allocator, o->threads);
        if (!c->pool) api_no_memory(call);
        c->executor = rt_pool_executor(c->pool);
    }
    int n = c->executor.n_workers(c->executor.self);
    c->threads = n > 0 ? n : 1;
    return true;
}

static attn_status create(api_call *call, void *args) {
    creation *a = args;
    const attn_context_options *o = &a->options;
    if (!o->struct_size) return api_argument(call, "attn_context_options.struct_size is not set");
    if (o->threads < 0) return api_argument(call, "attn_context_options.threads is negative");
    base_arena *arena = api_keep(call);
    attn_context *c = BASE_NEW(arena, attn_context);
    c->arena = arena;
    /* Whatever is made from this context takes its memory here, so the allocator must outlive them all. */
    c->allocator = call->allocator;
    c->references = 1;
    if (o->cache_bytes < 0) return api_argument(call, "attn_context_options.cache_bytes is negative");
    c->cache_path = o->cache_path && *o->cache_path ? base_strdup(arena, o->cache_path) : NULL;
    c->cache_bytes = o->cache_bytes;
    drv_backends_create(c, o);
    if (!choose_executor(call, c, o)) return api_argument(call, "attn_context_options.executor has no struct_size or no function run");
    *a->out = c;
    return ATTN_OK;
}

/* The allocator is looked at here, before api_run, because the arena of this very call comes from it. */
attn_status attn_context_create(const attn_context_options *options, attn_diagnostics *diagnostics, attn_context **out) {
    creation a = {.options = ATTN_CONTEXT_OPTIONS_INIT};
    base_allocator allocator = {0};
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (options && !api_options(&a.options, sizeof a.options, API_UP_TO(attn_context_options, cuda_driver), options)) a.options.struct_size = 0;
    else if (!api_allocator(a.options.allocator, &allocator)) return ATTN_ERROR_ARGUMENT;
    /* The caller's pointer is set only when everything has succeeded. */
    attn_context *made = NULL;
    a.out = &made;
    attn_status status = api_run(&allocator, diagnostics, create, &a);
    if (status == ATTN_OK) *out = made;
    return status;
}

/* Relaxed would do for the increment; the last release must see what the others have written, so both are the default order. */
attn_context *api_context_retain(attn_context *context) {
    atomic_fetch_add(&context->references, 1);
    return context;
}

/* The pool is no memory of the arena: its threads end first. The context itself lies in the arena, which goes last. */
void attn_context_destroy(attn_context *context) {
    if (!context || atomic_fetch_sub(&context->references, 1) != 1) return;
    rt_pool_destroy(context->pool);
    base_arena_destroy(context->arena);
}

int attn_context_threads(const attn_context *context) { return context ? context->threads : 0; }

/* The very struct that models hold copies of, so whoever shares it shares the threads. */
const attn_executor *attn_context_executor(const attn_context *context) { return context ? &context->executor : NULL; }

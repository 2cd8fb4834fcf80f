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
    };
    return (size_t)status < sizeof texts / sizeof *texts ? texts[status] : "no such status";
}

/* ---- the host's executor, seen by the runtime */

/* The host sees attn_job, which hides what a kernel is; `work` leads back to the runtime's job. */
static bool host_run(void *self, const rt_job *job) {
    const attn_context *c = self;
    /* May lie on the stack: `run` of the host returns only when all items are done. */
    attn_job seen = {sizeof seen, job->items, job->cost_of_item, job->scratch_bytes, job->cancel, job};
    return c->host.run(c->host.self, &seen);
}

static int host_workers(void *self) {
    const attn_context *c = self;
    int n = c->host.workers ? c->host.workers(c->host.self) : 1;
    /* Whatever the host says, the thread that calls computes too. */
    return n > 0 ? n : 1;
}

/* Called by the host's threads, several at a time: it must not touch anything but the job. */
void attn_job_run(const attn_job *job, int64_t first, int64_t end, void *scratch) {
    const rt_job *inner = job->work;
    inner->fn(inner->frame, first, end, scratch);
}

/* ---- */

/* Arguments of attn_context_create for the body under api_run. */
typedef struct { const attn_context_options *options; attn_context **out; } creation;

static void destroy_pool(void *self) { rt_pool_destroy(((attn_context *)self)->pool); }

/* A host that brings its own threads gets no pool: its context starts none. */
static void choose_executor(api_call *call, attn_context *c, const attn_context_options *o) {
    if (o->executor && o->executor->run) {
        c->host = *o->executor;
        c->executor = (rt_executor){c, host_run, host_workers};
    } else {
        /* Before there is a pool; rt_pool_destroy takes NULL. */
        api_defer(call, destroy_pool, c, true);
        c->pool = rt_pool_create(&c->allocator, o->threads);
        if (!c->pool) api_no_memory(call);
        c->executor = rt_pool_executor(c->pool);
    }
    c->threads = c->executor.n_workers(c->executor.self);
}

static attn_status create(api_call *call, void *args) {
    creation *a = args;
    static const attn_context_options defaults = ATTN_CONTEXT_OPTIONS_INIT;
    const attn_context_options *o = a->options ? a->options : &defaults;
    if (o->struct_size < sizeof *o) return api_argument(call, "attn_context_options.struct_size is not set");
    if (o->threads < 0) return api_argument(call, "attn_context_options.threads is negative");
    base_arena *arena = api_keep(call);
    attn_context *c = BASE_NEW(arena, attn_context);
    c->arena = arena;
    /* Whatever is made from this context takes its memory here, so the allocator must outlive them all. */
    c->allocator = call->allocator;
    c->references = 1;
    drv_backends_create(c, o);
    choose_executor(call, c, o);
    *a->out = c;
    return ATTN_OK;
}

/* The allocator is looked at here, before api_run, because the arena of this very call comes from it. */
attn_status attn_context_create(const attn_context_options *options, attn_diagnostics *diagnostics, attn_context **out) {
    creation a = {options, out};
    base_allocator allocator = {0};
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (options && options->struct_size >= sizeof *options && !api_allocator(options->allocator, &allocator)) return ATTN_ERROR_ARGUMENT;
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

/* Machine code for kernels: from the cache what was compiled before, from the backend the rest, which is then kept.
 *
 * The key of an image is the digest of all that decides it: the texts of kernel, schedule and target, what is known of the kernel's dimensions (emitters
 * leave out what is proved), and the identity of the compiler. The cache is a help alone: whatever is wrong with it, code is compiled.
 */
#include <string.h>
#include "api.h"

enum { CACHE_BYTES = 256 << 20 };                /* if the host does not say how large the folder may grow */

/* ---- keys */

/* Bounds and facts by which an emitter may have found that a read stays inside its buffer. */
static void put_facts(const ir_kernel *k, base_text *out) {
    const ir_unit *u = k->unit;
    for (uint32_t i = 0; i < k->n_dims; i++) base_text_add(out, "%s >= %lld\n", u->dim.at[k->dims[i]].name, (long long)u->dim.at[k->dims[i]].least);
    for (uint32_t i = 0; i < u->fact.n; i++) {
        ir_expr_print(u, u->fact.at[i], out);
        base_text_add(out, "\n");
    }
}

/* What emitters read of a target. Its rates chose the schedule, which is spelled out. */
static const char *target_text(const ir_target *t, base_arena *arena) {
    return base_printf(arena, "%s %s %s %s %d %d", t->name, t->triple ? t->triple : "", t->cpu, t->features, t->lanes, t->regs);
}

static rt_digest key_of(const ir_schedule *s, const char *target, const char *identity, base_arena *arena) {
    base_text text;
    base_text_init(&text, arena);
    base_text_add(&text, "%s\n%s\n", identity, target);
    ir_kernel_print(s->kernel, &text);
    put_facts(s->kernel, &text);
    ir_schedule_spell(s, &text);
    return rt_digest_of(text.at, text.n);
}

/* ---- the cache of one compile */

typedef struct {
    rt_cache folder;             /* -1: compile everything */
    const char *about;           /* target and compiler, for people who list the cache */
    rt_digest *keys;           /* by kernel */
} cache;

static void close_folder(void *self) { rt_cache_close(self); }

/* Anything that is missing (an option, a folder that may be trusted, a compiler that is known) leaves the cache closed. */
static void open_cache(api_call *call, const attn_context *context, const ir_backend *backend, const ir_target *target, uint32_t n,
                       const ir_schedule *const *schedules, cache *c) {
    const char *why, *identity = context->cache_path ? backend->identity(backend, call->scratch) : NULL;
    c->folder.folder = -1;
    if (!identity) return;
    api_defer(call, close_folder, &c->folder, false);
    if (!rt_cache_open(&c->folder, context->cache_path, true, call->scratch, &why)) return;
    const char *text = target_text(target, call->scratch);
    c->about = base_printf(call->scratch, "%s %s, %s", target->name, target->cpu, identity);
    c->keys = BASE_ARRAY(call->scratch, n, rt_digest);
    for (uint32_t k = 0; k < n; k++) c->keys[k] = key_of(schedules[k], text, identity, call->scratch);
}

/* Kernels that the cache does not have, in order. */
static uint32_t find_cached(const cache *c, uint32_t n, base_arena *arena, rt_image *images, uint32_t *missing) {
    uint32_t n_missing = 0;
    for (uint32_t k = 0; k < n; k++) {
        rt_cached found;
        if (c->folder.folder >= 0 && rt_cache_find(&c->folder, &c->keys[k], arena, &found)) images[k] = found.image;
        else missing[n_missing++] = k;
    }
    return n_missing;
}

/* A folder that takes no entry takes none of the others either: a full disk is not tried again and again. */
static void keep(api_call *call, const cache *c, const attn_context *context, const ir_schedule *const *schedules, const rt_image *images, uint32_t n,
                 const uint32_t *which) {
    bool fine = c->folder.folder >= 0 && n > 0;
    for (uint32_t k = 0; k < n && fine; k++) {
        const char *name = schedules[which[k]]->kernel->name;
        const rt_cached entry = {name ? name : "", c->about, images[which[k]]};
        fine = rt_cache_store(&c->folder, &c->keys[which[k]], &entry, call->scratch);
    }
    if (c->folder.folder >= 0 && n > 0) rt_cache_trim(&c->folder, context->cache_bytes > 0 ? context->cache_bytes : CACHE_BYTES, call->scratch);
}

/* ---- */

/* `many` kernels from `which` on, together. */
static bool compile(api_call *call, const attn_context *context, const ir_backend *backend, const ir_target *target, uint32_t many, const uint32_t *which,
                    const ir_schedule *const *schedules, base_arena *arena, rt_image *images) {
    const ir_schedule **wanted = BASE_ARRAY(call->scratch, many, const ir_schedule *);
    rt_image *made = BASE_ARRAY(call->scratch, many, rt_image);
    for (uint32_t k = 0; k < many; k++) wanted[k] = schedules[which[k]];
    if (!backend->compile(backend, target, many, wanted, &context->executor, arena, made, call->diags)) return false;
    for (uint32_t k = 0; k < many; k++) images[which[k]] = made[k];
    return true;
}

bool drv_images(api_call *call, const attn_context *context, const ir_backend *backend, const ir_target *target, uint32_t n,
                const ir_schedule *const *schedules, base_arena *arena, rt_image *images) {
    cache *c = BASE_NEW(call->scratch, cache);
    uint32_t *missing = BASE_ARRAY(call->scratch, n, uint32_t);
    open_cache(call, context, backend, target, n, schedules, c);
    const uint32_t n_missing = find_cached(c, n, arena, images, missing);
    /* Images that share their bytes could not be kept one by one: then each is compiled by itself. */
    const uint32_t many = backend->apart || c->folder.folder < 0 ? n_missing : 1;
    for (uint32_t k = 0; k < n_missing; k += many)
        if (!compile(call, context, backend, target, many, missing + k, schedules, arena, images)) return false;
    keep(call, c, context, schedules, images, n_missing, missing);
    return true;
}

/* ---- what hosts ask of the cache */

typedef struct {                 /* arguments of the functions below, for their bodies under api_run */
    attn_context *context;
    attn_cache_visitor *visit;
    void *self;
    int64_t n, bytes;
    rt_cache folder;
} asking;

/* false: nothing to look at. Then either it is said why, or there is no such folder, which is an empty cache. */
static bool open_asked(api_call *call, asking *a, attn_status *status) {
    const char *why;
    *status = ATTN_OK;
    if (!a->context->cache_path) *status = api_argument(call, "the context has no folder for compiled code");
    if (!a->context->cache_path) return false;
    a->folder.folder = -1;
    api_defer(call, close_folder, &a->folder, false);
    if (rt_cache_open(&a->folder, a->context->cache_path, false, call->scratch, &why)) return true;
    if (a->folder.missing) return false;
    base_report(call->diags, BASE_MSG_CACHE_REFUSED, (base_span){0, 0, 0}, a->context->cache_path, why);
    *status = api_status(call);
    return false;
}

static attn_status list(api_call *call, void *args) {
    asking *a = args;
    attn_status status;
    size_t n;
    if (!open_asked(call, a, &status)) return status;
    const rt_cache_entry *entries = rt_cache_list(&a->folder, call->scratch, &n);
    for (size_t k = 0; k < n; k++) {
        const rt_cache_entry *e = &entries[k];
        const attn_cache_entry seen = {sizeof seen, e->name, e->damage ? NULL : e->code.kernel, e->damage ? NULL : e->code.target, e->bytes, e->used, e->damage};
        a->visit(a->self, &seen);
    }
    return ATTN_OK;
}

attn_status attn_cache_list(attn_context *context, attn_cache_visitor *visit, void *self, attn_diagnostics *diagnostics) {
    asking a = {.context = context, .visit = visit, .self = self};
    if (!context || !visit) return ATTN_ERROR_ARGUMENT;
    return api_run(&context->allocator, diagnostics, list, &a);
}

static attn_status clear(api_call *call, void *args) {
    asking *a = args;
    attn_status status;
    if (open_asked(call, a, &status)) a->n = rt_cache_clear(&a->folder, call->scratch, &a->bytes);
    return status;
}

attn_status attn_cache_clear(attn_context *context, int64_t *n_removed, int64_t *bytes, attn_diagnostics *diagnostics) {
    asking a = {.context = context};
    if (!context) return ATTN_ERROR_ARGUMENT;
    const attn_status status = api_run(&context->allocator, diagnostics, clear, &a);
    if (n_removed) *n_removed = a.n;
    if (bytes) *bytes = a.bytes;
    return status;
}

/* How public functions start and end: the only setjmp of the driver. */
#include <stdlib.h>
#include <string.h>
#include "api.h"

/* The last registered first: what was acquired later may need what was acquired before. */
static void clean_up(api_call *call, bool failed) {
    for (api_cleanup *c = call->cleanups; c; c = c->next)
        if (failed || !c->on_failure_only) c->run(c->self);
    call->cleanups = NULL;
}

/* Scratch goes last, since the list of clean-ups lies in it. */
static void finish(api_call *call, bool failed) {
    clean_up(call, failed);
    /* An object belongs to its caller if the call has succeeded; NULL is no arena. */
    if (failed) base_arena_destroy(call->keep);
    base_arena_destroy(call->scratch);
}

/* alloc without free, or the reverse, would mix the host's memory with malloc's. Both missing means malloc. */
bool api_allocator(const attn_allocator *from, base_allocator *out) {
    *out = (base_allocator){0};
    if (from) *out = (base_allocator){from->alloc, from->free, from->self};
    return !out->alloc == !out->free;
}

/* The outcome stands before anything is said about it: without memory for messages "out of memory" takes their place, and nothing else changes. */
static void tell(api_call *call) {
    if (setjmp(call->on_failure)) api_add_no_memory(call->out);
    else api_transfer(call->out, call->diags, &call->on_failure);
}

/* Between the recovery point and the end nothing is kept in local variables: what must survive the jump is in `call`. */
static attn_status guarded(api_call *call, api_body *body, void *args) {
    /* A second return means that memory ran out somewhere below; `body` and everything that it called is gone, its clean-ups are not. */
    if (setjmp(call->on_failure)) {
        api_add_no_memory(call->out);
        return ATTN_ERROR_MEMORY;
    }
    call->scratch = base_arena_create(&call->allocator, &call->on_failure);
    /* Even the first failure takes the one way out, so that there is only one. */
    if (!call->scratch) longjmp(call->on_failure, 1);
    call->diags = base_diags_create(call->scratch);
    attn_status status = body(call, args);
    tell(call);
    return status;
}

/* Every status but OK is a failure: what was registered on_failure_only runs, and `keep` goes. */
attn_status api_run(const base_allocator *allocator, attn_diagnostics *out, api_body *body, void *args) {
    api_call call = {.allocator = base_allocator_or_malloc(allocator), .out = out};
    attn_status status = guarded(&call, body, args);
    finish(&call, status != ATTN_OK);
    return status;
}

/* One at a time: who makes several objects in a call takes each out of `keep` before the next (make_output of model_run.c). */
base_arena *api_keep(api_call *call) {
    call->keep = base_arena_create(&call->allocator, &call->on_failure);
    if (!call->keep) longjmp(call->on_failure, 1);
    return call->keep;
}

/* The arena keeps pointing at this call after its end: whoever uses it next must borrow it again first. */
void api_borrow(api_call *call, base_arena *arena) { base_arena_recover(arena, &call->on_failure); }

/* The entry lies in scratch: registering may jump, so it comes before acquiring. */
void api_defer(api_call *call, void (*run)(void *self), void *self, bool on_failure_only) {
    api_cleanup *c = BASE_NEW(call->scratch, api_cleanup);
    *c = (api_cleanup){run, self, on_failure_only, call->cleanups};
    call->cleanups = c;
}

static void unlock(void *self) { pthread_mutex_unlock(self); }

/* Noted first: noting may find no memory itself, and then nothing is locked yet. */
void api_lock(api_call *call, pthread_mutex_t *lock) {
    api_defer(call, unlock, lock, false);
    pthread_mutex_lock(lock);
}

/* Several errors may be of several classes; the first is the one that the others may follow from. */
attn_status api_status(const api_call *call) {
    static const attn_status by_class[] = {
        [BASE_CLASS_PROGRAM] = ATTN_ERROR_PROGRAM, [BASE_CLASS_DATA] = ATTN_ERROR_DATA,         [BASE_CLASS_ENVIRONMENT] = ATTN_ERROR_ENVIRONMENT,
        [BASE_CLASS_CALLER] = ATTN_ERROR_ARGUMENT, [BASE_CLASS_INTERNAL] = ATTN_ERROR_INTERNAL,
    };
    for (const base_diag *d = call->diags->first; d; d = d->next)
        if (d->severity == BASE_ERROR) return by_class[base_messages[d->message].class_];
    return ATTN_ERROR_INTERNAL;
}

/* `what` is a sentence of ours, in English, that names the field or the rule. */
attn_status api_argument(api_call *call, const char *what) {
    base_report(call->diags, BASE_MSG_ARGUMENT, (base_span){0, 0, 0}, what);
    return ATTN_ERROR_ARGUMENT;
}

/* Members that this library does not know are left out: they mean its default, since zero always does. */
bool api_options(void *to, size_t bytes, size_t first, const void *from) {
    size_t given;
    memcpy(&given, from, sizeof given);
    if (given < first) return false;
    memcpy(to, from, given < bytes ? given : bytes);
    return true;
}

/* struct_size stays the caller's. */
bool api_fill(void *to, const void *from, size_t bytes, size_t first) {
    size_t room;
    memcpy(&room, to, sizeof room);
    if (room < first) return false;
    memcpy(to, from, room < bytes ? room : bytes);
    memcpy(to, &room, sizeof room);
    return true;
}

_Noreturn void api_no_memory(api_call *call) { longjmp(call->on_failure, 1); }

/* Who computes: the interface between a running graph and the threads that carry it out.
 *
 * A run of a graph is one call. It hands out one job after another, each with many items that do not depend on each other. An executor
 * carries out a job: it calls the job's function on ranges that together cover 0 .. items, each item exactly once, in any
 * order, on any threads, several at a time. Compiling hands out its kernels in the same way, as a job of no call. Results are bit for bit
 * the same whoever computes and in whatever order.
 *
 * The library's own executor is the pool of a context (attn_context_executor). A host that has threads already brings an executor of its
 * own, and several contexts and several shared objects that `attnc build` has made may share one: everything here is plain data, the
 * same in attn/attn.h and in the headers of shared objects, and needs no library.
 *
 * Structs begin with their size, so that later versions can append members: who reads a member that was appended looks at the size first.
 */
#ifndef ATTN_EXECUTOR_H
#define ATTN_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What all jobs of one call share. It lives until the call returns. */
typedef struct attn_call {
    size_t struct_size;
    double weight;          /* share of the threads while several calls want them, in proportion; 0: 1 */
    int64_t deadline_ns;    /* on CLOCK_MONOTONIC; 0 and INT64_MAX: none. From then on the rest of the items may be left out */
    uint64_t tenant;        /* the host's own number of whoever the call is for: calls of a tenant share one weight. 0: nobody's */
    const bool *cancel;     /* NULL: never. When it becomes true the rest of the items may be left out; read it with an atomic load */
} attn_call;

/* Dimensions and buffers of a job, the library's own. */
typedef struct attn_frame attn_frame;

/* Computes the items first <= k < last. scratch: scratch_bytes bytes, aligned to 64, that nobody else uses meanwhile; NULL if there are none. */
typedef void attn_job_fn(const attn_frame *frame, int64_t first, int64_t last, void *scratch);

typedef enum attn_order {
    ATTN_ORDER_LEVEL = 0,   /* items cost about the same, or less and less: begin with the first */
    ATTN_ORDER_RISING = 1   /* the cost rises with the item number, within each period: begin with the last */
} attn_order;

/* Lives until the executor's `run` returns. */
typedef struct attn_job {
    size_t struct_size;
    attn_job_fn *fn;
    const attn_frame *frame;
    int64_t items;
    int64_t cost_of_item;   /* estimated arithmetic operations, on average; 0: unknown */
    int64_t scratch_bytes;  /* that each concurrent call of `fn` needs for itself */
    int64_t period;         /* costs repeat after so many items, which divide `items`; 0: they do not */
    uint32_t order;         /* attn_order: a hint */
    const attn_call *call;  /* NULL: a job of no call, which has weight 1 and always runs to its end */
} attn_job;

/* `run` returns when all items are done: true; or false: they are not, because the call was cancelled or its deadline has passed, which
 * should be looked at between ranges, or because there was no memory for scratch. No item is being computed any more when it
 * returns. It may be called from several threads at a time and from inside a job. `fn` must run with the floating-point mode of the
 * thread that has called `run` (rounding, subnormal numbers).
 * `n_workers`: items that can be computed at a time, a hint; NULL: 1. */
typedef struct attn_executor {
    size_t struct_size;
    void *self;             /* must outlive everything that was made with it */
    bool (*run)(void *self, const attn_job *job);
    int (*n_workers)(void *self);
} attn_executor;

#ifdef __cplusplus
}
#endif
#endif

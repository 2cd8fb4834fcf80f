/* When a call has to end: a cancel flag that its host may set at any time, and a deadline on the clock that never goes back. */
#include <time.h>
#include "rt.h"

/* Only differences mean something, and attn_call.deadline_ns, which is on the same clock. */
int64_t rt_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The flag is an ordinary bool of the host's, so it is read as one that another thread may be writing. */
bool rt_cancelled(const attn_call *call) { return call && call->cancel && __atomic_load_n(call->cancel, __ATOMIC_RELAXED); }

bool rt_has_deadline(const attn_call *call) { return call && call->deadline_ns && call->deadline_ns != INT64_MAX; }

/* The clock is not asked where nobody waits. */
bool rt_late(const attn_call *call) { return rt_has_deadline(call) && rt_now_ns() >= call->deadline_ns; }

bool rt_over(const attn_call *call) { return rt_cancelled(call) || rt_late(call); }

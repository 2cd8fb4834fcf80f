/* Counters of an entry: how often it ran and how long, against what was predicted.
 *
 * Every thread adds to a line of its own, so that counting costs no traffic between processors; two threads that fall on the same line only
 * share it. A sum over all lines is read while others count: each number is right by itself.
 */
#include <pthread.h>
#include <stdatomic.h>
#include "rt.h"

enum { LINES = 64, LINE_BYTES = 64 };

/* One cache line. Times in nanoseconds: 2^63 of them are centuries. */
typedef struct { _Atomic int64_t calls, ended_early, items, busy_ns, elapsed_ns, predicted_ns; char rest[LINE_BYTES - 6 * sizeof(int64_t)]; } line;
struct rt_tally { line *lines; };

rt_tally *rt_tally_create(base_arena *arena) {
    rt_tally *t = BASE_NEW(arena, rt_tally);
    char *raw = base_alloc(arena, sizeof(line) * (LINES + 1));
    t->lines = (line *)(raw + (LINE_BYTES - (uintptr_t)raw % LINE_BYTES) % LINE_BYTES);
    return t;
}

/* Threads' handles are addresses of their stacks or near them, megabytes apart: the product spreads them over the upper bits. */
static line *own_line(rt_tally *t) {
    uint64_t thread = (uint64_t)(uintptr_t)pthread_self();
    return &t->lines[(thread * 0x9e3779b97f4a7c15u) >> 58];
}

static void add(_Atomic int64_t *to, int64_t n) { atomic_fetch_add_explicit(to, n, memory_order_relaxed); }

void rt_tally_items(rt_tally *t, int64_t items, int64_t busy_ns) {
    line *l = own_line(t);
    add(&l->items, items);
    add(&l->busy_ns, busy_ns);
}

void rt_tally_call(rt_tally *t, bool done, int64_t elapsed_ns, double predicted_s) {
    line *l = own_line(t);
    add(done ? &l->calls : &l->ended_early, 1);
    add(&l->elapsed_ns, elapsed_ns);
    add(&l->predicted_ns, predicted_s > 0 && predicted_s < 1e9 ? (int64_t)(1e9 * predicted_s) : 0);
}

static int64_t take(_Atomic int64_t *from, bool reset) {
    return reset ? atomic_exchange_explicit(from, 0, memory_order_relaxed) : atomic_load_explicit(from, memory_order_relaxed);
}

/* Whoever resets gets what nobody has got before: nothing is counted twice, and nothing lost. */
rt_counts rt_tally_take(rt_tally *t, bool reset) {
    rt_counts sum = {0};
    for (int k = 0; k < LINES; k++) {
        line *l = &t->lines[k];
        sum.calls += take(&l->calls, reset);
        sum.ended_early += take(&l->ended_early, reset);
        sum.items += take(&l->items, reset);
        sum.busy_s += 1e-9 * (double)take(&l->busy_ns, reset);
        sum.elapsed_s += 1e-9 * (double)take(&l->elapsed_ns, reset);
        sum.predicted_s += 1e-9 * (double)take(&l->predicted_ns, reset);
    }
    return sum;
}

/* The task pool: every item once and in which order, jobs inside jobs, several callers and their shares, cancelling, deadlines, no memory for
 * scratch, idleness, fork. */
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "rt.h"

enum { ITEMS = 10007 };

static void count(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    _Atomic int *seen = frame->buffers[0];
    for (int64_t k = first; k < last; k++) seen[k]++;
}

static rt_job job_of(rt_kernel_fn *fn, const rt_frame *frame, int64_t items) { return (rt_job){.struct_size = sizeof(rt_job), .fn = fn, .frame = frame, .items = items, .cost_of_item = 1000}; }

static void assert_each_once(const _Atomic int *seen, int n, int times) {
    for (int k = 0; k < n; k++) assert_int_equal(seen[k], times);
}

static void each_item_once(void **state) {
    (void)state;
    for (int threads = 1; threads < 6; threads++) {
        rt_pool *pool = rt_pool_create(NULL, threads);
        rt_executor e = rt_pool_executor(pool);
        assert_int_equal(e.n_workers(e.self), threads);
        static _Atomic int seen[ITEMS];
        memset((void *)seen, 0, sizeof seen);
        rt_frame frame = {NULL, (void *[]){(void *)seen}};
        for (int turn = 0; turn < 50; turn++) assert_true(e.run(e.self, &(rt_job){.struct_size = sizeof(rt_job), .fn = count, .frame = &frame, .items = ITEMS, .cost_of_item = 100}));
        assert_each_once(seen, ITEMS, 50);
        rt_job none = job_of(count, &frame, 0);
        assert_true(e.run(e.self, &none));
        rt_pool_destroy(pool);
    }
}

static void fill_scratch(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    int64_t *mine = scratch, *sums = frame->buffers[0];
    assert_int_equal((uintptr_t)scratch % 64, 0);
    for (int64_t k = first; k < last; k++) {
        for (int i = 0; i < 100; i++) mine[i] = k;
        sums[k] = 0;
        for (int i = 0; i < 100; i++) sums[k] += mine[i];
    }
}

static void scratch_is_private(void **state) {
    (void)state;
    rt_pool *pool = rt_pool_create(NULL, 4);
    rt_executor e = rt_pool_executor(pool);
    int64_t *sums = calloc(ITEMS, sizeof *sums);
    rt_frame frame = {NULL, (void *[]){sums}};
    rt_job job = job_of(fill_scratch, &frame, ITEMS);
    job.scratch_bytes = 100 * sizeof(int64_t);
    assert_true(e.run(e.self, &job));
    for (int64_t k = 0; k < ITEMS; k++) assert_int_equal(sums[k], 100 * k);
    free(sums);
    rt_pool_destroy(pool);
}

static void nest(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    rt_executor *e = frame->buffers[1];
    for (int64_t k = first; k < last; k++) {
        rt_job inner = job_of(count, frame, 200);
        assert_true(e->run(e->self, &inner));
    }
}

static void jobs_run_jobs(void **state) {
    (void)state;
    rt_pool *pool = rt_pool_create(NULL, 3);
    rt_executor e = rt_pool_executor(pool);
    static _Atomic int seen[200];
    memset((void *)seen, 0, sizeof seen);
    rt_frame frame = {NULL, (void *[]){(void *)seen, &e}};
    rt_job outer = job_of(nest, &frame, 64);
    assert_true(e.run(e.self, &outer));
    assert_each_once(seen, 200, 64);
    rt_pool_destroy(pool);
}

/* ---- order */

static void each_item_once_in_any_order(void **state) {
    (void)state;
    static const int64_t items[] = {1, 2, 12, 96, 1000, 5040}, periods[] = {0, 1, 2, 3, 7, 12, 48, 1000, 5040, -4};
    rt_pool *pool = rt_pool_create(NULL, 3);
    rt_executor e = rt_pool_executor(pool);
    for (size_t n = 0; n < sizeof items / sizeof *items; n++)
        for (size_t p = 0; p < 2 * sizeof periods / sizeof *periods; p++) {
            static _Atomic int seen[5040];
            memset((void *)seen, 0, sizeof seen);
            rt_frame frame = {NULL, (void *[]){(void *)seen}};
            rt_job job = job_of(count, &frame, items[n]);
            job.cost_of_item = 0, job.period = periods[p / 2], job.order = p % 2;
            assert_true(e.run(e.self, &job));
            assert_each_once(seen, (int)items[n], 1);
            assert_each_once(seen + items[n], (int)(5040 - items[n]), 0);
        }
    rt_pool_destroy(pool);
}

static void note(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    int64_t *list = frame->buffers[0];
    (void)scratch;
    for (int64_t k = first; k < last; k++) list[1 + list[0]++] = k;
}

/* One thread that looks for a cancel between chunks shows the order in which they are claimed. */
static void costly_items_first(void **state) {
    (void)state;
    static const struct { int64_t period; uint32_t order; int64_t wanted[7]; } cases[] = {
        {0, ATTN_ORDER_LEVEL, {6, 0, 1, 2, 3, 4, 5}},  {0, ATTN_ORDER_RISING, {6, 5, 4, 3, 2, 1, 0}}, {3, ATTN_ORDER_LEVEL, {6, 0, 3, 1, 4, 2, 5}},
        {3, ATTN_ORDER_RISING, {6, 2, 5, 1, 4, 0, 3}}, {4, ATTN_ORDER_RISING, {6, 5, 4, 3, 2, 1, 0}},
    };
    rt_pool *pool = rt_pool_create(NULL, 1);
    rt_executor e = rt_pool_executor(pool);
    bool cancel = false;
    const attn_call call = {sizeof call, 1, INT64_MAX, 0, &cancel};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t list[7] = {0};
        rt_frame frame = {NULL, (void *[]){list}};
        rt_job job = job_of(note, &frame, 6);
        job.call = &call, job.period = cases[k].period, job.order = cases[k].order;
        assert_true(e.run(e.self, &job));
        assert_memory_equal(list, cases[k].wanted, sizeof list);
    }
    rt_pool_destroy(pool);
}

typedef struct { rt_executor e; _Atomic int *seen; } caller;

static void *call_often(void *self) {
    caller *c = self;
    rt_frame frame = {NULL, (void *[]){(void *)c->seen}};
    for (int turn = 0; turn < 100; turn++) {
        rt_job job = job_of(count, &frame, 500);
        assert_true(c->e.run(c->e.self, &job));
    }
    return NULL;
}

static void several_callers(void **state) {
    (void)state;
    rt_pool *pool = rt_pool_create(NULL, 3);
    static _Atomic int seen[500];
    memset((void *)seen, 0, sizeof seen);
    caller c = {rt_pool_executor(pool), seen};
    pthread_t threads[4];
    for (int k = 0; k < 4; k++) pthread_create(&threads[k], NULL, call_often, &c);
    for (int k = 0; k < 4; k++) pthread_join(threads[k], NULL);
    assert_each_once(seen, 500, 400);
    rt_pool_destroy(pool);
}

/* ---- shares */

/* Jobs whose items sleep, so that who computes is decided by the pool and not by the processors. Each notes how many threads are in it while it
 * is watched, and goes on until it is cancelled. */
typedef struct { rt_executor e; double weight; uint64_t tenant; _Atomic int inside, most, done; _Atomic bool watched; bool cancel, ran_to_end; } sleeper;

static void doze(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    sleeper *s = frame->buffers[0];
    (void)scratch;
    int inside = ++s->inside;
    if (s->watched)
        for (int most = s->most; inside > most && !atomic_compare_exchange_weak(&s->most, &most, inside);) {}
    for (int64_t k = first; k < last; k++) usleep(1000);
    s->done += (int)(last - first);
    s->inside--;
}

static void *sleep_long(void *self) {
    sleeper *s = self;
    rt_frame frame = {NULL, (void *[]){s}};
    const attn_call call = {sizeof call, s->weight, INT64_MAX, s->tenant, &s->cancel};
    rt_job job = job_of(doze, &frame, 100000);
    /* Chunks of one item, so that workers look often. */
    job.call = &call, job.period = 1;
    s->ran_to_end = s->e.run(s->e.self, &job);
    return NULL;
}

/* Starts jobs one after the other, each when the one before is under way, and watches them when all have found their threads. */
static void sleep_together(sleeper *jobs, int n) {
    rt_pool *pool = rt_pool_create(NULL, 4);
    pthread_t threads[4];
    for (int k = 0; k < n; k++) {
        jobs[k].e = rt_pool_executor(pool);
        assert_int_equal(pthread_create(&threads[k], NULL, sleep_long, &jobs[k]), 0);
        while (jobs[k].done < 5) usleep(500);
    }
    usleep(150000);
    for (int k = 0; k < n; k++) jobs[k].watched = true;
    usleep(50000);
    for (int k = 0; k < n; k++) jobs[k].watched = false;
    usleep(10000);
    for (int k = 0; k < n; k++) __atomic_store_n(&jobs[k].cancel, true, __ATOMIC_RELAXED);
    for (int k = 0; k < n; k++) pthread_join(threads[k], NULL);
    for (int k = 0; k < n; k++) assert_false(jobs[k].ran_to_end);
    rt_pool_destroy(pool);
}

/* Two callers and two workers: both workers leave the first job for the second, which weighs ten times as much, and no more than four compute. */
static void workers_follow_weights(void **state) {
    (void)state;
    sleeper jobs[2] = {{.weight = 1}, {.weight = 10}};
    sleep_together(jobs, 2);
    assert_int_equal(jobs[0].most, 1);
    assert_int_equal(jobs[1].most, 3);
}

/* Three callers and one worker. Jobs of one tenant count together, so the worker helps the other one, though it is the oldest. */
static void tenants_share_once(void **state) {
    (void)state;
    sleeper jobs[3] = {{.weight = 1, .tenant = 8}, {.weight = 1, .tenant = 7}, {.weight = 1, .tenant = 7}};
    sleep_together(jobs, 3);
    assert_int_equal(jobs[0].most, 2);
    assert_int_equal(jobs[1].most, 1);
    assert_int_equal(jobs[2].most, 1);
}

static double cpu_seconds(void) {
    struct rusage u;
    assert_int_equal(getrusage(RUSAGE_SELF, &u), 0);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void idle_threads_take_no_time(void **state) {
    (void)state;
    rt_pool *pool = rt_pool_create(NULL, 4);
    rt_executor e = rt_pool_executor(pool);
    static _Atomic int seen[1000];
    rt_frame frame = {NULL, (void *[]){(void *)seen}};
    rt_job job = job_of(count, &frame, 1000);
    for (int turn = 0; turn < 100; turn++) assert_true(e.run(e.self, &job));
    usleep(20000);
    double before = cpu_seconds();
    usleep(300000);
    assert_true(cpu_seconds() - before < 0.003);
    rt_pool_destroy(pool);
}

static void cancel_now(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    (void)first, (void)last, (void)scratch;
    __atomic_store_n((bool *)frame->buffers[0], true, __ATOMIC_RELAXED);
    ++*(_Atomic int *)frame->buffers[1];
}

static void cancel_leaves_items_out(void **state) {
    (void)state;
    for (int threads = 1; threads < 4; threads++) {
        rt_pool *pool = rt_pool_create(NULL, threads);
        rt_executor e = rt_pool_executor(pool);
        bool cancel = false;
        _Atomic int calls = 0;
        rt_frame frame = {NULL, (void *[]){&cancel, (void *)&calls}};
        const attn_call call = {sizeof call, 1, INT64_MAX, 0, &cancel};
        rt_job job = job_of(cancel_now, &frame, 1 << 20);
        job.call = &call;
        assert_false(e.run(e.self, &job));
        assert_true(calls <= threads);
        rt_pool_destroy(pool);
    }
}

static void late_items_are_left_out(void **state) {
    (void)state;
    for (int threads = 1; threads < 4; threads++) {
        rt_pool *pool = rt_pool_create(NULL, threads);
        rt_executor e = rt_pool_executor(pool);
        sleeper s = {.weight = 1};
        rt_frame frame = {NULL, (void *[]){&s}};
        const attn_call call = {sizeof call, 1, rt_now_ns() + 100000000, 0, NULL};
        rt_job job = job_of(doze, &frame, 100000);
        job.call = &call, job.period = 1;
        assert_false(e.run(e.self, &job));
        assert_true(s.done > 0 && s.done < 100000 && s.inside == 0);
        assert_true(rt_now_ns() >= call.deadline_ns);
        rt_pool_destroy(pool);
    }
}

/* An allocator that refuses what is large. */
static void *small_only(void *self, size_t bytes) {
    (void)self;
    return bytes > 1 << 20 ? NULL : malloc(bytes);
}

static void release(void *self, void *at, size_t bytes) {
    (void)self, (void)bytes;
    free(at);
}

static void no_scratch_is_false(void **state) {
    (void)state;
    base_allocator a = {small_only, release, NULL};
    for (int threads = 1; threads < 3; threads++) {
        rt_pool *pool = rt_pool_create(&a, threads);
        rt_executor e = rt_pool_executor(pool);
        static _Atomic int seen[10];
        rt_frame frame = {NULL, (void *[]){(void *)seen}};
        rt_job job = job_of(count, &frame, 10);
        job.scratch_bytes = 1 << 21;
        assert_false(e.run(e.self, &job));
        rt_pool_destroy(pool);
    }
}

static void child_computes_alone(void **state) {
    (void)state;
    rt_pool *pool = rt_pool_create(NULL, 3);
    rt_executor e = rt_pool_executor(pool);
    static _Atomic int seen[1000];
    memset((void *)seen, 0, sizeof seen);
    rt_frame frame = {NULL, (void *[]){(void *)seen}};
    rt_job job = job_of(count, &frame, 1000);
    assert_true(e.run(e.self, &job));
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        bool fine = e.run(e.self, &job) && seen[999] == 2;
        rt_pool_destroy(pool);
        _exit(fine ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(e.run(e.self, &job));
    assert_each_once(seen, 1000, 2);
    rt_pool_destroy(pool);
}

static void thirds(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    float *out = frame->buffers[0];
    volatile float one = 1, three = 3;
    for (int64_t k = first; k < last; k++) out[k] = one / three;
}

/* Threads round as their caller does, whatever they did when they started. */
static void rounding_is_the_callers(void **state) {
    (void)state;
    rt_pool *pool = rt_pool_create(NULL, 4);
    rt_executor e = rt_pool_executor(pool);
    static float out[ITEMS];
    rt_frame frame = {NULL, (void *[]){out}};
    rt_job job = job_of(thirds, &frame, ITEMS);
    assert_true(e.run(e.self, &job));
    float nearest = out[0];
    for (int turn = 0; turn < 20; turn++) {
        fesetround(turn % 2 ? FE_TONEAREST : FE_DOWNWARD);
        bool fine = e.run(e.self, &job);
        fesetround(FE_TONEAREST);
        assert_true(fine);
        for (int k = 0; k < ITEMS; k++) assert_true(turn % 2 ? out[k] == nearest : out[k] < nearest);
    }
    rt_pool_destroy(pool);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static void no_threads_is_no_failure(void **state) {
    (void)state;
    print_message("skipped: sanitizers need more address space than this test leaves\n");
    skip();
}
#else
static int compute_without_threads(void) {
    struct rlimit limit = {64 << 20, 64 << 20};          /* of address space: no stack fits */
    static _Atomic int seen[ITEMS];
    rt_pool *pool = rt_pool_create(NULL, 64);
    rt_executor e = rt_pool_executor(pool);
    rt_frame frame = {NULL, (void *[]){(void *)seen}};
    rt_job job = job_of(count, &frame, ITEMS);
    if (setrlimit(RLIMIT_AS, &limit) || !e.run(e.self, &job) || !e.run(e.self, &job)) return 1;
    for (int k = 0; k < ITEMS; k++)
        if (seen[k] != 2) return 2;
    rt_pool_destroy(pool);
    return 0;
}

static void no_threads_is_no_failure(void **state) {
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(compute_without_threads());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_item_once),     cmocka_unit_test(each_item_once_in_any_order), cmocka_unit_test(costly_items_first),
        cmocka_unit_test(workers_follow_weights), cmocka_unit_test(tenants_share_once), cmocka_unit_test(idle_threads_take_no_time),
        cmocka_unit_test(late_items_are_left_out), cmocka_unit_test(scratch_is_private), cmocka_unit_test(jobs_run_jobs),
        cmocka_unit_test(several_callers),    cmocka_unit_test(cancel_leaves_items_out), cmocka_unit_test(no_scratch_is_false),
        cmocka_unit_test(child_computes_alone), cmocka_unit_test(rounding_is_the_callers), cmocka_unit_test(no_threads_is_no_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

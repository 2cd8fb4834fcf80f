/* The task pool: threads of a context that share the items of jobs.
 *
 * A job's items are claimed from one atomic counter in chunks of 1/8 of a thread's share: no lock and no allocation on the item path. The
 * caller takes part and leaves when all is done, so a job may run jobs: the inner caller computes its own items if nobody else is free.
 * Threads without work spin for a moment and then park. Threads start with the first job that is worth them. After fork the child has
 * no threads and shares no locks: it computes by itself.
 *
 * Who computes an item never changes its result; splits are in the items, which depend on shapes alone.
 */
#define _GNU_SOURCE                  /* CPU_COUNT */
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include "rt.h"

enum {
    CHUNKS_PER_SHARE = 8,
    SPINS = 2000,                    /* looks at the counter before a thread parks: some ten microseconds */
    WORTH = 30000,                   /* operations below which waking another thread costs more than it brings */
    ALIGNMENT = 64,
    MAX_THREADS = 1024
};

typedef struct task task;
struct task {                        /* a job that runs; on its caller's stack */
    const rt_job *job;
    const fenv_t *mode;              /* the caller's rounding and treatment of subnormal numbers: it may differ from that of the threads */
    int64_t chunk;
    _Atomic int64_t next;            /* first item that nobody has claimed */
    _Atomic int inside;              /* workers in it, the caller not counted; changed under the lock */
    bool starved;                    /* a worker found no scratch for it: the others need not try. Under the lock */
    task *link;
};

typedef struct block block;
struct block { block *next; size_t bytes; void *raw; };                /* scratch; follows its header at the next multiple of 64 */

/* What the lock guards: tasks and their links, n_started, n_parked, stop, no_more, blocks. Items are claimed without it. */
struct rt_pool {
    base_allocator allocator;
    int n_threads, n_started;
    pid_t pid;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    task *tasks;                     /* newest first: inner jobs before those that wait for them */
    _Atomic uint32_t epoch;          /* counts jobs; idle threads watch it */
    int n_parked;
    bool stop, no_more;              /* no_more: the system refused a thread; it is not asked again */
    pthread_t *threads;
    block *blocks;                   /* scratch that nobody uses */
};

/* ---- memory */

/* `raw` is where the scratch itself begins: the allocator promises less alignment than vectors want, so header and room
 * for moving up are asked for too. */
static block *block_create(const base_allocator *a, size_t bytes) {
    size_t all;
    if (__builtin_add_overflow(bytes, sizeof(block) + ALIGNMENT, &all)) return NULL;
    block *b = a->alloc(a->self, all);
    if (!b) return NULL;
    uintptr_t at = ((uintptr_t)b + sizeof *b + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *b = (block){NULL, bytes, (char *)b + (at - (uintptr_t)b)};
    return b;
}

static void block_destroy(const base_allocator *a, block *b) {
    if (b) a->free(a->self, b, b->bytes + sizeof *b + ALIGNMENT);
}

/* A block of at least that size; too small ones that lie about are given back. Under the lock. */
static block *block_take(rt_pool *pool, size_t bytes) {
    while (pool->blocks) {
        block *b = pool->blocks;
        pool->blocks = b->next;
        if (b->bytes >= bytes) return b;
        block_destroy(&pool->allocator, b);
    }
    return block_create(&pool->allocator, bytes);
}

/* Under the lock. Kept for the next job: the list holds as many as workers ever ran at a time. */
static void block_put(rt_pool *pool, block *b) {
    if (!b) return;
    b->next = pool->blocks;
    pool->blocks = b;
}

/* ---- items */

/* Claims chunks until none is left. Claiming past the end is harmless: the counter only grows, by one chunk per worker. */
static void compute(task *t, void *scratch) {
    const rt_job *job = t->job;
    while (!rt_over(job->call)) {
        int64_t first = atomic_fetch_add_explicit(&t->next, t->chunk, memory_order_relaxed);
        if (first >= job->items) return;
        int64_t last = job->items - first < t->chunk ? job->items : first + t->chunk;
        job->fn(job->frame, first, last, scratch);
    }
}

/* Without the pool's lock and lists, so it also serves after fork. One chunk, unless a cancel must be seen on the way.
 * False: cancelled, or no memory for scratch. */
static bool compute_alone(const base_allocator *a, const rt_job *job) {
    block *b = job->scratch_bytes ? block_create(a, (size_t)job->scratch_bytes) : NULL;
    if (job->scratch_bytes && !b) return false;
    task t = {.job = job, .chunk = job->call ? 1 + job->items / 64 : job->items};
    compute(&t, b ? b->raw : NULL);
    block_destroy(a, b);
    return !rt_over(job->call);
}

/* ---- workers */

/* Under the lock: a task that it returns stays until the lock is left, since its caller retracts it under the lock. */
static task *find_task(const rt_pool *pool) {
    for (task *t = pool->tasks; t; t = t->link)
        if (!t->starved && atomic_load_explicit(&t->next, memory_order_relaxed) < t->job->items) return t;
    return NULL;
}

/* Called and left with the lock held. */
static void take_part(rt_pool *pool, task *t) {
    block *b = t->job->scratch_bytes ? block_take(pool, (size_t)t->job->scratch_bytes) : NULL;
    if (t->job->scratch_bytes && !b) {
        t->starved = true;
        return;
    }
    /* From here on the caller waits for this worker before its stack, where the task lies, goes away. */
    t->inside++;
    pthread_mutex_unlock(&pool->lock);
    /* Numbers must come out as if the caller had computed them. */
    fesetenv(t->mode);
    compute(t, b ? b->raw : NULL);
    pthread_mutex_lock(&pool->lock);
    block_put(pool, b);
    if (--t->inside == 0) pthread_cond_broadcast(&pool->done);
}

/* A hint to the processor while spinning, where there is one. */
static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Called and left with the lock held; returns when there may be work. */
static void wait_for_work(rt_pool *pool) {
    uint32_t seen = atomic_load(&pool->epoch);
    pthread_mutex_unlock(&pool->lock);
    for (int k = 0; k < SPINS && atomic_load_explicit(&pool->epoch, memory_order_relaxed) == seen; k++) pause_briefly();
    pthread_mutex_lock(&pool->lock);
    /* A job that came while this thread did not hold the lock has moved the epoch, so no wake-up is missed before
     * parking. */
    if (pool->stop || atomic_load(&pool->epoch) != seen) return;
    pool->n_parked++;
    pthread_cond_wait(&pool->work, &pool->lock);
    pool->n_parked--;
}

static void *worker(void *self) {
    rt_pool *pool = self;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stop) {
        task *t = find_task(pool);
        if (t) take_part(pool, t);
        else wait_for_work(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Under the lock. Threads take no signals: those are for the host's, but for faults of their own. Fewer threads than wished is no failure. */
static void start_threads(rt_pool *pool) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t all, old;
    sigfillset(&all);
    for (size_t k = 0; k < sizeof faults / sizeof *faults; k++) sigdelset(&all, faults[k]);
    /* New threads inherit the mask of their creator, which gets its own back below. */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    /* One less than n_threads: the caller of a job is one of them. */
    while (pool->n_started < pool->n_threads - 1 && !pool->no_more) {
        pool->no_more = pthread_create(&pool->threads[pool->n_started], NULL, worker, pool) != 0;
        if (!pool->no_more) pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* ---- callers */

/* Under the lock. The task lies on the stack of its caller, who retracts it before it returns. */
static void publish(rt_pool *pool, task *t) {
    if (pool->n_started < pool->n_threads - 1 && !pool->no_more) start_threads(pool);
    t->link = pool->tasks;
    pool->tasks = t;
    atomic_fetch_add(&pool->epoch, 1);
    if (pool->n_parked) pthread_cond_broadcast(&pool->work);
}

/* Under the lock. The task is in the list; newer ones of inner or other jobs may stand before it. */
static void retract(rt_pool *pool, task *t) {
    task **at = &pool->tasks;
    while (*at != t) at = &(*at)->link;
    *at = t->link;
}

/* Under the lock, which waiting leaves. `done` is shared by all tasks, so the own count is looked at again. */
static void wait_for_others(rt_pool *pool, task *t) {
    while (t->inside) pthread_cond_wait(&pool->done, &pool->lock);
}

/* After fork the threads are the parent's and the lock may be held by one of them forever. A cost that is not known, or
 * too large to count, is worth it. */
static bool worth_sharing(const rt_pool *pool, const rt_job *job) {
    int64_t cost;
    if (pool->n_threads < 2 || job->items < 2 || pool->pid != getpid()) return false;
    return job->cost_of_item <= 0 || !base_mul(job->items, job->cost_of_item, &cost) || cost >= WORTH;
}

/* Returns when all items are done, or none is claimed any more after a cancel: true if all are done. */
static bool pool_run(void *self, const rt_job *job) {
    rt_pool *pool = self;
    if (job->items <= 0) return !rt_over(job->call);
    if (!worth_sharing(pool, job)) return compute_alone(&pool->allocator, job);
    int64_t chunk = job->items / pool->n_threads / CHUNKS_PER_SHARE;
    fenv_t mode;
    fegetenv(&mode);
    task t = {.job = job, .mode = &mode, .chunk = chunk > 0 ? chunk : 1};
    pthread_mutex_lock(&pool->lock);
    block *b = job->scratch_bytes ? block_take(pool, (size_t)job->scratch_bytes) : NULL;
    /* Without scratch for the caller itself nothing starts; workers without it just stay out. */
    bool fine = b || !job->scratch_bytes;
    if (fine) publish(pool, &t);
    pthread_mutex_unlock(&pool->lock);
    if (!fine) return false;
    compute(&t, b ? b->raw : NULL);
    /* Workers finish their last chunk at about the same time, so a short look saves going to sleep. */
    for (int k = 0; k < SPINS && atomic_load(&t.inside); k++) pause_briefly();
    pthread_mutex_lock(&pool->lock);
    retract(pool, &t);
    wait_for_others(pool, &t);
    block_put(pool, b);
    pthread_mutex_unlock(&pool->lock);
    return !rt_over(job->call);
}

static int pool_workers(void *self) { return ((const rt_pool *)self)->n_threads; }

/* ---- creation */

/* What this process may run on, which may be less than what the machine has. */
static int usable_cpus(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (int)n : 1;
}

/* No thread is started here: programs that never compute much never have any. */
rt_pool *rt_pool_create(const base_allocator *allocator, int n_threads) {
    base_allocator used = base_allocator_or_malloc(allocator);
    if (n_threads <= 0) n_threads = usable_cpus();
    if (n_threads > MAX_THREADS) n_threads = MAX_THREADS;
    rt_pool *pool = used.alloc(used.self, sizeof *pool);
    if (!pool) return NULL;
    *pool = (rt_pool){.allocator = used, .n_threads = n_threads, .pid = getpid()};
    pool->threads = used.alloc(used.self, (size_t)n_threads * sizeof *pool->threads);
    if (!pool->threads) {
        used.free(used.self, pool, sizeof *pool);
        return NULL;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    return pool;
}

static void stop_threads(rt_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    /* Threads that spin see the new epoch, those that are parked were woken above. */
    atomic_fetch_add(&pool->epoch, 1);
    for (int k = 0; k < pool->n_started; k++) pthread_join(pool->threads[k], NULL);
}

/* In a child after fork there is nobody to stop: joining would wait forever. */
void rt_pool_destroy(rt_pool *pool) {
    if (!pool) return;
    if (pool->pid == getpid()) stop_threads(pool);
    for (block *b = pool->blocks, *next; b; b = next) {
        next = b->next;
        block_destroy(&pool->allocator, b);
    }
    /* A copy, since the pool that holds it goes away. */
    base_allocator a = pool->allocator;
    a.free(a.self, pool->threads, (size_t)pool->n_threads * sizeof *pool->threads);
    a.free(a.self, pool, sizeof *pool);
}

rt_executor rt_pool_executor(rt_pool *pool) { return (rt_executor){sizeof(rt_executor), pool, pool_run, pool_workers}; }

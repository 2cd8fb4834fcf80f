/* The task pool: threads of a context that share the items of jobs.
 *
 * A job's items are cut into chunks of 1/8 of a thread's share, which are claimed from one atomic counter: no lock and no allocation on the item
 * path. Chunks that cost most are claimed first, so that what is left for the end is small. The caller takes part and leaves when all is done, so
 * a job may run jobs: the inner caller computes its own items if nobody else is free.
 * Several callers at once: no more threads compute than the pool has, callers counted, and those that are no callers join the job that has the fewest
 * for its weight. Whenever a job comes or goes they look again, between two chunks.
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
    CHUNKS_PER_SHARE = 8, PARTS = 4, /* and parts of a chunk, towards the end */
    SPIN_NS = 30000,                 /* before a thread parks: longer than what lies between two launches of a call */
    WORTH = 30000,                   /* operations below which waking another thread costs more than it brings */
    ALIGNMENT = 64,
    MAX_THREADS = 1024
};

/* Items in the order in which they are claimed: chunks of one period after the other stand at the same place of each period, and places come one
 * after the other, the last first if costs rise. The last quarter is cut finer: nobody waits long for whoever was held up, or got what is costly. */
typedef struct { int64_t period, n_periods, chunk, n_whole, part, n_places, n_chunks; bool rising; } order;

typedef struct task task;
struct task {                        /* a job that runs; on its caller's stack */
    const rt_job *job;
    order order;
    const fenv_t *mode;              /* the caller's rounding and treatment of subnormal numbers: it may differ from that of the threads */
    pthread_t owner;
    double weight;
    uint64_t tenant;
    int most;                        /* workers that are worth waking for it */
    _Atomic int64_t next;            /* first chunk that nobody has claimed */
    _Atomic int inside;              /* workers in it, the caller not counted; changed under the lock */
    bool starved;                    /* a worker found no scratch for it: the others need not try. Under the lock */
    task *link;
};

typedef struct block block;
struct block { block *next; size_t bytes; void *raw; };                /* scratch; follows its header at the next multiple of 64 */

/* What the lock guards: tasks and their links, n_started, n_computing, n_parked, stop, no_more, blocks. Chunks are claimed without it. */
struct rt_pool {
    base_allocator allocator;
    int n_threads, n_started;
    pid_t pid;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    task *tasks;                     /* newest first: inner jobs before those that wait for them */
    _Atomic uint32_t epoch;          /* counts jobs that came or went; all threads watch it */
    int n_computing;                 /* callers and workers; a caller inside of a job of this pool counts once */
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

static order order_of(const rt_job *job, int64_t shares) {
    int64_t period = job->period > 0 && job->items % job->period == 0 ? job->period : job->items;
    order o = {.period = period, .n_periods = job->items / period, .rising = job->order == ATTN_ORDER_RISING};
    o.chunk = job->items / shares;
    if (o.chunk > period) o.chunk = period;
    if (o.chunk < 1) o.chunk = 1;
    o.part = o.chunk >= PARTS ? o.chunk / PARTS : 1;
    o.n_whole = (shares > 1 ? period - period / 4 : period) / o.chunk;
    o.n_places = o.n_whole + (period - o.n_whole * o.chunk + o.part - 1) / o.part;
    o.n_chunks = o.n_places * o.n_periods;
    return o;
}

/* The items of chunk k. */
static void chunk_at(const order *o, int64_t k, int64_t *first, int64_t *last) {
    int64_t place = k / o->n_periods, start = k % o->n_periods * o->period;
    int64_t from = place < o->n_whole ? place * o->chunk : o->n_whole * o->chunk + (place - o->n_whole) * o->part;
    int64_t to = place == o->n_places - 1 ? o->period : place < o->n_whole ? from + o->chunk : from + o->part;
    *first = start + (o->rising ? o->period - to : from);
    *last = start + (o->rising ? o->period - from : to);
}

/* Claims chunks until none is left, the call is over, or `epoch` is no longer `seen`. Claiming past the end is harmless: the counter only grows, by
 * one chunk per worker and look. epoch NULL: a caller, who stays. */
static void compute(task *t, void *scratch, _Atomic uint32_t *epoch, uint32_t seen) {
    const rt_job *job = t->job;
    while (!rt_over(job->call)) {
        int64_t first, last, k = atomic_fetch_add_explicit(&t->next, 1, memory_order_relaxed);
        if (k >= t->order.n_chunks) return;
        chunk_at(&t->order, k, &first, &last);
        job->fn(job->frame, first, last, scratch);
        if (epoch && atomic_load_explicit(epoch, memory_order_relaxed) != seen) return;
    }
}

static bool all_claimed(const task *t) { return atomic_load_explicit(&t->next, memory_order_relaxed) >= t->order.n_chunks; }

/* Without the pool's lock and lists, so it also serves after fork. One chunk, unless the end of the call must be seen on the way.
 * False: the call is over, or no memory for scratch. */
static bool compute_alone(const base_allocator *a, const rt_job *job) {
    bool watched = job->call && (job->call->cancel || rt_has_deadline(job->call));
    block *b = job->scratch_bytes ? block_create(a, (size_t)job->scratch_bytes) : NULL;
    if (job->scratch_bytes && !b) return false;
    task t = {.job = job, .order = order_of(job, watched ? 8 * CHUNKS_PER_SHARE : 1)};
    compute(&t, b ? b->raw : NULL, NULL, 0);
    block_destroy(a, b);
    return all_claimed(&t);
}

/* ---- workers */

/* Threads for each unit of weight, of all jobs of the same tenant together. */
static double load(const rt_pool *pool, const task *t) {
    double threads = 1 + t->inside;
    for (const task *other = pool->tasks; other && t->tenant; other = other->link)
        if (other != t && other->tenant == t->tenant) threads += 1 + other->inside;
    return threads / t->weight;
}

/* Under the lock: a task that it returns stays until the lock is left, since its caller retracts it under the lock. Among equals the newest:
 * inner jobs before those that wait for them. */
static task *find_task(const rt_pool *pool) {
    task *best = NULL;
    double least = 0;
    if (pool->n_computing >= pool->n_threads) return NULL;
    for (task *t = pool->tasks; t; t = t->link) {
        if (t->starved || t->inside >= t->most || all_claimed(t)) continue;
        double l = load(pool, t);
        if (best && l >= least) continue;
        best = t;
        least = l;
    }
    return best;
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
    pool->n_computing++;
    uint32_t seen = atomic_load(&pool->epoch);
    pthread_mutex_unlock(&pool->lock);
    /* Numbers must come out as if the caller had computed them. */
    fesetenv(t->mode);
    compute(t, b ? b->raw : NULL, &pool->epoch, seen);
    pthread_mutex_lock(&pool->lock);
    block_put(pool, b);
    pool->n_computing--;
    if (--t->inside == 0) pthread_cond_broadcast(&pool->done);
}

/* A hint to the processor while spinning, where there is one. */
static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* Until the number is another one, or it was not worth waiting for longer. */
static void spin_while(_Atomic uint32_t *at, uint32_t seen) {
    for (int64_t end = rt_now_ns() + SPIN_NS; atomic_load_explicit(at, memory_order_relaxed) == seen && rt_now_ns() < end;) pause_briefly();
}

/* Called and left with the lock held; returns when there may be work. */
static void wait_for_work(rt_pool *pool) {
    uint32_t seen = atomic_load(&pool->epoch);
    pthread_mutex_unlock(&pool->lock);
    spin_while(&pool->epoch, seen);
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

/* Under the lock. As many as may be of use, not all that sleep: those that spin see the epoch. */
static void wake(rt_pool *pool, int wanted) {
    int room = pool->n_threads - pool->n_computing;
    atomic_fetch_add(&pool->epoch, 1);
    if (wanted > room) wanted = room;
    for (int k = 0; k < wanted && k < pool->n_parked; k++) pthread_cond_signal(&pool->work);
}

/* Under the lock. Whether the calling thread computes for this pool already: a worker of it, or a caller inside of its own job. */
static bool is_computing(const rt_pool *pool) {
    for (const task *t = pool->tasks; t; t = t->link)
        if (pthread_equal(t->owner, pthread_self())) return true;
    for (int k = 0; k < pool->n_started; k++)
        if (pthread_equal(pool->threads[k], pthread_self())) return true;
    return false;
}

/* Under the lock. The task lies on the stack of its caller, who retracts it before it returns. The answer goes to retract. */
static bool publish(rt_pool *pool, task *t) {
    bool counts = !is_computing(pool);
    if (pool->n_started < pool->n_threads - 1 && !pool->no_more) start_threads(pool);
    pool->n_computing += counts;
    t->link = pool->tasks;
    pool->tasks = t;
    wake(pool, t->most);
    return counts;
}

/* Under the lock. The task is in the list; newer ones of inner or other jobs may stand before it. Whoever waited for this caller's place gets it. */
static void retract(rt_pool *pool, task *t, bool counts) {
    task **at = &pool->tasks;
    while (*at != t) at = &(*at)->link;
    *at = t->link;
    pool->n_computing -= counts;
    if (pool->tasks) wake(pool, pool->n_threads);
}

/* Under the lock, which waiting leaves. `done` is shared by all tasks, so the own count is looked at again. */
static void wait_for_others(rt_pool *pool, task *t) {
    while (t->inside) pthread_cond_wait(&pool->done, &pool->lock);
}

/* How many workers beside the caller a job is worth. After fork the threads are the parent's and the lock may be held by one of them forever. A
 * cost that is not known, or too large to count, is worth all. */
static int worth(const rt_pool *pool, const rt_job *job) {
    int64_t cost, most = pool->n_threads - 1;
    if (most < 1 || job->items < 2 || pool->pid != getpid()) return 0;
    if (job->items - 1 < most) most = job->items - 1;
    if (job->cost_of_item > 0 && base_mul(job->items, job->cost_of_item, &cost) && cost / WORTH < most) most = cost / WORTH;
    return (int)most;
}

/* Returns when all items are done, or none is claimed any more after the end of the call: true if all are done. */
static bool pool_run(void *self, const rt_job *job) {
    rt_pool *pool = self;
    const attn_call *call = job->call;
    if (job->items <= 0) return true;
    int most = worth(pool, job);
    if (!most) return compute_alone(&pool->allocator, job);
    fenv_t mode;
    fegetenv(&mode);
    task t = {.job = job, .mode = &mode, .owner = pthread_self(), .weight = call && call->weight > 0 ? call->weight : 1, .most = most,
              .tenant = call ? call->tenant : 0, .order = order_of(job, (int64_t)(most + 1) * CHUNKS_PER_SHARE)};
    pthread_mutex_lock(&pool->lock);
    block *b = job->scratch_bytes ? block_take(pool, (size_t)job->scratch_bytes) : NULL;
    /* Without scratch for the caller itself nothing starts; workers without it just stay out. */
    bool fine = b || !job->scratch_bytes, counts = fine && publish(pool, &t);
    pthread_mutex_unlock(&pool->lock);
    if (!fine) return false;
    compute(&t, b ? b->raw : NULL, NULL, 0);
    /* Workers finish their last chunk at about the same time, so a short look saves going to sleep. */
    for (int64_t end = rt_now_ns() + SPIN_NS; atomic_load_explicit(&t.inside, memory_order_relaxed) && rt_now_ns() < end;) pause_briefly();
    pthread_mutex_lock(&pool->lock);
    retract(pool, &t, counts);
    wait_for_others(pool, &t);
    block_put(pool, b);
    pthread_mutex_unlock(&pool->lock);
    return all_claimed(&t);
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

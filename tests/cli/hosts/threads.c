/* One handle and several threads, two shared objects that share an executor of the host's: all get what one thread alone gets. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "a.h"
#include "layers.h"

enum { THREADS = 4, ROUNDS = 50, N = 96 };

static a *attention;
static layers *stack;
static float q[N * N], k[N * N], v[N * N], wanted[N * N];
static long jobs;

/* Items of a job one after the other, on the thread that asks. */
static bool run(void *self, const attn_job *job) {
    void *scratch = job->scratch_bytes ? aligned_alloc(64, (size_t)(job->scratch_bytes + 63) / 64 * 64) : NULL;
    (void)self;
    __atomic_fetch_add(&jobs, 1, __ATOMIC_RELAXED);
    if (job->scratch_bytes && !scratch) return false;
    job->fn(job->frame, 0, job->items, scratch);
    free(scratch);
    return true;
}

static int attend(float *o) {
    a_att_args args = A_ATT_ARGS_INIT;
    float l[N];
    args.S = args.D = args.T = N;
    args.q = q, args.k = k, args.v = v, args.o = o, args.l = l;
    return a_att(attention, &args, NULL);
}

static int scale(void) {
    static const float x[4] = {1, 2, 3, 4};
    float y[4];
    layers_layers_args args = LAYERS_LAYERS_ARGS_INIT;
    args.D = 4, args.x = x, args.y = y;
    return layers_layers(stack, &args, NULL) || y[0] != 6 || y[3] != 24;
}

static void *work(void *wrong) {
    float *o = malloc(sizeof wanted);
    for (int n = 0; n < ROUNDS; n++)
        if (!o || attend(o) || memcmp(o, wanted, sizeof wanted) || scale()) *(int *)wrong = 1;
    free(o);
    return NULL;
}

/* With the handles' own threads, then with an executor for both. */
static int round_of(const attn_executor *executor) {
    pthread_t threads[THREADS];
    int wrong[THREADS] = {0}, sum = 0;
    a_options options = A_OPTIONS_INIT;
    layers_options others = LAYERS_OPTIONS_INIT;
    options.executor = others.executor = executor;
    options.threads = others.threads = 3;
    if (a_open(NULL, &options, &attention, NULL) || layers_open(NULL, &others, &stack, NULL)) return 1;
    if (!executor && attend(wanted)) return 1;
    for (int t = 0; t < THREADS; t++) pthread_create(&threads[t], NULL, work, &wrong[t]);
    for (int t = 0; t < THREADS; t++) pthread_join(threads[t], NULL);
    for (int t = 0; t < THREADS; t++) sum += wrong[t];
    a_close(attention);
    layers_close(stack);
    return sum;
}

int main(void) {
    const attn_executor executor = {sizeof executor, NULL, run, NULL};
    for (int n = 0; n < N * N; n++) q[n] = (float)(n % 7) - 3, k[n] = (float)(n % 5) - 2, v[n] = (float)(n % 11);
    int own = round_of(NULL), shared = round_of(&executor);
    printf("own threads: %s, a shared executor: %s, which ran %s\n", own ? "wrong" : "right", shared ? "wrong" : "right", jobs ? "jobs" : "nothing");
    return own || shared;
}

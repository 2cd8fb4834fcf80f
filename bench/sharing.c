/* sharing: two modules at a time on one pool of threads, against one with the work of both.
 *
 *   sharing [--rounds N]
 *
 * The work is causal attention, f32, H = 8, D = 64, S = T = 1024. Three ways to do two of them, in turns: "one", a single run with B = 2; "shared", two modules of
 * two contexts at the same time, whose jobs go to one pool (attn_context_executor); "apart", the same with a pool each. The median of the rounds counts. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "attn/attn.h"

enum { S = 1024, H = 8, D = 64, MOST_ROUNDS = 999 };
static const char source[] = "graph causal(q: f32[B,S,H,D], k: f32[B,T,H,D], v: f32[B,T,H,D]) -> (o: f32[B,S,H,D]) {\n"
                             "    o[b,i,h,e] = attend(j: q[b,i,h,d], k[b,j,h,d], v[b,j,h,e]) { mask = j <= i + (T - S) }\n"
                             "}\n";

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void must(attn_status status) {
    if (status == ATTN_OK) return;
    fprintf(stderr, "%s\n", attn_status_text(status));
    exit(1);
}

/* A module with a context of its own, and tensors for `batch` attentions. */
typedef struct {
    attn_context *context;
    attn_model *model;
    attn_argument in[3], out;
} worker;

static worker worker_open(int64_t batch, const attn_executor *executor) {
    attn_context_options c = ATTN_CONTEXT_OPTIONS_INIT;
    attn_program *program = NULL;
    attn_module *module = NULL;
    worker w = {.in = {{"q", NULL}, {"k", NULL}, {"v", NULL}}, .out = {"o", NULL}};
    const attn_dim dims[] = {{"B", batch}, {"S", S}, {"T", S}, {"H", H}, {"D", D}};
    attn_module_options m = ATTN_MODULE_OPTIONS_INIT;
    c.executor = executor;
    m.dims = dims, m.n_dims = 5;
    must(attn_context_create(&c, NULL, &w.context));
    must(attn_program_from_text(w.context, "sharing.attn", source, sizeof source - 1, NULL, &program));
    must(attn_module_create(w.context, program, &m, NULL, &module));
    must(attn_model_create(w.context, module, NULL, NULL, &w.model));
    for (size_t k = 0; k < 3; k++) must(attn_program_sample(w.context, program, NULL, k, dims, 5, 1, NULL, &w.in[k].tensor));
    attn_program_destroy(program);
    attn_module_destroy(module);
    return w;
}

static void *run(void *self) {
    worker *w = self;
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.inputs = w->in, o.n_inputs = 3, o.outputs = &w->out, o.n_outputs = 1;
    must(attn_model_run(w->model, &o, NULL));
    return NULL;
}

static void worker_close(worker *w) {
    for (int k = 0; k < 3; k++) attn_tensor_destroy(w->in[k].tensor);
    attn_tensor_destroy(w->out.tensor);
    attn_model_destroy(w->model);
    attn_context_destroy(w->context);
}

static double time_one(worker *w) {
    double start = now();
    run(w);
    return now() - start;
}

static double time_two(worker *a, worker *b) {
    pthread_t other;
    double start = now();
    if (pthread_create(&other, NULL, run, b)) must(ATTN_ERROR_MEMORY);
    run(a);
    pthread_join(other, NULL);
    return now() - start;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int n, char **words) {
    static double seconds[3][MOST_ROUNDS];
    static const char *const names[] = {"one", "shared", "apart"};
    int rounds = n == 3 && !strcmp(words[1], "--rounds") ? atoi(words[2]) : 31;
    if (rounds < 1 || rounds > MOST_ROUNDS) return fprintf(stderr, "usage: sharing [--rounds 1 .. %d]\n", MOST_ROUNDS), 2;
    worker one = worker_open(2, NULL), first = worker_open(1, NULL), second = worker_open(1, attn_context_executor(first.context)), apart = worker_open(1, NULL);
    for (int k = -2; k < rounds; k++) {          /* two to warm up */
        const double taken[] = {time_one(&one), time_two(&first, &second), time_two(&first, &apart)};
        for (int way = 0; way < 3 && k >= 0; way++) seconds[way][k] = taken[way];
    }
    printf("two causal attentions, f32, S = T = %d, H = %d, D = %d, %d threads, medians of %d\n", S, H, D, attn_context_threads(one.context), rounds);
    for (int way = 0; way < 3; way++) qsort(seconds[way], (size_t)rounds, sizeof(double), compare);
    for (int way = 0; way < 3; way++)
        printf("  %-8s %9.3f ms   %.3f of one\n", names[way], 1e3 * seconds[way][rounds / 2], seconds[way][rounds / 2] / seconds[0][rounds / 2]);
    worker_close(&apart);
    worker_close(&second);
    worker_close(&first);
    worker_close(&one);
    return 0;
}

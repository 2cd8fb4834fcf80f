/* startup: how long from a program's text to its first result, and where the time goes.
 *
 *   startup [--runs N] [--weights model.safetensors] [--minilm minilm.attn]
 *
 * Each figure is the median of several processes, since the first compile of a process loads LLVM. A process begins before it is started (so that
 * loading libattn counts) and ends when the result is there. Cold: the code cache is empty; warm: the process before has filled it. What the
 * operating system keeps of files is warm in both, by a run that is not counted. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "attn/attn.h"

enum { PHASES = 6, MOST_RUNS = 99, D = 64, H = 8, S = 128 };
static const char *const phases[PHASES] = {"start", "context", "program", "module", "model", "run"};
typedef struct { double at[PHASES]; } times;     /* when each phase was over, since the process began */

static const char attention[] = "graph attention(q: f32[B,S,H,D], k: f32[B,T,H,D], v: f32[B,T,H,D]) -> (o: f32[B,S,H,D]) {\n"
                                "    o[b,i,h,d] = attend(j: q[b,i,h,c], k[b,j,h,c], v[b,j,h,d])\n"
                                "}\n"
                                "graph documents(q: f32[B,S,H,D], k: f32[B,T,H,D], v: f32[B,T,H,D], doc: i32[B,S]) -> (o: f32[B,S,H,D]) where T == S {\n"
                                "    o[b,i,h,d] = attend(j: q[b,i,h,c], k[b,j,h,c], v[b,j,h,d]) { mask = doc[b,i] == doc[b,j] }\n"
                                "}\n";

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- one process: a program from its text to the first result */

typedef struct {
    attn_diagnostics *said;
    attn_context *context;
    attn_program *program;
    attn_module *module;
    attn_model *model;
    times t;
    double start;
} job;

/* Ends the process with the messages if a call failed. */
static void step(job *j, int phase, attn_status status) {
    j->t.at[phase] = now() - j->start;
    if (status == ATTN_OK) return;
    for (size_t k = 0; k < attn_diagnostics_count(j->said); k++) fputs(attn_diagnostics_render(j->said, k, false), stderr);
    exit(1);
}

/* graph: of the text above; NULL: all of the file. */
static void compile(job *j, const char *cache, const char *graph, const char *file, const attn_dim *dims, size_t n_dims, const char *weights) {
    attn_context_options c = ATTN_CONTEXT_OPTIONS_INIT;
    attn_module_options m = ATTN_MODULE_OPTIONS_INIT;
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    c.cache_path = cache;
    m.graph = graph, m.dims = dims, m.n_dims = n_dims;
    o.weights = weights;
    j->t.at[0] = now() - j->start;
    step(j, 1, attn_diagnostics_create(NULL, &j->said) || attn_context_create(&c, j->said, &j->context));
    step(j, 2, file ? attn_program_from_file(j->context, file, j->said, &j->program)
                    : attn_program_from_text(j->context, "attention.attn", attention, sizeof attention - 1, j->said, &j->program));
    step(j, 3, attn_module_create(j->context, j->program, &m, j->said, &j->module));
    step(j, 4, attn_model_create(j->context, j->module, &o, j->said, &j->model));
}

static attn_argument tensor(job *j, const char *name, attn_dtype type, int rank, const int64_t *dims) {
    attn_argument a = {name, NULL};
    step(j, 4, attn_tensor_create(j->context, type, rank, dims, j->said, &a.tensor));
    return a;
}

static void compute(job *j, const char *graph, attn_argument *inputs, size_t n, const char *output) {
    attn_argument out = {output, NULL};
    attn_run_options r = ATTN_RUN_OPTIONS_INIT;
    r.graph = graph, r.inputs = inputs, r.n_inputs = n, r.outputs = &out, r.n_outputs = 1;
    step(j, 5, attn_model_run(j->model, &r, j->said));
}

/* One attention: of plain text, or of two documents one behind the other. */
static void run_attention(job *j, const char *cache, const char *graph) {
    static const int64_t dims[] = {1, S, H, D}, tokens[] = {1, S};
    static const attn_dim sizes[] = {{"B", 1}, {"S", S}, {"T", S}, {"H", H}, {"D", D}};
    const bool documents = !strcmp(graph, "documents");
    compile(j, cache, graph, NULL, sizes, 5, NULL);
    attn_argument in[4] = {tensor(j, "q", ATTN_F32, 4, dims), tensor(j, "k", ATTN_F32, 4, dims), tensor(j, "v", ATTN_F32, 4, dims)};
    if (documents) in[3] = tensor(j, "doc", ATTN_I32, 2, tokens);
    for (int k = 0; documents && k < S; k++) ((int32_t *)attn_tensor_data(in[3].tensor))[k] = k >= S / 2;
    compute(j, graph, in, documents ? 4 : 3, "o");
}

/* One sentence of 16 tokens, weights included. */
static void run_minilm(job *j, const char *cache, const char *file, const char *weights) {
    static const int64_t ids[] = {1, 16}, one[] = {1};
    static const attn_dim sizes[] = {{"B", 1}, {"S", 16}};
    compile(j, cache, NULL, file, sizes, 2, weights);
    attn_argument in[] = {tensor(j, "ids", ATTN_I32, 2, ids), tensor(j, "len", ATTN_I32, 1, one)};
    for (int k = 0; k < 16; k++) ((int32_t *)attn_tensor_data(in[0].tensor))[k] = 1000 + k;
    *(int32_t *)attn_tensor_data(in[1].tensor) = 16;
    compute(j, NULL, in, 2, "emb");
}

/* startup --one START CACHE GRAPH, or FILE WEIGHTS: writes its times to stdout, as bytes. */
static int one(int n, char **words) {
    job j = {.start = strtod(words[2], NULL)};
    if (n == 6) run_minilm(&j, words[3], words[4], words[5]);
    else run_attention(&j, words[3], words[4]);
    return fwrite(&j.t, sizeof j.t, 1, stdout) == 1 ? 0 : 1;
}

/* ---- many processes */

static times measure(char **words) {
    int ends[2];
    times t;
    char start[64];
    if (pipe(ends)) exit(1);
    snprintf(start, sizeof start, "%.9f", now());
    words[2] = start;
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        execv("/proc/self/exe", words);
        _exit(127);
    }
    close(ends[1]);
    const bool fine = read(ends[0], &t, sizeof t) == sizeof t;
    int status;
    close(ends[0]);
    waitpid(child, &status, 0);
    if (!fine || status) exit(1);
    return t;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *at, int n) {
    qsort(at, (size_t)n, sizeof *at, ascending);
    return n % 2 ? at[n / 2] : (at[n / 2 - 1] + at[n / 2]) / 2;
}

/* A row: the whole, then what each phase takes, in milliseconds. */
static void print(const char *what, const times *t, int n, double wanted) {
    double at[MOST_RUNS];
    for (int k = 0; k < n; k++) at[k] = t[k].at[PHASES - 1];
    const double whole = 1e3 * median(at, n);
    printf("| %-28s | %6.1f | %4.0f |", what, whole, wanted);
    for (int phase = 0; phase < PHASES; phase++) {
        for (int k = 0; k < n; k++) at[k] = t[k].at[phase] - (phase ? t[k].at[phase - 1] : 0);
        printf(" %6.1f |", 1e3 * median(at, n));
    }
    printf("\n");
}

/* The cache is emptied before each cold run; the last of them fills it for the warm ones. */
static void rows(const char *name, char **words, int n, double cold_ms, double warm_ms) {
    times cold[MOST_RUNS], warm[MOST_RUNS];
    char what[64], line[256];
    measure(words);
    for (int k = 0; k < n; k++) {
        snprintf(line, sizeof line, "rm -rf '%s'", words[3]);
        if (system(line)) exit(1);
        cold[k] = measure(words);
    }
    for (int k = 0; k < n; k++) warm[k] = measure(words);
    snprintf(what, sizeof what, "%s, cold", name);
    print(what, cold, n, cold_ms);
    snprintf(what, sizeof what, "%s, code cached", name);
    print(what, warm, n, warm_ms);
}

int main(int n, char **words) {
    int runs = 5;
    char *file = NULL, *weights = NULL, folder[] = "/tmp/attn-startup-XXXXXX", cache[64];
    if (n >= 5 && !strcmp(words[1], "--one")) return one(n, words);
    for (int k = 1; k + 1 < n; k += 2) {
        if (!strcmp(words[k], "--runs")) runs = atoi(words[k + 1]);
        else if (!strcmp(words[k], "--weights")) weights = words[k + 1];
        else if (!strcmp(words[k], "--minilm")) file = words[k + 1];
    }
    if (runs < 1 || runs > MOST_RUNS || !mkdtemp(folder)) return 2;
    snprintf(cache, sizeof cache, "%s/code", folder);
    printf("| median of %2d, milliseconds    |  whole | goal |", runs);
    for (int phase = 0; phase < PHASES; phase++) printf(" %6s |", phases[phase]);
    printf("\n|---|---|---|---|---|---|---|---|---|\n");
    rows("attention", (char *[]){words[0], "--one", NULL, cache, "attention", NULL}, runs, 100, 10);
    rows("documents", (char *[]){words[0], "--one", NULL, cache, "documents", NULL}, runs, 100, 10);
    if (file && weights) rows("MiniLM 1 x 16", (char *[]){words[0], "--one", NULL, cache, file, weights, NULL}, runs, 400, 60);
    snprintf(cache, sizeof cache, "rm -rf '%s'", folder);
    return system(cache) ? 1 : 0;
}

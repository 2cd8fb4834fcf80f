/* bench: the median time of a graph, and what share of the machine's peak that is. The peak is measured in the same minute. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "attnc.h"

/* How many runs are measured, and for how many seconds they, and the peak after them, are. */
enum { FEWEST = 5, MOST = 1000 };
static const double budget_s = 1.0, peak_s = 0.2;

/* operations: of one run; 0: not counted. peak_gflops 0: no peak to compare with. */
typedef struct { double median_s, best_s, operations, peak_gflops; int runs; } figures;

/* For qsort: ascending. */
static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The median of at least five runs in about a second: a mean would show every hiccup of the machine. A run of many seconds is measured once. */
static int measure(cli_session *s, figures *f) {
    static double seconds[MOST];
    int status = cli_run(s, NULL);           /* warm: pages, caches, threads. Its outputs are the ones that are used again */
    /* The clock starts after the warm run. */
    double end = cli_now() + budget_s;
    while (status == CLI_FINE && f->runs < MOST && (f->runs < FEWEST || cli_now() < end)) {
        double start = cli_now();
        status = cli_run(s, NULL);
        seconds[f->runs++] = cli_now() - start;
        if (f->runs == 1 && seconds[0] > 4 * budget_s) break;
    }
    /* Sorted, so that the first is the best and the one in the middle the median. */
    qsort(seconds, (size_t)f->runs, sizeof *seconds, compare);
    if (f->runs) f->median_s = seconds[f->runs / 2], f->best_s = seconds[0];
    return status;
}

/* The evaluator has no kernels to count in: its row has a time and no arithmetic. */
static int count_operations(cli_session *s, figures *f) {
    attn_cost cost = ATTN_COST_INIT;
    /* Asking would be an error, and no time of the evaluator is worth a share. */
    if (!strcmp(attn_module_target(s->module), "eval")) return CLI_FINE;
    int status = cli_cost(s, &cost);
    f->operations = cost.operations;
    return status;
}

/* At the median, the time that is shown. */
static double gflops(const figures *f) { return f->median_s > 0 ? f->operations / f->median_s * 1e-9 : 0; }
static double fraction(const figures *f) { return f->peak_gflops > 0 ? gflops(f) / f->peak_gflops : 0; }

/* null where nothing was counted or measured: 0 would be a result. */
static void print_json(const cli_session *s, const figures *f) {
    json_t *out = json_object();
    bool counted = f->operations > 0, peak = f->peak_gflops > 0;
    json_object_set_new(out, "graph", json_string(s->graph));
    json_object_set_new(out, "target", json_string(attn_module_target(s->module)));
    json_object_set_new(out, "threads", json_integer(attn_context_threads(s->context)));
    json_object_set_new(out, "runs", json_integer(f->runs));
    json_object_set_new(out, "median_ms", json_real(1e3 * f->median_s));
    json_object_set_new(out, "gflops", counted ? json_real(gflops(f)) : json_null());
    json_object_set_new(out, "peak_gflops", peak ? json_real(f->peak_gflops) : json_null());
    json_object_set_new(out, "fraction_of_peak", counted && peak ? json_real(fraction(f)) : json_null());
    json_object_set_new(out, "compile_ms", json_real(1e3 * attn_module_compile_seconds(s->module)));
    json_dumpf(out, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(out);
}

static void print_text(const cli_session *s, const figures *f) {
    printf("%s on %s, %d threads, %d runs\n", s->graph, attn_module_target(s->module), attn_context_threads(s->context), f->runs);
    printf("  median     %10.4f ms   (best %.4f ms)\n", 1e3 * f->median_s, 1e3 * f->best_s);
    if (f->operations > 0) printf("  arithmetic %10.3f Gflop/s of visible pairs\n", gflops(f));
    if (f->peak_gflops > 0) printf("  peak       %10.3f Gflop/s, f32 multiply-add, measured just now\n", f->peak_gflops);
    if (f->operations > 0 && f->peak_gflops > 0) printf("  share      %10.3f of peak\n", fraction(f));
    printf("  compile    %10.3f ms\n", 1e3 * attn_module_compile_seconds(s->module));
}

/* The peak is taken after the runs, on the same threads: the clock that a busy machine has left is the one that both had. No peak for a GPU:
 * what the host's vector units can do is no ceiling there. */
int verb_bench(cli_session *s) {
    figures f = {0};
    int status = cli_load(s);
    if (status == CLI_FINE) status = cli_read_inputs(s, true);
    if (status == CLI_FINE) status = cli_compile(s, s->options->target);
    if (status == CLI_FINE) status = cli_model(s, true);
    if (status == CLI_FINE) status = count_operations(s, &f);
    cli_progress("measuring");
    if (status == CLI_FINE) status = measure(s, &f);
    bool host = status == CLI_FINE && strcmp(attn_module_target(s->module), "cuda") != 0;
    if (host) status = cli_failed(s, attn_context_peak(s->context, peak_s, &f.peak_gflops));
    cli_progress(NULL);
    if (status != CLI_FINE) return status;
    if (s->options->json) print_json(s, &f);
    else print_text(s, &f);
    return CLI_FINE;
}

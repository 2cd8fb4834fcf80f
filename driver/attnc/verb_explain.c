/* explain: what became of a graph. Kernels with their lines, remarks with their places, and for each kernel the time that the cost model
 * predicts beside the time that it took.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "attnc.h"

/* Measured runs, whose mean is shown. Launches are counted over all of them and divided by their number. */
enum { RUNS = 5 };

/* k is below attn_module_n_kernels, so the call does not fail; texts belong to the module. */
static attn_kernel_info kernel_info(const cli_session *s, size_t k) {
    attn_kernel_info info = ATTN_KERNEL_INFO_INIT;
    attn_module_kernel(s->module, s->graph, k, &info);
    return info;
}

/* The list ends with NULL. Without any remark the passes had nothing to choose between. */
static void print_remarks(const cli_session *s) {
    const char *remark;
    printf("== decisions: what is computed together, what stayed apart, and the time that the cost model expected of each\n\n");
    for (size_t k = 0; (remark = attn_module_remark(s->module, s->graph, k)); k++) printf("%s\n", remark);
    if (!attn_module_remark(s->module, s->graph, 0)) printf("nothing to decide: each statement is a kernel\n");
    printf("\n");
}

static void print_kernels(const cli_session *s, size_t n) {
    printf("== kernels of %s: axes with their roles, lines $0 .. with axes and meaning, stores; then the schedule (docs/ir.md)\n\n", s->graph);
    for (size_t k = 0; k < n; k++) {
        attn_kernel_info info = kernel_info(s, k);
        /* Where the statement stands that the kernel computes; not all come from one. */
        if (info.file) printf("# %s:%u:%u\n", info.file, info.line, info.column);
        if (info.entry) printf("# for %s\n", info.entry);
        printf("%s%s\n", info.text, info.schedule);
    }
}

/* Times mean something only beside the sizes that they were taken at. */
static void print_sizes(const cli_session *s) {
    int threads = attn_context_threads(s->context);
    /* Predictions for the CPU are those of one thread; a GPU is predicted as a whole. */
    bool host = !strcmp(attn_module_target(s->module), "cpu");
    printf("== time, the mean of %d runs", RUNS);
    if (host) printf(" with %d thread%s", threads, threads == 1 ? "" : "s");
    printf(" on");
    for (size_t k = 0; k < s->n_inputs; k++) {
        const attn_tensor *t = s->inputs[k].tensor;
        printf("%s %s: %s[", k ? "," : "", s->inputs[k].name, attn_dtype_name(attn_tensor_dtype(t)));
        for (int axis = 0; axis < attn_tensor_rank(t); axis++) printf(axis ? ",%lld" : "%lld", (long long)attn_tensor_dim(t, axis));
        printf("]");
    }
    printf("; %sratio is measured to predicted\n", host ? "predicted for one thread, " : "");
}

/* Seconds of one launch, the mean; 0 if it was never launched. */
static double measured(const attn_kernel_time *t) { return t->launches ? t->seconds / (double)t->launches : 0; }

/* Busy time of all threads together, of one run: the model's beside what the runs just now have taken. */
static void print_cost(const cli_session *s, const attn_cost *cost) {
    attn_counters c = ATTN_COUNTERS_INIT;
    attn_model_counters(s->model, s->graph, false, &c);
    printf("\n== cost of one run at these sizes\n\n%-24s %14.0f\n%-24s %14.0f\n", "launches", cost->launches, "items", cost->items);
    printf("%-24s %14.0f\n", "operations, visible", cost->operations);
    printf("%-24s %14.0f\n%-24s %14lld\n", "bytes of tensors", cost->tensor_bytes, "bytes of workspace", (long long)cost->workspace_bytes);
    printf("%-24s %14.5f ms of one core, %.5f ms measured\n", "predicted", 1e3 * cost->model_s, c.calls ? 1e3 * c.busy_s / (double)c.calls : 0);
}

/* Which inputs were copied before the first kernel, and why. */
static void print_copies(cli_session *s) {
    const attn_run_options o = cli_run_options(s);
    static const char *const texts[] = {
        [ATTN_COPY_NONE] = "read where it lies; other strides than those of dense rows would be copied first",
        [ATTN_COPY_STRIDES] = "copied: it is not dense",
        [ATTN_COPY_ALIGNMENT] = "copied: it is not aligned",
        [ATTN_COPY_DEVICE] = "copied: the target has memory of its own",
    };
    printf("\n== inputs\n\n");
    for (size_t k = 0; k < o.n_inputs; k++) {
        attn_copy copy = ATTN_COPY_NONE;
        if (attn_model_copies(s->model, &o, o.inputs[k].name, NULL, &copy) == ATTN_OK) printf("%-24s %s\n", o.inputs[k].name, texts[copy]);
    }
}

static void print_times(const cli_session *s, const attn_kernel_time *times, size_t n, const attn_cost *cost) {
    /* Sums are those of one run. */
    double predicted_sum = 0, measured_sum = 0;
    bool idle = false;
    print_sizes(s);
    printf("\n%-24s %9s %14s %14s %8s\n", "kernel", "launches", "predicted ms", "measured ms", "ratio");
    for (size_t k = 0; k < n; k++) {
        attn_kernel_info info = kernel_info(s, k);
        double m = measured(&times[k]);
        /* Such a kernel finds out what a failed check is told with, so it stands in the plan and does not run. */
        idle |= times[k].launches == 0;
        int64_t launches = times[k].launches / RUNS;
        printf("%-24s %9lld %14.5f %14.5f %8.2f\n", info.name, (long long)launches, 1e3 * info.predicted_s, 1e3 * m, info.predicted_s > 0 ? m / info.predicted_s : 0);
        /* A kernel in a loop counts as often as it is launched. */
        predicted_sum += info.predicted_s * (double)launches;
        measured_sum += m * (double)launches;
    }
    printf("%-24s %9s %14.5f %14.5f %8.2f\n", "all", "", 1e3 * predicted_sum, 1e3 * measured_sum, predicted_sum > 0 ? measured_sum / predicted_sum : 0);
    if (idle) printf("\n0 launches: it says what stands where a check failed, and no check has failed\n");
    print_cost(s, cost);
}

/* The same facts for programs: texts as they are, times in milliseconds. */
static void print_json(const cli_session *s, const attn_kernel_time *times, size_t n, const attn_cost *cost) {
    const char *remark;
    json_t *out = json_object(), *kernels = json_array(), *remarks = json_array();
    for (size_t k = 0; k < n; k++) {
        attn_kernel_info info = kernel_info(s, k);
        json_t *row = json_object();
        json_object_set_new(row, "name", json_string(info.name));
        json_object_set_new(row, "text", json_string(info.text));
        json_object_set_new(row, "schedule", json_string(info.schedule));
        if (info.file) json_object_set_new(row, "line", json_integer(info.line));
        json_object_set_new(row, "launches", json_integer(times[k].launches / RUNS));
        json_object_set_new(row, "predicted_ms", json_real(1e3 * info.predicted_s));
        json_object_set_new(row, "measured_ms", json_real(1e3 * measured(&times[k])));
        json_array_append_new(kernels, row);
    }
    for (size_t k = 0; (remark = attn_module_remark(s->module, s->graph, k)); k++) json_array_append_new(remarks, json_string(remark));
    json_object_set_new(out, "graph", json_string(s->graph));
    json_object_set_new(out, "kernels", kernels);
    json_object_set_new(out, "remarks", remarks);
    json_object_set_new(out, "launches", json_real(cost->launches));
    json_object_set_new(out, "items", json_real(cost->items));
    json_object_set_new(out, "operations", json_real(cost->operations));
    json_object_set_new(out, "tensor_bytes", json_real(cost->tensor_bytes));
    json_object_set_new(out, "workspace_bytes", json_integer(cost->workspace_bytes));
    json_object_set_new(out, "predicted_ms", json_real(1e3 * cost->model_s));
    json_dumpf(out, stdout, JSON_INDENT(1));
    printf("\n");
    json_decref(out);
}

/* ---- --mask */

/* "32x192"; without --tile what the library takes. */
static bool tile_of(const char *text, attn_mask_picture *p) {
    if (!text) return true;
    char *end;
    p->rows = strtoll(text, &end, 10);
    if (end == text || *end != 'x') return false;
    const char *second = end + 1;
    p->columns = strtoll(second, &end, 10);
    return end > second && !*end && p->rows > 0 && p->columns > 0 && p->rows < 1 << 20 && p->columns < 1 << 20;
}

/* To the file, or to stdout. */
static int write_picture(const char *path, const char *text) {
    FILE *to = path ? fopen(path, "w") : stdout;
    if (!to) return cli_say(CLI_MSG_NOT_WRITTEN, strerror(errno));
    const bool written = fputs(text, to) >= 0;
    const bool closed = !path || fclose(to) == 0;
    return written && closed ? CLI_FINE : cli_say(CLI_MSG_NOT_WRITTEN, strerror(errno));
}

static int explain_mask(cli_session *s) {
    const cli_options *o = s->options;
    const char *suffix = o->output ? strrchr(o->output, '.') : NULL;
    attn_mask_picture how = ATTN_MASK_PICTURE_INIT;
    if (o->output && (!suffix || (strcmp(suffix, ".svg") != 0 && strcmp(suffix, ".txt") != 0))) return cli_say(CLI_MSG_NOT_A_WORD, "-o", "FILE.svg or FILE.txt", o->output);
    if (!tile_of(o->tile, &how)) return cli_say(CLI_MSG_NOT_A_WORD, "--tile", "ROWSxCOLUMNS, 32x192", o->tile);
    how.svg = suffix && !strcmp(suffix, ".svg");
    char *text;
    attn_status status = attn_program_masks(s->context, s->program, s->graph, s->inputs, s->n_inputs, o->dims, o->n_dims, &how, s->diagnostics, &text);
    if (status != ATTN_OK) return cli_failed(s, status);
    const int written = write_picture(o->output, text);
    attn_text_destroy(s->context, text);
    return written;
}

/* Kernels and decisions are printed before anything runs, so they are there also when a run fails. One run warms up, the mean of five counts. */
int verb_explain(cli_session *s) {
    if (!s->options->mask && (s->options->tile || s->options->output)) return cli_say(CLI_MSG_NEEDS_OPTION, s->options->tile ? "--tile" : "-o", "--mask");
    /* Masks are drawn as the CPU's tiles have them. */
    if (s->options->mask && s->options->target && strcmp(s->options->target, "cpu")) return cli_say(CLI_MSG_EXCLUDE, "--mask", "--target but cpu");
    int status = cli_load(s);
    /* The evaluator has no kernels to show. */
    if (status == CLI_FINE && s->options->target && !strcmp(s->options->target, "eval")) return cli_say(CLI_MSG_NO_KERNELS);
    if (status == CLI_FINE) status = cli_read_inputs(s, true);
    if (status == CLI_FINE && s->options->mask) return explain_mask(s);
    if (status == CLI_FINE) status = cli_compile(s, s->options->target);
    if (status != CLI_FINE) return status;
    size_t n = attn_module_n_kernels(s->module, s->graph);
    /* By kernel; runs add to it, so the warm run below is given none. */
    attn_kernel_time *times = calloc(n + 1, sizeof *times);
    /* JSON is one object: it is printed when all of it is known. */
    if (!s->options->json) {
        print_kernels(s, n);
        print_remarks(s);
    }
    /* Without files inputs and weights are drawn, so that a program alone can be explained. */
    status = times ? cli_model(s, true) : CLI_WRONG;
    if (status == CLI_FINE) status = cli_run(s, NULL);
    for (int k = 0; status == CLI_FINE && k < RUNS; k++) status = cli_run(s, times);
    attn_cost cost = ATTN_COST_INIT;
    if (status == CLI_FINE) status = cli_cost(s, &cost);
    if (status == CLI_FINE && s->options->json) print_json(s, times, n, &cost);
    else if (status == CLI_FINE) {
        print_times(s, times, n, &cost);
        print_copies(s);
    }
    free(times);
    return status;
}

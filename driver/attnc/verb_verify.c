/* verify: the same inputs through the float64 evaluator and through targets, and how far they are apart. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "attnc.h"

/* worst: absolute; worst_relative: over 1 + the value's own size; wrong: elements beyond the tolerance, of n. */
typedef struct { double worst, worst_relative, square_sum, scale; int64_t n, wrong; } errors;

/* Allowed: tolerance * (1 + the value's own size). Sums of f32 products differ by their order. */
static double tolerance(const cli_session *s, attn_dtype type) {
    if (s->options->tolerance > 0) return s->options->tolerance;
    return type == ATTN_F32 ? 2e-4 : type == ATTN_F64 ? 1e-10 : 0;
}

/* NaN where NaN is right is right. */
static bool same(double a, double b) { return (isnan(a) && isnan(b)) || (a >= b && a <= b); }

static void compare_element(errors *e, double want, double got, double allowed) {
    e->n++;
    if (same(want, got)) return;
    double error = fabs(want - got);
    if (!(error <= allowed * (1 + fabs(want)))) e->wrong++;      /* NaN is wrong */
    /* One of the two is NaN: there is no difference to show, so it counts as the largest. */
    if (isnan(error)) error = INFINITY;
    if (error > e->worst) e->worst = error;
    if (error / (1 + fabs(want)) > e->worst_relative) e->worst_relative = error / (1 + fabs(want));
    e->square_sum += error * error;
}

/* Both have the graph's type and shape: they are outputs of the same name. */
static errors compare(const cli_session *s, const attn_tensor *want, const attn_tensor *got) {
    errors e = {0};
    for (int64_t k = 0, n = attn_tensor_elements(want); k < n; k++)
        compare_element(&e, cli_element(want, k), cli_element(got, k), tolerance(s, attn_tensor_dtype(want)));
    return e;
}

static double root_mean_square(const errors *e) { return e->n ? sqrt(e->square_sum / (double)e->n) : 0; }

/* JSON has no infinity. */
static json_t *figure(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* A row of the list, or a line of text if there is none. */
static void report(json_t *list, const char *target, const char *name, const errors *e) {
    /* The row is made also for text, and dropped: one way through for both. */
    json_t *row = json_object();
    if (!list) {
        printf("%-6s %-16s %12lld elements  max error %10.3e  relative %10.3e  rms %10.3e  %s\n", target, name, (long long)e->n, e->worst,
               e->worst_relative, root_mean_square(e), e->wrong ? "WRONG" : "ok");
        if (e->wrong) printf("       %lld elements are beyond the tolerance\n", (long long)e->wrong);
    }
    json_object_set_new(row, "target", json_string(target));
    json_object_set_new(row, "output", json_string(name));
    json_object_set_new(row, "elements", json_integer(e->n));
    json_object_set_new(row, "max_error", figure(e->worst));
    json_object_set_new(row, "max_relative_error", figure(e->worst_relative));
    json_object_set_new(row, "rms_error", figure(root_mean_square(e)));
    json_object_set_new(row, "wrong", json_integer(e->wrong));
    if (list) json_array_append(list, row);
    json_decref(row);
}

/* Compiled, run and dropped again: the outputs are what stays. */
static int run_target(cli_session *s, const char *target) {
    int status = cli_compile(s, target);
    if (status == CLI_FINE) status = cli_model(s, true);
    cli_progress(target);
    if (status == CLI_FINE) status = cli_run(s, NULL);
    cli_progress(NULL);
    cli_drop_module(s);
    return status;
}

/* *wrong is set, never cleared: one wrong target is enough, and the others are still compared. */
static int verify_target(cli_session *s, const char *target, const attn_argument *want, json_t *list, bool *wrong) {
    int status = run_target(s, target);
    for (size_t k = 0; status == CLI_FINE && k < s->n_outputs; k++) {
        errors e = compare(s, want[k].tensor, s->outputs[k].tensor);
        report(list, target, s->outputs[k].name, &e);
        *wrong |= e.wrong != 0;
    }
    cli_drop_outputs(s);
    return status;
}

/* Without --target all targets that can be used here. */
static int verify_targets(cli_session *s, const attn_argument *want, json_t *list, bool *wrong) {
    const char *name;
    int status = CLI_FINE;
    if (s->options->target) return verify_target(s, s->options->target, want, list, wrong);
    for (size_t k = 0; status == CLI_FINE && (name = attn_target_name(k)); k++) {
        /* It is what the others are compared with. */
        if (!strcmp(name, "eval")) continue;
        /* Why a target is missing is no news here: it is left out, and its messages with it. */
        bool usable = attn_target_check(s->context, name, s->diagnostics) == ATTN_OK;
        attn_diagnostics_clear(s->diagnostics);
        if (usable) status = verify_target(s, name, want, list, wrong);
        else if (!list) printf("%-6s cannot be used here\n", name);
    }
    return status;
}

/* Inputs are read or drawn once, for all targets. A target that computes something else makes the exit status 1. */
int verb_verify(cli_session *s) {
    bool wrong = false;
    int status = cli_load(s);
    if (status == CLI_FINE) status = cli_read_inputs(s, true);
    if (status == CLI_FINE) status = run_target(s, "eval");
    if (status != CLI_FINE) return status;
    /* The evaluator's outputs move out of the session, so that the next run makes new ones instead of writing over them. */
    attn_argument *want = malloc((s->n_outputs + 1) * sizeof *want);
    json_t *list = s->options->json ? json_array() : NULL;
    for (size_t k = 0; want && k < s->n_outputs; k++) {
        want[k] = s->outputs[k];
        s->outputs[k].tensor = NULL;
    }
    /* The list is printed also if some element was wrong; that is the result. */
    status = want ? verify_targets(s, want, list, &wrong) : CLI_WRONG;
    if (list && status == CLI_FINE) {
        json_dumpf(list, stdout, JSON_INDENT(1));
        printf("\n");
    }
    json_decref(list);
    /* Moved out, so cli_close does not know them. */
    for (size_t k = 0; want && k < s->n_outputs; k++) attn_tensor_destroy(want[k].tensor);
    free(want);
    return status == CLI_FINE && wrong ? CLI_WRONG : status;
}

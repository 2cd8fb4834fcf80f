/* Runs a program in two ways and compares. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include "diff.h"

static const struct { double absolute, relative; } tolerances[DIFF_N_PRECISIONS][DIFF_N_FILLS] = {
#define TOLERANCE(precision, fill, absolute, relative) [DIFF_##precision][DIFF_FILL_##fill] = {absolute, relative},
#include "tolerance.def"
};

const char *diff_fill_name(diff_fill fill) {
    static const char *const names[] = {
#define FILL(id, text) text,
#include "fills.def"
    };
    return names[fill];
}

bool diff_applies(const diff_program *p, const diff_target *target, diff_fill fill) {
    if (fill == DIFF_FILL_LARGE && p->rescored && target->precision == DIFF_SINGLE) return false;
    if (fill == DIFF_FILL_MINUS_INF) return p->infinite.n > 0;
    if (fill == DIFF_FILL_NAN) return p->nan;
    return fill == DIFF_FILL_NORMAL || !p->error;
}

/* ---- one way of running */

struct diff_way {
    const diff_program *program;
    const diff_target *target;
    base_arena *arena;
    base_diags *diags;
    ir_graph *graph;
    void *opened;
    ir_frame frame;              /* of the last run */
    bool ok;
};

static bool run_evaluator(const diff_target *self, void *opened, ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    (void)self, (void)opened;
    return ir_graph_eval(g, frame, arena, diags);
}
const diff_target diff_evaluator = {.name = "eval", .run = run_evaluator};

static const char *messages(const diff_way *w) {
    base_text t;
    base_text_init(&t, w->arena);
    for (const base_diag *d = w->diags->first; d; d = d->next) base_diag_print(w->diags, d, false, &t);
    return base_printf(w->arena, "%s: %s", w->target->name, t.n ? t.at : "nothing was reported");
}

diff_way *diff_open(const diff_program *p, const diff_target *target, base_arena *arena, const char **fault) {
    diff_way *w = BASE_NEW(arena, diff_way);
    *w = (diff_way){.program = p, .target = target, .arena = arena, .diags = base_diags_create(arena)};
    w->graph = diff_graph(p, arena, w->diags);
    if (w->graph && target->open) w->opened = target->open(target, w->graph, arena, w->diags);
    *fault = !w->graph || (target->open && !w->opened) ? messages(w) : NULL;
    return *fault ? NULL : w;
}

void diff_close(diff_way *w) {
    if (w->target->close) w->target->close(w->target, w->opened);
}

static void run_once(diff_way *w, const char *dims, diff_fill fill, uint64_t seed) {
    w->diags->first = NULL;
    w->diags->last = &w->diags->first;
    w->diags->n_errors = 0;
    w->frame = ir_frame_create(w->graph->unit, w->arena);
    w->ok = diff_bind(w->program, w->graph, dims, fill, seed, &w->frame, w->arena, w->diags) &&
            w->target->run(w->target, w->opened, w->graph, &w->frame, w->arena, w->diags);
}

/* ---- comparing */

static bool near(double found, double meant, const diff_target *target, diff_fill fill) {
    if (isnan(found) || isnan(meant)) return isnan(found) && isnan(meant);
    if (found == meant) return true;
    if (isinf(found) || isinf(meant)) return false;
    return fabs(found - meant) <= tolerances[target->precision][fill].absolute + tolerances[target->precision][fill].relative * fabs(meant);
}

static const char *compare_tensors(const char *name, const ir_tensor *found, const ir_tensor *meant, const diff_target *target, diff_fill fill, base_arena *arena) {
    if (found->rank != meant->rank || memcmp(found->dim, meant->dim, sizeof meant->dim[0] * meant->rank) != 0)
        return base_printf(arena, "output %s has another shape", name);
    bool real = ir_dtypes[meant->dtype].sort == IR_SORT_REAL;
    for (int64_t k = 0; k < meant->n; k++) {
        if (real ? near(found->f[k], meant->f[k], target, fill) : found->i[k] == meant->i[k]) continue;
        return real ? base_printf(arena, "output %s, element %lld: %.17g instead of %.17g", name, (long long)k, found->f[k], meant->f[k])
                    : base_printf(arena, "output %s, element %lld: %lld instead of %lld", name, (long long)k, (long long)found->i[k], (long long)meant->i[k]);
    }
    return NULL;
}

/* The value of X, where the output at hand is X_ref and the program says that its text overflows; else NULL. */
static const ir_tensor *finite_text(const diff_way *w, const char *name) {
    const diff_program *p = w->program;
    for (uint32_t k = 0; k < p->overflows.n; k++) {
        if (strcmp(p->overflows.at[k], name) != 0) continue;
        for (uint32_t o = 0; o < w->graph->n_outputs; o++)
            if (strlen(w->graph->outputs[o].name) + strlen("_ref") == strlen(name) && !strncmp(w->graph->outputs[o].name, name, strlen(w->graph->outputs[o].name)))
                return &w->frame.value[w->graph->outputs[o].value];
    }
    return NULL;
}

/* exp(s) / sum(exp(s)) leaves float32 at scores of 88 and float64 at 709, and passes may give it the maximum that it lacks. So with large
 * scores an element of such a text is what it means, or what the text with a maximum means, or not finite. Nothing else is excused. */
static ir_tensor excuse_overflow(const ir_tensor *meant, const ir_tensor *finite, const ir_tensor *found, const diff_way *w, diff_fill fill) {
    ir_tensor t = *meant;
    if (!finite || meant->n != finite->n || found->n != meant->n) return t;
    t.f = BASE_ARRAY(w->arena, (size_t)meant->n + 1, double);
    for (int64_t k = 0; k < t.n; k++)
        t.f[k] = !isfinite(found->f[k]) ? found->f[k] : near(found->f[k], meant->f[k], w->target, fill) ? meant->f[k] : finite->f[k];
    return t;
}

/* A NaN that the evaluator finds is not asked for; one that it does not find is wrong. */
static void excuse_nan(ir_tensor *meant, const ir_tensor *found, const diff_way *w) {
    if (!w->program->loose_nan || meant->n != found->n || ir_dtypes[meant->dtype].sort != IR_SORT_REAL) return;
    const double *f = meant->f;
    meant->f = BASE_ARRAY(w->arena, (size_t)meant->n + 1, double);
    for (int64_t k = 0; k < meant->n; k++) meant->f[k] = isnan(f[k]) ? found->f[k] : f[k];
}

static const char *compare_outputs(const diff_way *found, const diff_way *meant, diff_fill fill) {
    const ir_graph *g = meant->graph;
    for (uint32_t k = 0; k < g->n_outputs; k++) {
        const ir_tensor *is = &found->frame.value[found->graph->outputs[k].value];
        const ir_tensor *finite = fill == DIFF_FILL_LARGE || fill == DIFF_FILL_RISING ? finite_text(meant, g->outputs[k].name) : NULL;
        ir_tensor is_meant = excuse_overflow(&meant->frame.value[g->outputs[k].value], finite, is, found, fill);
        excuse_nan(&is_meant, is, found);
        const char *fault = compare_tensors(g->outputs[k].name, is, &is_meant, found->target, fill, found->arena);
        if (fault) return fault;
    }
    return NULL;
}

/* An output X_ref is another text for the output X: the evaluator itself has to give both alike. */
static const char *compare_references(const diff_way *w, diff_fill fill) {
    const ir_graph *g = w->graph;
    static const diff_target single = {.precision = DIFF_SINGLE};         /* outputs are rounded */
    for (uint32_t a = 0; a < g->n_outputs; a++)
        for (uint32_t b = 0; b < g->n_outputs; b++) {
            size_t n = strlen(g->outputs[a].name);
            if (strncmp(g->outputs[a].name, g->outputs[b].name, n) != 0 || strcmp(g->outputs[b].name + n, "_ref") != 0) continue;
            const char *fault = compare_tensors(g->outputs[a].name, &w->frame.value[g->outputs[a].value], &w->frame.value[g->outputs[b].value], &single, fill, w->arena);
            if (fault) return base_printf(w->arena, "against its reference: %s", fault);
        }
    return NULL;
}

static const base_diag *first_error(const diff_way *w) {
    const base_diag *d = w->diags->first;
    while (d && base_messages[d->message].code[0] != 'E') d = d->next;
    return w->ok ? NULL : d;
}

/* The same words at the same place of the text. Where in the tensors is said by names of variables: binders are renamed by passes, and
 * those with an extent that moves have no part in a check's position, so what follows "(at" or ", at" is not compared. */
static bool same_words(const base_diag *a, const base_diag *b) {
    const char *end = strstr(a->text, "at ");
    while (end && end[-1] != '(' && strncmp(end - 2, ", ", 2) != 0) end = strstr(end + 1, "at ");
    size_t n = end ? (size_t)(end - a->text) : strlen(a->text) + 1;
    return a->message == b->message && a->span.file == b->span.file && a->span.start == b->span.start && !strncmp(a->text, b->text, n);
}

/* The code that the program says, from both, and the same words. */
static const char *compare_error(const diff_way *found, const diff_way *meant) {
    const base_diag *a = first_error(meant), *b = first_error(found);
    const char *code = meant->program->error;
    if (!a || strcmp(base_messages[a->message].code, code) != 0) return base_printf(found->arena, "%s was expected, but %s", code, messages(meant));
    if (!b || strcmp(base_messages[b->message].code, code) != 0) return base_printf(found->arena, "%s was expected, but %s", code, messages(found));
    if (same_words(a, b)) return NULL;
    return base_printf(found->arena, "%s\ninstead of\n%s", messages(found), messages(meant));
}

const char *diff(diff_way *found, diff_way *meant, const char *dims, diff_fill fill, uint64_t seed) {
    run_once(meant, dims, fill, seed);
    run_once(found, dims, fill, seed);
    if (found->program->error) return compare_error(found, meant);
    if (!meant->ok) return messages(meant);
    if (!found->ok) return messages(found);
    const char *fault = fill == DIFF_FILL_NORMAL ? compare_references(meant, fill) : NULL;
    return fault ? fault : compare_outputs(found, meant, fill);
}

/* ---- all of it, as tests */

typedef struct { const diff_program *program; const diff_target *target; } test_state;

/* A program that has no plan has to be refused by the code it says. */
static const char *expect_refusal(const diff_program *p, const diff_target *target, base_arena *arena) {
    const char *fault;
    if (diff_open(p, target, arena, &fault)) return base_printf(arena, "%s was expected, but it was compiled", p->refused);
    return strstr(fault, p->refused) ? NULL : base_printf(arena, "%s was expected, but %s", p->refused, fault);
}

/* What went wrong with the first run that did, or NULL. */
static const char *run_program(const diff_program *p, const diff_target *target, base_arena *arena) {
    if (p->refused && target->plans) return expect_refusal(p, target, arena);
    const char *fault;
    diff_way *meant = diff_open(p, &diff_evaluator, arena, &fault), *found = fault ? NULL : diff_open(p, target, arena, &fault);
    const uint32_t n_large = target->small ? 0 : p->large.n;
    for (uint32_t d = 0; d < p->dims.n + n_large && !fault; d++)
        for (diff_fill f = 0; f < DIFF_N_FILLS && !fault; f++) {
            const bool large = d >= p->dims.n;
            const char *dims = large ? p->large.at[d - p->dims.n] : p->dims.at[d];
            if (large && f != DIFF_FILL_NORMAL && f != DIFF_FILL_RISING && f != DIFF_FILL_NAN) continue;
            if (!diff_applies(p, target, f)) continue;
            fault = diff(found, meant, dims, f, 1);
            if (fault) fault = base_printf(arena, "%s, inputs %s: %s", dims, diff_fill_name(f), fault);
        }
    if (found) diff_close(found);
    return fault;
}

static void test_program(void **state) {
    const test_state *s = *state;
    const char *why = s->target->unavailable ? s->target->unavailable(s->target) : NULL;
    if (why) {
        print_message("%s cannot run: %s\n", s->target->name, why);
        skip();
    }
    jmp_buf no_memory;
    base_arena *arena = base_arena_create(NULL, &no_memory);
    assert_non_null(arena);
    if (setjmp(no_memory)) fail_msg("out of memory");
    const char *fault = run_program(s->program, s->target, arena);
    if (fault) print_error("%s on %s, %s\n", s->program->name, s->target->name, fault);
    bool ok = !fault;
    base_arena_destroy(arena);
    assert_true(ok);
}

static bool is_wanted(const diff_target *target, const diff_program *p) {
    if (target->unchecked && p->error) return false;
    const char *const *name = target->programs;
    while (name && *name && strcmp(*name, p->name)) name++;
    return !name || *name;
}

int diff_main(const char *name, const char *only, uint32_t n_targets, const diff_target *targets) {
    if (only) cmocka_set_test_filter(only);
    jmp_buf no_memory;
    base_arena *arena = base_arena_create(NULL, &no_memory);
    if (!arena || setjmp(no_memory)) return 1;
    diff_program **programs;
    uint32_t n = diff_catalogue(arena, DIFF_PROGRAMS, &programs), n_tests = 0;
    if (!n) {
        fprintf(stderr, "no programs\n");
        return 1;
    }
    struct CMUnitTest *tests = BASE_ARRAY(arena, (size_t)n * n_targets, struct CMUnitTest);
    for (uint32_t t = 0; t < n_targets; t++)
        for (uint32_t k = 0; k < n; k++) {
            if (!is_wanted(&targets[t], programs[k])) continue;
            test_state *s = BASE_NEW(arena, test_state);
            *s = (test_state){programs[k], &targets[t]};
            tests[n_tests++] = (struct CMUnitTest){base_printf(arena, "%s on %s", programs[k]->name, targets[t].name), test_program, NULL, NULL, s};
        }
    int failed = _cmocka_run_group_tests(name, tests, n_tests, NULL, NULL);
    base_arena_destroy(arena);
    return failed;
}

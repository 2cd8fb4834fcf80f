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

static const char *compare_outputs(const diff_way *found, const diff_way *meant, diff_fill fill) {
    const ir_graph *g = meant->graph;
    for (uint32_t k = 0; k < g->n_outputs; k++) {
        const char *ending = strstr(g->outputs[k].name, "_ref");
        if (fill != DIFF_FILL_NORMAL && ending && !ending[4]) continue;          /* a plainer text may overflow where the passes know better */
        const char *fault = compare_tensors(g->outputs[k].name, &found->frame.value[found->graph->outputs[k].value],
                                            &meant->frame.value[g->outputs[k].value], found->target, fill, found->arena);
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

static const char *compare_error(const diff_way *w) {
    for (const base_diag *d = w->diags->first; d && !w->ok; d = d->next)
        if (!strcmp(base_messages[d->message].code, w->program->error)) return NULL;
    return base_printf(w->arena, "%s was expected, but %s", w->program->error, messages(w));
}

const char *diff(diff_way *found, diff_way *meant, const char *dims, diff_fill fill, uint64_t seed) {
    run_once(meant, dims, fill, seed);
    run_once(found, dims, fill, seed);
    if (found->program->error) {
        const char *fault = compare_error(meant);
        return fault ? fault : compare_error(found);
    }
    if (!meant->ok) return messages(meant);
    if (!found->ok) return messages(found);
    const char *fault = fill == DIFF_FILL_NORMAL ? compare_references(meant, fill) : NULL;
    return fault ? fault : compare_outputs(found, meant, fill);
}

/* ---- all of it, as tests */

typedef struct { const diff_program *program; const diff_target *target; } test_state;

/* What went wrong with the first run that did, or NULL. */
static const char *run_program(const diff_program *p, const diff_target *target, base_arena *arena) {
    const char *fault;
    diff_way *meant = diff_open(p, &diff_evaluator, arena, &fault), *found = fault ? NULL : diff_open(p, target, arena, &fault);
    for (uint32_t d = 0; d < p->dims.n && !fault; d++)
        for (diff_fill f = 0; f < DIFF_N_FILLS && !fault; f++) {
            if (!diff_applies(p, target, f)) continue;
            fault = diff(found, meant, p->dims.at[d], f, 1);
            if (fault) fault = base_printf(arena, "%s, inputs %s: %s", p->dims.at[d], diff_fill_name(f), fault);
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
            if (targets[t].unchecked && programs[k]->error) continue;
            test_state *s = BASE_NEW(arena, test_state);
            *s = (test_state){programs[k], &targets[t]};
            tests[n_tests++] = (struct CMUnitTest){base_printf(arena, "%s on %s", programs[k]->name, targets[t].name), test_program, NULL, NULL, s};
        }
    int failed = _cmocka_run_group_tests(name, tests, n_tests, NULL, NULL);
    base_arena_destroy(arena);
    return failed;
}

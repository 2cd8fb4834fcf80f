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

bool diff_applies(const diff_program *p, diff_fill fill) {
    if (fill == DIFF_FILL_MINUS_INF) return p->infinite.n > 0;
    if (fill == DIFF_FILL_NAN) return p->nan;
    return fill == DIFF_FILL_NORMAL || !p->error;
}

/* ---- one way of running */

typedef struct { bool ok; ir_graph *graph; ir_frame frame; base_diags *diags; } outcome;

static const diff_target evaluator;

static outcome run_on(const diff_program *p, const char *dims, diff_fill fill, uint64_t seed, const diff_target *target, base_arena *arena) {
    outcome o = {.diags = base_diags_create(arena)};
    o.graph = diff_graph(p, arena, o.diags);
    if (!o.graph) return o;
    o.frame = ir_frame_create(o.graph->unit, arena);
    if (!diff_bind(p, o.graph, dims, fill, seed, &o.frame, arena, o.diags)) return o;
    o.ok = target->run(target, o.graph, &o.frame, arena, o.diags);
    return o;
}

static bool run_evaluator(const diff_target *self, ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    (void)self;
    return ir_graph_eval(g, frame, arena, diags);
}
static const diff_target evaluator = {.name = "eval", .run = run_evaluator};

/* ---- comparing */

static const char *messages(const outcome *o, base_arena *arena) {
    base_text t;
    base_text_init(&t, arena);
    for (const base_diag *d = o->diags->first; d; d = d->next) base_diag_print(o->diags, d, false, &t);
    return t.n ? t.at : "nothing was reported";
}

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

static const char *compare_outputs(const outcome *found, const outcome *meant, const diff_target *target, diff_fill fill, base_arena *arena) {
    const ir_graph *g = meant->graph;
    for (uint32_t k = 0; k < g->n_outputs; k++) {
        const char *ending = strstr(g->outputs[k].name, "_ref");
        if (fill != DIFF_FILL_NORMAL && ending && !ending[4]) continue;          /* a plainer text may overflow where the passes know better */
        const char *fault = compare_tensors(g->outputs[k].name, &found->frame.value[found->graph->outputs[k].value],
                                            &meant->frame.value[g->outputs[k].value], target, fill, arena);
        if (fault) return fault;
    }
    return NULL;
}

/* An output X_ref is another text for the output X: the evaluator itself has to give both alike. */
static const char *compare_references(const outcome *o, diff_fill fill, base_arena *arena) {
    const ir_graph *g = o->graph;
    for (uint32_t a = 0; a < g->n_outputs; a++)
        for (uint32_t b = 0; b < g->n_outputs; b++) {
            size_t n = strlen(g->outputs[a].name);
            if (strncmp(g->outputs[a].name, g->outputs[b].name, n) != 0 || strcmp(g->outputs[b].name + n, "_ref") != 0) continue;
            diff_target f32 = evaluator;                  /* outputs are rounded */
            f32.precision = DIFF_SINGLE;
            const char *fault = compare_tensors(g->outputs[a].name, &o->frame.value[g->outputs[a].value], &o->frame.value[g->outputs[b].value], &f32, fill, arena);
            if (fault) return base_printf(arena, "against its reference: %s", fault);
        }
    return NULL;
}

static bool reported(const outcome *o, const char *code) {
    for (const base_diag *d = o->diags->first; d; d = d->next)
        if (!strcmp(base_messages[d->message].code, code)) return true;
    return false;
}

static const char *compare_errors(const diff_program *p, const outcome *o, const char *who, base_arena *arena) {
    if (o->ok) return base_printf(arena, "%s: %s was expected", who, p->error);
    return reported(o, p->error) ? NULL : base_printf(arena, "%s: %s was expected, but:\n%s", who, p->error, messages(o, arena));
}

const char *diff(const diff_program *p, const char *dims, diff_fill fill, uint64_t seed, const diff_target *target, base_arena *arena) {
    outcome meant = run_on(p, dims, fill, seed, &evaluator, arena);
    if (p->error) {
        const char *fault = compare_errors(p, &meant, "eval", arena);
        if (fault) return fault;
    } else if (!meant.ok) return base_printf(arena, "eval: %s", messages(&meant, arena));
    if (!p->error && fill == DIFF_FILL_NORMAL) {
        const char *fault = compare_references(&meant, fill, arena);
        if (fault) return fault;
    }
    outcome found = run_on(p, dims, fill, seed, target, arena);
    if (p->error) return compare_errors(p, &found, target->name, arena);
    if (!found.ok) return messages(&found, arena);
    return compare_outputs(&found, &meant, target, fill, arena);
}

/* ---- all of it, as tests */

typedef struct { const diff_program *program; const diff_target *target; } test_state;

static void run_one(const diff_program *p, const char *dims, diff_fill fill, const diff_target *target) {
    jmp_buf no_memory;
    base_arena *arena = base_arena_create(NULL, &no_memory);
    assert_non_null(arena);
    if (setjmp(no_memory)) fail_msg("out of memory");
    const char *fault = diff(p, dims, fill, 1, target, arena);
    if (fault) print_error("%s on %s, %s, inputs %s: %s\n", p->name, target->name, dims, diff_fill_name(fill), fault);
    bool ok = !fault;
    base_arena_destroy(arena);
    assert_true(ok);
}

static void test_program(void **state) {
    const test_state *s = *state;
    const char *why = s->target->unavailable ? s->target->unavailable(s->target) : NULL;
    if (why) {
        print_message("%s cannot run: %s\n", s->target->name, why);
        skip();
    }
    for (uint32_t d = 0; d < s->program->dims.n; d++)
        for (diff_fill f = 0; f < DIFF_N_FILLS; f++)
            if (diff_applies(s->program, f)) run_one(s->program, s->program->dims.at[d], f, s->target);
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

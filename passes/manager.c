/* Runs the table of passes: verifies what each one leaves, times and dumps it, stops at the first error or after the pass asked for. */
#include <string.h>
#include <time.h>
#include "passes.h"

/* What the state holds: each level needs those before it, so they compare in order. */
typedef enum { LEVEL_GRAPH, LEVEL_KERNELS, LEVEL_SCHEDULES, LEVEL_PLAN } level;
typedef struct {
    const char *name;
    bool (*run)(pass_state *state);
    level before, after;         /* before: what must be there; after: what is verified when it has run */
    const char *does;
} pass_row;

/* The table is passes.def: this file names no pass. */
static const pass_row rows[] = {
#define PASS(name, before, after, does) { #name, pass_##name, LEVEL_##before, LEVEL_##after, does },
#include "passes.def"
};
enum { N_ROWS = sizeof rows / sizeof *rows };

uint32_t pass_count(void) { return N_ROWS; }
const char *pass_name(uint32_t k) { return k < N_ROWS ? rows[k].name : NULL; }
const char *pass_does(uint32_t k) { return k < N_ROWS ? rows[k].does : NULL; }
bool pass_exists(const char *name) {
    for (uint32_t i = 0; i < N_ROWS; i++)
        if (!strcmp(rows[i].name, name)) return true;
    return false;
}

/* A level is reached once its pointer is set, also if there are no kernels: `lower` leaves a pointer then too. */
static bool reached(const pass_state *s, level l) {
    switch (l) {
    case LEVEL_GRAPH: return s->graph != NULL;
    case LEVEL_KERNELS: return s->kernels != NULL;
    case LEVEL_SCHEDULES: return s->schedules != NULL;
    default: return s->plan != NULL;
    }
}

/* What the pass has left must keep the rules of its level. */
/* A pass that ran and left nothing is a bug of the compiler, not of the program: it is reported as such, with the pass's name. */
static bool verify(const pass_state *s, const pass_row *row) {
    if (!reached(s, row->after)) {
        base_report(s->diags, BASE_MSG_INTERNAL_IR, (base_span){ 0 }, base_printf(s->arena, "pass %s left nothing", row->name));
        return false;
    }
    /* the graph is only verified while passes rewrite it: later ones leave it as it is */
    if (row->after == LEVEL_GRAPH) return ir_graph_verify(s->graph, row->name);
    for (uint32_t i = 0; i < s->n_kernels; i++)
        if (!ir_kernel_verify(s->kernels[i])) return false;
    for (uint32_t i = 0; i < s->n_kernels && row->after >= LEVEL_SCHEDULES; i++)
        if (!ir_schedule_verify(s->schedules[i])) return false;
    /* what earlier levels left is verified again after each later pass, which holds pointers to it */
    return row->after < LEVEL_PLAN || ir_plan_verify(s->plan);
}

/* Seconds of a clock that nobody sets back. */
static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void count_node(void *env, const ir_node *node, uint32_t depth) {
    (void)depth;
    if (node->form == IR_FORM_MAP) ++*(uint32_t *)env;
}

/* Nodes are maps, loops' bodies included: what can become a kernel. */
static void note(const pass_state *s, const pass_options *o, const pass_row *row, double seconds) {
    pass_timing t = { row->name, seconds, 0, s->n_kernels };
    ir_graph_each(s->graph, count_node, &t.nodes);
    if (o->timings) BASE_PUSH(s->arena, o->timings, t);
    if (o->dump) o->dump(o->env, row->name, s);
}

/* A pass fails by its result or by an error that it reported, also where it went on. The time is the pass's own, without the verifier. */
static bool run_one(pass_state *s, const pass_options *o, const pass_row *row) {
    /* only errors that this pass adds count against it */
    uint32_t errors = s->diags->n_errors;
    double start = now();
    /* short circuit: a pass whose level is not there is not run, and says nothing */
    bool ok = reached(s, row->before) && row->run(s) && s->diags->n_errors == errors;
    double seconds = now() - start;
    if (!ok) return false;
    if (!verify(s, row)) return false;
    note(s, o, row, seconds);
    return true;
}

/* Rows run in the order of the table. A name in stop_after that is none runs them all: who takes it from a user asks pass_exists first. */
bool pass_run_all(pass_state *state, const pass_options *options) {
    for (uint32_t i = 0; i < N_ROWS; i++) {
        if (!run_one(state, options, &rows[i])) return false;
        if (options->stop_after && !strcmp(options->stop_after, rows[i].name)) return true;
    }
    return true;
}

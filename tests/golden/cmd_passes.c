/* Commands that run passes on IR text, for the machine that the tests agree on. */
#include <string.h>
#include "diff.h"
#include "golden_ir.h"
#include "passes.h"

static void print_remarks(const pass_state *state, base_text *out) {
    for (uint32_t k = 0; k < state->remarks.n; k++) base_text_add(out, "# %s\n", state->remarks.at[k].text);
}

static void print_state(const pass_state *state, base_text *out) {
    pass_state_print(state, out);
    print_remarks(state, out);
}

static bool known(golden_run *run) {
    if (pass_exists(run->args)) return true;
    golden_fail(run, "there is no pass '%s'", run->args);
    return false;
}

static void until(golden_run *run, const ir_target *target) {
    ir_graph *g = golden_graph(run);
    if (!g || !known(run)) return;
    pass_state state = {.arena = run->arena, .diags = run->diags, .target = target, .graph = g};
    if (!pass_run_all(&state, &(pass_options){.stop_after = run->args})) return;
    if (!state.kernels) golden_round_trip(run, state.graph);
    print_state(&state, run->out);
}

/* until NAME: all passes of the table up to this one. */
void golden_until(golden_run *run) { until(run, &diff_machine); }

/* panels NAME: the same on a machine whose products are best in packed panels. */
void golden_panels(golden_run *run) {
    ir_target target = diff_machine;
    target.contract_rate = 2 * target.matmul_rate;
    target.fma_latency = 4;
    target.fma_ports = target.load_ports = 2;
    target.l2_bytes = 1 << 20;
    until(run, &target);
}

/* split NAME: the same on a machine that cuts columns into parts of two at least, wherever they can be cut. */
void golden_split(golden_run *run) {
    ir_target target = diff_machine;
    target.attend_rate = target.matmul_rate;
    target.split_columns = 2;
    until(run, &target);
}

typedef struct { const char *name; bool (*run)(pass_state *state); bool needs_graph; } row;
static const row rows[] = {
#define NEEDS_GRAPH true
#define NEEDS_KERNELS false
#define NEEDS_SCHEDULES false
#define PASS(name, before, after, does) {#name, pass_##name, NEEDS_##before},
#include "passes.def"
};

/* pass NAME: this pass alone; it must be one that a graph is enough for. */
void golden_pass(golden_run *run) {
    ir_graph *g = golden_graph(run);
    if (!g || !known(run)) return;
    pass_state state = {.arena = run->arena, .diags = run->diags, .target = &diff_machine, .graph = g};
    for (uint32_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        if (strcmp(rows[k].name, run->args)) continue;
        if (!rows[k].needs_graph) golden_fail(run, "pass '%s' needs more than a graph: use `until`", run->args);
        if (!rows[k].needs_graph || !rows[k].run(&state)) return;
    }
    if (!state.kernels && ir_graph_verify(state.graph, run->args)) golden_round_trip(run, state.graph);
    print_state(&state, run->out);
}

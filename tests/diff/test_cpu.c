/* The CPU backend: every map of a program as machine code, for this machine and for narrower ones. */
#include <stdlib.h>
#include "cpu.h"
#include "diff.h"
#include "native.h"
#include "passes.h"

typedef struct {
    native how;
    const ir_graph *graph;
    base_arena *arena;
    base_diags *diags;
} running;

static bool run_map(void *env, const ir_node *map, ir_frame *frame, const int64_t *var) {
    running *r = env;
    const ir_kernel *k = pass_lower_node(r->graph->unit, map);
    if (!k) return false;
    int64_t *counters = BASE_ARRAY(r->arena, k->n_counters + 1, int64_t);
    for (uint32_t c = 0; c < k->n_counters; c++) counters[c] = var[k->counters[c]];
    return native_run(&r->how, k, frame, counters, r->arena, r->diags);
}

static bool run(const diff_target *self, ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    const ir_target *target = cpu_target(self->env, arena);
    rt_device *device = cpu_device_create(&native_serial);
    if (!target || !device) abort();
    running r = {{cpu_backend(), target, device}, g, arena, diags};
    const bool ok = ir_graph_eval_with(g, frame, arena, diags, run_map, &r);
    cpu_device_destroy(device);
    return ok;
}

static const char *missing(const diff_target *self) {
    (void)self;
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? NULL : "this machine has no AVX2";
#else
    return "this machine is no x86";
#endif
}

int main(int argc, char **argv) {
    const diff_target targets[] = {
        {.name = "cpu", .precision = DIFF_SINGLE, .run = run, .unchecked = true},
        {.name = "cpu avx2", .precision = DIFF_SINGLE, .run = run, .env = "x86-64-v3", .unavailable = missing, .unchecked = true},
    };
    return diff_main("cpu", argc > 1 ? argv[1] : NULL, 2, targets);
}

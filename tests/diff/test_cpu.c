/* The CPU backend: every map of a program as machine code, for this machine and for narrower ones. */
#include <stdlib.h>
#include "cpu.h"
#include "diff.h"
#include "native.h"
#include "rt.h"
#include "passes.h"

typedef struct {                 /* one program: each map is compiled when it is first met */
    native how;
    const ir_graph *graph;
    base_arena *arena;
    base_diags *diags;
    base_map *at;                /* place in kernels by the name of the first result */
    struct { const ir_kernel *k; native_kernel *native; } kernels[64];
    uint32_t n;
} running;

static const char *name_of(const running *r, const ir_node *map) { return r->graph->unit->value.at[map->map.results[0].store.result].name; }

static bool compile(running *r, const ir_node *map, uint32_t *at) {
    if (base_map_get(r->at, name_of(r, map), at)) return true;
    const ir_kernel *k = pass_lower_node(r->graph->unit, map);
    if (!k || r->n == sizeof r->kernels / sizeof *r->kernels) return false;
    r->kernels[r->n].k = k;
    r->kernels[r->n].native = native_open(&r->how, k, r->arena, r->diags);
    if (!r->kernels[r->n].native) return false;
    base_map_put(r->at, name_of(r, map), *at = r->n++);
    return true;
}

static bool run_map(void *env, const ir_node *map, ir_frame *frame, const int64_t *var) {
    running *r = env;
    uint32_t at;
    if (!compile(r, map, &at)) return false;
    const ir_kernel *k = r->kernels[at].k;
    int64_t *counters = BASE_ARRAY(r->arena, k->n_counters + 1, int64_t);
    for (uint32_t c = 0; c < k->n_counters; c++) counters[c] = var[k->counters[c]];
    return native_launch(r->kernels[at].native, frame, counters, r->arena, r->diags);
}

static void *open_program(const diff_target *self, ir_graph *g, base_arena *arena, base_diags *diags) {
    const ir_target *target = cpu_target(self->env, arena);
    rt_host *host = BASE_NEW(arena, rt_host);
    rt_host_init(host, &native_serial, NULL);
    if (!target) abort();
    running *r = BASE_NEW(arena, running);
    *r = (running){.how = {cpu_backend(), target, &host->device}, .graph = g, .arena = arena, .diags = diags, .at = base_map_create(arena)};
    return r;
}

static bool run(const diff_target *self, void *opened, ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    (void)self;
    return ir_graph_eval_with(g, frame, arena, diags, run_map, opened);
}

static void close_program(const diff_target *self, void *opened) {
    (void)self;
    running *r = opened;
    for (uint32_t k = 0; k < r->n; k++) native_close(r->kernels[k].native);
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
        {.name = "cpu", .precision = DIFF_SINGLE, .open = open_program, .run = run, .close = close_program, .unchecked = true},
        {.name = "cpu avx2", .precision = DIFF_SINGLE, .open = open_program, .run = run, .close = close_program, .env = "x86-64-v3", .unavailable = missing, .unchecked = true},
    };
    return diff_main("cpu", argc > 1 ? argv[1] : NULL, 2, targets);
}

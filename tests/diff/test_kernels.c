/* Kernels run literally: each map lowered as it stands, and the graph after all passes. Plain, in blocks, columns split and merged. */
#include <string.h>
#include "diff.h"
#include "passes.h"

typedef struct { ir_interp_mode mode; } literal;
typedef struct {
    const ir_graph *graph;
    const diff_target *target;
    base_arena *arena;
    base_diags *diags;
    base_map *kernels;           /* maps lowered so far, by the name of their first result */
    BASE_VEC(ir_kernel *) lowered;
} lowering;

static ir_kernel *kernel_for(lowering *l, const ir_node *map) {
    const char *name = l->graph->unit->value.at[map->map.results[0].store.result].name;
    uint32_t k;
    if (base_map_get(l->kernels, name, &k)) return l->lowered.at[k];
    ir_kernel *kernel = pass_lower_node(l->graph->unit, map);
    if (!kernel || !ir_kernel_verify(kernel)) return NULL;
    base_map_put(l->kernels, name, BASE_PUSH(l->arena, &l->lowered, kernel));
    return kernel;
}

static bool run_map(void *env, const ir_node *map, ir_frame *frame, const int64_t *var) {
    lowering *l = env;
    const literal *how = l->target->env;
    ir_kernel *k = kernel_for(l, map);
    if (!k) return false;
    int64_t *counters = BASE_ARRAY(l->arena, k->n_counters + 1, int64_t);
    for (uint32_t c = 0; c < k->n_counters; c++) counters[c] = var[k->counters[c]];
    return ir_kernel_run(k, frame, counters, how->mode, l->arena, l->diags);
}

static bool run_literally(const diff_target *self, ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    lowering l = {.graph = g, .target = self, .arena = arena, .diags = diags, .kernels = base_map_create(arena)};
    return ir_graph_eval_with(g, frame, arena, diags, run_map, &l);
}

int main(int argc, char **argv) {
    static const literal plain = {IR_INTERP_PLAIN}, blocks = {IR_INTERP_BLOCKS}, split = {IR_INTERP_SPLIT};
    const diff_target targets[] = {
        {.name = "kernels", .run = run_literally, .env = &plain},
        {.name = "kernels in blocks", .run = run_literally, .env = &blocks},
        {.name = "kernels split", .run = run_literally, .env = &split},
    };
    return diff_main("kernels", argc > 1 ? argv[1] : NULL, 3, targets);
}

/* Kernels run literally: each map lowered as it stands, and the graph after the passes. Plain, in blocks, columns split and merged.
 * On the way: every kernel keeps to the rules, its text reads back, and a program has as many kernels as it says. */
#include <string.h>
#include "diff.h"
#include "passes.h"

typedef struct { ir_interp_mode mode; bool passes; } literal;
typedef struct {
    const ir_graph *graph;
    const literal *how;
    base_arena *arena;
    base_diags *diags;
    base_map *kernels;           /* by the name of the first result */
    BASE_VEC(ir_kernel *) lowered;
} lowering;

static const char *result_name(const ir_graph *g, const ir_node *map) { return g->unit->value.at[map->map.results[0].store.result].name; }

static const char *text_of(const ir_kernel *k, base_arena *arena) {
    base_text t;
    base_text_init(&t, arena);
    ir_kernel_print(k, &t);
    return t.at;
}

static bool text_reads_back(const ir_kernel *k, base_arena *arena, base_diags *diags) {
    const char *text = text_of(k, arena);
    ir_kernel *again = ir_kernel_read(arena, diags, base_file_add(diags, k->name, text, strlen(text)));
    if (!again) return false;
    const char *other = text_of(again, arena);
    if (!strcmp(text, other)) return true;
    base_report(diags, BASE_MSG_INTERNAL_IR, (base_span){0}, base_printf(arena, "kernel text\n%sreads back as\n%s", text, other));
    return false;
}

static bool add_kernel(lowering *l, const ir_node *map, ir_kernel *k) {
    if (!k || !ir_kernel_verify(k) || !text_reads_back(k, l->arena, l->diags)) return false;
    base_map_put(l->kernels, result_name(l->graph, map), BASE_PUSH(l->arena, &l->lowered, k));
    return true;
}

static bool run_map(void *env, const ir_node *map, ir_frame *frame, const int64_t *var) {
    lowering *l = env;
    uint32_t at;
    if (!base_map_get(l->kernels, result_name(l->graph, map), &at)) {
        if (!add_kernel(l, map, pass_lower_node(l->graph->unit, map))) return false;
        at = l->lowered.n - 1;
    }
    const ir_kernel *k = l->lowered.at[at];
    int64_t *counters = BASE_ARRAY(l->arena, k->n_counters + 1, int64_t);
    for (uint32_t c = 0; c < k->n_counters; c++) counters[c] = var[k->counters[c]];
    return ir_kernel_run(k, frame, counters, l->how->mode, l->arena, l->diags);
}

/* ---- after the passes */

typedef struct { lowering *l; const pass_state *state; uint32_t next; bool ok; } taking;

static void take_kernel(void *env, const ir_node *node, uint32_t depth) {
    (void)depth;
    taking *t = env;
    if (node->form == IR_FORM_CHECK) t->next += 2;
    if (node->form == IR_FORM_MAP) t->ok &= add_kernel(t->l, node, t->state->kernels[t->next++]);
}

static bool run_passes(lowering *l, ir_graph *g) {
    pass_state state = {.arena = l->arena, .diags = l->diags, .target = &diff_machine, .graph = g};
    if (!pass_run_all(&state, &(pass_options){.stop_after = "lower"})) return false;
    l->graph = state.graph;
    taking t = {l, &state, 0, true};
    ir_graph_each(state.graph, take_kernel, &t);
    return t.ok;
}

/* ---- the target */

static void *open_program(const diff_target *self, ir_graph *g, base_arena *arena, base_diags *diags) {
    lowering *l = BASE_NEW(arena, lowering);
    *l = (lowering){.graph = g, .how = self->env, .arena = arena, .diags = diags, .kernels = base_map_create(arena)};
    return l->how->passes && !run_passes(l, g) ? NULL : l;
}

static bool run_program(const diff_target *self, void *opened, ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    (void)self;
    lowering *l = opened;
    if (!ir_graph_eval_with(l->graph, frame, arena, diags, run_map, l)) return false;
    for (uint32_t k = 0; k < g->n_outputs; k++) frame->value[g->outputs[k].value] = frame->value[l->graph->outputs[k].value];
    return true;
}

int main(int argc, char **argv) {
    static const literal how[] = {{IR_INTERP_PLAIN, false}, {IR_INTERP_BLOCKS, false}, {IR_INTERP_SPLIT, false}, {IR_INTERP_PLAIN, true}, {IR_INTERP_SPLIT, true}};
    const diff_target targets[] = {
        {.name = "kernels", .open = open_program, .run = run_program, .env = &how[0], .small = true},
        {.name = "kernels in blocks", .open = open_program, .run = run_program, .env = &how[1], .small = true},
        {.name = "kernels split", .open = open_program, .run = run_program, .env = &how[2], .small = true},
        {.name = "fused kernels", .open = open_program, .run = run_program, .env = &how[3], .small = true},
        {.name = "fused kernels split", .open = open_program, .run = run_program, .env = &how[4], .small = true},
    };
    return diff_main("kernels", argc > 1 ? argv[1] : NULL, 5, targets);
}

/* The CUDA backend: every map of a program as CUDA C, compiled by the host's compiler over emulated primitives. */
#include "diff.h"
#include "emulated.h"

static bool run(const diff_target *self, void *opened, ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    (void)self;
    (void)opened;
    emulated_reset();
    return emulated_graph_eval(g, frame, arena, diags);
}

int main(int argc, char **argv) {
    const diff_target targets[] = {{.name = "cuda emulated", .precision = DIFF_SINGLE, .run = run, .unchecked = true}};
    return diff_main("cuda", argc > 1 ? argv[1] : NULL, 1, targets);
}

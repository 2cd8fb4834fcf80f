/* Columns split wherever they can be: into parts of one column and into parts of a few, merged by kernels of their own, also with odd tiles and
 * blocks. What the pass `split` chooses by itself needs
 * long columns, which no program of the harness has. */
#include "cpus.h"

int main(int argc, char **argv) {
    static const plan_machine machines[] = {
        {.backend = cpus_backend, .columns = 1},
        {.backend = cpus_backend, .columns = 4},
        {.backend = cpus_backend, .columns = 2, .keys = 3, .vectors = 3, .block = 7, .rows = 3, .tile = 7, .features = 5},
    };
    const diff_target targets[] = {plan_target("split 1", &machines[0]), plan_target("split 4", &machines[1]), plan_target("split 2, 3 x 3", &machines[2])};
    return diff_main("plan with split columns", argc > 1 ? argv[1] : NULL, sizeof targets / sizeof *targets, targets);
}

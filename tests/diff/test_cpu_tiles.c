/* Attention, and products in panels, with register tiles and blocks of sizes that no rule gives: the least there are, odd ones, and the largest. References follow with the
 * first of them and lag with the others, also where that is slower. What the schedule chooses is run by cpu_plan (8 x 2 vectors) and cpu_plan_narrow (4 x 2). */
#include "cpus.h"

int main(int argc, char **argv) {
    static const plan_machine machines[] = {
        {.backend = cpus_backend, .keys = 1, .vectors = 1, .block = 1, .reference = IR_REF_EXACT, .rows = 1, .tile = 1, .features = 1},
        {.backend = cpus_backend, .keys = 3, .vectors = 3, .block = 7, .reference = IR_REF_LAGGING, .rows = 3, .tile = 7, .features = 5},
        {.backend = cpus_backend, .keys = 8, .vectors = 4, .block = 40, .reference = IR_REF_LAGGING, .rows = 6, .tile = 40, .features = 16},
    };
    const diff_target targets[] = {plan_target("plan 1 x 1", &machines[0]), plan_target("plan 3 x 3", &machines[1]), plan_target("plan 8 x 4", &machines[2])};
    return diff_main("plan with other tiles", argc > 1 ? argv[1] : NULL, sizeof targets / sizeof *targets, targets);
}

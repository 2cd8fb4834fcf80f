/* The template of few rows on every program that it can take, whatever its rows: items of one row, of an odd number and of the most, blocks of columns that are left
 * after one vector, with AVX-512, with AVX2 and with SSE2. */
#include "cpus.h"

int main(int argc, char **argv) {
    static const plan_machine machines[] = {
        {.backend = cpus_backend, .few = 1, .few_columns = 1, .block = 1},
        {.backend = cpus_backend, .few = 3, .few_columns = 2, .block = 40},
        {.backend = cpus_backend, .arch = "x86-64-v3", .missing = cpus_no_avx2, .few = 8, .few_columns = 8, .block = 16},
        {.backend = cpus_backend, .arch = "x86-64", .missing = cpus_no_x86, .few = 5, .block = 24},
    };
    const diff_target targets[] = {plan_target("few 1 x 1", &machines[0]), plan_target("few 3 x 2", &machines[1]), plan_target("few 8 x 8, x86-64-v3", &machines[2]),
                                   plan_target("few 5, x86-64", &machines[3])};
    return diff_main("plan with few rows", argc > 1 ? argv[1] : NULL, sizeof targets / sizeof *targets, targets);
}

/* Attentions put together by chance (random.c) as compiled plans: each on this CPU as the schedule has it, and on one more machine, in turn.
 *
 *   diff_test_cpu_random                       the programs that ctest runs
 *   diff_test_cpu_random 500 1000              500 programs from number 1000 on
 *   diff_test_cpu_random 1 1017 --print        one of them, in full */
#include "cpus.h"
#include "random.h"

static const plan_machine machines[] = {
    {.name = "this CPU", .backend = cpus_backend},
    {.name = "AVX2", .backend = cpus_backend, .arch = "x86-64-v3", .missing = cpus_no_avx2},
    {.name = "tiles 1 x 1", .backend = cpus_backend, .keys = 1, .vectors = 1, .block = 1, .reference = IR_REF_EXACT, .rows = 1, .tile = 1, .features = 1},
    {.name = "tiles 3 x 3", .backend = cpus_backend, .keys = 3, .vectors = 3, .block = 7, .reference = IR_REF_LAGGING, .rows = 3, .tile = 7, .features = 5},
    {.name = "tiles 8 x 4", .backend = cpus_backend, .keys = 8, .vectors = 4, .block = 40, .rows = 6, .tile = 40, .features = 16},
    {.name = "few 1 x 1", .backend = cpus_backend, .few = 1, .few_columns = 1, .block = 1},
    {.name = "few 3 x 2", .backend = cpus_backend, .few = 3, .few_columns = 2, .block = 40},
    {.name = "few 8 x 8, AVX2", .backend = cpus_backend, .arch = "x86-64-v3", .missing = cpus_no_avx2, .few = 8, .few_columns = 8, .block = 16},
    {.name = "parts, tiles 3 x 2", .backend = cpus_backend, .columns = 2, .keys = 3, .vectors = 2, .block = 5, .rows = 2, .tile = 9, .features = 3},
};

int main(int argc, char **argv) { return random_main(argc, argv, "random attentions", 60, sizeof machines / sizeof *machines, machines); }

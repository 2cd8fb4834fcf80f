/* The template of few rows on every program that it can take, whatever its rows: items of one row, of an odd number and of the most, blocks of columns that are left
 * after one vector, with AVX-512, with AVX2 and with SSE2. */
#include "cpu.h"
#include "plan.h"

static const ir_backend *backend(base_arena *arena) {
    (void)arena;
    return cpu_backend();
}

static const char *no_avx2(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? NULL : "this machine has no AVX2";
#else
    return "this machine is no x86";
#endif
}
static const char *no_x86(void) {
#if defined(__x86_64__)
    return NULL;
#else
    return "this machine is no x86";
#endif
}

int main(int argc, char **argv) {
    static const plan_machine machines[] = {
        {.backend = backend, .few = 1, .few_columns = 1, .block = 1},
        {.backend = backend, .few = 3, .few_columns = 2, .block = 40},
        {.backend = backend, .arch = "x86-64-v3", .missing = no_avx2, .few = 8, .few_columns = 8, .block = 16},
        {.backend = backend, .arch = "x86-64", .missing = no_x86, .few = 5, .block = 24},
    };
    const diff_target targets[] = {plan_target("few 1 x 1", &machines[0]), plan_target("few 3 x 2", &machines[1]), plan_target("few 8 x 8, x86-64-v3", &machines[2]),
                                   plan_target("few 5, x86-64", &machines[3])};
    return diff_main("plan with few rows", argc > 1 ? argv[1] : NULL, sizeof targets / sizeof *targets, targets);
}

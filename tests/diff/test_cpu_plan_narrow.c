/* The compiled plan for narrower CPUs than this one: what AVX2 alone gives, and the x86-64 that every such CPU has. */
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
    static const plan_machine avx2 = {.backend = backend, .arch = "x86-64-v3", .missing = no_avx2}, baseline = {.backend = backend, .arch = "x86-64", .missing = no_x86};
    const diff_target targets[] = {plan_target("plan avx2", &avx2), plan_target("plan x86-64", &baseline)};
    return diff_main("plan on other CPUs", argc > 1 ? argv[1] : NULL, 2, targets);
}

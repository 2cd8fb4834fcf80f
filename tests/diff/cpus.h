/* For the tests of the CPU's plans: its backend, and whether this machine can run what is compiled for narrower ones. */
#ifndef ATTN_DIFF_CPUS_H
#define ATTN_DIFF_CPUS_H
#include "cpu.h"
#include "plan.h"

static inline const ir_backend *cpus_backend(base_arena *arena) {
    (void)arena;
    return cpu_backend();
}

/* NULL, or why not. */
static inline const char *cpus_no_x86(void) {
#if defined(__x86_64__)
    return NULL;
#else
    return "this machine is no x86";
#endif
}
static inline const char *cpus_no_avx2(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? NULL : "this machine has no AVX2";
#else
    return cpus_no_x86();
#endif
}
#endif

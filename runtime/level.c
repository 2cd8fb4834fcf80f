/* CPU levels: read from CPUID bits, never from a name. A level counts only if every feature of it is there: one bit missing (a
 * hypervisor may hide it) takes the level below.
 */
#include "rt.h"

const char *const rt_level_names[RT_N_LEVELS] = {
#define LEVEL(id, text) text,
#include "levels.def"
};

#if defined(__x86_64__)
/* The compiler's own table knows the bits, and that the system must save wide registers. */
static bool has_v3(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

static bool has_v4(void) {
    return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd");
}
#endif

rt_level rt_level_here(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (has_v4()) return RT_LEVEL_X86_64_V4;
    if (has_v3()) return RT_LEVEL_X86_64_V3;
    return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt") ? RT_LEVEL_X86_64_V2 : RT_LEVEL_X86_64;
#elif defined(__aarch64__)
    return RT_LEVEL_AARCH64;
#else
    return RT_LEVEL_ANY;
#endif
}

/* Levels of one architecture contain each other, in the order of the table; those of different ones never do. */
bool rt_level_runs(rt_level needed) {
    rt_level here = rt_level_here();
    if (needed == RT_LEVEL_ANY || needed == here) return true;
    return needed < here && here <= RT_LEVEL_X86_64_V4;
}

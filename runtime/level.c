/* CPU levels: read from CPUID bits, never from a name. A level counts only if every feature of it is there: one bit missing (a
 * hypervisor may hide it) takes the level below. The bits are asked for here and not of the compiler's run time, which a shared object that was
 * linked without a compiler does not have.
 */
#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include "rt.h"

const char *const rt_level_names[RT_N_LEVELS] = {
#define LEVEL(id, text) text,
#include "levels.def"
};

#if defined(__x86_64__)
/* Words of CPUID, and the registers that the system saves when threads take turns: wide ones that it does not save are of no use. */
typedef struct { uint32_t c1, b7, c81; uint64_t saved; } cpu;
enum { SSSE3 = 1 << 9, FMA = 1 << 12, SSE42 = 1 << 20, POPCNT = 1 << 23, OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29 };        /* c1 */
enum { BMI1 = 1 << 3, AVX2 = 1 << 5, BMI2 = 1 << 8, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512CD = 1 << 28, AVX512BW = 1 << 30 };    /* b7 */
#define AVX512VL (1u << 31)
enum { LZCNT = 1 << 5 };                     /* c81 */
enum { YMM = 0x06, ZMM = 0xe6 };             /* saved */

static cpu this_cpu(void) {
    uint32_t a, b, c, d;
    cpu out = {0};
    if (__get_cpuid(1, &a, &b, &c, &d)) out.c1 = c;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) out.b7 = b;
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) out.c81 = c;
    /* The instruction is there if the system uses it. */
    if (!(out.c1 & OSXSAVE)) return out;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    out.saved = (uint64_t)d << 32 | a;
    return out;
}

static bool has(uint64_t found, uint64_t wanted) { return (found & wanted) == wanted; }

static bool has_v2(const cpu *c) { return has(c->c1, SSSE3 | SSE42 | POPCNT); }
static bool has_v3(const cpu *c) {
    return has_v2(c) && has(c->c1, AVX | FMA | F16C) && has(c->b7, AVX2 | BMI1 | BMI2) && has(c->c81, LZCNT) && has(c->saved, YMM);
}
static bool has_v4(const cpu *c) {
    return has_v3(c) && has(c->b7, (uint32_t)(AVX512F | AVX512DQ | AVX512CD | AVX512BW) | AVX512VL) && has(c->saved, ZMM);
}
#endif

rt_level rt_level_here(void) {
#if defined(__x86_64__)
    const cpu c = this_cpu();
    return has_v4(&c) ? RT_LEVEL_X86_64_V4 : has_v3(&c) ? RT_LEVEL_X86_64_V3 : has_v2(&c) ? RT_LEVEL_X86_64_V2 : RT_LEVEL_X86_64;
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

/* Descriptions of CPUs. A level is a name and a feature string that belong together: LLVM aborts where a name promises less than
 * the code needs, so both always travel together; the host's level is the runtime's to find (level.c). */
#include <string.h>
#include <unistd.h>
#include "cpu.h"
#include "rt.h"

typedef struct {
    rt_level level;
    const char *triple, *cpu, *features; /* LLVM's names of the same */
    int32_t lanes, regs;         /* f32 per vector register; vector registers */
    double flops_per_cycle;          /* f32, of one core */
    int32_t fma_latency, fma_ports, load_ports;
} level;

#define X86_64 "x86_64-unknown-linux-gnu"
static const level levels[] = {
    {RT_LEVEL_X86_64_V4, X86_64, "x86-64-v4", "+avx512f,+avx512bw,+avx512dq,+avx512vl,+avx512cd,+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+popcnt", 16, 32, 64, 4, 2, 2},
    {RT_LEVEL_X86_64_V3, X86_64, "x86-64-v3", "+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+popcnt", 8, 16, 32, 4, 2, 2},
    {RT_LEVEL_X86_64_V2, X86_64, "x86-64-v2", "+sse4.2,+popcnt,+ssse3", 4, 16, 8, 4, 1, 2},
    {RT_LEVEL_X86_64, X86_64, "x86-64", "+sse2", 4, 16, 8, 4, 1, 2},
    {RT_LEVEL_AARCH64, "aarch64-unknown-linux-gnu", "generic", "+neon,+fp-armv8", 4, 32, 16, 4, 2, 2},
};

/* Users call a level by its exact name. NULL: unknown, which the caller reports. */
static const level *level_find(const char *arch) {
    const char *name = arch ? arch : rt_level_names[rt_level_here()];
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (strcmp(rt_level_names[levels[i].level], name) == 0) return &levels[i];
    return NULL;
}

/* Bounded on both sides: sysconf answers -1 where it does not know. */
static int32_t host_cores(void) {
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 4096 ? 4096 : (int32_t)n;
}

/* Rates are those that the NEST template reaches, not the peaks of the machine: the judge compares kernels of this template. */
const ir_target *cpu_target(const char *arch, base_arena *arena) {
    const level *l = level_find(arch);
    if (!l) return NULL;
    /* A clock is assumed, not measured: descriptions stay the same from run to run, and so do the schedules chosen by them. */
    const double cycles = 3.5e9;
    ir_target *t = BASE_NEW(arena, ir_target);
    t->name = "cpu";
    t->triple = l->triple;
    t->level = l->level;
    t->cpu = l->cpu;
    t->features = l->features;
    t->lanes = l->lanes;
    t->regs = l->regs;
    t->cores = host_cores();
    t->matmul_rate = cycles * l->flops_per_cycle * 0.4;
    t->vector_rate = cycles * l->lanes;
    t->mem_bytes_per_s = 15e9;
    t->launch_s = 3e-6;
    t->overlap = 0.25;
    t->value_tile_bytes = 256 << 10;
    t->contract_rate = t->attend_rate = cycles * l->flops_per_cycle * 0.48;
    t->fma_latency = l->fma_latency;
    t->fma_ports = l->fma_ports;
    t->load_ports = l->load_ports;
    t->l1_bytes = 32 << 10;
    t->l2_bytes = 1 << 20;
    /* legalize expands these into operators that the emitter has: their numerics are then those of the expansions. */
    static const ir_op lacking[] = {IR_SIGMOID, IR_GELU, IR_SILU, IR_RELU, IR_RSQRT};
    for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++) t->lacks[lacking[i]] = true;
    return t;
}

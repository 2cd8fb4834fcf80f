/* What the half with LLVM hands to the half without it: one struct of functions, found by one name. */
#ifndef ATTN_CPU_HALF_H
#define ATTN_CPU_HALF_H
#include "backend.h"

enum { CPU_HALF_ABI = 1 };
#define CPU_HALF_FILE "libattn_llvm.so"
#define CPU_HALF_ENTRY "attn_cpu_half"

typedef struct {
    size_t struct_size;
    uint32_t abi;
    const char *(*version)(void);            /* "19.1.7" */
    bool (*emit)(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags);
    ir_code *(*compile)(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, rt_kernel *kernels, base_diags *diags);
    void (*release)(ir_code *code);
    /* The object file as linked by compile: bytes of the caller's arena. */
    const void *(*object)(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_arena *arena, size_t *bytes,
                          base_diags *diags);
} cpu_half;
typedef const cpu_half *cpu_half_entry(void);
#endif

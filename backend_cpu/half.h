/* What the half with LLVM hands to the half without it: one struct of functions, found by one name. */
#ifndef ATTN_CPU_HALF_H
#define ATTN_CPU_HALF_H
#include "cpu.h"

enum { CPU_HALF_ABI = 2 };
#define CPU_HALF_FILE "libattn_llvm.so"
#define CPU_HALF_ENTRY "attn_cpu_half"

typedef struct {                 /* one kernel as LLVM writes it: an ELF file with relocations; image.c makes an image of it */
    const void *bytes;
    size_t n;
    const char *entry;           /* symbol of the function */
} cpu_object;

typedef struct {
    size_t struct_size;
    uint32_t abi;
    const char *(*version)(void);            /* "19.1.7" */
    bool (*emit)(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags);
    /* One object per kernel, in the arena. executor: compiles with its threads; NULL: with this one alone. */
    bool (*objects)(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, const rt_executor *executor, base_arena *arena,
                    cpu_object *objects, base_diags *diags);
    bool (*assembly)(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags);
    const void *(*bundle)(const char *triple, const char *text, uint32_t n, const cpu_blob *blobs, base_arena *arena, size_t *bytes, base_diags *diags);
} cpu_half;
typedef const cpu_half *cpu_half_entry(void);
#endif

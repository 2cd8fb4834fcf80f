/* What a target is to the compiler: one struct of functions. */
#ifndef ATTN_BACKEND_H
#define ATTN_BACKEND_H
#include "ir.h"
#include "module.h"

typedef struct ir_backend ir_backend;
typedef struct ir_code ir_code;                        /* compiled kernels; lives until released */
struct ir_backend {
    size_t struct_size;
    const char *name;                                  /* "cpu", "cuda" */
    /* NULL if it can run here; else why not, with the file names tried: text in the arena */
    const char *(*unavailable)(const ir_backend *self, base_arena *arena);
    const ir_target *(*target)(const ir_backend *self, const char *arch, base_arena *arena);   /* arch NULL: this machine's */
    /* One text for all kernels, as handed to the target's compiler: LLVM IR or CUDA C. */
    bool (*emit)(const ir_backend *self, const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags);
    /* Machine code for the kernels, in the order given. kernels: n of them, filled in. */
    ir_code *(*compile)(const ir_backend *self, const ir_target *target, uint32_t n, const ir_schedule *const *schedules, rt_kernel *kernels, base_diags *diags);
    void (*release)(const ir_backend *self, ir_code *code);
    /* Both NULL where kernels are functions of the host: the runtime's own device (runtime/rt.h, rt_host) calls them. */
    rt_device *(*device_create)(const ir_backend *self, const rt_executor *executor, char *error, size_t n);   /* NULL and a text if there is none */
    void (*device_destroy)(const ir_backend *self, rt_device *device);
};
#endif

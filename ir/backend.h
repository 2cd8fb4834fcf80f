/* What a target is to the compiler: one struct of functions. */
#ifndef ATTN_BACKEND_H
#define ATTN_BACKEND_H
#include "ir.h"
#include "module.h"

typedef struct ir_backend ir_backend;
struct ir_backend {
    size_t struct_size;
    const char *name;                                  /* "cpu", "cuda" */
    /* NULL if it can run here; else why not, with the file names tried: text in the arena */
    const char *(*unavailable)(const ir_backend *self, base_arena *arena);
    const ir_target *(*target)(const ir_backend *self, const char *arch, base_arena *arena);   /* arch NULL: this machine's */
    /* One text for all kernels, as handed to the target's compiler: LLVM IR or CUDA C. */
    bool (*emit)(const ir_backend *self, const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags);
    /* What, beside kernel, schedule and target, decides which machine code comes out: versions of the compiler and of the emitter, as a text in the arena.
     * NULL: not known, so no code of before can be trusted to be the same. Opens no code generator. */
    const char *(*identity)(const ir_backend *self, base_arena *arena);
    bool apart;                                        /* kernels that are compiled together do not share their bytes */
    /* Machine code for the kernels, in the order given: n images, filled in, their bytes in the arena. executor: compiles with its threads; NULL: with
     * this one alone. On the CPU a kernel gives the same bytes whatever is compiled beside it, on any number of threads. */
    bool (*compile)(const ir_backend *self, const ir_target *target, uint32_t n, const ir_schedule *const *schedules, const rt_executor *executor,
                    base_arena *arena, rt_image *images, base_diags *diags);
    /* Both NULL where kernels are functions of the host: the runtime's own device (runtime/rt.h, rt_host) loads and calls them. */
    rt_device *(*device_create)(const ir_backend *self, const rt_executor *executor, char *error, size_t n);   /* NULL and a text if there is none */
    void (*device_destroy)(const ir_backend *self, rt_device *device);
};

/* A kernel as the contract knows it: what a launch hands to it is listed in the kernel's own order. To be loaded by a device. */
static inline rt_kernel ir_kernel_contract(const ir_schedule *s, rt_image image) {
    const ir_kernel *k = s->kernel;
    return (rt_kernel){.name = k->name, .image = image, .n_ints = k->n_dims + k->n_counters, .n_buffers = k->n_values + s->n_panels, .n_results = k->n_stores};
}
#endif

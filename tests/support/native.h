/* Kernels run natively, by a backend and a device of it, on tensors of the evaluator. */
#ifndef TEST_NATIVE_H
#define TEST_NATIVE_H
#include "backend.h"

typedef struct {
    const ir_backend *backend;
    const ir_target *target;
    rt_device *device;
} native;

typedef struct native_kernel native_kernel;
/* A lowered kernel, legalized, scheduled and compiled. NULL: reported. It lives in the arena, its code until closed. */
native_kernel *native_open(const native *n, const ir_kernel *k, base_arena *arena, base_diags *diags);
/* Runs it; the results appear in frame->value, rounded to their types. False: reported. */
bool native_launch(const native_kernel *n, ir_frame *frame, const int64_t *counters, base_arena *arena, base_diags *diags);
void native_close(native_kernel *n);
/* All of it at once: legalized, scheduled, compiled and run; the results appear in frame->value, rounded to their types. False: reported. */
bool native_run(const native *n, const ir_kernel *k, ir_frame *frame, const int64_t *counters, base_arena *arena, base_diags *diags);
extern const rt_executor native_serial;  /* one thread, items in two parts */
#endif

/* Kernels run natively, by a backend and a device of it, on tensors of the evaluator. */
#ifndef TEST_NATIVE_H
#define TEST_NATIVE_H
#include "backend.h"

typedef struct {
    const ir_backend *backend;
    const ir_target *target;
    rt_device *device;
} native;

/* Lowered kernel: legalized, scheduled, compiled and run; the results appear in frame->value, rounded to their types. False: reported. */
bool native_run(const native *n, const ir_kernel *k, ir_frame *frame, const int64_t *counters, base_arena *arena, base_diags *diags);
extern const rt_executor native_serial;  /* one thread, items in two parts */
#endif

/* The CPU as a device: memory is the host's, a launch is a job of the executor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu.h"

typedef struct {
    rt_device base;
    const rt_executor *executor;
} device;

enum { ALIGNMENT = 64 };         /* a cache line, and the widest vector */

static bool failed(rt_device *self, const char *what) {
    snprintf(self->error, sizeof self->error, "%s", what);
    return false;
}
static bool dev_alloc(rt_device *self, size_t bytes, void **out) {
    if (bytes > SIZE_MAX - ALIGNMENT) return failed(self, "out of memory");
    *out = aligned_alloc(ALIGNMENT, bytes < ALIGNMENT ? ALIGNMENT : (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    return *out ? true : failed(self, "out of memory");
}
static void dev_free(rt_device *self, void *at, size_t bytes) {
    (void)self;
    (void)bytes;
    free(at);
}
static bool dev_copy(rt_device *self, void *to, const void *from, size_t bytes) {
    (void)self;
    if (bytes) memmove(to, from, bytes);
    return true;
}
static bool dev_zero(rt_device *self, void *at, size_t bytes) {
    (void)self;
    if (bytes) memset(at, 0, bytes);
    return true;
}
static bool dev_launch(rt_device *self, const rt_launch *l) {
    const device *d = (const device *)self;
    if (l->items <= 0) return true;
    const rt_job job = {.struct_size = sizeof job,
                        .fn = l->kernel->fn,
                        .frame = &l->frame,
                        .items = l->items,
                        .cost_of_item = l->cost_of_item,
                        .scratch_bytes = l->scratch_bytes};
    return d->executor->run(d->executor->self, &job) ? true : failed(self, "the launch was cancelled or found no memory");
}
static bool dev_wait(rt_device *self) {
    (void)self;
    return true;
}

rt_device *cpu_device_create(const rt_executor *executor) {
    device *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->executor = executor;
    d->base = (rt_device){.struct_size = sizeof d->base,
                          .name = "cpu",
                          .host_memory = true,
                          .alloc = dev_alloc,
                          .free = dev_free,
                          .copy_in = dev_copy,
                          .copy_out = dev_copy,
                          .copy = dev_copy,
                          .zero = dev_zero,
                          .launch = dev_launch,
                          .wait = dev_wait};
    return &d->base;
}
void cpu_device_destroy(rt_device *d) { free(d); }

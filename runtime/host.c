/* The CPU as a device: its memory is the host's, and a launch is a job of an executor. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "rt.h"

/* Bytes: what kernels may rely on for each block of device memory. */
enum { ALIGNMENT = 64 };

typedef struct { void *raw; size_t bytes; } header;      /* before each block */

/* Blocks are aligned to 64 bytes: a cache line and the widest vector. The allocator promises only 16, and wants back
 * what it gave: the header just before the block remembers where that began. */
static bool host_alloc(rt_device *self, size_t bytes, void **out) {
    rt_host *host = (rt_host *)self;
    size_t all;
    void *raw = NULL;
    if (!__builtin_add_overflow(bytes, sizeof(header) + ALIGNMENT, &all)) raw = host->allocator.alloc(host->allocator.self, all);
    if (!raw) {
        snprintf(self->error, sizeof self->error, "out of memory");
        return false;
    }
    uintptr_t at = ((uintptr_t)raw + sizeof(header) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    *out = (char *)raw + (at - (uintptr_t)raw);
    ((header *)*out)[-1] = (header){raw, all};
    return true;
}

/* The size that the device is told is not needed: the header has that of the whole. */
static void host_free(rt_device *self, void *at, size_t bytes) {
    rt_host *host = (rt_host *)self;
    (void)bytes;
    if (!at) return;
    header h = ((header *)at)[-1];
    host->allocator.free(host->allocator.self, h.raw, h.bytes);
}

/* memmove costs no more, and a host that breaks the rule against overlapping tensors gets wrong numbers, nothing worse. */
static bool host_copy(rt_device *self, void *to, const void *from, size_t bytes) {
    (void)self;
    if (bytes) memmove(to, from, bytes);
    return true;
}

static bool host_zero(rt_device *self, void *at, size_t bytes) {
    (void)self;
    if (bytes) memset(at, 0, bytes);
    return true;
}

/* A frame that kernels read as theirs, with what counting needs behind it. */
typedef struct { rt_frame frame; rt_kernel_fn *fn; rt_tally *tally; } counted;

/* In place of the kernel's own function, so that any executor counts, and each thread its own. */
static void compute_counted(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    const counted *c = (const counted *)frame;
    int64_t start = rt_now_ns();
    c->fn(&c->frame, first, last, scratch);
    rt_tally_items(c->tally, last - first, rt_now_ns() - start);
}

/* An executor says no when the call is over or there is no memory; a job that was cancelled is no failure of memory, and the
 * interpreter looks at that first. */
static bool host_launch(rt_device *self, const rt_launch *launch) {
    rt_host *host = (rt_host *)self;
    /* The frame is passed on by address: run returns when the last item is done. */
    const counted c = {launch->frame, launch->kernel->fn, launch->tally};
    rt_job job = {.struct_size = sizeof job, .fn = c.tally ? compute_counted : c.fn, .frame = &c.frame, .items = launch->items, .order = launch->order,
                  .cost_of_item = launch->cost_of_item, .scratch_bytes = launch->scratch_bytes, .period = launch->period, .call = launch->call};
    if (host->executor.run(host->executor.self, &job)) return true;
    snprintf(self->error, sizeof self->error, "out of memory");
    return false;
}

static bool host_load(rt_device *self, uint32_t n, rt_kernel *kernels, void **out) {
    return rt_code_load(n, kernels, out, self->error, sizeof self->error);
}

static void host_unload(rt_device *self, void *loaded) {
    (void)self;
    rt_code_unload(loaded);
}

/* A launch returns when it is done. */
static bool host_wait(rt_device *self) {
    (void)self;
    return true;
}

/* `device` is the first member, so the functions above may take a device of theirs for the host around it. */
void rt_host_init(rt_host *host, const rt_executor *executor, const base_allocator *allocator) {
    *host = (rt_host){.executor = *executor, .allocator = base_allocator_or_malloc(allocator)};
    host->device = (rt_device){
        .struct_size = sizeof(rt_device), .name = "cpu", .host_memory = true, .load = host_load, .unload = host_unload, .alloc = host_alloc, .free = host_free, .copy_in = host_copy,
        .copy_out = host_copy, .copy = host_copy, .zero = host_zero, .launch = host_launch, .wait = host_wait,
    };
}

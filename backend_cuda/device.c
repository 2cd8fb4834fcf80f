/* The device of the module contract over the driver's API: one GPU, its primary context, the default stream.
 *
 * Every call pushes the context and pops it again, so that a device works from any thread and leaves no context behind.
 * Work is ordered by the default stream; copies to the host wait for what was launched before them.
 *
 * A kernel takes one parameter, a struct of 8-byte words: the ints of its frame, then the buffers. It walks over all of its
 * points with the whole grid whatever the grid is (backend_cuda/README.md), so the launch only chooses how many threads are worth their while.
 */
#include <stdlib.h>
#include <string.h>
#include "cuda_internal.h"

enum { WORDS = 512,              /* of a kernel's parameters: 4096 bytes, the least that every GPU takes */
       LEAST = 16,               /* bytes of an allocation: an address that is clamped in an empty tensor reads its first element */
       BLOCKS_PER_PROCESSOR = 32,
       OPERATIONS_PER_BLOCK = CUDA_BLOCK * 16 };

typedef struct {
    rt_device base;              /* first: the contract's pointer is ours */
    cuda_driver driver;          /* its own handle on the library and the context */
    int processors;
} cuda_device;

static cuda_device *of(rt_device *self) { return (cuda_device *)(void *)self; }
/* The contract returns false and leaves the words in the device: a later failure overwrites them. */
static bool check(cuda_device *d, unsigned result, const char *doing) {
    return cuda_driver_ok(&d->driver, result, doing, d->base.error, sizeof d->base.error);
}
/* The driver takes device addresses as numbers; here they travel as pointers that the host never follows. */
static unsigned long long address(const void *at) { return (unsigned long long)(uintptr_t)at; }

static bool enter(cuda_device *d) { return check(d, d->driver.cuCtxPushCurrent(d->driver.context), "make its context current"); }
/* The work's failure wins, a failed pop is one too. The context is popped in both cases. */
static bool leave(cuda_device *d, bool ok) {
    struct CUctx_st *context = NULL;
    return check(d, d->driver.cuCtxPopCurrent(&context), "release its context") && ok;
}

/* ---- kernels */

typedef struct {                 /* what one load has brought, in one piece of memory */
    cuda_function *functions;    /* by kernel; rt_kernel.handle points into it, so it never moves */
    struct CUmod_st **modules;   /* n_modules of n places */
    uint32_t n_modules;
} loaded;

static loaded *loaded_create(uint32_t n) {
    loaded *l = calloc(1, sizeof *l + n * (sizeof *l->functions + sizeof *l->modules));
    if (!l) return NULL;
    l->functions = (cuda_function *)(void *)(l + 1);
    l->modules = (struct CUmod_st **)(void *)(l->functions + n);
    return l;
}

/* The context is current. */
static void modules_unload(cuda_device *d, loaded *l) {
    while (l->n_modules) d->driver.cuModuleUnload(l->modules[--l->n_modules]);
}

/* A kernel that shares its bytes with the one before is in the module that was loaded last: that is how a compile hands them out. */
static bool load_kernels(cuda_device *d, loaded *l, uint32_t n, const rt_kernel *kernels) {
    for (uint32_t k = 0; k < n; k++) {
        const rt_image *image = &kernels[k].image;
        const bool same = k > 0 && image->bytes == kernels[k - 1].image.bytes;
        if (!same) {
            if (!check(d, d->driver.cuModuleLoadData(&l->modules[l->n_modules], image->bytes), "load the kernels")) return false;
            l->n_modules++;
        }
        if (!check(d, d->driver.cuModuleGetFunction(&l->functions[k].function, l->modules[l->n_modules - 1], image->symbol), "find a kernel")) return false;
    }
    return true;
}

static bool device_load(rt_device *self, uint32_t n, rt_kernel *kernels, void **out) {
    cuda_device *d = of(self);
    loaded *l = loaded_create(n);
    *out = NULL;
    if (!l) {
        snprintf(self->error, sizeof self->error, "out of memory");
        return false;
    }
    bool ok = enter(d);
    if (ok) {
        ok = load_kernels(d, l, n, kernels);
        if (!ok) modules_unload(d, l);
        ok = leave(d, ok);
    }
    for (uint32_t k = 0; ok && k < n; k++) kernels[k].handle = &l->functions[k];
    if (ok) *out = l;
    else free(l);
    return ok;
}

static void device_unload(rt_device *self, void *what) {
    cuda_device *d = of(self);
    if (what && enter(d)) {
        modules_unload(d, what);
        leave(d, true);
    }
    free(what);
}

/* ---- memory */

/* An empty tensor has an address and room for one element too. */
static bool device_alloc(rt_device *self, size_t bytes, void **out) {
    cuda_device *d = of(self);
    *out = NULL;
    if (!enter(d)) return false;
    unsigned long long at = 0;
    bool ok = check(d, d->driver.cuMemAlloc(&at, bytes < LEAST ? LEAST : bytes), "allocate memory");
    if (ok) *out = (void *)(uintptr_t)at;
    return leave(d, ok);
}

static void device_free(rt_device *self, void *at, size_t bytes) {
    cuda_device *d = of(self);
    (void)bytes;
    if (at && enter(d)) leave(d, check(d, d->driver.cuMemFree(address(at)), "free memory"));
}

static bool device_copy_in(rt_device *self, void *to, const void *from, size_t bytes) {
    cuda_device *d = of(self);
    if (bytes == 0) return true;
    return enter(d) && leave(d, check(d, d->driver.cuMemcpyHtoD(address(to), from, bytes), "copy to the device"));
}

static bool device_copy_out(rt_device *self, void *to, const void *from, size_t bytes) {
    cuda_device *d = of(self);
    if (bytes == 0) return true;
    return enter(d) && leave(d, check(d, d->driver.cuMemcpyDtoH(to, address(from), bytes), "copy from the device"));
}

static bool device_copy(rt_device *self, void *to, const void *from, size_t bytes) {
    cuda_device *d = of(self);
    if (bytes == 0 || to == from) return true;
    return enter(d) && leave(d, check(d, d->driver.cuMemcpyDtoD(address(to), address(from), bytes), "copy on the device"));
}

static bool device_zero(rt_device *self, void *at, size_t bytes) {
    cuda_device *d = of(self);
    if (bytes == 0) return true;
    return enter(d) && leave(d, check(d, d->driver.cuMemsetD8(address(at), 0, bytes), "clear memory"));
}

/* In the order of the struct that emit.c prints: ints, then buffers, 8 bytes each, so no padding can part them. */
static bool words_of(cuda_device *d, const rt_launch *launch, uint64_t *words) {
    const rt_kernel *k = launch->kernel;
    if ((uint64_t)k->n_ints + k->n_buffers > WORDS) {
        snprintf(d->base.error, sizeof d->base.error, "kernel %s has more than %d parameters", k->name, WORDS);
        return false;
    }
    for (uint32_t i = 0; i < k->n_ints; i++) words[i] = (uint64_t)launch->frame.ints[i];
    for (uint32_t i = 0; i < k->n_buffers; i++) words[k->n_ints + i] = address(launch->frame.buffers[i]);
    return true;
}

/* As many blocks as the work is worth, at most enough to fill the GPU several times over. A product beyond 64 bits is surely the most. */
static unsigned blocks_of(const cuda_device *d, const rt_launch *launch) {
    int64_t work, most = (int64_t)d->processors * BLOCKS_PER_PROCESSOR;
    int64_t cost = launch->cost_of_item > 1 ? launch->cost_of_item : 1;
    if (__builtin_mul_overflow(launch->items, cost, &work)) return (unsigned)most;
    int64_t blocks = work / OPERATIONS_PER_BLOCK + 1;
    return (unsigned)(blocks < most ? blocks : most);
}

static bool device_launch(rt_device *self, const rt_launch *launch) {
    cuda_device *d = of(self);
    uint64_t words[WORDS];
    /* Nothing to compute, so nothing is launched. */
    if (launch->items <= 0) return true;
    if (!words_of(d, launch, words) || !enter(d)) return false;
    /* The driver copies the parameters before it returns, so they may lie on the stack. */
    void *params[] = {words};
    unsigned result = d->driver.cuLaunchKernel(((const cuda_function *)launch->kernel->handle)->function, blocks_of(d, launch), 1, 1, CUDA_BLOCK, 1, 1, 0, NULL, params, NULL);
    return leave(d, check(d, result, "launch a kernel"));
}

/* Errors of kernels come up here, or at the next call after them. */
static bool device_wait(rt_device *self) {
    cuda_device *d = of(self);
    return enter(d) && leave(d, check(d, d->driver.cuCtxSynchronize(), "finish its work"));
}

rt_device *cuda_device_create(const cuda_options *options, char *error, size_t n) {
    cuda_device *d = calloc(1, sizeof *d);
    if (!d) {
        snprintf(error, n, "out of memory");
        return NULL;
    }
    if (!cuda_driver_open(&d->driver, options, error, n)) {
        free(d);
        return NULL;
    }
    int processors = cuda_driver_attribute(&d->driver, CUDA_ATTRIBUTE_PROCESSORS);
    /* A driver that does not tell counts as one processor: slow, and right. */
    d->processors = processors > 0 ? processors : 1;
    d->base = (rt_device){.struct_size = sizeof(rt_device), .name = "cuda", .host_memory = false, .load = device_load, .unload = device_unload, .alloc = device_alloc, .free = device_free, .copy_in = device_copy_in,
                          .copy_out = device_copy_out, .copy = device_copy, .zero = device_zero, .launch = device_launch, .wait = device_wait};
    return &d->base;
}

/* Memory that was allocated on it must be freed before: nothing here remembers it. */
void cuda_device_destroy(rt_device *device) {
    if (!device) return;
    cuda_driver_close(&of(device)->driver);
    free(device);
}

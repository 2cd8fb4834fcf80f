/* The backend "cuda" as one struct of functions: what is missing here, what a target is, text, machine code, device. */
#include <stdlib.h>
#include <string.h>
#include "cuda_internal.h"

/* `base` stands first: what others hold as an ir_backend is the whole. Lives in the arena of cuda_backend_create, texts of the options too. */
typedef struct { ir_backend base; cuda_options options; } cuda_backend;
static const cuda_options *options_of(const ir_backend *self) { return &((const cuda_backend *)(const void *)self)->options; }

enum { ERROR_TEXT = 1024 };

/* ---- what there is on this machine */

/* Opens both libraries and closes them again; the driver first: without a GPU the other does not matter. Errors are copied: `error` is of this
   frame. */
static const char *unavailable(const ir_backend *self, base_arena *arena) {
    char error[ERROR_TEXT];
    cuda_nvrtc nvrtc;
    cuda_driver driver;
    if (!cuda_driver_open(&driver, options_of(self), error, sizeof error)) return base_strdup(arena, error);
    cuda_driver_close(&driver);
    if (!cuda_nvrtc_open(&nvrtc, options_of(self), error, sizeof error)) return base_strdup(arena, error);
    cuda_nvrtc_close(&nvrtc);
    return NULL;
}

/* Architectures whose code has features of its own; elsewhere the plain name. */
static const char *arch_name(base_arena *arena, int major, int minor) {
    return base_printf(arena, "sm_%d%d%s", major, minor, major >= 9 ? "a" : "");
}

static const ir_target *target(const ir_backend *self, const char *arch, base_arena *arena) {
    char error[ERROR_TEXT];
    cuda_driver driver;
    /* A named architecture needs no GPU, so text and machine code for it can be made anywhere. */
    if (arch) return cuda_target(arch, arena);
    /* No GPU here: the text is still wanted, and is judged by the numbers of a common card. */
    if (!cuda_driver_open(&driver, options_of(self), error, sizeof error)) return cuda_target("sm_80", arena);
    int major = cuda_driver_attribute(&driver, CUDA_ATTRIBUTE_MAJOR), minor = cuda_driver_attribute(&driver, CUDA_ATTRIBUTE_MINOR);
    cuda_driver_close(&driver);
    return cuda_target(arch_name(arena, major, minor), arena);
}

/* The text is the same for all architectures; the target only chose the schedules. */
static bool emit(const ir_backend *self, const ir_target *t, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags) {
    (void)self, (void)t;
    return cuda_emit(n, schedules, out, diags);
}

/* ---- machine code */

struct ir_code {                 /* keeps the primary context alive as long as its module is loaded in it */
    cuda_driver driver;
    struct CUmod_st *module;     /* NULL: not loaded (yet) */
    cuda_function *functions;    /* by kernel; rt_kernel.handle points into it, so it never moves */
    char **names;                /* copies: kernels outlive the arena of the compile */
    uint32_t n;
};

/* Also of a code that is half made: what is not there is NULL, and the driver's struct all zero. The module goes while its context is current. */
static void release(const ir_backend *self, ir_code *code) {
    (void)self;
    if (!code) return;
    struct CUctx_st *context = NULL;
    if (code->module && code->driver.cuCtxPushCurrent(code->driver.context) == 0) {
        code->driver.cuModuleUnload(code->module);
        code->driver.cuCtxPopCurrent(&context);
    }
    cuda_driver_close(&code->driver);
    for (uint32_t i = 0; code->names && i < code->n; i++) free(code->names[i]);
    free(code->names);
    free(code->functions);
    free(code);
}

/* Text, NVRTC, machine code; each failure is reported here. What it makes lies in the arena of the diagnostics. */
static bool image_of(const ir_backend *self, const ir_target *t, uint32_t n, const ir_schedule *const *schedules, base_diags *diags, cuda_image *image) {
    char error[ERROR_TEXT];
    cuda_nvrtc nvrtc;
    base_text text;
    base_text_init(&text, diags->arena);
    if (!cuda_emit(n, schedules, &text, diags)) return false;
    if (!cuda_nvrtc_open(&nvrtc, options_of(self), error, sizeof error)) {
        base_report(diags, BASE_MSG_CUDA_UNAVAILABLE, (base_span){0}, error);
        return false;
    }
    /* The image is a copy, so the library may be closed behind it. */
    *image = cuda_nvrtc_compile(&nvrtc, text.at, t->cpu, diags->arena);
    cuda_nvrtc_close(&nvrtc);
    if (!image->cubin) base_report(diags, BASE_MSG_CUDA_COMPILE, (base_span){0}, t->cpu, image->log);
    return image->cubin != NULL;
}

/* Kernels are found by the names that cuda_emit gave them: the index in the list is part of each. */
static bool load(ir_code *code, const cuda_image *image, uint32_t n, const ir_schedule *const *schedules, base_arena *arena, char *error, size_t error_n) {
    const cuda_driver *d = &code->driver;
    if (!cuda_driver_ok(d, d->cuModuleLoadData(&code->module, image->cubin), "load the kernels", error, error_n)) return false;
    for (uint32_t i = 0; i < n; i++)
        if (!cuda_driver_ok(d, d->cuModuleGetFunction(&code->functions[i].function, code->module, cuda_symbol(arena, i, schedules[i]->kernel)), "find a kernel", error, error_n)) return false;
    return true;
}

/* The context is popped whatever happens: the thread belongs to the caller. */
static bool load_in_context(ir_code *code, const cuda_image *image, uint32_t n, const ir_schedule *const *schedules, base_arena *arena, char *error, size_t error_n) {
    struct CUctx_st *context = NULL;
    if (!cuda_driver_ok(&code->driver, code->driver.cuCtxPushCurrent(code->driver.context), "make its context current", error, error_n)) return false;
    bool ok = load(code, image, n, schedules, arena, error, error_n);
    code->driver.cuCtxPopCurrent(&context);
    return ok;
}

static ir_code *code_create(uint32_t n, const ir_schedule *const *schedules) {
    ir_code *code = calloc(1, sizeof *code);
    if (!code) return NULL;
    code->n = n;
    code->functions = calloc(n ? n : 1, sizeof *code->functions);
    code->names = calloc(n ? n : 1, sizeof *code->names);
    /* calloc, not the arena: code outlives the compile. What was made before memory ran out is taken apart by release. */
    bool ok = code->functions && code->names;
    for (uint32_t i = 0; ok && i < n; i++) ok = (code->names[i] = strdup(schedules[i]->kernel->name)) != NULL;
    if (ok) return code;
    release(NULL, code);
    return NULL;
}

/* The order of ints and buffers is that of the struct that emit.c prints (parameters), and of the words that device.c fills. */
static void describe(const ir_code *code, const ir_schedule *const *schedules, rt_kernel *kernels) {
    for (uint32_t i = 0; i < code->n; i++) {
        const ir_kernel *k = schedules[i]->kernel;
        kernels[i] = (rt_kernel){.name = code->names[i], .fn = NULL, .handle = &code->functions[i], .n_ints = k->n_dims + k->n_counters, .n_buffers = k->n_values};
    }
}

/* The driver is asked first: without a GPU there is nothing to compile for, and that is the better message. */
static ir_code *compile(const ir_backend *self, const ir_target *t, uint32_t n, const ir_schedule *const *schedules, rt_kernel *kernels, base_diags *diags) {
    char error[ERROR_TEXT];
    cuda_image image;
    ir_code *code = code_create(n, schedules);
    /* Nothing is held yet, so the jump out of a compile without memory leaves nothing behind. */
    if (!code) base_arena_fail(diags->arena);
    if (!cuda_driver_open(&code->driver, options_of(self), error, sizeof error)) {
        base_report(diags, BASE_MSG_CUDA_UNAVAILABLE, (base_span){0}, error);
    } else if (image_of(self, t, n, schedules, diags, &image)) {
        if (load_in_context(code, &image, n, schedules, diags->arena, error, sizeof error)) {
            describe(code, schedules, kernels);
            return code;
        }
        base_report(diags, BASE_MSG_CUDA_LOAD, (base_span){0}, error);
    }
    release(self, code);
    return NULL;
}

/* A device has a driver of its own, so it may outlive the code, and the code it. */
static rt_device *device_create(const ir_backend *self, const rt_executor *executor, char *error, size_t n) {
    (void)executor;              /* the GPU shares out its own work */
    return cuda_device_create(options_of(self), error, n);
}

static void device_destroy(const ir_backend *self, rt_device *device) {
    (void)self;
    cuda_device_destroy(device);
}

const ir_backend *cuda_backend_create(base_arena *arena, const cuda_options *options) {
    cuda_backend *b = BASE_NEW(arena, cuda_backend);
    b->base = (ir_backend){.struct_size = sizeof(ir_backend), .name = "cuda", .unavailable = unavailable, .target = target, .emit = emit, .compile = compile, .release = release,
                           .device_create = device_create, .device_destroy = device_destroy};
    /* All NULL by the arena: search the usual places. */
    if (!options) return &b->base;
    b->options.cuda_path = options->cuda_path ? base_strdup(arena, options->cuda_path) : NULL;
    b->options.python_paths = options->python_paths ? base_strdup(arena, options->python_paths) : NULL;
    b->options.nvrtc = options->nvrtc ? base_strdup(arena, options->nvrtc) : NULL;
    b->options.driver = options->driver ? base_strdup(arena, options->driver) : NULL;
    return &b->base;
}

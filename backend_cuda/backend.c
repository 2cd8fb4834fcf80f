/* The backend "cuda" as one struct of functions: what is missing here, what a target is, text, machine code, device. */
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

/* Text, NVRTC, machine code; each failure is reported here. The image lies in the arena. */
static bool cubin_of(const ir_backend *self, const ir_target *t, uint32_t n, const ir_schedule *const *schedules, base_arena *arena, cuda_image *image,
                     base_diags *diags) {
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
    *image = cuda_nvrtc_compile(&nvrtc, text.at, t->cpu, arena);
    cuda_nvrtc_close(&nvrtc);
    if (!image->cubin) base_report(diags, BASE_MSG_CUDA_COMPILE, (base_span){0}, t->cpu, image->log);
    return image->cubin != NULL;
}

/* One CUBIN for all kernels, which share its bytes: a compile of NVRTC begins with work that does not depend on how much text follows. Kernels are found by
   the names that cuda_emit gave them: the index in the list is part of each. The driver is asked first: without a GPU there is nothing to compile
   for, and that is the better message. */
static bool compile(const ir_backend *self, const ir_target *t, uint32_t n, const ir_schedule *const *schedules, const rt_executor *executor,
                    base_arena *arena, rt_image *images, base_diags *diags) {
    char error[ERROR_TEXT];
    cuda_driver driver;
    cuda_image image = {0};
    (void)executor;              /* NVRTC has no parts that could be shared out */
    if (!cuda_driver_open(&driver, options_of(self), error, sizeof error)) {
        base_report(diags, BASE_MSG_CUDA_UNAVAILABLE, (base_span){0}, error);
        return false;
    }
    cuda_driver_close(&driver);
    if (!cubin_of(self, t, n, schedules, arena, &image, diags)) return false;
    for (uint32_t i = 0; i < n; i++) images[i] = (rt_image){image.cubin, image.n, 0, cuda_symbol(arena, i, schedules[i]->kernel)};
    return true;
}

static rt_device *device_create(const ir_backend *self, const rt_executor *executor, char *error, size_t n) {
    (void)executor;              /* the GPU shares out its own work */
    return cuda_device_create(options_of(self), error, n);
}

static void device_destroy(const ir_backend *self, rt_device *device) {
    (void)self;
    cuda_device_destroy(device);
}

/* The version of NVRTC, and this library, which writes the text. */
static const char *identity(const ir_backend *self, base_arena *arena) {
    char error[ERROR_TEXT];
    cuda_nvrtc nvrtc;
    if (!cuda_nvrtc_open(&nvrtc, options_of(self), error, sizeof error)) return NULL;
    const int major = nvrtc.major, minor = nvrtc.minor;
    cuda_nvrtc_close(&nvrtc);
    const char *here = base_build_id_of_here(arena);
    return here ? base_printf(arena, "NVRTC %d.%d, %.16s", major, minor, here) : NULL;
}

const ir_backend *cuda_backend_create(base_arena *arena, const cuda_options *options) {
    cuda_backend *b = BASE_NEW(arena, cuda_backend);
    b->base = (ir_backend){.struct_size = sizeof(ir_backend), .name = "cuda", .unavailable = unavailable, .target = target, .emit = emit, .identity = identity, .compile = compile,
                           .device_create = device_create, .device_destroy = device_destroy};
    /* All NULL by the arena: search the usual places. */
    if (!options) return &b->base;
    b->options.cuda_path = options->cuda_path ? base_strdup(arena, options->cuda_path) : NULL;
    b->options.python_paths = options->python_paths ? base_strdup(arena, options->python_paths) : NULL;
    b->options.nvrtc = options->nvrtc ? base_strdup(arena, options->nvrtc) : NULL;
    b->options.driver = options->driver ? base_strdup(arena, options->driver) : NULL;
    return &b->base;
}

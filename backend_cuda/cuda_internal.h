/* What the files of this folder share, in reading order. */
#ifndef ATTN_CUDA_INTERNAL_H
#define ATTN_CUDA_INTERNAL_H
#include "backend_cuda.h"

struct _nvrtcProgram;            /* tags of the handles, the same as in the vendor's headers */
struct CUctx_st;
struct CUmod_st;
struct CUfunc_st;
struct CUstream_st;

/* ---- library.c: shared objects found at run time */
enum { CUDA_TRIED = 512 };       /* bytes of a text that lists what was tried */
typedef struct {                 /* a search in progress; opens the first name that loads */
    void *library;               /* NULL as long as none did */
    char tried[CUDA_TRIED];      /* names so far, separated by ", " */
} cuda_search;
void cuda_search_name(cuda_search *search, const char *name);
void cuda_search_glob(cuda_search *search, const char *pattern);                 /* every match of the pattern, last first */
void cuda_library_close(void *library);                                          /* NULL is allowed */
bool cuda_library_symbol(void *library, const char *name, void *pointer);        /* stores into the function pointer at `pointer` */

/* ---- nvrtc.c: CUDA C to machine code */
typedef struct {
    void *library;
    int major, minor;
#define NVRTC(name, result, params) result (*name) params;
#include "nvrtc.def"
} cuda_nvrtc;
bool cuda_nvrtc_open(cuda_nvrtc *out, const cuda_options *options, char *error, size_t n);       /* false: error says what was tried */
void cuda_nvrtc_close(cuda_nvrtc *nvrtc);
typedef struct { const char *cubin; size_t n; const char *log; } cuda_image;     /* in the arena; cubin NULL: failed, the log says why */
cuda_image cuda_nvrtc_compile(const cuda_nvrtc *nvrtc, const char *text, const char *arch, base_arena *arena);

/* ---- driver.c: libcuda and the primary context of the first device */
typedef struct {
    void *library;
    int device, version;
    struct CUctx_st *context;
#define DRIVER(name, version, symbol, params) unsigned (*name) params;
#include "driver.def"
} cuda_driver;
bool cuda_driver_open(cuda_driver *out, const cuda_options *options, char *error, size_t n);     /* false: error says why */
void cuda_driver_close(cuda_driver *driver);
bool cuda_driver_ok(const cuda_driver *driver, unsigned result, const char *doing, char *error, size_t n);   /* result 0; else a text */
int cuda_driver_attribute(const cuda_driver *driver, unsigned attribute);        /* 0 if it cannot be had */
enum { CUDA_ATTRIBUTE_PROCESSORS = 16, CUDA_ATTRIBUTE_MAJOR = 75, CUDA_ATTRIBUTE_MINOR = 76 };

/* ---- device.c: the device struct of the module contract */
enum { CUDA_BLOCK = 128 };       /* threads of a block */
typedef struct { struct CUfunc_st *function; } cuda_function;                    /* what rt_kernel.handle points to */
rt_device *cuda_device_create(const cuda_options *options, char *error, size_t n);
void cuda_device_destroy(rt_device *device);

/* ---- target.c: the numbers of machines */
const ir_target *cuda_target(const char *arch, base_arena *arena);               /* a copy; an unknown name gets careful numbers */

/* ---- emit.c: kernels and schedules to CUDA C */
bool cuda_emit(uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags);
const char *cuda_symbol(base_arena *arena, uint32_t index, const ir_kernel *k);  /* the entry of kernel `index` of a text */
#endif

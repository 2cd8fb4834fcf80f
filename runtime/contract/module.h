/* The contract between compiler and runtime: what a compiled graph is. Plain data and function pointers.
 * The compiler writes it, the runtime reads it, neither sees more of the other.
 *
 * Everything is immutable once made and may be shared by threads. All indices count from 0.
 */
#ifndef ATTN_MODULE_H
#define ATTN_MODULE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "attn/executor.h"

enum { RT_RANK = 8 };

typedef enum {
#define DTYPE(id, text, npy, bytes, sort) RT_##id,
#include "dtypes.def"
    RT_N_DTYPES
} rt_dtype;

/* ---- integer program: 64-bit slots, filled in order. Every result is checked: what leaves int64 is an error, nothing wraps. */
typedef enum {
    RT_INT_LITERAL,              /* dst = literal */
    RT_INT_SHAPE,                /* dst = extent of axis b of tensor a, as bound by the host; below 2^31 */
    RT_INT_SCALAR,               /* dst = value of tensor a, an integer of rank 0 */
    RT_INT_ADD, RT_INT_SUB, RT_INT_MUL, RT_INT_FDIV, RT_INT_MOD, RT_INT_MIN, RT_INT_MAX, RT_INT_NEG, RT_INT_ABS,
    RT_INT_LT, RT_INT_LE, RT_INT_EQ, RT_INT_NE, RT_INT_AND, RT_INT_OR, RT_INT_NOT,
    RT_INT_SELECT,               /* dst = a ? b : c */
    RT_INT_SOLVE,                /* dst = a / b, exactly, and not negative; else the shape of tensor `literal >> 8`, axis `literal & 255` is wrong */
    RT_INT_EXPECT,               /* a == b, else that axis is wrong: found a, expected b */
    RT_INT_REQUIRE               /* a is true, else fact `literal` of the entry does not hold */
} rt_int_kind;
typedef struct { uint32_t op, dst, a, b, c; int64_t literal; } rt_int_op;

/* ---- kernels */
typedef struct attn_frame {      /* what one launch hands to a kernel */
    const int64_t *ints;         /* dimensions, then loop counters, in the kernel's own order */
    void *const *buffers;        /* results first, then operands, in the kernel's own order; dense */
} rt_frame;
typedef attn_job_fn rt_kernel_fn;/* items [first, last); attn/executor.h */

/* Machine code as data: the same bytes from the compiler, the cache, a file and a shared object. For the CPU they run wherever they lie, at any multiple
 * of RT_IMAGE_ALIGN: no relocation is left, no symbol is wanted, nothing in them is written. For another device they are what its driver loads
 * (a CUBIN), and several kernels may share them: images with the same address are loaded once. */
enum { RT_IMAGE_ALIGN = 64 };
typedef struct {
    const void *bytes;
    size_t n;
    size_t entry;                /* CPU: offset of the function in the bytes */
    const char *symbol;          /* a device: the function's name in the bytes; the CPU: "" */
} rt_image;
typedef struct {
    const char *name;
    rt_image image;              /* needed by load alone; no bytes where fn is linked in already */
    rt_kernel_fn *fn;            /* CPU: filled in by load; NULL on a device that launches by `handle` */
    void *handle;                /* the device's own, filled in by load */
    uint32_t n_ints, n_buffers;
} rt_kernel;

/* ---- steps. Slots are indices into the integer slots of a call, buffers into entry->buffers. */
typedef enum { RT_STEP_LAUNCH, RT_STEP_LOOP, RT_STEP_NEXT, RT_STEP_TEST, RT_STEP_COPY, RT_STEP_ZERO, RT_STEP_CHECK, RT_STEP_FAIL } rt_step_kind;
typedef struct {
    uint32_t kind;
    uint32_t kernel;             /* LAUNCH */
    uint32_t items, cost, scratch;       /* LAUNCH: slots */
    uint32_t order, period;      /* LAUNCH: attn_order, and 0 or 1 + the slot of the items after which costs repeat */
    const uint32_t *ints;        /* LAUNCH: slots, kernel->n_ints of them */
    const uint32_t *buffers;     /* LAUNCH: kernel->n_buffers; COPY: to, from; ZERO, TEST, CHECK: one; FAIL: position, found */
    uint32_t counter, lo, hi;    /* LOOP: slots; the counter starts at lo */
    uint32_t target;             /* LOOP, TEST: step after the loop; NEXT: the step after its LOOP; CHECK: where to go on when all is well */
    uint32_t check;              /* FAIL: index of entry->checks */
    uint32_t first_op, n_ops;    /* LOOP, NEXT: integer operations to run again with the new counter */
    double predicted_s;          /* LAUNCH: at the representative dimensions */
} rt_step;
/* CHECK reads a rank 0 i64: INT64_MAX means all is well, else the least failing linear position over entry->checks[..].positions;
 * the launch that finds the offending value and FAIL follow. TEST leaves the loop if its rank 0 bool is false. */

typedef enum { RT_BUFFER_TENSOR, RT_BUFFER_CONST, RT_BUFFER_WORK } rt_buffer_kind;
typedef struct {
    uint32_t kind;
    uint32_t index;              /* TENSOR: of entry->tensors; CONST: unused */
    const void *data;            /* CONST */
    uint32_t offset, bytes;      /* slots; offset only for WORK, into the workspace */
} rt_buffer;

typedef struct { const char *file; uint32_t line, column; } rt_place;           /* line 0: unknown */
typedef struct {                 /* message of a failed check */
    const char *what;            /* "index", "divisor", "place", "bit", or the operator whose result overflows */
    const char *tensor;          /* that is read; NULL for a divisor */
    uint32_t axis, limit;        /* slot of the extent that must not be reached */
    uint32_t n_positions;        /* extents, slots, of the linear position, row-major */
    const uint32_t *positions;
    const char *const *position_names;
    rt_place place;
} rt_check;

typedef enum { RT_TENSOR_INPUT, RT_TENSOR_PARAM, RT_TENSOR_OUTPUT } rt_tensor_kind;
typedef struct {
    uint32_t kind;
    const char *name;
    const char *storage;         /* PARAM: name in the weights; each {x} stacks along the next leading axis */
    uint32_t dtype, rank;
    const uint32_t *dims;        /* slots of the extents that the host sees, packed axes joined */
    const char *const *dim_texts;/* as written, for messages and headers */
    rt_place place;
} rt_tensor_info;

typedef struct {                 /* one compiled graph: all inputs, then params, then outputs */
    const char *name, *doc;
    const rt_tensor_info *tensors; uint32_t n_tensors;
    const char *const *dim_names;  uint32_t n_dims;    /* dimension symbols: slots 0 .. n_dims */
    uint32_t n_slots;
    const rt_int_op *bind;         uint32_t n_bind;    /* from shapes to dimensions, sizes, item counts; tests shapes and facts */
    const char *const *facts;      uint32_t n_facts;   /* texts, with places */
    const rt_place *fact_places;
    const rt_kernel *kernels;      uint32_t n_kernels;
    const rt_step *steps;          uint32_t n_steps;
    const rt_buffer *buffers;      uint32_t n_buffers;
    const rt_check *checks;        uint32_t n_checks;
    const rt_int_op *ops;                              /* of LOOP and NEXT steps */
    uint32_t workspace;                                /* slot */
} rt_entry;

/* ---- devices: where kernels run. The CPU is one. All functions return false, with a text in `error`, when they fail. */
typedef struct rt_device rt_device;
typedef struct {                 /* as in attn_job */
    const rt_kernel *kernel;
    rt_frame frame;
    int64_t items, cost_of_item, scratch_bytes, period;
    uint32_t order;
    const attn_call *call;
} rt_launch;
struct rt_device {
    size_t struct_size;
    const char *name;
    bool host_memory;                                  /* buffers may be the host's own */
    /* Places the images of n kernels and fills in fn or handle of each. *out goes to unload when none of them runs any more; NULL: nothing to unload.
     * Kernels that have a function already are left alone. */
    bool (*load)(rt_device *self, uint32_t n, rt_kernel *kernels, void **out);
    void (*unload)(rt_device *self, void *loaded);     /* NULL is allowed */
    bool (*alloc)(rt_device *self, size_t bytes, void **out);
    void (*free)(rt_device *self, void *at, size_t bytes);
    bool (*copy_in)(rt_device *self, void *to, const void *from, size_t bytes);
    bool (*copy_out)(rt_device *self, void *to, const void *from, size_t bytes);
    bool (*copy)(rt_device *self, void *to, const void *from, size_t bytes);
    bool (*zero)(rt_device *self, void *at, size_t bytes);
    bool (*launch)(rt_device *self, const rt_launch *launch);
    bool (*wait)(rt_device *self);
    char error[256];
};

/* ---- executors: who computes. The default is the context's pool; a host may bring its own. attn/executor.h is their specification. */
typedef attn_job rt_job;
typedef attn_executor rt_executor;
#endif

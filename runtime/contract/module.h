/* The contract between compiler and runtime: what a compiled program is. Plain data; the compiler writes it, the runtime reads it,
 * neither sees more of the other.
 *
 *   rt_module ─┬─ params, states, lengths     what all graphs share
 *              └─ graphs ── entries ── kernels, steps, buffers, checks
 *
 * Everything is immutable once made and may be shared by threads. All indices count from 0; RT_NONE is no index. A module stands in
 * memory as these structs (made by a compiler in the process) or as bytes (module.def, image.c): the same fields in both.
 * Versions: RT_ABI counts changes after which an older runtime must refuse; `features` are bits that a runtime must know one by one.
 */
#ifndef ATTN_MODULE_H
#define ATTN_MODULE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "attn/executor.h"

enum { RT_RANK = 8, RT_MAGIC = 0x6d747461 /* "attm" */, RT_ABI = 1 };
#define RT_NONE UINT32_MAX

typedef enum {
#define DTYPE(id, text, npy, bytes, sort) RT_##id,
#include "dtypes.def"
    RT_N_DTYPES
} rt_dtype;

typedef enum {                   /* CPU levels: what machine code takes for granted */
#define LEVEL(id, text) RT_LEVEL_##id,
#include "levels.def"
    RT_N_LEVELS
} rt_level;

typedef struct { const char *file; uint32_t line, column; } rt_place;           /* file: of module->sources; line 0: unknown */

/* ---- integer program: 64-bit slots, filled in order. Every result is checked: what leaves int64 is an error, nothing wraps. */
typedef enum {
    RT_INT_LITERAL,              /* dst = literal */
    RT_INT_SHAPE,                /* dst = extent of axis b of tensor a, as bound by the host; below 2^31 */
    RT_INT_STRIDE,               /* dst = stride of axis b of tensor a, in elements, as kernels find it: of the copy, if one is made */
    RT_INT_SCALAR,               /* dst = value of tensor a, an integer of rank 0 */
    RT_INT_ADD, RT_INT_SUB, RT_INT_MUL, RT_INT_FDIV, RT_INT_MOD, RT_INT_MIN, RT_INT_MAX, RT_INT_NEG, RT_INT_ABS,
    RT_INT_LT, RT_INT_LE, RT_INT_EQ, RT_INT_NE, RT_INT_AND, RT_INT_OR, RT_INT_NOT,
    RT_INT_SELECT,               /* dst = a ? b : c */
    RT_INT_SOLVE,                /* dst = a / b, exactly, and not negative; else the shape of tensor `literal >> 8`, axis `literal & 255` is wrong */
    RT_INT_EXPECT,               /* a == b, else that axis is wrong: found a, expected b */
    RT_INT_REQUIRE,              /* a is true, else fact `literal` of the graph does not hold */
    RT_N_INTS
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
    const char *name;            /* of its first result */
    rt_image image;              /* needed by load alone; no bytes where fn is linked in already */
    rt_kernel_fn *fn;            /* CPU: filled in by load, not part of a file; NULL on a device that launches by `handle` */
    void *handle;                /* the device's own, filled in by load, not part of a file */
    uint32_t n_ints, n_buffers;  /* that it reads of its frame */
    uint32_t n_results;          /* the first of its buffers, which it writes; it writes no other */
    const char *text, *schedule; /* for people (docs/ir.md); NULL: not kept */
    rt_place place;              /* where it was written */
    double predicted_s;          /* of one launch on one core, at the representative dimensions */
} rt_kernel;

/* ---- steps. Slots are indices into the integer slots of a call, buffers into entry->buffers. */
typedef enum { RT_STEP_LAUNCH, RT_STEP_LOOP, RT_STEP_NEXT, RT_STEP_TEST, RT_STEP_COPY, RT_STEP_ZERO, RT_STEP_CHECK, RT_STEP_FAIL, RT_N_STEPS } rt_step_kind;
typedef struct {
    uint32_t kind;
    uint32_t kernel;             /* LAUNCH */
    uint32_t items, cost, scratch;       /* LAUNCH: slots; cost of one item, scratch bytes of one worker */
    uint32_t order, period;      /* LAUNCH: attn_order, and 0 or 1 + the slot of the items after which costs repeat */
    const uint32_t *ints; uint32_t n_ints;       /* LAUNCH: slots, kernel->n_ints of them */
    const uint32_t *buffers; uint32_t n_buffers; /* LAUNCH: kernel->n_buffers; COPY: to, from; ZERO, TEST, CHECK: one; FAIL: position, found */
    uint32_t counter, lo, hi;    /* LOOP: slots; the counter starts at lo. NEXT: counter */
    uint32_t target;             /* LOOP, TEST: step after the loop; NEXT: the step after its LOOP; CHECK: where to go on when all is well */
    uint32_t check;              /* FAIL: index of entry->checks */
    uint32_t first_op, n_ops;    /* LOOP, NEXT: operations of entry->ops to run again with the new counter */
    uint32_t same;               /* LAUNCH of a set-up: launches of a module with the same number (not 0) compute the same from the same params if
                                    their ints are equal, so that a model does it once */
    double unit_s;               /* LAUNCH: what one unit of `cost` takes on one core, by the cost model at the representative dimensions */
} rt_step;
/* CHECK reads a rank 0 i64: INT64_MAX means all is well, else the least failing linear position over entry->checks[..].positions;
 * the launch that finds the offending value and FAIL follow. TEST leaves the loop if its rank 0 bool is false. */

typedef enum { RT_BUFFER_TENSOR, RT_BUFFER_CONST, RT_BUFFER_WORK, RT_BUFFER_KEPT, RT_N_BUFFERS } rt_buffer_kind;
typedef struct {
    uint32_t kind;
    uint32_t index;              /* TENSOR: of graph->tensors */
    const void *data; uint64_t data_bytes;       /* CONST: its elements */
    uint32_t offset, bytes;      /* slots. bytes: of the value; offset: WORK, into the workspace (of the set-up, if that alone uses the buffer) */
    uint32_t setup;              /* WORK: 1 if it lies in the workspace of the set-up */
} rt_buffer;
/* KEPT is a result of the set-up that calls read: it lives with the model. */

typedef struct {                 /* message of a failed check */
    const char *what;            /* "index", "divisor", "place", "bit", or the operator whose result overflows */
    const char *tensor;          /* that is read; NULL for a divisor */
    uint32_t axis, limit;        /* limit: slot of the extent that must not be reached */
    const uint32_t *positions;   /* extents, slots, of the linear position, row-major */
    const char *const *position_names;
    uint32_t n_positions;
    rt_place place;
} rt_check;

/* ---- an entry: one way to compute a graph. The first whose `applies` holds computes a call. */
typedef struct {
    const char *name;            /* what it is for, "D = 64"; NULL: everything that the graph takes */
    uint32_t n_slots;            /* of a call: those of the graph first, then its own */
    const rt_int_op *bind; uint32_t n_bind;      /* runs after the graph's program, reads its slots: sizes, offsets, item counts */
    uint32_t n_applies;          /* the first operations of bind, which leave in slot */
    uint32_t applies;            /* whether the entry computes this call; RT_NONE: it always does */
    const uint32_t *takes; uint32_t n_takes;     /* by tensor: slot of a truth value: kernels read the tensor with the strides that it has. RT_NONE, or
                                    false: only dense, so that others are copied. n_takes 0: all are read dense */
    const rt_kernel *kernels; uint32_t n_kernels;
    const rt_buffer *buffers; uint32_t n_buffers;
    const rt_step *steps;     uint32_t n_steps;
    uint32_t n_setup;            /* the first steps: they depend on params and constants alone and run once, when a model is made. No jump leaves them */
    const rt_check *checks;   uint32_t n_checks;
    const rt_int_op *ops;     uint32_t n_ops;    /* of LOOP and NEXT steps */
    uint32_t workspace, setup_workspace;         /* slots: bytes of a call, of the set-up */
    const char *const *remarks; uint32_t n_remarks;      /* what the compiler says about it, for people */
} rt_entry;

/* ---- a graph: what a host sees of it */
typedef enum { RT_TENSOR_INPUT, RT_TENSOR_PARAM, RT_TENSOR_STATE, RT_TENSOR_OUTPUT, RT_N_TENSORS } rt_tensor_kind;
typedef struct {
    uint32_t kind;
    const char *name;
    uint32_t index;              /* PARAM, STATE: of module->params, module->states; else RT_NONE */
    uint32_t dtype, rank;
    const uint32_t *dims;        /* slots of the extents that the host sees, packed axes joined; rank of them */
    const char *const *dim_texts;/* as written, for messages and headers; rank of them */
    uint32_t is_dim;             /* INPUT: `K: dim`, rank 0, which binds a dimension */
    rt_place place;
} rt_tensor_info;
typedef struct { const char *text; rt_place place; } rt_fact;

typedef struct {
    const char *name, *doc;      /* doc: of its ## comment, or NULL */
    const rt_tensor_info *tensors; uint32_t n_tensors;   /* all inputs, then params, then states, then outputs */
    const char *const *dim_names;  uint32_t n_dims;      /* dimension symbols: slots 0 .. n_dims */
    uint32_t n_slots;
    const rt_int_op *bind;         uint32_t n_bind;      /* from shapes to dimensions and extents; tests shapes and facts */
    const rt_fact *facts;          uint32_t n_facts;     /* texts, with places */
    const rt_entry *entries;       uint32_t n_entries;   /* none: the graph has a signature only */
} rt_graph;

/* ---- what graphs share */
typedef struct {
    const char *name;
    const char *storage;         /* name in the weights; each {x} stacks along the next leading axis */
    uint32_t dtype, rank;
    const char *const *dim_texts;/* rank of them */
    rt_place place;
} rt_param_info;
/* Two graphs share a param if name, storage, type and texts of the extents are the same; a name alone is not enough. */

typedef struct {                 /* a tensor that lives from call to call, in a session of the host */
    const char *name;
    uint32_t dtype, rank;
    const char *const *dim_texts;/* rank of them */
    uint32_t grows;              /* axis that is filled call by call; RT_NONE: all of it is there from the first */
    uint32_t length;             /* grows: of module->lengths, how much of the axis is filled; else RT_NONE */
    uint32_t ring;               /* grows: 1 if only the newest `capacity` rows stay; 0: filling it is an error */
    const void *initial; uint64_t initial_bytes; /* the first value: one element, repeated; NULL: zeros */
    rt_place place;
} rt_state_info;
typedef struct {                 /* a fill that several states share: T in [B, T <= 4096] */
    const char *name;            /* the dimension symbol that graphs read it by */
    int64_t capacity;
} rt_length_info;
typedef struct { const char *name, *text; uint64_t text_bytes; } rt_source;     /* a file of the program, for messages; text NULL: the name alone */

/* ---- the module */
enum {                           /* bits of rt_module.features */
    RT_FEATURE_STATE = 1,        /* it has states: a call needs a session */
    RT_FEATURES_KNOWN = 0        /* by this runtime; a module with any other bit is refused */
};
typedef struct {
    uint32_t magic, abi;         /* RT_MAGIC, RT_ABI */
    uint32_t struct_size;        /* of rt_module, as the writer knew it */
    uint32_t features;           /* that the runtime must have */
    uint32_t level;              /* rt_level: what the code needs of the CPU */
    const char *target;          /* "cpu", "cuda" */
    const char *compiler;        /* who wrote it, "attn 0.1.0"; for people */
    const rt_source *sources;      uint32_t n_sources;
    const rt_param_info *params;   uint32_t n_params;
    const rt_state_info *states;   uint32_t n_states;
    const rt_length_info *lengths; uint32_t n_lengths;
    const rt_graph *graphs;        uint32_t n_graphs;
} rt_module;

/* ---- devices: where kernels run. The CPU is one. All functions return false, with a text in `error`, when they fail. */
typedef struct rt_device rt_device;
typedef struct {                 /* as in attn_job */
    const rt_kernel *kernel;
    rt_frame frame;
    int64_t items, cost_of_item, scratch_bytes, period;
    uint32_t order;
    const attn_call *call;
    struct rt_tally *tally;      /* NULL, or where the device counts items and the time they took */
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

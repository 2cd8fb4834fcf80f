/* What stands behind the handles of attn.h, and how its functions start and end.
 *
 * Every public function that can fail runs its body under api_run: a scratch arena, a list of diagnostics, and the recovery point where
 * the arenas jump when memory runs out. A body that makes an object allocates it in `keep`, an arena of its own that becomes the object's and
 * is destroyed if the call fails. What is no memory (descriptors, code, blocks of devices) is registered with api_defer before it is acquired.
 * Nothing else of the driver knows about recovery.
 */
#ifndef ATTN_API_H
#define ATTN_API_H
#include <pthread.h>
#include <stdatomic.h>
#include "attn/attn.h"
#include "backend.h"
#include "frontend.h"
#include "passes.h"
#include "rt.h"

/* ---- guard.c: calls */
typedef struct api_cleanup { void (*run)(void *self); void *self; bool on_failure_only; struct api_cleanup *next; } api_cleanup;
typedef struct {
    base_allocator allocator;
    jmp_buf on_failure;
    base_arena *scratch;                     /* ends with the call */
    base_arena *keep;                        /* NULL, or the arena of the object that is made; it survives if the call succeeds */
    base_diags *diags;
    api_cleanup *cleanups;                   /* the last first */
    attn_diagnostics *out;
} api_call;
bool api_allocator(const attn_allocator *from, base_allocator *out);  /* NULL functions if from is NULL; false: only one of two is there */
typedef attn_status api_body(api_call *call, void *args);
attn_status api_run(const base_allocator *allocator, attn_diagnostics *out, api_body *body, void *args);
base_arena *api_keep(api_call *call);        /* the arena of a new object */
void api_borrow(api_call *call, base_arena *arena);                  /* an object's arena is used by this call; lock the object meanwhile */
void api_defer(api_call *call, void (*run)(void *self), void *self, bool on_failure_only);
void api_lock(api_call *call, pthread_mutex_t *lock);        /* until the call ends, also if memory runs out in the middle */
char *api_hand_out(api_call *call, const base_text *text);            /* dump.c: for attn_text_destroy */
attn_status api_status(const api_call *call);                        /* by the class of the first error; INTERNAL if there is none */
attn_status api_argument(api_call *call, const char *what);          /* the caller broke a rule of the header */
_Noreturn void api_no_memory(api_call *call);
/* Structs with struct_size, of which callers may know an older version, a newer one, or this one. `first` is how many bytes the first version
 * had, up to its last member. false: struct_size is not set. */
#define API_UP_TO(type, last) (offsetof(type, last) + sizeof(((type *)NULL)->last))
bool api_options(void *to, size_t bytes, size_t first, const void *from);      /* `to` holds the defaults; members that `from` lacks keep them */
bool api_fill(void *to, const void *from, size_t bytes, size_t first);         /* the members that the caller's struct has room for */

/* ---- diagnostics.c */
void api_transfer(attn_diagnostics *out, const base_diags *from, jmp_buf *on_failure);
void api_add_no_memory(attn_diagnostics *out);

/* ---- context.c */
struct attn_context {
    _Atomic int references;
    base_arena *arena;
    base_allocator allocator;
    rt_pool *pool;                           /* NULL: the host's executor */
    rt_executor executor;                    /* the pool's or the host's */
    int threads;
    const ir_backend *cuda;                  /* NULL: not built in */
    const char *cache_path;                  /* of compiled code; NULL: none is kept */
    int64_t cache_bytes;                     /* 0: the default */
};
attn_context *api_context_retain(attn_context *context);

/* ---- targets.c: what programs can be compiled for */
const ir_backend *drv_backend(const attn_context *context, const char *target);                    /* NULL: the evaluator, or no such target */
bool drv_target_exists(const char *target);
bool drv_target_unknown(api_call *call, const char *target);         /* reports; false */
void drv_backends_create(attn_context *context, const attn_context_options *options);

/* ---- tensor.c */
struct attn_tensor {
    _Atomic int references;                  /* the owner's, and one for each DLPack tensor over it */
    base_arena *arena;
    rt_array array;
    rt_file file;                            /* mapped, with the elements in it; else closed */
    struct DLManagedTensor *managed;         /* whose elements these are; else NULL */
};
attn_tensor *api_tensor_blank(api_call *call);                       /* without elements, in an arena of its own: call->keep */
rt_array api_dense(api_call *call, const rt_array *from);            /* itself, or a copy in scratch */
attn_tensor *api_tensor_new(api_call *call, uint32_t dtype, uint32_t rank, const int64_t *dim);    /* zeroed, in an arena of its own: call->keep */

/* ---- dlpack.c */
void api_managed_delete(struct DLManagedTensor *managed);            /* by its own deleter */

/* ---- program.c */
typedef struct {
    ir_graph *graph;                         /* as the frontend made it; read only */
    rt_graph signature;
    rt_param_info *params; uint32_t n_params;/* which its tensors count */
    attn_graph_info info;
} api_graph;
struct attn_program {
    _Atomic int references;
    base_arena *arena;
    attn_context *context;
    base_diags *diags;                       /* its files, which spans point into */
    fe_program *source;
    api_graph *graphs;
    uint32_t n_graphs;
    pthread_mutex_t lock;                    /* of units, whose proofs remember what they found */
};
attn_program *api_program_retain(attn_program *program);
const api_graph *api_graph_find(const attn_program *program, const char *name);                    /* NULL: the last. NULL: none of that name */
void api_use_files(api_call *call, const attn_program *program);     /* messages of this call may point into the program */
uint32_t api_tensor_find(const rt_graph *graph, uint32_t kind, const char *name);                  /* UINT32_MAX: none */
attn_status api_tensor_info(const rt_graph *graph, const rt_param_info *params, size_t k, attn_tensor_info *out);
bool api_unknown_graph(api_call *call, const attn_program *program, const char *name);             /* reports; false */

/* ---- code.c: images of kernels, cached or compiled; their bytes lie in the arena. false: reported */
bool drv_images(api_call *call, const attn_context *context, const ir_backend *backend, const ir_target *target, uint32_t n,
                const ir_schedule *const *schedules, base_arena *arena, rt_image *images);

/* ---- compile.c: from a program to a module */
enum { API_MOST_ENTRIES = 16 };              /* of one graph */
typedef struct {
    ir_plan *plan;                           /* NULL: from a file */
    void *code;                              /* what the device has loaded; NULL: nothing */
} api_entry;
typedef struct {
    ir_graph *meaning;                       /* for the evaluator; else NULL */
    api_entry *entries;                      /* by entry of the graph */
    uint32_t n_entries;                      /* that are there so far */
} api_compiled;
struct attn_module {
    _Atomic int references;
    base_arena *arena;
    attn_context *context;
    attn_program *program;                   /* NULL: it was loaded from a file */
    const ir_backend *backend;               /* NULL: the evaluator, or a module from a file */
    const char *arch;                        /* NULL: this machine's; else it is made for a file and not loaded */
    rt_device *device;                       /* NULL: the host */
    rt_module contract;
    rt_file file;                            /* of one that was loaded: texts, code and constants lie in it; else closed */
    api_compiled *graphs;                    /* by graph of the contract */
    double compile_s;
    pthread_mutex_t lock;                    /* of the device, of units that evaluate */
};

/* ---- setups.c: numbers for launches of set-ups that compute the same */
void drv_number_setups(const rt_module *module, base_arena *scratch);

/* ---- module.c: what a module says about itself */
attn_module *api_module_retain(attn_module *module);
uint32_t drv_module_graph(const attn_module *module, const char *name);                            /* of the contract; NULL: the last of the program. RT_NONE: none */
bool drv_not_in_module(api_call *call, const attn_module *module, const char *name);               /* reports; false */
void drv_use_sources(api_call *call, const attn_module *module);     /* messages of this call may point into the program */
bool drv_device_open(api_call *call, attn_module *module);            /* if kernels of the target run on one; false: reported */
bool drv_load(api_call *call, const attn_module *module, api_entry *entry, uint32_t n, rt_kernel *kernels);      /* places their code; false: reported */

/* ---- compile.c, passes */
/* The passes over a graph, for these values of symbols. backend NULL: none, the graph alone. arch NULL: of this machine. stop_after: NULL, or a pass. false: reported. */
bool drv_lower(api_call *call, base_arena *arena, const attn_program *program, uint32_t graph, uint32_t n_fixed, const fe_fixed *fixed, const ir_backend *backend,
               const char *arch, const attn_dim *dims, size_t n_dims, const char *stop_after, pass_state *state);

/* The contract alone, for an architecture, in scratch memory; the backend must not be the evaluator's. NULL: reported. */
const rt_module *drv_compile(api_call *call, attn_context *context, const attn_program *program, const attn_module_options *options, const char *arch);

/* ---- model.c */
struct attn_model {
    base_arena *arena;
    attn_module *module;
    rt_model rt;
};

/* ---- model_run.c */
/* Options of this version from the caller's; false: he broke a rule that can be seen without a look at the graph. Outputs are not looked at. */
bool drv_run_options(attn_run_options *to, const attn_run_options *from);
/* Tensors of a call in the order of the entry; reports what is missing, twice or unknown. */
bool drv_arguments(api_call *call, const rt_graph *graph, const attn_run_options *options, const rt_array *params, rt_array *tensors);

/* ---- operations.c */
double drv_operations(api_call *call, const ir_plan *plan, const rt_call *bound);      /* after rt_bind; arithmetic of visible pairs */

/* ---- eval.c: the evaluator as a target */
attn_status drv_eval(api_call *call, attn_module *module, const ir_graph *graph, rt_call *run);
bool drv_take(api_call *call, const ir_unit *u, ir_frame *frame, ir_value v, const rt_array *from);    /* an array as the evaluator has it; false: reported */
#endif

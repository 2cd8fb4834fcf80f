/* The runtime: what runs a compiled module. Arrays, files, weights, threads, the host as a device, and the interpreter of steps.
 *
 * Reading order: array -> file, npy, json, safetensors -> weights -> clock -> pool -> code, cache -> tally -> host -> ints -> bind -> run -> cost.
 * Memory: of arenas where it ends with a call or an object, of a base_allocator where threads share it. What fails reports to
 * a base_diags and returns false.
 */
#ifndef ATTN_RT_H
#define ATTN_RT_H
#include "base.h"
#include "module.h"

/* ---- array.c: elements in memory */
typedef struct {
    uint32_t dtype, rank;
    int64_t dim[RT_RANK], stride[RT_RANK];       /* strides in elements; any, 0 and negative too */
    void *data;                                  /* of the element at position 0 */
} rt_array;
typedef struct { const char *name, *npy; uint32_t bytes; char sort; } rt_dtype_info;   /* sort: f i b */
extern const rt_dtype_info rt_dtypes[RT_N_DTYPES];
bool rt_count(uint32_t rank, const int64_t *dim, int64_t *out);                  /* elements; false: a negative extent, or beyond int64 */
void rt_array_dense(rt_array *a, uint32_t dtype, uint32_t rank, const int64_t *dim, void *data);   /* row-major; counts must fit */
bool rt_array_is_dense(const rt_array *a);       /* row-major without gaps, aligned to its element */
void rt_array_pack(const rt_array *a, void *out);/* its elements in row-major order */
const char *rt_array_text(base_arena *arena, const rt_array *a);                 /* "f32[2, 3]" */
bool rt_array_bools(const rt_array *a, uint8_t *other);                          /* every element of a bool array is 0 or 1; else one that is not */
bool rt_array_span(const rt_array *a, int64_t *first, int64_t *last);            /* bytes relative to data, last excluded; false: beyond int64 */
bool rt_array_overlaps(const rt_array *a, const rt_array *b);                    /* some byte between first and last element belongs to both */

/* ---- file.c: whole files */
void rt_error_text(int error, char *text, size_t n);                             /* an errno in words */
bool rt_file_read(const char *path, base_arena *arena, base_diags *diags, const unsigned char **bytes, size_t *n);
/* A file's bytes for as long as it is open: in the arena, or, of a large one, mapped; changing them does not change the file. What is mapped must
 * not become shorter meanwhile: reading beyond its end is a signal. Start from {0}; close also after a failure. */
enum { RT_MAPPED_FROM = 1 << 20 };
typedef struct { unsigned char *at; size_t n; bool mapped, stays; } rt_file;         /* stays: the bytes outlive the file, as those inside of a shared object do */
bool rt_file_open(const char *path, base_arena *arena, base_diags *diags, rt_file *out);
void rt_file_close(rt_file *f);                  /* may be called twice */
typedef struct { const void *at; size_t n; } rt_bytes;
typedef struct { const char *path; const rt_bytes *parts; size_t n_parts; } rt_output;             /* parts: one after the other */
bool rt_files_write(const rt_output *files, size_t n, base_arena *arena, base_diags *diags);        /* all of them appear, complete, or none */

/* ---- npy.c: .npy files */
/* Dense, row-major, in the machine's byte order. in_place: where they are that in the file, the elements stay there, and `bytes` must too;
 * all others are copied to the arena. */
bool rt_npy_parse(const char *name, unsigned char *bytes, size_t n, bool in_place, base_arena *arena, base_diags *diags, rt_array *out);
rt_output rt_npy_output(const char *path, const rt_array *dense, base_arena *arena);               /* what is to be written for it */

/* ---- json.c: as much JSON as the headers of files have. Each reads one thing behind blanks and says whether it was there */
typedef struct { char *at; const char *end; } rt_json;                           /* the text is changed: strings are decoded in place */
bool rt_json_take(rt_json *j, char c);           /* punctuation; false leaves what stands there */
bool rt_json_string(rt_json *j, const char **out);         /* UTF-8, terminated, without zeros inside; lies in the text */
bool rt_json_size(rt_json *j, int64_t *out);     /* a whole number, not negative */
bool rt_json_end(rt_json *j);                    /* nothing but blanks follows */

/* ---- safetensors.c: weights by name */
typedef enum {
    RT_STORED_F64, RT_STORED_F32, RT_STORED_F16, RT_STORED_BF16, RT_STORED_I64, RT_STORED_I32, RT_STORED_I16, RT_STORED_I8,
    RT_STORED_U64, RT_STORED_U32, RT_STORED_U16, RT_STORED_U8, RT_STORED_BOOL, RT_N_STORED
} rt_stored;
typedef struct { const char *text; uint8_t bytes; char sort; } rt_stored_info;
extern const rt_stored_info rt_stored_types[RT_N_STORED];
typedef struct {
    const char *name;
    uint8_t type, rank;                          /* rt_stored */
    int64_t dim[RT_RANK], elements;
    uint64_t offset, bytes;                      /* in the file */
} rt_stored_tensor;
typedef struct {
    const char *path;
    rt_file file;
    rt_stored_tensor *tensors; uint32_t n_tensors;         /* sorted by name: a hash could be led into collisions by a file made for it */
} rt_safetensors;
/* Opens and checks everything that the header says. Start from {0}; close the file afterwards, also on failure. */
bool rt_safetensors_open(rt_safetensors *s, const char *path, base_arena *arena, base_diags *diags);
/* The same of bytes that outlive everything. name: what messages call them. */
bool rt_safetensors_open_bytes(rt_safetensors *s, const char *name, const void *bytes, size_t n, base_arena *arena, base_diags *diags);
const rt_stored_tensor *rt_safetensors_find(const rt_safetensors *s, const char *name);            /* NULL: none */
enum { RT_MOST_STORED = 1 << 17 };               /* tensors of a file that is written: their names fit a header that is read */
typedef struct { const char *name; rt_array array; } rt_named;
uint8_t rt_stored_type(uint32_t dtype);          /* as which elements of that type are stored */
rt_output rt_safetensors_output(const char *path, const rt_named *dense, size_t n, base_arena *arena);      /* names must differ */
/* Elements of a stored type, aligned to nothing, to a dtype. false: that pair is refused, or a value does not fit. */
bool rt_convert(uint8_t stored, const void *from, uint32_t dtype, void *to, int64_t n);

/* ---- weights.c: from stored tensors to params */
typedef struct {
    const char *name, *storage;                  /* storage may hold {x} places, which stack along leading axes */
    uint32_t dtype, rank;
    int64_t dim[RT_RANK];                        /* -1: as stored */
    const char *const *dim_texts;
} rt_param;
/* Fills in dims that were -1 and loads the elements into `arena`. Those of a mapped file that are as the program wants them stay there. */
bool rt_param_load(const rt_safetensors *s, rt_param *param, base_arena *arena, base_diags *diags, void **data);

/* ---- clock.c: when a call has to end. NULL: a job of no call, which never has to */
int64_t rt_now_ns(void);                         /* on CLOCK_MONOTONIC */
bool rt_cancelled(const attn_call *call);
bool rt_has_deadline(const attn_call *call);
bool rt_late(const attn_call *call);             /* its deadline has passed */
bool rt_over(const attn_call *call);             /* one of both */

uint32_t rt_storage_places(const char *storage); /* how many {x} it has */
const char *rt_storage_name(base_arena *arena, const char *storage, const int64_t *index);         /* with the k-th place filled in: index[k] */
void rt_next_index(uint32_t rank, const int64_t *dim, int64_t *index);           /* row-major; after the last comes the first */

/* ---- tally.c: counters of an entry, kept per thread */
typedef struct { int64_t calls, ended_early, items; double busy_s, elapsed_s, predicted_s; } rt_counts;
typedef struct rt_tally rt_tally;
rt_tally *rt_tally_create(base_arena *arena);
void rt_tally_items(rt_tally *t, int64_t items, int64_t busy_ns);                /* computed by the calling thread */
void rt_tally_call(rt_tally *t, bool done, int64_t elapsed_ns, double predicted_s);
rt_counts rt_tally_take(rt_tally *t, bool reset);

/* ---- pool.c: threads of a context */
typedef struct rt_pool rt_pool;
rt_pool *rt_pool_create(const base_allocator *allocator, int n_threads);         /* 0: one per usable CPU. NULL: no memory */
void rt_pool_destroy(rt_pool *pool);             /* when no job runs */
rt_executor rt_pool_executor(rt_pool *pool);

/* ---- code.c: machine code of the host */
/* Kernels whose fn is NULL get one: their images are copied into one mapping, which is then executable and no longer writable.
 * *out: NULL if there was nothing to place. false: error says why ("out of memory" if it is that). */
bool rt_code_load(uint32_t n, rt_kernel *kernels, void **out, char *error, size_t error_n);
void rt_code_unload(void *code);                 /* when none of the kernels runs any more; NULL is allowed */

/* ---- digest.c: SHA-256 */
typedef struct { unsigned char bytes[32]; } rt_digest;
rt_digest rt_digest_of(const void *bytes, size_t n);

/* ---- cache.c: images of kernels in a folder, by a digest of what they were made from. Whatever cannot be read, or is damaged, is not there. */
enum { RT_CACHE_NAME = 40 };                     /* bytes of a file's name, with its zero */
typedef struct { int folder; bool missing; } rt_cache;                           /* folder: a descriptor, -1: none; missing: there is no such folder */
typedef struct { const char *kernel, *target; rt_image image; } rt_cached;       /* target: for whom and by whom it was compiled, for people */
typedef struct { const char *name; int64_t bytes, used; const char *damage; rt_cached code; } rt_cache_entry;   /* used: seconds since 1970; damage: NULL, or why it does not count */
/* Only a folder of this user's, not a link, that nobody else may write to. create: it and the folders above, readable by nobody else. false: why not. */
bool rt_cache_open(rt_cache *cache, const char *path, bool create, base_arena *arena, const char **why);
void rt_cache_close(rt_cache *cache);            /* may be called twice */
bool rt_cache_find(const rt_cache *cache, const rt_digest *key, base_arena *arena, rt_cached *out);  /* what it finds lies in the arena */
bool rt_cache_store(const rt_cache *cache, const rt_digest *key, const rt_cached *from, base_arena *arena);    /* false: there is no room, or no right */
rt_cache_entry *rt_cache_list(const rt_cache *cache, base_arena *arena, size_t *n);                /* each read and checked; the oldest first */
int64_t rt_cache_clear(const rt_cache *cache, base_arena *arena, int64_t *bytes);                  /* entries removed */
void rt_cache_trim(const rt_cache *cache, int64_t most, base_arena *arena);      /* removes the oldest if all are more than `most` bytes */

/* ---- host.c: the CPU as a device */
typedef struct { rt_device device; rt_executor executor; base_allocator allocator; } rt_host;
void rt_host_init(rt_host *host, const rt_executor *executor, const base_allocator *allocator);    /* cheap; one per call */

/* ---- ints.c: integer programs */
typedef enum { RT_INTS_OK, RT_INTS_OVERFLOW, RT_INTS_ZERO, RT_INTS_EXTENT, RT_INTS_SHAPE, RT_INTS_FACT, RT_INTS_UNKNOWN } rt_ints_status;
typedef struct { uint32_t status, tensor, axis, fact; int64_t found, expected; bool divides; } rt_ints_error;  /* divides: found is no multiple of expected */
uint32_t rt_int_operands(uint32_t op);           /* how many of a, b, c are slots */
bool rt_ints_run(const rt_int_op *ops, uint32_t n, const rt_array *tensors, int64_t *slots, rt_ints_error *error);
/* As far as it is known: tensors whose rank is RT_UNKNOWN are not, nor is what depends on them. Tests nothing. */
enum { RT_UNKNOWN = 255 };
void rt_ints_partial(const rt_int_op *ops, uint32_t n, const rt_array *tensors, int64_t *slots, bool *known);

/* ---- bind.c, run.c: one call of a graph */
typedef struct rt_fixed { void *at; int64_t bytes; } rt_fixed;                    /* where it lies on the device */
typedef struct rt_blocks rt_blocks;              /* blocks of device memory between calls: workspaces, scratch of the host */
typedef struct {                                 /* a graph made ready on a device: what a model holds. Immutable while calls run */
    const rt_graph *graph;
    rt_device *device;                           /* NULL: the host; each call then has a device of its own */
    rt_executor executor;
    base_allocator allocator;
    rt_array *params;                            /* by index of graph->tensors; data are the device's; other tensors: rank RT_UNKNOWN */
    struct rt_fixed **fixed;                     /* by entry, by buffer: constants and results of the set-up */
    rt_blocks *blocks;
    rt_tally **tally;                            /* by entry; NULL: nothing is counted */
} rt_instance;
typedef struct { double seconds; int64_t launches; } rt_kernel_time;
typedef struct {
    const rt_instance *instance;
    base_arena *arena;
    base_diags *diags;
    const rt_array *tensors;                     /* by index of graph->tensors; outputs' data may be NULL: not wanted */
    attn_call terms;                             /* what executors are told about the call; struct_size 0: nothing but the usual */
    rt_kernel_time *times;                       /* NULL, or one per kernel of the graph, those of its entries in order: added to */
    const rt_array *read;                        /* set by rt_bind: the tensors as kernels find them, copies in place of those whose strides they do not take */
    const bool *taken;                           /* set by rt_bind: by tensor: read with the strides that it has, though it is not dense; NULL: none is */
    uint32_t entry;                              /* set by rt_bind: which entry computes it; RT_NONE: the graph has none */
    int64_t *slots;
    struct rt_block *memory;
    const bool *done;                            /* of a set-up, by step: launches that another has made already; NULL: none */
    bool cancelled, late, no_memory;             /* why it ended, if that is no message */
    int64_t items;                               /* of the launches so far, */
    double predicted_s;                          /* and what the cost model says of them */
} rt_call;
rt_blocks *rt_blocks_create(const base_allocator *allocator, rt_device *device); /* device NULL: the host's. NULL: no memory */
void rt_blocks_destroy(rt_blocks *blocks);
bool rt_mentions(const char *text, const char *name);                            /* a dimension's name as a word of an extent's text */
base_span rt_span(const base_diags *diags, const rt_place *place);               /* of the place, if its file is among those of diags */
/* Checks types, ranks, shapes and facts; finds the entry; fills call->slots. call->tensors: inputs and params are set. */
bool rt_bind(rt_call *call);
typedef enum { RT_COPY_NONE, RT_COPY_STRIDES, RT_COPY_ALIGNMENT, RT_COPY_DEVICE } rt_copy;
rt_copy rt_input_copy(const rt_call *call, uint32_t tensor);                     /* after rt_bind: why an input is copied before the first launch */
const rt_entry *rt_entry_of(const rt_call *call);/* after rt_bind; NULL: none */
uint32_t rt_first_kernel(const rt_graph *graph, uint32_t entry);                 /* of an entry, among those of the graph */
const char *rt_tensor_text(base_arena *arena, uint32_t dtype, uint32_t rank, const char *const *dim_texts);   /* as the program declares it: "f32[N, 2]" */
void rt_tensor_shape(const rt_call *call, uint32_t tensor, int64_t *dim);        /* after rt_bind: as the host sees it */
bool rt_outputs_alone(const rt_call *call);      /* no output of the host's shares memory with an input but its own, or another output; else reported */
bool rt_run(rt_call *call);                      /* after rt_bind */
bool rt_run_setup(rt_call *call);                /* the steps that params alone decide; entry and slots are set */

/* ---- cost.c: what a call will cost, without running. Numbers of launches and items are doubles, as loops may multiply them beyond int64 */
typedef struct { double launches, items, tensor_bytes; int64_t workspace_bytes; double predicted_s, elapsed_s; } rt_cost;
double rt_launch_seconds(const rt_step *s, const int64_t *slots);                /* on one core, by the cost model */
rt_cost rt_cost_of(const rt_call *call, int workers);                            /* after rt_bind */
void rt_release(rt_call *call);                  /* its memory, also when rt_run failed or the arena jumped out of it */

/* ---- model.c: a module with its weights */
typedef struct { const char *name; const rt_array *array; } rt_given;           /* a param by name, before the file is asked */
typedef struct rt_kept { void *at; size_t bytes; struct rt_kept *next; } rt_kept;/* device memory of a result of the set-up */
typedef struct {
    const rt_module *module;
    rt_device *device;                           /* NULL: the host */
    rt_executor executor;
    base_allocator allocator;
    rt_array *params;                            /* by index of module->params; rank RT_UNKNOWN: no graph asks for it */
    rt_instance *graphs;                         /* by index of module->graphs */
    rt_blocks *blocks;
    void *memory; size_t bytes;                  /* params and constants, one block; NULL on the host, where they lie in the arena */
    rt_kept *kept;
    rt_file weights;                             /* mapped, with params in it; else closed */
    rt_call *setup;                              /* while a set-up runs */
} rt_model;
typedef struct {
    const rt_given *given; uint32_t n_given;     /* names that no graph asks for are ignored */
    rt_safetensors *file;                        /* open; NULL: none. The model takes over the mapped file of one in which params stay */
} rt_weights;
/* model: module, device, executor, allocator are set, all else zero. Loads params, copies what a device needs, runs the set-ups. What the model
 * keeps lies in `arena` and on the device; the caller calls rt_model_release in any case, also when memory runs out in the middle. */
bool rt_model_make(rt_model *model, const rt_weights *weights, base_arena *arena, base_arena *scratch, base_diags *diags);
void rt_model_release(rt_model *model);          /* what is no memory of the arena; no call may run */

/* ---- module_file.c: modules as bytes; verify.c: what must hold of one */
/* The whole file in the arena. Functions of kernels do not stand in it; their images do. */
const void *rt_module_write(const rt_module *module, base_arena *arena, size_t *n);
void rt_module_seal(void *bytes, size_t n);      /* writes size and checksum into the head of a file; n is 64 at least */
/* Structs in the arena, texts and bytes where they lie, aligned to 16 at least: they must stay. NULL: *wrong says why, a text. What it answers has been
 * verified, its functions are not loaded. */
const rt_module *rt_module_read(const void *bytes, size_t n, base_arena *arena, const char **wrong);
/* NULL, or the first rule that does not hold: indices, kinds, counts, jumps. A module that passes cannot make the runtime read or write where it
 * must not, whatever its tensors are; its machine code is trusted as that of any shared object. */
const char *rt_module_wrong(const rt_module *module, base_arena *arena);

/* ---- level.c: what this machine's CPU can do */
extern const char *const rt_level_names[RT_N_LEVELS];
rt_level rt_level_here(void);                    /* the highest; ANY on an architecture without levels */
bool rt_level_runs(rt_level needed);             /* here */

/* ---- args.c: the struct of one call of a shared object's graph, member by member, each of 8 bytes */
typedef enum { RT_FIELD_SIZE, RT_FIELD_CALL, RT_FIELD_DIM, RT_FIELD_DATA, RT_FIELD_STRIDES } rt_field_kind;
typedef struct { uint32_t kind, index; } rt_field;       /* index: DIM: of dim_names; DATA, STRIDES: of tensors */
typedef struct { rt_field *at; uint32_t n; } rt_fields;
rt_fields rt_args_fields(const rt_graph *g, base_arena *arena);

/* ---- shared.c: what the functions of a shared object do. They come from hosts, so that they find no list of diagnostics and no arena: an error is a
 * status, as numbers of attn_status, and a text. Symbols of these names are hidden in the shared object. */
enum { RT_BUILT_ABI = 1, RT_BUILT_MESSAGE = 1012 };
typedef struct { uint64_t level; const void *bytes; uint64_t n; } rt_built_image;        /* a module for an rt_level */
typedef struct {                                 /* what a shared object holds; made by driver/build.c, all members of 8 bytes */
    uint64_t abi, n_images;
    const rt_built_image *images;                /* in the order in which they are wanted */
    const void *weights; uint64_t n_weights;     /* a safetensors file; 0: none inside */
} rt_built;
typedef struct { size_t struct_size; int64_t threads; const attn_executor *executor; } rt_built_options;
typedef struct { int32_t status; char code[8], message[RT_BUILT_MESSAGE]; } rt_built_error;
int32_t rt_built_open(const char *weights, const rt_built_options *options, void **out, rt_built_error *error, const rt_built *built);
void rt_built_close(void *opened);               /* when no call runs; NULL is allowed */
int32_t rt_built_call(void *opened, const void *args, rt_built_error *error, uint32_t graph);
int32_t rt_built_shapes(void *opened, const void *args, int64_t *out, rt_built_error *error, uint32_t graph);    /* out[0] is a struct_size */
#endif

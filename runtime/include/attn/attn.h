/* attn: compile attention graphs and run them. This header is the whole specification of the library.
 *
 *   context ──► program ──► module ──► model ──► run(tensors)
 *
 * A context holds threads and memory. A program is the checked text of an .attn file. A module is a program compiled for one
 * target. A model is a module with its weights. Running a model computes one graph on the host's tensors.
 *
 * Rules that hold for every function:
 *
 * - Failure. A function that can fail returns an attn_status and says why in the diagnostics it was given (NULL is allowed). It
 *   has then no effect: objects in hand are as before, and results behind `out` pointers are NULL. The library never prints,
 *   exits, aborts, reads the environment, or keeps a global variable that changes. Running out of memory is a status like others.
 * - Ownership. What a `create`, `read` or `run` function puts behind an `out` pointer belongs to the caller, who gives it back with the
 *   `destroy` function of its type; NULL is allowed there. Text and arrays reached through an object belong to that object and live as long.
 *   An object keeps what it was made from alive: a context may be destroyed before its programs, a program before its modules, a
 *   module before its models. Names and arrays in arguments are borrowed for the call only, unless the function says otherwise.
 * - Threads. Contexts, programs, modules and models never change once made; any number of threads may use one at the same time,
 *   models' runs included. A tensor and a diagnostics object are used by one thread at a time. Destroy an object after its last use.
 * - Options. Structs that the caller fills begin with `struct_size`, so that later versions can append members: start from the
 *   _INIT value and set what differs. Zero and NULL always mean the default. Structs that the library fills need only `struct_size` set.
 */
#ifndef ATTN_ATTN_H
#define ATTN_ATTN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attn/executor.h"

#if defined(__GNUC__)
#define ATTN_API __attribute__((visibility("default")))
#else
#define ATTN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ATTN_MAX_RANK = 8 /* axes that a tensor may have */
};

/* ------------------------------------------------------------------------------------------------------------- status */

typedef enum attn_status {
    ATTN_OK = 0,
    ATTN_ERROR_PROGRAM,     /* the .attn text is wrong: a diagnostic says where, what was expected and what was found */
    ATTN_ERROR_DATA,        /* a tensor, its shape or type, or something computed from it: index out of range, overflow */
    ATTN_ERROR_ENVIRONMENT, /* a file, library or device: missing, unreadable, damaged, not writable */
    ATTN_ERROR_ARGUMENT,    /* the caller broke a rule of this header */
    ATTN_ERROR_MEMORY,      /* out of memory; everything is as before the call */
    ATTN_ERROR_CANCELLED,   /* the host asked for it, through attn_run_options.cancel */
    ATTN_ERROR_INTERNAL,    /* the library is wrong: please report the diagnostic with the program */
    ATTN_ERROR_DEADLINE     /* attn_run_options.deadline_s has passed before the run was done */
} attn_status;

/* A short English name of a status, for logs. Never NULL. */
ATTN_API const char *attn_status_text(attn_status status);

/* The version of the library that is running, as "major.minor.patch". */
ATTN_API const char *attn_version(void);

/* ------------------------------------------------------------------------------------------------------------- memory */

/* Where the library takes its memory from: all of it but thread stacks, mapped files, machine code, and what LLVM, CUDA and libzip take for
 * themselves. `alloc` returns at least `bytes` bytes, aligned to 16, or NULL when there are none; `free` gets the same number back. Both may be
 * called by any thread, several at a time. NULL functions: malloc and free; one of the two alone is ATTN_ERROR_ARGUMENT. The struct is copied; `self` must
 * outlive every object made with it. */
typedef struct attn_allocator {
    void *(*alloc)(void *self, size_t bytes);
    void (*free)(void *self, void *at, size_t bytes);
    void *self;
} attn_allocator;

/* -------------------------------------------------------------------------------------------------------- diagnostics */

/* A list of messages about a program, its data or its environment. One call may add several: all independent errors of a file, say.
 * Calls append; nothing is removed but by attn_diagnostics_clear. */
typedef struct attn_diagnostics attn_diagnostics;

typedef enum attn_severity { ATTN_ERROR, ATTN_WARNING, ATTN_REMARK } attn_severity;

typedef struct attn_diagnostic {
    size_t struct_size;
    const char *code;       /* permanent, "E0214"; docs/messages.md lists them all */
    attn_severity severity;
    const char *message;    /* one line, without the code */
    const char *file;       /* NULL: about no place in a file */
    uint32_t line, column;  /* from 1; columns count code points */
    const char *expected;   /* NULL, or what would have been right */
    const char *found;      /* NULL, or what stands there */
    const char *hint;       /* NULL, or what to do about it */
} attn_diagnostic;
#define ATTN_DIAGNOSTIC_INIT {sizeof(attn_diagnostic), NULL, ATTN_ERROR, NULL, NULL, 0, 0, NULL, NULL, NULL}

/* An empty list. allocator: NULL for malloc. Fails with ATTN_ERROR_MEMORY only; room for the message "out of memory" is kept aside, so
 * that this one can always be added. */
ATTN_API attn_status attn_diagnostics_create(const attn_allocator *allocator, attn_diagnostics **out);
ATTN_API void attn_diagnostics_destroy(attn_diagnostics *diagnostics);
ATTN_API void attn_diagnostics_clear(attn_diagnostics *diagnostics);

ATTN_API size_t attn_diagnostics_count(const attn_diagnostics *diagnostics);

/* The k-th message in the order of reporting; its texts live until the list is cleared or destroyed. */
ATTN_API attn_status attn_diagnostics_get(const attn_diagnostics *diagnostics, size_t k, attn_diagnostic *out);

/* The k-th message as several lines for people: place, message, source line, caret, expected and found, hint. `colour` adds terminal
 * colours. Lives until the list is cleared or destroyed; "" if there is no such message. */
ATTN_API const char *attn_diagnostics_render(const attn_diagnostics *diagnostics, size_t k, bool colour);

/* ------------------------------------------------------------------------------------------------------------ context */

/* Threads, memory, devices: what everything else shares. */
typedef struct attn_context attn_context;

typedef struct attn_context_options {
    size_t struct_size;
    int threads;                     /* that compute, the caller's included; 0: one per CPU that the process may use. More than 1024 count as 1024 */
    const attn_allocator *allocator; /* copied; NULL: malloc */
    const attn_executor *executor;   /* who computes: attn/executor.h. Copied; NULL: the context's own threads, which start at the first run
                                        and do not survive fork: a child process computes on the calling thread only */
    /* Where NVIDIA's libraries are looked for beside the system's own folders, which is all the library does by itself. Copied. */
    const char *cuda_path;           /* root of a CUDA toolkit (CUDA_PATH, CUDA_HOME); NULL: none */
    const char *python_paths;        /* roots of Python installations that may hold libnvrtc, separated by ':'; NULL: the system's alone */
    const char *nvrtc;               /* this libnvrtc and no other; NULL: search */
    const char *cuda_driver;         /* likewise libcuda */
    /* A folder where compiled kernels are kept, so that the next compile of the same is a matter of reading: see attn_cache_list. Copied. */
    const char *cache_path;          /* NULL, "": none is kept */
    int64_t cache_bytes;             /* when it holds more, what was not used for longest goes; 0: 256 MiB */
} attn_context_options;
#define ATTN_CONTEXT_OPTIONS_INIT {sizeof(attn_context_options), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0}

/* options: NULL for all defaults. Fails with ATTN_ERROR_ARGUMENT (negative threads, an executor that cannot run) or ATTN_ERROR_MEMORY. */
ATTN_API attn_status attn_context_create(const attn_context_options *options, attn_diagnostics *diagnostics, attn_context **out);
ATTN_API void attn_context_destroy(attn_context *context);
ATTN_API int attn_context_threads(const attn_context *context);

/* Who computes for this context: its own threads, or what its options said. Other contexts and shared objects that get it in their options
 * share these threads, so that all of them together keep no more of them busy than the context has; the caller of each run takes
 * part besides. It belongs to the context, which must outlive whatever uses it. NULL only for NULL. Any thread may call it and use it. */
ATTN_API const attn_executor *attn_context_executor(const attn_context *context);

/* Measures what this machine's vector units can do: f32 multiply-adds per second on all threads of the context, in Gflop/s (a multiply-add
 * counts as two). Takes about `seconds`. The ceiling that `attnc bench` compares with. */
ATTN_API attn_status attn_context_peak(attn_context *context, double seconds, double *gflops);

/* The cache of compiled code: a folder with a file per kernel, named by a digest of all that decides the code: the texts of kernel, schedule and
 * target, and which compiler made it. A module that finds all its kernels there never loads LLVM. The folder and those above it are created as they
 * are wanted, readable by this user alone; several processes may use one at the same time. What is in it runs, so it is used only if it
 * belongs to this user, is no link, and nobody else may write to it. A cache that cannot be read or written, a full disk, a damaged file: modules
 * are as without a cache, and made more slowly. */
typedef struct attn_cache_entry {
    size_t struct_size;
    const char *file;       /* its name in the folder */
    const char *kernel;     /* its name in the program it was compiled from first; NULL if damaged */
    const char *target;     /* for which machine, by which compiler; NULL if damaged */
    int64_t bytes;          /* of the file */
    int64_t used;           /* when it was written or used last, to the hour: seconds since 1970 */
    const char *damage;     /* NULL: it is sound; else what is wrong. Damaged files are never used, and replaced when their kernel is compiled */
} attn_cache_entry;
typedef void attn_cache_visitor(void *self, const attn_cache_entry *entry);

/* Reads and checks every entry and hands it to `visit`, what was not used for longest first; texts live until it returns. A folder that is not there
 * is empty. ATTN_ERROR_ARGUMENT: the context has no cache. ATTN_ERROR_ENVIRONMENT: the folder is not used, and `diagnostics` says why. */
ATTN_API attn_status attn_cache_list(attn_context *context, attn_cache_visitor *visit, void *self, attn_diagnostics *diagnostics);

/* Removes all entries, and nothing else that may lie in the folder. n_removed, bytes: NULL, or how much that was. Fails as attn_cache_list does. */
ATTN_API attn_status attn_cache_clear(attn_context *context, int64_t *n_removed, int64_t *bytes, attn_diagnostics *diagnostics);

/* Targets that this build knows: "eval", the float64 evaluator that defines what programs mean (slow, everywhere); "cpu", machine
 * code by LLVM; "cuda". NULL beyond the last. */
ATTN_API const char *attn_target_name(size_t k);

/* Whether a target can be used on this machine. If not, `diagnostics` says what is missing and where it was searched.
 * ATTN_ERROR_ARGUMENT: no such target. ATTN_ERROR_ENVIRONMENT: it cannot be used here. */
ATTN_API attn_status attn_target_check(attn_context *context, const char *target, attn_diagnostics *diagnostics);

/* ------------------------------------------------------------------------------------------------------------ tensors */

typedef enum attn_dtype { ATTN_F32, ATTN_F64, ATTN_I32, ATTN_I64, ATTN_BOOL } attn_dtype; /* bool: one byte, 0 or 1 */

ATTN_API const char *attn_dtype_name(attn_dtype dtype);  /* "f32"; NULL if there is none */
ATTN_API size_t attn_dtype_bytes(attn_dtype dtype);      /* of one element; 0 if there is none */

/* Elements in memory, with type, rank, dims, and strides in elements. Either over the caller's memory or owning its own. */
typedef struct attn_tensor attn_tensor;

/* A tensor over the caller's memory, which must outlive it and is never freed. strides: NULL for dense row-major; else any integers, 0 and
 * negative ones too, with `data` pointing at the element at position 0. Inputs that are not dense or not aligned are copied when
 * a model runs; outputs must be dense. Every address that dims and strides reach must be valid memory. */
ATTN_API attn_status attn_tensor_wrap(attn_context *context, attn_dtype dtype, int rank, const int64_t *dims, const int64_t *strides, void *data,
                                      attn_diagnostics *diagnostics, attn_tensor **out);

/* A dense tensor with memory of its own, zeroed. */
ATTN_API attn_status attn_tensor_create(attn_context *context, attn_dtype dtype, int rank, const int64_t *dims, attn_diagnostics *diagnostics,
                                        attn_tensor **out);
ATTN_API void attn_tensor_destroy(attn_tensor *tensor);

ATTN_API attn_dtype attn_tensor_dtype(const attn_tensor *tensor);
ATTN_API int attn_tensor_rank(const attn_tensor *tensor);
ATTN_API int64_t attn_tensor_dim(const attn_tensor *tensor, int axis);     /* 0 for an axis that it does not have */
ATTN_API int64_t attn_tensor_stride(const attn_tensor *tensor, int axis);
ATTN_API int64_t attn_tensor_elements(const attn_tensor *tensor);
ATTN_API void *attn_tensor_data(const attn_tensor *tensor);                /* of the element at position 0 */

/* DLPack (dlpack/dlpack.h, which a host that exchanges tensors includes itself): the same elements, seen by another library. Nothing is copied.
 *
 * from: a tensor over the elements of `managed`, which it owns from then on: its deleter, where it has one, is called once, when the tensor is
 * destroyed, on the thread that does so. If the call fails, `managed` is the caller's as before. Wanted are elements that this processor reaches
 * (kDLCPU, kDLCUDAHost, kDLROCMHost), of one lane and a type of attn_dtype (bool is code 6 with 8 bits), at most ATTN_MAX_RANK axes; all else is
 * ATTN_ERROR_DATA. Strides, byte_offset and addresses that are aligned to nothing are fine, as for attn_tensor_wrap. DLPack does not say
 * whether elements may be written: the library writes to those of outputs alone.
 *
 * to: *out keeps the tensor alive, beyond attn_tensor_destroy, until its deleter is called, which may be on any thread. What a tensor of
 * attn_tensor_wrap lies over must live as long. Strides are always given. */
struct DLManagedTensor;
ATTN_API attn_status attn_tensor_from_dlpack(attn_context *context, struct DLManagedTensor *managed, attn_diagnostics *diagnostics, attn_tensor **out);
ATTN_API attn_status attn_tensor_to_dlpack(attn_context *context, attn_tensor *tensor, attn_diagnostics *diagnostics, struct DLManagedTensor **out);

/* NumPy's .npy files, versions 1 to 3. Read: C and Fortran order, either byte order; the result is dense row-major in the machine's byte
 * order. Element types beside the library's own are refused. Nothing in a file can make the library read or write outside of it.
 * A file of 1 MiB and more is mapped, and its elements stay in it where they are in that order already: they are read from disk when they are
 * looked at, and what a host writes to them stays in the process. While such a tensor lives the file may be replaced or removed, but
 * must not be cut short in place: reading what has gone ends the process with SIGBUS. Write: version 1, C order, into a temporary file beside
 * `path` that is renamed when complete, so that `path` is never half a file. */
ATTN_API attn_status attn_tensor_read_npy(attn_context *context, const char *path, attn_diagnostics *diagnostics, attn_tensor **out);
ATTN_API attn_status attn_tensor_write_npy(attn_context *context, const attn_tensor *tensor, const char *path, attn_diagnostics *diagnostics);

/* Several at once, all or none: every file is complete under another name before the first is renamed, and if one of them cannot be, those before it
 * get back what had their names. */
typedef struct attn_tensor_file {
    const char *path;
    const attn_tensor *tensor;
} attn_tensor_file;
ATTN_API attn_status attn_tensors_write_npy(attn_context *context, const attn_tensor_file *files, size_t n_files, attn_diagnostics *diagnostics);

/* A tensor by name: an input, an output, or a weight. */
typedef struct attn_argument {
    const char *name;
    attn_tensor *tensor;
} attn_argument;

/* NumPy's .npz archives of .npy files, stored or deflated: every member is a tensor of the member's name without ".npy". *out is a list of *n_out
 * tensors in the order of the archive, which the caller gives back as a whole; each name lives as long as its tensor. What has no
 * elements of the library's types, is encrypted, stands there twice, fails its checksum, or claims to be larger than it can be, is
 * ATTN_ERROR_ENVIRONMENT. A member takes memory of its own, also in a mapped file. */
ATTN_API attn_status attn_tensors_read_npz(attn_context *context, const char *path, attn_diagnostics *diagnostics, attn_argument **out, size_t *n_out);

/* Destroys the tensors that are still in the list, and the list. n: as it was read. */
ATTN_API void attn_arguments_destroy(attn_context *context, attn_argument *arguments, size_t n);

/* Members are stored, in C order, with names that differ; the same tensors always give the same bytes. The archive is complete in memory before the
 * file appears under its name. */
ATTN_API attn_status attn_tensors_write_npz(attn_context *context, const attn_argument *tensors, size_t n_tensors, const char *path,
                                            attn_diagnostics *diagnostics);

/* A dimension by name: {"S", 128}. */
typedef struct attn_dim {
    const char *name;
    int64_t value;
} attn_dim;

/* ----------------------------------------------------------------------------------------------------------- programs */

/* Checked source: graphs, names, shapes. */
typedef struct attn_program attn_program;

/* Checks a text of `bytes` bytes (UTF-8). name: how messages call it; files that it imports are looked for beside the file of that name.
 * Reports every independent error. The text is copied. */
ATTN_API attn_status attn_program_from_text(attn_context *context, const char *name, const char *text, size_t bytes, attn_diagnostics *diagnostics,
                                            attn_program **out);
ATTN_API attn_status attn_program_from_file(attn_context *context, const char *path, attn_diagnostics *diagnostics, attn_program **out);
ATTN_API void attn_program_destroy(attn_program *program);

/* Graphs in the order of the file. Wherever a function takes the name of a graph, NULL means the last one. */
typedef struct attn_graph_info {
    size_t struct_size;
    const char *name;
    const char *doc;                /* text of its ## comment, or NULL */
    size_t n_tensors;               /* inputs, then params, then outputs */
    size_t n_dims;
    const char *const *dim_names;   /* dimension symbols: "B", "S" */
} attn_graph_info;
#define ATTN_GRAPH_INFO_INIT {sizeof(attn_graph_info), NULL, NULL, 0, 0, NULL}

ATTN_API size_t attn_program_n_graphs(const attn_program *program);
ATTN_API attn_status attn_program_graph(const attn_program *program, size_t k, attn_graph_info *out);

typedef enum attn_tensor_kind { ATTN_INPUT, ATTN_PARAM, ATTN_OUTPUT } attn_tensor_kind;
typedef struct attn_tensor_info {
    size_t struct_size;
    attn_tensor_kind kind;
    const char *name;
    const char *storage;            /* of a param: its name in the weights, {l} where it stacks; else NULL */
    attn_dtype dtype;
    int rank;                       /* as the host sees it: packed axes are one */
    const char *const *dims;        /* as text: "B", "H*D", "64" */
    bool is_dim;                    /* an input `K: dim`, which attn_run_options.dims may give as well */
} attn_tensor_info;
#define ATTN_TENSOR_INFO_INIT {sizeof(attn_tensor_info), ATTN_INPUT, NULL, NULL, ATTN_F32, 0, NULL, false}

ATTN_API attn_status attn_program_tensor(const attn_program *program, const char *graph, size_t k, attn_tensor_info *out);

/* Lines `## try: text` of the file, which tell tools with which sizes and values the program is worth trying. NULL beyond the last. */
ATTN_API const char *attn_program_try(const attn_program *program, size_t k);

/* An input of a graph drawn at random, the same for the same seed everywhere: reals from the normal distribution N(0, 1), integers
 * from the interval that the program's reads allow, ascending where the program reads them as offsets. `## try:` lines of the program
 * have their say: `## try: x > 0` makes x positive, `## try: S = 100` gives a size where `dims` gives none, `## try: row = {0, 3, 7}`
 * gives the values themselves. Dimensions that nothing gives have a small default. */
ATTN_API attn_status attn_program_sample(attn_context *context, const attn_program *program, const char *graph, size_t tensor, const attn_dim *dims,
                                         size_t n_dims, uint64_t seed, attn_diagnostics *diagnostics, attn_tensor **out);

/* The program in the compiler's own words: the graph after the pass of that name, the kernels and schedules once there are some, the plan
 * in the end. pass: NULL for the last, "frontend" for the graph as the text says it, else attn_pass_name(k). target: NULL for "cpu";
 * an architecture may follow ("cpu:x86-64-v3", "cuda:sm_90a"), else it is that of this machine.
 * The text belongs to the caller: attn_text_destroy. */
ATTN_API attn_status attn_program_dump(attn_context *context, const attn_program *program, const char *graph, const char *target, const char *pass,
                                       attn_diagnostics *diagnostics, char **out);
ATTN_API void attn_text_destroy(attn_context *context, char *text);

/* How the guards of a graph's kernels are judged tile by tile, on the CPU: which tiles of rows and columns are empty (not visited), full (visited
 * without a test) or partial. As text a character per tile, `.` `#` `+`; or a picture in SVG. inputs: those that guards read; sizes come from
 * their shapes, `dims` and small defaults. The text belongs to the caller: attn_text_destroy. */
typedef struct attn_mask_picture {
    size_t struct_size;
    int64_t rows, columns;      /* of a tile; 0: 32 */
    bool svg;
} attn_mask_picture;
#define ATTN_MASK_PICTURE_INIT {sizeof(attn_mask_picture), 0, 0, false}
ATTN_API attn_status attn_program_masks(attn_context *context, const attn_program *program, const char *graph, const attn_argument *inputs,
                                        size_t n_inputs, const attn_dim *dims, size_t n_dims, const attn_mask_picture *how,
                                        attn_diagnostics *diagnostics, char **out);

/* The compiler's passes in order. NULL beyond the last. */
ATTN_API const char *attn_pass_name(size_t k);

/* ------------------------------------------------------------------------------------------------------------ modules */

/* Graphs compiled for one target. Sizes stay symbolic, but for those that `where` lists; running never compiles. */
typedef struct attn_module attn_module;

typedef struct attn_module_options {
    size_t struct_size;
    const char *target;     /* NULL: "cpu" */
    const char *graph;      /* compile this one only; NULL: all */
    const attn_dim *dims;   /* sizes that costs are judged at; speed only, never results */
    size_t n_dims;
} attn_module_options;
#define ATTN_MODULE_OPTIONS_INIT {sizeof(attn_module_options), NULL, NULL, NULL, 0}

/* options: NULL for all defaults. */
ATTN_API attn_status attn_module_create(attn_context *context, const attn_program *program, const attn_module_options *options,
                                        attn_diagnostics *diagnostics, attn_module **out);
ATTN_API void attn_module_destroy(attn_module *module);
ATTN_API const char *attn_module_target(const attn_module *module);
ATTN_API double attn_module_compile_seconds(const attn_module *module);

/* What became of a graph: its kernels in the order of the plan. A module for "eval" has none. A graph whose `where` lists values of
 * dimensions, D in {64, 128}, is compiled once for every combination of them, at most 16: its kernels are those of all, one after the other. A
 * run launches kernels of one combination, so that the times of all others stay as they were; other values are refused when tensors are
 * bound. */
typedef struct attn_kernel_info {
    size_t struct_size;
    const char *name;       /* of its first result */
    const char *text;       /* axes, lets, stores: docs/ir.md tells how to read it */
    const char *schedule;   /* tiles, lanes, placement of each let */
    const char *file;       /* where it was written; NULL if nowhere */
    uint32_t line, column;
    double predicted_s;     /* of one launch on one core, by the cost model, at the sizes given when compiling or the model's defaults */
    const char *entry;      /* the values of dimensions that it was compiled for, "D = 64"; NULL: all that the graph takes */
} attn_kernel_info;
#define ATTN_KERNEL_INFO_INIT {sizeof(attn_kernel_info), NULL, NULL, NULL, NULL, 0, 0, 0, NULL}

ATTN_API size_t attn_module_n_kernels(const attn_module *module, const char *graph);
ATTN_API attn_status attn_module_kernel(const attn_module *module, const char *graph, size_t k, attn_kernel_info *out);

/* What the compiler wants to say about a graph: "14:9: kr kept apart from o: ..". NULL beyond the last. */
ATTN_API const char *attn_module_remark(const attn_module *module, const char *graph, size_t k);

/* Graphs and tensors of a module, as attn_program_graph and attn_program_tensor tell them of a program: for a module from a file, which has
 * none. */
ATTN_API size_t attn_module_n_graphs(const attn_module *module);
ATTN_API attn_status attn_module_graph(const attn_module *module, size_t k, attn_graph_info *out);
ATTN_API attn_status attn_module_tensor(const attn_module *module, const char *graph, size_t k, attn_tensor_info *out);

/* Writes a module to a file, complete or not at all: code, tables and sources, but no weights. One for "eval" has no code: ATTN_ERROR_ARGUMENT. */
ATTN_API attn_status attn_module_save(const attn_module *module, const char *path, attn_diagnostics *diagnostics);

/* A module from such a file, made by the same version of attn for this machine's CPU or a lower level of it. Needs no compiler. It does all
 * that the saved one does, except that it does not know its operations (attn_model_cost says 0) and that NULL for a graph means its own last one.
 * A damaged file, one of another version, or one for another CPU is ATTN_ERROR_ENVIRONMENT. Every table of a file is checked before use, so
 * that no file can make the library read or write outside of its tensors and its own memory; but the machine code in it runs with all
 * rights of the process, as that of a shared object does: load files of people you trust. */
ATTN_API attn_status attn_module_load(attn_context *context, const char *path, attn_diagnostics *diagnostics, attn_module **out);

/* All kernels of a graph as the text handed to the target's own compiler: LLVM IR or CUDA C. Works for targets that cannot run here;
 * target as for attn_program_dump. The text belongs to the caller: attn_text_destroy. */
ATTN_API attn_status attn_program_emit(attn_context *context, const attn_program *program, const char *graph, const char *target,
                                       attn_diagnostics *diagnostics, char **out);

/* Programs as files for hosts that do not compile. What is made the suffix of `path` says:
 *
 *   x.so   a shared object, with its header x.h beside it, which declares a function for each graph. It needs libc and libm and nothing of this
 *          library. It holds code for one or several CPU levels and picks the highest that the machine has when it is opened
 *   x.o    the same as an object, also with x.h, for programs that link it with libattn_rt.a, libm and threads
 *   x.ll   one graph's kernels as LLVM IR, for one CPU level      x.s   the same as text for the assembler
 *   x.cu   one graph's kernels as CUDA C
 *
 * x is also the prefix of all names in the header: that of the file without its suffix, and without `lib` before it.
 * All files appear complete, or none does. */
typedef struct attn_build_options {
    size_t struct_size;
    const char *target;             /* NULL: "cuda" for x.cu, else "cpu"; "cuda:sm_90a" names an architecture, "cpu:x86-64-v3" one level */
    const char *graph;              /* this one only; NULL: all of them, or the last where a file holds one */
    const char *const *levels;      /* CPU levels: "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64" */
    size_t n_levels;                /* 0: x86-64-v3, and x86-64-v4 if the cost model says that the program gains a tenth by it; x.ll and x.s: x86-64-v3 */
    const attn_dim *dims;           /* sizes that costs are judged at; speed only, never results */
    size_t n_dims;
    const char *weights;            /* a safetensors file to be put into the object, so that x_open needs none; NULL: none */
    const char *runtime;            /* path of libattn_rt.a; NULL: beside the library */
    const char *cc, *ld;            /* C compiler, and linker where there is none, for x.so; NULL: /usr/bin/cc, /usr/bin/ld; "": not to be used */
} attn_build_options;
#define ATTN_BUILD_OPTIONS_INIT {sizeof(attn_build_options), NULL, NULL, NULL, 0, NULL, 0, NULL, NULL, NULL, NULL}

/* options: NULL for all defaults. ATTN_ERROR_ARGUMENT: another suffix, a CPU level that there is not, several
 * levels for a text. ATTN_ERROR_ENVIRONMENT: a file, or the
 * linker, with its own words. */
ATTN_API attn_status attn_program_build(attn_context *context, const attn_program *program, const attn_build_options *options, const char *path,
                                        attn_diagnostics *diagnostics);

/* ------------------------------------------------------------------------------------------------------------- models */

/* A module with its weights: found by name, checked, converted to the program's types, and put where the target reads them. */
typedef struct attn_model attn_model;

typedef struct attn_model_options {
    size_t struct_size;
    const char *weights;            /* path of a safetensors file; NULL: none */
    const attn_argument *params;    /* tensors by the param's name, found before the file; copied. Names that no graph asks for are ignored */
    size_t n_params;
} attn_model_options;
#define ATTN_MODEL_OPTIONS_INIT {sizeof(attn_model_options), NULL, NULL, 0}

/* options: NULL for a program without params. A param named "w.{l}.q" is stacked from "w.0.q", "w.1.q", ... along its leading axis; a param
 * that only splits or joins stored axes is a view; f16, bf16, f32, f64 and integers are converted. Every missing or unfit tensor is
 * reported. What a graph computes from params alone is computed now, once for all runs and graphs, and takes memory as long as the model lives; a
 * check of params that fails, an index in a table say, is reported here with its place in the program, as ATTN_ERROR_DATA. A
 * safetensors file is believed in nothing: offsets, sizes, overlaps and types are checked before use. One of 1 MiB and more
 * is mapped, and a param that stands in it just as the program wants it stays there, with the rule of attn_tensor_read_npy: while the model
 * lives, the file must not be cut short in place. */
ATTN_API attn_status attn_model_create(attn_context *context, const attn_module *module, const attn_model_options *options,
                                       attn_diagnostics *diagnostics, attn_model **out);
ATTN_API void attn_model_destroy(attn_model *model);

/* Writes the params of all graphs of the module to a safetensors file: under the names of the program, "w.{l}.q" as "w.0.q", "w.1.q", ..., in the
 * program's types and shapes, so that a model made from the file is the same to the bit. Complete or not at all, as for
 * attn_tensors_write_npy. Two params that would be stored under one name with different elements are ATTN_ERROR_DATA. */
ATTN_API attn_status attn_model_save_weights(const attn_model *model, const char *path, attn_diagnostics *diagnostics);

/* Time spent in one kernel during a run. */
typedef struct attn_kernel_time {
    double seconds;
    int64_t launches;
} attn_kernel_time;

typedef struct attn_run_options {
    size_t struct_size;
    const char *graph;              /* NULL: the last of the program */
    const attn_argument *inputs;    /* every input of the graph once, of exactly its type and rank */
    size_t n_inputs;
    const attn_dim *dims;           /* values of inputs `K: dim`, in place of a tensor; other dimensions are compared with what shapes say */
    size_t n_dims;
    attn_argument *outputs;         /* wanted results. tensor NULL: the run makes one, owned by the caller from then on; else it must be
                                       dense, of the right type and shape, and must not overlap another output, or an input, but for
                                       the dense input of its own name: given the very memory of that, it is updated in place */
    size_t n_outputs;
    attn_kernel_time *times;        /* NULL, or room for attn_module_n_kernels of them: seconds and launches are added */
    const bool *cancel;             /* NULL, or looked at between pieces of work; when true the run ends with ATTN_ERROR_CANCELLED. It must
                                       stay true until the run returns */
    double weight;                  /* share of the threads while several runs want them, in proportion; 0: 1 */
    double deadline_s;              /* seconds from the start of the call, looked at where cancel is: then the run ends with
                                       ATTN_ERROR_DEADLINE; negative: at once. 0 or INFINITY: none */
    uint64_t tenant;                /* your number for whoever the run is for: runs of one tenant together count as one. 0: nobody's */
} attn_run_options;
#define ATTN_RUN_OPTIONS_INIT {sizeof(attn_run_options), NULL, NULL, 0, NULL, 0, NULL, 0, NULL, NULL, 0, 0, 0}

/* Computes one graph. Dimensions follow from the shapes of inputs; what does not fit is ATTN_ERROR_DATA with tensor, axis, expected and
 * found. So is an index out of range, with tensor, position and the place in the program. Results are bit-equal for any number of threads.
 * On failure, a cancel and a deadline included, everything is as before: inputs, and so outputs in place of an input, are untouched, times are
 * not added, and no output has been made. Only the contents of other outputs that the caller gave are not specified. */
ATTN_API attn_status attn_model_run(attn_model *model, const attn_run_options *options, attn_diagnostics *diagnostics);

/* Why a run copies an input before its first kernel. Copies cost time and workspace, nothing else. */
typedef enum attn_copy {
    ATTN_COPY_NONE,      /* it is read where it lies */
    ATTN_COPY_STRIDES,   /* kernels take dense row-major elements, and these are not */
    ATTN_COPY_ALIGNMENT, /* its data are not aligned to one element */
    ATTN_COPY_DEVICE     /* the target has memory of its own */
} attn_copy;

/* Whether a run with these options would copy an input of that name. `options` as for attn_model_run; everything is checked as there, nothing is
 * computed. "eval" reads everything where it lies. */
ATTN_API attn_status attn_model_copies(attn_model *model, const attn_run_options *options, const char *input, attn_diagnostics *diagnostics, attn_copy *out);

/* Shapes without computing: dims of the k-th tensor of the graph (attn_program_tensor) for these values of dimensions, `dims_out` with room
 * for ATTN_MAX_RANK. A dimension that is needed and not given is ATTN_ERROR_DATA, by name. */
ATTN_API attn_status attn_program_shape(attn_context *context, const attn_program *program, const char *graph, size_t tensor, const attn_dim *dims,
                                        size_t n_dims, attn_diagnostics *diagnostics, int64_t *dims_out);

/* What one run on these inputs will cost. Numbers are of one run; loops count their turns as far as their bounds say. */
typedef struct attn_cost {
    size_t struct_size;
    double launches;            /* of kernels */
    double items;               /* pieces of work that do not depend on each other, of all launches */
    double operations;          /* arithmetic: multiply-adds of products count two, and of masked ones only pairs that are visible. 0 for
                                   a module from a file, which has no kernels to look into */
    double tensor_bytes;        /* of inputs, params and outputs, each once: the least that must be moved */
    int64_t workspace_bytes;    /* memory that the run takes beside tensors */
    double model_s;             /* busy time on one core (of a device: time), by the cost model alone */
    double predicted_s;         /* the same, times what runs of this graph on this model have taken for each second that the model said */
    double elapsed_s;           /* predicted, with the work spread over the threads of the context */
} attn_cost;
#define ATTN_COST_INIT {sizeof(attn_cost), 0, 0, 0, 0, 0, 0, 0, 0}

/* The cost of a run without running: shapes are bound and checked as attn_model_run does, with the same messages. Masks are looked at in `inputs` at a few
 * thousand random places, so `operations` is an estimate where a mask is not empty. `options` as for attn_model_run; outputs, times,
 * cancel and deadline are ignored. Needs a module with kernels: "eval" is ATTN_ERROR_ARGUMENT. Takes milliseconds at most. Any thread, also while the model runs. */
ATTN_API attn_status attn_model_cost(attn_model *model, const attn_run_options *options, attn_diagnostics *diagnostics, attn_cost *out);

/* What runs of a graph on this model have cost so far, since the model was made or the counters were last reset. */
typedef struct attn_counters {
    size_t struct_size;
    int64_t calls;              /* runs that have ended well */
    int64_t ended_early;        /* runs that began to compute and failed: cancelled, late, wrong data */
    int64_t items;              /* that were computed */
    double busy_s;              /* time spent in them, summed over threads */
    double elapsed_s;           /* from start to end of the runs, summed over runs */
    double predicted_s;         /* what the cost model says of the launches that were carried out: to be compared with busy_s */
} attn_counters;
#define ATTN_COUNTERS_INIT {sizeof(attn_counters), 0, 0, 0, 0, 0, 0}

/* Each thread counts by itself; this sums over all that ever took part. reset: the counters start from 0 again, and whatever threads count meanwhile is in
 * this answer or the next, never in both. Runs of "eval" are not counted. Any thread, also while the model runs. ATTN_ERROR_ARGUMENT: no such graph
 * in the model, or a struct_size that is not set. */
ATTN_API attn_status attn_model_counters(attn_model *model, const char *graph, bool reset, attn_counters *out);

#ifdef __cplusplus
}
#endif
#endif

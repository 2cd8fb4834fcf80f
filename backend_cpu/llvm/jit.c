/* From schedules to machine code: one LLVM module for all kernels of a compile, light passes, one object file, linked by LLJIT.
 * Kernels have no external symbols; an object that has one is a defect of the emitter and is refused here, before a linker sees it.
 * LLVM's own messages are translated in this file and nowhere else. */
#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"
#include "half.h"

struct ir_code {
    LLVMOrcLLJITRef jit;         /* owns the linked object; kernels point into its memory */
};
typedef struct {                 /* one compile; everything that must be disposed of, NULL where it is not (yet) */
    const ir_target *target;
    const ir_schedule *const *schedules; /* the caller's, one per kernel */
    uint32_t n;
    base_arena *arena;           /* texts and names of this compile */
    base_diags *diags;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTargetMachineRef machine;
    LLVMMemoryBufferRef object;  /* the object file; when text is asked for, the text */
    ir_code *code;               /* the caller's if all goes well */
    char **names;                /* of the functions */
    base_text *text;             /* for whom asks for text */
    rt_kernel *kernels;          /* for whom asks for code */
    jmp_buf no_memory;
    jmp_buf **before;            /* where the arenas jumped to until now: that of `arena`, that of `diags`, those of the kernels' units */
} build;

/* ---- messages: LLVM's text is given back before it is reported, since reporting may run out of memory and jump */

enum { MESSAGE = 1024 };

/* Whatever LLVM reports is a defect of ours, since schedules are verified: an internal error, not the user's. */
static void say(base_diags *diags, const char *text) { base_report(diags, BASE_MSG_CODE_GENERATION, (base_span){0, 0, 0}, text); }

/* True if there was an error. It is consumed in any case: one that nobody takes is a leak, and in checked builds of LLVM an abort. */
static bool say_error(base_diags *diags, LLVMErrorRef error) {
    char copy[MESSAGE];
    if (!error) return false;
    char *text = LLVMGetErrorMessage(error);
    snprintf(copy, sizeof copy, "%s", text);
    LLVMDisposeErrorMessage(text);
    say(diags, copy);
    return true;
}

/* Frees the text in any case: LLVM may hand out an empty one where nothing failed. Returns `failed`. */
static bool say_message(base_diags *diags, bool failed, char *text) {
    char copy[MESSAGE];
    snprintf(copy, sizeof copy, "%s", text ? text : "LLVM failed without a message");
    if (text) LLVMDisposeMessage(text);
    if (failed) say(diags, copy);
    return failed;
}

/* ---- memory that runs out. Arenas jump to whom they belong to, far beyond what LLVM holds for this compile. So for its time they jump here
 * first; then everything is given back, and the jump goes on. */

static base_arena *arena_at(const build *b, uint32_t k) { return k == 0 ? b->arena : k == 1 ? b->diags->arena : b->schedules[k - 2]->kernel->unit->arena; }

static void catch(build *b) {
    b->before = BASE_ARRAY(b->arena, b->n + 2, jmp_buf *);
    for (uint32_t k = 0; k < b->n + 2; k++) b->before[k] = base_arena_recover(arena_at(b, k), &b->no_memory);
}

/* In reverse: an arena that stands twice gets back what the first time found. */
static void uncatch(build *b) {
    for (uint32_t k = b->n + 2; k-- > 0;) base_arena_recover(arena_at(b, k), b->before[k]);
}

/* LLJIT is freed with all it linked, so no kernel may run any more. An error at its end has nobody to be told to. */
static void code_dispose(ir_code *code) {
    if (code && code->jit) LLVMConsumeError(LLVMOrcDisposeLLJIT(code->jit));
    free(code);
}

/* The module goes before its context; disposing twice or not at all would be LLVM's crash or leak, so every way out of a compile comes here. */
static void dispose(build *b) {
    if (b->object) LLVMDisposeMemoryBuffer(b->object);
    if (b->builder) LLVMDisposeBuilder(b->builder);
    if (b->module) LLVMDisposeModule(b->module);
    if (b->machine) LLVMDisposeTargetMachine(b->machine);
    if (b->context) LLVMContextDispose(b->context);
}

/* BUILT: all is made; FAILED: a report says why; NO_MEMORY: nothing is said yet, the arena's owner is jumped to after the cleanup. */
typedef enum { BUILT, FAILED, NO_MEMORY } outcome;

/* A function of its own: setjmp returns into the frame that called it, and here no local changes between the two returns, so none needs `volatile`. */
static outcome guarded(build *b, bool (*body)(build *b)) {
    if (setjmp(b->no_memory)) return NO_MEMORY;
    return body(b) ? BUILT : FAILED;
}

/* Runs a body that leaves what it makes in `b`. Its code survives if it succeeds, nothing else does. */
static bool run(build *b, bool (*body)(build *b)) {
    catch(b);
    const outcome o = guarded(b, body);
    uncatch(b);
    dispose(b);
    if (o != BUILT) code_dispose(b->code);
    if (o == NO_MEMORY) base_arena_fail(b->arena);
    return o == BUILT;
}

/* ---- from schedules to an object */

static void initialize(void) {
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
}
static void initialize_once(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;      /* LLVM's registry of targets is global */
    pthread_once(&once, initialize);
}

/* PIC: the object is linked wherever the loader finds room. Never code generation level 0, which spills everything. */
static LLVMTargetMachineRef machine_create(const ir_target *target, base_diags *diags) {
    initialize_once();
    char *triple = LLVMGetDefaultTargetTriple(), *error = NULL;
    LLVMTargetRef t = NULL;
    LLVMTargetMachineRef machine = NULL;
    const bool failed = LLVMGetTargetFromTriple(triple, &t, &error) != 0;
    if (!failed) machine = LLVMCreateTargetMachine(t, triple, target->cpu, target->features, LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelDefault);
    LLVMDisposeMessage(triple);
    if (!say_message(diags, failed, error) && !machine) say(diags, "no target machine");
    return machine;
}

/* Layout and triple have to be those of the machine, or sizes and alignments are guessed. */
static void module_create(build *b) {
    b->context = LLVMContextCreate();
    b->module = LLVMModuleCreateWithNameInContext("attn", b->context);
    b->builder = LLVMCreateBuilderInContext(b->context);
    char *triple = LLVMGetTargetMachineTriple(b->machine);
    LLVMSetTarget(b->module, triple);
    LLVMDisposeMessage(triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(b->machine);
    LLVMSetModuleDataLayout(b->module, layout);
    LLVMDisposeTargetData(layout);
}

/* "k3_scores": unique, and letters of a C name only. */
static char *function_name(base_arena *arena, uint32_t k, const char *name) {
    char *text = base_printf(arena, "k%u_%s", k, name ? name : "");
    for (char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9'))) *c = '_';
    return text;
}

/* All kernels of a compile share one module, and so one object and one link. The verifier is cheap beside code generation. */
static bool build_module(build *b) {
    b->machine = machine_create(b->target, b->diags);
    if (!b->machine) return false;
    module_create(b);
    b->names = BASE_ARRAY(b->arena, b->n, char *);
    for (uint32_t k = 0; k < b->n; k++) {
        b->names[k] = function_name(b->arena, k, b->schedules[k]->kernel->name);
        const char *wrong = cpu_emit_kernel(b->module, b->builder, b->target, b->schedules[k], b->names[k], b->arena);
        if (wrong) {
            say(b->diags, wrong);
            return false;
        }
    }
    char *text = NULL;
    const bool failed = LLVMVerifyModule(b->module, LLVMReturnStatusAction, &text) != 0;
    return !say_message(b->diags, failed, text);
}

/* Clean SSA comes from the emitter except that what loops carry stands in stack slots; the rest is moving what does not change out of
 * loops. More passes cost time and gain nothing, and the vectorisers must not run: vectors are explicit. */
static bool optimize(build *b) {
    static const char passes[] = "function(sroa,early-cse<memssa>,simplifycfg,loop-mssa(licm),early-cse)";
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(b->module, passes, b->machine, options);
    LLVMDisposePassBuilderOptions(options);
    return !say_error(b->diags, error);
}

/* Refused here, the name of the function that is missing is still known; the linker would look it up in this process and might even find it. */
static bool make_object(build *b) {
    char *text = NULL;
    const bool failed = LLVMTargetMachineEmitToMemoryBuffer(b->machine, b->module, LLVMObjectFile, &text, &b->object) != 0;
    if (say_message(b->diags, failed, text)) return false;
    const char *symbol = cpu_undefined_symbol(LLVMGetBufferStart(b->object), LLVMGetBufferSize(b->object));
    if (symbol) say(b->diags, base_printf(b->arena, "a kernel calls %s", symbol));
    return !symbol;
}

/* The body of what wants an object: each step reports its own failure, and `dispose` takes back what the steps before it made. */
static bool build_object(build *b) { return build_module(b) && optimize(b) && make_object(b); }

/* ---- what is asked for: text, code, or the object itself */

static bool emit_text(build *b) {
    if (!build_module(b)) return false;
    char *text = LLVMPrintModuleToString(b->module);
    b->object = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "text");      /* which is given back whatever happens */
    LLVMDisposeMessage(text);
    base_text_put(b->text, LLVMGetBufferStart(b->object), LLVMGetBufferSize(b->object));
    return true;
}

/* The text is what the emitter wrote, before any pass: names of phases and lines are still those of the kernel. */
static bool emit(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags) {
    build b = {.target = target, .n = n, .schedules = schedules, .arena = out->arena, .diags = diags, .text = out};
    return run(&b, emit_text);
}

/* The JIT owns the object from then on, also if it refuses it. */
static bool link_object(build *b) {
    LLVMMemoryBufferRef object = b->object;
    if (say_error(b->diags, LLVMOrcCreateLLJIT(&b->code->jit, NULL))) return false;
    b->object = NULL;
    return !say_error(b->diags, LLVMOrcLLJITAddObjectFile(b->code->jit, LLVMOrcLLJITGetMainJITDylib(b->code->jit), object));
}

/* The first look-up links the object. A function in an integer: copied, since ISO C has no cast from data to function. */
static bool find_kernels(build *b) {
    for (uint32_t k = 0; k < b->n; k++) {
        LLVMOrcExecutorAddress at = 0;
        if (say_error(b->diags, LLVMOrcLLJITLookup(b->code->jit, &at, b->names[k]))) return false;
        const ir_kernel *from = b->schedules[k]->kernel;
        const uintptr_t address = (uintptr_t)at;
        b->kernels[k] = (rt_kernel){.name = from->name, .n_ints = from->n_dims + from->n_counters, .n_buffers = from->n_values};
        memcpy(&b->kernels[k].fn, &address, sizeof address);
    }
    return true;
}

/* calloc, not the arena: code outlives the compile and its arenas, and is freed by release. */
static bool make_code(build *b) {
    if (!build_object(b)) return false;
    b->code = calloc(1, sizeof *b->code);
    if (!b->code) base_arena_fail(b->arena);
    return link_object(b) && find_kernels(b);
}

/* Code owns the linker's session; the module and the machine are done with once the object is written. */
static ir_code *compile(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, rt_kernel *kernels, base_diags *diags) {
    build b = {.target = target, .n = n, .schedules = schedules, .arena = diags->arena, .diags = diags, .kernels = kernels};
    /* Where this fails `run` has freed the code, and b.code dangles. */
    return run(&b, make_code) ? b.code : NULL;
}

static void release(ir_code *code) { code_dispose(code); }

/* `b` stands first: a body is handed the build, and takes it back to the whole. */
typedef struct { build b; const void *copy; size_t bytes; } copying;

static bool copy_object(build *b) {
    copying *c = (copying *)b;
    if (!build_object(b)) return false;
    c->bytes = LLVMGetBufferSize(b->object);
    c->copy = base_copy(b->arena, LLVMGetBufferStart(b->object), c->bytes);
    return true;
}

/* The bytes are the caller's, in its arena; LLVM's buffer goes with the build. */
static const void *object(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_arena *arena, size_t *bytes,
                          base_diags *diags) {
    copying c = {.b = {.target = target, .n = n, .schedules = schedules, .arena = arena, .diags = diags}};
    if (!run(&c.b, copy_object)) return NULL;
    *bytes = c.bytes;
    return c.copy;
}

static const char *version(void) { return CPU_LLVM_VERSION; }

__attribute__((visibility("default"))) cpu_half_entry attn_cpu_half;
/* Found by its name; the other half checks size and ABI before it calls anything behind it. */
const cpu_half *attn_cpu_half(void) {
    static const cpu_half half = {.struct_size = sizeof half,
                                  .abi = CPU_HALF_ABI,
                                  .version = version,
                                  .emit = emit,
                                  .compile = compile,
                                  .release = release,
                                  .object = object};
    return &half;
}

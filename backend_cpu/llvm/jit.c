/* From schedules to machine code: one LLVM module for all kernels of a compile, light passes, one object file, linked by LLJIT.
 * Kernels have no external symbols; an object that has one is a defect of the emitter and is refused here, before a linker sees it.
 * LLVM's own messages are translated in this file and nowhere else. */
#include <llvm-c/Analysis.h>
#include <llvm-c/LLJIT.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "emit.h"
#include "half.h"

struct ir_code {
    LLVMOrcLLJITRef jit;
};
typedef struct {                 /* one compile; everything that must be disposed of, NULL where it is not (yet) */
    base_arena *arena;
    base_diags *diags;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMTargetMachineRef machine;
    char **names;                /* of the functions */
} build;

/* Whatever LLVM reports is a defect of ours, since schedules are verified: an internal error, not the user's. */
static void say(base_diags *diags, const char *text) { base_report(diags, BASE_MSG_CODE_GENERATION, (base_span){0, 0, 0}, text); }
static bool say_error(base_diags *diags, LLVMErrorRef error) {
    if (!error) return false;
    char *text = LLVMGetErrorMessage(error);
    say(diags, text);
    LLVMDisposeErrorMessage(text);
    return true;
}
static bool say_message(base_diags *diags, bool failed, char *text) {
    if (failed) say(diags, text ? text : "LLVM failed without a message");
    if (text) LLVMDisposeMessage(text);
    return failed;
}

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
    if (!say_message(diags, failed, error)) {
        machine = LLVMCreateTargetMachine(t, triple, target->cpu, target->features, LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelDefault);
        if (!machine) say(diags, "no target machine");
    }
    LLVMDisposeMessage(triple);
    return machine;
}

/* The module goes before its context; disposing twice or not at all would be LLVM's crash or leak, so every way out of a compile comes here. */
static void build_deinit(build *b) {
    if (b->module) LLVMDisposeModule(b->module);
    if (b->machine) LLVMDisposeTargetMachine(b->machine);
    if (b->context) LLVMContextDispose(b->context);
}

/* Layout and triple have to be those of the machine, or sizes and alignments are guessed. */
static void module_create(build *b) {
    b->context = LLVMContextCreate();
    b->module = LLVMModuleCreateWithNameInContext("attn", b->context);
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
static bool build_module(build *b, const ir_target *target, uint32_t n, const ir_schedule *const *schedules) {
    b->machine = machine_create(target, b->diags);
    if (!b->machine) return false;
    module_create(b);
    b->names = BASE_ARRAY(b->arena, n, char *);
    for (uint32_t k = 0; k < n; k++) {
        b->names[k] = function_name(b->arena, k, schedules[k]->kernel->name);
        const char *wrong = cpu_emit_kernel(b->module, target, schedules[k], b->names[k], b->arena);
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
    const bool failed = say_error(b->diags, LLVMRunPasses(b->module, passes, b->machine, options));
    LLVMDisposePassBuilderOptions(options);
    return !failed;
}

/* Refused here, the name of the function that is missing is still known; the linker would look it up in this process and might even find it. */
static LLVMMemoryBufferRef object_of(build *b) {
    char *text = NULL;
    LLVMMemoryBufferRef object = NULL;
    const bool failed = LLVMTargetMachineEmitToMemoryBuffer(b->machine, b->module, LLVMObjectFile, &text, &object) != 0;
    if (say_message(b->diags, failed, text)) return NULL;
    const char *symbol = cpu_undefined_symbol(LLVMGetBufferStart(object), LLVMGetBufferSize(object));
    if (!symbol) return object;
    say(b->diags, base_printf(b->arena, "a kernel calls %s", symbol));
    LLVMDisposeMemoryBuffer(object);
    return NULL;
}

static LLVMMemoryBufferRef build_object(build *b, const ir_target *target, uint32_t n, const ir_schedule *const *schedules) {
    return build_module(b, target, n, schedules) && optimize(b) ? object_of(b) : NULL;
}

static bool emit(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags) {
    build b = {.arena = out->arena, .diags = diags};
    const bool ok = build_module(&b, target, n, schedules);
    if (ok) {
        char *text = LLVMPrintModuleToString(b.module);
        base_text_put(out, text, strlen(text));
        LLVMDisposeMessage(text);
    }
    build_deinit(&b);
    return ok;
}

/* Owns `object` from the call on. */
static LLVMOrcLLJITRef link_object(LLVMMemoryBufferRef object, base_diags *diags) {
    LLVMOrcLLJITRef jit = NULL;
    if (say_error(diags, LLVMOrcCreateLLJIT(&jit, NULL))) {
        LLVMDisposeMemoryBuffer(object);
        return NULL;
    }
    if (!say_error(diags, LLVMOrcLLJITAddObjectFile(jit, LLVMOrcLLJITGetMainJITDylib(jit), object))) return jit;
    LLVMConsumeError(LLVMOrcDisposeLLJIT(jit));
    return NULL;
}

/* The first look-up links the object. A function in an integer: copied, since ISO C has no cast from data to function. */
static bool find_kernels(LLVMOrcLLJITRef jit, const build *b, uint32_t n, const ir_schedule *const *schedules, rt_kernel *kernels) {
    for (uint32_t k = 0; k < n; k++) {
        LLVMOrcExecutorAddress at = 0;
        if (say_error(b->diags, LLVMOrcLLJITLookup(jit, &at, b->names[k]))) return false;
        const ir_kernel *from = schedules[k]->kernel;
        const uintptr_t address = (uintptr_t)at;
        kernels[k] = (rt_kernel){.name = from->name, .n_ints = from->n_dims + from->n_counters, .n_buffers = from->n_values};
        memcpy(&kernels[k].fn, &address, sizeof address);
    }
    return true;
}

/* Code owns the linker's session; the module and the machine are done with once the object is written. */
static ir_code *compile(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, rt_kernel *kernels, base_diags *diags) {
    build b = {.arena = diags->arena, .diags = diags};
    LLVMMemoryBufferRef object = build_object(&b, target, n, schedules);
    ir_code *code = object ? calloc(1, sizeof *code) : NULL;
    if (object && !code) LLVMDisposeMemoryBuffer(object);
    if (code) code->jit = link_object(object, diags);
    if (code && (!code->jit || !find_kernels(code->jit, &b, n, schedules, kernels))) {
        if (code->jit) LLVMConsumeError(LLVMOrcDisposeLLJIT(code->jit));
        free(code);
        code = NULL;
    }
    build_deinit(&b);
    return code;
}

static void release(ir_code *code) {
    if (!code) return;
    LLVMConsumeError(LLVMOrcDisposeLLJIT(code->jit));
    free(code);
}

static const void *object(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_arena *arena, size_t *bytes,
                          base_diags *diags) {
    build b = {.arena = arena, .diags = diags};
    LLVMMemoryBufferRef buffer = build_object(&b, target, n, schedules);
    const void *copy = NULL;
    if (buffer) {
        *bytes = LLVMGetBufferSize(buffer);
        copy = base_copy(arena, LLVMGetBufferStart(buffer), *bytes);
        LLVMDisposeMemoryBuffer(buffer);
    }
    build_deinit(&b);
    return copy;
}

static const char *version(void) { return CPU_LLVM_VERSION; }

__attribute__((visibility("default"))) cpu_half_entry attn_cpu_half;
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

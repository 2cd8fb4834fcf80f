/* From schedules to objects: one LLVM module per kernel, light passes, one ELF object each.
 *
 * Emitting reads and extends what the kernels of a graph share, so it is done by one thread, kernel after kernel. What takes long, LLVM's passes and
 * code generation, touches nothing but the kernel's own LLVM context: kernels go through it side by side on the threads of an executor. Nothing in
 * there takes memory of an arena or reports: each kernel keeps what went wrong with it, and the first is told afterwards.
 *
 * Kernels have no external symbols and no absolute addresses; who makes an image of an object (image.c) refuses one that does. LLVM's own messages are
 * translated in this file and nowhere else. */
#include <llvm-c/Analysis.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include "emit.h"
#include "half.h"

enum { MESSAGE = 1024 };         /* bytes of a message of LLVM that are kept */

typedef struct {                 /* one LLVM module and what becomes of it; NULL where it is not (yet) */
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMMemoryBufferRef object;  /* the object file */
    const char *entry;           /* the function; of the arena */
    char wrong[MESSAGE];         /* why it failed; "": it did not */
    bool done;                   /* it went through code generation, well or not */
} part;

typedef struct {                 /* one compile; everything that must be disposed of, NULL where it is not (yet) */
    const ir_target *target;
    const ir_schedule *const *schedules; /* the caller's, one per kernel */
    uint32_t n;
    base_arena *arena;           /* texts and names of this compile */
    base_diags *diags;
    LLVMTargetMachineRef machine;/* while emitting: knows triple and layout */
    LLVMBuilderRef builder;
    part *parts;                 /* n of them; for text, one for all kernels */
    uint32_t n_parts;
    LLVMMemoryBufferRef printed; /* when text is asked for */
    base_text *text;             /* for whom asks for text */
    const rt_executor *executor; /* NULL: this thread alone */
    cpu_object *objects;         /* for whom asks for objects */
    jmp_buf no_memory;
    jmp_buf **before;            /* where the arenas jumped to until now: that of `arena`, that of `diags`, those of the kernels' units */
} build;

/* ---- messages: LLVM's text is given back before it is reported, since reporting may run out of memory and jump */

/* Whatever LLVM reports is a defect of ours, since schedules are verified: an internal error, not the user's. */
static void say(base_diags *diags, const char *text) { base_report(diags, BASE_MSG_CODE_GENERATION, (base_span){0, 0, 0}, text); }

/* True if there was an error. It is consumed in any case: one that nobody takes is a leak, and in checked builds of LLVM an abort. */
static bool keep_error(part *p, LLVMErrorRef error) {
    if (!error) return false;
    char *text = LLVMGetErrorMessage(error);
    snprintf(p->wrong, sizeof p->wrong, "%s", text);
    LLVMDisposeErrorMessage(text);
    return true;
}

/* Frees the text in any case: LLVM may hand out an empty one where nothing failed. Returns `failed`. */
static bool keep_message(part *p, bool failed, char *text) {
    if (failed) snprintf(p->wrong, sizeof p->wrong, "%s", text ? text : "LLVM failed without a message");
    if (text) LLVMDisposeMessage(text);
    return failed;
}

/* What is kept is told when no thread of ours works any more. Returns whether there was something. */
static bool say_kept(base_diags *diags, const part *p) {
    if (p->wrong[0]) say(diags, p->wrong);
    return p->wrong[0] != 0;
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

/* A module goes before its context; disposing twice or not at all would be LLVM's crash or leak, so every way out of a compile comes here. */
static void dispose(build *b) {
    if (b->printed) LLVMDisposeMemoryBuffer(b->printed);
    if (b->builder) LLVMDisposeBuilder(b->builder);
    for (uint32_t k = 0; k < b->n_parts; k++) {
        part *p = &b->parts[k];
        if (p->object) LLVMDisposeMemoryBuffer(p->object);
        if (p->module) LLVMDisposeModule(p->module);
        if (p->context) LLVMContextDispose(p->context);
    }
    if (b->machine) LLVMDisposeTargetMachine(b->machine);
}

/* MADE: all is made; FAILED: a report says why; NO_MEMORY: nothing is said yet, the arena's owner is jumped to after the cleanup. */
typedef enum { MADE, FAILED, NO_MEMORY } outcome;

/* A function of its own: setjmp returns into the frame that called it, and here no local changes between the two returns, so none needs `volatile`. */
static outcome guarded(build *b, bool (*body)(build *b)) {
    if (setjmp(b->no_memory)) return NO_MEMORY;
    return body(b) ? MADE : FAILED;
}

/* Runs a body that copies what it makes into the arena. */
static bool run(build *b, bool (*body)(build *b)) {
    catch(b);
    const outcome o = guarded(b, body);
    uncatch(b);
    dispose(b);
    if (o == NO_MEMORY) base_arena_fail(b->arena);
    return o == MADE;
}

/* ---- machines */

/* LLVM's registry of targets is global. This machine's is always there; the others are asked for when code is made for one of them. */
static void initialize_native(void) {
    LLVMInitializeNativeTarget();
    LLVMInitializeNativeAsmPrinter();
}
static void initialize_all(void) {
    LLVMInitializeAllTargetInfos();
    LLVMInitializeAllTargets();
    LLVMInitializeAllTargetMCs();
    LLVMInitializeAllAsmPrinters();
}

bool cpu_find_target(const char *triple, LLVMTargetRef *out, char **error) {
    static pthread_once_t native = PTHREAD_ONCE_INIT, all = PTHREAD_ONCE_INIT;
    pthread_once(&native, initialize_native);
    if (!LLVMGetTargetFromTriple(triple, out, error)) return true;
    pthread_once(&all, initialize_all);
    if (*error) LLVMDisposeMessage(*error);
    *error = NULL;
    return !LLVMGetTargetFromTriple(triple, out, error);
}

/* PIC: what an object wants are distances, not addresses. AArch64's usual way to name a constant counts in pages and would tie images to them: its tiny
 * model counts in bytes, and reaches a megabyte. Never code generation level 0, which spills everything. */
static LLVMTargetMachineRef machine_create(const ir_target *target, part *p) {
    char *error = NULL;
    LLVMTargetRef t = NULL;
    LLVMTargetMachineRef machine = NULL;
    const LLVMCodeModel model = strncmp(target->triple, "aarch64", 7) == 0 ? LLVMCodeModelTiny : LLVMCodeModelDefault;
    const bool found = cpu_find_target(target->triple, &t, &error);
    if (found) machine = LLVMCreateTargetMachine(t, target->triple, target->cpu, target->features, LLVMCodeGenLevelDefault, LLVMRelocPIC, model);
    if (!keep_message(p, !found, error) && !machine) snprintf(p->wrong, sizeof p->wrong, "no target machine");
    return machine;
}

/* ---- from a schedule to a module */

/* Layout and triple have to be those of the machine, or sizes and alignments are guessed. */
static void module_create(build *b, part *p) {
    p->context = LLVMContextCreate();
    p->module = LLVMModuleCreateWithNameInContext("attn", p->context);
    char *triple = LLVMGetTargetMachineTriple(b->machine);
    LLVMSetTarget(p->module, triple);
    LLVMDisposeMessage(triple);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(b->machine);
    LLVMSetModuleDataLayout(p->module, layout);
    LLVMDisposeTargetData(layout);
}

/* "k3_scores": unique, and letters of a C name only. */
static const char *function_name(base_arena *arena, uint32_t k, const char *name) {
    char *text = base_printf(arena, "k%u_%s", k, name ? name : "");
    for (char *c = text; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9'))) *c = '_';
    return text;
}

/* Kernels from .. to of the compile into one module. The builder belongs to the module's context, and ends before the next module begins. */
static bool emit_part(build *b, part *p, uint32_t from, uint32_t to) {
    module_create(b, p);
    b->builder = LLVMCreateBuilderInContext(p->context);
    for (uint32_t k = from; k < to; k++) {
        /* Numbers are those within the module: a kernel alone is number 0 always, so that its object does not depend on its neighbours. */
        p->entry = function_name(b->arena, k - from, b->schedules[k]->kernel->name);
        const char *wrong = cpu_emit_kernel(p->module, b->builder, b->target, b->schedules[k], p->entry, b->arena);
        if (wrong) {
            say(b->diags, wrong);
            return false;
        }
    }
    LLVMDisposeBuilder(b->builder);
    b->builder = NULL;
    return true;
}

/* n_parts counts from the start, so that `dispose` sees parts that are half made. */
static bool begin(build *b, uint32_t n_parts) {
    b->parts = BASE_ARRAY(b->arena, n_parts ? n_parts : 1, part);
    b->n_parts = n_parts;
    b->machine = machine_create(b->target, &b->parts[0]);
    return b->machine || !say_kept(b->diags, &b->parts[0]);
}

/* ---- from a module to an object. Any thread; the part is its own. */

/* The verifier is cheap beside code generation. */
static bool verify(part *p) {
    char *text = NULL;
    const bool failed = LLVMVerifyModule(p->module, LLVMReturnStatusAction, &text) != 0;
    return !keep_message(p, failed, text);
}

/* Clean SSA comes from the emitter except that what loops carry stands in stack slots; the rest is moving what does not change out of
 * loops. More passes cost time and gain nothing, and the vectorisers must not run: vectors are explicit. */
static bool optimize(part *p, LLVMTargetMachineRef machine) {
    static const char passes[] = "function(sroa,early-cse<memssa>,simplifycfg,loop-mssa(licm),early-cse)";
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(p->module, passes, machine, options);
    LLVMDisposePassBuilderOptions(options);
    return !keep_error(p, error);
}

static bool make_object(part *p, LLVMTargetMachineRef machine) {
    char *text = NULL;
    const bool failed = LLVMTargetMachineEmitToMemoryBuffer(machine, p->module, LLVMObjectFile, &text, &p->object) != 0;
    return !keep_message(p, failed, text);
}

/* A machine is used by one thread at a time, so each part makes its own. */
static void finish(const build *b, part *p) {
    LLVMTargetMachineRef machine = machine_create(b->target, p);
    p->done = true;
    if (!machine) return;
    if (verify(p) && optimize(p, machine)) make_object(p, machine);
    LLVMDisposeTargetMachine(machine);
}

/* A job of the executor as if it were a kernel: the frame carries the compile. */
static void finish_items(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    const build *b = frame->buffers[0];
    (void)scratch;
    for (int64_t k = first; k < last; k++) finish(b, &b->parts[k]);
}

/* An executor that gives up, for want of memory say, leaves parts for this thread. */
static void finish_all(build *b) {
    void *buffers[] = {b};
    const rt_frame frame = {NULL, buffers};
    const rt_job job = {.struct_size = sizeof job, .fn = finish_items, .frame = &frame, .items = b->n_parts, .cost_of_item = 10000000};
    if (b->executor && b->n_parts > 1) b->executor->run(b->executor->self, &job);
    for (uint32_t k = 0; k < b->n_parts; k++)
        if (!b->parts[k].done) finish(b, &b->parts[k]);
}

/* ---- what is asked for: text or objects */

static bool make_text(build *b) {
    if (!begin(b, 1) || !emit_part(b, &b->parts[0], 0, b->n)) return false;
    if (!verify(&b->parts[0])) return !say_kept(b->diags, &b->parts[0]);
    char *text = LLVMPrintModuleToString(b->parts[0].module);
    b->printed = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "text");     /* which is given back whatever happens */
    LLVMDisposeMessage(text);
    base_text_put(b->text, LLVMGetBufferStart(b->printed), LLVMGetBufferSize(b->printed));
    return true;
}

/* As the objects have it, but for names: all kernels stand in one text. */
static bool make_assembly(build *b) {
    part *p = NULL;
    char *text = NULL;
    if (!begin(b, 1) || !emit_part(b, p = &b->parts[0], 0, b->n)) return false;
    if (!verify(p) || !optimize(p, b->machine)) return !say_kept(b->diags, p);
    const bool failed = LLVMTargetMachineEmitToMemoryBuffer(b->machine, p->module, LLVMAssemblyFile, &text, &b->printed) != 0;
    if (keep_message(p, failed, text)) return !say_kept(b->diags, p);
    base_text_put(b->text, LLVMGetBufferStart(b->printed), LLVMGetBufferSize(b->printed));
    return true;
}

static bool assembly(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags) {
    build b = {.target = target, .n = n, .schedules = schedules, .arena = out->arena, .diags = diags, .text = out};
    return run(&b, make_assembly);
}

/* All kernels in one module. The text is what the emitter wrote, before any pass: names of phases and lines are still those of the kernel. */
static bool emit(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags) {
    build b = {.target = target, .n = n, .schedules = schedules, .arena = out->arena, .diags = diags, .text = out};
    return run(&b, make_text);
}

static bool make_objects(build *b) {
    if (!begin(b, b->n)) return false;
    for (uint32_t k = 0; k < b->n; k++)
        if (!emit_part(b, &b->parts[k], k, k + 1)) return false;
    finish_all(b);
    for (uint32_t k = 0; k < b->n; k++) {
        const part *p = &b->parts[k];
        if (say_kept(b->diags, p)) return false;
        const size_t n = LLVMGetBufferSize(p->object);
        b->objects[k] = (cpu_object){base_copy(b->arena, LLVMGetBufferStart(p->object), n), n, p->entry};
    }
    return true;
}

static bool objects(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, const rt_executor *executor, base_arena *arena,
                    cpu_object *out, base_diags *diags) {
    build b = {.target = target, .n = n, .schedules = schedules, .arena = arena, .diags = diags, .executor = executor, .objects = out};
    return run(&b, make_objects);
}

static const char *version(void) { return CPU_LLVM_VERSION; }

__attribute__((visibility("default"))) cpu_half_entry attn_cpu_half;
/* Found by its name; the other half checks size and ABI before it calls anything behind it. */
const cpu_half *attn_cpu_half(void) {
    static const cpu_half half = {.struct_size = sizeof half, .abi = CPU_HALF_ABI, .version = version, .emit = emit, .objects = objects,
                                  .assembly = assembly, .bundle = cpu_bundle_make};
    return &half;
}

/* Data and a few small functions as an object file: what a shared object has of its own besides the runtime. The functions come as a text of
 * LLVM IR, so that nothing here knows how calls look on a processor; the data, which may be many megabytes of weights, as bytes for globals that the text
 * declares. */
#include <llvm-c/Analysis.h>
#include <llvm-c/IRReader.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include "emit.h"
#include "half.h"

/* One bundle while it is made; NULL where it is not (yet). */
typedef struct {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMTargetMachineRef machine;
    LLVMMemoryBufferRef object;
    char wrong[1024];            /* LLVM's message, "" if there is none */
} bundle;

/* LLVM's message is copied and given back at once: a report may jump out of here. */
static bool failed(bundle *b, bool failed, char *text) {
    if (failed) snprintf(b->wrong, sizeof b->wrong, "%s", text ? text : "LLVM failed without a message");
    if (text) LLVMDisposeMessage(text);
    return failed;
}

/* The oldest processor of the architecture: these functions run before anybody has looked which one it is. */
static bool machine_create(bundle *b, const char *triple) {
    char *error = NULL;
    LLVMTargetRef t = NULL;
    const bool found = cpu_find_target(triple, &t, &error);
    if (found) b->machine = LLVMCreateTargetMachine(t, triple, "generic", "", LLVMCodeGenLevelDefault, LLVMRelocPIC, LLVMCodeModelDefault);
    if (failed(b, !found, error)) return false;
    if (!b->machine) snprintf(b->wrong, sizeof b->wrong, "no target machine");
    return b->machine != NULL;
}

/* The parser takes the buffer in any case. */
static bool parse(bundle *b, const char *text) {
    char *error = NULL;
    b->context = LLVMContextCreate();
    LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(text, strlen(text), "bundle");
    const bool wrong = LLVMParseIRInContext(b->context, buffer, &b->module, &error) != 0;
    if (failed(b, wrong, error)) return false;
    char *triple = LLVMGetTargetMachineTriple(b->machine);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(b->machine);
    LLVMSetTarget(b->module, triple);
    LLVMSetModuleDataLayout(b->module, layout);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(triple);
    return true;
}

/* A global that the text declares external gets its bytes and becomes the object's own. */
static bool fill(bundle *b, const cpu_blob *blob) {
    LLVMValueRef global = LLVMGetNamedGlobal(b->module, blob->name);
    if (!global) {
        snprintf(b->wrong, sizeof b->wrong, "the text has no global %s", blob->name);
        return false;
    }
    LLVMSetInitializer(global, LLVMConstStringInContext2(b->context, blob->bytes, blob->n, true));
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    return true;
}

/* Verified before code is generated: LLVM's own answer to a wrong module may be to end the process. */
static bool make(bundle *b, const char *triple, const char *text, uint32_t n, const cpu_blob *blobs) {
    char *error = NULL;
    if (!machine_create(b, triple) || !parse(b, text)) return false;
    for (uint32_t k = 0; k < n; k++)
        if (!fill(b, &blobs[k])) return false;
    bool wrong = LLVMVerifyModule(b->module, LLVMReturnStatusAction, &error) != 0;
    if (failed(b, wrong, error)) return false;
    error = NULL;
    wrong = LLVMTargetMachineEmitToMemoryBuffer(b->machine, b->module, LLVMObjectFile, &error, &b->object) != 0;
    return !failed(b, wrong, error);
}

/* The module before its context. */
static void dispose(bundle *b) {
    if (b->object) LLVMDisposeMemoryBuffer(b->object);
    if (b->module) LLVMDisposeModule(b->module);
    if (b->machine) LLVMDisposeTargetMachine(b->machine);
    if (b->context) LLVMContextDispose(b->context);
}

/* The arena may jump while LLVM still holds the object, so that it jumps here for the time of the copy. A function of its own: no local of its
 * caller lives across setjmp. */
static void *copy(const bundle *b, base_arena *arena, size_t bytes) {
    jmp_buf here, *volatile before = base_arena_recover(arena, &here);
    void *volatile at = NULL;
    if (!setjmp(here)) at = base_copy(arena, LLVMGetBufferStart(b->object), bytes);
    base_arena_recover(arena, before);
    return at;
}

/* LLVM's objects are gone before anything is reported or jumped over. */
const void *cpu_bundle_make(const char *triple, const char *text, uint32_t n, const cpu_blob *blobs, base_arena *arena, size_t *bytes, base_diags *diags) {
    bundle b = {0};
    void *at = NULL;
    const bool made = make(&b, triple, text, n, blobs);
    if (made) {
        *bytes = LLVMGetBufferSize(b.object);
        at = copy(&b, arena, *bytes);
    }
    dispose(&b);
    if (made && !at) base_arena_fail(arena);
    if (!made) base_report(diags, BASE_MSG_CODE_GENERATION, (base_span){0, 0, 0}, b.wrong);
    return at;
}

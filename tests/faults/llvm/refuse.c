/* In a build of the plug-in for tests: every call of LLVM's that may fail comes here first (--wrap of the linker). What is refused has done nothing, and says
 * so as LLVM does: with a text or an error that whoever called has to give back. Calls come from several threads. */
#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdbool.h>
#include "../refuse.h"

static _Atomic long calls, at;
static const char *_Atomic refused = "";

__attribute__((visibility("default"))) refuse_begin_fn attn_refuse_begin;
__attribute__((visibility("default"))) refuse_end_fn attn_refuse_end;
void attn_refuse_begin(long n) {
    calls = 0;
    at = n;
    refused = "";
}
long attn_refuse_end(const char **name) {
    at = 0;
    *name = refused;
    return calls;
}

static bool refuse(const char *name) {
    if (atomic_fetch_add(&calls, 1) + 1 != at) return false;
    refused = name;
    return true;
}

/* Status 1 and a text. */
#define WRAPPED(name, parameters, arguments, text)                          \
    LLVMBool __real_##name parameters;                                      \
    LLVMBool __wrap_##name parameters;                                      \
    LLVMBool __wrap_##name parameters {                                     \
        if (!refuse(#name)) return __real_##name arguments;                 \
        if (text) *(text) = LLVMCreateMessage(#name " is refused");         \
        return 1;                                                           \
    }

WRAPPED(LLVMGetTargetFromTriple, (const char *triple, LLVMTargetRef *out, char **text), (triple, out, text), text)
/* The real one takes the buffer in any case. */
LLVMBool __real_LLVMParseIRInContext(LLVMContextRef context, LLVMMemoryBufferRef buffer, LLVMModuleRef *out, char **text);
LLVMBool __wrap_LLVMParseIRInContext(LLVMContextRef context, LLVMMemoryBufferRef buffer, LLVMModuleRef *out, char **text);
LLVMBool __wrap_LLVMParseIRInContext(LLVMContextRef context, LLVMMemoryBufferRef buffer, LLVMModuleRef *out, char **text) {
    if (!refuse("LLVMParseIRInContext")) return __real_LLVMParseIRInContext(context, buffer, out, text);
    LLVMDisposeMemoryBuffer(buffer);
    *text = LLVMCreateMessage("LLVMParseIRInContext is refused");
    return 1;
}

WRAPPED(LLVMVerifyModule, (LLVMModuleRef module, LLVMVerifierFailureAction action, char **text), (module, action, text), text)
WRAPPED(LLVMTargetMachineEmitToMemoryBuffer, (LLVMTargetMachineRef machine, LLVMModuleRef module, LLVMCodeGenFileType type, char **text, LLVMMemoryBufferRef *out),
        (machine, module, type, text, out), text)

LLVMErrorRef __real_LLVMRunPasses(LLVMModuleRef module, const char *passes, LLVMTargetMachineRef machine, LLVMPassBuilderOptionsRef options);
LLVMErrorRef __wrap_LLVMRunPasses(LLVMModuleRef module, const char *passes, LLVMTargetMachineRef machine, LLVMPassBuilderOptionsRef options);
LLVMErrorRef __wrap_LLVMRunPasses(LLVMModuleRef module, const char *passes, LLVMTargetMachineRef machine, LLVMPassBuilderOptionsRef options) {
    return refuse("LLVMRunPasses") ? LLVMCreateStringError("LLVMRunPasses is refused") : __real_LLVMRunPasses(module, passes, machine, options);
}

LLVMTargetMachineRef __real_LLVMCreateTargetMachine(LLVMTargetRef t, const char *triple, const char *cpu, const char *features, LLVMCodeGenOptLevel level,
                                                    LLVMRelocMode reloc, LLVMCodeModel model);
LLVMTargetMachineRef __wrap_LLVMCreateTargetMachine(LLVMTargetRef t, const char *triple, const char *cpu, const char *features, LLVMCodeGenOptLevel level,
                                                    LLVMRelocMode reloc, LLVMCodeModel model);
LLVMTargetMachineRef __wrap_LLVMCreateTargetMachine(LLVMTargetRef t, const char *triple, const char *cpu, const char *features, LLVMCodeGenOptLevel level,
                                                    LLVMRelocMode reloc, LLVMCodeModel model) {
    return refuse("LLVMCreateTargetMachine") ? NULL : __real_LLVMCreateTargetMachine(t, triple, cpu, features, level, reloc, model);
}

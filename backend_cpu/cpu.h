/* The CPU as a target: what it is called, what it can do, how kernels run on it.
 *
 * The layer has two halves. This one describes the machine and needs nothing but libc; its kernels are functions, which the runtime calls. The other,
 * llvm/, turns schedules into objects; it is a plug-in of its own (libattn_llvm.so) that opens on the first compile, so that
 * checking, evaluating and running what is already compiled never load LLVM.
 */
#ifndef ATTN_CPU_H
#define ATTN_CPU_H
#include "backend.h"

/* backend.c: the backend, immutable, the same for all callers and threads */
const ir_backend *cpu_backend(void);

/* The kernels in the language of the target's assembler, optimized. false: reported. */
bool cpu_assembly(const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags);
/* An object file for the architecture of a target's triple: the functions and globals of a text of LLVM IR, and the bytes of each global that is named here,
 * which the text declares external and of just that size. NULL: reported. */
typedef struct { const char *name; const void *bytes; size_t n; } cpu_blob;
const void *cpu_bundle(const char *triple, const char *text, uint32_t n, const cpu_blob *blobs, base_arena *arena, size_t *bytes, base_diags *diags);

/* host.c: the description of a CPU. arch NULL: this machine by its CPUID bits; else "x86-64", "x86-64-v2", "x86-64-v3",
 * "x86-64-v4", "aarch64". NULL if there is no such architecture. Loads nothing. */
const ir_target *cpu_target(const char *arch, base_arena *arena);

/* image.c: the image of a kernel from the ELF object that LLVM wrote, in the arena. x86-64 and AArch64. NULL, or what is wrong with the object. */
const char *cpu_image(const void *object, size_t n, const char *entry, base_arena *arena, rt_image *out);
#endif

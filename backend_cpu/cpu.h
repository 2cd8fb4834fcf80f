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

/* host.c: the description of a CPU. arch NULL: this machine by its CPUID bits; else "x86-64", "x86-64-v2", "x86-64-v3",
 * "x86-64-v4", "aarch64". NULL if there is no such architecture. Loads nothing. */
const ir_target *cpu_target(const char *arch, base_arena *arena);

/* image.c: the image of a kernel from the ELF object that LLVM wrote, in the arena. x86-64 and AArch64. NULL, or what is wrong with the object. */
const char *cpu_image(const void *object, size_t n, const char *entry, base_arena *arena, rt_image *out);
#endif

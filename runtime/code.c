/* The loader of the host's kernels: n images side by side in one mapping of their own.
 *
 * An image has no relocations (runtime/contract/module.h), so that loading is copying: the mapping is writable while the bytes go in, executable afterwards,
 * never both. The first RT_IMAGE_ALIGN bytes remember how long the mapping is; the images follow, each at a multiple of RT_IMAGE_ALIGN.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "rt.h"

typedef struct { size_t bytes; } header;
_Static_assert(sizeof(header) <= RT_IMAGE_ALIGN, "the header has the place of one line");

/* Bytes that an image takes in the mapping. Sizes come from files too, so every sum is checked. */
static bool add_room(size_t *total, const rt_image *image) {
    size_t room;
    if (__builtin_add_overflow(image->n, (size_t)RT_IMAGE_ALIGN - 1, &room)) return false;
    return !__builtin_add_overflow(*total, room / RT_IMAGE_ALIGN * RT_IMAGE_ALIGN, total);
}

/* A kernel without a function has to bring code, and its entry must lie in it; else a launch would jump anywhere. */
static bool is_code(const rt_image *image) { return image->bytes && image->entry < image->n; }

/* What the mapping needs, header included; *any: is there an image to place at all? */
static bool measure(uint32_t n, const rt_kernel *kernels, size_t *total, bool *any, char *error, size_t error_n) {
    *total = RT_IMAGE_ALIGN;
    *any = false;
    for (uint32_t k = 0; k < n; k++) {
        if (kernels[k].fn) continue;
        *any = true;
        if (!is_code(&kernels[k].image)) {
            snprintf(error, error_n, "kernel %s has no machine code", kernels[k].name);
            return false;
        }
        if (add_room(total, &kernels[k].image)) continue;
        snprintf(error, error_n, "out of memory");
        return false;
    }
    return true;
}

/* A kernel gets its address while the mapping cannot run yet: nobody launches before load has returned.
 * A function in an integer is copied, since ISO C has no cast from data to functions. */
static void place(uint32_t n, rt_kernel *kernels, char *at) {
    for (uint32_t k = 0; k < n; k++) {
        const rt_image *image = &kernels[k].image;
        if (kernels[k].fn) continue;
        memcpy(at, image->bytes, image->n);
        const uintptr_t address = (uintptr_t)(at + image->entry);
        memcpy(&kernels[k].fn, &address, sizeof address);
        at += (image->n + RT_IMAGE_ALIGN - 1) / RT_IMAGE_ALIGN * RT_IMAGE_ALIGN;
    }
}

/* Pointers into a mapping that is given back are taken back too, so that a failed load leaves the kernels as they were. */
static void forget(uint32_t n, rt_kernel *kernels, const char *base, size_t bytes) {
    for (uint32_t k = 0; k < n; k++) {
        uintptr_t address;
        memcpy(&address, &kernels[k].fn, sizeof address);
        if (address - (uintptr_t)base < bytes) kernels[k].fn = NULL;
    }
}

/* A system may forbid executable memory to a process: that is an error of the environment, which errno's text tells best. */
static bool fail(char *error, size_t error_n, const char *doing) {
    const int why = errno;
    char text[128];
    rt_error_text(why, text, sizeof text);
    if (why == ENOMEM) snprintf(error, error_n, "out of memory");
    else snprintf(error, error_n, "cannot %s: %s", doing, text);
    return false;
}

bool rt_code_load(uint32_t n, rt_kernel *kernels, void **out, char *error, size_t error_n) {
    size_t bytes;
    bool any;
    *out = NULL;
    if (!measure(n, kernels, &bytes, &any, error, error_n)) return false;
    if (!any) return true;
    char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return fail(error, error_n, "map memory for kernels");
    *(header *)(void *)base = (header){bytes};
    place(n, kernels, base + RT_IMAGE_ALIGN);
    __builtin___clear_cache(base, base + bytes);     /* where instructions have a cache of their own that does not see writes */
    if (mprotect(base, bytes, PROT_READ | PROT_EXEC) == 0) {
        *out = base;
        return true;
    }
    fail(error, error_n, "make kernels executable");
    forget(n, kernels, base, bytes);
    munmap(base, bytes);
    return false;
}

void rt_code_unload(void *code) {
    if (code) munmap(code, ((const header *)code)->bytes);
}

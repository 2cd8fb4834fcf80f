#define _GNU_SOURCE                              /* MAP_ANONYMOUS */
#include "guarded.h"
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 1 << 16 };                         /* a multiple of every page size there is */

static size_t pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

void *guarded_alloc(size_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    char *at = mmap(NULL, pages(bytes) + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return NULL;
    mprotect(at + pages(bytes), PAGE, PROT_NONE);
    memset(at, 0xff, pages(bytes));
    return at + pages(bytes) - bytes;
}

void guarded_free(void *at, size_t bytes) {
    if (at) munmap((char *)at + bytes - pages(bytes), pages(bytes) + PAGE);
}

static bool device_alloc(rt_device *self, size_t bytes, void **out) {
    *out = guarded_alloc(bytes);
    if (!*out) strcpy(self->error, "out of memory");
    return *out != NULL;
}

static void device_free(rt_device *self, void *at, size_t bytes) {
    (void)self;
    guarded_free(at, bytes);
}

void guarded_device(rt_device *device) {
    device->alloc = device_alloc;
    device->free = device_free;
}

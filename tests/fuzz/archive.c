/* Archives by somebody else: .npz files through the public function, with memory in proportion to the file. */
#define _GNU_SOURCE                              /* memfd_create */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "attn/attn.h"
#include "fuzz.h"

static const char *const words[] = {"PK\3\4", "PK\1\2", "PK\5\6", "PK\6\6", "PK\6\7", ".npy", "a.npy", "\x93NUMPY", "{'descr': '<f4'", "(2, 3)", "\x08", "\xff\xff\xff\xff"};

/* What a refused or a good archive may take: the file, copies of members, and what deflate makes of them. */
enum { FIXED_BYTES = 1 << 20, PER_BYTE = 4 * 1032 };

typedef struct { size_t used, most; } limited;
static void *limited_alloc(void *self, size_t bytes) {
    limited *l = self;
    if (bytes > l->most || l->used > l->most - bytes) return NULL;
    l->used += bytes;
    return malloc(bytes);
}
static void limited_free(void *self, void *at, size_t bytes) {
    ((limited *)self)->used -= bytes;
    free(at);
}

/* ---- corpus: written here, and one deflated by hand */

static attn_context *open_context(limited *l) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_allocator allocator = {limited_alloc, limited_free, l};
    attn_context *context = NULL;
    o.allocator = &allocator, o.threads = 1;
    if (attn_context_create(&o, NULL, &context) != ATTN_OK) abort();
    return context;
}

static int memory_file(char path[64]) {
    static int fd = -1;                          /* one for all rounds */
    if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0) abort();
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

static void add_archive(fuzz_corpus *c, attn_context *context, size_t n) {
    static float numbers[6];
    static uint8_t keep[4] = {1, 0, 1, 1};
    char path[] = "/tmp/attn_fuzz_XXXXXX";
    attn_argument list[3] = {{"a", NULL}, {"keep", NULL}, {"n.0", NULL}};
    attn_tensor_wrap(context, ATTN_F32, 2, (int64_t[]){2, 3}, NULL, numbers, NULL, &list[0].tensor);
    attn_tensor_wrap(context, ATTN_BOOL, 1, (int64_t[]){4}, NULL, keep, NULL, &list[1].tensor);
    attn_tensor_wrap(context, ATTN_F32, 0, NULL, NULL, numbers, NULL, &list[2].tensor);
    close(mkstemp(path));
    if (attn_tensors_write_npz(context, list, n, path, NULL) == ATTN_OK) fuzz_add_file(c, path, NULL);
    unlink(path);
    for (int k = 0; k < 3; k++) attn_tensor_destroy(list[k].tensor);
}

/* One member "a.npy", f4 of shape (256,), all zeros: as zlib deflates it. */
static const unsigned char deflated[] = {
    80, 75, 3, 4, 20, 0, 0, 0, 8, 0, 0, 0, 33, 0, 233, 29, 157, 216, 78, 0, 0, 0, 128, 4, 0, 0, 5, 0, 0, 0, 97, 46,
    110, 112, 121, 155, 236, 23, 234, 27, 16, 201, 200, 80, 198, 80, 173, 158, 146, 90, 156, 92, 164, 110, 165, 160, 110, 147, 102, 162, 174, 163, 160, 158,
    150, 95, 84, 82, 148, 152, 23, 159, 95, 148, 146, 10, 18, 119, 75, 204, 41, 78, 5, 138, 23, 103, 36, 22, 164, 2, 249, 26, 70, 166, 102, 58,
    154, 58, 10, 181, 10, 100, 3, 46, 134, 81, 48, 10, 70, 193, 136, 5, 0, 80, 75, 1, 2, 20, 3, 20, 0, 0, 0, 8, 0, 0, 0, 33,
    0, 233, 29, 157, 216, 78, 0, 0, 0, 128, 4, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 1, 0, 0, 0, 0, 97,
    46, 110, 112, 121, 80, 75, 5, 6, 0, 0, 0, 0, 1, 0, 1, 0, 51, 0, 0, 0, 113, 0, 0, 0, 0, 0,
};

static void corpus(fuzz_corpus *c) {
    limited l = {0, SIZE_MAX};
    attn_context *context = open_context(&l);
    for (size_t n = 0; n <= 3; n++) add_archive(c, context, n);
    fuzz_add(c, "deflated", (const char *)deflated, sizeof deflated);
    attn_context_destroy(context);
}

/* ---- a round */

static const char *look(const attn_argument *list, size_t n) {
    for (size_t k = 0; k < n; k++) {
        const volatile unsigned char *at = attn_tensor_data(list[k].tensor);     /* volatile: each byte is read */
        if (!list[k].name || !at) return "a tensor without name or data";
        size_t bytes = (size_t)attn_tensor_elements(list[k].tensor) * attn_dtype_bytes(attn_tensor_dtype(list[k].tensor));
        for (size_t i = 0; i < bytes; i++) (void)at[i];
    }
    return NULL;
}

static const char *run(fuzz_round *f) {
    char path[64];
    int fd = memory_file(path);
    if (ftruncate(fd, 0) || pwrite(fd, f->at, f->n, 0) != (ssize_t)f->n) return "no file to write to";
    limited l = {0, FIXED_BYTES + PER_BYTE * f->n};
    attn_context *context = open_context(&l);
    attn_diagnostics *said = NULL;
    attn_argument *list = NULL;
    size_t n = 0;
    if (attn_diagnostics_create(NULL, &said) != ATTN_OK) abort();
    attn_status status = attn_tensors_read_npz(context, path, said, &list, &n);
    const char *fault = NULL;
    if (status == ATTN_OK) fault = look(list, n);
    else if (attn_diagnostics_count(said) == 0) fault = "refused without a report";
    else if (status != ATTN_ERROR_ENVIRONMENT) fault = base_printf(f->arena, "refused as: %s", attn_status_text(status));
    attn_arguments_destroy(context, list, n);
    attn_context_destroy(context);
    attn_diagnostics_destroy(said);
    return fault || l.used == 0 ? fault : "memory is lost";
}

const fuzz_target fuzz_npz = {"npz", ".npz archives", corpus, run, words, sizeof words / sizeof *words, true, 4};

/* Files by somebody else: .npy and safetensors. What is read must lie in the memory that was given: the bytes are handed over in a block of
 * exactly their size, and every element that came out is looked at. */
#define _GNU_SOURCE                              /* memfd_create */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fuzz.h"
#include "rt.h"

static const char *const words[] = {"{", "}", "(", ")", "[", "]", ",", ":", "'", "\"", "True", "False", "'descr'", "'shape'", "'fortran_order'", "<f4", ">f8", "|b1", "<i8", "|O",
    "-1", "0", "1", "8", "4294967296", "9223372036854775807", "99999999999999999999", "1e3", "\"dtype\"", "\"shape\"", "\"data_offsets\"", "\"F32\"", "\"F16\"", "\"BF16\"", "\"I64\"",
    "\"BOOL\"", "\"U64\"", "\"__metadata__\":{},", "null", "true", "\\u0000", "w.0", "w.1", "w.{l}"};

/* ---- .npy */

static void add_npy(fuzz_corpus *c, int version, const char *header, size_t bytes) {
    unsigned char at[512] = "\x93NUMPY";
    size_t n = strlen(header), start = version == 1 ? 10 : 12;
    at[6] = (unsigned char)version;
    for (size_t k = 0; k < start - 8; k++) at[8 + k] = (unsigned char)(n >> 8 * k);
    memcpy(at + start, header, n);
    for (size_t k = 0; k < bytes; k++) at[start + n + k] = (unsigned char)(k % 2);
    fuzz_add(c, "npy", (const char *)at, start + n + bytes);
}

static void npy_corpus(fuzz_corpus *c) {
    add_npy(c, 1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }      \n", 24);
    add_npy(c, 2, "{'descr': '>i4', 'fortran_order': True, 'shape': (2, 3, 2), }\n", 48);
    add_npy(c, 3, "{'descr': '|b1', 'fortran_order': True, 'shape': (3, 4)}\n", 12);
    add_npy(c, 1, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }\n", 8);
    add_npy(c, 1, "{'descr': '>f8', 'fortran_order': True, 'shape': (1,2,1,2,1,2,1,1), }\n", 64);
    add_npy(c, 1, "{'descr': '<f8', 'fortran_order': True, 'shape': (0, 5), }\n", 0);
}

static const char *look(const rt_array *a) {
    int64_t n;
    if (a->rank > RT_RANK || !rt_count(a->rank, a->dim, &n) || !rt_array_is_dense(a)) return "what was read is no dense array";
    const volatile unsigned char *at = a->data;          /* volatile: each byte is read, though nothing is done with it */
    for (int64_t k = 0; k < n * rt_dtypes[a->dtype].bytes; k++) (void)at[k];
    return NULL;
}

static const char *run_npy(fuzz_round *f) {
    base_diags *diags = base_diags_create(f->arena);
    unsigned char *exact = malloc(f->n + !f->n);
    if (!exact) return NULL;
    memcpy(exact, f->at, f->n);
    rt_array a;
    bool in_place = fuzz_below(f->random, 2);            /* then the elements may stay in the file */
    bool fine = rt_npy_parse("x.npy", exact, f->n, in_place, f->arena, diags, &a);
    if (!in_place) free(exact);
    fuzz_reports(f->arena, diags);
    const char *fault = fine ? look(&a) : diags->n_errors ? NULL : "refused without a report";
    if (in_place) free(exact);
    return fault;
}

const fuzz_target fuzz_npy = {"npy", ".npy files", npy_corpus, run_npy, words, sizeof words / sizeof *words, true, 4};

/* ---- safetensors */

static void add_safetensors(fuzz_corpus *c, const char *header, size_t bytes) {
    unsigned char at[1024] = {0};
    size_t n = strlen(header);
    for (size_t k = 0; k < 8; k++) at[k] = (unsigned char)(n >> 8 * k);
    memcpy(at + 8, header, n);
    for (size_t k = 0; k < bytes; k++) at[8 + n + k] = (unsigned char)(k % 2);
    fuzz_add(c, "safetensors", (const char *)at, 8 + n + bytes);
}

static void safetensors_corpus(fuzz_corpus *c) {
    add_safetensors(c, "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", 24);
    add_safetensors(c, "{\"w.0\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},\"w.1\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[8,16]},"
                       "\"m\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[16,19]}}", 19);
    add_safetensors(c, "{\"w.0\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[0,8]},\"w.1\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[8,16]}}", 16);
    add_safetensors(c, "{\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},\"n\":{\"dtype\":\"U64\",\"shape\":[],\"data_offsets\":[8,16]},"
                       "\"m\":{\"dtype\":\"U8\",\"shape\":[0,9],\"data_offsets\":[16,16]}}", 16);
}

static const char *load_params(fuzz_round *f, const rt_safetensors *s, base_diags *diags) {
    static const char *const names[] = {"a", "m", "n", "w.0", "w.{l}", "{l}", "w.{l}.{k}"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        rt_param p = {.name = "p", .storage = names[k], .dtype = fuzz_below(f->random, RT_N_DTYPES), .rank = fuzz_below(f->random, 4)};
        for (uint32_t i = 0; i < p.rank; i++) p.dim[i] = (int64_t)fuzz_below(f->random, 6) - 1;
        void *data = NULL;
        uint32_t before = diags->n_errors;
        if (!rt_param_load(s, &p, f->arena, diags, &data)) {
            if (diags->n_errors == before) return "a param is refused without a report";
            continue;
        }
        rt_array a;
        rt_array_dense(&a, p.dtype, p.rank, p.dim, data);
        const char *fault = look(&a);
        if (fault) return fault;
    }
    return NULL;
}

static const char *run_safetensors(fuzz_round *f) {
    static int fd = -1;                          /* one file of memory for all rounds */
    char path[64];
    if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) || pwrite(fd, f->at, f->n, 0) != (ssize_t)f->n) return "no file to write to";
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    base_diags *diags = base_diags_create(f->arena);
    rt_safetensors s = {0};
    bool fine = rt_safetensors_open(&s, path, f->arena, diags);
    const char *fault = fine ? load_params(f, &s, diags) : diags->n_errors ? NULL : "refused without a report";
    rt_file_close(&s.file);
    fuzz_reports(f->arena, diags);
    return fault;
}

const fuzz_target fuzz_safetensors = {"safetensors", "safetensors files and the params loaded from them", safetensors_corpus, run_safetensors, words,
                                      sizeof words / sizeof *words, true, 32};

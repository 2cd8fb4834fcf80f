/* NumPy's .npy: "\x93NUMPY", version, length of the header, a Python dictionary literal, the elements.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 *
 * The header is text by somebody else. The parser below accepts exactly a dictionary of the three keys, each once, and believes
 * no number before it is compared with the size of the file.
 */
#include <string.h>
#include "rt.h"

static const base_span nowhere = {0, 0, 0};

/* descr: a type as "<f4", longer ones are none of ours. The has_ flags say which keys were met. */
typedef struct {                 /* the header while it is read */
    const char *at, *end;
    char descr[16];
    bool fortran, has_descr, has_order, has_shape;
    uint32_t rank;
    int64_t dim[RT_RANK];
} header;

static void skip_blank(header *h) {
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\t' || *h->at == '\n' || *h->at == '\r')) h->at++;
}

/* Each take_ function skips blanks, reads one thing and answers whether it was there. After a false the header is given
 * up, so where `at` stands then does not matter, except for take and take_word, which leave it before what is not
 * theirs. */
static bool take(header *h, char c) {
    skip_blank(h);
    if (h->at == h->end || *h->at != c) return false;
    h->at++;
    return true;
}

static bool take_word(header *h, const char *word) {
    skip_blank(h);
    size_t n = strlen(word);
    if ((size_t)(h->end - h->at) < n || memcmp(h->at, word, n)) return false;
    h->at += n;
    return true;
}

/* No escapes: none of the keys and types has any, so a backslash makes the header damaged. */
static bool take_string(header *h, char *out, size_t cap) {
    skip_blank(h);
    if (h->at == h->end || (*h->at != '\'' && *h->at != '"')) return false;
    char quote = *h->at++;
    size_t n = 0;
    while (h->at < h->end && *h->at != quote) {
        if (n + 1 >= cap || *h->at == '\\') return false;
        out[n++] = *h->at++;
    }
    out[n] = 0;
    return take(h, quote);
}

/* Python writes no sign and no leading +; a digit too many is an overflow, not a wrap. */
static bool take_extent(header *h, int64_t *out) {
    skip_blank(h);
    const char *start = h->at;
    for (*out = 0; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++)
        if (!base_mul(*out, 10, out) || !base_add(*out, *h->at - '0', out)) return false;
    return h->at > start;
}

/* (), (3,), (2, 3), and (2, 3,) as some writers have it; (3) is taken for (3,). */
static bool take_shape(header *h) {
    if (h->has_shape || !take(h, '(')) return false;
    for (h->has_shape = true; !take(h, ')');) {
        if (h->rank == RT_RANK || !take_extent(h, &h->dim[h->rank])) return false;
        h->rank++;
        if (!take(h, ',')) return take(h, ')');
    }
    return true;
}

static bool take_order(header *h) {
    if (h->has_order) return false;
    h->has_order = true;
    h->fortran = take_word(h, "True");
    return h->fortran || take_word(h, "False");
}

/* Each key once: of two shapes nobody could say which one the elements have. */
static bool take_entry(header *h) {
    char key[16];
    if (!take_string(h, key, sizeof key) || !take(h, ':')) return false;
    if (!strcmp(key, "descr")) return !h->has_descr && (h->has_descr = true, take_string(h, h->descr, sizeof h->descr));
    if (!strcmp(key, "fortran_order")) return take_order(h);
    if (!strcmp(key, "shape")) return take_shape(h);
    return false;
}

/* Exactly one dictionary, a comma behind its last entry allowed, and nothing after it but blanks. */
static bool take_header(header *h) {
    if (!take(h, '{')) return false;
    for (bool more = true; more && !take(h, '}');) {
        if (!take_entry(h)) return false;
        more = take(h, ',');
        if (!more && !take(h, '}')) return false;
    }
    skip_blank(h);
    return h->at == h->end && h->has_descr && h->has_order && h->has_shape;
}

/* Always false. */
static bool damaged(base_diags *diags, const char *name, const char *why) {
    base_report(diags, BASE_MSG_NPY_DAMAGED, nowhere, name, why);
    return false;
}

/* Where the header's text lies.
 * Version 1 has a length of two bytes, 2 and 3 of four, the least first. False also where the file ends before its
 * header. */
static bool find_header(const unsigned char *bytes, size_t n, size_t *start, size_t *end) {
    if (n < 10 || memcmp(bytes, "\x93NUMPY", 6)) return false;
    bool wide = bytes[6] >= 2;
    if (bytes[6] < 1 || bytes[6] > 3 || (wide && n < 12)) return false;
    size_t length = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (wide) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    *start = wide ? 12 : 10;
    *end = *start + length;
    return length <= n - *start;
}

/* descr is byte order, kind, bytes. bool and one-byte types have order '|'.
 * rt_dtypes has the little-endian name of each type; its first letter is skipped on both sides, so that one row serves
 * both byte orders. */
static bool find_dtype(const char *descr, uint32_t *dtype, bool *swap) {
    for (uint32_t k = 0; k < RT_N_DTYPES; k++)
        if (!strcmp(descr + (descr[0] != 0), rt_dtypes[k].npy + 1) && strchr("<>=|", descr[0])) {
            *dtype = k;
            *swap = descr[0] == '>' && rt_dtypes[k].bytes > 1;
            return true;
        }
    return false;
}

/* From the other byte order, in place on the arena's copy: the bytes of the file stay as they are. */
static void swap_bytes(unsigned char *at, size_t n, size_t bytes) {
    for (; n--; at += bytes)
        for (size_t lo = 0, hi = bytes - 1; lo < hi; lo++, hi--) {
            unsigned char t = at[lo];
            at[lo] = at[hi];
            at[hi] = t;
        }
}

/* The first axis is the one whose neighbours are next to each other. No element, no step: the product may not fit. */
static void fortran_strides(rt_array *a, int64_t n) {
    int64_t step = 1;
    for (uint32_t k = 0; k < a->rank && n; k++) {
        a->stride[k] = step;
        step *= a->dim[k];
    }
}

/* The elements are exactly what is left of the file: fewer or more means that the shape is not that of the data. *out lies over them, in the
 * file's order. */
static bool find_elements(const char *name, const header *h, unsigned char *bytes, size_t n, base_diags *diags, rt_array *out, bool *swap) {
    uint32_t dtype;
    if (!find_dtype(h->descr, &dtype, swap)) {
        base_report(diags, BASE_MSG_NPY_DTYPE, nowhere, name, h->descr)->expected = "one of <f4 <f8 <i4 <i8 |b1";
        return false;
    }
    int64_t elements, size;
    if (!rt_count(h->rank, h->dim, &elements) || !base_mul(elements, rt_dtypes[dtype].bytes, &size))
        return damaged(diags, name, "its shape is too large");
    if ((uint64_t)size != n) {
        damaged(diags, name, base_printf(diags->arena, "its shape needs %lld bytes of elements, it has %zu", (long long)size, n));
        return false;
    }
    rt_array_dense(out, dtype, h->rank, h->dim, bytes);
    if (h->fortran && h->rank > 1) fortran_strides(out, elements);     /* with one axis both orders are the same */
    return true;
}

/* Row-major, aligned and in the machine's byte order: in the arena, whatever the file has. */
static void copy_elements(rt_array *a, bool swap, base_arena *arena) {
    int64_t n = 0;
    rt_count(a->rank, a->dim, &n);
    void *to = base_alloc_array(arena, (size_t)n, rt_dtypes[a->dtype].bytes);
    rt_array_pack(a, to);
    if (swap) swap_bytes(to, (size_t)n, rt_dtypes[a->dtype].bytes);
    rt_array_dense(a, a->dtype, a->rank, a->dim, to);
}

/* `name` is for messages. */
bool rt_npy_parse(const char *name, unsigned char *bytes, size_t n, bool in_place, base_arena *arena, base_diags *diags, rt_array *out) {
    size_t start, end;
    bool swap;
    if (!find_header(bytes, n, &start, &end)) return damaged(diags, name, "it does not start like one");
    header h = {.at = (const char *)bytes + start, .end = (const char *)bytes + end};
    if (!take_header(&h)) return damaged(diags, name, "its header is no dictionary of descr, fortran_order and a shape of at most 8 axes");
    if (!find_elements(name, &h, bytes + end, n - end, diags, out, &swap)) return false;
    if (!in_place || swap || !rt_array_is_dense(out)) copy_elements(out, swap, arena);
    /* Kernels compute with truth values as bytes, so nothing but 0 and 1 comes in. */
    uint8_t other;
    return out->dtype != RT_BOOL || rt_array_bools(out, &other) || damaged(diags, name, "a truth value is neither 0 nor 1");
}

/* Version 1: with at most 8 axes the header is far shorter than the 65535 bytes that its length can say. The elements
 * are not copied, so `dense` must stay until the file is written. */
rt_output rt_npy_output(const char *path, const rt_array *dense, base_arena *arena) {
    base_text dict, head;
    base_text_init(&dict, arena);
    base_text_init(&head, arena);
    base_text_add(&dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", rt_dtypes[dense->dtype].npy);
    for (uint32_t k = 0; k < dense->rank; k++) base_text_add(&dict, k ? ", %lld" : "%lld", (long long)dense->dim[k]);
    base_text_add(&dict, "%s), }", dense->rank == 1 ? "," : "");
    size_t length = (10 + dict.n + 1 + 63) / 64 * 64 - 10;             /* the elements start at a multiple of 64 */
    char intro[10] = "\x93NUMPY\x01";
    intro[7] = 0;
    intro[8] = (char)(length & 255);
    intro[9] = (char)(length >> 8);
    base_text_put(&head, intro, sizeof intro);
    /* Blanks up to the newline that ends the header. */
    base_text_add(&head, "%s%*s\n", dict.at, (int)(length - dict.n - 1), "");
    int64_t n = 0;
    rt_count(dense->rank, dense->dim, &n);
    rt_bytes *parts = BASE_ARRAY(arena, 2, rt_bytes);
    parts[0] = (rt_bytes){head.at, head.n};
    parts[1] = (rt_bytes){dense->data, (size_t)n * rt_dtypes[dense->dtype].bytes};
    return (rt_output){path, parts, 2};
}

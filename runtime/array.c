/* Arrays: dims and strides, whether they are dense, and their elements in row-major order. */
#include <math.h>
#include <string.h>
#include "rt.h"

/* The rows of the compiler's table of element types, whose sorts it names; the runtime has no other list of them. */
const rt_dtype_info rt_dtypes[RT_N_DTYPES] = {
#define IR_SORT_REAL 'f'
#define IR_SORT_INT 'i'
#define IR_SORT_BOOL 'b'
#define DTYPE(id, text, npy, bytes, sort) {text, npy, bytes, sort},
#include "dtypes.def"
};

/* An extent of 0 decides, whatever the others are: {0, 2^62, 2^62} has no element, and its product need not fit. So the
 * extents are looked at twice, for zeros first. */
bool rt_count(uint32_t rank, const int64_t *dim, int64_t *out) {
    int64_t n = 1;
    bool empty = false;
    for (uint32_t k = 0; k < rank; k++) {
        if (dim[k] < 0) return false;
        if (dim[k] == 0) empty = true;
    }
    for (uint32_t k = 0; k < rank && !empty; k++)
        if (!base_mul(n, dim[k], &n)) return false;
    *out = empty ? 0 : n;
    return true;
}

/* Dims that do not multiply to an int64 are refused long before; without elements the strides are never used, so they may be 0. */
void rt_array_dense(rt_array *a, uint32_t dtype, uint32_t rank, const int64_t *dim, void *data) {
    int64_t n, step = 1, own[RT_RANK] = {0};
    bool empty = rt_count(rank, dim, &n) && n == 0;
    if (rank) memcpy(own, dim, rank * sizeof *dim);      /* `dim` may be a->dim */
    *a = (rt_array){.dtype = dtype, .rank = rank, .data = data};
    for (uint32_t k = rank; k-- > 0;) {
        a->dim[k] = own[k];
        a->stride[k] = empty ? 0 : step;     /* no element, no step: the product of the others may not fit */
        if (!empty) step *= own[k];
    }
}

/* Extents of 1 may have any stride, since what stands along an axis with one index has no say, and arrays without
 * elements any strides at all. Alignment belongs to it: kernels use the element's own loads. */
bool rt_array_is_dense(const rt_array *a) {
    int64_t step = 1, n;
    if ((uintptr_t)a->data % rt_dtypes[a->dtype].bytes) return false;
    if (!rt_count(a->rank, a->dim, &n)) return false;
    if (n == 0) return true;
    for (uint32_t k = a->rank; k-- > 0;) {
        if (a->dim[k] != 1 && a->stride[k] != step) return false;
        step *= a->dim[k];
    }
    return true;
}

/* Negative strides reach below `data`, positive ones above; the ends are those of the farthest element either way. */
bool rt_array_span(const rt_array *a, int64_t *first, int64_t *last) {
    int64_t lo = 0, hi = 0, n;
    if (!rt_count(a->rank, a->dim, &n)) return false;
    *first = *last = 0;
    if (n == 0) return true;
    for (uint32_t k = 0; k < a->rank; k++) {
        int64_t reach;
        if (!base_mul(a->dim[k] - 1, a->stride[k], &reach)) return false;
        /* Each axis pulls one of the two ends: lo and hi are offsets in elements from the one at position 0. */
        if (!base_add(reach < 0 ? lo : hi, reach, reach < 0 ? &lo : &hi)) return false;
    }
    /* From elements to bytes; the last byte of the farthest element is inside, hence one element more. */
    int64_t bytes = rt_dtypes[a->dtype].bytes;
    return base_mul(lo, bytes, first) && base_add(hi, 1, &hi) && base_mul(hi, bytes, last);
}

/* ---- walking over elements. Offsets, not pointers, are moved: between two elements one may lie outside of the memory. */

/* Strides of axes with one index say nothing, and may be so large that they must not be multiplied. */
static rt_array settled(const rt_array *a) {
    rt_array s = *a;
    for (uint32_t k = 0; k < s.rank; k++)
        if (s.dim[k] == 1) s.stride[k] = 0;
    return s;
}

/* An odometer over the first `axes` axes: the next position and the offset of its element. false: that was the last one. */
static bool advance(const rt_array *a, uint32_t axes, int64_t *at, int64_t *offset) {
    for (uint32_t k = axes; k-- > 0;) {
        *offset += a->stride[k];
        if (++at[k] < a->dim[k]) return true;
        /* Back to the start of this axis; the one before it moves on. */
        *offset -= a->dim[k] * a->stride[k];
        at[k] = 0;
    }
    return false;
}

/* Elements side by side go in one piece. Single ones go by memcpy too: they may be aligned to nothing. */
static void copy_line(unsigned char *to, const unsigned char *from, int64_t n, int64_t step, size_t bytes) {
    if (step == (int64_t)bytes) {
        memcpy(to, from, (size_t)n * bytes);
        return;
    }
    for (int64_t k = 0; k < n; k++) memcpy(to + (size_t)k * bytes, from + k * step, bytes);
}

/* The last axis is copied as a line. */
void rt_array_pack(const rt_array *a, void *out) {
    const rt_array s = settled(a);
    int64_t at[RT_RANK] = {0}, n, offset = 0, size = rt_dtypes[a->dtype].bytes;
    if (!rt_count(s.rank, s.dim, &n) || n == 0) return;
    /* An array of rank 0 is a line of one element. */
    const uint32_t outer = s.rank ? s.rank - 1 : 0;
    const int64_t line = s.rank ? s.dim[outer] : 1, step = s.rank ? s.stride[outer] * size : size;
    unsigned char *to = out;
    /* `to` moves by whole lines: what is written is row-major without gaps, whatever the strides of what is read. */
    do {
        copy_line(to, (const unsigned char *)s.data + offset * size, line, step, (size_t)size);
        to += line * size;
    } while (advance(&s, outer, at, &offset));
}

/* Each element once: an axis of stride 0 shows the same ones again, and may be huge. */
bool rt_array_bools(const rt_array *a, uint8_t *other) {
    rt_array s = settled(a);
    int64_t at[RT_RANK] = {0}, n, offset = 0;
    if (!rt_count(s.rank, s.dim, &n) || n == 0) return true;
    for (uint32_t k = 0; k < s.rank; k++)
        if (s.stride[k] == 0) s.dim[k] = 1;
    do {
        *other = ((const uint8_t *)s.data)[offset];
        if (*other > 1) return false;
    } while (advance(&s, s.rank, at, &offset));
    return true;
}

/* For messages; the elements are not shown. */
const char *rt_array_text(base_arena *arena, const rt_array *a) {
    base_text out;
    base_text_init(&out, arena);
    base_text_add(&out, "%s[", rt_dtypes[a->dtype].name);
    for (uint32_t k = 0; k < a->rank; k++) base_text_add(&out, k ? ", %lld" : "%lld", (long long)a->dim[k]);
    base_text_add(&out, "]");
    return out.at;
}

/* Ranges of bytes, last excluded. Interleaved strides that miss each other count as sharing: telling them apart is not worth it.
 * As integers, since comparing pointers into different objects means nothing in C. */
bool rt_array_overlaps(const rt_array *a, const rt_array *b) {
    int64_t a_first, a_last, b_first, b_last;
    if (!a->data || !b->data || !rt_array_span(a, &a_first, &a_last) || !rt_array_span(b, &b_first, &b_last)) return false;
    intptr_t at = (intptr_t)a->data, bt = (intptr_t)b->data;
    return a_first < a_last && b_first < b_last && at + a_first < bt + b_last && bt + b_first < at + a_last;
}

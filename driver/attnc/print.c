/* Arrays as NumPy shows them: nested brackets, three at each end of an axis where there are many elements. */
#include <math.h>
#include <string.h>
#include "attnc.h"

/* NumPy's own threshold and edgeitems: more elements than MANY are cut to EDGE at both ends of each axis. */
enum { MANY = 1000, EDGE = 3 };

/* cut: there are MANY; width: of the widest element that is shown. */
typedef struct { FILE *to; const attn_tensor *t; bool cut; int width; } printing;

/* Position k of row-major order, whatever the strides. */
static const char *address(const attn_tensor *t, int64_t k) {
    int64_t at = 0;
    /* From the last axis: k is taken apart into positions, each an offset of its own. */
    for (int axis = attn_tensor_rank(t); axis-- > 0;) {
        int64_t n = attn_tensor_dim(t, axis);
        at += k % n * attn_tensor_stride(t, axis);
        k /= n;
    }
    return (const char *)attn_tensor_data(t) + at * (int64_t)attn_dtype_bytes(attn_tensor_dtype(t));
}

/* As a double, for comparing and for printing reals; an int64 beyond 2^53 loses its last digits, so integers are printed by `format`. */
double cli_element(const attn_tensor *t, int64_t k) {
    const void *at = address(t, k);
    switch (attn_tensor_dtype(t)) {
    case ATTN_F32: return (double)*(const float *)at;
    case ATTN_F64: return *(const double *)at;
    case ATTN_I32: return *(const int32_t *)at;
    case ATTN_I64: return (double)*(const int64_t *)at;
    default: return *(const uint8_t *)at;
    }
}

/* The text of one element; its length. 64 bytes are room for any. */
static int format(const attn_tensor *t, int64_t k, char *out, size_t n) {
    const void *at = address(t, k);
    switch (attn_tensor_dtype(t)) {
    case ATTN_F32: case ATTN_F64: return snprintf(out, n, "%.6g", cli_element(t, k));
    case ATTN_I32: return snprintf(out, n, "%d", *(const int32_t *)at);
    case ATTN_I64: return snprintf(out, n, "%lld", (long long)*(const int64_t *)at);
    default: return snprintf(out, n, "%s", *(const uint8_t *)at ? "True" : "False");
    }
}

/* What is done with element k of row-major order. */
typedef void each(printing *p, int64_t k);

/* Elements that are shown, in order. */
static void walk(printing *p, int axis, int64_t base, each *visit) {
    /* base: position of this part, in units of what it consists of. */
    int64_t n = axis < attn_tensor_rank(p->t) ? attn_tensor_dim(p->t, axis) : 1;
    if (axis == attn_tensor_rank(p->t)) {
        visit(p, base);
        return;
    }
    for (int64_t k = 0; k < n; k++) {
        if (p->cut && n > 2 * EDGE && k == EDGE) k = n - EDGE;
        walk(p, axis + 1, base * n + k, visit);
    }
}

/* Columns are as wide as their widest element, so all that will be shown is formatted once for its width. */
static void measure(printing *p, int64_t k) {
    char text[64];
    int width = format(p->t, k, text, sizeof text);
    if (width > p->width) p->width = width;
}

/* Right-aligned, as NumPy does it. */
static void show(printing *p, int64_t k) {
    char text[64];
    format(p->t, k, text, sizeof text);
    fprintf(p->to, "%*s", p->width, text);
}

/* Between two elements of an axis: a space on the last, as many newlines as there are axes below it on the others. */
static void separate(printing *p, int axis, bool dots) {
    int below = attn_tensor_rank(p->t) - 1 - axis;
    if (below == 0) {
        fputs(dots ? " ... " : " ", p->to);
        return;
    }
    /* The next line starts below the first bracket of this axis: one column for each bracket that is open. */
    for (int k = 0; k < below; k++) fputs("\n", p->to);
    fprintf(p->to, "%*s", axis + 1, "");
    if (dots) fprintf(p->to, "...\n%*s", axis + 1, "");
}

/* Skips the same elements as `walk`: what was measured is what is shown. base: position of this part in units of what it consists of. */
static void brackets(printing *p, int axis, int64_t base) {
    if (axis == attn_tensor_rank(p->t)) {
        show(p, base);
        return;
    }
    int64_t n = attn_tensor_dim(p->t, axis);
    fputs("[", p->to);
    for (int64_t k = 0; k < n; k++) {
        /* A short axis is shown whole, also of a large array. */
        bool dots = p->cut && n > 2 * EDGE && k == EDGE;
        if (dots) k = n - EDGE;
        if (k > 0) separate(p, axis, dots);
        brackets(p, axis + 1, base * n + k);
    }
    fputs("]", p->to);
}

void cli_print_tensor(FILE *to, const char *name, const attn_tensor *t) {
    int64_t n = attn_tensor_elements(t);
    /* Name and type first: a result is often longer than a screen. */
    printing p = {to, t, n > MANY, 0};
    fprintf(to, "%s: %s[", name, attn_dtype_name(attn_tensor_dtype(t)));
    for (int axis = 0; axis < attn_tensor_rank(t); axis++) fprintf(to, axis ? ",%lld" : "%lld", (long long)attn_tensor_dim(t, axis));
    fputs("]\n", to);
    /* Without elements there is nothing to nest, whatever the rank. */
    if (n > 0) walk(&p, 0, 0, measure);
    if (n > 0) brackets(&p, 0, 0);
    else fputs("[]", to);
    fputs("\n", to);
}

/* As a program writes it, "f32[B,S]": extents are texts here, since no tensor is there yet. */
void cli_print_type(FILE *to, const attn_tensor_info *info) {
    fputs(info->is_dim ? "dim" : attn_dtype_name(info->dtype), to);
    if (info->rank == 0) return;
    fputs("[", to);
    for (int axis = 0; axis < info->rank; axis++) fprintf(to, axis ? ",%s" : "%s", info->dims[axis]);
    fputs("]", to);
}

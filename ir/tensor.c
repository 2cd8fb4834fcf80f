/* Tensors and frames of the evaluator, and what element types can hold. Tensors are dense and live in the caller's arena. */
#include <math.h>
#include "ir.h"

enum { MAX_BYTES_LOG2 = 46 };    /* of a tensor: more than any machine has, and products of extents stay far from overflow */

/* n < 0 says that a value has no tensor yet; 0 elements is a tensor. */
ir_frame ir_frame_create(const ir_unit *u, base_arena *arena) {
    ir_frame f = {.dim = BASE_ARRAY(arena, u->dim.n + 1, int64_t), .value = BASE_ARRAY(arena, u->value.n + 1, ir_tensor)};
    for (uint32_t v = 0; v <= u->value.n; v++) f.value[v].n = -1;
    return f;
}

/* Callers have checked the extents (ir_type_shape); what does not fit here is memory that there is not. */
ir_tensor ir_tensor_new(base_arena *arena, uint8_t dtype, uint8_t rank, const int64_t *dim) {
    ir_tensor t = {.dtype = dtype, .rank = rank, .n = 1};
    bool empty = false;
    for (uint8_t k = 0; k < rank; k++) empty = empty || dim[k] == 0;
    for (uint8_t k = 0; k < rank; k++) {
        t.dim[k] = dim[k];
        if (dim[k] < 0 || (!empty && !base_mul(t.n, dim[k], &t.n))) base_arena_fail(arena);
    }
    if (empty) t.n = 0;
    t.i = BASE_ARRAY(arena, (size_t)t.n + 1, int64_t);   /* one more: a tensor without elements has an address too */
    return t;
}

/* Of the extents in turn; an axis of 0 makes the tensor empty whatever the others are. */
static bool too_many(uint8_t rank, const int64_t *dim, int64_t most) {
    int64_t n = 1;
    bool large = false;
    for (uint8_t k = 0; k < rank; k++) {
        if (dim[k] == 0) return false;
        large = large || !base_mul(n, dim[k], &n) || n > most;
    }
    return large;
}

/* Extents each, then their product: every one may be fine, and the tensor still more than any memory. */
bool ir_type_shape(const ir_unit *u, const ir_frame *frame, const ir_type *type, int64_t *dim, base_diags *diags) {
    const int64_t most = (int64_t)1 << (MAX_BYTES_LOG2 - 3);
    for (uint8_t k = 0; k < type->rank; k++) {
        if (!ir_eval_expr(u, frame, type->dim[k], &dim[k], diags)) return false;
        if (dim[k] >= 0 && dim[k] <= most) continue;
        base_report(diags, BASE_MSG_EXTENT_RANGE, (base_span){0}, k, "a tensor", (long long)dim[k], (long long)most);
        return false;
    }
    if (too_many(type->rank, dim, most)) return base_report(diags, BASE_MSG_SIZE_OVERFLOW, (base_span){0}, "a", "tensor"), false;
    return true;
}

/* Conversion to float rounds to nearest, ties to even, as storing does everywhere.
 * f64 is what the evaluator computes in, and stays; integers have ir_saturate_to. */
double ir_round_to(uint8_t dtype, double x) {
    return dtype == IR_TYPE_F32 ? (double)(float)x : x;
}

/* What does not fit becomes the nearest value that does, never another number with the same low bits. */
int64_t ir_saturate_to(uint8_t dtype, int64_t x) {
    if (dtype == IR_TYPE_BOOL) return x != 0;
    if (dtype == IR_TYPE_I32) return x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : x;
    return x;
}

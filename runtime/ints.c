/* Integer programs: from the shapes of tensors to dimensions, sizes, items. A few hundred operations at most, each checked: what leaves
 * int64 is an error. Extents are below 2^31, so that kernels may use 32 bit inside a tile.
 */
#include <string.h>
#include "rt.h"

static const int64_t max_extent = INT32_MAX;

/* One operation on known operands. Tests are made by the caller, who knows how to say it. */
static rt_ints_status compute(uint32_t op, int64_t a, int64_t b, int64_t c, int64_t *out) {
    switch (op) {
    case RT_INT_ADD: return base_add(a, b, out) ? RT_INTS_OK : RT_INTS_OVERFLOW;
    case RT_INT_SUB: return !__builtin_sub_overflow(a, b, out) ? RT_INTS_OK : RT_INTS_OVERFLOW;
    case RT_INT_MUL: return base_mul(a, b, out) ? RT_INTS_OK : RT_INTS_OVERFLOW;
    case RT_INT_FDIV:
    case RT_INT_MOD:
        if (b == 0) return RT_INTS_ZERO;
        /* The processor traps on the least number divided by -1, also for the remainder, so the product stands in for
         * both. */
        if (b == -1) return base_mul(a, op == RT_INT_MOD ? 0 : -1, out) ? RT_INTS_OK : RT_INTS_OVERFLOW;
        *out = op == RT_INT_FDIV ? base_floor_div(a, b) : base_floor_mod(a, b);
        return RT_INTS_OK;
    case RT_INT_MIN: *out = a < b ? a : b; return RT_INTS_OK;
    case RT_INT_MAX: *out = a > b ? a : b; return RT_INTS_OK;
    case RT_INT_NEG: return base_mul(a, -1, out) ? RT_INTS_OK : RT_INTS_OVERFLOW;
    case RT_INT_ABS: return base_mul(a, a < 0 ? -1 : 1, out) ? RT_INTS_OK : RT_INTS_OVERFLOW;
    case RT_INT_LT: *out = a < b; return RT_INTS_OK;
    case RT_INT_LE: *out = a <= b; return RT_INTS_OK;
    case RT_INT_EQ: *out = a == b; return RT_INTS_OK;
    case RT_INT_NE: *out = a != b; return RT_INTS_OK;
    case RT_INT_AND: *out = a && b; return RT_INTS_OK;
    case RT_INT_OR: *out = a || b; return RT_INTS_OK;
    case RT_INT_NOT: *out = !a; return RT_INTS_OK;
    /* Both sides are slots, computed before: one that fails ends the program even where it is not chosen. */
    case RT_INT_SELECT: *out = a ? b : c; return RT_INTS_OK;
    default: return RT_INTS_UNKNOWN;
    }
}

/* SHAPE, STRIDE and SCALAR use theirs as the numbers of a tensor and an axis. */
uint32_t rt_int_operands(uint32_t op) {
    switch (op) {
    case RT_INT_LITERAL: case RT_INT_SHAPE: case RT_INT_STRIDE: case RT_INT_SCALAR: return 0;
    case RT_INT_NEG: case RT_INT_ABS: case RT_INT_NOT: case RT_INT_REQUIRE: return 1;
    case RT_INT_SELECT: return 3;
    default: return 2;
    }
}

/* The host's memory may be aligned to nothing. */
static int64_t scalar_of(const rt_array *a) {
    int64_t wide;
    int32_t narrow;
    if (a->dtype == RT_I64) return memcpy(&wide, a->data, sizeof wide), wide;
    if (a->dtype == RT_I32) return memcpy(&narrow, a->data, sizeof narrow), narrow;
    return *(const uint8_t *)a->data;
}

/* `where` is read as a tensor and an axis (tensor * 256 + axis) by shape errors, as a fact's number by fact errors.
 * Always false. */
static bool fail(rt_ints_error *error, uint32_t status, uint64_t where, int64_t found, int64_t expected) {
    *error = (rt_ints_error){.status = status, .tensor = (uint32_t)(where >> 8), .axis = (uint32_t)(where & 255), .fact = (uint32_t)where, .found = found,
                             .expected = expected};
    return false;
}

/* Beyond 2^31 kernels would count wrongly inside a tile. The host has checked that no extent is negative. */
static bool shape(const rt_int_op *op, const rt_array *tensors, int64_t *out, rt_ints_error *error) {
    *out = tensors[op->a].dim[op->b];
    return *out <= max_extent || fail(error, RT_INTS_EXTENT, (uint64_t)op->a << 8 | op->b, *out, max_extent);
}

/* dst = a / b, exactly and not negative */
static bool solve(const rt_int_op *op, int64_t a, int64_t b, int64_t *out, rt_ints_error *error) {
    bool fine = b != 0 && !(a == INT64_MIN && b == -1) && a % b == 0 && a / b >= 0;      /* that quotient alone does not fit */
    if (fine) *out = a / b;
    if (!fine) fail(error, RT_INTS_SHAPE, (uint64_t)op->literal, a, b);
    /* fail has filled the whole error, so this comes after it. */
    error->divides = !fine;
    return fine;
}

/* Slots of operands are read only as far as the operation has them: a literal's fields a and b are no slots. */
static bool step(const rt_int_op *op, const rt_array *tensors, int64_t *slots, rt_ints_error *error) {
    int64_t *out = &slots[op->dst];
    uint32_t n = rt_int_operands(op->op);
    int64_t a = n > 0 ? slots[op->a] : 0, b = n > 1 ? slots[op->b] : 0, c = n > 2 ? slots[op->c] : 0;
    switch (op->op) {
    case RT_INT_LITERAL: *out = op->literal; return true;
    case RT_INT_SHAPE: return shape(op, tensors, out, error);
    case RT_INT_STRIDE: *out = tensors[op->a].stride[op->b]; return true;
    case RT_INT_SCALAR: *out = scalar_of(&tensors[op->a]); return true;
    case RT_INT_SOLVE: return solve(op, a, b, out, error);
    case RT_INT_EXPECT: return a == b || fail(error, RT_INTS_SHAPE, (uint64_t)op->literal, a, b);
    case RT_INT_REQUIRE: return a || fail(error, RT_INTS_FACT, (uint64_t)op->literal, 0, 1);
    default: break;
    }
    rt_ints_status status = compute(op->op, a, b, c, out);
    return status == RT_INTS_OK || fail(error, status, 0, a, b);
}

/* Ends with the first test that fails: what follows may rest on it (a division by what was to be at least 1). */
bool rt_ints_run(const rt_int_op *ops, uint32_t n, const rt_array *tensors, int64_t *slots, rt_ints_error *error) {
    *error = (rt_ints_error){.status = RT_INTS_OK};
    for (uint32_t k = 0; k < n; k++)
        if (!step(&ops[k], tensors, slots, error)) return false;
    return true;
}

/* A tensor may be known by its shape alone: a scalar needs its element too. */
static bool operands_known(const rt_int_op *op, const rt_array *tensors, const bool *known) {
    uint32_t n = rt_int_operands(op->op);
    if (op->op == RT_INT_SHAPE || op->op == RT_INT_STRIDE) return tensors[op->a].rank != RT_UNKNOWN;
    if (op->op == RT_INT_SCALAR) return tensors[op->a].rank != RT_UNKNOWN && tensors[op->a].data;
    return (n < 1 || known[op->a]) && (n < 2 || known[op->b]) && (n < 3 || known[op->c]);
}

/* For questions about shapes before there are tensors: an operation is known if its operands are; one that fails is not, and nobody is told. */
void rt_ints_partial(const rt_int_op *ops, uint32_t n, const rt_array *tensors, int64_t *slots, bool *known) {
    rt_ints_error ignored;
    for (uint32_t k = 0; k < n; k++) {
        bool test = ops[k].op == RT_INT_EXPECT || ops[k].op == RT_INT_REQUIRE;
        if (!test && operands_known(&ops[k], tensors, known)) known[ops[k].dst] = step(&ops[k], tensors, slots, &ignored);
    }
}

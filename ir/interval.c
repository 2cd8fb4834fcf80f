/* What an expression can be: intervals of integers and of reals, computed once when an expression is made, from its operands.
 * Integers: the ends INT64_MIN and INT64_MAX also mean "unknown, or beyond 63 bits". Reals: ends in exact arithmetic; NaN is a flag. */
#include <float.h>
#include "core.h"

static const ir_interval everything = {INT64_MIN, INT64_MAX};
static const ir_bounds any_real = {.r = {-INFINITY, INFINITY}, .nan = true};

/* ---- integers */

static bool is_infinite(int64_t x) { return x == INT64_MIN || x == INT64_MAX; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static ir_interval hull(ir_interval a, ir_interval b) { return (ir_interval){least(a.lo, b.lo), most(a.hi, b.hi)}; }

/* `infinite` is the end's own infinity: a lower end that is unknown stays unknown, whatever is added. A sum beyond 63 bits becomes the
 * infinity on its side; if both overflow they have one sign, so that of a decides. */
static int64_t add_ends(int64_t a, int64_t b, int64_t infinite) {
    int64_t sum;
    if (a == infinite || b == infinite) return infinite;
    return base_add(a, b, &sum) ? sum : a < 0 ? INT64_MIN : INT64_MAX;
}

/* 0 times unknown is 0: an extent of 0 ends a loop however long its body is. Any other overflow saturates by the sign. */
static int64_t mul_ends(int64_t a, int64_t b) {
    int64_t product;
    if (!a || !b) return 0;
    if (!is_infinite(a) && !is_infinite(b) && base_mul(a, b, &product)) return product;
    return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
}

static ir_interval add(ir_interval a, ir_interval b) {
    return (ir_interval){add_ends(a.lo, b.lo, INT64_MIN), add_ends(a.hi, b.hi, INT64_MAX)};
}

/* The two infinities change places; INT64_MIN has no negative, and INT64_MAX stands for all beyond. */
static ir_interval negate(ir_interval a) {
    return (ir_interval){a.hi == INT64_MAX ? INT64_MIN : -a.hi, a.lo == INT64_MIN ? INT64_MAX : -a.lo};
}

/* The extremes of a product of intervals lie at corners. */
static ir_interval mul(ir_interval a, ir_interval b) {
    int64_t p = mul_ends(a.lo, b.lo), q = mul_ends(a.lo, b.hi), r = mul_ends(a.hi, b.lo), s = mul_ends(a.hi, b.hi);
    return (ir_interval){least(least(p, q), least(r, s)), most(most(p, q), most(r, s))};
}

/* An unknown numerator stays unknown; b is at least 1. */
static int64_t div_ends(int64_t a, int64_t b) { return is_infinite(a) ? a : base_floor_div(a, b); }

/* A divisor of 0 is an error, so it says nothing about the result: it counts as 1. Where the divisor may be negative only the size is
 * known, which a division never increases; else the extremes lie at corners, as for products. */
static ir_interval floor_div(ir_interval a, ir_interval b) {
    if (b.lo < 0) {
        int64_t far = most(a.hi, a.lo == INT64_MIN ? INT64_MAX : -a.lo);
        return a.lo == INT64_MIN || a.hi == INT64_MAX ? everything : (ir_interval){-far, far};
    }
    int64_t lo = most(b.lo, 1), hi = most(b.hi, 1);
    return (ir_interval){least(div_ends(a.lo, lo), div_ends(a.lo, hi)), most(div_ends(a.hi, lo), div_ends(a.hi, hi))};
}

/* The sign of a remainder is that of the divisor, since division floors, and its size is less. What is not negative, by a divisor that is
 * not, leaves no more than it was. */
static ir_interval floor_mod(ir_interval a, ir_interval b) {
    ir_interval r = {b.lo < 0 ? add_ends(b.lo, 1, INT64_MIN) : 0, b.hi > 0 ? add_ends(b.hi, -1, INT64_MAX) : 0};
    if (b.lo >= 0 && a.lo >= 0) r.hi = least(r.hi, a.hi);
    return r;
}

static ir_interval absolute(ir_interval a) {
    ir_interval n = negate(a);
    return a.lo >= 0 ? a : a.hi <= 0 ? n : (ir_interval){0, most(a.hi, n.hi)};
}

/* Saturates, so that an infinite or a huge end becomes "unknown or beyond" of the integers. Ends are never NaN. */
static int64_t to_int(double x) { return x <= -0x1p63 ? INT64_MIN : x >= 0x1p63 ? INT64_MAX : (int64_t)x; }

/* Outward, so it holds for floor, ceil and round alike. A NaN becomes 0, so 0 has to be in the interval. */
static ir_interval rounded(ir_bounds x) {
    ir_interval r = {to_int(floor(x.r.lo)), to_int(ceil(x.r.hi))};
    return x.nan ? hull(r, (ir_interval){0, 0}) : r;
}

/* An empty range has no index; it is treated as {0} so that ends stay ordered. Nothing is evaluated there. */
static ir_interval indices(const ir_unit *u, ir_var v) {
    int64_t end = ir_int_bounds(u, ir_extent(u, v)).hi;
    return (ir_interval){0, end == INT64_MAX ? end : most(end - 1, 0)};
}

/* Data may hold anything that its type does. */
static ir_interval elements(const ir_unit *u, ir_value value) {
    return u->value.at[value].type.dtype == IR_TYPE_I32 ? (ir_interval){INT32_MIN, INT32_MAX} : everything;
}

/* Term by term, as if they were independent: i - i//2 gets wider than it is, never narrower. */
ir_interval ir_terms_interval(const ir_unit *u, const ir_terms *p) {
    ir_interval sum = {0, 0};
    for (uint32_t k = 0; k < p->n; k++) {
        ir_interval c = {p->at[k].coef, p->at[k].coef};
        sum = add(sum, p->at[k].monomial ? mul(c, ir_int_bounds(u, p->at[k].monomial)) : c);
    }
    return p->lost ? everything : sum;
}

/* ---- reals */

static ir_bounds real(double lo, double hi, bool nan) { return (ir_bounds){.r = {lo, hi}, .nan = nan}; }
static bool may_be(ir_bounds a, double x) { return a.r.lo <= x && x <= a.r.hi; }

/* An end that came out as NaN (inf - inf, 0 * inf) is unknown. */
static ir_bounds settled(double lo, double hi, bool nan) {
    return real(isnan(lo) ? -(double)INFINITY : lo, isnan(hi) ? (double)INFINITY : hi, nan);
}

/* inf - inf is NaN: possible where one side may be inf and the other -inf. */
static ir_bounds real_add(ir_bounds a, ir_bounds b) {
    bool clash = (may_be(a, INFINITY) && may_be(b, -INFINITY)) || (may_be(a, -INFINITY) && may_be(b, INFINITY));
    return settled(a.r.lo + b.r.lo, a.r.hi + b.r.hi, a.nan || b.nan || clash);
}

static ir_bounds real_negate(ir_bounds a) { return real(-a.r.hi, -a.r.lo, a.nan); }
/* 0 times an infinite end is 0 as far as the interval goes; that the product may then be NaN is the flag's business. */
static double real_product(double a, double b) { return a == 0 || b == 0 ? 0 : a * b; }
static bool may_be_infinite(ir_bounds a) { return isinf(a.r.lo) || isinf(a.r.hi); }

/* Corners, as for integers; 0 * inf is NaN, so it may happen where one side may be 0 and the other infinite. */
static ir_bounds real_mul(ir_bounds a, ir_bounds b) {
    double p = real_product(a.r.lo, b.r.lo), q = real_product(a.r.lo, b.r.hi);
    double r = real_product(a.r.hi, b.r.lo), s = real_product(a.r.hi, b.r.hi);
    bool clash = (may_be_infinite(a) && may_be(b, 0)) || (may_be_infinite(b) && may_be(a, 0));
    return real(fmin(fmin(p, q), fmin(r, s)), fmax(fmax(p, q), fmax(r, s)), a.nan || b.nan || clash);
}

/* Where the divisor may be 0 the quotient can be anything, inf and NaN among it. Elsewhere it is a product with the inverse, whose interval
 * turns around; an infinite divisor makes the inverse 0, which is no reason for NaN by itself: inf / inf is. */
static ir_bounds real_div(ir_bounds a, ir_bounds b) {
    if (may_be(b, 0)) return any_real;
    ir_bounds inverse = real(1 / b.r.hi, 1 / b.r.lo, b.nan), r = real_mul(a, inverse);
    r.nan = a.nan || b.nan || (may_be_infinite(a) && may_be_infinite(b));
    return r;
}

static ir_bounds real_hull(ir_bounds a, ir_bounds b) { return real(fmin(a.r.lo, b.r.lo), fmax(a.r.hi, b.r.hi), a.nan || b.nan); }

static ir_bounds real_abs(ir_bounds a) {
    double far = fmax(fabs(a.r.lo), fabs(a.r.hi));
    return real(a.r.lo > 0 ? a.r.lo : a.r.hi < 0 ? -a.r.hi : 0, far, a.nan);
}

/* Unknown ends are the ends of int64, which a double can hold: a float of an integer is never infinite, never NaN. */
static ir_bounds of_float(ir_interval a) {
    return real(a.lo == INT64_MIN ? -0x1p63 : (double)a.lo, a.hi == INT64_MAX ? 0x1p63 : (double)a.hi, false);
}

/* Monotone functions map ends to ends. Libraries of targets may be off in the last bits: who asks leaves room (ir_maybe_minus_inf). */
static ir_bounds of_unary(ir_op op, ir_bounds a) {
    switch (op) {
    case IR_NEG: return real_negate(a);
    case IR_ABS: return real_abs(a);
    case IR_EXP: return real(exp(a.r.lo), exp(a.r.hi), a.nan);
    case IR_EXP2: return real(exp2(a.r.lo), exp2(a.r.hi), a.nan);
    /* above 1 a logarithm is not negative; more is not kept */
    case IR_LOG: case IR_LOG2: return real(a.r.lo > 1 ? 0 : -(double)INFINITY, INFINITY, a.nan || a.r.lo < 0);
    case IR_TANH: case IR_ERF: return real(-1, 1, a.nan);
    /* of an infinity NaN */
    case IR_SIN: case IR_COS: return real(-1, 1, a.nan || may_be_infinite(a));
    case IR_SIGMOID: return real(0, 1, a.nan);
    case IR_GELU: case IR_SILU: return real(-1, fmax(a.r.hi, 0), a.nan || isinf(a.r.lo));     /* -inf * 0 */
    case IR_RELU: return real(fmax(a.r.lo, 0), fmax(a.r.hi, 0), a.nan);
    case IR_SQRT: return real(a.r.lo > 0 ? sqrt(a.r.lo) : 0, a.r.hi > 0 ? sqrt(a.r.hi) : 0, a.nan || a.r.lo < 0);
    case IR_RSQRT: return real(-(double)INFINITY, INFINITY, a.nan || a.r.lo < 0);             /* 1 / sqrt(-0.0) */
    default: return any_real;
    }
}

static ir_bounds of_binary(ir_op op, ir_bounds a, ir_bounds b) {
    switch (op) {
    case IR_ADD: return real_add(a, b);
    case IR_SUB: return real_add(a, real_negate(b));
    case IR_MUL: return real_mul(a, b);
    case IR_DIV: return real_div(a, b);
    case IR_MIN: return real(fmin(a.r.lo, b.r.lo), fmin(a.r.hi, b.r.hi), a.nan || b.nan);
    case IR_MAX: return real(fmax(a.r.lo, b.r.lo), fmax(a.r.hi, b.r.hi), a.nan || b.nan);
    default: return any_real;
    }
}

/* ---- reductions */

/* How many elements a reduction takes. most: INT64_MAX if unknown; may_be_none: an extent may be 0, or the guard may hide all. */
typedef struct { int64_t most; bool may_be_none; } element_count;

static element_count count_of(const ir_unit *u, const ir_expr_info *x, const ir_expr *operands) {
    uint32_t n = x->operands.n - 2;
    element_count c = {1, !ir_is_bool(u, operands[n], true)};
    for (uint32_t k = 0; k < n; k++) {
        ir_interval extent = ir_int_bounds(u, ir_extent(u, ir_at(u, operands[k])->u.ref));
        c.most = mul_ends(c.most, most(extent.hi, 0));
        c.may_be_none |= extent.lo < 1;
    }
    return c;
}

/* A maximum of nothing is the least integer, so an empty range widens the interval to it. A sum is its body times how many
 * elements there are, 0 among them if there may be none. Products are not followed. */
static ir_interval of_int_reduction(ir_red kind, ir_interval body, element_count c) {
    ir_interval none = kind == IR_RED_MAX ? (ir_interval){INT64_MIN, INT64_MIN} : (ir_interval){INT64_MAX, INT64_MAX};
    switch (kind) {
    case IR_RED_MAX: case IR_RED_MIN: return c.may_be_none ? hull(body, none) : body;
    case IR_RED_SUM: return mul(body, (ir_interval){c.may_be_none ? 0 : 1, c.most});
    default: return everything;
    }
}

/* A sum of n values lies within n times the body's interval, 0 included since guards may hide all of them. A product stays small only
 * where its factors do. */
static ir_bounds of_real_reduction(ir_red kind, ir_bounds body, element_count c) {
    double none = ir_reds[kind].identity;
    switch (kind) {
    case IR_RED_MAX: case IR_RED_MIN: return c.may_be_none ? real_hull(body, real(none, none, false)) : body;
    case IR_RED_SUM: {
        double n = c.most == INT64_MAX ? (double)INFINITY : (double)c.most;
        bool clash = body.r.lo == -(double)INFINITY && body.r.hi == (double)INFINITY;
        return real(real_product(fmin(body.r.lo, 0), n), real_product(fmax(body.r.hi, 0), n), body.nan || clash);
    }
    default: return body.r.lo >= -1 && body.r.hi <= 1 ? real(fmin(body.r.lo, -(body.r.lo < 0)), 1, body.nan) : any_real;
    }
}

/* ---- bits */

/* Of numbers that are not negative; else anything. A power of two that may leave 63 bits is unknown. */
static ir_interval of_bits(ir_op op, ir_interval a, ir_interval b) {
    switch (op) {
    case IR_BITAND: return a.lo >= 0 || b.lo >= 0 ? (ir_interval){0, a.lo < 0 ? b.hi : b.lo < 0 ? a.hi : least(a.hi, b.hi)} : everything;
    case IR_SHR: return a.lo >= 0 ? (ir_interval){0, a.hi} : everything;
    case IR_SHL: return a.lo == 1 && a.hi == 1 && b.lo >= 0 && b.hi <= 62 ? (ir_interval){(int64_t)1 << b.lo, (int64_t)1 << b.hi} : everything;
    case IR_TOPBIT: return (ir_interval){0, a.hi < 1 ? 0 : 63 - __builtin_clzll((unsigned long long)a.hi)};
    default: return everything;
    }
}

/* ---- all */

/* Only what the operator implies; facts come in through the lower bounds of dimensions, and are else left to proofs. */
static ir_interval int_bounds(const ir_unit *u, const ir_expr_info *x, const ir_expr *operands) {
    uint32_t n = x->operands.n;
    const ir_bounds *all = u->index->bounds.at;
    ir_interval a = n ? all[operands[0]].i : everything, b = n > 1 ? all[operands[1]].i : everything;
    switch (x->op) {
    case IR_INT: return (ir_interval){x->u.i, x->u.i};
    case IR_DIM: return (ir_interval){u->dim.at[x->u.ref].least, INT32_MAX};
    case IR_VAR: return indices(u, x->u.ref);
    case IR_READ: return elements(u, x->u.ref);
    case IR_ADD: return add(a, b);
    case IR_SUB: return add(a, negate(b));
    case IR_MUL: return mul(a, b);
    case IR_FDIV: return floor_div(a, b);
    case IR_MOD: return floor_mod(a, b);
    case IR_NEG: return negate(a);
    case IR_MIN: return (ir_interval){least(a.lo, b.lo), least(a.hi, b.hi)};
    case IR_MAX: return (ir_interval){most(a.lo, b.lo), most(a.hi, b.hi)};
    case IR_ABS: return absolute(a);
    case IR_BITAND: case IR_BITOR: case IR_SHL: case IR_SHR: case IR_TOPBIT: return of_bits((ir_op)x->op, a, b);
    case IR_SELECT: return hull(b, all[operands[2]].i);
    case IR_FLOOR: case IR_CEIL: case IR_ROUND: return rounded(all[operands[0]]);
    case IR_RED: return of_int_reduction(x->u.ref, all[operands[n - 1]].i, count_of(u, x, operands));
    default: return everything;
    }
}

static ir_bounds real_bounds(const ir_unit *u, const ir_expr_info *x, const ir_expr *operands) {
    uint32_t n = x->operands.n;
    const ir_bounds *all = u->index->bounds.at;
    switch (x->op) {
    case IR_REAL: return isnan(x->u.f) ? any_real : real(x->u.f, x->u.f, false);
    case IR_READ: case IR_LET: return any_real;
    case IR_FLOAT: return of_float(all[operands[0]].i);
    case IR_SELECT: return real_hull(all[operands[1]], all[operands[2]]);
    case IR_RED: return of_real_reduction(x->u.ref, all[operands[n - 1]], count_of(u, x, operands));
    default: return n == 1 ? of_unary(x->op, all[operands[0]]) : n == 2 ? of_binary(x->op, all[operands[0]], all[operands[1]]) : any_real;
    }
}

/* Of truth values nothing is kept: proofs decide them from their operands. */
ir_bounds ir_bounds_new(const ir_unit *u, const ir_expr_info *e, const ir_expr *operands) {
    if (e->sort == IR_SORT_INT) return (ir_bounds){.i = int_bounds(u, e, operands)};
    if (e->sort == IR_SORT_REAL) return real_bounds(u, e, operands);
    return (ir_bounds){.i = everything};
}

/* ---- questions */

ir_interval ir_interval_of(ir_unit *u, ir_expr e) { return e && ir_at(u, e)->sort == IR_SORT_INT ? ir_int_bounds(u, e) : everything; }

/* In whole numbers and outward, for callers that compare with a bound; of no real nothing is known, NaN included. */
ir_interval ir_interval_of_real(ir_unit *u, ir_expr e, bool *maybe_nan) {
    ir_bounds b = e && ir_at(u, e)->sort == IR_SORT_REAL ? u->index->bounds.at[e] : any_real;
    if (maybe_nan) *maybe_nan = b.nan;
    return (ir_interval){to_int(floor(b.r.lo)), to_int(ceil(b.r.hi))};
}

/* What may leave the range of f32 may become -inf in a kernel. The hundredth below FLT_MAX is the room for functions of targets that are
 * off in the last bits. */
bool ir_maybe_minus_inf(ir_unit *u, ir_expr e) {
    ir_bounds b = e && ir_at(u, e)->sort == IR_SORT_REAL ? u->index->bounds.at[e] : any_real;
    return b.r.lo < -0.99 * (double)FLT_MAX;
}

/* When does an integer need more than 64 bits? Kernels compute integers modulo 2^64, so a result that fits is right whatever happened on the
 * way, and one that does not fit is found by a question beside the kernel (checks.c). What is asked:
 *
 *   sums     a + b - c as a whole, and a*b: the wrapped value and one computed in reals differ by less than 2^63. If the exact value
 *            fits they are equal up to rounding; if not, they are 2^64 or more apart. Terms fit by themselves (each is asked before), so rounding,
 *            even of f32, stays far below 2^63.
 *   sum(v: x)   the upper and the lower half of x are summed apart, which cannot overflow, and put together.
 *   prod(v: x)  a factor is 0, or as for a*b. Factors of 1 and -1 round nothing, and of others 64 are already too many.
 *   abs, //     the two operands for which there is no result.
 *
 * The evaluator (ir/machine.c) asks the same of the same expressions. What an interval proves is never asked. */
#include "exact.h"

static bool is_sum(ir_op op) { return op == IR_ADD || op == IR_SUB || op == IR_NEG; }
static bool has(ir_interval i, int64_t x) { return i.lo <= x && x <= i.hi; }

bool pass_may_overflow(ir_unit *u, ir_expr e) {
    const ir_expr_info *info = ir_at(u, e);
    if (info->sort != IR_SORT_INT) return false;
    const ir_op op = (ir_op)info->op;
    const ir_interval i = ir_interval_of(u, e);
    if (op == IR_FDIV) return has(ir_interval_of(u, ir_operand(u, e, 0)), INT64_MIN) && has(ir_interval_of(u, ir_operand(u, e, 1)), -1);
    if (i.lo != INT64_MIN && i.hi != INT64_MAX) return false;
    return is_sum(op) || op == IR_MUL || op == IR_ABS || (op == IR_RED && (info->u.ref == IR_RED_SUM || info->u.ref == IR_RED_PROD));
}

void pass_sum_terms(ir_unit *u, ir_expr e, pass_sum_term *visit, void *env) {
    for (uint32_t k = 0; k < ir_n_operands(u, e); k++) {
        ir_expr term = ir_operand(u, e, k);
        if (is_sum((ir_op)ir_at(u, term)->op)) pass_sum_terms(u, term, visit, env);
        else visit(env, term);
    }
}

/* ---- the same in reals */

static ir_expr in_reals(ir_unit *u, ir_expr e) {
    ir_op op = (ir_op)ir_at(u, e)->op;
    if (op == IR_NEG) return ir_op1(u, IR_NEG, in_reals(u, ir_operand(u, e, 0)));
    if (is_sum(op)) return ir_op2(u, op, in_reals(u, ir_operand(u, e, 0)), in_reals(u, ir_operand(u, e, 1)));
    return ir_op1(u, IR_FLOAT, e);
}

static ir_expr agree(ir_unit *u, ir_expr wrapped, ir_expr exact) {
    ir_expr apart = ir_op1(u, IR_ABS, ir_sub(u, ir_op1(u, IR_FLOAT, wrapped), exact));
    return ir_op2(u, IR_LT, apart, ir_real(u, 0x1p63));
}

/* ---- reductions */

static ir_expr like(ir_unit *u, ir_expr red, ir_red kind, ir_expr body) {
    uint32_t n = ir_red_n_bound(u, red);
    ir_var *bound = BASE_ARRAY(u->arena, n + 1, ir_var);
    for (uint32_t k = 0; k < n; k++) bound[k] = ir_red_bound(u, red, k);
    return ir_reduce(u, kind, n, bound, ir_red_where(u, red), body);
}

/* x == upper * 2^32 + lower, lower in 0..2^32: sums of each stay within 63 bits for 2^31 elements. */
static ir_expr sum_fits(ir_unit *u, ir_expr red) {
    ir_expr half = ir_int(u, INT64_C(1) << 32), body = ir_red_body(u, red);
    ir_expr upper = like(u, red, IR_RED_SUM, ir_op2(u, IR_FDIV, body, half)), lower = like(u, red, IR_RED_SUM, ir_op2(u, IR_MOD, body, half));
    ir_expr whole = ir_add(u, upper, ir_op2(u, IR_FDIV, lower, half));
    return ir_and(u, ir_op2(u, IR_LE, ir_int(u, INT32_MIN), whole), ir_op2(u, IR_LE, whole, ir_int(u, INT32_MAX)));
}

static ir_expr prod_fits(ir_unit *u, ir_expr red) {
    ir_expr body = ir_red_body(u, red);
    ir_expr zero = like(u, red, IR_RED_ANY, ir_op2(u, IR_EQ, body, ir_int(u, 0)));
    return ir_or(u, zero, agree(u, red, like(u, red, IR_RED_PROD, ir_op1(u, IR_FLOAT, body))));
}

ir_expr pass_fits(ir_unit *u, ir_expr e) {
    ir_op op = (ir_op)ir_at(u, e)->op;
    if (op == IR_RED) return ir_at(u, e)->u.ref == IR_RED_SUM ? sum_fits(u, e) : prod_fits(u, e);
    if (is_sum(op)) return agree(u, e, in_reals(u, e));
    ir_expr a = ir_operand(u, e, 0), least = ir_op2(u, IR_EQ, a, ir_int(u, INT64_MIN));
    if (op == IR_ABS) return ir_not(u, least);
    ir_expr b = ir_operand(u, e, 1);
    if (op == IR_FDIV) return ir_not(u, ir_and(u, least, ir_op2(u, IR_EQ, b, ir_int(u, -1))));
    return agree(u, e, ir_mul(u, ir_op1(u, IR_FLOAT, a), ir_op1(u, IR_FLOAT, b)));
}

const char *pass_overflow_name(const ir_unit *u, ir_expr e) {
    const ir_expr_info *info = ir_at(u, e);
    return info->op == IR_RED ? ir_reds[info->u.ref].text : ir_ops[info->op].text;
}

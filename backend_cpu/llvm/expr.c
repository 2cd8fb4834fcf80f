/* Expressions: one row of the table of operators, one function. Operands are scalars or vectors; where they are mixed the scalar is spread.
 * Integers are 64 bits, truth values one bit per lane. Integer division never traps: a divisor of 0 counts as 1. */
#include <string.h>
#include "emit.h"

/* ---- values */

bool cpu_is_vector(cpu_val v) { return LLVMGetTypeKind(LLVMTypeOf(v)) == LLVMVectorTypeKind; }
static LLVMTypeRef element(cpu_val v) { return cpu_is_vector(v) ? LLVMGetElementType(LLVMTypeOf(v)) : LLVMTypeOf(v); }
/* Operators tell reals from integers by the type of the value: what they are handed carries no sort. */
static bool is_real(cpu_val v) {
    const LLVMTypeKind kind = LLVMGetTypeKind(element(v));
    return kind == LLVMFloatTypeKind || kind == LLVMDoubleTypeKind;
}
/* The type t in the shape of v. */
static LLVMTypeRef shaped(cpu_val v, LLVMTypeRef t) { return cpu_is_vector(v) ? LLVMVectorType(t, LLVMGetVectorSize(LLVMTypeOf(v))) : t; }

cpu_val cpu_int(const cpu_emitter *e, int64_t value) { return LLVMConstInt(e->i64, (unsigned long long)value, true); }
cpu_val cpu_real(const cpu_emitter *e, double value) { return LLVMConstReal(e->real, value); }
/* Sorts by their letters. A truth value is a bit in registers and a byte in memory (read.c). */
LLVMTypeRef cpu_type(const cpu_emitter *e, char sort) { return sort == 'i' ? e->i64 : sort == 'b' ? e->i1 : e->real; }

/* LLVM's idiom for spreading: lane 0 of a vector of nothing, then a shuffle that takes lane 0 for all. It becomes one broadcast. */
cpu_val cpu_splat(cpu_emitter *e, cpu_val v, int32_t lanes) {
    if (lanes == 1 || cpu_is_vector(v)) return v;
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(v), (unsigned)lanes);
    cpu_val one = LLVMBuildInsertElement(e->b, LLVMGetPoison(type), v, LLVMConstInt(e->i32, 0, false), "");
    return LLVMBuildShuffleVector(e->b, one, LLVMGetPoison(type), LLVMConstNull(LLVMVectorType(e->i32, (unsigned)lanes)), "");
}
/* A constant, so it costs a load at most; one lane is the scalar 0. */
cpu_val cpu_iota(cpu_emitter *e, LLVMTypeRef type, int32_t lanes) {
    cpu_val each[64];
    for (int32_t i = 0; i < lanes; i++) each[i] = LLVMConstInt(type, (unsigned)i, false);
    (void)e;
    return lanes == 1 ? each[0] : LLVMConstVector(each, (unsigned)lanes);
}

/* Gives all operands the shape of the widest. */
static void same_shape(cpu_emitter *e, cpu_val *a, uint32_t n) {
    unsigned lanes = 1;
    for (uint32_t i = 0; i < n; i++)
        if (cpu_is_vector(a[i])) lanes = LLVMGetVectorSize(LLVMTypeOf(a[i]));
    for (uint32_t i = 0; i < n; i++) a[i] = cpu_splat(e, a[i], (int32_t)lanes);
}

/* Intrinsics are functions that LLVM knows; `overload` picks the variant for a type. Only those are called that become instructions: others would be
 * calls of libm, which object.c refuses. */
cpu_val cpu_call(cpu_emitter *e, const char *intrinsic, LLVMTypeRef overload, uint32_t n, cpu_val *args) {
    const unsigned id = LLVMLookupIntrinsicID(intrinsic, strlen(intrinsic));
    const size_t n_over = overload ? 1 : 0;
    cpu_val fn = LLVMGetIntrinsicDeclaration(e->m, id, &overload, n_over);
    return LLVMBuildCall2(e->b, LLVMIntrinsicGetType(e->c, id, &overload, n_over), fn, args, n, "");
}
/* fmuladd: fused where the target has it, two roundings elsewhere; never a call. */
cpu_val cpu_fma(cpu_emitter *e, cpu_val a, cpu_val b, cpu_val c) {
    cpu_val x[] = {a, b, c};
    same_shape(e, x, 3);
    return cpu_call(e, "llvm.fmuladd", LLVMTypeOf(x[0]), 3, x);
}
cpu_val cpu_truth(cpu_emitter *e, cpu_val a, cpu_val b) {
    if (!a || !b) return a ? a : b;
    cpu_val x[] = {a, b};
    same_shape(e, x, 2);
    return LLVMBuildAnd(e->b, x[0], x[1], "");
}
/* A scalar condition may choose between vectors, so only a vector of conditions forces the shape. */
cpu_val cpu_pick(cpu_emitter *e, cpu_val c, cpu_val a, cpu_val b) {
    cpu_val x[] = {c, a, b};
    if (cpu_is_vector(c)) same_shape(e, x, 3);
    else same_shape(e, x + 1, 2);
    return LLVMBuildSelect(e->b, x[0], x[1], x[2], "");
}

/* ---- operators, one function per row; operands have one shape */

/* a: as many operands as the operator's row in ops.def has, spread to one shape by cpu_apply. */
typedef cpu_val operator(cpu_emitter *e, cpu_val *a);

static cpu_val op_add(cpu_emitter *e, cpu_val *a) { return is_real(a[0]) ? LLVMBuildFAdd(e->b, a[0], a[1], "") : LLVMBuildAdd(e->b, a[0], a[1], ""); }
static cpu_val op_sub(cpu_emitter *e, cpu_val *a) { return is_real(a[0]) ? LLVMBuildFSub(e->b, a[0], a[1], "") : LLVMBuildSub(e->b, a[0], a[1], ""); }
static cpu_val op_mul(cpu_emitter *e, cpu_val *a) { return is_real(a[0]) ? LLVMBuildFMul(e->b, a[0], a[1], "") : LLVMBuildMul(e->b, a[0], a[1], ""); }
static cpu_val op_div(cpu_emitter *e, cpu_val *a) { return LLVMBuildFDiv(e->b, a[0], a[1], ""); }
static cpu_val op_neg(cpu_emitter *e, cpu_val *a) { return is_real(a[0]) ? LLVMBuildFNeg(e->b, a[0], "") : LLVMBuildNeg(e->b, a[0], ""); }

/* Floor division: truncate, then one less where the signs differ and something is left. -1 is handled apart: INT64_MIN // -1 would trap. */
static cpu_val divisor(cpu_emitter *e, cpu_val b) {
    /* No select around a constant: LLVM then turns the division into multiplications and shifts. */
    if (LLVMIsAConstantInt(b) && LLVMConstIntGetSExtValue(b) > 0) return b;
    LLVMTypeRef t = LLVMTypeOf(b);
    cpu_val one = cpu_splat(e, cpu_int(e, 1), cpu_is_vector(b) ? (int32_t)LLVMGetVectorSize(t) : 1);
    cpu_val zero = LLVMBuildICmp(e->b, LLVMIntEQ, b, LLVMConstNull(t), ""), minus = LLVMBuildICmp(e->b, LLVMIntEQ, b, LLVMConstAllOnes(t), "");
    return LLVMBuildSelect(e->b, LLVMBuildOr(e->b, zero, minus, ""), one, b, "");
}
/* Constants are the common divisors: with these the case of -1 costs nothing. */
static cpu_val positive_divisor(cpu_val b) {
    if (!cpu_is_vector(b)) return LLVMIsAConstantInt(b) && LLVMConstIntGetSExtValue(b) > 0 ? b : NULL;
    return NULL;
}
/* q is rounded towards 0 by the instruction; for -1 `divisor` divided by 1, and the quotient is the negative, which wraps for INT64_MIN. */
static cpu_val op_fdiv(cpu_emitter *e, cpu_val *a) {
    cpu_val d = divisor(e, a[1]), q = LLVMBuildSDiv(e->b, a[0], d, ""), zero = LLVMConstNull(LLVMTypeOf(q));
    cpu_val rest = LLVMBuildSub(e->b, a[0], LLVMBuildMul(e->b, q, d, ""), "");
    cpu_val odd = LLVMBuildICmp(e->b, LLVMIntNE, rest, zero, "");
    cpu_val signs = LLVMBuildICmp(e->b, LLVMIntSLT, LLVMBuildXor(e->b, rest, d, ""), zero, "");
    cpu_val less = LLVMBuildSExt(e->b, LLVMBuildAnd(e->b, odd, signs, ""), LLVMTypeOf(q), "");
    q = LLVMBuildAdd(e->b, q, less, "");
    if (positive_divisor(a[1])) return q;
    cpu_val minus = LLVMBuildICmp(e->b, LLVMIntEQ, a[1], LLVMConstAllOnes(LLVMTypeOf(q)), "");
    return LLVMBuildSelect(e->b, minus, LLVMBuildNeg(e->b, a[0], ""), q, "");
}
/* The remainder takes the sign of the divisor, as in Python. -1 counts as 1 in `divisor`, and the remainder by either is 0. */
static cpu_val op_mod(cpu_emitter *e, cpu_val *a) {
    cpu_val d = divisor(e, a[1]), r = LLVMBuildSRem(e->b, a[0], d, ""), zero = LLVMConstNull(LLVMTypeOf(r));
    cpu_val odd = LLVMBuildICmp(e->b, LLVMIntNE, r, zero, "");
    cpu_val signs = LLVMBuildICmp(e->b, LLVMIntSLT, LLVMBuildXor(e->b, r, d, ""), zero, "");
    return LLVMBuildSelect(e->b, LLVMBuildAnd(e->b, odd, signs, ""), LLVMBuildAdd(e->b, r, d, ""), r, "");
}

/* min and max of reals are NaN if either operand is: select on an ordered compare keeps the second, so the first is asked for apart. */
static cpu_val extreme(cpu_emitter *e, cpu_val *a, LLVMRealPredicate real, LLVMIntPredicate integer) {
    if (!is_real(a[0])) return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, integer, a[0], a[1], ""), a[0], a[1], "");
    cpu_val first = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, real, a[0], a[1], ""), a[0], a[1], "");
    return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealUNO, a[0], a[0], ""), a[0], first, "");
}
static cpu_val op_min(cpu_emitter *e, cpu_val *a) { return extreme(e, a, LLVMRealOLT, LLVMIntSLT); }
static cpu_val op_max(cpu_emitter *e, cpu_val *a) { return extreme(e, a, LLVMRealOGT, LLVMIntSGT); }
static cpu_val op_abs(cpu_emitter *e, cpu_val *a) {
    if (is_real(a[0])) return cpu_call(e, "llvm.fabs", LLVMTypeOf(a[0]), 1, a);
    cpu_val negative = LLVMBuildICmp(e->b, LLVMIntSLT, a[0], LLVMConstNull(LLVMTypeOf(a[0])), "");
    return LLVMBuildSelect(e->b, negative, LLVMBuildNeg(e->b, a[0], ""), a[0], "");
}

/* Ordered: false if either is NaN. Only `!=` is true then. */
static cpu_val compare(cpu_emitter *e, cpu_val *a, LLVMRealPredicate real, LLVMIntPredicate integer) {
    return is_real(a[0]) ? LLVMBuildFCmp(e->b, real, a[0], a[1], "") : LLVMBuildICmp(e->b, integer, a[0], a[1], "");
}
static cpu_val op_lt(cpu_emitter *e, cpu_val *a) { return compare(e, a, LLVMRealOLT, LLVMIntSLT); }
static cpu_val op_le(cpu_emitter *e, cpu_val *a) { return compare(e, a, LLVMRealOLE, LLVMIntSLE); }
static cpu_val op_eq(cpu_emitter *e, cpu_val *a) { return compare(e, a, LLVMRealOEQ, LLVMIntEQ); }
static cpu_val op_ne(cpu_emitter *e, cpu_val *a) { return compare(e, a, LLVMRealUNE, LLVMIntNE); }
static cpu_val op_and(cpu_emitter *e, cpu_val *a) { return LLVMBuildAnd(e->b, a[0], a[1], ""); }
static cpu_val op_or(cpu_emitter *e, cpu_val *a) { return LLVMBuildOr(e->b, a[0], a[1], ""); }
static cpu_val op_not(cpu_emitter *e, cpu_val *a) { return LLVMBuildNot(e->b, a[0], ""); }
/* cpu_apply picks before it gets here, so that a scalar condition stays one; the entry says that there are instructions for it. */
static cpu_val op_select(cpu_emitter *e, cpu_val *a) { return LLVMBuildSelect(e->b, a[0], a[1], a[2], ""); }

/* Bit b of a; a shift by more than 63 has no value, so only its low bits count. */
static cpu_val op_bit(cpu_emitter *e, cpu_val *a) {
    LLVMTypeRef t = LLVMTypeOf(a[0]);
    cpu_val each[] = {a[1], cpu_int(e, 63), cpu_int(e, 1)};
    if (cpu_is_vector(a[0]))
        for (int i = 1; i < 3; i++) each[i] = cpu_splat(e, each[i], (int32_t)LLVMGetVectorSize(t));
    cpu_val low = LLVMBuildAnd(e->b, LLVMBuildAShr(e->b, a[0], LLVMBuildAnd(e->b, each[0], each[1], ""), ""), each[2], "");
    return LLVMBuildICmp(e->b, LLVMIntNE, low, LLVMConstNull(t), "");
}

/* A shift by 64 or more has no value: its low bits count. */
static cpu_val shift_count(cpu_emitter *e, cpu_val b) {
    const int32_t lanes = cpu_is_vector(b) ? (int32_t)LLVMGetVectorSize(LLVMTypeOf(b)) : 1;
    return LLVMBuildAnd(e->b, b, cpu_splat(e, cpu_int(e, 63), lanes), "");
}
static cpu_val op_bitand(cpu_emitter *e, cpu_val *a) { return LLVMBuildAnd(e->b, a[0], a[1], ""); }
static cpu_val op_bitor(cpu_emitter *e, cpu_val *a) { return LLVMBuildOr(e->b, a[0], a[1], ""); }
static cpu_val op_shl(cpu_emitter *e, cpu_val *a) { return LLVMBuildShl(e->b, a[0], shift_count(e, a[1]), ""); }
static cpu_val op_shr(cpu_emitter *e, cpu_val *a) { return LLVMBuildAShr(e->b, a[0], shift_count(e, a[1]), ""); }

/* 63 less the zeros above the highest bit; what is below 1 counts as 1. */
static cpu_val op_topbit(cpu_emitter *e, cpu_val *a) {
    const int32_t lanes = cpu_is_vector(a[0]) ? (int32_t)LLVMGetVectorSize(LLVMTypeOf(a[0])) : 1;
    cpu_val one[] = {a[0], cpu_splat(e, cpu_int(e, 1), lanes)}, x[] = {op_max(e, one), LLVMConstInt(e->i1, 0, false)};
    LLVMTypeRef t = LLVMTypeOf(a[0]);
    const unsigned id = LLVMLookupIntrinsicID("llvm.ctlz", strlen("llvm.ctlz"));
    cpu_val fn = LLVMGetIntrinsicDeclaration(e->m, id, &t, 1);
    cpu_val zeros = LLVMBuildCall2(e->b, LLVMIntrinsicGetType(e->c, id, &t, 1), fn, x, 2, "");
    return LLVMBuildSub(e->b, cpu_splat(e, cpu_int(e, 63), lanes), zeros, "");
}

/* Of 64-bit integers: f32 rounds from 2^24 on, f64 from 2^53 on. */
static cpu_val op_float(cpu_emitter *e, cpu_val *a) { return LLVMBuildSIToFP(e->b, a[0], shaped(a[0], e->real), ""); }

/* Conversion truncates and saturates, NaN gives 0: what fptosi.sat means; it becomes inline code. */
cpu_val cpu_truncate(cpu_emitter *e, cpu_val x) {
    LLVMTypeRef types[] = {shaped(x, e->i64), LLVMTypeOf(x)};
    const unsigned id = LLVMLookupIntrinsicID("llvm.fptosi.sat", 15);
    cpu_val fn = LLVMGetIntrinsicDeclaration(e->m, id, types, 2);
    return LLVMBuildCall2(e->b, LLVMIntrinsicGetType(e->c, id, types, 2), fn, &x, 1, "");
}

/* SSE2 has no instruction that rounds: LLVM would call the C library, which a kernel must not. */
static bool rounds_in_hardware(const cpu_emitter *e) { return strcmp(e->target->cpu, "x86-64") != 0; }

typedef enum { DOWN, UP, EVEN } rounding;

/* Adding and taking away 1.5 * 2^23 (2^52) leaves the nearest whole number, ties to even, as every addition does; up and down are one
 * beside it where it lies on the other side of x. Reals so large that they have no fraction are left alone. */
static cpu_val rounded_by_hand(cpu_emitter *e, rounding how, cpu_val x) {
    const bool wide = e->real == e->f64;
    /* From here on every step is one operator of the table: right for scalars and vectors alike. */
    cpu_val magic = cpu_real(e, wide ? 0x1.8p52 : 0x1.8p23), size[] = {op_abs(e, &x), cpu_real(e, wide ? 0x1p51 : 0x1p22)};
    cpu_val sum[] = {x, magic}, near[] = {NULL, magic};
    near[0] = cpu_apply(e, IR_ADD, sum, 2);
    cpu_val whole = cpu_apply(e, IR_SUB, near, 2), less[] = {how == UP ? whole : x, how == UP ? x : whole};
    cpu_val beside[] = {whole, cpu_real(e, how == UP ? 1 : -1)};
    if (how != EVEN) whole = cpu_pick(e, cpu_apply(e, IR_LT, less, 2), cpu_apply(e, IR_ADD, beside, 2), whole);
    return cpu_pick(e, cpu_apply(e, IR_LT, size, 2), whole, x);
}

/* Rounding first and converting then: the number is whole, so the conversion loses nothing but what does not fit. */
static cpu_val to_int(cpu_emitter *e, rounding how, cpu_val x) {
    static const char *const names[] = {[DOWN] = "llvm.floor", [UP] = "llvm.ceil", [EVEN] = "llvm.roundeven"};
    return cpu_truncate(e, rounds_in_hardware(e) ? cpu_call(e, names[how], LLVMTypeOf(x), 1, &x) : rounded_by_hand(e, how, x));
}
static cpu_val op_floor(cpu_emitter *e, cpu_val *a) { return to_int(e, DOWN, a[0]); }
static cpu_val op_ceil(cpu_emitter *e, cpu_val *a) { return to_int(e, UP, a[0]); }
static cpu_val op_round(cpu_emitter *e, cpu_val *a) { return to_int(e, EVEN, a[0]); }

static cpu_val op_exp(cpu_emitter *e, cpu_val *a) { return cpu_exp(e, a[0]); }
static cpu_val op_exp2(cpu_emitter *e, cpu_val *a) { return cpu_exp2(e, a[0]); }
static cpu_val op_log(cpu_emitter *e, cpu_val *a) { return cpu_log(e, a[0]); }
static cpu_val op_log2(cpu_emitter *e, cpu_val *a) { return cpu_log2(e, a[0]); }
static cpu_val op_tanh(cpu_emitter *e, cpu_val *a) { return cpu_tanh(e, a[0]); }
static cpu_val op_erf(cpu_emitter *e, cpu_val *a) { return cpu_erf(e, a[0]); }
static cpu_val op_sqrt(cpu_emitter *e, cpu_val *a) { return cpu_call(e, "llvm.sqrt", LLVMTypeOf(a[0]), 1, a); }
static cpu_val op_sin(cpu_emitter *e, cpu_val *a) { return cpu_sin(e, a[0]); }
static cpu_val op_cos(cpu_emitter *e, cpu_val *a) { return cpu_cos(e, a[0]); }
static cpu_val op_pow(cpu_emitter *e, cpu_val *a) { return cpu_pow(e, a[0], a[1]); }

/* NULL for what legalize expands (the target's `lacks`) and for what is no operator of operands: literals, reads, lines. */
static operator *const operators[IR_N_OPS] = {
    [IR_ADD] = op_add,     [IR_SUB] = op_sub,     [IR_MUL] = op_mul,   [IR_DIV] = op_div,   [IR_FDIV] = op_fdiv, [IR_MOD] = op_mod,
    [IR_NEG] = op_neg,     [IR_MIN] = op_min,     [IR_MAX] = op_max,   [IR_ABS] = op_abs,   [IR_LT] = op_lt,     [IR_LE] = op_le,
    [IR_EQ] = op_eq,       [IR_NE] = op_ne,       [IR_AND] = op_and,   [IR_OR] = op_or,     [IR_NOT] = op_not,   [IR_SELECT] = op_select,
    [IR_FLOAT] = op_float, [IR_FLOOR] = op_floor, [IR_CEIL] = op_ceil, [IR_ROUND] = op_round, [IR_EXP] = op_exp, [IR_EXP2] = op_exp2,
    [IR_LOG] = op_log,     [IR_LOG2] = op_log2,   [IR_TANH] = op_tanh, [IR_ERF] = op_erf,   [IR_SQRT] = op_sqrt, [IR_SIN] = op_sin,
    [IR_COS] = op_cos,     [IR_BIT] = op_bit,     [IR_POW] = op_pow,     [IR_BITAND] = op_bitand, [IR_BITOR] = op_bitor,
    [IR_SHL] = op_shl,     [IR_SHR] = op_shr,     [IR_TOPBIT] = op_topbit,
};

/* The table is indexed by operator; a test asks it for every row of ops.def, on the expansion that legalize makes where there is none. */
cpu_val cpu_apply(cpu_emitter *e, ir_op op, cpu_val *a, uint32_t n) {
    if (!operators[op]) cpu_give_up(e, base_printf(e->arena, "no instructions for the operator %s (legalize should have replaced it)", ir_ops[op].name));
    if (n == 3) return cpu_pick(e, a[0], a[1], a[2]);      /* select, the only one of three */
    same_shape(e, a, n);
    return operators[op](e, a);
}

/* ---- expressions */

/* The index of the lane axis is a vector: the first lane's, plus 0, 1, 2 ... */
static cpu_val variable(cpu_emitter *e, ir_var v) {
    const int32_t axis = cpu_axis_of(e, v);
    /* Counters are known from the frame on, so what comes here is an axis; one without an index is read outside of its loop. */
    if (axis < 0 || !e->axis[axis]) cpu_give_up(e, base_printf(e->arena, "variable %s has no value here", e->u->var.at[v].name ? e->u->var.at[v].name : "?"));
    if (axis != e->lane) return e->axis[axis];
    return LLVMBuildAdd(e->b, cpu_splat(e, e->axis[axis], e->lanes), cpu_iota(e, e->i64, e->lanes), "");
}

/* exp2(a * log2 e) is exp(a), which rounds no product: of large arguments that costs many digits. 0: it is not. */
static ir_expr natural_exponent(cpu_emitter *e, ir_expr x, bool *minus) {
    ir_expr product = ir_is(e->u, x, IR_EXP2) ? ir_operand(e->u, x, 0) : 0;
    if (!product || !ir_is(e->u, product, IR_MUL)) return 0;
    for (uint32_t k = 0; k < 2; k++) {
        double c;
        if (!ir_is_real(e->u, ir_operand(e->u, product, k), &c) || (c != 1.4426950408889634 && c != -1.4426950408889634)) continue;
        /* Either sign of the constant: it goes back to the argument. */
        *minus = c < 0;
        return ir_operand(e->u, product, 1 - k);
    }
    return 0;
}

/* Is it at least some number? References are (lower clamps them), so the common exponential pays nothing for the rule below. */
static bool has_floor(cpu_emitter *e, ir_expr x) {
    double lowest;
    if (ir_is(e->u, x, IR_LET)) return e->k->lets[ir_at(e->u, x)->u.ref].kind == IR_LET_EXPR && has_floor(e, e->k->lets[ir_at(e->u, x)->u.ref].e);
    return ir_is(e->u, x, IR_MAX) && ((ir_is_real(e->u, ir_operand(e->u, x, 0), &lowest) && lowest > -(double)INFINITY) ||
                                      (ir_is_real(e->u, ir_operand(e->u, x, 1), &lowest) && lowest > -(double)INFINITY));
}

/* The exponential of a - b is 0 where both are -inf (ops.def): there b is taken for 0. */
static cpu_val difference(cpu_emitter *e, ir_expr x) {
    if (!ir_is(e->u, x, IR_SUB) || has_floor(e, ir_operand(e->u, x, 1))) return cpu_expr(e, x);
    cpu_val sides[] = {cpu_expr(e, ir_operand(e->u, x, 0)), cpu_expr(e, ir_operand(e->u, x, 1))};
    cpu_val both[2], same[] = {NULL, cpu_real(e, -INFINITY)};
    for (int k = 0; k < 2; k++) {
        same[0] = sides[k];
        both[k] = cpu_apply(e, IR_EQ, same, 2);
    }
    /* Then the difference is -inf - 0, whose exponential is 0; -inf - -inf would be NaN. */
    sides[1] = cpu_pick(e, cpu_truth(e, both[0], both[1]), cpu_real(e, 0), sides[1]);
    return cpu_apply(e, IR_SUB, sides, 2);
}

static cpu_val exponential(cpu_emitter *e, ir_expr x) {
    bool minus = false;
    const ir_expr a = natural_exponent(e, x, &minus);
    /* Not of that form: a true power of two. */
    if (!a) return cpu_exp2(e, difference(e, ir_operand(e->u, x, 0)));
    cpu_val x_e = cpu_expr(e, a);
    return cpu_exp(e, minus ? op_neg(e, &x_e) : x_e);
}

/* A vector divided by a constant: the reciprocal is one rounding more, and many times as fast. Where the vector is a product with a number, that takes it. */
static cpu_val times_reciprocal(cpu_emitter *e, ir_expr dividend, cpu_val v, double by) {
    cpu_val product[] = {v, cpu_real(e, 1 / by)};
    for (uint32_t k = 0; k < 2 && ir_is(e->u, dividend, IR_MUL); k++) {
        cpu_val scale[] = {cpu_expr(e, ir_operand(e->u, dividend, k)), product[1]}, other = cpu_expr(e, ir_operand(e->u, dividend, 1 - k));
        if (cpu_is_vector(scale[0]) || !cpu_is_vector(other)) continue;
        product[0] = other;
        product[1] = cpu_apply(e, IR_MUL, scale, 2);
        break;
    }
    return cpu_apply(e, IR_MUL, product, 2);
}
/* The exponentials look at their operand's form, so they come before operands are emitted. */
static cpu_val operation(cpu_emitter *e, ir_expr x) {
    if (ir_is(e->u, x, IR_EXP)) return cpu_exp(e, difference(e, ir_operand(e->u, x, 0)));
    if (ir_is(e->u, x, IR_EXP2)) return exponential(e, x);
    const uint32_t n = ir_n_operands(e->u, x);
    cpu_val *a = BASE_ARRAY(e->arena, n, cpu_val);
    for (uint32_t i = 0; i < n; i++) a[i] = cpu_expr(e, ir_operand(e->u, x, i));
    double by;
    if (e->u->expr.at[x].op == IR_DIV && cpu_is_vector(a[0]) && ir_is_real(e->u, ir_operand(e->u, x, 1), &by) && fabs(by) > 1e-30 && fabs(by) < 1e30)
        return times_reciprocal(e, ir_operand(e->u, x, 0), a[0], by);
    return cpu_apply(e, e->u->expr.at[x].op, a, n);
}

/* The info is copied: emitting operands may make expressions, and the table of expressions moves when it grows. */
static cpu_val fresh(cpu_emitter *e, ir_expr x) {
    const ir_expr_info info = *ir_at(e->u, x);
    switch (info.op) {
    case IR_NONE: cpu_give_up(e, "a kernel holds the poison");
    case IR_INT: return cpu_int(e, info.u.i);
    case IR_REAL: return cpu_real(e, info.u.f);
    case IR_BOOL: return LLVMConstInt(e->i1, info.u.i != 0, false);
    case IR_DIM:
        if (!e->dims[info.u.ref]) cpu_give_up(e, "a dimension is missing in the frame");
        return e->dims[info.u.ref];
    case IR_VAR: return variable(e, info.u.ref);
    case IR_LET: return cpu_let(e, info.u.ref);
    case IR_READ: return cpu_read(e, x);
    case IR_RED: cpu_give_up(e, "a reduction is left in a kernel");
    default: return operation(e, x);
    }
}

/* Every expression is emitted once per scope. This is all the common subexpression elimination there is, and it needs no pass. */
cpu_val cpu_expr(cpu_emitter *e, ir_expr x) {
    cpu_val v = cpu_known_find(e, x);
    if (v) return v;
    /* Emitting operands may grow and shrink `known`, so no pointer into it is held over this. */
    v = fresh(e, x);
    cpu_known_put(e, x, v);
    return v;
}

/* ---- reductions */

/* Of integers, max and min begin at the ends of int64: the table's identities are reals. */
cpu_val cpu_identity(cpu_emitter *e, const ir_let *l) {
    const double at = ir_reds[l->red].identity;
    if (l->sort == IR_SORT_BOOL) return LLVMConstInt(e->i1, at != 0, false);
    if (l->sort == IR_SORT_REAL) return cpu_real(e, at);
    return cpu_int(e, l->red == IR_RED_MAX ? INT64_MIN : l->red == IR_RED_MIN ? INT64_MAX : (int64_t)at);
}

static const ir_op monoid[IR_N_REDS] = {[IR_RED_SUM] = IR_ADD, [IR_RED_PROD] = IR_MUL, [IR_RED_MAX] = IR_MAX,
                                        [IR_RED_MIN] = IR_MIN, [IR_RED_ANY] = IR_OR,   [IR_RED_ALL] = IR_AND,
                                        [IR_RED_BITS] = IR_BITOR};
/* The reduction's operator of two: also how a partial result meets another. */
cpu_val cpu_combine(cpu_emitter *e, ir_red red, cpu_val a, cpu_val b) {
    cpu_val x[] = {a, b};
    return cpu_apply(e, monoid[red], x, 2);
}

/* Lanes are numbered through both vectors: those of b come after those of a. b NULL: none of it is asked for. */
static cpu_val shuffle(cpu_emitter *e, cpu_val a, cpu_val b, uint32_t n, const uint32_t *lane) {
    cpu_val mask[64];
    for (uint32_t i = 0; i < n; i++) mask[i] = LLVMConstInt(e->i32, lane[i], false);
    return LLVMBuildShuffleVector(e->b, a, b ? b : LLVMGetPoison(LLVMTypeOf(a)), LLVMConstVector(mask, n), "");
}
/* Scalars are their own part: a caller need not know the shape. */
cpu_val cpu_part(cpu_emitter *e, cpu_val v, uint32_t from, uint32_t n) {
    if (!cpu_is_vector(v)) return v;
    if (n == 1) return LLVMBuildExtractElement(e->b, v, LLVMConstInt(e->i32, from, false), "");
    uint32_t lane[64];
    for (uint32_t i = 0; i < n; i++) lane[i] = from + i;
    return shuffle(e, v, NULL, n, lane);
}

/* Two vectors whose lanes are groups of `size` partial results each, as one with groups of half the size: the halves of each group are
 * combined. b NULL: one vector, as one of half the lanes. */
static cpu_val halve(cpu_emitter *e, ir_red red, cpu_val a, cpu_val b, uint32_t size) {
    const uint32_t lanes = LLVMGetVectorSize(LLVMTypeOf(a)), n = b ? lanes : lanes / 2;
    uint32_t low[64], high[64];
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t group = i / (size / 2), at = group * size + i % (size / 2);
        low[i] = at;
        high[i] = at + size / 2;
    }
    /* x has the first halves of all groups, in order; y the second halves. */
    cpu_val x = shuffle(e, a, b, n, low), y = shuffle(e, a, b, n, high);
    return cpu_combine(e, red, x, y);
}

/* A tree whose shape depends on nothing but n and the lanes, so the order of a sum is fixed. n, rounded up to a power of two, is the lanes at most. */
cpu_val cpu_reduce_many(cpu_emitter *e, ir_red red, uint32_t n, const cpu_val *v) {
    uint32_t size = LLVMGetVectorSize(LLVMTypeOf(v[0])), left = 1;
    cpu_val part[64];
    while (left < n) left *= 2;
    for (uint32_t i = 0; i < left; i++) part[i] = v[i < n ? i : n - 1];      /* what fills up is not looked at */
    /* Pairs of vectors are merged until one is left, its lanes grouped by input; then the groups are halved until each is one lane. */
    for (; left > 1; left /= 2, size /= 2)
        for (uint32_t i = 0; i < left / 2; i++) part[i] = halve(e, red, part[2 * i], part[2 * i + 1], size);
    for (; size > 1; size /= 2) part[0] = halve(e, red, part[0], NULL, size);
    return n == 1 ? LLVMBuildExtractElement(e->b, part[0], LLVMConstInt(e->i32, 0, false), "") : part[0];
}
cpu_val cpu_reduce_lanes(cpu_emitter *e, ir_red red, char sort, cpu_val v) {
    (void)sort;
    return cpu_is_vector(v) ? cpu_reduce_many(e, red, 1, &v) : v;
}

/* Angles too large for the short way of math.c. For x = m * 2^e with a whole m below 2^53, the multiple of pi/2 nearest to x and what is left of x
 * follow from x * 2/pi modulo 4, and of 2/pi only 192 bits matter for that: those before make multiples of 4, those behind less than
 * 2^-137 (Payne and Hanek, Radian reduction for trigonometric functions, 1983).
 *
 * It is one function of the module, called for the lanes that need it, and called by a kernel only where some lane does: angles
 * below 2^20 pay a comparison. LLVM's own conversions from 128 bits would be calls of a library; these are written out. */
#include <string.h>
#include "emit.h"

/* Bits of 2/pi behind the point, 64 a word, after one word of zeros. 1344 bits are enough for the greatest double. */
static const uint64_t two_over_pi[] = {
    0x0000000000000000u, 0xa2f9836e4e441529u, 0xfc2757d1f534ddc0u, 0xdb6295993c439041u,
    0xfe5163abdebbc561u, 0xb7246e3a424dd2e0u, 0x06492eea09d1921cu, 0xfe1deb1cb129a73eu,
    0xe88235f52ebb4484u, 0xe99c7026b45f7e41u, 0x3991d639835339f4u, 0x9c845f8bbdf9283bu,
    0x1ff897ffde05980fu, 0xef2f118b5a0a6d1fu, 0x6d367ecf27cb09b7u, 0x4f463f669e5fea2du,
    0x7527bac7ebe5f17bu, 0x3d0739f78a5292eau, 0x6bfb5fb11f8d5d08u, 0x56033046fc7b6babu,
    0xf0cfbc209af4361du, 0xa9e391615ee61b08u,
};
enum { N_WORDS = sizeof two_over_pi / sizeof *two_over_pi };
#define LARGE 0x1p20
#define FUNCTION "attn_large_angle"

typedef struct { cpu_emitter *e; LLVMTypeRef i128; cpu_val table; } angle; /* table: two_over_pi in the module */

static cpu_val wide(const angle *a, cpu_val x) { return LLVMBuildZExt(a->e->b, x, a->i128, ""); }
static cpu_val low(const angle *a, cpu_val x) { return LLVMBuildTrunc(a->e->b, x, a->e->i64, ""); }
static cpu_val high(const angle *a, cpu_val x) {
    return low(a, LLVMBuildLShr(a->e->b, x, LLVMConstInt(a->i128, 64, false), ""));
}
/* 128 bits of two words; high and low take them apart again. */
static cpu_val join(const angle *a, cpu_val above, cpu_val below) {
    return LLVMBuildOr(a->e->b, LLVMBuildShl(a->e->b, wide(a, above), LLVMConstInt(a->i128, 64, false), ""), wide(a, below), "");
}
static cpu_val plus(const angle *a, cpu_val x, int64_t n) { return LLVMBuildAdd(a->e->b, x, cpu_int(a->e, n), ""); }

/* Private: the table is part of the object, and no symbol that a linker would see. */
static cpu_val table_of(cpu_emitter *e) {
    static const char name[] = "attn_two_over_pi";
    cpu_val words[N_WORDS];
    for (uint32_t k = 0; k < N_WORDS; k++) words[k] = LLVMConstInt(e->i64, two_over_pi[k], false);
    cpu_val table = LLVMAddGlobal(e->m, LLVMArrayType2(e->i64, N_WORDS), name);
    LLVMSetInitializer(table, LLVMConstArray2(e->i64, words, N_WORDS));
    LLVMSetGlobalConstant(table, true);
    LLVMSetLinkage(table, LLVMPrivateLinkage);
    return table;
}

/* 64 bits of 2/pi from bit `at` of the table on: two words, shifted together. */
static cpu_val bits_at(const angle *a, cpu_val at) {
    LLVMBuilderRef b = a->e->b;
    cpu_val word = LLVMBuildLShr(b, at, cpu_int(a->e, 6), ""), shift = LLVMBuildAnd(b, at, cpu_int(a->e, 63), "");
    cpu_val both = join(a, cpu_load(a->e, a->e->i64, cpu_at(a->e, a->table, word, a->e->i64), 1),
                        cpu_load(a->e, a->e->i64, cpu_at(a->e, a->table, plus(a, word, 1), a->e->i64), 1));
    return high(a, LLVMBuildShl(b, both, wide(a, shift), ""));
}

typedef struct { cpu_val upper, middle, lower; } words;

/* m times the 192 bits from `at` on, modulo 2^192. The first two bits count quarters of a turn. */
static words product(const angle *a, cpu_val m, cpu_val at) {
    LLVMBuilderRef b = a->e->b;
    cpu_val first = bits_at(a, at), second = bits_at(a, plus(a, at, 64)), third = bits_at(a, plus(a, at, 128));
    cpu_val p = LLVMBuildMul(b, wide(a, m), wide(a, third), "");
    words w = {.lower = low(a, p)};
    p = LLVMBuildAdd(b, LLVMBuildMul(b, wide(a, m), wide(a, second), ""), wide(a, high(a, p)), "");
    w.middle = low(a, p);
    w.upper = LLVMBuildAdd(b, LLVMBuildMul(b, m, first, ""), high(a, p), "");
    return w;
}

/* A fraction of 128 bits (read with its sign: -1/2 to 1/2) as a double, rounded once: its first 64 bits that are not 0, and the exponent. */
static cpu_val fraction(const angle *a, cpu_val f, cpu_val negative) {
    LLVMBuilderRef b = a->e->b;
    cpu_val size = LLVMBuildSelect(b, negative, LLVMBuildNeg(b, f, ""), f, "");
    size = LLVMBuildOr(b, size, LLVMConstInt(a->i128, 1, false), "");                /* never 0 for a double, but a shift by 128 has no value */
    cpu_val args[] = {size, LLVMConstInt(a->e->i1, 1, false)}, zeros = cpu_call(a->e, "llvm.ctlz", a->i128, 2, args);
    cpu_val first = LLVMBuildUIToFP(b, high(a, LLVMBuildShl(b, size, zeros, "")), a->e->f64, "");
    cpu_val exponent = LLVMBuildSub(b, cpu_int(a->e, 1023 - 64), low(a, zeros), "");
    cpu_val scale = LLVMBuildBitCast(b, LLVMBuildShl(b, exponent, cpu_int(a->e, 52), ""), a->e->f64, "");
    return LLVMBuildFMul(b, first, scale, "");
}

/* {what is left of x, quarters of a turn}. x is 2^20 at least in size; what infinities and NaN give is not used. */
static void body(const angle *a, cpu_val x) {
    LLVMBuilderRef b = a->e->b;
    cpu_val bits = LLVMBuildBitCast(b, x, a->e->i64, ""), minus = LLVMBuildICmp(b, LLVMIntSLT, bits, cpu_int(a->e, 0), "");
    cpu_val exponent = LLVMBuildAnd(b, LLVMBuildLShr(b, bits, cpu_int(a->e, 52), ""), cpu_int(a->e, 0x7ff), "");
    cpu_val m = LLVMBuildAnd(b, bits, cpu_int(a->e, (INT64_C(1) << 52) - 1), "");
    m = LLVMBuildOr(b, m, cpu_int(a->e, INT64_C(1) << 52), "");
    /* e = exponent - 1075. The first bit that matters is that of weight 2^(1 - e), number e - 2 from 0, behind 64 zeros. */
    const words w = product(a, m, plus(a, exponent, 62 - 1075));
    cpu_val f = join(a, w.upper, w.middle), two = LLVMConstInt(a->i128, 2, false);
    f = LLVMBuildOr(b, LLVMBuildShl(b, f, two, ""), wide(a, LLVMBuildLShr(b, w.lower, cpu_int(a->e, 62), "")), "");
    cpu_val half = LLVMBuildICmp(b, LLVMIntSLT, f, LLVMConstNull(a->i128), "half");
    cpu_val quarter = LLVMBuildAdd(b, LLVMBuildLShr(b, w.upper, cpu_int(a->e, 62), ""), LLVMBuildZExt(b, half, a->e->i64, ""), "");
    cpu_val r = LLVMBuildFMul(b, fraction(a, f, half), LLVMConstReal(a->e->f64, 0x1.921fb54442d18p+0), "");
    cpu_val other = LLVMBuildXor(b, half, minus, "");            /* two signs that meet are none */
    cpu_val result[] = {LLVMBuildSelect(b, other, LLVMBuildFNeg(b, r, ""), r, ""), LLVMBuildSelect(b, minus, LLVMBuildNeg(b, quarter, ""), quarter, "")};
    LLVMBuildAggregateRet(b, result, 2);
}

/* f64 to {f64, i64}: what is left, and the multiple of pi/2. */
static LLVMTypeRef function_type(cpu_emitter *e) {
    LLVMTypeRef parts[] = {e->f64, e->i64};
    return LLVMFunctionType(LLVMStructTypeInContext(e->c, parts, 2, false), &e->f64, 1, false);
}

/* Written once per module, between two instructions of the kernel at hand. */
static cpu_val function(cpu_emitter *e) {
    cpu_val fn = LLVMGetNamedFunction(e->m, FUNCTION);
    if (fn) return fn;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    fn = LLVMAddFunction(e->m, FUNCTION, function_type(e));
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    cpu_function_attributes(e, fn);
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->c, fn, "entry"));
    const angle a = {e, LLVMIntTypeInContext(e->c, 128), table_of(e)};
    body(&a, LLVMGetParam(fn, 0));
    LLVMPositionBuilderAtEnd(e->b, here);
    return fn;
}

/* ---- the lanes of a kernel that need it */

/* Below LARGE, k = 2 x / pi has 20 bits, and k times the parts of pi/2 of 33 bits each that math.c takes off is exact in 53. NaN is not large. */
static cpu_val is_large(cpu_emitter *e, cpu_val x) {
    cpu_val size = cpu_call(e, "llvm.fabs", LLVMTypeOf(x), 1, &x), limit = LLVMConstReal(e->f64, LARGE);
    return LLVMBuildFCmp(e->b, LLVMRealOGE, size, cpu_is_vector(x) ? cpu_splat(e, limit, (int32_t)LLVMGetVectorSize(LLVMTypeOf(x))) : limit, "large");
}
/* All truth bits of the vector as one integer: one comparison tells whether any is set. */
static cpu_val any_lane(cpu_emitter *e, cpu_val truth) {
    if (!cpu_is_vector(truth)) return truth;
    LLVMTypeRef bits = LLVMIntTypeInContext(e->c, LLVMGetVectorSize(LLVMTypeOf(truth)));
    return LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, truth, bits, ""), LLVMConstNull(bits), "any");
}
/* Lanes are taken one by one by number, which only memory allows; a vector's slot is an array of them. */
static cpu_val in_slot(cpu_emitter *e, cpu_val v, const char *name) {
    cpu_val slot = cpu_slot(e, LLVMTypeOf(v), name);
    LLVMBuildStore(e->b, v, slot);
    return slot;
}
/* The whole vector again, after the lanes that needed it were replaced. */
static cpu_val from_slot(cpu_emitter *e, cpu_val slot) { return LLVMBuildLoad2(e->b, LLVMGetAllocatedType(slot), slot, ""); }

/* The scalar function for this lane if it needs it; the others keep what the short way gave. */
static void one_lane(cpu_emitter *e, cpu_val lane, cpu_val x_slot, cpu_val r_slot, cpu_val k_slot) {
    cpu_val x = LLVMBuildLoad2(e->b, e->f64, cpu_at(e, x_slot, lane, e->f64), "");
    cpu_if branch = cpu_if_begin(e, is_large(e, x), "lane");
    cpu_val both = LLVMBuildCall2(e->b, function_type(e), function(e), &x, 1, "");
    LLVMBuildStore(e->b, LLVMBuildExtractValue(e->b, both, 0, ""), cpu_at(e, r_slot, lane, e->f64));
    LLVMBuildStore(e->b, LLVMBuildExtractValue(e->b, both, 1, ""), cpu_at(e, k_slot, lane, e->i64));
    cpu_if_end(e, &branch);
}
/* A phi, since the result is wanted as a value behind the branch: by the short way it is what came in. */
static cpu_val merged(cpu_emitter *e, cpu_val short_way, LLVMBasicBlockRef from, cpu_val long_way, LLVMBasicBlockRef then) {
    cpu_val phi = LLVMBuildPhi(e->b, LLVMTypeOf(short_way), "");
    LLVMAddIncoming(phi, &short_way, &from, 1);
    LLVMAddIncoming(phi, &long_way, &then, 1);
    return phi;
}

void cpu_large_angles(cpu_emitter *e, cpu_val x, cpu_val *r, cpu_val *quarter) {
    cpu_val any = any_lane(e, is_large(e, x));
    LLVMBasicBlockRef from = LLVMGetInsertBlock(e->b);
    cpu_if branch = cpu_if_begin(e, any, "large");
    cpu_val x_slot = in_slot(e, x, "x"), r_slot = in_slot(e, *r, "r"), k_slot = in_slot(e, *quarter, "quarter");
    cpu_loop lanes = cpu_loop_begin(e, cpu_int(e, 0), cpu_int(e, cpu_is_vector(x) ? (int64_t)LLVMGetVectorSize(LLVMTypeOf(x)) : 1), 1, "lanes");
    one_lane(e, lanes.index, x_slot, r_slot, k_slot);
    cpu_loop_end(e, &lanes);
    cpu_val long_r = from_slot(e, r_slot), long_quarter = from_slot(e, k_slot);
    LLVMBasicBlockRef then = LLVMGetInsertBlock(e->b);
    cpu_if_end(e, &branch);
    *r = merged(e, *r, from, long_r, then);
    *quarter = merged(e, *quarter, from, long_quarter, then);
}

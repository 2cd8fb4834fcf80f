/* Functions that no instruction computes, as polynomials over scalars and vectors alike. Each reduces its argument to a short interval,
 * evaluates a polynomial there by Horner's rule, and puts the pieces together with exponent arithmetic. Coefficients are Chebyshev fits
 * (error below 2e-9 for f32, 1e-18 for f64); the rest of the error is rounding: about 2 ulp.
 *
 * Edge cases follow IEEE 754: NaN gives NaN; exp2(-inf) = 0; log2(0) = -inf, log2 of a negative number NaN; overflow gives inf.
 * Rounding to an integer by adding 1.5 * 2^23 (2^52) leaves the integer in the low bits of the sum, which is defined for NaN too. */
#include <string.h>
#include "emit.h"

typedef struct {                 /* the floating type at hand and the integers of its size */
    cpu_emitter *e;
    LLVMTypeRef real, integer;
    bool wide;                   /* f64 */
    int mantissa, bias;          /* bits behind the point; of the exponent */
} fp;

/* All constants of a type in one place, so that each function is written once for f32 and f64, scalars and vectors. */
static fp fp_of(cpu_emitter *e, cpu_val x) {
    LLVMTypeRef t = LLVMTypeOf(x), element = cpu_is_vector(x) ? LLVMGetElementType(t) : t;
    const bool wide = LLVMGetTypeKind(element) == LLVMDoubleTypeKind;
    LLVMTypeRef i = wide ? e->i64 : e->i32;
    return (fp){e, t, cpu_is_vector(x) ? LLVMVectorType(i, LLVMGetVectorSize(t)) : i, wide, wide ? 52 : 23, wide ? 1023 : 127};
}
/* A constant for every lane, without an instruction. */
static cpu_val spread(LLVMTypeRef t, cpu_val one) {
    if (LLVMGetTypeKind(t) != LLVMVectorTypeKind) return one;
    cpu_val all[64];
    const unsigned n = LLVMGetVectorSize(t);
    for (unsigned i = 0; i < n; i++) all[i] = one;
    return LLVMConstVector(all, n);
}
static LLVMTypeRef element_type(LLVMTypeRef t) { return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? LLVMGetElementType(t) : t; }
static cpu_val real(const fp *f, double x) { return spread(f->real, LLVMConstReal(element_type(f->real), x)); }
static cpu_val integer(const fp *f, int64_t x) { return spread(f->integer, LLVMConstInt(element_type(f->integer), (unsigned long long)x, true)); }
static cpu_val add(const fp *f, cpu_val a, cpu_val b) { return LLVMBuildFAdd(f->e->b, a, b, ""); }
static cpu_val sub(const fp *f, cpu_val a, cpu_val b) { return LLVMBuildFSub(f->e->b, a, b, ""); }
static cpu_val mul(const fp *f, cpu_val a, cpu_val b) { return LLVMBuildFMul(f->e->b, a, b, ""); }
static cpu_val over(const fp *f, cpu_val a, cpu_val b) { return LLVMBuildFDiv(f->e->b, a, b, ""); }
static cpu_val fma_(const fp *f, cpu_val a, cpu_val b, cpu_val c) { return cpu_fma(f->e, a, b, c); }
static cpu_val less(const fp *f, cpu_val a, cpu_val b) { return LLVMBuildFCmp(f->e->b, LLVMRealOLT, a, b, ""); }
static cpu_val pick(const fp *f, cpu_val c, cpu_val a, cpu_val b) { return LLVMBuildSelect(f->e->b, c, a, b, ""); }
static cpu_val bits(const fp *f, cpu_val x) { return LLVMBuildBitCast(f->e->b, x, f->integer, ""); }
static cpu_val number(const fp *f, cpu_val x) { return LLVMBuildBitCast(f->e->b, x, f->real, ""); }
static cpu_val magnitude(const fp *f, cpu_val x) { return cpu_call(f->e, "llvm.fabs", f->real, 1, &x); }
static cpu_val with_sign(const fp *f, cpu_val x, cpu_val sign) {
    cpu_val a[] = {x, sign};
    return cpu_call(f->e, "llvm.copysign", f->real, 2, a);
}
/* Highest power first. */
static cpu_val poly(const fp *f, cpu_val x, int n, const double *c) {
    cpu_val p = real(f, c[0]);
    for (int i = 1; i < n; i++) p = fma_(f, p, x, real(f, c[i]));
    return p;
}
#define POLY(f, x, c) poly((f), (x), (int)(sizeof(c) / sizeof *(c)), (c))

/* The nearest integer to x as a number, and its bits added to those of the magic constant in *low. */
static cpu_val nearest(const fp *f, cpu_val x, cpu_val *low) {
    cpu_val magic = real(f, f->wide ? 0x1.8p52 : 0x1.8p23), shifted = add(f, x, magic);
    *low = LLVMBuildSub(f->e->b, bits(f, shifted), bits(f, magic), "");
    return sub(f, shifted, magic);
}

/* ---- exp2, exp */

/* p * 2^n for whole n of at most twice the range of an exponent: two factors, so that denormal results are rounded once. */
static cpu_val scale(const fp *f, cpu_val p, cpu_val n) {
    LLVMBuilderRef b = f->e->b;
    /* An exponent beyond the type's range has no bits of its own; half of it has, and the second product rounds or overflows as it must. */
    cpu_val half = LLVMBuildAShr(b, n, integer(f, 1), ""), rest = LLVMBuildSub(b, n, half, "");
    cpu_val shift = integer(f, f->mantissa), bias = integer(f, f->bias);
    cpu_val first = number(f, LLVMBuildShl(b, LLVMBuildAdd(b, half, bias, ""), shift, ""));
    cpu_val second = number(f, LLVMBuildShl(b, LLVMBuildAdd(b, rest, bias, ""), shift, ""));
    return mul(f, mul(f, p, first), second);
}
/* A vector as long as AVX-512's registers, on a target that has the instructions. */
static bool is_zmm(const fp *f, const char *feature) {
    return LLVMGetTypeKind(f->real) == LLVMVectorTypeKind && LLVMGetVectorSize(f->real) == (f->wide ? 8 : 16) && strstr(f->e->target->features, feature);
}
/* The other operands of such an instruction: all lanes; round as ever. */
static cpu_val zmm_call(const fp *f, const char *intrinsic, cpu_val a, cpu_val b, cpu_val passed) {
    cpu_val args[] = {a, b, passed, LLVMConstAllOnes(LLVMIntTypeInContext(f->e->c, f->wide ? 8 : 16)), LLVMConstInt(f->e->i32, 4, false)};
    return cpu_call(f->e, intrinsic, NULL, 5, args);
}
/* The result and its sign by `what`, as vrange has it. */
static cpu_val zmm_range(const fp *f, cpu_val a, cpu_val b, int what) {
    cpu_val args[] = {a, b, LLVMConstInt(f->e->i32, (unsigned)what, false), a, LLVMConstAllOnes(LLVMIntTypeInContext(f->e->c, f->wide ? 8 : 16)), LLVMConstInt(f->e->i32, 4, false)};
    return cpu_call(f->e, f->wide ? "llvm.x86.avx512.mask.range.pd.512" : "llvm.x86.avx512.mask.range.ps.512", NULL, 6, args);
}
/* p * 2^floor(n) in one step, rounding as it must at both ends. */
static cpu_val scalef(const fp *f, cpu_val p, cpu_val n) {
    return zmm_call(f, f->wide ? "llvm.x86.avx512.mask.scalef.pd.512" : "llvm.x86.avx512.mask.scalef.ps.512", p, n, p);
}
/* Comparisons with NaN are false, so neither bound is picked for it. */
static cpu_val clamp(const fp *f, cpu_val x, double lo, double hi) {      /* NaN stays */
    x = pick(f, less(f, x, real(f, lo)), real(f, lo), x);
    return pick(f, less(f, real(f, hi), x), real(f, hi), x);
}

/* 2^x = 2^floor(x) * 2^r. Nothing is clamped: r is 0 for an infinite x, and what is too large for an exponent becomes inf or 0 in the last step. */
static cpu_val exp2_zmm(const fp *f, cpu_val x) {
    static const double single[] = {0.00020817915043540742, 0.0012692166069140853, 0.009652195056014735, 0.05549602356402293, 0.24022720418109816, 0.6931471708649766, 1.0};
    static const double wide[] = {3.5440421858907e-11, 4.175052805899359e-10, 7.09679519777704e-09, 1.017401785226927e-07, 1.3215746344148444e-06,
                                  1.5252722792813224e-05, 0.0001540353070023987, 0.001333355814101557, 0.009618129107684748, 0.05550410866481856,
                                  0.24022650695910078, 0.6931471805599453, 1.0};
    enum { FLOOR = 9 };          /* what is left of x above the whole number below it, exactly */
    cpu_val r = zmm_call(f, f->wide ? "llvm.x86.avx512.mask.reduce.pd.512" : "llvm.x86.avx512.mask.reduce.ps.512", x, LLVMConstInt(f->e->i32, FLOOR, false), x);
    return scalef(f, f->wide ? POLY(f, r, wide) : POLY(f, r, single), x);
}
/* 2^x = 2^n * 2^r, n the nearest integer, for x between the exponents of the type. */
static cpu_val exp2_within(const fp *f, cpu_val x) {
    if (is_zmm(f, "+avx512dq")) return exp2_zmm(f, x);
    static const double single[] = {0.0001546144469856913, 0.0013400428177615838, 0.009618056678524637, 0.05550327226670302, 0.24022650922288757, 0.6931472067028326, 1.0};
    static const double wide[] = {2.5733568308756892e-11, 4.456675341049206e-10, 7.054894386348348e-09, 1.0178051192960649e-07, 1.3215486815999978e-06,
                                  1.5252733856293466e-05, 0.00015403530393362755, 0.0013333558146390353, 0.009618129107628484, 0.0555041086648217,
                                  0.24022650695910072, 0.6931471805599453, 1.0};
    cpu_val low, n = nearest(f, x, &low), r = sub(f, x, n), p = f->wide ? POLY(f, r, wide) : POLY(f, r, single);
    return scale(f, p, low);
}
/* The clamp keeps n within what `scale` takes, and its ends already give 0 and inf. */
cpu_val cpu_exp2(cpu_emitter *e, cpu_val x) {
    const fp f = fp_of(e, x);
    return is_zmm(&f, "+avx512dq") ? exp2_zmm(&f, x) : exp2_within(&f, f.wide ? clamp(&f, x, -1080, 1025) : clamp(&f, x, -152, 129));
}

/* e^x = 2^n * e^r with r = x - n ln 2, ln 2 in two parts. */
cpu_val cpu_exp(cpu_emitter *e, cpu_val x) {
    static const double single[] = {0.0013941108433972674, 0.008375126398153335, 0.04166635289677516, 0.16666415514653277, 0.5000000047117757, 1.000000037716214, 1.0};
    static const double wide[] = {2.09215799649503e-09, 2.5114869528657765e-08, 2.7557251904174915e-07, 2.7557224958392624e-06, 2.4801587350110797e-05,
                                  0.000198412699092171, 0.001388888888887189, 0.008333333333309528, 0.04166666666666669, 0.16666666666666702, 0.5, 1.0, 1.0};
    const fp f = fp_of(e, x);
    cpu_val low;
    x = f.wide ? clamp(&f, x, -748, 710) : clamp(&f, x, -105, 89.5);
    cpu_val n = nearest(&f, mul(&f, x, real(&f, 1.4426950408889634)), &low);
    cpu_val r = fma_(&f, n, real(&f, f.wide ? -0x1.62e42feep-1 : -0x1.62e400p-1), x);
    r = fma_(&f, n, real(&f, f.wide ? -0x1.a39ef35793c76p-33 : -0x1.7f7d1cp-20), r);
    cpu_val p = f.wide ? POLY(&f, r, wide) : POLY(&f, r, single);
    return is_zmm(&f, "+avx512f") ? scalef(&f, p, n) : scale(&f, p, low);
}

/* ---- log2, log: x = m * 2^n with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh((m - 1) / (m + 1)) */

typedef struct { cpu_val n, log_m; } log_parts;
/* Subnormal numbers are scaled up first. Subtracting the bits of sqrt(1/2) puts the borrow where the exponent changes at sqrt(2), not at 2: so m is
 * near 1 on both sides, and log m near 0 loses nothing. */
static log_parts log_split(const fp *f, cpu_val x) {
    static const double single[] = {2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3, 2.0};
    static const double wide[] = {2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3, 2.0};
    LLVMBuilderRef b = f->e->b;
    cpu_val small = less(f, x, real(f, f->wide ? 0x1p-1022 : 0x1p-126));
    x = pick(f, small, mul(f, x, real(f, f->wide ? 0x1p54 : 0x1p25)), x);
    cpu_val root = bits(f, real(f, 0.70710678118654752)), i = bits(f, x);
    cpu_val n = LLVMBuildAShr(b, LLVMBuildSub(b, i, root, ""), integer(f, f->mantissa), "");
    cpu_val m = number(f, LLVMBuildSub(b, i, LLVMBuildShl(b, n, integer(f, f->mantissa), ""), ""));
    cpu_val s = over(f, sub(f, m, real(f, 1)), add(f, m, real(f, 1))), z = mul(f, s, s);
    cpu_val p = f->wide ? POLY(f, z, wide) : POLY(f, z, single);
    cpu_val count = LLVMBuildSIToFP(b, n, f->real, "");
    count = sub(f, count, pick(f, small, real(f, f->wide ? 54 : 25), real(f, 0)));
    return (log_parts){count, mul(f, s, p)};
}
/* Selected last, over whatever the bits above gave. */
static cpu_val log_edges(const fp *f, cpu_val x, cpu_val y) {
    cpu_val inf = real(f, INFINITY), zero = real(f, 0);
    y = pick(f, LLVMBuildFCmp(f->e->b, LLVMRealOEQ, x, inf, ""), inf, y);
    y = pick(f, LLVMBuildFCmp(f->e->b, LLVMRealOEQ, x, zero, ""), real(f, -INFINITY), y);
    return pick(f, LLVMBuildFCmp(f->e->b, LLVMRealUGE, x, zero, ""), pick(f, LLVMBuildFCmp(f->e->b, LLVMRealUNO, x, x, ""), x, y), real(f, NAN));
}
/* n is a whole number of binary digits already, so only log m is scaled. */
cpu_val cpu_log2(cpu_emitter *e, cpu_val x) {
    const fp f = fp_of(e, x);
    const log_parts p = log_split(&f, x);
    return log_edges(&f, x, fma_(&f, p.log_m, real(&f, 1.4426950408889634), p.n));
}
/* The low part of ln 2 times n is added to log m first: a sum of small numbers loses less. */
cpu_val cpu_log(cpu_emitter *e, cpu_val x) {
    const fp f = fp_of(e, x);
    const log_parts p = log_split(&f, x);
    cpu_val low = fma_(&f, p.n, real(&f, f.wide ? 0x1.a39ef35793c76p-33 : 0x1.7f7d1cp-20), p.log_m);
    return log_edges(&f, x, fma_(&f, p.n, real(&f, f.wide ? 0x1.62e42feep-1 : 0x1.62e400p-1), low));
}

/* ---- tanh: an odd polynomial below 0.575 (f64: rational, Cephes, below 0.625), else 1 - 2 / (e^2|x| + 1) */

/* x + x z P(z) with z = x^2: the leading x is exact, so small results keep all their digits. */
static cpu_val tanh_small(const fp *f, cpu_val x) {
    static const double single[] = {0.016027105879528592, -0.05245293845737344, 0.13317269890081332, -0.3333279560483665};
    static const double above[] = {-9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3};
    static const double below[] = {1, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3};
    cpu_val z = mul(f, x, x);
    cpu_val p = f->wide ? over(f, POLY(f, z, above), POLY(f, z, below)) : POLY(f, z, single);
    return fma_(f, mul(f, p, z), x, x);
}
/* 1 - 2 / x for x from 1 to 2^30. AVX-512 guesses 14 bits of 1 / x, which one step of Newton's doubles; a division takes as long as all the rest. */
static cpu_val one_less_two_over(const fp *f, cpu_val x) {
    if (f->wide || !is_zmm(f, "+avx512f")) return sub(f, real(f, 1), over(f, real(f, 2), x));
    cpu_val args[] = {x, LLVMConstNull(f->real), LLVMConstAllOnes(LLVMIntTypeInContext(f->e->c, 16))};
    cpu_val r = cpu_call(f->e, "llvm.x86.avx512.rcp14.ps.512", NULL, 3, args);
    cpu_val twice = LLVMBuildFNeg(f->e->b, add(f, r, r), "");
    return fma_(f, twice, fma_(f, LLVMBuildFNeg(f->e->b, x, ""), r, real(f, 2)), real(f, 1));
}
/* The lesser of |x| and 10; of a NaN 10. */
static cpu_val at_most_ten(const fp *f, cpu_val x) {
    enum { LESSER_MAGNITUDE = 10 };
    if (is_zmm(f, "+avx512dq")) return zmm_range(f, x, real(f, 10), LESSER_MAGNITUDE);
    cpu_val a = magnitude(f, x);
    return pick(f, less(f, a, real(f, 10)), a, real(f, 10));
}
/* f32: at 10 tanh is 1 already. f64: far out exp overflows to inf and 2 / inf is 0, so the limit needs no case. A NaN is not above: it
 * takes the polynomial, which hands it on. */
cpu_val cpu_tanh(cpu_emitter *e, cpu_val x) {
    const fp f = fp_of(e, x);
    cpu_val large = f.wide ? cpu_exp(e, mul(&f, magnitude(&f, x), real(&f, 2))) : exp2_within(&f, mul(&f, at_most_ten(&f, x), real(&f, 2.8853900817779268)));
    cpu_val above = LLVMBuildFCmp(e->b, LLVMRealOGT, mul(&f, x, x), real(&f, f.wide ? 0.390625 : 0.330625), "");
    large = one_less_two_over(&f, add(&f, large, real(&f, 1)));
    return pick(&f, above, with_sign(&f, large, x), tanh_small(&f, x));
}

/* ---- erf. f32: N. Juffa's two polynomials, the second in the exponent. f64: x P(x^2) up to 1, then 1 - e^(-x^2) Q((x - 2) / (x + 2)) */

/* Beyond 5 the result is 1 in f32. */
static cpu_val erf_single(const fp *f, cpu_val x) {
    static const double small[] = {-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1};
    cpu_val s = mul(f, x, x), near_zero = fma_(f, POLY(f, s, small), x, x);
    cpu_val t = clamp(f, magnitude(f, x), 0, 5);
    cpu_val u = fma_(f, real(f, -3.88396438e-3), t, real(f, 2.42546219e-2)), r = fma_(f, real(f, -1.72853470e-5), t, real(f, 3.83197126e-4));
    r = fma_(f, r, mul(f, t, t), u);
    r = fma_(f, r, t, real(f, -1.06777877e-1));
    r = fma_(f, r, t, real(f, -6.34846687e-1));
    r = fma_(f, r, t, real(f, -1.28717512e-1));
    r = fma_(f, r, t, LLVMBuildFNeg(f->e->b, t, ""));
    cpu_val far = with_sign(f, sub(f, real(f, 1), cpu_exp(f->e, r)), x);
    return pick(f, less(f, real(f, 0.927734375), magnitude(f, x)), far, near_zero);
}
static cpu_val erf_wide(const fp *f, cpu_val x) {
    static const double small[] = {-4.230945824295338e-12, 8.709045129053106e-11, -1.216456005728345e-09, 1.4792401209404813e-08, -1.6364642158167616e-07,
                                   1.6462045441468418e-06, -1.4925647567519332e-05, 0.00012055332902888736, -0.000854832702193483, 0.0052239776254232985,
                                   -0.02686617064512984, 0.1128379167095512, -0.37612638903183754, 1.1283791670955126};
    static const double tail[] = {-3.899822498888115e-07, -5.713572544097184e-07, 1.1778362345895344e-06, 3.805860826715494e-06, 1.389036756788557e-06,
                                  -1.3970947708508619e-05, -2.7579005204132974e-05, 2.7525740791091384e-05, 0.0001743610764458635, 4.355558879867121e-05,
                                  -0.0009819770218503893, -0.0008471432505243667, 0.006997461739074414, 0.00373289240432143, -0.07897858101573066,
                                  0.2416581942424665, -0.4271858474139584, 0.25539567631050575};
    cpu_val a = clamp(f, magnitude(f, x), 0, 6.25), two = real(f, 2), square = mul(f, x, x);
    cpu_val q = POLY(f, over(f, sub(f, a, two), add(f, a, two)), tail);
    cpu_val far = with_sign(f, sub(f, real(f, 1), mul(f, q, cpu_exp(f->e, LLVMBuildFNeg(f->e->b, mul(f, a, a), "")))), x);
    return pick(f, less(f, real(f, 1), magnitude(f, x)), far, mul(f, x, POLY(f, square, small)));
}
cpu_val cpu_erf(cpu_emitter *e, cpu_val x) {
    const fp f = fp_of(e, x);
    cpu_val y = f.wide ? erf_wide(&f, x) : erf_single(&f, x);
    return pick(&f, LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, ""), x, y);
}

/* ---- sin, cos, both types in f64: x = k pi/2 + r with pi/2 in three parts, of which the first two have 33 bits, so that k times them is exact
 * without fused instructions too; a polynomial on [-pi/4, pi/4] chosen by k mod 2, the sign by k mod 4. From 2^20 on, wave.c finds k and r. */

/* phase 0: sine, 1: cosine, which is the sine a quarter ahead. */
static cpu_val quarter_wave(const fp *f, cpu_val x, int64_t phase) {
    static const double sine[] = {-7.6471637318198165e-13, 1.6059043836821613e-10, -2.5052108385441720e-08,
                                  2.7557319223985893e-06, -1.9841269841269841e-04, 8.3333333333333332e-03, -1.6666666666666666e-01};
    static const double cosine[] = {4.7794773323873853e-14, -1.1470745597729725e-11, 2.0876756987868100e-09, -2.7557319223985888e-07,
                                    2.4801587301587302e-05, -1.3888888888888889e-03, 4.1666666666666664e-02, -0.5, 1.0};
    LLVMBuilderRef b = f->e->b;
    cpu_val low, k = nearest(f, mul(f, x, real(f, 0.63661977236758134)), &low);
    cpu_val r = fma_(f, k, real(f, -0x1.921fb544p+0), x);
    r = fma_(f, k, real(f, -0x1.0b4611a6p-34), r);
    r = fma_(f, k, real(f, -0x1.3198a2e037073p-69), r);
    cpu_large_angles(f->e, x, &r, &low);
    cpu_val z = mul(f, r, r), s = fma_(f, mul(f, POLY(f, z, sine), z), r, r), c = POLY(f, z, cosine);
    /* Only the two low bits count: adding the phase may wrap above them. */
    cpu_val quarter = LLVMBuildAdd(b, low, integer(f, phase), "");
    cpu_val odd = LLVMBuildICmp(b, LLVMIntNE, LLVMBuildAnd(b, quarter, integer(f, 1), ""), integer(f, 0), "");
    cpu_val minus = LLVMBuildICmp(b, LLVMIntNE, LLVMBuildAnd(b, quarter, integer(f, 2), ""), integer(f, 0), "");
    cpu_val y = pick(f, odd, c, s);
    y = pick(f, minus, LLVMBuildFNeg(b, y, ""), y);
    /* Infinities and NaN: whatever the reduction made of them, the answer is NaN. */
    return pick(f, less(f, magnitude(f, x), real(f, INFINITY)), y, real(f, NAN));
}
/* Both types in f64: x for the work, and back. */
static cpu_val widened(cpu_emitter *e, cpu_val x) {
    LLVMTypeRef wide = cpu_is_vector(x) ? LLVMVectorType(e->f64, LLVMGetVectorSize(LLVMTypeOf(x))) : e->f64;
    return fp_of(e, x).wide ? x : LLVMBuildFPExt(e->b, x, wide, "");
}
static cpu_val narrowed(cpu_emitter *e, cpu_val y, LLVMTypeRef type) { return LLVMTypeOf(y) == type ? y : LLVMBuildFPTrunc(e->b, y, type, ""); }

static cpu_val wave(cpu_emitter *e, cpu_val x, int64_t phase) {
    cpu_val w = widened(e, x);
    const fp f = fp_of(e, w);
    return narrowed(e, quarter_wave(&f, w, phase), LLVMTypeOf(x));
}
cpu_val cpu_sin(cpu_emitter *e, cpu_val x) { return wave(e, x, 0); }
cpu_val cpu_cos(cpu_emitter *e, cpu_val x) { return wave(e, x, 1); }

/* ---- a^b = 2^(b log2 |a|), in f64. What that misses: b = 0 and |a| = 1 give 1 whatever the other is; a negative base has a power where the
 * exponent is whole, negative where it is odd. From 2^53 on every number is whole and even. */

typedef struct { cpu_val whole, odd; } parity;
/* A whole number below 2^53 survives the way to an integer and back; the integer's low bit tells odd from even. */
static parity parity_of(const fp *f, cpu_val b) {
    cpu_val args[] = {b}, i = cpu_truncate(f->e, args[0]), back = LLVMBuildSIToFP(f->e->b, i, f->real, "");
    cpu_val small = less(f, magnitude(f, b), real(f, 0x1p53)), same = LLVMBuildFCmp(f->e->b, LLVMRealOEQ, back, b, "");
    cpu_val one = LLVMBuildICmp(f->e->b, LLVMIntNE, LLVMBuildAnd(f->e->b, i, integer(f, 1), ""), integer(f, 0), "");
    return (parity){LLVMBuildOr(f->e->b, LLVMBuildNot(f->e->b, small, ""), same, ""), LLVMBuildAnd(f->e->b, small, LLVMBuildAnd(f->e->b, same, one, ""), "")};
}
static cpu_val is_value(const fp *f, cpu_val x, double value) { return LLVMBuildFCmp(f->e->b, LLVMRealOEQ, x, real(f, value), ""); }

static cpu_val power(const fp *f, cpu_val a, cpu_val b) {
    LLVMBuilderRef build = f->e->b;
    cpu_val size = magnitude(f, a), y = cpu_exp2(f->e, mul(f, b, cpu_log2(f->e, size)));
    const parity p = parity_of(f, b);
    /* The sign is read from the bits: -0.0 to an odd power keeps it. */
    cpu_val negative = LLVMBuildICmp(build, LLVMIntSLT, bits(f, a), integer(f, 0), ""), finite = less(f, real(f, -INFINITY), a);
    y = pick(f, LLVMBuildAnd(build, negative, p.odd, ""), LLVMBuildFNeg(build, y, ""), y);
    /* A negative base with a fraction in the exponent; -inf is no such case, its powers are those of its size. */
    cpu_val none = LLVMBuildAnd(build, LLVMBuildAnd(build, less(f, a, real(f, 0)), finite, ""), LLVMBuildNot(build, p.whole, ""), "");
    y = pick(f, none, real(f, NAN), y);
    cpu_val sure = LLVMBuildAnd(build, is_value(f, a, -1), is_value(f, magnitude(f, b), INFINITY), "");
    sure = LLVMBuildOr(build, sure, LLVMBuildOr(build, is_value(f, a, 1), is_value(f, b, 0), ""), "");
    return pick(f, sure, real(f, 1), y);
}
/* Both types in f64: b log2 |a| may be over 100, and its absolute error is the relative error of the power. */
cpu_val cpu_pow(cpu_emitter *e, cpu_val a, cpu_val b) {
    cpu_val wide = widened(e, a);
    const fp f = fp_of(e, wide);
    return narrowed(e, power(&f, wide, widened(e, b)), LLVMTypeOf(a));
}

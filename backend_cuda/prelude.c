/* What stands before the kernels of every text: types, the primitives of a thread and of a warp, one function per operator.
 *
 * Primitives have two bodies. These are the device's; a test that runs the text on the host defines ATTN_EMULATED and brings its own
 * (tests/backend_cuda/fake/emulator.hpp). Everything below the primitives is plain C++ and the same in both.
 */
#include "writer.h"

/* One string per line of the text. Operators are found by name from cuda_ops.def, reductions by the names that ir_reds has: red_sum, warp_sum. */
static const char *const lines[] = {
    "typedef long long i64;",
    "typedef unsigned char u8;",
    "",
    "#ifndef ATTN_EMULATED  // ---- primitives",
    "#pragma nv_diag_suppress 177  // functions that these kernels do not call",
    "#define FN static __device__ __forceinline__",
    "#define KERNEL(name, args) extern \"C\" __global__ void __launch_bounds__(BLOCK, 1) name(const args arg)",
    /* Threads are numbered through the whole grid; loops take its size as their stride. */
    "FN i64 thread_index() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }",
    "FN i64 thread_count() { return (i64)gridDim.x * blockDim.x; }",
    "FN int thread_lane() { return threadIdx.x % WARP; }",
    /* All 32 lanes come to every shuffle: the mask is full, and rows.c sees to it. */
    "template <class T> FN T warp_xor(T x, int lane) { return __shfl_xor_sync(0xffffffffu, x, lane); }",
    "template <class T> FN T warp_get(T x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }",
    /* The device's shuffles know no bool. */
    "template <> __device__ __forceinline__ bool warp_xor<bool>(bool x, int lane) { return __shfl_xor_sync(0xffffffffu, (int)x, lane) != 0; }",
    "FN unsigned warp_ballot(bool x) { return __ballot_sync(0xffffffffu, x); }",
    "FN void warp_sync() { __syncwarp(); }",
    /* Functions, so that the emulator can look at each access before it happens. */
    "template <class T> FN T load(const T *p, i64 at) { return p[at]; }",
    "template <class T> FN void store(T *p, i64 at, T x) { p[at] = x; }",
    "FN float inf_f32() { return __int_as_float(0x7f800000); }",
    "FN double inf_f64() { return __longlong_as_double(0x7ff0000000000000LL); }",
    "#endif",
    "",
    "// ---- integers and addresses",
    "FN i64 count(i64 extent) { return extent > 0 ? extent : 0; }",
    /* An empty axis gives 0: each buffer has room for one element. */
    "FN i64 clamp(i64 at, i64 n) { return at < 0 || n <= 0 ? 0 : at < n ? at : n - 1; }",
    "FN bool within(i64 at, i64 n) { return at >= 0 && at < n; }",
    "FN i64 digit(i64 &rest, i64 n) {  // takes the last digit of a mixed radix number off",
    /* Neither number has a bit from 31 on: the division is done in 32 bits, since one of 64 is a long sequence of instructions on a GPU. */
    "    i64 q = (rest | n) >> 31 == 0 ? (i64)((unsigned)rest / (unsigned)n) : rest / n, r = rest - q * n;",
    "    rest = q;",
    "    return r;",
    "}",
    "typedef unsigned long long u64;  // wraps where i64 has no meaning",
    "FN i64 wrap_add(i64 a, i64 b) { return (i64)((u64)a + (u64)b); }",
    "FN i64 wrap_sub(i64 a, i64 b) { return (i64)((u64)a - (u64)b); }",
    "FN i64 wrap_mul(i64 a, i64 b) { return (i64)((u64)a * (u64)b); }",
    "FN i64 op_floor_div(i64 a, i64 b) {  // 0 where b is 0: such a value is never wanted",
    "    if (b == 0) return 0;",
    "    if (b == -1) return wrap_sub(0, a);",
    "    i64 q = a / b;",
    "    return q - (a - q * b != 0 && (a < 0) != (b < 0));",
    "}",
    /* -1 divides everything, and INT64_MIN / -1 has no value in C++. */
    "FN i64 op_floor_mod(i64 a, i64 b) { return b == 0 || b == -1 ? 0 : a - op_floor_div(a, b) * b; }",
    "FN bool op_bit(i64 a, i64 b) { return (a >> (b & 63) & 1) != 0; }",
    "FN i64 op_shl(i64 a, i64 b) { return (i64)((u64)a << (b & 63)); }",
    "FN i64 op_topbit(i64 a) { i64 n = 0; for (int k = 32; k; k >>= 1) if (a >> k > 0) { a >>= k; n += k; } return n; }",
    "FN i64 op_abs(i64 a) { return a < 0 ? wrap_sub(0, a) : a; }",
    "FN i64 op_min(i64 a, i64 b) { return a < b ? a : b; }",
    "FN i64 op_max(i64 a, i64 b) { return a > b ? a : b; }",
    "FN int saturate_i32(i64 a) { return a > 2147483647LL ? 2147483647 : a < -2147483647LL - 1 ? -2147483647 - 1 : (int)a; }",
    "",
    "// ---- reals; min and max are NaN if either operand is",
    /* A first operand that is NaN is asked for; a second fails the comparison, and is what is returned then. */
    "FN float op_min(float a, float b) { return a <= b || a != a ? a : b; }",
    "FN float op_max(float a, float b) { return a >= b || a != a ? a : b; }",
    "FN double op_min(double a, double b) { return a <= b || a != a ? a : b; }",
    "FN double op_max(double a, double b) { return a >= b || a != a ? a : b; }",
    /* From f32 too by way of double, which holds each float exactly. */
    "FN i64 to_int(double a) {  // a is whole; NaN gives 0, what does not fit the nearest that does",
    "    if (a != a) return 0;",
    "    return a >= 9223372036854775808.0 ? 9223372036854775807LL : a < -9223372036854775808.0 ? -9223372036854775807LL - 1 : (i64)a;",
    "}",
    "FN i64 op_floor(double a) { return to_int(floor(a)); }",
    "FN i64 op_ceil(double a) { return to_int(ceil(a)); }",
    "FN i64 op_round(double a) { return to_int(rint(a)); }",
    "FN i64 op_floor(float a) { return to_int((double)floorf(a)); }",
    "FN i64 op_ceil(float a) { return to_int((double)ceilf(a)); }",
    "FN i64 op_round(float a) { return to_int((double)rintf(a)); }",
    "#define REAL(T, S) \\",
    "    FN T op_abs(T a) { return fabs##S(a); } \\",
    "    FN T op_pow(T a, T b) { return pow##S(a, b); } \\",
    "    FN T op_exp(T a) { return exp##S(a); } \\",
    "    FN T op_exp2(T a) { return exp2##S(a); } \\",
    /* Both sides are -inf: their difference is NaN, but its exponential counts as 0. a - a is NaN for an infinity,
       and so not 0. */
    "    FN bool nothing(T a, T b) { return a == b && a < (T)0 && a - a != (T)0; } \\",
    "    FN T exp_apart(T a, T b) { return nothing(a, b) ? (T)0 : exp##S(a - b); } \\",
    "    FN T exp2_apart(T a, T b) { return nothing(a, b) ? (T)0 : exp2##S(a - b); } \\",
    "    FN T op_log(T a) { return log##S(a); } \\",
    "    FN T op_log2(T a) { return log2##S(a); } \\",
    "    FN T op_tanh(T a) { return tanh##S(a); } \\",
    "    FN T op_sigmoid(T a) { return (T)1 / ((T)1 + exp##S(-a)); } \\",
    "    FN T op_erf(T a) { return erf##S(a); } \\",
    "    FN T op_gelu(T a) { return (T)0.5 * a * ((T)1 + erf##S(a * (T)0.70710678118654752)); } \\",
    "    FN T op_silu(T a) { return a / ((T)1 + exp##S(-a)); } \\",
    "    FN T op_relu(T a) { return op_max(a, (T)0); } \\",
    "    FN T op_sqrt(T a) { return sqrt##S(a); } \\",
    "    FN T op_rsqrt(T a) { return (T)1 / sqrt##S(a); } \\",
    "    FN T op_sin(T a) { return sin##S(a); } \\",
    "    FN T op_cos(T a) { return cos##S(a); }",
    "REAL(float, f)",
    "REAL(double, )",
    "",
    "// ---- reductions, and the same over the lanes of a warp",
    "template <class T> FN T red_sum(T a, T b) { return a + b; }",
    "template <class T> FN T red_prod(T a, T b) { return a * b; }",
    /* Sums of integers wrap, as their operators do; overloads win over the templates above. */
    "FN i64 red_sum(i64 a, i64 b) { return wrap_add(a, b); }",
    "FN i64 red_prod(i64 a, i64 b) { return wrap_mul(a, b); }",
    "template <class T> FN T red_max(T a, T b) { return op_max(a, b); }",
    "template <class T> FN T red_min(T a, T b) { return op_min(a, b); }",
    "FN bool red_any(bool a, bool b) { return a || b; }",
    "FN bool red_all(bool a, bool b) { return a && b; }",
    "FN i64 red_bits(i64 a, i64 b) { return a | b; }",
    /* Halving distances: after five rounds each lane has the result of all 32. */
    "#define WARP_RED(name) template <class T> FN T warp_##name(T x) { for (int d = WARP / 2; d > 0; d /= 2) x = red_##name(x, warp_xor(x, d)); return x; }",
    "WARP_RED(sum)",
    "WARP_RED(prod)",
    "WARP_RED(max)",
    "WARP_RED(min)",
    "WARP_RED(any)",
    "WARP_RED(all)",
    "WARP_RED(bits)",
    /* 2^(old - new) for what is kept relative to a reference; 1 where it stays, at -inf too, whose difference with itself is NaN. */
    "template <class T> FN T rescale(T old_ref, T ref) { return old_ref == ref ? (T)1 : op_exp2(old_ref - ref); }",
};

/* The numbers that C and the text share are printed from C, so that they cannot differ. */
void cuda_prelude(base_text *out) {
    base_text_add(out, "enum { BLOCK = %d, WARP = 32, SLOTS = 8 };  // threads of a block; lanes of a warp; values that a lane keeps\n", CUDA_BLOCK);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) base_text_add(out, "%s\n", lines[i]);
}

/* How exact the functions are that the CPU backend computes itself: against libm in long double, over all exponents, subnormal numbers, both
 * zeros, infinities and NaN. An ulp is the distance of neighbours of the type at the true value. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include "native.h"
#include "run.h"
#include <cmocka.h>

typedef struct { ir_op op; double single, wide; } bound;
static const bound bounds[] = {
    {IR_EXP, 1.5, 1.5}, {IR_EXP2, 1.5, 1.5}, {IR_LOG, 3, 3},  {IR_LOG2, 3, 3},    {IR_TANH, 1.5, 1.5},   {IR_SIGMOID, 3, 3}, {IR_ERF, 1.5, 1.5}, {IR_GELU, 2, 2},
    {IR_SILU, 3, 3},    {IR_RELU, 0, 0},     {IR_SQRT, 0.5, 0.5}, {IR_RSQRT, 1.5, 1.5}, {IR_SIN, 1, 3}, {IR_COS, 1, 3},    {IR_POW, 1, 1500},
};
enum { N_BOUNDS = sizeof bounds / sizeof *bounds, N = 20011 };

static long double meaning(ir_op op, long double x, long double y) {
    switch (op) {
    case IR_EXP: return expl(x);
    case IR_EXP2: return exp2l(x);
    case IR_LOG: return logl(x);
    case IR_LOG2: return log2l(x);
    case IR_TANH: return tanhl(x);
    case IR_SIGMOID: return 1 / (1 + expl(-x));
    case IR_ERF: return erfl(x);
    case IR_GELU: return 0.5L * x * erfcl(-x * 0.707106781186547524400844362104849039L);
    case IR_SILU: return x / (1 + expl(-x));
    case IR_RELU: return isnan(x) ? x : fmaxl(x, 0);
    case IR_SQRT: return sqrtl(x);
    case IR_RSQRT: return 1 / sqrtl(x);
    case IR_SIN: return sinl(x);
    case IR_COS: return cosl(x);
    default: return powl(x, y);
    }
}

/* ---- arguments: bit patterns evenly spread, so that all exponents come equally often; between them what lies near 1, and edges */

static double pattern(uint8_t type, uint64_t bits) {
    if (type == IR_TYPE_F64) {
        double x;
        memcpy(&x, &bits, sizeof x);
        return x;
    }
    float x;
    const uint32_t upper = (uint32_t)(bits >> 32);
    memcpy(&x, &upper, sizeof x);
    return (double)x;
}
static double argument(uint8_t type, int64_t i) {
    static const double edges[] = {0.0, -0.0, INFINITY, -INFINITY, NAN, 1, -1, 0x1p-149, -0x1p-149, 0x1p-1074, 0x1p-126, 0x1p-1022, 0x1.fffffep127, 0x1.fffffffffffffp1023,
                                   0x1p20, -0x1p20, 1048575.9, 0x1.921fb54442d18p0, 0x1.921fb54442d18p20, 6381956970095103.0 * 0x1p797, 3.0, 2.0, 0.5, -2.0, -3.0, 0x1p53, 88.8, 709.8};
    const int64_t n_edges = sizeof edges / sizeof *edges;
    if (i < n_edges) return edges[i];
    if (i % 3 == 0) return cpu_noise(i) * 12;
    return pattern(type, (uint64_t)i * (UINT64_MAX / N) + 0x9e3779b97f4a7c15u % 1000003 * (uint64_t)i);
}
static uint8_t argument_type;
static double first(int64_t i) { return argument(argument_type, i); }
static double second(int64_t i) { return i % 4 == 0 ? (double)(i / 4 % 9 - 4) : i % 4 == 1 ? argument(argument_type, i * 31 % 29) : cpu_noise(i + 5) * 4; }

/* The formulas of ops.def have their limits, in the evaluator too. 0.5*x*(1 + erf(..)) cancels where x is negative: its ulp are those of x.
 * 1/(1 + exp(-x)) is 0 where the exponential overflows, though the true value is a number below the least normal one. */
static long double grain(ir_op op, long double x, long double meant) { return op == IR_GELU && fabsl(x) > fabsl(meant) ? x : meant; }
static bool vanishes(ir_op op, double found, long double x, long double meant, uint8_t type) {
    return (op == IR_SIGMOID || op == IR_SILU) && found == 0 && fabsl(meant) < ldexpl(fmaxl(1, fabsl(x)), type == IR_TYPE_F64 ? -1022 : -126);
}

/* ---- distance in ulp; NaN, infinities and zeros have to be themselves */

static double distance(double found, long double meant, long double of, uint8_t type) {
    const double most = type == IR_TYPE_F64 ? 0x1.fffffffffffffp1023 : 0x1.fffffep127;
    if (isnan(found) || isnan(meant)) return isnan(found) && isnan(meant) ? 0 : INFINITY;
    if (isinf(meant)) return found == (double)meant ? 0 : INFINITY;
    if (isinf(found)) return fabsl(meant) > (long double)most * (1 - 0x1p-16L) && !signbit(found) == !signbit(meant) ? 0 : INFINITY;
    int exponent;
    frexpl(of, &exponent);
    const int digits = type == IR_TYPE_F64 ? 53 : 24, least = type == IR_TYPE_F64 ? -1021 : -125;
    return (double)(fabsl((long double)found - meant) / ldexpl(1, (of == 0 || exponent < least ? least : exponent) - digits));
}

typedef struct { cpu_run *r; ir_value x, y, result; } trial;

static trial run(const bound *b, uint8_t type, const char *arch) {
    trial t = {.r = cpu_run_create(arch)};
    const ir_dim d = ir_dim_new(t.r->u, "N");
    const ir_expr n = ir_dim_expr(t.r->u, d);
    cpu_run_bind(t.r, d, N);
    const ir_var i = ir_var_new(t.r->u, "i", n);
    const ir_expr at = ir_var_expr(t.r->u, i);
    argument_type = type;
    t.x = cpu_run_input(t.r, "x", type, 1, &n);
    t.y = cpu_run_input(t.r, "y", type, 1, &n);
    cpu_run_fill(t.r, t.x, first, NULL);
    cpu_run_fill(t.r, t.y, second, NULL);
    ir_expr operand[] = {ir_read(t.r->u, t.x, 1, &at), ir_read(t.r->u, t.y, 1, &at)};
    const ir_type shape = {.dtype = type, .rank = 1, .dim = {n}};
    t.result = ir_value_new(t.r->u, "f", &shape);
    cpu_run_native(t.r, ir_node_map(t.r->u, (base_span){0, 0, 0}, 1, &i, t.result, ir_apply(t.r->u, b->op, ir_ops[b->op].n_args, operand)));
    return t;
}

static void check(const bound *b, uint8_t type, const char *arch) {
    const trial t = run(b, type, arch);
    const double *x = t.r->frame.value[t.x].f, *y = t.r->frame.value[t.y].f, *found = t.r->frame.value[t.result].f;
    double worst = 0;
    for (int64_t i = 0; i < N; i++) {
        const long double meant = meaning(b->op, (long double)x[i], (long double)y[i]);
        const long double of = grain(b->op, (long double)x[i], meant);
        const double far = vanishes(b->op, found[i], (long double)x[i], meant, type) ? 0 : distance(found[i], meant, of, type);
        const double allowed = type == IR_TYPE_F64 ? b->wide : b->single;
        if (far > worst) worst = far;
        if (far > allowed)
            fail_msg("%s of %s (%.17g, %.17g) is %.17g, not %.17Lg: %.3g ulp, at most %.3g are allowed", ir_ops[b->op].text, type == IR_TYPE_F64 ? "f64" : "f32", x[i], y[i],
                     found[i], meant, far, allowed);
    }
    print_message("%-8s %s  %.2f ulp\n", ir_ops[b->op].text, type == IR_TYPE_F64 ? "f64" : "f32", worst);
    cpu_run_destroy(t.r);
}
static void all(const char *arch) {
    for (size_t k = 0; k < N_BOUNDS; k++) {
        check(&bounds[k], IR_TYPE_F32, arch);
        check(&bounds[k], IR_TYPE_F64, arch);
    }
}
static void on_host(void **state) {
    (void)state;
    all(NULL);
}
/* Without fused multiplication and addition. */
static void on_baseline(void **state) {
    (void)state;
    if (!__builtin_cpu_supports("sse2")) skip();
    all("x86-64");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_host), cmocka_unit_test(on_baseline)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every row of ops.def becomes instructions: each operator in a kernel of its own, over values that go wrong easily, in f32 and f64. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include "run.h"
#include <cmocka.h>

static const double edges[] = {0.0,   -0.0,  1.0,     -1.0,   0.5,    -0.5,   1.5,    2.5,   -2.5,  INFINITY, -INFINITY, NAN,      1e-40, -1e-40, 3e38, -3e38, 1e-30, 88.0,
                               89.0,  -87.0, -103.5,  127.5,  128.5,  -126.5, -149.5, 0.625, -0.62, 0.92,     0.93,      5.0,      -6.0,  9.1,    20.0, -20.0, 1e6,   -1e6,
                               0.707, 0.7072, 1.41421, 1.4143, 100000., 3.14159, 1.5708, 0.785, 0.99999994, 1.0000001, 7.0, -7.0};
enum { N_EDGES = sizeof edges / sizeof *edges, N = 211 };
static double left(int64_t i) { return i < N_EDGES ? edges[i] : cpu_noise(i) * (i % 3 == 0 ? 30 : 3); }
static double right(int64_t i) { return i < N_EDGES ? edges[(i * 7 + 3) % N_EDGES] : cpu_noise(i + 1000) * 3; }
static int64_t whole(int64_t i) {
    static const int64_t some[] = {0, 1, -1, 2, -2, 7, -7, 16, -16, 1000003, -1000003, 2147483647, -2147483648, 62, 31};
    return i < 15 ? some[i] : (int64_t)(cpu_noise(i) * 1000);
}
static int64_t divisor(int64_t i) {
    static const int64_t some[] = {1, -1, 2, -2, 3, -3, 16, -16, 7, 1000, -5, 2147483647};
    const int64_t x = i < 12 ? some[i] : (int64_t)(cpu_noise(i + 77) * 50);
    return x ? x : 1;
}
static int64_t small(int64_t i) { return i % 63; }
static int64_t truth(int64_t i) { return i / 2 % 2; }
static int64_t other_truth(int64_t i) { return i % 2; }

static ir_sort sort_of(char arg, ir_sort number) { return arg == 'i' ? IR_SORT_INT : arg == 'f' ? IR_SORT_REAL : arg == 'b' ? IR_SORT_BOOL : number; }
static uint8_t type_of(ir_sort s, uint8_t real) { return s == IR_SORT_INT ? IR_TYPE_I64 : s == IR_SORT_BOOL ? IR_TYPE_BOOL : real; }

static void fill(cpu_run *r, ir_value v, ir_op op, uint32_t k, ir_sort s) {
    if (s == IR_SORT_BOOL) cpu_run_fill(r, v, NULL, k ? other_truth : truth);
    else if (s == IR_SORT_INT) cpu_run_fill(r, v, NULL, op == IR_BIT && k == 1 ? small : k == 1 ? divisor : whole);
    else cpu_run_fill(r, v, k ? right : left, NULL);
}

static void check(ir_op op, ir_sort number, uint8_t real, double tolerance, const char *arch) {
    cpu_run *r = cpu_run_create(arch);
    const ir_dim d = ir_dim_new(r->u, "N");
    const ir_expr n = ir_dim_expr(r->u, d);
    cpu_run_bind(r, d, N);
    const ir_var i = ir_var_new(r->u, "i", n);
    const ir_expr at = ir_var_expr(r->u, i);
    ir_expr operand[3];
    static const char *const names[] = {"a", "b", "c"};
    for (uint32_t k = 0; k < ir_ops[op].n_args; k++) {
        const ir_sort s = sort_of(ir_ops[op].args[k], number);
        const ir_value v = cpu_run_input(r, names[k], type_of(s, real), 1, &n);
        fill(r, v, op, k, s);
        operand[k] = ir_read(r->u, v, 1, &at);
    }
    const ir_expr body = ir_apply(r->u, op, ir_ops[op].n_args, operand);
    const ir_type t = {.dtype = type_of((ir_sort)ir_at(r->u, body)->sort, real), .rank = 1, .dim = {n}};
    const ir_value y = ir_value_new(r->u, "y", &t);
    cpu_run_check(r, ir_node_map(r->u, (base_span){0, 0, 0}, 1, &i, y, body), tolerance);
    cpu_run_destroy(r);
}

static double tolerance_of(ir_op op, uint8_t real) {
    if (real == IR_TYPE_F64) return op == IR_POW ? 1e-11 : 2e-14;
    return 6e-7;
}
static void every_row(const char *arch) {
    static const uint8_t reals[] = {IR_TYPE_F32, IR_TYPE_F64};
    for (uint32_t op = IR_ADD; op < IR_N_OPS; op++)
        for (size_t t = 0; t < 2; t++)
            for (int sort = 0; sort < 3; sort++) {
                static const ir_sort sorts[] = {IR_SORT_REAL, IR_SORT_INT, IR_SORT_BOOL};
                const bool any = strchr(ir_ops[op].args, 'x'), number = strchr(ir_ops[op].args, 'n');
                if (sort == 1 && !any && !number) continue;
                if (sort == 2 && !any) continue;
                check((ir_op)op, sorts[sort], reals[t], tolerance_of((ir_op)op, reals[t]), arch);
            }
}

static void on_host(void **state) {
    (void)state;
    every_row(NULL);
}
/* Kernels for a narrower machine run on a wider one. */
static void on_avx2(void **state) {
    (void)state;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) skip();
    every_row("x86-64-v3");
}
static void on_sse4(void **state) {
    (void)state;
    if (!__builtin_cpu_supports("sse4.2")) skip();
    every_row("x86-64-v2");
}
static void on_baseline(void **state) {
    (void)state;
    if (!__builtin_cpu_supports("sse2")) skip();
    every_row("x86-64");
}
int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(on_host), cmocka_unit_test(on_avx2), cmocka_unit_test(on_sse4), cmocka_unit_test(on_baseline)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

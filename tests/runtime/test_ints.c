/* Integer programs: every operation at its edges, and tests that say where a shape is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "rt.h"

typedef struct { uint32_t op; int64_t a, b, c; bool fine; int64_t result; uint32_t status; } row;

static const row rows[] = {
    {RT_INT_ADD, 2, 3, 0, true, 5, 0},
    {RT_INT_ADD, INT64_MAX, 1, 0, false, 0, RT_INTS_OVERFLOW},
    {RT_INT_SUB, INT64_MIN, 1, 0, false, 0, RT_INTS_OVERFLOW},
    {RT_INT_MUL, INT64_C(1) << 40, INT64_C(1) << 40, 0, false, 0, RT_INTS_OVERFLOW},
    {RT_INT_FDIV, -7, 2, 0, true, -4, 0},
    {RT_INT_FDIV, 7, 0, 0, false, 0, RT_INTS_ZERO},
    {RT_INT_FDIV, INT64_MIN, -1, 0, false, 0, RT_INTS_OVERFLOW},
    {RT_INT_MOD, -7, 3, 0, true, 2, 0},
    {RT_INT_MOD, INT64_MIN, -1, 0, true, 0, 0},
    {RT_INT_MOD, 7, 0, 0, false, 0, RT_INTS_ZERO},
    {RT_INT_MIN, 3, -3, 0, true, -3, 0},
    {RT_INT_MAX, 3, -3, 0, true, 3, 0},
    {RT_INT_NEG, INT64_MIN, 0, 0, false, 0, RT_INTS_OVERFLOW},
    {RT_INT_ABS, -5, 0, 0, true, 5, 0},
    {RT_INT_ABS, INT64_MIN, 0, 0, false, 0, RT_INTS_OVERFLOW},
    {RT_INT_LT, 1, 2, 0, true, 1, 0},
    {RT_INT_LE, 2, 2, 0, true, 1, 0},
    {RT_INT_EQ, 1, 2, 0, true, 0, 0},
    {RT_INT_NE, 1, 2, 0, true, 1, 0},
    {RT_INT_AND, 1, 0, 0, true, 0, 0},
    {RT_INT_OR, 1, 0, 0, true, 1, 0},
    {RT_INT_NOT, 0, 0, 0, true, 1, 0},
    {RT_INT_SELECT, 0, 5, 6, true, 6, 0},
    {RT_INT_SOLVE, 12, 4, 0, true, 3, 0},
    {RT_INT_SOLVE, 13, 4, 0, false, 0, RT_INTS_SHAPE},
    {RT_INT_SOLVE, -12, 4, 0, false, 0, RT_INTS_SHAPE},
    {RT_INT_SOLVE, -3, -1, 0, true, 3, 0},               /* S of an axis 8 - S that has 5 */
    {RT_INT_SOLVE, INT64_MIN, -1, 0, false, 0, RT_INTS_SHAPE},
    {RT_INT_SOLVE, 1, 0, 0, false, 0, RT_INTS_SHAPE},
};

static void operations(void **state) {
    (void)state;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        int64_t slots[4] = {rows[k].a, rows[k].b, rows[k].c, -77};
        rt_int_op op = {.op = rows[k].op, .dst = 3, .a = 0, .b = 1, .c = 2};
        rt_ints_error error;
        bool fine = rt_ints_run(&op, 1, NULL, slots, &error);
        if (fine != rows[k].fine || (fine ? slots[3] != rows[k].result : error.status != rows[k].status))
            fail_msg("row %zu: %s, result %lld, status %u", k, fine ? "fine" : "failed", (long long)slots[3], error.status);
    }
}

/* [N, 2*N]: N from the first axis, the second compared. literal: tensor 0, axis 1. */
static const rt_int_op binding[] = {
    {.op = RT_INT_SHAPE, .dst = 0, .a = 0, .b = 0},
    {.op = RT_INT_LITERAL, .dst = 1, .literal = 2},
    {.op = RT_INT_MUL, .dst = 2, .a = 0, .b = 1},
    {.op = RT_INT_SHAPE, .dst = 3, .a = 0, .b = 1},
    {.op = RT_INT_EXPECT, .a = 3, .b = 2, .literal = 1},
    {.op = RT_INT_LE, .dst = 4, .a = 1, .b = 0},
    {.op = RT_INT_REQUIRE, .a = 4, .literal = 7},
};
enum { N_BINDING = sizeof binding / sizeof *binding };

static rt_ints_error bind(int64_t rows_, int64_t columns) {
    rt_array a;
    int64_t slots[5];
    rt_ints_error error;
    rt_array_dense(&a, RT_F32, 2, (int64_t[]){rows_, columns}, NULL);
    bool fine = rt_ints_run(binding, N_BINDING, &a, slots, &error);
    assert_int_equal(fine, error.status == RT_INTS_OK);
    return error;
}

static void shapes(void **state) {
    (void)state;
    assert_int_equal(bind(3, 6).status, RT_INTS_OK);
    rt_ints_error e = bind(3, 7);
    assert_true(e.status == RT_INTS_SHAPE && e.tensor == 0 && e.axis == 1 && e.found == 7 && e.expected == 6);
    e = bind(1, 2);
    assert_true(e.status == RT_INTS_FACT && e.fact == 7);
    e = bind(INT64_C(1) << 31, 6);
    assert_true(e.status == RT_INTS_EXTENT && e.axis == 0 && e.expected == INT32_MAX);
}

/* What depends on a tensor that is not there yet stays unknown; what does not is known. */
static void partial(void **state) {
    rt_array a = {.rank = RT_UNKNOWN};
    int64_t slots[5] = {0};
    bool known[5] = {false};
    (void)state;
    rt_ints_partial(binding, N_BINDING, &a, slots, known);
    assert_true(!known[0] && known[1] && !known[2] && slots[1] == 2);
    rt_array_dense(&a, RT_F32, 2, (int64_t[]){4, 9}, NULL);
    rt_ints_partial(binding, N_BINDING, &a, slots, known);       /* tests nothing */
    assert_true(known[0] && known[2] && slots[2] == 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(operations), cmocka_unit_test(shapes), cmocka_unit_test(partial)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

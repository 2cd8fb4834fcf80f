/* The evaluator: exact integers, laziness, identities, NaN, loops, places, rounding, and what it says about wrong data. */
#include <math.h>
#include <string.h>
#include <time.h>
#include "eval_world.h"

static void test_projection(void **state) {
    (void)state;
    trial t = trial_create("graph g (S, E, D) { x: f32[S,E] = input  w: f32[D,E] = param \"w\"  "
                           "q[i in 0..S, d in 0..D]: f64 = sum(e in 0..E: x[i,e]*w[d,e])  output q }");
    trial_dim(&t, "S", 2), trial_dim(&t, "E", 3), trial_dim(&t, "D", 2);
    REALS(&t, "x", 1, 2, 3, 4, 5, 6);
    REALS(&t, "w", 1, 0, -1, 2, 1, 0.5);
    assert_true(trial_run(&t));
    const double meant[] = {-2, 5.5, -2, 16};
    assert_memory_equal(trial_tensor(&t, "q")->f, meant, sizeof meant);
    trial_destroy(&t);
}

/* Row i sees nothing: 0, no NaN; and keys behind the guard hold NaN that is never read. */
static void test_attention_row_without_keys(void **state) {
    (void)state;
    trial t = trial_create("graph g (S, T) { s: f64[S,T] = input  v: f64[T] = input  n: i64[S] = input  o[i in 0..S]: f64 = "
                           "let @1 = max(j in 0..T where j < n[i] and not (s[i,j] == -inf): s[i,j]); "
                           "select(any(j in 0..T where j < n[i] and not (s[i,j] == -inf): true), "
                           "sum(j in 0..T where j < n[i] and not (s[i,j] == -inf): exp(s[i,j] - @1)*v[j])"
                           "/sum(j in 0..T where j < n[i] and not (s[i,j] == -inf): exp(s[i,j] - @1)), 0.0)  output o }");
    trial_dim(&t, "S", 3), trial_dim(&t, "T", 3);
    REALS(&t, "s", 1, 1, NAN, 5, 5, 5, -INFINITY, -INFINITY, NAN);
    REALS(&t, "v", 2, 4, NAN);
    INTS(&t, "n", 2, 0, 2);
    assert_true(trial_run(&t));
    const double meant[] = {3, 0, 0};
    assert_memory_equal(trial_tensor(&t, "o")->f, meant, sizeof meant);
    trial_destroy(&t);
}

static void test_integers_are_exact(void **state) {
    (void)state;
    trial t = trial_create("graph g (N) { a: i64[N] = input  b: i64[N] = input  q[i in 0..N]: i64 = a[i]//b[i]  r[i in 0..N]: i64 = a[i]%b[i]  "
                           "s[i in 0..N]: i64 = a[i] + 1  output q, r, s }");
    trial_dim(&t, "N", 5);
    INTS(&t, "a", 7, -7, 7, -7, (int64_t)1 << 60);
    INTS(&t, "b", 2, 2, -2, -2, 3);
    assert_true(trial_run(&t));
    const int64_t q[] = {3, -4, -4, 3, ((int64_t)1 << 60) / 3}, r[] = {1, 1, -1, -1, 1};
    assert_memory_equal(trial_tensor(&t, "q")->i, q, sizeof q);
    assert_memory_equal(trial_tensor(&t, "r")->i, r, sizeof r);
    assert_true(trial_tensor(&t, "s")->i[4] == ((int64_t)1 << 60) + 1);
    trial_destroy(&t);
}

/* What an expression over two integers gives: a code, or none and *out. */
static const char *code_of(const char *body, int64_t a, int64_t b, int64_t *out) {
    static char code[8];
    char text[512];
    snprintf(text, sizeof text, "graph g () { a: i64[] = input  b: i64[] = input  r[]: i64 = %s  output r }", body);
    trial t = trial_create(text);
    INTS(&t, "a", a);
    INTS(&t, "b", b);
    if (trial_run(&t)) *out = trial_tensor(&t, "r")->i[0];
    snprintf(code, sizeof code, "%s", trial_code(&t));
    trial_destroy(&t);
    return code;
}

static void test_overflow_and_divisors(void **state) {
    (void)state;
    int64_t r = 0;
    assert_string_equal(code_of("a[] + b[]", INT64_MAX, 1, &r), "E0603");
    assert_string_equal(code_of("a[] - b[]", INT64_MIN, 1, &r), "E0603");
    assert_string_equal(code_of("a[]*b[]", (int64_t)1 << 32, (int64_t)1 << 31, &r), "E0603");
    assert_string_equal(code_of("abs(a[])", INT64_MIN, 0, &r), "E0603");
    assert_string_equal(code_of("a[]//b[]", INT64_MIN, -1, &r), "E0603");
    assert_string_equal(code_of("a[]//b[]", 1, 0, &r), "E0602");
    assert_string_equal(code_of("a[]%b[]", 1, 0, &r), "E0602");
    assert_string_equal(code_of("a[]%b[]", INT64_MIN, -1, &r), "");
    assert_int_equal(r, 0);
    assert_string_equal(code_of("select(b[] == 0, 5, a[]//b[])", 1, 0, &r), "");
    assert_int_equal(r, 5);
    assert_string_equal(code_of("select(b[] != 0 and a[]%b[] == 0, 1, 2)", 1, 0, &r), "");
    assert_int_equal(r, 2);
    assert_string_equal(code_of("select(b[] == 0 or a[]%b[] == 0, 1, 2)", 1, 0, &r), "");
    assert_int_equal(r, 1);
    assert_string_equal(code_of("select(bit(a[], b[]), 1, 0)", 5, 2, &r), "");
    assert_int_equal(r, 1);
    assert_string_equal(code_of("select(bit(a[], b[]), 1, 0)", 5, 63, &r), "E0611");
}

static void test_index_message(void **state) {
    (void)state;
    trial t = trial_create("graph g (N, M) { x: f32[M,N] = input  idx: i64[N] = input  o[i in 0..N]: f32 = x[0,idx[i]]  output o }");
    trial_dim(&t, "N", 3), trial_dim(&t, "M", 1);
    REALS(&t, "x", 1, 2, 3);
    INTS(&t, "idx", 0, -1, 2);
    assert_false(trial_run(&t));
    assert_string_equal(trial_code(&t), "E0601");
    assert_non_null(strstr(trial_message(&t), "index -1 is out of range for axis 1 of x, which has 3 elements (at i = 1)"));
    assert_true(t.diags->first->span.file != 0);
    trial_destroy(&t);
}

static void test_identities_and_nan(void **state) {
    (void)state;
    trial t = trial_create("graph g (N) { x: f64[N] = input  n: i64[N] = input  lo[]: f64 = min(i in 0..N where 0.0 < x[i]: x[i])  "
                           "hi[]: f64 = max(i in 0..N: x[i])  ilo[]: i64 = min(i in 0..N where n[i] < 0: n[i])  "
                           "ihi[]: i64 = max(i in 0..N where n[i] < 0: n[i])  one[]: i64 = prod(i in 0..N where n[i] < 0: n[i])  "
                           "mx[i in 0..N]: f64 = max(x[i], 0.0)  output lo, hi, ilo, ihi, one, mx }");
    trial_dim(&t, "N", 2);
    REALS(&t, "x", NAN, -1);
    INTS(&t, "n", 1, 2);
    assert_true(trial_run(&t));
    assert_true(isinf(trial_tensor(&t, "lo")->f[0]) && trial_tensor(&t, "lo")->f[0] > 0);
    assert_true(isnan(trial_tensor(&t, "hi")->f[0]));
    assert_true(trial_tensor(&t, "ilo")->i[0] == INT64_MAX);
    assert_true(trial_tensor(&t, "ihi")->i[0] == INT64_MIN);
    assert_int_equal(trial_tensor(&t, "one")->i[0], 1);
    assert_true(isnan(trial_tensor(&t, "mx")->f[0]));
    trial_destroy(&t);
}

/* Inputs are rounded to f32 before, outputs after; what stands between is not. */
static void test_rounding(void **state) {
    (void)state;
    trial t = trial_create("graph g () { x: f32[] = input  n: i64[] = input  y[]: f32 = x[] + 1e-9  d[]: f64 = y[] - x[]  "
                           "k[]: i32 = n[]*3  output d, k: i32[] }");
    REALS(&t, "x", 0.1);
    INTS(&t, "n", 2000000000);
    assert_true(trial_run(&t));
    assert_true(trial_tensor(&t, "x")->f[0] == (double)0.1f);
    assert_true(fabs(trial_tensor(&t, "d")->f[0] - 1e-9) < 1e-15);
    assert_int_equal(trial_tensor(&t, "k")->i[0], INT32_MAX);
    trial_destroy(&t);
}

static void test_loop(void **state) {
    (void)state;
    trial t = trial_create("graph g (N, L) { x: f64[N] = input  loop l in 0..L (a = p from x, c = q from zeros f64[N]) while q[0] < 2.5 { "
                           "r[i in 0..N]: f64 = q[i] + 1.0  yield r, p } output a, c }");
    trial_dim(&t, "N", 1), trial_dim(&t, "L", 3);
    REALS(&t, "x", 5);
    assert_true(trial_run(&t));
    assert_true(trial_tensor(&t, "a")->f[0] == 1.0 && trial_tensor(&t, "c")->f[0] == 5.0);   /* stopped: q was 5 */
    trial_destroy(&t);
}

static void test_loop_without_turns(void **state) {
    (void)state;
    trial t = trial_create("graph g (N, L) { x: f64[N] = input  loop l in 0..L (a = p from x) { r[i in 0..N]: f64 = p[i] + 1.0  yield r } output a }");
    trial_dim(&t, "N", 1), trial_dim(&t, "L", 0);
    REALS(&t, "x", 5);
    assert_true(trial_run(&t));
    assert_true(trial_tensor(&t, "a")->f[0] == 5.0);
    trial_destroy(&t);
}

static void test_places(void **state) {
    (void)state;
    trial t = trial_create("graph g (N, M) { x: f64[N] = input  p: i64[N] = input  y: f64[M] = input  "
                           "l[i in 0..N: p[i]]: f64[M] into y last = x[i]  a[i in 0..N: p[i]]: f64[M] into y += x[i]  output l, a }");
    trial_dim(&t, "N", 3), trial_dim(&t, "M", 3);
    REALS(&t, "x", 1, 2, 4);
    INTS(&t, "p", 1, 0, 1);
    REALS(&t, "y", 10, 20, 30);
    assert_true(trial_run(&t));
    const double l[] = {2, 4, 30}, a[] = {12, 25, 30};
    assert_memory_equal(trial_tensor(&t, "l")->f, l, sizeof l);
    assert_memory_equal(trial_tensor(&t, "a")->f, a, sizeof a);
    INTS(&t, "p", 1, 0, 3);
    assert_false(trial_run(&t));
    assert_string_equal(trial_code(&t), "E0601");
    trial_destroy(&t);
}

static void test_place_twice(void **state) {
    (void)state;
    trial t = trial_create("graph g (N, M) { x: f64[N] = input  p: i64[N] = input  l[i in 0..N: p[i]]: f64[M] one = x[i]  output l }");
    trial_dim(&t, "N", 2), trial_dim(&t, "M", 3);
    REALS(&t, "x", 1, 2);
    INTS(&t, "p", 1, 1);
    assert_false(trial_run(&t));
    assert_string_equal(trial_code(&t), "E0901");
    trial_destroy(&t);
}

static void test_wrong_shapes(void **state) {
    (void)state;
    trial t = trial_create("graph g (N, H, G) where H % G == 0 { x: f64[N,2] = input  o[i in 0..N]: f64 = x[i,0]  output o }");
    trial_dim(&t, "N", 2), trial_dim(&t, "H", 4), trial_dim(&t, "G", 2);
    assert_false(trial_run(&t));
    assert_string_equal(trial_code(&t), "E0606");
    *trial_tensor(&t, "x") = ir_tensor_new(t.arena, IR_TYPE_F64, 2, (int64_t[]){2, 3});
    t.diags->first = NULL, t.diags->last = &t.diags->first;
    assert_false(trial_run(&t));
    assert_string_equal(trial_code(&t), "E0605");
    *trial_tensor(&t, "x") = ir_tensor_new(t.arena, IR_TYPE_F64, 1, (int64_t[]){2});
    t.diags->first = NULL, t.diags->last = &t.diags->first;
    assert_false(trial_run(&t));
    assert_string_equal(trial_code(&t), "E0604");
    trial_dim(&t, "G", 3);
    t.diags->first = NULL, t.diags->last = &t.diags->first;
    assert_false(trial_run(&t));
    assert_string_equal(trial_code(&t), "E0608");
    trial_destroy(&t);
}

static void test_extents_beyond_memory(void **state) {
    (void)state;
    trial t = trial_create("graph g (N) { o[i in 0..N, j in 0..N, k in 0..N]: f64 = 0.0  output o }");
    trial_dim(&t, "N", INT32_MAX);
    assert_false(trial_run(&t));
    assert_string_equal(trial_code(&t), "E0616");
    trial_destroy(&t);
}

/* An empty axis ends the walk at once, and makes room for the largest others. */
static void test_empty_behind_large(void **state) {
    (void)state;
    trial t = trial_create("graph g (N, Z) { o[i in 0..N, j in 0..N, k in 0..N, l in 0..Z]: f64 = 0.0  output o }");
    trial_dim(&t, "N", INT32_MAX);
    trial_dim(&t, "Z", 0);
    assert_true(trial_run(&t));
    trial_destroy(&t);
}

/* A sum whose inner extent is a table: ragged. */
static void test_ragged(void **state) {
    (void)state;
    trial t = trial_create("graph g (N) { n: i64[N] = input  c[i in 0..N]: i64 = sum(j in 0..n[i], k in 0..j: 1)  output c }");
    trial_dim(&t, "N", 3);
    INTS(&t, "n", 0, 3, 5);
    assert_true(trial_run(&t));
    const int64_t c[] = {0, 3, 10};
    assert_memory_equal(trial_tensor(&t, "c")->i, c, sizeof c);
    trial_destroy(&t);
}

/* Each score is computed once per row, not once per value feature: naively 5*10^9 operations, so 10^7. */
static void test_scores_are_remembered(void **state) {
    (void)state;
    trial t = trial_create("graph g (S, T, D) { q: f32[S,D] = input  k: f32[T,D] = input  v: f32[T,D] = input  o[i in 0..S, e in 0..D]: f32 = "
                           "let @1{j in 0..T} = sum(d in 0..D: q[i,d]*k[j,d]); let @2 = max(j in 0..T: @1{j}); "
                           "sum(j in 0..T: exp(@1{j} - @2)*v[j,e])/sum(j in 0..T: exp(@1{j} - @2))  output o }");
    trial_dim(&t, "S", 16), trial_dim(&t, "T", 600), trial_dim(&t, "D", 512);
    ir_tensor *v = trial_tensor(&t, "v");
    trial_tensor(&t, "q"), trial_tensor(&t, "k");
    for (int64_t j = 0; j < v->n; j++) v->f[j] = (double)(j / 512);
    clock_t start = clock();
    assert_true(trial_run(&t));
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    assert_true(fabs(trial_tensor(&t, "o")->f[7] - 299.5) < 1e-3);
    if (seconds > 60) fail_msg("took %.0f s", seconds);
    trial_destroy(&t);
}

/* 2^64 paths through 64 operators, and a path longer than any stack. */
static void test_hostile_expressions(void **state) {
    (void)state;
    trial t = trial_create("graph g () { x: f64[] = input  o[]: f64 = x[]  output o }");
    ir_unit *u = t.g->unit;
    ir_value x = t.g->body.at[0]->source.value;
    ir_expr e = ir_read(u, x, 0, NULL);
    for (int k = 0; k < 64; k++) e = ir_op2(u, IR_MAX, ir_op1(u, IR_TANH, e), ir_op1(u, IR_SIN, e));
    t.g->body.at[1]->map.results[0].body = e;
    REALS(&t, "x", 0.5);
    assert_true(trial_run(&t));
    for (int k = 0; k < 100000; k++) e = ir_op1(u, k % 2 ? IR_TANH : IR_SIN, e);
    t.g->body.at[1]->map.results[0].body = e;
    assert_false(trial_run(&t));
    assert_string_equal(trial_code(&t), "E0612");
    int64_t out;
    ir_expr n = ir_dim_expr(u, ir_dim_new(u, "N"));
    t.frame = ir_frame_create(u, t.arena);
    t.frame.dim[ir_at(u, n)->u.ref] = 7;
    for (int k = 0; k < 64; k++) n = ir_op2(u, IR_MOD, ir_op2(u, IR_FDIV, ir_add(u, n, ir_int(u, 1000)), ir_int(u, 3)), ir_add(u, ir_op1(u, IR_ABS, n), ir_int(u, 1001)));
    ir_eval_expr(u, &t.frame, n, &out, t.diags);                   /* ends; whether it is a value does not matter */
    trial_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_projection),
        cmocka_unit_test(test_attention_row_without_keys),
        cmocka_unit_test(test_integers_are_exact),
        cmocka_unit_test(test_overflow_and_divisors),
        cmocka_unit_test(test_index_message),
        cmocka_unit_test(test_identities_and_nan),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_loop),
        cmocka_unit_test(test_loop_without_turns),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_place_twice),
        cmocka_unit_test(test_wrong_shapes),
        cmocka_unit_test(test_extents_beyond_memory),
        cmocka_unit_test(test_empty_behind_large),
        cmocka_unit_test(test_ragged),
        cmocka_unit_test(test_scores_are_remembered),
        cmocka_unit_test(test_hostile_expressions),
    };
    return cmocka_run_group_tests_name("eval", tests, NULL, NULL);
}

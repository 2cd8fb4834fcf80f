/* attn_cost.operations: what a run is worth, against counts by hand. Exact where nothing is masked; an estimate elsewhere. */
#include "world.h"
#include <math.h>

enum { S = 48, T = 64, D = 16 };

/* Operations of the last graph of a program whose inputs are q[S,D], k[T,D], v[T,D] and, if `length` is not 0, len[1]. */
static double operations_of(const char *source, int32_t length) {
    world w = world_open(source, "cpu");
    static float q[S * D], k[T * D], v[T * D];
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    attn_cost cost = ATTN_COST_INIT;
    attn_argument in[] = {{"q", world_wrap(&w, ATTN_F32, 2, (int64_t[]){S, D}, q)}, {"k", world_wrap(&w, ATTN_F32, 2, (int64_t[]){T, D}, k)},
                          {"v", world_wrap(&w, ATTN_F32, 2, (int64_t[]){T, D}, v)}, {"len", world_wrap(&w, ATTN_I32, 1, (int64_t[]){1}, &length)}};
    o.inputs = in;
    o.n_inputs = length ? 4 : 3;
    assert_int_equal(attn_model_cost(w.model, &o, w.said, &cost), ATTN_OK);
    for (size_t i = 0; i < COUNT(in); i++) attn_tensor_destroy(in[i].tensor);
    world_close(&w);
    return cost.operations;
}

#define HEAD "graph g(q: f32[S,D], k: f32[T,D], v: f32[T,D]) -> (o: f32[S,D]) { o[i,e] = attend(j: q[i,d], k[j,d], v[j,e]) "
static const double all_pairs = 4.0 * S * T * D;

#define near_to(found, wanted) assert_true(fabs((found) / (wanted) - 1) < 0.05)

static void test_every_pair(void **state) {
    (void)state;
    assert_true(fabs(operations_of(HEAD "}", 0) - all_pairs) < 0.5);
}

/* Both products are as visible as the mask: the scores of hidden pairs are worth nothing, whatever a kernel does about them. */
static void test_masks(void **state) {
    (void)state;
    double causal = 0;
    for (int i = 0; i < S; i++) causal += i + 1;
    near_to(operations_of(HEAD "{ mask = j <= i } }", 0), 4.0 * D * causal);
    double window = 0;
    for (int i = 0; i < S; i++)
        for (int j = 0; j < T; j++) window += abs(i - j) < 12;
    near_to(operations_of(HEAD "{ mask = -12 < i - j < 12 } }", 0), 4.0 * D * window);
}

/* A mask that only data knows is looked at in the data. */
static void test_data(void **state) {
    (void)state;
    static const char source[] = "graph g(q: f32[S,D], k: f32[T,D], v: f32[T,D], len: i32[N]) -> (o: f32[S,D]) {\n"
                                 "    o[i,e] = attend(j in 0..len[0]: q[i,d], k[j,d], v[j,e])\n}\n";
    near_to(operations_of(source, 16), 4.0 * S * 16 * D);
}

/* A product that is stored is wanted everywhere, whatever also reads it under a mask. */
static void test_products(void **state) {
    (void)state;
    assert_true(fabs(operations_of("graph g(q: f32[S,D], k: f32[T,D], v: f32[T,D]) -> (o: f32[S,T]) { o[i,j] = sum(d: q[i,d]*k[j,d]) }", 0) - 2.0 * S * T * D) < 0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_pair), cmocka_unit_test(test_masks), cmocka_unit_test(test_data), cmocka_unit_test(test_products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a run will cost and what runs have cost: numbers of launches and items, bytes, loops; counters against runs, corrected predictions. */
#include "world.h"
#include <math.h>
#include <pthread.h>
#include <unistd.h>

static const char scaled[] = "graph scaled(x: f32[N,N], L: dim) -> (y: f32[N,N]) {\n"
                             "    y[n,m] = x[n,m]\n"
                             "    for l in 0..L {\n"
                             "        z[n,m] = sum(k: y[n,k]*x[m,k]) / N\n"
                             "        y[n,m] = z[n,m] + x[n,m]\n"
                             "    }\n"
                             "}\n";
enum { N = 96 };
typedef struct { world w; float x[N * N]; attn_argument in; attn_dim turns; attn_run_options o; } scaler;

static scaler *scaler_open(int64_t turns) {
    scaler *s = calloc(1, sizeof *s);
    s->w = world_open(scaled, "cpu");
    for (int k = 0; k < N * N; k++) s->x[k] = (float)(k % 7) / 8;
    s->in = (attn_argument){"x", world_wrap(&s->w, ATTN_F32, 2, (int64_t[]){N, N}, s->x)};
    s->turns = (attn_dim){"L", turns};
    s->o = (attn_run_options)ATTN_RUN_OPTIONS_INIT;
    s->o.inputs = &s->in, s->o.n_inputs = 1, s->o.dims = &s->turns, s->o.n_dims = 1;
    return s;
}

static void scaler_close(scaler *s) {
    attn_tensor_destroy(s->in.tensor);
    world_close(&s->w);
    free(s);
}

static attn_cost cost_at(scaler *s, int64_t turns) {
    attn_cost c = ATTN_COST_INIT;
    s->turns.value = turns;
    assert_int_equal(attn_model_cost(s->w.model, &s->o, s->w.said, &c), ATTN_OK);
    return c;
}

static attn_counters counters_of(scaler *s, bool reset) {
    attn_counters c = ATTN_COUNTERS_INIT;
    assert_int_equal(attn_model_counters(s->w.model, NULL, reset, &c), ATTN_OK);
    return c;
}

#define assert_near(found, wanted) assert_true(fabs((found) - (wanted)) <= 1e-9 * fabs(wanted))

/* Each turn of the loop adds the same; what lies outside counts once. */
static void test_loops_count_their_turns(void **state) {
    scaler *s = scaler_open(0);
    (void)state;
    attn_cost none = cost_at(s, 0), one = cost_at(s, 1), many = cost_at(s, 50);
    assert_near(one.operations, 2.0 * N * N * N);
    assert_near(many.operations, 50 * one.operations);
    assert_true(one.launches > none.launches && one.items > none.items && one.model_s > none.model_s);
    assert_near(many.launches - none.launches, 50 * (one.launches - none.launches));
    assert_near(many.items - none.items, 50 * (one.items - none.items));
    assert_near(many.model_s - none.model_s, 50 * (one.model_s - none.model_s));
    assert_near(one.tensor_bytes, 2.0 * N * N * sizeof(float) + sizeof(int64_t));
    assert_true(one.workspace_bytes >= 0 && one.elapsed_s > 0 && one.elapsed_s <= one.predicted_s);
    scaler_close(s);
}

/* Counters are those of the runs that were: items as the cost says, time between nothing and all threads all the time. */
static void test_counters(void **state) {
    scaler *s = scaler_open(0);
    (void)state;
    attn_cost cost = cost_at(s, 5);
    attn_counters c = counters_of(s, false);
    assert_true(!c.calls && !c.ended_early && !c.items && c.busy_s <= 0 && c.elapsed_s <= 0 && c.predicted_s <= 0);
    assert_near(cost.predicted_s, cost.model_s);
    for (int k = 0; k < 4; k++) assert_int_equal(attn_model_run(s->w.model, &s->o, s->w.said), ATTN_OK);
    c = counters_of(s, false);
    assert_int_equal(c.calls, 4);
    assert_int_equal(c.ended_early, 0);
    assert_int_equal(c.items, 4 * (int64_t)cost.items);
    assert_true(c.busy_s > 0 && c.elapsed_s > 0 && c.busy_s <= 1.01 * c.elapsed_s * attn_context_threads(s->w.context));
    assert_true(fabs(c.predicted_s - 4 * cost.model_s) < 1e-8 * 4 + 1e-6 * c.predicted_s);
    /* What was measured corrects what is predicted, and leaves what the model says. */
    attn_cost corrected = cost_at(s, 5);
    assert_near(corrected.model_s, cost.model_s);
    assert_true(fabs(corrected.predicted_s - c.busy_s / 4) < 1e-4 * corrected.predicted_s);
    bool cancel = true;
    s->o.cancel = &cancel;
    assert_int_equal(attn_model_run(s->w.model, &s->o, s->w.said), ATTN_ERROR_CANCELLED);
    c = counters_of(s, true);
    assert_true(c.calls == 4 && c.ended_early == 1);
    c = counters_of(s, false);
    assert_true(!c.calls && !c.ended_early && !c.items && c.busy_s <= 0);
    scaler_close(s);
}

typedef struct { scaler *s; int runs; } runner;
static void *run_often(void *self) {
    runner *r = self;
    for (int k = 0; k < 20; k++) r->runs += attn_model_run(r->s->w.model, &r->s->o, NULL) == ATTN_OK;
    return NULL;
}

/* Four threads run while this one takes the counters away again and again: in the sum nothing is missing and nothing twice. */
static void test_counters_add_up(void **state) {
    enum { THREADS = 4 };
    scaler *s = scaler_open(3);
    pthread_t threads[THREADS];
    runner runners[THREADS];
    int64_t calls = 0, items = 0;
    (void)state;
    const attn_cost cost = cost_at(s, 3);
    for (int k = 0; k < THREADS; k++) {
        runners[k] = (runner){s, 0};
        assert_int_equal(pthread_create(&threads[k], NULL, run_often, &runners[k]), 0);
    }
    for (int turn = 0; turn < 200; turn++) {
        attn_counters c = counters_of(s, true);
        calls += c.calls, items += c.items;
    }
    for (int k = 0; k < THREADS; k++) pthread_join(threads[k], NULL);
    attn_counters c = counters_of(s, true);
    calls += c.calls, items += c.items;
    assert_int_equal(calls, THREADS * 20);
    assert_int_equal(items, THREADS * 20 * (int64_t)cost.items);
    scaler_close(s);
}

/* A module from a file knows its costs and counts its runs; there are no kernels to find arithmetic in. */
static void test_from_a_file(void **state) {
    scaler *s = scaler_open(4);
    char path[] = "/tmp/attn-cost.XXXXXX";
    attn_module *loaded = NULL;
    (void)state;
    const attn_cost wanted = cost_at(s, 4);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(attn_module_save(s->w.module, path, NULL), ATTN_OK);
    assert_int_equal(attn_module_load(s->w.context, path, NULL, &loaded), ATTN_OK);
    unlink(path);
    attn_model_destroy(s->w.model);
    s->w.model = NULL;
    assert_int_equal(attn_model_create(s->w.context, loaded, NULL, NULL, &s->w.model), ATTN_OK);
    const attn_cost cost = cost_at(s, 4);
    assert_near(cost.items, wanted.items);
    assert_near(cost.launches, wanted.launches);
    assert_near(cost.model_s, wanted.model_s);
    assert_true(cost.model_s > 0 && cost.operations <= 0 && cost.workspace_bytes == wanted.workspace_bytes);
    assert_int_equal(attn_model_run(s->w.model, &s->o, NULL), ATTN_OK);
    assert_int_equal(counters_of(s, false).items, (int64_t)cost.items);
    attn_module_destroy(loaded);
    scaler_close(s);
}

static void test_mistakes(void **state) {
    scaler *s = scaler_open(1);
    attn_cost c = ATTN_COST_INIT;
    (void)state;
    s->o.n_dims = 0;
    assert_said(&s->w, attn_model_cost(s->w.model, &s->o, s->w.said, &c), ATTN_ERROR_DATA, "E0618", "L");
    c.struct_size = 8;
    assert_int_equal(attn_model_cost(s->w.model, &s->o, s->w.said, &c), ATTN_ERROR_ARGUMENT);
    scaler_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loops_count_their_turns), cmocka_unit_test(test_counters), cmocka_unit_test(test_counters_add_up), cmocka_unit_test(test_from_a_file),
        cmocka_unit_test(test_mistakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Who may use what at the same time, who keeps whom alive, and who computes. */
#include "world.h"
#include <pthread.h>
#include <unistd.h>

static const char source[] = "param w: f32[D] = \"w\"\n"
                             "graph g(x: f32[N,D]) -> (y: f32[N,D], s: f32) {\n"
                             "    y[n,d] = x[n,d]*w[d]\n"
                             "    s = sum(n,d: x[n,d]*x[n,d])\n"
                             "}\n";

typedef struct { world w; } host;

static void open_text(host *h) {
    h->w = world_open(NULL, NULL);
    assert_int_equal(attn_program_from_text(h->w.context, "shared.attn", source, sizeof source - 1, h->w.said, &h->w.program), ATTN_OK);
}

static attn_module *compile(const host *h, const char *target) {
    attn_module_options o = ATTN_MODULE_OPTIONS_INIT;
    attn_module *m = NULL;
    o.target = target;
    assert_int_equal(attn_module_create(h->w.context, h->w.program, &o, NULL, &m), ATTN_OK);
    return m;
}

static attn_model *bind(const host *h, const attn_module *m, float weight) {
    float weights[3] = {weight, weight, weight};
    attn_argument p = {"w", NULL};
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    attn_model *model = NULL;
    assert_int_equal(attn_tensor_wrap(h->w.context, ATTN_F32, 1, (int64_t[]){3}, NULL, weights, NULL, &p.tensor), ATTN_OK);
    o.params = &p, o.n_params = 1;
    assert_int_equal(attn_model_create(h->w.context, m, &o, NULL, &model), ATTN_OK);
    attn_tensor_destroy(p.tensor);           /* the model has its own copy */
    return model;
}

enum { ROWS = 700 };

/* y is w*x and s the sum of squares; true if both are. */
static bool run_once(attn_context *context, attn_model *model, float weight, float *sum) {
    float x[ROWS][3], y[ROWS][3];
    for (int n = 0; n < ROWS; n++)
        for (int d = 0; d < 3; d++) x[n][d] = (float)((n * 3 + d) % 11) / 8;
    attn_argument in = {"x", NULL}, out[] = {{"y", NULL}, {"s", NULL}};
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.inputs = &in, o.n_inputs = 1, o.outputs = out, o.n_outputs = 2;
    attn_tensor_wrap(context, ATTN_F32, 2, (int64_t[]){ROWS, 3}, NULL, x, NULL, &in.tensor);
    attn_tensor_wrap(context, ATTN_F32, 2, (int64_t[]){ROWS, 3}, NULL, y, NULL, &out[0].tensor);
    bool fine = attn_model_run(model, &o, NULL) == ATTN_OK;
    for (int n = 0; n < ROWS && fine; n++)
        for (int d = 0; d < 3; d++) fine &= y[n][d] >= x[n][d] * weight - 1e-5f && y[n][d] <= x[n][d] * weight + 1e-5f;
    if (fine) *sum = *(float *)attn_tensor_data(out[1].tensor);
    attn_tensor_destroy(in.tensor);
    attn_tensor_destroy(out[0].tensor);
    attn_tensor_destroy(out[1].tensor);
    return fine;
}

/* ---- lifetimes */

/* Any order of release: what is made keeps alive what it was made from. The objects of `order` are given back in its order, and the model, as long as
 * there is one, runs after each. */
static void release_in_order(const char *order) {
    host h;
    float sum;
    open_text(&h);
    attn_module *module = compile(&h, "cpu");
    attn_model *model = bind(&h, module, 2);
    attn_context *spare = NULL;
    assert_int_equal(attn_context_create(NULL, NULL, &spare), ATTN_OK);
    for (; *order; order++) {
        if (*order == 'c') attn_context_destroy(h.w.context);
        if (*order == 'p') attn_program_destroy(h.w.program);
        if (*order == 'm') attn_module_destroy(module);
        if (*order == 'o') attn_model_destroy(model), model = NULL;
        if (model) assert_true(run_once(spare, model, 2, &sum));
    }
    attn_context_destroy(spare);
    attn_diagnostics_destroy(h.w.said);
}

static void test_release_in_any_order(void **state) {
    char order[5] = "cpmo";
    int n = 0;
    (void)state;
    for (int a = 0; a < 4; a++)
        for (int b = 0; b < 4; b++)
            for (int c = 0; c < 4; c++) {
                if (a == b || a == c || b == c) continue;
                const char all[] = "cpmo";
                order[0] = all[a], order[1] = all[b], order[2] = all[c], order[3] = all[6 - a - b - c];
                release_in_order(order);
                n++;
            }
    assert_int_equal(n, 24);
}

/* Diagnostics outlive everything that they speak of. */
static void test_diagnostics_last(void **state) {
    world w = world_open("graph g(x: f32[N]) -> (y: f32[N]) { y[n] = x[n] }", "cpu");
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    (void)state;
    assert_int_equal(attn_model_run(w.model, &o, w.said), ATTN_ERROR_DATA);
    attn_model_destroy(w.model);
    attn_module_destroy(w.module);
    attn_program_destroy(w.program);
    attn_context_destroy(w.context);
    assert_non_null(strstr(attn_diagnostics_render(w.said, 0, false), "graph g(x"));
    attn_diagnostics_destroy(w.said);
}

static void test_two_models(void **state) {
    host h;
    float a, b;
    open_text(&h);
    attn_module *cpu = compile(&h, "cpu"), *eval = compile(&h, "eval");
    attn_model *two = bind(&h, cpu, 2), *three = bind(&h, cpu, 3), *slow = bind(&h, eval, 4);
    (void)state;
    assert_true(run_once(h.w.context, two, 2, &a) && run_once(h.w.context, three, 3, &a) && run_once(h.w.context, slow, 4, &b));
    assert_true(run_once(h.w.context, two, 2, &b));
    assert_memory_equal(&a, &b, sizeof a);
    attn_model_destroy(two);
    attn_model_destroy(three);
    attn_model_destroy(slow);
    attn_module_destroy(cpu);
    attn_module_destroy(eval);
    world_close(&h.w);
}

/* ---- threads */

enum { THREADS = 4 };
typedef struct { host *h; attn_model *model; int k; bool fine; float sum; } task;

/* All that a host does, in a context of the thread's own. */
static void *live_alone(void *self) {
    task *t = self;
    host h = {0};
    attn_module_options o = ATTN_MODULE_OPTIONS_INIT;
    attn_module *m = NULL;
    o.target = t->k % 2 ? "cpu" : "eval";
    t->fine = !attn_context_create(NULL, NULL, &h.w.context) &&
              !attn_program_from_text(h.w.context, "own.attn", source, sizeof source - 1, NULL, &h.w.program) &&
              !attn_module_create(h.w.context, h.w.program, &o, NULL, &m);
    if (t->fine) {
        attn_model *model = bind(&h, m, (float)t->k);
        for (int n = 0; n < 3; n++) t->fine &= run_once(h.w.context, model, (float)t->k, &t->sum);
        attn_model_destroy(model);
    }
    attn_module_destroy(m);
    attn_program_destroy(h.w.program);
    attn_context_destroy(h.w.context);
    return NULL;
}

/* Everything shared: the program is compiled and asked, one model runs, by all threads at a time. */
static void *live_together(void *self) {
    task *t = self;
    float sum;
    t->fine = run_once(t->h->w.context, t->model, 5, &t->sum);
    for (int n = 0; n < 20 && t->fine; n++) {
        t->fine = run_once(t->h->w.context, t->model, 5, &sum) && memcmp(&sum, &t->sum, sizeof sum) == 0;
        attn_tensor *drawn = NULL;
        t->fine &= !attn_program_sample(t->h->w.context, t->h->w.program, NULL, 0, NULL, 0, 1, NULL, &drawn);
        attn_tensor_destroy(drawn);
    }
    attn_module *m = compile(t->h, t->k % 2 ? "cpu" : "eval");
    attn_model *model = bind(t->h, m, (float)t->k);
    t->fine &= run_once(t->h->w.context, model, (float)t->k, &sum);
    attn_model_destroy(model);
    attn_module_destroy(m);
    return NULL;
}

static void start_all(void *(*body)(void *), host *h, attn_model *model, task *tasks) {
    pthread_t threads[THREADS];
    for (int k = 0; k < THREADS; k++) {
        tasks[k] = (task){h, model, k + 1, false, 0};
        assert_int_equal(pthread_create(&threads[k], NULL, body, &tasks[k]), 0);
    }
    for (int k = 0; k < THREADS; k++) assert_int_equal(pthread_join(threads[k], NULL), 0);
    for (int k = 0; k < THREADS; k++) assert_true(tasks[k].fine);
}

static void test_own_contexts(void **state) {
    task tasks[THREADS];
    (void)state;
    start_all(live_alone, NULL, NULL, tasks);
}

static void test_shared(void **state) {
    host h;
    task tasks[THREADS];
    open_text(&h);
    attn_module *m = compile(&h, *state);
    attn_model *model = bind(&h, m, 5);
    start_all(live_together, &h, model, tasks);
    for (int k = 1; k < THREADS; k++) assert_memory_equal(&tasks[k].sum, &tasks[0].sum, sizeof(float));
    attn_model_destroy(model);
    attn_module_destroy(m);
    world_close(&h.w);
}

/* ---- who computes */

/* An executor of the host: pieces of seven items, last first, on the calling thread. */
typedef struct { long jobs; int64_t items; bool fails; } serial;

static bool run_backwards(void *self, const attn_job *job) {
    serial *s = self;
    void *scratch = NULL;
    if (s->fails || (job->scratch_bytes && posix_memalign(&scratch, 64, (size_t)job->scratch_bytes))) return false;
    for (int64_t end = job->items; end > 0; end -= 7) job->fn(job->frame, end > 7 ? end - 7 : 0, end, scratch);
    free(scratch);
    s->jobs++;
    s->items += job->items;
    return true;
}

static int seven(void *self) {
    (void)self;
    return 7;
}

static float sum_with(const attn_context_options *o, int wanted_threads) {
    host h = {0};
    float sum = 0;
    assert_int_equal(attn_context_create(o, NULL, &h.w.context), ATTN_OK);
    if (wanted_threads) assert_int_equal(attn_context_threads(h.w.context), wanted_threads);
    assert_int_equal(attn_program_from_text(h.w.context, "e.attn", source, sizeof source - 1, NULL, &h.w.program), ATTN_OK);
    attn_module *m = compile(&h, "cpu");
    attn_model *model = bind(&h, m, 2);
    assert_true(run_once(h.w.context, model, 2, &sum));
    attn_model_destroy(model);
    attn_module_destroy(m);
    world_close(&h.w);
    return sum;
}

/* Bit for bit the same, whoever computes and on however many threads. */
static void test_same_bits(void **state) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    serial own = {0};
    attn_executor executor = {sizeof executor, &own, run_backwards, seven};
    (void)state;
    o.threads = 1;
    float first = sum_with(&o, 1);
    for (int n = 2; n < 6; n++) {
        o.threads = n;
        float sum = sum_with(&o, n);
        assert_memory_equal(&sum, &first, sizeof sum);
    }
    o = (attn_context_options)ATTN_CONTEXT_OPTIONS_INIT;
    o.executor = &executor;
    float sum = sum_with(&o, 7);
    assert_memory_equal(&sum, &first, sizeof sum);
    assert_true(own.jobs >= 1 && own.items >= 1);
}

static void test_executor_fails(void **state) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    serial own = {.fails = true};
    attn_executor executor = {sizeof executor, &own, run_backwards, NULL};
    attn_context *c = NULL;
    double x;
    (void)state;
    o.executor = &executor;
    assert_int_equal(attn_context_create(&o, NULL, &c), ATTN_OK);
    assert_int_equal(attn_context_threads(c), 1);
    assert_int_equal(attn_context_peak(c, 0.01, &x), ATTN_ERROR_MEMORY);
    attn_context_destroy(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_release_in_any_order), cmocka_unit_test(test_diagnostics_last), cmocka_unit_test(test_two_models),
        cmocka_unit_test(test_own_contexts),
        {"all shared on cpu", test_shared, NULL, NULL, (void *)(uintptr_t)"cpu"},
        {"all shared on eval", test_shared, NULL, NULL, (void *)(uintptr_t)"eval"},
        cmocka_unit_test(test_same_bits), cmocka_unit_test(test_executor_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

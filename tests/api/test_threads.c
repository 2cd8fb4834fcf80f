/* Who computes and until when: executors that are shared, deadlines and cancels, options of older versions. */
#include "world.h"
#include <dirent.h>
#include <math.h>
#include <pthread.h>

enum { N = 640 };
static const char source[] = "graph square(x: f32[N,N]) -> (y: f32[N,N]) {\n"
                             "    y[i,j] = sum(k: x[i,k]*x[k,j])\n"
                             "}\n";

typedef struct { world w; float *x, *y; attn_argument in, out; attn_run_options o; } squaring;

static squaring squaring_open(const attn_context_options *options) {
    squaring s = {.x = malloc(sizeof(float) * N * N), .y = calloc(N * N, sizeof(float)), .in = {"x", NULL}, .out = {"y", NULL}};
    assert_int_equal(attn_context_create(options, NULL, &s.w.context), ATTN_OK);
    assert_int_equal(attn_program_from_text(s.w.context, "square.attn", source, sizeof source - 1, NULL, &s.w.program), ATTN_OK);
    assert_int_equal(attn_module_create(s.w.context, s.w.program, NULL, NULL, &s.w.module), ATTN_OK);
    assert_int_equal(attn_model_create(s.w.context, s.w.module, NULL, NULL, &s.w.model), ATTN_OK);
    for (int k = 0; k < N * N; k++) s.x[k] = (float)(k % 17) / 16 - 0.5f;
    s.in.tensor = world_wrap(&s.w, ATTN_F32, 2, (int64_t[]){N, N}, s.x);
    s.out.tensor = world_wrap(&s.w, ATTN_F32, 2, (int64_t[]){N, N}, s.y);
    return s;
}

static attn_status square(squaring *s) {
    attn_run_options *o = &s->o;
    if (!o->struct_size) *o = (attn_run_options)ATTN_RUN_OPTIONS_INIT;
    o->inputs = &s->in, o->n_inputs = 1, o->outputs = &s->out, o->n_outputs = 1;
    return attn_model_run(s->w.model, o, NULL);
}

static void squaring_close(squaring *s) {
    attn_tensor_destroy(s->in.tensor);
    attn_tensor_destroy(s->out.tensor);
    world_close(&s->w);
    free(s->x);
    free(s->y);
}

/* ---- one pool for several */

static int threads_of_process(void) {
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

typedef struct { squaring *s; bool fine; } turn;
static void *square_often(void *self) {
    turn *t = self;
    t->fine = true;
    for (int k = 0; k < 3; k++) t->fine &= square(t->s) == ATTN_OK;
    return NULL;
}

/* The second context starts no thread: its jobs run on those of the first, and give the same bits, also side by side. */
static void test_two_share_a_pool(void **state) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    (void)state;
    o.threads = 3;
    squaring first = squaring_open(&o);
    assert_int_equal(square(&first), ATTN_OK);
    int before = threads_of_process();
    o.executor = attn_context_executor(first.w.context);
    assert_non_null(o.executor);
    squaring second = squaring_open(&o);
    assert_int_equal(attn_context_threads(second.w.context), 3);
    assert_int_equal(square(&second), ATTN_OK);
    assert_int_equal(threads_of_process(), before);
    assert_memory_equal(first.y, second.y, sizeof(float) * N * N);
    pthread_t threads[2];
    turn turns[] = {{&first, false}, {&second, false}};
    memset(second.y, 0, sizeof(float) * N * N);
    for (int k = 0; k < 2; k++) assert_int_equal(pthread_create(&threads[k], NULL, square_often, &turns[k]), 0);
    for (int k = 0; k < 2; k++) pthread_join(threads[k], NULL);
    assert_true(turns[0].fine && turns[1].fine);
    assert_memory_equal(first.y, second.y, sizeof(float) * N * N);
    squaring_close(&second);
    squaring_close(&first);
    assert_null(attn_context_executor(NULL));
}

/* ---- until when */

static void test_deadline(void **state) {
    squaring s = squaring_open(NULL);
    (void)state;
    s.o = (attn_run_options)ATTN_RUN_OPTIONS_INIT;
    s.o.deadline_s = 1e-6;
    assert_int_equal(square(&s), ATTN_ERROR_DEADLINE);
    s.o.deadline_s = -1;
    assert_int_equal(square(&s), ATTN_ERROR_DEADLINE);
    const double far_away[] = {0, 100, 1e30};
    for (int k = 0; k < 3; k++) {
        s.o.deadline_s = far_away[k];
        assert_int_equal(square(&s), ATTN_OK);
    }
    s.o.deadline_s = (double)NAN;
    assert_int_equal(square(&s), ATTN_ERROR_ARGUMENT);
    s.o.deadline_s = 0;
    s.o.weight = -1;
    assert_int_equal(square(&s), ATTN_ERROR_ARGUMENT);
    s.o.weight = 1e300;
    assert_int_equal(square(&s), ATTN_OK);
    squaring_close(&s);
}

/* ---- older hosts */

/* Members beyond the struct_size that a host knows are not read, whatever lies there. */
static void test_old_options(void **state) {
    squaring s = squaring_open(NULL);
    (void)state;
    s.o = (attn_run_options)ATTN_RUN_OPTIONS_INIT;
    s.o.struct_size = offsetof(attn_run_options, weight);
    s.o.weight = -1, s.o.deadline_s = -1;
    assert_int_equal(square(&s), ATTN_OK);
    s.o.struct_size = offsetof(attn_run_options, cancel);
    assert_int_equal(square(&s), ATTN_ERROR_ARGUMENT);
    struct { attn_run_options known; char later[64]; } longer = {.known = ATTN_RUN_OPTIONS_INIT};
    longer.known.struct_size = sizeof longer;
    longer.known.inputs = &s.in, longer.known.n_inputs = 1;
    assert_int_equal(attn_model_run(s.w.model, &longer.known, NULL), ATTN_OK);
    squaring_close(&s);
}

static void test_unfit_executors(void **state) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_executor none = {sizeof none, NULL, NULL, NULL}, unset = {0};
    attn_context *c = NULL;
    (void)state;
    o.executor = &none;
    assert_int_equal(attn_context_create(&o, NULL, &c), ATTN_ERROR_ARGUMENT);
    o.executor = &unset;
    assert_int_equal(attn_context_create(&o, NULL, &c), ATTN_ERROR_ARGUMENT);
    assert_null(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_share_a_pool), cmocka_unit_test(test_deadline), cmocka_unit_test(test_old_options), cmocka_unit_test(test_unfit_executors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Everything at once, in one process: contexts that come and go, programs, compiles with and without kept code, models with weights from a file, runs, cancels,
 * deadlines, costs, counters, files of tensors. Each thread checks what it gets; the thread sanitizer checks the rest (`./x tsan`).
 */
#include "world.h"
#include <pthread.h>
#include <unistd.h>

static const char source[] = "param w: f32[D] = \"w\"\n"
                             "graph g(x: f32[N,D]) -> (y: f32[N,N], s: f32) {\n"
                             "    y[n,m] = sum(d: x[n,d]*x[m,d]*w[d])\n"
                             "    s = sum(n,d: x[n,d]*w[d])\n"
                             "}\n";
enum { N = 200, D = 16, ROUNDS = 6 };

/* What all threads share. */
typedef struct {
    char folder[64], weights[96], npy[96], code[96];
    attn_context *context, *same_threads;    /* the second computes on the threads of the first */
    attn_program *program;
    attn_module *module;
    attn_model *model;
    float x[N * D], wanted[N * N];
    _Atomic int runs, failures;
} shared;

/* ---- one run */

typedef struct { attn_argument in, out; float *y; attn_run_options o; } call;

static void call_open(call *c, const shared *s, attn_context *context) {
    *c = (call){.in = {"x", NULL}, .out = {"y", NULL}, .y = calloc(N * N, sizeof(float)), .o = ATTN_RUN_OPTIONS_INIT};
    attn_tensor_wrap(context, ATTN_F32, 2, (int64_t[]){N, D}, NULL, (void *)(uintptr_t)s->x, NULL, &c->in.tensor);
    attn_tensor_wrap(context, ATTN_F32, 2, (int64_t[]){N, N}, NULL, c->y, NULL, &c->out.tensor);
    c->o.inputs = &c->in, c->o.n_inputs = 1, c->o.outputs = &c->out, c->o.n_outputs = 1;
}

static void call_close(call *c) {
    attn_tensor_destroy(c->in.tensor);
    attn_tensor_destroy(c->out.tensor);
    free(c->y);
}

/* Runs once and compares. */
static bool run_well(shared *s, attn_context *context, attn_model *model, uint64_t tenant) {
    call c;
    call_open(&c, s, context);
    c.o.tenant = tenant, c.o.weight = 1 + (double)tenant;
    bool fine = attn_model_run(model, &c.o, NULL) == ATTN_OK && !memcmp(c.y, s->wanted, sizeof s->wanted);
    if (model == s->model) s->runs += fine;
    call_close(&c);
    return fine;
}

/* ---- what threads do, once each round */

static bool run_shared(shared *s) { return run_well(s, s->context, s->model, 1) && run_well(s, s->same_threads, s->model, 2); }

static void *set_after_a_moment(void *flag) {
    usleep(200);
    __atomic_store_n((bool *)flag, true, __ATOMIC_RELAXED);
    return NULL;
}

/* Ends well or is cancelled, whichever comes first. */
static bool cancel_one(shared *s) {
    bool cancel = false;
    pthread_t other;
    call c;
    call_open(&c, s, s->context);
    c.o.cancel = &cancel;
    if (pthread_create(&other, NULL, set_after_a_moment, &cancel)) return false;
    attn_status status = attn_model_run(s->model, &c.o, NULL);
    s->runs += status == ATTN_OK;
    pthread_join(other, NULL);
    bool fine = status == ATTN_OK ? !memcmp(c.y, s->wanted, sizeof s->wanted) : status == ATTN_ERROR_CANCELLED;
    call_close(&c);
    return fine;
}

static bool be_late(shared *s) {
    call c;
    call_open(&c, s, s->context);
    c.o.deadline_s = 1e-9;
    bool fine = attn_model_run(s->model, &c.o, NULL) == ATTN_ERROR_DEADLINE;
    call_close(&c);
    return fine;
}

static bool ask(shared *s) {
    attn_cost cost = ATTN_COST_INIT;
    attn_counters counters = ATTN_COUNTERS_INIT;
    call c;
    call_open(&c, s, s->context);
    bool fine = attn_model_cost(s->model, &c.o, NULL, &cost) == ATTN_OK && cost.items >= 1;
    fine &= attn_model_counters(s->model, NULL, false, &counters) == ATTN_OK && counters.calls >= 0;
    call_close(&c);
    return fine;
}

/* A program, a module, a model of one's own in a context: compiled, or found among the code that is kept. */
static bool live_in(shared *s, attn_context *context) {
    attn_program *p = NULL;
    attn_module *m = NULL;
    attn_model *model = NULL;
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    o.weights = s->weights;
    bool fine = attn_program_from_text(context, "own.attn", source, sizeof source - 1, NULL, &p) == ATTN_OK &&
                attn_module_create(context, p, NULL, NULL, &m) == ATTN_OK && attn_model_create(context, m, &o, NULL, &model) == ATTN_OK;
    attn_program_destroy(p);
    attn_module_destroy(m);
    fine = fine && run_well(s, context, model, 3);
    attn_model_destroy(model);
    return fine;
}

static bool compile_here(shared *s) { return live_in(s, s->context); }

static bool open_context(shared *s) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *c = NULL;
    o.threads = 2;
    o.cache_path = s->code;
    bool fine = attn_context_create(&o, NULL, &c) == ATTN_OK && live_in(s, c);
    attn_context_destroy(c);
    return fine;
}

/* The same program text, module and weights, bound once more beside the runs. */
static bool bind_again(shared *s) {
    attn_model *model = NULL;
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    o.weights = s->weights;
    bool fine = attn_model_create(s->context, s->module, &o, NULL, &model) == ATTN_OK && run_well(s, s->context, model, 0);
    attn_model_destroy(model);
    return fine;
}

static bool read_file(shared *s) {
    attn_tensor *t = NULL;
    bool fine = attn_tensor_read_npy(s->context, s->npy, NULL, &t) == ATTN_OK && attn_tensor_elements(t) == N * D &&
                attn_tensor_write_npy(s->context, t, s->npy, NULL) == ATTN_OK;
    attn_tensor_destroy(t);
    return fine;
}

/* Mistakes and their messages, of the shared program too. */
static bool make_mistakes(shared *s) {
    attn_diagnostics *said = NULL;
    attn_program *p = NULL;
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    bool fine = attn_diagnostics_create(NULL, &said) == ATTN_OK && attn_program_from_text(s->context, "bad.attn", "graph", 5, said, &p) == ATTN_ERROR_PROGRAM &&
                attn_model_run(s->model, &o, said) == ATTN_ERROR_DATA && attn_diagnostics_count(said) >= 2;
    attn_diagnostics_destroy(said);
    return fine;
}

/* ---- all of it */

typedef bool role(shared *s);
static role *const roles[] = {run_shared, run_shared, cancel_one, be_late, ask, compile_here, open_context, open_context, bind_again, read_file, make_mistakes};
typedef struct { shared *s; role *role; int number; } actor;

static void *act(void *self) {
    actor *a = self;
    for (int k = 0; k < ROUNDS; k++)
        if (!a->role(a->s)) {
            a->s->failures++;
            print_message("thread %d fails in round %d\n", a->number, k);
        }
    return NULL;
}

/* One tensor "w" of D floats. */
static void write_weights(const char *path) {
    static const char header[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[16],\"data_offsets\":[0,64]}}";
    uint64_t n = sizeof header - 1;
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(&n, sizeof n, 1, f);
    fwrite(header, 1, n, f);
    for (int k = 0; k < D; k++) fwrite(&(float){(float)(k % 4) / 4}, sizeof(float), 1, f);
    assert_int_equal(fclose(f), 0);
}

static void open_all(shared *s) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_model_options mo = ATTN_MODEL_OPTIONS_INIT;
    call c;
    snprintf(s->folder, sizeof s->folder, "/tmp/attn-together.XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->weights, sizeof s->weights, "%s/w.safetensors", s->folder);
    snprintf(s->npy, sizeof s->npy, "%s/x.npy", s->folder);
    snprintf(s->code, sizeof s->code, "%s/code", s->folder);
    write_weights(s->weights);
    for (int k = 0; k < N * D; k++) s->x[k] = (float)(k % 13) / 8 - 0.5f;
    o.threads = 3;
    assert_int_equal(attn_context_create(&o, NULL, &s->context), ATTN_OK);
    o.executor = attn_context_executor(s->context);
    assert_int_equal(attn_context_create(&o, NULL, &s->same_threads), ATTN_OK);
    assert_int_equal(attn_program_from_text(s->context, "g.attn", source, sizeof source - 1, NULL, &s->program), ATTN_OK);
    assert_int_equal(attn_module_create(s->context, s->program, NULL, NULL, &s->module), ATTN_OK);
    mo.weights = s->weights;
    assert_int_equal(attn_model_create(s->context, s->module, &mo, NULL, &s->model), ATTN_OK);
    call_open(&c, s, s->context);
    assert_int_equal(attn_model_run(s->model, &c.o, NULL), ATTN_OK);
    s->runs++;
    memcpy(s->wanted, c.y, sizeof s->wanted);
    assert_int_equal(attn_tensor_write_npy(s->context, c.in.tensor, s->npy, NULL), ATTN_OK);
    call_close(&c);
}

static void close_all(shared *s) {
    char command[128];
    attn_model_destroy(s->model);
    attn_module_destroy(s->module);
    attn_program_destroy(s->program);
    attn_context_destroy(s->same_threads);
    attn_context_destroy(s->context);
    snprintf(command, sizeof command, "rm -r '%s'", s->folder);
    assert_int_equal(system(command), 0);
}

static void test_together(void **state) {
    static shared s;
    pthread_t threads[COUNT(roles)];
    actor actors[COUNT(roles)];
    attn_counters c = ATTN_COUNTERS_INIT;
    (void)state;
    open_all(&s);
    for (size_t k = 0; k < COUNT(roles); k++) {
        actors[k] = (actor){&s, roles[k], (int)k};
        assert_int_equal(pthread_create(&threads[k], NULL, act, &actors[k]), 0);
    }
    for (size_t k = 0; k < COUNT(roles); k++) pthread_join(threads[k], NULL);
    assert_int_equal(s.failures, 0);
    assert_int_equal(attn_model_counters(s.model, NULL, true, &c), ATTN_OK);
    assert_int_equal(c.calls, s.runs);
    assert_true(c.ended_early >= ROUNDS);
    close_all(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_together)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

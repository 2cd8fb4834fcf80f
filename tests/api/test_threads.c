/* Who computes and until when: executors that are shared or do it in a strange way, deadlines and cancels and what they leave, fork, options of
 * older versions. */
#include "world.h"
#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 320 };
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

/* ---- any executor */

/* Takes a job apart into ranges of odd sizes, some of them on a thread of its own, in an order that a generator shuffles. */
typedef struct { uint32_t seed; _Atomic int jobs; } odd;
typedef struct { const attn_job *job; int64_t first, last; } piece;

static void *compute_piece(void *self) {
    const piece *p = self;
    void *scratch = NULL;
    if (p->job->scratch_bytes) assert_int_equal(posix_memalign(&scratch, 64, (size_t)p->job->scratch_bytes), 0);
    p->job->fn(p->job->frame, p->first, p->last, scratch);
    free(scratch);
    return NULL;
}

static uint32_t draw(uint32_t *seed) { return (*seed = *seed * 1664525u + 1013904223u) >> 8; }

static bool run_oddly(void *self, const attn_job *job) {
    odd *o = self;
    enum { MOST_PIECES = 64 };
    piece pieces[MOST_PIECES];
    uint32_t seed = o->seed + (uint32_t)o->jobs++;
    int n = 0;
    for (int64_t first = 0; first < job->items; n++) {
        int64_t last = n == MOST_PIECES - 1 ? job->items : first + 1 + draw(&seed) % (1 + job->items / 9);
        pieces[n] = (piece){job, first, last < job->items ? last : job->items};
        first = pieces[n].last;
    }
    for (int k = n - 1; k > 0; k--) {
        int other = (int)(draw(&seed) % (uint32_t)(k + 1));
        piece p = pieces[k];
        pieces[k] = pieces[other];
        pieces[other] = p;
    }
    pthread_t beside;
    bool two = n > 1 && pthread_create(&beside, NULL, compute_piece, &pieces[0]) == 0;
    for (int k = two; k < n; k++) compute_piece(&pieces[k]);
    if (two) pthread_join(beside, NULL);
    return true;
}

typedef struct { const char *file; attn_dim dims[8]; } program;
static const program programs[] = {
    {"causal_gqa", {{"B", 2}, {"S", 61}, {"T", 83}, {"H", 4}, {"G", 2}, {"D", 16}}},
    {"sliding_window", {{"B", 1}, {"S", 150}, {"H", 3}, {"D", 8}, {"W", 20}}},
    {"linear_attention", {{"T", 48}, {"H", 3}, {"D", 12}, {"E", 20}}},
    {"layer_norm", {{"B", 4}, {"S", 50}, {"E", 96}}},
    {"convolution", {{"B", 2}, {"C", 3}, {"Y", 30}, {"X", 41}, {"F", 5}}},
    {"documents", {{NULL, 0}}},
};
enum { MOST_TENSORS = 8, MOST_BYTES = 1 << 17 };
typedef struct { size_t bytes[MOST_TENSORS]; char at[MOST_TENSORS][MOST_BYTES]; size_t n; } results;

/* Every input drawn from the same seed, every output made by the run. */
static void compute_program(attn_context *context, const program *p, results *out) {
    char path[512];
    attn_program *text = NULL;
    attn_module *module = NULL;
    attn_model *model = NULL;
    attn_graph_info g = ATTN_GRAPH_INFO_INIT;
    attn_argument in[MOST_TENSORS] = {0}, made[MOST_TENSORS] = {0};
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    snprintf(path, sizeof path, ATTN_SOURCE_DIR "/examples/%s.attn", p->file);
    assert_int_equal(attn_program_from_file(context, path, NULL, &text), ATTN_OK);
    assert_int_equal(attn_program_graph(text, 0, &g), ATTN_OK);
    size_t n_dims = 0;
    while (p->dims[n_dims].name) n_dims++;
    for (size_t k = 0; k < g.n_tensors; k++) {
        attn_tensor_info t = ATTN_TENSOR_INFO_INIT;
        assert_int_equal(attn_program_tensor(text, NULL, k, &t), ATTN_OK);
        if (t.kind == ATTN_OUTPUT) made[o.n_outputs++].name = t.name;
        else assert_int_equal(attn_program_sample(context, text, NULL, k, p->dims, n_dims, 1, NULL, &in[o.n_inputs].tensor), ATTN_OK);
        if (t.kind == ATTN_INPUT) in[o.n_inputs++].name = t.name;
    }
    assert_int_equal(attn_module_create(context, text, NULL, NULL, &module), ATTN_OK);
    assert_int_equal(attn_model_create(context, module, NULL, NULL, &model), ATTN_OK);
    o.inputs = in, o.outputs = made;
    assert_int_equal(attn_model_run(model, &o, NULL), ATTN_OK);
    out->n = o.n_outputs;
    for (size_t k = 0; k < o.n_outputs; k++) {
        out->bytes[k] = (size_t)attn_tensor_elements(made[k].tensor) * attn_dtype_bytes(attn_tensor_dtype(made[k].tensor));
        assert_true(out->bytes[k] > 0 && out->bytes[k] <= MOST_BYTES);
        memcpy(out->at[k], attn_tensor_data(made[k].tensor), out->bytes[k]);
        attn_tensor_destroy(made[k].tensor);
    }
    for (size_t k = 0; k < o.n_inputs; k++) attn_tensor_destroy(in[k].tensor);
    attn_model_destroy(model);
    attn_module_destroy(module);
    attn_program_destroy(text);
}

/* All programs on 1, 2, 3 and 7 threads, and on executors that cut jobs as they like: the same bits. */
static void test_same_bits(void **state) {
    static results first, other;
    odd odds[2] = {{.seed = 1}, {.seed = 12345}};
    attn_executor executors[2] = {{sizeof(attn_executor), &odds[0], run_oddly, NULL}, {sizeof(attn_executor), &odds[1], run_oddly, NULL}};
    attn_context *contexts[6];
    (void)state;
    for (int k = 0; k < 6; k++) {
        attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
        o.threads = (int[]){1, 2, 3, 7, 0, 0}[k];
        if (k >= 4) o.executor = &executors[k - 4];
        assert_int_equal(attn_context_create(&o, NULL, &contexts[k]), ATTN_OK);
    }
    for (size_t p = 0; p < COUNT(programs); p++)
        for (int k = 0; k < 6; k++) {
            compute_program(contexts[k], &programs[p], k ? &other : &first);
            if (!k) continue;
            assert_int_equal(other.n, first.n);
            for (size_t t = 0; t < first.n; t++)
                if (memcmp(other.at[t], first.at[t], first.bytes[t])) fail_msg("%s: output %zu differs in context %d", programs[p].file, t, k);
        }
    for (int k = 0; k < 6; k++) attn_context_destroy(contexts[k]);
    assert_true(odds[0].jobs >= (int)COUNT(programs) && odds[1].jobs >= (int)COUNT(programs));
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
    const double far_away[] = {0, 100, 1e30, (double)INFINITY};
    for (int k = 0; k < 4; k++) {
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

/* ---- what a call leaves that has not come to its end */

static const char updating[] = "graph update(x: f32[N], row: i32[M]) -> (x: f32[N]) {\n"
                               "    x[n] = sum(m, k: abs(x[row[m]]*x[k] - x[n]))\n"
                               "}\n";
enum { CELLS = 1000, UPDATES = 200 };
typedef struct { world w; int64_t cells, updates; float x[CELLS]; int32_t row[UPDATES]; attn_argument in[2], out; attn_run_options o; } updater;

/* executor: NULL for the context's own threads. */
static updater *updater_open(const char *target, const attn_executor *executor) {
    updater *u = calloc(1, sizeof *u);
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_module_options m = ATTN_MODULE_OPTIONS_INIT;
    o.executor = executor;
    m.target = target;
    u->w = world_open(NULL, NULL);
    attn_context_destroy(u->w.context);
    assert_int_equal(attn_context_create(&o, NULL, &u->w.context), ATTN_OK);
    assert_int_equal(attn_program_from_text(u->w.context, "update.attn", updating, sizeof updating - 1, NULL, &u->w.program), ATTN_OK);
    assert_int_equal(attn_module_create(u->w.context, u->w.program, &m, NULL, &u->w.module), ATTN_OK);
    assert_int_equal(attn_model_create(u->w.context, u->w.module, NULL, NULL, &u->w.model), ATTN_OK);
    /* The evaluator gets a few turns. */
    u->cells = strcmp(target, "eval") ? CELLS : 8;
    u->updates = strcmp(target, "eval") ? UPDATES : 3;
    for (int k = 0; k < CELLS; k++) u->x[k] = (float)(k % 5);
    for (int k = 0; k < UPDATES; k++) u->row[k] = k;
    u->in[0] = (attn_argument){"x", world_wrap(&u->w, ATTN_F32, 1, &u->cells, u->x)};
    u->in[1] = (attn_argument){"row", world_wrap(&u->w, ATTN_I32, 1, &u->updates, u->row)};
    u->out = (attn_argument){"x", u->in[0].tensor};
    u->o = (attn_run_options)ATTN_RUN_OPTIONS_INIT;
    u->o.inputs = u->in, u->o.n_inputs = 2, u->o.outputs = &u->out, u->o.n_outputs = 1;
    return u;
}

static bool is_untouched(const updater *u) {
    bool same = true;
    for (int k = 0; k < CELLS; k++) same &= u->x[k] >= (float)(k % 5) && u->x[k] <= (float)(k % 5);
    return same;
}

static void updater_close(updater *u) {
    attn_tensor_destroy(u->in[0].tensor);
    attn_tensor_destroy(u->in[1].tensor);
    world_close(&u->w);
    free(u);
}

/* Computes half of a job's items; then the call is over: its flag is set, or its deadline comes. Jobs of calls without either are done. */
typedef struct { bool cancel; int cut_short; } halver;

static bool run_half(void *self, const attn_job *job) {
    halver *h = self;
    const attn_call *call = job->call;       /* NULL while kernels are compiled */
    const bool late = call && call->deadline_ns != INT64_MAX && call->deadline_ns != 0, cancels = call && call->cancel, over = late || cancels;
    void *scratch = NULL;
    if (job->scratch_bytes) assert_int_equal(posix_memalign(&scratch, 64, (size_t)job->scratch_bytes), 0);
    job->fn(job->frame, 0, over ? (job->items + 1) / 2 : job->items, scratch);
    free(scratch);
    h->cut_short += over;
    if (cancels) h->cancel = true;
    if (late) usleep(120000);
    return !over;
}

/* An output in place of its input: as it was after a late call, a cancelled one, and one whose data are wrong; updated by one that ends well. */
static void test_in_place(void **state) {
    halver half = {0};
    const attn_executor executor = {sizeof executor, &half, run_half, NULL};
    updater *u = updater_open(*state, &executor);
    const bool kernels = strcmp(*state, "eval") != 0;
    u->o.deadline_s = kernels ? 0.1 : -1;
    assert_int_equal(attn_model_run(u->w.model, &u->o, NULL), ATTN_ERROR_DEADLINE);
    assert_true(is_untouched(u));
    u->o.deadline_s = 0;
    u->o.cancel = &half.cancel;
    half.cancel = !kernels;
    assert_int_equal(attn_model_run(u->w.model, &u->o, NULL), ATTN_ERROR_CANCELLED);
    assert_true(is_untouched(u));
    if (kernels) assert_true(half.cut_short >= 1);
    u->o.cancel = NULL;
    u->row[u->updates - 1] = CELLS;
    assert_said(&u->w, attn_model_run(u->w.model, &u->o, u->w.said), ATTN_ERROR_DATA, "E0601", "1000");
    assert_true(is_untouched(u));
    updater_close(u);
}

/* The result of an update in place is that of one into memory of its own. */
static void test_in_place_is_apart(void **state) {
    updater *u = updater_open(*state, NULL);
    attn_tensor *same = u->in[0].tensor;
    u->out.tensor = NULL;
    assert_int_equal(attn_model_run(u->w.model, &u->o, NULL), ATTN_OK);
    attn_tensor *apart = u->out.tensor;
    assert_true(is_untouched(u));
    u->out.tensor = same;
    assert_int_equal(attn_model_run(u->w.model, &u->o, NULL), ATTN_OK);
    assert_false(is_untouched(u));
    assert_memory_equal(u->x, attn_tensor_data(apart), sizeof u->x);
    attn_tensor_destroy(apart);
    updater_close(u);
}

/* What lies there only in part, or under another name, is refused as ever. */
static void test_in_place_is_exact(void **state) {
    updater *u = updater_open("cpu", NULL);
    float more[CELLS + 1] = {0};
    (void)state;
    attn_tensor *in = world_wrap(&u->w, ATTN_F32, 1, (int64_t[]){CELLS}, more), *out = world_wrap(&u->w, ATTN_F32, 1, (int64_t[]){CELLS}, more + 1), *all = u->in[0].tensor;
    u->in[0].tensor = in;
    u->out.tensor = out;
    assert_said(&u->w, attn_model_run(u->w.model, &u->o, u->w.said), ATTN_ERROR_ARGUMENT, "E0958", "overlaps");
    u->in[0].tensor = all;
    attn_tensor_destroy(in);
    attn_tensor_destroy(out);
    updater_close(u);
}

/* ---- fork */

static void *run_until(void *self) {
    squaring *s = self;
    while (!__atomic_load_n(s->o.cancel, __ATOMIC_RELAXED)) square(s);
    return NULL;
}

/* Children that are made while another thread runs the model: they compute alone, and wait for nobody. */
static void test_fork(void **state) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    (void)state;
    o.threads = 3;
    squaring s = squaring_open(&o), mine = s;
    static float wanted[N * N];
    bool stop = false;
    pthread_t runner;
    assert_int_equal(square(&s), ATTN_OK);
    memcpy(wanted, s.y, sizeof wanted);
    mine.y = malloc(sizeof(float) * N * N);
    mine.out.tensor = world_wrap(&s.w, ATTN_F32, 2, (int64_t[]){N, N}, mine.y);
    s.o.cancel = &stop;
    assert_int_equal(pthread_create(&runner, NULL, run_until, &s), 0);
    for (int k = 0; k < 5; k++) {
        usleep(2000);
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            mine.o.cancel = NULL;
            _exit(square(&mine) == ATTN_OK && !memcmp(mine.y, wanted, sizeof wanted) ? 0 : 1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    pthread_join(runner, NULL);
    attn_tensor_destroy(mine.out.tensor);
    free(mine.y);
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
        cmocka_unit_test(test_two_share_a_pool), cmocka_unit_test(test_same_bits), cmocka_unit_test(test_in_place_is_exact), cmocka_unit_test(test_fork),
        {"in place on cpu", test_in_place, NULL, NULL, (void *)(uintptr_t)"cpu"},
        {"in place on eval", test_in_place, NULL, NULL, (void *)(uintptr_t)"eval"},
        {"in place is apart on cpu", test_in_place_is_apart, NULL, NULL, (void *)(uintptr_t)"cpu"},
        cmocka_unit_test(test_deadline), cmocka_unit_test(test_old_options), cmocka_unit_test(test_unfit_executors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

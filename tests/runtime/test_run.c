/* The interpreter of steps on entries made by hand: launches, loops, checks, copies, cancelling; on the host, and on a device whose memory
 * is its own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "rt.h"

/* graph g(x: i64[N]) -> (y: i64[N]): y = x + 1, three times over itself, by a loop; then a check that no y is 99. */
static void add_one(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    int64_t *y = frame->buffers[0];
    (void)scratch;
    for (int64_t k = first; k < last; k++) y[k] += frame->ints[0] >= 0;
}

static void find_99(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    const int64_t *y = frame->buffers[1];
    int64_t *at = frame->buffers[0];
    (void)first, (void)last, (void)scratch;
    *at = INT64_MAX;
    for (int64_t k = frame->ints[0]; k-- > 0;)
        if (y[k] == 99) *at = k;
}

static void fetch_99(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    (void)first, (void)last, (void)scratch;
    *(int64_t *)frame->buffers[0] = ((const int64_t *)frame->buffers[2])[*(const int64_t *)frame->buffers[1]];
}

enum { N, LO, HI, COUNTER, ONE, BYTES, EIGHT, AT, FOUND, WORKSPACE, NO_SCRATCH, N_SLOTS };
enum { X, Y, POSITION, OFFENDER, N_BUFFERS };

static const uint32_t dims[] = {N}, counter[] = {COUNTER}, only_y[] = {Y}, y_from_x[] = {Y, X}, position[] = {POSITION};
static const uint32_t search[] = {POSITION, Y}, fetching[] = {OFFENDER, POSITION, Y}, failing[] = {POSITION, OFFENDER};
static const char *const texts[] = {"N"}, *const names[] = {"n"};
static const rt_tensor_info tensors[] = {{RT_TENSOR_INPUT, "x", RT_NONE, RT_I64, 1, dims, texts, 0, {0}}, {RT_TENSOR_OUTPUT, "y", RT_NONE, RT_I64, 1, dims, texts, 0, {0}}};
static const rt_int_op bind[] = {
    {.op = RT_INT_SHAPE, .dst = N},
    {.op = RT_INT_LITERAL, .dst = LO, .literal = 0},
    {.op = RT_INT_LITERAL, .dst = HI, .literal = 3},
    {.op = RT_INT_LITERAL, .dst = ONE, .literal = 1},
    {.op = RT_INT_LITERAL, .dst = EIGHT, .literal = 8},
    {.op = RT_INT_MUL, .dst = BYTES, .a = N, .b = EIGHT},
    {.op = RT_INT_LITERAL, .dst = AT, .literal = 0},
    {.op = RT_INT_LITERAL, .dst = FOUND, .literal = 64},
    {.op = RT_INT_LITERAL, .dst = WORKSPACE, .literal = 128},
    {.op = RT_INT_LITERAL, .dst = NO_SCRATCH, .literal = 0},
};
static const rt_kernel kernels[] = {{.name = "y", .fn = add_one, .n_ints = 1, .n_buffers = 1, .n_results = 1},
                                    {.name = "y_at", .fn = find_99, .n_ints = 1, .n_buffers = 2, .n_results = 1},
                                    {.name = "y_found", .fn = fetch_99, .n_ints = 1, .n_buffers = 3, .n_results = 1}};
static const rt_buffer buffers[] = {
    {.kind = RT_BUFFER_TENSOR, .index = 0, .bytes = BYTES}, {.kind = RT_BUFFER_TENSOR, .index = 1, .bytes = BYTES},
    {.kind = RT_BUFFER_WORK, .offset = AT, .bytes = EIGHT}, {.kind = RT_BUFFER_WORK, .offset = FOUND, .bytes = EIGHT}};
static const rt_check checks[] = {{"divisor", NULL, 0, 0, dims, names, 1, {0}}};
static const rt_step steps[] = {
    {.kind = RT_STEP_ZERO, .buffers = only_y},
    {.kind = RT_STEP_COPY, .buffers = y_from_x},
    {.kind = RT_STEP_LOOP, .counter = COUNTER, .lo = LO, .hi = HI, .target = 5},
    {.kind = RT_STEP_LAUNCH, .kernel = 0, .items = N, .cost = ONE, .scratch = NO_SCRATCH, .ints = counter, .buffers = only_y},
    {.kind = RT_STEP_NEXT, .counter = COUNTER, .target = 3},
    {.kind = RT_STEP_LAUNCH, .kernel = 1, .items = ONE, .cost = ONE, .scratch = NO_SCRATCH, .ints = dims, .buffers = search},
    {.kind = RT_STEP_CHECK, .buffers = position, .target = 9},
    {.kind = RT_STEP_LAUNCH, .kernel = 2, .items = ONE, .cost = ONE, .scratch = NO_SCRATCH, .ints = dims, .buffers = fetching},
    {.kind = RT_STEP_FAIL, .buffers = failing, .check = 0},
};
static const rt_entry entry = {.n_slots = N_SLOTS, .applies = RT_NONE, .kernels = kernels, .n_kernels = 3, .steps = steps, .n_steps = sizeof steps / sizeof *steps,
                               .buffers = buffers, .n_buffers = N_BUFFERS, .checks = checks, .n_checks = 1, .workspace = WORKSPACE};
static const rt_graph graph = {.name = "g", .tensors = tensors, .n_tensors = 2, .dim_names = texts, .n_dims = 1, .n_slots = N_SLOTS, .bind = bind,
                               .n_bind = sizeof bind / sizeof *bind, .entries = &entry, .n_entries = 1};

static bool run_here(void *self, const rt_job *job) {
    (void)self;
    job->fn(job->frame, 0, job->items, NULL);
    return true;
}

static int one(void *self) {
    (void)self;
    return 1;
}

/* A host whose memory may not be used as it is: every buffer is a copy. */
typedef struct { rt_device device; rt_host host; int copies_in, copies_out; bool broken; } apart;

static bool apart_alloc(rt_device *d, size_t bytes, void **out) { return ((apart *)d)->host.device.alloc(&((apart *)d)->host.device, bytes, out); }
static void apart_free(rt_device *d, void *at, size_t bytes) { ((apart *)d)->host.device.free(&((apart *)d)->host.device, at, bytes); }
static bool apart_in(rt_device *d, void *to, const void *from, size_t bytes) {
    ((apart *)d)->copies_in++;
    if (bytes) memcpy(to, from, bytes);
    return true;
}
static bool apart_out(rt_device *d, void *to, const void *from, size_t bytes) {
    ((apart *)d)->copies_out++;
    if (bytes) memcpy(to, from, bytes);
    return true;
}
static bool apart_copy(rt_device *d, void *to, const void *from, size_t bytes) { return ((apart *)d)->host.device.copy(&((apart *)d)->host.device, to, from, bytes); }
static bool apart_zero(rt_device *d, void *at, size_t bytes) { return ((apart *)d)->host.device.zero(&((apart *)d)->host.device, at, bytes); }
static bool apart_launch(rt_device *d, const rt_launch *l) {
    if (((apart *)d)->broken) return snprintf(d->error, sizeof d->error, "it is on fire"), false;
    return ((apart *)d)->host.device.launch(&((apart *)d)->host.device, l);
}
static bool apart_wait(rt_device *d) { return ((apart *)d)->host.device.wait(&((apart *)d)->host.device); }

static const rt_executor serial = {sizeof(rt_executor), NULL, run_here, one};

static void apart_init(apart *a) {
    base_allocator allocator = base_allocator_or_malloc(NULL);
    *a = (apart){.device = {.struct_size = sizeof a->device, .name = "apart", .alloc = apart_alloc, .free = apart_free, .copy_in = apart_in, .copy_out = apart_out,
                            .copy = apart_copy, .zero = apart_zero, .launch = apart_launch, .wait = apart_wait}};
    rt_host_init(&a->host, &serial, &allocator);
}

typedef struct {
    base_arena *arena;
    base_diags *diags;
    jmp_buf on_failure;
    rt_blocks *blocks;
    rt_instance instance;
    rt_call call;
    rt_array tensors[2];
    bool cancel;
} world;

static world *open_world(rt_device *device) {
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    base_allocator allocator = base_allocator_or_malloc(NULL);
    if (setjmp(w->on_failure)) fail_msg("out of memory");
    w->arena = base_arena_create(NULL, &w->on_failure);
    w->diags = base_diags_create(w->arena);
    w->blocks = rt_blocks_create(&allocator, device);
    w->instance = (rt_instance){.graph = &graph, .device = device, .executor = serial, .allocator = allocator, .blocks = w->blocks};
    w->call = (rt_call){.instance = &w->instance, .arena = w->arena, .diags = w->diags, .tensors = w->tensors, .terms = {.cancel = &w->cancel}};
    return w;
}

static void close_world(world *w) {
    rt_release(&w->call);
    rt_blocks_destroy(w->blocks);
    base_arena_destroy(w->arena);
    free(w);
}

static bool run(world *w, int64_t n, int64_t *x, int64_t stride, int64_t *y) {
    rt_array_dense(&w->tensors[0], RT_I64, 1, &n, x);
    rt_array_dense(&w->tensors[1], RT_I64, 1, &n, y);
    w->tensors[0].stride[0] = stride;
    bool fine = rt_bind(&w->call) && rt_run(&w->call);
    rt_release(&w->call);
    return fine;
}

static void computes(rt_device *device) {
    world *w = open_world(device);
    int64_t x[6] = {1, 2, 3, 4, 5, 6}, y[3] = {0};
    assert_true(run(w, 3, x, 1, y));
    assert_true(y[0] == 4 && y[1] == 5 && y[2] == 6);
    assert_true(run(w, 3, x + 5, -2, y));                        /* every other element, backwards */
    assert_true(y[0] == 9 && y[1] == 7 && y[2] == 5);
    assert_true(run(w, 0, NULL, 1, NULL));
    assert_true(x[0] == 1 && x[5] == 6);
    close_world(w);
}

static void on_the_host(void **state) {
    (void)state;
    computes(NULL);
}

static void on_a_device(void **state) {
    apart a;
    (void)state;
    apart_init(&a);
    computes(&a.device);
    assert_true(a.copies_in >= 2 && a.copies_out >= 2);
}

static void times(void **state) {
    rt_kernel_time t[3] = {{0, 0}};
    int64_t x[2] = {1, 2}, y[2];
    world *w = open_world(NULL);
    (void)state;
    w->call.times = t;
    assert_true(run(w, 2, x, 1, y) && run(w, 2, x, 1, y));
    assert_true(t[0].launches == 6 && t[1].launches == 2 && t[2].launches == 0 && t[0].seconds > 0);
    close_world(w);
}

/* The least position is what is reported, and the offending kernel runs only then. */
static void a_check_fails(void **state) {
    int64_t x[4] = {1, 96, 96, 4}, y[4];
    world *w = open_world(NULL);
    (void)state;
    assert_false(run(w, 4, x, 1, y));
    assert_int_equal(w->diags->first->message, BASE_MSG_ZERO_DIVISOR);
    assert_non_null(strstr(w->diags->first->text, "n = 1"));
    close_world(w);
}

static void is_cancelled(void **state) {
    int64_t x[2] = {1, 2}, y[2] = {-1, -1};
    world *w = open_world(NULL);
    (void)state;
    w->cancel = true;
    assert_false(run(w, 2, x, 1, y));
    assert_true(w->call.cancelled && !w->diags->first);
    close_world(w);
}

static void a_device_fails(void **state) {
    int64_t x[2] = {1, 2}, y[2];
    apart a;
    (void)state;
    apart_init(&a);
    a.broken = true;
    world *w = open_world(&a.device);
    assert_false(run(w, 2, x, 1, y));
    assert_int_equal(w->diags->first->message, BASE_MSG_DEVICE_FAILS);
    assert_non_null(strstr(w->diags->first->text, "it is on fire"));
    close_world(w);
}

/* ---- an entry that takes strides: y[n] = x[n], x with any stride that is not negative */

static void gather(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    (void)scratch;
    for (int64_t k = first; k < last; k++) ((int64_t *)frame->buffers[0])[k] = ((const int64_t *)frame->buffers[1])[k * frame->ints[0]];
}

enum { STRIDE = N_SLOTS, FITS, N_STRIDED };
static const uint32_t takes[] = {FITS, RT_NONE}, stride[] = {STRIDE}, gathered[] = {Y, X};
static const rt_int_op strided_bind[] = {{.op = RT_INT_STRIDE, .dst = STRIDE, .a = 0, .b = 0}, {.op = RT_INT_LE, .dst = FITS, .a = LO, .b = STRIDE}};
static const rt_kernel gathering[] = {{.name = "y", .fn = gather, .n_ints = 1, .n_buffers = 2, .n_results = 1}};
static const rt_step gather_step[] = {{.kind = RT_STEP_LAUNCH, .items = N, .cost = ONE, .scratch = NO_SCRATCH, .ints = stride, .n_ints = 1, .buffers = gathered, .n_buffers = 2}};
static const rt_entry strided = {.n_slots = N_STRIDED, .bind = strided_bind, .n_bind = 2, .applies = RT_NONE, .takes = takes, .n_takes = 2, .kernels = gathering,
                                 .n_kernels = 1, .steps = gather_step, .n_steps = 1, .buffers = buffers, .n_buffers = N_BUFFERS, .workspace = WORKSPACE};

static void strides_are_taken_or_copied(void **state) {
    static const struct { int64_t start, stride; rt_copy copy; int64_t last; } all[] = {
        {0, 1, RT_COPY_NONE, 3}, {0, 2, RT_COPY_NONE, 5}, {1, 0, RT_COPY_NONE, 2}, {5, -2, RT_COPY_STRIDES, 2}, {2, -1, RT_COPY_STRIDES, 1}};
    rt_graph g = graph;
    apart a;
    (void)state;
    g.entries = &strided;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        int64_t x[6] = {1, 2, 3, 4, 5, 6}, y[3] = {0};
        world *w = open_world(NULL);
        w->instance.graph = &g;
        assert_true(run(w, 3, x + all[k].start, all[k].stride, y));
        assert_true(y[0] == x[all[k].start] && y[2] == all[k].last);
        assert_int_equal(rt_input_copy(&w->call, 0), all[k].copy);
        close_world(w);
    }
    /* On a device with memory of its own every input is a copy, and a copy is dense. */
    int64_t x[6] = {1, 2, 3, 4, 5, 6}, y[3] = {0};
    apart_init(&a);
    world *w = open_world(&a.device);
    w->instance.graph = &g;
    assert_true(run(w, 3, x, 2, y));
    assert_true(y[0] == 1 && y[1] == 3 && y[2] == 5);
    assert_int_equal(rt_input_copy(&w->call, 0), RT_COPY_DEVICE);
    close_world(w);
}

/* Sizes were compared when the call began; a loop whose counter is the size of a buffer changes them afterwards. No compiler writes such a module. */
static void a_loop_lets_a_buffer_grow(void **state) {
    static const rt_step growing[2][3] = {
        {{.kind = RT_STEP_LOOP, .counter = BYTES, .lo = FOUND, .hi = WORKSPACE, .target = 3}, {.kind = RT_STEP_ZERO, .buffers = only_y}, {.kind = RT_STEP_NEXT, .counter = BYTES, .target = 1}},
        {{.kind = RT_STEP_LOOP, .counter = BYTES, .lo = FOUND, .hi = WORKSPACE, .target = 3}, {.kind = RT_STEP_COPY, .buffers = y_from_x}, {.kind = RT_STEP_NEXT, .counter = BYTES, .target = 1}},
    };
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        world *w = open_world(NULL);
        rt_entry e = entry;
        rt_graph g = graph;
        int64_t x[8] = {0}, y[8] = {1, 1, 1, 1, 1, 1, 1, 1};
        e.steps = growing[k], e.n_steps = 3;
        g.entries = &e;
        w->instance.graph = &g;
        assert_false(run(w, 3, x, 1, y));
        assert_int_equal(w->diags->first->message, BASE_MSG_MODULE_DAMAGED);
        for (size_t i = 0; i < 8; i++) assert_int_equal(y[i], 1);
        close_world(w);
    }
}

static void a_shape_is_unfit(void **state) {
    world *w = open_world(NULL);
    int64_t x[4] = {0}, n = 4;
    (void)state;
    rt_array_dense(&w->tensors[0], RT_I64, 2, (int64_t[]){2, 2}, x);
    rt_array_dense(&w->tensors[1], RT_I64, 1, &n, x);
    assert_false(rt_bind(&w->call));
    assert_int_equal(w->diags->first->message, BASE_MSG_TENSOR_RANK);
    close_world(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_the_host),  cmocka_unit_test(on_a_device),    cmocka_unit_test(times),           cmocka_unit_test(a_check_fails),
        cmocka_unit_test(is_cancelled), cmocka_unit_test(a_device_fails), cmocka_unit_test(a_shape_is_unfit), cmocka_unit_test(a_loop_lets_a_buffer_grow), cmocka_unit_test(strides_are_taken_or_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

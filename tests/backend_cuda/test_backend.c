/* The backend from end to end without a GPU, over the fake libraries: what is missing is said, errors of the driver come through as
 * texts, nothing stays alive, and a device does what the contract promises. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "emulated.h"
#include "cuda_internal.h"
#include "passes.h"

typedef struct {
    base_arena *arena;
    base_diags *diags;
    const ir_backend *backend;
    ir_schedule schedule;
    const ir_schedule *schedules[1];
    rt_kernel kernel;
    jmp_buf fail;
} world;

static const char source[] = "graph g (S) {\n x: f32[S] = input\n y[i in 0..S]: f32 = x[i]*2.0 + 1.0\n output y\n}\n";
static const char fold_source[] = "graph g (S) {\n x: f32[S] = input\n y[]: f32 = sum(i in 0..S: x[i])\n output y\n}\n";

static void first_map(void *env, const ir_node *node, uint32_t depth) {
    const ir_node **out = env;
    (void)depth;
    if (node->form == IR_FORM_MAP && !*out) *out = node;
}

static void begin(world *w, const char *text) {
    memset(w, 0, sizeof *w);
    w->arena = base_arena_create(NULL, &w->fail);
    w->diags = base_diags_create(w->arena);
    w->backend = emulated_backend(w->arena);
    ir_graph *g = ir_graph_read(w->arena, w->diags, base_file_add(w->diags, "test", text, strlen(text)));
    assert_non_null(g);
    const ir_node *map = NULL;
    ir_graph_each(g, first_map, &map);
    w->schedule = (ir_schedule){.kernel = pass_lower_node(g->unit, map), .form = IR_NEST};
    w->schedules[0] = &w->schedule;
    assert_non_null(w->schedule.kernel);
}

static bool compile(world *w) {
    rt_image image;
    if (!w->backend->compile(w->backend, w->backend->target(w->backend, NULL, w->arena), 1, w->schedules, NULL, w->arena, &image, w->diags)) return false;
    w->kernel = ir_kernel_contract(&w->schedule, image);
    return true;
}
/* A device with the kernel on it. */
static rt_device *open_device(world *w, void **code) {
    char error[256];
    assert_true(compile(w));
    rt_device *d = w->backend->device_create(w->backend, NULL, error, sizeof error);
    assert_non_null(d);
    assert_true(d->load(d, 1, &w->kernel, code));
    return d;
}
static void close_device(world *w, rt_device *d, void *code) {
    d->unload(d, code);
    w->backend->device_destroy(w->backend, d);
}
static const char *message(const world *w) { return w->diags->first ? w->diags->first->text : ""; }
static const char *code(const world *w) { return w->diags->first ? base_messages[w->diags->first->message].code : ""; }

static int clean(void **state) {
    (void)state;
    emulated_reset();
    return 0;
}

/* ---- what is there */

static void test_available(void **state) {
    (void)state;
    world w;
    begin(&w, source);
    assert_null(w.backend->unavailable(w.backend, w.arena));
    assert_string_equal(w.backend->name, "cuda");
    const ir_target *here = w.backend->target(w.backend, NULL, w.arena), *other = w.backend->target(w.backend, "sm_80", w.arena);
    assert_string_equal(here->cpu, "sm_90a");
    assert_string_equal(other->cpu, "sm_80");
    assert_true(here->matmul_rate > other->matmul_rate && other->matmul_rate > 0);
    assert_int_equal(emulated_alive(), 0);
    base_arena_destroy(w.arena);
}

static const char *why_not(const cuda_options *options, base_arena *arena) {
    const ir_backend *b = cuda_backend_create(arena, options);
    const char *why = b->unavailable(b, arena);
    assert_non_null(why);
    return why;
}

static void test_missing(void **state) {
    (void)state;
    world w;
    begin(&w, source);
    const char *why = why_not(&(cuda_options){.driver = "/nowhere/libcuda.so.1", .nvrtc = ATTN_FAKE_CUDA}, w.arena);
    assert_string_equal(why, "no CUDA driver; tried /nowhere/libcuda.so.1");
    why = why_not(&(cuda_options){.driver = ATTN_FAKE_CUDA, .nvrtc = "/nowhere/libnvrtc.so.12"}, w.arena);
    assert_string_equal(why, "no NVRTC library; tried /nowhere/libnvrtc.so.12");
    w.backend = cuda_backend_create(w.arena, &(cuda_options){.driver = "/nowhere/libcuda.so.1"});
    assert_false(compile(&w));
    assert_string_equal(code(&w), "E0811");
    assert_non_null(strstr(message(&w), "tried /nowhere/libcuda.so.1"));
    char error[256];
    assert_null(w.backend->device_create(w.backend, NULL, error, sizeof error));
    assert_non_null(strstr(error, "/nowhere/libcuda.so.1"));
    base_arena_destroy(w.arena);
}

/* The search itself, in an empty world: every name that is looked for is in the text, in order. */
static void test_names_tried(void **state) {
    (void)state;
    cuda_search search = {0};
    cuda_search_name(&search, "libnone.so.1");
    cuda_search_glob(&search, "/nowhere/*/libnone.so.*");
    assert_null(search.library);
    assert_string_equal(search.tried, "libnone.so.1, /nowhere/*/libnone.so.*");
    cuda_search_name(&search, ATTN_FAKE_CUDA);
    assert_non_null(search.library);
    cuda_search_name(&search, "libafter.so");
    assert_null(strstr(search.tried, "libafter.so"));
    cuda_library_close(search.library);
}

/* Without options, on whatever machine this is: usable, or said why not by names. */
static void test_here(void **state) {
    (void)state;
    world w;
    begin(&w, source);
    const ir_backend *b = cuda_backend_create(w.arena, NULL);
    const char *why = b->unavailable(b, w.arena);
    print_message("%s\n", why ? why : "there is a GPU");
    assert_true(!why || strstr(why, "no GPU") || strstr(why, "tried libcuda.so.1, libcuda.so") || strstr(why, "tried libnvrtc.so.13, libnvrtc.so.12, libnvrtc.so.11.2"));
    base_arena_destroy(w.arena);
}

/* A file that is no NVRTC: the function that it lacks is named. */
static void test_wrong_library(void **state) {
    (void)state;
    world w;
    begin(&w, source);
    assert_non_null(strstr(why_not(&(cuda_options){.driver = ATTN_FAKE_CUDA, .nvrtc = "libc.so.6"}, w.arena), "no function nvrtcVersion"));
    assert_non_null(strstr(why_not(&(cuda_options){.driver = "libc.so.6", .nvrtc = ATTN_FAKE_CUDA}, w.arena), "no function cuInit"));
    base_arena_destroy(w.arena);
}

static void test_no_gpu(void **state) {
    (void)state;
    world w;
    begin(&w, source);
    emulated_fail("cuInit", 100);
    assert_string_equal(w.backend->unavailable(w.backend, w.arena), "no GPU: the CUDA driver is there, but sees no device");
    emulated_fail("cuInit", 34);
    assert_string_equal(w.backend->unavailable(w.backend, w.arena), "no GPU: the CUDA driver is the stub library of a toolkit");
    emulated_fail("cuInit", 999);
    assert_string_equal(w.backend->unavailable(w.backend, w.arena), "the CUDA driver could not start: unknown code (999)");
    assert_string_equal(w.backend->target(w.backend, NULL, w.arena)->cpu, "sm_80");
    emulated_fail("cuInit", 0);
    base_arena_destroy(w.arena);
}

/* ---- compiling and loading */

static void test_compile(void **state) {
    (void)state;
    world w;
    begin(&w, source);
    if (!setlocale(LC_ALL, "C.UTF-8")) print_message("no locale C.UTF-8 here: that it is put back is not seen\n");
    char before[64];
    snprintf(before, sizeof before, "%s", setlocale(LC_ALL, NULL));
    assert_true(compile(&w));
    assert_int_equal(emulated_alive(), 0);
    assert_string_equal(setlocale(LC_ALL, NULL), before);        /* the fake is of a version that leaves "C" behind */
    assert_string_equal(w.kernel.name, "y");
    assert_true(w.kernel.image.n > 0 && w.kernel.image.bytes);
    assert_string_equal(w.kernel.image.symbol, "k0_y");
    assert_int_equal(w.kernel.n_ints, 1);
    assert_int_equal(w.kernel.n_buffers, 2);
    char error[256];
    void *code;
    rt_device *d = w.backend->device_create(w.backend, NULL, error, sizeof error);
    assert_true(d->load(d, 1, &w.kernel, &code));
    assert_null(w.kernel.fn);
    assert_non_null(w.kernel.handle);
    d->unload(d, NULL);
    close_device(&w, d, code);
    assert_int_equal(emulated_alive(), 0);
    setlocale(LC_ALL, "C");
    base_arena_destroy(w.arena);
}

/* Without a driver nothing is compiled; what the driver refuses to load stays nowhere. */
static void test_compile_fails(void **state) {
    (void)state;
    world w;
    begin(&w, source);
    emulated_fail("cuDevicePrimaryCtxRetain", 2);
    assert_false(compile(&w));
    emulated_fail("cuDevicePrimaryCtxRetain", 0);
    assert_string_equal(code(&w), "E0811");
    assert_non_null(strstr(message(&w), "retain the primary context: CUDA_ERROR_OUT_OF_MEMORY"));
    assert_int_equal(emulated_alive(), 0);
    base_arena_destroy(w.arena);
}

static void test_load_fails(void **state) {
    (void)state;
    static const struct { const char *function; unsigned result; const char *text; } cases[] = {
        {"cuModuleLoadData", 200, "load the kernels: CUDA_ERROR_INVALID_IMAGE"},
        {"cuModuleGetFunction", 500, "find a kernel: CUDA_ERROR_NOT_FOUND"},
        {"cuCtxPushCurrent", 201, "current: CUDA_ERROR_INVALID_CONTEXT"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        begin(&w, source);
        char error[256];
        void *code = &w;
        assert_true(compile(&w));
        rt_device *d = w.backend->device_create(w.backend, NULL, error, sizeof error);
        emulated_fail(cases[i].function, cases[i].result);
        assert_false(d->load(d, 1, &w.kernel, &code));
        emulated_fail(cases[i].function, 0);
        assert_null(code);
        assert_null(w.kernel.handle);
        if (!strstr(d->error, cases[i].text)) fail_msg("%s: %s", cases[i].function, d->error);
        w.backend->device_destroy(w.backend, d);
        assert_int_equal(emulated_alive(), 0);
        base_arena_destroy(w.arena);
    }
}

/* ---- the device */

static void test_device(void **state) {
    (void)state;
    world w;
    begin(&w, source);
    void *c;
    rt_device *d = open_device(&w, &c);
    assert_false(d->host_memory);
    float in[5] = {1, 2, 3, 4, 5}, out[5] = {0};
    void *x = NULL, *y = NULL, *z = NULL;
    assert_true(d->alloc(d, sizeof in, &x) && d->alloc(d, sizeof out, &y) && d->alloc(d, 0, &z));
    assert_true(d->copy_in(d, x, in, sizeof in));
    int64_t ints[] = {5};
    void *buffers[] = {y, x};
    rt_launch launch = {.kernel = &w.kernel, .frame = {ints, buffers}, .items = 5, .cost_of_item = 2};
    assert_true(d->launch(d, &launch) && d->wait(d) && d->copy_out(d, out, y, sizeof out));
    for (int i = 0; i < 5; i++) assert_true(out[i] == in[i] * 2 + 1);
    assert_true(d->copy(d, x, y, sizeof in) && d->zero(d, y, 8) && d->copy_out(d, in, x, sizeof in) && d->copy_out(d, out, y, sizeof out));
    assert_memory_equal(&in[2], &out[2], 12);
    assert_true(out[0] == 0 && out[1] == 0 && in[0] == 3);
    assert_true(d->copy_in(d, z, in, 0) && d->copy_out(d, out, z, 0) && d->copy(d, z, z, 0) && d->zero(d, z, 0));
    d->free(d, x, sizeof in), d->free(d, y, sizeof out), d->free(d, z, 0), d->free(d, NULL, 0);
    close_device(&w, d, c);
    assert_int_equal(emulated_alive(), 0);
    base_arena_destroy(w.arena);
}

/* The grid follows the work and is bounded; no items, no launch. The fake has one processor. */
static void test_grid(void **state) {
    (void)state;
    world w;
    begin(&w, source);
    void *c;
    rt_device *d = open_device(&w, &c);
    float in[5] = {0};
    void *x;
    assert_true(d->alloc(d, sizeof in, &x) && d->copy_in(d, x, in, sizeof in));
    int64_t ints[] = {5};
    void *buffers[] = {x, x};
    static const struct { int64_t items, cost; unsigned blocks; } cases[] = {{1, 1, 1}, {2048, 1, 2}, {0, 100, 2}, {1 << 20, 1 << 20, 32}, {INT64_MAX, 1000, 32}, {3, 0, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rt_launch launch = {.kernel = &w.kernel, .frame = {ints, buffers}, .items = cases[i].items, .cost_of_item = cases[i].cost};
        assert_true(d->launch(d, &launch));
        assert_int_equal(emulated_last_blocks(), cases[i].blocks);
    }
    d->free(d, x, 0);
    close_device(&w, d, c);
    base_arena_destroy(w.arena);
}

static void test_device_errors(void **state) {
    (void)state;
    world w;
    begin(&w, fold_source);
    void *c;
    rt_device *d = open_device(&w, &c);
    void *x = NULL, *y = NULL;
    assert_true(d->alloc(d, 40, &x) && d->alloc(d, 4, &y) && d->zero(d, x, 40));
    emulated_fail("cuMemAlloc", 2);
    void *none = &none;
    assert_false(d->alloc(d, 8, &none));
    assert_null(none);
    assert_string_equal(d->error, "the CUDA driver could not allocate memory: CUDA_ERROR_OUT_OF_MEMORY (2)");
    emulated_fail("cuMemAlloc", 0);
    int64_t ints[] = {1000};     /* more than there is: the emulation sees it */
    void *buffers[] = {y, x};
    rt_launch launch = {.kernel = &w.kernel, .frame = {ints, buffers}, .items = 1, .cost_of_item = 1};
    assert_true(d->launch(d, &launch));
    assert_false(d->wait(d));
    assert_non_null(strstr(d->error, "CUDA_ERROR_ILLEGAL_ADDRESS (700)"));
    assert_non_null(strstr(emulated_error(), "outside of its buffer"));
    emulated_reset();
    rt_kernel wide = w.kernel;
    wide.n_ints = 600;
    launch.kernel = &wide;
    assert_false(d->launch(d, &launch));
    assert_non_null(strstr(d->error, "more than 512 parameters"));
    d->free(d, x, 40), d->free(d, y, 4);
    close_device(&w, d, c);
    w.backend->device_destroy(w.backend, NULL);
    assert_int_equal(emulated_alive(), 0);
    base_arena_destroy(w.arena);
}

/* A template that this backend does not know is said so, with the place. */
static void test_unknown_template(void **state) {
    (void)state;
    world w;
    begin(&w, source);
    w.schedule.form = IR_NEST + 77;
    assert_false(compile(&w));
    assert_string_equal(code(&w), "E0814");
    assert_true(w.diags->first->span.file != 0);
    assert_int_equal(emulated_alive(), 0);
    base_arena_destroy(w.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_available, clean),   cmocka_unit_test_setup(test_missing, clean),       cmocka_unit_test_setup(test_names_tried, clean), cmocka_unit_test_setup(test_here, clean),
        cmocka_unit_test_setup(test_wrong_library, clean), cmocka_unit_test_setup(test_no_gpu, clean),      cmocka_unit_test_setup(test_compile, clean),
        cmocka_unit_test_setup(test_compile_fails, clean), cmocka_unit_test_setup(test_load_fails, clean),  cmocka_unit_test_setup(test_device, clean),        cmocka_unit_test_setup(test_grid, clean),
        cmocka_unit_test_setup(test_device_errors, clean), cmocka_unit_test_setup(test_unknown_template, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

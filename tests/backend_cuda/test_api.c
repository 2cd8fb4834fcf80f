/* Target "cuda" as a host uses it, through attn.h, on the fake libraries: programs with loops, checks and several kernels against target
 * "eval"; and what a host is told when something is missing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <attn/attn.h>
#include "emulated.h"

typedef struct { attn_context *context; attn_diagnostics *diagnostics; attn_program *program; } world;

static void print_all(const world *w) {
    for (size_t k = 0; k < attn_diagnostics_count(w->diagnostics); k++) print_message("%s\n", attn_diagnostics_render(w->diagnostics, k, false));
}
static void ok(const world *w, attn_status status) {
    if (status != ATTN_OK) print_all(w);
    assert_int_equal(status, ATTN_OK);
}

static const char *cache_path;   /* of the contexts that begin makes; NULL: none */

static void begin(world *w, const char *driver, const char *nvrtc, const char *text) {
    attn_context_options options = ATTN_CONTEXT_OPTIONS_INIT;
    options.threads = 1, options.cuda_driver = driver, options.nvrtc = nvrtc, options.cache_path = cache_path;
    emulated_reset();
    assert_int_equal(attn_diagnostics_create(NULL, &w->diagnostics), ATTN_OK);
    ok(w, attn_context_create(&options, w->diagnostics, &w->context));
    ok(w, attn_program_from_text(w->context, "test.attn", text, strlen(text), w->diagnostics, &w->program));
}
static void end(world *w) {
    attn_program_destroy(w->program);
    attn_context_destroy(w->context);
    attn_diagnostics_destroy(w->diagnostics);
    assert_int_equal(emulated_alive(), 0);
}

enum { MOST = 8 };
typedef struct { attn_argument inputs[MOST]; size_t n_inputs; attn_argument outputs[MOST]; size_t n_outputs; attn_kernel_time times[64]; } arguments;

typedef struct { int64_t of[MOST][4]; } shapes;                  /* of the inputs, in order */

/* Reals in [-2, 2); integers below 3. */
static attn_tensor *sample(const world *w, size_t k, const attn_tensor_info *t, const int64_t *shape) {
    attn_tensor *out = NULL;
    ok(w, attn_tensor_create(w->context, t->dtype, t->rank, shape, w->diagnostics, &out));
    uint64_t seed = 88172645463325252u + k;
    for (int64_t i = 0; i < attn_tensor_elements(out); i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        if (t->dtype == ATTN_F32) ((float *)attn_tensor_data(out))[i] = (float)(seed % 4096) / 1024 - 2;
        else ((int32_t *)attn_tensor_data(out))[i] = (int32_t)(seed % 3);
    }
    return out;
}

static void draw(const world *w, const shapes *shape, arguments *a) {
    attn_graph_info g = ATTN_GRAPH_INFO_INIT;
    memset(a, 0, sizeof *a);
    ok(w, attn_program_graph(w->program, attn_program_n_graphs(w->program) - 1, &g));
    for (size_t k = 0; k < g.n_tensors; k++) {
        attn_tensor_info t = ATTN_TENSOR_INFO_INIT;
        ok(w, attn_program_tensor(w->program, NULL, k, &t));
        if (t.kind == ATTN_OUTPUT) a->outputs[a->n_outputs++].name = t.name;
        if (t.kind != ATTN_INPUT) continue;
        a->inputs[a->n_inputs].name = t.name;
        a->inputs[a->n_inputs].tensor = sample(w, k, &t, shape->of[a->n_inputs]);
        a->n_inputs++;
    }
}
static void drop(arguments *a) {
    for (size_t k = 0; k < a->n_inputs; k++) attn_tensor_destroy(a->inputs[k].tensor);
    for (size_t k = 0; k < a->n_outputs; k++) attn_tensor_destroy(a->outputs[k].tensor);
}

static attn_status run(const world *w, const char *target, arguments *a) {
    attn_module_options options = ATTN_MODULE_OPTIONS_INIT;
    attn_run_options how = ATTN_RUN_OPTIONS_INIT;
    attn_module *module = NULL;
    attn_model *model = NULL;
    options.target = target;
    how.inputs = a->inputs, how.n_inputs = a->n_inputs, how.outputs = a->outputs, how.n_outputs = a->n_outputs;
    ok(w, attn_module_create(w->context, w->program, &options, w->diagnostics, &module));
    attn_status status = attn_model_create(w->context, module, NULL, w->diagnostics, &model);
    if (status == ATTN_OK) status = attn_model_run(model, &how, w->diagnostics);
    attn_model_destroy(model);
    attn_module_destroy(module);
    return status;
}

static void compare(const attn_argument *found, const attn_argument *meant) {
    int64_t n = attn_tensor_elements(meant->tensor);
    assert_int_equal(attn_tensor_elements(found->tensor), n);
    assert_int_equal(attn_tensor_dtype(found->tensor), ATTN_F32);
    const float *a = attn_tensor_data(found->tensor), *b = attn_tensor_data(meant->tensor);
    for (int64_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= 2e-5f * fmaxf(1, fabsf(b[i])))) fail_msg("%s, element %lld: %g instead of %g", meant->name, (long long)i, (double)a[i], (double)b[i]);
}

static void agree(const char *text, const shapes *shape) {
    world w;
    arguments cuda, eval;
    begin(&w, ATTN_FAKE_CUDA, ATTN_FAKE_CUDA, text);
    draw(&w, shape, &cuda);
    draw(&w, shape, &eval);
    ok(&w, run(&w, "eval", &eval));
    ok(&w, run(&w, "cuda", &cuda));
    assert_string_equal(emulated_error(), "");
    for (size_t k = 0; k < eval.n_outputs; k++) compare(&cuda.outputs[k], &eval.outputs[k]);
    drop(&cuda), drop(&eval);
    end(&w);
}

static const char attention[] =
    "graph sdpa(q: f32[B,S,H,D], k: f32[B,T,H,D], v: f32[B,T,H,D], len: i32[B]) -> (o: f32[B,S,H,D])\n{\n"
    "    o[b,i,h,d] = attend(j: q[b,i,h,c], k[b,j,h,c], v[b,j,h,d]) { mask = j <= i + T - S and j < len[b] }\n}\n";
static const char layers[] =
    "graph net(x: f32[S,E], w: f32[L,E,E]) -> (y: f32[S,E])\n{\n"
    "    for l in 0..L {\n"
    "        n[i]   = rsqrt(sum(e: x[i,e]*x[i,e])/E + 0.00001)\n"
    "        x[i,e] = x[i,e] + gelu(sum(f: x[i,f]*n[i]*w[l,f,e]))/E\n"
    "    }\n"
    "    y[i,e] = x[i,e]\n}\n";
static const char lookup[] = "graph g(ids: i32[N], table: f32[V,E]) -> (y: f32[N,E])\n{\n    y[n,e] = table[ids[n],e]\n}\n";

static const shapes lookup_shapes = {{{5}, {7, 3}}};

static void test_attention(void **state) {
    (void)state;
    agree(attention, &(shapes){{{2, 3, 2, 5}, {2, 37, 2, 5}, {2, 37, 2, 5}, {2}}});
}
static void test_loop(void **state) {
    (void)state;
    agree(layers, &(shapes){{{4, 6}, {3, 6, 6}}});
}
static void test_lookup(void **state) {
    (void)state;
    agree(lookup, &lookup_shapes);
}

/* An index out of range is found on the device by the check's own kernels, and told with its position. */
static void test_check(void **state) {
    (void)state;
    world w;
    arguments a;
    begin(&w, ATTN_FAKE_CUDA, ATTN_FAKE_CUDA, lookup);
    draw(&w, &lookup_shapes, &a);
    ((int32_t *)attn_tensor_data(a.inputs[0].tensor))[3] = 9;
    assert_int_equal(run(&w, "cuda", &a), ATTN_ERROR_DATA);
    attn_diagnostic d = ATTN_DIAGNOSTIC_INIT;
    ok(&w, attn_diagnostics_get(w.diagnostics, 0, &d));
    assert_string_equal(d.code, "E0601");
    assert_non_null(strstr(d.message, "index 9"));
    assert_non_null(strstr(d.message, "table"));
    drop(&a);
    end(&w);
}

/* Kernels of the GPU are kept like those of the CPU: what was compiled once is not compiled again, and computes the same. */
static void test_cache(void **state) {
    (void)state;
    static char folder[] = "/tmp/attn-cuda-cache-XXXXXX";
    world w;
    int64_t n = 0;
    assert_non_null(mkdtemp(folder));
    cache_path = folder;
    agree(layers, &(shapes){{{4, 6}, {3, 6, 6}}});
    emulated_fail("nvrtcCompileProgram", 6);
    agree(layers, &(shapes){{{4, 6}, {3, 6, 6}}});
    begin(&w, ATTN_FAKE_CUDA, ATTN_FAKE_CUDA, layers);
    ok(&w, attn_cache_clear(w.context, &n, NULL, w.diagnostics));
    assert_true(n > 1);
    attn_module_options options = ATTN_MODULE_OPTIONS_INIT;
    attn_module *module = NULL;
    options.target = "cuda";
    emulated_fail("nvrtcCompileProgram", 6);
    assert_int_equal(attn_module_create(w.context, w.program, &options, w.diagnostics, &module), ATTN_ERROR_INTERNAL);
    emulated_fail("nvrtcCompileProgram", 0);
    end(&w);
    cache_path = NULL;
    assert_int_equal(rmdir(folder), 0);
}

/* ---- without a driver, a compiler, a GPU */

static void told(const char *driver, const char *nvrtc, const char *words) {
    world w;
    attn_module *module = NULL;
    attn_module_options options = ATTN_MODULE_OPTIONS_INIT;
    attn_diagnostic d = ATTN_DIAGNOSTIC_INIT;
    options.target = "cuda";
    begin(&w, driver, nvrtc, lookup);
    assert_int_equal(attn_target_check(w.context, "cuda", w.diagnostics), ATTN_ERROR_ENVIRONMENT);
    ok(&w, attn_diagnostics_get(w.diagnostics, 0, &d));
    if (!strstr(d.message, words)) fail_msg("%s", d.message);
    assert_int_equal(attn_module_create(w.context, w.program, &options, w.diagnostics, &module), ATTN_ERROR_ENVIRONMENT);
    assert_null(module);
    ok(&w, attn_diagnostics_get(w.diagnostics, attn_diagnostics_count(w.diagnostics) - 1, &d));
    if (!strstr(d.message, words)) fail_msg("%s", d.message);
    end(&w);
}
static void test_missing(void **state) {
    (void)state;
    told("/nowhere/libcuda.so.1", ATTN_FAKE_CUDA, "tried /nowhere/libcuda.so.1");
    told(ATTN_FAKE_CUDA, "/nowhere/libnvrtc.so.13", "tried /nowhere/libnvrtc.so.13");
    emulated_fail("cuInit", 100);
    told(ATTN_FAKE_CUDA, ATTN_FAKE_CUDA, "no GPU");
    emulated_fail("cuInit", 0);
}

/* Text can be had on any machine. */
static void test_text(void **state) {
    (void)state;
    world w;
    char *text = NULL;
    begin(&w, "/nowhere/libcuda.so.1", "/nowhere/libnvrtc.so.13", attention);
    ok(&w, attn_program_emit(w.context, w.program, NULL, "cuda", w.diagnostics, &text));
    assert_non_null(strstr(text, "KERNEL(k0_o"));
    attn_text_destroy(w.context, text);
    end(&w);
}

/* An error of the driver in the middle of a run is a status and a message; nothing is left behind. */
static void test_driver_fails(void **state) {
    (void)state;
    static const char *const functions[] = {"cuMemAlloc", "cuLaunchKernel", "cuMemcpyHtoD", "cuMemcpyDtoH"};
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        world w;
        arguments a;
        begin(&w, ATTN_FAKE_CUDA, ATTN_FAKE_CUDA, lookup);
        draw(&w, &lookup_shapes, &a);
        emulated_fail(functions[i], 2);
        attn_status status = run(&w, "cuda", &a);
        emulated_fail(functions[i], 0);
        if (status == ATTN_OK) fail_msg("%s failed and nobody noticed", functions[i]);
        assert_true(attn_diagnostics_count(w.diagnostics) > 0);
        drop(&a);
        end(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_attention), cmocka_unit_test(test_loop),    cmocka_unit_test(test_lookup), cmocka_unit_test(test_check), cmocka_unit_test(test_cache),
                                       cmocka_unit_test(test_missing),   cmocka_unit_test(test_text), cmocka_unit_test(test_driver_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

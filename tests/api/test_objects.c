/* Every object of the header made, asked, used and given back: what the functions promise when all is well. */
#include "world.h"
#include <math.h>
#include <unistd.h>

static const char two_graphs[] = "## try: N = 6, K = 2\n"
                                 "## try: x > 0\n"
                                 "const c = {1.0, 2.0}\n"
                                 "param w: f32[N] = \"layer.weight\"\n"
                                 "## The first.\n"
                                 "graph first(x: f32[N], row: i32[M], K: dim) -> (y: f32[N], z: f32[M]) where N >= 2 {\n"
                                 "    y[n] = x[n]*w[n] + sum(i in 0..K: c[i])\n"
                                 "    z[m] = x[row[m]]\n"
                                 "}\n"
                                 "graph second(a: f32[B,(H,D)], b: f64[D], t: bool[B]) -> (o: f32[B,H,D]) { o[r,h,d] = a[r,h,d]*select(t[r], 2, 1) }\n";

static void test_library(void **state) {
    (void)state;
    assert_string_equal(attn_version(), "0.1.0");
    for (int k = ATTN_OK; k <= ATTN_ERROR_DEADLINE; k++) assert_true(strlen(attn_status_text((attn_status)k)) > 2);
    assert_string_equal(attn_status_text((attn_status)77), "no such status");
    assert_string_equal(attn_status_text((attn_status)-1), "no such status");
    assert_string_equal(attn_dtype_name(ATTN_F32), "f32");
    assert_string_equal(attn_dtype_name(ATTN_BOOL), "bool");
    assert_null(attn_dtype_name((attn_dtype)55));
    assert_int_equal(attn_dtype_bytes(ATTN_I64), 8);
    assert_int_equal(attn_dtype_bytes(ATTN_BOOL), 1);
    assert_int_equal(attn_dtype_bytes((attn_dtype)55), 0);
    assert_string_equal(attn_target_name(0), "eval");
    assert_string_equal(attn_target_name(1), "cpu");
    assert_null(attn_target_name(99));
    assert_string_equal(attn_pass_name(0), "simplify");
    assert_null(attn_pass_name(99));
}

static void test_context(void **state) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *c = NULL;
    double gflops = 0;
    (void)state;
    o.threads = 3;
    assert_int_equal(attn_context_create(&o, NULL, &c), ATTN_OK);
    assert_int_equal(attn_context_threads(c), 3);
    assert_int_equal(attn_context_peak(c, 0.01, &gflops), ATTN_OK);
    assert_true(gflops > 0.01);
    assert_int_equal(attn_target_check(c, "eval", NULL), ATTN_OK);
    assert_int_equal(attn_target_check(c, "cpu", NULL), ATTN_OK);
    attn_context_destroy(c);
    assert_int_equal(attn_context_create(NULL, NULL, &c), ATTN_OK);
    assert_true(attn_context_threads(c) >= 1);
    attn_context_destroy(c);
    attn_context_destroy(NULL);
}

static void test_diagnostics(void **state) {
    world w = world_open(NULL, NULL);
    static const char wrong[] = "graph g(x: f32[N]) -> (y: f32[N]) {\n    y[n] = x[m] + u[n]\n}\n";
    attn_diagnostic d = ATTN_DIAGNOSTIC_INIT;
    (void)state;
    assert_int_equal(attn_program_from_text(w.context, "wrong.attn", wrong, strlen(wrong), w.said, &w.program), ATTN_ERROR_PROGRAM);
    assert_null(w.program);
    assert_int_equal(attn_diagnostics_count(w.said), 2);
    assert_int_equal(attn_diagnostics_get(w.said, 0, &d), ATTN_OK);
    assert_string_equal(d.file, "wrong.attn");
    assert_int_equal(d.line, 2);
    assert_int_equal(d.column, 14);
    assert_int_equal(d.severity, ATTN_ERROR);
    const char *plain = attn_diagnostics_render(w.said, 0, false), *coloured = attn_diagnostics_render(w.said, 0, true);
    assert_non_null(strstr(plain, "wrong.attn:2:14"));
    assert_non_null(strstr(plain, d.code));
    assert_null(strchr(plain, '\033'));
    assert_non_null(strchr(coloured, '\033'));
    assert_string_equal(attn_diagnostics_render(w.said, 2, false), "");
    assert_string_equal(attn_diagnostics_render(NULL, 0, false), "");
    assert_int_equal(attn_program_from_text(w.context, "again.attn", wrong, strlen(wrong), w.said, &w.program), ATTN_ERROR_PROGRAM);
    assert_int_equal(attn_diagnostics_count(w.said), 4);          /* calls append */
    attn_diagnostics_clear(w.said);
    assert_int_equal(attn_diagnostics_count(w.said), 0);
    assert_int_equal(attn_diagnostics_count(NULL), 0);
    attn_diagnostics_clear(NULL);
    attn_diagnostics_destroy(NULL);
    world_close(&w);
}

static void test_tensors(void **state) {
    world w = world_open(NULL, NULL);
    float data[6] = {0, 1, 2, 3, 4, 5};
    int64_t dims[2] = {2, 3}, backwards[2] = {-3, 1};
    attn_tensor *t = NULL, *back = NULL;
    (void)state;
    assert_int_equal(attn_tensor_create(w.context, ATTN_I32, 2, dims, w.said, &t), ATTN_OK);
    assert_int_equal(attn_tensor_dtype(t), ATTN_I32);
    assert_int_equal(attn_tensor_rank(t), 2);
    assert_int_equal(attn_tensor_dim(t, 1), 3);
    assert_int_equal(attn_tensor_dim(t, 2), 0);
    assert_int_equal(attn_tensor_dim(t, -1), 0);
    assert_int_equal(attn_tensor_stride(t, 0), 3);
    assert_int_equal(attn_tensor_elements(t), 6);
    for (int k = 0; k < 6; k++) assert_int_equal(((int32_t *)attn_tensor_data(t))[k], 0);
    attn_tensor_destroy(t);
    attn_tensor_destroy(NULL);
    /* rows in reverse, written and read back dense */
    assert_int_equal(attn_tensor_wrap(w.context, ATTN_F32, 2, dims, backwards, data + 3, w.said, &t), ATTN_OK);
    assert_ptr_equal(attn_tensor_data(t), data + 3);
    char path[] = "/tmp/attn_api_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(attn_tensor_write_npy(w.context, t, path, w.said), ATTN_OK);
    assert_int_equal(attn_tensor_read_npy(w.context, path, w.said, &back), ATTN_OK);
    unlink(path);
    for (int k = 0; k < 6; k++) assert_int_equal((int)((float *)attn_tensor_data(back))[k], (k + 3) % 6);
    attn_tensor_destroy(t);
    attn_tensor_destroy(back);
    /* no axes, and no elements */
    assert_int_equal(attn_tensor_create(w.context, ATTN_F64, 0, NULL, w.said, &t), ATTN_OK);
    assert_int_equal(attn_tensor_elements(t), 1);
    attn_tensor_destroy(t);
    dims[0] = 0;
    assert_int_equal(attn_tensor_wrap(w.context, ATTN_F64, 2, dims, NULL, NULL, w.said, &t), ATTN_OK);
    assert_int_equal(attn_tensor_elements(t), 0);
    attn_tensor_destroy(t);
    world_close(&w);
}

static void test_program(void **state) {
    world w = world_open(NULL, NULL);
    attn_graph_info g = ATTN_GRAPH_INFO_INIT;
    attn_tensor_info t = ATTN_TENSOR_INFO_INIT;
    (void)state;
    assert_int_equal(attn_program_from_text(w.context, "two.attn", two_graphs, strlen(two_graphs), w.said, &w.program), ATTN_OK);
    assert_int_equal(attn_program_n_graphs(w.program), 2);
    assert_int_equal(attn_program_graph(w.program, 0, &g), ATTN_OK);
    assert_string_equal(g.name, "first");
    assert_string_equal(g.doc, "The first.");
    assert_int_equal(g.n_tensors, 6);
    assert_int_equal(g.n_dims, 3);
    assert_int_equal(attn_program_tensor(w.program, "first", 2, &t), ATTN_OK);
    assert_true(t.is_dim && t.kind == ATTN_INPUT && t.rank == 0 && t.dtype == ATTN_I64);
    assert_int_equal(attn_program_tensor(w.program, "first", 3, &t), ATTN_OK);
    assert_true(t.kind == ATTN_PARAM);
    assert_string_equal(t.storage, "layer.weight");
    assert_int_equal(attn_program_tensor(w.program, NULL, 0, &t), ATTN_OK);       /* the last graph */
    assert_string_equal(t.name, "a");
    assert_int_equal(t.rank, 2);
    assert_string_equal(t.dims[1], "D*H");
    assert_string_equal(attn_program_try(w.program, 0), "N = 6, K = 2");
    assert_string_equal(attn_program_try(w.program, 1), "x > 0");
    assert_null(attn_program_try(w.program, 2));
    assert_null(attn_program_try(NULL, 0));
    assert_int_equal(attn_program_n_graphs(NULL), 0);
    int64_t dims[ATTN_MAX_RANK];
    attn_dim sizes[] = {{"B", 5}, {"H", 3}, {"D", 4}};
    assert_int_equal(attn_program_shape(w.context, w.program, "second", 0, sizes, COUNT(sizes), w.said, dims), ATTN_OK);
    assert_true(dims[0] == 5 && dims[1] == 12);
    world_close(&w);
}

static void test_file(void **state) {
    world w = world_open(NULL, NULL);
    attn_graph_info g = ATTN_GRAPH_INFO_INIT;
    (void)state;
    assert_int_equal(attn_program_from_file(w.context, ATTN_SOURCE_DIR "/tests/diff/programs/causal_gqa.attn", w.said, &w.program), ATTN_OK);
    assert_int_equal(attn_program_graph(w.program, 0, &g), ATTN_OK);
    assert_string_equal(g.name, "gqa");
    world_close(&w);
}

static attn_tensor *sample(const world *w, size_t k, uint64_t seed, const attn_dim *dims, size_t n) {
    attn_tensor *t = NULL;
    assert_int_equal(attn_program_sample(w->context, w->program, "first", k, dims, n, seed, w->said, &t), ATTN_OK);
    return t;
}

/* Sizes and signs by `## try:`, integers in the interval that reads allow, the same for the same seed. */
static void test_sample(void **state) {
    world w = world_open(NULL, NULL);
    attn_dim m = {"M", 50};
    (void)state;
    assert_int_equal(attn_program_from_text(w.context, "two.attn", two_graphs, strlen(two_graphs), w.said, &w.program), ATTN_OK);
    attn_tensor *x = sample(&w, 0, 7, &m, 1), *same = sample(&w, 0, 7, &m, 1), *other = sample(&w, 0, 8, &m, 1), *row = sample(&w, 1, 7, &m, 1);
    assert_int_equal(attn_tensor_elements(x), 6);
    for (int k = 0; k < 6; k++) assert_true(((float *)attn_tensor_data(x))[k] > 0);
    assert_memory_equal(attn_tensor_data(x), attn_tensor_data(same), 6 * sizeof(float));
    assert_memory_not_equal(attn_tensor_data(x), attn_tensor_data(other), 6 * sizeof(float));
    assert_int_equal(attn_tensor_elements(row), 50);
    for (int k = 0; k < 50; k++) assert_in_range(((int32_t *)attn_tensor_data(row))[k], 0, 5);
    attn_tensor_destroy(x);
    attn_tensor_destroy(same);
    attn_tensor_destroy(other);
    attn_tensor_destroy(row);
    world_close(&w);
}

static void test_texts(void **state) {
    world w = world_open(NULL, NULL);
    const char *pass;
    char *text = NULL;
    (void)state;
    assert_int_equal(attn_program_from_text(w.context, "two.attn", two_graphs, strlen(two_graphs), w.said, &w.program), ATTN_OK);
    for (size_t k = 0; (pass = attn_pass_name(k)); k++) {
        assert_int_equal(attn_program_dump(w.context, w.program, "first", NULL, pass, w.said, &text), ATTN_OK);
        assert_true(strlen(text) > 20);
        attn_text_destroy(w.context, text);
    }
    assert_int_equal(attn_program_dump(w.context, w.program, NULL, "cpu", NULL, w.said, &text), ATTN_OK);
    attn_text_destroy(w.context, text);
    assert_int_equal(attn_program_emit(w.context, w.program, NULL, "cpu", w.said, &text), ATTN_OK);
    assert_non_null(strstr(text, "define"));
    attn_text_destroy(w.context, text);
    assert_int_equal(attn_program_emit(w.context, w.program, NULL, "cuda", w.said, &text), ATTN_OK);       /* needs no GPU */
    assert_non_null(strstr(text, "__global__"));
    attn_text_destroy(w.context, text);
    attn_text_destroy(w.context, NULL);
    world_close(&w);
}

/* What a module says of its kernels, and what a run says of their time. */
static void test_module(void **state) {
    world w = world_open("graph g(x: f32[N]) -> (y: f32[N], s: f32) {\n    y[n] = 2*x[n]\n    s = sum(n: x[n])\n}\n", "cpu");
    attn_kernel_info info = ATTN_KERNEL_INFO_INIT;
    attn_kernel_time times[8] = {{0, 0}};
    float x[3] = {1, 2, 3};
    attn_cost cost = ATTN_COST_INIT;
    (void)state;
    size_t n = attn_module_n_kernels(w.module, "g");
    assert_in_range(n, 1, 8);
    assert_string_equal(attn_module_target(w.module), "cpu");
    assert_true(attn_module_compile_seconds(w.module) > 0);
    assert_int_equal(attn_module_kernel(w.module, NULL, 0, &info), ATTN_OK);
    assert_non_null(strstr(info.text, "kernel "));
    assert_non_null(strstr(info.schedule, "schedule "));
    assert_string_equal(info.file, "test.attn");
    assert_true(info.predicted_s > 0 && info.line >= 2);
    for (size_t k = 0; attn_module_remark(w.module, NULL, k); k++) assert_true(k < 100);
    attn_argument in = {"x", world_wrap(&w, ATTN_F32, 1, (int64_t[]){3}, x)}, out = {"s", NULL};
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.inputs = &in, o.n_inputs = 1;
    o.outputs = &out, o.n_outputs = 1;
    o.times = times;
    assert_int_equal(attn_model_run(w.model, &o, w.said), ATTN_OK);
    assert_true(fabsf(*(float *)attn_tensor_data(out.tensor) - 6) < 1e-6f);
    for (size_t k = 0; k < n; k++) assert_true(times[k].launches == 1 && times[k].seconds > 0);
    assert_int_equal(attn_model_cost(w.model, &o, w.said, &cost), ATTN_OK);
    assert_true(cost.operations >= 0);
    attn_tensor_destroy(in.tensor);
    attn_tensor_destroy(out.tensor);
    world_close(&w);
}

/* One of two graphs; params from tensors; dims in place of a tensor; what the host keeps stays its own. */
static void run_first(const world *w, const char *target) {
    attn_module_options mo = ATTN_MODULE_OPTIONS_INIT;
    attn_model_options po = ATTN_MODEL_OPTIONS_INIT;
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    attn_module *module = NULL;
    attn_model *model = NULL;
    float x[4] = {1, 2, 3, 4}, weight[4] = {10, 20, 30, 40}, y[4], z[2];
    int32_t row[2] = {3, 0};
    attn_dim k = {"K", 2};
    mo.target = target, mo.graph = "first";
    assert_int_equal(attn_module_create(w->context, w->program, &mo, w->said, &module), ATTN_OK);
    attn_argument param = {"w", world_wrap(w, ATTN_F32, 1, (int64_t[]){4}, weight)};
    po.params = &param, po.n_params = 1;
    assert_int_equal(attn_model_create(w->context, module, &po, w->said, &model), ATTN_OK);
    attn_argument in[] = {{"x", world_wrap(w, ATTN_F32, 1, (int64_t[]){4}, x)}, {"row", world_wrap(w, ATTN_I32, 1, (int64_t[]){2}, row)}};
    attn_argument out[] = {{"z", world_wrap(w, ATTN_F32, 1, (int64_t[]){2}, z)}, {"y", world_wrap(w, ATTN_F32, 1, (int64_t[]){4}, y)}};
    o.graph = "first";
    o.inputs = in, o.n_inputs = 2, o.outputs = out, o.n_outputs = 2;
    o.dims = &k, o.n_dims = 1;
    assert_int_equal(attn_model_run(model, &o, w->said), ATTN_OK);
    for (int n = 0; n < 4; n++) assert_true(fabsf(y[n] - (x[n] * weight[n] + 3)) < 1e-4f);
    assert_true(fabsf(z[0] - 4) < 1e-6f && fabsf(z[1] - 1) < 1e-6f);
    for (int n = 0; n < 2; n++) attn_tensor_destroy(in[n].tensor), attn_tensor_destroy(out[n].tensor);
    attn_tensor_destroy(param.tensor);
    attn_model_destroy(model);
    attn_module_destroy(module);
}

static void test_run(void **state) {
    world w = world_open(NULL, NULL);
    (void)state;
    assert_int_equal(attn_program_from_text(w.context, "two.attn", two_graphs, strlen(two_graphs), w.said, &w.program), ATTN_OK);
    run_first(&w, "cpu");
    run_first(&w, "eval");
    assert_int_equal(attn_diagnostics_count(w.said), 0);
    world_close(&w);
}

/* Inputs with strides 0, negative, and with gaps are the same as dense ones. */
static void test_strides(void **state) {
    world w = world_open("graph g(x: f32[A,B]) -> (y: f32[A,B]) { y[a,b] = x[a,b] + 1 }", "cpu");
    float data[12];
    const int64_t dims[2] = {2, 3}, strides[][2] = {{0, 1}, {-4, 2}, {1, 0}, {6, -2}};
    (void)state;
    for (int k = 0; k < 12; k++) data[k] = (float)k;
    for (size_t s = 0; s < COUNT(strides); s++) {
        attn_argument in = {"x", NULL}, out = {"y", NULL};
        attn_run_options o = ATTN_RUN_OPTIONS_INIT;
        o.inputs = &in, o.n_inputs = 1, o.outputs = &out, o.n_outputs = 1;
        float *origin = data + 5;
        assert_int_equal(attn_tensor_wrap(w.context, ATTN_F32, 2, dims, strides[s], origin, w.said, &in.tensor), ATTN_OK);
        assert_int_equal(attn_model_run(w.model, &o, w.said), ATTN_OK);
        for (int64_t a = 0; a < 2; a++)
            for (int64_t b = 0; b < 3; b++)
                assert_true(fabsf(((float *)attn_tensor_data(out.tensor))[a * 3 + b] - (origin[a * strides[s][0] + b * strides[s][1]] + 1)) < 1e-6f);
        attn_tensor_destroy(in.tensor);
        attn_tensor_destroy(out.tensor);
    }
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_library), cmocka_unit_test(test_context), cmocka_unit_test(test_diagnostics), cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_program), cmocka_unit_test(test_file),    cmocka_unit_test(test_sample),      cmocka_unit_test(test_texts),
        cmocka_unit_test(test_module),  cmocka_unit_test(test_run),     cmocka_unit_test(test_strides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What goes wrong in a host: each mistake has its status, and where there is something to say its code, place, expected and found. */
#include "world.h"
#include <unistd.h>

static const char gather[] = "graph g(x: f32[N,D], row: i32[M], K: dim) -> (y: f32[M,D], s: f32) where D >= 2 {\n"
                             "    y[m,d] = x[row[m],d]\n"
                             "    s = sum(k in 0..K: 1.0)\n"
                             "}\n";

/* A call of `gather` that works, to be spoiled. */
typedef struct {
    world w;
    float x[12], y[6];
    int32_t row[2];
    attn_argument in[4], out[3];
    attn_dim dims[3];
    attn_run_options o;
} fixture;

static fixture *prepare(const char *target) {
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->w = world_open(gather, target);
    f->row[0] = 3;
    f->in[0] = (attn_argument){"x", world_wrap(&f->w, ATTN_F32, 2, (int64_t[]){4, 3}, f->x)};
    f->in[1] = (attn_argument){"row", world_wrap(&f->w, ATTN_I32, 1, (int64_t[]){2}, f->row)};
    f->out[0] = (attn_argument){"y", NULL};
    f->dims[0] = (attn_dim){"K", 2};
    f->o = (attn_run_options)ATTN_RUN_OPTIONS_INIT;
    f->o.inputs = f->in, f->o.n_inputs = 2;
    f->o.outputs = f->out, f->o.n_outputs = 1;
    f->o.dims = f->dims, f->o.n_dims = 1;
    return f;
}

static void finish(fixture *f) {
    for (size_t k = 0; k < COUNT(f->in); k++) attn_tensor_destroy(f->in[k].tensor);
    for (size_t k = 0; k < COUNT(f->out); k++) attn_tensor_destroy(f->out[k].tensor);
    world_close(&f->w);
    free(f);
}

static void replace(fixture *f, size_t k, attn_dtype dtype, int rank, const int64_t *dims, void *data) {
    attn_tensor_destroy(f->in[k].tensor);
    f->in[k].tensor = world_wrap(&f->w, dtype, rank, dims, data);
}

#define expect(f, status, code, words) assert_said(&(f)->w, attn_model_run((f)->w.model, &(f)->o, (f)->w.said), status, code, words)

static void test_fixture_works(void **state) {
    fixture *f = prepare("cpu");
    (void)state;
    assert_int_equal(attn_model_run(f->w.model, &f->o, f->w.said), ATTN_OK);
    assert_int_equal(attn_tensor_dim(f->out[0].tensor, 0), 2);
    finish(f);
}

static void test_tensors_unfit(void **state) {
    fixture *f = prepare(*state);
    double other[12] = {0};
    replace(f, 0, ATTN_F64, 2, (int64_t[]){4, 3}, other);
    expect(f, ATTN_ERROR_DATA, "E0613", "f32[N, D] | f64[4, 3]");
    replace(f, 0, ATTN_F32, 1, (int64_t[]){12}, f->x);
    expect(f, ATTN_ERROR_DATA, "E0604", "x has 1 axes, expected 2");
    replace(f, 0, ATTN_F32, 2, (int64_t[]){12, 1}, f->x);
    expect(f, ATTN_ERROR_DATA, "E0608", "D = 1");
    finish(f);
}

static void test_names(void **state) {
    fixture *f = prepare(*state);
    f->o.n_inputs = 1;
    expect(f, ATTN_ERROR_DATA, "E0606", "row");
    f->o.n_inputs = 3;
    f->in[2].name = "nobody";
    expect(f, ATTN_ERROR_ARGUMENT, "E0954", "x, row, K");
    finish(f);
}

static void test_dims(void **state) {
    fixture *f = prepare(*state);
    f->o.n_dims = 0;
    expect(f, ATTN_ERROR_DATA, "E0618", "dimension K");
    f->o.n_dims = 2;
    f->dims[1] = (attn_dim){"N", 5};
    expect(f, ATTN_ERROR_DATA, "E0619", "N is given as 5, but the shapes say 4");
    f->dims[1] = (attn_dim){"N", 4};
    assert_int_equal(attn_model_run(f->w.model, &f->o, f->w.said), ATTN_OK);
    f->dims[0].value = -1;
    expect(f, ATTN_ERROR_DATA, "E0622", "K is given as -1");
    finish(f);
}

static void test_index_out_of_range(void **state) {
    fixture *f = prepare(*state);
    attn_diagnostic d = ATTN_DIAGNOSTIC_INIT;
    f->row[1] = 4;
    assert_int_equal(attn_model_run(f->w.model, &f->o, f->w.said), ATTN_ERROR_DATA);
    assert_int_equal(attn_diagnostics_get(f->w.said, 0, &d), ATTN_OK);
    assert_string_equal(d.code, "E0601");
    assert_string_equal(d.file, "test.attn");
    assert_int_equal(d.line, 2);
    assert_non_null(strstr(d.message, "index 4 is out of range for axis 0 of x, which has 4 elements"));
    assert_non_null(strstr(d.message, "m = 1"));
    assert_null(f->out[0].tensor);           /* none has been made */
    attn_diagnostics_clear(f->w.said);
    f->row[1] = -1;
    expect(f, ATTN_ERROR_DATA, "E0601", "index -1");
    f->row[1] = 0;
    assert_int_equal(attn_model_run(f->w.model, &f->o, f->w.said), ATTN_OK);
    finish(f);
}

static void test_outputs_unfit(void **state) {
    fixture *f = prepare(*state);
    f->out[0].name = "x";
    expect(f, ATTN_ERROR_ARGUMENT, "E0954", "y, s");
    f->out[0] = (attn_argument){"y", world_wrap(&f->w, ATTN_F32, 2, (int64_t[]){3, 2}, f->y)};
    expect(f, ATTN_ERROR_ARGUMENT, "E0956", "f32[2, 3], dense | f32[3, 2]");
    attn_tensor_destroy(f->out[0].tensor);
    f->out[0].tensor = world_wrap(&f->w, ATTN_F32, 2, (int64_t[]){2, 3}, f->x + 3);
    expect(f, ATTN_ERROR_ARGUMENT, "E0958", "input 'x'");
    f->o.n_outputs = 2;
    f->out[1] = f->out[0];
    f->out[1].tensor = NULL;
    expect(f, ATTN_ERROR_ARGUMENT, "E0955", "y");
    finish(f);
}

/* Of several outputs one is unfit: the others are not made, and nothing that the caller holds has changed. */
static void test_all_or_none(void **state) {
    fixture *f = prepare(*state);
    f->out[1] = (attn_argument){"s", world_wrap(&f->w, ATTN_F32, 1, (int64_t[]){1}, f->y)};
    f->o.n_outputs = 2;
    expect(f, ATTN_ERROR_ARGUMENT, "E0956", "s");
    assert_null(f->out[0].tensor);
    finish(f);
}

static void test_unknown_graph(void **state) {
    fixture *f = prepare(*state);
    char *text = NULL;
    f->o.graph = "h";
    expect(f, ATTN_ERROR_ARGUMENT, "E0952", "h");
    attn_module_options mo = ATTN_MODULE_OPTIONS_INIT;
    attn_module *m = (attn_module *)f;
    mo.graph = "h";
    assert_said(&f->w, attn_module_create(f->w.context, f->w.program, &mo, f->w.said, &m), ATTN_ERROR_ARGUMENT, "E0952", "g");
    assert_null(m);
    mo = (attn_module_options)ATTN_MODULE_OPTIONS_INIT;
    mo.target = "gpu";
    assert_said(&f->w, attn_module_create(f->w.context, f->w.program, &mo, f->w.said, &m), ATTN_ERROR_ARGUMENT, "E0803", "gpu");
    assert_said(&f->w, attn_target_check(f->w.context, "gpu", f->w.said), ATTN_ERROR_ARGUMENT, "E0803", "cpu");
    assert_said(&f->w, attn_program_dump(f->w.context, f->w.program, NULL, NULL, "polish", f->w.said, &text), ATTN_ERROR_ARGUMENT, "E0953", "lower");
    assert_null(text);
    finish(f);
}

/* A graph that the module was not asked to compile. */
static void test_graph_not_compiled(void **state) {
    static const char two[] = "graph a(x: f32[N]) -> (y: f32[N]) { y[n] = x[n] }\ngraph b(x: f32[N]) -> (y: f32[N]) { y[n] = -x[n] }\n";
    world w = world_open(NULL, NULL);
    attn_module_options mo = ATTN_MODULE_OPTIONS_INIT;
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    mo.graph = "a";
    mo.target = *state;
    assert_int_equal(attn_program_from_text(w.context, "two.attn", two, strlen(two), w.said, &w.program), ATTN_OK);
    assert_int_equal(attn_module_create(w.context, w.program, &mo, w.said, &w.module), ATTN_OK);
    assert_int_equal(attn_model_create(w.context, w.module, NULL, w.said, &w.model), ATTN_OK);
    assert_said(&w, attn_model_run(w.model, &o, w.said), ATTN_ERROR_ARGUMENT, "E0959", "b");
    assert_int_equal(attn_module_n_kernels(w.module, "b"), 0);
    assert_null(attn_module_remark(w.module, "b", 0));
    world_close(&w);
}

static void test_params(void **state) {
    world w = world_open(NULL, NULL);
    static const char text[] = "param p: f32[N,2] = \"p\"\ngraph g(x: f32[N]) -> (y: f32[N]) { y[n] = x[n] + p[n,1] }\n";
    float data[8] = {0};
    attn_module_options mo = ATTN_MODULE_OPTIONS_INIT;
    mo.target = *state;
    assert_int_equal(attn_program_from_text(w.context, "p.attn", text, strlen(text), w.said, &w.program), ATTN_OK);
    assert_int_equal(attn_module_create(w.context, w.program, &mo, w.said, &w.module), ATTN_OK);
    assert_said(&w, attn_model_create(w.context, w.module, NULL, w.said, &w.model), ATTN_ERROR_DATA, "E0710", "p");
    attn_argument p = {"p", world_wrap(&w, ATTN_F32, 2, (int64_t[]){2, 3}, data)};
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    o.params = &p, o.n_params = 1;
    assert_said(&w, attn_model_create(w.context, w.module, &o, w.said, &w.model), ATTN_ERROR_DATA, "E0605", "axis 1 of p");
    attn_tensor_destroy(p.tensor);
    p = (attn_argument){"q", world_wrap(&w, ATTN_F32, 2, (int64_t[]){3, 2}, data)};
    assert_said(&w, attn_model_create(w.context, w.module, &o, w.said, &w.model), ATTN_ERROR_DATA, "E0710", "p");
    o.n_params = 0;
    o.weights = "/nonexistent/w.safetensors";
    assert_said(&w, attn_model_create(w.context, w.module, &o, w.said, &w.model), ATTN_ERROR_ENVIRONMENT, "E0701", "No such file");
    attn_tensor_destroy(p.tensor);
    world_close(&w);
}

static void test_shapes_and_samples(void **state) {
    world w = world_open(gather, *state);
    int64_t dims[ATTN_MAX_RANK];
    attn_dim sizes[] = {{"N", 3}, {"D", 1}};
    attn_tensor *t = NULL;
    attn_cost cost = ATTN_COST_INIT;
    assert_said(&w, attn_program_shape(w.context, w.program, NULL, 0, sizes, 1, w.said, dims), ATTN_ERROR_DATA, "E0618", "D");
    sizes[1] = (attn_dim){"D", -1};
    assert_said(&w, attn_program_shape(w.context, w.program, NULL, 0, sizes, 2, w.said, dims), ATTN_ERROR_DATA, "E0622", "D");
    assert_said(&w, attn_program_shape(w.context, w.program, NULL, 99, sizes, 0, w.said, dims), ATTN_ERROR_ARGUMENT, "E0951", "tensor");
    assert_said(&w, attn_program_sample(w.context, w.program, "h", 0, sizes, 0, 0, w.said, &t), ATTN_ERROR_ARGUMENT, "E0952", "h");
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    assert_true(attn_model_cost(w.model, &o, w.said, &cost) != ATTN_OK);
    world_close(&w);
}

static void test_tensors_impossible(void **state) {
    world w = world_open(NULL, NULL);
    attn_tensor *t = NULL;
    float data[4];
    attn_tensor_file nothing = {NULL, NULL};
    const int64_t negative[] = {2, -1}, huge[] = {INT64_MAX, 4}, fine[] = {2, 2}, wild[] = {INT64_MAX, 1};
    (void)state;
    assert_said(&w, attn_tensor_create(w.context, ATTN_F32, 2, negative, w.said, &t), ATTN_ERROR_ARGUMENT, "E0951", "negative");
    assert_said(&w, attn_tensor_create(w.context, ATTN_F32, 2, huge, w.said, &t), ATTN_ERROR_ARGUMENT, "E0951", "too large");
    assert_said(&w, attn_tensor_create(w.context, ATTN_F32, 9, huge, w.said, &t), ATTN_ERROR_ARGUMENT, "E0951", "rank");
    assert_said(&w, attn_tensor_create(w.context, ATTN_F32, -1, fine, w.said, &t), ATTN_ERROR_ARGUMENT, "E0951", "rank");
    assert_said(&w, attn_tensor_create(w.context, (attn_dtype)9, 2, fine, w.said, &t), ATTN_ERROR_ARGUMENT, "E0951", "type");
    assert_said(&w, attn_tensor_create(w.context, ATTN_F32, 2, NULL, w.said, &t), ATTN_ERROR_ARGUMENT, "E0951", "dims");
    assert_said(&w, attn_tensor_wrap(w.context, ATTN_F32, 2, fine, wild, data, w.said, &t), ATTN_ERROR_ARGUMENT, "E0951", "strides");
    assert_said(&w, attn_tensor_wrap(w.context, ATTN_F32, 2, fine, NULL, NULL, w.said, &t), ATTN_ERROR_ARGUMENT, "E0951", "data");
    assert_said(&w, attn_tensor_read_npy(w.context, "/nonexistent.npy", w.said, &t), ATTN_ERROR_ENVIRONMENT, "E0701", "No such file");
    assert_said(&w, attn_tensor_read_npy(w.context, "/tmp", w.said, &t), ATTN_ERROR_ENVIRONMENT, "E0701", "directory");
    assert_null(t);
    t = world_wrap(&w, ATTN_F32, 2, fine, data);
    assert_said(&w, attn_tensor_write_npy(w.context, t, "/nonexistent/x.npy", w.said), ATTN_ERROR_ENVIRONMENT, "E0702", "No such file");
    assert_said(&w, attn_tensors_write_npy(w.context, &nothing, 1, w.said), ATTN_ERROR_ARGUMENT, "E0951", "path");
    attn_tensor_destroy(t);
    assert_said(&w, attn_program_from_file(w.context, "/nonexistent.attn", w.said, &w.program), ATTN_ERROR_ENVIRONMENT, "E0701", "No such file");
    world_close(&w);
}

static void test_context_options(void **state) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *c = (attn_context *)&o;
    counter count = {0};
    attn_allocator half = counter_allocator(&count);
    (void)state;
    o.threads = -1;
    assert_int_equal(attn_context_create(&o, NULL, &c), ATTN_ERROR_ARGUMENT);
    assert_null(c);
    o.threads = 0;
    o.struct_size = 0;
    assert_int_equal(attn_context_create(&o, NULL, &c), ATTN_ERROR_ARGUMENT);
    o = (attn_context_options)ATTN_CONTEXT_OPTIONS_INIT;
    half.free = NULL;                        /* both or none */
    o.allocator = &half;
    assert_int_equal(attn_context_create(&o, NULL, &c), ATTN_ERROR_ARGUMENT);
    attn_diagnostics *d = (attn_diagnostics *)&o;
    assert_int_equal(attn_diagnostics_create(&half, &d), ATTN_ERROR_ARGUMENT);
    assert_null(d);
    assert_int_equal(count.requests, 0);
}

/* NULL where an object is wanted is an argument error. */
static void test_null(void **state) {
    fixture *f = prepare("cpu");
    attn_context *c = f->w.context;
    attn_diagnostic d = ATTN_DIAGNOSTIC_INIT;
    attn_graph_info g = ATTN_GRAPH_INFO_INIT;
    attn_tensor_info ti = ATTN_TENSOR_INFO_INIT;
    attn_kernel_info ki = ATTN_KERNEL_INFO_INIT;
    attn_program *p = NULL;
    attn_module *m = NULL;
    attn_model *o = NULL;
    attn_tensor *t = NULL;
    char *text = NULL;
    double x;
    attn_cost cost = ATTN_COST_INIT;
    attn_counters counters = ATTN_COUNTERS_INIT;
    attn_copy copy;
    int64_t dims[ATTN_MAX_RANK];
    attn_status all[] = {
        attn_diagnostics_create(NULL, NULL),
        attn_diagnostics_get(NULL, 0, &d),
        attn_diagnostics_get(f->w.said, 0, NULL),
        attn_diagnostics_get(f->w.said, 0, &d),
        attn_context_create(NULL, NULL, NULL),
        attn_context_peak(NULL, 0.01, &x),
        attn_context_peak(c, 0.01, NULL),
        attn_target_check(NULL, "cpu", NULL),
        attn_target_check(c, NULL, NULL),
        attn_tensor_wrap(NULL, ATTN_F32, 0, NULL, NULL, &x, NULL, &t),
        attn_tensor_wrap(c, ATTN_F32, 0, NULL, NULL, &x, NULL, NULL),
        attn_tensor_create(NULL, ATTN_F32, 0, NULL, NULL, &t),
        attn_tensor_create(c, ATTN_F32, 0, NULL, NULL, NULL),
        attn_tensor_read_npy(c, NULL, NULL, &t),
        attn_tensor_read_npy(NULL, "x.npy", NULL, &t),
        attn_tensor_read_npy(c, "x.npy", NULL, NULL),
        attn_tensor_write_npy(c, NULL, "x.npy", NULL),
        attn_tensor_write_npy(c, f->in[0].tensor, NULL, NULL),
        attn_tensor_write_npy(NULL, f->in[0].tensor, "x.npy", NULL),
        attn_tensors_write_npy(c, NULL, 1, NULL),
        attn_program_from_text(NULL, "x", "", 0, NULL, &p),
        attn_program_from_text(c, NULL, "", 0, NULL, &p),
        attn_program_from_text(c, "x", NULL, 1, NULL, &p),
        attn_program_from_text(c, "x", "", 0, NULL, NULL),
        attn_program_from_file(c, NULL, NULL, &p),
        attn_program_graph(NULL, 0, &g),
        attn_program_graph(f->w.program, 0, NULL),
        attn_program_graph(f->w.program, 1, &g),
        attn_program_tensor(NULL, NULL, 0, &ti),
        attn_program_tensor(f->w.program, "h", 0, &ti),
        attn_program_tensor(f->w.program, NULL, 99, &ti),
        attn_program_tensor(f->w.program, NULL, 0, NULL),
        attn_program_sample(c, NULL, NULL, 0, NULL, 0, 0, NULL, &t),
        attn_program_sample(c, f->w.program, NULL, 0, NULL, 1, 0, NULL, &t),
        attn_program_dump(c, NULL, NULL, NULL, NULL, NULL, &text),
        attn_program_dump(c, f->w.program, NULL, NULL, NULL, NULL, NULL),
        attn_program_emit(NULL, f->w.program, NULL, "cpu", NULL, &text),
        attn_program_shape(c, NULL, NULL, 0, NULL, 0, NULL, dims),
        attn_program_shape(c, f->w.program, NULL, 0, NULL, 0, NULL, NULL),
        attn_module_create(c, NULL, NULL, NULL, &m),
        attn_module_create(NULL, f->w.program, NULL, NULL, &m),
        attn_module_create(c, f->w.program, NULL, NULL, NULL),
        attn_module_kernel(NULL, NULL, 0, &ki),
        attn_module_kernel(f->w.module, NULL, 99, &ki),
        attn_module_kernel(f->w.module, NULL, 0, NULL),
        attn_model_create(c, NULL, NULL, NULL, &o),
        attn_model_create(NULL, f->w.module, NULL, NULL, &o),
        attn_model_create(c, f->w.module, NULL, NULL, NULL),
        attn_model_run(NULL, &f->o, NULL),
        attn_model_run(f->w.model, NULL, NULL),
        attn_model_cost(f->w.model, &f->o, NULL, NULL),
        attn_model_cost(f->w.model, NULL, NULL, &cost),
        attn_model_cost(NULL, &f->o, NULL, &cost),
        attn_model_counters(NULL, NULL, false, &counters),
        attn_model_counters(f->w.model, "no_such_graph", false, &counters),
        attn_model_counters(f->w.model, NULL, false, NULL),
        attn_model_copies(NULL, &f->o, "x", NULL, &copy),
        attn_model_copies(f->w.model, &f->o, NULL, NULL, &copy),
        attn_model_copies(f->w.model, &f->o, "x", NULL, NULL),
    };
    (void)state;
    for (size_t k = 0; k < COUNT(all); k++)
        if (all[k] != ATTN_ERROR_ARGUMENT) fail_msg("call %zu: %s", k, attn_status_text(all[k]));
    assert_true(!p && !m && !o && !t && !text);
    finish(f);
}

/* What only asks has an answer for NULL, and there is nothing to destroy. */
static void test_null_answers(void **state) {
    (void)state;
    assert_int_equal(attn_context_threads(NULL), 0);
    assert_int_equal(attn_tensor_rank(NULL), 0);
    assert_int_equal(attn_tensor_dim(NULL, 0), 0);
    assert_int_equal(attn_tensor_stride(NULL, 0), 0);
    assert_int_equal(attn_tensor_elements(NULL), 0);
    assert_int_equal(attn_tensor_dtype(NULL), ATTN_F32);
    assert_null(attn_tensor_data(NULL));
    assert_null(attn_module_target(NULL));
    assert_true(attn_module_compile_seconds(NULL) >= 0);
    assert_int_equal(attn_module_n_kernels(NULL, NULL), 0);
    assert_null(attn_module_remark(NULL, NULL, 0));
    attn_module_destroy(NULL);
    attn_model_destroy(NULL);
    attn_program_destroy(NULL);
    attn_text_destroy(NULL, NULL);
}

/* Lists in options that are said to have elements and are NULL, and structs of another size. */
static void test_options_broken(void **state) {
    fixture *f = prepare("cpu");
    attn_run_options good = f->o;
    attn_module *m = NULL;
    attn_model *o = NULL;
    attn_module_options mo = ATTN_MODULE_OPTIONS_INIT;
    attn_model_options po = ATTN_MODEL_OPTIONS_INIT;
    (void)state;
    f->o.inputs = NULL;
    assert_int_equal(attn_model_run(f->w.model, &f->o, f->w.said), ATTN_ERROR_ARGUMENT);
    f->o = good, f->o.outputs = NULL;
    assert_int_equal(attn_model_run(f->w.model, &f->o, f->w.said), ATTN_ERROR_ARGUMENT);
    f->o = good, f->o.dims = NULL;
    assert_int_equal(attn_model_run(f->w.model, &f->o, f->w.said), ATTN_ERROR_ARGUMENT);
    f->o = good, f->o.struct_size = 8;
    assert_int_equal(attn_model_run(f->w.model, &f->o, f->w.said), ATTN_ERROR_ARGUMENT);
    mo.n_dims = 1;
    assert_int_equal(attn_module_create(f->w.context, f->w.program, &mo, NULL, &m), ATTN_ERROR_ARGUMENT);
    mo.struct_size = 0;
    assert_int_equal(attn_module_create(f->w.context, f->w.program, &mo, NULL, &m), ATTN_ERROR_ARGUMENT);
    po.n_params = 1;
    assert_int_equal(attn_model_create(f->w.context, f->w.module, &po, NULL, &o), ATTN_ERROR_ARGUMENT);
    f->o = good;
    f->in[0].name = NULL;
    assert_true(attn_model_run(f->w.model, &f->o, NULL) != ATTN_OK);
    f->in[0] = (attn_argument){"x", f->in[0].tensor};
    f->dims[0].name = NULL;
    assert_true(attn_model_run(f->w.model, &f->o, NULL) != ATTN_OK);
    finish(f);
}

static void test_cancelled(void **state) {
    fixture *f = prepare("cpu");
    bool cancel = true;
    (void)state;
    f->o.cancel = &cancel;
    assert_int_equal(attn_model_run(f->w.model, &f->o, f->w.said), ATTN_ERROR_CANCELLED);
    assert_null(f->out[0].tensor);
    cancel = false;
    assert_int_equal(attn_model_run(f->w.model, &f->o, f->w.said), ATTN_OK);
    finish(f);
}

#define ON(test, target) {#test " on " target, test, NULL, NULL, (void *)(uintptr_t)(target)}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fixture_works),
        ON(test_tensors_unfit, "cpu"), ON(test_tensors_unfit, "eval"),
        ON(test_names, "cpu"), ON(test_names, "eval"),
        ON(test_dims, "cpu"), ON(test_dims, "eval"),
        ON(test_index_out_of_range, "cpu"), ON(test_index_out_of_range, "eval"),
        ON(test_outputs_unfit, "cpu"), ON(test_outputs_unfit, "eval"),
        ON(test_all_or_none, "cpu"), ON(test_all_or_none, "eval"),
        ON(test_unknown_graph, "cpu"), ON(test_unknown_graph, "eval"),
        ON(test_graph_not_compiled, "cpu"), ON(test_graph_not_compiled, "eval"),
        ON(test_params, "cpu"), ON(test_params, "eval"),
        ON(test_shapes_and_samples, "cpu"), ON(test_shapes_and_samples, "eval"),
        cmocka_unit_test(test_tensors_impossible), cmocka_unit_test(test_context_options), cmocka_unit_test(test_null), cmocka_unit_test(test_null_answers),
        cmocka_unit_test(test_options_broken), cmocka_unit_test(test_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

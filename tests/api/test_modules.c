/* Modules: an entry for each combination of listed values; params once for all graphs; to a file and back. */
#include "world.h"
#include <math.h>
#include <unistd.h>

static const char source[] = "param w: f32[D] = \"w\"\n"
                             "graph first(x: f32[N,D]) -> (s: f32[N]) {\n    s[n] = sum(d: x[n,d]*w[d])\n}\n"
                             "graph g(x: f32[N,D]) -> (y: f32[N,D]) where D in {2, 3} {\n    y[n,d] = x[n,d]*w[d]\n}\n";

static world open_source(const char *text) {
    world w = world_open(NULL, NULL);
    assert_int_equal(attn_program_from_text(w.context, "listed.attn", text, strlen(text), w.said, &w.program), ATTN_OK);
    return w;
}

static void compile(world *w, const char *target) {
    attn_module_options o = ATTN_MODULE_OPTIONS_INIT;
    o.target = target;
    assert_int_equal(attn_module_create(w->context, w->program, &o, w->said, &w->module), ATTN_OK);
}

static void give_weights(world *w, int64_t n) {
    float weights[] = {2, 3, 5, 7};
    attn_argument p = {"w", world_wrap(w, ATTN_F32, 1, &n, weights)};
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    o.params = &p, o.n_params = 1;
    assert_int_equal(attn_model_create(w->context, w->module, &o, w->said, &w->model), ATTN_OK);
    attn_tensor_destroy(p.tensor);
}

static attn_status run(world *w, const char *graph, int64_t d, float *y, attn_kernel_time *times) {
    float x[2][4] = {{1, 1, 1, 1}, {0}};
    attn_argument in = {"x", world_wrap(w, ATTN_F32, 2, (int64_t[]){1, d}, x)}, out = {graph ? "s" : "y", NULL};
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.graph = graph, o.inputs = &in, o.n_inputs = 1, o.outputs = &out, o.n_outputs = 1, o.times = times;
    attn_status status = attn_model_run(w->model, &o, w->said);
    if (status == ATTN_OK) memcpy(y, attn_tensor_data(out.tensor), (size_t)attn_tensor_elements(out.tensor) * sizeof *y);
    attn_tensor_destroy(in.tensor);
    attn_tensor_destroy(out.tensor);
    return status;
}

/* Which of the kernels have run: by the names of their entries. */
static void assert_entry(const world *w, const attn_kernel_time *times, const char *entry) {
    for (size_t k = 0; k < attn_module_n_kernels(w->module, NULL); k++) {
        attn_kernel_info info = ATTN_KERNEL_INFO_INIT;
        assert_int_equal(attn_module_kernel(w->module, NULL, k, &info), ATTN_OK);
        assert_non_null(info.entry);
        assert_int_equal(times[k].launches > 0, !strcmp(info.entry, entry));
    }
}

static void an_entry_for_each_value(void **state) {
    (void)state;
    for (int64_t d = 2; d <= 3; d++) {
        world w = open_source(source);
        attn_kernel_time times[8] = {{0, 0}};
        float y[4];
        compile(&w, NULL);
        give_weights(&w, d);
        assert_in_range(attn_module_n_kernels(w.module, NULL), 2, COUNT(times));
        assert_int_equal(run(&w, NULL, d, y, times), ATTN_OK);
        assert_true(y[0] > 1.5f && y[0] < 2.5f && y[1] > 2.5f && y[1] < 3.5f);
        assert_entry(&w, times, d == 2 ? "D = 2" : "D = 3");
        assert_int_equal(run(&w, "first", d, y, NULL), ATTN_OK);
        assert_true(y[0] > (d == 2 ? 4.9f : 9.9f) && y[0] < (d == 2 ? 5.1f : 10.1f));
        world_close(&w);
    }
}

static void other_values_are_refused(void **state) {
    (void)state;
    const char *const targets[] = {"cpu", "eval"};
    for (size_t k = 0; k < COUNT(targets); k++) {
        world w = open_source(source);
        float y[4];
        compile(&w, targets[k]);
        give_weights(&w, 4);
        assert_said(&w, run(&w, NULL, 4, y, NULL), ATTN_ERROR_DATA, "E0608", "D in {2, 3}");
        assert_int_equal(run(&w, "first", 4, y, NULL), ATTN_OK);
        world_close(&w);
    }
}

static void combinations_are_bounded(void **state) {
    (void)state;
    attn_module *m = NULL;
    world w = open_source("graph g(x: f32[A,B,C]) -> (y: f32[A,B,C]) where A in {1, 2, 3}, B in {1, 2, 3}, C in {1, 2} {\n    y[a,b,c] = x[a,b,c] + 1\n}\n");
    assert_said(&w, attn_module_create(w.context, w.program, NULL, w.said, &m), ATTN_ERROR_PROGRAM, "E0521", "18 combinations");
    world_close(&w);
    /* A value may stand for a dimension that an input gives. */
    w = open_source("graph g(x: f32[N], K: dim) -> (y: f32[N,K]) where K in {1, 2}, N in {1, 2} {\n    y[n,k] = x[n] + k\n}\n");
    compile(&w, NULL);
    assert_int_equal(attn_model_create(w.context, w.module, NULL, w.said, &w.model), ATTN_OK);
    float x[2] = {1, 2};
    attn_argument in = {"x", world_wrap(&w, ATTN_F32, 1, (int64_t[]){2}, x)}, out = {"y", NULL};
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.inputs = &in, o.n_inputs = 1, o.outputs = &out, o.n_outputs = 1, o.dims = &(attn_dim){"K", 2}, o.n_dims = 1;
    assert_int_equal(attn_model_run(w.model, &o, w.said), ATTN_OK);
    assert_true(((const float *)attn_tensor_data(out.tensor))[3] > 2.5f);
    attn_tensor_destroy(in.tensor);
    attn_tensor_destroy(out.tensor);
    world_close(&w);
}

/* ---- files */

static const char path[] = "saved.attnm";

static void save_and_load(world *w) {
    assert_int_equal(attn_module_save(w->module, path, w->said), ATTN_OK);
    attn_module_destroy(w->module);
    attn_program_destroy(w->program);
    w->module = NULL;
    w->program = NULL;
    assert_int_equal(attn_module_load(w->context, path, w->said, &w->module), ATTN_OK);
    unlink(path);
}

/* ---- set-ups */

/* u is made of params alone, and so is the check of `at`: both graphs have it. */
#define SCALED "    u[d,e] = w[at[d],e]/sum(i, j: w[i,j]*w[i,j])\n"
static const char scaled[] = "param w: f32[D,E] = \"w\"\nparam at: i32[D] = \"at\"\n"
                             "graph first(x: f32[N,D]) -> (y: f32[N,E]) {\n" SCALED "    y[n,e] = sum(d: x[n,d]*u[d,e])\n}\n"
                             "graph g(x: f32[N,D]) -> (z: f32[N,E]) {\n" SCALED "    z[n,e] = 1 + sum(d: x[n,d]*u[d,e])\n}\n";

static attn_status make_scaled(world *w, int32_t row, attn_model **out) {
    float weights[] = {1, 2, 3, 4};
    int32_t at[] = {row, 0};
    attn_argument p[] = {{"w", world_wrap(w, ATTN_F32, 2, (int64_t[]){2, 2}, weights)}, {"at", world_wrap(w, ATTN_I32, 1, (int64_t[]){2}, at)}};
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    o.params = p, o.n_params = 2;
    attn_status status = attn_model_create(w->context, w->module, &o, w->said, out);
    for (size_t k = 0; k < COUNT(p); k++) attn_tensor_destroy(p[k].tensor);
    return status;
}

/* Launches of a run: those of the set-up are none of them. */
static int64_t run_scaled(world *w, const char *graph, const char *output, float plus) {
    float x[] = {15, 30};
    attn_kernel_time times[16] = {{0, 0}};
    attn_argument in = {"x", world_wrap(w, ATTN_F32, 2, (int64_t[]){1, 2}, x)}, out = {output, NULL};
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.graph = graph, o.inputs = &in, o.n_inputs = 1, o.outputs = &out, o.n_outputs = 1, o.times = times;
    assert_in_range(attn_module_n_kernels(w->module, graph), 4, COUNT(times));
    assert_int_equal(attn_model_run(w->model, &o, w->said), ATTN_OK);
    const float *y = attn_tensor_data(out.tensor);
    assert_true(fabsf(y[0] - 2.5f - plus) < 1e-4f && fabsf(y[1] - 4 - plus) < 1e-4f);
    attn_tensor_destroy(in.tensor);
    attn_tensor_destroy(out.tensor);
    int64_t n = 0;
    for (size_t k = 0; k < COUNT(times); k++) n += times[k].launches;
    return n;
}

static void what_params_decide_runs_once(void **state) {
    (void)state;
    for (int loaded = 0; loaded < 2; loaded++) {
        world w = open_source(scaled);
        compile(&w, NULL);
        if (loaded) save_and_load(&w);
        assert_int_equal(make_scaled(&w, 1, &w.model), ATTN_OK);
        assert_int_equal(run_scaled(&w, "first", "y", 0), 1);
        assert_int_equal(run_scaled(&w, "g", "z", 1), 1);
        world_close(&w);
    }
}

/* A table that does not change is looked at when it arrives. */
static void a_bad_table_is_no_model(void **state) {
    (void)state;
    attn_model *model = NULL;
    world w = open_source(scaled);
    compile(&w, NULL);
    assert_int_equal(make_scaled(&w, 2, &model), ATTN_ERROR_DATA);
    assert_string_equal(world_code(&w, 0), "E0601");
    const char *text = attn_diagnostics_render(w.said, 0, false);
    assert_non_null(strstr(text, "listed.attn:4:"));
    assert_non_null(strstr(text, "(at d = 0)"));
    assert_null(model);
    attn_diagnostics_clear(w.said);
    world_close(&w);
}


static void a_loaded_module_is_the_saved_one(void **state) {
    (void)state;
    world w = open_source(source);
    compile(&w, NULL);
    size_t n = attn_module_n_kernels(w.module, NULL);
    save_and_load(&w);
    assert_int_equal(attn_module_n_kernels(w.module, NULL), n);
    assert_string_equal(attn_module_target(w.module), "cpu");
    assert_int_equal(attn_module_n_graphs(w.module), 2);
    attn_graph_info graph = ATTN_GRAPH_INFO_INIT;
    attn_tensor_info tensor = ATTN_TENSOR_INFO_INIT;
    attn_kernel_info kernel = ATTN_KERNEL_INFO_INIT;
    assert_int_equal(attn_module_graph(w.module, 1, &graph), ATTN_OK);
    assert_string_equal(graph.name, "g");
    assert_int_equal(attn_module_graph(w.module, 2, &graph), ATTN_ERROR_ARGUMENT);
    assert_int_equal(attn_module_tensor(w.module, NULL, 1, &tensor), ATTN_OK);
    assert_true(tensor.kind == ATTN_PARAM && !strcmp(tensor.storage, "w") && !strcmp(tensor.dims[0], "D"));
    assert_int_equal(attn_module_tensor(w.module, "h", 0, &tensor), ATTN_ERROR_ARGUMENT);
    assert_int_equal(attn_module_kernel(w.module, NULL, 0, &kernel), ATTN_OK);
    assert_non_null(strstr(kernel.text, "kernel y"));
    float y[4];
    give_weights(&w, 3);
    assert_int_equal(run(&w, NULL, 3, y, NULL), ATTN_OK);
    assert_true(y[2] > 4.5f && y[2] < 5.5f);
    /* Its sources are in it: a message shows the line. */
    assert_int_equal(run(&w, NULL, 2, y, NULL), ATTN_ERROR_DATA);
    assert_non_null(strstr(attn_diagnostics_render(w.said, 0, false), "graph g(x: f32[N,D])"));
    attn_diagnostics_clear(w.said);
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.graph = "h";
    assert_said(&w, attn_model_run(w.model, &o, w.said), ATTN_ERROR_ARGUMENT, "E0952", "first, g");
    float x[3] = {0};
    attn_cost cost = {.struct_size = sizeof cost};
    attn_argument in = {"x", world_wrap(&w, ATTN_F32, 2, (int64_t[]){1, 3}, x)};
    o = (attn_run_options)ATTN_RUN_OPTIONS_INIT;
    o.inputs = &in, o.n_inputs = 1;
    assert_int_equal(attn_model_cost(w.model, &o, w.said, &cost), ATTN_OK);
    assert_true(cost.items > 0 && cost.operations <= 0);
    attn_tensor_destroy(in.tensor);
    world_close(&w);
}

static void what_is_no_module_is_refused(void **state) {
    (void)state;
    attn_module *m = NULL;
    world w = open_source(source);
    assert_said(&w, attn_module_load(w.context, "nowhere.attnm", w.said, &m), ATTN_ERROR_ENVIRONMENT, "E0701", "nowhere.attnm");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("graph g", f);
    fclose(f);
    assert_said(&w, attn_module_load(w.context, path, w.said, &m), ATTN_ERROR_ENVIRONMENT, "E0720", "it is no module");
    compile(&w, "eval");
    assert_said(&w, attn_module_save(w.module, path, w.said), ATTN_ERROR_ARGUMENT, "E0951", "eval");
    attn_module_destroy(w.module);
    compile(&w, NULL);
    assert_said(&w, attn_module_save(w.module, "/nowhere/x.attnm", w.said), ATTN_ERROR_ENVIRONMENT, "E0702", "/nowhere/x.attnm");
    assert_int_equal(attn_module_save(w.module, path, w.said), ATTN_OK);
    f = fopen(path, "r+b");
    fseek(f, 200, SEEK_SET);
    fputs("damage", f);
    fclose(f);
    assert_said(&w, attn_module_load(w.context, path, w.said, &m), ATTN_ERROR_ENVIRONMENT, "E0720", "checksum");
    assert_null(m);
    unlink(path);
    world_close(&w);
}

/* ---- strides */

static void a_run_says_what_it_copies(void **state) {
    (void)state;
    const char *const targets[] = {"cpu", "eval"};
    for (size_t k = 0; k < COUNT(targets); k++) {
        world w = open_source(source);
        attn_copy copy = ATTN_COPY_DEVICE;
        float x[16] = {0};
        attn_argument in = {"x", world_wrap(&w, ATTN_F32, 2, (int64_t[]){2, 3}, x)};
        attn_run_options o = ATTN_RUN_OPTIONS_INIT;
        o.inputs = &in, o.n_inputs = 1;
        compile(&w, targets[k]);
        give_weights(&w, 3);
        assert_int_equal(attn_model_copies(w.model, &o, "x", w.said, &copy), ATTN_OK);
        assert_int_equal(copy, ATTN_COPY_NONE);
        attn_tensor_destroy(in.tensor);
        assert_int_equal(attn_tensor_wrap(w.context, ATTN_F32, 2, (int64_t[]){2, 3}, (int64_t[]){4, 1}, x, w.said, &in.tensor), ATTN_OK);
        assert_int_equal(attn_model_copies(w.model, &o, "x", w.said, &copy), ATTN_OK);
        assert_int_equal(copy, k ? ATTN_COPY_NONE : ATTN_COPY_STRIDES);
        attn_tensor_destroy(in.tensor);
        assert_int_equal(attn_tensor_wrap(w.context, ATTN_F32, 2, (int64_t[]){2, 3}, NULL, (char *)x + 1, w.said, &in.tensor), ATTN_OK);
        assert_int_equal(attn_model_copies(w.model, &o, "x", w.said, &copy), ATTN_OK);
        assert_int_equal(copy, k ? ATTN_COPY_NONE : ATTN_COPY_ALIGNMENT);
        assert_said(&w, attn_model_copies(w.model, &o, "w", w.said, &copy), ATTN_ERROR_ARGUMENT, "E0951", "no input");
        o.graph = "h";
        assert_said(&w, attn_model_copies(w.model, &o, "x", w.said, &copy), ATTN_ERROR_ARGUMENT, "E0952", "first, g");
        attn_tensor_destroy(in.tensor);
        world_close(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_for_each_value),
        cmocka_unit_test(other_values_are_refused),
        cmocka_unit_test(combinations_are_bounded),
        cmocka_unit_test(what_params_decide_runs_once),
        cmocka_unit_test(a_run_says_what_it_copies),
        cmocka_unit_test(a_bad_table_is_no_model),
        cmocka_unit_test(a_loaded_module_is_the_saved_one),
        cmocka_unit_test(what_is_no_module_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Memory runs out: at each request in turn, and from each on. Every time the status is right, nothing is lost, and the library goes on. */
#include "world.h"

/* A param, two graphs, a warning, a mask, a gather (a check), a loop over layers: a bit of everything that takes memory. */
static const char source[] = "param w: f32[L,D,D] = \"w.{l}\"\n"
                             "graph block(x: f32[N,D]) -> (y: f32[N,D]) {\n"
                             "    a[i,e] = attend(j: x[i,d], x[j,d], x[j,e]) { mask = j <= i }\n"
                             "    y[i,e] = x[i,e] + a[i,e]\n"
                             "}\n"
                             "graph layers(x: f32[M,D], row: i32[N]) -> (y: f32[N,D]) {\n"
                             "    h[n,d] = x[row[n],d]\n"
                             "    for l in 0..L {\n"
                             "        h[n,d] = h[n,d] + sum(e: h[n,e]*w[l,d,e])\n"
                             "    }\n"
                             "    y[n,d] = h[n,d]\n"
                             "}\n";

typedef struct { float weights[2][3][3], x[5][3], y[4][3]; int32_t row[4]; } numbers;

/* Everything a host does, until something fails. What was made is given back in any case. */
static attn_status live(const attn_allocator *allocator, attn_diagnostics *said, const char *target, numbers *data) {
    attn_context_options co = ATTN_CONTEXT_OPTIONS_INIT;
    attn_module_options mo = ATTN_MODULE_OPTIONS_INIT;
    attn_model_options po = ATTN_MODEL_OPTIONS_INIT;
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    attn_context *context = NULL;
    attn_program *program = NULL;
    attn_module *module = NULL;
    attn_model *model = NULL;
    attn_argument param = {"w", NULL}, in[] = {{"x", NULL}, {"row", NULL}}, out = {"y", NULL};
    co.allocator = allocator;
    co.threads = 2;
    mo.target = target;
    po.params = &param, po.n_params = 1;
    o.inputs = in, o.n_inputs = 2, o.outputs = &out, o.n_outputs = 1;
    attn_status status = attn_context_create(&co, said, &context);
    if (!status) status = attn_program_from_text(context, "memory.attn", source, sizeof source - 1, said, &program);
    if (!status) status = attn_module_create(context, program, &mo, said, &module);
    if (!status) status = attn_tensor_wrap(context, ATTN_F32, 3, (int64_t[]){2, 3, 3}, NULL, data->weights, said, &param.tensor);
    if (!status) status = attn_model_create(context, module, &po, said, &model);
    if (!status) status = attn_tensor_wrap(context, ATTN_F32, 2, (int64_t[]){5, 3}, NULL, data->x, said, &in[0].tensor);
    if (!status) status = attn_tensor_wrap(context, ATTN_I32, 1, (int64_t[]){4}, (int64_t[]){1}, data->row, said, &in[1].tensor);
    if (!status) status = attn_model_run(model, &o, said);
    if (!status) memcpy(data->y, attn_tensor_data(out.tensor), sizeof data->y);
    else assert_null(out.tensor);
    attn_tensor_destroy(out.tensor);
    attn_tensor_destroy(in[0].tensor);
    attn_tensor_destroy(in[1].tensor);
    attn_tensor_destroy(param.tensor);
    attn_model_destroy(model);
    attn_module_destroy(module);
    attn_program_destroy(program);
    attn_context_destroy(context);
    return status;
}

static numbers prepare(void) {
    numbers n = {.row = {4, 0, 2, 2}};
    for (int k = 0; k < 18; k++) (&n.weights[0][0][0])[k] = (float)(k % 5) - 2;
    for (int k = 0; k < 15; k++) (&n.x[0][0])[k] = (float)(k % 7) / 4;
    return n;
}

/* No message but "out of memory", and that in any list, the allocator's own too. */
static void expect_no_memory(const attn_diagnostics *said, long n) {
    attn_diagnostic d = ATTN_DIAGNOSTIC_INIT;
    size_t count = attn_diagnostics_count(said);
    if (count == 0) fail_msg("request %ld: nothing was said", n);
    assert_int_equal(attn_diagnostics_get(said, count - 1, &d), ATTN_OK);
    assert_string_equal(d.code, "E0801");
}

static long fail_at(const char *target, long n, bool once, const numbers *wanted) {
    counter c = {.fail_at = n, .once = once};
    attn_allocator hook = counter_allocator(&c);
    attn_diagnostics *said = NULL;
    numbers data = prepare();
    attn_status status = attn_diagnostics_create(&hook, &said);
    if (!status) status = live(&hook, said, target, &data);
    else assert_null(said);
    if (status != ATTN_OK && status != ATTN_ERROR_MEMORY) fail_msg("request %ld: %s", n, attn_status_text(status));
    if (status != ATTN_OK && said) expect_no_memory(said, n);
    if (status == ATTN_OK) assert_memory_equal(data.y, wanted->y, sizeof data.y);
    attn_diagnostics_destroy(said);
    if (c.blocks || c.bytes) fail_msg("request %ld: %ld blocks, %lld bytes are lost", n, c.blocks, c.bytes);
    return c.requests;
}

/* The n-th alone for every n; all from the n-th on for a part, since that ends at the same place unless somebody tries again. */
static void test_each_request_fails(void **state) {
    numbers wanted = prepare();
    counter count = {0};
    attn_allocator hook = counter_allocator(&count);
    assert_int_equal(live(&hook, NULL, *state, &wanted), ATTN_OK);
    assert_true(count.blocks == 0 && count.bytes == 0);
    assert_true(count.requests > 20);
    print_message("%ld requests\n", count.requests);
    for (long n = 1; n <= count.requests + 2; n++) {
        fail_at(*state, n, true, &wanted);
        if (n % 7 == 1) fail_at(*state, n, false, &wanted);
    }
}

/* What takes little memory of the heap itself: drawing, dumping, counting, files. */
static void test_tools(void **state) {
    (void)state;
    long last = 1;
    for (long n = 0; n <= last; n++) {           /* first without a failure, to count */
        counter c = {.fail_at = n, .once = true};
        attn_allocator hook = counter_allocator(&c);
        attn_context_options co = ATTN_CONTEXT_OPTIONS_INIT;
        attn_context *context = NULL;
        attn_program *program = NULL;
        attn_tensor *t = NULL, *back = NULL;
        char *text = NULL, *code = NULL;
        int64_t dims[ATTN_MAX_RANK];
        attn_dim d = {"D", 3};
        co.allocator = &hook;
        attn_status status = attn_context_create(&co, NULL, &context);
        if (!status) status = attn_program_from_text(context, "memory.attn", source, sizeof source - 1, NULL, &program);
        if (!status) status = attn_program_sample(context, program, NULL, 0, &d, 1, 1, NULL, &t);
        if (!status) status = attn_program_shape(context, program, "block", 0, (attn_dim[]){{"N", 2}, {"D", 3}}, 2, NULL, dims);
        if (!status) status = attn_program_dump(context, program, "block", NULL, NULL, NULL, &text);
        if (!status) status = attn_program_emit(context, program, "block", "cuda", NULL, &code);
        if (!status) status = attn_tensor_write_npy(context, t, ATTN_BINARY_DIR "/tests/api_memory.npy", NULL);
        if (!status) status = attn_tensor_read_npy(context, ATTN_BINARY_DIR "/tests/api_memory.npy", NULL, &back);
        if (status != ATTN_OK && status != ATTN_ERROR_MEMORY) fail_msg("request %ld: %s", n, attn_status_text(status));
        attn_text_destroy(context, text);
        attn_text_destroy(context, code);
        attn_tensor_destroy(t);
        attn_tensor_destroy(back);
        attn_program_destroy(program);
        attn_context_destroy(context);
        if (c.blocks || c.bytes) fail_msg("request %ld: %ld blocks, %lld bytes are lost", n, c.blocks, c.bytes);
        if (n == 0) last = c.requests;
    }
    assert_true(last > 10);
    remove(ATTN_BINARY_DIR "/tests/api_memory.npy");
}

/* Elements that go through files and other libraries: archives, weights, DLPack. */
static attn_status exchange(const attn_allocator *hook, attn_diagnostics *said) {
    static const char npz[] = ATTN_BINARY_DIR "/tests/api_memory.npz", weights[] = ATTN_BINARY_DIR "/tests/api_memory.safetensors";
    attn_context_options co = ATTN_CONTEXT_OPTIONS_INIT;
    attn_module_options mo = ATTN_MODULE_OPTIONS_INIT;
    attn_model_options po = ATTN_MODEL_OPTIONS_INIT, stored = ATTN_MODEL_OPTIONS_INIT;
    attn_context *context = NULL;
    attn_program *program = NULL;
    attn_module *module = NULL;
    attn_model *model = NULL, *again = NULL;
    attn_tensor *taken = NULL;
    struct DLManagedTensor *lent = NULL;
    attn_argument param = {"w", NULL}, *list = NULL;
    float w[18] = {0};
    size_t n = 0;
    co.allocator = hook;
    mo.target = "eval", mo.graph = "layers";
    po.params = &param, po.n_params = 1;
    stored.weights = weights;
    attn_status status = attn_context_create(&co, said, &context);
    if (!status) status = attn_program_from_text(context, "memory.attn", source, sizeof source - 1, said, &program);
    if (!status) status = attn_module_create(context, program, &mo, said, &module);
    if (!status) status = attn_tensor_wrap(context, ATTN_F32, 3, (int64_t[]){2, 3, 3}, (int64_t[]){1, 2, 6}, w, said, &param.tensor);
    if (!status) status = attn_model_create(context, module, &po, said, &model);
    if (!status) status = attn_model_save_weights(model, weights, said);
    if (!status) status = attn_model_create(context, module, &stored, said, &again);
    if (!status) status = attn_tensors_write_npz(context, &param, 1, npz, said);
    if (!status) status = attn_tensors_read_npz(context, npz, said, &list, &n);
    if (!status) status = attn_tensor_to_dlpack(context, list[0].tensor, said, &lent);
    if (lent) status = attn_tensor_from_dlpack(context, lent, said, &taken);
    if (lent && !taken) assert_int_equal(attn_tensor_from_dlpack(context, lent, said, &taken), ATTN_OK);     /* it was still ours */
    attn_tensor_destroy(taken);
    attn_arguments_destroy(context, list, n);
    attn_tensor_destroy(param.tensor);
    attn_model_destroy(again);
    attn_model_destroy(model);
    attn_module_destroy(module);
    attn_program_destroy(program);
    attn_context_destroy(context);
    remove(npz);
    remove(weights);
    return status;
}

static void test_exchange(void **state) {
    (void)state;
    long last = 1;
    for (long n = 0; n <= last; n++) {
        counter c = {.fail_at = n, .once = true};
        attn_allocator hook = counter_allocator(&c);
        attn_diagnostics *said = NULL;
        assert_int_equal(attn_diagnostics_create(NULL, &said), ATTN_OK);
        attn_status status = exchange(&hook, said);
        if (status != ATTN_OK && status != ATTN_ERROR_MEMORY) fail_msg("request %ld: %s", n, attn_status_text(status));
        if (status != ATTN_OK) expect_no_memory(said, n);
        attn_diagnostics_destroy(said);
        if (c.blocks || c.bytes) fail_msg("request %ld: %ld blocks, %lld bytes are lost", n, c.blocks, c.bytes);
        if (n == 0) last = c.requests;
    }
    assert_true(last > 20);
    print_message("%ld requests\n", last);
}

/* A tensor that no machine has room for, and one whose bytes do not fit into 64 bits. */
static void test_too_large(void **state) {
    world w = world_open("graph g(x: f32[A], y: f32[B]) -> (z: f32[A,B]) { z[a,b] = x[a]*y[b] }", *state);
    int64_t dims[1] = {INT64_C(1) << 30}, zero[1] = {0};
    float x = 1;
    attn_argument in[] = {{"x", NULL}, {"y", NULL}}, out = {"z", NULL};
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.inputs = in, o.n_inputs = 2, o.outputs = &out, o.n_outputs = 1;
    for (int k = 0; k < 2; k++) assert_int_equal(attn_tensor_wrap(w.context, ATTN_F32, 1, dims, zero, &x, w.said, &in[k].tensor), ATTN_OK);
    attn_status status = attn_model_run(w.model, &o, w.said);        /* 4 EiB */
    assert_said(&w, status, ATTN_ERROR_MEMORY, "E0801", "out of memory");
    assert_null(out.tensor);
    for (int k = 0; k < 2; k++) attn_tensor_destroy(in[k].tensor);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        {"each request fails on cpu", test_each_request_fails, NULL, NULL, (void *)(uintptr_t)"cpu"},
        {"each request fails on eval", test_each_request_fails, NULL, NULL, (void *)(uintptr_t)"eval"},
        cmocka_unit_test(test_tools),
        cmocka_unit_test(test_exchange),
        {"too large on cpu", test_too_large, NULL, NULL, (void *)(uintptr_t)"cpu"},
        {"too large on eval", test_too_large, NULL, NULL, (void *)(uintptr_t)"eval"},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Each call of the system that files need fails in turn: the status is right, something is said, no descriptor, mapping or memory is lost, and every file
 * is as it was or as it was to be; of files that are written together, all are the one or all the other. */
#include <dirent.h>
#include <unistd.h>
#include "faults.h"
#include "world.h"

enum { BIG = 300000, FILES = 4 };                /* elements of the large tensor, which is mapped; files that are written */

static char folder[256];
static char a_npy[300], big_npy[300], npz[300], weights[300], big_weights[300], program[300], imported[300], cache[300];
static const char *const written[FILES] = {a_npy, big_npy, npz, weights};

typedef struct { char *at; size_t n; } bytes;
static bytes old_files[FILES], new_files[FILES];

static void put_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static bytes read_bytes(const char *path) {
    bytes b = {malloc(1 << 22), 0};
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s has gone", path);
    b.n = fread(b.at, 1, 1 << 22, f);
    fclose(f);
    return b;
}

static void write_bytes(const char *path, const bytes *b) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(b->at, 1, b->n, f), b->n);
    assert_int_equal(fclose(f), 0);
}

static int entries_of(const char *path) {
    DIR *d = opendir(path);
    int n = 0;
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

static int mappings(void) {
    FILE *f = fopen("/proc/self/maps", "r");
    char line[512];
    int n = 0;
    if (!f) return 0;
    while (fgets(line, sizeof line, f)) n += strstr(line, folder) != NULL;
    fclose(f);
    return n;
}

/* ---- what is tried */

static const char source[] = "import \"faults_half.attn\"\n"
                             "param w: f32[N] = \"w\"\n"
                             "param l: f32[L,2] = \"l.{k}\"\n"
                             "graph g(x: f32[N]) -> (y: f32[N]) {\n    y[n] = half(x[n]) + w[n] + sum(k, d: l[k,d])\n}\n";

typedef struct { attn_context *context; attn_program *program; attn_module *module; attn_model *model; attn_tensor *a, *big; attn_argument *list; size_t n; } things;

static attn_status open_program(things *t, const attn_allocator *allocator, const char *cache_path, attn_diagnostics *said) {
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    o.allocator = allocator, o.threads = 1, o.cache_path = cache_path;
    attn_status status = attn_context_create(&o, said, &t->context);
    return status ? status : attn_program_from_file(t->context, program, said, &t->program);
}

static attn_status make_module(things *t, const char *target, attn_diagnostics *said) {
    attn_module_options m = ATTN_MODULE_OPTIONS_INIT;
    m.target = target;
    return attn_module_create(t->context, t->program, &m, said, &t->module);
}

static void close_things(things *t) {
    attn_arguments_destroy(t->context, t->list, t->n);
    attn_tensor_destroy(t->a);
    attn_tensor_destroy(t->big);
    attn_model_destroy(t->model);
    attn_module_destroy(t->module);
    attn_program_destroy(t->program);
    attn_context_destroy(t->context);
    *t = (things){0};
}

static attn_status make_model(things *t, const char *path, attn_diagnostics *said) {
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    o.weights = path;
    return attn_model_create(t->context, t->module, &o, said, &t->model);
}

/* Everything that reads a file. */
static attn_status read_all(things *t, const attn_allocator *allocator, attn_diagnostics *said) {
    attn_status status = open_program(t, allocator, NULL, said);
    if (!status) status = make_module(t, "eval", said);
    if (!status) status = make_model(t, weights, said);
    attn_model_destroy(t->model);
    t->model = NULL;
    if (!status) status = make_model(t, big_weights, said);
    if (!status) status = attn_tensor_read_npy(t->context, a_npy, said, &t->a);
    if (!status) status = attn_tensor_read_npy(t->context, big_npy, said, &t->big);
    if (!status) status = attn_tensors_read_npz(t->context, npz, said, &t->list, &t->n);
    return status;
}

/* Everything that writes one. *done: how many files are to be new after a failure. */
static attn_status write_all(const things *t, size_t *done, attn_diagnostics *said) {
    const attn_tensor_file files[] = {{a_npy, t->a}, {big_npy, t->big}};
    *done = 0;
    attn_status status = attn_tensors_write_npy(t->context, files, 2, said);
    if (!status) *done = 2, status = attn_tensors_write_npz(t->context, t->list, t->n, npz, said);
    if (!status) *done = 3, status = attn_model_save_weights(t->model, weights, said);
    if (!status) *done = FILES;
    return status;
}

/* ---- the files of the test: old ones, and what the tensors of `fresh` become */

static things fresh;
static float *numbers;
static float few[4] = {1, 2, 3, 4}, stacked[6] = {1, 2, 3, 4, 5, 6};

static attn_status make_fresh(const char *weights_from) {
    attn_argument params[] = {{"w", NULL}, {"l", NULL}};
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    attn_status status = open_program(&fresh, NULL, NULL, NULL);
    if (!status) status = make_module(&fresh, "eval", NULL);
    if (!status) status = attn_tensor_wrap(fresh.context, ATTN_F32, 1, (int64_t[]){4}, NULL, few, NULL, &fresh.a);
    if (!status) status = attn_tensor_wrap(fresh.context, ATTN_F32, 1, (int64_t[]){BIG}, NULL, numbers, NULL, &fresh.big);
    if (!status) status = attn_tensor_wrap(fresh.context, ATTN_F32, 2, (int64_t[]){3, 2}, NULL, stacked, NULL, &params[1].tensor);
    params[0].tensor = weights_from == big_weights ? fresh.big : fresh.a;
    o.params = params, o.n_params = 2;
    if (!status) status = attn_model_create(fresh.context, fresh.module, &o, NULL, &fresh.model);
    attn_tensor_destroy(params[1].tensor);
    return status;
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/tests/faults_XXXXXX", ATTN_BINARY_DIR);
    if (!mkdtemp(folder)) return -1;
    struct { char *path; const char *name; } names[] = {{a_npy, "a.npy"}, {big_npy, "big.npy"}, {npz, "x.npz"}, {weights, "w.safetensors"}, {big_weights, "big.safetensors"},
                                                        {program, "faults.attn"}, {imported, "faults_half.attn"}, {cache, "cache"}};
    for (size_t k = 0; k < COUNT(names); k++) snprintf(names[k].path, sizeof a_npy, "%s/%s", folder, names[k].name);
    put_text(program, source);
    put_text(imported, "fn half(x) = x / 2\n");
    numbers = calloc(BIG, sizeof *numbers);
    if (make_fresh(big_weights) || attn_model_save_weights(fresh.model, big_weights, NULL)) return -1;
    close_things(&fresh);
    /* What is there first, and what is to be there then. */
    for (int turn = 0; turn < 2; turn++) {
        size_t done;
        few[0] = numbers[BIG - 1] = stacked[5] = (float)(100 + turn);
        if (make_fresh(weights)) return -1;
        attn_argument pair[] = {{"a", fresh.a}, {"big", fresh.big}};
        if (attn_tensors_write_npz(fresh.context, pair, 2, npz, NULL) || attn_tensors_read_npz(fresh.context, npz, NULL, &fresh.list, &fresh.n)) return -1;
        if (write_all(&fresh, &done, NULL)) return -1;
        for (size_t k = 0; k < FILES; k++) *(turn ? &new_files[k] : &old_files[k]) = read_bytes(written[k]);
        if (!turn) close_things(&fresh);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    close_things(&fresh);
    free(numbers);
    for (size_t k = 0; k < FILES; k++) {
        free(old_files[k].at);
        free(new_files[k].at);
    }
    char command[400];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

/* ---- the tests */

static void restore(void) {
    for (size_t k = 0; k < FILES; k++) write_bytes(written[k], &old_files[k]);
}

/* A refused call of the system is the fault of the environment; or, of a file that is imported, of the program; or it is memory for code. */
static void expect_said(attn_diagnostics *said, attn_status status, long n) {
    bool memory = status == ATTN_ERROR_MEMORY && !strcmp(faults_name(), "mmap");
    if (status != ATTN_OK && !memory && status != ATTN_ERROR_ENVIRONMENT && status != ATTN_ERROR_PROGRAM)
        fail_msg("call %ld (%s): %s", n, faults_name(), attn_status_text(status));
    if (status != ATTN_OK && attn_diagnostics_count(said) == 0) fail_msg("call %ld (%s): nothing was said", n, faults_name());
    attn_diagnostics_clear(said);
}

static long read_with(faults_kind kind, long n, bool must) {
    counter c = {0};
    attn_allocator hook = counter_allocator(&c);
    attn_diagnostics *said = NULL;
    things t = {0};
    assert_int_equal(attn_diagnostics_create(NULL, &said), ATTN_OK);
    int descriptors = entries_of("/proc/self/fd"), mapped = mappings();
    faults_begin(kind, n);
    attn_status status = read_all(&t, &hook, said);
    long calls = faults_end();
    for (size_t k = 0; must && k < attn_diagnostics_count(said); k++) print_message("%s", attn_diagnostics_render(said, k, false));
    if (must) assert_int_equal(status, ATTN_OK);
    expect_said(said, status, n);
    if (status == ATTN_OK) {
        assert_true(((float *)attn_tensor_data(t.big))[BIG - 1] == 100);
        assert_true(((float *)attn_tensor_data(t.list[0].tensor))[0] == 100);
    }
    close_things(&t);
    attn_diagnostics_destroy(said);
    if (entries_of("/proc/self/fd") != descriptors) fail_msg("call %ld (%s): a descriptor is lost", n, faults_name());
    if (mappings() != mapped) fail_msg("call %ld (%s): a mapping is lost", n, faults_name());
    if (c.blocks || c.bytes) fail_msg("call %ld (%s): memory is lost", n, faults_name());
    return calls;
}

static void test_reading(void **state) {
    (void)state;
    restore();
    long calls = read_with(FAULTS_FAIL, 0, true);
    assert_true(calls > 20);
    print_message("%ld calls\n", calls);
    for (long n = 1; n <= calls; n++) read_with(FAULTS_FAIL, n, false);
    for (long n = 1; n <= calls; n++) read_with(FAULTS_INTERRUPT, n, true);
}

static bool same(const char *path, const bytes *wanted) {
    bytes found = read_bytes(path);
    bool is = found.n == wanted->n && !memcmp(found.at, wanted->at, found.n);
    free(found.at);
    return is;
}

static long write_with(faults_kind kind, long n, bool must) {
    attn_diagnostics *said = NULL;
    size_t done;
    restore();
    assert_int_equal(attn_diagnostics_create(NULL, &said), ATTN_OK);
    int descriptors = entries_of("/proc/self/fd"), files = entries_of(folder);
    faults_begin(kind, n);
    attn_status status = write_all(&fresh, &done, said);
    long calls = faults_end();
    if (must) assert_int_equal(status, ATTN_OK);
    expect_said(said, status, n);
    for (size_t k = 0; k < FILES; k++)
        if (!same(written[k], k < done ? &new_files[k] : &old_files[k])) fail_msg("call %ld (%s): %s is not what it should be", n, faults_name(), written[k]);
    if (entries_of(folder) != files) fail_msg("call %ld (%s): a file is left behind", n, faults_name());
    if (entries_of("/proc/self/fd") != descriptors) fail_msg("call %ld (%s): a descriptor is lost", n, faults_name());
    attn_diagnostics_destroy(said);
    return calls;
}

static void test_writing(void **state) {
    (void)state;
    long calls = write_with(FAULTS_FAIL, 0, true);
    assert_true(calls > 20);
    print_message("%ld calls\n", calls);
    for (long n = 1; n <= calls; n++) write_with(FAULTS_FAIL, n, false);
    for (long n = 1; n <= calls; n++) write_with(FAULTS_INTERRUPT, n, true);
}

/* Names that nobody had before: after a failure nobody has them. */
static void test_new_names(void **state) {
    (void)state;
    char first[320], second[320];
    snprintf(first, sizeof first, "%s/new1.npy", folder);
    snprintf(second, sizeof second, "%s/new2.npy", folder);
    const attn_tensor_file pair[] = {{first, fresh.a}, {second, fresh.a}};
    int files = entries_of(folder);
    bool refused = true;
    for (long n = 1; refused; n++) {
        faults_begin(FAULTS_FAIL, n);
        attn_status status = attn_tensors_write_npy(fresh.context, pair, 2, NULL);
        faults_end();
        refused = *faults_name();
        assert_int_equal(entries_of(folder), files + (status == ATTN_OK ? 2 : 0));
        if (status != ATTN_OK) continue;
        remove(first);
        remove(second);
    }
}

/* Little by little: reads and writes that move less than was asked for. Not the large files: that would take a while. */
static void test_short_reads(void **state) {
    (void)state;
    attn_tensor *back = NULL;
    faults_begin(FAULTS_SHORT, 0);
    attn_status status = attn_tensor_write_npy(fresh.context, fresh.a, a_npy, NULL);
    if (!status) status = attn_tensor_read_npy(fresh.context, a_npy, NULL, &back);
    if (!status) status = attn_model_save_weights(fresh.model, weights, NULL);
    long calls = faults_end();
    assert_int_equal(status, ATTN_OK);
    assert_true(calls > 60);
    assert_memory_equal(attn_tensor_data(back), few, sizeof few);
    assert_true(same(weights, &new_files[3]));
    attn_tensor_destroy(back);
}

/* A cache that fails makes the compile slower, never different; only memory to run code in must be had. */
static bool compile_with(const char *wanted, long n, attn_diagnostics *said) {
    things t = {0};
    attn_tensor *x = NULL;
    int descriptors = entries_of("/proc/self/fd");
    assert_int_equal(open_program(&t, NULL, cache, said), ATTN_OK);
    faults_begin(FAULTS_FAIL, n);
    attn_status status = make_module(&t, "cpu", said);
    faults_end();
    bool refused = *faults_name();
    if (status != ATTN_OK && strcmp(faults_name(), "mmap")) fail_msg("call %ld (%s): %s", n, faults_name(), attn_status_text(status));
    if (status == ATTN_OK) {
        attn_argument out = {"y", NULL}, in = {"x", NULL};
        attn_run_options o = ATTN_RUN_OPTIONS_INIT;
        assert_int_equal(make_model(&t, weights, said), ATTN_OK);
        assert_int_equal(attn_tensor_wrap(t.context, ATTN_F32, 1, (int64_t[]){4}, NULL, few, said, &x), ATTN_OK);
        in.tensor = x;
        o.inputs = &in, o.n_inputs = 1, o.outputs = &out, o.n_outputs = 1;
        assert_int_equal(attn_model_run(t.model, &o, said), ATTN_OK);
        assert_memory_equal(attn_tensor_data(out.tensor), wanted, sizeof few);
        attn_tensor_destroy(out.tensor);
        attn_tensor_destroy(x);
    }
    expect_said(said, status, n);
    close_things(&t);
    if (entries_of("/proc/self/fd") > descriptors) fail_msg("call %ld (%s): a descriptor is lost", n, faults_name());
    return refused;
}

/* Cold: it is made and written; then warm: it is read. The first compile of all opens LLVM's library, which stays open. */
static void test_cache(void **state) {
    (void)state;
    attn_diagnostics *said = NULL;
    float wanted[4];
    char command[400];
    restore();
    few[0] = 100;
    for (int k = 0; k < 4; k++) wanted[k] = few[k] / 2 + few[k] + (1 + 2 + 3 + 4 + 5 + 100);
    snprintf(command, sizeof command, "rm -rf '%s'", cache);
    assert_int_equal(attn_diagnostics_create(NULL, &said), ATTN_OK);
    for (int warm = 0; warm < 2; warm++) {
        long n = 1;
        for (bool refused = true; refused; n++) {
            if (!warm) assert_int_equal(system(command), 0);
            refused = compile_with((const char *)wanted, n, said);
        }
        print_message("%ld calls\n", n - 2);
        assert_true(n > 5);
    }
    attn_diagnostics_destroy(said);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading), cmocka_unit_test(test_writing), cmocka_unit_test(test_new_names), cmocka_unit_test(test_short_reads), cmocka_unit_test(test_cache),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

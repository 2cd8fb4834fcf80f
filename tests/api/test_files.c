/* Archives and weights as files: what is written reads back to the bit, what is damaged is refused, and costs no more memory than its size allows. */
#include <math.h>
#include <unistd.h>
#include "world.h"

static const char npz_path[] = ATTN_BINARY_DIR "/tests/api_files.npz", weights_path[] = ATTN_BINARY_DIR "/tests/api_files.safetensors",
                  again_path[] = ATTN_BINARY_DIR "/tests/api_files_again.safetensors";

typedef struct { unsigned char at[4096]; size_t n; } image;

static image read_image(const char *path) {
    image f;
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    f.n = fread(f.at, 1, sizeof f.at, in);
    fclose(in);
    return f;
}

static void write_bytes(const char *path, const void *at, size_t n) {
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(at, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

/* ---- .npz */

static void write_archive(const world *w) {
    static double z[2][3] = {{0, 1, 2}, {3, 4, (double)INFINITY}};
    static int64_t n = -5;
    static uint8_t keep[4] = {1, 0, 1, 1};
    attn_argument list[] = {{"z", NULL}, {"n", world_wrap(w, ATTN_I64, 0, NULL, &n)}, {"w\xc3\xa9", world_wrap(w, ATTN_BOOL, 1, (int64_t[]){4}, keep)},
                            {"empty", world_wrap(w, ATTN_F32, 2, (int64_t[]){0, 7}, NULL)}};
    assert_int_equal(attn_tensor_wrap(w->context, ATTN_F64, 2, (int64_t[]){3, 2}, (int64_t[]){1, 3}, z, w->said, &list[0].tensor), ATTN_OK);
    assert_int_equal(attn_tensors_write_npz(w->context, list, COUNT(list), npz_path, w->said), ATTN_OK);
    for (size_t k = 0; k < COUNT(list); k++) attn_tensor_destroy(list[k].tensor);
}

static void test_npz_round(void **state) {
    (void)state;
    world w = world_open(NULL, NULL);
    attn_argument *list;
    size_t n;
    write_archive(&w);
    image first = read_image(npz_path);
    assert_int_equal(attn_tensors_read_npz(w.context, npz_path, w.said, &list, &n), ATTN_OK);
    assert_int_equal(n, 4);
    assert_string_equal(list[0].name, "z");
    assert_string_equal(list[2].name, "w\xc3\xa9");
    assert_int_equal(attn_tensor_dim(list[0].tensor, 0), 3);
    assert_memory_equal(attn_tensor_data(list[0].tensor), ((double[]){0, 3, 1, 4, 2, (double)INFINITY}), 48);
    assert_true(attn_tensor_rank(list[1].tensor) == 0 && *(int64_t *)attn_tensor_data(list[1].tensor) == -5);
    assert_memory_equal(attn_tensor_data(list[2].tensor), "\1\0\1\1", 4);
    assert_int_equal(attn_tensor_dim(list[3].tensor, 1), 7);
    assert_int_equal(attn_tensors_write_npz(w.context, list, n, npz_path, w.said), ATTN_OK);
    image second = read_image(npz_path);
    assert_true(first.n == second.n && !memcmp(first.at, second.at, first.n));
    attn_tensor_destroy(list[1].tensor);                     /* one that is taken out is the caller's */
    list[1].tensor = NULL;
    attn_arguments_destroy(w.context, list, n);
    assert_int_equal(attn_tensors_write_npz(w.context, NULL, 0, npz_path, w.said), ATTN_OK);         /* an archive of nothing */
    assert_int_equal(attn_tensors_read_npz(w.context, npz_path, w.said, &list, &n), ATTN_OK);
    assert_int_equal(n, 0);
    attn_arguments_destroy(w.context, list, n);
    remove(npz_path);
    world_close(&w);
}

static void test_npz_arguments(void **state) {
    (void)state;
    world w = world_open(NULL, NULL);
    float x = 1;
    attn_tensor *t = world_wrap(&w, ATTN_F32, 0, NULL, &x);
    static const char *const names[][2] = {{"a", "a"}, {"a", NULL}, {"", "b"}};
    for (size_t k = 0; k < COUNT(names); k++) {
        attn_argument list[] = {{names[k][0], t}, {names[k][1], t}};
        attn_status status = attn_tensors_write_npz(w.context, list, 2, npz_path, w.said);
        assert_said(&w, status, ATTN_ERROR_ARGUMENT, "E0951", "member");
        assert_int_equal(access(npz_path, F_OK), -1);
    }
    attn_argument list[] = {{"a", t}};
    attn_status status = attn_tensors_write_npz(w.context, list, 1, "/nowhere/x.npz", w.said);
    assert_said(&w, status, ATTN_ERROR_ENVIRONMENT, "E0702", "/nowhere/x.npz");
    attn_tensor_destroy(t);
    world_close(&w);
}

/* A context whose memory is limited: what is refused takes no more than a fixed part and so much for each byte of the file. */
typedef struct { size_t used, most; } limit;
static void *limited_alloc(void *self, size_t bytes) {
    limit *l = self;
    if (bytes > l->most || l->used > l->most - bytes) return NULL;
    l->used += bytes;
    return malloc(bytes);
}
static void limited_free(void *self, void *at, size_t bytes) {
    ((limit *)self)->used -= bytes;
    free(at);
}

static attn_status read_limited(const char *path, size_t most, attn_diagnostics *said, bool *internal) {
    limit l = {0, most};
    attn_allocator allocator = {limited_alloc, limited_free, &l};
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *context = NULL;
    attn_argument *list = NULL;
    size_t n = 0;
    o.allocator = &allocator, o.threads = 1;
    assert_int_equal(attn_context_create(&o, NULL, &context), ATTN_OK);
    attn_status status = attn_tensors_read_npz(context, path, said, &list, &n);
    if (status == ATTN_OK) attn_arguments_destroy(context, list, n);
    else assert_null(list);
    attn_context_destroy(context);
    assert_int_equal(l.used, 0);
    *internal = status == ATTN_ERROR_INTERNAL || status == ATTN_ERROR_MEMORY;
    return status;
}

enum { FIXED = 1 << 20 };

/* Every byte changed, and every length cut off: refused or read, with bounded memory. */
static void test_npz_damage(void **state) {
    (void)state;
    world w = world_open(NULL, NULL);
    write_archive(&w);
    image whole = read_image(npz_path);
    bool bad;
    size_t refused = 0;
    for (size_t k = 0; k < whole.n; k++)
        for (int bit = 0; bit < 8; bit += 3) {
            image f = whole;
            f.at[k] ^= (unsigned char)(1 << (k + (size_t)bit) % 8);
            write_bytes(npz_path, f.at, f.n);
            refused += read_limited(npz_path, FIXED, w.said, &bad) != ATTN_OK;
            if (bad) fail_msg("byte %zu", k);
            attn_diagnostics_clear(w.said);
        }
    assert_true(refused > whole.n);
    for (size_t n = 0; n < whole.n; n++) {
        write_bytes(npz_path, whole.at, n);
        assert_int_equal(read_limited(npz_path, FIXED, w.said, &bad), ATTN_ERROR_ENVIRONMENT);
        attn_diagnostics_clear(w.said);
    }
    remove(npz_path);
    world_close(&w);
}

/* A member that claims to be far larger than its bytes could be is refused before memory for it is asked for. */
static void test_npz_bomb(void **state) {
    (void)state;
    world w = world_open(NULL, NULL);
    float x = 1;
    attn_argument list[] = {{"a", world_wrap(&w, ATTN_F32, 0, NULL, &x)}};
    bool bad;
    assert_int_equal(attn_tensors_write_npz(w.context, list, 1, npz_path, w.said), ATTN_OK);
    image f = read_image(npz_path);
    size_t central = 0;
    while (memcmp(f.at + central, "PK\1\2", 4)) central++;
    f.at[8] = f.at[central + 10] = 8;                        /* deflated */
    memset(f.at + 22, 0x3f, 4);                              /* to a gigabyte */
    memset(f.at + central + 24, 0x3f, 4);
    write_bytes(npz_path, f.at, f.n);
    attn_status status = read_limited(npz_path, FIXED, w.said, &bad);
    assert_said(&w, status, ATTN_ERROR_ENVIRONMENT, "E0711", "has not the size that is said");
    remove(npz_path);
    attn_tensor_destroy(list[0].tensor);
    world_close(&w);
}

/* ---- weights */

static const char weights_program[] = "param table: f32[V,D] = \"emb.weight\"\n"
                                      "param w: f32[L,D,D] = \"layer.{l}.w\"\n"
                                      "param bias: f64[L,2,D] = \"layer.{l}.{k}.bias\"\n"
                                      "param ids: i32[D] = \"ids\"\n"
                                      "param big: i64 = \"big\"\n"
                                      "param on: bool[D] = \"on\"\n"
                                      "graph first(x: f32[D]) -> (y: f32[L,D]) {\n"
                                      "    y[l,d] = select(on[d], sum(e: w[l,d,e] * x[e]) + bias[l,0,d], ids[d])\n}\n"
                                      "graph second(i: i32[N]) -> (y: f32[N,D]) {\n"
                                      "    y[n,d] = table[i[n],d] + w[0,d,d] + big + bias[1,1,d]\n}\n";

enum { V = 70000, D = 5, L = 3 };
typedef struct { float table[V][D], w[L][D][D]; double bias[L][2][D]; int32_t ids[D]; int64_t big; uint8_t on[D]; } params;

static attn_model *make_model(world *w, const attn_model_options *o) {
    attn_model *m = NULL;
    attn_status status = attn_model_create(w->context, w->module, o, w->said, &m);
    for (size_t k = 0; k < attn_diagnostics_count(w->said); k++) print_message("%s", attn_diagnostics_render(w->said, k, false));
    assert_int_equal(status, ATTN_OK);
    return m;
}

static world compile(const char *source, const char *target) {
    world w = world_open(NULL, NULL);
    attn_module_options o = ATTN_MODULE_OPTIONS_INIT;
    o.target = target;
    attn_status status = attn_program_from_text(w.context, "weights.attn", source, strlen(source), w.said, &w.program);
    if (!status) status = attn_module_create(w.context, w.program, &o, w.said, &w.module);
    for (size_t k = 0; k < attn_diagnostics_count(w.said); k++) print_message("%s", attn_diagnostics_render(w.said, k, false));
    assert_int_equal(status, ATTN_OK);
    return w;
}

/* Bits of all kinds: a NaN with a payload, a negative zero, a number below all normal ones. */
static void fill(params *p) {
    static const uint32_t odd[] = {0x7fc12345, 0x80000000, 0x00000001, 0xff800000};
    for (int k = 0; k < V * D; k++) (&p->table[0][0])[k] = (float)(k % 97) / 16;
    memcpy(p->table[1], odd, sizeof odd);
    for (int k = 0; k < L * D * D; k++) (&p->w[0][0][0])[k] = (float)k / 3;
    for (int k = 0; k < L * 2 * D; k++) (&p->bias[0][0][0])[k] = k / 7.0;
    for (int k = 0; k < D; k++) p->ids[k] = k - 2, p->on[k] = (uint8_t)(k % 2);
    p->big = INT64_MIN + 1;
}

static void compute(world *w, attn_model *m, float out[L][D]) {
    float x[D] = {1, 2, 3, 4, 5};
    attn_argument in = {"x", world_wrap(w, ATTN_F32, 1, (int64_t[]){D}, x)}, y = {"y", world_wrap(w, ATTN_F32, 2, (int64_t[]){L, D}, out)};
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.graph = "first", o.inputs = &in, o.n_inputs = 1, o.outputs = &y, o.n_outputs = 1;
    assert_int_equal(attn_model_run(m, &o, w->said), ATTN_OK);
    attn_tensor_destroy(in.tensor);
    attn_tensor_destroy(y.tensor);
}

static void same_files(void) {
    FILE *a = fopen(weights_path, "rb"), *b = fopen(again_path, "rb");
    assert_true(a && b);
    for (int c = 0; c != EOF;) {
        c = getc(a);
        assert_int_equal(c, getc(b));
    }
    fclose(a);
    fclose(b);
}

/* Given, saved, read, saved again: the same file, and the same results. The file is large enough to be mapped. */
static void test_weights_round(void **state) {
    world w = compile(weights_program, *state);
    params *p = calloc(1, sizeof *p);
    float first[L][D], second[L][D];
    fill(p);
    attn_argument list[] = {{"table", world_wrap(&w, ATTN_F32, 2, (int64_t[]){V, D}, p->table)}, {"w", world_wrap(&w, ATTN_F32, 3, (int64_t[]){L, D, D}, p->w)},
                            {"bias", world_wrap(&w, ATTN_F64, 3, (int64_t[]){L, 2, D}, p->bias)}, {"ids", world_wrap(&w, ATTN_I32, 1, (int64_t[]){D}, p->ids)},
                            {"big", world_wrap(&w, ATTN_I64, 0, NULL, &p->big)}, {"on", world_wrap(&w, ATTN_BOOL, 1, (int64_t[]){D}, p->on)}};
    attn_model_options given = ATTN_MODEL_OPTIONS_INIT, stored = ATTN_MODEL_OPTIONS_INIT;
    given.params = list, given.n_params = COUNT(list);
    stored.weights = weights_path;
    attn_model *m = make_model(&w, &given);
    assert_int_equal(attn_model_save_weights(m, weights_path, w.said), ATTN_OK);
    compute(&w, m, first);
    attn_model_destroy(m);
    m = make_model(&w, &stored);
    assert_int_equal(attn_model_save_weights(m, again_path, w.said), ATTN_OK);
    same_files();
    remove(weights_path);                                    /* what is mapped stays */
    compute(&w, m, second);
    assert_memory_equal(first, second, sizeof first);
    attn_status status = attn_model_save_weights(m, "/nowhere/w", w.said);
    assert_said(&w, status, ATTN_ERROR_ENVIRONMENT, "E0702", "/nowhere/w");
    attn_model_destroy(m);
    for (size_t k = 0; k < COUNT(list); k++) attn_tensor_destroy(list[k].tensor);
    remove(again_path);
    free(p);
    world_close(&w);
}

/* Of a mapped file nothing is copied that stands there as the program wants it. */
static void test_weights_stay(void **state) {
    world w = compile("param t: f32[V,D] = \"t\"\ngraph g(x: f32[V]) -> (y: f32[V,D]) {\n    y[v,d] = t[v,d] + x[v]\n}\n", *state);
    counter c = {0};
    attn_allocator hook = counter_allocator(&c);
    attn_context_options co = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *counted = NULL;
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    params *p = calloc(1, sizeof *p);
    fill(p);
    attn_argument param = {"t", world_wrap(&w, ATTN_F32, 2, (int64_t[]){V, D}, p->table)};
    o.params = &param, o.n_params = 1;
    attn_model *m = make_model(&w, &o), *stored = NULL;
    assert_int_equal(attn_model_save_weights(m, weights_path, w.said), ATTN_OK);
    co.allocator = &hook;
    assert_int_equal(attn_context_create(&co, NULL, &counted), ATTN_OK);
    o = (attn_model_options)ATTN_MODEL_OPTIONS_INIT;
    o.weights = weights_path;
    assert_int_equal(attn_model_create(counted, w.module, &o, w.said, &stored), ATTN_OK);
    assert_true(c.bytes < 200000);                           /* of 1.4 MB */
    attn_model_destroy(stored);
    attn_context_destroy(counted);
    assert_true(c.blocks == 0 && c.bytes == 0);
    attn_model_destroy(m);
    attn_tensor_destroy(param.tensor);
    remove(weights_path);
    free(p);
    world_close(&w);
}

/* Two params that are stored as one must be the same; views of the same elements are. */
static void test_weights_clash(void **state) {
    world w = compile("param a: f32[2,2] = \"same\"\nparam b: f32[4] = \"same\"\n"
                      "graph g(x: f32) -> (y: f32) {\n    y = x + sum(i, j: a[i,j]) + sum(i: b[i])\n}\n", *state);
    float one[4] = {1, 2, 3, 4}, other[4] = {1, 2, 3, 5};
    attn_argument list[] = {{"a", world_wrap(&w, ATTN_F32, 2, (int64_t[]){2, 2}, one)}, {"b", world_wrap(&w, ATTN_F32, 1, (int64_t[]){4}, one)}};
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    o.params = list, o.n_params = 2;
    attn_model *m = make_model(&w, &o);
    assert_int_equal(attn_model_save_weights(m, weights_path, w.said), ATTN_OK);
    attn_model_destroy(m);
    remove(weights_path);
    attn_tensor_destroy(list[1].tensor);
    list[1].tensor = world_wrap(&w, ATTN_F32, 1, (int64_t[]){4}, other);
    m = make_model(&w, &o);
    attn_status status = attn_model_save_weights(m, weights_path, w.said);
    assert_said(&w, status, ATTN_ERROR_DATA, "E0712", "params a and b would both be stored as 'same'");
    assert_int_equal(access(weights_path, F_OK), -1);
    attn_model_destroy(m);
    for (size_t k = 0; k < COUNT(list); k++) attn_tensor_destroy(list[k].tensor);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npz_round),
        cmocka_unit_test(test_npz_arguments),
        cmocka_unit_test(test_npz_damage),
        cmocka_unit_test(test_npz_bomb),
        {"weights round on cpu", test_weights_round, NULL, NULL, (void *)(uintptr_t)"cpu"},
        {"weights round on eval", test_weights_round, NULL, NULL, (void *)(uintptr_t)"eval"},
        {"weights stay on cpu", test_weights_stay, NULL, NULL, (void *)(uintptr_t)"cpu"},
        {"weights clash on eval", test_weights_clash, NULL, NULL, (void *)(uintptr_t)"eval"},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

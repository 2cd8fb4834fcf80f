/* safetensors and params: what fits is loaded, converted, stacked and viewed; what is hostile or unfit is one clear message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "rt.h"

typedef struct {
    base_arena *arena;
    base_diags *diags;
    jmp_buf on_failure;
    char path[32];
    rt_safetensors s;
} world;

static int set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    if (setjmp(w->on_failure)) return -1;
    w->arena = base_arena_create(NULL, &w->on_failure);
    w->diags = base_diags_create(w->arena);
    strcpy(w->path, "/tmp/attn_weights_XXXXXX");
    close(mkstemp(w->path));
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    rt_file_close(&w->s.file);
    unlink(w->path);
    base_arena_destroy(w->arena);
    free(w);
    return 0;
}

static bool open_bytes(world *w, const void *bytes, size_t n) {
    rt_file_close(&w->s.file);
    w->s = (rt_safetensors){0};
    rt_bytes part = {bytes, n};
    assert_true(rt_files_write(&(rt_output){w->path, &part, 1}, 1, w->arena, w->diags));
    return rt_safetensors_open(&w->s, w->path, w->arena, w->diags);
}

static size_t image(unsigned char *to, const char *header, const void *data, size_t n) {
    size_t length = strlen(header);
    for (int k = 0; k < 8; k++) to[k] = (unsigned char)(length >> 8 * k);
    memcpy(to + 8, header, length);
    if (n) memcpy(to + 8 + length, data, n);
    return 8 + length + n;
}

static bool open_file(world *w, const char *header, const void *data, size_t n) {
    static unsigned char bytes[4096];
    return open_bytes(w, bytes, image(bytes, header, data, n));
}

static const char *last_message(const world *w) {
    const base_diag *d = w->diags->first;
    while (d && d->next) d = d->next;
    return d ? d->text : "";
}

static bool load(world *w, const char *storage, uint32_t dtype, uint32_t rank, const int64_t *dim, rt_param *p, void **data) {
    *p = (rt_param){.name = "p", .storage = storage, .dtype = dtype, .rank = rank};
    memcpy(p->dim, dim, rank * sizeof *dim);
    return rt_param_load(&w->s, p, w->arena, w->diags, data);
}

static const float six[] = {0, 1, 2, 3, 4, 5};
#define F32_2x3 "{\"__metadata__\":{\"format\":\"pt\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}"

static void loads_and_views(void **state) {
    world *w = *state;
    rt_param p;
    void *data;
    assert_true(open_file(w, F32_2x3, six, sizeof six));
    assert_true(load(w, "a", RT_F32, 2, (int64_t[]){2, 3}, &p, &data));
    assert_memory_equal(data, six, sizeof six);
    assert_true(load(w, "a", RT_F32, 2, (int64_t[]){-1, -1}, &p, &data));
    assert_int_equal(p.dim[1], 3);
    assert_true(load(w, "a", RT_F32, 1, (int64_t[]){6}, &p, &data));
    assert_true(load(w, "a", RT_F32, 4, (int64_t[]){1, 2, 3, 1}, &p, &data));
    assert_memory_equal(data, six, sizeof six);
    assert_true(load(w, "a", RT_F64, 2, (int64_t[]){2, -1}, &p, &data));
    assert_true(((double *)data)[5] == 5.0);
    assert_int_equal(w->diags->n_errors, 0);
    assert_false(load(w, "a", RT_F32, 2, (int64_t[]){3, 2}, &p, &data));
    assert_non_null(strstr(last_message(w), "does not fit param p"));
    assert_false(load(w, "a", RT_F32, 1, (int64_t[]){-1}, &p, &data));
    assert_false(load(w, "a", RT_I32, 2, (int64_t[]){2, 3}, &p, &data));
    assert_false(load(w, "b", RT_F32, 2, (int64_t[]){2, 3}, &p, &data));
    assert_non_null(strstr(last_message(w), "'b'"));
    assert_int_equal(w->diags->n_errors, 4);
    assert_true(open_file(w, "{}", NULL, 0));
    assert_false(load(w, "a", RT_F32, 2, (int64_t[]){2, 3}, &p, &data));
    assert_int_equal(w->diags->n_errors, 5);
}

static void stacks(void **state) {
    world *w = *state;
    rt_param p;
    void *data;
    assert_true(open_file(w,
                          "{\"l.0.w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"l.1.w\":{\"dtype\":\"F32\",\"shape\":[2],"
                          "\"data_offsets\":[16,24]},\"l.2.w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
                          six, sizeof six));
    assert_true(load(w, "l.{l}.w", RT_F32, 2, (int64_t[]){-1, 2}, &p, &data));
    assert_int_equal(p.dim[0], 3);
    assert_memory_equal(data, ((float[]){0, 1, 4, 5, 2, 3}), 24);
    assert_true(load(w, "l.{l}.w", RT_F32, 2, (int64_t[]){2, -1}, &p, &data));
    assert_memory_equal(data, ((float[]){0, 1, 4, 5}), 16);
    assert_false(load(w, "l.{l}.w", RT_F32, 2, (int64_t[]){4, 2}, &p, &data));
    assert_non_null(strstr(last_message(w), "'l.3.w'"));
    assert_false(load(w, "l.{a}{b}{c}.w", RT_F32, 2, (int64_t[]){1, 1}, &p, &data));
}

static void converts(void **state) {
    world *w = *state;
    rt_param p;
    void *data;
    const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x3f80, 0xff80};
    assert_true(open_file(w, "{\"h\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]}}",
                          halves, sizeof halves));
    assert_true(load(w, "h", RT_F32, 1, (int64_t[]){4}, &p, &data));
    const float expected[] = {1, -2, 0x1p-24f, 65504};
    assert_memory_equal(data, expected, sizeof expected);
    assert_true(load(w, "b", RT_F64, 1, (int64_t[]){2}, &p, &data));
    assert_true(((double *)data)[0] == 1.0 && ((double *)data)[1] == (double)-__builtin_inff());
    const uint32_t wide[] = {7, 0x80000000u};
    assert_true(open_file(w, "{\"u\":{\"dtype\":\"U32\",\"shape\":[2],\"data_offsets\":[0,8]},\"q\":{\"dtype\":\"Q4\",\"shape\":[2],\"data_offsets\":[0,0]}}", wide,
                          sizeof wide));
    assert_true(load(w, "u", RT_I64, 1, (int64_t[]){2}, &p, &data));
    assert_int_equal(((int64_t *)data)[1], 0x80000000ll);
    assert_false(load(w, "u", RT_I32, 1, (int64_t[]){2}, &p, &data));       /* does not fit */
    assert_false(load(w, "q", RT_F32, 1, (int64_t[]){2}, &p, &data));       /* a type that nobody knows */
    assert_true(open_file(w, "{\"t\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[0,2]}}", "\1\3", 2));
    assert_false(load(w, "t", RT_BOOL, 1, (int64_t[]){2}, &p, &data));
}

static void refuses_hostile_headers(void **state) {
    world *w = *state;
    static const char *const headers[] = {
        "", "[]", "{", "{\"a\":1}", "{\"a\":{}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,25]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[1,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[24,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[-24,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2,-3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0,3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775808],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,6],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},\"b\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[8,20]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[12,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}x", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3,],\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24],}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,03],\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3e0],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24],\"more\":1}}", "{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[6],\"shape\":[2,3],\"data_offsets\":[0,24]}}", "{\"a\":{\"dtype\":null,\"shape\":[6],\"data_offsets\":[0,24]}}",
        "{\"__metadata__\":{\"a\":1}}", "{\"__metadata__\":{\"a\":\"b\",}}", "{\"__metadata__\":{},\"__metadata__\":{}}", "{\"__metadata__\":[]}", "{\"\\u0000\":1}",
    };
    for (size_t k = 0; k < sizeof headers / sizeof *headers; k++) {
        uint32_t before = w->diags->n_errors;
        if (open_file(w, headers[k], six, sizeof six)) fail_msg("opened: %s", headers[k]);
        assert_int_equal(w->diags->n_errors, before + 1);
    }
    assert_false(open_bytes(w, "\377\377\377\377\377\377\377\377{}", 10));
    assert_false(open_bytes(w, "\3\0\0\0\0\0\0\0{}", 10));
    assert_false(open_bytes(w, "", 0));
    assert_false(rt_safetensors_open(&w->s, "/nowhere/w", w->arena, w->diags));
    assert_false(rt_safetensors_open(&w->s, "/dev/zero", w->arena, w->diags));
}

/* Names are JSON strings in UTF-8: what an escape stands for is the name, and what is neither is refused. */
static void reads_names(void **state) {
    world *w = *state;
    static const struct { const char *stored, *name; } names[] = {
        {"plain", "plain"}, {"", ""}, {"q\\\"\\\\\\/", "q\"\\/"}, {"\\b\\f\\n\\r\\t", "\b\f\n\r\t"}, {"\\u0041\\u00e9\\u20AC", "A\u00e9\u20ac"},
        {"\\ud83d\\ude00", "\U0001f600"}, {"\u00e9\u20ac\U0001f600\177", "\u00e9\u20ac\U0001f600\177"},
    };
    static const char *const wrong[] = {"\\", "\\x", "\\u00", "\\u00g0", "\\u0000", "\\ud83d", "\\ude00", "\\ud83d\\u0041", "\1", "\n", "\200", "\300\200", "\340\200\200",
        "\355\240\200", "\360\200\200\200", "\364\220\200\200", "\365\200\200\200", "\303", "\342\202", "\360\237\230", "\377"};
    char header[256];
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        snprintf(header, sizeof header, " {\t\"%s\" : {\n\"data_offsets\":[0, 24 ],\"dtype\":\"F32\",\"shape\":[ 2,3]\r} } ", names[k].stored);
        if (!open_file(w, header, six, sizeof six)) fail_msg("%s: %s", names[k].stored, last_message(w));
        assert_non_null(rt_safetensors_find(&w->s, names[k].name));
    }
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}", wrong[k]);
        if (open_file(w, header, six, sizeof six)) fail_msg("opened the name number %zu", k);
    }
}

static void survives_damage(void **state) {
    world *w = *state;
    static unsigned char whole[512];
    size_t n = image(whole, F32_2x3, six, sizeof six);
    rt_param p;
    void *data;
    for (size_t k = 0; k < n; k++) {
        unsigned char changed[512];
        memcpy(changed, whole, n);
        changed[k] ^= (unsigned char)(1 << k % 8);
        if (open_bytes(w, changed, n)) load(w, "a", RT_F32, 2, (int64_t[]){-1, -1}, &p, &data);
        assert_true(k == n || !open_bytes(w, whole, k));
    }
}

/* Bytes that outlive everything: params stay in them, and what is damaged is told under the name that was given. */
static void stays_in_bytes(void **state) {
    world *w = *state;
    static const float elements[] = {1, 2, 3, 4};
    static _Alignas(8) unsigned char bytes[256];
    /* 56 bytes of header, so that the elements are aligned. */
    size_t n = image(bytes, "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}} ", elements, sizeof elements);
    rt_param p = {.name = "w", .storage = "w", .dtype = RT_F32, .rank = 1, .dim = {-1}};
    void *data = NULL;
    assert_true(rt_safetensors_open_bytes(&w->s, "inside", bytes, n, w->arena, w->diags));
    assert_true(rt_param_load(&w->s, &p, w->arena, w->diags, &data));
    assert_ptr_equal(data, bytes + n - sizeof elements);
    assert_int_equal(p.dim[0], 4);
    rt_file_close(&w->s.file);                   /* leaves them where they are */
    assert_memory_equal(data, elements, sizeof elements);
    assert_false(rt_safetensors_open_bytes(&w->s, "inside", bytes, 7, w->arena, w->diags));
    assert_non_null(strstr(last_message(w), "'inside'"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(loads_and_views), TEST(stacks), TEST(converts), TEST(refuses_hostile_headers), TEST(reads_names), TEST(survives_damage), TEST(stays_in_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

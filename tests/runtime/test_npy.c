/* .npy files: what NumPy writes is read, what somebody else made up is refused, whatever it claims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "rt.h"

typedef struct { base_arena *arena; base_diags *diags; jmp_buf on_failure; } world;

static int set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    if (setjmp(w->on_failure)) return -1;
    w->arena = base_arena_create(NULL, &w->on_failure);
    w->diags = base_diags_create(w->arena);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    base_arena_destroy(w->arena);
    free(w);
    return 0;
}

typedef struct { unsigned char at[512]; size_t n; } image;

static image file_of(int version, const char *header, const void *data, size_t n) {
    image f = {.n = 0};
    size_t length = strlen(header), start = version == 1 ? 10 : 12;
    memcpy(f.at, "\x93NUMPY", 6);
    f.at[6] = (unsigned char)version;
    for (size_t k = 0; k < start - 8; k++) f.at[8 + k] = (unsigned char)(length >> 8 * k);
    memcpy(f.at + start, header, length);
    if (n) memcpy(f.at + start + length, data, n);
    f.n = start + length + n;
    return f;
}

static bool parse(world *w, const image *f, rt_array *out) {
    unsigned char *exact = malloc(f->n + !f->n);         /* of exactly that size, so that the sanitizer sees a byte too far */
    memcpy(exact, f->at, f->n);
    bool fine = rt_npy_parse("x.npy", exact, f->n, false, w->arena, w->diags, out);
    free(exact);
    return fine;
}

static bool writes(world *w, const char *path, const rt_array *a) {
    rt_output out = rt_npy_output(path, a, w->arena);
    return rt_files_write(&out, 1, w->arena, w->diags);
}

static const float six[] = {0, 1, 2, 3, 4, 5};

static void reads_versions_and_orders(void **state) {
    world *w = *state;
    for (int version = 1; version <= 3; version++) {
        image f = file_of(version, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n", six, sizeof six);
        rt_array a;
        assert_true(parse(w, &f, &a));
        assert_int_equal(a.rank, 2);
        assert_int_equal(a.dim[0], 2);
        assert_int_equal(a.stride[0], 3);
        assert_memory_equal(a.data, six, sizeof six);
    }
    image f = file_of(1, "{\"shape\":(2,3),'descr':'<f4','fortran_order':True}", six, sizeof six);
    const float rows[] = {0, 2, 4, 1, 3, 5};
    rt_array a;
    assert_true(parse(w, &f, &a));
    assert_true(a.rank == 2 && a.dim[0] == 2 && a.dim[1] == 3 && a.stride[0] == 3 && a.stride[1] == 1);
    assert_memory_equal(a.data, rows, sizeof rows);
}

static void reads_types_and_ranks(void **state) {
    world *w = *state;
    rt_array a;
    image f = file_of(1, "{'descr': '>i4', 'fortran_order': False, 'shape': (2,), }", "\0\0\1\2\377\377\377\377", 8);
    assert_true(parse(w, &f, &a));
    assert_int_equal(a.dtype, RT_I32);
    assert_int_equal(((int32_t *)a.data)[0], 258);
    assert_int_equal(((int32_t *)a.data)[1], -1);
    f = file_of(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (), }", "\7\0\0\0\0\0\0\0", 8);
    assert_true(parse(w, &f, &a));
    assert_int_equal(a.rank, 0);
    assert_int_equal(*(int64_t *)a.data, 7);
    f = file_of(1, "{'descr': '|b1', 'fortran_order': True, 'shape': (3, 0), }", "", 0);
    assert_true(parse(w, &f, &a));
    assert_int_equal(a.dim[1], 0);
    f = file_of(1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,), }", "\1\2", 2);
    assert_false(parse(w, &f, &a));                      /* 2 is no truth value */
}

static void refuses(world *w, const char *header, size_t n) {
    static const char zeros[64];
    rt_array a;
    image f = file_of(1, header, zeros, n);
    uint32_t before = w->diags->n_errors;
    assert_false(parse(w, &f, &a));
    assert_int_equal(w->diags->n_errors, before + 1);
}

static void refuses_hostile_headers(void **state) {
    world *w = *state;
    refuses(w, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 23);
    refuses(w, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 25);
    refuses(w, "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }", 24);
    refuses(w, "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }", 0);
    refuses(w, "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, 4), }", 0);
    refuses(w, "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4);
    refuses(w, "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }", 4);
    refuses(w, "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", 16);
    refuses(w, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", 8);
    refuses(w, "{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", 8);
    refuses(w, "{'descr': '<f4', 'fortran_order': False}", 8);
    refuses(w, "{'descr': '<f4', 'fortran_order': False, 'shape': (2", 8);
    refuses(w, "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }", 8);
    refuses(w, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), } x", 8);
    refuses(w, "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}", 8);
    refuses(w, "", 0);
}

/* Every prefix of a file, and every file with one byte changed: refused or read, never more. */
static void survives_damage(void **state) {
    world *w = *state;
    image whole = file_of(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", six, sizeof six);
    rt_array a;
    for (size_t n = 0; n < whole.n; n++) {
        image f = whole;
        f.n = n;
        assert_false(parse(w, &f, &a));
    }
    for (size_t k = 0; k < whole.n; k++)
        for (int bit = 0; bit < 8; bit++) {
            image f = whole;
            f.at[k] ^= (unsigned char)(1 << bit);
            parse(w, &f, &a);
        }
}

static void writes_what_it_reads(void **state) {
    world *w = *state;
    char path[] = "/tmp/attn_npy_XXXXXX";
    close(mkstemp(path));
    for (uint32_t rank = 0; rank < 4; rank++) {
        int64_t dim[] = {3, 2, 1};
        rt_array a, b;
        rt_array_dense(&a, RT_F32, rank, dim, (void *)six);
        assert_true(writes(w, path, &a));
        const unsigned char *bytes;
        size_t n;
        assert_true(rt_file_read(path, w->arena, w->diags, &bytes, &n));
        assert_true(rt_npy_parse(path, (unsigned char *)(uintptr_t)bytes, n, false, w->arena, w->diags, &b));
        assert_int_equal(b.rank, rank);
        int64_t count;
        rt_count(rank, b.dim, &count);
        assert_memory_equal(b.data, six, (size_t)count * sizeof *six);
        assert_int_equal((n - (size_t)count * 4) % 64, 0);
    }
    unlink(path);
}

static void failing_files_are_reported(void **state) {
    world *w = *state;
    const unsigned char *bytes;
    size_t n;
    rt_array a;
    int64_t one = 1;
    rt_array_dense(&a, RT_F32, 1, &one, (void *)six);
    assert_false(rt_file_read("/nowhere/x", w->arena, w->diags, &bytes, &n));
    assert_false(rt_file_read("/tmp", w->arena, w->diags, &bytes, &n));
    assert_false(rt_file_read("/dev/zero", w->arena, w->diags, &bytes, &n));
    assert_false(writes(w, "/nowhere/x.npy", &a));
    assert_true(writes(w, "/dev/null", &a));
    assert_int_equal(w->diags->n_errors, 4);
    assert_string_equal(w->diags->first->text, "cannot read '/nowhere/x': No such file or directory");
}

/* A file that is written again keeps its mode, and a link goes on leading to it. */
static void what_is_there_stays_what_it_is(void **state) {
    world *w = *state;
    char path[] = "/tmp/attn_npy_XXXXXX", link_to[sizeof path + 5];
    close(mkstemp(path));
    snprintf(link_to, sizeof link_to, "%s.link", path);
    assert_int_equal(symlink(path, link_to), 0);
    assert_int_equal(chmod(path, 0640), 0);
    rt_array a;
    int64_t dim = 6;
    rt_array_dense(&a, RT_F32, 1, &dim, (void *)six);
    assert_true(writes(w, link_to, &a));
    struct stat st;
    assert_int_equal(lstat(link_to, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_true(st.st_size > (off_t)sizeof six);
    unlink(link_to);
    unlink(path);
}

static void strides_are_packed(void **state) {
    (void)state;
    const int32_t from[] = {0, 1, 2, 3, 4, 5};
    int32_t out[6];
    rt_array a = {.dtype = RT_I32, .rank = 2, .dim = {3, 2}, .stride = {1, 3}, .data = (void *)from};
    assert_false(rt_array_is_dense(&a));
    rt_array_pack(&a, out);
    assert_memory_equal(out, ((int32_t[]){0, 3, 1, 4, 2, 5}), sizeof out);
    a = (rt_array){.dtype = RT_I32, .rank = 2, .dim = {2, 3}, .stride = {0, -2}, .data = (void *)(from + 5)};
    rt_array_pack(&a, out);
    assert_memory_equal(out, ((int32_t[]){5, 3, 1, 5, 3, 1}), sizeof out);
    int64_t first, last;
    assert_true(rt_array_span(&a, &first, &last));
    assert_int_equal(first, -16);
    assert_int_equal(last, 4);
    a = (rt_array){.dtype = RT_I32, .rank = 0, .data = (void *)(from + 2)};
    rt_array_pack(&a, out);
    assert_int_equal(out[0], 2);
    a = (rt_array){.dtype = RT_I32, .rank = 3, .dim = {2, 1, 3}, .stride = {3, 77, 1}, .data = (void *)from};
    assert_true(rt_array_is_dense(&a));
    a.dim[0] = 0;
    assert_true(rt_array_is_dense(&a));
    rt_array_pack(&a, out);
    a = (rt_array){.dtype = RT_I32, .rank = 1, .dim = {1}, .stride = {1}, .data = (char *)out + 1};
    assert_false(rt_array_is_dense(&a));                 /* not aligned */
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(reads_versions_and_orders), TEST(reads_types_and_ranks),      TEST(refuses_hostile_headers), TEST(survives_damage),
        TEST(writes_what_it_reads),      TEST(failing_files_are_reported), TEST(strides_are_packed),
        TEST(what_is_there_stays_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

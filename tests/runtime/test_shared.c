/* How a shared object is opened: which of its modules, and what is said of one that cannot be. Calls are tested where there are programs:
 * tests/cli, tests/diff. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "attn/attn.h"
#include "rt.h"

#define FOREIGN (rt_level_here() == RT_LEVEL_AARCH64 ? RT_LEVEL_X86_64 : RT_LEVEL_AARCH64)

/* Modules of a graph that has nothing, as bytes at a multiple of 64. */
typedef struct { base_arena *arena; rt_built_image fits, foreign, damaged; } world;

static int set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    static const rt_int_op zero = {.op = RT_INT_LITERAL};
    const rt_entry entry = {.n_slots = 1, .bind = &zero, .n_bind = 1, .applies = RT_NONE};
    const rt_graph graph = {.name = "g", .n_slots = 0, .entries = &entry, .n_entries = 1};
    const rt_module m = {.magic = RT_MAGIC, .abi = RT_ABI, .struct_size = sizeof m, .target = "cpu", .compiler = "a test", .graphs = &graph, .n_graphs = 1};
    size_t n;
    w->arena = base_arena_create(NULL, NULL);
    const void *bytes = rt_module_write(&m, w->arena, &n);
    void *at = aligned_alloc(64, (n + 63) / 64 * 64), *other = aligned_alloc(64, (n + 63) / 64 * 64);
    memcpy(at, bytes, n);
    memcpy(other, bytes, n);
    ((char *)other)[n - 1] ^= 1;
    w->fits = (rt_built_image){RT_LEVEL_ANY, at, n};
    w->foreign = (rt_built_image){FOREIGN, at, n};
    w->damaged = (rt_built_image){RT_LEVEL_ANY, other, n};
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    free((void *)(uintptr_t)w->fits.bytes);
    free((void *)(uintptr_t)w->damaged.bytes);
    base_arena_destroy(w->arena);
    free(w);
    return 0;
}

/* Opens and closes it; the status, and what was said of it. */
static int32_t open_it(const rt_built *built, const char *weights, const rt_built_options *options, rt_built_error *error) {
    void *handle = &handle;
    int32_t status = rt_built_open(weights, options, &handle, error, built);
    assert_int_equal(error->status, status);
    assert_int_equal(handle == NULL, status != ATTN_OK);
    rt_built_close(handle);
    return status;
}

static void refuses(const rt_built *built, const char *weights, const rt_built_options *options, int32_t status, const char *code, const char *words) {
    rt_built_error error;
    assert_int_equal(open_it(built, weights, options, &error), status);
    assert_string_equal(error.code, code);
    if (!strstr(error.message, words)) fail_msg("%s", error.message);
}

/* The first that this machine can run, whatever stands before it. */
static void test_levels(void **state) {
    const world *w = *state;
    const rt_built_image images[] = {w->foreign, w->fits, w->damaged};
    rt_built_error error;
    int32_t status = open_it(&(rt_built){RT_BUILT_ABI, 3, images, NULL, 0}, NULL, NULL, &error);
    if (status) fail_msg("%s", error.message);
    assert_string_equal(error.message, "");
    refuses(&(rt_built){RT_BUILT_ABI, 1, images, NULL, 0}, NULL, NULL, ATTN_ERROR_ENVIRONMENT, "E0721", rt_level_names[FOREIGN]);
    refuses(&(rt_built){RT_BUILT_ABI, 1, &w->damaged, NULL, 0}, NULL, NULL, ATTN_ERROR_ENVIRONMENT, "E0720", "the checksum is another");
    refuses(&(rt_built){RT_BUILT_ABI + 1, 1, &w->fits, NULL, 0}, NULL, NULL, ATTN_ERROR_ENVIRONMENT, "E0833", "version 2");
}

static void test_weights(void **state) {
    const world *w = *state;
    static const char none[16] __attribute__((aligned(64))) = "\2\0\0\0\0\0\0\0{}", damaged[16] = "\2\0\0\0\0\0\0\0{]";
    rt_built_error error;
    assert_int_equal(open_it(&(rt_built){RT_BUILT_ABI, 1, &w->fits, none, 10}, NULL, NULL, &error), ATTN_OK);
    refuses(&(rt_built){RT_BUILT_ABI, 1, &w->fits, damaged, 10}, NULL, NULL, ATTN_ERROR_ENVIRONMENT, "E0705", "the weights inside");
    refuses(&(rt_built){RT_BUILT_ABI, 1, &w->fits, none, 10}, "/nowhere/w", NULL, ATTN_ERROR_ENVIRONMENT, "E0701", "/nowhere/w");
}

static void test_options(void **state) {
    const world *w = *state;
    const rt_built built = {RT_BUILT_ABI, 1, &w->fits, NULL, 0};
    const attn_executor empty = {.struct_size = sizeof empty};
    rt_built_options o = {sizeof o, 0, &empty};
    rt_built_error error;
    refuses(&built, NULL, &o, ATTN_ERROR_ARGUMENT, "E0951", "no function run");
    o.executor = NULL, o.threads = 1025;
    refuses(&built, NULL, &o, ATTN_ERROR_ARGUMENT, "E0951", "threads");
    o.threads = 2;
    assert_int_equal(open_it(&built, NULL, &o, &error), ATTN_OK);
    o.struct_size = 8;
    refuses(&built, NULL, &o, ATTN_ERROR_ARGUMENT, "E0951", "struct_size");
    assert_int_equal(rt_built_open(NULL, NULL, NULL, NULL, &built), ATTN_ERROR_ARGUMENT);
}

/* A graph that takes nothing has a struct of two members. */
static void test_call(void **state) {
    const world *w = *state;
    void *handle = NULL;
    rt_built_error error;
    int64_t args[] = {16, 0}, shapes[] = {8};
    assert_int_equal(rt_built_open(NULL, NULL, &handle, NULL, &(rt_built){RT_BUILT_ABI, 1, &w->fits, NULL, 0}), ATTN_OK);
    assert_int_equal(rt_built_call(handle, args, &error, 0), ATTN_OK);
    assert_int_equal(rt_built_shapes(handle, args, shapes, &error, 0), ATTN_OK);
    shapes[0] = 0;
    assert_int_equal(rt_built_shapes(handle, args, shapes, &error, 0), ATTN_ERROR_ARGUMENT);
    assert_int_equal(rt_built_shapes(handle, args, NULL, NULL, 0), ATTN_ERROR_ARGUMENT);
    args[0] = 8;
    assert_int_equal(rt_built_call(handle, args, &error, 0), ATTN_ERROR_ARGUMENT);
    assert_string_equal(error.code, "E0951");
    rt_built_close(handle);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels), cmocka_unit_test(test_weights), cmocka_unit_test(test_options), cmocka_unit_test(test_call)};
    return cmocka_run_group_tests_name("shared", tests, set_up, tear_down);
}

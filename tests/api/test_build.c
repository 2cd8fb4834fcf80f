/* Programs as files: what the function refuses, and what memory that runs out leaves behind. What is built is used in tests/cli and tests/diff. */
#include <pthread.h>
#include <unistd.h>
#include "world.h"

static const char source[] = "graph twice(x: f32[N]) -> (y: f32[N]) { y[n] = 2*x[n] }\n";

static char folder[] = "/tmp/attn_build_XXXXXX";

static const char *in_folder(const char *name) {
    static char path[64];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void test_arguments(void **state) {
    (void)state;
    world w = world_open(source, "eval");
    attn_build_options o = ATTN_BUILD_OPTIONS_INIT;
    const char *path = in_folder("x.ll");
    assert_int_equal(attn_program_build(NULL, w.program, NULL, path, NULL), ATTN_ERROR_ARGUMENT);
    assert_int_equal(attn_program_build(w.context, NULL, NULL, path, NULL), ATTN_ERROR_ARGUMENT);
    assert_int_equal(attn_program_build(w.context, w.program, NULL, NULL, NULL), ATTN_ERROR_ARGUMENT);
    o.n_levels = 1;
    assert_int_equal(attn_program_build(w.context, w.program, &o, path, NULL), ATTN_ERROR_ARGUMENT);
    o.n_levels = 0, o.struct_size = 0;
    assert_int_equal(attn_program_build(w.context, w.program, &o, path, NULL), ATTN_ERROR_ARGUMENT);
    assert_said(&w, attn_program_build(w.context, w.program, NULL, "x.dll", w.said), ATTN_ERROR_ARGUMENT, "E0960", "x.dll");
    o.struct_size = sizeof o, o.graph = "thrice";
    assert_said(&w, attn_program_build(w.context, w.program, &o, path, w.said), ATTN_ERROR_ARGUMENT, "E0952", "twice");
    o.graph = NULL, o.target = "eval";
    assert_said(&w, attn_program_build(w.context, w.program, &o, path, w.said), ATTN_ERROR_ARGUMENT, "E0951", "is for target cpu");
    static const char *const levels[] = {"x86-64", "x86-64-v2"};
    o.target = "cpu:x86-64-v4", o.levels = levels, o.n_levels = 1;
    assert_said(&w, attn_program_build(w.context, w.program, &o, path, w.said), ATTN_ERROR_ARGUMENT, "E0951", "names a level already");
    o.target = NULL, o.n_levels = 2;
    assert_said(&w, attn_program_build(w.context, w.program, &o, path, w.said), ATTN_ERROR_ARGUMENT, "E0951", "a text is for one level");
    assert_int_equal(access(path, F_OK), -1);
    world_close(&w);
}

static void test_environment(void **state) {
    (void)state;
    world w = world_open(source, "eval");
    attn_build_options o = ATTN_BUILD_OPTIONS_INIT;
    const char *path = in_folder("x.so");
    o.runtime = "/nowhere/libattn_rt.a";
    assert_said(&w, attn_program_build(w.context, w.program, &o, path, w.said), ATTN_ERROR_ENVIRONMENT, "E0832", "/nowhere/libattn_rt.a");
    o.runtime = NULL, o.cc = o.ld = "";
    assert_said(&w, attn_program_build(w.context, w.program, &o, path, w.said), ATTN_ERROR_ENVIRONMENT, "E0831", "neither cc nor ld");
    o.cc = "/bin/false";
    assert_said(&w, attn_program_build(w.context, w.program, &o, path, w.said), ATTN_ERROR_ENVIRONMENT, "E0830", "it says nothing");
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rmdir(folder), 0);              /* nothing is in it */
    world_close(&w);
}

typedef struct { world *w; attn_status status; } builder;
static void *build_thrice(void *self) {
    builder *b = self;
    char path[64];                                   /* in_folder's own is for one thread */
    snprintf(path, sizeof path, "%s/x.so", folder);
    for (int k = 0; k < 3 && !b->status; k++) b->status = attn_program_build(b->w->context, b->w->program, NULL, path, NULL);
    return NULL;
}

/* Threads that build the same file each write a whole one. */
static void test_at_once(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    printf("skipped: a sanitizer would have to be linked into the shared object too\n");
    skip();
#endif
    world w = world_open(source, "eval");
    builder builders[2] = {{&w, ATTN_OK}, {&w, ATTN_OK}};
    pthread_t threads[2];
    assert_non_null(mkdtemp(strcpy(folder, "/tmp/attn_build_XXXXXX")));
    for (size_t k = 0; k < 2; k++) assert_int_equal(pthread_create(&threads[k], NULL, build_thrice, &builders[k]), 0);
    for (size_t k = 0; k < 2; k++) pthread_join(threads[k], NULL);
    for (size_t k = 0; k < 2; k++) assert_int_equal(builders[k].status, ATTN_OK);
    assert_int_equal(unlink(in_folder("x.so")), 0);
    assert_int_equal(unlink(in_folder("x.h")), 0);
    assert_int_equal(rmdir(folder), 0);              /* nothing else was left */
    world_close(&w);
}

/* Request after request fails: the status says so, nothing leaks, no file is there; then all is well. */
static void test_memory(void **state) {
    (void)state;
    counter c = {0};
    attn_allocator allocator = counter_allocator(&c);
    attn_context_options options = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *context = NULL;
    attn_program *program = NULL;
    options.allocator = &allocator;
    assert_non_null(mkdtemp(strcpy(folder, "/tmp/attn_build_XXXXXX")));
    assert_int_equal(attn_context_create(&options, NULL, &context), ATTN_OK);
    assert_int_equal(attn_program_from_text(context, "g", source, sizeof source - 1, NULL, &program), ATTN_OK);
    const char *path = in_folder("x.o");
    const long before = c.blocks;
    attn_status status = ATTN_ERROR_MEMORY;
    long n = 0;
    while (status == ATTN_ERROR_MEMORY && ++n < 10000) {
        assert_int_equal(access(path, F_OK), -1);
        c.requests = 0, c.fail_at = n;
        status = attn_program_build(context, program, NULL, path, NULL);
        assert_int_equal(c.blocks, before);
    }
    c.fail_at = 0;
    assert_int_equal(status, ATTN_OK);
    assert_true(n > 3);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(in_folder("x.h")), 0);
    assert_int_equal(rmdir(folder), 0);
    attn_program_destroy(program);
    attn_context_destroy(context);
    assert_int_equal(c.blocks, 0);
}

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_arguments), cmocka_unit_test(test_environment), cmocka_unit_test(test_at_once), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests_name("build", tests, make_folder, NULL);
}

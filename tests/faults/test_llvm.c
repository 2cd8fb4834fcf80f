/* Each call of LLVM's that may fail does, in turn: an internal error that names it, no memory lost, nothing in the cache that is not whole, and the same
 * compile works right after. The plug-in beside this program is built for that. */
#include <dirent.h>
#include <dlfcn.h>
#include <unistd.h>
#include "refuse.h"
#include "world.h"

static const char source[] = "graph g(x: f32[N,D], w: f32[D,E]) -> (y: f32[N,E], z: f32[N]) {\n"
                             "    y[n,e] = sum(d: x[n,d]*w[d,e])\n    z[n] = max(d: exp(x[n,d]))\n}\n";

static refuse_begin_fn *begin;
static refuse_end_fn *end;
static char folder[256];

static void find(void *handle, const char *name, void *out) {
    void *symbol = dlsym(handle, name);
    if (!symbol) fail_msg("the plug-in has no %s", name);
    memcpy(out, &symbol, sizeof symbol);
}

/* The library finds the same file, and so the same copy of it. */
static int set_up(void **state) {
    (void)state;
    void *handle = dlopen(REFUSING_PLUG_IN, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!handle) fail_msg("%s", dlerror());
    find(handle, "attn_refuse_begin", &begin);
    find(handle, "attn_refuse_end", &end);
    snprintf(folder, sizeof folder, "%s/tests/refused_XXXXXX", ATTN_BINARY_DIR);
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    char command[300];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static int files(void) {
    DIR *d = opendir(folder);
    int n = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

typedef enum { MODULE, CODE, OBJECT } wish;

/* Returns the number of calls; *refused: whether the n-th was among them. */
static long compile(long n, wish what, const char *cache, bool *refused) {
    counter c = {0};
    attn_allocator hook = counter_allocator(&c);
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *context = NULL;
    attn_program *program = NULL;
    attn_module *module = NULL;
    attn_diagnostics *said = NULL;
    const char *name;
    char *text = NULL;
    o.allocator = &hook, o.threads = 2, o.cache_path = cache;
    assert_int_equal(attn_diagnostics_create(NULL, &said), ATTN_OK);
    assert_int_equal(attn_context_create(&o, said, &context), ATTN_OK);
    assert_int_equal(attn_program_from_text(context, "refused.attn", source, sizeof source - 1, said, &program), ATTN_OK);
    begin(n);
    char path[300];
    snprintf(path, sizeof path, "%s/refused.o", folder);
    attn_status status = what == OBJECT ? attn_program_build(context, program, NULL, path, said) : what == MODULE ? attn_module_create(context, program, NULL, said, &module) : attn_program_emit(context, program, NULL, "cpu", said, &text);
    long calls = end(&name);
    *refused = *name;
    /* A target that is asked for a second time, after all targets are there, may be found then. */
    if (*name && strcmp(name, "LLVMGetTargetFromTriple")) {
        attn_diagnostic d = ATTN_DIAGNOSTIC_INIT;
        assert_int_equal(status, ATTN_ERROR_INTERNAL);
        assert_int_equal(attn_diagnostics_get(said, 0, &d), ATTN_OK);
        assert_string_equal(d.code, "E0821");
        if (!strstr(d.message, strcmp(name, "LLVMCreateTargetMachine") ? name : "no target machine")) fail_msg("%s: %s", name, d.message);
        assert_true(!module && !text);
    } else assert_int_equal(status, ATTN_OK);
    if (what == OBJECT) {
        assert_int_equal(files(), status == ATTN_OK ? 2 : 0);     /* and its header */
        snprintf(path, sizeof path, "%s/refused.h", folder);
        if (status == ATTN_OK) assert_int_equal(unlink(path), 0);
        snprintf(path, sizeof path, "%s/refused.o", folder);
        if (status == ATTN_OK) assert_int_equal(unlink(path), 0);
    }
    attn_text_destroy(context, text);
    attn_module_destroy(module);
    attn_program_destroy(program);
    attn_context_destroy(context);
    attn_diagnostics_destroy(said);
    if (c.blocks || c.bytes) fail_msg("call %ld (%s): memory is lost", n, name);
    return calls;
}

static void test_modules(void **state) {
    bool refused = true;
    (void)state;
    long calls = compile(0, MODULE, NULL, &refused), n;
    assert_true(calls >= 7 && !refused);
    for (n = 1; n <= calls; n++) {
        compile(n, MODULE, NULL, &refused);
        assert_true(refused);
        compile(0, MODULE, NULL, &refused);
    }
    print_message("%ld calls\n", calls);
}

/* A compile that fails leaves no entry, and one that follows is complete. */
static void test_cache(void **state) {
    bool refused = true;
    (void)state;
    for (long n = 1; refused; n++) {
        assert_int_equal(files(), 0);
        compile(n, MODULE, folder, &refused);
        if (refused && files() == 0) continue;
        char command[300];
        assert_true(files() > 0);
        snprintf(command, sizeof command, "rm -f '%s'/*", folder);
        assert_int_equal(system(command), 0);
    }
}

static void test_texts(void **state) {
    bool refused = true;
    (void)state;
    for (long n = 1; refused; n++) compile(n, CODE, NULL, &refused);
}

/* An object, which holds functions beside the kernels; nothing is written if it fails. */
static void test_objects(void **state) {
    bool refused = true;
    (void)state;
    for (long n = 1; refused; n++) compile(n, OBJECT, NULL, &refused);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_modules), cmocka_unit_test(test_cache), cmocka_unit_test(test_texts),
                                      cmocka_unit_test(test_objects)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

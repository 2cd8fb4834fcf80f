/* The helpers of world.h. */
#include "world.h"

#if defined(__SANITIZE_ADDRESS__)
/* Too large is a status, not the end: the sanitizer's malloc returns NULL for it like any other. The search for leaks runs off when it follows the
 * thread-local memory of libraries that were opened late, libLLVM here. */
const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void) { return "allocator_may_return_null=1:intercept_tls_get_addr=0"; }
#endif

world world_open(const char *source, const char *target) {
    world w = {0};
    assert_int_equal(attn_diagnostics_create(NULL, &w.said), ATTN_OK);
    assert_int_equal(attn_context_create(NULL, w.said, &w.context), ATTN_OK);
    if (!source) return w;
    attn_module_options o = ATTN_MODULE_OPTIONS_INIT;
    o.target = target;
    bool fine = !attn_program_from_text(w.context, "test.attn", source, strlen(source), w.said, &w.program) &&
                !attn_module_create(w.context, w.program, &o, w.said, &w.module) && !attn_model_create(w.context, w.module, NULL, w.said, &w.model);
    for (size_t k = 0; k < attn_diagnostics_count(w.said); k++) print_message("%s", attn_diagnostics_render(w.said, k, false));
    assert_true(fine);
    return w;
}

void world_close(world *w) {
    attn_model_destroy(w->model);
    attn_module_destroy(w->module);
    attn_program_destroy(w->program);
    attn_context_destroy(w->context);
    attn_diagnostics_destroy(w->said);
    *w = (world){0};
}

const char *world_code(const world *w, size_t k) {
    attn_diagnostic d = ATTN_DIAGNOSTIC_INIT;
    return attn_diagnostics_get(w->said, k, &d) == ATTN_OK ? d.code : "";
}

void world_check_said(world *w, attn_status status, attn_status wanted, const char *code, const char *words, const char *file, int line) {
    attn_diagnostic d = ATTN_DIAGNOSTIC_INIT;
    char all[2048];
    if (status != wanted) print_message("%s:%d: status %s, expected %s\n", file, line, attn_status_text(status), attn_status_text(wanted));
    for (size_t k = 0; k < attn_diagnostics_count(w->said) && status != wanted; k++) print_message("%s", attn_diagnostics_render(w->said, k, false));
    _assert_int_equal((unsigned)status, (unsigned)wanted, file, line);
    _assert_int_equal(attn_diagnostics_get(w->said, 0, &d), ATTN_OK, file, line);
    snprintf(all, sizeof all, "%s | %s | %s", d.message, d.expected ? d.expected : "", d.found ? d.found : "");
    _assert_string_equal(d.code, code, file, line);
    if (!strstr(all, words)) print_message("'%s' is not in '%s'\n", words, all);
    _assert_true(strstr(all, words) != NULL, words, file, line);
    attn_diagnostics_clear(w->said);
}

attn_tensor *world_wrap(const world *w, attn_dtype dtype, int rank, const int64_t *dims, void *data) {
    attn_tensor *t = NULL;
    assert_int_equal(attn_tensor_wrap(w->context, dtype, rank, dims, NULL, data, w->said, &t), ATTN_OK);
    return t;
}

/* ---- allocator. Called by several threads at a time. */

static void *counted_alloc(void *self, size_t bytes) {
    counter *c = self;
    long k = __atomic_add_fetch(&c->requests, 1, __ATOMIC_SEQ_CST);
    if (c->fail_at && (c->once ? k == c->fail_at : k >= c->fail_at)) return NULL;
    void *at = malloc(bytes);
    if (!at) return NULL;
    __atomic_add_fetch(&c->blocks, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&c->bytes, (long long)bytes, __ATOMIC_SEQ_CST);
    return at;
}

static void counted_free(void *self, void *at, size_t bytes) {
    counter *c = self;
    if (!at) return;
    __atomic_sub_fetch(&c->blocks, 1, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&c->bytes, (long long)bytes, __ATOMIC_SEQ_CST);
    free(at);
}

attn_allocator counter_allocator(counter *c) { return (attn_allocator){counted_alloc, counted_free, c}; }

/* The folder of compiled code, below the compiler: what is found, what counts, what goes first. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "rt.h"

typedef struct { base_arena *arena; rt_cache cache; char path[64]; } world;

static world open_world(void) {
    world w = {.arena = base_arena_create(NULL, NULL)};
    const char *why;
    snprintf(w.path, sizeof w.path, "/tmp/attn-cache-XXXXXX");
    assert_non_null(mkdtemp(w.path));
    assert_true(rt_cache_open(&w.cache, w.path, false, w.arena, &why));
    return w;
}
static void close_world(world *w) {
    int64_t bytes;
    rt_cache_clear(&w->cache, w->arena, &bytes);
    rt_cache_close(&w->cache);
    rt_cache_close(&w->cache);
    assert_int_equal(rmdir(w->path), 0);         /* nothing else was left in it */
    base_arena_destroy(w->arena);
}

static rt_digest key(int k) { return rt_digest_of(&k, sizeof k); }
static bool store(const world *w, int k, const char *text) {
    const rt_digest d = key(k);
    const rt_cached c = {base_printf(w->arena, "kernel %d", k), "target", {text, strlen(text), 2, "symbol"}};
    return rt_cache_store(&w->cache, &d, &c, w->arena);
}
static bool find(const world *w, int k, rt_cached *out) {
    const rt_digest d = key(k);
    return rt_cache_find(&w->cache, &d, w->arena, out);
}
static const char *file_of(const world *w, int k) {
    const rt_digest d = key(k);
    char *name = base_alloc(w->arena, 64);
    for (int i = 0; i < 16; i++) snprintf(name + 2 * i, 3, "%02x", d.bytes[i]);
    return strcat(name, ".kernel");
}
static void set_age(const world *w, const char *name, int seconds) {
    const struct timespec then = {time(NULL) - seconds, 0}, both[] = {then, then};
    assert_int_equal(utimensat(w->cache.folder, name, both, 0), 0);
}

static void test_found(void **state) {
    (void)state;
    world w = open_world();
    rt_cached c;
    assert_false(find(&w, 1, &c));
    assert_true(store(&w, 1, "one machine code") && store(&w, 2, "two"));
    assert_true(find(&w, 1, &c));
    assert_string_equal(c.kernel, "kernel 1");
    assert_string_equal(c.target, "target");
    assert_string_equal(c.image.symbol, "symbol");
    assert_int_equal(c.image.entry, 2);
    assert_int_equal(c.image.n, 16);
    assert_memory_equal(c.image.bytes, "one machine code", 16);
    assert_true(store(&w, 1, "another code"));   /* in place of the old */
    assert_true(find(&w, 1, &c));
    assert_int_equal(c.image.n, 12);
    /* an entry whose name is that of another key's: sound by itself, and not what is asked for */
    assert_int_equal(renameat(w.cache.folder, file_of(&w, 1), w.cache.folder, file_of(&w, 3)), 0);
    assert_false(find(&w, 3, &c));
    size_t n;
    const rt_cache_entry *all = rt_cache_list(&w.cache, w.arena, &n);
    assert_int_equal(n, 2);
    for (size_t k = 0; k < n; k++)
        if (!strcmp(all[k].name, file_of(&w, 3))) assert_string_equal(all[k].damage, "it has the name of another");
        else assert_null(all[k].damage);
    close_world(&w);
}

/* Every byte matters, and every length. */
static void test_every_byte(void **state) {
    (void)state;
    world w = open_world();
    rt_cached c;
    assert_true(store(&w, 1, "code"));
    const int fd = openat(w.cache.folder, file_of(&w, 1), O_RDWR);
    unsigned char bytes[512];
    const ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    assert_true(n > 100 && n < (ssize_t)sizeof bytes);
    for (ssize_t at = 0; at < n; at++) {
        const unsigned char changed = bytes[at] ^ 1;
        assert_int_equal(pwrite(fd, &changed, 1, at), 1);
        assert_false(find(&w, 1, &c));
        assert_int_equal(pwrite(fd, &bytes[at], 1, at), 1);
    }
    assert_true(find(&w, 1, &c));
    for (ssize_t at = n - 1; at >= 0; at--) {
        assert_int_equal(ftruncate(fd, at), 0);
        assert_false(find(&w, 1, &c));
    }
    assert_int_equal(pwrite(fd, bytes, (size_t)n, 0), n);
    assert_true(find(&w, 1, &c));
    assert_int_equal(pwrite(fd, "x", 1, n), 1);  /* longer than it says */
    assert_false(find(&w, 1, &c));
    close(fd);
    close_world(&w);
}

/* The oldest go first, down to three quarters of what is allowed; what is used becomes young again. Temporary files go when nobody can want them any more. */
static void test_trim(void **state) {
    (void)state;
    world w = open_world();
    rt_cached c;
    size_t n;
    for (int k = 0; k < 8; k++) {
        assert_true(store(&w, k, "0123456789abcdef"));
        set_age(&w, file_of(&w, k), 10000 * (8 - k));
    }
    assert_true(find(&w, 0, &c));                /* the oldest of all */
    int64_t total = 0;
    const rt_cache_entry *all = rt_cache_list(&w.cache, w.arena, &n);
    for (size_t k = 0; k < n; k++) total += all[k].bytes;
    assert_string_equal(all[0].name, file_of(&w, 1));
    static const char *const temporary[] = {".tmp-1-2-3-4", ".tmp-5-6-7-8"};
    for (size_t k = 0; k < 2; k++) close(openat(w.cache.folder, temporary[k], O_CREAT | O_WRONLY, 0600));
    set_age(&w, temporary[0], 7200);
    rt_cache_trim(&w.cache, total, w.arena);
    assert_int_equal(faccessat(w.cache.folder, temporary[0], F_OK, 0), -1);
    assert_int_equal(faccessat(w.cache.folder, temporary[1], F_OK, 0), 0);
    rt_cache_list(&w.cache, w.arena, &n);
    assert_int_equal(n, 8);
    rt_cache_trim(&w.cache, total - 1, w.arena);
    all = rt_cache_list(&w.cache, w.arena, &n);
    assert_in_range(n, 4, 6);
    assert_true(find(&w, 0, &c) && find(&w, 7, &c));
    assert_false(find(&w, 1, &c) || find(&w, 2, &c));
    close_world(&w);
}

/* Foreign files are neither shown nor removed. */
static void test_foreign(void **state) {
    (void)state;
    world w = open_world();
    int64_t bytes;
    size_t n;
    assert_true(store(&w, 1, "code"));
    close(openat(w.cache.folder, "notes.txt", O_CREAT | O_WRONLY, 0600));
    assert_int_equal(mkdirat(w.cache.folder, file_of(&w, 2), 0700), 0);
    rt_cached c;
    assert_false(find(&w, 2, &c));
    assert_false(store(&w, 2, "code"));
    rt_cache_list(&w.cache, w.arena, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rt_cache_clear(&w.cache, w.arena, &bytes), 1);
    assert_int_equal(unlinkat(w.cache.folder, file_of(&w, 2), AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(w.cache.folder, "notes.txt", 0), 0);
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_found), cmocka_unit_test(test_every_byte), cmocka_unit_test(test_trim), cmocka_unit_test(test_foreign)};
    return cmocka_run_group_tests_name("cache", tests, NULL, NULL);
}

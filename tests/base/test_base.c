/* Arenas, text, maps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base.h"
#include <cmocka.h>

typedef struct { uint32_t left; size_t live; } short_memory;

static void *short_alloc(void *self, size_t bytes) {
    short_memory *m = self;
    if (!m->left) return NULL;
    m->left--;
    m->live += bytes;
    return malloc(bytes);
}

static void short_free(void *self, void *at, size_t bytes) {
    ((short_memory *)self)->live -= bytes;
    free(at);
}

static void arena_is_zeroed_and_aligned(void **state) {
    (void)state;
    base_arena *a = base_arena_create(NULL, NULL);
    const size_t sizes[] = {0, 1, 15, 16, 17, 1000, 5000, 70000, 3, 300000, 8};
    for (uint32_t round = 0; round < 50; round++)
        for (uint32_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            unsigned char *at = base_alloc(a, sizes[k]);
            assert_int_equal((uintptr_t)at % 16, 0);
            for (size_t i = 0; i < sizes[k]; i++) assert_int_equal(at[i], 0);
            memset(at, 0xff, sizes[k]);
        }
    base_arena_destroy(a);
    base_arena_destroy(NULL);
}

static void work(base_arena *a) {
    base_text text;
    base_text_init(&text, a);
    BASE_VEC(uint32_t) all = {0};
    base_map *map = base_map_create(a);
    for (uint32_t k = 0; k < 5000; k++) {
        BASE_PUSH(a, &all, k);
        base_text_add(&text, "%u ", k);
        base_map_put(map, base_printf(a, "name%u", k), k);
    }
    assert_int_equal(all.at[4999], 4999);
}

/* Whether the work ends when only n allocations succeed. */
static bool works_with(uint32_t n) {
    short_memory memory = {.left = n};
    jmp_buf failed;
    base_allocator allocator = {short_alloc, short_free, &memory};
    base_arena *volatile a = base_arena_create(&allocator, &failed);
    volatile bool done = false;
    if (a && !setjmp(failed)) {
        work(a);
        done = true;
    }
    base_arena_destroy(a);
    assert_int_equal(memory.live, 0);
    return done;
}

static void every_failing_allocation_recovers(void **state) {
    (void)state;
    uint32_t failures = 0;
    while (failures < 1000 && !works_with(failures)) failures++;
    assert_true(failures > 5 && failures < 1000);
}

static void sizes_that_overflow_fail(void **state) {
    (void)state;
    jmp_buf failed;
    base_arena *volatile a = base_arena_create(NULL, &failed);
    volatile int n = 0;
    if (!setjmp(failed)) base_alloc_array(a, SIZE_MAX / 2, 3);
    else n++;
    if (!setjmp(failed)) base_alloc(a, SIZE_MAX - 3);
    else n++;
    assert_int_equal(n, 2);
    base_arena_destroy(a);
}

static void reals_read_back(void **state) {
    (void)state;
    base_arena *a = base_arena_create(NULL, NULL);
    const struct { double value; const char *text; } exact[] = {{0.1, "0.1"}, {1, "1.0"}, {-2, "-2.0"}, {1e22, "1e+22"}, {0, "0.0"},
        {-0.0, "-0.0"}, {INFINITY, "inf"}, {-INFINITY, "-inf"}, {NAN, "nan"}, {1.4426950408889634, "1.4426950408889634"}, {5e-324, "5e-324"}};
    for (uint32_t k = 0; k < sizeof exact / sizeof *exact; k++) assert_string_equal(base_real_text(a, exact[k].value), exact[k].text);
    uint64_t bits = 88172645463325252u;
    for (uint32_t k = 0; k < 20000; k++) {
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        const char *text = base_real_text(a, value);
        assert_true(strtod(text, NULL) == value && strpbrk(text, ".e"));
    }
    base_arena_destroy(a);
}

static void texts_grow(void **state) {
    (void)state;
    base_arena *a = base_arena_create(NULL, NULL);
    base_text t;
    base_text_init(&t, a);
    for (int k = 0; k < 1000; k++) {
        base_text_add(&t, "%d,%s", k, k % 100 == 0 ? "a rather long piece of text, longer than the room that is left at the start......" : "");
        base_text_put(&t, ";", 1);
    }
    assert_int_equal(strlen(t.at), t.n);
    assert_string_equal(t.at + t.n - 5, "999,;");
    assert_string_equal(base_strndup(a, "abcdef", 3), "abc");
    assert_string_equal(base_strdup(a, ""), "");
    base_arena_destroy(a);
}

static void maps_find(void **state) {
    (void)state;
    base_arena *a = base_arena_create(NULL, NULL);
    base_map *map = base_map_create(a);
    uint32_t found = 7;
    assert_false(base_map_get(map, "a", &found));
    assert_int_equal(found, 7);
    for (uint32_t k = 0; k < 10000; k++) base_map_put(map, base_printf(a, "k%u", k), k);
    base_map_put(map, "k77", 1);
    for (uint32_t k = 0; k < 10000; k++) {
        assert_true(base_map_get(map, base_printf(a, "k%u", k), &found));
        assert_int_equal(found, k == 77 ? 1 : k);
    }
    assert_false(base_map_get(map, "k10000", &found));
    base_arena_destroy(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_is_zeroed_and_aligned), cmocka_unit_test(every_failing_allocation_recovers),
        cmocka_unit_test(sizes_that_overflow_fail),    cmocka_unit_test(reals_read_back),
        cmocka_unit_test(texts_grow),                  cmocka_unit_test(maps_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

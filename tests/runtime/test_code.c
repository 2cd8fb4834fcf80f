/* The loader of the host's kernels: images that are copied into a mapping of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "rt.h"

#if defined(__x86_64__)
/* *(int64_t *)scratch = first + last, behind an instruction that does nothing and is not entered */
static const unsigned char sum[] = {0x90, 0x48, 0x8d, 0x04, 0x16, 0x48, 0x89, 0x01, 0xc3};       /* nop; lea rax, [rsi + rdx]; mov [rcx], rax; ret */
#elif defined(__aarch64__)
static const unsigned char sum[] = {0x1f, 0x20, 0x03, 0xd5, 0x20, 0x00, 0x02, 0x8b, 0x60, 0x00, 0x00, 0xf9, 0xc0, 0x03, 0x5f, 0xd6};
#endif

static rt_kernel kernel(const char *name, const void *bytes, size_t n, size_t entry) { return (rt_kernel){.name = name, .image = {bytes, n, entry, ""}}; }

static void linked(const rt_frame *frame, int64_t first, int64_t last, void *scratch) {
    (void)frame;
    *(int64_t *)scratch = first - last;
}

/* The line of the process's map that an address lies in. */
static void access_of(const void *at, char *out) {
    static char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    strcpy(out, "none");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char rights[8];
        assert_int_equal(sscanf(line, "%lx-%lx %7s", &from, &to, rights), 3);
        if ((uintptr_t)at >= from && (uintptr_t)at < to) strcpy(out, rights);
        assert_null(strstr(rights, "wx"));       /* nothing anywhere */
    }
    fclose(maps);
}

static void test_runs(void **state) {
    (void)state;
#if defined(__x86_64__) || defined(__aarch64__)
    enum { N = 100 };
    rt_kernel kernels[N];
    void *code = NULL;
    char error[128], rights[8];
    int64_t out = 0;
    const size_t entry = sizeof sum == 9 ? 1 : 4;
    for (int k = 0; k < N; k++) kernels[k] = kernel("sum", sum, sizeof sum, entry);
    kernels[7].fn = linked;
    assert_true(rt_code_load(N, kernels, &code, error, sizeof error));
    assert_non_null(code);
    assert_ptr_equal(kernels[7].fn, linked);
    for (int k = 0; k < N; k++) {
        void *at;
        kernels[k].fn(NULL, 40, k, &out);
        assert_int_equal(out, k == 7 ? 33 : 40 + k);
        memcpy(&at, &kernels[k].fn, sizeof at);
        if (k != 7) assert_int_equal(((uintptr_t)at - entry) % RT_IMAGE_ALIGN, 0);
        if (k != 7) access_of(at, rights), assert_string_equal(rights, "r-xp");
    }
    void *at;
    memcpy(&at, &kernels[0].fn, sizeof at);
    rt_code_unload(code);
    access_of(at, rights);
    assert_string_not_equal(rights, "r-xp");
#else
    print_message("skipped: no machine code of this architecture here\n");
#endif
}

static void test_nothing(void **state) {
    (void)state;
    void *code = &code;
    char error[128];
    rt_kernel linked_in = {.name = "linked", .fn = linked};
    assert_true(rt_code_load(0, NULL, &code, error, sizeof error));
    assert_null(code);
    assert_true(rt_code_load(1, &linked_in, &code, error, sizeof error));
    assert_null(code);
    rt_code_unload(NULL);
}

/* Kernels stay as they were. */
static void test_refused(void **state) {
    (void)state;
    static const unsigned char bytes[8];
    char error[128];
    void *code = &code;
    const struct { rt_kernel kernel; const char *error; } cases[] = {
        {kernel("bare", NULL, 8, 0), "kernel bare has no machine code"},    {kernel("empty", bytes, 0, 0), "kernel empty has no machine code"},
        {kernel("beyond", bytes, 8, 8), "kernel beyond has no machine code"}, {kernel("huge", bytes, SIZE_MAX - 3, 0), "out of memory"},
        {kernel("large", bytes, SIZE_MAX / 2, 0), "out of memory"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        rt_kernel both[] = {kernel("fine", bytes, 8, 0), cases[k].kernel};
        assert_false(rt_code_load(2, both, &code, error, sizeof error));
        assert_null(code);
        assert_string_equal(error, cases[k].error);
        assert_null(both[0].fn);
        assert_null(both[1].fn);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_runs), cmocka_unit_test(test_nothing), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests_name("code", tests, NULL, NULL);
}

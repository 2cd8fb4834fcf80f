/* The emitted text of every graph of graphs.def through the real NVRTC, for two architectures: no errors, no spills. Needs no GPU; skipped with
 * the reason where there is no NVRTC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cuda_internal.h"
#include "emulated.h"
#include "passes.h"

#ifndef ATTN_CUDA_PATH
#define ATTN_CUDA_PATH NULL
#endif

static const struct { const char *name, *text; } graphs[] = {
#define GRAPH(name, dims, tolerance, text) {#name, text},
#include "graphs.def"
};
enum { N_GRAPHS = sizeof graphs / sizeof *graphs };

static jmp_buf no_memory;

static const char *text_of(base_arena *arena, base_diags *diags, size_t i) {
    ir_graph *g = ir_graph_read(arena, diags, base_file_add(diags, graphs[i].name, graphs[i].text, strlen(graphs[i].text)));
    return g ? emulated_text(g, arena, diags) : NULL;
}

/* The number before a word of the log of ptxas, as in `0 bytes spill stores`: the greatest of all kernels. */
static long most(const char *log, const char *words) {
    long found = -1;
    for (const char *at = strstr(log, words); at; at = strstr(at + 1, words)) {
        const char *digits = at;
        while (digits > log && digits[-1] >= '0' && digits[-1] <= '9') digits--;
        long n = strtol(digits, NULL, 10);
        if (n > found) found = n;
    }
    return found;
}

static void compile(const cuda_nvrtc *nvrtc, size_t i, const char *arch) {
    base_arena *arena = base_arena_create(NULL, &no_memory);
    base_diags *diags = base_diags_create(arena);
    const char *text = text_of(arena, diags, i);
    assert_non_null(text);
    cuda_image image = cuda_nvrtc_compile(nvrtc, text, arch, arena);
    if (!image.cubin) fail_msg("%s for %s: %s", graphs[i].name, arch, image.log);
    assert_memory_equal(image.cubin, "\177ELF", 4);
    assert_null(strstr(image.log, "warning"));
    long registers = most(image.log, " registers"), spills = most(image.log, " bytes spill stores");
    print_message("%-20s %-7s %3ld registers, %ld bytes spilled, %zu bytes\n", graphs[i].name, arch, registers, spills, image.n);
    assert_true(registers > 0);
    assert_int_equal(spills, 0);
    base_arena_destroy(arena);
}

static void test_architectures(void **state) {
    (void)state;
    char error[1024];
    cuda_nvrtc nvrtc;
    const cuda_options options = {.struct_size = sizeof options, .cuda_path = ATTN_CUDA_PATH};
    if (setjmp(no_memory)) fail_msg("out of memory");
    if (!cuda_nvrtc_open(&nvrtc, &options, error, sizeof error)) {
        print_message("skipped: %s\n", error);
        skip();
    }
    print_message("NVRTC %d.%d\n", nvrtc.major, nvrtc.minor);
    for (size_t i = 0; i < N_GRAPHS; i++) {
        compile(&nvrtc, i, "sm_80");
        compile(&nvrtc, i, "sm_90a");
    }
    cuda_nvrtc_close(&nvrtc);
}

/* A text that is wrong gives its place and the reason, and no machine code. */
static void test_wrong_text(void **state) {
    (void)state;
    char error[1024];
    cuda_nvrtc nvrtc;
    const cuda_options options = {.struct_size = sizeof options, .cuda_path = ATTN_CUDA_PATH};
    if (setjmp(no_memory)) fail_msg("out of memory");
    if (!cuda_nvrtc_open(&nvrtc, &options, error, sizeof error)) {
        print_message("skipped: %s\n", error);
        skip();
    }
    base_arena *arena = base_arena_create(NULL, &no_memory);
    cuda_image image = cuda_nvrtc_compile(&nvrtc, "extern \"C\" __global__ void k() { unknown(); }\n", "sm_80", arena);
    assert_null(image.cubin);
    assert_non_null(strstr(image.log, "kernels.cu(1)"));
    assert_non_null(strstr(image.log, "unknown"));
    image = cuda_nvrtc_compile(&nvrtc, "\n", "sm_1", arena);
    assert_null(image.cubin);
    base_arena_destroy(arena);
    cuda_nvrtc_close(&nvrtc);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_architectures), cmocka_unit_test(test_wrong_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The emitted text of every graph of graphs.def, and of the sentence encoder of the examples, through the real NVRTC, for two architectures: no
 * errors, no spills. Needs no GPU; skipped with the reason where there is no NVRTC. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cuda_internal.h"
#include "emulated.h"
#include "frontend.h"
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

static ir_graph *graph_of(base_arena *arena, base_diags *diags, size_t i) {
    return ir_graph_read(arena, diags, base_file_add(diags, graphs[i].name, graphs[i].text, strlen(graphs[i].text)));
}

static ir_graph *minilm(base_arena *arena, base_diags *diags) {
    static const char path[] = ATTN_SOURCE_DIR "/examples/minilm/minilm.attn";
    static char text[1 << 16];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text, f);
    assert_true(feof(f));
    fclose(f);
    fe_program *p = fe_program_create(arena, diags, base_file_add(diags, path, text, n), NULL, NULL);
    return fe_graph_lower(p, fe_n_graphs(p) - 1, arena, diags);
}

/* A whole plan: after all passes, as `--target cuda` compiles it. */
static const char *text_of_plan(ir_graph *g, base_arena *arena, base_diags *diags) {
    const cuda_options options = {.struct_size = sizeof options};
    const ir_backend *cuda = cuda_backend_create(arena, &options);
    pass_state s = {.arena = arena, .diags = diags, .target = cuda->target(cuda, "sm_80", arena), .graph = g};
    base_text text;
    base_text_init(&text, arena);
    if (!pass_run_all(&s, &(pass_options){.stop_after = NULL})) return NULL;
    return cuda->emit(cuda, s.target, s.n_kernels, (const ir_schedule *const *)s.schedules, &text, diags) ? text.at : NULL;
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

/* One text, both architectures. */
static void compile(const cuda_nvrtc *nvrtc, const char *name, const char *text) {
    static const char *const archs[] = {"sm_80", "sm_90a"};
    assert_non_null(text);
    for (size_t i = 0; i < 2; i++) {
        base_arena *arena = base_arena_create(NULL, &no_memory);
        cuda_image image = cuda_nvrtc_compile(nvrtc, text, archs[i], arena);
        if (!image.cubin) fail_msg("%s for %s: %s", name, archs[i], image.log);
        assert_memory_equal(image.cubin, "\177ELF", 4);
        assert_null(strstr(image.log, "warning"));
        long registers = most(image.log, " registers"), spills = most(image.log, " bytes spill stores");
        print_message("%-20s %-7s %3ld registers, %ld bytes spilled, %zu bytes\n", name, archs[i], registers, spills, image.n);
        assert_true(registers > 0);
        assert_int_equal(spills, 0);
        base_arena_destroy(arena);
    }
}

static void open_or_skip(cuda_nvrtc *nvrtc) {
    char error[1024];
    const cuda_options options = {.struct_size = sizeof options, .cuda_path = ATTN_CUDA_PATH};
    if (cuda_nvrtc_open(nvrtc, &options, error, sizeof error)) return;
    print_message("skipped: %s\n", error);
    skip();
}

static void test_architectures(void **state) {
    (void)state;
    cuda_nvrtc nvrtc;
    if (setjmp(no_memory)) fail_msg("out of memory");
    open_or_skip(&nvrtc);
    print_message("NVRTC %d.%d\n", nvrtc.major, nvrtc.minor);
    for (size_t i = 0; i <= N_GRAPHS; i++) {
        base_arena *arena = base_arena_create(NULL, &no_memory);
        base_diags *diags = base_diags_create(arena);
        ir_graph *g = i < N_GRAPHS ? graph_of(arena, diags, i) : minilm(arena, diags);
        assert_non_null(g);
        if (i < N_GRAPHS) compile(&nvrtc, graphs[i].name, emulated_text(g, arena, diags));
        else compile(&nvrtc, "minilm", text_of_plan(g, arena, diags));
        base_arena_destroy(arena);
    }
    cuda_nvrtc_close(&nvrtc);
}

/* A text that is wrong gives its place and the reason, and no machine code. */
static void test_wrong_text(void **state) {
    (void)state;
    cuda_nvrtc nvrtc;
    if (setjmp(no_memory)) fail_msg("out of memory");
    open_or_skip(&nvrtc);
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

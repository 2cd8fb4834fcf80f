/* The plug-in with LLVM: opened by the first compile and no sooner; and what it writes: objects that need nothing from outside. */
#include <dlfcn.h>
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "half.h"
#include "run.h"
#include <cmocka.h>

#define PLUGIN ATTN_BINARY_DIR "/" CPU_HALF_FILE

static bool is_loaded(void) {
    void *handle = dlopen(PLUGIN, RTLD_NOW | RTLD_NOLOAD);
    if (handle) dlclose(handle);
    return handle != NULL;
}

/* ---- kernels that use all that is computed by hand: functions of f32 and f64, rounding, a softmax in one row */

static const char text[] = "graph g (N) {\n"
                           "  x: f32[N] = input\n"
                           "  w: f64[N] = input\n"
                           "  n: i64[N] = input\n"
                           "  a[i in 0..N]: f32 = sin(x[i]) + cos(x[i])^x[i] + exp(x[i]) + log(x[i]) + tanh(x[i]) + erf(x[i]) + sqrt(x[i])\n"
                           "  b[i in 0..N]: f64 = sin(w[i]) + cos(w[i])^w[i] + exp(w[i]) + log(w[i]) + tanh(w[i]) + erf(w[i]) + float(n[i]//(n[i] + 1))\n"
                           "  c[i in 0..N]: i64 = floor(x[i]) + ceil(w[i]) + round(x[i]) + n[i]%7\n"
                           "  s[i in 0..N]: f32 =\n"
                           "    let @1 = max(j in 0..N where j <= i: x[j]);\n"
                           "    sum(j in 0..N where j <= i: exp(x[j] - @1)*x[j])\n"
                           "  output a, b, c, s\n"
                           "}\n";

typedef struct { base_arena *arena; base_diags *diags; ir_graph *g; const ir_schedule *schedules[8]; uint32_t n; } program;

static program read_program(const ir_target *target) {
    program p = {.arena = base_arena_create(NULL, NULL)};
    p.diags = base_diags_create(p.arena);
    p.g = ir_graph_read(p.arena, p.diags, base_file_add(p.diags, "g", text, sizeof text - 1));
    assert_non_null(p.g);
    for (uint32_t i = 0; i < p.g->body.n; i++) {
        const ir_node *node = p.g->body.at[i];
        if (node->form == IR_FORM_MAP) p.schedules[p.n++] = pass_schedule_kernel(pass_legalize_kernel(pass_lower_node(p.g->unit, node), target), target, NULL);
    }
    assert_int_equal(p.n, 4);
    return p;
}

/* ---- symbols of an object */

static const Elf64_Shdr *section(const char *at, uint32_t k) { return (const Elf64_Shdr *)(const void *)(at + ((const Elf64_Ehdr *)(const void *)at)->e_shoff) + k; }

/* Names that the object does not define, and how many symbols there are in all. */
static uint32_t n_undefined(const char *at, uint32_t *n_symbols) {
    const Elf64_Ehdr *elf = (const Elf64_Ehdr *)(const void *)at;
    uint32_t found = 0;
    assert_memory_equal(elf->e_ident, ELFMAG, SELFMAG);
    for (uint32_t k = 0; k < elf->e_shnum; k++) {
        if (section(at, k)->sh_type != SHT_SYMTAB) continue;
        const Elf64_Sym *symbols = (const Elf64_Sym *)(const void *)(at + section(at, k)->sh_offset);
        *n_symbols = (uint32_t)(section(at, k)->sh_size / sizeof *symbols);
        for (uint32_t i = 1; i < *n_symbols; i++) found += symbols[i].st_shndx == SHN_UNDEF;
    }
    return found;
}

static void check_object(const char *arch) {
    base_arena *arena = base_arena_create(NULL, NULL);
    const ir_target *target = cpu_target(arch, arena);
    program p = read_program(target);
    void *handle = dlopen(PLUGIN, RTLD_NOW), *symbol = handle ? dlsym(handle, CPU_HALF_ENTRY) : NULL;
    cpu_half_entry *entry = NULL;
    memcpy(&entry, &symbol, sizeof entry);
    assert_non_null(entry);
    size_t bytes = 0;
    uint32_t n = 0;
    const char *object = entry()->object(target, p.n, p.schedules, arena, &bytes, p.diags);
    assert_non_null(object);
    assert_int_equal(n_undefined(object, &n), 0);
    assert_true(n > p.n);        /* a symbol for each kernel, at least */
    base_arena_destroy(p.arena);
    base_arena_destroy(arena);
}

/* ---- */

static void test_opened_by_the_first_compile(void **state) {
    (void)state;
    base_arena *arena = base_arena_create(NULL, NULL);
    const ir_backend *b = cpu_backend();
    const ir_target *target = b->target(b, NULL, arena);
    program p = read_program(target);
    assert_false(is_loaded());
    rt_kernel kernels[8];
    ir_code *code = b->compile(b, target, p.n, p.schedules, kernels, p.diags);
    assert_non_null(code);
    assert_true(is_loaded());
    b->release(b, code);
    base_arena_destroy(p.arena);
    base_arena_destroy(arena);
}

static void test_nothing_from_outside(void **state) {
    (void)state;
    static const char *const archs[] = {NULL, "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
#if defined(__x86_64__)
    for (size_t k = 0; k < sizeof archs / sizeof *archs; k++) check_object(archs[k]);
#else
    check_object(archs[0]);
#endif
}

/* The same look finds what an ordinary program needs: this test's own file names the functions of libc. */
static void test_the_look_sees(void **state) {
    (void)state;
    FILE *f = fopen("/proc/self/exe", "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    const size_t n = (size_t)ftell(f);
    char *at = malloc(n);
    assert_non_null(at);
    rewind(f);
    assert_int_equal(fread(at, 1, n, f), n);
    fclose(f);
    uint32_t symbols = 0;
    assert_true(n_undefined(at, &symbols) > 5);
    free(at);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_opened_by_the_first_compile), cmocka_unit_test(test_nothing_from_outside),
                                       cmocka_unit_test(test_the_look_sees)};
    return cmocka_run_group_tests_name("half", tests, NULL, NULL);
}

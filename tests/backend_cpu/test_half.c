/* The plug-in with LLVM: opened by the first compile and no sooner; and what it writes: objects that need nothing from outside. */
#define _GNU_SOURCE                  /* memmem */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu.h"
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

/* ---- what is written: an object per kernel, and an image of it */

static bool write_objects(const char *arch, base_arena *arena, program *p, cpu_object *objects) {
    const ir_target *target = cpu_target(arch, arena);
    *p = read_program(target);
    void *handle = dlopen(PLUGIN, RTLD_NOW), *symbol = handle ? dlsym(handle, CPU_HALF_ENTRY) : NULL;
    cpu_half_entry *entry = NULL;
    memcpy(&entry, &symbol, sizeof entry);
    assert_non_null(entry);
    return entry()->objects(target, p->n, p->schedules, NULL, arena, objects, p->diags);
}

/* An image can be made of every object: no symbol is missing, no relocation is left. */
static void check_objects(const char *arch) {
    base_arena *arena = base_arena_create(NULL, NULL);
    program p;
    cpu_object objects[8];
    assert_true(write_objects(arch, arena, &p, objects));
    for (uint32_t k = 0; k < p.n; k++) {
        rt_image image;
        const char *wrong = cpu_image(objects[k].bytes, objects[k].n, objects[k].entry, arena, &image);
        if (wrong) fail_msg("%s: %s", arch ? arch : "this machine", wrong);
        assert_true(image.entry < image.n);
    }
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
    rt_image images[8];
    assert_true(b->compile(b, target, p.n, p.schedules, NULL, p.arena, images, p.diags));
    assert_true(is_loaded());
    base_arena_destroy(p.arena);
    base_arena_destroy(arena);
}

static void test_nothing_from_outside(void **state) {
    (void)state;
    static const char *const archs[] = {NULL, "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64"};
    for (size_t k = 0; k < sizeof archs / sizeof *archs; k++) check_objects(archs[k]);
}

/* All kernels in one text of the assembler, for any architecture. */
static void test_assembly(void **state) {
    (void)state;
    static const char *const archs[] = {"x86-64-v4", "aarch64"}, *const words[] = {"zmm", "fmla"};
    for (size_t k = 0; k < 2; k++) {
        base_arena *arena = base_arena_create(NULL, NULL);
        const ir_target *target = cpu_target(archs[k], arena);
        program p = read_program(target);
        base_text out;
        base_text_init(&out, arena);
        assert_true(cpu_assembly(target, p.n, p.schedules, &out, p.diags));
        assert_non_null(strstr(out.at, "k0_a:"));
        assert_non_null(strstr(out.at, "k3_s:"));
        assert_non_null(strstr(out.at, words[k]));
        base_arena_destroy(p.arena);
        base_arena_destroy(arena);
    }
}

/* Functions of a text and bytes beside it; what is no LLVM IR is reported. */
static void test_bundle(void **state) {
    (void)state;
    static const char text_of[] = "@data = external hidden constant [6 x i8]\ndefine ptr @where() {\n  ret ptr @data\n}\n";
    const cpu_blob blob = {"data", "a\0b\0c!", 6};
    base_arena *arena = base_arena_create(NULL, NULL);
    base_diags *diags = base_diags_create(arena);
    static const char *const archs[] = {"x86-64", "aarch64"};
    for (size_t k = 0; k < 2; k++) {
        const char *triple = cpu_target(archs[k], arena)->triple;
        size_t n = 0;
        const char *object = cpu_bundle(triple, text_of, 1, &blob, arena, &n, diags);
        assert_non_null(object);
        assert_memory_equal(object, "\177ELF", 4);
        assert_non_null(memmem(object, n, blob.bytes, blob.n));
        assert_non_null(memmem(object, n, "where", 6));
        assert_null(cpu_bundle(triple, "define nonsense", 0, NULL, arena, &n, diags));
        assert_null(cpu_bundle(triple, "", 1, &blob, arena, &n, diags));       /* it declares no such global */
        assert_int_equal(diags->n_errors, 2 * (k + 1));
    }
    base_arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_opened_by_the_first_compile), cmocka_unit_test(test_nothing_from_outside),
                                       cmocka_unit_test(test_assembly), cmocka_unit_test(test_bundle)};
    return cmocka_run_group_tests_name("half", tests, NULL, NULL);
}

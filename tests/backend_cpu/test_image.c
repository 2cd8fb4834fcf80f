/* Images: the same bytes however a kernel is compiled, the same results wherever they lie, every distance right; and objects that lie are refused. */
#include <dlfcn.h>
#include <elf.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "half.h"
#include "guarded.h"
#include "rt.h"
#include "run.h"
#include <cmocka.h>

/* Kernels with tables of constants, calls within the object, and a sweep. */
static const char text[] = "graph g (N) {\n"
                           "  x: f32[N] = input\n"
                           "  a[i in 0..N]: f32 = sin(x[i])\n"
                           "  b[i in 0..N]: f32 = exp(x[i])*0.25 + tanh(x[i])\n"
                           "  s[i in 0..N]: f32 =\n"
                           "    let @1 = max(j in 0..N where j <= i: x[j]);\n"
                           "    sum(j in 0..N where j <= i: exp(x[j] - @1)*x[j])\n"
                           "  output a, b, s\n"
                           "}\n";
enum { MOST = 4 };
typedef struct { base_arena *arena; base_diags *diags; const ir_target *target; const ir_schedule *schedules[MOST]; uint32_t n; } program;

static program open_program(const char *arch) {
    program p = {.arena = base_arena_create(NULL, NULL)};
    p.diags = base_diags_create(p.arena);
    p.target = cpu_target(arch, p.arena);
    ir_graph *g = ir_graph_read(p.arena, p.diags, base_file_add(p.diags, "g", text, sizeof text - 1));
    assert_non_null(g);
    for (uint32_t i = 0; i < g->body.n; i++) {
        const ir_node *node = g->body.at[i];
        if (node->form == IR_FORM_MAP) p.schedules[p.n++] = pass_schedule_kernel(pass_legalize_kernel(pass_lower_node(g->unit, node), p.target), p.target, NULL);
    }
    assert_int_equal(p.n, 3);
    return p;
}

static void compile(const program *p, uint32_t n, const ir_schedule *const *schedules, const rt_executor *executor, rt_image *images) {
    assert_true(cpu_backend()->compile(cpu_backend(), p->target, n, schedules, executor, p->arena, images, p->diags));
}

static const cpu_half *half(void) {
    void *handle = dlopen(ATTN_BINARY_DIR "/" CPU_HALF_FILE, RTLD_NOW), *symbol = handle ? dlsym(handle, CPU_HALF_ENTRY) : NULL;
    cpu_half_entry *entry = NULL;
    memcpy(&entry, &symbol, sizeof entry);
    assert_non_null(entry);
    return entry();
}

static void assert_same(const rt_image *a, const rt_image *b) {
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->entry, b->entry);
    assert_memory_equal(a->bytes, b->bytes, a->n);
}

/* ---- */

static void test_same_bytes(void **state) {
    (void)state;
    program p = open_program(NULL), again = open_program(NULL);
    rt_image together[MOST], alone, on_threads[MOST], other[MOST];
    rt_pool *pool = rt_pool_create(NULL, 3);
    const rt_executor executor = rt_pool_executor(pool);
    compile(&p, p.n, p.schedules, NULL, together);
    compile(&p, p.n, p.schedules, &executor, on_threads);
    compile(&again, again.n, again.schedules, &executor, other);
    for (uint32_t k = 0; k < p.n; k++) {
        compile(&p, 1, &p.schedules[k], NULL, &alone);
        assert_same(&alone, &together[k]);
        assert_same(&alone, &on_threads[k]);
        assert_same(&alone, &other[k]);
    }
    rt_pool_destroy(pool);
    base_arena_destroy(p.arena);
    base_arena_destroy(again.arena);
}

/* All items of kernel k of the program, over one dimension and one input. */
static void launch(const program *p, uint32_t k, const rt_kernel *kernel, int64_t n, float *in, float *out) {
    const ir_schedule *s = p->schedules[k];
    ir_frame f = ir_frame_create(s->kernel->unit, p->arena);
    int64_t items, scratch_bytes;
    for (uint32_t d = 0; d < s->kernel->n_dims; d++) f.dim[s->kernel->dims[d]] = n;
    assert_true(ir_eval_expr(s->kernel->unit, &f, s->items, &items, p->diags) && ir_eval_expr(s->kernel->unit, &f, s->scratch_bytes, &scratch_bytes, p->diags));
    void *buffers[] = {out, in}, *scratch = aligned_alloc(64, (size_t)(scratch_bytes + 127) / 64 * 64);
    const attn_frame frame = {&n, buffers};
    assert_int_equal(kernel->n_ints, 1);
    assert_int_equal(kernel->n_buffers, 2);
    kernel->fn(&frame, 0, items, scratch);
    free(scratch);
}

/* The same kernels in three mappings, at three offsets of their pages. */
static void test_any_address(void **state) {
    (void)state;
    enum { N = 37 };
    program p = open_program(NULL);
    rt_image images[MOST];
    float x[N], out[3][MOST][N];
    char error[128] = "";
    for (int i = 0; i < N; i++) x[i] = i == 5 ? 3e8f : 0.3f * (float)(i - 9);        /* one angle takes the long way */
    compile(&p, p.n, p.schedules, NULL, images);
    for (uint32_t round = 0; round < 3; round++) {
        rt_kernel kernels[2 * MOST];
        void *code = NULL;
        uint32_t n = 0;
        for (uint32_t k = 0; k < round; k++) kernels[n++] = ir_kernel_contract(p.schedules[0], images[0]);       /* they push the others on */
        const uint32_t first = n;
        for (uint32_t k = 0; k < p.n; k++) kernels[n++] = ir_kernel_contract(p.schedules[k], images[k]);
        assert_true(rt_code_load(n, kernels, &code, error, sizeof error));
        for (uint32_t k = 0; k < p.n; k++) {
            launch(&p, k, &kernels[first + k], N, x, out[round][k]);
        }
        rt_code_unload(code);
    }
    for (uint32_t k = 0; k < p.n; k++) {
        assert_memory_equal(out[0][k], out[1][k], sizeof out[0][k]);
        assert_memory_equal(out[0][k], out[2][k], sizeof out[0][k]);
    }
    for (int i = 0; i < N; i++) assert_true(fabs((double)out[0][0][i] - sin((double)x[i])) < 1e-6);
    base_arena_destroy(p.arena);
}

/* ---- distances, read back from the instructions without the reader's own table */

typedef struct { const unsigned char *at; Elf64_Ehdr head; const Elf64_Shdr *sections; } elf;
static elf elf_of(const cpu_object *o) {
    elf e = {.at = o->bytes};
    memcpy(&e.head, o->bytes, sizeof e.head);
    e.sections = (const Elf64_Shdr *)(const void *)(e.at + e.head.e_shoff);
    return e;
}
static uint32_t word(const unsigned char *at) { return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24; }
static int64_t extended(uint32_t value, int bits) { return (int64_t)((uint64_t)value << (64 - bits)) >> (64 - bits); }

/* What the field at `at` points to, relative to the field. */
static int64_t distance(uint32_t machine, uint32_t type, const unsigned char *at) {
    const uint32_t w = word(at);
    if (machine == EM_X86_64) return extended(w, 32);
    switch (type) {
    case R_AARCH64_ADR_PREL_LO21: return extended((w >> 5 & 0x7ffff) << 2 | (w >> 29 & 3), 21);
    case R_AARCH64_LD_PREL_LO19: return extended(w >> 5 & 0x7ffff, 19) * 4;
    case R_AARCH64_CALL26:
    case R_AARCH64_JUMP26: return extended(w & 0x3ffffff, 26) * 4;
    default: fail_msg("relocation %u is not looked at", type); return 0;
    }
}

/* Code of an object begins the image, so a field of its first section of code stands at the same offset there. */
static uint32_t check_distances(const cpu_object *o, const rt_image *image) {
    const elf e = elf_of(o);
    uint32_t n = 0;
    for (uint32_t k = 0; k < e.head.e_shnum; k++) {
        const Elf64_Shdr *table = &e.sections[k];
        if (table->sh_type != SHT_RELA || !(e.sections[table->sh_info].sh_flags & SHF_EXECINSTR)) continue;
        const Elf64_Rela *r = (const Elf64_Rela *)(const void *)(e.at + table->sh_offset);
        const Elf64_Sym *symbols = (const Elf64_Sym *)(const void *)(e.at + e.sections[table->sh_link].sh_offset);
        for (size_t i = 0; i < table->sh_size / sizeof *r; i++, n++) {
            const Elf64_Sym *s = &symbols[ELF64_R_SYM(r[i].r_info)];
            const Elf64_Shdr *home = &e.sections[s->st_shndx];
            const int64_t field = (int64_t)r[i].r_offset, to = field + distance(e.head.e_machine, (uint32_t)ELF64_R_TYPE(r[i].r_info), (const unsigned char *)image->bytes + field) - r[i].r_addend;
            assert_in_range(to, 0, image->n - 1);
            /* code has relocations of its own in between, so only constants are compared */
            if (!(home->sh_flags & SHF_EXECINSTR)) assert_memory_equal((const char *)image->bytes + to, e.at + home->sh_offset + s->st_value, home->sh_size - s->st_value < 4 ? 1 : 4);
        }
    }
    return n;
}

static void test_distances(void **state) {
    (void)state;
    static const char *const archs[] = {"x86-64", "x86-64-v3", "x86-64-v4", "aarch64"};
    for (size_t a = 0; a < sizeof archs / sizeof *archs; a++) {
        program p = open_program(archs[a]);
        cpu_object objects[MOST];
        rt_image image;
        uint32_t n = 0;
        assert_true(half()->objects(p.target, p.n, p.schedules, NULL, p.arena, objects, p.diags));
        for (uint32_t k = 0; k < p.n; k++) {
            assert_null(cpu_image(objects[k].bytes, objects[k].n, objects[k].entry, p.arena, &image));
            n += check_distances(&objects[k], &image);
        }
        print_message("%s: %u distances\n", archs[a], n);
        assert_true(n > 5);
        base_arena_destroy(p.arena);
    }
}

/* ---- objects that are not what they should be */

static cpu_object copy_of(const program *p, const cpu_object *from) {
    cpu_object o = *from;
    o.bytes = base_copy(p->arena, from->bytes, from->n);
    return o;
}
static const char *refusal(const program *p, const cpu_object *o) {
    rt_image image;
    const char *wrong = cpu_image(o->bytes, o->n, o->entry, p->arena, &image);
    return wrong ? wrong : "";
}
static void assert_refused(const program *p, const cpu_object *o, const char *words) {
    if (!strstr(refusal(p, o), words)) fail_msg("'%s' is not in '%s'", words, refusal(p, o));
}

/* The first relocation of code in an object that may be changed. */
static Elf64_Rela *first_relocation(const cpu_object *o, Elf64_Sym **symbol) {
    const elf e = elf_of(o);
    for (uint32_t k = 0; k < e.head.e_shnum; k++) {
        if (e.sections[k].sh_type != SHT_RELA || !(e.sections[e.sections[k].sh_info].sh_flags & SHF_EXECINSTR)) continue;
        Elf64_Rela *r = (Elf64_Rela *)(uintptr_t)(e.at + e.sections[k].sh_offset);
        *symbol = (Elf64_Sym *)(uintptr_t)(e.at + e.sections[e.sections[k].sh_link].sh_offset) + ELF64_R_SYM(r->r_info);
        return r;
    }
    fail_msg("no relocation");
    return NULL;
}

static void test_refused(void **state) {
    (void)state;
    program p = open_program("x86-64-v3");
    cpu_object objects[MOST], o;
    Elf64_Sym *s;
    assert_true(half()->objects(p.target, p.n, p.schedules, NULL, p.arena, objects, p.diags));
    assert_string_equal(refusal(&p, &objects[0]), "");
    o = copy_of(&p, &objects[0]);
    Elf64_Rela *r = first_relocation(&o, &s);
    r->r_info = ELF64_R_INFO(ELF64_R_SYM(r->r_info), R_X86_64_64);
    assert_refused(&p, &o, "relocation 1 against ");
    r->r_info = ELF64_R_INFO(0xffffff, R_X86_64_PC32);
    assert_refused(&p, &o, "names no symbol");
    o = copy_of(&p, &objects[0]);
    r = first_relocation(&o, &s);
    r->r_offset = UINT64_MAX - 2;
    assert_refused(&p, &o, "outside of its section");
    r->r_offset = 0, r->r_addend = INT64_MAX;
    assert_refused(&p, &o, "out of reach");
    o = copy_of(&p, &objects[0]);
    first_relocation(&o, &s);
    s->st_shndx = SHN_UNDEF;
    assert_refused(&p, &o, "it calls ");
    s->st_shndx = 60000;
    assert_refused(&p, &o, "outside of what is loaded");
    o = copy_of(&p, &objects[0]);
    for (uint32_t k = 0; k < elf_of(&o).head.e_shnum; k++)
        if (elf_of(&o).sections[k].sh_flags & SHF_EXECINSTR) ((Elf64_Shdr *)(uintptr_t)elf_of(&o).sections)[k].sh_flags |= SHF_WRITE;
    assert_refused(&p, &o, "holds more than code and constants");
    o = objects[0];
    o.entry = "another";
    assert_refused(&p, &o, "function another is not in the object");
    ((Elf64_Ehdr *)(uintptr_t)(o = copy_of(&p, &objects[0])).bytes)->e_machine = EM_RISCV;
    assert_refused(&p, &o, "machine 243");
    base_arena_destroy(p.arena);
}

/* Cut anywhere, or with bytes changed: an image or a refusal, and no look beyond the end, behind which there is no memory. */
static void test_hostile(void **state) {
    (void)state;
    program p = open_program("x86-64-v3");
    cpu_object objects[MOST];
    uint32_t seed = 1;
    assert_true(half()->objects(p.target, 1, p.schedules, NULL, p.arena, objects, p.diags));
    const cpu_object *from = &objects[0];
    for (uint32_t round = 0; round < 6000; round++) {
        base_arena *arena = base_arena_create(NULL, NULL);
        const size_t n = round % 3 ? from->n : from->n * round / 6000;
        unsigned char *at = guarded_alloc(n ? n : 1);
        rt_image image;
        memcpy(at, from->bytes, n);
        for (int k = 0; k < 1 + (int)(round % 4) && n > 0 && round % 3; k++) {
            seed = seed * 1664525 + 1013904223;
            /* heads, tables and relocations stand at the two ends */
            const size_t place = seed >> 8 & 1 ? (seed >> 9) % 64 : seed >> 8 & 2 ? n - 1 - (seed >> 10) % (n < 3000 ? n : 3000) : (seed >> 10) % n;
            at[place] = (unsigned char)(seed >> 3);
        }
        const char *wrong = cpu_image(at, n, from->entry, arena, &image);
        assert_true(wrong || (image.n > 0 && image.entry < image.n));
        guarded_free(at, n ? n : 1);
        base_arena_destroy(arena);
    }
    base_arena_destroy(p.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bytes), cmocka_unit_test(test_any_address), cmocka_unit_test(test_distances), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}

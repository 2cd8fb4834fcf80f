/* Modules as bytes: what is read is what was written, and runs; every cut and every changed byte is refused or harmless. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "handmade.h"

typedef struct {
    jmp_buf on_failure;
    base_arena *arena;
    base_diags *diags;
    unsigned char *file;
    size_t n;
} world;

static world *open_world(void) {
    world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    if (setjmp(w->on_failure)) fail_msg("out of memory");
    w->arena = base_arena_create(NULL, &w->on_failure);
    w->diags = base_diags_create(w->arena);
    const void *bytes = rt_module_write(&handmade, w->arena, &w->n);
    w->file = base_copy(w->arena, bytes, w->n);
    return w;
}

static void close_world(world *w) {
    base_arena_destroy(w->arena);
    free(w);
}

static const rt_module *read_fine(world *w) {
    const char *wrong = NULL;
    const rt_module *m = rt_module_read(w->file, w->n, w->arena, &wrong);
    if (!m) fail_msg("refused: %s", wrong);
    return m;
}

static const char *refusal(world *w, size_t n) {
    const char *wrong = NULL;
    assert_null(rt_module_read(w->file, n, w->arena, &wrong));
    assert_non_null(wrong);
    return wrong;
}

static bool run_here(void *self, const attn_job *job) {
    (void)self;
    job->fn(job->frame, 0, job->items, NULL);
    return true;
}

static int one(void *self) {
    (void)self;
    return 1;
}

/* ---- */

static void is_read_back(void **state) {
    world *w = open_world();
    size_t n;
    (void)state;
    const rt_module *m = read_fine(w);
    const void *again = rt_module_write(m, w->arena, &n);
    assert_int_equal(n, w->n);
    assert_memory_equal(again, w->file, n);
    const rt_entry *e = &m->graphs[0].entries[1];
    assert_null(e->name);
    assert_string_equal(m->graphs[0].entries[0].name, "N = 2");
    assert_int_equal(((uintptr_t)e->kernels[3].image.bytes - (uintptr_t)w->file) % 64, 0);
    assert_string_equal(m->params[0].storage, "w.{l}");
    assert_string_equal(e->checks[0].position_names[0], "m");
    close_world(w);
}

typedef struct { rt_model model; int64_t y[3]; bool made, ran; uint32_t entry; } outcome;

static outcome run(world *w, const rt_module *m, int64_t n, const int64_t *weights) {
    static const rt_executor serial = {sizeof serial, NULL, run_here, one};
    outcome o = {.model = {.module = m, .executor = serial, .allocator = base_allocator_or_malloc(NULL)}};
    int64_t x[3] = {1, 2, 3}, two = 2;
    rt_array p, tensors[3];
    rt_array_dense(&p, RT_I64, 1, &two, (void *)(uintptr_t)weights);
    rt_given given = {"w", &p};
    rt_weights all = {&given, 1, NULL};
    handmade_load(m);
    o.made = rt_model_make(&o.model, &all, w->arena, w->arena, w->diags);
    if (o.made) {
        rt_call c = {.instance = &o.model.graphs[0], .arena = w->arena, .diags = w->diags, .tensors = tensors};
        rt_array_dense(&tensors[0], RT_I64, 1, &n, x);
        tensors[1] = o.model.graphs[0].params[1];
        rt_array_dense(&tensors[2], RT_I64, 1, &n, o.y);
        o.ran = rt_bind(&c) && rt_run(&c);
        o.entry = c.entry;
        rt_release(&c);
    }
    rt_model_release(&o.model);
    return o;
}

/* The set-up has run once for both entries: they share its result. */
static void runs(void **state) {
    static const int64_t weights[] = {7, 8};
    world *w = open_world();
    (void)state;
    const rt_module *m = read_fine(w);
    outcome o = run(w, m, 3, weights);
    assert_true(o.made && o.ran && o.entry == 1);
    assert_true(o.y[0] == 58 && o.y[1] == 59 && o.y[2] == 60);
    const rt_fixed *a = o.model.graphs[0].fixed[0], *b = o.model.graphs[0].fixed[1];
    assert_ptr_equal(a[3].at, b[3].at);
    o = run(w, m, 2, weights);
    assert_true(o.made && o.ran && o.entry == 0 && o.y[1] == 59);
    close_world(w);
}

static void a_check_of_the_setup_fails(void **state) {
    static const int64_t weights[] = {7, 99};
    world *w = open_world();
    (void)state;
    outcome o = run(w, read_fine(w), 3, weights);
    assert_false(o.made);
    assert_int_equal(w->diags->first->message, BASE_MSG_INDEX_RANGE);
    assert_non_null(strstr(w->diags->first->text, "m = 1"));
    close_world(w);
}

static void facts_are_tested(void **state) {
    static const int64_t weights[] = {7, 8};
    world *w = open_world();
    (void)state;
    outcome o = run(w, read_fine(w), 0, weights);
    assert_true(o.made && !o.ran);
    assert_int_equal(w->diags->first->message, BASE_MSG_FACT_FAILS);
    close_world(w);
}

static void every_cut_is_refused(void **state) {
    world *w = open_world();
    (void)state;
    for (size_t n = 0; n < w->n; n++) refusal(w, n);
    /* Sealed again, so that the checksum has nothing against it. */
    for (size_t n = 64; n < w->n; n++) {
        unsigned char *cut = base_copy(w->arena, w->file, n);
        const char *wrong;
        rt_module_seal(cut, n);
        assert_null(rt_module_read(cut, n, w->arena, &wrong));
    }
    close_world(w);
}

static void every_changed_byte_is_seen(void **state) {
    world *w = open_world();
    (void)state;
    for (size_t k = 0; k < w->n; k++) {
        if (k >= 32 && k < 64) continue;         /* the rest of the head is nobody's */
        w->file[k] ^= 0x10;
        refusal(w, w->n);
        w->file[k] ^= 0x10;
    }
    read_fine(w);
    close_world(w);
}

/* One rule after the other is broken in a copy of the structs; the verifier names the place. */
static const char *broken(world *w, void (*change)(rt_module *m)) {
    rt_module *m = (rt_module *)(uintptr_t)read_fine(w);
    assert_null(rt_module_wrong(m, w->arena));
    change(m);
    const char *wrong = rt_module_wrong(m, w->arena);
    assert_non_null(wrong);
    return wrong;
}

static rt_entry *entry(rt_module *m) { return (rt_entry *)(uintptr_t)&m->graphs[0].entries[0]; }
static rt_step *step(rt_module *m, uint32_t k) { return (rt_step *)(uintptr_t)&entry(m)->steps[k]; }
static void no_such_kernel(rt_module *m) { step(m, 0)->kernel = 4; }
static void no_such_buffer(rt_module *m) { *(uint32_t *)(uintptr_t)step(m, 5)->buffers = 8; }
static void jump_out_of_the_setup(rt_module *m) { step(m, 2)->target = 6; }
static void jump_beyond_the_end(rt_module *m) { step(m, 7)->target = 12; }
static void next_without_loop(rt_module *m) { step(m, 10)->target = 10; }
static void write_an_input(rt_module *m) { step(m, 6)->buffers = step(m, 6)->buffers + 1, step(m, 6)->n_buffers = 1, step(m, 6)->kind = RT_STEP_ZERO; }
static void setup_reads_an_input(rt_module *m) { entry(m)->n_setup = 7; }
static void more_ops_than_there_are(rt_module *m) { step(m, 7)->first_op = UINT32_MAX; }
static void no_such_slot(rt_module *m) { entry(m)->workspace = entry(m)->n_slots; }
static void no_such_operation(rt_module *m) { ((rt_int_op *)(uintptr_t)entry(m)->bind)[3].op = RT_N_INTS; }
static void no_such_axis(rt_module *m) { ((rt_int_op *)(uintptr_t)m->graphs[0].bind)[0].b = 1; }
static void shape_of_an_output(rt_module *m) { ((rt_int_op *)(uintptr_t)m->graphs[0].bind)[0].a = 2; }
static void no_such_fact(rt_module *m) { ((rt_int_op *)(uintptr_t)m->graphs[0].bind)[2].literal = -1; }
static void no_such_type(rt_module *m) { ((rt_tensor_info *)(uintptr_t)m->graphs[0].tensors)[0].dtype = RT_N_DTYPES; }
static void no_such_param(rt_module *m) { ((rt_tensor_info *)(uintptr_t)m->graphs[0].tensors)[1].index = 1; }
static void entry_behind_the_code(rt_module *m) { ((rt_kernel *)(uintptr_t)entry(m)->kernels)[0].image.entry = 64; }
static void another_version(rt_module *m) { m->abi++; }
static void a_newer_feature(rt_module *m) { m->features = RT_FEATURE_STATE; }

static void the_verifier_names_the_place(void **state) {
    static const struct { void (*change)(rt_module *m); const char *says; } all[] = {
        {no_such_kernel, "graph g, step 0: a kernel"}, {no_such_buffer, "graph g, step 5: a buffer"}, {jump_out_of_the_setup, "graph g, step 2: a jump"},
        {jump_beyond_the_end, "graph g, step 7: a jump"}, {next_without_loop, "graph g, step 10: a turn"}, {write_an_input, "graph g, step 6: it writes"},
        {setup_reads_an_input, "graph g, step 5: a buffer"}, {more_ops_than_there_are, "graph g, step 7: operations"}, {no_such_slot, "graph g, entry 0: a slot"},
        {no_such_operation, "graph g, operation 3: an operation"}, {no_such_axis, "graph g, operation 0: an axis"}, {shape_of_an_output, "graph g, operation 0: an axis"},
        {no_such_fact, "graph g, operation 2: a fact"}, {no_such_type, "graph g, tensor 0: a type"}, {no_such_param, "graph g, tensor 1: a param"},
        {entry_behind_the_code, "graph g, kernel 0: there is no code"}, {another_version, "another version"}, {a_newer_feature, "a newer version"}};
    (void)state;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
        world *w = open_world();
        const char *wrong = broken(w, all[k].change);
        if (!strstr(wrong, all[k].says)) fail_msg("'%s' does not say '%s'", wrong, all[k].says);
        close_world(w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_read_back),     cmocka_unit_test(runs),
        cmocka_unit_test(facts_are_tested), cmocka_unit_test(a_check_of_the_setup_fails),
        cmocka_unit_test(every_cut_is_refused), cmocka_unit_test(every_changed_byte_is_seen),
        cmocka_unit_test(the_verifier_names_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Columns in parts: which maps the pass `split` cuts at which sizes, and that the graph it leaves means what it meant. */
#include <string.h>
#include "passes.h"
#include <cmocka.h>

static const ir_target machine = {.name = "test", .cpu = "", .features = "", .lanes = 8, .regs = 16, .cores = 2, .matmul_rate = 5e10, .vector_rate = 5e10,
                                  .mem_bytes_per_s = 2e10, .launch_s = 2e-6, .overlap = 0.75, .value_tile_bytes = 1 << 16, .attend_rate = 1e11,
                                  .fma_latency = 4, .fma_ports = 2, .load_ports = 2, .l2_bytes = 1 << 20};
static const char text[] =
    "graph g (S, T, D) {\n"
    "  q: f32[S,D] = input\n"
    "  k: f32[T,D] = input\n"
    "  v: f32[T,D] = input\n"
    "  o[i in 0..S, e in 0..D]: f32 =\n"
    "    let @1{j in 0..T} = sum(d in 0..D: q[i,d]*k[j,d]);\n"
    "    let @2 = max(j in 0..T where j + S <= i + T: @1{j});\n"
    "    sum(j in 0..T where j + S <= i + T: exp(@1{j} - @2)*v[j,e])/sum(j in 0..T where j + S <= i + T: exp(@1{j} - @2))\n"
    "  output o\n"
    "}\n";

typedef struct { base_arena *arena; base_diags *diags; pass_state state; } fixture;

/* Up to the pass; s, t, d: representative sizes. */
static ir_unit *compile(fixture *f, const ir_target *target, int64_t s, int64_t t, int64_t d) {
    ir_graph *g = ir_graph_read(f->arena, f->diags, base_file_add(f->diags, "g", text, sizeof text - 1));
    assert_non_null(g);
    int64_t *sizes = BASE_ARRAY(f->arena, g->unit->dim.n + 1, int64_t);
    for (ir_dim i = 1; i < g->unit->dim.n; i++) {
        const char name = *g->unit->dim.at[i].name;
        sizes[i] = name == 'S' ? s : name == 'T' ? t : d;
    }
    f->state = (pass_state){.arena = f->arena, .diags = f->diags, .target = target, .representative = sizes, .graph = g};
    if (!pass_run_all(&f->state, &(pass_options){.stop_after = "split"})) fail_msg("%s", f->diags->first ? f->diags->first->text : "no report");
    return g->unit;
}
static void count(void *env, const ir_node *n, uint32_t depth) {
    (void)depth;
    *(uint32_t *)env += n->form == IR_FORM_MAP;
}
static uint32_t maps_at(fixture *f, int64_t s, int64_t t, int64_t d) {
    uint32_t n = 0;
    compile(f, &machine, s, t, d);
    ir_graph_each(f->state.graph, count, &n);
    return n;
}

static void test_few_rows_and_many_columns_are_cut(void **state) {
    fixture *f = *state;
    assert_int_equal(maps_at(f, 1, 65536, 64), 2);
    assert_int_equal(f->state.moves.n, 1);
    assert_non_null(strstr(f->state.moves.at[0].text, "columns of o in parts"));
    assert_int_equal(maps_at(f, 16, 4096, 64), 2);
}
static void test_other_sizes_are_left(void **state) {
    assert_int_equal(maps_at(*state, 1, 1023, 64), 1);           /* one part */
    assert_int_equal(maps_at(*state, 2048, 65536, 64), 1);       /* items enough */
    assert_int_equal(maps_at(*state, 1, 1024, 1), 1);            /* a launch costs more */
}

/* ---- the meaning, where parts are empty, short, and hidden by the mask */

static void fill(const ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    for (uint32_t i = 0; i < g->body.n; i++) {
        const ir_node *n = g->body.at[i];
        if (n->form != IR_FORM_INPUT) continue;
        const ir_type *type = &g->unit->value.at[n->source.value].type;
        int64_t dim[IR_RANK];
        assert_true(ir_type_shape(g->unit, frame, type, dim, diags));
        ir_tensor t = ir_tensor_new(arena, type->dtype, type->rank, dim);
        for (int64_t e = 0; e < t.n; e++) t.f[e] = (double)((e * 37 + 11 * i) % 29 - 14) / 4;
        frame->value[n->source.value] = t;
    }
}
/* By the kernel that the map lowers to: in a map of several results those of fewer axes are stored once there. */
typedef struct { ir_unit *u; base_arena *arena; base_diags *diags; } runner;
static bool run_map(void *env, const ir_node *map, ir_frame *frame, const int64_t *counters) {
    const runner *r = env;
    const ir_kernel *k = pass_lower_node(r->u, map);
    return k && ir_kernel_run(k, frame, counters, IR_INTERP_PLAIN, r->arena, r->diags);
}
static ir_tensor result(const ir_graph *g, const int64_t size[3], base_arena *arena, base_diags *diags) {
    ir_frame frame = ir_frame_create(g->unit, arena);
    for (ir_dim i = 1; i < g->unit->dim.n; i++) frame.dim[i] = size[strchr("STD", *g->unit->dim.at[i].name) - "STD"];
    fill(g, &frame, arena, diags);
    runner r = {g->unit, arena, diags};
    if (!ir_graph_eval_with(g, &frame, arena, diags, run_map, &r)) fail_msg("%s", diags->first ? diags->first->text : "no report");
    return frame.value[g->outputs[0].value];
}
static void test_the_graph_means_the_same(void **state) {
    fixture *f = *state;
    static const int64_t sizes[][3] = {{1, 1, 3}, {2, 3, 4}, {3, 2, 4}, {1, 7, 5}, {4, 13, 3}, {9, 5, 2}, {0, 3, 2}, {1, 64, 1}};
    ir_target target = machine;
    target.split_columns = 1;
    ir_graph *whole = ir_graph_read(f->arena, f->diags, base_file_add(f->diags, "g", text, sizeof text - 1));
    compile(f, &target, 1, 8, 8);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const ir_tensor a = result(whole, sizes[i], f->arena, f->diags), b = result(f->state.graph, sizes[i], f->arena, f->diags);
        assert_int_equal(a.n, b.n);
        for (int64_t e = 0; e < a.n; e++) {
            assert_int_equal(isnan(a.f[e]), isnan(b.f[e]));
            if (!isnan(a.f[e])) assert_true(fabs(a.f[e] - b.f[e]) <= 1e-5 * (1 + fabs(a.f[e])));
        }
    }
}

static int set_up(void **state) {
    static fixture f;
    f.arena = base_arena_create(NULL, NULL);
    f.diags = base_diags_create(f.arena);
    *state = &f;
    return 0;
}
static int tear_down(void **state) {
    base_arena_destroy(((fixture *)*state)->arena);
    return 0;
}
int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_few_rows_and_many_columns_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_sizes_are_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_graph_means_the_same, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Products in panels: which kernels the pass `schedule` takes for them, what it adds to graph and kernels, and that a schedule which breaks a rule is refused. */
#include <string.h>
#include "passes.h"
#include <cmocka.h>

static const ir_target panels = {.name = "test", .cpu = "", .features = "", .lanes = 8, .regs = 16, .cores = 2, .matmul_rate = 5e10, .vector_rate = 5e10,
                                 .mem_bytes_per_s = 2e10, .launch_s = 2e-6, .overlap = 0.75, .value_tile_bytes = 1 << 16,
                                 .contract_rate = 1e11, .fma_latency = 4, .fma_ports = 2, .load_ports = 2, .l2_bytes = 1 << 20};

/* q: split heads, weights of a layer; t: a guard; s: a batch, columns that the data makes. */
static const char text[] =
    "graph g (L, B, S, H, D, E) {\n"
    "  x: f32[B,S,E] = input\n"
    "  z0: f32[B,S,S] = input\n"
    "  n: i32[B] = input\n"
    "  w: f32[L,H,D,E] = param \"w\"\n"
    "  loop l in 0..L (y = r from x, z = m from z0) {\n"
    "    q[b in 0..B, i in 0..S, h in 0..H, d in 0..D]: f32 = tanh(sum(e in 0..E: w[l,h,d,e]*r[b,i,e]))\n"
    "    t[b in 0..B, i in 0..S, h in 0..H, d in 0..D]: f32 = tanh(sum(e in 0..E where e < n[b]: w[l,h,d,e]*q[b,i,h,d]*r[b,i,e]))\n"
    "    s[b in 0..B, i in 0..S, j in 0..S]: f32 = m[b,i,j] + sum(e in 0..E: r[b,i,e]*r[b,j,e])\n"
    "    u[b in 0..B, i in 0..S, e in 0..E]: f32 = r[b,i,e] + sum(h in 0..H, d in 0..D: w[l,h,d,e]*t[b,i,h,d])\n"
    "    yield u, s\n"
    "  }\n"
    "  output y, z\n"
    "}\n";

typedef struct { base_arena *arena; base_diags *diags; pass_state state; } fixture;

static void compile(fixture *f, const ir_target *target) {
    ir_graph *g = ir_graph_read(f->arena, f->diags, base_file_add(f->diags, "g", text, sizeof text - 1));
    assert_non_null(g);
    f->state = (pass_state){.arena = f->arena, .diags = f->diags, .target = target, .graph = g};
    if (!pass_run_all(&f->state, &(pass_options){.stop_after = "memory"})) fail_msg("%s", f->diags->first ? f->diags->first->text : "no report");
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
static ir_schedule *schedule_of(const fixture *f, const char *name) {
    for (uint32_t i = 0; i < f->state.n_kernels; i++)
        if (!strcmp(f->state.kernels[i]->name, name)) return f->state.schedules[i];
    fail_msg("no kernel %s", name);
    return NULL;
}
static uint32_t product_of(const ir_schedule *s) {
    uint32_t i = 0;
    while (i < s->kernel->n_lets && !s->lets[i].panels) i++;
    assert_true(i < s->kernel->n_lets);
    return i;
}

/* Does the map stand in the outermost block, before the loop? */
static bool stands_first(const fixture *f, const char *name) {
    const ir_graph *g = f->state.graph;
    for (uint32_t i = 0; i < g->body.n && g->body.at[i]->form != IR_FORM_LOOP; i++) {
        const ir_node *n = g->body.at[i];
        if (n->form == IR_FORM_MAP && !strcmp(g->unit->value.at[n->map.results[0].store.result].name, name)) return true;
    }
    return false;
}

static void heads_and_batches_are_walked_as_one(void **state) {
    fixture *f = *state;
    compile(f, &panels);
    const ir_schedule *s = schedule_of(f, "q");
    assert_int_equal(s->form, IR_CONTRACT);
    assert_int_equal(s->kernel->axes[s->row_axis].role, IR_ROW);
    for (uint32_t a = 0; a < s->kernel->n_axes; a++)
        if (s->kernel->axes[a].role != IR_FEAT) assert_true(s->axes[a].extent);
    ir_unit *u = s->kernel->unit;
    assert_int_equal(s->axes[s->lane_axis].extent, ir_mul(u, s->kernel->axes[s->lane_axis - 1].extent, s->kernel->axes[s->lane_axis].extent));
}
static void parameters_are_packed_before_the_loop_and_data_in_it(void **state) {
    fixture *f = *state;
    compile(f, &panels);
    assert_true(stands_first(f, "w_panels"));
    assert_int_equal(schedule_of(f, "s")->form, IR_CONTRACT);
    assert_false(stands_first(f, "r_panels"));
}
static void a_guard_stays_with_the_nest_and_says_so(void **state) {
    fixture *f = *state;
    compile(f, &panels);
    assert_int_equal(schedule_of(f, "t")->form, IR_NEST);
    bool said = false;
    for (uint32_t i = 0; i < f->state.remarks.n; i++) said |= strstr(f->state.remarks.at[i].text, "the products of t are walked as a loop nest: a guard hides products") != NULL;
    assert_true(said);
}
static void tiles_of_the_target_are_taken(void **state) {
    fixture *f = *state;
    ir_target odd = panels;
    odd.contract_rows = 5;
    odd.contract_vectors = 3;
    odd.contract_tile = 11;
    odd.contract_block = 7;
    compile(f, &odd);
    const ir_schedule *s = schedule_of(f, "q");
    assert_int_equal(s->micro_rows, 5);
    assert_int_equal(s->col_block, 24);
    assert_int_equal(s->row_tile, 11);
    assert_int_equal(s->k_block, 7);
}
static void a_target_without_the_template_has_none_of_it(void **state) {
    fixture *f = *state;
    ir_target plain = panels;
    plain.contract_rate = 0;
    compile(f, &plain);
    for (uint32_t i = 0; i < f->state.n_kernels; i++) assert_int_not_equal(f->state.schedules[i]->form, IR_CONTRACT);
}

/* ---- what the emitter cannot take */

#define BROKEN(name, change, rule)                                                                        \
    static void name(void **state) {                                                                      \
        fixture *f = *state;                                                                              \
        compile(f, &panels);                                                                              \
        ir_schedule *s = schedule_of(f, "q");                                                             \
        change;                                                                                           \
        assert_false(ir_schedule_verify(s));                                                              \
        if (!strstr(f->diags->first->text, rule)) fail_msg("'%s' instead of '%s'", f->diags->first->text, rule); \
    }
BROKEN(a_panel_of_another_width, s->micro_cols++, "a panel that register tiles do not fill")
BROKEN(more_rows_than_the_item_has, s->micro_rows = s->row_tile + 1, "a tile of more rows than there are")
BROKEN(an_item_inside_a_panel, s->axes[s->lane_axis].tile++, "an item that begins inside a panel")
BROKEN(panels_without_rows, s->row_axis = -1, "panels without rows")
BROKEN(a_product_without_panels, s->lets[product_of(s)].panels = 0, "a product without panels")
BROKEN(panels_that_no_launch_hands_over, s->n_panels = 0, "panels that are no buffer of the frame")
BROKEN(a_block_of_less_than_nothing, s->k_block = -1, "a block without features")

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(heads_and_batches_are_walked_as_one), TEST(parameters_are_packed_before_the_loop_and_data_in_it), TEST(a_guard_stays_with_the_nest_and_says_so),
        TEST(tiles_of_the_target_are_taken), TEST(a_target_without_the_template_has_none_of_it), TEST(a_panel_of_another_width),
        TEST(more_rows_than_the_item_has), TEST(an_item_inside_a_panel), TEST(panels_without_rows), TEST(a_product_without_panels),
        TEST(panels_that_no_launch_hands_over), TEST(a_block_of_less_than_nothing),
    };
    return cmocka_run_group_tests_name("contract", tests, NULL, NULL);
}

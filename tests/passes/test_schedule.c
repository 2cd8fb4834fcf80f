/* Schedules: what the pass makes keeps the rules that emitters rely on, and a schedule that breaks one of them is refused by its name. */
#include <string.h>
#include "passes.h"
#include <cmocka.h>

static const ir_target wide = {.name = "test", .cpu = "", .features = "", .lanes = 8, .regs = 32, .cores = 1, .matmul_rate = 1e11, .vector_rate = 5e10,
                               .mem_bytes_per_s = 2e10, .launch_s = 2e-6, .overlap = 0.75, .value_tile_bytes = 1 << 16};

/* An attention with a packed row factor: a tiled term, folds with a reference, an acc. The same where each row has a width of its own. Then a map, and a store whose
 * order matters. */
static const char text[] =
    "graph g (S, T, D, E) {\n"
    "  q: f32[S,D] = input\n"
    "  k: f32[T,D] = input\n"
    "  v: f32[T,E] = input\n"
    "  at: i32[S] = input\n"
    "  apart: f32[T,2,D] = input\n"
    "  o[i in 0..S, e in 0..E]: f32 =\n"
    "    let @1{j in 0..T} = sum(d in 0..D: (q[i,d] + 1.0)*k[j,d]);\n"
    "    sum(j in 0..T: exp(@1{j} - max(n in 0..T: @1{n}))/sum(m in 0..T: exp(@1{m} - max(n in 0..T: @1{n})))*v[j,e])\n"
    "  p[i in 0..S, e in 0..E]: f32 =\n"
    "    let @1{j in 0..T} = sum(d in 0..D where d < i + 1: (q[i,d] + 1.0)*k[j,d]);\n"
    "    sum(j in 0..T: exp(@1{j} - max(n in 0..T: @1{n}))/sum(m in 0..T: exp(@1{m} - max(n in 0..T: @1{n})))*v[j,e])\n"
    "  w[i in 0..S]: f32 = max(j in 0..T: sum(d in 0..D: q[i,d]*apart[j,0,d]))\n"
    "  y[i in 0..S, d in 0..D]: f32 = q[i,d] + 1.0\n"
    "  z[i in 0..S: at[i]]: f32[T] += q[i,0]\n"
    "  output o, p, w, y, z\n"
    "}\n";

/* attention: rows with a width of their own, in the nest; attend: many rows that share their keys; few: a few of these; pairs: a sum that is no product. */
typedef struct { base_arena *arena; base_diags *diags; ir_graph *g; ir_schedule *attention, *attend, *pairs, *few, *map, *added; } fixture;

static ir_schedule *schedule_at(const ir_graph *g, const char *name, const ir_target *target, int64_t rows) {
    int64_t *sizes = BASE_ARRAY(g->unit->arena, g->unit->dim.n, int64_t);
    for (uint32_t d = 1; d < g->unit->dim.n; d++) sizes[d] = strcmp(g->unit->dim.at[d].name, "S") ? 0 : rows;
    for (uint32_t i = 0; i < g->body.n; i++) {
        const ir_node *n = g->body.at[i];
        if (n->form != IR_FORM_MAP || strcmp(g->unit->value.at[n->map.results[0].store.result].name, name)) continue;
        return pass_schedule_kernel(pass_lower_node(g->unit, n), target, sizes);
    }
    fail_msg("no map %s", name);
    return NULL;
}
static ir_schedule *schedule_of(const ir_graph *g, const char *name, const ir_target *target) { return schedule_at(g, name, target, 2); }
static int set_up(void **state) {
    static fixture f;
    f.arena = base_arena_create(NULL, NULL);
    f.diags = base_diags_create(f.arena);
    f.g = ir_graph_read(f.arena, f.diags, base_file_add(f.diags, "g", text, sizeof text - 1));
    if (!f.g) return -1;
    f.attention = schedule_of(f.g, "p", &wide);
    f.few = schedule_at(f.g, "o", &wide, 3);
    f.attend = schedule_at(f.g, "o", &wide, 0);
    f.pairs = schedule_at(f.g, "p", &wide, 0);
    f.map = schedule_of(f.g, "y", &wide);
    f.added = schedule_of(f.g, "z", &wide);
    *state = &f;
    return 0;
}
static int tear_down(void **state) {
    base_arena_destroy(((fixture *)*state)->arena);
    return 0;
}

static void refused(fixture *f, const ir_schedule *s, const char *rule) {
    assert_false(ir_schedule_verify(s));
    assert_int_equal(f->diags->first->message, BASE_MSG_INTERNAL_IR);
    if (!strstr(f->diags->first->text, rule)) fail_msg("'%s' instead of '%s'", f->diags->first->text, rule);
}
static uint32_t let_of(const ir_schedule *s, uint8_t kind) {
    uint32_t i = 0;
    while (i < s->kernel->n_lets && s->kernel->lets[i].kind != kind) i++;
    assert_true(i < s->kernel->n_lets);
    return i;
}
static uint32_t axis_with(const ir_schedule *s, uint8_t role) {
    uint32_t a = 0;
    while (a < s->kernel->n_axes && s->kernel->axes[a].role != role) a++;
    assert_true(a < s->kernel->n_axes);
    return a;
}

/* ---- what the pass makes */

static void good_schedules_pass(void **state) {
    fixture *f = *state;
    assert_true(ir_schedule_verify(f->attention));
    assert_true(ir_schedule_verify(f->attend));
    assert_true(ir_schedule_verify(f->pairs));
    assert_true(ir_schedule_verify(f->few));
    assert_true(ir_schedule_verify(f->map));
    assert_true(ir_schedule_verify(f->added));
    assert_null(f->diags->first);
}
static void the_attention_has_what_the_rules_are_about(void **state) {
    const ir_schedule *s = ((fixture *)*state)->attention;
    const ir_let_schedule *term = &s->lets[let_of(s, IR_LET_TERM)], *acc = &s->lets[let_of(s, IR_LET_ACC)];
    assert_int_equal(s->lanes, IR_COL);
    assert_true(s->row_axis >= 0 && s->row_tile > 1);
    assert_true(term->kept && term->packed);
    assert_true(acc->kept && acc->moved_at && s->kernel->lets[let_of(s, IR_LET_ACC)].ref >= 0);
}
static void attention_over_many_rows_has_them_in_its_lanes(void **state) {
    const fixture *f = *state;
    const ir_schedule *s = f->attend;
    assert_int_equal(f->attention->form, IR_NEST);
    assert_int_equal(s->form, IR_ATTEND);
    assert_int_equal(s->kernel->axes[s->lane_axis].role, IR_ROW);
    assert_int_equal(s->row_tile, s->micro_cols * s->width);
    assert_int_equal(s->lets[let_of(s, IR_LET_ACC)].weight_at, s->lets[let_of(s, IR_LET_TERM)].at);
    assert_false(s->lets[let_of(s, IR_LET_ACC)].col_at);                          /* v is read where it lies */
}
/* All rows in one item, in registers at once; the row factor in whole vectors. */
static void attention_over_few_rows_has_them_in_registers(void **state) {
    const fixture *f = *state;
    const ir_schedule *s = f->few;
    assert_int_equal(s->form, IR_FEW);
    assert_int_equal(s->lanes, IR_COL);
    assert_int_equal(s->kernel->axes[s->row_axis].role, IR_ROW);
    assert_int_equal(s->row_tile, 3);
    assert_int_equal(s->micro_rows, 3);
    assert_true(s->lets[let_of(s, IR_LET_TERM)].packed);
    assert_int_equal(s->lets[let_of(s, IR_LET_TERM)].lanes, IR_FEAT);
    assert_int_equal(schedule_at(f->g, "o", &wide, 5)->form, IR_FEW);             /* of 8 lanes */
    assert_int_equal(schedule_at(f->g, "o", &wide, 6)->form, IR_ATTEND);
}
/* Rows are shared out evenly over items, and those of an item over register tiles. */
static void few_rows_are_shared_out_evenly(void **state) {
    const fixture *f = *state;
    ir_target long_vectors = wide;
    long_vectors.lanes = 16;
    const ir_schedule *nine = schedule_at(f->g, "o", &long_vectors, 9), *seven = schedule_at(f->g, "o", &long_vectors, 7), *one = schedule_at(f->g, "o", &long_vectors, 1);
    assert_int_equal(nine->row_tile, 5);
    assert_int_equal(nine->micro_rows, 3);
    assert_int_equal(seven->row_tile, 7);
    assert_int_equal(seven->micro_rows, 4);
    assert_int_equal(seven->micro_cols, 4);
    assert_int_equal(one->row_tile, 1);
    assert_int_equal(one->micro_cols, 4);                                          /* keys that follow one another */
    assert_int_equal(schedule_at(f->g, "w", &long_vectors, 1)->micro_cols, 8);
    assert_int_equal(schedule_at(f->g, "w", &long_vectors, 7)->micro_cols, 4);
}
/* A guard of rows and features: what varies over rows alone is computed once per item, keys are read where they lie. */
static ir_pair_operand *operand_of(const ir_schedule *s, uint8_t side) {
    const ir_let_schedule *term = &s->lets[let_of(s, IR_LET_TERM)];
    for (uint32_t i = 0; i < term->n_operands; i++)
        if (term->operands[i].side == side) return &term->operands[i];
    fail_msg("no such operand");
    return NULL;
}
static void a_sum_over_pairs_has_operands(void **state) {
    const ir_schedule *s = ((fixture *)*state)->pairs;
    const ir_let_schedule *term = &s->lets[let_of(s, IR_LET_TERM)];
    assert_int_equal(s->form, IR_ATTEND);
    assert_true(term->kept && !term->factor_at);
    assert_int_equal(term->n_operands, 2);
    assert_true(operand_of(s, IR_ROW)->at && !operand_of(s, IR_COL)->at);
}
/* What the call's tests force is what they get. */
static void tiles_of_the_target_are_taken(void **state) {
    const fixture *f = *state;
    ir_target odd = wide;
    odd.tile_keys = 3;
    odd.tile_vectors = 1;
    odd.tile_block = 5;
    const ir_schedule *s = schedule_at(f->g, "o", &odd, 0);
    assert_int_equal(s->micro_rows, 3);
    assert_int_equal(s->row_tile, odd.lanes);
    assert_int_equal(s->col_block, 5);
    assert_true(ir_schedule_verify(s));
}
static void references_of_the_target_are_taken(void **state) {
    const fixture *f = *state;
    ir_target exact = wide;
    exact.reference = IR_REF_EXACT;
    const ir_schedule *follows = schedule_at(f->g, "o", &exact, 0);
    assert_true(f->attend->lets[f->attend->kernel->lets[let_of(f->attend, IR_LET_ACC)].ref].lags);
    assert_false(follows->lets[follows->kernel->lets[let_of(follows, IR_LET_ACC)].ref].lags);
}
/* Two lanes (f64 where a vector has 128 bits) and many registers: no more sums per row than there are lanes to hold them. */
static void tiles_fit_narrow_vectors(void **state) {
    fixture *f = *state;
    ir_target narrow = wide;
    narrow.lanes = 2;
    const ir_schedule *s = schedule_of(f->g, "o", &narrow);
    assert_int_equal(s->micro_cols, 2);
    assert_true(ir_schedule_verify(s));
}
static void an_order_that_matters_is_kept(void **state) {
    const ir_schedule *s = ((fixture *)*state)->added;
    assert_true(ir_interval_of(s->kernel->unit, s->items).hi == 1);              /* one item, or none */
    assert_int_equal(s->width, 1);
}

/* ---- what emitters cannot take */

#define BROKEN(name, which, change, rule)                  \
    static void name(void **state) {                       \
        fixture *f = *state;                               \
        ir_schedule *s = f->which;                         \
        change;                                            \
        refused(f, s, rule);                               \
    }
BROKEN(a_width_of_three, attention, s->width = 3, "power of two")
BROKEN(lanes_on_a_row, attention, s->lane_axis = s->row_axis, "lanes along columns on an axis that is none")
BROKEN(lanes_on_no_axis, attention, s->lane_axis = 99, "an axis that does not exist")
BROKEN(lanes_of_no_role, map, s->lanes = IR_VAL, "lanes along a role that has none")
BROKEN(lanes_without_a_role, map, s->lanes = 0, "lanes without a role")
BROKEN(a_block_that_vectors_do_not_fill, attention, s->col_block = 100, "a block that vectors do not fill")
BROKEN(more_rows_than_registers, attention, s->micro_rows = 16, "a tile of more rows than there are")
BROKEN(more_columns_than_lanes, attention, (s->width = 2, s->micro_cols = 4), "a tile of more columns than lanes")
BROKEN(a_row_tile_that_items_do_not_have, attention, s->row_tile = 64, "an item's rows are not its tile")
BROKEN(a_row_tile_on_a_column, attention, s->row_axis = s->lane_axis, "the axis of the row tile is no row")
BROKEN(a_row_tile_without_columns_in_lanes, map, s->row_tile = 4, "a row tile without lanes along columns")
BROKEN(a_tile_without_indices, map, s->axes[s->lane_axis].tile = 0, "a tile without indices")
BROKEN(values_as_items, attention, s->axes[axis_with(s, IR_VAL)].walk = IR_WALK_ITEM, "a value or feature axis is no item")
BROKEN(swept_columns_as_items, attention, s->axes[axis_with(s, IR_COL)].walk = IR_WALK_ITEM, "a column that sweeps run over")
BROKEN(a_serial_store_cut_in_items, added, s->axes[0].walk = IR_WALK_ITEM, "a serial store")
BROKEN(items_that_depend_on_an_axis, attention, s->items = ir_var_expr(f->g->unit, s->kernel->axes[0].var), "items and costs are known")
BROKEN(a_line_in_another_place, attention, s->lets[let_of(s, IR_LET_TERM)].place = IR_PLACE_CONST, "a line is not where its rank says")
BROKEN(a_fold_that_is_lost, attention, s->lets[let_of(s, IR_LET_FOLD)].kept = false, "a fold that is not kept")
BROKEN(a_term_without_a_place, attention, s->lets[let_of(s, IR_LET_TERM)].at = 0, "a kept line without a place")
BROKEN(a_sweep_without_a_column, attention, s->lets[let_of(s, IR_LET_ACC)].col_axis = -1, "a sweep without a column")
BROKEN(a_reference_without_a_place, attention, s->lets[let_of(s, IR_LET_ACC)].moved_at = 0, "a reference without a place")
BROKEN(values_without_lanes, attention, s->lets[let_of(s, IR_LET_ACC)].lane_axis = s->row_axis, "values without lanes")
BROKEN(weights_without_a_place, attention, s->lets[let_of(s, IR_LET_ACC)].weight_at = 0, "weights that have no place")
BROKEN(two_lines_at_one_place, attention, s->lets[let_of(s, IR_LET_ACC)].at = s->lets[let_of(s, IR_LET_TERM)].at, "two lines are kept at one place")
BROKEN(scratch_that_is_too_small, attention, s->scratch_bytes = ir_int(f->g->unit, 64), "a line is kept outside of scratch")
BROKEN(more_few_rows_than_there_are, few, s->micro_rows = 4, "a tile of more rows than there are")
BROKEN(few_rows_with_three_columns, few, s->micro_cols = 3, "a tile of more columns than lanes")
BROKEN(few_rows_without_lanes, few, (s->width = 1, s->micro_cols = 1), "few rows without lanes or folds")
BROKEN(few_rows_without_a_walk, few, s->walk = 0, "a mask that judges no columns")
BROKEN(few_rows_with_a_product_along_columns, few, s->lets[let_of(s, IR_LET_TERM)].lanes = IR_COL, "a product that has no tiles of few rows")
BROKEN(few_rows_with_weights_at_the_factor, few, s->lets[let_of(s, IR_LET_ACC)].weight_at = s->lets[let_of(s, IR_LET_TERM)].factor_at, "two lines are kept at one place")
BROKEN(rows_that_vectors_do_not_fill, attend, s->row_tile++, "a tile of rows that vectors do not fill")
BROKEN(a_register_tile_too_high, attend, s->micro_rows = IR_MICRO + 1, "a register tile beyond its bounds")
BROKEN(a_block_of_nothing, attend, s->col_block = 0, "a block without columns")
BROKEN(rows_without_a_turning_place, attend, s->rows_at = 0, "rows without a place to be turned")
BROKEN(results_along_no_value, attend, s->out_axis = s->lane_axis, "results leave along an axis that is no value")
BROKEN(a_product_without_rows, attend, s->lets[let_of(s, IR_LET_TERM)].factor_at = 0, "a product without a place for its rows")
BROKEN(an_operand_of_neither_side, pairs, operand_of(s, IR_COL)->side = IR_VAL, "an operand of neither side")
BROKEN(an_operand_of_rows_in_place, pairs, operand_of(s, IR_ROW)->at = 0, "an operand of rows without a place")
BROKEN(operands_of_a_product, attend, s->lets[let_of(s, IR_LET_TERM)].operands = operand_of(f->pairs, IR_ROW); s->lets[let_of(s, IR_LET_TERM)].n_operands = 1,
       "operands of a line that is none of pairs")
BROKEN(an_item_of_other_rows, attend, s->axes[s->lane_axis].tile *= 2, "an item's rows are not its tile")
BROKEN(values_at_the_place_of_scores, attend, s->lets[let_of(s, IR_LET_ACC)].at = s->lets[let_of(s, IR_LET_TERM)].at, "two lines are kept at one place")
BROKEN(a_place_that_is_not_aligned, attention, s->lets[let_of(s, IR_LET_TERM)].at = ir_int(f->g->unit, 4), "a place that vectors cannot be loaded from")
BROKEN(a_reference_at_no_number, attend, s->lets[s->kernel->lets[let_of(s, IR_LET_ACC)].ref].bound = ir_real(f->g->unit, HUGE_VAL), "a reference that stands at no number")
BROKEN(a_bound_of_a_fold, attend, s->lets[let_of(s, IR_LET_FOLD)].bound = ir_real(f->g->unit, 0), "a reference that stands at no number")
BROKEN(an_idle_fold_that_is_read, attend, s->lets[let_of(s, IR_LET_FOLD)].idle = true, "a fold that is not computed, and read")
BROKEN(a_line_that_lags, attend, s->lets[let_of(s, IR_LET_TERM)].lags = true, "what lags is no reference")
BROKEN(an_acc_that_lags, attend, s->lets[let_of(s, IR_LET_ACC)].lags = true, "what lags is no reference")
BROKEN(a_number_that_lags, attend, s->lets[s->kernel->lets[let_of(s, IR_LET_ACC)].ref].bound = ir_real(f->g->unit, 0), "what lags is no reference")
BROKEN(a_fold_left_out, attend, s->lets[s->kernel->lets[let_of(s, IR_LET_ACC)].ref].lags = false, "a fold that is left out while its reference follows")

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(good_schedules_pass), TEST(the_attention_has_what_the_rules_are_about), TEST(attention_over_many_rows_has_them_in_its_lanes),
        TEST(tiles_of_the_target_are_taken), TEST(tiles_fit_narrow_vectors), TEST(an_order_that_matters_is_kept),
        TEST(a_width_of_three), TEST(lanes_on_a_row), TEST(lanes_on_no_axis), TEST(lanes_of_no_role), TEST(lanes_without_a_role),
        TEST(a_block_that_vectors_do_not_fill), TEST(more_rows_than_registers), TEST(more_columns_than_lanes), TEST(a_row_tile_that_items_do_not_have),
        TEST(a_row_tile_on_a_column), TEST(a_row_tile_without_columns_in_lanes), TEST(a_tile_without_indices), TEST(values_as_items),
        TEST(swept_columns_as_items), TEST(a_serial_store_cut_in_items), TEST(items_that_depend_on_an_axis), TEST(a_line_in_another_place),
        TEST(a_fold_that_is_lost), TEST(a_term_without_a_place), TEST(a_sweep_without_a_column), TEST(a_reference_without_a_place),
        TEST(values_without_lanes), TEST(weights_without_a_place), TEST(two_lines_at_one_place), TEST(scratch_that_is_too_small),
        TEST(a_place_that_is_not_aligned), TEST(rows_that_vectors_do_not_fill), TEST(a_register_tile_too_high), TEST(a_block_of_nothing),
        TEST(rows_without_a_turning_place), TEST(results_along_no_value), TEST(a_product_without_rows), TEST(a_sum_over_pairs_has_operands), TEST(an_operand_of_neither_side),
        TEST(an_operand_of_rows_in_place), TEST(operands_of_a_product), TEST(an_item_of_other_rows),
        TEST(attention_over_few_rows_has_them_in_registers), TEST(few_rows_are_shared_out_evenly), TEST(more_few_rows_than_there_are), TEST(few_rows_with_three_columns),
        TEST(few_rows_without_lanes), TEST(few_rows_without_a_walk), TEST(few_rows_with_a_product_along_columns), TEST(few_rows_with_weights_at_the_factor),
        TEST(values_at_the_place_of_scores), TEST(a_reference_at_no_number), TEST(a_bound_of_a_fold), TEST(an_idle_fold_that_is_read),
        TEST(references_of_the_target_are_taken), TEST(a_line_that_lags), TEST(an_acc_that_lags), TEST(a_number_that_lags), TEST(a_fold_left_out),
    };
    return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}

/* Text of a schedule: what an emitter will do with a kernel, line by line. */
#include <string.h>
#include "ir.h"

static const char *const place_names[] = {[IR_PLACE_CONST] = "const", [IR_PLACE_ROW] = "row",             [IR_PLACE_COL] = "col",
                                          [IR_PLACE_PAIR] = "pair",   [IR_PLACE_VALUE] = "value",         [IR_PLACE_ROW_VALUE] = "row value",
                                          [IR_PLACE_COL_VALUE] = "col value", [IR_PLACE_PAIR_VALUE] = "pair value"};

/* Names are those of variables, without the numbers that the kernel's text adds where two are alike. */
static const char *axis_name(const ir_schedule *s, int32_t axis) {
    const ir_kernel *k = s->kernel;
    if (axis < 0 || (uint32_t)axis >= k->n_axes) return "-";
    const char *name = k->unit->var.at[k->axes[axis].var].name;
    return name ? name : "?";
}

static void print_expr(const ir_schedule *s, const char *what, ir_expr e, base_text *out) {
    base_text_add(out, "  %s ", what);
    ir_expr_print(s->kernel->unit, e, out);
    base_text_add(out, "\n");
}

/* Only tiles along columns have blocks and register tiles; elsewhere these numbers mean nothing. */
static void print_form(const ir_schedule *s, base_text *out) {
    base_text_add(out, "schedule %s: nest", s->kernel->name ? s->kernel->name : "?");
    if (s->width == 1) base_text_add(out, ", scalar");
    else base_text_add(out, ", %d lanes along %s %s", s->width, s->lanes == IR_COL ? "columns" : "rows", axis_name(s, s->lane_axis));
    if (s->lanes == IR_COL) {
        base_text_add(out, ", columns by %d", s->col_block);
        if (s->row_axis >= 0) base_text_add(out, ", rows %s by %d", axis_name(s, s->row_axis), s->row_tile);
        base_text_add(out, ", tiles of %d x %d", s->micro_rows, s->micro_cols);
    }
    base_text_add(out, "\n");
}

static void print_axes(const ir_schedule *s, base_text *out) {
    base_text_add(out, "  axes");
    for (uint32_t a = 0; a < s->kernel->n_axes; a++) {
        const ir_axis_schedule *w = &s->axes[a];
        base_text_add(out, "  %s %s", axis_name(s, (int32_t)a), w->walk == IR_WALK_ITEM ? "item" : w->walk == IR_WALK_LOOP ? "loop" : "tile");
        if (w->walk == IR_WALK_TILE) base_text_add(out, " %d", w->tile);
    }
    base_text_add(out, "\n");
}

static void print_let(const ir_schedule *s, uint32_t i, base_text *out) {
    const ir_let_schedule *l = &s->lets[i];
    base_text_add(out, "  $%u %s", i, place_names[l->place]);
    if (s->width > 1 && l->lanes) base_text_add(out, ", lanes along %s", axis_name(s, l->lane_axis));
    if (l->kept) {
        base_text_add(out, ", kept at ");
        ir_expr_print(s->kernel->unit, l->at, out);
    }
    base_text_add(out, "\n");
}

/* For people and golden texts; nothing reads it back. */
void ir_schedule_print(const ir_schedule *s, base_text *out) {
    print_form(s, out);
    print_axes(s, out);
    for (uint32_t i = 0; i < s->kernel->n_lets; i++) print_let(s, i, out);
    print_expr(s, "items", s->items, out);
    print_expr(s, "cost of an item", s->cost_of_item, out);
    print_expr(s, "scratch bytes", s->scratch_bytes, out);
    base_text_add(out, "  predicted %.3g s\n", s->predicted_s);
}

/* Text of a schedule: what an emitter will do with a kernel, line by line. Only what people compare is shown: where a line is kept, and not
 * the places that belong to it (its weights, its packed factor, its reference).
 *
 *   schedule m: nest, 8 lanes along columns j0, columns by 128, tiles of 1 x 2
 *     axes  i item  j0 loop  d loop
 *     $0 pair, lanes along d, kept at 0
 *     $1 row, lanes along j0, kept at 512
 *     items S
 */
#include "text.h"

static const char *const place_names[] = {[IR_PLACE_CONST] = "const", [IR_PLACE_ROW] = "row",             [IR_PLACE_COL] = "col",
                                          [IR_PLACE_PAIR] = "pair",   [IR_PLACE_VALUE] = "value",         [IR_PLACE_ROW_VALUE] = "row value",
                                          [IR_PLACE_COL_VALUE] = "col value", [IR_PLACE_PAIR_VALUE] = "pair value"};

/* A schedule is printed next to its kernel, so it repeats nothing of it: lines by number, axes by name.
 * names: of the axes, as the kernel's text has them. */
typedef struct { const ir_schedule *s; const char **names; base_text *out; } writer;

/* "-" for -1, and for an index that the verifier would refuse: a wrong schedule is what one wants to look at most. */
static const char *axis_name(const writer *w, int32_t axis) { return axis >= 0 && (uint32_t)axis < w->s->kernel->n_axes ? w->names[axis] : "-"; }

/* Sizes and counts over dimensions, one per line. */
static void print_expr(const writer *w, const char *what, ir_expr e) {
    base_text_add(w->out, "  %s ", what);
    ir_expr_print(w->s->kernel->unit, e, w->out);
    base_text_add(w->out, "\n");
}

/* Only tiles along columns have blocks and register tiles; elsewhere these numbers mean nothing. */
static void print_form(const writer *w) {
    const ir_schedule *s = w->s;
    static const char *const forms[] = {[IR_NEST] = "nest", [IR_ATTEND] = "attend", [IR_CONTRACT] = "contract", [IR_FEW] = "few"};
    base_text_add(w->out, "schedule %s: %s", s->kernel->name ? s->kernel->name : "?", forms[s->form]);
    if (s->width == 1) base_text_add(w->out, ", scalar");
    else base_text_add(w->out, ", %d lanes along %s %s", s->width, s->lanes == IR_COL ? "columns" : "rows", axis_name(w, s->lane_axis));
    if (s->lanes == IR_COL) {
        base_text_add(w->out, ", columns by %d", s->col_block);
        if (s->row_axis >= 0) base_text_add(w->out, ", rows %s by %d", axis_name(w, s->row_axis), s->row_tile);
        base_text_add(w->out, ", tiles of %d x %d", s->micro_rows, s->micro_cols);
        if (s->k_block) base_text_add(w->out, ", features by %d", s->k_block);
    }
    if (s->form == IR_ATTEND) base_text_add(w->out, ", columns by %d, tiles of %d x %d", s->col_block, s->micro_rows, s->micro_cols * s->width);
    base_text_add(w->out, "\n");
}

/* A tile says how many indices an item has; the others have one index per item, or all. */
static void print_axes(const writer *w) {
    const ir_schedule *s = w->s;
    base_text_add(w->out, "  axes");
    for (uint32_t a = 0; a < s->kernel->n_axes; a++) {
        const ir_axis_schedule *how = &s->axes[a];
        base_text_add(w->out, "  %s %s", axis_name(w, (int32_t)a), how->walk == IR_WALK_ITEM ? "item" : how->walk == IR_WALK_LOOP ? "loop" : "tile");
        if (how->walk == IR_WALK_TILE) base_text_add(w->out, " %d", how->tile);
        if (!how->extent) continue;
        base_text_add(w->out, " of ");
        ir_expr_print(s->kernel->unit, how->extent, w->out);
    }
    base_text_add(w->out, "\n");
}

static bool is_reference(const ir_kernel *k, uint32_t line) {
    bool found = false;
    for (uint32_t i = 0; i < k->n_lets; i++) found |= k->lets[i].kind >= IR_LET_FOLD && k->lets[i].ref == (int32_t)line;
    return found;
}
/* Lanes only where there are several: in a scalar schedule roles mean nothing. */
static void print_let(const writer *w, uint32_t i) {
    const ir_schedule *s = w->s;
    const ir_let_schedule *l = &s->lets[i];
    base_text_add(w->out, "  $%u %s", i, place_names[l->place]);
    if (s->width > 1 && l->lanes) base_text_add(w->out, ", lanes along %s", axis_name(w, l->lane_axis));
    if (l->kept) {
        base_text_add(w->out, ", kept at ");
        ir_expr_print(s->kernel->unit, l->at, w->out);
    }
    for (uint32_t o = 0; o < l->n_operands; o++) {
        base_text_add(w->out, ", of %s ", l->operands[o].side == IR_ROW ? "rows" : "columns");
        ir_expr_print(s->kernel->unit, l->operands[o].e, w->out);
        base_text_add(w->out, l->operands[o].at ? " at " : " in place");
        if (l->operands[o].at) ir_expr_print(s->kernel->unit, l->operands[o].at, w->out);
    }
    if (l->bound) {
        base_text_add(w->out, ", stands at ");
        ir_expr_print(s->kernel->unit, l->bound, w->out);
    }
    if (l->lags && s->kernel->lets[i].kind == IR_LET_EXPR) base_text_add(w->out, ", lags");
    else if (s->form == IR_ATTEND && !l->bound && is_reference(s->kernel, i)) base_text_add(w->out, ", follows");
    if (l->idle) base_text_add(w->out, ", not computed");
    if (l->panels) {
        base_text_add(w->out, ", panels %s from ", s->kernel->unit->value.at[l->panels].name);
        ir_expr_print(s->kernel->unit, l->panels_at, w->out);
    }
    base_text_add(w->out, "\n");
}

/* ---- every field, for who must know whether two schedules are the same */

static void spell_expr(const writer *w, ir_expr e) {
    base_text_add(w->out, " ");
    if (e) ir_expr_print(w->s->kernel->unit, e, w->out);
    base_text_add(w->out, ";");
}

static void spell_let(const writer *w, const ir_let_schedule *l) {
    base_text_add(w->out, "%d %d %d %d %d %d %d %d", l->place, l->lanes, l->lane_axis, l->col_axis, l->kept, l->packed, l->idle, l->lags);
    spell_expr(w, l->at);
    spell_expr(w, l->moved_at);
    spell_expr(w, l->bound);
    spell_expr(w, l->factor_at);
    spell_expr(w, l->weight_at);
    spell_expr(w, l->col_at);
    spell_expr(w, l->panels_at);
    for (uint32_t i = 0; i < l->n_operands; i++) {
        base_text_add(w->out, " %d %d", l->operands[i].side, l->operands[i].lanes);
        spell_expr(w, l->operands[i].e);
        spell_expr(w, l->operands[i].at);
    }
    /* which buffer of the frame: what the value is called and how large it is, no code knows */
    for (uint32_t i = 0; i < w->s->n_panels; i++)
        if (w->s->panels[i] == l->panels) base_text_add(w->out, " %u", i);
    base_text_add(w->out, "\n");
}
static void spell_axis(const writer *w, const ir_axis_schedule *a) {
    base_text_add(w->out, "%d %d ", a->walk, a->tile);
    spell_expr(w, a->extent);
    base_text_add(w->out, ";");
}

/* What the walk of attention asks of the kernel's mask: its rules may change where the text of the kernel does not. */
static void spell_mask(const writer *w, const ir_mask *m) {
    if (!m) return;
    const ir_expr whole[] = {m->tile.may, m->tile.must, m->seen, m->rows_seen};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) spell_expr(w, whole[i]);
    for (uint32_t i = 0; i < m->n_keys; i++) {
        const ir_keys *k = &m->keys[i];
        base_text_add(w->out, "%u %d", k->axis, k->exact);
        const ir_expr ends[] = {k->first, k->last, k->full_first, k->full_last};
        for (size_t j = 0; j < sizeof ends / sizeof *ends; j++) spell_expr(w, ends[j]);
    }
}

/* A field that is missing here would let code be taken for another's: every member of ir_schedule and of what it points to stands here, but the kernel, and
 * predictions (predicted_s, unit_s), which no code depends on. A new member changes a size below: spell it, then put the new size. */
_Static_assert(sizeof(void *) != 8 || (sizeof(ir_schedule) == 152 && sizeof(ir_let_schedule) == 64 && sizeof(ir_axis_schedule) == 12),
               "a schedule has a new member: ir_schedule_spell has to spell it");
void ir_schedule_spell(const ir_schedule *s, base_text *out) {
    const writer w = {s, NULL, out};
    base_text_add(out, "%d %d %d %d %d %d %d %d %d %d\n", s->form, s->lanes, s->lane_axis, s->row_axis, s->width, s->row_tile, s->col_block, s->micro_rows,
                  s->micro_cols, s->rising);
    for (uint32_t a = 0; a < s->kernel->n_axes; a++) spell_axis(&w, &s->axes[a]);
    for (uint32_t i = 0; i < s->kernel->n_lets; i++) spell_let(&w, &s->lets[i]);
    base_text_add(out, "%d %d %d %u", s->walk, s->out_axis, s->k_block, s->n_panels);
    for (uint32_t i = 0; i < s->n_pairs; i++) {
        spell_expr(&w, s->pairs[i].read);
        spell_expr(&w, s->pairs[i].at);
    }
    spell_expr(&w, s->rows_at);
    spell_expr(&w, s->out_at);
    spell_expr(&w, s->items);
    spell_expr(&w, s->cost_of_item);
    spell_expr(&w, s->period);
    spell_expr(&w, s->scratch_bytes);
    spell_mask(&w, s->kernel->mask);
}

/* For people and golden texts; nothing reads it back. */
void ir_schedule_print(const ir_schedule *s, base_text *out) {
    const writer w = {s, ir_axis_names(s->kernel, out->arena), out};
    print_form(&w);
    print_axes(&w);
    for (uint32_t i = 0; i < s->kernel->n_lets; i++) print_let(&w, i);
    print_expr(&w, "items", s->items);
    print_expr(&w, "cost of an item", s->cost_of_item);
    if (s->rising) print_expr(&w, "costs rise over items", s->period);
    print_expr(&w, "scratch bytes", s->scratch_bytes);
    base_text_add(out, "  predicted %.3g s\n", s->predicted_s);
}

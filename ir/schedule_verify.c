/* What emitters take for granted of a schedule: they look at none of it again. Each rule stands where the emitter that needs it would go wrong:
 * a block without a column, two lines in one place of scratch, a tile with more sums than it has registers.
 *
 * Places in scratch are expressions over dimensions, and whether two of them overlap cannot always be proved. They are compared at a few sizes
 * instead, all dimensions alike: so facts of the program (H % G == 0) hold there, and an error of the formula shows at one of them. */
#include "ir.h"

typedef struct {
    const ir_schedule *s;
    const ir_kernel *k;
    ir_unit *u;
    const char *fault;           /* the first rule that is broken; NULL: none yet */
    base_diags *quiet;           /* where the evaluator of sizes reports */
} checking;

/* The first fault is the one that is reported: later ones often follow from it. */
static bool rule(checking *c, bool holds, const char *fault) {
    if (!holds && !c->fault) c->fault = fault;
    return holds;
}
static bool is_axis(const checking *c, int32_t a) { return a >= 0 && (uint32_t)a < c->k->n_axes; }
/* -1: no axis. What a line runs over always is one: the kernel has been verified. */
static int32_t axis_of(const checking *c, ir_var v) {
    for (uint32_t a = 0; a < c->k->n_axes; a++)
        if (c->k->axes[a].var == v) return (int32_t)a;
    return -1;
}
/* Does the line run over this axis? */
static bool over(const checking *c, const ir_let *l, int32_t a) {
    for (uint32_t i = 0; i < l->n_over; i++)
        if (axis_of(c, l->over[i]) == a) return true;
    return false;
}
static bool power_of_two(int32_t n) { return n > 0 && !(n & (n - 1)); }
/* Elements that meet in one place, added or the last one kept: their order counts, or two workers would write at once. */
static bool serial(const ir_kernel *k) {
    for (uint32_t i = 0; i < k->n_stores; i++)
        if (k->stores[i].at.mode != IR_STORE_ONE) return true;
    return false;
}
/* Known before the launch: dimensions and counters of the loops around it. */
static bool known_outside(const checking *c, ir_expr e) {
    if (!e || ir_has_op(c->u, e, IR_READ) || ir_has_op(c->u, e, IR_LET)) return false;
    for (uint32_t a = 0; a < c->k->n_axes; a++)
        if (ir_depends(c->u, e, c->k->axes[a].var)) return false;
    return true;
}
/* Does the extent of an axis with one of these roles depend on axis a? */
static bool shapes(const checking *c, int32_t a, uint8_t roles) {
    for (uint32_t i = 0; i < c->k->n_axes; i++)
        if (c->k->axes[i].role & roles && ir_depends(c->u, c->k->axes[i].extent, c->k->axes[a].var)) return true;
    return false;
}

/* ---- axes and items */

static void check_axis(checking *c, uint32_t a) {
    const ir_axis_schedule *w = &c->s->axes[a];
    const uint8_t role = c->k->axes[a].role;
    rule(c, w->walk != IR_WALK_TILE || w->tile > 0, "a tile without indices");
    if (w->walk == IR_WALK_LOOP) return;
    /* A sum over features would be cut in two; values of one row in several items would each compute all its weights again. */
    rule(c, role != IR_VAL && role != IR_FEAT, "a value or feature axis is no item");
    /* Without sweeps nothing is summed over columns, and they are axes of a result like any other. */
    rule(c, role != IR_COL || !c->k->n_sweeps, "a column that sweeps run over is no item");
    rule(c, known_outside(c, c->k->axes[a].extent), "an item's extent is not known before the launch");
    rule(c, !serial(c->k), "a serial store runs in one item");
}
static void check_items(checking *c) {
    for (uint32_t a = 0; a < c->k->n_axes; a++) check_axis(c, a);
    rule(c, known_outside(c, c->s->items) && known_outside(c, c->s->cost_of_item), "items and costs are known before the launch");
    rule(c, !c->s->period || known_outside(c, c->s->period), "the period of costs is known before the launch");
    rule(c, known_outside(c, c->s->scratch_bytes), "scratch is known before the launch");
    rule(c, !serial(c->k) || c->s->width == 1, "a serial store has no lanes");
}

/* ---- lanes and tiles */

static void check_micro(checking *c) {
    const ir_schedule *s = c->s;
    rule(c, power_of_two(s->micro_rows) && s->micro_rows <= IR_MICRO && s->micro_rows <= s->row_tile, "a tile of more rows than there are");
    rule(c, power_of_two(s->micro_cols) && s->micro_cols <= IR_MICRO && s->micro_cols <= s->width, "a tile of more columns than lanes can be summed together");
}
/* Products of rows and columns read panels, which are as wide as the register tile. */
static void check_panels(checking *c) {
    const ir_schedule *s = c->s;
    rule(c, s->width > 1 && s->row_axis >= 0 && !c->k->n_sweeps, "panels without rows, lanes, or with folds");
    rule(c, s->micro_rows > 0 && s->micro_rows <= IR_MICRO_MOST && s->micro_rows <= s->row_tile, "a tile of more rows than there are");
    rule(c, s->micro_cols > 0 && s->micro_cols <= IR_MICRO_MOST && s->micro_cols * s->width == s->col_block, "a panel that register tiles do not fill");
    rule(c, is_axis(c, s->lane_axis) && s->axes[s->lane_axis].walk == IR_WALK_TILE && s->axes[s->lane_axis].tile % s->col_block == 0, "an item that begins inside a panel");
    rule(c, s->k_block >= 0, "a block without features");
}
/* All rows of an item are unrolled in groups; the sums of a column tile are summed across lanes together. */
static void check_few(checking *c) {
    const ir_schedule *s = c->s;
    rule(c, s->width > 1 && c->k->n_sweeps > 0, "few rows without lanes or folds");
    rule(c, s->row_tile > 0 && s->row_tile <= IR_MICRO && s->micro_rows > 0 && s->micro_rows <= s->row_tile, "a tile of more rows than there are");
    rule(c, power_of_two(s->micro_cols) && s->micro_cols <= IR_MICRO && s->micro_cols <= s->width && s->col_block % s->micro_cols == 0, "a tile of more columns than lanes can be summed together");
    rule(c, s->walk > 0, "a mask that judges no columns");
}
static void check_tiles(checking *c) {
    const ir_schedule *s = c->s;
    /* All blocks but the last are whole vectors; only the tail of an axis is short. */
    rule(c, s->col_block > 0 && s->col_block % s->width == 0, "a block that vectors do not fill");
    if (s->form == IR_CONTRACT) check_panels(c);
    else if (s->form == IR_FEW) check_few(c);
    else check_micro(c);
    if (s->row_axis < 0) {
        rule(c, s->row_tile == 1, "a tile of rows without rows");
        return;
    }
    /* What follows would look up an axis that does not exist. */
    if (!rule(c, is_axis(c, s->row_axis) && c->k->axes[s->row_axis].role == IR_ROW, "the axis of the row tile is no row")) return;
    const ir_axis_schedule *w = &s->axes[s->row_axis];
    rule(c, w->walk == IR_WALK_TILE && w->tile == s->row_tile, "an item's rows are not its tile");
    /* Rows of a tile share one loop over columns, so they cannot each have an end of their own. */
    rule(c, !shapes(c, s->row_axis, IR_COL | IR_FEAT), "rows of a tile that end their own columns");
}
/* Rows in the lanes, some vectors of them in a tile; register tiles of columns never run past the room of a block by more than one. */
static void check_attend(checking *c) {
    const ir_schedule *s = c->s;
    rule(c, s->lanes == IR_ROW && s->width > 1, "attention without rows in the lanes");
    rule(c, s->row_axis == -1 && s->row_tile == s->micro_cols * s->width, "a tile of rows that vectors do not fill");
    rule(c, s->micro_rows > 0 && s->micro_rows <= IR_MICRO && s->micro_cols > 0 && s->micro_cols <= IR_MICRO, "a register tile beyond its bounds");
    rule(c, s->col_block > 0 && s->walk > 0, "a block without columns");
    rule(c, s->rows_at, "rows without a place to be turned");
    rule(c, s->out_axis < 0 ? s->out_axis == -1 : is_axis(c, s->out_axis) && c->k->axes[s->out_axis].role == IR_VAL && s->out_at, "results leave along an axis that is no value");
    const ir_axis_schedule *w = is_axis(c, s->lane_axis) ? &s->axes[s->lane_axis] : NULL;
    rule(c, w && w->walk == IR_WALK_TILE && w->tile == s->row_tile, "an item's rows are not its tile");
    rule(c, c->k->n_sweeps > 0, "attention without folds");
}
/* With lanes along columns lane_axis may be -1: lines then name their axes themselves (their col_axis and lane_axis). */
static void check_lanes(checking *c) {
    const ir_schedule *s = c->s;
    const bool lane = is_axis(c, s->lane_axis);
    /* 64 lanes of f32 are 2048 bits, the widest registers that instruction sets allow */
    rule(c, power_of_two(s->width) && s->width <= 64, "the width is no power of two up to 64");
    if (!rule(c, lane || s->lane_axis == -1, "an axis that does not exist")) return;
    const uint8_t role = lane ? c->k->axes[s->lane_axis].role : 0;
    switch (s->lanes) {
    case 0: rule(c, s->width == 1 && !lane, "lanes without a role"); break;
    case IR_COL:
        rule(c, !lane || (role == IR_COL && !shapes(c, s->lane_axis, IR_COL | IR_FEAT)), "lanes along columns on an axis that is none, or that others depend on");
        check_tiles(c);
        return;
    case IR_ROW:
        rule(c, lane && (role == IR_ITEM || role == IR_ROW || (role == IR_COL && !c->k->n_sweeps)), "lanes along rows on an axis that is none");
        /* Lanes turn their loops together. */
        rule(c, lane && !shapes(c, s->lane_axis, IR_COL | IR_FEAT), "lanes whose loops end apart");
        break;
    default: rule(c, false, "lanes along a role that has none");
    }
    if (s->form == IR_ATTEND) check_attend(c);
    else rule(c, s->row_tile == 1 && s->row_axis == -1, "a row tile without lanes along columns");
}

/* ---- lines */

/* Computed before the pairs that it is a part of, so it varies over one side of them. */
static void check_operand(checking *c, const ir_let_schedule *s, const ir_pair_operand *o) {
    rule(c, s->kept && !s->factor_at, "operands of a line that is none of pairs");
    rule(c, o->side == IR_ROW || o->side == IR_COL, "an operand of neither side");
    rule(c, o->side == IR_ROW ? !(ir_kernel_rank(c->k, o->e) & IR_COL) && o->at && (o->lanes == IR_ROW || o->lanes == IR_FEAT) : true, "an operand of rows without a place");
}
/* Of a line that is a sum over features: computed where it is mentioned, or kept for a block of rows and columns. */
static void check_term(checking *c, const ir_let *l, const ir_let_schedule *s) {
    if (s->lanes == IR_FEAT) rule(c, over(c, l, s->lane_axis), "lanes along a feature that the term does not run over");
    if (c->s->form == IR_ATTEND) {
        const bool pairs = !l->a || s->n_operands || ir_kernel_rank(c->k, l->a) & IR_COL || ir_kernel_rank(c->k, l->b) & IR_ROW;
        rule(c, s->kept == s->packed && (s->factor_at ? l->a != 0 : !s->kept || pairs), "a product without a place for its rows");
        rule(c, !s->factor_at || (l->rank & IR_COL && !(ir_kernel_rank(c->k, l->a) & IR_COL)), "a packed factor that is none of the row's");
        for (uint32_t i = 0; i < s->n_operands; i++) check_operand(c, s, &s->operands[i]);
        return;
    }
    if (c->s->form == IR_CONTRACT && l->rank & IR_COL) {
        rule(c, s->kept && l->a && s->panels && s->panels_at && s->lanes == IR_FEAT, "a product without panels");
        bool there = false;
        for (uint32_t i = 0; i < c->s->n_panels; i++) there |= c->s->panels[i] == s->panels;
        rule(c, there, "panels that are no buffer of the frame");
    }
    /* packed once per row and used for every column, so it must be the same for all of them */
    rule(c, !s->packed || (s->kept && l->a && !(ir_kernel_rank(c->k, l->a) & IR_COL)), "a packed factor that is none of the row's");
    rule(c, c->s->form != IR_FEW || !s->packed || (s->lanes == IR_FEAT && l->rank & IR_COL && ir_is_bool(c->u, l->where, true)), "a product that has no tiles of few rows");
    if (!s->kept) return;
    rule(c, c->s->lanes == IR_COL && !(l->rank & (IR_VAL | IR_FEAT)) && l->rank & (IR_ROW | IR_COL), "a term is kept per row and column only");
    for (uint32_t i = 0; i < l->n_over; i++)
        rule(c, !(ir_kernel_rank(c->k, c->k->axes[axis_of(c, l->over[i])].extent) & (IR_ROW | IR_COL | IR_FEAT)), "a tile whose features end apart");
}
/* Folds of one sweep take the same column in blocks; what is relative to one reference moves together. */
static void check_fold(checking *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    const ir_let_schedule *s = &c->s->lets[i];
    /* An ACC has one sum per value, more than registers hold; a FOLD without lanes along columns is one sum. */
    rule(c, l->kind == IR_LET_FOLD || s->kept, "values that have no place");
    /* What follows is of blocks of columns. */
    if (c->s->lanes != IR_COL && c->s->form != IR_ATTEND) return;
    rule(c, s->kept || c->s->form == IR_ATTEND, "a fold that is not kept");
    rule(c, is_axis(c, s->col_axis) && over(c, l, s->col_axis), "a sweep without a column to take in blocks");
    rule(c, l->ref < 0 || s->moved_at || c->s->form == IR_ATTEND, "a reference without a place");
    if (l->kind == IR_LET_ACC) {
        rule(c, is_axis(c, s->lane_axis) && c->k->axes[s->lane_axis].role == IR_VAL, "values without lanes");
        rule(c, s->weight_at, "weights that have no place");
    }
    for (uint32_t k = 0; k < i; k++) {
        const ir_let *other = &c->k->lets[k];
        if (other->kind < IR_LET_FOLD || other->sweep != l->sweep) continue;
        rule(c, c->s->lets[k].col_axis == s->col_axis, "a sweep takes two columns in blocks");
        rule(c, other->ref != l->ref || c->s->lets[k].moved_at == s->moved_at, "a reference that stands at two places");
    }
}
typedef struct { bool *read; } reading;
static bool mark_read(const ir_unit *u, void *env, ir_expr e) {
    if (ir_is(u, e, IR_LET)) ((reading *)env)->read[ir_at(u, e)->u.ref] = true;
    return true;
}
/* Sums stand at a finite number, and what is not computed is read by nobody who needs it: idle lines by lines with a bound alone, or by what only these
 * read. */
static void check_bounds(checking *c) {
    reading r = {BASE_ARRAY(c->u->arena, c->k->n_lets + 1, bool)};
    for (uint32_t i = 0; i < c->k->n_stores; i++) ir_walk(c->u, c->k->stores[i].e, mark_read, &r);
    for (uint32_t i = c->k->n_lets; i--;) {
        const ir_let *l = &c->k->lets[i];
        const ir_let_schedule *s = &c->s->lets[i];
        const ir_expr parts[] = {l->e, l->a, l->b, l->where};
        double at = 0;
        rule(c, !s->bound || (c->s->form == IR_ATTEND && l->kind == IR_LET_EXPR && !(l->rank & ~IR_ROW) && ir_is_real(c->u, s->bound, &at) && isfinite(at)),
             "a reference that stands at no number");
        rule(c, !s->idle || (l->kind == IR_LET_FOLD && !r.read[i]), "a fold that is not computed, and read");
        for (size_t n = 0; n < sizeof parts / sizeof *parts && (r.read[i] || l->kind == IR_LET_ACC) && !s->bound; n++)
            if (parts[n]) ir_walk(c->u, parts[n], mark_read, &r);
    }
}
/* All references of a sweep lag or none, and a fold that is left out is one that they come from. */
static void check_lagging(checking *c) {
    for (uint32_t i = 0; i < c->k->n_lets; i++) {
        const ir_let *l = &c->k->lets[i];
        const ir_let_schedule *s = &c->s->lets[i];
        bool used = l->kind == IR_LET_FOLD;
        for (uint32_t k = 0; k < c->k->n_lets; k++) {
            const ir_let *other = &c->k->lets[k];
            if (other->kind < IR_LET_FOLD || other->ref < 0) continue;
            used |= other->ref == (int32_t)i;
            rule(c, !s->lags || l->kind != IR_LET_FOLD || other->sweep != l->sweep || c->s->lets[other->ref].lags, "a fold that is left out while its reference follows");
        }
        rule(c, !s->lags || (c->s->form == IR_ATTEND && used && l->kind != IR_LET_ACC && !s->bound && !s->idle && (l->kind == IR_LET_EXPR || l->ref < 0)), "what lags is no reference");
    }
}
/* The bits ROW, COL and VAL of a rank are the index into places. */
static void check_lets(checking *c) {
    static const uint8_t places[8] = {IR_PLACE_CONST, IR_PLACE_ROW,       IR_PLACE_COL,       IR_PLACE_PAIR,
                                      IR_PLACE_VALUE, IR_PLACE_ROW_VALUE, IR_PLACE_COL_VALUE, IR_PLACE_PAIR_VALUE};
    for (uint32_t i = 0; i < c->k->n_lets; i++) {
        const ir_let *l = &c->k->lets[i];
        const ir_let_schedule *s = &c->s->lets[i];
        rule(c, s->place == places[l->rank & 7], "a line is not where its rank says");
        rule(c, s->lane_axis == -1 || is_axis(c, s->lane_axis), "a line's lanes run along an axis that does not exist");
        rule(c, !s->kept || s->at, "a kept line without a place");
        if (l->kind == IR_LET_TERM) check_term(c, l, s);
        if (l->kind >= IR_LET_FOLD) check_fold(c, i);
    }
}

/* ---- scratch: what is kept has room of its own */

/* at: offset in a worker's scratch; both over dimensions */
typedef struct { ir_expr at, bytes; } region;
typedef BASE_VEC(region) regions;

/* each: bytes of an element; negative for a reference, which several lines may share, so that it is one region and no overlap. */
static void add(checking *c, regions *all, ir_expr at, ir_expr elements, int64_t each) {
    for (uint32_t i = 0; i < all->n; i++)
        if (all->at[i].at == at && each < 0) return;     /* shared: a reference's place */
    region r = {at, ir_mul(c->u, elements, ir_int(c->u, each < 0 ? -each : each))};
    BASE_PUSH(c->u->arena, all, r);
}
/* Sizes are computed here from what ir.h says of each place, and not by what the pass that took the room used: two counts have to agree. */
/* Of attention: two places that are one on purpose (a sum's weights and the scores they come from) are one region. */
static void add_once(checking *c, regions *all, ir_expr at, ir_expr elements, int64_t each) {
    for (uint32_t i = 0; i < all->n; i++)
        if (all->at[i].at == at) return;
    if (at) add(c, all, at, elements, each);
}
static regions kept_by_attend(checking *c) {
    regions all = {0};
    ir_unit *u = c->u;
    const ir_schedule *s = c->s;
    const int64_t real = c->k->real == IR_TYPE_F32 ? 4 : 8;
    const ir_expr values = ir_axis_count(c->k, IR_VAL), block = ir_int(u, (int64_t)(s->col_block + s->micro_rows) * s->row_tile);
    ir_expr most = s->out_at ? values : ir_int(u, 0);
    for (uint32_t i = 0; i < c->k->n_lets; i++) {
        const ir_let *l = &c->k->lets[i];
        const ir_let_schedule *x = &s->lets[i];
        ir_expr features = ir_int(u, 1);
        for (uint32_t o = 0; o < l->n_over; o++) features = ir_mul(u, features, c->k->axes[axis_of(c, l->over[o])].extent);
        if (l->kind == IR_LET_TERM && x->kept) {
            add(c, &all, x->at, block, real);
            if (x->factor_at) add(c, &all, x->factor_at, ir_mul(u, features, ir_int(u, s->row_tile)), real);
            for (uint32_t o = 0; o < x->n_operands; o++) add_once(c, &all, x->operands[o].at, ir_mul(u, features, ir_int(u, x->operands[o].side == IR_ROW ? s->row_tile : s->col_block)), real);
            add_once(c, &all, x->col_at, ir_mul(u, features, ir_int(u, s->col_block)), real);
            if (x->lanes == IR_FEAT) most = ir_op2(u, IR_MAX, most, features);
        }
        if (l->kind == IR_LET_FOLD && x->kept) add_once(c, &all, x->at, block, real);
        if (l->kind != IR_LET_ACC) continue;
        add(c, &all, x->at, ir_mul(u, values, ir_int(u, s->row_tile)), real);
        add_once(c, &all, x->weight_at, block, real);
        add_once(c, &all, x->col_at, ir_mul(u, values, ir_int(u, s->col_block)), real);
    }
    for (uint32_t i = 0; i < s->n_pairs; i++) add(c, &all, s->pairs[i].at, ir_int(u, (int64_t)(s->col_block + s->width - 1) * s->row_tile), real);
    add_once(c, &all, s->out_at, ir_mul(u, values, ir_int(u, s->row_tile)), real);
    add(c, &all, s->rows_at, ir_mul(u, most, ir_int(u, s->row_tile)), real);
    return all;
}
static ir_expr whole(checking *c, ir_expr n) {          /* rounded up to vectors */
    const ir_expr width = ir_int(c->u, c->s->width);
    return ir_mul(c->u, ir_op2(c->u, IR_FDIV, ir_add(c->u, n, ir_int(c->u, c->s->width - 1)), width), width);
}
static regions kept(checking *c) {
    regions all = {0};
    ir_unit *u = c->u;
    const ir_schedule *s = c->s;
    const int64_t real = c->k->real == IR_TYPE_F32 ? 4 : 8;
    for (uint32_t i = 0; i < c->k->n_lets; i++) {
        const ir_let *l = &c->k->lets[i];
        const ir_let_schedule *x = &s->lets[i];
        int64_t rows = l->rank & IR_ROW ? s->row_tile : 1;
        const int64_t cols = l->rank & IR_COL ? s->col_block : 1, size = l->sort == IR_SORT_REAL ? real : 8;
        /* sums of whole register tiles, also where the last of them reaches beyond the rows */
        if (x->panels) rows = (rows + s->micro_rows - 1) / s->micro_rows * s->micro_rows;
        /* of a packed factor: rows of the tile times all its features */
        ir_expr features = ir_int(u, s->row_tile);
        for (uint32_t o = 0; o < l->n_over; o++) {
            const int32_t a = axis_of(c, l->over[o]);
            features = ir_mul(u, features, s->form == IR_FEW && a == x->lane_axis ? whole(c, c->k->axes[a].extent) : c->k->axes[a].extent);
        }
        if (l->kind == IR_LET_TERM && x->kept) add(c, &all, x->at, ir_int(u, rows * cols), size);
        if (l->kind == IR_LET_TERM && x->packed) add(c, &all, x->factor_at, features, real);
        if (l->kind == IR_LET_FOLD && x->kept) add(c, &all, x->at, ir_int(u, s->row_tile), size);
        if (l->kind == IR_LET_ACC) add(c, &all, x->at, ir_mul(u, ir_axis_count(c->k, IR_VAL), ir_int(u, s->lanes == IR_COL ? s->row_tile : s->width)), real);
        if (l->kind == IR_LET_ACC && s->lanes == IR_COL) add(c, &all, x->weight_at, ir_int(u, (int64_t)s->row_tile * s->col_block), real);
        if (l->kind >= IR_LET_FOLD && l->ref >= 0 && s->lanes == IR_COL) add(c, &all, x->moved_at, ir_int(u, s->row_tile), -real);
    }
    return all;
}
/* -1 where it has no value at these sizes (an overflow, a divisor of 0), which no region may have. */
static int64_t size_of(checking *c, const ir_frame *frame, ir_expr e) {
    int64_t n = -1;
    return ir_eval_expr(c->u, frame, e, &n, c->quiet) ? n : -1;
}
/* Every pair: the places of a kernel are few. */
static void check_regions(checking *c, const regions *all, int64_t size) {
    ir_frame frame = ir_frame_create(c->u, c->u->arena);
    for (uint32_t d = 0; d < c->u->dim.n; d++) frame.dim[d] = size;
    /* places were simplified by what the program says of its dimensions (D % 2 == 0): at sizes that break it they mean nothing */
    for (uint32_t i = 0; i < c->u->fact.n; i++)
        if (size_of(c, &frame, c->u->fact.at[i]) != 1) return;
    int64_t *at = BASE_ARRAY(c->u->arena, all->n + 1, int64_t), *end = BASE_ARRAY(c->u->arena, all->n + 1, int64_t);
    const int64_t scratch = size_of(c, &frame, c->s->scratch_bytes);
    for (uint32_t i = 0; i < all->n; i++) {
        at[i] = size_of(c, &frame, all->at[i].at);
        end[i] = at[i] + size_of(c, &frame, all->at[i].bytes);
        /* 64 bytes: the longest vectors there are, and a cache line */
        rule(c, at[i] >= 0 && at[i] % 64 == 0, "a place that vectors cannot be loaded from");
        rule(c, end[i] >= at[i] && end[i] <= scratch, "a line is kept outside of scratch");
        for (uint32_t k = 0; k < i; k++) rule(c, end[k] <= at[i] || end[i] <= at[k], "two lines are kept at one place");
    }
}
static void check_scratch(checking *c) {
    /* the least, one that no vector or tile divides, and one that they do */
    static const int64_t sizes[] = {1, 5, 64};
    regions all = c->s->form == IR_ATTEND ? kept_by_attend(c) : kept(c);
    for (uint32_t i = 0; i < all.n; i++)
        if (!rule(c, known_outside(c, all.at[i].at) && known_outside(c, all.at[i].bytes), "a place in scratch that depends on an axis")) return;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) check_regions(c, &all, sizes[i]);
}

/* In this order: lines are judged by a form that is sound, and regions are summed up from lines that are. */
bool ir_schedule_verify(const ir_schedule *s) {
    checking c = {.s = s, .k = s->kernel, .u = s->kernel->unit, .quiet = base_diags_create(s->kernel->unit->arena)};
    check_lanes(&c);
    check_items(&c);
    if (!c.fault) check_lets(&c);
    if (!c.fault) check_bounds(&c);
    if (!c.fault) check_lagging(&c);
    if (!c.fault) check_scratch(&c);
    if (!c.fault) return true;
    base_report(c.u->diags, BASE_MSG_INTERNAL_IR, c.k->span, base_printf(c.u->arena, "schedule of %s: %s", c.k->name ? c.k->name : "?", c.fault));
    return false;
}

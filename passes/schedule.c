/* schedule: a template, lanes, tiles and places for every line of a kernel, from the kernel and the numbers of the target.
 *
 * In: kernels after legalize. Out: one schedule per kernel; kernels are not changed. It ends: a few walks over axes and lines.
 *
 * One question decides the form of a nest: along which axis are neighbours neighbours in memory? Reductions and contractions over such
 * columns (or features) put columns in the lanes; pure maps, and reductions along an axis that jumps, put a row or an item there. A store
 * whose order matters runs serially. Example: y[b, e] = sum(i: x[b, i, e]) has lanes along e, s[b, i] = sum(e: x[b, i, e]) along e too, its column. */
#include "schedule.h"

/* ELEMENTS_PER_ITEM: of a pure map, so that an item is worth handing to a worker; ALIGNMENT: bytes, of each place in scratch. */
enum { ELEMENTS_PER_ITEM = 2048, ALIGNMENT = 64 };


/* ---- what the kernel is like */

int32_t pass_axis_of(const ir_kernel *k, ir_var v) {
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].var == v) return (int32_t)a;
    return -1;
}
uint32_t pass_axes_of(const ir_kernel *k, uint8_t role) {
    uint32_t bits = 0;
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].role == role) bits |= 1u << a;
    return bits;
}
/* Stores whose order matters: several indices may go to one place, so items must not run side by side. */
bool pass_serial(const ir_kernel *k) {
    for (uint32_t i = 0; i < k->n_stores; i++)
        if (k->stores[i].at.mode != IR_STORE_ONE) return true;
    return false;
}
static bool has_kind(const ir_kernel *k, uint8_t kind) {
    for (uint32_t i = 0; i < k->n_lets; i++)
        if (k->lets[i].kind == kind) return true;
    return false;
}
bool pass_over_dims(const pass_planner *p, ir_expr e) {     /* dims only: no axis, no table */
    if (ir_has_op(p->u, e, IR_READ)) return false;
    for (uint32_t a = 0; a < p->k->n_axes; a++)
        if (ir_depends(p->u, e, p->k->axes[a].var)) return false;
    return true;
}
/* Does an extent of an axis with one of these roles depend on axis a? */
bool pass_shapes(const pass_planner *p, uint32_t a, uint8_t roles) {
    for (uint32_t i = 0; i < p->k->n_axes; i++)
        if ((p->k->axes[i].role & roles) && ir_depends(p->u, p->k->axes[i].extent, p->k->axes[a].var)) return true;
    return false;
}

/* ---- steps of one element */

/* Along an axis: 2 for neighbours in memory, 0 for the same element all along, -1 for a jump (a step over dimensions counts as one), -2 for a
 * gather. Sums of these are compared, never read otherwise. */
static int32_t step_score(const pass_planner *p, ir_expr step) {
    int64_t n;
    if (!step) return 0;
    return ir_is_int(p->u, step, &n) ? n == 1 ? 2 : n == 0 ? 0 : -1 : -1;
}
static int32_t read_score(const pass_planner *p, ir_expr read, uint32_t a) {
    const ir_access *access = ir_kernel_access(p->k, read);
    if (!access) return 0;
    /* each lane would have an address of its own */
    if (access->gather >> a & 1) return -2;
    return step_score(p, access->step[a]);
}
typedef struct { const pass_planner *p; uint32_t axis; int32_t score; } tally;
static bool tally_reads(const ir_unit *u, void *env, ir_expr e) {
    tally *t = env;
    if (ir_is(u, e, IR_READ)) t->score += read_score(t->p, e, t->axis);
    return true;
}
/* Over all reads in e, each distinct one once. */
int32_t pass_score_in(const pass_planner *p, ir_expr e, uint32_t a) {
    tally t = {p, a, 0};
    if (e) ir_walk(p->u, e, tally_reads, &t);
    return t.score;
}
/* Stores count like reads: the places' row-major offset, as the frame has it for accesses. */
int32_t pass_store_score(const pass_planner *p, const ir_store *at, uint32_t a) {
    const ir_type t = p->u->value.at[at->result].type;
    ir_expr offset = ir_int(p->u, 0), coef, rest;
    for (uint32_t i = 0; i < t.rank; i++) offset = ir_add(p->u, ir_mul(p->u, offset, t.dim[i]), at->places[i]);
    if (!ir_affine(p->u, offset, p->k->axes[a].var, &coef, &rest)) return -2;
    return step_score(p, coef);
}
/* With lanes along columns, tiles of an ACC choose between that column and their best value. */
static int32_t acc_score(const pass_planner *p, const ir_let *l, uint32_t a) {
    int32_t score = pass_score_in(p, l->b, a);
    for (uint32_t v = 0; v < p->k->n_axes && p->k->axes[a].role == IR_COL; v++) {
        const int32_t found = p->k->axes[v].role == IR_VAL ? pass_score_in(p, l->b, v) : score;
        if (found > score) score = found;
    }
    return score;
}
/* Over everything that is not inside a TERM: its tiles have lanes of their own. */
static int32_t axis_score(const pass_planner *p, uint32_t a) {
    int32_t score = 0;
    for (uint32_t i = 0; i < p->k->n_lets; i++) {
        const ir_let *l = &p->k->lets[i];
        if (l->kind == IR_LET_TERM) continue;
        score += pass_score_in(p, l->e, a) + acc_score(p, l, a);
        if (l->kind != IR_LET_EXPR) score += pass_score_in(p, l->where, a);
    }
    for (uint32_t i = 0; i < p->k->n_stores; i++) score += pass_score_in(p, p->k->stores[i].e, a) + pass_store_score(p, &p->k->stores[i].at, a);
    return score;
}

/* ---- which lanes */

/* Of axes that may; among equals the last, since inner axes come later. -1: none; *score is then as it was. */
static int32_t best_axis(const pass_planner *p, bool (*may)(const pass_planner *, uint32_t), int32_t *score) {
    int32_t best = -1;
    for (uint32_t a = 0; a < p->k->n_axes; a++) {
        if (!may(p, a)) continue;
        const int32_t found = axis_score(p, a);
        /* equal scores: the inner axis, which comes later in the list */
        if (best >= 0 && found < *score) continue;
        best = (int32_t)a;
        *score = found;
    }
    return best;
}
/* Columns that no fold runs over are only places of results. */
static bool free_column(const pass_planner *p, uint32_t a) {
    return p->k->axes[a].role == IR_COL && !p->k->n_sweeps && pass_over_dims(p, p->k->axes[a].extent) && !pass_shapes(p, a, IR_COL);
}
/* All lanes of a vector run the same loops: an axis on which extents of columns or features depend has no place in them. */
static bool outer_lane(const pass_planner *p, uint32_t a) {
    const uint8_t role = p->k->axes[a].role;
    return (role == IR_ITEM || role == IR_ROW || free_column(p, a)) && !pass_shapes(p, a, IR_COL | IR_FEAT);
}
static bool column_lane(const pass_planner *p, uint32_t a) { return p->k->axes[a].role == IR_COL && !pass_shapes(p, a, IR_COL | IR_FEAT); }

/* A FOLD or ACC whose columns all shape one another has no axis to take in blocks. */
bool pass_sweeps_have_columns(const pass_planner *p) {
    for (uint32_t i = 0; i < p->k->n_lets; i++) {
        const ir_let *l = &p->k->lets[i];
        bool found = l->kind < IR_LET_FOLD;
        for (uint32_t o = 0; o < l->n_over && !found; o++) found = column_lane(p, (uint32_t)pass_axis_of(p->k, l->over[o]));
        if (!found) return false;
    }
    return true;
}

int32_t pass_width(const pass_planner *p) { return p->k->real == IR_TYPE_F64 && p->target->lanes > 1 ? p->target->lanes / 2 : p->target->lanes; }
/* Doubles fill a vector with half as many. TERMs want columns in the lanes, for their tiles; folds take whichever axis is the better neighbour.
 * Width 1 is the scalar nest, which runs every kernel. */
void pass_choose_lanes(pass_planner *p) {
    ir_schedule *s = p->s;
    int32_t outer = 0, column = 0;
    const int32_t row_lane = best_axis(p, outer_lane, &outer), col_lane = best_axis(p, column_lane, &column);
    
    s->lane_axis = s->row_axis = -1;
    s->width = pass_width(p);
    if (pass_serial(p->k) || p->target->lanes == 1) s->width = 1;
    else if (pass_sweeps_have_columns(p) && (has_kind(p->k, IR_LET_TERM) || (p->k->n_sweeps && (row_lane < 0 || column >= outer)))) {
        s->lanes = IR_COL;
        s->lane_axis = col_lane;
    } else if (row_lane >= 0) {
        s->lanes = IR_ROW;
        s->lane_axis = row_lane;
    } else s->width = 1;
}

/* ---- how axes are walked */

/* The row that fills a tile best, the innermost of those that fill it alike: positions, not the few heads of a group. One that the extents of
 * columns or features depend on is no tile: its rows have no block of columns in common. */
int32_t pass_row_to_tile(const pass_planner *p) {
    int32_t found = -1;
    double most = 0;
    for (uint32_t a = 0; a < p->k->n_axes; a++) {
        if (p->k->axes[a].role != IR_ROW || pass_shapes(p, a, IR_COL | IR_FEAT)) continue;
        const double size = fmin(pass_size(p->u, p->k->axes[a].extent, p->representative), PASS_ROWS_PER_ITEM);
        if (found >= 0 && size < most) continue;
        found = (int32_t)a;
        most = size;
    }
    return found;
}
static void walk(pass_planner *p, uint32_t a, ir_axis_walk how, int32_t tile) { p->s->axes[a] = (ir_axis_schedule){(uint8_t)how, tile, 0}; }

/* Serial kernels are one item that loops over everything. Values, features and columns of folds are always loops inside: what they sum
 * lives in the scratch of one item. Every other axis counts items, whole or in tiles. */
static void choose_walk(pass_planner *p, uint32_t a) {
    const uint8_t role = p->k->axes[a].role;
    const ir_schedule *s = p->s;
    const bool inner = role == IR_VAL || role == IR_FEAT || (role == IR_COL && !free_column(p, a));
    if (pass_serial(p->k) || inner) walk(p, a, IR_WALK_LOOP, 0);
    else if ((int32_t)a == s->row_axis) walk(p, a, IR_WALK_TILE, s->row_tile);
    else if ((int32_t)a == s->lane_axis && s->form == IR_ATTEND) walk(p, a, IR_WALK_TILE, s->row_tile);
    else if ((int32_t)a == s->lane_axis) walk(p, a, IR_WALK_TILE, s->lanes == IR_COL ? PASS_COLUMNS_PER_ITEM : p->k->n_sweeps ? 4 * s->width : ELEMENTS_PER_ITEM);
    else walk(p, a, IR_WALK_ITEM, 0);
}

/* Tiles are for lanes along columns. More columns in registers where the target has 32 of them: rows * columns accumulators at once. */
static void choose_tiles(pass_planner *p) {
    ir_schedule *s = p->s;
    s->row_tile = s->micro_rows = s->micro_cols = 1;
    if (s->lanes != IR_COL) return;
    s->row_axis = pass_row_to_tile(p);
    s->row_tile = s->row_axis < 0 ? 1 : PASS_ROWS_PER_ITEM;
    s->micro_rows = s->row_tile == 1 ? 1 : 4;
    s->micro_cols = p->target->regs >= 32 ? 4 : 2;
    if (s->micro_cols > s->width) s->micro_cols = s->width;      /* sums of a row are summed together, one per lane */
    /* Nothing of a block waits in scratch: then a row runs through in one. */
    bool waits = false;
    for (uint32_t i = 0; i < p->k->n_lets; i++) waits |= p->k->lets[i].kind == IR_LET_ACC || (p->k->lets[i].kind == IR_LET_TERM && p->k->lets[i].rank & IR_COL);
    /* half of the first cache: what a sweep has read, the next one finds there */
    const int32_t row = (int32_t)(p->target->l1_bytes / 2 / pass_bytes_of(p, IR_SORT_REAL)) / s->width * s->width;
    s->col_block = waits || row < PASS_COLUMNS_PER_BLOCK ? PASS_COLUMNS_PER_BLOCK : row;
}

void pass_plan_nest(pass_planner *p) {
    pass_choose_lanes(p);
    choose_tiles(p);
}

/* ---- what lives in scratch */

/* The next place, rounded up to the alignment, so that all places are aligned if the first is. */
ir_expr pass_scratch_take(pass_planner *p, ir_expr bytes) {
    ir_unit *u = p->u;
    ir_expr at = p->scratch, whole = ir_add(u, bytes, ir_int(u, ALIGNMENT - 1));
    whole = ir_mul(u, ir_op2(u, IR_FDIV, whole, ir_int(u, ALIGNMENT)), ir_int(u, ALIGNMENT));
    p->scratch = ir_add(u, at, whole);
    return at;
}
/* Rounded up to whole vectors. */
ir_expr pass_whole(const pass_planner *p, ir_expr n) {
    const ir_expr w = ir_int(p->u, p->s->width);
    return ir_mul(p->u, ir_op2(p->u, IR_FDIV, ir_add(p->u, n, ir_int(p->u, p->s->width - 1)), w), w);
}
/* Of one element in scratch: integers and truth values take 8, as int64. */
int64_t pass_bytes_of(const pass_planner *p, uint8_t sort) { return sort == IR_SORT_REAL && p->k->real == IR_TYPE_F32 ? 4 : 8; }

/* A TERM is computed by tiles of rows and columns where all of them run over the same features. */
static bool tiled_term(const pass_planner *p, const ir_let *l) {
    if (l->kind != IR_LET_TERM || p->s->lanes != IR_COL || l->sweep > 0 || (l->rank & (IR_VAL | IR_FEAT)) || !(l->rank & (IR_ROW | IR_COL))) return false;
    for (uint32_t o = 0; o < l->n_over; o++) {
        const ir_expr extent = p->k->axes[pass_axis_of(p->k, l->over[o])].extent;
        if (ir_kernel_rank(p->k, extent) & (IR_ROW | IR_COL | IR_FEAT)) return false;
    }
    return true;
}
/* The feature along which the factors are the best neighbours, unless the lanes' column is a better one. A feature on which extents of others
 * depend is none. *role: IR_FEAT, IR_COL, or 0 for a scalar. */
static int32_t lane_of_term(const pass_planner *p, const ir_let *l, uint8_t *role) {
    int32_t best = -1, score = 0;
    for (uint32_t o = 0; o < l->n_over; o++) {
        const int32_t a = pass_axis_of(p->k, l->over[o]);
        const int32_t found = pass_score_in(p, l->a, (uint32_t)a) + pass_score_in(p, l->b, (uint32_t)a) + pass_score_in(p, l->e, (uint32_t)a);
        if (pass_shapes(p, (uint32_t)a, IR_FEAT) || (best >= 0 && found < score)) continue;
        best = a;
        score = found;
    }
    *role = best >= 0 ? IR_FEAT : 0;
    /* without a column in its rank all lanes of a block would compute the same */
    if (p->s->lanes != IR_COL || p->s->lane_axis < 0 || !(l->rank & IR_COL)) return best;
    const uint32_t c = (uint32_t)p->s->lane_axis;
    const int32_t column = pass_score_in(p, l->a, c) + pass_score_in(p, l->b, c) + pass_score_in(p, l->e, c);
    if (best >= 0 && column <= score) return best;
    *role = IR_COL;
    return (int32_t)c;
}
/* Tiles run along the value with the best score; lanes do too, unless the column of the sweep scores higher. */
static void lanes_of_acc(const pass_planner *p, const ir_let *l, ir_let_schedule *s) {
    int32_t best = -1, score = 0;
    for (uint32_t a = 0; a < p->k->n_axes; a++) {
        if (p->k->axes[a].role != IR_VAL) continue;
        const int32_t found = pass_score_in(p, l->b, a);
        if (best >= 0 && found < score) continue;
        best = (int32_t)a;
        score = found;
    }
    s->lane_axis = best;
    s->lanes = s->col_axis >= 0 && pass_score_in(p, l->b, (uint32_t)s->col_axis) > score ? IR_COL : IR_VAL;
}

/* The column that a sweep takes in blocks: the lanes' if the sweep has it, else its last that no other column's extent depends on, nor a feature's where columns are
 * the lanes. */
int32_t pass_column_of_sweep(const pass_planner *p, const ir_let *l) {
    int32_t last = -1;
    for (uint32_t o = 0; o < l->n_over; o++) {
        const int32_t a = pass_axis_of(p->k, l->over[o]);
        if (a == p->s->lane_axis) return a;
        if (!pass_shapes(p, (uint32_t)a, p->s->lanes == IR_COL ? IR_COL | IR_FEAT : IR_COL)) last = a;
    }
    return last;
}

/* A row factor that is more than a read is computed once per row, not once per tile of columns. */
ir_expr pass_features(const pass_planner *p, const ir_let *l) {
    ir_expr n = ir_int(p->u, 1);
    for (uint32_t o = 0; o < l->n_over; o++) n = ir_mul(p->u, n, p->k->axes[pass_axis_of(p->k, l->over[o])].extent);
    return n;
}
/* Only where the same rows meet several columns, and the place is of a size known before the launch. */
static bool packs(const pass_planner *p, const ir_let *l) {
    return l->a && !ir_is(p->u, l->a, IR_READ) && (l->rank & IR_ROW) && (l->rank & IR_COL) && p->s->row_tile > 1 && pass_over_dims(p, pass_features(p, l)) &&
           !(ir_kernel_rank(p->k, l->a) & IR_COL);
}

/* Features are not part of it: what varies over them lives in the loop of its TERM. */
uint8_t pass_place_of(uint8_t rank) {
    static const uint8_t places[8] = {IR_PLACE_CONST, IR_PLACE_ROW,       IR_PLACE_COL,       IR_PLACE_PAIR,
                                      IR_PLACE_VALUE, IR_PLACE_ROW_VALUE, IR_PLACE_COL_VALUE, IR_PLACE_PAIR_VALUE};
    return places[rank & 7];
}
/* All lines relative to one reference move together. */
static ir_expr moved_at(pass_planner *p, uint32_t let) {
    const ir_let *l = &p->k->lets[let];
    for (uint32_t i = 0; i < let; i++)
        if (p->k->lets[i].kind >= IR_LET_FOLD && p->k->lets[i].ref == l->ref && p->k->lets[i].sweep == l->sweep) return p->s->lets[i].moved_at;
    return pass_scratch_take(p, ir_int(p->u, p->s->row_tile * pass_bytes_of(p, IR_SORT_REAL)));
}
/* Without column lanes each of the vector's lanes has its own values; there are no blocks then, and no weights to keep. */
static void keep_acc(pass_planner *p, ir_let_schedule *s) {
    ir_unit *u = p->u;
    const int64_t size = pass_bytes_of(p, IR_SORT_REAL), per_row = p->s->lanes == IR_COL ? p->s->row_tile : p->s->width;
    s->at = pass_scratch_take(p, ir_mul(u, ir_axis_count(p->k, IR_VAL), ir_int(u, per_row * size)));
    if (p->s->lanes == IR_COL) s->weight_at = pass_scratch_take(p, ir_int(u, p->s->row_tile * p->s->col_block * size));
}
/* Order matters: scratch is given away line by line, and moved_at reads what earlier lines got. EXPR lines have no place
 * in scratch. */
void pass_plan_let(pass_planner *p, uint32_t i) {
    const ir_let *l = &p->k->lets[i];
    ir_let_schedule *s = &p->s->lets[i];
    const bool columns = p->s->lanes == IR_COL;
    const int64_t rows = l->rank & IR_ROW ? p->s->row_tile : 1, cols = l->rank & IR_COL ? p->s->col_block : 1;
    s->place = pass_place_of(l->rank);
    s->lanes = p->s->lanes;
    s->lane_axis = p->s->lane_axis;
    s->col_axis = columns && l->kind >= IR_LET_FOLD ? pass_column_of_sweep(p, l) : -1;
    if (l->kind == IR_LET_TERM) {
        s->lane_axis = lane_of_term(p, l, &s->lanes);
        s->kept = tiled_term(p, l);
        /* one value for each row of the tile and column of the block, if it varies over them at all */
        if (s->kept) s->at = pass_scratch_take(p, ir_int(p->u, rows * cols * pass_bytes_of(p, l->sort)));
        s->packed = s->kept && packs(p, l);
        if (s->packed) s->factor_at = pass_scratch_take(p, ir_mul(p->u, pass_features(p, l), ir_int(p->u, p->s->row_tile * pass_bytes_of(p, IR_SORT_REAL))));
    } else if (l->kind == IR_LET_ACC) {
        s->kept = true;
        if (columns) lanes_of_acc(p, l, s);
        keep_acc(p, s);
    } else if (l->kind == IR_LET_FOLD && columns) {
        s->kept = true;
        s->at = pass_scratch_take(p, ir_int(p->u, p->s->row_tile * pass_bytes_of(p, l->sort)));
    }
    if (l->kind >= IR_LET_FOLD && l->ref >= 0 && columns) s->moved_at = moved_at(p, i);
}

/* ---- items and costs */

/* Some line reads or divides in a way that is right only where something around it has an index. */
static bool can_fail(const ir_kernel *k) {
    for (uint32_t i = 0; i < k->n_lets; i++) {
        const ir_expr parts[] = {k->lets[i].e, k->lets[i].a, k->lets[i].b, k->lets[i].where};
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
            if (parts[p] && !pass_is_total(k->unit, parts[p])) return true;
    }
    return false;
}
ir_expr pass_walked(const pass_planner *p, uint32_t a) { return p->s->axes[a].extent ? p->s->axes[a].extent : p->k->axes[a].extent; }
/* Over dimensions, row-major over the axes that count items. A kernel that may fail has none where it stores nothing: its lines might then read what
 * is not there. */
static ir_expr items_of(const pass_planner *p) {
    ir_unit *u = p->u;
    ir_expr n = ir_int(u, 1);
    for (uint32_t a = 0; a < p->k->n_axes; a++) {
        const ir_axis_schedule *w = &p->s->axes[a];
        /* inside the item; it counts in turns_of */
        if (w->walk == IR_WALK_LOOP) continue;
        n = ir_mul(u, n, pass_items_along(p, a));
    }
    return can_fail(p->k) ? ir_select(u, ir_kernel_does(p->k), n, ir_int(u, 0)) : n;
}
static ir_expr turns_of(const pass_planner *p, uint32_t a) {  /* of axis a within one item; ragged ones count as if a few dozen */
    const ir_axis_schedule *w = &p->s->axes[a];
    if (w->walk == IR_WALK_ITEM) return ir_int(p->u, 1);
    if (!pass_over_dims(p, p->k->axes[a].extent)) return ir_int(p->u, 32);
    return w->walk == IR_WALK_LOOP ? pass_walked(p, a) : ir_op2(p->u, IR_MIN, pass_walked(p, a), ir_int(p->u, w->tile));
}
/* Each distinct expression once, in the operators' own units of cost. */
static bool weigh(const ir_unit *u, void *env, ir_expr e) {
    *(int64_t *)env += ir_ops[ir_at(u, e)->op].cost;
    return true;
}
static int64_t work_of(const pass_planner *p, const ir_let *l) {
    int64_t n = 1;
    const ir_expr parts[] = {l->e, l->a, l->b, l->where};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i]) ir_walk(p->u, parts[i], weigh, &n);
    return n;
}
/* Of one item, over dimensions: by it the runtime tells launches that are worth handing to workers. Rough; never 0, which would mean unknown.
 * A line runs over the axes of its rank, over what it sums,
 * and for each index of a tile. */
static ir_expr cost_of(const pass_planner *p) {
    ir_unit *u = p->u;
    ir_expr sum = ir_int(u, 16);
    for (uint32_t i = 0; i < p->k->n_lets; i++) {
        const ir_let *l = &p->k->lets[i];
        ir_expr each = ir_int(u, work_of(p, l));
        for (uint32_t a = 0; a < p->k->n_axes; a++) {
            /* a tile's indices are all in the item, also for lines that do not vary over them: an upper bound */
            bool runs = p->k->axes[a].role & l->rank || p->s->axes[a].walk == IR_WALK_TILE;
            for (uint32_t o = 0; o < l->n_over; o++) runs |= l->over[o] == p->k->axes[a].var;
            if (runs) each = ir_mul(u, each, turns_of(p, a));
        }
        sum = ir_add(u, sum, each);
    }
    for (uint32_t i = 0; i < p->k->n_stores; i++) {
        ir_expr each = ir_int(u, 1);
        for (uint32_t a = 0; a < p->k->n_axes; a++)
            if (p->k->axes[a].role != IR_FEAT) each = ir_mul(u, each, turns_of(p, a));
        sum = ir_add(u, sum, each);
    }
    return sum;
}

/* Of any template: what is chosen in between rests on what is known of the kernel alone. */
pass_planner pass_plan_begin(const ir_kernel *k, const ir_target *target, const int64_t *representative) {
    base_arena *arena = k->unit->arena;
    pass_planner p = {.u = k->unit, .k = k, .target = target, .representative = representative, .s = BASE_NEW(arena, ir_schedule)};
    p.s->kernel = k;
    p.s->form = IR_NEST;
    p.s->axes = BASE_ARRAY(arena, k->n_axes + 1, ir_axis_schedule);
    p.s->lets = BASE_ARRAY(arena, k->n_lets + 1, ir_let_schedule);
    /* the only state that goes from line to line */
    p.scratch = ir_int(p.u, 0);
    p.s->out_axis = -1;
    return p;
}
ir_schedule *pass_plan_end(pass_planner *p, double seconds) {
    p->s->items = items_of(p);
    p->s->cost_of_item = cost_of(p);
    pass_choose_order(p);
    p->s->scratch_bytes = p->scratch;
    p->s->predicted_s = seconds;
    p->s->unit_s = seconds / fmax(1, pass_size(p->u, p->s->items, p->representative) * pass_size(p->u, p->s->cost_of_item, p->representative));
    return p->s;
}

/* Each choice rests on those before it: lanes, then tiles, then walks, then lines; items and costs follow from all of them. */
/* why: NULL, or what keeps the kernel from the template of attention. */
static ir_schedule *schedule_one(const ir_kernel *k, const ir_target *target, const int64_t *representative, const char **why) {
    pass_planner p = pass_plan_begin(k, target, representative);
    const bool few = pass_schedule_few(&p);
    bool attend = !few && pass_schedule_attend(&p, why);
    if (few) *why = NULL;
    if (attend && !pass_attend_gains(k, target, representative)) {
        attend = false;
        *why = "it is predicted to be faster";
        p = pass_plan_begin(k, target, representative);
    }
    if (!attend && !few) pass_plan_nest(&p);
    for (uint32_t a = 0; a < k->n_axes; a++) choose_walk(&p, a);
    for (uint32_t i = 0; i < k->n_lets && !attend && !few; i++) pass_plan_let(&p, i);
    return pass_plan_end(&p, pass_nest_seconds(k, target, representative));
}
ir_schedule *pass_schedule_kernel(const ir_kernel *k, const ir_target *target, const int64_t *representative) {
    const char *why;
    return schedule_one(k, target, representative, &why);
}

/* Of a kernel that weighs values: what else sums is no attention, and nobody expects it to be one. */
static void remark_nest(pass_state *state, const ir_kernel *k, const char *why) {
    if (!why || !has_kind(k, IR_LET_ACC) || state->target->attend_rate <= 0) return;
    const char *text = base_printf(state->arena, "%s is computed by the loop nest, not by tiles of attention: %s", k->name, why);
    BASE_PUSH(state->arena, &state->remarks, ((pass_remark){text, k->span}));
}
bool pass_schedule(pass_state *state) {
    state->schedules = BASE_ARRAY(state->arena, state->n_kernels, ir_schedule *);
    for (uint32_t i = 0; i < state->n_kernels; i++) {
        const char *why = NULL;
        state->schedules[i] = schedule_one(state->kernels[i], state->target, state->representative, &why);
        remark_nest(state, state->kernels[i], why);
    }
    return pass_contracts(state);
}

/* The template FEW: attention where so few rows share their columns that they would leave most lanes of ATTEND empty, one query against a cache above all.
 *
 * Lanes lie along what a column brings: along its features in products of rows and columns, along columns in what happens to scores, along values in
 * sums of values. A column's key and value are read once for all rows of an item, in place. It is the walk of the
 * loop nest with lanes along columns, but for register tiles that hold all rows of an item, and for columns, of which it visits those that the mask leaves.
 *
 * It takes a kernel of few rows that has a product of row and column factors below its folds, whatever its lines are otherwise: what has no tile here
 * (pairwise bodies, column factors whose neighbours are columns) is computed as in the nest.
 *
 * Example: o[i, e] = sum(j: exp2(dot(q[i], k[j]) - m[i]) * v[j, e]) for three rows i: tiles of 3 x 4 dots with lanes along the width of q, then of 3 x 4 vectors of v. */
#include "schedule.h"

/* EIGHTHS: of a vector's lanes that rows would have to fill, for ATTEND to be the faster; ITEM: rows of an item; GROUP: of a register tile; FOLLOWING: columns of one
 * that follow one another in memory; COLUMNS: of a block; WALK: as in ATTEND. */
enum { EIGHTHS = 5, ITEM = 8, GROUP = 4, FOLLOWING = 4, COLUMNS = 256, WALK = 32 };

/* At the representative sizes; a kernel without rows is one. */
static double rows_of(const pass_planner *p, int32_t row) { return row < 0 ? 1 : pass_size(p->u, p->k->axes[row].extent, p->representative); }

/* ---- may it be */

/* Lines that vary over the row of the tile, through the lines that they read; lines read upwards only, so one walk is enough. */
typedef struct { const bool *lets; bool found; } row_search;
static bool row_visit(const ir_unit *u, void *env, ir_expr e) {
    row_search *s = env;
    if (ir_is(u, e, IR_LET)) s->found |= s->lets[ir_at(u, e)->u.ref];
    return !s->found;
}
static bool by_row(const pass_planner *p, const bool *lets, ir_expr e, int32_t row) {
    if (!e || row < 0) return false;
    row_search s = {lets, ir_depends(p->u, e, p->k->axes[row].var)};
    ir_walk(p->u, e, row_visit, &s);
    return s.found;
}
static const bool *lets_by_row(const pass_planner *p, int32_t row) {
    bool *lets = BASE_ARRAY(p->u->arena, p->k->n_lets + 1, bool);
    for (uint32_t i = 0; i < p->k->n_lets; i++) {
        const ir_expr parts[] = {p->k->lets[i].e, p->k->lets[i].a, p->k->lets[i].b, p->k->lets[i].where};
        for (size_t n = 0; n < sizeof parts / sizeof *parts; n++) lets[i] |= by_row(p, lets, parts[n], row);
    }
    return lets;
}
/* A sum of products whose column factor is the same for all rows of the item: it has register tiles here, if lanes run along a feature. */
static bool is_product(const pass_planner *p, const bool *lets, const ir_let *l, int32_t row) {
    return l->kind == IR_LET_TERM && l->a && ir_is_bool(p->u, l->where, true) && l->sweep == 0 && !(l->rank & (IR_VAL | IR_FEAT)) && l->rank & IR_COL &&
           pass_over_dims(p, pass_features(p, l)) && !(ir_kernel_rank(p->k, l->a) & IR_COL) && !by_row(p, lets, l->b, row);
}
static bool has_product(const pass_planner *p, int32_t row) {
    const bool *lets = lets_by_row(p, row);
    for (uint32_t i = 0; i < p->k->n_lets; i++)
        if (is_product(p, lets, &p->k->lets[i], row)) return true;
    return false;
}
static bool forced(const ir_target *t) { return t->few_rows || t->few_columns || t->few_block; }
/* In the order of cost: the kernel's form first, then what its lines read. */
static bool fits(const pass_planner *p) {
    if (!p->k->n_sweeps || p->target->lanes < 4 || pass_serial(p->k) || !pass_sweeps_have_columns(p)) return false;
    const int32_t row = pass_row_to_tile(p);
    return (forced(p->target) || 8 * rows_of(p, row) <= EIGHTHS * pass_width(p)) && has_product(p, row);
}
bool pass_is_few(const ir_kernel *k, const ir_target *target, const int64_t *representative) {
    const pass_planner p = pass_plan_begin(k, target, representative);
    return fits(&p);
}

/* ---- tiles and places */

/* Is the whole width of a column followed by the next column? Then a tile of few of them reads one stream of memory, which the machine sees coming; columns
 * that lie apart are better asked for many at a time. */
static bool follow(const pass_planner *p) {
    for (uint32_t i = 0; i < p->k->n_lets; i++) {
        const ir_let *l = &p->k->lets[i];
        const ir_access *access = l->kind == IR_LET_TERM && l->a && ir_is(p->u, l->b, IR_READ) ? ir_kernel_access(p->k, l->b) : NULL;
        for (uint32_t a = 0; access && a < p->k->n_axes; a++)
            if (p->k->axes[a].role == IR_COL && access->step[a] == pass_features(p, l)) return true;
    }
    return false;
}
/* Rows of an item, all in registers group by group, as even as they can be; fewer rows leave room for more columns, so that additions do not wait for
 * one another. */
static void plan_tiles(pass_planner *p) {
    ir_schedule *s = p->s;
    const ir_target *t = p->target;
    const double n = fmax(1, rows_of(p, s->row_axis)), items = ceil(n / ITEM);
    s->row_tile = s->row_axis < 0 ? 1 : t->few_rows ? t->few_rows : (int32_t)fmin(ITEM, ceil(n / items));
    const int32_t groups = (s->row_tile + GROUP - 1) / GROUP;
    s->micro_rows = (s->row_tile + groups - 1) / groups;
    s->micro_cols = follow(p) ? FOLLOWING : IR_MICRO;
    while (s->micro_cols > 1 && (s->micro_cols * s->micro_rows > t->regs / 2 || s->micro_cols > s->width)) s->micro_cols /= 2;
    if (t->few_columns && t->few_columns <= s->width) s->micro_cols = t->few_columns;
    s->col_block = t->few_block ? (t->few_block + s->width - 1) / s->width * s->width : COLUMNS;
    s->walk = s->col_block < WALK ? s->col_block : WALK;
}
/* Row factors are always packed: whole vectors with zeros behind the last feature, so that tiles load them as they are. */
static void plan_let(pass_planner *p, const bool *lets, uint32_t i) {
    const ir_let *l = &p->k->lets[i];
    ir_let_schedule *s = &p->s->lets[i];
    pass_plan_let(p, i);
    if (l->kind != IR_LET_TERM) return;
    s->packed = s->kept && s->lanes == IR_FEAT && is_product(p, lets, l, p->s->row_axis);
    if (!s->packed) return;
    ir_expr n = ir_int(p->u, p->s->row_tile * pass_bytes_of(p, IR_SORT_REAL));
    for (uint32_t o = 0; o < l->n_over; o++) {
        const int32_t a = pass_axis_of(p->k, l->over[o]);
        n = ir_mul(p->u, n, a == s->lane_axis ? pass_whole(p, p->k->axes[a].extent) : p->k->axes[a].extent);
    }
    s->factor_at = pass_scratch_take(p, n);
}
/* False: not of this template. */
bool pass_schedule_few(pass_planner *p) {
    if (!fits(p)) return false;
    p->s->form = IR_FEW;
    pass_choose_lanes(p);
    p->s->row_axis = pass_row_to_tile(p);
    plan_tiles(p);
    const bool *lets = lets_by_row(p, p->s->row_axis);
    for (uint32_t i = 0; i < p->k->n_lets; i++) plan_let(p, lets, i);
    return true;
}

/* The template ATTEND: products of rows and columns, folds over the columns, sums of values, with rows in the lanes.
 *
 * A tile of rows (two vectors of them) meets blocks of columns. Register tiles hold scores [column][row] and values [value][row]: what a column brings is one
 * number, spread over the lanes from where it lies in memory, so keys and values need no packing; row factors are turned into lanes once per tile. Folds, references
 * and score functions are vertical, and nothing is summed across lanes.
 *
 * Sums over features are computed in register tiles: products of a row and a column factor as such, any other body for each pair and feature, from operands that are ready
 * where they vary over one side alone. Scores without features are computed column by column.
 *
 * Not taken, with the reason for a remark: results over columns, rows that end their own columns, fewer rows than half a vector, folds alone; and what the loop nest is predicted to
 * compute faster (cost.c).
 *
 * Example: o[i, e] = sum(j: exp2(dot(q[i], k[j]) - m[i]) * v[j, e]) has rows i in the lanes; k and v are read in place. */
#include "schedule.h"

/* COLUMNS: of a block, so that its scores (and the keys they come from) stay near; a multiple of every register tile. LONG: operations of a score
 * that is computed apart from its weight. */
enum { COLUMNS = 192, WIDE_COLUMNS = 8, NARROW_COLUMNS = 4, VECTORS = 2, WALK = 32, LONG = 8 };

/* ---- what lines vary over, as bits of axes */

typedef struct { const pass_planner *p; uint32_t *lets; uint32_t bits; } reach;
static bool reach_visit(const ir_unit *u, void *env, ir_expr e) {
    reach *r = env;
    if (ir_is(u, e, IR_LET)) r->bits |= r->lets[ir_at(u, e)->u.ref];
    return true;
}
static uint32_t reach_of(const pass_planner *p, uint32_t *lets, ir_expr e) {
    reach r = {p, lets, 0};
    if (!e) return 0;
    ir_walk(p->u, e, reach_visit, &r);
    for (uint32_t a = 0; a < p->k->n_axes; a++)
        if (ir_depends(p->u, e, p->k->axes[a].var)) r.bits |= 1u << a;
    return r.bits;
}
/* By line; lines read upwards only, so one walk is enough. */
static uint32_t *reaches(const pass_planner *p) {
    uint32_t *bits = BASE_ARRAY(p->u->arena, p->k->n_lets + 1, uint32_t);
    for (uint32_t i = 0; i < p->k->n_lets; i++) {
        const ir_let *l = &p->k->lets[i];
        bits[i] = reach_of(p, bits, l->e) | reach_of(p, bits, l->a) | reach_of(p, bits, l->b);
        if (l->kind != IR_LET_EXPR) bits[i] |= reach_of(p, bits, l->where);
        for (uint32_t o = 0; o < l->n_over; o++) bits[i] &= ~(1u << pass_axis_of(p->k, l->over[o]));
    }
    return bits;
}

/* ---- may it be */

/* Values to sum up, or a sum over features for each pair; what has neither has folds alone. */
static bool has_tiles(const ir_kernel *k) {
    for (uint32_t i = 0; i < k->n_lets; i++) {
        const ir_let *l = &k->lets[i];
        if (l->kind == IR_LET_ACC || (l->kind == IR_LET_TERM && (l->rank & (IR_ROW | IR_COL)) == (IR_ROW | IR_COL))) return true;
    }
    return false;
}
/* Its lanes run all loops together, so no extent inside depends on it. */
static bool may_be_lanes(const pass_planner *p, uint32_t a) {
    const ir_axis *x = &p->k->axes[a];
    return x->role == IR_ROW && pass_over_dims(p, x->extent) && !pass_shapes(p, a, IR_COL | IR_FEAT);
}
/* What folds take where neighbours along axis a are neighbours in memory: more is better. */
static int32_t fold_score(const pass_planner *p, uint32_t a) {
    int32_t score = 0;
    for (uint32_t i = 0; i < p->k->n_lets; i++)
        if (p->k->lets[i].kind != IR_LET_TERM) score += pass_score_in(p, p->k->lets[i].e, a) + pass_score_in(p, p->k->lets[i].b, a);
    return score;
}
/* The row with the most indices; of equals the inner one. Folds alone read memory for each pair, so there the best neighbours come first, if they fill a vector. */
static int32_t row_for_lanes(const pass_planner *p) {
    const bool tiles = has_tiles(p->k);
    int32_t found = -1, best = 0;
    double most = 0;
    for (uint32_t a = 0; a < p->k->n_axes; a++) {
        if (!may_be_lanes(p, a)) continue;
        const double size = pass_size(p->u, p->k->axes[a].extent, p->representative);
        const int32_t score = tiles || size < p->target->lanes ? 0 : fold_score(p, a);
        if (found >= 0 && (score < best || (score == best && size < most))) continue;
        found = (int32_t)a;
        most = size;
        best = score;
    }
    return found;
}
/* A product for register tiles: its factors are one of the row and one of the column, summed over features that end alike for all pairs. */
static bool is_product(const pass_planner *p, uint32_t *lets, const ir_let *l, int32_t row) {
    const uint32_t columns = pass_axes_of(p->k, IR_COL);
    return l->kind == IR_LET_TERM && l->a && ir_is_bool(p->u, l->where, true) && l->sweep == 0 && !(l->rank & (IR_VAL | IR_FEAT)) && l->rank & IR_COL &&
           pass_over_dims(p, pass_features(p, l)) && !(reach_of(p, lets, l->a) & columns) && !(reach_of(p, lets, l->b) >> row & 1);
}
/* Any other sum over features of pairs, in the same tiles: its body is computed for each pair and feature. */
static bool is_pairwise(const pass_planner *p, uint32_t *lets, const ir_let *l, int32_t row) {
    return l->kind == IR_LET_TERM && l->sort == IR_SORT_REAL && l->sweep == 0 && !(l->rank & (IR_VAL | IR_FEAT)) && l->rank & IR_COL &&
           lets[l - p->k->lets] >> row & 1 && pass_over_dims(p, pass_features(p, l));
}
static bool leaves_pairs_out(const ir_kernel *k) {
    for (uint32_t i = 0; i < k->n_lets; i++)
        if (k->lets[i].kind >= IR_LET_FOLD && !ir_is_bool(k->unit, k->lets[i].where, true)) return true;
    return false;
}
static const char *wrong_stores(const pass_planner *p) {
    for (uint32_t i = 0; i < p->k->n_stores; i++)
        for (uint32_t n = 0; n < p->k->stores[i].at.n_places; n++)
            if (ir_kernel_rank(p->k, p->k->stores[i].at.places[n]) & IR_COL) return "a result over columns";
    return NULL;
}
static const char *wrong_sweeps(const pass_planner *p) {
    for (uint32_t i = 0; i < p->k->n_lets; i++)
        if (p->k->lets[i].kind >= IR_LET_FOLD && pass_column_of_sweep(p, &p->k->lets[i]) < 0) return "columns that all shape one another";
    return NULL;
}
/* NULL: the template takes the kernel, with rows along *row in the lanes. */
static const char *wrong(const pass_planner *p, int32_t *row) {
    *row = row_for_lanes(p);
    if (p->target->lanes < 2) return "a target without vectors";
    if (!p->k->n_sweeps) return "no folds over columns";
    if (pass_serial(p->k)) return "a store whose order matters";
    if (*row < 0) return "no rows that share their columns";
    const char *why = !has_tiles(p->k) && !leaves_pairs_out(p->k) ? "folds alone" : NULL;
    if (!why) why = wrong_stores(p);
    if (!why) why = wrong_sweeps(p);
    if (!why && pass_size(p->u, p->k->axes[*row].extent, p->representative) < p->target->lanes / 2) why = "too few rows for the lanes";
    return why;
}

/* ---- places */

static ir_expr take(pass_planner *p, ir_expr elements, int64_t per) {
    return pass_scratch_take(p, ir_mul(p->u, elements, ir_int(p->u, per * pass_bytes_of(p, IR_SORT_REAL))));
}
/* Read where it lies: an element of the type that is computed with. Anything else is computed once per block. */
static bool in_place(const pass_planner *p, ir_expr factor) {
    return ir_is(p->u, factor, IR_READ) && p->u->value.at[ir_at(p->u, factor)->u.ref].type.dtype == p->k->real;
}
/* Of the features of a TERM or the values of an ACC, the one along which what e reads are neighbours. */
static int32_t best_of(const pass_planner *p, ir_expr e, uint32_t axes) {
    int32_t best = -1, score = 0;
    for (uint32_t a = 0; a < p->k->n_axes; a++) {
        if (!(axes >> a & 1)) continue;
        const int32_t found = pass_score_in(p, e, a);
        if (best >= 0 && found < score) continue;
        best = (int32_t)a;
        score = found;
    }
    return best;
}
static uint32_t over_axes(const pass_planner *p, const ir_let *l) {
    uint32_t bits = 0;
    for (uint32_t o = 0; o < l->n_over; o++) bits |= 1u << pass_axis_of(p->k, l->over[o]);
    return bits;
}
/* Row factors are turned, by way of rows_at, where their neighbours are features; where they are rows they are loaded as lanes. */
static void plan_product(pass_planner *p, const ir_let *l, ir_let_schedule *s) {
    const uint32_t over = over_axes(p, l);
    const int32_t row = p->s->lane_axis, feature = best_of(p, ir_is(p->u, l->a, IR_READ) ? l->a : l->b, over);
    const bool along_rows = pass_score_in(p, l->a, (uint32_t)row) > pass_score_in(p, l->a, (uint32_t)feature);
    s->lane_axis = feature;
    s->lanes = along_rows ? IR_ROW : IR_FEAT;
    s->kept = s->packed = true;
    s->at = take(p, ir_int(p->u, p->s->col_block + p->s->micro_rows), p->s->row_tile);
    s->factor_at = take(p, pass_whole(p, pass_features(p, l)), p->s->row_tile);
    if (!in_place(p, l->b)) s->col_at = take(p, pass_whole(p, pass_features(p, l)), p->s->col_block);
}
/* The largest parts of a body that vary over its features, and over rows or columns alone: computed once per item, or once per block. */
typedef struct { pass_planner *p; uint32_t *lets; uint32_t over; BASE_VEC(ir_pair_operand) found; } operand_search;
static bool operand_visit(const ir_unit *u, void *env, ir_expr e) {
    operand_search *s = env;
    const uint32_t bits = reach_of(s->p, s->lets, e);
    const bool row = bits >> s->p->s->lane_axis & 1, column = bits & pass_axes_of(s->p->k, IR_COL);
    if (ir_at(u, e)->sort != IR_SORT_REAL || !(bits & s->over) || row == column) return true;
    for (uint32_t i = 0; i < s->found.n; i++)
        if (s->found.at[i].e == e) return false;
    BASE_PUSH(s->p->u->arena, &s->found, ((ir_pair_operand){.e = e, .side = row ? IR_ROW : IR_COL}));
    return false;
}
/* Operands of rows are turned where their neighbours are features; those of columns that are no more than a read are read where they lie. */
static void place_operand(pass_planner *p, const ir_let *l, const ir_let_schedule *s, ir_pair_operand *o) {
    const ir_expr n = pass_whole(p, pass_features(p, l));
    if (o->side == IR_COL) {
        if (!in_place(p, o->e)) o->at = take(p, n, p->s->col_block);
        return;
    }
    o->lanes = pass_score_in(p, o->e, (uint32_t)p->s->lane_axis) > pass_score_in(p, o->e, (uint32_t)s->lane_axis) ? IR_ROW : IR_FEAT;
    o->at = take(p, n, p->s->row_tile);
}
static void plan_pairwise(pass_planner *p, uint32_t *lets, const ir_let *l, ir_let_schedule *s) {
    operand_search found = {.p = p, .lets = lets, .over = over_axes(p, l)};
    const ir_expr parts[] = {l->e, l->a, l->b, l->where};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i]) ir_walk(p->u, parts[i], operand_visit, &found);
    s->lanes = IR_FEAT;
    s->lane_axis = best_of(p, l->e ? l->e : l->b, found.over);
    s->kept = s->packed = true;
    s->at = take(p, ir_int(p->u, p->s->col_block + p->s->micro_rows), p->s->row_tile);
    for (uint32_t i = 0; i < found.found.n; i++) place_operand(p, l, s, &found.found.at[i]);
    s->operands = found.found.at;
    s->n_operands = found.found.n;
}
/* Weights take the place of the scores they come from: in the last stage of a sweep nobody needs these any more. One ACC per product. */
static ir_expr weight_place(pass_planner *p, uint32_t i) {
    uint32_t before = 0;
    for (uint32_t k = 0; k < i; k++) before += p->k->lets[k].kind == IR_LET_ACC;
    bool last_stage = p->k->lets[i].ref >= 0;
    for (uint32_t k = 0, n = 0; k < p->k->n_lets && last_stage; k++)
        if (p->k->lets[k].kind == IR_LET_TERM && p->s->lets[k].packed && n++ == before) return p->s->lets[k].at;
    return take(p, ir_int(p->u, p->s->col_block + p->s->micro_rows), p->s->row_tile);
}
static void plan_acc(pass_planner *p, uint32_t *lets, uint32_t i, ir_let_schedule *s) {
    const ir_let *l = &p->k->lets[i];
    const uint32_t values = pass_axes_of(p->k, IR_VAL);
    s->lane_axis = best_of(p, l->b, values);
    s->lanes = IR_VAL;
    s->kept = true;
    s->at = take(p, ir_axis_count(p->k, IR_VAL), p->s->row_tile);
    s->weight_at = weight_place(p, i);
    if (!in_place(p, l->b) && !(reach_of(p, lets, l->b) >> p->s->lane_axis & 1)) s->col_at = take(p, pass_whole(p, ir_axis_count(p->k, IR_VAL)), p->s->col_block);
}
static void plan_let(pass_planner *p, uint32_t *lets, uint32_t i) {
    const ir_let *l = &p->k->lets[i];
    ir_let_schedule *s = &p->s->lets[i];
    s->place = pass_place_of(l->rank);
    s->lanes = IR_ROW;
    s->lane_axis = p->s->lane_axis;
    s->col_axis = l->kind >= IR_LET_FOLD ? pass_column_of_sweep(p, l) : -1;
    if (l->kind == IR_LET_TERM && is_product(p, lets, l, p->s->lane_axis)) plan_product(p, l, s);
    else if (is_pairwise(p, lets, l, p->s->lane_axis)) plan_pairwise(p, lets, l, s);
    else if (l->kind == IR_LET_TERM) {
        s->lanes = IR_FEAT;
        s->lane_axis = best_of(p, l->e ? l->e : l->b, over_axes(p, l));
        if (pass_shapes(p, (uint32_t)s->lane_axis, IR_FEAT)) s->lanes = 0;
    } else if (l->kind == IR_LET_ACC) plan_acc(p, lets, i, s);
}
/* Stores over values leave the lanes, unless rows are the neighbours there. */
static void plan_stores(pass_planner *p) {
    const uint32_t values = pass_axes_of(p->k, IR_VAL);
    ir_expr most = ir_int(p->u, 0);
    p->s->out_axis = -1;
    for (uint32_t i = 0; i < p->k->n_stores && values; i++) {
        const int32_t row = p->s->lane_axis;
        for (uint32_t a = 0; a < p->k->n_axes && p->s->out_axis < 0; a++)
            if (values >> a & 1 && pass_store_score(p, &p->k->stores[i].at, a) > pass_store_score(p, &p->k->stores[i].at, (uint32_t)row)) p->s->out_axis = (int32_t)a;
    }
    if (p->s->out_axis >= 0) {
        most = pass_whole(p, ir_axis_count(p->k, IR_VAL));
        p->s->out_at = take(p, most, p->s->row_tile);
    }
    for (uint32_t i = 0; i < p->k->n_lets; i++)
        if (p->s->lets[i].packed && p->s->lets[i].lanes == IR_FEAT) most = ir_op2(p->u, IR_MAX, most, pass_whole(p, pass_features(p, &p->k->lets[i])));
    p->s->rows_at = take(p, most, p->s->row_tile);
}

/* ---- scores that are wanted twice */

typedef struct { const pass_planner *p; ir_expr needle; bool found, products; } search;
static bool search_visit(const ir_unit *u, void *env, ir_expr e) {
    search *s = env;
    if (e == s->needle) {
        s->found = true;
        return false;
    }
    if (!ir_is(u, e, IR_LET)) return true;
    const uint32_t k = ir_at(u, e)->u.ref;
    const ir_let *l = &s->p->k->lets[k];
    s->products |= s->p->s->lets[k].packed;
    if (l->kind == IR_LET_EXPR) ir_walk(u, l->e, search_visit, s);
    return true;
}
/* What line i folds: the expression behind its line. */
static ir_expr body_of(const pass_planner *p, uint32_t i) {
    const ir_expr e = p->k->lets[i].e;
    return ir_is(p->u, e, IR_LET) && p->k->lets[ir_at(p->u, e)->u.ref].kind == IR_LET_EXPR ? p->k->lets[ir_at(p->u, e)->u.ref].e : e;
}
/* Some reference of the sweep is a number, and none moves. */
static bool stands(const pass_planner *p, uint32_t sweep) {
    bool found = false;
    for (uint32_t k = 0; k < p->k->n_lets; k++) {
        const ir_let *l = &p->k->lets[k];
        if (l->kind < IR_LET_FOLD || l->sweep != sweep || l->ref < 0) continue;
        if (!p->s->lets[l->ref].bound) return false;
        found = true;
    }
    return found;
}
static bool weigh(const ir_unit *u, void *env, ir_expr e) {
    *(int64_t *)env += ir_ops[ir_at(u, e)->op].cost;
    return true;
}
/* Then scores and weights need not be apart, and are not unless the scores take long: one chain of operations of both leaves the machine fewer of them
 * to overlap than two. */
static bool in_one_stage(const pass_planner *p, uint32_t sweep, ir_expr score) {
    int64_t n = 0;
    ir_walk(p->u, score, weigh, &n);
    return n < LONG && stands(p, sweep);
}
/* A fold stands before the reference, and what is relative to that computes the same again (a soft cap, a bias): it is kept, at the place of
 * the products if nobody needs these any more. */
static void plan_twice(pass_planner *p, uint32_t i) {
    const ir_let *l = &p->k->lets[i];
    search s = {p, body_of(p, i), false, false};
    if (l->kind != IR_LET_FOLD || l->ref >= 0 || in_one_stage(p, l->sweep, s.needle) || l->sort != IR_SORT_REAL || ir_is(p->u, s.needle, IR_LET) || ir_kernel_rank(p->k, s.needle) != (IR_ROW | IR_COL)) return;
    /* all of the sweep, also those above: their scores must not be written over either */
    for (uint32_t k = 0; k < p->k->n_lets; k++)
        if (p->k->lets[k].kind >= IR_LET_FOLD && p->k->lets[k].sweep == l->sweep && p->k->lets[k].ref >= 0) ir_walk(p->u, p->k->lets[k].e, search_visit, &s);
    if (!s.found) return;
    p->s->lets[i].kept = true;
    for (uint32_t k = 0; k < i && !s.products; k++)
        if (p->s->lets[k].packed && !p->s->lets[i].at) p->s->lets[i].at = p->s->lets[k].at;
    for (uint32_t k = 0; k < i; k++)     /* two folds of one sweep do not share it */
        if (p->k->lets[k].kind == IR_LET_FOLD && p->s->lets[k].kept && p->s->lets[k].at == p->s->lets[i].at) p->s->lets[i].at = 0;
    if (!p->s->lets[i].at) p->s->lets[i].at = take(p, ir_int(p->u, p->s->col_block + p->s->micro_rows), p->s->row_tile);
}

/* ---- reads of pairs whose neighbours are columns: rows in the lanes would gather them */

typedef struct { pass_planner *p; uint32_t columns; BASE_VEC(ir_pair_read) found; } pair_search;
static bool in_bounds(const pass_planner *p, ir_expr read) {
    const ir_type t = p->u->value.at[ir_at(p->u, read)->u.ref].type;
    for (uint32_t i = 0; i < t.rank; i++)
        if (!ir_in_range(p->u, ir_operand(p->u, read, i), t.dim[i])) return false;
    return true;
}
static bool turns(const pass_planner *p, ir_expr read, int32_t column) {
    const ir_access *access = ir_kernel_access(p->k, read);
    const int32_t row = p->s->lane_axis;
    const uint8_t dtype = p->u->value.at[ir_at(p->u, read)->u.ref].type.dtype;
    int64_t n;
    if (!access || access->gather || !access->step[column] || !access->step[row]) return false;
    if (dtype != IR_TYPE_BOOL && ir_dtypes[dtype].bytes != ir_dtypes[p->k->real].bytes) return false;
    return ir_is_int(p->u, access->step[column], &n) && n == 1 && !ir_is_int(p->u, access->step[row], NULL) && in_bounds(p, read);
}
static bool pair_visit(const ir_unit *u, void *env, ir_expr e) {
    pair_search *s = env;
    if (!ir_is(u, e, IR_READ)) return true;
    for (uint32_t i = 0; i < s->found.n; i++)
        if (s->found.at[i].read == e) return false;
    for (uint32_t a = 0; a < s->p->k->n_axes; a++)
        if (s->columns >> a & 1 && turns(s->p, e, (int32_t)a)) {
            const ir_pair_read pair = {e, 0};
            BASE_PUSH(s->p->u->arena, &s->found, pair);
            return false;
        }
    return true;
}
static void plan_pairs(pass_planner *p) {
    pair_search s = {.p = p};
    for (uint32_t i = 0; i < p->k->n_lets; i++)
        if (p->k->lets[i].kind >= IR_LET_FOLD) s.columns |= 1u << p->s->lets[i].col_axis;
    for (uint32_t i = 0; i < p->k->n_lets; i++) {
        const ir_let *l = &p->k->lets[i];
        if (l->kind == IR_LET_TERM || l->rank & (IR_VAL | IR_FEAT)) continue;
        ir_walk(p->u, l->e, pair_visit, &s);
        if (l->kind != IR_LET_EXPR) ir_walk(p->u, l->where, pair_visit, &s);
    }
    for (uint32_t i = 0; i < s.found.n; i++) s.found.at[i].at = take(p, ir_int(p->u, p->s->col_block + p->s->width), p->s->row_tile);
    p->s->pairs = s.found.at;
    p->s->n_pairs = s.found.n;
}

/* ---- references that lag, where they may */

/* Does a score go along with its column, other than by what it reads there? Then the sums of the next block are far away as a rule (slopes by distance), and
 * it is computed twice. */
typedef struct { const pass_planner *p; bool found; } by_column;
static bool by_column_visit(const ir_unit *u, void *env, ir_expr e) {
    by_column *c = env;
    for (uint32_t a = 0; a < c->p->k->n_axes && ir_is(u, e, IR_VAR); a++) c->found |= c->p->k->axes[a].role == IR_COL && ir_var_expr(c->p->u, c->p->k->axes[a].var) == e;
    if (ir_is(u, e, IR_LET) && c->p->k->lets[ir_at(u, e)->u.ref].kind == IR_LET_EXPR) ir_walk(u, c->p->k->lets[ir_at(u, e)->u.ref].e, by_column_visit, env);
    return !ir_is(u, e, IR_READ);
}
/* Long scores have two stages because these are faster than one (LONG): that is what lagging would make of them. */
static bool lags_gain(const pass_planner *p, uint32_t i) {
    by_column c = {p, false};
    int64_t n = 0;
    const ir_expr score = body_of(p, i);
    ir_walk(p->u, score, by_column_visit, &c);
    ir_walk(p->u, score, weigh, &n);
    return !c.found && n < LONG;
}
/* Columns come in long runs, full ones first: no mask, or one in closed form. A walk by tiles is the longest code there is as it stands, and gains half as much. */
static bool long_runs(const pass_planner *p, int32_t axis) {
    const ir_mask *m = p->k->mask;
    bool exact = !m || !m->lo[axis];
    for (uint32_t i = 0; !exact && i < m->n_keys; i++) exact = (int32_t)m->keys[i].axis == axis && m->keys[i].exact;
    return exact;
}
/* Where pairs are read from memory, that is what takes the time: nothing is gained. */
static void plan_lagging(pass_planner *p) {
    const uint8_t forced = p->target->reference;
    bool lag = forced != IR_REF_EXACT && (forced == IR_REF_LAGGING || !p->s->n_pairs);
    for (uint32_t i = 0; i < p->k->n_lets; i++)
        if (p->s->lets[i].lags && p->k->lets[i].kind == IR_LET_FOLD) lag &= forced == IR_REF_LAGGING || (lags_gain(p, i) && long_runs(p, p->s->lets[i].col_axis));
    for (uint32_t i = 0; i < p->k->n_lets; i++) p->s->lets[i].lags &= lag;
}

/* Register tiles: accumulators, the vectors of rows and a spread number have to fit, with room for the score code. */
static void plan_tiles(pass_planner *p) {
    ir_schedule *s = p->s;
    const ir_target *t = p->target;
    s->micro_rows = t->tile_keys ? t->tile_keys : t->regs >= 32 ? WIDE_COLUMNS : NARROW_COLUMNS;
    s->micro_cols = t->tile_vectors ? t->tile_vectors : VECTORS;
    s->row_tile = s->width * s->micro_cols;
    s->col_block = t->tile_block ? t->tile_block : COLUMNS;
    s->walk = s->col_block < WALK ? s->col_block : WALK;
}

/* False: not of this template; *why says it. */
int32_t pass_attends(const ir_kernel *k, const ir_target *target, const int64_t *representative) {
    const pass_planner p = pass_plan_begin(k, target, representative);
    int32_t row;
    return k->n_sweeps && !wrong(&p, &row) ? row : -1;
}
ir_schedule *pass_attend_plan(const ir_kernel *k, const ir_target *target, const int64_t *representative, const char **why) {
    pass_planner p = pass_plan_begin(k, target, representative);
    return pass_schedule_attend(&p, why) ? p.s : NULL;
}
bool pass_schedule_attend(pass_planner *p, const char **why) {
    int32_t row;
    uint32_t *lets = reaches(p);
    ir_schedule *s = p->s;
    *why = wrong(p, &row);
    if (*why) return false;
    s->form = IR_ATTEND;
    s->lanes = IR_ROW;
    s->lane_axis = row;
    s->row_axis = -1;
    s->width = p->k->real == IR_TYPE_F64 ? p->target->lanes / 2 : p->target->lanes;
    plan_tiles(p);
    pass_references(p->k, s->lets);
    for (uint32_t i = 0; i < p->k->n_lets; i++) plan_let(p, lets, i);
    for (uint32_t i = 0; i < p->k->n_lets; i++) plan_twice(p, i);
    plan_pairs(p);
    plan_lagging(p);
    plan_stores(p);
    return true;
}

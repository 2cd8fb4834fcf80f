/* Register tiles of the template FEW: all rows of an item against some columns, their factors in registers, so that what a column brings is read once.
 * The walk around is that of block.c.
 *
 *   scores       lanes along a feature: a tile of rows x columns has a vector of partial sums for each pair; all of a row's are summed across lanes
 *                together, and stand along the columns of the block
 *   accumulate   lanes along values: a tile of rows x vectors of values, one column after the other, or two where a tile alone has too few additions to
 *                overlap
 *
 * Rows of an item are unrolled, also those that do not exist: these are the last one again, and nobody reads their sums. Their weights are 0. */
#include "attend.h"

enum { MOST = IR_MICRO, STEPS = 4 };
typedef struct {
    uint32_t let;
    int32_t row, rows;           /* of the item, from 0 */
    int32_t cols;                /* columns, or vectors of values */
    int32_t steps;               /* ACC: columns at once, with sums of their own */
    cpu_val at[MOST];            /* columns, none behind the last */
    cpu_val value, tail;         /* ACC: first value of the tile; lanes of a vector that is not full */
    cpu_val sum[STEPS][MOST][MOST];      /* slots, registers after sroa; [0] for a product */
} tile;

/* In this template alone packed means that there is a register tile; elsewhere it is a place of row factors and no more. */
bool cpu_few_packs(const cpu_emitter *e, uint32_t k) { return e->s->form == IR_FEW && e->s->lets[k].packed; }
/* Values that differ from row to row, or whose neighbours are columns, are added up as in the nest (acc.c). */
bool cpu_few_sums(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    return e->s->form == IR_FEW && l->kind == IR_LET_ACC && e->s->lets[k].lanes == IR_VAL && !cpu_varies_with_row(e, l->b);
}
/* A number of the code: rows of the tile, whether the item at hand has as many or not. */
static int32_t rows_of(const cpu_emitter *e, uint32_t k) { return e->k->lets[k].rank & IR_ROW ? e->s->row_tile : 1; }
static cpu_val first_row(const cpu_emitter *e) { return e->s->row_axis < 0 ? cpu_int(e, 0) : e->lo[e->s->row_axis]; }
static cpu_val last_row(cpu_emitter *e) { return e->s->row_axis < 0 ? cpu_int(e, 0) : LLVMBuildSub(e->b, e->hi[e->s->row_axis], cpu_int(e, 1), "last"); }
static cpu_val least(cpu_emitter *e, cpu_val a, cpu_val b) {
    cpu_val x[] = {a, b};
    return cpu_apply(e, IR_MIN, x, 2);
}

/* ---- packed row factors: per row, whole vectors of the lanes' feature for each of the others */

static uint32_t over_of(const cpu_emitter *e, const ir_let *l) {
    uint32_t all = 0;
    for (uint32_t i = 0; i < l->n_over; i++) all |= 1u << cpu_axis_of(e, l->over[i]);
    return all;
}
/* How many a row has; index: where the features at hand stand among them. */
static cpu_val features(cpu_emitter *e, uint32_t k, cpu_val *index) {
    const ir_let *l = &e->k->lets[k];
    const int32_t lane = e->s->lets[k].lane_axis;
    cpu_val n = cpu_whole(e, cpu_extent(e, lane)), count = n, at = cpu_int(e, 0);
    for (uint32_t o = 0; o < l->n_over; o++) {
        const int32_t axis = cpu_axis_of(e, l->over[o]);
        if (axis == lane) continue;
        count = LLVMBuildMul(e->b, count, cpu_extent(e, axis), "");
        if (index) at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, at, cpu_extent(e, axis), ""), e->axis[axis], "");
    }
    if (index) *index = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, at, n, ""), e->axis[lane], "");
    return count;
}
/* Aligned: a row begins at a whole vector, and features go by vectors. */
static cpu_val factor_at(cpu_emitter *e, uint32_t k, cpu_val row) {
    cpu_val index, n = features(e, k, &index);
    return cpu_at(e, cpu_scratch(e, e->s->lets[k].factor_at), LLVMBuildAdd(e->b, LLVMBuildMul(e->b, row, n, ""), index, ""), e->real);
}
static unsigned vector_bytes(const cpu_emitter *e) { return (unsigned)e->s->width * (e->real == e->f64 ? 8 : 4); }

typedef struct { uint32_t let; cpu_val row; } packing;
/* 0 behind the last feature, where what a column brings reads as 0 too. */
static void pack_features(cpu_emitter *e, void *env) {
    const packing *p = env;
    cpu_val v = cpu_splat(e, cpu_expr(e, e->k->lets[p->let].a), e->s->width);
    if (e->tail) v = cpu_pick(e, e->tail, v, cpu_real(e, 0));
    LLVMSetAlignment(LLVMBuildStore(e->b, v, factor_at(e, p->let, p->row)), vector_bytes(e));
}
/* Rows that do not exist are the last one again: numbers as good as any, where garbage might be slow. */
void cpu_few_pack(cpu_emitter *e, uint32_t k) {
    cpu_phase(e, "load_row");
    cpu_loop l = cpu_loop_begin(e, cpu_int(e, 0), cpu_int(e, rows_of(e, k)), 1, "row");
    cpu_bind_row(e, least(e, LLVMBuildAdd(e->b, first_row(e), l.index, ""), last_row(e)), 0);
    packing p = {k, l.index};
    cpu_lets_ready(e, 0);
    cpu_walk(e, over_of(e, &e->k->lets[k]), e->s->lets[k].lane_axis, pack_features, &p);
    cpu_unbind_row(e);
    cpu_loop_end(e, &l);
}

/* ---- scores */

/* A column's factor once for all rows. What it computes behind the last feature is no number that 0 could be multiplied with. */
static void add_features(cpu_emitter *e, void *env) {
    tile *t = env;
    const ir_let *l = &e->k->lets[t->let];
    cpu_val row[MOST];
    for (int32_t i = 0; i < t->rows; i++) {
        row[i] = LLVMBuildLoad2(e->b, LLVMVectorType(e->real, (unsigned)e->s->width), factor_at(e, t->let, cpu_int(e, t->row + i)), "");
        LLVMSetAlignment(row[i], vector_bytes(e));
    }
    for (int32_t j = 0; j < t->cols; j++) {
        cpu_bind(e, e->block_axis, t->at[j]);
        cpu_val col = cpu_splat(e, cpu_expr(e, l->b), e->s->width);
        if (e->tail && !ir_is(e->u, l->b, IR_READ)) col = cpu_pick(e, e->tail, col, cpu_real(e, 0));
        cpu_unbind(e, e->block_axis);
        for (int32_t i = 0; i < t->rows; i++) LLVMBuildStore(e->b, cpu_fma(e, row[i], col, cpu_slot_value(e, t->sum[0][i][j])), t->sum[0][i][j]);
    }
}
/* As many rows at once as sums fit one vector: their number is a power of two, as cpu_reduce_many wants it. */
static void store_scores(cpu_emitter *e, const tile *t, cpu_val first) {
    for (int32_t i = 0, at_once; i < t->rows; i += at_once) {
        cpu_val v[MOST * MOST];
        at_once = 1;
        while (2 * at_once * t->cols <= e->s->width && i + 2 * at_once <= t->rows) at_once *= 2;
        for (int32_t n = 0; n < at_once * t->cols; n++) v[n] = cpu_slot_value(e, t->sum[0][i + n / t->cols][n % t->cols]);
        cpu_val sums = cpu_reduce_many(e, IR_RED_SUM, (uint32_t)(at_once * t->cols), v);
        for (int32_t n = 0; n < at_once; n++) {
            cpu_val at = cpu_kept_at(e, t->let, e->s->lets[t->let].at, cpu_int(e, t->row + i + n), cpu_int(e, e->s->col_block), first);
            cpu_store(e, at_once * t->cols > 1 ? cpu_part(e, sums, (uint32_t)(n * t->cols), (uint32_t)t->cols) : sums, at);
        }
    }
}
/* Columns from `first`: all of the item's rows, group by group; the second group finds what the columns bring in the first cache. last: fewer columns may be
 * left than a tile has. */
static void columns(cpu_emitter *e, tile *t, cpu_val first, bool last) {
    const int32_t rows = rows_of(e, t->let);
    cpu_val end = LLVMBuildSub(e->b, e->block_hi, cpu_int(e, 1), "");
    t->cols = e->s->micro_cols;
    for (int32_t j = 0; j < t->cols; j++) {
        t->at[j] = j ? LLVMBuildAdd(e->b, first, cpu_int(e, j), "") : first;
        if (last && j) t->at[j] = least(e, t->at[j], end);
    }
    cpu_val zero = cpu_splat(e, cpu_real(e, 0), e->s->width);
    for (t->row = 0; t->row < rows; t->row += t->rows) {
        t->rows = rows - t->row < e->s->micro_rows ? rows - t->row : e->s->micro_rows;
        for (int32_t i = 0; i < t->rows; i++)
            for (int32_t j = 0; j < t->cols; j++) t->sum[0][i][j] = cpu_slot_of(e, zero, "score");
        cpu_walk(e, over_of(e, &e->k->lets[t->let]), e->s->lets[t->let].lane_axis, add_features, t);
        store_scores(e, t, LLVMBuildSub(e->b, first, e->block_lo, ""));
    }
}
/* The last tile of a block may hold its last column several times: their places are room that the block has. */
void cpu_few_scores(cpu_emitter *e, uint32_t k) {
    tile t = {.let = k};
    cpu_phase(e, "scores");
    cpu_val end = cpu_whole_end(e, e->block_lo, e->block_hi, e->s->micro_cols);
    cpu_loop l = cpu_loop_begin(e, e->block_lo, end, e->s->micro_cols, "tile");
    cpu_scope_push(e, 0);
    columns(e, &t, l.index, false);
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
    if (e->s->micro_cols > 1) {
        cpu_if rest = cpu_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSLT, end, e->block_hi, ""), "rest");
        cpu_scope_push(e, 0);
        columns(e, &t, end, true);
        cpu_scope_pop(e);
        cpu_if_end(e, &rest);
    }
    e->filled[k] = e->block_lo;
}

/* ---- accumulate */

/* What rows of the tile that the item lacks are multiplied with: nobody reads their sums, but what scratch holds by chance may be slow to multiply. */
void cpu_few_weights(cpu_emitter *e, uint32_t k) {
    if (e->s->row_axis < 0 || e->s->row_tile == 1) return;
    cpu_val rows = LLVMBuildSub(e->b, e->hi[e->s->row_axis], e->lo[e->s->row_axis], ""), each = cpu_int(e, e->s->col_block);
    cpu_loop l = cpu_loop_begin(e, LLVMBuildMul(e->b, rows, each, ""), cpu_int(e, (int64_t)e->s->row_tile * e->s->col_block), e->s->width, "absent");
    cpu_scope_push(e, 0);
    cpu_store(e, cpu_splat(e, cpu_real(e, 0), e->s->width), cpu_at(e, cpu_scratch(e, e->s->lets[k].weight_at), l.index, e->real));
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}

static void bind_values(cpu_emitter *e, const tile *t, int32_t j) {
    cpu_bind_lane(e, e->s->lets[t->let].lane_axis, j ? LLVMBuildAdd(e->b, t->value, cpu_int(e, j * e->s->width), "") : t->value, t->tail);
}
static void unbind_values(cpu_emitter *e, const tile *t) { cpu_unbind(e, e->s->lets[t->let].lane_axis); }

/* Scratch to registers before the columns, and back behind them. */
static void each_sum(cpu_emitter *e, tile *t, bool out) {
    for (int32_t i = 0; i < t->rows; i++)
        for (int32_t j = 0; j < t->cols; j++) {
            cpu_bind_row(e, first_row(e), t->row + i);
            bind_values(e, t, j);
            cpu_val at = cpu_acc_at(e, t->let), v = out ? cpu_slot_value(e, t->sum[0][i][j]) : cpu_load(e, e->real, at, e->lanes);
            for (int32_t s = 1; s < t->steps; s++) {
                if (out) v = LLVMBuildFAdd(e->b, v, cpu_slot_value(e, t->sum[s][i][j]), "");
                else t->sum[s][i][j] = cpu_slot_of(e, cpu_splat(e, cpu_real(e, 0), e->s->width), "part");
            }
            if (out) cpu_store(e, v, at);
            else t->sum[0][i][j] = cpu_slot_of(e, v, "sum");
            unbind_values(e, t);
            cpu_unbind_row(e);
        }
}
/* A hidden pair has the weight -0.0, told from 0.0 by its bits: what it would multiply may be a NaN, and is left out. */
static cpu_val is_visible(cpu_emitter *e, cpu_val weight) {
    LLVMTypeRef bits = e->real == e->f64 ? e->i64 : e->i32;
    cpu_val hidden = LLVMBuildBitCast(e->b, cpu_real(e, -0.0), bits, "");
    return LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, weight, bits, ""), hidden, "visible");
}
/* One column's values once for all rows of the group; s: which of the sums apart they are added to. */
static void add_column(cpu_emitter *e, tile *t, cpu_val index, int32_t s) {
    const ir_let *l = &e->k->lets[t->let];
    const bool guarded = !e->full && !ir_is_bool(e->u, l->where, true);
    cpu_val col = LLVMBuildSub(e->b, index, e->block_lo, ""), value[MOST];
    cpu_bind(e, e->block_axis, index);
    for (int32_t j = 0; j < t->cols; j++) {
        bind_values(e, t, j);
        value[j] = cpu_splat(e, cpu_expr(e, l->b), e->lanes);
        unbind_values(e, t);
    }
    for (int32_t i = 0; i < t->rows; i++) {
        cpu_val at = cpu_kept_at(e, t->let, e->s->lets[t->let].weight_at, cpu_int(e, t->row + i), cpu_int(e, e->s->col_block), col);
        cpu_val weight = cpu_load(e, e->real, at, 1), visible = guarded ? is_visible(e, weight) : NULL;
        for (int32_t j = 0; j < t->cols; j++) {
            cpu_val old = cpu_slot_value(e, t->sum[s][i][j]), next = cpu_fma(e, cpu_splat(e, weight, e->s->width), value[j], old);
            LLVMBuildStore(e->b, visible ? cpu_pick(e, visible, next, old) : next, t->sum[s][i][j]);
        }
    }
    cpu_unbind(e, e->block_axis);
}
/* steps: columns of one turn, each with sums of its own. */
static void each_column(cpu_emitter *e, tile *t, cpu_val lo, cpu_val hi, int32_t steps) {
    cpu_loop l = cpu_loop_begin(e, lo, hi, steps, "column");
    for (int32_t s = 0; s < steps; s++) add_column(e, t, s ? LLVMBuildAdd(e->b, l.index, cpu_int(e, s), "") : l.index, s);
    cpu_loop_end(e, &l);
}
/* Vectors of values from `first`, all of the item's rows, group by group. */
static void values(cpu_emitter *e, void *env, cpu_val first, int32_t n, cpu_val tail) {
    enum { CHAINS = 8 };         /* additions that are under way at once: the latency of one times how many start in a cycle */
    tile *t = env;
    const int32_t rows = rows_of(e, t->let);
    t->value = first;
    t->tail = tail;
    t->cols = n;
    for (t->row = 0; t->row < rows; t->row += t->rows) {
        t->rows = rows - t->row < e->s->micro_rows ? rows - t->row : e->s->micro_rows;
        for (t->steps = 1; t->steps < STEPS && 2 * t->steps * t->rows * n <= CHAINS;) t->steps *= 2;
        each_sum(e, t, false);
        cpu_val end = t->steps > 1 ? cpu_whole_end(e, e->block_lo, e->block_hi, t->steps) : e->block_lo;
        if (t->steps > 1) each_column(e, t, e->block_lo, end, t->steps);
        each_column(e, t, end, e->block_hi, 1);
        each_sum(e, t, true);
    }
}
static void spans_of_values(cpu_emitter *e, void *env) {
    enum { VECTORS = 4 };        /* of a tile, as a head has of 64 values */
    tile *t = env;
    const int32_t n = e->s->micro_cols < VECTORS ? e->s->micro_cols : VECTORS;
    cpu_spans(e, cpu_int(e, 0), cpu_extent(e, e->s->lets[t->let].lane_axis), e->s->width, n, values, t);
}
/* Axes of values that no lanes run along are loops around. */
void cpu_few_acc(cpu_emitter *e, uint32_t k) {
    tile t = {.let = k};
    cpu_phase(e, "accumulate");
    cpu_walk(e, cpu_axes_with(e, IR_VAL) & ~(1u << e->s->lets[k].lane_axis), -1, spans_of_values, &t);
}

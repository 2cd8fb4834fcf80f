/* ACCs of a block of columns: values[row][v] += weight[row][column] * b[column][v], by tiles of a few rows and vectors of values in registers, the
 * columns of the block innermost. A pair that `where` hides has the weight -0.0 (no visible weight is: 0.0 is added to each); what it
 * would multiply is left out, not multiplied, so that a NaN among values nobody sees stays unseen. */
#include "emit.h"

enum { MAX_ROWS = IR_MICRO, MAX_VECTORS = IR_MICRO };
typedef struct {
    uint32_t let;                /* the ACC */
    cpu_val row, value, tail;    /* first of the tile */
    int32_t rows, vectors;       /* vectors of values; lanes along columns: values */
    cpu_val sum[MAX_ROWS][MAX_VECTORS]; /* slots, registers after sroa */
} tile;

/* Each acc has its own: the axis along which its values are neighbours. */
static int32_t lane_of(const cpu_emitter *e, const tile *t) { return e->s->lets[t->let].lane_axis; }
/* The j-th vector of values of the tile becomes the lane. A tile with a tail has one vector only (cpu_spans), so the tail is that of j = 0. */
static void bind_values(cpu_emitter *e, const tile *t, int32_t j) {
    const int32_t w = e->s->width;
    cpu_bind_lane(e, lane_of(e, t), j ? LLVMBuildAdd(e->b, t->value, cpu_int(e, j * w), "") : t->value, t->tail);
}
static void unbind_values(cpu_emitter *e, const tile *t) { cpu_unbind(e, lane_of(e, t)); }

/* Scratch to registers before the columns, and back behind them. */
static void each_sum(cpu_emitter *e, tile *t, bool out) {
    for (int32_t i = 0; i < t->rows; i++)
        for (int32_t j = 0; j < t->vectors; j++) {
            cpu_bind_row(e, t->row, i);
            bind_values(e, t, j);
            cpu_val at = cpu_acc_at(e, t->let);
            if (out) cpu_store(e, LLVMBuildLoad2(e->b, LLVMGetAllocatedType(t->sum[i][j]), t->sum[i][j], ""), at);
            else {
                cpu_val old = cpu_load(e, e->real, at, e->lanes);
                t->sum[i][j] = cpu_slot(e, LLVMTypeOf(old), "sum");
                LLVMBuildStore(e->b, old, t->sum[i][j]);
            }
            unbind_values(e, t);
            cpu_unbind_row(e);
        }
}

/* One number for a row and a column, spread by whoever multiplies with it. */
/* The weight was stored by the stage before (stage_lanes of block.c), at the column counted from the block's first. */
static cpu_val weight_of(cpu_emitter *e, const tile *t, int32_t i) {
    cpu_bind_row(e, t->row, i);
    cpu_val col = LLVMBuildSub(e->b, e->axis[e->block_axis], e->block_lo, "");
    cpu_val at = cpu_kept_at(e, t->let, e->s->lets[t->let].weight_at, cpu_tile_row(e), cpu_int(e, e->s->col_block), col);
    cpu_unbind_row(e);
    return cpu_load(e, e->real, at, 1);
}
/* By bits: as numbers, -0.0 and 0.0 are equal. */
static cpu_val is_visible(cpu_emitter *e, cpu_val weight) {
    LLVMTypeRef bits = e->real == e->f64 ? e->i64 : e->i32;
    cpu_val hidden = LLVMBuildBitCast(e->b, cpu_real(e, -0.0), bits, "");
    return LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, weight, bits, ""), hidden, "visible");
}
/* A vector of values of this column. That of a key is the same for all rows of the tile, so it is loaded once. */
static cpu_val value_factor(cpu_emitter *e, const tile *t, int32_t i, int32_t j) {
    const ir_expr b = e->k->lets[t->let].b;
    const bool by_row = cpu_varies_with_row(e, b);
    if (by_row) cpu_bind_row(e, t->row, i);
    bind_values(e, t, j);
    cpu_val v = cpu_splat(e, cpu_expr(e, b), e->lanes);
    unbind_values(e, t);
    if (by_row) cpu_unbind_row(e);
    return v;
}
/* The heart of p*v: one broadcast weight per row times some vectors of values. */
static void one_column(cpu_emitter *e, tile *t) {
    const ir_let *l = &e->k->lets[t->let];
    /* Without a guard no weight was marked hidden, and the select would only stand in the way of a chain of fused multiplications. */
    const bool guarded = !e->full && !ir_is_bool(e->u, l->where, true), by_row = cpu_varies_with_row(e, l->b);
    cpu_val shared[MAX_VECTORS];
    for (int32_t j = 0; j < t->vectors && !by_row; j++) shared[j] = value_factor(e, t, 0, j);
    for (int32_t i = 0; i < t->rows; i++) {
        cpu_val weight = weight_of(e, t, i), visible = guarded ? is_visible(e, weight) : NULL;
        for (int32_t j = 0; j < t->vectors; j++) {
            cpu_val old = LLVMBuildLoad2(e->b, LLVMGetAllocatedType(t->sum[i][j]), t->sum[i][j], "");
            cpu_val next = cpu_fma(e, weight, by_row ? value_factor(e, t, i, j) : shared[j], old);
            LLVMBuildStore(e->b, visible ? cpu_pick(e, visible, next, old) : next, t->sum[i][j]);
        }
    }
}

/* ---- lanes along the columns of the block, where there the values are neighbours: partial sums, summed at the end of the block */

/* Here the lanes are columns, so a value is one index, not a vector of them. */
static void bind_value(cpu_emitter *e, const tile *t, int32_t j) {
    cpu_bind(e, lane_of(e, t), j ? LLVMBuildAdd(e->b, t->value, cpu_int(e, j), "") : t->value);
}
/* For one value, the elements of `b` of all columns at hand. */
static cpu_val column_factor(cpu_emitter *e, const tile *t, int32_t i, int32_t j) {
    const ir_expr b = e->k->lets[t->let].b;
    cpu_bind_row(e, t->row, i);
    bind_value(e, t, j);
    cpu_val v = cpu_splat(e, cpu_expr(e, b), e->lanes);
    cpu_unbind(e, lane_of(e, t));
    cpu_unbind_row(e);
    return v;
}
/* Where values of one feature are neighbours along the columns (v transposed), the dot product runs along them. */
static void columns(cpu_emitter *e, void *env) {
    const tile *t = env;
    const ir_let *l = &e->k->lets[t->let];
    /* In the tail the weight's lanes read as 0, and so do those of a plain read along the columns: their product adds nothing. Any other factor
       may be inf or NaN there, and 0 times that is NaN: such sums are selected. */
    const bool guarded = !e->full && !ir_is_bool(e->u, l->where, true), by_row = cpu_varies_with_row(e, l->b), select = guarded || (e->tail && !ir_is(e->u, l->b, IR_READ));
    cpu_val shared[MAX_VECTORS];
    for (int32_t j = 0; j < t->vectors && !by_row; j++) shared[j] = column_factor(e, t, 0, j);
    for (int32_t i = 0; i < t->rows; i++) {
        cpu_bind_row(e, t->row, i);
        cpu_val col = LLVMBuildSub(e->b, e->axis[e->block_axis], e->block_lo, "");
        cpu_val at = cpu_kept_at(e, t->let, e->s->lets[t->let].weight_at, cpu_tile_row(e), cpu_int(e, e->s->col_block), col);
        cpu_val weight = cpu_load(e, e->real, at, e->lanes);
        cpu_unbind_row(e);
        /* The test of is_visible, for a vector. */
        LLVMTypeRef bits = LLVMVectorType(e->real == e->f64 ? e->i64 : e->i32, (unsigned)e->lanes);
        cpu_val hidden = LLVMBuildBitCast(e->b, cpu_splat(e, cpu_real(e, -0.0), e->lanes), bits, "");
        cpu_val adds = guarded ? LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, weight, bits, ""), hidden, "visible") : NULL;
        adds = cpu_truth(e, adds, e->tail);
        for (int32_t j = 0; j < t->vectors; j++) {
            cpu_val old = LLVMBuildLoad2(e->b, LLVMGetAllocatedType(t->sum[i][j]), t->sum[i][j], "");
            cpu_val next = cpu_fma(e, weight, by_row ? column_factor(e, t, i, j) : shared[j], old);
            LLVMBuildStore(e->b, select && adds ? cpu_pick(e, adds, next, old) : next, t->sum[i][j]);
        }
    }
}
/* One row: the partial sums of its values become neighbouring numbers, added to those in scratch by one load and one store. The number of values
   in a tile is a power of two, so their sums are a whole vector. */
static void add_sums(cpu_emitter *e, const tile *t, int32_t i) {
    cpu_val v[MAX_VECTORS];
    for (int32_t j = 0; j < t->vectors; j++) v[j] = LLVMBuildLoad2(e->b, LLVMGetAllocatedType(t->sum[i][j]), t->sum[i][j], "");
    cpu_val sums = cpu_reduce_many(e, IR_RED_SUM, (uint32_t)t->vectors, v);
    cpu_bind_row(e, t->row, i);
    bind_value(e, t, 0);
    cpu_val at = cpu_acc_at(e, t->let), old = cpu_load(e, e->real, at, t->vectors);
    cpu_store(e, LLVMBuildFAdd(e->b, old, sums, ""), at);
    cpu_unbind(e, lane_of(e, t));
    cpu_unbind_row(e);
}
/* Partial sums of the block alone: what was there before is added with the result. */
static void tile_by_column(cpu_emitter *e, void *env, cpu_val from, int32_t n, cpu_val tail) {
    tile *t = env;
    (void)tail;
    t->value = from;
    t->vectors = n;
    cpu_val zero = cpu_splat(e, cpu_real(e, 0), e->s->width);
    for (int32_t i = 0; i < t->rows; i++)
        for (int32_t j = 0; j < n; j++) {
            t->sum[i][j] = cpu_slot(e, LLVMTypeOf(zero), "sum");
            LLVMBuildStore(e->b, zero, t->sum[i][j]);
        }
    cpu_lanes(e, e->block_axis, e->block_lo, e->block_hi, columns, t);
    for (int32_t i = 0; i < t->rows; i++) add_sums(e, t, i);
}

/* The sums stay in registers over all columns of the block: scratch is read and written once per block, not once per column. */
static void tile_values(cpu_emitter *e, void *env, cpu_val from, int32_t n, cpu_val tail) {
    tile *t = env;
    t->value = from;
    t->vectors = n;
    t->tail = tail;
    each_sum(e, t, false);
    cpu_loop l = cpu_loop_begin(e, e->block_lo, e->block_hi, 1, "column");
    cpu_bind(e, e->block_axis, l.index);
    one_column(e, t);
    cpu_unbind(e, e->block_axis);
    cpu_loop_end(e, &l);
    each_sum(e, t, true);
}
/* As many vectors of values at once as there are registers for, then one by one, then the masked rest. */
static void spans_of_values(cpu_emitter *e, void *env) {
    tile *t = env;
    const bool by_column = e->s->lets[t->let].lanes == IR_COL;
    cpu_spans(e, cpu_int(e, 0), cpu_extent(e, lane_of(e, t)), by_column ? 1 : e->s->width, e->s->micro_cols, by_column ? tile_by_column : tile_values, t);
}
/* Axes of values that are no lanes are loops around the tile, one index of each bound while it runs. */
static void tile_rows(cpu_emitter *e, void *env, cpu_val row, int32_t rows) {
    tile *t = env;
    t->row = row;
    t->rows = rows;
    uint32_t others = 0;         /* value axes that are no lanes */
    for (uint32_t a = 0; a < e->k->n_axes; a++)
        if (e->k->axes[a].role == IR_VAL && (int32_t)a != lane_of(e, t)) others |= 1u << a;
    cpu_walk(e, others, -1, spans_of_values, t);
}
/* The scope: what is computed for the sums of this acc is not kept beyond its loops. */
void cpu_acc_block(cpu_emitter *e, uint32_t k) {
    tile t = {.let = k};
    cpu_phase(e, "accumulate");
    cpu_scope_push(e, 0);
    cpu_row_tiles(e, e->s->micro_rows, tile_rows, &t);
    cpu_scope_pop(e);
}

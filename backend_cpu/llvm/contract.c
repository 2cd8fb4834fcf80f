/* Products in panels: a tile of rows meets one panel of columns after the other.
 *
 *   load_row     lines of rows alone, row factors that are computed
 *   per panel:   scores: for each product and each few rows, all features: sums in registers, a row's factor broadcast, the panel's vectors one
 *                  behind the other in memory; the sums go to scratch, row x column
 *                epilogue: the lines above and the stores, by row, lanes along the columns of the panel
 *
 * Panels are whole: where the last columns do not fill one there are zeros, so no vector has a mask here; only the epilogue looks at which
 * columns exist. A panel lies in the second cache while the rows of the item meet it, a row's factors in the first. */
#include "emit.h"

typedef struct {
    uint32_t let;                /* the product */
    cpu_val lo, hi;              /* features of this block */
    cpu_val row, last_row, column;   /* first of the tile, last that exists; the column counts from the first of the panel */
    int32_t rows, vectors;
    cpu_val from[IR_MICRO_MOST]; /* where each row's factor begins */
    cpu_val step;                /* elements from one feature of a row to the next */
    cpu_val panel;               /* the tile's first vector at the first feature */
    cpu_val sum[IR_MICRO_MOST][IR_MICRO_MOST];   /* slots, registers after sroa */
} tile;

static bool is_product(const cpu_emitter *e, uint32_t k) { return e->s->lets[k].panels != 0; }

/* Features are counted as one: all but the lanes' stand at 0, which is where merged axes stand, and packed rows have one position for all. */
static void bind_features(cpu_emitter *e, const tile *t) {
    const ir_let *l = &e->k->lets[t->let];
    for (uint32_t o = 0; o < l->n_over; o++) {
        const int32_t axis = cpu_axis_of(e, l->over[o]);
        cpu_bind(e, axis, axis == e->s->lets[t->let].lane_axis ? t->lo : cpu_int(e, 0));
    }
}
static void unbind_features(cpu_emitter *e, const tile *t) {
    const ir_let *l = &e->k->lets[t->let];
    for (uint32_t o = l->n_over; o-- > 0;) cpu_unbind(e, cpu_axis_of(e, l->over[o]));
}
static void find_rows(cpu_emitter *e, tile *t) {
    const ir_let *l = &e->k->lets[t->let];
    const ir_let_schedule *s = &e->s->lets[t->let];
    t->step = s->packed ? cpu_int(e, 1) : cpu_expr(e, ir_kernel_access(e->k, l->a)->step[s->lane_axis]);
    for (int32_t i = 0; i < t->rows; i++) {
        cpu_val row[] = {i ? LLVMBuildAdd(e->b, t->row, cpu_int(e, i), "") : t->row, t->last_row};
        cpu_bind(e, e->s->row_axis, i ? cpu_apply(e, IR_MIN, row, 2) : row[0]);
        if (s->packed) {
            cpu_val at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, cpu_tile_row(e), cpu_term_features(e, l), ""), t->lo, "");
            t->from[i] = cpu_at(e, cpu_scratch(e, s->factor_at), at, e->real);
        } else {
            bind_features(e, t);
            t->from[i] = cpu_read_at(e, l->a);
            unbind_features(e, t);
        }
        cpu_unbind(e, e->s->row_axis);
    }
}
/* A panel has all features of its columns, so what lies before this one is as many elements as there are columns before it, times features. */
static void find_panel(cpu_emitter *e, tile *t) {
    const ir_let_schedule *s = &e->s->lets[t->let];
    cpu_val at = LLVMBuildMul(e->b, e->block_lo, cpu_term_features(e, &e->k->lets[t->let]), "");
    at = LLVMBuildAdd(e->b, at, LLVMBuildMul(e->b, t->lo, cpu_int(e, e->s->col_block), ""), "");
    at = LLVMBuildAdd(e->b, LLVMBuildAdd(e->b, at, t->column, ""), cpu_expr(e, s->panels_at), "");
    t->panel = cpu_at(e, cpu_buffer(e, s->panels), at, e->real);
}

/* Where the sums of a row of the tile wait, from its first column on. */
static cpu_val sum_at(cpu_emitter *e, const tile *t, int32_t i, int32_t j) {
    cpu_val row = LLVMBuildSub(e->b, i ? LLVMBuildAdd(e->b, t->row, cpu_int(e, i), "") : t->row, e->row0, "");
    cpu_val column = j ? LLVMBuildAdd(e->b, t->column, cpu_int(e, j * e->s->width), "") : t->column;
    return cpu_kept_at(e, t->let, e->s->lets[t->let].at, row, cpu_int(e, e->s->col_block), column);
}
/* Zero, or what the features before this block came to. */
static void begin_sums(cpu_emitter *e, tile *t) {
    for (int32_t i = 0; i < t->rows; i++)
        for (int32_t j = 0; j < t->vectors; j++) {
            cpu_val sum = cpu_splat(e, cpu_real(e, 0), e->s->width);
            if (e->s->k_block) sum = cpu_load(e, e->real, sum_at(e, t, i, j), e->s->width);
            t->sum[i][j] = cpu_slot(e, LLVMTypeOf(sum), "sum");
            LLVMBuildStore(e->b, sum, t->sum[i][j]);
        }
}
static cpu_val sum_of(cpu_emitter *e, const tile *t, int32_t i, int32_t j) {
    return LLVMBuildLoad2(e->b, LLVMGetAllocatedType(t->sum[i][j]), t->sum[i][j], "");
}
/* One feature: the panel's vectors once, each row's factor once, all products. */
static void one_feature(cpu_emitter *e, tile *t, cpu_val k) {
    cpu_val column[IR_MICRO_MOST], at = LLVMBuildMul(e->b, k, cpu_int(e, e->s->col_block), "");
    for (int32_t j = 0; j < t->vectors; j++)
        column[j] = cpu_load(e, e->real, cpu_at(e, t->panel, j ? LLVMBuildAdd(e->b, at, cpu_int(e, j * e->s->width), "") : at, e->real), e->s->width);
    cpu_val along = LLVMBuildMul(e->b, k, t->step, "");
    for (int32_t i = 0; i < t->rows; i++) {
        cpu_val row = cpu_splat(e, cpu_load(e, e->real, cpu_at(e, t->from[i], along, e->real), 1), e->s->width);
        for (int32_t j = 0; j < t->vectors; j++) LLVMBuildStore(e->b, cpu_fma(e, row, column[j], sum_of(e, t, i, j)), t->sum[i][j]);
    }
}
static void one_tile(cpu_emitter *e, tile *t) {
    find_rows(e, t);
    find_panel(e, t);
    begin_sums(e, t);
    cpu_loop l = cpu_loop_begin(e, cpu_int(e, 0), LLVMBuildSub(e->b, t->hi, t->lo, ""), 1, "feature");
    one_feature(e, t, l.index);
    cpu_loop_end(e, &l);
    for (int32_t i = 0; i < t->rows; i++)
        for (int32_t j = 0; j < t->vectors; j++) cpu_store(e, sum_of(e, t, i, j), sum_at(e, t, i, j));
}

/* A whole panel at once, or as many vectors of it as have a column that exists, one by one. */
static void tile_rows(cpu_emitter *e, tile *t, cpu_val row, int32_t rows) {
    const int32_t width = e->s->width, all = e->s->micro_cols;
    cpu_val there = LLVMBuildSub(e->b, e->block_hi, e->block_lo, "");
    t->row = row;
    t->rows = rows;
    if (all > 1) {
        cpu_if whole = cpu_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSGT, there, cpu_int(e, (all - 1) * width), ""), "panel");
        cpu_scope_push(e, 0);
        t->column = cpu_int(e, 0);
        t->vectors = all;
        one_tile(e, t);
        cpu_scope_pop(e);
        cpu_if_end(e, &whole);
        /* the same question again: none are left where the panel was whole */
        there = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSGT, there, cpu_int(e, (all - 1) * width), ""), cpu_int(e, 0), there, "");
    }
    cpu_loop l = cpu_loop_begin(e, cpu_int(e, 0), there, width, "vector");
    cpu_scope_push(e, 0);
    t->column = l.index;
    t->vectors = 1;
    one_tile(e, t);
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}

/* ---- one panel */

static void each_tile(cpu_emitter *e, tile *t, cpu_val lo, cpu_val hi, int32_t rows) {
    cpu_loop l = cpu_loop_begin(e, lo, hi, rows, rows > 1 ? "rows" : "row");
    cpu_scope_push(e, 0);
    tile_rows(e, t, l.index, rows);
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}
/* Whole tiles, the last of them where more than half a tile is left; up to half in one tile of so many, and one row alone. A tile that is not full computes its
 * last row again and again, in room that nobody reads. */
static void products(cpu_emitter *e, uint32_t k, cpu_val from, cpu_val to) {
    const int32_t rows = e->s->micro_rows, half = rows / 2;
    cpu_val lo = e->lo[e->s->row_axis], hi = e->hi[e->s->row_axis];
    tile t = {.let = k, .lo = from, .hi = to, .last_row = LLVMBuildSub(e->b, hi, cpu_int(e, 1), "")};
    cpu_phase(e, "scores");
    cpu_scope_push(e, 0);
    cpu_val left = LLVMBuildURem(e->b, LLVMBuildSub(e->b, hi, lo, ""), cpu_int(e, rows), "left");
    cpu_val few = LLVMBuildICmp(e->b, LLVMIntSLE, left, cpu_int(e, half), "few");
    cpu_val end = LLVMBuildSub(e->b, hi, LLVMBuildSelect(e->b, few, left, cpu_int(e, 0), ""), "end"), rest = end;
    each_tile(e, &t, lo, end, rows);
    if (half > 1) {
        rest = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSGT, left, cpu_int(e, 1), ""), hi, end, "rest");
        each_tile(e, &t, end, rest, half);
    }
    if (rows > 1) each_tile(e, &t, rest, hi, 1);
    cpu_scope_pop(e);
}
static void clear_row(cpu_emitter *e, void *env) {
    const uint32_t k = *(const uint32_t *)env;
    for (int32_t j = 0; j < e->s->micro_cols; j++) {
        cpu_val at = cpu_kept_at(e, k, e->s->lets[k].at, cpu_tile_row(e), cpu_int(e, e->s->col_block), cpu_int(e, j * e->s->width));
        cpu_store(e, cpu_splat(e, cpu_real(e, 0), e->s->width), at);
    }
}
/* Blocks of features one after the other; between them the sums wait in scratch. */
static void blocks(cpu_emitter *e, uint32_t k) {
    cpu_val n = cpu_term_features(e, &e->k->lets[k]);
    cpu_each_row(e, clear_row, &k);
    cpu_loop l = cpu_loop_begin(e, cpu_int(e, 0), n, e->s->k_block, "block");
    cpu_scope_push(e, 0);
    cpu_val hi[] = {LLVMBuildAdd(e->b, l.index, cpu_int(e, e->s->k_block), ""), n};
    products(e, k, l.index, cpu_apply(e, IR_MIN, hi, 2));
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}
static void panel(cpu_emitter *e) {
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        if (!is_product(e, k)) continue;
        if (e->s->k_block) blocks(e, k);
        else products(e, k, cpu_int(e, 0), cpu_term_features(e, &e->k->lets[k]));
        e->filled[k] = e->block_lo;
    }
    cpu_block_stores(e);
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (is_product(e, k)) e->filled[k] = NULL;
}

void cpu_contract(cpu_emitter *e) {
    const int32_t axis = e->s->lane_axis;
    cpu_scope_push(e, 0);
    e->row0 = e->lo[e->s->row_axis];
    cpu_lets_ready(e, 0);
    cpu_block_rows(e);
    cpu_loop l = cpu_loop_begin(e, e->lo[axis], e->hi[axis], e->s->col_block, "block");
    cpu_scope_push(e, 0);
    cpu_val end[] = {LLVMBuildAdd(e->b, l.index, cpu_int(e, e->s->col_block), ""), e->hi[axis]};
    e->block_axis = axis;
    e->block_lo = l.index;
    e->block_hi = cpu_apply(e, IR_MIN, end, 2);
    panel(e);
    e->block_axis = -1;
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
    for (uint32_t k = 0; k < e->k->n_lets; k++) e->filled[k] = NULL;
    cpu_scope_pop(e);
}

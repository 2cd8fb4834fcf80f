/* Rows into lanes, and the two register tiles of attention: scores[column][row] += column factor * row factor over the features, and values[value][row] +=
 * value factor * weight over the columns. In both a number that is spread meets some vectors of rows; a tile of 8 x 2 vectors has 16 sums in registers, reads 8 numbers
 * and 2 vectors for 16 products, and hides the latency of the multiplications.
 *
 * Tiles are always whole: what lies behind the last column or value is that one again, computed twice to the same result. */
#include "attend.h"

typedef cpu_patch tile;

cpu_val cpu_whole(cpu_emitter *e, cpu_val n) {
    cpu_val up = LLVMBuildAdd(e->b, n, cpu_int(e, e->s->width - 1), "");
    return LLVMBuildAnd(e->b, up, cpu_int(e, -(int64_t)e->s->width), "whole");
}
static cpu_val least(cpu_emitter *e, cpu_val a, cpu_val b) {
    cpu_val x[] = {a, b};
    return cpu_apply(e, IR_MIN, x, 2);
}

/* ---- turning: squares of as many rows as a vector has lanes, in registers. Eight lanes at most: squares of sixteen need three times the code */

enum { WIDEST = 8, CACHE_LINE = 64 };
/* Round s exchanges, between vectors s apart, the lanes that are s apart; after all rounds lane j of vector i is lane i of vector j. */
static void turn_square(cpu_emitter *e, cpu_val *v, int32_t w) {
    for (int32_t s = 1; s < w; s *= 2)
        for (int32_t i = 0; i < w; i++) {
            if (i & s) continue;
            cpu_val low[WIDEST], high[WIDEST], a = v[i], b = v[i + s];
            for (int32_t l = 0; l < w; l++) {
                low[l] = LLVMConstInt(e->i32, (unsigned)(l & s ? w + l - s : l), false);
                high[l] = LLVMConstInt(e->i32, (unsigned)(l & s ? w + l : l + s), false);
            }
            v[i] = LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(low, (unsigned)w), "");
            v[i + s] = LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(high, (unsigned)w), "");
        }
}
/* What the function turns. bytes: truth values in memory, numbers 0 and 1 in scratch; edge: nothing behind row n_i and column n_j is read. */
typedef struct { const char *name; bool bytes, edge; } turning;
static const turning whole_squares = {"attn_turn", false, false}, edges = {"attn_turn_edge", false, true}, truths = {"attn_turn_truth", true, true};

static cpu_val line(cpu_emitter *e, cpu_val base, cpu_val step, cpu_val row, cpu_val j, LLVMTypeRef element) {
    return cpu_at(e, base, LLVMBuildAdd(e->b, LLVMBuildMul(e->b, row, step, ""), j, ""), element);
}
/* arg: src, src_step, n_i, dst, dst_step, n_j. Rows behind the last are that one again. */
static cpu_val load_line(cpu_emitter *e, const turning *t, cpu_val *arg, cpu_val i, int32_t offset, cpu_val j, int32_t w) {
    cpu_val row = offset ? LLVMBuildAdd(e->b, i, cpu_int(e, offset), "") : i, last = LLVMBuildSub(e->b, arg[2], cpu_int(e, 1), "");
    LLVMTypeRef element = t->bytes ? e->i8 : e->real, lanes = e->real == e->f64 ? e->i64 : e->i32;
    if (!t->edge) return LLVMBuildLoad2(e->b, LLVMVectorType(e->real, (unsigned)w), line(e, arg[0], arg[1], row, j, element), "");
    cpu_val tail = e->tail, at = line(e, arg[0], arg[1], least(e, row, last), j, element);
    cpu_val left = LLVMBuildTrunc(e->b, least(e, LLVMBuildSub(e->b, arg[5], j, ""), cpu_int(e, w)), e->i32, "");
    e->tail = LLVMBuildICmp(e->b, LLVMIntSLT, cpu_iota(e, e->i32, w), cpu_splat(e, left, w), "tail");
    cpu_val v = cpu_load(e, element, at, w);
    e->tail = tail;
    if (!t->bytes) return v;
    return LLVMBuildBitCast(e->b, LLVMBuildZExt(e->b, v, LLVMVectorType(lanes, (unsigned)w), ""), LLVMVectorType(e->real, (unsigned)w), "");
}
static void turn_squares(cpu_emitter *e, const turning *t, cpu_val *arg, int32_t w) {
    cpu_val v[WIDEST];
    cpu_loop i = cpu_loop_begin(e, cpu_int(e, 0), arg[2], w, "i"), j = cpu_loop_begin(e, cpu_int(e, 0), arg[5], w, "j");
    for (int32_t k = 0; k < w; k++) v[k] = load_line(e, t, arg, i.index, k, j.index, w);
    turn_square(e, v, w);
    for (int32_t k = 0; k < w; k++) LLVMBuildStore(e->b, v[k], line(e, arg[3], arg[4], LLVMBuildAdd(e->b, j.index, cpu_int(e, k), ""), i.index, e->real));
    cpu_loop_end(e, &j);
    cpu_loop_end(e, &i);
}
/* One function of the module for each kind: every panel calls it. The lengths of vectors are part of its name, since modules may hold several kernels. */
static cpu_val turn_function(cpu_emitter *e, const turning *t, LLVMTypeRef *type) {
    const char *name = base_printf(e->arena, "%s_%d", t->name, e->real == e->f64 ? 64 : 32);
    LLVMTypeRef args[] = {e->ptr, e->i64, e->i64, e->ptr, e->i64, e->i64};
    *type = LLVMFunctionType(LLVMVoidTypeInContext(e->c), args, 6, false);
    cpu_val fn = LLVMGetNamedFunction(e->m, name), outer = e->fn, arg[6];
    if (fn) return fn;
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    fn = e->fn = LLVMAddFunction(e->m, name, *type);
    LLVMSetLinkage(fn, LLVMInternalLinkage);
    cpu_function_attributes(e, fn);
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(e->c, fn, "entry"));
    for (unsigned i = 0; i < 6; i++) arg[i] = LLVMGetParam(fn, i);
    turn_squares(e, t, arg, e->s->width < WIDEST ? e->s->width : WIDEST);
    LLVMBuildRetVoid(e->b);
    e->fn = outer;
    LLVMPositionBuilderAtEnd(e->b, here);
    return fn;
}
static void turn(cpu_emitter *e, const turning *t, cpu_val *args) {
    LLVMTypeRef type;
    cpu_val fn = turn_function(e, t, &type);
    LLVMBuildCall2(e->b, type, fn, args, 6, "");
}
void cpu_transpose(cpu_emitter *e, cpu_val src, cpu_val src_step, cpu_val n_i, cpu_val dst, cpu_val dst_step, cpu_val n_j) {
    cpu_val args[] = {src, src_step, n_i, dst, dst_step, n_j};
    turn(e, &whole_squares, args);
}

/* ---- reads of pairs */

static const ir_pair_read *pair(const cpu_panel *p, uint32_t i) { return &p->e->s->pairs[i]; }
static uint8_t pair_type(const cpu_panel *p, uint32_t i) { return p->e->u->value.at[ir_at(p->e->u, pair(p, i)->read)->u.ref].type.dtype; }
void cpu_load_pair(cpu_panel *p, uint32_t i) {
    cpu_emitter *e = p->e;
    const ir_expr step = ir_kernel_access(e->k, pair(p, i)->read)->step[e->s->lane_axis];
    cpu_scope_push(e, 0);
    cpu_bind(e, e->s->lane_axis, p->row0);
    cpu_bind(e, e->block_axis, e->block_lo);
    cpu_val args[] = {cpu_read_at(e, pair(p, i)->read), cpu_expr(e, step), LLVMBuildSub(e->b, p->hi, p->row0, ""), cpu_scratch(e, pair(p, i)->at),
                      cpu_int(e, e->s->row_tile), LLVMBuildSub(e->b, e->block_hi, e->block_lo, "")};
    turn(e, pair_type(p, i) == IR_TYPE_BOOL ? &truths : &edges, args);
    cpu_unbind(e, e->block_axis);
    cpu_unbind(e, e->s->lane_axis);
    cpu_scope_pop(e);
}
/* As it is computed with: integers of 64 bits, truth values of one. */
cpu_val cpu_pair_here(cpu_panel *p, uint32_t i, cpu_val col, int32_t vector) {
    cpu_emitter *e = p->e;
    cpu_val v = cpu_panel_load(p, pair(p, i)->at, col, vector);
    const uint8_t dtype = pair_type(p, i);
    if (ir_dtypes[dtype].sort == IR_SORT_REAL) return v;
    LLVMTypeRef bits = LLVMVectorType(e->real == e->f64 ? e->i64 : e->i32, (unsigned)e->s->width), wide = LLVMVectorType(e->i64, (unsigned)e->s->width);
    v = LLVMBuildBitCast(e->b, v, bits, "");
    if (dtype == IR_TYPE_BOOL) return LLVMBuildICmp(e->b, LLVMIntNE, v, LLVMConstNull(bits), "");
    return dtype == IR_TYPE_I32 ? LLVMBuildSExt(e->b, v, wide, "") : v;
}

/* A tile's share of the lines that the next block wants of a read of pairs: a product has room for the requests, and turning would wait for all of them
 * at once. Line n of the block is one of row n % rows; further columns come after all rows. */
static void ask_for_pair(cpu_panel *p, uint32_t i, cpu_val first) {
    cpu_emitter *e = p->e;
    const int32_t each = CACHE_LINE / (int32_t)ir_dtypes[pair_type(p, i)].bytes, rows = e->s->row_tile, share = (e->s->micro_rows * rows + each - 1) / each;
    cpu_scope_push(e, 0);
    cpu_bind(e, e->s->lane_axis, p->row0);
    cpu_bind(e, e->block_axis, e->block_hi);
    cpu_val base = cpu_read_at(e, pair(p, i)->read), step = cpu_expr(e, ir_kernel_access(e->k, pair(p, i)->read)->step[e->s->lane_axis]);
    LLVMTypeRef element = LLVMIntTypeInContext(e->c, 8u * ir_dtypes[pair_type(p, i)].bytes);
    cpu_val tile_number = LLVMBuildUDiv(e->b, LLVMBuildSub(e->b, first, e->block_lo, ""), cpu_int(e, e->s->micro_rows), "");
    cpu_val from = LLVMBuildMul(e->b, tile_number, cpu_int(e, share), "");
    cpu_loop l = cpu_loop_begin(e, from, LLVMBuildAdd(e->b, from, cpu_int(e, share), ""), 1, "ask");
    cpu_val row = LLVMBuildMul(e->b, LLVMBuildURem(e->b, l.index, cpu_int(e, rows), ""), step, "");
    cpu_val col = LLVMBuildMul(e->b, LLVMBuildUDiv(e->b, l.index, cpu_int(e, rows), ""), cpu_int(e, each), "");
    cpu_prefetch_at(e, cpu_at(e, base, LLVMBuildAdd(e->b, row, col, ""), element));
    cpu_loop_end(e, &l);
    cpu_unbind(e, e->block_axis);
    cpu_unbind(e, e->s->lane_axis);
    cpu_scope_pop(e);
}

/* ---- load_row: Q^T */

uint32_t cpu_over_of(const cpu_emitter *e, const ir_let *l) {
    uint32_t all = 0;
    for (uint32_t i = 0; i < l->n_over; i++) all |= 1u << cpu_axis_of(e, l->over[i]);
    return all;
}
/* Position among the features of a line, the one of its lanes innermost, as all places of its factors have them. */
cpu_val cpu_feature_index(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    const int32_t last = e->s->lets[k].lane_axis;
    cpu_val at = cpu_int(e, 0);
    for (uint32_t o = 0; o <= l->n_over; o++) {
        const int32_t axis = o < l->n_over ? cpu_axis_of(e, l->over[o]) : last;
        if (o < l->n_over && axis == last) continue;
        at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, at, cpu_extent(e, axis), ""), e->axis[axis], "");
    }
    return at;
}
static cpu_val n_features(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    cpu_val n = cpu_int(e, 1);
    for (uint32_t o = 0; o < l->n_over; o++) n = LLVMBuildMul(e->b, n, cpu_extent(e, cpu_axis_of(e, l->over[o])), "");
    return n;
}
static void load_feature(cpu_emitter *e, void *env) {
    tile *t = env;
    const cpu_val f = cpu_feature_index(e, t->let);
    for (int32_t j = 0; j < t->p->vectors; j++) {
        cpu_panel_bind(t->p, j);
        cpu_panel_store(t->p, cpu_expr(e, t->part), t->place, f, j);
        cpu_panel_unbind(t->p);
    }
}
/* One row, lanes along the feature: its place is a whole number of vectors, which the turning reads to the end. */
static void load_features(cpu_emitter *e, void *env) {
    tile *t = env;
    cpu_val at = LLVMBuildAdd(e->b, t->first, cpu_feature_index(e, t->let), "");
    cpu_store(e, cpu_splat(e, cpu_expr(e, t->part), e->lanes), cpu_at(e, cpu_scratch(e, e->s->rows_at), at, e->real));
}
/* Lines that a factor reads and that vary over nothing inside of it, computed before its loops. */
static void lines_ready(cpu_emitter *e, uint32_t before, ir_expr factor, uint8_t inside) {
    bool *need = BASE_ARRAY(e->arena, e->k->n_lets + 1, bool);
    cpu_mark(e, need, factor);
    for (uint32_t i = 0; i < before; i++)
        if (need[i] && e->k->lets[i].kind <= IR_LET_TERM && !(e->k->lets[i].rank & inside)) cpu_expr(e, ir_let_expr(e->u, i, (ir_sort)e->k->lets[i].sort));
}
/* Rows behind the last are that one again: numbers as good as any, where garbage might be slow or not a number. */
static void load_turned(tile *t) {
    cpu_panel *p = t->p;
    cpu_emitter *e = p->e;
    const int32_t axis = e->s->lane_axis;
    cpu_val n = n_features(e, t->let), step = cpu_whole(e, n), rows = cpu_int(e, p->vectors * e->s->width), last = LLVMBuildSub(e->b, p->hi, cpu_int(e, 1), "");
    cpu_loop l = cpu_loop_begin(e, cpu_int(e, 0), rows, 1, "row");
    cpu_bind(e, axis, least(e, LLVMBuildAdd(e->b, p->row0, l.index, ""), last));
    t->first = LLVMBuildMul(e->b, l.index, step, "");
    lines_ready(e, t->let, t->part, IR_FEAT);
    cpu_walk(e, cpu_over_of(e, &e->k->lets[t->let]), e->s->lets[t->let].lane_axis, load_features, t);
    cpu_unbind(e, axis);
    cpu_loop_end(e, &l);
    cpu_transpose(e, cpu_scratch(e, e->s->rows_at), step, rows, cpu_scratch(e, t->place), cpu_int(e, e->s->row_tile), n);
}
/* part: of line k, over rows and features; into its place by (feature, row). */
static void load_part(cpu_panel *p, uint32_t k, ir_expr part, ir_expr place, uint8_t lanes) {
    cpu_emitter *e = p->e;
    tile t = {.p = p, .let = k, .part = part, .place = place};
    cpu_scope_push(e, 0);
    if (lanes == IR_FEAT) load_turned(&t);
    else cpu_walk(e, cpu_over_of(e, &e->k->lets[k]), -1, load_feature, &t);
    cpu_scope_pop(e);
}
void cpu_load_row(cpu_panel *p) {
    cpu_emitter *e = p->e;
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let_schedule *s = &e->s->lets[k];
        if (s->factor_at) load_part(p, k, e->k->lets[k].a, s->factor_at, s->lanes);
        for (uint32_t i = 0; i < s->n_operands; i++)
            if (s->operands[i].side == IR_ROW) load_part(p, k, s->operands[i].e, s->operands[i].at, s->operands[i].lanes);
    }
}

/* ---- load_col: factors of columns that are more than a read */

/* In a place of line k: of the column at hand, at its feature or value. */
cpu_val cpu_column_place(cpu_emitter *e, uint32_t k, ir_expr place) {
    const bool acc = e->k->lets[k].kind == IR_LET_ACC;
    cpu_val n = acc ? cpu_role_count(e, IR_VAL) : n_features(e, k), index = acc ? cpu_role_index(e, IR_VAL, e->s->lets[k].lane_axis) : cpu_feature_index(e, k);
    cpu_val at = LLVMBuildMul(e->b, LLVMBuildSub(e->b, e->axis[e->block_axis], e->block_lo, ""), cpu_whole(e, n), "");
    return cpu_at(e, cpu_scratch(e, place), LLVMBuildAdd(e->b, at, index, ""), e->real);
}
static void load_col_here(cpu_emitter *e, void *env) {
    const tile *t = env;
    cpu_val at = cpu_column_place(e, t->let, t->place);
    cpu_store(e, cpu_splat(e, cpu_expr(e, t->part), e->lanes), at);
}
/* Lines of the column alone are computed before its features, once. */
static void load_columns(cpu_panel *p, uint32_t k, ir_expr part, ir_expr place) {
    cpu_emitter *e = p->e;
    const ir_let *l = &e->k->lets[k];
    tile t = {.p = p, .let = k, .part = part, .place = place};
    cpu_phase(e, "load_col");
    cpu_loop c = cpu_loop_begin(e, e->block_lo, e->block_hi, 1, "column");
    cpu_bind(e, e->block_axis, c.index);
    lines_ready(e, k, part, IR_FEAT | IR_VAL);
    cpu_walk(e, l->kind == IR_LET_ACC ? cpu_axes_with(e, IR_VAL) : cpu_over_of(e, l), e->s->lets[k].lane_axis, load_col_here, &t);
    cpu_unbind(e, e->block_axis);
    cpu_loop_end(e, &c);
}
void cpu_load_col(cpu_panel *p, uint32_t k) {
    const ir_let_schedule *s = &p->e->s->lets[k];
    if (s->col_at) load_columns(p, k, p->e->k->lets[k].b, s->col_at);
    for (uint32_t i = 0; i < s->n_operands; i++)
        if (s->operands[i].side == IR_COL && s->operands[i].at) load_columns(p, k, s->operands[i].e, s->operands[i].at);
}

/* ---- tiles */

static int32_t height(const tile *t) { return t->p->e->s->micro_rows; }
/* Columns or values first, first + 1, .., none behind the last. */
static void place_tile(tile *t, cpu_val first, cpu_val hi) {
    cpu_emitter *e = t->p->e;
    cpu_val last = LLVMBuildSub(e->b, hi, cpu_int(e, 1), "last");
    t->first = first;
    for (int32_t m = 0; m < height(t); m++) t->at[m] = m ? least(e, LLVMBuildAdd(e->b, first, cpu_int(e, m), ""), last) : first;
}
static void add_product(tile *t, int32_t m, int32_t j, cpu_val number, cpu_val row, cpu_val adds) {
    cpu_emitter *e = t->p->e;
    cpu_val old = cpu_slot_value(e, t->sum[m][j]), next = cpu_fma(e, cpu_splat(e, number, e->s->width), row, old);
    LLVMBuildStore(e->b, adds ? cpu_pick(e, adds, next, old) : next, t->sum[m][j]);
}

static void score_feature(cpu_emitter *e, void *env) {
    tile *t = env;
    const ir_let *l = &e->k->lets[t->let];
    const ir_let_schedule *s = &e->s->lets[t->let];
    cpu_val f = cpu_feature_index(e, t->let), row[IR_MICRO];
    for (int32_t j = 0; j < t->p->vectors; j++) row[j] = cpu_panel_load(t->p, s->factor_at, f, j);
    for (int32_t m = 0; m < height(t); m++) {
        cpu_bind(e, e->block_axis, t->at[m]);
        cpu_val number = s->col_at ? cpu_load(e, e->real, cpu_column_place(e, t->let, e->s->lets[t->let].col_at), 1) : cpu_expr(e, l->b);
        cpu_unbind(e, e->block_axis);
        for (int32_t j = 0; j < t->p->vectors; j++) add_product(t, m, j, number, row[j], NULL);
    }
}
void cpu_scores(cpu_panel *p, uint32_t k) {
    cpu_emitter *e = p->e;
    tile t = {.p = p, .let = k};
    cpu_phase(e, "scores");
    cpu_val none = cpu_splat(e, cpu_identity(e, &e->k->lets[k]), e->s->width);
    cpu_loop l = cpu_loop_begin(e, e->block_lo, e->block_hi, e->s->micro_rows, "tile");
    cpu_scope_push(e, 0);
    for (uint32_t i = 0; i < e->s->n_pairs; i++) ask_for_pair(p, i, l.index);
    place_tile(&t, l.index, e->block_hi);
    for (int32_t m = 0; m < height(&t); m++)
        for (int32_t j = 0; j < p->vectors; j++) t.sum[m][j] = cpu_slot_of(e, none, "score");
    cpu_walk(e, cpu_over_of(e, &e->k->lets[k]), -1, e->s->lets[k].factor_at ? score_feature : cpu_pair_feature, &t);
    cpu_val first = LLVMBuildSub(e->b, l.index, e->block_lo, "");
    for (int32_t m = 0; m < height(&t); m++)
        for (int32_t j = 0; j < p->vectors; j++)
            cpu_panel_store(p, cpu_slot_value(e, t.sum[m][j]), e->s->lets[k].at, LLVMBuildAdd(e->b, first, cpu_int(e, m), ""), j);
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}

/* ---- accumulate */

/* A hidden pair has the weight -0.0, told from 0.0 by its bits. What it would multiply is left out, not multiplied: it may be a NaN. */
static cpu_val is_visible(cpu_emitter *e, cpu_val weight) {
    LLVMTypeRef bits = LLVMVectorType(e->real == e->f64 ? e->i64 : e->i32, (unsigned)e->s->width);
    cpu_val hidden = LLVMBuildBitCast(e->b, cpu_splat(e, cpu_real(e, -0.0), e->s->width), bits, "");
    return LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, weight, bits, ""), hidden, "visible");
}
/* One number for all rows, or a vector where what is added differs from row to row. */
static cpu_val value_factor(tile *t, int32_t j) {
    cpu_emitter *e = t->p->e;
    const ir_let *l = &e->k->lets[t->let];
    if (e->s->lets[t->let].col_at) return cpu_load(e, e->real, cpu_column_place(e, t->let, e->s->lets[t->let].col_at), 1);
    if (!cpu_varies(e, l->b, e->s->lane_axis)) return cpu_expr(e, l->b);
    cpu_panel_bind(t->p, j);
    cpu_val v = cpu_splat(e, cpu_expr(e, l->b), e->s->width);
    cpu_panel_unbind(t->p);
    return v;
}
/* Values of a column some columns on: neighbours in a column of memory are too far apart for the machine to guess. */
static void prefetch_value(tile *t) {
    cpu_emitter *e = t->p->e;
    enum { AHEAD = 12 };
    cpu_bind(e, e->block_axis, LLVMBuildAdd(e->b, e->axis[e->block_axis], cpu_int(e, AHEAD), ""));
    cpu_bind(e, e->s->lets[t->let].lane_axis, t->first);
    cpu_prefetch_at(e, cpu_read_at(e, e->k->lets[t->let].b));
    cpu_unbind(e, e->s->lets[t->let].lane_axis);
    cpu_unbind(e, e->block_axis);
}
static void add_column(tile *t) {
    cpu_panel *p = t->p;
    cpu_emitter *e = p->e;
    const ir_let *l = &e->k->lets[t->let];
    const bool guarded = p->masked && !ir_is_bool(e->u, l->where, true), by_row = !e->s->lets[t->let].col_at && cpu_varies(e, l->b, e->s->lane_axis);
    const int32_t axis = e->s->lets[t->let].lane_axis;
    cpu_val col = LLVMBuildSub(e->b, e->axis[e->block_axis], e->block_lo, ""), weight[IR_MICRO], adds[IR_MICRO];
    for (int32_t j = 0; j < p->vectors; j++) {
        weight[j] = cpu_panel_load(p, e->s->lets[t->let].weight_at, col, j);
        adds[j] = guarded ? is_visible(e, weight[j]) : NULL;
    }
    if (!by_row && !e->s->lets[t->let].col_at) prefetch_value(t);
    for (int32_t m = 0; m < height(t); m++) {
        cpu_bind(e, axis, t->at[m]);
        cpu_val number = value_factor(t, 0);
        for (int32_t j = 0; j < p->vectors; j++) add_product(t, m, j, j && by_row ? value_factor(t, j) : number, weight[j], adds[j]);
        cpu_unbind(e, axis);
    }
}
/* Scratch to registers before the columns, and back behind them. */
static void each_sum(tile *t, bool out) {
    cpu_panel *p = t->p;
    cpu_emitter *e = p->e;
    const int32_t axis = e->s->lets[t->let].lane_axis;
    for (int32_t m = 0; m < height(t); m++) {
        cpu_bind(e, axis, t->at[m]);
        cpu_val at = cpu_role_index(e, IR_VAL, axis);
        cpu_unbind(e, axis);
        for (int32_t j = 0; j < p->vectors; j++) {
            if (out) cpu_panel_store(p, cpu_slot_value(e, t->sum[m][j]), e->s->lets[t->let].at, at, j);
            else t->sum[m][j] = cpu_slot_of(e, cpu_panel_load(p, e->s->lets[t->let].at, at, j), "value");
        }
    }
}
static void value_tiles(cpu_emitter *e, void *env) {
    tile *t = env;
    cpu_val n = cpu_extent(e, e->s->lets[t->let].lane_axis);
    cpu_loop v = cpu_loop_begin(e, cpu_int(e, 0), n, e->s->micro_rows, "tile");
    cpu_scope_push(e, 0);
    place_tile(t, v.index, n);
    each_sum(t, false);
    cpu_loop c = cpu_loop_begin(e, e->block_lo, e->block_hi, 1, "column");
    cpu_bind(e, e->block_axis, c.index);
    add_column(t);
    cpu_unbind(e, e->block_axis);
    cpu_loop_end(e, &c);
    each_sum(t, true);
    cpu_scope_pop(e);
    cpu_loop_end(e, &v);
}
/* Axes of values that tiles do not run along are loops around. */
void cpu_accumulate(cpu_panel *p, uint32_t k) {
    cpu_emitter *e = p->e;
    tile t = {.p = p, .let = k};
    cpu_phase(e, "accumulate");
    cpu_walk(e, cpu_axes_with(e, IR_VAL) & ~(1u << e->s->lets[k].lane_axis), -1, value_tiles, &t);
}

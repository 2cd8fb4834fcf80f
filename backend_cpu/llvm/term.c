/* TERMs: reductions over features. In place: loops over the features with one accumulator, of whatever shape the place has; where the place
 * is scalar and the schedule says so, lanes run along a feature and are summed at the end. */
#include "emit.h"

/* Computed where it is wanted, when no block of scratch holds it. */
typedef struct { uint32_t let; cpu_val sum; } term; /* sum: slot */

/* Scalars only where the place is one: a slot keeps the type it begins with. */
static cpu_val shaped(cpu_emitter *e, cpu_val v, bool vector) { return vector ? cpu_splat(e, v, e->lanes) : v; }

/* Is the axis one of the features that the TERM binds? */
static bool runs_over(const cpu_emitter *e, const ir_let *l, int32_t axis) {
    for (uint32_t i = 0; i < l->n_over; i++)
        if (cpu_axis_of(e, l->over[i]) == axis) return true;
    return false;
}
/* sum' of one feature (or a vector of them). What `where` hides is not added: selected, never multiplied by 0. Nor are lanes beyond the last
 * feature, where the lanes are this TERM's own: in those of a TERM around it, one value may serve all of them, and it stays a scalar. */
static cpu_val step(cpu_emitter *e, uint32_t k, cpu_val sum) {
    const ir_let *l = &e->k->lets[k];
    cpu_val next = l->a ? cpu_fma(e, cpu_expr(e, l->a), cpu_expr(e, l->b), sum) : cpu_combine(e, (ir_red)l->red, sum, cpu_expr(e, l->e));
    cpu_val where = ir_is_bool(e->u, l->where, true) ? NULL : cpu_expr(e, l->where);
    if (e->tail && runs_over(e, l, e->lane)) where = cpu_truth(e, where, e->tail);
    return where ? cpu_pick(e, where, next, sum) : next;
}
static void one_feature(cpu_emitter *e, void *env) {
    const term *t = env;
    cpu_val sum = LLVMBuildLoad2(e->b, LLVMGetAllocatedType(t->sum), t->sum, "");
    LLVMBuildStore(e->b, shaped(e, step(e, t->let, sum), cpu_is_vector(sum)), t->sum);
}

/* As bits of axes, the form in which cpu_walk takes them. */
static uint32_t features_of(const cpu_emitter *e, const ir_let *l) {
    uint32_t all = 0;
    for (uint32_t i = 0; i < l->n_over; i++) all |= 1u << cpu_axis_of(e, l->over[i]);
    return all;
}

/* Three shapes. The place is a vector already: each lane sums for itself. The place is a scalar and features are neighbours in memory: lanes along
 * the feature, summed at the end. Else a scalar. */
cpu_val cpu_term(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    const ir_let_schedule *s = &e->s->lets[k];
    const int32_t lane = e->lane < 0 && e->s->width > 1 && s->lanes == IR_FEAT ? s->lane_axis : -1;
    const bool varies = e->lane >= 0 && ir_set_has(e->u, e->let_reach[k], e->k->axes[e->lane].var);
    cpu_val identity = cpu_identity(e, l);
    if (lane >= 0) identity = cpu_splat(e, identity, e->s->width);
    else identity = shaped(e, identity, varies);
    term t = {k, cpu_slot(e, LLVMTypeOf(identity), base_printf(e->arena, "term%u", k))};
    LLVMBuildStore(e->b, identity, t.sum);
    cpu_walk(e, features_of(e, l), lane, one_feature, &t);
    cpu_val sum = LLVMBuildLoad2(e->b, LLVMGetAllocatedType(t.sum), t.sum, "");
    return lane >= 0 ? cpu_reduce_lanes(e, (ir_red)l->red, (char)l->sort, sum) : sum;
}

/* ---- tiles. A block of scores is computed by tiles of a few rows and columns, the accumulators in registers. Lanes along a feature: each
 * pair of row and column has a vector of partial sums; lanes along columns: each row has some vectors of sums. */

enum { MAX_ROWS = IR_MICRO, MAX_COLS = IR_MICRO };
/* Why tiles: a product needs two loads. A tile of 4 rows and 4 columns loads 8 factors for 16 products, and 16 sums in registers hide the latency of
 * the multiplications. MAX_* bound the arrays here; the schedule stays below them. */
typedef struct {
    uint32_t let;
    bool by_column;              /* lanes along columns */
    cpu_val row, col, tail;      /* first of the tile; lanes of the last vector of columns */
    int32_t rows, cols;          /* cols: columns or vectors of columns */
    cpu_val sum[MAX_ROWS][MAX_COLS];
} tile;

/* Of the block at hand; outside of blocks nothing does. */
static bool varies_with_column(cpu_emitter *e, ir_expr x) { return e->block_axis >= 0 && cpu_varies(e, x, e->block_axis); }
static void bind_column(cpu_emitter *e, const tile *t, int32_t j) {
    const int32_t step = t->by_column ? e->s->width : 1;
    if (e->block_axis < 0) {
        cpu_scope_push(e, 0);
        return;
    }
    cpu_val at = j ? LLVMBuildAdd(e->b, t->col, cpu_int(e, j * step), "") : t->col;
    if (t->by_column) cpu_bind_lane(e, e->block_axis, at, t->tail);
    else cpu_bind(e, e->block_axis, at);
}
/* A scope was pushed where there is no column, so that each bind has its unbind. */
static void unbind_column(cpu_emitter *e) {
    if (e->block_axis < 0) cpu_scope_pop(e);
    else cpu_unbind(e, e->block_axis);
}
static void bind_pair(cpu_emitter *e, const tile *t, int32_t i, int32_t j) {
    cpu_bind_row(e, t->row, i);
    bind_column(e, t, j);
}
static void unbind_pair(cpu_emitter *e) {
    unbind_column(e);
    cpu_unbind_row(e);
}

/* Sums are slots while they are emitted and registers after sroa. */
static cpu_val old_sum(cpu_emitter *e, const tile *t, int32_t i, int32_t j) {
    return LLVMBuildLoad2(e->b, LLVMGetAllocatedType(t->sum[i][j]), t->sum[i][j], "");
}

/* ---- packed row factors */

/* Position among the features, the lanes' innermost. */
static cpu_val feature_index(cpu_emitter *e, const ir_let *l, int32_t lane) {
    cpu_val at = cpu_int(e, 0);
    for (uint32_t o = 0; o <= l->n_over; o++) {
        const int32_t axis = o < l->n_over ? cpu_axis_of(e, l->over[o]) : lane;
        if (axis < 0 || (o < l->n_over && axis == lane)) continue;
        at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, at, cpu_extent(e, axis), ""), e->axis[axis], "");
    }
    return at;
}
/* Elements of one row of packed factors. */
cpu_val cpu_term_features(cpu_emitter *e, const ir_let *l) {
    cpu_val n = cpu_int(e, 1);
    for (uint32_t o = 0; o < l->n_over; o++) n = LLVMBuildMul(e->b, n, cpu_extent(e, cpu_axis_of(e, l->over[o])), "");
    return n;
}
/* Packing and reading must agree on which feature is innermost, so both ask here. */
static int32_t packing_lane(const cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    return e->s->lets[k].lanes == IR_FEAT ? e->s->lets[k].lane_axis : cpu_axis_of(e, l->over[l->n_over - 1]);
}
/* Of the row and the features bound now; the row counts from the first of the tile. */
static cpu_val factor_at(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    cpu_val at = LLVMBuildMul(e->b, cpu_tile_row(e), cpu_term_features(e, l), "");
    at = LLVMBuildAdd(e->b, at, feature_index(e, l, packing_lane(e, k)), "");
    return cpu_at(e, cpu_scratch(e, e->s->lets[k].factor_at), at, e->real);
}
static void pack_feature(cpu_emitter *e, void *env) {
    const uint32_t k = *(const uint32_t *)env;
    cpu_store(e, cpu_splat(e, cpu_expr(e, e->k->lets[k].a), e->lanes), factor_at(e, k));
}
/* Lines of the row alone are computed before its features, once. */
static void pack_row(cpu_emitter *e, void *env) {
    const uint32_t k = *(const uint32_t *)env;
    cpu_lets_ready(e, 0);
    cpu_walk(e, features_of(e, &e->k->lets[k]), packing_lane(e, k), pack_feature, env);
}
/* Once per tile of rows, before all columns: a rotary prologue is not computed again for each block of keys. */
void cpu_term_pack(cpu_emitter *e, uint32_t k) {
    if (!e->s->lets[k].packed) return;
    cpu_phase(e, "load_row");
    cpu_each_row(e, pack_row, &k);
}
/* Packed: loaded along the lanes at hand; else computed in place, like any expression. */
static cpu_val row_factor(cpu_emitter *e, uint32_t k) {
    if (!e->s->lets[k].packed) return cpu_expr(e, e->k->lets[k].a);
    return cpu_load(e, e->real, factor_at(e, k), e->lanes);
}

/* Reads beyond the last feature give 0, so the product of two plain reads adds nothing there. */
static bool plain_product(cpu_emitter *e, const ir_let *l) {
    return l->a && ir_is_bool(e->u, l->where, true) && (ir_is(e->u, l->a, IR_READ) || e->s->lets[l - e->k->lets].packed) && ir_is(e->u, l->b, IR_READ);
}
/* Row factors once per row, column factors once per column, all products: the heart of every contraction. */
static void products(cpu_emitter *e, const tile *t, bool masked) {
    const ir_let *l = &e->k->lets[t->let];
    cpu_val row[MAX_ROWS], col[MAX_COLS];
    for (int32_t j = 0; j < t->cols; j++) {
        bind_column(e, t, j);
        col[j] = cpu_expr(e, l->b);
        unbind_column(e);
    }
    for (int32_t i = 0; i < t->rows; i++) {
        cpu_bind_row(e, t->row, i);
        row[i] = row_factor(e, t->let);
        cpu_unbind_row(e);
    }
    for (int32_t i = 0; i < t->rows; i++)
        for (int32_t j = 0; j < t->cols; j++) {
            cpu_val old = old_sum(e, t, i, j), next = cpu_fma(e, row[i], col[j], old);
            LLVMBuildStore(e->b, masked ? cpu_pick(e, e->tail, next, old) : next, t->sum[i][j]);
        }
}
/* The general case, where a factor varies over both or something is guarded, computes each pair by itself. */
static void tile_feature(cpu_emitter *e, void *env) {
    const tile *t = env;
    const ir_let *l = &e->k->lets[t->let];
    /* Factors that split into one of the row and one of the column need rows + columns evaluations instead of rows x columns. */
    const bool apart = l->a && ir_is_bool(e->u, l->where, true) && !varies_with_column(e, l->a) && !cpu_varies_with_row(e, l->b);
    if (apart) {
        products(e, t, e->tail && !plain_product(e, l));
        return;
    }
    cpu_val features = e->tail;
    for (int32_t i = 0; i < t->rows; i++)
        for (int32_t j = 0; j < t->cols; j++) {
            bind_pair(e, t, i, j);
            cpu_val old = old_sum(e, t, i, j), next = step(e, t->let, old);
            if (features && !t->by_column) next = cpu_pick(e, features, next, old);
            LLVMBuildStore(e->b, cpu_is_vector(old) ? cpu_splat(e, next, e->s->width) : next, t->sum[i][j]);
            unbind_pair(e);
        }
}

/* Identities, as many as the tile has pairs. */
static void tile_begin(cpu_emitter *e, tile *t) {
    cpu_val identity = cpu_splat(e, cpu_identity(e, &e->k->lets[t->let]), e->s->width);
    for (int32_t i = 0; i < t->rows; i++)
        for (int32_t j = 0; j < t->cols; j++) {
            t->sum[i][j] = cpu_slot(e, LLVMTypeOf(identity), "sum");
            LLVMBuildStore(e->b, identity, t->sum[i][j]);
        }
}
/* Place of the tile's element (i, j) in scratch: by row, and by column from the first of the block. */
static cpu_val place(cpu_emitter *e, const tile *t, int32_t i, int32_t j) {
    const ir_let *l = &e->k->lets[t->let];
    const bool cols = l->rank & IR_COL, rows = (l->rank & IR_ROW) && e->s->row_axis >= 0;
    cpu_val row = rows ? LLVMBuildAdd(e->b, LLVMBuildSub(e->b, t->row, e->row0, ""), cpu_int(e, i), "") : cpu_int(e, 0), col = cpu_int(e, 0);
    if (cols) col = LLVMBuildAdd(e->b, LLVMBuildSub(e->b, t->col, e->block_lo, ""), cpu_int(e, t->by_column ? j * e->s->width : j), "");
    return cpu_kept_at(e, t->let, e->s->lets[t->let].at, row, cols ? cpu_int(e, e->s->col_block) : cpu_int(e, 1), col);
}
/* Lanes along features: all partial sums of a row (of the tile, if there are as many lanes) are summed together. */
static void store_sums(cpu_emitter *e, const tile *t) {
    const ir_red red = (ir_red)e->k->lets[t->let].red;
    const int32_t all = t->rows * t->cols, at_once = all <= e->s->width && !(all & (all - 1)) ? t->rows : 1;
    for (int32_t i = 0; i < t->rows; i += at_once) {
        cpu_val v[MAX_ROWS * MAX_COLS];
        for (int32_t n = 0; n < at_once * t->cols; n++) v[n] = old_sum(e, t, i + n / t->cols, n % t->cols);
        cpu_val sums = cpu_reduce_many(e, red, (uint32_t)(at_once * t->cols), v);
        for (int32_t n = 0; n < at_once; n++) cpu_store(e, cpu_part(e, sums, (uint32_t)(n * t->cols), (uint32_t)t->cols), place(e, t, i + n, 0));
    }
}
/* Lanes along columns, or scalars: sums are complete as they are, and stand side by side in the block. */
static void tile_end(cpu_emitter *e, const tile *t) {
    if (!t->by_column && e->s->width > 1) {
        store_sums(e, t);
        return;
    }
    for (int32_t i = 0; i < t->rows; i++)
        for (int32_t j = 0; j < t->cols; j++) cpu_store(e, old_sum(e, t, i, j), place(e, t, i, j));
}

/* One tile: identities, the loops over features, results into scratch. */
static void tile_columns(cpu_emitter *e, void *env, cpu_val from, int32_t n, cpu_val tail) {
    tile *t = env;
    const int32_t lane = t->by_column || e->s->width == 1 ? -1 : e->s->lets[t->let].lane_axis;
    t->col = from;
    t->cols = n;
    t->tail = tail;
    tile_begin(e, t);
    cpu_walk(e, features_of(e, &e->k->lets[t->let]), lane, tile_feature, t);
    tile_end(e, t);
}
/* A TERM of rows alone is a tile of one column that is none: bind_column then only opens a scope. */
static void tile_rows(cpu_emitter *e, void *env, cpu_val row, int32_t rows) {
    tile *t = env;
    t->row = row;
    t->rows = rows;
    if (!(e->k->lets[t->let].rank & IR_COL)) tile_columns(e, t, cpu_int(e, 0), 1, NULL);
    else cpu_spans(e, e->block_lo, e->block_hi, t->by_column ? e->s->width : 1, e->s->micro_cols, tile_columns, t);
}

/* The schedule says whether a TERM has a place in scratch. One without columns is filled before the blocks, the others in the block of their column. */
bool cpu_term_in_block(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    const ir_let_schedule *s = &e->s->lets[k];
    if (l->kind != IR_LET_TERM || !s->kept) return false;
    if (!(l->rank & IR_COL)) return e->block_axis < 0;
    if (e->block_axis < 0 || !ir_set_has(e->u, e->let_reach[k], e->k->axes[e->block_axis].var)) return false;
    return s->lanes == IR_FEAT || s->lane_axis == e->block_axis;
}
/* From now on, cpu_let loads the TERM from here until forget_terms. */
void cpu_term_block(cpu_emitter *e, uint32_t k) {
    const bool rows = (e->k->lets[k].rank & IR_ROW) && e->s->row_axis >= 0;
    tile t = {.let = k, .by_column = e->s->lets[k].lanes == IR_COL};
    cpu_phase(e, "scores");
    cpu_scope_push(e, 0);
    if (rows) cpu_row_tiles(e, e->s->micro_rows, tile_rows, &t);
    else tile_rows(e, &t, cpu_int(e, 0), 1);
    cpu_scope_pop(e);
    e->filled[k] = e->block_axis >= 0 ? e->block_lo : cpu_int(e, 0);
}

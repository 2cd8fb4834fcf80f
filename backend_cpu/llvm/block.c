/* The walk with lanes along columns: a tile of rows meets blocks of columns. What is expensive per pair (TERMs) fills a block of scratch by
 * register tiles; what is cheap per pair runs along the columns of a row; what is added per value runs along the values.
 *
 *   load_row     lines of rank row that reduce over features
 *   per sweep:   folds and accs at their identities; per block of columns:
 *     scores       TERMs of the block
 *     modify, mask, normalise   per row, lanes along the block: absolute folds; then the references as they are now, what is relative
 *                  to them moved along; relative folds and the weights of accs
 *     accumulate   weights times values
 *   epilogue     stores, by row or by blocks of columns again
 */
#include "attend.h"

/* ---- which lines a phase needs */

/* Walks from what a phase computes to the lines below it, and stops at folds: these have their value already. */
typedef struct { cpu_emitter *e; bool *need; } needs; /* need: by let */
static void mark(needs *n, ir_expr x);
static bool mark_let(const ir_unit *u, void *env, ir_expr x) {
    needs *n = env;
    if (!ir_is(u, x, IR_LET)) return true;
    const uint32_t k = ir_at(u, x)->u.ref;
    if (n->need[k]) return true;
    n->need[k] = true;
    const ir_let *l = &n->e->k->lets[k];
    if (l->kind >= IR_LET_FOLD) return true;
    mark(n, l->e);
    mark(n, l->a);
    mark(n, l->b);
    if (l->kind == IR_LET_TERM) mark(n, l->where);
    return true;
}
static void mark(needs *n, ir_expr x) {
    if (x) ir_walk(n->e->u, x, mark_let, n);
}

/* A sweep has two stages per block: absolute folds first, since references stand on them (the maximum), then what is relative to
 * these. Both walk the block once per row. */
typedef struct { uint32_t sweep; bool relative; needs needs; cpu_val *slot; } stage; /* slot: by let, partial results of a FOLD, one per lane */

/* Relative is what has a reference: its sums are in units of 2^reference and move with it. */
static bool in_stage(const ir_let *l, const stage *s) { return l->kind >= IR_LET_FOLD && l->sweep == s->sweep && (l->ref >= 0) == s->relative; }
/* `b` of an acc is needed by `accumulate`; marking it fills the blocks of its TERMs before. */
static stage stage_of(cpu_emitter *e, uint32_t sweep, bool relative) {
    stage s = {sweep, relative, {e, BASE_ARRAY(e->arena, e->k->n_lets, bool)}, BASE_ARRAY(e->arena, e->k->n_lets, cpu_val)};
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (!in_stage(l, &s)) continue;
        mark(&s.needs, l->e);
        mark(&s.needs, l->where);
        if (l->kind == IR_LET_ACC) mark(&s.needs, l->b);
    }
    return s;
}
static bool any_in_stage(const cpu_emitter *e, const stage *s) {
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (in_stage(&e->k->lets[k], s)) return true;
    return false;
}

/* Lines that need no more than what is bound get their values here, once, rather than in the loop inside. */
static void hoist(cpu_emitter *e, const bool *need) {
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (!need[k] || l->kind > IR_LET_TERM || e->filled[k]) continue;
        bool bound = true;
        for (uint32_t i = 0; i < ir_set_size(e->u, e->let_reach[k]); i++) {
            const int32_t axis = cpu_axis_of(e, ir_set_at(e->u, e->let_reach[k], i));
            bound &= axis < 0 || e->axis[axis];
        }
        if (bound) cpu_expr(e, ir_let_expr(e->u, k, (ir_sort)l->sort));
    }
}

/* ---- addresses of what a row keeps */

static cpu_val fold_at(cpu_emitter *e, uint32_t k) { return cpu_kept_at(e, k, e->s->lets[k].at, cpu_tile_row(e), cpu_int(e, 1), cpu_int(e, 0)); }
/* The reference at which the sums of a row stand now. Lines with one reference share it, and the first of them owns it. */
static cpu_val moved_at(cpu_emitter *e, uint32_t k) {
    return cpu_at(e, cpu_scratch(e, e->s->lets[k].moved_at), cpu_tile_row(e), e->real);
}
/* The reference as it is now: an expression over folds, whose numbers of this row it reads from scratch. */
static cpu_val ref_value(cpu_emitter *e, uint32_t k) { return cpu_expr(e, ir_let_expr(e->u, (uint32_t)e->k->lets[k].ref, IR_SORT_REAL)); }
static bool first_with_ref(const cpu_emitter *e, uint32_t k) {
    for (uint32_t i = 0; i < k; i++)
        if (e->k->lets[i].kind >= IR_LET_FOLD && e->k->lets[i].sweep == e->k->lets[k].sweep && e->k->lets[i].ref == e->k->lets[k].ref) return false;
    return true;
}
static uint32_t value_axes(const cpu_emitter *e) {
    uint32_t all = 0;
    for (uint32_t a = 0; a < e->k->n_axes; a++)
        if (e->k->axes[a].role == IR_VAL) all |= 1u << a;
    return all;
}

/* ---- before a sweep */

typedef struct { uint32_t let; cpu_val factor; } value_env; /* factor: of scale_value only */
static void clear_value(cpu_emitter *e, void *env) {
    const value_env *v = env;
    cpu_store(e, cpu_splat(e, cpu_real(e, 0), e->lanes), cpu_acc_at(e, v->let));
}
/* Identities first, for all lines: a reference reads the folds. */
static void begin_row(cpu_emitter *e, void *env) {
    const uint32_t sweep = *(const uint32_t *)env;
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        value_env v = {k, NULL};
        if (l->kind < IR_LET_FOLD || l->sweep != sweep) continue;
        if (l->kind == IR_LET_FOLD) cpu_store(e, cpu_identity(e, l), fold_at(e, k));
        else cpu_walk(e, value_axes(e), e->s->lets[k].lane_axis, clear_value, &v);
    }
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (l->kind >= IR_LET_FOLD && l->sweep == sweep && l->ref >= 0 && first_with_ref(e, k)) cpu_store(e, ref_value(e, k), moved_at(e, k));
    }
}

/* ---- normalise: the references move */

static void scale_value(cpu_emitter *e, void *env) {
    const value_env *v = env;
    cpu_val at = cpu_acc_at(e, v->let), x[] = {cpu_load(e, e->real, at, e->lanes), v->factor};
    cpu_store(e, cpu_apply(e, IR_MUL, x, 2), at);
}
/* All that is relative to `ref` at once, so that sums with one reference never stand at different ones. */
static void scale_all(cpu_emitter *e, const stage *s, int32_t ref, cpu_val factor) {
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        value_env v = {k, factor};
        if (!in_stage(l, s) || l->ref != ref) continue;
        if (l->kind == IR_LET_ACC) cpu_walk(e, value_axes(e), e->s->lets[k].lane_axis, scale_value, &v);
        else {
            cpu_val x[] = {cpu_load(e, e->real, fold_at(e, k), 1), factor};
            cpu_store(e, cpu_apply(e, IR_MUL, x, 2), fold_at(e, k));
        }
    }
}
/* Rows whose maximum did not rise skip the scaling; after a few blocks that is nearly all of them. `une` is true for NaN too, which then spreads
 * to the sums, as it must. */
static void move_references(cpu_emitter *e, const stage *s) {
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        if (!in_stage(&e->k->lets[k], s) || !first_with_ref(e, k)) continue;
        cpu_val now = ref_value(e, k), old = cpu_load(e, e->real, moved_at(e, k), 1);
        cpu_if moved = cpu_if_begin(e, LLVMBuildFCmp(e->b, LLVMRealUNE, now, old, ""), "moved");
        cpu_scope_push(e, 0);
        scale_all(e, s, e->k->lets[k].ref, cpu_exp2(e, LLVMBuildFSub(e->b, old, now, "")));
        cpu_store(e, now, moved_at(e, k));
        cpu_scope_pop(e);
        cpu_if_end(e, &moved);
    }
}

/* ---- one row of a block, lanes along the columns */

/* Folds keep one partial result per lane. Weights go to scratch, where `accumulate` finds them; a hidden pair gets -0.0 there, a mark that no
 * visible weight can be, since adding 0.0 makes every -0.0 a 0.0. */
static void stage_lanes(cpu_emitter *e, void *env) {
    const stage *s = env;
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (!in_stage(l, s)) continue;
        cpu_val y = cpu_splat(e, cpu_expr(e, l->e), e->lanes), where = e->full || ir_is_bool(e->u, l->where, true) ? NULL : cpu_expr(e, l->where);
        if (l->kind == IR_LET_ACC) {
            cpu_val w[] = {y, cpu_real(e, 0)};
            if (where) y = cpu_pick(e, where, cpu_apply(e, IR_ADD, w, 2), cpu_real(e, -0.0));
            cpu_val col = LLVMBuildSub(e->b, e->axis[e->block_axis], e->block_lo, "");
            cpu_store(e, y, cpu_kept_at(e, k, e->s->lets[k].weight_at, cpu_tile_row(e), cpu_int(e, e->s->col_block), col));
            continue;
        }
        where = cpu_truth(e, where, e->tail);
        cpu_val old = LLVMBuildLoad2(e->b, LLVMGetAllocatedType(s->slot[k]), s->slot[k], ""), next = cpu_combine(e, (ir_red)l->red, old, y);
        LLVMBuildStore(e->b, where ? cpu_pick(e, where, next, old) : next, s->slot[k]);
    }
}
/* Per row of the tile: references, then the lanes of the block, then the partial results of the lanes into the row's number in scratch. */
static void stage_row(cpu_emitter *e, void *env) {
    stage *s = env;
    if (s->relative) move_references(e, s);
    hoist(e, s->needs.need);
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (!in_stage(l, s) || l->kind != IR_LET_FOLD) continue;
        cpu_val identity = cpu_splat(e, cpu_identity(e, l), e->s->width);
        s->slot[k] = cpu_slot(e, LLVMTypeOf(identity), base_printf(e->arena, "fold%u", k));
        LLVMBuildStore(e->b, identity, s->slot[k]);
    }
    cpu_lanes(e, e->block_axis, e->block_lo, e->block_hi, stage_lanes, s);
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (!in_stage(l, s) || l->kind != IR_LET_FOLD) continue;
        cpu_val sum = LLVMBuildLoad2(e->b, LLVMGetAllocatedType(s->slot[k]), s->slot[k], "");
        sum = cpu_reduce_lanes(e, (ir_red)l->red, (char)l->sort, sum);
        cpu_val old = cpu_load(e, cpu_type(e, (char)l->sort), fold_at(e, k), 1);
        cpu_store(e, cpu_combine(e, (ir_red)l->red, old, sum), fold_at(e, k));
    }
}

/* ---- blocks of columns */

/* In the order of lines: a TERM may read one before it, which is then loaded from scratch. */
static void fill_terms(cpu_emitter *e, const bool *need) {
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (need[k] && cpu_term_in_block(e, k)) cpu_few_packs(e, k) ? cpu_few_scores(e, k) : cpu_term_block(e, k);
}
/* Those of rows alone stay: they were filled before the blocks and hold for the whole tile. */
static void forget_terms(cpu_emitter *e) {
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (e->k->lets[k].rank & IR_COL) e->filled[k] = NULL;
}

typedef struct { int32_t axis; cpu_body *body; void *env; } blocks;
/* Blocks are loops over scratch-sized pieces of the column axis; `filled` is valid inside one block only. */
static void blocks_between(cpu_emitter *e, const blocks *b, cpu_val lo, cpu_val hi) {
    cpu_loop l = cpu_loop_begin(e, lo, hi, e->s->col_block, "block");
    cpu_scope_push(e, 0);
    cpu_val end[] = {LLVMBuildAdd(e->b, l.index, cpu_int(e, e->s->col_block), ""), hi};
    e->block_axis = b->axis;
    e->block_lo = l.index;
    e->block_hi = cpu_apply(e, IR_MIN, end, 2);
    b->body(e, b->env);
    forget_terms(e);
    e->block_axis = -1;
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}
/* A column axis that the launch is cut along has its range of this item; another is taken whole. */
static void each_block(cpu_emitter *e, void *env) {
    const blocks *b = env;
    cpu_val lo = e->lo[b->axis] ? e->lo[b->axis] : cpu_int(e, 0), hi = e->hi[b->axis] ? e->hi[b->axis] : cpu_extent(e, b->axis);
    blocks_between(e, b, lo, hi);
}

/* full: every pair of the run is visible, a truth value known when it runs; NULL: nothing is known. */
typedef struct { stage absolute, relative; cpu_val full; } sweep_env;
typedef struct { cpu_panel p; const blocks *b; sweep_env *s; } run;
static void run_blocks(cpu_panel *p, int32_t axis, cpu_val lo, cpu_val hi, cpu_val full) {
    run *r = (run *)p;           /* its first member */
    (void)axis;
    r->s->full = full;
    blocks_between(p->e, r->b, lo, hi);
}
/* FEW: only columns that some row of the tile may see. */
static void each_run(cpu_emitter *e, void *env) {
    const blocks *b = env;
    const int32_t row = e->s->row_axis;
    run r = {{.e = e, .vectors = e->s->micro_cols, .row0 = row < 0 ? NULL : e->lo[row], .hi = row < 0 ? NULL : e->hi[row]}, b, b->env};
    cpu_attend_runs(&r.p, b->axis, run_blocks);
}
/* What a block of scores becomes; full: guards are not asked. */
static void sums(cpu_emitter *e, sweep_env *s, bool full) {
    stage *stages[] = {&s->absolute, &s->relative};
    e->full = full;
    for (int i = 0; i < 2; i++) {
        if (!any_in_stage(e, stages[i])) continue;
        cpu_phase(e, i ? "normalise" : "modify");
        cpu_each_row(e, stage_row, stages[i]);
    }
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (e->k->lets[k].kind == IR_LET_ACC && e->k->lets[k].sweep == s->absolute.sweep) cpu_few_sums(e, k) ? cpu_few_acc(e, k) : cpu_acc_block(e, k);
    e->full = false;
}
/* The order of phases within a block is fixed; what differs between kernels is which lines each phase needs. */
static void sweep_block(cpu_emitter *e, void *env) {
    /* One TERM may serve both stages; it is filled once, before the first. */
    sweep_env *s = env;
    const bool *need[] = {s->absolute.needs.need, s->relative.needs.need};
    bool *all = BASE_ARRAY(e->arena, e->k->n_lets, bool);
    for (uint32_t k = 0; k < e->k->n_lets; k++) all[k] = need[0][k] || need[1][k];
    fill_terms(e, all);
    if (!s->full || LLVMIsConstant(s->full)) {
        sums(e, s, s->full && LLVMConstIntGetZExtValue(s->full));
        return;
    }
    for (int full = 0; full < 2; full++) {
        cpu_if branch = cpu_if_begin(e, full ? s->full : LLVMBuildNot(e->b, s->full, ""), full ? "full" : "partial");
        cpu_scope_push(e, 0);
        sums(e, s, full);
        cpu_scope_pop(e);
        cpu_if_end(e, &branch);
    }
}
/* Columns that are not taken in blocks are plain loops around. */
static void sweep(cpu_emitter *e, uint32_t number) {
    sweep_env s = {stage_of(e, number, false), stage_of(e, number, true), NULL};
    uint32_t around = 0;
    blocks b = {-1, sweep_block, &s};
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (l->kind < IR_LET_FOLD || l->sweep != number) continue;
        b.axis = e->s->lets[k].col_axis;
        for (uint32_t o = 0; o < l->n_over; o++) around |= 1u << cpu_axis_of(e, l->over[o]);
    }
    if (b.axis < 0) return;
    cpu_phase(e, "sweep");
    /* Before all loops over columns, those around the blocks included: the sums run through all of them. */
    cpu_each_row(e, begin_row, &number);
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (e->k->lets[k].sweep == number && cpu_few_sums(e, k)) cpu_few_weights(e, k);
    cpu_walk(e, around & ~(1u << b.axis), -1, e->s->form == IR_FEW ? each_run : each_block, &b);
}

/* ---- epilogue */

/* lane: the axis of values that is the lanes, -1: none; wanted: axes that the places mention, as bits. */
typedef struct { uint32_t store; int32_t lane; uint32_t wanted; needs needs; } epilogue;
static void store_here(cpu_emitter *e, void *env) {
    const epilogue *p = env;
    const ir_kernel_store *s = &e->k->stores[p->store];
    cpu_val where = ir_is_bool(e->u, e->k->inside, true) ? NULL : cpu_expr(e, e->k->inside);
    cpu_write(e, &s->at, cpu_expr(e, s->e), where);
}
/* A row of a result over columns: what depends on the row alone once, then the lanes along the block. */
static void store_row_block(cpu_emitter *e, void *env) {
    const epilogue *p = env;
    hoist(e, p->needs.need);
    cpu_lanes(e, e->block_axis, e->block_lo, e->block_hi, store_here, env);
}
static void store_block(cpu_emitter *e, void *env) {
    const epilogue *p = env;
    fill_terms(e, p->needs.need);
    cpu_phase(e, "epilogue");
    cpu_each_row(e, store_row_block, env);
}
/* A row of any other result: over values by vectors where there is an acc, else a single place or loops of scalars. */
static void store_row(cpu_emitter *e, void *env) {
    const epilogue *p = env;
    hoist(e, p->needs.need);
    cpu_walk(e, p->wanted, p->lane, store_here, env);
}

/* A store over values runs along the axis that the acc's tiles run along: there the values are neighbours in scratch. */
static int32_t value_lane(const cpu_emitter *e, uint32_t wanted) {
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (e->k->lets[k].kind == IR_LET_ACC && (wanted >> e->s->lets[k].lane_axis & 1)) return e->s->lets[k].lane_axis;
    return -1;
}
/* A result over columns recomputes its scores block by block; any other runs over the rows of the tile. */
static void store(cpu_emitter *e, uint32_t number) {
    epilogue p = {.store = number, .needs = {e, BASE_ARRAY(e->arena, e->k->n_lets, bool)}};
    const ir_kernel_store *s = &e->k->stores[number];
    p.wanted = cpu_axes_of_places(e, &s->at);
    mark(&p.needs, s->e);
    mark(&p.needs, e->k->inside);
    p.lane = value_lane(e, p.wanted);
    const int32_t column = e->s->lane_axis;
    cpu_phase(e, "epilogue");
    if (p.lane < 0 && column >= 0 && (p.wanted >> column & 1)) {
        blocks b = {column, store_block, &p};
        cpu_walk(e, p.wanted & ~(1u << column), -1, each_block, &b);
    } else cpu_each_row(e, store_row, &p);
}

void cpu_block_stores(cpu_emitter *e) {
    for (uint32_t i = 0; i < e->k->n_stores; i++) {
        epilogue p = {.store = i, .lane = -1, .needs = {e, BASE_ARRAY(e->arena, e->k->n_lets, bool)}};
        mark(&p.needs, e->k->stores[i].e);
        cpu_phase(e, "epilogue");
        cpu_each_row(e, store_row_block, &p);
    }
}

/* Products that vary over rows alone (a projection of the query, say), and row factors that are worth keeping, once per tile. */
void cpu_block_rows(cpu_emitter *e) {
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        if (cpu_term_in_block(e, k)) cpu_term_block(e, k);
        if (cpu_few_packs(e, k)) cpu_few_pack(e, k);
        else cpu_term_pack(e, k);
    }
}
void cpu_block(cpu_emitter *e) {
    const int32_t rows = e->s->row_axis;
    cpu_scope_push(e, 0);
    /* Rows in scratch are counted from the first of the tile; without a row axis there is one. */
    e->row0 = rows >= 0 ? e->lo[rows] : NULL;
    cpu_lets_ready(e, 0);
    cpu_block_rows(e);
    for (uint32_t s = 0; s < e->k->n_sweeps; s++) sweep(e, s);
    for (uint32_t i = 0; i < e->k->n_stores; i++) store(e, i);
    /* The next item, or the next round of a loop around, has other rows in scratch. */
    for (uint32_t k = 0; k < e->k->n_lets; k++) e->filled[k] = NULL;
    cpu_scope_pop(e);
}

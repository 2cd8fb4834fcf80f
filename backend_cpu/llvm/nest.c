/* The walk with lanes along rows (or an item, or no lanes): everything but the lane axis is a loop of scalars around, so each line stands where
 * its rank says and no value ever crosses lanes. Pure maps, reductions along a strided axis, and whatever no other walk takes.
 *
 *   rows by vectors: lines of rank row; per sweep: folds at their identities, loops over columns: folds and accs in order; then the stores
 */
#include "emit.h"

/* What the loops hand to their bodies; each body uses the fields of its own level. where, factor NULL: no guard, no reference. */
typedef struct { cpu_emitter *e; uint32_t sweep, let; cpu_val weight, where, factor; } column;

/* A line has the shape that it will have for the whole loop from the start: a slot that begins as a scalar could not become a vector later. */
static cpu_val shaped(cpu_emitter *e, cpu_val v, uint32_t k) {
    const bool varies = e->lane >= 0 && ir_set_has(e->u, e->let_reach[k], e->k->axes[e->lane].var);
    return varies ? cpu_splat(e, v, e->lanes) : v;
}
/* For what loops change: memory now, a register after sroa. */
static cpu_val slot_with(cpu_emitter *e, cpu_val v, const char *name) {
    cpu_val slot = cpu_slot(e, LLVMTypeOf(v), name);
    LLVMBuildStore(e->b, v, slot);
    return slot;
}
static cpu_val slot_load(cpu_emitter *e, cpu_val slot) { return LLVMBuildLoad2(e->b, LLVMGetAllocatedType(slot), slot, ""); }

/* ---- before the columns: identities, and the references they stand at */

static void clear_value(cpu_emitter *e, void *env) {
    const column *c = env;
    cpu_store(e, shaped(e, cpu_real(e, 0), c->let), cpu_acc_at(e, c->let));
}
/* As bits of axes. */
static uint32_t axes_of(const cpu_emitter *e, uint8_t role) {
    uint32_t all = 0;
    for (uint32_t a = 0; a < e->k->n_axes; a++)
        if (e->k->axes[a].role == role) all |= 1u << a;
    return all;
}
/* Folds are slots. An acc has as many values as the kernel has value positions, which only the run knows, so it lies in scratch. */
static void begin_let(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    column c = {.e = e, .let = k};
    if (l->kind == IR_LET_FOLD) e->slot[k] = slot_with(e, shaped(e, cpu_identity(e, l), k), base_printf(e->arena, "fold%u", k));
    else cpu_walk(e, axes_of(e, IR_VAL), -1, clear_value, &c);
}
/* Only folds and accs belong to a sweep's columns; other lines are computed where they are wanted. */
static bool of_sweep(const ir_let *l, uint32_t sweep) { return l->kind >= IR_LET_FOLD && l->sweep == sweep; }

/* References begin where their folds are the identity: the first column moves them, and what is multiplied then is still 0. The scope forgets what was
 * computed to get there: it reads the folds, which change from now on. */
static void begin_sweep(cpu_emitter *e, uint32_t sweep) {
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (of_sweep(&e->k->lets[k], sweep)) begin_let(e, k);
    cpu_scope_push(e, 0);
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (!of_sweep(l, sweep) || l->ref < 0) continue;
        const uint32_t r = (uint32_t)l->ref;
        e->moved[r] = slot_with(e, shaped(e, cpu_expr(e, ir_let_expr(e->u, r, IR_SORT_REAL)), r), "moved");
    }
    cpu_scope_pop(e);
}

/* ---- one column */

/* 2^(old - new) for what is relative to $ref, 1 where it did not move (also from -inf to -inf). Computed once per column. */
static cpu_val factor_of(cpu_emitter *e, uint32_t r) {
    if (e->factor[r]) return e->factor[r];
    cpu_val now = cpu_expr(e, ir_let_expr(e->u, r, IR_SORT_REAL)), old = slot_load(e, e->moved[r]);
    now = cpu_is_vector(old) ? cpu_splat(e, now, e->lanes) : now;
    cpu_val same = LLVMBuildFCmp(e->b, LLVMRealOEQ, now, old, ""), ratio = cpu_exp2(e, LLVMBuildFSub(e->b, old, now, ""));
    LLVMBuildStore(e->b, now, e->moved[r]);
    return e->factor[r] = cpu_pick(e, same, cpu_real(e, 1), ratio);
}

/* The guard selects between sums, so a hidden column may hold anything, NaN included. */
static void fold_column(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    cpu_val y = cpu_expr(e, l->e), where = ir_is_bool(e->u, l->where, true) ? NULL : cpu_expr(e, l->where), old = slot_load(e, e->slot[k]);
    if (l->ref >= 0) {
        /* The sum moves to the new reference before the column is added: y is relative to the reference as it is now. */
        cpu_val x[] = {old, factor_of(e, (uint32_t)l->ref)};
        old = cpu_apply(e, IR_MUL, x, 2);
    }
    cpu_val sum = cpu_combine(e, (ir_red)l->red, old, y);
    if (where) sum = cpu_pick(e, where, sum, old);
    LLVMBuildStore(e->b, shaped(e, sum, k), e->slot[k]);
}

static void acc_value(cpu_emitter *e, void *env) {
    const column *c = env;
    const ir_let *l = &e->k->lets[c->let];
    cpu_val at = cpu_acc_at(e, c->let), old = cpu_load(e, e->real, at, cpu_is_vector(shaped(e, cpu_real(e, 0), c->let)) ? e->lanes : 1);
    if (c->factor) {
        cpu_val x[] = {old, c->factor};
        old = cpu_apply(e, IR_MUL, x, 2);
    }
    cpu_val sum = cpu_fma(e, c->weight, cpu_expr(e, l->b), old);
    if (c->where) sum = cpu_pick(e, c->where, sum, old);
    cpu_store(e, shaped(e, sum, c->let), at);
}
/* The weight and the guard belong to the column, so they are emitted before the loop over values. */
static void acc_column(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    column c = {.e = e, .let = k, .weight = cpu_expr(e, l->e)};
    if (!ir_is_bool(e->u, l->where, true)) c.where = cpu_expr(e, l->where);
    if (l->ref >= 0) c.factor = factor_of(e, (uint32_t)l->ref);
    cpu_walk(e, axes_of(e, IR_VAL), -1, acc_value, &c);
}

/* In order: a later line of the sweep reads earlier folds as they are now. Factors are per column. */
static void one_column(cpu_emitter *e, void *env) {
    const column *c = env;
    for (uint32_t k = 0; k < e->k->n_lets; k++) e->factor[k] = NULL;
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        if (!of_sweep(&e->k->lets[k], c->sweep)) continue;
        if (e->k->lets[k].kind == IR_LET_FOLD) fold_column(e, k);
        else acc_column(e, k);
    }
}

/* All folds and accs of a sweep run over the same columns. */
static uint32_t columns_of(const cpu_emitter *e, uint32_t sweep) {
    uint32_t all = 0;
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        for (uint32_t o = 0; of_sweep(l, sweep) && o < l->n_over; o++) all |= 1u << cpu_axis_of(e, l->over[o]);
    }
    return all;
}

/* ---- the epilogue */

/* A store runs over the columns and values that its places mention and that have no index yet. */
typedef struct { const ir_kernel_store *store; } one_store;
static void store_here(cpu_emitter *e, void *env) {
    const one_store *s = env;
    cpu_val where = ir_is_bool(e->u, e->k->inside, true) ? NULL : cpu_expr(e, e->k->inside);
    cpu_write(e, &s->store->at, cpu_expr(e, s->store->e), where);
}
uint32_t cpu_axes_of_places(cpu_emitter *e, const ir_store *at) {
    uint32_t all = 0;
    for (uint32_t i = 0; i < at->n_places; i++)
        for (uint32_t a = 0; a < e->k->n_axes; a++)
            if ((e->k->axes[a].role & (IR_COL | IR_VAL)) && !e->axis[a] && cpu_varies(e, at->places[i], (int32_t)a)) all |= 1u << a;
    return all;
}
/* Stores of one kernel run over different axes, so each has loops of its own. */
static void stores(cpu_emitter *e) {
    for (uint32_t i = 0; i < e->k->n_stores; i++) {
        one_store s = {&e->k->stores[i]};
        cpu_walk(e, cpu_axes_of_places(e, &s.store->at), -1, store_here, &s);
    }
}

static void one_row(cpu_emitter *e, void *env) {
    (void)env;
    cpu_lets_ready(e, 0);
    for (uint32_t s = 0; s < e->k->n_sweeps; s++) {
        begin_sweep(e, s);
        column c = {.e = e, .sweep = s};
        cpu_walk(e, columns_of(e, s), -1, one_column, &c);
        /* Lines of a row that stand on the folds just finished: sweep s + 1 and the stores find them. */
        cpu_lets_ready(e, s + 1);
    }
    stores(e);
}

/* Where the lanes are an item, the loop over vectors is one round; where they are a tile of an axis, it runs over the tile. */
void cpu_nest(cpu_emitter *e) {
    const int32_t axis = e->s->lane_axis;
    cpu_scope_push(e, 0);
    if (axis < 0) one_row(e, NULL);
    else {
        cpu_lets_ready(e, 0);
        /* An item is one index: of a vector only the first lane exists. */
        const bool one = e->s->axes[axis].walk == IR_WALK_ITEM;
        cpu_val hi = one ? LLVMBuildAdd(e->b, e->lo[axis], cpu_int(e, 1), "") : e->hi[axis];
        cpu_lanes(e, axis, e->lo[axis], hi, one_row, NULL);
    }
    cpu_scope_pop(e);
}

/* The walk with a tile of rows in the lanes, over blocks of columns: products of rows and columns in register tiles, everything between them
 * vertical. The formulation holds scores as [column][row] and values as [value][row]: what a column brings is one number, read where it lies and spread
 * over the lanes; so folds, references and score functions are vectors of rows, and nothing is ever summed across lanes.
 *
 *   load_row     row factors of products turned into lanes; lines of rows
 *   per sweep:   folds and accs at their identities; per block of columns:
 *     load_col     factors of columns that are more than a read
 *     scores       products, by register tiles
 *     modify, mask, normalise   columns one by one: absolute folds; references move; relative folds and weights
 *     accumulate   weights times values, by register tiles
 *   epilogue     results, turned back where values are the neighbours in memory
 */
#include "attend.h"

/* ---- small things */

cpu_val cpu_slot_of(cpu_emitter *e, cpu_val v, const char *name) {
    cpu_val slot = cpu_slot(e, LLVMTypeOf(v), name);
    LLVMBuildStore(e->b, v, slot);
    return slot;
}
cpu_val cpu_slot_value(cpu_emitter *e, cpu_val slot) { return LLVMBuildLoad2(e->b, LLVMGetAllocatedType(slot), slot, ""); }
uint32_t cpu_axes_with(const cpu_emitter *e, uint8_t role) {
    uint32_t all = 0;
    for (uint32_t a = 0; a < e->k->n_axes; a++)
        if (e->k->axes[a].role == role) all |= 1u << a;
    return all;
}

/* ---- places of a panel: (index, row of the tile), vectors aligned and whole: rows that do not exist have room too */

cpu_val cpu_panel_at(cpu_panel *p, ir_expr place, cpu_val index, int32_t vector) {
    cpu_emitter *e = p->e;
    cpu_val at = LLVMBuildMul(e->b, index, cpu_int(e, e->s->row_tile), "");
    if (vector) at = LLVMBuildAdd(e->b, at, cpu_int(e, vector * e->s->width), "");
    return cpu_at(e, cpu_scratch(e, place), at, e->real);
}
static unsigned vector_bytes(const cpu_emitter *e) { return (unsigned)e->s->width * (e->real == e->f64 ? 8 : 4); }
cpu_val cpu_panel_load(cpu_panel *p, ir_expr place, cpu_val index, int32_t vector) {
    cpu_emitter *e = p->e;
    cpu_val v = LLVMBuildLoad2(e->b, LLVMVectorType(e->real, (unsigned)e->s->width), cpu_panel_at(p, place, index, vector), "");
    LLVMSetAlignment(v, vector_bytes(e));
    return v;
}
void cpu_panel_store(cpu_panel *p, cpu_val v, ir_expr place, cpu_val index, int32_t vector) {
    cpu_emitter *e = p->e;
    LLVMSetAlignment(LLVMBuildStore(e->b, cpu_splat(e, v, e->s->width), cpu_panel_at(p, place, index, vector)), vector_bytes(e));
}

/* ---- which lines something needs: those that it reads and those below, down to folds, which have their value, and products, which are in scratch */

typedef struct { cpu_emitter *e; bool *need; } needs;
static bool mark_let(const ir_unit *u, void *env, ir_expr x) {
    needs *n = env;
    if (!ir_is(u, x, IR_LET)) return true;
    const uint32_t k = ir_at(u, x)->u.ref;
    const ir_let *l = &n->e->k->lets[k];
    if (n->need[k]) return true;
    n->need[k] = true;
    if (l->kind > IR_LET_TERM || n->e->s->lets[k].factor_at || n->e->s->lets[k].bound) return true;
    const ir_expr parts[] = {l->e, l->a, l->b, l->where};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) cpu_mark(n->e, n->need, parts[i]);
    return true;
}
void cpu_mark(cpu_emitter *e, bool *need, ir_expr x) {
    needs n = {e, need};
    if (x) ir_walk(e->u, x, mark_let, &n);
}
/* Whatever folds, accs and stores read; row factors of products are apart, since they are computed row by row. */
static const bool *needed_by_all(cpu_emitter *e) {
    bool *need = BASE_ARRAY(e->arena, e->k->n_lets + 1, bool);
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (l->kind < IR_LET_FOLD) continue;
        cpu_mark(e, need, l->e);
        cpu_mark(e, need, l->where);
        cpu_mark(e, need, l->b);
        if (l->ref >= 0) cpu_mark(e, need, ir_let_expr(e->u, (uint32_t)l->ref, IR_SORT_REAL));
    }
    for (uint32_t i = 0; i < e->k->n_stores; i++) cpu_mark(e, need, e->k->stores[i].e);
    cpu_mark(e, need, e->k->inside);
    return need;
}

/* ---- rows */

void cpu_panel_bind(cpu_panel *p, int32_t vector) {
    cpu_emitter *e = p->e;
    cpu_val at = vector ? LLVMBuildAdd(e->b, p->row0, cpu_int(e, vector * e->s->width), "") : p->row0;
    cpu_bind_lane(e, e->s->lane_axis, at, p->tail[vector]);
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        cpu_val ready = *cpu_of_panel(p, p->row, k, vector);
        e->slot[k] = *cpu_of_panel(p, p->fold, k, vector);
        if (ready) cpu_known_put(e, ir_let_expr(e->u, k, (ir_sort)e->k->lets[k].sort), ready);
    }
}
void cpu_panel_unbind(cpu_panel *p) { cpu_unbind(p->e, p->e->s->lane_axis); }

/* A line that varies over rows and nothing inside of them. `final`: its value is the last one in this sweep. */
static bool of_rows(const cpu_panel *p, uint32_t k, uint32_t sweep, const bool *need, bool final) {
    const ir_let *l = &p->e->k->lets[k];
    if (l->kind > IR_LET_TERM || (l->rank & ~IR_ROW) || *cpu_of_panel(p, p->row, k, 0)) return false;
    return need[k] && (!final || l->sweep <= sweep);
}
/* Vector by vector, in the order of lines; remembered only when all are done, so that each vector computes its own. */
void cpu_rows_ready(cpu_panel *p, uint32_t sweep, const bool *some) {
    cpu_emitter *e = p->e;
    const bool *need = some ? some : p->need;
    const size_t n = (size_t)e->k->n_lets * IR_MICRO;
    cpu_val *found = BASE_ARRAY(e->arena, n + 1, cpu_val);
    for (int32_t j = 0; j < p->vectors; j++) {
        cpu_panel_bind(p, j);
        for (uint32_t k = 0; k < e->k->n_lets; k++)
            if (of_rows(p, k, sweep, need, !some)) *cpu_of_panel(p, found, k, j) = cpu_expr(e, ir_let_expr(e->u, k, (ir_sort)e->k->lets[k].sort));
        cpu_panel_unbind(p);
    }
    for (size_t i = 0; i < n; i++)
        if (found[i]) p->row[i] = found[i];
}

/* ---- sweeps */

static bool in_sweep(const ir_let *l, uint32_t sweep) { return l->kind >= IR_LET_FOLD && l->sweep == sweep; }
static bool first_with_ref(const cpu_emitter *e, uint32_t k) {
    for (uint32_t i = 0; i < k; i++)
        if (in_sweep(&e->k->lets[i], e->k->lets[k].sweep) && e->k->lets[i].ref == e->k->lets[k].ref) return false;
    return true;
}
/* All values of an acc, of all axes in one run. */
static void clear(cpu_panel *p, uint32_t k) {
    cpu_emitter *e = p->e;
    cpu_loop l = cpu_loop_begin(e, cpu_int(e, 0), cpu_role_count(e, IR_VAL), 1, "clear");
    cpu_scope_push(e, 0);
    for (int32_t j = 0; j < p->vectors; j++) cpu_panel_store(p, cpu_real(e, 0), e->s->lets[k].at, l.index, j);
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}
/* Identities first, for all lines: a reference reads the folds. */
static void begin_sweep(cpu_panel *p) {
    cpu_emitter *e = p->e;
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (!in_sweep(l, p->sweep) || e->s->lets[k].idle) continue;
        for (int32_t j = 0; j < p->vectors && l->kind == IR_LET_FOLD; j++)
            *cpu_of_panel(p, p->fold, k, j) = cpu_slot_of(e, cpu_splat(e, cpu_identity(e, l), e->s->width), base_printf(e->arena, "fold%u", k));
        if (l->kind == IR_LET_ACC) clear(p, k);
    }
    for (int32_t j = 0; j < p->vectors; j++) {
        cpu_panel_bind(p, j);
        for (uint32_t k = 0; k < e->k->n_lets; k++) {
            const ir_let *l = &e->k->lets[k];
            if (!in_sweep(l, p->sweep) || l->ref < 0 || e->s->lets[l->ref].bound || !first_with_ref(e, k)) continue;
            cpu_val at = cpu_expr(e, ir_let_expr(e->u, (uint32_t)l->ref, IR_SORT_REAL));
            *cpu_of_panel(p, p->moved, (uint32_t)l->ref, j) = cpu_slot_of(e, cpu_splat(e, at, e->s->width), "moved");
        }
        cpu_panel_unbind(p);
    }
}

/* The block from which references come that lag is a short one: it gains nothing. */
static cpu_val step_of(cpu_panel *p, cpu_val full) {
    cpu_emitter *e = p->e;
    cpu_val step = cpu_int(e, e->s->col_block);
    if (!p->lag) return step;
    cpu_val none = LLVMBuildICmp(e->b, LLVMIntSLT, cpu_slot_value(e, p->lag), cpu_int(e, 0), "none");
    return cpu_pick(e, LLVMBuildAnd(e->b, full, none, "first"), cpu_int(e, e->s->walk), step);
}
static void blocks(cpu_panel *p, int32_t axis, cpu_val lo, cpu_val hi, cpu_val full) {
    cpu_emitter *e = p->e;
    cpu_loop l = cpu_loop_begin(e, lo, hi, e->s->col_block, "block");
    cpu_scope_push(e, 0);
    l.step = step_of(p, full);
    cpu_val end[] = {LLVMBuildAdd(e->b, l.index, l.step, ""), hi};
    e->block_axis = axis;
    e->block_lo = l.index;
    e->block_hi = cpu_apply(e, IR_MIN, end, 2);
    cpu_attend_block(p, p->sweep, full);
    e->block_axis = -1;
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}
/* Columns of this sweep that are not taken in blocks are loops around. */
static void columns(cpu_emitter *e, void *env) {
    cpu_panel *p = env;
    int32_t axis = -1;
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (in_sweep(&e->k->lets[k], p->sweep)) axis = e->s->lets[k].col_axis;
    cpu_attend_runs(p, axis, blocks);
}
/* A panel of few rows has one form of code for all its blocks. */
static bool lags(const cpu_panel *p) {
    bool found = false;
    for (uint32_t k = 0; k < p->e->k->n_lets; k++) found |= in_sweep(&p->e->k->lets[k], p->sweep) && p->e->s->lets[k].lags;
    return found && p->vectors == p->e->s->micro_cols;
}
static void sweep(cpu_panel *p) {
    cpu_emitter *e = p->e;
    uint32_t around = 0;
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (!in_sweep(l, p->sweep)) continue;
        for (uint32_t o = 0; o < l->n_over; o++) around |= 1u << cpu_axis_of(e, l->over[o]);
        around &= ~(1u << e->s->lets[k].col_axis);
    }
    cpu_phase(e, "sweep");
    begin_sweep(p);
    p->lag = lags(p) ? cpu_slot_of(e, cpu_int(e, -1), "lag") : NULL;
    cpu_walk(e, around, -1, columns, p);
    cpu_rows_ready(p, p->sweep + 1, NULL);
}

/* ---- panels */

/* References with a bound are numbers wherever they are read. */
static void stand(cpu_panel *p) {
    cpu_emitter *e = p->e;
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        for (int32_t j = 0; j < p->vectors && e->s->lets[k].bound; j++) *cpu_of_panel(p, p->row, k, j) = cpu_splat(e, cpu_expr(e, e->s->lets[k].bound), e->s->width);
}

static void panel(cpu_emitter *e, int32_t vectors) {
    const int32_t axis = e->s->lane_axis, w = e->s->width;
    const size_t n = (size_t)e->k->n_lets * IR_MICRO + 1;
    cpu_panel p = {.e = e, .vectors = vectors, .row0 = e->lo[axis], .hi = e->hi[axis]};
    p.fold = BASE_ARRAY(e->arena, n, cpu_val);
    p.moved = BASE_ARRAY(e->arena, n, cpu_val);
    p.row = BASE_ARRAY(e->arena, n, cpu_val);
    p.need = needed_by_all(e);
    cpu_scope_push(e, 0);
    for (int32_t j = 0; j < vectors; j++) p.tail[j] = cpu_tail(e, LLVMBuildAdd(e->b, p.row0, cpu_int(e, j * w), ""), p.hi);
    cpu_phase(e, "load_row");
    cpu_load_row(&p);
    stand(&p);
    cpu_rows_ready(&p, 0, NULL);
    for (p.sweep = 0; p.sweep < e->k->n_sweeps; p.sweep++) sweep(&p);
    cpu_attend_stores(&p);
    for (uint32_t k = 0; k < e->k->n_lets; k++) e->slot[k] = NULL;
    cpu_scope_pop(e);
}
/* Offsets and extents that all of the item uses, before its loops. */
static void places_ready(cpu_emitter *e) {
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let_schedule *l = &e->s->lets[k];
        const ir_expr at[] = {l->at, l->factor_at, l->weight_at, l->col_at};
        for (size_t i = 0; i < sizeof at / sizeof *at; i++)
            if (at[i]) cpu_expr(e, at[i]);
    }
    cpu_expr(e, e->s->rows_at);
    if (e->s->out_at) cpu_expr(e, e->s->out_at);
    for (uint32_t a = 0; a < e->k->n_axes; a++)
        if (e->k->axes[a].role == IR_VAL) cpu_extent(e, (int32_t)a);
}
/* A tile with no more rows than a vector has lanes is emitted apart: it does half the work, or less. */
void cpu_attend(cpu_emitter *e) {
    const int32_t axis = e->s->lane_axis;
    cpu_scope_push(e, 0);
    cpu_lets_ready(e, 0);
    places_ready(e);
    cpu_val few = LLVMBuildICmp(e->b, LLVMIntSLE, LLVMBuildSub(e->b, e->hi[axis], e->lo[axis], ""), cpu_int(e, e->s->width), "few");
    if (e->s->micro_cols > 1) {
        cpu_if many = cpu_if_begin(e, LLVMBuildNot(e->b, few, ""), "many");
        panel(e, e->s->micro_cols);
        cpu_if_end(e, &many);
        cpu_if rest = cpu_if_begin(e, few, "few");
        panel(e, 1);
        cpu_if_end(e, &rest);
    } else panel(e, 1);
    cpu_scope_pop(e);
}

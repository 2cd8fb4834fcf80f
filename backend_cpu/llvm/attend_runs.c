/* Which columns a panel visits, from the kernel's mask for the panel's rows: runs of columns, all pairs of which are visible (full) or some (partial). What
 * nobody sees is not visited.
 *
 * Where the mask knows its columns in closed form there are three runs: full, then partial before and behind it. Full ones come first, so that rows have a
 * maximum when hidden pairs come. Else columns are judged by tiles of a few dozen, in the largest aligned powers of two of them that are decided: a bisection
 * that needs no memory. */
#include "attend.h"

typedef struct { cpu_panel *p; int32_t axis; cpu_span_of_columns *body; } walk;

/* ---- corners of the tile at hand */

static ir_set corners(const cpu_emitter *e, const ir_mask *m) {
    ir_set all = 0;
    for (uint32_t a = 0; a < e->k->n_axes; a++) {
        const ir_var both[] = {m->lo[a], m->hi[a]};
        if (m->lo[a]) all = ir_set_union(e->u, all, ir_set_of(e->u, 2, both));
    }
    return all;
}
static void bind_corner(cpu_emitter *e, const ir_mask *m, uint32_t a, cpu_val lo, cpu_val hi) {
    if (!m->lo[a]) return;
    cpu_known_put(e, ir_var_expr(e->u, m->lo[a]), lo);
    cpu_known_put(e, ir_var_expr(e->u, m->hi[a]), hi);
}
/* The row whose indices the panel holds. */
static int32_t row_of(const cpu_emitter *e) { return e->s->form == IR_ATTEND ? e->s->lane_axis : e->s->row_axis; }
/* Rows of the panel; every other axis that has an index stands at it. Opens a scope: corners of another panel are other numbers. */
static void bind_rows(cpu_panel *p, const ir_mask *m) {
    cpu_emitter *e = p->e;
    cpu_scope_push(e, corners(e, m));
    for (uint32_t a = 0; a < e->k->n_axes; a++) {
        if ((int32_t)a == row_of(e)) bind_corner(e, m, a, p->row0, LLVMBuildSub(e->b, p->hi, cpu_int(e, 1), ""));
        else if (e->axis[a]) bind_corner(e, m, a, e->axis[a], e->axis[a]);
    }
}
static const ir_keys *keys_of(const ir_mask *m, int32_t axis) {
    for (uint32_t i = 0; i < m->n_keys; i++)
        if ((int32_t)m->keys[i].axis == axis) return &m->keys[i];
    return NULL;
}
static cpu_val most(cpu_emitter *e, cpu_val a, cpu_val b) {
    cpu_val x[] = {a, b};
    return cpu_apply(e, IR_MAX, x, 2);
}
static cpu_val least(cpu_emitter *e, cpu_val a, cpu_val b) {
    cpu_val x[] = {a, b};
    return cpu_apply(e, IR_MIN, x, 2);
}
static cpu_val behind(cpu_emitter *e, ir_expr last) { return LLVMBuildAdd(e->b, cpu_expr(e, last), cpu_int(e, 1), ""); }
/* What some row may see; empty, not negative, where nothing is. */
static void visible(cpu_emitter *e, const ir_keys *keys, cpu_val n, cpu_val *lo, cpu_val *hi) {
    *lo = keys ? most(e, cpu_expr(e, keys->first), cpu_int(e, 0)) : cpu_int(e, 0);
    *hi = keys ? most(e, least(e, behind(e, keys->last), n), *lo) : n;
}

/* ---- three runs */

static void three_runs(const walk *w, const ir_keys *keys, cpu_val lo, cpu_val hi) {
    cpu_emitter *e = w->p->e;
    cpu_val from = least(e, most(e, cpu_expr(e, keys->full_first), lo), hi), to = most(e, least(e, behind(e, keys->full_last), hi), from);
    cpu_loop run = cpu_loop_begin(e, cpu_int(e, 0), cpu_int(e, 3), 1, "run");
    cpu_scope_push(e, 0);
    cpu_val full = LLVMBuildICmp(e->b, LLVMIntEQ, run.index, cpu_int(e, 0), "full"), before = LLVMBuildICmp(e->b, LLVMIntEQ, run.index, cpu_int(e, 1), "before");
    w->body(w->p, w->axis, cpu_pick(e, full, from, cpu_pick(e, before, lo, to)), cpu_pick(e, full, to, cpu_pick(e, before, from, hi)), full);
    cpu_scope_pop(e);
    cpu_loop_end(e, &run);
}

/* ---- the walk */

typedef struct { cpu_val may, must; } verdict;
/* Of columns first .. last. */
static verdict judge(const walk *w, const ir_mask *m, cpu_val first, cpu_val last) {
    cpu_emitter *e = w->p->e;
    ir_set set = 0;
    const ir_var both[] = {m->lo[w->axis], m->hi[w->axis]};
    set = ir_set_of(e->u, 2, both);
    cpu_scope_push(e, set);
    bind_corner(e, m, (uint32_t)w->axis, first, last);
    const verdict v = {cpu_expr(e, m->tile.may), cpu_expr(e, m->tile.must)};
    cpu_scope_pop(e);
    return v;
}
/*   t: tile of columns;  size = largest power of two that divides t
 *   while the node of `size` tiles is undecided, or reaches far behind the end: size /= 2;   visit it unless it is empty;  t += size
 * Nodes that are decided at once stay large: their blocks are cut by whoever visits them. */
static void walked(const walk *w, const ir_mask *m, cpu_val n, cpu_val lo, cpu_val hi) {
    cpu_emitter *e = w->p->e;
    LLVMBuilderRef b = e->b;
    const int32_t each = e->s->walk;
    cpu_val one = cpu_int(e, 1), width = cpu_int(e, each), end = LLVMBuildSDiv(b, LLVMBuildAdd(b, hi, cpu_int(e, each - 1), ""), width, "tiles");
    cpu_val slot = cpu_slot_of(e, LLVMBuildSDiv(b, lo, width, ""), "tile"), size_slot = cpu_slot_of(e, one, "size"), full_slot = cpu_slot_of(e, LLVMConstInt(e->i1, 0, false), "full");
    cpu_val some_slot = cpu_slot_of(e, LLVMConstInt(e->i1, 0, false), "some");
    LLVMBasicBlockRef head = LLVMAppendBasicBlockInContext(e->c, e->fn, "walk"), node = LLVMAppendBasicBlockInContext(e->c, e->fn, "node");
    LLVMBasicBlockRef halve = LLVMAppendBasicBlockInContext(e->c, e->fn, "halve"), test = LLVMAppendBasicBlockInContext(e->c, e->fn, "judge");
    LLVMBasicBlockRef found = LLVMAppendBasicBlockInContext(e->c, e->fn, "found"), done = LLVMAppendBasicBlockInContext(e->c, e->fn, "done");
    LLVMBuildBr(b, head);
    LLVMPositionBuilderAtEnd(b, head);
    cpu_scope_push(e, 0);
    cpu_val t = cpu_slot_value(e, slot);
    cpu_val low = LLVMBuildAnd(b, t, LLVMBuildNeg(b, t, ""), ""), zero = LLVMBuildICmp(b, LLVMIntEQ, t, cpu_int(e, 0), "");
    LLVMBuildStore(b, LLVMBuildSelect(b, zero, cpu_int(e, 1 << 30), low, ""), size_slot);
    LLVMBuildCondBr(b, LLVMBuildICmp(b, LLVMIntSLT, t, end, ""), node, done);

    /* Half of it would already reach the end: nothing is gained by so large a node. */
    LLVMPositionBuilderAtEnd(b, node);
    cpu_val size = cpu_slot_value(e, size_slot), half = LLVMBuildLShr(b, size, one, ""), small = LLVMBuildICmp(b, LLVMIntEQ, size, one, "small");
    cpu_val far = LLVMBuildICmp(b, LLVMIntSGE, LLVMBuildAdd(b, t, half, ""), end, "");
    LLVMBuildCondBr(b, LLVMBuildAnd(b, far, LLVMBuildNot(b, small, ""), ""), halve, test);
    LLVMPositionBuilderAtEnd(b, halve);
    LLVMBuildStore(b, half, size_slot);
    LLVMBuildBr(b, node);

    LLVMPositionBuilderAtEnd(b, test);
    cpu_scope_push(e, 0);
    cpu_val first = LLVMBuildMul(b, t, width, ""), next = least(e, LLVMBuildMul(b, LLVMBuildAdd(b, t, size, ""), width, ""), n);
    const verdict v = judge(w, m, first, LLVMBuildSub(b, next, one, ""));
    LLVMBuildStore(b, v.must, full_slot);
    LLVMBuildStore(b, v.may, some_slot);
    cpu_val decided = LLVMBuildOr(b, LLVMBuildOr(b, v.must, LLVMBuildNot(b, v.may, ""), ""), small, "");
    LLVMBuildCondBr(b, decided, found, halve);
    cpu_scope_pop(e);

    LLVMPositionBuilderAtEnd(b, found);
    size = cpu_slot_value(e, size_slot);
    LLVMBuildStore(b, LLVMBuildAdd(b, t, size, ""), slot);
    cpu_if visit = cpu_if_begin(e, cpu_slot_value(e, some_slot), "visit");
    cpu_scope_push(e, 0);
    first = most(e, LLVMBuildMul(b, t, width, ""), lo);
    next = least(e, LLVMBuildMul(b, LLVMBuildAdd(b, t, size, ""), width, ""), hi);
    w->body(w->p, w->axis, first, next, cpu_slot_value(e, full_slot));
    cpu_scope_pop(e);
    cpu_if_end(e, &visit);
    cpu_scope_pop(e);
    LLVMBuildBr(b, head);
    LLVMPositionBuilderAtEnd(b, done);
}

/* Does a fold leave pairs out? */
static bool guarded(const cpu_emitter *e) {
    for (uint32_t i = 0; i < e->k->n_lets; i++)
        if (e->k->lets[i].kind >= IR_LET_FOLD && !ir_is_bool(e->u, e->k->lets[i].where, true)) return true;
    return false;
}

/* A panel of few rows takes its columns in one run, all tested pair by pair: its code is small rather than fast. So are those of a guard of which
 * no mask tells more. */
void cpu_attend_runs(cpu_panel *p, int32_t axis, cpu_span_of_columns *body) {
    cpu_emitter *e = p->e;
    const ir_mask *m = e->k->mask;
    const walk w = {p, axis, body};
    cpu_val n = most(e, cpu_extent(e, axis), cpu_int(e, 0)), lo, hi, yes = LLVMConstInt(e->i1, 1, false), no = LLVMConstInt(e->i1, 0, false);
    if (!m || !m->lo[axis]) {
        body(p, axis, cpu_int(e, 0), n, guarded(e) ? no : yes);
        return;
    }
    bind_rows(p, m);
    const ir_keys *keys = keys_of(m, axis);
    visible(e, keys, n, &lo, &hi);
    const bool unknown = ir_is_bool(e->u, m->tile.may, true) && ir_is_bool(e->u, m->tile.must, false);
    if (keys && keys->exact && p->vectors == e->s->micro_cols) three_runs(&w, keys, lo, hi);
    else if (unknown || p->vectors != e->s->micro_cols) body(p, axis, lo, hi, no);
    else walked(&w, m, n, lo, hi);
    cpu_scope_pop(e);
}

/* What a line is worth at the place of emission, and loops over axes. */
#include <string.h>
#include "emit.h"

/* As walked: where the schedule takes axes as one, the innermost runs over all of them. */
cpu_val cpu_extent(cpu_emitter *e, int32_t axis) { return cpu_expr(e, e->s->axes[axis].extent ? e->s->axes[axis].extent : e->k->axes[axis].extent); }

/* Row-major position among the axes of a role. `last` is put innermost, whatever its place in the list: lanes need neighbours side by side. */
cpu_val cpu_role_index(cpu_emitter *e, uint8_t role, int32_t last) {
    cpu_val at = NULL;
    const bool has_last = last >= 0 && e->k->axes[last].role == role;
    for (uint32_t i = 0; i < e->k->n_axes + has_last; i++) {
        const uint32_t a = i < e->k->n_axes ? i : (uint32_t)last;
        if (e->k->axes[a].role != role || (has_last && i < e->k->n_axes && (int32_t)a == last)) continue;
        if (at) at = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, at, cpu_extent(e, (int32_t)a), ""), e->axis[a], "");
        else at = e->axis[a];
    }
    return at ? at : cpu_int(e, 0);
}
/* How many places the axes of a role span; 1 if it has none, as an empty product. */
cpu_val cpu_role_count(cpu_emitter *e, uint8_t role) {
    cpu_val n = NULL;
    for (uint32_t a = 0; a < e->k->n_axes; a++)
        if (e->k->axes[a].role == role) n = n ? LLVMBuildMul(e->b, n, cpu_extent(e, (int32_t)a), "") : cpu_extent(e, (int32_t)a);
    return n ? n : cpu_int(e, 1);
}

/* ---- lines */

/* Where an element of a kept line stands: per row of the tile, and per column of the block or per value. */
cpu_val cpu_kept_at(cpu_emitter *e, uint32_t k, ir_expr at, cpu_val row, cpu_val per_row, cpu_val index) {
    LLVMTypeRef t = cpu_type(e, (char)e->k->lets[k].sort);
    cpu_val offset = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, row, per_row, ""), index, "");
    return cpu_at(e, cpu_scratch(e, at), offset, t == e->i1 ? e->i8 : t);
}

/* Row of the tile, and columns of the block from its first. */
cpu_val cpu_tile_row(cpu_emitter *e) { return e->row0 && e->s->row_axis >= 0 ? LLVMBuildSub(e->b, e->axis[e->s->row_axis], e->row0, "row") : cpu_int(e, 0); }

/* A TERM that fills a block of scratch was computed for this row and column before; here it is loaded, by lanes if they run along the block. */
static cpu_val block_term(cpu_emitter *e, uint32_t k) {
    const uint8_t rank = e->k->lets[k].rank;
    const bool cols = rank & IR_COL;
    cpu_val row = rank & IR_ROW ? cpu_tile_row(e) : cpu_int(e, 0), zero = cpu_int(e, 0);
    cpu_val col = cols ? LLVMBuildSub(e->b, e->axis[e->block_axis], e->filled[k], "") : zero;
    cpu_val at = cpu_kept_at(e, k, e->s->lets[k].at, row, cols ? cpu_int(e, e->s->col_block) : cpu_int(e, 1), col);
    return cpu_load(e, cpu_type(e, (char)e->k->lets[k].sort), at, cols && e->lane == e->block_axis ? e->lanes : 1);
}

/* While lanes run along rows a fold is a vector in a slot. Along columns it is one number per row, in scratch, as of the last block. */
static cpu_val fold(cpu_emitter *e, uint32_t k) {
    LLVMTypeRef t = cpu_type(e, (char)e->k->lets[k].sort);
    /* Only the walk along rows makes such slots, so one that is there tells the walks apart. */
    if (e->slot[k]) return LLVMBuildLoad2(e->b, LLVMGetAllocatedType(e->slot[k]), e->slot[k], "");
    return cpu_load(e, t, cpu_kept_at(e, k, e->s->lets[k].at, cpu_tile_row(e), cpu_int(e, 1), cpu_int(e, 0)), 1);
}

/* Lanes along rows: one vector per value; along columns: values are neighbours, and the lanes when the epilogue or the accumulation runs. */
cpu_val cpu_acc_at(cpu_emitter *e, uint32_t k) {
    cpu_val index = cpu_role_index(e, IR_VAL, e->s->lets[k].lane_axis);
    if (e->s->form == IR_ATTEND) {       /* (value, row of the tile) */
        cpu_val row = LLVMBuildSub(e->b, e->axis[e->s->lane_axis], e->lo[e->s->lane_axis], "");
        return cpu_kept_at(e, k, e->s->lets[k].at, index, cpu_int(e, e->s->row_tile), row);
    }
    if (e->s->lanes != IR_COL) return cpu_kept_at(e, k, e->s->lets[k].at, index, cpu_int(e, e->s->width), cpu_int(e, 0));
    return cpu_kept_at(e, k, e->s->lets[k].at, cpu_tile_row(e), cpu_role_count(e, IR_VAL), index);
}
/* A vector where the lanes run along values, or along rows that the sum varies over; else one number. */
static cpu_val acc(cpu_emitter *e, uint32_t k) {
    const bool by_value = e->lane >= 0 && e->k->axes[e->lane].role == IR_VAL, by_row = e->s->lanes != IR_COL && e->lane >= 0 && ir_set_has(e->u, e->let_reach[k], e->k->axes[e->lane].var);
    return cpu_load(e, e->real, cpu_acc_at(e, k), by_value || by_row ? e->lanes : 1);
}

/* Line $6 is %let6 in the text, and where it is computed again %let6.1, %let6.2: LLVM's own endings would run into the number. */
static void name_let(cpu_emitter *e, cpu_val v, uint32_t k) {
    /* Constants and arguments are not this line's result; a value that has a name keeps it: two lines may share one value. */
    if (!LLVMIsAInstruction(v)) return;
    size_t n;
    LLVMGetValueName2(v, &n);
    if (n != 0) return;
    const uint32_t times = e->named[k]++;
    const char *name = times ? base_printf(e->arena, "let%u.%u", k, times) : base_printf(e->arena, "let%u", k);
    LLVMSetValueName2(v, name, strlen(name));
}
/* Only the two walks give folds and accs their values, in order; expressions and terms are computed wherever somebody asks first. */
cpu_val cpu_let(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    cpu_val v = NULL;
    switch (l->kind) {
    case IR_LET_EXPR: v = cpu_expr(e, l->e); break;
    case IR_LET_TERM: v = e->filled[k] ? block_term(e, k) : cpu_term(e, k); break;
    case IR_LET_FOLD: v = fold(e, k); break;
    default: v = acc(e, k); break;
    }
    name_let(e, v, k);
    return v;
}

/* Counters are always there; an axis without an index is not. */
/* May it be computed here: does every axis that the line varies over, through other lines too, have an index? */
static bool all_bound(cpu_emitter *e, ir_set reach) {
    for (uint32_t i = 0; i < ir_set_size(e->u, reach); i++) {
        const int32_t axis = cpu_axis_of(e, ir_set_at(e->u, reach, i));
        if (axis >= 0 && !e->axis[axis]) return false;
    }
    return true;
}
/* Called at the places where a row, or a row after a sweep, begins: what is computed here serves all columns and values behind it. Without it
 * a line would be computed where it is first wanted, in the innermost loop, and forgotten at that loop's end. */
void cpu_lets_ready(cpu_emitter *e, uint32_t sweep) {
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        /* Folds and accs get their values from the walks alone; lines of columns, values or features have no one value here; filled blocks are loaded. */
        if (l->kind > IR_LET_TERM || l->sweep > sweep || (l->rank & (IR_VAL | IR_COL | IR_FEAT)) || e->filled[k]) continue;
        if (all_bound(e, e->let_reach[k])) cpu_expr(e, ir_let_expr(e->u, k, (ir_sort)l->sort));
    }
}

/* ---- loops over axes */

/* One vector of the axis: bound as the lane for the time of the body. `tail` NULL: all its lanes exist. */
static void with_lane(cpu_emitter *e, int32_t axis, cpu_val index, cpu_val tail, cpu_body *body, void *env) {
    cpu_bind_lane(e, axis, index, tail);
    body(e, env);
    cpu_unbind(e, axis);
}
/* AVX-512 masks an instruction at no cost; elsewhere a masked load is several. */
bool cpu_masks_are_free(const cpu_emitter *e) { return e->target->lanes == 16; }

/* One loop whose every vector is masked: half the code, and the mask costs nothing where instructions take one. */
static void masked_lanes(cpu_emitter *e, int32_t axis, cpu_val lo, cpu_val hi, cpu_body *body, void *env) {
    cpu_loop l = cpu_loop_begin(e, lo, hi, e->s->width, "lanes");
    with_lane(e, axis, l.index, cpu_tail(e, l.index, hi), body, env);
    cpu_loop_end(e, &l);
}
/* Else a loop of whole vectors, and one masked vector behind it if anything is left. Width is a power of two, so `and` rounds down. */
void cpu_lanes(cpu_emitter *e, int32_t axis, cpu_val lo, cpu_val hi, cpu_body *body, void *env) {
    const int32_t w = e->s->width;
    if (w > 1 && cpu_masks_are_free(e)) {
        masked_lanes(e, axis, lo, hi, body, env);
        return;
    }
    if (w == 1) {
        cpu_loop l = cpu_loop_begin(e, lo, hi, 1, "each");
        cpu_bind(e, axis, l.index);
        body(e, env);
        cpu_unbind(e, axis);
        cpu_loop_end(e, &l);
        return;
    }
    /* An empty range may have hi below lo; rounding a negative count down would put `end` below hi, and the tail would run. */
    cpu_val count[] = {LLVMBuildSub(e->b, hi, lo, ""), cpu_int(e, 0)};
    cpu_val n = cpu_apply(e, IR_MAX, count, 2), whole = LLVMBuildAnd(e->b, n, cpu_int(e, -(int64_t)w), "");
    cpu_val end = LLVMBuildAdd(e->b, lo, whole, "whole");
    cpu_loop l = cpu_loop_begin(e, lo, end, w, "lanes");
    with_lane(e, axis, l.index, NULL, body, env);
    cpu_loop_end(e, &l);
    cpu_if rest = cpu_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSLT, end, hi, ""), "tail");
    with_lane(e, axis, end, cpu_tail(e, end, hi), body, env);
    cpu_if_end(e, &rest);
}

/* A recursion over the axes of the kernel in their order, which is one in which extents depend on earlier axes only. */
typedef struct { uint32_t wanted; int32_t lane; cpu_body *body; void *env; } walk;
/* Axes from `a` on; the lane axis is left out, and comes last. */
static void walk_from(cpu_emitter *e, const walk *w, uint32_t a) {
    while (a < e->k->n_axes && (!(w->wanted >> a & 1) || (int32_t)a == w->lane)) a++;
    if (a == e->k->n_axes) {
        if (w->lane >= 0 && (w->wanted >> w->lane & 1)) cpu_lanes(e, w->lane, cpu_int(e, 0), cpu_extent(e, w->lane), w->body, w->env);
        else w->body(e, w->env);
        return;
    }
    cpu_loop l = cpu_loop_begin(e, cpu_int(e, 0), cpu_extent(e, (int32_t)a), 1, "each");
    cpu_bind(e, (int32_t)a, l.index);
    walk_from(e, w, a + 1);
    cpu_unbind(e, (int32_t)a);
    cpu_loop_end(e, &l);
}
void cpu_walk(cpu_emitter *e, uint32_t wanted, int32_t lane, cpu_body *body, void *env) {
    const walk w = {wanted, lane, body, env};
    cpu_scope_push(e, 0);
    walk_from(e, &w, 0);
    cpu_scope_pop(e);
}

/* What happens to a block of scores between the two products: column by column, a vector of rows at a time. Folds that stand on no reference come first,
 * since references stand on them (the maximum); then references move, and with them what is relative to them; then relative folds, and the weights that
 * `accumulate` multiplies with. A reference with a bound is a number and does not move.
 *
 * One that lags stays where an earlier block left it: then all of a full block is one pass, without the folds that the reference comes from. What it adds up
 * is looked at before anybody takes it: if a sum is 2^32 or more, inf or NaN, the scores are computed again, and the reference follows from there on. */
#include "attend.h"

/* together: references stand and no fold is kept for the second stage, of which all lines of the sweep are then. lagging: so are they while references
 * lag, but for the folds that these come from. */
typedef struct { uint32_t sweep; bool relative, together, lagging; } stage;
static bool in_stage(const cpu_emitter *e, uint32_t k, const stage *s) {
    const ir_let *l = &e->k->lets[k];
    if (l->kind < IR_LET_FOLD || l->sweep != s->sweep || (e->s->lets[k].idle && !e->s->lets[k].kept)) return false;
    return s->lagging ? !e->s->lets[k].lags : (s->together || l->ref >= 0) == s->relative;
}
static bool together(const cpu_emitter *e, uint32_t sweep) {
    bool found = false;
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (l->kind < IR_LET_FOLD || l->sweep != sweep) continue;
        if (l->kind == IR_LET_FOLD && e->s->lets[k].kept) return false;
        if (l->ref >= 0 && !e->s->lets[l->ref].bound) return false;
        found |= l->ref >= 0;
    }
    return found;
}
static bool any_in_stage(const cpu_emitter *e, const stage *s) {
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (in_stage(e, k, s)) return true;
    return false;
}

static bool *needed(cpu_panel *p, const stage *s) {
    cpu_emitter *e = p->e;
    bool *need = BASE_ARRAY(e->arena, e->k->n_lets + 1, bool);
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (!in_stage(e, k, s)) continue;
        cpu_mark(e, need, l->e);
        if (p->masked) cpu_mark(e, need, l->where);
    }
    return need;
}

/* ---- normalise: references move */

static cpu_val any_lane(cpu_emitter *e, cpu_val truth) {
    LLVMTypeRef bits = LLVMIntTypeInContext(e->c, LLVMGetVectorSize(LLVMTypeOf(truth)));
    return LLVMBuildICmp(e->b, LLVMIntNE, LLVMBuildBitCast(e->b, truth, bits, ""), LLVMConstNull(bits), "any");
}
static void scale_acc(cpu_panel *p, uint32_t k, cpu_val *factor) {
    cpu_emitter *e = p->e;
    cpu_loop l = cpu_loop_begin(e, cpu_int(e, 0), cpu_role_count(e, IR_VAL), 1, "scale");
    cpu_scope_push(e, 0);
    for (int32_t j = 0; j < p->vectors; j++) {
        cpu_val x[] = {cpu_panel_load(p, e->s->lets[k].at, l.index, j), factor[j]};
        cpu_panel_store(p, cpu_apply(e, IR_MUL, x, 2), e->s->lets[k].at, l.index, j);
    }
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}
static void scale_fold(cpu_panel *p, uint32_t k, cpu_val *factor) {
    cpu_emitter *e = p->e;
    for (int32_t j = 0; j < p->vectors; j++) {
        cpu_val slot = *cpu_of_panel(p, p->fold, k, j), x[] = {cpu_slot_value(e, slot), factor[j]};
        LLVMBuildStore(e->b, cpu_apply(e, IR_MUL, x, 2), slot);
    }
}
/* All that is relative to line r at once. Once the maxima of all rows are found, which is soon, nothing moves and nothing is scaled. `une` is true for
 * NaN too, which then spreads to the sums, as it must; equal references, -inf among them, have the factor 1. */
static void move_reference(cpu_panel *p, const stage *s, uint32_t r) {
    cpu_emitter *e = p->e;
    cpu_val now[IR_MICRO], old[IR_MICRO], differs[IR_MICRO], any = NULL;
    for (int32_t j = 0; j < p->vectors; j++) {
        cpu_panel_bind(p, j);
        now[j] = cpu_splat(e, cpu_expr(e, ir_let_expr(e->u, r, IR_SORT_REAL)), e->s->width);
        cpu_panel_unbind(p);
        old[j] = cpu_slot_value(e, *cpu_of_panel(p, p->moved, r, j));
        differs[j] = LLVMBuildFCmp(e->b, LLVMRealUNE, now[j], old[j], "");
        any = any ? LLVMBuildOr(e->b, any, differs[j], "") : differs[j];
    }
    cpu_if moved = cpu_if_begin(e, any_lane(e, any), "moved");
    cpu_scope_push(e, 0);
    for (int32_t j = 0; j < p->vectors; j++) {
        LLVMBuildStore(e->b, now[j], *cpu_of_panel(p, p->moved, r, j));
        now[j] = cpu_pick(e, differs[j], cpu_exp2(e, LLVMBuildFSub(e->b, old[j], now[j], "")), cpu_real(e, 1));
    }
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (!in_stage(e, k, s) || l->ref != (int32_t)r) continue;
        if (l->kind == IR_LET_ACC) scale_acc(p, k, now);
        else scale_fold(p, k, now);
    }
    cpu_scope_pop(e);
    cpu_if_end(e, &moved);
}
static void move_references(cpu_panel *p, const stage *s) {
    for (uint32_t r = 0; r < p->e->k->n_lets; r++) {
        bool used = false;
        for (uint32_t k = 0; k < p->e->k->n_lets && !p->e->s->lets[r].bound; k++) used |= in_stage(p->e, k, s) && p->e->k->lets[k].ref == (int32_t)r;
        if (used) move_reference(p, s, r);
    }
}

/* ---- one column */

/* What it folds is kept where the relative lines of the block want it again, which may be all that is left of an idle one. */
static void fold_here(cpu_panel *p, const stage *s, uint32_t k, int32_t j, cpu_val col) {
    cpu_emitter *e = p->e;
    const ir_let *l = &e->k->lets[k];
    cpu_val slot = *cpu_of_panel(p, p->fold, k, j), y = cpu_splat(e, cpu_expr(e, l->e), e->s->width);
    if (e->s->lets[k].kept && !s->lagging) cpu_panel_store(p, y, e->s->lets[k].at, col, j);
    if (e->s->lets[k].idle) return;
    cpu_val where = p->masked && !ir_is_bool(e->u, l->where, true) ? cpu_expr(e, l->where) : NULL, old = cpu_slot_value(e, slot);
    cpu_val next = cpu_combine(e, (ir_red)l->red, old, y);
    LLVMBuildStore(e->b, where ? cpu_pick(e, where, next, old) : next, slot);
}
/* A hidden pair has the weight -0.0, which no visible one has: adding 0.0 makes every -0.0 a 0.0. */
static void weigh_here(cpu_panel *p, uint32_t k, int32_t j, cpu_val col) {
    cpu_emitter *e = p->e;
    const ir_let *l = &e->k->lets[k];
    cpu_val w[] = {cpu_splat(e, cpu_expr(e, l->e), e->s->width), cpu_real(e, 0)}, v = w[0];
    if (p->masked && !ir_is_bool(e->u, l->where, true)) v = cpu_pick(e, cpu_expr(e, l->where), cpu_apply(e, IR_ADD, w, 2), cpu_splat(e, cpu_real(e, -0.0), e->s->width));
    cpu_panel_store(p, v, e->s->lets[k].weight_at, col, j);
}
/* By the line that the fold reads, and by the expression behind it, which other lines hold as a part. */
static void known_again(cpu_panel *p, uint32_t k, cpu_val col, int32_t j) {
    cpu_emitter *e = p->e;
    const ir_expr body = e->k->lets[k].e;
    cpu_val v = cpu_panel_load(p, e->s->lets[k].at, col, j);
    cpu_known_put(e, body, v);
    if (ir_is(e->u, body, IR_LET)) cpu_known_put(e, e->k->lets[ir_at(e->u, body)->u.ref].e, v);
}
/* Scores are loaded before any weight is stored: a weight may take the place of a score. */
static void rows_here(cpu_panel *p, const stage *s, const bool *need, cpu_val col, int32_t j) {
    cpu_emitter *e = p->e;
    cpu_panel_bind(p, j);
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        if (need[k] && e->s->lets[k].packed) cpu_known_put(e, ir_let_expr(e->u, k, IR_SORT_REAL), cpu_panel_load(p, e->s->lets[k].at, col, j));
    for (uint32_t i = 0; i < e->s->n_pairs; i++) cpu_known_put(e, e->s->pairs[i].read, cpu_pair_here(p, i, col, j));
    for (uint32_t k = 0; k < e->k->n_lets && s->relative && !s->lagging; k++)
        if (e->k->lets[k].kind == IR_LET_FOLD && e->k->lets[k].sweep == s->sweep && e->s->lets[k].kept) known_again(p, k, col, j);
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        if (!in_stage(e, k, s)) continue;
        if (e->k->lets[k].kind == IR_LET_FOLD) fold_here(p, s, k, j, col);
        else weigh_here(p, k, j, col);
    }
    cpu_panel_unbind(p);
}
/* What varies over the column alone is computed once for all vectors of rows. */
static void column(cpu_panel *p, const stage *s, const bool *need, cpu_val index) {
    cpu_emitter *e = p->e;
    cpu_bind(e, e->block_axis, index);
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        const ir_let *l = &e->k->lets[k];
        if (need[k] && l->kind <= IR_LET_TERM && l->rank == IR_COL) cpu_expr(e, ir_let_expr(e->u, k, (ir_sort)l->sort));
    }
    cpu_val col = LLVMBuildSub(e->b, index, e->block_lo, "");
    for (int32_t j = 0; j < p->vectors; j++) rows_here(p, s, need, col, j);
    cpu_unbind(e, e->block_axis);
}
/* Lines of rows that stand on running folds hold for one stage of one block: they are forgotten behind it. */
static void run_stage(cpu_panel *p, const stage *s) {
    cpu_emitter *e = p->e;
    if (!any_in_stage(e, s)) return;
    cpu_phase(e, s->relative ? "normalise" : "modify");
    if (s->relative && !s->lagging) move_references(p, s);
    const bool *need = needed(p, s);
    cpu_val *row = p->row;
    p->row = base_copy(e->arena, row, ((size_t)e->k->n_lets * IR_MICRO + 1) * sizeof *row);
    cpu_rows_ready(p, 0, need);
    cpu_loop l = cpu_loop_begin(e, e->block_lo, e->block_hi, 1, "column");
    column(p, s, need, l.index);
    cpu_loop_end(e, &l);
    p->row = row;
}

/* Products that the sweep's lines need: those of a later sweep, or of the stores alone, are not computed here. */
static void products(cpu_panel *p, const stage *stages) {
    cpu_emitter *e = p->e;
    const bool *first = needed(p, &stages[0]), *second = needed(p, &stages[1]);
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        if (!e->s->lets[k].packed || !(first[k] || second[k])) continue;
        cpu_load_col(p, k);
        cpu_scores(p, k);
    }
    for (uint32_t i = 0; i < e->s->n_pairs; i++) cpu_load_pair(p, i);
}
/* ---- a reference that lags */

static bool folds_here(const cpu_emitter *e, uint32_t k, const stage *s) { return in_stage(e, k, s) && e->k->lets[k].kind == IR_LET_FOLD; }
/* The block's own folds, from their identities; others as they are. */
static cpu_val *folds_of_block(cpu_panel *p, const stage *s) {
    cpu_emitter *e = p->e;
    cpu_val *own = base_copy(e->arena, p->fold, ((size_t)e->k->n_lets * IR_MICRO + 1) * sizeof *own);
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        for (int32_t j = 0; j < p->vectors && folds_here(e, k, s); j++)
            *cpu_of_panel(p, own, k, j) = cpu_slot_of(e, cpu_splat(e, cpu_identity(e, &e->k->lets[k]), e->s->width), "block");
    return own;
}
/* Weights up to 2^32: their products with values up to 2^64 have room for 2^31 columns. Lanes without a row do not count: what they hold is anything. */
static cpu_val in_range(cpu_panel *p, const stage *s) {
    cpu_emitter *e = p->e;
    cpu_val out = NULL;
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        for (int32_t j = 0; j < p->vectors && folds_here(e, k, s) && e->k->lets[k].ref >= 0; j++) {
            cpu_val far = LLVMBuildFCmp(e->b, LLVMRealUGE, cpu_slot_value(e, *cpu_of_panel(p, p->fold, k, j)), cpu_splat(e, cpu_real(e, 0x1p32), e->s->width), "far");
            far = LLVMBuildAnd(e->b, far, p->tail[j], "");
            out = out ? LLVMBuildOr(e->b, out, far, "") : far;
        }
    return LLVMBuildNot(e->b, any_lane(e, out), "in_range");
}
static void take_folds(cpu_panel *p, const stage *s, cpu_val *own, cpu_val ok) {
    cpu_emitter *e = p->e;
    for (uint32_t k = 0; k < e->k->n_lets; k++)
        for (int32_t j = 0; j < p->vectors && folds_here(e, k, s); j++) {
            cpu_val slot = *cpu_of_panel(p, p->fold, k, j), old = cpu_slot_value(e, slot);
            cpu_val both = cpu_combine(e, (ir_red)e->k->lets[k].red, old, cpu_slot_value(e, *cpu_of_panel(p, own, k, j)));
            LLVMBuildStore(e->b, cpu_pick(e, ok, both, old), slot);
        }
}
/*   if full and a reference lags:  the pass;  lag = in range;  if not: go to `again`, where products are computed
 * The truth value: the block is done. After a full block that was computed exactly there is a reference. */
static cpu_val lagging(cpu_panel *p, uint32_t sweep, cpu_val full, LLVMBasicBlockRef again) {
    cpu_emitter *e = p->e;
    const stage s = {.sweep = sweep, .relative = true, .lagging = true};
    cpu_val lag = cpu_slot_value(e, p->lag), done = LLVMBuildAnd(e->b, full, LLVMBuildICmp(e->b, LLVMIntSGT, lag, cpu_int(e, 0), ""), "lags");
    cpu_val first = LLVMBuildAnd(e->b, full, LLVMBuildICmp(e->b, LLVMIntSLT, lag, cpu_int(e, 0), ""), "first");
    LLVMBuildStore(e->b, cpu_pick(e, first, cpu_int(e, 1), lag), p->lag);
    cpu_if tried = cpu_if_begin(e, done, "lagging");
    cpu_scope_push(e, 0);
    cpu_val *folds = p->fold, *own = folds_of_block(p, &s);
    p->fold = own;
    p->masked = false;
    run_stage(p, &s);
    cpu_val ok = in_range(p, &s);
    p->fold = folds;
    take_folds(p, &s, own, ok);
    LLVMBuildStore(e->b, LLVMBuildZExt(e->b, ok, e->i64, ""), p->lag);
    cpu_scope_pop(e);
    LLVMBuildCondBr(e->b, ok, tried.done, again);
    LLVMPositionBuilderAtEnd(e->b, tried.done);
    return done;
}

/* What a block of scores becomes; masked: pair by pair as the guard says, else all of them. done: weights are there already; NULL: never. */
static void sums(cpu_panel *p, const stage *stages, bool masked, cpu_val done) {
    cpu_emitter *e = p->e;
    cpu_if exact;
    p->masked = masked;
    if (done) exact = cpu_if_begin(e, LLVMBuildNot(e->b, done, ""), "exact");
    cpu_scope_push(e, 0);
    for (int i = 0; i < 2; i++) run_stage(p, &stages[i]);
    cpu_scope_pop(e);
    if (done) cpu_if_end(e, &exact);
    for (uint32_t k = 0; k < e->k->n_lets; k++) {
        if (e->k->lets[k].kind != IR_LET_ACC || e->k->lets[k].sweep != stages->sweep) continue;
        cpu_load_col(p, k);
        cpu_accumulate(p, k);
    }
}
/* Scores are the same either way; what follows is emitted for full blocks and for partial ones, and only for those that there can be. */
void cpu_attend_block(cpu_panel *p, uint32_t sweep, cpu_val full) {
    cpu_emitter *e = p->e;
    const bool one = together(e, sweep), known = LLVMIsConstant(full), partial = known && !LLVMConstIntGetZExtValue(full);
    const stage stages[] = {{.sweep = sweep, .together = one}, {.sweep = sweep, .relative = true, .together = one}};
    cpu_phase(e, "products");
    LLVMBasicBlockRef again = LLVMGetInsertBlock(e->b);
    p->masked = true;
    products(p, stages);
    cpu_val done = p->lag && !partial ? lagging(p, sweep, full, again) : NULL;
    if (known) {
        sums(p, stages, partial, done);
        return;
    }
    for (int masked = 1; masked >= 0; masked--) {
        cpu_if branch = cpu_if_begin(e, masked ? LLVMBuildNot(e->b, full, "") : full, masked ? "partial" : "full");
        cpu_scope_push(e, 0);
        sums(p, stages, masked, masked ? NULL : done);
        cpu_scope_pop(e);
        cpu_if_end(e, &branch);
    }
}

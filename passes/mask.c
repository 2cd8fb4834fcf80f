/* mask: which tiles of rows and columns take part in the folds of a kernel.
 *
 * In: legal kernels. Out: kernel->mask where a fold has a guard. The guard of the folds, through the lines that it reads, is one truth
 * value over axes; for a tile of rows and columns it becomes two expressions over the corners of the tile. Where there is no rule the
 * answer is "unknown", which is right and only slower: `may` true, `must` false. */
#include "mask.h"

/* ---- the guard, as one expression over axes */

static ir_expr through_lets(ir_unit *u, void *env, ir_expr e) {
    const ir_kernel *k = env;
    if (!ir_is(u, e, IR_LET)) return 0;
    const ir_let *l = &k->lets[ir_at(u, e)->u.ref];
    /* Features and folds are loops: their value is not known before the tile is run, and stays a line, of which there is no rule. */
    return l->kind == IR_LET_EXPR ? ir_rebuild(u, l->e, through_lets, env) : e;
}

static bool is_fold(const ir_let *l) { return l->kind == IR_LET_FOLD || l->kind == IR_LET_ACC; }

typedef struct { ir_expr any, all; } guards;     /* what some fold takes; what all do */
/* 0, 0: no fold, or one that takes every pair and leaves nothing to judge. */
static guards guards_of(const ir_kernel *k) {
    ir_unit *u = k->unit;
    guards g = { ir_bool(u, false), ir_bool(u, true) };
    for (uint32_t i = 0; i < k->n_lets; i++) {
        if (!is_fold(&k->lets[i])) continue;
        ir_expr guard = ir_rebuild(u, k->lets[i].where, through_lets, (void *)(uintptr_t)k);
        g.any = ir_or(u, g.any, guard);
        g.all = ir_and(u, g.all, guard);
    }
    return g;
}

/* ---- corners */

/* Rows and columns have two corners each; everything else stands still while a tile is judged. */
static mask_state begin(const ir_kernel *k, ir_mask *m) {
    ir_unit *u = k->unit;
    mask_state s = { .u = u, .arena = u->arena, .corners = BASE_ARRAY(u->arena, k->n_axes, mask_corner) };
    m->lo = BASE_ARRAY(u->arena, k->n_axes, ir_var);
    m->hi = BASE_ARRAY(u->arena, k->n_axes, ir_var);
    for (uint32_t a = 0; a < k->n_axes; a++) {
        const ir_axis *axis = &k->axes[a];
        if (axis->role != IR_ROW && axis->role != IR_COL) continue;
        const char *name = u->var.at[axis->var].name;
        m->lo[a] = ir_var_new(u, base_printf(u->arena, "%s_lo", name), axis->extent);
        m->hi[a] = ir_var_new(u, base_printf(u->arena, "%s_hi", name), axis->extent);
        s.corners[s.n_corners++] = (mask_corner){ axis->var, m->lo[a], m->hi[a] };
        s.moving = ir_set_union(u, s.moving, ir_set_of(u, 1, &axis->var));
    }
    return s;
}

/* Which columns the folds run over: those of every sweep are the same or are judged all the same. */
static bool folds_over(const ir_kernel *k, ir_var v) {
    for (uint32_t i = 0; i < k->n_lets; i++)
        for (uint32_t j = 0; is_fold(&k->lets[i]) && j < k->lets[i].n_over; j++)
            if (k->lets[i].over[j] == v) return true;
    return false;
}

static const ir_mask *mask_of(const ir_kernel *k, guards g) {
    ir_unit *u = k->unit;
    ir_mask *m = BASE_NEW(u->arena, ir_mask);
    m->visible = g.any;
    begin(k, m);
    m->tile = (ir_truth){ ir_bool(u, true), ir_bool(u, false) };
    m->seen = ir_bool(u, true);
    m->rows_seen = ir_bool(u, false);
    m->keys = BASE_ARRAY(u->arena, k->n_axes, ir_keys);
    for (uint32_t a = 0; a < k->n_axes; a++) {
        if (k->axes[a].role != IR_COL || !folds_over(k, k->axes[a].var)) continue;
        ir_expr last = ir_sub(u, k->axes[a].extent, ir_int(u, 1));
        m->keys[m->n_keys++] = (ir_keys){ a, ir_int(u, 0), last, ir_int(u, 0), ir_int(u, -1), false };
    }
    return m;
}

/* Kernels are not changed in place: the judge may hold the same one. */
bool pass_mask(pass_state *state) {
    for (uint32_t i = 0; i < state->n_kernels; i++) {
        const ir_kernel *k = state->kernels[i];
        guards g = guards_of(k);
        if (ir_is_bool(k->unit, g.all, true)) continue;
        ir_kernel *with = base_copy(state->arena, k, sizeof *k);
        with->mask = mask_of(k, g);
        state->kernels[i] = with;
    }
    return true;
}

/* In which order items are best computed: those that cost most first, so that no thread is left with a long one at the end.
 *
 * Items count their axes row-major. Along the rows costs rise if the mask lets each tile see the columns from the same place on as the
 * tiles before it, and at least as many: causal masks, and prefixes that grow. That is proved, or else seen of the mask's work at a few tiles of the
 * representative sizes. Then costs repeat with each turn of the axes before the rows.
 */
#include "schedule.h"

/* Indices of an axis, or tiles, that items count. */
ir_expr pass_items_along(const pass_planner *p, uint32_t a) {
    const ir_axis_schedule *w = &p->s->axes[a];
    ir_expr extent = pass_walked(p, a);
    if (w->walk != IR_WALK_TILE) return extent;
    return ir_op2(p->u, IR_FDIV, ir_add(p->u, extent, ir_int(p->u, w->tile - 1)), ir_int(p->u, w->tile));
}

/* The row axis among those that items count; the last, since it changes fastest. -1: none. */
static int32_t row_axis(const pass_planner *p) {
    for (uint32_t a = p->k->n_axes; a-- > 0;)
        if (p->k->axes[a].role == IR_ROW && p->s->axes[a].walk != IR_WALK_LOOP) return (int32_t)a;
    return -1;
}

/* The columns that the tile after this one may see end no earlier, and begin at the same place. `more`: they end later, somewhere. */
static bool keys_grow(ir_unit *u, const ir_mask *m, uint32_t a, const ir_keys *keys, bool *more) {
    ir_expr lo = ir_var_expr(u, m->lo[a]), hi = ir_var_expr(u, m->hi[a]), one = ir_int(u, 1);
    const ir_binding next[] = {{m->lo[a], ir_add(u, lo, one)}, {m->hi[a], ir_add(u, hi, one)}};
    if (!keys->first || !keys->last || ir_depends(u, keys->first, m->lo[a]) || ir_depends(u, keys->first, m->hi[a])) return false;
    *more |= ir_depends(u, keys->last, m->lo[a]) || ir_depends(u, keys->last, m->hi[a]);
    return ir_provably(u, ir_op2(u, IR_LE, keys->last, ir_substitute(u, keys->last, 2, next)));
}

/* After items are known. */
void pass_choose_order(pass_planner *p) {
    const ir_mask *m = p->k->mask;
    int32_t row = row_axis(p);
    bool more = false;
    if (!m || row < 0 || !m->lo[row] || !m->hi[row]) return;
    bool grow = true;
    for (uint32_t i = 0; i < m->n_keys; i++) grow = grow && keys_grow(p->u, m, (uint32_t)row, &m->keys[i], &more);
    if (!(grow && more) && !pass_work_rises(p->k, p->representative)) return;
    p->s->rising = true;
    p->s->period = ir_int(p->u, 1);
    for (uint32_t a = (uint32_t)row; a < p->k->n_axes; a++)
        if (p->s->axes[a].walk != IR_WALK_LOOP) p->s->period = ir_mul(p->u, p->s->period, pass_items_along(p, a));
}

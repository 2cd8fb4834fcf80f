/* Facts of a mask as a whole, over items and dimensions: is there anything to do, and does every row see a column? What a tile of rows costs.
 *
 * The second is asked of the closed form (full_first(i) <= full_last(i) for every row i), and else of witnesses: a column written with the row, such as
 * the row itself, that the guard lets through for every row. Both are proofs on the tile of all rows. */
#include "mask.h"

ir_expr mask_at_whole(ir_unit *u, const ir_kernel *k, const ir_mask *m, ir_expr e) {
    /* later extents may be written with the corners of earlier axes */
    for (uint32_t a = k->n_axes; a-- > 0;) {
        if (!m->lo[a]) continue;
        ir_expr last = ir_sub(u, u->var.at[m->hi[a]].extent, ir_int(u, 1));
        e = ir_substitute(u, e, 2, (ir_binding[]){ { m->lo[a], ir_int(u, 0) }, { m->hi[a], last } });
    }
    return e;
}

/* ---- what does a tile of rows cost? */

static ir_expr how_many(ir_unit *u, ir_expr first, ir_expr last) {
    return ir_op2(u, IR_MAX, ir_int(u, 0), ir_add(u, ir_sub(u, last, first), ir_int(u, 1)));
}
/* A pair that is tested costs a fifth more than one that is not. */
ir_expr mask_work(ir_unit *u, const ir_keys *k) {
    ir_expr visited = how_many(u, k->first, k->last);
    ir_expr full = how_many(u, k->full_first, k->full_last);     /* none, or inside of what is visited */
    return ir_sub(u, ir_mul(u, ir_int(u, 12), visited), ir_mul(u, ir_int(u, 2), full));
}

/* ---- does every row see a column? */

typedef struct { mask_state all_rows; ir_expr visible; ir_var key; ir_expr n_keys; uint32_t lifts; } question;

/* Holds for every row of the item, proved. */
static ir_expr always(question *q, ir_expr truth) { return mask_truth_of(&q->all_rows, mask_form(q->all_rows.u, truth, q->lifts)).must; }

/* Is the column `at`, which may be written with rows, there and visible? */
static ir_expr witness(question *q, ir_expr at) {
    ir_unit *u = q->all_rows.u;
    ir_expr there = ir_and(u, ir_op2(u, IR_LE, ir_int(u, 0), at), ir_op2(u, IR_LT, at, q->n_keys));
    return always(q, ir_and(u, there, ir_substitute(u, q->visible, 1, &(ir_binding){ q->key, at })));
}

/* The columns that one row sees for certain, where rows stand still: some are there. */
static ir_expr by_range(question *q) {
    ir_unit *u = q->all_rows.u;
    mask_corner corner = { .var = q->key };
    mask_state one_row = mask_begin(u, 1, &corner, NULL);
    one_row.opaque = q->all_rows.opaque;
    ir_expr form = mask_form(u, q->visible, MASK_LIFTS);
    ir_keys keys = mask_keys_of(&one_row, form, form, q->key, q->n_keys);
    return always(q, ir_op2(u, IR_LE, keys.full_first, keys.full_last));
}

ir_expr mask_rows_seen(const ir_kernel *k, ir_expr visible, uint32_t key_axis, mask_summaries *summaries, bool opaque, mask_values *used) {
    ir_unit *u = k->unit;
    const ir_axis *key = &k->axes[key_axis];
    mask_corner *rows = BASE_ARRAY(u->arena, k->n_axes, mask_corner);
    uint32_t n = 0;
    ir_expr one = ir_int(u, 1), last = ir_sub(u, key->extent, one);
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].role == IR_ROW) rows[n++] = (mask_corner){ .var = k->axes[a].var, .lo = ir_int(u, 0), .hi = ir_sub(u, k->axes[a].extent, one) };
    question q = { mask_begin(u, n, rows, summaries), visible, key->var, key->extent, 2 * MASK_LIFTS };
    q.all_rows.opaque = opaque;
    ir_expr seen = ir_or(u, by_range(&q), ir_or(u, witness(&q, ir_int(u, 0)), witness(&q, last)));
    for (uint32_t r = 0; r < n; r++) {
        ir_expr row = ir_var_expr(u, rows[r].var);
        /* the diagonal that ends in the last row and the last column */
        seen = ir_or(u, seen, ir_or(u, witness(&q, row), witness(&q, ir_add(u, row, ir_sub(u, last, rows[r].hi)))));
    }
    for (uint32_t i = 0; i < q.all_rows.used.n; i++) BASE_PUSH(u->arena, used, q.all_rows.used.at[i]);
    return seen;
}

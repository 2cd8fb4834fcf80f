/* What masks leave to compute, at the representative sizes, from a few tiles of rows, spread evenly: the share of a kernel's pairs that lie between the
 * first and the last column that tiles of rows may see, and whether later tiles have more to do. */
#include "passes.h"

enum { SAMPLES = 8 };

/* Row tile number s of SAMPLES: both corners of the rows as numbers. Other variables stand for the middle of their range. */
static double at_tile(const ir_kernel *k, ir_expr e, int s, const int64_t *representative) {
    ir_unit *u = k->unit;
    for (uint32_t a = 0; a < k->n_axes; a++) {
        if (k->axes[a].role != IR_ROW || !k->mask->lo[a]) continue;
        const int64_t n = (int64_t)pass_size(u, k->axes[a].extent, representative), lo = n * s / SAMPLES, hi = lo + PASS_ROWS_PER_ITEM - 1;
        e = ir_substitute(u, e, 2, (ir_binding[]){ { k->mask->lo[a], ir_int(u, lo) }, { k->mask->hi[a], ir_int(u, hi < n ? hi : n > 0 ? n - 1 : 0) } });
    }
    return pass_size(u, e, representative);
}

double pass_visible_share(const ir_kernel *k, const int64_t *representative) {
    if (!k->mask || k->mask->n_keys != 1) return 1;
    const ir_keys *keys = &k->mask->keys[0];
    const double all = pass_size(k->unit, k->axes[keys->axis].extent, representative);
    double visible = 0;
    for (int s = 0; s < SAMPLES && all > 0; s++) {
        const double n = at_tile(k, keys->last, s, representative) - at_tile(k, keys->first, s, representative) + 1;
        visible += n < 0 ? 0 : n > all ? all : n;
    }
    return all > 0 ? visible / (SAMPLES * all) : 1;
}

/* No tile has less to do than one before it, and the last has more than one in the middle: those of a window are alike but for the first. Where tables decide
 * nothing is said: sizes tell nothing of them. */
bool pass_work_rises(const ir_kernel *k, const int64_t *representative) {
    const ir_expr work = k->mask ? k->mask->work : 0;
    if (!work || ir_has_op(k->unit, work, IR_READ)) return false;
    double at[SAMPLES];
    for (int s = 0; s < SAMPLES; s++) {
        at[s] = at_tile(k, work, s, representative);
        if (s && at[s] < at[s - 1]) return false;
    }
    return at[SAMPLES - 1] > at[SAMPLES / 2];
}

/* A mask as text: what the pass leaves beside a kernel's lines. Corners are the names of axes with .lo and .hi. */
#include "passes.h"

static void line(const ir_kernel *k, const char *name, ir_expr e, base_text *out) {
    base_text_add(out, "  %-11s ", name);
    ir_expr_print(k->unit, e, out);
    base_text_add(out, "\n");
}

void pass_mask_print(const ir_kernel *k, base_text *out) {
    const ir_mask *m = k->mask;
    if (!m) return;
    base_text_add(out, "mask of %s\n", k->name);
    line(k, "visible", m->visible, out);
    for (uint32_t i = 0; i < m->n_keys; i++) {
        const ir_keys *keys = &m->keys[i];
        base_text_add(out, "  along %s%s\n", k->unit->var.at[k->axes[keys->axis].var].name, keys->exact ? ", which decides every tile" : "");
        line(k, "  first", keys->first, out);
        line(k, "  last", keys->last, out);
        line(k, "  full first", keys->full_first, out);
        line(k, "  full last", keys->full_last, out);
    }
    line(k, "may", m->tile.may, out);
    line(k, "must", m->tile.must, out);
    line(k, "seen", m->seen, out);
    line(k, "rows seen", m->rows_seen, out);
    if (m->work) line(k, "work", m->work, out);
}

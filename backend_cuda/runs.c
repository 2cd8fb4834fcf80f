/* Which columns a row visits, from the kernel's mask for that row. Where the mask knows them in closed form it is one range. Else tiles of a
 * warp's width are judged within the range, in the largest aligned powers of two of them that are decided: a bisection that needs no
 * memory. All lanes judge alike, so the warp stays together. Guards are tested for each column all the same: a row is one, so only
 * what nobody would see is worth leaving out. */
#include "writer.h"

static const ir_keys *keys_of(const ir_mask *m, uint32_t axis) {
    for (uint32_t i = 0; m && i < m->n_keys; i++)
        if (m->keys[i].axis == axis) return &m->keys[i];
    return NULL;
}

/* Corners are printed as variables: of the axis in the lanes those of the tile, of the others the index where they stand. */
static void name_corners(cuda_writer *w, uint32_t lanes) {
    const ir_mask *m = w->k->mask;
    for (uint32_t a = 0; a < w->k->n_axes; a++) {
        if (!m->lo[a]) continue;
        const char *index = w->var_name[w->k->axes[a].var];
        w->var_name[m->lo[a]] = a == lanes ? "tile_lo" : index;
        w->var_name[m->hi[a]] = a == lanes ? "tile_hi" : index;
    }
}

/* Loops before the lanes have an index; a column axis that has none yet may be anywhere, which corners cannot say here. */
static bool all_bound(const cuda_writer *w, uint32_t lanes) {
    for (uint32_t a = 0; a < w->k->n_axes; a++)
        if (w->k->mask->lo[a] && a != lanes && !ir_set_has(w->u, w->bound, w->k->axes[a].var)) return false;
    return true;
}

static void walk(cuda_writer *w) {
    const ir_mask *m = w->k->mask;
    cuda_open(w, "for (i64 tile = range_begin / WARP, tiles = 1; tile * WARP < range_end; tile += tiles)");
    cuda_line(w, "bool may = true;");
    cuda_open(w, "for (tiles = tile ? tile & -tile : 1LL << 30;; tiles >>= 1)");
    cuda_line(w, "if (tiles > 1 && (tile + tiles / 2) * WARP >= range_end) continue;");
    cuda_line(w, "const i64 tile_lo = tile * WARP, tile_hi = op_min((tile + tiles) * WARP, n_col) - 1;");
    const char *may = cuda_expr(w, m->tile.may);
    cuda_line(w, "may = %s;", may);
    cuda_line(w, "if (!may || tiles == 1) break;");
    const char *must = cuda_expr(w, m->tile.must);
    cuda_line(w, "if (%s) break;", must);
    cuda_close(w);
    cuda_line(w, "if (!may) continue;");
    cuda_line(w, "const i64 col_begin = op_max(tile * WARP, range_begin), col_end = op_min((tile + tiles) * WARP, range_end);");
}

/* Declares col_begin and col_end for the columns in the lanes; true if a loop has been opened around them. */
bool cuda_runs(cuda_writer *w, const uint32_t *lanes, uint32_t n) {
    const ir_mask *m = w->k->mask;
    const ir_keys *keys = n == 1 ? keys_of(m, lanes[0]) : NULL;
    if (!keys || !all_bound(w, lanes[0])) {
        cuda_line(w, "const i64 col_begin = 0, col_end = n_col;");
        return false;
    }
    name_corners(w, lanes[0]);
    const char *first = cuda_expr(w, keys->first), *last = cuda_expr(w, keys->last);
    const bool known = !ir_is_bool(w->u, m->tile.may, true) || !ir_is_bool(w->u, m->tile.must, false);
    const bool walks = !keys->exact && known;
    cuda_line(w, "const i64 %s = op_max(%s, 0LL), %s = op_min(%s + 1, n_col);", walks ? "range_begin" : "col_begin", first, walks ? "range_end" : "col_end", last);
    if (walks) walk(w);
    return walks;
}

/* Sizes and tables that masks read: documents, trees, blocks, windows per head, random ones. All from one seed. */
#include "masks.h"

const mask_case mask_cases[] = {
#define MASK(name, text, square, budget) { name, text, square, budget },
#include "catalogue.def"
};
const size_t n_mask_cases = sizeof mask_cases / sizeof *mask_cases;
const world_name world_tables[N_TABLES] = {
#define TABLE(name, rank, dtype) { #name, rank, IR_TYPE_##dtype, 0 },
#include "tables.def"
};
const world_name world_scalars[N_SCALARS] = {
#define SCALAR(name, kind) { #name, 0, 0, kind },
#include "scalars.def"
};
/* Positions of a picture with WW columns, and of a film of pictures of 10 x 12. */
const char *const world_macros[][2] = {
    { "y", "i//WW" },   { "x", "i%WW" },         { "y2", "j//WW" },  { "x2", "j%WW" }, { "t3", "i//120" }, { "y3", "(i//12)%10" },
    { "x3", "i%12" },   { "u3", "j//120" },      { "v3", "(j//12)%10" }, { "w3", "j%12" }, { NULL, NULL },
};

uint64_t rnd_next(rnd *r) {
    uint64_t z = r->s += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}
int rnd_in(rnd *r, int lo, int hi) { return lo + (int)(rnd_next(r) % (uint64_t)(hi - lo + 1)); }

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t *room(base_arena *arena, int64_t n) { return BASE_ARRAY(arena, (uint32_t)(n > 0 ? n : 1), int64_t); }
static int64_t *put(world *w, base_arena *arena, int which, int64_t d0, int64_t d1, int64_t d2) {
    table *t = &w->tables[which];
    *t = (table){ { d0, d1, d2, 1 }, room(arena, d0 * d1 * d2) };
    return t->at;
}

/* Ascending ids, any ids, an id per token; where the document of batch 0 began. */
static void make_documents(world *w, base_arena *arena, int n, int mean, rnd *r) {
    int64_t *sorted = put(w, arena, TABLE_doc, 2, n, 1), *any = put(w, arena, TABLE_docu, 2, n, 1), *random = put(w, arena, TABLE_docr, 2, n, 1);
    int64_t *begin = put(w, arena, TABLE_dstart, n, 1, 1);
    for (int b = 0; b < 2; b++) {
        int id = 0, other = rnd_in(r, 0, 1000), left = rnd_in(r, 1, 2 * mean), from = 0;
        for (int i = 0; i < n; i++, left--) {
            if (!left) id++, other = rnd_in(r, 0, 1000), left = rnd_in(r, 1, 2 * mean), from = i;
            sorted[b * n + i] = id, any[b * n + i] = other, random[b * n + i] = rnd_in(r, 0, 5);
            if (!b) begin[i] = from;
        }
    }
}

/* A random tree: ancestors as a table, as bits, as intervals of a walk. */
static void make_tree(world *w, base_arena *arena, int nodes, rnd *r) {
    int64_t *anc = put(w, arena, TABLE_anc, nodes, nodes, 1), *tin = put(w, arena, TABLE_tin, nodes, 1, 1);
    int64_t *tout = put(w, arena, TABLE_tout, nodes, 1, 1), *bits = put(w, arena, TABLE_bits, nodes, 1, 1);
    int64_t *parent = room(arena, nodes), *kids = room(arena, nodes), *next = room(arena, nodes);
    for (int i = 1; i < nodes; i++) parent[i] = rnd_in(r, 0, i - 1);
    for (int i = 0; i < nodes; i++)
        for (int64_t j = i;; j = parent[j]) {
            anc[i * nodes + j] = 1;
            if (j < 31) bits[i] |= (int64_t)1 << j;
            if (!j) break;
        }
    for (int i = nodes - 1; i > 0; i--) kids[parent[i]] += kids[i] + 1;
    for (int i = 0; i < nodes; i++) {
        tin[i] = i ? next[parent[i]] : 0, tout[i] = tin[i] + kids[i] + 1, next[i] = tin[i] + 1;
        if (i) next[parent[i]] = tout[i];
    }
}

static void make_blocks(world *w, base_arena *arena, int S, int T, rnd *r) {
    const int H = 4, n = (S + 63) / 64, m = (T + 63) / 64;
    int64_t *keep = put(w, arena, TABLE_keep, H, n, m), *band = put(w, arena, TABLE_band, H, n, m), *bb = put(w, arena, TABLE_bb, n, m, 1);
    for (int h = 0; h < H; h++)
        for (int y = 0; y < n; y++)
            for (int x = 0; x < m; x++) {
                keep[(h * n + y) * m + x] = rnd_in(r, 0, 9) == 0;
                band[(h * n + y) * m + x] = abs(y - x) <= 1 + h || x == 0;
                if (!h) bb[y * m + x] = rnd_in(r, 0, m) < 3;
            }
    int64_t *rb = put(w, arena, TABLE_rb, S, T, 1);
    for (int64_t i = 0; i < (int64_t)S * T; i++) rb[i] = (int64_t)(rnd_next(r) & 1);
}

/* Per token: global ones, images in text, intervals of queries that a key is hidden from. */
static void make_columns(world *w, base_arena *arena, int n, rnd *r) {
    int64_t *glob = put(w, arena, TABLE_glob, n, 1, 1), *kinds = put(w, arena, TABLE_kind, n, 1, 1), *lts = put(w, arena, TABLE_lts, n, 1, 1);
    int64_t *lte = put(w, arena, TABLE_lte, n, 1, 1), *a = put(w, arena, TABLE_a, n, 1, 1);
    for (int i = 0, image = 0, left = 1, end = 0; i < n; i++, left--) {
        if (!left) image = !image, left = rnd_in(r, 1, 1 + n / 8), end = i + left;
        glob[i] = rnd_in(r, 0, n / 2 + 1) == 0, kinds[i] = image;
        lts[i] = i < end ? end : i + 1, lte[i] = n;
        a[i] = rnd_in(r, -20, 20);
    }
    /* ascending, and of any order; a few are no numbers */
    int64_t *f = put(w, arena, TABLE_f, n, 1, 1), *g = put(w, arena, TABLE_g, n, 1, 1);
    rnd q = { (uint64_t)n };
    for (int i = 0; i < n; i++) {
        f[i] = rnd_in(&q, 0, 250) ? i / 3 : NOT_A_NUMBER;
        g[i] = rnd_in(&q, 0, 150) ? rnd_in(&q, -20, 20) : NOT_A_NUMBER;
    }
    int64_t *z = put(w, arena, TABLE_z, 8, 8, 1);
    for (int i = 0; i < 64; i++) z[i] = rnd_in(r, -3, 3);
}

world *world_create(base_arena *arena, int S, int T, rnd *r, int scale) {
    world *w = BASE_NEW(arena, world);
    int64_t *p = w->scalars, n = most(S, T);
    p[SCALAR_S] = S, p[SCALAR_T] = T, p[SCALAR_b] = rnd_in(r, 0, 1), p[SCALAR_h] = rnd_in(r, 0, 3);
    p[SCALAR_W] = p[SCALAR_C] = scale, p[SCALAR_P] = scale / 2, p[SCALAR_k] = scale / 4 + 1, p[SCALAR_kn] = least(T, scale | 1);
    p[SCALAR_past] = most(0, T - S), p[SCALAR_m] = rnd_in(r, -5, (int)n + 5), p[SCALAR_n] = rnd_in(r, -5, (int)n + 5);
    p[SCALAR_WW] = rnd_in(r, 7, 40), p[SCALAR_HH] = (n + p[SCALAR_WW] - 1) / p[SCALAR_WW];
    int64_t *len = put(w, arena, TABLE_len, 2, 1, 1), *start = put(w, arena, TABLE_start, 2, 1, 1), *win = put(w, arena, TABLE_win, 4, 1, 1);
    for (int b = 0; b < 2; b++) start[b] = rnd_in(r, 0, T), len[b] = rnd_in(r, 0, T - (int)start[b]);
    for (int h = 0; h < 4; h++) win[h] = rnd_in(r, 0, scale * (h + 1));
    make_documents(w, arena, (int)n, scale, r);
    make_tree(w, arena, S > 1024 ? 64 : S, r);
    make_blocks(w, arena, S, T, r);
    make_columns(w, arena, (int)n, r);
    return w;
}

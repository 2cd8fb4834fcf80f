/* The template CONTRACT: products of rows and columns with nothing folded over them, y[m, n] = f(sum(k: x[m, k]*w[n, k]), ..).
 *
 * Lanes run along the columns. Each column factor is packed before the launch into panels, [block of columns, features, column of the block], so
 * that a register tile reads it as vectors one behind the other; the row factor is broadcast from where it lies, or from scratch where it is
 * computed or lies badly. What is left of the kernel, the lines above its products, runs over the tile's sums in scratch (bias, GELU, residual).
 * An item is a tile of rows and some blocks of columns. Axes of one role are walked as one where every address allows it: split heads, batches
 * of positions, transposed weights differ in strides alone.
 *
 *   y[b, i, h, d] = sum(e: x[b, i, e]*w[h, d, e]) + c[h, d]   =>   rows b*S + i, columns h*D + d, panels of w[.., e, ..] */
#include "schedule.h"

/* ROWS_MOST: rows of an item, so that there are items for every worker; COLUMNS_PER_ITEM: columns, the same; ITEMS_PER_CORE: enough to share out. */
enum { ROWS_MOST = 128, COLUMNS_PER_ITEM = 512, ITEMS_PER_CORE = 4 };

bool pass_is_product(const ir_let *l) {
    return l->kind == IR_LET_TERM && l->a && l->sort == IR_SORT_REAL && l->red == IR_RED_SUM && l->rank == (IR_ROW | IR_COL);
}

/* ---- does the template take the kernel? */

static bool over_dims(const ir_kernel *k, ir_expr e) { return pass_over_dims(&(pass_planner){.u = k->unit, .k = k}, e); }

/* A line in a packed factor is replaced by what it says: only its own text can be computed before the launch. */
typedef struct { const ir_kernel *k; bool sums; } lines_env;
static bool lines_visit(const ir_unit *u, void *env, ir_expr e) {
    lines_env *l = env;
    if (!ir_is(u, e, IR_LET)) return !l->sums;
    const ir_let *let = &l->k->lets[ir_at(u, e)->u.ref];
    if (let->kind != IR_LET_EXPR) l->sums = true;
    else ir_walk(u, let->e, lines_visit, l);
    return false;
}
static bool holds_sum(const ir_kernel *k, ir_expr e) {
    lines_env l = {k, false};
    ir_walk(k->unit, e, lines_visit, &l);
    return l.sums;
}

static const char *unfit_product(const ir_kernel *k, const ir_let *l) {
    if (!ir_is_bool(k->unit, l->where, true)) return "a guard hides products";
    if (ir_kernel_rank(k, l->a) & IR_COL || ir_kernel_rank(k, l->b) & IR_ROW) return "a factor varies over rows and columns";
    if (holds_sum(k, l->b)) return "the column factor holds a sum";
    /* counters, items, blocks, features, column of the block */
    uint32_t rank = k->n_counters + l->n_over + 2;
    for (uint32_t a = 0; a < k->n_axes; a++) rank += k->axes[a].role == IR_ITEM || k->axes[a].role == IR_COL;
    return rank - (uint32_t)__builtin_popcount(pass_contract_merged(k)) > IR_RANK ? "its panels would have too many axes" : NULL;
}
static const char *unfit_line(const ir_kernel *k, const ir_let *l) {
    if (l->kind == IR_LET_EXPR) return NULL;
    if (pass_is_product(l)) return unfit_product(k, l);
    return l->kind == IR_LET_TERM && !(l->rank & (IR_COL | IR_FEAT)) ? NULL : "a sum beside the products varies over columns";
}
/* The epilogue runs over all columns of a block: a result that lacks one would be stored again and again. */
static const char *unfit_store(const ir_kernel *k, const ir_store *at) {
    ir_set seen = 0;
    for (uint32_t i = 0; i < at->n_places; i++) seen = ir_set_union(k->unit, seen, ir_free(k->unit, at->places[i]));
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].role != IR_FEAT && !ir_set_has(k->unit, seen, k->axes[a].var)) return "a result lacks rows or columns";
    return at->mode == IR_STORE_ONE ? NULL : "the order of stores matters";
}

const char *pass_contract_unfit(const ir_kernel *k, const ir_target *target) {
    bool product = false;
    for (uint32_t i = 0; i < k->n_lets; i++) product |= pass_is_product(&k->lets[i]);
    if (target->contract_rate <= 0 || target->lanes < 4 || k->n_sweeps || !product) return "";
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (!over_dims(k, k->axes[a].extent)) return "an extent is not known before the launch";
    for (uint32_t i = 0; i < k->n_lets; i++) {
        const char *why = unfit_line(k, &k->lets[i]);
        if (why) return why;
    }
    for (uint32_t i = 0; i < k->n_stores; i++) {
        const char *why = unfit_store(k, &k->stores[i].at);
        if (why) return why;
    }
    return ir_is_bool(k->unit, k->inside, true) ? NULL : "some rows of a split do not exist";
}

/* ---- axes that are walked as one. The outer one stands at 0 and the inner one runs over both: an address base + outer*s*n + inner*s does not see
 * the difference. So both may occur in addresses alone, in positions that are in range by proof: nobody clamps them. */

typedef struct { const ir_kernel *k; uint32_t outer, inner; ir_set both; bool fine; } merge_env;

static bool in_range(ir_unit *u, const ir_type *type, const ir_expr *at) {
    const ir_type t = *type;
    for (uint32_t i = 0; i < t.rank; i++)
        if (!ir_in_range(u, at[i], t.dim[i])) return false;
    return true;
}
static bool steps_merge(const merge_env *m, ir_expr outer, ir_expr inner) {
    ir_unit *u = m->k->unit;
    const ir_expr zero = ir_int(u, 0);
    return (outer ? outer : zero) == ir_mul(u, m->k->axes[m->inner].extent, inner ? inner : zero);
}
static bool read_merges(const merge_env *m, ir_expr read) {
    ir_unit *u = m->k->unit;
    const ir_access *access = ir_kernel_access(m->k, read);
    ir_expr at[IR_RANK];
    for (uint32_t i = 0; i < ir_n_operands(u, read); i++) at[i] = ir_operand(u, read, i);
    const ir_type type = u->value.at[ir_at(u, read)->u.ref].type;
    return access && !access->gather && steps_merge(m, access->step[m->outer], access->step[m->inner]) && in_range(u, &type, at);
}
static bool merge_visit(const ir_unit *u, void *env, ir_expr e) {
    merge_env *m = env;
    if (!m->fine || !ir_set_meets(u, ir_free(u, e), m->both)) return false;
    if (ir_is(u, e, IR_READ) && read_merges(m, e)) return false;
    if (ir_is(u, e, IR_VAR)) m->fine = false;
    return true;
}
static void merge_expr(merge_env *m, ir_expr e) {
    if (e && m->fine) ir_walk(m->k->unit, e, merge_visit, m);
}
static void merge_store(merge_env *m, const ir_store *s) {
    ir_unit *u = m->k->unit;
    const ir_type t = u->value.at[s->result].type;
    ir_expr offset = ir_int(u, 0), outer, inner, rest;
    for (uint32_t i = 0; i < t.rank; i++) offset = ir_add(u, ir_mul(u, offset, t.dim[i]), s->places[i]);
    m->fine = m->fine && ir_affine(u, offset, m->k->axes[m->outer].var, &outer, &rest) && ir_affine(u, rest, m->k->axes[m->inner].var, &inner, &rest) &&
              steps_merge(m, outer, inner) && in_range(u, &t, s->places);
}
/* The column factor of a product is read by the kernel that packs it, with indices of its own. */
static bool merge(const ir_kernel *k, uint32_t outer, uint32_t inner) {
    ir_unit *u = k->unit;
    const ir_var both[] = {k->axes[outer].var, k->axes[inner].var};
    merge_env m = {k, outer, inner, ir_set_of(u, 2, both), true};
    for (uint32_t i = 0; i < k->n_lets; i++) {
        const ir_let *l = &k->lets[i];
        merge_expr(&m, l->e);
        merge_expr(&m, l->a);
        merge_expr(&m, l->where);
        if (!pass_is_product(l)) merge_expr(&m, l->b);
    }
    for (uint32_t i = 0; i < k->n_stores; i++) {
        merge_expr(&m, k->stores[i].e);
        if (k->axes[outer].role != IR_FEAT) merge_store(&m, &k->stores[i].at);
    }
    return m.fine;
}
/* From axis `last` outwards over axes among `of`, as long as each joins the one inside: bits of axes, `last` among them. */
static uint32_t chain(const ir_kernel *k, uint32_t of, uint32_t last) {
    uint32_t bits = 1u << last, inner = last;
    for (uint32_t a = last; a-- > 0;) {
        if (!(of >> a & 1)) continue;
        if (!merge(k, a, inner)) break;
        bits |= 1u << a;
        inner = a;
    }
    return bits;
}
static uint32_t features_of(const ir_kernel *k, const ir_let *l) {
    uint32_t bits = 0;
    for (uint32_t o = 0; o < l->n_over; o++) bits |= 1u << pass_axis_of(k, l->over[o]);
    return bits;
}
static uint32_t last_of(uint32_t bits) { return 31u - (uint32_t)__builtin_clz(bits); }
static ir_expr product_of(const ir_kernel *k, uint32_t bits) {
    ir_expr n = ir_int(k->unit, 1);
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (bits >> a & 1) n = ir_mul(k->unit, n, k->axes[a].extent);
    return n;
}
uint32_t pass_contract_merged(const ir_kernel *k) { return chain(k, pass_axes_of(k, IR_COL), last_of(pass_axes_of(k, IR_COL))); }
ir_expr pass_contract_columns(const ir_kernel *k) { return product_of(k, pass_contract_merged(k)); }

static void walk_as_one(pass_planner *p, uint32_t bits, int32_t last, ir_axis_walk how, int32_t tile) {
    for (uint32_t a = 0; a < p->k->n_axes; a++)
        if (bits >> a & 1) p->s->axes[a] = (ir_axis_schedule){how == IR_WALK_LOOP ? IR_WALK_LOOP : IR_WALK_ITEM, 0, ir_int(p->u, 1)};
    p->s->axes[last] = (ir_axis_schedule){(uint8_t)how, tile, product_of(p->k, bits)};
}
/* Of the chains of rows the longest: positions, not the few heads of a group. */
static uint32_t choose_rows(const pass_planner *p, int32_t *last) {
    uint32_t best = 0, seen = 0;
    double most = 0;
    for (uint32_t a = p->k->n_axes; a-- > 0;) {
        if (p->k->axes[a].role != IR_ROW || seen >> a & 1) continue;
        const uint32_t bits = chain(p->k, pass_axes_of(p->k, IR_ROW), a);
        const double size = pass_size(p->u, product_of(p->k, bits), p->representative);
        seen |= bits;
        if (best && size <= most) continue;
        best = bits;
        most = size;
        *last = (int32_t)a;
    }
    return best;
}

/* All features of a product or none: then rows are read from where they lie, with one step. */
static void merge_features(pass_planner *p, const ir_let *l) {
    if (!pass_is_product(l) || l->n_over < 2) return;
    const uint32_t bits = features_of(p->k, l), last = last_of(bits);
    if (p->s->axes[last].extent || chain(p->k, bits, last) != bits) return;
    walk_as_one(p, bits, (int32_t)last, IR_WALK_LOOP, 0);
}

/* ---- tiles */

/* The smallest number n of vectors and the largest power of two m of rows with all sums, n vectors and a broadcast in registers, enough sums to hide
 * the latency, and fewer loads than the load ports have time for. */
static void choose_micro(const pass_planner *p) {
    const ir_target *t = p->target;
    int32_t rows = 1, vectors = 1;
    for (int32_t n = 1; n <= 4; n++) {
        int32_t m = 1;
        while (2 * m <= IR_MICRO && 2 * m * n + n + 1 <= t->regs) m *= 2;
        rows = m;
        vectors = n;
        if (m * n >= t->fma_latency * t->fma_ports && 4 * (m + n) * t->fma_ports <= 3 * m * n * t->load_ports) break;
    }
    p->s->micro_rows = t->contract_rows ? t->contract_rows : rows;
    p->s->micro_cols = t->contract_vectors ? t->contract_vectors : vectors;
}
static double size_of(const pass_planner *p, ir_expr e) { return pass_size(p->u, e, p->representative); }
/* Features of the longest product: what a row and a column of a panel weigh. */
static double features_most(const pass_planner *p) {
    double most = 1;
    for (uint32_t i = 0; i < p->k->n_lets; i++)
        if (pass_is_product(&p->k->lets[i])) most = fmax(most, size_of(p, pass_features(p, &p->k->lets[i])));
    return most;
}
/* A power of two, so that it divides what sizes tend to be: rows of an item and a panel side by side in the second cache, and items for all cores. */
static int32_t choose_row_tile(const pass_planner *p, double rows, double columns, double wanted) {
    const double each = features_most(p) * (double)pass_bytes_of(p, IR_SORT_REAL), room = (double)p->target->l2_bytes / 2;
    const double across = ceil(columns / COLUMNS_PER_ITEM);
    int32_t tile = ROWS_MOST;
    while (tile > 2 * p->s->micro_rows && (tile * each > room || ceil(rows / tile) * across < wanted)) tile /= 2;
    if (p->target->contract_tile) tile = p->target->contract_tile;
    return tile < p->s->micro_rows ? p->s->micro_rows : tile;
}
/* Features whose panel leaves room for rows in the second cache; sums of what lies between blocks wait in scratch. */
static int32_t choose_k_block(const pass_planner *p) {
    if (p->target->contract_block) return p->target->contract_block;
    const double column = (double)(p->s->col_block * pass_bytes_of(p, IR_SORT_REAL)), room = (double)p->target->l2_bytes / 2;
    return features_most(p) * column <= room || room < 64 * column ? 0 : (int32_t)(room / column) & ~15;
}
static int32_t choose_columns(const pass_planner *p, double rows, double columns, double wanted) {
    const int32_t block = p->s->col_block;
    int32_t tile = (COLUMNS_PER_ITEM + block - 1) / block * block;
    const double down = ceil(rows / p->s->row_tile);
    while (tile > 2 * block && down * ceil(columns / tile) < wanted) tile = (tile / 2 + block - 1) / block * block;
    return tile;
}
static void choose_tiles(pass_planner *p) {
    ir_schedule *s = p->s;
    const ir_kernel *k = p->k;
    s->form = IR_CONTRACT;
    s->lanes = IR_COL;
    s->width = k->real == IR_TYPE_F64 ? p->target->lanes / 2 : p->target->lanes;
    s->lane_axis = (int32_t)last_of(pass_axes_of(k, IR_COL));
    const uint32_t columns = pass_contract_merged(k), rows = choose_rows(p, &s->row_axis);
    const double n_columns = size_of(p, product_of(k, columns)), n_rows = size_of(p, product_of(k, rows));
    choose_micro(p);
    s->col_block = s->micro_cols * s->width;
    /* what other axes share the launch out along need not be cut */
    double others = 1;
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].role != IR_FEAT && !((rows | columns) >> a & 1)) others *= fmax(size_of(p, k->axes[a].extent), 1);
    const double wanted = (double)ITEMS_PER_CORE * p->target->cores / others;
    s->row_tile = choose_row_tile(p, n_rows, n_columns, wanted);
    s->k_block = choose_k_block(p);
    for (uint32_t a = 0; a < k->n_axes; a++) s->axes[a] = (ir_axis_schedule){k->axes[a].role == IR_FEAT ? IR_WALK_LOOP : IR_WALK_ITEM, 0, 0};
    for (uint32_t i = 0; i < k->n_lets; i++) merge_features(p, &k->lets[i]);
    walk_as_one(p, rows, s->row_axis, IR_WALK_TILE, s->row_tile);
    walk_as_one(p, columns, s->lane_axis, IR_WALK_TILE, choose_columns(p, n_rows, n_columns, wanted));
}

/* ---- lines */

/* Is the row factor fit to be broadcast from where it lies? One address per row, and a step along the features. */
static bool lies_well(const pass_planner *p, const ir_let *l) {
    const ir_type *type = ir_is(p->u, l->a, IR_READ) ? &p->u->value.at[ir_at(p->u, l->a)->u.ref].type : NULL;
    const ir_access *access = type ? ir_kernel_access(p->k, l->a) : NULL;
    const uint32_t f = last_of(features_of(p->k, l));
    if (!access || (l->n_over > 1 && !p->s->axes[f].extent) || type->dtype != p->k->real) return false;
    if (access->gather >> f & 1 || !access->step[f]) return false;
    for (uint32_t i = 0; i < ir_n_operands(p->u, l->a); i++) {
        const ir_expr at = ir_operand(p->u, l->a, i);
        if (ir_set_meets(p->u, ir_free(p->u, at), ir_set_of(p->u, l->n_over, l->over)) && !ir_in_range(p->u, at, p->u->value.at[ir_at(p->u, l->a)->u.ref].type.dim[i]))
            return false;
    }
    return pass_score_in(p, l->a, f) > 0 || pass_score_in(p, l->a, (uint32_t)p->s->row_axis) > 0;
}
/* The feature along which the row factor's elements are neighbours; among equals the last. Panels have it innermost too. */
static int32_t feature_lane(const pass_planner *p, const ir_let *l) {
    int32_t best = -1, score = 0;
    if (p->s->axes[last_of(features_of(p->k, l))].extent) return (int32_t)last_of(features_of(p->k, l));
    for (uint32_t o = 0; o < l->n_over; o++) {
        const int32_t a = pass_axis_of(p->k, l->over[o]), found = pass_score_in(p, l->a, (uint32_t)a);
        if (best >= 0 && found < score) continue;
        best = a;
        score = found;
    }
    return best;
}
static void plan_product(pass_planner *p, uint32_t i) {
    const ir_let *l = &p->k->lets[i];
    ir_let_schedule *s = &p->s->lets[i];
    const int64_t real = pass_bytes_of(p, IR_SORT_REAL);
    *s = (ir_let_schedule){.place = IR_PLACE_PAIR, .lanes = IR_FEAT, .lane_axis = feature_lane(p, l), .col_axis = -1, .kept = true};
    /* the last register tile may reach beyond the rows */
    const int32_t rows = (p->s->row_tile + p->s->micro_rows - 1) / p->s->micro_rows * p->s->micro_rows;
    s->at = pass_scratch_take(p, ir_int(p->u, rows * p->s->col_block * real));
    s->packed = !lies_well(p, l);
    if (s->packed) s->factor_at = pass_scratch_take(p, ir_mul(p->u, pass_features(p, l), ir_int(p->u, p->s->row_tile * real)));
}

ir_schedule *pass_contract(const ir_kernel *k, const ir_target *target, const int64_t *representative) {
    pass_planner p = pass_plan_begin(k, target, representative);
    choose_tiles(&p);
    for (uint32_t i = 0; i < k->n_lets; i++) {
        if (pass_is_product(&k->lets[i])) plan_product(&p, i);
        else pass_plan_let(&p, i);
    }
    return pass_plan_end(&p, pass_contract_seconds(k, target, representative, false));
}

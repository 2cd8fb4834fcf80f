/* Ranges of tables: what elements a read can meet on a tile, from summaries that are computed before the kernel runs.
 *
 * A summary of a table has the least and the greatest element of windows along the axes that move within a tile; for equalities also the set
 * of the elements' last six bits. Along such an axis elements meet in blocks of 2^shift, and windows are of 1, 2, 4 .. 2^level blocks. Any
 * range of blocks is the union of two windows of one level, so a range is two reads per axis and no loop. Up to level 4 there is a window at
 * each block; above, one at each 2^(level - 4) blocks, longer by that less one, so that a summary needs room for few windows and two of them
 * still cover: what they take too much is less than a sixteenth on each side, and nothing for ranges of fewer than 32 blocks.
 *
 *   blocks[b, k] = min(e in 0..8: t[b, 8*k + e])     windows[b, l, s] = min(d in 0..length(l): blocks[b, s*step(l) + d])
 *
 * These are maps like any other: the graph gets them right behind the value that they summarise, once for all kernels that ask. */
#include "mask.h"

enum { SHIFT = 3, EXACT_LEVEL = 4, MAX_AXIS_LOG2 = 31 };
typedef enum { LEAST, GREATEST, PRESENT, N_STATISTICS } statistic;
_Static_assert((int)N_STATISTICS == (int)MASK_STATISTICS, "mask.h keeps a value for each");

struct mask_summaries { base_arena *arena; BASE_VEC(mask_summary) all; };

mask_summaries *mask_summaries_create(base_arena *arena) {
    mask_summaries *m = BASE_NEW(arena, mask_summaries);
    m->arena = arena;
    return m;
}
uint32_t mask_summaries_count(const mask_summaries *m) { return m->all.n; }
const mask_summary *mask_summaries_at(const mask_summaries *m, uint32_t k) { return &m->all.at[k]; }

/* ---- making one */

typedef struct {                 /* how one axis of the table is asked */
    bool ranged;
    uint8_t shift;
} axis_form;
typedef struct {
    ir_unit *u;
    ir_value source;
    ir_type type;
    axis_form axis[IR_RANK];
    statistic what;
} request;
static ir_dtype dtype_of(const request *r) { return r->what == PRESENT ? IR_TYPE_I64 : (ir_dtype)r->type.dtype; }

static ir_expr literal(ir_unit *u, int64_t x) { return ir_int(u, x); }
static ir_expr blocks_of(ir_unit *u, ir_expr n, uint8_t shift) {
    return ir_op2(u, IR_FDIV, ir_add(u, n, literal(u, (1 << shift) - 1)), literal(u, 1 << shift));
}

/* Levels for the longest axis there is: how long this one is only the run knows. Those that it has no use for stay empty. */
static ir_expr levels_of(ir_unit *u, uint8_t shift) { return literal(u, MAX_AXIS_LOG2 + 1 - shift); }

static ir_red combining(const request *r) {
    static const ir_red of_numbers[] = { IR_RED_MIN, IR_RED_MAX, IR_RED_BITS };
    if (ir_dtypes[r->type.dtype].sort != IR_SORT_BOOL) return of_numbers[r->what];
    return r->what == LEAST ? IR_RED_ALL : IR_RED_ANY;
}

static ir_expr shifted(ir_unit *u, ir_expr by) { return ir_op2(u, IR_SHL, literal(u, 1), by); }
/* Blocks between the beginnings of two windows of a level, as an exponent. */
static ir_expr step_log2(ir_unit *u, ir_expr level) { return ir_op2(u, IR_MAX, ir_sub(u, level, literal(u, EXACT_LEVEL)), literal(u, 0)); }

/* One statistic more out of a map, whose outer variables are the axes of its results. Returns its value. */
static ir_value put(const request *r, ir_node *map, const char *kind, ir_expr body) {
    static const char *const names[] = { "least", "greatest", "present" };
    ir_unit *u = r->u;
    ir_type type = { .dtype = (uint8_t)dtype_of(r), .rank = map->map.n_outer };
    for (uint32_t a = 0; a < type.rank; a++) type.dim[a] = u->var.at[map->map.outer[a]].extent;
    const ir_value v = ir_value_new(u, base_printf(u->arena, "%s.%s.%s", u->value.at[r->source].name, names[r->what], kind), &type);
    map->map.results[map->map.n_results++] = (ir_result){ .body = body, .store = { .result = v } };
    return v;
}

/* What an element brings into the statistic. */
static ir_expr element(const request *r, ir_expr e) {
    return r->what == PRESENT ? ir_op2(r->u, IR_SHL, literal(r->u, 1), ir_op2(r->u, IR_BITAND, e, literal(r->u, 63))) : e;
}

static ir_node *map_of(ir_unit *u, uint32_t rank, const ir_var *outer) {
    ir_node *n = ir_node_map(u, (base_span){ 0 }, rank, outer, 0, 0);
    n->map.results = BASE_ARRAY(u->arena, N_STATISTICS, ir_result);
    n->map.n_results = 0;
    return n;
}
/* Of blocks: the table's own axes, shorter. */
static ir_node *blocks_new(const request *r) {
    ir_var outer[IR_RANK];
    for (uint32_t a = 0; a < r->type.rank; a++)
        outer[a] = ir_var_new(r->u, base_printf(r->u->arena, "b%u", a), blocks_of(r->u, r->type.dim[a], r->axis[a].ranged ? r->axis[a].shift : 0));
    return map_of(r->u, r->type.rank, outer);
}
/* Of windows along one axis, which becomes two: the level and the number of the window. */
static ir_node *windows_new(const request *r, const ir_node *of, uint32_t axis) {
    ir_unit *u = r->u;
    ir_var outer[IR_RANK];
    for (uint32_t a = 0; a < of->map.n_outer + 1u; a++) {
        const ir_expr extent = a == axis ? levels_of(u, r->axis[axis].shift) : u->var.at[of->map.outer[a - (a > axis)]].extent;
        outer[a] = ir_var_new(u, base_printf(u->arena, "w%u", a), extent);
    }
    return map_of(u, of->map.n_outer + 1u, outer);
}

/* Elements to blocks, along all ranged axes at once. */
static ir_value put_blocks(const request *r, ir_node *map) {
    ir_unit *u = r->u;
    ir_var inner[IR_RANK];
    ir_expr at[IR_RANK], inside = ir_bool(u, true);
    uint32_t n = 0;
    for (uint32_t a = 0; a < r->type.rank; a++) {
        const uint8_t shift = r->axis[a].ranged ? r->axis[a].shift : 0;
        at[a] = ir_var_expr(u, map->map.outer[a]);
        if (!shift) continue;
        inner[n] = ir_var_new(u, base_printf(u->arena, "e%u", a), literal(u, 1 << shift));
        at[a] = ir_add(u, ir_mul(u, at[a], literal(u, 1 << shift)), ir_var_expr(u, inner[n++]));
        inside = ir_and(u, inside, ir_op2(u, IR_LT, at[a], r->type.dim[a]));
    }
    const ir_expr e = element(r, ir_read(u, r->source, r->type.rank, at));
    return put(r, map, "blocks", ir_reduce(u, combining(r), n, inner, inside, e));
}

/* Windows that would begin behind the end are empty. */
static ir_value put_windows(const request *r, ir_node *map, ir_value of, uint32_t axis) {
    ir_unit *u = r->u;
    const ir_type *blocks = &u->value.at[of].type;
    const uint32_t rank = blocks->rank;
    ir_expr n = blocks->dim[axis], at[IR_RANK];
    ir_expr level = ir_var_expr(u, map->map.outer[axis]), step = shifted(u, step_log2(u, level));
    ir_expr first = ir_mul(u, ir_var_expr(u, map->map.outer[axis + 1]), step), length = ir_sub(u, ir_add(u, shifted(u, level), step), literal(u, 1));
    ir_var d = ir_var_new(u, "d", ir_op2(u, IR_MIN, length, ir_sub(u, n, first)));
    for (uint32_t a = 0; a < rank; a++) at[a] = ir_var_expr(u, map->map.outer[a + (a > axis)]);
    at[axis] = ir_add(u, first, ir_var_expr(u, d));
    ir_expr body = ir_reduce(u, combining(r), 1, &d, ir_bool(u, true), ir_read(u, of, rank, at));
    return put(r, map, base_printf(u->arena, "windows%u", axis), body);
}

/* The summary of this table along these axes, whatever statistics it has. */
static mask_summary *find(mask_summaries *m, const request *r) {
    for (uint32_t k = 0; k < m->all.n; k++) {
        mask_summary *s = &m->all.at[k];
        bool same = s->source == r->source;
        for (uint32_t a = 0; a < r->type.rank && same; a++) same = s->ranged[a] == r->axis[a].ranged && s->shift[a] == r->axis[a].shift;
        if (same) return s;
    }
    return NULL;
}

/* From the last axis on, so that the axes before keep their numbers. */
static mask_summary *make(mask_summaries *m, const request *r) {
    mask_summary s = { .source = r->source };
    s.nodes[s.n_nodes++] = blocks_new(r);
    for (uint32_t a = r->type.rank; a-- > 0;) {
        s.ranged[a] = r->axis[a].ranged, s.shift[a] = r->axis[a].shift;
        if (r->axis[a].ranged) s.nodes[s.n_nodes] = windows_new(r, s.nodes[s.n_nodes - 1], a), s.n_nodes++;
    }
    return &m->all.at[BASE_PUSH(m->arena, &m->all, s)];
}

/* One statistic through all maps of a summary: each map computes the statistics that are asked for side by side. */
static ir_value statistic_of(mask_summary *s, const request *r) {
    if (s->value[r->what]) return s->value[r->what];
    uint32_t k = 0;
    ir_value v = put_blocks(r, s->nodes[k]);
    for (uint32_t a = r->type.rank; a-- > 0;)
        if (r->axis[a].ranged) v = put_windows(r, s->nodes[++k], v, a);
    return s->value[r->what] = v;
}

/* ---- asking one */

static ir_expr clamped(ir_unit *u, ir_expr e, ir_expr n) {
    return ir_op2(u, IR_MAX, literal(u, 0), ir_op2(u, IR_MIN, e, ir_sub(u, n, literal(u, 1))));
}

typedef struct { ir_expr level, window[2]; } cover;      /* of one range of blocks: two windows of one level */

static cover covering(mask_state *s, mask_bounds b, ir_expr n, uint8_t shift) {
    ir_unit *u = s->u;
    ir_expr by = literal(u, 1 << shift), one = literal(u, 1);
    ir_expr first = ir_op2(u, IR_FDIV, b.lo ? clamped(u, b.lo, n) : literal(u, 0), by);
    ir_expr last = ir_op2(u, IR_FDIV, b.hi ? clamped(u, b.hi, n) : ir_sub(u, n, one), by);
    ir_expr level = ir_op1(u, IR_TOPBIT, ir_add(u, ir_sub(u, last, first), one)), step = step_log2(u, level);
    ir_expr end = ir_sub(u, ir_add(u, last, one), shifted(u, level));
    return (cover){ level, { ir_op2(u, IR_SHR, first, step), ir_op2(u, IR_SHR, end, step) } };
}

static ir_expr join(const request *r, ir_expr a, ir_expr b) {
    static const ir_op ops[] = { IR_MIN, IR_MAX, IR_BITOR };
    const bool truth = ir_dtypes[r->type.dtype].sort == IR_SORT_BOOL;
    return ir_op2(r->u, truth ? r->what == LEAST ? IR_AND : IR_OR : ops[r->what], a, b);
}

/* Two windows per ranged axis, all combinations: which one of axis a is bit a. */
static ir_expr ask(mask_state *s, const request *r, ir_expr read) {
    ir_unit *u = s->u;
    mask_summary *found = find(s->summaries, r);
    const ir_value v = statistic_of(found ? found : make(s->summaries, r), r);
    BASE_PUSH(s->arena, &s->used, v);
    cover c[IR_RANK];
    uint32_t ranged = 0;
    for (uint32_t a = 0; a < r->type.rank; a++) {
        if (!r->axis[a].ranged) continue;
        c[a] = covering(s, mask_bounds_of(s, ir_operand(u, read, a)), r->type.dim[a], r->axis[a].shift);
        ranged |= 1u << a;
    }
    ir_expr all = 0;
    for (uint32_t which = ranged;; which = (which - 1) & ranged) {
        ir_expr at[IR_RANK];
        uint32_t n = 0;
        for (uint32_t a = 0; a < r->type.rank; a++) {
            if (r->axis[a].ranged) at[n++] = c[a].level;
            at[n++] = r->axis[a].ranged ? c[a].window[which >> a & 1] : mask_bounds_of(s, ir_operand(u, read, a)).lo;
        }
        ir_expr one = ir_read(u, v, n, at);
        all = all ? join(r, all, one) : one;
        if (!which) return all;
    }
}

/* Indices that are quotients already name blocks. */
static uint8_t shift_of(ir_unit *u, ir_expr index) { return ir_has_op(u, index, IR_FDIV) ? 0 : SHIFT; }

/* False: there is no summary for such a read: too many axes, or no summaries at all. */
static bool request_of(mask_state *s, ir_expr read, statistic what, request *r) {
    ir_unit *u = s->u;
    *r = (request){ .u = u, .source = ir_at(u, read)->u.ref, .what = what };
    r->type = u->value.at[r->source].type;
    uint32_t n_ranged = 0;
    for (uint32_t a = 0; a < r->type.rank; a++) {
        mask_bounds b = mask_bounds_of(s, ir_operand(u, read, a));
        r->axis[a].ranged = !b.lo || b.lo != b.hi;
        r->axis[a].shift = r->axis[a].ranged ? shift_of(u, ir_operand(u, read, a)) : 0;
        n_ranged += r->axis[a].ranged;
    }
    return s->summaries && n_ranged <= 3 && r->type.rank + n_ranged <= IR_RANK;
}

/* Every index is one point of the tile, though it may be written with what moves: then so is the element. */
static ir_expr direct(mask_state *s, ir_expr read) {
    ir_expr at[IR_RANK];
    const uint32_t n = ir_n_operands(s->u, read);
    for (uint32_t k = 0; k < n; k++) {
        mask_bounds b = mask_bounds_of(s, ir_operand(s->u, read, k));
        if (!b.lo || b.lo != b.hi) return 0;
        at[k] = b.lo;
    }
    return ir_read(s->u, ir_at(s->u, read)->u.ref, n, at);
}

mask_bounds mask_range(mask_state *s, ir_expr read) {
    request least, greatest;
    ir_expr one = direct(s, read);
    if (one || !request_of(s, read, LEAST, &least) || !request_of(s, read, GREATEST, &greatest)) return (mask_bounds){ one, one };
    return (mask_bounds){ ask(s, &least, read), ask(s, &greatest, read) };
}

/* Of truth values the least is `all`, the greatest `any`. */
ir_truth mask_range_truth(mask_state *s, ir_expr read) {
    mask_bounds b = mask_range(s, read);
    return b.lo ? (ir_truth){ b.hi, b.lo } : (ir_truth){ ir_bool(s->u, true), ir_bool(s->u, false) };
}

ir_expr mask_presence(mask_state *s, ir_expr read) {
    request r;
    return request_of(s, read, PRESENT, &r) ? ask(s, &r, read) : 0;
}

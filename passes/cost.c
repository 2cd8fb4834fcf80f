/* Predicted seconds of a kernel, from the target's numbers and representative sizes alone:
 *   a + overlap*b + launch,  a the greater and b the lesser of   sum over lines of operations*times/rate   and   distinct bytes/bandwidth
 * TERM and ACC products count at the matrix rate, all else at the vector rate. A line with columns is computed once in every sweep, and once at the end, that
 * needs it. What a factor computes itself counts once per row for row factors and once per row tile for column factors. Where no sweep runs over
 * the columns they are cut into items, and each item computes the lines of its rows again.
 *
 * The seconds are those of one core. All columns count in the loop nest, also those that a guard hides; in attention those that the kernel's mask, once there is
 * one, leaves to be visited. What the nest pays beside the products (lanes summed at the end of a dot, the chain of a fold, a select per guarded product) is in
 * the numbers below. */
#include "memo.h"
#include "schedule.h"

typedef struct { const char *name; int64_t size; } default_size;
static const default_size default_sizes[] = {
    { "B", 8 }, { "S", 1024 }, { "T", 1024 }, { "E", 384 }, { "H", 12 }, { "G", 4 }, { "D", 32 }, { "F", 1536 }, { "V", 30522 }, { "L", 6 },
};
/* OTHER_SIZE: a dimension of another name; TABLE_SIZE: an entry of a table that is an extent, as len[b]. */
enum { OTHER_SIZE = 64, TABLE_SIZE = 1024 };
/* Operations per lane. REDUCE_OPS: one step of summing lanes is two shuffles and an operation; a vector of results takes as many steps as it has
 * lanes. FOLD_OPS: one accumulator per row, so each step waits for the one before. */
enum { REDUCE_OPS = 3, FOLD_OPS = 6 };
/* CONTRACT: SUM_OPS: a sum to scratch and back; PACK_OPS: an element of a panel, gathered lane by lane. */
enum { SUM_OPS = 12, PACK_OPS = 48 };
/* ATTEND: an element of a row factor turned into the lanes, once per item: for each index of all rows but those in the lanes. */
enum { TURN_OPS = 4 };
/* Where two templates are compared: PAIR_TURN_OPS: an element that varies over rows and columns, turned block by block; JUMP_OPS: one that is no neighbour along the
 * lanes; LANE_FOLD_OPS: one step of a fold with rows in the lanes, whose vectors need not wait for one another. */
enum { PAIR_TURN_OPS = 10, JUMP_OPS = 16, LANE_FOLD_OPS = 2 };

/* What is given is taken as it is; a default is never below what is proved of the dimension. */
int64_t pass_representative(const ir_unit *u, ir_dim dim, const int64_t *given) {
    if (given && given[dim] > 0) return given[dim];
    int64_t size = OTHER_SIZE;
    for (size_t i = 0; i < sizeof default_sizes / sizeof *default_sizes; i++)
        if (!strcmp(u->dim.at[dim].name, default_sizes[i].name)) size = default_sizes[i].size;
    return size > u->dim.at[dim].least ? size : u->dim.at[dim].least;
}

typedef struct {
    const ir_kernel *k;
    const ir_unit *u;
    const ir_target *target;
    const int64_t *given;        /* by dimension, 0: not given; NULL: none is */
    uint32_t *axes;              /* per line: bits of the axes that it varies over, through the lines it reads */
    uint64_t *used;              /* per line: bits of the sweeps that need it; the last bit is the stores */
    double matmul, vector, bytes, value_tile; /* operations at either rate; bytes of memory; elements of values per row */
    double row_tiles, column_items;              /* how often what has no rows, no columns is computed again */
    const ir_schedule *plan;     /* ATTEND: lines and places; NEST: lanes, where it is compared with another template; else NULL */
    uint8_t form;                /* the template, an ir_template */
    uint32_t lane;               /* ATTEND: bit of the row in the lanes: what has columns is computed in all of them, whether it varies along it or not */
    uint32_t beside;             /* bits of rows that count items, one index each: what has columns is computed again in each of them */
    bool packs;                  /* CONTRACT: panels are made by launches of the same run */
    double launches;
    double share;                /* ATTEND: of the pairs of a row and a column of the folds that are visited */
    const char *why;             /* NULL, or why no template is good at this kernel */
} cost_state;

/* An integer at the representative sizes. A variable stands for the middle of its range, a table's entry for a full row. */
static double number(cost_state *c, ir_expr e, uint32_t depth) {
    const ir_expr_info *x = ir_at(c->u, e);
    /* bounds the descent, which goes on through the extents of variables; no extent that a program writes comes near */
    if (depth > 64) return 1;
    if (x->op == IR_INT) return (double)x->u.i;
    if (x->op == IR_DIM) return (double)pass_representative(c->u, x->u.ref, c->given);
    if (x->op == IR_VAR) return (number(c, c->u->var.at[x->u.ref].extent, depth + 1) - 1) / 2;
    if (x->op == IR_READ) return TABLE_SIZE;
    /* NEG alone; of other functions of one operand, and of leaves that are no number, nothing better is known than 1 */
    if (x->operands.n < 2) return x->op == IR_NEG && x->operands.n ? -number(c, ir_operand(c->u, e, 0), depth + 1) : 1;
    /* a and b: the operands, of a select its two sides, of which the greater counts */
    double a = number(c, ir_operand(c->u, e, x->op == IR_SELECT), depth + 1), b = number(c, ir_operand(c->u, e, x->op == IR_SELECT ? 2 : 1), depth + 1);
    switch (x->op) {
    case IR_ADD: return a + b;
    case IR_SUB: return a - b;
    case IR_MUL: return a * b;
    case IR_FDIV: return b > 0 ? floor(a / b) : 0;
    case IR_MOD: return b > 0 ? fmod(a, b) : 0;
    case IR_MIN: return a < b ? a : b;
    case IR_MAX: case IR_SELECT: return a > b ? a : b;
    default: return 1;
    }
}
/* A negative extent counts as 0, as in kernels. */
static double extent(cost_state *c, ir_expr e) {
    double n = number(c, e, 0);
    return n > 0 ? n : 0;
}

double pass_size(const ir_unit *u, ir_expr e, const int64_t *given) {
    cost_state c = { .u = u, .given = given };
    return extent(&c, e);
}

/* Operations of an expression, shared parts once; integer ones are cheap beside reals, and free where they hold dimensions alone: these are
 * computed once. */
typedef struct { double ops; } ops_env;
static bool ops_visit(const ir_unit *u, void *env, ir_expr e) {
    ops_env *o = env;
    const ir_expr_info *x = ir_at(u, e);
    if (x->sort == IR_SORT_INT && !x->free && !ir_has_op(u, e, IR_LET) && !ir_has_op(u, e, IR_READ)) return false;
    if (x->op != IR_LET) o->ops += ir_ops[x->op].cost * (x->sort == IR_SORT_INT ? 0.25 : 1.0);
    return true;
}
static double operations(cost_state *c, ir_expr e) {
    ops_env o = { 0 };
    if (e) ir_walk(c->u, e, ops_visit, &o);
    return o.ops;
}

/* The same of what is left of e when the operands of its line have their values. */
typedef struct { ops_env all; const ir_let_schedule *line; } rest_env;
static bool rest_visit(const ir_unit *u, void *env, ir_expr e) {
    rest_env *r = env;
    for (uint32_t i = 0; i < r->line->n_operands; i++)
        if (r->line->operands[i].e == e) return false;
    return ops_visit(u, &r->all, e);
}
static double operations_left(cost_state *c, const ir_let_schedule *line, ir_expr e) {
    rest_env r = { { 0 }, line };
    if (e) ir_walk(c->u, e, rest_visit, &r);
    return r.all.ops;
}

/* Of the reads in e: those whose elements do not lie side by side along the lanes. */
typedef struct { const cost_state *c; const ir_let_schedule *line; double ops; } jump_env;
static bool jump_visit(const ir_unit *u, void *env, ir_expr e) {
    jump_env *j = env;
    const ir_schedule *plan = j->c->plan;
    for (uint32_t i = 0; j->line && i < j->line->n_operands; i++)
        if (j->line->operands[i].e == e) return false;
    for (uint32_t i = 0; i < plan->n_pairs; i++)
        if (plan->pairs[i].read == e) return j->ops += PAIR_TURN_OPS, false;
    const ir_access *access = ir_is(u, e, IR_READ) ? ir_kernel_access(j->c->k, e) : NULL;
    int64_t step;
    if (!access) return true;
    const bool near = !access->step[plan->lane_axis] || (ir_is_int(u, access->step[plan->lane_axis], &step) && step >= 0 && step <= 1);
    if (access->gather >> plan->lane_axis & 1 || !near) j->ops += JUMP_OPS;
    return true;
}
static double jumps(const cost_state *c, const ir_let_schedule *line, ir_expr e) {
    jump_env j = { c, line, 0 };
    if (e && c->plan && c->plan->lane_axis >= 0) ir_walk(c->u, e, jump_visit, &j);
    return j.ops;
}

/* ---- what lines vary over */
typedef struct { cost_state *c; uint32_t bits; } bits_env;
static uint32_t axis_bit(const ir_kernel *k, ir_var v) {
    for (uint32_t i = 0; i < k->n_axes; i++)
        if (k->axes[i].var == v) return 1u << i;
    return 0;
}
static bool bits_visit(const ir_unit *u, void *env, ir_expr e) {
    bits_env *b = env;
    if (ir_is(u, e, IR_LET)) b->bits |= b->c->axes[ir_at(u, e)->u.ref];
    return true;
}
/* Axes that e varies over: its own variables, and those of the lines it reads, which are known since lines read upwards only. */
static uint32_t bits_of(cost_state *c, ir_expr e) {
    bits_env b = { c, 0 };
    if (!e) return 0;
    ir_walk(c->u, e, bits_visit, &b);
    for (uint32_t i = 0; i < ir_set_size(c->u, ir_free(c->u, e)); i++) b.bits |= axis_bit(c->k, ir_set_at(c->u, ir_free(c->u, e), i));
    return b.bits;
}
static uint32_t over_bits(const cost_state *c, const ir_let *l) {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < l->n_over; i++) bits |= axis_bit(c->k, l->over[i]);
    return bits;
}
static void line_axes(cost_state *c) {
    for (uint32_t i = 0; i < c->k->n_lets; i++) {
        const ir_let *l = &c->k->lets[i];
        uint32_t bits = bits_of(c, l->e) | bits_of(c, l->a) | bits_of(c, l->b) | bits_of(c, l->where);
        c->axes[i] = bits & ~over_bits(c, l);
    }
}
static bool has_rows(const cost_state *c, uint32_t bits) {
    for (uint32_t i = 0; i < c->k->n_axes; i++)
        if (bits >> i & 1 && c->k->axes[i].role == IR_ROW) return true;
    return false;
}
/* Indices of the box over these axes; pairs that are not visited do not count. */
static double points(cost_state *c, uint32_t bits) {
    double n = 1;
    for (uint32_t i = 0; i < c->k->n_axes; i++)
        if (bits >> i & 1) n *= extent(c, c->k->axes[i].extent);
    return c->share < 1 && bits >> c->k->mask->keys[0].axis & 1 && has_rows(c, bits) ? n * c->share : n;
}
static uint32_t role_bits(const cost_state *c, uint8_t role) {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < c->k->n_axes; i++)
        if (c->k->axes[i].role == role) bits |= 1u << i;
    return bits;
}

/* The last column has the lanes, a tile of it is an item; each index of the others is one (schedule.c). */
static double column_items(cost_state *c) {
    double items = 1;
    bool last = true;
    for (uint32_t i = c->k->n_axes; i-- && !c->k->n_sweeps;) {
        if (c->k->axes[i].role != IR_COL) continue;
        double n = extent(c, c->k->axes[i].extent);
        items *= last ? ceil(n / PASS_COLUMNS_PER_ITEM) : n;
        last = false;
    }
    return items > 1 ? items : 1;
}

/* ---- which sweeps need a line: backwards from folds and stores, through lines that are computed on the way */
typedef struct { cost_state *c; uint64_t sweeps; } use_env;
static bool use_visit(const ir_unit *u, void *env, ir_expr e) {
    use_env *n = env;
    if (ir_is(u, e, IR_LET)) n->c->used[ir_at(u, e)->u.ref] |= n->sweeps;
    return true;
}
/* All lines in e are needed by these sweeps. */
static void use(cost_state *c, ir_expr e, uint64_t sweeps) {
    use_env n = { c, sweeps };
    if (e) ir_walk(c->u, e, use_visit, &n);
}
/* Backwards, so that all who read a line have spoken before it passes the need on. FOLD and ACC run in their own sweep, whoever reads them.
 * Bit 63 stands for all sweeps from there on: a shift must stay within 64 bits. */
static void line_uses(cost_state *c) {
    uint32_t last = c->k->n_sweeps < 63 ? c->k->n_sweeps : 63;
    for (uint32_t i = 0; i < c->k->n_stores; i++) use(c, c->k->stores[i].e, 1ull << last);
    for (uint32_t i = c->k->n_lets; i--;) {
        const ir_let *l = &c->k->lets[i];
        bool fold = l->kind == IR_LET_FOLD || l->kind == IR_LET_ACC;
        uint64_t sweeps = fold ? 1ull << (l->sweep < 63 ? l->sweep : 63) : c->used[i];
        ir_expr parts[] = { l->e, l->a, l->b, l->where };
        for (uint32_t p = 0; p < 4; p++) use(c, parts[p], sweeps);
    }
}
/* How often a line is computed. Without columns it is kept: once, but again for each item that a cut along columns makes of its rows. With
 * columns it is computed anew in each sweep that needs it. */
static double times(const cost_state *c, uint32_t line) {
    const uint8_t rank = c->k->lets[line].rank;
    if (!(rank & IR_COL)) return rank & IR_ROW ? c->column_items : 1;      /* kept */
    int n = __builtin_popcountll(c->used[line]);
    return n > 1 ? n : 1;
}

/* ---- lines */
typedef struct { const ir_kernel *k; bool found; } inner_env;
/* A TERM with a feature in its rank runs inside the loop of another. Lines without features are done before that loop and are no matter. */
static bool inner_visit(const ir_unit *u, void *env, ir_expr e) {
    inner_env *n = env;
    if (ir_is(u, e, IR_LET)) {
        const ir_let *l = &n->k->lets[ir_at(u, e)->u.ref];
        if (l->kind == IR_LET_TERM && l->rank & IR_FEAT) n->found = true;
        if (l->kind == IR_LET_EXPR && l->rank & IR_FEAT) ir_walk(u, l->e, inner_visit, n);
    }
    return !n->found;
}
static bool holds_term(cost_state *c, const ir_let *l) {
    inner_env n = { c->k, false };
    ir_expr parts[] = { l->e, l->a, l->b };
    for (uint32_t p = 0; p < 3; p++)
        if (parts[p]) ir_walk(c->u, parts[p], inner_visit, &n);
    return n.found;
}

/* Where neighbours along what is summed are neighbours in memory, lanes run along it; their partial sums meet at the end: of a TERM, of a
 * block of an ACC. */
typedef struct { const cost_state *c; uint32_t over; bool found; } stride_env;
static bool stride_visit(const ir_unit *u, void *env, ir_expr e) {
    stride_env *s = env;
    int64_t step;
    const ir_access *access = ir_is(u, e, IR_READ) ? ir_kernel_access(s->c->k, e) : NULL;
    for (uint32_t i = 0; access && i < s->c->k->n_axes; i++)
        if (s->over >> i & 1 && access->step[i]) s->found |= ir_is_int(u, access->step[i], &step) && step == 1;
    return true;
}
/* Operations to sum the lanes of one result; 0 where lanes run along results. */
static double lanes_summed(cost_state *c, const ir_let *l) {
    if (c->form == IR_ATTEND) return 0;
    stride_env s = { c, over_bits(c, l), false };
    ir_walk(c->u, l->e && l->kind == IR_LET_TERM ? l->e : l->b, stride_visit, &s);
    return s.found && c->target->lanes > 1 ? REDUCE_OPS * c->target->lanes : 0;
}

/* One operation less: a factor that is a bare read is no work beside the product. `often`: how many tiles compute the factor again. */
static double factor_work(cost_state *c, ir_expr factor, uint32_t others, double often) {
    double ops = operations(c, factor) - 1;
    return ops > 0 ? ops * points(c, bits_of(c, factor) | others) * often : 0;
}
/* In panels: sums pass through scratch once; the column factor is packed once, lanes across its neighbours; a row factor that is computed is so in each
 * item of columns. */
static void product_cost(cost_state *c, const ir_let *l, uint32_t all) {
    const uint32_t items = role_bits(c, IR_ITEM);
    c->matmul += 2 * points(c, all);
    c->vector += SUM_OPS * points(c, all & ~over_bits(c, l));
    c->vector += factor_work(c, l->a, items, c->column_items);
    if (!c->packs) return;
    c->vector += (PACK_OPS + operations(c, l->b)) * points(c, bits_of(c, l->b) | over_bits(c, l));
    c->launches++;
}
/* ATTEND: what is left of the body for each pair and feature; operands of rows once per item, those of columns once for each tile of rows. */
static void pairwise_cost(cost_state *c, uint32_t i, uint32_t all, double n) {
    const ir_let *l = &c->k->lets[i];
    const ir_let_schedule *s = &c->plan->lets[i];
    const ir_expr parts[] = { l->e, l->a, l->b, ir_is_bool(c->u, l->where, true) ? 0 : l->where };
    const uint32_t around = role_bits(c, IR_ITEM) | over_bits(c, l);
    double ops = l->a ? 2 : 1;
    for (uint32_t p = 0; p < 4; p++) ops += operations_left(c, s, parts[p]) + jumps(c, s, parts[p]);
    c->vector += ops * points(c, all) * n;
    for (uint32_t o = 0; o < s->n_operands; o++) {
        const ir_pair_operand *x = &s->operands[o];
        if (x->side == IR_ROW) c->vector += (operations(c, x->e) + TURN_OPS) * points(c, bits_of(c, x->e) | around);
        else if (x->at) c->vector += (operations(c, x->e) + 1) * points(c, bits_of(c, x->e) | around) * points(c, c->lane) / c->plan->row_tile;
    }
}
/* A product counts at the matrix rate, 2 operations per point; anything else pairwise at the vector rate, with one to add it up. */
static void term_cost(cost_state *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    uint32_t all = c->axes[i] | role_bits(c, IR_ITEM) | over_bits(c, l) | (l->rank & IR_COL ? c->lane | c->beside : 0);
    double n = times(c, i);
    if (holds_term(c, l)) c->why = "an operand would hold a reduction";
    if (c->form == IR_CONTRACT && pass_is_product(l)) product_cost(c, l, all);
    else if (c->form == IR_ATTEND && c->plan->lets[i].kept && !c->plan->lets[i].factor_at) pairwise_cost(c, i, all, n);
    else if (l->e) {
        c->vector += (operations(c, l->e) + 1 + (c->form == IR_ATTEND ? jumps(c, NULL, l->e) : 0)) * points(c, all) * n;
        if (c->plan) c->vector += lanes_summed(c, l) * points(c, c->axes[i] | role_bits(c, IR_ITEM)) * n;
    }
    else {
        c->matmul += 2 * points(c, all) * n;
        if (c->lane && l->rank & IR_COL) c->vector += TURN_OPS * points(c, role_bits(c, IR_ITEM) | role_bits(c, IR_ROW) | over_bits(c, l));
        c->vector += lanes_summed(c, l) * points(c, c->axes[i] | role_bits(c, IR_ITEM)) * n;
        /* under a guard each pair computes its factors for itself */
        if (!ir_is_bool(c->u, l->where, true)) c->vector += (operations(c, l->a) + operations(c, l->b) + operations(c, l->where)) * points(c, all) * n;
        else c->vector += factor_work(c, l->a, role_bits(c, IR_ITEM), n * c->column_items) + factor_work(c, l->b, role_bits(c, IR_ITEM), n * c->row_tiles);
    }
}
/* A guard costs a select per point: hidden columns are visited like others, with a weight that does not count. */
static void acc_cost(cost_state *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    uint32_t all = c->axes[i] | role_bits(c, IR_ITEM) | role_bits(c, IR_ROW) | over_bits(c, l);
    c->matmul += 2 * points(c, all);
    if (!ir_is_bool(c->u, l->where, true)) c->vector += points(c, all);
    double blocks = ceil(points(c, over_bits(c, l)) / PASS_COLUMNS_PER_BLOCK);
    c->vector += (lanes_summed(c, l) + 2) * points(c, all & ~over_bits(c, l)) * blocks;      /* 2: load and store of the value tile */
    c->value_tile += points(c, c->axes[i] & role_bits(c, IR_VAL));
    c->vector += factor_work(c, l->b, role_bits(c, IR_ITEM), c->row_tiles);
    if (c->plan && c->plan->lanes == IR_ROW) c->vector += jumps(c, NULL, l->b) * points(c, all);
}
static double fold_ops(const cost_state *c) { return c->plan && c->plan->lanes == IR_ROW ? LANE_FOLD_OPS : FOLD_OPS; }
static void line_cost(cost_state *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    const uint32_t lane = l->rank & IR_COL ? c->lane | c->beside : 0;
    switch (l->kind) {
    case IR_LET_EXPR: c->vector += (operations(c, l->e) + jumps(c, NULL, l->e)) * points(c, c->axes[i] | role_bits(c, IR_ITEM) | lane) * times(c, i); break;
    case IR_LET_TERM: term_cost(c, i); break;
    case IR_LET_FOLD:
        if (c->form == IR_ATTEND && c->plan->lets[i].idle) break;
        c->vector += fold_ops(c) * points(c, role_bits(c, IR_ITEM) | c->axes[i] | over_bits(c, l) | c->lane); break;
    default: acc_cost(c, i); break;
    }
}

/* ---- memory */
static double value_elements(cost_state *c, ir_value v) {
    const ir_type *t = &c->u->value.at[v].type;
    double n = 1;
    for (uint32_t i = 0; i < t->rank; i++) n *= extent(c, t->dim[i]);
    return n;
}
/* A value's reads touch at most as many elements as they are made, and at most all. */
static void value_bytes(cost_state *c, ir_value v) {
    double touched = 0, whole = value_elements(c, v);
    for (uint32_t i = 0; i < c->k->n_accesses; i++)
        if (ir_at(c->u, c->k->accesses[i].read)->u.ref == v) touched += points(c, bits_of(c, c->k->accesses[i].read));
    for (uint32_t i = 0; i < c->k->n_stores; i++)
        if (c->k->stores[i].at.result == v) touched += whole;
    c->bytes += (touched < whole ? touched : whole) * ir_dtypes[c->u->value.at[v].type.dtype].bytes;
}

/* The row of which an item has several indices, as a bit; 0: none. */
static uint32_t row_of_item(const cost_state *c) {
    const pass_planner p = pass_plan_begin(c->k, c->target, c->given);
    const int32_t row = c->form == IR_ATTEND ? c->plan->lane_axis : pass_row_to_tile(&p);
    return row < 0 ? 0 : 1u << row;
}
typedef struct { uint8_t form; bool packs; const ir_schedule *plan; } cost_form; /* of a template, as in cost_state */
/* The pieces in the order in which they need one another: axes of lines, uses, tiles, then lines and values. why: the last reason found. */
static cost_state weigh(const ir_kernel *k, const ir_target *target, const int64_t *representative, cost_form form) {
    base_arena *arena = k->unit->arena;
    cost_state c = { .k = k, .u = k->unit, .target = target, .given = representative, .form = form.form, .packs = form.packs, .plan = form.plan, .launches = 1, .share = 1 };
    if (c.form == IR_ATTEND || c.form == IR_FEW) c.share = pass_visible_share(k, representative);
    if (c.form == IR_ATTEND) c.lane = 1u << c.plan->lane_axis;
    if (k->n_sweeps && c.form != IR_CONTRACT) c.beside = role_bits(&c, IR_ROW) & ~row_of_item(&c);
    c.axes = BASE_ARRAY(arena, k->n_lets + 1, uint32_t);
    c.used = BASE_ARRAY(arena, k->n_lets + 1, uint64_t);
    line_axes(&c);
    line_uses(&c);
    double rows = points(&c, role_bits(&c, IR_ROW));
    c.row_tiles = rows > PASS_ROWS_PER_ITEM ? rows / PASS_ROWS_PER_ITEM : 1;
    c.column_items = column_items(&c);
    for (uint32_t i = 0; i < k->n_lets; i++) line_cost(&c, i);
    for (uint32_t i = 0; i < k->n_values; i++) value_bytes(&c, k->values[i]);
    /* 4: bytes of a real in the tile */
    if (c.value_tile * 4 * PASS_ROWS_PER_ITEM > (double)target->value_tile_bytes) c.why = "the value tile does not fit";
    return c;
}
/* Arithmetic and memory overlap but for the share that the target says is not hidden. */
static double seconds(const cost_state *c) {
    const ir_target *t = c->target;
    const double rate = c->form == IR_CONTRACT ? t->contract_rate : c->form == IR_ATTEND ? t->attend_rate : t->matmul_rate;
    double a = c->matmul / rate + c->vector / t->vector_rate, b = c->bytes / t->mem_bytes_per_s;
    return (a > b ? a + b * t->overlap : b + a * t->overlap) + t->launch_s * c->launches;
}
/* Of the two templates that need nothing packed. Nests are compared with one another by what they compute alone; with attention also by how they read. */
static cost_state weigh_plain(const ir_kernel *k, const ir_target *target, const int64_t *representative) {
    if (target->attend_rate > 0 && pass_is_few(k, target, representative)) return weigh(k, target, representative, (cost_form){IR_FEW, false, NULL});
    const char *why;
    const ir_schedule *attend = target->attend_rate > 0 ? pass_attend_plan(k, target, representative, &why) : NULL;
    if (attend) {
        const cost_state rows = weigh(k, target, representative, (cost_form){IR_ATTEND, false, attend});
        pass_planner nest = pass_plan_begin(k, target, representative);
        pass_plan_nest(&nest);
        const cost_state loops = weigh(k, target, representative, (cost_form){IR_NEST, false, nest.s});
        if (target->tile_keys || target->tile_vectors || target->tile_block || seconds(&rows) <= seconds(&loops)) return rows;
    }
    return weigh(k, target, representative, (cost_form){IR_NEST, false, NULL});
}
/* Without a rate there is nothing to compare. */
bool pass_attend_gains(const ir_kernel *k, const ir_target *target, const int64_t *representative) {
    return target->attend_rate <= 0 || weigh_plain(k, target, representative).form == IR_ATTEND;
}
double pass_nest_seconds(const ir_kernel *k, const ir_target *target, const int64_t *representative) {
    cost_state c = weigh_plain(k, target, representative);
    return seconds(&c);
}
double pass_contract_seconds(const ir_kernel *k, const ir_target *target, const int64_t *representative, bool packs) {
    cost_state c = weigh(k, target, representative, (cost_form){IR_CONTRACT, packs, NULL});
    return seconds(&c);
}

/* What it takes all the same, where pass_cost says there is no good kernel: the program's own statements run in any case. */
double pass_seconds(const ir_kernel *k, const ir_target *target, const int64_t *representative) {
    const double nest = pass_nest_seconds(k, target, representative);
    return pass_contract_unfit(k, target) ? nest : fmin(nest, pass_contract_seconds(k, target, representative, true));
}
double pass_cost(const ir_kernel *k, const ir_target *target, const int64_t *representative, const char **why) {
    cost_state c = weigh_plain(k, target, representative);
    *why = c.why ? c.why : "";
    return c.why ? HUGE_VAL : pass_seconds(k, target, representative);
}

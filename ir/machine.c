/* Evaluates expressions. Two kinds of memory make it fast enough to be useful, and change no value:
 *
 *   last value   An expression that is used twice, or that does not move with the innermost loop around it, keeps its last value.
 *                Variables carry the time at which they got their value; what was computed later than all its free variables moved
 *                is still right. So row statistics are computed once per row.
 *   table        A reduction that depends on a variable deeper than one it does not depend on (scores inside a sum over keys, while
 *                the loop over value features turns outside) comes back to the same variables: a hash table of the values of its
 *                free variables remembers the whole row. Entries may push each other out; then a value is computed again.
 */
#include <math.h>
#include <string.h>
#include "machine.h"

/* MAX_DEPTH: frames of this file's recursion on the C stack. A unit keeps its expressions below IR_MAX_DEPTH, but a line of a kernel is
 * evaluated where it is mentioned, on top of what mentions it. MAX_TABLE: entries. PROBES: places tried after the hash. */
enum { MAX_DEPTH = 3000, MAX_TABLE = 1 << 20, PROBES = 4 };

/* keys: as many per entry as the reduction has free variables, in the order of members_of. They are all it depends on, so an entry of
 * this node is right for as long as the node runs, whatever has moved since. */
typedef struct { int64_t n, *keys; ir_scalar *value; uint64_t *made; } table;   /* n: entries, a power of two; made: when, 0 never */
struct ir_machine_cell {
    /* seen: met while preparing; of cell 0, which no expression has: lets are marked */
    bool seen, keep, lets;       /* keep: the last value; lets: depends on lets, whose changes no variable tells */
    uint64_t at, sized;          /* when computed; for which node the table was sized */
    ir_scalar value;
    table *table;
};

static ir_scalar of_int(int64_t i) { return (ir_scalar){.i = i}; }
static ir_scalar of_real(double f) { return (ir_scalar){.f = f}; }

/* ---- failures */

static const char *name_of(const ir_unit *u, ir_var v) {
    return u->var.at[v].name ? u->var.at[v].name : "?";
}

/* Where in the loops a failure happened, as messages say it. Text in the arena of the diagnostics: it outlives the machine. */
const char *ir_machine_position(ir_machine *x, ir_set free) {
    base_text t;
    base_text_init(&t, x->diags->arena);
    for (uint32_t k = 0; x->var && k < ir_set_size(x->unit, free); k++) {
        ir_var v = ir_set_at(x->unit, free, k);
        base_text_add(&t, "%s%s = %lld", k ? ", " : "", name_of(x->unit, v), (long long)x->var[v]);
    }
    return t.n ? t.at : "the only position";
}

/* The compiler's own fault, not the program's: a rule that a verifier or a pass should have kept. */
_Noreturn void ir_machine_internal(ir_machine *x, const char *format, ...) {
    va_list list;
    va_start(list, format);
    char *text = base_vprintf(x->diags->arena, format, list);
    va_end(list);
    base_report(x->diags, BASE_MSG_INTERNAL_IR, x->span, text);
    longjmp(x->fail, 1);
}

static _Noreturn void fail_overflow(ir_machine *x, const char *what, ir_expr e) {     /* e 0: `+=` and parts of a kernel's sums */
    base_report(x->diags, BASE_MSG_INT_OVERFLOW, x->span, what, e ? ir_machine_position(x, ir_free(x->unit, e)) : "a sum of stored values");
    longjmp(x->fail, 1);
}

/* An index mostly comes out of a table, which is data: the message has all that is needed to find the entry there. */
static _Noreturn void fail_index(ir_machine *x, ir_value v, uint32_t axis, int64_t found, ir_set free) {
    base_report(x->diags, BASE_MSG_INDEX_RANGE, x->span, (long long)found, axis, x->unit->value.at[v].name,
                (long long)x->frame->value[v].dim[axis], ir_machine_position(x, free));
    longjmp(x->fail, 1);
}

static _Noreturn void fail_depth(ir_machine *x) {
    base_report(x->diags, BASE_MSG_EXPR_DEPTH, x->span, MAX_DEPTH);
    longjmp(x->fail, 1);
}

static _Noreturn void fail_divisor(ir_machine *x, ir_expr e) {
    base_report(x->diags, BASE_MSG_ZERO_DIVISOR, x->span, ir_machine_position(x, ir_free(x->unit, e)));
    longjmp(x->fail, 1);
}

/* ---- variables, and whether a remembered value is still right */

/* One cell per expression: memory for all of a unit, so a machine is made once per graph, not per node. */
ir_machine *ir_machine_create(const ir_unit *u, const ir_frame *frame, base_arena *arena, base_diags *diags) {
    ir_machine *x = BASE_NEW(arena, ir_machine);
    *x = (ir_machine){.unit = u, .frame = frame, .arena = arena, .diags = diags, .clock = 1};
    x->var = BASE_ARRAY(arena, u->var.n + 1, int64_t);
    x->stamp = BASE_ARRAY(arena, u->var.n + 1, uint64_t);
    x->fixed = BASE_ARRAY(arena, u->var.n + 1, bool);
    x->n_cells = u->expr.n;      /* expressions made from here on have no cell, and may not be evaluated */
    x->cell = BASE_ARRAY(arena, x->n_cells + 1, ir_machine_cell);
    return x;
}

/* Nothing is cleared: what was computed before `start` counts as out of date. Every turn of a loop starts its nodes again, and
 * clearing all cells each time would cost more than many a node does. */
void ir_machine_start(ir_machine *x, base_span span, uint32_t n_outer, const ir_var *outer) {
    x->span = span;
    x->n_outer = n_outer;
    x->outer = outer;
    x->start = ++x->clock;
    x->depth = 0;
}

/* What a machine without memory cannot do, its owner does again with one that has it. */
static void need_memory(ir_machine *x) {
    if (!x->var) longjmp(x->fail, 2);
}

void ir_machine_set(ir_machine *x, ir_var v, int64_t value) {
    if (x->var[v] == value) return;                       /* what was remembered is still right */
    x->var[v] = value;
    x->stamp[v] = ++x->clock;
}

/* The variables of a set as an array. Cached here, since whether a value is fresh is asked for each evaluation of each kept expression
 * and sets are walked through the unit's index otherwise. */
static uint32_t members_of(ir_machine *x, ir_set s, const ir_var **out) {
    if (s >= x->n_members) {
        uint32_t n = s + s / 2 + 64;
        x->members = base_grow(x->arena, x->members, x->n_members, n, sizeof *x->members);
        x->n_members = n;
    }
    if (!x->members[s].at) {
        uint32_t n = ir_set_size(x->unit, s);
        ir_var *at = BASE_ARRAY(x->arena, n + 1, ir_var);
        for (uint32_t k = 0; k < n; k++) at[k] = ir_set_at(x->unit, s, k);
        x->members[s].at = at;
        x->members[s].n = n;
    }
    *out = x->members[s].at;
    return x->members[s].n;
}

/* Right if no free variable got another value after the expression was computed. Variables that it binds itself are not asked. */
static bool fresh(ir_machine *x, const ir_machine_cell *c, ir_set free) {
    if (c->at < x->start) return false;
    const ir_var *v;
    uint32_t n = members_of(x, free, &v);
    for (uint32_t k = 0; k < n; k++)
        if (x->stamp[v[k]] > c->at) return false;
    return true;
}

/* ---- what is worth remembering */

typedef struct { ir_expr e; ir_var inner; } visit;               /* inner: the innermost loop in which e is evaluated */
typedef struct { BASE_VEC(visit) stack; } preparing;

/* Binders are nested loops, the first outermost: an extent is evaluated inside the binders before its own, guard and body inside all. */
static void prepare_red(ir_machine *x, preparing *p, ir_expr e, ir_var inner) {
    const ir_unit *u = x->unit;
    for (uint32_t k = 0; k < ir_red_n_bound(u, e); k++) {
        ir_var v = ir_red_bound(u, e, k);
        BASE_PUSH(x->arena, &p->stack, ((visit){u->var.at[v].extent, inner}));
        inner = v;
    }
    BASE_PUSH(x->arena, &p->stack, ((visit){ir_red_where(u, e), inner}));
    BASE_PUSH(x->arena, &p->stack, ((visit){ir_red_body(u, e), inner}));
}

/* What does not move with the innermost loop, or is met a second time, is worth its cell; everything else is computed where it stands. */
static void prepare_one(ir_machine *x, preparing *p, visit now) {
    const ir_unit *u = x->unit;
    ir_machine_cell *c = &x->cell[now.e];
    if (ir_n_operands(u, now.e) == 0) return;
    if (now.inner && !ir_depends(u, now.e, now.inner)) c->keep = true;
    /* Also met before if an earlier node has it: marks stay. What lies below it was marked then. */
    if (c->seen) {
        c->keep = true;
        return;
    }
    c->seen = true;
    /* A loop is never cheaper than its cell. */
    if (ir_is(u, now.e, IR_RED)) {
        c->keep = true;
        prepare_red(x, p, now.e, now.inner);
        return;
    }
    for (uint32_t k = 0; k < ir_n_operands(u, now.e); k++) BASE_PUSH(x->arena, &p->stack, ((visit){ir_operand(u, now.e, k), now.inner}));
}

/* Operands have smaller ids than what they are operands of, so one pass upwards finds what depends on lets. */
static void mark_lets(ir_machine *x) {
    const ir_unit *u = x->unit;
    for (ir_expr e = 1; e < x->n_cells; e++) {
        bool lets = ir_is(u, e, IR_LET);
        for (uint32_t k = 0; k < ir_n_operands(u, e) && !lets; k++) lets = x->cell[ir_operand(u, e, k)].lets;
        x->cell[e].lets = lets;
    }
}

/* The walk has its own stack, and each expression is entered once: a DAG may have exponentially many paths. */
void ir_machine_prepare(ir_machine *x, ir_expr e) {
    /* All expressions of the unit at once, so once per machine is enough. */
    if (x->let && !x->cell[0].seen) mark_lets(x);
    x->cell[0].seen = true;
    preparing p = {0};
    BASE_PUSH(x->arena, &p.stack, ((visit){e, x->n_outer ? x->outer[x->n_outer - 1] : 0}));
    while (p.stack.n) prepare_one(x, &p, p.stack.at[--p.stack.n]);
}

/* ---- tables of reductions */

/* Only called to size a table, once per node and reduction: no index. */
static bool is_outer(const ir_machine *x, ir_var v) {
    for (uint32_t k = 0; k < x->n_outer; k++)
        if (x->outer[k] == v) return true;
    return false;
}

/* At the point where the loops stand now; of a ragged axis this may be less than its largest extent. Tables only get smaller by that. */
static int64_t extent_of(ir_machine *x, ir_var v) {
    return ir_machine_eval(x, x->unit->var.at[v].extent).i;
}

/* Saturates just above the largest table: how much too large does not matter. */
static int64_t times(int64_t n, int64_t extent) {
    if (extent < 1) extent = 1;
    return extent > MAX_TABLE || n > MAX_TABLE ? MAX_TABLE + 1 : n * extent;
}

/* How many values come back: those of the variables deeper than the first that the reduction does not depend on. */
static int64_t returning(ir_machine *x, ir_expr e) {
    int64_t n = 1;
    bool after = false;
    for (uint32_t k = 0; k < x->n_outer; k++) {
        bool depends = ir_depends(x->unit, e, x->outer[k]);
        /* Above the first loop that e ignores, a new index makes all that is remembered useless; it needs no room. */
        if (after && depends) n = times(n, extent_of(x, x->outer[k]));
        after |= !depends;
    }
    const ir_var *v;
    uint32_t n_free = members_of(x, ir_free(x->unit, e), &v);
    for (uint32_t k = 0; k < n_free; k++)
        if (!x->fixed[v[k]] && !is_outer(x, v[k])) n = times(n, extent_of(x, v[k]));  /* binders of reductions around e: always deeper */
    return n;
}

/* Tables are made larger when needed and never smaller; a reduction that comes back to one point only needs the last value alone. */
static void size_table(ir_machine *x, ir_expr e, ir_machine_cell *c) {
    c->sized = x->start;
    int64_t want = returning(x, e), n = 1;
    if (want <= 1) {
        c->table = NULL;
        return;
    }
    /* At most half full, so that PROBES places nearly always find room. */
    while (n < 2 * want && n < MAX_TABLE) n *= 2;
    if (c->table && c->table->n >= n) return;
    size_t n_free = ir_set_size(x->unit, ir_free(x->unit, e));
    c->table = BASE_NEW(x->arena, table);
    *c->table = (table){n, BASE_ARRAY(x->arena, (size_t)n * n_free, int64_t), BASE_ARRAY(x->arena, (size_t)n, ir_scalar),
                        BASE_ARRAY(x->arena, (size_t)n, uint64_t)};
}

/* Neighbours along the last variable get neighbouring places. Returns the place of the values of now, or one to write over.
 * t->n is a power of two, so masks take the place of remainders. Entries made before this node count as free. If all places tried are
 * taken by others, the oldest gives way. */
static int64_t place_in(ir_machine *x, const table *t, uint32_t n, const ir_var *v, bool *found) {
    uint64_t h = 0;
    for (uint32_t k = 0; k < n; k++) h = h * 0x9e3779b97f4a7c15u + (uint64_t)x->var[v[k]];
    int64_t first = (int64_t)(h & (uint64_t)(t->n - 1)), free_place = first;
    for (int64_t p = 0; p < PROBES; p++) {
        int64_t at = (first + p) & (t->n - 1);
        if (t->made[at] < x->start) {
            *found = false;
            return at;
        }
        uint32_t k = 0;
        while (k < n && t->keys[at * n + k] == x->var[v[k]]) k++;
        if (k == n) {
            *found = true;
            return at;
        }
        if (t->made[at] < t->made[free_place]) free_place = at;
    }
    *found = false;
    return free_place;
}

/* ---- reductions */

/* Integers have no infinity: the ends of int64 take its place. */
ir_scalar ir_machine_identity(ir_red kind, ir_sort sort) {
    if (sort == IR_SORT_REAL) return of_real(ir_reds[kind].identity);
    if (kind == IR_RED_MAX) return of_int(INT64_MIN);
    if (kind == IR_RED_MIN) return of_int(INT64_MAX);
    return of_int((int64_t)ir_reds[kind].identity);
}

static double min_real(double a, double b) { return isnan(a) || a < b ? a : b; }     /* NaN if either is */
static double max_real(double a, double b) { return isnan(a) || a > b ? a : b; }

/* Truth values are 0 and 1, for which | and & are `any` and `all`. */
static ir_scalar combine_ints(ir_machine *x, ir_red kind, int64_t a, int64_t b) {
    int64_t r = 0;
    switch (kind) {
    case IR_RED_SUM:
        if (!base_add(a, b, &r)) fail_overflow(x, "sum", 0);
        return of_int(r);
    case IR_RED_PROD:
        if (!base_mul(a, b, &r)) fail_overflow(x, "prod", 0);
        return of_int(r);
    case IR_RED_MAX: return of_int(a > b ? a : b);
    case IR_RED_MIN: return of_int(a < b ? a : b);
    case IR_RED_ANY: case IR_RED_BITS: return of_int(a | b);
    default: return of_int(a & b);
    }
}

/* One step of a reduction whose parts meet one at a time: stores with +=, folds of a kernel. Whole integer sums go through `reducing`. */
ir_scalar ir_machine_combine(ir_machine *x, ir_red kind, ir_sort sort, ir_scalar a, ir_scalar b) {
    if (sort != IR_SORT_REAL) return combine_ints(x, kind, a.i, b.i);
    switch (kind) {
    case IR_RED_SUM: return of_real(a.f + b.f);
    case IR_RED_PROD: return of_real(a.f * b.f);
    case IR_RED_MAX: return of_real(max_real(a.f, b.f));
    default: return of_real(min_real(a.f, b.f));
    }
}

/* Integers are exact: what counts is the value of the whole sum or product, not what it passes on the way. */
__extension__ typedef __int128 wide;
/* False if a does not fit; out then has its low bits. */
static bool narrow(wide a, int64_t *out) {
    *out = (int64_t)a;
    return a >= INT64_MIN && a <= INT64_MAX;
}

/* One reduction on its way. where: 0 if it is always true. sum: reals, truth values, max and min; exact: sums and products of integers.
 * large: the product has left 64 bits. 128 bits hold a sum of 2^63 terms, and the product of a value that fits with one more factor. */
typedef struct { ir_expr e, where, body; uint32_t n; ir_red kind; ir_sort sort; ir_scalar sum; wide exact; bool large; } reducing;

/* A product that has left 64 bits comes back through a factor of 0 alone; its size beyond that does not matter. */
static void reduce_exactly(reducing *r, int64_t a) {
    if (r->kind == IR_RED_SUM) r->exact += a;
    else if (!a || !r->large) r->exact *= a;
    int64_t fits;
    if (r->kind == IR_RED_PROD) r->large = !narrow(r->exact, &fits);
}
static bool is_exact(const reducing *r) { return r->sort == IR_SORT_INT && (r->kind == IR_RED_SUM || r->kind == IR_RED_PROD); }

/* Extents of inner axes are evaluated for each index of the outer ones: they may depend on them. */
static void reduce_axis(ir_machine *x, reducing *r, uint32_t k) {
    if (k == r->n) {
        if (r->where && !ir_machine_eval(x, r->where).i) return;
        ir_scalar a = ir_machine_eval(x, r->body);
        if (is_exact(r)) reduce_exactly(r, a.i);
        else r->sum = ir_machine_combine(x, r->kind, r->sort, r->sum, a);
        return;
    }
    ir_var v = ir_red_bound(x->unit, r->e, k);
    int64_t extent = extent_of(x, v), before = x->var[v];
    for (int64_t i = 0; i < extent; i++) {
        ir_machine_set(x, v, i);
        reduce_axis(x, r, k + 1);
    }
    ir_machine_set(x, v, before);
}

/* Computes, remembers nothing. Without a point the result is the identity. */
static ir_scalar reduce(ir_machine *x, ir_expr e) {
    need_memory(x);
    const ir_unit *u = x->unit;
    reducing r = {.e = e, .where = ir_red_where(u, e), .body = ir_red_body(u, e), .n = ir_red_n_bound(u, e)};
    r.kind = (ir_red)ir_at(u, e)->u.ref;
    r.sort = (ir_sort)ir_at(u, e)->sort;
    r.sum = ir_machine_identity(r.kind, r.sort);
    r.exact = r.kind == IR_RED_PROD;
    if (ir_is_bool(u, r.where, true)) r.where = 0;
    x->depth += r.n;                                      /* a frame of the stack for each axis */
    reduce_axis(x, &r, 0);
    x->depth -= r.n;
    if (is_exact(&r) && !narrow(r.exact, &r.sum.i)) fail_overflow(x, ir_reds[r.kind].text, e);
    return r.sum;
}

/* The last value, which ir_machine_eval tries first, is none by now: a free variable has moved, or this is the first time. */
static ir_scalar reduce_with_table(ir_machine *x, ir_expr e, ir_machine_cell *c) {
    if (c->sized != x->start) size_table(x, e, c);
    if (!c->table) return reduce(x, e);
    const ir_var *v;
    uint32_t n = members_of(x, ir_free(x->unit, e), &v);
    bool found;
    int64_t at = place_in(x, c->table, n, v, &found);
    if (found) return c->table->value[at];
    ir_scalar r = reduce(x, e);
    at = place_in(x, c->table, n, v, &found);            /* again: what it reduced may have taken the place */
    for (uint32_t k = 0; k < n; k++) c->table->keys[at * n + k] = x->var[v[k]];
    c->table->value[at] = r;
    c->table->made[at] = ++x->clock;
    return r;
}

/* ---- operators */

/* Variables are most operands of index arithmetic; they need no call. */
static inline ir_scalar eval_operand(ir_machine *x, ir_expr e, uint32_t k) {
    ir_expr o = ir_operand(x->unit, e, k);
    const ir_expr_info *i = ir_at(x->unit, o);
    return i->op == IR_VAR && x->var ? of_int(x->var[i->u.ref]) : ir_machine_eval(x, o);
}

/* As eval_operand, of an expression that is no operand: a place of a store. */
static int64_t index_at(ir_machine *x, ir_expr e) {
    const ir_expr_info *i = ir_at(x->unit, e);
    return i->op == IR_VAR && x->var ? x->var[i->u.ref] : ir_machine_eval(x, e).i;
}

/* Row-major. Each index is checked by itself: one out of range may still hit an element, of another row. */
int64_t ir_machine_address(ir_machine *x, ir_value v, uint32_t n, const ir_expr *at) {
    const ir_tensor *t = &x->frame->value[v];
    if (t->n < 0 || t->rank != n) ir_machine_internal(x, "%s has no tensor of rank %u", x->unit->value.at[v].name, n);
    int64_t address = 0;
    for (uint32_t k = 0; k < n; k++) {
        int64_t i = index_at(x, at[k]);
        if (i < 0 || i >= t->dim[k]) fail_index(x, v, k, i, ir_free(x->unit, at[k]));
        address = address * t->dim[k] + i;
    }
    return address;
}

/* `seen` hears of a read only after its address is known to be inside. */
static ir_scalar read_element(ir_machine *x, ir_expr e, const ir_expr_info *i) {
    const ir_tensor *t = &x->frame->value[i->u.ref];
    int64_t at = ir_machine_address(x, i->u.ref, i->operands.n, x->unit->pool.at + i->operands.first);
    if (x->seen) x->seen(x, x->env, e, at);
    return i->sort == IR_SORT_REAL ? of_real(t->f[at]) : of_int(t->i[at]);
}

static int64_t to_int(double a) {                         /* a has no fraction */
    if (isnan(a)) return 0;
    if (a >= 0x1p63) return INT64_MAX;
    return a < -0x1p63 ? INT64_MIN : (int64_t)a;
}

/* Rounds down, as the language says: -1 // 2 is -1, -1 % 2 is 1. */
static ir_scalar divide(ir_machine *x, ir_expr e, ir_op op, int64_t a, int64_t b) {
    if (b == 0) fail_divisor(x, e);
    if (b == -1) {                                        /* INT64_MIN / -1 traps on some machines */
        if (op == IR_MOD) return of_int(0);
        if (a == INT64_MIN) fail_overflow(x, "//", e);
    }
    return of_int(op == IR_MOD ? base_floor_mod(a, b) : base_floor_div(a, b));
}

/* Sums are not here: they are exact as a whole (sum_up).
 * Of integers and truth values; b is 0 where an operator has one operand. Every result that does not fit is an error, none wraps. */
static ir_scalar apply_ints(ir_machine *x, ir_expr e, ir_op op, int64_t a, int64_t b) {
    int64_t r = 0;
    bool fits = true;
    switch (op) {
    case IR_MUL: fits = base_mul(a, b, &r); break;
    case IR_ABS: fits = a != INT64_MIN; r = a < 0 && fits ? -a : a; break;
    case IR_MIN: r = a < b ? a : b; break;
    case IR_MAX: r = a > b ? a : b; break;
    case IR_LT: r = a < b; break;
    case IR_LE: r = a <= b; break;
    case IR_EQ: r = a == b; break;
    case IR_NE: r = a != b; break;
    case IR_BITAND: case IR_BITOR: case IR_SHL: case IR_SHR: case IR_TOPBIT: r = ir_bits(op, a, b); break;
    default: ir_machine_internal(x, "operator %s of integers has no meaning", ir_ops[op].name);
    }
    if (!fits) fail_overflow(x, ir_ops[op].text, e);
    return of_int(r);
}

/* IEEE throughout: no failure, and NaN is passed on. Composed ones (gelu, silu) are as `expand` in ops.def means them, computed in double. */
static ir_scalar apply_reals(ir_machine *x, ir_op op, double a, double b) {
    switch (op) {
    case IR_ADD: return of_real(a + b);
    case IR_SUB: return of_real(a - b);
    case IR_MUL: return of_real(a * b);
    case IR_DIV: return of_real(a / b);
    case IR_POW: return of_real(pow(a, b));
    case IR_NEG: return of_real(-a);
    case IR_ABS: return of_real(fabs(a));
    case IR_MIN: return of_real(min_real(a, b));
    case IR_MAX: return of_real(max_real(a, b));
    case IR_LT: return of_int(a < b);
    case IR_LE: return of_int(a <= b);
    case IR_EQ: return of_int(a == b);
    case IR_NE: return of_int(a != b);
    case IR_FLOOR: return of_int(to_int(floor(a)));
    case IR_CEIL: return of_int(to_int(ceil(a)));
    case IR_ROUND: return of_int(to_int(nearbyint(a)));
    case IR_EXP: return of_real(exp(a));
    case IR_EXP2: return of_real(exp2(a));
    case IR_LOG: return of_real(log(a));
    case IR_LOG2: return of_real(log2(a));
    case IR_TANH: return of_real(tanh(a));
    case IR_SIGMOID: return of_real(1 / (1 + exp(-a)));
    case IR_ERF: return of_real(erf(a));
    case IR_GELU: return of_real(0.5 * a * (1 + erf(a * 0.7071067811865476)));
    case IR_SILU: return of_real(a / (1 + exp(-a)));
    case IR_RELU: return of_real(max_real(a, 0));
    case IR_SQRT: return of_real(sqrt(a));
    case IR_RSQRT: return of_real(1 / sqrt(a));
    case IR_SIN: return of_real(sin(a));
    case IR_COS: return of_real(cos(a));
    default: ir_machine_internal(x, "operator %s of reals has no meaning", ir_ops[op].name);
    }
}

/* Bits 0 to 62, all that a number that is not negative can have. */
static ir_scalar bit_of(ir_machine *x, ir_expr e, int64_t a, int64_t n) {
    if (n < 0 || n > 62) {
        base_report(x->diags, BASE_MSG_BIT_RANGE, x->span, (long long)n, ir_machine_position(x, ir_free(x->unit, e)));
        longjmp(x->fail, 1);
    }
    return of_int((int64_t)((uint64_t)a >> n & 1));
}

static bool is_sum(const ir_expr_info *i) { return i->sort == IR_SORT_INT && (i->op == IR_ADD || i->op == IR_SUB || i->op == IR_NEG); }

/* Sums over operators that only add are exact in 128 bits whatever their order, so the order that canonical polynomials chose cannot
 * overflow where the written one did not. */
static wide exact_sum(ir_machine *x, ir_expr e) {
    const ir_expr_info *i = ir_at(x->unit, e);
    if (!is_sum(i)) return ir_machine_eval(x, e).i;
    if (++x->depth > MAX_DEPTH) fail_depth(x);
    wide a = exact_sum(x, ir_operand(x->unit, e, 0)), b = i->operands.n > 1 ? exact_sum(x, ir_operand(x->unit, e, 1)) : 0;
    x->depth--;
    return i->op == IR_ADD ? a + b : i->op == IR_SUB ? a - b : -a;
}

/* Only here, where the whole is done, must it fit 64 bits again. */
static ir_scalar sum_up(ir_machine *x, ir_expr e, const ir_expr_info *i) {
    int64_t r;
    if (!narrow(exact_sum(x, e), &r)) fail_overflow(x, ir_ops[i->op].text, e);
    return of_int(r);
}

/* exp(a - b) is 0 where both are -inf: what is not visible weighs nothing, also against the maximum of a row that sees nothing. */
static bool weighs_nothing(ir_machine *x, ir_expr difference) {
    if (!ir_is(x->unit, difference, IR_SUB)) return false;
    return eval_operand(x, difference, 0).f == -(double)INFINITY && eval_operand(x, difference, 1).f == -(double)INFINITY;
}

/* Operators that need all their operands. Which arithmetic is meant is the sort of the operands, not of the result: comparisons are
 * truth values of either. */
static ir_scalar apply(ir_machine *x, ir_expr e, const ir_expr_info *i) {
    ir_op op = (ir_op)i->op;
    if (is_sum(i)) return sum_up(x, e, i);
    if ((op == IR_EXP || op == IR_EXP2) && weighs_nothing(x, ir_operand(x->unit, e, 0))) return of_real(0);
    ir_scalar a = eval_operand(x, e, 0), b = i->operands.n > 1 ? eval_operand(x, e, 1) : of_int(0);
    ir_sort sort = (ir_sort)ir_at(x->unit, ir_operand(x->unit, e, 0))->sort;
    if (op == IR_FDIV || op == IR_MOD) return divide(x, e, op, a.i, b.i);
    if (op == IR_BIT) return bit_of(x, e, a.i, b.i);
    if (op == IR_FLOAT) return of_real((double)a.i);
    return sort == IR_SORT_REAL ? apply_reals(x, op, a.f, b.f) : apply_ints(x, e, op, a.i, b.i);
}

/* What decides itself which operands it needs. Tables serve only what no line of a kernel can change behind their back. */
static ir_scalar compute(ir_machine *x, ir_expr e, const ir_expr_info *i) {
    switch ((ir_op)i->op) {
    case IR_READ: return read_element(x, e, i);
    case IR_RED: return x->cell && !x->cell[e].lets ? reduce_with_table(x, e, &x->cell[e]) : reduce(x, e);
    case IR_AND: return eval_operand(x, e, 0).i ? eval_operand(x, e, 1) : of_int(0);
    case IR_OR: return eval_operand(x, e, 0).i ? of_int(1) : eval_operand(x, e, 1);
    case IR_NOT: return of_int(!eval_operand(x, e, 0).i);
    case IR_SELECT: return eval_operand(x, e, eval_operand(x, e, 0).i ? 1 : 2);
    default: return apply(x, e, i);
    }
}

/* No memory for these: looking up is all the work there is. */
static ir_scalar leaf(ir_machine *x, const ir_expr_info *i) {
    switch ((ir_op)i->op) {
    case IR_INT: return of_int(i->u.i);
    case IR_REAL: return of_real(i->u.f);
    case IR_BOOL: return of_int(i->u.i != 0);
    case IR_DIM: return of_int(x->frame->dim[i->u.ref]);
    case IR_VAR: need_memory(x); return of_int(x->var[i->u.ref]);
    case IR_LET:
        if (x->let) return x->let(x, x->env, i->u.ref);
        ir_machine_internal(x, "a let of a kernel in a graph");
    default: ir_machine_internal(x, "the poison has no value");
    }
}

/* Remembered, or computed and remembered if that was found worth it. The time is taken afterwards: reductions inside move the clock. */
ir_scalar ir_machine_eval(ir_machine *x, ir_expr e) {
    const ir_expr_info *i = ir_at(x->unit, e);
    if (i->operands.n == 0 && i->op != IR_READ && i->op != IR_RED) return leaf(x, i);  /* a scalar's read has no operand either */
    ir_machine_cell *c = x->cell ? &x->cell[e] : NULL;
    bool keep = c && c->keep && !c->lets;
    if (keep && fresh(x, c, i->free)) return c->value;
    if (++x->depth > MAX_DEPTH) fail_depth(x);
    if (x->max_steps && ++x->steps > x->max_steps) longjmp(x->fail, 2);  /* without memory, sharing costs every path: give up early */
    ir_scalar r = compute(x, e, i);
    x->depth--;
    if (keep) {
        c->value = r;
        c->at = x->clock;
    }
    return r;
}

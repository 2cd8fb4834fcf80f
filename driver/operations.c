/* How much arithmetic a run is worth: products count two operations for each multiply-add, masked ones only where they are visible.
 *
 * The products of a kernel are its TERM lines without a body of their own and its ACC lines. A score that folds alone want is as visible as the
 * least hidden of them. The number of visible positions of a line is
 * estimated: axes are drawn at random in their order (an extent may depend on axes before it), the guard is looked at, and the product of the extents is
 * averaged over the draws. Without a guard and with extents over dimensions one draw is exact. Guards that read more than inputs count as visible.
 */
#include <stdlib.h>
#include <string.h>
#include "api.h"

/* DRAWS for each line: the error of a share p is about sqrt(p / DRAWS). MAX_DEPTH bounds the recursion on expressions; deeper ones are unknown. */
enum { DRAWS = 4096, MAX_DEPTH = 200 };

typedef struct {
    const ir_plan *plan;
    const rt_entry *entry;
    const rt_call *call;
    const ir_unit *unit;
    const ir_kernel *kernel;
    int64_t *at;                             /* by variable: where the draw stands */
    const rt_array **inputs;                 /* by value: dense; NULL: no input */
    uint64_t state;
    bool unknown;                            /* something was read that is no input */
    uint32_t depth;
} counting;

/* Integers and truth values in i, reals in f; the expression's sort says which, the other is 0. */
typedef struct { int64_t i; double f; } number;

/* splitmix64, from a fixed state: the same call always counts the same. */
static uint64_t next(counting *c) {
    uint64_t z = c->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* ---- integers, truth values, and reals that are read, at one position */

static number value_of(counting *c, ir_expr e);

/* Latches for this draw: what an unknown value would decide is counted as visible, never left out. */
static number unknown(counting *c) {
    c->unknown = true;
    return (number){0};
}

/* Integers and truth values to i, reals to f, as the tensor's type says. */
static number element(const rt_array *a, int64_t k) {
    switch (a->dtype) {
    case RT_F32: return (number){0, (double)((const float *)a->data)[k]};
    case RT_F64: return (number){0, ((const double *)a->data)[k]};
    case RT_I32: return (number){((const int32_t *)a->data)[k], 0};
    case RT_I64: return (number){((const int64_t *)a->data)[k], 0};
    default: return (number){((const uint8_t *)a->data)[k], 0};
    }
}

/* Elements of inputs only. What kernels compute is not there, since nothing has run. */
static number read_at(counting *c, ir_expr e) {
    ir_value v = ir_at(c->unit, e)->u.ref;
    const rt_array *a = c->inputs[v];
    const ir_type *t = &c->unit->value.at[v].type;
    int64_t k = 0;
    if (!a) return unknown(c);
    for (uint32_t axis = 0; axis < t->rank && !c->unknown; axis++) {
        int64_t n = value_of(c, t->dim[axis]).i, at = value_of(c, ir_operand(c->unit, e, axis)).i;
        if (at < 0 || at >= n) return unknown(c);
        k = k * n + at;
    }
    return c->unknown ? (number){0} : element(a, k);
}

/* Only the branch that is taken is evaluated: the other may read outside of a table. */
static number choose(counting *c, ir_expr e) {
    return value_of(c, ir_operand(c->unit, e, value_of(c, ir_operand(c->unit, e, 0)).i ? 1 : 2));
}

/* `and` and `or` stop at a left side that decides, for the same reason. both: it is `and`. */
static number lazy(counting *c, ir_expr e, bool both) {
    int64_t a = value_of(c, ir_operand(c->unit, e, 0)).i;
    return (a != 0) == both ? value_of(c, ir_operand(c->unit, e, 1)) : (number){a != 0, 0};
}

/* The sort of the left side is that of both. Equality of reals is written with two comparisons, so that NaN equals nothing. */
static number compare(counting *c, uint8_t op, ir_expr left, number a, number b) {
    bool real = ir_at(c->unit, left)->sort == IR_SORT_REAL;
    bool less = real ? a.f < b.f : a.i < b.i, same = real ? a.f >= b.f && a.f <= b.f : a.i == b.i;
    return (number){op == IR_LT ? less : op == IR_LE ? less || same : op == IR_EQ ? same : !same, 0};
}

/* Integers only; what overflows, or divides by what is not positive, is unknown. So is arithmetic on reals. */
static number binary(counting *c, ir_expr e, uint8_t op) {
    ir_expr left = ir_operand(c->unit, e, 0);
    number a = value_of(c, left), b = value_of(c, ir_operand(c->unit, e, 1)), out = {0, 0};
    bool fine = true;
    switch (op) {
    case IR_LT: case IR_LE: case IR_EQ: case IR_NE: return compare(c, op, left, a, b);
    case IR_ADD: fine = base_add(a.i, b.i, &out.i); break;
    case IR_SUB: fine = !__builtin_sub_overflow(a.i, b.i, &out.i); break;
    case IR_MUL: fine = base_mul(a.i, b.i, &out.i); break;
    case IR_FDIV: fine = b.i > 0; out.i = fine ? base_floor_div(a.i, b.i) : 0; break;
    case IR_MOD: fine = b.i > 0; out.i = fine ? base_floor_mod(a.i, b.i) : 0; break;
    case IR_MIN: out.i = a.i < b.i ? a.i : b.i; break;
    case IR_MAX: out.i = a.i > b.i ? a.i : b.i; break;
    default: fine = false;
    }
    return fine && ir_at(c->unit, left)->sort != IR_SORT_REAL ? out : unknown(c);
}

static number value_inside(counting *c, ir_expr e) {
    const ir_expr_info *x = ir_at(c->unit, e);
    switch (x->op) {
    case IR_INT: case IR_BOOL: return (number){x->u.i, 0};
    case IR_REAL: return (number){0, x->u.f};
    /* Bound by rt_bind; variables stand where the draw has put them, loop counters at their first turn. */
    case IR_DIM: return (number){c->call->slots[x->u.ref - 1], 0};
    case IR_VAR: return (number){c->at[x->u.ref], 0};
    case IR_READ: return read_at(c, e);
    /* Other lines are sums: their values exist only when the kernel runs. */
    case IR_LET: return c->kernel->lets[x->u.ref].kind == IR_LET_EXPR ? value_of(c, c->kernel->lets[x->u.ref].e) : unknown(c);
    case IR_SELECT: return choose(c, e);
    case IR_AND: return lazy(c, e, true);
    case IR_OR: return lazy(c, e, false);
    case IR_NOT: return (number){!value_of(c, ir_operand(c->unit, e, 0)).i, 0};
    case IR_NEG: return (number){-value_of(c, ir_operand(c->unit, e, 0)).i, 0};
    case IR_ABS: return (number){llabs(value_of(c, ir_operand(c->unit, e, 0)).i), 0};
    default: return ir_n_operands(c->unit, e) == 2 ? binary(c, e, x->op) : unknown(c);
    }
}

static number value_of(counting *c, ir_expr e) {
    if (c->unknown || c->depth >= MAX_DEPTH) return unknown(c);
    c->depth++;
    number out = value_inside(c, e);
    c->depth--;
    return out;
}

/* ---- who wants a line */

typedef struct {                             /* guards of the folds that want it; always: something else does too */
    ir_expr *guards;
    uint32_t n;
    bool always;
} wanting;
typedef struct { const bool *reach; bool found; } reaching;

/* The visit of ir_walk: false ends the walk, as soon as one such line has been found. */
static bool mentions(const ir_unit *u, void *env, ir_expr e) {
    reaching *r = env;
    if (ir_is(u, e, IR_LET)) r->found |= r->reach[ir_at(u, e)->u.ref];
    return !r->found;
}

/* Whether an expression reads one of these lines. 0 is no expression: lines have fields that they do not use. */
static bool reaches(const ir_unit *u, ir_expr e, const bool *reach) {
    reaching r = {reach, false};
    if (e) ir_walk(u, e, mentions, &r);
    return r.found;
}

/* reach: lines through which the wanted one is read; it ends at folds, which hand on a sum. */
static wanting who_wants(counting *c, uint32_t line) {
    const ir_kernel *k = c->kernel;
    base_arena *arena = c->call->arena;
    bool *reach = BASE_ARRAY(arena, k->n_lets, bool);
    /* A line without columns is no score: it is computed once for each row, whatever the folds look at. */
    wanting w = {BASE_ARRAY(arena, k->n_lets, ir_expr), 0, !(k->lets[line].rank & IR_COL)};
    reach[line] = true;
    /* Lines read earlier ones only, so one pass forward sees all that follows from the line. */
    for (uint32_t i = line + 1; i < k->n_lets; i++) {
        const ir_let *l = &k->lets[i];
        bool here = reaches(c->unit, l->e, reach) || reaches(c->unit, l->a, reach) || reaches(c->unit, l->b, reach);
        if (l->kind < IR_LET_FOLD) reach[i] = here;
        else if (here) w.guards[w.n++] = l->where;
        /* A guard that reads the line needs it everywhere, to find out where it is hidden. */
        w.always |= l->kind != IR_LET_EXPR && reaches(c->unit, l->where, reach);
    }
    for (uint32_t i = 0; i < k->n_stores; i++) w.always |= reaches(c->unit, k->stores[i].e, reach);
    return w;
}

/* At the position of the draw. A guard that cannot be evaluated counts as true. */
static bool is_wanted(counting *c, const wanting *w) {
    for (uint32_t i = 0; i < w->n && !w->always; i++)
        if (value_of(c, w->guards[i]).i || c->unknown) return true;
    return w->always;
}

/* ---- lines */

/* Axes that a line runs over: those it sums, those it has a value for, and items, over which everything runs. */
static bool in_line(const ir_kernel *k, const ir_let *l, const ir_axis *a) {
    for (uint32_t i = 0; i < l->n_over; i++)
        if (l->over[i] == a->var) return true;
    (void)k;
    return a->role == IR_ITEM || (l->rank & a->role);
}

/* Product of extents at a random position, 0 if it is hidden. */
static double draw(counting *c, const ir_let *l, const wanting *w) {
    double product = 1;
    c->unknown = false;
    for (uint32_t k = 0; k < c->kernel->n_axes; k++) {
        const ir_axis *a = &c->kernel->axes[k];
        int64_t n = value_of(c, a->extent).i;
        /* An axis that is empty here leaves no positions. */
        if (c->unknown || n <= 0) return 0;
        /* All axes are drawn, also those that the line does not run over: its guard may depend on them. */
        c->at[a->var] = (int64_t)(next(c) % (uint64_t)n);
        if (in_line(c->kernel, l, a)) product *= (double)n;
    }
    bool visible = value_of(c, l->where).i != 0 && (l->kind == IR_LET_ACC || is_wanted(c, w));
    return visible || c->unknown ? product : 0;
}

static double line(counting *c, uint32_t at) {
    const ir_let *l = &c->kernel->lets[at];
    double sum = 0;
    /* Sums without a product are not counted: the figure is that of matrix products, which peaks are compared with. */
    bool product = (l->kind == IR_LET_TERM && !l->e) || l->kind == IR_LET_ACC;
    if (!product) return 0;
    wanting w = who_wants(c, at);
    for (uint32_t k = 0; k < DRAWS; k++) sum += draw(c, l, &w);
    return 2 * sum / DRAWS;
}

/* One launch, with all its items; lines that are no products give 0. */
static double kernel(counting *c, const ir_kernel *k) {
    double sum = 0;
    c->kernel = k;
    for (uint32_t i = 0; i < k->n_lets; i++) sum += line(c, i);
    return sum;
}

/* All launches of a call, what the set-up did not counted; loops multiply by their turns, as counted from their bounds at the first. */
static double steps(counting *c) {
    const ir_plan *p = c->plan;
    const rt_entry *e = c->entry;
    /* turns[depth]: how often what stands at this depth runs. The array bounds the depth that is multiplied. */
    double sum = 0, turns[64] = {1};
    uint32_t depth = 0;
    for (uint32_t k = e->n_setup; k < p->n_steps; k++) {
        const rt_step *s = &e->steps[k];
        if (s->kind == RT_STEP_LOOP && depth < 63) {
            int64_t n = c->call->slots[s->hi] - c->call->slots[s->lo];
            depth++;
            turns[depth] = turns[depth - 1] * (double)(n > 0 ? n : 0);
            c->at[p->steps[k].counter] = c->call->slots[s->lo];
        } else if (s->kind == RT_STEP_NEXT && depth > 0) depth--;
        else if (s->kind == RT_STEP_LAUNCH && p->steps[k].kernel < p->n_schedules) sum += turns[depth] * kernel(c, p->schedules[s->kernel]->kernel);
    }
    return sum;
}

/* ---- */

static const rt_array *dense(api_call *call, const rt_array *a) {
    rt_array *out = BASE_NEW(call->scratch, rt_array);
    int64_t n = 0;
    *out = *a;
    /* Positions are linear, row-major: strides would have to be looked at for each of many draws. */
    if (rt_array_is_dense(a)) return out;
    rt_count(a->rank, a->dim, &n);
    out->data = base_alloc_array(call->scratch, (size_t)n, rt_dtypes[a->dtype].bytes);
    rt_array_pack(a, out->data);
    return out;
}

/* Inputs are the first tensors of an entry, in the order in which the graph declares them. Params and computed values stay NULL: unknown. */
static void find_inputs(api_call *call, counting *c, const ir_graph *g, const rt_array *tensors) {
    uint32_t at = 0;
    c->inputs = BASE_ARRAY(call->scratch, c->unit->value.n, const rt_array *);
    for (uint32_t k = 0; k < g->body.n; k++)
        if (g->body.at[k]->form == IR_FORM_INPUT) c->inputs[g->body.at[k]->source.value] = dense(call, &tensors[at++]);
}

/* Of a call that is bound, of an entry with a plan. */
double drv_operations(api_call *call, const ir_plan *plan, const rt_call *bound) {
    counting count = {.plan = plan, .entry = rt_entry_of(bound), .call = bound, .unit = plan->graph->unit, .state = 1};
    count.at = BASE_ARRAY(call->scratch, count.unit->var.n + 1, int64_t);
    find_inputs(call, &count, plan->graph, bound->tensors);
    return steps(&count);
}

/* Algebra that makes reductions small. Exact but for rounding, and for data that is infinite where a sum is empty:
 *   sum(j: x[j]*c)     == sum(j: x[j])*c          a factor free of what is bound leaves a sum
 *   max(j: x[j]*c)     == max(j: x[j])*c          if c is proved positive
 *   max(j: x[j] + r)   == max(j: x[j]) + r
 *   (x + r) - (m + r)  == x - m                   where m holds a max: the reference of an exponential
 *   exp(x)             == exp2(x*1.4426950408889634), the constant pushed down until it meets others
 * No other real sum is reassociated. A factor that could be infinite or NaN where the sum is empty leaves it behind a test that
 * something was summed; the guards around a softmax make that test vanish again (lower_guard.c). */
#include "lower.h"

static const double log2_e = 1.4426950408889634;

/* ---- products and sums */
/* The info is a copy and operands are fetched again: making expressions may move the tables of the unit.
 * A minus becomes a factor -1, which meets other literals in `gather`; factors of 1 are dropped. */
static void flatten(ir_unit *u, ir_expr e, bool under, lower_product *p) {
    ir_expr_info x = *ir_at(u, e);
    if (x.op == IR_MUL || x.op == IR_DIV) {
        ir_expr a = ir_operand(u, e, 0), b = ir_operand(u, e, 1);
        flatten(u, a, under, p);
        flatten(u, b, x.op == IR_DIV ? !under : under, p);
    } else if (x.op == IR_NEG) {
        ir_expr minus = ir_real(u, -1);
        BASE_PUSH(u->arena, &p->over, minus);
        flatten(u, ir_operand(u, e, 0), under, p);
    } else if (!ir_is_real(u, e, NULL) || x.u.f != 1) {
        lower_list *to = under ? &p->under : &p->over;
        BASE_PUSH(u->arena, to, e);
    }
}

/* Integers are polynomials of their own (ir/poly.c) and stay one factor: only reals are taken apart. */
lower_product lower_factors(ir_unit *u, ir_expr e) {
    lower_product p = { 0 };
    if (ir_at(u, e)->sort == IR_SORT_REAL) flatten(u, e, false, &p);
    else BASE_PUSH(u->arena, &p.over, e);
    return p;
}

/* 0 stands for an absent factor, not for the number. */
static ir_expr times(ir_unit *u, ir_expr a, ir_expr b) { return !a ? b : !b ? a : ir_mul(u, a, b); }

/* Variable factors first, then one constant in which all literals have met. 0: nothing, or 1. */
static ir_expr gather(ir_unit *u, const lower_list *list, double *literal) {
    ir_expr variable = 0, constant = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        double f;
        if (ir_is_real(u, list->at[i], &f)) *literal *= f;
        else if (ir_free(u, list->at[i]) || ir_is(u, list->at[i], IR_RED)) variable = times(u, variable, list->at[i]);
        else constant = times(u, constant, list->at[i]);
    }
    if (*literal != 1) constant = times(u, constant, ir_real(u, *literal));
    *literal = 1;
    return times(u, variable, constant);
}

/* One factor alone comes back as it is, so that taking apart and putting together changes nothing where nothing was moved. */
ir_expr lower_multiply(ir_unit *u, const lower_product *p) {
    double literal = 1;
    if (p->over.n == 1 && !p->under.n) return p->over.at[0];
    ir_expr under = gather(u, &p->under, &literal), over = gather(u, &p->over, &literal);
    if (!over) over = ir_real(u, 1);
    return under ? ir_op2(u, IR_DIV, over, under) : over;
}

/* minus: the term is taken off the sum; its expression is without the sign. */
typedef struct { ir_expr e; bool minus; } term;
typedef BASE_VEC(term) term_list;

/* Left to right with the sign that each term has in the whole. The order is kept: real sums are not reassociated without need. */
static void terms_of(ir_unit *u, ir_expr e, bool minus, term_list *out) {
    ir_op op = (ir_op)ir_at(u, e)->op;
    if (op == IR_ADD || op == IR_SUB) {
        ir_expr a = ir_operand(u, e, 0), b = ir_operand(u, e, 1);
        terms_of(u, a, minus, out);
        terms_of(u, b, minus != (op == IR_SUB), out);
    } else {
        BASE_PUSH(u->arena, out, ((term){ e, minus }));
    }
}

/* The inverse of terms_of, in the same order; no term at all is 0. */
static ir_expr sum_terms(ir_unit *u, const term_list *list) {
    ir_expr e = 0;
    for (uint32_t i = 0; i < list->n; i++) {
        ir_expr t = list->at[i].e;
        if (!e) e = list->at[i].minus ? ir_op1(u, IR_NEG, t) : t;
        else e = ir_op2(u, list->at[i].minus ? IR_SUB : IR_ADD, e, t);
    }
    return e ? e : ir_real(u, 0);
}

ir_expr lower_reduce_like(ir_unit *u, ir_expr red, ir_expr where, ir_expr body) {
    uint32_t n = ir_red_n_bound(u, red);
    ir_var *bound = BASE_ARRAY(u->arena, n, ir_var);
    for (uint32_t i = 0; i < n; i++) bound[i] = ir_red_bound(u, red, i);
    return ir_reduce(u, (ir_red)ir_at(u, red)->u.ref, n, bound, where, body);
}

/* Interned like all sets: equal ones are one id, and 0 is the empty one. */
ir_set lower_bound(ir_unit *u, ir_expr red) {
    uint32_t n = ir_red_n_bound(u, red);
    ir_var *bound = BASE_ARRAY(u->arena, n, ir_var);
    for (uint32_t i = 0; i < n; i++) bound[i] = ir_red_bound(u, red, i);
    return ir_set_of(u, n, bound);
}

/* ---- what may leave */
/* Strictly positive and finite (float of a dimension counts: at 0 elements nothing is left to be wrong about). */
bool lower_positive(ir_unit *u, ir_expr e) {
    double f;
    switch (ir_at(u, e)->op) {
    case IR_REAL: return ir_is_real(u, e, &f) && f > 0 && isfinite(f);
    case IR_SQRT: case IR_RSQRT: return lower_positive(u, ir_operand(u, e, 0));
    case IR_FLOAT: return ir_is(u, ir_operand(u, e, 0), IR_DIM) || ir_at_least(u, ir_operand(u, e, 0), 1);
    case IR_MUL: case IR_DIV: return lower_positive(u, ir_operand(u, e, 0)) && lower_positive(u, ir_operand(u, e, 1));
    default: return false;
    }
}

/* finite: of all that has been seen; the walk ends once it is false. */
typedef struct { pass_memo seen; bool finite; } finite_env;
/* Stops at reads: tensors are taken as finite, as the head of this file says. A sum is looked into; a max may be -inf over nothing. */
static bool finite_visit(const ir_unit *u, void *env, ir_expr e) {
    finite_env *f = env;
    if (!f->finite || !pass_memo_add(&f->seen, e)) return false;
    const ir_expr_info *x = ir_at(u, e);
    switch (x->op) {
    case IR_REAL: f->finite = isfinite(x->u.f); return false;
    case IR_READ: case IR_FLOAT: return false;           /* data is taken as finite */
    case IR_RED: f->finite = x->u.ref == IR_RED_SUM; return true;
    case IR_ADD: case IR_SUB: case IR_MUL: case IR_NEG: case IR_MIN: case IR_MAX: case IR_ABS: case IR_TANH: case IR_SIGMOID:
    case IR_ERF: case IR_RELU: case IR_SIN: case IR_COS: case IR_SELECT: case IR_VAR: case IR_DIM: case IR_INT: case IR_BOOL: return true;
    default: f->finite = x->sort != IR_SORT_REAL; return false;
    }
}
static bool is_finite(ir_unit *u, ir_expr e) {
    finite_env f = { pass_memo_create(u->arena), true };
    ir_walk(u, e, finite_visit, &f);
    return f.finite;
}
/* What leaves a sum may multiply the 0 of an empty one: 0*inf and 0*NaN would not be 0. */
static bool finite_product(ir_unit *u, const lower_product *p) {
    for (uint32_t i = 0; i < p->over.n; i++)
        if (!is_finite(u, p->over.at[i])) return false;
    for (uint32_t i = 0; i < p->under.n; i++)
        if (!lower_positive(u, p->under.at[i])) return false;
    return true;
}

/* `plain`: extents are a box, so index 0 of every variable is in it if no extent is 0. Where the guard is proved at the origin, the extents
 * that are not proved positive are all that is left to ask. */
ir_expr lower_something(ir_unit *u, ir_expr red) {
    uint32_t n = ir_red_n_bound(u, red);
    ir_binding *origin = BASE_ARRAY(u->arena, n, ir_binding);
    ir_expr some = ir_bool(u, true), where = ir_red_where(u, red), zero = ir_int(u, 0);
    ir_set bound = lower_bound(u, red);
    bool plain = true;
    for (uint32_t i = 0; i < n; i++) {
        ir_var v = ir_red_bound(u, red, i);
        ir_expr extent = u->var.at[v].extent;
        plain &= !ir_set_meets(u, ir_free(u, extent), bound);
        if (!ir_at_least(u, extent, 1)) some = ir_and(u, some, ir_op2(u, IR_LT, zero, extent));
        origin[i] = (ir_binding){ v, zero };
    }
    if (plain && ir_provably(u, ir_substitute(u, where, n, origin))) return some;
    ir_var *over = BASE_ARRAY(u->arena, n, ir_var);
    for (uint32_t i = 0; i < n; i++) over[i] = ir_red_bound(u, red, i);
    return ir_reduce(u, IR_RED_ANY, n, over, where, ir_bool(u, true));
}

/* A reduction over nothing needs nothing of its body: what may be read only where there is something stays inside. */
typedef struct { ir_unit *u; bool unproved; } reads_env;
static bool reads_visit(const ir_unit *u, void *env, ir_expr e) {
    reads_env *r = env;
    if (!ir_is(u, e, IR_READ)) return !r->unproved;
    ir_type type = u->value.at[ir_at(u, e)->u.ref].type;             /* proving may move the table of values */
    for (uint32_t k = 0; k < type.rank; k++) r->unproved |= !ir_in_range(r->u, ir_operand(u, e, k), type.dim[k]);
    return !r->unproved;
}
/* What moves with a bound variable has to stay; what may fail has to as well, since outside it would be read for a reduction over nothing too. */
static bool stays_inside(ir_unit *u, ir_expr e, ir_set bound) {
    reads_env r = { u, false };
    if (ir_set_meets(u, ir_free(u, e), bound)) return true;
    ir_walk(u, e, reads_visit, &r);
    return r.unproved;
}

/* Factors that stay in the reduction go to `in`, the others to `out`. only_positive: for max and min, whose order another factor would turn. */
static void divide(ir_unit *u, const lower_list *list, ir_set bound, bool only_positive, lower_list *in, lower_list *out) {
    for (uint32_t i = 0; i < list->n; i++) {
        ir_expr f = list->at[i];
        bool stays = stays_inside(u, f, bound) || (only_positive && !lower_positive(u, f));
        BASE_PUSH(u->arena, stays ? in : out, f);
    }
}

/* Nothing to pull, or nothing would stay inside: the reduction as it is. What stays is pulled again: its body may be of another form by now. */
static ir_expr pull_factors(ir_unit *u, ir_expr red, bool sum) {
    ir_set bound = lower_bound(u, red);
    lower_product all = lower_factors(u, ir_red_body(u, red)), in = { 0 }, out = { 0 };
    divide(u, &all.over, bound, !sum, &in.over, &out.over);
    divide(u, &all.under, bound, !sum, &in.under, &out.under);
    if (!out.over.n && !out.under.n) return red;
    if (!in.over.n && !in.under.n) return red;
    /* ends: each time the body has fewer factors than before */
    ir_expr inner = lower_pull_reduction(u, lower_reduce_like(u, red, ir_red_where(u, red), lower_multiply(u, &in)));
    lower_product left = { 0 };
    BASE_PUSH(u->arena, &left.over, inner);
    for (uint32_t i = 0; i < out.over.n; i++) BASE_PUSH(u->arena, &left.over, out.over.at[i]);
    left.under = out.under;
    ir_expr whole = lower_multiply(u, &left);
    return !sum || finite_product(u, &out) ? whole : ir_select(u, lower_something(u, red), whole, ir_real(u, 0));
}

/* Over nothing a max is -inf, and -inf plus what leaves, taken as finite, is -inf again: no test is needed here. */
static ir_expr pull_terms(ir_unit *u, ir_expr red) {
    ir_set bound = lower_bound(u, red);
    term_list all = { 0 }, in = { 0 }, out = { 0 };
    terms_of(u, ir_red_body(u, red), false, &all);
    for (uint32_t i = 0; i < all.n; i++) BASE_PUSH(u->arena, stays_inside(u, all.at[i].e, bound) ? &in : &out, all.at[i]);
    if (!in.n || !out.n) return red;
    /* ends: each time the body has fewer terms than before */
    ir_expr inner = lower_pull_reduction(u, lower_reduce_like(u, red, ir_red_where(u, red), sum_terms(u, &in)));
    term_list whole = { 0 };
    BASE_PUSH(u->arena, &whole, ((term){ inner, false }));
    for (uint32_t i = 0; i < out.n; i++) BASE_PUSH(u->arena, &whole, out.at[i]);
    return sum_terms(u, &whole);
}

/* One reduction, looked at from its root alone: what is inside was pulled before, by a walk from the leaves up. Integers stay as they are. */
ir_expr lower_pull_reduction(ir_unit *u, ir_expr red) {
    if (!ir_is(u, red, IR_RED) || ir_at(u, red)->sort != IR_SORT_REAL) return red;
    ir_red kind = (ir_red)ir_at(u, red)->u.ref;
    ir_op body = (ir_op)ir_at(u, ir_red_body(u, red))->op;
    bool product = body == IR_MUL || body == IR_DIV || body == IR_NEG;
    if (kind == IR_RED_SUM) return product ? pull_factors(u, red, true) : red;
    if (kind != IR_RED_MAX && kind != IR_RED_MIN) return red;
    if (body == IR_ADD || body == IR_SUB) return pull_terms(u, red);
    return product ? pull_factors(u, red, false) : red;
}

/* Only sums on the first walk: maxima move with `base2`, where the exponentials that they belong to are rewritten too. */
static ir_expr pull_sum(ir_unit *u, void *env, ir_expr e) {
    (void)env;
    if (!ir_is(u, e, IR_RED) || ir_at(u, e)->u.ref != IR_RED_SUM) return 0;
    ir_expr r = lower_pull_reduction(u, e);
    return r == e ? 0 : r;
}
ir_expr lower_pull(ir_unit *u, ir_expr e) { return ir_rebuild_up(u, e, pull_sum, NULL); }

/* ---- exponentials */
/* Is the term a max, or a product with one? */
static bool is_max(ir_unit *u, ir_expr e) {
    lower_product p = lower_factors(u, e);
    for (uint32_t k = 0; k < p.over.n; k++)
        if (ir_is(u, p.over.at[k], IR_RED) && ir_at(u, p.over.at[k])->u.ref == IR_RED_MAX) return true;
    return false;
}
static bool holds_max(ir_unit *u, const term_list *list) {
    for (uint32_t i = 0; i < list->n; i++)
        if (is_max(u, list->at[i].e)) return true;
    return false;
}

/* e is a difference p - q. Only where q holds a max, so that q is the reference of an exponential, and both sides have more than one term:
 * any other difference of real sums keeps the order of its additions. */
static ir_expr cancel(ir_unit *u, ir_expr e) {
    term_list p = { 0 }, q = { 0 }, left = { 0 };
    terms_of(u, ir_operand(u, e, 0), false, &p);
    terms_of(u, ir_operand(u, e, 1), false, &q);
    if (p.n < 2 || q.n < 2 || !holds_max(u, &q)) return e;
    uint32_t met = 0;
    for (uint32_t i = 0; i < p.n; i++) {
        /* each term of q meets at most one of p: a 0 marks those that have met */
        bool hit = false;
        for (uint32_t k = 0; k < q.n && !hit; k++)
            if (q.at[k].e && q.at[k].e == p.at[i].e && q.at[k].minus == p.at[i].minus) q.at[k].e = 0, hit = true, met++;
        if (!hit) BASE_PUSH(u->arena, &left, p.at[i]);
    }
    /* without a common term the difference is left as it was written */
    if (!met) return e;
    term_list right = { 0 };
    for (uint32_t k = 0; k < q.n; k++)
        if (q.at[k].e) BASE_PUSH(u->arena, &right, q.at[k]);
    return ir_sub(u, sum_terms(u, &left), sum_terms(u, &right));
}

/* Down through sums, selects and maxima to products, where the constant meets other literals. Into a max only because c > 0. */
ir_expr lower_scale(ir_unit *u, ir_expr e, double c) {
    ir_expr_info x = *ir_at(u, e);
    if (x.op == IR_ADD || x.op == IR_SUB) {
        ir_expr a = lower_scale(u, ir_operand(u, e, 0), c);
        return ir_op2(u, (ir_op)x.op, a, lower_scale(u, ir_operand(u, e, 1), c));
    }
    if (x.op == IR_SELECT) {
        ir_expr a = lower_scale(u, ir_operand(u, e, 1), c);
        return ir_select(u, ir_operand(u, e, 0), a, lower_scale(u, ir_operand(u, e, 2), c));
    }
    /* the body is scaled inside, where the factor meets that of the scores; then what is free of the range leaves again */
    if (x.op == IR_RED && (x.u.ref == IR_RED_MAX || x.u.ref == IR_RED_MIN))
        return lower_pull_reduction(u, lower_reduce_like(u, e, ir_red_where(u, e), lower_scale(u, ir_red_body(u, e), c)));
    lower_product p = lower_factors(u, e);
    ir_expr literal = ir_real(u, c);
    BASE_PUSH(u->arena, &p.over, literal);
    return lower_multiply(u, &p);
}

/* The first max below sums and products, which is where terms and factors that left it have put it; 0: none. */
static bool first_max(const ir_unit *u, void *env, ir_expr e) {
    ir_expr *found = env;
    const ir_op op = (ir_op)ir_at(u, e)->op;
    if (!*found && op == IR_RED && ir_at(u, e)->u.ref == IR_RED_MAX) *found = e;
    return !*found && (op == IR_ADD || op == IR_SUB || op == IR_MUL || op == IR_DIV);
}
/* e tests a max that something has left against -inf. Over nothing the max is -inf and the rest anything: a NaN in it must not hide that
 * nothing was seen. */
static ir_expr something_seen(ir_unit *u, ir_expr e) {
    double f;
    const ir_op op = (ir_op)ir_at(u, e)->op;
    ir_expr left = ir_operand(u, e, 0), low = ir_operand(u, e, 1), m = 0;
    if (!ir_is_real(u, low, &f) || f != -HUGE_VAL) return e;
    ir_walk(u, left, first_max, &m);
    if (!m || m == left || is_max(u, left)) return e;
    return op == IR_EQ ? ir_or(u, ir_op2(u, op, m, low), e) : ir_and(u, ir_op2(u, op, m, low), e);
}

/* From the leaves up: an exponent has its terms pulled and cancelled before its EXP scales it, down into the maxima that it holds. */
static ir_expr base2(ir_unit *u, void *env, ir_expr e) {
    (void)env;
    ir_expr r = e;
    switch (ir_at(u, e)->op) {
    case IR_RED: r = lower_pull_reduction(u, e); break;
    case IR_SUB: if (ir_at(u, e)->sort == IR_SORT_REAL) r = cancel(u, e); break;
    case IR_EQ: case IR_NE: r = something_seen(u, e); break;
    case IR_EXP: r = ir_op1(u, IR_EXP2, lower_scale(u, ir_operand(u, e, 0), log2_e)); break;
    default: break;
    }
    return r == e ? 0 : r;
}
ir_expr lower_base2(ir_unit *u, ir_expr e) { return ir_rebuild_up(u, e, base2, NULL); }

/* ---- references
 * In 2^(y - r), r a fold over the columns, rows that have seen nothing or only -inf have r = -inf. With max(r, lowest) they add 0, not NaN. */
typedef struct { lower_state *s; bool found; } max_env;
/* A max over the columns of the sweeps: any other is final before a column is seen, and no running reference. */
static bool find_max(const ir_unit *u, void *env, ir_expr e) {
    max_env *m = env;
    if (ir_is(u, e, IR_RED) && ir_at(u, e)->u.ref == IR_RED_MAX && ir_red_n_bound(u, e) == m->s->sweep_axis.n
        && ir_red_bound(u, e, 0) == m->s->sweep_axis.at[0]) m->found = true;
    return !m->found;
}
/* Only where y moves with a column and r does not: r is what the row's exponentials are relative to. Both sides are walked on. */
static ir_expr clamp(ir_unit *u, void *env, ir_expr e) {
    lower_state *s = env;
    /* every EXP is an EXP2 by now (lower_base2); 0 lets the walk go on below */
    if (!ir_is(u, e, IR_EXP2) || !ir_is(u, ir_operand(u, e, 0), IR_SUB)) return 0;
    ir_expr y = ir_operand(u, ir_operand(u, e, 0), 0), r = ir_operand(u, ir_operand(u, e, 0), 1);
    if (ir_set_meets(u, ir_free(u, r), s->columns) || !ir_set_meets(u, ir_free(u, y), s->columns)) return 0;
    max_env m = { s, false };
    ir_walk(u, r, find_max, &m);
    if (!m.found) return 0;
    /* just above the lowest f32: finite in either type of reals, so that -inf minus it is -inf and adds 0 */
    ir_expr lowest = ir_real(u, -3.4e38), a = ir_rebuild(u, y, clamp, env);
    return ir_op1(u, IR_EXP2, ir_sub(u, a, ir_op2(u, IR_MAX, ir_rebuild(u, r, clamp, env), lowest)));
}
ir_expr lower_clamp(lower_state *s, ir_expr e) { return s->sweep_axis.n ? ir_rebuild(s->u, e, clamp, s) : e; }

/* The expression cut into lines. A reduction over columns becomes a FOLD, or an ACC where values occur; every other one a TERM over features. An
 * operand of lower rank than the operator above it becomes a line of its own: that is all hoisting there is, for constants,
 * per row, per column. Inside features only what is free of them leaves. */
#include "lower.h"

/* visit: e with its reductions and hoisted operands replaced by lines; lower_named: the same as a line of its own. */
static ir_expr visit(lower_state *s, ir_expr e);

/* What costs nothing to say again, so that it needs no line; the contract of FOLD and ACC bodies and of stores (README.md). */
bool lower_trivial(const ir_unit *u, ir_expr e) {
    switch (ir_at(u, e)->op) {
    case IR_INT: case IR_REAL: case IR_BOOL: case IR_DIM: case IR_VAR: case IR_LET: return true;
    default: return false;
    }
}

/* Roles of the axes that e varies over. Of a reduction its free variables alone: what it binds does not vary outside. A line answers for
 * all that is in it. */
uint8_t lower_rank(lower_state *s, ir_expr e) {
    ir_unit *u = s->u;
    ir_expr_info x = *ir_at(u, e);
    uint32_t known, rank = 0;
    if (x.op == IR_LET) return s->lets.at[x.u.ref].rank;
    /* lines have no entry, since they are looked up as fast; variables neither, since the memo is filled where there are operands */
    if (pass_memo_get(&s->rank, e, &known)) return (uint8_t)known;
    if (x.op == IR_VAR) return lower_role_of(s, x.u.ref);
    for (uint32_t i = 0; i < ir_set_size(u, x.free); i++) rank |= lower_role_of(s, ir_set_at(u, x.free, i));
    /* lines inside a reduction are none yet: its operands are cut by visit_red, and what it binds must not count here */
    if (x.op != IR_RED)
        for (uint32_t i = 0; i < x.operands.n; i++) rank |= lower_rank(s, ir_operand(u, e, i));
    if (x.operands.n) pass_memo_put(&s->rank, e, rank);
    return (uint8_t)rank;
}

/* Hash and comparison leave out rank and sort, which follow from the rest, and sweep and ref, which come later. 0 is no key of a memo. */
static uint32_t hash_let(const ir_let *l) {
    uint32_t all[] = { l->kind, l->red, l->where, l->e, l->a, l->b, l->n_over, l->n_over ? l->over[0] : 0 }, h = 2166136261u;
    for (uint32_t i = 0; i < sizeof all / sizeof *all; i++) h = (h ^ all[i]) * 16777619u;
    return h ? h : 1;
}
static bool same_let(const ir_let *a, const ir_let *b) {
    return a->kind == b->kind && a->red == b->red && a->where == b->where && a->e == b->e && a->a == b->a && a->b == b->b
        && a->n_over == b->n_over && (!a->n_over || !memcmp(a->over, b->over, a->n_over * sizeof *a->over));
}
/* Equal lines are one. The memo holds one line per hash: on a collision the hash moves on, in a fixed way, until it is free or the
 * line's own. */
static ir_expr add_let(lower_state *s, ir_let l) {
    uint32_t at, h = hash_let(&l);
    l.ref = -1;
    while (pass_memo_get(&s->let_hash, h, &at) && !same_let(&s->lets.at[at], &l)) h = h * 16777619u + 1 ? h * 16777619u + 1 : 1;
    if (!pass_memo_get(&s->let_hash, h, &at)) {
        at = BASE_PUSH(s->arena, &s->lets, l);
        pass_memo_put(&s->let_hash, h, at);
    }
    return ir_let_expr(s->u, at, (ir_sort)l.sort);
}

/* Memoised by the expression as it came, so that all that mention it read one line. Trivial ones need none. */
ir_expr lower_named(lower_state *s, ir_expr e) {
    uint32_t known;
    if (pass_memo_get(&s->named, e, &known)) return known;
    ir_expr v = visit(s, e);
    if (!lower_trivial(s->u, v)) {
        ir_let l = { .kind = IR_LET_EXPR, .rank = lower_rank(s, e), .sort = ir_at(s->u, e)->sort, .where = ir_bool(s->u, true), .e = v };
        v = add_let(s, l);
    }
    pass_memo_put(&s->named, e, v);
    return v;
}

/* Factors whose rank meets `right` go to b, the others to a. One that meets `never` as well belongs on neither side: `fits` becomes false. */
static void halves(lower_state *s, const lower_list *list, uint8_t right, uint8_t never, lower_list *a, lower_list *b, bool *fits) {
    for (uint32_t i = 0; i < list->n; i++) {
        uint8_t r = lower_rank(s, list->at[i]);
        if (r & right && r & never) *fits = false;
        BASE_PUSH(s->arena, r & right ? b : a, list->at[i]);
    }
}

/* A product of something without columns and something without rows is a dot; everything else is computed pairwise. */
/* Left and right factor are not named: they are computed inside the loop over the features, or packed by the schedule. */
static void term_body(lower_state *s, ir_let *l, ir_expr body) {
    lower_product p = lower_factors(s->u, body), a = { 0 }, b = { 0 };
    bool fits = l->red == IR_RED_SUM && l->sort == IR_SORT_REAL;
    halves(s, &p.over, IR_COL | IR_VAL, IR_ROW, &a.over, &b.over, &fits);
    halves(s, &p.under, IR_COL | IR_VAL, IR_ROW, &a.under, &b.under, &fits);
    fits &= (a.over.n || a.under.n) && (b.over.n || b.under.n);
    /* a factor that needs rows and columns at once, or nothing on one side: pairwise */
    if (!fits) {
        l->e = visit(s, body);
        return;
    }
    ir_expr left = lower_multiply(s->u, &a), right = lower_multiply(s->u, &b);
    l->a = visit(s, left);
    l->b = visit(s, right);
}

/* `fits` cannot fail: no role is forbidden here. Factors with a value are the value factor, everything else is the weight, named because
 * it is computed once for all values. */
static void acc_body(lower_state *s, ir_let *l, ir_expr body) {
    lower_product p = lower_factors(s->u, body), weight = { 0 }, value = { 0 };
    bool fits = true;
    halves(s, &p.over, IR_VAL, 0, &weight.over, &value.over, &fits);
    halves(s, &p.under, IR_VAL, 0, &weight.under, &value.under, &fits);
    ir_expr w = lower_multiply(s->u, &weight), v = lower_multiply(s->u, &value);
    l->e = lower_named(s, w);
    l->b = visit(s, v);
}

/* Its first variable tells what it runs over: lower_roles has bound reductions over columns to them, all or none. The role of a column
 * is IR_COL, of any other bound variable IR_FEAT. */
static ir_expr visit_red(lower_state *s, ir_expr e) {
    ir_unit *u = s->u;
    ir_expr body = ir_red_body(u, e), where = ir_red_where(u, e);
    ir_let l = { .sort = ir_at(u, e)->sort, .red = (uint8_t)ir_at(u, e)->u.ref, .rank = lower_rank(s, e) };
    uint32_t n = ir_red_n_bound(u, e);
    if (n > IR_AXES) s->why = "a reduction runs over more than 16 variables";
    if (s->why) return 0;
    l.n_over = (uint8_t)n;
    l.over = BASE_ARRAY(s->arena, n, ir_var);
    for (uint32_t i = 0; i < n; i++) l.over[i] = ir_red_bound(u, e, i);
    /* lines read upwards only: what the guard and the body need is pushed before this one is */
    l.where = lower_named(s, where);
    if (lower_role_of(s, l.over[0]) != IR_COL) {
        l.kind = IR_LET_TERM;
        term_body(s, &l, body);
    } else if (l.red == IR_RED_SUM && l.sort == IR_SORT_REAL && lower_rank(s, body) & IR_VAL) {
        l.kind = IR_LET_ACC;
        acc_body(s, &l, body);
    } else {
        l.kind = IR_LET_FOLD;
        l.e = lower_named(s, body);
    }
    return s->why ? 0 : add_let(s, l);
}

/* May operand c of an operator of rank r leave it for a line of its own? Positions of reads and sums of integers stay whole, features inside features too. */
static bool leaves(lower_state *s, uint8_t r, ir_expr c) {
    uint8_t rc = lower_rank(s, c);
    return rc != r && !(r & IR_FEAT && rc & IR_FEAT) && ir_n_operands(s->u, c);
}
/* Integers are canonical polynomials: a line in the middle of one would hide terms from each other, and addresses would not be affine. */
static bool keeps_operands(const ir_unit *u, ir_expr e) {
    switch (ir_at(u, e)->op) {
    case IR_READ: return true;
    case IR_ADD: case IR_SUB: case IR_MUL: case IR_NEG: return ir_at(u, e)->sort == IR_SORT_INT;
    default: return false;
    }
}

/* A READ or an integer sum without a reduction in it stays whole: positions become addresses (lower_frame.c), and only whole are they affine.
 * With one, the reduction becomes a line that the position mentions. */
static ir_expr visit_operator(lower_state *s, ir_expr e) {
    ir_unit *u = s->u;
    ir_expr_info x = *ir_at(u, e);
    bool whole = keeps_operands(u, e), changed = false;
    if (whole && !ir_has_op(u, e, IR_RED)) return e;
    uint8_t r = lower_rank(s, e);
    ir_expr *o = BASE_ARRAY(s->arena, x.operands.n, ir_expr);
    for (uint32_t i = 0; i < x.operands.n; i++) {
        ir_expr c = ir_operand(u, e, i);
        /* of another rank: a line of its own, computed where its fewer roles vary; else part of this one's expression */
        o[i] = !whole && leaves(s, r, c) ? lower_named(s, c) : visit(s, c);
        changed |= o[i] != c;
    }
    if (!changed) return e;
    return x.op == IR_READ ? ir_read(u, x.u.ref, x.operands.n, o) : ir_apply(u, (ir_op)x.op, x.operands.n, o);
}

/* Leaves stay; all else once, however often it is mentioned. */
static ir_expr visit(lower_state *s, ir_expr e) {
    uint32_t known;
    if (!ir_n_operands(s->u, e)) return e;
    if (pass_memo_get(&s->visited, e, &known)) return known;
    ir_expr v = ir_is(s->u, e, IR_RED) ? visit_red(s, e) : visit_operator(s, e);
    pass_memo_put(&s->visited, e, v);
    return v;
}

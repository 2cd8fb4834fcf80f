/* Scalars: literals, names, operators, reads. Three sorts; an integer becomes a real by itself, nothing else converts.
 * Every function gives 0, the poison, where something is wrong; who finds the mistake reports it. Operands are all lowered before
 * one of them is looked at, so that each mistake of an expression is told in the same run. */
#include "lower.h"

ir_sort fe_sort(const fe_lower *l, ir_expr e) { return e ? (ir_sort)ir_at(l->u, e)->sort : IR_SORT_NONE; }

/* A literal becomes a real literal at once: 2 * x has no conversion in it. */
ir_expr fe_real_of(fe_lower *l, ir_expr e)
{
    int64_t i;
    if (fe_sort(l, e) != IR_SORT_INT) return e;
    return ir_is_int(l->u, e, &i) ? ir_real(l->u, (double)i) : ir_op1(l->u, IR_FLOAT, e);
}

bool fe_is_minus_inf(const fe_lower *l, ir_expr e)
{
    double f;
    return e && ir_is_real(l->u, e, &f) && isinf(f) && f < 0;
}

/* `select(c, x, -inf)` says by c where it is visible; what cannot be -inf says nothing. NaN is visible.
 * So `score = select(c, s, -inf)` gives the same guard as `mask = c`, and where s cannot be -inf itself, what is hidden is known without s. */
ir_expr fe_not_minus_inf(fe_lower *l, ir_expr e)
{
    ir_unit *u = l->u;
    if (!e) return 0;
    if (!ir_maybe_minus_inf(u, e)) return ir_bool(u, true);
    if (ir_is(u, e, IR_SELECT)) {
        ir_expr c = ir_operand(u, e, 0), a = ir_operand(u, e, 1), b = ir_operand(u, e, 2);
        if (fe_is_minus_inf(l, b)) return ir_and(u, c, fe_not_minus_inf(l, a));
        if (fe_is_minus_inf(l, a)) return ir_and(u, ir_not(u, c), fe_not_minus_inf(l, b));
    }
    return ir_not(u, ir_op2(u, IR_EQ, e, ir_real(u, -INFINITY)));
}

/* ---- what is wanted of an expression */

/* The one message about sorts: what was wanted, what was found. */
static void report_sort(fe_lower *l, const fe_env *env, const fe_expr *e, const char *what, const char *expected, ir_sort found, const char *hint)
{
    fe_expected(fe_report(l, env, BASE_MSG_SORT_DIFFERS, e->at, what), expected, fe_sort_text(found), hint);
}

/* For positions, bounds and dimensions. `what` is the sentence of the message. */
ir_expr fe_lower_int(fe_lower *l, const fe_env *env, const fe_expr *e, const char *what)
{
    ir_expr x = fe_lower_expr(l, env, e);
    ir_sort sort = fe_sort(l, x);
    if (!x || sort == IR_SORT_INT) return x;
    report_sort(l, env, e, what, "an integer", sort, sort == IR_SORT_REAL ? "// divides integers; floor, ceil and round make a real an integer" : NULL);
    return 0;
}

/* For masks, conditions, guards. An integer is no truth value: there is no rule that 0 is false. */
ir_expr fe_lower_bool(fe_lower *l, const fe_env *env, const fe_expr *e, const char *what)
{
    ir_expr x = fe_lower_expr(l, env, e);
    ir_sort sort = fe_sort(l, x);
    if (!x || sort == IR_SORT_BOOL) return x;
    report_sort(l, env, e, what, "a truth value", sort, NULL);
    return 0;
}

/* Truth values are no numbers, in either direction. */
static ir_expr lower_number(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    ir_expr x = fe_lower_expr(l, env, e);
    if (fe_sort(l, x) != IR_SORT_BOOL) return x;
    report_sort(l, env, e, "a truth value is not a number", "a number", IR_SORT_BOOL, "select(c, 1, 0) makes it one");
    return 0;
}

/* Any number, as a real. A truth value is reported. */
ir_expr fe_lower_real(fe_lower *l, const fe_env *env, const fe_expr *e) { return fe_real_of(l, lower_number(l, env, e)); }

/* ---- operators */

/* Both alike: if one is real the other becomes it.
 * Two truth values stay, and so does a truth value beside an integer: the caller sees that their sorts differ. */
static void promote(fe_lower *l, ir_expr *a, ir_expr *b)
{
    if (fe_sort(l, *a) == IR_SORT_REAL) *b = fe_real_of(l, *b);
    if (fe_sort(l, *b) == IR_SORT_REAL) *a = fe_real_of(l, *a);
}

/* Arithmetic and comparisons after promotion. Two truth values may be compared, nothing else meets a number.
 * `at` is where a message points. Arithmetic on truth values never gets here: its operands come from lower_number. */
ir_expr fe_ops(fe_lower *l, const fe_env *env, const fe_expr *at, ir_op op, ir_expr a, ir_expr b)
{
    if (!a || !b) return 0;
    promote(l, &a, &b);
    if (fe_sort(l, a) == fe_sort(l, b)) return ir_op2(l->u, op, a, b);
    fe_expected(fe_report(l, env, BASE_MSG_SORT_DIFFERS, at->at, "a number and a truth value do not meet"), NULL, NULL, NULL);
    return 0;
}

/* Both sides are lowered even if one fails: each may have a mistake of its own. */
static ir_expr lower_arith(fe_lower *l, const fe_env *env, const fe_expr *e, ir_op op)
{
    ir_expr a = lower_number(l, env, e->op.a), b = lower_number(l, env, e->op.b);
    return fe_ops(l, env, e, op, a, b);
}

/* 1/2 is a half, also between integers. */
static ir_expr lower_div(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    ir_expr a = fe_lower_real(l, env, e->op.a), b = fe_lower_real(l, env, e->op.b);
    return a && b ? ir_op2(l->u, IR_DIV, a, b) : 0;
}

/* Division that could fail on data: the passes add the check of the divisor. */
static ir_expr lower_floor_div(fe_lower *l, const fe_env *env, const fe_expr *e, ir_op op, const char *what)
{
    /* No promotion: a real operand is a mistake that floor(a / b) would say otherwise, not something to convert. */
    ir_expr a = fe_lower_int(l, env, e->op.a, what), b = fe_lower_int(l, env, e->op.b, what);
    return a && b ? ir_op2(l->u, op, a, b) : 0;
}

/* x^n by squaring, for 0 <= n
 * Few multiplications, and x * x is one expression wherever it is met. Holds: the result times x^n is the power that was asked for. */
static ir_expr power(ir_unit *u, ir_expr x, int64_t n, ir_expr one)
{
    ir_expr result = 0;
    for (; n; n >>= 1) {
        if (n & 1) result = result ? ir_mul(u, result, x) : x;
        /* The last square would be made for nothing. */
        if (n > 1) x = ir_mul(u, x, x);
    }
    return result ? result : one;
}

/* A literal exponent that is a whole number; others are powers of reals.
 * Up to 64, so that the text of a program cannot ask for a long row of multiplications; -2 is a minus before a literal. */
static bool whole_exponent(const fe_expr *e, int64_t *n)
{
    bool negative = e->kind == FE_NEG;
    if (negative) e = e->op.a;
    bool whole = e->kind == FE_INT || (e->kind == FE_REAL && e->f == trunc(e->f) && fabs(e->f) <= 64);
    if (!whole) return false;
    int64_t value = e->kind == FE_INT ? e->i : (int64_t)e->f;
    *n = negative ? -value : value;
    return value <= 64;
}

/* A literal whole exponent is multiplications, so that integers stay integers and x^2 costs one. */
static ir_expr lower_pow(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    ir_unit *u = l->u;
    ir_expr a = lower_number(l, env, e->op.a);
    int64_t n;
    if (!whole_exponent(e->op.b, &n)) {
        ir_expr b = fe_lower_real(l, env, e->op.b);
        return a && b ? ir_op2(u, IR_POW, fe_real_of(l, a), b) : 0;
    }
    if (!a) return 0;
    /* x^-1 is a division, and whoever writes x^2.0 asks for a real. */
    bool real = n < 0 || e->op.b->kind == FE_REAL;
    if (real) a = fe_real_of(l, a);
    ir_expr one = fe_sort(l, a) == IR_SORT_INT ? ir_int(u, 1) : ir_real(u, 1.0);
    if (n >= 0) return power(u, a, n, one);
    return ir_op2(u, IR_DIV, one, power(u, a, -n, one));
}

static ir_expr lower_neg(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    ir_expr a = lower_number(l, env, e->op.a);
    return a ? ir_op1(l->u, IR_NEG, a) : 0;
}

/* The right side of `and` is evaluated only where the left holds, so it may be assumed there. */
static ir_expr lower_logic(fe_lower *l, const fe_env *env, const fe_expr *e, ir_op op)
{
    const char *what = op == IR_AND ? "'and' joins truth values" : "'or' joins truth values";
    ir_expr a = fe_lower_bool(l, env, e->op.a, what);
    /* Nothing is assumed on the right of `or`: that the left fails is no truth that a test is likely to repeat. */
    fe_env inner = op == IR_AND ? fe_assume(l, env, a) : *env;
    ir_expr b = fe_lower_bool(l, &inner, e->op.b, what);
    return a && b ? ir_op2(l->u, op, a, b) : 0;
}

/* The IR has < and <= only; the others are those with their sides exchanged. */
static ir_expr compare(fe_lower *l, const fe_env *env, const fe_expr *e, fe_relation relation, ir_expr a, ir_expr b)
{
    switch (relation) {
    case FE_LT: return fe_ops(l, env, e, IR_LT, a, b);
    case FE_GT: return fe_ops(l, env, e, IR_LT, b, a);
    case FE_LE: return fe_ops(l, env, e, IR_LE, a, b);
    case FE_GE: return fe_ops(l, env, e, IR_LE, b, a);
    case FE_EQ: return fe_ops(l, env, e, IR_EQ, a, b);
    default: return fe_ops(l, env, e, IR_NE, a, b);
    }
}

/* Truth values may be equal or not, but have no order. */
static ir_expr lower_term(fe_lower *l, const fe_env *env, const fe_expr *e, fe_relation relation)
{
    return relation == FE_EQ || relation == FE_NE ? fe_lower_expr(l, env, e) : lower_number(l, env, e);
}

/* a < b <= c: each term once, joined by `and`
 * In `p == q < n` the middle term has passed as a truth value and then meets a number: fe_ops reports that. */
static ir_expr lower_chain(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    ir_expr all = ir_bool(l->u, true);
    ir_expr a = lower_term(l, env, e->chain.terms.at[0], e->chain.relations.at[0]);
    for (uint32_t k = 0; k < e->chain.relations.n; k++) {
        fe_relation relation = (fe_relation)e->chain.relations.at[k];
        ir_expr b = lower_term(l, env, e->chain.terms.at[k + 1], relation);
        ir_expr holds = compare(l, env, e, relation, a, b);
        /* Goes on after a mistake: the terms to the right may have their own. */
        all = all && holds ? ir_and(l->u, all, holds) : 0;
        a = b;
    }
    return all;
}

/* ---- names and reads */

/* An index formal that was given several indices has no single position.
 * It may be bound by a reduction or passed on to a function, nothing else. */
static ir_expr lower_index(fe_lower *l, const fe_env *env, const fe_expr *e, const fe_binding *b)
{
    if (b->n == 1) return b->index[0].at;
    fe_report(l, env, BASE_MSG_SEVERAL_INDICES, e->at, b->name);
    return 0;
}

static void report_unbound(fe_lower *l, const fe_env *env, fe_name name)
{
    /* s and w are bound only where they have a meaning, so the plain hint would mislead. */
    const char *hint = base_printf(l->arena, "an index is written before a colon, sum(%s: ...), or on the left side", name.text);
    if (name.text == l->program->word_s) hint = "s is the score in score, weights and adjust; a mask does not see it";
    if (name.text == l->program->word_w) hint = "w is the weight in adjust; a mask does not see it";
    fe_expected(fe_report(l, env, BASE_MSG_NAME_UNBOUND, name.at, name.text), NULL, NULL, hint);
}

/* A bare name must be a scalar. What it means is decided by names.c; here is what that is worth without brackets. */
static ir_expr lower_name(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    fe_name name = e->name;
    fe_found found = fe_lookup(l, env, name);
    switch (found.kind) {
    case FE_FOUND_INDEX: return lower_index(l, env, e, found.binding);
    case FE_FOUND_THUNK: return fe_thunk_eval(l, found.binding->thunk, env);
    case FE_FOUND_SCALAR: return found.e;
    case FE_FOUND_TENSOR:
        fe_expected(fe_report(l, env, BASE_MSG_WHOLE_TENSOR, e->at, name.text), base_printf(l->arena, "%u %s: %s[...]", fe_tensor_rank(l, &found.tensor), fe_tensor_rank(l, &found.tensor) == 1 ? "index" : "indices", name.text),
                    NULL, NULL);
        return 0;
    case FE_FOUND_RECORD: fe_report(l, env, BASE_MSG_RECORD_WHOLE, e->at, name.text); return 0;
    case FE_FOUND_BAD: return 0;
    default: report_unbound(l, env, name); return 0;
    }
}

/* Fixed leading axes of a slice come first, then the positions that are written.
 * A wrong number of positions still has each of them lowered; those beyond the rank are not stored. */
static ir_expr read_tensor(fe_lower *l, const fe_env *env, const fe_expr *e, const fe_tensor *t)
{
    const fe_items *items = e->index.items;
    uint32_t rank = fe_tensor_rank(l, t), n = t->n_fixed;
    const fe_expr *base = e->index.base;
    /* fe_lookup_base finds tensors for these two kinds alone. */
    const char *name = base->kind == FE_NAME ? base->name.text : base->member.field.text;
    ir_expr at[IR_RANK];
    bool ok = items->n == rank;
    if (!ok)
        fe_expected(fe_report(l, env, BASE_MSG_RANK_DIFFERS, e->at, name), base_printf(l->arena, "%u", rank), base_printf(l->arena, "%u", items->n), NULL);
    for (uint32_t k = 0; k < n; k++) at[k] = t->fixed[k];
    for (uint32_t k = 0; k < items->n; k++) {
        if (items->at[k].kind != FE_ITEM_EXPR) {
            fe_report(l, env, BASE_MSG_ITEM_FORM, items->at[k].at, "a position is an expression");
            ok = false;
            continue;
        }
        ir_expr x = fe_lower_int(l, env, items->at[k].e, "an index is an integer");
        /* n + rank is the rank of the value, IR_RANK at most. */
        if (k < rank) at[n + k] = x;
        ok = ok && x;
    }
    return ok ? ir_read(l->u, t->value, n + rank, at) : 0;
}

/* s and w take their names in clauses; a tensor of that name cannot be read there. */
static void report_hidden(fe_lower *l, const fe_env *env, const fe_expr *base, const fe_binding *b)
{
    /* Any other thunk is an argument or a let: a value, which has no positions. */
    bool clause = b->thunk && b->thunk->kind != FE_THUNK_TEXT && (b->name == l->program->word_s || b->name == l->program->word_w);
    if (clause) {
        base_diag *diag = fe_report(l, env, BASE_MSG_HIDDEN_TENSOR, base->at, b->name, b->name == l->program->word_s ? "score" : "weight");
        fe_expected(diag, NULL, NULL, "rename the tensor");
    } else fe_report(l, env, BASE_MSG_POSITION_OF_VALUE, base->at, b->name);
}

/* name[...] and record.field[...]; anything else has no axes. */
static ir_expr lower_positions(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    const fe_expr *base = e->index.base;
    /* Only names and record.field have axes, so that a position always reads a tensor that exists and never a value made on the way. */
    fe_found found = fe_lookup_base(l, env, base);
    if (found.kind == FE_FOUND_TENSOR) return read_tensor(l, env, e, &found.tensor);
    if (found.kind == FE_FOUND_BAD) return 0;
    if (base->kind != FE_NAME && base->kind != FE_MEMBER && !fe_lower_expr(l, env, base)) return 0;      /* its own mistake says more */
    /* Which message depends on what the name is instead of a tensor. */
    if (base->kind != FE_NAME) fe_expected(fe_report(l, env, BASE_MSG_NOT_INDEXED, base->at), "a tensor, or [i = x]", NULL, NULL);
    else if (found.kind == FE_FOUND_THUNK) report_hidden(l, env, base, found.binding);
    else if (found.kind == FE_FOUND_RECORD) fe_report(l, env, BASE_MSG_RECORD_WHOLE, base->at, base->name.text);
    else fe_report(l, env, BASE_MSG_NO_TENSOR, base->at, base->name.text);
    return 0;
}

/* The extent that index `name` has where e[name = x] stands.
 * Of an index in scope it is known; the extent of any other is found in e, as if e were summed over it. A name taken by name does
 * not count: inside of e the new index hides it. */
static bool index_to_replace(fe_lower *l, const fe_env *env, const fe_expr *base, fe_name name, fe_index *out)
{
    const fe_binding *b = fe_bound(env, name.text);
    if (b && !b->thunk && b->n == 1) {
        *out = b->index[0];
        return true;
    }
    if (b && !b->thunk) {
        fe_report(l, env, BASE_MSG_SEVERAL_INDICES, name.at, name.text);
        return false;
    }
    fe_stands stands = {0};
    fe_stands_of(l, env, name.text, base, &stands);
    *out = (fe_index){.lo = ir_int(l->u, 0), .hi = fe_extent(l, env, name, &stands)};
    return out->hi != 0;
}

/* e[i = x, j = y]: the value of e where i is x and j is y, at once
 * At once: each x is lowered in the env around, so e[i = j, j = i] exchanges the two. */
static ir_expr lower_replaced(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    fe_env inner = *env;
    bool ok = true;
    uint32_t before = l->failures;
    for (uint32_t k = 0; k < e->index.items->n; k++) {
        const fe_item *item = &e->index.items->at[k];
        if (item->kind != FE_ITEM_NAMED) {
            fe_report(l, env, BASE_MSG_ITEM_FORM, item->at, "positions and [name = value] do not mix");
            return 0;
        }
        /* All items before this one are named, or we would not be here. */
        for (uint32_t i = 0; i < k; i++)
            if (e->index.items->at[i].name.text == item->name.text) fe_report(l, env, BASE_MSG_INDEX_TWICE, item->at, item->name.text);
        fe_index index;
        ir_expr x = fe_lower_int(l, env, item->e, "an index is an integer");
        if (!index_to_replace(l, env, e->index.base, item->name, &index)) ok = false;
        index.at = x;
        /* x may lie outside of lo..hi: nothing may be left out because it would be inside, and no variable runs along with it. */
        index.inside = false;
        index.var = 0;
        inner = fe_bind_index(l, &inner, item->name.text, &index, 1);
        ok = ok && x;
    }
    /* Not ok without a report: the extent is that of a tensor that is wrong, which lowering e tells. */
    if (!ok && l->failures > before) return 0;
    ir_expr value = fe_lower_expr(l, &inner, e->index.base);
    return ok ? value : 0;
}

/* One named item makes all of it a replacement; mixing is reported there. */
static ir_expr lower_at(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    for (uint32_t k = 0; k < e->index.items->n; k++)
        if (e->index.items->at[k].kind == FE_ITEM_NAMED) return lower_replaced(l, env, e);
    return lower_positions(l, env, e);
}

/* A field alone is a number if its rank is 0. */
static ir_expr lower_member(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    fe_found found = fe_lookup_base(l, env, e);
    if (found.kind == FE_FOUND_BAD) return 0;
    if (found.kind == FE_FOUND_NONE) {
        fe_expected(fe_report(l, env, BASE_MSG_NOT_INDEXED, e->member.base->at), "the name of a record or of an attend", NULL, NULL);
        return 0;
    }
    /* A field that is found is a tensor: found_field says BAD for everything else. */
    const fe_tensor *t = &found.tensor;
    if (fe_tensor_rank(l, t) == 0) return ir_read(l->u, t->value, t->n_fixed, t->fixed);
    fe_report(l, env, BASE_MSG_WHOLE_TENSOR, e->at, e->member.field.text);
    return 0;
}

/* Functions hold no attend: what is summed in it would depend on names of the caller.
 * A body without a frame is that of a function or a variant. */
static ir_expr lower_attend(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    if (!env->frame) {
        fe_report(l, env, BASE_MSG_ATTEND_IN_FN, e->at);
        return 0;
    }
    fe_attend *a = fe_attend_create(l, env, e);
    return a ? fe_attend_value(l, a) : 0;
}

/* One row per kind. FE_BAD has been reported by the parser; a table has a value only as a constant of its own, found by its name. */
static ir_expr lower_kind(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    switch (e->kind) {
    case FE_INT: return ir_int(l->u, e->i);
    case FE_REAL: return ir_real(l->u, e->f);
    case FE_NAME: return lower_name(l, env, e);
    case FE_NEG: return lower_neg(l, env, e);
    case FE_NOT: {
        ir_expr a = fe_lower_bool(l, env, e->op.a, "'not' takes a truth value");
        return a ? ir_not(l->u, a) : 0;
    }
    case FE_ADD: return lower_arith(l, env, e, IR_ADD);
    case FE_SUB: return lower_arith(l, env, e, IR_SUB);
    case FE_MUL: return lower_arith(l, env, e, IR_MUL);
    case FE_DIV: return lower_div(l, env, e);
    case FE_FLOORDIV: return lower_floor_div(l, env, e, IR_FDIV, "'//' divides integers");
    case FE_MOD: return lower_floor_div(l, env, e, IR_MOD, "'%' divides integers");
    case FE_POW: return lower_pow(l, env, e);
    case FE_AND: return lower_logic(l, env, e, IR_AND);
    case FE_OR: return lower_logic(l, env, e, IR_OR);
    case FE_CHAIN: return lower_chain(l, env, e);
    case FE_CALL: return fe_lower_call(l, env, e);
    case FE_AT: return lower_at(l, env, e);
    case FE_MEMBER: return lower_member(l, env, e);
    case FE_ATTEND: return lower_attend(l, env, e);
    default: return 0;
    }
}

/* The only way into an expression, so both bounds of an expansion are kept here: how deep, and how much.
 * Depth: the parser bounds each tree, but bodies lowered in place of calls stand inside of each other, on the stack of C. Amount: functions
 * that use an argument twice double the work with every level. Once it is used up the rest of the statement is poison, told once. */
ir_expr fe_lower_expr(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    if (l->steps > FE_MAX_STEPS) return 0;
    if (++l->steps > FE_MAX_STEPS || l->depth >= FE_MAX_RECURSION) {
        fe_report(l, env, BASE_MSG_EXPANSION, e->at);
        l->steps = FE_MAX_STEPS + 1;
        return 0;
    }
    l->depth++;
    ir_expr x = lower_kind(l, env, e);
    l->depth--;
    return x;
}

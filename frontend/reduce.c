/* Reductions, and softmax along indices.
 *
 * A range whose bounds depend on other indices becomes the axis it runs along and a guard, `l in 0..i + 1` is l over the axis with l < i + 1,
 * wherever the index alone reads that axis unconditionally and the range provably lies inside of it. Else the range is an extent of its own,
 * moved to 0, so that a position outside is found like that of any read: `j in 0..len[b]` fails where len[b] is beyond the axis.
 *
 * argmax is the least position whose value is the maximum; mean divides by the number of positions, at least 1; softmax of nothing is 0. */
#include "lower.h"

/* ---- indices before a colon */

/* In weights and adjust, `sum(j: ...)` over an index of the pair means the visible ones. */
static bool is_visible_name(const fe_env *env, const char *name)
{
    for (uint32_t k = 0; env->vis && k < env->vis->n; k++)
        if (env->vis->names[k] == name) return true;
    return false;
}

/* ragged: the range moves with data or other indices. */
static void add_bound(fe_lower *l, fe_bound_indices *out, const char *name, fe_index index)
{
    fe_bound_index b = {name, index, !fe_of_dims(l, index.lo) || !fe_of_dims(l, index.hi)};
    BASE_PUSH(l->arena, out, b);
}

/* A name that is in scope already runs where it runs there: an index of a function, a key of attend.
 * With new variables: the value of the index around is that of one place, the reduction goes over all. A formal that stands for several
 * indices becomes as many variables. */
static bool inherit(fe_lower *l, fe_env *env, fe_name name, const fe_binding *b, fe_bound_indices *out)
{
    fe_index *all = BASE_ARRAY(l->arena, b->n ? b->n : 1, fe_index);
    bool ok = true;
    for (uint32_t k = 0; k < b->n; k++) {
        all[k] = fe_index_over(l, name.text, b->index[k].lo, b->index[k].hi);
        ok = ok && all[k].at;
        if (all[k].at) add_bound(l, out, name.text, all[k]);
    }
    *env = fe_bind_index(l, env, name.text, all, b->n);
    return ok;
}

/* Its extent comes from where it stands in the texts; failing that, from the same index around, as in a function that reduces over a formal. */
static bool bind_name(fe_lower *l, fe_env *env, fe_name name, const fe_expr *const *texts, uint32_t n_texts, fe_bound_indices *out)
{
    const fe_binding *b = fe_bound(env, name.text);
    /* A let or an argument of that name is hidden by the index bound here. */
    if (b && b->thunk) b = NULL;
    fe_stands stands = {0};
    for (uint32_t k = 0; k < n_texts; k++) fe_stands_of(l, env, name.text, texts[k], &stands);
    /* In a graph an index that reads an axis runs over that axis, whatever the same name means around. In the body of a function it is the
     * formal, and over visible pairs it must be the key itself, or the guard would not fit. */
    bool inherits = b && (stands.n == 0 || !env->frame || is_visible_name(env, name.text));
    if (inherits && stands.n && b->n == 1) {
        fe_stand formal = {b->index[0].hi, name.text, name.at};
        /* A formal that runs over a whole axis must agree with the tables that the body reads at it; where it is a part of an axis, no
         * extent in the text can be expected to equal it. */
        bool whole = b->index[0].lo && ir_is_int(l->u, b->index[0].lo, NULL) && fe_of_dims(l, b->index[0].hi);
        if (whole) BASE_PUSH(l->arena, &stands, formal);
        if (whole && !fe_extent(l, env, name, &stands)) return false;
    }
    if (inherits) return inherit(l, env, name, b, out);
    fe_index index = fe_index_over(l, name.text, ir_int(l->u, 0), fe_extent(l, env, name, &stands));
    if (index.at) add_bound(l, out, name.text, index);
    *env = fe_bind_index(l, env, name.text, &index, 1);
    return index.at != 0;
}

/* Bounds see the indices before them, so `i in 0..N, j in 0..i` is a triangle. */
static bool bind_range(fe_lower *l, fe_env *env, const fe_item *item, fe_bound_indices *out)
{
    /* Not ok means poison: bound to it, so that the body does not call the name unknown. */
    ir_expr lo = fe_lower_int(l, env, item->e, "a range has integer bounds"), hi = fe_lower_int(l, env, item->hi, "a range has integer bounds");
    fe_index index = fe_index_over(l, item->name.text, lo, hi);
    if (index.at) add_bound(l, out, item->name.text, index);
    *env = fe_bind_index(l, env, item->name.text, &index, 1);
    return index.at != 0;
}

/* Goes on after a mistake, so that each name is bound to something and told about once. */
bool fe_bind_all(fe_lower *l, fe_env *env, const fe_items *binders, const fe_expr *const *texts, uint32_t n_texts, fe_bound_indices *out)
{
    bool ok = true;
    for (uint32_t k = 0; k < binders->n; k++) {
        const fe_item *item = &binders->at[k];
        bool name = item->kind == FE_ITEM_EXPR && item->e->kind == FE_NAME;
        if (!name && item->kind != FE_ITEM_RANGE) {
            fe_expected(fe_report(l, env, BASE_MSG_ITEM_FORM, item->at, "an index stands before the colon"), "a name, or name in lo..hi", NULL, NULL);
            ok = false;
            continue;
        }
        fe_name bound = name ? item->e->name : item->name;
        for (uint32_t i = 0; i < k; i++) {
            const fe_item *other = &binders->at[i];
            const char *text = other->kind == FE_ITEM_RANGE ? other->name.text : other->e->kind == FE_NAME ? other->e->name.text : NULL;
            /* The report alone counts as a failure; the second binding hides the first. */
            if (text == bound.text) fe_report(l, env, BASE_MSG_INDEX_TWICE, bound.at, bound.text);
        }
        ok = (name ? bind_name(l, env, bound, texts, n_texts, out) : bind_range(l, env, item, out)) && ok;
    }
    return ok;
}

/* ---- ranges that depend on data */

/* `at` is the position looked for, axis the first extent found; several: another read disagrees. */
typedef struct { fe_lower *l; ir_expr at, axis; bool several; } axis_search;

/* Looks at what is read in any case: not into branches, guarded bodies, the right side of and/or. */
static bool axis_visit(const ir_unit *u, void *env, ir_expr e)
{
    axis_search *s = env;
    if (ir_is(u, e, IR_SELECT) || ir_is(u, e, IR_AND) || ir_is(u, e, IR_OR)) return false;
    if (ir_is(u, e, IR_RED)) return ir_is_bool(u, ir_red_where(u, e), true);
    if (!ir_is(u, e, IR_READ)) return true;
    for (uint32_t k = 0; k < ir_n_operands(u, e); k++) {
        /* Only the very index: x[i + 1] says nothing of where i may be. */
        if (ir_operand(u, e, k) != s->at) continue;
        ir_expr dim = fe_value_type(s->l, ir_at(u, e)->u.ref)->dim[k];
        s->several = s->several || (s->axis && s->axis != dim);
        s->axis = dim;
    }
    return true;
}

/* The axis itself, not an extent: reads of several tensors with equal axes agree. */
ir_expr fe_axis_of(fe_lower *l, ir_expr at, const ir_expr *bodies, uint32_t n)
{
    axis_search s = {.l = l, .at = at};
    for (uint32_t k = 0; k < n; k++)
        if (bodies[k]) ir_walk(l->u, bodies[k], axis_visit, &s);
    return s.several ? 0 : s.axis;
}

/* The space (bound and where) and what is reduced over it. The index of a ragged range starts as lo plus a variable over hi - lo. */
typedef struct {                         /* one reduction being made */
    fe_bound_indices bound;
    ir_expr where, body;
    bool only_range;                     /* where is nothing but one range lo..hi over its axis, lo a literal: */
    ir_expr lo, hi, axis;
} fold;

/* var becomes to, in everything that has been made and in the extents of the other indices.
 * An index whose extent changes gets a new variable, since the extent belongs to the variable; that one is renamed everywhere. */
static void replace(fe_lower *l, fold *f, ir_var var, ir_expr to)
{
    ir_binding all = {var, to};
    f->where = ir_substitute(l->u, f->where, 1, &all);
    f->body = ir_substitute(l->u, f->body, 1, &all);
    for (uint32_t k = 0; k < f->bound.n; k++) {
        fe_index *index = &f->bound.at[k].index;
        if (!index->var || index->var == var || !ir_depends(l->u, l->u->var.at[index->var].extent, var)) continue;
        fe_index moved = fe_index_over(l, f->bound.at[k].name, ir_substitute(l->u, index->lo, 1, &all), ir_substitute(l->u, index->hi, 1, &all));
        ir_binding renamed = {index->var, ir_var_expr(l->u, moved.var)};
        f->where = ir_substitute(l->u, f->where, 1, &renamed);
        f->body = ir_substitute(l->u, f->body, 1, &renamed);
        *index = moved;
    }
}

/* lo <= at is left out where it is plain: ranges mostly begin at 0. */
static ir_expr range_test(fe_lower *l, ir_expr at, ir_expr lo, ir_expr hi)
{
    ir_expr above = ir_at_least(l->u, ir_sub(l->u, at, lo), 0) ? ir_bool(l->u, true) : ir_op2(l->u, IR_LE, lo, at);
    return ir_and(l->u, above, ir_op2(l->u, IR_LT, at, hi));
}

/* axis may be 0: not within. An empty range, lo > hi, may be within: its guard then holds nowhere. */
bool fe_is_within(fe_lower *l, const fe_index *range, ir_expr axis)
{
    return axis && fe_of_dims(l, axis) && ir_at_least(l->u, range->lo, 0) && ir_at_least(l->u, ir_sub(l->u, axis, range->hi), 0);
}

/* Runs the index over the whole axis and moves the range into the guard. What follows can then share one space with its neighbours. */
static void use_axis(fe_lower *l, fold *f, uint32_t k)
{
    fe_index *index = &f->bound.at[k].index;
    ir_expr bodies[2] = {f->body, f->where};
    ir_expr axis = fe_axis_of(l, index->at, bodies, 2), lo = index->lo, hi = index->hi;
    if (!fe_is_within(l, index, axis)) return;
    /* Then positions can be counted without a loop (fold_count), and lo is a literal so that the count stays simple. */
    bool alone = f->bound.n == 1 && ir_is_bool(l->u, f->where, true) && ir_is_int(l->u, lo, NULL) && ir_at_least(l->u, lo, 0);
    fe_index whole = fe_index_over(l, f->bound.at[k].name, ir_int(l->u, 0), axis);
    replace(l, f, index->var, ir_sub(l->u, whole.at, lo));
    *index = whole;
    f->where = ir_and(l->u, range_test(l, whole.at, lo, hi), f->where);
    if (!alone) return;
    f->only_range = true;
    f->lo = lo;
    f->hi = hi;
    f->axis = axis;
}

/* Indices, guard and body of a reduction's text; false: reported. */
static bool fold_begin(fe_lower *l, const fe_env *env, const fe_expr *e, fe_builtin which, fold *f, fe_env *inner)
{
    const fe_expr *text = e->call.args->at[0].e;
    *f = (fold){.where = ir_bool(l->u, true)};
    *inner = *env;
    uint32_t before = l->failures;
    if (!fe_bind_all(l, inner, e->call.binders, &text, 1, &f->bound)) {
        if (l->failures == before) fe_lower_expr(l, inner, text);        /* the extent is that of a tensor whose own mistake is still to be told */
        return false;
    }
    bool over_visible = false;
    for (uint32_t k = 0; k < f->bound.n; k++) over_visible = over_visible || is_visible_name(env, f->bound.at[k].name);
    /* Evaluated in the new env: the guard is about the pair at the reduction's own variables. */
    if (over_visible) f->where = fe_thunk_eval(l, env->vis->visible, inner);
    *inner = fe_assume(l, inner, f->where);
    /* softmax comes here too, as a reduction of numbers. */
    bool truth = which == FE_BUILTIN_ANY || which == FE_BUILTIN_ALL;
    const char *what = base_printf(l->arena, "'%s' joins truth values", e->call.name.text);
    f->body = truth ? fe_lower_bool(l, inner, text, what) : fe_lower_expr(l, inner, text);
    if (!truth && fe_sort(l, f->body) == IR_SORT_BOOL) {
        fe_expected(fe_report(l, inner, BASE_MSG_SORT_DIFFERS, text->at, "a truth value is not a number"), "a number", "a truth value", "select(c, 1, 0) makes it one");
        return false;
    }
    return f->where && f->body;
}

/* From the innermost: the range of an inner index may mention an outer one. */
static void fold_ranges(fe_lower *l, fold *f)
{
    for (uint32_t k = f->bound.n; k-- > 0;)
        if (f->bound.at[k].ragged && f->bound.at[k].index.var) use_axis(l, f, k);
}

/* Another reduction over the same space: max and sum of one softmax, say. */
static ir_expr fold_as(fe_lower *l, const fold *f, ir_red kind, ir_expr where, ir_expr body)
{
    ir_var vars[IR_AXES];
    uint32_t n = 0;
    /* Callers have asked fits() before, so nothing is cut off. */
    for (uint32_t k = 0; k < f->bound.n && n < IR_AXES; k++) vars[n++] = f->bound.at[k].index.var;
    return where && body ? ir_reduce(l->u, kind, n, vars, where, body) : 0;
}

/* ---- reductions */

/* How many positions there are, where that can be said without counting. */
static ir_expr fold_count(fe_lower *l, const fold *f)
{
    ir_unit *u = l->u;
    /* The range lies inside of the axis, but hi may be below lo; the caller keeps the count above 0. */
    if (f->only_range) return ir_sub(u, ir_op2(u, IR_MIN, f->hi, f->axis), f->lo);
    if (!ir_is_bool(u, f->where, true)) return fold_as(l, f, IR_RED_SUM, f->where, ir_int(u, 1));
    ir_expr n = ir_int(u, 1);
    for (uint32_t k = 0; k < f->bound.n; k++) n = ir_mul(u, n, u->var.at[f->bound.at[k].index.var].extent);
    for (uint32_t k = 0; k < f->bound.n; k++)
        /* A triangle: the extent of one index is a matter of another, so the positions are counted. */
        if (ir_depends(u, n, f->bound.at[k].index.var)) return fold_as(l, f, IR_RED_SUM, f->where, ir_int(u, 1));
    return n;
}

/* Of nothing 0: the sum is 0 then and the count is taken as 1. */
static ir_expr lower_mean(fe_lower *l, fold *f)
{
    f->body = fe_real_of(l, f->body);
    fold_ranges(l, f);
    ir_expr n = fold_count(l, f);
    if (!n) return 0;
    if (!ir_at_least(l->u, n, 1)) n = ir_op2(l->u, IR_MAX, n, ir_int(l->u, 1));
    return ir_op2(l->u, IR_DIV, fold_as(l, f, IR_RED_SUM, f->where, f->body), fe_real_of(l, n));
}

/* -inf has no position, so `there` asks the maximum; among integers every value counts, so it asks whether there was one.
 * Two passes: the best value, then the least position among those that have it. Of nothing, and of nothing but -inf, the position is -1. */
static ir_expr lower_arg(fe_lower *l, const fe_env *env, const fe_expr *e, fold *f, bool max)
{
    ir_unit *u = l->u;
    if (f->bound.n != 1) {
        fe_expected(fe_report(l, env, BASE_MSG_INDEX_ARGUMENTS, e->at, e->call.name.text), "1 index", base_printf(l->arena, "%u", f->bound.n), NULL);
        return 0;
    }
    fold_ranges(l, f);
    ir_expr best = fold_as(l, f, max ? IR_RED_MAX : IR_RED_MIN, f->where, f->body);
    ir_expr where = ir_and(u, f->where, ir_op2(u, IR_EQ, f->body, best));
    ir_expr at = fold_as(l, f, IR_RED_MIN, where, f->bound.at[0].index.at), there;
    if (fe_sort(l, f->body) == IR_SORT_INT) there = fold_as(l, f, IR_RED_ANY, f->where, ir_bool(u, true));
    else there = max ? ir_op2(u, IR_LT, ir_real(u, -INFINITY), best) : ir_op2(u, IR_LT, best, ir_real(u, INFINITY));
    return ir_select(u, there, at, ir_int(u, -1));
}

/* An index before the colon and one plain value behind it; false: reported. */
static bool check_form(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    const fe_items *args = e->call.args;
    const char *name = e->call.name.text;
    if (e->call.binders->n == 0) {
        base_diag *diag = fe_report(l, env, BASE_MSG_INDEX_ARGUMENTS, e->at, name);
        fe_expected(diag, "an index before a colon", NULL, base_printf(l->arena, "%s(i: x[i])", name));
        return false;
    }
    if (args->n == 1 && args->at[0].kind == FE_ITEM_EXPR) return true;
    if (args->n == 1) fe_report(l, env, BASE_MSG_ITEM_FORM, args->at[0].at, "an argument is an expression");
    if (args->n == 1) return false;
    fe_expected(fe_report(l, env, BASE_MSG_ARGUMENTS, e->at, name), "1 value", base_printf(l->arena, "%u", args->n), NULL);
    return false;
}

/* After binding, since one formal may stand for several indices. */
static bool fits(fe_lower *l, const fe_env *env, const fe_expr *e, const fold *f)
{
    if (f->bound.n <= IR_AXES) return true;
    fe_report(l, env, BASE_MSG_RANK_LIMIT, e->at, e->call.name.text, (int)IR_AXES);
    return false;
}

/* kinds has no row for mean and arg: they are made of several reductions. */
ir_expr fe_lower_reduction(fe_lower *l, const fe_env *env, const fe_expr *e, fe_builtin which)
{
    static const ir_red kinds[FE_N_BUILTINS] = {[FE_BUILTIN_SUM] = IR_RED_SUM, [FE_BUILTIN_PROD] = IR_RED_PROD, [FE_BUILTIN_MAX] = IR_RED_MAX,
                                                [FE_BUILTIN_MIN] = IR_RED_MIN, [FE_BUILTIN_ANY] = IR_RED_ANY, [FE_BUILTIN_ALL] = IR_RED_ALL};
    fold f;
    fe_env inner;
    if (!check_form(l, env, e) || !fold_begin(l, env, e, which, &f, &inner) || !fits(l, env, e, &f)) return 0;
    if (which == FE_BUILTIN_MEAN) return lower_mean(l, &f);
    if (which == FE_BUILTIN_ARGMAX || which == FE_BUILTIN_ARGMIN) return lower_arg(l, env, e, &f, which == FE_BUILTIN_ARGMAX);
    fold_ranges(l, &f);
    return fold_as(l, &f, kinds[which], f.where, f.body);
}

/* ---- softmax */

/* softmax keeps its index, so somebody around must give it a value. */
static bool in_scope(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    bool ok = true;
    for (uint32_t k = 0; k < e->call.binders->n; k++) {
        const fe_item *item = &e->call.binders->at[k];
        fe_name name = item->kind == FE_ITEM_RANGE ? item->name : item->e->kind == FE_NAME ? item->e->name : (fe_name){NULL, item->at};
        const fe_binding *b = name.text ? fe_bound(env, name.text) : NULL;
        if (!name.text || (b && !b->thunk)) continue;
        fe_expected(fe_report(l, env, BASE_MSG_INDEX_USED, name.at, name.text, e->call.name.text),
                    "an index of the left side or of a reduction around the call", NULL, NULL);
        ok = false;
    }
    return ok;
}

/* Shifted by the maximum, as everywhere; where all is -inf, or nothing is there, 0. */
ir_expr fe_lower_softmax(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    ir_unit *u = l->u;
    fold f;
    fe_env inner;
    if (!check_form(l, env, e) || !in_scope(l, env, e)) return 0;
    /* The text twice: here at the place asked for, and in fold_begin at all places that its sum goes over. */
    ir_expr mine = fe_lower_real(l, env, e->call.args->at[0].e);
    if (!mine || !fold_begin(l, env, e, FE_BUILTIN_SOFTMAX, &f, &inner) || !fits(l, env, e, &f)) return 0;
    f.body = fe_real_of(l, f.body);
    fold_ranges(l, &f);
    ir_expr most = fold_as(l, &f, IR_RED_MAX, f.where, f.body);
    ir_expr sum = fold_as(l, &f, IR_RED_SUM, f.where, ir_op1(u, IR_EXP, ir_sub(u, f.body, most)));
    ir_expr share = ir_op2(u, IR_DIV, ir_op1(u, IR_EXP, ir_sub(u, mine, most)), sum);
    ir_expr something = ir_not(u, ir_op2(u, IR_EQ, most, ir_real(u, -INFINITY)));
    return ir_select(u, something, share, ir_real(u, 0.0));
}

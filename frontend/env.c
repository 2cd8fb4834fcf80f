/* Environments: what a place inside an expression sees. Inner scopes are new envs that point to the outer ones; thunks keep the env
 * they were written in, so names of a function never capture those of its caller.
 * Bindings are in the arena and never changed, so an env may be copied and kept in a thunk; only its frame goes on with the statements. */
#include "lower.h"

/* What a statement sees: no indices yet, its names are those of the frame at the moment of the look-up. */
fe_env fe_env_of_frame(fe_frame *frame) { return (fe_env){.module = frame->module, .frame = frame}; }

/* The innermost binding of a name. Lists are short: a few indices and arguments. */
const fe_binding *fe_bound(const fe_env *env, const char *name)
{
    /* Interned: the same text is the same pointer. */
    for (const fe_binding *b = env->first; b; b = b->next)
        if (b->name == name) return b;
    return NULL;
}

/* Envs are values that share their outer bindings; binding a name copies one of them, never changes it. */
static fe_env with_binding(fe_lower *l, const fe_env *env, fe_binding b)
{
    fe_env inner = *env;
    b.next = env->first;
    inner.first = base_copy(l->arena, &b, sizeof b);
    return inner;
}

/* n is 1 except for index formals. The indices are copied, so the caller may keep them on its stack. */
fe_env fe_bind_index(fe_lower *l, const fe_env *env, const char *name, const fe_index *index, uint32_t n)
{
    return with_binding(l, env, (fe_binding){.name = name, .index = base_copy(l->arena, index, n * sizeof *index), .n = n});
}

fe_env fe_bind_thunk(fe_lower *l, const fe_env *env, const char *name, const fe_thunk *thunk)
{
    return with_binding(l, env, (fe_binding){.name = name, .thunk = thunk});
}

/* Remembers a truth that holds wherever this env is used; only what a test would repeat is looked up again. */
fe_env fe_assume(fe_lower *l, const fe_env *env, ir_expr truth)
{
    fe_env inner = *env;
    fe_assumed a = {truth, env->assumed};
    if (truth && !ir_is_bool(l->u, truth, true)) inner.assumed = base_copy(l->arena, &a, sizeof a);
    return inner;
}

/* Looks for the very expression, nothing is proved: a missed one costs a test that repeats what is known, never the meaning. */
bool fe_is_assumed(const fe_lower *l, const fe_env *env, ir_expr truth)
{
    if (!truth || ir_is_bool(l->u, truth, true)) return true;
    for (const fe_assumed *a = env->assumed; a; a = a->next)
        if (a->truth == truth) return true;
    return false;
}

/* The variable runs from 0, as all variables of the IR do; the index is lo plus it. */
fe_index fe_index_over(fe_lower *l, const char *name, ir_expr lo, ir_expr hi)
{
    /* Poison as an index: `at` is 0, and so is whatever is computed with it. */
    if (!lo || !hi) return (fe_index){0};
    ir_var v = ir_var_new(l->u, name, ir_sub(l->u, hi, lo));
    return (fe_index){.at = ir_add(l->u, lo, ir_var_expr(l->u, v)), .lo = lo, .hi = hi, .inside = true, .var = v};
}

/* What `formal` is in cur, all its indices, bound to the names it stands for in `env`.
 * Where the body has taken the name for something else, a thunk, the caller's index stays as it was when the thunk was made. */
static fe_env relink(fe_lower *l, fe_env env, const fe_link *link, const fe_env *cur)
{
    const fe_binding *b = fe_bound(cur, link->formal);
    if (!b || b->thunk) return env;
    if (link->n == 1) return fe_bind_index(l, &env, link->actual[0], b->index, b->n);    /* one name may stand for several there too */
    /* b holds the indices of all actuals one behind the other, width[k] of them for the k-th; a body that bound fewer ends the loop. */
    for (uint32_t k = 0, at = 0; k < link->n && at + link->width[k] <= b->n; at += link->width[k++])
        env = fe_bind_index(l, &env, link->actual[k], &b->index[at], link->width[k]);
    return env;
}

/* Where the evaluating body has bound an index formal anew, say to the variable of a sum, the indices that it stands for get that value. */
fe_env fe_thunk_env(fe_lower *l, const fe_thunk *t, const fe_env *cur)
{
    fe_env env = t->env;
    /* What is known to hold is known of the place where the text is evaluated, not of that where it was written. */
    env.assumed = cur->assumed;
    for (uint32_t k = 0; k < t->n_links; k++) env = relink(l, env, &t->links[k], cur);
    return env;
}

/* A thunk is evaluated each time it is met; equal results are one expression, since the IR shares them.
 * BACK is the way out of a called body: first to the env of its call, then on to the s, w or `visible` that is meant there. */
ir_expr fe_thunk_eval(fe_lower *l, const fe_thunk *t, const fe_env *cur)
{
    if (t->kind != FE_THUNK_TEXT && t->kind != FE_THUNK_BACK) return fe_attend_thunk(l, t, cur);
    fe_env env = fe_thunk_env(l, t, cur);
    return t->kind == FE_THUNK_TEXT ? fe_lower_expr(l, &env, t->text) : fe_thunk_eval(l, t->inner, &env);
}

/* Equal expressions are one number, which settles most; the proof is for extents that are written in two ways. */
bool fe_same(fe_lower *l, ir_expr a, ir_expr b) { return a == b || (a && b && ir_provably(l->u, ir_op2(l->u, IR_EQ, a, b))); }

/* The counter of any loop of this graph, also of one that has ended: few are ever made. */
static bool is_counter(const fe_lower *l, ir_var v)
{
    for (uint32_t k = 0; k < l->counters.n; k++)
        if (l->counters.at[k] == v) return true;
    return false;
}

/* What a shape may hold: literals and dimensions, and counters, which are fixed within a round. */
bool fe_of_dims(const fe_lower *l, ir_expr e)
{
    if (!e || ir_has_op(l->u, e, IR_READ) || ir_has_op(l->u, e, IR_RED)) return false;
    ir_set free = ir_free(l->u, e);
    for (uint32_t k = 0; k < ir_set_size(l->u, free); k++)
        if (!is_counter(l, ir_set_at(l->u, free, k))) return false;
    return true;
}

/* Calls: built-in functions, and functions and variants written in the language, whose bodies are lowered in place of the call.
 *
 * Arguments are taken by name: an index formal stands for an index of the caller (or for all of them, if it is the only one), a value
 * formal for the caller's text. Where the body binds an index formal anew, the caller's text sees it (fe_thunk_eval).
 * What a body names otherwise is looked up in the file that declares it, never where it is called. */
#include "lower.h"

static const char *plural(uint32_t n) { return n == 1 ? "" : "s"; }

/* `of` is the thing counted, in the singular. */
static void report_count(fe_lower *l, const fe_env *env, base_message message, base_span at, const char *name, const char *of, uint32_t want, uint32_t found)
{
    fe_expected(fe_report(l, env, message, at, name), base_printf(l->arena, "%u %s%s", want, of, plural(want)), base_printf(l->arena, "%u", found), NULL);
}

/* ---- functions written in the language */

/* One call of a fn or a variant: `env` is the caller's; binders and args are as written, formals those of decl. */
typedef struct { fe_lower *l; const fe_env *env; const fe_decl *decl; const fe_formals *formals; const fe_items *binders, *args; base_span at; } call;

/* One index formal takes any number of indices: normalise over e, or over i and e. */
static bool check_counts(const call *c)
{
    uint32_t want = c->formals->indices->n, have = c->binders->n;
    bool indices = want == have || (want == 1 && have > 1);
    if (!indices) report_count(c->l, c->env, BASE_MSG_INDEX_ARGUMENTS, c->at, c->decl->name.text, "index name", want, have);
    bool values = c->formals->values->n == c->args->n;
    if (!values) report_count(c->l, c->env, BASE_MSG_ARGUMENTS, c->at, c->decl->name.text, "value", c->formals->values->n, c->args->n);
    return indices && values;
}

/* Ranges and named items have their places; as arguments they mean nothing.
 * What stands before the colon is a name or a range; item_name relies on it. */
static bool check_items(const call *c)
{
    for (uint32_t k = 0; k < c->args->n; k++) {
        if (c->args->at[k].kind == FE_ITEM_EXPR) continue;
        fe_report(c->l, c->env, BASE_MSG_ITEM_FORM, c->args->at[k].at, "an argument is an expression");
        return false;
    }
    for (uint32_t k = 0; k < c->binders->n; k++) {
        const fe_item *item = &c->binders->at[k];
        if (item->kind == FE_ITEM_RANGE || (item->kind == FE_ITEM_EXPR && item->e->kind == FE_NAME)) continue;
        fe_report(c->l, c->env, BASE_MSG_ITEM_FORM, item->at, "an index name stands before the colon");
        return false;
    }
    return true;
}

static fe_name item_name(const fe_item *item) { return item->kind == FE_ITEM_RANGE ? item->name : item->e->name; }

/* What the caller's index is: its own where it is in scope, new where the function uses it up (an inner binding hides an outer one).
 * Kept: the index must be in scope, and a range cannot be written for it, since the value would depend on an index that nobody gives.
 * Used up: its extent comes from the arguments; where it stands nowhere alone, it runs over what the index of that name around runs over. */
static bool actual_index(const call *c, const fe_item *item, uint32_t formal, fe_index *out)
{
    fe_lower *l = c->l;
    fe_name name = item_name(item);
    /* The indices of a variant are those of the pair. */
    bool keeps = c->decl->kind == FE_DECL_VARIANT || fe_call_keeps(l, c->env, c->decl, formal, c->args, name.text);
    if (item->kind == FE_ITEM_RANGE) {
        ir_expr lo = fe_lower_int(l, c->env, item->e, "a range has integer bounds"), hi = fe_lower_int(l, c->env, item->hi, "a range has integer bounds");
        *out = fe_index_over(l, name.text, lo, hi);
        if (keeps) fe_report(l, c->env, BASE_MSG_INDEX_USED, item->at, name.text, c->decl->name.text);
        return out->at && !keeps;
    }
    const fe_binding *b = fe_bound(c->env, name.text);
    if (b && b->thunk) b = NULL;
    fe_stands stands = {0};
    /* Asked only where the answer may be used. */
    if (!b || !keeps)
        for (uint32_t k = 0; k < c->args->n; k++) fe_stands_of(l, c->env, name.text, c->args->at[k].e, &stands);
    if (b && (keeps || stands.n == 0)) {
        *out = b->index[0];
        return true;
    }
    if (keeps) {
        base_diag *diag = fe_report(l, c->env, BASE_MSG_INDEX_USED, name.at, name.text, c->decl->name.text);
        fe_expected(diag, "an index of the left side or of a reduction around the call", NULL, NULL);
        return false;
    }
    ir_expr hi = fe_extent(l, c->env, name, &stands);
    *out = fe_index_over(l, name.text, ir_int(l->u, 0), hi);
    return hi != 0;
}

/* Binds one formal in the body's env to what the n binders from `first` on stand for; the link says which names of the caller they are.
 * Goes on after a mistake, with poison for that index. false: a mistake, or an extent that is not known (actual_index). */
static bool bind_formal(const call *c, uint32_t formal, uint32_t first, uint32_t n, fe_env *body, fe_link *link)
{
    BASE_VEC(fe_index) all = {0};
    bool ok = true;
    *link = (fe_link){c->formals->indices->at[formal].text, BASE_ARRAY(c->l->arena, n ? n : 1, const char *), BASE_ARRAY(c->l->arena, n ? n : 1, uint32_t), n};
    for (uint32_t k = 0; k < n; k++) {
        const fe_item *item = &c->binders->at[first + k];
        const fe_binding *b = item->kind == FE_ITEM_RANGE ? NULL : fe_bound(c->env, item_name(item).text);
        link->actual[k] = item_name(item).text;
        link->width[k] = b && !b->thunk ? b->n : 1;
        if (link->width[k] != 1) {                               /* an index formal of the caller that stands for several itself */
            for (uint32_t i = 0; i < b->n; i++) BASE_PUSH(c->l->arena, &all, b->index[i]);
            continue;
        }
        fe_index index = {0};
        ok = actual_index(c, item, formal, &index) && ok;
        BASE_PUSH(c->l->arena, &all, index);
    }
    *body = fe_bind_index(c->l, body, link->formal, all.at, all.n);
    return ok;
}

/* Whole tensors are not taken by name: `f(x)` for a tensor x of some rank.
 * Told at the call, also where the body never uses the argument. */
static bool check_argument(const call *c, const fe_expr *e)
{
    if (e->kind != FE_NAME) return true;
    fe_found found = fe_lookup(c->l, c->env, e->name);
    if (found.kind != FE_FOUND_TENSOR && found.kind != FE_FOUND_RECORD) return true;
    fe_expected(fe_report(c->l, c->env, BASE_MSG_WHOLE_TENSOR, e->at, e->name.text), "a number: a function takes no whole tensors", NULL, NULL);
    return false;
}

/* Reductions in a function called from weights or adjust run over visible pairs too: over those formals that stand for an index of the
 * pair. Whether a pair is visible is asked in the caller's env, so it is a thunk that goes back there. */
static const fe_vis *vis_inside(fe_lower *l, const fe_env *env, const fe_link *links, uint32_t n)
{
    if (!env->vis) return NULL;
    BASE_VEC(const char *) names = {0};
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < links[k].n; i++)
            for (uint32_t v = 0; v < env->vis->n; v++)
                if (env->vis->names[v] == links[k].actual[i]) {
                    BASE_PUSH(l->arena, &names, links[k].formal);
                    /* One index of the pair is enough: the formal is listed once. */
                    i = links[k].n - 1;
                    break;
                }
    fe_thunk back = {.kind = FE_THUNK_BACK, .env = *env, .links = links, .n_links = n, .inner = env->vis->visible};
    fe_vis vis = {names.at, names.n, base_copy(l->arena, &back, sizeof back)};
    return base_copy(l->arena, &vis, sizeof vis);
}

/* A variant sees the score and the weight of the attend that uses it. */
static void bind_clause_names(fe_lower *l, const fe_env *env, const fe_link *links, uint32_t n, fe_env *body)
{
    const char *words[] = {l->program->word_s, l->program->word_w};
    for (int k = 0; k < 2; k++) {
        const fe_binding *b = fe_bound(env, words[k]);
        /* A let or an argument that happens to be called s or w is not the score or the weight. */
        if (!b || !b->thunk || b->thunk->kind == FE_THUNK_TEXT) continue;
        fe_thunk back = {.kind = FE_THUNK_BACK, .env = *env, .links = links, .n_links = n, .inner = b->thunk};
        *body = fe_bind_thunk(l, body, words[k], base_copy(l->arena, &back, sizeof back));
    }
}

/* For messages inside of the body.
 * They tell the calls from the innermost outwards. */
static void add_chain(fe_lower *l, fe_env *env, const char *name, base_span at)
{
    fe_chain chain = {name, at, env->calls};
    env->calls = base_copy(l->arena, &chain, sizeof chain);
}

/* `links` is filled while formals are bound and is shared by all thunks of the call, also by those made before it is full: no thunk is
 * evaluated until the body is. */
bool fe_call_env(fe_lower *l, const fe_env *env, const fe_decl *decl, const fe_formals *formals, const fe_items *binders, const fe_items *args,
                 base_span at, fe_env *out)
{
    call c = {l, env, decl, formals, binders, args, at};
    if (!check_counts(&c) || !check_items(&c)) return false;
    /* No frame: of tensors the body sees tables of constants alone. */
    fe_env body = {.module = decl->module, .assumed = env->assumed, .calls = env->calls};
    add_chain(l, &body, decl->name.text, at);
    uint32_t n = formals->indices->n;
    fe_link *links = BASE_ARRAY(l->arena, n ? n : 1, fe_link);
    bool ok = true;
    if (decl->kind == FE_DECL_VARIANT) bind_clause_names(l, env, links, n, &body);
    for (uint32_t k = 0; k < n; k++) ok = bind_formal(&c, k, n == 1 ? 0 : k, n == 1 ? binders->n : 1, &body, &links[k]) && ok;
    for (uint32_t k = 0; k < args->n; k++) {
        ok = check_argument(&c, args->at[k].e) && ok;
        fe_thunk t = {.kind = FE_THUNK_TEXT, .text = args->at[k].e, .env = *env, .links = links, .n_links = n};
        body = fe_bind_thunk(l, &body, formals->values->at[k].text, base_copy(l->arena, &t, sizeof t));
    }
    body.vis = vis_inside(l, env, links, n);
    *out = body;
    return ok;
}

/* Marks of the search for recursion: the functions that it has entered. */
static bool is_expanding(const fe_lower *l, const fe_decl *fn)
{
    for (uint32_t k = 0; k < l->expanding.n; k++)
        if (l->expanding.at[k] == fn) return true;
    return false;
}

/* Does a function reach itself through the bodies of others? An argument may call the same function again; that is no recursion.
 * One that lies deeper than MAX_REACH is not found here; expanding it fails later. */
enum { MAX_REACH = 400 };
static bool reaches(fe_lower *l, const fe_decl *from, const fe_expr *e, const fe_decl *target, uint32_t depth);

/* `from` is the function whose body e is part of: names in it mean what they mean in its file. */
static bool items_reach(fe_lower *l, const fe_decl *from, const fe_items *items, const fe_decl *target, uint32_t depth)
{
    for (uint32_t k = 0; k < items->n; k++) {
        if (reaches(l, from, items->at[k].e, target, depth)) return true;
        if (items->at[k].hi && reaches(l, from, items->at[k].hi, target, depth)) return true;
    }
    return false;
}

static bool call_reaches(fe_lower *l, const fe_decl *from, const fe_expr *e, const fe_decl *target, uint32_t depth)
{
    bool clash;
    const fe_decl *callee = fe_resolve(from->module, FE_SPACE_FUNCTION, e->call.name.text, &clash);
    if (callee && callee->kind == FE_DECL_FN) {
        if (callee == target) return true;
        /* Each function is entered once in a search, so the work is that of reading all bodies once. */
        if (!is_expanding(l, callee)) {
            BASE_PUSH(l->arena, &l->expanding, callee);
            bool found = reaches(l, callee, callee->fn.body, target, depth);
            if (!found) return items_reach(l, from, e->call.args, target, depth);      /* stays in `expanding`: visited */
            return true;
        }
    }
    return items_reach(l, from, e->call.args, target, depth) || items_reach(l, from, e->call.binders, target, depth);
}

/* depth grows through trees and bodies alike: the search recurses on the stack of C. */
static bool reaches(fe_lower *l, const fe_decl *from, const fe_expr *e, const fe_decl *target, uint32_t depth)
{
    if (!e || depth++ > MAX_REACH) return false;
    switch (e->kind) {
    case FE_BAD: case FE_INT: case FE_REAL: case FE_NAME: return false;
    case FE_CHAIN:
        for (uint32_t k = 0; k < e->chain.terms.n; k++)
            if (reaches(l, from, e->chain.terms.at[k], target, depth)) return true;
        return false;
    case FE_TABLE: return false;
    case FE_CALL: return call_reaches(l, from, e, target, depth);
    case FE_AT: return reaches(l, from, e->index.base, target, depth) || items_reach(l, from, e->index.items, target, depth);
    case FE_MEMBER: return reaches(l, from, e->member.base, target, depth);
    /* Not allowed in a function; the clauses need no look. */
    case FE_ATTEND: return items_reach(l, from, e->attend.operands, target, depth);
    default: return reaches(l, from, e->op.a, target, depth) || reaches(l, from, e->op.b, target, depth);
    }
}

/* Asked once per function: the answer does not depend on the call. */
static bool is_recursive(fe_lower *l, const fe_decl *fn)
{
    /* One map serves two questions: keys of fe_keeps go on with numbers where this one has an r. */
    const char *key = base_printf(l->arena, "%p r", (const void *)fn);
    uint32_t known;
    if (base_map_get(l->keeps, key, &known)) return known == 3;
    /* Below the mark stand constants that are being lowered; the search takes away its own marks alone. */
    uint32_t mark = l->expanding.n;
    bool found = reaches(l, fn, fn->fn.body, fn, 0);
    l->expanding.n = mark;
    base_map_put(l->keeps, key, found ? 3 : 2);
    return found;
}

/* No call remains: the body is lowered as if it stood here. */
static ir_expr lower_function(fe_lower *l, const fe_env *env, const fe_expr *e, const fe_decl *fn)
{
    /* Found before anything is expanded, so the message is about the function and not about the depth reached. */
    if (is_recursive(l, fn)) {
        fe_report(l, env, BASE_MSG_RECURSION, fn->name.at, fn->name.text);
        return 0;
    }
    fe_env body;
    uint32_t before = l->failures;
    bool ok = fe_call_env(l, env, fn, fn->fn.formals, e->call.binders, e->call.args, e->at, &body);
    if (!ok && l->failures > before) return 0;
    ir_expr x = fe_lower_expr(l, &body, fn->fn.body);
    return ok ? x : 0;                   /* not ok and nothing said: an extent is that of a tensor that is wrong, which reading it tells */
}

/* ---- built-in functions of scalars */

/* What all functions of scalars ask: plain arguments, no indices, the right number. */
static bool takes(fe_lower *l, const fe_env *env, const fe_expr *e, uint32_t n)
{
    const fe_items *args = e->call.args;
    for (uint32_t k = 0; k < args->n; k++)
        if (args->at[k].kind != FE_ITEM_EXPR) {
            fe_report(l, env, BASE_MSG_ITEM_FORM, args->at[k].at, "an argument is an expression");
            return false;
        }
    if (e->call.binders->n) {
        report_count(l, env, BASE_MSG_INDEX_ARGUMENTS, e->at, e->call.name.text, "index name", 0, e->call.binders->n);
        return false;
    }
    if (args->n == n) return true;
    report_count(l, env, BASE_MSG_ARGUMENTS, e->at, e->call.name.text, "value", n, args->n);
    return false;
}

/* The operators' own table has the names; builtin.def says which of them are functions. */
static ir_op op_named(const char *name)
{
    /* Form C: operators that are written as calls. */
    for (int op = 0; op < IR_N_OPS; op++)
        if (ir_ops[op].form == 'C' && __builtin_strcmp(ir_ops[op].text, name) == 0) return (ir_op)op;
    return IR_NONE;
}

/* `sort` is the operator's own letter: b truth, i integer, f real, else any number. */
static ir_expr argument(fe_lower *l, const fe_env *env, const fe_expr *e, uint32_t k, char sort)
{
    const fe_expr *arg = e->call.args->at[k].e;
    if (sort == 'b') return fe_lower_bool(l, env, arg, base_printf(l->arena, "'%s' takes a truth value here", e->call.name.text));
    if (sort == 'i') return fe_lower_int(l, env, arg, base_printf(l->arena, "'%s' takes an integer", e->call.name.text));
    if (sort == 'f') return fe_lower_real(l, env, arg);
    ir_expr x = fe_lower_expr(l, env, arg);
    if (fe_sort(l, x) != IR_SORT_BOOL) return x;
    fe_expected(fe_report(l, env, BASE_MSG_SORT_DIFFERS, arg->at, "a truth value is not a number"), "a number", "a truth value", "select(c, 1, 0) makes it one");
    return 0;
}

/* Number and sorts of the arguments stand in ops.def, where the operator has its row. */
static ir_expr lower_map(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    ir_op op = op_named(e->call.name.text);
    const char *sorts = ir_ops[op].args;
    uint32_t n = ir_ops[op].n_args;
    if (!takes(l, env, e, n)) return 0;
    ir_expr x[3] = {0};
    bool ok = true;
    /* No operator has more than three. */
    for (uint32_t k = 0; k < n && k < 3; k++) {
        x[k] = argument(l, env, e, k, sorts[k]);
        ok = ok && x[k];
    }
    return ok ? ir_apply(l->u, op, n, x) : 0;
}

/* Each branch is evaluated only where the condition chooses it.
 * So the first may assume the condition; that the condition is false is no fact that anything asks for. */
static ir_expr lower_select(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    if (!takes(l, env, e, 3)) return 0;
    const fe_item *args = e->call.args->at;
    ir_expr c = fe_lower_bool(l, env, args[0].e, "'select' takes a truth value first");
    fe_env yes = fe_assume(l, env, c);
    ir_expr a = fe_lower_expr(l, &yes, args[1].e), b = fe_lower_expr(l, env, args[2].e);
    if (!c || !a || !b) return 0;
    /* Both branches have one sort, as the sides of an operator do; two truth values may be chosen between. */
    if (fe_sort(l, a) == IR_SORT_REAL) b = fe_real_of(l, b);
    if (fe_sort(l, b) == IR_SORT_REAL) a = fe_real_of(l, a);
    if (fe_sort(l, a) == fe_sort(l, b)) return ir_select(l->u, c, a, b);
    fe_report(l, env, BASE_MSG_SORT_DIFFERS, e->at, "'select' chooses between a number and a truth value");
    return 0;
}

/* max(a, b, ...) without an index
 * From the left; one value alone is a slip, mostly a forgotten index. */
static ir_expr lower_several(fe_lower *l, const fe_env *env, const fe_expr *e, ir_op op)
{
    const fe_items *args = e->call.args;
    if (args->n == 0 || args->n == 1) {
        base_diag *diag = fe_report(l, env, BASE_MSG_ARGUMENTS, e->at, e->call.name.text);
        fe_expected(diag, "an index before a colon, or two and more values", NULL, base_printf(l->arena, "%s(i: x[i]) is over an index", e->call.name.text));
        return 0;
    }
    ir_expr all = 0;
    bool ok = true;
    for (uint32_t k = 0; k < args->n; k++) {
        bool plain = args->at[k].kind == FE_ITEM_EXPR;
        if (!plain) fe_report(l, env, BASE_MSG_ITEM_FORM, args->at[k].at, "an argument is an expression");
        /* Poison goes through fe_ops, so `all` needs no test on the way. */
        ir_expr x = plain ? argument(l, env, e, k, 'n') : 0;
        ok = ok && x;
        all = k == 0 ? x : fe_ops(l, env, e, op, all, x);
    }
    return ok ? all : 0;
}

/* The extent, which for several indices at once is the number of positions.
 * Where it runs from lo to hi, those that lie in between; 0, the poison, where a bound is poison. */
static ir_expr lower_size(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    const fe_items *args = e->call.args;
    /* The name alone: the index is not evaluated, so it may stand for several. */
    bool named = args->n == 1 && e->call.binders->n == 0 && args->at[0].kind == FE_ITEM_EXPR && args->at[0].e->kind == FE_NAME;
    const fe_binding *b = named ? fe_bound(env, args->at[0].e->name.text) : NULL;
    if (!b || b->thunk) {
        fe_report(l, env, BASE_MSG_ITEM_FORM, e->at, "'size' takes the name of an index in scope");
        return 0;
    }
    ir_expr n = ir_int(l->u, 1);
    for (uint32_t k = 0; k < b->n; k++) n = b->index[k].hi ? ir_mul(l->u, n, ir_sub(l->u, b->index[k].hi, b->index[k].lo)) : 0;
    return n;
}

/* max and min are two things: over an index, or of several values. */
static ir_expr lower_builtin(fe_lower *l, const fe_env *env, const fe_expr *e, fe_builtin which)
{
    bool over = e->call.binders->n > 0;
    switch (fe_builtin_kind_of(which)) {
    case FE_FN_RED:
        if (!over && which == FE_BUILTIN_MAX) return lower_several(l, env, e, IR_MAX);
        if (!over && which == FE_BUILTIN_MIN) return lower_several(l, env, e, IR_MIN);
        return fe_lower_reduction(l, env, e, which);
    case FE_FN_ALONG: return fe_lower_softmax(l, env, e);
    case FE_FN_MAP: return which == FE_BUILTIN_SELECT ? lower_select(l, env, e) : lower_map(l, env, e);
    case FE_FN_SIZE: return lower_size(l, env, e);
    /* Known to the language, so that the message can say that it is not there yet and not that it is misspelt. */
    default: fe_not_yet(l, env, e->call.name.at, base_printf(l->arena, "'%s'", e->call.name.text)); return 0;
    }
}

/* A file's own functions and imports come before the built-in ones. */
ir_expr fe_lower_call(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    fe_decl *fn = fe_find(l, env, FE_SPACE_FUNCTION, e->call.name);
    if (fn && fn->kind == FE_DECL_FN) return lower_function(l, env, e, fn);
    if (fn) {
        base_diag *diag = fe_report(l, env, BASE_MSG_CALL_PLACE, e->at, e->call.name.text);
        fe_expected(diag, "the call of a graph alone after '='", NULL, base_printf(l->arena, "give it a name first: t = %s(...)", e->call.name.text));
        return 0;
    }
    fe_builtin which = fe_builtin_of(e->call.name.text);
    if (which != FE_BUILTIN_NONE) return lower_builtin(l, env, e, which);
    /* fe_find has reported a clash of imports already. */
    bool clash;
    fe_resolve(env->module, FE_SPACE_FUNCTION, e->call.name.text, &clash);
    if (!clash) fe_report(l, env, BASE_MSG_NO_FUNCTION, e->call.name.at, e->call.name.text);
    return 0;
}

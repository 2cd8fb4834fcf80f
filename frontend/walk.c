/* Questions about text before it is lowered: where does an index stand alone (that gives its extent), which names does nothing explain
 * (they are summed by attend), does a function use up an index of its caller.
 *
 * All three walk the tree with the names that inner binders hide. They follow the language's rule that functions take their arguments
 * by name: arguments are looked into, bodies are not. A walk recurses as deep as the tree is, which the parser bounds. What is wrong in the
 * text is left to its lowering; a look-up may tell it before, and then it is not told again. */
#include "lower.h"

/* Names that binders between the root of the walk and this place have taken, innermost first. `env` is the one at the root: look-ups
 * in it are right for all other names. */
typedef struct hidden { const char *name; const struct hidden *next; } hidden;
/* One of two questions: name and stands, or names. The other fields are NULL. */
typedef struct {
    fe_lower *l;
    const fe_env *env;
    const char *name;                    /* stands of this index; NULL: free names */
    fe_stands *stands;                   /* in the order in which they are written */
    fe_names *names;
} walk;

static void walk_expr(const walk *w, const fe_expr *e, const hidden *h);

/* A name that an inner binder has taken means something else there. */
static bool is_hidden(const hidden *h, const char *name)
{
    for (; h; h = h->next)
        if (h->name == name) return true;
    return false;
}

static const hidden *hide(const walk *w, const char *name, const hidden *h)
{
    hidden more = {name, h};
    return base_copy(w->l->arena, &more, sizeof more);
}

/* The name that stands before a colon, alone or with a range; NULL for what is no binder. */
static const char *binder_name(const fe_item *item)
{
    if (item->kind == FE_ITEM_RANGE) return item->name.text;
    return item->kind == FE_ITEM_EXPR && item->e->kind == FE_NAME ? item->e->name.text : NULL;
}

/* Collects names that nothing explains, each once, in the order in which they stand.
 * The search for stands passes by: an index that is no position reads no axis. */
static bool has_name(const fe_names *list, const char *name)
{
    for (uint32_t k = 0; k < list->n; k++)
        if (list->at[k].text == name) return true;
    return false;
}

static void add_name(const walk *w, fe_name name)
{
    if (!has_name(w->names, name.text)) BASE_PUSH(w->l->arena, w->names, name);
}

static void walk_name(const walk *w, fe_name name, const hidden *h)
{
    if (!w->names || is_hidden(h, name.text)) return;
    if (!has_name(w->names, name.text) && fe_lookup(w->l, w->env, name).kind == FE_FOUND_NONE) add_name(w, name);
}

/* Named items too: the name of `i = x` is no use of i, x may be anything. */
static void walk_items(const walk *w, const fe_items *items, const hidden *h)
{
    for (uint32_t k = 0; k < items->n; k++) {
        walk_expr(w, items->at[k].e, h);
        if (items->at[k].hi) walk_expr(w, items->at[k].hi, h);
    }
}

/* Ranges see the binders before them. */
static const hidden *walk_binders(const walk *w, const fe_items *items, const hidden *h)
{
    for (uint32_t k = 0; k < items->n; k++) {
        const fe_item *item = &items->at[k];
        if (item->kind == FE_ITEM_RANGE) walk_expr(w, item->e, h), walk_expr(w, item->hi, h);
        const char *name = binder_name(item);
        if (name) h = hide(w, name, h);
    }
    return h;
}

/* Where the tensor is known to be wrong, or has no such axis, the extent is poison: its mistake has been or will be reported.
 * Poison and not left out: an index that stands on such an axis has an extent, only not a known one, so nothing is said about it. */
static void stand_add(const walk *w, const fe_found *found, uint32_t axis, const fe_expr *base, base_span at)
{
    const char *where = base->kind == FE_NAME ? base->name.text : base->member.field.text;
    bool known = found->kind == FE_FOUND_TENSOR && axis < fe_tensor_rank(w->l, &found->tensor);
    fe_stand stand = {known ? fe_tensor_dim(w->l, &found->tensor, axis) : 0, where, at};
    BASE_PUSH(w->l->arena, w->stands, stand);
}

/* `i` in x[b,i] is a stand: the extent of that axis is the extent of i. In x[b,i+1] it is not. */
static void walk_positions(const walk *w, const fe_expr *e, const hidden *h)
{
    const fe_expr *base = e->index.base;
    /* Anything else before the brackets has no axes; it is looked into like other text. */
    bool plain = base->kind == FE_NAME || (base->kind == FE_MEMBER && base->member.base->kind == FE_NAME);
    fe_found found = plain ? fe_lookup_base(w->l, w->env, base) : (fe_found){0};
    for (uint32_t k = 0; k < e->index.items->n; k++) {
        const fe_item *item = &e->index.items->at[k];
        /* A name that means nothing is taken for a tensor that is missing, since that is what reading it will say. */
        bool tensor = found.kind == FE_FOUND_TENSOR || found.kind == FE_FOUND_BAD || (plain && found.kind == FE_FOUND_NONE);
        bool stands = w->name && tensor && item->kind == FE_ITEM_EXPR && item->e->kind == FE_NAME &&
                      item->e->name.text == w->name && !is_hidden(h, w->name);
        if (stands) stand_add(w, &found, k, base, item->at);
        else if (item->e) walk_expr(w, item->e, h);
    }
    if (!plain) walk_expr(w, base, h);
}

/* In e[i = x] the index i of e is not that of the place: x is outside, e is inside of the new binding. */
static void walk_at(const walk *w, const fe_expr *e, const hidden *h)
{
    const hidden *inner = h;
    bool named = false;
    for (uint32_t k = 0; k < e->index.items->n; k++) {
        if (e->index.items->at[k].kind != FE_ITEM_NAMED) continue;
        named = true;
        inner = hide(w, e->index.items->at[k].name.text, inner);
    }
    if (!named) {
        walk_positions(w, e, h);
        return;
    }
    /* All items are outside: they are bound at once. */
    walk_items(w, e->index.items, h);
    walk_expr(w, e->index.base, inner);
}

/* Which value formals may depend on the caller's index `name`: those whose text mentions it, or a thing taken by name. */
static uint64_t formals_with(const fe_env *env, const fe_items *args, const char *name);

/* An index that the function uses up is bound by it; one that it keeps is a name like others. */
static void walk_function(const walk *w, const fe_expr *e, const fe_decl *fn, const hidden *h)
{
    const fe_items *binders = e->call.binders;
    uint32_t n = fn->fn.formals->indices->n;
    const hidden *inner = h;
    for (uint32_t k = 0; k < binders->n; k++) {
        const fe_item *item = &binders->at[k];
        const char *name = binder_name(item);
        /* A single index formal takes all the binders. */
        uint32_t formal = n == 1 ? 0 : k;
        if (item->kind == FE_ITEM_RANGE) walk_expr(w, item->e, h), walk_expr(w, item->hi, h);
        if (!name || formal >= n) continue;
        /* A range before the colon makes an index of its own in any case; a function that keeps it is reported by the call. */
        if (item->kind == FE_ITEM_RANGE || !fe_keeps(w->l, fn, formal, formals_with(w->env, e->call.args, name))) inner = hide(w, name, inner);
        else walk_name(w, item->e->name, h);
    }
    walk_items(w, e->call.args, inner);
}

/* size(i) names an index and reads nothing, so it gives no extent.
 * A file's own function comes before the built-in one of its name, as when it is lowered. */
static void walk_call(const walk *w, const fe_expr *e, const hidden *h)
{
    fe_decl *fn = fe_find(w->l, w->env, FE_SPACE_FUNCTION, e->call.name);
    if (fn && fn->kind == FE_DECL_FN) {
        walk_function(w, e, fn, h);
        return;
    }
    fe_builtin_kind kind = fn ? FE_FN_NONE : fe_builtin_kind_of(fe_builtin_of(e->call.name.text));
    if (kind == FE_FN_SIZE) return;
    /* softmax keeps its index, so its binders are names like others; they must be in scope around. */
    bool binds = kind == FE_FN_RED || kind == FE_FN_NOT_YET_RED;
    const hidden *inner = h;
    if (binds) inner = walk_binders(w, e->call.binders, h);
    else walk_items(w, e->call.binders, h);
    walk_items(w, e->call.args, inner);
}

/* A let hides its name in the clauses below it.
 * Arguments of variants are looked into; what the variants themselves read gives no extents. */
static void walk_clauses(const walk *w, const fe_clauses *clauses, const hidden *h)
{
    for (uint32_t k = 0; k < clauses->n; k++) {
        const fe_clause *c = &clauses->at[k];
        if (c->kind == FE_CLAUSE_WITH) walk_items(w, c->binders, h), walk_items(w, c->args, h);
        else walk_expr(w, c->e, h);
        if (c->kind == FE_CLAUSE_LET) h = hide(w, c->name.text, h);
    }
}

/* Names that stand in q and k of an inner attend and mean nothing else are summed there: the same rule as find_sums of attend.c, found
 * without binding anything. What is free in q and k is walked for once and the rest of it passed on; walking them again without those names
 * would double the work with each attend inside of a q. */
static void walk_contracted(const walk *w, const fe_expr *e, const hidden *h)
{
    fe_names in_q = {0}, in_k = {0};
    walk q = {.l = w->l, .env = w->env, .names = &in_q}, k = {.l = w->l, .env = w->env, .names = &in_k};
    walk_expr(&q, e->attend.operands->at[0].e, h);
    walk_expr(&k, e->attend.operands->at[1].e, h);
    const hidden *inner = h;
    for (uint32_t a = 0; a < in_q.n; a++) {
        if (has_name(&in_k, in_q.at[a].text)) inner = hide(w, in_q.at[a].text, inner);
        else add_name(w, in_q.at[a]);
    }
    for (uint32_t b = 0; b < in_k.n; b++)
        if (!has_name(&in_q, in_k.at[b].text)) add_name(w, in_k.at[b]);
    walk_expr(w, e->attend.operands->at[2].e, inner);
}

/* Clauses count for extents, but not for what is summed: that is decided by q and k alone. */
static void walk_attend(const walk *w, const fe_expr *e, const hidden *h)
{
    const hidden *inner = walk_binders(w, e->attend.binders, h);
    if (w->names && e->attend.operands->n == 3) walk_contracted(w, e, inner);
    else walk_items(w, e->attend.operands, inner);
    if (w->stands) walk_clauses(w, e->attend.clauses, inner);
}

static void walk_expr(const walk *w, const fe_expr *e, const hidden *h)
{
    if (!e) return;
    switch (e->kind) {
    case FE_BAD: case FE_INT: case FE_REAL: return;
    case FE_NAME: walk_name(w, e->name, h); return;
    case FE_CHAIN:
        for (uint32_t k = 0; k < e->chain.terms.n; k++) walk_expr(w, e->chain.terms.at[k], h);
        return;
    case FE_TABLE:
        for (uint32_t k = 0; k < e->table.n; k++) walk_expr(w, e->table.at[k], h);
        return;
    case FE_CALL: walk_call(w, e, h); return;
    case FE_AT: walk_at(w, e, h); return;
    /* record.field: the name is that of a record or an attend, never of an index. */
    case FE_MEMBER:
        if (e->member.base->kind != FE_NAME) walk_expr(w, e->member.base, h);
        return;
    case FE_ATTEND: walk_attend(w, e, h); return;
    default:
        walk_expr(w, e->op.a, h);
        if (e->op.b) walk_expr(w, e->op.b, h);
    }
}

/* Names in e that neither env nor anything inside of e explains. */
void fe_free_names(fe_lower *l, const fe_env *env, const fe_expr *e, fe_names *out)
{
    walk w = {.l = l, .env = env, .names = out};
    walk_expr(&w, e, NULL);
}

/* Where index `name` stands alone in e. */
void fe_stands_of(fe_lower *l, const fe_env *env, const char *name, const fe_expr *e, fe_stands *out)
{
    walk w = {.l = l, .env = env, .name = name, .stands = out};
    walk_expr(&w, e, NULL);
}

/* For messages: `64 in k`. */
static const char *stand_text(fe_lower *l, const fe_stand *s) { return base_printf(l->arena, "%s in %s", fe_expr_text(l, s->extent), s->where); }

/* The hint takes the first extent; which one is meant only the author knows. */
static void report_differ(fe_lower *l, const fe_env *env, fe_name name, const fe_stand *a, const fe_stand *b)
{
    base_diag *diag = fe_report(l, env, BASE_MSG_EXTENTS_DIFFER, name.at, name.text);
    fe_expected(diag, NULL, base_printf(l->arena, "%s and %s", stand_text(l, a), stand_text(l, b)),
                base_printf(l->arena, "write its range: %s in 0..%s", name.text, fe_expr_text(l, a->extent)));
}

/* All axes on which an index stands alone must be provably equal; there must be one.
 * Dimensions that only happen to be equal when the graph runs are not enough: a written range settles it. All are compared with the
 * first, since equality is transitive. */
ir_expr fe_extent(fe_lower *l, const fe_env *env, fe_name name, const fe_stands *stands)
{
    if (stands->n == 0) {
        base_diag *diag = fe_report(l, env, BASE_MSG_EXTENT_UNKNOWN, name.at, name.text);
        fe_expected(diag, "an axis of a tensor where the index stands alone, or a range", NULL,
                    base_printf(l->arena, "write its range: %s in 0..N", name.text));
        return 0;
    }
    const fe_stand *first = NULL;        /* of a tensor that is right: those that are wrong are told where they are read */
    for (uint32_t k = 0; k < stands->n; k++) {
        const fe_stand *s = &stands->at[k];
        if (!first) first = s->extent ? s : NULL;
        if (!s->extent || fe_same(l, first->extent, s->extent)) continue;
        report_differ(l, env, name, first, s);
        return 0;
    }
    return first ? first->extent : 0;
}

/* ---- does the value of a function's body depend on an index of its caller? */

/* Rough on the safe side: a name that is bound anew inside counts too, and a thunk may mention anything. A yes too many
 * makes a function keep an index that it uses up; a no too many would bind an index that the value still needs. */
static bool mentions(const fe_env *env, const fe_expr *e, const char *name);

static bool items_mention(const fe_env *env, const fe_items *items, const char *name)
{
    for (uint32_t k = 0; items && k < items->n; k++)
        if (mentions(env, items->at[k].e, name) || mentions(env, items->at[k].hi, name)) return true;
    return false;
}

static bool attend_mentions(const fe_env *env, const fe_expr *e, const char *name)
{
    if (items_mention(env, e->attend.binders, name) || items_mention(env, e->attend.operands, name)) return true;
    for (uint32_t k = 0; k < e->attend.clauses->n; k++) {
        const fe_clause *c = &e->attend.clauses->at[k];
        if (mentions(env, c->e, name) || items_mention(env, c->binders, name) || items_mention(env, c->args, name)) return true;
    }
    return false;
}

static bool mentions(const fe_env *env, const fe_expr *e, const char *name)
{
    if (!e) return false;
    switch (e->kind) {
    case FE_BAD: case FE_INT: case FE_REAL: case FE_TABLE: return false;
    case FE_NAME: {
        const fe_binding *b = fe_bound(env, e->name.text);
        return e->name.text == name || (b && b->thunk);
    }
    case FE_CHAIN:
        for (uint32_t k = 0; k < e->chain.terms.n; k++)
            if (mentions(env, e->chain.terms.at[k], name)) return true;
        return false;
    case FE_CALL: return items_mention(env, e->call.binders, name) || items_mention(env, e->call.args, name);
    case FE_AT: return mentions(env, e->index.base, name) || items_mention(env, e->index.items, name);
    case FE_MEMBER: return mentions(env, e->member.base, name);
    case FE_ATTEND: return attend_mentions(env, e, name);
    default: return mentions(env, e->op.a, name) || mentions(env, e->op.b, name);
    }
}

/* One bit per argument; beyond 63 arguments they share the last bit, which is on the safe side. */
static uint64_t formals_with(const fe_env *env, const fe_items *args, const char *name)
{
    uint64_t with = 0;
    for (uint32_t k = 0; k < args->n; k++)
        if (k >= 63 || mentions(env, args->at[k].e, name)) with |= (uint64_t)1 << (k < 63 ? k : 63);
    return with;
}

/* The question asked of a body: `index` is the name of the formal in fn; bit k of `with` says that the k-th argument depends on it. */
typedef struct { fe_lower *l; const fe_decl *fn; const char *index; uint64_t with; } keeping;

enum { MAX_LOOK = 4000 };                /* functions of functions; what lies deeper is taken to keep its indices, expanding it fails */
static bool keeps_expr(const keeping *q, const fe_expr *e);
static bool keeps_kind(const keeping *q, const fe_expr *e);

/* A formal depends on the index if the argument that it stands for does.
 * Other names of a body are constants of its file and indices that it binds itself: they depend on nothing of the caller. */
static bool value_formal_keeps(const keeping *q, const char *name)
{
    for (uint32_t k = 0; k < q->fn->fn.formals->values->n; k++)
        if (q->fn->fn.formals->values->at[k].text == name) return q->with >> (k < 63 ? k : 63) & 1;
    return false;
}

/* Of the called function's arguments, positions and ranges: dependent if any part is. */
static bool keeps_items(const keeping *q, const fe_items *items)
{
    for (uint32_t k = 0; k < items->n; k++) {
        if (keeps_expr(q, items->at[k].e)) return true;
        if (items->at[k].hi && keeps_expr(q, items->at[k].hi)) return true;
    }
    return false;
}

/* Which binder of a call takes the index, if any does. */
static bool binds_name(const fe_items *binders, const char *index, uint32_t *which)
{
    for (uint32_t k = 0; k < binders->n; k++) {
        *which = k;
        if (binder_name(&binders->at[k]) == index) return true;
    }
    return false;
}

/* The question goes on into the called function's body, with its own formals.
 * An argument that depends on the index here depends there on the formal that the index was given to. */
static bool keeps_callee(const keeping *q, const fe_expr *e, const fe_decl *callee, uint32_t which)
{
    uint32_t n = callee->fn.formals->indices->n, formal = n == 1 ? 0 : which;
    uint64_t with = 0;
    for (uint32_t k = 0; k < e->call.args->n; k++)
        if (keeps_expr(q, e->call.args->at[k].e)) with |= (uint64_t)1 << (k < 63 ? k : 63);
    return formal < n ? fe_keeps(q->l, callee, formal, with) : true;
}

/* A reduction over the index uses it up; a range that mentions it does not. */
static bool keeps_call(const keeping *q, const fe_expr *e)
{
    const fe_items *binders = e->call.binders;
    bool clash;
    fe_decl *callee = fe_resolve(q->fn->module, FE_SPACE_FUNCTION, e->call.name.text, &clash);
    fe_builtin_kind kind = callee ? FE_FN_NONE : fe_builtin_kind_of(fe_builtin_of(e->call.name.text));
    if (kind == FE_FN_SIZE) return false;
    for (uint32_t k = 0; k < binders->n; k++)
        if (binders->at[k].kind == FE_ITEM_RANGE && (keeps_expr(q, binders->at[k].e) || keeps_expr(q, binders->at[k].hi))) return true;
    uint32_t which;
    /* Not bound by this call: what its arguments depend on, its value does. */
    if (!binds_name(binders, q->index, &which)) return keeps_items(q, e->call.args);
    /* Arguments that depend on the index see the variable of the reduction instead, thunks as well (fe_thunk_env). */
    if (kind == FE_FN_RED || kind == FE_FN_NOT_YET_RED) return false;
    /* softmax, or a mistake that lowering the body tells. */
    if (!callee || callee->kind != FE_DECL_FN) return true;
    return keeps_callee(q, e, callee, which);
}

/* `e[i = x]` depends on i only through x: in e it has been replaced. */
static bool keeps_at(const keeping *q, const fe_expr *e)
{
    if (keeps_items(q, e->index.items)) return true;
    for (uint32_t k = 0; k < e->index.items->n; k++)
        if (e->index.items->at[k].kind == FE_ITEM_NAMED && e->index.items->at[k].name.text == q->index) return false;
    return keeps_expr(q, e->index.base);
}

/* `looking` counts the levels open now, over all functions, not the work: answers are kept per function, so that is bounded as well. */
static bool keeps_expr(const keeping *q, const fe_expr *e)
{
    if (q->l->looking > MAX_LOOK) return true;
    q->l->looking++;
    bool keeps = keeps_kind(q, e);
    q->l->looking--;
    return keeps;
}

/* Hiding needs no list here: the one index asked about is bound anew only by a call or by e[i = x], and both stop at it. */
static bool keeps_kind(const keeping *q, const fe_expr *e)
{
    switch (e->kind) {
    case FE_BAD: case FE_INT: case FE_REAL: case FE_TABLE: return false;
    case FE_NAME: return e->name.text == q->index || value_formal_keeps(q, e->name.text);
    case FE_CHAIN:
        for (uint32_t k = 0; k < e->chain.terms.n; k++)
            if (keeps_expr(q, e->chain.terms.at[k])) return true;
        return false;
    case FE_CALL: return keeps_call(q, e);
    case FE_AT: return keeps_at(q, e);
    case FE_MEMBER: return keeps_expr(q, e->member.base);
    /* Functions hold none; lowering the body says so. */
    case FE_ATTEND: return true;
    default: return keeps_expr(q, e->op.a) || (e->op.b && keeps_expr(q, e->op.b));
    }
}

/* A function that calls itself is taken to keep its indices; expanding it reports the recursion.
 * Known answers: 1 being asked, which a recursion meets; 2 used up; 3 kept. They depend on the function, the formal and `with` alone,
 * which together are the key. */
bool fe_keeps(fe_lower *l, const fe_decl *fn, uint32_t formal, uint64_t with)
{
    const char *key = base_printf(l->arena, "%p %u %llx", (const void *)fn, formal, (unsigned long long)with);
    uint32_t known;
    if (base_map_get(l->keeps, key, &known)) return known != 2;
    base_map_put(l->keeps, key, 1);
    keeping q = {l, fn, fn->fn.formals->indices->at[formal].text, with};
    bool keeps = keeps_expr(&q, fn->fn.body);
    base_map_put(l->keeps, key, keeps ? 3 : 2);
    return keeps;
}

/* The same for a call as it is written: `name` is the index of the caller that the formal stands for. */
bool fe_call_keeps(fe_lower *l, const fe_env *env, const fe_decl *fn, uint32_t formal, const fe_items *args, const char *name)
{
    return fe_keeps(l, fn, formal, formals_with(env, args, name));
}

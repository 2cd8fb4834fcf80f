/* attend, expanded to what it means: no trace of it is left in the graph.
 *
 *   visible = mask and not (s == -inf)
 *   value   = select(any(keys where visible: true), sum(keys where visible: adjust(weights) * v), 0)
 *   weights = exp(s - max(keys where visible: s)) / sum(keys where visible: exp(s - max(..))), or what the clause says
 *   lse     = select(any(..), max(..) + log(sum(..)), -inf)
 *
 * `s` and `w` are taken by name: in `s[h = g]` or `sum(j: exp(s))` they are computed for other values of the indices. So everything here
 * is a function of an env that says what the indices of the pair are, and what it gives for the attend's own indices is one case of
 * that. Clauses of variants are clauses in a scope of their own (fe_call_env). */
#include <string.h>
#include "lower.h"

enum { MAX_CLAUSES = 4096 };             /* of one attend, with those of its variants */
typedef enum { CLAUSE_SCALE, CLAUSE_SCORE, CLAUSE_MASK, CLAUSE_WEIGHTS, CLAUSE_ADJUST, CLAUSE_LET } clause_kind;
/* One use of a variant: the line `with v(..)`, the variant it names, and the use that this line itself stands in.
 * Clauses of the attend itself have scope NULL. Two uses of one variant are two scopes: their arguments differ. */
typedef struct scope { const fe_clause *with; const fe_decl *variant; const struct scope *outer; } scope;
typedef struct { clause_kind kind; const fe_clause *text; const scope *scope; } clause;
/* `item` keeps the text of the binder: its range is lowered again for every pair at which the mask is asked. */
typedef struct { fe_index index; const fe_item *item; const char *name; } key_index;
/* An index that q and k share and nothing else explains; it runs from 0 over its axis. */
typedef struct { const char *name; fe_index index; } contracted;
typedef enum { MEMO_MASK, MEMO_SCORE, MEMO_VISIBLE, MEMO_WEIGHT } memo_kind;
/* What was made for one pair. `at` holds n_names positions; positions are compared by number, since the IR keeps equal expressions once. */
typedef struct { memo_kind kind; uint32_t stage; const ir_expr *at; ir_expr value; } memo;

/* Lives in the arena: thunks that point to it may be evaluated as long as the graph is being lowered. */
struct fe_attend {
    const fe_expr *text;
    fe_env env;                          /* with the keys bound */
    const char **names; uint32_t n_names;/* indices of a pair: all in scope */
    BASE_VEC(key_index) keys;
    BASE_VEC(contracted) sums;           /* empty if the score is given instead of q and k */
    BASE_VEC(clause) clauses;            /* flat, those of variants in the place of their `with` */
    uint32_t n_score, n_adjust;          /* lines of that kind: the last stage of s and of w */
    bool too_many;                       /* variants within variants: reported, no more are taken */
    BASE_VEC(memo) memos;
};

/* The three call each other through the texts of clauses: s in a line is a thunk of the stage below, so every circle gets smaller. */
static ir_expr score_at(fe_lower *l, fe_attend *a, const fe_env *env, uint32_t stage);
static ir_expr visible_at(fe_lower *l, fe_attend *a, const fe_env *env);
static ir_expr weight_at(fe_lower *l, fe_attend *a, const fe_env *env, uint32_t stage);

/* ---- the indices of a pair */

/* The attend's env with its indices as they are in cur.
 * `cur` may stand deep inside of a reduction or of e[i = x], with bindings of things that the operands must not see: only the
 * indices are taken from it, and what is known to hold there. */
static fe_env pair_env(fe_lower *l, const fe_attend *a, const fe_env *cur)
{
    fe_env env = a->env;
    env.assumed = cur->assumed;
    for (uint32_t k = 0; k < a->n_names; k++) {
        const fe_binding *mine = fe_bound(&a->env, a->names[k]), *there = fe_bound(cur, a->names[k]);
        /* The same binding needs no new one; a let or an argument of that name hides the index there, which then keeps its own value. */
        if (there && !there->thunk && there->n == 1 && there->index != mine->index) env = fe_bind_index(l, &env, a->names[k], there->index, 1);
    }
    return env;
}

/* The pair that env stands at: the key of the memos. */
static const ir_expr *positions(fe_lower *l, const fe_attend *a, const fe_env *env)
{
    ir_expr *at = BASE_ARRAY(l->arena, a->n_names + 1, ir_expr);
    for (uint32_t k = 0; k < a->n_names; k++) at[k] = fe_bound(env, a->names[k])->index[0].at;
    return at;
}

/* Does env stand at the attend's own pair? Then its own variables serve, else new ones are needed. */
static bool is_own(const fe_attend *a, const fe_env *env)
{
    for (uint32_t k = 0; k < a->n_names; k++)
        if (fe_bound(env, a->names[k])->index[0].at != fe_bound(&a->env, a->names[k])->index[0].at) return false;
    return true;
}

/* Scores are asked for again and again, in the mask of scores, in the sums, in clauses; lists of memos are short. */
static bool recall(const fe_attend *a, memo_kind kind, uint32_t stage, const ir_expr *at, ir_expr *out)
{
    for (uint32_t k = 0; k < a->memos.n; k++) {
        const memo *m = &a->memos.at[k];
        if (m->kind != kind || m->stage != stage || memcmp(m->at, at, a->n_names * sizeof *at) != 0) continue;
        *out = m->value;
        return true;
    }
    return false;
}

/* Returns value, 0 included: a mistake is told once, not at each pair that asks again. */
static ir_expr remember(fe_lower *l, fe_attend *a, memo_kind kind, uint32_t stage, const ir_expr *at, ir_expr value)
{
    memo m = {kind, stage, at, value};
    BASE_PUSH(l->arena, &a->memos, m);
    return value;
}

/* ---- scopes of clauses */

/* s, w and `visible` as things taken by name: computed for whatever pair they are asked at. */
static const fe_thunk *pair_thunk(fe_lower *l, fe_attend *a, fe_thunk_kind kind, uint32_t stage, bool final)
{
    fe_thunk t = {.kind = (uint8_t)kind, .attend = a, .stage = stage, .final = final};
    return base_copy(l->arena, &t, sizeof t);
}

/* final: as seen in weights and adjust, -inf where the mask hides the pair. Lines of score see the bare number of the stage below. */
static fe_env with_score(fe_lower *l, fe_attend *a, const fe_env *env, uint32_t stage, bool final)
{
    return fe_bind_thunk(l, env, l->program->word_s, pair_thunk(l, a, FE_THUNK_SCORE, stage, final));
}

/* For reductions inside of weights and adjust. */
static const fe_vis *visible_pairs(fe_lower *l, fe_attend *a)
{
    fe_vis vis = {a->names, a->n_names, pair_thunk(l, a, FE_THUNK_VISIBLE, 0, false)};
    return base_copy(l->arena, &vis, sizeof vis);
}

/* Every index of env stands for itself: text that is evaluated later sees them as they are then. */
static const fe_link *identity_links(fe_lower *l, const fe_env *env, uint32_t *n)
{
    BASE_VEC(fe_link) links = {0};
    for (const fe_binding *b = env->first; b; b = b->next) {
        if (b->thunk) continue;
        const char **name = base_copy(l->arena, &b->name, sizeof b->name);
        fe_link link = {b->name, name, NULL, 1};
        BASE_PUSH(l->arena, &links, link);
    }
    *n = links.n;
    return links.at;
}

/* A let is text, so it is evaluated for the pair where its name is met. */
static fe_env with_let(fe_lower *l, const fe_env *env, const fe_clause *let)
{
    fe_thunk t = {.kind = FE_THUNK_TEXT, .text = let->e, .env = *env};
    t.links = identity_links(l, env, &t.n_links);
    return fe_bind_thunk(l, env, let->name.text, base_copy(l->arena, &t, sizeof t));
}

/* Into the variants that clause k stands in, outermost first. The arguments of a variant are written in the scope around it, so they are
 * evaluated in the env of that scope, lets included; its body sees its parameters and its own lets. */
static bool enter(fe_lower *l, const fe_attend *a, uint32_t k, const scope *s, fe_env *env)
{
    if (s) {
        fe_env body;
        if (!enter(l, a, k, s->outer, env)) return false;
        if (!fe_call_env(l, env, s->variant, s->variant->variant.formals, s->with->binders, s->with->args, s->with->at, &body)) return false;
        *env = body;
    }
    /* Only lets above the clause, of the very same use of the same variant. Each let is bound in the env of those before it, so it may
     * use them. */
    for (uint32_t i = 0; i < k; i++)
        if (a->clauses.at[i].kind == CLAUSE_LET && a->clauses.at[i].scope == s) *env = with_let(l, env, a->clauses.at[i].text);
    return true;
}

/* The scope of clause k, whose own env (indices, s, w, visible pairs) is `env`; false: reported. */
static bool clause_env(fe_lower *l, const fe_attend *a, uint32_t k, fe_env *env) { return enter(l, a, k, a->clauses.at[k].scope, env); }

/* ---- mask, score, visible */

/* Nothing to test where the index is the variable that runs over just this range.
 * At other values, as in `s[j = x]`, the position may lie outside of lo..hi, and such a key is hidden. */
static ir_expr key_test(fe_lower *l, const fe_env *env, const key_index *key)
{
    const fe_index *index = &fe_bound(env, key->name)->index[0];
    ir_unit *u = l->u;
    if (key->item->kind != FE_ITEM_RANGE) return ir_bool(u, true);
    ir_expr lo = fe_lower_int(l, env, key->item->e, "a range has integer bounds"), hi = fe_lower_int(l, env, key->item->hi, "a range has integer bounds");
    if (!lo || !hi || !index->at) return 0;
    if (index->inside && index->lo == lo && index->hi == hi) return ir_bool(u, true);
    ir_expr above = ir_at_least(u, ir_sub(u, index->at, lo), 0) ? ir_bool(u, true) : ir_op2(u, IR_LE, lo, index->at);
    return ir_and(u, above, ir_op2(u, IR_LT, index->at, hi));
}

/* A later line is evaluated where the earlier ones hold: that is the meaning of joining them by `and`. */
static ir_expr mask_of(fe_lower *l, fe_attend *a, const fe_env *env)
{
    ir_expr m = ir_bool(l->u, true);
    /* Ranges of keys first: masks may then rely on the key being in its range, for reads as well. */
    for (uint32_t k = 0; k < a->keys.n; k++) m = m ? ir_and(l->u, m, key_test(l, env, &a->keys.at[k])) : 0;
    for (uint32_t k = 0; k < a->clauses.n; k++) {
        if (a->clauses.at[k].kind != CLAUSE_MASK) continue;
        fe_env inner = fe_assume(l, env, m);
        ir_expr b = clause_env(l, a, k, &inner) ? fe_lower_bool(l, &inner, a->clauses.at[k].text->e, "a mask is a truth value") : 0;
        m = m && b ? ir_and(l->u, m, b) : 0;
    }
    return m;
}

/* The mask of a pair, made once. */
static ir_expr mask_at(fe_lower *l, fe_attend *a, const fe_env *env)
{
    const ir_expr *at = positions(l, a, env);
    ir_expr m;
    return recall(a, MEMO_MASK, 0, at, &m) ? m : remember(l, a, MEMO_MASK, 0, at, mask_of(l, a, env));
}

/* 1/sqrt of the number of terms, unless a clause says another. */
static ir_expr scale_at(fe_lower *l, fe_attend *a, const fe_env *env)
{
    for (uint32_t k = 0; k < a->clauses.n; k++) {
        if (a->clauses.at[k].kind != CLAUSE_SCALE) continue;
        fe_env inner = *env;
        return clause_env(l, a, k, &inner) ? fe_lower_real(l, &inner, a->clauses.at[k].text->e) : 0;
    }
    /* Summed indices run from 0, so hi is their extent. Without any, the product has one term and the scale is 1. */
    ir_expr n = ir_int(l->u, 1);
    for (uint32_t k = 0; k < a->sums.n; k++) n = ir_mul(l->u, n, a->sums.at[k].index.hi);
    return ir_op1(l->u, IR_RSQRT, fe_real_of(l, n));
}

/* q * k summed over what stands in both, times the scale */
static ir_expr product_at(fe_lower *l, fe_attend *a, const fe_env *env)
{
    const fe_items *operands = a->text->attend.operands;
    /* attend(keys: score, v): the first operand is the score itself; nothing is summed or scaled. */
    if (operands->n == 2) return fe_lower_real(l, env, operands->at[0].e);
    /* find_sums keeps no more than IR_AXES. The scale is lowered in `env`: summed indices mean nothing in its text. */
    fe_env inner = *env;
    ir_var vars[IR_AXES];
    for (uint32_t k = 0; k < a->sums.n; k++) {
        inner = fe_bind_index(l, &inner, a->sums.at[k].name, &a->sums.at[k].index, 1);
        vars[k] = a->sums.at[k].index.var;
    }
    ir_expr q = fe_lower_real(l, &inner, operands->at[0].e), k = fe_lower_real(l, &inner, operands->at[1].e), scale = scale_at(l, a, env);
    if (!q || !k || !scale) return 0;
    ir_expr dot = a->sums.n ? ir_reduce(l->u, IR_RED_SUM, a->sums.n, vars, ir_bool(l->u, true), ir_mul(l->u, q, k)) : ir_mul(l->u, q, k);
    return ir_mul(l->u, dot, scale);
}

/* Index of the clause that is the stage-th of its kind, from 1.
 * There is one: stages are counted in n_score and n_adjust when clauses are added, and nobody asks for more. */
static uint32_t clause_number(const fe_attend *a, clause_kind kind, uint32_t stage)
{
    uint32_t k = 0;
    for (;; k++)
        if (a->clauses.at[k].kind == kind && --stage == 0) return k;
}

/* Stage 0 is the similarity, stage n what the n-th line makes of stage n - 1.
 * So `s` in a line of score is the score that the lines above have made, never the final one. */
static ir_expr score_of(fe_lower *l, fe_attend *a, const fe_env *env, uint32_t stage)
{
    if (stage == 0) return product_at(l, a, env);
    uint32_t k = clause_number(a, CLAUSE_SCORE, stage);
    fe_env inner = with_score(l, a, env, stage - 1, false);
    return clause_env(l, a, k, &inner) ? fe_lower_real(l, &inner, a->clauses.at[k].text->e) : 0;
}

/* The score of a pair after `stage` lines, made once; whether the pair is visible is not asked. */
static ir_expr score_at(fe_lower *l, fe_attend *a, const fe_env *env, uint32_t stage)
{
    const ir_expr *at = positions(l, a, env);
    ir_expr s;
    return recall(a, MEMO_SCORE, stage, at, &s) ? s : remember(l, a, MEMO_SCORE, stage, at, score_of(l, a, env, stage));
}

/* Visible: the mask holds and the score is not -inf. The second is asked only where the first holds. */
static ir_expr visible_at(fe_lower *l, fe_attend *a, const fe_env *env)
{
    const ir_expr *at = positions(l, a, env);
    ir_expr v;
    if (recall(a, MEMO_VISIBLE, 0, at, &v)) return v;
    ir_expr m = mask_at(l, a, env);
    fe_env inner = fe_assume(l, env, m);
    ir_expr s = score_at(l, a, &inner, a->n_score);
    return remember(l, a, MEMO_VISIBLE, 0, at, m && s ? ir_and(l->u, m, fe_not_minus_inf(l, s)) : 0);
}

/* ---- weights */

/* The keys of one row, bound to variables of their own, which vars gets.
 * At the attend's own pair these are the variables that a->env has bound already. Elsewhere, as in `w[h = g]`, ranges are lowered
 * again where they may depend on an index that has another value there; a literal or an extent cannot. That finds no new
 * mistake in the text: it was an integer when the key was bound. */
static fe_env row_env(fe_lower *l, fe_attend *a, const fe_env *env, ir_var *vars)
{
    fe_env row = *env;
    bool own = is_own(a, env);
    for (uint32_t k = 0; k < a->keys.n; k++) {
        const key_index *key = &a->keys.at[k];
        fe_index index = key->index;
        if (!own) {
            ir_expr lo = index.lo, hi = index.hi;
            if (key->item->kind == FE_ITEM_RANGE && !ir_is_int(l->u, lo, NULL)) lo = fe_lower_int(l, &row, key->item->e, "");
            if (key->item->kind == FE_ITEM_RANGE && !fe_of_dims(l, hi)) hi = fe_lower_int(l, &row, key->item->hi, "");
            index = fe_index_over(l, key->name, lo, hi);
            row = fe_bind_index(l, &row, key->name, &index, 1);
        }
        vars[k] = index.var;
    }
    return row;
}

/* One row: all keys of one query. vars are what reductions over the row bind; score and visible are those of the pair that the
 * vars stand for; most and sum are max(s) and sum(exp(s - max)) over the visible ones. 0: poison. */
typedef struct { ir_var vars[IR_AXES]; uint32_t n; ir_expr visible, score, most, sum; } row;

/* Over the visible keys of a row; any mistake in a part makes it poison. */
static ir_expr row_reduce(fe_lower *l, const row *r, ir_red kind, ir_expr body)
{
    for (uint32_t k = 0; k < r->n; k++)
        if (!r->vars[k]) return 0;
    return r->visible && body ? ir_reduce(l->u, kind, r->n, r->vars, r->visible, body) : 0;
}

/* max and sum(exp) over the visible pairs of the row that env stands in */
static row row_at(fe_lower *l, fe_attend *a, const fe_env *env)
{
    row r = {.n = a->keys.n};
    fe_env keys = row_env(l, a, env, r.vars);
    r.visible = visible_at(l, a, &keys);
    r.score = score_at(l, a, &keys, a->n_score);
    r.most = row_reduce(l, &r, IR_RED_MAX, r.score);
    r.sum = r.most ? row_reduce(l, &r, IR_RED_SUM, ir_op1(l->u, IR_EXP, ir_sub(l->u, r.score, r.most))) : 0;
    return r;
}

/* `weights = softmax(j: s)` over all keys says what is meant without it.
 * The names may stand in any order. Only for clauses of the attend itself: in a variant the keys have the names of its formals. */
static bool is_default(const fe_lower *l, const fe_attend *a, const fe_expr *e)
{
    if (e->kind != FE_CALL || strcmp(e->call.name.text, "softmax") != 0 || e->call.args->n != 1 || e->call.binders->n != a->keys.n) return false;
    const fe_expr *arg = e->call.args->at[0].e;
    if (arg->kind != FE_NAME || arg->name.text != l->program->word_s) return false;
    for (uint32_t k = 0; k < a->keys.n; k++) {
        bool found = false;
        for (uint32_t i = 0; i < a->keys.n; i++) {
            const fe_item *item = &e->call.binders->at[i];
            found = found || (item->kind == FE_ITEM_EXPR && item->e->kind == FE_NAME && item->e->name.text == a->keys.at[k].name);
        }
        if (!found) return false;
    }
    return true;
}

/* In weights and adjust s is the final score, and reductions run over visible pairs. */
static fe_env weights_env(fe_lower *l, fe_attend *a, const fe_env *env)
{
    fe_env inner = with_score(l, a, env, a->n_score, true);
    inner.vis = visible_pairs(l, a);
    return inner;
}

/* The clause if there is one, else the softmax over all keys. */
static ir_expr weights_of(fe_lower *l, fe_attend *a, const fe_env *env)
{
    for (uint32_t k = 0; k < a->clauses.n; k++) {
        const clause *c = &a->clauses.at[k];
        if (c->kind != CLAUSE_WEIGHTS || (!c->scope && is_default(l, a, c->text->e))) continue;
        fe_env inner = weights_env(l, a, env);
        return clause_env(l, a, k, &inner) ? fe_lower_real(l, &inner, c->text->e) : 0;
    }
    /* Not divided by zero: the pair is visible, so its own exp is in the sum, and the largest of them is exp(0). */
    row r = row_at(l, a, env);
    ir_expr s = score_at(l, a, env, a->n_score);
    if (!s || !r.most || !r.sum) return 0;
    return ir_op2(l->u, IR_DIV, ir_op1(l->u, IR_EXP, ir_sub(l->u, s, r.most)), r.sum);
}

/* w of the n-th line is what the line before made of it.
 * Stage 0, the weights themselves, is what the first line sees. */
static ir_expr adjusted_of(fe_lower *l, fe_attend *a, const fe_env *env, uint32_t stage)
{
    uint32_t k = clause_number(a, CLAUSE_ADJUST, stage);
    fe_env inner = weights_env(l, a, env);
    inner = fe_bind_thunk(l, &inner, l->program->word_w, pair_thunk(l, a, FE_THUNK_WEIGHT, stage - 1, false));
    return clause_env(l, a, k, &inner) ? fe_lower_real(l, &inner, a->clauses.at[k].text->e) : 0;
}

/* Evaluated only where the pair is visible, so no test for that stands inside.
 * Both facts are assumed for the text, where s and w at this very pair are then read without a select around them. */
static ir_expr weight_at(fe_lower *l, fe_attend *a, const fe_env *env, uint32_t stage)
{
    const ir_expr *at = positions(l, a, env);
    ir_expr w;
    if (recall(a, MEMO_WEIGHT, stage, at, &w)) return w;
    fe_env inner = fe_assume(l, env, mask_at(l, a, env));
    inner = fe_assume(l, &inner, visible_at(l, a, env));
    return remember(l, a, MEMO_WEIGHT, stage, at, stage ? adjusted_of(l, a, &inner, stage) : weights_of(l, a, &inner));
}

/* s and w as clauses see them: where the pair is not known to be visible, -inf and 0 stand for the hidden. */
ir_expr fe_attend_thunk(fe_lower *l, const fe_thunk *t, const fe_env *cur)
{
    fe_attend *a = t->attend;
    fe_env env = pair_env(l, a, cur);
    if (t->kind == FE_THUNK_VISIBLE) return visible_at(l, a, &env);
    if (t->kind == FE_THUNK_WEIGHT) {
        ir_expr v = visible_at(l, a, &env), w = weight_at(l, a, &env, t->stage);
        if (!v || !w || fe_is_assumed(l, cur, v)) return w;
        return ir_select(l->u, v, w, ir_real(l->u, 0.0));
    }
    ir_expr s = score_at(l, a, &env, t->stage);
    /* A score of -inf needs no test: it says itself that the pair is hidden. What is left is the mask. */
    if (!t->final || !s) return s;
    ir_expr m = mask_at(l, a, &env);
    if (!m || fe_is_assumed(l, cur, m) || fe_is_assumed(l, cur, visible_at(l, a, &env))) return s;
    return ir_select(l->u, m, s, ir_real(l->u, -INFINITY));
}

/* ---- making one */

static void clauses_add(fe_lower *l, const fe_env *env, fe_attend *a, const fe_clauses *clauses, const fe_module *module, const scope *s, uint32_t depth);

/* A variant's clauses take the place of the line that uses it; `s` is the chain of variants around, which must not hold it already. */
static void variant_add(fe_lower *l, const fe_env *env, fe_attend *a, const fe_clause *c, const fe_module *module, const scope *s, uint32_t depth)
{
    /* Names in a variant's clauses are those of the file that declares it. */
    fe_env there = *env;
    there.module = module;
    fe_decl *variant = fe_find(l, &there, FE_SPACE_VARIANT, c->name);
    if (!variant) {
        /* A mask function of the library where a variant is wanted is the likely slip. */
        bool function = fe_find(l, &there, FE_SPACE_FUNCTION, c->name) != NULL;
        const char *hint = function ? base_printf(l->arena, "'%s' is a function: write it in a clause, mask = %s(...)", c->name.text, c->name.text) : NULL;
        fe_expected(fe_report(l, env, BASE_MSG_NO_VARIANT, c->name.at, c->name.text), NULL, NULL, hint);
        return;
    }
    /* Only the chain around counts: the same variant twice side by side is two uses, which compose. */
    for (const scope *o = s; o; o = o->outer)
        if (o->variant == variant) {
            fe_report(l, env, BASE_MSG_RECURSION, variant->name.at, variant->name.text);
            return;
        }
    if (depth > FE_MAX_CALLS) {
        a->too_many = true;
        fe_report(l, env, BASE_MSG_EXPANSION, c->at);
        return;
    }
    scope inner = {c, variant, s};
    clauses_add(l, env, a, variant->variant.clauses, variant->module, base_copy(l->arena, &inner, sizeof inner), depth + 1);
}

/* scale and weights say one thing each; the others compose. */
static bool once(fe_lower *l, const fe_env *env, const fe_attend *a, clause_kind kind, const fe_clause *c)
{
    for (uint32_t k = 0; k < a->clauses.n; k++)
        if (a->clauses.at[k].kind == kind) {
            base_diag *diag = fe_report(l, env, BASE_MSG_CLAUSE_TWICE, c->name.at, c->name.text);
            if (diag) base_diag_note(l->diags, diag, fe_at(l, a->clauses.at[k].text->name.at), "the first one is here");
            return false;
        }
    return true;
}

/* Names of clauses are no keywords, so they are told apart here. */
static void clause_add(fe_lower *l, const fe_env *env, fe_attend *a, const fe_clause *c, const scope *s)
{
    static const char *const names[] = {"scale", "score", "mask", "weights", "adjust"};
    uint32_t kind = 0;
    while (kind < CLAUSE_LET && strcmp(names[kind], c->name.text) != 0) kind++;
    if (c->kind == FE_CLAUSE_LET) kind = CLAUSE_LET;
    else if (kind == CLAUSE_LET) {
        base_diag *diag = fe_report(l, env, BASE_MSG_NO_CLAUSE, c->name.at, c->name.text);
        fe_expected(diag, "scale, score, mask, weights, adjust, let or with", NULL, NULL);
        return;
    }
    if ((kind == CLAUSE_SCALE || kind == CLAUSE_WEIGHTS) && !once(l, env, a, (clause_kind)kind, c)) return;
    if (kind == CLAUSE_SCALE && a->text->attend.operands->n == 2) fe_report(l, env, BASE_MSG_SCALE_ALONE, c->at);
    a->n_score += kind == CLAUSE_SCORE;
    a->n_adjust += kind == CLAUSE_ADJUST;
    clause flat = {(clause_kind)kind, c, s};
    BASE_PUSH(l->arena, &a->clauses, flat);
}

/* All clauses flat, in the order in which they take effect.
 * Variants may use variants twice each, which doubles with every level: hence the bound on their number. `too_many` stops all
 * levels at the one report. */
static void clauses_add(fe_lower *l, const fe_env *env, fe_attend *a, const fe_clauses *clauses, const fe_module *module, const scope *s, uint32_t depth)
{
    for (uint32_t k = 0; k < clauses->n; k++) {
        if (a->too_many) return;
        if (a->clauses.n > MAX_CLAUSES) {
            a->too_many = true;
            fe_report(l, env, BASE_MSG_EXPANSION, a->text->at);
            return;
        }
        const fe_clause *c = &clauses->at[k];
        if (c->kind == FE_CLAUSE_WITH) variant_add(l, env, a, c, module, s, depth);
        else clause_add(l, env, a, c, s);
    }
}

/* The index is missing from the other operand, or from the left side. */
static void report_role(fe_lower *l, const fe_env *env, fe_name name, const char *where)
{
    base_diag *diag = fe_report(l, env, BASE_MSG_ROLE, name.at, name.text, where);
    const char *hint = "put it on the left or before the colon; an index that stands in q and k alike is summed";
    fe_expected(diag, NULL, NULL, hint);
}

static bool has_name(const fe_names *names, const char *name)
{
    for (uint32_t k = 0; k < names->n; k++)
        if (names->at[k].text == name) return true;
    return false;
}

/* Indices that stand in q and k alike and mean nothing else are summed.
 * Every other free name of an operand is a mistake: nothing says over what it runs. Goes on after one, to tell them all. */
static bool find_sums(fe_lower *l, fe_attend *a)
{
    const fe_items *operands = a->text->attend.operands;
    if (operands->n != 3) return true;
    fe_names in_q = {0}, in_k = {0}, in_v = {0};
    fe_free_names(l, &a->env, operands->at[0].e, &in_q);
    fe_free_names(l, &a->env, operands->at[1].e, &in_k);
    fe_free_names(l, &a->env, operands->at[2].e, &in_v);
    bool ok = true;
    for (uint32_t k = 0; k < in_k.n; k++)
        if (!has_name(&in_q, in_k.at[k].text)) report_role(l, &a->env, in_k.at[k], "k"), ok = false;
    for (uint32_t k = 0; k < in_v.n; k++) report_role(l, &a->env, in_v.at[k], "v"), ok = false;
    for (uint32_t k = 0; k < in_q.n; k++) {
        if (!has_name(&in_k, in_q.at[k].text)) {
            report_role(l, &a->env, in_q.at[k], "q");
            ok = false;
            continue;
        }
        fe_stands stands = {0};
        for (uint32_t i = 0; i < 2; i++) fe_stands_of(l, &a->env, in_q.at[k].text, operands->at[i].e, &stands);
        contracted c = {in_q.at[k].text, fe_index_over(l, in_q.at[k].text, ir_int(l->u, 0), fe_extent(l, &a->env, in_q.at[k], &stands))};
        ok = ok && c.index.at;
        /* Poison is bound too, so that the name is no unbound one. A name beyond the limit is, and is reported where it is read. */
        if (a->sums.n < IR_AXES) BASE_PUSH(l->arena, &a->sums, c);
    }
    return ok;
}

/* All single indices in scope: at other values of any of them the pair is another one. */
static void set_names(fe_lower *l, fe_attend *a)
{
    BASE_VEC(const char *) names = {0};
    for (const fe_binding *b = a->env.first; b; b = b->next) {
        /* Hidden by an inner binding of the same name: text cannot mean it. */
        bool seen = b->thunk || b->n != 1 || fe_bound(&a->env, b->name) != b;
        if (!seen) BASE_PUSH(l->arena, &names, b->name);
    }
    a->names = names.at;
    a->n_names = names.n;
}

/* A key whose range moves but stays inside of the axis that it alone reads runs along that axis, with the range in the mask.
 * So `j in 0..i + 1` and all rows share one rectangular space. key_test sees that the index no longer runs over just lo..hi.
 * Operands are lowered here only to see which axes they read; clauses do not count, since they may be guarded. */
static bool use_axes(fe_lower *l, fe_attend *a, const fe_bound_indices *bound)
{
    const fe_items *operands = a->text->attend.operands;
    fe_env inner = a->env;
    ir_expr bodies[3] = {0};
    bool any = false;
    for (uint32_t k = 0; k < bound->n; k++) any = any || bound->at[k].ragged;
    if (!any) return true;
    for (uint32_t k = 0; k < a->sums.n; k++) inner = fe_bind_index(l, &inner, a->sums.at[k].name, &a->sums.at[k].index, 1);
    for (uint32_t k = 0; k < operands->n; k++) {
        bodies[k] = fe_lower_expr(l, &inner, operands->at[k].e);
        if (!bodies[k]) return false;
    }
    for (uint32_t k = 0; k < bound->n; k++) {
        ir_expr axis = bound->at[k].ragged ? fe_axis_of(l, bound->at[k].index.at, bodies, operands->n) : 0;
        if (!fe_is_within(l, &bound->at[k].index, axis)) continue;
        a->keys.at[k].index = fe_index_over(l, a->keys.at[k].name, ir_int(l->u, 0), axis);
        a->env = fe_bind_index(l, &a->env, a->keys.at[k].name, &a->keys.at[k].index, 1);
    }
    return true;
}

/* Keys get their extents from operands and clauses alike: a key may stand in a table of the mask alone. */
static bool bind_keys(fe_lower *l, fe_attend *a, fe_bound_indices *bound)
{
    const fe_expr *e = a->text;
    const fe_expr **texts = BASE_ARRAY(l->arena, e->attend.operands->n + e->attend.clauses->n, const fe_expr *);
    uint32_t n = 0;
    for (uint32_t k = 0; k < e->attend.operands->n; k++) texts[n++] = e->attend.operands->at[k].e;
    for (uint32_t k = 0; k < e->attend.clauses->n; k++)
        if (e->attend.clauses->at[k].kind != FE_CLAUSE_WITH) texts[n++] = e->attend.clauses->at[k].e;
    /* A `with` has arguments, no text of its own: what a variant reads gives no extents. */
    if (!fe_bind_all(l, &a->env, e->attend.binders, texts, n, bound)) return false;
    /* Keys and binders pair up: only index formals stand for several indices, and functions hold no attend. The limit is the other half. */
    if (bound->n != e->attend.binders->n || bound->n > IR_AXES) {
        fe_report(l, &a->env, BASE_MSG_RANK_LIMIT, e->at, "attend", (int)IR_AXES);
        return false;
    }
    for (uint32_t k = 0; k < bound->n; k++) {
        key_index key = {bound->at[k].index, &e->attend.binders->at[k], bound->at[k].name};
        BASE_PUSH(l->arena, &a->keys, key);
    }
    return true;
}

/* An extent that is not known since its tensor is wrong: the mistake is told where the tensor is read. */
static void tell_text(fe_lower *l, fe_attend *a)
{
    const fe_items *operands = a->text->attend.operands;
    const fe_index unknown = {0};
    fe_env inner = a->env;
    for (uint32_t k = 0; k < a->sums.n; k++) inner = fe_bind_index(l, &inner, a->sums.at[k].name, &a->sums.at[k].index, 1);
    for (uint32_t k = 0; k < operands->n; k++) fe_lower_expr(l, &inner, operands->at[k].e);
    /* s, w and lets as indices of unknown position: poison, so that the texts below are not blamed for using them. */
    inner = fe_bind_index(l, &inner, l->program->word_s, &unknown, 1);
    inner = fe_bind_index(l, &inner, l->program->word_w, &unknown, 1);
    for (uint32_t k = 0; k < a->text->attend.clauses->n; k++) {
        const fe_clause *c = &a->text->attend.clauses->at[k];
        if (c->e) fe_lower_expr(l, &inner, c->e);
        if (c->kind == FE_CLAUSE_LET) inner = fe_bind_index(l, &inner, c->name.text, &unknown, 1);
    }
}

/* Clauses first, since variants are found by their names; then keys, then what is summed.
 * Failing without a word happens where an extent is that of a tensor that is itself wrong (stand_add): tell_text then reads it, so
 * that nobody is left without a message. The names come last, since keys may have been bound anew. */
fe_attend *fe_attend_create(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    const fe_items *operands = e->attend.operands;
    bool plain = operands->n == 2 || operands->n == 3;
    for (uint32_t k = 0; k < operands->n; k++) plain = plain && operands->at[k].kind == FE_ITEM_EXPR;
    if (!plain) {
        base_diag *diag = fe_report(l, env, BASE_MSG_OPERANDS, e->at);
        fe_expected(diag, "attend(keys: q, k, v) or attend(keys: score, v)", base_printf(l->arena, "%u operand%s", operands->n, operands->n == 1 ? "" : "s"), NULL);
        return NULL;
    }
    fe_attend *a = BASE_NEW(l->arena, fe_attend);
    a->text = e;
    a->env = *env;
    /* Inside of another attend's weights clause, the restriction to visible pairs is that one's, not this one's. */
    a->env.vis = NULL;
    uint32_t before = l->failures;
    fe_bound_indices bound = {0};
    clauses_add(l, env, a, e->attend.clauses, env->module, NULL, 0);
    bool ok = bind_keys(l, a, &bound);
    if (ok || l->failures == before) ok = find_sums(l, a) && ok;
    ok = ok && use_axes(l, a, &bound);
    if (!ok && l->failures == before) tell_text(l, a);
    if (!ok) return NULL;
    set_names(l, a);
    return l->failures == before ? a : NULL;
}

/* The test for a visible key stands around the sum: a row without one gives 0 whatever the weights are. */
ir_expr fe_attend_value(fe_lower *l, fe_attend *a)
{
    ir_unit *u = l->u;
    const fe_items *operands = a->text->attend.operands;
    ir_expr m = mask_at(l, a, &a->env), v = visible_at(l, a, &a->env);
    fe_env inner = fe_assume(l, &a->env, m);
    inner = fe_assume(l, &inner, v);
    ir_expr w = v ? weight_at(l, a, &inner, a->n_adjust) : 0;
    ir_expr value = fe_lower_real(l, &inner, operands->at[operands->n - 1].e);
    if (!v || !w || !value) return 0;
    row r = {.n = a->keys.n, .visible = v};
    for (uint32_t k = 0; k < r.n; k++) r.vars[k] = a->keys.at[k].index.var;
    /* v is multiplied only at visible pairs: what stands behind the mask, NaN even, never gets into the sum. */
    ir_expr some = row_reduce(l, &r, IR_RED_ANY, ir_bool(u, true));
    return ir_select(u, some, row_reduce(l, &r, IR_RED_SUM, ir_mul(u, w, value)), ir_real(u, 0.0));
}

/* Of the visible final scores, whatever the weights say.
 * The sum is at least exp(0) where a key is visible, so the logarithm is that of a positive number. */
ir_expr fe_attend_lse(fe_lower *l, fe_attend *a)
{
    ir_unit *u = l->u;
    row r = row_at(l, a, &a->env);
    if (!r.most || !r.sum) return 0;
    ir_expr some = row_reduce(l, &r, IR_RED_ANY, ir_bool(u, true));
    return ir_select(u, some, ir_add(u, r.most, ir_op1(u, IR_LOG, r.sum)), ir_real(u, -INFINITY));
}

/* lse has those axes of the left side on which the weights depend: not the one of v. */
ir_set fe_attend_depends(fe_lower *l, fe_attend *a)
{
    ir_expr v = visible_at(l, a, &a->env), s = score_at(l, a, &a->env, a->n_score);
    ir_set set = v && s ? ir_set_union(l->u, ir_free(l->u, v), ir_free(l->u, s)) : 0;
    ir_expr w = v && s ? weight_at(l, a, &a->env, a->n_adjust) : 0;
    return w ? ir_set_union(l->u, set, ir_free(l->u, w)) : set;
}

/* Types and dimensions. A dimension is a name, a literal, or integer arithmetic on those. Names of dimensions belong to a graph; those
 * in the types of a file's params belong to the file, and all its graphs share them. */
#include <string.h>
#include "lower.h"

/* ---- element types */

static const char *const later_types[] = {"f16", "bf16", "f8e4m3", "i8", "u8"};

/* `dim` is no element type: an input of it is a number that shapes may use. dim[N] is not that, and is refused as an unknown type. */
bool fe_is_dim_type(const fe_type *type) { return strcmp(type->element.text, "dim") == 0 && type->dims->n == 0; }

/* Types of later versions are known by name, so that they are not taken for misspellings. The table of the IR's types is the
 * language's: a row there is a word here. */
ir_dtype fe_element(fe_lower *l, const fe_env *env, const fe_type *type)
{
    const char *text = type->element.text;
    for (int k = 0; k < IR_N_DTYPES; k++)
        if (strcmp(ir_dtypes[k].text, text) == 0) return (ir_dtype)k;
    for (size_t k = 0; k < sizeof later_types / sizeof *later_types; k++)
        if (strcmp(later_types[k], text) == 0) {
            fe_not_yet(l, env, type->element.at, base_printf(l->arena, "element type '%s'", text));
            return IR_N_DTYPES;
        }
    fe_expected(fe_report(l, env, BASE_MSG_NO_TYPE, type->element.at, text), "f32, f64, i32, i64 or bool", NULL, NULL);
    return IR_N_DTYPES;
}

/* ---- names */

/* A symbol, and where it was first named: that is the place to complain about if nothing binds it. dim_at is indexed by symbols, whose
 * numbers need not start where it ends. */
ir_expr fe_new_dim(fe_lower *l, fe_name name)
{
    ir_dim d = ir_dim_new(l->u, name.text);
    while (l->dim_at.n <= d) BASE_PUSH(l->arena, &l->dim_at, name.at);
    l->dim_at.at[d] = name.at;
    /* Symbols are numbered in the order of the text, so the numbers mean the same in every lowering of a graph. */
    for (uint32_t k = 0; k < l->n_fixed; k++)
        if (l->fixed[k].dim == d) ir_dim_fix(l->u, d, l->fixed[k].value);
    return ir_dim_expr(l->u, d);
}

/* The symbol that a name means whose expression is a symbol, or the number in its place. */
ir_dim fe_dim_id(const fe_lower *l, const char *name, ir_expr e)
{
    if (ir_is(l->u, e, IR_DIM)) return ir_at(l->u, e)->u.ref;
    ir_dim d = l->u->dim.n - 1;
    while (d > 0 && !(l->u->dim.at[d].fixed && !strcmp(l->u->dim.at[d].name, name))) d--;
    return d;
}

/* In the frame of the host's graph e is a symbol, in that of a called graph what the arguments say. Callers bind names that are free:
 * a second binding would take the place of the first for all that follows. */
void fe_frame_dim(fe_lower *l, fe_frame *f, const char *name, ir_expr e)
{
    uint32_t k = BASE_PUSH(l->arena, &f->dim, e) + 1;
    base_map_put(f->dims, name, k);
}

/* The first place at which the name stands in a dimension, which is made of names, literals and operators; *at is set only if there is
 * one. */
static bool mentions(const fe_expr *e, const char *name, base_span *at)
{
    if (!e) return false;
    if (e->kind == FE_NAME && e->name.text == name) {
        *at = e->at;
        return true;
    }
    if (e->kind < FE_NEG || e->kind > FE_OR) return false;
    return mentions(e->op.a, name, at) || mentions(e->op.b, name, at);
}

/* For params: which of them can say how large a dimension of the file is. Parts of a packed axis mention names as axes do. */
static bool type_mentions(const fe_type *type, const char *name, base_span *at)
{
    for (uint32_t k = 0; k < type->dims->n; k++) {
        const fe_dim *d = &type->dims->at[k];
        if (d->kind != FE_DIM_PACKED && mentions(d->e, name, at)) return true;
        for (uint32_t i = 0; d->kind == FE_DIM_PACKED && i < d->parts->n; i++)
            if (mentions(d->parts->at[i].e, name, at)) return true;
    }
    return false;
}

/* The next param of the file, from *k on, whose type mentions the name; *k moves behind it, so the caller can ask for the next. NULL:
 * no more. */
static const fe_decl *param_with(const fe_module *m, const char *name, uint32_t *k, base_span *at)
{
    for (; *k < m->decls.n; ++*k)
        if (m->decls.at[*k]->kind == FE_DECL_PARAM && type_mentions(m->decls.at[*k]->param.type, name, at)) return m->decls.at[(*k)++];
    return NULL;
}

/* Dimensions of the graph, then those that params of the file name. The latter become symbols when they are first used, one for each
 * name and file, shared by all frames of the file. A declaration of the name wins: then it is nothing to be bound. */
bool fe_dim_of(fe_lower *l, const fe_env *env, fe_name name, ir_expr *out)
{
    uint32_t k;
    if (env->frame && base_map_get(env->frame->dims, name.text, &k)) {
        *out = env->frame->dim.at[k - 1];
        return true;
    }
    for (k = 0; k < l->file_dims.n; k++)
        if (l->file_dims.at[k].module == env->module && l->file_dims.at[k].name == name.text) {
            *out = ir_dim_expr(l->u, l->file_dims.at[k].dim);
            return true;
        }
    bool clash;
    k = 0;
    if (fe_resolve(env->module, FE_SPACE_VALUE, name.text, &clash) || !param_with(env->module, name.text, &k, &name.at)) return false;
    *out = fe_new_dim(l, name);
    fe_file_dim d = {env->module, name.text, fe_dim_id(l, name.text, *out)};
    BASE_PUSH(l->arena, &l->file_dims, d);
    return true;
}

/* ---- shapes */

/* Free names are reported as dimensions, before lowering would call them names that are bound by nothing. fe_of_dims lets counters of
 * loops pass, ir_free refuses them: a dimension does not change while the graph runs. */
ir_expr fe_dim_expr(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    fe_names unknown = {0};
    fe_free_names(l, env, e, &unknown);
    for (uint32_t k = 0; k < unknown.n; k++) fe_report(l, env, BASE_MSG_DIM_UNBOUND, unknown.at[k].at, unknown.at[k].text);
    ir_expr x = unknown.n ? 0 : fe_lower_int(l, env, e, "a dimension is an integer");
    if (!x) return 0;
    if (fe_of_dims(l, x) && ir_free(l->u, x) == 0) return x;
    fe_report(l, env, BASE_MSG_DIM_FORM, e->at);
    return 0;
}

/* One axis, or one part of a packed axis. `joined` parts continue the host axis of the part before. The flags are made when the first
 * is needed, as most types have none; base_alloc zeroes those before. An extent that is wrong takes its place as poison, so that the
 * axes after it are looked at too. */
static bool shape_add(fe_lower *l, const fe_env *env, const fe_dim *d, const char *who, bool joined, fe_shape *out)
{
    if (d->kind == FE_DIM_GROWING) {
        fe_not_yet(l, env, d->at, "a growing axis");
        return false;
    }
    if (out->type.rank == IR_RANK) {
        fe_report(l, env, BASE_MSG_RANK_LIMIT, d->at, who, (int)IR_RANK);
        return false;
    }
    ir_expr e = fe_dim_expr(l, env, d->e);
    if (joined && !out->packed) out->packed = BASE_ARRAY(l->arena, IR_RANK, uint8_t);
    if (joined) out->packed[out->type.rank] = 1;
    out->type.dim[out->type.rank++] = e;
    return e != 0;
}

/* All axes are looked at, also after one that is wrong: each mistake is told. A shape that failed is marked as poison, for those who
 * meet it later. */
bool fe_type_shape(fe_lower *l, const fe_env *env, const fe_type *type, const char *who, fe_shape *out)
{
    *out = (fe_shape){0};
    ir_dtype dtype = fe_element(l, env, type);
    bool ok = dtype != IR_N_DTYPES;
    out->type.dtype = (uint8_t)dtype;
    for (uint32_t k = 0; k < type->dims->n; k++) {
        const fe_dim *d = &type->dims->at[k];
        if (d->kind != FE_DIM_PACKED) ok = shape_add(l, env, d, who, false, out) && ok;
        for (uint32_t i = 0; d->kind == FE_DIM_PACKED && i < d->parts->n; i++) ok = shape_add(l, env, &d->parts->at[i], who, i > 0, out) && ok;
    }
    out->poison = !ok;
    return ok;
}

/* ---- what binds a dimension when the host calls: an axis that it alone is, or in whose product or sum it is the one unknown */

/* Of one axis: which of its dimensions is unknown, how many are, and whether it is made of operators that can be undone. */
typedef struct { const ir_unit *u; const bool *bound; ir_dim unknown; uint32_t n_unknown; bool simple; } solve;

/* Only sums, differences and products of dimensions can be solved for one of them. The walk sees each expression once, so N * N counts
 * as one unknown. */
static bool solve_visit(const ir_unit *u, void *env, ir_expr e)
{
    solve *s = env;
    switch (ir_at(u, e)->op) {
    case IR_DIM:
        if (!s->bound[ir_at(u, e)->u.ref]) s->unknown = ir_at(u, e)->u.ref, s->n_unknown++;
        return true;
    case IR_INT: case IR_ADD: case IR_SUB: case IR_MUL: case IR_NEG: return true;
    default: s->simple = false; return true;
    }
}

/* One host axis, the product of the packed ones, binds at most one symbol. Whether the size that comes fits is tested when tensors are
 * bound; here it only matters that it determines the symbol. */
static bool axis_binds(fe_lower *l, ir_expr axis, bool *bound)
{
    solve s = {.u = l->u, .bound = bound, .simple = true};
    if (!axis) return false;
    ir_walk(l->u, axis, solve_visit, &s);
    if (s.n_unknown != 1 || !s.simple) return false;
    bound[s.unknown] = true;
    return true;
}

/* Axes as the host sees them: packed ones multiplied, each group one equation. true if a symbol was bound by it. */
static bool type_binds(fe_lower *l, const ir_type *type, const uint8_t *packed, bool *bound)
{
    bool any = false;
    for (uint32_t k = 0; k < type->rank;) {
        ir_expr axis = type->dim[k++];
        for (; axis && packed && k < type->rank && packed[k]; k++) axis = ir_mul(l->u, axis, type->dim[k]);
        any = axis_binds(l, axis, bound) || any;
    }
    return any;
}

/* One binding may make another dimension the only unknown of its axis, so it goes on until nothing changes. Each turn but the last
 * binds a symbol. Constant tables have no symbols in their shapes, so only inputs and params are asked. */
static void solve_all(fe_lower *l, bool *bound)
{
    bool any = true;
    for (uint32_t k = 0; k < l->scalar_dims.n; k++) bound[l->scalar_dims.at[k]] = true;
    while (any) {
        any = false;
        for (uint32_t k = 0; k < l->inputs.n; k++) {
            const ir_node *node = l->inputs.at[k];
            any = type_binds(l, fe_value_type(l, node->source.value), node->source.packed, bound) || any;
        }
        for (uint32_t k = 0; k < l->sources.n; k++) {
            const ir_node *node = l->sources.at[k].node;
            if (node && node->form == IR_FORM_PARAM) any = type_binds(l, fe_value_type(l, node->source.value), node->source.packed, bound) || any;
        }
    }
}

/* A dimension of the file is bound by a param that mentions it, which the graph then reads for that. All such params are brought:
 * which of them can be solved shows in the next turn. true if any is new. */
static bool bring_params(fe_lower *l, fe_frame *f, const bool *bound)
{
    uint32_t before = l->sources.n;
    for (uint32_t k = 0; k < l->file_dims.n; k++) {
        const fe_file_dim *d = &l->file_dims.at[k];
        uint32_t i = 0;
        base_span at;
        const fe_decl *param;
        fe_env env = {.module = d->module, .frame = f};
        if (bound[d->dim]) continue;
        while ((param = param_with(d->module, d->name, &i, &at))) fe_source_of(l, &env, param, at);
    }
    return l->sources.n > before;
}

/* Asked at the end of a graph, when it is known which params it reads. Params that are brought may name dimensions of the file that
 * are new in turn; there are finitely many params, so it ends. `bound` is made anew each time, as there may be more symbols by then. */
bool fe_dims_are_bound(fe_lower *l, fe_frame *f)
{
    bool ok = true, *bound;
    do {
        bound = BASE_ARRAY(l->arena, l->u->dim.n + 2, bool);
        solve_all(l, bound);
    } while (bring_params(l, f, bound));
    for (ir_dim d = 1; d < l->dim_at.n && d < l->u->dim.n; d++) {
        if (bound[d] || l->u->dim.at[d].fixed) continue;
        fe_env env = fe_env_of_frame(f);
        base_diag *diag = fe_report(l, &env, BASE_MSG_DIM_UNBOUND, l->dim_at.at[d], l->u->dim.at[d].name);
        fe_expected(diag, "an axis that it alone is, or in whose product or sum it is the one unknown", NULL,
                    base_printf(l->arena, "an input %s: dim gives it too", l->u->dim.at[d].name));
        ok = false;
    }
    return ok;
}

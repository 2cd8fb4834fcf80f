/* What a name means where it stands: first what is taken by name and indices, then the graph's own names, dimensions, constants and
 * parameters of its file and imports, last true, false, inf, pi.
 * A tensor here is a value with positions for its leading axes: a slice that a call or a loop has taken. Its rank is that of what is left. */
#include <string.h>
#include "lower.h"

/* The pointer is into the unit's table: not to be kept while values are added. */
const ir_type *fe_value_type(const fe_lower *l, ir_value value) { return &l->u->value.at[value].type; }
uint32_t fe_tensor_rank(const fe_lower *l, const fe_tensor *t) { return fe_value_type(l, t->value)->rank - t->n_fixed; }
ir_expr fe_tensor_dim(const fe_lower *l, const fe_tensor *t, uint32_t axis) { return fe_value_type(l, t->value)->dim[axis + t->n_fixed]; }

/* Reports a clash of imports once; the caller treats it like a name that is not there. */
fe_decl *fe_find(fe_lower *l, const fe_env *env, fe_space space, fe_name name)
{
    bool clash;
    fe_decl *d = fe_resolve(env->module, space, name.text, &clash);
    if (clash) fe_expected(fe_report(l, env, BASE_MSG_AMBIGUOUS, name.at, name.text), NULL, NULL, "a declaration of that name in this file settles it");
    return d;
}

static fe_found found_bad(void) { return (fe_found){.kind = FE_FOUND_BAD}; }

/* An expression that failed has been reported: the name is there, and its value is the poison. */
static fe_found found_scalar(ir_expr e)
{
    if (!e) return found_bad();
    return (fe_found){.kind = FE_FOUND_SCALAR, .e = e};
}

/* A bare name of rank 0 is a number; with brackets, x[], it would be the tensor. */
static fe_found found_tensor(fe_lower *l, fe_tensor t, bool alone)
{
    if (!t.value) return found_bad();
    /* All its axes are fixed, so the read is complete. */
    if (alone && fe_tensor_rank(l, &t) == 0) return found_scalar(ir_read(l->u, t.value, t.n_fixed, t.fixed));
    return (fe_found){.kind = FE_FOUND_TENSOR, .tensor = t};
}

/* A constant is its expression, lowered where it is used, in the scope of its file. */
static fe_found found_constant(fe_lower *l, const fe_env *env, const fe_decl *d, base_span at)
{
    if (d->value->kind == FE_TABLE) return found_tensor(l, fe_source_of(l, env, d, at), false);
    /* Constants being lowered right now; meeting one of them again would never end. */
    for (uint32_t k = 0; k < l->expanding.n; k++) {
        if (l->expanding.at[k] != d) continue;
        fe_report(l, env, BASE_MSG_RECURSION, d->name.at, d->name.text);
        return found_bad();
    }
    fe_env scope = {.module = d->module, .calls = env->calls};
    if (!d->module) scope = fe_env_of_frame(env->frame);         /* a constant of the graph itself */
    BASE_PUSH(l->arena, &l->expanding, d);
    ir_expr e = fe_lower_expr(l, &scope, d->value);
    l->expanding.n--;
    return found_scalar(e);
}

/* Bodies of functions have no frame and see no params, so that a formula means the same wherever it is used. */
static fe_found found_decl(fe_lower *l, const fe_env *env, const fe_decl *d, base_span at, bool alone)
{
    if (d->kind == FE_DECL_CONST) return found_constant(l, env, d, at);
    /* NONE, not BAD: a dimension of that name, or a word, may still be meant. */
    if (!env->frame) return (fe_found){0};
    if (d->kind == FE_DECL_PARAM) return found_tensor(l, fe_source_of(l, env, d, at), alone);
    fe_not_yet(l, env, at, base_printf(l->arena, "state '%s'", d->name.text));
    return found_bad();
}

/* What a name of the graph is at this statement; statements further down may give it another meaning. */
static fe_found found_slot(fe_lower *l, const fe_env *env, const fe_slot *slot, base_span at, bool alone)
{
    switch (slot->kind) {
    case FE_SLOT_TENSOR: return found_tensor(l, slot->tensor, alone);
    case FE_SLOT_SCALAR:
    case FE_SLOT_COUNTER: return found_scalar(slot->e);
    case FE_SLOT_RECORD: return (fe_found){.kind = FE_FOUND_RECORD, .slot = slot};
    case FE_SLOT_DECL: return found_decl(l, env, slot->decl, at, alone);
    default: return found_bad();
    }
}

/* Words, not keywords: a graph may have a tensor called pi. */
static fe_found found_word(fe_lower *l, const char *name)
{
    if (strcmp(name, "true") == 0) return found_scalar(ir_bool(l->u, true));
    if (strcmp(name, "false") == 0) return found_scalar(ir_bool(l->u, false));
    if (strcmp(name, "inf") == 0) return found_scalar(ir_real(l->u, INFINITY));
    if (strcmp(name, "pi") == 0) return found_scalar(ir_real(l->u, 3.14159265358979323846));
    return (fe_found){0};
}

/* The length of a state's growing axis is a name of the whole file.
 * Asked only so that the message names the state instead of calling the name unknown. */
static bool is_state_length(const fe_module *m, const char *name)
{
    for (uint32_t k = 0; k < m->decls.n; k++) {
        const fe_decl *d = m->decls.at[k];
        for (uint32_t i = 0; d->kind == FE_DECL_STATE && i < d->state.type->dims->n; i++)
            if (d->state.type->dims->at[i].kind == FE_DIM_GROWING && d->state.type->dims->at[i].name.text == name) return true;
    }
    return false;
}

/* The order is the language's: names of the graph, dimensions, constants and params, words. */
static fe_found found_global(fe_lower *l, const fe_env *env, fe_name name, bool alone)
{
    fe_slot *slot = env->frame ? fe_slot_of(env->frame, name.text) : NULL;
    if (slot) return found_slot(l, env, slot, name.at, alone);
    ir_expr dim;
    if (env->frame && fe_dim_of(l, env, name, &dim)) return found_scalar(dim);
    /* fe_find gives NULL for a clash as well, which it has reported: asked again to tell the two apart. */
    bool clash;
    fe_decl *d = fe_find(l, env, FE_SPACE_VALUE, name);
    if (!d && (fe_resolve(env->module, FE_SPACE_VALUE, name.text, &clash), clash)) return found_bad();
    fe_found found = d ? found_decl(l, env, d, name.at, alone) : (fe_found){0};
    if (found.kind != FE_FOUND_NONE) return found;
    /* In a function's body: dimensions named by params of its file, which it may use though it does not see the params. */
    if (!env->frame && fe_dim_of(l, env, name, &dim)) return found_scalar(dim);
    if (is_state_length(env->module, name.text)) {
        fe_not_yet(l, env, name.at, base_printf(l->arena, "the length '%s' of a state", name.text));
        return found_bad();
    }
    return found_word(l, name.text);
}

/* Without brackets: an index or a thunk hides whatever else has that name. */
fe_found fe_lookup(fe_lower *l, const fe_env *env, fe_name name)
{
    const fe_binding *b = fe_bound(env, name.text);
    if (b) return (fe_found){.kind = b->thunk ? FE_FOUND_THUNK : FE_FOUND_INDEX, .binding = b};
    return found_global(l, env, name, true);
}

/* An index may have the name of a tensor: brackets say that the tensor is meant. */
static fe_found lookup_tensor(fe_lower *l, const fe_env *env, fe_name name)
{
    const fe_binding *b = fe_bound(env, name.text);
    if (b && b->thunk) return (fe_found){.kind = FE_FOUND_THUNK, .binding = b};
    fe_found found = found_global(l, env, name, false);
    /* Only an index has that name: the caller says that it has no positions. */
    if (found.kind == FE_FOUND_NONE && b) return (fe_found){.kind = FE_FOUND_INDEX, .binding = b};
    return found;
}

/* t.y of a record, o.lse of an attend. Other names have no fields; what later versions have is named. */
static fe_found found_field(fe_lower *l, const fe_env *env, const fe_expr *base)
{
    fe_name name = base->member.base->name, field = base->member.field;
    fe_slot *slot = env->frame ? fe_slot_of(env->frame, name.text) : NULL;
    /* Not a name that a statement gave: whatever it is, it has no fields. Which message says so depends on whether it is anything. */
    if (!slot || slot->kind == FE_SLOT_DECL) {
        fe_found found = lookup_tensor(l, env, name);
        if (found.kind == FE_FOUND_NONE) fe_report(l, env, BASE_MSG_NO_TENSOR, name.at, name.text);
        else if (found.kind != FE_FOUND_BAD) fe_report(l, env, BASE_MSG_NO_FIELD, field.at, name.text, field.text);
        return found_bad();
    }
    /* What it should have been is told where it was defined. */
    if (slot->kind == FE_SLOT_POISON) return found_bad();
    if (slot->kind != FE_SLOT_RECORD && (strcmp(field.text, "weights") == 0 || strcmp(field.text, "scores") == 0)) {
        fe_not_yet(l, env, field.at, base_printf(l->arena, "'.%s' of an attend", field.text));
        return found_bad();
    }
    for (uint32_t k = 0; k < slot->n_fields; k++)
        if (slot->fields[k].name == field.text) return found_tensor(l, slot->fields[k].tensor, false);
    if (slot->kind == FE_SLOT_RECORD) fe_report(l, env, BASE_MSG_NO_FIELD, field.at, name.text, field.text);
    else fe_report(l, env, field.text == l->program->word_lse ? BASE_MSG_NO_LSE : BASE_MSG_NO_FIELD, field.at, name.text, field.text);
    return found_bad();
}

/* Fields of fields do not exist, so the base is a name or name.field. */
fe_found fe_lookup_base(fe_lower *l, const fe_env *env, const fe_expr *base)
{
    if (base->kind == FE_NAME) return lookup_tensor(l, env, base->name);
    if (base->kind == FE_MEMBER && base->member.base->kind == FE_NAME) return found_field(l, env, base);
    return (fe_found){0};
}

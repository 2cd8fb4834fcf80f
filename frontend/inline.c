/* Calls of graphs. A called graph is lowered in place, in a frame of its own whose inputs are the caller's tensors: no copy, no trace.
 * Its dimensions are bound by the shapes of what it is given, which must fit provably. */
#include <string.h>
#include "lower.h"

/* Starts empty: a called graph sees nothing of its caller but its arguments. It is in no loop either, even if its caller is: its names
 * are its own, so no loop outside can carry them. */
fe_frame *fe_frame_new(fe_lower *l, fe_frame *caller, const fe_decl *graph)
{
    fe_frame *f = BASE_NEW(l->arena, fe_frame);
    f->caller = caller;
    f->decl = graph;
    f->module = graph->module;
    f->dims = base_map_create(l->arena);
    f->names = base_map_create(l->arena);
    f->wants_lse = base_map_create(l->arena);
    f->n_calls = caller ? caller->n_calls + 1 : 0;
    return f;
}

/* Only a call that is the whole right side; inside of expressions it is refused. A graph makes nodes, and an expression is a part of
 * one. */
bool fe_is_graph_call(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    if (e->kind != FE_CALL) return false;
    const fe_decl *d = fe_find(l, env, FE_SPACE_FUNCTION, e->call.name);
    return d && d->kind == FE_DECL_GRAPH;
}

/* ---- arguments */

/* An axis of an input as it is declared, over names of the callee; its extent at the caller; the argument to point at; the input's
 * name. */
typedef struct { const fe_expr *dim; ir_expr actual; base_span at; const char *input; } equation;
typedef struct {
    fe_lower *l;
    fe_frame *caller, *callee;
    const fe_expr *call;                 /* of the graph: FE_CALL */
    BASE_VEC(equation) equations;        /* one for each axis of the tensors bound so far */
} binding;

/* At the argument, with a note at the declaration: either may be the one that is wrong. */
static void report_input(const binding *b, const fe_field *field, base_span at, const char *expected, const char *found)
{
    fe_env env = fe_env_of_frame(b->caller);
    base_diag *diag = fe_report(b->l, &env, BASE_MSG_CALL_TENSOR, at, field->name.text, b->callee->decl->name.text);
    fe_expected(diag, expected, found, NULL);
    if (diag) base_diag_note(b->l->diags, diag, fe_at(b->l, field->at), "it is declared here");
}

/* up[l]: leading axes fixed. Positions are appended to those that the tensor has already: a slice of a slice fixes further axes. They
 * are lowered in the caller's frame, where the counters and dimensions in them mean something. */
static bool slice(const binding *b, const fe_expr *e, fe_tensor *t)
{
    fe_env env = fe_env_of_frame(b->caller);
    uint32_t n = e->index.items->n;
    /* Also what keeps `fixed` in its bounds: fixed axes and the rank left over are at most IR_RANK together. */
    if (n > fe_tensor_rank(b->l, t)) {
        const char *name = e->index.base->kind == FE_NAME ? e->index.base->name.text : e->index.base->member.field.text;
        fe_expected(fe_report(b->l, &env, BASE_MSG_RANK_DIFFERS, e->at, name), base_printf(b->l->arena, "at most %u", fe_tensor_rank(b->l, t)), base_printf(b->l->arena, "%u", n), NULL);
        return false;
    }
    bool ok = true;
    for (uint32_t k = 0; k < n; k++) {
        const fe_item *item = &e->index.items->at[k];
        ir_expr x = item->kind == FE_ITEM_EXPR ? fe_lower_int(b->l, &env, item->e, "an index is an integer") : 0;
        if (item->kind != FE_ITEM_EXPR) fe_report(b->l, &env, BASE_MSG_ITEM_FORM, item->at, "a position is an expression");
        /* Poison keeps its place, so that the count of axes stays right for the next position. */
        t->fixed[t->n_fixed++] = x;
        ok = ok && x;
    }
    return ok;
}

/* up[l] fixes axes, e[i = x] does not: that is an expression evaluated elsewhere, hence a number. */
static bool is_positions(const fe_expr *e)
{
    for (uint32_t k = 0; k < e->index.items->n; k++)
        if (e->index.items->at[k].kind == FE_ITEM_NAMED) return false;
    return e->index.base->kind == FE_NAME || e->index.base->kind == FE_MEMBER;
}

/* An expression for an input of rank 0; an integer becomes a real by itself. It becomes a value in the caller's block, since the
 * callee reads its inputs as tensors. Other mismatches of types are bind_tensor's to report. */
static bool number_argument(const binding *b, const fe_field *field, const fe_expr *e, fe_tensor *out)
{
    fe_lower *l = b->l;
    /* Element types are words of the language, so looking one up needs no frame of the callee. */
    fe_env env = fe_env_of_frame(b->caller), callee = {.module = b->callee->module};
    ir_expr x = fe_lower_expr(l, &env, e);
    ir_dtype dtype = fe_element(l, &callee, field->type);
    if (dtype != IR_N_DTYPES && ir_dtypes[dtype].sort == IR_SORT_REAL) x = fe_real_of(l, x);
    out->value = fe_map(l, e->at, field->name.text, fe_dtype_of(l, x), NULL, 0, x);
    return out->value != 0;
}

/* The tensor that an argument is; false: reported. What is not the name of a tensor is an expression, which only an input without axes
 * can take; for one with axes the message says what the name was, if it was one. */
static bool argument(const binding *b, const fe_field *field, const fe_item *item, fe_tensor *out)
{
    fe_lower *l = b->l;
    fe_env env = fe_env_of_frame(b->caller);
    const fe_expr *e = item->e;
    *out = (fe_tensor){0};
    if (item->kind != FE_ITEM_EXPR) {
        fe_report(l, &env, BASE_MSG_ITEM_FORM, item->at, "an argument of a graph is a tensor or a number");
        return false;
    }
    fe_found found = {0};
    if (e->kind == FE_NAME) found = fe_lookup(l, &env, e->name);
    else if (e->kind == FE_MEMBER) found = fe_lookup_base(l, &env, e);
    else if (e->kind == FE_AT && is_positions(e)) found = fe_lookup_base(l, &env, e->index.base);
    /* Reported by the lookup: a second message about the same name would say less. */
    if (found.kind == FE_FOUND_BAD) return false;
    if (found.kind == FE_FOUND_TENSOR) {
        *out = found.tensor;
        return e->kind != FE_AT || slice(b, e, out);
    }
    if (field->type->dims->n) {
        bool unknown = e->kind == FE_NAME && found.kind == FE_FOUND_NONE;
        if (unknown) fe_report(l, &env, BASE_MSG_NO_TENSOR, e->at, e->name.text);
        else if (found.kind == FE_FOUND_RECORD) fe_report(l, &env, BASE_MSG_RECORD_WHOLE, e->at, e->name.text);
        else report_input(b, field, e->at, "a tensor, or leading axes of one fixed: up[l]", "a number");
        return false;
    }
    return number_argument(b, field, e, out);
}

/* The argument of a `dim` input becomes a dimension of the called graph; no tensor is made for it. So it must be known when the host
 * calls: data cannot say how large something is. */
static bool bind_scalar(binding *b, const fe_field *field, const fe_item *item)
{
    fe_env env = fe_env_of_frame(b->caller);
    if (item->kind != FE_ITEM_EXPR) fe_report(b->l, &env, BASE_MSG_ITEM_FORM, item->at, "an argument is an expression");
    ir_expr x = item->kind == FE_ITEM_EXPR ? fe_dim_expr(b->l, &env, item->e) : 0;
    if (x) fe_frame_dim(b->l, b->callee, field->name.text, x);
    return x != 0;
}

/* The caller's tensor under the callee's name; its axes become equations for the callee's dimensions. No copy: the slot holds the
 * caller's value. After a mistake the name is poison, and the callee's body is not lowered at all. */
static bool bind_tensor(binding *b, const fe_field *field, const fe_item *item)
{
    fe_lower *l = b->l;
    fe_tensor t;
    fe_slot slot = {.kind = FE_SLOT_POISON};
    fe_env callee = {.module = b->callee->module};
    bool ok = argument(b, field, item, &t);
    ir_dtype dtype = fe_element(l, &callee, field->type);
    ok = ok && dtype != IR_N_DTYPES;
    /* Packed axes count one by one: packing is about the host's arrays, and the caller's tensor is none. */
    fe_dims axes = {0};
    for (uint32_t k = 0; k < field->type->dims->n; k++) {
        const fe_dim *d = &field->type->dims->at[k];
        if (d->kind == FE_DIM_PLAIN) BASE_PUSH(l->arena, &axes, *d);
        for (uint32_t i = 0; d->kind == FE_DIM_PACKED && i < d->parts->n; i++) BASE_PUSH(l->arena, &axes, d->parts->at[i]);
    }
    if (ok && fe_tensor_rank(l, &t) != axes.n) {
        report_input(b, field, item->at, base_printf(l->arena, "%u ax%s", axes.n, axes.n == 1 ? "is" : "es"), base_printf(l->arena, "%u", fe_tensor_rank(l, &t)));
        ok = false;
    }
    /* Types of one sort fit: an f64 tensor may be given for an f32 input, and stays what it is. */
    if (ok && ir_dtypes[dtype].sort != ir_dtypes[fe_value_type(l, t.value)->dtype].sort) {
        report_input(b, field, item->at, ir_dtypes[dtype].text, ir_dtypes[fe_value_type(l, t.value)->dtype].text);
        ok = false;
    }
    for (uint32_t k = 0; ok && k < axes.n; k++) {
        equation q = {axes.at[k].e, fe_tensor_dim(l, &t, k), item->at, field->name.text};
        BASE_PUSH(l->arena, &b->equations, q);
    }
    if (ok) slot = (fe_slot){.kind = FE_SLOT_TENSOR, .tensor = t};
    fe_slot_set(l, b->callee, field->name.text, slot);
    return ok;
}

/* ---- dimensions of the called graph */

/* Dimensions are names and operators, so this is all there is to look at. Depth is that of the tree, which is bounded. */
static bool mentions(const fe_expr *e, const char *name)
{
    if (!e) return false;
    if (e->kind == FE_NAME) return e->name.text == name;
    return e->kind >= FE_NEG && e->kind <= FE_OR && (mentions(e->op.a, name) || mentions(e->op.b, name));
}

/* The value of `name` for which e is `actual`: exact division or subtraction; 0 if there is none that can be shown. Each step moves
 * the operand without the name to the other side, down to the name itself. With the name on both sides there is no such step, and a
 * division is taken only if it provably leaves no rest: rounding would bind a dimension that does not fit. */
static ir_expr solve(fe_lower *l, const fe_env *env, const fe_expr *e, const char *name, ir_expr actual)
{
    if (e->kind == FE_NAME) return actual;
    if (!actual || e->kind < FE_ADD || e->kind > FE_MUL) return 0;
    bool left = mentions(e->op.a, name);
    if (left && mentions(e->op.b, name)) return 0;
    const fe_expr *inner = left ? e->op.a : e->op.b;
    ir_expr other = fe_lower_int(l, env, left ? e->op.b : e->op.a, "a dimension is an integer");
    if (!other) return 0;
    if (e->kind == FE_ADD) return solve(l, env, inner, name, ir_sub(l->u, actual, other));
    if (e->kind == FE_SUB) return solve(l, env, inner, name, left ? ir_add(l->u, actual, other) : ir_sub(l->u, other, actual));
    if (!ir_at_least(l->u, other, 1) || !ir_divides(l->u, other, actual)) return 0;
    return solve(l, env, inner, name, ir_op2(l->u, IR_FDIV, actual, other));
}

/* Binds the one unknown name of an equation; true if it did. An equation whose names are all known is left to equation_check. */
static bool equation_solve(const binding *b, const equation *q)
{
    fe_lower *l = b->l;
    fe_env env = fe_env_of_frame(b->callee);
    /* The callee's frame explains what earlier equations have bound, so what is left free is what is still to be found. */
    fe_names unknown = {0};
    fe_free_names(l, &env, q->dim, &unknown);
    if (unknown.n != 1) return false;
    ir_expr x = solve(l, &env, q->dim, unknown.at[0].text, q->actual);
    if (x) fe_frame_dim(l, b->callee, unknown.at[0].text, x);
    return x != 0;
}

/* Said at the argument: the declaration is right, the call is not. Equal must be provable, since axes of a call are not tested when
 * the graph runs. A name that no equation has bound is reported here too, by fe_dim_expr. */
static bool equation_check(const binding *b, const equation *q)
{
    fe_lower *l = b->l;
    fe_env callee = fe_env_of_frame(b->callee), caller = fe_env_of_frame(b->caller);
    ir_expr want = fe_dim_expr(l, &callee, q->dim);
    if (!want || fe_same(l, want, q->actual)) return want != 0;
    base_diag *diag = fe_report(l, &caller, BASE_MSG_CALL_TENSOR, q->at, q->input, b->callee->decl->name.text);
    fe_expected(diag, base_printf(l->arena, "an axis of %s", fe_expr_text(l, want)), fe_expr_text(l, q->actual), NULL);
    if (diag) base_diag_note(l->diags, diag, fe_at(l, q->dim->at), "that axis is declared here");
    return false;
}

/* Plain names first: f32[N] says N, f32[2*N] only checks it then. After that each turn binds a name or is the last, so it ends after
 * as many turns as there are names. */
static bool solve_all(const binding *b)
{
    /* An equation that was solved is checked like the others: for x = a it holds at once. */
    bool any = true, ok = true;
    for (uint32_t k = 0; k < b->equations.n; k++)
        if (b->equations.at[k].dim->kind == FE_NAME) equation_solve(b, &b->equations.at[k]);
    while (any) {
        any = false;
        for (uint32_t k = 0; k < b->equations.n; k++) any = equation_solve(b, &b->equations.at[k]) || any;
    }
    for (uint32_t k = 0; k < b->equations.n; k++) ok = equation_check(b, &b->equations.at[k]) && ok;
    return ok;
}

/* All arguments are looked at before the dimensions are solved. A wrong number of them is told alone: which belongs to which input
 * would be a guess. */
static bool bind_inputs(binding *b)
{
    const fe_fields *fields = b->callee->decl->graph.inputs;
    const fe_items *args = b->call->call.args;
    fe_env env = fe_env_of_frame(b->caller);
    bool ok = true;
    /* g(i: x) is the form of functions that take indices. */
    if (b->call->call.binders->n) {
        fe_report(b->l, &env, BASE_MSG_ITEM_FORM, b->call->at, "a graph is called with tensors alone: it has no indices");
        return false;
    }
    if (args->n != fields->n) {
        base_diag *diag = fe_report(b->l, &env, BASE_MSG_CALL_ARGUMENTS, b->call->at, b->callee->decl->name.text);
        fe_expected(diag, base_printf(b->l->arena, "%u", fields->n), base_printf(b->l->arena, "%u", args->n), NULL);
        return false;
    }
    for (uint32_t k = 0; k < fields->n; k++)
        ok = (fe_is_dim_type(fields->at[k].type) ? bind_scalar(b, &fields->at[k], &args->at[k]) : bind_tensor(b, &fields->at[k], &args->at[k])) && ok;
    return ok && solve_all(b);
}

/* ---- results */

/* Shapes must be provably those that are declared; an element type of the same sort is converted when it is stored. Axes that the
 * slice fixes are no part of the shape. */
static bool check_shape(fe_lower *l, fe_frame *f, const fe_field *field, const fe_shape *want, const fe_tensor *t)
{
    fe_env env = fe_env_of_frame(f);
    const ir_type *have = fe_value_type(l, t->value);
    bool same = have->rank - t->n_fixed == want->type.rank;
    for (uint32_t k = 0; same && k < want->type.rank; k++) same = fe_same(l, want->type.dim[k], have->dim[k + t->n_fixed]);
    if (!same) {
        fe_expected(fe_report(l, &env, BASE_MSG_SHAPE_DIFFERS, field->at, field->name.text), fe_shape_text(l, want->type.dim, want->type.rank),
                    fe_shape_text(l, have->dim + t->n_fixed, have->rank - t->n_fixed), NULL);
        return false;
    }
    ir_dtype dtype = (ir_dtype)want->type.dtype;
    if (ir_dtypes[dtype].sort == ir_dtypes[have->dtype].sort) return true;
    fe_expected(fe_report(l, &env, BASE_MSG_TYPE_DIFFERS, field->at, field->name.text), ir_dtypes[dtype].text, ir_dtypes[have->dtype].text, NULL);
    return false;
}

/* Was there an attempt at least? Then its own mistake has been told, or the block was cut short by one. */
static bool assigns(const fe_stmts *stmts, const char *name)
{
    for (uint32_t k = 0; k < stmts->n; k++) {
        const fe_stmt *s = stmts->at[k];
        if (s->kind == FE_STMT_FOR ? assigns(s->loop.body, name) : s->kind != FE_STMT_LOCAL && s->define.left.name.text == name) return true;
    }
    return false;
}

/* What the name is at the end of the graph. Poison is passed on: the declared type or a statement has been reported. A constant or a
 * counter of the name is no output; nobody assigned it. */
fe_tensor fe_frame_output(fe_lower *l, fe_frame *f, uint32_t k)
{
    const fe_field *field = &f->decl->graph.outputs->at[k];
    const fe_slot *slot = fe_slot_of(f, field->name.text);
    fe_env env = fe_env_of_frame(f);
    fe_tensor t = {0};
    if (f->out_shapes[k].poison || (slot && slot->kind == FE_SLOT_POISON)) return t;
    if (!slot || slot->kind == FE_SLOT_DECL || slot->kind == FE_SLOT_COUNTER) {
        /* With no mistake anywhere, an output that is assigned and yet has no slot was defined inside of a loop and ended with it. */
        bool failed = l->failures && assigns(f->decl->graph.body, field->name.text);
        if (!failed) fe_report(l, &env, BASE_MSG_NO_OUTPUT, field->at, field->name.text);
        return t;
    }
    if (slot->kind == FE_SLOT_RECORD) {
        fe_report(l, &env, BASE_MSG_RECORD_WHOLE, field->at, field->name.text);
        return t;
    }
    t.value = fe_materialise(l, field->at, field->name.text, slot);
    if (!t.value || !check_shape(l, f, field, &f->out_shapes[k], &t)) t.value = 0;
    return t;
}

/* One output is a tensor, several are a record. In a record each field fails by itself: the others can be read. */
static fe_slot results(fe_lower *l, fe_frame *f)
{
    const fe_fields *fields = f->decl->graph.outputs;
    fe_slot slot = {.kind = FE_SLOT_RECORD, .n_fields = fields->n};
    slot.fields = BASE_ARRAY(l->arena, fields->n ? fields->n : 1, fe_field_value);
    for (uint32_t k = 0; k < fields->n; k++) slot.fields[k] = (fe_field_value){fields->at[k].name.text, fe_frame_output(l, f, k)};
    if (fields->n != 1) return slot;
    fe_tensor t = slot.fields[0].tensor;
    return (fe_slot){.kind = t.value ? FE_SLOT_TENSOR : FE_SLOT_POISON, .tensor = t};
}

/* Graphs are expanded, so a circle would never end. A graph that is being lowered stands in the chain of frames. Chains without a
 * circle are cut too, since frames are lowered by recursion. */
static bool may_call(fe_lower *l, fe_frame *f, const fe_decl *graph, base_span at)
{
    fe_env env = fe_env_of_frame(f);
    for (const fe_frame *o = f; o; o = o->caller) {
        if (o->decl != graph) continue;
        fe_report(l, &env, BASE_MSG_RECURSION, at, graph->name.text);
        return false;
    }
    if (f->n_calls < FE_MAX_CALLS) return true;
    fe_report(l, &env, BASE_MSG_EXPANSION, at);
    return false;
}

/* The callee's statements are added to the block that is being filled. Its dimensions first, then its facts, which shapes of outputs
 * may need, then its body; each stage makes sense only if the one before succeeded. The result's name gets a slot in any case. */
void fe_lower_graph_call(fe_lower *l, fe_frame *f, const fe_stmt *stmt)
{
    fe_env env = fe_env_of_frame(f);
    const fe_expr *e = stmt->define.e;
    const fe_decl *graph = fe_find(l, &env, FE_SPACE_FUNCTION, e->call.name);
    fe_slot slot = {.kind = FE_SLOT_POISON};
    if (may_call(l, f, graph, e->at)) {
        binding b = {.l = l, .caller = f, .callee = fe_frame_new(l, f, graph), .call = e};
        if (bind_inputs(&b)) {
            fe_frame_facts(l, b.callee);
            if (fe_frame_outputs(l, b.callee)) {
                fe_want_lse(l, b.callee);
                fe_lower_block(l, b.callee, graph->graph.body);
                slot = results(l, b.callee);
            }
        }
    }
    fe_slot_set(l, f, stmt->define.left.name.text, slot);
}

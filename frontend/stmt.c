/* Statements. `name[i, j] = e` with fresh indices defines a value: a map over the indices whose body is e. Values are never changed;
 * defining a name again gives the name to a new value. */
#include <string.h>
#include "lower.h"

/* ---- names of the graph */

/* What a name of the graph is now; 0 in the map: it ended with its loop. An entry never changes once it stands in `slots`, and the
 * arena keeps outgrown arrays, so the pointer stays good while other names are set. */
fe_slot *fe_slot_of(const fe_frame *f, const char *name)
{
    uint32_t k;
    if (!base_map_get(f->names, name, &k) || k == 0) return NULL;
    return &f->slots.at[k - 1];
}

/* Notes what the name was before, so that the end of a loop can bring it back. The new meaning is a new entry: the old one must
 * survive to be restored, and whoever holds a pointer to it still reads what it was. */
void fe_slot_set(fe_lower *l, fe_frame *f, const char *name, fe_slot slot)
{
    fe_undo undo = {name, 0};
    base_map_get(f->names, name, &undo.old);
    BASE_PUSH(l->arena, &f->undo, undo);
    slot.name = name;
    uint32_t k = BASE_PUSH(l->arena, &f->slots, slot) + 1;
    base_map_put(f->names, name, k);
}

/* Names that were first defined inside of a loop end with it. Undone from the last to the first: of a name that was set several times
 * the oldest note has to win. */
void fe_slots_restore(fe_frame *f, uint32_t mark)
{
    while (f->undo.n > mark) {
        const fe_undo *undo = &f->undo.at[--f->undo.n];
        base_map_put(f->names, undo->name, undo->old);
    }
}

/* The name is known to be wrong: reads of it say nothing. */
static void poison(fe_lower *l, fe_frame *f, const char *name) { fe_slot_set(l, f, name, (fe_slot){.kind = FE_SLOT_POISON}); }

/* ---- nodes */

/* Counted, since graphs that call graphs can grow without end: fe_lower_block gives up past FE_MAX_NODES. */
void fe_node_add(fe_lower *l, ir_node *node)
{
    l->nodes++;
    ir_builder_add(l->out, node);
}

/* One statement becomes one map: its left side's variables and the expression. The shape is what the variables run over. Poison as
 * body makes no node, so a graph with a mistake never holds half a statement. */
ir_value fe_map(fe_lower *l, base_span at, const char *name, ir_dtype dtype, const ir_var *outer, uint32_t n, ir_expr body)
{
    ir_type type = {.dtype = (uint8_t)dtype, .rank = (uint8_t)n};
    if (!body) return 0;
    for (uint32_t k = 0; k < n; k++) type.dim[k] = l->u->var.at[outer[k]].extent;
    ir_value v = ir_value_new(l->u, name, &type);
    fe_node_add(l, ir_node_map(l->u, fe_at(l, at), n, outer, v, body));
    return v;
}

/* A whole tensor of what is a slice or a symbolic number, for what needs a value: carries, outputs. A whole tensor is handed on as it
 * is. Slices come from arguments of called graphs alone, so the copy is rarely made. 0 for poison, and for what is neither tensor nor
 * number. */
ir_value fe_materialise(fe_lower *l, base_span at, const char *name, const fe_slot *slot)
{
    if (slot->kind == FE_SLOT_SCALAR) return fe_map(l, at, name, IR_TYPE_I64, NULL, 0, slot->e);
    if (slot->kind != FE_SLOT_TENSOR) return 0;
    const fe_tensor *t = &slot->tensor;
    if (t->n_fixed == 0) return t->value;
    uint32_t rank = fe_tensor_rank(l, t);
    ir_var outer[IR_RANK];
    ir_expr at_[IR_RANK];
    /* The fixed positions lead, the variables of the copy follow: n_fixed + rank is the rank of the value, at most IR_RANK. */
    for (uint32_t k = 0; k < t->n_fixed; k++) at_[k] = t->fixed[k];
    for (uint32_t k = 0; k < rank; k++) {
        outer[k] = ir_var_new(l->u, "i", fe_tensor_dim(l, t, k));
        at_[t->n_fixed + k] = ir_var_expr(l->u, outer[k]);
    }
    ir_expr body = ir_read(l->u, t->value, t->n_fixed + rank, at_);
    return fe_map(l, at, name, (ir_dtype)fe_value_type(l, t->value)->dtype, outer, rank, body);
}

/* ---- types of results */

/* Stops below the first hit; what is read decides, not literals: those have no width. */
static bool reads_f64(const ir_unit *u, void *env, ir_expr e)
{
    bool *found = env;
    if (ir_is(u, e, IR_READ) && u->value.at[ir_at(u, e)->u.ref].type.dtype == IR_TYPE_F64) *found = true;
    return !*found;
}

/* The widest real that is read, or the sort's own type. Poison counts as f32, which nobody sees: fe_map makes nothing of it. */
ir_dtype fe_dtype_of(fe_lower *l, ir_expr e)
{
    bool wide = false;
    ir_sort sort = fe_sort(l, e);
    if (sort == IR_SORT_INT) return IR_TYPE_I64;
    if (sort == IR_SORT_BOOL) return IR_TYPE_BOOL;
    if (e) ir_walk(l->u, e, reads_f64, &wide);
    return wide ? IR_TYPE_F64 : IR_TYPE_F32;
}

/* Integer to real is the only conversion that happens by itself. Types of one sort differ in what is stored, not in what is computed,
 * so between them there is nothing to do here. */
ir_expr fe_convert(fe_lower *l, const fe_env *env, base_span at, const char *name, ir_expr body, ir_dtype dtype)
{
    ir_sort want = (ir_sort)ir_dtypes[dtype].sort, have = fe_sort(l, body);
    if (!body || want == have) return body;
    if (want == IR_SORT_REAL && have == IR_SORT_INT) return fe_real_of(l, body);
    const char *hint = have == IR_SORT_REAL && want == IR_SORT_INT ? "round, floor and ceil make a real an integer" : NULL;
    fe_expected(fe_report(l, env, BASE_MSG_TYPE_DIFFERS, at, name), ir_dtypes[dtype].text, fe_sort_text(have), hint);
    return 0;
}

/* In this order: written, carried by a loop around, declared as an output, read. A carry beats the declared output since all rounds
 * must have the type of the first; the output is converted when it is stored. */
ir_dtype fe_left_dtype(fe_lower *l, fe_frame *f, const fe_stmt *stmt, ir_expr body)
{
    fe_env env = fe_env_of_frame(f);
    const char *name = stmt->define.left.name.text;
    if (stmt->define.type) return fe_element(l, &env, stmt->define.type);
    const fe_carry *carry = fe_carry_of(f, name);
    if (carry) return (ir_dtype)fe_value_type(l, carry->inside)->dtype;
    const fe_shape *declared = fe_declared(f, name);
    if (declared) return declared->poison ? fe_dtype_of(l, body) : (ir_dtype)declared->type.dtype;
    return fe_dtype_of(l, body);
}

/* ---- indices of a left side */

/* A name that means a number here is a place; names of tensors are free for indices. Tensors of rank 0 are numbers to fe_lookup, so
 * they are places too. A name that is wrong (BAD) is no index: its mistake has been told, and binding it anew would hide that. */
bool fe_is_fresh(fe_lower *l, fe_frame *f, fe_name name)
{
    fe_env env = fe_env_of_frame(f);
    uint8_t kind = fe_lookup(l, &env, name).kind;
    return kind == FE_FOUND_NONE || kind == FE_FOUND_TENSOR || kind == FE_FOUND_RECORD;
}

/* The extent of a range on the left: it makes a shape, so it starts at 0 and knows no data. */
static ir_expr left_range(fe_lower *l, const fe_env *env, const fe_item *item)
{
    ir_expr lo = fe_lower_int(l, env, item->e, "a range has integer bounds"), hi = fe_lower_int(l, env, item->hi, "a range has integer bounds");
    int64_t start;
    if (!lo || !hi) return 0;
    if (!ir_is_int(l->u, lo, &start) || start != 0) {
        fe_report(l, env, BASE_MSG_RANGE_START, item->at);
        return 0;
    }
    /* fe_of_dims lets counters of loops pass; ir_free refuses them, since a shape is the same in every round. */
    if (fe_of_dims(l, hi) && ir_free(l->u, hi) == 0) return hi;
    fe_expected(fe_report(l, env, BASE_MSG_SHAPE_OF_DATA, item->hi->at), "dimensions, constants, literals", NULL, "a mask or a range inside of a reduction may depend on data");
    return 0;
}

/* The range that stands before the colon of the left side for this name; NULL: it has none. */
static const fe_item *range_of(const fe_items *binders, const char *name)
{
    for (uint32_t k = 0; k < binders->n; k++)
        if (binders->at[k].kind == FE_ITEM_RANGE && binders->at[k].name.text == name) return &binders->at[k];
    return NULL;
}

/* A range before the colon must be for an index behind it. All are looked at, so that each mistake is told. */
static bool check_binders(fe_lower *l, const fe_env *env, const fe_items *binders, const fe_items *items)
{
    bool ok = true;
    for (uint32_t k = 0; k < binders->n; k++) {
        const fe_item *b = &binders->at[k];
        bool used = false;
        if (b->kind != FE_ITEM_RANGE) {
            fe_expected(fe_report(l, env, BASE_MSG_ITEM_FORM, b->at, "a range stands before the colon of a left side"), "name in lo..hi", NULL, NULL);
            ok = false;
            continue;
        }
        for (uint32_t i = 0; i < items->n; i++) used = used || (items->at[i].kind == FE_ITEM_EXPR && items->at[i].e->kind == FE_NAME && items->at[i].e->name.text == b->name.text);
        if (!used) fe_report(l, env, BASE_MSG_NAME_UNBOUND, b->name.at, b->name.text), ok = false;
    }
    return ok;
}

/* Its own range, else the axes of the right side and of the declared output. A range is the author's word and asks nobody else;
 * without one fe_extent wants all places to agree and says which do not. */
static ir_expr left_extent(fe_lower *l, const fe_env *env, const fe_stmt *stmt, const fe_item *item, ir_expr declared)
{
    fe_name name = item->e->name;
    const fe_item *range = range_of(stmt->define.left.binders, name.text);
    if (range) return left_range(l, env, range);
    fe_stands stands = {0};
    fe_stands_of(l, env, name.text, stmt->define.e, &stands);
    fe_stand there = {declared, stmt->define.left.name.text, item->at};
    if (declared) BASE_PUSH(l->arena, &stands, there);
    return fe_extent(l, env, name, &stands);
}

/* Binds the fresh names among items (places are skipped). declared: extents that the left side's shape has there, or NULL. Items are
 * ranges and bare names, which the callers have made sure of. `out` holds the fresh ones alone, in their order: its k-th is not the
 * k-th item where there are places. */
bool fe_left_indices(fe_lower *l, fe_frame *f, const fe_stmt *stmt, const fe_items *items, const ir_expr *declared, fe_env *env, fe_bound_indices *out)
{
    fe_env outer = fe_env_of_frame(f);
    bool ok = check_binders(l, &outer, stmt->define.left.binders, items);
    *env = outer;
    for (uint32_t k = 0; k < items->n; k++) {
        const fe_item *item = &items->at[k];
        fe_name name = item->kind == FE_ITEM_RANGE ? item->name : item->e->name;
        if (item->kind != FE_ITEM_RANGE && !fe_is_fresh(l, f, name)) continue;
        for (uint32_t i = 0; i < out->n; i++)
            if (out->at[i].name == name.text) fe_report(l, &outer, BASE_MSG_INDEX_TWICE, name.at, name.text), ok = false;
        ir_expr hi = item->kind == FE_ITEM_RANGE ? left_range(l, &outer, item) : left_extent(l, &outer, stmt, item, declared ? declared[k] : 0);
        fe_bound_index b = {name.text, fe_index_over(l, name.text, ir_int(l->u, 0), hi), false};
        /* An index without an extent is bound all the same, to poison: the right side is looked at, and does not call the name
         * unbound. */
        ok = ok && b.index.at;
        BASE_PUSH(l->arena, out, b);
        *env = fe_bind_index(l, env, name.text, &b.index, 1);
    }
    return ok;
}

/* ---- definitions */

/* A node of its own, over the axes on which it depends; only if somebody reads it. The left side has axes that lse does not know, such
 * as the column of v: over those it would be computed again and again, so only variables that the weights depend on become axes of it. */
static void add_lse(fe_lower *l, fe_frame *f, const fe_stmt *stmt, fe_attend *a, const fe_bound_indices *left, fe_slot *slot)
{
    uint32_t wanted;
    const char *name = stmt->define.left.name.text;
    if (!base_map_get(f->wants_lse, name, &wanted)) return;
    ir_expr lse = fe_attend_lse(l, a);
    if (!lse) return;
    ir_set depends = ir_set_union(l->u, fe_attend_depends(l, a), ir_free(l->u, lse));
    ir_var outer[IR_RANK];               /* its own: variables belong to one node */
    ir_binding own[IR_RANK];
    uint32_t n = 0;
    for (uint32_t k = 0; k < left->n && n < IR_RANK; k++) {
        if (!ir_set_has(l->u, depends, left->at[k].index.var)) continue;
        outer[n] = ir_var_new(l->u, left->at[k].name, left->at[k].index.hi);
        own[n] = (ir_binding){left->at[k].index.var, ir_var_expr(l->u, outer[n])};
        n++;
    }
    /* Left indices start at 0, so `hi` is the extent, and a variable over it takes the place of the index as a whole. */
    lse = ir_substitute(l->u, lse, n, own);
    fe_tensor t = {.value = fe_map(l, stmt->at, base_printf(l->arena, "%s_lse", name), fe_dtype_of(l, lse), outer, n, lse)};
    fe_field_value field = {l->program->word_lse, t};
    slot->fields = base_copy(l->arena, &field, sizeof field);
    slot->n_fields = 1;
}

/* The right side, with its lse if it is one attend and nothing else and somebody wants it. Of `2 * attend(...)` it is not clear whose
 * lse the name would have. */
static ir_expr right_side(fe_lower *l, fe_frame *f, const fe_env *env, const fe_stmt *stmt, const fe_bound_indices *left, fe_slot *slot)
{
    const fe_expr *e = stmt->define.e;
    if (e->kind != FE_ATTEND) return fe_lower_expr(l, env, e);
    fe_attend *a = fe_attend_create(l, env, e);
    ir_expr body = a ? fe_attend_value(l, a) : 0;
    if (body) add_lse(l, f, stmt, a, left, slot);
    return body;
}

/* name[i, j] = e: the ordinary statement. A declared output helps with extents only where the ranks agree; that they differ is told at
 * the end of the graph, since the name may get another value until then. */
static void define_indexed(fe_lower *l, fe_frame *f, const fe_stmt *stmt)
{
    const fe_left *left = &stmt->define.left;
    const fe_shape *declared = fe_declared(f, left->name.text);
    bool fits = declared && !declared->poison && declared->type.rank == left->items->n;
    fe_bound_indices bound = {0};
    fe_env env;
    fe_slot slot = {.kind = FE_SLOT_TENSOR};
    if (left->items->n > IR_RANK) {
        fe_env outer = fe_env_of_frame(f);
        fe_report(l, &outer, BASE_MSG_RANK_LIMIT, left->at, left->name.text, (int)IR_RANK);
        poison(l, f, left->name.text);
        return;
    }
    /* The right side is lowered even if the left one failed, for the sake of its own mistakes. */
    bool ok = fe_left_indices(l, f, stmt, left->items, fits ? declared->type.dim : NULL, &env, &bound);
    ir_expr body = right_side(l, f, &env, stmt, &bound, &slot);
    ir_dtype dtype = fe_left_dtype(l, f, stmt, body);
    body = dtype == IR_N_DTYPES ? 0 : fe_convert(l, &env, left->name.at, left->name.text, body, dtype);
    ir_var outer[IR_RANK];
    for (uint32_t k = 0; k < bound.n && k < IR_RANK; k++) outer[k] = bound.at[k].index.var;
    if (ok && body) slot.tensor.value = fe_map(l, stmt->at, left->name.text, dtype, outer, bound.n, body);
    if (!slot.tensor.value) slot.kind = FE_SLOT_POISON;
    fe_slot_set(l, f, left->name.text, slot);
}

/* name: type[dims] = value: a tensor filled with one value. The value is lowered where no index is bound, so it cannot differ from
 * element to element. */
static void define_filled(fe_lower *l, fe_frame *f, const fe_stmt *stmt)
{
    fe_env env = fe_env_of_frame(f);
    fe_name name = stmt->define.left.name;
    fe_shape shape;
    fe_slot slot = {.kind = FE_SLOT_POISON};
    bool ok = fe_type_shape(l, &env, stmt->define.type, name.text, &shape);
    ir_expr body = fe_lower_expr(l, &env, stmt->define.e);
    if (ok && body) body = fe_convert(l, &env, name.at, name.text, body, (ir_dtype)shape.type.dtype);
    if (ok && body) {
        ir_var outer[IR_RANK];
        for (uint32_t k = 0; k < shape.type.rank; k++) outer[k] = ir_var_new(l->u, "i", shape.type.dim[k]);
        slot.tensor.value = fe_map(l, stmt->at, name.text, (ir_dtype)shape.type.dtype, outer, shape.type.rank, body);
        slot.kind = FE_SLOT_TENSOR;
    }
    fe_slot_set(l, f, name.text, slot);
}

/* name = other, name = record.field: another name for a whole tensor. false: the right side is a scalar, or a name that failed;
 * define_scalar meets that mistake again, and it is told once. The second name has no lse: that belongs to the name whose attend it
 * is. */
static bool define_alias(fe_lower *l, fe_frame *f, const fe_stmt *stmt)
{
    fe_env env = fe_env_of_frame(f);
    const fe_expr *e = stmt->define.e;
    if (e->kind != FE_NAME && e->kind != FE_MEMBER) return false;
    fe_found found = e->kind == FE_NAME ? fe_lookup(l, &env, e->name) : fe_lookup_base(l, &env, e);
    fe_slot slot = {.kind = FE_SLOT_TENSOR, .tensor = found.tensor};
    if (found.kind == FE_FOUND_RECORD) slot = *found.slot;
    else if (found.kind != FE_FOUND_TENSOR || fe_tensor_rank(l, &found.tensor) == 0) return false;
    else if (stmt->define.type) {
        ir_dtype dtype = fe_element(l, &env, stmt->define.type);
        /* An alias converts nothing: a written type of the same sort is let pass, and the tensor stays stored as it is. */
        bool same = dtype != IR_N_DTYPES && ir_dtypes[dtype].sort == ir_dtypes[fe_value_type(l, found.tensor.value)->dtype].sort;
        if (dtype != IR_N_DTYPES && !same)
            fe_expected(fe_report(l, &env, BASE_MSG_TYPE_DIFFERS, stmt->define.left.name.at, stmt->define.left.name.text), ir_dtypes[dtype].text,
                        ir_dtypes[fe_value_type(l, found.tensor.value)->dtype].text, NULL);
        if (!same) slot.kind = FE_SLOT_POISON;
    }
    fe_slot_set(l, f, stmt->define.left.name.text, slot);
    return true;
}

/* name = scalar. An integer over dimensions stays what it is, so that shapes may use it. What a loop carries must be a value of the
 * graph, since the next round's number is no expression over dimensions. */
static void define_scalar(fe_lower *l, fe_frame *f, const fe_stmt *stmt)
{
    fe_env env = fe_env_of_frame(f);
    fe_name name = stmt->define.left.name;
    fe_bound_indices none = {0};
    fe_slot slot = {.kind = FE_SLOT_TENSOR};
    ir_expr body = right_side(l, f, &env, stmt, &none, &slot);
    ir_dtype dtype = fe_left_dtype(l, f, stmt, body);
    body = dtype == IR_N_DTYPES ? 0 : fe_convert(l, &env, name.at, name.text, body, dtype);
    bool symbolic = body && dtype == IR_TYPE_I64 && fe_of_dims(l, body) && !fe_carry_of(f, name.text);
    if (!body) slot.kind = FE_SLOT_POISON;
    else if (symbolic) slot = (fe_slot){.kind = FE_SLOT_SCALAR, .e = body};
    else slot.tensor.value = fe_map(l, stmt->at, name.text, dtype, NULL, 0, body);
    fe_slot_set(l, f, name.text, slot);
}

/* ---- which statement it is */

/* Then it defines; one place among them makes it an update. Past this test every item is a range or a bare name, which fe_left_indices
 * builds on. */
static bool all_fresh(fe_lower *l, fe_frame *f, const fe_items *items)
{
    for (uint32_t k = 0; k < items->n; k++) {
        const fe_item *item = &items->at[k];
        if (item->kind == FE_ITEM_RANGE) continue;
        if (item->kind != FE_ITEM_EXPR || item->e->kind != FE_NAME || !fe_is_fresh(l, f, item->e->name)) return false;
    }
    return true;
}

/* Names that mean something else in the whole graph cannot be defined; params can, later: they are state then. A name that the graph
 * itself gave a value is free to get another. With brackets a dimension's name may be a tensor's, as brackets tell the two apart. */
static bool may_define(fe_lower *l, fe_frame *f, const fe_left *left)
{
    fe_env env = fe_env_of_frame(f);
    fe_name name = left->name;
    const fe_slot *slot = fe_slot_of(f, name.text);
    ir_expr dim;
    const fe_decl *d = slot ? slot->kind == FE_SLOT_DECL ? slot->decl : NULL : fe_find(l, &env, FE_SPACE_VALUE, name);
    if (d && d->kind == FE_DECL_STATE) fe_not_yet(l, &env, name.at, base_printf(l->arena, "state '%s'", name.text));
    else if (d && d->kind == FE_DECL_PARAM) fe_not_yet(l, &env, name.at, base_printf(l->arena, "assigning the param '%s'", name.text));
    else if (d && d->kind == FE_DECL_CONST) fe_report(l, &env, BASE_MSG_DECLARED_TWICE, name.at, name.text);
    else if ((slot && slot->kind == FE_SLOT_COUNTER) || (!slot && !left->items && fe_dim_of(l, &env, name, &dim)))
        fe_report(l, &env, BASE_MSG_DECLARED_TWICE, name.at, name.text);
    else return true;
    return false;
}

/* An update of nothing is a mistake in any version; others are not yet. */
static void report_update(fe_lower *l, fe_frame *f, const fe_left *left)
{
    fe_env env = fe_env_of_frame(f);
    for (uint32_t k = 0; k < left->items->n; k++) {
        const fe_item *item = &left->items->at[k];
        if (item->kind == FE_ITEM_NAMED) fe_report(l, &env, BASE_MSG_ITEM_FORM, item->at, "a left side has indices and positions");
    }
    const fe_slot *slot = fe_slot_of(f, left->name.text);
    bool state = false;
    fe_decl *d = slot ? NULL : fe_find(l, &env, FE_SPACE_VALUE, left->name);
    if (d && d->kind == FE_DECL_STATE) state = true;
    if (state) fe_not_yet(l, &env, left->name.at, base_printf(l->arena, "state '%s'", left->name.text));
    else if (!slot && !d && !fe_declared(f, left->name.text)) fe_expected(fe_report(l, &env, BASE_MSG_NO_TENSOR, left->name.at, left->name.text), "fresh index names, which define it", NULL, "a left side with positions updates a tensor that exists");
    else fe_not_yet(l, &env, left->at, "an update by position");
}

/* Which of the forms of a definition it is. On every path the name has a slot afterwards, poison if need be, so that statements that
 * read it do not complain once more. */
static void lower_define(fe_lower *l, fe_frame *f, const fe_stmt *stmt)
{
    const fe_left *left = &stmt->define.left;
    fe_env env = fe_env_of_frame(f);
    if (!may_define(l, f, left)) {
        poison(l, f, left->name.text);
        return;
    }
    if (left->items && !all_fresh(l, f, left->items)) {
        if (fe_left_is_along(l, f, left)) fe_lower_along(l, f, stmt);
        else report_update(l, f, left), poison(l, f, left->name.text);
        return;
    }
    /* Reported and gone on with: the element type still counts, and the right side may have mistakes of its own. */
    if (left->items && stmt->define.type && stmt->define.type->dims->n)
        fe_report(l, &env, BASE_MSG_ITEM_FORM, stmt->define.type->at, "the shape is said by the indices: write the element type alone");
    if (left->items) define_indexed(l, f, stmt);
    else if (fe_is_graph_call(l, &env, stmt->define.e)) fe_lower_graph_call(l, f, stmt);
    else if (stmt->define.type && stmt->define.type->dims->n) define_filled(l, f, stmt);
    else if (!define_alias(l, f, stmt)) define_scalar(l, f, stmt);
}

/* const, param and state of the graph: found like those of the file, before them. They cannot take a name that already has a value, as
 * statements above would seem to have meant the declaration. */
static void lower_local(fe_lower *l, fe_frame *f, const fe_decls *decls)
{
    for (uint32_t k = 0; k < decls->n; k++) {
        fe_decl *d = decls->at[k];
        fe_env env = fe_env_of_frame(f);
        if (fe_slot_of(f, d->name.text)) fe_report(l, &env, BASE_MSG_DECLARED_TWICE, d->name.at, d->name.text);
        else fe_slot_set(l, f, d->name.text, (fe_slot){.kind = FE_SLOT_DECL, .decl = d});
    }
}

/* The budget of steps is per statement: a long graph is no formula that explodes. What is refused as a whole still leaves its name
 * poisoned. */
static void lower_stmt(fe_lower *l, fe_frame *f, const fe_stmt *stmt)
{
    fe_env env = fe_env_of_frame(f);
    l->steps = 0;
    switch (stmt->kind) {
    case FE_STMT_DEFINE: lower_define(l, f, stmt); return;
    case FE_STMT_ADD_TO:
        fe_not_yet(l, &env, stmt->define.left.at, "'+='");
        poison(l, f, stmt->define.left.name.text);
        return;
    case FE_STMT_FOR: fe_lower_loop(l, f, stmt); return;
    default: lower_local(l, f, stmt->locals);
    }
}

/* Statement by statement; one that fails leaves a poisoned name and the next goes on. The limit is asked between statements, since
 * each adds a few nodes of its own and bodies of loops and called graphs come through here too. */
void fe_lower_block(fe_lower *l, fe_frame *f, const fe_stmts *stmts)
{
    for (uint32_t k = 0; k < stmts->n; k++) {
        if (l->nodes > FE_MAX_NODES) {
            fe_env env = fe_env_of_frame(f);
            fe_report(l, &env, BASE_MSG_EXPANSION, stmts->at[k]->at);
            return;
        }
        lower_stmt(l, f, stmts->at[k]);
    }
}

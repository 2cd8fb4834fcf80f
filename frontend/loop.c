/* Loops stay loops. A loop carries the names from outside that its body assigns, with the same type every time; a left side that holds
 * the counter defines a tensor along the loop, which is a carry that starts as zeros and has one slice stored in each round. */
#include "lower.h"

/* Inner loops carry what outer ones carry, so the innermost is asked first: its `inside` is what the name is in this body. Names are
 * interned, so pointers are compared. */
fe_carry *fe_carry_of(const fe_frame *f, const char *name)
{
    for (fe_loop *loop = f->loop; loop; loop = loop->outer)
        for (uint32_t k = 0; k < loop->carries.n; k++)
            if (loop->carries.at[k].name == name) return &loop->carries.at[k];
    return NULL;
}

/* Of this loop alone. The pointer is good until the next carry of the loop is added. */
static fe_carry *own_carry(fe_loop *loop, const char *name)
{
    for (uint32_t k = 0; k < loop->carries.n; k++)
        if (loop->carries.at[k].name == name) return &loop->carries.at[k];
    return NULL;
}

/* ---- what a loop carries */

/* Before the body is lowered its text is looked through: a carry must be there when the first statement reads it, and which names are
 * carried shows in statements further down. The frame is still what it is before the loop. */
typedef struct { fe_lower *l; fe_frame *f; fe_loop *loop; } scan;

/* A name with fresh indices, or none at all. Counters of the loop and of loops inside the body are no fresh indices; they have no
 * slots yet, so they are passed along. A left side with one of them is stored along its loop and carries nothing from outside. */
static bool defines(const scan *s, const fe_left *left, const fe_names *counters)
{
    for (uint32_t k = 0; left->items && k < left->items->n; k++) {
        const fe_item *item = &left->items->at[k];
        if (item->kind == FE_ITEM_RANGE) continue;
        if (item->kind != FE_ITEM_EXPR || item->e->kind != FE_NAME || !fe_is_fresh(s->l, s->f, item->e->name)) return false;
        for (uint32_t i = 0; i < counters->n; i++)
            if (counters->at[i].text == item->e->name.text) return false;
    }
    return true;
}

/* A name from outside that the body assigns. Its value before the loop is where it starts. A name without a slot lives within a round;
 * constants, params and counters are refused where the statement is lowered, and poison has been reported, so none of these is
 * carried. */
static void carry_add(const scan *s, const fe_left *left)
{
    fe_lower *l = s->l;
    const char *name = left->name.text;
    fe_slot *slot = fe_slot_of(s->f, name);
    if (!slot || slot->kind == FE_SLOT_POISON || slot->kind == FE_SLOT_DECL || slot->kind == FE_SLOT_COUNTER || own_carry(s->loop, name)) return;
    fe_env env = fe_env_of_frame(s->f);
    if (slot->kind == FE_SLOT_RECORD) {
        fe_report(l, &env, BASE_MSG_RECORD_WHOLE, left->name.at, name);
        return;
    }
    /* A scalar over dimensions becomes a value here, in front of the loop: the block being filled is still the outer one. */
    fe_carry c = {.name = name, .at = left->name.at, .init = fe_materialise(l, left->at, name, slot)};
    if (!c.init) return;
    ir_type type = *fe_value_type(l, c.init);
    c.inside = ir_value_new(l->u, name, &type);
    BASE_PUSH(l->arena, &s->loop->carries, c);
}

/* A tensor along a loop around this one that is stored again in here: it goes on from what it is now, through every round of this loop. */
static void carry_along(const scan *s, const fe_left *left)
{
    const fe_slot *slot = fe_slot_of(s->f, left->name.text);
    const fe_carry *around = fe_carry_of(s->f, left->name.text);
    if (!slot || slot->kind != FE_SLOT_TENSOR || !around || !around->along || own_carry(s->loop, left->name.text)) return;
    fe_carry c = {.name = left->name.text, .at = left->name.at, .init = slot->tensor.value, .along = true};
    ir_type type = *fe_value_type(s->l, c.init);
    c.inside = ir_value_new(s->l->u, c.name, &type);
    BASE_PUSH(s->l->arena, &s->loop->carries, c);
}

/* The whole body, inner loops too: what they assign this loop carries as well. Loops nest no deeper than brackets may, so it can
 * recurse. */
static void scan_block(const scan *s, const fe_stmts *body, fe_names *counters)
{
    for (uint32_t k = 0; k < body->n; k++) {
        const fe_stmt *stmt = body->at[k];
        if (stmt->kind == FE_STMT_FOR) {
            BASE_PUSH(s->l->arena, counters, stmt->loop.counter);
            scan_block(s, stmt->loop.body, counters);
            counters->n--;
        } else if (stmt->kind == FE_STMT_DEFINE && defines(s, &stmt->define.left, counters)) carry_add(s, &stmt->define.left);
        else if (stmt->kind == FE_STMT_DEFINE && stmt->define.left.items) carry_along(s, &stmt->define.left);
    }
}

/* ---- tensors along a loop */

/* The loop whose counter a place names; NULL: no loop around the statement has it. Loops of calling graphs are not seen, since each
 * frame has its own chain. */
static fe_loop *loop_of(const fe_frame *f, const char *counter)
{
    for (fe_loop *loop = f->loop; loop; loop = loop->outer)
        if (loop->counter == counter) return loop;
    return NULL;
}

/* The outermost loop whose counter stands among the places; NULL: none, or a place is something else. The tensor must live from there
 * on: a loop further in would start it as zeros in each round of the outer one. */
static fe_loop *along(fe_lower *l, fe_frame *f, const fe_left *left)
{
    fe_loop *outermost = NULL;
    for (uint32_t k = 0; k < left->items->n; k++) {
        const fe_item *item = &left->items->at[k];
        if (item->kind == FE_ITEM_RANGE) continue;
        if (item->kind != FE_ITEM_EXPR || item->e->kind != FE_NAME) return NULL;
        if (fe_is_fresh(l, f, item->e->name)) continue;
        fe_loop *loop = loop_of(f, item->e->name.text);
        if (!loop) return NULL;
        /* `loop` takes over if it is met on the way outwards from the best so far. */
        bool outer = !outermost;
        for (fe_loop *o = outermost; o; o = o->outer) outer = outer || o == loop;
        if (outer) outermost = loop;
    }
    return outermost;
}

/* h[l, i] defines a tensor along the loop if the name is new, or is one already. A tensor that was made otherwise would be updated by
 * position, which is another statement. */
bool fe_left_is_along(fe_lower *l, fe_frame *f, const fe_left *left)
{
    if (left->items->n > IR_RANK || !along(l, f, left)) return false;
    const fe_slot *slot = fe_slot_of(f, left->name.text);
    const fe_carry *carry = fe_carry_of(f, left->name.text);
    return !slot || slot->kind == FE_SLOT_POISON || (carry && carry->along);
}

/* Carries of the loops from the one at `outermost` to the one around the statement, each starting as what the outer one has. Only the
 * outermost has no `init`, which means zeros. A loop between whose counter is no place passes the tensor on all the same: what it
 * stores has to reach the next round outside. */
static void along_begin(fe_lower *l, fe_loop *loop, const fe_loop *outermost, const fe_left *left, const ir_type *type)
{
    fe_carry c = {.name = left->name.text, .at = left->name.at, .along = true};
    if (loop != outermost) {
        along_begin(l, loop->outer, outermost, left, type);
        c.init = own_carry(loop->outer, left->name.text)->inside;
    }
    c.inside = ir_value_new(l->u, left->name.text, type);
    BASE_PUSH(l->arena, &loop->carries, c);
}

/* Extents need not be the same expression, only provably equal. What cannot be shown counts as different: all rounds have one shape. */
static bool same_type(fe_lower *l, const ir_type *a, const ir_type *b)
{
    bool same = a->rank == b->rank && a->dtype == b->dtype;
    for (uint32_t k = 0; same && k < a->rank; k++) same = fe_same(l, a->dim[k], b->dim[k]);
    return same;
}

/* As it is written: f32[N,D]. */
static const char *type_text(fe_lower *l, const ir_type *t)
{
    return base_printf(l->arena, "%s%s", ir_dtypes[t->dtype].text, t->rank ? fe_shape_text(l, t->dim, t->rank) : "");
}

/* One slice is stored into what the round began with; storing twice in a round stores into the first result. The map runs over the
 * fresh indices alone and says where each element goes, counters included. */
static void along_store(fe_lower *l, fe_frame *f, const fe_stmt *stmt, const fe_bound_indices *bound, const ir_type *type, ir_expr body)
{
    const fe_left *left = &stmt->define.left;
    fe_loop *outermost = along(l, f, left);
    if (!own_carry(f->loop, left->name.text)) along_begin(l, f->loop, outermost, left, type);
    fe_carry *carry = own_carry(f->loop, left->name.text);
    if (!same_type(l, fe_value_type(l, carry->inside), type)) {
        fe_env env = fe_env_of_frame(f);
        fe_expected(fe_report(l, &env, BASE_MSG_CARRY_DIFFERS, left->at, left->name.text, "type"), type_text(l, fe_value_type(l, carry->inside)), type_text(l, type), NULL);
        return;
    }
    const fe_slot *slot = fe_slot_of(f, left->name.text);
    ir_var outer[IR_RANK];
    ir_expr *places = BASE_ARRAY(l->arena, left->items->n, ir_expr);
    uint32_t n = 0;
    for (uint32_t k = 0; k < left->items->n; k++) {
        const fe_item *item = &left->items->at[k];
        const char *name = item->kind == FE_ITEM_RANGE ? item->name.text : item->e->name.text;
        fe_loop *loop = item->kind == FE_ITEM_RANGE || fe_is_fresh(l, f, item->e->name) ? NULL : loop_of(f, name);
        if (!loop) outer[n] = bound->at[n].index.var, n++;
        places[k] = ir_var_expr(l->u, loop ? loop->var : outer[n - 1]);
    }
    /* The map's variables are the indices of the left side, in order; a place that is a counter takes part in `places` only. */
    ir_value v = ir_value_new(l->u, left->name.text, type);
    ir_node *node = ir_node_map(l->u, fe_at(l, stmt->at), n, outer, v, body);
    node->map.results[0].store = (ir_store){.mode = IR_STORE_ONE, .n_places = (uint8_t)left->items->n, .result = v,
                                            .into = slot && slot->kind == FE_SLOT_TENSOR ? slot->tensor.value : carry->inside, .places = places};
    fe_node_add(l, node);
    fe_slot_set(l, f, left->name.text, (fe_slot){.kind = FE_SLOT_TENSOR, .tensor = {.value = v}});
}

/* Extents of the places are the loops' upper bounds, the others those of fresh indices. What the name was before, or is declared to
 * be, gives extents to indices that stand alone nowhere on the right. */
void fe_lower_along(fe_lower *l, fe_frame *f, const fe_stmt *stmt)
{
    const fe_left *left = &stmt->define.left;
    const fe_shape *declared = fe_declared(f, left->name.text);
    const fe_carry *carry = fe_carry_of(f, left->name.text);
    const ir_expr *extents = carry ? fe_value_type(l, carry->inside)->dim : NULL;
    if (!carry && declared && !declared->poison && declared->type.rank == left->items->n) extents = declared->type.dim;
    fe_bound_indices bound = {0};
    fe_env env;
    bool ok = fe_left_indices(l, f, stmt, left->items, extents, &env, &bound);
    ir_expr body = fe_lower_expr(l, &env, stmt->define.e);
    ir_dtype dtype = fe_left_dtype(l, f, stmt, body);
    body = dtype == IR_N_DTYPES ? 0 : fe_convert(l, &env, left->name.at, left->name.text, body, dtype);
    /* A name that has a value keeps it: the mistake is counted, and statements that read the name can be looked at. */
    if (!ok || !body) {
        if (!fe_slot_of(f, left->name.text)) fe_slot_set(l, f, left->name.text, (fe_slot){.kind = FE_SLOT_POISON});
        return;
    }
    ir_type type = {.dtype = (uint8_t)dtype, .rank = (uint8_t)left->items->n};
    uint32_t n = 0;
    for (uint32_t k = 0; k < left->items->n; k++) {
        const fe_item *item = &left->items->at[k];
        bool fresh = item->kind == FE_ITEM_RANGE || fe_is_fresh(l, f, item->e->name);
        type.dim[k] = fresh ? bound.at[n++].index.hi : loop_of(f, item->e->name.text)->hi;
    }
    along_store(l, f, stmt, &bound, &type, body);
}

/* ---- the loop itself */

/* Bounds are known when the graph is called, so that loops can be planned: dimensions and counters of loops around, no data. */
static ir_expr bound_of(fe_lower *l, const fe_env *env, const fe_expr *e)
{
    ir_expr x = fe_lower_int(l, env, e, "the bounds of a loop are integers");
    if (!x || fe_of_dims(l, x)) return x;
    fe_not_yet(l, env, e->at, "a loop whose bounds depend on data");
    return 0;
}

/* What the next round starts with; 0: reported. The value that the name has at the end of the body must be of the type that the round
 * began with, as both stand for one carry. */
static ir_value next_of(fe_lower *l, fe_frame *f, const fe_stmt *stmt, const fe_carry *c)
{
    const fe_slot *slot = fe_slot_of(f, c->name);
    if (slot && slot->kind == FE_SLOT_RECORD) {
        fe_env env = fe_env_of_frame(f);
        fe_report(l, &env, BASE_MSG_RECORD_WHOLE, c->at, c->name);
        return 0;
    }
    ir_value next = slot ? fe_materialise(l, stmt->at, c->name, slot) : 0;
    if (!next) return 0;
    const ir_type *want = fe_value_type(l, c->inside), *have = fe_value_type(l, next);
    if (same_type(l, want, have)) return next;
    fe_env env = fe_env_of_frame(f);
    bool shape = want->dtype == have->dtype;
    fe_expected(fe_report(l, &env, BASE_MSG_CARRY_DIFFERS, c->at, c->name, shape ? "shape" : "type"), type_text(l, want), type_text(l, have),
                "a loop carries a name with the same shape and type every time; before it the type can be written: name: f32 = ...");
    return 0;
}

/* What each name is at the end of the body is what the next round starts with. The body's block is still being filled: a slice is made
 * whole in it, and the yield comes last. Each carry is looked at, also after one that failed. */
static bool finish_carries(fe_lower *l, fe_frame *f, const fe_stmt *stmt, fe_loop *loop, ir_node *node)
{
    uint32_t n = loop->carries.n;
    ir_carry *carries = BASE_ARRAY(l->arena, n ? n : 1, ir_carry);
    ir_value *next = BASE_ARRAY(l->arena, n ? n : 1, ir_value);
    bool ok = true;
    for (uint32_t k = 0; k < n; k++) {
        fe_carry *c = &loop->carries.at[k];
        next[k] = next_of(l, f, stmt, c);
        ok = ok && next[k];
        ir_type type = *fe_value_type(l, c->inside);
        c->result = ir_value_new(l->u, c->name, &type);
        carries[k] = (ir_carry){.inside = c->inside, .init = c->init, .next = next[k], .result = c->result};
    }
    node->loop.carries = carries;
    node->loop.n_carries = n;
    if (ok) ir_builder_add(l->out, ir_node_use(l->u, IR_FORM_YIELD, fe_at(l, stmt->at), n, next));
    return ok;
}

/* The body is lowered once, with carries as values of their own; outside, the names are the results afterwards. The carries must be
 * found before the body's block is begun and before the counter has a slot: what they start with belongs in front of the loop, and
 * names mean there what they meant outside. */
void fe_lower_loop(fe_lower *l, fe_frame *f, const fe_stmt *stmt)
{
    fe_env env = fe_env_of_frame(f);
    const char *counter = stmt->loop.counter.text;
    if (stmt->loop.cond) fe_not_yet(l, &env, stmt->loop.cond->at, "'while'");
    ir_expr lo = bound_of(l, &env, stmt->loop.lo), hi = bound_of(l, &env, stmt->loop.hi);
    fe_loop loop = {.outer = f->loop, .counter = counter, .var = ir_var_new(l->u, counter, hi ? hi : ir_int(l->u, 1)), .hi = hi, .undo_mark = f->undo.n};
    scan s = {l, f, &loop};
    fe_names counters = {0};
    BASE_PUSH(l->arena, &counters, stmt->loop.counter);
    scan_block(&s, stmt->loop.body, &counters);
    /* Never taken off again: expressions of the body hold the variable for good, and fe_of_dims goes on asking about them. */
    BASE_PUSH(l->arena, &l->counters, loop.var);
    ir_builder *outer = l->out;
    l->out = ir_builder_create(l->u);
    /* `loop` lives on this stack frame; the frame points elsewhere before it ends. */
    f->loop = &loop;
    fe_slot_set(l, f, counter, (fe_slot){.kind = lo && hi ? FE_SLOT_COUNTER : FE_SLOT_POISON, .e = ir_var_expr(l->u, loop.var)});
    for (uint32_t k = 0; k < loop.carries.n; k++)
        fe_slot_set(l, f, loop.carries.at[k].name, (fe_slot){.kind = FE_SLOT_TENSOR, .tensor = {.value = loop.carries.at[k].inside}});
    fe_lower_block(l, f, stmt->loop.body);
    ir_node *node = BASE_NEW(l->arena, ir_node);
    node->form = IR_FORM_LOOP;
    node->span = fe_at(l, stmt->at);
    bool ok = finish_carries(l, f, stmt, &loop, node) && lo && hi && !stmt->loop.cond;
    node->loop.counter = loop.var;
    node->loop.lo = lo;
    node->loop.hi = hi;
    node->loop.cond = ir_bool(l->u, true);
    node->loop.body = ir_builder_block(l->out);
    l->out = outer;
    f->loop = loop.outer;
    /* Counter, carries and all that was defined inside end here; the results are set after that, so a loop around restores them with
     * its own. */
    fe_slots_restore(f, loop.undo_mark);
    if (ok) fe_node_add(l, node);
    for (uint32_t k = 0; k < loop.carries.n; k++)
        fe_slot_set(l, f, loop.carries.at[k].name, (fe_slot){.kind = ok ? FE_SLOT_TENSOR : FE_SLOT_POISON, .tensor = {.value = loop.carries.at[k].result}});
}

/* Take out: a reduction becomes a node of its own, read by all its occurrences, in all nodes, equal up to renaming of variables. Its
 * free variables become the node's axes. Occurrences are found by a pattern: free variables, in order of appearance, replaced by fixed
 * stand-ins, the k-th of each extent. What stands only behind lazy guards is taken out only if reading it early cannot fail. */
#include "fuse.h"

typedef BASE_VEC(ir_var) var_list;

/* ---- free variables in order of appearance */
typedef struct { fuse_block *b; ir_set axes; pass_memo seen; var_list *out; } appear_env; /* axes: variables that count; seen: expressions done */
/* Depth first, left to right, what is shared once: the order depends on the shape of the expression and not on names. */
static void appear(appear_env *a, ir_expr e) {
    ir_unit *u = a->b->u;
    if (!ir_set_meets(u, ir_free(u, e), a->axes) || !pass_memo_add(&a->seen, e)) return;
    if (ir_is(u, e, IR_VAR)) {
        BASE_PUSH(a->b->arena, a->out, ir_at(u, e)->u.ref);
        return;
    }
    for (uint32_t i = 0; i < ir_n_operands(u, e); i++) appear(a, ir_operand(u, e, i));
}

/* ---- patterns */
typedef struct {
    fuse_block *b;
    ir_set counters;             /* of loops around: not renamed */
} patterns;

/* The first of this extent that is not taken; made once per block, so that patterns of different nodes are comparable by id. */
static ir_var stand_in(fuse_block *b, ir_expr extent, ir_set taken) {
    for (uint32_t i = 0; i < b->stand_ins.n; i++)
        if (b->stand_ins.at[i].extent == extent && !ir_set_has(b->u, taken, b->stand_ins.at[i].v)) return b->stand_ins.at[i].v;
    fuse_stand_in z = { extent, ir_var_new(b->u, "z", extent) };
    BASE_PUSH(b->arena, &b->stand_ins, z);
    return z.v;
}
/* 0: it has no place as a node: too many axes, or one whose extent moves. */
static ir_expr pattern(patterns *p, ir_expr red, var_list *free) {
    ir_unit *u = p->b->u;
    appear_env a = { p->b, ir_set_minus(u, ir_free(u, red), p->counters), pass_memo_create(p->b->arena), free };
    ir_set taken = 0;
    ir_binding all[IR_RANK];
    appear(&a, red);
    /* free variables become axes of a value, which has IR_RANK of them at most */
    if (free->n > IR_RANK || free->n != ir_set_size(u, a.axes)) return 0;
    for (uint32_t i = 0; i < free->n; i++) {
        ir_expr extent = u->var.at[free->at[i]].extent;
        if (ir_free(u, extent) || ir_has_op(u, extent, IR_READ)) return 0;
        ir_var z = stand_in(p->b, extent, taken);
        taken = ir_set_union(u, taken, ir_set_of(u, 1, &z));
        all[i] = (ir_binding){ free->at[i], ir_var_expr(u, z) };
    }
    return ir_substitute(u, red, free->n, all);
}

/* ---- occurrences */
/* Reductions of an expression, and whether some occurrence is always evaluated: under no guard, and inside nothing that may run over nothing
 * and does not become an axis of the new node. */
typedef struct { fuse_block *b; lower_list reds; pass_memo eager, seen; ir_set hollow; } found_env;   /* hollow: variables around that may have no index */
/* Each reduction once, outer ones before those in them. */
static bool all_visit(const ir_unit *u, void *env, ir_expr e) {
    found_env *f = env;
    if (ir_is(u, e, IR_RED)) BASE_PUSH(f->b->arena, &f->reds, e);
    return true;
}
/* Notes the variables whose extents are not proved positive: inside them something may be evaluated for no index at all. */
static void step_into(found_env *f, uint32_t n, const ir_var *vars) {
    for (uint32_t i = 0; i < n; i++)
        if (!ir_at_least(f->b->u, f->b->u->var.at[vars[i]].extent, 1)) f->hollow = ir_set_union(f->b->u, f->hollow, ir_set_of(f->b->u, 1, &vars[i]));
}
static void eager(found_env *f, ir_expr e);
/* `e` itself is eager if each hollow variable around is one of its own, which the new node has as an axis: no index, nothing computed there
 * either. The body counts only where no guard can hide it. `hollow` is set back on the way out. */
static void eager_reduction(found_env *f, ir_expr e) {
    ir_unit *u = f->b->u;
    ir_set around = f->hollow;
    if (!ir_set_minus(u, f->hollow, ir_free(u, e))) pass_memo_add(&f->eager, e);
    for (uint32_t i = 0; i < ir_red_n_bound(u, e); i++) step_into(f, 1, (ir_var[]){ ir_red_bound(u, e, i) });
    eager(f, ir_red_where(u, e));
    if (ir_is_bool(u, ir_red_where(u, e), true)) eager(f, ir_red_body(u, e));
    f->hollow = around;
}
/* Of lazy operators only the first operand is evaluated for certain. Each expression is seen once: another way to it could only make it
 * eager too, and what is not known to be eager just stays where it is. */
static void eager(found_env *f, ir_expr e) {
    ir_unit *u = f->b->u;
    if (!pass_memo_add(&f->seen, e)) return;
    ir_op op = (ir_op)ir_at(u, e)->op;
    if (op == IR_RED) {
        eager_reduction(f, e);
        return;
    }
    uint32_t n = op == IR_SELECT || op == IR_AND || op == IR_OR ? 1 : ir_n_operands(u, e);
    for (uint32_t i = 0; i < n; i++) eager(f, ir_operand(u, e, i));
}

/* ---- the move */
typedef struct { patterns *p; ir_expr pattern; ir_value value; const uint8_t *order; } out_env;
/* Any occurrence of the pattern becomes a read at its own variables. Their k-th in order of appearance stands for the k-th of every other one;
 * `order` says which axis of the node that is. */
static ir_expr out(ir_unit *u, void *env, ir_expr e) {
    out_env *o = env;
    if (!ir_is(u, e, IR_RED)) return 0;
    var_list free = { 0 };
    if (pattern(o->p, e, &free) != o->pattern) return 0;
    ir_expr *at = BASE_ARRAY(u->arena, free.n, ir_expr);
    for (uint32_t i = 0; i < free.n; i++) at[i] = ir_var_expr(u, free.at[o->order[i]]);
    return ir_read(u, o->value, free.n, at);
}

typedef struct { uint32_t slot; ir_node *node; } reader; /* node: what would stand in the slot */
/* fresh: index into the block's; before, after: seconds of the readers as they are, and of what they become with the new node. */
typedef struct { uint32_t fresh; bool found; BASE_VEC(reader) readers; double before, after, gain; } move;

typedef struct { ir_dtype dtype; bool found; } dtype_env;
static bool dtype_visit(const ir_unit *u, void *env, ir_expr e) {
    dtype_env *d = env;
    if (ir_is(u, e, IR_READ)) d->found |= u->value.at[ir_at(u, e)->u.ref].type.dtype == d->dtype;
    return !d->found;
}
static bool has_dtype(const fuse_block *b, ir_expr e, ir_dtype dtype) {
    dtype_env d = { dtype, false };
    ir_walk(b->u, e, dtype_visit, &d);
    return d.found;
}

/* Names are for people and for texts that are read back, so two values must not share one. */
static bool name_taken(const fuse_block *b, const char *name) {
    for (uint32_t v = 1; v < b->u->value.n; v++)
        if (b->u->value.at[v].name && !strcmp(b->u->value.at[v].name, name)) return true;
    return false;
}
static const char *fresh_name(fuse_block *b, const ir_node *from, ir_red kind) {
    const char *name = base_printf(b->arena, "%s_%s", fuse_name(b, from), ir_reds[kind].text);
    for (uint32_t n = 2; name_taken(b, name); n++) name = base_printf(b->arena, "%s_%s%u", fuse_name(b, from), ir_reds[kind].text, n);
    return name;
}

/* Axes in the order in which the statement has its own variables, those that a reduction around binds last: rows stay rows in memory. */
static uint32_t place_of(const ir_node *from, ir_var v) {
    uint32_t k = 0;
    while (k < from->map.n_outer && from->map.outer[k] != v) k++;
    return k;
}
/* Insertion sort, stable: variables that the statement does not have stand last in order of appearance. */
static void order_axes(const ir_node *from, const var_list *free, uint8_t *order) {
    for (uint32_t i = 0; i < free->n; i++) {
        uint32_t at = i;
        for (; at > 0 && place_of(from, free->at[order[at - 1]]) > place_of(from, free->at[i]); at--) order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
}

/* The node that computes the reduction over variables of its own. */
static ir_node *fresh_node(fuse_block *b, const ir_node *from, ir_expr red, const var_list *free, const uint8_t *order) {
    ir_unit *u = b->u;
    ir_var outer[IR_RANK];
    ir_binding all[IR_RANK];
    ir_sort sort = (ir_sort)ir_at(u, red)->sort;
    ir_type type = { .dtype = sort == IR_SORT_INT ? IR_TYPE_I64 : sort == IR_SORT_BOOL ? IR_TYPE_BOOL : IR_TYPE_F32, .rank = (uint8_t)free->n };
    if (sort == IR_SORT_REAL && has_dtype(b, red, IR_TYPE_F64)) type.dtype = IR_TYPE_F64;
    for (uint32_t i = 0; i < free->n; i++) {
        ir_var v = free->at[order[i]];
        type.dim[i] = u->var.at[v].extent;
        outer[i] = ir_var_new(u, u->var.at[v].name, type.dim[i]);
        all[i] = (ir_binding){ v, ir_var_expr(u, outer[i]) };
    }
    ir_value value = ir_value_new(u, "?", &type);        /* named when the move is made */
    return ir_node_map(u, from->span, free->n, outer, value, ir_substitute(u, red, free->n, all));
}
/* One node per pattern for as long as the move is not made, however often it is tried: fuse_cost then knows it. After the move `node` is NULL,
 * and a new occurrence of the pattern is a new node. */
static uint32_t fresh_of(fuse_block *b, const ir_node *from, ir_expr pat, ir_expr red, const var_list *free) {
    uint32_t at;
    if (pass_memo_get(&b->taken, pat, &at) && b->fresh.at[at].node) return at;
    fuse_fresh f = { NULL, { 0 } };
    order_axes(from, free, f.order);
    f.node = fresh_node(b, from, red, free, f.order);
    at = BASE_PUSH(b->arena, &b->fresh, f);
    pass_memo_put(&b->taken, pat, at);
    return at;
}

/* NULL: nothing of the pattern is in it. Otherwise a copy; the node itself is immutable. */
static ir_node *without(fuse_block *b, const ir_node *n, out_env *o) {
    ir_node *m = NULL;
    for (uint32_t i = 0; i < n->map.n_results; i++) {
        ir_expr body = ir_rebuild(b->u, n->map.results[i].body, out, o);
        if (body == n->map.results[i].body) continue;
        if (!m) {
            m = ir_node_copy(b->u, n);
            m->map.results = base_copy(b->arena, n->map.results, n->map.n_results * sizeof *n->map.results);
        }
        m->map.results[i].body = body;
    }
    return m;
}

/* Only from slot i on: the new node would stand right before i, and what stands earlier could not read it.
 * Where two readers would cost less joined, that is left to fuse_join: both then compute the reduction once in one kernel. */
static bool try_move(fuse_block *b, uint32_t i, patterns *p, ir_expr red, move *best) {
    var_list free = { 0 };
    const char *why;
    ir_expr pat = pattern(p, red, &free);
    if (!pat) return false;
    move m = { .fresh = fresh_of(b, b->slots.at[i].node, pat, red, &free), .found = true };
    const fuse_fresh *f = &b->fresh.at[m.fresh];
    out_env o = { .p = p, .pattern = pat, .value = f->node->map.results[0].store.result, .order = f->order };
    double before = 0, after = fuse_cost(b, f->node, &why);
    bool ok = true;
    for (uint32_t k = i; k < b->slots.n && ok; k++) {
        const ir_node *n = b->slots.at[k].node;
        ir_node *rest = n && n->form == IR_FORM_MAP ? without(b, n, &o) : NULL;
        if (!rest) continue;
        for (uint32_t r = 0; r < rest->map.n_results; r++) ok &= !ir_is(b->u, rest->map.results[r].body, IR_READ);   /* that would be a copy */
        before += fuse_slot_cost(b, k);
        after += fuse_cost(b, rest, &why);
        BASE_PUSH(b->arena, &m.readers, ((reader){ k, rest }));
    }
    m.before = before;
    m.after = after;
    m.gain = before - after;
    if (ok && m.readers.n == 2 && fuse_joins_better(b, m.readers.at[0].slot, m.readers.at[1].slot, after)) return false;
    if (!ok || !m.readers.n || !fuse_gains(before, after) || m.gain <= best->gain) return false;
    *best = m;
    return true;
}

/* The best take from slot i, if one gains. A body that is the reduction itself is no candidate: what is left would be a copy. What is neither
 * eager nor total stays, since the new node computes it for every index. */
bool fuse_take(fuse_block *b, uint32_t i) {
    const ir_node *n = b->slots.at[i].node;
    if (!n || n->form != IR_FORM_MAP) return false;
    ir_set free = 0, outer = ir_set_of(b->u, n->map.n_outer, n->map.outer);
    found_env f = { .b = b, .eager = pass_memo_create(b->arena), .seen = pass_memo_create(b->arena) };
    step_into(&f, n->map.n_outer, n->map.outer);
    for (uint32_t r = 0; r < n->map.n_results; r++) {
        if (lower_nesting(b->u, n->map.results[r].body) > FUSE_NESTING) return false;
        ir_walk(b->u, n->map.results[r].body, all_visit, &f);
        eager(&f, n->map.results[r].body);
        free = ir_set_union(b->u, free, ir_free(b->u, n->map.results[r].body));
    }
    patterns p = { .b = b, .counters = ir_set_minus(b->u, free, outer) };
    move best = { 0 };
    for (uint32_t r = 0; r < f.reds.n; r++) {
        bool root = n->map.n_results == 1 && f.reds.at[r] == n->map.results[0].body;
        /* the root of a single result is the node's own reduction: taking it out would leave a copy */
        if (root || !(pass_memo_get(&f.eager, f.reds.at[r], NULL) || pass_is_total(b->u, f.reds.at[r]))) continue;
        try_move(b, i, &p, f.reds.at[r], &best);
    }
    if (!best.found) return false;
    for (uint32_t k = 0; k < best.readers.n; k++) fuse_set(b, best.readers.at[k].slot, best.readers.at[k].node);
    ir_node *fresh = b->fresh.at[best.fresh].node;
    /* named only now, so that moves which are tried and dropped use up no names */
    b->fresh.at[best.fresh].node = NULL;
    b->u->value.at[fresh->map.results[0].store.result].name = fresh_name(b, n, (ir_red)ir_at(b->u, fresh->map.results[0].body)->u.ref);
    fresh->span = n->span;
    fuse_moved(b, n->span, best.before, best.after, "a reduction of %s becomes a kernel of its own: %s", fuse_name(b, n), fuse_name(b, fresh));
    BASE_PUSH(b->arena, &b->slots, ((fuse_slot){ 0 }));
    for (uint32_t k = b->slots.n - 1; k > i; k--) b->slots.at[k] = b->slots.at[k - 1];
    fuse_set(b, i, fresh);
    return true;
}

/* Walks over expressions. Each expression is looked at once per walk, with a memo and an explicit stack, so neither sharing nor depth
 * costs more than memory: operands have smaller ids than what is made of them, a memo of the root's size holds all.
 * Only renaming below binders goes into itself, once per level of nested reductions. */
#include "core.h"

enum { UNSEEN_EPOCH = 0 };
static const ir_expr open_entry = UINT32_MAX;     /* its operands are being worked on */

/* Epochs make clearing a memo free; released ones are used again, since most walks are small beside the unit that they walk. Each walk
 * owns its memo until it releases it: walks start others (a rewriting substitutes), so one memo for all would not do. */
ir_memo *ir_memo_take(const ir_unit *u, ir_expr largest) {
    struct ir_unit_index *index = u->index;
    ir_memo *m = index->memo;
    if (m) index->memo = m->next;
    else m = BASE_NEW(u->arena, ir_memo);
    if (m->n <= largest) {
        /* Room for the whole unit, and at least twice as much as before, so that growing is rare. New memory is zero: no epoch yet. */
        uint32_t n = u->expr.n > 2 * m->n ? u->expr.n : 2 * m->n;
        m->at = base_alloc_array(u->arena, n, sizeof *m->at);
        m->n = n;
        m->epoch = UNSEEN_EPOCH;
    }
    m->epoch++;
    m->stack.n = 0;
    return m;
}

void ir_memo_release(const ir_unit *u, ir_memo *m) {
    m->next = u->index->memo;
    u->index->memo = m;
}

/* Seen in this walk. What another walk noted has an older epoch. */
static bool is_seen(const ir_memo *m, ir_expr e) { return m->at[e].epoch == m->epoch; }

/* The result of e, or open_entry, or for walks that only look e itself. */
static void note(ir_memo *m, ir_expr e, ir_expr to) {
    m->at[e].epoch = m->epoch;
    m->at[e].to = to;
}

/* What lies directly below: operands; of a reduction its extents, guard and body, not the variables it binds. As many as operands: for
 * each variable that a reduction binds its extent takes its place. */
static uint32_t n_below(const ir_unit *u, ir_expr e) { return ir_n_operands(u, e); }

static ir_expr below(const ir_unit *u, ir_expr e, uint32_t k) {
    ir_expr o = ir_operand(u, e, k);
    return ir_is(u, e, IR_RED) && k + 2 < ir_n_operands(u, e) ? ir_extent(u, ir_at(u, o)->u.ref) : o;
}

/* ---- rebuilding */

typedef struct {
    ir_unit *u;
    ir_rewrite *before, *after;  /* one of them, the other NULL: asked before the operands are entered, or on what they were made into */
    void *env;                   /* the caller's, handed to the rewriting */
    ir_memo *memo;               /* of this walk: by expression, what it became */
} rebuild;

/* A reduction whose extents changed binds new variables, since a variable keeps its extent for life. One made by ir_reduce_as is
 * recognised by what it binds, and stays so. parts: the rebuilt extents, guard, body, as `below` counts them. */
static ir_expr reduction_of_parts(ir_unit *u, ir_expr e, const ir_expr *parts) {
    uint32_t n = ir_red_n_bound(u, e), n_moved = 0;
    bool canonical = true;
    ir_var bound[IR_AXES];
    ir_binding moved[IR_AXES];
    for (uint32_t k = 0; k < n; k++) {
        ir_var v = bound[k] = ir_red_bound(u, e, k);
        canonical &= ir_is_binder(u, v);
        ir_expr extent = ir_substitute(u, parts[k], n_moved, moved);
        /* An extent may mention variables bound before it, which may have moved. */
        if (extent == ir_extent(u, v)) continue;
        bound[k] = ir_var_new(u, u->var.at[v].name, extent);
        moved[n_moved++] = (ir_binding){v, ir_var_expr(u, bound[k])};
    }
    ir_expr where = ir_substitute(u, parts[n], n_moved, moved), body = ir_substitute(u, parts[n + 1], n_moved, moved);
    return (canonical ? ir_reduce : ir_reduce_as)(u, (ir_red)ir_at(u, e)->u.ref, n, bound, where, body);
}

/* Through the folding builders, so a rewriting may fold further up. A part that became the poison makes the whole the poison, here
 * already: else a new variable might get the poison for its extent. */
static ir_expr of_parts(ir_unit *u, ir_expr e, const ir_expr *parts) {
    const ir_expr_info *x = ir_at(u, e);
    for (uint32_t k = 0; k < x->operands.n; k++)
        if (!parts[k]) return 0;
    if (x->op == IR_RED) return reduction_of_parts(u, e, parts);
    if (x->op == IR_READ) return ir_read(u, x->u.ref, x->operands.n, parts);
    return ir_apply(u, (ir_op)x->op, x->operands.n, parts);
}

/* All below is settled. Where nothing changed the expression stays itself: no folding, no new id. */
static ir_expr finish(rebuild *r, ir_expr e) {
    ir_expr parts[IR_AXES + 2], done = e;
    bool same = true;
    for (uint32_t k = 0; k < n_below(r->u, e); k++) {
        ir_expr part = below(r->u, e, k);
        parts[k] = r->memo->at[part].to;
        same &= parts[k] == part;
    }
    if (!same) done = of_parts(r->u, e, parts);
    ir_expr better = r->after && done ? r->after(r->u, r->env, done) : 0;
    return better ? better : done;
}

/* The top of the stack is new: settles it if it can be, else puts what lies below on top of it, the first operand last, so that it is
 * settled first. An open entry is never put there again: it would have to lie below itself. */
static void enter(rebuild *r, ir_expr e) {
    ir_expr done = r->before ? r->before(r->u, r->env, e) : 0;
    note(r->memo, e, done ? done : open_entry);
    if (done) return;
    for (uint32_t k = n_below(r->u, e); k--;) {
        ir_expr part = below(r->u, e, k);
        if (!is_seen(r->memo, part)) BASE_PUSH(r->u->arena, &r->memo->stack, part);
    }
}

/* Post-order on an explicit stack: an entry is met once to open it, and again when what lies below has been settled. Two parents may both
 * have put it there: the lower of the two entries finds it settled and is dropped. The poison is settled from the start, as itself. */
static ir_expr run(rebuild *r, ir_expr e) {
    if (!e) return 0;
    ir_memo *m = r->memo = ir_memo_take(r->u, e);
    note(m, 0, 0);
    BASE_PUSH(r->u->arena, &m->stack, e);
    while (m->stack.n) {
        ir_expr top = m->stack.at[m->stack.n - 1];
        if (!is_seen(m, top)) {
            enter(r, top);
            continue;
        }
        m->stack.n--;
        if (m->at[top].to == open_entry) note(m, top, finish(r, top));
    }
    ir_expr result = m->at[e].to;
    ir_memo_release(r->u, m);
    return result;
}

ir_expr ir_rebuild(ir_unit *u, ir_expr e, ir_rewrite *before, void *env) { return run(&(rebuild){u, before, NULL, env, NULL}, e); }
ir_expr ir_rebuild_up(ir_unit *u, ir_expr e, ir_rewrite *after, void *env) { return run(&(rebuild){u, NULL, after, env, NULL}, e); }

/* ---- substitution */

typedef struct {
    uint32_t n;
    const ir_binding *all;
    ir_set from;                 /* the variables replaced */
} substitution;

/* Few variables are replaced at once: no map. */
static ir_expr replacement(const substitution *s, ir_var v) {
    for (uint32_t k = 0; k < s->n; k++)
        if (s->all[k].from == v) return s->all[k].to;
    return 0;
}

/* Variables of the new text that would stand below the binders of `red`. Bindings whose variable does not occur in it bring nothing. */
static ir_set incoming(ir_unit *u, const substitution *s, ir_expr red) {
    ir_set all = 0;
    for (uint32_t k = 0; k < s->n; k++)
        if (ir_depends(u, red, s->all[k].from)) all = ir_set_union(u, all, ir_free(u, s->all[k].to));
    return all;
}

/* Where a bound variable hides a replaced one, or would capture the new text, it gets a new name first. */
static ir_expr with_fresh_binders(ir_unit *u, ir_expr red, ir_set clash) {
    uint32_t n = ir_red_n_bound(u, red), n_moved = 0;
    ir_var bound[IR_AXES];
    ir_binding moved[IR_AXES];
    for (uint32_t k = 0; k < n; k++) {
        ir_var v = bound[k] = ir_red_bound(u, red, k);
        ir_expr extent = ir_substitute(u, ir_extent(u, v), n_moved, moved);
        if (!ir_set_has(u, clash, v) && extent == ir_extent(u, v)) continue;
        bound[k] = ir_var_new(u, u->var.at[v].name, extent);
        moved[n_moved++] = (ir_binding){v, ir_var_expr(u, bound[k])};
    }
    ir_expr where = ir_substitute(u, ir_red_where(u, red), n_moved, moved), body = ir_substitute(u, ir_red_body(u, red), n_moved, moved);
    return ir_reduce_as(u, (ir_red)ir_at(u, red)->u.ref, n, bound, where, body);
}

/* The reduction with its binders out of the way, substituted, and canonical again if it was. 0, for the walk to go on below, where none is
 * in the way. The fresh binders clash with nothing, so the substitution that starts again here does not come back to this case for it. */
static ir_expr substitute_reduction(ir_unit *u, const substitution *s, ir_expr red) {
    ir_set bound = 0, clash;
    bool canonical = true;
    for (uint32_t k = 0; k < ir_red_n_bound(u, red); k++) {
        bound = ir_set_union(u, bound, ir_free(u, ir_operand(u, red, k)));
        canonical &= ir_is_binder(u, ir_red_bound(u, red, k));
    }
    clash = ir_set_meet(u, bound, ir_set_union(u, incoming(u, s, red), s->from));
    if (!clash) return 0;
    ir_expr done = ir_substitute(u, with_fresh_binders(u, red, clash), s->n, s->all);
    /* It may have folded to something that is no reduction any more. */
    if (!canonical || !done || !ir_is(u, done, IR_RED)) return done;
    ir_var vars[IR_AXES];
    uint32_t n = ir_red_n_bound(u, done);
    for (uint32_t k = 0; k < n; k++) vars[k] = ir_red_bound(u, done, k);
    return ir_reduce(u, (ir_red)ir_at(u, done)->u.ref, n, vars, ir_red_where(u, done), ir_red_body(u, done));
}

/* What does not mention a replaced variable is left alone without being entered: that is most of it, and known at once from the free set. */
static ir_expr substitute_one(ir_unit *u, void *env, ir_expr e) {
    const substitution *s = env;
    if (!ir_set_meets(u, ir_free(u, e), s->from)) return e;
    if (ir_is(u, e, IR_VAR)) return replacement(s, ir_at(u, e)->u.ref);
    return ir_is(u, e, IR_RED) ? substitute_reduction(u, s, e) : 0;
}

ir_expr ir_substitute(ir_unit *u, ir_expr e, uint32_t n, const ir_binding *all) {
    substitution s = {n, all, 0};
    for (uint32_t k = 0; k < n; k++) s.from = ir_set_union(u, s.from, ir_set_of(u, 1, &all[k].from));
    /* Most calls have nothing to do, and are told so without a memo. */
    if (!n || !e || !ir_set_meets(u, ir_free(u, e), s.from)) return e;
    return ir_rebuild(u, e, substitute_one, &s);
}

/* ---- looking */

/* Pre-order in the order of operands. An expression is noted when it is put on the stack, so it is visited once. */
void ir_walk(const ir_unit *u, ir_expr e, ir_visit *visit, void *env) {
    if (!e) return;
    ir_memo *m = ir_memo_take(u, e);
    BASE_PUSH(u->arena, &m->stack, e);
    note(m, e, e);
    while (m->stack.n) {
        ir_expr top = m->stack.at[--m->stack.n];
        if (!visit(u, env, top)) continue;
        for (uint32_t k = n_below(u, top); k--;) {
            ir_expr part = below(u, top, k);
            if (is_seen(m, part)) continue;
            note(m, part, part);
            BASE_PUSH(u->arena, &m->stack, part);
        }
    }
    ir_memo_release(u, m);
}

typedef struct { uint8_t op; bool any_ref; uint32_t ref; bool found; } wanted;     /* any_ref: whatever it refers to; else only `ref` */

/* Stops entering anything once it is found; what is on the stack by then is looked at and dropped. */
static bool look(const ir_unit *u, void *env, ir_expr e) {
    wanted *w = env;
    const ir_expr_info *x = ir_at(u, e);
    if (x->op == w->op && (w->any_ref || x->u.ref == w->ref)) w->found = true;
    return !w->found;
}

bool ir_reads(const ir_unit *u, ir_expr e, ir_value value) {
    wanted w = {.op = IR_READ, .ref = value};
    ir_walk(u, e, look, &w);
    return w.found;
}

bool ir_has_op(const ir_unit *u, ir_expr e, ir_op op) {
    wanted w = {.op = (uint8_t)op, .any_ref = true};
    ir_walk(u, e, look, &w);
    return w.found;
}

/* What is known at the place of emission: expressions that have a value already. Scopes follow the control flow: what was computed in a loop or
 * a branch is forgotten at its end; and a scope that gives a variable another value hides what varies over it. */
#include "emit.h"

/* rebound: variables whose value is another inside. Entries outside that vary over them are hidden, not lost: the scope's end shows them again. */
void cpu_scope_push(cpu_emitter *e, ir_set rebound) {
    /* Scopes nest as loops do: a kernel with so many axes is refused in words, before the array ends. */
    if (e->n_scopes == sizeof e->scope / sizeof *e->scope) cpu_give_up(e, "loops nested too deep");
    e->scope[e->n_scopes].known = e->known.n;
    e->scope[e->n_scopes++].rebound = rebound;
}

/* Values of a scope that ends do not dominate what comes behind it, so they are forgotten; `last` gets the entry before back. */
void cpu_scope_pop(cpu_emitter *e) {
    const uint32_t keep = e->scope[--e->n_scopes].known;
    while (e->known.n > keep) {
        const cpu_known *x = &e->known.at[--e->known.n];
        e->last[x->e] = x->before;
    }
}

/* Binding is the one way in which an axis gets an index, so it is also where what is known about the axis becomes out of date. */
/* An axis that is bound again (a feature inside another TERM's loop) is no lane there. */
void cpu_bind(cpu_emitter *e, int32_t axis, cpu_val index) {
    const ir_var v = e->k->axes[axis].var;
    cpu_scope_push(e, ir_set_of(e->u, 1, &v));
    const uint32_t s = e->n_scopes - 1;
    e->scope[s].index = e->axis[axis];
    e->scope[s].lane = e->lane;
    e->scope[s].lanes = e->lanes;
    e->scope[s].tail = e->tail;
    /* Lane and tail are kept too, since a lane axis bound again stops being one until cpu_unbind. */
    e->axis[axis] = index;
    if (axis == e->lane) {
        e->lane = -1;
        e->lanes = 1;
        e->tail = NULL;
    }
}
void cpu_unbind(cpu_emitter *e, int32_t axis) {
    const uint32_t s = e->n_scopes - 1;
    e->axis[axis] = e->scope[s].index;
    e->lane = e->scope[s].lane;
    e->lanes = e->scope[s].lanes;
    e->tail = e->scope[s].tail;
    cpu_scope_pop(e);
}

/* Expressions are made while kernels are emitted (strides, steps), so arrays by expression grow. */
static void room(cpu_emitter *e, ir_expr x) {
    if (x < e->n_last) return;
    const uint32_t n = e->u->expr.n + 64;
    e->last = base_grow(e->arena, e->last, e->n_last, n, sizeof *e->last);
    e->n_last = n;
}

/* The entry was made in `scope`; any scope opened since may have given a variable of it another value. */
/* An entry is found by expression alone, so what it was computed from is checked on look-up: binding need not search the table. */
static bool hidden(cpu_emitter *e, ir_expr x, uint32_t scope) {
    const ir_set reach = cpu_reach(e, x);
    for (uint32_t s = scope + 1; s < e->n_scopes; s++)
        if (e->scope[s].rebound && ir_set_meets(e->u, reach, e->scope[s].rebound)) return true;
    return false;
}

/* NULL: not known here. Only the newest entry is looked at: whatever scope hides it was opened after the older ones too, and hides them. */
cpu_val cpu_known_find(cpu_emitter *e, ir_expr x) {
    room(e, x);
    if (!e->last[x]) return NULL;
    const cpu_known *known = &e->known.at[e->last[x] - 1];
    return hidden(e, x, known->scope) ? NULL : known->value;
}

/* For the innermost scope. `before` chains the entries of one expression, so that the end of the scope shows the one outside again. */
void cpu_known_put(cpu_emitter *e, ir_expr x, cpu_val value) {
    room(e, x);
    const cpu_known entry = {x, value, e->last[x], e->n_scopes - 1};
    e->last[x] = BASE_PUSH(e->arena, &e->known, entry) + 1;
}

/* ---- reach */

typedef struct { cpu_emitter *e; ir_set found; } collect;
/* Lines are numbered so that each refers to earlier ones only: their reach is complete when it is asked for. */
static bool visit(const ir_unit *u, void *env, ir_expr x) {
    collect *c = env;
    const ir_expr_info *info = ir_at(u, x);
    if (info->op == IR_LET) c->found = ir_set_union(c->e->u, c->found, c->e->let_reach[info->u.ref]);
    return true;
}

/* Free variables do not look through lines, reach does: $6 has no free variable, but varies over what its expression varies over. */
ir_set cpu_reach(cpu_emitter *e, ir_expr x) {
    if (x >= e->n_reach) {
        const uint32_t n = e->u->expr.n + 64;
        e->reach = base_grow(e->arena, e->reach, e->n_reach, n, sizeof *e->reach);
        e->reach_known = base_grow(e->arena, e->reach_known, e->n_reach, n, sizeof *e->reach_known);
        e->n_reach = n;
    }
    if (e->reach_known[x]) return e->reach[x];
    collect c = {e, ir_free(e->u, x)};
    ir_walk(e->u, x, visit, &c);
    e->reach_known[x] = true;
    return e->reach[x] = c.found;
}

/* No axis (-1) is never varied over: callers pass the schedule's axis whether or not there is one. */
bool cpu_varies(cpu_emitter *e, ir_expr x, int32_t axis) { return axis >= 0 && ir_set_has(e->u, cpu_reach(e, x), e->k->axes[axis].var); }

/* A kernel has few axes, so a search is enough. */
int32_t cpu_axis_of(const cpu_emitter *e, ir_var v) {
    for (uint32_t a = 0; a < e->k->n_axes; a++)
        if (e->k->axes[a].var == v) return (int32_t)a;
    return -1;
}

/* Roles of axes, from how reductions nest and which reads share variables; nothing looks at names, sizes or the order of statements.
 *   nested       a reduction contains one that depends on what it binds, or runs over the same axis: it runs over columns (attention, norms).
 *                Operands are reads with a column and a feature or value; their outer variables are items, the rest rows. Values are outer
 *                variables read with columns only, on which no term, no guard and no other fold depends.
 *   contraction  no nesting, two reads of a reduction with outer variables of their own: rows and columns are these, items what they share
 *   nest         else the first reduction runs over columns
 *   map          no reduction: the last variable is the column
 * A column with the extent of an outer variable that the reduction does not depend on is that variable: rows then share their loads.
 * Afterwards reductions over the columns bind the axes' own variables; every other one is a term over features. Both are always right:
 * roles decide what is shared, never what is computed. */
#include "lower.h"

/* The memo holds outer variables and columns (role + 1). What has no entry is a counter, which stands still and so counts as an item, or
 * is bound by a reduction that does not run over the columns: a feature. */
uint8_t lower_role_of(const lower_state *s, ir_var v) {
    uint32_t role;
    if (pass_memo_get(&s->role, v, &role)) return (uint8_t)(role - 1);
    return ir_set_has(s->u, s->fixed, v) ? IR_ITEM : IR_FEAT;
}

static void set_role(lower_state *s, ir_var v, uint8_t role) {
    pass_memo_put(&s->role, v, role + 1u);
    if (role == IR_COL) s->columns = ir_set_union(s->u, s->columns, ir_set_of(s->u, 1, &v));
}

static bool has_role(const lower_state *s, ir_var v) { return pass_memo_get(&s->role, v, NULL); }

/* Does e depend on outer variables and counters alone, on nothing that a reduction around it binds? */
static bool fixed(const lower_state *s, ir_expr e) { return !ir_set_minus(s->u, ir_free(s->u, e), s->fixed); }

/* ---- reductions found in the results */
typedef struct { lower_state *s; lower_list reds; ir_set free; } reds_env; /* free: variables that some reduction depends on */
static bool reds_visit(const ir_unit *u, void *env, ir_expr e) {
    reds_env *r = env;
    if (ir_is(u, e, IR_RED)) {
        r->free = ir_set_union(r->s->u, r->free, ir_free(u, e));
        BASE_PUSH(r->s->arena, &r->reds, e);
    }
    return true;
}
static reds_env reductions(lower_state *s) {
    reds_env r = { .s = s };
    for (uint32_t i = 0; i < s->n_results; i++) ir_walk(s->u, s->root[i], reds_visit, &r);
    return r;
}

/* As many variables, extents equal in order: extents are canonical expressions, so ids compare. */
static bool same_extents(const ir_unit *u, ir_expr a, ir_expr b) {
    if (ir_red_n_bound(u, a) != ir_red_n_bound(u, b)) return false;
    for (uint32_t i = 0; i < ir_red_n_bound(u, a); i++)
        if (u->var.at[ir_red_bound(u, a, i)].extent != u->var.at[ir_red_bound(u, b, i)].extent) return false;
    return true;
}

/* What stands inside the reduction `outside`: a reduction that depends on what it binds, or one over the same axes. */
typedef struct { ir_expr outside; ir_set bound; bool depends, same; } nest_env;
static bool nest_visit(const ir_unit *u, void *env, ir_expr e) {
    nest_env *n = env;
    if (ir_is(u, e, IR_RED)) {
        n->depends |= ir_set_meets(u, ir_free(u, e), n->bound);
        n->same |= same_extents(u, e, n->outside);
    }
    return !n->depends;
}
/* Columns are a box per row: extents that depend on what the same reduction binds are for features. */
static bool boxed(lower_state *s, ir_expr red) {
    ir_set bound = lower_bound(s->u, red);
    for (uint32_t i = 0; i < ir_red_n_bound(s->u, red); i++)
        if (ir_set_meets(s->u, ir_free(s->u, s->u->var.at[ir_red_bound(s->u, red, i)].extent), bound)) return false;
    return fixed(s, red);
}

/* A true dependence wins over equal axes, wherever it stands in the list; of each kind the first one found. */
/* The reduction whose variables are the columns; 0: none is nested. */
static ir_expr nested(lower_state *s, const lower_list *reds) {
    ir_unit *u = s->u;
    ir_expr same = 0;
    for (uint32_t i = 0; i < reds->n; i++) {
        ir_expr r = reds->at[i];
        if (!boxed(s, r)) continue;
        nest_env n = { r, lower_bound(u, r), false, false };
        ir_walk(u, ir_red_body(u, r), nest_visit, &n);
        ir_walk(u, ir_red_where(u, r), nest_visit, &n);
        if (n.depends) return r;
        if (n.same && !same) same = r;
    }
    return same;
}

/* ---- columns */
/* An outer variable with this extent on which `red` does not depend and that is not among the n taken; 0: none. */
static ir_var outer_like(const lower_state *s, ir_expr red, ir_expr extent, const ir_var *taken, uint32_t n) {
    for (uint32_t i = 0; i < s->outer.n; i++) {
        ir_var v = s->outer.at[i];
        bool free = s->u->var.at[v].extent == extent && !ir_depends(s->u, red, v);
        for (uint32_t k = 0; k < n && free; k++) free = taken[k] != v;
        if (free) return v;
    }
    return 0;
}

/* For texts alone: variables are ids, two of one name would still be two. */
static const char *column_name(const lower_state *s, uint32_t k) {
    const char *name = base_printf(s->arena, "j%u", k);
    for (uint32_t i = 0; i < s->outer.n; i++)
        if (!strcmp(s->u->var.at[s->outer.at[i]].name, name)) name = base_printf(s->arena, "%s_", name);
    return name;
}

/* All columns are outer variables or none is: where one finds no partner, every one becomes a variable of its own. */
static void make_columns(lower_state *s, ir_expr red) {
    ir_unit *u = s->u;
    uint32_t n = ir_red_n_bound(u, red), found = 0;
    ir_var *column = BASE_ARRAY(s->arena, n, ir_var);
    for (; found < n; found++) {
        column[found] = outer_like(s, red, u->var.at[ir_red_bound(u, red, found)].extent, column, found);
        if (!column[found]) break;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (found < n) column[i] = ir_var_new(u, column_name(s, i), u->var.at[ir_red_bound(u, red, i)].extent);
        set_role(s, column[i], IR_COL);
        BASE_PUSH(s->arena, &s->sweep_axis, column[i]);
    }
}

/* It must bind as many variables, of the same extents in order, and depend on no column itself: that would be a reduction per column, a term. */
/* Does the reduction run over the columns of the sweeps? Then `all` binds its variables to them. */
static bool over_columns(lower_state *s, ir_expr red, ir_binding *all) {
    ir_unit *u = s->u;
    uint32_t n = ir_red_n_bound(u, red);
    if (n != s->sweep_axis.n || ir_set_meets(u, ir_free(u, red), s->columns) || !fixed(s, red)) return false;
    for (uint32_t i = 0; i < n; i++) {
        ir_var v = ir_red_bound(u, red, i);
        if (u->var.at[v].extent != u->var.at[s->sweep_axis.at[i]].extent) return false;
        all[i] = (ir_binding){ v, ir_var_expr(u, s->sweep_axis.at[i]) };
    }
    return true;
}
/* Reductions contain reductions: without a memo that all rebuilds share, each level would visit all below it twice. */
static ir_expr bind_columns(ir_unit *u, void *env, ir_expr e) {
    lower_state *s = env;
    uint32_t known;
    if (!ir_is(u, e, IR_RED)) return 0;
    if (pass_memo_get(&s->bound, e, &known)) return known;
    uint32_t n = ir_red_n_bound(u, e);
    ir_binding *all = BASE_ARRAY(s->arena, n, ir_binding);
    if (!over_columns(s, e, all)) return 0;
    ir_expr where = ir_rebuild(u, ir_substitute(u, ir_red_where(u, e), n, all), bind_columns, s);
    ir_expr body = ir_rebuild(u, ir_substitute(u, ir_red_body(u, e), n, all), bind_columns, s);
    ir_expr bound = ir_reduce_as(u, (ir_red)ir_at(u, e)->u.ref, n, s->sweep_axis.at, where, body);
    pass_memo_put(&s->bound, e, bound);
    return bound;
}
/* The first variable is enough: columns are never canonical binders, only bind_columns makes reductions that bind them. */
static bool is_fold(const lower_state *s, ir_expr red) {
    return s->sweep_axis.n && ir_red_n_bound(s->u, red) == s->sweep_axis.n && ir_red_bound(s->u, red, 0) == s->sweep_axis.at[0];
}

/* ---- values */
/* Variables of reads that move with a column. last: only those of the last position, and only where that holds no column: along it
 * neighbours are neighbours in memory. Reductions inside are left out: what they read is no factor of this sum. */
typedef struct { lower_state *s; ir_set found; bool last; } read_env;
static bool with_column_visit(const ir_unit *u, void *env, ir_expr e) {
    read_env *r = env;
    if (ir_is(u, e, IR_RED)) return false;
    if (!ir_is(u, e, IR_READ) || !ir_set_meets(u, ir_free(u, e), r->s->columns)) return true;
    ir_set free = ir_free(u, e);
    uint32_t n = ir_n_operands(u, e);
    if (r->last) free = n && !ir_set_meets(u, ir_free(u, ir_operand(u, e, n - 1)), r->s->columns) ? ir_free(u, ir_operand(u, e, n - 1)) : 0;
    r->found = ir_set_union(r->s->u, r->found, free);
    return true;
}

typedef struct { lower_state *s; ir_set free; } inner_env;
static bool inner_visit(const ir_unit *u, void *env, ir_expr e) {
    inner_env *i = env;
    if (ir_is(u, e, IR_RED)) i->free = ir_set_union(i->s->u, i->free, ir_free(u, e));
    return true;
}
static ir_set free_of_inner(lower_state *s, ir_expr e) {
    inner_env i = { s, 0 };
    ir_walk(s->u, e, inner_visit, &i);
    return i.free;
}

/* `over` and `under` are the factors of the body. A variable that every factor with columns has is no value: no weight would be left that
 * all values share. A factor that holds a reduction is costly and computed per pair, so nothing that it depends on may be a value. */
/* Of one sum over the columns: which variables are like values, and which never are. */
static void values_of_sum(lower_state *s, ir_expr red, bool need_unit_stride, ir_set *values, ir_set *never) {
    ir_unit *u = s->u;
    lower_product p = lower_factors(u, ir_red_body(u, red));
    ir_set weights = 0, shared = 0;
    read_env r = { s, 0, need_unit_stride };
    ir_walk(u, ir_red_body(u, red), with_column_visit, &r);
    for (uint32_t half = 0; half < 2; half++) {
        const lower_list *list = half ? &p.under : &p.over;
        for (uint32_t i = 0; i < list->n; i++) {
            if (ir_has_op(u, list->at[i], IR_RED)) *never = ir_set_union(u, *never, ir_free(u, list->at[i]));
            if (!ir_set_meets(u, ir_free(u, list->at[i]), s->columns)) continue;
            shared = weights ? ir_set_meet(u, shared, ir_free(u, list->at[i])) : ir_free(u, list->at[i]);
            weights = ir_set_union(u, weights, ir_free(u, list->at[i]));
        }
    }
    ir_set mine = r.found;                               /* some factor over the columns must do without the value: the weight */
    if (!need_unit_stride) mine = ir_set_minus(u, mine, shared);
    *values = ir_set_union(u, *values, mine);
}

/* Never values: columns, what guards and inner reductions depend on, what extents of columns depend on, and all that a fold which is no
 * real sum depends on: only an ACC has one accumulator per value. `never` wins over what some sum would like. */
static ir_set values(lower_state *s, const lower_list *reds, bool need_unit_stride) {
    ir_unit *u = s->u;
    ir_set some = 0, never = s->columns;
    for (uint32_t i = 0; i < reds->n; i++) {
        ir_expr r = reds->at[i];
        if (!is_fold(s, r)) continue;
        never = ir_set_union(u, never, ir_set_union(u, ir_free(u, ir_red_where(u, r)), free_of_inner(s, ir_red_body(u, r))));
        for (uint32_t k = 0; k < s->sweep_axis.n; k++) never = ir_set_union(u, never, ir_free(u, u->var.at[s->sweep_axis.at[k]].extent));
        if (ir_at(u, r)->u.ref == IR_RED_SUM && ir_at(u, r)->sort == IR_SORT_REAL) values_of_sum(s, r, need_unit_stride, &some, &never);
        else never = ir_set_union(u, never, ir_free(u, r));
    }
    return ir_set_minus(u, some, never);
}

/* ---- items */
/* A read with a column and a feature (keys) or a value (values) is an operand; outer variables that choose it become items, and the rows
 * of one item share its loads. The set collects columns and features too; only outer variables are asked for later. */
typedef struct { lower_state *s; ir_set values, items; } operand_env;
static bool operand_visit(const ir_unit *u, void *env, ir_expr e) {
    operand_env *o = env;
    if (!ir_is(u, e, IR_READ) || !ir_set_meets(u, ir_free(u, e), o->s->columns)) return true;
    bool feature = ir_set_minus(o->s->u, ir_free(u, e), ir_set_union(o->s->u, o->s->fixed, o->s->columns)) != 0;
    if (feature || ir_set_meets(u, ir_free(u, e), o->values)) o->items = ir_set_union(o->s->u, o->items, ir_free(u, e));
    return true;
}

/* Binding comes first: values and operands are recognised by the columns in them. Columns that are outer variables have their role by
 * then. An outer variable that no reduction depends on matters to stores only: a column, so that stores run along it. */
static void sweep_roles(lower_state *s, ir_expr red, bool is_nested) {
    ir_unit *u = s->u;
    make_columns(s, red);
    for (uint32_t i = 0; i < s->n_results; i++) s->root[i] = ir_rebuild(u, s->root[i], bind_columns, s);
    reds_env r = reductions(s);
    operand_env o = { .s = s, .values = values(s, &r.reds, !is_nested) };
    for (uint32_t i = 0; i < s->n_results && is_nested; i++) ir_walk(u, s->root[i], operand_visit, &o);
    for (uint32_t i = 0; i < s->outer.n; i++) {
        ir_var v = s->outer.at[i];
        if (has_role(s, v)) continue;
        if (ir_set_has(u, o.values, v)) set_role(s, v, IR_VAL);
        else if (ir_set_has(u, o.items, v)) set_role(s, v, IR_ITEM);
        else set_role(s, v, ir_set_has(u, r.free, v) ? IR_ROW : IR_COL);
    }
}

/* ---- contractions: the two reads with the most outer variables of their own */
/* One set of outer variables per read; positions of a read belong to it and are not entered. */
typedef struct { lower_state *s; ir_set outer; BASE_VEC(ir_set) sets; } sets_env;
static bool sets_visit(const ir_unit *u, void *env, ir_expr e) {
    sets_env *p = env;
    if (ir_is(u, e, IR_READ)) {
        ir_set mine = ir_set_meet(p->s->u, ir_free(u, e), p->outer);
        BASE_PUSH(p->s->arena, &p->sets, mine);
    }
    return !ir_is(u, e, IR_READ);
}
/* a: the read with most outer variables; b: the one with most that a lacks. A contraction needs some on either side that the other lacks. */
static bool contraction_of(lower_state *s, ir_expr red, ir_set *a, ir_set *b) {
    ir_unit *u = s->u;
    sets_env p = { .s = s, .outer = ir_set_of(u, s->outer.n, s->outer.at) };
    ir_walk(u, ir_red_body(u, red), sets_visit, &p);
    *a = *b = 0;
    uint32_t most = 0;
    for (uint32_t i = 0; i < p.sets.n; i++)
        if (ir_set_size(u, p.sets.at[i]) > ir_set_size(u, *a)) *a = p.sets.at[i];
    for (uint32_t i = 0; i < p.sets.n; i++) {
        uint32_t own = ir_set_size(u, ir_set_minus(u, p.sets.at[i], *a));
        if (own > most) most = own, *b = p.sets.at[i];
    }
    return most && ir_set_size(u, ir_set_minus(u, *a, *b));
}
/* The first reduction that is one decides for the whole kernel. Variables of neither read become rows. */
static bool contraction(lower_state *s, const lower_list *reds) {
    ir_unit *u = s->u;
    ir_set a, b;
    uint32_t i = 0;
    while (i < reds->n && !(fixed(s, reds->at[i]) && contraction_of(s, reds->at[i], &a, &b))) i++;
    if (i == reds->n) return false;
    ir_var last = s->outer.at[s->outer.n - 1];
    if (ir_set_has(u, a, last) && !ir_set_has(u, b, last)) {     /* results are stored along columns */
        ir_set t = a;
        a = b, b = t;
    }
    for (uint32_t k = 0; k < s->outer.n; k++) {
        ir_var v = s->outer.at[k];
        bool in_a = ir_set_has(u, a, v), in_b = ir_set_has(u, b, v);
        set_role(s, v, in_a && in_b ? IR_ITEM : in_b ? IR_COL : IR_ROW);
    }
    return true;
}

/* Results are dense with the last variable innermost: neighbours along the column are neighbours in memory. */
static void map_roles(lower_state *s) {
    for (uint32_t i = 0; i < s->outer.n; i++) set_role(s, s->outer.at[i], i + 1 < s->outer.n ? IR_ROW : IR_COL);
}

/* Outer variables of one role in the node's order, so that stores run through memory forwards; behind them the sweep's columns that are
 * variables of their own. */
static void push_axes(lower_state *s, uint8_t role) {
    for (uint32_t i = 0; i < s->outer.n; i++) {
        ir_var v = s->outer.at[i];
        if (lower_role_of(s, v) != role) continue;
        ir_axis axis = { v, s->u->var.at[v].extent, role };
        BASE_PUSH(s->arena, &s->axes, axis);
    }
    for (uint32_t i = 0; i < s->sweep_axis.n && role == IR_COL; i++) {
        ir_var v = s->sweep_axis.at[i];
        bool there = false;
        for (uint32_t k = 0; k < s->axes.n; k++) there |= s->axes.at[k].var == v;
        if (there) continue;
        ir_axis axis = { v, s->u->var.at[v].extent, role };
        BASE_PUSH(s->arena, &s->axes, axis);
    }
}

/* Where no reduction has a box of columns per row, all become terms, and the node is walked like a map. */
void lower_roles(lower_state *s) {
    reds_env r = reductions(s);
    ir_expr red = nested(s, &r.reds);
    if (red) sweep_roles(s, red, true);
    else if (!r.reds.n) map_roles(s);
    else if (!contraction(s, &r.reds)) {
        uint32_t i = 0;
        while (i < r.reds.n && !boxed(s, r.reds.at[i])) i++;
        if (i < r.reds.n) sweep_roles(s, r.reds.at[i], false);
        else map_roles(s);
    }
    static const uint8_t order[] = { IR_ITEM, IR_ROW, IR_VAL, IR_COL };
    for (uint32_t i = 0; i < sizeof order && !s->why; i++) push_axes(s, order[i]);
}

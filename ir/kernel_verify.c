/* What must hold for a kernel, whoever made it. A violation is the compiler's fault and names the rule.
 * From the outside in: axes, lines in order, accesses, stores. Later rules may follow what earlier ones have found sound (a reference to a
 * line, the operands of a read), so most are asked only as long as nothing is wrong. */
#include "ir.h"

typedef struct {
    const ir_kernel *k;
    ir_unit *u;
    uint32_t let;                /* lets from here on may not be mentioned */
    bool ok;
    uint8_t *complete;           /* by let: sweeps that must be over before it has its value */
    uint32_t *varies;            /* by let: the axes, as bits, that its value depends on; a rank knows their roles alone */
} checking;

static void wrong(checking *c, const char *format, ...) BASE_PRINTF(2, 3);
/* The message is for whoever works on the compiler: no program may get here, right or wrong; a kernel read from its text may. */
static void wrong(checking *c, const char *format, ...) {
    if (!c->ok) return;          /* the first says enough */
    va_list list;
    va_start(list, format);
    const char *text = base_vprintf(c->u->diags->arena, format, list);
    va_end(list);
    base_report(c->u->diags, BASE_MSG_INTERNAL_IR, c->k->span, base_printf(c->u->diags->arena, "kernel %s: %s", c->k->name, text));
    c->ok = false;
}

static const ir_axis *axis_of(const ir_kernel *k, ir_var v) {
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].var == v) return &k->axes[a];
    return NULL;
}

/* Lists of a kernel are short: no index. */
static bool has(uint32_t n, const uint32_t *at, uint32_t what) {
    for (uint32_t i = 0; i < n; i++)
        if (at[i] == what) return true;
    return false;
}

/* ---- expressions: only what the kernel has */

/* At every expression below: emitters have no case for what is refused here. False ends the walk. */
static bool check_part(const ir_unit *u, void *env, ir_expr e) {
    checking *c = env;
    const ir_kernel *k = c->k;
    uint32_t ref = ir_at(u, e)->u.ref;
    switch ((ir_op)ir_at(u, e)->op) {
    case IR_NONE: wrong(c, "poison"); break;
    case IR_RED: wrong(c, "a reduction is left"); break;
    case IR_LET:
        if (ref >= c->let) wrong(c, "$%u is mentioned before it is there", ref);
        else if (k->lets[ref].sort != ir_at(u, e)->sort) wrong(c, "$%u is taken for another sort", ref);
        break;
    /* A dimension or value that is not listed is not handed to the kernel when it is launched. */
    case IR_DIM:
        if (!has(k->n_dims, k->dims, ref)) wrong(c, "dimension %s is not listed", u->dim.at[ref].name);
        break;
    case IR_READ:
        if (!has(k->n_values, k->values, ref)) wrong(c, "value %s is not listed", u->value.at[ref].name);
        else if (!ir_kernel_access(k, e)) wrong(c, "a read of %s has no access", u->value.at[ref].name);
        break;
    default: break;
    }
    return c->ok;
}

/* That all it mentions is there, and that what varies in it is walked by some loop. */
static void check_expr(checking *c, ir_expr e, const char *what) {
    if (!e) {
        wrong(c, "%s is missing", what);
        return;
    }
    ir_walk(c->u, e, check_part, c);
    ir_set free = ir_free(c->u, e);
    for (uint32_t i = 0; i < ir_set_size(c->u, free); i++) {
        ir_var v = ir_set_at(c->u, free, i);
        if (!axis_of(c->k, v) && !has(c->k->n_counters, c->k->counters, v))
            wrong(c, "%s depends on %s, which is neither axis nor counter", what, c->u->var.at[v].name ? c->u->var.at[v].name : "?");
    }
}

/* A literal, dimension, variable or line: what costs nothing to evaluate again. */
static bool is_trivial(const ir_unit *u, ir_expr e) { return ir_n_operands(u, e) == 0 && !ir_is(u, e, IR_READ); }

/* Emitters compute a line where its rank says; work that is no line would be done again at every point. */
static void check_trivial(checking *c, ir_expr e, const char *what) {
    if (e && !is_trivial(c->u, e)) wrong(c, "%s is neither a line nor trivial", what);
}

static void check_sort(checking *c, ir_expr e, ir_sort sort, const char *what) {
    if (e && ir_at(c->u, e)->sort != sort) wrong(c, "%s has sort %c, not %c", what, ir_at(c->u, e)->sort, sort);
}

/* ---- axes and lets */

/* Extents mention no line (c->let is 0 still), so they are known before any is computed. */
static void check_axes(checking *c) {
    const ir_kernel *k = c->k;
    if (k->n_axes > IR_AXES) wrong(c, "%u axes", k->n_axes);
    for (uint32_t a = 0; a < k->n_axes; a++) {
        const ir_axis *axis = &k->axes[a];
        if (axis_of(k, axis->var) != axis) wrong(c, "axis %u comes twice", a);
        if (axis->role & (axis->role - 1) || axis->role > IR_FEAT) wrong(c, "axis %u has no role", a);
        check_expr(c, axis->extent, "an extent");
        check_sort(c, axis->extent, IR_SORT_INT, "an extent");
        /* Loops nest in the order of the axes: an extent is known when its loop begins. */
        for (uint32_t b = a; b < k->n_axes; b++)
            if (ir_depends(c->u, axis->extent, k->axes[b].var)) wrong(c, "the extent of axis %u depends on a later axis", a);
        /* Items, rows and values are counted once, before anything inside an item has moved. Columns may end with their row (causal,
         * ragged); features are a loop within one point and may end anywhere. */
        if (ir_kernel_rank(k, axis->extent) & (axis->role == IR_COL ? IR_COL | IR_VAL | IR_FEAT : IR_ROW | IR_COL | IR_VAL | IR_FEAT) && axis->role != IR_FEAT)
            wrong(c, "the extent of axis %u moves inside an item", a);
    }
}

/* Guards are lines of their own or trivial: emitters evaluate them once per pair, not once per fold. */
static void check_over(checking *c, uint32_t i, uint8_t role) {
    const ir_let *l = &c->k->lets[i];
    if (!l->n_over) wrong(c, "$%u runs over nothing", i);
    for (uint32_t v = 0; v < l->n_over; v++) {
        const ir_axis *axis = axis_of(c->k, l->over[v]);
        if (!axis || axis->role != role) wrong(c, "$%u runs over what is no %s", i, role == IR_COL ? "column" : "feature");
        if (has(v, l->over, l->over[v])) wrong(c, "$%u runs over an axis twice", i);
    }
    if (!l->where) return;       /* no guard: always */
    check_expr(c, l->where, "a guard");
    check_sort(c, l->where, IR_SORT_BOOL, "a guard");
    check_trivial(c, l->where, "a guard");
}

/* With `e` any reduction of any body; without it a sum of products of a row factor and a column factor. */
static void check_term(checking *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    check_over(c, i, IR_FEAT);
    if (l->e) {
        check_expr(c, l->e, "a body");
        check_sort(c, l->e, (ir_sort)l->sort, "a body");
        return;
    }
    check_expr(c, l->a, "a row factor");
    check_expr(c, l->b, "a column factor");
    check_sort(c, l->a, (ir_sort)l->sort, "a row factor");
    check_sort(c, l->b, (ir_sort)l->sort, "a column factor");
    if (l->red != IR_RED_SUM) wrong(c, "$%u: a product is summed, nothing else", i);
}

/* need: the most sweeps that anything mentioned waits for */
typedef struct { const ir_kernel *k; const uint8_t *complete; uint8_t need; } needing;

static bool add_need(const ir_unit *u, void *env, ir_expr e) {
    needing *n = env;
    uint32_t let = ir_at(u, e)->u.ref;
    if (ir_is(u, e, IR_LET) && let < n->k->n_lets && n->complete[let] > n->need) n->need = n->complete[let];
    return true;
}

/* How many sweeps must be over before the let has its value: of a fold its own, of others what they mention. What a fold itself
 * reads of other folds must be complete: an earlier sweep, or the same if it stands relative to it. */
static void check_order(checking *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    const ir_expr parts[] = {l->e, l->a, l->b, l->where};
    needing n = {.k = c->k, .complete = c->complete};
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        if (parts[p]) ir_walk(c->u, parts[p], add_need, &n);
    c->complete[i] = n.need;
    if (l->kind != IR_LET_FOLD && l->kind != IR_LET_ACC) {
        if (l->sweep < n.need) wrong(c, "$%u stands before a fold that it reads is complete", i);
        return;
    }
    c->complete[i] = (uint8_t)(l->sweep + 1);
    /* Relative to a reference, folds of its own sweep may still grow: what was summed is moved along when they do. */
    if (n.need > l->sweep + (l->ref >= 0)) wrong(c, "$%u reads a fold before it is complete", i);
}

/* The folds of one sweep run over the same columns, since they share one loop. */
static void check_sweep(checking *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    for (uint32_t j = 0; j < i; j++) {
        const ir_let *o = &c->k->lets[j];
        if ((o->kind != IR_LET_FOLD && o->kind != IR_LET_ACC) || o->sweep != l->sweep) continue;
        bool same = o->n_over == l->n_over;
        for (uint32_t v = 0; same && v < l->n_over; v++) same = o->over[v] == l->over[v];
        if (!same) wrong(c, "$%u and $%u run over different columns in one sweep", j, i);
    }
}

/* Of FOLD and ACC: what is asked of a body that one loop over columns sums up. */
static void check_fold(checking *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    check_over(c, i, IR_COL);
    check_sweep(c, i);
    check_expr(c, l->e, "a body");
    check_trivial(c, l->e, "a body");
    if (l->rank & (IR_COL | IR_FEAT)) wrong(c, "$%u still varies over what it runs over", i);
    if (l->sweep >= c->k->n_sweeps) wrong(c, "$%u stands in sweep %u of %u", i, l->sweep, c->k->n_sweeps);
    if (l->kind == IR_LET_ACC) {
        check_expr(c, l->b, "a value factor");
        check_sort(c, l->b, (ir_sort)l->sort, "a value factor");
        /* computed once per row and column, and used for all values */
        if (ir_kernel_rank(c->k, l->e) & IR_VAL) wrong(c, "$%u: a weight varies over values", i);
        if (l->red != IR_RED_SUM) wrong(c, "$%u: a product is summed, nothing else", i);
    }
    check_sort(c, l->e, (ir_sort)l->sort, "a body");
    if (l->ref >= 0) {
        /* An earlier line, so that its value is there when this one is moved; one per row, since there is one place per row to keep it. */
        if ((uint32_t)l->ref >= i || c->k->lets[l->ref].rank & (IR_COL | IR_VAL | IR_FEAT)) wrong(c, "$%u: $%d is no reference", i, l->ref);
        /* moving it multiplies what was summed by a factor, which only a sum of reals allows */
        if (l->red != IR_RED_SUM || l->sort != IR_SORT_REAL) wrong(c, "$%u: only sums of reals stand relative to something", i);
    }
}

typedef struct { const checking *c; uint32_t axes; } varying;

static bool add_axes(const ir_unit *u, void *env, ir_expr e) {
    varying *v = env;
    const ir_kernel *k = v->c->k;
    const uint32_t ref = ir_at(u, e)->u.ref;
    if (ir_is(u, e, IR_LET) && ref < k->n_lets) v->axes |= v->c->varies[ref];
    for (uint32_t a = 0; a < k->n_axes && ir_is(u, e, IR_VAR); a++)
        if (k->axes[a].var == ref) v->axes |= 1u << a;
    return true;
}

static uint32_t axes_in(const checking *c, ir_expr e) {
    varying v = {c, 0};
    if (e) ir_walk(c->u, e, add_axes, &v);
    return v.axes;
}

static uint32_t axes_with(const ir_kernel *k, uint8_t role) {
    uint32_t axes = 0;
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].role == role) axes |= 1u << a;
    return axes;
}

/* Behind the loop of a fold there is no column any more, so the loop is over all that it varies over. Features go as a whole: a term that reads
 * another one is inside of the same loops. */
static void check_varies(checking *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    uint32_t axes = axes_in(c, l->e) | axes_in(c, l->a) | axes_in(c, l->b) | axes_in(c, l->where);
    for (uint32_t v = 0; v < l->n_over && l->kind != IR_LET_EXPR; v++)
        for (uint32_t a = 0; a < c->k->n_axes; a++)
            if (c->k->axes[a].var == l->over[v]) axes &= ~(1u << a);
    if (l->kind == IR_LET_TERM) axes &= ~axes_with(c->k, IR_FEAT);
    const bool folds = l->kind == IR_LET_FOLD || l->kind == IR_LET_ACC;
    if (folds && axes & axes_with(c->k, IR_COL)) wrong(c, "$%u does not run over all that it varies over", i);
    c->varies[i] = axes;
}

/* A rank may say more than the line varies over (that is only slower), never less. */
static void check_rank(checking *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    const ir_expr parts[] = {l->e, l->a, l->b, l->where};
    uint8_t rank = 0;
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        if (parts[p]) rank |= ir_kernel_rank(c->k, parts[p]);
    /* What it runs over it does not vary over any more, and its role goes as a whole. */
    for (uint32_t v = 0; v < l->n_over && l->kind != IR_LET_EXPR; v++) {
        const ir_axis *axis = axis_of(c->k, l->over[v]);
        if (axis) rank &= (uint8_t)~axis->role;
    }
    if (rank & ~l->rank) wrong(c, "$%u varies over more than its rank says", i);
}

/* Ranks and order are looked at only where the parts are sound: they follow references to other lines. */
static void check_let(checking *c, uint32_t i) {
    const ir_let *l = &c->k->lets[i];
    c->let = i;                  /* lines before it alone */
    if (l->kind == IR_LET_TERM) check_term(c, i);
    else if (l->kind == IR_LET_EXPR) {
        check_expr(c, l->e, "a let");
        check_sort(c, l->e, (ir_sort)l->sort, "a let");
    } else check_fold(c, i);
    if (c->ok) check_rank(c, i);
    if (c->ok) check_varies(c, i);
    if (c->ok) check_order(c, i);
}

/* ---- accesses and stores */

/* base + steps is the place of the element that is read, row-major. Emitters look at nothing else. */
static void check_address(checking *c, const ir_access *a) {
    ir_unit *u = c->u;
    const ir_type type = u->value.at[ir_at(u, a->read)->u.ref].type;
    /* from the last axis, whose elements are neighbours */
    ir_expr place = ir_int(u, 0), stride = ir_int(u, 1), address = a->base;
    for (uint32_t i = type.rank; i-- > 0;) {
        place = ir_add(u, place, ir_mul(u, ir_operand(u, a->read, i), stride));
        stride = ir_mul(u, stride, type.dim[i]);
    }
    for (uint32_t i = 0; i < c->k->n_axes; i++)
        if (a->step[i]) address = ir_add(u, address, ir_mul(u, a->step[i], ir_var_expr(u, c->k->axes[i].var)));
    /* Canonical polynomials: mostly both are one expression, and nothing has to be proved. */
    if (place != address && !ir_provably(u, ir_op2(u, IR_EQ, place, address))) wrong(c, "the access of %s is not where it reads", u->value.at[ir_at(u, a->read)->u.ref].name);
}

/* Either the base moves with an axis, which then gathers, or a step does: both would count it twice. */
static void check_access(checking *c, const ir_access *a) {
    check_expr(c, a->read, "a read");
    if (c->ok && !ir_is(c->u, a->read, IR_READ)) wrong(c, "an access of what is no read");
    check_expr(c, a->base, "a base");
    check_sort(c, a->base, IR_SORT_INT, "a base");
    for (uint32_t i = 0; i < c->k->n_axes && c->ok; i++) {
        ir_var v = c->k->axes[i].var;
        bool moves = ir_depends(c->u, a->base, v);
        if (a->step[i]) check_expr(c, a->step[i], "a step");
        check_sort(c, a->step[i], IR_SORT_INT, "a step");
        /* Else the address would not grow evenly along the axis, which is all that a step says. */
        if (a->step[i] && ir_depends(c->u, a->step[i], v)) wrong(c, "a step moves with its own axis");
        if (moves && a->step[i]) wrong(c, "a base moves with an axis that has a step");
        if (moves && !(a->gather >> i & 1)) wrong(c, "a base moves with an axis that is not said to gather");
    }
    if (c->ok) check_address(c, a);
}

/* Places are filled in here, also where the graph leaves them out: emitters see one form. */
static void check_store(checking *c, const ir_kernel_store *s) {
    const ir_type *type = &c->u->value.at[s->at.result].type;
    if (!has(c->k->n_values, c->k->values, s->at.result)) wrong(c, "the result %s is not listed", c->u->value.at[s->at.result].name);
    if (s->at.n_places != type->rank) wrong(c, "a store of %s has %u places", c->u->value.at[s->at.result].name, s->at.n_places);
    uint32_t placed = 0;         /* axes that the places move with */
    for (uint32_t p = 0; p < s->at.n_places && c->ok; p++) {
        /* Which axes a store moves with is asked of its places by their free variables (ir_kernel_does): a line would hide them. */
        if (ir_has_op(c->u, s->at.places[p], IR_LET)) wrong(c, "a place mentions a line");
        check_expr(c, s->at.places[p], "a place");
        check_sort(c, s->at.places[p], IR_SORT_INT, "a place");
        if (c->ok) placed |= axes_in(c, s->at.places[p]);
    }
    check_expr(c, s->e, "what is stored");
    check_sort(c, s->e, (ir_sort)ir_dtypes[type->dtype].sort, "what is stored");
    check_trivial(c, s->e, "what is stored");
    /* features are loops inside a TERM: no store stands in one */
    const uint32_t stored = c->ok ? axes_in(c, s->e) : 0;
    if ((stored | placed) & axes_with(c->k, IR_FEAT)) wrong(c, "a store varies over features");
    /* Only a store along columns stands inside of their loop. */
    if (stored & ~placed & axes_with(c->k, IR_COL)) wrong(c, "what is stored varies over columns, and its place does not");
}

/* True if every rule holds; else the first that is broken has been reported. */
bool ir_kernel_verify(const ir_kernel *k) {
    checking c = {.k = k, .u = k->unit, .ok = true, .complete = BASE_ARRAY(k->unit->arena, k->n_lets + 1, uint8_t),
                  .varies = BASE_ARRAY(k->unit->arena, k->n_lets + 1, uint32_t)};
    check_axes(&c);
    for (uint32_t i = 0; i < k->n_lets && c.ok; i++) check_let(&c, i);
    c.let = k->n_lets;           /* what follows may mention every line */
    for (uint32_t i = 0; i < k->n_accesses && c.ok; i++) check_access(&c, &k->accesses[i]);
    for (uint32_t i = 0; i < k->n_stores && c.ok; i++) check_store(&c, &k->stores[i]);
    if (k->inside && c.ok) {
        check_expr(&c, k->inside, "`inside`");
        check_sort(&c, k->inside, IR_SORT_BOOL, "`inside`");
    }
    return c.ok;
}

/* Units: the store of expressions. Every expression is looked up by content before it is made, so equal ones are one id; what is
 * asked of every expression (free variables, bound variables, bounds) is computed here once, from the operands, which are older. */
#include <ctype.h>
#include <string.h>
#include "core.h"

/* ---- the hash table */

/* FNV over what makes two expressions the same, with shifts between: ids and small literals differ in few low bits, and the table is
 * indexed by low bits. */
static uint32_t hash_of(const ir_expr_info *key, const ir_expr *operands) {
    uint64_t h = 1469598103934665603u ^ ((uint64_t)key->op << 40 | (uint64_t)key->sort << 32 | key->operands.n);
    h = (h ^ (uint64_t)key->u.i) * 1099511628211u;
    h ^= h >> 29;
    for (uint32_t k = 0; k < key->operands.n; k++) {
        h = (h ^ operands[k]) * 1099511628211u;
        h ^= h >> 31;
    }
    return (uint32_t)(h ^ h >> 32);
}

/* Literals are compared by their bits, so 0.0 and -0.0 are two expressions; NaN is one, since ir_real gives all of them the same bits. */
static bool is_same(const ir_unit *u, ir_expr e, const ir_expr_info *key, const ir_expr *operands) {
    const ir_expr_info *x = ir_at(u, e);
    if (x->op != key->op || x->sort != key->sort || x->operands.n != key->operands.n || x->u.i != key->u.i) return false;
    return !key->operands.n || !memcmp(u->pool.at + x->operands.first, operands, key->operands.n * sizeof *operands);
}

/* The slot that holds the expression, or the free one where it belongs. The table is at most half full, so the search ends, and soon. The
 * slot is good until the next expression is made, which may double the table. */
static uint32_t *slot_of(const ir_unit *u, const ir_expr_info *key, const ir_expr *operands) {
    const struct ir_unit_index *index = u->index;
    uint32_t s = hash_of(key, operands) & (index->capacity - 1);
    while (index->table[s] && !is_same(u, index->table[s], key, operands)) s = (s + 1) & (index->capacity - 1);
    return &index->table[s];
}

/* Expressions are never removed, so growing is inserting all of them again; the old tables stay in the arena, together
 * smaller than the last one. */
static void table_double(ir_unit *u) {
    struct ir_unit_index *index = u->index;
    index->capacity *= 2;
    index->table = BASE_ARRAY(u->arena, index->capacity, uint32_t);
    for (ir_expr e = 1; e < u->expr.n; e++) {
        const ir_expr_info *x = ir_at(u, e);
        *slot_of(u, x, u->pool.at + x->operands.first) = e;
    }
}

/* ---- what is known of a new expression */

/* Variables that decide the value: those of operands, less what a reduction binds, and those of the extents it runs over. */
static ir_set free_of(ir_unit *u, const ir_expr_info *x, const ir_expr *operands) {
    if (x->op == IR_VAR) return ir_set_of(u, 1, &(ir_var){x->u.ref});
    ir_set s = 0;
    uint32_t n = x->operands.n, bound = x->op == IR_RED ? n - 2 : 0;
    for (uint32_t k = bound; k < n; k++) s = ir_set_union(u, s, ir_free(u, operands[k]));
    while (bound--) {            /* from the inside out: an extent may mention what is bound further out */
        s = ir_set_minus(u, s, ir_free(u, operands[bound]));
        s = ir_set_union(u, s, ir_free(u, ir_extent(u, ir_at(u, operands[bound])->u.ref)));
    }
    return s;
}

/* What renaming has to keep away from: a binder that occurs anywhere below may not be chosen again further out. The variables stand first
 * among the operands, before guard and body; as operands they are expressions, whose free set is the variable itself. */
static ir_set bound_of(ir_unit *u, const ir_expr_info *x, const ir_expr *operands) {
    ir_set s = 0;
    for (uint32_t k = 0; k < x->operands.n; k++) s = ir_set_union(u, s, ir_bound(u, operands[k]));
    for (uint32_t k = 0; x->op == IR_RED && k + 2 < x->operands.n; k++) {
        s = ir_set_union(u, s, ir_free(u, operands[k]));
        s = ir_set_union(u, s, ir_bound(u, ir_extent(u, ir_at(u, operands[k])->u.ref)));
    }
    return s;
}

/* Extents of binders count as operands: whoever walks a reduction walks them too. */
static uint32_t depth_of(const ir_unit *u, const ir_expr_info *x, const ir_expr *operands) {
    uint32_t depth = 0;
    for (uint32_t k = 0; k < x->operands.n; k++) {
        const ir_expr_info *o = ir_at(u, operands[k]);
        ir_expr below = x->op == IR_RED && k + 2 < x->operands.n && o->op == IR_VAR ? ir_extent(u, o->u.ref) : operands[k];
        if (u->index->depth.at[below] >= depth) depth = u->index->depth.at[below] + 1u;
    }
    return depth;
}

/* Reported once: what was refused is the poison, and everything made of it would be refused again. The depth also has to fit
 * the 16 bits that are kept of it. Where in the source it was is not known here, so the report has no span. */
static bool is_too_large(ir_unit *u, uint32_t depth) {
    bool deep = depth > IR_MAX_DEPTH;
    if (!deep && u->expr.n < IR_MAX_EXPRS) return false;
    if (!u->index->full && deep) base_report(u->diags, BASE_MSG_EXPR_DEPTH, (base_span){0}, IR_MAX_DEPTH);
    if (!u->index->full && !deep) base_report(u->diags, BASE_MSG_EXPR_COUNT, (base_span){0}, IR_MAX_EXPRS);
    return u->index->full = true;
}

/* What is known of an expression is computed before it gets its id: these functions may make sets, but no expression, so the slot stays
 * where it was found. */
ir_expr ir_intern(ir_unit *u, ir_expr_info key, const ir_expr *operands) {
    struct ir_unit_index *index = u->index;
    uint32_t *slot = slot_of(u, &key, operands);
    if (*slot) return *slot;
    uint32_t depth = depth_of(u, &key, operands);
    if (is_too_large(u, depth)) return 0;
    key.free = free_of(u, &key, operands);
    ir_set bound = bound_of(u, &key, operands);
    ir_bounds bounds = ir_bounds_new(u, &key, operands);
    /* From here on nothing is refused: all arrays by expression grow together, by one. */
    key.operands.first = u->pool.n;
    for (uint32_t k = 0; k < key.operands.n; k++) BASE_PUSH(u->arena, &u->pool, operands[k]);
    ir_expr e = BASE_PUSH(u->arena, &u->expr, key);
    BASE_PUSH(u->arena, &index->bounds, bounds);
    BASE_PUSH(u->arena, &index->depth, (uint16_t)depth);
    BASE_PUSH(u->arena, &index->bound, bound);
    BASE_PUSH(u->arena, &index->binder_of, 0);
    *slot = e;
    if (u->expr.n > index->capacity / 2) table_double(u);
    return e;
}

/* Of operators, whose literal or reference is 0 and part of what is compared. */
static ir_expr_info key_of(ir_op op, ir_sort sort, uint32_t n) {
    return (ir_expr_info){.op = (uint8_t)op, .sort = (uint8_t)sort, .operands = {0, n}};
}

ir_expr ir_intern_op(ir_unit *u, ir_op op, ir_sort sort, uint32_t n, const ir_expr *operands) {
    return ir_intern(u, key_of(op, sort, n), operands);
}

/* For ir_apply: what was folded with fewer facts than are known now has to be folded again. */
ir_expr ir_find_op(const ir_unit *u, ir_op op, ir_sort sort, uint32_t n, const ir_expr *operands) {
    ir_expr_info key = key_of(op, sort, n);
    ir_expr e = *slot_of(u, &key, operands);
    return e >= u->index->since_facts ? e : 0;
}

/* ---- units and what they own */

ir_unit *ir_unit_create(base_arena *arena, base_diags *diags) {
    ir_unit *u = BASE_NEW(arena, ir_unit);
    struct ir_unit_index *index = u->index = BASE_NEW(arena, struct ir_unit_index);
    u->arena = arena;
    u->diags = diags;
    index->names = base_map_create(arena);
    index->suffixes = base_map_create(arena);
    index->capacity = index->set_capacity = 256;
    index->table = BASE_ARRAY(arena, index->capacity, uint32_t);
    index->set_table = BASE_ARRAY(arena, index->set_capacity, uint32_t);
    BASE_PUSH(arena, &u->expr, (ir_expr_info){.op = IR_NONE});      /* ids from 1: entry 0 of each array is nobody's */
    BASE_PUSH(arena, &u->var, (ir_var_info){0});
    BASE_PUSH(arena, &u->dim, (ir_dim_info){0});
    BASE_PUSH(arena, &u->value, (ir_value_info){0});
    BASE_PUSH(arena, &index->bounds, (ir_bounds){0});
    BASE_PUSH(arena, &index->depth, 0);
    BASE_PUSH(arena, &index->bound, 0);
    BASE_PUSH(arena, &index->binder_of, 0);
    BASE_PUSH(arena, &index->binder, (ir_binder){0});
    BASE_PUSH(arena, &index->set, (ir_list){0});
    return u;
}

/* The name need not be unique: variables are told apart by id. Not a binder until ir_binder_at says so. */
ir_var ir_var_new(ir_unit *u, const char *name, ir_expr extent) {
    BASE_PUSH(u->arena, &u->index->binder, (ir_binder){0});
    return BASE_PUSH(u->arena, &u->var, ((ir_var_info){base_strdup(u->arena, name), extent}));
}

/* Its lower bound starts at 0, and rises with facts (prove.c). */
ir_dim ir_dim_new(ir_unit *u, const char *name) {
    return BASE_PUSH(u->arena, &u->dim, ((ir_dim_info){.name = base_strdup(u->arena, name)}));
}

void ir_dim_fix(ir_unit *u, ir_dim dim, int64_t value) {
    u->dim.at[dim].fixed = true;
    u->dim.at[dim].value = value;
}

/* Names of values are unique in a unit, so that texts say which one they mean: x, x.1, x.2. */
ir_value ir_value_new(ir_unit *u, const char *name, const ir_type *type) {
    uint32_t found, k = 0;
    const char *unique = base_strdup(u->arena, name), *plain = unique;
    base_map_get(u->index->suffixes, plain, &k);                     /* the last one tried: a thousand values of one name are not looked through each time */
    while (base_map_get(u->index->names, unique, &found)) unique = base_printf(u->arena, "%s.%u", plain, ++k);
    if (k) base_map_put(u->index->suffixes, plain, k);
    base_map_put(u->index->names, unique, u->value.n);
    return BASE_PUSH(u->arena, &u->value, ((ir_value_info){unique, *type}));
}

/* A fact that folded to a literal says nothing that could be used, nor does the poison. Expressions older than the fact stay as they are;
 * since_facts keeps ir_apply from taking them for the result of folding with it. */
void ir_fact_add(ir_unit *u, ir_expr fact) {
    if (!fact || ir_is(u, fact, IR_BOOL)) return;
    BASE_PUSH(u->arena, &u->fact, fact);
    ir_fact_learn(u, fact);
    u->index->since_facts = u->expr.n;
}

/* ---- canonical binders */

bool ir_is_binder(const ir_unit *u, ir_var v) { return u->index->binder.at[v].ordinal != 0; }

/* A look at all variables: done once for each new binder, of which there are few. */
static bool name_is_used(const ir_unit *u, const char *name) {
    for (ir_var v = 1; v < u->var.n; v++)
        if (!strcmp(u->var.at[v].name, name)) return true;
    return false;
}

/* A name no other variable has so far: d0, d1 .. over a dimension D, n0, n1 .. over anything else. */
static const char *binder_name(const ir_unit *u, ir_expr extent, uint32_t first) {
    const ir_expr_info *x = ir_at(u, extent);
    int letter = x->op == IR_DIM ? tolower((unsigned char)u->dim.at[x->u.ref].name[0]) : 'n';
    const char *name;
    uint32_t k = first;
    do name = base_printf(u->arena, "%c%u", letter, k++);
    while (name_is_used(u, name));
    return name;
}

/* Binders of an extent form a list in the order of their numbers, so that the same structure gets the same names whatever was built before.
 * A new one is appended when all so far are taken; none is ever removed. */
ir_var ir_binder_at(ir_unit *u, ir_expr extent, ir_set taken) {
    struct ir_unit_index *index = u->index;
    ir_var last = 0;
    for (ir_var v = index->binder_of.at[extent]; v; v = index->binder.at[v].next) {
        if (!ir_set_has(u, taken, v)) return v;
        last = v;
    }
    uint32_t before = last ? index->binder.at[last].ordinal : 0;
    ir_var v = ir_var_new(u, binder_name(u, extent, before), extent);
    index->binder.at[v].ordinal = before + 1;
    if (last) index->binder.at[last].next = v;
    else index->binder_of.at[extent] = v;
    return v;
}

/* ---- leaves */

/* ref: an id, never negative, in the low half of the union; the high half is zero, which comparisons of the whole rely on. */
static ir_expr leaf(ir_unit *u, ir_op op, ir_sort sort, uint32_t ref) {
    ir_expr_info key = {.op = (uint8_t)op, .sort = (uint8_t)sort};
    key.u.ref = ref;
    return ir_intern(u, key, NULL);
}

ir_expr ir_int(ir_unit *u, int64_t value) {
    return ir_intern(u, (ir_expr_info){.op = IR_INT, .sort = IR_SORT_INT, .u.i = value}, NULL);
}

/* One bit pattern for all NaNs, so that equal literals are one id. */
ir_expr ir_real(ir_unit *u, double value) {
    return ir_intern(u, (ir_expr_info){.op = IR_REAL, .sort = IR_SORT_REAL, .u.f = isnan(value) ? (double)NAN : value}, NULL);
}

ir_expr ir_bool(ir_unit *u, bool value) {
    return ir_intern(u, (ir_expr_info){.op = IR_BOOL, .sort = IR_SORT_BOOL, .u.i = value}, NULL);
}

/* Ids from 1: what failed to be made is 0, and as an expression the poison. Lets count from 0, and have the sort of their line. */
ir_expr ir_dim_expr(ir_unit *u, ir_dim dim) {
    if (dim && u->dim.at[dim].fixed) return ir_int(u, u->dim.at[dim].value);
    return dim ? leaf(u, IR_DIM, IR_SORT_INT, dim) : 0;
}
ir_expr ir_var_expr(ir_unit *u, ir_var var) { return var ? leaf(u, IR_VAR, IR_SORT_INT, var) : 0; }
ir_expr ir_let_expr(ir_unit *u, uint32_t let, ir_sort sort) { return leaf(u, IR_LET, sort, let); }

/* A wrong rank or a position that is no integer is a bug of the maker or a poisoned operand: no report, the poison. */
ir_expr ir_read(ir_unit *u, ir_value value, uint32_t n, const ir_expr *at) {
    if (!value || n != u->value.at[value].type.rank) return 0;
    /* The poison has the sort NONE, so it is caught here too. */
    for (uint32_t k = 0; k < n; k++)
        if (ir_at(u, at[k])->sort != IR_SORT_INT) return 0;
    ir_expr_info key = {.op = IR_READ, .sort = ir_dtypes[u->value.at[value].type.dtype].sort, .operands = {0, n}};
    key.u.ref = value;
    return ir_intern(u, key, at);
}

/* Questions about literals; the poison is none. *out is written only where the answer is yes. */
bool ir_is_int(const ir_unit *u, ir_expr e, int64_t *out) {
    if (!ir_is(u, e, IR_INT)) return false;
    if (out) *out = ir_at(u, e)->u.i;
    return true;
}

bool ir_is_real(const ir_unit *u, ir_expr e, double *out) {
    if (!ir_is(u, e, IR_REAL)) return false;
    if (out) *out = ir_at(u, e)->u.f;
    return true;
}

/* False of an expression that is no literal, whichever value is asked for. */
bool ir_is_bool(const ir_unit *u, ir_expr e, bool value) { return ir_is(u, e, IR_BOOL) && ir_at(u, e)->u.i == value; }

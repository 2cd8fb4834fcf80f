/* Reads the text that ir_kernel_print writes, line by line: head, dims, counters, values, axes, inside, lets, stores, accesses.
 *
 *   kernel NAME ( N sweep, TYPE )
 *     [ dims NAME, ... ]  { counter NAME in 0..expr }  { value NAME: TYPE[expr, ...] }
 *     { item|row|col|val|feat NAME in 0..expr }  [ inside expr ]
 *     { $N RANK WHAT [ over NAME, ... ] [ where expr ] [ sweep N ] [ relative to 2^$N ] }
 *     { store NAME[expr, ...] MODE expr [ into NAME ] }
 *     { access READ: base expr { , NAME by expr | , gather by NAME } }
 *   RANK: r c v f, each itself or a dot     WHAT: expr | dot expr . expr | pair RED expr | fold RED expr | acc expr . expr
 *   MODE: = | last = | +=                   expr: as in text.h
 *
 * One token decides what comes next. An error ends the reading (a jump to the reader's `failed`). What the grammar lets through and
 * a kernel does not allow is left to ir_kernel_verify. */
#include <string.h>
#include "text.h"

typedef struct {
    ir_reader expr;              /* tokens, scope and unit; the rest is what the kernel will consist of, in the order of the text */
    ir_kernel *k;
    BASE_VEC(ir_dim) dims;
    BASE_VEC(ir_var) counters;
    BASE_VEC(ir_value) values;
    BASE_VEC(ir_axis) axes;
    BASE_VEC(ir_let) lets;
    BASE_VEC(ir_kernel_store) stores;
    BASE_VEC(ir_access) accesses;
} reader;

/* Points at the token that is next, which is what was found instead. */
static _Noreturn void expected(reader *r, const char *what) { IR_FAIL(&r->expr, BASE_MSG_IR_EXPECTED, what, ir_token_text(&r->expr, r->expr.token)); }

/* Counts become uint8_t: the limit is asked here, before they are cut. */
static int64_t number(reader *r, int64_t most) {
    if (r->expr.token.kind != IR_TOKEN_INT) expected(r, "a number");
    int64_t n = ir_reads_int(&r->expr);
    if (n < 0 || n > most) IR_FAIL(&r->expr, BASE_MSG_IR_LIMIT, "of a count", (int)most);
    return n;
}

/* One of the words, or n. */
static uint32_t one_of(reader *r, uint32_t n, const char *const *words) {
    for (uint32_t k = 0; k < n; k++)
        if (ir_eats(&r->expr, words[k])) return k;
    return n;
}

/* Names as in dtypes.def and reductions.def; a row added there can be read at once. */
static uint8_t dtype(reader *r) {
    for (uint32_t k = 0; k < IR_N_DTYPES; k++)
        if (ir_eats(&r->expr, ir_dtypes[k].text)) return (uint8_t)k;
    expected(r, "an element type");
}

static uint8_t reduction(reader *r) {
    for (uint32_t k = 0; k < IR_N_REDS; k++)
        if (ir_eats(&r->expr, ir_reds[k].text)) return (uint8_t)k;
    expected(r, "a reduction");
}

/* Values are declared in the head: a name that is unknown here is an error, not a new value. */
static ir_value value(reader *r) {
    ir_token at = r->expr.token;
    uint32_t v;
    if (!base_map_get(r->expr.values, ir_reads_name(&r->expr), &v)) IR_FAIL_AT(&r->expr, at, BASE_MSG_IR_UNKNOWN, "value", ir_token_text(&r->expr, at));
    return v;
}

/* ---- head */

/* Variables come into scope as they are read and stay: an axis means the same in all lines. */
static ir_var range(reader *r) {                          /* v in 0..extent; v comes into scope */
    ir_var v;
    ir_reads_ranges(&r->expr, 1, &v);
    return v;
}

/* Always new symbols: the unit is the kernel's own and knows none yet. */
static void dims(reader *r) {
    ir_reader *x = &r->expr;
    do {
        const char *name = ir_reads_name(x);
        ir_dim d = ir_dim_new(x->unit, name);
        base_map_put(x->dims, name, d);
        BASE_PUSH(x->arena, &r->dims, d);
    } while (ir_eats(x, ","));
}

/* Extents of a type are over dimensions, which the head has declared by now. */
static void declared_value(reader *r) {
    ir_reader *x = &r->expr;
    const char *name = ir_reads_name(x);
    ir_wants(x, ":");
    /* A scalar has empty brackets, so that rank 0 needs no form of its own. */
    ir_type type = {.dtype = dtype(r)};
    for (ir_wants(x, "["); !ir_eats(x, "]");) {
        if (type.rank) ir_wants(x, ",");
        if (type.rank == IR_RANK) IR_FAIL(x, BASE_MSG_IR_LIMIT, "axes", IR_RANK);
        type.dim[type.rank++] = ir_reads_sort(x, IR_SORT_INT);
    }
    ir_value v = ir_value_new(x->unit, name, &type);
    base_map_put(x->values, name, v);
    BASE_PUSH(x->arena, &r->values, v);
}

/* False at the first word that is no role: the axes are over. Extents may mention the axes before. */
static bool axis(reader *r) {
    static const char *const words[] = {"item", "row", "col", "val", "feat"};
    static const uint8_t roles[] = {IR_ITEM, IR_ROW, IR_COL, IR_VAL, IR_FEAT};
    uint32_t role = one_of(r, 5, words);
    if (role == 5) return false;
    if (r->axes.n == IR_AXES) IR_FAIL(&r->expr, BASE_MSG_IR_LIMIT, "axes", IR_AXES);
    ir_var v = range(r);
    BASE_PUSH(r->expr.arena, &r->axes, ((ir_axis){v, r->expr.unit->var.at[v].extent, roles[role]}));
    return true;
}

/* dims come before all else, since every extent behind them may mention one. */
static void head(reader *r) {
    ir_reader *x = &r->expr;
    ir_wants(x, "kernel");
    r->k->name = ir_reads_name(x);
    ir_wants(x, "(");
    r->k->n_sweeps = (uint8_t)number(r, UINT8_MAX);
    if (!ir_eats(x, "sweeps")) ir_wants(x, "sweep");
    ir_wants(x, ",");
    r->k->real = dtype(r);
    ir_wants(x, ")");
    if (ir_eats(x, "dims")) dims(r);
    while (ir_eats(x, "counter")) BASE_PUSH(x->arena, &r->counters, range(r));
    while (ir_eats(x, "value")) declared_value(r);
    while (axis(r)) {}
    if (ir_eats(x, "inside")) r->k->inside = ir_reads_sort(x, IR_SORT_BOOL);
}

/* ---- lets */

/* From the characters, not the token: `rc..` would be a name and two marks. The first character that does not fit ends it, so the zero
 * at the end of the text is never passed. */
static uint8_t rank(reader *r) {                          /* four characters: r c v f, or a dot */
    static const uint8_t bits[] = {IR_ROW, IR_COL, IR_VAL, IR_FEAT};
    ir_reader *x = &r->expr;
    uint32_t at = x->token.start;
    uint8_t roles = 0;
    for (uint32_t k = 0; k < 4; k++) {
        char c = x->text[at + k];
        if (c == "rcvf"[k]) roles |= bits[k];
        else if (c != '.') expected(r, "a rank");
    }
    x->token.end = at + 4;
    ir_next(x);
    return roles;
}

/* Axes are read as expressions, since that is what their names mean in scope. Whether they have the right role is for the verifier. */
static void over(reader *r, ir_let *l) {
    ir_reader *x = &r->expr;
    ir_var vars[IR_AXES];
    do {
        ir_token at = x->token;
        ir_expr e = ir_reads_sort(x, IR_SORT_INT);
        if (!ir_is(x->unit, e, IR_VAR) || l->n_over == IR_AXES) IR_FAIL_AT(x, at, BASE_MSG_IR_EXPECTED, "an axis", ir_token_text(x, at));
        vars[l->n_over++] = ir_at(x->unit, e)->u.ref;
    } while (ir_eats(x, ","));
    l->over = base_copy(x->arena, vars, sizeof *vars * l->n_over);
}

/* `dot a . b` and `acc e . b` have two factors, `pair` and `fold` a reduction and a body; without a word it is a plain value. */
static void what(reader *r, ir_let *l) {
    static const char *const words[] = {"dot", "pair", "fold", "acc"};
    static const uint8_t kinds[] = {IR_LET_TERM, IR_LET_TERM, IR_LET_FOLD, IR_LET_ACC, IR_LET_EXPR};
    ir_reader *x = &r->expr;
    uint32_t word = one_of(r, 4, words);
    l->kind = kinds[word];
    if (word == 1 || word == 2) l->red = reduction(r);
    ir_expr first = ir_reads_full(x), second = 0;
    if (word == 0 || word == 3) {
        ir_wants(x, ".");
        second = ir_reads_full(x);
    }
    if (word == 0) l->a = first;
    else l->e = first;
    l->b = second;
    l->sort = ir_at(x->unit, first)->sort;  /* no text for it: a line has the sort of what it is made of */
}

/* Numbers are written out and must count up from 0: a line that was cut out or moved by hand shows at once. */
static void let(reader *r) {
    ir_reader *x = &r->expr;
    ir_let l = {.ref = -1, .where = ir_bool(x->unit, true)};
    const char *name = base_strndup(x->arena, x->text + x->token.start, x->token.end - x->token.start);
    if (strcmp(name + 1, base_printf(x->arena, "%u", r->lets.n)) != 0) expected(r, base_printf(x->arena, "line $%u", r->lets.n));
    x->token.end += (uint32_t)strspn(x->text + x->token.end, " ");
    x->token.start = x->token.end;                        /* a rank may begin with dots, which are no token of their own */
    l.rank = rank(r);
    what(r, &l);
    if (ir_eats(x, "over")) over(r, &l);
    if (ir_eats(x, "where")) l.where = ir_reads_sort(x, IR_SORT_BOOL);
    if (ir_eats(x, "sweep")) l.sweep = (uint8_t)number(r, UINT8_MAX);
    if (ir_eats(x, "relative")) {
        ir_wants(x, "to");
        number(r, 2);  /* the 2 of 2^ */
        ir_wants(x, "^");
        ir_token at = x->token;
        ir_expr ref = ir_reads_full(x);
        if (!ir_is(x->unit, ref, IR_LET)) IR_FAIL_AT(x, at, BASE_MSG_IR_EXPECTED, "a line", ir_token_text(x, at));
        l.ref = (int32_t)ir_at(x->unit, ref)->u.ref;
    }
    /* Only now: a line does not mention itself, nor a later one. */
    BASE_PUSH(x->arena, &x->scope, ((ir_meaning){name, ir_let_expr(x->unit, r->lets.n, (ir_sort)l.sort)}));
    BASE_PUSH(x->arena, &r->lets, l);
}

/* ---- stores and accesses */

/* The elements that a store leaves alone are in the result before the kernel starts: what they are a copy of is no buffer of its own. */
static ir_value value_below(reader *r, ir_value result) {
    ir_reader *x = &r->expr;
    uint32_t v;
    const char *name = ir_reads_name(x);
    if (base_map_get(x->values, name, &v)) return v;
    ir_type type = x->unit->value.at[result].type;
    v = ir_value_new(x->unit, name, &type);
    base_map_put(x->values, name, v);
    return v;
}

static void store(reader *r) {
    ir_reader *x = &r->expr;
    ir_kernel_store s = {.at.result = value(r)};
    BASE_VEC(ir_expr) places = {0};
    for (ir_wants(x, "["); !ir_eats(x, "]");) {
        if (places.n) ir_wants(x, ",");
        if (places.n == IR_RANK) IR_FAIL(x, BASE_MSG_IR_LIMIT, "places", IR_RANK);
        BASE_PUSH(x->arena, &places, ir_reads_sort(x, IR_SORT_INT));
    }
    s.at.places = places.at;     /* a rank of 0 has no places, and needs none */
    s.at.n_places = (uint8_t)places.n;
    if (ir_eats(x, "+=")) s.at.mode = IR_STORE_ADD;
    else {
        s.at.mode = ir_eats(x, "last") ? IR_STORE_LAST : IR_STORE_ONE;
        ir_wants(x, "=");
    }
    s.e = ir_reads_full(x);
    if (ir_eats(x, "into")) s.at.into = value_below(r, s.at.result);
    BASE_PUSH(x->arena, &r->stores, s);
}

/* The index among the kernel's axes, by which steps and gather bits are kept. */
static uint32_t axis_named(reader *r) {
    ir_reader *x = &r->expr;
    ir_token at = x->token;
    ir_expr e = ir_reads_sort(x, IR_SORT_INT);
    for (uint32_t a = 0; a < r->axes.n; a++)
        if (ir_is(x->unit, e, IR_VAR) && ir_at(x->unit, e)->u.ref == r->axes.at[a].var) return a;
    IR_FAIL_AT(x, at, BASE_MSG_IR_UNKNOWN, "axis", ir_token_text(x, at));
}

/* Last, since what it describes are reads of lines that stand above it; a step that is not named is 0, no step. */
static void access(reader *r) {
    ir_reader *x = &r->expr;
    ir_access a = {.step = BASE_ARRAY(x->arena, r->axes.n + 1, ir_expr)};
    a.read = ir_reads_full(x);
    if (!ir_is(x->unit, a.read, IR_READ)) expected(r, "a read before this");
    ir_wants(x, ":");
    ir_wants(x, "base");
    a.base = ir_reads_sort(x, IR_SORT_INT);
    while (ir_eats(x, ",")) {
        if (ir_eats(x, "gather")) {
            ir_wants(x, "by");
            a.gather |= 1u << axis_named(r);
        } else {
            uint32_t k = axis_named(r);
            ir_wants(x, "by");
            a.step[k] = ir_reads_sort(x, IR_SORT_INT);
        }
    }
    BASE_PUSH(x->arena, &r->accesses, a);
}

/* ---- the whole */

/* The vectors stay where they are: the arena keeps them, and nothing is appended from here on. */
static void finish(reader *r) {
    ir_kernel *k = r->k;
    k->dims = r->dims.at, k->n_dims = r->dims.n;
    k->counters = r->counters.at, k->n_counters = r->counters.n;
    k->values = r->values.at, k->n_values = r->values.n;
    k->axes = r->axes.at, k->n_axes = r->axes.n;
    k->lets = r->lets.at, k->n_lets = r->lets.n;
    k->stores = r->stores.at, k->n_stores = r->stores.n;
    k->accesses = r->accesses.at, k->n_accesses = r->accesses.n;
}

/* The reader lies on the arena, since setjmp leaves locals that changed after it undefined. */
ir_kernel *ir_kernel_read(base_arena *arena, base_diags *diags, uint32_t file) {
    reader *r = BASE_NEW(arena, reader);
    ir_unit *u = ir_unit_create(arena, diags);
    ir_reader *x = &r->expr;
    ir_reader_init(x, u, file, diags->files.at[file].text, diags->files.at[file].n);
    if (setjmp(x->failed)) return NULL;
    r->k = BASE_NEW(arena, ir_kernel);
    r->k->unit = u;
    r->k->span = (base_span){file, 0, x->n};
    r->k->inside = ir_bool(u, true);  /* as the printer leaves it out */
    head(r);
    while (x->token.kind == IR_TOKEN_LET) let(r);
    while (ir_eats(x, "store")) store(r);
    while (ir_eats(x, "access")) access(r);
    if (x->token.kind != IR_TOKEN_END) expected(r, "the end");
    finish(r);
    return ir_kernel_verify(r->k) ? r->k : NULL;
}

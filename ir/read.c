/* Graphs from text, the inverse of print.c: recursive descent, one statement after the other, nodes built as they are read. What is read
 * has been verified when it is handed out, so that nothing a text says can harm a pass. */
#include <stdlib.h>
#include <string.h>
#include "text.h"

/* Loops are read by recursion, so their nesting is bounded here; the verifier allows more for graphs that passes build. */
enum { MAX_LOOPS = 32, MAX_OUTPUTS = 4096 };

/* The text being read and the graph being built. What the graph holds in plain arrays grows here and is handed over by
 * finish(). */
typedef struct {
    ir_reader expr;                              /* tokens, scope, the unit */
    ir_graph *graph;
    uint32_t loops;                              /* how deep in loops */
    BASE_VEC(ir_choice) choices;                 /* in the order of the text, as the three below */
    BASE_VEC(ir_output_info) outputs;
    BASE_VEC(ir_value) scalars;                  /* inputs that are dimensions */
    BASE_VEC(ir_dim) scalar_dims;                /* one per entry of scalars */
} reader;
/* packed: NULL, or one flag per axis as in a source node. */
typedef struct { ir_type type; const uint8_t *packed; } typed;

static void statement(reader *r, ir_builder *b);

/* ---------------------------------------------------------------- names and types */

static _Noreturn void expected(reader *r, const char *what) { IR_FAIL(&r->expr, BASE_MSG_IR_EXPECTED, what, ir_token_text(&r->expr, r->expr.token)); }

/* From the start of `first` to the end of the last token that was read: the blank behind a statement is not part of it. */
static base_span span_from(const reader *r, ir_token first) {
    return ir_span_of(&r->expr, (ir_token){0, first.start, r->expr.last_end});
}

/* A value that an earlier statement defined. Whether it may still be read here, outside of a loop that has ended, is the
 * verifier's to say. */
static ir_value known_value(reader *r) {
    ir_token at = r->expr.token;
    uint32_t value;
    if (!base_map_get(r->expr.values, ir_reads_name(&r->expr), &value)) IR_FAIL_AT(&r->expr, at, BASE_MSG_IR_UNKNOWN, "value", ir_token_text(&r->expr, at));
    return value;
}

/* Dimensions are all declared in the head of the graph. */
static ir_dim known_dim(reader *r) {
    ir_token at = r->expr.token;
    uint32_t dim;
    if (!base_map_get(r->expr.dims, ir_reads_name(&r->expr), &dim)) IR_FAIL_AT(&r->expr, at, BASE_MSG_IR_UNKNOWN, "dimension", ir_token_text(&r->expr, at));
    return dim;
}

/* Names are unique in the whole unit and not only where they can be seen, so one flat map is enough. */
static ir_value define(reader *r, ir_token at, const char *name, const ir_type *type) {
    uint32_t before;
    if (base_map_get(r->expr.values, name, &before)) IR_FAIL_AT(&r->expr, at, BASE_MSG_IR_TWICE, "value", name);
    ir_value value = ir_value_new(r->expr.unit, name, type);
    base_map_put(r->expr.values, name, value);
    return value;
}

/* Element types are reserved by their place alone: a value may be called f32. */
static uint8_t dtype(reader *r) {
    for (uint32_t k = 0; k < IR_N_DTYPES; k++)
        if (ir_eats(&r->expr, ir_dtypes[k].text)) return (uint8_t)k;
    expected(r, "an element type");
}

/* One extent behind those read so far. It is a sum, so a `,`, `]` or `)` ends it. */
static void dimension(reader *r, ir_type *type) {
    if (type->rank == IR_RANK) IR_FAIL(&r->expr, BASE_MSG_IR_LIMIT, "axes", IR_RANK);
    type->dim[type->rank++] = ir_reads_sum(&r->expr);
}

/* (H,D): axes that the host sees as one. `(` may also begin an expression, so what follows it is looked at first. */
static void axes(reader *r, typed *t, uint8_t *packed, bool *any) {
    ir_reader *x = &r->expr;
    ir_token at = x->token;
    uint32_t last_end = x->last_end, first = t->type.rank;
    if (ir_eats(x, "(")) {
        dimension(r, &t->type);
        while (ir_eats(x, ",")) dimension(r, &t->type);
        if (t->type.rank > first + 1) {
            ir_wants(x, ")");
            for (uint32_t k = first + 1; k < t->type.rank; k++) packed[k] = 1, *any = true;
            return;
        }
        /* Only one extent in parentheses: go back to the `(`, which belongs to the expression, as in (H+1)*D. What was
         * read meanwhile stays in the unit, where nothing mentions it. */
        x->token = at, x->last_end = last_end, t->type.rank = (uint8_t)first;
    }
    dimension(r, &t->type);
}

/* The extents behind an element type that has been read. `packed` stays NULL if no axes are joined, which is what a
 * source without parentheses has. */
static typed type_after(reader *r, uint8_t element) {
    typed t = {.type = {.dtype = element}};
    uint8_t packed[IR_RANK] = {0};
    bool any = false;
    ir_wants(&r->expr, "[");
    while (!ir_eats(&r->expr, "]")) {
        if (t.type.rank) ir_wants(&r->expr, ",");
        axes(r, &t, packed, &any);
    }
    if (any) t.packed = base_copy(r->expr.arena, packed, sizeof packed);
    return t;
}

/* ---------------------------------------------------------------- sources */

/* Elements have a sign of their own: they are no expressions. */
static double real_element(reader *r) {
    bool negative = ir_eats(&r->expr, "-");
    double value = ir_reads_real(&r->expr);
    return negative ? -value : value;
}

/* Bytes as the type stores them: what a const hands to a target. */
static void element(reader *r, uint8_t type, base_text *out) {
    ir_token at = r->expr.token;
    union { float f; double d; int32_t i; int64_t l; uint8_t b; } x = {0};
    if (ir_dtypes[type].sort == IR_SORT_REAL) {
        x.d = real_element(r);
        if (type == IR_TYPE_F32) x.f = (float)x.d;
    } else if (ir_dtypes[type].sort == IR_SORT_BOOL) {
        x.b = ir_eats(&r->expr, "true");
        if (!x.b) ir_wants(&r->expr, "false");
    } else {
        x.l = ir_reads_int(&r->expr);
        if (type == IR_TYPE_I32 && (x.l < INT32_MIN || x.l > INT32_MAX)) IR_FAIL_AT(&r->expr, at, BASE_MSG_IR_NUMBER, ir_token_text(&r->expr, at));
        if (type == IR_TYPE_I32) x.i = (int32_t)x.l;
    }
    base_text_put(out, (const char *)&x, ir_dtypes[type].bytes);
}

/* The count is compared with the type here, since nothing later knows how many bytes `data` points to. An extent that is
 * no literal, or a product that does not fit, turns the count negative, which no list has. An extent of 0 behind it
 * makes it 0 again: right for a product, and a symbol is refused by the verifier. */
static const void *elements(reader *r, ir_token at, const ir_type *type) {
    base_text bytes;
    base_text_init(&bytes, r->expr.arena);
    uint32_t found = 0;
    ir_wants(&r->expr, "{");
    for (; !ir_eats(&r->expr, "}"); found++) {
        if (found) ir_wants(&r->expr, ",");
        element(r, type->dtype, &bytes);
    }
    int64_t n = 1, extent;
    for (uint32_t k = 0; k < type->rank; k++)
        if (!ir_is_int(r->expr.unit, type->dim[k], &extent) || !base_mul(n, extent, &n)) n = -1;
    if (n != found) IR_FAIL_AT(&r->expr, at, BASE_MSG_IR_COUNT, ir_token_text(&r->expr, at), (unsigned)n, "elements", found);
    return bytes.at;
}

/* `dim` is also a name that a value may have: it is the word only where no index or type follows. */
static void source(reader *r, ir_builder *b, ir_token at, const char *name) {
    typed t = type_after(r, dtype(r));
    ir_wants(&r->expr, "=");
    ir_form form = ir_eats(&r->expr, "input") ? IR_FORM_INPUT : ir_eats(&r->expr, "param") ? IR_FORM_PARAM : IR_FORM_CONST;
    if (form == IR_FORM_CONST) ir_wants(&r->expr, "const");
    /* The value is defined before the elements are read: they are no expressions and could not mention it. */
    ir_value value = define(r, at, name, &t.type);
    ir_node *node = ir_node_source(r->expr.unit, form, ir_span_of(&r->expr, at), value);
    node->source.packed = t.packed;
    if (form == IR_FORM_PARAM && r->expr.token.kind == IR_TOKEN_STRING) node->source.storage = ir_reads_string(&r->expr);
    if (form == IR_FORM_CONST) node->source.data = elements(r, at, &t.type);
    if (form == IR_FORM_INPUT && ir_sees(&r->expr, "dim") && !ir_sees_after(&r->expr, "[") && !ir_sees_after(&r->expr, ":")) {
        ir_next(&r->expr);
        BASE_PUSH(r->expr.arena, &r->scalars, value);
        BASE_PUSH(r->expr.arena, &r->scalar_dims, known_dim(r));
    }
    /* The span covers the whole statement, which ends only here. */
    node->span = span_from(r, at);
    ir_builder_add(b, node);
}

/* ---------------------------------------------------------------- maps */

/* Reads into a local array first: a store keeps exactly as many as there are. */
static void places(reader *r, ir_store *store) {
    ir_expr all[IR_RANK];
    do {
        if (store->n_places == IR_RANK) IR_FAIL(&r->expr, BASE_MSG_IR_LIMIT, "places", IR_RANK);
        all[store->n_places++] = ir_reads_sort(&r->expr, IR_SORT_INT);
    } while (ir_eats(&r->expr, ","));
    store->places = base_copy(r->expr.arena, all, store->n_places * sizeof *all);
}

/* : f32[N,2] into t one =     the type may be left to the outer variables where there are no places */
static ir_type store_type(reader *r, ir_store *store, uint32_t n_outer, const ir_var *outer) {
    ir_type type = {.dtype = dtype(r)};
    if (ir_sees(&r->expr, "[")) type = type_after(r, type.dtype).type;
    else if (store->n_places) expected(r, "'[' and the extents");
    else {
        if (n_outer > IR_RANK) IR_FAIL(&r->expr, BASE_MSG_IR_LIMIT, "axes", IR_RANK);
        for (uint32_t k = 0; k < n_outer; k++) type.dim[type.rank++] = r->expr.unit->var.at[outer[k]].extent;
    }
    if (ir_eats(&r->expr, "into")) store->into = known_value(r);
    bool one = ir_eats(&r->expr, "one");
    store->mode = !one && ir_eats(&r->expr, "last") ? IR_STORE_LAST : IR_STORE_ONE;
    /* Adding has no word of its own: with places and neither `one` nor `last`, it must be `+=`. */
    if (store->n_places && !one && store->mode == IR_STORE_ONE) {
        store->mode = IR_STORE_ADD;
        ir_wants(&r->expr, "+=");
    } else {
        ir_wants(&r->expr, "=");
    }
    return type;
}

/* The value is defined behind its body: a statement does not see what it makes. */
static ir_result result(reader *r, ir_token at, const char *name, ir_store store, uint32_t n_outer, const ir_var *outer) {
    ir_type type = store_type(r, &store, n_outer, outer);
    ir_expr body = ir_reads_sort(&r->expr, (ir_sort)ir_dtypes[type.dtype].sort);
    store.result = define(r, at, name, &type);
    return (ir_result){body, store};
}

/* name[b in 0..B, i in 0..S: places]: f32 = expr
 * The variables are in scope for places and body and leave it with the map. ir_node_map makes a map with a plain store;
 * the one that was read then replaces it. */
static ir_node *map(reader *r, ir_token at, const char *name) {
    ir_reader *x = &r->expr;
    ir_var outer[IR_AXES];
    uint32_t n = 0, outside = x->scope.n;
    ir_store store = {0};
    ir_wants(x, "[");
    if (x->token.kind == IR_TOKEN_NAME) n = ir_reads_ranges(x, IR_AXES, outer);
    if (ir_eats(x, ":")) places(r, &store);
    ir_wants(x, "]");
    ir_wants(x, ":");
    ir_result one = result(r, at, name, store, n, outer);
    ir_node *node = ir_node_map(x->unit, span_from(r, at), n, outer, one.store.result, one.body);
    node->map.results[0] = one;
    x->scope.n = outside;
    return node;
}

/* map b in 0..B { let ...; m: f32 = expr   n[: places]: f32[N] one = expr }
 * Results share the abbreviations at the head, so these end with the map and not with the first body. */
static void joined_map(reader *r, ir_builder *b) {
    ir_reader *x = &r->expr;
    ir_token at = x->token;
    ir_var outer[IR_AXES];
    BASE_VEC(ir_result) results = {0};
    ir_next(x);
    uint32_t outside = x->scope.n, lets = x->lets.n, n = ir_sees(x, "{") ? 0 : ir_reads_ranges(x, IR_AXES, outer);
    ir_wants(x, "{");
    ir_reads_lets(x);
    while (!ir_eats(x, "}")) {
        ir_token start = x->token;
        ir_store store = {0};
        const char *name = ir_reads_name(x);
        if (ir_eats(x, "[")) {
            ir_wants(x, ":");
            places(r, &store);
            ir_wants(x, "]");
        }
        ir_wants(x, ":");
        /* n_results of a node is a byte. */
        if (results.n == 255) IR_FAIL(x, BASE_MSG_IR_LIMIT, "results", 255);
        BASE_PUSH(x->arena, &results, result(r, start, name, store, n, outer));
    }
    /* The node is built around its first result, and the verifier refuses a map of none. */
    if (!results.n) expected(r, "a result before '}'");
    ir_node *node = ir_node_map(x->unit, span_from(r, at), n, outer, results.at[0].store.result, results.at[0].body);
    node->map.results = results.at;
    node->map.n_results = (uint8_t)results.n;
    x->scope.n = outside;
    x->lets.n = lets;
    ir_builder_add(b, node);
}

/* ---------------------------------------------------------------- loops and checks */

typedef struct { const char *name; ir_token at; } promised;      /* the result of a carry: defined when the loop has ended */

/* y = h from x   or   y = h from zeros f32[B,S] */
static ir_carry carry(reader *r, promised *out) {
    ir_reader *x = &r->expr;
    /* `inside` takes its type from the first value, or from the text where that is zeros. */
    ir_carry c = {0};
    out->at = x->token;
    out->name = ir_reads_name(x);
    ir_wants(x, "=");
    ir_token at = x->token;
    /* `zeros` may also be the name of a value: it is the word only where an element type follows, so not before `,` or
     * `)`. */
    const char *inside = ir_reads_name(x);
    ir_wants(x, "from");
    ir_type type;
    if (ir_sees(x, "zeros") && !ir_sees_after(x, ",") && !ir_sees_after(x, ")")) {
        ir_next(x);
        type = type_after(r, dtype(r)).type;
    } else {
        c.init = known_value(r);
        type = x->unit->value.at[c.init].type;
    }
    c.inside = define(r, at, inside, &type);
    return c;
}

/* Carries take what the body yields, in order.
 * The order is the only link between a yield and the carries; the verifier compares the types. */
static void take_yields(reader *r, ir_token at, ir_node *loop, ir_block body) {
    const ir_node *last = body.n ? body.at[body.n - 1] : NULL;
    uint32_t n = last && last->form == IR_FORM_YIELD ? last->use.n_values : 0;
    if (n != loop->loop.n_carries) IR_FAIL_AT(&r->expr, at, BASE_MSG_IR_COUNT, "yield", loop->loop.n_carries, "values", n);
    for (uint32_t k = 0; k < n; k++) loop->loop.carries[k].next = last->use.values[k];
}

/* The counter's extent is the upper bound, as in graphs made by the frontend: proofs about it know that it is below. */
static ir_node *loop_head(reader *r, ir_token at) {
    ir_reader *x = &r->expr;
    ir_node *node = BASE_NEW(x->arena, ir_node);
    *node = (ir_node){.form = IR_FORM_LOOP, .span = ir_span_of(x, at)};
    ir_next(x);
    const char *name = ir_reads_name(x);
    ir_wants(x, "in");
    node->loop.lo = ir_reads_sum(x);
    ir_wants(x, "..");
    node->loop.hi = ir_reads_sum(x);
    node->loop.counter = ir_var_new(x->unit, ir_plain_name(x->arena, name), node->loop.hi);
    /* In scope under the name that the text has, even where the variable drops the ".1" of it. */
    BASE_PUSH(x->arena, &x->scope, ((ir_meaning){name, ir_var_expr(x->unit, node->loop.counter)}));
    return node;
}

/* Results of carries come into scope behind the loop; what the body defines has names of its own, unique in the unit.
 * The condition is read when the values inside are defined, since it is about them, and before the body, of which it
 * sees nothing. */
static void loop(reader *r, ir_builder *b) {
    ir_reader *x = &r->expr;
    ir_token at = x->token;
    uint32_t outside = x->scope.n;
    BASE_VEC(ir_carry) carries = {0};
    BASE_VEC(promised) results = {0};
    if (++r->loops > MAX_LOOPS) IR_FAIL(x, BASE_MSG_IR_DEEP, MAX_LOOPS);
    ir_node *node = loop_head(r, at);
    for (ir_wants(x, "("); !ir_eats(x, ")");) {
        if (carries.n) ir_wants(x, ",");
        promised result_name;
        BASE_PUSH(x->arena, &carries, carry(r, &result_name));
        BASE_PUSH(x->arena, &results, result_name);
    }
    node->loop.cond = ir_eats(x, "while") ? ir_reads_sort(x, IR_SORT_BOOL) : ir_bool(x->unit, true);
    ir_builder *inner = ir_builder_create(x->unit);
    /* The body has a builder of its own, so its nodes do not enter the block around the loop. */
    for (ir_wants(x, "{"); !ir_eats(x, "}");) statement(r, inner);
    node->loop.carries = carries.at;
    node->loop.n_carries = carries.n;
    node->loop.body = ir_builder_block(inner);
    take_yields(r, at, node, node->loop.body);
    /* The result has the type of the value inside; its name was read at the head, where an error about it points. */
    for (uint32_t k = 0; k < carries.n; k++)
        carries.at[k].result = define(r, results.at[k].at, results.at[k].name, &x->unit->value.at[carries.at[k].inside].type);
    x->scope.n = outside;
    r->loops--;
    ir_builder_add(b, node);
}

/* The maps of a check have the form of any map, but belong to the check and not to the block around it. */
static ir_node *check_map(reader *r) {
    ir_token at = r->expr.token;
    return map(r, at, ir_reads_name(&r->expr));
}

/* check "index" of k axis 1 below T over b in 0..B, i in 0..S { position[]: i64 = ...   found[]: i64 = ... }
 * Variables of the position are out of scope inside: the two maps bind their own. */
static void check(reader *r, ir_builder *b) {
    ir_reader *x = &r->expr;
    ir_token at = x->token;
    uint32_t outside = x->scope.n;
    ir_node *node = BASE_NEW(x->arena, ir_node);
    node->form = IR_FORM_CHECK;
    ir_next(x);
    node->check.what = ir_reads_string(x);
    if (ir_eats(x, "of")) {
        node->check.tensor = known_value(r);
        ir_wants(x, "axis");
        int64_t axis = ir_reads_int(x);
        if (axis < 0 || axis >= IR_RANK) IR_FAIL(x, BASE_MSG_IR_LIMIT, "axes", IR_RANK);
        node->check.axis = (uint8_t)axis;
        ir_wants(x, "below");
        node->check.limit = ir_reads_sum(x);
    }
    ir_var over[IR_AXES];
    if (ir_eats(x, "over")) node->check.n_over = (uint8_t)ir_reads_ranges(x, IR_AXES, over);
    node->check.over = base_copy(x->arena, over, node->check.n_over * sizeof *over);
    x->scope.n = outside;
    ir_wants(x, "{");
    node->check.position = check_map(r);
    node->check.found = check_map(r);
    ir_wants(x, "}");
    node->span = span_from(r, at);
    ir_builder_add(b, node);
}

/* ---------------------------------------------------------------- yield and output */

static void yield(reader *r, ir_builder *b) {
    ir_token at = r->expr.token;
    /* May be empty: a loop without carries yields nothing. A yield ends its body, so a name right behind it is meant as
     * a value. */
    BASE_VEC(ir_value) values = {0};
    ir_next(&r->expr);
    while (r->expr.token.kind == IR_TOKEN_NAME) {
        BASE_PUSH(r->expr.arena, &values, known_value(r));
        if (!ir_eats(&r->expr, ",")) break;
    }
    ir_builder_add(b, ir_node_use(r->expr.unit, IR_FORM_YIELD, span_from(r, at), values.n, values.at));
}

/* o as "name": f32[B,(H,D)]
 * The type says how the host sees the value: an element type of its own, axes joined. Extents must be those of the value. */
static ir_output_info output_info(reader *r) {
    ir_reader *x = &r->expr;
    ir_token at = x->token;
    ir_value value = known_value(r);
    const ir_type *type = &x->unit->value.at[value].type;
    ir_output_info info = {value, x->unit->value.at[value].name, type->dtype, NULL};
    if (ir_eats(x, "as")) info.name = ir_reads_string(x);
    if (!ir_eats(x, ":")) return info;
    typed t = type_after(r, dtype(r));
    bool same = t.type.rank == type->rank;
    for (uint32_t k = 0; same && k < type->rank; k++) same = t.type.dim[k] == type->dim[k];
    /* Ids are compared: an extent that is equal but written otherwise has the same id, since expressions are canonical. */
    if (!same) IR_FAIL_AT(x, at, BASE_MSG_IR_EXPECTED, "the extents of the value", "others");
    info.dtype = t.type.dtype;
    info.packed = t.packed;
    return info;
}

/* Outputs are kept twice: by value in the node, for passes, and with name and type in the graph, for the host. */
static void output(reader *r, ir_builder *b) {
    ir_reader *x = &r->expr;
    ir_token at = x->token;
    BASE_VEC(ir_value) values = {0};
    ir_next(x);
    if (!ir_sees(x, "}")) do {           /* a graph may have none */
        if (r->outputs.n == MAX_OUTPUTS) IR_FAIL(x, BASE_MSG_IR_LIMIT, "outputs", MAX_OUTPUTS);
        ir_output_info info = output_info(r);
        BASE_PUSH(x->arena, &r->outputs, info);
        BASE_PUSH(x->arena, &values, info.value);
    } while (ir_eats(x, ","));
    ir_builder_add(b, ir_node_use(x->unit, IR_FORM_OUTPUT, span_from(r, at), values.n, values.at));
}

/* What a statement is shows in its first two tokens. A word like `map` is one only where no `[` or `:` follows, so
 * values may have such names. */
static void statement(reader *r, ir_builder *b) {
    ir_reader *x = &r->expr;
    ir_token at = x->token;
    if (at.kind != IR_TOKEN_NAME) expected(r, "a statement");
    if (ir_sees_after(x, "[")) ir_builder_add(b, map(r, at, ir_reads_name(x)));
    else if (ir_sees_after(x, ":")) {
        const char *name = ir_reads_name(x);
        ir_next(x);
        source(r, b, at, name);
    } else if (ir_sees(x, "map")) joined_map(r, b);
    else if (ir_sees(x, "loop")) loop(r, b);
    else if (ir_sees(x, "check")) check(r, b);
    else if (ir_sees(x, "yield")) yield(r, b);
    else if (ir_sees(x, "output")) output(r, b);
    else expected(r, "a statement");
}

/* ---------------------------------------------------------------- graphs */

/* Dimensions are numbered in the order of the text, from 1; dim.n is 1 as long as there is none. */
static void dims(reader *r) {
    ir_reader *x = &r->expr;
    uint32_t before;
    for (ir_wants(x, "("); !ir_eats(x, ")");) {
        if (x->unit->dim.n > 1) ir_wants(x, ",");
        ir_token at = x->token;
        const char *name = ir_reads_name(x);
        if (base_map_get(x->dims, name, &before)) IR_FAIL_AT(x, at, BASE_MSG_IR_TWICE, "dimension", name);
        base_map_put(x->dims, name, ir_dim_new(x->unit, name));
    }
}

/* D in {64, 128} */
static void choice(reader *r) {
    ir_choice c = {.dim = known_dim(r)};
    BASE_VEC(int64_t) values = {0};
    ir_next(&r->expr);
    ir_wants(&r->expr, "{");
    do BASE_PUSH(r->expr.arena, &values, ir_reads_int(&r->expr));
    while (ir_eats(&r->expr, ","));
    ir_wants(&r->expr, "}");
    c.values = values.at;
    c.n = values.n;
    BASE_PUSH(r->expr.arena, &r->choices, c);
}

/* A fact goes into the unit, where proofs find it, and if it is `told`, also into the graph, where binding finds it.
 * Facts come before the body: expressions that are built later are folded with them. */
static void fact(reader *r, bool told) {
    ir_graph *g = r->graph;
    ir_token at = r->expr.token;
    ir_expr e = ir_reads_sort(&r->expr, IR_SORT_BOOL);
    ir_fact_add(r->expr.unit, e);
    if (!told) return;
    g->facts = base_grow(r->expr.arena, g->facts, g->n_facts, g->n_facts + 1, sizeof *g->facts);
    g->facts[g->n_facts].fact = e;
    g->facts[g->n_facts++].span = span_from(r, at);
}

/* graph NAME "doc" (D, ...) where FACT or CHOICE, ... given FACT, ...: the last list is what the compiler found out
 * itself. */
static void header(reader *r) {
    ir_reader *x = &r->expr;
    ir_wants(x, "graph");
    r->graph->name = ir_reads_name(x);
    if (x->token.kind == IR_TOKEN_STRING) r->graph->doc = ir_reads_string(x);
    dims(r);
    if (ir_eats(x, "where")) do {
        if (x->token.kind == IR_TOKEN_NAME && ir_sees_after(x, "in")) choice(r);
        else fact(r, true);
    } while (ir_eats(x, ","));
    if (ir_eats(x, "given")) do fact(r, false);
    while (ir_eats(x, ","));
}

/* The arrays grew in the arena of the unit, so handing over the pointers is enough. */
static void finish(reader *r, ir_block body) {
    ir_graph *g = r->graph;
    g->body = body;
    g->choices = r->choices.at, g->n_choices = r->choices.n;
    g->outputs = r->outputs.at, g->n_outputs = r->outputs.n;
    g->scalars = r->scalars.at, g->n_scalars = r->scalars.n;
    g->scalar_dims = r->scalar_dims.at;
}

/* NULL when something was reported. Everything, also what a failed reading leaves behind, is in `arena`, so jumping out
 * of the recursion loses nothing. */
ir_graph *ir_graph_read(base_arena *arena, base_diags *diags, uint32_t file) {
    reader *r = BASE_NEW(arena, reader);
    ir_unit *u = ir_unit_create(arena, diags);
    r->graph = BASE_NEW(arena, ir_graph);
    r->graph->unit = u;
    ir_reader_init(&r->expr, u, file, diags->files.at[file].text, diags->files.at[file].n);
    if (setjmp(r->expr.failed)) return NULL;
    header(r);
    ir_builder *b = ir_builder_create(u);
    for (ir_wants(&r->expr, "{"); !ir_eats(&r->expr, "}");) statement(r, b);
    if (r->expr.token.kind != IR_TOKEN_END) expected(r, "the end");
    finish(r, ir_builder_block(b));
    return ir_graph_verify(r->graph, "read") ? r->graph : NULL;
}

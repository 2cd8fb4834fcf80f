/* The signature of an entry, and the program that finds dimensions in shapes.
 *
 * A dimension is bound where it stands alone as an extent; else as the one unknown of an extent that is linear in it, coefficient times
 * unknown plus rest, by exact division; else by an input `K: dim`. All other extents, and the facts of the graph, are tests. Params come first, since
 * weights are there before inputs are: then a message blames the input.
 */
#include "encode_int.h"

/* One axis of a tensor as the host sees it. done: an operation that binds it or compares it has been emitted. */
typedef struct { uint32_t tensor, axis; ir_expr extent; bool done; } axis;
typedef struct { encoder *e; BASE_VEC(axis) axes; bool *known; } binding;      /* known: by ir_dim */

/* ---- tensors */

/* The extent as the host sees it: axes that are packed, (H,D), count as one, their product. */
static ir_expr host_extent(encoder *e, const ir_type *t, const uint8_t *packed, uint32_t *k) {
    ir_expr x = t->dim[(*k)++];
    while (packed && *k < t->rank && packed[*k]) x = ir_mul(e->unit, x, t->dim[(*k)++]);
    return x;
}

/* Adds the axes of each tensor to the binding, one after the other in the order of tensors: slots_of_shapes relies on that order. */
static void add_tensor(encoder *e, binding *b, rt_tensor_kind kind, ir_value value, const char *name, const char *storage, uint8_t dtype,
                       const uint8_t *packed, base_span span) {
    const ir_type t = e->unit->value.at[value].type;
    uint32_t at = e->tensors.n, rank = 0;
    const char **texts = BASE_ARRAY(e->arena, IR_RANK, const char *);
    for (uint32_t k = 0; k < t.rank; rank++) {
        axis a = {at, rank, host_extent(e, &t, packed, &k), false};
        texts[rank] = enc_text(e, a.extent);
        BASE_PUSH(e->arena, &b->axes, a);
    }
    rt_tensor_info info = {.kind = kind, .name = name, .index = RT_NONE, .dtype = dtype, .rank = rank, .dim_texts = texts, .place = enc_place(e, span)};
    for (uint32_t k = 0; k < e->graph->n_scalars; k++) info.is_dim |= e->graph->scalars[k] == value;
    if (kind == RT_TENSOR_PARAM) info.index = BASE_PUSH(e->arena, &e->params, ((rt_param_info){name, storage, dtype, rank, texts, info.place}));
    BASE_PUSH(e->arena, &e->tensors, info);
    e->values[at] = value;
}

/* A param without a storage name is stored under its own. */
static void add_sources(encoder *e, binding *b, ir_form form, rt_tensor_kind kind, uint32_t *n) {
    for (uint32_t k = 0; k < e->graph->body.n; k++) {
        const ir_node *node = e->graph->body.at[k];
        if (node->form != form) continue;
        const ir_value_info *v = &e->unit->value.at[node->source.value];
        const char *storage = form != IR_FORM_PARAM ? NULL : node->source.storage ? node->source.storage : v->name;
        add_tensor(e, b, kind, node->source.value, v->name, storage, v->type.dtype, node->source.packed, node->span);
        ++*n;
    }
}

/* Inputs, params, outputs: the order of the contract, which encode_buffer counts on. */
static void add_tensors(encoder *e, binding *b) {
    e->values = BASE_ARRAY(e->arena, e->graph->body.n + e->graph->n_outputs, ir_value);
    add_sources(e, b, IR_FORM_INPUT, RT_TENSOR_INPUT, &e->n_inputs);
    add_sources(e, b, IR_FORM_PARAM, RT_TENSOR_PARAM, &e->n_params);
        /* An output has no span of its own; messages about it name it. */
    for (uint32_t k = 0; k < e->graph->n_outputs; k++) {
        const ir_output_info *o = &e->graph->outputs[k];
        add_tensor(e, b, RT_TENSOR_OUTPUT, o->value, o->name, NULL, o->dtype, o->packed, (base_span){0, 0, 0});
    }
}

/* ---- dimensions from shapes */

typedef struct { const bool *known; ir_dim one; uint32_t n; } unknowns;

/* How many dimensions of an extent are not known yet, and which one was met last: an extent with exactly one can be solved. */
static bool find_unknown(const ir_unit *u, void *env, ir_expr x) {
    unknowns *f = env;
    if (ir_is(u, x, IR_DIM) && !f->known[ir_at(u, x)->u.ref]) {
        f->n++;
        f->one = ir_at(u, x)->u.ref;
    }
    return true;
}

static unknowns unknowns_of(const binding *b, ir_expr x) {
    unknowns f = {b->known, 0, 0};
    ir_walk(b->e->unit, x, find_unknown, &f);
    return f;
}

typedef struct { ir_dim dim; ir_expr to; } replacement;

/* The expression with a number in place of one dimension; simplified as it is built. */
static ir_expr replace(ir_unit *u, void *env, ir_expr x) {
    const replacement *r = env;
    return ir_is(u, x, IR_DIM) && ir_at(u, x)->u.ref == r->dim ? r->to : 0;
}

static ir_expr with(ir_unit *u, ir_expr x, ir_dim dim, int64_t value) {
    replacement r = {dim, ir_int(u, value)};
    return ir_rebuild(u, x, replace, &r);
}

/* A fresh slot that holds what the host's array has on this axis. */
static uint32_t shape_slot(encoder *e, const axis *a) { return enc_op(e, (rt_int_op){.op = RT_INT_SHAPE, .a = a->tensor, .b = a->axis}); }

/* Tensor and axis in one literal, as RT_INT_SOLVE and RT_INT_EXPECT want it. */
static int64_t where(const axis *a) { return (int64_t)a->tensor << 8 | a->axis; }

/* Every dimension has its slot since bind_dims began: binding it is to let an operation write there. */
static void bind_dim(binding *b, ir_dim dim, rt_int_op op) {
    op.dst = dim - 1;
    enc_test(b->e, op);
    b->known[dim] = true;
}

/* extent == coef * dim + rest, checked by building that */
static bool solve(binding *b, axis *a, ir_dim dim) {
    encoder *e = b->e;
    ir_unit *u = e->unit;
    /* Equal expressions have one id, so comparing ids proves that the extent is linear; an extent like D * D or D // 2 falls out here. */
    ir_expr rest = with(u, a->extent, dim, 0), coef = ir_sub(u, with(u, a->extent, dim, 1), rest);
    if (ir_add(u, ir_mul(u, coef, ir_dim_expr(u, dim)), rest) != a->extent) return false;
    /* rest and coef contain known dimensions only, so operations before this one have filled what they read. */
    uint32_t found = shape_slot(e, a), difference = enc_op(e, (rt_int_op){.op = RT_INT_SUB, .a = found, .b = enc_slot(e, rest)});
    bind_dim(b, dim, (rt_int_op){.op = RT_INT_SOLVE, .a = difference, .b = enc_slot(e, coef), .literal = where(a)});
    return true;
}

/* An axis whose extent is known otherwise: it is compared. */
static void expect(binding *b, const axis *a) {
    encoder *e = b->e;
    uint32_t found = shape_slot(e, a);
    enc_test(e, (rt_int_op){.op = RT_INT_EXPECT, .a = found, .b = enc_slot(e, a->extent), .literal = where(a)});
}

/* Axes carry no kind of their own: their tensor's counts. */
static bool is_kind(const binding *b, const axis *a, rt_tensor_kind kind) { return b->e->tensors.at[a->tensor].kind == (uint32_t)kind; }

/* Where dimensions stand alone. */
static void bind_alone(binding *b, rt_tensor_kind kind) {
    const ir_unit *u = b->e->unit;
    for (uint32_t k = 0; k < b->axes.n; k++) {
        axis *a = &b->axes.at[k];
        if (!is_kind(b, a, kind) || !ir_is(u, a->extent, IR_DIM)) continue;
        ir_dim dim = ir_at(u, a->extent)->u.ref;
        /* Bound by an axis before this one: the axis is not done and becomes a comparison in bind_round. */
        if (b->known[dim]) continue;
        bind_dim(b, dim, (rt_int_op){.op = RT_INT_SHAPE, .a = a->tensor, .b = a->axis});
        a->done = true;
    }
}

/* The number of a fact is its index in facts and the literal of its test. */
static void require_slot(encoder *e, uint32_t slot, const char *text, rt_place place) {
    uint32_t fact = BASE_PUSH(e->arena, &e->facts, ((rt_fact){text, place}));
    enc_test(e, (rt_int_op){.op = RT_INT_REQUIRE, .a = slot, .literal = fact});
}

/* Inputs `K: dim`: the value, which must be one that an extent can have. */
static void bind_scalars(binding *b) {
    encoder *e = b->e;
    for (uint32_t k = 0; k < e->graph->n_scalars; k++) {
        ir_dim dim = e->graph->scalar_dims[k];
        /* Scalars of the graph are inputs, so the search ends. */
        uint32_t tensor = 0;
        while (tensor < e->n_inputs && e->values[tensor] != e->graph->scalars[k]) tensor++;
        const char *name = e->unit->dim.at[dim].name;
        bool first = !b->known[dim];
        uint32_t value = enc_op(e, (rt_int_op){.op = RT_INT_SCALAR, .a = tensor});
        /* The maximum of a value with itself is a move, for which there is no operator. */
        if (first) bind_dim(b, dim, (rt_int_op){.op = RT_INT_MAX, .a = value, .b = value});
        /* Shapes are below 2^31 by contract; a scalar is tested for it. `same` says something only if a shape has bound the dimension before. */
        uint32_t zero = enc_slot(e, ir_int(e->unit, 0)), top = enc_slot(e, ir_int(e->unit, INT32_MAX));
        uint32_t low = enc_op(e, (rt_int_op){.op = RT_INT_LE, .a = zero, .b = value}), high = enc_op(e, (rt_int_op){.op = RT_INT_LE, .a = value, .b = top});
        uint32_t same = enc_op(e, (rt_int_op){.op = RT_INT_EQ, .a = value, .b = dim - 1});
        uint32_t fits = enc_op(e, (rt_int_op){.op = RT_INT_AND, .a = low, .b = high});
        uint32_t all = enc_op(e, (rt_int_op){.op = RT_INT_AND, .a = fits, .b = same});
        require_slot(e, all, base_printf(e->arena, "input %s is the dimension %s, 0 <= %s < 2^31", name, name, name), e->tensors.at[tensor].place);
    }
}

/* One round over the other extents: what has one unknown is solved, what has none is a test.
 * Ends, since each round that says true has finished an axis at least. Outputs bind nothing: the host does not bring their shapes. */
static bool bind_round(binding *b) {
    bool progress = false;
    for (uint32_t k = 0; k < b->axes.n; k++) {
        axis *a = &b->axes.at[k];
        if (a->done || is_kind(b, a, RT_TENSOR_OUTPUT)) continue;
        unknowns f = unknowns_of(b, a->extent);
        if (f.n > 1 || (f.n == 1 && !solve(b, a, f.one))) continue;
        if (f.n == 0) expect(b, a);
        a->done = progress = true;
    }
    return progress;
}

/* Every dimension that is left, so that the author sees all at once. */
static void report_unbound(binding *b) {
    encoder *e = b->e;
    for (uint32_t dim = 1; dim < e->unit->dim.n; dim++)
        if (!b->known[dim]) {
            base_report(e->diags, BASE_MSG_DIM_UNBOUND, (base_span){0, 0, 0}, e->unit->dim.at[dim].name);
            e->failed = true;
        }
}

static void bind_dims(binding *b) {
    encoder *e = b->e;
    /* Dimensions take the first slots, dim - 1 each, before anything else asks for one: rt_entry.n_dims counts on that. */
    e->n_slots = e->unit->dim.n ? e->unit->dim.n - 1 : 0;
    for (uint32_t dim = 1; dim < e->unit->dim.n; dim++) enc_define(e, ir_dim_expr(e->unit, dim), dim - 1);
    bind_alone(b, RT_TENSOR_PARAM);
    bind_alone(b, RT_TENSOR_INPUT);
    bind_scalars(b);
    while (bind_round(b)) {}
    report_unbound(b);
}

/* ---- facts */

/* As the program says it, if it does. */
static const char *fact_text(const encoder *e, ir_expr fact, base_span span) {
    if (span.file == 0 || span.file >= e->diags->files.n || span.end <= span.start) return enc_text(e, fact);
    const base_file *f = &e->diags->files.at[span.file];
    return span.end <= f->n ? base_strndup(e->arena, f->text + span.start, span.end - span.start) : enc_text(e, fact);
}

/* A fact that folded to true needs no test. */
static void require(encoder *e, ir_expr fact, const char *text, base_span span) {
    if (ir_is_bool(e->unit, fact, true)) return;
    require_slot(e, enc_slot(e, fact), text, enc_place(e, span));
}

/* `D in {64, 128}` becomes D == 64 or D == 128; integer programs have no sets. */
static void require_choice(encoder *e, const ir_choice *c) {
    uint32_t any = enc_op(e, (rt_int_op){.op = RT_INT_LITERAL, .literal = 0});
    base_text text;
    base_text_init(&text, e->arena);
    base_text_add(&text, "%s in {", e->unit->dim.at[c->dim].name);
    for (uint32_t k = 0; k < c->n; k++) {
        uint32_t value = enc_op(e, (rt_int_op){.op = RT_INT_LITERAL, .literal = c->values[k]});
        uint32_t same = enc_op(e, (rt_int_op){.op = RT_INT_EQ, .a = c->dim - 1, .b = value});
        any = enc_op(e, (rt_int_op){.op = RT_INT_OR, .a = any, .b = same});
        base_text_add(&text, k ? ", %lld" : "%lld", (long long)c->values[k]);
    }
    base_text_add(&text, "}");
    require_slot(e, any, text.at, (rt_place){0});
}

static void require_all(encoder *e) {
    const ir_graph *g = e->graph;
    for (uint32_t k = 0; k < g->n_facts; k++) require(e, g->facts[k].fact, fact_text(e, g->facts[k].fact, g->facts[k].span), g->facts[k].span);
    for (uint32_t k = 0; k < g->n_choices; k++) require_choice(e, &g->choices[k]);
}

/* ---- */

/* Extents of outputs must be ones that a tensor can have: an output S - 5 with S = 3 is refused before anything is computed. */
static void require_extent(encoder *e, const axis *a, uint32_t slot) {
    if (ir_at_least(e->unit, a->extent, 0)) return;
    uint32_t zero = enc_slot(e, ir_int(e->unit, 0));
    uint32_t fine = enc_op(e, (rt_int_op){.op = RT_INT_LE, .a = zero, .b = slot});
    require_slot(e, fine, base_printf(e->arena, "%s >= 0", enc_text(e, a->extent)), (rt_place){0});
}

/* Every extent, also of inputs, gets a slot: shapes are asked for without tensors too (drv_shape). */
static void slots_of_shapes(encoder *e, binding *b) {
    for (uint32_t k = 0, at = 0; k < e->tensors.n; k++) {
        uint32_t *dims = BASE_ARRAY(e->arena, e->tensors.at[k].rank, uint32_t);
        for (uint32_t i = 0; i < e->tensors.at[k].rank; i++, at++) {
            dims[i] = enc_slot(e, b->axes.at[at].extent);
            if (e->tensors.at[k].kind == RT_TENSOR_OUTPUT) require_extent(e, &b->axes.at[at], dims[i]);
        }
        e->tensors.at[k].dims = dims;
    }
}

void enc_signature(encoder *e) {
    binding b = {.e = e, .known = BASE_ARRAY(e->arena, e->unit->dim.n + 1, bool)};
    add_tensors(e, &b);
    bind_dims(&b);
    /* With a dimension unbound, facts and extents would read slots that nothing fills. */
    if (e->failed) return;
    require_all(e);
    slots_of_shapes(e, &b);
}

/* The tensors again, for scalars that expressions read; dimensions stand where the signature's program leaves them. One that is fixed is a
 * literal wherever it was used. */
void enc_dims(encoder *e, const rt_graph *signature) {
    binding b = {.e = e};
    add_tensors(e, &b);
    e->n_slots = signature->n_slots;
    for (uint32_t dim = 1; dim < e->unit->dim.n; dim++)
        if (!e->unit->dim.at[dim].fixed) enc_define(e, ir_dim_expr(e->unit, dim), dim - 1);
}

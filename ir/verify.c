/* What must hold of every graph, whoever made it: each rule has a message of its own in messages.def and a text that breaks it in
 * tests/golden/verify. The manager asks after every pass, the reader before it hands a graph out.
 *
 * One walk over the nodes in order, with the values that can be read at that place, the variables that may be free, and who owns a
 * variable. Expressions are walked with a stack of our own, each once per node. */
#include <string.h>
#include "core.h"

enum { UNSEEN, VISIBLE, GONE };          /* of values: not defined yet, can be read, defined in a loop that has ended */
enum { MAX_NESTING = 64 };

typedef struct {
    const ir_graph *g;
    ir_unit *u;
    const char *after;
    base_span span;                      /* of the node that is looked at */
    uint8_t *value;                      /* by value: the state above */
    bool *owned;                         /* by variable: a node has it */
    BASE_VEC(ir_var) free;               /* variables that may be free here, binders aside */
    BASE_VEC(ir_value) defined;          /* in order, so that the end of a block can take its own back */
    uint32_t *epoch, now, n_exprs;       /* by expression: seen in the walk `now`; of those there were when the walk began */
    BASE_VEC(ir_expr) stack;
    uint32_t depth;
    bool bad;
} verifier;

/* The walk goes no further than the first broken rule: what comes after it may hang on what is broken. */
static void broken(verifier *v, base_message rule, const char *what) {
    base_report(v->u->diags, rule, v->span, v->after, what);
    v->bad = true;
}

/* Answers with `truth`, so that tests chain; `what` names the culprit in the message. */
static bool holds(verifier *v, bool truth, base_message rule, const char *what) {
    if (!truth) broken(v, rule, what);
    return truth;
}

/* Ids from a graph may be anything: these two are asked before an id indexes an array. Expressions that the verifier
 * itself builds are beyond n_exprs and never part of the graph. */
static bool is_value(const verifier *v, ir_value value) { return value && value < v->u->value.n; }
static bool is_expr(const verifier *v, ir_expr e) { return e && e < v->n_exprs; }
static const ir_type *type_of(const verifier *v, ir_value value) { return &v->u->value.at[value].type; }

/* ---------------------------------------------------------------- expressions */

/* A read names a value that exists, was computed before, has this rank and sort. */
static bool read_holds(verifier *v, const ir_expr_info *x, const ir_expr *operands) {
    if (!holds(v, is_value(v, x->u.ref), BASE_MSG_RULE_ORDER, "a read of no value")) return false;
    const char *name = v->u->value.at[x->u.ref].name;
    if (!holds(v, v->value[x->u.ref] == VISIBLE, BASE_MSG_RULE_ORDER, name)) return false;
    const ir_type *type = type_of(v, x->u.ref);
    bool fits = type->rank == x->operands.n && x->sort == ir_dtypes[type->dtype].sort;
    for (uint32_t k = 0; k < x->operands.n; k++) fits &= ir_at(v->u, operands[k])->sort == IR_SORT_INT;
    return holds(v, fits, BASE_MSG_RULE_SORT, name);
}

/* Operands: bound variables, guard, body. Extents are no operands, so they are put on the stack of the walk here. */
static bool reduction_holds(verifier *v, const ir_expr_info *x, const ir_expr *operands) {
    if (!holds(v, x->u.ref < IR_N_REDS && x->operands.n >= 3, BASE_MSG_RULE_SORT, "a reduction over nothing")) return false;
    uint32_t n = x->operands.n - 2;
    for (uint32_t k = 0; k < n; k++) {
        const ir_expr_info *bound = ir_at(v->u, operands[k]);
        bool binder = bound->op == IR_VAR && ir_is_binder(v->u, bound->u.ref);
        /* A variable of a node in this place would be free and bound at once: substitution could capture it. */
        if (!holds(v, binder, BASE_MSG_RULE_SCOPE, "a reduction binds what is no canonical binder")) return false;
        BASE_PUSH(v->u->arena, &v->stack, v->u->var.at[bound->u.ref].extent);
    }
    ir_sort body = (ir_sort)ir_at(v->u, operands[n + 1])->sort;
    bool fits = ir_at(v->u, operands[n])->sort == IR_SORT_BOOL && x->sort == body;
    fits &= ir_red_takes((ir_red)x->u.ref, body);
    return holds(v, fits, BASE_MSG_RULE_SORT, ir_reds[x->u.ref].text);
}

/* One expression, its operands taken as sound. Ids are looked at before what they lead to: a wrong graph must not make the verifier read wild. */
static bool node_holds(verifier *v, ir_expr e) {
    const ir_expr_info *x = ir_at(v->u, e);
    const ir_expr *operands = v->u->pool.at + x->operands.first;
    for (uint32_t k = 0; k < x->operands.n; k++)
        if (!holds(v, is_expr(v, operands[k]), BASE_MSG_RULE_POISON, ir_ops[x->op].text)) return false;
    switch (x->op) {
    case IR_NONE: return holds(v, false, BASE_MSG_RULE_POISON, "the poison");
    case IR_INT: return holds(v, x->sort == IR_SORT_INT, BASE_MSG_RULE_SORT, "int");
    case IR_REAL: return holds(v, x->sort == IR_SORT_REAL, BASE_MSG_RULE_SORT, "real");
    case IR_BOOL: return holds(v, x->sort == IR_SORT_BOOL, BASE_MSG_RULE_SORT, "bool");
    case IR_DIM: return holds(v, x->u.ref && x->u.ref < v->u->dim.n, BASE_MSG_RULE_SCOPE, "no dimension");
    case IR_VAR: return holds(v, x->u.ref && x->u.ref < v->u->var.n, BASE_MSG_RULE_SCOPE, "no variable");
    /* Lines of a kernel: a graph has none. */
    case IR_LET: return holds(v, false, BASE_MSG_RULE_LET, "$k");
    case IR_READ: return read_holds(v, x, operands);
    case IR_RED: return reduction_holds(v, x, operands);
    default: return holds(v, ir_result_sort(v->u, (ir_op)x->op, x->operands.n, operands) == (ir_sort)x->sort, BASE_MSG_RULE_SORT, ir_ops[x->op].text);
    }
}

/* Every expression below e, each once per walk. A binder's own variable is met as an operand of its reduction. */
static bool walk_holds(verifier *v, ir_expr e) {
    v->stack.n = 0;
    BASE_PUSH(v->u->arena, &v->stack, e);
    while (v->stack.n) {
        ir_expr at = v->stack.at[--v->stack.n];
        if (!holds(v, is_expr(v, at), BASE_MSG_RULE_POISON, "an operand")) return false;
        /* Seen since the node began. What may be read only grows until the node is done, so what held still holds. */
        if (v->epoch[at] == v->now) continue;
        v->epoch[at] = v->now;
        if (!node_holds(v, at)) return false;
        for (uint32_t k = 0; k < ir_n_operands(v->u, at); k++) BASE_PUSH(v->u->arena, &v->stack, ir_operand(v->u, at, k));
    }
    return true;
}

/* The innermost variables are asked for most. */
static bool may_be_free(const verifier *v, ir_var var) {
    for (uint32_t k = v->free.n; k-- > 0;)
        if (v->free.at[k] == var) return true;
    return false;
}

/* A root: everything below it, that only variables of nodes around it are free, and its sort. */
static bool expr_holds(verifier *v, ir_expr e, ir_sort sort, const char *what) {
    if (!holds(v, is_expr(v, e) && ir_at(v->u, e)->op != IR_NONE, BASE_MSG_RULE_POISON, what)) return false;
    if (!walk_holds(v, e)) return false;
    /* Asked of each root and not in the walk: the walk skips what it has seen, but a root may stand where fewer
     * variables are free. */
    ir_set free = ir_free(v->u, e);
    for (uint32_t k = 0; k < ir_set_size(v->u, free); k++) {
        ir_var var = ir_set_at(v->u, free, k);
        if (!holds(v, may_be_free(v, var), BASE_MSG_RULE_SCOPE, v->u->var.at[var].name)) return false;
    }
    return holds(v, ir_at(v->u, e)->sort == sort, BASE_MSG_RULE_SORT, what);
}

/* ---------------------------------------------------------------- types, values, variables */

/* Shapes never depend on data: extents are expressions over dimensions alone. */
static bool type_holds(verifier *v, const ir_type *type, const char *name) {
    if (!holds(v, type->rank <= IR_RANK && type->dtype < IR_N_DTYPES, BASE_MSG_RULE_TYPE, name)) return false;
    for (uint32_t k = 0; k < type->rank; k++) {
        if (!expr_holds(v, type->dim[k], IR_SORT_INT, name)) return false;
        bool constant = !ir_free(v->u, type->dim[k]) && !ir_has_op(v->u, type->dim[k], IR_READ) && !ir_has_op(v->u, type->dim[k], IR_RED);
        if (!holds(v, constant, BASE_MSG_RULE_TYPE, name)) return false;
    }
    return true;
}

/* Extents are compared as ids: canonical expressions are equal if their ids are. */
static bool same_type(const ir_type *a, const ir_type *b) {
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (uint32_t k = 0; k < a->rank; k++)
        if (a->dim[k] != b->dim[k]) return false;
    return true;
}

/* A value has one definition in the whole graph, also across loops. */
static bool define(verifier *v, ir_value value) {
    if (!holds(v, is_value(v, value), BASE_MSG_RULE_ORDER, "no value")) return false;
    const char *name = v->u->value.at[value].name;
    if (!holds(v, v->value[value] == UNSEEN, BASE_MSG_RULE_ORDER, base_printf(v->u->arena, "%s is defined twice", name))) return false;
    if (!type_holds(v, type_of(v, value), name)) return false;
    v->value[value] = VISIBLE;
    BASE_PUSH(v->u->arena, &v->defined, value);
    return true;
}

/* For values that a node names outside of expressions: carries, yields, outputs, what a check is about. */
static bool visible(verifier *v, ir_value value) {
    if (!holds(v, is_value(v, value), BASE_MSG_RULE_ORDER, "no value")) return false;
    return holds(v, v->value[value] == VISIBLE, BASE_MSG_RULE_ORDER, v->u->value.at[value].name);
}

/* A node's variable: no other node has it, no reduction binds it, its extent may use what was named before.
 * `owned` is never taken back, `free` is, by whoever handles the node: a variable belongs to one node of the whole
 * graph, but is free only inside it. */
static bool own(verifier *v, ir_var var) {
    if (!holds(v, var && var < v->u->var.n, BASE_MSG_RULE_SCOPE, "no variable")) return false;
    const char *name = v->u->var.at[var].name;
    if (!holds(v, !v->owned[var] && !ir_is_binder(v->u, var), BASE_MSG_RULE_OWNER, name)) return false;
    if (!expr_holds(v, v->u->var.at[var].extent, IR_SORT_INT, name)) return false;
    v->owned[var] = true;
    BASE_PUSH(v->u->arena, &v->free, var);
    return true;
}

/* ---------------------------------------------------------------- maps */

/* Extents of a result are those of its variables, up to what facts prove. */
static bool same_extent(verifier *v, ir_expr a, ir_expr b) { return a == b || ir_provably(v->u, ir_op2(v->u, IR_EQ, a, b)); }

/* Without places a store is one axis per variable, each element once, into zeros: nothing else could be meant. */
static bool places_hold(verifier *v, const ir_node *node, const ir_store *s, const ir_type *type, const char *name) {
    bool shaped = s->n_places ? s->n_places == type->rank : node->map.n_outer == type->rank && s->mode == IR_STORE_ONE && !s->into;
    for (uint32_t k = 0; shaped && !s->n_places && k < type->rank; k++)
        shaped = same_extent(v, type->dim[k], v->u->var.at[node->map.outer[k]].extent);
    if (!holds(v, shaped && s->mode <= IR_STORE_ADD, BASE_MSG_RULE_STORE, name)) return false;
    for (uint32_t k = 0; k < s->n_places; k++)
        if (!expr_holds(v, s->places[k], IR_SORT_INT, name)) return false;
    /* Truth values have no sum. */
    bool adds = s->mode != IR_STORE_ADD || ir_dtypes[type->dtype].sort != IR_SORT_BOOL;
    return holds(v, adds, BASE_MSG_RULE_STORE, name);
}

/* What a store starts from must have the type of what it makes, since it is copied as it is. */
static bool result_holds(verifier *v, const ir_node *node, const ir_result *result) {
    const ir_store *s = &result->store;
    if (!holds(v, is_value(v, s->result), BASE_MSG_RULE_ORDER, "no value")) return false;
    const ir_type *type = type_of(v, s->result);
    const char *name = v->u->value.at[s->result].name;
    if (!type_holds(v, type, name) || !expr_holds(v, result->body, (ir_sort)ir_dtypes[type->dtype].sort, name)) return false;
    if (!places_hold(v, node, s, type, name)) return false;
    return !s->into || (visible(v, s->into) && holds(v, same_type(type_of(v, s->into), type), BASE_MSG_RULE_STORE, name));
}

/* Results are defined when all have been looked at: no result reads another of its map. */
static void verify_map(verifier *v, const ir_node *node) {
    uint32_t outside = v->free.n;
    bool good = holds(v, node->map.n_results > 0 && node->map.n_outer <= IR_AXES, BASE_MSG_RULE_STORE, "a map without results");
    for (uint32_t k = 0; good && k < node->map.n_outer; k++) good = own(v, node->map.outer[k]);
    for (uint32_t k = 0; good && k < node->map.n_results; k++) good = result_holds(v, node, &node->map.results[k]);
    for (uint32_t k = 0; good && k < node->map.n_results; k++) good = define(v, node->map.results[k].store.result);
    v->free.n = outside;
}

/* ---------------------------------------------------------------- sources, loops, checks, uses */

/* Sources stand outside of loops: the host gives each tensor once. */
static void verify_source(verifier *v, const ir_node *node) {
    if (!holds(v, v->depth == 0, BASE_MSG_RULE_ORDER, "a source inside a loop") || !define(v, node->source.value)) return;
    const ir_type *type = type_of(v, node->source.value);
    const char *name = v->u->value.at[node->source.value].name;
    /* The elements of a const are given, so its extents must be literals. */
    for (uint32_t k = 0; node->form == IR_FORM_CONST && k < type->rank; k++)
        holds(v, ir_is_int(v->u, type->dim[k], NULL), BASE_MSG_RULE_TYPE, name);
    if (node->form == IR_FORM_CONST) holds(v, node->source.data != NULL, BASE_MSG_RULE_TYPE, name);
    /* The first axis has none before it to be joined with. */
    if (node->source.packed && type->rank) holds(v, !node->source.packed[0], BASE_MSG_RULE_TYPE, name);
}

static void verify_block(verifier *v, ir_block block, const ir_node *loop);

/* First value, value inside, next value and result have one type. What is next is defined in the body, so it is looked at there. */
static bool carry_holds(verifier *v, const ir_carry *c) {
    if (!holds(v, is_value(v, c->inside) && is_value(v, c->result) && is_value(v, c->next), BASE_MSG_RULE_LOOP, "a carry without values")) return false;
    const ir_type *type = type_of(v, c->inside);
    bool same = same_type(type, type_of(v, c->next)) && same_type(type, type_of(v, c->result));
    if (c->init) same = same && visible(v, c->init) && same_type(type, type_of(v, c->init));
    return holds(v, same, BASE_MSG_RULE_LOOP, v->u->value.at[c->inside].name) && define(v, c->inside);
}

/* Asked before the body is walked: what follows relies on the last node being the yield with these values. */
static bool yields_hold(verifier *v, const ir_node *loop) {
    const ir_node *last = loop->loop.body.n ? loop->loop.body.at[loop->loop.body.n - 1] : NULL;
    bool good = last && last->form == IR_FORM_YIELD && last->use.n_values == loop->loop.n_carries;
    for (uint32_t k = 0; good && k < last->use.n_values; k++) good = last->use.values[k] == loop->loop.carries[k].next;
    return holds(v, good, BASE_MSG_RULE_LOOP, "the body does not end with the next values");
}

/* The bounds are looked at before the counter is free: they do not see it. */
static bool loop_head_holds(verifier *v, const ir_node *node) {
    if (!holds(v, v->depth < MAX_NESTING, BASE_MSG_RULE_LOOP, "loops nested too deeply")) return false;
    if (!expr_holds(v, node->loop.lo, IR_SORT_INT, "lower bound") || !expr_holds(v, node->loop.hi, IR_SORT_INT, "upper bound")) return false;
    if (!own(v, node->loop.counter)) return false;
    bool extent = v->u->var.at[node->loop.counter].extent == node->loop.hi;
    return holds(v, extent, BASE_MSG_RULE_LOOP, "the counter does not run to the upper bound");
}

/* Behind the loop its results are visible and nothing of its body is. */
static void verify_loop(verifier *v, const ir_node *node) {
    uint32_t outside = v->free.n, before = v->defined.n;
    bool good = yields_hold(v, node) && loop_head_holds(v, node);
    for (uint32_t k = 0; good && k < node->loop.n_carries; k++) good = carry_holds(v, &node->loop.carries[k]);
    if (good && expr_holds(v, node->loop.cond, IR_SORT_BOOL, "condition")) {
        v->depth++;
        verify_block(v, node->loop.body, node);
        v->depth--;
    }
    /* The values inside the carries were defined since `before` too, so they go with the body. */
    for (uint32_t k = before; k < v->defined.n; k++) v->value[v->defined.at[k]] = GONE;
    v->defined.n = before;
    v->free.n = outside;
    for (uint32_t k = 0; !v->bad && k < node->loop.n_carries; k++) define(v, node->loop.carries[k].result);
}

/* Checks answer with one integer: a position, or what was found there. */
static bool is_answer(const verifier *v, const ir_node *node) {
    if (!node || node->form != IR_FORM_MAP || node->map.n_outer || node->map.n_results != 1 || !is_value(v, node->map.results[0].store.result)) return false;
    const ir_type *type = type_of(v, node->map.results[0].store.result);
    return !type->rank && type->dtype == IR_TYPE_I64;
}

/* The position's variables are only a description for messages: they are owned, but the maps do not see them. */
static void verify_check(verifier *v, const ir_node *node) {
    const ir_check *c = &node->check;
    bool good = holds(v, c->what && is_answer(v, c->position) && is_answer(v, c->found), BASE_MSG_RULE_CHECK, "two maps to one i64 each");
    if (good && c->tensor) good = visible(v, c->tensor) && holds(v, c->axis < type_of(v, c->tensor)->rank, BASE_MSG_RULE_CHECK, "axis");
    if (good && c->tensor) good = expr_holds(v, c->limit, IR_SORT_INT, "limit");
    uint32_t outside = v->free.n;
    for (uint32_t k = 0; good && k < c->n_over; k++) good = own(v, c->over[k]);
    v->free.n = outside;
    if (good) verify_map(v, c->position);
    if (good && !v->bad) verify_map(v, c->found);
}

/* The output is looked up by identity, so one inside a loop is refused as well. Names are compared pairwise: the host
 * asks for outputs by name. */
static void verify_output(verifier *v, const ir_node *node) {
    const ir_graph *g = v->g;
    bool good = node == g->body.at[g->body.n - 1] && node->use.n_values == g->n_outputs;
    if (!holds(v, good, BASE_MSG_RULE_OUTPUT, "the output is not the last node, or not what the graph declares")) return;
    for (uint32_t k = 0; k < g->n_outputs; k++) {
        const ir_output_info *info = &g->outputs[k];
        if (!visible(v, node->use.values[k]) || !holds(v, info->value == node->use.values[k], BASE_MSG_RULE_OUTPUT, info->name)) return;
        /* The element type that is handed out may be wider or narrower, but not of another sort. */
        bool sort = info->dtype < IR_N_DTYPES && ir_dtypes[info->dtype].sort == ir_dtypes[type_of(v, info->value)->dtype].sort;
        holds(v, sort, BASE_MSG_RULE_OUTPUT, info->name);
        for (uint32_t j = 0; j < k; j++) holds(v, strcmp(info->name, g->outputs[j].name) != 0, BASE_MSG_RULE_OUTPUT, info->name);
    }
}

/* Only as the last node of a loop's body. */
static void verify_yield(verifier *v, const ir_node *node, const ir_node *loop) {
    bool last = loop && loop->loop.body.at[loop->loop.body.n - 1] == node;
    if (!holds(v, last, BASE_MSG_RULE_LOOP, "a yield that does not end a loop")) return;
    for (uint32_t k = 0; k < node->use.n_values; k++) visible(v, node->use.values[k]);
}

/* A new number for `now` forgets what was seen: what may be read or be free has changed since the last node. */
static void verify_node(verifier *v, const ir_node *node, const ir_node *loop) {
    v->span = node->span;
    v->now++;
    switch (node->form) {
    case IR_FORM_INPUT: case IR_FORM_PARAM: case IR_FORM_CONST: verify_source(v, node); break;
    case IR_FORM_MAP: verify_map(v, node); break;
    case IR_FORM_LOOP: verify_loop(v, node); break;
    case IR_FORM_CHECK: verify_check(v, node); break;
    case IR_FORM_YIELD: verify_yield(v, node, loop); break;
    case IR_FORM_OUTPUT: verify_output(v, node); break;
    default: broken(v, BASE_MSG_RULE_ORDER, "a node of no form"); break;
    }
}

/* `loop` is the node whose body this is, or NULL for the graph itself. A missing node and a misplaced source break the
 * same rule. */
static void verify_block(verifier *v, ir_block block, const ir_node *loop) {
    bool computed = false;
    for (uint32_t k = 0; k < block.n && !v->bad; k++) {
        const ir_node *node = block.at[k];
        bool source = node && node->form <= IR_FORM_CONST;
        if (node) v->span = node->span;
        if (!holds(v, node && !(computed && source), BASE_MSG_RULE_ORDER, "a source behind a node that computes")) return;
        computed |= !source;
        verify_node(v, node, loop);
    }
}

/* ---------------------------------------------------------------- the graph */

/* What can be said without walking the nodes. Facts are about dimensions alone: nothing is free or visible yet. */
static void verify_head(verifier *v) {
    const ir_graph *g = v->g;
    bool output = g->body.n && g->body.at[g->body.n - 1] && g->body.at[g->body.n - 1]->form == IR_FORM_OUTPUT;
    if (!holds(v, output, BASE_MSG_RULE_OUTPUT, "a graph ends with its output")) return;
    for (uint32_t k = 0; k < g->n_facts; k++) expr_holds(v, g->facts[k].fact, IR_SORT_BOOL, "fact");
    for (uint32_t k = 0; k < g->n_choices; k++)
        holds(v, g->choices[k].dim && g->choices[k].dim < v->u->dim.n, BASE_MSG_RULE_SCOPE, "no dimension");
}

/* Inputs that are dimensions: a rank-0 integer and its symbol. */
static void verify_scalars(verifier *v) {
    const ir_graph *g = v->g;
    for (uint32_t k = 0; k < g->n_scalars && !v->bad; k++) {
        /* The nodes have been verified, so the producer of a value that exists is the node that defines it. */
        const ir_node *source = is_value(v, g->scalars[k]) ? ir_graph_producer(g, g->scalars[k]) : NULL;
        const ir_type *type = source ? type_of(v, g->scalars[k]) : NULL;
        if (source) v->span = source->span;
        bool good = source && source->form == IR_FORM_INPUT && !type->rank && ir_dtypes[type->dtype].sort == IR_SORT_INT;
        good = good && g->scalar_dims[k] && g->scalar_dims[k] < v->u->dim.n;
        holds(v, good, BASE_MSG_RULE_TYPE, "a scalar dimension is an input of rank 0");
    }
}

/* `after` names the pass that made the graph, for the message. The tables stay in the arena of the unit. */
bool ir_graph_verify(const ir_graph *g, const char *after) {
    ir_unit *u = g->unit;
    /* Epoch 0 is what the table starts with, so the first walk has number 1. */
    verifier v = {.g = g, .u = u, .after = after, .now = 1, .n_exprs = u->expr.n};
    v.value = BASE_ARRAY(u->arena, u->value.n, uint8_t);
    v.owned = BASE_ARRAY(u->arena, u->var.n, bool);
    v.epoch = BASE_ARRAY(u->arena, u->expr.n, uint32_t);
    verify_head(&v);
    if (!v.bad) verify_block(&v, g->body, NULL);
    if (!v.bad) verify_scalars(&v);
    return !v.bad;
}

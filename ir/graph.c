/* Graphs: nodes in order. Nodes never change once they are in a graph that has been handed on, so graphs share them; a pass copies
 * the nodes it changes and collects them in a builder. */
#include "core.h"

struct ir_builder {
    base_arena *arena;           /* the unit's */
    BASE_VEC(ir_node *) nodes;   /* in the order in which they run */
};

ir_builder *ir_builder_create(ir_unit *u) {
    ir_builder *b = BASE_NEW(u->arena, ir_builder);
    b->arena = u->arena;
    return b;
}

void ir_builder_add(ir_builder *b, ir_node *node) { BASE_PUSH(b->arena, &b->nodes, node); }
/* The array of the builder itself; nodes that are added later are not in the block. */
ir_block ir_builder_block(ir_builder *b) { return (ir_block){b->nodes.at, b->nodes.n}; }

/* Zeroed by the arena, so members that a form does not use are empty. */
static ir_node *node_of(ir_unit *u, ir_form form, base_span span) {
    ir_node *node = BASE_NEW(u->arena, ir_node);
    node->form = (uint8_t)form;
    node->span = span;
    return node;
}

/* Name in the weights, data and packing are the maker's to fill in, for the forms that have them. */
ir_node *ir_node_source(ir_unit *u, ir_form form, base_span span, ir_value value) {
    ir_node *node = node_of(u, form, span);
    node->source.value = value;
    return node;
}

/* The usual map: one result, one axis per variable. Joined maps and stores with places are filled in by their makers. */
ir_node *ir_node_map(ir_unit *u, base_span span, uint32_t n_outer, const ir_var *outer, ir_value result, ir_expr body) {
    ir_node *node = node_of(u, IR_FORM_MAP, span);
    node->map.n_outer = (uint8_t)n_outer;
    node->map.outer = base_copy(u->arena, outer, n_outer * sizeof *outer);
    node->map.n_results = 1;
    node->map.results = BASE_NEW(u->arena, ir_result);
    *node->map.results = (ir_result){body, {.mode = IR_STORE_ONE, .result = result}};
    return node;
}

/* For yield and output, whose values are a list in the order of the carries or of the outputs. The list is copied. */
ir_node *ir_node_use(ir_unit *u, ir_form form, base_span span, uint32_t n, const ir_value *values) {
    ir_node *node = node_of(u, form, span);
    node->use.n_values = n;
    node->use.values = base_copy(u->arena, values, n * sizeof *values);
    return node;
}

/* Nodes in a graph are immutable: a pass changes the copy, replacing lists rather than writing into them. */
ir_node *ir_node_copy(ir_unit *u, const ir_node *node) { return base_copy(u->arena, node, sizeof *node); }

/* What a pass returns: signature, facts and outputs stay; the old graph stays valid too. */
ir_graph *ir_graph_with(const ir_graph *g, ir_block body) {
    ir_graph *copy = base_copy(g->unit->arena, g, sizeof *g);
    copy->body = body;
    return copy;
}

/* Into loops, so a visitor sees every node once, in the order in which it runs; depth says how many loops are around. */
static void each(const ir_block *block, ir_node_visit *visit, void *env, uint32_t depth) {
    for (uint32_t k = 0; k < block->n; k++) {
        visit(env, block->at[k], depth);
        if (block->at[k]->form == IR_FORM_LOOP) each(&block->at[k]->loop.body, visit, env, depth + 1);
    }
}

void ir_graph_each(const ir_graph *g, ir_node_visit *visit, void *env) { each(&g->body, visit, env, 0); }

/* A loop makes what its carries are called inside and what comes out; nodes of its body are visited themselves. */
static bool makes(const ir_node *node, ir_value value) {
    switch ((ir_form)node->form) {
    case IR_FORM_INPUT: case IR_FORM_PARAM: case IR_FORM_CONST: return node->source.value == value;
    case IR_FORM_MAP:
        for (uint32_t k = 0; k < node->map.n_results; k++)
            if (node->map.results[k].store.result == value) return true;
        return false;
    case IR_FORM_LOOP:
        for (uint32_t k = 0; k < node->loop.n_carries; k++)
            if (node->loop.carries[k].inside == value || node->loop.carries[k].result == value) return true;
        return false;
    /* checks, yields and outputs only read */
    default: return false;
    }
}

/* A visit cannot be stopped, so the first find is kept: the node that defines the value. */
typedef struct { ir_value value; const ir_node *found; } search;

static void look(void *env, const ir_node *node, uint32_t depth) {
    (void)depth;
    search *s = env;
    if (!s->found && makes(node, s->value)) s->found = node;
}

/* NULL: nobody makes it. Linear in the size of the graph. */
const ir_node *ir_graph_producer(const ir_graph *g, ir_value value) {
    search s = {value, NULL};
    if (value) ir_graph_each(g, look, &s);
    return s.found;
}

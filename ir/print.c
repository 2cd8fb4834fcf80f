/* Graphs as text: what read.c reads back. A map reads as a statement of the language with its ranges written out. Names of values are
 * unique in a unit; variables are named where they come into scope. See ir/README.md for the grammar. */
#include <stdlib.h>
#include <string.h>
#include "text.h"

/* The state of writing: expr.out is where text goes, which is redirected for a while where something must be known
 * before it is printed. indent counts levels of two blanks. */
typedef struct { ir_printer expr; const ir_graph *graph; uint32_t indent; } writer;   /* graph: NULL when a node is printed alone */

static base_text *out_of(const writer *w) { return w->expr.out; }
static const char *value_name(const writer *w, ir_value v) { return w->expr.unit->value.at[v].name; }
static const ir_type *type_of(const writer *w, ir_value v) { return &w->expr.unit->value.at[v].type; }

static void start_line(const writer *w) { base_text_add(out_of(w), "%*s", (int)(2 * w->indent), ""); }

/* The reader takes one-line strings only, and a backslash before any letter but n is that letter itself. */
static void put_string(base_text *out, const char *text) {
    base_text_put(out, "\"", 1);
    for (; *text; text++) {
        if (*text == '\n') base_text_put(out, "\\n", 2);
        else base_text_add(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
    base_text_put(out, "\"", 1);
}

/* Axes that the host sees as one stand in parentheses: packed[k] joins axis k to the one before it. */
static void put_type(writer *w, uint8_t dtype, const ir_type *type, const uint8_t *packed) {
    base_text_add(out_of(w), "%s[", ir_dtypes[dtype].text);
    bool open = false;
    for (uint32_t k = 0; k < type->rank; k++) {
        /* joined: belongs to the axis before it; joins: the axis behind belongs to it. A group opens with the first and
         * closes with the last. */
        bool joined = packed && packed[k], joins = packed && k + 1 < type->rank && packed[k + 1];
        base_text_add(out_of(w), "%s%s", k ? "," : "", joins && !joined ? "(" : "");
        open = joins || joined;
        ir_put_full(&w->expr, type->dim[k], IR_LEVEL_OR);
        if (open && !joins) base_text_put(out_of(w), ")", 1);
    }
    base_text_put(out_of(w), "]", 1);
}

/* ---------------------------------------------------------------- sources */

/* Reals are printed so that reading gives the same bits at the width of the type: f32 by its own shortest text, not that
 * of the double. */
static void put_element(const writer *w, uint8_t dtype, const void *data, int64_t k) {
    switch (dtype) {
    case IR_TYPE_F32: base_text_add(out_of(w), "%s", base_float_text(out_of(w)->arena, ((const float *)data)[k])); break;
    case IR_TYPE_F64: base_text_add(out_of(w), "%s", base_real_text(w->expr.arena, ((const double *)data)[k])); break;
    case IR_TYPE_I32: base_text_add(out_of(w), "%d", ((const int32_t *)data)[k]); break;
    case IR_TYPE_I64: base_text_add(out_of(w), "%lld", (long long)((const int64_t *)data)[k]); break;
    default: base_text_add(out_of(w), ((const uint8_t *)data)[k] ? "true" : "false"); break;
    }
}

/* Elements stand in one flat list in row-major order; the type says where rows end. */
static void put_elements(const writer *w, const ir_node *node) {
    const ir_type *type = type_of(w, node->source.value);
    int64_t n = 1, extent;
    for (uint32_t k = 0; k < type->rank; k++)
        if (!ir_is_int(w->expr.unit, type->dim[k], &extent) || !base_mul(n, extent, &n)) n = 0;     /* the verifier's to say */
    base_text_put(out_of(w), " {", 2);
    for (int64_t k = 0; k < n && node->source.data; k++) {
        if (k) base_text_put(out_of(w), ", ", 2);
        put_element(w, type->dtype, node->source.data, k);
    }
    base_text_put(out_of(w), "}", 1);
}

/* The dimension that an input of rank 0 binds, or NULL. A node printed alone has no graph that could say so. */
static const char *scalar_dim(const writer *w, ir_value v) {
    for (uint32_t k = 0; w->graph && k < w->graph->n_scalars; k++)
        if (w->graph->scalars[k] == v) return w->expr.unit->dim.at[w->graph->scalar_dims[k]].name;
    return NULL;
}

/* What a form needs beyond name and type: the dimension of a scalar input, the name of a param in the weights, the
 * elements of a const. */
static void put_source(writer *w, const ir_node *node) {
    ir_value v = node->source.value;
    start_line(w);
    base_text_add(out_of(w), "%s: ", value_name(w, v));
    put_type(w, type_of(w, v)->dtype, type_of(w, v), node->source.packed);
    base_text_add(out_of(w), " = %s", ir_form_names[node->form]);
    if (node->form == IR_FORM_INPUT && scalar_dim(w, v)) base_text_add(out_of(w), " dim %s", scalar_dim(w, v));
    if (node->form == IR_FORM_PARAM && node->source.storage) {
        base_text_put(out_of(w), " ", 1);
        put_string(out_of(w), node->source.storage);
    }
    if (node->form == IR_FORM_CONST) put_elements(w, node);
    base_text_put(out_of(w), "\n", 1);
}

/* ---------------------------------------------------------------- maps */

/* Then the type need not be printed, and a map reads as in the language. */
static bool is_plain(const writer *w, const ir_node *node, const ir_store *store) {    /* the type follows from the outer variables */
    const ir_type *type = type_of(w, store->result);
    if (store->n_places || type->rank != node->map.n_outer) return false;
    for (uint32_t k = 0; k < type->rank; k++)
        if (type->dim[k] != w->expr.unit->var.at[node->map.outer[k]].extent) return false;
    return true;
}

/* Behind a colon: with outer variables in front of it in a map of one result, alone in a joined map. */
static void put_places(writer *w, const ir_store *store) {
    for (uint32_t k = 0; k < store->n_places; k++) {
        base_text_add(out_of(w), k ? ", " : ": ");
        ir_put_full(&w->expr, store->places[k], IR_LEVEL_OR);
    }
}

/* Everything between the name and the body. Adding is told by `+=` alone; the other modes have a word, since only places
 * need one. */
static void put_store_type(writer *w, const ir_node *node, const ir_store *store) {
    const ir_type *type = type_of(w, store->result);
    base_text_add(out_of(w), ": ");
    if (is_plain(w, node, store)) base_text_add(out_of(w), "%s", ir_dtypes[type->dtype].text);
    else put_type(w, type->dtype, type, NULL);
    if (store->into) base_text_add(out_of(w), " into %s", value_name(w, store->into));
    if (store->n_places && store->mode != IR_STORE_ADD) base_text_add(out_of(w), store->mode == IR_STORE_ONE ? " one" : " last");
    base_text_add(out_of(w), store->mode == IR_STORE_ADD ? " +=" : " =");
}

/* All bodies of a map share their abbreviations, which therefore stand in front of the first. They are printed into a text of their own to know
 * whether there are any.
 * `apart`: one line per result with a head of its own. Otherwise the caller has printed the head of the only result, and
 * the body goes on behind it. */
static void put_bodies(writer *w, const ir_node *node, bool apart) {
    base_text lets, *out = out_of(w);
    ir_expr *roots = BASE_ARRAY(w->expr.arena, node->map.n_results, ir_expr);
    for (uint32_t k = 0; k < node->map.n_results; k++) roots[k] = node->map.results[k].body;
    base_text_init(&lets, w->expr.arena);
    w->expr.out = &lets;
    w->indent++;
    /* Abbreviations stand one per line, a level deeper than the map itself. */
    const char *between = base_printf(w->expr.arena, "\n%*s", (int)(2 * w->indent), "");
    /* This starts the sheet that ir_put below looks into, so nothing else may start one before the last body is printed;
     * places and types use ir_put_full, which restores it. */
    ir_put_lets(&w->expr, node->map.n_results, roots, between);
    w->expr.out = out;
    /* Every abbreviation ends with `between`, so what follows the last one stands on a line of its own already. */
    if (!apart) {
        base_text_add(out, lets.n ? "%s%s" : " ", between, lets.at);
        ir_put(&w->expr, roots[0], IR_LEVEL_OR);
        base_text_put(out, "\n", 1);
    } else if (lets.n) {
        /* The head ends with its line, so the first abbreviation needs the indentation only, and the last one loses what
         * follows it. */
        base_text_add(out, "%s%.*s\n", between + 1, (int)(lets.n - strlen(between)), lets.at);
    }
    for (uint32_t k = 0; apart && k < node->map.n_results; k++) {
        const ir_store *store = &node->map.results[k].store;
        start_line(w);
        base_text_add(out, "%s%s", value_name(w, store->result), store->n_places ? "[" : "");
        put_places(w, store);
        base_text_add(out, store->n_places ? "]" : "");
        put_store_type(w, node, store);
        base_text_put(out, " ", 1);
        ir_put(&w->expr, roots[k], IR_LEVEL_OR);
        base_text_put(out, "\n", 1);
    }
    w->indent--;
}

/* Names of variables are in scope from the ranges on and out of it behind the node. */
static void put_map(writer *w, const ir_node *node) {
    uint32_t outside = w->expr.scope.n;
    /* One result is written as a statement of its own; none at all, which only a broken graph has, as an empty joined
     * map. */
    bool apart = node->map.n_results != 1;
    start_line(w);
    if (apart) {
        base_text_add(out_of(w), node->map.n_outer ? "map " : "map");
        ir_put_ranges(&w->expr, node->map.n_outer, node->map.outer);
        base_text_add(out_of(w), " {\n");
        put_bodies(w, node, true);
        start_line(w);
        base_text_add(out_of(w), "}\n");
    } else {
        const ir_store *store = &node->map.results[0].store;
        base_text_add(out_of(w), "%s[", value_name(w, store->result));
        ir_put_ranges(&w->expr, node->map.n_outer, node->map.outer);
        put_places(w, store);
        base_text_put(out_of(w), "]", 1);
        put_store_type(w, node, store);
        put_bodies(w, node, false);
    }
    w->expr.scope.n = outside;
}

/* ---------------------------------------------------------------- loops, checks, uses */

static void put_node(writer *w, const ir_node *node);

/* NAME = INSIDE from FIRST. A carry that starts from zeros has no value to take its type from, so the type is printed. */
static void put_carry(writer *w, const ir_carry *c) {
    base_text_add(out_of(w), "%s = %s from ", value_name(w, c->result), value_name(w, c->inside));
    if (c->init) {
        base_text_add(out_of(w), "%s", value_name(w, c->init));
        return;
    }
    base_text_add(out_of(w), "zeros ");
    put_type(w, type_of(w, c->inside)->dtype, type_of(w, c->inside), NULL);
}

/* Bounds are printed before the counter gets its name: they do not see it. */
static void put_loop(writer *w, const ir_node *node) {
    uint32_t outside = w->expr.scope.n;
    start_line(w);
    base_text lo;
    base_text_init(&lo, w->expr.arena);
    base_text *out = w->expr.out;
    w->expr.out = &lo;
    ir_put_full(&w->expr, node->loop.lo, IR_LEVEL_ADD);
    base_text_add(&lo, "..");
    ir_put_full(&w->expr, node->loop.hi, IR_LEVEL_ADD);
    w->expr.out = out;
    /* ir_scope_push names the counter here, so the condition and the body print it by that name. */
    base_text_add(out, "loop %s in %s (", ir_scope_push(&w->expr, node->loop.counter), lo.at);
    for (uint32_t k = 0; k < node->loop.n_carries; k++) {
        if (k) base_text_put(out, ", ", 2);
        put_carry(w, &node->loop.carries[k]);
    }
    base_text_put(out, ")", 1);
    if (!ir_is_bool(w->expr.unit, node->loop.cond, true)) {
        base_text_add(out, " while ");
        ir_put_full(&w->expr, node->loop.cond, IR_LEVEL_OR);
    }
    base_text_add(out, " {\n");
    w->indent++;
    for (uint32_t k = 0; k < node->loop.body.n; k++) put_node(w, node->loop.body.at[k]);
    w->indent--;
    start_line(w);
    base_text_add(out, "}\n");
    w->expr.scope.n = outside;
}

/* Variables of the position leave the scope before the two maps are printed, which bind variables of their own; the
 * reader does the same. */
static void put_check(writer *w, const ir_node *node) {
    const ir_check *c = &node->check;
    uint32_t outside = w->expr.scope.n;
    start_line(w);
    base_text_add(out_of(w), "check ");
    put_string(out_of(w), c->what);
    if (c->tensor) {
        base_text_add(out_of(w), " of %s axis %u below ", value_name(w, c->tensor), c->axis);
        ir_put_full(&w->expr, c->limit, IR_LEVEL_ADD);
    }
    if (c->n_over) base_text_add(out_of(w), " over ");
    ir_put_ranges(&w->expr, c->n_over, c->over);
    w->expr.scope.n = outside;
    base_text_add(out_of(w), " {\n");
    w->indent++;
    put_node(w, c->position);
    put_node(w, c->found);
    w->indent--;
    start_line(w);
    base_text_add(out_of(w), "}\n");
}

/* The host sees an output under a name and as a type that may differ from those of the value. Outputs beyond those that
 * the graph declares are printed bare: the verifier will say so, but its reader must be able to see the text. */
static void put_output(writer *w, uint32_t k, ir_value v) {
    base_text_add(out_of(w), "%s%s", k ? ", " : " ", value_name(w, v));
    if (!w->graph || k >= w->graph->n_outputs) return;
    const ir_output_info *info = &w->graph->outputs[k];
    /* The name for the host is written only where it is not that of the value. */
    if (strcmp(info->name, value_name(w, v)) != 0) {
        base_text_add(out_of(w), " as ");
        put_string(out_of(w), info->name);
    }
    base_text_add(out_of(w), ": ");
    put_type(w, info->dtype, type_of(w, v), info->packed);
}

/* Yields carry names only: what they mean is told by the carries of the loop, in the same order. */
static void put_use(writer *w, const ir_node *node) {
    start_line(w);
    base_text_add(out_of(w), "%s", ir_form_names[node->form]);
    for (uint32_t k = 0; k < node->use.n_values; k++)
        if (node->form == IR_FORM_OUTPUT) put_output(w, k, node->use.values[k]);
        else base_text_add(out_of(w), "%s%s", k ? ", " : " ", value_name(w, node->use.values[k]));
    base_text_put(out_of(w), "\n", 1);
}

/* Each form writes its own lines, ends the last one, and leaves scope and indent as they were. */
static void put_node(writer *w, const ir_node *node) {
    switch (node->form) {
    case IR_FORM_MAP: put_map(w, node); break;
    case IR_FORM_LOOP: put_loop(w, node); break;
    case IR_FORM_CHECK: put_check(w, node); break;
    case IR_FORM_YIELD: case IR_FORM_OUTPUT: put_use(w, node); break;
    default: put_source(w, node); break;
    }
}

/* ---------------------------------------------------------------- graphs */

/* Choices stand among the facts: both say what the host may pass. */
static void put_choice(writer *w, const ir_choice *c, const char *between) {
    base_text_add(out_of(w), "%s%s in {", between, w->expr.unit->dim.at[c->dim].name);
    for (uint32_t k = 0; k < c->n; k++) base_text_add(out_of(w), "%s%lld", k ? ", " : "", (long long)c->values[k]);
    base_text_put(out_of(w), "}", 1);
}

/* Facts that the host is held to; the rest the compiler found out by itself.
 * Expressions are interned, so the same fact is the same id. */
static bool is_told(const ir_graph *g, ir_expr fact) {
    for (uint32_t k = 0; k < g->n_facts; k++)
        if (g->facts[k].fact == fact) return true;
    return false;
}

/* Facts that are tested when tensors are bound, then those that only the compiler knows.
 * `between` introduces the first of each list and is a comma from then on; without any there is no word either. */
static void put_facts(writer *w) {
    const ir_graph *g = w->graph;
    const char *between = " where ";
    for (uint32_t k = 0; k < g->n_facts; k++, between = ", ") {
        base_text_add(out_of(w), "%s", between);
        ir_put_full(&w->expr, g->facts[k].fact, IR_LEVEL_OR);
    }
    for (uint32_t k = 0; k < g->n_choices; k++, between = ", ") put_choice(w, &g->choices[k], between);
    between = " given ";
    for (uint32_t k = 0; k < g->unit->fact.n; k++) {
        if (is_told(g, g->unit->fact.at[k])) continue;
        base_text_add(out_of(w), "%s", between);
        ir_put_full(&w->expr, g->unit->fact.at[k], IR_LEVEL_OR);
        between = ", ";
    }
}

/* Dimension 0 is none, so the list of dimensions starts at 1. */
void ir_graph_print(const ir_graph *g, base_text *out) {
    writer w = {.graph = g};
    ir_printer_init(&w.expr, g->unit, out);
    base_text_add(out, "graph %s ", g->name);
    if (g->doc) {
        put_string(out, g->doc);
        base_text_put(out, " ", 1);
    }
    base_text_put(out, "(", 1);
    for (uint32_t d = 1; d < g->unit->dim.n; d++) base_text_add(out, "%s%s", d > 1 ? ", " : "", g->unit->dim.at[d].name);
    base_text_put(out, ")", 1);
    put_facts(&w);
    base_text_add(out, " {\n");
    w.indent = 1;
    for (uint32_t k = 0; k < g->body.n; k++) put_node(&w, g->body.at[k]);
    base_text_add(out, "}\n");
}

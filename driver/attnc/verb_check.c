/* check: is the program right, and what does it hold? */
#include <jansson.h>
#include "attnc.h"

/* Tensors of a kind on one line, as in the head of a graph. */
static void print_list(const cli_session *s, const attn_graph_info *g, attn_tensor_kind kind) {
    /* The list is filtered by kind as it is printed, so the comma goes before all but the first. */
    bool first = true;
    for (size_t k = 0; k < g->n_tensors; k++) {
        attn_tensor_info t = ATTN_TENSOR_INFO_INIT;
        attn_program_tensor(s->program, g->name, k, &t);
        if (t.kind != kind) continue;
        printf("%s%s: ", first ? "" : ", ", t.name);
        cli_print_type(stdout, &t);
        first = false;
    }
}

/* Params below the head, a line each, with the names under which weights are stored. */
static void print_graph(const cli_session *s, const attn_graph_info *g) {
    printf("graph %s(", g->name);
    print_list(s, g, ATTN_INPUT);
    printf(") -> (");
    print_list(s, g, ATTN_OUTPUT);
    printf(")\n");
    for (size_t k = 0; k < g->n_tensors; k++) {
        attn_tensor_info t = ATTN_TENSOR_INFO_INIT;
        attn_program_tensor(s->program, g->name, k, &t);
        /* No param without a storage name: the library fills in its own name where the program gives none. */
        if (t.kind != ATTN_PARAM) continue;
        printf("    param %s: ", t.name);
        cli_print_type(stdout, &t);
        printf(" = \"%s\"\n", t.storage);
    }
}

/* By attn_tensor_kind. Extents are texts: "B", "2 * S". */
static json_t *tensor_json(const attn_tensor_info *t) {
    static const char *const kinds[] = {"input", "param", "output"};
    /* jansson's out of memory shows as NULL, which all of its functions take: a part is missing then, nothing crashes. */
    json_t *dims = json_array(), *out = json_object();
    for (int axis = 0; axis < t->rank; axis++) json_array_append_new(dims, json_string(t->dims[axis]));
    json_object_set_new(out, "kind", json_string(kinds[t->kind]));
    json_object_set_new(out, "name", json_string(t->name));
    json_object_set_new(out, "type", json_string(attn_dtype_name(t->dtype)));
    json_object_set_new(out, "dims", dims);
    /* Params alone have one. */
    if (t->storage) json_object_set_new(out, "storage", json_string(t->storage));
    return out;
}

/* The caller owns what is returned; *_new hands each part over to its parent. */
static json_t *graph_json(const cli_session *s, const attn_graph_info *g) {
    json_t *out = json_object(), *tensors = json_array();
    json_object_set_new(out, "name", json_string(g->name));
    for (size_t k = 0; k < g->n_tensors; k++) {
        attn_tensor_info t = ATTN_TENSOR_INFO_INIT;
        attn_program_tensor(s->program, g->name, k, &t);
        json_array_append_new(tensors, tensor_json(&t));
    }
    json_object_set_new(out, "tensors", tensors);
    return out;
}

/* The program alone: nothing is compiled, no input is needed. */
int verb_check(cli_session *s) {
    attn_status status = attn_program_from_file(s->context, s->options->file, s->diagnostics, &s->program);
    /* Warnings are printed also if the program is right; they do not change the exit status. */
    int exit_status = cli_failed(s, status);
    /* Printed when all graphs are in it: JSON in parts is of no use to who reads it. Not cli_load: a file without graphs is right, too. */
    json_t *all = json_array();
    for (size_t k = 0; exit_status == CLI_FINE && k < attn_program_n_graphs(s->program); k++) {
        attn_graph_info g = ATTN_GRAPH_INFO_INIT;
        attn_program_graph(s->program, k, &g);
        if (s->options->json) json_array_append_new(all, graph_json(s, &g));
        else print_graph(s, &g);
    }
    if (exit_status == CLI_FINE && s->options->json) {
        json_dumpf(all, stdout, JSON_INDENT(1));
        printf("\n");
    }
    json_decref(all);
    return exit_status;
}

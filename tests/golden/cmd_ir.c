/* Commands on IR text alone. */
#include <string.h>
#include "golden_ir.h"

void golden_round_trip(golden_run *run, const ir_graph *g) {
    base_text once, twice;
    base_text_init(&once, run->arena);
    base_text_init(&twice, run->arena);
    ir_graph_print(g, &once);
    ir_graph *again = ir_graph_read(run->arena, run->diags, base_file_add(run->diags, "printed", once.at, once.n));
    if (again) ir_graph_print(again, &twice);
    if (strcmp(once.at, twice.at) != 0) golden_fail(run, "what is printed does not read back:\n%s\nreads as\n%s", once.at, twice.at);
}

ir_graph *golden_graph(golden_run *run) {
    ir_graph *g = ir_graph_read(run->arena, run->diags, run->file);
    if (g) golden_round_trip(run, g);
    return g;
}

void golden_read(golden_run *run) {
    ir_graph *g = golden_graph(run);
    if (g) ir_graph_print(g, run->out);
}

void golden_kernel(golden_run *run) {
    base_text twice;
    base_text_init(&twice, run->arena);
    ir_kernel *k = ir_kernel_read(run->arena, run->diags, run->file);
    if (!k || !ir_kernel_verify(k)) return;
    ir_kernel_print(k, run->out);
    ir_kernel *again = ir_kernel_read(run->arena, run->diags, base_file_add(run->diags, "printed", run->out->at, run->out->n));
    if (again) ir_kernel_print(again, &twice);
    if (strcmp(run->out->at, twice.at) != 0) golden_fail(run, "what is printed does not read back:\n%s\nreads as\n%s", run->out->at, twice.at);
}

void golden_parse(golden_run *run) {
    ir_graph *g = golden_graph(run);
    const char *text = golden_section(run, "expressions");
    if (g && !text) golden_fail(run, "no section `expressions`");
    for (const char *at = text; g && at && *at; at += strspn(at, "\n")) {
        size_t n = strcspn(at, "\n");
        ir_expr e = ir_expr_parse(g->unit, base_strndup(run->arena, at, n), 0, NULL, NULL);
        ir_expr_print(g->unit, e, run->out);
        base_text_put(run->out, "\n", 1);
        at += n;
    }
}

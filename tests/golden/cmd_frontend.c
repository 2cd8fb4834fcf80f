/* Commands on programs of the language. An import finds the file's section `file NAME`. */
#include <string.h>
#include "frontend.h"
#include "golden.h"
#include "golden_ir.h"

const char *golden_load(void *env, base_arena *arena, const char *importer, const char *path, const char **name, size_t *n) {
    const char *text = golden_section(env, base_printf(arena, "file %s", path));
    (void)importer;
    *name = path;
    *n = text ? strlen(text) : 0;
    return text;
}

/* All graphs of the program, or the one that is named. */
void golden_frontend(golden_run *run) {
    fe_program *p = fe_program_create(run->arena, run->diags, run->file, golden_load, run);
    for (uint32_t k = 0; p && k < fe_n_graphs(p); k++) {
        if (*run->args && strcmp(run->args, fe_graph_name(p, k)) != 0) continue;
        const ir_graph *g = fe_graph_lower(p, k, run->arena, run->diags);
        if (!g || !ir_graph_verify(g, "the frontend")) continue;
        golden_round_trip(run, g);
        ir_graph_print(g, run->out);
    }
}

/* Every report as the user sees it. They go to a list of their own: nothing in the input marks them. */
void golden_messages(golden_run *run) {
    const base_file *input = &run->diags->files.at[run->file];
    base_diags *diags = base_diags_create(run->arena);
    fe_program *p = fe_program_create(run->arena, diags, base_file_add(diags, "program.attn", input->text, input->n), golden_load, run);
    for (uint32_t k = 0; p && k < fe_n_graphs(p); k++)
        if (!fe_graph_lower(p, k, run->arena, diags) && !diags->n_errors) golden_fail(run, "graph %s fails and nothing says why", fe_graph_name(p, k));
    for (const base_diag *d = diags->first; d; d = d->next) base_diag_print(diags, d, false, run->out);
    if (!diags->first) golden_fail(run, "nothing is reported");
}

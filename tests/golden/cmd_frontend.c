/* Commands on programs of the language. An import finds the file's section `file NAME`. */
#include <string.h>
#include "frontend.h"
#include "golden.h"
#include "golden_ir.h"

static const char *load(void *env, base_arena *arena, const char *importer, const char *path, const char **name, size_t *n) {
    const char *text = golden_section(env, base_printf(arena, "file %s", path));
    (void)importer;
    *name = path;
    *n = text ? strlen(text) : 0;
    return text;
}

/* All graphs of the program, or the one that is named. */
void golden_frontend(golden_run *run) {
    fe_program *p = fe_program_create(run->arena, run->diags, run->file, load, run);
    for (uint32_t k = 0; p && k < fe_n_graphs(p); k++) {
        if (*run->args && strcmp(run->args, fe_graph_name(p, k)) != 0) continue;
        const ir_graph *g = fe_graph_lower(p, k, run->arena, run->diags);
        if (!g || !ir_graph_verify(g, "the frontend")) continue;
        golden_round_trip(run, g);
        ir_graph_print(g, run->out);
    }
}

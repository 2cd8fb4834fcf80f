/* From text to graph: scanner, parser, names and extents, expansion of everything that has a name (functions, variants,
 * attend, calls of graphs) into expressions and nodes. Reports every independent error of a file in one run. */
#ifndef ATTN_FRONTEND_H
#define ATTN_FRONTEND_H
#include "ir.h"

/* Finds the text of `import "path"`, path relative to the importing file. NULL if there is none; else text in the arena, *n bytes, and
 * *name as shown in messages. */
typedef const char *fe_load(void *env, base_arena *arena, const char *importer, const char *path, const char **name, size_t *n);

typedef struct fe_program fe_program;                  /* parsed and checked declarations; immutable once created */
fe_program *fe_program_create(base_arena *arena, base_diags *diags, uint32_t file, fe_load *load, void *env);
                                                       /* NULL: text or imports are wrong. Else declarations may be: see diags, and look at the graphs too */
uint32_t fe_n_graphs(const fe_program *p);
const char *fe_graph_name(const fe_program *p, uint32_t k);
/* The graph, everything in it expanded, in a unit of its own in `arena`. NULL: errors were reported. */
ir_graph *fe_graph_lower(const fe_program *p, uint32_t k, base_arena *arena, base_diags *diags);
/* The same for given values of symbols (`where D in {64, 128}`), which are numbers in the graph that is made. Symbols by their number in the
 * graph that fe_graph_lower gives. */
typedef struct { ir_dim dim; int64_t value; } fe_fixed;
ir_graph *fe_graph_lower_for(const fe_program *p, uint32_t k, uint32_t n_fixed, const fe_fixed *fixed, base_arena *arena, base_diags *diags);
uint32_t fe_n_tries(const fe_program *p);              /* lines `## try: text` of the file */
const char *fe_try_text(const fe_program *p, uint32_t k);
#endif

/* Programs as files that other programs use: objects, shared objects with a header, texts. Inside of build.c, header.c, names.c, link.c.
 *
 * A shared object x.so is three parts: the runtime (libattn_rt.a), the module in bytes, once for each CPU level, and a handful of functions, x_open,
 * x_close, and two for each graph, which pass their arguments on to runtime/shared.c together with the number of the graph.
 */
#ifndef ATTN_BUILD_H
#define ATTN_BUILD_H
#include "api.h"

/* ---- names.c: names that are free in C and C++ */
typedef struct { base_arena *arena; BASE_VEC(const char *) taken; } drv_names;
bool drv_name_free(const drv_names *names, const char *name);
void drv_name_take(drv_names *names, const char *name);
const char *drv_name(drv_names *names, const char *from);            /* `from`, changed as little as possible; taken from then on */
char *drv_upper(base_arena *arena, const char *text);
const char *drv_name_of_file(base_arena *arena, const char *path);

/* ---- header.c: what a shared object exports, and the header that declares it */
typedef struct {
    const rt_graph *graph;                   /* its signature: no code is looked at */
    const char *call, *shapes, *args, *outputs;          /* functions, then types */
} drv_export;
typedef struct {
    const char *name;                        /* the prefix and the type of the handle: "x" */
    const char *file, *target;               /* of the program; what it is compiled for, for people */
    const char *weights;                     /* NULL, or the file that is embedded */
    const rt_module *module;
    drv_export *graphs;
    uint32_t n_graphs;
} drv_exports;
drv_exports *drv_exports_of(base_arena *arena, const char *name, const rt_module *module);
void drv_header(const drv_exports *x, base_text *out);

/* ---- link.c */
bool drv_link(api_call *call, const attn_build_options *o, const drv_exports *x, const char *path, rt_bytes object, rt_bytes *out);
#endif

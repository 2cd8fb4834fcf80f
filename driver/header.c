/* The header of a shared object: one page that is all a host has to read. Its structs are written by the list of members that the runtime reads
 * them by (runtime/args.c); names come from names.c, so that the page is good C99 and C++11 whatever the program calls things.
 */
#include <string.h>
#include "build.h"

extern const char drv_executor_text[];       /* runtime/include/attn/executor.h, embedded by the build */

/* Of dtypes.def, in C. */
static const char *const c_types[RT_N_DTYPES] = {[RT_F32] = "float", [RT_F64] = "double", [RT_I32] = "int32_t", [RT_I64] = "int64_t", [RT_BOOL] = "bool"};

/* ---- what is exported */

/* All names of a graph are made from one, which is lengthened until all of them are free. Macros are in capitals, so graphs that differ in case alone
 * need two names as well. */
static bool try_names(drv_names *names, const char *x, const char *graph, drv_export *out) {
    base_arena *a = names->arena;
    out->call = base_printf(a, "%s_%s", x, graph);
    out->shapes = base_printf(a, "%s_shapes", out->call);
    out->args = base_printf(a, "%s_args", out->call);
    out->outputs = base_printf(a, "%s_outputs", out->call);
    const char *all[] = {out->call, out->shapes, out->args, out->outputs, base_printf(a, "%s_INIT", drv_upper(a, out->args)),
                         base_printf(a, "%s_INIT", drv_upper(a, out->outputs))};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (!drv_name_free(names, all[k])) return false;
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) drv_name_take(names, all[k]);
    return true;
}

/* Ends: each turn makes a longer name, and only finitely many are taken. */
static void name_graph(drv_names *names, const char *x, drv_export *out) {
    const char *graph = out->graph->name;
    while (!try_names(names, x, graph, out)) graph = base_printf(names->arena, "%s_", graph);
}

/* The names that every header has come first, so that a graph `open` makes way for x_open. */
drv_exports *drv_exports_of(base_arena *arena, const char *name, const rt_module *m) {
    static const char *const fixed[] = {"_open", "_close", "_options", "_error", "_status", "_STATUS", "_OK", "_ERROR_PROGRAM", "_ERROR_DATA",
                                        "_ERROR_ENVIRONMENT", "_ERROR_ARGUMENT", "_ERROR_MEMORY", "_ERROR_CANCELLED", "_ERROR_INTERNAL",
                                        "_ERROR_DEADLINE", "_OPTIONS_INIT", "_H"};
    drv_names names = {.arena = arena};
    drv_exports *x = BASE_NEW(arena, drv_exports);
    *x = (drv_exports){.name = name, .module = m, .graphs = BASE_ARRAY(arena, m->n_graphs, drv_export), .n_graphs = m->n_graphs};
    drv_name_take(&names, name);
    for (size_t k = 0; k < sizeof fixed / sizeof *fixed; k++) {
        drv_name_take(&names, base_printf(arena, "%s%s", name, fixed[k]));
        drv_name_take(&names, base_printf(arena, "%s%s", drv_upper(arena, name), fixed[k]));
    }
    for (uint32_t k = 0; k < m->n_graphs; k++) {
        x->graphs[k].graph = &m->graphs[k];
        name_graph(&names, name, &x->graphs[k]);
    }
    return x;
}

/* ---- comments */

/* Text of the program inside a comment: what would end the comment, or begin another, is taken apart. */
static void put_comment(base_text *out, const char *text, const char *line_start) {
    for (const char *c = text; *c; c++) {
        base_text_put(out, c, 1);
        if (*c == '\n') base_text_add(out, "%s", line_start);
        else if ((c[0] == '*' && c[1] == '/') || (c[0] == '/' && c[1] == '*')) base_text_put(out, " ", 1);
    }
}

/* "f32[S, D]"; of rank 0 the type alone, without brackets. */
static const char *type_text(base_arena *arena, const rt_tensor_info *info) {
    return info->rank ? rt_tensor_text(arena, info->dtype, info->rank, info->dim_texts) : rt_dtypes[info->dtype].name;
}

/* What the weights must hold. */
static void put_params(const rt_module *m, base_text *out) {
    for (uint32_t k = 0; k < m->n_params; k++) {
        const rt_param_info *p = &m->params[k];
        base_text_add(out, " *   %s: %s = \"", p->name, p->rank ? rt_tensor_text(out->arena, p->dtype, p->rank, p->dim_texts) : rt_dtypes[p->dtype].name);
        put_comment(out, p->storage, " ");
        base_text_add(out, "\"\n");
    }
}

/* The rules, for who reads nothing else. %s: name, file, version, levels. */
static const char intro[] =
    "/* %s: %s, compiled by attnc %s for %s. Link with the shared object beside this header,\n"
    " * or load it; it needs nothing but libc and libm.\n"
    " *\n"
    " * Functions return a status, 0 if all is well; what is wrong is said in *error, which may be NULL. A call that fails has no effect, but for the\n"
    " * contents of its outputs.\n"
    " * Memory: tensors are the caller's, row-major without gaps, aligned to their elements. An input may have strides of its own, in elements, any\n"
    " * numbers, 0 and negative ones too; it is then copied if the compiled code wants it dense. An output overlaps no other output, and no input\n"
    " * but the dense one of its own name: given the very memory of that, it is written when all has gone well.\n"
    " * Sizes are the members in front of the pointers. Nothing in a tensor can make the code read or write outside of it.\n"
    " * Threads: one handle serves any number of threads at the same time; its weights exist once. Results do not depend on the number of threads\n"
    " * that compute. A child of fork computes on the calling thread alone.\n";

/* The last graph, as elsewhere where one is meant without a name. */
static void put_example(const drv_exports *x, base_text *out) {
    const char *n = x->name;
    const drv_export *g = &x->graphs[x->n_graphs - 1];
    base_text_add(out, " *\n *     %s *handle = NULL;\n *     %s_error error;\n", n, n);
    base_text_add(out, " *     if (%s_open(%s, NULL, &handle, &error)) puts(error.message);\n", n,
                  x->module->n_params && !x->weights ? "\"weights.safetensors\"" : "NULL");
    base_text_add(out, " *     %s args = %s_INIT;\n *     ...                                   sizes and pointers\n", g->args, drv_upper(out->arena, g->args));
    base_text_add(out, " *     if (%s(handle, &args, &error)) puts(error.message);\n *     %s_close(handle);\n */\n", g->call, n);
}

/* The file's name is the program's own text and may hold anything. */
static void put_intro(const drv_exports *x, base_text *out) {
    base_text file;
    base_text_init(&file, out->arena);
    put_comment(&file, x->file, " ");
    base_text_add(out, intro, x->name, file.n ? file.at : "", ATTN_VERSION, x->target);
    put_example(x, out);
}

/* ---- declarations */

/* The guard is in capitals, as are all macros: names that differ in case alone are not told apart by it, but by their files. */
static void put_guard(const drv_exports *x, base_text *out) {
    const char *X = drv_upper(out->arena, x->name);
    base_text_add(out, "#ifndef %s_H\n#define %s_H\n\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n", X, X);
    /* Without the comment at its head: what hosts have to know of executors stands at each of the structs. */
    base_text_add(out, "/* Who computes: the same in all such headers and in attn/attn.h, so that hosts bring one executor for all. Nothing here has to be known to call\n"
                       " * a graph. */\n");
    base_text_add(out, "%s\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n", strstr(drv_executor_text, "#ifndef ATTN_EXECUTOR_H"));
}

/* The numbers are those of attn_status, which tools may count on. */
static void put_status(const drv_exports *x, base_text *out) {
    const char *X = drv_upper(out->arena, x->name);
    base_text_add(out, "enum {\n    %s_OK = 0,\n", X);
    base_text_add(out, "    %s_ERROR_DATA = 2,        /* a tensor, its shape, or something computed from it: index out of range, overflow */\n", X);
    base_text_add(out, "    %s_ERROR_ENVIRONMENT = 3, /* a file is missing or damaged, or the processor lacks what the code needs */\n", X);
    base_text_add(out, "    %s_ERROR_ARGUMENT = 4,    /* the caller broke a rule of this header */\n", X);
    base_text_add(out, "    %s_ERROR_MEMORY = 5,      /* out of memory */\n", X);
    base_text_add(out, "    %s_ERROR_CANCELLED = 6,   /* through attn_call.cancel */\n    %s_ERROR_INTERNAL = 7,    /* attn is wrong */\n", X, X);
    base_text_add(out, "    %s_ERROR_DEADLINE = 8     /* attn_call.deadline_ns has passed */\n};\n\n", X);
    base_text_add(out, "typedef struct %s_error {\n    int32_t status;\n    char code[8];       /* permanent: \"E0605\" */\n", x->name);
    base_text_add(out, "    char message[%d]; /* in English, with the place in the program where there is one */\n} %s_error;\n\n", RT_BUILT_MESSAGE, x->name);
}

/* What all graphs share: options, the handle, opening it. The comment says of weights what is true of this object. */
static void put_handle(const drv_exports *x, base_text *out) {
    const char *X = drv_upper(out->arena, x->name), *n = x->name;
    base_text_add(out, "typedef struct %s_options {\n    size_t struct_size;\n    int64_t threads;               /* that compute, the caller's included; 0: one per CPU */\n", n);
    base_text_add(out, "    const attn_executor *executor; /* copied; NULL: threads of the handle's own, which start at the first call */\n} %s_options;\n", n);
    base_text_add(out, "#define %s_OPTIONS_INIT {sizeof(%s_options), 0, NULL}\n\n", X, n);
    base_text_add(out, "typedef struct %s %s;\n\n", n, n);
    if (x->weights) base_text_add(out, "/* weights: NULL for those inside of the shared object, else the path of a safetensors file that takes their place.");
    else if (x->module->n_params) base_text_add(out, "/* weights: path of a safetensors file.");
    else base_text_add(out, "/* weights: NULL, there are no params.");
    base_text_add(out, " options: NULL for all defaults.\n * *out is NULL if it fails.");
    if (x->module->n_params) base_text_add(out, " Params, and their names in the file:\n");
    else base_text_add(out, " */\n");
    put_params(x->module, out);
    if (x->module->n_params) base_text_add(out, " */\n");
    base_text_add(out, "int %s_open(const char *weights, const %s_options *options, %s **out, %s_error *error);\n", n, n, n, n);
    base_text_add(out, "void %s_close(%s *handle); /* after its last call; NULL is allowed */\n\n", n, n);
}

/* ---- a graph */

/* Members in the order of the struct, with their names; the struct's own size and the call come first. */
typedef struct { rt_fields fields; const char **names; } members;

/* Strides are named after their tensor as it is called in the struct, not in the program, so that the two stay together. */
static const char *member_name(drv_names *names, const rt_graph *e, const rt_field *f, const char *data) {
    switch (f->kind) {
    case RT_FIELD_SIZE: return "struct_size";
    case RT_FIELD_CALL: return drv_name(names, "call");
    case RT_FIELD_DIM: return drv_name(names, e->dim_names[f->index]);
    case RT_FIELD_DATA: return drv_name(names, e->tensors[f->index].name);
    default: return drv_name(names, base_printf(names->arena, "%s_strides", data));
    }
}

/* Members have a scope of their own: only names within one struct must differ. The size comes first and is in no one's way. */
static members name_members(const rt_graph *e, base_arena *arena) {
    drv_names names = {.arena = arena};
    members m = {rt_args_fields(e, arena), NULL};
    m.names = BASE_ARRAY(arena, m.fields.n, const char *);
    for (uint32_t k = 0; k < m.fields.n; k++) m.names[k] = member_name(&names, e, &m.fields.at[k], k ? m.names[k - 1] : NULL);
    return m;
}

/* One line, with what the program says of it as its comment. */
static void put_member(const rt_graph *e, const rt_field *f, const char *name, base_text *out) {
    const rt_tensor_info *info = &e->tensors[f->index];
    switch (f->kind) {
    case RT_FIELD_SIZE: base_text_add(out, "    size_t %s;\n", name); return;
    case RT_FIELD_CALL: base_text_add(out, "    const attn_call *%s; /* weight, deadline, cancel; NULL: none of them */\n", name); return;
    case RT_FIELD_DIM: base_text_add(out, "    int64_t %s;\n", name); return;
    case RT_FIELD_STRIDES: base_text_add(out, "    const int64_t *%s; /* %u, in elements; NULL: dense */\n", name, info->rank); return;
    default: break;
    }
    bool input = info->kind == RT_TENSOR_INPUT;
    base_text_add(out, "    %s%s *%s; /* %s%s */\n", input ? "const " : "", c_types[info->dtype], name, type_text(out->arena, info),
                  input ? "" : "; NULL: not wanted");
}

/* The struct, and a macro that sets its size. */
static void put_args(const drv_export *g, const members *m, base_text *out) {
    base_text_add(out, "typedef struct %s {\n", g->args);
    for (uint32_t k = 0; k < m->fields.n; k++) put_member(g->graph, &m->fields.at[k], m->names[k], out);
    base_text_add(out, "} %s;\n#define %s_INIT {sizeof(%s)", g->args, drv_upper(out->arena, g->args), g->args);
    /* All members are initialized: compilers warn of a list that ends early. */
    for (uint32_t k = 1; k < m->fields.n; k++) base_text_add(out, m->fields.at[k].kind == RT_FIELD_DIM ? ", 0" : ", NULL");
    base_text_add(out, "}\n\n");
}

/* Extents of each output that has axes, in the order in which rt_built_shapes writes them: the order of the graph's tensors. */
static void put_outputs(const drv_export *g, const members *m, base_text *out) {
    uint32_t n = 0;
    base_text_add(out, "typedef struct %s {\n    size_t struct_size;\n", g->outputs);
    for (uint32_t k = 0; k < m->fields.n; k++) {
        const rt_tensor_info *info = &g->graph->tensors[m->fields.at[k].index];
        if (m->fields.at[k].kind != RT_FIELD_DATA || info->kind != RT_TENSOR_OUTPUT || !info->rank) continue;
        base_text_add(out, "    int64_t %s[%u];\n", m->names[k], info->rank);
        n++;
    }
    base_text_add(out, "} %s;\n#define %s_INIT {sizeof(%s)", g->outputs, drv_upper(out->arena, g->outputs), g->outputs);
    while (n--) base_text_add(out, ", {0}");
    base_text_add(out, "}\n\n");
}

/* The comment of the program, and the facts that it states of its sizes: a call that breaks one is refused. */
static void put_doc(const drv_export *g, base_text *out) {
    const rt_graph *e = g->graph;
    base_text_add(out, "/* graph %s", e->name);
    if (e->doc && *e->doc) {
        base_text_add(out, ": ");
        put_comment(out, e->doc, " * ");
    }
    if (e->n_facts) base_text_add(out, "\n * Its sizes must fit:");
    for (uint32_t k = 0; k < e->n_facts; k++) base_text_add(out, "%s %s", k ? "," : "", e->facts[k].text);
    base_text_add(out, " */\n");
}

/* Types before the functions that take them. */
static void put_graph(const drv_exports *x, const drv_export *g, base_text *out) {
    members m = name_members(g->graph, out->arena);
    put_doc(g, out);
    put_args(g, &m, out);
    put_outputs(g, &m, out);
    base_text_add(out, "int %s(%s *handle, const %s *args, %s_error *error);\n", g->call, x->name, g->args, x->name);
    base_text_add(out, "/* Shapes of the outputs for the sizes in args; pointers are not looked at. */\n");
    base_text_add(out, "int %s(%s *handle, const %s *args, %s *out, %s_error *error);\n\n", g->shapes, x->name, g->args, g->outputs, x->name);
}

/* In the order in which a reader needs it: rules, example, who computes, errors, opening, then graph by graph. */
void drv_header(const drv_exports *x, base_text *out) {
    put_intro(x, out);
    put_guard(x, out);
    put_status(x, out);
    put_handle(x, out);
    for (uint32_t k = 0; k < x->n_graphs; k++) put_graph(x, &x->graphs[k], out);
    base_text_add(out, "#ifdef __cplusplus\n}\n#endif\n#endif\n");
}

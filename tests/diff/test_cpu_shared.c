/* Programs as hosts without a compiler have them: built to a shared object, opened, called through the functions and structs of its header.
 * A dozen programs of the language, since each is compiled and linked; together they have what a module can hold. Their weights go through a file. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "attn/attn.h"
#include "encode.h"
#include "host.h"

static const char *const programs[] = {"causal_gqa.attn", "packed_axes.attn", "recurrence.attn", "talking_heads.attn", "varlen.attn", "paged.attn",
                                       "tables.attn", "deformable.attn", "minilm.attn", "values_of_two_axes.attn", "embeddings.attn", NULL};

typedef int32_t open_fn(const char *weights, const rt_built_options *options, void **out, rt_built_error *error);
typedef void close_fn(void *handle);
typedef int32_t call_fn(void *handle, const void *args, rt_built_error *error);
typedef struct {
    void *library;
    open_fn *open;
    close_fn *close;
    call_fn *call;
    rt_graph graph;              /* its signature, by which the struct of arguments is filled */
    rt_fields fields;
    char folder[32];
} shared;

/* ---- building */

/* Functions in object pointers: POSIX has it so. */
static bool find(shared *s, const char *name, void *out) {
    void *symbol = dlsym(s->library, name);
    memcpy(out, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool build(const char *program, const char *path, base_diags *diags) {
    attn_context *context = NULL;
    attn_program *p = NULL;
    attn_diagnostics *said = NULL;
    bool done = !attn_diagnostics_create(NULL, &said) && !attn_context_create(NULL, said, &context) && !attn_program_from_file(context, program, said, &p) &&
                !attn_program_build(context, p, NULL, path, said);
    for (size_t k = 0; !done && k < attn_diagnostics_count(said); k++)
        base_report(diags, BASE_MSG_INTERNAL_IR, (base_span){0}, base_strdup(diags->arena, attn_diagnostics_render(said, k, false)));
    attn_program_destroy(p);
    attn_context_destroy(context);
    attn_diagnostics_destroy(said);
    return done;
}

static void close_program(const diff_target *self, void *opened) {
    shared *s = opened;
    char command[64];
    (void)self;
    if (s->library) dlclose(s->library);
    snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
    if (system(command)) fprintf(stderr, "%s is left behind\n", s->folder);
}

/* The graph is the last of the file; its file is known to diags. */
static void *open_program(const diff_target *self, ir_graph *g, base_arena *arena, base_diags *diags) {
    shared *s = BASE_NEW(arena, shared);
    rt_param_info *params;
    uint32_t n_params;
    strcpy(s->folder, "/tmp/attn_shared_XXXXXX");
    if (!mkdtemp(s->folder)) return NULL;
    const char *path = base_printf(arena, "%s/m.so", s->folder), *name = base_printf(arena, "m_%s", g->name);
    bool fine = drv_encode_signature(g, arena, diags, &s->graph, &params, &n_params) &&
                build(base_printf(arena, DIFF_PROGRAMS "/%s", diags->files.at[1].name), path, diags);
    s->fields = rt_args_fields(&s->graph, arena);
    s->library = fine ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (s->library && find(s, "m_open", &s->open) && find(s, "m_close", &s->close) && find(s, name, &s->call)) return s;
    if (fine) base_report(diags, BASE_MSG_INTERNAL_IR, (base_span){0}, base_strdup(arena, s->library ? "a function is missing" : dlerror()));
    close_program(self, s);
    return NULL;
}

/* ---- weights as a safetensors file */

static const char *stored_type(uint32_t dtype) {
    static const char *const names[RT_N_DTYPES] = {[RT_F32] = "F32", [RT_F64] = "F64", [RT_I32] = "I32", [RT_I64] = "I64", [RT_BOOL] = "BOOL"};
    return names[dtype];
}

static size_t bytes_of(const rt_array *a) {
    int64_t n = 0;
    rt_count(a->rank, a->dim, &n);
    return (size_t)n * rt_dtypes[a->dtype].bytes;
}

static void put_head(base_text *head, const char *name, const rt_array *a, size_t at) {
    base_text_add(head, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", head->n > 1 ? "," : "", name, stored_type(a->dtype));
    for (uint32_t k = 0; k < a->rank; k++) base_text_add(head, "%s%lld", k ? "," : "", (long long)a->dim[k]);
    base_text_add(head, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes_of(a));
}

/* "layer.{l}.w" stands for one stored tensor for each index of the leading axis. */
static void put_param(const char *storage, rt_array a, base_text *head, base_text *data) {
    const char *open = strchr(storage, '{'), *close = open ? strchr(open, '}') : NULL;
    const int64_t n = close ? a.dim[0] : 1;
    const char *from = a.data;
    if (close) rt_array_dense(&a, a.dtype, a.rank - 1, (int64_t[RT_RANK]){a.dim[1], a.dim[2], a.dim[3]}, a.data);
    for (int64_t k = 0; k < n; k++, from += bytes_of(&a)) {
        const char *name = close ? base_printf(head->arena, "%.*s%lld%s", (int)(open - storage), storage, (long long)k, close + 1) : storage;
        put_head(head, name, &a, data->n);
        base_text_put(data, from, bytes_of(&a));
    }
}

/* Params of the graph by their storage names. NULL: there are none. */
static const char *write_weights(const shared *s, const ir_graph *g, const ir_frame *frame, base_arena *arena, base_diags *diags) {
    base_text head, data;
    bool some = false;
    base_text_init(&head, arena);
    base_text_init(&data, arena);
    base_text_add(&head, "{");
    for (uint32_t k = 0; k < g->body.n; k++) {
        const ir_node *n = g->body.at[k];
        rt_array a;
        if (n->form != IR_FORM_PARAM) continue;
        some = true;
        diff_host_shape(n, &frame->value[n->source.value], &a);
        diff_dense(arena, &frame->value[n->source.value], &a);
        put_param(n->source.storage ? n->source.storage : g->unit->value.at[n->source.value].name, a, &head, &data);
    }
    base_text_add(&head, "}");
    const uint64_t length = head.n;
    const rt_bytes parts[] = {{&length, sizeof length}, {head.at, head.n}, {data.at, data.n}};
    const char *path = base_printf(arena, "%s/w", s->folder);
    return some && rt_files_write(&(rt_output){path, parts, 3}, 1, arena, diags) ? path : NULL;
}

/* ---- a call */

/* Inputs in the order of the graph's tensors; outputs have memory of their own. */
static rt_array *place_tensors(const shared *s, const ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    rt_array *tensors = BASE_ARRAY(arena, s->graph.n_tensors + 1, rt_array);
    uint32_t at = 0;
    for (uint32_t k = 0; k < g->body.n; k++) {
        const ir_node *n = g->body.at[k];
        if (n->form != IR_FORM_INPUT) continue;
        diff_host_shape(n, &frame->value[n->source.value], &tensors[at]);
        diff_dense(arena, &frame->value[n->source.value], &tensors[at++]);
    }
    for (uint32_t k = 0; k < g->n_outputs; k++) {
        rt_array *a = &tensors[s->graph.n_tensors - g->n_outputs + k];
        const ir_type *t = &g->unit->value.at[g->outputs[k].value].type;
        int64_t dim[IR_RANK];
        if (!ir_type_shape(g->unit, frame, t, dim, diags)) return NULL;
        rt_array_dense(a, g->outputs[k].dtype, t->rank, dim, NULL);
        a->data = memset(base_alloc(arena, bytes_of(a) + 8), 0xff, bytes_of(a) + 8);
    }
    return tensors;
}

static int64_t member(const shared *s, const rt_field *f, const ir_frame *frame, const rt_array *tensors) {
    switch (f->kind) {
    case RT_FIELD_SIZE: return 8 * (int64_t)s->fields.n;
    case RT_FIELD_DIM: return frame->dim[f->index + 1];          /* ir_dim counts from 1 */
    case RT_FIELD_DATA: return (int64_t)(intptr_t)tensors[f->index].data;
    default: return 0;
    }
}

static bool run(const diff_target *self, void *opened, ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags) {
    const shared *s = opened;
    rt_built_error error = {0};
    void *handle = NULL;
    (void)self;
    int64_t *args = BASE_ARRAY(arena, s->fields.n, int64_t);
    const rt_array *tensors = place_tensors(s, g, frame, arena, diags);
    if (!tensors) return false;
    for (uint32_t k = 0; k < s->fields.n; k++) args[k] = member(s, &s->fields.at[k], frame, tensors);
    bool fine = !s->open(write_weights(s, g, frame, arena, diags), NULL, &handle, &error) && !s->call(handle, args, &error);
    s->close(handle);
    if (!fine) base_report(diags, BASE_MSG_INTERNAL_IR, (base_span){0}, base_strdup(arena, error.message));
    return fine && diff_give_back(g, frame, &tensors[s->graph.n_tensors - g->n_outputs], arena, diags);
}

int main(int argc, char **argv) {
    const diff_target targets[] = {{.name = "shared object", .precision = DIFF_SINGLE, .open = open_program, .run = run, .close = close_program,
                                    .plans = true, .programs = programs, .unchecked = true}};
    return diff_main("shared", argc > 1 ? argv[1] : NULL, 1, targets);
}

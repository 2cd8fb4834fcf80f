/* What the functions of a shared object do. x_open, x_close, x_NAME and x_NAME_shapes of the generated header end here (driver/build.c writes the
 * few instructions between), with what they stand for as their last argument. The runtime has no other way in for hosts that do not compile.
 *
 * A handle holds an arena with everything that was made by x_open, and is not changed afterwards: calls read it, side by side. A call has an arena of
 * its own, which is also where memory that runs out jumps from.
 */
#include <setjmp.h>
#include <string.h>
#include "attn/attn.h"
#include "rt.h"

static const base_span nowhere = {0, 0, 0};

typedef struct {
    base_arena *arena;
    const rt_module *module;
    rt_model model;
    rt_safetensors file;                 /* params may lie in it */
    rt_pool *pool;                       /* NULL: the host brought an executor */
    void **code; uint32_t n_code;        /* where kernels were placed, entry by entry */
    rt_fields *fields;                   /* by graph */
} handle;

/* One call from outside: what it was given, and what ends with it. */
typedef struct {
    jmp_buf on_failure;
    base_arena *arena;
    base_diags *diags;
    rt_built_error *error;               /* NULL: nobody asks */
    base_arena *kept;                    /* of the handle that is made */
    handle *opened;
    rt_call run;
    const rt_built *built;
    const rt_built_options *options;
    const char *weights;
    const char *args;
    int64_t *shapes;
    const rt_graph *graph;
    const rt_fields *fields;
} outside;

/* ---- the start and the end of every function */

/* By the class of the first error: the others may follow from it. */
static int32_t status_of(const outside *o) {
    static const int32_t by_class[] = {
        [BASE_CLASS_PROGRAM] = ATTN_ERROR_PROGRAM, [BASE_CLASS_DATA] = ATTN_ERROR_DATA,         [BASE_CLASS_ENVIRONMENT] = ATTN_ERROR_ENVIRONMENT,
        [BASE_CLASS_CALLER] = ATTN_ERROR_ARGUMENT, [BASE_CLASS_INTERNAL] = ATTN_ERROR_INTERNAL,
    };
    return o->diags->first ? by_class[base_messages[o->diags->first->message].class_] : ATTN_ERROR_INTERNAL;
}

/* Hosts may leave the struct out. What does not fit is cut off, and always terminated. */
static void say(rt_built_error *error, int32_t status, const char *code, const char *text) {
    if (!error) return;
    error->status = status;
    snprintf(error->code, sizeof error->code, "%s", code);
    snprintf(error->message, sizeof error->message, "%s", text);
}

/* All that was reported: of weights, each missing tensor. What does not fit is cut off. */
static void say_diags(const outside *o, int32_t status) {
    base_text out;
    if (!o->error) return;
    base_text_init(&out, o->arena);
    for (const base_diag *d = o->diags->first; d; d = d->next) base_diag_print(o->diags, d, false, &out);
    while (out.n && out.at[out.n - 1] == '\n') out.at[--out.n] = 0;
    say(o->error, status, o->diags->first ? base_messages[o->diags->first->message].code : "", out.n ? out.at : "");
}

/* Between the recovery point and the end nothing is kept in local variables: what must survive the jump is in `o`. */
static int32_t guarded(outside *o, bool (*body)(outside *o)) {
    if (setjmp(o->on_failure)) return say(o->error, ATTN_ERROR_MEMORY, base_messages[BASE_MSG_NO_MEMORY].code, "out of memory"), ATTN_ERROR_MEMORY;
    o->arena = base_arena_create(NULL, &o->on_failure);
    if (!o->arena) longjmp(o->on_failure, 1);
    o->diags = base_diags_create(o->arena);
    if (body(o)) return say(o->error, ATTN_OK, "", ""), ATTN_OK;
    if (o->run.no_memory) longjmp(o->on_failure, 1);
    int32_t status = o->run.cancelled ? ATTN_ERROR_CANCELLED : o->run.late ? ATTN_ERROR_DEADLINE : status_of(o);
    if (o->run.cancelled || o->run.late) say(o->error, status, "", o->run.late ? "the deadline has passed" : "cancelled");
    else say_diags(o, status);
    return status;
}

/* Always false, so that a check can end with it. */
static bool wrong_argument(const outside *o, const char *what) {
    base_report(o->diags, BASE_MSG_ARGUMENT, nowhere, what);
    return false;
}

/* Messages point into the program's text, which the module carries: borrowed, not copied. */
static void use_sources(const outside *o, const rt_module *m) {
    for (uint32_t k = 0; k < m->n_sources; k++) {
        const rt_source *s = &m->sources[k];
        BASE_PUSH(o->arena, &o->diags->files, ((base_file){s->name, s->text ? s->text : "", s->text ? (size_t)s->text_bytes : 0}));
    }
}

/* ---- opening */

/* Images stand in the order in which they are wanted. An object may be linked with a runtime that did not come with its compiler. */
static const rt_built_image *choose(const outside *o) {
    if (o->built->abi != RT_BUILT_ABI) {
        base_report(o->diags, BASE_MSG_RUNTIME_OTHER, nowhere, (unsigned long long)o->built->abi, RT_BUILT_ABI);
        return NULL;
    }
    for (uint64_t k = 0; k < o->built->n_images; k++)
        if (rt_level_runs((rt_level)o->built->images[k].level)) return &o->built->images[k];
    const rt_level least = (rt_level)o->built->images[o->built->n_images - 1].level;
    base_report(o->diags, BASE_MSG_MODULE_LEVEL, nowhere, "the module inside", rt_level_names[least], rt_level_names[rt_level_here()]);
    return NULL;
}

/* The host's, or a pool of the handle's own, whose threads start with the first job that is worth them. */
static bool choose_executor(const outside *o, handle *h) {
    const rt_built_options *options = o->options;
    if (options && (options->struct_size < sizeof *options || options->threads < 0 || options->threads > 1024))
        return wrong_argument(o, "options: struct_size is not set, or threads is not between 0 and 1024");
    const attn_executor *given = options ? options->executor : NULL;
    if (given && (given->struct_size < sizeof *given || !given->run)) return wrong_argument(o, "options: the executor has no struct_size or no function run");
    if (given) return h->model.executor = *given, true;
    h->pool = rt_pool_create(NULL, options ? (int)options->threads : 0);
    if (!h->pool) base_arena_fail(o->arena);
    h->model.executor = rt_pool_executor(h->pool);
    return true;
}

/* A path wins over weights that are inside. */
static bool open_weights(const outside *o, handle *h, rt_weights *out) {
    *out = (rt_weights){0};
    bool inside = !o->weights && o->built->n_weights;
    if (!o->weights && !inside) return true;
    out->file = &h->file;
    if (inside) return rt_safetensors_open_bytes(&h->file, "the weights inside", o->built->weights, (size_t)o->built->n_weights, o->arena, o->diags);
    return rt_safetensors_open(&h->file, o->weights, o->arena, o->diags);
}

/* The kernels of one entry. They were read into the arena of the handle, which is why they may be written. */
static bool place_code(const outside *o, handle *h, const rt_entry *e) {
    char error[256] = "";
    if (rt_code_load(e->n_kernels, (rt_kernel *)(uintptr_t)e->kernels, &h->code[h->n_code++], error, sizeof error)) return true;
    if (!strcmp(error, "out of memory")) base_arena_fail(o->arena);
    base_report(o->diags, BASE_MSG_DEVICE_FAILS, nowhere, "cpu", base_strdup(o->arena, error));
    return false;
}

/* Entries one after the other: each mapping is the size of its kernels, rounded up to pages. */
static bool place_all_code(const outside *o, handle *h) {
    uint32_t n = 0;
    for (uint32_t g = 0; g < h->module->n_graphs; g++) n += h->module->graphs[g].n_entries;
    h->code = BASE_ARRAY(h->arena, n, void *);
    for (uint32_t g = 0; g < h->module->n_graphs; g++)
        for (uint32_t e = 0; e < h->module->graphs[g].n_entries; e++)
            if (!place_code(o, h, &h->module->graphs[g].entries[e])) return false;
    return true;
}

/* The pool and the code are needed by the set-up already; each is in the handle as soon as it is there, so that close_handle finds it. */
static bool make_model(const outside *o, handle *h) {
    rt_weights weights;
    h->model.module = h->module;
    h->model.allocator = base_allocator_or_malloc(NULL);
    return choose_executor(o, h) && place_all_code(o, h) && open_weights(o, h, &weights) &&
           rt_model_make(&h->model, &weights, h->arena, o->arena, o->diags);
}

/* The arena holds the handle itself, so it goes last. */
static void close_handle(handle *h) {
    rt_model_release(&h->model);
    rt_file_close(&h->file.file);
    for (uint32_t k = 0; k < h->n_code; k++) rt_code_unload(h->code[k]);
    rt_pool_destroy(h->pool);
}

/* Texts, constants and code stay where they lie in the shared object. */
static bool read_module(const outside *o, handle *h, const rt_built_image *image) {
    const char *wrong = NULL;
    h->module = rt_module_read(image->bytes, (size_t)image->n, h->arena, &wrong);
    if (h->module) return use_sources(o, h->module), true;
    base_report(o->diags, BASE_MSG_MODULE_DAMAGED, nowhere, "the module inside", wrong);
    return false;
}

/* The arena of the handle jumps where that of the call does, for the time of the call; later nothing is taken from it. */
static bool open_handle(outside *o) {
    const rt_built_image *image = choose(o);
    if (!image) return false;
    base_arena *arena = o->kept = base_arena_create(NULL, &o->on_failure);
    if (!arena) base_arena_fail(o->arena);
    handle *h = o->opened = BASE_NEW(arena, handle);
    h->arena = arena;
    if (!read_module(o, h, image) || !make_model(o, h)) return false;
    h->fields = BASE_ARRAY(arena, h->module->n_graphs, rt_fields);
    for (uint32_t k = 0; k < h->module->n_graphs; k++) h->fields[k] = rt_args_fields(&h->module->graphs[k], arena);
    return true;
}

/* *out is set at the very end: until then the handle belongs to the call, which takes it apart if anything fails. */
int32_t rt_built_open(const char *weights, const rt_built_options *options, void **out, rt_built_error *error, const rt_built *built) {
    outside o = {.error = error, .built = built, .options = options, .weights = weights};
    if (!out) return say(error, ATTN_ERROR_ARGUMENT, base_messages[BASE_MSG_ARGUMENT].code, "out is NULL"), ATTN_ERROR_ARGUMENT;
    *out = NULL;
    int32_t status = guarded(&o, open_handle);
    if (status == ATTN_OK) *out = o.opened;
    else if (o.opened) close_handle(o.opened);
    if (status != ATTN_OK) base_arena_destroy(o.kept);
    base_arena_destroy(o.arena);
    return status;
}

/* No call runs any more, says the header; so threads, code and weights can go. */
void rt_built_close(void *opened) {
    handle *h = opened;
    if (!h) return;
    base_arena *arena = h->arena;
    close_handle(h);
    base_arena_destroy(arena);
}

/* ---- arguments */

/* Every member takes 8 bytes, on every platform that has code here. */
_Static_assert(sizeof(void *) == 8 && sizeof(size_t) == 8, "members of argument structs are read as 8 bytes");

/* By memcpy: the struct has members of several types, and no type of ours. */
static int64_t member(const outside *o, uint32_t k) {
    int64_t value;
    memcpy(&value, o->args + 8 * (size_t)k, sizeof value);
    return value;
}
static void *member_pointer(const outside *o, uint32_t k) { return (void *)(uintptr_t)member(o, k); }

/* Reports; false. */
static bool negative(const outside *o, const char *name, int64_t value) {
    base_report(o->diags, BASE_MSG_DIM_NEGATIVE, nowhere, name, (long long)value);
    return false;
}

/* The sizes that the host gives, and those that the weights say; then all that follows from them. Nothing is tested: binding does that. */
static bool read_dims(const outside *o, int64_t *slots, bool *known) {
    const rt_graph *g = o->graph;
    bool fine = true;
    rt_array *none = BASE_ARRAY(o->arena, g->n_tensors, rt_array);
    rt_ints_partial(g->bind, g->n_bind, o->run.instance->params, slots, known);
    for (uint32_t k = g->n_dims; k < g->n_slots; k++) known[k] = false;
    for (uint32_t k = 0; k < g->n_tensors; k++) none[k].rank = RT_UNKNOWN;
    for (uint32_t k = 0; k < o->fields->n; k++) {
        const rt_field *f = &o->fields->at[k];
        if (f->kind != RT_FIELD_DIM) continue;
        slots[f->index] = member(o, k);
        known[f->index] = true;
        if (slots[f->index] < 0) fine = negative(o, g->dim_names[f->index], slots[f->index]);
    }
    rt_ints_partial(g->bind, g->n_bind, none, slots, known);
    return fine;
}

/* Every extent of inputs and outputs follows from dimensions of the struct and of the weights, so an unknown one is arithmetic that failed. */
static bool shape_of(const outside *o, uint32_t tensor, const int64_t *slots, const bool *known, rt_array *out) {
    const rt_tensor_info *info = &o->graph->tensors[tensor];
    int64_t dim[RT_RANK];
    for (uint32_t k = 0; k < info->rank; k++) {
        dim[k] = slots[info->dims[k]];
        if (!known[info->dims[k]] || dim[k] > INT32_MAX) {
            base_report(o->diags, BASE_MSG_SIZE_OVERFLOW, nowhere, "tensor", info->name);
            return false;
        }
        if (dim[k] < 0) return negative(o, info->dim_texts[k], dim[k]);
    }
    rt_array_dense(out, info->dtype, info->rank, dim, NULL);
    return true;
}

/* All tensors of the call, so far without memory: inputs dense in the shapes that follow from the sizes, params as the model has them. */
static bool shape_inputs(const outside *o, rt_array *tensors) {
    const rt_graph *g = o->graph;
    int64_t *slots = BASE_ARRAY(o->arena, g->n_slots, int64_t);
    bool *known = BASE_ARRAY(o->arena, g->n_slots, bool), fine = read_dims(o, slots, known);
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        tensors[k].rank = RT_UNKNOWN;
        if (g->tensors[k].kind == RT_TENSOR_INPUT) fine = fine && shape_of(o, k, slots, known, &tensors[k]);
        else if (g->tensors[k].kind == RT_TENSOR_PARAM) tensors[k] = o->run.instance->params[k];
        /* The value lies in the struct itself, where its dimension does. */
        for (uint32_t d = 0; g->tensors[k].is_dim && d < g->n_dims; d++)
            if (!strcmp(g->dim_names[d], g->tensors[k].name)) tensors[k].data = &slots[d];
    }
    return fine;
}

/* NULL is fine where there is no element to read. */
static bool point_inputs(const outside *o, rt_array *tensors) {
    bool fine = true;
    for (uint32_t k = 0; k < o->fields->n; k++) {
        const rt_field *f = &o->fields->at[k];
        rt_array *a = &tensors[f->index];
        int64_t n = 0;
        if (f->kind == RT_FIELD_STRIDES && member(o, k)) memcpy(a->stride, member_pointer(o, k), a->rank * sizeof *a->stride);
        if (f->kind != RT_FIELD_DATA || o->graph->tensors[f->index].kind != RT_TENSOR_INPUT) continue;
        a->data = member_pointer(o, k);
        if (a->data || !rt_count(a->rank, a->dim, &n) || n == 0) continue;
        base_report(o->diags, BASE_MSG_INPUT_NONE, nowhere, o->graph->tensors[f->index].name);
        fine = false;
    }
    return fine;
}

/* After binding. */
static void point_outputs(const outside *o, rt_array *tensors) {
    for (uint32_t k = 0; k < o->fields->n; k++) {
        const rt_field *f = &o->fields->at[k];
        const rt_tensor_info *info = &o->graph->tensors[f->index];
        int64_t dim[RT_RANK];
        if (f->kind != RT_FIELD_DATA || info->kind != RT_TENSOR_OUTPUT) continue;
        rt_tensor_shape(&o->run, f->index, dim);
        rt_array_dense(&tensors[f->index], info->dtype, info->rank, dim, member_pointer(o, k));
    }
}

/* ---- calls */

/* What the host knew of the struct must hold all that this code knows of it: both were made together. */
static bool take_args(outside *o) {
    if (!o->opened || !o->args) return wrong_argument(o, o->opened ? "args is NULL" : "the handle is NULL");
    if (member(o, 0) < 8 * (int64_t)o->fields->n) return wrong_argument(o, "args: struct_size is not set");
    use_sources(o, o->opened->module);
    const attn_call *terms = member_pointer(o, 1);
    if (terms && terms->struct_size < sizeof *terms) return wrong_argument(o, "args: the call has no struct_size");
    if (terms) o->run.terms = *terms;
    return true;
}

/* Sizes, then memory, then binding, which tests all that the program says; outputs last, since their shapes come from it. */
static bool run_graph(outside *o) {
    rt_array *tensors = BASE_ARRAY(o->arena, o->graph ? o->graph->n_tensors : 0, rt_array);
    if (!take_args(o)) return false;
    o->run.arena = o->arena;
    o->run.diags = o->diags;
    o->run.tensors = tensors;
    if (!shape_inputs(o, tensors) || !point_inputs(o, tensors) || !rt_bind(&o->run)) return false;
    point_outputs(o, tensors);
    return rt_outputs_alone(&o->run) && rt_run(&o->run);
}

/* Members of the struct that x_NAME_shapes fills: its size, then the extents of each output. */
static size_t n_extents(const rt_graph *g) {
    size_t n = 1;
    for (uint32_t k = 0; k < g->n_tensors; k++)
        if (g->tensors[k].kind == RT_TENSOR_OUTPUT) n += g->tensors[k].rank;
    return n;
}

/* From the sizes alone, as far as the outputs' extents follow from them: whether all sizes fit each other the call itself finds out. */
static bool find_shapes(outside *o) {
    if (!take_args(o)) return false;
    if (!o->shapes || o->shapes[0] < 8 * (int64_t)n_extents(o->graph)) return wrong_argument(o, "out is NULL, or its struct_size is less than that of the struct");
    int64_t *slots = BASE_ARRAY(o->arena, o->graph->n_slots, int64_t), *at = o->shapes + 1;
    bool *known = BASE_ARRAY(o->arena, o->graph->n_slots, bool);
    if (!read_dims(o, slots, known)) return false;
    for (uint32_t k = 0; k < o->graph->n_tensors; k++) {
        rt_array shape;
        if (o->graph->tensors[k].kind != RT_TENSOR_OUTPUT) continue;
        if (!shape_of(o, k, slots, known, &shape)) return false;
        memcpy(at, shape.dim, shape.rank * sizeof *at);
        at += shape.rank;
    }
    return true;
}

/* graph: a number that the shared object itself has put there, so it is one of the module's. */
static outside outside_call(void *opened, const void *args, rt_built_error *error, uint32_t graph) {
    handle *h = opened;
    outside o = {.error = error, .opened = h, .args = args};
    if (!h) return o;
    o.graph = &h->module->graphs[graph];
    o.fields = &h->fields[graph];
    o.run.instance = &h->model.graphs[graph];
    return o;
}

/* The block of the call goes back to the model also if the arena jumped out of it. */
int32_t rt_built_call(void *opened, const void *args, rt_built_error *error, uint32_t graph) {
    outside o = outside_call(opened, args, error, graph);
    int32_t status = guarded(&o, run_graph);
    if (o.run.instance) rt_release(&o.run);
    base_arena_destroy(o.arena);
    return status;
}

/* Nothing is computed, and no pointer in the struct is looked at. */
int32_t rt_built_shapes(void *opened, const void *args, int64_t *out, rt_built_error *error, uint32_t graph) {
    outside o = outside_call(opened, args, error, graph);
    o.shapes = out;
    int32_t status = guarded(&o, find_shapes);
    base_arena_destroy(o.arena);
    return status;
}

/* Calls of compiled programs with tensors of wrong types, ranks, sizes and strides, values out of range, arguments left out, doubled and
 * made up. Tensors lie in memory that ends at a forbidden page, so machine code that believes a wrong size crashes. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "attn/attn.h"
#include "fuzz.h"
#include "guarded.h"

enum { MOST_MODELS = 16, MOST_TENSORS = 16, MOST_BYTES = 1 << 20, MOST_MEMORY = 1 << 28 };

static const char *const programs[] = {
    "graph gqa(q: f32[B,S,H,D], k: f32[B,T,G,D], v: f32[B,T,G,D]) -> (o: f32[B,S,H,D]) where H % G == 0 {\n"
    "    o[b,i,h,e] = attend(j: q[b,i,h,d], k[b,j,h//(H//G),d], v[b,j,h//(H//G),e]) { mask = j <= i + (T - S) }\n}\n",
    "graph paged(q: f32[B,H,D], k: f32[P,N,G,D], v: f32[P,N,G,D], page: i32[B,M], len: i32[B]) -> (o: f32[B,H,D]) where H % G == 0 {\n"
    "    o[b,h,e] = attend(j in 0..len[b]: q[b,h,d], k[page[b, j//N], j%N, h//(H//G), d], v[page[b, j//N], j%N, h//(H//G), e])\n}\n",
    "graph varlen(q: f32[N,H,D], k: f32[M,H,D], v: f32[M,H,D], seq: i32[N], pos: i32[N], start: i32[R]) -> (o: f32[N,H,D]) {\n"
    "    o[n,h,e] = attend(j in start[seq[n]]..start[seq[n] + 1]: q[n,h,d], k[j,h,d], v[j,h,e]) { mask = j - start[seq[n]] <= pos[n] }\n}\n",
    "graph packed(H: dim, x: f32[B,S,E], w: f32[(H,D),E], c: f32[(H,D)]) -> (y: f32[B,S,(H,D)]) {\n    y[b,i,h,d] = sum(e: x[b,i,e] * w[h,d,e]) + c[h,d]\n}\n",
    "graph masked(x: f64[N], keep: bool[N], at: i64[N]) -> (y: f64[N], n: i64[N]) {\n    y[i] = select(keep[i], x[at[i]] / 2, 0)\n    n[i] = at[i] // (at[i] - 1)\n}\n",
};
static const char *const targets[] = {"cpu", "eval"};
static const int64_t edges[] = {-1, 0, 1, 2, 3, 7, 8, 9, 31, 1 << 16, INT32_MAX, (int64_t)INT32_MAX + 1, INT64_MAX / 2, INT64_MAX, INT64_MIN};

/* Room for what calls need, not for what tensors of huge extents and strides of 0 would need once they are copied. */
static atomic_size_t used;

static void *limited_alloc(void *self, size_t bytes) {
    (void)self;
    if (bytes > MOST_MEMORY || atomic_fetch_add(&used, bytes) > MOST_MEMORY - bytes) {
        if (bytes <= MOST_MEMORY) atomic_fetch_sub(&used, bytes);
        return NULL;
    }
    return malloc(bytes);
}

static void limited_free(void *self, void *at, size_t bytes) {
    (void)self;
    atomic_fetch_sub(&used, bytes);
    free(at);
}

/* ---- models, made once */

typedef struct { attn_model *model; attn_program *program; attn_graph_info graph; attn_tensor_info tensor[MOST_TENSORS]; } model;
static struct { attn_context *context; attn_diagnostics *diags; model at[MOST_MODELS]; uint32_t n; } world;

static void stop(const char *what) {
    for (size_t k = 0; k < attn_diagnostics_count(world.diags); k++) fprintf(stderr, "%s", attn_diagnostics_render(world.diags, k, false));
    fprintf(stderr, "fuzz call: %s\n", what);
    exit(2);
}

static void make_model(const char *text, const char *target) {
    model *m = &world.at[world.n];
    attn_module *module = NULL;
    attn_module_options options = ATTN_MODULE_OPTIONS_INIT;
    options.target = target;
    if (attn_program_from_text(world.context, "fuzz.attn", text, strlen(text), world.diags, &m->program) != ATTN_OK) stop("a program is wrong");
    if (attn_module_create(world.context, m->program, &options, world.diags, &module) != ATTN_OK) stop("a program does not compile");
    if (attn_model_create(world.context, module, NULL, world.diags, &m->model) != ATTN_OK) stop("no model");
    attn_module_destroy(module);
    m->graph = (attn_graph_info)ATTN_GRAPH_INFO_INIT;
    attn_program_graph(m->program, 0, &m->graph);
    for (size_t k = 0; k < m->graph.n_tensors; k++) {
        m->tensor[k] = (attn_tensor_info)ATTN_TENSOR_INFO_INIT;
        attn_program_tensor(m->program, NULL, k, &m->tensor[k]);
    }
    world.n++;
}

static void destroy_models(void) {
    for (uint32_t k = 0; k < world.n; k++) {
        attn_model_destroy(world.at[k].model);
        attn_program_destroy(world.at[k].program);
    }
    attn_context_destroy(world.context);
    attn_diagnostics_destroy(world.diags);
}

static void corpus(fuzz_corpus *c) {
    attn_context_options options = ATTN_CONTEXT_OPTIONS_INIT;
    static const attn_allocator allocator = {limited_alloc, limited_free, NULL};
    options.threads = 2;
    options.allocator = &allocator;
    if (attn_diagnostics_create(NULL, &world.diags) != ATTN_OK || attn_context_create(&options, world.diags, &world.context) != ATTN_OK) stop("no context");
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        if (attn_target_check(world.context, targets[t], NULL) != ATTN_OK) continue;
        for (size_t k = 0; k < sizeof programs / sizeof *programs; k++) make_model(programs[k], targets[t]);
    }
    atexit(destroy_models);
    fuzz_add(c, "a call", "the bytes of an input are nothing but the seed of a call", 56);
}

/* ---- tensors */

typedef struct { void *memory; size_t bytes; attn_tensor *tensor; int64_t dim[ATTN_MAX_RANK], stride[ATTN_MAX_RANK]; int rank; attn_dtype dtype; } argument;

static void fill(fuzz_random *r, attn_dtype dtype, void *at, size_t bytes) {
    size_t one = attn_dtype_bytes(dtype);
    for (size_t k = 0; k < bytes / one; k++) {
        int64_t i = fuzz_below(r, 40) ? fuzz_below(r, 3) : edges[fuzz_below(r, sizeof edges / sizeof *edges)];
        double f = fuzz_below(r, 40) ? (double)fuzz_below(r, 9) - 4 : (double[]){1e300, -(double)INFINITY, (double)NAN, 5e-324}[fuzz_below(r, 4)];
        if (dtype == ATTN_F32) ((float *)at)[k] = (float)f;
        else if (dtype == ATTN_F64) ((double *)at)[k] = f;
        else if (dtype == ATTN_I32) ((int32_t *)at)[k] = (int32_t)i;
        else if (dtype == ATTN_I64) ((int64_t *)at)[k] = i;
        else ((uint8_t *)at)[k] = (uint8_t)(fuzz_below(r, 200) ? i & 1 : i);
    }
}

/* Something about the tensor is changed, once in a few. */
static void spoil(fuzz_random *r, argument *a) {
    int axis = a->rank ? (int)fuzz_below(r, (uint32_t)a->rank) : 0;
    switch (fuzz_below(r, 12)) {
    case 0: a->dtype = (attn_dtype)fuzz_below(r, 6); break;
    case 1: a->rank = (int)fuzz_below(r, 10) - 1; break;
    case 2: a->dim[axis] = edges[fuzz_below(r, sizeof edges / sizeof *edges)]; break;
    case 3: a->dim[axis] += fuzz_below(r, 2) ? 1 : -1; break;
    default: break;
    }
}

/* Dense strides; then, once in a few, others. With a stride of 0 even a huge extent is valid memory. */
static void choose_strides(fuzz_random *r, argument *a) {
    int64_t step = 1;
    for (int k = a->rank; k-- > 0;) {
        a->stride[k] = step;
        if (!base_mul(step, a->dim[k] > 0 ? a->dim[k] : 1, &step)) step = 0;
    }
    if (a->rank < 1 || fuzz_below(r, 4)) return;
    int axis = (int)fuzz_below(r, (uint32_t)a->rank);
    switch (fuzz_below(r, 4)) {
    case 0: a->stride[axis] = 0; break;
    case 1: a->stride[axis] = -a->stride[axis]; break;
    case 2: if (!base_mul(a->stride[axis], 2, &a->stride[axis])) a->stride[axis] = 3; break;
    default: a->stride[axis] = edges[fuzz_below(r, sizeof edges / sizeof *edges)];
    }
}

/* Lowest and highest element that the tensor reaches; false: nothing that could be memory. */
static bool reach(const argument *a, int64_t *lo, int64_t *hi) {
    *lo = *hi = 0;
    for (int k = 0; k < a->rank && k < ATTN_MAX_RANK; k++) {
        int64_t far;
        if (a->dim[k] <= 0) continue;
        if (!base_mul(a->dim[k] - 1, a->stride[k], &far) || far > MOST_BYTES || far < -MOST_BYTES) return false;
        if (far < 0) *lo += far;
        else *hi += far;
    }
    return true;
}

/* NULL where the library refuses such a tensor, or where there cannot be such memory. */
static attn_tensor *make_tensor(fuzz_random *r, argument *a) {
    int64_t lo, hi;
    choose_strides(r, a);
    if (!reach(a, &lo, &hi)) return NULL;
    size_t one = attn_dtype_bytes(a->dtype) ? attn_dtype_bytes(a->dtype) : 1;
    size_t odd = fuzz_below(r, 16) ? 0 : fuzz_below(r, 8);               /* where elements are not aligned */
    a->bytes = (size_t)(hi - lo + 1) * one + odd;
    a->memory = guarded_alloc(a->bytes);
    if (!a->memory) return NULL;
    if (attn_dtype_bytes(a->dtype) && !odd) fill(r, a->dtype, a->memory, a->bytes);
    else memset(a->memory, 0, a->bytes);
    attn_tensor_wrap(world.context, a->dtype, a->rank, a->dim, a->stride, (char *)a->memory - lo * (int64_t)one, world.diags, &a->tensor);
    return a->tensor;
}

static void free_tensor(argument *a) {
    attn_tensor_destroy(a->tensor);
    guarded_free(a->memory, a->bytes);
}

/* ---- one call */

typedef struct { argument argument[MOST_TENSORS]; attn_argument inputs[MOST_TENSORS + 1], outputs[MOST_TENSORS + 1]; attn_run_options options; } calling;

static bool describe(const model *m, size_t k, const attn_dim *dims, argument *a) {
    a->dtype = m->tensor[k].dtype;
    a->rank = m->tensor[k].rank;
    return attn_program_shape(world.context, m->program, NULL, k, dims, m->graph.n_dims, world.diags, a->dim) == ATTN_OK;
}

static void add_argument(fuzz_random *r, const model *m, size_t k, calling *c) {
    argument *a = &c->argument[k];
    bool output = m->tensor[k].kind == ATTN_OUTPUT;
    if (fuzz_below(r, 30) == 0) return;                                  /* left out */
    spoil(r, a);
    attn_argument arg = {fuzz_below(r, 60) ? m->tensor[k].name : "other", output && fuzz_below(r, 2) ? NULL : make_tensor(r, a)};
    if (output) c->outputs[c->options.n_outputs++] = arg;
    else c->inputs[c->options.n_inputs++] = arg;
    if (!output && fuzz_below(r, 60) == 0 && c->options.n_inputs < MOST_TENSORS) c->inputs[c->options.n_inputs++] = arg;
}

static const char *finish(const calling *c, const model *m, attn_status status) {
    for (size_t k = 0; k < c->options.n_outputs; k++) {                  /* what the run has made is the caller's */
        attn_tensor *t = c->outputs[k].tensor;
        for (size_t i = 0; t && i < m->graph.n_tensors; i++)
            if (t == c->argument[i].tensor) t = NULL;
        if (t && status != ATTN_OK) return "a run that failed has made an output";
        attn_tensor_destroy(t);
    }
    if (status == ATTN_ERROR_INTERNAL) return "an internal error";
    if (status != ATTN_OK && attn_diagnostics_count(world.diags) == 0) return "it failed without a report";
    return NULL;
}

static const char *run(fuzz_round *f) {
    fuzz_random *r = f->random;
    const model *m = &world.at[fuzz_below(r, world.n)];
    attn_dim dims[MOST_TENSORS];
    calling *c = BASE_NEW(f->arena, calling);
    c->options = (attn_run_options)ATTN_RUN_OPTIONS_INIT;
    attn_diagnostics_clear(world.diags);
    for (size_t k = 0; k < m->graph.n_dims; k++) dims[k] = (attn_dim){m->graph.dim_names[k], fuzz_below(r, 6)};
    for (size_t k = 0; k < m->graph.n_tensors; k++) {
        if (!describe(m, k, dims, &c->argument[k])) continue;
        add_argument(r, m, k, c);
    }
    attn_diagnostics_clear(world.diags);
    c->options.inputs = c->inputs, c->options.outputs = c->outputs;
    c->options.dims = dims, c->options.n_dims = fuzz_below(r, 3) ? 0 : m->graph.n_dims;
    if (c->options.n_dims && fuzz_below(r, 4) == 0) dims[0].value = edges[fuzz_below(r, sizeof edges / sizeof *edges)];
    const char *fault = finish(c, m, attn_model_run(m->model, &c->options, world.diags));
    for (size_t k = 0; k < m->graph.n_tensors; k++) free_tensor(&c->argument[k]);
    return fault;
}

const fuzz_target fuzz_call = {"call", "calls of compiled programs with unfit tensors", corpus, run, NULL, 0, true, 0};

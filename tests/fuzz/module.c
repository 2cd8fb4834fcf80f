/* Files of modules: the one of tests/support/handmade.c with changes, sealed again, since a checksum finds damage and not malice. What is read is made a
 * model, bound and run, with functions that do nothing in place of the code: whatever its tables say, the runtime itself may touch its own memory
 * and the tensors only. Blocks are counted and bounded, so that a module cannot ask for more than there is. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "handmade.h"

enum { MOST_BYTES = 1 << 20, RUN_NS = 20000000 };

static const char *const words[] = {"\x01\0\0", "\xff\xff\xff\xff", "index", "w.{l}", "N = 2", "cpu"};

static void corpus(fuzz_corpus *c) {
    size_t n;
    const void *file = rt_module_write(&handmade, c->arena, &n);
    fuzz_add(c, "module", file, n);
}

/* ---- running what was read */

/* Exact blocks, zeroed: what lies behind them is seen by a sanitizer, and uninitialised memory decides nothing. */
static void *alloc(void *self, size_t bytes) {
    (void)self;
    return bytes <= MOST_BYTES ? calloc(1, bytes + !bytes) : NULL;
}
static void give_back(void *self, void *at, size_t bytes) {
    (void)self, (void)bytes;
    free(at);
}

static bool skip_items(void *self, const attn_job *job) {
    (void)self, (void)job;
    return true;
}
static int one(void *self) {
    (void)self;
    return 1;
}

/* Two elements along each axis, whatever it is. */
static void make_array(base_arena *arena, const rt_tensor_info *t, rt_array *out) {
    int64_t dim[RT_RANK], n = 1;
    for (uint32_t k = 0; k < t->rank; k++) dim[k] = 2, n *= 2;
    rt_array_dense(out, t->dtype, t->rank, dim, base_alloc(arena, (size_t)n * rt_dtypes[t->dtype].bytes));
}

/* What is no memory of the round's arena, which may run out at any request. */
static rt_model model;
static rt_call running;

static void run_graph(fuzz_round *f, base_diags *diags, const rt_instance *i) {
    const rt_graph *g = i->graph;
    rt_call *c = &running;
    rt_array *tensors = BASE_ARRAY(f->arena, g->n_tensors, rt_array);
    *c = (rt_call){.instance = i, .arena = f->arena, .diags = diags, .tensors = tensors};
    c->terms = (attn_call){sizeof c->terms, 1, rt_now_ns() + RUN_NS, 0, NULL};
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        if (g->tensors[k].kind == RT_TENSOR_PARAM) tensors[k] = i->params[k];
        else if (g->tensors[k].kind == RT_TENSOR_INPUT) make_array(f->arena, &g->tensors[k], &tensors[k]);
        else tensors[k].rank = RT_UNKNOWN;
    }
    if (!rt_bind(c)) return;
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        int64_t dim[RT_RANK];
        if (g->tensors[k].kind != RT_TENSOR_OUTPUT) continue;
        rt_tensor_shape(c, k, dim);
        rt_array_dense(&tensors[k], g->tensors[k].dtype, g->tensors[k].rank, dim, NULL);         /* not wanted: it lies in the block */
    }
    rt_run(c);
    rt_release(c);
}

static void run_model(fuzz_round *f, base_diags *diags, const rt_module *m) {
    rt_given *given = BASE_ARRAY(f->arena, m->n_params, rt_given);
    for (uint32_t k = 0; k < m->n_params; k++) {
        rt_array *a = BASE_NEW(f->arena, rt_array);
        rt_tensor_info t = {.dtype = m->params[k].dtype, .rank = m->params[k].rank};
        make_array(f->arena, &t, a);
        given[k] = (rt_given){m->params[k].name, a};
    }
    rt_weights weights = {given, m->n_params, NULL};
    if (rt_model_make(&model, &weights, f->arena, f->arena, diags))
        for (uint32_t g = 0; g < m->n_graphs; g++) run_graph(f, diags, &model.graphs[g]);
}

/* As an owner does it: a jump for lack of memory comes here first, then goes on. From the model on sizes are the module's. */
static void own_model(fuzz_round *f, base_diags *diags, const rt_module *m) {
    static const rt_executor none = {sizeof none, NULL, skip_items, one};
    static const base_allocator bounded = {alloc, give_back, NULL};
    static jmp_buf here;
    static volatile bool failed;
    jmp_buf *before = base_arena_recover(f->arena, &here);
    model = (rt_model){.module = m, .executor = none, .allocator = bounded};
    running = (rt_call){0};
    failed = true;
    f->large = true;
    if (!setjmp(here)) {
        run_model(f, diags, m);
        failed = false;
    }
    if (running.memory) rt_release(&running);
    rt_model_release(&model);
    base_arena_recover(f->arena, before);
    if (failed) base_arena_fail(f->arena);
}

/* What is accepted is written as it was read. */
static const char *reads_back(fuzz_round *f, const rt_module *m) {
    size_t n, again_n;
    const char *wrong;
    const void *once = rt_module_write(m, f->arena, &n);
    const rt_module *read = rt_module_read(once, n, f->arena, &wrong);
    if (!read) return base_printf(f->arena, "what was written is refused: %s", wrong);
    const void *twice = rt_module_write(read, f->arena, &again_n);
    return n == again_n && !memcmp(once, twice, n) ? NULL : "what was written reads back as something else";
}

static const char *run(fuzz_round *f) {
    base_diags *diags = base_diags_create(f->arena);
    unsigned char *file = base_copy(f->arena, f->at, f->n + 1);
    const char *wrong = NULL;
    if (f->n >= 64 && fuzz_below(f->random, 8)) rt_module_seal(file, f->n);
    const rt_module *m = rt_module_read(file, f->n, f->arena, &wrong);
    if (!m) return wrong && *wrong ? NULL : "refused without a reason";
    const char *fault = reads_back(f, m);
    if (fault) return fault;
    own_model(f, diags, m);
    fuzz_reports(f->arena, diags);
    return NULL;
}

/* Refused files take memory by their size alone: copies of them, and structs a few times as large. */
const fuzz_target fuzz_module = {"module", "files of modules", corpus, run, words, sizeof words / sizeof *words, true, 64};

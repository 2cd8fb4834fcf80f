/* Which launches of a module's set-ups are the same: the same code on the same params, constants and results of such launches. Each class has a
 * number, by which a model knows what it has computed already. Graphs that share params so share what is made of them.
 */
#include <string.h>
#include "api.h"

/* What an operand is, whatever graph it belongs to. MADE: result `k` of the launch with that number. */
typedef enum { SOURCE_NONE, SOURCE_PARAM, SOURCE_CONST, SOURCE_MADE } source_kind;
typedef struct { source_kind kind; uint32_t number, k; const rt_buffer *constant; } source;
typedef struct { const rt_kernel *kernel; uint32_t n_buffers, number; source *operands; } known;
typedef struct { base_arena *arena; BASE_VEC(known) all; uint32_t n_numbers; } numbering;

static bool same_bytes(const void *a, const void *b, size_t n) { return a == b || !n || !memcmp(a, b, n); }

static bool same_code(const rt_image *a, const rt_image *b) {
    return a->n == b->n && a->entry == b->entry && !strcmp(a->symbol, b->symbol) && same_bytes(a->bytes, b->bytes, a->n);
}

static bool same_source(const source *a, const source *b) {
    if (a->kind != b->kind || a->kind == SOURCE_NONE) return false;
    if (a->kind == SOURCE_CONST) return a->constant->data_bytes == b->constant->data_bytes && same_bytes(a->constant->data, b->constant->data, (size_t)a->constant->data_bytes);
    return a->number == b->number && a->k == b->k;
}

/* How often the set-up writes a buffer. One that is cleared or copied before is more than its launch says. */
static uint32_t writes(const rt_entry *e, uint32_t buffer) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < e->n_setup; k++) {
        const rt_step *s = &e->steps[k];
        uint32_t written = s->kind == RT_STEP_LAUNCH ? e->kernels[s->kernel].n_results : s->kind == RT_STEP_COPY || s->kind == RT_STEP_ZERO;
        for (uint32_t i = 0; i < written; i++) n += s->buffers[i] == buffer;
    }
    return n;
}

/* Results that are all kept, and made by this launch alone. */
static bool can_be_shared(const rt_entry *e, const rt_step *s) {
    const rt_kernel *k = &e->kernels[s->kernel];
    for (uint32_t i = 0; i < k->n_results; i++)
        if (e->buffers[s->buffers[i]].kind != RT_BUFFER_KEPT || writes(e, s->buffers[i]) != 1) return false;
    return true;
}

/* made: by buffer of the entry, what is known of results. */
static source source_of(const rt_graph *g, const rt_entry *e, const source *made, uint32_t buffer) {
    const rt_buffer *b = &e->buffers[buffer];
    if (b->kind == RT_BUFFER_CONST) return (source){.kind = SOURCE_CONST, .constant = b};
    if (b->kind == RT_BUFFER_TENSOR) return (source){.kind = SOURCE_PARAM, .number = g->tensors[b->index].index};
    return made[buffer];
}

static uint32_t number_of(numbering *n, const known *x, uint32_t n_operands) {
    for (uint32_t k = 0; k < n->all.n; k++) {
        const known *y = &n->all.at[k];
        bool same = x->n_buffers == y->n_buffers && x->kernel->n_results == y->kernel->n_results && same_code(&x->kernel->image, &y->kernel->image);
        for (uint32_t i = 0; same && i < n_operands; i++) same = same_source(&x->operands[i], &y->operands[i]);
        if (same) return y->number;
    }
    return ++n->n_numbers;
}

static void number_launch(numbering *n, const rt_graph *g, const rt_entry *e, source *made, rt_step *s) {
    const rt_kernel *kernel = &e->kernels[s->kernel];
    uint32_t n_operands = s->n_buffers - kernel->n_results;
    known x = {kernel, s->n_buffers, 0, BASE_ARRAY(n->arena, n_operands, source)};
    if (!can_be_shared(e, s)) return;
    for (uint32_t i = 0; i < n_operands; i++) {
        x.operands[i] = source_of(g, e, made, s->buffers[kernel->n_results + i]);
        if (x.operands[i].kind == SOURCE_NONE) return;
    }
    s->same = x.number = number_of(n, &x, n_operands);
    BASE_PUSH(n->arena, &n->all, x);
    for (uint32_t i = 0; i < kernel->n_results; i++) made[s->buffers[i]] = (source){.kind = SOURCE_MADE, .number = x.number, .k = i};
}

/* Launches in loops are left out: they are several. */
static void number_entry(numbering *n, const rt_graph *g, const rt_entry *e) {
    source *made = BASE_ARRAY(n->arena, e->n_buffers, source);
    uint32_t depth = 0;
    for (uint32_t k = 0; k < e->n_setup; k++) {
        rt_step *s = (rt_step *)(uintptr_t)&e->steps[k];         /* the compiler's own, just made */
        depth += s->kind == RT_STEP_LOOP;
        depth -= s->kind == RT_STEP_NEXT;
        if (s->kind == RT_STEP_LAUNCH && depth == 0) number_launch(n, g, e, made, s);
    }
}

void drv_number_setups(const rt_module *m, base_arena *scratch) {
    numbering n = {.arena = scratch};
    for (uint32_t g = 0; g < m->n_graphs; g++)
        for (uint32_t e = 0; e < m->graphs[g].n_entries; e++) number_entry(&n, &m->graphs[g], &m->graphs[g].entries[e]);
}

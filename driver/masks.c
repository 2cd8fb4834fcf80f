/* Pictures of masks: how each kernel's guard is judged for tiles of rows and columns, as text and as SVG. What the guard needs is computed
 * by the evaluator: the tables that it reads, their summaries, and what these are made of; nothing else of the graph. */
#include <stddef.h>
#include <string.h>
#include "api.h"
#include "points.h"
#include "sizes.h"

enum { MOST_TILES = 512, PIXELS = 12 };      /* along an axis; of a tile's side */
typedef enum { EMPTY, PARTIAL, FULL, N_KINDS } tile_kind;

typedef struct {
    attn_context *context;
    const attn_program *program;
    const char *graph;
    const attn_argument *inputs; size_t n_inputs;
    const attn_dim *dims; size_t n_dims;
    attn_mask_picture picture;
    char *out;
} request;

/* ---- sizes and values */

static const attn_argument *argument_of(const request *r, const char *name) {
    for (size_t k = 0; k < r->n_inputs; k++)
        if (r->inputs[k].name && r->inputs[k].tensor && !strcmp(r->inputs[k].name, name)) return &r->inputs[k];
    return NULL;
}

/* Sizes that are named, then those that shapes of inputs give. */
static attn_dim *sizes_of(api_call *call, const request *r, const ir_graph *g, size_t *n) {
    attn_dim *dims = BASE_ARRAY(call->scratch, r->n_dims + (size_t)g->body.n * IR_RANK + 1, attn_dim);
    for (*n = 0; *n < r->n_dims; ++*n) dims[*n] = r->dims[*n];
    for (uint32_t k = 0; k < g->body.n; k++) {
        const ir_node *node = g->body.at[k];
        const attn_argument *a = node->form == IR_FORM_INPUT ? argument_of(r, g->unit->value.at[node->source.value].name) : NULL;
        if (!a || node->source.packed) continue;
        const ir_type *t = &g->unit->value.at[node->source.value].type;
        for (uint32_t axis = 0; axis < t->rank && axis < a->tensor->array.rank; axis++)
            if (ir_is(g->unit, t->dim[axis], IR_DIM))
                dims[(*n)++] = (attn_dim){g->unit->dim.at[ir_at(g->unit, t->dim[axis])->u.ref].name, a->tensor->array.dim[axis]};
    }
    return dims;
}

/* ---- what masks need of the graph */

typedef struct { bool *needed; const ir_unit *u; } needs;
static bool note_read(const ir_unit *u, void *env, ir_expr e) {
    if (ir_is(u, e, IR_READ)) ((needs *)env)->needed[ir_at(u, e)->u.ref] = true;
    return true;
}
static void note_mask(needs *n, const ir_mask *m) {
    const ir_expr all[] = {m->tile.may, m->tile.must, m->keys[0].first, m->keys[0].last, m->keys[0].full_first, m->keys[0].full_last};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) ir_walk(n->u, all[k], note_read, n);
}

static bool makes_needed(const needs *n, const ir_node *node) {
    bool any = false;
    if (node->form == IR_FORM_MAP)
        for (uint32_t k = 0; k < node->map.n_results; k++) any |= n->needed[node->map.results[k].store.result];
    if (node->form == IR_FORM_LOOP)
        for (uint32_t k = 0; k < node->loop.n_carries; k++) any |= n->needed[node->loop.carries[k].result];
    return any || node->form == IR_FORM_CONST;
}
static void note_node(void *env, const ir_node *node, uint32_t depth) {
    needs *n = env;
    (void)depth;
    for (uint32_t k = 0; node->form == IR_FORM_MAP && k < node->map.n_results; k++) {
        ir_walk(n->u, node->map.results[k].body, note_read, n);
        if (node->map.results[k].store.into) n->needed[node->map.results[k].store.into] = true;
    }
    for (uint32_t k = 0; node->form == IR_FORM_LOOP && k < node->loop.n_carries; k++)
        if (node->loop.carries[k].init) n->needed[node->loop.carries[k].init] = true;
}

/* Backwards, so that what a needed node reads is needed before its own node comes. */
static ir_graph *part_of(api_call *call, const ir_graph *g, needs *n) {
    bool *keep = BASE_ARRAY(call->scratch, g->body.n + 1, bool);
    for (uint32_t k = g->body.n; k-- > 0;) {
        const ir_node *node = g->body.at[k];
        keep[k] = makes_needed(n, node) || (node->form == IR_FORM_INPUT && n->needed[node->source.value]);
        if (keep[k]) ir_graph_each(&(ir_graph){.unit = g->unit, .body = {&g->body.at[k], 1}}, note_node, n);
    }
    ir_builder *b = ir_builder_create(g->unit);
    for (uint32_t k = 0; k < g->body.n; k++)
        if (keep[k]) ir_builder_add(b, g->body.at[k]);
    ir_graph *part = ir_graph_with(g, ir_builder_block(b));
    part->n_outputs = 0;
    return part;
}

/* Inputs of the part; a param is given by nobody here, and reads of it have no value. */
static bool take_inputs(api_call *call, const request *r, const ir_graph *part, ir_frame *frame) {
    for (uint32_t k = 0; k < part->body.n; k++) {
        const ir_node *node = part->body.at[k];
        if (node->form != IR_FORM_INPUT) continue;
        const char *name = part->unit->value.at[node->source.value].name;
        const attn_argument *a = argument_of(r, name);
        if (!a) return api_argument(call, base_printf(call->scratch, "a mask reads %s, which is not among the inputs given", name)), false;
        if (!drv_take(call, part->unit, frame, node->source.value, &a->tensor->array)) return false;
    }
    return true;
}

/* ---- one kernel's tiles */

typedef struct {
    const ir_kernel *k;
    ir_points *p;
    uint32_t row, col;                       /* axes of the picture */
    bool has_row;
    int64_t rows, cols, n_down, n_across, tile[2];
    uint8_t *kind;
} picture;

static int64_t value_of(picture *x, ir_expr e, int64_t otherwise) {
    int64_t v;
    return ir_points_eval(x->p, e, &v) ? v : otherwise;
}
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static void stand(picture *x, uint32_t axis, int64_t lo, int64_t hi) {
    if (!x->k->mask->lo[axis]) return;
    ir_points_set(x->p, x->k->mask->lo[axis], lo);
    ir_points_set(x->p, x->k->mask->hi[axis], hi);
}

/* The row axis that the guard is about, and the column of its folds. */
static void choose_axes(picture *x) {
    const ir_mask *m = x->k->mask;
    x->col = m->keys[0].axis;
    for (uint32_t i = 1; i < m->n_keys; i++)
        if (!ir_depends(x->k->unit, m->visible, x->k->axes[x->col].var)) x->col = m->keys[i].axis;
    for (uint32_t a = 0; a < x->k->n_axes; a++) {
        if (x->k->axes[a].role != IR_ROW || (x->has_row && ir_depends(x->k->unit, m->visible, x->k->axes[x->row].var))) continue;
        x->row = a;
        x->has_row = true;
    }
}

/* Items at their first index, other rows too, other columns anywhere. */
static bool begin(picture *x) {
    const ir_mask *m = x->k->mask;
    choose_axes(x);
    for (uint32_t a = 0; a < x->k->n_axes; a++) {
        ir_points_set(x->p, x->k->axes[a].var, 0);
        const int64_t extent = m->lo[a] ? value_of(x, x->k->unit->var.at[m->lo[a]].extent, -1) : 1;
        if (extent < 0) return false;
        stand(x, a, 0, x->k->axes[a].role == IR_ROW ? 0 : extent - 1);
        if (a == x->row && x->has_row) x->rows = extent;
        if (a == x->col) x->cols = extent;
    }
    if (!x->has_row) x->rows = 1;
    for (uint32_t k = 0; k < 2; k++) x->tile[k] = least(x->tile[k], INT32_MAX);      /* as much as an axis has, so that sums fit */
    x->n_down = (x->rows + x->tile[0] - 1) / x->tile[0];
    x->n_across = (x->cols + x->tile[1] - 1) / x->tile[1];
    return true;
}

/* Within the range of keys, by it alone where it is exact, else by may and must. What has no value is undecided. */
static tile_kind judge(picture *x, const int64_t *keys, int64_t lo, int64_t hi) {
    const ir_mask *m = x->k->mask;
    const bool here = x->col == m->keys[0].axis;
    if (here && (keys[1] < keys[0] || hi < keys[0] || lo > keys[1])) return EMPTY;
    if (here && m->keys[0].exact) return lo >= keys[2] && hi <= keys[3] ? FULL : PARTIAL;
    stand(x, x->col, lo, hi);
    return value_of(x, m->tile.must, 0) ? FULL : value_of(x, m->tile.may, 1) ? PARTIAL : EMPTY;
}
static void judge_all(api_call *call, picture *x) {
    const ir_keys *k = &x->k->mask->keys[0];
    x->kind = BASE_ARRAY(call->scratch, (size_t)(x->n_down * x->n_across) + 1, uint8_t);
    for (int64_t y = 0; y < x->n_down; y++) {
        if (x->has_row) stand(x, x->row, y * x->tile[0], least(x->rows, (y + 1) * x->tile[0]) - 1);
        const int64_t keys[] = {value_of(x, k->first, 0), value_of(x, k->last, INT64_MAX), value_of(x, k->full_first, 0), value_of(x, k->full_last, -1)};
        for (int64_t c = 0; c < x->n_across; c++)
            x->kind[y * x->n_across + c] = (uint8_t)judge(x, keys, c * x->tile[1], least(x->cols, (c + 1) * x->tile[1]) - 1);
    }
}

/* ---- pictures */

static const char *axis_name(const picture *x, uint32_t a) { return x->k->unit->var.at[x->k->axes[a].var].name; }

static void caption(picture *x, base_text *out) {
    int64_t n[N_KINDS] = {0}, all = x->n_down * x->n_across;
    for (int64_t t = 0; t < all; t++) n[x->kind[t]]++;
    base_text_add(out, "%s: %lld x %lld tiles of %lld x %lld, %s down, %s across", x->k->name, (long long)x->n_down, (long long)x->n_across, (long long)x->tile[0],
                  (long long)x->tile[1], x->has_row ? axis_name(x, x->row) : "no row", axis_name(x, x->col));
    for (uint32_t a = 0; a < x->k->n_axes; a++)
        if (x->k->axes[a].role == IR_ITEM || (x->k->axes[a].role == IR_ROW && a != x->row)) base_text_add(out, ", %s = 0", axis_name(x, a));
    for (uint32_t c = 0; c < x->k->n_counters; c++)
        base_text_add(out, ", %s = %lld", x->k->unit->var.at[x->k->counters[c]].name, (long long)value_of(x, ir_var_expr(x->k->unit, x->k->counters[c]), 0));
    base_text_add(out, ": %lld empty, %lld partial, %lld full", (long long)n[EMPTY], (long long)n[PARTIAL], (long long)n[FULL]);
    base_text_add(out, x->k->mask->keys[0].exact ? ", in closed form" : "");
}

static void draw_text(picture *x, base_text *out) {
    caption(x, out);
    base_text_add(out, "\n");
    for (int64_t y = 0; y < x->n_down; y++) {
        for (int64_t c = 0; c < x->n_across; c++) base_text_add(out, "%c", ".+#"[x->kind[y * x->n_across + c]]);
        base_text_add(out, "\n");
    }
    base_text_add(out, "\n");
}

/* One rectangle per run of equal tiles; empty ones are the ground. */
static void draw_svg(picture *x, int64_t *top, base_text *out) {
    static const char *const colours[] = {"", "#e8a33d", "#2f6f9f"};
    base_text_add(out, "<text x=\"0\" y=\"%lld\" font-family=\"monospace\" font-size=\"12\">", (long long)*top + 12);
    caption(x, out);
    base_text_add(out, "</text>\n");
    *top += 20;
    base_text_add(out, "<rect x=\"0\" y=\"%lld\" width=\"%lld\" height=\"%lld\" fill=\"#eeeeee\"/>\n", (long long)*top, (long long)(x->n_across * PIXELS), (long long)(x->n_down * PIXELS));
    for (int64_t y = 0; y < x->n_down; y++)
        for (int64_t c = 0, end; c < x->n_across; c = end) {
            const uint8_t *row = &x->kind[y * x->n_across];
            for (end = c + 1; end < x->n_across && row[end] == row[c];) end++;
            if (row[c] != EMPTY)
                base_text_add(out, "<rect x=\"%lld\" y=\"%lld\" width=\"%lld\" height=\"%d\" fill=\"%s\"/>\n", (long long)(c * PIXELS), (long long)(*top + y * PIXELS),
                              (long long)((end - c) * PIXELS), PIXELS, colours[row[c]]);
        }
    *top += x->n_down * PIXELS + 16;
}

/* ---- all */

/* Kernels of a loop are drawn as in its first turn. What is computed inside the loop has no value here, and leaves its tiles undecided. */
static void begin_loop(void *env, const ir_node *node, uint32_t depth) {
    ir_points *p = env;
    int64_t first = 0;
    (void)depth;
    if (node->form != IR_FORM_LOOP) return;
    ir_points_set(p, node->loop.counter, ir_points_eval(p, node->loop.lo, &first) ? first : 0);
}

static bool draw_kernels(api_call *call, const request *r, const pass_state *s, const ir_frame *frame, base_text *out) {
    base_text body;
    base_text_init(&body, call->scratch);
    int64_t top = 0, width = 0;
    ir_points *p = ir_points_create(s->graph->unit, frame, call->scratch);
    ir_graph_each(s->graph, begin_loop, p);
    for (uint32_t k = 0; k < s->n_kernels; k++) {
        picture x = {.k = s->kernels[k], .p = p, .tile = {r->picture.rows, r->picture.columns}};
        if (!x.k->mask || !x.k->mask->n_keys || !begin(&x)) continue;
        if (x.n_down > MOST_TILES || x.n_across > MOST_TILES) return api_argument(call, "a picture of a mask has at most 512 tiles along each axis"), false;
        judge_all(call, &x);
        if (r->picture.svg) draw_svg(&x, &top, &body);
        else draw_text(&x, &body);
        width = x.n_across * PIXELS > width ? x.n_across * PIXELS : width;
    }
    if (width < 900) width = 900;
    if (r->picture.svg) base_text_add(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%lld\" height=\"%lld\">\n", (long long)width, (long long)top);
    if (body.n) base_text_add(out, "%s", body.at);
    if (r->picture.svg) base_text_add(out, "</svg>\n");
    if (!body.n && !r->picture.svg) base_text_add(out, "no kernel of the graph has a mask\n");
    return true;
}

static attn_status masks(api_call *call, void *args) {
    request *r = args;
    const api_graph *g = api_graph_find(r->program, r->graph);
    const ir_backend *b = drv_backend(r->context, "cpu");
    pass_state state;
    drv_slots slots;
    base_text text;
    size_t n_dims;
    api_use_files(call, r->program);
    if (!g) return api_unknown_graph(call, r->program, r->graph), ATTN_ERROR_ARGUMENT;
    if (!b) return api_argument(call, "masks are judged for the target cpu, which this library does not have");
    const attn_dim *dims = sizes_of(call, r, g->graph, &n_dims);
    if (!drv_sizes(call, r->program, g, dims, n_dims, true, &slots)) return api_status(call);
    if (!drv_lower(call, call->scratch, r->program, (uint32_t)(g - r->program->graphs), 0, NULL, b, NULL, dims, n_dims, "mask", &state)) return api_status(call);
    const ir_unit *u = state.graph->unit;
    ir_frame frame = ir_frame_create(u, call->scratch);
    for (uint32_t d = 1; d < u->dim.n; d++) frame.dim[d] = slots.at[d - 1];
    needs n = {BASE_ARRAY(call->scratch, u->value.n + 1, bool), u};
    for (uint32_t k = 0; k < state.n_kernels; k++)
        if (state.kernels[k]->mask && state.kernels[k]->mask->n_keys) note_mask(&n, state.kernels[k]->mask);
    ir_graph *part = part_of(call, state.graph, &n);
    if (!take_inputs(call, r, part, &frame) || !ir_graph_eval(part, &frame, call->scratch, call->diags)) return api_status(call);
    base_text_init(&text, call->scratch);
    if (!draw_kernels(call, r, &state, &frame, &text)) return api_status(call);
    r->out = api_hand_out(call, &text);
    return ATTN_OK;
}

attn_status attn_program_masks(attn_context *context, const attn_program *program, const char *graph, const attn_argument *inputs, size_t n_inputs, const attn_dim *dims,
                               size_t n_dims, const attn_mask_picture *how, attn_diagnostics *diagnostics, char **out) {
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (!context || !program || (n_inputs && !inputs) || (n_dims && !dims)) return ATTN_ERROR_ARGUMENT;
    request r = {context, program, graph, inputs, n_inputs, dims, n_dims, ATTN_MASK_PICTURE_INIT, NULL};
    if (how && !api_options(&r.picture, sizeof r.picture, offsetof(attn_mask_picture, rows), how)) return ATTN_ERROR_ARGUMENT;
    if (r.picture.rows == 0) r.picture.rows = 32;
    if (r.picture.columns == 0) r.picture.columns = 32;
    if (r.picture.rows < 0 || r.picture.columns < 0) return ATTN_ERROR_ARGUMENT;
    const attn_status status = api_run(&context->allocator, diagnostics, masks, &r);
    if (status == ATTN_OK) *out = r.out;
    return status;
}

/* mask: which tiles of rows and columns take part in the folds of a kernel.
 *
 * In: legal kernels. Out: kernel->mask where a fold has a guard. The guard of the folds, through the lines that it reads, is one truth
 * value over axes; for a tile of rows and columns it becomes two expressions over the corners of the tile. Where there is no rule the
 * answer is "unknown", which is right and only slower: `may` true, `must` false. */
#include "mask.h"
#include "schedule.h"

/* ---- the guard, as one expression over axes */

static ir_expr through_lets(ir_unit *u, void *env, ir_expr e) {
    const ir_kernel *k = env;
    if (!ir_is(u, e, IR_LET)) return 0;
    const ir_let *l = &k->lets[ir_at(u, e)->u.ref];
    /* Features and folds are loops: their value is not known before the tile is run, and stays a line, of which there is no rule. */
    return l->kind == IR_LET_EXPR ? ir_rebuild(u, l->e, through_lets, env) : e;
}

static bool is_fold(const ir_let *l) { return l->kind == IR_LET_FOLD || l->kind == IR_LET_ACC; }

static bool folds_over(const ir_kernel *k, ir_var v) {
    for (uint32_t i = 0; i < k->n_lets; i++)
        for (uint32_t j = 0; is_fold(&k->lets[i]) && j < k->lets[i].n_over; j++)
            if (k->lets[i].over[j] == v) return true;
    return false;
}

typedef struct { ir_expr any, all; } guards;     /* what some fold takes; what all do */
/* 0, 0: no fold, or one that takes every pair and leaves nothing to judge. */
static guards guards_of(const ir_kernel *k) {
    ir_unit *u = k->unit;
    guards g = { ir_bool(u, false), ir_bool(u, true) };
    for (uint32_t i = 0; i < k->n_lets; i++) {
        if (!is_fold(&k->lets[i])) continue;
        ir_expr guard = ir_rebuild(u, k->lets[i].where, through_lets, (void *)(uintptr_t)k);
        g.any = ir_or(u, g.any, guard);
        g.all = ir_and(u, g.all, guard);
    }
    return g;
}

/* ---- corners */

typedef struct {
    const ir_kernel *k;
    ir_mask *m;
    mask_corner *corners; uint32_t n;
    ir_expr *extent;             /* by axis: of its corners, over items and corners of earlier axes */
    guards g;
    mask_summaries *summaries;
    bool opaque;
    mask_values used;
} masking;

static mask_state state_of(const masking *x, const mask_corner *corners, uint32_t n) {
    mask_state s = mask_begin(x->k->unit, n, corners, x->summaries);
    s.opaque = x->opaque;
    return s;
}

/* Columns that are fewer for some rows than for others end at the longest; where each ends is part of the guard. */
static ir_expr longest(masking *x, const ir_axis *axis) {
    mask_state s = state_of(x, x->corners, x->n);
    if (mask_is_point(&s, axis->extent)) return axis->extent;
    ir_unit *u = s.u;
    ir_expr inside = ir_op2(u, IR_LT, ir_var_expr(u, axis->var), axis->extent);
    x->g.any = ir_and(u, x->g.any, inside);
    x->g.all = ir_and(u, x->g.all, inside);
    return mask_bounds_of(&s, axis->extent).hi;
}

static ir_var corner_new(masking *x, const ir_axis *axis, const char *end, ir_expr extent) {
    ir_unit *u = x->k->unit;
    return ir_var_new(u, base_printf(u->arena, "%s.%s", u->var.at[axis->var].name, end), extent);
}

/* Rows and columns have two corners each; items stand still while a tile is judged, and of all else nothing is known. False: an extent
 * has no bound. */
static bool make_corners(masking *x) {
    const ir_kernel *k = x->k;
    ir_unit *u = k->unit;
    for (uint32_t a = 0; a < k->n_axes; a++) {
        const ir_axis *axis = &k->axes[a];
        mask_corner c = { .var = axis->var };
        if (axis->role == IR_ROW || axis->role == IR_COL) {
            x->extent[a] = longest(x, axis);
            if (!x->extent[a]) return false;
            x->m->lo[a] = corner_new(x, axis, "lo", x->extent[a]);
            x->m->hi[a] = corner_new(x, axis, "hi", x->extent[a]);
            c.lo = ir_var_expr(u, x->m->lo[a]), c.hi = ir_var_expr(u, x->m->hi[a]);
        }
        if (axis->role != IR_ITEM) x->corners[x->n++] = c;
    }
    return true;
}

/* ---- the mask */

static void note_used(masking *x, const mask_state *s) {
    for (uint32_t i = 0; i < s->used.n; i++) BASE_PUSH(s->arena, &x->used, s->used.at[i]);
}

/* Along one column axis, for a tile of all others: who asks has an index of the others, or says that they may be anywhere. */
static ir_keys keys_along(masking *x, uint32_t axis, ir_expr any, ir_expr all) {
    mask_state s = state_of(x, x->corners, x->n);
    ir_keys keys = mask_keys_of(&s, any, all, x->k->axes[axis].var, x->extent[axis]);
    keys.axis = axis;
    note_used(x, &s);
    return keys;
}

/* Ranges of keys that are exact are at least as good as what tiles are judged by. Where they are not, conditions are looked at together. */
static void join_axes(masking *x) {
    for (uint32_t a = 0, c = 0; a < x->k->n_axes; a++) {
        if (x->k->axes[a].role == IR_ITEM) continue;
        x->corners[c++].joined = x->k->axes[a].role == IR_COL || x->k->axes[a].role == IR_ROW;
    }
}

static void fill(masking *x) {
    const ir_kernel *k = x->k;
    ir_unit *u = k->unit;
    ir_mask *m = x->m;
    ir_expr any = mask_form(u, x->g.any, MASK_LIFTS), all = x->g.any == x->g.all ? any : mask_form(u, x->g.all, MASK_LIFTS);
    for (uint32_t a = 0; a < k->n_axes; a++)
        if (k->axes[a].role == IR_COL && folds_over(k, k->axes[a].var)) m->keys[m->n_keys++] = keys_along(x, a, any, all);
    bool exact = m->n_keys > 0;
    for (uint32_t i = 0; i < m->n_keys; i++) exact = exact && m->keys[i].exact;
    for (uint32_t i = 0; i < m->n_keys; i++) m->keys[i].exact = exact;
    if (!exact) join_axes(x);
    mask_state s = state_of(x, x->corners, x->n);
    m->tile = (ir_truth){ mask_truth_of(&s, any).may, mask_truth_of(&s, all).must };
    note_used(x, &s);
    m->work = m->n_keys == 1 ? mask_work(u, &m->keys[0]) : 0;
    m->seen = mask_at_whole(u, k, m, m->tile.may);
    m->rows_seen = m->n_keys == 1 ? mask_rows_seen(k, x->g.any, m->keys[0].axis, x->summaries, x->opaque, &x->used) : ir_bool(u, false);
}

ir_mask *mask_of_kernel(const ir_kernel *k, mask_summaries *summaries, mask_values *used) {
    base_arena *a = k->unit->arena;
    guards g = guards_of(k);
    if (ir_is_bool(k->unit, g.all, true)) return NULL;
    ir_mask *m = BASE_NEW(a, ir_mask);
    masking x = { .k = k, .m = m, .corners = BASE_ARRAY(a, k->n_axes, mask_corner), .extent = BASE_ARRAY(a, k->n_axes, ir_expr), .g = g,
                  .summaries = summaries, .opaque = ir_has_op(k->unit, g.any, IR_LET) || ir_has_op(k->unit, g.all, IR_LET) };
    m->lo = BASE_ARRAY(a, k->n_axes, ir_var);
    m->hi = BASE_ARRAY(a, k->n_axes, ir_var);
    m->keys = BASE_ARRAY(a, k->n_axes, ir_keys);
    if (!make_corners(&x)) return NULL;
    m->visible = x.g.any;
    fill(&x);
    *used = x.used;
    return m;
}

/* What a kernel's mask reads beside its lines becomes part of its frame. */
static ir_kernel *with_mask(base_arena *arena, const ir_kernel *k, const ir_mask *m, const mask_values *used) {
    ir_kernel *out = base_copy(arena, k, sizeof *out);
    BASE_VEC(ir_value) values = { 0 };
    for (uint32_t i = 0; i < k->n_values; i++) BASE_PUSH(arena, &values, k->values[i]);
    for (uint32_t i = 0; i < used->n; i++) {
        bool there = false;
        for (uint32_t j = 0; j < values.n; j++) there |= values.at[j] == used->at[i];
        if (!there) BASE_PUSH(arena, &values, used->at[i]);
    }
    out->values = values.at, out->n_values = values.n;
    out->mask = m;
    return out;
}

ir_kernel *pass_mask_kernel(const ir_kernel *k) {
    mask_values used = { 0 };
    return with_mask(k->unit->arena, k, mask_of_kernel(k, NULL, &used), &used);
}

/* ---- summaries in the graph: right behind the value that they summarise */

typedef struct {
    pass_state *state;
    const mask_summaries *all;
    BASE_VEC(ir_kernel *) kernels;
    bool ok;                     /* false: reported */
} inserting;

static void insert_for(inserting *x, ir_builder *b, ir_value v) {
    for (uint32_t k = 0; k < mask_summaries_count(x->all); k++) {
        const mask_summary *s = mask_summaries_at(x->all, k);
        for (uint32_t i = 0; i < s->n_nodes && s->source == v; i++) {
            const ir_kernel *kernel = pass_lower_node(x->state->graph->unit, s->nodes[i]);
            ir_builder_add(b, s->nodes[i]);
            if (kernel) BASE_PUSH(x->state->arena, &x->kernels, pass_legalize_kernel(kernel, x->state->target));
            else x->ok = false;
        }
    }
}

static ir_block with_summaries(inserting *x, const ir_block *block, uint32_t n_inside, const ir_carry *inside);

/* Carries are there at the beginning of each turn, other values behind the node that makes them. */
static ir_node *loop_with(inserting *x, const ir_node *loop) {
    ir_node *n = ir_node_copy(x->state->graph->unit, loop);
    n->loop.body = with_summaries(x, &loop->loop.body, loop->loop.n_carries, loop->loop.carries);
    return n;
}
static void insert_behind(inserting *x, ir_builder *b, const ir_node *n) {
    if (n->form == IR_FORM_MAP)
        for (uint32_t k = 0; k < n->map.n_results; k++) insert_for(x, b, n->map.results[k].store.result);
    if (n->form == IR_FORM_LOOP)
        for (uint32_t k = 0; k < n->loop.n_carries; k++) insert_for(x, b, n->loop.carries[k].result);
}

static bool is_source(const ir_node *n) { return n->form == IR_FORM_INPUT || n->form == IR_FORM_PARAM || n->form == IR_FORM_CONST; }

/* Sources stay together at the beginning, so their summaries come behind the last. */
static ir_block with_summaries(inserting *x, const ir_block *block, uint32_t n_inside, const ir_carry *inside) {
    ir_builder *b = ir_builder_create(x->state->graph->unit);
    uint32_t at = 0;
    for (; at < block->n && is_source(block->at[at]); at++) ir_builder_add(b, block->at[at]);
    for (uint32_t k = 0; k < at; k++) insert_for(x, b, block->at[k]->source.value);
    for (uint32_t k = 0; k < n_inside; k++) insert_for(x, b, inside[k].inside);
    for (; at < block->n; at++) {
        ir_node *n = block->at[at];
        ir_builder_add(b, n->form == IR_FORM_LOOP ? loop_with(x, n) : n);
        insert_behind(x, b, n);
    }
    return ir_builder_block(b);
}

/* Kernels of summaries come behind the others: which node a kernel is of says its result. */
static bool insert(pass_state *state, const mask_summaries *all) {
    inserting x = { .state = state, .all = all, .ok = true };
    if (!mask_summaries_count(all)) return true;
    for (uint32_t i = 0; i < state->n_kernels; i++) BASE_PUSH(state->arena, &x.kernels, state->kernels[i]);
    state->graph = ir_graph_with(state->graph, with_summaries(&x, &state->graph->body, 0, NULL));
    state->kernels = x.kernels.at, state->n_kernels = x.kernels.n;
    return x.ok && ir_graph_verify(state->graph, "mask");
}

/* Summaries are worth their time where tiles of columns are left out: by the template for attention, and by targets without one, whose
 * rows visit columns one tile after the other, if there are values to sum up. Other templates visit every column. */
static bool visits_tiles(const pass_state *state, const ir_kernel *k) {
    if (state->target->attend_rate > 0) return pass_is_few(k, state->target, state->representative) || pass_attends(k, state->target, state->representative) >= 0;
    for (uint32_t i = 0; i < k->n_lets; i++)
        if (k->lets[i].kind == IR_LET_ACC) return true;
    return false;
}

/* Kernels are not changed in place: the judge may hold the same one. */
bool pass_mask(pass_state *state) {
    mask_summaries *all = mask_summaries_create(state->arena);
    for (uint32_t i = 0; i < state->n_kernels; i++) {
        mask_values used = { 0 };
        const bool walks = visits_tiles(state, state->kernels[i]);
        const ir_mask *m = mask_of_kernel(state->kernels[i], walks ? all : NULL, &used);
        if (m) state->kernels[i] = with_mask(state->arena, state->kernels[i], m, &used);
    }
    return insert(state, all);
}

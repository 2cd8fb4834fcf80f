/* Panels: the column factors of products, packed before the launch that reads them. For each a map joins the graph and its kernel the others:
 *
 *   panels[l, block, e, lane] = select(block*W + lane < H*D, w[l, (block*W + lane)//D, e, (block*W + lane) % D], 0)
 *
 * A factor of parameters and constants alone is packed before everything else, for all turns of the loops around at once; any other right before
 * the map that reads it. It ends: one walk over the kernels, one over the graph. */
#include <string.h>
#include "schedule.h"

typedef struct {
    pass_state *state;
    ir_unit *u;
    base_arena *arena;
    bool *fixed;                 /* by value: a param or a const */
    BASE_VEC(ir_kernel *) kernels;
    BASE_VEC(ir_schedule *) schedules;
    BASE_VEC(ir_node *) first;   /* maps that pack parameters */
    BASE_VEC(struct { ir_value reader; ir_node *map; }) before;  /* maps that pack for the map with this first result */
} panels;

/* ---- one factor */

/* The axes of the panels: from a variable of the kernel (a counter, an item, a column, a feature) to one of the map. */
typedef struct {
    const ir_kernel *k;
    ir_binding to[IR_AXES + IR_RANK];
    uint32_t n_to;
    ir_var outer[IR_RANK];
    ir_expr at[IR_RANK];         /* where the launch that reads is on that axis: a counter or an item; 0: it walks the axis */
    uint32_t n_outer;
} factor;

static ir_var outer_new(factor *f, const char *name, ir_expr extent, ir_expr at) {
    ir_unit *u = f->k->unit;
    const ir_var v = ir_var_new(u, name, extent);
    f->outer[f->n_outer] = v;
    f->at[f->n_outer++] = at;
    return v;
}
static void bind(factor *f, ir_var from, ir_expr to) { f->to[f->n_to++] = (ir_binding){from, to}; }
static void bind_new(factor *f, ir_var from, ir_expr at) {
    const ir_var_info v = f->k->unit->var.at[from];
    bind(f, from, ir_var_expr(f->k->unit, outer_new(f, v.name, v.extent, at)));
}

/* Lines in the factor become what they say, down to reads. */
static ir_expr written_out(ir_unit *u, void *env, ir_expr e) {
    const ir_kernel *k = env;
    if (!ir_is(u, e, IR_LET)) return 0;
    return ir_rebuild(u, k->lets[ir_at(u, e)->u.ref].e, written_out, env);
}

/* Columns that are walked as one: position `at` among all of them, split again. Returns how many there are. */
static ir_expr split_columns(factor *f, uint32_t merged, ir_expr at) {
    ir_unit *u = f->k->unit;
    ir_expr n = ir_int(u, 1);
    const uint32_t outermost = (uint32_t)__builtin_ctz(merged);
    for (uint32_t a = f->k->n_axes; a-- > 0;) {
        if (!(merged >> a & 1)) continue;
        const ir_axis *x = &f->k->axes[a];
        ir_expr here = ir_op2(u, IR_FDIV, at, n);
        if (a != outermost) here = ir_op2(u, IR_MOD, here, x->extent);
        bind(f, x->var, here);
        n = ir_mul(u, n, x->extent);
    }
    return n;
}

/* In the order in which rows have them: packed rows as the line names them, others as the axes lie in memory; the lanes' feature last. */
static void bind_features(factor *f, const ir_let *l, const ir_let_schedule *s) {
    const ir_var lane = f->k->axes[s->lane_axis].var;
    const uint32_t n = s->packed ? l->n_over : f->k->n_axes;
    for (uint32_t i = 0; i < n; i++) {
        const ir_var v = s->packed ? l->over[i] : f->k->axes[i].var;
        bool mine = false;
        for (uint32_t o = 0; o < l->n_over; o++) mine |= l->over[o] == v;
        if (mine && v != lane) bind_new(f, v, 0);
    }
    bind_new(f, lane, 0);
}

typedef struct { const panels *p; bool fixed; } fixed_env;
static bool fixed_visit(const ir_unit *u, void *env, ir_expr e) {
    fixed_env *f = env;
    if (ir_is(u, e, IR_READ)) f->fixed &= f->p->fixed[ir_at(u, e)->u.ref];
    return true;
}
/* Of parameters alone: then it is the same in every turn of the loops around. Counters need an extent that is known before them. */
static bool is_fixed(const panels *p, const ir_kernel *k, ir_expr e) {
    fixed_env f = {p, true};
    ir_walk(p->u, e, fixed_visit, &f);
    for (uint32_t i = 0; i < k->n_counters; i++) {
        const ir_expr extent = p->u->var.at[k->counters[i]].extent;
        /* several: the stride of one is the extent of another, which the kernel has to know */
        f.fixed &= k->n_counters == 1 ? !ir_free(p->u, extent) && !ir_has_op(p->u, extent, IR_READ) : ir_is_int(p->u, extent, NULL);
    }
    return f.fixed;
}

/* Offset of the launch's first panel: its counters and items times the strides of the dense panels. */
static ir_expr offset_of(const factor *f) {
    ir_unit *u = f->k->unit;
    ir_expr at = ir_int(u, 0), stride = ir_int(u, 1);
    for (uint32_t i = f->n_outer; i-- > 0;) {
        if (f->at[i]) at = ir_add(u, at, ir_mul(u, f->at[i], stride));
        stride = ir_mul(u, stride, u->var.at[f->outer[i]].extent);
    }
    return at;
}

static const char *fresh_name(panels *p, const char *from) {
    for (uint32_t n = 1;; n++) {
        const char *name = n == 1 ? base_printf(p->arena, "%s_panels", from) : base_printf(p->arena, "%s_panels%u", from, n);
        bool taken = false;
        for (uint32_t v = 1; v < p->u->value.n && !taken; v++) taken = p->u->value.at[v].name && !strcmp(p->u->value.at[v].name, name);
        if (!taken) return name;
    }
}
typedef struct { ir_value value; } named_env;
static bool named_visit(const ir_unit *u, void *env, ir_expr e) {
    if (ir_is(u, e, IR_READ)) ((named_env *)env)->value = ir_at(u, e)->u.ref;
    return true;
}
/* After the value that is packed, the last one read: what it is indexed by comes before. */
static ir_node *map_of(panels *p, const factor *f, ir_expr body, base_span span) {
    named_env named = {0};
    ir_walk(p->u, body, named_visit, &named);
    ir_type type = {.dtype = f->k->real, .rank = (uint8_t)f->n_outer};
    for (uint32_t i = 0; i < f->n_outer; i++) type.dim[i] = p->u->var.at[f->outer[i]].extent;
    const ir_value value = ir_value_new(p->u, fresh_name(p, named.value ? p->u->value.at[named.value].name : f->k->name), &type);
    return ir_node_map(p->u, span, f->n_outer, f->outer, value, body);
}

/* The map that packs the factor of one product, and where the schedule finds it. */
static ir_node *pack(panels *p, const ir_schedule *s, uint32_t let, bool *first) {
    ir_unit *u = p->u;
    const ir_kernel *k = s->kernel;
    const ir_let *l = &k->lets[let];
    const ir_expr b = ir_rebuild(u, l->b, written_out, (void *)(uintptr_t)k), width = ir_int(u, s->col_block);
    const uint32_t merged = pass_contract_merged(k);
    factor f = {.k = k};
    *first = is_fixed(p, k, b);
    for (uint32_t i = 0; i < k->n_counters && *first; i++)
        if (ir_depends(u, b, k->counters[i])) bind_new(&f, k->counters[i], ir_var_expr(u, k->counters[i]));
    for (uint32_t a = 0; a < k->n_axes; a++)
        if ((k->axes[a].role == IR_ITEM || k->axes[a].role == IR_COL) && !(merged >> a & 1) && ir_depends(u, b, k->axes[a].var))
            bind_new(&f, k->axes[a].var, ir_var_expr(u, k->axes[a].var));
    const ir_expr blocks = ir_op2(u, IR_FDIV, ir_add(u, pass_contract_columns(k), ir_int(u, s->col_block - 1)), width);
    const ir_var block = outer_new(&f, "block", blocks, 0);
    bind_features(&f, l, &s->lets[let]);
    const ir_var lane = outer_new(&f, "lane", width, 0);
    const ir_expr at = ir_add(u, ir_mul(u, ir_var_expr(u, block), width), ir_var_expr(u, lane)), n = split_columns(&f, merged, at);
    const ir_expr body = ir_select(u, ir_op2(u, IR_LT, at, n), ir_substitute(u, b, f.n_to, f.to), ir_real(u, 0));
    s->lets[let].panels_at = offset_of(&f);
    return map_of(p, &f, body, k->span);
}

/* ---- the pass */

static void add_panels(panels *p, ir_schedule *s, ir_value value) {
    for (uint32_t i = 0; i < s->n_panels; i++)
        if (s->panels[i] == value) return;
    ir_value *all = BASE_ARRAY(p->arena, s->n_panels + 1, ir_value);
    for (uint32_t i = 0; i < s->n_panels; i++) all[i] = s->panels[i];
    all[s->n_panels++] = value;
    s->panels = all;
}
static void pack_all(panels *p, ir_schedule *s) {
    for (uint32_t i = 0; i < s->kernel->n_lets; i++) {
        bool first;
        if (!pass_is_product(&s->kernel->lets[i])) continue;
        ir_node *map = pack(p, s, i, &first);
        const ir_value value = map->map.results[0].store.result;
        s->lets[i].panels = value;
        add_panels(p, s, value);
        if (first) BASE_PUSH(p->arena, &p->first, map);
        else {
            const ir_value reader = s->kernel->values[0];
            p->before.at = base_grow(p->arena, p->before.at, p->before.n, p->before.n + 1, sizeof *p->before.at);
            p->before.at[p->before.n].reader = reader;
            p->before.at[p->before.n++].map = map;
        }
        ir_kernel *kernel = pass_legalize_kernel(pass_lower_node(p->u, map), p->state->target);
        BASE_PUSH(p->arena, &p->kernels, kernel);
        BASE_PUSH(p->arena, &p->schedules, pass_schedule_kernel(kernel, p->state->target, p->state->representative));
    }
}

static ir_block with_maps(panels *p, ir_block block, bool outermost);
/* Sources stand first; what packs parameters comes right behind them. */
static void add_node(panels *p, ir_builder *b, ir_node *n) {
    if (n->form == IR_FORM_MAP)
        for (uint32_t i = 0; i < p->before.n; i++)
            if (p->before.at[i].reader == n->map.results[0].store.result) ir_builder_add(b, p->before.at[i].map);
    if (n->form == IR_FORM_LOOP) {
        n = ir_node_copy(p->u, n);
        n->loop.body = with_maps(p, n->loop.body, false);
    }
    ir_builder_add(b, n);
}
static bool is_source(const ir_node *n) { return n->form == IR_FORM_INPUT || n->form == IR_FORM_PARAM || n->form == IR_FORM_CONST; }
static ir_block with_maps(panels *p, ir_block block, bool outermost) {
    ir_builder *b = ir_builder_create(p->u);
    bool packs = !outermost;
    for (uint32_t i = 0; i < block.n; i++) {
        for (uint32_t k = 0; !packs && !is_source(block.at[i]) && k < p->first.n; k++) ir_builder_add(b, p->first.at[k]);
        packs |= !is_source(block.at[i]);
        add_node(p, b, block.at[i]);
    }
    return ir_builder_block(b);
}

static void find_fixed(panels *p) {
    const ir_block *all = &p->state->graph->body;
    p->fixed = BASE_ARRAY(p->arena, p->u->value.n, bool);
    for (uint32_t i = 0; i < all->n; i++)
        if (all->at[i]->form == IR_FORM_PARAM || all->at[i]->form == IR_FORM_CONST) p->fixed[all->at[i]->source.value] = true;
}

/* What people ask when a product is slow: why it is no panels. Sums over few columns or rows say nothing. */
static void remark(panels *p, const ir_kernel *k, const char *why, double nest, double contract) {
    const char *text = contract > 0 ? base_printf(p->arena, "the products of %s are walked as a loop nest: %s (%.0f us as a nest, %.0f us in panels)", k->name, why, nest * 1e6, contract * 1e6)
                                    : base_printf(p->arena, "the products of %s are walked as a loop nest: %s", k->name, why);
    BASE_PUSH(p->state->arena, &p->state->remarks, ((pass_remark){text, k->span}));
}
/* Does a run pack anything for this kernel? What is made of parameters is packed with them, once for a model. */
static bool packs_here(const panels *p, const ir_kernel *k) {
    bool here = false;
    for (uint32_t i = 0; i < k->n_lets; i++)
        if (pass_is_product(&k->lets[i])) here |= !is_fixed(p, k, ir_rebuild(p->u, k->lets[i].b, written_out, (void *)(uintptr_t)k));
    return here;
}
static bool is_forced(const ir_target *t) { return t->contract_rows || t->contract_vectors || t->contract_tile || t->contract_block; }
/* The faster of both templates by the model's word; forced tiles are there to be tried. */
static void choose(panels *p, uint32_t i) {
    const ir_kernel *k = p->state->kernels[i];
    const ir_target *t = p->state->target;
    const char *why = pass_contract_unfit(k, t);
    if (why) {
        if (*why) remark(p, k, why, 0, 0);
        return;
    }
    const double nest = pass_nest_seconds(k, t, p->state->representative), contract = pass_contract_seconds(k, t, p->state->representative, packs_here(p, k));
    if (contract < nest || is_forced(t)) {
        p->state->schedules[i] = pass_contract(k, t, p->state->representative);
        pack_all(p, p->state->schedules[i]);
    } else remark(p, k, "packing costs more than it saves", nest, contract);
}

bool pass_contracts(pass_state *state) {
    panels p = {.state = state, .u = state->graph->unit, .arena = state->arena};
    const uint32_t n = state->n_kernels;
    find_fixed(&p);
    for (uint32_t i = 0; i < n; i++) choose(&p, i);
    if (!p.kernels.n) return true;
    state->graph = ir_graph_with(state->graph, with_maps(&p, state->graph->body, true));
    ir_kernel **kernels = BASE_ARRAY(p.arena, n + p.kernels.n, ir_kernel *);
    ir_schedule **schedules = BASE_ARRAY(p.arena, n + p.kernels.n, ir_schedule *);
    for (uint32_t i = 0; i < n + p.kernels.n; i++) {
        kernels[i] = i < n ? state->kernels[i] : p.kernels.at[i - n];
        schedules[i] = i < n ? state->schedules[i] : p.schedules.at[i - n];
    }
    state->kernels = kernels;
    state->schedules = schedules;
    state->n_kernels = n + p.kernels.n;
    return true;
}

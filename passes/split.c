/* split: where few items have long columns (one query, many keys), the columns are cut into parts that run side by side.
 *
 * In: the graph as it will be lowered. Out: a map whose kernel folds its columns in one sweep becomes two, if that is predicted to be faster on a
 * few threads at the representative sizes:
 *   the parts    one more axis p of parts in front; column j is p*C + j', j' runs over what is left of C columns. Results are the folds and sums as
 *                they stand at the end of the part, one tensor each
 *   the merge    folds over p. Absolute ones meet by their monoid; relative ones are weighed by 2^(reference of the part - reference), both
 *                computed from folds of lines above. Then what the map did after its sweep, and its stores
 * How many parts there are is an expression over dimensions, 1 where there are items enough: results depend on shapes alone, never on threads.
 * Both maps are written from the lines of the map's kernel, so what is relative to what need not be found out again; lowering takes them like
 * any other map. Loops' bodies are visited too. It ends: each map is looked at once, and maps that it makes are not.
 *
 * Smallest example: s[i] = sum(j: x[i,j]) becomes s_part[p,i] = sum(j': x[i, p*C + j']) and s[i] = sum(p: s_part[p,i]); tests/golden/split. */
#include "lower.h"
#include "schedule.h"

/* PART_COLUMNS: the fewest of a part, several blocks of any template; ITEMS: enough for any number of threads, above it nothing is split; WORKERS: threads that
 * the judge counts on; LAUNCHES: what is shorter than so many launches is left, handing out parts would cost as much; FORCED_PARTS: where a target forces splits; WEIGHT_LOG2: the greatest weight of a part, which no sum needs: the reference
 * of a part that saw nothing may lie anywhere, and its sum, 0, has to stay 0. */
enum { PART_COLUMNS = 2048, ITEMS = 16, WORKERS = 4, LAUNCHES = 100, FORCED_PARTS = 5, WEIGHT_LOG2 = 120 };

typedef struct {                 /* one map on its way to two */
    ir_unit *u;
    pass_state *state;
    const ir_node *node;
    const ir_kernel *k;
    int32_t column;              /* the axis that is cut */
    ir_expr parts, size;         /* how many; columns of each but the last */
    ir_var part, inside;         /* p; j' of part p */
    ir_expr *line;               /* by line: what it means in the map that is written now; 0: it has no meaning there */
    ir_value *partial;           /* by line: FOLD, ACC: its value in each part */
    uint32_t n_folds;
} split_state;

static bool is_fold(const ir_let *l) { return l->kind == IR_LET_FOLD || l->kind == IR_LET_ACC; }

/* ---- may it be */

/* The longest column that all folds run over, whose extent is one over dimensions and which ends no other axis; -1: there is none. */
static int32_t column_of(const split_state *s) {
    const pass_planner p = {.u = s->u, .k = s->k};
    int32_t found = -1;
    double most = 0;
    for (uint32_t a = 0; a < s->k->n_axes; a++) {
        const ir_axis *x = &s->k->axes[a];
        if (x->role != IR_COL || !pass_over_dims(&p, x->extent) || ir_free(s->u, x->extent) || pass_shapes(&p, a, IR_COL | IR_FEAT)) continue;
        const double size = pass_size(s->u, x->extent, s->state->representative);
        if (size <= most) continue;
        found = (int32_t)a;
        most = size;
    }
    return found;
}
static bool stores_fit(const ir_kernel *k) {
    for (uint32_t i = 0; i < k->n_stores; i++) {
        const ir_store *at = &k->stores[i].at;
        if (at->mode != IR_STORE_ONE || at->into || ir_kernel_rank(k, k->stores[i].e) & IR_COL) return false;
        for (uint32_t n = 0; n < at->n_places; n++)
            if (ir_kernel_rank(k, at->places[n]) & IR_COL) return false;
    }
    return true;
}
/* Partial results have an axis for the part and for each item and row, sums for values too. */
static bool folds_fit(const split_state *s) {
    uint32_t rank = 1;
    for (uint32_t a = 0; a < s->k->n_axes; a++) rank += s->k->axes[a].role != IR_COL && s->k->axes[a].role != IR_FEAT;
    for (uint32_t i = 0; i < s->k->n_lets; i++) {
        const ir_let *l = &s->k->lets[i];
        bool over = !is_fold(l);
        for (uint32_t o = 0; o < l->n_over; o++) over |= l->over[o] == s->k->axes[s->column].var;
        if (!over) return false;
    }
    return rank <= IR_RANK;
}

/* ---- lines as expressions of a graph */

static ir_expr take_line(ir_unit *u, void *env, ir_expr e) {
    const split_state *s = env;
    return ir_is(u, e, IR_LET) ? s->line[ir_at(u, e)->u.ref] : 0;
}
/* 0: it reads a line that has no meaning there. Lines that do are no lets, so none is left. */
static ir_expr written(split_state *s, ir_expr e) {
    const ir_expr out = e ? ir_rebuild(s->u, e, take_line, s) : 0;
    return out && !ir_has_op(s->u, out, IR_LET) ? out : 0;
}
static ir_expr written_body(split_state *s, const ir_let *l) {
    const ir_expr e = l->e ? written(s, l->e) : 0;
    if (!l->b) return e;
    const ir_expr a = l->kind == IR_LET_TERM ? written(s, l->a) : e, b = written(s, l->b);
    return a && b ? ir_mul(s->u, a, b) : 0;
}
/* The fold over the columns of part p: j' for j. */
static ir_expr of_part(split_state *s, const ir_let *l, ir_expr where, ir_expr body) {
    ir_unit *u = s->u;
    const ir_var column = s->k->axes[s->column].var;
    const ir_binding move = {column, ir_add(u, ir_mul(u, ir_var_expr(u, s->part), s->size), ir_var_expr(u, s->inside))};
    ir_var *over = base_copy(u->arena, l->over, l->n_over * sizeof *l->over);
    for (uint32_t o = 0; o < l->n_over; o++)
        if (over[o] == column) over[o] = s->inside;
    return ir_reduce(u, (ir_red)l->red, l->n_over, over, ir_substitute(u, where, 1, &move), ir_substitute(u, body, 1, &move));
}
/* In order: lines read upwards only. */
static void write_parts(split_state *s) {
    for (uint32_t i = 0; i < s->k->n_lets; i++) {
        const ir_let *l = &s->k->lets[i];
        const ir_expr body = written_body(s, l), where = l->kind == IR_LET_EXPR ? 0 : written(s, l->where);
        s->line[i] = 0;
        if (l->kind == IR_LET_EXPR) s->line[i] = body;
        else if (body && where && is_fold(l)) s->line[i] = of_part(s, l, where, body);
        else if (body && where) s->line[i] = ir_reduce(s->u, (ir_red)l->red, l->n_over, l->over, where, body);
    }
}

/* ---- the parts */

/* Axes of results: items and rows; of sums values too. */
static uint32_t outer_of(const split_state *s, bool values, ir_var *out) {
    uint32_t n = 0;
    for (uint32_t a = 0; a < s->k->n_axes; a++)
        if (s->k->axes[a].role == IR_ITEM || s->k->axes[a].role == IR_ROW || (values && s->k->axes[a].role == IR_VAL)) out[n++] = s->k->axes[a].var;
    return n;
}
static const char *fresh_name(const split_state *s) {
    for (uint32_t n = s->n_folds;; n++) {
        const char *name = n ? base_printf(s->u->arena, "%s_part%u", s->k->name, n + 1) : base_printf(s->u->arena, "%s_part", s->k->name);
        bool taken = false;
        for (uint32_t v = 1; v < s->u->value.n && !taken; v++) taken = s->u->value.at[v].name && !strcmp(s->u->value.at[v].name, name);
        if (!taken) return name;
    }
}
static uint8_t type_of(const ir_kernel *k, const ir_let *l) { return l->sort == IR_SORT_REAL ? k->real : l->sort == IR_SORT_BOOL ? IR_TYPE_BOOL : IR_TYPE_I64; }
static ir_result result_of(split_state *s, uint32_t i) {
    const ir_let *l = &s->k->lets[i];
    ir_var outer[IR_AXES];
    const uint32_t n = outer_of(s, l->kind == IR_LET_ACC, outer);
    ir_type type = {.dtype = type_of(s->k, l), .rank = (uint8_t)(n + 1)};
    ir_expr *places = BASE_ARRAY(s->u->arena, n + 1, ir_expr);
    for (uint32_t a = 0; a <= n; a++) {
        const ir_var v = a ? outer[a - 1] : s->part;
        type.dim[a] = s->u->var.at[v].extent;
        places[a] = ir_var_expr(s->u, v);
    }
    s->partial[i] = ir_value_new(s->u, fresh_name(s), &type);
    s->n_folds++;
    return (ir_result){s->line[i], {.mode = IR_STORE_ONE, .result = s->partial[i], .n_places = (uint8_t)(n + 1), .places = places}};
}
/* A variable belongs to one map: those of the old one stay with the merge. */
static void rename_outer(ir_unit *u, ir_node *n) {
    ir_binding all[IR_AXES + 1];
    for (uint32_t a = 1; a < n->map.n_outer; a++) {
        const ir_var_info old = u->var.at[n->map.outer[a]];
        const ir_var v = ir_var_new(u, old.name, old.extent);
        all[a - 1] = (ir_binding){n->map.outer[a], ir_var_expr(u, v)};
        n->map.outer[a] = v;
    }
    for (uint32_t i = 0; i < n->map.n_results; i++) {
        ir_result *r = &n->map.results[i];
        r->body = ir_substitute(u, r->body, n->map.n_outer - 1u, all);
        for (uint32_t k = 0; k < r->store.n_places; k++) r->store.places[k] = ir_substitute(u, r->store.places[k], n->map.n_outer - 1u, all);
    }
}
/* NULL: there is a fold that cannot be written. */
static ir_node *parts_map(split_state *s) {
    ir_node *n = ir_node_copy(s->u, s->node);
    ir_var outer[IR_AXES + 1] = {s->part};
    bool values = false;
    write_parts(s);
    n->map.results = BASE_ARRAY(s->u->arena, s->k->n_lets, ir_result);
    n->map.n_results = 0;
    for (uint32_t i = 0; i < s->k->n_lets; i++) {
        if (!is_fold(&s->k->lets[i])) continue;
        if (!s->line[i] || n->map.n_results == UINT8_MAX) return NULL;
        values |= s->k->lets[i].kind == IR_LET_ACC;
        n->map.results[n->map.n_results++] = result_of(s, i);
    }
    n->map.n_outer = (uint8_t)(outer_of(s, values, outer + 1) + 1);
    n->map.outer = base_copy(s->u->arena, outer, n->map.n_outer * sizeof *outer);
    rename_outer(s->u, n);
    return n;
}

/* ---- the merge */

static ir_expr partial_of(const split_state *s, uint32_t i) {
    ir_var outer[IR_AXES];
    ir_expr at[IR_AXES + 1] = {ir_var_expr(s->u, s->part)};
    const uint32_t n = outer_of(s, s->k->lets[i].kind == IR_LET_ACC, outer);
    for (uint32_t a = 0; a < n; a++) at[a + 1] = ir_var_expr(s->u, outer[a]);
    return ir_read(s->u, s->partial[i], n + 1, at);
}
/* Of line i, in each part or of all: folds as `fold` gives them, on what they have merged to or the part's. */
static ir_expr merged(split_state *s, const ir_let *l, uint32_t i, ir_expr part_ref) {
    ir_unit *u = s->u;
    ir_expr body = partial_of(s, i);
    if (l->ref >= 0) {
        const ir_expr ref = s->line[l->ref];
        if (!ref || !part_ref) return 0;
        body = ir_mul(u, ir_op1(u, IR_EXP2, ir_op2(u, IR_MIN, ir_sub(u, part_ref, ref), ir_real(u, WEIGHT_LOG2))), body);
    }
    return ir_reduce(u, (ir_red)l->red, 1, &s->part, ir_bool(u, true), body);
}
/* Two meanings side by side: of lines in part p (for references), and of lines when all parts are merged. Lines of columns have none. */
static void write_merge(split_state *s) {
    ir_expr *all = s->line, *part = BASE_ARRAY(s->u->arena, s->k->n_lets + 1, ir_expr);
    for (uint32_t i = 0; i < s->k->n_lets; i++) {
        const ir_let *l = &s->k->lets[i];
        all[i] = part[i] = 0;
        if (is_fold(l)) {
            all[i] = merged(s, l, i, l->ref >= 0 ? part[l->ref] : 0);
            part[i] = partial_of(s, i);
            continue;
        }
        if (l->rank & IR_COL) continue;
        for (int in_part = 0; in_part < 2; in_part++) {
            s->line = in_part ? part : all;
            ir_expr e = written_body(s, l);
            const ir_expr where = l->kind == IR_LET_TERM ? written(s, l->where) : 0;
            if (l->kind == IR_LET_TERM) e = e && where ? ir_reduce(s->u, (ir_red)l->red, l->n_over, l->over, where, e) : 0;
            s->line[i] = e;
        }
        s->line = all;
    }
}
/* NULL: a store reads what is not there. */
static ir_node *merge_map(split_state *s) {
    ir_node *n = ir_node_copy(s->u, s->node);
    ir_var outer[IR_AXES];
    write_merge(s);
    n->map.n_outer = (uint8_t)outer_of(s, true, outer);
    n->map.outer = base_copy(s->u->arena, outer, n->map.n_outer * sizeof *outer);
    n->map.results = BASE_ARRAY(s->u->arena, s->k->n_stores, ir_result);
    n->map.n_results = (uint8_t)s->k->n_stores;
    for (uint32_t i = 0; i < s->k->n_stores; i++) {
        const ir_kernel_store *store = &s->k->stores[i];
        n->map.results[i] = (ir_result){written(s, store->e), store->at};
        if (!n->map.results[i].body) return NULL;
    }
    return n;
}

/* ---- how many parts, and is it faster */

static bool forced(const split_state *s) { return s->state->target->split_columns > 0; }
static ir_expr ceiling(ir_unit *u, ir_expr a, ir_expr b) { return ir_op2(u, IR_FDIV, ir_add(u, a, ir_sub(u, b, ir_int(u, 1))), b); }
/* At least one, at most what makes enough items; each but the last of at least PART_COLUMNS columns. */
static ir_expr parts_of(const split_state *s, ir_expr items) {
    ir_unit *u = s->u;
    const ir_expr one = ir_int(u, 1), least = ir_int(u, forced(s) ? s->state->target->split_columns : PART_COLUMNS);
    const ir_expr wanted = forced(s) ? ir_int(u, FORCED_PARTS) : ceiling(u, ir_int(u, ITEMS), ir_op2(u, IR_MAX, items, one));
    return ir_op2(u, IR_MAX, one, ir_op2(u, IR_MIN, wanted, ir_op2(u, IR_FDIV, s->k->axes[s->column].extent, least)));
}
/* The axes p and j'. The last part is what is left, which may be nothing. */
static void choose_parts(split_state *s, ir_expr items) {
    ir_unit *u = s->u;
    const ir_expr columns = s->k->axes[s->column].extent;
    s->parts = parts_of(s, items);
    s->size = ceiling(u, columns, s->parts);
    s->part = ir_var_new(u, "p", s->parts);
    s->inside = ir_var_new(u, "j", ir_op2(u, IR_MIN, s->size, ir_sub(u, columns, ir_mul(u, ir_var_expr(u, s->part), s->size))));
}
/* Predicted seconds of a map on so many threads; HUGE_VAL: it has no kernel. */
static double seconds_of(const split_state *s, const ir_node *map, uint32_t threads) {
    const char *why;
    const ir_kernel *k = lower_try(s->u, map, &why);
    if (!k) return HUGE_VAL;
    k = pass_mask_kernel(k);
    const ir_schedule *plan = pass_schedule_kernel(k, s->state->target, s->state->representative);
    const double items = pass_size(s->u, plan->items, s->state->representative);
    return pass_seconds(k, s->state->target, s->state->representative) / fmax(1, fmin(items, threads));
}
/* It takes long, threads gain a tenth at least, and one loses a twentieth at most. */
static bool pays(const split_state *s, const ir_node *parts, const ir_node *merge) {
    const double many = seconds_of(s, parts, WORKERS) + seconds_of(s, merge, WORKERS), one = seconds_of(s, parts, 1) + seconds_of(s, merge, 1);
    if (many >= HUGE_VAL || forced(s)) return many < HUGE_VAL;
    const double whole = seconds_of(s, s->node, WORKERS);
    if (seconds_of(s, s->node, 1) < LAUNCHES * s->state->target->launch_s || many >= 0.9 * whole || one >= 1.05 * seconds_of(s, s->node, 1)) return false;
    const char *text = base_printf(s->state->arena, "columns of %s in parts, merged by a kernel of their own (%.0f us whole, %.0f us in parts, on %d threads)", s->k->name,
                                   1e6 * whole, 1e6 * many, WORKERS);
    BASE_PUSH(s->state->arena, &s->state->moves, ((pass_remark){text, s->node->span}));
    return true;
}

static bool can_be(split_state *s) {
    if (!s->k || s->k->n_sweeps != 1 || !stores_fit(s->k)) return false;
    s->column = column_of(s);
    return s->column >= 0 && folds_fit(s);
}
/* Both maps; false: the map stays as it is. */
static bool split_map(pass_state *state, const ir_node *node, ir_node **parts, ir_node **merge) {
    const char *why;
    split_state s = {.u = state->graph->unit, .state = state, .node = node, .k = lower_try(state->graph->unit, node, &why)};
    if (!can_be(&s)) return false;
    const ir_expr items = pass_schedule_kernel(s.k, state->target, state->representative)->items;
    if (ir_free(s.u, items) || ir_has_op(s.u, items, IR_READ)) return false;
    if (!forced(&s) && pass_size(s.u, parts_of(&s, items), state->representative) < 2) return false;
    choose_parts(&s, items);
    s.line = BASE_ARRAY(s.u->arena, s.k->n_lets + 1, ir_expr);
    s.partial = BASE_ARRAY(s.u->arena, s.k->n_lets + 1, ir_value);
    *parts = parts_map(&s);
    *merge = *parts ? merge_map(&s) : NULL;
    return *merge && pays(&s, *parts, *merge);
}

static bool folds(const ir_unit *u, const ir_node *n) {
    for (uint32_t i = 0; i < n->map.n_results; i++)
        if (n->map.results[i].body && ir_has_op(u, n->map.results[i].body, IR_RED)) return true;
    return false;
}
static ir_block split_block(pass_state *state, const ir_block *block) {
    ir_unit *u = state->graph->unit;
    ir_builder *out = ir_builder_create(u);
    for (uint32_t i = 0; i < block->n; i++) {
        ir_node *n = block->at[i], *parts, *merge;
        if (n->form == IR_FORM_LOOP) {
            n = ir_node_copy(u, n);
            n->loop.body = split_block(state, &n->loop.body);
        } else if (n->form == IR_FORM_MAP && folds(u, n) && split_map(state, n, &parts, &merge)) {
            ir_builder_add(out, parts);
            n = merge;
        }
        ir_builder_add(out, n);
    }
    return ir_builder_block(out);
}

/* A target without a template for rows and columns has items of its own kind, which this rule knows nothing of. */
bool pass_split(pass_state *state) {
    if (state->target->attend_rate <= 0) return true;
    state->graph = ir_graph_with(state->graph, split_block(state, &state->graph->body));
    return true;
}

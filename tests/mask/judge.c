/* What the compiler derives from a mask, evaluated for tiles: the expressions as one list in order of evaluation, in three levels (per
 * call, per tile of rows, per tile of columns), which is how emitters place them too. */
#include "masks.h"

typedef struct { ir_op op; uint8_t level; uint32_t ref, n, a[IR_RANK]; int64_t k; } step;
enum { MAY, MUST, SEEN, ROWS_SEEN, FIRST, LAST, FULL_FIRST, FULL_LAST, WORK, N_ROOTS };
struct judge {
    base_arena *arena;
    base_diags *diags;
    ir_unit *u;
    ir_kernel k;
    const ir_mask *m;
    ir_value values[N_TABLES], scalars[N_SCALARS];
    ir_dim dims[N_SCALARS], table_dims[N_TABLES][3];
    ir_var vars[N_SCALARS], row_lo, row_hi, col_lo, col_hi;
    ir_graph *tables;            /* the tables and their summaries */
    ir_frame frame;
    BASE_VEC(step) steps;
    int64_t *v;
    pass_memo index;
    uint32_t roots[N_ROOTS], n_level[4];         /* steps of a level stand together */
    uint32_t corner[4];
};

/* ---- the kernel */

static ir_expr scalar_of(judge *g, int s, ir_expr extent) {
    ir_unit *u = g->u;
    const char *name = world_scalars[s].name;
    switch (world_scalars[s].kind) {
    case 'd': return ir_dim_expr(u, g->dims[s] = ir_dim_new(u, name));
    case 't': return ir_read(u, g->scalars[s] = ir_value_new(u, name, &(ir_type){ .dtype = IR_TYPE_I32 }), 0, NULL);
    default: return ir_var_expr(u, g->vars[s] = ir_var_new(u, name, extent));
    }
}

static void declare_tables(judge *g) {
    ir_unit *u = g->u;
    for (int t = 0; t < N_TABLES; t++) {
        ir_type type = { .dtype = world_tables[t].dtype, .rank = world_tables[t].rank };
        for (uint32_t a = 0; a < type.rank; a++)
            type.dim[a] = ir_dim_expr(u, g->table_dims[t][a] = ir_dim_new(u, base_printf(g->arena, "%s%u", world_tables[t].name, a)));
        g->values[t] = ir_value_new(u, world_tables[t].name, &type);
    }
}

static ir_expr guard_of(judge *g, const char *text) {
    ir_unit *u = g->u;
    const char *names[N_SCALARS + 16];
    ir_expr values[N_SCALARS + 16];
    uint32_t n = 0;
    for (int s = 0; s < N_SCALARS; s++) {
        const ir_expr extent = s == SCALAR_i ? values[SCALAR_S] : s == SCALAR_j ? values[SCALAR_T] : ir_int(u, s == SCALAR_b ? 2 : 4);
        names[n] = world_scalars[s].name;
        values[n] = scalar_of(g, s, extent);
        n++;
    }
    declare_tables(g);
    for (int m = 0; world_macros[m][0]; m++, n++) {
        names[n] = world_macros[m][0];
        values[n] = ir_expr_parse(u, world_macros[m][1], n, names, values);
    }
    return ir_expr_parse(u, text, n, names, values);
}

/* A fold over j under the guard; what it folds does not matter. */
static void make_kernel(judge *g, ir_expr guard) {
    ir_unit *u = g->u;
    static const int vars[] = { SCALAR_b, SCALAR_h, SCALAR_i, SCALAR_j };
    g->k = (ir_kernel){ .unit = u, .name = "o", .axes = BASE_ARRAY(g->arena, 4, ir_axis), .n_axes = 4, .lets = BASE_ARRAY(g->arena, 2, ir_let), .n_lets = 2, .n_sweeps = 1 };
    for (uint32_t a = 0; a < 4; a++)
        g->k.axes[a] = (ir_axis){ g->vars[vars[a]], u->var.at[g->vars[vars[a]]].extent, a < 2 ? IR_ITEM : a == 2 ? IR_ROW : IR_COL };
    g->k.lets[0] = (ir_let){ .kind = IR_LET_EXPR, .sort = IR_SORT_BOOL, .rank = IR_ROW | IR_COL, .ref = -1, .e = guard };
    g->k.lets[1] = (ir_let){ .kind = IR_LET_FOLD, .sort = IR_SORT_REAL, .rank = IR_ROW, .red = IR_RED_SUM, .ref = -1, .over = base_copy(g->arena, &g->vars[SCALAR_j], sizeof(ir_var)),
                             .n_over = 1, .where = ir_let_expr(u, 0, IR_SORT_BOOL), .e = ir_real(u, 1) };
}

/* ---- steps */

static uint32_t step_of(judge *g, ir_expr e);

static uint8_t level_of(const judge *g, const ir_expr_info *x) {
    if (x->op != IR_VAR) return 0;
    return x->u.ref == g->col_lo || x->u.ref == g->col_hi ? 2 : x->u.ref == g->row_lo || x->u.ref == g->row_hi ? 1 : 0;
}

static uint32_t step_of(judge *g, ir_expr e) {
    uint32_t at;
    if (pass_memo_get(&g->index, e, &at)) return at;
    const ir_expr_info x = *ir_at(g->u, e);
    step s = { .op = (ir_op)x.op, .level = level_of(g, &x), .ref = x.u.ref, .n = x.operands.n, .k = x.u.i };
    if (x.op == IR_REAL) s.k = (int64_t)x.u.f;
    assert_true(s.n <= IR_RANK);
    for (uint32_t i = 0; i < s.n; i++) {
        s.a[i] = step_of(g, ir_operand(g->u, e, i));
        if (g->steps.at[s.a[i]].level > s.level) s.level = g->steps.at[s.a[i]].level;
    }
    at = BASE_PUSH(g->arena, &g->steps, s);
    pass_memo_put(&g->index, e, at);
    return at;
}

/* Steps of one level stand together, in their order: operands are of the same level or a lower one. */
static void sort_levels(judge *g) {
    step *sorted = BASE_ARRAY(g->arena, g->steps.n, step);
    uint32_t *to = BASE_ARRAY(g->arena, g->steps.n, uint32_t), n = 0;
    for (uint8_t level = 0; level < 3; level++) {
        g->n_level[level] = n;
        for (uint32_t k = 0; k < g->steps.n; k++)
            if (g->steps.at[k].level == level) to[k] = n, sorted[n++] = g->steps.at[k];
    }
    g->n_level[3] = n;
    for (uint32_t k = 0; k < n; k++)
        for (uint32_t i = 0; i < sorted[k].n; i++) sorted[k].a[i] = to[sorted[k].a[i]];
    for (uint32_t r = 0; r < N_ROOTS; r++) g->roots[r] = to[g->roots[r]];
    for (uint32_t c = 0; c < 4; c++) g->corner[c] = to[g->corner[c]];
    g->steps.at = sorted;
}

static void make_steps(judge *g) {
    const ir_mask *m = g->m;
    const ir_keys *q = &m->keys[0];
    const ir_expr roots[] = { m->tile.may, m->tile.must, m->seen, m->rows_seen, q->first, q->last, q->full_first, q->full_last, m->work };
    const ir_var corners[] = { g->row_lo, g->row_hi, g->col_lo, g->col_hi };
    g->index = pass_memo_create(g->arena);
    for (uint32_t c = 0; c < 4; c++) g->corner[c] = step_of(g, ir_var_expr(g->u, corners[c]));
    for (uint32_t r = 0; r < N_ROOTS; r++) g->roots[r] = step_of(g, roots[r]);
    sort_levels(g);
    g->v = BASE_ARRAY(g->arena, g->steps.n, int64_t);
}

/* ---- summaries, by the evaluator */

static void make_graph(judge *g, const mask_summaries *all) {
    ir_unit *u = g->u;
    ir_builder *b = ir_builder_create(u);
    for (int t = 0; t < N_TABLES; t++) ir_builder_add(b, ir_node_source(u, IR_FORM_INPUT, (base_span){ 0 }, g->values[t]));
    uint32_t n = 0;
    ir_value *values = BASE_ARRAY(g->arena, mask_summaries_count(all) * MASK_STATISTICS + 1, ir_value);
    for (uint32_t k = 0; k < mask_summaries_count(all); k++) {
        const mask_summary *s = mask_summaries_at(all, k);
        for (uint32_t i = 0; i < s->n_nodes; i++) ir_builder_add(b, s->nodes[i]);
        for (uint32_t i = 0; i < MASK_STATISTICS; i++)
            if (s->value[i]) values[n++] = s->value[i];
    }
    if (!n) values[n++] = g->values[0];
    ir_builder_add(b, ir_node_use(u, IR_FORM_OUTPUT, (base_span){ 0 }, n, values));
    g->tables = BASE_NEW(g->arena, ir_graph);
    *g->tables = (ir_graph){ .unit = u, .name = "tables", .body = ir_builder_block(b) };
    g->tables->outputs = (void *)BASE_ARRAY(g->arena, n, ir_output_info);
    g->tables->n_outputs = n;
    for (uint32_t k = 0; k < n; k++) g->tables->outputs[k] = (ir_output_info){ .value = values[k], .name = u->value.at[values[k]].name, .dtype = u->value.at[values[k]].type.dtype };
}

judge *judge_create(base_arena *arena, const char *text) {
    judge *g = BASE_NEW(arena, judge);
    g->arena = arena;
    g->diags = base_diags_create(arena);
    g->u = ir_unit_create(arena, g->diags);
    make_kernel(g, guard_of(g, text));
    if (g->diags->n_errors) fail_msg("%s: %s", text, g->diags->first->text);
    mask_summaries *all = mask_summaries_create(arena);
    mask_values used;
    g->m = mask_of_kernel(&g->k, all, &used);
    if (!g->m) return g;
    g->row_lo = g->m->lo[2], g->row_hi = g->m->hi[2], g->col_lo = g->m->lo[3], g->col_hi = g->m->hi[3];
    make_steps(g);
    make_graph(g, all);
    return g;
}
const ir_mask *judge_mask(const judge *g) { return g->m; }
const ir_kernel *judge_kernel(const judge *g) { return &g->k; }

/* ---- values */

static int64_t element(const judge *g, const step *s) {
    const ir_tensor *t = &g->frame.value[s->ref];
    int64_t at = 0;
    for (uint32_t k = 0; k < s->n; k++) {
        int64_t p = g->v[s->a[k]];
        p = p >= t->dim[k] ? t->dim[k] - 1 : p;
        at = at * t->dim[k] + (p < 0 ? 0 : p);
    }
    if (!t->n) return 0;
    if (ir_dtypes[t->dtype].sort != IR_SORT_REAL) return t->i[at];
    return isnan(t->f[at]) ? NOT_A_NUMBER : isinf(t->f[at]) ? (t->f[at] > 0 ? INT32_MAX : INT32_MIN) : (int64_t)t->f[at];
}

static int64_t divided(int64_t a, int64_t b, bool rest) {
    if (!b) return 0;
    return rest ? base_floor_mod(a, b) : base_floor_div(a, b);
}

static int64_t value_of(const judge *g, const step *s) {
    const int64_t a = s->n ? g->v[s->a[0]] : 0, b = s->n > 1 ? g->v[s->a[1]] : 0;
    const bool are_numbers = a != NOT_A_NUMBER && b != NOT_A_NUMBER;
    switch (s->op) {
    case IR_INT: case IR_BOOL: case IR_REAL: return s->k;
    case IR_FLOAT: return a;
    case IR_DIM: return g->frame.dim[s->ref];
    case IR_READ: return element(g, s);
    case IR_ADD: return a + b;
    case IR_SUB: return a - b;
    case IR_MUL: return a * b;
    case IR_NEG: return are_numbers ? -a : NOT_A_NUMBER;
    case IR_FDIV: case IR_MOD: return divided(a, b, s->op == IR_MOD);
    case IR_MIN: return a < b ? a : b;           /* of NOT_A_NUMBER it is that */
    case IR_MAX: return are_numbers ? a > b ? a : b : NOT_A_NUMBER;
    case IR_ABS: return a < 0 ? -a : a;
    case IR_LT: return are_numbers && a < b;
    case IR_LE: return are_numbers && a <= b;
    case IR_EQ: return are_numbers && a == b;
    case IR_NE: return !are_numbers || a != b;
    case IR_AND: return a && b;
    case IR_OR: return a || b;
    case IR_NOT: return !a;
    case IR_SELECT: return a ? b : g->v[s->a[2]];
    case IR_BIT: return a >> (b & 63) & 1;
    case IR_BITAND: case IR_BITOR: case IR_SHL: case IR_SHR: case IR_TOPBIT: return ir_bits(s->op, a, b);
    default: fail_msg("no meaning: %s", ir_ops[s->op].name); return 0;
    }
}

static void run(judge *g, uint32_t level) {
    for (uint32_t k = g->n_level[level]; k < g->n_level[level + 1]; k++)
        if (g->steps.at[k].op != IR_VAR) g->v[k] = value_of(g, &g->steps.at[k]);
}

static void bind_table(judge *g, int t, const table *from) {
    const uint8_t rank = world_tables[t].rank;
    for (uint32_t a = 0; a < rank; a++) g->frame.dim[g->table_dims[t][a]] = from->dim[a];
    ir_tensor x = ir_tensor_new(g->arena, world_tables[t].dtype, rank, from->dim);
    const bool real = ir_dtypes[world_tables[t].dtype].sort == IR_SORT_REAL;
    for (int64_t k = 0; k < x.n; k++)
        if (!real) x.i[k] = from->at[k];
        else x.f[k] = from->at[k] == NOT_A_NUMBER ? (double)NAN : (double)from->at[k];
    g->frame.value[g->values[t]] = x;
}

void judge_begin(judge *g, const world *at) {
    g->frame = ir_frame_create(g->u, g->arena);
    for (int t = 0; t < N_TABLES; t++) bind_table(g, t, &at->tables[t]);
    for (int s = 0; s < N_SCALARS; s++) {
        if (world_scalars[s].kind == 'd') g->frame.dim[g->dims[s]] = at->scalars[s];
        if (world_scalars[s].kind != 't') continue;
        g->frame.value[g->scalars[s]] = ir_tensor_new(g->arena, IR_TYPE_I32, 0, NULL);
        *g->frame.value[g->scalars[s]].i = at->scalars[s];
    }
    if (!ir_graph_eval(g->tables, &g->frame, g->arena, g->diags)) fail_msg("a summary: %s", g->diags->first->text);
    for (uint32_t k = 0; k < g->steps.n; k++)
        for (int s = 0; s < N_SCALARS && g->steps.at[k].op == IR_VAR; s++)
            if (world_scalars[s].kind == 'v' && g->steps.at[k].ref == g->vars[s]) g->v[k] = at->scalars[s];
    run(g, 0);
}
void judge_rows(judge *g, int64_t lo, int64_t hi) {
    g->v[g->corner[0]] = lo, g->v[g->corner[1]] = hi;
    run(g, 1);
}
kind judge_tile(judge *g, int64_t lo, int64_t hi) {
    g->v[g->corner[2]] = lo, g->v[g->corner[3]] = hi;
    run(g, 2);
    return g->v[g->roots[MUST]] ? FULL : g->v[g->roots[MAY]] ? PARTIAL : EMPTY;
}
key_range judge_keys(const judge *g) {
    return (key_range){ g->v[g->roots[FIRST]], g->v[g->roots[LAST]], g->v[g->roots[FULL_FIRST]], g->v[g->roots[FULL_LAST]] };
}
int64_t judge_work(const judge *g) { return g->v[g->roots[WORK]]; }
kind judge_by_keys(key_range k, int64_t lo, int64_t hi) {
    if (k.last < k.first || hi < k.first || lo > k.last) return EMPTY;
    return lo >= k.full_first && hi <= k.full_last ? FULL : PARTIAL;
}
bool judge_exact(const judge *g) { return g->m->keys[0].exact; }
bool judge_seen(const judge *g) { return g->v[g->roots[SEEN]] != 0; }
bool judge_rows_seen(const judge *g) { return g->v[g->roots[ROWS_SEEN]] != 0; }

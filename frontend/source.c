/* Where values come from and go to: inputs of the graph that the host calls, params, tables, facts, outputs. */
#include <string.h>
#include "lower.h"

/* ---- inputs */

/* Inputs become sources in the order in which they are declared. They are kept apart from the block being filled: join_blocks puts
 * them first. */
static ir_node *input_node(fe_lower *l, const fe_field *field, const fe_shape *shape)
{
    ir_value v = ir_value_new(l->u, field->name.text, &shape->type);
    ir_node *node = ir_node_source(l->u, IR_FORM_INPUT, fe_at(l, field->at), v);
    node->source.packed = shape->packed;
    BASE_PUSH(l->arena, &l->inputs, node);
    return node;
}

/* Names in the dimensions of inputs are new symbols, unless they are constants or dimensions of the file. What the frame knows already
 * is not free, so a name that stands in several inputs is one symbol. */
static void names_of_dim(fe_lower *l, fe_frame *f, const fe_expr *e)
{
    fe_env env = fe_env_of_frame(f);
    fe_names unknown = {0};
    fe_free_names(l, &env, e, &unknown);
    for (uint32_t k = 0; k < unknown.n; k++) fe_frame_dim(l, f, unknown.at[k].text, fe_new_dim(l, unknown.at[k]));
}

/* Growing axes have no dimension that could be named; they are refused later. */
static void names_of_type(fe_lower *l, fe_frame *f, const fe_type *type)
{
    for (uint32_t k = 0; k < type->dims->n; k++) {
        const fe_dim *d = &type->dims->at[k];
        if (d->kind == FE_DIM_PLAIN) names_of_dim(l, f, d->e);
        for (uint32_t i = 0; d->kind == FE_DIM_PACKED && i < d->parts->n; i++) names_of_dim(l, f, d->parts->at[i].e);
    }
}

/* `K: dim`: a number that the host gives, and a dimension. To the IR it is an i64 of rank 0 and the symbol that takes its value. The
 * frame knows the name by now, or the file does: then both mean the file's symbol. */
static void scalar_input(fe_lower *l, fe_frame *f, const fe_field *field)
{
    fe_env env = fe_env_of_frame(f);
    fe_shape shape = {.type = {.dtype = IR_TYPE_I64}};
    ir_expr e;
    if (!fe_dim_of(l, &env, field->name, &e)) {
        e = fe_new_dim(l, field->name);
        fe_frame_dim(l, f, field->name.text, e);
    }
    ir_node *node = input_node(l, field, &shape);
    BASE_PUSH(l->arena, &l->scalars, node->source.value);
    BASE_PUSH(l->arena, &l->scalar_dims, fe_dim_id(l, field->name.text, e));
}

/* One that is wrong is poison: the graph is looked at all the same. Without its source the graph is not complete, but it is not handed
 * out either. */
static bool tensor_input(fe_lower *l, fe_frame *f, const fe_field *field)
{
    fe_env env = fe_env_of_frame(f);
    fe_shape shape;
    bool ok = fe_type_shape(l, &env, field->type, field->name.text, &shape);
    fe_slot slot = {.kind = FE_SLOT_POISON, .name = field->name.text};
    if (ok) {
        slot.kind = FE_SLOT_TENSOR;
        slot.tensor.value = input_node(l, field, &shape)->source.value;
    }
    fe_slot_set(l, f, field->name.text, slot);
    return ok;
}

/* All names of dimensions first: an input may be declared before the one that binds its dimension. Then facts, which simplify the
 * shapes. Until then tensors are poison under their names, so that a fact that reads one finds it instead of something of the file. */
bool fe_frame_inputs(fe_lower *l, fe_frame *f)
{
    const fe_fields *fields = f->decl->graph.inputs;
    bool ok = true;
    for (uint32_t k = 0; k < fields->n; k++)
        if (!fe_is_dim_type(fields->at[k].type)) names_of_type(l, f, fields->at[k].type);
    for (uint32_t k = 0; k < fields->n; k++) {
        /* A `dim` input whose name stands in a shape too has its symbol from there. */
        uint32_t known;
        if (fe_is_dim_type(fields->at[k].type) && !base_map_get(f->dims, fields->at[k].name.text, &known)) {
            fe_env env = fe_env_of_frame(f);
            ir_expr e;
            if (!fe_dim_of(l, &env, fields->at[k].name, &e)) fe_frame_dim(l, f, fields->at[k].name.text, fe_new_dim(l, fields->at[k].name));
        }
    }
    for (uint32_t k = 0; k < fields->n; k++)
        if (!fe_is_dim_type(fields->at[k].type)) fe_slot_set(l, f, fields->at[k].name.text, (fe_slot){.kind = FE_SLOT_POISON});
    fe_frame_facts(l, f);
    for (uint32_t k = 0; k < fields->n; k++) {
        /* Once more in the order of declaration: that is the order of the host's arguments. */
        if (fe_is_dim_type(fields->at[k].type)) scalar_input(l, f, &fields->at[k]);
        else ok = tensor_input(l, f, &fields->at[k]) && ok;
    }
    return ok;
}

/* ---- facts */

enum { MAX_FACTS = 128 };                /* of one graph: each is tried against the others */

/* Facts are tested when tensors are bound, before anything is computed: only dimensions are known then. One that folds to true says
 * nothing; one that folds to false would refuse every call. */
static void fact_keep(fe_lower *l, fe_frame *f, ir_expr fact, base_span at)
{
    fe_env env = fe_env_of_frame(f);
    if (!fact || ir_is_bool(l->u, fact, true)) return;
    if (ir_is_bool(l->u, fact, false)) {
        fe_report(l, &env, BASE_MSG_FACT_FALSE, at);
        return;
    }
    if (!fe_of_dims(l, fact) || ir_free(l->u, fact)) {
        fe_report(l, &env, BASE_MSG_FACT_FORM, at);
        return;
    }
    fe_fact_value v = {fact, fe_at(l, at)};
    BASE_PUSH(l->arena, &l->facts, v);
    /* For the proofs of this unit, while `facts` is for the test. */
    ir_fact_add(l->u, fact);
}

/* a and b are two facts: each can be used by itself, and one that fails is named alone. */
static void fact_split(fe_lower *l, fe_frame *f, ir_expr fact, base_span at)
{
    if (fact && ir_is(l->u, fact, IR_AND)) {
        ir_expr a = ir_operand(l->u, fact, 0), b = ir_operand(l->u, fact, 1);
        fact_split(l, f, a, at);
        fact_split(l, f, b, at);
    } else fact_keep(l, f, fact, at);
}

/* Poison without a report is a tensor of the graph that the host calls: it has no value yet when facts are read. Hence the count of
 * failures, which tells that case from a mistake that has been told. */
static void fact_lower(fe_lower *l, fe_frame *f, const fe_fact *fact)
{
    fe_env env = fe_env_of_frame(f);
    uint32_t before = l->failures;
    ir_expr e = fe_lower_bool(l, &env, fact->e, "a fact is a truth value");
    if (!e && l->failures == before) fe_report(l, &env, BASE_MSG_FACT_FORM, fact->at);
    fact_split(l, f, e, fact->at);
}

/* Neither is negative. gcd(0, a) is a, so a fold over values may start at 0. */
static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* D in {64, 128}: what to specialise for. Its least value and its common divisor are facts: these two let blocks and strides be shown
 * to fit for every choice at once. They follow from the choice, which is tested itself, so they are not among the facts that are
 * tested. */
static void choice_add(fe_lower *l, ir_expr dim, const int64_t *values, uint32_t n)
{
    ir_unit *u = l->u;
    int64_t least = INT64_MAX, divisor = 0;
    for (uint32_t k = 0; k < n; k++) {
        least = values[k] < least ? values[k] : least;
        divisor = gcd(divisor, values[k]);
    }
    ir_choice c = {ir_at(u, dim)->u.ref, base_copy(l->arena, values, n * sizeof *values), n};
    BASE_PUSH(l->arena, &l->choices, c);
    ir_fact_add(u, ir_op2(u, IR_LE, ir_int(u, least), dim));
    if (divisor > 1) ir_fact_add(u, ir_op2(u, IR_EQ, ir_op2(u, IR_MOD, dim, ir_int(u, divisor)), ir_int(u, 0)));
}

/* In the graph that the host calls it lists values; in a called graph it is something to be proved, or tested as a fact about the
 * host's dimensions. The name is looked up by way of an expression, as dimensions are everywhere. */
static void fact_one_of(fe_lower *l, fe_frame *f, const fe_fact *fact)
{
    fe_env env = fe_env_of_frame(f);
    fe_expr name = {.kind = FE_NAME, .depth = 1, .at = fact->name.at, .name = fact->name};
    ir_expr dim = fe_dim_expr(l, &env, &name);
    int64_t *values = BASE_ARRAY(l->arena, fact->values->n, int64_t);
    /* name == a or name == b: what is to be shown where the name is no symbol of the host. */
    ir_expr any = ir_bool(l->u, false);
    for (uint32_t k = 0; k < fact->values->n; k++) {
        ir_expr x = fe_lower_int(l, &env, fact->values->at[k], "the values of a dimension are integers");
        if (!x || !dim) return;
        if (!ir_is_int(l->u, x, &values[k]) || values[k] < 0) {
            fe_report(l, &env, BASE_MSG_FACT_FORM, fact->values->at[k]->at);
            return;
        }
        any = ir_or(l->u, any, ir_op2(l->u, IR_EQ, dim, x));
    }
    if (!f->caller && ir_is(l->u, dim, IR_DIM)) choice_add(l, dim, values, fact->values->n);
    else fact_keep(l, f, any, fact->at);
}

/* Each fact is for itself: one that is wrong leaves the others to be added. */
void fe_frame_facts(fe_lower *l, fe_frame *f)
{
    const fe_facts *facts = f->decl->graph.facts;
    fe_env env = fe_env_of_frame(f);
    if (facts->n > MAX_FACTS) {
        fe_report(l, &env, BASE_MSG_TOO_MANY, facts->at[MAX_FACTS].at, f->decl->name.text, (int)MAX_FACTS, "facts");
        return;
    }
    for (uint32_t k = 0; k < facts->n; k++) {
        const fe_fact *fact = &facts->at[k];
        if (fact->e) names_of_dim(l, f, fact->e);        /* one that nothing binds is reported once, with the dimensions */
        if (fact->values) fact_one_of(l, f, fact);
        else fact_lower(l, f, fact);
    }
}

/* ---- outputs */

/* Before the body, since statements ask for declared extents and types. Marks wrong ones as poison; the others can be used. */
bool fe_frame_outputs(fe_lower *l, fe_frame *f)
{
    const fe_fields *fields = f->decl->graph.outputs;
    fe_env env = fe_env_of_frame(f);
    bool ok = true;
    f->out_shapes = BASE_ARRAY(l->arena, fields->n ? fields->n : 1, fe_shape);
    for (uint32_t k = 0; k < fields->n; k++) ok = fe_type_shape(l, &env, fields->at[k].type, fields->at[k].name.text, &f->out_shapes[k]) && ok;
    return ok;
}

/* The declared shape of an output, for statements that define it. NULL: the name is no output. */
const fe_shape *fe_declared(const fe_frame *f, const char *name)
{
    for (uint32_t k = 0; k < f->decl->graph.outputs->n; k++)
        if (f->decl->graph.outputs->at[k].name.text == name) return &f->out_shapes[k];
    return NULL;
}

/* ---- params */

/* Each {x} in the name stacks tensors of the file along one leading axis. Braces do not nest, are not empty, and are at most as many
 * as there are axes. Reading at[-1] is safe: a '}' at the very start is refused by `open` before. */
static bool check_storage(fe_lower *l, const fe_env *env, const fe_decl *d, uint32_t rank)
{
    uint32_t groups = 0;
    bool open = false, ok = true;
    /* storage NULL is the param's own name, which has no braces. */
    for (const char *at = d->param.storage; at && *at; at++) {
        if (*at == '{') ok = ok && !open, open = true, groups++;
        if (*at == '}') ok = ok && open && at[-1] != '{', open = false;
    }
    if (ok && !open && groups <= rank) return true;
    base_diag *diag = fe_report(l, env, BASE_MSG_STORAGE_NAME, d->at, d->name.text);
    fe_expected(diag, base_printf(l->arena, "at most %u name%s in {}, one for each leading axis", rank, rank == 1 ? "" : "s"), base_printf(l->arena, "\"%s\"", d->param.storage), NULL);
    return false;
}

/* A source of its own; read by no statement, it is not even there. Its type is lowered in the file that declares it, or in the graph
 * whose own it is (module NULL). Left without value and node after a mistake, which callers take for poison. */
static void param_add(fe_lower *l, const fe_env *env, const fe_decl *d, fe_source *out)
{
    fe_env scope = {.module = d->module};
    fe_shape shape;
    if (!d->module) scope = fe_env_of_frame(env->frame);
    if (!fe_type_shape(l, &scope, d->param.type, d->name.text, &shape) || !check_storage(l, &scope, d, shape.type.rank)) return;
    out->value = ir_value_new(l->u, d->name.text, &shape.type);
    out->node = ir_node_source(l->u, IR_FORM_PARAM, fe_at(l, d->at), out->value);
    out->node->source.storage = base_strdup(l->arena, d->param.storage ? d->param.storage : d->name.text);
    out->node->source.packed = shape.packed;
}

/* ---- tables */

/* A table while it is read: its elements in the order of storage, its extents twice (numbers and expressions), the sorts that were
 * met. */
typedef struct { const fe_decl *decl; ir_type type; BASE_VEC(ir_expr) elements; int64_t dim[IR_RANK]; bool real, truth, integer; } table;

/* Row by row; the shape was taken from the first row of each depth, so a number must stand exactly at depth `rank`, and a row must
 * have as many entries as the first of its depth. */
static bool table_collect(fe_lower *l, const fe_env *env, const fe_expr *e, uint32_t depth, table *t)
{
    if (e->kind != FE_TABLE) {
        l->steps = 0;                    /* a long table is no long formula */
        ir_expr x = fe_lower_expr(l, env, e);
        ir_sort sort = fe_sort(l, x);
        t->real = t->real || sort == IR_SORT_REAL;
        t->truth = t->truth || sort == IR_SORT_BOOL;
        t->integer = t->integer || sort == IR_SORT_INT;
        /* Lowering folds, so a formula over constants is a literal by now. */
        bool literal = x && (ir_is_int(l->u, x, NULL) || ir_is_real(l->u, x, NULL) || ir_is(l->u, x, IR_BOOL));
        if (x && !literal) fe_report(l, env, BASE_MSG_TABLE_FORM, e->at, "a table holds numbers or truth values that are known here");
        if (literal && depth != t->type.rank) fe_report(l, env, BASE_MSG_TABLE_FORM, e->at, "a table is a rectangle: all rows are alike");
        BASE_PUSH(l->arena, &t->elements, x);
        return literal && depth == t->type.rank;
    }
    if (depth == t->type.rank || e->table.n != t->dim[depth]) {
        fe_report(l, env, BASE_MSG_TABLE_FORM, e->at, "a table is a rectangle: all rows are alike");
        return false;
    }
    bool ok = true;
    for (uint32_t k = 0; k < e->table.n && ok; k++) ok = table_collect(l, env, e->table.at[k], depth + 1, t);
    return ok;
}

/* Down the first entries. The grammar has no empty table, so there always is a first. */
static bool table_shape(fe_lower *l, const fe_env *env, const fe_expr *e, table *t)
{
    for (; e->kind == FE_TABLE; e = e->table.at[0]) {
        if (t->type.rank == IR_RANK) {
            fe_report(l, env, BASE_MSG_RANK_LIMIT, e->at, t->decl->name.text, (int)IR_RANK);
            return false;
        }
        t->dim[t->type.rank] = e->table.n;
        t->type.dim[t->type.rank++] = ir_int(l->u, e->table.n);
    }
    return true;
}

/* The values as they are stored: f32, i64 or bytes. One real among them makes all of them real; truth values do not mix with numbers,
 * which table_add has made sure of. */
static const void *table_data(fe_lower *l, const table *t)
{
    uint32_t n = t->elements.n;
    void *data = base_alloc_array(l->arena, n, ir_dtypes[t->type.dtype].bytes);
    for (uint32_t k = 0; k < n; k++) {
        double f = 0;
        int64_t i = 0;
        if (ir_is_int(l->u, t->elements.at[k], &i)) f = (double)i;
        else if (!ir_is_real(l->u, t->elements.at[k], &f)) i = ir_is_bool(l->u, t->elements.at[k], true);
        if (t->real) ((float *)data)[k] = (float)f;
        else if (t->truth) ((uint8_t *)data)[k] = (uint8_t)i;
        else ((int64_t *)data)[k] = i;
    }
    return data;
}

/* Like param_add: without value and node after a mistake. */
static void table_add(fe_lower *l, const fe_env *env, const fe_decl *d, fe_source *out)
{
    table t = {.decl = d};
    fe_env scope = {.module = d->module};
    if (!d->module) scope = fe_env_of_frame(env->frame);
    if (!table_shape(l, &scope, d->value, &t) || !table_collect(l, &scope, d->value, 0, &t)) return;
    if (t.truth && (t.real || t.integer)) {
        fe_report(l, &scope, BASE_MSG_TABLE_FORM, d->at, "a table holds numbers or truth values, not both");
        return;
    }
    t.type.dtype = t.real ? IR_TYPE_F32 : t.truth ? IR_TYPE_BOOL : IR_TYPE_I64;
    out->value = ir_value_new(l->u, d->name.text, &t.type);
    out->node = ir_node_source(l->u, IR_FORM_CONST, fe_at(l, d->at), out->value);
    out->node->source.data = table_data(l, &t);
}

/* Made when it is first used, once per graph. It is in the list before it is made, so that one that fails is not tried again: its
 * value stays 0. The list may grow meanwhile, which is why the entry is written by its number. */
fe_tensor fe_source_of(fe_lower *l, const fe_env *env, const fe_decl *decl, base_span at)
{
    (void)at;
    for (uint32_t k = 0; k < l->sources.n; k++)
        if (l->sources.at[k].decl == decl) return (fe_tensor){.value = l->sources.at[k].value};
    fe_source s = {.decl = decl};
    uint32_t k = BASE_PUSH(l->arena, &l->sources, s);
    if (decl->kind == FE_DECL_PARAM) param_add(l, env, decl, &s);
    else table_add(l, env, decl, &s);
    l->sources.at[k] = s;
    return (fe_tensor){.value = s.value};
}

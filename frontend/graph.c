/* One graph of a program, lowered: sources, the body's nodes, the output. Statements are lowered in their order, but sources come to
 * light as they are used, so body and sources are collected apart and joined at the end. */
#include "lower.h"

/* ---- whose .lse is read */

/* A walk over the text, before anything is lowered: an attend must know whether to make its lse when it is met, and the reader stands
 * further down. */
static void lse_in_expr(fe_lower *l, fe_frame *f, const fe_expr *e);

/* `hi` is NULL but in ranges; lse_in_expr takes that. */
static void lse_in_items(fe_lower *l, fe_frame *f, const fe_items *items)
{
    for (uint32_t k = 0; items && k < items->n; k++) {
        lse_in_expr(l, f, items->at[k].e);
        lse_in_expr(l, f, items->at[k].hi);
    }
}

/* Any part of an attend may read the lse of an earlier one. */
static void lse_in_attend(fe_lower *l, fe_frame *f, const fe_expr *e)
{
    lse_in_items(l, f, e->attend.binders);
    lse_in_items(l, f, e->attend.operands);
    for (uint32_t k = 0; k < e->attend.clauses->n; k++) {
        const fe_clause *c = &e->attend.clauses->at[k];
        lse_in_expr(l, f, c->e);
        lse_in_items(l, f, c->args);
    }
}

/* lse is computed only where it is read, and the statement that makes it comes before the one that reads it. Tables hold numbers that
 * are known, so nothing in them can be an lse. */
static void lse_in_expr(fe_lower *l, fe_frame *f, const fe_expr *e)
{
    if (!e) return;
    switch (e->kind) {
    case FE_BAD: case FE_INT: case FE_REAL: case FE_NAME: case FE_TABLE: return;
    case FE_CHAIN:
        for (uint32_t k = 0; k < e->chain.terms.n; k++) lse_in_expr(l, f, e->chain.terms.at[k]);
        return;
    case FE_CALL: lse_in_items(l, f, e->call.binders), lse_in_items(l, f, e->call.args); return;
    case FE_AT: lse_in_expr(l, f, e->index.base), lse_in_items(l, f, e->index.items); return;
    case FE_MEMBER:
        /* Only of a bare name. Into any other base the walk goes on: an lse may be read inside of its brackets. */
        if (e->member.field.text == l->program->word_lse && e->member.base->kind == FE_NAME) base_map_put(f->wants_lse, e->member.base->name.text, 1);
        else lse_in_expr(l, f, e->member.base);
        return;
    case FE_ATTEND: lse_in_attend(l, f, e); return;
    default: lse_in_expr(l, f, e->op.a), lse_in_expr(l, f, e->op.b);
    }
}

/* Bodies of loops belong to the graph: names in them may be those of statements outside. */
static void lse_in_block(fe_lower *l, fe_frame *f, const fe_stmts *stmts)
{
    for (uint32_t k = 0; k < stmts->n; k++) {
        const fe_stmt *s = stmts->at[k];
        if (s->kind == FE_STMT_FOR) lse_in_block(l, f, s->loop.body);
        else if (s->kind != FE_STMT_LOCAL) lse_in_expr(l, f, s->define.e);
    }
}

/* By name: a name that is defined twice computes it twice, and the passes drop what nobody reads. */
void fe_want_lse(fe_lower *l, fe_frame *f) { lse_in_block(l, f, f->decl->graph.body); }

/* ---- the graph */

/* Spans of the program point into its own diagnostics; here they must point into those of this call. A file is the same if its text is
 * the same memory: then the caller has added it before. 0 stands for no file in both. */
static void share_files(fe_lower *l)
{
    const base_diags *from = l->program->diags;
    if (from == l->diags) return;
    l->file_map = BASE_ARRAY(l->arena, from->files.n ? from->files.n : 1, uint32_t);
    for (uint32_t k = 1; k < from->files.n; k++) {
        uint32_t i = 1;
        while (i < l->diags->files.n && l->diags->files.at[i].text != from->files.at[k].text) i++;
        if (i == l->diags->files.n) i = BASE_PUSH(l->diags->arena, &l->diags->files, from->files.at[k]);
        l->file_map[k] = i;
    }
}

/* In the order of their text, so that the graph does not depend on which is used first. Insertion keeps it simple; there are as many
 * sources as params in use. */
static void sort_sources(fe_lower *l)
{
    for (uint32_t k = 1; k < l->sources.n; k++)
        for (uint32_t i = k; i > 0; i--) {
            fe_source *a = &l->sources.at[i - 1], *b = &l->sources.at[i], swap = *a;
            bool ordered = a->decl->at.file < b->decl->at.file || (a->decl->at.file == b->decl->at.file && a->decl->at.start <= b->decl->at.start);
            if (ordered) break;
            *a = *b;
            *b = swap;
        }
}

/* Sources, then the statements, then the output: the order that a graph must have. A source without a node is one that was wrong; it
 * stands in the list so that it is reported once. */
static ir_block join_blocks(fe_lower *l, ir_block body, ir_node *output)
{
    ir_builder *all = ir_builder_create(l->u);
    sort_sources(l);
    for (uint32_t k = 0; k < l->inputs.n; k++) ir_builder_add(all, l->inputs.at[k]);
    for (uint32_t k = 0; k < l->sources.n; k++)
        if (l->sources.at[k].node) ir_builder_add(all, l->sources.at[k].node);
    for (uint32_t k = 0; k < body.n; k++) ir_builder_add(all, body.at[k]);
    ir_builder_add(all, output);
    return ir_builder_block(all);
}

/* Under their declared names and types; the values may be called otherwise. The conversion to the declared type, of the same sort, is
 * left to whoever hands the value out. */
static void add_outputs(fe_lower *l, fe_frame *f, ir_graph *g)
{
    const fe_fields *fields = f->decl->graph.outputs;
    g->outputs = BASE_ARRAY(l->arena, fields->n ? fields->n : 1, ir_output_info);
    g->n_outputs = fields->n;
    for (uint32_t k = 0; k < fields->n; k++) {
        fe_tensor t = fe_frame_output(l, f, k);
        g->outputs[k] = (ir_output_info){.value = t.value, .name = base_strdup(l->arena, fields->at[k].name.text), .dtype = f->out_shapes[k].type.dtype,
                                         .packed = f->out_shapes[k].packed};
    }
}

/* Lists that nobody extends any more are handed over as they are; all of it lives in the arena of the graph. */
static void add_facts(fe_lower *l, ir_graph *g)
{
    g->facts = base_alloc_array(l->arena, l->facts.n ? l->facts.n : 1, sizeof *g->facts);
    g->n_facts = l->facts.n;
    for (uint32_t k = 0; k < l->facts.n; k++) {
        g->facts[k].fact = l->facts.at[k].fact;
        g->facts[k].span = l->facts.at[k].span;
    }
    g->choices = l->choices.at;
    g->n_choices = l->choices.n;
    g->scalars = l->scalars.at;
    g->scalar_dims = l->scalar_dims.at;
    g->n_scalars = l->scalars.n;
}

/* Strings of the program are copied, since the graph may outlive it. Runs after mistakes too, for those that the outputs have; the
 * graph is then thrown away. */
static ir_graph *finish(fe_lower *l, fe_frame *f)
{
    ir_graph *g = BASE_NEW(l->arena, ir_graph);
    g->unit = l->u;
    g->name = base_strdup(l->arena, f->decl->name.text);
    g->doc = f->decl->doc ? base_strdup(l->arena, f->decl->doc) : NULL;
    add_outputs(l, f, g);
    add_facts(l, g);
    ir_value *values = BASE_ARRAY(l->arena, g->n_outputs ? g->n_outputs : 1, ir_value);
    for (uint32_t k = 0; k < g->n_outputs; k++) values[k] = g->outputs[k].value;
    /* Value 0 means that something was reported. If nothing was, somebody broke that rule, and silence would be taken for success. */
    for (uint32_t k = 0; k < g->n_outputs && !l->failures; k++)
        if (!values[k]) base_report(l->diags, BASE_MSG_INTERNAL_IR, fe_at(l, f->decl->at), "an output is wrong and nothing said why");
    ir_block body = ir_builder_block(l->out);
    g->body = join_blocks(l, body, ir_node_use(l->u, IR_FORM_OUTPUT, fe_at(l, f->decl->at), g->n_outputs, values));
    return g;
}

/* Each graph has a unit of its own: graphs share nothing, so several can be lowered at once. All of `l` lives in the arena and is done
 * with at the end. */
ir_graph *fe_graph_lower_for(const fe_program *p, uint32_t k, uint32_t n_fixed, const fe_fixed *fixed, base_arena *arena, base_diags *diags)
{
    fe_lower *l = BASE_NEW(arena, fe_lower);
    uint32_t before = diags->n_errors;
    l->program = p;
    l->arena = arena;
    l->diags = diags;
    l->fixed = fixed;
    l->n_fixed = n_fixed;
    l->u = ir_unit_create(arena, diags);
    l->out = ir_builder_create(l->u);
    l->keeps = base_map_create(arena);
    share_files(l);
    fe_frame *f = fe_frame_new(l, NULL, p->graphs.at[k]);
    fe_want_lse(l, f);
    fe_frame_inputs(l, f);
    fe_frame_outputs(l, f);
    fe_lower_block(l, f, f->decl->graph.body);
    /* After a mistake an input may lack its axes, and dimensions would seem unbound that are not. */
    if (!l->failures) fe_dims_are_bound(l, f);
    ir_graph *g = finish(l, f);
    return l->failures || diags->n_errors > before ? NULL : g;
}

ir_graph *fe_graph_lower(const fe_program *p, uint32_t k, base_arena *arena, base_diags *diags)
{
    return fe_graph_lower_for(p, k, 0, NULL, arena, diags);
}

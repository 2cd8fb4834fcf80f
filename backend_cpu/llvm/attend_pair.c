/* Sums over features that are no products of a row and a column factor (additive scores, distances, guarded terms): the body is computed for each pair and
 * feature, in the register tiles of products. What of it varies over rows alone was turned into lanes once per item, what varies over columns alone is a
 * number that is spread; only the rest is computed anew.
 *
 * Example: sum(d: a[d]*tanh(q[i,d] + k[j,d])) loads a vector q[.., d] and a number k[j, d], and computes a sum, a tanh and a multiply-add. */
#include "attend.h"

/* Of columns: numbers, known as long as the column is bound. */
static void columns_known(cpu_emitter *e, const cpu_patch *t) {
    const ir_let_schedule *s = &e->s->lets[t->let];
    for (uint32_t i = 0; i < s->n_operands; i++) {
        const ir_pair_operand *o = &s->operands[i];
        if (o->side != IR_COL) continue;
        if (o->at) cpu_known_put(e, o->e, cpu_load(e, e->real, cpu_column_place(e, t->let, o->at), 1));
        else cpu_expr(e, o->e);
    }
}
/* Of rows, and what other products of the same pair have come to. */
static void rows_known(cpu_emitter *e, const cpu_patch *t, const bool *reads, const cpu_val *row, int32_t m, int32_t j) {
    const ir_let_schedule *s = &e->s->lets[t->let];
    for (uint32_t i = 0; i < s->n_operands; i++)
        if (s->operands[i].side == IR_ROW) cpu_known_put(e, s->operands[i].e, row[i * IR_MICRO + (uint32_t)j]);
    for (uint32_t k = 0; k < t->let; k++)
        if (reads[k] && e->s->lets[k].packed)
            cpu_known_put(e, ir_let_expr(e->u, k, IR_SORT_REAL), cpu_panel_load(t->p, e->s->lets[k].at, LLVMBuildSub(e->b, t->at[m], e->block_lo, ""), j));
}
/* What `where` hides is not added: selected, never multiplied by 0. */
static void add_pair(cpu_emitter *e, const cpu_patch *t, cpu_val slot) {
    const ir_let *l = &e->k->lets[t->let];
    cpu_val old = cpu_slot_value(e, slot), next;
    ir_expr a = l->a, b = l->b;
    if (!a && l->red == IR_RED_SUM && ir_is(e->u, l->e, IR_MUL)) {
        a = ir_operand(e->u, l->e, 0);
        b = ir_operand(e->u, l->e, 1);
    }
    if (a) next = cpu_fma(e, cpu_splat(e, cpu_expr(e, a), e->lanes), cpu_splat(e, cpu_expr(e, b), e->lanes), old);
    else next = cpu_combine(e, (ir_red)l->red, old, cpu_splat(e, cpu_expr(e, l->e), e->lanes));
    LLVMBuildStore(e->b, ir_is_bool(e->u, l->where, true) ? next : cpu_pick(e, cpu_expr(e, l->where), next, old), slot);
}
void cpu_pair_feature(cpu_emitter *e, void *env) {
    cpu_patch *t = env;
    const ir_let *l = &e->k->lets[t->let];
    const ir_let_schedule *s = &e->s->lets[t->let];
    const ir_expr parts[] = {l->e, l->a, l->b, l->where};
    cpu_val f = cpu_feature_index(e, t->let), *row = BASE_ARRAY(e->arena, s->n_operands * IR_MICRO + 1, cpu_val);
    bool *reads = BASE_ARRAY(e->arena, e->k->n_lets + 1, bool);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) cpu_mark(e, reads, parts[i]);
    for (uint32_t i = 0; i < s->n_operands; i++)
        for (int32_t j = 0; j < t->p->vectors && s->operands[i].side == IR_ROW; j++) row[i * IR_MICRO + (uint32_t)j] = cpu_panel_load(t->p, s->operands[i].at, f, j);
    for (int32_t m = 0; m < e->s->micro_rows; m++) {
        cpu_bind(e, e->block_axis, t->at[m]);
        columns_known(e, t);
        for (int32_t j = 0; j < t->p->vectors; j++) {
            cpu_panel_bind(t->p, j);
            rows_known(e, t, reads, row, m, j);
            add_pair(e, t, t->sum[m][j]);
            cpu_panel_unbind(t->p);
        }
        cpu_unbind(e, e->block_axis);
    }
}

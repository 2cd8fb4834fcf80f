/* TERMs: reductions over features. In place: loops over the features with one accumulator, of whatever shape the place has; where the place
 * is scalar and the schedule says so, lanes run along a feature and are summed at the end. */
#include "emit.h"

typedef struct { uint32_t let; cpu_val sum; } term;

static cpu_val shaped(cpu_emitter *e, cpu_val v, bool vector) { return vector ? cpu_splat(e, v, e->lanes) : v; }

/* sum' of one feature (or a vector of them). What `where` hides is not added: selected, never multiplied by 0. */
static cpu_val step(cpu_emitter *e, uint32_t k, cpu_val sum) {
    const ir_let *l = &e->k->lets[k];
    cpu_val next = l->a ? cpu_fma(e, cpu_expr(e, l->a), cpu_expr(e, l->b), sum) : cpu_combine(e, (ir_red)l->red, sum, cpu_expr(e, l->e));
    cpu_val where = ir_is_bool(e->u, l->where, true) ? NULL : cpu_expr(e, l->where);
    const int32_t lane_role = e->lane >= 0 ? e->k->axes[e->lane].role : 0;
    if (e->tail && lane_role == IR_FEAT) where = cpu_truth(e, where, e->tail);
    return where ? cpu_pick(e, where, next, sum) : next;
}
static void one_feature(cpu_emitter *e, void *env) {
    const term *t = env;
    cpu_val sum = LLVMBuildLoad2(e->b, LLVMGetAllocatedType(t->sum), t->sum, "");
    LLVMBuildStore(e->b, shaped(e, step(e, t->let, sum), cpu_is_vector(sum)), t->sum);
}

static uint32_t features_of(const cpu_emitter *e, const ir_let *l) {
    uint32_t all = 0;
    for (uint32_t i = 0; i < l->n_over; i++) all |= 1u << cpu_axis_of(e, l->over[i]);
    return all;
}

cpu_val cpu_term(cpu_emitter *e, uint32_t k) {
    const ir_let *l = &e->k->lets[k];
    const ir_let_schedule *s = &e->s->lets[k];
    const int32_t lane = e->lane < 0 && e->s->width > 1 && s->lanes == IR_FEAT ? s->lane_axis : -1;
    const bool varies = e->lane >= 0 && ir_set_has(e->u, e->let_reach[k], e->k->axes[e->lane].var);
    cpu_val identity = cpu_identity(e, l);
    if (lane >= 0) identity = cpu_splat(e, identity, e->s->width);
    else identity = shaped(e, identity, varies);
    term t = {k, cpu_slot(e, LLVMTypeOf(identity), base_printf(e->arena, "term%u", k))};
    LLVMBuildStore(e->b, identity, t.sum);
    cpu_walk(e, features_of(e, l), lane, one_feature, &t);
    cpu_val sum = LLVMBuildLoad2(e->b, LLVMGetAllocatedType(t.sum), t.sum, "");
    return lane >= 0 ? cpu_reduce_lanes(e, (ir_red)l->red, (char)l->sort, sum) : sum;
}

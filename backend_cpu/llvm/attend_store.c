/* Results of a panel. What varies over rows alone leaves by vectors of rows. What varies over values too stands as [value][row]; where values are the
 * neighbours in memory it is computed there first, then turned, and leaves row by row with the lanes along a value. */
#include "attend.h"

typedef struct { cpu_panel *p; const ir_kernel_store *store; } leaving;

static cpu_val inside(cpu_emitter *e) { return ir_is_bool(e->u, e->k->inside, true) ? NULL : cpu_expr(e, e->k->inside); }

/* Lanes along the rows, all other axes of the places bound. */
static void store_rows(cpu_emitter *e, void *env) {
    const leaving *s = env;
    for (int32_t j = 0; j < s->p->vectors; j++) {
        cpu_panel_bind(s->p, j);
        cpu_write(e, &s->store->at, cpu_expr(e, s->store->e), inside(e));
        cpu_panel_unbind(s->p);
    }
}

/* ---- by way of out_at */

static void keep_value(cpu_emitter *e, void *env) {
    const leaving *s = env;
    cpu_val index = cpu_role_index(e, IR_VAL, e->s->out_axis);
    for (int32_t j = 0; j < s->p->vectors; j++) {
        cpu_panel_bind(s->p, j);
        cpu_panel_store(s->p, cpu_expr(e, s->store->e), e->s->out_at, index, j);
        cpu_panel_unbind(s->p);
    }
}
typedef struct { const leaving *s; cpu_val first; } one_row; /* first: where its values begin in rows_at */
static void store_values(cpu_emitter *e, void *env) {
    const one_row *r = env;
    cpu_val at = LLVMBuildAdd(e->b, r->first, cpu_role_index(e, IR_VAL, e->s->out_axis), "");
    cpu_val v = cpu_load(e, e->real, cpu_at(e, cpu_scratch(e, e->s->rows_at), at, e->real), e->lanes);
    cpu_write(e, &r->s->store->at, v, inside(e));
}
/* Only reals are kept so; other results over values leave along the rows. */
static void store_turned(const leaving *s, uint32_t wanted) {
    cpu_panel *p = s->p;
    cpu_emitter *e = p->e;
    const int32_t axis = e->s->lane_axis;
    cpu_walk(e, wanted, -1, keep_value, (void *)(uintptr_t)s);
    cpu_val n = cpu_role_count(e, IR_VAL), step = cpu_whole(e, n);
    cpu_transpose(e, cpu_scratch(e, e->s->out_at), cpu_int(e, e->s->row_tile), n, cpu_scratch(e, e->s->rows_at), step, cpu_int(e, p->vectors * e->s->width));
    cpu_loop l = cpu_loop_begin(e, p->row0, p->hi, 1, "row");
    cpu_bind(e, axis, l.index);
    one_row r = {s, LLVMBuildMul(e->b, LLVMBuildSub(e->b, l.index, p->row0, ""), step, "")};
    cpu_walk(e, wanted, e->s->out_axis, store_values, &r);
    cpu_unbind(e, axis);
    cpu_loop_end(e, &l);
}

void cpu_attend_stores(cpu_panel *p) {
    cpu_emitter *e = p->e;
    const uint32_t values = cpu_axes_with(e, IR_VAL);
    cpu_phase(e, "epilogue");
    for (uint32_t i = 0; i < e->k->n_stores; i++) {
        leaving s = {p, &e->k->stores[i]};
        const uint32_t wanted = cpu_axes_of_places(e, &s.store->at);
        cpu_scope_push(e, 0);
        if (wanted && wanted == values && e->s->out_at && ir_at(e->u, s.store->e)->sort == IR_SORT_REAL) store_turned(&s, wanted);
        else cpu_walk(e, wanted, -1, store_rows, &s);
        cpu_scope_pop(e);
    }
}

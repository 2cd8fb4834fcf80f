#include <stdlib.h>
#include "expr_world.h"

static jmp_buf no_memory;

world world_create(void) {
    world w = {.arena = base_arena_create(NULL, &no_memory)};
    if (setjmp(no_memory)) abort();
    w.u = ir_unit_create(w.arena, base_diags_create(w.arena));
    static const char *const names[] = {"B", "S", "T", "H", "G", "D", "E", "L", "R", "W"};
    ir_expr *dims[] = {&w.B, &w.S, &w.T, &w.H, &w.G, &w.D, &w.E, &w.L, &w.R, &w.W};
    for (uint32_t k = 0; k < 10; k++) *dims[k] = ir_dim_expr(w.u, w.dim[k] = ir_dim_new(w.u, names[k]));
    ir_var *vars[] = {&w.vb, &w.vi, &w.vj, &w.vh, &w.vg, &w.vd, &w.vl};
    ir_expr *exprs[] = {&w.b, &w.i, &w.j, &w.h, &w.g, &w.d, &w.l}, extents[] = {w.B, w.S, w.T, w.H, w.G, w.D, w.T};
    static const char *const var_names[] = {"b", "i", "j", "h", "g", "d", "l"};
    for (uint32_t k = 0; k < 7; k++) *exprs[k] = ir_var_expr(w.u, *vars[k] = ir_var_new(w.u, var_names[k], extents[k]));
    w.x = ir_value_new(w.u, "x", &(ir_type){IR_TYPE_F32, 2, {w.S, w.T}});
    w.y = ir_value_new(w.u, "y", &(ir_type){IR_TYPE_F32, 1, {w.T}});
    w.m = ir_value_new(w.u, "m", &(ir_type){IR_TYPE_I64, 1, {w.S}});
    return w;
}

void world_destroy(world *w) { base_arena_destroy(w->arena); }
void world_fact(world *w, ir_expr fact) { ir_fact_add(w->u, fact); }
ir_expr read1(world *w, ir_value v, ir_expr a) { return ir_read(w->u, v, 1, &a); }
ir_expr read2(world *w, ir_value v, ir_expr a, ir_expr b) { return ir_read(w->u, v, 2, (ir_expr[]){a, b}); }

int64_t value_at(const ir_unit *u, ir_expr e, const point *p) {
    int64_t o[3] = {0};
    for (uint32_t k = 0; k < ir_n_operands(u, e); k++) o[k] = value_at(u, ir_operand(u, e, k), p);
    switch (ir_at(u, e)->op) {
    case IR_INT: case IR_BOOL: return ir_at(u, e)->u.i;
    case IR_DIM: return p->dim[ir_at(u, e)->u.ref];
    case IR_VAR: return p->var[ir_at(u, e)->u.ref];
    case IR_ADD: return o[0] + o[1];
    case IR_SUB: return o[0] - o[1];
    case IR_MUL: return o[0] * o[1];
    case IR_FDIV: return o[1] ? base_floor_div(o[0], o[1]) : INT64_MIN;
    case IR_MOD: return o[1] ? base_floor_mod(o[0], o[1]) : INT64_MIN;
    case IR_MIN: return o[0] < o[1] ? o[0] : o[1];
    case IR_MAX: return o[0] > o[1] ? o[0] : o[1];
    case IR_ABS: return llabs(o[0]);
    case IR_LT: return o[0] < o[1];
    case IR_LE: return o[0] <= o[1];
    case IR_EQ: return o[0] == o[1];
    case IR_NE: return o[0] != o[1];
    case IR_AND: return o[0] && o[1];
    case IR_OR: return o[0] || o[1];
    case IR_NOT: return !o[0];
    case IR_SELECT: return o[0] ? o[1] : o[2];
    default: abort();
    }
}

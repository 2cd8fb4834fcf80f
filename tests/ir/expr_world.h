/* A unit with some dimensions, variables and tensors, and short names for building: what the tests of the expression core start from. */
#ifndef ATTN_TESTS_EXPR_WORLD_H
#define ATTN_TESTS_EXPR_WORLD_H
#include "ir.h"

typedef struct {
    base_arena *arena;
    ir_unit *u;
    ir_dim dim[16];
    ir_expr B, S, T, H, G, D, E, L, R, W;            /* dimensions, in this order */
    ir_var vb, vi, vj, vh, vg, vd, vl;               /* over B S T H G D T */
    ir_expr b, i, j, h, g, d, l;
    ir_value x, y, m;                                /* x: f32[S,T]  y: f32[T]  m: i64[S] */
} world;

world world_create(void);
void world_destroy(world *w);
void world_fact(world *w, ir_expr fact);
ir_expr read1(world *w, ir_value v, ir_expr a);
ir_expr read2(world *w, ir_value v, ir_expr a, ir_expr b);
static inline ir_expr lit(world *w, int64_t k) { return ir_int(w->u, k); }
static inline ir_expr add(world *w, ir_expr a, ir_expr b) { return ir_add(w->u, a, b); }
static inline ir_expr sub(world *w, ir_expr a, ir_expr b) { return ir_sub(w->u, a, b); }
static inline ir_expr mul(world *w, ir_expr a, ir_expr b) { return ir_mul(w->u, a, b); }
static inline ir_expr fdiv(world *w, ir_expr a, ir_expr b) { return ir_op2(w->u, IR_FDIV, a, b); }
static inline ir_expr mod(world *w, ir_expr a, ir_expr b) { return ir_op2(w->u, IR_MOD, a, b); }
static inline ir_expr lt(world *w, ir_expr a, ir_expr b) { return ir_op2(w->u, IR_LT, a, b); }
static inline ir_expr le(world *w, ir_expr a, ir_expr b) { return ir_op2(w->u, IR_LE, a, b); }
static inline ir_expr eq(world *w, ir_expr a, ir_expr b) { return ir_op2(w->u, IR_EQ, a, b); }
static inline ir_expr ne(world *w, ir_expr a, ir_expr b) { return ir_op2(w->u, IR_NE, a, b); }

/* The value of an integer or truth value over dimensions and variables, recursively: independent of the evaluator of graphs. */
typedef struct { int64_t dim[16], var[64]; } point;
int64_t value_at(const ir_unit *u, ir_expr e, const point *p);
#endif

/* Expressions over variables, evaluated at one point after the other: where a table of values or a picture of an expression is wanted. */
#ifndef ATTN_IR_POINTS_H
#define ATTN_IR_POINTS_H
#include "ir.h"

typedef struct ir_points ir_points;
/* For the expressions that the unit has by now. Dims are bound and values there; they do not change. */
ir_points *ir_points_create(const ir_unit *u, const ir_frame *frame, base_arena *arena);
void ir_points_set(ir_points *p, ir_var v, int64_t value);
bool ir_points_eval(ir_points *p, ir_expr e, int64_t *out);      /* an integer or truth value; false, and nothing said: it has none here, as where a read is out of range */
#endif

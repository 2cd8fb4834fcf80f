/* Integer expressions to integer programs: inside of encode*.c. */
#ifndef ATTN_ENCODE_INT_H
#define ATTN_ENCODE_INT_H
#include "encode.h"

typedef BASE_VEC(rt_int_op) enc_ops;
typedef struct enc_loop enc_loop;
struct enc_loop {                    /* a loop around the step that is encoded */
    ir_var counter;
    uint32_t slot, step;             /* step: its LOOP */
    enc_ops ops;                     /* run again at every turn */
    enc_loop *outer;
};
typedef struct {
    const ir_graph *graph;
    ir_unit *unit;
    base_arena *arena;
    base_diags *diags;
    BASE_VEC(uint32_t) slot_of;      /* by expression: slot + 1; 0: none yet */
    BASE_VEC(rt_tensor_info) tensors;
    BASE_VEC(rt_param_info) params;
    BASE_VEC(rt_fact) facts;
    ir_value *values;                /* by tensor */
    uint32_t n_slots, n_inputs, n_params;
    enc_ops bind;
    enc_loop *loop;                  /* the innermost */
    bool failed;
} encoder;

uint32_t enc_slot(encoder *e, ir_expr x);                    /* where the value of an integer or truth value is found */
bool enc_can(const encoder *e, ir_expr x);                   /* whether it is one that an integer program can compute */
uint32_t enc_op(encoder *e, rt_int_op op);                   /* appends to the binding program, with a slot of its own as dst */
void enc_test(encoder *e, rt_int_op op);                     /* the same, no result */
void enc_define(encoder *e, ir_expr x, uint32_t slot);       /* x is found there */
rt_place enc_place(const encoder *e, base_span span);
const char *enc_text(const encoder *e, ir_expr x);
void enc_signature(encoder *e);                              /* encode_bind.c: tensors, then the program that binds dimensions */
void enc_dims(encoder *e, const rt_graph *signature);         /* tensors, and dimensions as that signature has bound them */
#endif

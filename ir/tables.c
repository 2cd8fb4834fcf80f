/* The tables of the compiler, expanded from their .def files: operators, reductions, element types, forms of nodes. Rows stand in the order
 * of the enums in ir.h, which are expanded from the same files, so an enum is an index. */
#include "ir.h"

/* n_args: one letter per operand. Of the lists ("*") it says nothing: reads and reductions have makers of their own. */
const ir_op_info ir_ops[IR_N_OPS] = {
#define OP(id, text, args, result, form, cost, expand) {#id, text, args, expand, (uint8_t)(sizeof(args) - 1), result, form, cost},
#include "ops.def"
};

/* The cast: an identity is written as an int or as INFINITY, which is a float. */
const ir_red_info ir_reds[IR_N_REDS] = {
#define RED(id, text, args, identity) {text, args, (double)(identity)},
#include "reductions.def"
};

const ir_dtype_info ir_dtypes[IR_N_DTYPES] = {
#define DTYPE(id, text, npy, bytes, sort) {text, npy, bytes, sort},
#include "dtypes.def"
};

const char *const ir_form_names[IR_N_FORMS] = {
#define FORM(id, text) text,
#include "forms.def"
};

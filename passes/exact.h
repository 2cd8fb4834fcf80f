/* Integers that may need more than 64 bits: which, and how to ask. */
#ifndef ATTN_PASS_EXACT_H
#define ATTN_PASS_EXACT_H
#include "passes.h"

bool pass_may_overflow(ir_unit *u, ir_expr e);   /* may the value of this operator or reduction leave int64, though its operands do not? */
ir_expr pass_fits(ir_unit *u, ir_expr e);        /* a truth value: it does not. e: one of which pass_may_overflow is true, and what it is made of fits */
const char *pass_overflow_name(const ir_unit *u, ir_expr e);                     /* "+", "sum": for the message */
/* A sum is asked as a whole: its terms are what is below its + - and signs. */
typedef void pass_sum_term(void *env, ir_expr term);
void pass_sum_terms(ir_unit *u, ir_expr e, pass_sum_term *visit, void *env);
#endif

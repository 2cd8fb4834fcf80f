/* The machine that evaluates expressions: private to eval.c (graphs) and interp.c (kernels).
 *
 * Reals are doubles, integers and truth values int64, never one in the other. Laziness is the language's: what a guard, a select,
 * an `and` or an `or` leaves out is not evaluated, so its reads never happen.
 * A failure reports a diagnostic and jumps to `fail`, which the owner of the machine has set.
 */
#ifndef ATTN_IR_MACHINE_H
#define ATTN_IR_MACHINE_H
#include <setjmp.h>
#include "ir.h"

typedef union { double f; int64_t i; } ir_scalar;
typedef struct ir_machine ir_machine;
typedef struct ir_machine_cell ir_machine_cell;
typedef ir_scalar ir_machine_let(ir_machine *x, void *env, uint32_t let);
typedef void ir_machine_seen(ir_machine *x, void *env, ir_expr read, int64_t address);

struct ir_machine {
    const ir_unit *unit;
    const ir_frame *frame;
    base_arena *arena;
    base_diags *diags;
    base_span span;              /* where messages point: the node being run */
    jmp_buf fail;                /* with 1: reported */
    int64_t *var;                /* by ir_var: its value now; set through ir_machine_set only */
    uint64_t *stamp, clock;      /* by ir_var: when it got that value */
    uint64_t start;              /* what was computed before then is out of date: tensors may have changed */
    ir_machine_cell *cell;       /* by ir_expr: what is remembered; NULL: nothing is */
    ir_expr n_cells;
    uint32_t n_outer;            /* the loops around an expression, outermost first: places of a table depend on them */
    const ir_var *outer;
    bool *fixed;                 /* by ir_var: a counter, which does not move while a node runs */
    struct { uint32_t n; const ir_var *at; } *members;   /* by ir_set, filled on demand */
    uint32_t n_members, depth, steps, max_steps;
    ir_machine_let *let;         /* values of the lets of a kernel; NULL in a graph */
    ir_machine_seen *seen;       /* called for every element read; may be NULL */
    void *env;
};

/* A machine with memory. One on the stack with unit, frame, diags and max_steps alone evaluates small expressions without variables;
 * it jumps with 2 where it needs more. */
ir_machine *ir_machine_create(const ir_unit *u, const ir_frame *frame, base_arena *arena, base_diags *diags);
void ir_machine_start(ir_machine *x, base_span span, uint32_t n_outer, const ir_var *outer);   /* a new node: forget */
void ir_machine_prepare(ir_machine *x, ir_expr e);              /* marks what is worth remembering below e */
void ir_machine_set(ir_machine *x, ir_var v, int64_t value);
ir_scalar ir_machine_eval(ir_machine *x, ir_expr e);
int64_t ir_machine_address(ir_machine *x, ir_value v, uint32_t n, const ir_expr *at);   /* of an element; checked */
ir_scalar ir_machine_identity(ir_red kind, ir_sort sort);
ir_scalar ir_machine_combine(ir_machine *x, ir_red kind, ir_sort sort, ir_scalar a, ir_scalar b);
_Noreturn void ir_machine_internal(ir_machine *x, const char *format, ...) BASE_PRINTF(2, 3);   /* reports INTERNAL_IR */
const char *ir_machine_position(ir_machine *x, ir_set free);    /* "b = 0, i = 3" */
#endif

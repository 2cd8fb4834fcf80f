/* Shared by the files of `lower`. Reading order: lower.c (the whole), lower_split.c, lower_guard.c, lower_algebra.c, lower_role.c,
 * lower_let.c, lower_sweep.c, lower_frame.c. */
#ifndef ATTN_PASS_LOWER_H
#define ATTN_PASS_LOWER_H
#include "memo.h"
#include "passes.h"

typedef BASE_VEC(ir_expr) lower_list;

typedef struct {                 /* one node on its way to a kernel */
    ir_unit *u;
    base_arena *arena;
    const ir_node *node;
    BASE_VEC(ir_var) outer;      /* its variables; splits replace one by two */
    ir_expr *root;               /* one body per result */
    ir_store *store;             /* places filled in */
    uint32_t n_results;
    ir_set fixed;                /* outer variables and counters: what a reduction of row rank may depend on */
    ir_set columns;              /* of sweeps and of stores */
    BASE_VEC(ir_var) sweep_axis; /* columns that the folds run over, in order; empty: no fold */
    BASE_VEC(ir_axis) axes;
    BASE_VEC(ir_let) lets;
    pass_memo role;              /* variable to role + 1 */
    pass_memo rank, visited, named, let_hash, bound;
    const char *why;             /* NULL: all is well. Else why there is no kernel */
} lower_state;

/* expressions as products and sums: factors above and below the line; terms with their sign */
typedef struct { lower_list over, under; } lower_product;
lower_product lower_factors(ir_unit *u, ir_expr e);
ir_expr lower_multiply(ir_unit *u, const lower_product *p);
void lower_conjuncts(ir_unit *u, ir_expr e, lower_list *out);                    /* of `a and b and ..`; without `true` */
ir_expr lower_reduce_like(ir_unit *u, ir_expr red, ir_expr where, ir_expr body); /* the same kind over the same variables */
ir_set lower_bound(ir_unit *u, ir_expr red);                                     /* variables that it binds */

/* lower_split.c */
void lower_split(lower_state *s);
/* lower_guard.c */
ir_expr lower_guards(ir_unit *u, ir_expr e);                    /* what guards is true inside */
ir_expr lower_score_tests(ir_unit *u, ir_expr e);               /* `s == -inf` leaves guards; any(visible) becomes not (max(s) == -inf) */
/* lower_algebra.c */
ir_expr lower_pull(ir_unit *u, ir_expr e);                      /* factors leave sums, positive factors and terms leave max */
ir_expr lower_base2(ir_unit *u, ir_expr e);                     /* exp becomes exp2, constants meet */
ir_expr lower_scale(ir_unit *u, ir_expr e, double c);           /* c * e, c > 0, pushed down to where it costs nothing */
ir_expr lower_pull_reduction(ir_unit *u, ir_expr red);
bool lower_positive(ir_unit *u, ir_expr e);
/* That the reduction has something to reduce: extents alone where the guard holds at the origin, else any(.. where ..: true). */
ir_expr lower_something(ir_unit *u, ir_expr red);
ir_expr lower_clamp(lower_state *s, ir_expr e);                 /* references of -inf become the lowest number */
/* lower_role.c */
void lower_roles(lower_state *s);                               /* roles of axes; reductions over columns bind the axes' variables */
uint8_t lower_role_of(const lower_state *s, ir_var v);
/* lower_let.c */
uint8_t lower_rank(lower_state *s, ir_expr e);
bool lower_trivial(const ir_unit *u, ir_expr e);
ir_expr lower_named(lower_state *s, ir_expr e);                 /* as a line of its own, or trivial */
/* lower_sweep.c */
uint8_t lower_sweeps(lower_state *s);                           /* fills sweep and ref; how many sweeps */
/* lower_frame.c */
void lower_frame(const lower_state *s, ir_kernel *k);           /* accesses, values, dims, counters */
/* lower.c */
uint32_t lower_nesting(ir_unit *u, ir_expr e);                  /* axes that reductions need which depend on what others bind */
ir_kernel *lower_try(ir_unit *u, const ir_node *map, const char **why);          /* NULL and the reason, unreported */
#endif

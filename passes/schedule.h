/* What the files of the pass `schedule` share: the state while one kernel is planned, and questions about the kernel that several templates ask.
 *
 * Reading order: schedule.c (the nest, items, costs; which template) -> schedule_order.c -> schedule_attend.c, schedule_few.c; schedule_contract.c ->
 * schedule_panels.c. */
#ifndef ATTN_PASSES_SCHEDULE_H
#define ATTN_PASSES_SCHEDULE_H
#include "passes.h"
#include "rewrite.h"

typedef struct {
    ir_unit *u;
    const ir_kernel *k;
    const ir_target *target;
    const int64_t *representative;
    ir_schedule *s;
    ir_expr scratch;             /* bytes given away so far */
} pass_planner;

/* schedule.c */
int32_t pass_axis_of(const ir_kernel *k, ir_var v);                             /* -1: a counter */
uint32_t pass_axes_of(const ir_kernel *k, uint8_t role);                        /* as bits */
bool pass_serial(const ir_kernel *k);                                           /* stores whose order matters */
bool pass_over_dims(const pass_planner *p, ir_expr e);                          /* dims only: no axis, no table */
bool pass_shapes(const pass_planner *p, uint32_t a, uint8_t roles);             /* does an extent of an axis with one of these roles depend on axis a? */
int32_t pass_score_in(const pass_planner *p, ir_expr e, uint32_t a);            /* how good neighbours along axis a what e reads is; more is better */
int32_t pass_store_score(const pass_planner *p, const ir_store *at, uint32_t a);  /* the same of where a result goes */
ir_expr pass_scratch_take(pass_planner *p, ir_expr bytes);                      /* an aligned place in scratch: its offset */
ir_expr pass_whole(const pass_planner *p, ir_expr n);                               /* rounded up to whole vectors */
int64_t pass_bytes_of(const pass_planner *p, uint8_t sort);                     /* of one element in scratch */
ir_expr pass_features(const pass_planner *p, const ir_let *l);                  /* how many of them a line runs over */
uint8_t pass_place_of(uint8_t rank);                                            /* an ir_let_place */
bool pass_sweeps_have_columns(const pass_planner *p);                           /* each has one that can be taken in blocks */
void pass_choose_lanes(pass_planner *p);                                        /* of the nest */
int32_t pass_width(const pass_planner *p);                                      /* lanes of a vector of what the kernel computes with */
int32_t pass_row_to_tile(const pass_planner *p);                                /* rows that share their columns; -1: none */
void pass_plan_nest(pass_planner *p);                                           /* lanes and tiles of the loop nest */
int32_t pass_column_of_sweep(const pass_planner *p, const ir_let *l);           /* the column that a sweep takes in blocks */
ir_expr pass_walked(const pass_planner *p, uint32_t a);                         /* the extent of an axis as it is walked */
pass_planner pass_plan_begin(const ir_kernel *k, const ir_target *target, const int64_t *representative);
void pass_plan_let(pass_planner *p, uint32_t let);                              /* after lanes, tiles and walks; in the order of lines */
ir_schedule *pass_plan_end(pass_planner *p, double seconds);                    /* items, costs, scratch */

/* schedule_order.c */
ir_expr pass_items_along(const pass_planner *p, uint32_t a);                    /* how many items an axis has that is not a loop */
void pass_choose_order(pass_planner *p);                                        /* which items first; after items */

/* schedule_attend.c */
int32_t pass_attends(const ir_kernel *k, const ir_target *target, const int64_t *representative);  /* the row in the lanes; -1: the template does not take it */
bool pass_schedule_attend(pass_planner *p, const char **why);                   /* lanes, tiles and places of lines; false: not of this template */
ir_schedule *pass_attend_plan(const ir_kernel *k, const ir_target *target, const int64_t *representative, const char **why);      /* the same, for costs; NULL */

/* schedule_few.c */
bool pass_is_few(const ir_kernel *k, const ir_target *target, const int64_t *representative);      /* the template of few rows takes it, before all others */
bool pass_schedule_few(pass_planner *p);                                        /* lanes, tiles and places of lines; false: not of this template */

/* schedule_contract.c */
bool pass_is_product(const ir_let *l);                                          /* a real sum of products of a row and a column factor */
const char *pass_contract_unfit(const ir_kernel *k, const ir_target *target);   /* NULL: the template takes it; "": it holds no product; else why not */
ir_schedule *pass_contract(const ir_kernel *k, const ir_target *target, const int64_t *representative);   /* its products read panels that
                                    pass_contracts makes */
ir_expr pass_contract_columns(const ir_kernel *k);                              /* how many columns are walked as one, */
uint32_t pass_contract_merged(const ir_kernel *k);                              /* and which axes these are, as bits */

/* cost.c: is the template for attention, which takes the kernel, the faster one? */
bool pass_attend_gains(const ir_kernel *k, const ir_target *target, const int64_t *representative);
/* predicted seconds of the template CONTRACT on a kernel that it takes; packs: with the kernels that pack its panels */
double pass_contract_seconds(const ir_kernel *k, const ir_target *target, const int64_t *representative, bool packs);
double pass_nest_seconds(const ir_kernel *k, const ir_target *target, const int64_t *representative);      /* of the loop nest */

/* schedule_panels.c */
bool pass_contracts(pass_state *state);                                         /* the template wherever it is faster: with maps and kernels that pack */
#endif

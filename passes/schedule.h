/* What the files of the pass `schedule` share: the state while one kernel is planned, and questions about the kernel that several templates ask.
 *
 * Reading order: schedule.c (the nest, items, costs; which template) -> schedule_order.c -> schedule_attend.c. */
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
bool pass_serial(const ir_kernel *k);                                           /* stores whose order matters */
bool pass_over_dims(const pass_planner *p, ir_expr e);                          /* dims only: no axis, no table */
bool pass_shapes(const pass_planner *p, uint32_t a, uint8_t roles);             /* does an extent of an axis with one of these roles depend on axis a? */
int32_t pass_score_in(const pass_planner *p, ir_expr e, uint32_t a);            /* how good neighbours along axis a what e reads is; more is better */
int32_t pass_store_score(const pass_planner *p, const ir_store *at, uint32_t a);  /* the same of where a result goes */
ir_expr pass_scratch_take(pass_planner *p, ir_expr bytes);                      /* an aligned place in scratch: its offset */
int64_t pass_bytes_of(const pass_planner *p, uint8_t sort);                     /* of one element in scratch */
ir_expr pass_features(const pass_planner *p, const ir_let *l);                  /* how many of them a line runs over */
uint8_t pass_place_of(uint8_t rank);                                            /* an ir_let_place */
int32_t pass_column_of_sweep(const pass_planner *p, const ir_let *l);           /* the column that a sweep takes in blocks */

/* schedule_order.c */
ir_expr pass_items_along(const pass_planner *p, uint32_t a);                    /* how many items an axis has that is not a loop */
void pass_choose_order(pass_planner *p);                                        /* which items first; after items */

/* schedule_attend.c */
bool pass_schedule_attend(pass_planner *p, const char **why);                   /* lanes, tiles and places of lines; false: not of this template */
#endif

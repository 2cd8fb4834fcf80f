/* What the files of the template ATTEND share: a panel is the tile of rows at hand, some vectors of them, on its way over the columns.
 *
 * Reading order: attend.c (panels, sweeps, blocks) -> attend_runs.c (which columns) -> attend_tile.c (rows into lanes, register tiles) -> attend_pass.c (what happens to a block of
 * scores) -> attend_store.c (results). */
#ifndef ATTN_CPU_ATTEND_H
#define ATTN_CPU_ATTEND_H
#include "emit.h"

typedef struct {
    cpu_emitter *e;
    int32_t vectors;             /* of rows; the tile has room for e->s->micro_cols */
    cpu_val row0, hi;            /* first row, and the one behind the last */
    cpu_val tail[IR_MICRO];      /* by vector: which rows exist */
    cpu_val *fold;               /* by let and vector: slot of a FOLD */
    cpu_val *moved;              /* by let that is a reference and vector: slot of where its sums stand */
    cpu_val *row;                /* by let and vector: value of a line of rows that is ready; NULL: not yet */
    const bool *need;            /* by let: somebody reads it in lanes */
    uint32_t sweep;
    bool masked;                 /* some pairs of the block are hidden */
    cpu_val lag;                 /* slot, where references of the sweep lag: -1: there is none yet; 1: they lag; 0: they have to follow. NULL: they follow */
} cpu_panel;

typedef struct {                 /* a register tile: sums of some columns or values, and of all vectors of rows */
    cpu_panel *p;
    uint32_t let;
    ir_expr part, place;         /* while a factor or an operand is loaded: what, and where to */
    cpu_val first;               /* column or value that the tile begins with */
    cpu_val at[IR_MICRO];        /* its columns or values, by number */
    cpu_val sum[IR_MICRO][IR_MICRO];         /* slots */
} cpu_patch;

/* attend.c */
static inline cpu_val *cpu_of_panel(const cpu_panel *p, cpu_val *by, uint32_t let, int32_t vector) { return &by[let * IR_MICRO + (uint32_t)vector]; (void)p; }
void cpu_panel_bind(cpu_panel *p, int32_t vector);       /* its rows are the lanes, and lines of rows are known; opens a scope */
void cpu_panel_unbind(cpu_panel *p);
/* Lines of rows get their values, for all vectors: those of `some`, as folds stand now; NULL: all whose value is final in this sweep. */
void cpu_rows_ready(cpu_panel *p, uint32_t sweep, const bool *some);
void cpu_mark(cpu_emitter *e, bool *need, ir_expr x);    /* by let: what x reads, and what that reads */
cpu_val cpu_panel_at(cpu_panel *p, ir_expr place, cpu_val index, int32_t vector);          /* address in a place of (index, row) */
cpu_val cpu_panel_load(cpu_panel *p, ir_expr place, cpu_val index, int32_t vector);        /* a vector of rows there, tails included */
void cpu_panel_store(cpu_panel *p, cpu_val v, ir_expr place, cpu_val index, int32_t vector);
uint32_t cpu_axes_with(const cpu_emitter *e, uint8_t role);                     /* bits */
cpu_val cpu_slot_of(cpu_emitter *e, cpu_val v, const char *name);               /* a slot that begins with v */
cpu_val cpu_slot_value(cpu_emitter *e, cpu_val slot);

/* attend_runs.c: columns lo .. hi (excluded); full: a truth value, constant where it is known here: every pair is visible */
typedef void cpu_span_of_columns(cpu_panel *p, int32_t axis, cpu_val lo, cpu_val hi, cpu_val full);
void cpu_attend_runs(cpu_panel *p, int32_t axis, cpu_span_of_columns *body);

/* attend_tile.c */
void cpu_load_row(cpu_panel *p);                         /* row factors of all products, as lanes */
void cpu_load_col(cpu_panel *p, uint32_t k);             /* factors of columns that are computed, for the block at hand */
uint32_t cpu_over_of(const cpu_emitter *e, const ir_let *l);                    /* what a line runs over, as bits of axes */
cpu_val cpu_feature_index(cpu_emitter *e, uint32_t k);   /* among the features of a line, as all places of its factors and operands have them */
cpu_val cpu_column_place(cpu_emitter *e, uint32_t k, ir_expr place);            /* address, of the column and the feature or value at hand */
void cpu_load_pair(cpu_panel *p, uint32_t i);            /* a read of pairs, for the block at hand */
cpu_val cpu_pair_here(cpu_panel *p, uint32_t i, cpu_val col, int32_t vector);   /* what it is at a column of the block */
void cpu_scores(cpu_panel *p, uint32_t k);               /* a product, for the block at hand */
void cpu_accumulate(cpu_panel *p, uint32_t k);           /* weights of the block times values */
cpu_val cpu_whole(cpu_emitter *e, cpu_val n);            /* rounded up to vectors */
/* dst[j][i] = src[i][j] for i below n_i and j below n_j, both rounded up to vectors; strides in elements. */
void cpu_transpose(cpu_emitter *e, cpu_val src, cpu_val src_step, cpu_val n_i, cpu_val dst, cpu_val dst_step, cpu_val n_j);

/* attend_pair.c */
void cpu_pair_feature(cpu_emitter *e, void *env);        /* env: a cpu_patch; adds what one feature gives to its sums, whatever the body is */

/* attend_pass.c */
/* Scores, folds and sums of the block at hand; full: every pair of it is visible. */
void cpu_attend_block(cpu_panel *p, uint32_t sweep, cpu_val full);

/* attend_store.c */
void cpu_attend_stores(cpu_panel *p);
#endif

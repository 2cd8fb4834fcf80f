/* Shared by the files of the pass `mask`. Reading order: mask.c (the whole), mask_form.c, mask_bounds.c, mask_truth.c, mask_summary.c,
 * mask_keys.c, mask_facts.c. */
#ifndef ATTN_PASS_MASK_H
#define ATTN_PASS_MASK_H
#include "memo.h"
#include "passes.h"

typedef struct { ir_expr lo, hi; } mask_bounds;  /* of an integer on a tile, inclusive; 0: unknown */
typedef struct {                 /* lo, hi: what stands for the variable at the two ends of a tile; 0: nothing is known of it there */
    ir_var var;
    ir_expr lo, hi;
    bool joined;                 /* conditions are looked at together along it: mask_covered, mask_meets */
} mask_corner;
typedef BASE_VEC(ir_value) mask_values;
typedef struct mask_summaries mask_summaries;    /* of a graph: mask_summary.c */
typedef struct {                 /* the corners that one mask is judged by */
    ir_unit *u;
    base_arena *arena;
    const mask_corner *corners; uint32_t n_corners;
    ir_set moving;               /* the variables of all corners: what depends on none of them is a point */
    bool opaque;                 /* the guard has lines in it: they look like points, and are none */
    mask_summaries *summaries;   /* NULL: none are made, and ranges of tables are unknown */
    mask_values used;            /* values of summaries that the answers read */
    pass_memo bounds_of, truth_of;
    BASE_VEC(mask_bounds) bounds;
    BASE_VEC(ir_truth) truth;
} mask_state;
mask_state mask_begin(ir_unit *u, uint32_t n, const mask_corner *corners, mask_summaries *summaries);

/* mask_form.c */
enum { MASK_LIFTS = 4 };
ir_expr mask_form(ir_unit *u, ir_expr truth, uint32_t lifts);    /* the normal form: what the rules below are exact on */
ir_expr mask_difference(ir_unit *u, ir_expr comparison);         /* d such that the comparison is d >= 0 or d == 0; 0: it does not fit */
/* mask_bounds.c */
bool mask_is_point(const mask_state *s, ir_expr e);
mask_bounds mask_bounds_of(mask_state *s, ir_expr e);
mask_bounds mask_sum_bounds(mask_state *s, const ir_poly *p, uint32_t skip);     /* of a sum without one term; skip == p->n: of all */
bool mask_no_less(mask_state *s, ir_expr e, int64_t least);      /* proved, or checked when the kernel is called */
/* arithmetic that passes "unknown" on, and is unknown itself where 63 bits may not do */
ir_expr mask_add(mask_state *s, ir_expr a, ir_expr b);
ir_expr mask_sub(mask_state *s, ir_expr a, ir_expr b);
ir_expr mask_mul(mask_state *s, ir_expr a, ir_expr b);
ir_expr mask_div(mask_state *s, ir_expr a, ir_expr d);           /* floor */
ir_expr mask_div_up(mask_state *s, ir_expr a, ir_expr d);
ir_expr mask_both(mask_state *s, ir_op op, ir_expr a, ir_expr b);        /* min, max: unknown if either is */
ir_expr mask_either(mask_state *s, ir_op op, ir_expr a, ir_expr b);      /* the known one if only one is */
/* mask_truth.c */
ir_truth mask_truth_of(mask_state *s, ir_expr form);
/* mask_summary.c: the statistics of one table along some of its axes; its maps in order, the last one makes the values. Maps take up more
 * statistics until they are put into the graph. */
enum { MASK_STATISTICS = 3 };
typedef struct {
    ir_value source, value[MASK_STATISTICS];     /* 0: nobody asks for it */
    uint8_t shift[IR_RANK], n_nodes;
    bool ranged[IR_RANK];
    ir_node *nodes[4];
} mask_summary;
mask_summaries *mask_summaries_create(base_arena *arena);
uint32_t mask_summaries_count(const mask_summaries *m);
const mask_summary *mask_summaries_at(const mask_summaries *m, uint32_t k);
mask_bounds mask_range(mask_state *s, ir_expr read);             /* least and greatest element that a read can meet on the tile */
ir_truth mask_range_truth(mask_state *s, ir_expr read);
ir_expr mask_presence(mask_state *s, ir_expr read);              /* set of the elements' last six bits; 0: not known */
/* mask_keys.c */
ir_keys mask_keys_of(mask_state *s, ir_expr any, ir_expr all, ir_var key, ir_expr n_keys);
ir_expr mask_covered(mask_state *s, uint32_t n, const ir_expr *any);     /* two of these hold on all of the tile together */
ir_expr mask_meets(mask_state *s, const mask_corner *c, ir_expr a, ir_expr b);  /* along an axis they do not exclude each other */
/* mask_facts.c */
ir_expr mask_at_whole(ir_unit *u, const ir_kernel *k, const ir_mask *m, ir_expr e);      /* e with every tile as large as its axis */
ir_expr mask_work(ir_unit *u, const ir_keys *keys);
ir_expr mask_rows_seen(const ir_kernel *k, ir_expr visible, uint32_t key_axis, mask_summaries *summaries, bool opaque, mask_values *used);
/* mask.c */
ir_mask *mask_of_kernel(const ir_kernel *k, mask_summaries *summaries, mask_values *used);       /* NULL: no fold has a guard. used: the
                                                                  values of summaries that it reads */
#endif

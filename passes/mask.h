/* Shared by the files of the pass `mask`. Reading order: mask.c (the whole), mask_form.c, mask_bounds.c, mask_truth.c, mask_keys.c, mask_facts.c. */
#ifndef ATTN_PASS_MASK_H
#define ATTN_PASS_MASK_H
#include "memo.h"
#include "passes.h"

typedef struct { ir_expr lo, hi; } mask_bounds;  /* of an integer on a tile, inclusive; 0: unknown */
typedef struct { ir_var var, lo, hi; } mask_corner;
typedef struct {                 /* the corners that one mask is judged by */
    ir_unit *u;
    base_arena *arena;
    mask_corner *corners; uint32_t n_corners;
    ir_set moving;               /* the variables that have corners: what depends on none is a point */
} mask_state;
#endif

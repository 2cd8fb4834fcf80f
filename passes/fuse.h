/* Shared by the files of `fuse`. Reading order: fuse.c (the judge and the whole), fuse_put.c, fuse_take.c, fuse_join.c. */
#ifndef ATTN_PASS_FUSE_H
#define ATTN_PASS_FUSE_H
#include "lower.h"
#include "rewrite.h"

typedef struct {                 /* a node of the block at hand */
    ir_node *node;               /* NULL: gone */
    double cost;                 /* seconds; < 0: not yet known */
    const char *kept;            /* why the last attempt to put it into its readers failed; NULL: none */
    double apart, together;      /* what the judge compared then; 0: it did not get that far */
} fuse_slot;
typedef struct { const ir_node *map; double cost; const char *why; } fuse_known;
typedef struct { ir_expr extent; ir_var v; } fuse_stand_in;
typedef struct {                 /* a reduction as a node of its own; NULL: the move has been made */
    ir_node *node;
    uint8_t order[IR_RANK];      /* its axes: indices of the free variables in order of appearance */
} fuse_fresh;
typedef struct {
    pass_state *state;
    ir_unit *u;
    base_arena *arena;
    BASE_VEC(fuse_slot) slots;   /* in order */
    pass_memo costs;             /* hash of a map to an index of `known` */
    BASE_VEC(fuse_known) known;
    pass_memo depth;             /* of expressions */
    BASE_VEC(fuse_stand_in) stand_ins;           /* for patterns of reductions */
    pass_memo taken;             /* pattern to an index of `fresh`, so that trying again makes nothing new */
    BASE_VEC(fuse_fresh) fresh;
} fuse_block;

/* fuse.c */
enum { FUSE_DEPTH = 600 };       /* nesting of an expression beyond which nothing is put in */
enum { FUSE_NESTING = 2 * IR_AXES };     /* of reductions in one another beyond which nothing is taken out: each would be tried at every level */
double fuse_cost(fuse_block *b, const ir_node *map, const char **why);   /* seconds; fuse_none and more: there is no good kernel */
extern const double fuse_none;
double fuse_slot_cost(fuse_block *b, uint32_t i);
void fuse_set(fuse_block *b, uint32_t i, ir_node *node);
uint32_t fuse_depth(fuse_block *b, ir_expr e);
bool fuse_node_reads(fuse_block *b, const ir_node *node, ir_value v);
bool fuse_gains(double before, double after);
/* Notes a move that was made, for people: what, and what the judge compared. */
void fuse_moved(fuse_block *b, base_span span, double before, double after, const char *format, ...) BASE_PRINTF(5, 6);
const char *fuse_name(const fuse_block *b, const ir_node *map);          /* of its first result */
/* the moves: true if the block changed */
bool fuse_put(fuse_block *b, uint32_t i);
bool fuse_take(fuse_block *b, uint32_t i);
bool fuse_join(fuse_block *b);
bool fuse_joins_better(fuse_block *b, uint32_t i, uint32_t k, double than);   /* would joining these two cost less? */
#endif

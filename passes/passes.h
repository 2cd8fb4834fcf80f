/* From graph to plan: a table of passes in order (passes.def), run by one manager that verifies, dumps and times. */
#ifndef ATTN_PASSES_H
#define ATTN_PASSES_H
#include "ir.h"

typedef struct { const char *text; base_span span; } pass_remark;              /* "kr kept apart from o: ..." */
typedef struct pass_state {
    base_arena *arena;
    base_diags *diags;
    const ir_target *target;
    const int64_t *representative;   /* by ir_dim: sizes that costs are judged at; 0: the default of the cost model. NULL: all defaults */
    ir_graph *graph;                 /* after graph passes */
    ir_kernel **kernels; uint32_t n_kernels;           /* after lower, in the order of the graph's maps, loops'
                                        bodies included; a check gives two: its position, then what was found there. Behind them those that
                                        pack panels, which `schedule` adds, to the graph too */
    ir_schedule **schedules;                           /* after schedule, one per kernel */
    ir_plan *plan;                                     /* after memory */
    BASE_VEC(pass_remark) moves;     /* what fuse and split did, in order: "n put into y (9 us apart, 5 us together)" */
    BASE_VEC(pass_remark) remarks;   /* what stayed apart, and why */
    uint32_t n_trials;               /* kernels that the judge looked at */
} pass_state;
typedef struct { const char *name; double seconds; uint32_t nodes, kernels; } pass_timing;
typedef struct {
    const char *stop_after;          /* name of a pass, or NULL */
    void (*dump)(void *env, const char *pass, const pass_state *state);        /* after each pass; NULL: none */
    void *env;
    BASE_VEC(pass_timing) *timings;  /* NULL: not wanted */
} pass_options;
bool pass_run_all(pass_state *state, const pass_options *options);             /* false: reported */
#define PASS(name, before, after, does) bool pass_##name(pass_state *state);
#include "passes.def"
bool pass_exists(const char *name);
uint32_t pass_count(void);
const char *pass_name(uint32_t k);
const char *pass_does(uint32_t k);                                             /* one line for --help and docs */
void pass_state_print(const pass_state *state, base_text *out);                /* the most lowered form that exists */

/* lower.c: one map node to a kernel; a pure function of the node */
ir_kernel *pass_lower_node(ir_unit *u, const ir_node *map);
/* cost.c: predicted seconds of a kernel on a target. The judge's cost is HUGE_VAL with a reason where no template is good at it; a statement
 * that the program writes so runs all the same, in these seconds. */
double pass_cost(const ir_kernel *k, const ir_target *target, const int64_t *representative, const char **why);
double pass_seconds(const ir_kernel *k, const ir_target *target, const int64_t *representative);
int64_t pass_representative(const ir_unit *u, ir_dim dim, const int64_t *given);
double pass_size(const ir_unit *u, ir_expr extent, const int64_t *given);      /* of an axis at the representative sizes */
/* legalize.c: the same kernel without operators that the target lacks */
ir_kernel *pass_legalize_kernel(const ir_kernel *k, const ir_target *target);
/* mask.c: the same kernel with its mask, by what it reads itself: no summaries, which are kernels of their own */
ir_kernel *pass_mask_kernel(const ir_kernel *k);
double pass_visible_share(const ir_kernel *k, const int64_t *representative);   /* mask_share.c: of all pairs; 1 without a mask */
bool pass_work_rises(const ir_kernel *k, const int64_t *representative);       /* later tiles of rows have more to do; false where tables decide */
void pass_mask_print(const ir_kernel *k, base_text *out);                        /* mask_print.c: nothing if it has none */
/* reference.c: `bound`, `idle` and `lags` of all lines, for the template of attention: where each may be, not whether it pays */
void pass_references(const ir_kernel *k, ir_let_schedule *lets);
/* schedule.c: what one item covers, which the cost model has to know too */
enum { PASS_ROWS_PER_ITEM = 32, PASS_COLUMNS_PER_ITEM = 256, PASS_COLUMNS_PER_BLOCK = 128 };
ir_schedule *pass_schedule_kernel(const ir_kernel *k, const ir_target *target, const int64_t *representative);
/* setup.c: the outermost block, in the order in which it runs: sources and what depends on params alone, n_first of them; then what a call computes */
ir_block pass_setup_first(const pass_state *state, uint32_t *n_first);
/* memory.c: what its pass leaves is verified by ir_plan_verify */
#endif

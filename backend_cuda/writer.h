/* The state of printing one kernel as CUDA C, shared by expr.c, lets.c, points.c, rows.c and emit.c.
 *
 * A line of the kernel is printed where it is first wanted and no sooner, at the place in the C text where that is: `cuda_want` prints the lines an
 * expression reads that are not visible yet. Visibility follows the braces of C: a scope remembers what was visible and restores it.
 * Binding variables (a loop over features, another column) hides what varies over them.
 */
#ifndef ATTN_CUDA_WRITER_H
#define ATTN_CUDA_WRITER_H
#include "cuda_internal.h"

typedef BASE_VEC(uint32_t) cuda_ids;
typedef struct {
    ir_unit *u;
    const ir_kernel *k;
    base_arena *arena;
    base_text *out;
    base_diags *diags;
    const char *real;            /* "float" or "double" */
    const char **var_name;       /* by ir_var; NULL: neither axis nor counter */
    const char **dim_name;       /* by ir_dim */
    const char **value_name;     /* by ir_value */
    ir_set *varies;              /* per line: the axes it varies over, through the lines it reads */
    bool *reads;                 /* n_lets x n_lets: line i reads line j, at once or through others, references included */
    bool *visible;               /* per line */
    ir_set bound;                /* variables that have a value here */
    uint32_t *seen, epoch;       /* per expression, for walks */
    uint32_t depth, n_temps;
    bool failed;                 /* reported */
} cuda_writer;

/* ---- expr.c: text of expressions */
const char *cuda_type(const cuda_writer *w, uint8_t sort);                       /* C type of a value in a register */
const char *cuda_element(uint8_t dtype);                                         /* C type of a stored element */
const char *cuda_identity(cuda_writer *w, uint8_t red, uint8_t sort);
const char *cuda_expr(cuda_writer *w, ir_expr e);                                /* prints what it needs first; the lines it reads must be visible */
const char *cuda_address(cuda_writer *w, ir_value value, uint32_t n, const ir_expr *at, bool clamped);
const char *cuda_elements(cuda_writer *w, const ir_type *type);                  /* product of the extents */
cuda_ids cuda_nodes(cuda_writer *w, ir_expr e);                                  /* all nodes below and e, each once, operands first */
extern const char *const cuda_op_texts[IR_N_OPS];

/* ---- lets.c: lines of the kernel */
void cuda_lets_init(cuda_writer *w);
bool cuda_reads(const cuda_writer *w, uint32_t let, uint32_t other);
typedef struct { const bool *visible; ir_set bound; } cuda_scope;
cuda_scope cuda_scope_begin(const cuda_writer *w);                               /* what is visible and bound now, to be restored */
void cuda_scope_end(cuda_writer *w, cuda_scope before);
void cuda_bind(cuda_writer *w, ir_set vars);                                     /* vars get values: hides lines that vary over them */
bool cuda_can(const cuda_writer *w, uint32_t let);                               /* all that the line varies over is bound */
void cuda_want(cuda_writer *w, ir_expr e);                                       /* prints the lines e reads that are not visible yet */
void cuda_want_let(cuda_writer *w, uint32_t let);
void cuda_assign_let(cuda_writer *w, uint32_t let);                              /* computes a declared line again */
void cuda_want_outside(cuda_writer *w, ir_expr e, ir_set vars);                  /* the lines below e that can be had before vars are bound */

/* ---- emit.c: lines of text, axes, stores */
void cuda_line(cuda_writer *w, const char *format, ...) BASE_PRINTF(2, 3);
void cuda_open(cuda_writer *w, const char *format, ...) BASE_PRINTF(2, 3);       /* a line and ` {` */
void cuda_close(cuda_writer *w);
void cuda_fail(cuda_writer *w, const char *why);                                 /* reports that this kernel has no code */
typedef struct { uint32_t *at; uint32_t n; } cuda_axes;                          /* indices of axes of the kernel */
ir_set cuda_axes_set(const cuda_writer *w, cuda_axes axes);
cuda_axes cuda_axes_of_role(const cuda_writer *w, uint32_t n_roles, const uint8_t *roles);
cuda_axes cuda_axes_of_vars(const cuda_writer *w, uint32_t n, const ir_var *vars);
uint32_t cuda_axes_free_suffix(const cuda_writer *w, cuda_axes axes);            /* first of the axes from which on no extent depends on these */
void cuda_loops(cuda_writer *w, const uint32_t *axes, uint32_t n);               /* opens one loop per axis */
const char *cuda_count(cuda_writer *w, const char *name, const uint32_t *axes, uint32_t n);  /* declares n_NAME, the number of points */
void cuda_digits(cuda_writer *w, const char *name, const char *from, const uint32_t *axes, uint32_t n);  /* indices of point `from` of n_NAME */
cuda_axes cuda_store_axes(const cuda_writer *w, const ir_kernel_store *s, uint32_t n_roles, const uint8_t *roles);
void cuda_store(cuda_writer *w, const ir_kernel_store *s);

/* ---- points.c, rows.c: the two forms of the template */
void cuda_points(cuda_writer *w);                                                /* no sweeps: a thread per point of the result */
void cuda_rows(cuda_writer *w);                                                  /* sweeps: a warp per row */

/* ---- runs.c */
bool cuda_runs(cuda_writer *w, const uint32_t *lanes, uint32_t n);               /* col_begin and col_end of the columns that a row visits */

/* ---- prelude.c */
void cuda_prelude(base_text *out);
#endif

/* The data of the compiler: expressions, graphs, kernels, schedules, plans, targets; their text, their verifiers and their meaning.
 *
 * Reading order: unit (expressions and what they mention) -> graph -> kernel -> schedule -> plan -> target.
 * Ownership: everything lives in the arena of its unit. Threads: a unit belongs to one thread at a time.
 * Failure: a wrong construction yields expression 0, the poison, which every operator passes on; what the user must hear
 * has been reported by then. Nothing here returns an error code that a caller may forget.
 */
#ifndef ATTN_IR_H
#define ATTN_IR_H
#include <math.h>
#include "base.h"

typedef uint32_t ir_expr;        /* 0: the poison */
typedef uint32_t ir_var;         /* an index variable; ids from 1 */
typedef uint32_t ir_dim;         /* a dimension symbol; ids from 1 */
typedef uint32_t ir_value;       /* a tensor of a graph; ids from 1 */
typedef uint32_t ir_set;         /* an interned set of variables; 0: the empty one */

enum { IR_RANK = 8, IR_AXES = 16 };      /* the only limits: axes of a value, axes of a kernel; beyond them a diagnostic */

typedef enum {
#define OP(id, text, args, result, form, cost, expand) IR_##id,
#include "ops.def"
    IR_N_OPS
} ir_op;
typedef enum {
#define RED(id, text, args, identity) IR_RED_##id,
#include "reductions.def"
    IR_N_REDS
} ir_red;
typedef enum {
#define DTYPE(id, text, npy, bytes, sort) IR_TYPE_##id,
#include "dtypes.def"
    IR_N_DTYPES
} ir_dtype;
typedef enum {
#define FORM(id, text) IR_FORM_##id,
#include "forms.def"
    IR_N_FORMS
} ir_form;
typedef enum { IR_SORT_NONE, IR_SORT_INT = 'i', IR_SORT_REAL = 'f', IR_SORT_BOOL = 'b' } ir_sort;

typedef struct { const char *name, *text, *args, *expand; uint8_t n_args, result, form, cost; } ir_op_info;
typedef struct { const char *text; char args; double identity; } ir_red_info;
typedef struct { const char *text, *npy; uint8_t bytes, sort; } ir_dtype_info;   /* sort: an ir_sort */
extern const ir_op_info ir_ops[IR_N_OPS];
extern const ir_red_info ir_reds[IR_N_REDS];
extern const ir_dtype_info ir_dtypes[IR_N_DTYPES];
static inline bool ir_red_takes(ir_red red, ir_sort sort) {      /* a body of this sort */
    const char args = ir_reds[red].args;
    return args == 'b' ? sort == IR_SORT_BOOL : sort == IR_SORT_INT || (args == 'n' && sort == IR_SORT_REAL);
}
extern const char *const ir_form_names[IR_N_FORMS];

/* ---------------------------------------------------------------- unit: expressions, variables, dimensions, facts, values */

typedef struct { uint32_t first, n; } ir_list;   /* n entries of unit->pool */

typedef struct {                 /* one node of the expression DAG; equal expressions are one id */
    uint8_t op, sort;
    ir_list operands;
    ir_set free;                 /* its free variables, those of the extents of what it binds included */
    union { int64_t i; double f; uint32_t ref; } u;   /* literal; or id of a dimension, variable, let, value; or an ir_red */
} ir_expr_info;
typedef struct { int64_t lo, hi; } ir_interval;  /* inclusive; INT64_MIN, INT64_MAX: unknown or beyond 63 bits */
typedef struct { const char *name; ir_expr extent; } ir_var_info;     /* runs over 0 .. extent (excluded) */
typedef struct { const char *name; int64_t least, value; bool fixed; } ir_dim_info;     /* least: proved lower bound, 0 if none is known; fixed: it stands for `value` */
typedef struct { uint8_t dtype, rank; ir_expr dim[IR_RANK]; } ir_type;
typedef struct { const char *name; ir_type type; } ir_value_info;

typedef struct ir_unit {
    base_arena *arena;
    base_diags *diags;                       /* where spans point and messages go */
    BASE_VEC(ir_expr_info) expr;
    BASE_VEC(uint32_t) pool;
    BASE_VEC(ir_var_info) var;
    BASE_VEC(ir_dim_info) dim;
    BASE_VEC(ir_value_info) value;
    BASE_VEC(ir_expr) fact;                  /* truth values over dimensions that hold: H % G == 0, S >= 1 */
    struct ir_unit_index *index;             /* hash tables, sets, intervals, binders: private to unit.c */
} ir_unit;

/* unit.c: creation and leaves */
ir_unit *ir_unit_create(base_arena *arena, base_diags *diags);
ir_var ir_var_new(ir_unit *u, const char *name, ir_expr extent);                /* always a new one */
ir_dim ir_dim_new(ir_unit *u, const char *name);
void ir_dim_fix(ir_unit *u, ir_dim dim, int64_t value);                         /* before it is used: from now on the symbol is the number, and what is built folds */
ir_value ir_value_new(ir_unit *u, const char *name, const ir_type *type);
void ir_fact_add(ir_unit *u, ir_expr fact);                                     /* before expressions that may use it are built */
static inline const ir_expr_info *ir_at(const ir_unit *u, ir_expr e) { return &u->expr.at[e]; }
static inline ir_expr ir_operand(const ir_unit *u, ir_expr e, uint32_t k) { return u->pool.at[u->expr.at[e].operands.first + k]; }
static inline uint32_t ir_n_operands(const ir_unit *u, ir_expr e) { return u->expr.at[e].operands.n; }
static inline bool ir_is(const ir_unit *u, ir_expr e, ir_op op) { return u->expr.at[e].op == op; }
ir_expr ir_int(ir_unit *u, int64_t value);
ir_expr ir_real(ir_unit *u, double value);
ir_expr ir_bool(ir_unit *u, bool value);
ir_expr ir_dim_expr(ir_unit *u, ir_dim dim);
ir_expr ir_var_expr(ir_unit *u, ir_var var);
ir_expr ir_let_expr(ir_unit *u, uint32_t let, ir_sort sort);
ir_expr ir_read(ir_unit *u, ir_value value, uint32_t n, const ir_expr *at);     /* n must be the rank */
bool ir_is_int(const ir_unit *u, ir_expr e, int64_t *out);                      /* out may be NULL */
bool ir_is_real(const ir_unit *u, ir_expr e, double *out);
bool ir_is_bool(const ir_unit *u, ir_expr e, bool value);

/* fold.c: operators, folded on construction; integers become canonical polynomials (poly.c) */
ir_expr ir_apply(ir_unit *u, ir_op op, uint32_t n, const ir_expr *operands);    /* any row of ops.def with operands */
ir_expr ir_op1(ir_unit *u, ir_op op, ir_expr a);
ir_expr ir_op2(ir_unit *u, ir_op op, ir_expr a, ir_expr b);
ir_expr ir_select(ir_unit *u, ir_expr c, ir_expr a, ir_expr b);
static inline ir_expr ir_add(ir_unit *u, ir_expr a, ir_expr b) { return ir_op2(u, IR_ADD, a, b); }
static inline ir_expr ir_sub(ir_unit *u, ir_expr a, ir_expr b) { return ir_op2(u, IR_SUB, a, b); }
static inline ir_expr ir_mul(ir_unit *u, ir_expr a, ir_expr b) { return ir_op2(u, IR_MUL, a, b); }
static inline ir_expr ir_and(ir_unit *u, ir_expr a, ir_expr b) { return ir_op2(u, IR_AND, a, b); }
static inline ir_expr ir_or(ir_unit *u, ir_expr a, ir_expr b) { return ir_op2(u, IR_OR, a, b); }
static inline ir_expr ir_not(ir_unit *u, ir_expr a) { return ir_op1(u, IR_NOT, a); }
int64_t ir_bits(ir_op op, int64_t a, int64_t b);                                /* what BITAND, BITOR, SHL, SHR, TOPBIT mean */
ir_sort ir_result_sort(const ir_unit *u, ir_op op, uint32_t n, const ir_expr *operands);  /* NONE: operands do not fit the row */

/* reduce.c: reductions. Binders are canonical (bound from inside out, each the first binder of its extent that occurs nowhere in what it
 * binds), so reductions equal up to renaming are one id, and no renaming captures. Binders are never variables of nodes. */
ir_expr ir_reduce(ir_unit *u, ir_red kind, uint32_t n, const ir_var *bound, ir_expr where, ir_expr body);  /* n == 0: select(where, body, identity) */
static inline uint32_t ir_red_n_bound(const ir_unit *u, ir_expr red) { return ir_n_operands(u, red) - 2; }
static inline ir_var ir_red_bound(const ir_unit *u, ir_expr red, uint32_t k) { return ir_at(u, ir_operand(u, red, k))->u.ref; }
static inline ir_expr ir_red_where(const ir_unit *u, ir_expr red) { return ir_operand(u, red, ir_n_operands(u, red) - 2); }
static inline ir_expr ir_red_body(const ir_unit *u, ir_expr red) { return ir_operand(u, red, ir_n_operands(u, red) - 1); }
ir_expr ir_red_identity(ir_unit *u, ir_red kind, ir_sort sort);
ir_expr ir_reduce_as(ir_unit *u, ir_red kind, uint32_t n, const ir_var *bound, ir_expr where, ir_expr body);  /* with these very variables
                                                              as binders: kernels need it, whose axes are fixed variables; graphs never */

/* set.c: sets of variables, interned: equal sets are one id, membership is one search */
ir_set ir_set_of(ir_unit *u, uint32_t n, const ir_var *vars);
ir_set ir_set_union(ir_unit *u, ir_set a, ir_set b);
ir_set ir_set_minus(ir_unit *u, ir_set a, ir_set b);
ir_set ir_set_meet(ir_unit *u, ir_set a, ir_set b);
bool ir_set_has(const ir_unit *u, ir_set s, ir_var v);
bool ir_set_meets(const ir_unit *u, ir_set a, ir_set b);
uint32_t ir_set_size(const ir_unit *u, ir_set s);
ir_var ir_set_at(const ir_unit *u, ir_set s, uint32_t k);                       /* ascending ids */
static inline ir_set ir_free(const ir_unit *u, ir_expr e) { return u->expr.at[e].free; }
static inline bool ir_depends(const ir_unit *u, ir_expr e, ir_var v) { return ir_set_has(u, ir_free(u, e), v); }

/* poly.c: integers as polynomials, and what can be proved about them with the unit's facts */
typedef struct { int64_t coef; ir_expr monomial; } ir_term;                     /* monomial 0: the constant term */
typedef struct { ir_term *at; uint32_t n; } ir_poly;
ir_poly ir_poly_of(ir_unit *u, ir_expr e);
bool ir_divides(ir_unit *u, ir_expr divisor, ir_expr e);                        /* provably */
bool ir_in_range(ir_unit *u, ir_expr e, ir_expr n);                             /* 0 <= e < n, provably */
bool ir_at_least(ir_unit *u, ir_expr e, int64_t least);                         /* e >= least, provably */
bool ir_affine(ir_unit *u, ir_expr e, ir_var v, ir_expr *coef, ir_expr *rest);  /* e == coef * v + rest, both free of v */
bool ir_provably(ir_unit *u, ir_expr truth);                                    /* a truth value that must hold */
bool ir_provably_where(ir_unit *u, ir_set vars, ir_expr truth);                 /* where these variables have values too: no extent of theirs is 0 */
ir_interval ir_interval_of(ir_unit *u, ir_expr e);                              /* dimensions are below 2^31, tables by their type */
ir_interval ir_interval_of_real(ir_unit *u, ir_expr e, bool *maybe_nan);        /* outward, saturated: is a score never -inf? */
bool ir_maybe_minus_inf(ir_unit *u, ir_expr e);                                 /* false only if e is provably not -inf */

/* rebuild.c: one memoised walk for every rewriting */
typedef ir_expr ir_rewrite(ir_unit *u, void *env, ir_expr e);                   /* called before the operands; 0: go on below */
ir_expr ir_rebuild(ir_unit *u, ir_expr e, ir_rewrite *before, void *env);
ir_expr ir_rebuild_up(ir_unit *u, ir_expr e, ir_rewrite *after, void *env);     /* called on each rebuilt expression; 0: as it is */
typedef struct { ir_var from; ir_expr to; } ir_binding;
ir_expr ir_substitute(ir_unit *u, ir_expr e, uint32_t n, const ir_binding *all);/* all at once; extents too; never captures */
typedef bool ir_visit(const ir_unit *u, void *env, ir_expr e);                  /* true: go on below. Each expression is seen once */
void ir_walk(const ir_unit *u, ir_expr e, ir_visit *visit, void *env);          /* extents of binders are walked too */
bool ir_reads(const ir_unit *u, ir_expr e, ir_value value);
bool ir_has_op(const ir_unit *u, ir_expr e, ir_op op);

/* ---------------------------------------------------------------- graph */

typedef enum { IR_STORE_ONE, IR_STORE_LAST, IR_STORE_ADD } ir_store_mode;
typedef struct {                 /* where results go; n_places == 0: one axis per outer variable, in order */
    uint8_t mode, n_places;      /* ONE: places proved distinct; LAST: the last in row-major order wins; ADD */
    ir_value result, into;       /* into: the other elements; 0: zeros */
    ir_expr *places;
} ir_store;
typedef struct { ir_expr body; ir_store store; } ir_result;
typedef struct { ir_value inside, init, next, result; } ir_carry;               /* init 0: zeros */
typedef struct ir_node ir_node;
typedef struct { ir_node **at; uint32_t n; } ir_block;                          /* in order; every value is defined before it is read */
typedef struct {                 /* what the pass `checks` asks of data: an index in range, a divisor that is not zero. The evaluator looks itself and skips these */
    const char *what;            /* "index", "divisor", "place" of a store, "bit", or the operator whose integer result overflows */
    ir_value tensor; uint8_t axis; ir_expr limit;    /* index: 0 <= found < limit, the extent of that axis */
    ir_var *over; uint8_t n_over;                    /* variables of the linear position, row-major */
    ir_node *position, *found;   /* maps of rank 0 i64 results: the least failing position or INT64_MAX; the value there (run only on failure) */
} ir_check;
struct ir_node {                 /* immutable once in a graph that has been handed on; graphs share nodes */
    uint8_t form;                /* ir_form */
    base_span span;              /* where it was written */
    union {
        struct { ir_value value; const char *storage; const void *data; const uint8_t *packed; } source;  /* input, param, const.
                                    storage: name in the weights, {l} stacks; data: elements of a const, dense;
                                    packed: NULL, or one flag per axis: joined with the axis before it for the host */
        struct { ir_var *outer; ir_result *results; uint8_t n_outer, n_results; } map;
        struct { ir_var counter; ir_expr lo, hi, cond; ir_carry *carries; uint32_t n_carries; ir_block body; } loop;  /* counter's variable
                                    has extent hi; it runs lo <= counter < hi; cond is tested before each round; body ends with its yield */
        ir_check check;
        struct { ir_value *values; uint32_t n_values; } use;                    /* yield: next values in the order of carries; output */
    };
};
typedef struct { ir_dim dim; int64_t *values; uint32_t n; } ir_choice;          /* where D in {64, 128} */
typedef struct { ir_value value; const char *name; uint8_t dtype; const uint8_t *packed; } ir_output_info;  /* dtype as handed out */
typedef struct {
    ir_unit *unit;
    const char *name, *doc;
    ir_block body;               /* sources first, the output last */
    ir_choice *choices; uint32_t n_choices;
    struct { ir_expr fact; base_span span; } *facts; uint32_t n_facts;          /* tested when tensors are bound */
    ir_output_info *outputs; uint32_t n_outputs;
    ir_value *scalars; ir_dim *scalar_dims; uint32_t n_scalars;                 /* inputs `K: dim`: rank 0 i64 value and the symbol it binds */
} ir_graph;

/* graph.c: building */
typedef struct ir_builder ir_builder;                                           /* of one block, nodes in order */
ir_builder *ir_builder_create(ir_unit *u);
void ir_builder_add(ir_builder *b, ir_node *node);
ir_block ir_builder_block(ir_builder *b);
ir_node *ir_node_source(ir_unit *u, ir_form form, base_span span, ir_value value);
ir_node *ir_node_map(ir_unit *u, base_span span, uint32_t n_outer, const ir_var *outer, ir_value result, ir_expr body);
ir_node *ir_node_use(ir_unit *u, ir_form form, base_span span, uint32_t n, const ir_value *values);
ir_node *ir_node_copy(ir_unit *u, const ir_node *node);                         /* shallow: lists are shared until replaced */
ir_graph *ir_graph_with(const ir_graph *g, ir_block body);                      /* the same graph with another body */
typedef void ir_node_visit(void *env, const ir_node *node, uint32_t depth);
void ir_graph_each(const ir_graph *g, ir_node_visit *visit, void *env);         /* loops' bodies too, in order */
const ir_node *ir_graph_producer(const ir_graph *g, ir_value value);            /* of inputs, maps' results, carries */

/* verify.c: true if all is well; else reports BASE_MSG_INTERNAL_IR naming the rule, and the node */
bool ir_graph_verify(const ir_graph *g, const char *after);

/* print.c, read.c: text forms; printing and reading are inverse. `read` reports what is wrong and returns NULL. */
void ir_expr_print(const ir_unit *u, ir_expr e, base_text *out);
void ir_graph_print(const ir_graph *g, base_text *out);
ir_graph *ir_graph_read(base_arena *arena, base_diags *diags, uint32_t file);   /* a whole file of diags: one graph in a unit of its own */
ir_expr ir_expr_parse(ir_unit *u, const char *text, uint32_t n_names, const char *const *names, const ir_expr *values);  /* names: operands a b c of op texts;
                                                                                    0 and a report (BASE_MSG_INTERNAL_IR) if it is wrong */

/* ---------------------------------------------------------------- evaluator: the meaning */

typedef struct {                 /* a tensor of the evaluator: doubles for reals, int64 for integers and truth values; dense */
    uint8_t dtype, rank;
    int64_t dim[IR_RANK], n;     /* n: elements */
    union { double *f; int64_t *i; };
} ir_tensor;
typedef struct {                 /* what stands for what */
    int64_t *dim;                /* by ir_dim */
    ir_tensor *value;            /* by ir_value; n < 0: absent */
} ir_frame;
/* eval.c */
ir_frame ir_frame_create(const ir_unit *u, base_arena *arena);
ir_tensor ir_tensor_new(base_arena *arena, uint8_t dtype, uint8_t rank, const int64_t *dim);   /* zeroed */
bool ir_type_shape(const ir_unit *u, const ir_frame *frame, const ir_type *type, int64_t *dim, base_diags *diags);  /* extents of a type over dims */
double ir_round_to(uint8_t dtype, double x);                                    /* the nearest value that the type stores */
int64_t ir_saturate_to(uint8_t dtype, int64_t x);
bool ir_eval_expr(const ir_unit *u, const ir_frame *frame, ir_expr e, int64_t *out, base_diags *diags);   /* an integer or truth value over dims and values */
/* Runs the graph: inputs and params in frame->value are given and dims bound; every other value appears there. Reports data errors
 * (index out of range, zero divisor, overflow) at the node's span and returns false. Outputs are rounded to their type. */
bool ir_graph_eval(const ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags);
/* The same, with the maps handed to `run`: sources, loops and outputs stay the evaluator's. `run` puts results into frame->value; counters: by ir_var. */
typedef bool ir_map_run(void *env, const ir_node *map, ir_frame *frame, const int64_t *counters);
bool ir_graph_eval_with(const ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags, ir_map_run *run, void *env);

/* ---------------------------------------------------------------- kernel: an expression cut into lets by rank */

enum { IR_ITEM = 0, IR_ROW = 1, IR_COL = 2, IR_VAL = 4, IR_FEAT = 8 };          /* roles of axes; a rank is a set of them */
typedef enum { IR_LET_EXPR, IR_LET_TERM, IR_LET_FOLD, IR_LET_ACC } ir_let_kind;
typedef struct { ir_var var; ir_expr extent; uint8_t role; } ir_axis;
typedef struct {                 /* address of one READ: base + sum of step[k] * axis k, in elements of the dense value */
    ir_expr read, base;
    ir_expr *step;               /* one per axis; 0: the address does not move with it */
    uint32_t gather;             /* bits: axes on which base depends, through tables, // or % */
} ir_access;
typedef struct {                 /* one line, $k. Later lines may read earlier ones, never the reverse */
    uint8_t kind, rank, sort, red, sweep;
    int32_t ref;                 /* FOLD, ACC: kept relative to 2^$ref; -1: absolute */
    ir_var *over; uint8_t n_over;/* TERM: contracted features; FOLD, ACC: columns */
    ir_expr where;               /* guard of TERM, FOLD, ACC; a truth value, true if none */
    ir_expr e;                   /* EXPR value; FOLD body; ACC weight; TERM 0, or the body if it is no product */
    ir_expr a, b;                /* TERM: row factor, column factor; ACC: b is the value factor */
} ir_let;
typedef struct { ir_store at; ir_expr e; } ir_kernel_store;                     /* e: a let or something trivial; places filled in */
/* Which pairs of a row and a column take part in the folds of a kernel, judged for tiles: may and must are the guard of its folds with every
 * row and column replaced by the two corners of a tile, inclusive. They are ordinary expressions over corner variables, items,
 * dimensions, counters and reads of kernel->values: an emitter binds lo[a] and hi[a] of each row and column axis a to the tile at hand
 * (clipped to the extent; a single index: both to it), has items and dimensions as ever, and evaluates them like any other expression.
 * A tile is full if `must`, empty if not `may`, else partial: the guard is tested pair by pair. A READ may lie out of range, and is clamped as ever. */
typedef struct { ir_expr may, must; } ir_truth;  /* some pair of the tile can be visible; every pair is */
typedef struct {                 /* columns along one axis, inclusive, over corners of rows and of the other column axes */
    uint32_t axis;               /* index of the column */
    ir_expr first, last;         /* what some row of the tile may see lies in there: nothing if first > last */
    ir_expr full_first, full_last;   /* every row of the tile sees all of these */
    bool exact;                  /* these four decide every tile, at least as well as may and must: three loops, partial, full, partial */
} ir_keys;
typedef struct ir_mask {
    ir_expr visible;             /* the guard over axes, as the lines have it: of several folds, what any takes */
    ir_var *lo, *hi;             /* by axis: corner variables; 0 for items, values and features, which stand still */
    ir_truth tile;
    ir_keys *keys; uint32_t n_keys;                  /* one per column axis that the folds run over, in the order of axes */
    ir_expr seen;                /* over items and dims: some pair of the item may be visible. False: its folds take nothing */
    ir_expr rows_seen;           /* over items and dims: every row sees a column, proved */
    ir_expr work;                /* of a tile of rows, in tenths of a column: 10 for a column that all rows see, 12 for any other that is visited; exact
                                    where keys are, else no less than what the walk finds. 0: several column axes */
} ir_mask;
typedef struct ir_kernel {
    ir_unit *unit;
    const char *name;            /* of its first result */
    base_span span;
    ir_axis *axes;      uint32_t n_axes;
    ir_let *lets;       uint32_t n_lets;
    ir_access *accesses;uint32_t n_accesses;
    ir_kernel_store *stores; uint32_t n_stores;
    ir_value *values;   uint32_t n_values;       /* buffers, results first, then what is read, each once: the order of its frame */
    ir_dim *dims;       uint32_t n_dims;         /* dimension symbols it mentions: ints of its frame, in order, */
    ir_var *counters;   uint32_t n_counters;     /* then counters of the loops around it */
    uint8_t n_sweeps, real;      /* real: IR_TYPE_F64 if any read or result is f64, else IR_TYPE_F32 */
    ir_expr inside;              /* rows that exist where a split does not divide; true if all do */
    const ir_mask *mask;         /* after the pass `mask`, of kernels whose folds have a guard; NULL: every pair takes part */
} ir_kernel;
/* kernel.c */
const ir_access *ir_kernel_access(const ir_kernel *k, ir_expr read);
uint8_t ir_kernel_rank(const ir_kernel *k, ir_expr e);                          /* roles that e varies over, through lets */
ir_expr ir_axis_count(const ir_kernel *k, uint8_t role);                        /* product of the extents of that role */
ir_expr ir_kernel_does(const ir_kernel *k);                                     /* over dims: it stores something. Else it must not run: its lines may read what is not there */
bool ir_kernel_verify(const ir_kernel *k);
void ir_kernel_print(const ir_kernel *k, base_text *out);
ir_kernel *ir_kernel_read(base_arena *arena, base_diags *diags, uint32_t file); /* kernel_read.c: a whole file: one kernel in a unit of its own; NULL: reported */
/* interp.c: runs a kernel literally: items, sweeps, blocks of columns, running references. The proof of `lower`. */
typedef enum { IR_INTERP_PLAIN, IR_INTERP_BLOCKS, IR_INTERP_SPLIT } ir_interp_mode;  /* blocks of 3 columns; columns in two parts, merged */
bool ir_kernel_run(const ir_kernel *k, ir_frame *frame, const int64_t *counters, ir_interp_mode mode, base_arena *arena, base_diags *diags);

/* ---------------------------------------------------------------- target and schedule */

typedef struct ir_target {       /* the only place where a machine's numbers stand */
    const char *name;            /* "cpu", "cuda" */
    uint32_t level;              /* rt_level of the module contract: what its code needs of a CPU */
    const char *triple, *cpu, *features;             /* for LLVM; "" where not used */
    bool lacks[IR_N_OPS];        /* operators to expand */
    int32_t lanes;               /* f32 elements of a vector; 1 on a scalar target */
    int32_t regs, cores;
    double matmul_rate, vector_rate, mem_bytes_per_s, launch_s;   /* of one core (CPU) or the device: flop/s, op/s, B/s, s */
    double overlap;              /* of the lesser of arithmetic and memory, the share that is not hidden */
    int64_t value_tile_bytes;    /* place for the value tile of one row tile */
    int32_t tile_keys, tile_vectors, tile_block;     /* ATTEND: columns and vectors of rows of a register tile, columns of a block; 0: what the rule of the template gives */
    double contract_rate, attend_rate;               /* flop/s of products in packed panels; of those below folds, rows in the lanes. 0: the target
                                    has no such template */
    int32_t fma_latency, fma_ports, load_ports;  /* cycles; multiply-adds and vector loads that start in one */
    int64_t l1_bytes, l2_bytes;  /* caches of one core */
    int32_t contract_rows, contract_vectors, contract_tile, contract_block;      /* CONTRACT, forced: rows and vectors of a register tile, rows of an item,
                                    features of a block; 0: as the rule of the template says. Any of them: the template wherever it can be */
    int32_t few_rows, few_columns, few_block;        /* FEW, forced: rows of an item, columns of a register tile, columns of a block; 0: as the rule of the template
                                    says. Any of them: the template wherever it can be */
    uint8_t reference;           /* ATTEND, forced: an ir_reference, wherever it can be, also where another is faster */
    int32_t split_columns;       /* columns of a part at least, forced: whatever can be split is; 0: as the pass `split` says */
} ir_target;
typedef enum { IR_NEST, IR_ATTEND, IR_CONTRACT, IR_FEW } ir_template;
typedef enum { IR_REF_CHOSEN, IR_REF_EXACT, IR_REF_LAGGING } ir_reference;      /* CHOSEN: as the template says */
enum { IR_MICRO = 8, IR_MICRO_MOST = 16 };       /* rows, and columns or vectors, of a tile in registers at most */
typedef enum { IR_PLACE_CONST, IR_PLACE_ROW, IR_PLACE_COL, IR_PLACE_PAIR, IR_PLACE_VALUE, IR_PLACE_ROW_VALUE, IR_PLACE_COL_VALUE, IR_PLACE_PAIR_VALUE } ir_let_place;
typedef struct {                 /* ATTEND, of a TERM that is no product: a part of its body that varies over features, and over rows or columns alone */
    ir_expr e, at;               /* at: of rows per (feature, row of the tile); of columns per (column of the block, feature), 0: read where it lies */
    uint8_t side, lanes;         /* IR_ROW or IR_COL; lanes: of rows, along which it is computed, IR_FEAT (then turned) or IR_ROW */
} ir_pair_operand;
typedef struct {                 /* how one let is computed */
    uint8_t place;               /* from its rank alone */
    uint8_t lanes;               /* role along which vectors run: IR_FEAT, IR_COL, IR_VAL, IR_ROW; 0: scalar */
    int32_t lane_axis;           /* index of the axis, or -1. TERM in tiles of rows x columns: a feature (lanes are summed at the end) or the column.
                                    ACC: the value that tiles run along, also where lanes are IR_COL (summed at the end of a block) */
    int32_t col_axis;            /* FOLD, ACC with lanes along columns: the column that its sweep takes in blocks; else -1 */
    bool kept;                   /* has a place in scratch: TERM, FOLD, ACC */
    bool idle;                   /* ATTEND, FOLD: only lines with a bound read it; it is not computed, what it folds may still be kept */
    bool lags;                   /* ATTEND: a reference that may stay where it is for blocks in which no pair is hidden; a FOLD that it comes from, and that such
                                    blocks leave out. All references of a sweep, or none */
    ir_expr at;                  /* kept: byte offset in scratch, over dims. TERM: one value per (row of the tile, column of the block), by rank;
                                    FOLD: one per row of the tile; ACC: one per (row of the tile, value). ATTEND: a FOLD is kept where what it folds
                                    is wanted again in the same block: one per (column, row) */
    ir_expr moved_at;            /* FOLD, ACC with a ref: the reference it stands relative to, one per row of the tile */
    bool packed;                 /* TERM: its row factor is computed once per row, into scratch. FEW: and the product has register tiles of the template */
    ir_expr factor_at;           /* packed: per (row of the tile, feature), the lanes' feature innermost. FEW: that one rounded up to vectors. ATTEND: 0 where the TERM is no product: */
    ir_pair_operand *operands; uint32_t n_operands;       /* its body is computed for each pair and feature, from these */
    ir_expr bound;               /* ATTEND, a line that is a reference: the real at which the sums stand instead, in all columns; 0: at the line, as it moves */
    ir_expr weight_at;           /* ACC: weights of one block, per (row of the tile, column of the block) */
    ir_expr col_at;              /* ATTEND: the column factor of a TERM (per column of the block and feature), the value factor of an ACC (per column and
                                    value) is computed once per block into scratch; 0: it is read where it lies */
    ir_value panels;             /* CONTRACT, a product of rows and columns: its column factor, packed before the launch: [.., block of columns, features,
                                    column of the block], columns beyond the last 0; else 0 */
    ir_expr panels_at;           /* elements from the start of `panels` to the first block of this item; over counters and items */
} ir_let_schedule;
typedef enum { IR_WALK_ITEM, IR_WALK_TILE, IR_WALK_LOOP } ir_axis_walk;
typedef struct {                 /* how one axis is walked */
    uint8_t walk;                /* ITEM: one index per item of the launch; TILE: `tile` indices per item; LOOP: all of them inside the kernel */
    int32_t tile;                /* TILE: a positive number of indices */
    ir_expr extent;              /* as walked; 0: the axis's own. Axes that every address takes alike are walked as one: the innermost of them
                                    over the product of their extents, the others over 1 */
} ir_axis_schedule;
typedef struct { ir_expr read, at; } ir_pair_read;        /* at: its place in scratch, per (column of the block, row of the tile) */
typedef struct ir_schedule {     /* all that an emitter needs beside the kernel; it decides nothing itself */
    const ir_kernel *kernel;
    uint8_t form;                /* ir_template */
    uint8_t lanes;               /* ATTEND: IR_ROW, a tile of the row lane_axis; CONTRACT, FEW: IR_COL; NEST: role in the lanes of everything but tiles of TERMs and ACCs. IR_COL: blocks of columns, rows of a tile one
                                    after the other. IR_ROW: the axis lane_axis (a row or an item; pure maps too), all else is a loop around.
                                    0: scalar */
    int32_t lane_axis;           /* index of the axis whose neighbours share a vector; -1: none */
    int32_t row_axis;            /* IR_COL: the axis of role row that is tiled; -1: no rows, a tile is one row */
    int32_t width;               /* lanes of a vector */
    int32_t row_tile;            /* rows whose kept lets live in scratch together; 1 if lanes != IR_COL */
    int32_t col_block;           /* columns of lane_axis that are handled together, a multiple of width; 0: whole */
    int32_t micro_rows, micro_cols;                  /* powers of two up to IR_MICRO: accumulators of a TERM tile: rows x columns (lanes along features) or vectors of columns.
                                    ATTEND: columns (values in an ACC) x vectors of rows. CONTRACT: any numbers up to IR_MICRO_MOST. FEW: any number
                                    of rows up to IR_MICRO */
    int32_t walk;                /* ATTEND, FEW: columns that a mask judges together where it has no closed form */
    ir_expr rows_at;             /* ATTEND: rows of the tile on their way into the lanes or out of them, per (row, feature or value) */
    ir_expr out_at;              /* ATTEND: a result over values before it leaves the lanes, per (value, row); 0: stores run along the lanes */
    ir_pair_read *pairs; uint32_t n_pairs;           /* ATTEND: reads that vary over rows and columns, and whose neighbours are columns: turned block by block */
    int32_t out_axis;            /* ATTEND: the value axis that such stores run along; else -1 */
    int32_t k_block;             /* CONTRACT: features whose products are summed in registers; 0: all */
    ir_value *panels; uint32_t n_panels;             /* buffers of the frame behind kernel->values: packed column factors, each once */
    ir_axis_schedule *axes;      /* one per axis of the kernel; items count them row-major, in order, ITEM and TILE ones only */
    ir_let_schedule *lets;       /* one per let */
    ir_expr items;               /* items of a launch: product over ITEM axes and tiles of TILE axes; 1 if a store must be serial */
    ir_expr cost_of_item;        /* operations, over dims */
    bool rising;                 /* items cost more and more within each period: the last first */
    ir_expr period;              /* items after which costs repeat, over dims; 0: none */
    ir_expr scratch_bytes;       /* per worker */
    double predicted_s;          /* at the representative dimensions */
    double unit_s;               /* likewise, of one operation of cost_of_item */
} ir_schedule;
/* schedule.c */
void ir_schedule_print(const ir_schedule *s, base_text *out);
void ir_schedule_spell(const ir_schedule *s, base_text *out);                   /* every field: equal texts of kernel and schedule are equal code */
/* schedule_verify.c */
bool ir_schedule_verify(const ir_schedule *s);           /* else reports the rule that is broken */

/* ---------------------------------------------------------------- plan */

typedef enum { IR_STEP_LAUNCH, IR_STEP_LOOP, IR_STEP_NEXT, IR_STEP_TEST, IR_STEP_COPY, IR_STEP_ZERO, IR_STEP_CHECK, IR_STEP_FAIL } ir_step_kind;
typedef struct {                 /* buffers: indices into plan->buffers; the same steps as rt_step of the module contract */
    uint8_t kind;
    uint32_t kernel;             /* LAUNCH: index into plan->schedules */
    uint32_t *buffers; uint32_t n_buffers;       /* LAUNCH: in the order of kernel->values; COPY: to, from; ZERO, TEST, CHECK: one; FAIL: position, found */
    ir_var counter; ir_expr lo, hi;              /* LOOP; NEXT: the counter */
    uint32_t target;             /* LOOP, TEST: step after the loop; NEXT: the step after its LOOP; CHECK: where to go on when all is well */
    uint32_t check;              /* FAIL: index into plan->checks */
} ir_step;
typedef enum { IR_BUFFER_INPUT, IR_BUFFER_PARAM, IR_BUFFER_CONST, IR_BUFFER_OUTPUT, IR_BUFFER_WORK, IR_BUFFER_KEPT } ir_buffer_kind;   /* KEPT: made by the set-up, read by calls */
typedef struct {
    uint8_t kind;
    ir_value value;
    uint32_t index;              /* of the input, param, output in the graph's order */
    ir_expr bytes, offset;       /* offset: WORK only, into the workspace; both over dims */
    uint32_t first, last;        /* steps between which it lives */
    bool setup;                  /* made by the set-up: KEPT, or WORK in its workspace */
} ir_buffer;
typedef struct {                 /* one entry of a module */
    const ir_graph *graph;
    ir_schedule **schedules;  uint32_t n_schedules;
    ir_step *steps;           uint32_t n_steps;
    uint32_t n_setup;            /* the first steps: they need params and constants alone, and run once for a model */
    ir_buffer *buffers;       uint32_t n_buffers;
    const ir_check **checks;  uint32_t n_checks;
    ir_expr workspace_bytes, setup_bytes;        /* of a call; of the set-up */
} ir_plan;
void ir_plan_print(const ir_plan *p, base_text *out);
bool ir_plan_verify(const ir_plan *p);
#endif

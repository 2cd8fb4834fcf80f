/* From tree to graph: what a name stands for, and the functions that turn each kind of thing into expressions and nodes of the IR.
 *
 * Two scopes meet. A *frame* is one graph being lowered (a called graph has a frame of its own): its tensors, dimensions, outputs;
 * it changes as statements go by. An *env* is what a place inside an expression sees beside that: indices and things taken by name;
 * it never changes, inner scopes are new envs.
 *
 * An index stands for integer expressions, mostly one variable; `e[i = x]`, functions and reductions bind it anew. What is taken by
 * name is a *thunk*: text with the env it was written in. Evaluating it in another env rebinds its indices to what they are there.
 *
 * Failure: expression 0 is passed on quietly; who finds the mistake reports it. Private to the folder.
 */
#ifndef ATTN_FRONTEND_LOWER_H
#define ATTN_FRONTEND_LOWER_H
#include "program.h"
#include "builtin.h"

enum { FE_MAX_RECURSION = 900, FE_MAX_STEPS = 400000, FE_MAX_CALLS = 32, FE_MAX_NODES = 20000 };

typedef struct fe_lower fe_lower;
typedef struct fe_frame fe_frame;
typedef struct fe_env fe_env;
typedef struct fe_thunk fe_thunk;
typedef struct fe_attend fe_attend;

/* ---- what a place in an expression sees */
typedef struct {                         /* one value of an index */
    ir_expr at, lo, hi;                  /* its position; it runs over lo .. hi */
    bool inside;                         /* `at` is lo plus a variable over hi - lo, so lo <= at < hi needs no test */
    ir_var var;                          /* that variable; 0: `at` is something else */
} fe_index;
typedef struct fe_binding {
    const char *name;
    const fe_thunk *thunk;               /* taken by name; NULL: an index */
    const fe_index *index; uint32_t n;   /* an index formal may stand for several */
    const struct fe_binding *next;       /* outer */
} fe_binding;
typedef struct fe_vis {                  /* in weights and adjust: reductions over these indices run over visible pairs */
    const char **names; uint32_t n;
    const fe_thunk *visible;
} fe_vis;
typedef struct fe_assumed { ir_expr truth; const struct fe_assumed *next; } fe_assumed;   /* holds wherever this is evaluated */
typedef struct fe_chain { const char *name; base_span at; const struct fe_chain *next; } fe_chain;   /* calls, innermost first */
struct fe_env {
    const fe_binding *first;
    const fe_module *module;             /* where the text stands */
    fe_frame *frame;                     /* NULL in bodies of functions: they see no tensors but constant tables */
    const fe_vis *vis;
    const fe_assumed *assumed;
    const fe_chain *calls;
};

typedef struct { const char *formal; const char **actual; uint32_t *width, n; } fe_link;  /* width: how many indices each actual name stands for; n 1: all */
typedef enum { FE_THUNK_TEXT, FE_THUNK_BACK, FE_THUNK_SCORE, FE_THUNK_WEIGHT, FE_THUNK_VISIBLE } fe_thunk_kind;
struct fe_thunk {
    uint8_t kind;
    const fe_expr *text;                 /* TEXT */
    fe_env env;                          /* TEXT, BACK: where it was written */
    const fe_link *links; uint32_t n_links;   /* TEXT, BACK: formals of the function that took it, and what they are in env */
    const fe_thunk *inner;               /* BACK: seen from inside a variant */
    fe_attend *attend; uint32_t stage;   /* SCORE, WEIGHT: after so many lines */
    bool final;                          /* SCORE: -inf where not visible */
};

/* ---- what a graph's statements see */
typedef struct { ir_value value; uint32_t n_fixed; ir_expr fixed[IR_RANK]; } fe_tensor;    /* value 0: none. Leading axes fixed: a slice */
typedef enum { FE_SLOT_NONE, FE_SLOT_POISON, FE_SLOT_TENSOR, FE_SLOT_SCALAR, FE_SLOT_COUNTER, FE_SLOT_RECORD, FE_SLOT_DECL } fe_slot_kind;
typedef struct fe_field_value { const char *name; fe_tensor tensor; } fe_field_value;
typedef struct {
    uint8_t kind;
    const char *name;
    fe_tensor tensor;                    /* TENSOR */
    ir_expr e;                           /* SCALAR: an integer over dimensions; COUNTER: its variable */
    fe_field_value *fields; uint32_t n_fields;   /* RECORD; TENSOR: lse */
    fe_decl *decl;                       /* DECL: const, param or state inside the graph */
} fe_slot;
typedef struct { const char *name; uint32_t old; } fe_undo;
typedef struct { ir_type type; uint8_t *packed; bool poison; } fe_shape;
typedef struct {                         /* a name that a loop carries, or that is defined along it */
    const char *name;
    base_span at;                        /* where it is first assigned */
    ir_value inside, init, result;       /* init 0: zeros */
    bool along;
} fe_carry;
typedef struct fe_loop {
    struct fe_loop *outer;
    const char *counter;
    ir_var var;
    ir_expr hi;
    uint32_t undo_mark;
    BASE_VEC(fe_carry) carries;
} fe_loop;
struct fe_frame {
    fe_frame *caller;
    const fe_decl *decl;
    const fe_module *module;
    base_map *dims; BASE_VEC(ir_expr) dim;       /* names of dimensions to expressions */
    base_map *names; BASE_VEC(fe_slot) slots;    /* 1 + index; 0: ended with its loop */
    BASE_VEC(fe_undo) undo;
    fe_shape *out_shapes;                        /* of decl->graph.outputs */
    fe_loop *loop;
    base_map *wants_lse;                         /* names whose .lse the graph reads */
    uint32_t n_calls;
};

typedef struct { const fe_decl *decl; ir_value value; ir_node *node; bool poison; } fe_source;
typedef struct { const fe_module *module; const char *name; ir_dim dim; } fe_file_dim;
typedef struct { ir_expr fact; base_span span; } fe_fact_value;
struct fe_lower {
    const fe_program *program;
    base_arena *arena;
    base_diags *diags;
    uint32_t *file_map;                          /* files of the program's diagnostics to files of `diags` */
    ir_unit *u;
    ir_builder *out;                             /* of the block being filled */
    BASE_VEC(ir_node *) inputs;
    BASE_VEC(fe_source) sources;                 /* params and constant tables in use */
    BASE_VEC(ir_var) counters;                   /* of all loops so far */
    BASE_VEC(fe_file_dim) file_dims;             /* dimensions named by params of files */
    BASE_VEC(fe_fact_value) facts;
    const fe_fixed *fixed; uint32_t n_fixed;     /* symbols that are numbers in this lowering */
    BASE_VEC(ir_choice) choices;
    BASE_VEC(ir_value) scalars; BASE_VEC(ir_dim) scalar_dims;
    BASE_VEC(base_span) dim_at;                  /* where dimension symbols were first named, by ir_dim */
    uint32_t failures;                           /* mistakes found, those reported before included */
    base_map *keeps;                             /* function and index: used up or kept */
    BASE_VEC(const fe_decl *) expanding;         /* functions and constants being expanded: a second time is a recursion */
    uint32_t depth, steps, nodes, looking;
};

/* ---- report.c: messages with the chain of calls; the same message at the same place once */
base_span fe_at(const fe_lower *l, base_span at);
/* NULL if it has been reported. Words of the message as base_report. */
base_diag *fe_report(fe_lower *l, const fe_env *env, base_message message, base_span at, ...);
base_diag *fe_not_yet(fe_lower *l, const fe_env *env, base_span at, const char *construct);
void fe_expected(base_diag *diag, const char *expected, const char *found, const char *hint);   /* diag may be NULL */
const char *fe_expr_text(fe_lower *l, ir_expr e);
const char *fe_shape_text(fe_lower *l, const ir_expr *dim, uint32_t n);
const char *fe_sort_text(ir_sort sort);

/* ---- env.c */
fe_env fe_env_of_frame(fe_frame *frame);
const fe_binding *fe_bound(const fe_env *env, const char *name);
fe_env fe_bind_index(fe_lower *l, const fe_env *env, const char *name, const fe_index *index, uint32_t n);
fe_env fe_bind_thunk(fe_lower *l, const fe_env *env, const char *name, const fe_thunk *thunk);
fe_env fe_assume(fe_lower *l, const fe_env *env, ir_expr truth);
bool fe_is_assumed(const fe_lower *l, const fe_env *env, ir_expr truth);
fe_index fe_index_over(fe_lower *l, const char *name, ir_expr lo, ir_expr hi);          /* a new variable */
ir_expr fe_thunk_eval(fe_lower *l, const fe_thunk *t, const fe_env *cur);
fe_env fe_thunk_env(fe_lower *l, const fe_thunk *t, const fe_env *cur);                  /* its env with indices as they are in cur */
bool fe_same(fe_lower *l, ir_expr a, ir_expr b);                                         /* provably equal integers */
bool fe_of_dims(const fe_lower *l, ir_expr e);                                           /* no data, no index: dimensions and loop counters at most */

/* ---- names.c: what names mean, where indices stand */
typedef enum { FE_FOUND_NONE, FE_FOUND_BAD, FE_FOUND_INDEX, FE_FOUND_THUNK, FE_FOUND_SCALAR, FE_FOUND_TENSOR, FE_FOUND_RECORD } fe_found_kind;
typedef struct { uint8_t kind; const fe_binding *binding; ir_expr e; fe_tensor tensor; const fe_slot *slot; } fe_found;
fe_found fe_lookup(fe_lower *l, const fe_env *env, fe_name name);                        /* `name` alone; BAD: reported */
fe_found fe_lookup_base(fe_lower *l, const fe_env *env, const fe_expr *base);            /* name or name.field before [...]; NONE: neither */
fe_decl *fe_find(fe_lower *l, const fe_env *env, fe_space space, fe_name name);          /* reports a clash; NULL */
uint32_t fe_tensor_rank(const fe_lower *l, const fe_tensor *t);
ir_expr fe_tensor_dim(const fe_lower *l, const fe_tensor *t, uint32_t axis);
const ir_type *fe_value_type(const fe_lower *l, ir_value value);
bool fe_keeps(fe_lower *l, const fe_decl *fn, uint32_t formal, uint64_t with);           /* may the body depend on that index of its caller, */
bool fe_call_keeps(fe_lower *l, const fe_env *env, const fe_decl *fn, uint32_t formal, const fe_items *args, const char *name);   /* on which these values do? */
void fe_free_names(fe_lower *l, const fe_env *env, const fe_expr *e, fe_names *out);     /* bare names that nothing explains, each once */
typedef struct { ir_expr extent; const char *where; base_span at; } fe_stand;            /* an axis on which an index stands alone */
typedef BASE_VEC(fe_stand) fe_stands;
void fe_stands_of(fe_lower *l, const fe_env *env, const char *name, const fe_expr *e, fe_stands *out);
ir_expr fe_extent(fe_lower *l, const fe_env *env, fe_name name, const fe_stands *stands);/* 0: reported */

/* ---- expr.c */
ir_expr fe_lower_expr(fe_lower *l, const fe_env *env, const fe_expr *e);
ir_expr fe_lower_int(fe_lower *l, const fe_env *env, const fe_expr *e, const char *what);
ir_expr fe_lower_bool(fe_lower *l, const fe_env *env, const fe_expr *e, const char *what);
ir_expr fe_lower_real(fe_lower *l, const fe_env *env, const fe_expr *e);
ir_expr fe_real_of(fe_lower *l, ir_expr e);                                              /* an integer becomes a real; others as they are */
ir_sort fe_sort(const fe_lower *l, ir_expr e);                                           /* NONE: poison */
bool fe_is_minus_inf(const fe_lower *l, ir_expr e);
ir_expr fe_not_minus_inf(fe_lower *l, ir_expr e);                                        /* the truth value `e is not -inf`, as simple as it gets */
ir_expr fe_ops(fe_lower *l, const fe_env *env, const fe_expr *at, ir_op op, ir_expr a, ir_expr b);   /* arithmetic with promotion */

/* ---- call.c */
ir_expr fe_lower_call(fe_lower *l, const fe_env *env, const fe_expr *e);
/* The env of the body of a fn or variant called from env. false: reported. */
bool fe_call_env(fe_lower *l, const fe_env *env, const fe_decl *decl, const fe_formals *formals, const fe_items *binders, const fe_items *args,
                 base_span at, fe_env *out);

/* ---- reduce.c */
typedef struct { const char *name; fe_index index; bool ragged; } fe_bound_index;        /* ragged: its range depends on data or indices */
typedef BASE_VEC(fe_bound_index) fe_bound_indices;
/* Binds names and ranges that stand before a colon; what they are bound over stands in texts. false: reported */
bool fe_bind_all(fe_lower *l, fe_env *env, const fe_items *binders, const fe_expr *const *texts, uint32_t n_texts, fe_bound_indices *out);
ir_expr fe_axis_of(fe_lower *l, ir_expr at, const ir_expr *bodies, uint32_t n);          /* the axis on which `at` stands alone in reads, 0: none or several */
bool fe_is_within(fe_lower *l, const fe_index *range, ir_expr axis);                     /* provably 0 <= lo and hi <= axis */
ir_expr fe_lower_reduction(fe_lower *l, const fe_env *env, const fe_expr *e, fe_builtin which);
ir_expr fe_lower_softmax(fe_lower *l, const fe_env *env, const fe_expr *e);

/* ---- attend.c */
fe_attend *fe_attend_create(fe_lower *l, const fe_env *env, const fe_expr *e);           /* NULL: reported */
ir_expr fe_attend_value(fe_lower *l, fe_attend *a);
ir_expr fe_attend_lse(fe_lower *l, fe_attend *a);
ir_set fe_attend_depends(fe_lower *l, fe_attend *a);                                     /* variables on which the weights depend */
ir_expr fe_attend_thunk(fe_lower *l, const fe_thunk *t, const fe_env *cur);

/* ---- dims.c: types and dimensions */
ir_dtype fe_element(fe_lower *l, const fe_env *env, const fe_type *type);                /* IR_N_DTYPES: reported, or the pseudo type `dim` */
bool fe_is_dim_type(const fe_type *type);
bool fe_type_shape(fe_lower *l, const fe_env *env, const fe_type *type, const char *who, fe_shape *out);   /* false: reported */
bool fe_dim_of(fe_lower *l, const fe_env *env, fe_name name, ir_expr *out);              /* a dimension of the graph or of its file */
ir_expr fe_dim_expr(fe_lower *l, const fe_env *env, const fe_expr *e);                   /* 0: reported */
void fe_frame_dim(fe_lower *l, fe_frame *f, const char *name, ir_expr e);
ir_expr fe_new_dim(fe_lower *l, fe_name name);
ir_dim fe_dim_id(const fe_lower *l, const char *name, ir_expr e);
bool fe_dims_are_bound(fe_lower *l, fe_frame *f);

/* ---- source.c: inputs, params, tables, facts, outputs */
bool fe_frame_inputs(fe_lower *l, fe_frame *f);                                          /* of the graph that the host calls; facts included */
void fe_frame_facts(fe_lower *l, fe_frame *f);
bool fe_frame_outputs(fe_lower *l, fe_frame *f);
fe_tensor fe_source_of(fe_lower *l, const fe_env *env, const fe_decl *decl, base_span at);   /* param, const table; value 0: reported */

/* ---- inline.c: calls of graphs */
bool fe_is_graph_call(fe_lower *l, const fe_env *env, const fe_expr *e);
void fe_lower_graph_call(fe_lower *l, fe_frame *f, const fe_stmt *stmt);                 /* name = g(...) */
fe_frame *fe_frame_new(fe_lower *l, fe_frame *caller, const fe_decl *graph);
fe_tensor fe_frame_output(fe_lower *l, fe_frame *f, uint32_t k);                         /* value 0: reported */

/* ---- graph.c */
void fe_want_lse(fe_lower *l, fe_frame *f);                                              /* finds the names whose .lse the graph reads */

/* ---- stmt.c, loop.c */
void fe_lower_block(fe_lower *l, fe_frame *f, const fe_stmts *stmts);
void fe_lower_loop(fe_lower *l, fe_frame *f, const fe_stmt *stmt);
bool fe_is_fresh(fe_lower *l, fe_frame *f, fe_name name);                                /* an index on a left side, not a place */
bool fe_left_is_along(fe_lower *l, fe_frame *f, const fe_left *left);
void fe_lower_along(fe_lower *l, fe_frame *f, const fe_stmt *stmt);
fe_carry *fe_carry_of(const fe_frame *f, const char *name);                              /* of the innermost loop that carries it; NULL */
fe_slot *fe_slot_of(const fe_frame *f, const char *name);                                /* NULL: none */
void fe_slot_set(fe_lower *l, fe_frame *f, const char *name, fe_slot slot);
void fe_slots_restore(fe_frame *f, uint32_t mark);
bool fe_left_indices(fe_lower *l, fe_frame *f, const fe_stmt *stmt, const fe_items *items, const ir_expr *declared, fe_env *env, fe_bound_indices *out);
ir_dtype fe_left_dtype(fe_lower *l, fe_frame *f, const fe_stmt *stmt, ir_expr body);     /* written, declared, carried or inferred; IR_N_DTYPES: reported */
ir_expr fe_convert(fe_lower *l, const fe_env *env, base_span at, const char *name, ir_expr body, ir_dtype dtype);   /* 0: reported */
const fe_shape *fe_declared(const fe_frame *f, const char *name);                        /* of an output; NULL: it is none */
ir_value fe_materialise(fe_lower *l, base_span at, const char *name, const fe_slot *slot);   /* a value of its own for a slice or a scalar */
ir_value fe_map(fe_lower *l, base_span at, const char *name, ir_dtype dtype, const ir_var *outer, uint32_t n, ir_expr body);   /* 0: reported */
void fe_node_add(fe_lower *l, ir_node *node);
ir_dtype fe_dtype_of(fe_lower *l, ir_expr e);                                            /* the type that a name without one gets */
#endif

/* The emitter of the CPU: one kernel and its schedule become one function of LLVM IR.
 *
 * Reading order: emit.c (function, items) -> nest.c (lanes along rows, or none), block.c and few.c (lanes along columns), contract.c (products in panels),
 * the walks over a kernel -> lets.c (what a line is worth here) and term.c -> expr.c, read.c, math.c (instructions) -> scope.c (what is known already).
 *
 * What holds everywhere: every axis that encloses the place of emission has its current index in `axis`; one of them, `lane`, may stand for
 * `lanes` neighbours, index + 0, 1, ...; of these the ones set in `tail` exist (NULL: all). A value is a scalar where it does not depend
 * on the lane axis and a vector where it does; evaluating a line does no harm, so no line stands behind a branch. */
#ifndef ATTN_CPU_EMIT_H
#define ATTN_CPU_EMIT_H
#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>
#include "cpu.h"

/* LLVM in a few words. A *value* is the result of an instruction, a constant or an argument; it is given its meaning once and never changes (SSA). A
 * *basic block* is a run of instructions that ends with a jump; the *builder* `b` appends instructions to the block it stands at. A value may be used
 * only where its block has been passed on every way (it *dominates* the use). A *phi* at the head of a block picks a value by the block we came from. A
 * *slot* (alloca) is a place on the stack; the pass sroa turns slots back into values, so that nobody here has to place phis by hand. */
typedef LLVMValueRef cpu_val;

typedef struct { ir_expr e; cpu_val value; uint32_t before, scope; } cpu_known;
typedef struct cpu_emitter {
    base_arena *arena;
    jmp_buf *give_up;
    const char *wrong;           /* why it gave up */
    ir_unit *u;
    const ir_kernel *k;
    const ir_schedule *s;
    const ir_target *target;

    LLVMContextRef c;
    LLVMModuleRef m;
    LLVMBuilderRef b;
    cpu_val fn;
    LLVMBasicBlockRef entry;     /* stack slots stand here */
    LLVMTypeRef i1, i8, i32, i64, f32, f64, ptr, real;
    unsigned invariant;          /* kind of the metadata !invariant.load */

    cpu_val frame_ints, scratch;
    cpu_val *buffers;            /* by kernel->values */
    cpu_val *dims;               /* by ir_dim; NULL: not of this kernel */
    cpu_val *axis;               /* by axis: index, i64; NULL: not bound here */
    cpu_val *lo, *hi;            /* by axis of role item or row: what this item covers of it */
    int32_t lane, lanes;         /* -1, 1: scalars only */
    cpu_val tail;                /* <lanes x i1>, never all false; NULL: all lanes exist */

    cpu_val *slot;               /* by let: where a FOLD stands in a register (lanes along rows) */
    cpu_val *moved;              /* by the let that is a ref: slot of the value that what is relative to it stands at (lanes along rows) */
    cpu_val *factor;             /* by the let that is a ref: 2^(old - new) of the column at hand; NULL: not moved yet */
    cpu_val *filled;             /* by let: a TERM's block of scores is filled: the first column; NULL: compute in place */
    uint32_t *named;             /* by let: how often it has got a name in the text */
    bool full;                   /* every pair of the block at hand is visible: guards of folds are not asked */
    cpu_val row0;                /* lanes along columns: first row of the tile; */
    int32_t block_axis;          /* the column taken in blocks, -1: none now, */
    cpu_val block_lo, block_hi;  /* and the block at hand */

    BASE_VEC(cpu_known) known;
    struct { uint32_t known; ir_set rebound; cpu_val index, tail; int32_t lane, lanes; } scope[64];   /* the rest: what cpu_unbind brings back */
    uint32_t n_scopes;
    uint32_t *last; uint32_t n_last;         /* by expression: 1 + its last entry of known */
    ir_set *reach; bool *reach_known; uint32_t n_reach;   /* by expression */
    ir_set *let_reach;
} cpu_emitter;

/* emit.c */
const char *cpu_emit_kernel(LLVMModuleRef module, LLVMBuilderRef builder, const ir_target *target, const ir_schedule *s, const char *name, base_arena *arena);  /* NULL, or what is wrong */
_Noreturn void cpu_give_up(cpu_emitter *e, const char *why);
cpu_val cpu_slot(cpu_emitter *e, LLVMTypeRef type, const char *name);   /* a stack slot in the entry block */
typedef struct { LLVMBasicBlockRef head, done, from; cpu_val index, hi, step; } cpu_loop;
cpu_loop cpu_loop_begin(cpu_emitter *e, cpu_val lo, cpu_val hi, int64_t step, const char *name);   /* loop.index */
void cpu_loop_end(cpu_emitter *e, cpu_loop *loop);
typedef struct { LLVMBasicBlockRef done; } cpu_if;
cpu_if cpu_if_begin(cpu_emitter *e, cpu_val condition, const char *name);
void cpu_if_end(cpu_emitter *e, cpu_if *branch);
void cpu_function_attributes(cpu_emitter *e, cpu_val fn);
void cpu_phase(cpu_emitter *e, const char *name);                       /* a basic block of that name starts here */

/* scope.c */
void cpu_scope_push(cpu_emitter *e, ir_set rebound);                    /* variables that have other values from here on */
void cpu_scope_pop(cpu_emitter *e);
void cpu_bind(cpu_emitter *e, int32_t axis, cpu_val index);             /* opens a scope */
void cpu_unbind(cpu_emitter *e, int32_t axis);                          /* closes it */
cpu_val cpu_known_find(cpu_emitter *e, ir_expr x);
void cpu_known_put(cpu_emitter *e, ir_expr x, cpu_val value);
ir_set cpu_reach(cpu_emitter *e, ir_expr x);                            /* axes and counters that x varies over, through lets */
bool cpu_varies(cpu_emitter *e, ir_expr x, int32_t axis);
int32_t cpu_axis_of(const cpu_emitter *e, ir_var v);                    /* -1: a counter */

/* expr.c */
cpu_val cpu_expr(cpu_emitter *e, ir_expr x);
cpu_val cpu_apply(cpu_emitter *e, ir_op op, cpu_val *a, uint32_t n);    /* operands of any shape */
cpu_val cpu_truth(cpu_emitter *e, cpu_val a, cpu_val b);                /* and, NULL standing for true */
cpu_val cpu_pick(cpu_emitter *e, cpu_val c, cpu_val a, cpu_val b);      /* select */
cpu_val cpu_int(const cpu_emitter *e, int64_t value);
cpu_val cpu_real(const cpu_emitter *e, double value);
cpu_val cpu_splat(cpu_emitter *e, cpu_val v, int32_t lanes);            /* v itself if it is a vector */
cpu_val cpu_iota(cpu_emitter *e, LLVMTypeRef element, int32_t lanes);   /* 0, 1, 2 ... */
bool cpu_is_vector(cpu_val v);
LLVMTypeRef cpu_type(const cpu_emitter *e, char sort);                  /* element type of a sort in registers */
cpu_val cpu_truncate(cpu_emitter *e, cpu_val x);         /* towards 0, to the nearest int64; NaN to 0 */
cpu_val cpu_identity(cpu_emitter *e, const ir_let *l);
cpu_val cpu_combine(cpu_emitter *e, ir_red red, cpu_val a, cpu_val b);
cpu_val cpu_reduce_lanes(cpu_emitter *e, ir_red red, char sort, cpu_val v);
/* The sums of n vectors, at most as many as they have lanes: the first n lanes of a vector, whose lanes are n rounded up to a power of two; n == 1: a scalar. */
cpu_val cpu_reduce_many(cpu_emitter *e, ir_red red, uint32_t n, const cpu_val *v);
cpu_val cpu_part(cpu_emitter *e, cpu_val v, uint32_t from, uint32_t n);  /* n lanes of v; one: a scalar */
cpu_val cpu_fma(cpu_emitter *e, cpu_val a, cpu_val b, cpu_val c);
cpu_val cpu_call(cpu_emitter *e, const char *intrinsic, LLVMTypeRef overload, uint32_t n, cpu_val *args);

/* math.c: vectors or scalars of f32 or f64 */
cpu_val cpu_exp(cpu_emitter *e, cpu_val x);
cpu_val cpu_exp2(cpu_emitter *e, cpu_val x);
cpu_val cpu_log2(cpu_emitter *e, cpu_val x);
cpu_val cpu_log(cpu_emitter *e, cpu_val x);
cpu_val cpu_tanh(cpu_emitter *e, cpu_val x);
cpu_val cpu_erf(cpu_emitter *e, cpu_val x);
cpu_val cpu_sin(cpu_emitter *e, cpu_val x);
cpu_val cpu_cos(cpu_emitter *e, cpu_val x);
cpu_val cpu_pow(cpu_emitter *e, cpu_val a, cpu_val b);

/* wave.c: for x of 2^20 and more, what is left after the nearest multiple of pi/2, and the multiple; f64. Others stay as they are */
void cpu_large_angles(cpu_emitter *e, cpu_val x, cpu_val *r, cpu_val *quarter);

/* read.c: elements of buffers and of scratch */
cpu_val cpu_read(cpu_emitter *e, ir_expr read);
cpu_val cpu_read_at(cpu_emitter *e, ir_expr read);                      /* address of the element, scalars only */
void cpu_prefetch_at(cpu_emitter *e, cpu_val at);        /* its line is wanted soon; an address beyond the buffer does no harm */
cpu_val cpu_buffer(cpu_emitter *e, ir_value value);
void cpu_write(cpu_emitter *e, const ir_store *at, cpu_val value, cpu_val where);
cpu_val cpu_at(cpu_emitter *e, cpu_val base, cpu_val index, LLVMTypeRef element);        /* address */
cpu_val cpu_load(cpu_emitter *e, LLVMTypeRef element, cpu_val at, int32_t lanes);         /* neighbours, those of the tail */
void cpu_store(cpu_emitter *e, cpu_val value, cpu_val at);                                /* as many as value has, those of the tail */
cpu_val cpu_scratch(cpu_emitter *e, ir_expr byte_offset);

/* lets.c */
cpu_val cpu_let(cpu_emitter *e, uint32_t k);
void cpu_lets_ready(cpu_emitter *e, uint32_t sweep);     /* lines that depend on nothing but what is bound get their values here */
cpu_val cpu_extent(cpu_emitter *e, int32_t axis);        /* i64 */
cpu_val cpu_role_index(cpu_emitter *e, uint8_t role, int32_t last);   /* position among the axes of a role, row-major, axis `last` innermost */
cpu_val cpu_role_count(cpu_emitter *e, uint8_t role);
cpu_val cpu_kept_at(cpu_emitter *e, uint32_t k, ir_expr at, cpu_val row, cpu_val per_row, cpu_val index);   /* address of an element of a kept line */
cpu_val cpu_tile_row(cpu_emitter *e);                    /* row at hand, from the first of the tile */
cpu_val cpu_acc_at(cpu_emitter *e, uint32_t k);
typedef void cpu_body(cpu_emitter *e, void *env);
bool cpu_masks_are_free(const cpu_emitter *e);           /* then loops by vectors are masked throughout, and half as long in code */
void cpu_lanes(cpu_emitter *e, int32_t axis, cpu_val lo, cpu_val hi, cpu_body *body, void *env);   /* a loop by vectors, the tail masked */
/* Loops around body over the axes of `roles` that `wanted` names (bits of axes), all bound; innermost the axis `lane` by vectors, -1: scalars. */
void cpu_walk(cpu_emitter *e, uint32_t wanted, int32_t lane, cpu_body *body, void *env);

/* term.c */
cpu_val cpu_term(cpu_emitter *e, uint32_t k);            /* computed in place, by loops over its features */
void cpu_term_block(cpu_emitter *e, uint32_t k);         /* for the rows of the tile and the columns of the block at hand, into scratch */
cpu_val cpu_term_features(cpu_emitter *e, const ir_let *l);              /* how many it runs over, i64 */
void cpu_term_pack(cpu_emitter *e, uint32_t k);          /* its row factors, for the rows of the tile, into scratch, if the schedule says so */
bool cpu_term_in_block(cpu_emitter *e, uint32_t k);      /* may it be? */

/* acc.c */
void cpu_acc_block(cpu_emitter *e, uint32_t k);          /* weights of the block times values, added to what is in scratch */

/* tile.c: small tiles of rows, unrolled: first as many as go by `rows`, then what is left one by one */
typedef void cpu_tile(cpu_emitter *e, void *env, cpu_val row, int32_t rows);
void cpu_row_tiles(cpu_emitter *e, int32_t rows, cpu_tile *body, void *env);
typedef void cpu_span(cpu_emitter *e, void *env, cpu_val from, int32_t n, cpu_val tail);
/* From lo to hi by n steps of `step`, then by one; tail: of the last, where it is a vector that is not full. */
void cpu_spans(cpu_emitter *e, cpu_val lo, cpu_val hi, int32_t step, int32_t n, cpu_span *body, void *env);
void cpu_bind_row(cpu_emitter *e, cpu_val row, int32_t offset);
void cpu_unbind_row(cpu_emitter *e);
cpu_val cpu_tail(cpu_emitter *e, cpu_val from, cpu_val hi);                /* lanes from, from + 1, .. that are below hi */
void cpu_bind_lane(cpu_emitter *e, int32_t axis, cpu_val from, cpu_val tail);
bool cpu_varies_with_row(cpu_emitter *e, ir_expr x);
cpu_val cpu_whole_end(cpu_emitter *e, cpu_val lo, cpu_val hi, int32_t step);   /* hi - lo rounded down to a multiple of step, and added to lo */
void cpu_each_row(cpu_emitter *e, cpu_body *body, void *env);

/* nest.c, block.c, contract.c: one item, its axes bound */
void cpu_nest(cpu_emitter *e);
void cpu_block(cpu_emitter *e);
void cpu_attend(cpu_emitter *e);                         /* attend.c */
void cpu_block_rows(cpu_emitter *e);                                    /* what an item computes of its rows alone, before all columns */
void cpu_block_stores(cpu_emitter *e);                                  /* all stores, for the rows of the item and the block at hand */
void cpu_contract(cpu_emitter *e);

/* few.c: register tiles of the template FEW, which walks like cpu_block; of products that are packed there */
bool cpu_few_packs(const cpu_emitter *e, uint32_t k);    /* this line has a register tile here */
void cpu_few_pack(cpu_emitter *e, uint32_t k);           /* its row factors, whole vectors for all rows of the item */
void cpu_few_scores(cpu_emitter *e, uint32_t k);         /* as cpu_term_block */
bool cpu_few_sums(cpu_emitter *e, uint32_t k);           /* an ACC with a register tile here */
void cpu_few_acc(cpu_emitter *e, uint32_t k);            /* as cpu_acc_block */
void cpu_few_weights(cpu_emitter *e, uint32_t k);        /* of rows that the item lacks: 0, once before a sweep */
uint32_t cpu_axes_of_places(cpu_emitter *e, const ir_store *at);        /* nest.c: columns and values that a store runs over, as bits */

/* compile.c */
bool cpu_find_target(const char *triple, LLVMTargetRef *out, char **error);

/* bundle.c: cpu.h, cpu_bundle */
const void *cpu_bundle_make(const char *triple, const char *text, uint32_t n, const cpu_blob *blobs, base_arena *arena, size_t *bytes, base_diags *diags);
#endif

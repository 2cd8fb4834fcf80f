/* What the files of the expression core share (unit, set, poly, interval, prove, fold, reduce, rebuild); nobody else includes it. */
#ifndef ATTN_IR_CORE_H
#define ATTN_IR_CORE_H
#include "ir.h"

/* Longest polynomial and product that are kept in canonical order. Longer ones, and those whose coefficients leave int64, stay as
 * they were written: as correct, only not recognised as equal to other spellings. */
enum { IR_TERMS = 64, IR_ATOMS = 32 };

/* What walks need of the machine: no expression is deeper, no unit larger. Beyond, an expression is the poison, and reported. */
enum { IR_MAX_DEPTH = 2000, IR_MAX_EXPRS = 1 << 20 };

typedef struct {                 /* what an expression can be; integers use i, reals r (in exact arithmetic, rounding aside) */
    union { ir_interval i; struct { double lo, hi; } r; };
    bool nan;
} ir_bounds;
typedef struct { uint32_t ordinal; ir_var next; } ir_binder;   /* by variable. ordinal: from 1 among the binders of its extent, 0: none; next: of that extent */
typedef struct { ir_expr whole, part; } ir_division;           /* a fact: part divides whole */

typedef struct ir_memo {         /* one walk's notes, by expression; entries of older epochs count as absent */
    struct ir_memo *next;
    uint32_t epoch, n;
    struct { uint32_t epoch; ir_expr to; } *at;
    BASE_VEC(ir_expr) stack;
} ir_memo;

struct ir_unit_index {
    uint32_t *table, capacity;                   /* expressions by content: open addressing, a power of two, 0: free */
    BASE_VEC(ir_bounds) bounds;                  /* by expression */
    BASE_VEC(uint16_t) depth;                    /* by expression: longest way down to a leaf, extents included */
    bool full;                                   /* one of the limits was met, and reported */
    BASE_VEC(ir_set) bound;                      /* by expression: variables that reductions in it bind */
    BASE_VEC(ir_var) binder_of;                  /* by expression: the first binder with this extent */
    BASE_VEC(ir_binder) binder;                  /* by variable */
    BASE_VEC(ir_list) set;                       /* by set: where its variables lie in set_pool */
    BASE_VEC(ir_var) set_pool;
    BASE_VEC(ir_var) set_scratch;
    uint32_t *set_table, set_capacity;
    struct { ir_set a, b, result; } union_cache[256];
    BASE_VEC(ir_division) division;
    BASE_VEC(ir_expr) nonneg;                    /* facts: integers that are >= 0 */
    ir_expr since_facts;                         /* expressions from here on were folded with all facts known */
    ir_memo *memo;                               /* free list */
    base_map *names, *suffixes;                             /* of values */
};

/* unit.c */
ir_expr ir_intern(ir_unit *u, ir_expr_info key, const ir_expr *operands);       /* key: op, sort, u and operands.n; no folding */
ir_expr ir_intern_op(ir_unit *u, ir_op op, ir_sort sort, uint32_t n, const ir_expr *operands);
ir_expr ir_find_op(const ir_unit *u, ir_op op, ir_sort sort, uint32_t n, const ir_expr *operands);  /* 0: not there, or older than the last fact */
bool ir_is_binder(const ir_unit *u, ir_var v);
ir_var ir_binder_at(ir_unit *u, ir_expr extent, ir_set taken);                  /* the first canonical binder of an extent outside `taken` */
static inline ir_set ir_bound(const ir_unit *u, ir_expr e) { return u->index->bound.at[e]; }
static inline ir_expr ir_extent(const ir_unit *u, ir_var v) { return u->var.at[v].extent; }

/* order.c: a total order of expressions that depends on structure, not on when they were made */
int ir_compare(const ir_unit *u, ir_expr a, ir_expr b);
int ir_compare_monomials(const ir_unit *u, ir_expr a, ir_expr b);
uint32_t ir_atoms_of(const ir_unit *u, ir_expr monomial, ir_expr *atoms);       /* at most IR_ATOMS, left to right; monomial 0: none */

/* poly.c: polynomials on the stack, sorted by ir_compare_monomials. lost: a coefficient or the length did not fit; nothing else holds then */
typedef struct { ir_term at[IR_TERMS]; uint32_t n; bool lost; } ir_terms;
void ir_terms_of(ir_unit *u, ir_expr e, ir_terms *out);
void ir_terms_add(ir_unit *u, ir_terms *p, int64_t coef, ir_expr monomial);
void ir_terms_add_all(ir_unit *u, ir_terms *p, const ir_terms *q, int64_t factor);
void ir_terms_mul(ir_unit *u, ir_terms *out, const ir_terms *a, const ir_terms *b);     /* out is neither a nor b */
int64_t ir_terms_content(const ir_terms *p);                                    /* what divides every coefficient but the constant's; 1 if nothing else does */
void ir_terms_tighten(ir_terms *p);                                             /* divided by that, down: p >= 0 says the same */
ir_expr ir_terms_expr(ir_unit *u, const ir_terms *p);                           /* not of a lost one */
ir_expr ir_monomial_mul(ir_unit *u, ir_expr a, ir_expr b);                      /* 0: one on either side, and as an answer "too long" if both are not */
bool ir_fact_divides(const ir_unit *u, ir_expr part, ir_expr whole);             /* says a fact about this very whole */
bool ir_term_div(ir_unit *u, ir_term a, ir_term d, ir_term *quotient);          /* exactly, facts included */
ir_expr ir_int_add(ir_unit *u, ir_expr a, ir_expr b, int64_t sign);
ir_expr ir_int_mul(ir_unit *u, ir_expr a, ir_expr b);
ir_expr ir_int_div(ir_unit *u, ir_expr a, ir_expr b, bool mod);

/* prove.c */
bool ir_terms_nonneg(ir_unit *u, const ir_terms *p);
void ir_fact_learn(ir_unit *u, ir_expr fact);

/* interval.c: ends of INT64_MIN and INT64_MAX are "unknown or beyond" and stay so */
ir_interval ir_terms_interval(const ir_unit *u, const ir_terms *p);
static inline ir_interval ir_int_bounds(const ir_unit *u, ir_expr e) { return u->index->bounds.at[e].i; }
static inline bool ir_is_finite(ir_interval i) { return i.lo > INT64_MIN && i.hi < INT64_MAX; }
ir_bounds ir_bounds_new(const ir_unit *u, const ir_expr_info *e, const ir_expr *operands);   /* of an expression that is being made */

/* rebuild.c */
ir_memo *ir_memo_take(const ir_unit *u, ir_expr largest);                       /* of the ids that the walk can meet */
void ir_memo_release(const ir_unit *u, ir_memo *memo);
#endif

/* A total order of expressions by structure: the order of terms and factors, so that sums written differently are one expression
 * and print alike whatever was built before. Two different expressions differ first at one operand; the comparison walks down that
 * single path, so it takes time proportional to depth, also where expressions share a lot. */
#include "core.h"

/* Three-way, without the overflow of a subtraction. */
static int order(int64_t a, int64_t b) { return (a > b) - (a < b); }

/* Variables lead, then what is computed, then dimensions, then literals: b*S + i, (i//W)*W + 1. */
static int rank_of(const ir_expr_info *x) {
    switch (x->op) {
    case IR_VAR: return 0;
    case IR_LET: return 1;
    case IR_DIM: return 2 + IR_N_OPS;
    case IR_INT: case IR_REAL: case IR_BOOL: return 3 + IR_N_OPS;
    default: return 2 + x->op;
    }
}

/* Variables of nodes by age; binders by extent, then by their number among those of that extent: no history in either. Extents that
 * differ are left to the caller, in *a and *b. */
static int compare_vars(const ir_unit *u, ir_expr *a, ir_expr *b) {
    ir_var v = ir_at(u, *a)->u.ref, w = ir_at(u, *b)->u.ref;
    if (!ir_is_binder(u, v) || !ir_is_binder(u, w)) {
        if (ir_is_binder(u, v) != ir_is_binder(u, w)) return ir_is_binder(u, v) ? 1 : -1;
        return order(v, w);
    }
    if (ir_extent(u, v) == ir_extent(u, w)) return order(u->index->binder.at[v].ordinal, u->index->binder.at[w].ordinal);
    *a = ir_extent(u, v);
    *b = ir_extent(u, w);
    return 0;
}

/* A loop, not a recursion: expressions are up to 2,000 deep, and this is called for every pair of terms. */
int ir_compare(const ir_unit *u, ir_expr a, ir_expr b) {
    while (a != b) {
        const ir_expr_info *x = ir_at(u, a), *y = ir_at(u, b);
        if (rank_of(x) != rank_of(y)) return order(rank_of(x), rank_of(y));
        if (x->op == IR_VAR) {
            int c = compare_vars(u, &a, &b);
            if (c) return c;
            continue;
        }
        /* The union is zero where an operator has no literal and no reference, so one comparison does for all. Reals go by their bits. */
        if (x->u.i != y->u.i) return order(x->u.i, y->u.i);
        if (x->operands.n != y->operands.n) return order(x->operands.n, y->operands.n);
        uint32_t k = 0, n = x->operands.n;
        while (k < n && ir_operand(u, a, k) == ir_operand(u, b, k)) k++;
        /* Same operands, so another operator or sort: equal ones would be one id. */
        if (k == n) return order(x->op * 256 + x->sort, y->op * 256 + y->sort);
        ir_expr down_a = ir_operand(u, a, k), down_b = ir_operand(u, b, k);
        a = down_a;
        b = down_b;
    }
    return 0;
}

/* A literal on the left is a coefficient, no factor. */
static bool is_product(const ir_unit *u, ir_expr e) {
    return ir_is(u, e, IR_MUL) && ir_at(u, e)->sort == IR_SORT_INT && !ir_is(u, ir_operand(u, e, 0), IR_INT);
}

/* 0 factors: the constant; more than IR_ATOMS: one, the whole. */
static uint32_t count_atoms(const ir_unit *u, ir_expr monomial) {
    if (!monomial) return 0;
    uint32_t n = 1;
    for (ir_expr e = monomial; is_product(u, e); e = ir_operand(u, e, 0))
        if (++n > IR_ATOMS) return 1;
    return n;
}

/* The array fills from its end, since the last factor is the outermost right operand. */
uint32_t ir_atoms_of(const ir_unit *u, ir_expr monomial, ir_expr *atoms) {
    uint32_t n = count_atoms(u, monomial);
    ir_expr e = monomial;
    for (uint32_t k = n; k-- > 1; e = ir_operand(u, e, 0)) atoms[k] = ir_operand(u, e, 1);
    if (n) atoms[0] = e;
    return n;
}

/* Longer products first, the constant last: strides come in the order of a row-major position. */
int ir_compare_monomials(const ir_unit *u, ir_expr a, ir_expr b) {
    if (a == b) return 0;
    int c = order(count_atoms(u, b), count_atoms(u, a));
    return c ? c : ir_compare(u, a, b);
}

/* Operators, folded while they are built. Integers become polynomials (poly.c) and comparisons of integers are decided where that can
 * be proved. Reals keep the meaning of IEEE arithmetic: nothing is reassociated, and what is folded has the same value for every
 * operand (x + 0 is taken for x: the sign of a zero is not kept). Truth values: `and` and `or` stay in order, they are lazy. */
#include "core.h"

static ir_sort sort_of(const ir_unit *u, ir_expr e) { return (ir_sort)ir_at(u, e)->sort; }
/* As written, without folding: for what a fold has already brought to its last form. */
static ir_expr op1_raw(ir_unit *u, ir_op op, ir_sort sort, ir_expr a) { return ir_intern_op(u, op, sort, 1, &a); }
static ir_expr op2_raw(ir_unit *u, ir_op op, ir_sort sort, ir_expr a, ir_expr b) { return ir_intern_op(u, op, sort, 2, (ir_expr[]){a, b}); }

/* ---- integers */

/* a <= b, proved. */
static bool is_ordered(ir_unit *u, ir_expr a, ir_expr b) { return ir_at_least(u, ir_int_add(u, b, a, -1), 0); }

/* Operands in the order of order.c: min(a, b) and min(b, a) are one expression. */
static ir_expr fold_int_extreme(ir_unit *u, ir_op op, ir_expr a, ir_expr b) {
    if (is_ordered(u, a, b)) return op == IR_MIN ? a : b;
    if (is_ordered(u, b, a)) return op == IR_MIN ? b : a;
    bool swap = ir_compare(u, a, b) > 0;
    return op2_raw(u, op, IR_SORT_INT, swap ? b : a, swap ? a : b);
}

/* A negation that comes back as a SUB did not fit; abs(a) says as much, in a form that proofs know. */
static ir_expr fold_int_abs(ir_unit *u, ir_expr a) {
    if (ir_at_least(u, a, 0)) return a;
    ir_expr minus = ir_int_add(u, ir_int(u, 0), a, -1);
    if (ir_at_least(u, minus, 0) && !ir_is(u, minus, IR_SUB)) return minus;
    return op1_raw(u, IR_ABS, IR_SORT_INT, a);
}

/* Sums, products and divisions always give a result; min, max and abs too. Nothing else has an integer as its first operand and gets here. */
static ir_expr fold_int(ir_unit *u, ir_op op, ir_expr a, ir_expr b) {
    switch (op) {
    case IR_ADD: return ir_int_add(u, a, b, 1);
    case IR_SUB: return ir_int_add(u, a, b, -1);
    case IR_MUL: return ir_int_mul(u, a, b);
    case IR_NEG: return ir_int_add(u, ir_int(u, 0), a, -1);
    case IR_FDIV: return ir_int_div(u, a, b, false);
    case IR_MOD: return ir_int_div(u, a, b, true);
    case IR_MIN: case IR_MAX: return fold_int_extreme(u, op, a, b);
    case IR_ABS: return fold_int_abs(u, a);
    default: return 0;
    }
}

/* ---- comparisons of integers: terms go to the side where they are positive, so that spellings of one comparison meet, unless a
 * side might then leave int64 */

typedef struct { ir_terms left, right; } sides;     /* of a comparison; all coefficients positive, the constant not placed yet */

/* left <= right with positive coefficients on both sides reads like what people write: j <= i + T - S becomes j + S <= i + T. */
static sides sides_of(ir_unit *u, const ir_terms *difference) {
    sides s = {.left = {.n = 0}, .right = {.n = 0}};
    for (uint32_t k = 0; k < difference->n; k++) {
        ir_term t = difference->at[k];
        if (!t.monomial) continue;
        if (t.coef > 0) ir_terms_add(u, &s.right, t.coef, t.monomial);
        else if (t.coef == INT64_MIN) s.left.lost = true;
        else ir_terms_add(u, &s.left, -t.coef, t.monomial);
    }
    return s;
}

/* The constant is the last term. */
static int64_t constant_of(const ir_terms *p) { return p->n && !p->at[p->n - 1].monomial ? p->at[p->n - 1].coef : 0; }

/* Both sides are computed at run time: neither may leave 63 bits where the difference did not. */
static bool fit(const ir_unit *u, const sides *s) {
    return !s->left.lost && !s->right.lost && ir_is_finite(ir_terms_interval(u, &s->left)) && ir_is_finite(ir_terms_interval(u, &s->right));
}

static ir_expr op_of_sides(ir_unit *u, ir_op op, const sides *s) {
    return op2_raw(u, op, IR_SORT_BOOL, ir_terms_expr(u, &s->left), ir_terms_expr(u, &s->right));
}

/* difference >= 0. 0: the sides do not fit. The constant goes where it is positive; where one more makes it vanish (left <= right - 1), or
 * where the right side is nothing else (i <= 7), `<` reads better (left < right, i < 8) and is the canonical one. */
static ir_expr canonical_order(ir_unit *u, const ir_terms *difference) {
    sides s = sides_of(u, difference);
    int64_t c = constant_of(difference);
    /* Neither -c nor c + 1 may overflow. */
    if (c == INT64_MIN || c == INT64_MAX) return 0;
    bool strict = c == -1 || (c >= 0 && !s.right.n);
    if (strict) c++;
    ir_terms_add(u, c >= 0 ? &s.right : &s.left, c >= 0 ? c : -c, 0);
    return fit(u, &s) ? op_of_sides(u, strict ? IR_LT : IR_LE, &s) : 0;
}

/* difference == 0, the leading term on the left. 0: the sides do not fit. There is a leading term that is no constant: two different
 * constants have been told apart by then. */
static ir_expr canonical_equality(ir_unit *u, ir_op op, const ir_terms *difference) {
    sides s = sides_of(u, difference), swapped;
    int64_t c = constant_of(difference);
    if (c == INT64_MIN) return 0;
    ir_terms_add(u, c >= 0 ? &s.right : &s.left, c >= 0 ? c : -c, 0);
    swapped = (sides){s.right, s.left};
    return fit(u, &s) ? op_of_sides(u, op, difference->at[0].coef > 0 ? &swapped : &s) : 0;
}

/* b - a. */
static ir_terms difference_of(ir_unit *u, ir_expr a, ir_expr b) {
    ir_terms p, q;
    ir_terms_of(u, b, &p);
    ir_terms_of(u, a, &q);
    ir_terms_add_all(u, &p, &q, -1);
    return p;
}

/* difference < 0, proved: -difference - 1 >= 0. A lost one proves nothing. */
static bool is_negative(ir_unit *u, const ir_terms *difference) {
    ir_terms minus = {0};
    ir_terms_add_all(u, &minus, difference, -1);
    ir_terms_add(u, &minus, -1, 0);
    return ir_terms_nonneg(u, &minus);
}

/* `<` is `<=` with one less, so both go through one canonical form and print as whichever needs no constant. */
static ir_expr fold_int_order(ir_unit *u, ir_op op, ir_expr a, ir_expr b) {
    ir_terms d = difference_of(u, a, b);
    if (op == IR_LT) ir_terms_add(u, &d, -1, 0);
    ir_terms_tighten(&d);
    if (ir_terms_nonneg(u, &d)) return ir_bool(u, true);
    if (!d.lost && is_negative(u, &d)) return ir_bool(u, false);
    ir_expr e = d.lost ? 0 : canonical_order(u, &d);
    return e ? e : op2_raw(u, op, IR_SORT_BOOL, a, b);
}

/* 2*i == 2*j + 1 is false for integers: the constant is no multiple of what divides all else. */
static ir_expr fold_int_equality(ir_unit *u, ir_op op, ir_expr a, ir_expr b) {
    ir_terms d = difference_of(u, a, b);
    if (!d.lost && !d.n) return ir_bool(u, op == IR_EQ);
    if (!d.lost && constant_of(&d) % ir_terms_content(&d)) return ir_bool(u, op == IR_NE);
    /* Exact: what divides all else divides the constant too. Unequal is then d < 0 or d - 1 >= 0. */
    ir_terms_tighten(&d);
    ir_terms less = d;
    ir_terms_add(u, &less, -1, 0);
    if (is_negative(u, &d) || ir_terms_nonneg(u, &less)) return ir_bool(u, op == IR_NE);
    ir_expr e = d.lost ? 0 : canonical_equality(u, op, &d);
    if (e) return e;
    /* No polynomial: at least a == b and b == a are one expression. */
    bool swap = ir_compare(u, a, b) > 0;
    return op2_raw(u, op, IR_SORT_BOOL, swap ? b : a, swap ? a : b);
}

/* ---- reals */

static double gelu(double x) { return 0.5 * x * (1 + erf(x * 0.7071067811865476)); }

/* In double, as the evaluator computes it: folding a literal must not give another value than running it. */
static double unary_value(ir_op op, double a) {
    switch (op) {
    case IR_NEG: return -a;
    case IR_ABS: return fabs(a);
    case IR_EXP: return exp(a);
    case IR_EXP2: return exp2(a);
    case IR_LOG: return log(a);
    case IR_LOG2: return log2(a);
    case IR_TANH: return tanh(a);
    case IR_SIGMOID: return 1 / (1 + exp(-a));
    case IR_ERF: return erf(a);
    case IR_GELU: return gelu(a);
    case IR_SILU: return a / (1 + exp(-a));
    case IR_RELU: return a > 0 ? a : 0;
    case IR_SQRT: return sqrt(a);
    case IR_RSQRT: return 1 / sqrt(a);
    case IR_SIN: return sin(a);
    case IR_COS: return cos(a);
    default: return NAN;
    }
}

/* Neither operand is NaN: the caller has looked, so the comparisons of min and max need no case for it. */
static double binary_value(ir_op op, double a, double b) {
    switch (op) {
    case IR_ADD: return a + b;
    case IR_SUB: return a - b;
    case IR_MUL: return a * b;
    case IR_DIV: return a / b;
    case IR_POW: return pow(a, b);
    case IR_MIN: return a < b ? a : b;
    case IR_MAX: return a > b ? a : b;
    default: return NAN;
    }
}

/* What comes out as NaN is left to the run. */
static ir_expr literal_or_none(ir_unit *u, double value) { return isnan(value) ? 0 : ir_real(u, value); }

/* Only what keeps every bit: signs taken away twice, or under an absolute value. exp(log(x)) and the like round, and stay. */
static ir_expr fold_real_unary(ir_unit *u, ir_op op, ir_expr a) {
    double x;
    if (ir_is_real(u, a, &x)) return isnan(x) ? 0 : literal_or_none(u, unary_value(op, x));
    if (op == IR_NEG && ir_is(u, a, IR_NEG)) return ir_operand(u, a, 0);
    if (op == IR_ABS && ir_is(u, a, IR_ABS)) return a;
    if (op == IR_ABS && ir_is(u, a, IR_NEG)) return ir_op1(u, IR_ABS, ir_operand(u, a, 0));
    return 0;
}

/* x^n for a small whole n by products, up to 8: a power takes the slots of 18 products (ops.def). x^0 is 1 for NaN as well, as pow has
 * it. The recursion is one deep: -n is positive. */
static ir_expr fold_power(ir_unit *u, ir_expr x, double n) {
    if (n != floor(n) || fabs(n) > 8) return 0;
    if (n < 0) return ir_op2(u, IR_DIV, ir_real(u, 1), fold_power(u, x, -n));
    if (n == 0) return ir_real(u, 1);
    ir_expr product = x;
    for (int k = 1; k < (int)n; k++) product = ir_mul(u, product, x);
    return product;
}

/* Then dividing and multiplying by the inverse are the same in every bit. The inverse must be a normal number too: that of 2^1023 is not. */
static bool is_power_of_two(double x) {
    int exponent;
    return isnormal(x) && isnormal(1 / x) && fabs(frexp(x, &exponent)) == 0.5;
}

/* The right operand is the literal y. The infinities are what min and max over nothing give, so they meet real operands often. NaN stays NaN
 * under each of these, but for x^0. */
static ir_expr fold_real_right(ir_unit *u, ir_op op, ir_expr a, double y) {
    switch (op) {
    case IR_ADD: case IR_SUB: return y == 0 ? a : 0;
    case IR_MUL: return y == 1 ? a : 0;
    case IR_DIV: return y == 1 ? a : is_power_of_two(y) ? ir_mul(u, a, ir_real(u, 1 / y)) : 0;
    case IR_POW: return fold_power(u, a, y);
    case IR_MIN: return y == (double)INFINITY ? a : 0;
    case IR_MAX: return y == -(double)INFINITY ? a : 0;
    default: return 0;
    }
}

/* x - x and 0*x stay: they are NaN where x is infinite or NaN. */
static ir_expr fold_real_binary(ir_unit *u, ir_op op, ir_expr a, ir_expr b) {
    double x, y;
    bool left = ir_is_real(u, a, &x), right = ir_is_real(u, b, &y);
    if (left && right) return isnan(x) || isnan(y) ? 0 : literal_or_none(u, binary_value(op, x, y));
    if (right) return fold_real_right(u, op, a, y);
    /* min(NaN, NaN) is NaN, so this holds for every operand */
    if ((op == IR_MIN || op == IR_MAX) && a == b) return a;
    if (!left) return 0;
    if (op == IR_ADD && x == 0) return b;
    return op == IR_MUL || op == IR_MIN || op == IR_MAX ? ir_op2(u, op, b, a) : 0;       /* literals to the right */
}

/* a < a is false for NaN as well; a <= a and a == a are not true for it, and stay. */
static ir_expr fold_real_compare(ir_unit *u, ir_op op, ir_expr a, ir_expr b) {
    double x, y;
    if (op == IR_LT && a == b) return ir_bool(u, false);
    if (!ir_is_real(u, a, &x) || !ir_is_real(u, b, &y)) return 0;
    return ir_bool(u, op == IR_LT ? x < y : op == IR_LE ? x <= y : op == IR_EQ ? x == y : x != y);
}

/* ---- between sorts */

/* Saturating, and 0 for NaN: what ops.def promises of FLOOR and its like. */
static int64_t to_int(double x) { return isnan(x) ? 0 : x <= -0x1p63 ? INT64_MIN : x >= 0x1p63 ? INT64_MAX : (int64_t)x; }

/* Rounding what was an integer gives it back, as long as no float type on the way could have rounded it. */
static ir_expr fold_rounding(ir_unit *u, ir_op op, ir_expr a) {
    double x;
    if (ir_is_real(u, a, &x)) return ir_int(u, to_int(op == IR_FLOOR ? floor(x) : op == IR_CEIL ? ceil(x) : nearbyint(x)));
    if (!ir_is(u, a, IR_FLOAT)) return 0;
    ir_interval i = ir_int_bounds(u, ir_operand(u, a, 0));
    return i.lo >= -(1 << 24) && i.hi <= 1 << 24 ? ir_operand(u, a, 0) : 0;               /* exact in every type */
}

int64_t ir_bits(ir_op op, int64_t a, int64_t b) {
    switch (op) {
    case IR_BITAND: return a & b;
    case IR_BITOR: return a | b;
    case IR_SHL: return (int64_t)((uint64_t)a << (b & 63));
    case IR_SHR: return a >> (b & 63);
    default: return a < 1 ? 0 : 63 - __builtin_clzll((unsigned long long)a);
    }
}

/* Of literals alone: b is 0 where there is one operand. */
static ir_expr fold_bits(ir_unit *u, ir_op op, uint32_t n, const ir_expr *o) {
    int64_t a, b = 0;
    return ir_is_int(u, o[0], &a) && (n == 1 || ir_is_int(u, o[1], &b)) ? ir_int(u, ir_bits(op, a, b)) : 0;
}

/* Bits from 63 on, and negative ones, are the run's to refuse. */
static ir_expr fold_bit(ir_unit *u, ir_expr a, ir_expr b) {
    int64_t x, k;
    return ir_is_int(u, a, &x) && ir_is_int(u, b, &k) && k >= 0 && k < 63 ? ir_bool(u, (x >> k) & 1) : 0;
}

/* ---- truth values */

enum { CONJUNCTS = 32 };         /* how far chains are looked through: a limit of time only, longer ones stay as written */

/* Is x one of the last operands of the chain ((.. op p) op q) op r? */
static bool is_in_chain(const ir_unit *u, ir_op op, ir_expr chain, ir_expr x) {
    for (uint32_t k = 0; k < CONJUNCTS && ir_is(u, chain, op); k++, chain = ir_operand(u, chain, 0))
        if (ir_operand(u, chain, 1) == x) return true;
    return chain == x;
}

/* `a op (b op c)` leans to the left: the order of evaluation stays. Very long right sides stay as they are. */
static ir_expr lean_left(ir_unit *u, ir_op op, ir_expr a, ir_expr b) {
    ir_expr parts[CONJUNCTS];
    uint32_t n = 0;
    for (; n < CONJUNCTS && ir_is(u, b, op); b = ir_operand(u, b, 0)) parts[n++] = ir_operand(u, b, 1);
    if (n == CONJUNCTS) return 0;
    a = ir_op2(u, op, a, b);
    while (n--) a = ir_op2(u, op, a, parts[n]);
    return a;
}

/* By shape: one is the `not` of the other. Comparisons of integers are never below a `not`, so their opposites are not seen here. */
static bool are_opposite(const ir_unit *u, ir_expr a, ir_expr b) {
    return (ir_is(u, a, IR_NOT) && ir_operand(u, a, 0) == b) || (ir_is(u, b, IR_NOT) && ir_operand(u, b, 0) == a);
}

/* neutral: true of `and`, false of `or`. What stands to the left of b in a chain has been evaluated by then and decided nothing, so
 * repeating it is idle; the reverse, dropping an earlier operand for a later one, would change what guards what. */
static ir_expr fold_chain(ir_unit *u, ir_op op, ir_expr a, ir_expr b) {
    bool neutral = op == IR_AND;
    if (ir_is_bool(u, a, neutral)) return b;
    if (ir_is_bool(u, b, neutral)) return a;
    if (ir_is_bool(u, a, !neutral) || ir_is_bool(u, b, !neutral) || are_opposite(u, a, b)) return ir_bool(u, !neutral);
    if (is_in_chain(u, op, a, b)) return a;
    return ir_is(u, b, op) ? lean_left(u, op, a, b) : 0;
}

/* Comparisons of integers turn around. Those of reals do not: not (a < b) is true of NaN, b <= a is not. */
static ir_expr fold_not(ir_unit *u, ir_expr a) {
    const ir_expr_info *x = ir_at(u, a);
    bool ints = x->operands.n == 2 && sort_of(u, ir_operand(u, a, 0)) == IR_SORT_INT;
    switch (x->op) {
    case IR_BOOL: return ir_bool(u, !x->u.i);
    case IR_NOT: return ir_operand(u, a, 0);
    case IR_EQ: return ir_op2(u, IR_NE, ir_operand(u, a, 0), ir_operand(u, a, 1));
    case IR_NE: return ir_op2(u, IR_EQ, ir_operand(u, a, 0), ir_operand(u, a, 1));
    case IR_LT: return ints ? ir_op2(u, IR_LE, ir_operand(u, a, 1), ir_operand(u, a, 0)) : 0;
    case IR_LE: return ints ? ir_op2(u, IR_LT, ir_operand(u, a, 1), ir_operand(u, a, 0)) : 0;
    default: return 0;
    }
}

/* Comparing with a literal is the operand or its negation; both sorts of equality differ in the sign only. */
static ir_expr fold_bool_equality(ir_unit *u, ir_op op, ir_expr a, ir_expr b) {
    bool equal = op == IR_EQ;
    if (a == b) return ir_bool(u, equal);
    if (are_opposite(u, a, b)) return ir_bool(u, !equal);
    if (ir_is(u, a, IR_BOOL)) return ir_is_bool(u, a, equal) ? b : ir_not(u, b);
    if (ir_is(u, b, IR_BOOL)) return ir_is_bool(u, b, equal) ? a : ir_not(u, a);
    return 0;
}

/* Truth values: a select with a literal is `and` or `or`, both as lazy as it is. */
static ir_expr fold_select(ir_unit *u, ir_expr c, ir_expr a, ir_expr b) {
    if (ir_is(u, c, IR_BOOL)) return ir_is_bool(u, c, true) ? a : b;
    if (a == b) return a;
    /* A negated condition swaps the sides: one spelling for both. Double negations are gone, so this happens once. */
    if (ir_is(u, c, IR_NOT)) return ir_select(u, ir_operand(u, c, 0), b, a);
    if (ir_is_bool(u, a, true)) return ir_or(u, c, b);
    if (ir_is_bool(u, b, false)) return ir_and(u, c, a);
    if (ir_is_bool(u, a, false)) return ir_and(u, ir_not(u, c), b);
    if (ir_is_bool(u, b, true)) return ir_or(u, ir_not(u, c), a);
    return 0;
}

/* ---- all */

static ir_expr fold_compare(ir_unit *u, ir_op op, ir_expr a, ir_expr b) {
    bool order = op == IR_LT || op == IR_LE;
    switch (sort_of(u, a)) {
    case IR_SORT_INT: return order ? fold_int_order(u, op, a, b) : fold_int_equality(u, op, a, b);
    case IR_SORT_REAL: return fold_real_compare(u, op, a, b);
    default: return fold_bool_equality(u, op, a, b);
    }
}

/* 0: there is nothing to fold, the operator is made as it stands. The operands fit the row of the operator. */
static ir_expr fold(ir_unit *u, ir_op op, uint32_t n, const ir_expr *o) {
    int64_t i;
    switch (op) {
    case IR_LT: case IR_LE: case IR_EQ: case IR_NE: return fold_compare(u, op, o[0], o[1]);
    case IR_AND: case IR_OR: return fold_chain(u, op, o[0], o[1]);
    case IR_NOT: return fold_not(u, o[0]);
    case IR_SELECT: return fold_select(u, o[0], o[1], o[2]);
    case IR_BIT: return fold_bit(u, o[0], o[1]);
    case IR_BITAND: case IR_BITOR: case IR_SHL: case IR_SHR: case IR_TOPBIT: return fold_bits(u, op, n, o);
    case IR_FLOAT: return ir_is_int(u, o[0], &i) ? ir_real(u, (double)i) : 0;
    case IR_FLOOR: case IR_CEIL: case IR_ROUND: return fold_rounding(u, op, o[0]);
    default: break;
    }
    if (sort_of(u, o[0]) == IR_SORT_INT) return fold_int(u, op, o[0], n > 1 ? o[1] : 0);
    return n == 1 ? fold_real_unary(u, op, o[0]) : fold_real_binary(u, op, o[0], o[1]);
}

/* Checks one operand against its letter in the op table. n: numbers, all alike; x: anything, all alike; else one sort.
 * *alike: the sort that the first n or x fixed, for those after it. The poison is of no sort, and fits no letter. */
static bool fits_letter(char letter, ir_sort sort, ir_sort *alike) {
    if (letter != 'n' && letter != 'x') return sort == (ir_sort)letter;
    if (letter == 'n' && sort == IR_SORT_BOOL) return false;
    if (*alike == IR_SORT_NONE) *alike = sort;
    return sort == *alike && sort != IR_SORT_NONE;
}

ir_sort ir_result_sort(const ir_unit *u, ir_op op, uint32_t n, const ir_expr *operands) {
    const ir_op_info *row = &ir_ops[op];
    ir_sort alike = IR_SORT_NONE;
    /* Leaves, reads and reductions have makers of their own; their operands are not described by a row. */
    if (row->form == 'L' || n != row->n_args) return IR_SORT_NONE;
    for (uint32_t k = 0; k < n; k++)
        if (!fits_letter(row->args[k], sort_of(u, operands[k]), &alike)) return IR_SORT_NONE;
    return row->result == 'n' || row->result == 'x' ? alike : (ir_sort)row->result;
}

/* What is there already is what folding would lead to again: most of a rebuilt expression is found so. */
ir_expr ir_apply(ir_unit *u, ir_op op, uint32_t n, const ir_expr *operands) {
    ir_sort sort = ir_result_sort(u, op, n, operands);
    if (sort == IR_SORT_NONE) return 0;
    ir_expr known = ir_find_op(u, op, sort, n, operands), folded = known ? known : fold(u, op, n, operands);
    return folded ? folded : ir_intern_op(u, op, sort, n, operands);
}

ir_expr ir_op1(ir_unit *u, ir_op op, ir_expr a) { return ir_apply(u, op, 1, &a); }
ir_expr ir_op2(ir_unit *u, ir_op op, ir_expr a, ir_expr b) { return ir_apply(u, op, 2, (ir_expr[]){a, b}); }
ir_expr ir_select(ir_unit *u, ir_expr c, ir_expr a, ir_expr b) { return ir_apply(u, IR_SELECT, 3, (ir_expr[]){c, a, b}); }

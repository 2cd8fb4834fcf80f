/* Integers as polynomials: sums of coefficient times product of atoms, both in the order of order.c, so that equal sums are one
 * expression. As an expression a polynomial is ADD(ADD(t1, t2), t3), a term MUL(coefficient, product), a product MUL(MUL(a1, a2), a3).
 * Anything else below an ADD or MUL (a sum on the right, terms out of order) is a sum that did not fit, and is an atom.
 *
 * Facts of the form "part divides whole" work here: whole//part * part is whole, and whole is divided by part without remainder.
 */
#include "core.h"

/* Of integers: sums of reals are never taken apart. */
static bool is_sum(const ir_unit *u, ir_expr e) { return ir_is(u, e, IR_ADD) && ir_at(u, e)->sort == IR_SORT_INT; }

/* Reads back what ir_terms_expr wrote: a coefficient stands on the left and is never 1. Two literals below one MUL are a product that did
 * not fit, and an atom. */
static ir_term term_of(const ir_unit *u, ir_expr e) {
    int64_t c;
    if (ir_is_int(u, e, &c)) return (ir_term){c, 0};
    if (ir_is(u, e, IR_MUL) && ir_is_int(u, ir_operand(u, e, 0), &c) && !ir_is(u, ir_operand(u, e, 1), IR_INT))
        return (ir_term){c, ir_operand(u, e, 1)};
    return (ir_term){1, e};
}

/* The order is checked, not trusted: a sum that did not fit has the same operators, and taking it for a polynomial would give terms that
 * no search by bisection finds. Zero has no terms: no term of a polynomial ever has the coefficient 0. */
void ir_terms_of(ir_unit *u, ir_expr e, ir_terms *out) {
    uint32_t n = 1;
    for (ir_expr s = e; is_sum(u, s) && !is_sum(u, ir_operand(u, s, 1)) && n <= IR_TERMS; s = ir_operand(u, s, 0)) n++;
    *out = (ir_terms){.n = n};
    if (n <= IR_TERMS) {
        ir_expr s = e;
        /* The last term is the outermost right operand: the array fills from its end. */
        for (uint32_t k = n; k-- > 1; s = ir_operand(u, s, 0)) out->at[k] = term_of(u, ir_operand(u, s, 1));
        out->at[0] = term_of(u, s);
    }
    for (uint32_t k = 1; k < n && n <= IR_TERMS; k++)
        if (ir_compare_monomials(u, out->at[k - 1].monomial, out->at[k].monomial) >= 0) n = IR_TERMS + 1;
    if (n > IR_TERMS) out->at[0] = (ir_term){1, e}, out->n = 1;
    if (!out->at[0].coef) out->n = 0;
}

/* ---- facts about divisibility */

/* Facts are few (one per `where`), so a search is enough. A fact about 8 answers for 4 too; and if part divides whole, so does whole//part. */
bool ir_fact_divides(const ir_unit *u, ir_expr part, ir_expr whole) {
    int64_t p, f;
    bool literal = ir_is_int(u, part, &p) && p > 0;
    for (uint32_t k = 0; k < u->index->division.n; k++) {
        ir_division fact = u->index->division.at[k];
        if (fact.whole != whole) continue;
        if (fact.part == part || (literal && ir_is_int(u, fact.part, &f) && f % p == 0)) return true;
        /* whole is (whole//part) * part, so the quotient divides it as well as the part does */
        if (ir_is(u, part, IR_FDIV) && ir_operand(u, part, 0) == whole && ir_operand(u, part, 1) == fact.part) return true;
    }
    return false;
}

/* Takes the factors of `product` out of atoms, each as often as it occurs; false, and nothing changed, if they are not all there.
 * A product of one (0) has no factors and is always there. */
static bool take_out(const ir_unit *u, ir_expr product, ir_expr *atoms, uint32_t *n) {
    ir_expr out[IR_ATOMS], left[2 * IR_ATOMS];
    uint32_t n_out = ir_atoms_of(u, product, out), n_left = *n;
    for (uint32_t k = 0; k < n_left; k++) left[k] = atoms[k];
    for (uint32_t k = 0; k < n_out; k++) {
        uint32_t i = 0;
        while (i < n_left && left[i] != out[k]) i++;
        /* Only the copy has lost factors so far. */
        if (i == n_left) return false;
        left[i] = left[--n_left];
    }
    for (uint32_t k = 0; k < n_left; k++) atoms[k] = left[k];
    *n = n_left;
    return true;
}

/* The counterpart: adds the factors of `product`; false, and nothing changed, if there is no room. Both work on multisets: what order
 * the atoms are in does not matter until product_of sorts them. */
static bool put_in(const ir_unit *u, ir_expr product, ir_expr *atoms, uint32_t *n, uint32_t room) {
    ir_expr in[IR_ATOMS];
    uint32_t n_in = ir_atoms_of(u, product, in);
    if (*n + n_in > room) return false;
    for (uint32_t k = 0; k < n_in; k++) atoms[(*n)++] = in[k];
    return true;
}

/* ---- products */

/* The one spelling of a product: factors sorted, MULs leaning to the left, which is how ir_atoms_of reads it back. 0 stands for one.
 * Insertion sort: products have two or three factors. */
static ir_expr product_of(ir_unit *u, ir_expr *atoms, uint32_t n) {
    for (uint32_t k = 1; k < n; k++)
        for (uint32_t i = k; i && ir_compare(u, atoms[i - 1], atoms[i]) > 0; i--) {
            ir_expr t = atoms[i];
            atoms[i] = atoms[i - 1];
            atoms[i - 1] = t;
        }
    ir_expr m = n ? atoms[0] : 0;
    for (uint32_t k = 1; k < n; k++) m = ir_intern_op(u, IR_MUL, IR_SORT_INT, 2, (ir_expr[]){m, atoms[k]});
    return m;
}

/* x//y * y is x where y divides x. The whole has to be a bare product: atoms have no place for a sum or for a coefficient of its own.
 * A literal y is never among atoms, so this is not the case for it: see settle. Tells whether something was cancelled. */
static bool cancel_quotient(const ir_unit *u, ir_expr *atoms, uint32_t *n) {
    for (uint32_t k = 0; k < *n; k++) {
        if (!ir_is(u, atoms[k], IR_FDIV)) continue;
        ir_expr whole = ir_operand(u, atoms[k], 0), part = ir_operand(u, atoms[k], 1);
        if (is_sum(u, whole) || term_of(u, whole).monomial != whole || !ir_fact_divides(u, part, whole)) continue;
        ir_expr rest[2 * IR_ATOMS];
        uint32_t m = 0;
        for (uint32_t i = 0; i < *n; i++)
            if (i != k) rest[m++] = atoms[i];
        if (!take_out(u, part, rest, &m) || !put_in(u, whole, rest, &m, 2 * IR_ATOMS)) continue;
        for (uint32_t i = 0; i < m; i++) atoms[i] = rest[i];
        *n = m;
        return true;
    }
    return false;
}

/* After each cancelling another may have become possible: (x//y)*(y//z)*z. */
ir_expr ir_monomial_mul(ir_unit *u, ir_expr a, ir_expr b) {
    if (!a || !b) return a ? a : b;
    ir_expr atoms[2 * IR_ATOMS];
    uint32_t n = ir_atoms_of(u, a, atoms);
    n += ir_atoms_of(u, b, atoms + n);
    while (cancel_quotient(u, atoms, &n)) {}
    return n > IR_ATOMS ? 0 : product_of(u, atoms, n);
}

/* 8 * (D//8) is D where 8 divides D: for literals the coefficient takes the part of the other factor. The whole may bring a coefficient
 * of its own, as in 2*D, which goes into that of the term. Says whether *t changed. */
static bool settle(ir_unit *u, ir_term *t) {
    ir_expr atoms[IR_ATOMS];
    uint32_t n = ir_atoms_of(u, t->monomial, atoms);
    /* The first quotient that settles is enough: ir_terms_add asks again. */
    for (uint32_t k = 0; k < n; k++) {
        int64_t part;
        if (!ir_is(u, atoms[k], IR_FDIV) || !ir_is_int(u, ir_operand(u, atoms[k], 1), &part)) continue;
        ir_expr whole = ir_operand(u, atoms[k], 0);
        ir_term w = term_of(u, whole);
        if (part < 2 || t->coef % part || is_sum(u, whole) || !ir_fact_divides(u, ir_operand(u, atoms[k], 1), whole)) continue;
        /* A coefficient that would not fit leaves this quotient as it is, which is as correct. */
        int64_t coef;
        if (!base_mul(t->coef / part, w.coef, &coef)) continue;
        atoms[k] = atoms[--n];
        ir_expr rest = product_of(u, atoms, n), m = ir_monomial_mul(u, rest, w.monomial);
        if (!m) return false;                                    /* more factors than there is room for: the term stays, and atoms has lost one */
        *t = (ir_term){coef, m};
        return true;
    }
    return false;
}

/* ---- sums */

/* Keeps the order, which place_of relies on. */
static void drop_term(ir_terms *p, uint32_t k) {
    p->n--;
    for (; k < p->n; k++) p->at[k] = p->at[k + 1];
}

/* Where the monomial is, or where it belongs: the first term that does not come before it. */
static uint32_t place_of(const ir_unit *u, const ir_terms *p, ir_expr monomial) {
    uint32_t lo = 0, hi = p->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ir_compare_monomials(u, p->at[mid].monomial, monomial) < 0) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

/* A loop because a sum may settle: 4*(D//8) + 4*(D//8) is 8*(D//8), which is D, which may meet a term of D. Each round more replaces a
 * quotient by its whole, so it ends. At its head p is a polynomial in order and coef * monomial is what has still to be added. */
void ir_terms_add(ir_unit *u, ir_terms *p, int64_t coef, ir_expr monomial) {
    for (;;) {
        if (!coef || p->lost) return;
        uint32_t k = place_of(u, p, monomial);
        if (k < p->n && p->at[k].monomial == monomial) {
            if (!base_add(p->at[k].coef, coef, &p->at[k].coef)) p->lost = true;
        } else {
            if (p->n == IR_TERMS) {
                p->lost = true;
                return;
            }
            for (uint32_t i = p->n++; i > k; i--) p->at[i] = p->at[i - 1];
            p->at[k] = (ir_term){coef, monomial};
        }
        ir_term t = p->at[k];
        /* A sum of 0 is no term, and a settled one stands elsewhere in the order: both leave their place. */
        bool settled = t.coef && settle(u, &t);
        if (!settled && t.coef) return;
        drop_term(p, k);
        if (!settled) return;
        coef = t.coef;
        monomial = t.monomial;
    }
}

/* p += factor * q. A lost q makes p lost, so chains of these are checked once, at their end. */
void ir_terms_add_all(ir_unit *u, ir_terms *p, const ir_terms *q, int64_t factor) {
    p->lost |= q->lost;
    for (uint32_t k = 0; k < q->n && !p->lost; k++) {
        int64_t coef;
        if (base_mul(q->at[k].coef, factor, &coef)) ir_terms_add(u, p, coef, q->at[k].monomial);
        else p->lost = true;
    }
}

/* Every pair of terms. Without a monomial the product of a pair is the constant only if both have none; else it was too long. */
void ir_terms_mul(ir_unit *u, ir_terms *out, const ir_terms *a, const ir_terms *b) {
    *out = (ir_terms){.lost = a->lost || b->lost};
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n && !out->lost; k++) {
            int64_t coef;
            ir_expr x = a->at[i].monomial, y = b->at[k].monomial, m = ir_monomial_mul(u, x, y);
            if (base_mul(a->at[i].coef, b->at[k].coef, &coef) && (m || (!x && !y))) ir_terms_add(u, out, coef, m);
            else out->lost = true;
        }
}

/* Of any signs; the sign of the result is that of the last remainder, so callers take the absolute value. */
static int64_t common_divisor(int64_t a, int64_t b) {
    while (b) {
        int64_t t = a % b;
        a = b;
        b = t;
    }
    return a;
}

/* INT64_MIN has no absolute value: such a polynomial is left as it is. */
int64_t ir_terms_content(const ir_terms *p) {
    int64_t g = 0;
    for (uint32_t k = 0; k < p->n; k++) {
        if (p->at[k].coef == INT64_MIN) return 1;
        if (p->at[k].monomial) g = common_divisor(g, p->at[k].coef);
    }
    return g < 0 ? -g : g > 0 ? g : 1;
}

/* Integers: 3*i - 2 >= 0 says i >= 1, which is i - 1 >= 0. The constant is rounded down, so nothing is lost: the others are multiples
 * of g. Good only for claims p >= 0, and for p == 0 once g is known to divide the constant. */
void ir_terms_tighten(ir_terms *p) {
    int64_t g = p->lost ? 1 : ir_terms_content(p);
    for (uint32_t k = 0; k < p->n && g > 1; k++) p->at[k].coef = base_floor_div(p->at[k].coef, g);
    if (p->n && !p->at[p->n - 1].coef) p->n--;                   /* a constant below g */
}

/* Zero, which has no terms, is a constant too. */
static bool terms_constant(const ir_terms *p, int64_t *out) {
    if (p->lost || p->n > 1 || (p->n && p->at[0].monomial)) return false;
    *out = p->n ? p->at[0].coef : 0;
    return true;
}

/* Interned without folding: the terms are what folding would lead to, and folding an ADD would come back here. */
ir_expr ir_terms_expr(ir_unit *u, const ir_terms *p) {
    ir_expr sum = 0;
    for (uint32_t k = 0; k < p->n; k++) {
        ir_expr t = p->at[k].monomial;
        if (!t) t = ir_int(u, p->at[k].coef);
        else if (p->at[k].coef != 1) t = ir_intern_op(u, IR_MUL, IR_SORT_INT, 2, (ir_expr[]){ir_int(u, p->at[k].coef), t});
        sum = sum ? ir_intern_op(u, IR_ADD, IR_SORT_INT, 2, (ir_expr[]){sum, t}) : t;
    }
    return sum ? sum : ir_int(u, 0);
}

/* ---- sums and products of expressions. What does not fit is kept as written, in a form that ir_terms_of takes for an atom. */

/* A sum that does not fit is kept with the sum on the right, or out of order, which ir_terms_of takes for one atom: it must not read
 * back as the polynomial that it is not. */
ir_expr ir_int_add(ir_unit *u, ir_expr a, ir_expr b, int64_t sign) {
    ir_terms p, q;
    ir_terms_of(u, a, &p);
    ir_terms_of(u, b, &q);
    ir_terms_add_all(u, &p, &q, sign);
    if (!p.lost) return ir_terms_expr(u, &p);
    if (sign < 0) return ir_intern_op(u, IR_SUB, IR_SORT_INT, 2, (ir_expr[]){a, b});
    bool swap = is_sum(u, a) ? !is_sum(u, b) : ir_compare(u, a, b) > 0;
    return ir_intern_op(u, IR_ADD, IR_SORT_INT, 2, (ir_expr[]){swap ? b : a, swap ? a : b});
}

/* As for sums. A literal goes to the left, where term_of reads it as the coefficient of whatever the other operand is. */
ir_expr ir_int_mul(ir_unit *u, ir_expr a, ir_expr b) {
    ir_terms p, q, r;
    ir_terms_of(u, a, &p);
    ir_terms_of(u, b, &q);
    ir_terms_mul(u, &r, &p, &q);
    if (!r.lost) return ir_terms_expr(u, &r);
    bool left = ir_is(u, a, IR_INT), right = ir_is(u, b, IR_INT), swap = left == right ? ir_compare(u, a, b) > 0 : right;
    return ir_intern_op(u, IR_MUL, IR_SORT_INT, 2, (ir_expr[]){swap ? b : a, swap ? a : b});
}

/* For other folders, with arena memory; here polynomials live on the stack. */
ir_poly ir_poly_of(ir_unit *u, ir_expr e) {
    ir_terms p;
    ir_terms_of(u, e, &p);
    return (ir_poly){base_copy(u->arena, p.at, p.n * sizeof *p.at), p.n};
}

/* ---- division */

/* One factor d of a divisor out of the atoms: found there; or d is x//y where x is there and y divides x, which leaves y (a literal y in
 * *coef); or d is y where such an x is there, which leaves x//y. Taking x out leaves room for one more. */
static bool divide_by_atom(ir_unit *u, ir_expr *atoms, uint32_t *n, int64_t *coef, ir_expr d) {
    if (take_out(u, d, atoms, n)) return true;
    if (ir_is(u, d, IR_FDIV)) {
        ir_expr whole = ir_operand(u, d, 0), part = ir_operand(u, d, 1);
        int64_t literal;
        if (ir_fact_divides(u, part, whole) && term_of(u, whole).coef == 1 && take_out(u, whole, atoms, n))
            return ir_is_int(u, part, &literal) ? base_mul(*coef, literal, coef) : put_in(u, part, atoms, n, 2 * IR_ATOMS);
    }
    for (uint32_t k = 0; k < u->index->division.n; k++) {
        ir_division f = u->index->division.at[k];
        if (f.part != d || is_sum(u, f.whole) || term_of(u, f.whole).coef != 1 || !take_out(u, f.whole, atoms, n)) continue;
        atoms[(*n)++] = ir_intern_op(u, IR_FDIV, IR_SORT_INT, 2, (ir_expr[]){f.whole, d});
        return true;
    }
    return false;
}

/* The literal d out of the atoms, where a fact says that some d*k divides a product of them. */
static bool divide_by_literal(ir_unit *u, ir_expr *atoms, uint32_t *n, int64_t d) {
    for (uint32_t k = 0; k < u->index->division.n; k++) {
        ir_division f = u->index->division.at[k];
        int64_t part;
        if (!ir_is_int(u, f.part, &part) || part % d || is_sum(u, f.whole) || term_of(u, f.whole).coef != 1) continue;
        if (!take_out(u, f.whole, atoms, n)) continue;
        atoms[(*n)++] = ir_intern_op(u, IR_FDIV, IR_SORT_INT, 2, (ir_expr[]){f.whole, ir_int(u, d)});
        return true;
    }
    return false;
}

/* Without remainder, for every value of the atoms, or not at all. What the coefficient of d leaves over after the common divisor has to
 * come out of the atoms, by a fact. INT64_MIN is refused, since its absolute value and its quotient by -1 do not fit. */
bool ir_term_div(ir_unit *u, ir_term a, ir_term d, ir_term *quotient) {
    ir_expr atoms[2 * IR_ATOMS], divisors[IR_ATOMS];
    uint32_t n = ir_atoms_of(u, a.monomial, atoms), m = ir_atoms_of(u, d.monomial, divisors);
    if (!d.coef || d.coef == INT64_MIN || a.coef == INT64_MIN) return false;
    for (uint32_t k = 0; k < m; k++)
        if (!divide_by_atom(u, atoms, &n, &a.coef, divisors[k])) return false;
    int64_t coef = a.coef, by = d.coef;
    if (coef % by) {
        int64_t g = common_divisor(coef, by);
        g = g < 0 ? -g : g;
        coef /= by < 0 ? -g : g;
        by = (by < 0 ? -by : by) / g;
        if (!divide_by_literal(u, atoms, &n, by)) return false;
    } else coef /= by;
    while (cancel_quotient(u, atoms, &n)) {}
    if (n > IR_ATOMS) return false;
    *quotient = (ir_term){coef, product_of(u, atoms, n)};
    return true;
}

/* How much of one term a divisor of one term takes: all of it, or the multiple of the literal (for a constant the remainder is not
 * negative; elsewhere it keeps its sign, so that i - 1 stays as it is). */
static void divide_term(ir_unit *u, ir_term t, ir_term d, ir_terms *q, ir_terms *r) {
    ir_term part;
    int64_t taken = 0;
    if (t.coef == INT64_MIN) {
        ir_terms_add(u, r, t.coef, t.monomial);
        return;
    }
    if (t.monomial && ir_term_div(u, t, d, &part)) {
        ir_terms_add(u, q, part.coef, part.monomial);
        return;
    }
    /* Between constants what stays is what % gives; elsewhere division is toward 0, which keeps the sign. */
    if (!t.monomial && !d.monomial) taken = base_floor_div(t.coef, d.coef);
    else if (t.monomial) taken = t.coef / d.coef;
    /* t is product + what is left; the part that is a multiple of d goes to the quotient, if the monomials allow it. */
    int64_t product;
    if (!base_mul(taken, d.coef, &product)) q->lost = true;
    else if (taken && ir_term_div(u, (ir_term){product, t.monomial}, d, &part)) ir_terms_add(u, q, part.coef, part.monomial);
    else product = 0;
    if (!base_add(t.coef, -product, &product)) r->lost = true;
    else ir_terms_add(u, r, product, t.monomial);
}

/* Long division by a sum: leading term by leading term, from q == 0. At the head of each round q*d + r is p; it ends when the leading
 * term of d divides no term of r, the constant aside. Rounds are limited, since a product may bring back terms as fast as
 * it removes them. Says if it came to an end. */
static bool divide_by_sum(ir_unit *u, const ir_terms *p, const ir_terms *d, ir_terms *q, ir_terms *r) {
    *r = *p;
    for (uint32_t round = 0; round < IR_TERMS && !r->lost && !q->lost; round++) {
        ir_terms t = {.n = 1}, product;
        uint32_t k = 0;
        while (k < r->n && !(r->at[k].monomial && ir_term_div(u, r->at[k], d->at[0], &t.at[0]))) k++;
        if (k == r->n) return true;
        ir_terms_mul(u, &product, &t, d);
        ir_terms_add_all(u, r, &product, -1);
        ir_terms_add_all(u, q, &t, 1);
    }
    return false;
}

/* 0 <= e < n, proved. Then e // n is 0 and e % n is e. */
static bool terms_in_range(ir_unit *u, const ir_terms *e, const ir_terms *n) {
    ir_terms room = *n;
    ir_terms_add_all(u, &room, e, -1);
    ir_terms_add(u, &room, -1, 0);
    return ir_terms_nonneg(u, e) && ir_terms_nonneg(u, &room);
}

/* x//a//b is x//(a*b), and x%a%b is x%b where b divides a, for positive literals. */
static ir_expr nested(ir_unit *u, ir_op op, ir_expr a, ir_expr c) {
    int64_t inner, outer, product;
    if (!ir_is(u, a, op) || !ir_is_int(u, ir_operand(u, a, 1), &inner) || !ir_is_int(u, c, &outer)) return 0;
    if (inner < 1 || outer < 1) return 0;
    ir_expr x = ir_operand(u, a, 0);
    if (op == IR_MOD) return inner % outer ? 0 : ir_int_div(u, x, c, true);
    return base_mul(inner, outer, &product) ? ir_int_div(u, x, ir_int(u, product), false) : 0;
}

/* rem // c or rem % c, once all that c divides has been taken out of rem. 0: nothing is known, the operator stays. */
static ir_expr divide_rest(ir_unit *u, const ir_terms *rem, const ir_terms *d, ir_expr e, ir_expr c, bool mod) {
    int64_t x, y;
    if (terms_constant(rem, &x) && ir_is_int(u, c, &y) && y != -1 && y)
        return ir_int(u, mod ? base_floor_mod(x, y) : base_floor_div(x, y));
    /* With nothing left, or less than the divisor, the quotient is complete. */
    if (!rem->n || terms_in_range(u, rem, d)) return mod ? e : ir_int(u, 0);
    /* Only the remainder: the quotient of an exact division stays, so that a product with c can cancel it. */
    if (mod && ir_fact_divides(u, c, e)) return ir_int(u, 0);
    return nested(u, mod ? IR_MOD : IR_FDIV, e, c);
}

/* Splits a into q*c + r, after which a // c is q + r // c and a % c is r % c, whatever r is. Division floors. By a sum the split is kept
 * only if r is 0 or in range, so that nothing of the operator stays. */
ir_expr ir_int_div(ir_unit *u, ir_expr a, ir_expr c, bool mod) {
    int64_t literal;
    bool is_literal = ir_is_int(u, c, &literal);
    ir_op op = mod ? IR_MOD : IR_FDIV;
    /* Dividing by 0 is an error of the run, with a place to report; here it stays as written. */
    if (is_literal && !literal) return ir_intern_op(u, op, IR_SORT_INT, 2, (ir_expr[]){a, c});
    if (is_literal && (literal == 1 || literal == -1)) return mod ? ir_int(u, 0) : ir_int_mul(u, a, c);
    ir_terms p, d, q = {0}, r = {0};
    ir_terms_of(u, a, &p);
    ir_terms_of(u, c, &d);
    /* One term divides term by term, each at its own; a sum only as a whole. */
    if (d.n == 1) {
        for (uint32_t k = 0; k < p.n; k++) divide_term(u, p.at[k], d.at[0], &q, &r);
    } else if (!divide_by_sum(u, &p, &d, &q, &r) || r.lost || q.lost || (r.n && !terms_in_range(u, &r, &d))) {
        /* The other split that is always right: nothing in the quotient, all in the rest. */
        q = (ir_terms){0};
        r = p;
    }
    if (q.lost || r.lost) return ir_intern_op(u, op, IR_SORT_INT, 2, (ir_expr[]){a, c});
    ir_expr rem = ir_terms_expr(u, &r), rest = divide_rest(u, &r, &d, rem, c, mod);
    if (!rest) rest = ir_intern_op(u, op, IR_SORT_INT, 2, (ir_expr[]){rem, c});
    return mod ? rest : ir_int_add(u, ir_terms_expr(u, &q), rest, 1);
}

/* ---- questions */

/* Enough, not necessary: a sum may be divisible where no term of it is. */
bool ir_divides(ir_unit *u, ir_expr divisor, ir_expr e) {
    if (!divisor || !e) return false;
    if (divisor == e || ir_fact_divides(u, divisor, e)) return true;
    ir_terms p, d, q = {0}, r;
    ir_terms_of(u, e, &p);
    ir_terms_of(u, divisor, &d);
    /* By a sum there is one way only: the long division has to come out even. */
    if (d.n != 1) return d.n && divide_by_sum(u, &p, &d, &q, &r) && !r.lost && !r.n;
    for (uint32_t k = 0; k < p.n; k++) {
        ir_term quotient;
        if (!ir_term_div(u, p.at[k], d.at[0], &quotient)) return false;
    }
    return true;
}

/* Terms with v must be v times something without it; v below another operator, or squared, is not affine. v may be missing: coef 0. */
bool ir_affine(ir_unit *u, ir_expr e, ir_var v, ir_expr *coef, ir_expr *rest) {
    if (!e || ir_at(u, e)->sort != IR_SORT_INT) return false;
    ir_terms p, c = {0}, r = {0};
    ir_terms_of(u, e, &p);
    ir_expr vx = ir_var_expr(u, v);
    for (uint32_t k = 0; k < p.n; k++) {
        ir_term t = p.at[k], q;
        if (!t.monomial || !ir_depends(u, t.monomial, v)) ir_terms_add(u, &r, t.coef, t.monomial);
        else if (ir_term_div(u, t, (ir_term){1, vx}, &q) && !(q.monomial && ir_depends(u, q.monomial, v))) ir_terms_add(u, &c, q.coef, q.monomial);
        else return false;
    }
    if (c.lost || r.lost) return false;
    *coef = ir_terms_expr(u, &c);
    *rest = ir_terms_expr(u, &r);
    return true;
}

/* Proofs about integers. All come down to one question: is this polynomial >= 0 wherever it is evaluated?
 *
 * A polynomial that is linear in an atom w of the interval [low, high] is least at one of the ends, so w is replaced by an end (by
 * both where the sign of its coefficient is not known): i of extent E by 0 and E - 1, x % y by 0 and y - 1, min(a, b) by a and b. For
 * w = x//y everything is multiplied by y: x - y + 1 <= w*y <= x. What is left are dimensions and the like: a term with a positive
 * coefficient covers a negative one that divides it. Where that fails a fact f >= 0 is subtracted.
 * Each step is sound by itself; the search is cut off after a number of steps.
 *
 * An expression is judged where it has a value: a variable of an empty range and a divisor 0 are nowhere.
 */
#include "core.h"

/* STEPS: searches in one proof, in all; DEPTH: one below the other. They only bound time: what they cut off is "not proved". */
enum { STEPS = 60, FACTS_IN_A_PROOF = 3, DEPTH = 24 };
typedef struct { uint64_t hash; uint32_t depth, facts; } claim;     /* hash of a polynomial, and what was open when it was searched */
typedef struct {
    ir_unit *u;
    uint32_t steps, depth, facts;    /* searches that may still be started; calls of search and of by_facts that are open now */
    ir_set vars;                 /* they have a value, so their extents are at least 1 */
    claim failed[STEPS]; uint32_t n_failed;      /* claims that are being searched, or were in vain */
} proof;

/* p >= 0, proved; false says nothing. Everything below comes back to it with what is left to prove. */
static bool nonneg(proof *w, const ir_terms *p);

/* ---- without case distinctions: signs of terms */

/* Is this term >= 0, by its interval alone? */
static bool is_positive(const ir_unit *u, ir_term t) {
    if (!t.monomial) return t.coef >= 0;
    ir_interval m = ir_int_bounds(u, t.monomial);
    return t.coef > 0 ? m.lo >= 0 : m.hi <= 0;
}

/* Pays for the negative term `owed` with the positive ones it divides; what they lose is gone. A positive t == more * owed is worth at
 * least the lower bound of `more` for each unit of its coefficient. False leaves *p half spent: the caller gives up then. */
static bool pay(ir_unit *u, ir_terms *p, ir_term owed) {
    if (owed.coef == INT64_MIN || (owed.monomial && ir_int_bounds(u, owed.monomial).lo < 0)) return false;
    int64_t debt = -owed.coef;
    for (uint32_t k = 0; k < p->n && debt > 0; k++) {
        ir_term t = p->at[k], more;
        if (t.coef <= 0 || !t.monomial || t.monomial == owed.monomial) continue;
        if (!ir_term_div(u, (ir_term){1, t.monomial}, (ir_term){1, owed.monomial}, &more)) continue;
        int64_t worth = more.monomial ? ir_int_bounds(u, more.monomial).lo : 1;
        if (!base_mul(worth, more.coef, &worth) || worth < 1) continue;
        /* Rounded up, but never more than the term has; a product beyond int64 is more than any debt. */
        int64_t used = debt / worth + (debt % worth != 0);
        if (used > t.coef) used = t.coef;
        p->at[k].coef -= used;
        int64_t paid;
        debt = base_mul(used, worth, &paid) && paid < debt ? debt - paid : 0;
    }
    return debt <= 0;
}

/* Each negative term is paid in turn; who pays twice has less left, so nothing is counted double. */
static bool covered(ir_unit *u, const ir_terms *p) {
    ir_terms rest = *p;
    /* The debts are those of p, what can pay them is in rest, which only shrinks. */
    for (uint32_t k = 0; k < p->n; k++)
        if (!is_positive(u, p->at[k]) && !pay(u, &rest, p->at[k])) return false;
    return !p->lost;
}

/* 1: never negative, -1: never positive, 0: not known. Cheap on purpose: it is asked for every atom that is tried. */
static int sign_of(ir_unit *u, const ir_terms *p) {
    if (covered(u, p)) return 1;
    ir_terms minus = {0};
    ir_terms_add_all(u, &minus, p, -1);
    return covered(u, &minus) ? -1 : 0;
}

/* ---- one atom replaced by its ends */

/* p == a*w + b, a free of factors w; false where p has w squared. Other atoms may still mention w: the claim is then proved for every
 * value of theirs, which is more than was asked. */
static bool split(ir_unit *u, const ir_terms *p, ir_expr w, ir_terms *a, ir_terms *b) {
    *a = *b = (ir_terms){0};
    for (uint32_t k = 0; k < p->n; k++) {
        ir_expr atoms[IR_ATOMS], rest = 0;
        uint32_t n = ir_atoms_of(u, p->at[k].monomial, atoms), times = 0;
        for (uint32_t i = 0; i < n; i++)
            if (atoms[i] == w) times++;
            else rest = ir_monomial_mul(u, rest, atoms[i]);
        if (times > 1) return false;
        if (times) ir_terms_add(u, a, p->at[k].coef, rest);
        else ir_terms_add(u, b, p->at[k].coef, p->at[k].monomial);
    }
    return !a->lost && !b->lost;
}

typedef struct { proof *w; const ir_terms *a, *b; int sign; } linear;   /* a*w + b, and the sign of a */

/* The claim with the atom at one end of its range: a*end + b >= 0. */
static bool with(linear l, ir_expr end) {
    ir_terms e, value;
    ir_terms_of(l.w->u, end, &e);
    ir_terms_mul(l.w->u, &value, l.a, &e);
    ir_terms_add_all(l.w->u, &value, l.b, 1);
    return nonneg(l.w, &value);
}

/* A coefficient that is not negative makes the low end the worst one, and the reverse; unknown signs need both. */
static bool between(linear l, ir_expr low, ir_expr high) { return (l.sign < 0 || with(l, low)) && (l.sign > 0 || with(l, high)); }

/* -min(a, b) is at least -a and at least -b, so under a negative coefficient either is enough; else the claim must hold for both. max alike. */
static bool by_either(linear l, bool is_max, ir_expr x, ir_expr y) {
    if (is_max ? l.sign > 0 : l.sign < 0) return with(l, x) || with(l, y);
    return with(l, x) && with(l, y);
}

/* (a*w + b) * y + y - 1 >= 0 is enough, since a*w + b is an integer. Where y divides x, w*y is x. Otherwise the least w*y counts if a is
 * positive, which is x - y + 1, and the largest if it is negative, x; an unknown sign leaves no end to take. y is at least 1 here. */
static bool by_quotient(linear l, ir_expr x, ir_expr y) {
    ir_unit *u = l.w->u;
    if (ir_int_bounds(u, y).lo < 0) return false;
    /* The cheap end first: a quotient of what is not negative is at least 0. */
    if (l.sign > 0 && ir_int_bounds(u, x).lo >= 0 && nonneg(l.w, l.b)) return true;
    ir_terms end, divisor, value, t;
    ir_terms_of(u, x, &end);
    ir_terms_of(u, y, &divisor);
    bool exact = ir_fact_divides(u, y, x);
    if (l.sign > 0 && !exact) {
        ir_terms_add_all(u, &end, &divisor, -1);
        ir_terms_add(u, &end, 1, 0);
    }
    ir_terms_mul(u, &value, l.a, &end);
    ir_terms_mul(u, &t, l.b, &divisor);
    ir_terms_add_all(u, &value, &t, 1);
    ir_terms_add_all(u, &value, &divisor, 1);
    ir_terms_add(u, &value, -1, 0);
    return (l.sign != 0 || exact) && nonneg(l.w, &value);
}

static ir_expr one_less(ir_unit *u, ir_expr e) { return ir_int_add(u, e, ir_int(u, 1), -1); }

/* One atom by its ends. An operator without a case keeps to its interval, if that is finite. */
static bool replace(proof *w, const ir_terms *p, ir_expr atom) {
    ir_unit *u = w->u;
    ir_terms a, b;
    if (!split(u, p, atom, &a, &b)) return false;
    linear l = {w, &a, &b, sign_of(u, &a)};
    const ir_expr_info *x = ir_at(u, atom);
    uint32_t n = x->operands.n;
    ir_var v = x->op == IR_VAR ? x->u.ref : 0;
    ir_expr o0 = n > 0 ? ir_operand(u, atom, 0) : 0, o1 = n > 1 ? ir_operand(u, atom, 1) : 0;
    ir_interval bounds = ir_int_bounds(u, atom);
    switch (x->op) {
    case IR_VAR: return between(l, ir_int(u, 0), one_less(u, ir_extent(u, v)));
    case IR_MOD: return ir_int_bounds(u, o1).lo >= 0 && between(l, ir_int(u, 0), one_less(u, o1));
    case IR_FDIV: return by_quotient(l, o0, o1);
    case IR_MIN: return by_either(l, false, o0, o1);
    case IR_MAX: return by_either(l, true, o0, o1);
    /* abs(x) is max(x, -x) */
    case IR_ABS: return by_either(l, true, o0, ir_int_add(u, ir_int(u, 0), o0, -1));
    case IR_SELECT: return with(l, o1) && with(l, ir_operand(u, atom, 2));
    /* A dimension is not replaced by its ends: the upper one, 2^31 - 1, would be a number where the claim needs a symbol. */
    default: return x->op != IR_DIM && ir_is_finite(bounds) && between(l, ir_int(u, bounds.lo), ir_int(u, bounds.hi));
    }
}

/* Atoms with variables go before those without, the young before the old: what mentions others is younger than they are. */
static bool goes_before(const ir_unit *u, ir_expr a, ir_expr b) {
    bool a_moves = ir_free(u, a) != 0, b_moves = ir_free(u, b) != 0;
    return a_moves == b_moves ? a > b : a_moves;
}

/* The first atom that goes after `last`; 0: there is none. last 0: the first of all. Searched anew each time: polynomials are short, and
 * a list on the stack of every level would be up to IR_TERMS * IR_ATOMS long. Dimensions have no ends to try. */
static ir_expr next_atom(const ir_unit *u, const ir_terms *p, ir_expr last) {
    ir_expr best = 0;
    for (uint32_t k = 0; k < p->n; k++) {
        ir_expr atoms[IR_ATOMS];
        uint32_t n = ir_atoms_of(u, p->at[k].monomial, atoms);
        for (uint32_t i = 0; i < n; i++) {
            if (ir_is(u, atoms[i], IR_DIM) || (last && !goes_before(u, last, atoms[i]))) continue;
            if (!best || goes_before(u, atoms[i], best)) best = atoms[i];
        }
    }
    return best;
}

/* No other atom moves with this variable: its ends are all there is to try. */
static bool stands_alone(const ir_unit *u, const ir_terms *p, ir_expr atom) {
    if (!ir_is(u, atom, IR_VAR)) return false;
    for (uint32_t k = 0; k < p->n; k++) {
        ir_expr atoms[IR_ATOMS];
        uint32_t n = ir_atoms_of(u, p->at[k].monomial, atoms), times = 0;
        for (uint32_t i = 0; i < n; i++) {
            times += atoms[i] == atom;
            if (times > 1 || (atoms[i] != atom && ir_depends(u, atoms[i], ir_at(u, atom)->u.ref))) return false;
        }
    }
    return true;
}

/* Nothing is known of an element of a table but its type, if no extent of a variable is one: its ends are all there is to try, unless it occurs
 * inside another atom, which might be taken apart. */
static bool is_opaque(const proof *w, const ir_terms *p, ir_expr atom) {
    const ir_unit *u = w->u;
    if (!ir_is(u, atom, IR_READ)) return false;
    for (uint32_t k = 0; k < p->n; k++) {
        ir_expr atoms[IR_ATOMS];
        const uint32_t n = ir_atoms_of(u, p->at[k].monomial, atoms);
        uint32_t times = 0;
        for (uint32_t i = 0; i < n; i++) {
            times += atoms[i] == atom;
            if (times > 1 || !(ir_is(u, atoms[i], IR_READ) || ir_is(u, atoms[i], IR_DIM) || ir_is(u, atoms[i], IR_VAR))) return false;
        }
    }
    for (uint32_t k = 0; k < ir_set_size(u, w->vars); k++)
        if (ir_has_op(u, ir_extent(u, ir_set_at(u, w->vars, k)), IR_READ)) return false;
    return true;
}

/* ---- facts */

/* p - k*m*f for the k and m that cancel one negative term of p. With f, k and m not negative, p is at least what is left, so it is enough
 * to prove that. */
static bool with_fact(proof *w, const ir_terms *p, const ir_terms *f) {
    ir_unit *u = w->u;
    for (uint32_t i = 0; i < p->n; i++)
        for (uint32_t k = 0; k < f->n && p->at[i].coef < 0; k++) {
            ir_terms factor = {.n = 1}, product, rest = *p;
            if (f->at[k].coef >= 0 || !ir_term_div(u, p->at[i], f->at[k], &factor.at[0])) continue;
            if (factor.at[0].monomial && ir_int_bounds(u, factor.at[0].monomial).lo < 0) continue;
            ir_terms_mul(u, &product, &factor, f);
            ir_terms_add_all(u, &rest, &product, -1);
            if (nonneg(w, &rest)) return true;
        }
    return false;
}

/* With the fact that the extent of v, less one, is >= 0: v has a value, so its range is not empty. */
static bool with_extent(proof *w, const ir_terms *p, ir_var v) {
    ir_expr extent = ir_extent(w->u, v);
    if (ir_int_bounds(w->u, extent).lo >= 1) return false;       /* known without */
    ir_terms f;
    ir_terms_of(w->u, extent, &f);
    ir_terms_add(w->u, &f, -1, 0);
    return !f.lost && with_fact(w, p, &f);
}

/* Nested, so that two facts can be used in one proof, and bounded, since each level tries all of them. */
static bool by_facts(proof *w, const ir_terms *p) {
    if (w->facts >= FACTS_IN_A_PROOF) return false;
    w->facts++;
    bool done = false;
    for (uint32_t k = 0; k < w->u->index->nonneg.n && !done; k++) {
        ir_terms f;
        ir_terms_of(w->u, w->u->index->nonneg.at[k], &f);
        done = with_fact(w, p, &f);
    }
    for (uint32_t k = 0; k < ir_set_size(w->u, w->vars) && !done; k++) done = with_extent(w, p, ir_set_at(w->u, w->vars, k));
    w->facts--;
    return done;
}

/* Every term divided by d, which is at least 1 where it divides anything, so that signs stay. */
static bool divided(proof *w, const ir_terms *p, ir_expr d) {
    ir_unit *u = w->u;
    ir_terms divisor, quotient = {0};
    ir_terms_of(u, d, &divisor);
    if (divisor.n != 1 || ir_int_bounds(u, d).lo < 0) return false;
    for (uint32_t k = 0; k < p->n; k++) {
        ir_term q;
        if (!ir_term_div(u, p->at[k], divisor.at[0], &q)) return false;
        ir_terms_add(u, &quotient, q.coef, q.monomial);
    }
    return nonneg(w, &quotient);
}

/* First what loses nothing: a variable that no other atom moves with, an element of a table, a common divisor. Then guesses. */
static bool search(proof *w, const ir_terms *p) {
    const ir_unit *u = w->u;
    for (ir_expr atom = next_atom(u, p, 0); atom; atom = next_atom(u, p, atom))
        if (stands_alone(u, p, atom) || is_opaque(w, p, atom)) return replace(w, p, atom);
    for (ir_expr atom = next_atom(u, p, 0); atom; atom = next_atom(u, p, atom))
        if (ir_is(u, atom, IR_FDIV) && divided(w, p, ir_operand(u, atom, 1))) return true;
    for (ir_expr atom = next_atom(u, p, 0); atom; atom = next_atom(u, p, atom))
        if (replace(w, p, atom)) return true;
    return by_facts(w, p);
}

static uint64_t hash_of(const ir_terms *p) {
    uint64_t h = p->n;
    for (uint32_t k = 0; k < p->n; k++) h = (h ^ (uint64_t)p->at[k].coef ^ (uint64_t)p->at[k].monomial << 32) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
    return h;
}

/* A claim that is being searched further up, or was in vain with at least as much room, is not searched again: the facts a <= b and b <= a lead
 * from each claim back to it. Two polynomials of one hash cost a proof, never its truth. */
static bool is_known_to_fail(const proof *w, uint64_t hash) {
    for (uint32_t k = 0; k < w->n_failed; k++)
        if (w->failed[k].hash == hash && w->failed[k].depth <= w->depth && w->failed[k].facts <= w->facts) return true;
    return false;
}

/* What can be told at sight, then the search. Steps are never given back: one proof takes at most STEPS searches. */
static bool nonneg(proof *w, const ir_terms *given) {
    ir_terms p = *given;
    ir_terms_tighten(&p);
    /* An upper end below 0 refutes the claim, so no search is spent on it. */
    ir_interval all = ir_terms_interval(w->u, &p);
    if (p.lost || all.hi < 0) return false;
    if (all.lo >= 0 || covered(w->u, &p)) return true;
    const uint64_t hash = hash_of(&p);
    if (!w->steps || w->depth == DEPTH || is_known_to_fail(w, hash)) return false;
    const uint32_t at = w->n_failed++;
    w->failed[at] = (claim){hash, w->depth, w->facts};
    w->steps--;
    w->depth++;
    bool done = search(w, &p);
    w->depth--;
    if (done) w->failed[at].hash = 0;
    return done;
}

/* A polynomial is judged where its variables have values, which is known of their extents then. */
static ir_set vars_of(ir_unit *u, const ir_terms *p) {
    ir_set s = 0;
    for (uint32_t k = 0; k < p->n; k++)
        if (p->at[k].monomial) s = ir_set_union(u, s, ir_free(u, p->at[k].monomial));
    return s;
}

static bool nonneg_where(ir_unit *u, ir_set vars, const ir_terms *p) {
    return nonneg(&(proof){.u = u, .steps = STEPS, .vars = ir_set_union(u, vars, vars_of(u, p))}, p);
}

bool ir_terms_nonneg(ir_unit *u, const ir_terms *p) { return nonneg_where(u, 0, p); }

/* ---- learning facts */

/* A better lower bound of a dimension improves everything made of it. Ids rise from operands to what is made of them, so one pass is enough. */
static void bounds_again(ir_unit *u) {
    for (ir_expr e = 1; e < u->expr.n; e++)
        u->index->bounds.at[e] = ir_bounds_new(u, ir_at(u, e), u->pool.at + ir_at(u, e)->operands.first);
}

/* c*D >= k, k > 0: D is at least k/c rounded up. Of a product that is >= 1 every factor is. */
static void learn_least(ir_unit *u, const ir_terms *p) {
    if (p->n != 2 || p->at[1].monomial || p->at[0].coef <= 0 || p->at[1].coef >= 0 || p->at[1].coef == INT64_MIN) return;
    ir_expr atoms[IR_ATOMS];
    uint32_t n = ir_atoms_of(u, p->at[0].monomial, atoms);
    int64_t k = -p->at[1].coef, c = p->at[0].coef, least = n == 1 ? k / c + (k % c != 0) : 1;
    for (uint32_t i = 0; i < n; i++)
        if (!ir_is(u, atoms[i], IR_DIM)) return;
    for (uint32_t i = 0; i < n; i++) {
        ir_dim_info *dim = &u->dim.at[ir_at(u, atoms[i])->u.ref];
        if (dim->least < least) dim->least = least;
    }
    bounds_again(u);
}

/* b - a + more >= 0, kept tightened so that it cancels against tightened claims. */
static void learn_nonneg(ir_unit *u, ir_expr b, ir_expr a, int64_t more) {
    ir_terms p, q;
    ir_terms_of(u, b, &p);
    ir_terms_of(u, a, &q);
    ir_terms_add_all(u, &p, &q, -1);
    ir_terms_add(u, &p, more, 0);
    if (p.lost) return;
    ir_terms_tighten(&p);
    learn_least(u, &p);
    BASE_PUSH(u->arena, &u->index->nonneg, ir_terms_expr(u, &p));
}

/* whole % part == 0 has a value, so part is not 0. */
static void learn_division(ir_unit *u, ir_expr whole, ir_expr part) {
    BASE_PUSH(u->arena, &u->index->division, ((ir_division){whole, part}));
    if (ir_int_bounds(u, part).lo == 0) learn_nonneg(u, part, ir_int(u, 1), 0);
}

/* An equation is two inequalities; `x % y == 0` is also what the polynomials divide by. */
static void learn_equal(ir_unit *u, ir_expr a, ir_expr b) {
    if (ir_is(u, a, IR_MOD) && ir_is_int(u, b, NULL) && ir_at(u, b)->u.i == 0) learn_division(u, ir_operand(u, a, 0), ir_operand(u, a, 1));
    learn_nonneg(u, a, b, 0);
    learn_nonneg(u, b, a, 0);
}

/* Only what the proofs can use, inequalities and divisibility of integers; other facts count word by word (is_fact). */
void ir_fact_learn(ir_unit *u, ir_expr fact) {
    while (ir_is(u, fact, IR_AND)) {
        /* Conjunctions lean to the left: the loop takes the long side, the recursion the short one. */
        ir_fact_learn(u, ir_operand(u, fact, 1));
        fact = ir_operand(u, fact, 0);
    }
    ir_expr a = ir_n_operands(u, fact) == 2 ? ir_operand(u, fact, 0) : 0, b = a ? ir_operand(u, fact, 1) : 0;
    if (!a || ir_at(u, a)->sort != IR_SORT_INT) return;
    if (ir_is(u, fact, IR_LE)) learn_nonneg(u, b, a, 0);
    if (ir_is(u, fact, IR_LT)) learn_nonneg(u, b, a, -1);
    if (ir_is(u, fact, IR_EQ)) learn_equal(u, a, b);
}

/* ---- questions */

static bool is_int(const ir_unit *u, ir_expr e) { return e && ir_at(u, e)->sort == IR_SORT_INT; }

/* b - a + more >= 0 */
static bool ordered(ir_unit *u, ir_set vars, ir_expr a, ir_expr b, int64_t more) {
    ir_terms p, q;
    ir_terms_of(u, b, &p);
    ir_terms_of(u, a, &q);
    ir_terms_add_all(u, &p, &q, -1);
    ir_terms_add(u, &p, more, 0);
    return nonneg_where(u, vars, &p);
}

bool ir_at_least(ir_unit *u, ir_expr e, int64_t least) { return is_int(u, e) && ordered(u, 0, ir_int(u, least), e, 0); }
bool ir_in_range(ir_unit *u, ir_expr e, ir_expr n) { return is_int(u, e) && is_int(u, n) && ordered(u, 0, ir_int(u, 0), e, 0) && ordered(u, 0, e, n, -1); }

static bool provably_not(ir_unit *u, ir_set vars, ir_expr truth);

/* A fact holds word by word, also where nothing can be derived from it. */
static bool is_fact(const ir_unit *u, ir_expr truth) {
    for (uint32_t k = 0; k < u->fact.n; k++)
        if (u->fact.at[k] == truth) return true;
    return false;
}

/* Long chains of `and` and `or` lean to the left; the loop goes down there. */
bool ir_provably_where(ir_unit *u, ir_set vars, ir_expr truth) {
    while (truth && !is_fact(u, truth)) {
        uint32_t n = ir_n_operands(u, truth);
        ir_expr a = n ? ir_operand(u, truth, 0) : 0, b = n == 2 ? ir_operand(u, truth, 1) : 0;
        switch (ir_at(u, truth)->op) {
        case IR_AND:
            if (!ir_provably_where(u, vars, b)) return false;
            break;
        case IR_OR:
            if (ir_provably_where(u, vars, b)) return true;
            break;
        case IR_BOOL: return ir_is_bool(u, truth, true);
        case IR_NOT: return provably_not(u, vars, a);
        case IR_LE: return is_int(u, a) && ordered(u, vars, a, b, 0);
        case IR_LT: return is_int(u, a) && ordered(u, vars, a, b, -1);
        case IR_EQ: return is_int(u, a) && ordered(u, vars, a, b, 0) && ordered(u, vars, b, a, 0);
        /* Different where one is always the smaller: x != y with either order possible is not proved. */
        case IR_NE: return is_int(u, a) && (ordered(u, vars, a, b, -1) || ordered(u, vars, b, a, -1));
        default: return false;
        }
        truth = a;
    }
    return truth != 0;
}

/* Of an `or` both sides must be false. A negation that no operator takes up is not looked into: that would lead back here. */
static bool provably_not(ir_unit *u, ir_set vars, ir_expr truth) {
    while (ir_is(u, truth, IR_OR)) {
        if (!provably_not(u, vars, ir_operand(u, truth, 1))) return false;
        truth = ir_operand(u, truth, 0);
    }
    ir_expr negated = ir_not(u, truth);
    return !ir_is(u, negated, IR_NOT) && ir_provably_where(u, vars, negated);
}

bool ir_provably(ir_unit *u, ir_expr truth) { return ir_provably_where(u, 0, truth); }

/* Sets of variables, interned: ascending ids in one pool, found again by content. Unions repeat a lot while expressions grow, so the
 * last ones are remembered. */
#include <stdlib.h>
#include <string.h>
#include "core.h"

/* Good until the next set is made, which may move the pool. */
static const ir_var *vars_of(const ir_unit *u, ir_set s) { return u->index->set_pool.at + u->index->set.at[s].first; }
uint32_t ir_set_size(const ir_unit *u, ir_set s) { return u->index->set.at[s].n; }
/* k < size; ascending, so callers walk two sets side by side. */
ir_var ir_set_at(const ir_unit *u, ir_set s, uint32_t k) { return vars_of(u, s)[k]; }

/* Open addressing as in unit.c, by content: the slot that holds the set, or the free one where it belongs. 0 marks a free slot, which is
 * why the empty set, which is 0, is never looked up. */
static uint32_t *slot_of(const ir_unit *u, uint32_t n, const ir_var *vars) {
    const struct ir_unit_index *index = u->index;
    uint64_t h = 1469598103934665603u;
    for (uint32_t k = 0; k < n; k++) h = (h ^ vars[k]) * 1099511628211u, h ^= h >> 30;
    for (uint32_t s = (uint32_t)(h ^ h >> 32) & (index->set_capacity - 1);; s = (s + 1) & (index->set_capacity - 1)) {
        ir_set at = index->set_table[s];
        if (!at || (ir_set_size(u, at) == n && !memcmp(vars_of(u, at), vars, n * sizeof *vars))) return &index->set_table[s];
    }
}

/* Kept at most half full. Sets are never removed, so all go into the new table; the old one stays in the arena. */
static void table_double(ir_unit *u) {
    struct ir_unit_index *index = u->index;
    index->set_capacity *= 2;
    index->set_table = BASE_ARRAY(u->arena, index->set_capacity, uint32_t);
    for (ir_set s = 1; s < index->set.n; s++) *slot_of(u, ir_set_size(u, s), vars_of(u, s)) = s;
}

/* The set of what lies in the scratch array, ascending and without repetitions. Sets are built there and copied only if they are new,
 * which most are not. */
static ir_set intern(ir_unit *u) {
    struct ir_unit_index *index = u->index;
    uint32_t n = index->set_scratch.n;
    if (!n) return 0;
    /* Pushing to the pool and the list leaves the table where it is, so the slot is still good below. */
    uint32_t *slot = slot_of(u, n, index->set_scratch.at);
    if (*slot) return *slot;
    ir_list list = {index->set_pool.n, n};
    for (uint32_t k = 0; k < n; k++) BASE_PUSH(u->arena, &index->set_pool, index->set_scratch.at[k]);
    ir_set s = *slot = BASE_PUSH(u->arena, &index->set, list);
    if (index->set.n > index->set_capacity / 2) table_double(u);
    return s;
}

static int compare(const void *a, const void *b) {
    ir_var x = *(const ir_var *)a, y = *(const ir_var *)b;
    return (x > y) - (x < y);
}

/* In any order, with repetitions. */
ir_set ir_set_of(ir_unit *u, uint32_t n, const ir_var *vars) {
    struct ir_unit_index *index = u->index;
    index->set_scratch.n = 0;
    for (uint32_t k = 0; k < n; k++) BASE_PUSH(u->arena, &index->set_scratch, vars[k]);
    if (n > 1) qsort(index->set_scratch.at, n, sizeof *vars, compare);
    /* Equal ones are neighbours now; the first of each moves down to the end of what is kept. */
    uint32_t kept = 0;
    for (uint32_t k = 0; k < n; k++)
        if (!k || index->set_scratch.at[k] != index->set_scratch.at[k - 1]) index->set_scratch.at[kept++] = index->set_scratch.at[k];
    index->set_scratch.n = kept;
    return intern(u);
}

/* One walk over two sets; which of "only in a", "in both", "only in b" are kept says what it computes. The set that has come to its end
 * counts as UINT32_MAX, which is no variable, so the rest of the other one follows. */
static ir_set merge(ir_unit *u, ir_set a, ir_set b, bool only_a, bool both, bool only_b) {
    struct ir_unit_index *index = u->index;
    uint32_t i = 0, j = 0, n = ir_set_size(u, a), m = ir_set_size(u, b);
    index->set_scratch.n = 0;
    while (i < n || j < m) {
        ir_var x = i < n ? ir_set_at(u, a, i) : UINT32_MAX, y = j < m ? ir_set_at(u, b, j) : UINT32_MAX;
        bool keep = x == y ? both : x < y ? only_a : only_b;
        if (keep) BASE_PUSH(u->arena, &index->set_scratch, x < y ? x : y);
        i += x <= y;
        j += y <= x;
    }
    return intern(u);
}

/* The one hot operation: every new expression takes the union of its operands' sets. A direct-mapped cache of 256 pairs catches chains of
 * additions over the same variables. An entry that was never used has a == b == 0, which no question that gets here has. */
ir_set ir_set_union(ir_unit *u, ir_set a, ir_set b) {
    if (a == b || !b) return a;
    if (!a) return b;
    uint32_t at = (a * 31 + b) % (sizeof u->index->union_cache / sizeof *u->index->union_cache);
    if (u->index->union_cache[at].a != a || u->index->union_cache[at].b != b) {
        ir_set result = merge(u, a, b, true, true, true);
        u->index->union_cache[at].a = a;
        u->index->union_cache[at].b = b;
        u->index->union_cache[at].result = result;
    }
    return u->index->union_cache[at].result;
}

/* Far rarer than unions: no cache. */
ir_set ir_set_minus(ir_unit *u, ir_set a, ir_set b) { return !a || !b ? a : merge(u, a, b, true, false, false); }
ir_set ir_set_meet(ir_unit *u, ir_set a, ir_set b) { return a == b ? a : merge(u, a, b, false, true, false); }

/* Sets are ascending: bisection. */
bool ir_set_has(const ir_unit *u, ir_set s, ir_var v) {
    const ir_var *vars = vars_of(u, s);
    uint32_t lo = 0, hi = ir_set_size(u, s);
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (vars[mid] == v) return true;
        if (vars[mid] < v) lo = mid + 1;
        else hi = mid;
    }
    return false;
}

/* As ir_set_meet, but makes no set: it is asked of every expression that a substitution meets. */
bool ir_set_meets(const ir_unit *u, ir_set a, ir_set b) {
    uint32_t i = 0, j = 0, n = ir_set_size(u, a), m = ir_set_size(u, b);
    while (i < n && j < m) {
        ir_var x = ir_set_at(u, a, i), y = ir_set_at(u, b, j);
        if (x == y) return true;
        if (x < y) i++;
        else j++;
    }
    return false;
}

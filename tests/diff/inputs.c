/* Seeded inputs. A tensor's elements depend on its name, the seed and the kind of inputs alone, so every target sees the same.
 *
 * Integers come from the interval that their use allows: where an input is an index itself, from the extent of that axis; else from
 * the program's line `#: range`, else 0..4. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "diff.h"

typedef struct { uint64_t state; } random_source;

uint64_t diff_next_random(uint64_t *state) {             /* splitmix64 */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
static uint64_t next_random(random_source *r) { return diff_next_random(&r->state); }

static double uniform(random_source *r) { return (double)(next_random(r) >> 11) * 0x1p-53; }

static double normal(random_source *r) {
    double u = uniform(r), v = uniform(r);
    return sqrt(-2 * log(1 - u)) * cos(6.283185307179586 * v);
}

static random_source source_for(const char *name, uint64_t seed) {
    random_source r = {seed * 0x2545f4914f6cdd1du + 1};
    for (; *name; name++) r.state = (r.state ^ (unsigned char)*name) * 1099511628211u;
    next_random(&r);
    return r;
}

static bool listed(uint32_t n, const char *const *at, const char *name) {
    for (uint32_t k = 0; k < n; k++)
        if (!strcmp(at[k], name)) return true;
    return false;
}

/* ---- dimensions */

static bool find_dim(const ir_unit *u, const char *name, size_t n, ir_dim *out) {
    for (ir_dim d = 1; d < u->dim.n; d++) {
        if (strlen(u->dim.at[d].name) != n || memcmp(u->dim.at[d].name, name, n) != 0) continue;
        *out = d;
        return true;
    }
    return false;
}

static bool bind_dims(const diff_program *p, const ir_unit *u, const char *text, ir_frame *frame) {
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "=");
        ir_dim d;
        if (!find_dim(u, at, n, &d)) {
            fprintf(stderr, "%s: no dimension in '%s'\n", p->path, at);
            return false;
        }
        char *end;
        frame->dim[d] = strtoll(at + n + 1, &end, 10);
        at = end + strspn(end, " ");
    }
    return true;
}

static int64_t number(const ir_unit *u, const ir_frame *frame, const char *text) {     /* sums of names and literals: T+1 */
    int64_t sum = 0;
    while (*text) {
        size_t n = strcspn(text, "+");
        ir_dim d;
        if (isdigit((unsigned char)*text) || *text == '-') sum += strtoll(text, NULL, 10);
        else if (find_dim(u, text, n, &d)) sum += frame->dim[d];
        text += n + (text[n] == '+');
    }
    return sum;
}

/* ---- intervals of integers */

typedef struct { const ir_unit *unit; const ir_frame *frame; ir_value value; int64_t hi; bool found; base_diags *diags; } searching;

static bool look_for_index(const ir_unit *u, void *env, ir_expr e) {
    searching *s = env;
    if (!ir_is(u, e, IR_READ)) return true;
    const ir_type *type = &u->value.at[ir_at(u, e)->u.ref].type;
    for (uint32_t k = 0; k < ir_n_operands(u, e); k++) {
        ir_expr i = ir_operand(u, e, k);
        int64_t extent;
        if (!ir_is(u, i, IR_READ) || ir_at(u, i)->u.ref != s->value || !ir_eval_expr(u, s->frame, type->dim[k], &extent, s->diags)) continue;
        if (!s->found || extent < s->hi) s->hi = extent;
        s->found = true;
    }
    return true;
}

static void look_in_node(void *env, const ir_node *node, uint32_t depth) {
    (void)depth;
    searching *s = env;
    for (uint32_t r = 0; node->form == IR_FORM_MAP && r < node->map.n_results; r++) ir_walk(s->unit, node->map.results[r].body, look_for_index, s);
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void fill_ints(const diff_program *p, const ir_graph *g, ir_value value, random_source *r, ir_tensor *t, const ir_frame *frame, base_diags *diags) {
    searching s = {.unit = g->unit, .frame = frame, .value = value, .hi = 4, .diags = diags};
    int64_t lo = 0;
    ir_graph_each(g, look_in_node, &s);
    const diff_range *range = NULL;
    for (uint32_t k = 0; k < p->ranges.n; k++) {
        if (strcmp(p->ranges.at[k].name, g->unit->value.at[value].name) != 0) continue;
        range = &p->ranges.at[k];
        lo = number(g->unit, frame, range->lo);
        s.hi = number(g->unit, frame, range->hi);
    }
    uint64_t n = s.hi > lo ? (uint64_t)(s.hi - lo) : 1;
    for (int64_t k = 0; k < t->n; k++) t->i[k] = lo + (int64_t)(next_random(r) % n);
    if (!range || !range->ascending || !t->n) return;
    qsort(t->i, (size_t)t->n, sizeof *t->i, by_size);
    t->i[0] = lo;
    t->i[t->n - 1] = s.hi - 1;
}

/* ---- reals */

/* where: how far along the tensor, 0 to 1 */
static double real_of(diff_fill fill, double where, random_source *r) {
    double x = normal(r);
    return fill == DIFF_FILL_LARGE ? 100 * x : fill == DIFF_FILL_ZERO ? 0 : fill == DIFF_FILL_RISING ? 1 + 0.1 * x + 8 * where : x;
}

static void repeat_first(ir_tensor *t) {
    int64_t inner = t->rank && t->dim[0] ? t->n / t->dim[0] : t->n;
    for (int64_t k = inner; k < t->n; k++) t->f[k] = t->f[k - inner];
}

/* A third of the entries, and the first of every two rows (along the last axis) whole. */
static void put_minus_inf(ir_tensor *t, random_source *r) {
    int64_t row = t->rank ? t->dim[t->rank - 1] : 1;
    for (int64_t k = 0; k < t->n; k++)
        if (next_random(r) % 3 == 0 || (k / row) % 2 == 0) t->f[k] = -INFINITY;
}

static void fill_reals(const diff_program *p, const char *name, diff_fill fill, random_source *r, ir_tensor *t) {
    bool positive = listed(p->positive.n, p->positive.at, name);
    for (int64_t k = 0; k < t->n; k++) {
        t->f[k] = real_of(fill, (double)k / (double)t->n, r);
        if (positive) t->f[k] = fabs(t->f[k]) + 0.125;
    }
    if (fill == DIFF_FILL_REPEAT) repeat_first(t);
    if (fill == DIFF_FILL_MINUS_INF && listed(p->infinite.n, p->infinite.at, name)) put_minus_inf(t, r);
    if (fill == DIFF_FILL_NAN && t->n) t->f[next_random(r) % (uint64_t)t->n] = NAN;
}

static bool bind_source(const diff_program *p, const ir_graph *g, const ir_node *node, diff_fill fill, uint64_t seed, ir_frame *frame, base_arena *arena, base_diags *diags) {
    ir_value v = node->source.value;
    const ir_value_info *info = &g->unit->value.at[v];
    int64_t dim[IR_RANK];
    if (!ir_type_shape(g->unit, frame, &info->type, dim, diags)) return false;
    ir_tensor *t = &frame->value[v];
    *t = ir_tensor_new(arena, info->type.dtype, info->type.rank, dim);
    random_source r = source_for(info->name, seed);
    for (uint32_t k = 0; k < g->n_scalars; k++) {
        if (g->scalars[k] != v) continue;
        t->i[0] = frame->dim[g->scalar_dims[k]];
        return true;
    }
    if (ir_dtypes[t->dtype].sort == IR_SORT_REAL) fill_reals(p, info->name, fill, &r, t);
    else if (t->dtype == IR_TYPE_BOOL)
        for (int64_t k = 0; k < t->n; k++) t->i[k] = next_random(&r) & 1;
    else fill_ints(p, g, v, &r, t, frame, diags);
    return true;
}

bool diff_bind(const diff_program *p, const ir_graph *g, const char *dims, diff_fill fill, uint64_t seed, ir_frame *frame, base_arena *arena, base_diags *diags) {
    if (!bind_dims(p, g->unit, dims, frame)) return false;
    for (uint32_t k = 0; k < g->body.n; k++) {
        const ir_node *node = g->body.at[k];
        if (node->form != IR_FORM_INPUT && node->form != IR_FORM_PARAM) continue;
        if (!bind_source(p, g, node, fill, seed, frame, arena, diags)) return false;
    }
    return true;
}

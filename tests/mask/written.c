/* Masks evaluated from their text, as they are written: a parser and an evaluator of their own, without any rule of the compiler. Every
 * operator has a value for all operands (a read beyond a table is clamped, x//0 is 0), so evaluating what `and`, `or` or select hide does no harm. */
#include "masks.h"

enum { MAX_NODES = 1024 };
typedef enum { LITERAL, SCALAR, ADD, SUB, MUL, FDIV, MOD, MIN, MAX, ABS, LT, LE, EQ, NE, AND, OR, NOT, SELECT, BIT, READ } operation;
typedef struct { operation op; int a[4], n; int64_t k; uint8_t level; } node;    /* level: 0 per call, 1 per row, 2 per pair */
struct written {
    base_arena *arena;
    const char *at;
    node nodes[MAX_NODES];
    int64_t value[MAX_NODES];
    int n, root;
    const world *world;
};

static int add(written *w, operation op, int n, const int *a, int64_t k) {
    assert_true(w->n < MAX_NODES);
    node x = { .op = op, .n = n, .k = k };
    for (int i = 0; i < n; i++) {
        x.a[i] = a[i];
        if (w->nodes[a[i]].level > x.level) x.level = w->nodes[a[i]].level;
    }
    if (op == SCALAR) x.level = k == SCALAR_i ? 1 : k == SCALAR_j ? 2 : 0;
    w->nodes[w->n] = x;
    return w->n++;
}
static int binary(written *w, operation op, int a, int b) { return add(w, op, 2, (int[]){ a, b }, 0); }

/* ---- text */

static void blank(written *w) {
    while (*w->at == ' ') w->at++;
}
static bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool in_word(char c) { return letter(c) || (c >= '0' && c <= '9'); }
static bool eat(written *w, const char *mark) {
    blank(w);
    const size_t n = strlen(mark);
    if (strncmp(w->at, mark, n) != 0 || (letter(*mark) && in_word(w->at[n]))) return false;
    w->at += n;
    return true;
}
static void need(written *w, const char *mark) {
    if (!eat(w, mark)) fail_msg("%s expected at %s", mark, w->at);
}

static int any(written *w);
static int factor(written *w);

static int arguments(written *w, const char *end, int *a) {
    int n = 0;
    do a[n++] = any(w);
    while (eat(w, ","));
    need(w, end);
    return n;
}

/* Each use of a macro is read again, in its own place. */
static int macro(written *w, const char *text) {
    const char *back = w->at;
    w->at = text;
    const int r = any(w);
    w->at = back;
    return r;
}

static bool is_name(const char *name, const char *at, size_t n) { return strlen(name) == n && !strncmp(name, at, n); }

static int named(written *w) {
    static const struct { const char *name; operation op; } calls[] = { { "min", MIN }, { "max", MAX }, { "abs", ABS }, { "select", SELECT }, { "bit", BIT } };
    const char *at = w->at;
    while (in_word(*w->at)) w->at++;
    const size_t n = (size_t)(w->at - at);
    int a[4];
    if (is_name("true", at, n)) return add(w, LITERAL, 0, NULL, 1);
    if (is_name("float", at, n)) return factor(w);
    for (size_t k = 0; k < sizeof calls / sizeof *calls; k++)
        if (is_name(calls[k].name, at, n)) {
            need(w, "(");
            return add(w, calls[k].op, arguments(w, ")", a), a, 0);
        }
    for (int t = 0; t < N_TABLES; t++)
        if (is_name(world_tables[t].name, at, n) && eat(w, "[")) return add(w, READ, arguments(w, "]", a), a, t);
    for (int s = 0; s < N_SCALARS; s++)
        if (is_name(world_scalars[s].name, at, n)) return add(w, SCALAR, 0, NULL, s);
    for (int m = 0; world_macros[m][0]; m++)
        if (is_name(world_macros[m][0], at, n)) return macro(w, world_macros[m][1]);
    fail_msg("unknown name %s", at);
    return 0;
}

static int factor(written *w) {
    blank(w);
    if (eat(w, "(")) {
        const int r = any(w);
        need(w, ")");
        return r;
    }
    if (*w->at < '0' || *w->at > '9') return named(w);
    const int number = add(w, LITERAL, 0, NULL, strtol(w->at, (char **)(uintptr_t)&w->at, 10));
    if (!strncmp(w->at, ".0", 2)) w->at += 2;    /* a real */
    return number;
}
static int product(written *w) {
    int r = factor(w);
    for (;;) {
        if (eat(w, "//")) r = binary(w, FDIV, r, factor(w));
        else if (eat(w, "*")) r = binary(w, MUL, r, factor(w));
        else if (eat(w, "%")) r = binary(w, MOD, r, factor(w));
        else return r;
    }
}
static int sum(written *w) {
    int r = product(w);
    for (;;) {
        if (eat(w, "+")) r = binary(w, ADD, r, product(w));
        else if (eat(w, "-")) r = binary(w, SUB, r, product(w));
        else return r;
    }
}
static int comparison(written *w) {
    const int a = sum(w);
    if (eat(w, "<=")) return binary(w, LE, a, sum(w));
    if (eat(w, "<")) return binary(w, LT, a, sum(w));
    if (eat(w, "==")) return binary(w, EQ, a, sum(w));
    if (eat(w, "!=")) return binary(w, NE, a, sum(w));
    if (eat(w, ">=")) {
        const int b = sum(w);
        return binary(w, LE, b, a);
    }
    if (!eat(w, ">")) return a;
    const int b = sum(w);
    return binary(w, LT, b, a);
}
static int negation(written *w) {
    if (!eat(w, "not")) return comparison(w);
    const int a = negation(w);
    return add(w, NOT, 1, &a, 0);
}
static int conjunction(written *w) {
    int r = negation(w);
    while (eat(w, "and")) r = binary(w, AND, r, negation(w));
    return r;
}
static int any(written *w) {
    int r = conjunction(w);
    while (eat(w, "or")) r = binary(w, OR, r, conjunction(w));
    return r;
}

written *written_read(base_arena *arena, const char *text) {
    written *w = BASE_NEW(arena, written);
    w->arena = arena, w->at = text;
    w->root = any(w);
    blank(w);
    if (*w->at) fail_msg("what is this: %s", w->at);
    return w;
}

/* ---- values */

static int64_t floor_div(int64_t a, int64_t b) {
    if (!b) return 0;
    const int64_t q = a / b;
    return a % b && (a < 0) != (b < 0) ? q - 1 : q;
}

static int64_t element(const written *w, const node *x, const int64_t *v) {
    const table *t = &w->world->tables[x->k];
    int64_t at = 0;
    for (int k = 0; k < x->n; k++) {
        int64_t p = v[x->a[k]];
        if (p >= t->dim[k]) p = t->dim[k] - 1;
        if (p < 0) p = 0;
        at = at * t->dim[k] + p;
    }
    return t->at[at];
}

static bool are_numbers(int64_t a, int64_t b) { return a != NOT_A_NUMBER && b != NOT_A_NUMBER; }

static int64_t value_of(const written *w, const node *x, const int64_t *v) {
    const int64_t a = x->n ? v[x->a[0]] : 0, b = x->n > 1 ? v[x->a[1]] : 0;
    switch (x->op) {
    case LITERAL: return x->k;
    case SCALAR: return w->world->scalars[x->k];
    case ADD: return a + b;
    case SUB: return a - b;
    case MUL: return a * b;
    case FDIV: return floor_div(a, b);
    case MOD: return b ? a - b * floor_div(a, b) : 0;
    case MIN: return a < b ? a : b;
    case MAX: return a > b ? a : b;
    case ABS: return a < 0 ? -a : a;
    case LT: return are_numbers(a, b) && a < b;
    case LE: return are_numbers(a, b) && a <= b;
    case EQ: return are_numbers(a, b) && a == b;
    case NE: return !are_numbers(a, b) || a != b;
    case AND: return a && b;
    case OR: return a || b;
    case NOT: return !a;
    case SELECT: return a ? b : v[x->a[2]];
    case BIT: return b >= 0 && b < 63 ? a >> b & 1 : 0;
    default: return element(w, x, v);
    }
}

/* Operands come before what they are operands of. */
static void run(written *w, uint8_t level) {
    for (int k = 0; k < w->n; k++)
        if (w->nodes[k].level == level) w->value[k] = value_of(w, &w->nodes[k], w->value);
}
static void set(written *w, int scalar, int64_t to) {
    for (int k = 0; k < w->n; k++)
        if (w->nodes[k].op == SCALAR && w->nodes[k].k == scalar) w->value[k] = to;
}
/* i and j are the only nodes of a level that have no operands. */
static void run_with(written *w, uint8_t level, int scalar, int64_t to) {
    set(w, scalar, to);
    for (int k = 0; k < w->n; k++)
        if (w->nodes[k].level == level && w->nodes[k].op != SCALAR) w->value[k] = value_of(w, &w->nodes[k], w->value);
}

void written_begin(written *w, const world *at) {
    w->world = at;
    run(w, 0);
}
void written_row(written *w, int64_t i) { run_with(w, 1, SCALAR_i, i); }
bool written_pair(written *w, int64_t j) {
    run_with(w, 2, SCALAR_j, j);
    return w->value[w->root] != 0;
}

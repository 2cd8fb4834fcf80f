/* Expressions as text.
 *
 * The DAG is printed as a tree. What is mentioned twice and is not small, or nests deeply, gets an abbreviation `let @k = ...;` first, so
 * that the text is linear in the DAG and reading it needs a bounded stack. An abbreviation that mentions bound variables takes them as
 * parameters, since it stands outside of what binds them: `let @1{j in 0..T} = ...; max(j in 0..T: @1{j})`.
 * Integers are printed as sums of products, sorted by their text and not by id, so that a text does not depend on what else a unit holds.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "core.h"
#include "text.h"

enum { SHARED_SIZE = 16, MAX_HEIGHT = 48 };     /* operators of a shared expression that is abbreviated; of any path through the text */
enum { MAX_STEPS = 4096 };                      /* of comparing two expressions up to the names of what they bind */

/* One expression of the sheet. `uses` counts its mentions as a root or an operand; size and height count what would be
 * printed: an operand that has an abbreviation is one name. */
typedef struct {
    ir_expr e;
    uint32_t uses, size, height;
    uint32_t let, n_args;                        /* let: 0, or the number of its abbreviation */
    ir_var *args;                                /* what it is used with: bound variables that e mentions */
} row;
/* What is known of the expressions below one set of roots, made new by each ir_put_lets. It lives in the printer's arena
 * and is never freed. */
struct ir_sheet {
    BASE_VEC(row) rows;
    BASE_VEC(uint32_t) done;                     /* rows, operands first */
    uint32_t *slots, n_slots;                    /* hash: row + 1 */
    BASE_VEC(ir_var) binders;                    /* variables bound somewhere in the roots */
    BASE_VEC(uint32_t) lets;                     /* rows that define an abbreviation, in order */
};

/* ---------------------------------------------------------------- what is shared */

/* The slot that holds e, or the free one where it belongs. Linear probing: the table is at most half full and its size a
 * power of two, so that a free slot is always met. */
static uint32_t *slot_of(const ir_sheet *s, ir_expr e) {
    uint32_t k = (e * 2654435761u) & (s->n_slots - 1);
    while (s->slots[k] && s->rows.at[s->slots[k] - 1].e != e) k = (k + 1) & (s->n_slots - 1);
    return &s->slots[k];
}

/* Rows move when the array grows: pointers are good until the next row_add. */
static row *row_find(const ir_sheet *s, ir_expr e) {
    uint32_t found = *slot_of(s, e);
    return found ? &s->rows.at[found - 1] : NULL;
}

/* Slots hold indices of rows, so growing the table enters all rows anew; the old slots stay in the arena. */
static void slots_grow(ir_printer *p) {
    ir_sheet *s = p->sheet;
    s->n_slots *= 2;
    s->slots = BASE_ARRAY(p->arena, s->n_slots, uint32_t);
    for (uint32_t k = 0; k < s->rows.n; k++) *slot_of(s, s->rows.at[k].e) = k + 1;
}

/* e has no row yet: the caller has asked row_find. Returns an index, which stays good where a pointer would not. */
static uint32_t row_add(ir_printer *p, ir_expr e) {
    ir_sheet *s = p->sheet;
    if (2 * (s->rows.n + 1) > s->n_slots) slots_grow(p);
    uint32_t at = BASE_PUSH(p->arena, &s->rows, ((row){.e = e}));
    *slot_of(s, e) = at + 1;
    return at;
}

/* What is printed below e: operands, and extents in the place of bound variables. */
static ir_expr below(const ir_unit *u, ir_expr e, uint32_t k) {
    if (ir_is(u, e, IR_RED) && k < ir_red_n_bound(u, e)) return u->var.at[ir_red_bound(u, e, k)].extent;
    return ir_operand(u, e, k);
}

/* Variables of nodes are no parameters: they are in scope wherever an abbreviation stands. */
static bool is_binder(const ir_sheet *s, ir_var v) {
    for (uint32_t k = 0; k < s->binders.n; k++)
        if (s->binders.at[k] == v) return true;
    return false;
}

/* Binders are gathered from all roots before anything is printed: only then is it known which free variables of an inner
 * expression are bound further out and must become parameters. */
static void note_binders(ir_printer *p, ir_expr e) {
    if (!ir_is(p->unit, e, IR_RED)) return;
    for (uint32_t k = 0; k < ir_red_n_bound(p->unit, e); k++) {
        ir_var v = ir_red_bound(p->unit, e, k);
        if (!is_binder(p->sheet, v)) BASE_PUSH(p->arena, &p->sheet->binders, v);
    }
}

/* Depth first with a stack of its own: expressions may be deeper than the machine's. */
static void survey(ir_printer *p, ir_expr root) {
    typedef struct { uint32_t row, next; } frame;
    struct { frame *at; uint32_t n, cap; } stack = {0};
    row *seen = row_find(p->sheet, root);
    if (seen) {
        seen->uses++;
        return;
    }
    BASE_PUSH(p->arena, &stack, ((frame){row_add(p, root), 0}));
    p->sheet->rows.at[stack.at[0].row].uses = 1;
    note_binders(p, root);
    while (stack.n) {
        frame *top = &stack.at[stack.n - 1];
        ir_expr e = p->sheet->rows.at[top->row].e;
        if (top->next == ir_n_operands(p->unit, e)) {
            BASE_PUSH(p->arena, &p->sheet->done, top->row);
            stack.n--;
            continue;
        }
        ir_expr operand = below(p->unit, e, top->next++);
        row *known = row_find(p->sheet, operand);
        if (known) {
            known->uses++;
            continue;
        }
        uint32_t added = row_add(p, operand);
        p->sheet->rows.at[added].uses = 1;
        note_binders(p, operand);
        BASE_PUSH(p->arena, &stack, ((frame){added, 0}));
    }
}

/* Operands stand before r in `done`: they are measured, and whether they are abbreviated is settled. Sizes count a
 * shared operand as often as it would be printed. */
static void measure(const ir_printer *p, row *r) {
    r->size = r->height = 1;
    for (uint32_t k = 0; k < ir_n_operands(p->unit, r->e); k++) {
        const row *o = row_find(p->sheet, below(p->unit, r->e, k));
        r->size += o->let ? 1 : o->size;
        if (!o->let && o->height >= r->height) r->height = o->height + 1;
    }
}

static void sheet_start(ir_printer *p) {
    p->sheet = BASE_NEW(p->arena, ir_sheet);
    p->sheet->n_slots = 64;
    p->sheet->slots = BASE_ARRAY(p->arena, 64, uint32_t);
}

/* ---------------------------------------------------------------- names of variables */

/* Words of the grammar of expressions. The names of operators need not be here: they are read as such only before a
 * parenthesis. */
static const char *const reserved[] = {"true", "false", "inf", "nan", "and", "or", "not", "where", "in", "let"};

bool ir_is_reserved(const char *name) {
    for (uint32_t k = 0; k < sizeof reserved / sizeof *reserved; k++)
        if (strcmp(name, reserved[k]) == 0) return true;
    return false;
}

/* A name must differ from all that is in scope and from each dimension, since the reader lets a variable hide a
 * dimension of its name. */
static bool is_taken(const ir_printer *p, const char *name) {
    for (uint32_t k = 0; k < p->scope.n; k++)
        if (strcmp(p->scope.at[k].name, name) == 0) return true;
    for (uint32_t d = 1; d < p->unit->dim.n; d++)
        if (strcmp(p->unit->dim.at[d].name, name) == 0) return true;
    return ir_is_reserved(name);
}

/* Cuts the ".1" that ir_scope_push adds, so that reading a text and printing it again does not add a second one. */
char *ir_plain_name(base_arena *arena, const char *name) {
    if (!name || !*name) name = "t";
    size_t n = strlen(name), digits = n;
    while (digits && name[digits - 1] >= '0' && name[digits - 1] <= '9') digits--;
    if (digits > 1 && digits < n && name[digits - 1] == '.') n = digits - 1;
    return base_strndup(arena, name, n);
}

/* Canonical binders are shared by all reductions over their extent and have no name of their own: d, d1, d2 over a dimension D, n, n1
 * over anything else. */
static char *binder_name(const ir_printer *p, ir_var v) {
    const ir_expr_info *x = ir_at(p->unit, p->unit->var.at[v].extent);
    const char *dim = x->op == IR_DIM ? p->unit->dim.at[x->u.ref].name : "n";
    return base_printf(p->arena, "%c", isalpha((unsigned char)*dim) ? tolower((unsigned char)*dim) : 'n');
}

/* The first free one of i, i.1, i.2 for a variable of a node, and of n, n1, n2 for a binder. Callers take names back by
 * setting scope.n to what it was. */
const char *ir_scope_push(ir_printer *p, ir_var v) {
    bool binder = ir_is_binder(p->unit, v);
    const char *plain = binder ? binder_name(p, v) : ir_plain_name(p->arena, p->unit->var.at[v].name), *name = plain;
    for (uint32_t k = 1; is_taken(p, name); k++) name = base_printf(p->arena, binder ? "%s%u" : "%s.%u", plain, k);
    BASE_PUSH(p->arena, &p->scope, ((ir_shown){v, name}));
    return name;
}

/* The innermost meaning counts; a variable that nothing named has only the name it was made with. */
const char *ir_scope_name(const ir_printer *p, ir_var v) {
    for (uint32_t k = p->scope.n; k-- > 0;)
        if (p->scope.at[k].var == v) return p->scope.at[k].name;
    return p->unit->var.at[v].name ? p->unit->var.at[v].name : "t";
}

/* Free variables that nothing around names (the axes of a kernel, say) keep their own names: binders give way. */
static void scope_push_free(ir_printer *p, ir_expr e) {
    ir_set free = ir_free(p->unit, e);
    for (uint32_t k = 0; k < ir_set_size(p->unit, free); k++) {
        ir_var v = ir_set_at(p->unit, free, k);
        uint32_t at = 0;
        while (at < p->scope.n && p->scope.at[at].var != v) at++;
        if (at == p->scope.n) ir_scope_push(p, v);
    }
}

/* ---------------------------------------------------------------- integers: sums of products */

/* Sign and text are apart: the sign of the first term is written as a prefix, that of the others as the operator between
 * them. */
typedef struct { bool negative; uint8_t order; const char *text; } term;     /* order: variables, dimensions alone, the constant */
typedef struct { term *at; uint32_t n, cap; } terms;
typedef struct { ir_expr *at; uint32_t n, cap; } exprs;

static void put_node(ir_printer *p, ir_expr e, int level);

/* An abbreviated part is printed as @k, so sums and products are not flattened into it. */
static bool has_let(const ir_printer *p, ir_expr e) {
    const row *r = row_find(p->sheet, e);
    return r && r->let;
}

/* Reals are left as they are built: their sums and products are not associative, so that regrouping would change
 * results. */
static bool is_polynomial(const ir_printer *p, ir_expr e) {
    const ir_expr_info *x = ir_at(p->unit, e);
    return x->sort == IR_SORT_INT && (x->op == IR_ADD || x->op == IR_SUB || x->op == IR_MUL || x->op == IR_NEG);
}

/* The constant is last whatever its sign. Otherwise positive terms come first, and among those of one sign variables
 * come before dimensions; the text decides the rest. */
static int compare_terms(const void *a, const void *b) {
    const term *x = a, *y = b;
    if (x->order != y->order && (x->order == 2 || y->order == 2 || x->negative == y->negative)) return x->order < y->order ? -1 : 1;
    if (x->negative != y->negative) return x->negative ? 1 : -1;
    return strcmp(x->text, y->text);
}

/* The text of a part, for sorting and for what must be printed out of order. */
static const char *text_of(ir_printer *p, ir_expr e, int level) {
    base_text text, *out = p->out;
    base_text_init(&text, p->arena);
    p->out = &text;
    ir_put(p, e, level);
    p->out = out;
    return text.at;
}

/* Factors of a product; literals are multiplied into *coef as long as that fits. */
static void factors_of(ir_printer *p, ir_expr e, bool top, int64_t *coef, exprs *out) {
    const ir_unit *u = p->unit;
    bool open = top || !has_let(p, e);
    int64_t literal;
    if (open && ir_is(u, e, IR_MUL)) {
        factors_of(p, ir_operand(u, e, 0), false, coef, out);
        factors_of(p, ir_operand(u, e, 1), false, coef, out);
    } else if (open && ir_is(u, e, IR_NEG) && base_mul(*coef, -1, &literal)) {
        *coef = literal;
        factors_of(p, ir_operand(u, e, 0), false, coef, out);
    } else if (ir_is(u, e, IR_INT) && base_mul(*coef, u->expr.at[e].u.i, &literal)) {
        *coef = literal;
    } else {
        BASE_PUSH(p->arena, out, e);
    }
}

/* The texts of the factors, dimensions behind variables.
 * A coefficient of 1 is left out unless it is all there is. Among factors `order` is 0 for what has a free variable and
 * 1 for what has none. */
static const char *factors_text(ir_printer *p, const exprs *factors, int64_t coef, int level) {
    terms sorted = {0};
    for (uint32_t k = 0; k < factors->n; k++)
        BASE_PUSH(p->arena, &sorted, ((term){.order = ir_free(p->unit, factors->at[k]) == 0, .text = text_of(p, factors->at[k], level)}));
    if (sorted.n) qsort(sorted.at, sorted.n, sizeof *sorted.at, compare_terms);
    base_text text;
    base_text_init(&text, p->arena);
    if (coef != 1 || !sorted.n) base_text_add(&text, "%lld", (long long)coef);
    for (uint32_t k = 0; k < sorted.n; k++) base_text_add(&text, "%s%s", text.n ? "*" : "", sorted.at[k].text);
    return text.at;
}

/* The reader takes the least integer only with its sign, so its sign stays in the text.
 * One term of a sum, with its sign pulled out. `top`: e itself is being printed or defined, so its own abbreviation does
 * not apply to it. */
static term product(ir_printer *p, ir_expr e, bool top, bool negative) {
    int64_t coef = 1;
    exprs factors = {0};
    factors_of(p, e, top, &coef, &factors);
    bool least = coef == INT64_MIN;
    if (coef < 0 && !least) negative = !negative, coef = -coef;
    uint8_t order = factors.n ? 1 : 2;
    for (uint32_t k = 0; k < factors.n; k++)
        if (ir_free(p->unit, factors.at[k])) order = 0;
    bool alone = factors.n == 1 && coef == 1 && !negative;       /* x//2 + 1, but -(x//2) and 3*(x//2) */
    const char *text = factors_text(p, &factors, coef, alone ? IR_LEVEL_MUL : IR_LEVEL_UNARY);
    /* Minus the least integer has no positive literal: both signs are written and the term counts as positive. */
    if (least && negative) return (term){false, order, base_printf(p->arena, "-%s", text)};
    return (term){negative, order, text};
}

/* Flattens nested sums. `negative` is the sign of e within the whole; the right side of a difference turns it around. */
static void terms_of(ir_printer *p, ir_expr e, bool top, bool negative, terms *out) {
    const ir_unit *u = p->unit;
    ir_op op = (ir_op)u->expr.at[e].op;
    if (!top && has_let(p, e)) op = IR_NONE;
    if (op == IR_ADD || op == IR_SUB) {
        terms_of(p, ir_operand(u, e, 0), false, negative, out);
        terms_of(p, ir_operand(u, e, 1), false, negative != (op == IR_SUB), out);
    } else {
        BASE_PUSH(p->arena, out, product(p, e, top, negative));
    }
}

/* Sorted by text, variables first, positive terms before negative ones: i + T - S. */
static void put_polynomial(ir_printer *p, ir_expr e, int level) {
    terms all = {0};
    terms_of(p, e, true, false, &all);
    qsort(all.at, all.n, sizeof *all.at, compare_terms);
    /* A single term may still be a product or carry a sign, so it binds like a product. */
    bool parentheses = (all.n > 1 ? IR_LEVEL_ADD : IR_LEVEL_MUL) < level;
    if (parentheses) base_text_put(p->out, "(", 1);
    for (uint32_t k = 0; k < all.n; k++) {
        const char *sign = all.at[k].negative ? (k ? " - " : "-") : (k ? " + " : "");
        base_text_add(p->out, "%s%s", sign, all.at[k].text);
    }
    if (parentheses) base_text_put(p->out, ")", 1);
}

/* ---------------------------------------------------------------- everything else */

/* The levels of the grammar in text.h; printer and reader both ask here. */
int ir_op_level(ir_op op) {
    switch (op) {
    case IR_OR: return IR_LEVEL_OR;
    case IR_AND: return IR_LEVEL_AND;
    case IR_NOT: return IR_LEVEL_NOT;
    case IR_LT: case IR_LE: case IR_EQ: case IR_NE: return IR_LEVEL_COMPARE;
    case IR_ADD: case IR_SUB: return IR_LEVEL_ADD;
    case IR_MUL: case IR_DIV: case IR_FDIV: case IR_MOD: return IR_LEVEL_MUL;
    case IR_NEG: return IR_LEVEL_UNARY;
    case IR_POW: return IR_LEVEL_POWER;
    default: return IR_LEVEL_POST;
    }
}

/* Commas are looser than any level, so elements never need parentheses. */
static void put_list(ir_printer *p, ir_expr e, const char *open, const char *between, const char *close) {
    base_text_add(p->out, "%s", open);
    for (uint32_t k = 0; k < ir_n_operands(p->unit, e); k++) {
        if (k) base_text_add(p->out, "%s", between);
        ir_put(p, ir_operand(p->unit, e, k), IR_LEVEL_OR);
    }
    base_text_add(p->out, "%s", close);
}

static void put_range(ir_printer *p, ir_var v) {
    const char *extent = text_of(p, p->unit->var.at[v].extent, IR_LEVEL_ADD);    /* does not see the variable itself */
    base_text_add(p->out, "%s in 0..%s", ir_scope_push(p, v), extent);
}

/* Later ranges and the body see the names of earlier ones. */
static void put_reduction(ir_printer *p, ir_expr e) {
    const ir_unit *u = p->unit;
    uint32_t outside = p->scope.n;
    base_text_add(p->out, "%s(", ir_reds[ir_at(u, e)->u.ref].text);
    for (uint32_t k = 0; k < ir_red_n_bound(u, e); k++) {
        if (k) base_text_put(p->out, ", ", 2);
        put_range(p, ir_red_bound(u, e, k));
    }
    if (!ir_is_bool(u, ir_red_where(u, e), true)) {
        base_text_add(p->out, " where ");
        ir_put(p, ir_red_where(u, e), IR_LEVEL_OR);
    }
    base_text_put(p->out, ": ", 2);
    ir_put(p, ir_red_body(u, e), IR_LEVEL_OR);
    base_text_put(p->out, ")", 1);
    p->scope.n = outside;
}

/* Operators lean to the left, `^` to the right; comparisons do not chain in the DAG, so both sides are a level tighter. */
static void put_infix(ir_printer *p, ir_expr e) {
    const ir_unit *u = p->unit;
    ir_op op = (ir_op)ir_at(u, e)->op;
    int own = ir_op_level(op);
    bool tight = own == IR_LEVEL_MUL || own == IR_LEVEL_POWER;
    int left = own == IR_LEVEL_COMPARE || own == IR_LEVEL_POWER ? own + 1 : own;
    int right = own == IR_LEVEL_POWER ? IR_LEVEL_UNARY : own + 1;
    ir_put(p, ir_operand(u, e, 0), left);
    base_text_add(p->out, tight ? "%s" : " %s ", ir_ops[op].text);
    ir_put(p, ir_operand(u, e, 1), right);
}

/* The operand is printed at the operator's own level: `not not x` needs no parentheses. */
static void put_prefix(ir_printer *p, ir_expr e) {
    ir_op op = (ir_op)ir_at(p->unit, e)->op;
    ir_expr operand = ir_operand(p->unit, e, 0);
    bool literal = ir_is(p->unit, operand, IR_REAL) || ir_is(p->unit, operand, IR_INT);     /* -(1.0): not the literal -1.0 */
    base_text_add(p->out, op == IR_NOT ? "not " : "-");
    ir_put(p, operand, op == IR_NEG && literal ? IR_LEVEL_POST + 1 : ir_op_level(op));
}

/* Rows of ops.def of form 'L', which have a text of their own: literals, names, reads, reductions. The poison prints as
 * "?", which no reader takes. */
static void put_leaf(ir_printer *p, ir_expr e) {
    const ir_expr_info *x = ir_at(p->unit, e);
    switch (x->op) {
    case IR_INT: base_text_add(p->out, "%lld", (long long)x->u.i); break;
    case IR_REAL: base_text_add(p->out, "%s", base_real_text(p->arena, x->u.f)); break;
    case IR_BOOL: base_text_add(p->out, ir_is_bool(p->unit, e, true) ? "true" : "false"); break;
    case IR_DIM: base_text_add(p->out, "%s", p->unit->dim.at[x->u.ref].name); break;
    case IR_VAR: base_text_add(p->out, "%s", ir_scope_name(p, x->u.ref)); break;
    case IR_LET: base_text_add(p->out, "$%u", x->u.ref); break;
    case IR_READ:
        base_text_add(p->out, "%s", p->unit->value.at[x->u.ref].name);
        put_list(p, e, "[", ",", "]");
        break;
    case IR_RED: put_reduction(p, e); break;
    default: base_text_add(p->out, "?"); break;
    }
}

/* A negative literal binds like a prefix operator: (-1.0)^x needs its parentheses. */
static bool is_negative(const ir_printer *p, ir_expr e) {
    const ir_expr_info *x = ir_at(p->unit, e);
    return (x->op == IR_INT && x->u.i < 0) || (x->op == IR_REAL && signbit(x->u.f) && !isnan(x->u.f));
}

/* How tightly the text of e holds together; put_node compares it to what the place around e demands. */
static int level_of(const ir_printer *p, ir_expr e) {
    ir_op op = (ir_op)ir_at(p->unit, e)->op;
    char form = (char)ir_ops[op].form;
    if (form == 'I' || form == 'U') return ir_op_level(op);
    if (op == IR_INT || op == IR_REAL) return is_negative(p, e) ? IR_LEVEL_UNARY : IR_LEVEL_POST;
    return IR_LEVEL_POST;
}

/* The text of e itself, also where it has an abbreviation: ir_put is the one that prints the name instead. */
static void put_node(ir_printer *p, ir_expr e, int level) {
    if (is_polynomial(p, e)) {
        put_polynomial(p, e, level);
        return;
    }
    char form = (char)ir_ops[ir_at(p->unit, e)->op].form;
    bool parentheses = level_of(p, e) < level;
    if (parentheses) base_text_put(p->out, "(", 1);
    if (form == 'I') put_infix(p, e);
    else if (form == 'U') put_prefix(p, e);
    else if (form == 'L') put_leaf(p, e);
    else {
        base_text_add(p->out, "%s", ir_ops[ir_at(p->unit, e)->op].text);
        put_list(p, e, "(", ", ", ")");
    }
    if (parentheses) base_text_put(p->out, ")", 1);
}

/* ---------------------------------------------------------------- abbreviations */

/* Bound variables among the free ones of e: parameters of its abbreviation. One whose extent mentions another comes after it.
 * Two variables are swapped when the first one's extent mentions the second, and the search starts again with the new
 * one: a range may use the names before it. */
static uint32_t parameters(ir_printer *p, ir_expr e, ir_var **out) {
    ir_set free = ir_free(p->unit, e);
    uint32_t n = ir_set_size(p->unit, free), kept = 0;
    ir_var *all = BASE_ARRAY(p->arena, n, ir_var);
    for (uint32_t k = 0; k < n; k++)
        if (is_binder(p->sheet, ir_set_at(p->unit, free, k))) all[kept++] = ir_set_at(p->unit, free, k);
    for (uint32_t k = 0; k < kept; k++)
        for (uint32_t j = k + 1; j < kept; j++)
            if (ir_depends(p->unit, p->unit->var.at[all[k]].extent, all[j])) {
                ir_var v = all[k];
                all[k] = all[j], all[j] = v, j = k;
            }
    *out = all;
    return kept;
}

/* Two expressions with the same text but for the names of variables: canonical binders make different ids of the score of a pair (i, j)
 * and that of a pair (i, j1). One abbreviation serves both.
 * names pairs the bound variables of the two sides, entered as the walk meets them; steps is what is left of the budget. */
typedef struct { ir_var a, b; } renaming;
typedef struct {
    const ir_unit *u;
    base_arena *arena;
    BASE_VEC(renaming) names;                    /* the innermost last */
    uint32_t steps;
} comparison;

/* The innermost renaming decides, and it must hold both ways. */
static bool same_variable(const comparison *c, ir_var a, ir_var b) {
    for (uint32_t k = c->names.n; k-- > 0;)
        if (c->names.at[k].a == a || c->names.at[k].b == b) return c->names.at[k].a == a && c->names.at[k].b == b;
    return a == b;
}

static bool same_but_names(comparison *c, ir_expr a, ir_expr b);

/* From `first` on: a reduction's bound variables are paired by their extents, not compared as operands. */
static bool same_operands(comparison *c, ir_expr a, ir_expr b, uint32_t first) {
    for (uint32_t k = first; k < ir_n_operands(c->u, a); k++)
        if (!same_but_names(c, ir_operand(c->u, a, k), ir_operand(c->u, b, k))) return false;
    return true;
}

/* The extent of a bound variable is compared before the variable is paired: it may mention earlier ones but not itself. */
static bool same_reduction(comparison *c, ir_expr a, ir_expr b) {
    uint32_t outside = c->names.n, n = ir_red_n_bound(c->u, a);
    bool same = true;
    for (uint32_t k = 0; same && k < n; k++) {
        ir_var v = ir_red_bound(c->u, a, k), w = ir_red_bound(c->u, b, k);
        same = same_but_names(c, c->u->var.at[v].extent, c->u->var.at[w].extent);
        BASE_PUSH(c->arena, &c->names, ((renaming){v, w}));
    }
    same = same && same_operands(c, a, b, n);
    c->names.n = outside;
    return same;
}

/* False may also mean that the budget is spent: then the text gets one abbreviation more, and is still right. */
static bool same_but_names(comparison *c, ir_expr a, ir_expr b) {
    const ir_expr_info *x = ir_at(c->u, a), *y = ir_at(c->u, b);
    if (!c->steps) return false;
    c->steps--;
    /* What has no free variable means the same under every renaming; with free ones even equal ids may stand for
     * different variables. */
    if (a == b && !ir_free(c->u, a)) return true;
    if (x->op != y->op || x->sort != y->sort || x->operands.n != y->operands.n) return false;
    if (x->op == IR_VAR) return same_variable(c, x->u.ref, y->u.ref);
    if (x->u.i != y->u.i) return false;
    return x->op == IR_RED ? same_reduction(c, a, b) : same_operands(c, a, b, 0);
}

/* Compared only where sizes agree, and with a budget: DAGs are compared as trees. */
static bool is_renamed(const ir_printer *p, const row *known, const row *r) {
    if (known->size != r->size || known->n_args != r->n_args || !r->n_args) return false;
    comparison c = {.u = p->unit, .arena = p->arena, .steps = MAX_STEPS};
    for (uint32_t k = 0; k < r->n_args; k++) BASE_PUSH(p->arena, &c.names, ((renaming){known->args[k], r->args[k]}));
    return same_but_names(&c, known->e, r->e);
}

/* Arguments are the variables that the parameters stand for at this place, under the names they have here. */
static void put_use(const ir_printer *p, const row *r) {
    base_text_add(p->out, "@%u", r->let);
    for (uint32_t k = 0; k < r->n_args; k++) base_text_add(p->out, "%s%s", k ? ", " : "{", ir_scope_name(p, r->args[k]));
    if (r->n_args) base_text_put(p->out, "}", 1);
}

/* The roots and what is below them must be those of the last ir_put_lets; what has no row is printed in full. */
void ir_put(ir_printer *p, ir_expr e, int level) {
    const row *r = row_find(p->sheet, e);
    if (r && r->let) put_use(p, r);
    else put_node(p, e, level);
}

/* Printed before the row gets its number, so that the definition does not name itself. Names of the parameters end
 * with it. */
static void put_definition(ir_printer *p, const row *r, uint32_t let, const char *between) {
    uint32_t outside = p->scope.n;
    base_text_add(p->out, "let @%u", let);
    for (uint32_t k = 0; k < r->n_args; k++) {
        base_text_add(p->out, k ? ", " : "{");
        put_range(p, r->args[k]);
    }
    base_text_add(p->out, r->n_args ? "} = " : " = ");
    put_node(p, r->e, IR_LEVEL_OR);
    base_text_add(p->out, ";%s", between);
    p->scope.n = outside;
}

/* Gives the row a number: that of an earlier abbreviation which is the same up to names, else the next one. No row is
 * added here, so r stays good. */
static void abbreviate(ir_printer *p, uint32_t at, const char *between) {
    ir_sheet *s = p->sheet;
    row *r = &s->rows.at[at];
    r->n_args = parameters(p, r->e, &r->args);
    for (uint32_t k = 0; k < s->lets.n && !r->let; k++)
        if (is_renamed(p, &s->rows.at[s->lets.at[k]], r)) r->let = k + 1;
    if (r->let) return;
    put_definition(p, r, s->lets.n + 1, between);
    BASE_PUSH(p->arena, &s->lets, at);
    r->let = s->lets.n;
}

/* Operands come before what mentions them, so an abbreviation may use earlier ones.
 * Starts a sheet of its own for the roots. Free variables get their names before any abbreviation is printed, so that
 * its parameters are named around them. */
void ir_put_lets(ir_printer *p, uint32_t n, const ir_expr *roots, const char *between) {
    sheet_start(p);
    for (uint32_t k = 0; k < n; k++) survey(p, roots[k]);
    for (uint32_t k = 0; k < n; k++) scope_push_free(p, roots[k]);
    for (uint32_t k = 0; k < p->sheet->done.n; k++) {
        row *r = &p->sheet->rows.at[p->sheet->done.at[k]];
        measure(p, r);
        /* Small shared expressions are clearer where they stand. A high one is cut even if it is used once, since the
         * reader's stack is bounded. */
        if ((r->uses > 1 && r->size >= SHARED_SIZE) || r->height > MAX_HEIGHT) abbreviate(p, p->sheet->done.at[k], between);
    }
}

/* The empty sheet makes ir_put work before any roots are known: nothing has an abbreviation. */
void ir_printer_init(ir_printer *p, const ir_unit *u, base_text *out) {
    *p = (ir_printer){.unit = u, .out = out, .arena = out->arena};
    sheet_start(p);
}

/* Where an expression stands inside others its abbreviations need parentheses around the whole.
 * The caller's sheet is put back, so that an expression inside a node may be printed in full while the bodies of the
 * node share theirs. */
void ir_put_full(ir_printer *p, ir_expr e, int level) {
    ir_sheet *outer = p->sheet;
    uint32_t outside = p->scope.n;
    base_text text, *out = p->out;
    base_text_init(&text, p->arena);
    p->out = &text;
    ir_put_lets(p, 1, &e, " ");
    bool parentheses = text.n && level > IR_LEVEL_OR;
    ir_put(p, e, parentheses ? IR_LEVEL_OR : level);
    p->out = out;
    base_text_add(out, parentheses ? "(%s)" : "%s", text.at);
    p->scope.n = outside;
    p->sheet = outer;
}

/* An extent is printed before its own variable is named. */
void ir_put_ranges(ir_printer *p, uint32_t n, const ir_var *vars) {
    for (uint32_t k = 0; k < n; k++) {
        base_text text, *out = p->out;
        base_text_init(&text, p->arena);
        p->out = &text;
        ir_put_full(p, p->unit->var.at[vars[k]].extent, IR_LEVEL_ADD);
        p->out = out;
        base_text_add(out, "%s%s in 0..%s", k ? ", " : "", ir_scope_push(p, vars[k]), text.at);
    }
}

void ir_expr_print(const ir_unit *u, ir_expr e, base_text *out) {
    ir_printer p;
    ir_printer_init(&p, u, out);
    ir_put_full(&p, e, IR_LEVEL_OR);
}

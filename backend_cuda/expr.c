/* Expressions as C text, by the table cuda_ops.def.
 *
 * An expression is a DAG and C text is a tree, so nodes that are used more than once, and every so often one of a deep chain, become
 * constants of their own first: the text stays linear in the DAG and its nesting bounded. Operands have smaller ids than what
 * is made of them, so ascending ids are an order of evaluation.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "writer.h"

enum { NESTING = 24,             /* nesting of one C expression */
       SHARED_SIZE = 6 };        /* nodes from which on a shared expression is worth a name */

/* In a text $0, $1, $2 stand for operands and $R for the real type (print_op). NULL: no such operator in a kernel. */
const char *const cuda_op_texts[IR_N_OPS] = {
#define CUDA_OP(id, text) [IR_##id] = text,
#include "cuda_ops.def"
};

const char *cuda_type(const cuda_writer *w, uint8_t sort) { return sort == IR_SORT_INT ? "i64" : sort == IR_SORT_BOOL ? "bool" : w->real; }

/* A truth value is a byte in memory; in a register it is a bool. */
const char *cuda_element(uint8_t dtype) {
    switch (dtype) {
    case IR_TYPE_F32: return "float";
    case IR_TYPE_F64: return "double";
    case IR_TYPE_I32: return "int";
    case IR_TYPE_I64: return "i64";
    default: return "u8";
    }
}

/* ---- literals */

/* The least integer has no literal in C: its digits alone do not fit. */
static const char *int_text(cuda_writer *w, int64_t x) {
    if (x == INT64_MIN) return "(-9223372036854775807LL - 1)";
    return base_printf(w->arena, x < 0 ? "(%lldLL)" : "%lldLL", (long long)x);
}

/* Infinity and NaN have no literal without a header; f32 gets the shortest digits that read back, and a suffix. */
static const char *real_text(cuda_writer *w, double x) {
    bool f32 = w->k->real != IR_TYPE_F64;
    if (isnan(x)) return f32 ? "(inf_f32() - inf_f32())" : "(inf_f64() - inf_f64())";
    if (isinf(x) || (f32 && isinf((float)x))) return base_printf(w->arena, "(%sinf_%s())", x < 0 ? "-" : "", f32 ? "f32" : "f64");
    return base_printf(w->arena, signbit(x) ? "(%s%s)" : "%s%s", base_real_text(w->arena, x), f32 ? "f" : "");
}

/* Of integers, max and min begin at the ends of i64: the table's identities are reals. */
const char *cuda_identity(cuda_writer *w, uint8_t red, uint8_t sort) {
    double x = ir_reds[red].identity;
    if (sort == IR_SORT_BOOL) return x != 0 ? "true" : "false";
    if (sort == IR_SORT_INT) return int_text(w, isinf(x) ? (x < 0 ? INT64_MIN : INT64_MAX) : (int64_t)x);
    return real_text(w, x);
}

/* ---- the nodes below an expression */

/* Ids are an order of evaluation. */
static int by_id(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* A list that grows behind the place it is read from, instead of a recursion: chains may be deeper than the stack. `seen` holds the number of the
   walk (epoch), so it need not be cleared. */
cuda_ids cuda_nodes(cuda_writer *w, ir_expr e) {
    cuda_ids found = {0};
    w->epoch++;
    BASE_PUSH(w->arena, &found, e);
    w->seen[e] = w->epoch;
    for (uint32_t next = 0; next < found.n; next++)
        for (uint32_t i = 0; i < ir_n_operands(w->u, found.at[next]); i++) {
            ir_expr o = ir_operand(w->u, found.at[next], i);
            if (w->seen[o] == w->epoch) continue;
            w->seen[o] = w->epoch;
            BASE_PUSH(w->arena, &found, o);
        }
    qsort(found.at, found.n, sizeof *found.at, by_id);
    return found;
}

/* ---- one expression being printed: texts of its nodes, in the order of cuda_nodes */

typedef struct {
    cuda_writer *w;
    cuda_ids nodes;
    const char **name;           /* of nodes that became constants; NULL: printed in place */
    uint32_t *uses, *height;
    double *size;                /* of the tree; may be astronomical */
} printing;

/* The nodes are sorted, so the place is found by halving. */
static uint32_t place_of(const printing *p, ir_expr e) {
    const uint32_t *at = bsearch(&e, p->nodes.at, p->nodes.n, sizeof e, by_id);
    return (uint32_t)(at - p->nodes.at);
}

static void print(printing *p, ir_expr e, base_text *out);

/* The text of one node, with the names that `begin` gave. */
static const char *operand_text(printing *p, ir_expr e) {
    base_text t;
    base_text_init(&t, p->w->arena);
    print(p, e, &t);
    return t.at;
}

/* Row-major position in the value, by Horner's rule. */
static void print_address(printing *p, ir_value value, uint32_t n, const ir_expr *at, base_text *out) {
    const ir_type *type = &p->w->u->value.at[value].type;
    if (n == 0) base_text_add(out, "0LL");
    for (uint32_t i = 1; i < n; i++) base_text_add(out, "(");
    for (uint32_t i = 0; i < n; i++) {
        if (i) base_text_add(out, " * %s + ", cuda_expr(p->w, type->dim[i]));
        print(p, at[i], out);
        if (i) base_text_add(out, ")");
    }
}

/* Of a scalar it is one. */
const char *cuda_elements(cuda_writer *w, const ir_type *type) {
    base_text t;
    base_text_init(&t, w->arena);
    for (uint32_t i = 0; i < type->rank; i++) base_text_add(&t, "%s%s", i ? " * " : "", cuda_expr(w, type->dim[i]));
    return type->rank ? t.at : "1LL";
}

/* All positions together: one that is not proved makes the whole address doubtful. */
static bool in_range(cuda_writer *w, const ir_type *type, uint32_t n, const ir_expr *at) {
    bool ok = true;
    for (uint32_t i = 0; i < n && ok; i++) ok = ir_in_range(w->u, at[i], type->dim[i]);
    return ok;
}

/* Proved positions are used as they are; others are kept inside the buffer, since a check has told or nobody wants the value. */
static void print_read(printing *p, ir_expr e, base_text *out) {
    cuda_writer *w = p->w;
    ir_value value = ir_at(w->u, e)->u.ref;
    uint32_t n = ir_n_operands(w->u, e);
    /* A read has as many positions as its value has axes, IR_RANK at most. */
    ir_expr at[IR_RANK];
    for (uint32_t i = 0; i < n; i++) at[i] = ir_operand(w->u, e, i);
    const ir_type *type = &w->u->value.at[value].type;
    bool proved = in_range(w, type, n, at);
    uint8_t sort = ir_at(w->u, e)->sort;
    /* Stored elements widen to what is computed with: reals of the kernel's type, i64, bool. */
    if (sort == IR_SORT_BOOL) base_text_add(out, "(load(%s, ", w->value_name[value]);
    else base_text_add(out, "(%s)load(%s, ", cuda_type(w, sort), w->value_name[value]);
    if (!proved) base_text_add(out, "clamp(");
    print_address(p, value, n, at, out);
    if (!proved) base_text_add(out, ", %s)", cuda_elements(w, &w->u->value.at[value].type));
    base_text_add(out, sort == IR_SORT_BOOL ? ") != 0)" : ")");
}

/* Overflow of signed integers has no meaning in C++, so what may overflow is written with functions that wrap. A check beside the kernel has asked
 * whether it does (passes/checks.c); the number itself is never used then. */
static const char *wrapping_text(cuda_writer *w, ir_expr e) {
    const ir_interval i = ir_interval_of(w->u, e);
    if (ir_at(w->u, e)->sort != IR_SORT_INT || (i.lo != INT64_MIN && i.hi != INT64_MAX)) return NULL;
    switch (ir_at(w->u, e)->op) {
    case IR_ADD: return "wrap_add($0, $1)";
    case IR_SUB: return "wrap_sub($0, $1)";
    case IR_MUL: return "wrap_mul($0, $1)";
    case IR_NEG: return "wrap_sub(0LL, $0)";
    default: return NULL;
    }
}

/* The exponential of a difference is 0 where both sides are -inf (ops.def), so it gets the sides, not the NaN between them. */
static bool print_exponential(printing *p, ir_expr e, base_text *out) {
    const ir_unit *u = p->w->u;
    if (!ir_is(u, e, IR_EXP) && !ir_is(u, e, IR_EXP2)) return false;
    ir_expr d = ir_operand(u, e, 0);
    if (!ir_is(u, d, IR_SUB)) return false;
    base_text_add(out, "%s(", ir_is(u, e, IR_EXP) ? "exp_apart" : "exp2_apart");
    print(p, ir_operand(u, d, 0), out);
    base_text_add(out, ", ");
    print(p, ir_operand(u, d, 1), out);
    base_text_add(out, ")");
    return true;
}

static void print_op(printing *p, ir_expr e, base_text *out) {
    if (print_exponential(p, e, out)) return;
    const char *wrapping = wrapping_text(p->w, e), *pattern = wrapping ? wrapping : cuda_op_texts[ir_at(p->w->u, e)->op];
    if (!pattern) {
        cuda_fail(p->w, "an operator has no text");
        return;
    }
    for (const char *c = pattern; *c; c++) {
        if (*c != '$') base_text_put(out, c, 1);
        else if (*++c == 'R') base_text_add(out, "%s", p->w->real);
        else print(p, ir_operand(p->w->u, e, (uint32_t)(*c - '0')), out);
    }
}

static void print_node(printing *p, ir_expr e, base_text *out) {
    cuda_writer *w = p->w;
    const ir_expr_info *x = ir_at(w->u, e);
    switch (x->op) {
    case IR_INT: base_text_add(out, "%s", int_text(w, x->u.i)); break;
    case IR_REAL: base_text_add(out, "%s", real_text(w, x->u.f)); break;
    case IR_BOOL: base_text_add(out, "%s", x->u.i ? "true" : "false"); break;
    case IR_DIM: base_text_add(out, "%s", w->dim_name[x->u.ref]); break;
    /* A variable without a name is neither axis nor counter: a defect, and no C, so it cannot pass unseen. */
    case IR_VAR: base_text_add(out, "%s", w->var_name[x->u.ref] ? w->var_name[x->u.ref] : "?"); break;
    /* An acc is an array of the lane's values, and is read only inside the loop over `slot`. */
    case IR_LET: base_text_add(out, w->k->lets[x->u.ref].kind == IR_LET_ACC ? "let%u[slot]" : "let%u", x->u.ref); break;
    case IR_READ: print_read(p, e, out); break;
    default: print_op(p, e, out); break;
    }
}

static void print(printing *p, ir_expr e, base_text *out) {
    const char *name = p->name[place_of(p, e)];
    if (name) base_text_add(out, "%s", name);
    else print_node(p, e, out);
}

/* Uses as an operand of other nodes; the expression itself is used by nobody here. */
static void count_uses(printing *p) {
    for (uint32_t i = 0; i < p->nodes.n; i++)
        for (uint32_t k = 0; k < ir_n_operands(p->w->u, p->nodes.at[i]); k++) p->uses[place_of(p, ir_operand(p->w->u, p->nodes.at[i], k))]++;
}

/* Size and height as they will be printed: a named operand counts as a leaf. */
static void measure(printing *p, uint32_t i) {
    p->size[i] = 1;
    for (uint32_t k = 0; k < ir_n_operands(p->w->u, p->nodes.at[i]); k++) {
        uint32_t o = place_of(p, ir_operand(p->w->u, p->nodes.at[i], k));
        p->size[i] += p->name[o] ? 1 : p->size[o];
        if (!p->name[o] && p->height[o] + 1 > p->height[i]) p->height[i] = p->height[o] + 1;
    }
}

/* A constant of the C text, printed before the line that is being made. */
/* From now on the node is printed as `t` and a number; numbers run through the kernel, so no name is used twice. */
static void name_node(printing *p, uint32_t i) {
    cuda_writer *w = p->w;
    base_text t;
    base_text_init(&t, w->arena);
    print_node(p, p->nodes.at[i], &t);
    const char *name = base_printf(w->arena, "t%u", w->n_temps++);
    cuda_line(w, "const %s %s = %s;", cuda_type(w, ir_at(w->u, p->nodes.at[i])->sort), name, t.at);
    p->name[i] = name;
}

/* In order of ids, so operands are measured, and named if they are to be, before what is made of them. The last node is the expression itself: its
   caller names it. Sizes are doubles since a tree may be exponential in its DAG. */
static printing begin(cuda_writer *w, cuda_ids nodes) {
    printing p = {w, nodes, BASE_ARRAY(w->arena, nodes.n, const char *), BASE_ARRAY(w->arena, nodes.n, uint32_t), BASE_ARRAY(w->arena, nodes.n, uint32_t), BASE_ARRAY(w->arena, nodes.n, double)};
    count_uses(&p);
    for (uint32_t i = 0; i < nodes.n; i++) {
        measure(&p, i);
        if (i + 1 < nodes.n && ((p.uses[i] > 1 && p.size[i] >= SHARED_SIZE) || p.height[i] >= NESTING)) name_node(&p, i);
    }
    return p;
}

const char *cuda_expr(cuda_writer *w, ir_expr e) {
    printing p = begin(w, cuda_nodes(w, e));
    return operand_text(&p, e);
}

/* print_address works within an expression at hand; here each position is one of its own, which may print constants first. */
const char *cuda_address(cuda_writer *w, ir_value value, uint32_t n, const ir_expr *at, bool clamped) {
    base_text t;
    base_text_init(&t, w->arena);
    const ir_type *type = &w->u->value.at[value].type;
    for (uint32_t i = 1; i < n; i++) base_text_add(&t, "(");
    for (uint32_t i = 0; i < n; i++) base_text_add(&t, "%s%s%s", i ? base_printf(w->arena, " * %s + ", cuda_expr(w, type->dim[i])) : "", cuda_expr(w, at[i]), i ? ")" : "");
    if (n == 0) return "0LL";
    return clamped ? base_printf(w->arena, "clamp(%s, %s)", t.at, cuda_elements(w, type)) : t.at;
}

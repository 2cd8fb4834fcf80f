/* Lines of a kernel as C statements, printed where they are wanted. */
#include <string.h>
#include "writer.h"

static const ir_let *let_at(const cuda_writer *w, uint32_t i) { return &w->k->lets[i]; }
/* All expressions of a line: what it reads and varies over is theirs together. */
static uint32_t parts(const ir_let *l, ir_expr *out) {
    uint32_t n = 0;
    /* At most four, the size of the callers' arrays. */
    const ir_expr all[] = {l->where, l->e, l->a, l->b};
    for (uint32_t i = 0; i < 4; i++)
        if (all[i]) out[n++] = all[i];
    return n;
}

/* What the other line reads is known already, so the relation closes as it grows. */
static void note_read(cuda_writer *w, uint32_t let, uint32_t other) {
    uint32_t n = w->k->n_lets;
    w->reads[let * n + other] = true;
    for (uint32_t i = 0; i < n; i++) w->reads[let * n + i] |= w->reads[other * n + i];
    w->varies[let] = ir_set_union(w->u, w->varies[let], w->varies[other]);
}

/* A line varies over what its parts mention, less what it binds, plus what the extents of that mention. A reference is read too. */
static void init_let(cuda_writer *w, uint32_t i) {
    const ir_let *l = let_at(w, i);
    ir_expr part[4];
    for (uint32_t p = 0, n = parts(l, part); p < n; p++) {
        w->varies[i] = ir_set_union(w->u, w->varies[i], ir_free(w->u, part[p]));
        cuda_ids nodes = cuda_nodes(w, part[p]);
        for (uint32_t k = 0; k < nodes.n; k++)
            if (ir_is(w->u, nodes.at[k], IR_LET)) note_read(w, i, ir_at(w->u, nodes.at[k])->u.ref);
    }
    /* The reference is in no expression of the line, but moves what the line holds. */
    if (l->ref >= 0) note_read(w, i, (uint32_t)l->ref);
    w->varies[i] = ir_set_minus(w->u, w->varies[i], ir_set_of(w->u, l->n_over, l->over));
    for (uint32_t k = 0; k < l->n_over; k++) w->varies[i] = ir_set_union(w->u, w->varies[i], ir_set_minus(w->u, ir_free(w->u, w->u->var.at[l->over[k]].extent), ir_set_of(w->u, l->n_over, l->over)));
}

/* Lines read lines above them only, so one pass in order closes both relations. */
void cuda_lets_init(cuda_writer *w) {
    uint32_t n = w->k->n_lets;
    w->varies = BASE_ARRAY(w->arena, n, ir_set);
    w->visible = BASE_ARRAY(w->arena, n, bool);
    w->reads = BASE_ARRAY(w->arena, (size_t)n * n, bool);
    for (uint32_t i = 0; i < n; i++) init_let(w, i);
}

/* Through other lines and references too. */
bool cuda_reads(const cuda_writer *w, uint32_t let, uint32_t other) { return w->reads[let * w->k->n_lets + other]; }

/* ---- visibility */

/* Copies: scopes nest, and each gives back exactly what it found. */
cuda_scope cuda_scope_begin(const cuda_writer *w) {
    return (cuda_scope){base_copy(w->arena, w->visible, w->k->n_lets * sizeof *w->visible), w->bound};
}

void cuda_scope_end(cuda_writer *w, cuda_scope before) {
    memcpy(w->visible, before.visible, w->k->n_lets * sizeof *w->visible);
    w->bound = before.bound;
}

/* Could its value be computed here? Counters are bound from the start. */
bool cuda_can(const cuda_writer *w, uint32_t let) { return ir_set_size(w->u, ir_set_minus(w->u, w->varies[let], w->bound)) == 0; }

/* What varies over vars has another value from here on, so it is printed again where it is wanted next. */
void cuda_bind(cuda_writer *w, ir_set vars) {
    w->bound = ir_set_union(w->u, w->bound, vars);
    for (uint32_t i = 0; i < w->k->n_lets; i++)         /* folds and accumulators have storage for all they vary over */
        if (let_at(w, i)->kind <= IR_LET_TERM && ir_set_meets(w->u, w->varies[i], vars)) w->visible[i] = false;
}

/* ---- printing */

/* The line as the kernel's text has it, for whoever reads the CUDA text beside it. */
static void comment(cuda_writer *w, uint32_t i) {
    const ir_let *l = let_at(w, i);
    /* By the kind of the line; an expression has no word of its own. */
    static const char *const kinds[] = {"", "term ", "fold ", "acc "};
    base_text t;
    base_text_init(&t, w->arena);
    base_text_add(&t, "$%u %s", i, kinds[l->kind]);
    if (l->kind == IR_LET_TERM || l->kind == IR_LET_FOLD) base_text_add(&t, "%s ", ir_reds[l->red].text);
    if (l->e) ir_expr_print(w->u, l->e, &t);
    if (l->a) ir_expr_print(w->u, l->a, &t);
    if (l->b) {
        base_text_add(&t, " . ");
        ir_expr_print(w->u, l->b, &t);
    }
    cuda_line(w, "// %s", t.at);
}

/* Operands first, so lines come in an order in which each finds what it reads. */
void cuda_want(cuda_writer *w, ir_expr e) {
    cuda_ids nodes = cuda_nodes(w, e);
    for (uint32_t k = 0; k < nodes.n; k++)
        if (ir_is(w->u, nodes.at[k], IR_LET)) cuda_want_let(w, ir_at(w->u, nodes.at[k])->u.ref);
}

/* Folds are never wanted: their sweep declares them. */
static void want_let_outside(cuda_writer *w, uint32_t i, ir_set vars) {
    if (let_at(w, i)->kind <= IR_LET_TERM && !ir_set_meets(w->u, w->varies[i], vars) && cuda_can(w, i)) cuda_want_let(w, i);
}

/* What does not move with a loop is printed before it, deepest line first, or it would be printed inside and computed each time. */
void cuda_want_outside(cuda_writer *w, ir_expr e, ir_set vars) {
    cuda_ids nodes = cuda_nodes(w, e);
    for (uint32_t k = 0; k < nodes.n; k++) {
        if (!ir_is(w->u, nodes.at[k], IR_LET)) continue;
        uint32_t let = ir_at(w->u, nodes.at[k])->u.ref;
        /* Lines that this one reads, also where it cannot move itself: parts of it may. */
        for (uint32_t i = 0; i < let; i++)
            if (cuda_reads(w, let, i)) want_let_outside(w, i, vars);
        want_let_outside(w, let, vars);
    }
}

/* What `where` hides is not evaluated here at all: this loop is one thread's own, and a branch parts nobody from a shuffle. */
static void term_body(cuda_writer *w, uint32_t i) {
    const ir_let *l = let_at(w, i);
    bool guarded = !ir_is_bool(w->u, l->where, true);
    cuda_want(w, l->where);
    if (guarded) cuda_open(w, "if (%s)", cuda_expr(w, l->where));
    /* A TERM is a reduction of `e`, or a sum of products a * b: the compiler makes it one fused operation. */
    if (l->e) {
        cuda_want(w, l->e);
        cuda_line(w, "let%u = red_%s(let%u, %s);", i, ir_reds[l->red].text, i, cuda_expr(w, l->e));
    } else {
        cuda_want(w, l->a);
        cuda_want(w, l->b);
        /* Apart: C leaves open in which order arguments are evaluated, and both may print constants first. */
        const char *a = cuda_expr(w, l->a);
        cuda_line(w, "let%u += %s * %s;", i, a, cuda_expr(w, l->b));
    }
    if (guarded) cuda_close(w);
}

/* A loop over features. Inside, its variables mean its own even where a loop around runs over the same. */
static void term_loops(cuda_writer *w, uint32_t i) {
    const ir_let *l = let_at(w, i);
    ir_set over = ir_set_of(w->u, l->n_over, l->over);
    cuda_axes axes = cuda_axes_of_vars(w, l->n_over, l->over);
    cuda_scope before = cuda_scope_begin(w);
    /* Before the loops: lines over these features are printed anew inside, also where an outer loop has the same ones. */
    cuda_bind(w, over);
    cuda_loops(w, axes.at, axes.n);
    term_body(w, i);
    for (uint32_t k = 0; k < axes.n; k++) cuda_close(w);
    cuda_scope_end(w, before);
}

/* Extents may read lines and tables; they are wanted where the loop begins. */
static void want_extents(cuda_writer *w, const ir_let *l) {
    for (uint32_t k = 0; k < l->n_over; k++) cuda_want(w, w->u->var.at[l->over[k]].extent);
}

/* declare: the variable is new here; else it stands outside and gets its value again (cuda_assign_let). */
static void want_term(cuda_writer *w, uint32_t i, bool declare) {
    const ir_let *l = let_at(w, i);
    want_extents(w, l);
    ir_expr part[4];
    /* Before the sum is declared: what stays the same for all features is computed once. */
    for (uint32_t k = 0, n = parts(l, part); k < n; k++) cuda_want_outside(w, part[k], ir_set_of(w->u, l->n_over, l->over));
    cuda_line(w, "%s%slet%u = %s;", declare ? cuda_type(w, l->sort) : "", declare ? " " : "", i, cuda_identity(w, l->red, l->sort));
    term_loops(w, i);
}

/* Printed once per scope: the next that wants it finds it visible. A fold that is not visible is a defect of the schedule of sweeps. */
void cuda_want_let(cuda_writer *w, uint32_t i) {
    const ir_let *l = let_at(w, i);
    if (w->visible[i] || w->failed) return;
    if (l->kind > IR_LET_TERM) {
        cuda_fail(w, "a fold is read before its sweep");
        return;
    }
    if (l->kind == IR_LET_EXPR) cuda_want(w, l->e);
    comment(w, i);
    if (l->kind == IR_LET_TERM) {
        want_term(w, i, true);
    } else {
        const char *text = cuda_expr(w, l->e);
        cuda_line(w, "const %s let%u = %s;", cuda_type(w, l->sort), i, text);
    }
    /* Until the brace around closes (cuda_scope_end), or what it varies over is bound again. */
    w->visible[i] = true;
}

/* The variable stands outside of the sweep; braces keep what is only needed for the new value from being seen behind it. */
void cuda_assign_let(cuda_writer *w, uint32_t i) {
    const ir_let *l = let_at(w, i);
    cuda_scope before = cuda_scope_begin(w);
    cuda_open(w, "%s", "");
    if (l->kind == IR_LET_EXPR) {
        cuda_want(w, l->e);
        const char *text = cuda_expr(w, l->e);
        cuda_line(w, "let%u = %s;", i, text);
    } else {
        want_term(w, i, false);
    }
    cuda_close(w);
    cuda_scope_end(w, before);
}

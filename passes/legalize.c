/* legalize: operators that the target lacks, replaced by what the table of operators says they mean.
 *
 * In: kernels. Out: kernels of the same lines without such operators. It ends: an expansion is made of other rows, which are expanded in
 * turn, and no row leads back to itself (a test asks). Example, for a target without silu: silu(x[i]) becomes x[i]/(1 + exp2(x[i]*-1.44..)). */
#include "passes.h"

enum { DEPTH = 8 };              /* of expansions within expansions */
typedef struct { const ir_target *target; uint32_t depth; } legalizer;

/* Called from the leaves up: operands are legal by now. What the expansion is made of is expanded in turn, one level deeper. Operators without
 * an expansion stay, and the emitter has to know them. */
static ir_expr expand(ir_unit *u, void *env, ir_expr e) {
    legalizer *l = env;
    const ir_op op = (ir_op)ir_at(u, e)->op;
    if (!l->target->lacks[op] || !*ir_ops[op].expand || l->depth == DEPTH) return 0;
    static const char *const names[] = {"a", "b", "c"};
    ir_expr operands[3];
    const uint32_t n = ir_n_operands(u, e);
    for (uint32_t k = 0; k < n; k++) operands[k] = ir_operand(u, e, k);
    legalizer inner = {l->target, l->depth + 1};
    /* the text is that of ops.def, over operands a, b, c */
    const ir_expr meaning = ir_expr_parse(u, ir_ops[op].expand, n, names, operands);
    return meaning ? ir_rebuild_up(u, meaning, expand, &inner) : 0;
}
/* The poison stands for parts that a line does not have. */
static ir_expr legal(ir_unit *u, const ir_target *target, ir_expr e) {
    legalizer l = {target, 0};
    return e ? ir_rebuild_up(u, e, expand, &l) : 0;
}

/* Reads in lines become other expressions where their positions change, and an access is found by its read: both change alike. */
static void legalize_access(ir_unit *u, const ir_target *target, uint32_t n_axes, ir_access *a) {
    a->read = legal(u, target, a->read);
    a->base = legal(u, target, a->base);
    ir_expr *step = base_copy(u->arena, a->step, n_axes * sizeof *step);
    for (uint32_t i = 0; i < n_axes; i++) step[i] = legal(u, target, step[i]);
    a->step = step;
}
static void legalize_store(ir_unit *u, const ir_target *target, ir_kernel_store *s) {
    s->e = legal(u, target, s->e);
    s->at.places = base_copy(u->arena, s->at.places, s->at.n_places * sizeof *s->at.places);
    for (uint32_t i = 0; i < s->at.n_places; i++) s->at.places[i] = legal(u, target, s->at.places[i]);
}

/* Lists are copied before entries change: the kernel that came in may be compared with, and stays as it is. */
ir_kernel *pass_legalize_kernel(const ir_kernel *k, const ir_target *target) {
    ir_unit *u = k->unit;
    ir_kernel *out = base_copy(u->arena, k, sizeof *k);
    out->lets = base_copy(u->arena, k->lets, k->n_lets * sizeof *k->lets);
    out->axes = base_copy(u->arena, k->axes, k->n_axes * sizeof *k->axes);
    out->accesses = base_copy(u->arena, k->accesses, k->n_accesses * sizeof *k->accesses);
    out->stores = base_copy(u->arena, k->stores, k->n_stores * sizeof *k->stores);
    for (uint32_t i = 0; i < k->n_lets; i++) {
        ir_let *l = &out->lets[i];
        l->e = legal(u, target, l->e);
        l->a = legal(u, target, l->a);
        l->b = legal(u, target, l->b);
        l->where = legal(u, target, l->where);
    }
    for (uint32_t i = 0; i < k->n_axes; i++) out->axes[i].extent = legal(u, target, out->axes[i].extent);
    for (uint32_t i = 0; i < k->n_accesses; i++) legalize_access(u, target, k->n_axes, &out->accesses[i]);
    for (uint32_t i = 0; i < k->n_stores; i++) legalize_store(u, target, &out->stores[i]);
    out->inside = legal(u, target, k->inside);
    return out;
}

/* In place of the kernels that came in: passes behind see legal ones alone. */
bool pass_legalize(pass_state *state) {
    for (uint32_t i = 0; i < state->n_kernels; i++) state->kernels[i] = pass_legalize_kernel(state->kernels[i], state->target);
    return true;
}

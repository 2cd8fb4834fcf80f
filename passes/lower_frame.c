/* What a kernel touches: the address of every READ as base + steps over its axes, the buffers, dimensions and counters of its frame. */
#include "lower.h"

typedef struct {
    const lower_state *s;        /* read only: the lines that positions mention */
    ir_kernel *k;
    /* what is listed already: expressions, values, dimensions, counters; each list below in the order of its first mention */
    pass_memo seen, value, dim, counter;
    BASE_VEC(ir_access) access;
    BASE_VEC(ir_value) values;
    BASE_VEC(ir_dim) dims;
    BASE_VEC(ir_var) counters;
} frame_env;

/* Lists all that e mentions, once. A value's extents may mention dimensions, so values lead back here. */
static void scan(frame_env *f, ir_expr e);

/* Axes, and not the free variables of expressions, tell loops of the kernel from counters around it. */
static bool is_axis(const ir_kernel *k, ir_var v) {
    for (uint32_t i = 0; i < k->n_axes; i++)
        if (k->axes[i].var == v) return true;
    return false;
}

/* Lines inside a position (a reduction stood there) move with the axes of their rank. */
typedef struct { const lower_state *s; uint8_t rank; } let_env;
/* Positions hold at most lines of whole reductions: what such a line varies over is in its rank. */
static bool let_visit(const ir_unit *u, void *env, ir_expr e) {
    let_env *l = env;
    if (ir_is(u, e, IR_LET)) l->rank |= (uint8_t)(l->s->lets.at[ir_at(u, e)->u.ref].rank | 128);
    return true;
}
/* Bit 128 is no role: it says that there is a line at all, also one of rank 0, which still varies over items. */
static uint32_t let_axes(const frame_env *f, ir_expr base) {
    let_env l = { f->s, 0 };
    uint32_t bits = 0;
    ir_walk(f->s->u, base, let_visit, &l);
    for (uint32_t i = 0; l.rank && i < f->k->n_axes; i++)
        if (f->k->axes[i].role == IR_ITEM || f->k->axes[i].role & l.rank) bits |= 1u << i;
    return bits;
}

/* Row-major, the last axis with stride 1. Each axis in which the address is affine leaves it with its coefficient as the step; the others stay in
 * the base, and their bits in `gather` say so. */
static void add_access(frame_env *f, ir_expr read) {
    ir_unit *u = f->s->u;
    ir_access a = { .read = read, .step = BASE_ARRAY(u->arena, f->k->n_axes, ir_expr) };
    ir_expr at = ir_int(u, 0), stride = ir_int(u, 1);
    ir_type type = u->value.at[ir_at(u, read)->u.ref].type;
    /* from the last axis: stride is the number of elements behind axis i */
    for (uint32_t i = type.rank; i--;) {
        at = ir_add(u, at, ir_mul(u, ir_operand(u, read, i), stride));
        stride = ir_mul(u, stride, type.dim[i]);
    }
    for (uint32_t i = 0; i < f->k->n_axes; i++) {
        ir_expr coef, rest;
        if (!ir_depends(u, at, f->k->axes[i].var)) continue;
        /* invariant: read address == at + sum of the steps so far; an axis is in the steps or in `gather`, never in both */
        if (ir_affine(u, at, f->k->axes[i].var, &coef, &rest)) a.step[i] = coef, at = rest;
        else a.gather |= 1u << i;
    }
    a.base = at;
    a.gather |= let_axes(f, at);
    BASE_PUSH(u->arena, &f->access, a);
}

/* One f64 among reads and results makes all reals of the kernel doubles. */
static void add_value(frame_env *f, ir_value v) {
    if (!pass_memo_add(&f->value, v)) return;
    BASE_PUSH(f->s->u->arena, &f->values, v);
    ir_type type = f->s->u->value.at[v].type;
    for (uint32_t i = 0; i < type.rank; i++) scan(f, type.dim[i]);
    if (type.dtype == IR_TYPE_F64) f->k->real = IR_TYPE_F64;
}

static void scan_read(frame_env *f, ir_expr e) {
    add_value(f, ir_at(f->s->u, e)->u.ref);
    add_access(f, e);
}

/* Before its operands a READ is listed itself: accesses of tables come behind those of what they index. A VAR that is no axis is the
 * counter of a loop around. Extents of what lines run over are those of axes, which scan_kernel walks. */
static void scan(frame_env *f, ir_expr e) {
    ir_unit *u = f->s->u;
    if (!e || !pass_memo_add(&f->seen, e)) return;
    ir_expr_info x = *ir_at(u, e);
    if (x.op == IR_READ) scan_read(f, e);
    if (x.op == IR_DIM && pass_memo_add(&f->dim, x.u.ref)) BASE_PUSH(u->arena, &f->dims, x.u.ref);
    if (x.op == IR_VAR && !is_axis(f->k, x.u.ref) && pass_memo_add(&f->counter, x.u.ref)) BASE_PUSH(u->arena, &f->counters, x.u.ref);
    for (uint32_t i = 0; i < x.operands.n; i++) scan(f, ir_operand(u, e, i));
}

/* Results come first: the order of values is that of the frame a launch hands over. The poison stands for parts that a line does not have. */
static void scan_kernel(frame_env *f) {
    ir_kernel *k = f->k;
    for (uint32_t i = 0; i < k->n_stores; i++) add_value(f, k->stores[i].at.result);
    for (uint32_t i = 0; i < k->n_axes; i++) scan(f, k->axes[i].extent);
    for (uint32_t i = 0; i < k->n_lets; i++) {
        const ir_let *l = &k->lets[i];
        ir_expr all[] = { l->where, l->e, l->a, l->b };
        for (uint32_t p = 0; p < 4; p++) scan(f, all[p]);
    }
    for (uint32_t i = 0; i < k->n_stores; i++) {
        for (uint32_t p = 0; p < k->stores[i].at.n_places; p++) scan(f, k->stores[i].at.places[p]);
        scan(f, k->stores[i].e);
    }
    scan(f, k->inside);
}

/* Last step of `lower`: fills what the kernel says of its surroundings, and changes none of its expressions. */
void lower_frame(const lower_state *s, ir_kernel *k) {
    base_arena *a = s->arena;
    frame_env f = { s, k, pass_memo_create(a), pass_memo_create(a), pass_memo_create(a), pass_memo_create(a), { 0 }, { 0 }, { 0 }, { 0 } };
    /* until add_value meets a double */
    k->real = IR_TYPE_F32;
    scan_kernel(&f);
    for (uint32_t i = 0; i < f.access.n; i++) {          /* what addresses mention: strides, tables' own reads are there already */
        scan(&f, f.access.at[i].base);
        for (uint32_t p = 0; p < k->n_axes; p++) scan(&f, f.access.at[i].step[p]);
    }
    /* the lists lie in the arena; the kernel takes them as they are */
    k->accesses = f.access.at;
    k->n_accesses = f.access.n;
    k->values = f.values.at;
    k->n_values = f.values.n;
    k->dims = f.dims.at;
    k->n_dims = f.dims.n;
    k->counters = f.counters.at;
    k->n_counters = f.counters.n;
}

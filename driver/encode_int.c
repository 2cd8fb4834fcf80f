/* Integer expressions to integer programs. Each expression has one slot; what depends on the counter of a loop is computed in the operations
 * that the loop runs at every turn, everything else once, when tensors are bound.
 */
#include "encode_int.h"

/* Operators that the two tables share. */
static const uint8_t int_ops[IR_N_OPS] = {
    [IR_ADD] = RT_INT_ADD, [IR_SUB] = RT_INT_SUB, [IR_MUL] = RT_INT_MUL, [IR_FDIV] = RT_INT_FDIV, [IR_MOD] = RT_INT_MOD,
    [IR_MIN] = RT_INT_MIN, [IR_MAX] = RT_INT_MAX, [IR_NEG] = RT_INT_NEG, [IR_ABS] = RT_INT_ABS,   [IR_LT] = RT_INT_LT,
    [IR_LE] = RT_INT_LE,   [IR_EQ] = RT_INT_EQ,   [IR_NE] = RT_INT_NE,   [IR_AND] = RT_INT_AND,   [IR_OR] = RT_INT_OR,
    [IR_NOT] = RT_INT_NOT, [IR_SELECT] = RT_INT_SELECT,
};

/* The innermost loop whose counter the expression depends on; the binding program if there is none, also when it is asked for inside of loops. */
static enc_ops *ops_for(encoder *e, ir_expr x) {
    for (enc_loop *l = e->loop; l; l = l->outer)
        if (ir_depends(e->unit, x, l->counter)) return &l->ops;
    return &e->bind;
}

/* Slots are numbered across all programs: one array of a call holds them all. */
static uint32_t append(encoder *e, enc_ops *ops, rt_int_op op) {
    op.dst = e->n_slots++;
    BASE_PUSH(e->arena, ops, op);
    return op.dst;
}

uint32_t enc_op(encoder *e, rt_int_op op) { return append(e, &e->bind, op); }

/* dst is left as the caller has set it: operations that bind a dimension name its slot there, tests write nothing. */
void enc_test(encoder *e, rt_int_op op) { BASE_PUSH(e->arena, &e->bind, op); }

/* 0 in slot_of means none, so slots are kept one higher. */
void enc_define(encoder *e, ir_expr x, uint32_t slot) {
    while (e->slot_of.n <= x) BASE_PUSH(e->arena, &e->slot_of, 0u);
    e->slot_of.at[x] = slot + 1;
}

/* The input of rank 0 that a READ means; its number + 1, or 0. */
static uint32_t scalar_input(const encoder *e, ir_expr x) {
    for (uint32_t k = 0; k < e->n_inputs; k++)
        if (e->values[k] == ir_at(e->unit, x)->u.ref && e->tensors.at[k].rank == 0 && ir_at(e->unit, x)->sort != IR_SORT_REAL) return k + 1;
    return 0;
}

/* Integer programs know integers and dimensions; a real, or an element of a tensor that is no scalar, they cannot compute. */
typedef struct { const encoder *e; bool can; } asking;

static bool ask(const ir_unit *u, void *env, ir_expr x) {
    asking *a = env;
    const ir_expr_info *info = ir_at(u, x);
    bool leaf = info->op == IR_INT || info->op == IR_BOOL || info->op == IR_DIM || info->op == IR_VAR;
    /* 0 in int_ops: no such operator in integer programs. */
    if (info->op == IR_READ) a->can &= scalar_input(a->e, x) != 0;
    else if (!leaf) a->can &= info->sort != IR_SORT_REAL && int_ops[info->op] != 0;
    return a->can;
}

bool enc_can(const encoder *e, ir_expr x) {
    asking a = {e, x != 0};
    if (x) ir_walk(e->unit, x, ask, &a);
    return a.can;
}

/* Passes promise that sizes and bounds are computable. If they are not, that is our mistake and no answer would be right. */
static uint32_t impossible(encoder *e, ir_expr x) {
    base_report(e->diags, BASE_MSG_INTERNAL_IR, (base_span){0, 0, 0}, base_printf(e->arena, "no integer program computes %s", enc_text(e, x)));
    e->failed = true;
    return 0;
}

/* Operands first: their operations then stand before the one that reads them, in the same program or in one that runs earlier. */
static uint32_t encode_op(encoder *e, ir_expr x) {
    uint32_t operand[3] = {0}, n = ir_n_operands(e->unit, x);
    uint8_t op = int_ops[ir_at(e->unit, x)->op];
    if (!op || n > 3) return impossible(e, x);
    for (uint32_t k = 0; k < n; k++) operand[k] = enc_slot(e, ir_operand(e->unit, x, k));
    return append(e, ops_for(e, x), (rt_int_op){.op = op, .a = operand[0], .b = operand[1], .c = operand[2]});
}

static uint32_t encode(encoder *e, ir_expr x) {
    const ir_expr_info *info = ir_at(e->unit, x);
    switch (info->op) {
    /* Leaves never depend on a counter, so they go into the binding program and are computed once for a call. */
    case IR_INT: case IR_BOOL: return enc_op(e, (rt_int_op){.op = RT_INT_LITERAL, .literal = info->u.i});
    case IR_READ: {
        uint32_t k = scalar_input(e, x);
        return k ? enc_op(e, (rt_int_op){.op = RT_INT_SCALAR, .a = k - 1}) : impossible(e, x);
    }
    case IR_DIM: case IR_VAR: return impossible(e, x);       /* each has its slot before it is used, or is bound by nothing */
    default: return encode_op(e, x);
    }
}

/* Expressions are shared, so their slots are: each is computed once however often it is mentioned. */
uint32_t enc_slot(encoder *e, ir_expr x) {
    if (x < e->slot_of.n && e->slot_of.at[x]) return e->slot_of.at[x] - 1;
    uint32_t slot = encode(e, x);
    enc_define(e, x, slot);
    return slot;
}

/* A line and a column instead of a span: the entry outlives the diagnostics that know what a span means. File 0 is "nowhere". */
rt_place enc_place(const encoder *e, base_span span) {
    rt_place place = {0};
    if (span.file == 0 || span.file >= e->diags->files.n) return place;
    const base_file *file = &e->diags->files.at[span.file];
    place.file = file->name;
    base_position(file, span.start, &place.line, &place.column);
    return place;
}

const char *enc_text(const encoder *e, ir_expr x) {
    base_text out;
    base_text_init(&out, e->arena);
    ir_expr_print(e->unit, x, &out);
    return out.at;
}

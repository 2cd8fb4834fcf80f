/* Unrolled tiles: a few rows and a few vectors whose accumulators stay in registers. */
#include "emit.h"

/* From here to cpu_unbind, `axis` stands for as many neighbours as a vector has lanes. tail NULL: all of them exist. */
void cpu_bind_lane(cpu_emitter *e, int32_t axis, cpu_val from, cpu_val tail) {
    cpu_bind(e, axis, from);
    e->lane = axis;
    e->lanes = e->s->width;
    e->tail = tail;
}
/* Lane numbers in 32 bits: they fit, and the comparison is half as wide. */
cpu_val cpu_tail(cpu_emitter *e, cpu_val from, cpu_val hi) {
    const int32_t w = e->s->width;
    cpu_val left[] = {LLVMBuildSub(e->b, hi, from, ""), cpu_int(e, w)};
    left[0] = LLVMBuildTrunc(e->b, cpu_apply(e, IR_MIN, left, 2), e->i32, "");
    return LLVMBuildICmp(e->b, LLVMIntSLT, cpu_iota(e, e->i32, w), cpu_splat(e, left[0], w), "tail");
}

/* A kernel without rows is one row. */
void cpu_bind_row(cpu_emitter *e, cpu_val row, int32_t offset) {
    if (e->s->row_axis < 0) cpu_scope_push(e, 0);
    else cpu_bind(e, e->s->row_axis, offset ? LLVMBuildAdd(e->b, row, cpu_int(e, offset), "") : row);
}
/* Mirrors cpu_bind_row: without a row axis it opened a scope alone. */
void cpu_unbind_row(cpu_emitter *e) {
    if (e->s->row_axis < 0) cpu_scope_pop(e);
    else cpu_unbind(e, e->s->row_axis);
}
/* Through lines too, as cpu_varies; false for a kernel without rows. */
bool cpu_varies_with_row(cpu_emitter *e, ir_expr x) { return e->s->row_axis >= 0 && cpu_varies(e, x, e->s->row_axis); }

cpu_val cpu_whole_end(cpu_emitter *e, cpu_val lo, cpu_val hi, int32_t step) {
    /* Not below 0: the remainder is that of unsigned numbers. */
    cpu_val n[] = {LLVMBuildSub(e->b, hi, lo, ""), cpu_int(e, 0)}, count = cpu_apply(e, IR_MAX, n, 2);
    cpu_val rest = LLVMBuildURem(e->b, count, cpu_int(e, step), "");
    return LLVMBuildAdd(e->b, lo, LLVMBuildSub(e->b, count, rest, ""), "whole");
}

static void row_loop(cpu_emitter *e, cpu_val lo, cpu_val hi, int32_t rows, cpu_tile *body, void *env) {
    cpu_loop l = cpu_loop_begin(e, lo, hi, rows, rows > 1 ? "rows" : "row");
    cpu_scope_push(e, 0);
    body(e, env, l.index, rows);
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}
/* Rows by tiles, then what a tile does not divide: by twos, if a tile has four and more, and one by one. Each body is emitted anew, with its own number of rows:
 * register tiles are unrolled, so their size is a constant of the code. */
void cpu_row_tiles(cpu_emitter *e, int32_t rows, cpu_tile *body, void *env) {
    if (e->s->row_axis < 0) {
        body(e, env, cpu_int(e, 0), 1);
        return;
    }
    cpu_val hi = e->hi[e->s->row_axis], from = e->lo[e->s->row_axis];
    for (int32_t n = rows; n > 1; n = n > 2 && rows >= 4 ? 2 : 1) {
        cpu_val to = cpu_whole_end(e, from, hi, n);
        row_loop(e, from, to, n, body, env);
        from = to;
    }
    row_loop(e, from, hi, 1, body, env);
}

/* A scope around the body: what it computed does not dominate the next span. */
static void span_loop(cpu_emitter *e, cpu_val lo, cpu_val hi, int32_t step, int32_t n, cpu_span *body, void *env) {
    cpu_loop l = cpu_loop_begin(e, lo, hi, step * n, "span");
    cpu_scope_push(e, 0);
    body(e, env, l.index, n, NULL);
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
}
/* Three times the same body: n steps at once, one step, and one masked step. */
void cpu_spans(cpu_emitter *e, cpu_val lo, cpu_val hi, int32_t step, int32_t n, cpu_span *body, void *env) {
    cpu_val from = lo;
    if (n > 1) {
        from = cpu_whole_end(e, lo, hi, step * n);
        span_loop(e, lo, from, step, n, body, env);
    }
    /* The two last kinds become one loop of masked steps: less code, and no slower where masks are free. */
    if (step > 1 && cpu_masks_are_free(e)) {
        cpu_loop l = cpu_loop_begin(e, from, hi, step, "span");
        cpu_scope_push(e, 0);
        body(e, env, l.index, 1, cpu_tail(e, l.index, hi));
        cpu_scope_pop(e);
        cpu_loop_end(e, &l);
        return;
    }
    cpu_val end = cpu_whole_end(e, from, hi, step);
    span_loop(e, from, end, step, 1, body, env);
    /* Steps of one leave nothing behind. */
    if (step == 1) return;
    cpu_if rest = cpu_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSLT, end, hi, ""), "tail");
    cpu_scope_push(e, 0);
    body(e, env, end, 1, cpu_tail(e, end, hi));
    cpu_scope_pop(e);
    cpu_if_end(e, &rest);
}

/* Carries a body without rows through cpu_row_tiles, whose bodies take them. */
typedef struct { cpu_body *body; void *env; } each;
static void each_row(cpu_emitter *e, void *env, cpu_val row, int32_t rows) {
    const each *r = env;
    (void)rows;
    cpu_bind_row(e, row, 0);
    r->body(e, r->env);
    cpu_unbind_row(e);
}
/* Not unrolled: the body is emitted once, in a loop over the rows of the tile. */
void cpu_each_row(cpu_emitter *e, cpu_body *body, void *env) {
    each r = {body, env};
    cpu_row_tiles(e, 1, each_row, &r);
}

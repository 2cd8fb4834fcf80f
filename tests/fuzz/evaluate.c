/* Running what was read: whether that can be done at all, and machine code in guarded memory. */
#include <stdlib.h>
#include "fuzz_ir.h"
#include "guarded.h"
#include "native.h"
#include "rt.h"
#ifdef ATTN_FUZZ_CPU
#include "cpu.h"
#endif

enum { MOST_INDICES = 40, MOST_VARS = 60 };

/* Indices that run far, or very many of them, would take long: legitimate, and of no interest here. */
bool fuzz_is_small(const ir_unit *u, const ir_frame *frame) {
    base_diags *quiet = base_diags_create(u->arena);
    if (u->var.n > MOST_VARS) return false;
    for (ir_var v = 1; v < u->var.n; v++) {
        ir_expr e = u->var.at[v].extent;
        int64_t n;
        if (ir_free(u, e) || ir_has_op(u, e, IR_READ) || ir_has_op(u, e, IR_RED) || ir_has_op(u, e, IR_LET)) continue;
        if (!ir_eval_expr(u, frame, e, &n, quiet) || n > MOST_INDICES) return false;
    }
    for (ir_expr e = 1; e < u->expr.n; e++)
        if (u->expr.at[e].op == IR_INT && (u->expr.at[e].u.i > 1000 || u->expr.at[e].u.i < -1000)) return false;
    return true;
}

#ifdef ATTN_FUZZ_CPU
bool fuzz_run_native(fuzz_round *f, const ir_kernel *k, ir_frame *frame, const int64_t *counters, base_diags *diags) {
    static base_arena *own;                      /* without a limit, so that nothing jumps out of machine code; freed when the next one starts */
    base_arena_destroy(own);
    own = base_arena_create(NULL, NULL);
    rt_host host;
    rt_host_init(&host, &native_serial, NULL);
    guarded_device(&host.device);
    const native how = {cpu_backend(), cpu_target(NULL, own), &host.device};
    bool ran = native_run(&how, k, frame, counters, own, diags);
    for (uint32_t i = 0; ran && i < k->n_stores; i++) {
        ir_tensor *t = &frame->value[k->stores[i].at.result];
        t->i = base_copy(f->arena, t->i, sizeof *t->i * (size_t)t->n);
    }
    return ran;
}
#else
bool fuzz_run_native(fuzz_round *f, const ir_kernel *k, ir_frame *frame, const int64_t *counters, base_diags *diags) {
    return ir_kernel_run(k, frame, counters, IR_INTERP_PLAIN, f->arena, diags);
}
#endif

/* What the targets on IR text share. */
#ifndef ATTN_FUZZ_IR_H
#define ATTN_FUZZ_IR_H
#include "fuzz.h"
#include "ir.h"

/* graph.c: text of a graph read, printed, evaluated, compiled; NULL, or what is wrong */
const char *fuzz_run_graph(fuzz_round *f, const char *text, size_t n);
/* evaluate.c */
bool fuzz_is_small(const ir_unit *u, const ir_frame *frame);             /* with these dimensions it can be evaluated in moderate time */
/* The kernel scheduled, compiled by the CPU backend and run in guarded memory. false: reported; true where there is no CPU backend. */
bool fuzz_run_native(fuzz_round *f, const ir_kernel *k, ir_frame *frame, const int64_t *counters, base_diags *diags);
#endif

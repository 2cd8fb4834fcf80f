/* What commands on graphs share. */
#ifndef ATTN_GOLDEN_IR_H
#define ATTN_GOLDEN_IR_H
#include "golden.h"
#include "ir.h"

ir_graph *golden_graph(golden_run *run);                                 /* the input as IR text, its round trip proved; NULL: reported */
void golden_round_trip(golden_run *run, const ir_graph *g);              /* fails the run if the printed graph does not read back to the same text */
#endif

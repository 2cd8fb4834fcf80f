/* Helpers of the graph passes: new nodes with rewritten expressions, blocks copied node by node. */
#ifndef ATTN_PASS_REWRITE_H
#define ATTN_PASS_REWRITE_H
#include "memo.h"
#include "passes.h"

typedef ir_expr pass_expr_rewrite(ir_unit *u, void *env, ir_expr e);
/* The node with every body rewritten; itself if nothing changed. Places, loops and sources stay. */
ir_node *pass_rewrite_map(ir_unit *u, ir_node *map, pass_expr_rewrite *rewrite, void *env);
/* Every value that the node reads: of maps, loops (bodies included), checks, uses. */
typedef void pass_value_visit(void *env, ir_value v);
void pass_node_reads(const ir_unit *u, const ir_node *node, pass_value_visit *visit, void *env);
/* Every value that the node defines for the block it stands in. */
void pass_node_defines(const ir_node *node, pass_value_visit *visit, void *env);
/* May it be evaluated where nobody asked for it? All reads in range, no divisor zero, proved without looking at guards. */
bool pass_is_total(ir_unit *u, ir_expr e);
#endif

/* Tensors of the evaluator in the memory of a host, and back: host.c. */
#ifndef ATTN_DIFF_HOST_H
#define ATTN_DIFF_HOST_H
#include "diff.h"
#include "rt.h"

void diff_put_element(const ir_tensor *t, int64_t from, char *at);
void diff_host_shape(const ir_node *source, const ir_tensor *t, rt_array *out);  /* as the host sees it: packed axes are one with the axis before */
void diff_dense(base_arena *arena, const ir_tensor *t, rt_array *a);             /* elements in memory of the arena; a has its shape */
bool diff_give_back(const ir_graph *g, ir_frame *frame, const rt_array *outputs, base_arena *arena, base_diags *diags);  /* outputs of a run into the frame */
#endif

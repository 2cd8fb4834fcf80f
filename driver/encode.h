/* From graphs, plans and compiled kernels to the graphs and entries of a module. */
#ifndef ATTN_ENCODE_H
#define ATTN_ENCODE_H
#include "ir.h"
#include "module.h"

/* What a host sees of a graph: tensors, dimensions, binding, facts; no entries. params: its params in the order of its tensors, whose `index`
 * counts them. Enough to check a call and to find the shapes of outputs. Everything lies in the arena. false: reported. */
bool drv_encode_signature(const ir_graph *graph, base_arena *arena, base_diags *diags, rt_graph *out, rt_param_info **params, uint32_t *n_params);

/* One entry of a graph whose signature that is. The plan may be of a lowering with symbols fixed: then it applies where they have these values.
 * Kernels are referred to; their n_ints, n_buffers and n_results must be set. false: reported. */
bool drv_encode_entry(const ir_plan *plan, const rt_graph *signature, const rt_kernel *kernels, base_arena *arena, base_diags *diags, rt_entry *out);
#endif

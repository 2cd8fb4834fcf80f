/* From a plan and its compiled kernels to an entry of a module. */
#ifndef ATTN_ENCODE_H
#define ATTN_ENCODE_H
#include "ir.h"
#include "module.h"

/* Everything in *out lives in the arena; kernels are referred to. n_ints and n_buffers of the kernels must be set. false: reported. */
bool drv_encode(const ir_plan *plan, const rt_kernel *kernels, base_arena *arena, base_diags *diags, rt_entry *out);

/* The part that needs no kernels: tensors, dimensions, binding, facts. Enough to check a call and to find the shapes of outputs. */
bool drv_encode_signature(const ir_graph *graph, base_arena *arena, base_diags *diags, rt_entry *out);
#endif

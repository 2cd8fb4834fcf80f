/* The struct that a host fills for one call of a graph of a shared object: which members it has, and in what order. The generated header writes
 * its declaration by this list and shared.c reads the struct by it, so that the two cannot differ. Every member takes 8 bytes.
 */
#include <string.h>
#include "rt.h"

/* Extents reach the struct as dimensions, and so do inputs `K: dim`. A dimension that stands in params alone is known from the weights. */
static bool host_gives(const rt_graph *g, uint32_t dim) {
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        const rt_tensor_info *info = &g->tensors[k];
        if (info->kind != RT_TENSOR_INPUT) continue;
        if (info->is_dim && !strcmp(info->name, g->dim_names[dim])) return true;
        for (uint32_t axis = 0; axis < info->rank; axis++)
            if (rt_mentions(info->dim_texts[axis], g->dim_names[dim])) return true;
    }
    return false;
}

/* Inputs may lie in any strides; outputs are dense. A rank 0 tensor has no axis to step along. */
static void add_tensors(rt_fields *f, const rt_graph *g, uint32_t kind) {
    for (uint32_t k = 0; k < g->n_tensors; k++) {
        const rt_tensor_info *info = &g->tensors[k];
        if (info->kind != kind || info->is_dim) continue;
        f->at[f->n++] = (rt_field){RT_FIELD_DATA, k};
        if (kind == RT_TENSOR_INPUT && info->rank) f->at[f->n++] = (rt_field){RT_FIELD_STRIDES, k};
    }
}

rt_fields rt_args_fields(const rt_graph *g, base_arena *arena) {
    rt_fields f = {BASE_ARRAY(arena, 2 + (size_t)g->n_dims + 2 * (size_t)g->n_tensors, rt_field), 0};
    f.at[f.n++] = (rt_field){RT_FIELD_SIZE, 0};
    f.at[f.n++] = (rt_field){RT_FIELD_CALL, 0};
    for (uint32_t k = 0; k < g->n_dims; k++)
        if (host_gives(g, k)) f.at[f.n++] = (rt_field){RT_FIELD_DIM, k};
    add_tensors(&f, g, RT_TENSOR_INPUT);
    add_tensors(&f, g, RT_TENSOR_OUTPUT);
    return f;
}

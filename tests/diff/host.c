/* Between the evaluator's tensors, which hold doubles and 64-bit integers, and the memory of a host. */
#include "host.h"

void diff_put_element(const ir_tensor *t, int64_t from, char *at) {
    switch (t->dtype) {
    case IR_TYPE_F32: *(float *)(void *)at = (float)t->f[from]; break;
    case IR_TYPE_F64: *(double *)(void *)at = t->f[from]; break;
    case IR_TYPE_I32: *(int32_t *)(void *)at = (int32_t)t->i[from]; break;
    case IR_TYPE_I64: *(int64_t *)(void *)at = t->i[from]; break;
    default: *at = (char)t->i[from];
    }
}

void diff_host_shape(const ir_node *source, const ir_tensor *t, rt_array *out) {
    *out = (rt_array){.dtype = t->dtype};
    for (uint32_t k = 0; k < t->rank; k++) {
        bool joined = source->source.packed && source->source.packed[k];
        if (joined) out->dim[out->rank - 1] *= t->dim[k];
        else out->dim[out->rank++] = t->dim[k];
    }
}

void diff_dense(base_arena *arena, const ir_tensor *t, rt_array *a) {
    char *memory = base_alloc(arena, (size_t)(t->n + 1) * rt_dtypes[a->dtype].bytes);
    for (int64_t i = 0; i < t->n; i++) diff_put_element(t, i, memory + (size_t)i * rt_dtypes[a->dtype].bytes);
    rt_array shape = *a;         /* not to be written while it is read */
    rt_array_dense(a, shape.dtype, shape.rank, shape.dim, memory);
}

bool diff_give_back(const ir_graph *g, ir_frame *frame, const rt_array *outputs, base_arena *arena, base_diags *diags) {
    for (uint32_t k = 0; k < g->n_outputs; k++) {
        const ir_value v = g->outputs[k].value;
        int64_t dim[IR_RANK];
        if (!ir_type_shape(g->unit, frame, &g->unit->value.at[v].type, dim, diags)) return false;
        const rt_array *a = &outputs[k];
        ir_tensor *t = &frame->value[v];
        *t = ir_tensor_new(arena, (uint8_t)a->dtype, g->unit->value.at[v].type.rank, dim);
        for (int64_t i = 0; i < t->n; i++) switch (a->dtype) {
            case RT_F32: t->f[i] = (double)((const float *)a->data)[i]; break;
            case RT_F64: t->f[i] = ((const double *)a->data)[i]; break;
            case RT_I32: t->i[i] = ((const int32_t *)a->data)[i]; break;
            case RT_I64: t->i[i] = ((const int64_t *)a->data)[i]; break;
            default: t->i[i] = ((const uint8_t *)a->data)[i];
            }
    }
    return true;
}

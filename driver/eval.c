/* The evaluator as a target: arrays to the evaluator's tensors and back. It takes its time and its units remember what they have proved, so
 * calls of one module wait for each other.
 */
#include <string.h>
#include "api.h"

/* The array is dense. f32 to double is exact, so the evaluator computes with the very numbers that kernels get. */
static double real_at(const rt_array *a, int64_t k) { return a->dtype == RT_F64 ? ((const double *)a->data)[k] : (double)((const float *)a->data)[k]; }

/* bool is one byte, 0 or 1; every integer type fits into int64. */
static int64_t int_at(const rt_array *a, int64_t k) {
    if (a->dtype == RT_I64) return ((const int64_t *)a->data)[k];
    return a->dtype == RT_I32 ? ((const int32_t *)a->data)[k] : ((const uint8_t *)a->data)[k];
}

/* The program's own axes: packed ones are apart. */
bool drv_take(api_call *call, const ir_unit *u, ir_frame *frame, ir_value v, const rt_array *from) {
    const ir_type *t = &u->value.at[v].type;
    int64_t dim[IR_RANK];
    /* The host's axes may be joined ones; the elements are the same in the same order, so only the shape is the program's. */
    if (!ir_type_shape(u, frame, t, dim, call->diags)) return false;
    ir_tensor to = ir_tensor_new(call->scratch, t->dtype, t->rank, dim);
    rt_array dense = *from;
    if (!rt_array_is_dense(&dense)) {
        dense.data = base_alloc_array(call->scratch, (size_t)to.n, rt_dtypes[from->dtype].bytes);
        rt_array_pack(from, dense.data);
    }
    for (int64_t k = 0; k < to.n; k++)
        if (rt_dtypes[t->dtype].sort == 'f') to.f[k] = real_at(&dense, k);
        else to.i[k] = int_at(&dense, k);
    frame->value[v] = to;
    return true;
}

/* float64 and int64 to the output's own type; integers that do not fit stop at the type's limits, as in ir_saturate_to. */
static void put(const ir_tensor *from, const rt_array *to) {
    for (int64_t k = 0; k < from->n; k++)
        switch (to->dtype) {
        case RT_F32: ((float *)to->data)[k] = (float)from->f[k]; break;
        case RT_F64: ((double *)to->data)[k] = from->f[k]; break;
        case RT_I32: ((int32_t *)to->data)[k] = (int32_t)ir_saturate_to(IR_TYPE_I32, from->i[k]); break;
        case RT_I64: ((int64_t *)to->data)[k] = from->i[k]; break;
        default: ((uint8_t *)to->data)[k] = from->i[k] != 0;
        }
}

/* Sources in the order of the entry: inputs, then params. */
static bool take_sources(api_call *call, const ir_graph *g, const rt_call *c, ir_frame *frame) {
    uint32_t at = 0;
    for (ir_form form = IR_FORM_INPUT;; form = IR_FORM_PARAM) {
        for (uint32_t k = 0; k < g->body.n; k++)
            if (g->body.at[k]->form == form && !drv_take(call, g->unit, frame, g->body.at[k]->source.value, &c->tensors[at++])) return false;
        if (form == IR_FORM_PARAM) return true;
    }
}

/* Outputs are the last tensors of an entry, in the graph's order. Those that nobody wants have no data. */
static void put_outputs(const ir_graph *g, const rt_call *c, const ir_frame *frame) {
    uint32_t first = c->instance->graph->n_tensors - g->n_outputs;
    for (uint32_t k = 0; k < g->n_outputs; k++)
        if (c->tensors[first + k].data) put(&frame->value[g->outputs[k].value], &c->tensors[first + k]);
}

attn_status drv_eval(api_call *call, attn_module *module, const ir_graph *g, rt_call *run) {
    api_lock(call, &module->lock);
    /* The evaluator is one piece of work: it is looked at once, after waiting for others. */
    if (rt_cancelled(&run->terms)) return ATTN_ERROR_CANCELLED;
    if (rt_late(&run->terms)) return ATTN_ERROR_DEADLINE;
    /* Evaluating may grow the unit, which lies in the module's arena: while the lock is held that arena jumps to this call's recovery point,
     * and messages go to this call's list. */
    api_borrow(call, module->arena);
    g->unit->diags = call->diags;
    ir_frame frame = ir_frame_create(g->unit, call->scratch);
    /* Slots of dimensions count from 0, ir_dim from 1. */
    for (uint32_t dim = 1; dim < g->unit->dim.n; dim++) frame.dim[dim] = run->slots[dim - 1];
    bool fine = take_sources(call, g, run, &frame) && ir_graph_eval(g, &frame, call->scratch, call->diags);
    if (fine) put_outputs(g, run, &frame);
    return fine ? ATTN_OK : api_status(call);
}

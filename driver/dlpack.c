/* DLPack: tensors of other libraries, and ours for them. Both sides see the same elements. A tensor made from a managed one owns it and ends
 * with it; a managed one made from a tensor holds a reference to it, and its own small block of memory: shape, strides, and the way back.
 */
#include <dlpack/dlpack.h>
#include <string.h>
#include "api.h"

/* kDLBool of later versions of the header; bytes of 0 and 1. */
enum { DLPACK_BOOL = 6 };

static const DLDataType types[RT_N_DTYPES] = {
    [RT_F32] = {kDLFloat, 32, 1}, [RT_F64] = {kDLFloat, 64, 1}, [RT_I32] = {kDLInt, 32, 1}, [RT_I64] = {kDLInt, 64, 1}, [RT_BOOL] = {DLPACK_BOOL, 8, 1},
};

/* ---- from others */

typedef struct { DLManagedTensor *managed; attn_tensor *out; } taking;

/* Always a status that is no success. */
static attn_status unfit(api_call *call, const char *why) {
    base_report(call->diags, BASE_MSG_DLPACK_TENSOR, (base_span){0, 0, 0}, why);
    return api_status(call);
}

static bool find_dtype(DLDataType type, uint32_t *out) {
    for (*out = 0; *out < RT_N_DTYPES; ++*out)
        if (types[*out].code == type.code && types[*out].bits == type.bits && types[*out].lanes == type.lanes) return true;
    return false;
}

/* Host memory that a device can reach too is host memory. */
static bool reachable(DLDeviceType device) { return device == kDLCPU || device == kDLCUDAHost || device == kDLROCMHost; }

/* What can be said without a look at the shape. */
static attn_status check_kind(api_call *call, const DLTensor *t, uint32_t *dtype) {
    base_arena *arena = call->diags->arena;
    if (!reachable(t->device.device_type)) return unfit(call, base_printf(arena, "it lies on a device of type %d", (int)t->device.device_type));
    if (!find_dtype(t->dtype, dtype))
        return unfit(call, base_printf(arena, "no element type has code %u, %u bits, %u lanes", t->dtype.code, t->dtype.bits, t->dtype.lanes));
    if (t->ndim < 0 || t->ndim > ATTN_MAX_RANK) return unfit(call, base_printf(arena, "it has %d axes, and a tensor has at most %d", t->ndim, ATTN_MAX_RANK));
    if (t->ndim > 0 && !t->shape) return unfit(call, "it has axes and no shape");
    return ATTN_OK;
}

/* Counts, bytes and the reach of strides fit from here on; as for attn_tensor_wrap, that the addresses are memory only its maker can know. */
static attn_status describe(api_call *call, const DLTensor *t, rt_array *out) {
    uint32_t dtype = 0, rank = (uint32_t)t->ndim;
    int64_t n, bytes, first, last;
    attn_status status = check_kind(call, t, &dtype);
    if (status != ATTN_OK) return status;
    if (!rt_count(rank, t->shape, &n) || !base_mul(n, rt_dtypes[dtype].bytes, &bytes) || bytes > INT64_MAX / 2)
        return unfit(call, "its shape is negative or too large");
    if (!t->data && n > 0) return unfit(call, "it has elements and no data");
    if (t->byte_offset > INT64_MAX / 2) return unfit(call, "its byte_offset is too large");
    rt_array_dense(out, dtype, rank, t->shape, t->data ? (char *)t->data + t->byte_offset : NULL);
    if (t->strides && rank) memcpy(out->stride, t->strides, rank * sizeof *out->stride);
    return rt_array_span(out, &first, &last) ? ATTN_OK : unfit(call, "its strides reach beyond memory");
}

/* Owned when nothing can fail any more. */
static attn_status take(api_call *call, void *args) {
    taking *a = args;
    rt_array array;
    attn_status status = describe(call, &a->managed->dl_tensor, &array);
    if (status != ATTN_OK) return status;
    attn_tensor *t = api_tensor_blank(call);
    if (!array.data) array.data = base_alloc(t->arena, 1);       /* of no elements: still an address */
    t->array = array;
    t->managed = a->managed;
    a->out = t;
    return ATTN_OK;
}

attn_status attn_tensor_from_dlpack(attn_context *context, DLManagedTensor *managed, attn_diagnostics *diagnostics, attn_tensor **out) {
    taking a = {managed, NULL};
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (!context || !managed) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&context->allocator, diagnostics, take, &a);
    if (status == ATTN_OK) *out = a.out;
    return status;
}

/* A deleter may be missing where there is nothing to delete. */
void api_managed_delete(DLManagedTensor *managed) {
    if (managed->deleter) managed->deleter(managed);
}

/* ---- for others */

/* Of its own, so that neither the context nor the tensor's arena is touched by who gives it back. */
typedef struct {
    DLManagedTensor managed;         /* first: its address is that of the whole */
    base_allocator allocator;
    attn_tensor *tensor;
    int64_t shape[RT_RANK], strides[RT_RANK];
} lent;

static void give_back(DLManagedTensor *managed) {
    lent *l = (lent *)managed;
    attn_tensor *t = l->tensor;
    l->allocator.free(l->allocator.self, l, sizeof *l);
    attn_tensor_destroy(t);
}

typedef struct { attn_tensor *tensor; lent *out; } lending;

static attn_status lend(api_call *call, void *args) {
    lending *a = args;
    const rt_array *from = &a->tensor->array;
    lent *l = call->allocator.alloc(call->allocator.self, sizeof *l);
    if (!l) api_no_memory(call);
    *l = (lent){.allocator = call->allocator, .tensor = a->tensor};
    for (uint32_t k = 0; k < from->rank; k++) {
        l->shape[k] = from->dim[k];
        l->strides[k] = from->stride[k];
    }
    l->managed = (DLManagedTensor){
        .dl_tensor = {from->data, {kDLCPU, 0}, (int)from->rank, types[from->dtype], l->shape, l->strides, 0},
        .manager_ctx = l,
        .deleter = give_back,
    };
    atomic_fetch_add(&a->tensor->references, 1);
    a->out = l;
    return ATTN_OK;
}

attn_status attn_tensor_to_dlpack(attn_context *context, attn_tensor *tensor, attn_diagnostics *diagnostics, DLManagedTensor **out) {
    lending a = {tensor, NULL};
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (!context || !tensor) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&context->allocator, diagnostics, lend, &a);
    if (status == ATTN_OK) *out = &a.out->managed;
    return status;
}

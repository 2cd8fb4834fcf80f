/* Tensors: the caller's memory or their own, and .npy files. */
#include <string.h>
#include "api.h"

const char *attn_dtype_name(attn_dtype dtype) { return (unsigned)dtype < RT_N_DTYPES ? rt_dtypes[dtype].name : NULL; }
size_t attn_dtype_bytes(attn_dtype dtype) { return (unsigned)dtype < RT_N_DTYPES ? rt_dtypes[dtype].bytes : 0; }

/* The arguments of the functions below, since a body under api_run gets one pointer. */
typedef struct {
    attn_dtype dtype;
    int rank;
    const int64_t *dims, *strides;
    void *data;
    const char *path;
    attn_tensor *out;
} making;

/* All sizes are known to fit from here on: count and bytes of a tensor are products that nothing checks again. Half of int64 leaves room
 * for the offsets that are added to them. */
static attn_status check_shape(api_call *call, const making *m) {
    int64_t n, bytes;
    if ((unsigned)m->dtype >= RT_N_DTYPES) return api_argument(call, "there is no element type of that number");
    if (m->rank < 0 || m->rank > ATTN_MAX_RANK || (m->rank > 0 && !m->dims)) return api_argument(call, "the rank of a tensor is 0 to 8, with dims");
    if (!rt_count((uint32_t)m->rank, m->dims, &n) || !base_mul(n, rt_dtypes[m->dtype].bytes, &bytes) || bytes > INT64_MAX / 2)
        return api_argument(call, "dims are negative or too large");
    return ATTN_OK;
}

/* A tensor is its own arena: giving it back needs no context, which may be gone. */
attn_tensor *api_tensor_blank(api_call *call) {
    base_arena *arena = api_keep(call);
    attn_tensor *t = BASE_NEW(arena, attn_tensor);
    t->references = 1;
    t->arena = arena;
    return t;
}

/* For shapes that come from the library itself. Too large to be counted is too large to be had: the same outcome as no memory. */
attn_tensor *api_tensor_new(api_call *call, uint32_t dtype, uint32_t rank, const int64_t *dim) {
    int64_t n = 0, bytes;
    if (!rt_count(rank, dim, &n) || !base_mul(n, rt_dtypes[dtype].bytes, &bytes)) api_no_memory(call);
    attn_tensor *t = api_tensor_blank(call);
    /* Zeroed by the arena, also where there are no elements: an address of its own, since NULL means that there are no data. */
    rt_array_dense(&t->array, dtype, rank, dim, base_alloc(t->arena, (size_t)bytes));
    return t;
}

/* Strides are believed as far as arithmetic goes: that the addresses are valid memory only the caller can know. */
static attn_status wrap(api_call *call, void *args) {
    making *m = args;
    attn_status status = check_shape(call, m);
    int64_t n = 0, first, last;
    if (status != ATTN_OK) return status;
    rt_count((uint32_t)m->rank, m->dims, &n);
    /* n is known to fit since check_shape. Data are not looked at: a tensor may be wrapped first and filled later. */
    if (!m->data && n > 0) return api_argument(call, "a tensor with elements needs data");
    rt_array a;
    rt_array_dense(&a, (uint32_t)m->dtype, (uint32_t)m->rank, m->dims, m->data);
    /* In elements, may be 0 or negative; dense if none are given. */
    if (m->strides) memcpy(a.stride, m->strides, (size_t)m->rank * sizeof *m->strides);
    if (!rt_array_span(&a, &first, &last)) return api_argument(call, "strides reach beyond memory");
    attn_tensor *t = api_tensor_blank(call);
    t->array = a;
    if (!m->data) t->array.data = base_alloc(t->arena, 1);      /* of no elements: still an address, NULL means "not wanted" elsewhere */
    m->out = t;
    return ATTN_OK;
}

/* Zeroed memory of its own, in an arena that ends with the tensor. */
static attn_status create(api_call *call, void *args) {
    making *m = args;
    attn_status status = check_shape(call, m);
    if (status == ATTN_OK) m->out = api_tensor_new(call, (uint32_t)m->dtype, (uint32_t)m->rank, m->dims);
    return status;
}

static void close_file(void *self) { rt_file_close(self); }

/* A mapped file stays open for as long as the tensor, if the elements can be used where they are. A file that was read is in scratch memory, and
 * the elements are copied to the tensor's. */
static attn_status read_npy(api_call *call, void *args) {
    making *m = args;
    rt_file *f = BASE_NEW(call->scratch, rt_file);
    api_defer(call, close_file, f, false);
    /* What is wrong with the file is reported with its path. */
    if (!rt_file_open(m->path, call->scratch, call->diags, f)) return api_status(call);
    attn_tensor *t = api_tensor_blank(call);
    /* A failure takes the tensor's arena along: it is call->keep. */
    if (!rt_npy_parse(m->path, f->at, f->n, f->mapped, t->arena, call->diags, &t->array)) return api_status(call);
    uintptr_t at = (uintptr_t)t->array.data, first = (uintptr_t)f->at;
    if (f->mapped && at >= first && at - first <= f->n) {
        t->file = *f;
        *f = (rt_file){0};
    }
    m->out = t;
    return ATTN_OK;
}

/* Arguments of attn_tensors_write_npy for the body under api_run. */
typedef struct { const attn_tensor_file *files; size_t n; } writing;

/* The tensor itself if it is dense, else a copy. */
rt_array api_dense(api_call *call, const rt_array *from) {
    rt_array a = *from;
    int64_t n = 0;
    if (rt_array_is_dense(from)) return a;
    rt_count(from->rank, from->dim, &n);
    rt_array_dense(&a, from->dtype, from->rank, from->dim, base_alloc_array(call->scratch, (size_t)n, rt_dtypes[from->dtype].bytes));
    rt_array_pack(from, a.data);
    return a;
}

/* All files or none: each is laid out in scratch memory first, and rt_files_write puts them in place together. */
static attn_status write_npys(api_call *call, void *args) {
    const writing *w = args;
    rt_output *out = BASE_ARRAY(call->scratch, w->n, rt_output);
    /* Nothing has been written when a mistake is found here. */
    for (size_t k = 0; k < w->n; k++) {
        if (!w->files[k].path || !w->files[k].tensor) return api_argument(call, "a file without path or tensor");
        /* Files are written in row-major order, whatever the strides. */
        rt_array a = api_dense(call, &w->files[k].tensor->array);
        out[k] = rt_npy_output(w->files[k].path, &a, call->scratch);
    }
    return rt_files_write(out, w->n, call->scratch, call->diags) ? ATTN_OK : api_status(call);
}

/* What functions that make a tensor share. *out is NULL unless everything went well. */
static attn_status make(attn_context *context, attn_diagnostics *diagnostics, api_body *body, making *m, attn_tensor **out) {
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    if (!context) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&context->allocator, diagnostics, body, m);
    if (status == ATTN_OK) *out = m->out;
    return status;
}

attn_status attn_tensor_wrap(attn_context *context, attn_dtype dtype, int rank, const int64_t *dims, const int64_t *strides, void *data,
                             attn_diagnostics *diagnostics, attn_tensor **out) {
    making m = {.dtype = dtype, .rank = rank, .dims = dims, .strides = strides, .data = data};
    return make(context, diagnostics, wrap, &m, out);
}

attn_status attn_tensor_create(attn_context *context, attn_dtype dtype, int rank, const int64_t *dims, attn_diagnostics *diagnostics,
                               attn_tensor **out) {
    making m = {.dtype = dtype, .rank = rank, .dims = dims};
    return make(context, diagnostics, create, &m, out);
}

/* The tensor has the type and shape that the file says; whether a graph wants them is asked when it is given to one. */
attn_status attn_tensor_read_npy(attn_context *context, const char *path, attn_diagnostics *diagnostics, attn_tensor **out) {
    making m = {.path = path};
    return path ? make(context, diagnostics, read_npy, &m, out) : ATTN_ERROR_ARGUMENT;
}

/* One file is a list of one. */
attn_status attn_tensor_write_npy(attn_context *context, const attn_tensor *tensor, const char *path, attn_diagnostics *diagnostics) {
    attn_tensor_file file = {path, tensor};
    return path && tensor ? attn_tensors_write_npy(context, &file, 1, diagnostics) : ATTN_ERROR_ARGUMENT;
}

attn_status attn_tensors_write_npy(attn_context *context, const attn_tensor_file *files, size_t n_files, attn_diagnostics *diagnostics) {
    writing w = {files, n_files};
    return context && (files || n_files == 0) ? api_run(&context->allocator, diagnostics, write_npys, &w) : ATTN_ERROR_ARGUMENT;
}

/* Memory that the tensor was wrapped around is the caller's and stays. The count is atomic although a tensor belongs to one thread at a time: who
 * got it as a DLPack tensor gives it back whenever and wherever they like. */
void attn_tensor_destroy(attn_tensor *tensor) {
    if (!tensor || atomic_fetch_sub(&tensor->references, 1) != 1) return;
    rt_file_close(&tensor->file);
    if (tensor->managed) api_managed_delete(tensor->managed);
    base_arena_destroy(tensor->arena);
}

attn_dtype attn_tensor_dtype(const attn_tensor *tensor) { return tensor ? (attn_dtype)tensor->array.dtype : ATTN_F32; }
int attn_tensor_rank(const attn_tensor *tensor) { return tensor ? (int)tensor->array.rank : 0; }
/* Questions about what is not there are answered with 0: these functions have no status. */
static bool has_axis(const attn_tensor *tensor, int axis) { return tensor && axis >= 0 && (uint32_t)axis < tensor->array.rank; }
int64_t attn_tensor_dim(const attn_tensor *tensor, int axis) { return has_axis(tensor, axis) ? tensor->array.dim[axis] : 0; }
int64_t attn_tensor_stride(const attn_tensor *tensor, int axis) { return has_axis(tensor, axis) ? tensor->array.stride[axis] : 0; }
void *attn_tensor_data(const attn_tensor *tensor) { return tensor ? tensor->array.data : NULL; }

/* 1 for rank 0. Was checked when the tensor was made, so it does not overflow. */
int64_t attn_tensor_elements(const attn_tensor *tensor) {
    int64_t n = 0;
    if (tensor) rt_count(tensor->array.rank, tensor->array.dim, &n);
    return n;
}

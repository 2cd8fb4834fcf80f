/* Tensors as hosts have them: every layout that strides can say, elements that lie in a mapped file, elements of other libraries. */
#include <dlpack/dlpack.h>
#include <unistd.h>
#include "world.h"

/* ---- strides: whatever the layout of its inputs, a run has the same bits */

enum { A = 2, B = 3, C = 4, MOST = 1024 };
static const char layouts_program[] = "graph g(x: f32[A,B,C], w: f64[C,A], keep: bool[A,B,C], at: i32[A]) -> (y: f32[A,B], z: f64[A,C], n: i32[A]) {\n"
                                      "    y[a,b] = sum(c: select(keep[a,b,c], x[a,b,c] * x[at[a],b,c], 0))\n"
                                      "    z[a,c] = 2*w[c,a]\n"
                                      "    n[a] = at[a] + 1\n}\n";

typedef struct { float y[A][B]; double z[A][C]; int32_t n[A]; } results;

/* A tensor laid out in `room` with its axes in this order of memory, those of `backwards` from the far end, `gap` elements between neighbours of
 * the innermost, its first byte `odd` bytes beyond what its type wants. Filled through its strides from the dense `from`. */
typedef struct { int order[ATTN_MAX_RANK]; unsigned backwards; int64_t gap; size_t odd; } layout;

static attn_tensor *lay_out(const world *w, attn_dtype dtype, int rank, const int64_t *dims, const void *from, const layout *l, unsigned char *room) {
    int64_t stride[ATTN_MAX_RANK] = {0}, step = l->gap, first = 0;
    size_t bytes = attn_dtype_bytes(dtype);
    for (int k = rank; k-- > 0;) {
        int axis = l->order[k];
        bool back = l->backwards >> axis & 1;
        stride[axis] = back ? -step : step;
        if (back) first += step * (dims[axis] - 1);
        step *= dims[axis] + (k == rank - 1);    /* a hole after each line, too */
    }
    unsigned char *data = room + l->odd + (size_t)first * bytes;
    int64_t at[ATTN_MAX_RANK] = {0}, n = 1;
    for (int k = 0; k < rank; k++) n *= dims[k];
    for (int64_t e = 0; e < n; e++) {
        int64_t offset = 0;
        for (int k = 0; k < rank; k++) offset += at[k] * stride[k];
        memcpy(data + offset * (int64_t)bytes, (const unsigned char *)from + (size_t)e * bytes, bytes);
        for (int k = rank; k-- > 0 && ++at[k] == dims[k];) at[k] = 0;
    }
    attn_tensor *t = NULL;
    assert_int_equal(attn_tensor_wrap(w->context, dtype, rank, dims, stride, data, w->said, &t), ATTN_OK);
    return t;
}

static void compute(world *w, attn_tensor *const in[4], results *out) {
    attn_argument inputs[] = {{"x", in[0]}, {"w", in[1]}, {"keep", in[2]}, {"at", in[3]}};
    attn_argument outputs[] = {{"y", world_wrap(w, ATTN_F32, 2, (int64_t[]){A, B}, out->y)}, {"z", world_wrap(w, ATTN_F64, 2, (int64_t[]){A, C}, out->z)},
                               {"n", world_wrap(w, ATTN_I32, 1, (int64_t[]){A}, out->n)}};
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.inputs = inputs, o.n_inputs = COUNT(inputs), o.outputs = outputs, o.n_outputs = COUNT(outputs);
    memset(out, 0xff, sizeof *out);
    attn_status status = attn_model_run(w->model, &o, w->said);
    for (size_t k = 0; k < attn_diagnostics_count(w->said); k++) print_message("%s", attn_diagnostics_render(w->said, k, false));
    assert_int_equal(status, ATTN_OK);
    for (size_t k = 0; k < COUNT(outputs); k++) attn_tensor_destroy(outputs[k].tensor);
}

typedef struct { float x[A][B][C]; double w[C][A]; uint8_t keep[A][B][C]; int32_t at[A]; } numbers;

static void fill(numbers *d) {
    for (int k = 0; k < A * B * C; k++) {
        (&d->x[0][0][0])[k] = (float)(k % 11) / 8 - 0.5f;
        (&d->keep[0][0][0])[k] = k % 3 != 0;
    }
    for (int k = 0; k < A * C; k++) (&d->w[0][0])[k] = 0.3 * k;
    d->at[0] = 1, d->at[1] = 0;
}

static void compute_laid_out(world *w, const numbers *d, const layout *l, results *out) {
    static _Alignas(16) unsigned char room[4][MOST];
    layout flat = *l;
    flat.order[0] = 0;
    attn_tensor *in[4] = {lay_out(w, ATTN_F32, 3, (int64_t[]){A, B, C}, d->x, l, room[0]), NULL,
                          lay_out(w, ATTN_BOOL, 3, (int64_t[]){A, B, C}, d->keep, l, room[2]), lay_out(w, ATTN_I32, 1, (int64_t[]){A}, d->at, &flat, room[3])};
    layout square = *l;
    square.order[0] = l->order[0] != 0, square.order[1] = l->order[0] == 0;
    in[1] = lay_out(w, ATTN_F64, 2, (int64_t[]){C, A}, d->w, &square, room[1]);
    compute(w, in, out);
    for (int k = 0; k < 4; k++) attn_tensor_destroy(in[k]);
}

static void test_layouts(void **state) {
    static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    world w = world_open(layouts_program, *state);
    numbers d;
    results dense, other;
    fill(&d);
    attn_tensor *in[4] = {world_wrap(&w, ATTN_F32, 3, (int64_t[]){A, B, C}, d.x), world_wrap(&w, ATTN_F64, 2, (int64_t[]){C, A}, d.w),
                          world_wrap(&w, ATTN_BOOL, 3, (int64_t[]){A, B, C}, d.keep), world_wrap(&w, ATTN_I32, 1, (int64_t[]){A}, d.at)};
    compute(&w, in, &dense);
    assert_int_equal(dense.n[1], 1);
    for (size_t o = 0; o < COUNT(orders); o++)
        for (unsigned backwards = 0; backwards < 8; backwards++)
            for (int64_t gap = 1; gap <= 3; gap += 2)
                for (size_t odd = 0; odd < 8; odd += 3) {
                    layout l = {.backwards = backwards, .gap = gap, .odd = odd};
                    memcpy(l.order, orders[o], sizeof orders[o]);
                    compute_laid_out(&w, &d, &l, &other);
                    assert_memory_equal(&other, &dense, sizeof dense);
                }
    for (int k = 0; k < 4; k++) attn_tensor_destroy(in[k]);
    world_close(&w);
}

/* One element for a whole axis, and for all. */
static void test_broadcast(void **state) {
    world w = world_open(layouts_program, *state);
    numbers d, same;
    results dense, other;
    fill(&d);
    same = d;
    for (int a = 0; a < A; a++)
        for (int b = 0; b < B; b++)
            for (int c = 0; c < C; c++) same.x[a][b][c] = d.x[a][0][c], same.keep[a][b][c] = 1;
    layout plain = {{0, 1, 2}, 0, 1, 0};
    compute_laid_out(&w, &same, &plain, &dense);
    uint8_t one = 1;
    attn_tensor *in[4] = {NULL, world_wrap(&w, ATTN_F64, 2, (int64_t[]){C, A}, d.w), NULL, world_wrap(&w, ATTN_I32, 1, (int64_t[]){A}, d.at)};
    attn_tensor_wrap(w.context, ATTN_F32, 3, (int64_t[]){A, B, C}, (int64_t[]){B * C, 0, 1}, d.x, w.said, &in[0]);
    attn_tensor_wrap(w.context, ATTN_BOOL, 3, (int64_t[]){A, B, C}, (int64_t[]){0, 0, 0}, &one, w.said, &in[2]);
    compute(&w, in, &other);
    assert_memory_equal(&other, &dense, sizeof dense);
    for (int k = 0; k < 4; k++) attn_tensor_destroy(in[k]);
    world_close(&w);
}

/* ---- files that are mapped */

static const char npy_path[] = ATTN_BINARY_DIR "/tests/api_tensors.npy";

/* Large enough to be mapped: the elements are the file's, other layouts are copied; what is written stays here. */
static void test_mapped_npy(void **state) {
    (void)state;
    counter c = {0};
    attn_allocator hook = counter_allocator(&c);
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *context = NULL;
    attn_tensor *t = NULL, *back = NULL, *again = NULL;
    o.allocator = &hook;
    assert_int_equal(attn_context_create(&o, NULL, &context), ATTN_OK);
    int64_t dims[] = {600, 500};
    assert_int_equal(attn_tensor_create(context, ATTN_F32, 2, dims, NULL, &t), ATTN_OK);
    float *x = attn_tensor_data(t);
    for (int k = 0; k < 300000; k++) x[k] = (float)k;
    assert_int_equal(attn_tensor_write_npy(context, t, npy_path, NULL), ATTN_OK);
    long long before = c.bytes;
    assert_int_equal(attn_tensor_read_npy(context, npy_path, NULL, &back), ATTN_OK);
    assert_true(c.bytes - before < 100000);                  /* of 1.2 MB nothing was copied */
    assert_memory_equal(attn_tensor_data(back), x, 1200000);
    ((float *)attn_tensor_data(back))[0] = 7;
    assert_int_equal(attn_tensor_write_npy(context, t, npy_path, NULL), ATTN_OK);        /* replaced: the old file lives on in its tensor */
    assert_int_equal(attn_tensor_read_npy(context, npy_path, NULL, &again), ATTN_OK);
    assert_true(((float *)attn_tensor_data(back))[0] == 7 && ((float *)attn_tensor_data(again))[0] == 0);
    assert_memory_equal(attn_tensor_data(again), x, 1200000);
    remove(npy_path);
    assert_true(((float *)attn_tensor_data(back))[299999] == 299999);
    attn_tensor_destroy(t);
    attn_tensor_destroy(back);
    attn_tensor_destroy(again);
    attn_context_destroy(context);
    assert_true(c.blocks == 0 && c.bytes == 0);
}

/* ---- DLPack */

typedef struct { DLManagedTensor managed; int64_t shape[10], strides[10]; int deleted; } theirs;

static void deleter(DLManagedTensor *m) { ((theirs *)m->manager_ctx)->deleted++; }

static void make_theirs(theirs *t, int rank, const int64_t *shape, const int64_t *strides, DLDataType type, void *data) {
    *t = (theirs){.managed = {{data, {kDLCPU, 0}, rank, type, t->shape, strides ? t->strides : NULL, 0}, t, deleter}};
    for (int k = 0; k < rank && k < 10; k++) {
        t->shape[k] = shape[k];
        if (strides) t->strides[k] = strides[k];
    }
}

static const DLDataType f32 = {kDLFloat, 32, 1};

static void test_dlpack_in(void **state) {
    (void)state;
    world w = world_open(NULL, NULL);
    float data[6] = {0, 1, 2, 3, 4, 5};
    theirs t;
    attn_tensor *in = NULL;
    make_theirs(&t, 2, (int64_t[]){3, 2}, (int64_t[]){-1, 3}, f32, data);
    t.managed.dl_tensor.byte_offset = 8;
    assert_int_equal(attn_tensor_from_dlpack(w.context, &t.managed, w.said, &in), ATTN_OK);
    assert_ptr_equal(attn_tensor_data(in), data + 2);
    assert_true(attn_tensor_rank(in) == 2 && attn_tensor_dim(in, 0) == 3 && attn_tensor_stride(in, 0) == -1 && attn_tensor_stride(in, 1) == 3);
    attn_tensor_destroy(in);
    assert_int_equal(t.deleted, 1);
    make_theirs(&t, 2, (int64_t[]){2, 3}, NULL, f32, data);              /* no strides: row-major */
    assert_int_equal(attn_tensor_from_dlpack(w.context, &t.managed, w.said, &in), ATTN_OK);
    assert_true(attn_tensor_stride(in, 0) == 3 && attn_tensor_stride(in, 1) == 1);
    attn_tensor_destroy(in);
    make_theirs(&t, 0, NULL, NULL, (DLDataType){6, 8, 1}, data);          /* one truth value */
    t.managed.dl_tensor.shape = NULL;
    t.managed.deleter = NULL;
    assert_int_equal(attn_tensor_from_dlpack(w.context, &t.managed, w.said, &in), ATTN_OK);
    assert_true(attn_tensor_rank(in) == 0 && attn_tensor_elements(in) == 1 && attn_tensor_dtype(in) == ATTN_BOOL);
    attn_tensor_destroy(in);
    make_theirs(&t, 2, (int64_t[]){0, 5}, NULL, f32, NULL);
    assert_int_equal(attn_tensor_from_dlpack(w.context, &t.managed, w.said, &in), ATTN_OK);
    assert_non_null(attn_tensor_data(in));
    attn_tensor_destroy(in);
    assert_int_equal(t.deleted, 1);
    world_close(&w);
}

/* What cannot be used is said, and stays the caller's. */
static void test_dlpack_refused(void **state) {
    (void)state;
    world w = world_open(NULL, NULL);
    float data[6];
    static const struct { int rank, device; int64_t shape[9], stride; DLDataType type; uint64_t offset; bool no_shape, no_data; const char *words; } wrong[] = {
        {1, kDLCUDA, {6}, 1, {kDLFloat, 32, 1}, 0, false, false, "on a device of type 2"},
        {1, kDLCPU, {6}, 1, {kDLFloat, 16, 1}, 0, false, false, "code 2, 16 bits, 1 lanes"},
        {1, kDLCPU, {6}, 1, {kDLBfloat, 16, 1}, 0, false, false, "code 4"},
        {1, kDLCPU, {6}, 1, {kDLUInt, 32, 1}, 0, false, false, "code 1"},
        {1, kDLCPU, {6}, 1, {kDLFloat, 32, 4}, 0, false, false, "4 lanes"},
        {1, kDLCPU, {6}, 1, {kDLFloat, 32, 0}, 0, false, false, "0 lanes"},
        {9, kDLCPU, {1, 1, 1, 1, 1, 1, 1, 1, 1}, 1, {kDLFloat, 32, 1}, 0, false, false, "9 axes"},
        {-1, kDLCPU, {6}, 1, {kDLFloat, 32, 1}, 0, false, false, "-1 axes"},
        {1, kDLCPU, {6}, 1, {kDLFloat, 32, 1}, 0, true, false, "no shape"},
        {1, kDLCPU, {-6}, 1, {kDLFloat, 32, 1}, 0, false, false, "negative"},
        {2, kDLCPU, {INT64_C(1) << 40, INT64_C(1) << 40}, 1, {kDLFloat, 32, 1}, 0, false, false, "too large"},
        {1, kDLCPU, {6}, 1, {kDLFloat, 32, 1}, 0, false, true, "no data"},
        {1, kDLCPU, {6}, 1, {kDLFloat, 32, 1}, UINT64_MAX, false, false, "byte_offset"},
        {1, kDLCPU, {6}, INT64_MAX / 2, {kDLFloat, 32, 1}, 0, false, false, "strides"},
    };
    for (size_t k = 0; k < COUNT(wrong); k++) {
        theirs t;
        attn_tensor *in = (attn_tensor *)&t;
        int64_t strides[10] = {wrong[k].stride, 0, 0, 0, 0, 0, 0, 0, 0, 0};
        make_theirs(&t, wrong[k].rank, wrong[k].shape, strides, wrong[k].type, wrong[k].no_data ? NULL : data);
        t.managed.dl_tensor.device.device_type = (DLDeviceType)wrong[k].device;
        t.managed.dl_tensor.byte_offset = wrong[k].offset;
        if (wrong[k].no_shape) t.managed.dl_tensor.shape = NULL;
        attn_status status = attn_tensor_from_dlpack(w.context, &t.managed, w.said, &in);
        assert_said(&w, status, ATTN_ERROR_DATA, "E0623", wrong[k].words);
        assert_null(in);
        assert_int_equal(t.deleted, 0);
    }
    attn_tensor *none = NULL;
    assert_int_equal(attn_tensor_from_dlpack(w.context, NULL, w.said, &none), ATTN_ERROR_ARGUMENT);
    world_close(&w);
}

/* The managed tensor keeps the elements alive, also beyond tensor and context, and through several hands. */
static void test_dlpack_out(void **state) {
    (void)state;
    counter c = {0};
    attn_allocator hook = counter_allocator(&c);
    attn_context_options o = ATTN_CONTEXT_OPTIONS_INIT;
    attn_context *context = NULL;
    attn_tensor *t = NULL, *round = NULL;
    DLManagedTensor *first = NULL, *second = NULL;
    o.allocator = &hook;
    assert_int_equal(attn_context_create(&o, NULL, &context), ATTN_OK);
    for (int d = ATTN_F32; d <= ATTN_BOOL; d++) {
        assert_int_equal(attn_tensor_create(context, (attn_dtype)d, 2, (int64_t[]){2, 3}, NULL, &t), ATTN_OK);
        assert_int_equal(attn_tensor_to_dlpack(context, t, NULL, &first), ATTN_OK);
        assert_int_equal(first->dl_tensor.dtype.bits, 8 * attn_dtype_bytes((attn_dtype)d));
        assert_true(first->dl_tensor.ndim == 2 && first->dl_tensor.shape[1] == 3 && first->dl_tensor.strides[0] == 3 && first->dl_tensor.byte_offset == 0);
        assert_ptr_equal(first->dl_tensor.data, attn_tensor_data(t));
        attn_tensor_destroy(t);
        memset(first->dl_tensor.data, 1, 6 * attn_dtype_bytes((attn_dtype)d));
        assert_int_equal(attn_tensor_from_dlpack(context, first, NULL, &round), ATTN_OK);
        assert_int_equal(attn_tensor_dtype(round), d);
        assert_int_equal(attn_tensor_to_dlpack(context, round, NULL, &second), ATTN_OK);
        attn_tensor_destroy(round);
        assert_int_equal(((char *)second->dl_tensor.data)[5], 1);
        second->deleter(second);
    }
    assert_int_equal(attn_tensor_create(context, ATTN_F32, 0, NULL, NULL, &t), ATTN_OK);
    assert_int_equal(attn_tensor_to_dlpack(context, t, NULL, &first), ATTN_OK);
    attn_tensor_destroy(t);
    attn_context_destroy(context);
    *(float *)first->dl_tensor.data = 1;
    first->deleter(first);
    assert_true(c.blocks == 0 && c.bytes == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        {"layouts on cpu", test_layouts, NULL, NULL, (void *)(uintptr_t)"cpu"},
        {"layouts on eval", test_layouts, NULL, NULL, (void *)(uintptr_t)"eval"},
        {"broadcast on cpu", test_broadcast, NULL, NULL, (void *)(uintptr_t)"cpu"},
        {"broadcast on eval", test_broadcast, NULL, NULL, (void *)(uintptr_t)"eval"},
        cmocka_unit_test(test_mapped_npy),
        cmocka_unit_test(test_dlpack_in),
        cmocka_unit_test(test_dlpack_refused),
        cmocka_unit_test(test_dlpack_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

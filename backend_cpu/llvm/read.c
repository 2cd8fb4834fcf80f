/* Elements of buffers. An address is the sum of positions times strides. Towards the lane axis a position is uniform, affine or anything; if
 * together they step by one element the read is one vector, else a gather. A position that is not proved in range never leaves the
 * buffer: a uniform one is clamped, an affine one takes its lanes out of the mask, any other is clamped lane by lane. */
#include <string.h>
#include "emit.h"

cpu_val cpu_at(cpu_emitter *e, cpu_val base, cpu_val index, LLVMTypeRef element) { return LLVMBuildGEP2(e->b, element, base, &index, 1, ""); }
cpu_val cpu_scratch(cpu_emitter *e, ir_expr byte_offset) { return cpu_at(e, e->scratch, cpu_expr(e, byte_offset), e->i8); }

/* In memory a truth value is a byte, in registers a bit. */
static LLVMTypeRef stored_type(const cpu_emitter *e, uint8_t dtype) {
    switch (dtype) {
    case IR_TYPE_F32: return e->f32;
    case IR_TYPE_F64: return e->f64;
    case IR_TYPE_I32: return e->i32;
    case IR_TYPE_I64: return e->i64;
    default: return e->i8;
    }
}
static LLVMTypeRef shape(LLVMTypeRef element, int32_t lanes) { return lanes > 1 ? LLVMVectorType(element, (unsigned)lanes) : element; }

/* For intrinsics whose variant two types pick: the value's and the pointer's. */
static cpu_val call2(cpu_emitter *e, const char *name, LLVMTypeRef first, LLVMTypeRef second, uint32_t n, cpu_val *args) {
    LLVMTypeRef over[] = {first, second};
    const unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    cpu_val fn = LLVMGetIntrinsicDeclaration(e->m, id, over, 2);
    return LLVMBuildCall2(e->b, LLVMIntrinsicGetType(e->c, id, over, 2), fn, args, n, "");
}
/* Of an element in memory: a truth value is a byte there. */
static unsigned bytes_of(const cpu_emitter *e, LLVMTypeRef t) {
    return t == e->i8 || t == e->i1 ? 1 : t == e->i32 || t == e->f32 ? 4 : 8;
}
static cpu_val alignment(cpu_emitter *e, LLVMTypeRef t) { return LLVMConstInt(e->i32, bytes_of(e, t), false); }

/* ---- neighbours and scattered elements */

/* Buffers are dense but begin anywhere, so a vector is aligned to its element only. Masked lanes are not touched and read as 0. */
static cpu_val load(cpu_emitter *e, LLVMTypeRef element, cpu_val at, int32_t lanes, cpu_val mask) {
    LLVMTypeRef type = shape(element, lanes);
    if (lanes > 1 && mask) {
        cpu_val args[] = {at, alignment(e, element), mask, LLVMConstNull(type)};
        return call2(e, "llvm.masked.load", type, e->ptr, 4, args);
    }
    cpu_val v = LLVMBuildLoad2(e->b, type, at, "");
    LLVMSetAlignment(v, bytes_of(e, element));
    return v;
}
/* The mask is an argument here; cpu_store below takes the tail at hand. A scalar has no lanes to mask. */
static void store(cpu_emitter *e, LLVMTypeRef element, cpu_val value, cpu_val at, cpu_val mask) {
    if (cpu_is_vector(value) && mask) {
        cpu_val args[] = {value, at, alignment(e, element), mask};
        call2(e, "llvm.masked.store", LLVMTypeOf(value), e->ptr, 4, args);
        return;
    }
    LLVMSetAlignment(LLVMBuildStore(e->b, value, at), bytes_of(e, element));
}
/* Gathers and scatters have no form without a mask. */
static cpu_val all_lanes(cpu_emitter *e, cpu_val mask, int32_t lanes) {
    return mask ? mask : LLVMConstAllOnes(LLVMVectorType(e->i1, (unsigned)lanes));
}
/* Lane by lane; the mask keeps lanes that do not exist from touching memory. */
static cpu_val gather(cpu_emitter *e, LLVMTypeRef element, cpu_val at, int32_t lanes, cpu_val mask) {
    LLVMTypeRef type = shape(element, lanes);
    cpu_val args[] = {at, alignment(e, element), all_lanes(e, mask, lanes), LLVMConstNull(type)};
    return call2(e, "llvm.masked.gather", type, LLVMTypeOf(at), 4, args);
}
static void scatter(cpu_emitter *e, LLVMTypeRef element, cpu_val value, cpu_val at, cpu_val mask) {
    cpu_val args[] = {value, at, alignment(e, element), all_lanes(e, mask, e->lanes)};
    call2(e, "llvm.masked.scatter", LLVMTypeOf(value), LLVMTypeOf(at), 4, args);
}

/* Truth values of scratch are bytes. */
cpu_val cpu_load(cpu_emitter *e, LLVMTypeRef element, cpu_val at, int32_t lanes) {
    const bool truth = element == e->i1;
    cpu_val v = load(e, truth ? e->i8 : element, at, lanes, lanes > 1 ? e->tail : NULL);
    return truth ? LLVMBuildICmp(e->b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "") : v;
}
void cpu_store(cpu_emitter *e, cpu_val value, cpu_val at) {
    LLVMTypeRef element = cpu_is_vector(value) ? LLVMGetElementType(LLVMTypeOf(value)) : LLVMTypeOf(value);
    if (element == e->i1) {
        value = LLVMBuildZExt(e->b, value, shape(e->i8, cpu_is_vector(value) ? (int32_t)LLVMGetVectorSize(LLVMTypeOf(value)) : 1), "");
        element = e->i8;
    }
    store(e, element, value, at, cpu_is_vector(value) ? e->tail : NULL);
}

/* ---- addresses */

typedef struct {
    cpu_val base;                /* i64, elements: what is uniform */
    ir_expr step;                /* towards the lane axis, where it is affine */
    cpu_val scattered;           /* <lanes x i64>, what is not; NULL: nothing */
    cpu_val mask;                /* lanes in range; NULL: all */
    bool exact;                  /* every position is proved in range */
} address;

/* Buffers are dense and row-major: a stride is the product of the extents behind. */
static ir_expr stride_of(cpu_emitter *e, const ir_type *t, uint32_t axis) {
    ir_expr stride = ir_int(e->u, 1);
    for (uint32_t a = axis + 1; a < t->rank; a++) stride = ir_mul(e->u, stride, t->dim[a]);
    return stride;
}
/* NULL is an empty sum, so that an address without a part emits nothing for it. */
static cpu_val plus(cpu_emitter *e, cpu_val a, cpu_val b) {
    cpu_val x[] = {a, b};
    return !a ? b : !b ? a : cpu_apply(e, IR_ADD, x, 2);
}
static cpu_val times(cpu_emitter *e, cpu_val a, ir_expr b) {
    cpu_val x[] = {a, NULL};
    /* The innermost stride is 1: nothing is emitted for it, and a lane's position stays a plain index. */
    int64_t one;
    if (ir_is_int(e->u, b, &one) && one == 1) return a;
    x[1] = cpu_expr(e, b);
    return cpu_apply(e, IR_MUL, x, 2);
}
/* Into the buffer, whatever the position: a check has reported it, or nobody wants the value. An empty axis gives 0, and every buffer has room for one. */
static cpu_val clamped(cpu_emitter *e, cpu_val at, ir_expr extent) {
    cpu_val last[] = {cpu_expr(e, ir_sub(e->u, extent, ir_int(e->u, 1))), at}, zero[] = {NULL, cpu_int(e, 0)};
    zero[0] = cpu_apply(e, IR_MIN, last, 2);
    return cpu_apply(e, IR_MAX, zero, 2);
}
/* Both comparisons, also where one of them would be provable: LLVM folds what is constant. */
static cpu_val in_range(cpu_emitter *e, cpu_val at, ir_expr extent) {
    cpu_val low[] = {cpu_int(e, 0), at}, high[] = {at, cpu_expr(e, extent)};
    cpu_val x = cpu_apply(e, IR_LE, low, 2);
    return cpu_truth(e, x, cpu_apply(e, IR_LT, high, 2));
}

/* One position: affine in the lane with a step that is uniform, uniform itself, or neither. */
static void add_position(cpu_emitter *e, address *a, ir_expr at, ir_expr extent, ir_expr stride) {
    const bool proved = ir_in_range(e->u, at, extent), varies = e->lanes > 1 && cpu_varies(e, at, e->lane);
    a->exact &= proved;
    ir_expr coef = 0, rest = 0;
    /* Coefficient and rest must be one number for all lanes, or the lanes would not be a step apart. */
    const bool affine = varies && ir_affine(e->u, at, e->k->axes[e->lane].var, &coef, &rest) && !cpu_varies(e, coef, e->lane) && !cpu_varies(e, rest, e->lane);
    if (affine) {
        /* Clamping would break the step between lanes, so a lane out of range is masked: it is not read, and gives 0. */
        if (!proved) a->mask = cpu_truth(e, a->mask, in_range(e, cpu_expr(e, at), extent));
        a->step = ir_add(e->u, a->step, ir_mul(e->u, coef, stride));
        cpu_val start = plus(e, cpu_expr(e, rest), times(e, e->axis[e->lane], coef));
        a->base = plus(e, a->base, times(e, start, stride));
        return;
    }
    cpu_val v = cpu_expr(e, at);
    if (!proved) v = clamped(e, v, extent);
    v = times(e, v, stride);
    if (cpu_is_vector(v)) a->scattered = plus(e, a->scattered, v);
    else a->base = plus(e, a->base, v);
}

/* Where one axis is empty there is room for one element only, however large the positions on the others are. */
static void stay_in_empty(cpu_emitter *e, address *a, ir_value value) {
    const ir_type t = e->u->value.at[value].type;
    ir_expr n = ir_int(e->u, 1);
    for (uint32_t i = 0; i < t.rank; i++) n = ir_mul(e->u, n, t.dim[i]);
    /* Proved to have an element, as most buffers are: then nothing is emitted. */
    if (ir_at_least(e->u, n, 1)) return;
    cpu_val some = cpu_expr(e, ir_op2(e->u, IR_LT, ir_int(e->u, 0), n));
    a->base = cpu_pick(e, some, a->base, cpu_int(e, 0));
    if (e->lanes > 1) a->mask = cpu_truth(e, a->mask, cpu_splat(e, some, e->lanes));
}

static address address_of(cpu_emitter *e, ir_value value, uint32_t n, const ir_expr *at) {
    const ir_type *t = &e->u->value.at[value].type;
    address a = {.base = cpu_int(e, 0), .step = ir_int(e->u, 0), .exact = true, .mask = e->tail};
    for (uint32_t i = 0; i < n; i++) {
        const ir_expr extent = t->dim[i], stride = stride_of(e, t, i);
        add_position(e, &a, at[i], extent, stride);
        t = &e->u->value.at[value].type;
    }
    if (!a.exact) stay_in_empty(e, &a, value);
    return a;
}

/* The address by the kernel's own form, base + steps: what varies slowest is added first, so that loops find their part unchanged. */
static bool address_of_access(cpu_emitter *e, const ir_access *access, address *a) {
    static const uint8_t order[] = {IR_ITEM, IR_ROW, IR_COL, IR_VAL, IR_FEAT};
    if (access->gather || cpu_varies(e, access->base, e->lane)) return false;
    *a = (address){.base = cpu_expr(e, access->base), .step = ir_int(e->u, 0), .exact = true, .mask = e->tail};
    for (size_t o = 0; o < sizeof order; o++)
        for (uint32_t i = 0; i < e->k->n_axes; i++) {
            if (e->k->axes[i].role != order[o] || !access->step[i]) continue;
            if ((int32_t)i == e->lane) a->step = access->step[i];
            else a->base = plus(e, a->base, times(e, e->axis[i], access->step[i]));
        }
    /* The first lane's own position last: of all axes the lanes move fastest. */
    if (e->lane >= 0 && access->step[e->lane]) a->base = plus(e, a->base, times(e, e->axis[e->lane], access->step[e->lane]));
    return true;
}
/* The kernel's form of an access knows no clamps, so it serves only reads that are in range by proof. */
static bool proved(cpu_emitter *e, ir_expr read) {
    const ir_type t = e->u->value.at[ir_at(e->u, read)->u.ref].type;
    for (uint32_t i = 0; i < t.rank; i++)
        if (!ir_in_range(e->u, ir_operand(e->u, read, i), t.dim[i])) return false;
    return true;
}

static address read_address(cpu_emitter *e, ir_expr read) {
    const ir_access *access = ir_kernel_access(e->k, read);
    address a;
    if (access && proved(e, read) && address_of_access(e, access, &a)) return a;
    const uint32_t n = ir_n_operands(e->u, read);
    ir_expr *at = BASE_ARRAY(e->arena, n, ir_expr);
    for (uint32_t i = 0; i < n; i++) at[i] = ir_operand(e->u, read, i);
    return address_of(e, ir_at(e->u, read)->u.ref, n, at);
}

/* Is it known that neighbouring lanes are `step` elements apart, and nothing else moves them? */
static bool is_step(cpu_emitter *e, const address *a, int64_t step) {
    int64_t found;
    return !a->scattered && ir_is_int(e->u, a->step, &found) && found == step;
}
/* Each lane's own: base, steps, and what is neither. */
static cpu_val lane_addresses(cpu_emitter *e, const address *a) {
    cpu_val index = times(e, cpu_iota(e, e->i64, e->lanes), a->step);
    return plus(e, plus(e, a->scattered, index), a->base);
}

/* ---- reading */

/* Frames hold few values, so a search is enough. One that is not there is a defect of the schedule's kernel. */
static uint32_t buffer_of(cpu_emitter *e, ir_value value) {
    for (uint32_t i = 0; i < e->k->n_values; i++)
        if (e->k->values[i] == value) return i;
    for (uint32_t i = 0; i < e->s->n_panels; i++)
        if (e->s->panels[i] == value) return e->k->n_values + i;
    cpu_give_up(e, "a value is missing in the frame");
}
/* A result may be read too (`+=`), and then its elements change while the kernel runs. */
static bool is_result(const cpu_emitter *e, ir_value value) {
    for (uint32_t i = 0; i < e->k->n_stores; i++)
        if (e->k->stores[i].at.result == value) return true;
    return false;
}
/* As computed with: reals of the kernel's type, 64 bits, truth values of one bit. */
static cpu_val widened(cpu_emitter *e, uint8_t dtype, cpu_val v) {
    const int32_t lanes = cpu_is_vector(v) ? (int32_t)LLVMGetVectorSize(LLVMTypeOf(v)) : 1;
    switch (dtype) {
    case IR_TYPE_F32: return e->real == e->f64 ? LLVMBuildFPExt(e->b, v, shape(e->f64, lanes), "") : v;
    case IR_TYPE_F64: return e->real == e->f32 ? LLVMBuildFPTrunc(e->b, v, shape(e->f32, lanes), "") : v;
    case IR_TYPE_I32: return LLVMBuildSExt(e->b, v, shape(e->i64, lanes), "");
    case IR_TYPE_I64: return v;
    default: return LLVMBuildICmp(e->b, LLVMIntNE, v, LLVMConstNull(LLVMTypeOf(v)), "");
    }
}
/* Inputs do not change while a kernel runs, so their loads may be moved out of loops past stores to results. */
static cpu_val mark_invariant(cpu_emitter *e, ir_value value, cpu_val load_) {
    if (!is_result(e, value)) LLVMSetMetadata(load_, e->invariant, LLVMMetadataAsValue(e->c, LLVMMDNodeInContext2(e->c, NULL, 0)));
    return load_;
}

cpu_val cpu_buffer(cpu_emitter *e, ir_value value) { return e->buffers[buffer_of(e, value)]; }
cpu_val cpu_read_at(cpu_emitter *e, ir_expr read) {
    const ir_value value = ir_at(e->u, read)->u.ref;
    const address a = read_address(e, read);
    return cpu_at(e, cpu_buffer(e, value), a.base, stored_type(e, e->u->value.at[value].type.dtype));
}
void cpu_prefetch_at(cpu_emitter *e, cpu_val at) {
    cpu_val args[] = {at, LLVMConstInt(e->i32, 0, false), LLVMConstInt(e->i32, 3, false), LLVMConstInt(e->i32, 1, false)};
    cpu_call(e, "llvm.prefetch", e->ptr, 4, args);
}
cpu_val cpu_read(cpu_emitter *e, ir_expr read) {
    const ir_value value = ir_at(e->u, read)->u.ref;
    const uint8_t dtype = e->u->value.at[value].type.dtype;
    cpu_val buffer = e->buffers[buffer_of(e, value)], v;
    LLVMTypeRef element = stored_type(e, dtype);
    const address a = read_address(e, read);
    /* A step of 0 is one element for all lanes: it stays a scalar, and whoever needs a vector spreads it. */
    if (e->lanes == 1 || is_step(e, &a, 0)) v = load(e, element, cpu_at(e, buffer, a.base, element), 1, NULL);
    else if (is_step(e, &a, 1)) v = load(e, element, cpu_at(e, buffer, a.base, element), e->lanes, a.mask);
    else v = gather(e, element, cpu_at(e, buffer, lane_addresses(e, &a), element), e->lanes, a.mask);
    return widened(e, dtype, mark_invariant(e, value, v));
}

/* ---- writing */

/* What does not fit becomes the nearest that does. */
static cpu_val saturated(cpu_emitter *e, cpu_val v) {
    /* Of integers only i32 is narrower than the 64 bits that are computed with. */
    cpu_val low[] = {v, cpu_int(e, INT32_MIN)}, high[] = {NULL, cpu_int(e, INT32_MAX)};
    high[0] = cpu_apply(e, IR_MAX, low, 2);
    return cpu_apply(e, IR_MIN, high, 2);
}
/* The other way: as the element is stored. A truth value becomes a byte of 0 or 1. */
static cpu_val narrowed(cpu_emitter *e, uint8_t dtype, cpu_val v) {
    const int32_t lanes = cpu_is_vector(v) ? (int32_t)LLVMGetVectorSize(LLVMTypeOf(v)) : 1;
    switch (dtype) {
    case IR_TYPE_F32: return e->real == e->f64 ? LLVMBuildFPTrunc(e->b, v, shape(e->f32, lanes), "") : v;
    case IR_TYPE_F64: return e->real == e->f32 ? LLVMBuildFPExt(e->b, v, shape(e->f64, lanes), "") : v;
    case IR_TYPE_I32: return LLVMBuildTrunc(e->b, saturated(e, v), shape(e->i32, lanes), "");
    case IR_TYPE_I64: return v;
    default: return LLVMBuildZExt(e->b, v, shape(e->i8, lanes), "");
    }
}

/* `+=` reads, adds and writes back; launches with such stores have one item, so nobody else is at that place. */
static void write_one(cpu_emitter *e, const ir_store *at, uint8_t dtype, cpu_val value, cpu_val place) {
    if (at->mode == IR_STORE_ADD) {
        cpu_val sum[] = {widened(e, dtype, load(e, stored_type(e, dtype), place, 1, NULL)), value};
        value = cpu_apply(e, dtype == IR_TYPE_BOOL ? IR_OR : IR_ADD, sum, 2);
    }
    store(e, stored_type(e, dtype), narrowed(e, dtype, value), place, NULL);
}

/* Places out of range are left out: a check has reported them, or will. */
void cpu_write(cpu_emitter *e, const ir_store *at, cpu_val value, cpu_val where) {
    const ir_type t = e->u->value.at[at->result].type;
    LLVMTypeRef element = stored_type(e, t.dtype);
    cpu_val buffer = e->buffers[buffer_of(e, at->result)];
    for (uint32_t i = 0; i < t.rank; i++)
        if (!ir_in_range(e->u, at->places[i], t.dim[i])) where = cpu_truth(e, where, in_range(e, cpu_expr(e, at->places[i]), t.dim[i]));
    const address a = address_of(e, at->result, t.rank, at->places);
    if (e->lanes == 1) {
        cpu_if branch = {NULL};
        if (where) branch = cpu_if_begin(e, where, "store");
        write_one(e, at, t.dtype, value, cpu_at(e, buffer, a.base, element));
        if (where) cpu_if_end(e, &branch);
        return;
    }
    /* The address's mask holds the tail, so lanes that do not exist write nothing. */
    cpu_val mask = cpu_truth(e, a.mask, where);
    if (mask) mask = cpu_splat(e, mask, e->lanes);
    value = narrowed(e, t.dtype, cpu_splat(e, value, e->lanes));
    /* Lanes side by side are one masked store; else each lane writes to an address of its own. */
    if (is_step(e, &a, 1)) store(e, element, value, cpu_at(e, buffer, a.base, element), mask);
    else scatter(e, element, value, cpu_at(e, buffer, lane_addresses(e, &a), element), mask);
}

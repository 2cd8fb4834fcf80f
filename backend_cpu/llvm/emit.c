/* The frame of a kernel's function: its arguments, the loop over items, and from the number of an item the indices of its axes.
 *
 *   void k(const rt_frame *frame, int64_t first, int64_t last, void *scratch)
 *     for item in first .. last:  axes of the item, row-major over ITEM axes and tiles of TILE axes;  then the walk of nest.c or block.c
 */
#include <string.h>
#include "emit.h"
#include "module.h"

/* Emitting is recursive and deep, so a kernel that cannot be emitted leaves by one jump. What LLVM holds by then belongs to the module, and the builder is
 * disposed of where the jump arrives. */
_Noreturn void cpu_give_up(cpu_emitter *e, const char *why) {
    e->wrong = why;
    longjmp(*e->give_up, 1);
}

/* Only slots of the entry block become registers; one made inside a loop would also grow the stack with every round. So the builder
 * goes there and comes back. */
cpu_val cpu_slot(cpu_emitter *e, LLVMTypeRef type, const char *name) {
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    cpu_val first = LLVMGetFirstInstruction(e->entry);
    if (first) LLVMPositionBuilderBefore(e->b, first);
    else LLVMPositionBuilderAtEnd(e->b, e->entry);
    cpu_val slot = LLVMBuildAlloca(e->b, type, name);
    LLVMPositionBuilderAtEnd(e->b, here);
    return slot;
}

/* ---- control flow. Loops are tested before the first round and at the end of each, so that what they do not change can be moved out. */

static LLVMBasicBlockRef block(cpu_emitter *e, const char *name) { return LLVMAppendBasicBlockInContext(e->c, e->fn, name); }

/*   from:  if lo < hi goto head else done
 *   head:  i = phi [lo, from] [next, latch]    ... the body, any number of blocks; the last is the latch ...
 *   latch: next = i + step    if next < hi goto head else done
 * The first test stands outside, so the head is reached only if there is a round: what does not change may be computed before it. */
cpu_loop cpu_loop_begin(cpu_emitter *e, cpu_val lo, cpu_val hi, int64_t step, const char *name) {
    cpu_loop l = {.head = block(e, name), .done = NULL, .from = LLVMGetInsertBlock(e->b), .hi = hi, .step = cpu_int(e, step)};
    l.done = block(e, "done");
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, lo, hi, ""), l.head, l.done);
    LLVMPositionBuilderAtEnd(e->b, l.head);
    l.index = LLVMBuildPhi(e->b, e->i64, "i");
    LLVMAddIncoming(l.index, &lo, &l.from, 1);
    return l;
}
/* The body may have ended in another block than it began in, so the latch is wherever the builder stands now. The counter never wraps (NSW): hi is an extent. */
void cpu_loop_end(cpu_emitter *e, cpu_loop *l) {
    cpu_val next = LLVMBuildNSWAdd(e->b, l->index, l->step, "next");
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    LLVMAddIncoming(l->index, &next, &here, 1);
    LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, next, l->hi, ""), l->head, l->done);
    LLVMPositionBuilderAtEnd(e->b, l->done);
}
/* No else and no phi: what a branch leaves behind it writes to memory. */
cpu_if cpu_if_begin(cpu_emitter *e, cpu_val condition, const char *name) {
    LLVMBasicBlockRef then = block(e, name);
    cpu_if branch = {block(e, "done")};
    LLVMBuildCondBr(e->b, condition, then, branch.done);
    LLVMPositionBuilderAtEnd(e->b, then);
    return branch;
}
void cpu_if_end(cpu_emitter *e, cpu_if *branch) {
    LLVMBuildBr(e->b, branch->done);
    LLVMPositionBuilderAtEnd(e->b, branch->done);
}
/* The name shows in the text of the module; to the code the jump is nothing, and simplifycfg removes it. */
void cpu_phase(cpu_emitter *e, const char *name) {
    LLVMBasicBlockRef next = block(e, name);
    LLVMBuildBr(e->b, next);
    LLVMPositionBuilderAtEnd(e->b, next);
}

/* ---- the function */

/* LLVM knows some attributes by number and takes others, of the code generator, as pairs of texts. */
static void attribute(cpu_emitter *e, cpu_val fn, const char *name) {
    const unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, LLVMCreateEnumAttribute(e->c, kind, 0));
}
static void attribute_text(cpu_emitter *e, cpu_val fn, const char *name, const char *value) {
    LLVMAttributeRef a = LLVMCreateStringAttribute(e->c, name, (unsigned)strlen(name), value, (unsigned)strlen(value));
    LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, a);
}
/* "no-builtins": loops must never become calls of memset or memcpy. Wide vectors are asked for: they are ours, not the optimiser's guess. */
void cpu_function_attributes(cpu_emitter *e, cpu_val fn) {
    attribute(e, fn, "nounwind");
    attribute_text(e, fn, "no-builtins", "");
    attribute_text(e, fn, "prefer-vector-width", "512");
    attribute_text(e, fn, "min-legal-vector-width", "512");
    attribute_text(e, fn, "target-cpu", e->target->cpu);
    attribute_text(e, fn, "target-features", e->target->features);
}

/* Two blocks from the start: `entry` for slots alone, `frame` for the code; finish_entry joins them. */
static void function_create(cpu_emitter *e, const char *name) {
    LLVMTypeRef args[] = {e->ptr, e->i64, e->i64, e->ptr};
    e->fn = LLVMAddFunction(e->m, name, LLVMFunctionType(LLVMVoidTypeInContext(e->c), args, 4, 0));
    cpu_function_attributes(e, e->fn);
    static const char *const names[] = {"frame", "first", "last", "scratch"};
    for (unsigned i = 0; i < 4; i++) LLVMSetValueName2(LLVMGetParam(e->fn, i), names[i], strlen(names[i]));
    e->entry = block(e, "entry");
    LLVMBasicBlockRef start = block(e, "frame");
    LLVMPositionBuilderAtEnd(e->b, start);
}

/* Pointers, dimensions and counters are loaded once, in the first block, so they dominate everything. Counters are entered as known values:
 * an expression that mentions one finds it there. */
static void load_frame(cpu_emitter *e) {
    cpu_val frame = LLVMGetParam(e->fn, 0);
    e->scratch = LLVMGetParam(e->fn, 3);
    cpu_val ints = LLVMBuildLoad2(e->b, e->ptr, frame, "ints");
    cpu_val second = cpu_int(e, (int64_t)offsetof(rt_frame, buffers));
    cpu_val buffers = LLVMBuildLoad2(e->b, e->ptr, LLVMBuildGEP2(e->b, e->i8, frame, &second, 1, ""), "buffers");
    for (uint32_t i = 0; i < e->k->n_values + e->s->n_panels; i++) {
        const char *name = e->u->value.at[i < e->k->n_values ? e->k->values[i] : e->s->panels[i - e->k->n_values]].name;
        e->buffers[i] = LLVMBuildLoad2(e->b, e->ptr, cpu_at(e, buffers, cpu_int(e, i), e->ptr), name ? name : "");
    }
    for (uint32_t i = 0; i < e->k->n_dims; i++) {
        const ir_dim d = e->k->dims[i];
        e->dims[d] = LLVMBuildLoad2(e->b, e->i64, cpu_at(e, ints, cpu_int(e, i), e->i64), e->u->dim.at[d].name ? e->u->dim.at[d].name : "");
    }
    for (uint32_t i = 0; i < e->k->n_counters; i++) {
        cpu_val at = cpu_at(e, ints, cpu_int(e, e->k->n_dims + i), e->i64);
        cpu_known_put(e, ir_var_expr(e->u, e->k->counters[i]), LLVMBuildLoad2(e->b, e->i64, at, "counter"));
    }
}

/* Made once per kernel; types are unique in a context, so they are compared by address. */
static void types_init(cpu_emitter *e) {
    e->i1 = LLVMInt1TypeInContext(e->c);
    e->i8 = LLVMInt8TypeInContext(e->c);
    e->i32 = LLVMInt32TypeInContext(e->c);
    e->i64 = LLVMInt64TypeInContext(e->c);
    e->f32 = LLVMFloatTypeInContext(e->c);
    e->f64 = LLVMDoubleTypeInContext(e->c);
    e->ptr = LLVMPointerTypeInContext(e->c, 0);
    e->real = e->k->real == IR_TYPE_F64 ? e->f64 : e->f32;
    e->invariant = LLVMGetMDKindIDInContext(e->c, "invariant.load", 14);
}

/* What a line varies over, through the lines it reads: earlier ones are done when a later one asks. What a line binds itself is taken out
 * after the extents of what it binds, which may mention other axes. */
static ir_set part_reach(cpu_emitter *e, ir_expr x) { return x ? cpu_reach(e, x) : 0; }
static void lets_reach(cpu_emitter *e) {
    for (uint32_t i = 0; i < e->k->n_lets; i++) {
        const ir_let *l = &e->k->lets[i];
        ir_set all = ir_set_union(e->u, part_reach(e, l->e), part_reach(e, l->kind == IR_LET_EXPR ? 0 : l->where));
        all = ir_set_union(e->u, all, ir_set_union(e->u, part_reach(e, l->a), part_reach(e, l->b)));
        for (uint32_t o = 0; o < l->n_over; o++)
            all = ir_set_union(e->u, all, part_reach(e, e->k->axes[cpu_axis_of(e, l->over[o])].extent));
        if (l->n_over) all = ir_set_minus(e->u, all, ir_set_of(e->u, l->n_over, l->over));
        e->let_reach[i] = all;
    }
}

/* Arena memory is zeroed: NULL everywhere means that nothing is bound, filled or moved yet. The scope pushed here is never popped: it holds the
   frame. */
static void emitter_init(cpu_emitter *e) {
    const ir_kernel *k = e->k;
    e->buffers = BASE_ARRAY(e->arena, k->n_values + e->s->n_panels, cpu_val);
    e->dims = BASE_ARRAY(e->arena, e->u->dim.n, cpu_val);
    e->axis = BASE_ARRAY(e->arena, k->n_axes, cpu_val);
    e->lo = BASE_ARRAY(e->arena, k->n_axes, cpu_val);
    e->hi = BASE_ARRAY(e->arena, k->n_axes, cpu_val);
    e->slot = BASE_ARRAY(e->arena, k->n_lets, cpu_val);
    e->moved = BASE_ARRAY(e->arena, k->n_lets, cpu_val);
    e->factor = BASE_ARRAY(e->arena, k->n_lets, cpu_val);
    e->filled = BASE_ARRAY(e->arena, k->n_lets, cpu_val);
    e->named = BASE_ARRAY(e->arena, k->n_lets, uint32_t);
    e->let_reach = BASE_ARRAY(e->arena, k->n_lets, ir_set);
    e->lane = e->block_axis = -1;
    e->lanes = 1;
    types_init(e);
    lets_reach(e);
    cpu_scope_push(e, 0);
}

/* ---- items */

/* Items are numbered row-major over the axes that a launch is cut along, so that neighbours in a chunk touch neighbouring memory. */

/* Without cpu_apply: bounds are i64 scalars always, and no expression stands for them. */
static cpu_val least(cpu_emitter *e, cpu_val a, cpu_val b) {
    return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, a, b, ""), a, b, "");
}

/* What of an axis one item covers, from lo to hi: one index, a tile or all. */
static void range_of(cpu_emitter *e, uint32_t a, cpu_val index) {
    const ir_axis_schedule *w = &e->s->axes[a];
    if (w->walk == IR_WALK_ITEM) e->lo[a] = index;
    /* hi stays NULL for an item: it is one index, and nobody loops over it. */
    else if (w->walk == IR_WALK_LOOP) {
        e->lo[a] = cpu_int(e, 0);
        e->hi[a] = cpu_extent(e, (int32_t)a);
    } else {
        e->lo[a] = LLVMBuildMul(e->b, index, cpu_int(e, w->tile), "lo");
        e->hi[a] = least(e, LLVMBuildAdd(e->b, e->lo[a], cpu_int(e, w->tile), ""), cpu_extent(e, (int32_t)a));
    }
}

/* Items and rows, and columns that the launch is cut along. */
static bool outer_axis(const cpu_emitter *e, uint32_t a) {
    const uint8_t role = e->k->axes[a].role;
    return role == IR_ITEM || role == IR_ROW || e->s->axes[a].walk != IR_WALK_LOOP;
}

/* Splits the number of an item: the last axis runs fastest. */
static void item_ranges(cpu_emitter *e, cpu_val item) {
    for (uint32_t a = e->k->n_axes; a--;) {
        /* Columns, values and features that the launch does not cut: the walk runs over all of them and asks for no range. */
        if (!outer_axis(e, a)) continue;
        cpu_val index = item;
        if (e->s->axes[a].walk != IR_WALK_LOOP) {
            cpu_val n = cpu_extent(e, (int32_t)a);
            /* Rounded up: the last tile may be partly filled, and range_of cuts it at the extent. Item numbers are not negative, so division is
               unsigned. */
            const int32_t tile = e->s->axes[a].tile;
            if (e->s->axes[a].walk == IR_WALK_TILE) n = LLVMBuildSDiv(e->b, LLVMBuildAdd(e->b, n, cpu_int(e, tile - 1), ""), cpu_int(e, tile), "tiles");
            index = LLVMBuildURem(e->b, item, n, "");
            item = LLVMBuildUDiv(e->b, item, n, "");
        }
        range_of(e, a, index);
    }
}

/* Binds items and rows from axis a on, outermost first; the walk of nest.c or block.c, which binds the rest, is innermost. */
static void outer_axes(cpu_emitter *e, uint32_t a) {
    if (a == e->k->n_axes) {
        if (e->s->form == IR_ATTEND) cpu_attend(e);
        else if (e->s->form == IR_CONTRACT) cpu_contract(e);
        else if (e->s->lanes == IR_COL) cpu_block(e);     /* FEW too */
        else cpu_nest(e);
        return;
    }
    /* The row axis and the lane axis are the walk's own: block.c and nest.c bind them themselves, within lo and hi. */
    const bool walked = !outer_axis(e, a) || (int32_t)a == e->s->row_axis || (int32_t)a == e->s->lane_axis;
    if (walked) {
        outer_axes(e, a + 1);
        return;
    }
    const bool loops = e->s->axes[a].walk != IR_WALK_ITEM;
    cpu_loop l;
    if (loops) l = cpu_loop_begin(e, e->lo[a], e->hi[a], 1, "outer");
    cpu_bind(e, (int32_t)a, loops ? l.index : e->lo[a]);
    outer_axes(e, a + 1);
    cpu_unbind(e, (int32_t)a);
    if (loops) cpu_loop_end(e, &l);
}

/* A worker calls the function with its chunk of items; nothing is carried from one item to the next but what the frame says. */
static void items(cpu_emitter *e) {
    cpu_loop l = cpu_loop_begin(e, LLVMGetParam(e->fn, 1), LLVMGetParam(e->fn, 2), 1, "item");
    cpu_scope_push(e, 0);
    item_ranges(e, l.index);
    outer_axes(e, 0);
    cpu_scope_pop(e);
    cpu_loop_end(e, &l);
    LLVMBuildRetVoid(e->b);
}

/* The entry block holds slots alone and gets its jump last, when all slots are known. */
static void finish_entry(cpu_emitter *e) {
    LLVMPositionBuilderAtEnd(e->b, e->entry);
    LLVMBuildBr(e->b, LLVMGetNextBasicBlock(e->entry));
}

static void emit_function(cpu_emitter *e, const char *name) {
    emitter_init(e);
    function_create(e, name);
    load_frame(e);
    items(e);
    finish_entry(e);
}

/* The builder is the caller's, who disposes of it also when memory runs out in here. */
/* What was emitted until a kernel gives up stays in the module, which is then thrown away with the whole compile. */
const char *cpu_emit_kernel(LLVMModuleRef module, LLVMBuilderRef builder, const ir_target *target, const ir_schedule *s, const char *name,
                            base_arena *arena) {
    jmp_buf give_up;
    cpu_emitter *e = BASE_NEW(arena, cpu_emitter);
    e->arena = arena;
    e->give_up = &give_up;
    e->target = target;
    e->s = s;
    e->k = s->kernel;
    e->u = s->kernel->unit;
    e->m = module;
    e->c = LLVMGetModuleContext(module);
    e->b = builder;
    if (setjmp(give_up) == 0) emit_function(e, name);
    return e->wrong;
}

/* The interpreter of steps: one call of an entry, over any device.
 *
 * A call owns a block of device memory (the workspace and, on devices with memory of their own or for arrays that are not dense, copies of
 * inputs and outputs), which comes from the instance's free list and goes back to it with rt_release. Steps run in order; a loop is a counter slot and a
 * jump; a check is an integer that some kernel has left: INT64_MAX, or the least position at which data are wrong.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "rt.h"

/* ---- blocks of device memory between calls */

/* bytes: what was asked of the device. `next` links free blocks only. */
typedef struct rt_block block;
struct rt_block { block *next; void *at; size_t bytes; };
/* Shared by all calls of an instance, which may run at the same time: hence the lock. */
struct rt_blocks {
    base_allocator allocator;
    rt_device *device;               /* NULL: the host */
    pthread_mutex_t lock;
    pid_t pid;                       /* a child after fork may find the lock held by a thread that it does not have: it keeps no blocks */
    block *free;
};

rt_blocks *rt_blocks_create(const base_allocator *allocator, rt_device *device) {
    base_allocator used = base_allocator_or_malloc(allocator);
    rt_blocks *blocks = used.alloc(used.self, sizeof *blocks);
    if (!blocks) return NULL;
    *blocks = (rt_blocks){.allocator = used, .device = device, .pid = getpid()};
    pthread_mutex_init(&blocks->lock, NULL);
    return blocks;
}

/* The host needs no object of its own to allocate: one is made on the spot. */
static rt_device *device_of(const rt_blocks *blocks, rt_host *host) {
    rt_executor none = {0};
    if (blocks->device) return blocks->device;
    rt_host_init(host, &none, &blocks->allocator);
    return &host->device;
}

static void block_destroy(rt_blocks *blocks, block *b) {
    rt_host host;
    if (!b) return;
    rt_device *device = device_of(blocks, &host);
    device->free(device, b->at, b->bytes);
    blocks->allocator.free(blocks->allocator.self, b, sizeof *b);
}

/* No call may run: blocks that calls still hold are not in the list and would be lost. */
void rt_blocks_destroy(rt_blocks *blocks) {
    if (!blocks) return;
    for (block *b = blocks->free, *next; b; b = next) {
        next = b->next;
        block_destroy(blocks, b);
    }
    pthread_mutex_destroy(&blocks->lock);
    blocks->allocator.free(blocks->allocator.self, blocks, sizeof *blocks);
}

/* Its own record comes from the allocator, the memory from the device: only the device knows what its addresses mean. */
static block *block_create(rt_blocks *blocks, size_t bytes) {
    rt_host host;
    rt_device *device = device_of(blocks, &host);
    block *b = blocks->allocator.alloc(blocks->allocator.self, sizeof *b);
    if (!b) return NULL;
    *b = (block){NULL, NULL, bytes};
    if (device->alloc(device, bytes, &b->at)) return b;
    blocks->allocator.free(blocks->allocator.self, b, sizeof *b);
    return NULL;
}

/* A free block of at least that size. One that is too small makes way, so that a model keeps as many as calls ran at a time.
 * Only the first of the list is looked at; creating and destroying happen outside of the lock, as they may be slow on a
 * device. */
static block *block_take(rt_blocks *blocks, size_t bytes) {
    if (blocks->pid != getpid()) return block_create(blocks, bytes);
    pthread_mutex_lock(&blocks->lock);
    block *b = blocks->free;
    if (b) blocks->free = b->next;
    pthread_mutex_unlock(&blocks->lock);
    if (b && b->bytes >= bytes) return b;
    block_destroy(blocks, b);
    return block_create(blocks, bytes);
}

static void block_put(rt_blocks *blocks, block *b) {
    if (!b) return;
    if (blocks->pid != getpid()) {
        block_destroy(blocks, b);
        return;
    }
    pthread_mutex_lock(&blocks->lock);
    b->next = blocks->free;
    blocks->free = b;
    pthread_mutex_unlock(&blocks->lock);
}

/* ---- where buffers lie */

/* One call while it runs. The arrays live in the call's arena, the block does not. */
typedef struct {
    rt_call *call;
    const rt_graph *graph;
    const rt_entry *entry;
    rt_device *device;
    void **buffers;                  /* by index of entry->buffers */
    int64_t *room;                   /* likewise: bytes that there are; -1: the buffer is not used */
    int64_t *place;                  /* by tensor: offset of its copy in the block, or -1: the kernels use the host's own memory */
    int64_t total, workspace;        /* of the block; of its first part */
    int64_t *ints;                   /* of the frame of a launch */
    void **operands;
    bool setup;                      /* the first steps, before there are inputs */
    uint32_t at, end;                /* step; where the steps end */
    uint32_t first_kernel;           /* of the entry, among those of the graph */
} running;

static const base_span nowhere = {0, 0, 0};

/* Why a device said no: the end of the call comes first, since a cancelled launch fails too; then memory, which the caller reports;
 * the rest is the device's own message. Always false. */
static bool failed(running *r) {
    if (rt_cancelled(&r->call->terms)) r->call->cancelled = true;
    else if (rt_late(&r->call->terms)) r->call->late = true;
    else if (!strcmp(r->device->error, "out of memory")) r->call->no_memory = true;
    else base_report(r->call->diags, BASE_MSG_DEVICE_FAILS, nowhere, r->device->name, r->device->error);
    return false;
}

/* Of the array as it is bound. It is one that there is, or rt_bind has compared its extents. */
static int64_t bytes_of(const running *r, uint32_t k) {
    const rt_array *a = &r->call->tensors[k];
    int64_t n = 0;
    return a->rank != RT_UNKNOWN && rt_count(a->rank, a->dim, &n) ? n * rt_dtypes[a->dtype].bytes : 0;
}

/* Parts of the block start at multiples of 64 bytes, as the block itself does; a sum beyond int64 is no size. */
static bool reserve(running *r, int64_t bytes, int64_t *offset) {
    *offset = r->total;
    return base_add(r->total, bytes, &r->total) && base_add(r->total, 63, &r->total) && (r->total &= ~(int64_t)63, true);
}

/* Whether an output lies where an input does. It must be as it was if the call fails, and kernels read the input while others write the
 * output: it is computed apart. */
static bool in_place(const running *r, uint32_t k) {
    const rt_array *all = r->call->tensors;
    for (uint32_t i = 0; i < r->graph->n_tensors && r->graph->tensors[k].kind == RT_TENSOR_OUTPUT; i++)
        if (r->graph->tensors[i].kind == RT_TENSOR_INPUT && all[i].data == all[k].data) return true;
    return false;
}

/* Params are never copied: they were put where the device reads them when the model was made. Anything else needs a copy if the
 * device cannot read the host's memory, if the host gave no memory (an output that it does not want), or if kernels could not index it. */
static bool needs_copy(const running *r, uint32_t k) {
    const rt_array *a = &r->call->tensors[k];
    if (r->setup || r->graph->tensors[k].kind == RT_TENSOR_PARAM) return false;
    return !r->device->host_memory || !a->data || (!rt_array_is_dense(a) && !(r->call->taken && r->call->taken[k])) || in_place(r, k);
}

/* The block: workspace first, then copies.
 * False only if the sizes do not fit an int64, which the caller takes for memory that is not there. */
static bool lay_out(running *r, uint32_t workspace_slot) {
    int64_t start;
    r->workspace = r->call->slots[workspace_slot];
    if (!reserve(r, r->workspace > 0 ? r->workspace : 0, &start)) return false;
    r->place = base_alloc_array(r->call->arena, r->graph->n_tensors, sizeof *r->place);
    for (uint32_t k = 0; k < r->graph->n_tensors; k++) {
        r->place[k] = -1;
        if (needs_copy(r, k) && !reserve(r, bytes_of(r, k), &r->place[k])) return false;
    }
    return true;
}

/* The copy if there is one. Params are the instance's own, since those of the call may lie where the device cannot read
 * them. */
static void *tensor_at(const running *r, uint32_t k) {
    if (r->place[k] >= 0) return (char *)r->call->memory->at + r->place[k];
    return r->graph->tensors[k].kind == RT_TENSOR_PARAM ? r->call->instance->params[k].data : r->call->tensors[k].data;
}

/* Bytes that there are where the buffer lies; -1: none at all. Work buffers count from the start of the block, whose first part the workspace is. */
static int64_t room_of(const running *r, uint32_t k) {
    const rt_buffer *b = &r->entry->buffers[k];
    const int64_t *slots = r->call->slots;
    switch (b->kind) {
    case RT_BUFFER_TENSOR: return r->setup && r->graph->tensors[b->index].kind != RT_TENSOR_PARAM ? INT64_MAX : bytes_of(r, b->index);
    case RT_BUFFER_WORK:
        if ((b->setup != 0) != r->setup) return INT64_MAX;
        return slots[b->offset] >= 0 && slots[b->offset] <= r->workspace ? r->workspace - slots[b->offset] : -1;
    default: return r->call->instance->fixed[r->call->entry][k].bytes;
    }
}

/* Addresses are found once per call, after the block is there; steps then only look them up. Sizes and offsets are what the integer program
 * says, which somebody else may have written: no step may reach beyond what is there. Buffers of the other half (the set-up's in a call) are not
 * used. */
static bool find_buffers(running *r) {
    r->buffers = base_alloc_array(r->call->arena, r->entry->n_buffers, sizeof *r->buffers);
    r->room = base_alloc_array(r->call->arena, r->entry->n_buffers, sizeof *r->room);
    for (uint32_t k = 0; k < r->entry->n_buffers; k++) {
        const rt_buffer *b = &r->entry->buffers[k];
        int64_t room = room_of(r, k);
        r->room[k] = room < INT64_MAX ? room : -1;
        if (room == INT64_MAX) continue;
        if (r->call->slots[b->bytes] < 0 || r->call->slots[b->bytes] > room) {
            base_report(r->call->diags, BASE_MSG_MODULE_DAMAGED, nowhere, r->graph->name, "its sizes do not fit each other");
            return false;
        }
        if (b->kind == RT_BUFFER_TENSOR) r->buffers[k] = tensor_at(r, b->index);
        else if (b->kind == RT_BUFFER_WORK) r->buffers[k] = (char *)r->call->memory->at + r->call->slots[b->offset];
        else r->buffers[k] = r->call->instance->fixed[r->call->entry][k].at;
    }
    return true;
}

/* Packed on the way: on the host straight into the block, on a device through a dense copy if the input is not dense. */
static bool copy_input(running *r, uint32_t k) {
    const rt_array *a = &r->call->tensors[k];
    size_t bytes = (size_t)bytes_of(r, k);
    void *to = tensor_at(r, k);
    if (r->device->host_memory) {
        rt_array_pack(a, to);
        return true;
    }
    const void *from = a->data;
    if (!rt_array_is_dense(a)) {
        void *packed = base_alloc(r->call->arena, bytes);
        rt_array_pack(a, packed);
        from = packed;
    }
    return r->device->copy_in(r->device, to, from, bytes) || failed(r);
}

static bool copy_inputs(running *r) {
    for (uint32_t k = 0; k < r->graph->n_tensors; k++)
        if (r->graph->tensors[k].kind == RT_TENSOR_INPUT && r->place[k] >= 0 && !copy_input(r, k)) return false;
    return true;
}

/* What the host does not want, or what the kernels wrote straight into its memory, is not copied. All else has gone well: what lies in place of an
 * input changes here at once. */
static bool copy_outputs(running *r) {
    for (uint32_t k = 0; k < r->graph->n_tensors; k++) {
        void *to = r->call->tensors[k].data;
        if (r->graph->tensors[k].kind != RT_TENSOR_OUTPUT || r->place[k] < 0 || !to) continue;
        if (!r->device->copy_out(r->device, to, tensor_at(r, k), (size_t)bytes_of(r, k))) return failed(r);
    }
    return true;
}

/* ---- steps */

static rt_tally *tally_of(const rt_call *call) { return call->instance->tally ? call->instance->tally[call->entry] : NULL; }

/* The values of the frame are taken from the slots now: a launch inside a loop sees this turn's. A launch of no items is
 * none. */
static bool launch(running *r, const rt_step *s) {
    const rt_kernel *k = &r->entry->kernels[s->kernel];
    const int64_t *slots = r->call->slots;
    if (r->setup && r->call->done && r->call->done[r->at]) return true;
    for (uint32_t i = 0; i < k->n_ints; i++) r->ints[i] = slots[s->ints[i]];
    for (uint32_t i = 0; i < k->n_buffers; i++) r->operands[i] = r->buffers[s->buffers[i]];
    rt_launch l = {.kernel = k, .frame = {r->ints, r->operands}, .items = slots[s->items], .cost_of_item = slots[s->cost], .call = &r->call->terms,
                   .scratch_bytes = slots[s->scratch], .order = s->order, .period = s->period ? slots[s->period - 1] : 0,
                   .tally = r->setup || r->call->instance->device ? NULL : tally_of(r->call)};
    if (l.items <= 0) return true;
    /* Numbers that no compiler writes. */
    if (l.cost_of_item < 0) l.cost_of_item = 0;
    if (l.scratch_bytes < 0) l.scratch_bytes = 0;
    if (l.period < 0) l.period = 0;
    if (!r->device->launch(r->device, &l)) return failed(r);
    r->call->items += l.items;
    r->call->predicted_s += rt_launch_seconds(s, slots);
    return true;
}

/* Timing waits for each launch, so it is done only when somebody asks: launches of a device otherwise overlap. */
static bool step_launch(running *r, const rt_step *s) {
    rt_kernel_time *time = r->call->times ? &r->call->times[r->first_kernel + s->kernel] : NULL;
    int64_t start = time ? rt_now_ns() : 0;
    if (!launch(r, s)) return false;
    if (time) {
        if (!r->device->wait(r->device)) return failed(r);
        time->seconds += 1e-9 * (double)(rt_now_ns() - start);
        time->launches++;
    }
    r->at++;
    return true;
}

/* Sizes inside a loop may depend on its counter, so they are computed again in each turn, checked as before. */
static bool run_ops(running *r, const rt_step *s) {
    rt_ints_error error;
    if (rt_ints_run(r->entry->ops + s->first_op, s->n_ops, r->call->read, r->call->slots, &error)) return true;
    base_report(r->call->diags, BASE_MSG_SIZE_OVERFLOW, nowhere, "graph", r->graph->name);
    return false;
}

/* The test stands at the head: a loop from 3 to 3 runs no turn.
 * Puts the counter in its slot and goes on inside the loop, or behind it. The caller has set r->at to the first step of
 * the body. */
static bool enter(running *r, const rt_step *loop, int64_t counter) {
    r->call->slots[loop->counter] = counter;
    if (counter < r->call->slots[loop->hi]) return run_ops(r, loop);
    r->at = loop->target;
    return true;
}

static bool step_loop(running *r, const rt_step *s) {
    r->at++;
    return enter(r, s, r->call->slots[s->lo]);
}

/* The step after a LOOP is what NEXT points at, so the loop itself stands just before. */
static bool step_next(running *r, const rt_step *s) {
    const rt_step *loop = &r->entry->steps[s->target - 1];
    r->at = s->target;
    int64_t counter = r->call->slots[loop->counter];
    return enter(r, loop, counter < INT64_MAX ? counter + 1 : counter);
}

/* A buffer that is too small for what a step does with it. */
static bool too_small(running *r) {
    base_report(r->call->diags, BASE_MSG_MODULE_DAMAGED, nowhere, r->graph->name, "a step reaches beyond its buffer");
    return false;
}

/* Bytes of a buffer in this turn of a loop, whose operations may have changed them; -1: more than there are. */
static int64_t bytes_now(const running *r, uint32_t buffer) {
    int64_t bytes = r->call->slots[r->entry->buffers[buffer].bytes];
    return bytes <= r->room[buffer] ? bytes : -1;
}

/* The host needs the value to go on, so everything launched so far must be over: it waits. */
static bool fetch(running *r, uint32_t buffer, void *to, size_t bytes) {
    if (bytes_now(r, buffer) < (int64_t)bytes) return too_small(r);
    return (r->device->wait(r->device) && r->device->copy_out(r->device, to, r->buffers[buffer], bytes)) || failed(r);
}

/* One byte: the condition of a loop, computed by a kernel. */
static bool step_test(running *r, const rt_step *s) {
    uint8_t go;
    if (!fetch(r, s->buffers[0], &go, sizeof go)) return false;
    r->at = go ? r->at + 1 : s->target;
    return true;
}

/* All is well: on behind the failure steps. Otherwise the next steps find out what was wrong there and end with a FAIL. */
static bool step_check(running *r, const rt_step *s) {
    int64_t position;
    if (!fetch(r, s->buffers[0], &position, sizeof position)) return false;
    r->at = position == INT64_MAX ? s->target : r->at + 1;
    return true;
}

/* As many bytes as the target has; both buffers hold the same value type, such as the first value of a carry. */
static bool step_copy(running *r, const rt_step *s) {
    const int64_t bytes = bytes_now(r, s->buffers[0]);
    if (bytes < 0 || bytes_now(r, s->buffers[1]) < bytes) return too_small(r);
    r->at++;
    return r->device->copy(r->device, r->buffers[s->buffers[0]], r->buffers[s->buffers[1]], (size_t)bytes) || failed(r);
}

static bool step_zero(running *r, const rt_step *s) {
    const int64_t bytes = bytes_now(r, s->buffers[0]);
    if (bytes < 0) return too_small(r);
    r->at++;
    return r->device->zero(r->device, r->buffers[s->buffers[0]], (size_t)bytes) || failed(r);
}

/* "b = 0, i = 17": the linear position taken apart.
 * The text grows from the last variable to the first, since the last one runs fastest. */
static const char *position_text(const running *r, const rt_check *c, int64_t position) {
    base_arena *arena = r->call->diags->arena;
    const char *text = "";
    if (c->n_positions == 0) return "the only position";
    for (uint32_t k = c->n_positions; k-- > 0;) {
        /* An extent of 0 has no positions, so a check over it finds nothing; the test only keeps the division safe. */
        int64_t extent = r->call->slots[c->positions[k]];
        int64_t at = extent > 0 ? position % extent : 0;
        position = extent > 0 ? position / extent : 0;
        text = base_printf(arena, "%s = %lld%s%s", c->position_names[k], (long long)at, *text ? ", " : "", text);
    }
    return text;
}

/* Always false: the call ends with this report. The texts of `what` are those that the pass `checks` gives. */
static bool step_fail(running *r, const rt_step *s) {
    const rt_check *c = &r->entry->checks[s->check];
    base_diags *diags = r->call->diags;
    int64_t position, found;
    if (!fetch(r, s->buffers[0], &position, sizeof position) || !fetch(r, s->buffers[1], &found, sizeof found)) return false;
    base_span span = rt_span(diags, &c->place);
    const char *at = position_text(r, c, position);
    if (!strcmp(c->what, "index")) {
        long long limit = (long long)r->call->slots[c->limit];
        base_report(diags, BASE_MSG_INDEX_RANGE, span, (long long)found, c->axis, c->tensor, limit, at);
    } else if (!strcmp(c->what, "divisor")) base_report(diags, BASE_MSG_ZERO_DIVISOR, span, at);
    else if (!strcmp(c->what, "place")) base_report(diags, BASE_MSG_PLACE_RANGE, span, (long long)found, at);
    else if (!strcmp(c->what, "bit")) base_report(diags, BASE_MSG_BIT_RANGE, span, (long long)found, at);
    else base_report(diags, BASE_MSG_INT_OVERFLOW, span, c->what, at);
    return false;
}

typedef bool step_fn(running *r, const rt_step *s);
/* By kind. Each function moves r->at itself, since half of them may jump. */
static step_fn *const step_fns[] = {
    [RT_STEP_LAUNCH] = step_launch, [RT_STEP_LOOP] = step_loop, [RT_STEP_NEXT] = step_next,   [RT_STEP_TEST] = step_test,
    [RT_STEP_COPY] = step_copy,     [RT_STEP_ZERO] = step_zero, [RT_STEP_CHECK] = step_check, [RT_STEP_FAIL] = step_fail,
};

/* Cancel and deadline are seen between steps; executors look at them too. The wait at the end makes the outputs complete. */
static bool run_steps(running *r) {
    while (r->at < r->end) {
        if (rt_over(&r->call->terms)) return failed(r);
        const rt_step *s = &r->entry->steps[r->at];
        if (!step_fns[s->kind](r, s)) return false;
    }
    return r->device->wait(r->device) || failed(r);
}

/* One frame for all launches, as large as the largest: a launch has read it when it returns, and nothing is allocated between
 * steps. */
static void make_frames(running *r) {
    uint32_t n_ints = 0, n_buffers = 0;
    for (uint32_t k = 0; k < r->entry->n_kernels; k++) {
        if (r->entry->kernels[k].n_ints > n_ints) n_ints = r->entry->kernels[k].n_ints;
        if (r->entry->kernels[k].n_buffers > n_buffers) n_buffers = r->entry->kernels[k].n_buffers;
    }
    r->ints = base_alloc_array(r->call->arena, n_ints, sizeof *r->ints);
    r->operands = base_alloc_array(r->call->arena, n_buffers, sizeof *r->operands);
}

/* What executors may rely on, also for a caller that said nothing. */
static void set_terms(attn_call *terms) {
    terms->struct_size = sizeof *terms;
    if (!(terms->weight > 0)) terms->weight = 1;
}

/* No memory is a matter of the caller: his arena's recovery point, or a status. */
static bool start(running *r, uint32_t workspace) {
    make_frames(r);
    if (!lay_out(r, workspace) || !(r->call->memory = block_take(r->call->instance->blocks, (size_t)r->total))) {
        r->call->no_memory = true;
        return false;
    }
    return find_buffers(r);
}

static running running_of(rt_call *call, rt_host *host) {
    const rt_instance *i = call->instance;
    set_terms(&call->terms);
    running r = {.call = call, .graph = i->graph, .entry = rt_entry_of(call), .device = i->device};
    if (!r.device) {
        rt_host_init(host, &i->executor, &i->allocator);
        r.device = &host->device;
    }
    r.first_kernel = rt_first_kernel(i->graph, call->entry);
    return r;
}

/* rt_bind has filled the slots. False: reported, or cancelled, late or no_memory is set. The caller calls rt_release in any
 * case. */
static bool run(rt_call *call) {
    rt_host host;
    running r = running_of(call, &host);
    r.at = r.entry->n_setup;
    r.end = r.entry->n_steps;
    return start(&r, r.entry->workspace) && copy_inputs(&r) && run_steps(&r) && copy_outputs(&r);
}

/* The caller has filled the slots that follow from params, and found memory for what is kept. */
bool rt_run_setup(rt_call *call) {
    rt_host host;
    running r = running_of(call, &host);
    r.setup = true;
    r.end = r.entry->n_setup;
    return start(&r, r.entry->setup_workspace) && run_steps(&r);
}

bool rt_run(rt_call *call) {
    rt_tally *t = tally_of(call);
    int64_t start = t ? rt_now_ns() : 0;
    bool done = run(call);
    if (!t) return done;
    int64_t elapsed = rt_now_ns() - start;
    rt_tally_call(t, done, elapsed, call->predicted_s);
    /* A device computes on its own time, of which a call has all. */
    if (call->instance->device) rt_tally_items(t, call->items, elapsed);
    return done;
}

/* Also after a failure, and after the arena jumped: the block is no arena memory, and the next call takes it. */
void rt_release(rt_call *call) {
    block_put(call->instance->blocks, call->memory);
    call->memory = NULL;
}

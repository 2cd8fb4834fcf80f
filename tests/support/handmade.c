/* The tables of the module and the functions behind its kernels. Its images are no code: functions are put into what was read. */
#include "handmade.h"

/* ---- kernels */

static void twice(const rt_frame *f, int64_t first, int64_t last, void *scratch) {
    int64_t *kept = f->buffers[0];
    const int64_t *w = f->buffers[1];
    (void)first, (void)last, (void)scratch;
    kept[0] = f->ints[0] > 0 ? 2 * w[0] : 0;
}

static void find_99(const rt_frame *f, int64_t first, int64_t last, void *scratch) {
    int64_t *at = f->buffers[0];
    const int64_t *w = f->buffers[1];
    (void)first, (void)last, (void)scratch;
    *at = INT64_MAX;
    for (int64_t k = f->ints[0]; k-- > 0;)
        if (w[k] == 99) *at = k;
}

static void fetch_99(const rt_frame *f, int64_t first, int64_t last, void *scratch) {
    (void)first, (void)last, (void)scratch;
    *(int64_t *)f->buffers[0] = ((const int64_t *)f->buffers[2])[*(const int64_t *)f->buffers[1]];
}

static void add(const rt_frame *f, int64_t first, int64_t last, void *scratch) {
    int64_t *y = f->buffers[0];
    const int64_t *kept = f->buffers[1], *five = f->buffers[2];
    (void)scratch;
    for (int64_t k = first; k < last; k++) y[k] += kept[0] + five[0];
}

/* ---- tables */

enum { N, M, SHAPES, TWO = SHAPES, IS_TWO, LO, HI, COUNTER, ONE, EIGHT, X_BYTES, W_BYTES, AT, FOUND, WORKSPACE, SETUP_WORKSPACE, N_SLOTS };
enum { X, W, Y, KEPT, FIVE, GO, POSITION, OFFENDER, N_BUFFERS };

static const uint32_t dims_n[] = {N}, dims_m[] = {M}, counter[] = {COUNTER}, only_y[] = {Y}, y_from_x[] = {Y, X}, keeping[] = {KEPT, W}, position[] = {POSITION};
static const uint32_t search[] = {POSITION, W}, fetching[] = {OFFENDER, POSITION, W}, failing[] = {POSITION, OFFENDER}, adding[] = {Y, KEPT, FIVE}, go[] = {GO};
static const char *const n_text[] = {"N"}, *const m_text[] = {"M"}, *const dim_names[] = {"N", "M"}, *const names[] = {"m"}, *const remarks[] = {"made by hand"};
static const int64_t five = 5;
static const uint8_t yes = 1, image[64] = {0xc3};

static const rt_int_op graph_ops[] = {{.op = RT_INT_SHAPE, .dst = N, .a = 0}, {.op = RT_INT_SHAPE, .dst = M, .a = 1}, {.op = RT_INT_REQUIRE, .a = N, .literal = 0}};
#define LITERAL(slot, value) {.op = RT_INT_LITERAL, .dst = slot, .literal = value}
#define OPS(special) \
    {LITERAL(TWO, 2), {.op = RT_INT_EQ, .dst = IS_TWO, .a = N, .b = TWO}, LITERAL(LO, 0), LITERAL(HI, 3), LITERAL(ONE, 1), LITERAL(EIGHT, 8), \
     {.op = RT_INT_MUL, .dst = X_BYTES, .a = N, .b = EIGHT}, {.op = RT_INT_MUL, .dst = W_BYTES, .a = M, .b = EIGHT}, LITERAL(AT, 0), LITERAL(FOUND, 64), \
     LITERAL(WORKSPACE, special), LITERAL(SETUP_WORKSPACE, 128)}
static const rt_int_op general_ops[] = OPS(0), special_ops[] = OPS(64);
static const rt_int_op loop_ops[] = {{.op = RT_INT_ADD, .dst = ONE, .a = LO, .b = ONE}};

#define KERNEL(title, ints, all) {.name = title, .image = {image, sizeof image, 0, ""}, .n_ints = ints, .n_buffers = all, .n_results = 1, .text = "by hand"}
static const rt_kernel kernels[] = {KERNEL("kept", 1, 2), KERNEL("w_at", 1, 2), KERNEL("w_found", 1, 3), KERNEL("y", 1, 3)};
static rt_kernel_fn *const functions[] = {twice, find_99, fetch_99, add};

static const rt_buffer buffers[] = {
    [X] = {.kind = RT_BUFFER_TENSOR, .index = 0, .bytes = X_BYTES},
    [W] = {.kind = RT_BUFFER_TENSOR, .index = 1, .bytes = W_BYTES},
    [Y] = {.kind = RT_BUFFER_TENSOR, .index = 2, .bytes = X_BYTES},
    [KEPT] = {.kind = RT_BUFFER_KEPT, .bytes = EIGHT},
    [FIVE] = {.kind = RT_BUFFER_CONST, .data = &five, .data_bytes = 8, .bytes = EIGHT},
    [GO] = {.kind = RT_BUFFER_CONST, .data = &yes, .data_bytes = 1, .bytes = ONE},
    [POSITION] = {.kind = RT_BUFFER_WORK, .offset = AT, .bytes = EIGHT, .setup = 1},
    [OFFENDER] = {.kind = RT_BUFFER_WORK, .offset = FOUND, .bytes = EIGHT, .setup = 1},
};
#define LAUNCH(k, number, int_slots, list, ...) \
    {.kind = RT_STEP_LAUNCH, .kernel = k, .items = number, .cost = EIGHT, .scratch = LO, .ints = int_slots, .n_ints = 1, .buffers = list, \
     .n_buffers = sizeof list / sizeof *list, __VA_ARGS__}
static const rt_step steps[] = {
    LAUNCH(0, EIGHT, dims_m, keeping, .same = 1),
    LAUNCH(1, EIGHT, dims_m, search, .same = 0),
    {.kind = RT_STEP_CHECK, .buffers = position, .n_buffers = 1, .target = 5},
    LAUNCH(2, EIGHT, dims_m, fetching, .same = 0),
    {.kind = RT_STEP_FAIL, .buffers = failing, .n_buffers = 2, .check = 0},
    {.kind = RT_STEP_ZERO, .buffers = only_y, .n_buffers = 1},
    {.kind = RT_STEP_COPY, .buffers = y_from_x, .n_buffers = 2},
    {.kind = RT_STEP_LOOP, .counter = COUNTER, .lo = LO, .hi = HI, .target = 11, .first_op = 0, .n_ops = 1},
    {.kind = RT_STEP_TEST, .buffers = go, .n_buffers = 1, .target = 11},
    LAUNCH(3, N, counter, adding, .same = 0),
    {.kind = RT_STEP_NEXT, .counter = COUNTER, .target = 8, .first_op = 0, .n_ops = 1},
};
static const rt_check checks[] = {{"index", "w", 0, N, dims_m, names, 1, {"handmade.attn", 1, 1}}};

#define ENTRY(title, program, slot) \
    {.name = title, .n_slots = N_SLOTS, .bind = program, .n_bind = sizeof program / sizeof *program, .n_applies = 2, .applies = slot, .kernels = kernels, .n_kernels = 4, \
     .buffers = buffers, .n_buffers = N_BUFFERS, .steps = steps, .n_steps = sizeof steps / sizeof *steps, .n_setup = 5, .checks = checks, .n_checks = 1, \
     .ops = loop_ops, .n_ops = 1, .workspace = WORKSPACE, .setup_workspace = SETUP_WORKSPACE, .remarks = remarks, .n_remarks = 1}
static const rt_entry entries[] = {ENTRY("N = 2", special_ops, IS_TWO), ENTRY(NULL, general_ops, RT_NONE)};

static const rt_tensor_info tensors[] = {{RT_TENSOR_INPUT, "x", RT_NONE, RT_I64, 1, dims_n, n_text, 0, {0}},
                                         {RT_TENSOR_PARAM, "w", 0, RT_I64, 1, dims_m, m_text, 0, {0}},
                                         {RT_TENSOR_OUTPUT, "y", RT_NONE, RT_I64, 1, dims_n, n_text, 0, {0}}};
static const rt_fact facts[] = {{"N != 0", {"handmade.attn", 1, 7}}};
static const rt_graph graphs[] = {{.name = "g", .tensors = tensors, .n_tensors = 3, .dim_names = dim_names, .n_dims = 2, .n_slots = SHAPES, .bind = graph_ops,
                                   .n_bind = sizeof graph_ops / sizeof *graph_ops, .facts = facts, .n_facts = 1, .entries = entries, .n_entries = 2}};
static const rt_param_info params[] = {{"w", "w.{l}", RT_I64, 1, m_text, {"handmade.attn", 1, 1}}};
static const rt_source sources[] = {{"handmade.attn", "graph g", 7}};
const rt_module handmade = {.magic = RT_MAGIC, .abi = RT_ABI, .struct_size = sizeof(rt_module), .target = "cpu", .compiler = "by hand", .sources = sources,
                            .n_sources = 1, .params = params, .n_params = 1, .graphs = graphs, .n_graphs = 1};

void handmade_load(const rt_module *read) {
    for (uint32_t g = 0; g < read->n_graphs; g++)
        for (uint32_t e = 0; e < read->graphs[g].n_entries; e++)
            for (uint32_t k = 0; k < read->graphs[g].entries[e].n_kernels && k < 4; k++)
                ((rt_kernel *)(uintptr_t)read->graphs[g].entries[e].kernels)[k].fn = functions[k];
}

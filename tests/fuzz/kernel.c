/* Texts of kernels: read, printed, read again; run literally in its three ways; some of them scheduled, compiled and run in guarded memory. */
#include <string.h>
#include "diff.h"
#include "fuzz_ir.h"
#include "passes.h"

static const char *const words[] = {"(", ")", "[", "]", ":", ",", "..", "0..", "$0", "$1", "$2", "....", "rc..", "r.v.", "..vf", "rcvf", "dot ", "pair ", "fold ", "acc ",
    " . ", "over ", "where ", "sweep 1", "sweep ", "relative to 2^$1", "store ", "access ", "base ", "by ", "gather by ", "into ", "last", "+=", "item ", "row ", "col ", "val ",
    "feat ", "inside ", "dims ", "counter ", "value ", "sum ", "max ", "min ", "true", "false", "inf", "0", "1", "2", "-1", "9223372036854775807", "f32", "f64", "i64", "bool",
    "exp2(", "select(", "float(", "*", "//", "%", "<", "and ", "B", "b", "i", "x"};

static void add_kernels(fuzz_corpus *c, const diff_program *p) {
    base_diags *diags = base_diags_create(c->arena);
    pass_state s = {.arena = c->arena, .diags = diags, .target = &diff_machine, .graph = diff_graph(p, c->arena, diags)};
    if (!s.graph || !pass_run_all(&s, &(pass_options){.stop_after = "lower"})) return;
    for (uint32_t k = 0; k < s.n_kernels; k++) {
        base_text text;
        base_text_init(&text, c->arena);
        ir_kernel_print(s.kernels[k], &text);
        fuzz_add(c, p->name, text.at, text.n);
    }
}

static void corpus(fuzz_corpus *c) {
    diff_program **programs;
    uint32_t n = diff_catalogue(c->arena, DIFF_PROGRAMS, &programs);
    for (uint32_t k = 0; k < n; k++) add_kernels(c, programs[k]);
}

static ir_kernel *read_text(fuzz_round *f, base_diags *diags, const char *text, size_t n) {
    return ir_kernel_read(f->arena, diags, base_file_add(diags, "input", text, n));
}

static const char *reads_back(fuzz_round *f, const ir_kernel *k) {
    base_text once, twice;
    base_text_init(&once, f->arena);
    base_text_init(&twice, f->arena);
    ir_kernel_print(k, &once);
    base_diags *diags = base_diags_create(f->arena);
    ir_kernel *again = read_text(f, diags, once.at, once.n);
    if (!again) return base_printf(f->arena, "what is printed cannot be read: %s\n%s", fuzz_reports(f->arena, diags), once.at);
    ir_kernel_print(again, &twice);
    return strcmp(once.at, twice.at) == 0 ? NULL : base_printf(f->arena, "printed\n%s\nreads back as\n%s", once.at, twice.at);
}

/* Every value of the kernel, results too: what it reads may be among them. */
static bool bind(fuzz_round *f, const ir_kernel *k, ir_frame *frame, uint64_t seed, base_diags *diags) {
    fuzz_random r = {seed};
    *frame = ir_frame_create(k->unit, f->arena);
    for (ir_dim d = 1; d < k->unit->dim.n; d++) frame->dim[d] = fuzz_below(&r, 5);
    for (ir_value v = 1; v < k->unit->value.n; v++) {
        const ir_type *type = &k->unit->value.at[v].type;
        int64_t dim[IR_RANK];
        if (!ir_type_shape(k->unit, frame, type, dim, diags)) return false;
        ir_tensor *t = &frame->value[v];
        *t = ir_tensor_new(f->arena, type->dtype, type->rank, dim);
        for (int64_t i = 0; i < t->n; i++) {
            int64_t x = type->dtype == IR_TYPE_BOOL ? fuzz_below(&r, 2) : fuzz_below(&r, 4);
            if (ir_dtypes[type->dtype].sort == IR_SORT_REAL) t->f[i] = (double)x - 1.5;
            else t->i[i] = x;
        }
    }
    return true;
}

static const char *run_modes(fuzz_round *f, const ir_kernel *k, uint64_t seed, const int64_t *counters, bool *ran) {
    *ran = true;
    for (int mode = IR_INTERP_PLAIN; mode <= IR_INTERP_SPLIT; mode++) {
        base_diags *diags = base_diags_create(f->arena);
        ir_frame frame;
        *ran = bind(f, k, &frame, seed, diags) && fuzz_is_small(k->unit, &frame) && ir_kernel_run(k, &frame, counters, (ir_interp_mode)mode, f->arena, diags) && *ran;
        if (fuzz_has_internal(diags)) return base_printf(f->arena, "mode %d: %s", mode, fuzz_reports(f->arena, diags));
    }
    return NULL;
}

static const char *run(fuzz_round *f) {
    base_diags *diags = base_diags_create(f->arena);
    ir_kernel *k = read_text(f, diags, f->at, f->n);
    const char *reports = fuzz_reports(f->arena, diags);
    if (!k) return diags->n_errors ? NULL : "refused without a report";
    if (diags->n_errors) return base_printf(f->arena, "read, and yet reported: %s", reports);
    const char *fault = reads_back(f, k);
    if (fault) return fault;
    f->large = true;
    uint64_t seed = fuzz_next(f->random);
    int64_t *counters = BASE_ARRAY(f->arena, k->n_counters + 1, int64_t);
    bool ran;
    fault = run_modes(f, k, seed, counters, &ran);
    if (fault || !ran || fuzz_below(f->random, 8)) return fault;
    ir_frame frame;
    if (!bind(f, k, &frame, seed, diags) || fuzz_run_native(f, k, &frame, counters, diags)) return NULL;
    return base_printf(f->arena, "no machine code: %s", fuzz_reports(f->arena, diags));
}

const fuzz_target fuzz_kernel = {"kernel", "IR text of kernels: read, printed, run literally, compiled", corpus, run, words, sizeof words / sizeof *words, false, 0};

/* Texts of graphs: read, printed, read again; compiled by all passes; evaluated before and after; some of them compiled to machine code
 * and run in memory that ends at a forbidden page. */
#include <math.h>
#include <string.h>
#include "diff.h"
#include "fuzz_ir.h"
#include "passes.h"

static const char *const words[] = {"(", ")", "[", "]", "{", "}", ":", ",", "..", "0..", "@1", "@1{", "let @1 = ", ";", "$1", "in", "where", "sum(", "max(b in 0..B: ",
    "select(", "9223372036854775807", "-9223372036854775808", "4611686018427387904", "-", "*", "/", "//", "%", "^", "not ", "and", "or", "<", "==", "f32[", "f64", "i32[B]",
    "i64", "bool", "loop l in 0..B (", "yield", "output", "map", "check", "into", "one", "last", "+=", "from", "zeros ", "true", "inf", "nan", "1e999", "#", "\"", "x",
    "B", "b", "0", "1", "2", "3", "-1", "1.5", "while", "(B,S)", "const {", "input", "param", "dim", "\xff", "\n", " in {1} ", "given ", "exp(", "log(", "abs(", "min(", "float("};

static void corpus(fuzz_corpus *c) {
    fuzz_add_folder(c, ATTN_SOURCE_DIR "/tests/golden", ".attnt", "\n---- ");
    fuzz_add_folder(c, DIFF_PROGRAMS, ".ir", NULL);
    diff_program **programs;
    uint32_t n = diff_catalogue(c->arena, DIFF_PROGRAMS, &programs);
    for (uint32_t k = 0; k < n; k++) {
        base_text text;
        base_text_init(&text, c->arena);
        const ir_graph *g = programs[k]->attn ? diff_graph(programs[k], c->arena, base_diags_create(c->arena)) : NULL;
        if (!g) continue;
        ir_graph_print(g, &text);
        fuzz_add(c, programs[k]->name, text.at, text.n);
    }
}

static ir_graph *read_text(fuzz_round *f, base_diags *diags, const char *text, size_t n) {
    return ir_graph_read(f->arena, diags, base_file_add(diags, "input", text, n));
}

static const char *reads_back(fuzz_round *f, const ir_graph *g) {
    base_text once, twice;
    base_text_init(&once, f->arena);
    base_text_init(&twice, f->arena);
    ir_graph_print(g, &once);
    base_diags *diags = base_diags_create(f->arena);
    ir_graph *again = read_text(f, diags, once.at, once.n);
    if (!again) return base_printf(f->arena, "what is printed cannot be read: %s\n%s", fuzz_reports(f->arena, diags), once.at);
    ir_graph_print(again, &twice);
    return strcmp(once.at, twice.at) == 0 ? NULL : base_printf(f->arena, "printed\n%s\nreads back as\n%s", once.at, twice.at);
}

/* ---- evaluation */

static bool bind(fuzz_round *f, const ir_graph *g, ir_frame *frame, uint64_t seed, base_diags *diags) {
    static const diff_program plain = {.name = "fuzz"};
    fuzz_random r = {seed};
    *frame = ir_frame_create(g->unit, f->arena);
    for (ir_dim d = 1; d < g->unit->dim.n; d++) frame->dim[d] = fuzz_below(&r, 5);
    return diff_bind(&plain, g, "", DIFF_FILL_NORMAL, seed, frame, f->arena, diags);
}

/* An element of what a graph became may differ by what another order of sums makes of it; what is not finite, or was made by taking large
 * numbers from each other, says nothing. */
static bool alike(const ir_tensor *a, const ir_tensor *b) {
    if (a->n != b->n) return false;
    bool real = ir_dtypes[a->dtype].sort == IR_SORT_REAL;
    for (int64_t k = 0; k < a->n; k++) {
        if (!real && a->i[k] != b->i[k]) return false;
        if (real && isfinite(a->f[k]) && isfinite(b->f[k]) && fabs(a->f[k] - b->f[k]) > 1e-2 * (1 + fabs(a->f[k]))) return false;
    }
    return true;
}

static const char *compare(fuzz_round *f, const ir_graph *g, const ir_frame *meant, const ir_graph *after, const ir_frame *found) {
    for (uint32_t k = 0; k < g->n_outputs; k++)
        if (!alike(&meant->value[g->outputs[k].value], &found->value[after->outputs[k].value])) return base_printf(f->arena, "output %s has another value", g->outputs[k].name);
    return NULL;
}

/* ---- from a graph that was read to machine code */

typedef struct { fuzz_round *round; base_diags *diags; const pass_state *state; uint32_t next; base_map *of; bool native; } kernels;

static const char *result_name(const ir_unit *u, const ir_node *map) { return u->value.at[map->map.results[0].store.result].name; }

static void number_kernel(void *env, const ir_node *node, uint32_t depth) {
    (void)depth;
    kernels *k = env;
    if (node->form == IR_FORM_CHECK) k->next += 2;
    if (node->form == IR_FORM_MAP) base_map_put(k->of, result_name(k->state->graph->unit, node), k->next++);
}

static bool run_kernel(void *env, const ir_node *map, ir_frame *frame, const int64_t *var) {
    kernels *k = env;
    uint32_t at;
    if (!base_map_get(k->of, result_name(k->state->graph->unit, map), &at)) return false;
    const ir_kernel *kernel = k->state->kernels[at];
    int64_t *counters = BASE_ARRAY(k->round->arena, kernel->n_counters + 1, int64_t);
    for (uint32_t c = 0; c < kernel->n_counters; c++) counters[c] = var[kernel->counters[c]];
    if (!k->native) return ir_kernel_run(kernel, frame, counters, IR_INTERP_PLAIN, k->round->arena, k->diags);
    return fuzz_run_native(k->round, kernel, frame, counters, k->diags);
}

static const char *run_after(fuzz_round *f, const ir_graph *g, const ir_frame *meant, const pass_state *s, uint64_t seed, bool native) {
    ir_frame found;
    base_diags *diags = base_diags_create(f->arena);
    kernels k = {f, diags, s, 0, base_map_create(f->arena), native};
    ir_graph_each(s->graph, number_kernel, &k);
    if (!bind(f, s->graph, &found, seed, diags)) return NULL;
    if (!ir_graph_eval_with(s->graph, &found, f->arena, diags, run_kernel, &k)) return base_printf(f->arena, "fails after the passes: %s", fuzz_reports(f->arena, diags));
    const char *fault = compare(f, g, meant, s->graph, &found);
    return fault ? base_printf(f->arena, "%s %s", fault, native ? "as machine code" : "as kernels") : NULL;
}

static const char *compile(fuzz_round *f, const char *text, size_t n, const ir_graph *g, const ir_frame *meant, uint64_t seed) {
    base_diags *diags = base_diags_create(f->arena);
    pass_state s = {.arena = f->arena, .diags = diags, .target = &diff_machine, .graph = read_text(f, diags, text, n)};
    bool fine = pass_run_all(&s, &(pass_options){0});
    const char *reports = fuzz_reports(f->arena, diags);
    if (fuzz_has_internal(diags) || (!fine && !diags->n_errors)) return base_printf(f->arena, "the passes fail: %s", reports);
    if (!fine || !meant) return NULL;
    const char *fault = run_after(f, g, meant, &s, seed, false);
    return fault || fuzz_below(f->random, 16) ? fault : run_after(f, g, meant, &s, seed, true);
}

const char *fuzz_run_graph(fuzz_round *f, const char *text, size_t n) {
    base_diags *diags = base_diags_create(f->arena);
    ir_graph *g = read_text(f, diags, text, n);
    const char *reports = fuzz_reports(f->arena, diags);
    if (!g) return diags->n_errors ? NULL : "refused without a report";
    if (diags->n_errors) return base_printf(f->arena, "read, and yet reported: %s", reports);
    const char *fault = reads_back(f, g);
    if (fault) return fault;
    uint64_t seed = fuzz_next(f->random);
    ir_frame meant;
    f->large = true;
    bool known = bind(f, g, &meant, seed, diags) && fuzz_is_small(g->unit, &meant) && ir_graph_eval(g, &meant, f->arena, diags);
    if (fuzz_has_internal(diags)) return base_printf(f->arena, "the evaluator fails: %s", fuzz_reports(f->arena, diags));
    return compile(f, text, n, g, known ? &meant : NULL, seed);
}

static const char *run(fuzz_round *f) { return fuzz_run_graph(f, f->at, f->n); }

const fuzz_target fuzz_graph = {"graph", "IR text of graphs: read, printed, evaluated, compiled", corpus, run, words, sizeof words / sizeof *words, false, 0};

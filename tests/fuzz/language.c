/* Texts of programs: parsed and lowered, every graph; what comes out is a graph in order whose text reads back, what does not says why. Some
 * of the graphs go through all passes. */
#include <string.h>
#include <time.h>
#include "frontend.h"
#include "fuzz_ir.h"

enum { LIMIT_MS = 2000 };

static const char *const words[] = {"graph", "fn", "variant", "const", "param", "state", "import std", "import \"self.attn\"", "for l in 0..3 {", "while", "in", "where", "with", "let",
    "attend(j: ", "and", "or", "not", "sum(i: ", "max(", "softmax(j: ", "select(", "mean(i in 0..len[b]: ", "topk(i: ", "size(", "(", ")", "((((((((", "[", "]", "{", "}", "{ mask = ",
    "weights = ", "score = ", "adjust = ", "scale = ", "s", "w", "s[h = g]", ".lse", ".weights", "..", "->", "+=", "=", "==", "<", "<=", ":", ",", ";", "//", "%", "/", "*", "-", "--------",
    "^", "^2", "^-1", "^64", "^1000000", "9223372036854775807", "9223372036854775808", "1e308", "1e999", "0.5", "0", "1", "2", "N", "f32[", "f32[N*N*N]", "f32[(H,D)]", "f64", "i32", "i64[N+1]",
    "bool", "bf16", "dim", "T <= 4", "inf", "pi", "true", "#", "##", "## try: N = 1", "\"", "\"{l}.w\"", "\n", "\r\n", "\xff", "\xef\xbb\xbf", "i", "x", "x[i]", "y[i] = ", "self", "std"};

static void corpus(fuzz_corpus *c) {
    fuzz_add_folder(c, ATTN_SOURCE_DIR "/examples", ".attn", NULL);
    fuzz_add_folder(c, ATTN_SOURCE_DIR "/tests/diff/programs", ".attn", NULL);
    fuzz_add_folder(c, ATTN_SOURCE_DIR "/frontend/std", ".attn", NULL);
    fuzz_add_folder(c, ATTN_SOURCE_DIR "/tests/golden/language", ".attnt", "\n---- ");
    fuzz_add_folder(c, ATTN_SOURCE_DIR "/tests/golden/messages", ".attnt", "\n---- ");
}

/* "self.attn" is the input itself, so that imports go in circles; other files are short. */
static const char *load(void *env, base_arena *arena, const char *importer, const char *path, const char **name, size_t *n) {
    const fuzz_round *f = env;
    (void)arena, (void)importer;
    bool self = strcmp(path, "self.attn") == 0;
    const char *text = self ? f->at : "fn half(x) = x / 2\nconst k = 3\n";
    *name = path;
    *n = self ? f->n : strlen(text);
    return text;
}

/* The text of a graph must read back; one graph in eight is evaluated and compiled, too. */
static const char *go_on(fuzz_round *f, const ir_graph *g) {
    base_text text;
    base_text_init(&text, f->arena);
    ir_graph_print(g, &text);
    base_diags *diags = base_diags_create(f->arena);
    if (!ir_graph_read(f->arena, diags, base_file_add(diags, "graph", text.at, text.n)))
        return base_printf(f->arena, "the graph's text cannot be read: %s\n%s", fuzz_reports(f->arena, diags), text.at);
    return fuzz_below(f->random, 8) ? NULL : fuzz_run_graph(f, text.at, text.n);
}

static const char *run_graph(fuzz_round *f, const fe_program *p, uint32_t k, base_diags *diags) {
    uint32_t before = diags->n_errors;
    ir_graph *g = fe_graph_lower(p, k, f->arena, diags);
    if (!g) return diags->n_errors ? NULL : "a graph fails and nothing says why";
    if (diags->n_errors > before) return "a graph comes with errors";
    if (!ir_graph_verify(g, "the frontend")) return fuzz_reports(f->arena, diags);
    return go_on(f, g);
}

static const char *run(fuzz_round *f) {
    base_diags *diags = base_diags_create(f->arena);
    clock_t start = clock();
    fe_program *p = fe_program_create(f->arena, diags, base_file_add(diags, "input", f->at, f->n), load, f);
    const char *fault = p || diags->n_errors ? NULL : "the program fails and nothing says why";
    for (uint32_t k = 0; p && k < fe_n_graphs(p) && !fault; k++) fault = run_graph(f, p, k, diags);
    if (!fault && fuzz_has_internal(diags)) fault = fuzz_reports(f->arena, diags);
    double ms = 1000.0 * (double)(clock() - start) / CLOCKS_PER_SEC;
    return !fault && ms > LIMIT_MS ? base_printf(f->arena, "it takes %.0f ms", ms) : fault;
}

const fuzz_target fuzz_language = {"language", "programs of the language", corpus, run, words, sizeof words / sizeof *words, false, 0};

/* Every verb with its options, when all is well. */
#include "shell.h"
#include <jansson.h>
#include <math.h>

static const char *const verbs[] = {"check", "run", "bench", "verify", "ir", "explain", "cache", "build", "generate"};

static void test_help(void **state) {
    (void)state;
    expect(0, "attnc 0.", "$A --version");
    for (size_t k = 0; k < COUNT(verbs); k++) {
        expect(0, "exit status:", "$A %s --help", verbs[k]);
        assert_non_null(strstr(shell("$A %s --help", verbs[k])->out, "example: attnc"));
        expect(0, "usage: attnc", "$A help %s", verbs[k]);
        expect(0, verbs[k], "$A --help");
    }
    expect(2, "usage: attnc VERB", "$A");
    expect(0, "passes: frontend simplify", "$A ir --help");
    /* The same flag, as each verb means it. */
    expect(0, "without it all that work here", "$A verify --help");
    expect(0, "the architecture of a .cu", "$A build --help");
    expect(0, "an SVG file for --mask", "$A generate fish | grep explain");
}

/* What is generated names every verb. */
static void test_generate(void **state) {
    static const char *const kinds[] = {"man", "bash", "zsh", "fish"};
    (void)state;
    for (size_t k = 0; k < COUNT(kinds); k++) {
        char text[sizeof shell("true")->out];
        strcpy(text, shell("$A generate %s", kinds[k])->out);
        for (size_t v = 0; v < COUNT(verbs); v++) assert_non_null(strstr(text, verbs[v]));
        assert_non_null(strstr(text, k == 3 ? "-l dims" : k == 0 ? "\\-\\-dims" : "--dims"));
    }
    expect(0, NULL, "$A generate bash | bash -n");
    expect(2, "generate takes man|bash|zsh|fish, not 'tcsh'", "$A generate tcsh");
    expect(2, "generate needs man|bash|zsh|fish", "$A generate");
}

static void test_check(void **state) {
    (void)state;
    expect(0, "graph copy(x: f32[N]) -> (y: f32[N])", "$A check a.attn");
    expect(0, "graph att(q: f32[S,D], k: f32[T,D], v: f32[T,D]) -> (o: f32[S,D], l: f32[S])", "$A check a.attn");
    expect(0, "param w: f32[L,D] = \"layer.{l}.w\"", "$A check layers.attn");
    expect(0, "K: dim", "$A check pick.attn");
    json_t *all = json_loads(shell("$A check a.attn --json")->out, 0, NULL);
    assert_int_equal(json_array_size(all), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(all, 1), "name")), "att");
    json_decref(all);
}

/* The last graph without --graph; files in any order of bytes and axes; what is written reads back. */
static void test_run(void **state) {
    (void)state;
    expect(0, "o: f32[2,4]", "$A run a.attn --in q=q.npy k=k.npy v=k.npy");
    expect(0, "l: f32[2]\n[ 6 22]", "$A run a.attn --in q=q.npy --in k=k.npy v=k.npy");
    expect(0, "y: f32[4]\n[0 1 2 3]", "$A run a.attn --graph copy --in x=x.npy");
    expect(0, "", "$A run a.attn --in q=q.npy k=k.npy v=k.npy --out o=o.npy l=l.npy");
    assert_string_equal(shell("$A run a.attn --in q=q.npy k=k.npy v=k.npy --out o=o.npy l=l.npy")->out, "");
    expect(0, "o: f32[2,4]", "$A run a.attn --in q=q.npy k=k.npy v=k.npy --out o=o.npy --print");
    expect(0, "l: f32[2]", "$A run a.attn --in q=q.npy k=o.npy v=o.npy --target eval --threads 1");
    for (int k = 0; k < 2; k++) {
        expect(0, NULL, "$A run a.attn --in q=%s k=k.npy v=k.npy --out o=p.npy", k ? "q_big.npy" : "q_columns.npy");
        expect(0, NULL, "cmp o.npy p.npy");
    }
    expect(0, "z: f32[4]\n[0 2 4 6]", "$A run pick.attn --in x=x.npy row=row.npy --dims K=2");
    expect(0, "y: f32[3]\n[0 3 2]", "$A run pick.attn --in x=x.npy row=row.npy --dims K=2,N=4");
    expect(0, "", "$A run a.attn --in q=q.npy k=k.npy v=k.npy --out all.npz");
    shell_text("again.attn", "graph again(l: f32[S], o: f32[S,D]) -> (n: f32[S,D]) { n[s,d] = o[s,d] + l[s] }\n");
    expect(0, "n: f32[2,4]", "$A run again.attn --in all.npz");
    expect(0, "n: f32[2,4]", "$A run --in all.npz again.attn --target eval");
    expect(0, NULL, "$A verify again.attn --in all.npz");
    shell("rm o.npy p.npy l.npy all.npz again.attn");
    shell_text("rest.attn", "graph rest(x: f32[8 - S]) -> (z: f32[S]) { z[s] = 1.0*s }\n");       /* S from what is left of 8 */
    expect(0, "z: f32[4]\n[0 1 2 3]", "$A run rest.attn --in x=x.npy");
    shell("rm rest.attn");
}

/* Any number of threads, and the evaluator, read and write the same. */
static void test_threads(void **state) {
    (void)state;
    for (int n = 1; n <= 3; n++) expect(0, NULL, "$A run a.attn --seed 3 --dims S=65,T=33,D=7 --threads %d --out o=o%d.npy", n, n);
    expect(0, NULL, "cmp o1.npy o2.npy && cmp o1.npy o3.npy");
    expect(0, NULL, "$A run a.attn --seed 3 --dims S=65,T=33,D=7 --out o=o2.npy && cmp o1.npy o2.npy");
    expect(1, NULL, "$A run a.attn --seed 4 --dims S=65,T=33,D=7 --out o=o2.npy && cmp o1.npy o2.npy");
    shell("rm o1.npy o2.npy o3.npy");
}

/* `## try:` gives a size, --dims has the last word; a file with it runs without inputs. */
static void test_try(void **state) {
    (void)state;
    shell_text("try.attn", "## try: N = 3, x = {5, 6, 7}\n## try: p > 0\ngraph g(x: f32[N], p: f32[M]) -> (y: f32[N], r: f32[M]) { y[n] = x[n]\n r[m] = log(p[m]) }\n");
    expect(0, "y: f32[3]\n[5 6 7]", "$A run try.attn");
    expect(0, "r: f32[40]", "$A run try.attn --dims M=40");
    shell_text("several.attn", "## try: N = 2, x = 5, y = 3\ngraph g(x: f32, y: i32, w: f32[N]) -> (z: f32[N]) { z[n] = x + y + 0 * w[n] }\n");
    expect(0, "[8 8]", "$A run several.attn");
    shell("rm several.attn");
    assert_null(strstr(shell("$A run try.attn --dims M=40")->out, "nan"));
    expect(1, "E0621", "$A run try.attn --dims N=4");
    expect(1, "E0710", "$A run layers.attn");            /* no such line, no --seed: inputs are missing */
    expect(0, "y: f32[8]", "$A run layers.attn --seed 1");
    shell("rm try.attn");
}

static void test_weights(void **state) {
    static const float w[] = {1, 2, 3, 4, 10, 20, 30, 40};
    (void)state;
    shell_weights("w.safetensors", "{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
                                   "\"layer.1.w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,32]}}", w, sizeof w);
    expect(0, "y: f32[4]\n[  0  40 180 480]", "$A run layers.attn --in x=x.npy --weights w.safetensors");
    expect(0, "y: f32[4]\n[  0  40 180 480]", "$A run layers.attn --in x=x.npy --weights w.safetensors --target eval");
    expect(0, "ok", "$A verify layers.attn --in x=x.npy --weights w.safetensors");
    shell("rm w.safetensors");
}

static double number(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    if (!json_is_number(value)) fail_msg("'%s' is no number", key);
    return json_number_value(value);
}

/* The keys, and that they agree with each other. */
static void test_bench(void **state) {
    (void)state;
    json_t *all = json_loads(shell("$A bench a.attn --json --dims S=64,T=64,D=32 --threads 1")->out, 0, NULL);
    assert_non_null(all);
    double gflops = number(all, "gflops"), ms = number(all, "median_ms"), peak = number(all, "peak_gflops");
    assert_true(number(all, "compile_ms") > 0 && ms > 0 && peak > 0);
    assert_int_equal((int)number(all, "threads"), 1);
    assert_true(fabs(number(all, "fraction_of_peak") - gflops / peak) < 1e-6);
    double operations = gflops * ms * 1e6, products = 4.0 * 64 * 64 * 32;
    assert_true(operations > 0.9 * products && operations < 1.2 * products);
    json_decref(all);
    expect(0, "median", "$A bench a.attn --graph copy --dims N=100");
    expect(0, "eval", "$A bench a.attn --graph copy --dims N=100 --target eval");
}

/* A causal mask halves the pairs that count. */
static void test_bench_visible(void **state) {
    double operations[2];
    (void)state;
    for (int k = 0; k < 2; k++) {
        char text[300];
        snprintf(text, sizeof text, "graph g(q: f32[S,D], k: f32[S,D]) -> (o: f32[S,D]) { o[i,e] = attend(j: q[i,d], k[j,d], k[j,e])%s }\n", k ? " { mask = j <= i }" : "");
        shell_text("m.attn", text);
        json_t *all = json_loads(shell("$A bench m.attn --json --dims S=128,D=16 --threads 1")->out, 0, NULL);
        assert_non_null(all);
        operations[k] = number(all, "gflops") * number(all, "median_ms");
        json_decref(all);
    }
    double share = operations[1] / operations[0];
    if (share < 0.45 || share > 0.56) fail_msg("a causal mask leaves %g of the operations", share);
    shell("rm m.attn");
}

static void test_verify(void **state) {
    (void)state;
    expect(0, "ok", "$A verify a.attn --target cpu");
    expect(0, "max error", "$A verify a.attn --dims S=33,T=65 --seed 7");
    expect(1, NULL, "$A verify a.attn --target cpu --dims S=33,T=65,D=40 --tolerance 1e-12");
    assert_non_null(strstr(shell("$A verify a.attn --target cpu --dims S=33,T=65,D=40 --tolerance 1e-12")->out, "WRONG"));
    json_t *all = json_loads(shell("$A verify a.attn --target cpu --json")->out, 0, NULL);
    assert_int_equal(json_array_size(all), 2);
    assert_true(number(json_array_get(all, 0), "max_error") < 1e-4);
    json_decref(all);
}

static void test_ir(void **state) {
    static const char *const passes[] = {"frontend", "simplify", "prune", "fuse", "checks", "split", "lower", "legalize", "mask", "schedule", "memory"};
    (void)state;
    for (size_t k = 0; k < COUNT(passes); k++) {
        expect(0, k < 6 ? "graph att" : k < 9 ? "kernel o" : k < 10 ? "schedule o" : "plan att", "$A ir a.attn --after %s", passes[k]);
        expect(0, NULL, "$A ir pick.attn --after %s --target cuda", passes[k]);
    }
    expect(0, "plan att", "$A ir a.attn");
    expect(0, "graph copy", "$A ir a.attn --graph copy --after frontend");
    expect(0, "define", "$A ir a.attn --code");
    expect(0, "__global__", "$A ir a.attn --code --target cuda");
}

/* Where code is kept, by the environment; and no LLVM where all is there, which the loader's own trace shows. */
static void test_cache(void **state) {
    (void)state;
    expect(0, "0 kernels, 0 bytes, 0 damaged, in kept", "ATTN_CACHE_DIR=kept $A cache list");
    expect(0, "l:", "ATTN_CACHE_DIR=kept $A run a.attn --seed 1 --print");
    expect(0, "LLVM", "ATTN_CACHE_DIR=kept $A cache list");
    expect(0, "0 damaged", "ATTN_CACHE_DIR=kept $A cache verify");
    expect(0, "none", "LD_DEBUG=files ATTN_CACHE_DIR=kept $A run a.attn --seed 1 --print 2>&1 | grep LLVM || echo none");
    expect(0, "libLLVM", "LD_DEBUG=files ATTN_CACHE_DIR=kept $A run a.attn --seed 1 --no-cache 2>&1 | grep LLVM");
    expect(0, "\"damage\": null", "ATTN_CACHE_DIR=kept $A cache list --json");
    expect(0, "[]", "ATTN_CACHE_DIR=kept $A cache verify --json");
    expect(0, NULL, "for f in kept/*; do echo more >> $f; done");
    expect(1, NULL, "ATTN_CACHE_DIR=kept $A cache verify");
    expect(0, "damaged: its length is wrong", "ATTN_CACHE_DIR=kept $A cache verify || true");
    expect(0, "{\"removed\": ", "ATTN_CACHE_DIR=kept $A cache clear --json");
    expect(0, "removed 0 kernels, 0 bytes, from kept", "ATTN_CACHE_DIR=kept $A cache clear");
    expect(0, "in $PWD/x/attn/code", "unset ATTN_CACHE_DIR; XDG_CACHE_HOME=$PWD/x $A cache list | sed \"s,$PWD,\\$PWD,\"");
    expect(0, "in $PWD/.cache/attn/code", "unset ATTN_CACHE_DIR; XDG_CACHE_HOME=relative HOME=$PWD $A cache list | sed \"s,$PWD,\\$PWD,\"");
    expect(1, "E1024", "ATTN_CACHE_DIR= $A cache list");
    expect(1, "E0806", "ln -s kept link; ATTN_CACHE_DIR=link $A cache list");
    expect(2, "cache takes list|verify|clear, not 'prune'", "$A cache prune");
    expect(0, NULL, "rm -r kept link");
}

/* Another build of the code generator, known by the id that the linker gave it: nothing of the old is found. */
static void test_cache_of_another(void **state) {
    (void)state;
    char id[64];
    snprintf(id, sizeof id, "%.60s", shell("readelf -n %s/libattn_llvm.so | sed -n 's/.*Build ID: //p' | cut -c 1-16", ATTN_BINARY_DIR)->out);
    if (strlen(id) != 17) {
        print_message("skipped: there is no readelf to ask for the build id\n");
        return;
    }
    id[16] = 0;
    expect(0, NULL, "mkdir libs && cp -L %s/libattn.so.? libs && cp %s/libattn_llvm.so libs", ATTN_BINARY_DIR, ATTN_BINARY_DIR);
    expect(0, id, "LD_LIBRARY_PATH=libs ATTN_CACHE_DIR=kept $A run a.attn --seed 1 --print >/dev/null && ATTN_CACHE_DIR=kept $A cache list");
    expect(0, "1", "python3 -c \"import sys; at = open('libs/libattn_llvm.so', 'rb').read(); id = bytes.fromhex('%s'); "
                   "open('libs/libattn_llvm.so', 'wb').write(at.replace(id, b'another!')); print(at.count(id))\"", id);
    const int before = atoi(shell("ls kept | wc -l")->out);
    expect(0, "libLLVM", "LD_DEBUG=files LD_LIBRARY_PATH=libs ATTN_CACHE_DIR=kept $A run a.attn --seed 1 2>&1 | grep LLVM");
    assert_int_equal(atoi(shell("ls kept | wc -l")->out), 2 * before);
    expect(0, "616e6f7468657221", "ATTN_CACHE_DIR=kept $A cache list");
    expect(0, NULL, "rm -r kept libs");
}

static void test_explain(void **state) {
    (void)state;
    expect(0, "predicted ms", "$A explain a.attn --dims S=64,T=64,D=32");
    expect(0, "a.attn:4:", "$A explain a.attn");
    expect(0, "== cost of one run", "$A explain a.attn");
    shell_text("norm.attn", "graph norm(x: f32[N,D], w: f32[D,E]) -> (y: f32[N,E]) {\n    m[n] = sum(d: x[n,d])/D\n    c[n,d] = x[n,d] - m[n]\n"
                            "    y[n,e] = sum(d: c[n,d]*w[d,e])\n}\n");
    expect(0, "is computed inside", "$A explain norm.attn");
    expect(0, "x.2_sum kept apart from ", "$A explain %s/examples/minilm/minilm.attn --target cpu", ATTN_SOURCE_DIR);
    shell("rm norm.attn");
    shell_text("mask.attn", "graph o(q: f32[S,D], k: f32[T,D], v: f32[T,D], doc: i32[S]) -> (o: f32[S,D]) {\n"
                            "    o[i,e] = attend(j: q[i,d], k[j,d], v[j,e]) { mask = j <= i and i - j < 40 }\n}\n"
                            "graph docs(q: f32[S,D], k: f32[S,D], v: f32[S,D], doc: i32[S]) -> (o: f32[S,D]) {\n"
                            "    o[i,e] = attend(j: q[i,d], k[j,d], v[j,e]) { mask = doc[i] == doc[j] and j <= i }\n}\n");
    expect(0, "o: 4 x 4 tiles of 20 x 20, i down, j0 across: 7 empty, 6 partial, 3 full, in closed form\n+...\n#+..\n+#+.\n.+#+\n", "$A explain mask.attn --graph o --mask --dims S=80,T=80,D=4 --tile 20x20");
    expect(0, " empty, ", "$A explain mask.attn --mask --dims S=80,D=4 --tile 8x16");
    expect(0, "no kernel of the graph has a mask", "$A explain a.attn --mask");
    expect(0, NULL, "$A explain mask.attn --graph o --mask --dims S=80,T=80,D=4 -o mask.svg && grep -q '^</svg>' mask.svg");
    expect(2, "E1016", "$A explain mask.attn --mask --tile 20");
    expect(2, "E1016", "$A explain mask.attn --mask -o mask.png");
    expect(2, "E1017", "$A explain mask.attn --tile 20x20");
    expect(2, "E1012: --mask and --target but cpu exclude each other", "$A explain mask.attn --mask --target cuda");
    expect(2, "at most 512 tiles", "$A explain mask.attn --graph o --mask --dims S=9000,T=9000,D=4 --tile 8x8");
    /* CUDA leaves out the same columns: a range, or a walk over tiles */
    expect(0, "col_begin = op_max(", "$A ir mask.attn --graph o --code --target cuda");
    expect(0, "tile += tiles", "$A ir mask.attn --graph docs --code --target cuda");
    shell("rm mask.attn mask.svg");
    json_t *all = json_loads(shell("$A explain a.attn --json")->out, 0, NULL);
    const json_t *kernels = json_object_get(all, "kernels");
    assert_in_range(json_array_size(kernels), 1, 4);
    for (size_t k = 0; k < json_array_size(kernels); k++)
        assert_true(number(json_array_get(kernels, k), "predicted_ms") > 0 && number(json_array_get(kernels, k), "measured_ms") > 0);
    assert_true(json_is_array(json_object_get(all, "remarks")));
    assert_true(number(all, "items") >= 1 && number(all, "launches") >= 1 && number(all, "tensor_bytes") > 0 && number(all, "predicted_ms") > 0);
    json_decref(all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help), cmocka_unit_test(test_generate),  cmocka_unit_test(test_check),         cmocka_unit_test(test_run),    cmocka_unit_test(test_threads),
        cmocka_unit_test(test_try),   cmocka_unit_test(test_weights),       cmocka_unit_test(test_bench),  cmocka_unit_test(test_bench_visible),
        cmocka_unit_test(test_verify), cmocka_unit_test(test_ir),           cmocka_unit_test(test_cache), cmocka_unit_test(test_cache_of_another), cmocka_unit_test(test_explain),
    };
    return cmocka_run_group_tests(tests, shell_open, shell_close);
}

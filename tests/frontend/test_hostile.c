/* Texts that nobody would write: each gives one clear answer, soon, and nothing runs off the stack. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "frontend.h"

#if defined(__SANITIZE_ADDRESS__)
enum { LIMIT_MS = 20000 };
#else
enum { LIMIT_MS = 4000 };                /* two seconds of a machine that does something else beside */
#endif

typedef struct { base_arena *arena; base_diags *diags; base_text text; uint32_t n_lowered; } world;

static jmp_buf no_memory;

static world world_create(void) {
    world w = {.arena = base_arena_create(NULL, &no_memory)};
    if (setjmp(no_memory)) abort();
    base_text_init(&w.text, w.arena);
    return w;
}

/* Every import finds the text itself. */
static const char *load(void *env, base_arena *arena, const char *importer, const char *path, const char **name, size_t *n) {
    const world *w = env;
    (void)arena, (void)importer;
    *name = path;
    *n = w->text.n;
    return w->text.at;
}

static void put(world *w, const char *text) { base_text_put(&w->text, text, strlen(text)); }
static void put_times(world *w, uint32_t n, const char *text) {
    for (uint32_t k = 0; k < n; k++) put(w, text);
}

/* "" for a text that is right, else the code of the first report. */
static const char *run(world *w) {
    clock_t start = clock();
    w->diags = base_diags_create(w->arena);
    fe_program *p = fe_program_create(w->arena, w->diags, base_file_add(w->diags, "hostile", w->text.at, w->text.n), load, w);
    for (uint32_t k = 0; p && k < fe_n_graphs(p); k++) {
        const ir_graph *g = fe_graph_lower(p, k, w->arena, w->diags);
        assert_true(g || w->diags->n_errors);
        if (g) assert_true(ir_graph_verify(g, "the frontend"));
        w->n_lowered += g != NULL;
    }
    assert_true(1000.0 * (double)(clock() - start) / CLOCKS_PER_SEC < LIMIT_MS);
    assert_true(w->diags->n_errors <= 101);
    return w->diags->first ? base_messages[w->diags->first->message].code : "";
}

static void check(world *w, const char *code) {
    assert_string_equal(run(w), code);
    base_arena_destroy(w->arena);
}

static void check_text(const char *text, size_t n, const char *code) {
    world w = world_create();
    base_text_put(&w.text, text, n);
    check(&w, code);
}
#define TEXT(text, code) check_text(text, sizeof text - 1, code)
#define GRAPH "graph g(x: f32[N]) -> (y: f32[N]) { y[i] = "

/* before n times, the middle, after n times, as the right side of a statement */
static void nested(const char *before, const char *middle, const char *after, uint32_t n, const char *code) {
    world w = world_create();
    put(&w, GRAPH);
    put_times(&w, n, before);
    put(&w, middle);
    put_times(&w, n, after);
    put(&w, " }\n");
    check(&w, code);
}

static void test_nesting(void **state) {
    (void)state;
    nested("(", "x[i]", ")", 100000, "E0106");
    nested("-", "x[i]", "", 100000, "E0106");
    nested("not ", "true", "", 100000, "E0106");
    nested("exp(", "x[i]", ")", 100000, "E0106");
    nested("x[", "i", "]", 100000, "E0106");
    nested("sum(a: ", "x[a]", ")", 99, "E0106");
    nested("x[i] + ", "1", "", 100000, "E0106");
    nested("x[i] ^ ", "2", "", 100000, "E0106");
    nested("x[i] + ", "1", "", 200, "");
    nested("attend(j: x[j], x[j]) { score = ---", "x[i]", " }", 95, "E0106");
    nested("attend(j: x[j], x[j]) { score = s + ", "x[i]", " }", 20, "");
    nested("select(x[i] > 0, 1, ", "0", ")", 90, "");
}

static void test_brackets(void **state) {
    (void)state;
    for (const char *bracket = "([{)]}"; *bracket; bracket++) {
        world w = world_create();
        put_times(&w, 300000, (char[]){*bracket, 0});
        check(&w, "E0101");
    }
    world w = world_create();
    put(&w, "graph g(x: f32[N]) -> (y: f32[N]) { ");
    put_times(&w, 50000, "for l in 0..2 { ");
    check(&w, "E0106");
}

static void test_bytes(void **state) {
    (void)state;
    TEXT("", "");
    TEXT("# one\n## two\n# no end", "");
    TEXT("\xef\xbb\xbf" GRAPH "x[i] }", "");
    TEXT("graph g(x: f32[N])\r\n  -> (y: f32[N])\r\n{\r\n  z[i] = x[i]\r\n  y[i] = z[i]\r\n}\r\n", "");
    TEXT(GRAPH "x[i] } # \xff", "E0107");
    TEXT("\xc3\x28", "E0107");
    TEXT("\xed\xa0\x80", "E0107");
    TEXT(GRAPH "\0x[i] }", "E0102");
    TEXT("# \0\0\n" GRAPH "x[i] }", "");
    TEXT("import \"no end", "E0103");
    TEXT("param p: f32[N] = \"a\nb\"\n", "E0103");
}

static void test_length(void **state) {
    (void)state;
    nested(" ", "x[i]", "", 1000000, "");
    nested("a", "", "", 1000000, "E0201");
    nested("\n", "x[i]", "", 1000000, "");
    world w = world_create();
    put(&w, "#");
    put_times(&w, 1000000, "x");
    check(&w, "");
    w = world_create();
    put_times(&w, 20000, "y[i] = = 3\n");
    check(&w, "E0101");
    w = world_create();
    put(&w, "graph g(x: f32[N]) -> (y: f32[N]) {\n");
    for (uint32_t k = 0; k < 3000; k++) base_text_add(&w.text, "a%u[i] = x[i] + q%u\n", k, k);
    put(&w, "y[i] = x[i] }\n");
    check(&w, "E0201");
}

static void test_numbers(void **state) {
    (void)state;
    nested("9", "", "", 100000, "E0105");
    TEXT(GRAPH "x[i] + 9223372036854775808 }", "E0105");
    TEXT(GRAPH "x[i] + 9223372036854775807 }", "");
    TEXT(GRAPH "x[i] + 1e400 }", "E0105");
    TEXT(GRAPH "x[i]^9223372036854775807 + (0 - 9223372036854775807) // (0 - 1) }", "");
    TEXT("graph g(x: f32[9223372036854775807*2*N]) -> (y: f32) { y = x[0] }\n", "");
    TEXT("graph g(x: f32[N]) -> (y: f32[4611686018427387904,4]) { y[i in 0..4611686018427387904, j in 0..4] = x[0] }\n", "");
    nested("1.", "", "", 1, "E0101");
}

static void test_tables(void **state) {
    (void)state;
    world w = world_create();
    put(&w, "const t = {0");
    for (uint32_t k = 1; k < 300000; k++) base_text_add(&w.text, ", %u", k);
    put(&w, "}\ngraph g(x: f32[N]) -> (y: f32) { y = t[3] + x[0] }\n");
    check(&w, "");
    w = world_create();
    put(&w, "const t = ");
    put_times(&w, 100000, "{");
    put(&w, "1");
    put_times(&w, 100000, "}");
    check(&w, "E0106");
}

/* c: declares name k by name k - 1, n times, before the rest */
static void chain(const char *format, uint32_t n, const char *rest, const char *code) {
    world w = world_create();
    for (uint32_t k = 1; k < n; k++) {
        for (const char *at = format; *at; at++) {
            if (*at == '@') base_text_add(&w.text, "%u", k);
            else if (*at == '~') base_text_add(&w.text, "%u", k - 1);
            else base_text_put(&w.text, at, 1);
        }
    }
    put(&w, rest);
    check(&w, code);
}

static void test_expansion(void **state) {
    (void)state;
    chain("fn f@(x) = f~(x) + f~(x)\n", 60, "fn f0(x) = x\n" GRAPH "f59(x[i]) }\n", "E0215");
    chain("fn f@(x) = f~(x + 1)\n", 3000, "fn f0(x) = x\n" GRAPH "f2999(x[i]) }\n", "E0215");
    chain("fn f@(i: x) = f~(i: x + 1)\n", 20000, "fn f0(i: x) = x / sum(i: x)\n" GRAPH "f19999(i: x[i]) }\n", "E0215");
    chain("const c@ = c~ + c~\n", 60, "const c0 = 1\n" GRAPH "x[i] + c59 }\n", "E0215");
    chain("variant v@() { with v~(); with v~() }\n", 40,
          "variant v0() { score = s + 1 }\ngraph g(q: f32[S,D]) -> (o: f32[S,D]) { o[i,e] = attend(j: q[i,d], q[j,d], q[j,e]) { with v39() } }\n", "E0215");
    chain("graph g@(x: f32[N]) -> (y: f32[N]) { a = g~(x); b = g~(a); y[i] = a[i] + b[i] }\n", 18,
          "graph g0(x: f32[N]) -> (y: f32[N]) { y[i] = x[i] }\n", "E0215");
    chain("# @ ~\n", 2, "graph g(x: f32[N]) -> (y: f32[N]) where N % 1 == 0, N % 2 == 0 { y[i] = x[i] }\n", "");
}

static void test_circles(void **state) {
    (void)state;
    TEXT("fn f(x) = g(x)\nfn g(x) = f(x)\ngraph h(x: f32[N]) -> (y: f32[N]) { y[i] = f(x[i]) }\n", "E0214");
    TEXT("graph a(x: f32[N]) -> (y: f32[N]) { y = b(x) }\ngraph b(x: f32[N]) -> (y: f32[N]) { y = a(x) }\n", "E0214");
    TEXT("const a = b\nconst b = a\n" GRAPH "x[i] + a }\n", "E0214");
    TEXT("import \"self.attn\"\n" GRAPH "x[i] }\n", "E0110");
    TEXT("variant a() { with b() }\nvariant b() { with a() }\ngraph g(q: f32[S]) -> (o: f32[S]) { o[i] = attend(j: q[j], q[j]) { with a() } }\n", "E0214");
}

static void test_many(void **state) {
    (void)state;
    world w = world_create();
    put(&w, "graph g(x: f32[N]) -> (y: f32[N]) where N >= 0");
    put_times(&w, 3000, ", N >= 0");
    put(&w, " { y[i] = x[i] }\n");
    check(&w, "E0415");
    w = world_create();
    put(&w, "graph g(q: f32[S,D]) -> (o: f32[S,D]) { o[i,e] = attend(j: q[i,d], q[j,d], q[j,e]) {\n");
    put_times(&w, 20000, "mask = j <= i\n");
    put(&w, "} }\n");
    check(&w, "E0215");
    w = world_create();
    put(&w, "graph g(x: f32[N]) -> (y: f32) { y = sum(i0 in 0..2");
    for (uint32_t k = 1; k < 40; k++) base_text_add(&w.text, ", i%u in 0..2", k);
    put(&w, ": x[0]) }\n");
    check(&w, "E0411");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting), cmocka_unit_test(test_brackets), cmocka_unit_test(test_bytes), cmocka_unit_test(test_length),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_tables), cmocka_unit_test(test_expansion), cmocka_unit_test(test_circles),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests_name("hostile programs", tests, NULL, NULL);
}

/* Kernels of every kind, lowered from small graphs, as emulated CUDA text against the evaluator. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "emulated.h"

typedef struct { const char *name, *text; int64_t dims[2][6]; double tolerance; } graph_case;

static const graph_case cases[] = {
#define SIZES(...) __VA_ARGS__
#define GRAPH(name, dims, tolerance, text) {#name, text, SIZES dims, tolerance},
#include "graphs.def"
};

typedef struct { base_arena *arena; base_diags *diags; ir_graph *graph; ir_frame frame; jmp_buf fail; } world;

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    return *seed ^= *seed << 17;
}

/* Reals in [-2, 2); integers below 3, which are in range of every table of these graphs; truth values. */
static void fill(ir_tensor *t, uint64_t *seed) {
    for (int64_t i = 0; i < t->n; i++) {
        if (ir_dtypes[t->dtype].sort == IR_SORT_REAL) t->f[i] = ir_round_to(t->dtype, (double)(next(seed) % 4096) / 1024 - 2);
        else t->i[i] = (int64_t)(next(seed) % (t->dtype == IR_TYPE_BOOL ? 2 : 3));
    }
}

static void bind_input(void *env, const ir_node *node, uint32_t depth) {
    world *w = env;
    int64_t dim[IR_RANK];
    uint64_t seed = 88172645463325252u + node->source.value;
    (void)depth;
    if (node->form != IR_FORM_INPUT && node->form != IR_FORM_PARAM) return;
    const ir_type *type = &w->graph->unit->value.at[node->source.value].type;
    if (!ir_type_shape(w->graph->unit, &w->frame, type, dim, w->diags)) return;
    w->frame.value[node->source.value] = ir_tensor_new(w->arena, type->dtype, type->rank, dim);
    fill(&w->frame.value[node->source.value], &seed);
}

static void print_diags(const world *w) {
    base_text t;
    base_text_init(&t, w->arena);
    for (const base_diag *d = w->diags->first; d; d = d->next) base_diag_print(w->diags, d, false, &t);
    if (t.n) print_message("%s\n", t.at);
}

static bool begin(world *w, const graph_case *c, const int64_t *dims) {
    w->arena = base_arena_create(NULL, &w->fail);
    w->diags = base_diags_create(w->arena);
    w->graph = ir_graph_read(w->arena, w->diags, base_file_add(w->diags, c->name, c->text, strlen(c->text)));
    if (!w->graph) return false;
    w->frame = ir_frame_create(w->graph->unit, w->arena);
    for (uint32_t d = 1; d < w->graph->unit->dim.n; d++) w->frame.dim[d] = dims[d - 1];
    ir_graph_each(w->graph, bind_input, w);
    return true;
}

static double difference(const ir_tensor *a, const ir_tensor *b, int64_t i) {
    if (ir_dtypes[a->dtype].sort != IR_SORT_REAL) return a->i[i] == b->i[i] ? 0 : 1e9;
    if (isnan(a->f[i]) && isnan(b->f[i])) return 0;
    if (a->f[i] == b->f[i]) return 0;
    double d = fabs(a->f[i] - b->f[i]) / fmax(1, fabs(b->f[i]));
    return isnan(d) ? 1e9 : d;
}

static void compare(const world *ours, const world *meaning, const graph_case *c) {
    for (uint32_t o = 0; o < ours->graph->n_outputs; o++) {
        ir_value v = ours->graph->outputs[o].value;
        const ir_tensor *a = &ours->frame.value[v], *b = &meaning->frame.value[v];
        assert_int_equal(a->n, b->n);
        for (int64_t i = 0; i < a->n; i++)
            if (difference(a, b, i) > c->tolerance)
                fail_msg("%s: output %u, element %lld differs by %g: %g, not %g", c->name, o, (long long)i, difference(a, b, i), a->f[i], b->f[i]);
    }
}

static void run_case(const graph_case *c, const int64_t *dims) {
    world ours, meaning;
    emulated_reset();
    if (setjmp(ours.fail)) fail_msg("out of memory");
    if (setjmp(meaning.fail)) fail_msg("out of memory");
    bool ok = begin(&meaning, c, dims) && ir_graph_eval(meaning.graph, &meaning.frame, meaning.arena, meaning.diags);
    if (!ok) print_diags(&meaning);
    assert_true(ok);
    ok = begin(&ours, c, dims) && emulated_graph_eval(ours.graph, &ours.frame, ours.arena, ours.diags);
    if (!ok) print_diags(&ours);
    assert_true(ok);
    assert_string_equal(emulated_error(), "");
    assert_int_equal(emulated_alive(), 0);
    compare(&ours, &meaning, c);
    base_arena_destroy(ours.arena);
    base_arena_destroy(meaning.arena);
}

static void test_graph(void **state) {
    const graph_case *c = *state;
    for (int i = 0; i < 2; i++) run_case(c, c->dims[i]);
}

int main(void) {
    struct CMUnitTest tests[sizeof cases / sizeof *cases];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tests[i] = (struct CMUnitTest)cmocka_unit_test(test_graph);
        tests[i].name = cases[i].name;
        tests[i].initial_state = (void *)(uintptr_t)&cases[i];
    }
    return cmocka_run_group_tests_name("emulated", tests, NULL, NULL);
}

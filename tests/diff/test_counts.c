/* How many kernels the passes leave of a program that says `#: kernels N`: the judge's word, at its default sizes. And that the catalogue
 * holds every reduction, of every sort, over columns and over features: what no program has, no target is tried with. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "diff.h"
#include "passes.h"

/* What is asked of data is not the judge's. */
static void count_check(void *env, const ir_node *node, uint32_t depth) {
    (void)depth;
    if (node->form == IR_FORM_CHECK) *(uint32_t *)env += 2;
}

static void check_count(const diff_program *p, base_arena *arena) {
    base_diags *diags = base_diags_create(arena);
    ir_graph *g = diff_graph(p, arena, diags);
    assert_non_null(g);
    pass_state state = {.arena = arena, .diags = diags, .target = &diff_machine, .graph = g};
    assert_true(pass_run_all(&state, &(pass_options){.stop_after = "lower"}));
    uint32_t asked = 0;
    ir_graph_each(state.graph, count_check, &asked);
    if ((int32_t)(state.n_kernels - asked) == p->kernels) return;
    for (uint32_t r = 0; r < state.remarks.n; r++) print_error("%s\n", state.remarks.at[r].text);
    fail_msg("%s: %u kernels instead of %d", p->name, state.n_kernels - asked, p->kernels);
}

static void test_counts(void **state) {
    (void)state;
    jmp_buf no_memory;
    base_arena *arena = base_arena_create(NULL, &no_memory);
    assert_non_null(arena);
    if (setjmp(no_memory)) fail_msg("out of memory");
    diff_program **programs;
    uint32_t n = diff_catalogue(arena, DIFF_PROGRAMS, &programs), counted = 0;
    for (uint32_t k = 0; k < n; k++) {
        if (programs[k]->kernels < 0) continue;
        check_count(programs[k], arena);
        counted++;
    }
    assert_true(counted >= 10);
    base_arena_destroy(arena);
}

/* ---- reductions */

enum { FOLDED, SUMMED, N_WAYS };         /* over columns, over features */
static const char sorts[] = "fib";
typedef struct { ir_unit *u; bool seen[IR_N_REDS][sizeof sorts][N_WAYS]; } reductions;

static void see_map(void *env, const ir_node *map, uint32_t depth) {
    (void)depth;
    reductions *r = env;
    const ir_kernel *k = map->form == IR_FORM_MAP ? pass_lower_node(r->u, map) : NULL;
    for (uint32_t i = 0; k && i < k->n_lets; i++) {
        const ir_let *l = &k->lets[i];
        if (l->kind == IR_LET_FOLD || l->kind == IR_LET_TERM) r->seen[l->red][strchr(sorts, l->sort) - sorts][l->kind == IR_LET_TERM ? SUMMED : FOLDED] = true;
    }
}

/* Bits are united by what the compiler adds to programs, never by a program. */
static bool row_takes(ir_red red, char sort) { return red != IR_RED_BITS && ir_red_takes(red, (ir_sort)sort); }

static void test_reductions(void **state) {
    (void)state;
    jmp_buf no_memory;
    base_arena *arena = base_arena_create(NULL, &no_memory);
    assert_non_null(arena);
    if (setjmp(no_memory)) fail_msg("out of memory");
    diff_program **programs;
    reductions r = {0};
    for (uint32_t k = 0, n = diff_catalogue(arena, DIFF_PROGRAMS, &programs); k < n; k++) {
        ir_graph *g = diff_graph(programs[k], arena, base_diags_create(arena));
        assert_non_null(g);
        r.u = g->unit;
        ir_graph_each(g, see_map, &r);
    }
    uint32_t missing = 0;
    for (uint32_t red = 0; red < IR_N_REDS; red++)
        for (const char *sort = sorts; *sort; sort++)
            for (uint32_t way = 0; way < N_WAYS; way++) {
                if (!row_takes((ir_red)red, *sort) || r.seen[red][sort - sorts][way]) continue;
                print_error("no program has `%s` of sort %c over %s\n", ir_reds[red].text, *sort, way == SUMMED ? "features" : "columns");
                missing++;
            }
    assert_int_equal(missing, 0);
    base_arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts), cmocka_unit_test(test_reductions)};
    return cmocka_run_group_tests_name("counts", tests, NULL, NULL);
}

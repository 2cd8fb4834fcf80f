/* How many kernels the passes leave of a program that says `#: kernels N`: the judge's word, at its default sizes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts)};
    return cmocka_run_group_tests_name("counts", tests, NULL, NULL);
}

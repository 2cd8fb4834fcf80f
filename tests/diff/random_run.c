/* Runs random programs on compiled plans and compares them with the evaluator: each on the first machine, and on one of the others in turn.
 * A program that fails is printed as small as it gets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "random.h"

typedef struct { uint64_t number; uint32_t n_machines; const plan_machine *machines; bool print; } random_test;

/* ---- one program */

/* Large scores lose digits in f32, by how much depends on every part: they are left to the catalogue. */
static bool applies(const random_choice *c, const diff_program *p, diff_fill fill) {
    if (fill == DIFF_FILL_LARGE) return false;
    if (fill == DIFF_FILL_RISING) return c->at[RANDOM_TYPE] != 0;
    return fill == DIFF_FILL_NAN || diff_applies(p, &diff_evaluator, fill);
}

static const char *compare(diff_program *p, const random_choice *c, diff_way *found, diff_way *meant, base_arena *arena) {
    for (uint32_t d = 0; d < p->dims.n + p->large.n; d++)
        for (diff_fill f = 0; f < DIFF_N_FILLS; f++) {
            if (!applies(c, p, f)) continue;
            p->loose_nan = f == DIFF_FILL_NAN;
            const char *dims = d < p->dims.n ? p->dims.at[d] : p->large.at[d - p->dims.n];
            const char *fault = diff(found, meant, dims, f, 1);
            if (fault) return base_printf(arena, "%s, inputs %s: %s", dims, diff_fill_name(f), fault);
        }
    return NULL;
}

static const char *run_on(const random_choice *c, diff_program *p, const plan_machine *machine, base_arena *arena) {
    const diff_target target = plan_target(machine->name, machine);
    if (target.unavailable && target.unavailable(&target)) return NULL;
    const char *fault;
    diff_way *meant = diff_open(p, &diff_evaluator, arena, &fault), *found = fault ? NULL : diff_open(p, &target, arena, &fault);
    if (!found) return fault;
    fault = compare(p, c, found, meant, arena);
    diff_close(found);
    return fault ? base_printf(arena, "on %s, %s", machine->name, fault) : NULL;
}

/* Memory of its own: a program that is made smaller is run many times. The fault is copied out of it. */
static char *run(const random_choice *c, const plan_machine *machine, char **text) {
    jmp_buf no_memory;
    base_arena *arena = base_arena_create(NULL, &no_memory);
    if (!arena || setjmp(no_memory)) return strdup("out of memory");
    diff_program *p = random_program(arena, c, "random.attn");
    const char *fault = run_on(c, p, machine, arena);
    char *out = fault ? strdup(fault) : NULL;
    if (text) *text = strdup(p->text);
    base_arena_destroy(arena);
    return out;
}

static void print_smallest(random_choice c, const plan_machine *machine, char *fault) {
    for (uint32_t k = 0; k < RANDOM_N_PARTS; k++) {
        random_choice less;
        char *still = random_plainer(&c, k, &less) ? run(&less, machine, NULL) : NULL;
        if (!still) continue;
        free(fault);
        fault = still;
        c = less;
    }
    char *text;
    free(run(&c, machine, &text));
    print_error("%s\n%s\n", text, fault);
    free(text);
    free(fault);
}

/* ---- as tests */

static void test_program(void **state) {
    const random_test *t = *state;
    const random_choice c = random_draw(t->number);
    const uint32_t others = t->n_machines - 1, n = others ? 2 : 1;
    for (uint32_t k = 0; k < n; k++) {
        const plan_machine *machine = &t->machines[k ? 1 + (uint32_t)(t->number % others) : 0];
        char *text, *fault = run(&c, machine, &text);
        if (t->print && k == 0) print_message("%s", text);
        free(text);
        if (!fault) continue;
        print_smallest(c, machine, fault);
        fail_msg("program %llu", (unsigned long long)t->number);
    }
}

int random_main(int argc, char **argv, const char *name, uint32_t n_programs, uint32_t n_machines, const plan_machine *machines) {
    const size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : n_programs;
    const uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    struct CMUnitTest *tests = calloc(n + 1, sizeof *tests);
    random_test *states = calloc(n + 1, sizeof *states);
    char (*names)[32] = calloc(n + 1, sizeof *names);
    if (!tests || !states || !names) return 1;
    for (size_t k = 0; k < n; k++) {
        states[k] = (random_test){first + k, n_machines, machines, argc > 3 && !strcmp(argv[3], "--print")};
        snprintf(names[k], sizeof names[k], "program %llu", (unsigned long long)states[k].number);
        tests[k] = (struct CMUnitTest){names[k], test_program, NULL, NULL, &states[k]};
    }
    int failed = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
    free(tests);
    free(states);
    free(names);
    return failed;
}

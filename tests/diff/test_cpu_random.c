/* Attentions put together by chance (random.c) as compiled plans against the evaluator: each on this CPU as the schedule has it, and on one more
 * machine, in turn: narrower CPUs, other tiles, columns in parts.
 *
 *   diff_test_cpu_random                       the programs that ctest runs
 *   diff_test_cpu_random 500 1000              500 programs from number 1000 on
 *   diff_test_cpu_random 1 1017 --print        one of them, in full
 *
 * A program that fails is printed as small as it gets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "cpu.h"
#include "plan.h"
#include "random.h"

static const ir_backend *backend(base_arena *arena) {
    (void)arena;
    return cpu_backend();
}
static const char *no_avx2(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? NULL : "this machine has no AVX2";
#else
    return "this machine is no x86";
#endif
}

static const plan_machine machines[] = {
    {.backend = backend},
    {.backend = backend, .arch = "x86-64-v3", .missing = no_avx2},
    {.backend = backend, .keys = 1, .vectors = 1, .block = 1, .rows = 1, .tile = 1, .features = 1},
    {.backend = backend, .keys = 3, .vectors = 3, .block = 7, .rows = 3, .tile = 7, .features = 5},
    {.backend = backend, .keys = 8, .vectors = 4, .block = 40, .rows = 6, .tile = 40, .features = 16},
    {.backend = backend, .columns = 2, .keys = 3, .vectors = 2, .block = 5, .rows = 2, .tile = 9, .features = 3},
};
enum { MACHINES = sizeof machines / sizeof *machines, PROGRAMS = 60, FIRST = 1 };

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

static const char *run_on(const random_choice *c, diff_program *p, uint32_t machine, base_arena *arena) {
    const diff_target target = plan_target(base_printf(arena, "machine %u", machine), &machines[machine]);
    if (target.unavailable && target.unavailable(&target)) return NULL;
    const char *fault;
    diff_way *meant = diff_open(p, &diff_evaluator, arena, &fault), *found = fault ? NULL : diff_open(p, &target, arena, &fault);
    if (!found) return fault;
    fault = compare(p, c, found, meant, arena);
    diff_close(found);
    return fault ? base_printf(arena, "on machine %u, %s", machine, fault) : NULL;
}

/* Memory of its own: a program that is made smaller is run many times. The fault is copied out of it. */
static char *run(const random_choice *c, uint32_t machine, char **text) {
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

static void print_smallest(random_choice c, uint32_t machine, char *fault) {
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

static bool printing;

static void test_program(void **state) {
    const uint64_t number = (uintptr_t)*state;
    const random_choice c = random_draw(number);
    const uint32_t on[] = {0, 1 + (uint32_t)(number % (MACHINES - 1))};
    for (uint32_t k = 0; k < 2; k++) {
        char *text, *fault = run(&c, on[k], &text);
        if (printing && k == 0) print_message("%s", text);
        free(text);
        if (!fault) continue;
        print_smallest(c, on[k], fault);
        fail_msg("program %llu", (unsigned long long)number);
    }
}

int main(int argc, char **argv) {
    const size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : PROGRAMS;
    const uintptr_t first = argc > 2 ? strtoul(argv[2], NULL, 10) : FIRST;
    printing = argc > 3 && !strcmp(argv[3], "--print");
    struct CMUnitTest *tests = calloc(n + 1, sizeof *tests);
    char (*names)[32] = calloc(n + 1, sizeof *names);
    if (!tests || !names) return 1;
    for (size_t k = 0; k < n; k++) {
        snprintf(names[k], sizeof names[k], "program %zu", first + k);
        tests[k] = (struct CMUnitTest){names[k], test_program, NULL, NULL, (void *)(first + k)};
    }
    int failed = _cmocka_run_group_tests("random attentions", tests, n, NULL, NULL);
    free(tests);
    free(names);
    return failed;
}

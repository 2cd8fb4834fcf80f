/* Runs maps of graphs on the CPU through lower, legalize, schedule and compile, and compares with the evaluator. */
#ifndef TEST_CPU_RUN_H
#define TEST_CPU_RUN_H
#include "cpu.h"
#include "passes.h"

typedef struct {
    base_arena *arena;
    jmp_buf failed;
    base_diags *diags;
    ir_unit *u;
    ir_frame frame;
    uint32_t n_dims, n_values;   /* that the frame has room for */
    const ir_target *target;
} cpu_run;

cpu_run *cpu_run_create(const char *arch);
void cpu_run_destroy(cpu_run *r);
/* Inputs: a value with its elements, from a generator; dims must be bound in r->frame by then. */
ir_value cpu_run_input(cpu_run *r, const char *name, uint8_t dtype, uint32_t rank, const ir_expr *dim);
void cpu_run_bind(cpu_run *r, ir_dim dim, int64_t n);
void cpu_run_fill(cpu_run *r, ir_value v, double (*f)(int64_t i), int64_t (*g)(int64_t i));
/* Runs the map on the CPU: its results are in r->frame afterwards. */
ir_kernel *cpu_run_native(cpu_run *r, const ir_node *map);
/* Fails the test, saying where, unless all results of the map agree: |x - y| <= tolerance * max(1, |y|), NaN and inf alike. */
void cpu_run_check(cpu_run *r, const ir_node *map, double tolerance);
double cpu_noise(int64_t i);     /* about N(0, 1), the same for the same i */
#endif

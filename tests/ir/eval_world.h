/* A graph from IR text with its frame, for tests of the evaluator and of kernels. */
#ifndef TEST_EVAL_WORLD_H
#define TEST_EVAL_WORLD_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "ir.h"

typedef struct {
    base_arena *arena;
    base_diags *diags;
    ir_graph *g;
    ir_frame frame;
} trial;

trial trial_create(const char *text);                             /* fails the test if the text is wrong */
void trial_destroy(trial *t);
void trial_dim(trial *t, const char *name, int64_t extent);
ir_tensor *trial_tensor(trial *t, const char *name);              /* of a value, made by its type if it has none */
void trial_reals(trial *t, const char *name, uint32_t n, const double *from);
void trial_ints(trial *t, const char *name, uint32_t n, const int64_t *from);
bool trial_run(trial *t);
const char *trial_code(const trial *t);                           /* code of the first diagnostic; "" if there is none */
const char *trial_message(const trial *t);
#define REALS(t, name, ...) trial_reals(t, name, sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]){__VA_ARGS__})
#define INTS(t, name, ...) trial_ints(t, name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), (int64_t[]){__VA_ARGS__})
#endif

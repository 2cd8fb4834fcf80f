/* The differential harness: one catalogue of programs, many ways to run them, one meaning.
 *
 * A program is a file of programs/ in IR text or in the language, with lines `#: ...` that say how to feed it (README.md lists them).
 * A target computes a graph's outputs in its own way. Every target has to give what the float64 evaluator gives, within the row of
 * tolerance.def for its precision and the kind of inputs.
 */
#ifndef ATTN_DIFF_H
#define ATTN_DIFF_H
#include <setjmp.h>
#include "ir.h"

typedef enum {
#define FILL(id, text) DIFF_FILL_##id,
#include "fills.def"
    DIFF_N_FILLS
} diff_fill;                     /* what real inputs look like */
typedef enum { DIFF_DOUBLE, DIFF_SINGLE, DIFF_N_PRECISIONS } diff_precision;     /* of a target's arithmetic on f32 programs */

typedef struct diff_target diff_target;
struct diff_target {
    const char *name;
    uint8_t precision;
    const char *(*unavailable)(const diff_target *self);                         /* NULL, or returns NULL: it can run. Else why not */
    /* One program is opened once and run many times. g is the target's own: it may be rewritten, as long as runs fill the outputs of g
     * as handed in. NULL: reported. Without `open` there is nothing to prepare, and `run` gets NULL. */
    void *(*open)(const diff_target *self, ir_graph *g, base_arena *arena, base_diags *diags);
    /* Computes the outputs of g into frame->value from its inputs and params there; dims are bound. False: reported. */
    bool (*run)(const diff_target *self, void *opened, ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags);
    void (*close)(const diff_target *self, void *opened);                        /* NULL: nothing to do */
    const void *env;
    bool small;                  /* slow, and its blocks are small anyway: no large sizes */
    bool plans;                  /* runs the compiled plan: what the compiler refuses is not run */
    const char *const *programs; /* these alone, ended by NULL; NULL: all */
    bool unchecked;              /* maps alone, without the checks of data: programs that must fail are not asked of it */
};

typedef struct { const char *name; const char *lo, *hi; bool ascending; } diff_range;   /* of an integer input; hi is not in it. ascending: sorted,
                                                                    the first lo, the last hi - 1 */
typedef struct {
    const char *name, *path, *text;
    bool attn;                   /* in the language, not IR text */
    BASE_VEC(const char *) dims; /* "B=2 S=5": one run each */
    BASE_VEC(const char *) large;/* the same, beyond a block of columns and a tile of rows: with normal, rising and NaN inputs alone */
    BASE_VEC(diff_range) ranges;
    BASE_VEC(const char *) infinite;                                             /* inputs that may hold -inf */
    BASE_VEC(const char *) positive;
    BASE_VEC(const char *) overflows;                                            /* outputs X_ref whose text leaves float64 where that of X does not */
    const char *error;           /* code of the error that all must report; NULL: none */
    const char *refused;         /* code of the error with which plans of it are refused; NULL: there is one */
    int32_t kernels;             /* after the passes; -1: not said */
    bool rescored;               /* its maps compute a score twice before an exponential: large inputs only in f64 */
    bool loose_nan;              /* NaN of the evaluator may be anything, but nothing else may be NaN */
    bool nan;                    /* NaN in an input must come out where it comes out of the evaluator */
} diff_program;

extern const ir_target diff_machine;                              /* machine.c */

/* programs.c */
diff_program *diff_program_read(base_arena *arena, const char *path);
diff_program *diff_program_parse(base_arena *arena, const char *path, const char *text, bool attn);     /* the text stays the caller's */
uint32_t diff_catalogue(base_arena *arena, const char *folder, diff_program ***out);   /* sorted by name */
ir_graph *diff_graph(const diff_program *p, base_arena *arena, base_diags *diags);     /* a fresh one; NULL: reported */
/* inputs.c */
uint64_t diff_next_random(uint64_t *state);
bool diff_bind(const diff_program *p, const ir_graph *g, const char *dims, diff_fill fill, uint64_t seed, ir_frame *frame, base_arena *arena, base_diags *diags);
/* diff.c */
typedef struct diff_way diff_way;                                 /* a program on a target */
diff_way *diff_open(const diff_program *p, const diff_target *target, base_arena *arena, const char **fault);
void diff_close(diff_way *w);
/* NULL if both give the same, or both the error that the program says; else what differs, text in the arena of `found`. */
const char *diff(diff_way *found, diff_way *meant, const char *dims, diff_fill fill, uint64_t seed);
extern const diff_target diff_evaluator;
const char *diff_fill_name(diff_fill fill);
bool diff_applies(const diff_program *p, const diff_target *target, diff_fill fill);
/* cmocka: a test per program and target. only: a pattern (* ?) of "PROGRAM on TARGET", or NULL */
#define DIFF_PROGRAMS ATTN_SOURCE_DIR "/tests/diff/programs"
int diff_main(const char *name, const char *only, uint32_t n_targets, const diff_target *targets);
#endif

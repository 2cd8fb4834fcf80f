/* What the tests of masks share: a world of tables and sizes, masks evaluated as they are written, and what the compiler derives from them. */
#ifndef TEST_MASKS_H
#define TEST_MASKS_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "mask.h"

typedef struct { const char *name, *text; bool square; long budget; } mask_case;
extern const mask_case mask_cases[];
extern const size_t n_mask_cases;

/* world.c */
typedef struct { uint64_t s; } rnd;
uint64_t rnd_next(rnd *r);
int rnd_in(rnd *r, int lo, int hi);
enum {
#define TABLE(name, rank, dtype) TABLE_##name,
#include "tables.def"
    N_TABLES
};
enum {
#define SCALAR(name, kind) SCALAR_##name,
#include "scalars.def"
    N_SCALARS
};
typedef struct { const char *name; uint8_t rank, dtype; char kind; } world_name;
extern const world_name world_tables[N_TABLES];
extern const world_name world_scalars[N_SCALARS];        /* kind: d dimension, t rank 0 tensor, v variable */
extern const char *const world_macros[][2];              /* name, text; up to NULL */
typedef struct { int64_t dim[4], *at; } table;           /* elements of reals are whole, or this: */
#define NOT_A_NUMBER INT64_MIN
typedef struct { table tables[N_TABLES]; int64_t scalars[N_SCALARS]; } world;
world *world_create(base_arena *arena, int S, int T, rnd *r, int scale);          /* scale: of windows, chunks, documents, in positions */

/* written.c: an evaluator of the text that shares nothing with the compiler */
typedef struct written written;
written *written_read(base_arena *arena, const char *text);
void written_begin(written *w, const world *at);
void written_row(written *w, int64_t i);
bool written_pair(written *w, int64_t j);

/* judge.c: the mask that the compiler makes of the text, evaluated for tiles */
typedef enum { EMPTY, PARTIAL, FULL } kind;
typedef struct judge judge;
typedef struct { int64_t first, last, full_first, full_last; } key_range;
judge *judge_create(base_arena *arena, const char *text);
const ir_mask *judge_mask(const judge *g);
const ir_kernel *judge_kernel(const judge *g);
void judge_begin(judge *g, const world *at);             /* computes summaries, and what depends on neither rows nor columns */
void judge_rows(judge *g, int64_t lo, int64_t hi);
kind judge_tile(judge *g, int64_t lo, int64_t hi);       /* by may and must */
key_range judge_keys(const judge *g);
kind judge_by_keys(key_range k, int64_t lo, int64_t hi);
int64_t judge_work(const judge *g);                      /* of the rows */
bool judge_exact(const judge *g);
bool judge_seen(const judge *g);
bool judge_rows_seen(const judge *g);
#endif

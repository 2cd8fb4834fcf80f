/* What tests of the public header share: a context with a list of diagnostics, and short ways to the usual objects. Everything here is
 * written as a host would write it, on attn/attn.h alone. */
#ifndef API_WORLD_H
#define API_WORLD_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "attn/attn.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

typedef struct {
    attn_context *context;
    attn_diagnostics *said;
    attn_program *program;
    attn_module *module;
    attn_model *model;
} world;

/* A context, and with `source` a program, a module for `target`, and a model without weights; all must work. source NULL: the context alone. */
world world_open(const char *source, const char *target);
void world_close(world *w);
/* The k-th code that was said, "" beyond the last. The list is not cleared. */
const char *world_code(const world *w, size_t k);
/* The call had this status, the first message is of that code and its text, expected and found together have these words; clears the list. */
#define assert_said(w, status, wanted, code, words) world_check_said((w), (status), (wanted), (code), (words), __FILE__, __LINE__)
void world_check_said(world *w, attn_status status, attn_status wanted, const char *code, const char *words, const char *file, int line);
attn_tensor *world_wrap(const world *w, attn_dtype dtype, int rank, const int64_t *dims, void *data);

/* An allocator that counts, and fails from the n-th request on or at the n-th alone. */
typedef struct {
    long requests, fail_at;          /* 0: never */
    bool once;                       /* fails at fail_at alone */
    long blocks;                     /* not yet freed */
    long long bytes;
} counter;
attn_allocator counter_allocator(counter *c);
#endif

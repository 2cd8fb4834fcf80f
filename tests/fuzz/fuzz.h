/* Fuzzing: mutated inputs for everything that reads what others wrote. See fuzz.c for the command.
 *
 * A target has a corpus of good inputs. Each round takes one, changes it here and there, and runs it. Whatever it is, it must be
 * read or refused with a report: no crash, no endless loop, no memory out of proportion. */
#ifndef ATTN_FUZZ_H
#define ATTN_FUZZ_H
#include "base.h"

typedef struct { uint64_t state; } fuzz_random;
uint64_t fuzz_next(fuzz_random *r);
uint32_t fuzz_below(fuzz_random *r, uint32_t n);         /* 0 .. n, without n; n > 0 */

typedef struct { const char *name; const char *at; size_t n; } fuzz_input;
typedef struct { base_arena *arena; BASE_VEC(fuzz_input) all; } fuzz_corpus;
void fuzz_add(fuzz_corpus *c, const char *name, const char *at, size_t n);                       /* copied */
void fuzz_add_file(fuzz_corpus *c, const char *path, const char *end);   /* up to the first `end`, if it is given. A file that is not there ends the program */
void fuzz_add_folder(fuzz_corpus *c, const char *folder, const char *ending, const char *end);   /* and below; in the order of names */

typedef struct {
    base_arena *arena;           /* of this round, with a limit */
    fuzz_random *random;
    const char *at; size_t n;    /* the input; terminated, the terminator is not counted */
    bool large;                  /* set by the target: from here on memory may run out, since the input asks for large tensors */
} fuzz_round;
typedef struct {
    const char *name, *does;
    void (*corpus)(fuzz_corpus *c);
    const char *(*run)(fuzz_round *f);           /* NULL, or what is wrong */
    const char *const *words; uint32_t n_words;  /* what mutations put in, beside pieces of other inputs */
    bool binary;                                 /* no lines and words in it */
    size_t per_byte;             /* a round takes at most a fixed part and so many bytes of memory for each of the input; 0: half a gigabyte */
} fuzz_target;

/* round.c: false, after a message, if the target says what is wrong or memory runs out where it must not */
bool fuzz_run_input(const fuzz_target *t, const char *at, size_t n);

/* mutate.c: a copy of one input of the corpus with a few changes */
fuzz_input fuzz_mutate(const fuzz_target *t, const fuzz_corpus *c, fuzz_random *r, base_arena *arena);

const char *fuzz_reports(base_arena *arena, const base_diags *diags);    /* as people see them */
bool fuzz_has_internal(const base_diags *diags);                         /* the compiler itself is to blame */

/* graph.c, kernel.c, files.c, archive.c, cache.c, module.c, call.c, language.c */
extern const fuzz_target fuzz_graph, fuzz_kernel, fuzz_npy, fuzz_npz, fuzz_safetensors, fuzz_cache, fuzz_module, fuzz_call, fuzz_language;
#endif

/* A target of the command `fuzz` as a program of libFuzzer's, which finds its inputs by what they make the code do. FUZZ_TARGET says which; each input
 * is copied, since targets want a terminated text. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Some targets set up what they run on together with their corpus: models that are called, say. */
int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    base_arena *arena = base_arena_create(NULL, NULL);
    fuzz_corpus corpus = {.arena = arena};
    FUZZ_TARGET.corpus(&corpus);
    base_arena_destroy(arena);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t n) {
    char *text = malloc(n + 1);
    if (!text) return 0;
    if (n) memcpy(text, at, n);
    text[n] = 0;
    if (!fuzz_run_input(&FUZZ_TARGET, text, n)) abort();
    free(text);
    return 0;
}

/* One round: an input is run in an arena whose memory is limited. What is shared by the command and by libFuzzer's targets. */
#include <stdlib.h>
#include "fuzz.h"

/* A round of a target that bounds its memory may take so much and a multiple of its input; any other the most. */
enum { FIXED_BYTES = 4 << 20, MOST_BYTES = 1 << 29 };

typedef struct { size_t used, most; } limited;

static void *limited_alloc(void *self, size_t bytes) {
    limited *l = self;
    if (bytes > l->most || l->used > l->most - bytes) return NULL;
    l->used += bytes;
    return malloc(bytes);
}

static void limited_free(void *self, void *at, size_t bytes) {
    ((limited *)self)->used -= bytes;
    free(at);
}

static uint64_t hash_of(const char *at, size_t n) {       /* FNV-1a */
    uint64_t hash = 14695981039346656037u;
    for (size_t k = 0; k < n; k++) hash = (hash ^ (unsigned char)at[k]) * 1099511628211u;
    return hash;
}

/* The sanitizers end with SIGABRT, so that the input is kept then too. They do not follow thread-local memory of libraries that open late: some
 * versions misread what LLVM has there, and crash when they look for leaks. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "abort_on_error=1:handle_abort=0:intercept_tls_get_addr=0:allocator_may_return_null=1"; }

/* What a target decides by chance depends on the input alone. Printed at once, since the text ends with the round's arena. */
bool fuzz_run_input(const fuzz_target *t, const char *at, size_t n) {
    limited memory = {0, t->per_byte ? FIXED_BYTES + t->per_byte * n : MOST_BYTES};
    jmp_buf no_memory;
    base_allocator allocator = {limited_alloc, limited_free, &memory};
    fuzz_random random = {hash_of(at, n)};
    base_arena *arena = base_arena_create(&allocator, &no_memory);
    if (!arena) abort();
    static fuzz_round f;                         /* static: read behind the jump */
    f = (fuzz_round){.arena = arena, .random = &random, .at = at, .n = n};
    volatile bool fine = false;
    if (!setjmp(no_memory)) {
        const char *fault = t->run(&f);
        fine = !fault;
        if (fault) fprintf(stderr, "%s\n", fault);
    } else {
        fine = f.large;
        if (!fine) fprintf(stderr, "it takes too much memory: more than %zu bytes\n", memory.most);
    }
    base_arena_destroy(arena);
    return fine;
}

/* Arenas: memory that is handed out piece by piece and freed all at once.
 *
 * A list of chunks, each twice the last up to a limit; a piece is the next bytes of the newest chunk. What is larger than a
 * quarter of a chunk gets a chunk of its own behind the newest, so that the room left in the newest stays in use.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "base.h"

/* Bytes. 16 suits every type that C has, and is what the allocator must promise for a chunk to start with. */
enum { ALIGNMENT = 16, FIRST_CHUNK = 16 << 10, LAST_CHUNK = 1 << 20, HUGE_PAGE = 2 << 20 };

typedef struct chunk chunk;
struct chunk {
    chunk *next;
    size_t bytes;               /* of the whole chunk, this header included */
    _Alignas(ALIGNMENT) unsigned char at[];
};

struct base_arena {
    base_allocator allocator;
    jmp_buf *on_failure;
    chunk *chunks;              /* the newest first */
    unsigned char *free, *end;  /* what is left of it */
    size_t chunk_bytes;         /* size of the next chunk */
};

/* Weights and workspaces are touched page by page when they are new. With pages of 2 MiB that is 500 times less often; the kernel is asked for them where
 * it leaves that to programs, and no harm is done if it has none. */
static void *large_alloc(size_t bytes) {
    void *at = NULL;
    if (posix_memalign(&at, HUGE_PAGE, bytes)) return NULL;
#ifdef MADV_HUGEPAGE
    madvise(at, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return at;
}

/* malloc and free in the form of an allocator; both ignore what the host's functions are told. */
static void *plain_alloc(void *self, size_t bytes) {
    (void)self;
    return bytes >= 2 * (size_t)HUGE_PAGE ? large_alloc(bytes) : malloc(bytes);
}

static void plain_free(void *self, void *at, size_t bytes) {
    (void)self;
    (void)bytes;
    free(at);
}

/* Both functions or neither: an allocator without `alloc` is replaced whole, so that memory goes back to where it came
 * from. */
base_allocator base_allocator_or_malloc(const base_allocator *given) {
    return given && given->alloc ? *given : (base_allocator){plain_alloc, plain_free, NULL};
}

/* The arena itself comes from the allocator too, so that nothing the library holds escapes the host's accounting. */
base_arena *base_arena_create(const base_allocator *allocator, jmp_buf *on_failure) {
    base_allocator used = base_allocator_or_malloc(allocator);
    base_arena *arena = used.alloc(used.self, sizeof *arena);
    if (!arena) return NULL;
    *arena = (base_arena){.allocator = used, .on_failure = on_failure, .chunk_bytes = FIRST_CHUNK};
    return arena;
}

/* The allocator is copied first, since the arena that holds it is freed last. */
void base_arena_destroy(base_arena *arena) {
    if (!arena) return;
    base_allocator used = arena->allocator;
    for (chunk *c = arena->chunks, *next; c; c = next) {
        next = c->next;
        used.free(used.self, c, c->bytes);
    }
    used.free(used.self, arena, sizeof *arena);
}

/* Callers nest: whoever sets a recovery point puts back the one before it when it leaves. */
jmp_buf *base_arena_recover(base_arena *arena, jmp_buf *on_failure) {
    jmp_buf *before = arena->on_failure;
    arena->on_failure = on_failure;
    return before;
}

void base_arena_fail(base_arena *arena) {
    if (!arena->on_failure) {   /* an owner that sets no recovery point has chosen to end with its memory */
        fputs("out of memory\n", stderr);
        abort();
    }
    longjmp(*arena->on_failure, 1);
}

/* Only the header is initialised; base_alloc clears each piece as it hands it out. */
static chunk *chunk_create(base_arena *arena, size_t room) {
    if (room > SIZE_MAX - sizeof(chunk)) base_arena_fail(arena);
    size_t bytes = sizeof(chunk) + room;
    chunk *c = arena->allocator.alloc(arena->allocator.self, bytes);
    if (!c) base_arena_fail(arena);
    *c = (chunk){.bytes = bytes};
    return c;
}

/* Behind the newest chunk, not before it: the newest is the one with room left. */
static void *alloc_apart(base_arena *arena, size_t bytes) {
    chunk *c = chunk_create(arena, bytes);
    chunk **behind = arena->chunks ? &arena->chunks->next : &arena->chunks;
    c->next = *behind;
    *behind = c;
    return memset(c->at, 0, bytes);
}

/* What was left of the newest chunk is given up: less than a quarter of the new one, since larger pieces stand apart. */
static void chunk_start(base_arena *arena) {
    chunk *c = chunk_create(arena, arena->chunk_bytes);
    c->next = arena->chunks;
    arena->chunks = c;
    arena->free = c->at;
    arena->end = c->at + arena->chunk_bytes;
    if (arena->chunk_bytes < LAST_CHUNK) arena->chunk_bytes *= 2;
}

/* Zeroed, so that a struct that gains a member needs no new initialiser; a request for nothing still gets a place of its own. */
void *base_alloc(base_arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX - ALIGNMENT) base_arena_fail(arena);
    bytes = bytes ? (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
    if (bytes > arena->chunk_bytes / 4) return alloc_apart(arena, bytes);
    if ((size_t)(arena->end - arena->free) < bytes) chunk_start(arena);
    void *at = arena->free;
    arena->free += bytes;
    return memset(at, 0, bytes);
}

/* A product that wraps around is treated as memory that is not there: no allocator could serve it. */
void *base_alloc_array(base_arena *arena, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) base_arena_fail(arena);
    return base_alloc(arena, bytes);
}

/* A copy: the old place stays until the arena ends, so pointers into it stay readable. */
void *base_grow(base_arena *arena, void *old, size_t old_n, size_t new_n, size_t size) {
    void *at = base_alloc_array(arena, new_n, size);
    size_t kept = old_n < new_n ? old_n : new_n;
    if (kept) memcpy(at, old, kept * size);
    return at;
}

/* Bytes may be 0 and `from` NULL then, as lists of nothing have it. */
void *base_copy(base_arena *arena, const void *from, size_t bytes) {
    void *at = base_alloc(arena, bytes);
    if (bytes) memcpy(at, from, bytes);
    return at;
}

/* Doubling keeps appending linear; the old elements stay behind in the arena, at most as many bytes again as the array
 * has. */
void base_vec_room(base_arena *arena, void **at, uint32_t n, uint32_t *cap, size_t size) {
    if (n < *cap) return;
    if (*cap > UINT32_MAX / 2) base_arena_fail(arena);
    uint32_t grown = *cap ? *cap * 2 : 8;
    *at = base_grow(arena, *at, n, grown, size);
    *cap = grown;
}

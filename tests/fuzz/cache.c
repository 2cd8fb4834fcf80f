/* Entries of the cache of machine code: a file in place of one that was stored. Their digest would refuse every change, so half of the rounds put the
 * right one in; what is found must lie in the memory that was given, and nothing is run. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fuzz.h"
#include "rt.h"

static const char *const words[] = {"attncode", "\x01", "\xff\xff\xff\xff", "kernel", "x86-64-v3"};

/* Where an entry has the key and the digest of its contents, as rt_cache_store writes it. */
enum { KEY = 40, CONTENTS = KEY + sizeof(rt_digest), HEAD = CONTENTS + sizeof(rt_digest) };

static char folder[] = "/dev/shm/attn_fuzz_cache_XXXXXX", path[sizeof folder + RT_CACHE_NAME];        /* in memory: a file is written each round */
static rt_digest key;

static void remove_folder(void) {
    unlink(path);
    rmdir(folder);
}

static void stop(const char *what) {
    fprintf(stderr, "fuzz cache: %s\n", what);
    exit(2);
}

/* One entry, whose file is the corpus; its place is where each round puts its own. */
static void corpus(fuzz_corpus *c) {
    static const unsigned char code[] = {0x55, 0x48, 0x89, 0xe5, 0x5d, 0xc3};
    rt_cache cache;
    const char *why;
    size_t n;
    key = rt_digest_of("a key", 5);
    if (!mkdtemp(folder)) stop("no folder");
    atexit(remove_folder);
    const rt_cached entry = {"kernel y (1 sweep, f32)\n", "cpu x86-64-v3, LLVM 19.1.7", {code, sizeof code, 0, "k0_y"}};
    if (!rt_cache_open(&cache, folder, true, c->arena, &why) || !rt_cache_store(&cache, &key, &entry, c->arena)) stop("nothing can be stored");
    const rt_cache_entry *all = rt_cache_list(&cache, c->arena, &n);
    if (n != 1 || all[0].damage) stop("what was stored is not there");
    snprintf(path, sizeof path, "%s/%s", folder, all[0].name);
    rt_cache_close(&cache);
    fuzz_add_file(c, path, NULL);
}

static char *with_digest(fuzz_round *f) {
    char *at = base_copy(f->arena, f->at, f->n + 1);
    if (f->n < HEAD || fuzz_below(f->random, 2)) return at;
    memcpy(at + KEY, &key, sizeof key);
    memset(at + CONTENTS, 0, sizeof key);
    const rt_digest found = rt_digest_of(at, f->n);
    memcpy(at + CONTENTS, &found, sizeof found);
    return at;
}

/* Every byte of an image and of the texts is read. */
static const char *look(const rt_cached *c) {
    const volatile unsigned char *at = c->image.bytes;
    for (size_t k = 0; k < c->image.n; k++) (void)at[k];
    return strlen(c->kernel) + strlen(c->target) + strlen(c->image.symbol) && c->image.entry < c->image.n ? NULL : "an entry without texts or code";
}

static const char *run(fuzz_round *f) {
    rt_cache cache;
    const char *why, *fault = NULL;
    rt_cached found;
    size_t n;
    FILE *out = fopen(path, "wb");
    if (!out || fwrite(with_digest(f), 1, f->n, out) != f->n || fclose(out)) return "no file to write to";
    if (!rt_cache_open(&cache, folder, false, f->arena, &why)) return why;
    if (rt_cache_find(&cache, &key, f->arena, &found)) fault = look(&found);
    const rt_cache_entry *all = rt_cache_list(&cache, f->arena, &n);
    if (!fault && n != 1) fault = "the entry is not listed";
    if (!fault && !all[0].damage) fault = look(&all[0].code);
    rt_cache_close(&cache);
    return fault;
}

const fuzz_target fuzz_cache = {"cache", "entries of the cache of machine code", corpus, run, words, sizeof words / sizeof *words, true, 8};

/* Modules as files: read and verified, and what is accepted written again, which must read back as the same. Half of the inputs get a right head, since
 * a checksum would refuse every change. Nothing is run: machine code of a file is trusted as that of any shared object. */
#include <string.h>
#include "fuzz.h"
#include "handmade.h"

static const char *const words[] = {"attnmod", "w.{l}", "\x01", "\x02", "\xff\xff\xff\xff", "\xff\xff\xff\xff\xff\xff\xff\x7f"};

enum { HEAD = 64 };

static void corpus(fuzz_corpus *c) {
    size_t n;
    const char *bytes = rt_module_write(&handmade, c->arena, &n);
    fuzz_add(c, "handmade", bytes, n);
}

static const char *reads_back(fuzz_round *f, const rt_module *m) {
    size_t n, again_n;
    const char *wrong;
    const void *once = rt_module_write(m, f->arena, &n);
    const rt_module *read = rt_module_read(once, n, f->arena, &wrong);
    if (!read) return base_printf(f->arena, "what was written is refused: %s", wrong);
    const void *twice = rt_module_write(read, f->arena, &again_n);
    return n == again_n && !memcmp(once, twice, n) ? NULL : "what was written reads back as something else";
}

static const char *run(fuzz_round *f) {
    const char *wrong = NULL;
    char *bytes = base_copy(f->arena, f->at, f->n + 1);          /* aligned, as the reader wants it */
    if (f->n >= HEAD && fuzz_below(f->random, 4)) rt_module_seal(bytes, f->n);
    const rt_module *m = rt_module_read(bytes, f->n, f->arena, &wrong);
    if (!m) return wrong && *wrong ? NULL : "refused without a reason";
    wrong = rt_module_wrong(m, f->arena);
    return wrong ? wrong : reads_back(f, m);
}

const fuzz_target fuzz_module = {"module", "modules as files", corpus, run, words, sizeof words / sizeof *words, true, 64};

/* Mutations: bytes, spans, words and lines; what is put in comes from the target's words and from other inputs of the corpus. */
#include <ctype.h>
#include <string.h>
#include "fuzz.h"

enum { MOST = 1 << 16, CHANGES = 4 };            /* bytes of an input; changes of one round */

uint64_t fuzz_next(fuzz_random *r) {             /* splitmix64 */
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

uint32_t fuzz_below(fuzz_random *r, uint32_t n) { return (uint32_t)(fuzz_next(r) % n); }

typedef struct { char *at; size_t n; fuzz_random *r; } buffer;
typedef struct { size_t from, to; } span;

static size_t somewhere(const buffer *b) { return b->n ? fuzz_next(b->r) % b->n : 0; }

static void replace(buffer *b, span s, const char *with, size_t n) {
    if (b->n - (s.to - s.from) + n > MOST) return;
    memmove(b->at + s.from + n, b->at + s.to, b->n - s.to);
    if (n) memcpy(b->at + s.from, with, n);
    b->n = b->n - (s.to - s.from) + n;
}

static bool in_word(char c) { return isalnum((unsigned char)c) || c == '_' || c == '.'; }

/* The word or mark around a place, blanks left out. */
static span word_at(const char *at, size_t n, size_t place) {
    span s = {place, place};
    if (place >= n) return s;
    if (!in_word(at[place])) return (span){place, place + 1};
    while (s.from > 0 && in_word(at[s.from - 1])) s.from--;
    while (s.to < n && in_word(at[s.to])) s.to++;
    return s;
}

static span line_at(const char *at, size_t n, size_t place) {
    span s = {place, place};
    while (s.from > 0 && at[s.from - 1] != '\n') s.from--;
    while (s.to < n && at[s.to] != '\n') s.to++;
    if (s.to < n) s.to++;
    return s;
}

static span short_span(const buffer *b) {
    size_t from = somewhere(b), n = fuzz_next(b->r) % 24;
    return (span){from, from + n < b->n ? from + n : b->n};
}

static const fuzz_input *any_input(const fuzz_corpus *c, fuzz_random *r) { return &c->all.at[fuzz_below(r, c->all.n)]; }

/* ---- changes */

static void change_byte(buffer *b) {
    if (!b->n) return;
    char *at = &b->at[somewhere(b)];
    switch (fuzz_below(b->r, 3)) {
    case 0: *at = (char)fuzz_next(b->r); break;
    case 1: *at = (char)(*at ^ 1 << fuzz_below(b->r, 8)); break;
    default: *at = (char)(*at + (fuzz_below(b->r, 2) ? 1 : -1));
    }
}

static void double_span(buffer *b, span s, size_t to) {
    char copy[4096];
    size_t n = s.to - s.from < sizeof copy ? s.to - s.from : sizeof copy;
    memcpy(copy, b->at + s.from, n);
    replace(b, (span){to, to}, copy, n);
}

static void put_word(buffer *b, const fuzz_target *t, bool instead) {
    if (!t->n_words) return;
    const char *word = t->words[fuzz_below(b->r, t->n_words)];
    size_t place = somewhere(b);
    replace(b, instead ? word_at(b->at, b->n, place) : (span){place, place}, word, strlen(word));
}

/* A word of some input in the place of another. */
static void exchange_word(buffer *b, const fuzz_corpus *c) {
    const fuzz_input *from = any_input(c, b->r);
    if (!from->n) return;
    span word = word_at(from->at, from->n, fuzz_next(b->r) % from->n);
    replace(b, word_at(b->at, b->n, somewhere(b)), from->at + word.from, word.to - word.from);
}

static void put_line(buffer *b, const fuzz_corpus *c, bool instead) {
    const fuzz_input *from = any_input(c, b->r);
    if (!from->n) return;
    span line = line_at(from->at, from->n, fuzz_next(b->r) % from->n), place = line_at(b->at, b->n, somewhere(b));
    if (!instead) place.to = place.from;
    replace(b, place, from->at + line.from, line.to - line.from);
}

/* A number that is at the edge of something in the place of eight bytes or fewer. */
static void put_number(buffer *b) {
    static const uint64_t edges[] = {0, 1, 7, 8, 127, 255, 256, 32767, 65535, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff, 0x8000000000000000, UINT64_MAX};
    uint64_t value = edges[fuzz_below(b->r, sizeof edges / sizeof *edges)];
    size_t n = (size_t)1 << fuzz_below(b->r, 4), at = somewhere(b);
    if (at + n <= b->n) memcpy(b->at + at, &value, n);
}

static void change_text(const fuzz_target *t, const fuzz_corpus *c, buffer *b) {
    switch (fuzz_below(b->r, 6)) {
    case 0: put_word(b, t, false); break;
    case 1: put_word(b, t, true); break;
    case 2: case 3: exchange_word(b, c); break;
    case 4: put_line(b, c, true); break;
    default: put_line(b, c, false);
    }
}

static void change(const fuzz_target *t, const fuzz_corpus *c, buffer *b) {
    uint32_t what = fuzz_below(b->r, t->binary ? 12 : 20);
    switch (what) {
    case 0: b->n = somewhere(b); break;                          /* cut off */
    case 1: case 2: replace(b, short_span(b), NULL, 0); break;
    case 3: case 4: double_span(b, short_span(b), somewhere(b)); break;
    case 5: case 6: put_number(b); break;
    case 7: put_word(b, t, true); break;
    case 8: case 9: case 10: case 11: change_byte(b); break;
    default: change_text(t, c, b);
    }
}

fuzz_input fuzz_mutate(const fuzz_target *t, const fuzz_corpus *c, fuzz_random *r, base_arena *arena) {
    const fuzz_input *from = any_input(c, r);
    buffer b = {base_alloc(arena, MOST + 1), from->n < MOST ? from->n : MOST, r};
    memcpy(b.at, from->at, b.n);
    for (uint32_t k = 1 + fuzz_below(r, CHANGES); k; k--) change(t, c, &b);
    b.at[b.n] = 0;
    return (fuzz_input){from->name, b.at, b.n};
}

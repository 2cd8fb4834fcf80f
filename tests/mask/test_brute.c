/* Every tile of every mask is judged as the compiler judges it and compared with its pairs, which an evaluator of the mask's text gives:
 * empty must have no visible pair, full no hidden one, and what is decided by neither stays within the budget of the catalogue. The same for
 * random masks, and for tiles of all places and sizes where a comparison must be decided exactly.
 *
 *   mask_test_brute              the tests
 *   mask_test_brute quick        those that take a few seconds
 *   mask_test_brute figures [n]  a table of false partial tiles per mask, and n random masks (1000) */
#include <stdio.h>
#include "masks.h"

/* ---- pairs, and how many of them a tile holds */

typedef struct { int64_t S, T; int32_t *sum; } grid;

static grid grid_of(base_arena *arena, const char *text, const world *at) {
    const int64_t S = at->scalars[SCALAR_S], T = at->scalars[SCALAR_T], width = T + 1;
    grid g = { S, T, BASE_ARRAY(arena, (uint32_t)((S + 1) * width), int32_t) };
    written *w = written_read(arena, text);
    written_begin(w, at);
    for (int64_t i = 0; i < S; i++) {
        written_row(w, i);
        for (int64_t j = 0; j < T; j++) {
            int32_t *s = &g.sum[(i + 1) * width + j + 1];
            *s = written_pair(w, j) + s[-1] + s[-width] - s[-width - 1];
        }
    }
    return g;
}
static int64_t pairs(const grid *g, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
    const int64_t w = g->T + 1;
    return g->sum[(i1 + 1) * w + j1 + 1] - g->sum[i0 * w + j1 + 1] - g->sum[(i1 + 1) * w + j0] + g->sum[i0 * w + j0];
}
static kind truth_of(const grid *g, int64_t i0, int64_t i1, int64_t j0, int64_t j1) {
    const int64_t n = pairs(g, i0, i1, j0, j1);
    return n == 0 ? EMPTY : n == (i1 - i0 + 1) * (j1 - j0 + 1) ? FULL : PARTIAL;
}

/* ---- one mask in one world */

typedef struct { long tiles, truth[3], missed, facts, facts_missed; bool exact; } tally;
typedef struct { const char *text; judge *g; const grid *pairs; int64_t tq, tk, i0, i1; } trial;

static bool sound(kind got, kind want) { return got == PARTIAL || got == want; }
static void expect(const trial *t, bool good, const char *what, int64_t j, kind got, kind want) {
    if (!good) fail_msg("%s: '%s' S=%ld T=%ld rows %ld..%ld column %ld of tiles %ldx%ld: judged %d, is %d", what, t->text, (long)t->pairs->S, (long)t->pairs->T,
                        (long)t->i0, (long)t->i1, (long)j, (long)t->tq, (long)t->tk, got, want);
}
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* A column tile as an emitter judges it: by the keys alone if they are exact, else within them by may and must. */
static kind judged(const trial *t, key_range keys, int64_t j0, int64_t j1) {
    const kind by_keys = judge_by_keys(keys, j0, j1);
    if (judge_exact(t->g) || by_keys == EMPTY) return by_keys;
    return judge_tile(t->g, j0, j1);
}

/* Bisection without a stack, from the first tile that may be seen to the last: what is decided at once for a power of two of tiles is so for
 * each of them. */
static void walk(const trial *t, key_range keys, kind *out) {
    const int64_t n = t->pairs->T;
    memset(out, 0, (size_t)((n + t->tk - 1) / t->tk) * sizeof *out);
    if (keys.last < keys.first) return;
    int64_t at = keys.first / t->tk, end = keys.last / t->tk + 1;
    while (at < end) {
        int64_t size = at ? at & -at : (int64_t)1 << 30;
        kind k;
        for (;; size >>= 1) {
            if (size > 1 && at + size / 2 >= end) continue;
            k = judge_tile(t->g, at * t->tk, least(n, least(at + size, end) * t->tk) - 1);
            if (k != PARTIAL || size == 1) break;
        }
        for (const int64_t stop = least(at + size, end); at < stop; at++) out[at] = k;
    }
}

/* Columns that some row sees are visited: 12 each, 10 where all rows see it. No mask says less, and each what its keys
 * find. */
static void check_work(const trial *t, key_range keys) {
    static const int64_t costs[] = { 0, 12, 10 };
    int64_t seen = 0, found = 0;
    for (int64_t j = 0; j < t->pairs->T; j++) seen += costs[truth_of(t->pairs, t->i0, t->i1, j, j)], found += costs[judge_by_keys(keys, j, j)];
    const int64_t work = judge_work(t->g);
    expect(t, work >= seen && work == found, "work", work, 0, 0);
}

static void check_rows(trial *t, tally *sum) {
    const int64_t n = t->pairs->T, n_tiles = (n + t->tk - 1) / t->tk;
    judge_rows(t->g, t->i0, t->i1);
    const key_range keys = judge_keys(t->g);
    check_work(t, keys);
    kind *walked = calloc((size_t)n_tiles + 1, sizeof *walked);
    walk(t, keys, walked);
    for (int64_t c = 0; c < n_tiles; c++) {
        const int64_t j0 = c * t->tk, j1 = least(n, j0 + t->tk) - 1;
        const kind want = truth_of(t->pairs, t->i0, t->i1, j0, j1), by_keys = judge_by_keys(keys, j0, j1), tile = judge_tile(t->g, j0, j1);
        expect(t, sound(tile, want), "may and must", j0, tile, want);
        expect(t, sound(by_keys, want), "keys", j0, by_keys, want);
        if (judge_exact(t->g)) expect(t, by_keys != PARTIAL || tile == PARTIAL, "exact keys that are looser", j0, by_keys, tile);
        const kind got = judged(t, keys, j0, j1);
        /* a smaller tile is judged as definitely, so the walk finds what a look at each tile does */
        expect(t, walked[c] == (by_keys == EMPTY ? walked[c] : tile), "the walk", j0, walked[c], tile);
        expect(t, sound(walked[c], want), "the walk", j0, walked[c], want);
        sum->tiles++, sum->truth[want]++, sum->missed += got == PARTIAL && want != PARTIAL;
    }
    free(walked);
}

/* Facts may be unknown, never wrong. */
static void check_facts(const trial *t, tally *sum) {
    const grid *p = t->pairs;
    if (!p->S || !p->T) return;
    bool all = true;
    for (int64_t i = 0; i < p->S; i++) all = all && pairs(p, i, i, 0, p->T - 1) > 0;
    const bool some = pairs(p, 0, p->S - 1, 0, p->T - 1) > 0;
    expect(t, all || !judge_rows_seen(t->g), "rows_seen", 0, 0, 0);
    expect(t, !some || judge_seen(t->g), "seen", 0, 0, 0);
    sum->facts += all + !some;
    sum->facts_missed += (all && !judge_rows_seen(t->g)) + (!some && judge_seen(t->g));
}

static void check(base_arena *arena, const char *text, judge *g, const world *at, const grid *p, int64_t tq, int64_t tk, tally *sum) {
    (void)arena, (void)at;
    trial t = { .text = text, .g = g, .pairs = p, .tq = tq, .tk = tk };
    sum->exact = judge_exact(g);
    check_facts(&t, sum);
    for (t.i0 = 0; t.i0 < p->S; t.i0 += tq) {
        t.i1 = least(p->S, t.i0 + tq) - 1;
        check_rows(&t, sum);
    }
}

/* ---- the catalogue */

static const int tile_sizes[][2] = { { 32, 192 }, { 128, 128 }, { 8, 16 } };
static const int sizes[][2] = { { 1, 1 }, { 1, 257 }, { 127, 131 }, { 128, 128 }, { 200, 333 }, { 97, 1 }, { 256, 640 }, { 509, 509 }, { 0, 5 }, { 5, 0 } };
static const int scales[] = { 5, 48, 150 };

static jmp_buf no_memory;
static base_arena *arena_new(void) { return base_arena_create(NULL, &no_memory); }

static tally one_mask(const mask_case *c) {
    tally sum = { 0 };
    rnd r = { 1 };
    for (size_t z = 0; z < sizeof sizes / sizeof *sizes; z++)
        for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
            base_arena *arena = arena_new();
            const world *w = world_create(arena, sizes[z][0], c->square ? sizes[z][0] : sizes[z][1], &r, scales[s]);
            const grid p = grid_of(arena, c->text, w);
            judge *g = judge_create(arena, c->text);
            if (judge_mask(g)) {
                judge_begin(g, w);
                for (int k = 0; k < 3; k++) check(arena, c->text, g, w, &p, tile_sizes[k][0], tile_sizes[k][1], &sum);
            }
            base_arena_destroy(arena);
        }
    return sum;
}
static double share(long n, long of) { return of ? 100.0 * (double)n / (double)of : 0; }

static void test_catalogue(void **state) {
    (void)state;
    if (setjmp(no_memory)) abort();
    assert_true(n_mask_cases >= 50);
    for (size_t m = 0; m < n_mask_cases; m++) {
        const tally t = one_mask(&mask_cases[m]);
        const double missed = share(t.missed, t.tiles);
        if (missed > ((double)mask_cases[m].budget + 0.5) / 1000) fail_msg("%s: %.3f %% false partial tiles", mask_cases[m].name, missed);
    }
}

/* ---- random masks */

typedef struct { char text[4096]; size_t n; rnd *r; } writing;
static void put(writing *w, const char *s) { w->n += (size_t)snprintf(w->text + w->n, sizeof w->text - w->n, "%s", s); }
static int pick(writing *w, int lo, int hi) { return rnd_in(w->r, lo, hi); }
static void number(writing *w, int v) {
    char b[24];
    snprintf(b, sizeof b, v < 0 ? "(0 - %d)" : "%d", abs(v));
    put(w, b);
}
static void random_truth(writing *w, int depth);
static void random_int(writing *w, int depth);

static void around(writing *w, const char *open, int d, const char *between, int e, const char *close) {
    put(w, open), random_int(w, d), put(w, between), random_int(w, e), put(w, close);
}
static void random_int(writing *w, int depth) {
    static const char *const atoms[] = { "i", "j", "i", "j", "i", "j", "m", "n", "S", "T", "W", "b" };
    if (!depth || !pick(w, 0, 4)) {
        if (!pick(w, 0, 4)) number(w, pick(w, -20, 300));
        else put(w, atoms[pick(w, 0, 11)]);
        return;
    }
    const int d = depth - 1;
    switch (pick(w, 0, 15)) {
    case 0: case 1: around(w, "(", d, " + ", d, ")"); break;
    case 2: case 3: around(w, "(", d, " - ", d, ")"); break;
    case 4: put(w, "("), number(w, pick(w, -4, 4)), put(w, "*"), random_int(w, d), put(w, ")"); break;
    case 5: around(w, "(", d, "*", d > 1 ? 1 : d, ")"); break;
    case 6: case 7:
        put(w, "("), random_int(w, d), put(w, "//");
        if (pick(w, 0, 3)) number(w, pick(w, 1, 70));
        else put(w, pick(w, 0, 1) ? "C" : "max(1, a[j])");
        put(w, ")");
        break;
    case 8: case 9:
        put(w, "("), random_int(w, d), put(w, "%");
        if (pick(w, 0, 3)) number(w, pick(w, 1, 200));
        else put(w, pick(w, 0, 2) ? "C" : "(0 - 7)");
        put(w, ")");
        break;
    case 10: put(w, "abs("), random_int(w, d), put(w, ")"); break;
    case 11: around(w, "min(", d, ", ", d, ")"); break;
    case 12: around(w, "max(", d, ", ", d, ")"); break;
    case 13: put(w, "select("), random_truth(w, d), around(w, ", ", d, ", ", d, ")"); break;
    case 14: put(w, pick(w, 0, 1) ? "a[" : "dstart["), random_int(w, d), put(w, "]"); break;
    default: around(w, pick(w, 0, 1) ? "z[" : "doc[", d, ", ", d, "]"); break;
    }
}

static const char *const ready[] = {
    "doc[b,i] == doc[b,j]", "docu[b,i] == docu[b,j]", "docr[b,i] == docr[b,j]", "rb[i,j]", "keep[h,i//64,j//64]", "keep[h,i//32,j//16]", "j < len[b]", "glob[j] == 1", "glob[i] != 0",
    "kind[j] == kind[i]", "a[i] < a[j]", "j < i + a[i]", "j >= i - a[j]", "lts[j] <= i", "i < lte[j] - 50", "i//C == j//C", "j % k == 0", "(i - j) % k == 1", "abs(i - j) <= W", "i - j < win[h]",
    "rb[i, j - m]", "doc[b,i] == doc[b,j + 3]", "bit(a[i] + 20, j % 6)", "h == 1", "a[j] == 3", "(j//8) % 4 == (i//8) % 4", "y == y2", "abs(x - x2) <= 2", "doc[b,i] + 1 == doc[b,j]",
    "doc[b,i] + doc[b,j] == 7", "2*doc[b,i] == doc[b,j]", "docu[b,j] == 77", "doc[b,j] == 40", "y*WW + x >= y2*WW + x2", "(4*i + 6*j - 3)//4 < 30", "(6*j - 9*i + 100) % 3 == 1", "4*j - 6*i <= 7",
    "6*i == 4*j + 2", "abs(3 - i) + abs(j - 40) <= 30", "abs(i - j) >= W", "min(i, j) >= 3", "max(i, 2*j) > 50", "min(i - 5, j) <= 9", "(7 - j)//3 > i - 60", "x + y*WW == y2*WW + x2",
    "f[j] <= f[i]", "f[j] < 12.0", "g[i] != g[j]", "not (g[j] < 5.0)", "float(i) > f[j]", "g[j] == 7.0", "g[i] <= 0.0",
};
static void random_comparison(writing *w) {
    static const char *const between[] = { " < ", " <= ", " == ", " != ", " > ", " >= " };
    if (!pick(w, 0, 2)) {
        put(w, ready[pick(w, 0, (int)(sizeof ready / sizeof *ready) - 1)]);
        return;
    }
    const int d = pick(w, 0, 3);
    random_int(w, d), put(w, between[pick(w, 0, 5)]), random_int(w, d);
}
static void random_truth(writing *w, int depth) {
    const int what = depth && w->n <= 600 ? pick(w, 0, 6) : 6;
    if (what < 4) {
        put(w, "("), random_truth(w, depth - 1), put(w, what < 2 ? " and " : " or "), random_truth(w, depth - 1), put(w, ")");
    } else if (what == 4) {
        put(w, "(not ("), random_truth(w, depth - 1), put(w, "))");
    } else random_comparison(w);
}

static void one_random(rnd *r, tally *sum) {
    base_arena *arena = arena_new();
    const int S = pick(&(writing){ .r = r }, 0, 3) ? rnd_in(r, 1, 70) : rnd_in(r, 1, 200), T = rnd_in(r, 0, 3) ? rnd_in(r, 1, 90) : rnd_in(r, 1, 300);
    const world *at = world_create(arena, S, T, r, rnd_in(r, 1, 60));
    writing *w = BASE_NEW(arena, writing);
    w->r = r;
    random_truth(w, 3);
    const int k = rnd_in(r, 0, 4), tq = k < 3 ? tile_sizes[k][0] : rnd_in(r, 1, 40), tk = k < 3 ? tile_sizes[k][1] : rnd_in(r, 1, 40);
    judge *g = judge_create(arena, w->text);
    const grid p = grid_of(arena, w->text, at);
    if (judge_mask(g)) {
        judge_begin(g, at);
        check(arena, w->text, g, at, &p, tq, tk, sum);
    }
    base_arena_destroy(arena);
}
/* A few hundred, for a first look. */
static void test_some_random(void **state) {
    (void)state;
    if (setjmp(no_memory)) abort();
    rnd r = { 11 };
    tally sum = { 0 };
    for (int n = 0; n < 250; n++) one_random(&r, &sum);
}
static void test_random(void **state) {
    (void)state;
    if (setjmp(no_memory)) abort();
    rnd r = { 5 };
    tally sum = { 0 };
    for (int n = 0; n < 2000; n++) one_random(&r, &sum);
    /* of the tiles that are all visible or all hidden, how many were not found to be: a bound on what the rules may lose as a whole */
    assert_true(share(sum.missed, sum.truth[EMPTY] + sum.truth[FULL]) < 8);
}

/* ---- comparisons that are decided exactly */

/* Every box of a grid: `exact` ones are decided as their pairs are, all others at least soundly. */
static void every_box(const char *text, bool exact, int scale) {
    base_arena *arena = arena_new();
    rnd r = { 2 };
    const world *w = world_create(arena, 24, 24, &r, scale);
    const grid p = grid_of(arena, text, w);
    trial t = { .text = text, .g = judge_create(arena, text), .pairs = &p };
    tally facts = { 0 };
    judge_begin(t.g, w);
    check_facts(&t, &facts);
    for (t.i0 = 0; t.i0 < 24; t.i0++)
        for (t.i1 = t.i0; t.i1 < 24; t.i1++) {
            judge_rows(t.g, t.i0, t.i1);
            const key_range keys = judge_keys(t.g);
            check_work(&t, keys);
            for (int64_t j0 = 0; j0 < 24; j0++)
                for (int64_t j1 = j0; j1 < 24; j1++) {
                    const kind tile = judge_tile(t.g, j0, j1), want = truth_of(&p, t.i0, t.i1, j0, j1), by_keys = judge_by_keys(keys, j0, j1);
                    const kind got = by_keys == PARTIAL && !judge_exact(t.g) ? tile : by_keys;
                    expect(&t, exact ? got == want : sound(tile, want), exact ? "not exact" : "may and must", j0, exact ? got : tile, want);
                    expect(&t, sound(by_keys, want), "keys", j0, by_keys, want);
                    if (judge_exact(t.g)) expect(&t, by_keys != PARTIAL || tile == PARTIAL, "exact keys that are looser", j0, by_keys, tile);
                }
        }
    base_arena_destroy(arena);
}

/* Each index stands once, or conditions say together what none of them says alone. */
static void test_exact(void **state) {
    static const char *const exactly[] = {
        "i + 2*j <= 30", "3*j >= i + 4", "5*j - 2*i > 7", "i//3 == j//5", "(i + 1)//4 < (j - 7)//3", "abs(i - j) <= 4", "abs(i - j) > 4", "min(i, j) > 6", "max(i, j - 9) <= 12", "j % 5 == 3", "(j - 8) % 6 >= 4", "i*j <= 60",
        "(i - 7)*(j - 9) <= 20", "select(i < 5, j, 20) < 9", "j//4 % 3 == 1", "not (i == j)", "(i - j) % 7 == 2", "abs(j - 11) - i >= 0", "(j - 9)*(j - 9) <= 16", "i - 12 >= 0 - j//2",
        "j < 8 or j > i", "(j > 3 and j < 8) or j > i", "j < 4 or i - j < 9", "j < 11 and j <= i and (j < 3 or i - j < 6)", "i*24 + j <= 24*9 + 5", "24*(j//24) + j % 24 <= i", "4*j + 6*i <= 45",
        "abs(3 - i) + abs(j - 14) <= 9", "a[0]*j <= i - 4", "a[1]*j <= i - 4", "a[2]*j <= i - 4", "a[3]*j <= i - 4", "(6*i + 4)//4 <= 9", "(i*12 + 5) % 12 + j < 9", "(0 - j)//3 > i - 9",
    };
    (void)state;
    if (setjmp(no_memory)) abort();
    for (size_t k = 0; k < sizeof exactly / sizeof *exactly; k++) every_box(exactly[k], true, 5);
}

/* Rules that are not exact, at places where a wrong one shows. */
static void test_sound(void **state) {
    static const char *const soundly[] = {
        "i % max(1, a[j]) >= 5", "i % (j + 1) > 3", "j % (i + 1) <= i//2", "i % 3 == 1 and j <= 9", "i % 3 == 1 or j > 4", "i//(j + 2) >= 3", "j//max(1, a[i]) < 2", "i % 3 == 1 and (j < 4 or i - j < 6)",
        "min(i, 1)*2305843009213693952 + j <= 5", "P*j <= i - 3", "(i % 4 - 2)*(j % 4 - 2) > 0", "(i % 4 - 2)*(j % 3) > 1", "(i % 5 - 2)*(i % 5 - 2) + j < 9", "(4*i + 6*j + 5) % 2 == 0",
        "6*i == 4*j + 3", "f[j] <= f[i]", "g[j] >= g[i]", "g[j] == g[i]", "g[j] != g[i]", "0.0 - f[j] < 0.0 - f[i]", "float(i) > f[j]", "not (g[j] < 3.0)", "g[j] < 3.0 or g[i] > 4.0", "glob[j] == 1 and i > 3", "doc[b,j] == 2", "a[j] == a[i]",
        "a[j + i] > 3", "z[i % 8, j % 8] > 0", "z[i // 4, j // 4] > 0", "bit(a[i] + 20, j % 6)", "i == j or (j < 6 and i > 12)", "(i < 9 or j > 12) and (j < 5 or i > 6)", "i - j == 3 or j == i", "j >= 23 - i and i > 20", "i >= 20 and j == i - 20",
        "i + j == 23", "j == 3 - i or i > 3", "j == i + 1", "i < 5 and (j < i or j > 20)", "abs(a[j]) <= i", "abs(a[j] - a[i]) < 5", "min(a[j], i) > 2", "max(a[j], a[i]) < 4", "(i*j - 3*i - 5*j) > 20", "i*i - 8*i <= j", "a[i]*a[j] > 30", "a[i]*j > 30", "rb[i, j]",
        "rb[i, 3] and j < 9", "(0 - i) % (0 - 5) + 3 > j//4", "i//(0 - 3) + j > 4", "j//(0 - 1) + i > 3", "j == i % 5", "i % 4 + j == 6", "2*j <= i or (j > 9 and j < i)", "P*j >= 0 - 1 and i > 2",
    };
    (void)state;
    if (setjmp(no_memory)) abort();
    for (size_t k = 0; k < sizeof soundly / sizeof *soundly; k++) every_box(soundly[k], false, 5);
    every_box("P*j <= i - 3", false, 1);
    every_box("P*j + 2 <= i", false, 1);
}

/* Ranges of a table of all lengths, with few elements that matter: none is missed where two windows meet. */
static void test_ranges(void **state) {
    (void)state;
    if (setjmp(no_memory)) abort();
    rnd r = { 3 };
    for (int k = 0; k < 8; k++) {
        base_arena *arena = arena_new();
        const world *w = world_create(arena, 1, 1009, &r, 5);
        const grid p = grid_of(arena, "glob[j] == 1", w);
        trial t = { .text = "glob[j] == 1", .g = judge_create(arena, "glob[j] == 1"), .pairs = &p };
        judge_begin(t.g, w);
        judge_rows(t.g, 0, 0);
        for (int64_t j0 = 0; j0 < 1009; j0 += 3)
            for (int64_t j1 = j0; j1 < 1009; j1 += 5) {
                const kind got = judge_tile(t.g, j0, j1), want = truth_of(&p, 0, 0, j0, j1);
                expect(&t, sound(got, want), "a range", j0, got, want);
            }
        base_arena_destroy(arena);
    }
}

static int figures(int n) {
    if (setjmp(no_memory)) abort();
    printf("%-38s %8s %6s %6s %6s %9s %6s %s\n", "mask", "tiles", "empty", "part", "full", "missed %", "exact", "facts missed of");
    for (size_t m = 0; m < n_mask_cases; m++) {
        const tally t = one_mask(&mask_cases[m]);
        printf("%-38s %8ld %6.1f %6.1f %6.1f %9.3f %6s %ld of %ld\n", mask_cases[m].name, t.tiles, share(t.truth[EMPTY], t.tiles), share(t.truth[PARTIAL], t.tiles), share(t.truth[FULL], t.tiles),
               share(t.missed, t.tiles), t.exact ? "yes" : "-", t.facts_missed, t.facts);
    }
    rnd r = { 7 };
    tally sum = { 0 };
    for (int k = 0; k < n; k++) one_random(&r, &sum);
    printf("%d random masks: %.2f %% of all tiles, %.2f %% of those that can be decided\n", n, share(sum.missed, sum.tiles), share(sum.missed, sum.truth[EMPTY] + sum.truth[FULL]));
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "figures")) return figures(argc > 2 ? atoi(argv[2]) : 1000);
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_exact), cmocka_unit_test(test_sound), cmocka_unit_test(test_ranges), cmocka_unit_test(test_some_random),
                                        cmocka_unit_test(test_random), cmocka_unit_test(test_catalogue) };
    if (argc == 1) return cmocka_run_group_tests_name("brute", tests, NULL, NULL);
    const struct CMUnitTest quick[] = { tests[0], tests[1], tests[2], tests[3] };
    return cmocka_run_group_tests_name("quick", quick, NULL, NULL);
}

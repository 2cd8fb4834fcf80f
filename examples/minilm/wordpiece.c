/* Text to token ids, as the tokeniser of all-MiniLM-L6-v2 does it:
 *
 *   text -> pieces between special tokens -> clean, space around Chinese, NFD without marks, lower case -> words and punctuation -> WordPiece
 *
 * Code points flow through the steps one by one into a word buffer; a word ends at a space or beside a punctuation mark and is
 * cut greedily into the longest entries of the vocabulary. Unicode facts come from utf8proc.
 */
#include "wordpiece.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { MAX_WORD = 100 };                 /* code points; a longer word is [UNK], as tokenizer.json says */

typedef struct { const char *text; int32_t id; } entry;
struct wordpiece {
    char *file;                          /* the vocabulary's text, lines terminated; entries point into it */
    entry *sorted;
    size_t n;
};

typedef struct {                         /* one text on its way */
    const wordpiece *vocabulary;
    int32_t *ids;
    int n_ids, limit;
    char word[4 * MAX_WORD];             /* UTF-8, not terminated */
    int n_word, n_points;                /* bytes kept; code points seen */
} encoder;

/* ---- vocabulary */

static int compare_entries(const void *a, const void *b) { return strcmp(((const entry *)a)->text, ((const entry *)b)->text); }

/* A regular file, since its size is asked for; NULL, with a text in `error`, if it can't be read. The text ends with 0. */
static char *read_file(const char *path, size_t *n, char *error, size_t n_error)
{
    FILE *file = fopen(path, "rb");
    char *text = NULL;
    long size = -1;
    if (file && !fseek(file, 0, SEEK_END)) size = ftell(file);
    if (size >= 0 && !fseek(file, 0, SEEK_SET) && (text = malloc((size_t)size + 1))) {
        *n = fread(text, 1, (size_t)size, file);
        text[*n] = 0;
    }
    if (!text) snprintf(error, n_error, "can't read the vocabulary '%s'", path);
    if (file) fclose(file);
    return text;
}

/* Cuts the file into lines; returns how many, and fills entries if there are any to fill. */
static size_t cut_lines(char *text, size_t n, entry *entries)
{
    size_t lines = 0;
    for (char *at = text, *end = text + n; at < end; lines++) {
        char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        if (entries) {
            *stop = 0;
            if (stop > at && stop[-1] == '\r') stop[-1] = 0;
            entries[lines] = (entry){at, (int32_t)lines};
        }
        at = stop + 1;
    }
    return lines;
}

wordpiece *wordpiece_load(const char *path, char *error, size_t n_error)
{
    size_t n = 0;
    char *text = read_file(path, &n, error, n_error);
    if (!text) return NULL;
    wordpiece *v = calloc(1, sizeof *v);
    size_t lines = cut_lines(text, n, NULL);
    entry *sorted = lines <= INT32_MAX ? malloc((lines + 1) * sizeof *sorted) : NULL;
    /* The ids of the special tokens are fixed: a file with fewer lines cannot hold them. */
    if (!v || !sorted || lines <= WORDPIECE_MASK) {
        snprintf(error, n_error, "'%s' is no vocabulary: %zu lines", path, lines);
        free(text), free(v), free(sorted);
        return NULL;
    }
    /* Counted first, so that there is room for all; the id of an entry is its line, which sorting does not change. */
    cut_lines(text, n, sorted);
    qsort(sorted, lines, sizeof *sorted, compare_entries);
    *v = (wordpiece){text, sorted, lines};
    return v;
}

void wordpiece_free(wordpiece *v)
{
    if (!v) return;
    free(v->file);
    free(v->sorted);
    free(v);
}

/* The id of a text, or -1. */
static int32_t find(const wordpiece *v, const char *text)
{
    const entry key = {text, 0}, *hit = bsearch(&key, v->sorted, v->n, sizeof key, compare_entries);
    return hit ? hit->id : -1;
}

/* ---- WordPiece */

static void put(encoder *e, int32_t id)
{
    if (e->n_ids < e->limit - 1) e->ids[e->n_ids++] = id;        /* the last place is for [SEP] */
}

/* The longest entry that begins word[from..], or -1; pieces inside a word begin with ##. */
static int32_t longest(const encoder *e, int from, int *end)
{
    char piece[sizeof e->word + 3];
    int prefix = from ? 2 : 0;
    memcpy(piece, "##", 2);
    for (*end = e->n_word; *end > from; --*end) {
        if (*end < e->n_word && ((unsigned char)e->word[*end] & 0xc0) == 0x80) continue;     /* inside a code point */
        memcpy(piece + prefix, e->word + from, (size_t)(*end - from));
        /* Fits: a word is at most 4 * MAX_WORD bytes, and piece has 3 more for "##" and the end. */
        piece[prefix + *end - from] = 0;
        int32_t id = find(e->vocabulary, piece);
        if (id >= 0) return id;
    }
    return -1;
}

/* Also called where there is no word: then nothing happens. */
static void end_word(encoder *e)
{
    int first = e->n_ids, end;
    bool whole = e->n_points <= MAX_WORD;
    for (int from = 0; whole && from < e->n_word; from = end) {
        int32_t id = longest(e, from, &end);
        whole = id >= 0;
        if (whole) put(e, id);
    }
    if (!whole) e->n_ids = first, put(e, WORDPIECE_UNK);         /* all of the word or nothing of it */
    e->n_word = e->n_points = 0;
}

/* Beyond MAX_WORD code points are counted only: end_word makes the word [UNK], and none of its letters is needed. */
static void add_to_word(encoder *e, int32_t point)
{
    if (++e->n_points > MAX_WORD) return;
    e->n_word += (int)utf8proc_encode_char(point, (utf8proc_uint8_t *)e->word + e->n_word);
}

/* ---- code points */

/* The category that the model's tokeniser sees: utf8proc's, but for what Unicode changed since. */
static utf8proc_category_t category(int32_t c)
{
    static const struct { int32_t first, last; utf8proc_category_t category; } since[] = {
#define SINCE(first, last, category) {first, last, UTF8PROC_CATEGORY_##category},
#include "unicode.def"
    };
    size_t low = 0, high = sizeof since / sizeof *since;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (since[middle].last < c) low = middle + 1;
        else high = middle;
    }
    bool listed = low < sizeof since / sizeof *since && since[low].first <= c;
    return listed ? since[low].category : utf8proc_category(c);
}

/* What separates words: Unicode's separators, and the control characters that are spaces. */
static bool is_space(int32_t c)
{
    switch (category(c)) {
    case UTF8PROC_CATEGORY_ZS: case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP: return true;
    default: return (c >= 9 && c <= 13) || c == 0x85;
    }
}

static bool is_dropped(int32_t c)       /* control, format, private: what "clean text" removes */
{
    /* Control characters by category, but spaces to the model. */
    if (c == '\t' || c == '\n' || c == '\r') return false;
    if (c == 0 || c == 0xfffd) return true;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CO: case UTF8PROC_CATEGORY_CS: return true;
    default: return false;
    }
}

/* All signs of ASCII that are neither letters nor digits count, "$" and "+" too, whatever Unicode calls them. */
static bool is_punctuation(int32_t c)
{
    if ((c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126)) return true;
    switch (category(c)) {
    case UTF8PROC_CATEGORY_PC: case UTF8PROC_CATEGORY_PD: case UTF8PROC_CATEGORY_PS: case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI: case UTF8PROC_CATEGORY_PF: case UTF8PROC_CATEGORY_PO: return true;
    default: return false;
    }
}

static bool is_chinese(int32_t c)       /* the blocks of ideographs that stand as words of their own */
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

/* Punctuation stands alone: each mark is a word. */
static void put_point(encoder *e, int32_t c)
{
    if (is_space(c)) end_word(e);
    else if (is_punctuation(c)) end_word(e), add_to_word(e, c), end_word(e);
    else add_to_word(e, c);
}

/* One cleaned code point: decomposed, marks dropped, lower case. */
static void put_normal(encoder *e, int32_t c)
{
    /* More than any code point decomposes into. */
    int32_t parts[32];
    int last_class;
    utf8proc_ssize_t n = utf8proc_decompose_char(c, parts, 32, UTF8PROC_DECOMPOSE, &last_class);
    for (utf8proc_ssize_t k = 0; k < n && k < 32; k++)
        if (category(parts[k]) != UTF8PROC_CATEGORY_MN) put_point(e, utf8proc_tolower(parts[k]));
}

static void put_text(encoder *e, const char *text, size_t n)
{
    for (utf8proc_ssize_t at = 0, size = (utf8proc_ssize_t)n, step; at < size; at += step) {
        int32_t c;
        step = utf8proc_iterate((const utf8proc_uint8_t *)text + at, size - at, &c);
        if (step < 1) { step = 1; continue; }                    /* no UTF-8: U+FFFD, which is dropped */
        if (is_dropped(c)) continue;
        /* Before it is decomposed: compatibility ideographs decompose to others. */
        bool alone = is_chinese(c);
        if (alone) end_word(e);
        put_normal(e, c);
        if (alone) end_word(e);
    }
    end_word(e);
}

/* ---- the whole */

static const struct { const char *text; int32_t id; } specials[] = {
    {"[PAD]", WORDPIECE_PAD}, {"[UNK]", WORDPIECE_UNK}, {"[CLS]", WORDPIECE_CLS}, {"[SEP]", WORDPIECE_SEP}, {"[MASK]", WORDPIECE_MASK},
};

/* The first special token written out in the text: they are found before anything else. */
static const char *find_special(const char *text, size_t *which)
{
    for (; (text = strchr(text, '[')); text++)
        for (*which = 0; *which < sizeof specials / sizeof *specials; ++*which)
            if (!strncmp(text, specials[*which].text, strlen(specials[*which].text))) return text;
    return NULL;
}

int wordpiece_encode(const wordpiece *v, const char *text, int32_t *ids, int limit)
{
    encoder e = {.vocabulary = v, .ids = ids, .limit = limit};
    size_t which;
    put(&e, WORDPIECE_CLS);
    for (const char *special; (special = find_special(text, &which)); text = special + strlen(specials[which].text)) {
        put_text(&e, text, (size_t)(special - text));
        put(&e, specials[which].id);
    }
    put_text(&e, text, strlen(text));
    /* put leaves the last place free, so there is room however long the text is. */
    ids[e.n_ids++] = WORDPIECE_SEP;
    return e.n_ids;
}

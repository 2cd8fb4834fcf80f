/* Strings in arenas, text that grows, and numbers as text. */
#define _GNU_SOURCE                      /* strtod_l */
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base.h"

/* Terminated by what base_alloc has cleared. The bytes may hold zeros: files are copied with this. */
char *base_strndup(base_arena *arena, const char *text, size_t n) {
    char *copy = base_alloc(arena, n + 1);
    if (n) memcpy(copy, text, n);
    return copy;
}

char *base_strdup(base_arena *arena, const char *text) { return base_strndup(arena, text, strlen(text)); }

/* Twice through the format: once to count, once to write. */
char *base_vprintf(base_arena *arena, const char *format, va_list list) {
    /* A list can be walked once only. */
    va_list again;
    va_copy(again, list);
    int n = vsnprintf(NULL, 0, format, list);
    char *text = base_alloc(arena, n < 0 ? 1 : (size_t)n + 1);
    if (n > 0) vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    return text;
}

char *base_printf(base_arena *arena, const char *format, ...) {
    va_list list;
    va_start(list, format);
    char *text = base_vprintf(arena, format, list);
    va_end(list);
    return text;
}

/* Room for n more bytes and the terminator. */
static void text_room(base_text *text, size_t n) {
    if (n < text->cap - text->n) return;
    if (n > SIZE_MAX / 4 || text->cap > SIZE_MAX / 4) base_arena_fail(text->arena);
    /* Twice what is needed, so that adding piece by piece stays linear. */
    size_t cap = (text->n + n + 1) * 2;
    text->at = base_grow(text->arena, text->at, text->n, cap, 1);
    text->cap = cap;
}

/* Cleared memory, so the text is terminated and empty before anything is added. */
void base_text_init(base_text *text, base_arena *arena) {
    *text = (base_text){.arena = arena, .at = base_alloc(arena, 64), .cap = 64};
}

void base_text_put(base_text *text, const char *bytes, size_t n) {
    if (!n) return;
    text_room(text, n);
    memcpy(text->at + text->n, bytes, n);
    text->n += n;
    text->at[text->n] = 0;
}

/* Written into the room that is left; only if it does not fit, again into more. */
void base_text_add(base_text *text, const char *format, ...) {
    va_list list;
    va_start(list, format);
    va_list again;
    va_copy(again, list);
    int n = vsnprintf(text->at + text->n, text->cap - text->n, format, list);
    if (n > 0 && (size_t)n >= text->cap - text->n) {
        text_room(text, (size_t)n);
        vsnprintf(text->at + text->n, text->cap - text->n, format, again);
    }
    /* A format that fails adds nothing. */
    if (n > 0) text->n += (size_t)n;
    va_end(again);
    va_end(list);
}

/* A host may have set a locale that writes 0,5: texts of programs and kernels must not follow it. */
static locale_t plain_locale(void) { return newlocale(LC_ALL_MASK, "C", (locale_t)0); }

/* Without a plain locale, which fails only for lack of memory, the host's is better than none. */
double base_real_read(const char *text) {
    locale_t plain = plain_locale();
    double value = plain ? strtod_l(text, NULL, plain) : strtod(text, NULL);
    if (plain) freelocale(plain);
    return value;
}

/* The fewest digits that read back as the same number; 17 always do for a double, so the loop ends with a right text.
 * `single`: the same when it is rounded to a float, which 9 digits are enough for. */
static const char *shortest(base_arena *arena, double value, bool single) {
    if (isnan(value)) return "nan";
    if (isinf(value)) return value > 0 ? "inf" : "-inf";
    char text[40];
    locale_t plain = plain_locale(), before = uselocale(plain);          /* of this thread alone; no locale: nothing changes */
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (single ? (float)back == (float)value : back == value) break;
    }
    uselocale(before);
    if (plain) freelocale(plain);
    /* A whole number gets a dot: the reader of a text must take it for a real. */
    return base_printf(arena, strpbrk(text, ".e") ? "%s" : "%s.0", text);
}

const char *base_real_text(base_arena *arena, double value) { return shortest(arena, value, false); }
const char *base_float_text(base_arena *arena, float value) { return shortest(arena, (double)value, true); }

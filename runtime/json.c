/* As much JSON (RFC 8259) as the headers of files have: objects and lists that the caller walks through by their punctuation, strings,
 * and sizes. There is no tree and no recursion, and nothing is allocated: strings are decoded where they stand, since what an escape
 * stands for is never longer than the escape. Text that is no JSON, or not UTF-8, is refused where it is met.
 */
#include <string.h>
#include "rt.h"

static void skip_blank(rt_json *j) {
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r')) j->at++;
}

/* Also tells what comes next, where the caller has a choice: a false leaves it in place. */
bool rt_json_take(rt_json *j, char c) {
    skip_blank(j);
    if (j->at == j->end || *j->at != c) return false;
    j->at++;
    return true;
}

bool rt_json_end(rt_json *j) {
    skip_blank(j);
    return j->at == j->end;
}

/* Digits only: no sign, fraction or exponent is a size. JSON has no leading zeros. What leaves int64 is refused. */
bool rt_json_size(rt_json *j, int64_t *out) {
    skip_blank(j);
    const char *start = j->at;
    for (*out = 0; j->at < j->end && *j->at >= '0' && *j->at <= '9'; j->at++)
        if (!base_mul(*out, 10, out) || !base_add(*out, *j->at - '0', out)) return false;
    if (j->at - start > 1 && *start == '0') return false;
    return j->at > start && (j->at == j->end || !strchr(".eE", *j->at));
}

/* ---- strings */

/* Bytes of the code point at `at`, or 0: truncated, overlong, a surrogate, or beyond U+10FFFF. */
static size_t utf8_length(const char *at, const char *end) {
    const unsigned char *u = (const unsigned char *)at;
    size_t n = *u < 0x80 ? 1 : *u >= 0xc2 && *u < 0xe0 ? 2 : *u >= 0xe0 && *u < 0xf0 ? 3 : *u >= 0xf0 && *u < 0xf5 ? 4 : 0;
    if (n == 0 || (size_t)(end - at) < n) return 0;
    for (size_t k = 1; k < n; k++)
        if ((u[k] & 0xc0) != 0x80) return 0;
    /* What the first byte leaves open, the second decides: the shortest form, no surrogates, the highest code point. */
    if ((*u == 0xe0 && u[1] < 0xa0) || (*u == 0xed && u[1] > 0x9f) || (*u == 0xf0 && u[1] < 0x90) || (*u == 0xf4 && u[1] > 0x8f)) return 0;
    return n;
}

static char *put_utf8(char *to, uint32_t c) {
    if (c < 0x80) {
        *to++ = (char)c;
        return to;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    *to++ = (char)(lead[more] | c >> 6 * more);
    while (more--) *to++ = (char)(0x80 | (c >> 6 * more & 0x3f));
    return to;
}

static bool take_hex(rt_json *j, uint32_t *out) {
    if (j->end - j->at < 4) return false;
    *out = 0;
    for (int k = 0; k < 4; k++, j->at++) {
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *found = *j->at ? strchr(digits, *j->at) : NULL;
        if (!found) return false;
        uint32_t digit = (uint32_t)(found - digits);
        *out = *out << 4 | (digit < 16 ? digit : digit - 6);
    }
    return true;
}

/* Behind \u. Code points beyond the first 65536 are a pair of surrogates; half a pair is refused, and so is 0, which would end the text. */
static bool take_code_point(rt_json *j, char **to) {
    uint32_t c, low;
    if (!take_hex(j, &c) || c == 0 || (c >= 0xdc00 && c < 0xe000)) return false;
    if (c >= 0xd800 && c < 0xdc00) {
        if (j->end - j->at < 2 || j->at[0] != '\\' || j->at[1] != 'u') return false;
        j->at += 2;
        if (!take_hex(j, &low) || low < 0xdc00 || low >= 0xe000) return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, c);
    return true;
}

/* Behind a backslash. */
static bool take_escape(rt_json *j, char **to) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (j->at == j->end) return false;
    char c = *j->at++;
    if (c == 'u') return take_code_point(j, to);
    const char *found = c ? strchr(names, c) : NULL;
    if (found) *(*to)++ = values[found - names];
    return found;
}

/* The terminating zero takes the place of the closing quote, or of an earlier byte. */
bool rt_json_string(rt_json *j, const char **out) {
    if (!rt_json_take(j, '"')) return false;
    char *to = j->at;
    *out = to;
    while (j->at < j->end && *j->at != '"') {
        size_t n = (unsigned char)*j->at < 0x20 ? 0 : utf8_length(j->at, j->end);     /* control characters are written as escapes */
        if (n == 0) return false;
        if (*j->at == '\\') {
            j->at++;
            if (!take_escape(j, &to)) return false;
            continue;
        }
        memmove(to, j->at, n);
        to += n;
        j->at += n;
    }
    if (j->at == j->end) return false;
    j->at++;
    *to = 0;
    return true;
}

/* Reads a text file whole and cuts it into lines in place. */
#include "sentences.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads until the end, whatever the file is: a pipe has no size to ask for. The text ends with 0; NULL: no memory. */
static char *read_all(FILE *file, size_t *n)
{
    /* One byte is always kept free for the 0 at the end. */
    size_t room = 1 << 16;
    char *text = malloc(room);
    for (*n = 0; text; ) {
        *n += fread(text + *n, 1, room - *n - 1, file);
        /* Less than asked for: the end, or an error that the caller asks ferror about. */
        if (*n < room - 1) break;
        /* Doubling, so that the copying stays linear in the size of the text. */
        char *more = room < SIZE_MAX / 2 ? realloc(text, room *= 2) : NULL;
        if (!more) free(text);
        text = more;
    }
    if (text) text[*n] = 0;
    return text;
}

/* A last line without a newline counts; a newline at the very end begins no other. */
static size_t count_lines(const char *text, size_t n)
{
    size_t lines = n > 0 && text[n - 1] != '\n';
    for (const char *at = text; (at = memchr(at, '\n', n - (size_t)(at - text))); at++) lines++;
    return lines;
}

/* Ends the sentence and its answer with 0 where the newline and the first tab stand. *end may be written: behind the last line there is the 0
 * of the whole text. */
static sentence cut_line(char *line, char *end)
{
    if (end > line && end[-1] == '\r') end--;
    *end = 0;
    char *tab = strchr(line, '\t');
    if (!tab) return (sentence){line, ""};
    *tab = 0;
    return (sentence){line, tab + 1};
}

bool sentences_read(const char *path, sentences *out, char *error, size_t n_error)
{
    /* Empty until everything has worked, so that freeing is always right. */
    *out = (sentences){NULL, NULL, 0};
    FILE *file = fopen(path, "rb");
    size_t n = 0;
    char *text = file ? read_all(file, &n) : NULL;
    /* A folder can be opened as a file, but not read: ferror sees it. */
    bool failed = !file || !text || ferror(file);
    if (failed) snprintf(error, n_error, "can't read '%s': %s", path, strerror(file && !text ? ENOMEM : errno));
    if (file) fclose(file);
    /* Strings end at the first 0: what stands behind one would be lost in silence. */
    if (!failed && memchr(text, 0, n)) {
        snprintf(error, n_error, "'%s' is no text: it holds a NUL byte", path);
        failed = true;
    }
    size_t lines = failed ? 0 : count_lines(text, n);
    /* + 1, since malloc(0) may be NULL, which is no failure for an empty text. */
    sentence *at = failed ? NULL : malloc((lines + 1) * sizeof *at);
    if (!at) {
        if (!failed) snprintf(error, n_error, "out of memory for the %zu lines of '%s'", lines, path);
        free(text);
        return false;
    }
    for (char *line = text; out->n < lines; ) {
        char *end = memchr(line, '\n', n - (size_t)(line - text));
        if (!end) end = text + n;
        at[out->n++] = cut_line(line, end);
        line = end + 1;
    }
    /* From here on the sentences own the text that they point into. */
    out->file = text;
    out->at = at;
    return true;
}

void sentences_free(sentences *all)
{
    free(all->file);
    free(all->at);
    *all = (sentences){NULL, NULL, 0};
}

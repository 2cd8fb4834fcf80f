/* A text as the example reads it: one sentence a line; what follows a tab in the line is its answer. */
#ifndef SENTENCES_H
#define SENTENCES_H
#include <stdbool.h>
#include <stddef.h>

typedef struct { const char *text, *answer; } sentence;  /* answer: "" if the line has none */
typedef struct {
    char *file;                                           /* owns the text of all */
    sentence *at;
    size_t n;
} sentences;

/* Every line is a sentence, an empty one too. False, with a text in `error`, if the file can't be read or holds a NUL byte. */
bool sentences_read(const char *path, sentences *out, char *error, size_t n_error);
void sentences_free(sentences *all);
#endif

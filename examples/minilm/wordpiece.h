/* The tokeniser of BERT models (uncased): clean, strip accents, lower case, split, WordPiece.
 * Source: the `BertNormalizer`, `BertPreTokenizer` and `WordPiece` steps that the model's tokenizer.json names. */
#ifndef WORDPIECE_H
#define WORDPIECE_H
#include <stddef.h>
#include <stdint.h>

enum { WORDPIECE_PAD = 0, WORDPIECE_UNK = 100, WORDPIECE_CLS = 101, WORDPIECE_SEP = 102, WORDPIECE_MASK = 103 };

typedef struct wordpiece wordpiece;     /* a vocabulary; unchanging once loaded, threads may share it */

/* Reads a vocabulary file, one token a line, its number the line's from 0. NULL, with a text in `error`, if that fails. */
wordpiece *wordpiece_load(const char *path, char *error, size_t n_error);
void wordpiece_free(wordpiece *vocabulary);

/* Token ids of a text (UTF-8; what is not is taken as U+FFFD and dropped, as the model's tokeniser does), [CLS] and [SEP] among
 * them, cut to `limit` ids (at least 2). Returns how many were written to `ids`. */
int wordpiece_encode(const wordpiece *vocabulary, const char *text, int32_t *ids, int limit);
#endif

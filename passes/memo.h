/* A map from 32-bit keys (not 0) to 32-bit values, for memos over expressions. Sized by what is visited, never by the unit. */
#ifndef ATTN_PASS_MEMO_H
#define ATTN_PASS_MEMO_H
#include <string.h>
#include "base.h"

typedef struct {
    base_arena *arena;
    uint32_t *key, *value, n, cap;
} pass_memo;
pass_memo pass_memo_create(base_arena *arena);
bool pass_memo_get(const pass_memo *m, uint32_t key, uint32_t *out);
void pass_memo_put(pass_memo *m, uint32_t key, uint32_t value);
bool pass_memo_add(pass_memo *m, uint32_t key);          /* true if it was not in there */
#endif

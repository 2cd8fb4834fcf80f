/* Open addressing over a power of two, never more than half full. Key 0 marks a free place: expression 0 is the poison, which no memo holds. */
#include "memo.h"

/* Nothing is allocated before the first entry: many memos are made and stay empty. */
pass_memo pass_memo_create(base_arena *arena) { return (pass_memo){ .arena = arena }; }

/* Where the key is, or the free place where it belongs; it ends because at least half of the places are free. Most keys are small and dense, so a
 * multiplication spreads them, and its upper bits count. */
static uint32_t place(const pass_memo *m, uint32_t key) {
    uint32_t at = (key * 2654435761u) >> 7 & (m->cap - 1);
    while (m->key[at] && m->key[at] != key) at = (at + 1) & (m->cap - 1);
    return at;
}

/* The old tables stay in the arena; by growing four times each time they are a third of the new ones at most. */
static void grow(pass_memo *m) {
    pass_memo bigger = { .arena = m->arena, .cap = m->cap ? m->cap * 4 : 32 };
    bigger.key = BASE_ARRAY(m->arena, bigger.cap, uint32_t);
    bigger.value = BASE_ARRAY(m->arena, bigger.cap, uint32_t);
    for (uint32_t i = 0; i < m->cap; i++)
        if (m->key[i]) pass_memo_put(&bigger, m->key[i], m->value[i]);
    *m = bigger;
}

bool pass_memo_get(const pass_memo *m, uint32_t key, uint32_t *out) {
    /* no table yet: place would have nowhere to look */
    if (!m->cap) return false;
    uint32_t at = place(m, key);
    if (!m->key[at]) return false;
    if (out) *out = m->value[at];
    return true;
}

/* Grows before it looks for a place, so that there is always a free one; a key that is there gets the new value. */
void pass_memo_put(pass_memo *m, uint32_t key, uint32_t value) {
    if (m->n * 2 >= m->cap) grow(m);
    uint32_t at = place(m, key);
    if (!m->key[at]) m->n++;
    m->key[at] = key;
    m->value[at] = value;
}

/* As a set: the value says nothing. */
bool pass_memo_add(pass_memo *m, uint32_t key) {
    if (pass_memo_get(m, key, NULL)) return false;
    pass_memo_put(m, key, 1);
    return true;
}

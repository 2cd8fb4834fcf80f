/* Names to numbers: open addressing, linear probing, at most half full. */
#include <string.h>
#include "base.h"

/* key NULL: free. Entries are never removed, so a search may end at the first free one. The hash is kept to compare and
 * grow without the text. */
typedef struct { const char *key; uint32_t hash, value; } entry;
struct base_map {
    base_arena *arena;
    entry *at;
    uint32_t n, cap;            /* cap: a power of two */
};

static uint32_t hash_of(const char *key) {     /* FNV-1a */
    uint32_t hash = 2166136261u;
    for (; *key; key++) hash = (hash ^ (unsigned char)*key) * 16777619u;
    return hash;
}

/* The entry of the key, or the free one where it would stand. */
static entry *entry_at(const base_map *map, const char *key, uint32_t hash) {
    uint32_t k = hash & (map->cap - 1);
    while (map->at[k].key && (map->at[k].hash != hash || strcmp(map->at[k].key, key) != 0)) k = (k + 1) & (map->cap - 1);
    return &map->at[k];
}

/* Doubles. The old entries stay in the arena. The keys are known to differ, so each goes to the first free place of its
 * new row. */
static void grow(base_map *map) {
    if (map->cap > UINT32_MAX / 4) base_arena_fail(map->arena);
    base_map old = *map;
    map->cap *= 2;
    map->at = BASE_ARRAY(map->arena, map->cap, entry);
    for (uint32_t k = 0; k < old.cap; k++)
        if (old.at[k].key) *entry_at(map, old.at[k].key, old.at[k].hash) = old.at[k];
}

base_map *base_map_create(base_arena *arena) {
    base_map *map = BASE_NEW(arena, base_map);
    *map = (base_map){.arena = arena, .at = BASE_ARRAY(arena, 16, entry), .cap = 16};
    return map;
}

/* Grows before it would be more than half full, so that a search always meets a free entry and ends. */
void base_map_put(base_map *map, const char *key, uint32_t value) {
    uint32_t hash = hash_of(key);
    entry *e = entry_at(map, key, hash);
    if (!e->key) {
        if (2 * (map->n + 1) > map->cap) {
            grow(map);
            e = entry_at(map, key, hash);
        }
        map->n++;
    }
    *e = (entry){key, hash, value};
}

/* out is left alone if the key is not there. */
bool base_map_get(const base_map *map, const char *key, uint32_t *out) {
    const entry *e = entry_at(map, key, hash_of(key));
    if (e->key) *out = e->value;
    return e->key != NULL;
}

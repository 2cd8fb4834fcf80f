/* Writes scorer.safetensors, which a training script would have left: 8 bytes with the length of a JSON text, that text, the elements. Little-endian, as
 * every processor that attn compiles for. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char header[] =
    "{\"hidden.weight\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[0,24]},"
    "\"hidden.bias\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[24,36]},"
    "\"score.weight\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[36,48]}}";
static const float elements[] = {1, 0, 0, 1, 1, -1, /* hidden.bias */ 0, .5f, 0, /* score.weight */ 1, 2, 4};

int main(int n, char **words) {
    FILE *to = n == 2 ? fopen(words[1], "wb") : NULL;
    const uint64_t length = strlen(header);
    if (!to) return fprintf(stderr, "usage: scorer_weights FILE, and it must be writable\n"), 1;
    int fine = fwrite(&length, sizeof length, 1, to) && fwrite(header, length, 1, to) && fwrite(elements, sizeof elements, 1, to);
    return fclose(to) || !fine;
}

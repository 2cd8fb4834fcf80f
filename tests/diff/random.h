/* Programs put together by chance from the parts of random.def. */
#ifndef ATTN_DIFF_RANDOM_H
#define ATTN_DIFF_RANDOM_H
#include "plan.h"

typedef enum {
#define PART(id) RANDOM_##id,
#define OPTION(text)
#define END
#include "random.def"
    RANDOM_N_PARTS
} random_part;
typedef struct { uint8_t at[RANDOM_N_PARTS]; uint64_t sizes; } random_choice;    /* an option of each part; what sizes are drawn from */

random_choice random_draw(uint64_t seed);
/* One step plainer: the k-th part as plain as it gets. false: it is already, or there is no such part. */
bool random_plainer(const random_choice *c, uint32_t k, random_choice *out);
diff_program *random_program(base_arena *arena, const random_choice *c, const char *name);
/* A program of cmocka tests. Arguments: how many programs, the number of the first, --print. The first machine runs all, each of the others its turn. */
int random_main(int argc, char **argv, const char *name, uint32_t n_programs, uint32_t n_machines, const plan_machine *machines);
#endif

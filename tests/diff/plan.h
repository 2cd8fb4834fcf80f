/* Targets that run what a host runs: the compiled plan on a backend. */
#ifndef ATTN_DIFF_PLAN_H
#define ATTN_DIFF_PLAN_H
#include "backend.h"
#include "diff.h"

typedef struct {
    const char *name;            /* for messages of random_main */
    const ir_backend *(*backend)(base_arena *arena);
    const char *arch;            /* NULL: this machine's */
    bool device;                 /* kernels run on the backend's device; else on the host */
    int32_t keys, vectors, block;/* register tiles and blocks of attention, forced; 0: as the schedule chooses. Programs that neither this nor the next changes are not run then */
    uint8_t reference;           /* of attention, forced with them: an ir_reference */
    int32_t rows, tile, features;/* of products in panels: rows of a register tile (its vectors are those above), rows of an item, features of a block */
    int32_t few, few_columns;    /* of attention with few rows: rows of an item, columns of a register tile; the block is that above. Forced wherever the template can be */
    int32_t columns;             /* of a part where columns are split, wherever they can be; 0: as the pass says */
    const char *(*missing)(void);                /* NULL, or returns NULL: its code can run here. Else why not */
} plan_machine;
diff_target plan_target(const char *name, const plan_machine *machine);          /* machine must outlive it */
#endif

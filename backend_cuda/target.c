/* Target descriptions of the scalar family: rates are those of f32 arithmetic without matrix units, published figures of the cards
 * named. An architecture that is not listed compiles all the same and is judged by the numbers of the last row. */
#include <string.h>
#include "cuda_internal.h"

typedef struct { const char *arch; int32_t processors; double matmul_rate, vector_rate, mem_bytes_per_s; } machine;
static const machine machines[] = {
    {"sm_80" , 108, 19.5e12, 4.9e12 , 2.0e12 },    /* A100 */
    {"sm_89" , 142, 91.0e12, 22.0e12, 0.86e12},    /* L40S */
    {"sm_90a", 132, 67.0e12, 16.0e12, 4.8e12 },    /* H200 */
    {""      , 40 , 8.1e12 , 2.0e12 , 0.32e12},    /* T4 */
};
enum { N_MACHINES = sizeof machines / sizeof *machines };

static const machine *find(const char *arch) {
    const machine *m = machines;
    while (m < machines + N_MACHINES - 1 && strcmp(m->arch, arch) != 0) m++;
    return m;
}

const ir_target *cuda_target(const char *arch, base_arena *arena) {
    const machine *m = find(arch);
    ir_target *t = BASE_NEW(arena, ir_target);
    *t = (ir_target){.name = "cuda", .cpu = base_strdup(arena, arch), .features = "", .lanes = 1, .regs = 255, .cores = m->processors, .matmul_rate = m->matmul_rate / 8,
                     .vector_rate = m->vector_rate / 4, .mem_bytes_per_s = m->mem_bytes_per_s, .launch_s = 3e-6, .overlap = 0.25, .value_tile_bytes = 4096};
    return t;
}

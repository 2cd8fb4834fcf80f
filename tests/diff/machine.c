/* A target for tests that are about kernels, not about machines: a core of a desktop CPU, with what decides between fusing and not. */
#include "diff.h"

const ir_target diff_machine = {.name = "test", .cpu = "", .features = "", .lanes = 8, .regs = 16, .cores = 1, .matmul_rate = 1e11, .vector_rate = 5e10,
                                .mem_bytes_per_s = 2e10, .launch_s = 2e-6, .overlap = 0.75, .value_tile_bytes = 16384, .l1_bytes = 32768,
                                .lacks = {[IR_POW] = true, [IR_SIGMOID] = true, [IR_GELU] = true, [IR_SILU] = true, [IR_RSQRT] = true}};

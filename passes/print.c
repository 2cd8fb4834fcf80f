/* The most lowered form that exists, as text. */
#include "passes.h"

/* From the last level back: a later one replaces what was before it, as text too. */
void pass_state_print(const pass_state *s, base_text *out) {
    if (s->plan) ir_plan_print(s->plan, out);
    else if (s->schedules)
        for (uint32_t i = 0; i < s->n_kernels; i++) ir_schedule_print(s->schedules[i], out);
    else if (s->kernels)
        for (uint32_t i = 0; i < s->n_kernels; i++) {
            ir_kernel_print(s->kernels[i], out);
            pass_mask_print(s->kernels[i], out);
        }
    else ir_graph_print(s->graph, out);
}

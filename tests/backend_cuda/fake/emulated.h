/* Graphs whose maps run as emulated CUDA text: emitted, "compiled", loaded and launched by the backend itself, over the fake libraries of this folder. */
#ifndef ATTN_EMULATED_H
#define ATTN_EMULATED_H
#include "backend_cuda.h"

const ir_backend *emulated_backend(base_arena *arena);
/* Like ir_graph_eval, each map lowered and run by the backend. Results start as NaN. */
bool emulated_graph_eval(const ir_graph *g, ir_frame *frame, base_arena *arena, base_diags *diags);
const char *emulated_text(const ir_graph *g, base_arena *arena, base_diags *diags);      /* CUDA C of all maps; NULL: reported */
/* The first error of an emulated kernel; "" if there was none. */
const char *emulated_error(void);
void emulated_fail(const char *function, unsigned result);       /* makes a function of the driver fail; 0: no longer */
int emulated_alive(void);                                        /* contexts, allocations and modules that were not given back */
unsigned emulated_last_blocks(void);                             /* of the last launch */
void emulated_reset(void);                                       /* the driver works again after a wrong address */
#endif

/* Sizes of a graph without tensors, and what `## try:` lines say. */
#ifndef ATTN_SIZES_H
#define ATTN_SIZES_H
#include "api.h"

typedef struct { int64_t *at; bool *known; } drv_slots;
/* Slots of the signature for these dimensions; defaults: what nobody names is tried or small. false: reported. */
bool drv_sizes(api_call *call, const attn_program *program, const api_graph *g, const attn_dim *dims, size_t n_dims, bool defaults, drv_slots *out);
bool drv_shape(api_call *call, const api_graph *g, uint32_t tensor, const drv_slots *slots, int64_t *dim);
const char *drv_try(const attn_program *program, const char *name);      /* what a `## try:` line says behind that name; NULL: nothing */
bool drv_dims_known(api_call *call, const rt_graph *e, const attn_dim *dims, size_t n);                                    /* false: reported */
#endif

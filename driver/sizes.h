/* Sizes of a graph without tensors, and what `## try:` lines say. */
#ifndef ATTN_SIZES_H
#define ATTN_SIZES_H
#include "api.h"

typedef struct { int64_t *at; bool *known; } drv_slots;
/* Slots of the signature for these dimensions; defaults: what nobody names is tried or small. false: reported. */
bool drv_sizes(api_call *call, const attn_program *program, const api_graph *g, const attn_dim *dims, size_t n_dims, bool defaults, drv_slots *out);
bool drv_shape(api_call *call, const api_graph *g, uint32_t tensor, const drv_slots *slots, int64_t *dim);
const char *drv_try(const attn_program *program, const char *name);      /* what a `## try:` line says behind that name; NULL: nothing */
/* Names and sizes are checked; false: reported. `graph` is one of the program's, or NULL for all. */
bool drv_dims_known(api_call *call, const rt_graph *graphs, uint32_t n_graphs, const attn_dim *dims, size_t n);
bool drv_dims_of_program(api_call *call, const attn_program *program, const char *graph, const attn_dim *dims, size_t n);
#endif

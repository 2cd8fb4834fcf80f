/* The CUDA backend as the driver of the compiler sees it: one ir_backend made from options.
 *
 * Nothing CUDA is needed to build or to link: NVRTC and the driver are opened when they are used, and a machine without them is told
 * which names were tried. The library reads no environment; folders that the environment names come in through the options.
 */
#ifndef ATTN_BACKEND_CUDA_H
#define ATTN_BACKEND_CUDA_H
#include "backend.h"

typedef struct {
    size_t struct_size;
    const char *cuda_path;       /* root of a CUDA toolkit (CUDA_PATH, CUDA_HOME); NULL: none */
    const char *python_paths;    /* roots of Python installations, separated by ':' (VIRTUAL_ENV, ~/.local); NULL: the system's alone */
    const char *nvrtc;           /* this file and no other; NULL: search */
    const char *driver;          /* likewise libcuda */
} cuda_options;

/* A backend in the arena that lives as long as it; options are copied. NULL options: all defaults. */
const ir_backend *cuda_backend_create(base_arena *arena, const cuda_options *options);
#endif

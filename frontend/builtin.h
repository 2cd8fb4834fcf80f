/* The built-in functions, expanded from builtin.def. Private to the folder. */
#ifndef ATTN_FRONTEND_BUILTIN_H
#define ATTN_FRONTEND_BUILTIN_H

typedef enum {
    FE_BUILTIN_NONE,
#define BUILTIN(id, text, kind) FE_BUILTIN_##id,
#include "builtin.def"
    FE_N_BUILTINS
} fe_builtin;
typedef enum { FE_FN_NONE, FE_FN_RED, FE_FN_ALONG, FE_FN_MAP, FE_FN_SIZE, FE_FN_NOT_YET, FE_FN_NOT_YET_RED } fe_builtin_kind;

fe_builtin fe_builtin_of(const char *name);
fe_builtin_kind fe_builtin_kind_of(fe_builtin b);
#endif

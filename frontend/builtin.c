/* Names of built-in functions to their rows.
 * Row 0 is FE_BUILTIN_NONE, all zeros: its kind is FE_FN_NONE, and it has no text. */
#include <string.h>
#include "builtin.h"

typedef struct { const char *text; fe_builtin_kind kind; } row;
static const row rows[FE_N_BUILTINS] = {
#define BUILTIN(id, text, kind) [FE_BUILTIN_##id] = {text, FE_FN_##kind},
#include "builtin.def"
};

fe_builtin fe_builtin_of(const char *name)
{
    /* Some forty rows: looking through them costs less than keeping a table of hashes. */
    for (int k = FE_BUILTIN_NONE + 1; k < FE_N_BUILTINS; k++)
        if (strcmp(rows[k].text, name) == 0) return (fe_builtin)k;
    return FE_BUILTIN_NONE;
}

fe_builtin_kind fe_builtin_kind_of(fe_builtin b) { return rows[b].kind; }

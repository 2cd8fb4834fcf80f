/* Files as modules: their declarations by name, and what a name means in which of them. Private to the folder. */
#ifndef ATTN_FRONTEND_PROGRAM_H
#define ATTN_FRONTEND_PROGRAM_H
#include "ast.h"
#include "frontend.h"

enum { FE_MAX_MODULES = 256 };

typedef enum { FE_SPACE_VALUE, FE_SPACE_FUNCTION, FE_SPACE_VARIANT, FE_N_SPACES } fe_space;   /* x[..]; f(..); with v(..) */

typedef struct fe_module {
    const char *name;                    /* as shown in messages; the key for sharing */
    uint32_t file;
    bool loading;                        /* while its imports are read: an import of it then is a cycle */
    fe_decls decls;                      /* in order */
    base_map *by_name[FE_N_SPACES];      /* to 1 + index into decls */
    BASE_VEC(struct fe_module *) imports;
} fe_module;

struct fe_program {
    base_arena *arena;
    base_diags *diags;
    fe_load *load;
    void *env;
    base_map *names;                     /* text to 1 + index into texts */
    BASE_VEC(const char *) texts;
    BASE_VEC(fe_module *) modules;
    fe_module *main, *std;               /* std NULL until it is imported */
    fe_decls graphs;                     /* of the main file, in order */
    BASE_VEC(const char *) tries;
    uint32_t n_mild;                     /* mistakes in names of declarations: reported, and the graphs can be looked at all the same */
    const char *word_s, *word_w, *word_lse;
};

/* parse.c */
fe_module *fe_parse(fe_program *p, uint32_t file);               /* one file, its declarations and docs; errors are in diags */

/* program.c */
const char *fe_intern(fe_program *p, const char *text, size_t n);
/* What `name` is in module m: its own declaration, else an import's. NULL: nothing, or reported (*clash) as coming from two imports. */
fe_decl *fe_resolve(const fe_module *m, fe_space space, const char *name, bool *clash);

/* std.c, made from std/std.attn when building */
extern const char fe_std_text[];
extern const size_t fe_std_n;
#endif

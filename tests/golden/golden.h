/* What a command of the golden texts sees. A command turns the input of a file into text; the runner compares that with the file's
 * section of the same name, and what was reported with the `# error` marks of the input. */
#ifndef ATTN_GOLDEN_H
#define ATTN_GOLDEN_H
#include "base.h"

typedef struct golden_file golden_file;
typedef struct {
    base_arena *arena;           /* of this run; when it fails the run fails */
    base_diags *diags;
    uint32_t file;               /* the input as a file of diags */
    const char *args;            /* what stands behind the command's name, "" if nothing */
    base_text *out;              /* what the command says: compared with its section */
    const golden_file *of;
    bool failed;
} golden_run;

typedef void golden_fn(golden_run *run);
const char *golden_section(const golden_run *run, const char *name);      /* text of an input section of the file; NULL if there is none */
const char *golden_header(const golden_run *run, const char *name);       /* what stands behind `# name:` in the input; NULL */
const char *golden_load(void *run, base_arena *arena, const char *importer, const char *path, const char **name, size_t *n);   /* an import: a section */
void golden_fail(golden_run *run, const char *format, ...) BASE_PRINTF(2, 3);

#define COMMAND(name, fn, doc) golden_fn fn;
#include "commands.def"
#endif

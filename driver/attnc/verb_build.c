/* build: a program as files. What they are, how they come about and that all appear or none is the library's affair; here are the words of the command
 * line, and where this machine has its linker. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "attnc.h"

/* A program of that name in the folders of PATH, into a text of the caller's; "" if there is none, which the library takes for just that. */
static void find_program(const char *name, char *out, size_t n) {
    const char *at = cli_environment(CLI_PATH);
    size_t length;
    for (at = at ? at : ""; *at; at += length + (at[length] == ':')) {
        length = strcspn(at, ":");
        if (snprintf(out, n, "%.*s/%s", (int)length, at, name) < (int)n && length && !access(out, X_OK)) return;
    }
    *out = 0;
}

/* "x86-64-v3,x86-64-v4" taken apart in place: at most one level for two characters. */
static size_t split(char *text, const char **out) {
    size_t n = 0;
    for (char *at = text; at; n++) {
        char *comma = strchr(at, ',');
        out[n] = at;
        if (comma) *comma++ = 0;
        at = comma;
    }
    return n;
}

/* levels, list: NULL and empty without --cpu; the words of the command line stay as they are, `levels` is a copy. */
static int build(cli_session *s, char *levels, const char **list) {
    const cli_options *o = s->options;
    attn_build_options b = ATTN_BUILD_OPTIONS_INIT;
    char cc[4096], ld[4096];
    find_program("cc", cc, sizeof cc);
    find_program("ld", ld, sizeof ld);
    b.target = o->target;
    /* Without --graph the library decides: all graphs into an object, the last one into a text. */
    b.graph = o->graph ? s->graph : NULL;
    b.levels = list;
    b.n_levels = levels ? split(levels, list) : 0;
    b.dims = o->dims;
    b.n_dims = o->n_dims;
    b.weights = o->embed ? o->weights : NULL;
    b.cc = cc;
    b.ld = ld;
    return cli_failed(s, attn_program_build(s->context, s->program, &b, o->output, s->diagnostics));
}

/* Nothing is printed if all goes well, as compilers do. */
int verb_build(cli_session *s) {
    const cli_options *o = s->options;
    if (!o->output) return cli_say(CLI_MSG_NEEDS_OPTION, "build", "-o FILE");
    /* Without the other each would be without effect: a file that is not embedded is opened by who runs the program. */
    if (o->embed && !o->weights) return cli_say(CLI_MSG_NEEDS_OPTION, "--embed-weights", "--weights FILE");
    if (o->weights && !o->embed) return cli_say(CLI_MSG_NEEDS_OPTION, "--weights of build", "--embed-weights");
    int status = cli_load(s);
    if (status != CLI_FINE) return status;
    size_t n = o->levels ? strlen(o->levels) + 1 : 1;
    char *levels = o->levels ? malloc(n) : NULL;
    const char **list = calloc(n, sizeof *list);
    if ((o->levels && !levels) || !list) status = cli_say(CLI_MSG_MEMORY);
    else {
        if (levels) memcpy(levels, o->levels, n);
        status = build(s, levels, list);
    }
    free(levels);
    free(list);
    return status;
}

/* run: compute a graph on files, write files. Nothing is written before everything has been computed. */
#include <string.h>
#include "attnc.h"

static const attn_argument *find_output(const cli_session *s, const char *name) {
    for (size_t k = 0; k < s->n_tensors; k++) {
        attn_tensor_info t = ATTN_TENSOR_INFO_INIT;
        attn_program_tensor(s->program, s->graph, k, &t);
        for (size_t i = 0; t.kind == ATTN_OUTPUT && !strcmp(t.name, name) && i < s->n_outputs; i++)
            if (!strcmp(s->outputs[i].name, name)) return &s->outputs[i];
    }
    return NULL;
}

static int check_outputs(const cli_session *s) {
    for (size_t k = 0; k < s->options->n_outs; k++) {
        bool found = false;
        for (size_t i = 0; i < s->n_tensors; i++) {
            attn_tensor_info t = ATTN_TENSOR_INFO_INIT;
            attn_program_tensor(s->program, s->graph, i, &t);
            found |= t.kind == ATTN_OUTPUT && !strcmp(t.name, s->options->outs[k].name);
        }
        if (found) continue;
        fprintf(stderr, "attnc: graph %s has no output '%s'\n", s->graph, s->options->outs[k].name);
        return CLI_USAGE;
    }
    return CLI_FINE;
}

static int write_outputs(cli_session *s) {
    for (size_t k = 0; k < s->options->n_outs; k++) {
        const attn_argument *a = find_output(s, s->options->outs[k].name);
        attn_status status = attn_tensor_write_npy(s->context, a->tensor, s->options->outs[k].path, s->diagnostics);
        if (status != ATTN_OK) return cli_failed(s, status);
    }
    return CLI_FINE;
}

/* A file that says how it is tried runs without any input: `## try:` gives sizes and tables, the rest is drawn. With --in the user means
 * their own data, so a missing input is a mistake then, unless --seed asks for the rest. */
static bool wants_drawn(const cli_session *s) {
    if (s->options->has_seed) return true;
    return s->options->n_ins == 0 && attn_program_try(s->program, 0) != NULL;
}

int verb_run(cli_session *s) {
    int status = cli_load(s);
    bool drawn = status == CLI_FINE && wants_drawn(s);
    if (status == CLI_FINE) status = check_outputs(s);
    if (status == CLI_FINE) status = cli_read_inputs(s, drawn);
    if (status == CLI_FINE) status = cli_compile(s, s->options->target);
    if (status == CLI_FINE) status = cli_model(s, drawn);
    if (status == CLI_FINE) status = cli_run(s, NULL);
    if (status == CLI_FINE) status = write_outputs(s);
    bool shown = s->options->print || s->options->n_outs == 0;
    for (size_t k = 0; status == CLI_FINE && shown && k < s->n_outputs; k++) cli_print_tensor(stdout, s->outputs[k].name, s->outputs[k].tensor);
    return status;
}

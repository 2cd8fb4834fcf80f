/* run: compute a graph on files, write files. Nothing is written before everything has been computed, and all files or none. */
#include <stdlib.h>
#include <string.h>
#include "attnc.h"

/* For names of --out, after the run. */
static const attn_argument *find_output(const cli_session *s, const char *name) {
    size_t k = 0;
    while (strcmp(s->outputs[k].name, name)) k++;        /* check_outputs has seen it */
    return &s->outputs[k];
}

/* Asked of the program, since outputs of the session are named only when it runs. */
static bool is_output(const cli_session *s, const char *name) {
    for (size_t k = 0; k < s->n_tensors; k++) {
        attn_tensor_info t = ATTN_TENSOR_INFO_INIT;
        attn_program_tensor(s->program, s->graph, k, &t);
        if (t.kind == ATTN_OUTPUT && !strcmp(t.name, name)) return true;
    }
    return false;
}

static bool to_archive(const cli_session *s) { return s->options->n_outs && !s->options->outs[0].name; }

/* An archive holds all outputs, so it stands alone. Each name is an output, and no name and no file is given twice: asked before anything is computed. */
static int check_outputs(const cli_session *s) {
    const cli_options *o = s->options;
    for (size_t k = 0; k < o->n_outs; k++) {
        if (o->n_outs > 1 && !o->outs[k].name) return cli_say(CLI_MSG_EXCLUDE, "--out file.npz", "any other --out");
        if (!o->outs[k].name) continue;
        if (!is_output(s, o->outs[k].name)) return cli_no_tensor(s, ATTN_OUTPUT, o->outs[k].name);
        for (size_t i = 0; i < k; i++) {
            bool name = !strcmp(o->outs[i].name, o->outs[k].name), path = !strcmp(o->outs[i].path, o->outs[k].path);
            if (name || path) return cli_say(CLI_MSG_NAME_TWICE, "--out", name ? "output" : "file", name ? o->outs[k].name : o->outs[k].path);
        }
    }
    return CLI_FINE;
}

/* In one call, so that the library can write all files or none. */
static int write_outputs(cli_session *s) {
    size_t n = s->options->n_outs;
    if (to_archive(s)) return cli_failed(s, attn_tensors_write_npz(s->context, s->outputs, s->n_outputs, s->options->outs[0].path, s->diagnostics));
    attn_tensor_file *files = calloc(n + 1, sizeof *files);
    if (!files) return cli_say(CLI_MSG_MEMORY);
    for (size_t k = 0; k < n; k++) files[k] = (attn_tensor_file){s->options->outs[k].path, find_output(s, s->options->outs[k].name)->tensor};
    attn_status status = attn_tensors_write_npy(s->context, files, n, s->diagnostics);
    free(files);
    return cli_failed(s, status);
}

/* A file that says how it is tried runs without any input: `## try:` gives sizes and tables, the rest is drawn. With --in the user means
 * their own data, so a missing input is a mistake then, unless --seed asks for the rest. */
static bool wants_drawn(const cli_session *s) {
    if (s->options->has_seed) return true;
    return s->options->n_ins == 0 && attn_program_try(s->program, 0) != NULL;
}

int verb_run(cli_session *s) {
    int status = cli_load(s);
    /* Inputs and params are drawn together or not at all. */
    bool drawn = status == CLI_FINE && wants_drawn(s);
    if (status == CLI_FINE) status = check_outputs(s);
    if (status == CLI_FINE) status = cli_read_inputs(s, drawn);
    if (status == CLI_FINE) status = cli_compile(s, s->options->target);
    if (status == CLI_FINE) status = cli_model(s, drawn);
    if (status == CLI_FINE) status = cli_run(s, NULL);
    if (status == CLI_FINE) status = write_outputs(s);
    /* A run that writes nothing would have no result to show for itself otherwise. */
    bool shown = s->options->print || s->options->n_outs == 0;
    for (size_t k = 0; status == CLI_FINE && shown && k < s->n_outputs; k++) cli_print_tensor(stdout, s->outputs[k].name, s->outputs[k].tensor);
    return status;
}

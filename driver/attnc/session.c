/* What the verbs share: opening, loading, drawing inputs, running, and how failures are shown. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "attnc.h"

/* Seconds of a clock that never goes back. */
double cli_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

bool cli_colour(FILE *to) { return isatty(fileno(to)) && !cli_environment(CLI_NO_COLOR); }

/* One line that is wiped before anything else is printed; nothing at all where stderr is a file. */
void cli_progress(const char *text) {
    if (!isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r\033[K%s", text ? text : "");
    fflush(stderr);
}

/* A full disk behind stdout shows only when the buffer is written: exit 0 must mean that the results arrived. */
int cli_flush(int status) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    /* What was wrong before stays the exit status. */
    int wrong = cli_say(CLI_MSG_NOT_WRITTEN, strerror(errno));
    return status == CLI_FINE ? wrong : status;
}

/* Prints what was said, warnings of calls that succeeded too. Results before it go out first, so that the order on a terminal is right. */
int cli_failed(cli_session *s, attn_status status) {
    size_t n = attn_diagnostics_count(s->diagnostics);
    cli_progress(NULL);
    fflush(stdout);
    for (size_t k = 0; k < n; k++) fputs(attn_diagnostics_render(s->diagnostics, k, cli_colour(stderr)), stderr);
    /* Calls that are refused before they can report anything have a status and no message. */
    if (n == 0 && status != ATTN_OK) fprintf(stderr, "attnc: %s\n", attn_status_text(status));
    /* The list is used again by the next call: each message is printed once. */
    attn_diagnostics_clear(s->diagnostics);
    return status == ATTN_OK ? CLI_FINE : status == ATTN_ERROR_ARGUMENT ? CLI_USAGE : CLI_WRONG;
}

/* The folder of compiled code by the environment, to be freed; NULL: none, or no memory, which makes compiling slower and nothing else.
 * A relative XDG_CACHE_HOME is not to be used, says the XDG base directory specification. */
static char *cache_folder(void) {
    const char *own = cli_environment(CLI_ATTN_CACHE_DIR), *base = cli_environment(CLI_XDG_CACHE_HOME), *home = cli_environment(CLI_HOME);
    const bool xdg = base && *base == '/';
    if (own) return *own ? strdup(own) : NULL;
    if (!xdg && (!home || !*home)) return NULL;
    const char *from = xdg ? base : home, *rest = xdg ? "/attn/code" : "/.cache/attn/code";
    char *out = malloc(strlen(from) + strlen(rest) + 1);
    if (out) strcat(strcpy(out, from), rest);
    return out;
}

/* The library reads no environment: these variables become options here. */
int cli_open(cli_session *s, const cli_options *o) {
    attn_context_options c = ATTN_CONTEXT_OPTIONS_INIT;
    s->options = o;
    c.threads = o->threads;
    /* CUDA_PATH, then CUDA_HOME: installers set either. The strings are copied by the library. */
    c.cuda_path = cli_environment(CLI_CUDA_PATH) ? cli_environment(CLI_CUDA_PATH) : cli_environment(CLI_CUDA_HOME);
    s->cache = o->no_cache ? NULL : cache_folder();
    c.cache_path = s->cache;
    c.python_paths = cli_environment(CLI_VIRTUAL_ENV);
    /* Without a list there is nothing to show a message from: cli_failed then says what the status is called. */
    attn_status status = attn_diagnostics_create(NULL, &s->diagnostics);
    if (status == ATTN_OK) status = attn_context_create(&c, s->diagnostics, &s->context);
    return status == ATTN_OK ? CLI_FINE : cli_failed(s, status);
}

/* n: of graphs that there are, all of which are listed. */
static int no_such_graph(const cli_session *s, size_t n) {
    int status = cli_say(CLI_MSG_GRAPH_UNKNOWN, s->options->file, s->options->graph);
    for (size_t k = 0; k < n; k++) {
        attn_graph_info info = ATTN_GRAPH_INFO_INIT;
        attn_program_graph(s->program, k, &info);
        cli_say_expected(info.name, k == 0);
    }
    cli_say_expected(NULL, n == 0);
    return status;
}

/* The graph that is meant is found here once; s->graph points into the program. */
int cli_load(cli_session *s) {
    attn_graph_info info = ATTN_GRAPH_INFO_INIT;
    attn_status status = attn_program_from_file(s->context, s->options->file, s->diagnostics, &s->program);
    int shown = cli_failed(s, status);       /* warnings too */
    if (status != ATTN_OK) return shown;
    size_t n = attn_program_n_graphs(s->program);
    /* From the end, so that without --graph the last is taken, as in the library. */
    for (size_t k = n; k-- > 0 && !s->graph;) {
        attn_program_graph(s->program, k, &info);
        if (!s->options->graph || !strcmp(s->options->graph, info.name)) {
            s->graph = info.name;
            s->n_tensors = info.n_tensors;
        }
    }
    /* With --graph the name is wrong; without it the file has no graph at all. */
    if (s->graph) return CLI_FINE;
    return s->options->graph ? no_such_graph(s, n) : cli_say(CLI_MSG_NO_GRAPH, s->options->file);
}

/* ---- tensors */

/* k is below n_tensors, so the call cannot fail. Texts belong to the program. */
static attn_tensor_info tensor_info(const cli_session *s, size_t k) {
    attn_tensor_info info = ATTN_TENSOR_INFO_INIT;
    attn_program_tensor(s->program, s->graph, k, &info);
    return info;
}

/* *out: the number by which the library knows it. */
static bool find_tensor(const cli_session *s, attn_tensor_kind kind, const char *name, size_t *out) {
    for (*out = 0; *out < s->n_tensors; ++*out) {
        attn_tensor_info info = tensor_info(s, *out);
        if (info.kind == kind && !strcmp(info.name, name)) return true;
    }
    return false;
}

/* n: of arguments that are there so far; the list may have more places. */
static bool is_given(const attn_argument *list, size_t n, const char *name) {
    for (size_t k = 0; k < n; k++)
        if (!strcmp(list[k].name, name)) return true;
    return false;
}

int cli_no_tensor(const cli_session *s, attn_tensor_kind kind, const char *name) {
    /* Params are never asked for by name here, so a kind is an input or an output. */
    int status = cli_say(CLI_MSG_TENSOR_UNKNOWN, s->graph, kind == ATTN_INPUT ? "input" : "output", name);
    bool first = true;
    for (size_t k = 0; k < s->n_tensors; k++) {
        attn_tensor_info info = tensor_info(s, k);
        if (info.kind != kind) continue;
        cli_say_expected(info.name, first);
        first = false;
    }
    cli_say_expected(NULL, first);
    return status;
}

/* Moves what an archive holds to the inputs: all of it must be inputs. Names live as long as their tensors. */
static int take_archive(cli_session *s, attn_argument *list, size_t n) {
    for (size_t k = 0; k < n; k++) {
        size_t at;
        if (!find_tensor(s, ATTN_INPUT, list[k].name, &at)) return cli_no_tensor(s, ATTN_INPUT, list[k].name);
        if (is_given(s->inputs, s->n_inputs, list[k].name)) return cli_say(CLI_MSG_NAME_TWICE, "--in", "input", list[k].name);
        s->inputs[s->n_inputs++] = list[k];
        list[k].tensor = NULL;
    }
    return CLI_FINE;
}

static int read_archive(cli_session *s, const char *path) {
    attn_argument *list;
    size_t n;
    attn_status status = attn_tensors_read_npz(s->context, path, s->diagnostics, &list, &n);
    if (status != ATTN_OK) return cli_failed(s, status);
    int taken = take_archive(s, list, n);
    attn_arguments_destroy(s->context, list, n);
    return taken;
}

/* Files of --in in the order given. Whether all inputs are there the run says, with their types. */
static int read_files(cli_session *s) {
    for (size_t k = 0; k < s->options->n_ins; k++) {
        const cli_file *f = &s->options->ins[k];
        size_t at;
        if (!f->name) {
            int status = read_archive(s, f->path);
            if (status != CLI_FINE) return status;
            continue;
        }
        if (!find_tensor(s, ATTN_INPUT, f->name, &at)) return cli_no_tensor(s, ATTN_INPUT, f->name);
        if (is_given(s->inputs, s->n_inputs, f->name)) return cli_say(CLI_MSG_NAME_TWICE, "--in", "input", f->name);
        /* Counted when its tensor is there: what cli_close gives back is what was counted. */
        attn_argument *a = &s->inputs[s->n_inputs];
        attn_status status = attn_tensor_read_npy(s->context, f->path, s->diagnostics, &a->tensor);
        if (status != ATTN_OK) return cli_failed(s, status);
        a->name = f->name;
        s->n_inputs++;
    }
    return CLI_FINE;
}

/* By --dims; an input `K: dim` of that name is then made by the library. */
static bool is_dimension_given(const cli_session *s, const char *name) {
    for (size_t k = 0; k < s->options->n_dims; k++)
        if (!strcmp(s->options->dims[k].name, name)) return true;
    return false;
}

/* More than any program has; further ones are left to their defaults. */
enum { MOST_DIMS = 64 };
/* Sizes that files of --in fix are what the drawn ones must have: those dimensions that an input's axes name. */
static size_t known_dims(const cli_session *s, attn_dim *out, size_t room) {
    size_t n = 0;
    /* --dims first: what a file says otherwise is then reported by the run, as a contradiction. */
    for (; n < s->options->n_dims && n < room; n++) out[n] = s->options->dims[n];
    for (size_t k = 0; k < s->n_inputs; k++) {
        size_t at;
        if (!s->inputs[k].tensor || !find_tensor(s, ATTN_INPUT, s->inputs[k].name, &at)) continue;
        attn_tensor_info info = tensor_info(s, at);
        attn_graph_info graph = ATTN_GRAPH_INFO_INIT;
        /* The graph's own dimensions: n_dims and their names are asked for by number, the session knows its graph by name. */
        for (size_t g = 0; g < attn_program_n_graphs(s->program); g++) {
            attn_program_graph(s->program, g, &graph);
            if (!strcmp(graph.name, s->graph)) break;
        }
        /* Only axes that are a dimension by itself; N + 1 would have to be solved, and the library does that when it binds. */
        for (int axis = 0; axis < info.rank && axis < attn_tensor_rank(s->inputs[k].tensor); axis++)
            for (size_t d = 0; d < graph.n_dims && n < room; d++) {
                bool known = false;
                for (size_t i = 0; i < n; i++) known |= !strcmp(out[i].name, graph.dim_names[d]);
                if (!known && !strcmp(graph.dim_names[d], info.dims[axis])) out[n++] = (attn_dim){graph.dim_names[d], attn_tensor_dim(s->inputs[k].tensor, axis)};
            }
    }
    return n;
}

/* target NULL: the library's default. The session holds one module at a time: cli_drop_module comes before the next. */
int cli_compile(cli_session *s, const char *target) {
    attn_dim dims[MOST_DIMS];
    attn_module_options o = ATTN_MODULE_OPTIONS_INIT;
    o.target = target;
    o.graph = s->graph;
    o.dims = dims;               /* the judge and the predicted times go by the sizes of this very call */
    o.n_dims = known_dims(s, dims, MOST_DIMS);
    cli_progress("compiling");
    attn_status status = attn_module_create(s->context, s->program, &o, s->diagnostics, &s->module);
    cli_progress(NULL);
    return cli_failed(s, status);
}

/* Inputs or params that no file gave. A dim that --dims gives needs no tensor. */
static int draw(cli_session *s, attn_tensor_kind kind, attn_argument *list, size_t *n) {
    attn_dim dims[MOST_DIMS];
    size_t n_dims = known_dims(s, dims, MOST_DIMS);
    for (size_t k = 0; k < s->n_tensors; k++) {
        attn_tensor_info info = tensor_info(s, k);
        /* All are drawn for the same dims, and the library fills in the rest the same way each time: so their shapes agree. */
        if (info.kind != kind || is_given(list, *n, info.name) || (info.is_dim && is_dimension_given(s, info.name))) continue;
        attn_status status = attn_program_sample(s->context, s->program, s->graph, k, dims, n_dims, s->options->seed, s->diagnostics, &list[*n].tensor);
        if (status != ATTN_OK) return cli_failed(s, status);
        list[(*n)++].name = info.name;
    }
    return CLI_FINE;
}

/* Files first: what they fix limits what is drawn. */
int cli_read_inputs(cli_session *s, bool drawn) {
    /* Room for files and for drawn ones; + 1, since calloc(0) may be NULL. */
    s->inputs = calloc(s->n_tensors + s->options->n_ins + 1, sizeof *s->inputs);
    if (!s->inputs) return cli_say(CLI_MSG_MEMORY);
    int status = read_files(s);
    return status == CLI_FINE && drawn ? draw(s, ATTN_INPUT, s->inputs, &s->n_inputs) : status;
}

static bool has_params(const cli_session *s) {
    for (size_t k = 0; k < s->n_tensors; k++)
        if (tensor_info(s, k).kind == ATTN_PARAM) return true;
    return false;
}

/* The module must be there. A file of weights wins over drawing: it is expected to hold all. */
int cli_model(cli_session *s, bool drawn) {
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    /* The file is read by the library, at every model that is made. */
    o.weights = s->options->weights;
    /* Drawn once and kept: verify makes a model for each target, and all must have the same weights. */
    if (drawn && !o.weights && has_params(s) && !s->params) {
        s->params = calloc(s->n_tensors + 1, sizeof *s->params);
        int status = s->params ? draw(s, ATTN_PARAM, s->params, &s->n_params) : cli_say(CLI_MSG_MEMORY);
        if (status != CLI_FINE) return status;
    }
    o.params = s->params;
    o.n_params = s->n_params;
    return cli_failed(s, attn_model_create(s->context, s->module, &o, s->diagnostics, &s->model));
}

/* ---- the run */

/* All outputs are asked for, also those that nobody writes: --print shows them. The tensors that the first run makes serve the next ones. */
static int name_outputs(cli_session *s) {
    if (s->outputs) return CLI_FINE;
    s->outputs = calloc(s->n_tensors + 1, sizeof *s->outputs);
    if (!s->outputs) return cli_say(CLI_MSG_MEMORY);
    for (size_t k = 0; k < s->n_tensors; k++) {
        attn_tensor_info info = tensor_info(s, k);
        if (info.kind == ATTN_OUTPUT) s->outputs[s->n_outputs++].name = info.name;
    }
    return CLI_FINE;
}

/* The graph of the session on its inputs. */
attn_run_options cli_run_options(const cli_session *s) {
    attn_run_options o = ATTN_RUN_OPTIONS_INIT;
    o.graph = s->graph;
    o.inputs = s->inputs;
    o.n_inputs = s->n_inputs;
    o.dims = s->options->dims;
    o.n_dims = s->options->n_dims;
    return o;
}

/* Dims are those of the command line alone: shapes say the rest. Failed or not, outputs that were made stay in the session. */
int cli_run(cli_session *s, attn_kernel_time *times) {
    attn_run_options o = cli_run_options(s);
    int status = name_outputs(s);
    if (status != CLI_FINE) return status;
    o.outputs = s->outputs;
    o.n_outputs = s->n_outputs;
    o.times = times;
    return cli_failed(s, attn_model_run(s->model, &o, s->diagnostics));
}

int cli_cost(cli_session *s, attn_cost *cost) {
    attn_run_options o = cli_run_options(s);
    return cli_failed(s, attn_model_cost(s->model, &o, s->diagnostics, cost));
}

/* The names stay: the next run makes new tensors for them. */
void cli_drop_outputs(cli_session *s) {
    for (size_t k = 0; k < s->n_outputs; k++) {
        attn_tensor_destroy(s->outputs[k].tensor);
        s->outputs[k].tensor = NULL;
    }
}

/* Either order would do: a model keeps its module alive by itself. */
void cli_drop_module(cli_session *s) {
    attn_model_destroy(s->model);
    attn_module_destroy(s->module);
    s->model = NULL;
    s->module = NULL;
}

/* list NULL: was never asked for. */
static void drop(attn_argument *list, size_t n) {
    for (size_t k = 0; list && k < n; k++) attn_tensor_destroy(list[k].tensor);
    free(list);
}

/* Also of a session that ended half way: everything takes NULL. Diagnostics last, since every call before may have used them. */
void cli_close(cli_session *s) {
    cli_drop_module(s);
    drop(s->inputs, s->n_inputs);
    drop(s->params, s->n_params);
    drop(s->outputs, s->n_outputs);
    attn_program_destroy(s->program);
    attn_context_destroy(s->context);
    attn_diagnostics_destroy(s->diagnostics);
    free(s->cache);
}

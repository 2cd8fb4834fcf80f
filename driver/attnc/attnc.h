/* attnc: the verbs of the command line, on nothing but the public header.
 *
 * A verb is a function of parsed options that returns the exit status: 0 fine, 1 the program, its data or the machine is wrong, 2 usage.
 * Results go to stdout, diagnostics to stderr; colour and progress only where that is a terminal.
 */
#ifndef ATTNC_H
#define ATTNC_H
#include <stdio.h>
#include "attn/attn.h"

enum { CLI_FINE = 0, CLI_WRONG = 1, CLI_USAGE = 2 };

typedef struct { const char *name, *path; } cli_file;        /* --in x=x.npy; name NULL: an archive, --in all.npz */
typedef struct {
    const char *verb, *file, *graph, *weights, *target, *after, *output, *levels, *tile;
    cli_file *ins, *outs;
    size_t n_ins, n_outs;
    attn_dim *dims;
    size_t n_dims;
    int threads;
    unsigned long long seed;
    double tolerance;                        /* 0: by type */
    bool has_seed, print, json, code, no_cache, embed, mask, help;
} cli_options;

typedef struct {                             /* what a verb works with; cli_close ends it all */
    const cli_options *options;
    attn_diagnostics *diagnostics;
    char *cache;                             /* folder of compiled code; NULL: none */
    attn_context *context;
    attn_program *program;
    attn_module *module;
    attn_model *model;
    const char *graph;                       /* name, never NULL once opened */
    size_t n_tensors;
    attn_argument *inputs, *params, *outputs;
    size_t n_inputs, n_params, n_outputs;
} cli_session;

typedef struct {
    const char *name, *one_line, *usage, *example;
    const char *accepts;                     /* letters of cli_flags */
    const char *operand;                     /* NULL: a file; else the words of which it takes one, "man|bash" */
    int (*run)(cli_session *s);
} cli_verb;
extern const cli_verb cli_verbs[];
extern const size_t cli_n_verbs;

/* say.c: by the table messages.def; the arguments are those of its text */
typedef enum {
#define CLI_MSG(id, code, status, text) CLI_MSG_##id,
#include "messages.def"
} cli_message;
int cli_say(cli_message m, ...);                             /* prints it; the exit status */
void cli_say_expected(const char *name, bool first);         /* one name after the other in the line below; NULL ends it */

/* options.c */
typedef enum {
#define CLI_VARIABLE(name, what) CLI_##name,
#include "variables.def"
    CLI_N_VARIABLES
} cli_variable;
typedef struct { const char *name, *what; } cli_variable_info;
extern const cli_variable_info cli_variables[CLI_N_VARIABLES];
const char *cli_environment(cli_variable v);                 /* its value, or NULL */
typedef struct { const char *name; char letter, argument; const char *help; } cli_flag;   /* argument: 0, or what kind */
extern const cli_flag cli_flags[];
extern const size_t cli_n_flags;
const char *cli_flag_help(const cli_verb *verb, const cli_flag *f);              /* f->help, or what the flag means to this verb */
int cli_parse(int n, char **words, const cli_verb *verb, cli_options *out);      /* CLI_FINE, or CLI_USAGE after a message */
void cli_options_free(cli_options *o);
void cli_help(const cli_verb *verb, FILE *to);                                   /* NULL: all verbs */

/* manual.c, completion.c: the same tables in other forms */
void cli_manual(FILE *to);                                   /* a page for man, in the language of man(7) */
void cli_completion(const char *shell, FILE *to);            /* bash, zsh or fish */

/* session.c: each returns CLI_FINE, or an exit status after the diagnostics have been printed */
int cli_open(cli_session *s, const cli_options *o);          /* context */
int cli_load(cli_session *s);                                /* program, and the graph that is meant */
int cli_compile(cli_session *s, const char *target);         /* module */
int cli_read_inputs(cli_session *s, bool draw);              /* files of --in; draw: others at random, else they are missing */
int cli_model(cli_session *s, bool draw);                    /* weights; draw: without a file params are drawn at random */
attn_run_options cli_run_options(const cli_session *s);               /* of the inputs that are there; no outputs */
int cli_run(cli_session *s, attn_kernel_time *times);        /* all outputs, into new tensors of s->outputs */
int cli_cost(cli_session *s, attn_cost *cost);              /* of such a run; struct_size is set */
void cli_drop_outputs(cli_session *s);
void cli_drop_module(cli_session *s);                        /* and the model */
void cli_close(cli_session *s);
int cli_failed(cli_session *s, attn_status status);          /* prints the diagnostics; the exit status */
int cli_no_tensor(const cli_session *s, attn_tensor_kind kind, const char *name);        /* prints which there are; CLI_USAGE */
int cli_flush(int status);                                   /* what was printed must have arrived */
bool cli_colour(FILE *to);
void cli_progress(const char *text);                         /* on a terminal; NULL wipes it */
double cli_now(void);

/* print.c: arrays as NumPy shows them */
void cli_print_tensor(FILE *to, const char *name, const attn_tensor *t);
void cli_print_type(FILE *to, const attn_tensor_info *info);
double cli_element(const attn_tensor *dense, int64_t k);

int verb_check(cli_session *s);
int verb_run(cli_session *s);
int verb_bench(cli_session *s);
int verb_verify(cli_session *s);
int verb_ir(cli_session *s);
int verb_explain(cli_session *s);
int verb_cache(cli_session *s);
int verb_build(cli_session *s);
int verb_generate(cli_session *s);
#endif

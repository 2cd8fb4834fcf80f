/* The manual page, in the language of man(7): the tables of verbs, options and variables. */
#include <string.h>
#include "attnc.h"

/* In man(7) a backslash is an escape, a hyphen would become typography, and a dot or quote at the start of a line a command. */
static void put(FILE *to, const char *text, size_t n) {
    for (size_t k = 0; k < n; k++) {
        const bool starts = k == 0 || text[k - 1] == '\n';
        if (starts && (text[k] == '.' || text[k] == '\'')) fputs("\\&", to);
        if (text[k] == '\\') fputs("\\e", to);
        else if (text[k] == '-') fputs("\\-", to);
        else fputc(text[k], to);
    }
}
static void put_text(FILE *to, const char *text) { put(to, text, strlen(text)); }

/* "NAME            the graph": the name of the argument ends at the first blank; without an argument the text begins with blanks. */
static void put_flag(const cli_verb *verb, const cli_flag *f, FILE *to) {
    const char *help = cli_flag_help(verb, f);
    const size_t argument = strcspn(help, " ");
    fputs(".TP\n.B ", to);
    put_text(to, f->name);
    if (argument) {
        fputs(" \\fI", to);
        put(to, help, argument);
        fputs("\\fR", to);
    }
    fputs("\n", to);
    put_text(to, help + argument + strspn(help + argument, " "));
    fputs("\n", to);
}

/* Usage and example stand as they are written, line ends too. */
static void put_literal(const char *text, FILE *to) {
    fputs(".PP\n.nf\n", to);
    put_text(to, text);
    fputs("\n.fi\n", to);
}

static void put_verb(const cli_verb *verb, FILE *to) {
    fprintf(to, ".SS %s\n", verb->name);
    put_text(to, verb->one_line);
    fputs(".\n", to);
    put_literal(verb->usage, to);
    for (size_t k = 0; k < cli_n_flags; k++)
        if (strchr(verb->accepts, cli_flags[k].letter)) put_flag(verb, &cli_flags[k], to);
    fputs(".PP\nExample:\n", to);
    put_literal(verb->example, to);
}

void cli_manual(FILE *to) {
    fprintf(to, ".TH ATTNC 1 \"\" \"attn %s\" \"User Commands\"\n", attn_version());
    fputs(".SH NAME\nattnc \\- compile attention graphs and run them\n.SH SYNOPSIS\n.B attnc\n.I VERB FILE\n[options]\n", to);
    fputs(".SH DESCRIPTION\nattnc reads a graph of attention in index notation, checks it, compiles it to this CPU or to a GPU, and runs it. "
          "Results go to standard output, diagnostics to standard error; colour and progress are shown on a terminal only.\n.SH VERBS\n", to);
    for (size_t k = 0; k < cli_n_verbs; k++) put_verb(&cli_verbs[k], to);
    fputs(".SH EXIT STATUS\n0: fine. 1: the program, its data or the machine is wrong. 2: the command line is.\n.SH ENVIRONMENT\n", to);
    for (size_t k = 0; k < CLI_N_VARIABLES; k++) {
        fprintf(to, ".TP\n.B %s\n", cli_variables[k].name);
        put_text(to, cli_variables[k].what);
        fputs("\n", to);
    }
}

/* Completions for shells. The three scripts differ in grammar alone: verbs, then for each verb its options and what it works on. */
#include <string.h>
#include "attnc.h"

/* Options that take a file, whole or after `name=`; shells complete the rest by themselves only when told so. */
static bool takes_file(const cli_flag *f) { return f->argument == 'n' || f->letter == 'w' || f->letter == 'f'; }

/* Text in single quotes, for all three shells. No table has a quote in it, but one may come. */
static void put_quoted(FILE *to, const char *text) {
    fputc('\'', to);
    for (; *text; text++) *text == '\'' ? fputs("'\\''", to) : fputc(*text, to);
    fputc('\'', to);
}

/* What an option does, without the name of its argument. */
static const char *meaning(const cli_verb *v, const cli_flag *f) {
    const char *help = cli_flag_help(v, f);
    const size_t argument = strcspn(help, " ");
    return help + argument + strspn(help + argument, " ");
}

static void put_words(const char *words, FILE *to) {
    for (; *words; words++) fputc(*words == '|' ? ' ' : *words, to);
}

static void put_verbs(FILE *to) {
    for (size_t k = 0; k < cli_n_verbs; k++) fprintf(to, "%s%s", k ? " " : "", cli_verbs[k].name);
}

/* ---- bash: words by compgen, files where a file may stand. name=FILE is cut at the sign, as bash takes it for a break between words. */

static void bash_verb(const cli_verb *v, FILE *to) {
    fprintf(to, "    %s) flags='", v->name);
    for (size_t k = 0; k < cli_n_flags; k++)
        if (strchr(v->accepts, cli_flags[k].letter)) fprintf(to, "%s ", cli_flags[k].name);
    fputs("--help' words='", to);
    if (v->operand) put_words(v->operand, to);
    fputs("' ;;\n", to);
}

static void bash(FILE *to) {
    fputs("_attnc() {\n    local word=${COMP_WORDS[COMP_CWORD]} flags= words=\n    if [ \"$COMP_CWORD\" = 1 ]; then\n        COMPREPLY=($(compgen -W '", to);
    put_verbs(to);
    fputs(" --help --version' -- \"$word\"))\n        return\n    fi\n    case ${COMP_WORDS[1]} in\n    help) words='", to);
    put_verbs(to);
    fputs("' ;;\n", to);
    for (size_t k = 0; k < cli_n_verbs; k++) bash_verb(&cli_verbs[k], to);
    fputs("    esac\n    [ \"$word\" = = ] && word=\n    case $word in\n    -*) COMPREPLY=($(compgen -W \"$flags\" -- \"$word\")) ;;\n"
          "    *) if [ -n \"$words\" ]; then COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n       else compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$word\")); fi ;;\n"
          "    esac\n}\ncomplete -F _attnc attnc\n", to);
}

/* ---- zsh: _arguments for each verb */

static void zsh_flag(const cli_verb *v, const cli_flag *f, FILE *to) {
    char text[200];
    /* name=file may stand several times; a colon or bracket would end the description. */
    snprintf(text, sizeof text, "%s%s[%s]%s", f->argument == 'n' ? "*" : "", f->name, meaning(v, f), !f->argument ? "" : takes_file(f) ? ":file:_files" : ":value:");
    for (char *at = strchr(text, '[') + 1; *at && *at != ']'; at++)
        if (*at == ':') *at = ',';
    fputs("            ", to);
    put_quoted(to, text);
    fputs(" \\\n", to);
}

static void zsh_verb(const cli_verb *v, FILE *to) {
    fprintf(to, "        %s) _arguments \\\n", v->name);
    for (size_t k = 0; k < cli_n_flags; k++)
        if (strchr(v->accepts, cli_flags[k].letter)) zsh_flag(v, &cli_flags[k], to);
    fputs("            '--help[tell more]' ", to);
    if (v->operand) {
        fputs("':word:(", to);
        put_words(v->operand, to);
        fputs(")' ;;\n", to);
    } else fputs("'*:file:_files' ;;\n", to);
}

static void zsh(FILE *to) {
    fputs("#compdef attnc\n_attnc() {\n    local -a verbs\n    verbs=(\n", to);
    for (size_t k = 0; k < cli_n_verbs; k++) {
        char text[200];
        snprintf(text, sizeof text, "%s:%s", cli_verbs[k].name, cli_verbs[k].one_line);
        fputs("        ", to);
        put_quoted(to, text);
        fputs("\n", to);
    }
    fputs("    )\n    if (( CURRENT == 2 )); then\n        _describe verb verbs\n        return\n    fi\n    local verb=$words[2]\n    shift words\n    (( CURRENT-- ))\n"
          "    case $verb in\n", to);
    for (size_t k = 0; k < cli_n_verbs; k++) zsh_verb(&cli_verbs[k], to);
    fputs("    esac\n}\n_attnc \"$@\"\n", to);
}

/* ---- fish: one line for each verb and option */

static void fish_flag(const cli_verb *v, const cli_flag *f, FILE *to) {
    const bool is_long = f->name[1] == '-';
    fprintf(to, "complete -c attnc -n '__fish_seen_subcommand_from %s' -%c %s %s-d ", v->name, is_long ? 'l' : 's', f->name + 1 + is_long, !f->argument ? "" : takes_file(f) ? "-r -F " : "-x ");
    put_quoted(to, meaning(v, f));
    fputs("\n", to);
}

static void fish_verb(const cli_verb *v, FILE *to) {
    fprintf(to, "complete -c attnc -n __fish_use_subcommand -f -a %s -d ", v->name);
    put_quoted(to, v->one_line);
    fputs("\n", to);
    for (size_t k = 0; k < cli_n_flags; k++)
        if (strchr(v->accepts, cli_flags[k].letter)) fish_flag(v, &cli_flags[k], to);
    if (!v->operand) return;
    fprintf(to, "complete -c attnc -n '__fish_seen_subcommand_from %s' -f -a '", v->name);
    put_words(v->operand, to);
    fputs("'\n", to);
}

void cli_completion(const char *shell, FILE *to) {
    if (!strcmp(shell, "bash")) bash(to);
    else if (!strcmp(shell, "zsh")) zsh(to);
    else
        for (size_t k = 0; k < cli_n_verbs; k++) fish_verb(&cli_verbs[k], to);
}

/* attnc VERB FILE [options] */
#include <string.h>
#include "attnc.h"

/* The letters at the end are those of cli_flags in options.c: what a verb does not accept is an unknown option to it. Usage and example are
 * shown by --help as they stand. */
const cli_verb cli_verbs[] = {
    {"check", "check a program and list its graphs", "attnc check FILE [--json]", "attnc check gqa.attn", "j", NULL, verb_check},
    {"run", "compute a graph",
     "attnc run FILE [--graph NAME] --in name=file.npy ... [--out name=file.npy ...] [--weights file.safetensors]\n"
     "               [--target cpu|eval|cuda] [--threads N] [--dims A=1,B=2] [--seed N] [--print] [--no-cache]",
     "attnc run gqa.attn --in q=q.npy k=k.npy v=v.npy --out o=o.npy", "giowtndspk", NULL, verb_run},
    {"bench", "time a graph and compare with the machine's peak",
     "attnc bench FILE [--graph NAME] [--in name=file.npy ...] [--weights file.safetensors] [--target T] [--threads N]\n"
     "                 [--dims A=1,B=2] [--seed N] [--json] [--no-cache]",
     "attnc bench gqa.attn --dims B=1,S=2048,T=2048,H=8,G=8,D=64 --json", "giwtndsjk", NULL, verb_bench},
    {"verify", "compare targets with the float64 evaluator",
     "attnc verify FILE [--graph NAME] [--in name=file.npy ...] [--weights file.safetensors] [--target T] [--threads N]\n"
     "                  [--dims A=1,B=2] [--seed N] [--tolerance X] [--json] [--no-cache]",
     "attnc verify gqa.attn --dims S=33,T=65 --seed 7", "giwtndsjxk", NULL, verb_verify},
    {"ir", "print what the compiler has after a pass", "attnc ir FILE [--graph NAME] [--target T] [--after PASS | --code]", "attnc ir gqa.attn --after lower",
     "gtac", NULL, verb_ir},
    {"explain", "show kernels, remarks, predicted and measured time",
     "attnc explain FILE [--graph NAME] [--in name=file.npy ...] [--weights file.safetensors] [--target T] [--threads N]\n"
     "                   [--dims A=1,B=2] [--seed N] [--json] [--no-cache] [--mask [--tile RxC] [-o FILE.svg]]",
     "attnc explain gqa.attn --dims S=512,T=512", "giwtndsjkmzf", NULL, verb_explain},
    {"cache", "list compiled code that is kept, check it, remove it", "attnc cache list|verify|clear [--json]", "attnc cache verify", "j", "list|verify|clear", verb_cache},
    {"build", "make a shared object, an object or a text, for hosts without a compiler",
     "attnc build FILE -o x.so|x.o|x.ll|x.s|x.cu [--graph NAME] [--cpu LEVEL[,LEVEL]] [--target T] [--dims A=1,B=2]\n"
     "                 [--weights file.safetensors --embed-weights] [--no-cache]",
     "attnc build gqa.attn -o gqa.so --cpu x86-64-v3,x86-64-v4", "gfltdwek", NULL, verb_build},
    {"generate", "print the manual page, or completions for a shell", "attnc generate man|bash|zsh|fish", "attnc generate bash > ~/.local/share/bash-completion/completions/attnc",
     "", "man|bash|zsh|fish", verb_generate},
};
const size_t cli_n_verbs = sizeof cli_verbs / sizeof *cli_verbs;

/* NULL also for a word that is an option: verbs come first. */
static const cli_verb *find_verb(const char *name) {
    for (size_t k = 0; k < cli_n_verbs; k++)
        if (!strcmp(cli_verbs[k].name, name)) return &cli_verbs[k];
    return NULL;
}

/* A verb leaves its objects in the session; whatever it returns, they are given back here. */
static int run_verb(const cli_verb *verb, const cli_options *o) {
    /* Zero is "not there yet" for every member, which cli_close counts on. */
    cli_session s = {0};
    int status = cli_open(&s, o);
    if (status == CLI_FINE) status = verb->run(&s);
    cli_close(&s);
    return cli_flush(status);
}

int main(int n, char **words) {
    /* Help that was asked for is a result, on stdout with 0; help that is forced on somebody is a message, on stderr with 2. */
    bool asks = n > 1 && (!strcmp(words[1], "--help") || !strcmp(words[1], "-h") || !strcmp(words[1], "help"));
    const cli_verb *verb = n > 1 ? find_verb(words[1]) : NULL;
    /* The library's version: attnc has none of its own. */
    if (n > 1 && !strcmp(words[1], "--version")) {
        printf("attnc %s\n", attn_version());
        return cli_flush(CLI_FINE);
    }
    if (!verb) {
        if (n > 1 && !asks) cli_say(CLI_MSG_VERB_UNKNOWN, words[1]);
        cli_help(n > 2 && asks ? find_verb(words[2]) : NULL, asks ? stdout : stderr);
        return asks ? cli_flush(CLI_FINE) : CLI_USAGE;
    }
    /* Freed below also after a mistake: what was parsed before it lies there. */
    cli_options o = {0};
    int status = cli_parse(n - 2, words + 2, verb, &o);
    if (status == CLI_FINE && o.help) cli_help(verb, stdout);
    else if (status == CLI_FINE) status = run_verb(verb, &o);
    cli_options_free(&o);
    /* run_verb has flushed already; help is printed past it. */
    return o.help ? cli_flush(status) : status;
}

/* Words of the command line to options, by one table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "attnc.h"

/* argument: s text, n name=file (several words), d dims, i integer, u seed, r real */
const cli_flag cli_flags[] = {
    {"--graph", 'g', 's', "NAME            the graph; without it the last of the file"},
    {"--in", 'i', 'n', "name=file.npy   inputs, one or more; file.npz: all that it holds"},
    {"--out", 'o', 'n', "name=file.npy   outputs to write, one or more; file.npz: all of them"},
    {"--weights", 'w', 's', "FILE            params, a safetensors file"},
    {"--target", 't', 's', "T               cpu, eval or cuda; without it cpu"},
    {"--threads", 'n', 'i', "N               threads that compute; without it one per CPU"},
    {"--dims", 'd', 'd', "A=1,B=2         dimensions, and inputs of type dim"},
    {"--seed", 's', 'u', "N               for inputs that are drawn at random"},
    {"--print", 'p', 0, "                show results, as NumPy does"},
    {"--json", 'j', 0, "                results as JSON"},
    {"--after", 'a', 's', "PASS            frontend, or the name of a pass"},
    {"--code", 'c', 0, "                the text that the target's own compiler gets"},
    {"--no-cache", 'k', 0, "                compile everything, and keep nothing of it"},
    {"--mask", 'm', 0, "                draw which tiles of rows and columns a mask leaves: . empty, + partial, # full"},
    {"--tile", 'z', 's', "RxC             rows and columns of a tile for --mask; without it 32x32"},
    {"-o", 'f', 's', "FILE            what to make, by its suffix: .so .o .ll .s .cu"},
    {"--cpu", 'l', 's', "LEVEL,LEVEL     levels that the object has code for: x86-64, x86-64-v2, x86-64-v3, x86-64-v4, aarch64"},
    {"--embed-weights", 'e', 0, "                puts the file of --weights into the object"},
    {"--tolerance", 'x', 'r', "X               allowed error, absolute and relative; without it by type"},
};
const size_t cli_n_flags = sizeof cli_flags / sizeof *cli_flags;

/* Where a flag means something else to one verb than to the others. */
static const struct { const char *verb; char letter; const char *help; } own_help[] = {
    {"verify", 't', "T               cpu or cuda; without it all that work here"},
    {"explain", 't', "T               cpu or cuda; without it cpu"},
    {"explain", 'f', "FILE            an SVG file for --mask; without it text on standard output"},
    {"ir", 't', "T               cpu or cuda, also of another machine: cpu:x86-64-v3, cuda:sm_90a; without it cpu"},
    {"build", 'g', "NAME            this graph alone; without it all of them in objects, the last one in texts"},
    {"build", 't', "T               cuda:sm_90a: the architecture of a .cu; cpu:x86-64-v3: the same as --cpu x86-64-v3"},
    {"build", 'd', "A=1,B=2         sizes that the code is tuned for; it works for all others too"},
    {"build", 'w', "FILE            a safetensors file, for --embed-weights"},
    {"cache", 'j', "                the list as JSON"},
};

const char *cli_flag_help(const cli_verb *verb, const cli_flag *f) {
    for (size_t k = 0; k < sizeof own_help / sizeof *own_help; k++)
        if (own_help[k].letter == f->letter && !strcmp(own_help[k].verb, verb->name)) return own_help[k].help;
    return f->help;
}

const cli_variable_info cli_variables[CLI_N_VARIABLES] = {
#define CLI_VARIABLE(name, what) {#name, what},
#include "variables.def"
};

const char *cli_environment(cli_variable v) { return getenv(cli_variables[v].name); }

/* One more element. `list` is the address of a pointer. */
static bool grow(void *list, size_t n, size_t size) {
    /* By one each time: command lines are short. Without memory the old list stays, so that cli_options_free finds it. */
    void **at = list;
    void *more = realloc(*at, (n + 1) * size);
    if (more) *at = more;
    return more != NULL;
}

static char *copy(const char *text, size_t n) {
    /* The caller frees it (cli_options_free). */
    char *at = malloc(n + 1);
    if (!at) return NULL;
    memcpy(at, text, n);
    at[n] = 0;
    return at;
}

/* Without '=', so that name=file.npz stays what it says: a file for that name. */
static bool is_archive(const char *word) {
    static const char ending[] = ".npz";
    size_t n = strlen(word), m = sizeof ending - 1;
    return n > m && !strcmp(word + n - m, ending) && !strchr(word, '=');
}

/* The name is copied, since the word does not end with it; the path is the rest of the word. */
static int add_file(cli_file **list, size_t *n, const char *word) {
    /* The first '=': a path may hold more of them, a name cannot. */
    const char *equal = strchr(word, '=');
    bool archive = is_archive(word);
    if (!archive && (!equal || equal == word || !equal[1])) return cli_say(CLI_MSG_NOT_NAME_FILE, word);
    if (!grow(list, *n, sizeof **list)) return cli_say(CLI_MSG_MEMORY);
    if (archive) return (*list)[(*n)++] = (cli_file){NULL, word}, CLI_FINE;
    (*list)[(*n)++] = (cli_file){copy(word, (size_t)(equal - word)), equal + 1};
    return CLI_FINE;
}

/* "A=1,B=2": sizes are not negative and fit into 63 bits; whether a graph has such dimensions the library says. */
static int add_dims(cli_options *o, const char *word) {
    for (const char *at = word; *at;) {
        size_t n = strcspn(at, ",");
        const char *equal = memchr(at, '=', n);
        /* The number must end where the item does: "A=1x" and "A=" are refused, as is what strtoll had to clip. */
        char *end = NULL;
        errno = 0;
        long long value = equal ? strtoll(equal + 1, &end, 10) : 0;
        if (!equal || equal == at || end == equal + 1 || end != at + n || errno || value < 0) return cli_say(CLI_MSG_NOT_NAME_SIZE, (int)n, at);
        /* Also across several --dims: they add up. */
        for (size_t k = 0; k < o->n_dims; k++)
            if (strlen(o->dims[k].name) == (size_t)(equal - at) && !strncmp(o->dims[k].name, at, (size_t)(equal - at)))
                return cli_say(CLI_MSG_NAME_TWICE, "--dims", "dimension", o->dims[k].name);
        if (!grow(&o->dims, o->n_dims, sizeof *o->dims)) return cli_say(CLI_MSG_MEMORY);
        o->dims[o->n_dims++] = (attn_dim){copy(at, (size_t)(equal - at)), value};
        at += n + (at[n] == ',');
    }
    return CLI_FINE;
}

/* strtoull takes a minus sign and wraps: that is refused by hand. */
static int number(const char *flag, const char *word, unsigned long long most, unsigned long long *out) {
    char *end;
    errno = 0;
    *out = strtoull(word, &end, 10);
    if (*word == '-' || end == word || *end || errno || *out > most) return cli_say(CLI_MSG_NOT_A_NUMBER, flag, most, word);
    return CLI_FINE;
}

/* 'n' is --threads, 1024 at most; the other number is the seed, any 64 bits. has_seed: 0 is a seed too. */
static int take_number(cli_options *o, const cli_flag *f, const char *word) {
    /* Set also if the number is wrong: nothing runs then. */
    unsigned long long value = 0;
    int status = number(f->name, word, f->letter == 'n' ? 1024 : ~0ull, &value);
    if (f->letter == 'n') o->threads = (int)value;
    else o->seed = value, o->has_seed = true;
    return status;
}

/* Twice is a mistake: which of the two is meant would be a guess. */
static int take_text(cli_options *o, const cli_flag *f, const char *word) {
    /* One place for each letter, in the same order. Words of the command line live as long as the process, so nothing is copied. */
    const char **places[] = {&o->graph, &o->weights, &o->target, &o->after, &o->output, &o->levels, &o->tile};
    static const char letters[] = "gwtaflz";
    const char **at = places[strchr(letters, f->letter) - letters];
    if (*at) return cli_say(CLI_MSG_OPTION_TWICE, f->name);
    *at = word;
    return CLI_FINE;
}

/* 0 stands for "by type" inside, so that it cannot be asked for; NaN fails the comparison. */
static int take_real(cli_options *o, const cli_flag *f, const char *word) {
    char *end;
    o->tolerance = strtod(word, &end);
    return end > word && !*end && o->tolerance > 0 ? CLI_FINE : cli_say(CLI_MSG_NOT_POSITIVE, f->name, word);
}

/* By the kind of argument. The default is a number: take_flag has dealt with flags that have none. */
static int take(cli_options *o, const cli_flag *f, const char *word) {
    switch (f->argument) {
    case 's': return take_text(o, f, word);
    case 'n': return f->letter == 'i' ? add_file(&o->ins, &o->n_ins, word) : add_file(&o->outs, &o->n_outs, word);
    case 'd': return add_dims(o, word);
    case 'r': return take_real(o, f, word);
    default: return take_number(o, f, word);
    }
}

/* Given twice is harmless here: on is on. */
static void switch_on(cli_options *o, char letter) {
    if (letter == 'p') o->print = true;
    if (letter == 'j') o->json = true;
    if (letter == 'c') o->code = true;
    if (letter == 'k') o->no_cache = true;
    if (letter == 'e') o->embed = true;
    if (letter == 'm') o->mask = true;
}

/* Only among those that the verb accepts. */
static const cli_flag *find_flag(const cli_verb *verb, const char *word) {
    for (size_t k = 0; k < cli_n_flags; k++)
        if (!strcmp(cli_flags[k].name, word) && strchr(verb->accepts, cli_flags[k].letter)) return &cli_flags[k];
    return NULL;
}

/* One flag and its words; *k moves to the last of them. name=file flags take words until the next flag or the next word that is none. */
static int take_flag(cli_options *o, const cli_flag *f, int n, char **words, int *k) {
    if (!f->argument) return switch_on(o, f->letter), CLI_FINE;
    /* A word that begins with '-' may be the argument: file names may. */
    if (*k + 1 >= n) return cli_say(CLI_MSG_NO_ARGUMENT, f->name);
    int status = take(o, f, words[++*k]);
    /* So `--in q=q.npy k=k.npy prog.attn` ends at the program, which has no '='. */
    while (status == CLI_FINE && f->argument == 'n' && *k + 1 < n && words[*k + 1][0] != '-' && (strchr(words[*k + 1], '=') || is_archive(words[*k + 1])))
        status = take(o, f, words[++*k]);
    return status;
}

/* Is it one of the words "a|b|c"? */
static bool is_among(const char *words, const char *word) {
    const size_t n = strlen(word);
    for (const char *at = words; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        if (n && strcspn(at, "|") == n && !strncmp(at, word, n)) return true;
    return false;
}

static int take_operand(cli_options *o, const cli_verb *verb, const char *word) {
    if (o->file) return cli_say(CLI_MSG_TWO_FILES, o->file, word);
    if (verb->operand && !is_among(verb->operand, word)) return cli_say(CLI_MSG_NOT_A_WORD, verb->name, verb->operand, word);
    o->file = word;
    return CLI_FINE;
}

/* --help wins over what is missing, not over what is wrong before it. */
int cli_parse(int n, char **words, const cli_verb *verb, cli_options *o) {
    int status = CLI_FINE;
    o->verb = verb->name;
    for (int k = 0; k < n && status == CLI_FINE; k++) {
        const cli_flag *f = find_flag(verb, words[k]);
        if (!strcmp(words[k], "--help") || !strcmp(words[k], "-h")) o->help = true;
        else if (f) status = take_flag(o, f, n, words, &k);
        /* A single "-" is a file name. */
        else if (words[k][0] == '-' && words[k][1]) status = cli_say(CLI_MSG_OPTION_UNKNOWN, verb->name, words[k]);
        else status = take_operand(o, verb, words[k]);
    }
    if (status == CLI_FINE && !o->help && !o->file) status = cli_say(CLI_MSG_NO_FILE, verb->name, verb->operand ? verb->operand : "a file");
    return status;
}

void cli_options_free(cli_options *o) {
    /* Names were copied, paths were not. The casts drop a const that is there for everybody else. */
    for (size_t k = 0; k < o->n_ins; k++) free((void *)(uintptr_t)o->ins[k].name);
    for (size_t k = 0; k < o->n_outs; k++) free((void *)(uintptr_t)o->outs[k].name);
    for (size_t k = 0; k < o->n_dims; k++) free((void *)(uintptr_t)o->dims[k].name);
    free(o->ins);
    free(o->outs);
    free(o->dims);
}

/* From the library, so that the list is never out of date. */
static void help_passes(FILE *to) {
    const char *name;
    fputs("\npasses: frontend", to);
    for (size_t k = 0; (name = attn_pass_name(k)); k++) fprintf(to, " %s", name);
    fputs("\n", to);
}

/* Flags that the verb accepts, in the order of the table. */
static void help_verb(const cli_verb *verb, FILE *to) {
    fprintf(to, "attnc %s: %s\n\nusage: %s\n\n", verb->name, verb->one_line, verb->usage);
    for (size_t k = 0; k < cli_n_flags; k++)
        if (strchr(verb->accepts, cli_flags[k].letter)) fprintf(to, "  %-15s %s\n", cli_flags[k].name, cli_flag_help(verb, &cli_flags[k]));
    if (strchr(verb->accepts, 'a')) help_passes(to);
    fprintf(to, "\nexample: %s\n\nexit status: 0 fine, 1 the program, its data or the machine is wrong, 2 usage\n", verb->example);
}

/* NULL: what there is; the verbs' own texts tell the rest. */
void cli_help(const cli_verb *verb, FILE *to) {
    if (verb) {
        help_verb(verb, to);
        return;
    }
    fputs("usage: attnc VERB FILE [options]\n\n", to);
    for (size_t k = 0; k < cli_n_verbs; k++) fprintf(to, "  %-8s %s\n", cli_verbs[k].name, cli_verbs[k].one_line);
    fputs("\nattnc VERB --help tells more, with an example\n", to);
}

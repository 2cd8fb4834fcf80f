/* The catalogue: files of a folder, and the lines `#: word ...` in them that say how to feed a program. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include "diff.h"
#include "frontend.h"

static char *slurp(base_arena *arena, const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    base_text t;
    base_text_init(&t, arena);
    char block[4096];
    size_t got;
    while ((got = fread(block, 1, sizeof block, f)) > 0) base_text_put(&t, block, got);
    fclose(f);
    *n = t.n;
    return t.at;
}

static const char *word(base_arena *arena, const char **at) {
    while (**at == ' ') ++*at;
    const char *start = *at;
    while (**at && **at != ' ' && **at != '\n') ++*at;
    return base_strndup(arena, start, (size_t)(*at - start));
}

static const char *rest(base_arena *arena, const char *at) {
    while (*at == ' ') at++;
    return base_strndup(arena, at, strcspn(at, "\n"));
}

static void read_range(base_arena *arena, diff_program *p, const char *at, bool ascending) {
    diff_range r = {.name = word(arena, &at), .ascending = ascending};
    char *both = base_strdup(arena, word(arena, &at)), *dots = strstr(both, "..");
    if (!dots) {
        fprintf(stderr, "%s: range %s needs lo..hi\n", p->path, r.name);
        exit(2);
    }
    *dots = 0;
    r.lo = both;
    r.hi = dots + 2;
    BASE_PUSH(arena, &p->ranges, r);
}

static void read_line(base_arena *arena, diff_program *p, const char *at) {
    const char *what = word(arena, &at);
    if (!strcmp(what, "dims")) BASE_PUSH(arena, &p->dims, rest(arena, at));
    else if (!strcmp(what, "large")) BASE_PUSH(arena, &p->large, rest(arena, at));
    else if (!strcmp(what, "range")) read_range(arena, p, at, false);
    else if (!strcmp(what, "ascending")) read_range(arena, p, at, true);
    else if (!strcmp(what, "infinite")) BASE_PUSH(arena, &p->infinite, word(arena, &at));
    else if (!strcmp(what, "positive")) BASE_PUSH(arena, &p->positive, word(arena, &at));
    else if (!strcmp(what, "overflows")) BASE_PUSH(arena, &p->overflows, word(arena, &at));
    else if (!strcmp(what, "error")) p->error = word(arena, &at);
    else if (!strcmp(what, "refused")) p->refused = word(arena, &at);
    else if (!strcmp(what, "kernels")) p->kernels = atoi(word(arena, &at));
    else if (!strcmp(what, "nan")) p->nan = true;
    else if (!strcmp(what, "rescored")) p->rescored = true;
    else {
        fprintf(stderr, "%s: no such line: #: %s\n", p->path, what);
        exit(2);
    }
}

diff_program *diff_program_parse(base_arena *arena, const char *path, const char *text, bool attn) {
    diff_program *p = BASE_NEW(arena, diff_program);
    const char *slash = strrchr(path, '/');
    p->path = base_strdup(arena, path);
    p->name = base_strdup(arena, slash ? slash + 1 : path);
    p->text = text;
    p->attn = attn;
    p->kernels = -1;
    for (const char *at = text; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (!strncmp(at, "#:", 2)) read_line(arena, p, at + 2);
    }
    if (!p->dims.n) BASE_PUSH(arena, &p->dims, "");
    return p;
}

diff_program *diff_program_read(base_arena *arena, const char *path) {
    size_t n;
    const char *text = slurp(arena, path, &n), *dot = strrchr(path, '.');
    return text ? diff_program_parse(arena, path, text, dot && !strcmp(dot, ".attn")) : NULL;
}

static int by_name(const void *a, const void *b) {
    const diff_program *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

uint32_t diff_catalogue(base_arena *arena, const char *folder, diff_program ***out) {
    BASE_VEC(diff_program *) all = {0};
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        const char *dot = strrchr(e->d_name, '.');
        if (!dot || (strcmp(dot, ".ir") && strcmp(dot, ".attn"))) continue;
        diff_program *p = diff_program_read(arena, base_printf(arena, "%s/%s", folder, e->d_name));
        if (p) BASE_PUSH(arena, &all, p);
    }
    if (d) closedir(d);
    if (all.n) qsort(all.at, all.n, sizeof *all.at, by_name);
    *out = all.at;
    return all.n;
}

/* Programs of the catalogue import nothing but the library, which the frontend holds. */
static const char *load_nothing(void *env, base_arena *arena, const char *importer, const char *path, const char **name, size_t *n) {
    (void)env, (void)arena, (void)importer, (void)path, (void)name, (void)n;
    return NULL;
}

/* The last graph of the file, as for a host that names none. */
static ir_graph *graph_of_attn(base_arena *arena, base_diags *diags, uint32_t file) {
    fe_program *program = fe_program_create(arena, diags, file, load_nothing, NULL);
    return program && fe_n_graphs(program) ? fe_graph_lower(program, fe_n_graphs(program) - 1, arena, diags) : NULL;
}

ir_graph *diff_graph(const diff_program *p, base_arena *arena, base_diags *diags) {
    uint32_t file = base_file_add(diags, p->name, p->text, strlen(p->text));
    return p->attn ? graph_of_attn(arena, diags, file) : ir_graph_read(arena, diags, file);
}

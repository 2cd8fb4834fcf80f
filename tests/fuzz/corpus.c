/* The inputs that all others are made of, and the reports of a round. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "fuzz.h"

void fuzz_add(fuzz_corpus *c, const char *name, const char *at, size_t n) {
    BASE_PUSH(c->arena, &c->all, ((fuzz_input){base_strdup(c->arena, name), base_strndup(c->arena, at, n), n}));
}

void fuzz_add_file(fuzz_corpus *c, const char *path, const char *end) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(2);
    }
    base_text text;
    base_text_init(&text, c->arena);
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) base_text_put(&text, part, n);
    fclose(f);
    const char *stop = end ? strstr(text.at, end) : NULL;
    fuzz_add(c, path, text.at, stop ? (size_t)(stop - text.at) : text.n);
}

static int is_entry(const struct dirent *d) { return d->d_name[0] != '.'; }

void fuzz_add_folder(fuzz_corpus *c, const char *folder, const char *ending, const char *end) {
    struct dirent **entries;
    int found = scandir(folder, &entries, is_entry, alphasort);
    for (int k = 0; k < found; k++) {
        const char *path = base_printf(c->arena, "%s/%s", folder, entries[k]->d_name), *dot = strrchr(path, '.');
        struct stat st;
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) fuzz_add_folder(c, path, ending, end);
        else if (dot && strcmp(dot, ending) == 0) fuzz_add_file(c, path, end);
        free(entries[k]);
    }
    if (found >= 0) free(entries);
}

/* ---- reports */

const char *fuzz_reports(base_arena *arena, const base_diags *diags) {
    base_text out;
    base_text_init(&out, arena);
    for (const base_diag *d = diags->first; d; d = d->next) base_diag_print(diags, d, true, &out);
    return out.at;
}

bool fuzz_has_internal(const base_diags *diags) {
    for (const base_diag *d = diags->first; d; d = d->next)
        if (base_messages[d->message].class_ == BASE_CLASS_INTERNAL) return true;
    return false;
}

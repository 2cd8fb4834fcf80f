/* A program: the main file and what it imports, each read once, with their declarations by name.
 *
 * A file's own names win over imported ones, imported over built-in ones; two imports that clash are an error where the name is used.
 * Imports are not passed on: a file sees what the files that it names declare themselves. */
#include <string.h>
#include "program.h"
#include "builtin.h"

/* From here on two names are the same if their pointers are. The copy is the program's, so names do not depend on the text they were
 * read from. */
const char *fe_intern(fe_program *p, const char *text, size_t n)
{
    const char *copy = base_strndup(p->arena, text, n);
    uint32_t k;
    if (base_map_get(p->names, copy, &k)) return p->texts.at[k - 1];
    k = BASE_PUSH(p->arena, &p->texts, copy) + 1;
    base_map_put(p->names, copy, k);
    return copy;
}

/* x[..], f(..) and with v(..) never clash, so the same word may be declared once in each space. */
static fe_space space_of(const fe_decl *d)
{
    if (d->kind == FE_DECL_VARIANT) return FE_SPACE_VARIANT;
    return d->kind == FE_DECL_FN || d->kind == FE_DECL_GRAPH ? FE_SPACE_FUNCTION : FE_SPACE_VALUE;
}

/* What the file itself declares under the name; NULL: nothing. Imports are not asked. */
static fe_decl *own(const fe_module *m, fe_space space, const char *name)
{
    uint32_t k;
    return base_map_get(m->by_name[space], name, &k) ? m->decls.at[k - 1] : NULL;
}

/* Built-in functions are no declarations: who finds nothing here asks for them next. Two imports that lead to one declaration do not
 * clash, as when a file is imported twice. */
fe_decl *fe_resolve(const fe_module *m, fe_space space, const char *name, bool *clash)
{
    fe_decl *found = own(m, space, name);
    *clash = false;
    if (found) return found;
    for (uint32_t k = 0; k < m->imports.n; k++) {
        fe_decl *d = own(m->imports.at[k], space, name);
        /* All imports are asked, also after a hit: which file is named first must not matter. */
        *clash = *clash || (d && found && d != found);
        if (d) found = d;
    }
    return *clash ? NULL : found;
}

/* The first declaration of a name stands; a second is reported and otherwise ignored. Its mistake is mild: every name still means
 * something, so the graphs can be looked at. Imports have no name to declare. */
static void declare(fe_program *p, fe_module *m, uint32_t k)
{
    fe_decl *d = m->decls.at[k];
    d->module = m;
    if (d->kind == FE_DECL_IMPORT) return;
    fe_space space = space_of(d);
    const fe_decl *other = own(m, space, d->name.text);
    if (!other) {
        base_map_put(m->by_name[space], d->name.text, k + 1);
        return;
    }
    p->n_mild++;
    base_diag *diag = base_report(p->diags, BASE_MSG_DECLARED_TWICE, d->name.at, d->name.text);
    /* Either may be the one to rename. */
    base_diag_note(p->diags, diag, other->name.at, "the first '%s' is here", d->name.text);
}

static fe_module *module_load(fe_program *p, uint32_t file);

/* Files are shared by the name that the loader gives, so two that import the same third see one module. The loader must give one file
 * one name, however its path was written. */
static fe_module *module_named(const fe_program *p, const char *name)
{
    for (uint32_t k = 0; k < p->modules.n; k++)
        if (strcmp(p->modules.at[k]->name, name) == 0) return p->modules.at[k];
    return NULL;
}

/* The library is text inside of the program; it is parsed when somebody imports it, once. It imports nothing, so it closes no circle. */
static fe_module *std_load(fe_program *p)
{
    if (p->std) return p->std;
    uint32_t file = base_file_add(p->diags, "std", fe_std_text, fe_std_n);
    p->std = module_load(p, file);
    return p->std;
}

/* A module that is still loading is one that this import would close a circle to. The limit of modules also bounds the recursion,
 * since each level of imports is a module of its own. NULL: reported. */
static fe_module *import_path(fe_program *p, const fe_module *importer, const fe_decl *d)
{
    const char *name = NULL, *text = NULL;
    size_t n = 0;
    if (p->load) text = p->load(p->env, p->arena, importer->name, d->path, &name, &n);
    /* Without a loader no file can be imported, the library can. */
    if (!text || !name) {
        base_report(p->diags, BASE_MSG_IMPORT_MISSING, d->name.at, d->path);
        return NULL;
    }
    fe_module *m = module_named(p, name);
    if (m && m->loading) {
        base_report(p->diags, BASE_MSG_IMPORT_CYCLE, d->name.at, name);
        return NULL;
    }
    /* Read before, by this file or another. */
    if (m) return m;
    if (p->modules.n == FE_MAX_MODULES) {
        base_report(p->diags, BASE_MSG_TOO_MANY_FILES, d->name.at, (int)FE_MAX_MODULES);
        return NULL;
    }
    return module_load(p, base_file_add(p->diags, name, text, n));
}

/* `import word` is for the library alone, `import "path"` for files. */
static fe_module *import_of(fe_program *p, const fe_module *importer, const fe_decl *d)
{
    if (d->path) return import_path(p, importer, d);
    if (strcmp(d->name.text, "std") == 0) return std_load(p);
    base_diag *diag = base_report(p->diags, BASE_MSG_IMPORT_MISSING, d->name.at, d->name.text);
    diag->hint = "the library is called std; a file is imported by its path: import \"file.attn\"";
    return NULL;
}

/* Declarations first, imports after: an import that fails must not hide what the file declares itself. The module is in the list
 * before its imports are read, so that a circle back to it is found. The first one loaded is the main file. */
static fe_module *module_load(fe_program *p, uint32_t file)
{
    fe_module *m = fe_parse(p, file);
    BASE_PUSH(p->arena, &p->modules, m);
    if (!p->main) p->main = m;
    for (int k = 0; k < FE_N_SPACES; k++) m->by_name[k] = base_map_create(p->arena);
    for (uint32_t k = 0; k < m->decls.n; k++) declare(p, m, k);
    /* From here to the end of its imports this file is on the path that a circle would have to close. */
    m->loading = true;
    for (uint32_t k = 0; k < m->decls.n; k++) {
        if (m->decls.at[k]->kind != FE_DECL_IMPORT) continue;
        fe_module *other = import_of(p, m, m->decls.at[k]);
        if (other) BASE_PUSH(p->arena, &m->imports, other);
    }
    m->loading = false;
    return m;
}

/* A graph must not look like a function to its callers: f(x) would be one thing in this file and another where the name is built in or
 * imported. Graphs that are imported under the same name are left to fe_resolve. */
static void check_graph_name(fe_program *p, const fe_decl *d)
{
    bool taken = fe_builtin_of(d->name.text) != FE_BUILTIN_NONE;
    for (uint32_t k = 0; !taken && k < d->module->imports.n; k++) {
        const fe_decl *other = own(d->module->imports.at[k], FE_SPACE_FUNCTION, d->name.text);
        taken = other && other->kind == FE_DECL_FN;
    }
    if (!taken) return;
    p->n_mild++;
    base_report(p->diags, BASE_MSG_GRAPH_LIKE_FUNCTION, d->name.at, d->name.text);
}

/* Index formals and value formals share one list of names: both are plain names in the body. Each name is compared with those before
 * it and reported once. Not mild: a body would have two meanings. */
static void check_formals(fe_program *p, const fe_formals *f)
{
    uint32_t n = f->indices->n + f->values->n;
    for (uint32_t k = 1; k < n; k++) {
        const fe_name *name = k < f->indices->n ? &f->indices->at[k] : &f->values->at[k - f->indices->n];
        for (uint32_t i = 0; i < k; i++) {
            const fe_name *other = i < f->indices->n ? &f->indices->at[i] : &f->values->at[i - f->indices->n];
            if (other->text != name->text) continue;
            base_report(p->diags, BASE_MSG_DECLARED_TWICE, name->at, name->text);
            break;
        }
    }
}

/* Within inputs or within outputs. The two may share a name: an output is then what the input's name is at the end. */
static void check_fields(fe_program *p, const fe_fields *fields)
{
    for (uint32_t k = 1; k < fields->n; k++)
        for (uint32_t i = 0; i < k; i++) {
            if (fields->at[i].name.text != fields->at[k].name.text) continue;
            base_report(p->diags, BASE_MSG_DECLARED_TWICE, fields->at[k].name.at, fields->at[k].name.text);
            break;
        }
}

/* What needs no types and no values. Names of statements are not looked at: they may be defined again and again. */
static void check_decl(fe_program *p, const fe_decl *d)
{
    if (d->kind == FE_DECL_FN) check_formals(p, d->fn.formals);
    if (d->kind == FE_DECL_VARIANT) check_formals(p, d->variant.formals);
    if (d->kind != FE_DECL_GRAPH) return;
    check_graph_name(p, d);
    check_fields(p, d->graph.inputs);
    check_fields(p, d->graph.outputs);
}

/* Stops where text or imports are wrong: what follows would be reports about what could not be read. Mild mistakes do not stop it, so
 * the errors that were added are compared with those. Graphs of imported files are not graphs of this program: they can only be
 * called. */
fe_program *fe_program_create(base_arena *arena, base_diags *diags, uint32_t file, fe_load *load, void *env)
{
    fe_program *p = BASE_NEW(arena, fe_program);
    *p = (fe_program){.arena = arena, .diags = diags, .load = load, .env = env, .names = base_map_create(arena)};
    /* Words that the lowering compares names with, as pointers. */
    p->word_s = fe_intern(p, "s", 1);
    p->word_w = fe_intern(p, "w", 1);
    p->word_lse = fe_intern(p, "lse", 3);
    uint32_t before = diags->n_errors;
    fe_module *m = module_load(p, file);
    /* Every file is checked, also imported ones; only when all are loaded, since check_graph_name asks a file's imports. */
    for (uint32_t i = 0; i < p->modules.n; i++)
        for (uint32_t k = 0; k < p->modules.at[i]->decls.n; k++) check_decl(p, p->modules.at[i]->decls.at[k]);
    for (uint32_t k = 0; k < m->decls.n; k++)
        if (m->decls.at[k]->kind == FE_DECL_GRAPH) BASE_PUSH(arena, &p->graphs, m->decls.at[k]);
    return diags->n_errors - before == p->n_mild ? p : NULL;
}

uint32_t fe_n_graphs(const fe_program *p) { return p->graphs.n; }
const char *fe_graph_name(const fe_program *p, uint32_t k) { return p->graphs.at[k]->name.text; }
uint32_t fe_n_tries(const fe_program *p) { return p->tries.n; }
const char *fe_try_text(const fe_program *p, uint32_t k) { return p->tries.at[k]; }

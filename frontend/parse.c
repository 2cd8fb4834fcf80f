/* Text to declarations: runs scanner and parser over one file, then gives each declaration the ## lines that stand before it and
 * collects the `## try:` lines. Text that is not UTF-8 is reported once, by the first wrong byte, and read on as far as it goes. */
#include <string.h>
#include "program.h"
#include "scan.h"

/* Bytes of the UTF-8 sequence at `at`, 0 if it is none (overlong, surrogate, cut off, beyond U+10FFFF). `left` is at least 1. The
 * second bytes are compared only after all of them are known to be there. */
static size_t sequence_size(const unsigned char *at, size_t left)
{
    if (at[0] < 0x80) return 1;
    size_t n = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || n > left) return 0;
    for (size_t k = 1; k < n; k++)
        if ((at[k] & 0xc0) != 0x80) return 0;
    bool overlong = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90);
    bool outside = (at[0] == 0xed && at[1] > 0x9f) || (at[0] == 0xf4 && at[1] > 0x8f);
    return overlong || outside ? 0 : n;
}

/* The scanner works on bytes and meets wrong ones in comments and strings without noticing, so the text is looked through first. Only
 * the first is told: a file in another encoding would have hundreds. */
static void check_utf8(fe_scan *s, size_t n)
{
    const unsigned char *text = (const unsigned char *)s->text;
    for (size_t k = 0, step; k < n; k += step) {
        step = sequence_size(text + k, n - k);
        if (step) continue;
        base_report(s->diags, BASE_MSG_NOT_UTF8, (base_span){s->file, (uint32_t)k, (uint32_t)k + 1});
        return;
    }
}

/* The words behind "## try:", or NULL if the line is another. */
static const char *try_of(fe_program *p, const fe_scan *s, fe_doc_line line)
{
    static const char word[] = "try:";
    const char *at = s->text + line.start, *end = s->text + line.end;
    while (at < end && *at == ' ') at++;
    if ((size_t)(end - at) < sizeof word - 1 || memcmp(at, word, sizeof word - 1) != 0) return NULL;
    at += sizeof word - 1;
    while (at < end && *at == ' ') at++;
    /* Files with CR LF end their lines with a CR, which the scanner leaves in the text. */
    while (end > at && (end[-1] == ' ' || end[-1] == '\r' || end[-1] == '\t')) end--;
    return base_strndup(p->arena, at, (size_t)(end - at));
}

/* One blank behind ## is no part of the text; further ones are: formulas are indented. */
static void doc_append(fe_scan *s, base_text *doc, fe_doc_line line)
{
    const char *at = s->text + line.start, *end = s->text + line.end;
    if (at < end && *at == ' ') at++;
    while (end > at && (end[-1] == ' ' || end[-1] == '\r')) end--;
    if (doc->n) base_text_put(doc, "\n", 1);
    base_text_put(doc, at, (size_t)(end - at));
}

/* ## lines between two declarations belong to the second. Both lists are in the order of the text, so one pass does; lines inside of a
 * declaration are nobody's, and `## try:` is no part of a doc. */
static void docs_attach(fe_program *p, fe_scan *s)
{
    uint32_t next = 0;
    for (uint32_t k = 0; k < s->decls.n; k++) {
        fe_decl *d = s->decls.at[k];
        base_text doc;
        base_text_init(&doc, s->arena);
        for (; next < s->docs.n && s->docs.at[next].start < d->at.start; next++)
            if (!try_of(p, s, s->docs.at[next])) doc_append(s, &doc, s->docs.at[next]);
        if (doc.n) d->doc = doc.at;
        while (next < s->docs.n && s->docs.at[next].start < d->at.end) next++;
    }
}

/* Only the main file says how it is tried: what is imported is not run. */
static void tries_collect(fe_program *p, const fe_scan *s)
{
    for (uint32_t k = 0; k < s->docs.n; k++) {
        const char *text = try_of(p, s, s->docs.at[k]);
        if (text) BASE_PUSH(p->arena, &p->tries, text);
    }
}

/* Gives a module in any case, with what could be read; whether that is enough is told by the errors counted in `diags`. Names are
 * declared and imports followed by the caller. */
fe_module *fe_parse(fe_program *p, uint32_t file)
{
    const base_file *f = &p->diags->files.at[file];
    fe_scan s = {.arena = p->arena, .diags = p->diags, .program = p, .file = file, .text = f->text};
    fe_module *m = BASE_NEW(p->arena, fe_module);
    m->name = f->name;
    m->file = file;
    /* Spans count bytes in 32 bits, and flex wants two zeros behind the text. */
    if (f->n > UINT32_MAX - 2) {
        base_report(s.diags, BASE_MSG_TOO_LARGE, (base_span){file, 0, 0});
        return m;
    }
    check_utf8(&s, f->n);
    /* Flex writes into the buffer it scans, so it gets a copy; base_alloc has zeroed its end. */
    char *buffer = base_alloc(p->arena, f->n + 2);
    if (f->n) memcpy(buffer, f->text, f->n);
    yyscan_t scanner;
    fe_lex_init_extra(&s, &scanner);
    fe_lex_open(scanner, buffer, f->n);
    fe_yyparse(scanner, &s);
    fe_lex_destroy(scanner);
    docs_attach(p, &s);
    /* p->main is set once its file has been parsed, so this is the main file. */
    if (!p->main) tries_collect(p, &s);
    m->decls = s.decls;
    return m;
}

/* Diagnostics: a list of what is wrong, each with its place, and their text for people:
 *
 *   a.attn:3:12: error E0214: 'b' runs over B in x and B+1 in ptr
 *      3 | y[b] = x[b] + ptr[b]
 *        |               ^^^^^^
 *   expected: ...   found: ...   hint: ...
 *
 * Columns count code points. The caret line copies tabs from the source line, so it stands right whatever a tab's width is.
 * A line wider than the window is cut around the span.
 */
#include <string.h>
#include "base.h"

/* By base_message. Row 0 is no message, so that an id of 0 is never mistaken for a real one. */
const base_message_info base_messages[BASE_N_MESSAGES] = {
    {"E0000", "", BASE_CLASS_INTERNAL},
#define MSG(id, code, class_, text) {code, text, BASE_CLASS_##class_},
#include "messages.def"
};

enum { WINDOW = 120, LEAD = 60 };      /* code points of a source line that are shown; those before the span if it is cut */

/* File 0 is taken by an empty one: a span of file 0 has no place. */
base_diags *base_diags_create(base_arena *arena) {
    base_diags *diags = BASE_NEW(arena, base_diags);
    diags->arena = arena;
    diags->last = &diags->first;
    BASE_PUSH(arena, &diags->files, ((base_file){"", "", 0}));
    return diags;
}

/* Both are copied, so diagnostics outlive the buffers of whoever read the file. */
uint32_t base_file_add(base_diags *diags, const char *name, const char *text, size_t n) {
    base_file file = {base_strdup(diags->arena, name), base_strndup(diags->arena, text, n), n};
    return BASE_PUSH(diags->arena, &diags->files, file);
}

/* `last` points at the link to fill, so the list keeps the order of reports. A row whose code starts with W is a
 * warning. */
base_diag *base_report_list(base_diags *diags, base_message message, base_span span, va_list list) {
    base_diag *diag = BASE_NEW(diags->arena, base_diag);
    diag->text = base_vprintf(diags->arena, base_messages[message].text, list);
    diag->message = message;
    diag->severity = base_messages[message].code[0] == 'W' ? BASE_WARNING : BASE_ERROR;
    diag->span = span;
    *diags->last = diag;
    diags->last = &diag->next;
    *(diag->severity == BASE_ERROR ? &diags->n_errors : &diags->n_warnings) += 1;
    return diag;
}

base_diag *base_report(base_diags *diags, base_message message, base_span span, ...) {
    va_list list;
    va_start(list, span);
    base_diag *diag = base_report_list(diags, message, span, list);
    va_end(list);
    return diag;
}

/* Appended at the end: notes tell a chain of calls in its order. They are few, so the end is searched for. */
void base_diag_note(base_diags *diags, base_diag *diag, base_span span, const char *format, ...) {
    base_note *note = BASE_NEW(diags->arena, base_note);
    va_list list;
    va_start(list, format);
    note->text = base_vprintf(diags->arena, format, list);
    va_end(list);
    note->span = span;
    base_note **last = &diag->notes;
    while (*last) last = &(*last)->next;
    *last = note;
}

/* ---- places in a text */

/* True for the first byte of a character in UTF-8: the bytes that go on have 10 as their upper bits. */
static bool is_code_point(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

static uint32_t code_points(const char *from, const char *to) {
    uint32_t n = 0;
    for (; from < to; from++) n += is_code_point(*from);
    return n;
}

static const char *line_start(const base_file *file, const char *at) {
    while (at > file->text && at[-1] != '\n') at--;
    return at;
}

/* \r ends a line too, so that files of other systems print as they look. */
static const char *line_end(const base_file *file, const char *at) {
    while (at < file->text + file->n && *at != '\n' && *at != '\r') at++;
    return at;
}

/* A span may end one byte behind the text; anything further is cut, never read. */
static const char *place(const base_file *file, uint32_t offset) { return file->text + (offset < file->n ? offset : file->n); }

/* Counted from the start of the file each time: no index of lines is kept for the few positions that are ever asked for. */
void base_position(const base_file *file, uint32_t offset, uint32_t *line, uint32_t *column) {
    const char *at = place(file, offset);
    *line = 1;
    for (const char *p = file->text; p < at; p++) *line += *p == '\n';
    *column = 1 + code_points(line_start(file, at), at);
}

/* ---- printing */

/* Escape sequences around parts of a message; all empty where no colours are wanted. */
typedef struct { const char *error, *warning, *remark, *note, *caret, *bold, *off; } palette;
static const palette plain = {"", "", "", "", "", "", ""};
static const palette coloured = {"\033[1;31m", "\033[1;35m", "\033[1;36m", "\033[1;36m", "\033[1;32m", "\033[1m", "\033[0m"};

typedef struct { const base_diags *diags; const palette *colours; base_text *out; } printer;

/* NULL for a span without a place, and for a number that no file has. */
static const base_file *file_of(const base_diags *diags, base_span span) {
    return span.file && span.file < diags->files.n ? &diags->files.at[span.file] : NULL;
}

/* n characters on, or to the end; never into the middle of one, so that a cut line stays valid UTF-8. */
static const char *forward(const char *at, const char *end, uint32_t n) {
    while (at < end && n) {
        at++;
        while (at < end && !is_code_point(*at)) at++;
        n--;
    }
    return at;
}

static const char *backward(const char *at, const char *start, uint32_t n) {
    while (at > start && n) {
        at--;
        while (at > start && !is_code_point(*at)) at--;
        n--;
    }
    return at;
}

/* Bytes of the source that a terminal would obey are shown as a question mark. */
static void put_source(base_text *out, const char *from, const char *to) {
    for (; from < to; from++) {
        bool control = ((unsigned char)*from < 0x20 && *from != '\t') || *from == 0x7f;
        base_text_put(out, control ? "?" : from, 1);
    }
}

/* Below the source line: a tab stays a tab, a character of several bytes is one blank. */
static void put_blank(base_text *out, const char *from, const char *to) {
    for (; from < to; from++)
        if (*from == '\t') base_text_put(out, "\t", 1);
        else if (is_code_point(*from)) base_text_put(out, " ", 1);
}

/* One caret at least: an empty span still has a place. */
static void print_caret(const printer *p, const char *from, const char *to) {
    uint32_t n = code_points(from, to);
    base_text_put(p->out, p->colours->caret, strlen(p->colours->caret));
    for (uint32_t k = 0; k < (n ? n : 1); k++) base_text_put(p->out, "^", 1);
    base_text_add(p->out, "%s\n", p->colours->off);
}

/* The line on which the span starts, and a caret under the part of the span that stands on it. */
static void print_source(const printer *p, base_span span) {
    const base_file *file = file_of(p->diags, span);
    if (!file) return;
    const char *from = place(file, span.start), *to = place(file, span.end);
    const char *start = line_start(file, from), *end = line_end(file, from);
    uint32_t line, column;
    base_position(file, span.start, &line, &column);
    /* A long line is shown from some characters before the span, a short one whole. */
    const char *shown = code_points(start, end) > WINDOW ? backward(from, start, LEAD) : start;
    const char *stop = forward(shown, end, WINDOW);
    /* The caret line ends with what is shown, also where the span goes on over several lines. */
    if (to > stop) to = stop;
    const char *cut = shown > start ? "..." : "";
    base_text_add(p->out, "%5u | %s", line, cut);
    put_source(p->out, shown, stop);
    /* Blanks as wide as the dots at the head of the source line, so that the carets stay below the span. */
    base_text_add(p->out, "%s\n      | %*s", stop < end ? "..." : "", (int)strlen(cut), "");
    put_blank(p->out, shown, from);
    print_caret(p, from, to > from ? to : from);
}

static void print_place(const printer *p, base_span span) {
    const base_file *file = file_of(p->diags, span);
    if (!file) return;
    uint32_t line, column;
    base_position(file, span.start, &line, &column);
    base_text_add(p->out, "%s%s:%u:%u:%s ", p->colours->bold, file->name, line, column, p->colours->off);
}

/* One line of detail, or none where the reporter had nothing to say. */
static void print_words(const printer *p, const char *label, const char *text) {
    if (text) base_text_add(p->out, "  %s%s:%s %s\n", p->colours->bold, label, p->colours->off, text);
}

static void print_notes(const printer *p, const base_note *note) {
    for (; note; note = note->next) {
        print_place(p, note->span);
        base_text_add(p->out, "%snote:%s %s\n", p->colours->note, p->colours->off, note->text);
        print_source(p, note->span);
    }
}

void base_diag_print(const base_diags *diags, const base_diag *diag, bool colour, base_text *out) {
    printer p = {diags, colour ? &coloured : &plain, out};
    const char *const words[] = {"error", "warning", "remark"};
    const char *const paints[] = {p.colours->error, p.colours->warning, p.colours->remark};
    print_place(&p, diag->span);
    base_text_add(out, "%s%s %s:%s %s\n", paints[diag->severity], words[diag->severity], base_messages[diag->message].code, p.colours->off,
                  diag->text);
    print_source(&p, diag->span);
    print_words(&p, "expected", diag->expected);
    print_words(&p, "found", diag->found);
    print_words(&p, "hint", diag->hint);
    print_notes(&p, diag->notes);
}

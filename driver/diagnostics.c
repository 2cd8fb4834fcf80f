/* Diagnostics as the host sees them: copied out of the call that reported them, with their text for people made at once, since the source
 * they point into may be gone later.
 */
#include <string.h>
#include "api.h"

/* info: for programs; plain and coloured: as it is printed. All texts in the arena of the list. */
typedef struct { attn_diagnostic info; const char *plain, *coloured; } item;
struct attn_diagnostics {
    base_arena *arena;
    base_allocator allocator;
    BASE_VEC(item) items;
    bool no_memory;                          /* the message for which room need never be found: it is the last */
};

/* Constants, so that saying it takes no memory. The code is that of the table's message. */
static const attn_diagnostic no_memory = {sizeof(attn_diagnostic), "E0801", ATTN_ERROR, "out of memory", NULL, 0, 0, NULL, NULL, NULL};
static const char no_memory_text[] = "error E0801: out of memory\n";

/* The list has an allocator of its own: it must be able to say that the context's has run out. */
static attn_status create(api_call *call, void *args) {
    attn_diagnostics **out = args;
    base_arena *arena = api_keep(call);
    attn_diagnostics *d = BASE_NEW(arena, attn_diagnostics);
    *d = (attn_diagnostics){.arena = arena, .allocator = call->allocator};
    *out = d;
    return ATTN_OK;
}

attn_status attn_diagnostics_create(const attn_allocator *allocator, attn_diagnostics **out) {
    base_allocator a = {0};
    if (!out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    /* No list to report into: this call is the one that makes it. */
    if (!api_allocator(allocator, &a)) return ATTN_ERROR_ARGUMENT;
    return api_run(&a, NULL, create, out);
}

void attn_diagnostics_destroy(attn_diagnostics *diagnostics) {
    if (diagnostics) base_arena_destroy(diagnostics->arena);
}

/* The list stays in its arena, which only grows: lists are short, and cleared between calls at most. */
void attn_diagnostics_clear(attn_diagnostics *diagnostics) {
    if (!diagnostics) return;
    diagnostics->items.n = 0;
    diagnostics->no_memory = false;
}

size_t attn_diagnostics_count(const attn_diagnostics *diagnostics) { return diagnostics ? diagnostics->items.n + diagnostics->no_memory : 0; }

/* "out of memory" comes behind all others, whenever it happened. */
attn_status attn_diagnostics_get(const attn_diagnostics *diagnostics, size_t k, attn_diagnostic *out) {
    if (!diagnostics || !out || k >= attn_diagnostics_count(diagnostics)) return ATTN_ERROR_ARGUMENT;
    const attn_diagnostic *info = k < diagnostics->items.n ? &diagnostics->items.at[k].info : &no_memory;
    return api_fill(out, info, sizeof *info, API_UP_TO(attn_diagnostic, hint)) ? ATTN_OK : ATTN_ERROR_ARGUMENT;
}

/* Never NULL, so that it can be printed without a look. */
const char *attn_diagnostics_render(const attn_diagnostics *diagnostics, size_t k, bool colour) {
    if (k >= attn_diagnostics_count(diagnostics)) return "";
    if (k >= diagnostics->items.n) return no_memory_text;
    return colour ? diagnostics->items.at[k].coloured : diagnostics->items.at[k].plain;
}

void api_add_no_memory(attn_diagnostics *out) {
    if (out) out->no_memory = true;
}

/* ---- copies */

static const char *copy(base_arena *arena, const char *text) { return text ? base_strdup(arena, text) : NULL; }

/* Both forms are made when the message arrives; making them when they are asked for could fail, and that function has no status. */
static const char *render(base_arena *arena, const base_diags *from, const base_diag *d, bool colour) {
    base_text text;
    base_text_init(&text, arena);
    base_diag_print(from, d, colour, &text);
    return text.at;
}

static attn_diagnostic info_of(base_arena *arena, const base_diags *from, const base_diag *d) {
    /* By name, so that the order of the two enums need not agree. */
    static const attn_severity severity[] = {[BASE_ERROR] = ATTN_ERROR, [BASE_WARNING] = ATTN_WARNING, [BASE_REMARK] = ATTN_REMARK};
    attn_diagnostic info = {.struct_size = sizeof info, .code = base_messages[d->message].code, .severity = severity[d->severity]};
    info.message = copy(arena, d->text);
    info.expected = copy(arena, d->expected);
    info.found = copy(arena, d->found);
    info.hint = copy(arena, d->hint);
    /* Without a place file is NULL and line 0. */
    if (d->span.file && d->span.file < from->files.n) {
        const base_file *f = &from->files.at[d->span.file];
        info.file = copy(arena, f->name);
        base_position(f, d->span.start, &info.line, &info.column);
    }
    return info;
}

/* The list's arena jumps to the call's recovery point: a message that found no room is replaced by "out of memory", those before it stay. */
void api_transfer(attn_diagnostics *out, const base_diags *from, jmp_buf *on_failure) {
    if (!out) return;
    base_arena_recover(out->arena, on_failure);
    for (const base_diag *d = from->first; d; d = d->next) {
        /* Complete before it is counted: a jump in the middle leaves no half message. */
        item i = {info_of(out->arena, from, d), render(out->arena, from, d, false), render(out->arena, from, d, true)};
        BASE_PUSH(out->arena, &out->items, i);
    }
}

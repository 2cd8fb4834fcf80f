/* Messages of the lowering. Inside functions and variants a message shows the chain of calls. The same message at the same place is
 * given once, however often a function is expanded. */
#include "lower.h"

/* Errors of one run, after which one message says that there are more; calls shown with one message, counted from the innermost. */
enum { MAX_ERRORS = 100, MAX_NOTES = 8 };

/* Spans of the tree count in the program's files; those of a report in the files of its own call. */
base_span fe_at(const fe_lower *l, base_span at)
{
    if (at.file && l->file_map) at.file = l->file_map[at.file];
    return at;
}

/* A body that is expanded twice would say the same twice, at the same place. A message and its place are the key, words are not: the
 * first expansion speaks for all. MAX_ERRORS keeps the list short enough to be walked. */
static bool first_time(const fe_lower *l, base_message message, base_span at)
{
    for (const base_diag *d = l->diags->first; d; d = d->next)
        if (d->message == message && d->span.file == at.file && d->span.start == at.start && d->span.end == at.end) return false;
    return true;
}

/* From the innermost call outwards, then the graphs around. */
static void note_calls(fe_lower *l, const fe_env *env, base_diag *diag)
{
    uint32_t n = 0;
    for (const fe_chain *c = env ? env->calls : NULL; c; c = c->next, n++)
        if (n < MAX_NOTES) base_diag_note(l->diags, diag, fe_at(l, c->at), "in the call of '%s' here", c->name);
    if (n > MAX_NOTES) base_diag_note(l->diags, diag, (base_span){0, 0, 0}, "and %u more calls around that one", n - MAX_NOTES);
    for (const fe_frame *f = env ? env->frame : NULL; f && f->caller; f = f->caller)
        base_diag_note(l->diags, diag, (base_span){0, 0, 0}, "in graph '%s', called from '%s'", f->decl->name.text, f->caller->decl->name.text);
}

/* Counts as a failure even if it is not said again: what depends on it must be poison. */
base_diag *fe_report(fe_lower *l, const fe_env *env, base_message message, base_span at, ...)
{
    l->failures++;
    if (l->diags->n_errors >= MAX_ERRORS) message = BASE_MSG_TOO_MANY_ERRORS, at = (base_span){0, 0, 0};
    if (!first_time(l, message, fe_at(l, at))) return NULL;
    /* It has no place, hence no calls to show, and first_time lets it through once. */
    if (message == BASE_MSG_TOO_MANY_ERRORS) return base_report(l->diags, message, at), NULL;
    va_list list;
    va_start(list, at);
    base_diag *diag = base_report_list(l->diags, message, fe_at(l, at), list);
    va_end(list);
    note_calls(l, env, diag);
    return diag;
}

/* One message for all that later versions have; it names the construct. */
base_diag *fe_not_yet(fe_lower *l, const fe_env *env, base_span at, const char *construct)
{
    return fe_report(l, env, BASE_MSG_NOT_YET, at, construct);
}

/* The parts of a message beside its text; a report that was not the first has none. Strings are kept, not copied: literals or text in
 * the arena. */
void fe_expected(base_diag *diag, const char *expected, const char *found, const char *hint)
{
    if (!diag) return;
    diag->expected = expected;
    diag->found = found;
    diag->hint = hint;
}

/* Dimensions are shown as the IR prints them, which is how they are written. */
const char *fe_expr_text(fe_lower *l, ir_expr e)
{
    base_text text;
    base_text_init(&text, l->arena);
    ir_expr_print(l->u, e, &text);
    return text.at ? text.at : "";
}

/* '?' stands for an extent that is poison. */
const char *fe_shape_text(fe_lower *l, const ir_expr *dim, uint32_t n)
{
    base_text text;
    base_text_init(&text, l->arena);
    base_text_add(&text, "[");
    for (uint32_t k = 0; k < n; k++) base_text_add(&text, "%s%s", k ? "," : "", dim[k] ? fe_expr_text(l, dim[k]) : "?");
    base_text_add(&text, "]");
    return text.at;
}

/* With its article, as it stands in a sentence; `nothing` is the sort of poison. */
const char *fe_sort_text(ir_sort sort)
{
    return sort == IR_SORT_INT ? "an integer" : sort == IR_SORT_REAL ? "a real" : sort == IR_SORT_BOOL ? "a truth value" : "nothing";
}

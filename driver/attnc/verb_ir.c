/* ir: what the compiler has after a pass, or the text that it hands to the target's own compiler. */
#include "attnc.h"

/* Nothing runs and no input is needed, so that a target may be named which this machine does not have. */
int verb_ir(cli_session *s) {
    char *text = NULL;
    int status = cli_load(s);
    if (status != CLI_FINE) return status;
    if (s->options->code && s->options->after) return cli_say(CLI_MSG_EXCLUDE, "--after", "--code");
    const char *target = s->options->target ? s->options->target : "cpu";
    attn_status made = s->options->code ? attn_program_emit(s->context, s->program, s->graph, target, s->diagnostics, &text)
                                        : attn_program_dump(s->context, s->program, s->graph, target, s->options->after, s->diagnostics, &text);
    /* Warnings are shown also if there is a text; without one there is an error among them. */
    status = cli_failed(s, made);
    if (text) fputs(text, stdout);
    attn_text_destroy(s->context, text);
    return status;
}

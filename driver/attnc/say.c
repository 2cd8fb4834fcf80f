/* What attnc itself has to say, in the form of the library's messages. The library's own go through cli_failed. */
#include <stdarg.h>
#include "attnc.h"

/* By cli_message, which is expanded from the same file. status: the exit status that a message of this kind means. */
static const struct { const char *code, *text; int status; } messages[] = {
#define CLI_MSG(id, code, status, text) {code, text, CLI_##status},
#include "messages.def"
};

/* Bold red as in the library's own messages, so that the two look alike. */
int cli_say(cli_message m, ...) {
    const char *bold = cli_colour(stderr) ? "\033[1;31m" : "", *off = *bold ? "\033[0m" : "";
    va_list list;
    va_start(list, m);
    /* Progress is wiped and results go out first, so that lines on a terminal come in the order of what happened. */
    cli_progress(NULL);
    fflush(stdout);
    fprintf(stderr, "%serror %s:%s ", bold, messages[m].code, off);
    vfprintf(stderr, messages[m].text, list);
    fputs("\n", stderr);
    va_end(list);
    return messages[m].status;
}

/* The same line that the library's messages have; callers list names one by one and need no buffer. */
void cli_say_expected(const char *name, bool first) {
    if (!name) fputs(first ? "  expected: none, there are none\n" : "\n", stderr);
    else fprintf(stderr, "%s%s", first ? "  expected: " : ", ", name);
}

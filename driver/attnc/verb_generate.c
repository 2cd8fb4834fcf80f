/* generate: what a package installs beside the program, made from the tables that --help is made from. */
#include <string.h>
#include "attnc.h"

int verb_generate(cli_session *s) {
    if (!strcmp(s->options->file, "man")) cli_manual(stdout);
    else cli_completion(s->options->file, stdout);
    return CLI_FINE;
}

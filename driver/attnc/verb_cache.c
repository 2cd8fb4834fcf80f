/* cache: compiled code that is kept: what there is, whether it is sound, away with it. */
#include <jansson.h>
#include <string.h>
#include <time.h>
#include "attnc.h"

typedef struct { json_t *out; bool all; int64_t n, bytes, damaged; } listing;    /* out: NULL, or an array; all: sound entries are shown too */

/* UTC, since entries of a shared folder may come from machines elsewhere. */
static void time_text(int64_t seconds, char *text, size_t n) {
    const time_t t = (time_t)seconds;
    struct tm parts;
    if (!gmtime_r(&t, &parts) || !strftime(text, n, "%Y-%m-%d %H:%M", &parts)) snprintf(text, n, "?");
}

static void show_json(const listing *l, const attn_cache_entry *e) {
    json_t *o = json_object();
    json_object_set_new(o, "file", json_string(e->file));
    json_object_set_new(o, "kernel", e->kernel ? json_string(e->kernel) : json_null());
    json_object_set_new(o, "target", e->target ? json_string(e->target) : json_null());
    json_object_set_new(o, "bytes", json_integer(e->bytes));
    json_object_set_new(o, "used", json_integer(e->used));
    json_object_set_new(o, "damage", e->damage ? json_string(e->damage) : json_null());
    json_array_append_new(l->out, o);
}

static void show(void *self, const attn_cache_entry *e) {
    listing *l = self;
    char used[32];
    l->n++;
    l->bytes += e->bytes;
    l->damaged += e->damage != NULL;
    if (!l->all && !e->damage) return;
    if (l->out) {
        show_json(l, e);
        return;
    }
    time_text(e->used, used, sizeof used);
    if (e->damage) printf("%s  %8lld bytes  %s  damaged: %s\n", used, (long long)e->bytes, e->file, e->damage);
    else printf("%s  %8lld bytes  %s  (%s)\n", used, (long long)e->bytes, e->kernel, e->target);
}

/* verify shows what is damaged alone, and ends with 1 if anything is. */
static int list(cli_session *s, bool all) {
    listing l = {s->options->json ? json_array() : NULL, all, 0, 0, 0};
    int status = cli_failed(s, attn_cache_list(s->context, show, &l, s->diagnostics));
    if (status == CLI_FINE && l.out) {
        json_dumpf(l.out, stdout, JSON_INDENT(1));
        printf("\n");
    } else if (status == CLI_FINE) {
        printf("%lld kernel%s, %lld bytes, %lld damaged, in %s\n", (long long)l.n, l.n == 1 ? "" : "s", (long long)l.bytes, (long long)l.damaged, s->cache);
    }
    json_decref(l.out);
    return status == CLI_FINE && !all && l.damaged ? CLI_WRONG : status;
}

static int clear(cli_session *s) {
    int64_t n, bytes;
    int status = cli_failed(s, attn_cache_clear(s->context, &n, &bytes, s->diagnostics));
    if (status == CLI_FINE && s->options->json) printf("{\"removed\": %lld, \"bytes\": %lld}\n", (long long)n, (long long)bytes);
    else if (status == CLI_FINE) printf("removed %lld kernel%s, %lld bytes, from %s\n", (long long)n, n == 1 ? "" : "s", (long long)bytes, s->cache);
    return status;
}

int verb_cache(cli_session *s) {
    if (!s->cache) return cli_say(CLI_MSG_NO_CACHE);
    if (!strcmp(s->options->file, "clear")) return clear(s);
    return list(s, !strcmp(s->options->file, "list"));
}

/* Programs by chance: an attention put together from a score, lines, masks, weights, adjustments, values and what follows, over layouts, axes, ranges
 * and types, with sizes that divide nothing. Any combination is a program of the language, so a failure is a failure of the compiler, or of
 * what a part allows itself; and since the first option of a part is the plainest, a failing program is made smaller by taking first
 * options for as long as it fails. */
#include <ctype.h>
#include <string.h>
#include "random.h"

static const char *const *const parts[] = {
#define PART(id) (const char *const[]){
#define OPTION(text) text,
#define END NULL },
#include "random.def"
};

static const struct { const char *name, *type, *line; } inputs[] = {
#define INPUT(name, type, line) {#name, type, line},
#include "random.def"
};

/* Every other choice is the plain one, so that parts meet in threes and fours rather than all at once. */
random_choice random_draw(uint64_t seed) {
    random_choice c = {.sizes = seed};
    for (uint32_t k = 0; k < RANDOM_N_PARTS; k++) {
        uint8_t n = 0;
        while (parts[k][n]) n++;
        const bool plain = diff_next_random(&seed) % 2;
        if (!plain) c.at[k] = (uint8_t)(diff_next_random(&seed) % n);
    }
    if (c.at[RANDOM_AXES] == 1) c.at[RANDOM_RANGE] = 0;          /* a plane has no one range */
    return c;
}

bool random_plainer(const random_choice *c, uint32_t k, random_choice *out) {
    *out = *c;
    if (k < RANDOM_N_PARTS) out->at[k] = 0;
    return k < RANDOM_N_PARTS && c->at[k];
}

/* ---- texts */

typedef struct { const random_choice *c; base_arena *arena; base_text text; } writer;

static const char *option(const random_choice *c, random_part p) { return parts[p][c->at[p]]; }

/* What stands for a letter behind @ or $, by the axes: a line and another, two planes, one line. */
static const char *axes(const random_choice *c, char sign, char letter) {
    static const struct { char sign, letter; const char *text[3]; } all[] = {
        {'@', 'i', {"i", "y,x", "i"}}, {'@', 'j', {"j", "y2,x2", "j"}},
        {'@', 'I', {"i in 0..S", "y in 0..Y,x in 0..X", "i in 0..S"}},
        {'@', 'S', {"S", "Y,X", "S"}}, {'@', 'T', {"T", "Y2,X2", "S"}},
        {'$', 'i', {"i", "(y*X + x)", "i"}}, {'$', 'j', {"j", "(y2*X2 + x2)", "j"}},
        {'$', 'S', {"S", "(Y*X)", "S"}}, {'$', 'T', {"T", "(Y2*X2)", "S"}},
        {'%', 'T', {"T", "6", "S"}},
    };
    for (uint32_t k = 0; k < sizeof all / sizeof *all; k++)
        if (all[k].sign == sign && all[k].letter == letter) return all[k].text[c->at[RANDOM_AXES]];
    return NULL;
}

static void put(writer *w, const char *text);

/* Axes or indices of an operand in the order of the layout. */
static void put_operand(writer *w, const char *name, const char *batch, const char *positions, const char *head, const char *feature) {
    base_text_add(&w->text, "%s[", name);
    for (const char *at = option(w->c, RANDOM_LAYOUT); *at; at++) {
        put(w, *at == 'b' ? batch : *at == '@' ? positions : *at == 'h' ? head : feature);
        base_text_add(&w->text, at[1] ? "," : "]");
    }
}

static void put_element(writer *w, char of) {
    const bool table = w->c->at[RANDOM_GATHER];
    if (of == 'q') put_operand(w, "q", "b", "@i", "h", "d");
    if (of == 'x') put_operand(w, "x", "b", "@i", "h", "e");
    if (of == 'k') put_operand(w, "k", "b", table ? "page[b,@j]" : "@j", "h // (H // G)", "d");
    if (of == 'v') put_operand(w, "v", "b", table ? "page[b,@j]" : "@j", "h // (H // G)", "e");
}

static void put(writer *w, const char *text) {
    for (const char *at = text; *at; at++) {
        const char *stands = *at && strchr("@$%", *at) ? axes(w->c, *at, at[1]) : NULL;
        if (stands) base_text_add(&w->text, "%s", stands);
        else if (*at == '@') put_element(w, at[1]);
        else base_text_put(&w->text, at, 1);
        at += *at == '@' || stands;
    }
}

static void put_clause(writer *w, const char *name, random_part p) {
    if (!*option(w->c, p)) return;
    base_text_add(&w->text, "        %s = ", name);
    put(w, option(w->c, p));
    put(w, "\n");
}

static const char *body(const random_choice *c, base_arena *arena) {
    writer w = {.c = c, .arena = arena};
    base_text_init(&w.text, arena);
    put(&w, "    t[b,@I,h in 0..H,e in 0..E] = attend(@j");
    put(&w, option(c, RANDOM_RANGE));
    put(&w, ": ");
    put(&w, option(c, RANDOM_SCORE));
    put(&w, ", ");
    put(&w, option(c, RANDOM_VALUE));
    put(&w, ") {\n");
    put_clause(&w, "score", RANDOM_LINE);
    put_clause(&w, "score", RANDOM_SECOND_LINE);
    /* .lse has the axes that the score depends on: now it does on all */
    if (c->at[RANDOM_LSE]) put(&w, "        score = s + 0.5 * gq[b,@i,h]\n");
    put_clause(&w, "mask", RANDOM_MASK);
    put_clause(&w, "mask", RANDOM_SECOND_MASK);
    put_clause(&w, "weights", RANDOM_WEIGHTS);
    put_clause(&w, "adjust", RANDOM_ADJUST);
    put(&w, "    }\n    o[b,@i,h,e] = ");
    put(&w, option(c, RANDOM_AFTER));
    put(&w, c->at[RANDOM_LSE] ? "\n    l[b,@i,h] = t.lse[b,@i,h]\n" : "\n");
    return w.text.at;
}

static bool reads(const char *text, const char *name) {
    for (const char *at = text; (at = strstr(at, name)); at++)
        if (at[strlen(name)] == '[' && (at == text || !isalnum((unsigned char)at[-1]))) return true;
    return false;
}

/* r[...]: of the program's type of reals. */
static void put_input(writer *w, const char *name, const char *type) {
    base_text_add(&w->text, "%s: ", name);
    if (*type == 'r') base_text_add(&w->text, "%s", option(w->c, RANDOM_TYPE)), type++;
    put(w, type);
}

static void put_signature(writer *w, const char *body) {
    const char *positions = w->c->at[RANDOM_GATHER] ? "P" : "@T", *type = option(w->c, RANDOM_TYPE);
    const struct { const char *name, *positions, *head, *feature; } always[] = {{"q", "@S", "H", "D"}, {"k", positions, "G", "D"}, {"v", positions, "G", "E"}, {"x", "@S", "H", "E"}};
    put(w, "graph g(");
    for (uint32_t k = 0; k < 4; k++) {
        base_text_add(&w->text, "%s: ", always[k].name);
        put_operand(w, type, "B", always[k].positions, always[k].head, always[k].feature);
        put(w, ", ");
    }
    put_input(w, "gate", "r[B,@T]");
    for (uint32_t k = 0; k < sizeof inputs / sizeof *inputs; k++)
        if (reads(body, inputs[k].name)) put(w, ", "), put_input(w, inputs[k].name, inputs[k].type);
    base_text_add(&w->text, ") -> (o: %s", type);
    put(w, "[B,@S,H,E]");
    if (w->c->at[RANDOM_LSE]) base_text_add(&w->text, ", l: %s", type), put(w, "[B,@S,H]");
    put(w, ") where H % G == 0 {\n");
}

/* ---- sizes */

static int64_t one_of(uint64_t *state, uint32_t n, const int64_t *sizes) { return sizes[diff_next_random(state) % n]; }
#define ONE_OF(state, ...) one_of(state, sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t), (const int64_t[]){__VA_ARGS__})

/* All dimensions that any program may have; those that this one lacks are left out. */
static void put_sizes(writer *w, const char *program, uint64_t *state, bool large) {
    const int64_t group = ONE_OF(state, 1, 2, 3);
    const struct { const char *name; int64_t size; } sizes[] = {
        {"B", large ? 1 : ONE_OF(state, 1, 2, 3)},
        {"S", large ? ONE_OF(state, 33, 40, 65) : ONE_OF(state, 0, 1, 2, 3, 5, 7, 8, 13, 17)},
        {"T", large ? ONE_OF(state, 129, 193, 250) : ONE_OF(state, 0, 1, 2, 3, 5, 7, 8, 13, 17, 33)},
        {"Y", large ? 5 : ONE_OF(state, 0, 1, 2, 3)}, {"X", large ? 7 : ONE_OF(state, 1, 2, 5)},
        {"Y2", large ? 11 : ONE_OF(state, 0, 1, 3)}, {"X2", large ? 18 : ONE_OF(state, 1, 4, 7)},
        {"H", large ? 1 : group * ONE_OF(state, 1, 2)}, {"G", large ? 1 : group},
        {"D", ONE_OF(state, 1, 2, 3, 5, 8, 9, 16, 17)}, {"E", ONE_OF(state, 1, 2, 3, 5, 8, 9, 16, 17)},
        {"M", 3}, {"P", ONE_OF(state, 1, 5, 19)},
    };
    base_text_add(&w->text, large ? "#: large" : "#: dims");
    for (uint32_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const char *name = sizes[k].name;
        bool has = false;
        for (const char *at = program; (at = strstr(at, name)); at++)
            has |= !isalnum((unsigned char)at[-1]) && !isalnum((unsigned char)at[strlen(name)]) && (at[-1] == '[' || at[-1] == ',');
        if (has) base_text_add(&w->text, " %s=%lld", name, (long long)sizes[k].size);
    }
    put(w, "\n");
}

diff_program *random_program(base_arena *arena, const random_choice *c, const char *name) {
    const char *statements = body(c, arena);
    writer program = {.c = c, .arena = arena}, whole = program;
    base_text_init(&program.text, arena);
    put_signature(&program, statements);
    uint64_t state = c->sizes;
    base_text_init(&whole.text, arena);
    for (uint32_t k = 0; k < 4; k++) put_sizes(&whole, program.text.at, &state, k == 3);
    for (uint32_t k = 0; k < sizeof inputs / sizeof *inputs; k++)
        if (*inputs[k].line && reads(statements, inputs[k].name)) put(&whole, "#: "), put(&whole, inputs[k].line), put(&whole, "\n");
    base_text_add(&whole.text, "%s%s}\n", program.text.at, statements);
    return diff_program_parse(arena, name, whole.text.at, true);
}

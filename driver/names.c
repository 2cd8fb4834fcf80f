/* Names of a generated header: what a program may call a graph, a dimension or a tensor need not be free in C. Keywords of C and C++, types and
 * macros of the headers that it includes, and names that are taken already get underscores behind them, until they are free.
 */
#include <ctype.h>
#include <string.h>
#include "build.h"

/* Keywords of C11 and C++20, predefined macros of GNU compilers, and what <stdbool.h>, <stddef.h>, <stdint.h>, <stdio.h> and <errno.h> take from
 * programs in every scope. Words of the last two are here since nearly every host includes those before the header. */
static const char *const reserved[] = {
    "BUFSIZ", "EOF", "NULL", "alignas", "alignof", "and", "and_eq", "asm", "assert", "attn_call", "attn_executor", "attn_job", "auto", "bitand", "bitor", "bool", "break",
    "case", "catch", "char", "char8_t", "char16_t", "char32_t", "class", "co_await", "co_return", "co_yield", "compl", "concept", "const",
    "const_cast", "consteval", "constexpr", "constinit", "continue", "decltype", "default", "delete", "do", "double", "dynamic_cast", "else",
    "enum", "errno", "explicit", "export", "extern", "false", "float", "for", "friend", "goto", "i386", "if", "inline", "int", "linux", "long",
    "main", "max_align_t", "mutable", "namespace", "new", "noexcept", "not", "not_eq", "nullptr", "nullptr_t", "offsetof", "operator", "or",
    "or_eq", "private", "protected", "ptrdiff_t", "public", "register", "reinterpret_cast", "requires", "restrict", "return", "short", "signed",
    "size_t", "sizeof", "static", "static_assert", "static_cast", "stderr", "stdin", "stdout", "struct", "struct_size", "switch", "template",
    "this", "thread_local", "throw", "true", "try", "typedef", "typeid", "typename", "typeof", "union", "unix", "unsigned", "using", "virtual",
    "void", "volatile", "wchar_t", "while", "xor", "xor_eq",
};

static bool ends(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* int64_t and INT64_MAX with all their kind: no list of them would be complete. */
static bool is_reserved(const char *name) {
    for (size_t k = 0; k < sizeof reserved / sizeof *reserved; k++)
        if (!strcmp(reserved[k], name)) return true;
    bool integer = !strncmp(name, "int", 3) || !strncmp(name, "uint", 4), limit = strstr(name, "INT") || strstr(name, "SIZE") || strstr(name, "PTRDIFF");
    return (integer && ends(name, "_t")) || (limit && (ends(name, "_MAX") || ends(name, "_MIN") || ends(name, "_C")));
}

static bool is_taken(const drv_names *names, const char *name) {
    for (uint32_t k = 0; k < names->taken.n; k++)
        if (!strcmp(names->taken.at[k], name)) return true;
    return false;
}

/* A list will do: a header has some hundred names at most. */
bool drv_name_free(const drv_names *names, const char *name) { return !is_reserved(name) && !is_taken(names, name); }
void drv_name_take(drv_names *names, const char *name) { BASE_PUSH(names->arena, &names->taken, name); }

/* A leading underscore belongs to the compiler and its headers, so such a name gets a letter before it. */
const char *drv_name(drv_names *names, const char *from) {
    const char *name = from[0] == '_' ? base_printf(names->arena, "n%s", from) : from;
    while (!drv_name_free(names, name)) name = base_printf(names->arena, "%s_", name);
    drv_name_take(names, name);
    return name;
}

char *drv_upper(base_arena *arena, const char *text) {
    char *upper = base_strdup(arena, text);
    for (char *c = upper; *c; c++) *c = (char)toupper((unsigned char)*c);
    return upper;
}

/* The stem of a file as a name: libsmall-model.so is small_model. */
const char *drv_name_of_file(base_arena *arena, const char *path) {
    const char *slash = strrchr(path, '/'), *from = slash ? slash + 1 : path;
    if (!strncmp(from, "lib", 3) && from[3] && from[3] != '.') from += 3;
    const char *dot = strrchr(from, '.');
    char *name = base_strndup(arena, from, dot ? (size_t)(dot - from) : strlen(from));
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) || (unsigned char)*c > 127) *c = '_';
    drv_names none = {.arena = arena};
    if (!*name || isdigit((unsigned char)*name)) name = base_printf(arena, "m%s", name);
    return drv_name(&none, name);
}

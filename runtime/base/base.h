/* The bottom layer: memory that ends all at once, text, growing arrays, diagnostics. Everything else stands on it.
 *
 * Memory: an arena hands out zeroed memory and frees it whole. It never returns NULL: when the allocator fails it jumps to
 * the recovery point of the call that owns the arena (BASE_TRY), so that no code between has to test.
 * Threads: an arena and what is allocated in it belong to one thread at a time; finished, unchanging data may be shared.
 */
#ifndef ATTN_BASE_H
#define ATTN_BASE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define BASE_PRINTF(text_at, first) __attribute__((__format__(__printf__, text_at, first)))
#else
#define BASE_PRINTF(text_at, first)
#endif

/* ---- arena.c: memory */
typedef struct base_allocator {      /* NULL functions: malloc and free. `alloc` returns NULL when there is no memory */
    void *(*alloc)(void *self, size_t bytes);
    void (*free)(void *self, void *at, size_t bytes);
    void *self;
} base_allocator;
base_allocator base_allocator_or_malloc(const base_allocator *given);   /* `given` may be NULL or hold NULL functions */

typedef struct base_arena base_arena;
base_arena *base_arena_create(const base_allocator *allocator, jmp_buf *on_failure);   /* NULL when there is no memory */
void base_arena_destroy(base_arena *arena);                                            /* NULL is allowed */
jmp_buf *base_arena_recover(base_arena *arena, jmp_buf *on_failure);                   /* moves the recovery point; answers where it was */
_Noreturn void base_arena_fail(base_arena *arena);                                     /* as if memory had run out */
void *base_alloc(base_arena *arena, size_t bytes);                                     /* zeroed, aligned to 16 */
void *base_alloc_array(base_arena *arena, size_t n, size_t size);                      /* checked n * size */
void *base_grow(base_arena *arena, void *old, size_t old_n, size_t new_n, size_t size);/* a copy with room; the rest zeroed */
void *base_copy(base_arena *arena, const void *from, size_t bytes);
#define BASE_NEW(arena, type) ((type *)base_alloc((arena), sizeof(type)))
#define BASE_ARRAY(arena, n, type) ((type *)base_alloc_array((arena), (n), sizeof(type)))

/* A growing array is three members: T *at; uint32_t n, cap. BASE_PUSH appends and returns the index. */
#define BASE_VEC(type) struct { type *at; uint32_t n, cap; }
#define BASE_PUSH(arena, vec, value) (base_vec_room((arena), (void **)&(vec)->at, (vec)->n, &(vec)->cap, sizeof *(vec)->at), \
                                      (vec)->at[(vec)->n] = (value), (vec)->n++)
void base_vec_room(base_arena *arena, void **at, uint32_t n, uint32_t *cap, size_t size);   /* room for one more */

/* ---- text.c: strings */
char *base_strdup(base_arena *arena, const char *text);
char *base_strndup(base_arena *arena, const char *text, size_t n);
char *base_printf(base_arena *arena, const char *format, ...) BASE_PRINTF(2, 3);
char *base_vprintf(base_arena *arena, const char *format, va_list list) BASE_PRINTF(2, 0);

typedef struct {                 /* text being written; `at` is always terminated */
    base_arena *arena;
    char *at;
    size_t n, cap;
} base_text;
void base_text_init(base_text *text, base_arena *arena);
void base_text_add(base_text *text, const char *format, ...) BASE_PRINTF(2, 3);
void base_text_put(base_text *text, const char *bytes, size_t n);
const char *base_real_text(base_arena *arena, double value);     /* shortest text that reads back; always with . or e, or inf, nan */
const char *base_float_text(base_arena *arena, float value);     /* likewise, read back as a float */
double base_real_read(const char *text);                         /* all of these are the same in every locale */

/* ---- map.c: names to numbers */
typedef struct base_map base_map;
base_map *base_map_create(base_arena *arena);
void base_map_put(base_map *map, const char *key, uint32_t value);                /* replaces; the key is kept by reference */
bool base_map_get(const base_map *map, const char *key, uint32_t *out);

/* ---- build.c: build ids, as hexadecimal text in the arena; NULL: there is none */
const char *base_build_id_of_file(const char *path, base_arena *arena);          /* of an ELF file, which is read and not loaded */
const char *base_build_id_of_here(base_arena *arena);                            /* of the library or program that this code is part of */

/* ---- diag.c: what is wrong with a program, its data or its environment */
typedef enum {
    BASE_MSG_NONE,
#define MSG(id, code, class_, text) BASE_MSG_##id,
#include "messages.def"
    BASE_N_MESSAGES
} base_message;
typedef enum { BASE_CLASS_PROGRAM, BASE_CLASS_DATA, BASE_CLASS_ENVIRONMENT, BASE_CLASS_CALLER, BASE_CLASS_INTERNAL } base_class;
typedef enum { BASE_ERROR, BASE_WARNING, BASE_REMARK } base_severity;
typedef struct { const char *code, *text; base_class class_; } base_message_info;
extern const base_message_info base_messages[BASE_N_MESSAGES];

typedef struct { uint32_t file, start, end; } base_span;         /* bytes [start, end) of a file; file 0: no place */
typedef struct { const char *name, *text; size_t n; } base_file; /* text is terminated */

typedef struct base_note { base_span span; const char *text; struct base_note *next; } base_note;   /* a chain of calls, say */
typedef struct base_diag {
    base_message message;
    base_severity severity;
    base_span span;
    const char *text;                       /* the message with its words filled in */
    const char *expected, *found, *hint;    /* each may be NULL */
    base_note *notes;
    struct base_diag *next;
} base_diag;
typedef struct {
    base_arena *arena;
    BASE_VEC(base_file) files;              /* files.at[0] is unused */
    base_diag *first, **last;
    uint32_t n_errors, n_warnings;
} base_diags;
base_diags *base_diags_create(base_arena *arena);
uint32_t base_file_add(base_diags *diags, const char *name, const char *text, size_t n);  /* copies both; the file's number */
/* Adds a diagnostic, text filled from the row's format. Never NULL; set expected, found, hint on the result. */
base_diag *base_report(base_diags *diags, base_message message, base_span span, ...);
base_diag *base_report_list(base_diags *diags, base_message message, base_span span, va_list list);
void base_diag_note(base_diags *diags, base_diag *diag, base_span span, const char *format, ...) BASE_PRINTF(4, 5);
void base_diag_print(const base_diags *diags, const base_diag *diag, bool colour, base_text *out);   /* file:line:col, caret, hint */
void base_position(const base_file *file, uint32_t offset, uint32_t *line, uint32_t *column);        /* from 1; columns in code points */

/* ---- arithmetic that says when it does not fit */
static inline bool base_mul(int64_t a, int64_t b, int64_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool base_add(int64_t a, int64_t b, int64_t *out) { return !__builtin_add_overflow(a, b, out); }
/* Of a pair whose quotient is int64: not by 0, not the least number by -1. The remainder has the sign of b. */
static inline int64_t base_floor_div(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }
static inline int64_t base_floor_mod(int64_t a, int64_t b) { return a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0); }   /* b * quotient may not fit */
#endif

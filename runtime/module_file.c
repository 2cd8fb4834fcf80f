/* A module as bytes: one flat piece that may lie anywhere, in a file or inside of a shared object.
 *
 *   "attnmod"  version  bytes of all  checksum  | the records of module.def, one after the other
 *
 * Numbers are little-endian. A string is its length + 1 and its bytes with the 0; what is counted stands where it is mentioned, after its
 * count; bytes (code, constants) begin at multiples of 64. Nothing points anywhere, so nothing overlaps or runs in circles, and each byte is read
 * once: what a file can make the reader allocate is bounded by its size. Texts, rows of numbers and bytes stay where they are in the file.
 */
#include <string.h>
#include "rt.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files of modules are little-endian, and so must be the machine"
#endif

/* ---- the records as tables */

typedef enum { KIND_END, KIND_U32, KIND_U64, KIND_F64, KIND_TEXT, KIND_BYTES, KIND_U32S, KIND_TEXTS, KIND_LIST, KIND_PART } kind;
typedef struct field field;
typedef const field *fields_of(void);
struct field {
    uint8_t kind;
    size_t at, count;            /* offsets in the struct: of the member, of its count */
    fields_of *of;               /* LIST, PART: what it is made of, */
    size_t bytes;                /* and the size of one */
};

/* Each record is a function that answers its members: inside of it `owner` is the struct. */
#define RECORD(type) static const field *fields_##type(void) { typedef type owner; static const field all[] = {
#define END(type) {.kind = KIND_END}}; return all; }
#define U32(member) {.kind = KIND_U32, .at = offsetof(owner, member)},
#define U64(member) {.kind = KIND_U64, .at = offsetof(owner, member)},
#define F64(member) {.kind = KIND_F64, .at = offsetof(owner, member)},
#define TEXT(member) {.kind = KIND_TEXT, .at = offsetof(owner, member)},
#define BYTES(member, n) {.kind = KIND_BYTES, .at = offsetof(owner, member), .count = offsetof(owner, n)},
#define U32S(member, n) {.kind = KIND_U32S, .at = offsetof(owner, member), .count = offsetof(owner, n)},
#define TEXTS(member, n) {.kind = KIND_TEXTS, .at = offsetof(owner, member), .count = offsetof(owner, n)},
#define LIST(member, n, type) {.kind = KIND_LIST, .at = offsetof(owner, member), .count = offsetof(owner, n), .of = fields_##type, .bytes = sizeof(type)},
#define PART(member, type) {.kind = KIND_PART, .at = offsetof(owner, member), .of = fields_##type, .bytes = sizeof(type)},
#include "module.def"

_Static_assert(sizeof(size_t) == 8, "sizes are written as 64 bits");

/* ---- the head */

typedef struct { char magic[8]; uint32_t version, head; uint64_t bytes, checksum; char rest[32]; } head;
_Static_assert(sizeof(head) == 64, "what follows the head begins at a multiple of 64");
static const char magic[8] = "attnmod";
enum { BLOCK = 64 };             /* where bytes begin */

/* Finds damage, not malice: whoever changes a file can change its checksum. Eight bytes at a time; the last ones are filled up with zeros. */
static uint64_t checksum(const unsigned char *at, size_t n) {
    uint64_t sum = n;
    for (size_t k = 0; k < n; k += 8) {
        uint64_t word = 0;
        memcpy(&word, at + k, n - k < 8 ? n - k : 8);
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 29;
    }
    return sum;
}

void rt_module_seal(void *bytes, size_t n) {
    head h;
    memcpy(&h, bytes, sizeof h);
    h.bytes = n;
    h.checksum = checksum((const unsigned char *)bytes + sizeof h, n - sizeof h);
    memcpy(bytes, &h, sizeof h);
}

/* ---- writing */

static void put(base_text *out, const void *at, size_t n) {
    if (n) base_text_put(out, at, n);
}

static void put_u32(base_text *out, uint32_t x) { put(out, &x, sizeof x); }

static void pad(base_text *out, size_t to) {
    static const char zeros[BLOCK];
    put(out, zeros, (to - out->n % to) % to);
}

static void put_string(base_text *out, const char *text) {
    size_t n = text ? strlen(text) + 1 : 0;
    put_u32(out, (uint32_t)n);
    put(out, text, n);
    pad(out, sizeof(uint32_t));
}

static void put_record(base_text *out, const field *f, const char *from);

static void put_field(base_text *out, const field *f, const char *from) {
    const char *at = from + f->at;
    uint32_t n = 0;
    uint64_t wide = 0;
    if (f->kind >= KIND_U32S && f->kind <= KIND_LIST) memcpy(&n, from + f->count, sizeof n);
    if (f->kind == KIND_BYTES) memcpy(&wide, from + f->count, sizeof wide);
    switch (f->kind) {
    case KIND_U32: put(out, at, sizeof(uint32_t)); break;
    case KIND_U64: case KIND_F64: put(out, at, sizeof(uint64_t)); break;
    case KIND_TEXT: put_string(out, *(const char *const *)at); break;
    case KIND_BYTES:
        pad(out, BLOCK);
        put(out, *(const void *const *)at, (size_t)wide);
        pad(out, sizeof(uint32_t));
        break;
    case KIND_U32S: put(out, *(const void *const *)at, n * sizeof(uint32_t)); break;
    case KIND_TEXTS:
        for (uint32_t k = 0; k < n; k++) put_string(out, (*(const char *const *const *)at)[k]);
        break;
    case KIND_LIST:
        for (uint32_t k = 0; k < n; k++) put_record(out, f->of(), *(const char *const *)at + k * f->bytes);
        break;
    default: put_record(out, f->of(), at);
    }
}

static void put_record(base_text *out, const field *f, const char *from) {
    for (; f->kind != KIND_END; f++) put_field(out, f, from);
}

const void *rt_module_write(const rt_module *module, base_arena *arena, size_t *n) {
    base_text out;
    head h = {.version = RT_ABI, .head = sizeof h};
    base_text_init(&out, arena);
    memcpy(h.magic, magic, sizeof magic);
    put(&out, &h, sizeof h);
    put_record(&out, fields_rt_module(), (const char *)module);
    rt_module_seal(out.at, *n = out.n);
    return out.at;
}

/* ---- reading */

typedef struct {
    base_arena *arena;
    const unsigned char *at;     /* of the whole */
    size_t n, place;
    const char *wrong;           /* the first thing that is; nothing is read after it */
} reading;

static bool damaged(reading *r, const char *what) {
    if (!r->wrong) r->wrong = what;
    return false;
}

/* The next n bytes, or NULL. */
static const void *take(reading *r, uint64_t n) {
    if (r->wrong || n > r->n - r->place) return damaged(r, "it ends too early"), NULL;
    const void *at = r->at + r->place;
    r->place += (size_t)n;
    return at;
}

static void skip_to(reading *r, size_t multiple) { take(r, (multiple - r->place % multiple) % multiple); }

static bool get(reading *r, void *to, size_t n) {
    const void *from = take(r, n);
    if (from) memcpy(to, from, n);
    return from != NULL;
}

static const char *get_string(reading *r) {
    uint32_t n = 0;
    if (!get(r, &n, sizeof n) || n == 0) return NULL;
    const char *text = take(r, n);
    skip_to(r, sizeof n);
    if (text && (text[n - 1] || strlen(text) != n - 1)) return damaged(r, "a text does not end where it says"), NULL;
    return text;
}

/* What stands in the file for a record at least. */
static size_t least_bytes(const field *f) {
    size_t n = 0;
    for (; f->kind != KIND_END; f++) {
        if (f->kind == KIND_U32 || f->kind == KIND_TEXT) n += sizeof(uint32_t);
        if (f->kind == KIND_U64 || f->kind == KIND_F64) n += sizeof(uint64_t);
        if (f->kind == KIND_PART) n += least_bytes(f->of());
    }
    return n;
}

/* Before memory is taken for that many. */
static bool count_fits(reading *r, const field *f, uint32_t n) {
    size_t each = f->kind == KIND_LIST ? least_bytes(f->of()) : sizeof(uint32_t);
    return n <= (r->n - r->place) / each || damaged(r, "a count is larger than the file");
}

static void get_record(reading *r, const field *f, char *to);

static const void *get_texts(reading *r, uint32_t n) {
    const char **texts = BASE_ARRAY(r->arena, n, const char *);
    for (uint32_t k = 0; k < n && !r->wrong; k++) texts[k] = get_string(r);
    return texts;
}

/* Memory for all of them is taken at once: a struct is at most some four times larger than the least that stands in the file for it. */
static const void *get_list(reading *r, const field *f, uint32_t n) {
    char *all = base_alloc_array(r->arena, n, f->bytes);
    for (uint32_t k = 0; k < n && !r->wrong; k++) get_record(r, f->of(), all + k * f->bytes);
    return all;
}

static const void *get_bytes(reading *r, uint64_t n) {
    skip_to(r, BLOCK);
    const void *at = take(r, n);
    skip_to(r, sizeof(uint32_t));
    return n ? at : NULL;
}

static void get_field(reading *r, const field *f, char *to) {
    char *at = to + f->at;
    const void *found = NULL;
    uint32_t n = 0;
    uint64_t wide = 0;
    if (f->kind >= KIND_U32S && f->kind <= KIND_LIST) memcpy(&n, to + f->count, sizeof n);
    if (f->kind == KIND_BYTES) memcpy(&wide, to + f->count, sizeof wide);
    if (!count_fits(r, f, n)) return;
    switch (f->kind) {
    case KIND_U32: get(r, at, sizeof(uint32_t)); return;
    case KIND_U64: case KIND_F64: get(r, at, sizeof(uint64_t)); return;
    case KIND_PART: get_record(r, f->of(), at); return;
    case KIND_TEXT: found = get_string(r); break;
    case KIND_BYTES: found = get_bytes(r, wide); break;
    case KIND_U32S: found = take(r, n * sizeof(uint32_t)); break;
    case KIND_TEXTS: found = get_texts(r, n); break;
    default: found = get_list(r, f, n);
    }
    memcpy(at, &found, sizeof found);
}

static void get_record(reading *r, const field *f, char *to) {
    for (; f->kind != KIND_END && !r->wrong; f++) get_field(r, f, to);
}

/* What the head says, before anything else is believed. */
static const char *head_wrong(const unsigned char *at, size_t n) {
    head h;
    if (n < sizeof h) return "it is no module";
    memcpy(&h, at, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic)) return "it is no module";
    if (h.version != RT_ABI || h.head != sizeof h) return "another version of attn has written it";
    if (h.bytes > n) return "it ends too early";
    if (h.bytes < sizeof h || h.checksum != checksum(at + sizeof h, (size_t)h.bytes - sizeof h)) return "it is damaged: the checksum is another";
    return NULL;
}

const rt_module *rt_module_read(const void *bytes, size_t n, base_arena *arena, const char **wrong) {
    rt_module *m = BASE_NEW(arena, rt_module);
    reading r = {.arena = arena, .at = bytes};
    *wrong = (uintptr_t)bytes % 16 ? "it does not lie at a multiple of 16" : head_wrong(bytes, n);
    if (*wrong) return NULL;
    memcpy(&r.n, r.at + offsetof(head, bytes), sizeof r.n);
    r.place = sizeof(head);
    get_record(&r, fields_rt_module(), (char *)m);
    if (!r.wrong && r.place != r.n) damaged(&r, "there is more in it than a module");
    *wrong = r.wrong ? r.wrong : rt_module_wrong(m, arena);
    return *wrong ? NULL : m;
}

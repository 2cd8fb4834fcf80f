/* safetensors: 8 bytes length of the header, a JSON object { name: {dtype, shape, data_offsets: [first, last]} }, the elements.
 * Format: https://huggingface.co/docs/safetensors
 *
 * Nothing in the file is believed: the header must fit the file, every tensor must lie inside it, have exactly the bytes that its shape
 * and type need, and overlap no other. Elements are read when asked for, straight to where they are wanted.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rt.h"

enum { MAX_HEADER = 100 << 20 };     /* as the reference implementation has it */

/* Bytes of an element, and its sort: real, integer or truth value. */
const rt_stored_info rt_stored_types[RT_N_STORED] = {
    [RT_STORED_F64] = {"F64", 8, 'f'},   [RT_STORED_F32] = {"F32", 4, 'f'}, [RT_STORED_F16] = {"F16", 2, 'f'}, [RT_STORED_BF16] = {"BF16", 2, 'f'},
    [RT_STORED_I64] = {"I64", 8, 'i'},   [RT_STORED_I32] = {"I32", 4, 'i'}, [RT_STORED_I16] = {"I16", 2, 'i'}, [RT_STORED_I8] = {"I8", 1, 'i'},
    [RT_STORED_U64] = {"U64", 8, 'i'},   [RT_STORED_U32] = {"U32", 4, 'i'}, [RT_STORED_U16] = {"U16", 2, 'i'}, [RT_STORED_U8] = {"U8", 1, 'i'},
    [RT_STORED_BOOL] = {"BOOL", 1, 'b'},
};

typedef struct {
    rt_safetensors *s;
    base_arena *arena;
    base_diags *diags;
    uint64_t data, data_bytes;       /* where elements begin, and how many bytes of them there are */
    uint32_t cap;                    /* of s->tensors */
    char *names;                     /* room for all names */
    char why[200];                   /* what is wrong. Reported when the JSON is gone, since reporting may run out of memory and jump */
} reading;

static const base_span nowhere = {0, 0, 0};

/* Both answer false and keep the reason; rt_safetensors_open reports it. */
static bool damaged(reading *r, const char *why) {
    snprintf(r->why, sizeof r->why, "%s", why);
    return false;
}

static bool damaged_at(reading *r, const char *name, const char *why) {
    snprintf(r->why, sizeof r->why, "tensor '%.100s' %s", name, why);
    return false;
}

/* pread: several threads may load from one file. At most 2^30 bytes at a time, since Linux gives no more than 2^31 - 4096. */
static bool read_at(int fd, void *out, uint64_t n, uint64_t offset) {
    unsigned char *to = out;
    while (n) {
        ssize_t got = pread(fd, to, n < (1u << 30) ? (size_t)n : 1u << 30, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = EIO;   /* it has become shorter since it was opened */
        if (got <= 0) return false;
        to += got;
        n -= (uint64_t)got;
        offset += (uint64_t)got;
    }
    return true;
}

/* ---- one tensor of the header */

static bool take_type(reading *r, const json_t *entry, rt_stored_tensor *t) {
    const char *text = json_string_value(json_object_get(entry, "dtype"));
    if (!text) return damaged_at(r, t->name, "has no dtype");
    for (uint8_t k = 0; k < RT_N_STORED; k++)
        if (!strcmp(text, rt_stored_types[k].text)) {
            t->type = k;
            return true;
        }
    t->type = RT_N_STORED;           /* a type we cannot use is an error only if the program wants this tensor */
    return true;
}

/* A tensor of more axes makes the whole file unusable, also if nobody asks for it: it could not be kept. */
static bool take_shape(reading *r, const json_t *entry, rt_stored_tensor *t) {
    const json_t *shape = json_object_get(entry, "shape");
    if (!json_is_array(shape) || json_array_size(shape) > RT_RANK) return damaged_at(r, t->name, "has no shape of at most 8 axes");
    t->rank = (uint8_t)json_array_size(shape);
    for (uint32_t k = 0; k < t->rank; k++) {
        const json_t *extent = json_array_get(shape, k);
        if (!json_is_integer(extent) || json_integer_value(extent) < 0) return damaged_at(r, t->name, "has an extent that is no size");
        t->dim[k] = json_integer_value(extent);
    }
    return rt_count(t->rank, t->dim, &t->elements) || damaged_at(r, t->name, "has a shape that is too large");
}

/* data_offsets count from the end of the header; what is kept counts from the start of the file. json_array_get of what
 * is no list is NULL, and the size 0. */
static bool take_offsets(reading *r, const json_t *entry, rt_stored_tensor *t) {
    const json_t *list = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(list, 0), *last = json_array_get(list, 1);
    if (json_array_size(list) != 2 || !json_is_integer(first) || !json_is_integer(last)) return damaged_at(r, t->name, "has no two data_offsets");
    json_int_t from = json_integer_value(first), to = json_integer_value(last);
    if (from < 0 || to < from || (uint64_t)to > r->data_bytes) return damaged_at(r, t->name, "lies outside of the file");
    t->offset = r->data + (uint64_t)from;
    t->bytes = (uint64_t)(to - from);
    int64_t needed;
    /* How large its elements are is not known, so only its place is checked. */
    if (t->type == RT_N_STORED) return true;
    if (!base_mul(t->elements, rt_stored_types[t->type].bytes, &needed) || (uint64_t)needed != t->bytes)
        return damaged_at(r, t->name, "has a shape that does not fit its bytes");
    return true;
}

/* Among tensors that start together the empty ones come first: they overlap nothing. */
static int by_offset(const void *a, const void *b) {
    const rt_stored_tensor *x = *(const rt_stored_tensor *const *)a, *y = *(const rt_stored_tensor *const *)b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* The format forbids two tensors over the same bytes: such a file is damaged or made to mislead. */
static bool no_overlap(reading *r) {
    uint32_t n = r->s->n_tensors;
    const rt_stored_tensor **order = base_alloc_array(r->arena, n, sizeof *order);
    for (uint32_t k = 0; k < n; k++) order[k] = &r->s->tensors[k];
    if (n) qsort(order, n, sizeof *order, by_offset);
    for (uint32_t k = 1; k < n; k++)
        /* The sum does not wrap: both were checked to lie inside the file. */
        if (order[k]->offset < order[k - 1]->offset + order[k - 1]->bytes) return damaged_at(r, order[k]->name, "overlaps another tensor");
    return true;
}

/* ---- the header */

/* Memory for everything is taken before the JSON exists, by what a header of that length can hold at most: jansson's memory is not the
 * arena's and would be lost if the arena jumped. */
static void make_room(reading *r, size_t header_bytes) {
    /* Bytes that an entry takes at least with its name, dtype, shape and data_offsets; take_tensors checks the count as
     * well. */
    enum { SHORTEST_ENTRY = 40 };
    r->cap = (uint32_t)(header_bytes / SHORTEST_ENTRY + 1);
    r->s->tensors = base_alloc_array(r->arena, r->cap, sizeof *r->s->tensors);
    r->names = base_alloc(r->arena, header_bytes + r->cap);
}

/* Names are copied, since those of the JSON end with it. In the header they are no shorter than here, so the room
 * suffices. */
static const char *keep_name(reading *r, const char *name) {
    size_t n = strlen(name) + 1;
    char *kept = memcpy(r->names, name, n);
    r->names += n;
    return kept;
}

/* "__metadata__" is the one key that is no tensor. */
static bool take_tensors(reading *r, json_t *root) {
    const char *key;
    json_t *entry;
    json_object_foreach(root, key, entry) {
        if (!strcmp(key, "__metadata__")) continue;
        if (!json_is_object(entry) || r->s->n_tensors == r->cap) return damaged_at(r, key, "is no object");
        rt_stored_tensor *t = &r->s->tensors[r->s->n_tensors++];
        t->name = keep_name(r, key);
        if (!take_type(r, entry, t) || !take_shape(r, entry, t) || !take_offsets(r, entry, t)) return false;
    }
    return true;
}

/* Duplicate names are refused: JSON readers differ in which one they keep. */
static bool take_json(reading *r, const char *text, size_t n) {
    json_error_t error;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    bool fine;
    if (!root) fine = damaged(r, "its header is no JSON");
    else fine = json_is_object(root) ? take_tensors(r, root) : damaged(r, "its header is no JSON object");
    json_decref(root);
    return fine;
}

static int by_name(const void *a, const void *b) { return strcmp(((const rt_stored_tensor *)a)->name, ((const rt_stored_tensor *)b)->name); }

/* false: r->why says what is wrong, or it is empty and errno does. */
static bool read_header(reading *r, uint64_t file_bytes) {
    unsigned char head[8];
    if (file_bytes < 8) return damaged(r, "it is shorter than a header");
    if (!read_at(r->s->fd, head, 8, 0)) return false;
    uint64_t n = 0;
    /* The length is stored with the least byte first, whatever the machine's order is. */
    for (int k = 8; k-- > 0;) n = n << 8 | head[k];
    if (n > file_bytes - 8 || n > MAX_HEADER) return damaged(r, "its header is longer than the file");
    char *text = base_alloc(r->arena, (size_t)n + 1);
    make_room(r, (size_t)n);
    if (!read_at(r->s->fd, text, n, 8)) return false;
    r->data = 8 + n;
    r->data_bytes = file_bytes - r->data;
    if (!take_json(r, text, (size_t)n) || !no_overlap(r)) return false;
    /* For rt_safetensors_find, which searches by halves. */
    qsort(r->s->tensors, r->s->n_tensors, sizeof *r->s->tensors, by_name);
    return true;
}

/* The size is that of the file that was opened: its name may have come to mean another one in between. */
bool rt_safetensors_open(rt_safetensors *s, const char *path, base_arena *arena, base_diags *diags) {
    reading r = {.s = s, .arena = arena, .diags = diags};
    struct stat st;
    s->path = base_strdup(arena, path);
    if (stat(path, &st)) return rt_cannot(diags, BASE_MSG_FILE_READ, path, errno);       /* before opening: a pipe would wait for a writer */
    if (!S_ISREG(st.st_mode)) return rt_cannot(diags, BASE_MSG_FILE_READ, path, S_ISDIR(st.st_mode) ? EISDIR : EINVAL);
    s->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (s->fd < 0 || fstat(s->fd, &st)) return rt_cannot(diags, BASE_MSG_FILE_READ, path, errno);
    if (read_header(&r, (uint64_t)st.st_size)) return true;
    if (!r.why[0]) return rt_cannot(diags, BASE_MSG_FILE_READ, path, errno);
    base_report(diags, BASE_MSG_WEIGHTS_DAMAGED, nowhere, path, r.why);
    return false;
}

/* May be called twice, and for a file that was never opened. */
void rt_safetensors_close(rt_safetensors *s) {
    if (s->fd >= 0) close(s->fd);
    s->fd = -1;
}

const rt_stored_tensor *rt_safetensors_find(const rt_safetensors *s, const char *name) {
    const rt_stored_tensor key = {.name = name};
    return bsearch(&key, s->tensors, s->n_tensors, sizeof key, by_name);
}

bool rt_safetensors_read(const rt_safetensors *s, const rt_stored_tensor *t, void *out, base_diags *diags) {
    return read_at(s->fd, out, t->bytes, t->offset) || rt_cannot(diags, BASE_MSG_FILE_READ, s->path, errno);
}

/* safetensors: 8 bytes length of the header, a JSON object { name: {dtype, shape, data_offsets: [first, last]} }, the elements.
 * Format: https://huggingface.co/docs/safetensors
 *
 * Nothing in the file is believed: the header must fit the file, every tensor must lie inside it, have exactly the bytes that its shape
 * and type need, and overlap no other. Elements stay in the file until somebody looks at them.
 */
#include <stdlib.h>
#include <string.h>
#include "rt.h"

enum { MAX_HEADER = 100 << 20 };     /* as the reference implementation has it */

/* Bytes of an element, and its sort: real, integer or truth value. */
const rt_stored_info rt_stored_types[RT_N_STORED] = {
    [RT_STORED_F64] = {"F64", 8, 'f'},   [RT_STORED_F32] = {"F32", 4, 'f'}, [RT_STORED_F16] = {"F16", 2, 'f'}, [RT_STORED_BF16] = {"BF16", 2, 'f'},
    [RT_STORED_I64] = {"I64", 8, 'i'},   [RT_STORED_I32] = {"I32", 4, 'i'}, [RT_STORED_I16] = {"I16", 2, 'i'}, [RT_STORED_I8] = {"I8", 1, 'i'},
    [RT_STORED_U64] = {"U64", 8, 'i'},   [RT_STORED_U32] = {"U32", 4, 'i'}, [RT_STORED_U16] = {"U16", 2, 'i'}, [RT_STORED_U8] = {"U8", 1, 'i'},
    [RT_STORED_BOOL] = {"BOOL", 1, 'b'},
};

uint8_t rt_stored_type(uint32_t dtype) {
    static const uint8_t plain[RT_N_DTYPES] = {[RT_F32] = RT_STORED_F32, [RT_F64] = RT_STORED_F64, [RT_I32] = RT_STORED_I32, [RT_I64] = RT_STORED_I64,
                                               [RT_BOOL] = RT_STORED_BOOL};
    return plain[dtype];
}

typedef struct {
    rt_safetensors *s;
    base_arena *arena;
    uint64_t data, data_bytes;       /* where elements begin, and how many bytes of them there are */
    rt_json json;                    /* the header; names stay in its text */
    bool metadata;                   /* __metadata__ was met */
    BASE_VEC(rt_stored_tensor) tensors;
    char why[200];                   /* what is wrong */
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

/* ---- one tensor of the header */

/* What stands in an entry, as it is read; the keys may come in any order. */
typedef struct {
    const char *dtype;               /* NULL: not met yet */
    bool has_shape, has_offsets;
    int64_t first, last;             /* data_offsets */
} entry;

/* A tensor of more axes makes the whole file unusable, also if nobody asks for it: it could not be kept. */
static bool take_shape(reading *r, rt_stored_tensor *t) {
    rt_json *j = &r->json;
    if (!rt_json_take(j, '[')) return damaged_at(r, t->name, "has a shape that is no list");
    for (bool more = !rt_json_take(j, ']'); more;) {
        if (t->rank == RT_RANK) return damaged_at(r, t->name, "has more than 8 axes");
        if (!rt_json_size(j, &t->dim[t->rank])) return damaged_at(r, t->name, "has an extent that is no size");
        t->rank++;
        more = rt_json_take(j, ',');
        if (!more && !rt_json_take(j, ']')) return damaged_at(r, t->name, "has a shape that is no list of sizes");
    }
    return true;
}

static bool take_offsets(reading *r, const rt_stored_tensor *t, entry *e) {
    rt_json *j = &r->json;
    return (rt_json_take(j, '[') && rt_json_size(j, &e->first) && rt_json_take(j, ',') && rt_json_size(j, &e->last) && rt_json_take(j, ']')) ||
           damaged_at(r, t->name, "has no two data_offsets");
}

/* One key with its value. The format knows three, and each stands once: of two nobody could say which one is meant. */
static bool take_key(reading *r, rt_stored_tensor *t, entry *e) {
    const char *key;
    if (!rt_json_string(&r->json, &key) || !rt_json_take(&r->json, ':')) return damaged_at(r, t->name, "is no JSON object");
    if (!strcmp(key, "dtype") && !e->dtype) return rt_json_string(&r->json, &e->dtype) || damaged_at(r, t->name, "has a dtype that is no text");
    if (!strcmp(key, "shape") && !e->has_shape) return e->has_shape = true, take_shape(r, t);
    if (!strcmp(key, "data_offsets") && !e->has_offsets) return e->has_offsets = true, take_offsets(r, t, e);
    return damaged_at(r, t->name, "has something else than one dtype, one shape and data_offsets");
}

/* A type we cannot use is an error only if the program wants this tensor. */
static uint8_t type_of(const char *text) {
    uint8_t k = 0;
    while (k < RT_N_STORED && strcmp(text, rt_stored_types[k].text)) k++;
    return k;
}

/* data_offsets count from the end of the header; what is kept counts from the start of the file. */
static bool settle(reading *r, rt_stored_tensor *t, const entry *e) {
    if (!e->dtype || !e->has_shape || !e->has_offsets) return damaged_at(r, t->name, "has no dtype, no shape or no data_offsets");
    if (!rt_count(t->rank, t->dim, &t->elements)) return damaged_at(r, t->name, "has a shape that is too large");
    if (e->last < e->first || (uint64_t)e->last > r->data_bytes) return damaged_at(r, t->name, "lies outside of the file");
    t->type = type_of(e->dtype);
    t->offset = r->data + (uint64_t)e->first;
    t->bytes = (uint64_t)(e->last - e->first);
    int64_t needed;
    /* How large the elements of another type are is not known, so only their place is checked. */
    if (t->type == RT_N_STORED) return true;
    if (!base_mul(t->elements, rt_stored_types[t->type].bytes, &needed) || (uint64_t)needed != t->bytes)
        return damaged_at(r, t->name, "has a shape that does not fit its bytes");
    return true;
}

static bool take_tensor(reading *r, const char *name) {
    rt_stored_tensor t = {.name = name};
    entry e = {0};
    if (!rt_json_take(&r->json, '{')) return damaged_at(r, name, "is no JSON object");
    for (bool more = !rt_json_take(&r->json, '}'); more;) {
        if (!take_key(r, &t, &e)) return false;
        more = rt_json_take(&r->json, ',');
        if (!more && !rt_json_take(&r->json, '}')) return damaged_at(r, name, "is no JSON object");
    }
    if (!settle(r, &t, &e)) return false;
    BASE_PUSH(r->arena, &r->tensors, t);
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
    qsort(order, n, sizeof *order, by_offset);
    for (uint32_t k = 1; k < n; k++)
        /* The sum does not wrap: both were checked to lie inside the file. */
        if (order[k]->offset < order[k - 1]->offset + order[k - 1]->bytes) return damaged_at(r, order[k]->name, "overlaps another tensor");
    return true;
}

/* ---- the header */

/* "__metadata__" is the one key that is no tensor: texts by names, for people. They are looked at no further. */
static bool take_metadata(reading *r) {
    const char *text;
    rt_json *j = &r->json;
    if (!rt_json_take(j, '{')) return false;
    for (bool more = !rt_json_take(j, '}'); more;) {
        if (!rt_json_string(j, &text) || !rt_json_take(j, ':') || !rt_json_string(j, &text)) return false;
        more = rt_json_take(j, ',');
        if (!more && !rt_json_take(j, '}')) return false;
    }
    return true;
}

static bool take_header(reading *r) {
    rt_json *j = &r->json;
    const char *key;
    if (!rt_json_take(j, '{')) return damaged(r, "its header is no JSON object");
    for (bool more = !rt_json_take(j, '}'); more;) {
        if (!rt_json_string(j, &key) || !rt_json_take(j, ':')) return damaged(r, "its header is no JSON object");
        if (strcmp(key, "__metadata__")) {
            if (!take_tensor(r, key)) return false;
        } else {
            if (r->metadata || !take_metadata(r)) return damaged(r, "its __metadata__ are not texts by names, or stand there twice");
            r->metadata = true;
        }
        more = rt_json_take(j, ',');
        if (!more && !rt_json_take(j, '}')) return damaged(r, "its header is no JSON object");
    }
    return rt_json_end(j) || damaged(r, "something follows its header");
}

static int by_name(const void *a, const void *b) { return strcmp(((const rt_stored_tensor *)a)->name, ((const rt_stored_tensor *)b)->name); }

/* For rt_safetensors_find, which searches by halves. Of two tensors of one name nobody could say which one is meant. */
static bool sort_names(reading *r) {
    qsort(r->s->tensors, r->s->n_tensors, sizeof *r->s->tensors, by_name);
    for (uint32_t k = 1; k < r->s->n_tensors; k++)
        if (!strcmp(r->s->tensors[k - 1].name, r->s->tensors[k].name)) return damaged_at(r, r->s->tensors[k].name, "stands there twice");
    return true;
}

/* The text is copied, since reading it decodes strings in place and the file's bytes stay as they are. */
static bool read_header(reading *r) {
    const rt_file *f = &r->s->file;
    uint64_t n = 0;
    if (f->n < 8) return damaged(r, "it is shorter than a header");
    /* The length is stored with the least byte first, whatever the machine's order is. */
    for (int k = 8; k-- > 0;) n = n << 8 | f->at[k];
    if (n > f->n - 8 || n > MAX_HEADER) return damaged(r, "its header is longer than the file");
    char *text = base_copy(r->arena, f->at + 8, (size_t)n);
    r->json = (rt_json){text, text + n};
    r->data = 8 + n;
    r->data_bytes = f->n - r->data;
    if (!take_header(r)) return false;
    r->s->tensors = r->tensors.at;
    r->s->n_tensors = r->tensors.n;
    return r->tensors.n == 0 || (no_overlap(r) && sort_names(r));
}

static bool take_file(rt_safetensors *s, base_arena *arena, base_diags *diags) {
    reading r = {.s = s, .arena = arena};
    if (read_header(&r)) return true;
    base_report(diags, BASE_MSG_WEIGHTS_DAMAGED, nowhere, s->path, r.why);
    return false;
}

bool rt_safetensors_open(rt_safetensors *s, const char *path, base_arena *arena, base_diags *diags) {
    s->path = base_strdup(arena, path);
    return rt_file_open(path, arena, diags, &s->file) && take_file(s, arena, diags);
}

/* Nothing writes through rt_file.at but what a host does to mapped tensors of its own, and params are not such. */
bool rt_safetensors_open_bytes(rt_safetensors *s, const char *name, const void *bytes, size_t n, base_arena *arena, base_diags *diags) {
    s->path = name;
    s->file = (rt_file){.at = (unsigned char *)(uintptr_t)bytes, .n = n, .stays = true};
    return take_file(s, arena, diags);
}

const rt_stored_tensor *rt_safetensors_find(const rt_safetensors *s, const char *name) {
    const rt_stored_tensor key = {.name = name};
    return s->n_tensors == 0 ? NULL : bsearch(&key, s->tensors, s->n_tensors, sizeof key, by_name);
}

/* ---- writing */

/* JSON's escapes, for what may not stand in a string; all else is UTF-8 already. */
static void put_name(base_text *out, const char *name) {
    for (; *name; name++) {
        if (*name == '"' || *name == '\\') base_text_add(out, "\\%c", *name);
        else if ((unsigned char)*name < 0x20) base_text_add(out, "\\u%04x", (unsigned)*name);
        else base_text_put(out, name, 1);
    }
}

static void put_entry(base_text *out, const rt_named *t, uint64_t from, uint64_t bytes) {
    base_text_add(out, "%s\"", out->n > 1 ? "," : "");
    put_name(out, t->name);
    base_text_add(out, "\":{\"dtype\":\"%s\",\"shape\":[", rt_stored_types[rt_stored_type(t->array.dtype)].text);
    for (uint32_t k = 0; k < t->array.rank; k++) base_text_add(out, k ? ",%lld" : "%lld", (long long)t->array.dim[k]);
    base_text_add(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)from, (unsigned long long)(from + bytes));
}

/* The widest elements first, and the header filled up to a multiple of 8: so all are aligned, and none need be copied by who maps the file. */
rt_output rt_safetensors_output(const char *path, const rt_named *dense, size_t n, base_arena *arena) {
    base_text header;
    base_text_init(&header, arena);
    base_text_add(&header, "{");
    rt_bytes *parts = BASE_ARRAY(arena, n + 2, rt_bytes);
    size_t n_parts = 2;
    uint64_t at = 0;
    for (uint32_t width = 8; width; width /= 2)
        for (size_t k = 0; k < n; k++) {
            int64_t elements = 0;
            if (rt_dtypes[dense[k].array.dtype].bytes != width) continue;
            rt_count(dense[k].array.rank, dense[k].array.dim, &elements);
            parts[n_parts] = (rt_bytes){dense[k].array.data, (size_t)elements * width};
            put_entry(&header, &dense[k], at, parts[n_parts].n);
            at += parts[n_parts++].n;
        }
    base_text_add(&header, "}%*s", (int)(7 - header.n % 8), "");
    unsigned char *length = base_alloc(arena, 8);
    for (int k = 0; k < 8; k++) length[k] = (unsigned char)((uint64_t)header.n >> 8 * k);
    parts[0] = (rt_bytes){length, 8};
    parts[1] = (rt_bytes){header.at, header.n};
    return (rt_output){path, parts, n_parts};
}

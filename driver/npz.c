/* NumPy's .npz: a zip archive of .npy files, one per tensor, named after it. libzip reads and writes the archive, in memory: the file itself goes
 * through the runtime like all others. What an archive says of its members is believed as far as its own size allows: a member is no larger
 * than deflate can make its bytes, and all members together have no more bytes than the file.
 */
#include <stdlib.h>
#include <string.h>
#include <zip.h>
#include "api.h"

static const char ending[] = ".npy";
enum { ENDING = sizeof ending - 1, MOST_EXPANSION = 1032 /* of deflate: 258 bytes by 2 bits */ };

/* ---- reading */

typedef struct { attn_tensor *at; } kept;            /* a tensor that is made; ends with a call that fails */
typedef struct {
    api_call *call;
    const char *path;
    rt_file file;
    zip_t *zip;
    zip_file_t *member;
    uint64_t left;                                   /* bytes of the file that no member has claimed */
} reading;
typedef struct { const char *path; attn_argument *list; size_t n; } asking;

/* The member first, the file last: each reads from the next. */
static void close_reading(void *self) {
    reading *r = self;
    if (r->member) zip_fclose(r->member);
    if (r->zip) zip_discard(r->zip);
    rt_file_close(&r->file);
}

/* Always false. */
static bool damaged(reading *r, const char *why) {
    base_report(r->call->diags, BASE_MSG_NPZ_DAMAGED, (base_span){0, 0, 0}, r->path, why);
    return false;
}

/* libzip has memory of its own; when it has none, that is our "out of memory" too. The text is copied before the error ends. Always false. */
static bool zip_failed(reading *r, const char *member, zip_error_t *error) {
    char why[300];
    bool memory = zip_error_code_zip(error) == ZIP_ER_MEMORY;
    snprintf(why, sizeof why, "%s%.150s%s%.100s", member ? "member '" : "", member ? member : "", member ? "': " : "", zip_error_strerror(error));
    zip_error_fini(error);
    if (memory) api_no_memory(r->call);
    return damaged(r, why);
}

/* Read only, with a check that the lists at the end and before the members agree. */
static bool open_archive(reading *r) {
    zip_error_t error;
    if (!rt_file_open(r->path, r->call->scratch, r->call->diags, &r->file)) return false;
    if (r->file.n == 0) return damaged(r, "it is empty");        /* libzip takes that for an archive without members */
    zip_error_init(&error);
    zip_source_t *source = zip_source_buffer_create(r->file.at, r->file.n, 0, &error);
    if (!source) return zip_failed(r, NULL, &error);
    r->zip = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
    if (!r->zip) zip_source_free(source);
    if (!r->zip) return zip_failed(r, NULL, &error);
    zip_error_fini(&error);
    r->left = r->file.n;
    return true;
}

/* What is said of a member, compared with what can be. */
static bool believable(reading *r, const zip_stat_t *st) {
    const zip_uint64_t needed = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    base_arena *arena = r->call->diags->arena;
    if ((st->valid & needed) != needed) return damaged(r, "a member has no name or size");
    size_t n = strlen(st->name);
    if (n <= ENDING || strcmp(st->name + n - ENDING, ending)) return damaged(r, base_printf(arena, "member '%s' is no .npy file", st->name));
    if (st->encryption_method != ZIP_EM_NONE) return damaged(r, base_printf(arena, "member '%s' is encrypted", st->name));
    if (st->comp_method != ZIP_CM_STORE && st->comp_method != ZIP_CM_DEFLATE)
        return damaged(r, base_printf(arena, "member '%s' is neither stored nor deflated", st->name));
    if (st->comp_size > r->left) return damaged(r, "its members have more bytes than it has");
    r->left -= st->comp_size;
    bool fits = st->comp_method == ZIP_CM_STORE ? st->size == st->comp_size : st->size / MOST_EXPANSION <= st->comp_size;
    return fits || damaged(r, base_printf(arena, "member '%s' has not the size that is said", st->name));
}

/* The checksum is compared when the end is met, so the end must be asked for. */
static bool read_member(reading *r, zip_uint64_t k, const zip_stat_t *st, unsigned char *to) {
    unsigned char beyond;
    r->member = zip_fopen_index(r->zip, k, 0);
    if (!r->member) return zip_failed(r, st->name, zip_get_error(r->zip));
    for (zip_uint64_t done = 0; done < st->size;) {
        zip_int64_t got = zip_fread(r->member, to + done, st->size - done);
        if (got < 0) return zip_failed(r, st->name, zip_file_get_error(r->member));
        if (got == 0) return damaged(r, base_printf(r->call->diags->arena, "member '%s' ends too early", st->name));
        done += (zip_uint64_t)got;
    }
    if (zip_fread(r->member, &beyond, 1) != 0) return damaged(r, base_printf(r->call->diags->arena, "member '%s' has a wrong checksum or size", st->name));
    zip_fclose(r->member);
    r->member = NULL;
    return true;
}

static void destroy_kept(void *self) { attn_tensor_destroy(((kept *)self)->at); }

/* A tensor in an arena of its own, which holds its name too. It is handed to a clean-up, since `keep` has room for one only; until then `keep`
 * takes care of it. The elements stay in the member's bytes where those are in order. */
static attn_tensor *take_member(reading *r, zip_uint64_t k, const char **name) {
    api_call *call = r->call;
    zip_stat_t st;
    zip_stat_init(&st);
    if (zip_stat_index(r->zip, k, 0, &st)) return zip_failed(r, NULL, zip_get_error(r->zip)), NULL;
    if (!believable(r, &st)) return NULL;
    kept *keeper = BASE_NEW(call->scratch, kept);
    api_defer(call, destroy_kept, keeper, true);
    attn_tensor *t = api_tensor_blank(call);
    keeper->at = t;
    call->keep = NULL;
    unsigned char *bytes = base_alloc(t->arena, (size_t)st.size);
    if (!read_member(r, k, &st, bytes)) return NULL;
    *name = base_strndup(t->arena, st.name, strlen(st.name) - ENDING);
    const char *place = base_printf(call->scratch, "%s: %s", r->path, st.name);
    return rt_npy_parse(place, bytes, (size_t)st.size, true, t->arena, call->diags, &t->array) ? t : NULL;
}

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

/* Of two tensors of one name nobody could say which one is meant. */
static bool names_differ(reading *r, const attn_argument *list, size_t n) {
    const char **names = BASE_ARRAY(r->call->scratch, n, const char *);
    for (size_t k = 0; k < n; k++) names[k] = list[k].name;
    if (n) qsort(names, n, sizeof *names, by_name);
    for (size_t k = 1; k < n; k++)
        if (!strcmp(names[k - 1], names[k])) return damaged(r, base_printf(r->call->diags->arena, "tensor '%s' stands there twice", names[k]));
    return true;
}

/* The list is the caller's, from the context's allocator; taken last, when nothing can fail any more. */
static void hand_out(api_call *call, asking *a, const attn_argument *list) {
    size_t bytes = a->n * sizeof *list;
    a->list = call->allocator.alloc(call->allocator.self, bytes + !bytes);
    if (!a->list) api_no_memory(call);
    if (bytes) memcpy(a->list, list, bytes);
}

static attn_status read_npz(api_call *call, void *args) {
    asking *a = args;
    reading *r = BASE_NEW(call->scratch, reading);
    *r = (reading){.call = call, .path = a->path};
    api_defer(call, close_reading, r, false);
    if (!open_archive(r)) return api_status(call);
    a->n = (size_t)zip_get_num_entries(r->zip, 0);       /* each has its row in the file */
    attn_argument *list = BASE_ARRAY(call->scratch, a->n, attn_argument);
    for (size_t k = 0; k < a->n; k++)
        if (!(list[k].tensor = take_member(r, k, &list[k].name))) return api_status(call);
    if (!names_differ(r, list, a->n)) return api_status(call);
    hand_out(call, a, list);
    return ATTN_OK;
}

attn_status attn_tensors_read_npz(attn_context *context, const char *path, attn_diagnostics *diagnostics, attn_argument **out, size_t *n_out) {
    asking a = {.path = path};
    if (!out || !n_out) return ATTN_ERROR_ARGUMENT;
    *out = NULL;
    *n_out = 0;
    if (!context || !path) return ATTN_ERROR_ARGUMENT;
    attn_status status = api_run(&context->allocator, diagnostics, read_npz, &a);
    if (status != ATTN_OK) return status;
    *out = a.list;
    *n_out = a.n;
    return ATTN_OK;
}

/* The allocator wants sizes back, so the number must be that of the reading. */
void attn_arguments_destroy(attn_context *context, attn_argument *arguments, size_t n) {
    if (!context || !arguments) return;
    for (size_t k = 0; k < n; k++) attn_tensor_destroy(arguments[k].tensor);
    size_t bytes = n * sizeof *arguments;
    context->allocator.free(context->allocator.self, arguments, bytes + !bytes);
}

/* ---- writing: the archive is made in memory and appears as a file at once */

typedef struct { const attn_argument *tensors; size_t n; const char *path; } writing;
typedef struct {
    api_call *call;
    const char *path;
    zip_source_t *bytes;                             /* the archive when it is complete */
    zip_t *zip;
} archive;

static void close_archive(void *self) {
    archive *a = self;
    if (a->zip) zip_discard(a->zip);
    if (a->bytes) zip_source_free(a->bytes);
}

/* Always false. */
static bool cannot(archive *a, zip_error_t *error) {
    char why[128];
    bool memory = zip_error_code_zip(error) == ZIP_ER_MEMORY;
    snprintf(why, sizeof why, "%s", zip_error_strerror(error));
    zip_error_fini(error);
    if (memory) api_no_memory(a->call);
    base_report(a->call->diags, BASE_MSG_FILE_WRITE, (base_span){0, 0, 0}, a->path, why);
    return false;
}

static bool create_archive(archive *a) {
    zip_error_t error;
    zip_error_init(&error);
    a->bytes = zip_source_buffer_create(NULL, 0, 0, &error);
    if (!a->bytes) return cannot(a, &error);
    zip_source_keep(a->bytes);                       /* closing the archive gives back one reference */
    a->zip = zip_open_from_source(a->bytes, ZIP_CREATE | ZIP_TRUNCATE, &error);
    if (!a->zip) zip_source_free(a->bytes);
    if (!a->zip) return cannot(a, &error);
    zip_error_fini(&error);
    return true;
}

/* Stored, as np.savez does, and always with the same date: the same tensors are the same file. */
static bool add_member(archive *a, const attn_argument *argument) {
    base_arena *arena = a->call->scratch;
    rt_array dense = api_dense(a->call, &argument->tensor->array);
    const rt_output npy = rt_npy_output(NULL, &dense, arena);
    zip_buffer_fragment_t *parts = BASE_ARRAY(arena, npy.n_parts, zip_buffer_fragment_t);
    for (size_t k = 0; k < npy.n_parts; k++) parts[k] = (zip_buffer_fragment_t){(zip_uint8_t *)(uintptr_t)npy.parts[k].at, npy.parts[k].n};
    const char *name = base_printf(arena, "%s%s", argument->name, ending);
    zip_source_t *source = zip_source_buffer_fragment(a->zip, parts, npy.n_parts, 0);
    if (!source) return cannot(a, zip_get_error(a->zip));
    zip_int64_t k = zip_file_add(a->zip, name, source, ZIP_FL_ENC_UTF_8);
    if (k < 0) zip_source_free(source);
    enum { FIRST_DAY = 1 << 5 | 1 };                 /* 1 January 1980, where the dates of archives begin */
    bool fine = k >= 0 && !zip_set_file_compression(a->zip, (zip_uint64_t)k, ZIP_CM_STORE, 0) &&
                !zip_file_set_dostime(a->zip, (zip_uint64_t)k, 0, FIRST_DAY, 0);
    return fine || cannot(a, zip_get_error(a->zip));
}

/* libzip makes no archive without members: it is the row that ends each archive, alone. */
static rt_bytes no_members(void) {
    static const unsigned char end[22] = "PK\5\6";
    return (rt_bytes){end, sizeof end};
}

/* Closing writes. A failure leaves the archive open, and what it was to be written to as it was. */
static bool finish(archive *a, rt_bytes *out) {
    if (zip_close(a->zip)) return cannot(a, zip_get_error(a->zip));
    a->zip = NULL;
    zip_stat_t st;
    zip_stat_init(&st);
    if (zip_source_stat(a->bytes, &st) || zip_source_open(a->bytes)) return cannot(a, zip_source_error(a->bytes));
    unsigned char *to = base_alloc(a->call->scratch, (size_t)st.size);
    *out = (rt_bytes){to, (size_t)st.size};
    zip_int64_t got = zip_source_read(a->bytes, to, st.size);
    zip_source_close(a->bytes);
    return (got >= 0 && (zip_uint64_t)got == st.size) || cannot(a, zip_source_error(a->bytes));
}

/* The checks come before anything is made. */
static attn_status check_arguments(api_call *call, const writing *w) {
    if (!w->path || (w->n && !w->tensors)) return api_argument(call, "an archive without path or tensors");
    for (size_t k = 0; k < w->n; k++) {
        if (!w->tensors[k].name || !*w->tensors[k].name || !w->tensors[k].tensor) return api_argument(call, "a member of an archive without name or tensor");
        for (size_t i = 0; i < k; i++)
            if (!strcmp(w->tensors[i].name, w->tensors[k].name)) return api_argument(call, "two members of an archive have the same name");
    }
    return ATTN_OK;
}

static attn_status write_npz(api_call *call, void *args) {
    const writing *w = args;
    attn_status status = check_arguments(call, w);
    if (status != ATTN_OK) return status;
    archive *a = BASE_NEW(call->scratch, archive);
    *a = (archive){.call = call, .path = w->path};
    api_defer(call, close_archive, a, false);
    if (!create_archive(a)) return api_status(call);
    for (size_t k = 0; k < w->n; k++)
        if (!add_member(a, &w->tensors[k])) return api_status(call);
    rt_bytes bytes = no_members();
    const rt_output out = {w->path, &bytes, 1};
    return (w->n == 0 || finish(a, &bytes)) && rt_files_write(&out, 1, call->scratch, call->diags) ? ATTN_OK : api_status(call);
}

attn_status attn_tensors_write_npz(attn_context *context, const attn_argument *tensors, size_t n_tensors, const char *path, attn_diagnostics *diagnostics) {
    writing w = {tensors, n_tensors, path};
    return context ? api_run(&context->allocator, diagnostics, write_npz, &w) : ATTN_ERROR_ARGUMENT;
}

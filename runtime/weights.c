/* From stored tensors to params. The name of a param in the file may hold places, "layer.{l}.query.weight": each stacks tensors along the
 * next leading axis. What is stored may split or join the axes of the param, as long as they group: [H*D, E] is a view of [H, D, E]
 * and the other way round. Dims of the param that are not known yet (-1) are taken from what is stored, where axes stand one to one.
 */
#include <string.h>
#include "rt.h"

/* One param being loaded. Its axes are the stacked ones first, then those of one stored tensor, called inner here. */
typedef struct {
    const rt_safetensors *s;
    rt_param *param;
    base_arena *arena;
    base_diags *diags;
    uint32_t n_stacked;              /* places in the name */
} loading;

static const base_span nowhere = {0, 0, 0};

/* ---- names */

/* A place is {, anything, }: what stands between the braces is for people, order decides. */
uint32_t rt_storage_places(const char *storage) {
    uint32_t n = 0;
    for (const char *at = storage; (at = strchr(at, '{')) && (at = strchr(at, '}'));) n++;
    return n;
}

/* What follows an open brace without an end is taken as it stands. */
const char *rt_storage_name(base_arena *arena, const char *storage, const int64_t *index) {
    base_text out;
    base_text_init(&out, arena);
    for (uint32_t k = 0;; k++) {
        const char *open = strchr(storage, '{'), *close = open ? strchr(open, '}') : NULL;
        if (!close) break;
        base_text_put(&out, storage, (size_t)(open - storage));
        base_text_add(&out, "%lld", (long long)index[k]);
        storage = close + 1;
    }
    base_text_add(&out, "%s", storage);
    return out.at;
}

/* The last axis runs fastest. */
void rt_next_index(uint32_t rank, const int64_t *dim, int64_t *index) {
    for (uint32_t axis = rank; axis-- > 0;) {
        if (++index[axis] < dim[axis]) break;
        index[axis] = 0;
    }
}

static const char *name_at(const loading *l, const int64_t *index) { return rt_storage_name(l->arena, l->param->storage, index); }

/* A stacked axis of unknown extent ends before the first name that is not there. */
static void probe_stacked(loading *l) {
    int64_t index[RT_RANK] = {0};
    for (uint32_t k = 0; k < l->n_stacked; k++) {
        if (l->param->dim[k] >= 0) continue;
        for (index[k] = 0; rt_safetensors_find(l->s, name_at(l, index)); index[k]++) {}
        l->param->dim[k] = index[k];
        index[k] = 0;
    }
}

/* ---- messages */

static const char *stored_shape(base_arena *arena, uint32_t rank, const int64_t *dim) {
    base_text out;
    base_text_init(&out, arena);
    base_text_add(&out, "[");
    for (uint32_t k = 0; k < rank; k++) base_text_add(&out, k ? ", %lld" : "%lld", (long long)dim[k]);
    base_text_add(&out, "]");
    return out.at;
}

/* Axes from `from` on, with numbers where they are known and as the program writes them where they are not. */
static const char *declared_shape(const loading *l, uint32_t from) {
    base_text out;
    base_text_init(&out, l->diags->arena);
    base_text_add(&out, "[");
    for (uint32_t k = from; k < l->param->rank; k++) {
        const char *text = l->param->dim_texts ? l->param->dim_texts[k] : "?";
        base_text_add(&out, k > from ? ", " : "");
        if (l->param->dim[k] < 0) base_text_add(&out, "%s", text);
        else base_text_add(&out, "%lld", (long long)l->param->dim[k]);
    }
    base_text_add(&out, "]");
    return out.at;
}

/* Names one tensor that is there: a wrong prefix, or the wrong file, shows in a single name. */
static bool missing(const loading *l, const char *name) {
    base_diag *d = base_report(l->diags, BASE_MSG_WEIGHT_MISSING, nowhere, l->s->path, name, l->param->name);
    if (l->s->n_tensors == 0) d->found = "a file without tensors";
    else d->found = base_printf(l->diags->arena, "%u tensors, among them '%s'", l->s->n_tensors, l->s->tensors[0].name);
    return false;
}

static bool wrong_shape(const loading *l, const rt_stored_tensor *t) {
    base_diag *d = base_report(l->diags, BASE_MSG_WEIGHT_SHAPE, nowhere, t->name, l->param->name);
    d->expected = declared_shape(l, l->n_stacked);
    d->found = stored_shape(l->diags->arena, t->rank, t->dim);
    return false;
}

static bool wrong_type(const loading *l, const rt_stored_tensor *t) {
    const char *found = t->type < RT_N_STORED ? rt_stored_types[t->type].text : "a type that is not supported";
    base_diag *d = base_report(l->diags, BASE_MSG_WEIGHT_TYPE, nowhere, t->name, l->param->name);
    d->expected = base_printf(l->diags->arena, "elements that fit %s", rt_dtypes[l->param->dtype].name);
    d->found = found;
    return false;
}

/* ---- shapes */

/* Fills unknown dims, but only where axes stand one to one: of a split or joined axis nobody could say how much belongs
 * to which. */
static void adopt(loading *l, const rt_stored_tensor *t) {
    uint32_t inner = l->param->rank - l->n_stacked;
    for (uint32_t k = 0; t->rank == inner && k < inner; k++)
        if (l->param->dim[l->n_stacked + k] < 0) l->param->dim[l->n_stacked + k] = t->dim[k];
}

/* Two lists of extents are views of each other if they fall into groups of equal products, each with a single axis on one side:
 * [2, 3] is [6] split, but not [3, 2]. */
static bool groups(const int64_t *a, uint32_t na, const int64_t *b, uint32_t nb) {
    uint32_t i = 0, j = 0;
    while (i < na || j < nb) {
        uint32_t left = i, right = j;
        int64_t x = i < na ? a[i++] : 1, y = j < nb ? b[j++] : 1;
        /* The smaller product takes the next extent of its side until both are equal; no extent is 0 here. */
        while (x != y) {
            if (x < y ? i == na : j == nb) return false;
            if (x < y ? !base_mul(x, a[i++], &x) : !base_mul(y, b[j++], &y)) return false;
        }
        /* Several axes on both sides would be another arrangement of the same elements, not a split or a join. */
        if (i - left > 1 && j - right > 1) return false;
    }
    return true;
}

/* Without elements products say nothing ([0, 7] is no view of [5, 0]), so shapes must be the same.
 * Reports and answers false if the stored tensor is no view of the param's inner axes. The first slice may complete the
 * dims; all others must then agree. */
static bool fits(loading *l, const rt_stored_tensor *t) {
    uint32_t inner = l->param->rank - l->n_stacked;
    const int64_t *dim = l->param->dim + l->n_stacked;
    adopt(l, t);
    for (uint32_t k = 0; k < inner; k++)
        if (dim[k] < 0) return wrong_shape(l, t);
    int64_t n;
    bool same = rt_count(inner, dim, &n) && n == t->elements;
    if (same && n == 0) same = t->rank == inner && !memcmp(dim, t->dim, inner * sizeof *dim);
    else if (same) same = groups(t->dim, t->rank, dim, inner);
    return same || wrong_shape(l, t);
}

/* ---- elements */

/* Stored as the program wants it. Truth values are not: they are looked at one by one. */
static bool same_layout(uint8_t stored, uint32_t dtype) { return rt_stored_type(dtype) == stored && stored != RT_STORED_BOOL; }

static unsigned char *stored_data(const loading *l, const rt_stored_tensor *t) { return l->s->file.at + t->offset; }

static bool load_slice(loading *l, const rt_stored_tensor *t, void *to) {
    if (t->type == RT_N_STORED) return wrong_type(l, t);
    if (!same_layout(t->type, l->param->dtype)) return rt_convert(t->type, stored_data(l, t), l->param->dtype, to, t->elements) || wrong_type(l, t);
    if (t->bytes) memcpy(to, stored_data(l, t), (size_t)t->bytes);
    return true;
}

/* NULL after a report. */
static const rt_stored_tensor *find(const loading *l, const int64_t *index) {
    const char *name = name_at(l, index);
    const rt_stored_tensor *t = rt_safetensors_find(l->s, name);
    if (!t) missing(l, name);
    return t;
}

/* All slices of the stacked axes, in row-major order of their indices. */
static bool load_slices(loading *l, int64_t n_slices, unsigned char *to, size_t slice_bytes) {
    int64_t index[RT_RANK] = {0};
    for (int64_t k = 0; k < n_slices; k++, to += slice_bytes) {
        const rt_stored_tensor *t = find(l, index);
        if (!t || !fits(l, t) || !load_slice(l, t, to)) return false;
        rt_next_index(l->n_stacked, l->param->dim, index);
    }
    return true;
}

/* Dims are complete before memory is taken: the first slice says what is unknown. NULL after a report. */
static const rt_stored_tensor *find_first(loading *l) {
    int64_t index[RT_RANK] = {0};
    const rt_stored_tensor *t = find(l, index);
    return t && fits(l, t) ? t : NULL;
}

/* The elements of a param that is one stored tensor, where they stand; NULL if they must be copied. Those of a small file that was read are always
 * copied: it ends with the call. */
static void *in_place(const loading *l, const rt_stored_tensor *t) {
    void *at = t ? stored_data(l, t) : NULL;
    bool fine = t && l->n_stacked == 0 && (l->s->file.mapped || l->s->file.stays) && same_layout(t->type, l->param->dtype);
    return fine && (uintptr_t)at % rt_dtypes[l->param->dtype].bytes == 0 ? at : NULL;
}

bool rt_param_load(const rt_safetensors *s, rt_param *param, base_arena *arena, base_diags *diags, void **data) {
    loading l = {s, param, arena, diags, rt_storage_places(param->storage)};
    if (l.n_stacked > param->rank) {
        base_report(diags, BASE_MSG_WEIGHT_STACK, nowhere, param->storage, param->name);
        return false;
    }
    bool probed = false;                         /* how many there are is asked of the file: then one at least must be there */
    for (uint32_t k = 0; k < l.n_stacked; k++) probed |= param->dim[k] < 0;
    probe_stacked(&l);
    int64_t n_slices, n_slice, bytes, all;
    bool counted = rt_count(l.n_stacked, param->dim, &n_slices);
    const rt_stored_tensor *first = NULL;
    if (counted && (n_slices > 0 || probed) && !(first = find_first(&l))) return false;      /* without places in the name there is one slice */
    if (!counted || !rt_count(param->rank - l.n_stacked, param->dim + l.n_stacked, &n_slice) || !base_mul(n_slice, rt_dtypes[param->dtype].bytes, &bytes) ||
        !base_mul(bytes, n_slices, &all)) {
        base_report(diags, BASE_MSG_TENSOR_LARGE, nowhere, param->name);
        return false;
    }
    *data = in_place(&l, first);
    if (*data) return true;
    *data = base_alloc(arena, (size_t)all);
    return load_slices(&l, n_slices, *data, (size_t)bytes);
}

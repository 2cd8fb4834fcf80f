/* Text of a module: the prelude, then one entry per kernel. Also what both forms of the template share: lines, axes, stores.
 *
 * An entry takes one struct of 8-byte words, the ints of its frame and then its buffers, so that a launch has one parameter whatever the kernel.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "writer.h"

/* ---- lines */

/* One line of C at the depth of the braces; what follows a line break in the text (names come from programs) is dropped. */
static void put_line(cuda_writer *w, const char *format, va_list list, const char *end) {
    const char *text = base_vprintf(w->arena, format, list);
    size_t n = strcspn(text, "\n");
    /* `end` begins with a blank, which an empty line does not want before its brace. */
    base_text_add(w->out, "%*s%.*s%s\n", (int)(4 * w->depth), "", (int)n, text, n || *end == 0 ? end : end + 1);
}

void cuda_line(cuda_writer *w, const char *format, ...) {
    va_list list;
    va_start(list, format);
    put_line(w, format, list, "");
    va_end(list);
}

/* Each has its cuda_close; an empty format is a block of its own. */
void cuda_open(cuda_writer *w, const char *format, ...) {
    va_list list;
    va_start(list, format);
    put_line(w, format, list, " {");
    va_end(list);
    w->depth++;
}

void cuda_close(cuda_writer *w) {
    w->depth--;
    cuda_line(w, "}");
}

/* The first reason is the one that is told; printing goes on to keep every caller simple, and the text is thrown away. */
void cuda_fail(cuda_writer *w, const char *why) {
    if (!w->failed) base_report(w->diags, BASE_MSG_CUDA_KERNEL, w->k->span, w->k->name, why);
    w->failed = true;
}

/* ---- axes */

/* Axes are passed around as indices into the kernel's list; these two look behind an index. */
static ir_var axis_var(const cuda_writer *w, uint32_t axis) { return w->k->axes[axis].var; }
static ir_expr axis_extent(const cuda_writer *w, uint32_t axis) { return w->k->axes[axis].extent; }

/* Room for all axes, none in it; lives as long as the text. */
static cuda_axes axes_room(const cuda_writer *w) { return (cuda_axes){BASE_ARRAY(w->arena, w->k->n_axes, uint32_t), 0}; }

ir_set cuda_axes_set(const cuda_writer *w, cuda_axes axes) {
    ir_set s = 0;
    for (uint32_t i = 0; i < axes.n; i++) {
        ir_var v = axis_var(w, axes.at[i]);
        s = ir_set_union(w->u, s, ir_set_of(w->u, 1, &v));
    }
    return s;
}

/* Roles are compared, not masked: an item is role 0. */
static bool has_role(uint8_t role, uint32_t n_roles, const uint8_t *roles) {
    bool found = false;
    for (uint32_t i = 0; i < n_roles; i++) found |= roles[i] == role;
    return found;
}

cuda_axes cuda_axes_of_role(const cuda_writer *w, uint32_t n_roles, const uint8_t *roles) {
    cuda_axes axes = axes_room(w);
    for (uint32_t i = 0; i < w->k->n_axes; i++)
        if (has_role(w->k->axes[i].role, n_roles, roles)) axes.at[axes.n++] = i;
    return axes;
}

/* In the order of the variables, not of the kernel: that is the order in which a line's loops nest. */
cuda_axes cuda_axes_of_vars(const cuda_writer *w, uint32_t n, const ir_var *vars) {
    cuda_axes axes = axes_room(w);
    for (uint32_t v = 0; v < n; v++)
        for (uint32_t i = 0; i < w->k->n_axes; i++)
            if (axis_var(w, i) == vars[v]) axes.at[axes.n++] = i;
    return axes;
}

/* A position among axes can be taken apart into digits only where no extent depends on another of these axes; what stands before stays a
 * loop of its own. */
uint32_t cuda_axes_free_suffix(const cuda_writer *w, cuda_axes axes) {
    uint32_t first = axes.n;
    for (bool ok = true; ok && first > 0; first -= ok)
        for (uint32_t i = first; i < axes.n && ok; i++) ok = !ir_depends(w->u, axis_extent(w, axes.at[i]), axis_var(w, axes.at[first - 1]));
    return first;
}

/* An extent may depend on an axis whose loop is around it, so extents are printed between the loops' heads. */
void cuda_loops(cuda_writer *w, const uint32_t *axes, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        const char *name = w->var_name[axis_var(w, axes[i])], *extent = cuda_expr(w, axis_extent(w, axes[i]));
        cuda_open(w, "for (i64 %s = 0; %s < %s; %s++)", name, name, extent, name);
    }
}

/* An extent below 0 counts as 0, or the product of two of them would be a number of points. */
const char *cuda_count(cuda_writer *w, const char *name, const uint32_t *axes, uint32_t n) {
    base_text t;
    base_text_init(&t, w->arena);
    for (uint32_t i = 0; i < n; i++) base_text_add(&t, "%scount(%s)", i ? " * " : "", cuda_expr(w, axis_extent(w, axes[i])));
    cuda_line(w, "const i64 n_%s = %s;", name, n ? t.at : "1");
    return base_printf(w->arena, "n_%s", name);
}

/* Row-major, the last axis fastest; the first needs no division, it is what is left. */
void cuda_digits(cuda_writer *w, const char *name, const char *from, const uint32_t *axes, uint32_t n) {
    if (n > 1) cuda_line(w, "i64 rest_%s = %s;", name, from);
    /* Each digit takes its axis off `rest`; extents are not 0 here, or there would be no point. */
    for (uint32_t i = n; i-- > 1;) {
        const char *extent = cuda_expr(w, axis_extent(w, axes[i]));
        cuda_line(w, "const i64 %s = digit(rest_%s, %s);", w->var_name[axis_var(w, axes[i])], name, extent);
    }
    if (n == 1) cuda_line(w, "const i64 %s = %s;", w->var_name[axis_var(w, axes[0])], from);
    else if (n > 1) cuda_line(w, "const i64 %s = rest_%s;", w->var_name[axis_var(w, axes[0])], name);
}

/* ---- stores */

static bool store_has(const cuda_writer *w, const ir_kernel_store *s, ir_var v) {
    bool found = false;
    for (uint32_t i = 0; i < s->at.n_places; i++) found |= ir_depends(w->u, s->at.places[i], v);
    return found;
}

/* All items and rows: each has something to store. Of columns and values those that move the place. */
cuda_axes cuda_store_axes(const cuda_writer *w, const ir_kernel_store *s, uint32_t n_roles, const uint8_t *roles) {
    cuda_axes axes = axes_room(w);
    for (uint32_t i = 0; i < w->k->n_axes; i++) {
        const ir_axis *a = &w->k->axes[i];
        if (has_role(a->role, n_roles, roles) && (a->role == IR_ITEM || a->role == IR_ROW || store_has(w, s, a->var))) axes.at[axes.n++] = i;
    }
    return axes;
}

/* Integers saturate, reals are rounded to the element. */
static const char *stored(cuda_writer *w, uint8_t dtype, const char *value) {
    /* C's own conversion of what does not fit would keep the low bits. */
    if (dtype == IR_TYPE_I32) return base_printf(w->arena, "saturate_i32(%s)", value);
    return base_printf(w->arena, "(%s)(%s)", cuda_element(dtype), value);
}

/* Places that are not proved in range are tested: a wrong one is the business of a check, not of memory. */
static const char *store_guard(cuda_writer *w, const ir_kernel_store *s) {
    const ir_type *type = &w->u->value.at[s->at.result].type;
    base_text t;
    base_text_init(&t, w->arena);
    for (uint32_t i = 0; i < s->at.n_places; i++)
        if (!ir_in_range(w->u, s->at.places[i], type->dim[i]))
            base_text_add(&t, "%swithin(%s, %s)", t.n ? " && " : "", cuda_expr(w, s->at.places[i]), cuda_expr(w, type->dim[i]));
    return t.n ? t.at : NULL;
}

void cuda_store(cuda_writer *w, const ir_kernel_store *s) {
    const ir_type *type = &w->u->value.at[s->at.result].type;
    cuda_want(w, s->e);
    /* Printed before the line: each of them may print constants first, and these stand outside of the guard. They do no harm there. */
    const char *guard = store_guard(w, s), *value = cuda_expr(w, s->e), *address = cuda_address(w, s->at.result, s->at.n_places, s->at.places, false);
    /* Read, add, write: points.c and rows.c see to it that no two threads do so at one time. */
    if (s->at.mode == IR_STORE_ADD) value = base_printf(w->arena, "load(%s, %s) + %s", w->value_name[s->at.result], address, value);
    cuda_line(w, "%s%s%sstore(%s, %s, %s);", guard ? "if (" : "", guard ? guard : "", guard ? ") " : "", w->value_name[s->at.result], address, stored(w, type->dtype, value));
}

/* ---- names: those of the program, made into C names and told apart */

/* A prefix per kind keeps names of the program from those of the text (let0, rest_point) and from C's words. */
static const char *name_new(cuda_writer *w, base_map *used, const char *prefix, const char *name) {
    char *text = base_printf(w->arena, "%s_%s", prefix, name ? name : "");
    for (char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c)) *c = '_';
    const char *unique = text;
    uint32_t taken;
    /* Other letters become `_`, so names that differ in the program may meet here. */
    for (uint32_t i = 2; base_map_get(used, unique, &taken); i++) unique = base_printf(w->arena, "%s_%u", text, i);
    base_map_put(used, unique, 1);
    return unique;
}

/* Dimensions, counters, axes, buffers; the second of a name gets a number. */
static void name_all(cuda_writer *w) {
    const ir_kernel *k = w->k;
    base_map *used = base_map_create(w->arena);
    /* By id in the unit; NULL for all that is not of this kernel. */
    w->var_name = BASE_ARRAY(w->arena, w->u->var.n + 1, const char *);
    w->dim_name = BASE_ARRAY(w->arena, w->u->dim.n + 1, const char *);
    w->value_name = BASE_ARRAY(w->arena, w->u->value.n + 1, const char *);
    for (uint32_t i = 0; i < k->n_dims; i++) w->dim_name[k->dims[i]] = name_new(w, used, "dim", w->u->dim.at[k->dims[i]].name);
    for (uint32_t i = 0; i < k->n_counters; i++) w->var_name[k->counters[i]] = name_new(w, used, "at", w->u->var.at[k->counters[i]].name);
    for (uint32_t i = 0; i < k->n_axes; i++) w->var_name[k->axes[i].var] = name_new(w, used, "at", w->u->var.at[k->axes[i].var].name);
    for (uint32_t i = 0; i < k->n_values; i++) w->value_name[k->values[i]] = name_new(w, used, "buf", w->u->value.at[k->values[i]].name);
}

/* ---- entries */

/* The index makes it unique within a text; backend.c finds the kernel by the same name. */
const char *cuda_symbol(base_arena *arena, uint32_t index, const ir_kernel *k) {
    char *name = base_printf(arena, "k%u_%s", index, k->name);
    for (char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c)) *c = '_';
    return name;
}

/* What is stored into is not const, also where it is read (`+=`). */
static bool is_result(const ir_kernel *k, ir_value v) {
    bool found = false;
    for (uint32_t i = 0; i < k->n_stores; i++) found |= k->stores[i].at.result == v;
    return found;
}

/* One word per parameter: `each` prints the declaration in the struct, or the local that stands for it. */
static void parameters(cuda_writer *w, bool locals) {
    const ir_kernel *k = w->k;
    for (uint32_t i = 0; i < k->n_dims + k->n_counters; i++) {
        const char *name = i < k->n_dims ? w->dim_name[k->dims[i]] : w->var_name[k->counters[i - k->n_dims]];
        if (locals) cuda_line(w, "const i64 %s = arg.%s;", name, name);
        else cuda_line(w, "i64 %s;", name);
    }
    for (uint32_t i = 0; i < k->n_values; i++) {
        const char *name = w->value_name[k->values[i]], *type = cuda_element(w->u->value.at[k->values[i]].type.dtype), *constant = is_result(k, k->values[i]) ? "" : "const ";
        if (locals) cuda_line(w, "%s%s *const %s = arg.%s;", constant, type, name, name);
        else cuda_line(w, "%s%s *%s;", constant, type, name);
    }
}

/* Each line of the kernel's text gets its own `//`: cuda_line drops what follows a line break. */
static void comment(cuda_writer *w) {
    base_text t;
    base_text_init(&t, w->arena);
    ir_kernel_print(w->k, &t);
    for (char *at = t.at, *end; *at; at = end + (*end == '\n')) {
        end = at + strcspn(at, "\n");
        cuda_line(w, "// %.*s", (int)(end - at), at);
    }
}

/* The kernel's own text stands above it as a comment, and every line below carries the number it has there. */
/* The struct's members and the locals have the same names, so the text below never mentions `arg`. */
static void entry(cuda_writer *w, uint32_t index) {
    const char *symbol = cuda_symbol(w->arena, index, w->k);
    cuda_line(w, "%s", "");
    comment(w);
    cuda_open(w, "struct %s_args", symbol);
    parameters(w, false);
    w->depth--;
    cuda_line(w, "};");
    cuda_open(w, "KERNEL(%s, %s_args)", symbol, symbol);
    parameters(w, true);
    /* Counters have their values from the frame, so they are bound from the start and never hide anything. */
    w->bound = ir_set_of(w->u, w->k->n_counters, w->k->counters);
    if (w->k->n_sweeps == 0) cuda_points(w);
    else cuda_rows(w);
    cuda_close(w);
}

/* The writer lives for one kernel; its arena is that of the text. False: reported. */
static bool kernel(uint32_t index, const ir_schedule *s, base_text *out, base_diags *diags) {
    ir_unit *u = s->kernel->unit;
    cuda_writer w = {.u = u, .k = s->kernel, .arena = out->arena, .out = out, .diags = diags, .real = s->kernel->real == IR_TYPE_F64 ? "double" : "float"};
    /* Refused before a line is printed: all that follows relies on the form. */
    if (s->form != IR_NEST) {
        cuda_fail(&w, "its schedule has a template that is not known here");
        return false;
    }
    w.seen = BASE_ARRAY(out->arena, u->expr.n, uint32_t);
    name_all(&w);
    cuda_lets_init(&w);
    entry(&w, index);
    return !w.failed;
}

/* All kernels are tried, so that one compile tells every reason; the text is of use only if it returns true. */
bool cuda_emit(uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags) {
    bool ok = true;
    cuda_prelude(out);
    for (uint32_t i = 0; i < n; i++) ok &= kernel(i, schedules[i], out, diags);
    return ok;
}

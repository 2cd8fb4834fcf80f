/* attn_program_build: a program as files. Which files, the suffix says; each kind is a function of the table below. Everything is made in memory
 * first and written together, so that a failure leaves nothing behind.
 *
 * An object is a bundle (backend_cpu/llvm/bundle.c): the bytes of one module for each CPU level, the weights if they go in, a table of both, and the
 * functions of the header, each of which hands its arguments on to runtime/shared.c together with what it stands for.
 */
#include <string.h>
#include "build.h"
#include "sizes.h"
#ifdef ATTN_WITH_CPU
#include "cpu.h"
#endif

static const base_span nowhere = {0, 0, 0};

/* One build. The options are the caller's, completed with defaults; all that is made lies in scratch memory of the call. */
typedef struct {
    api_call *call;
    attn_context *context;
    const attn_program *program;
    const attn_build_options *options;
    const char *path;
    const char *target, *arch;               /* "cuda" and "sm_90a" of "cuda:sm_90a"; arch NULL: not said */
    bool linked;                             /* the object becomes a shared object */
} building;

/* ---- texts of one graph */

#ifdef ATTN_WITH_CPU
/* In the shape of ir_backend.emit, so that build_text need not know which text it writes. */
static bool put_assembly(const ir_backend *b, const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags) {
    (void)b;
    return cpu_assembly(target, n, schedules, out, diags);
}
#endif

/* ir_backend.emit, or something like it. */
typedef bool put_text(const ir_backend *b, const ir_target *target, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags);

/* Kernels of several graphs would share names, so a text holds one graph; of listed values (`where D in {..}`) it shows the general case, as
 * `attnc ir --code` does. put NULL: the backend's own text. */
static bool build_text(building *b, put_text *put, const char *arch) {
    const ir_backend *backend = drv_backend(b->context, b->target);
    const api_graph *g = api_graph_find(b->program, b->options->graph);
    pass_state s;
    base_text text;
    base_text_init(&text, b->call->scratch);
    uint32_t k = (uint32_t)(g - b->program->graphs);
    if (!drv_lower(b->call, b->call->scratch, b->program, k, 0, NULL, backend, arch, b->options->dims, b->options->n_dims, NULL, &s)) return false;
    if (!(put ? put : backend->emit)(backend, s.target, s.n_kernels, (const ir_schedule *const *)s.schedules, &text, b->call->diags)) return false;
    const rt_bytes part = {text.at, text.n};
    const rt_output file = {b->path, &part, 1};
    return rt_files_write(&file, 1, b->call->scratch, b->call->diags);
}

#ifdef ATTN_WITH_CUDA
/* Without an architecture the backend takes the one of the GPU at hand, or its own default. */
static bool build_cuda(building *b) { return build_text(b, NULL, b->arch); }
#endif

#ifdef ATTN_WITH_CPU
/* Texts are for one level; portable where nothing is said. */
static const char *one_level(const building *b) {
    if (b->arch) return b->arch;
    return b->options->n_levels ? b->options->levels[0] : rt_level_here() == RT_LEVEL_AARCH64 ? "aarch64" : "x86-64-v3";
}
static bool build_llvm(building *b) { return build_text(b, NULL, one_level(b)); }
static bool build_assembly(building *b) { return build_text(b, put_assembly, one_level(b)); }

/* ---- modules, one for each level */

typedef struct { rt_level level; const rt_module *module; const void *bytes; size_t n; } image;

/* A program gains from a level if the cost model says that its kernels take a tenth less time. */
static const double worth = 0.9;

/* Over all kernels of all graphs, at the sizes that costs are judged at. Only the ratio between two levels means something. */
static double predicted_s(const rt_module *m) {
    double sum = 0;
    for (uint32_t g = 0; g < m->n_graphs; g++)
        for (uint32_t e = 0; e < m->graphs[g].n_entries; e++)
            for (uint32_t k = 0; k < m->graphs[g].entries[e].n_kernels; k++) sum += m->graphs[g].entries[e].kernels[k].predicted_s;
    return sum;
}

/* The module stays in scratch memory too: the header is written from the first one, since signatures do not depend on the level. */
static bool make_image(building *b, rt_level level, image *out) {
    const attn_module_options o = {sizeof o, b->target, b->options->graph, b->options->dims, b->options->n_dims};
    out->level = level;
    out->module = drv_compile(b->call, b->context, b->program, &o, rt_level_names[level]);
    if (out->module) out->bytes = rt_module_write(out->module, b->call->scratch, &out->n);
    return out->module != NULL;
}

/* By the table of levels; what a name may be is listed in the message. RT_N_LEVELS: reported. */
static rt_level level_named(building *b, const char *name) {
    base_text names;
    base_text_init(&names, b->call->diags->arena);
    for (uint32_t k = RT_LEVEL_ANY + 1; k < RT_N_LEVELS; k++) {
        if (!strcmp(rt_level_names[k], name)) return (rt_level)k;
        base_text_add(&names, "%s%s", names.n ? ", " : "", rt_level_names[k]);
    }
    base_report(b->call->diags, BASE_MSG_ARCH_UNKNOWN, nowhere, "cpu", base_printf(b->call->scratch, "'%s'", name))->expected = names.at;
    return RT_N_LEVELS;
}

static bool is_arm(rt_level level) { return level == RT_LEVEL_AARCH64; }

/* An object is for one architecture: that of its first level, or this machine's if it is to be linked here. */
static bool level_fits(building *b, rt_level level, const image *before, uint32_t n) {
    const rt_level wanted = b->linked ? rt_level_here() : n ? before[0].level : level;
    if (is_arm(level) == is_arm(wanted)) return true;
    base_report(b->call->diags, BASE_MSG_LEVEL_FOREIGN, nowhere, rt_level_names[level], is_arm(wanted) ? "aarch64" : "x86-64");
    return false;
}

/* One level that was asked for, compiled at once: a mistake in the list is found before the levels behind it cost time. */
static bool take_level(building *b, const char *name, const image *before, uint32_t n, image *out) {
    rt_level level = level_named(b, name);
    if (level == RT_N_LEVELS || !level_fits(b, level, before, n)) return false;
    for (uint32_t k = 0; k < n; k++) {
        if (before[k].level != level) continue;
        base_report(b->call->diags, BASE_MSG_LEVEL_TWICE, nowhere, name);
        return false;
    }
    return make_image(b, level, out);
}

/* Portable code, and wider vectors where they bring something. */
static bool default_images(building *b, image *images, uint32_t *n) {
    if (rt_level_here() == RT_LEVEL_AARCH64) return *n = 1, make_image(b, RT_LEVEL_AARCH64, &images[0]);
    if (!make_image(b, RT_LEVEL_X86_64_V3, &images[0]) || !make_image(b, RT_LEVEL_X86_64_V4, &images[1])) return false;
    *n = predicted_s(images[1].module) <= worth * predicted_s(images[0].module) ? 2 : 1;
    return true;
}

/* The highest level first: the first that the machine has is taken when the shared object is opened. */
static void sort_images(image *images, uint32_t n) {
    for (uint32_t k = 1; k < n; k++)
        for (uint32_t i = k; i > 0 && images[i].level > images[i - 1].level; i--) {
            image swapped = images[i];
            images[i] = images[i - 1];
            images[i - 1] = swapped;
        }
}

/* images has room for n_levels, or for the two of the default. */
static bool make_images(building *b, image *images, uint32_t *n) {
    const char *const *names = b->arch ? &b->arch : b->options->levels;
    const size_t n_names = b->arch ? 1 : b->options->n_levels;
    *n = 0;
    if (!n_names && !default_images(b, images, n)) return false;
    for (size_t k = 0; k < n_names; k++, ++*n)
        if (!take_level(b, names[k], images, *n, &images[*n])) return false;
    sort_images(images, *n);
    return true;
}

/* ---- the object */

/* Globals whose bytes the bundle fills in, the table of them, and the functions. Their first arguments are those of the header; what they stand for
 * comes last, so that none has to be moved. */
static const char *bundle_text(building *b, const drv_exports *x, const image *images, uint32_t n, size_t n_weights) {
    base_text out;
    base_text_init(&out, b->call->scratch);
    for (uint32_t k = 0; k < n; k++) base_text_add(&out, "@image%u = external hidden constant [%zu x i8], align 64\n", k, images[k].n);
    if (n_weights) base_text_add(&out, "@weights = external hidden constant [%zu x i8], align 64\n", n_weights);
    base_text_add(&out, "@images = private constant [%u x {i64, ptr, i64}] [", n);
    for (uint32_t k = 0; k < n; k++)
        base_text_add(&out, "%s{i64, ptr, i64} {i64 %d, ptr @image%u, i64 %zu}", k ? ", " : "", (int)images[k].level, k, images[k].n);
    base_text_add(&out, "]\n@built = private constant {i64, i64, ptr, ptr, i64} {i64 %d, i64 %u, ptr @images, ptr %s, i64 %zu}\n", RT_BUILT_ABI, n,
                  n_weights ? "@weights" : "null", n_weights);
    base_text_add(&out, "declare hidden i32 @rt_built_open(ptr, ptr, ptr, ptr, ptr)\ndeclare hidden void @rt_built_close(ptr)\n"
                        "declare hidden i32 @rt_built_call(ptr, ptr, ptr, i32)\ndeclare hidden i32 @rt_built_shapes(ptr, ptr, ptr, ptr, i32)\n");
    base_text_add(&out, "define i32 @%s_open(ptr %%w, ptr %%o, ptr %%h, ptr %%e) nounwind {\n"
                        "  %%s = tail call i32 @rt_built_open(ptr %%w, ptr %%o, ptr %%h, ptr %%e, ptr @built)\n  ret i32 %%s\n}\n", x->name);
    base_text_add(&out, "define void @%s_close(ptr %%h) nounwind {\n  tail call void @rt_built_close(ptr %%h)\n  ret void\n}\n", x->name);
    for (uint32_t k = 0; k < x->n_graphs; k++) {
        base_text_add(&out, "define i32 @%s(ptr %%h, ptr %%a, ptr %%e) nounwind {\n"
                            "  %%s = tail call i32 @rt_built_call(ptr %%h, ptr %%a, ptr %%e, i32 %u)\n  ret i32 %%s\n}\n", x->graphs[k].call, k);
        base_text_add(&out, "define i32 @%s(ptr %%h, ptr %%a, ptr %%o, ptr %%e) nounwind {\n"
                            "  %%s = tail call i32 @rt_built_shapes(ptr %%h, ptr %%a, ptr %%o, ptr %%e, i32 %u)\n  ret i32 %%s\n}\n", x->graphs[k].shapes, k);
    }
    return out.at;
}

/* One blob for each global that bundle_text declares, under the same names. */
static bool make_object(building *b, const drv_exports *x, const image *images, uint32_t n, rt_bytes weights, rt_bytes *out) {
    cpu_blob *blobs = BASE_ARRAY(b->call->scratch, n + 1, cpu_blob);
    for (uint32_t k = 0; k < n; k++) blobs[k] = (cpu_blob){base_printf(b->call->scratch, "image%u", k), images[k].bytes, images[k].n};
    blobs[n] = (cpu_blob){"weights", weights.at, weights.n};
    const char *triple = cpu_target(rt_level_names[images[0].level], b->call->scratch)->triple;
    out->at = cpu_bundle(triple, bundle_text(b, x, images, n, weights.n), n + (weights.n > 0), blobs, b->call->scratch, &out->n, b->call->diags);
    return out->at != NULL;
}

static void close_weights(void *self) { rt_file_close(self); }

/* Opened as a host would open it, so that a damaged file is found here and not by x_open. */
static bool read_weights(building *b, rt_bytes *out) {
    rt_safetensors *s = BASE_NEW(b->call->scratch, rt_safetensors);
    *out = (rt_bytes){NULL, 0};
    if (!b->options->weights) return true;
    api_defer(b->call, close_weights, &s->file, false);
    if (!rt_safetensors_open(s, b->options->weights, b->call->scratch, b->call->diags)) return false;
    *out = (rt_bytes){s->file.at, s->file.n};
    return true;
}

/* Without its folder: where a program lay when it was compiled is nobody's business. */
static const char *file_name(building *b) {
    const char *name = b->program->diags->files.at[1].name, *slash = strrchr(name, '/');
    return slash ? slash + 1 : name;
}

static const char *levels_text(building *b, const image *images, uint32_t n) {
    base_text out;
    base_text_init(&out, b->call->scratch);
    for (uint32_t k = n; k-- > 0;) base_text_add(&out, "%s%s", out.n ? " and " : "", rt_level_names[images[k].level]);
    return out.at;
}

/* Beside the object, under the name that all its functions begin with. */
static const char *header_path(building *b, const char *name) {
    const char *slash = strrchr(b->path, '/');
    return base_printf(b->call->scratch, "%.*s%s.h", slash ? (int)(slash + 1 - b->path) : 0, b->path, name);
}

/* Object and header. The object's bytes become those of the shared object when it is linked. */
static bool build_files(building *b) {
    image *images = BASE_ARRAY(b->call->scratch, b->options->n_levels + 2, image);
    uint32_t n;
    rt_bytes weights, object;
    if (!read_weights(b, &weights) || !make_images(b, images, &n)) return false;
    drv_exports *x = drv_exports_of(b->call->scratch, drv_name_of_file(b->call->scratch, b->path), images[0].module);
    x->file = file_name(b);
    x->target = levels_text(b, images, n);
    x->weights = b->options->weights;
    if (!make_object(b, x, images, n, weights, &object) || (b->linked && !drv_link(b->call, b->options, x, b->path, object, &object))) return false;
    base_text header;
    base_text_init(&header, b->call->scratch);
    drv_header(x, &header);
    const rt_bytes page = {header.at, header.n};
    const rt_output files[] = {{b->path, &object, 1}, {header_path(b, x->name), &page, 1}};
    return rt_files_write(files, 2, b->call->scratch, b->call->diags);
}
static bool build_shared(building *b) {
    b->linked = true;
    return build_files(b);
}
#endif

/* ---- what can be built */

/* A text is for one machine; an object may hold code for several levels. */
static const struct { const char *suffix, *target; bool (*build)(building *b); bool text; } kinds[] = {
#ifdef ATTN_WITH_CPU
    {".so", "cpu", build_shared, false}, {".o", "cpu", build_files, false}, {".s", "cpu", build_assembly, true}, {".ll", "cpu", build_llvm, true},
#endif
#ifdef ATTN_WITH_CUDA
    {".cu", "cuda", build_cuda, true},
#endif
    {NULL, NULL, NULL, false},                      /* a library without backends builds nothing */
};
enum { N_KINDS = sizeof kinds / sizeof *kinds - 1 };

/* Which suffixes there are depends on what this build of the library holds. */
static attn_status unknown_suffix(building *b) {
    base_text names;
    base_text_init(&names, b->call->diags->arena);
    for (size_t k = 0; k < N_KINDS; k++) base_text_add(&names, "%s%s", k ? ", " : "", kinds[k].suffix);
    base_report(b->call->diags, BASE_MSG_BUILD_SUFFIX, nowhere, b->path)->expected = names.at;
    return ATTN_ERROR_ARGUMENT;
}

/* "cuda:sm_90a". Only the target that the suffix means can be asked for. */
static bool take_target(building *b, const char *meant) {
    const char *given = b->options->target ? b->options->target : meant, *colon = strchr(given, ':');
    b->target = colon ? base_strndup(b->call->scratch, given, (size_t)(colon - given)) : given;
    b->arch = colon ? colon + 1 : NULL;
    return !strcmp(b->target, meant);
}

/* NULL, or what is wrong with the levels that were asked for: none of them is left out silently. */
static const char *levels_wrong(const building *b, bool text) {
    if (!b->options->n_levels) return NULL;
    if (strcmp(b->target, "cpu")) return "levels are those of CPUs";
    if (b->arch) return "the target names a level already: levels beside it would be left out";
    return text && b->options->n_levels > 1 ? "a text is for one level" : NULL;
}

static attn_status build(api_call *call, void *args) {
    building *b = args;
    const char *dot = strrchr(b->path, '.');
    size_t k = 0;
    b->call = call;
    api_use_files(call, b->program);
    /* A dot in the name of a folder begins no suffix. */
    while (k < N_KINDS && (!dot || strchr(dot, '/') || strcmp(dot, kinds[k].suffix))) k++;
    if (k == N_KINDS) return unknown_suffix(b);
    if (!take_target(b, kinds[k].target))
        return api_argument(call, base_printf(call->scratch, "a file %s is for target %s", kinds[k].suffix, kinds[k].target));
    if (levels_wrong(b, kinds[k].text)) return api_argument(call, levels_wrong(b, kinds[k].text));
    if (!b->program->n_graphs) return api_argument(call, "the program has no graph");
    if (b->options->graph && !api_graph_find(b->program, b->options->graph)) return api_unknown_graph(call, b->program, b->options->graph), ATTN_ERROR_ARGUMENT;
    if (!drv_dims_of_program(call, b->program, b->options->graph, b->options->dims, b->options->n_dims)) return api_status(call);
    return kinds[k].build(b) ? ATTN_OK : api_status(call);
}

/* What can be seen to be wrong without a message is refused before any memory is taken. */
attn_status attn_program_build(attn_context *context, const attn_program *program, const attn_build_options *options, const char *path,
                               attn_diagnostics *diagnostics) {
    attn_build_options o = ATTN_BUILD_OPTIONS_INIT;
    if (!context || !program || !path || (options && !api_options(&o, sizeof o, API_UP_TO(attn_build_options, ld), options))) return ATTN_ERROR_ARGUMENT;
    if ((o.n_levels && !o.levels) || (o.n_dims && !o.dims)) return ATTN_ERROR_ARGUMENT;
    building b = {.context = context, .program = program, .options = &o, .path = path};
    return api_run(&context->allocator, diagnostics, build, &b);
}

/* The backend "cpu": finds the half with LLVM and passes work on to it. The plug-in stays loaded once opened (LLVM does not unload), so
 * opening it again is one look into the loader's table and no state needs to be kept here. */
#include <dlfcn.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>
#include "cpu.h"
#include "half.h"

#ifndef CPU_HALF_INSTALLED
#define CPU_HALF_INSTALLED "/usr/local/lib/attn"
#endif

static int anchor;               /* its address lies in the library that holds this file */

/* Places of the plug-in, in order: beside the library, in its folder `attn`, beside a program's build folder, where it was installed. */
/* k counts the places; NULL ends them. A name without a folder is left to the loader's own search. */
static const char *place(base_arena *arena, uint32_t k) {
    static const char *const near[] = {"", "attn/", "../", "../lib/", "../lib/attn/"};
    const uint32_t n_near = sizeof near / sizeof *near;
    if (k == n_near) return CPU_HALF_INSTALLED "/" CPU_HALF_FILE;
    if (k > n_near) return NULL;
    Dl_info info;
    if (!dladdr(&anchor, &info) || !info.dli_fname) return CPU_HALF_FILE;
    /* Linked statically, the name is the program's, as it was called; without a slash the folder at hand is tried. */
    const char *slash = strrchr(info.dli_fname, '/');
    const int n = slash ? (int)(slash - info.dli_fname) + 1 : 2;
    return base_printf(arena, "%.*s%s%s", n, slash ? info.dli_fname : "./", near[k], CPU_HALF_FILE);
}

/* NULL: not ours or of another version. The size may be larger than ours: a later plug-in of the same ABI appends functions. */
static const cpu_half *half_of(void *handle) {
    cpu_half_entry *entry = NULL;
    void *symbol = dlsym(handle, CPU_HALF_ENTRY);
    memcpy(&entry, &symbol, sizeof entry);       /* POSIX: a function in an object pointer */
    const cpu_half *half = entry ? entry() : NULL;
    return half && half->abi == CPU_HALF_ABI && half->struct_size >= sizeof *half ? half : NULL;
}

/* The plug-in, or NULL and why not: the loader's own words about files that are there, and where none is. */
static const cpu_half *half_open(base_arena *arena, const char **why) {
    base_text wrong, missing;
    base_text_init(&wrong, arena);
    base_text_init(&missing, arena);
    /* The first that opens and is of our version serves; one of another version is passed over, and named if none is found. */
    for (uint32_t k = 0; place(arena, k); k++) {
        const char *file = place(arena, k);
        /* The plug-in is linked to be bound at once, so that one which lacks a symbol is refused here, not in the middle of a compile. LAZY is for LLVM's
           library below it: binding all of its functions takes longer than a small compile. NODELETE: LLVM does not unload. LOCAL: its symbols stay out
           of the way of another LLVM in the process. */
        void *handle = dlopen(file, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
        const cpu_half *half = handle ? half_of(handle) : NULL;
        if (half) return half;
        const char *error = handle ? "it is of another version" : dlerror();
        /* A place without a file is the usual case and worth no more than its name; a file that does not open is the likely fault. */
        if (access(file, F_OK)) base_text_add(&missing, "%s%s", missing.n ? ", " : "", file);
        else base_text_add(&wrong, "%s%s: %s", wrong.n ? "; " : "", file, error ? error : "it cannot be opened");
    }
    *why = wrong.n ? wrong.at : base_printf(arena, "there is none of %s", missing.at);
    return NULL;
}

/* For whom compiling is a must: no plug-in is a diagnostic. Checks and the interpreter never come here. */
static const cpu_half *half_need(base_diags *diags) {
    const char *why = NULL;
    const cpu_half *half = half_open(diags->arena, &why);
    if (!half) base_report(diags, BASE_MSG_NO_CODE_GENERATOR, (base_span){0, 0, 0}, why);
    return half;
}

/* The words that half_open finds, in the caller's arena; NULL: code can be generated. */
static const char *cpu_unavailable(const ir_backend *self, base_arena *arena) {
    (void)self;
    const char *why = NULL;
    return half_open(arena, &why) ? NULL : why;
}
/* A description needs no plug-in: schedules can be judged and printed without LLVM. */
static const ir_target *target(const ir_backend *self, const char *arch, base_arena *arena) {
    (void)self;
    return cpu_target(arch, arena);
}
/* Build ids of the plug-in that would be opened and of this library, which makes the images, and the LLVM that the plug-in was built with. */
static const char *identity(const ir_backend *self, base_arena *arena) {
    (void)self;
    const char *half = NULL, *here = base_build_id_of_here(arena);
    for (uint32_t k = 0; !half && place(arena, k); k++) half = base_build_id_of_file(place(arena, k), arena);
    return half && here ? base_printf(arena, "LLVM %s, %.16s, %.16s", CPU_LLVM_VERSION, half, here) : NULL;
}
static bool emit(const ir_backend *self, const ir_target *t, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags) {
    (void)self;
    const cpu_half *half = half_need(diags);
    return half && half->emit(t, n, schedules, out, diags);
}
/* The plug-in writes objects, this half makes images of them: what comes later (cache, files, loading) needs no LLVM. */
static bool compile(const ir_backend *self, const ir_target *t, uint32_t n, const ir_schedule *const *schedules, const rt_executor *executor,
                    base_arena *arena, rt_image *images, base_diags *diags) {
    (void)self;
    const cpu_half *half = half_need(diags);
    cpu_object *objects = BASE_ARRAY(diags->arena, n, cpu_object);
    if (!half || !half->objects(t, n, schedules, executor, diags->arena, objects, diags)) return false;
    for (uint32_t k = 0; k < n; k++) {
        const char *wrong = cpu_image(objects[k].bytes, objects[k].n, objects[k].entry, arena, &images[k]);
        if (!wrong) continue;
        base_report(diags, BASE_MSG_CODE_GENERATION, (base_span){0, 0, 0}, base_printf(diags->arena, "kernel %s: %s", schedules[k]->kernel->name, wrong));
        return false;
    }
    return true;
}

bool cpu_assembly(const ir_target *t, uint32_t n, const ir_schedule *const *schedules, base_text *out, base_diags *diags) {
    const cpu_half *half = half_need(diags);
    return half && half->assembly(t, n, schedules, out, diags);
}

const void *cpu_bundle(const char *triple, const char *text, uint32_t n, const cpu_blob *blobs, base_arena *arena, size_t *bytes, base_diags *diags) {
    const cpu_half *half = half_need(diags);
    return half ? half->bundle(triple, text, n, blobs, arena, bytes, diags) : NULL;
}

const ir_backend *cpu_backend(void) {
    static const ir_backend backend = {.struct_size = sizeof backend,
                                       .name = "cpu",
                                       .unavailable = cpu_unavailable,
                                       .target = target,
                                       .emit = emit,
                                       .identity = identity,
                                       .apart = true,
                                       .compile = compile};
    return &backend;
}

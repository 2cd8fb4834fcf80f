/* CUDA C to machine code for a named architecture, by NVRTC, opened at run time. Needs no GPU.
 *
 * The file that the options name, and no other; else, in this order: the loader's own path; the wheel nvidia-cuda-nvrtc in each Python
 * installation that is known; the toolkit that the options name; toolkits in /usr/local.
 */
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include "cuda_internal.h"

/* Newest first. NVRTC keeps its interface under one soname per major version, from 11.3 on 11.2. */
static const char *const versions[] = {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2"};
enum { N_VERSIONS = sizeof versions / sizeof *versions };

/* A path that is too long is left out, not cut: cut, it might name another file. */
static void search_toolkit(cuda_search *search, const char *root) {
    static const char *const folders[] = {"lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"};
    char path[512];
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++)
        for (size_t v = 0; v < N_VERSIONS; v++) {
            int n = snprintf(path, sizeof path, "%s/%s/%s", root, folders[f], versions[v]);
            if (n > 0 && (size_t)n < sizeof path) cuda_search_name(search, path);
        }
}

/* The wheel lies in nvidia/cuda_nvrtc/lib up to version 12, in nvidia/cu13/lib from 13 on. */
static void search_python(cuda_search *search, const char *root, size_t root_n) {
    char pattern[512];
    int n = snprintf(pattern, sizeof pattern, "%.*s/lib/python3*/*-packages/nvidia/c*/lib/libnvrtc.so.1[123]*", (int)root_n, root);
    if (n > 0 && (size_t)n < sizeof pattern) cuda_search_glob(search, pattern);
}

/* Empty parts, as in "a::b", name no folder and are passed over. */
static void search_python_roots(cuda_search *search, const char *roots) {
    while (roots && *roots) {
        size_t n = strcspn(roots, ":");
        if (n) search_python(search, roots, n);
        roots += n + (roots[n] == ':');
    }
}

static void search_all(cuda_search *search, const cuda_options *options) {
    /* A file that is named and does not load is an error: another version would come as a surprise. */
    if (options->nvrtc) {
        cuda_search_name(search, options->nvrtc);
        return;
    }
    for (size_t v = 0; v < N_VERSIONS; v++) cuda_search_name(search, versions[v]);
    search_python_roots(search, options->python_paths);
    search_python_roots(search, "/usr/local:/usr");
    if (options->cuda_path) search_toolkit(search, options->cuda_path);
    /* Toolkits that nobody named, the last by name first. */
    cuda_search_glob(search, "/usr/local/cuda*/lib64/libnvrtc.so.1[123]*");
}

/* All functions or none, as in driver.c; the version decides about the locale below. */
static bool symbols(cuda_nvrtc *nvrtc, char *error, size_t n) {
#define NVRTC(name, result, params)                                                                                                        \
    if (!cuda_library_symbol(nvrtc->library, #name, &nvrtc->name)) {                                                                       \
        snprintf(error, n, "the NVRTC library has no function %s", #name);                                                                 \
        return false;                                                                                                                      \
    }
#include "nvrtc.def"
    return nvrtc->nvrtcVersion(&nvrtc->major, &nvrtc->minor) == 0;
}

/* The error is written before it is known to be one; a missing function writes over it. */
bool cuda_nvrtc_open(cuda_nvrtc *out, const cuda_options *options, char *error, size_t n) {
    cuda_search search = {0};
    search_all(&search, options);
    *out = (cuda_nvrtc){.library = search.library};
    snprintf(error, n, "no NVRTC library; tried %s", search.tried);
    if (out->library && symbols(out, error, n)) return true;
    cuda_nvrtc_close(out);
    return false;
}

void cuda_nvrtc_close(cuda_nvrtc *nvrtc) {
    cuda_library_close(nvrtc->library);
    nvrtc->library = NULL;
}

/* Versions below 12.6.2 leave the process in the locale "C"; which of the 12.6 is not told. */
static char *locale_save(const cuda_nvrtc *nvrtc, base_arena *arena) {
    if (nvrtc->major > 12 || (nvrtc->major == 12 && nvrtc->minor > 6)) return NULL;
    const char *now = setlocale(LC_ALL, NULL);
    return now ? base_strdup(arena, now) : NULL;
}

/* "" where there is none: the size counts the final 0, so a log of 1 byte is empty. */
static const char *log_of(const cuda_nvrtc *nvrtc, struct _nvrtcProgram *program, base_arena *arena) {
    size_t n = 0;
    if (nvrtc->nvrtcGetProgramLogSize(program, &n) != 0 || n < 2) return "";
    char *log = base_alloc(arena, n + 1);
    return nvrtc->nvrtcGetProgramLog(program, log) == 0 ? log : "";
}

/* Bytes of the arena: the program that holds the original is destroyed before they are used. */
static unsigned cubin_of(const cuda_nvrtc *nvrtc, struct _nvrtcProgram *program, base_arena *arena, cuda_image *image) {
    size_t n = 0;
    unsigned result = nvrtc->nvrtcGetCUBINSize(program, &n);
    if (result != 0 || n == 0) return result;
    char *cubin = base_alloc(arena, n);
    result = nvrtc->nvrtcGetCUBIN(program, cubin);
    if (result == 0) *image = (cuda_image){cubin, n, image->log};
    return result;
}

/* No fast-math flag: approximations are those that the text asks for. The log holds registers and spills of each kernel. */
static unsigned compile(const cuda_nvrtc *nvrtc, struct _nvrtcProgram *program, const char *arch, base_arena *arena, cuda_image *image) {
    const char *options[] = {base_printf(arena, "--gpu-architecture=%s", arch), "--std=c++17", "--ptxas-options=-v"};
    unsigned result = nvrtc->nvrtcCompileProgram(program, 3, options);
    image->log = log_of(nvrtc, program, arena);
    return result != 0 ? result : cubin_of(nvrtc, program, arena, image);
}

/* The text has no name of a file; "kernels.cu" is what the log calls it. */
cuda_image cuda_nvrtc_compile(const cuda_nvrtc *nvrtc, const char *text, const char *arch, base_arena *arena) {
    cuda_image image = {NULL, 0, ""};
    char *locale = locale_save(nvrtc, arena);
    struct _nvrtcProgram *program = NULL;
    unsigned result = nvrtc->nvrtcCreateProgram(&program, text, "kernels.cu", 0, NULL, NULL);
    if (result == 0) {
        result = compile(nvrtc, program, arch, arena, &image);
        nvrtc->nvrtcDestroyProgram(&program);
    }
    /* The caller's again, whatever became of the compile. */
    if (locale) setlocale(LC_ALL, locale);
    /* Who compiled and what it said: with the log of a failed compile, or alone where there was no program. */
    if (!image.cubin) image.log = base_printf(arena, "NVRTC %d.%d: %s\n%s", nvrtc->major, nvrtc->minor, nvrtc->nvrtcGetErrorString(result), image.log);
    return image;
}

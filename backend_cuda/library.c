/* Finding a shared object by a list of names, remembering each for the message that says what was tried. */
#include <dlfcn.h>
#include <glob.h>
#include <string.h>
#include "cuda_internal.h"

/* A library stays in the process once it is loaded: those of CUDA keep memory that they do not give back when they are unloaded, so
 * each opening would lose some. */
enum { MODE = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE };

/* Cut off where the text is full: the list is for a message, and its beginning says enough. */
static void remember(cuda_search *search, const char *name) {
    size_t n = strlen(search->tried);
    snprintf(search->tried + n, sizeof search->tried - n, "%s%s", n ? ", " : "", name);
}

void cuda_search_name(cuda_search *search, const char *name) {
    if (search->library) return;
    remember(search, name);
    search->library = dlopen(name, MODE);
}

/* Last first: glob sorts by name, so the highest version comes last. The pattern is what is remembered, not each match. */
void cuda_search_glob(cuda_search *search, const char *pattern) {
    if (search->library) return;
    remember(search, pattern);
    glob_t found;
    if (glob(pattern, 0, NULL, &found) == 0)
        for (size_t k = found.gl_pathc; k-- > 0 && !search->library;) search->library = dlopen(found.gl_pathv[k], MODE);
    globfree(&found);
}

/* Counts down only: NODELETE keeps the code where it is. */
void cuda_library_close(void *library) {
    if (library) dlclose(library);
}

/* A pointer to an object is copied into one to a function byte by byte: C has no conversion, POSIX promises that they are alike. */
bool cuda_library_symbol(void *library, const char *name, void *pointer) {
    void *at = dlsym(library, name);
    memcpy(pointer, &at, sizeof at);
    return at != NULL;
}

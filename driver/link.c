/* Linking a shared object: by the C compiler of the machine, which knows its libraries best, else by the linker alone. Neither is asked to be there:
 * what was tried is said. Work files stand beside the result, where there is room for it and nobody else's files of that name are.
 */
#define _GNU_SOURCE                  /* dladdr, pipe2 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "build.h"

extern char **environ;               /* handed on to the linker, which needs PATH and TMPDIR; nothing here reads it */

static const base_span nowhere = {0, 0, 0};

/* ---- the runtime's archive */

static const int anchor;             /* its address lies in the library that holds this file */

/* Beside the library (build tree, lib/), or beside the folder of the program that it is linked into. */
static const char *runtime_place(base_arena *arena, uint32_t k) {
    static const char *const near[] = {"", "attn/", "../", "../lib/"};
    Dl_info info;
    if (k >= sizeof near / sizeof *near || !dladdr(&anchor, &info) || !info.dli_fname) return NULL;
    const char *slash = strrchr(info.dli_fname, '/');
    const int n = slash ? (int)(slash - info.dli_fname) + 1 : 2;
    return base_printf(arena, "%.*s%slibattn_rt.a", n, slash ? info.dli_fname : "./", near[k]);
}

/* given: what the caller wants instead, which must be there. NULL: reported. */
static const char *runtime_archive(api_call *call, const char *given) {
    base_text tried;
    const char *place;
    base_text_init(&tried, call->scratch);
    if (given && !access(given, R_OK)) return given;
    if (given) base_text_add(&tried, "%s", given);
    for (uint32_t k = 0; !given && (place = runtime_place(call->scratch, k)); k++) {
        if (!access(place, R_OK)) return place;
        base_text_add(&tried, "%s%s", k ? ", " : "", place);
    }
    base_report(call->diags, BASE_MSG_NO_RUNTIME, nowhere, tried.at);
    return NULL;
}

/* ---- programs that link */

enum { OUTPUT = 4096 };          /* bytes of what a linker says that are shown */

/* What a program says is kept as far as there is room, and read to its end, so that it never waits for us. */
static size_t drain(int fd, char *to, size_t room) {
    char rest[512];
    size_t n = 0;
    for (;;) {
        bool full = n == room;
        ssize_t got = read(fd, full ? rest : to + n, full ? sizeof rest : room - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return n;
        if (!full) n += (size_t)got;
    }
}

/* Both streams go into one pipe: linkers use either. posix_spawn and not fork: the host may have threads that hold locks. */
static int spawn(const char *const *words, int out, int in, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error) return error;
    error = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (!error) error = posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
    if (!error) error = posix_spawn_file_actions_addclose(&actions, in);
    /* The array is not written: execve takes it so for the sake of old programs. */
    if (!error) error = posix_spawn(pid, words[0], &actions, NULL, (char *const *)(uintptr_t)words, environ);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

/* True if it ends with 0. said: its words, terminated. No memory of an arena is taken while it runs. */
static bool run_program(const char *const *words, char *said, size_t room) {
    int ends[2], status = 0;
    pid_t pid;
    *said = 0;
    if (pipe2(ends, O_CLOEXEC)) return snprintf(said, room, "%s", "no pipe can be made"), false;
    int error = spawn(words, ends[1], ends[0], &pid);
    close(ends[1]);
    said[error ? 0 : drain(ends[0], said, room - 1)] = 0;
    close(ends[0]);
    if (error) return snprintf(said, room, "%s cannot be started", words[0]), false;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- one link */

/* Paths of one link. made: what the linker writes; soname: what the loader will look for. */
typedef struct { const char *object, *archive, *map, *made, *soname; } link_files;

/* A user's flags could add libraries, so none are passed on. Debug information of the runtime stays out. */
static bool link_by_cc(api_call *call, const char *cc, const link_files *f, char *said) {
    const char *words[] = {cc, "-shared", "-o", f->made, f->object, f->archive, base_printf(call->scratch, "-Wl,--version-script=%s", f->map),
                           base_printf(call->scratch, "-Wl,-soname,%s", f->soname), "-Wl,-z,defs", "-Wl,-z,noexecstack", "-Wl,-s", "-lm", "-pthread", NULL};
    return run_program(words, said, OUTPUT);
}

/* Without a C compiler the files that -lc means may be missing too (they come with the headers), and the libraries themselves are named. A link
 * without any library would work as well, and leave an object that nobody can load. */
static bool link_by_ld(api_call *call, const char *ld, const link_files *f, char *said) {
    static const char *const libraries[][2] = {{"-lm", "-lc"}, {"-l:libm.so.6", "-l:libc.so.6"}};
    bool done = false;
    for (size_t k = 0; k < 2 && !done; k++) {
        const char *words[] = {ld, "-shared", "-o", f->made, f->object, f->archive, base_printf(call->scratch, "--version-script=%s", f->map), "-soname",
                               f->soname, "-z", "defs", "-z", "noexecstack", "-s", libraries[k][0], libraries[k][1], NULL};
        done = run_program(words, said, OUTPUT);
    }
    return done;
}

/* "" in place of a path: that program is not to be used. */
static bool usable(const char *program) { return *program && !access(program, X_OK); }

/* One of both must be there; cc goes first. Its words are shown as they are, since they alone say what is wrong with a machine's tools. */
static bool link_files_with(api_call *call, const attn_build_options *o, const link_files *f) {
    const char *cc = o->cc ? o->cc : "/usr/bin/cc", *ld = o->ld ? o->ld : "/usr/bin/ld";
    char *said = base_alloc(call->scratch, OUTPUT);
    if (!usable(cc) && !usable(ld)) {
        base_report(call->diags, BASE_MSG_NO_LINKER, nowhere, *cc ? cc : "cc", *ld ? ld : "ld");
        return false;
    }
    if (usable(cc) ? link_by_cc(call, cc, f, said) : link_by_ld(call, ld, f, said)) return true;
    base_report(call->diags, BASE_MSG_LINK_FAILS, nowhere, usable(cc) ? cc : ld)->found = base_strdup(call->diags->arena, *said ? said : "it says nothing");
    return false;
}

/* ---- work files */

/* Object, version script, result, in a folder of their own beside the file that is made: builds of one file at the same time do not meet. Removed when
 * the call ends, whatever happened. */
typedef struct { char *folder; const char *paths[3]; bool made; } work_files;

static void remove_work(void *self) {
    work_files *w = self;
    if (!w->made) return;
    for (size_t k = 0; k < 3; k++) unlink(w->paths[k]);
    rmdir(w->folder);
}

/* All memory is taken before there is a folder. A path that begins with a hyphen would be an option to a linker. NULL: reported. */
static const work_files *make_work(api_call *call, const char *path) {
    static const char *const names[] = {"object.o", "exports.map", "made.so"};
    work_files *w = BASE_NEW(call->scratch, work_files);
    w->folder = base_printf(call->scratch, "%s%s.XXXXXX", *path == '-' ? "./" : "", path);
    const size_t n = strlen(w->folder);
    char *paths[3], why[128];
    for (size_t k = 0; k < 3; k++) w->paths[k] = paths[k] = base_printf(call->scratch, "%s/%s", w->folder, names[k]);
    api_defer(call, remove_work, w, false);
    if (mkdtemp(w->folder)) {
        w->made = true;
        for (size_t k = 0; k < 3; k++) memcpy(paths[k], w->folder, n);
        return w;
    }
    rt_error_text(errno, why, sizeof why);
    base_report(call->diags, BASE_MSG_FILE_WRITE, nowhere, path, base_strdup(call->scratch, why));
    return NULL;
}

/* Nothing but what the header declares is visible; the names of two shared objects in one process never meet. */
static const char *version_script(base_arena *arena, const drv_exports *x) {
    base_text out;
    base_text_init(&out, arena);
    base_text_add(&out, "{ global: %s_open; %s_close;", x->name, x->name);
    for (uint32_t k = 0; k < x->n_graphs; k++) base_text_add(&out, " %s; %s;", x->graphs[k].call, x->graphs[k].shapes);
    base_text_add(&out, " local: *; };\n");
    return out.at;
}

/* The shared object's bytes, in scratch memory: the caller writes them together with the header, all or none. */
bool drv_link(api_call *call, const attn_build_options *o, const drv_exports *x, const char *path, rt_bytes object, rt_bytes *out) {
    const char *slash = strrchr(path, '/'), *archive = runtime_archive(call, o->runtime);
    if (!archive) return false;
    const work_files *w = make_work(call, path);
    if (!w) return false;
    const char *script = version_script(call->scratch, x);
    const rt_bytes text = {script, strlen(script)};
    const rt_output inputs[] = {{w->paths[0], &object, 1}, {w->paths[1], &text, 1}};
    if (!rt_files_write(inputs, 2, call->scratch, call->diags)) return false;
    const link_files f = {w->paths[0], archive, w->paths[1], w->paths[2], slash ? slash + 1 : path};
    const unsigned char *made;
    if (!link_files_with(call, o, &f) || !rt_file_read(w->paths[2], call->scratch, call->diags, &made, &out->n)) return false;
    out->at = made;
    return true;
}

/* The helpers of shell.h, and the files that most tests start from. */
#include "shell.h"
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/attn_cli_XXXXXX";
static shell_result last;

static const char attention[] = "## try: T = 5\n"
                                "graph copy(x: f32[N]) -> (y: f32[N]) { y[n] = x[n] }\n"
                                "graph att(q: f32[S,D], k: f32[T,D], v: f32[T,D]) -> (o: f32[S,D], l: f32[S]) where D >= 2 {\n"
                                "    o[i,e] = attend(j: q[i,d], k[j,d], v[j,e])\n"
                                "    l[i] = sum(d: q[i,d])\n"
                                "}\n";
static const char gather[] = "graph pick(x: f32[N], row: i32[M], K: dim) -> (y: f32[M], z: f32[N]) {\n"
                             "    y[m] = x[row[m]]\n"
                             "    z[n] = sum(k in 0..K: x[n])\n"
                             "}\n";
static const char layers[] = "param w: f32[L,D] = \"layer.{l}.w\"\n"
                             "graph layers(x: f32[D]) -> (y: f32[D]) {\n"
                             "    h[d] = x[d]\n"
                             "    for l in 0..L {\n"
                             "        h[d] = h[d]*w[l,d]\n"
                             "    }\n"
                             "    y[d] = h[d]\n"
                             "}\n";

void shell_file(const char *name, const void *bytes, size_t n) {
    FILE *f = fopen(name, "wb");
    assert_non_null(f);
    assert_int_equal(n ? fwrite(bytes, 1, n, f) : 0, n);
    assert_int_equal(fclose(f), 0);
}

void shell_text(const char *name, const char *text) { shell_file(name, text, strlen(text)); }

void shell_npy(const char *name, const char *header, const void *elements, size_t bytes) {
    char all[4096] = "\x93NUMPY\x01";
    size_t n = strlen(header), length = (10 + n + 64) / 64 * 64 - 10;
    assert_true(10 + length + bytes < sizeof all);
    all[7] = 0;
    all[8] = (char)(length & 255), all[9] = (char)(length >> 8);
    memset(all + 10, ' ', length);
    memcpy(all + 10, header, n);
    all[9 + length] = '\n';
    if (bytes) memcpy(all + 10 + length, elements, bytes);
    shell_file(name, all, 10 + length + bytes);
}

void shell_weights(const char *name, const char *header, const void *elements, size_t bytes) {
    static char all[1 << 16];
    uint64_t n = strlen(header);
    assert_true(8 + n + bytes < sizeof all);
    memcpy(all, &n, 8);
    memcpy(all + 8, header, n);
    if (bytes) memcpy(all + 8 + n, elements, bytes);
    shell_file(name, all, 8 + n + bytes);
}

bool shell_exists(const char *name) { return access(name, F_OK) == 0; }

int shell_count(void) {
    int n = 0;
    DIR *d = opendir(".");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

int shell_open(void **state) {
    static const float x[12] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, by_column[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    static const int32_t rows[] = {0, 3, 2, 0, 4, 1};
    unsigned char big[32];
    (void)state;
    if (!mkdtemp(folder) || chdir(folder)) return -1;
    setenv("A", ATTN_BINARY_DIR "/attnc", 1);
    setenv("NO_COLOR", "1", 1);
    shell_text("a.attn", attention);
    shell_text("pick.attn", gather);
    shell_text("layers.attn", layers);
    shell_npy("q.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", x, 32);
    shell_npy("k.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }", x, 48);
    shell_npy("q_columns.npy", "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 4), }", by_column, 32);
    for (int n = 0; n < 8; n++)
        for (int b = 0; b < 4; b++) big[4 * n + b] = ((const unsigned char *)&x[n])[3 - b];
    shell_npy("q_big.npy", "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 4), }", big, 32);
    shell_npy("x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }", x, 16);
    shell_npy("row.npy", "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }", rows, 12);
    shell_npy("row_wrong.npy", "{'descr': '<i4', 'fortran_order': False, 'shape': (3,), }", rows + 3, 12);
    return 0;
}

int shell_close(void **state) {
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return chdir("/") || system(command) ? -1 : 0;
}

static void slurp(const char *name, char *out, size_t room) {
    FILE *f = fopen(name, "rb");
    assert_non_null(f);
    size_t n = fread(out, 1, room - 1, f);
    out[n] = 0;
    fclose(f);
    remove(name);
}

static void run(const char *format, va_list list) {
    char line[4096], all[5000];
    assert_true(vsnprintf(line, sizeof line, format, list) < (int)sizeof line);
    snprintf(all, sizeof all, "{ %s\n} >.out 2>.err </dev/null", line);
    int status = system(all);
    last.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    slurp(".out", last.out, sizeof last.out);
    slurp(".err", last.err, sizeof last.err);
}

const shell_result *shell(const char *format, ...) {
    va_list list;
    va_start(list, format);
    run(format, list);
    va_end(list);
    return &last;
}

void shell_expect(int status, const char *words, const char *file, int line, const char *format, ...) {
    va_list list;
    va_start(list, format);
    run(format, list);
    va_end(list);
    bool said = !words || strstr(status ? last.err : last.out, words);
    if (last.status != status || !said)
        print_message("%s:%d: %s\nexit status %d, expected %d; expected to read: %s\n---- stdout\n%.2000s---- stderr\n%s----\n", file, line, format, last.status,
                      status, words ? words : "", last.out, last.err);
    _assert_int_equal((unsigned)last.status, (unsigned)status, file, line);
    _assert_true(said, "said", file, line);
}

/* attnc build: files that others use. Hosts of hosts/ are compiled here, against the headers that were made here. */
#include "shell.h"
#include <unistd.h>

#define HOSTS ATTN_SOURCE_DIR "/tests/cli/hosts/"
#define BESIDE "-Wl,-rpath,'$ORIGIN' "          /* shared objects are found beside the program */
/* Nothing but libc, libm, threads and the loader is needed by a file. */
#define NEEDS_LITTLE(file) "! readelf -d " file " | grep NEEDED | grep -vE '\\[(libc|libm|libpthread|ld-linux[a-z0-9-]*)\\.so\\.[0-9]+\\]'"
#define STRICT "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"

static int set_up(void **state) {
    static const float weights[] = {1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    if (shell_open(state)) return -1;
    shell_weights("w.safetensors",
                  "{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},\"layer.1.w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,32]},"
                  "\"layer.2.w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[32,48]}}", weights, sizeof weights);
    return 0;
}

/* ---- what is made */

static void test_mistakes(void **state) {
    (void)state;
    int files = shell_count();
    expect(2, "E1017: build needs -o FILE", "$A build a.attn");
    expect(2, "E0960: what to build is told by the suffix of 'x.dll'", "$A build a.attn -o x.dll");
    expect(2, "expected: .so, .o, .s, .ll", "$A build a.attn -o some.folder/x");
    expect(2, "E0805", "$A build a.attn -o x.so --cpu pentium");
    expect(2, "expected: x86-64, x86-64-v2", "$A build a.attn -o x.so --cpu x86-64-v3,pentium");
    expect(2, "E0961: CPU level x86-64-v3 is given twice", "$A build a.attn -o x.so --cpu x86-64-v3,x86-64-v3");
    expect(2, "E1017: --embed-weights needs --weights FILE", "$A build layers.attn -o x.so --embed-weights");
    expect(2, "E1017: --weights of build needs --embed-weights", "$A build layers.attn -o x.so --weights w.safetensors");
    expect(1, "E0705", "$A build layers.attn -o x.so --weights a.attn --embed-weights");
    expect(2, "E1013", "$A build a.attn -o x.so --graph none");
    expect(2, "is for target cpu", "$A build a.attn -o x.so --target cuda");
    expect(1, "E0702: cannot write", "$A build a.attn -o nowhere/x.so");
    expect(1, "E0831: a shared object needs a C compiler or a linker", "PATH=/nowhere $A build a.attn -o x.so");
    shell_text("cc", "#!/bin/sh\necho cc has its reasons\nexit 1\n");
    expect(1, "found: cc has its reasons", "chmod +x cc; PATH=$PWD $A build a.attn -o x.so");
    shell("rm cc");
    assert_int_equal(shell_count(), files);          /* nothing half done is left behind */
#if defined(__x86_64__)
    expect(2, "E0962: code for aarch64 cannot go into an object for x86-64", "$A build a.attn -o x.so --cpu aarch64");
#endif
}

static void test_texts(void **state) {
    (void)state;
    expect(0, NULL, "$A build a.attn -o x.ll --graph copy && grep -q 'define.*k0_y' x.ll && ! test -e x.h");
    expect(0, NULL, "$A build a.attn -o x.s --graph copy && grep -q 'k0_y:' x.s");
#if defined(__x86_64__)
    expect(0, NULL, "$A build a.attn -o wide.s --cpu x86-64-v4 && grep -q zmm wide.s && $A build a.attn -o x.s && ! grep -q zmm x.s");
#endif
    expect(0, NULL, "$A build a.attn -o x.cu --target cuda:sm_90a && grep -q __global__ x.cu");
    shell("rm -f x.ll x.s x.cu wide.s");
}

/* The names of two levels in the header; both are in the object. */
static void test_levels(void **state) {
    (void)state;
#if defined(__x86_64__)
    expect(0, NULL, "$A build a.attn -o x.so --cpu x86-64,x86-64-v3 && grep -q 'for x86-64 and x86-64-v3' x.h");
    expect(0, NULL, "$A build a.attn -o y.so --cpu x86-64 && test $(stat -c %%s y.so) -lt $(stat -c %%s x.so)");
    expect(0, NULL, "$A build a.attn -o x.so --target cpu:x86-64 && grep -q 'for x86-64\\. ' x.h");
    shell("rm -f x.so x.h y.so y.h");
#endif
    /* An object needs no linker, so that it may be for another architecture; it has one. */
    expect(0, "AArch64", "$A build a.attn -o x.o --cpu aarch64 && readelf -h x.o");
    expect(2, "E0962", "$A build a.attn -o x.o --cpu aarch64,x86-64");
    shell("rm -f x.o x.h");
}

/* Names of libc and libm alone are needed, names of the header alone are there. */
static void test_symbols(void **state) {
    (void)state;
    expect(0, NULL, "$A build a.attn -o liba.so && test -e a.h");
    expect(0, "a_att\na_att_shapes\na_close\na_copy\na_copy_shapes\na_open\n", "nm -D --defined-only liba.so | cut -d' ' -f3 | LC_ALL=C sort");
    expect(0, "liba.so", "readelf -d liba.so | grep SONAME");
    expect(0, NULL, NEEDS_LITTLE("liba.so"));
    expect(0, "libc.so", "readelf -d liba.so | grep NEEDED");
    expect(0, NULL, "! readelf -lW liba.so | grep -E 'GNU_STACK.*E|TEXTREL'");
    shell("rm -f liba.so a.h");
}

/* ---- the header */

static const char odd[] = "## ends */ here /* there\n"
                          "graph open(int: f32[class], NULL: i32[double, M]) -> (new: f32[class], int_strides: bool[double]) {\n"
                          "    new[i] = int[i]\n"
                          "    int_strides[i] = NULL[i, 0] > 0\n"
                          "}\n"
                          "graph Open(struct_size: f64[__N], _x: i64[__N], attn_call: bool[__N], K: dim) -> (o: f64) { o = sum(n: struct_size[n]) + 1.0*K }\n"
                          "graph error(x: f32) -> (y: f32) { y = x + 1.0 }\n"
                          "graph open_args(x: f32) -> (y: f32) { y = x }\n";

static void test_headers(void **state) {
    (void)state;
    shell_text("odd.attn", odd);
    shell_text("use.c", "#include \"int_.h\"\n#include \"odd.h\"\n#include \"a.h\"\n#include \"layers.h\"\nint main(void) { odd_close(NULL); int__close(NULL); return 0; }\n");
    expect(0, NULL, "$A build odd.attn -o odd.so && $A build odd.attn -o int.so && $A build a.attn -o a.so && $A build layers.attn -o layers.so");
    expect(0, NULL, "cc -std=c99 " STRICT " use.c ./odd.so ./int.so " BESIDE "-o use && ./use");
    expect(0, NULL, "c++ -x c++ -std=c++11 " STRICT " -fsyntax-only use.c");
    expect(0, NULL, "for h in odd a; do echo \"#include \\\"$h.h\\\"\" | cc -std=c99 " STRICT " -I. -x c -fsyntax-only - || exit 1; done");
    expect(0, NULL, "printf '#include \"attn/attn.h\"\\n#include \"a.h\"\\n' | cc -std=c99 " STRICT " -I. -I" ATTN_SOURCE_DIR "/runtime/include -x c -fsyntax-only -");
    expect(0, "graph att", "cat a.h");
    expect(0, "D >= 2", "cat a.h");
    expect(0, "w: f32[L, D] = \"layer.{l}.w\"", "cat layers.h");
    shell("rm -f odd.* int.so int_.h a.so a.h layers.so layers.h use use.c");
}

/* ---- hosts */

static void test_calls(void **state) {
    (void)state;
    expect(0, NULL, "$A build a.attn -o a.so && $A build pick.attn -o pick.so && cc -std=c99 " STRICT " -I. " HOSTS "calls.c ./a.so ./pick.so " BESIDE "-o calls");
    expect(0, NULL, "./calls >found.txt; diff " HOSTS "calls.txt found.txt >&2");
    shell("rm -f calls found.txt a.so a.h pick.so pick.h");
}

/* Weights inside, and a path that takes their place; without either it does not open. */
static void test_weights(void **state) {
    (void)state;
    shell_text("open.c", "#include <stdio.h>\n#include \"layers.h\"\nint main(int n, char **w) {\n layers *l; layers_error e;\n"
                         " int s = layers_open(n > 1 ? w[1] : NULL, NULL, &l, &e);\n printf(\"%d %s\\n\", s, e.message);\n layers_close(l);\n return 0;\n}\n");
    expect(0, NULL, "$A build layers.attn -o layers.so && cc -I. open.c ./layers.so " BESIDE "-o open");
    expect(0, "2 layers.attn:1:1: error E0710: param w needs weights, and none are given", "./open");
    expect(0, "0 \n", "./open w.safetensors");
    expect(0, NULL, "$A build layers.attn -o layers.so --weights w.safetensors --embed-weights");
    expect(0, "0 \n", "./open");
    expect(0, "3 error E0701", "./open none");
    shell("rm -f open open.c layers.so layers.h");
}

/* An output in the memory of the input of its name: written when all has gone well, untouched by a call that fails. */
static void test_in_place(void **state) {
    (void)state;
    shell_text("step.attn", "graph step(x: f32[N], row: i32[M]) -> (x: f32[N]) {\n    x[n] = x[N - 1 - n] + sum(m: x[row[m]])\n}\n");
    shell_text("step.c", "#include <stdio.h>\n#include \"step.h\"\nint main(void) {\n step *s; float x[4] = {1, 2, 3, 4}; int row[1] = {4};\n"
                         " step_step_args a = STEP_STEP_ARGS_INIT;\n if (step_open(NULL, NULL, &s, NULL)) return 1;\n"
                         " a.N = 4, a.M = 1, a.x = x, a.row = row, a.x_ = x;\n"
                         " printf(\"%d: %g %g\", step_step(s, &a, NULL), (double)x[0], (double)x[3]);\n row[0] = 1;\n"
                         " printf(\", %d: \", step_step(s, &a, NULL));\n printf(\"%g %g %g %g\", (double)x[0], (double)x[1], (double)x[2], (double)x[3]);\n"
                         " a.x_ = x + 1, a.N = 3;\n printf(\", %d\\n\", step_step(s, &a, NULL));\n step_close(s);\n return 0;\n}\n");
    expect(0, NULL, "$A build step.attn -o step.so && cc -I. step.c ./step.so " BESIDE "-o step");
    expect(0, "2: 1 4, 0: 6 5 4 3, 4\n", "./step");
    shell("rm -f step step.c step.attn step.so step.h");
}

static void test_threads(void **state) {
    (void)state;
    expect(0, NULL, "$A build a.attn -o a.so && $A build layers.attn -o layers.so --weights w.safetensors --embed-weights");
    expect(0, NULL, "cc -std=c11 -D_GNU_SOURCE " STRICT " -I. " HOSTS "threads.c ./a.so ./layers.so -pthread " BESIDE "-o threads");
    expect(0, "own threads: right, a shared executor: right, which ran jobs", "./threads");
    shell("rm -f threads a.so a.h layers.so layers.h");
}

/* The relocatable, linked by hand with the runtime; the linker alone, where there is no compiler. */
static void test_other_links(void **state) {
    (void)state;
    expect(0, NULL, "$A build a.attn -o a.o && $A build pick.attn -o pick.o");
    expect(0, NULL, "cc -I. " HOSTS "calls.c a.o pick.o " ATTN_BINARY_DIR "/libattn_rt.a -lm -pthread -o static && " NEEDS_LITTLE("static") " && ./static >found.txt; diff " HOSTS "calls.txt found.txt >&2");
    /* All of the runtime, also what no object asks for. */
    expect(0, NULL, "cc -shared -Wl,-z,defs -Wl,--whole-archive " ATTN_BINARY_DIR "/libattn_rt.a -Wl,--no-whole-archive -lm -pthread -o whole.so && " NEEDS_LITTLE("whole.so"));
    shell("rm -f whole.so");
    expect(0, NULL, "mkdir bin && ln -s $(command -v ld) bin/ld && PATH=$PWD/bin $A build a.attn -o a.so && PATH=$PWD/bin $A build pick.attn -o pick.so");
    expect(0, NULL, NEEDS_LITTLE("a.so"));
    expect(0, "libc.so", "readelf -d a.so | grep NEEDED");
    expect(0, NULL, "cc -I. " HOSTS "calls.c ./a.so ./pick.so " BESIDE "-o calls && ./calls >found.txt; diff " HOSTS "calls.txt found.txt >&2");
    shell("rm -rf bin static calls found.txt a.o a.so a.h pick.o pick.so pick.h");
}

/* A root of its own with the program, its shared objects, libc and libm: whatever else the build machine has is not there. */
static void test_alone(void **state) {
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root may change its root\n");
        skip();
    }
    expect(0, NULL, "$A build a.attn -o a.so && $A build pick.attn -o pick.so && cc -I. " HOSTS "calls.c ./a.so ./pick.so -Wl,-rpath,/ -o calls");
    expect(0, NULL, "mkdir root && for f in $(LD_LIBRARY_PATH=. ldd ./calls | grep -oE '/(usr/)?lib[^ ]*'); do mkdir -p root$(dirname $f) && cp -L $f root$f || exit 1; done && cp calls a.so pick.so root/");
    expect(0, NULL, "test $(find root -type f | wc -l) -le 6");          /* the three, libc, libm, the loader */
    expect(0, NULL, "chroot root /calls >found.txt; diff " HOSTS "calls.txt found.txt >&2");
    shell("rm -rf root calls a.so a.h pick.so pick.h found.txt");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mistakes), cmocka_unit_test(test_texts),   cmocka_unit_test(test_levels),      cmocka_unit_test(test_symbols), cmocka_unit_test(test_headers),
        cmocka_unit_test(test_calls),    cmocka_unit_test(test_weights), cmocka_unit_test(test_in_place), cmocka_unit_test(test_threads),     cmocka_unit_test(test_other_links),
        cmocka_unit_test(test_alone),
    };
    return cmocka_run_group_tests_name("build", tests, set_up, shell_close);
}

/* Everything that people get wrong: one clear message, its exit status (1 the program, its data or the machine, 2 usage), and no file that is
 * not whole. */
#include "shell.h"
#include <unistd.h>

#define RUN "$A run a.attn --in k=k.npy v=k.npy "

static void test_usage(void **state) {
    (void)state;
    expect(2, "error E1001: there is no verb 'frob'", "$A frob");
    expect(2, "check needs a file", "$A check");
    expect(2, "check has no option '--threads'", "$A check a.attn --threads 2");
    expect(2, "one at a time", "$A check a.attn b.attn");
    expect(2, "--threads needs an argument", "$A run a.attn --threads");
    expect(2, "not 'x'", "$A run a.attn --threads x");
    expect(2, "not '-1'", "$A run a.attn --seed -1");
    expect(2, "not '1025'", "$A run a.attn --threads 1025");
    expect(2, "'q' is neither name=file nor an archive file.npz", "$A run a.attn --in q");
    expect(2, "'q=' is neither name=file", "$A run a.attn --in q=");
    expect(2, "'S' is not NAME=size", "$A run a.attn --dims S");
    expect(2, "'S=-1' is not NAME=size", "$A run a.attn --dims S=-1");
    expect(2, "'S=99999999999999999999' is not NAME=size", "$A run a.attn --dims S=99999999999999999999");
    expect(2, "--dims gives dimension 'S' twice", "$A run a.attn --dims S=1,S=2");
    expect(2, "--in gives input 'q' twice", RUN "q=q.npy q=q.npy");
    expect(2, "--out gives output 'o' twice", RUN "q=q.npy --out o=a.npy o=b.npy");
    expect(2, "--out gives file 'a.npy' twice", RUN "q=q.npy --out o=a.npy l=a.npy");
    expect(2, "--out file.npz and any other --out exclude each other", RUN "q=q.npy --out o=a.npy all.npz");
    expect(1, "E0701", "$A run a.attn --in all.npz");
    expect(0, "", RUN "q=q.npy --out all.npz");
    expect(2, "E1014: graph att has no input 'o'\n  expected: q, k, v", "$A run a.attn --in all.npz");
    expect(1, "E0703: 'all.npz' is no .npy file", RUN "q=all.npz");
    shell_text("all.npz", "text");
    expect(1, "E0711: 'all.npz' is no .npz file", "$A run a.attn --in all.npz");
    shell("rm all.npz");
    expect(2, "--graph is given twice", "$A run a.attn --graph att --graph copy");
    expect(2, "takes a positive number, not '0'", "$A verify a.attn --tolerance 0");
    expect(2, "exclude each other", "$A ir a.attn --code --after lower");
    assert_false(shell_exists("a.npy"));
}

static void test_names(void **state) {
    (void)state;
    expect(2, "E1013: a.attn has no graph 'zz'\n  expected: copy, att", "$A run a.attn --graph zz");
    expect(2, "E1014: graph att has no input 'zz'\n  expected: q, k, v", RUN "zz=q.npy");
    expect(2, "has no output 'zz'\n  expected: o, l", RUN "q=q.npy --out zz=z.npy");
    expect(2, "E0957", RUN "q=q.npy --dims Z=3");
    expect(2, "expected: S, D, T", RUN "q=q.npy --dims Z=3");
    expect(2, "E0957: the program has no dimension 'Z'\n  expected: ", "$A build a.attn -o z.so --dims Z=3");
    expect(2, "E0957: graph att has no dimension 'Z'\n  expected: S, D, T", "$A build a.attn --graph att -o z.ll --dims Z=3");
    assert_false(shell_exists("z.so") || shell_exists("z.ll"));
    expect(2, "expected: eval, cpu", RUN "q=q.npy --target gpu");
    expect(2, "expected: frontend, simplify", "$A ir a.attn --after nothing");
    expect(2, "E0951", "$A ir a.attn --target eval");
    expect(2, "there are no kernels", "$A explain a.attn --target eval");
}

static void test_program(void **state) {
    (void)state;
    expect(1, "E0701: cannot read 'none.attn': No such file", "$A check none.attn");
    expect(1, "Is a directory", "$A check /tmp");
    shell_text("wrong.attn", "graph g(x: f32[N]) -> (y: f32[N]) {\n    y[n] = x[m] + u[n]\n}\n");
    expect(1, "wrong.attn:2:14: error E0201", "$A check wrong.attn");
    expect(1, "wrong.attn:2:19: error E0202", "$A check wrong.attn");        /* both of them */
    expect(1, "    2 |     y[n] = x[m] + u[n]\n      |              ^", "$A run wrong.attn");
    shell_text("wrong.attn", "");
    expect(1, "has no graph", "$A run wrong.attn");
    shell_file("wrong.attn", "\xff\xfe\0gra", 6);
    expect(1, "E01", "$A check wrong.attn");
    shell_text("wrong.attn", "import \"nowhere.attn\"\n");
    expect(1, "E0109", "$A check wrong.attn");
    shell("rm wrong.attn");
}

/* Root reads every file, so it becomes nobody for this one. */
static void test_unreadable(void **state) {
    bool root = geteuid() == 0;
    (void)state;
    if (root && system("setpriv --reuid=65534 --clear-groups test -x \"$A\" >/dev/null 2>&1")) {
        print_message("skipped: root reads every file, and there is no setpriv that makes it nobody\n");
        skip();
    }
    shell("cp q.npy closed.npy; chmod 0 closed.npy; chmod a+rx .");
    expect(1, "E0701: cannot read 'closed.npy': Permission denied", "%s" RUN "q=closed.npy", root ? "setpriv --reuid=65534 --clear-groups " : "");
    shell("chmod u+w . && rm -f closed.npy");
}

static void test_tensors(void **state) {
    static const double doubles[8];
    (void)state;
    shell_npy("f8.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 4), }", doubles, sizeof doubles);
    expect(1, "E0701: cannot read 'none.npy': No such file", RUN "q=none.npy");
    expect(1, "Is a directory", RUN "q=/tmp");
    expect(1, "E0701", RUN "q=/dev/zero");
    expect(1, "E0606: q has no tensor", RUN);
    expect(1, "E0613: q has elements of type f64, expected f32", RUN "q=f8.npy");
    expect(1, "E0604: q has 1 axes, expected 2", RUN "q=x.npy");
    shell_npy("q3.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", doubles, 24);
    expect(1, "E0605: axis 1 of k has 4 elements, expected 3", RUN "q=q3.npy");
    expect(1, "a.attn:3:", RUN "q=q3.npy");
    expect(1, "  expected: f32[T, D] with D = 3\n  found: f32[3, 4]\n", RUN "q=q3.npy");
    expect(1, "E0619: dimension S is given as 3, but the shapes say 2", RUN "q=q.npy --dims S=3");
    expect(1, "E0618: dimension K is needed", "$A run pick.attn --in x=x.npy row=row.npy");
    shell_npy("q1.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }", doubles, 8);
    expect(1, "found: D = 1", "$A run a.attn --in q=q1.npy k=q1.npy v=q1.npy");
    shell("rm f8.npy q3.npy q1.npy");
}

/* An index that is out of range is found before anything is written. */
static void test_index(void **state) {
    int before = shell_count();
    (void)state;
    expect(1, "pick.attn:2:", "$A run pick.attn --in x=x.npy row=row_wrong.npy --dims K=1 --out z=z.npy y=y.npy");
    expect(1, "E0601: index 4 is out of range for axis 0 of x, which has 4 elements (at m = 1)",
           "$A run pick.attn --in x=x.npy row=row_wrong.npy --dims K=1 --out z=z.npy y=y.npy");
    expect(1, "E0601", "$A run pick.attn --in x=x.npy row=row_wrong.npy --dims K=1 --target eval --out z=z.npy y=y.npy");
    assert_int_equal(shell_count(), before);
}

static void refuse_npy(const char *header, size_t bytes, const char *code) {
    static const char zeros[256];
    shell_npy("bad.npy", header, zeros, bytes);
    expect(1, code, RUN "q=bad.npy");
}

static void test_hostile_npy(void **state) {
    (void)state;
    shell_text("bad.npy", "hello");
    expect(1, "E0703", RUN "q=bad.npy");
    shell_text("bad.npy", "");
    expect(1, "E0703", RUN "q=bad.npy");
    shell_file("bad.npy", "\x93NUMPY\x02\0\xff\xff\xff\xff{", 13);
    expect(1, "E0703", RUN "q=bad.npy");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", 29, "needs 32 bytes of elements, it has 29");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), }", 36, "E0703");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9223372036854775807), }", 0, "too large");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904,), }", 0, "too large");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }", 0, "E0703");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4), }", 0, "E0703");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1), }", 4, "E0703");
    refuse_npy("{'descr': '|O', 'fortran_order': False, 'shape': (2, 4), }", 32, "E0704");
    refuse_npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 4), 'more': ((((", 32, "E0703");
    refuse_npy("{'descr': '<f4', 'shape': (2, 4), }", 32, "E0703");
    shell("rm bad.npy");
}

#define ONE "\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}"

static void refuse_weights(const char *header, size_t bytes, const char *code) {
    static const char zeros[256];
    shell_weights("bad.safetensors", header, zeros, bytes);
    expect(1, code, "$A run layers.attn --in x=x.npy --weights bad.safetensors");
}

static void test_hostile_weights(void **state) {
    static char deep[40000];
    static const unsigned char huge[16] = {255, 255, 255, 255, 255, 255, 255, 127, '{', '}'};
    (void)state;
    expect(1, "E0701", "$A run layers.attn --in x=x.npy --weights none.safetensors");
    expect(1, "E0710", "$A run layers.attn --in x=x.npy");
    shell_file("bad.safetensors", huge, sizeof huge);
    expect(1, "E0705", "$A run layers.attn --in x=x.npy --weights bad.safetensors");
    shell_text("bad.safetensors", "abc");
    expect(1, "E0705", "$A run layers.attn --in x=x.npy --weights bad.safetensors");
    refuse_weights("{\"layer.0.w\":", 0, "E0705");
    refuse_weights("[]", 0, "E0705");
    refuse_weights("{\"layer.0.w\":1}", 0, "E0705");
    refuse_weights("{" ONE "}", 15, "lies outside of the file");
    refuse_weights("{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,16]}}", 16, "does not fit its bytes");
    refuse_weights("{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]}}", 16, "E0705");
    refuse_weights("{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", 16, "E0705");
    refuse_weights("{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]}}", 16, "E0705");
    refuse_weights("{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[4611686018427387905,4],\"data_offsets\":[0,16]}}", 16, "E0705");
    refuse_weights("{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[9223372036854775800,9223372036854775807]}}", 16, "E0705");
    refuse_weights("{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,99999999999999999999]}}", 16, "E0705");
    refuse_weights("{" ONE ",\"b\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[8,24]}}", 24, "overlaps another tensor");
    refuse_weights("{" ONE "," ONE "}", 16, "E0705");
    refuse_weights("{}", 0, "E0706");
    refuse_weights("{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}", 16, "E0707");
    refuse_weights("{\"layer.0.w\":{\"dtype\":\"F8_E5M2\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "E0708");
    refuse_weights("{\"layer.0.w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]}}", 12, "E06");
    memset(deep, '[', sizeof deep - 1);
    refuse_weights(deep, 0, "E0705");
    shell("rm bad.safetensors");
}

/* Of two outputs one cannot be written: neither is, and no unfinished file stays behind. */
static void test_outputs(void **state) {
    int before = shell_count();
    (void)state;
    expect(1, "E0702: cannot write 'nowhere/o.npy': No such file or directory", RUN "q=q.npy --out o=nowhere/o.npy");
    expect(1, "E0702: cannot write 'nowhere/l.npy'", RUN "q=q.npy --out o=o.npy l=nowhere/l.npy");
    expect(1, "E0702: cannot write '/dev/full': No space left", RUN "q=q.npy --out o=o.npy l=/dev/full");
    expect(1, "E0702: cannot write '/tmp': Is a directory", RUN "q=q.npy --out o=o.npy l=/tmp");
    expect(1, "E0702", "(ulimit -f 0; trap '' XFSZ; " RUN "q=q.npy --out o=o.npy 2>&1) | cat >&2; test -e o.npy");
    assert_int_equal(shell_count(), before);
    expect(0, NULL, RUN "q=q.npy --out o=o.npy && cp o.npy before.npy");
    expect(1, "E0702", RUN "q=q.npy --out o=o.npy l=/dev/full");
    expect(0, NULL, "cmp o.npy before.npy");             /* what was there before is as it was */
    expect(0, NULL, RUN "q=q.npy --out o=/dev/null");
    shell("rm o.npy before.npy");
}

static void test_stdout(void **state) {
    (void)state;
    expect(1, "cannot write the results", "$A check a.attn >&-");
    expect(1, "No space left", "$A check a.attn >/dev/full");
    expect(1, "No space left", "$A run a.attn >/dev/full");
    expect(0, "plan att", "$A ir a.attn | head -n 1");
}

static void test_memory(void **state) {
    int before = shell_count();
    (void)state;
    expect(1, "E0801: out of memory", "$A run a.attn --dims S=2000000000,T=2000000000,D=2000000000 --out o=o.npy");
    expect(1, "E0801: out of memory", "$A run a.attn --dims S=2000000000,T=2000000000,D=2000000000 --out o=o.npy --target eval");
#ifndef __SANITIZE_ADDRESS__
    expect(1, "E0801: out of memory", "ulimit -v 2000000; $A run a.attn --graph copy --dims N=800000000 --out y=o.npy");
    expect(1, "error E08", "ulimit -v 60000; $A run a.attn --out o=o.npy");       /* no room for LLVM */
#endif
    assert_int_equal(shell_count(), before);
}

static void test_no_gpu(void **state) {
    (void)state;
    if (shell("$A run a.attn --target cuda")->status == 0) {
        print_message("skipped: there is a GPU\n");
        skip();
    }
    expect(1, "target cuda cannot be used here", "$A run a.attn --target cuda");
    expect(1, "libcuda", "env -u CUDA_PATH -u CUDA_HOME $A run a.attn --target cuda");
    expect(0, "cannot be used here", "$A verify a.attn");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usage),   cmocka_unit_test(test_names),       cmocka_unit_test(test_program), cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_tensors), cmocka_unit_test(test_index),       cmocka_unit_test(test_hostile_npy),
        cmocka_unit_test(test_hostile_weights), cmocka_unit_test(test_outputs), cmocka_unit_test(test_stdout), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_no_gpu),
    };
    return cmocka_run_group_tests(tests, shell_open, shell_close);
}

/* A host of a.so and pick.so: results, and every mistake of a host with the words that it gets. What it prints the test compares. */
#include <stdio.h>
#include <string.h>
#include "a.h"
#include "pick.h"

static a_error error;

static void show(const char *what, int status) { printf("%s: %d %s%s%s\n", what, status, error.code, *error.code ? " " : "", error.message); }

static void call_att(a *model) {
    static const float q[] = {0, 1, 2, 3, 4, 5, 6, 7}, k[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    static const float by_column[] = {0, 4, 1, 5, 2, 6, 3, 7};
    static const int64_t columns[] = {1, 2}, backwards[] = {-4, 1};
    float o[8], l[2], o2[8], l2[2];
    a_att_args args = A_ATT_ARGS_INIT;
    a_att_outputs shape = A_ATT_OUTPUTS_INIT;
    args.S = 2, args.D = 4, args.T = 3;
    args.q = q, args.k = k, args.v = k, args.o = o, args.l = l;
    show("att", a_att(model, &args, &error));
    printf("l = %g %g\n", (double)l[0], (double)l[1]);
    show("shapes", a_att_shapes(model, &args, &shape, &error));
    printf("o: %d %d, l: %d\n", (int)shape.o[0], (int)shape.o[1], (int)shape.l[0]);
    shape.struct_size = sizeof shape - sizeof shape.l;           /* no room for the last of them */
    show("short shapes", a_att_shapes(model, &args, &shape, &error));
    args.q = by_column, args.q_strides = columns, args.o = o2, args.l = l2;
    show("columns", a_att(model, &args, &error));
    printf("same: %d\n", !memcmp(o, o2, sizeof o) && !memcmp(l, l2, sizeof l));
    args.q = q + 4, args.q_strides = backwards, args.o = NULL;
    show("backwards", a_att(model, &args, &error));
    printf("l = %g %g\n", (double)l2[0], (double)l2[1]);
    args.q = NULL, args.q_strides = NULL;
    show("NULL", a_att(model, &args, &error));
    args.q = q, args.o = o, args.l = o + 7;
    show("overlap", a_att(model, &args, &error));
    args.l = l, args.D = 1;
    show("fact", a_att(model, &args, &error));
    args.D = -1;
    show("negative", a_att(model, &args, &error));
    args.D = 4, args.struct_size = 0;
    show("size", a_att(model, &args, &error));
    show("handle", a_att(NULL, &args, &error));
    printf("no error struct: %d\n", a_att(model, NULL, NULL));
}

/* A flag that is set before the call, and a deadline that has passed. */
static void call_with_terms(a *model) {
    static const float x[4] = {1, 2, 3, 4};
    float y[4];
    bool stop = true;
    attn_call terms = {sizeof terms, 1, INT64_MAX, 0, &stop};
    a_copy_args args = A_COPY_ARGS_INIT;
    args.N = 4, args.x = x, args.y = y, args.call = &terms;
    show("cancel", a_copy(model, &args, &error));
    stop = false, terms.deadline_ns = 1;
    show("late", a_copy(model, &args, &error));
    terms.deadline_ns = 0;
    show("in time", a_copy(model, &args, &error));
}

static void call_pick(pick *model) {
    static const float x[4] = {0, 1, 2, 3};
    static const int32_t row[3] = {0, 3, 4};
    float y[3], z[4];
    pick_error wrong;
    pick_pick_args args = PICK_PICK_ARGS_INIT;
    args.N = 4, args.M = 2, args.K = 2, args.x = x, args.row = row, args.y = y, args.z = z;
    int status = pick_pick(model, &args, &wrong);
    printf("pick: %d, %g %g, %g\n", status, (double)y[0], (double)y[1], (double)z[3]);
    args.M = 3;
    status = pick_pick(model, &args, &wrong);
    printf("pick: %d %s\n", status, wrong.message);
}

int main(void) {
    a *model = NULL;
    pick *other = NULL;
    a_options options = A_OPTIONS_INIT;
    options.threads = 2;
    show("missing weights", a_open("none.safetensors", NULL, &model, &error));
    options.struct_size = 0;
    show("options", a_open(NULL, &options, &model, &error));
    options.struct_size = sizeof options;
    show("open", a_open(NULL, &options, &model, &error));
    if (!model || pick_open(NULL, NULL, &other, NULL)) return 1;
    call_att(model);
    call_with_terms(model);
    call_pick(other);
    pick_close(other);
    a_close(model);
    a_close(NULL);
    return 0;
}

#!/usr/bin/env python3
"""Bugs planted in the rules of masks, one at a time: the brute-force test must fail for each.

    tests/mask/mutate.py BUILD [--every N] [FIRST [LAST]]

BUILD: a build folder with `ninja attn_for_tests`. Plants FIRST..LAST, all if not given; with --every N each N-th of them. A plant that the quick
tests let through is tried with all.
"""
import argparse
import concurrent.futures
import glob
import os
import subprocess
import sys
import tempfile
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
B, T, K, F, S, W, A = ("mask_bounds.c", "mask_truth.c", "mask_keys.c", "mask_form.c", "mask_summary.c", "test_brute.c", "mask_facts.c")
P, O = "poly.c", "fold.c"
PLANTS = [
    (B, "(mask_bounds){ mask_mul(s, c, b.lo), mask_mul(s, c, b.hi) } :", "(mask_bounds){ mask_mul(s, c, b.hi), mask_mul(s, c, b.lo) } :"),
    (B, "return (mask_bounds){ least(s, p, q), most(s, p, q) };", "return (mask_bounds){ p, q };"),
    (B, "return (mask_bounds){ least(s, least(s, p, q), least(s, r, t)),", "return (mask_bounds){ least(s, p, t),"),
    (B, "return (mask_bounds){ mask_div(s, a.lo, d), mask_div(s, a.hi, d) };", "return (mask_bounds){ mask_div(s, a.lo, d), mask_div(s, a.lo, d) };"),
    (B, "ir_op2(u, IR_EQ, mask_div(s, a.lo, m), mask_div(s, a.hi, m))", "ir_op2(u, IR_LE, mask_sub(s, a.hi, a.lo), m)"),
    (B, "if (lo) lo = ir_select(u, c.must, a.lo, ir_select(u, c.may, lo, b.lo));", "if (lo) lo = ir_select(u, c.may, a.lo, b.lo);"),
    (B, "mask_either(s, IR_MAX, mask_either(s, IR_MAX, a.lo, negated(s, a.hi)), ir_int(s->u, 0))", "ir_int(s->u, 1)"),
    (B, "? (mask_bounds){ least(s, a.lo, b.lo), mask_either(s, IR_MIN, a.hi, b.hi) }", "? (mask_bounds){ most(s, a.lo, b.lo), mask_either(s, IR_MIN, a.hi, b.hi) }"),
    (B, "most(s, a.hi, b.hi) };\n    default:", "least(s, a.hi, b.hi) };\n    default:"),
    (B, "if (is_negative_literal(s, m)) return (mask_bounds){ ir_add(u, m, one), zero };", "if (is_negative_literal(s, m)) return (mask_bounds){ zero, zero };"),
    (B, "all = { zero, mask_sub(s, mask_bounds_of(s, m).hi, one) }", "all = { zero, mask_sub(s, mask_bounds_of(s, m).lo, one) }"),
    (B, "const int64_t t = p->at[i].coef, by = x == y ? 2 : 1;", "const int64_t t = p->at[i].coef, by = 1;"),
    (B, "!base_add(*more, -rest, more)", "!base_add(*more, rest, more)"),
    (T, "if (is_lower) to = (mask_bounds){ mask_sub(s, zero, to.hi), mask_sub(s, zero, to.lo) };", "if (is_lower) to = (mask_bounds){ mask_sub(s, zero, to.lo), mask_sub(s, zero, to.hi) };"),
    (T, "out->may = meets_residue(s, x, m, to.lo, to.hi);", "out->may = meets_residue(s, x, m, to.lo, to.lo);"),
    (T, "above = ir_not(u, meets_residue(s, x, m, ir_add(u, to.lo, one), last));", "above = ir_not(u, meets_residue(s, x, m, ir_add(u, to.hi, one), last));"),
    (T, "out->must = ir_not(u, meets_residue(s, x, m, zero, ir_sub(u, to.hi, one)));", "out->must = ir_not(u, meets_residue(s, x, m, zero, ir_sub(u, to.lo, one)));"),
    (T, "around = ir_add(u, ir_sub(u, m, at), lo);", "around = ir_sub(u, m, at);"),
    (T, "no_more(s, IR_LE, x.hi, y.lo, false), no_more(s, IR_LE, y.hi, x.lo, false)", "no_more(s, IR_LE, x.hi, y.lo, false), no_more(s, IR_LE, y.lo, x.hi, false)"),
    (T, "{ ir_not(s->u, t.must), ir_not(s->u, t.may) }", "{ ir_not(s->u, t.may), ir_not(s->u, t.must) }"),
    (T, "t = (ir_truth){ ir_op2(u, op, t.may, b.may), ir_op2(u, op, t.must, b.must) };", "t = (ir_truth){ ir_op2(u, op, t.may, b.may), ir_op2(u, op, t.may, b.must) };"),
    (T, "if (!x.lo || !n.lo || x.lo != x.hi || n.lo != n.hi) return unknown(s);", "if (!x.lo || !n.lo) return unknown(s);"),
    (T, "if (!reads_a || (!reads_b && !mask_is_point(s, b))) return ir_bool(u, true);", "if (!reads_a) return ir_bool(u, true);"),
    # reals
    (T, "(ir_truth){ ir_not(u, ir_op2(u, IR_LE, y.hi, x.lo)), ir_op2(u, IR_LT, x.hi, y.lo) }", "(ir_truth){ ir_op2(u, IR_LT, x.lo, y.hi), ir_op2(u, IR_LT, x.hi, y.lo) }"),
    (T, "if (op == IR_LE) return (ir_truth){ ir_not(u, behind), end };", "if (op == IR_LE) return (ir_truth){ ir_not(u, behind), ir_not(u, behind) };"),
    (T, "ir_and(u, ir_not(u, behind), ir_not(u, before)), ir_and(u, end, ir_op2(u, IR_LE, y.hi, x.lo))", "ir_and(u, end, ir_op2(u, IR_LE, y.hi, x.lo)), ir_and(u, end, ir_op2(u, IR_LE, y.hi, x.lo))"),
    (T, "return op == IR_NE ? opposite(s, of_reals(s, IR_EQ, a, b))", "return op == IR_NE ? of_reals(s, IR_EQ, a, b)"),
    (B, "return (mask_bounds){ ir_op1(u, IR_FLOAT, x.lo), ir_op1(u, IR_FLOAT, x.hi) };", "return (mask_bounds){ ir_op1(u, IR_FLOAT, x.hi), ir_op1(u, IR_FLOAT, x.lo) };"),
    # conditions together
    (T, "ir_and(s->u, mask_truth_of(s, all[k]).may, meet)", "ir_and(s->u, mask_truth_of(s, all[k]).must, meet)"),
    (T, "return (ir_truth){ t.may, ir_or(s->u, t.must, mask_covered(s, n, side)) };", "return (ir_truth){ t.may, t.must };"),
    (K, "ir_op2(u, IR_LE, b.full_first, ir_add(u, a.full_last, ir_int(u, 1)));", "ir_op2(u, IR_LE, b.full_first, ir_add(u, a.full_last, ir_int(u, 2)));"),
    (K, "if (a.full_first) all = ir_and(u, all, ir_op2(u, IR_LE, a.full_first, c->lo));", ""),
    (K, "return b.full_last ? ir_and(u, all, ir_op2(u, IR_LE, c->hi, b.full_last)) : all;", "return all;"),
    (K, "return ir_and(s->u, no_later(s, x.first, y.last), no_later(s, y.first, x.last));", "return ir_and(s->u, no_later(s, x.last, y.first), no_later(s, y.first, x.last));"),
    (K, "return ir_interval_of(s->u, rest).lo >= 0;", "return true;"),
    # closed ranges
    (K, "if (!mask_is_point(s, p) || !mask_no_less(s, p, 1)) return false;", "if (!mask_is_point(s, p)) return false;"),
    (K, "if (!mask_is_point(s, p) || !mask_no_less(s, p, 1)) return false;", "if (!mask_is_point(s, p) || !mask_no_less(s, p, 0)) return false;"),
    (K, "return solve_sum(v, d, true, zero, &g) ? meet(v->s, h, g) : opaque(v);", "return h;"),
    (K, "h.exact = (left || right) && a.exact && b.exact;", "h.exact = a.exact && b.exact;"),
    (K, "if (right) h.full_first = mask_both", "h.full_first = mask_both"),
    (K, ".full_first = mask_either(s, IR_MAX, every.full_first, zero)", ".full_first = mask_either(s, IR_MAX, every.full_first, ir_int(s->u, -9))"),
    (K, "if (!d || !solve_sum(v, d, false, zero, &h)) return opaque(v);", "if (!d || !solve_sum(v, d, false, zero, &h)) return everything();"),
    (K, "(limit){ mask_sub(s, b.may, rest.lo), mask_sub(s, b.must, rest.hi) }", "(limit){ mask_sub(s, b.may, rest.lo), mask_sub(s, b.must, rest.lo) }"),
    # widths, sums, divisions
    (B, "return i.lo > INT64_MIN && i.hi < INT64_MAX ? e : 0;", "return e;"),
    (B, "return (mask_bounds){ lo, most(s, a.hi, negated(s, a.lo)) };", "return (mask_bounds){ lo, a.hi };"),
    (B, "if (x == y) return square(s, a);", "if (x == y) return (mask_bounds){ mask_mul(s, a.lo, a.lo), mask_mul(s, a.hi, a.hi) };"),
    (B, "if (mask_no_less(s, x, 0) && mask_no_less(s, y, 0)) return", "if (mask_no_less(s, x, 0) || mask_no_less(s, y, 0)) return"),
    (B, "most(s, mask_div(s, a.hi, b.lo), mask_div(s, a.hi, b.hi)) };", "mask_div(s, a.hi, b.hi) };"),
    (B, "if (is_negative_literal(s, d)) return (mask_bounds){ mask_div(s, a.hi, d), mask_div(s, a.lo, d) };", "if (is_negative_literal(s, d)) return (mask_bounds){ mask_div(s, a.lo, d), mask_div(s, a.hi, d) };"),
    (B, "if (!mask_is_point(s, m) || !a.lo || !a.hi) return all;", "if (!a.lo || !a.hi) return all;"),
    (B, "if (hi) hi = ir_select(u, c.must, a.hi, ir_select(u, c.may, hi, b.hi));", "if (hi) hi = ir_select(u, c.may, hi, a.hi);"),
    # normal form
    (P, "for (uint32_t k = 0; k < p->n && g > 1; k++) p->at[k].coef = base_floor_div(p->at[k].coef, g);", "for (uint32_t k = 0; k < p->n && g > 1; k++) p->at[k].coef = p->at[k].coef / g;"),
    (P, "if (is_literal && (literal == 1 || literal == -1)) return mod ? ir_int(u, 0) : ir_int_mul(u, a, c);", "if (is_literal && (literal == 1 || literal == -1)) return mod ? ir_int(u, 0) : a;"),
    (P, "return mod ? rest : ir_int_add(u, ir_terms_expr(u, &q), rest, 1);", "return mod ? rest : ir_int_add(u, ir_terms_expr(u, &q), rest, -1);"),
    (O, "if (!d.lost && constant_of(&d) % ir_terms_content(&d)) return ir_bool(u, op == IR_NE);", ""),
    (F, "return magnitude ? ir_op2(u, op, e, with(f, d, t, ir_int(u, 0), 1, lifts)) : e;", "return e;"),
    (F, "magnitude ? -1 : 1, lifts)", "1, lifts)"),
    (F, "return ir_and(u, order(f, d, f->lifts), order(f, ir_sub(u, ir_int(u, 0), d), f->lifts));", "return order(f, d, f->lifts);"),
    (F, "if (!want.monomial || !has_term(&p, want)) continue;", "if (!want.monomial) continue;"),
    (K, "more = upper ? mask_sub(s, d, ir_int(s->u, 1)) : ir_int(s->u, 0);", "more = ir_int(s->u, 0);"),
    (K, "c = (limit){ mask_sub(s, zero, c.may), mask_sub(s, zero, c.must) };", "c = (limit){ mask_sub(s, zero, c.must), mask_sub(s, zero, c.may) };"),
    (K, ": (limit){ mask_div_up(s, c.may, d), mask_div_up(s, c.must, d) };\n    return solve_monomial", ": (limit){ mask_div(s, c.may, d), mask_div(s, c.must, d) };\n    return solve_monomial"),
    (K, "hull h = { mask_both(s, IR_MIN, a.first, b.first), mask_both(s, IR_MAX, a.last, b.last),", "hull h = { mask_either(s, IR_MIN, a.first, b.first), mask_either(s, IR_MAX, a.last, b.last),"),
    (K, "if (left) h.full_last = mask_both", "h.full_last = mask_both"),
    (K, "h.full_last = ir_select(u, t.must, all, none);", "h.full_last = ir_select(u, t.may, all, none);"),
    (K, "if (wraps(v, &p, at)) h->exact = false;", ""),
    (F, "ir_op op = least == (t.coef > 0) ? IR_AND : IR_OR;", "ir_op op = t.coef > 0 ? IR_AND : IR_OR;"),
    (F, "return ir_or(u, ir_or(u, ir_and(u, yes, a), ir_and(u, no, b)), ir_and(u, a, b));", "return ir_or(u, ir_and(u, yes, a), ir_and(u, yes, b));"),
    (F, "(x.op == IR_AND) != negate ? IR_AND : IR_OR", "x.op == IR_AND ? IR_AND : IR_OR"),
    (F, "if (equal != negate) return same;", "if (equal == negate) return same;"),
    (F, "ir_add(u, ir_sub(u, e, gone), ir_mul(u, ir_int(u, p.at[m].coef), x))", "ir_add(u, ir_sub(u, e, gone), x)"),
    (F, "if (ir_is(u, c, IR_LT)) d = ir_sub(u, d, ir_int(u, 1));", ""),
    (S, "length = ir_sub(u, ir_add(u, shifted(u, level), step), literal(u, 1));", "length = shifted(u, level);"),
    (S, "ir_sub(u, ir_add(u, last, one), shifted(u, level))", "ir_sub(u, last, shifted(u, level))"),
    (S, "ir_op2(r->u, IR_BITAND, e, literal(r->u, 63))", "ir_op2(r->u, IR_BITAND, e, literal(r->u, 31))"),
    (S, "{ IR_MIN, IR_MAX, IR_BITOR }", "{ IR_MIN, IR_MAX, IR_BITAND }"),
    (S, "{ IR_RED_MIN, IR_RED_MAX, IR_RED_BITS }", "{ IR_RED_MIN, IR_RED_MIN, IR_RED_BITS }"),
    (S, "return r->what == LEAST ? IR_RED_ALL : IR_RED_ANY;", "return IR_RED_ANY;"),
    (S, "if (!b.lo || b.lo != b.hi) return 0;\n        at[k] = b.lo;", "if (!b.lo) return 0;\n        at[k] = b.lo;"),
    (S, "at[n++] = r->axis[a].ranged ? c[a].window[which >> a & 1]", "at[n++] = r->axis[a].ranged ? c[a].window[0]"),
    (A, "ir_and(u, ir_op2(u, IR_LE, ir_int(u, 0), at), ir_op2(u, IR_LT, at, q->n_keys))", "ir_op2(u, IR_LT, at, q->n_keys)"),
    (A, "ir_op2(u, IR_LE, keys.full_first, keys.full_last)", "ir_op2(u, IR_LE, keys.first, keys.last)"),
    (A, "ir_sub(u, u->var.at[m->hi[a]].extent, ir_int(u, 1));", "ir_int(u, 0);"),
    (A, "ir_op2(u, IR_MAX, ir_int(u, 0), ir_add(u, ir_sub(u, last, first), ir_int(u, 1)));", "ir_add(u, ir_sub(u, last, first), ir_int(u, 1));"),
    (A, "how_many(u, k->full_first, k->full_last);", "how_many(u, k->full_first, k->last);"),
    (A, "seen = ir_or(u, by_range(&q), ir_or", "seen = ir_or(u, ir_bool(u, true), ir_or"),
    (A, "ir_op2(u, IR_LE, ir_int(u, 0), at), ir_op2(u, IR_LT, at, q->n_keys)", "ir_op2(u, IR_LE, ir_int(u, 0), at), ir_bool(u, true)"),
    (W, "least(n, least(at + size, end) * t->tk) - 1", "least(at + size, end) * t->tk - 1"),
    (W, "end = keys.last / t->tk + 1;", "end = keys.last / t->tk;"),
    (W, "if (k != PARTIAL || size == 1) break;", "break;"),
]
FLAGS = "-std=gnu11 -O1 -w -Iir -Ipasses -Iruntime/base -Iruntime/contract -Iruntime -Itests/mask".split()
RULES = [ROOT + "/ir/poly.c", ROOT + "/ir/fold.c"]         # of the normal form; in the archive as they are
SOURCES = sorted(glob.glob(ROOT + "/passes/mask*.c") + [s for s in glob.glob(ROOT + "/tests/mask/*.c") if not s.endswith("test_boxes.c")])


def compiled(source, path, to):
    subprocess.run(["cc", *FLAGS, "-c", path, "-o", os.path.join(to, os.path.basename(source) + ".o")], cwd=ROOT, check=True)


def first_failure(*words):
    """What a program says first of a failure; None: all is well. One failure is enough, so it is not waited for the others."""
    p = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    late = threading.Timer(900, p.kill)
    late.start()
    first = next((l.strip() for l in p.stdout if "ERROR" in l), None)
    if first:
        p.kill()
    status = p.wait()
    late.cancel()
    return first or (f"it ended with {status}" if status else None)


def planted(k, build, base):
    """What became of plant k: a line, and whether the tests saw it."""
    name, old, new = PLANTS[k]
    source = next(s for s in SOURCES + RULES if os.path.basename(s) == name)
    text = open(source).read()
    if text.count(old) != 1:
        return False, f"{k:2} the text occurs {text.count(old)} times: {name}: {old}"
    with tempfile.TemporaryDirectory() as work:
        for o in os.listdir(base):
            os.symlink(os.path.join(base, o), os.path.join(work, o))
        path = os.path.join(work, name)
        open(path, "w").write(text.replace(old, new))
        if source in SOURCES:
            os.remove(os.path.join(work, name + ".o"))
        compiled(source, path, work)
        objects = glob.glob(work + "/*.o")
        subprocess.run(["cc", *objects, build + "/libattn_for_tests.a", "-lcmocka", "-lm", "-lpthread", "-ldl", "-o", work + "/t"], cwd=ROOT, check=True)
        first = first_failure(work + "/t", "quick") or first_failure(work + "/t")
    caught = first is not None
    first = first or ""
    return caught, f"{k:2} {'caught' if caught else 'ALIVE '} {name}: {old.splitlines()[0][:70]} | {first[:90]}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("last", type=int, nargs="?", default=len(PLANTS) - 1)
    parser.add_argument("--every", type=int, default=1)
    words = parser.parse_args()
    build = os.path.abspath(words.build)
    plants = range(words.first, words.last + 1, words.every)
    alive = 0
    with tempfile.TemporaryDirectory() as base, concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda s: compiled(s, s, base), SOURCES))
        for caught, line in pool.map(lambda k: planted(k, build, base), plants):
            print(line, flush=True)
            alive += not caught
    print(f"{len(plants) - alive} of {len(plants)} caught")
    return alive != 0


if __name__ == "__main__":
    sys.exit(main())

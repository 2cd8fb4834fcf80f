#!/usr/bin/env python3
"""The tour in README.md: one program through every stage, made by running attnc.

    tour.py ATTNC README        compares the block between the markers with what attnc says now
    ATTN_BLESS=1 tour.py ...    writes it

All texts are made for fixed architectures, so they are the same on every machine. The results of the run are compared as numbers,
since the last digits belong to the CPU. One line of the kernel is followed: the score that the first maximum is taken of. Its number is
looked up, so the tour stays true when lines come and go; that the number is in every stage is asserted here.
"""
import os
import re
import subprocess
import sys
import textwrap

CPU, CUDA = "cpu:x86-64-v3", "cuda:sm_80"
BEGIN, END = "<!-- tour: written by tests/tour/tour.py -->", "<!-- end of the tour -->"
WIDTH = 150
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAM = "tests/tour/tour.attn"


class Tour:
    def __init__(self, attnc):
        self.attnc = os.path.abspath(attnc)
        self.parts = []

    def run(self, *words):
        done = subprocess.run([self.attnc, *words], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"attnc {' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def ir(self, target, *words):
        return self.run("ir", PROGRAM, "--target", target, *words)

    def say(self, text):
        self.parts.append(textwrap.fill(" ".join(text.split()), 140, break_long_words=False, break_on_hyphens=False))

    def show(self, lines, language="", command=None):
        body = [clip(line) for line in lines]
        if command:
            body = [f"$ attnc {command}"] + body
        self.parts.append("\n".join([f"```{language}", *body, "```"]))


def clip(line):
    return line if len(line) <= WIDTH else line[: WIDTH - 4] + " ..."


def between(text, first, last):
    """The lines from the one that matches `first` to the next that matches `last`, both included, moved to the left edge."""
    lines = text.split("\n")
    start = next((k for k, line in enumerate(lines) if re.search(first, line)), None)
    if start is None:
        sys.exit(f"no line matches {first!r}")
    end = next((k for k in range(start, len(lines)) if re.search(last, lines[k])), None)
    if end is None:
        sys.exit(f"after {first!r} no line matches {last!r}")
    return textwrap.dedent("\n".join(lines[start : end + 1])).split("\n")


def only(text, pattern):
    found = [line for line in text.split("\n") if re.search(pattern, line)]
    if not found:
        sys.exit(f"no line matches {pattern!r}")
    return found


def number(kernel, pattern):
    """The number of a line that another line names."""
    found = re.search(pattern, kernel)
    if not found:
        sys.exit(f"the kernel has no line like {pattern!r}")
    return found.group(1)


def frontend(t):
    with open(os.path.join(HERE, "tour.attn"), encoding="utf-8") as file:
        t.show(file.read().rstrip("\n").split("\n"), "attn")
    graph = t.ir(CPU, "--after", "frontend")
    t.say("""The frontend writes `attend` out as what it means. Ranges are found from shapes, a pair is visible if the mask says so and its score is
          not -inf, a row that sees nothing gives 0. From here on nobody knows that this is attention. (This page shows parts, and cuts long lines.)""")
    t.show(between(graph, r"^  o\[", r"^  y\["), command=f"ir {PROGRAM} --after frontend")
    t.say("""`simplify` and `fuse` work on graphs. The gate needs each `o` once, so computing `o` there is cheaper than storing it, and two
          statements become one:""")
    t.show(between(t.ir(CPU, "--after", "fuse"), r"^  y\[", r"^    [^l]"), command=f"ir {PROGRAM} --target {CPU} --after fuse")


def kernel(t):
    lowered = t.ir(CPU, "--after", "lower")
    n = number(lowered, r"fold max \$(\d+) ")
    ref = number(lowered, r"relative to 2\^\$(\d+)")
    weight = number(lowered, r"acc  \$(\d+) ")
    guard = number(lowered, r"fold max .* where \$(\d+)")
    t.say(f"""`lower` cuts the expression into lines, by what each varies over: `r` a row, `c` a column, `v` a value. Follow `${n}`, the score of a pair:
          the scaled product of query and key, in base 2, and the bias of the key. `${weight}`, the weight, is kept relative to `2^${ref}`, which
          grows with the maximum seen so far: the online softmax. It was not asked for, a rule about sums of powers makes it. The test for
          -inf is gone: a maximum and a sum of powers do not see such pairs.""")
    t.show(between(lowered, r"^kernel", r"^  store"), command=f"ir {PROGRAM} --target {CPU} --after lower")
    return lowered, n, guard


def schedule(t, lowered, n):
    legal = t.ir(CPU, "--after", "legalize")
    before = set(lowered.split("\n"))
    t.say("`legalize` says in other words what the target has no instruction for:")
    t.show([line for line in legal.split("\n") if line not in before], command=f"ir {PROGRAM} --target {CPU} --after legalize")
    scheduled = t.ir(CPU, "--after", "schedule")
    head = between(scheduled, r"^schedule", r"^  axes")
    fold = number(lowered, rf"\$(\d+) +r\.\.\. fold max \${n} ")
    t.say(f"""`schedule` decides all that an emitter needs to know: lanes, tiles, and where each line lives. `${n}` has one value per pair and is computed
          where it is used, for a vector of eight rows; the maximum `${fold}` is such a vector in a register, over all columns:""")
    t.show(head + only(scheduled, rf"^  \$({n}|{fold}) ") + only(scheduled, r"^  items"), command=f"ir {PROGRAM} --target {CPU} --after schedule")
    t.say("`memory` makes the plan, which the runtime walks through at each call:")
    t.show(only(t.ir(CPU, "--after", "memory"), r"^  (workspace|\d+ )"), command=f"ir {PROGRAM} --target {CPU} --after memory")
    return fold


def code(t, n, guard, fold):
    llvm, cuda = t.ir(CPU, "--code"), t.ir(CUDA, "--code")
    t.say(f"""The CPU backend prints the kernel as LLVM IR, each line under its number. Here `%let{n}` meets the mask `%let{guard}` and the running
          maximum, eight rows at a time:""")
    t.show(between(llvm, rf"%let{n} = ", rf"store .*%fold{fold}"), "llvm", f"ir {PROGRAM} --target {CPU} --code")
    t.say("The CUDA backend reads the same kernel. A warp takes a row, a lane a column:")
    t.show(between(cuda, rf"^ +// \${n} ", rf"let{fold} = red_max"), "cuda", f"ir {PROGRAM} --target {CUDA} --code")


def results(t):
    words = ["run", PROGRAM, "--dims", "S=2,T=3,H=1,D=4", "--seed", "7", "--print"]
    t.say("And the program runs. Inputs that are not given are drawn from the seed; `attnc verify` compares every target with the float64 evaluator.")
    t.show(t.run(*words).rstrip("\n").split("\n"), command=" ".join(words))


def tour(attnc):
    t = Tour(attnc)
    frontend(t)
    lowered, n, guard = kernel(t)
    fold = schedule(t, lowered, n)
    code(t, n, guard, fold)
    results(t)
    text = "\n\n".join(t.parts)
    for form in (rf"(?m)^  \${n} +rc\.\. ", rf"(?m)^  \${n} pair", f"%let{n} =", f"const float let{n} ="):
        if not re.search(form, text):
            sys.exit(f"line ${n} is not in every stage: no {form!r}")
    return text


REAL = re.compile(r"-?\d+\.\d+(?:e[-+]?\d+)?")


def same(found, made):
    """Equal, but for the last digits of results: these are compared as numbers, and spaces by which they are lined up are one."""
    if found == made:
        return True
    head, _, results_found = found.rpartition("$ attnc run ")
    head_made, _, results_made = made.rpartition("$ attnc run ")
    shape = [" ".join(REAL.sub("#", text).split()) for text in (results_found, results_made)]
    if head != head_made or shape[0] != shape[1]:
        return False
    pairs = zip(REAL.findall(results_found), REAL.findall(results_made))
    return all(abs(float(a) - float(b)) <= 1e-4 * max(1.0, abs(float(b))) for a, b in pairs)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[2], encoding="utf-8") as file:
        readme = file.read()
    before, begin, rest = readme.partition(BEGIN)
    found, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{sys.argv[2]} has no lines {BEGIN!r} and {END!r}")
    made = tour(sys.argv[1])
    if same(found.strip("\n"), made):
        return
    if os.environ.get("ATTN_BLESS") != "1":
        import difflib

        sys.stdout.writelines(difflib.unified_diff(found.strip("\n").splitlines(True), made.splitlines(True), sys.argv[2], "attnc"))
        sys.exit("\nthe tour in the README is not what attnc says: ATTN_BLESS=1 ctest -R docs/tour writes it")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(f"{before}{begin}\n\n{made}\n\n{end}{after}")


if __name__ == "__main__":
    main()

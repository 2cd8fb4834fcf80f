#!/usr/bin/env python3
"""The programs of docs/language.md, checked; its list of the standard library, generated; its names of built-in functions, complete.

    language.py ATTNC SOURCE_FOLDER

By the words behind the fence:
    attn                a program that `attnc check` accepts; each graph is computed and compared with the evaluator
    attn file NAME      the same, and later blocks can import it
    attn error CODE     a program whose first report has that code
ATTN_BLESS=1 in the environment writes the list of the standard library.
"""
import os
import re
import subprocess
import sys
import tempfile

from ir import blocks

STD = re.compile(r"(<!-- std: [^\n]* -->\n).*?(<!-- /std -->)", re.S)


def check(attnc, folder, words, lines):
    """None, or what is wrong with a block."""
    name = words[2] if words[1:2] == ["file"] else "block.attn"
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    run = subprocess.run([attnc, "check", name], cwd=folder, capture_output=True, text=True, check=False)
    found = re.search(r"error (E\d+)", run.stderr)
    wanted = words[2] if words[1:2] == ["error"] else None
    if wanted:
        return None if run.returncode == 1 and found and found.group(1) == wanted else f"{wanted} was expected:\n{run.stderr}"
    if run.returncode != 0 or run.stderr:
        return run.stderr
    for graph in re.findall(r"(?m)^graph (\w+)", "\n".join(lines)):
        words = [attnc, "verify", name, "--graph", graph, "--target", "cpu"]
        run = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
        if run.returncode != 0:
            return run.stdout + run.stderr
    return None


def library(source):
    """The declarations of std.attn by sections, as tables."""
    out, doc = [], []
    with open(os.path.join(source, "frontend/std/std.attn"), encoding="utf-8") as file:
        for line in file:
            section = re.match(r"# -+ (.*)", line)
            declared = re.match(r"(fn|variant) (\w+\([^)]*\))", line)
            if section:
                out.append(f"\n| {section.group(1)} | |\n|---|---|\n")
            elif line.startswith("## "):
                doc.append(line[3:].strip())
            elif declared:
                kind = "variant " if declared.group(1) == "variant" else ""
                text = " ".join(doc).replace("|", "\\|")
                out.append(f"| {kind}`{declared.group(2)}` | {text} |\n")
                doc = []
    return "".join(out) + "\n"


def builtins(source):
    with open(os.path.join(source, "frontend/builtin.def"), encoding="utf-8") as file:
        return re.findall(r'^BUILTIN\(\w+ *, "(\w+)"', file.read(), re.M)


def main():
    attnc, source = map(os.path.abspath, sys.argv[1:])
    path = os.path.join(source, "docs/language.md")
    with open(path, encoding="utf-8") as file:
        page = file.read()
    wanted = STD.sub(lambda m: m.group(1) + library(source) + m.group(2), page)
    faults, count = [], 0
    if wanted != page and os.environ.get("ATTN_BLESS") == "1":
        with open(path, "w", encoding="utf-8") as file:
            file.write(wanted)
    elif wanted != page:
        faults.append("the list of the standard library is not that of frontend/std/std.attn; ATTN_BLESS=1 writes it")
    faults += [f"the built-in function `{name}` is not named" for name in builtins(source) if not re.search(rf"\b{name}\b", page.split("<!-- std")[0] + page.split("<!-- /std -->")[-1])]
    with tempfile.TemporaryDirectory() as folder:
        for number, words, lines in blocks(path):
            if not words.startswith("attn"):
                continue
            count += 1
            fault = check(attnc, folder, words.split(), lines)
            if fault:
                faults.append(f"line {number}: {fault}")
    for fault in faults:
        print(f"{path}: {fault}")
    print(f"{count} programs, {len(faults)} faults")
    return 1 if faults or not count else 0


sys.exit(main())

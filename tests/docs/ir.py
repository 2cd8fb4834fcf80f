#!/usr/bin/env python3
"""The examples of docs/ir.md, run.

    ir.py ATTNC GOLDEN PAGE

By the words behind the fence:
    graph           IR text: reads, keeps the rules, and prints as it stands, but for comments
    expressions     over the last graph: `written => made of it`, one a line
    kernel          a kernel's text: reads, keeps the rules, and prints as it stands
    attn            a program
    text PASS       lines of what `attnc ir --after PASS` prints of the last program; `...` stands for any lines
Other blocks are not looked at.
"""
import os
import re
import subprocess
import sys
import tempfile

TARGET = "cpu:x86-64-v3"
FENCE = re.compile(r"^( *)```(.*)$")


def blocks(path):
    """(line number, words behind the fence, lines) of each fenced block."""
    inside = None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file.read().split("\n"), 1):
            fence = FENCE.match(line)
            if fence and inside is None:
                inside = (number, fence.group(2).strip(), [])
            elif fence:
                yield inside
                inside = None
            elif inside is not None:
                inside[2].append(line)


def bare(lines):
    return [re.sub(r" *#.*$", "", line) for line in lines]


class Page:
    def __init__(self, attnc, golden, folder):
        self.attnc, self.golden, self.folder = attnc, golden, folder
        self.graph, self.program, self.pages = None, None, 0

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def run(self, *words):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else None, done.stdout + done.stderr

    def check_golden(self, command, text, result, section=""):
        path = self.write("block.attnt", f"# run: {command}\n{text}\n{section}---- {command}\n{result}\n")
        fine, said = self.run(self.golden, path)
        return None if fine is not None else said

    def block_graph(self, lines):
        self.graph = "\n".join(bare(lines))
        return self.check_golden("read", self.graph, self.graph)

    def block_kernel(self, lines):
        text = "\n".join(lines)
        return self.check_golden("kernel", text, text)

    def block_expressions(self, lines):
        pairs = [re.split(r" +=> ", line) for line in lines]
        section = "---- expressions\n" + "\n".join(pair[0] for pair in pairs) + "\n"
        return self.check_golden("parse", self.graph, "\n".join(pair[-1] for pair in pairs), section)

    def block_attn(self, lines):
        self.program = self.write("block.attn", "\n".join(lines) + "\n")
        fine, said = self.run(self.attnc, "check", self.program)
        return None if fine is not None else said

    def excerpt(self, name, lines):
        found, said = self.run(self.attnc, "ir", self.program, "--target", TARGET, "--after", name)
        if found is None:
            return said
        wanted = "".join(r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n" for line in lines)
        return None if re.search("(?m)^" + wanted, found) else "it is not among what attnc prints:\n" + found

    def check(self, words, lines):
        kind, _, name = words.partition(" ")
        if kind == "text" and name:
            return self.excerpt(name, lines)
        known = {"graph": self.block_graph, "kernel": self.block_kernel, "expressions": self.block_expressions, "attn": self.block_attn}
        if kind not in known:
            return None
        self.pages += 1
        return known[kind](lines)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        page = Page(os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2]), folder)
        for number, words, lines in blocks(sys.argv[3]):
            wrong = page.check(words, lines)
            if wrong:
                bad += 1
                print(f"{sys.argv[3]}:{number}: {words}: {wrong}")
        if page.pages == 0:
            sys.exit("no block to check")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

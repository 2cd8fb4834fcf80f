#!/usr/bin/env python3
"""The programs of docs/language.md: each is checked, and each of its graphs compared with the float64 evaluator.

    language.py ATTNC PAGE
"""
import os
import re
import subprocess
import sys
import tempfile


def programs(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for block in re.finditer(r"(?ms)^```attn\n(.*?)^```$", text):
        yield text[: block.start()].count("\n") + 1, block.group(1)


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stdout + done.stderr


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    attnc, bad, n = os.path.abspath(sys.argv[1]), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for line, text in programs(sys.argv[2]):
            path = os.path.join(folder, "page.attn")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            n += 1
            wrong = run(attnc, "check", path)
            for name in re.findall(r"(?m)^graph (\w+)", text):
                wrong = wrong or run(attnc, "verify", path, "--graph", name, "--target", "cpu")
            if wrong:
                bad += 1
                print(f"{sys.argv[2]}:{line}:\n{wrong}")
    if n == 0:
        sys.exit("no program found")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

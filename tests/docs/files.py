#!/usr/bin/env python3
"""Every README of a layer names every file of its folder: who reads them in order has read the layer.

    files.py ROOT

A pattern names all files that it fits: `verb_*.c`.
"""
import fnmatch
import os
import re
import sys

LAYERS = ["runtime", "runtime/base", "ir", "frontend", "passes", "backend_cpu", "backend_cuda", "driver", "bench"]
KINDS = (".c", ".h", ".def", ".y", ".l", ".attn", ".cpp", ".hpp")


def files(root, layer):
    """Of the layer and its folders, but for folders with a README of their own."""
    for folder, below, names in os.walk(os.path.join(root, layer)):
        below[:] = [name for name in below if not os.path.exists(os.path.join(folder, name, "README.md"))]
        for name in names:
            if name.endswith(KINDS):
                yield os.path.relpath(os.path.join(folder, name), os.path.join(root, layer))


def main():
    root, missing = os.path.abspath(sys.argv[1]), 0
    for layer in LAYERS:
        with open(os.path.join(root, layer, "README.md"), encoding="utf-8") as file:
            words = {word for code in re.findall(r"`([^`]+)`", file.read()) for word in re.split(r"[\s,]+", code)}
        for name in sorted(files(root, layer)):
            if not any(fnmatch.fnmatch(name, word) or fnmatch.fnmatch(os.path.basename(name), word) for word in words):
                missing += 1
                print(f"{layer}/README.md does not name {name}")
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The examples of docs/runtime.md and docs/embedding.md: programs are lines of files of the project, outputs are what the commands print. The
commands find the hosts of examples/embed_aot and examples/embed_python in their folder.

    runtime.py BUILD_FOLDER SOURCE_FOLDER PAGE

By the words behind the fence:
    c FILE          lines that stand together in that file
    attn FILE       written to that file
    console         lines `$ command` with what it prints after it; a last line `...` stands for the rest
"""
import array
import os
import shutil
import struct
import subprocess
import sys
import tempfile

from ir import blocks


def write_npy(path, descr, values):
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({len(values)},), }}"
    head += " " * (-(10 + len(head) + 1) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head.encode())
        array.array("f" if descr == "<f4" else "i", values).tofile(file)


def check_lines(path, lines):
    with open(path, encoding="utf-8") as file:
        return None if "\n".join(lines) + "\n" in file.read() else f"these lines are not in {path}"


def commands(lines):
    found = []
    for line in lines:
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def check_console(build, folder, lines):
    env = dict(os.environ, PATH=build + ":" + os.environ["PATH"], NO_COLOR="1")
    for command, wanted in commands(lines):
        done = subprocess.run(command, shell=True, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        printed = done.stdout.rstrip("\n").split("\n") if done.stdout.strip() else []
        if wanted and wanted[-1] == "...":
            wanted, printed = wanted[:-1], printed[:len(wanted) - 1]
        if printed != wanted:
            return f"{command}\nprints\n{done.stdout}"
    return None


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    build, source, page = map(os.path.abspath, sys.argv[1:])
    checked, bad = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        write_npy(os.path.join(folder, "x4.npy"), "<f4", [1, 2, 3, 4])
        write_npy(os.path.join(folder, "row7.npy"), "<i4", [0, 3, 7])
        for host in ("embed_aot/embed_aot.c", "embed_python/embed_python.py"):
            shutil.copy(os.path.join(source, "examples", host), folder)
        for number, words, lines in blocks(page):
            kind, _, name = words.partition(" ")
            wrong = None
            if kind == "c":
                wrong = check_lines(os.path.join(source, name), lines)
            elif kind == "console":
                wrong = check_console(build, folder, lines)
            elif kind == "attn":
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write("\n".join(lines) + "\n")
            checked += kind in ("c", "console")
            if wrong:
                bad += 1
                print(f"{page}:{number}: {words}: {wrong}")
    if checked == 0:
        sys.exit("no block to check")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Every relative link of every page of the project leads to a file, and a #part of it to a heading of that file. Paths that sources name
in comments (the smallest example of a pass, say) are there too.

    links.py ROOT       names each link that does not, and each path
"""
import os
import re
import subprocess
import sys

LINK = re.compile(r"!?\[[^\]\n]*\]\(([^()\s]+)\)")
FENCE = re.compile(r"^ {0,3}(```|~~~)")


PATH = re.compile(r"\b(?!tests/CMakeFiles)(?:tests|docs|bench|examples)/[\w./-]*\.(?:attnt|attn|ir|md|c|h|cpp|hpp|def|py|sh)\b")
SOURCES = (".c", ".h", ".def", ".y", ".l", ".cpp", ".hpp", ".cmake", ".txt", ".py", ".sh")


def files(root, endings):
    """What is tracked where there is git, else all but build folders: a source tree may be unpacked without its history."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard"], capture_output=True, text=True, check=False)
    names = listed.stdout.splitlines() if listed.returncode == 0 else []
    for folder, below, found in os.walk(root) if not names else ():
        below[:] = [name for name in below if name != "build" and not name.startswith(".")]
        names += [os.path.relpath(os.path.join(folder, name), root) for name in found]
    paths = [os.path.join(root, name) for name in sorted(names) if name.endswith(endings)]
    return [path for path in paths if os.path.exists(path)]


def prose(path):
    """Lines outside of fenced blocks, numbered; code between single backquotes is no text either."""
    inside = False
    with open(path, encoding="utf-8") as file:
        for k, line in enumerate(file, 1):
            if FENCE.match(line):
                inside = not inside
            elif not inside:
                yield k, re.sub(r"`[^`]*`", lambda code: "`" * len(code.group()), line)


def anchors(path):
    """Headings as the address bar has them: lower case, spaces to dashes, other signs dropped."""
    with open(path, encoding="utf-8") as file:
        headings = re.findall(r"(?m)^#+ +(.*?) *#*$", file.read())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def wrong(page, target):
    if re.match(r"[a-z][a-z0-9+.-]*:", target):
        return None
    name, _, part = target.partition("#")
    path = os.path.normpath(os.path.join(os.path.dirname(page), name)) if name else page
    if not os.path.exists(path):
        return "is not there"
    if part and path.endswith(".md") and part not in anchors(path):
        return "has no such heading"
    return None


def wrong_links(root):
    for page in files(root, (".md",)):
        for k, line in prose(page):
            for target in LINK.findall(line):
                why = wrong(page, target)
                if why:
                    yield f"{os.path.relpath(page, root)}:{k}: {target} {why}"


def wrong_paths(root):
    for path in files(root, SOURCES):
        with open(path, encoding="utf-8", errors="replace") as file:
            for k, line in enumerate(file, 1):
                for name in PATH.findall(line):
                    here = os.path.join(os.path.dirname(path), name)
                    if not os.path.exists(os.path.join(root, name)) and not os.path.exists(here):
                        yield f"{os.path.relpath(path, root)}:{k}: {name} is not there"


def main():
    root = os.path.abspath(sys.argv[1])
    found = [*wrong_links(root), *wrong_paths(root)]
    print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

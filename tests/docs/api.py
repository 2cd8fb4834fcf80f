"""The pages of the public headers: docs/api.md is what runtime/include/attn/*.h say, section by section. ATTN_BLESS=1 writes it.

    api.py SOURCE_FOLDER
"""
import os
import pathlib
import re
import sys

HEAD = """# The library, function by function

What `runtime/include/attn/` says, as a page; the headers are the specification. `ATTN_BLESS=1 ctest -R docs/api` writes it again.
How the parts work together is told in [runtime.md](runtime.md).
"""
SECTION = re.compile(r"/\* -{10,} *(.*?) \*/")
NOISE = re.compile(r"#(ifndef|ifdef|if|endif|include|else)\b|extern \"C\"|}$|#define ATTN_(API|\w+_H)\b")


def prose(comment):
    """Text of a comment as paragraphs. A line that is set in after an empty one is a drawing and stays one; after a dash it goes on with the item."""
    lines = [re.sub(r"^ \*( |$)", "", line) for line in comment.removeprefix("/* ").removeprefix("/*").removesuffix("*/").rstrip().split("\n")]
    out, drawing = [], False
    for line in lines:
        drawing = line.startswith("  ") and (drawing or (out and not out[-1]))
        out.append("    " + line.strip() if drawing else line.rstrip())
    return "\n".join(out).strip()


def blocks(text):
    """(comment, declarations) of what stands together between blank lines, comments in front."""
    for block in re.split(r"\n\s*\n(?!\s*\*)", text):
        block = block.strip("\n")
        comment = re.match(r"/\*.*?\*/", block, re.S)
        rest = block[comment.end():] if comment else block
        code = "\n".join(line for line in rest.strip("\n").split("\n") if line and not NOISE.match(line))
        yield comment[0] if comment else "", code


def names(code):
    """What a block declares: functions, types, enumerators of unnamed enums."""
    found = re.findall(r"^ATTN_API [^(]*?(\w+)\(", code, re.M) + re.findall(r"^} (\w+);", code, re.M) + re.findall(r"^typedef struct \w+ (\w+);", code, re.M)
    found += re.findall(r"^#define (\w+)", code, re.M) if not found else []
    return list(dict.fromkeys(found))


def page(header):
    out = [f"## attn/{header.name}\n"]
    for comment, code in blocks(header.read_text()):
        section = SECTION.match(comment)
        if section:
            out.append(f"### {section[1].capitalize()}\n")
            continue
        title = names(code)
        if title:
            out.append("#### " + ", ".join(f"`{name}`" for name in title) + "\n")
        if comment:
            out.append(prose(comment) + "\n")
        if code:
            out.append("```c\n" + code.replace("ATTN_API ", "") + "\n```\n")
    return "\n".join(out)


def main():
    source = pathlib.Path(sys.argv[1])
    headers = sorted((source / "runtime" / "include" / "attn").glob("*.h"))
    text = HEAD + "\n" + "\n".join(map(page, headers))
    record = source / "docs" / "api.md"
    if os.environ.get("ATTN_BLESS") == "1":
        record.write_text(text)
    if record.read_text() != text:
        sys.exit("docs/api.md is not what the headers say: ATTN_BLESS=1 ctest -R docs/api writes it again")


main()

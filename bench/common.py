"""What bench/run, bench/peers and bench/sweep share: the cases, their inputs, the CPU's name, the pages."""
import os
import platform
import random
import re
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
RESULTS = os.path.join(HERE, "RESULTS.md")

# name, file, graph, dims; inputs that cannot be drawn at random are in TABLES
CASES = [
    ("attention full 512", "attention", "full", "B=1,S=512,T=512,H=8,D=64"),
    ("attention full 2048", "attention", "full", "B=1,S=2048,T=2048,H=8,D=64"),
    ("attention full 2048, D=128", "attention", "full", "B=1,S=2048,T=2048,H=8,D=128"),
    ("attention causal 512", "attention", "causal", "B=1,S=512,T=512,H=8,D=64"),
    ("attention causal 2048", "attention", "causal", "B=1,S=2048,T=2048,H=8,D=64"),
    ("attention causal 2048, D=128", "attention", "causal", "B=1,S=2048,T=2048,H=8,D=128"),
    ("attention window 256 of 4096", "attention", "window", "B=1,S=4096,T=4096,H=8,D=64"),
    ("attention 8 documents of 4096", "attention", "documents", "B=1,S=4096,T=4096,H=8,D=64"),
    ("attention soft cap 2048", "attention", "softcap", "B=1,S=2048,T=2048,H=8,D=64"),
    ("attention ALiBi 2048", "attention", "alibi", "B=1,S=2048,T=2048,H=8,D=64"),
    ("attention bias 2048", "attention", "bias", "B=1,S=2048,T=2048,H=8,D=64"),
    ("attention grouped 1024", "attention", "grouped", "B=1,S=1024,T=1024,H=8,G=2,D=64"),
    ("attention decode 4096", "attention", "causal", "B=4,S=1,T=4096,H=8,D=64"),
    ("contraction 4096 x 384 x 384", "contraction", "project", "M=4096,N=384,K=384"),
    ("contraction 4096 x 1152 x 384", "contraction", "project", "M=4096,N=1152,K=384"),
    ("contraction 4096 x 384 x 1536", "contraction", "project", "M=4096,N=384,K=1536"),
    ("contraction 4096 x 1536 x 384, GELU", "contraction", "feed", "M=4096,N=1536,K=384"),
    ("contraction 1024 x 1024 x 1024", "contraction", "product", "M=1024,N=1024,K=1024"),
]
TABLES = {"documents": ("doc", (1, 4096), [8 * at // 4096 for at in range(4096)])}      # graph: input, shape, integers
MINILM = "MiniLM 32 x 128"


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def write_ints(path, shape, values):
    """An .npy file of i32, without NumPy."""
    header = "{'descr': '<i4', 'fortran_order': False, 'shape': (%s,), }" % ", ".join(map(str, shape))
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}i", *values))


def cpu():
    """Name and what tells apart CPUs of the same name."""
    fields = {}
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                key, _, value = line.partition(":")
                fields.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    flags = fields.get("flags", "").split()
    widest = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), platform.machine())
    model = ", ".join(f"{key} {fields[field]}" for key, field in (("family", "cpu family"), ("model", "model")) if field in fields)
    name = fields.get("model name", platform.processor() or platform.machine())
    return f"{name} ({model}), {len(os.sched_getaffinity(0))} cores, {widest}"


def table_words(folder, graph):
    """The words that hand over the input that a graph's table gives."""
    if graph not in TABLES:
        return []
    name, shape, values = TABLES[graph]
    path = os.path.join(folder, f"{graph}.{name}.npy")
    write_ints(path, shape, values)
    return ["--in", f"{name}={path}"]


def minilm_words(folder, weights, sentences=32, tokens=128):
    """The words that follow the verb, for full sentences of random words: what is computed does not depend on them."""
    ids, lengths = os.path.join(folder, "ids.npy"), os.path.join(folder, "len.npy")
    dice = random.Random(1)
    write_ints(ids, (sentences, tokens), [dice.randrange(30522) for _ in range(sentences * tokens)])
    write_ints(lengths, (sentences,), [tokens] * sentences)
    return [os.path.join(ROOT, "examples/minilm/minilm.attn"), "--weights", weights, "--in", f"ids={ids}", f"len={lengths}"]


def told(text):
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")


def table(head, rows):
    lines = ["| " + " | ".join(cells) + " |" for cells in [head, *rows]]
    lines.insert(1, "|---|" + "---:|" * (len(head) - 1))
    return lines


def put(text):
    """Into RESULTS.md, in place of the section with the same heading."""
    with open(RESULTS, encoding="utf-8") as file:
        parts = re.split(r"(?m)^(?=## )", file.read())
    heading = text.split("\n", 1)[0]
    here = [part.split("\n", 1)[0] == heading for part in parts]
    parts = [text if found else part for found, part in zip(here, parts)] + ([] if any(here) else [text])
    with open(RESULTS, "w", encoding="utf-8") as file:
        file.write("\n".join(part.rstrip("\n") + "\n" for part in parts))


def cache():
    return os.environ.get("ATTN_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "attn")


def in_environment():
    """Starts the command again in a virtual environment with requirements.txt, in the user's cache, made if it is not there (some GB, once)."""
    place = os.path.join(cache(), "bench-venv")
    python = os.path.join(place, "bin", "python")
    if os.path.realpath(sys.prefix) == os.path.realpath(place):
        return
    if not os.path.exists(python) or subprocess.run([python, "-c", "import torch, onnxruntime, onnxscript, transformers, matplotlib"], capture_output=True, check=False).returncode:
        sys.stderr.write(f"installing what bench/requirements.txt names into {place}\n")
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", os.path.join(HERE, "requirements.txt")], check=True)
    os.execv(python, [python, *sys.argv])


def fetched_weights():
    path = os.path.join(cache(), "all-MiniLM-L6-v2", "model.safetensors")
    return path if os.path.exists(path) else None

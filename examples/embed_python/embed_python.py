#!/usr/bin/env python3
"""Calls attention.so of ../embed_aot through ctypes and NumPy.   embed_python.py PATH/attention.so"""
import ctypes
import sys

import numpy as np

FLOATS, SIZE = ctypes.POINTER(ctypes.c_float), ctypes.c_int64


class Args(ctypes.Structure):        # attention_mix_args of attention.h, member by member
    _fields_ = [("struct_size", ctypes.c_size_t), ("call", ctypes.c_void_p), ("S", SIZE), ("D", SIZE), ("T", SIZE), ("E", SIZE),
                ("q", FLOATS), ("q_strides", ctypes.POINTER(SIZE)), ("k", FLOATS), ("k_strides", ctypes.POINTER(SIZE)),
                ("v", FLOATS), ("v_strides", ctypes.POINTER(SIZE)), ("o", FLOATS)]


class Error(ctypes.Structure):
    _fields_ = [("status", ctypes.c_int32), ("code", ctypes.c_char * 8), ("message", ctypes.c_char * 1012)]


def strides(a):                      # in elements; any NumPy view will do
    return (SIZE * a.ndim)(*(s // a.itemsize for s in a.strides))


def mix(library, model, q, k, v):
    o, error = np.empty((q.shape[0], v.shape[1]), np.float32), Error()
    data = [a.ctypes.data_as(FLOATS) for a in (q, k, v, o)]
    args = Args(ctypes.sizeof(Args), None, *q.shape, *v.shape, data[0], strides(q), data[1], strides(k), data[2], strides(v), data[3])
    if library.attention_mix(model, ctypes.byref(args), ctypes.byref(error)):
        raise ValueError(error.message.decode())
    return o


library, model, error = ctypes.CDLL(sys.argv[1]), ctypes.c_void_p(), Error()
if library.attention_open(None, None, ctypes.byref(model), ctypes.byref(error)): sys.exit(error.message.decode())
q, k, v = (np.random.default_rng(n).standard_normal(shape, np.float32) for n, shape in enumerate([(16, 5), (16, 7), (7, 3)]))
o = mix(library, model, q.T[:, ::-1], k.T, v)         # columns, backwards: NumPy copies nothing
p = np.exp(q.T[:, ::-1] @ k / np.sqrt(16))
print("largest error:", "below 1e-5" if np.abs(o - p @ v / p.sum(1, keepdims=True)).max() < 1e-5 else "too large")
library.attention_close(model)

#!/usr/bin/env python3
"""Tensors and archives exchanged with NumPy: DLPack both ways through ctypes, without a copy; .npz files both ways, by attnc.

    exchange.py LIBATTN ATTNC

Without NumPy (Debian's python3-numpy) it says so and exits with 77, which ctest counts as skipped.
"""
import ctypes as c
import os
import subprocess
import sys
import tempfile
import weakref

try:
    import numpy as np
except ImportError:
    print("skipped: there is no NumPy for this Python (Debian: python3-numpy)")
    sys.exit(77)

api, attnc = c.CDLL(os.path.abspath(sys.argv[1])), os.path.abspath(sys.argv[2])
for name, result, arguments in [("attn_tensor_data", c.c_void_p, [c.c_void_p]), ("attn_tensor_destroy", None, [c.c_void_p]),
                                ("attn_tensor_stride", c.c_int64, [c.c_void_p, c.c_int]), ("attn_context_destroy", None, [c.c_void_p]),
                                ("attn_tensor_from_dlpack", c.c_int, [c.c_void_p] * 4), ("attn_tensor_to_dlpack", c.c_int, [c.c_void_p] * 4)]:
    function = getattr(api, name)
    function.restype, function.argtypes = result, arguments
python = c.pythonapi
python.PyCapsule_New.restype, python.PyCapsule_New.argtypes = c.py_object, [c.c_void_p, c.c_char_p, c.c_void_p]
python.PyCapsule_GetPointer.restype, python.PyCapsule_GetPointer.argtypes = c.c_void_p, [c.py_object, c.c_char_p]
python.PyCapsule_SetName.argtypes = [c.py_object, c.c_char_p]
USED = c.create_string_buffer(b"used_dltensor")          # the capsule keeps the address
NEW = c.create_string_buffer(b"dltensor")

context = c.c_void_p()
assert api.attn_context_create(None, None, c.byref(context)) == 0


def take(array):
    """A tensor over the elements of an array; the capsule is spent, as the protocol asks."""
    capsule, tensor = array.__dlpack__(), c.c_void_p()
    managed = python.PyCapsule_GetPointer(capsule, NEW)
    status = api.attn_tensor_from_dlpack(context, managed, None, c.byref(tensor))
    if status == 0:
        python.PyCapsule_SetName(capsule, USED)
    return status, tensor


class Lent:
    def __init__(self, tensor):
        self.managed = c.c_void_p()
        assert api.attn_tensor_to_dlpack(context, tensor, None, c.byref(self.managed)) == 0

    def __dlpack__(self, stream=None):
        return python.PyCapsule_New(self.managed, NEW, None)

    def __dlpack_device__(self):
        return (1, 0)


class Watched(np.ndarray):
    """An array that can be seen to go."""


def check_dlpack():
    for dtype in ("f4", "f8", "i4", "i8"):
        whole = np.arange(60, dtype=dtype).reshape(3, 4, 5).view(Watched)
        for view in (whole, whole[::-1], whole[:, 1:, ::2], whole.transpose(2, 0, 1), np.broadcast_to(whole[0, 0], (2, 5)).copy(order="F")):
            status, tensor = take(view)
            assert status == 0
            assert api.attn_tensor_data(tensor) == view.__array_interface__["data"][0]
            assert [api.attn_tensor_stride(tensor, k) * view.itemsize for k in range(view.ndim)] == list(view.strides)
            back = np.from_dlpack(Lent(tensor))
            api.attn_tensor_destroy(tensor)
            assert back.__array_interface__["data"][0] == view.__array_interface__["data"][0] and np.array_equal(back, view)
            del back
        gone = weakref.ref(whole)
        del whole, view
        assert gone() is None                            # every reference was given back
    for dtype in ("f2", "u1", "c8"):
        array = np.zeros(3, dtype)
        status, tensor = take(array)
        assert status == 2 and not tensor                # ATTN_ERROR_DATA; the capsule deletes what it still holds


def check_archives(folder):
    program, given, made = (os.path.join(folder, name) for name in ("t.attn", "in.npz", "out.npz"))
    with open(program, "w", encoding="utf-8") as file:
        file.write("graph t(x: f32[A,B], n: i64[B], keep: bool[B]) -> (y: f32[B,A], m: i64[B]) {\n"
                   "    y[b,a] = select(keep[b], x[a,b], 0)\n    m[b] = n[b] + 1\n}\n")
    x, n, keep = np.asfortranarray(np.arange(12, dtype=">f4").reshape(3, 4)), np.arange(4), np.arange(4) % 2 == 0
    for write in (np.savez, np.savez_compressed):
        write(given, x=x, n=n, keep=keep)
        subprocess.run([attnc, "run", program, "--in", given, "--out", made], check=True)
        with np.load(made) as found:
            assert sorted(found.files) == ["m", "y"]
            assert found["y"].dtype == np.float32 and np.array_equal(found["y"], np.where(keep, x, 0).T) and np.array_equal(found["m"], n + 1)


check_dlpack()
with tempfile.TemporaryDirectory() as place:
    check_archives(place)
api.attn_context_destroy(context)
print("fine")

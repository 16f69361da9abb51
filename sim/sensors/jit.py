"""Numba options, float32 arithmetic, and the scalar helpers that every kernel uses.

Shading is float32 throughout: it is faster, and a GPU build needs it. Python's float literals are float64 and would
silently widen whole expressions, so `single` compiles a function with every float literal taken as float32.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

import ast
import inspect
import math
import textwrap
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit
from numba.core.dispatcher import Dispatcher

f32 = np.float32
SERIAL: dict[str, Any] = {"cache": True, "error_model": "numpy", "nogil": True}
"""A kernel on the calling thread."""
INNER: dict[str, Any] = {**SERIAL, "_nrt": False}
"""A kernel's helper, which makes no arrays: references to those that it is given are not counted."""
PARALLEL: dict[str, Any] = {**SERIAL, "parallel": True}
"""A kernel whose prange shares out rows or blocks; results never depend on the number of threads."""


class _Singles(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not isinstance(node.value, float):
            return node
        call = ast.Call(ast.Name("_single", ast.Load()), [node], [])
        return ast.copy_location(ast.fix_missing_locations(ast.copy_location(call, node)), node)


def as_single(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function with its float literals as float32 (line numbers and names stay, so caching works)."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    tree = ast.fix_missing_locations(_Singles().visit(tree))
    ast.increment_lineno(tree, function.__code__.co_firstlineno - 1)
    function.__globals__["_single"] = np.float32
    found: dict[str, Any] = {}
    exec(compile(tree, function.__code__.co_filename, "exec"), function.__globals__, found)
    made = found[function.__name__]
    made.__module__, made.__qualname__, made.__doc__ = function.__module__, function.__qualname__, function.__doc__
    return made  # type: ignore[no-any-return]


@cache
def stamp_of(folder: Path) -> tuple[float, int]:
    """Last change and total size of the files of a folder that hold kernels or their helpers."""
    found = [f.stat() for f in folder.glob("*.py") if f == Path(__file__) or f"{__name__} import" in f.read_text()]
    return max(s.st_mtime for s in found), sum(s.st_size for s in found)


def single(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: njit with `options` over float32 literals. Divisions by one number may become multiplications.

    Numba keeps a kernel on disk until its own file changes, whatever it calls. These are kept until any file with
    kernels changes.
    """

    def made(function: Callable[..., Any]) -> Any:
        kernel = njit(**{"fastmath": {"arcp", "nsz"}, **options})(as_single(function))
        kept = getattr(kernel._cache, "_cache_file", None)
        if kept is not None:
            kept._source_stamp = stamp_of(Path(__file__).parent)
        return kernel

    return made


@cache
def on_device(kernel: Any) -> Any:
    """A kernel's helper as a CUDA device function: the same Python function over device versions of its own helpers."""
    from numba import cuda

    if kernel is floor:  # numba-cuda knows no np.floor, and its math.floor of a float32 is one
        return math.floor
    made = kernel.py_func
    names = {name: made.__globals__[name] for name in made.__code__.co_names if name in made.__globals__}
    swapped = {name: on_device(value) for name, value in names.items() if isinstance(value, Dispatcher)}
    again = types.FunctionType(made.__code__, {**made.__globals__, **swapped}, made.__name__, made.__defaults__)
    return cuda.jit(again, device=True)


@njit(forceinline=True, **INNER)
def floor(x):
    """The greatest whole number up to x, as a float32 (math.floor would make an integer of it)."""
    return np.floor(x)


@njit(**INNER)
def rough_log2(x):
    """log2 of a positive float32 within .09: its exponent and, linearly, its fraction."""
    return f32(f32(x).view(np.int32)) * f32(1.1920929e-7) - f32(127.0)


@njit(**INNER)
def shuffled(i, n):
    """Even numbers of 0 .. n - 1, then the odd ones: shared out in halves, each covers the whole of a picture."""
    half = (n + 1) // 2
    return i * 2 if i < half else (i - half) * 2 + 1


@single(**INNER)
def sat(x):
    """Clamp to 0..1."""
    return min(1.0, max(0.0, x))


@single(**INNER)
def mix(a, b, t):
    """a at t = 0, b at t = 1."""
    return a + (b - a) * t


@single(**INNER)
def smooth(a, b, x):
    """Hermite step: 0 at x = a, 1 at x = b."""
    t = min(1.0, max(0.0, (x - a) / (b - a)))
    return t * t * (3.0 - 2.0 * t)


@single(**INNER)
def box(x, a, b, w):
    """The share of [x - w, x + w] that lies in [a, b]: an interval's indicator filtered over a pixel's footprint."""
    return min(1.0, max(0.0, (min(x + w, b) - max(x - w, a)) / (2.0 * w)))


@single(**INNER)
def cover(x, a, b, w, inverse):
    """`box` with `inverse` = 1 / (2 w): one division for all intervals of a footprint."""
    return min(1.0, max(0.0, (min(x + w, b) - max(x - w, a)) * inverse))


@single(**INNER)
def decay(x):
    """exp(-x) of x >= 0 within 1e-4, without a call of the C library."""
    t = 1.0 + x * (0.125 + x * (0.0078125 + x * 0.00032552))
    t = t * t
    t = t * t
    return 1.0 / (t * t)


@njit(**INNER)
def hash01(a, b, c):
    """A number in [0, 1) from three integers."""
    h = (np.uint32(a) * np.uint32(374761393) + np.uint32(b) * np.uint32(668265263)) & np.uint32(0xFFFFFFFF)
    h = (h + np.uint32(c) * np.uint32(2246822519)) & np.uint32(0xFFFFFFFF)
    h = ((h ^ (h >> np.uint32(13))) * np.uint32(1274126177)) & np.uint32(0xFFFFFFFF)
    h = h ^ (h >> np.uint32(16))
    return f32(h & np.uint32(0xFFFFFF)) * f32(1.0 / 16777216.0)


@single(**INNER)
def unit(x, y, z):
    """The vector scaled to length 1 (0 stays 0)."""
    k = 1.0 / math.sqrt(x * x + y * y + z * z + 1e-20)
    return x * k, y * k, z * k

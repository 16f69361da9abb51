"""Bounding volume hierarchies for rays: one over the static scene, one per template, one over the actors of a frame.

Built by binned surface-area heuristic as binary trees, then widened: a node holds the boxes of up to four children side
by side, so that one visit tests all four. Rays are cast by `sim.sensors.packets`.
"""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sim.sensors.jit import SERIAL, f32

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
BINS = 16
WIDE = 24
"""Numbers of a node: low x of its four children, high x, low y, high y, low z, high z."""


@njit(**SERIAL)
def _area(lo, hi):
    dx = hi[0] - lo[0]
    dy = hi[1] - lo[1]
    dz = hi[2] - lo[2]
    return dx * dy + dy * dz + dz * dx


@njit(**SERIAL)
def _split(lo, hi, centre, order, begin, end, counts, bin_lo, bin_hi, suffix):
    """Partition order[begin:end] at the cheapest of 3 x 15 planes; returns the middle."""
    clo = np.full(3, 1e30, np.float32)
    chi = np.full(3, -1e30, np.float32)
    for i in range(begin, end):
        for a in range(3):
            clo[a] = min(clo[a], centre[order[i], a])
            chi[a] = max(chi[a], centre[order[i], a])
    best = f32(1e30)
    axis = -1
    plane = -1
    box_lo = np.empty(3, np.float32)
    box_hi = np.empty(3, np.float32)
    for a in range(3):
        if chi[a] - clo[a] < f32(1e-6):
            continue
        scale = f32(BINS) / (chi[a] - clo[a])
        counts[:] = 0
        bin_lo[:] = f32(1e30)
        bin_hi[:] = f32(-1e30)
        for i in range(begin, end):
            t = order[i]
            b = min(BINS - 1, int((centre[t, a] - clo[a]) * scale))
            counts[b] += 1
            for c in range(3):
                bin_lo[b, c] = min(bin_lo[b, c], lo[t, c])
                bin_hi[b, c] = max(bin_hi[b, c], hi[t, c])
        box_lo[:] = f32(1e30)
        box_hi[:] = f32(-1e30)
        for b in range(BINS - 1, 0, -1):
            for c in range(3):
                box_lo[c] = min(box_lo[c], bin_lo[b, c])
                box_hi[c] = max(box_hi[c], bin_hi[b, c])
            suffix[b] = _area(box_lo, box_hi)
        box_lo[:] = f32(1e30)
        box_hi[:] = f32(-1e30)
        left = 0
        for b in range(BINS - 1):
            for c in range(3):
                box_lo[c] = min(box_lo[c], bin_lo[b, c])
                box_hi[c] = max(box_hi[c], bin_hi[b, c])
            left += counts[b]
            if left == 0 or left == end - begin:
                continue
            cost = _area(box_lo, box_hi) * f32(left) + suffix[b + 1] * f32(end - begin - left)
            if cost < best:
                best = cost
                axis = a
                plane = b
    if axis < 0:
        return (begin + end) // 2
    scale = f32(BINS) / (chi[axis] - clo[axis])
    i = begin
    j = end - 1
    while i <= j:
        if min(BINS - 1, int((centre[order[i], axis] - clo[axis]) * scale)) <= plane:
            i += 1
        else:
            order[i], order[j] = order[j], order[i]
            j -= 1
    return i


@njit(**SERIAL)
def build(lo, hi, leaf):
    """Boxes lo, hi [n, 3] -> node boxes [m, 6], node links [m, 2], order [n] of items; leaves hold at most `leaf`."""
    n = lo.shape[0]
    order = np.arange(n).astype(np.int32)
    boxes = np.empty((2 * n, 6), np.float32)
    links = np.empty((2 * n, 2), np.int32)
    centre = (lo + hi) * f32(0.5)
    todo = np.empty((256, 3), np.int32)
    todo[0] = 0
    todo[0, 2] = n
    waiting = 1
    nodes = 1
    counts = np.zeros(BINS, np.int64)
    bin_lo = np.empty((BINS, 3), np.float32)
    bin_hi = np.empty((BINS, 3), np.float32)
    suffix = np.empty(BINS, np.float32)
    while waiting > 0:
        waiting -= 1
        k = todo[waiting, 0]
        begin = todo[waiting, 1]
        end = todo[waiting, 2]
        for a in range(3):
            low = f32(1e30)
            high = f32(-1e30)
            for i in range(begin, end):
                low = min(low, lo[order[i], a])
                high = max(high, hi[order[i], a])
            boxes[k, a] = low
            boxes[k, a + 3] = high
        if end - begin <= leaf:
            links[k, 0] = begin
            links[k, 1] = end - begin
            continue
        middle = _split(lo, hi, centre, order, begin, end, counts, bin_lo, bin_hi, suffix)
        links[k, 0] = nodes
        links[k, 1] = 0
        todo[waiting, 0] = nodes
        todo[waiting, 1] = begin
        todo[waiting, 2] = middle
        todo[waiting + 1, 0] = nodes + 1
        todo[waiting + 1, 1] = middle
        todo[waiting + 1, 2] = end
        waiting += 2
        nodes += 2
    return boxes[:nodes].copy(), links[:nodes].copy(), order


@njit(**SERIAL)
def widen(boxes, links):
    """A binary tree -> nodes [m * WIDE], children [m * 4].

    A child below 0 is a leaf: minus 1 minus (first item * 8 + number of items); 0 is none, and the last.
    """
    nodes = np.empty((boxes.shape[0], 24), np.float32)
    children = np.zeros((boxes.shape[0], 4), np.int32)
    todo = np.empty((boxes.shape[0], 2), np.int32)
    todo[0] = 0
    waiting = 1
    made = 1
    mine = np.empty(4, np.int32)
    while waiting > 0:
        waiting -= 1
        at = todo[waiting, 1]
        mine[0] = todo[waiting, 0]
        n = 1
        while n < 4:
            largest = f32(-1)
            pick = -1
            for c in range(n):
                k = mine[c]
                if links[k, 1] == 0:
                    area = _area(boxes[k, :3], boxes[k, 3:])
                    if area > largest:
                        largest = area
                        pick = c
            if pick < 0:
                break
            left = links[mine[pick], 0]
            mine[pick] = left
            mine[n] = left + 1
            n += 1
        for c in range(4):
            for a in range(3):
                nodes[at, a * 8 + c] = boxes[mine[c], a] if c < n else f32(0)
                nodes[at, a * 8 + 4 + c] = boxes[mine[c], a + 3] if c < n else f32(0)
            if c >= n:
                continue
            k = mine[c]
            if links[k, 1] > 0:
                children[at, c] = -1 - (links[k, 0] * 8 + links[k, 1])
            else:
                children[at, c] = made
                todo[waiting, 0] = k
                todo[waiting, 1] = made
                waiting += 1
                made += 1
    return nodes[:made].copy().reshape(made * 24), children[:made].copy().reshape(made * 4)


@dataclass(frozen=True)
class Tree:
    """A hierarchy over triangles: `corners` [n * 9] hold corner and two edges in the order of the leaves."""

    nodes: F32
    children: I32
    order: I32
    corners: F32

    @staticmethod
    def of(vertices: F32, faces: I32) -> Tree:
        """Over `faces` [n, 3] of `vertices` [m, 3]."""
        v = vertices[faces]
        boxes, links, order = build(v.min(1), v.max(1), 4)
        w = v[order]
        corners = np.concatenate([w[:, 0], w[:, 1] - w[:, 0], w[:, 2] - w[:, 0]], 1)
        nodes, children = widen(boxes, links)
        return Tree(nodes, children, order, np.ascontiguousarray(corners, np.float32).ravel())

    @staticmethod
    def joined(trees: list[Tree]) -> tuple[Tree, I32]:
        """Several trees in one set of arrays, and the root of each; `order` counts within each."""
        roots: list[int] = []
        nodes = items = 0
        children = []
        for t in trees:
            c = t.children
            children.append(np.where(c < 0, c - items * 8, np.where(c > 0, c + nodes, 0)).astype(np.int32))
            roots.append(nodes)
            nodes += len(c) // 4
            items += len(t.order)
        whole = Tree(
            np.concatenate([t.nodes for t in trees]), np.concatenate(children),
            np.concatenate([t.order for t in trees]), np.concatenate([t.corners for t in trees]),
        )  # fmt: skip
        return whole, np.array(roots, np.int32)

"""Each reference-line geometry against quadrature that shares nothing with the code."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sim.roads.geometry import ReferenceLines, Segments

START = (0.0, 3.0, -4.0, 0.7)


def line(length: float, **shape: object) -> ReferenceLines:
    segments = Segments()
    segments.append(0, (*START, length), **shape)  # type: ignore[arg-type]
    return ReferenceLines(segments)


def integral(values: np.ndarray, step: float) -> np.ndarray:
    """Running integral by Simpson's rule over pairs of steps; values [2n + 1], result [n + 1]."""
    pieces = (values[:-2:2] + 4 * values[1:-1:2] + values[2::2]) * step / 3
    return np.concatenate([[0.0], np.cumsum(pieces)])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(0.5, 150.0), st.sampled_from(["arc", "line", "spiral"]))
def test_line_arc_spiral(k0: float, k1: float, length: float, kind: str) -> None:
    k0, k1 = {"line": (0.0, 0.0), "arc": (k0, k0), "spiral": (k0, k1)}[kind]
    n = 4000
    d = np.linspace(0, length, 2 * n + 1)
    heading = START[3] + k0 * d + (k1 - k0) * d * d / (2 * length)
    step = length / (2 * n)
    x = START[1] + integral(np.cos(heading), step)
    y = START[2] + integral(np.sin(heading), step)
    got = line(length, curvature=(k0, k1)).evaluate(0, d[::2])
    np.testing.assert_allclose(got[0], x, atol=1e-8)
    np.testing.assert_allclose(got[1], y, atol=1e-8)
    np.testing.assert_allclose(got[2], heading[::2], atol=1e-10)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    st.floats(-0.01, 0.01),
    st.floats(-1e-4, 1e-4),
    st.floats(-0.02, 0.02),
    st.floats(-2e-4, 2e-4),
    st.floats(5.0, 60.0),
    st.sampled_from(["poly3", "arcLength", "normalized"]),
)
def test_cubics_by_arc_length(cu: float, du: float, cv: float, dv: float, length: float, kind: str) -> None:
    if kind == "poly3":
        cu = du = 0.0
    powers = np.array([1.0, length, length**2, length**3]) if kind == "normalized" else np.ones(4)
    u, v = np.array([0, 1, cu, du]) * powers, np.array([0, 0, cv, dv]) * powers
    top = 1.0 if kind == "normalized" else length
    p = np.linspace(0, top, 40_001)
    du_dp, dv_dp = np.polyval(np.polyder(u[::-1]), p), np.polyval(np.polyder(v[::-1]), p)
    pace = np.hypot(du_dp, dv_dp)
    assume(pace.min() > 0.1 * pace.max())  # no road stands still and turns back, and no sum is exact there
    arc = integral(pace, p[1])
    d = np.linspace(0, min(length, arc[-1]), 50)
    at = np.interp(d, arc, p[::2])
    pu, pv = np.polyval(u[::-1], at), np.polyval(v[::-1], at)
    c, s = np.cos(START[3]), np.sin(START[3])
    got = line(length, cubic=(*u, *v), top=top).evaluate(0, d)
    np.testing.assert_allclose(got[0], START[1] + pu * c - pv * s, atol=1e-5)
    np.testing.assert_allclose(got[1], START[2] + pu * s + pv * c, atol=1e-5)
    turn = np.arctan2(np.polyval(np.polyder(v[::-1]), at), np.polyval(np.polyder(u[::-1]), at))
    np.testing.assert_allclose(got[2], START[3] + turn, atol=1e-5)


def test_roads_and_pieces_are_told_apart() -> None:
    segments = Segments()
    segments.append(0, (0.0, 0.0, 0.0, 0.0, 10.0))
    segments.append(0, (10.0, 10.0, 0.0, 0.0, 10.0), curvature=(0.1, 0.1))
    segments.append(1, (0.0, 100.0, 0.0, np.pi / 2, 5.0))
    lines = ReferenceLines(segments)
    x, y, heading = lines.evaluate(np.array([0, 0, 1, 1]), np.array([4.0, 20.0, -1.0, 7.0]))
    # The arc of radius 10 turns 1 rad; stations outside a road are its ends.
    np.testing.assert_allclose(x, [4.0, 10 + 10 * np.sin(1.0), 100.0, 100.0], atol=1e-12)
    np.testing.assert_allclose(y, [0.0, 10 - 10 * np.cos(1.0), 0.0, 5.0], atol=1e-12)
    np.testing.assert_allclose(heading, [0.0, 1.0, np.pi / 2, np.pi / 2], atol=1e-12)


@pytest.mark.parametrize("length", [0.011, 500.0])
def test_equal_curvatures_make_an_arc(length: float) -> None:
    nearly = line(length, curvature=(0.01, 0.01 + 1e-15)).evaluate(0, np.array([length]))
    exact = line(length, curvature=(0.01, 0.01)).evaluate(0, np.array([length]))
    np.testing.assert_allclose(np.concatenate(nearly), np.concatenate(exact), atol=1e-9)

"""Fewer points than rows: samples, order statistics, medians of bins. For the eye, not to infer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .._types import FloatArray
from .wording import thousands

__all__ = ["POINTS", "SEED", "binned_medians", "jitter", "order_statistics", "sample"]

SEED = 1
POINTS = 5_000  # calibrated: more points hide one another at 600 pixels
_TAIL = 250  # order statistics kept at each end of a thinned quantile picture

Places = npt.NDArray[np.int64]


def sample(
    count: int, sizes: FloatArray, *, most: int = POINTS, extremes: int = 50
) -> tuple[Places, str]:
    """Rows to draw: all, or a random sample with the most extreme ones in it.

    Parameters
    ----------
    count : int
        Rows there are.
    sizes : (count,) float64
        Rows with the largest ones are drawn whatever the sample.
    most, extremes : int

    Returns
    -------
    (m,) int64
        Sorted.
    str
        What was left out, "" if nothing.
    """
    if count <= most:
        return np.arange(count), ""
    drawn = np.random.default_rng(SEED).choice(count, most, replace=False)
    largest = np.argsort(-sizes, kind="stable")[:extremes]
    places = np.unique(np.concatenate([drawn, largest])).astype(np.int64)
    said = f"{thousands(most)} of {thousands(count)} rows drawn at random (seed {SEED})"
    return places, f"{said}, and the {extremes} most extreme" if extremes else said


def order_statistics(count: int, *, most: int = POINTS) -> tuple[Places, str]:
    """Ranks to draw in a quantile picture: all, or both tails whole and the middle evenly thinned.

    Returns
    -------
    (m,) int64
        Sorted, counted from 0.
    str
        What was left out, "" if nothing.
    """
    if count <= most:
        return np.arange(count), ""
    middle = np.linspace(_TAIL, count - 1 - _TAIL, most - 2 * _TAIL)
    tails = [np.arange(_TAIL), np.arange(count - _TAIL, count)]
    places = np.unique(np.concatenate([*tails, np.round(middle)])).astype(np.int64)
    return places, (
        f"{thousands(len(places))} of {thousands(count)} points drawn: "
        f"the {_TAIL} outermost at each end, the others evenly by rank"
    )


def binned_medians(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Medians of y in bins of x that hold about equally many rows.

    Parameters
    ----------
    x, y : (n,) float64

    Returns
    -------
    (k,), (k,) float64
        Median of x and of y of each bin, 3 <= k <= 24; empty for fewer than 20 rows or where x has
        fewer than three values. Values of x that differ by rounding only share a bin.
    """
    none = np.empty(0), np.empty(0)
    reach = float(np.ptp(x)) if x.size else 0.0
    if x.size < 20 or not reach > 0:
        return none
    count = int(np.clip(1.2 * x.size**0.4, 3, 24))  # calibrated: smooth at 200 rows, fine at 10^6
    keys = np.round((x - x.min()) / reach, 6)
    values, place = np.unique(keys, return_inverse=True)
    if values.size < 3:
        return none
    if values.size > count:
        edges = np.unique(np.quantile(keys, np.linspace(0, 1, count + 1)))
        place = np.clip(np.searchsorted(edges, keys, side="right") - 1, 0, edges.size - 2)
    order = np.argsort(place, kind="stable")
    starts = np.flatnonzero(np.diff(place[order])) + 1
    parts = np.split(order, starts)
    if len(parts) < 3:
        return none
    return (
        np.array([np.median(x[part]) for part in parts]),
        np.array([np.median(y[part]) for part in parts]),
    )


def jitter(count: int, reach: float) -> FloatArray:
    """(count,) shifts between -reach and reach, the same each time."""
    return np.random.default_rng(SEED).uniform(-reach, reach, count)

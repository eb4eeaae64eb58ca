"""How the parts of a prediction add up to an observation, one step after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._errors import SpecificationError, one_of
from .._types import FloatArray
from ..estimates import has_intercept
from ..pooling.components import components
from . import canvas, wording
from .canvas import ACCENT, MIDDLE, SECOND
from .settings import response

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..comparing import Comparison
    from ..lmm import LmmRecord

__all__ = ["waterfall"]

ROWS = 4  # rows of the data that fit in a picture
STEPS = 12  # parts: above that, the smallest are added up


class _Steps(NamedTuple):
    """Parts of one row: names, sizes, and where the first begins."""

    names: list[str]
    sizes: FloatArray
    start: float
    total: float


def waterfall(c: Comparison, rows: Any, start: str, ax: Any) -> Any:
    """A panel a row."""
    one_of("start", start, ("mean", "zero"))
    frame = components(c.mixed, rows)
    if not 1 <= len(frame) <= ROWS:
        raise SpecificationError(
            f"components(): {len(frame)} rows were asked for; this picture has room for 1 to "
            f"{ROWS}. For more, read pp.components(model, rows)."
        )
    means = None
    if start == "mean" and has_intercept(c.mixed):
        means = components(c.mixed, slice(None)).mean().to_numpy()
    steps = _steps(c, frame.to_numpy(), means)
    height = 1.15 + 0.27 * (len(steps[0].names) + 1)
    axes = canvas.several(
        ax, len(steps), lambda: canvas.grid([1] * len(steps), [height] * len(steps))[1]
    )
    for drawn, one in zip(axes, steps, strict=True):
        _draw(drawn, one, centred=means is not None)
    about = wording.plain(response(c.mixed), 40)
    names = [f"row {wording.plain(label, 24)}" for label in frame.index]
    for drawn in axes:
        drawn.set_xlabel(about)
    counted = means is not None and len(c.mixed.kept) > 1
    notes = ["begins at the average row: covariates count from their means"] if counted else []
    words = f"What adds up to this {about}?"
    return canvas.titled(axes, names, words, notes, own=ax is None)


def _steps(c: Comparison, frame: FloatArray, means: FloatArray | None) -> list[_Steps]:
    """The parts of each row: terms of the fixed part, offset, random effects, residual."""
    record = c.mixed
    names, groups = _parts(record)
    begin = 0.0
    values = frame[:, :-1]
    if means is not None:
        # The terms of the fixed part are measured from their means, with which the picture begins;
        # random effects and residuals are deviations already.
        fixed = len(record.kept) + (record.rows.offset is not None)
        shift = np.where(np.arange(values.shape[1]) < fixed, means[:-1], 0.0)
        values, begin = values - shift, float(shift.sum())
    sizes = np.column_stack([values[:, columns].sum(axis=1) for columns in groups])
    if means is not None and names[0] == "Intercept":
        names, sizes = names[1:], sizes[:, 1:]
    out = []
    for row, total in zip(sizes, frame[:, -1], strict=True):
        labels, parts = (names, row) if len(names) <= STEPS else _gathered(names, row)
        out.append(_Steps(labels, parts, begin, float(total)))
    return out


def _parts(record: LmmRecord) -> tuple[list[str], list[list[int]]]:
    """Names of the parts and the columns of `components` that make each."""
    terms: dict[tuple[str, ...], list[int]] = {}
    for place, j in enumerate(record.kept):
        keys = tuple(part.key for part in record.schema.fixed[j].parts)
        terms.setdefault(keys, []).append(place)
    names = [wording.plain(":".join(keys) or "Intercept", 26) for keys in terms]
    groups = list(terms.values())
    place = len(record.kept)
    if record.rows.offset is not None:
        names.append("offset")
        groups.append([place])
        place += 1
    for term in record.rows.terms:
        for column in term.spec.columns:
            group = term.spec.group
            words = f"{group} effect" if column == "Intercept" else f"{group} effect of {column}"
            names.append(wording.plain(words, 26))
            groups.append([place])
            place += 1
    return [*names, "residual"], [*groups, [place]]


def _gathered(names: list[str], sizes: FloatArray) -> tuple[list[str], FloatArray]:
    """The smallest parts as one, before the residual."""
    largest = np.sort(np.argsort(-np.abs(sizes[:-1]), kind="stable")[: STEPS - 2])
    others = np.setdiff1d(np.arange(len(sizes) - 1), largest)
    labels = [*(names[i] for i in largest), f"{len(others)} smaller parts", names[-1]]
    return labels, np.array([*sizes[largest], sizes[others].sum(), sizes[-1]])


def _written(steps: _Steps) -> list[str]:
    """The start, the steps and the total; steps on their own where the ends would dwarf them."""
    ends = [steps.start, steps.total]
    if np.max(np.abs(steps.sizes), initial=0.0) > 0.01 * max(abs(end) for end in ends):
        return wording.significant([steps.start, *steps.sizes, steps.total], 4)
    first, last = wording.significant(ends, 4)
    return [first, *wording.significant(steps.sizes.tolist()), last]


def _draw(ax: Axes, steps: _Steps, *, centred: bool) -> None:
    canvas.clean(ax)
    ax.use_sticky_edges = False  # bars would have no margin
    ends = steps.start + np.cumsum(steps.sizes)
    starts = np.concatenate([[steps.start], ends[:-1]])
    y = -np.arange(1, len(ends) + 1)
    first = 0
    ax.plot([steps.start] * 2, [first + 0.35, y[0] - 0.35], color=MIDDLE, lw=0.9, zorder=1)
    written = _written(steps)
    for at, low, high, text in zip(y, starts, ends, written[1:-1], strict=True):
        up = high >= low
        ax.barh(
            at,
            high - low,
            left=low,
            height=0.62,
            color=ACCENT if up else "none",
            edgecolor=ACCENT if up else SECOND,
            hatch="" if up else "/////",
            lw=1.2,
            zorder=3,
            gid="part",
        )
        if at > y[-1]:
            ax.plot([high, high], [at - 0.31, at - 0.69], color=MIDDLE, lw=0.9, zorder=1)
        sign = "+" if up else ""
        canvas.name(
            ax,
            sign + text,
            (float(max(low, high)), float(at)),
            (5, 0),
            kind="size",
            color=canvas.ink(),
        )
    ax.plot(steps.start, 0, marker="|", ms=13, mew=2.2, color=canvas.ink(), gid="start")
    last = y[-1] - 1
    ax.plot(steps.total, last, marker="D", ms=8, color=canvas.ink(), zorder=4, gid="total")
    ax.plot([steps.total] * 2, [y[-1] - 0.31, last], color=MIDDLE, lw=0.9, zorder=1)
    canvas.name(ax, written[0], (steps.start, 0), (7, 0), kind="size", color=canvas.ink())
    canvas.name(ax, written[-1], (steps.total, last), (9, 0), kind="size", color=canvas.ink())
    begin = "average row" if centred else "zero"
    ax.set_yticks([0, *y, last], [begin, *steps.names, "observed"], fontsize=canvas.small())
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(last - 0.7, 0.7)
    ax.margins(x=0.12)

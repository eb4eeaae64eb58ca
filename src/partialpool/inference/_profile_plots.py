"""Pictures of likelihood profiles: zeta, and the density that it stands for."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._errors import SpecificationError, UnavailableError
from .._types import FloatArray
from ._curves import Curve, decimals, number, per_u, quantile, to_value

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .profile import Profile

__all__ = ["ProfilePlots"]

_LINE = "#0072b2"  # the library's blue, which is dark in grey
_MIDDLE = "#757575"
_FAINT = "#c4c4c4"
_WIDTH = 6.0  # inches: 600 pixels at matplotlib's 100 dots an inch, the narrowest that must read
_ROW = 2.3  # inches a row of panels
_COLUMNS = 2
_POINTS = 201


@dataclass(frozen=True)
class ProfilePlots:
    """The pictures of a `Profile`; each draws a panel a parameter.

    A picture without `ax` is a pyplot figure; with `ax`, nothing outside those Axes is touched.
    """

    profile: Profile

    def zeta(
        self,
        parameters: str | Sequence[str] | None = None,
        *,
        level: float = 0.95,
        ax: Any = None,
    ) -> Axes | np.ndarray[Any, Any]:
        """zeta against the parameter: straight where the likelihood is quadratic.

        Parameters
        ----------
        parameters : str or list of str, optional
            Default all that were profiled.
        level : float
            Limits to mark.
        ax : Axes or array of them, optional
            One a parameter.

        Returns
        -------
        Axes, or an array of them for several parameters

        Raises
        ------
        SpecificationError
            For parameters that were not profiled, another number of Axes, or a level beyond that
            of the profile.
        UnavailableError
            Without matplotlib.
        """
        return self._draw(
            parameters,
            level,
            ax,
            _draw_zeta,
            "ζ: signed root of the difference in deviance from the minimum · dashed: if the "
            f"likelihood were quadratic · dotted: {100 * level:g} % limits",
        )

    def density(
        self,
        parameters: str | Sequence[str] | None = None,
        *,
        level: float = 0.95,
        ax: Any = None,
    ) -> Axes | np.ndarray[Any, Any]:
        """The density for which zeta is normal: its quantiles are the profile limits.

        Parameters, Returns and Raises are those of `zeta`.
        """
        return self._draw(
            parameters,
            level,
            ax,
            _draw_density,
            f"shaded: between the {100 * level:g} % limits · dotted: the estimate",
        )

    def _draw(
        self,
        parameters: str | Sequence[str] | None,
        level: float,
        ax: Any,
        draw: Callable[[Axes, Curve, tuple[float, float], float], None],
        note: str,
    ) -> Axes | np.ndarray[Any, Any]:
        limits = self.profile._limits(level)
        curves = _chosen(self.profile, parameters)
        panels = _axes(ax, len(curves), note)
        for panel, curve in zip(panels, curves, strict=True):
            draw(panel, curve, limits[curve.name], level)
        return panels[0] if len(panels) == 1 else np.array(panels, dtype=object)


def _chosen(profile: Profile, parameters: str | Sequence[str] | None) -> list[Curve]:
    """The curves asked for that have points."""
    every = {c.name: c for c in profile.curves}
    asked = list(every) if parameters is None else parameters
    asked = [asked] if isinstance(asked, str) else list(asked)
    for name in asked:
        if name not in every:
            raise SpecificationError(
                f"plot: {name!r} was not profiled. The profiles are of: {', '.join(every)}."
            )
        if parameters is not None and len(every[name].u) < 2:
            raise SpecificationError(f"plot: {name!r} has no estimate, and so no profile.")
    curves = [every[name] for name in asked if len(every[name].u) > 1]
    if not curves:
        raise SpecificationError("plot: none of these parameters has a profile.")
    return curves


def _axes(ax: Any, count: int, note: str) -> list[Axes]:
    """The user's Axes in their order, or those of a new pyplot figure."""
    try:
        from matplotlib.axes import Axes
    except ImportError:
        raise UnavailableError(
            "Pictures are drawn by matplotlib, which is not installed: "
            "pip install partialpool[plot]"
        ) from None
    if ax is None:
        import matplotlib.pyplot as plt

        columns = min(count, _COLUMNS)
        rows = math.ceil(count / columns)
        height = 3.8 if count == 1 else _ROW * rows + 0.4
        figure = plt.figure(figsize=(_WIDTH, height))
        figure.set_layout_engine("constrained", h_pad=0.09)
        text = "\n".join(textwrap.wrap(note, int(_WIDTH * 72 / (0.53 * _small()))))
        figure.supxlabel(text, x=0.015, ha="left", fontsize=_small(), color=_MIDDLE, gid="notes")
        grid = figure.add_gridspec(rows, columns)
        return [figure.add_subplot(grid[divmod(i, columns)]) for i in range(count)]
    given = list(np.ravel(np.asarray(ax, dtype=object)))
    if len(given) != count or not all(isinstance(a, Axes) for a in given):
        raise SpecificationError(
            f"ax must be {count} matplotlib Axes, one a parameter: such as those of "
            f"plt.subplots(ncols={count})."
        )
    return given


def _draw_zeta(ax: Axes, curve: Curve, limits: tuple[float, float], level: float) -> None:
    values, zeta, _ = _smooth(curve)
    z = quantile(level)
    ax.axhline(0, color=_FAINT, linewidth=0.8, zorder=1)
    # The straight line of a quadratic likelihood, for the eye to compare with.
    stretch = per_u(curve.kind, curve.u)[curve.centre]
    slope = curve.rate[curve.centre] / stretch if stretch > 1e-9 else math.inf
    if 0 < slope < math.inf:
        reach = float(np.abs(zeta).max()) / slope
        x = np.clip(curve.estimate + np.array([-reach, reach]), values[0], values[-1])
        y = slope * (x - curve.estimate)
        ax.plot(x, y, color=_MIDDLE, linewidth=1, linestyle=(0, (4, 3)), zorder=2, gid="line")
    ax.plot(values, zeta, color=_LINE, linewidth=1.8, zorder=3, gid="zeta")
    ax.plot(curve.value, curve.zeta, ".", color=_LINE, markersize=4, zorder=4, gid="points")
    floor = ax.get_ylim()[0]
    for limit, side in zip(limits, (-z, z), strict=True):
        ax.axhline(side, color=_MIDDLE, linewidth=0.8, linestyle=":", zorder=1)
        if zeta[0] <= side <= zeta[-1]:
            ax.vlines(limit, floor, side, color=_MIDDLE, linewidth=0.8, linestyle=":", zorder=2)
    ax.set_ylim(floor)
    ax.set_ylabel("ζ", fontsize=_base(), rotation=0, labelpad=8, va="center")
    _finish(ax, curve, limits, level)


def _draw_density(ax: Axes, curve: Curve, limits: tuple[float, float], level: float) -> None:
    values, zeta, rate = _smooth(curve)
    density = np.exp(-0.5 * zeta**2) / math.sqrt(2 * math.pi) * rate
    inside = np.isfinite(density)
    values, density = values[inside], density[inside]
    ax.plot(values, density, color=_LINE, linewidth=1.8, zorder=3, gid="density")
    lower, upper = np.nan_to_num(limits[0], nan=-math.inf), np.nan_to_num(limits[1], nan=math.inf)
    between = (values >= lower) & (values <= upper)
    ax.fill_between(
        values[between], density[between], color=_LINE, alpha=0.18, linewidth=0, gid="inside"
    )
    top = float(np.interp(curve.estimate, values, density))
    ax.vlines(curve.estimate, 0, top, color=_MIDDLE, linewidth=0.8, linestyle=":", zorder=2)
    high = float(np.quantile(density, 0.98))
    ax.set_ylim(0, 1.12 * (float(density.max()) if density.max() < 3 * high else 1.5 * high))
    ax.set_yticks([])
    ax.set_ylabel("density", fontsize=_small())
    ax.spines["left"].set_visible(False)
    _finish(ax, curve, limits, level)


def _finish(ax: Axes, curve: Curve, limits: tuple[float, float], level: float) -> None:
    """Name, limits in words, and no frame."""
    from matplotlib import ticker

    ax.spines[["top", "right"]].set_visible(False)
    ax.xaxis.set_major_locator(ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    ax.xaxis.set_major_formatter(
        ticker.FuncFormatter(lambda v, _: f"{v:.10g}".replace("-", "\N{MINUS SIGN}"))
    )
    ax.tick_params(labelsize=_small())
    name = curve.name.replace("$", r"\$")
    size = _base()
    figure: Any = ax.figure
    inches = float(figure.get_size_inches()[0]) * float(ax.get_position().width)
    lines = textwrap.wrap(name, max(int(inches * 72 / (0.58 * size)), 16))
    ax.set_title("\n".join(lines), loc="left", fontsize=size, pad=5 + 1.35 * _small())
    digits = decimals(curve.estimate, *limits)
    best, low, high = (
        (number(v, digits) or "unknown").replace("-", "\N{MINUS SIGN}")
        for v in (curve.estimate, *limits)
    )
    ax.annotate(
        f"{best}  ({100 * level:g} %: {low} to {high})",
        (0, 1),
        (0, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=_small(),
        color=_MIDDLE,
        gid="limits",
        annotation_clip=False,
    )


def _smooth(curve: Curve) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values, zeta, and its derivative with respect to the value, close together."""
    fine = np.linspace(curve.u[0], curve.u[-1], _POINTS)
    u = np.unique(np.concatenate([fine, curve.u]))
    zeta, rate = curve.at(u)
    with np.errstate(divide="ignore", invalid="ignore"):
        return to_value(curve.kind, u), zeta, rate / per_u(curve.kind, u)


def _base() -> float:
    import matplotlib
    from matplotlib import font_manager

    size = matplotlib.rcParams["font.size"]
    return float(font_manager.FontProperties(size=size).get_size_in_points())


def _small() -> float:
    return 0.86 * _base()

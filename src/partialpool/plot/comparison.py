"""The pictures of a comparison: ``Comparison.plot``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import canvas, forest, path, shrinkage, three_lines, waterfall

if TYPE_CHECKING:
    from ..comparing import Comparison

__all__ = ["ComparisonPlots"]


class ComparisonPlots:
    """Pictures of why `lm` and `lmer` differ: ``path, lines, components, shrinkage, forest``.

    Each draws in `ax` (as many Axes as there are panels), or in a new pyplot figure 600 pixels
    wide, and returns its Axes, an array of them where there are several panels. Complete pooling
    is dashed with circles, partial pooling solid with diamonds, no pooling dotted with squares.

    Parameters
    ----------
    comparison : Comparison

    Examples
    --------
    >>> import partialpool as pp
    >>> c = pp.compare("hwy ~ displ + year + (1 | class)", pp.datasets.load("mpg"))
    >>> from matplotlib.figure import Figure
    >>> c.plot.path("displ", ax=Figure().subplots()).get_xlabel()
    'sd(class) / sd(residual)'
    """

    __slots__ = ("_comparison",)

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    def __repr__(self) -> str:
        names = ("path()", "lines(x)", "components(rows)", "shrinkage()", "forest()")
        return f"Pictures of lm against {self._comparison.mixed.spec.formula!r}: {', '.join(names)}"

    def path(self, terms: str | Sequence[str] | None = None, *, ax: Any = None) -> Any:
        """The coefficients from complete to no pooling, a panel each.

        Parameters
        ----------
        terms : str or sequence of str, optional
            Coefficients; the first twelve if left out.
        ax : Axes or array of Axes, optional

        Returns
        -------
        Axes, or an array of Axes
            The horizontal axis runs over the ratio in ``Comparison.path``, as
            ratio / (ratio + constant), so that it shows both 0 and infinity; its ticks are ratios.
            The three fits are marked, with their values.

        Raises
        ------
        SpecificationError
            For an unknown coefficient, and for another number of Axes.
        UnavailableError
            Without matplotlib.
        """
        canvas.require()
        return path.path(self._comparison, terms, ax)

    def lines(self, x: str | None = None, group: str | None = None, *, ax: Any = None) -> Any:
        """The data of each group with the lines of the three fits, a panel a group.

        Parameters
        ----------
        x : str, optional
            A covariate, numeric or a factor; the first that varies within groups if left out.
        group : str, optional
            A grouping factor; the one with most levels if left out.
        ax : Axes or array of Axes, optional

        Returns
        -------
        Axes, or an array of Axes
            Lines run over the group's own range of x, the other covariates at their mean or
            commonest level. Beyond twelve groups, twelve evenly by the rank of their effect.

        Raises
        ------
        SpecificationError
            For an unknown covariate or group, a model without covariates, another number of Axes.
        UnavailableError
            For pickled models (the data are gone), after an offset from an array, and without
            matplotlib.
        """
        canvas.require()
        return three_lines.three_lines(self._comparison, x, group, ax)

    def components(self, rows: Any, *, start: str = "mean", ax: Any = None) -> Any:
        """How the parts of the mixed model add up to an observation, a panel a row.

        Parameters
        ----------
        rows : label, slice, mask or sequence of labels
            One to four of the used rows, as `components` takes them.
        start : "mean" or "zero"
            Measure the terms of the fixed part from their means, so that the picture begins at the
            average row; or from zero, as the frame has them: then a covariate far from zero, such
            as a year, and the intercept dwarf the rest.
        ax : Axes or array of Axes, optional

        Returns
        -------
        Axes, or an array of Axes
            Steps add up exactly. Coefficients of one term are one step; beyond twelve steps, the
            smallest are one.

        Raises
        ------
        SpecificationError
            For rows that are not there, none, or more than four.
        UnavailableError
            Without matplotlib.
        """
        canvas.require()
        return waterfall.waterfall(self._comparison, rows, start, ax)

    def shrinkage(
        self, group: str | None = None, term: str | None = None, *, ax: Any = None
    ) -> Any:
        """The effect of each level without pooling and in the mixed model, joined by an arrow.

        Parameters
        ----------
        group, term : str, optional
            A grouping factor and a random effect; all if left out.
        ax : Axes or array of Axes, optional

        Returns
        -------
        Axes, or an array of Axes
            Larger points have more rows. Beyond forty levels, forty evenly by rank.

        Raises
        ------
        SpecificationError
            For a group or random effect that was not fitted, and for another number of Axes.
        UnavailableError
            Without matplotlib.
        """
        canvas.require()
        return shrinkage.shrinkage(self._comparison, group, term, ax)

    def forest(self, terms: str | Sequence[str] | None = None, *, ax: Any = None) -> Any:
        """The coefficients of the three fits with intervals, a panel a coefficient.

        Parameters
        ----------
        terms : str or sequence of str, optional
            Coefficients; the first twelve if left out.
        ax : Axes or array of Axes, optional

        Returns
        -------
        Axes, or an array of Axes
            Bars are the estimate plus and minus 1.96 standard errors; the thin one of `lm` has the
            cluster-robust (CR2) standard error.

        Raises
        ------
        SpecificationError
            For an unknown coefficient, and for another number of Axes.
        UnavailableError
            Without matplotlib.
        """
        canvas.require()
        return forest.forest(self._comparison, terms, ax)

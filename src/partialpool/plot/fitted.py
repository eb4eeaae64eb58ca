"""The pictures of a fit: ``fit.plot``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._errors import UnavailableError
from ..ols import OlsRecord
from . import canvas, caterpillar, lines, residuals

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..estimates import Record
    from ..lmm import LmmRecord

__all__ = ["FitPlots"]


class FitPlots:
    """Pictures of a fit: ``residuals, qq, scale_location``; of mixed models three more.

    Each draws in `ax`, or in a new pyplot figure of 600 by 400 pixels or so, and returns its Axes
    (an array of Axes where there are several panels). Big data are thinned, and the picture says
    how. matplotlib comes with ``pip install partialpool[plot]``.

    Examples
    --------
    >>> import partialpool as pp
    >>> fit = pp.lmer("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy"))
    >>> from matplotlib.figure import Figure
    >>> fit.plot.residuals(ax=Figure().subplots()).get_xlabel()
    'fitted Reaction'
    """

    __slots__ = ("_record",)

    def __init__(self, record: Record) -> None:
        self._record = record

    def __repr__(self) -> str:
        names = ["residuals", "qq", "scale_location"]
        if not isinstance(self._record, OlsRecord):
            names += ["ranef", "ranef_qq", "fitted_by_group"]
        return f"Pictures of {self._record.spec.formula!r}: {', '.join(f'{n}()' for n in names)}"

    def residuals(self, *, ax: Axes | None = None) -> Axes:
        """Residuals against fitted values: bends and funnels show what the model misses.

        Parameters
        ----------
        ax : Axes, optional

        Returns
        -------
        Axes
            Points (y - fitted; with weights, times sqrt(w)), medians of bins of the fitted values
            over all rows, the labels of the three largest. Beyond 5,000 rows a seeded sample of
            points, the extreme ones in it.

        Raises
        ------
        UnavailableError
            Without matplotlib.
        """
        canvas.require()
        return residuals.residuals(self._record, ax)

    def qq(self, *, ax: Axes | None = None) -> Axes:
        """Standardised residuals against normal quantiles.

        Parameters
        ----------
        ax : Axes, optional

        Returns
        -------
        Axes
            Points, the line of equality, and the band in which 95 % of normal samples of that size
            lie at each point (residuals are not quite independent: take it as a guide).

        Raises
        ------
        SpecificationError
            If no residual can be standardised.
        UnavailableError
            Without matplotlib.

        Notes
        -----
        Residuals are `rstandard`'s: over sigma sqrt(w) sqrt(1 - h). Order statistics have Beta
        distributions, from which the band is.
        """
        canvas.require()
        return residuals.qq(self._record, ax)

    def scale_location(self, *, ax: Axes | None = None) -> Axes:
        """Square roots of absolute standardised residuals against fitted values.

        Parameters
        ----------
        ax : Axes, optional

        Returns
        -------
        Axes
            Points, medians of bins, and at 0.82 the median that normal residuals of one variance
            have.

        Raises
        ------
        SpecificationError
            If no residual can be standardised.
        UnavailableError
            Without matplotlib.
        """
        canvas.require()
        return residuals.scale_location(self._record, ax)

    def ranef(self, group: str | None = None, term: str | None = None, *, ax: Any = None) -> Any:
        """Random effects of each level with 95 % intervals, sorted (a caterpillar).

        Parameters
        ----------
        group : str, optional
            A grouping factor; all of them, a row of panels each, if left out.
        term : str, optional
            One random effect, such as ``"Days"``; all if left out. Levels are sorted by the first
            one shown.
        ax : Axes or array of Axes, optional
            As many as there are panels.

        Returns
        -------
        Axes, or an array of Axes
            Intervals are mode plus and minus 1.96 conditional standard deviations, the variances
            taken as known; effects whose interval leaves zero out are filled. Beyond 300 levels,
            300 evenly by rank; beyond 45, only the ends are named.

        Raises
        ------
        SpecificationError
            For a group or term that was not fitted, and for another number of Axes.
        UnavailableError
            For a linear model, and without matplotlib.
        """
        canvas.require()
        return caterpillar.ranef(self._mixed("ranef"), group, term, ax)

    def ranef_qq(self, group: str | None = None, term: str | None = None, *, ax: Any = None) -> Any:
        """Random effects against normal quantiles.

        Parameters
        ----------
        group, term : str, optional
            As in `ranef`.
        ax : Axes or array of Axes, optional

        Returns
        -------
        Axes, or an array of Axes
            Points, and a line through the quartiles. The effects are shrunken, which makes them
            look more normal than the groups are: a bend is news, a straight line proves little.

        Raises
        ------
        SpecificationError
            For a group or term that was not fitted, and for another number of Axes.
        UnavailableError
            For a linear model, and without matplotlib.
        """
        canvas.require()
        return caterpillar.ranef_qq(self._mixed("ranef_qq"), group, term, ax)

    def fitted_by_group(
        self, x: str | None = None, group: str | None = None, *, ax: Axes | None = None
    ) -> Axes:
        """The data, the population's line and the lines of the groups over a covariate.

        Parameters
        ----------
        x : str, optional
            A covariate of the model, numeric or a factor; the first numeric one if left out. The
            name of the group itself, or a model without covariates, gives a row a level.
        group : str, optional
            A grouping factor; the one with most levels if left out.
        ax : Axes, optional

        Returns
        -------
        Axes
            Each line runs over its group's own range of x, the other covariates at their mean or
            commonest level, effects of other groups left out (those that it is nested in stay).
            Up to eight groups are told apart; beyond sixty, a seeded sample of sixty.

        Raises
        ------
        SpecificationError
            For a covariate or group that the model does not have.
        UnavailableError
            For a linear model, for a pickled one (the data are gone), after an offset from an
            array, and without matplotlib.
        """
        canvas.require()
        return lines.fitted_by_group(self._mixed("fitted_by_group"), x, group, ax)

    def _mixed(self, picture: str) -> LmmRecord:
        if isinstance(self._record, OlsRecord):
            raise UnavailableError(
                f"plot.{picture}() draws random effects, which a linear model does not have. Its "
                "pictures are residuals(), qq() and scale_location()."
            )
        return self._record

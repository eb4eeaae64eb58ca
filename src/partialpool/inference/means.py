"""Estimated marginal means: predictions of the fixed part, averaged over a reference grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .. import estimates
from .._columns import listed
from .._errors import SpecificationError
from .._types import FloatArray
from ..schema import plan_of
from . import _families, _grid, _printed, _tests, adjust, degrees
from ._contrast_table import Contrasts, compare
from ._linear import estimate, frozen, why_not
from ._remarks import remarks
from ._variables import Variables, variables_of

if TYPE_CHECKING:
    import pandas as pd

    from ..estimates import Record
    from ._grid import Averages, Grid

__all__ = ["MarginalMeans", "assemble", "emmeans", "shown_in"]


@dataclass(frozen=True, eq=False, repr=False)
class MarginalMeans:
    """Means (or slopes) of the fixed part over a grid, with their uncertainty; made by `emmeans`.

    Attributes
    ----------
    quantity : str
        ``"emmean"``, or ``"trend"`` for slopes: the name of the column of estimates.
    factors, by : tuple of str
        The variables of the rows; contrasts are formed within the levels of `by`.
    labels : tuple of tuple
        The values of `factors` and `by` in each row, the first fastest.
    L : (k, p) float64
        The means as linear functions of all p coefficients.
    offset, estimate, std_error, df : (k,) float64
        NaN where a mean is not estimable.
    level : float
    ddf : str
    reasons : tuple of str
        Why a row is not estimable; "" where it is.
    notes : tuple of str
        What was averaged over, held and assumed.

    Examples
    --------
    >>> import partialpool as pp
    >>> cake = pp.datasets.load("cake")
    >>> fit = pp.lmer("angle ~ recipe * temperature + (1 | recipe:replicate)", cake)
    >>> fit.emmeans("recipe").to_frame().round(3)[["recipe", "emmean", "std_error"]]
      recipe  emmean  std_error
    0      A  33.122      1.737
    1      B  31.644      1.737
    2      C  31.600      1.737
    """

    quantity: str
    title: str
    factors: tuple[str, ...]
    by: tuple[str, ...]
    labels: tuple[tuple[Any, ...], ...]
    L: FloatArray
    offset: FloatArray
    estimate: FloatArray
    std_error: FloatArray
    df: FloatArray
    level: float
    ddf: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    _record: Record

    def to_frame(self) -> pd.DataFrame:
        """A row a mean.

        Returns
        -------
        DataFrame
            The factors, those of `by`, then ``emmean`` (or ``trend``), ``std_error, df, conf_low,
            conf_high``; the limits are not adjusted for the number of means. A factor that is
            called like one of these columns gets an underscore.
        """
        import pandas as pd

        return pd.DataFrame({c.name: list(c.values) for c in self._columns()})

    def __getitem__(self, column: str) -> pd.Series[Any]:
        """A column of `to_frame`."""
        return self.to_frame()[column]

    def __len__(self) -> int:
        return len(self.labels)

    def pairs(self, adjust: str | None = "tukey", *, reverse: bool = False) -> Contrasts:
        """All differences of two means, within the levels of `by`.

        Parameters
        ----------
        adjust : "tukey", "sidak", "holm", "bonferroni", "mvt" or "none"
        reverse : bool
            The second mean less the first.

        Raises
        ------
        SpecificationError
            For another adjustment, and where there is one mean only.
        """
        return self.contrast("pairwise", adjust=adjust, reverse=reverse)

    def contrast(
        self,
        method: Any = "eff",
        *,
        adjust: str | None = None,
        reverse: bool = False,
        reference: Any = None,
    ) -> Contrasts:
        """Contrasts of the means, within the levels of `by`.

        Parameters
        ----------
        method : str, mapping or (m, k) array_like
            "pairwise"; "trt.vs.ctrl", each mean less the first (or `reference`); "consec", each
            less the one before; "eff", each less the mean of all; "poly", orthogonal polynomials
            for equal steps; or weights of the k means: a dict of name to weights, or a matrix
            with a row a contrast.
        adjust : str, optional
            As in `pairs`. Default: "tukey" for "pairwise"; "mvt" for "trt.vs.ctrl" (Dunnett's test)
            and "consec"; "holm" for "eff"; "none" for the others.
        reverse : bool
            Of "pairwise", "consec" and "trt.vs.ctrl": the other sign.
        reference : optional
            The control of "trt.vs.ctrl": its level, or the tuple of its levels.

        Returns
        -------
        Contrasts

        Raises
        ------
        SpecificationError
            For unknown methods and adjustments, weights of the wrong length, a control that is
            not there, and Tukey's adjustment of anything but pairs.
        """
        k = self._per_group()
        place = _place(reference, [label[: len(self.factors)] for label in self.labels[:k]])
        names = [_label(self.factors, label) for label in self.labels[:k]]
        chosen = _families.family(method, names, reverse=reverse, reference=place)
        return compare(self, chosen, adjust)

    def joint_tests(self) -> pd.DataFrame:
        """F tests that the means do not depend on a factor, and that factors do not interact.

        A factor's test averages over the other factors of the rows with equal weights; `by`
        splits the tests. Where some of the contrasts are not estimable the test is of those that
        are, and ``num_df`` is smaller; where none is, F is NaN.

        Returns
        -------
        DataFrame
            Index ``term``; the variables of `by`, then ``num_df, den_df, F, p_value``.
        """
        return _tests.joint_tests(self)

    def back_transform(self) -> pd.DataFrame:
        """Means on the scale of the response's column, where the formula transforms it.

        ``log(y)``, ``sqrt(y)`` and the like, with constants added or multiplied. The estimate and
        the limits are transformed; the standard error is the delta method's. The result is not
        the mean of y, but for ``log`` its median (the geometric mean) where the model holds.

        Returns
        -------
        DataFrame
            As `to_frame`, with the column ``response``.

        Raises
        ------
        SpecificationError
            If the response has no transformation that can be inverted, or the rows are slopes.
        """
        import pandas as pd

        from . import _back_transform

        columns = {c.name: list(c.values) for c in self._columns()}
        return pd.DataFrame(_back_transform.back(self._record, self.quantity, columns))

    def _per_group(self) -> int:
        """Rows within each combination of `by`."""
        groups = {label[len(self.factors) :] for label in self.labels}
        return len(self.labels) // len(groups)

    def _columns(self) -> list[_printed.Column]:
        names = (*self.factors, *self.by)
        half = adjust.quantile(self.df, self.level) * self.std_error
        columns = [
            _printed.Column(name, [label[i] for label in self.labels], "text")
            for i, name in enumerate(names)
        ]
        columns += [
            _printed.Column(self.quantity, self.estimate.tolist(), "value"),
            _printed.Column("std_error", self.std_error.tolist(), "value"),
            _printed.Column("df", self.df.tolist(), "df"),
            _printed.Column("conf_low", (self.estimate - half).tolist(), "value"),
            _printed.Column("conf_high", (self.estimate + half).tolist(), "value"),
        ]
        return _printed.apart(columns)

    def _notes(self) -> list[str]:
        rows = [_row_text(self, i) for i in range(len(self))]
        return [*self.notes, *_printed.gaps(rows, self.reasons)]

    def __str__(self) -> str:
        return _printed.text(self.title, self._columns(), self._notes())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _printed.html(self.title, self._columns(), self._notes())


def emmeans(
    record: Record,
    specs: str | Sequence[str],
    *,
    by: str | Sequence[str] | None = None,
    at: Mapping[str, Any] | None = None,
    weights: str | Mapping[str, Any] = "equal",
    ddf: str = "satterthwaite",
    level: float = 0.95,
) -> MarginalMeans:
    """Means of the response for the levels of factors, everything else averaged or held.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    specs : str or sequence of str
        Factors whose combinations get a mean, the first fastest; covariates too if `at` has their
        values.
    by : str or sequence of str, optional
        More of them, within whose levels contrasts are formed.
    at : mapping of str to value or list, optional
        Values of covariates; and of factors the levels that are wanted.
    weights : str or mapping
        Of the levels of the factors averaged over. "equal"; "proportional" to how often their
        combinations occur in the used rows; "outer", the product of each factor's own
        frequencies; "cells", how often they occur together with the row's levels; or a dict of
        factor to weights of its levels. Rows are counted: weights of the model are precisions, not
        frequencies, and do not enter.
    ddf : {"satterthwaite", "kenward-roger"}
        Degrees of freedom; Kenward and Roger's with the adjusted covariance.
    level : float
        Of the confidence limits.

    Returns
    -------
    MarginalMeans

    Raises
    ------
    SpecificationError
        For names, levels, values and options that are not there.
    DataError, UnavailableError
        Where the mean of a covariate cannot be had: the data changed, or a pickle left them
        behind.

    Notes
    -----
    Every covariate is held at its mean in the used rows, and functions of it are evaluated there:
    log(x) at the logarithm of the mean. Offsets are held at their mean, but for those that read a
    variable of the grid. Random effects are at zero. A mean that the data cannot tell, because
    columns of X repeat others, is NaN with a reason.

    Source: Searle, Speed and Milliken (1980), *The American Statistician* 34, 216-221.
    """
    variables = variables_of(record)
    shown, inner = shown_in(variables, specs, by)
    degrees.check_ddf(ddf)
    estimates.check_level(level)
    grid = _grid.reference(variables, at, (*shown, *inner))
    found = _grid.average(grid, (*shown, *inner), weights)
    return assemble(
        variables, grid, found, shown, inner, weights=weights, ddf=ddf, level=level, slope=None
    )


def assemble(
    variables: Variables,
    grid: Grid,
    found: Averages,
    factors: tuple[str, ...],
    by: tuple[str, ...],
    *,
    weights: str | Mapping[str, Any],
    ddf: str,
    level: float,
    slope: tuple[str, str] | None,
) -> MarginalMeans:
    """The result for averages of rows of X; `slope` is the covariate of slopes, and a note."""
    record = variables.record
    values = estimate(record, found.L, found.offset, ddf)
    reasons = tuple(
        "" if good else why_not(record, row, _grid.combinations(grid, found, i))
        for i, (good, row) in enumerate(zip(values.estimable, found.L, strict=True))
    )
    response = plan_of(record.schema.formula).response
    y = response.text if response is not None else "y"
    return MarginalMeans(
        quantity="emmean" if slope is None else "trend",
        title=f"Marginal means of {y}" if slope is None else f"Slopes of {y} in {slope[0]}",
        factors=factors,
        by=by,
        labels=found.labels,
        L=frozen(found.L),
        offset=frozen(found.offset),
        estimate=values.value,
        std_error=values.std_error,
        df=values.df,
        level=level,
        ddf=ddf,
        reasons=reasons,
        notes=tuple(remarks(variables, grid, (*factors, *by), weights, ddf, level, slope)),
        _record=record,
    )


def shown_in(
    variables: Variables, specs: Any, by: Any, *, empty: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The variables of the rows, by their names in the data."""
    shown = _names(variables, specs, "specs")
    inner = _names(variables, by, "by")
    if not shown and not empty:
        raise SpecificationError(
            "specs is empty: name the factors whose means are wanted, such as "
            f"{_example(variables)}."
        )
    for name in (*shown, *inner):
        if (*shown, *inner).count(name) > 1:
            raise SpecificationError(f"{name!r} is named twice in specs and by.")
    return shown, inner


def _names(variables: Variables, given: Any, where: str) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, str):
        given = [given] if given.strip() else []
    if not isinstance(given, list | tuple):
        raise SpecificationError(
            f"{where} is of type {type(given).__name__}; it must be a name or a list of names."
        )
    return tuple(variables.find(name, where) for name in given)


def _example(variables: Variables) -> str:
    names = [*variables.levels] or [*variables.names]
    return repr(names[0]) if names else "'f'; but this model has no predictors"


def _label(names: Sequence[str], label: Sequence[Any]) -> str:
    """The levels of a mean as contrasts name it; numbers and booleans with their variable."""
    pairs = zip(names, label, strict=False)
    return " ".join(v if isinstance(v, str) else _grid.spell(n, v) for n, v in pairs)


def _place(reference: Any, labels: Sequence[tuple[Any, ...]]) -> int:
    """The mean that serves as control; the first if none is named."""
    if reference is None:
        return 0
    wanted = tuple(reference) if isinstance(reference, list | tuple) else (reference,)
    if wanted not in labels:
        known = [label[0] if len(label) == 1 else label for label in labels]
        raise SpecificationError(
            f"reference={reference!r} is none of the means; they are {listed(known)}."
        )
    return list(labels).index(wanted)


def _row_text(means: MarginalMeans, i: int) -> str:
    pairs = zip((*means.factors, *means.by), means.labels[i], strict=True)
    return ", ".join(_grid.spell(name, value) for name, value in pairs)

"""Why `lm` and `lmer` differ: the comparison that users hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ._errors import SpecificationError
from .pooling import pair
from .pooling.findings import Findings
from .pooling.prose import number
from .pooling.words import sentences
from .report import html, text
from .report.numbers import column
from .report.structure import Block, Fact, Facts, Field, Note, Report, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .pooling.table import Row

__all__ = ["Comparison", "compare", "compare_formula"]

_NAMES = 5  # in a row
_ROUNDING = 1e-10  # relative: to this lm and lmer agree where they are the same


class Comparison(Findings):
    """A linear and a mixed model side by side, and why they differ; made by `compare`.

    Prints the answer in words and numbers. ``table, path, groups, decomposition, contextual,
    same_when, standard_errors`` hold the numbers, ``text()`` the words, ``plot`` the pictures.

    Examples
    --------
    >>> import partialpool as pp
    >>> mpg = pp.datasets.load("mpg")
    >>> c = pp.compare("hwy ~ displ + year + (1 | class)", mpg)
    >>> c.table[["complete_pooling", "partial_pooling", "no_pooling", "between"]].round(3)
               complete_pooling  partial_pooling  no_pooling    between
    Intercept          -276.154         -214.290         NaN -18298.103
    displ                -3.611           -2.391      -2.403     -4.747
    year                  0.156            0.123       0.123      9.154
    """

    def text(self) -> str:
        """The answer in words: four to eight plain sentences, 600 to 3,000 characters."""
        return " ".join(self.sentences())

    def sentences(self) -> tuple[str, ...]:
        """The same, a sentence each."""
        return sentences(self)

    @property
    def plot(self) -> Any:
        """Pictures: ``path(), lines(x), components(rows), shrinkage(), forest()``."""
        from .plot.comparison import ComparisonPlots

        return ComparisonPlots(self)

    def report(self, path: Any) -> Any:
        """Write one self-contained HTML page.

        Parameters
        ----------
        path : str or path-like
        """
        from .report import page

        return page.comparison(self, path)

    def blocks(self) -> tuple[Block, ...]:
        """What is printed below the words: two tables, facts, and why numbers are missing."""
        return (_coefficients(self), _errors(self), _facts(self), *_missing(self))

    def as_text(self) -> str:
        """The comparison as plain text; what ``print`` shows."""
        return text.render(_report(self))

    def as_html(self) -> str:
        """The comparison as one self-contained HTML fragment."""
        return html.render(_report(self))

    def __str__(self) -> str:
        return self.as_text()

    def __repr__(self) -> str:
        return self.as_text()

    def _repr_html_(self) -> str:
        return self.as_html()


def compare(first: Any, second: Any = None, **options: Any) -> Comparison:
    """Compare a linear model with a mixed model of the same fixed part, and say why they differ.

    Parameters
    ----------
    first, second : LinearModel and LinearMixedModel (or their records), or str and table
        Two fits on the same rows, in either order; or a formula with a bar and its data, from which
        both are fitted.
    **options
        With a formula: arguments of `lmm.fit`.

    Returns
    -------
    Comparison

    Raises
    ------
    SpecificationError
        If the two are not one of each, or differ in rows, response, weights, offset or fixed part.
    FormulaError, DataError
        With a formula, as `lmm.fit`.

    Notes
    -----
    Numbers are computed when they are first asked for. One random intercept: O(n r^2) once, and a
    path in O(J r^2) a point, or in the number of distinct group sizes. Any other random part: one
    penalised least squares a point.
    """
    if isinstance(first, str):
        return compare_formula(first, second, **options)
    if isinstance(second, str):
        return compare_formula(second, first, **options)
    if options:
        raise SpecificationError(
            f"compare(): {', '.join(options)} go with a formula; these models are fitted already."
        )
    return Comparison(*pair.pair(first, second))


def compare_formula(formula: str, data: Any, **options: Any) -> Comparison:
    """Fit a formula by `lmer`, its fixed part by `lm` on the same rows, and compare them.

    Parameters
    ----------
    formula : str
        With a bar.
    data : table
    **options
        Arguments of `lmm.fit`: ``reml, weights, offset, contrasts, missing, control``.

    Returns
    -------
    Comparison

    Raises
    ------
    FormulaError, DataError, SpecificationError
        As `lmm.fit`.
    """
    if data is None:
        raise SpecificationError(
            f"compare({formula!r}) needs the data too: compare(formula, data)."
        )
    return Comparison(*pair.fit_pair(formula, data, **options))


def _report(c: Comparison) -> Report:
    """Words first, then the numbers they rest on."""
    words = tuple(Note("info", "answer", sentence) for sentence in c.sentences())
    return Report("Why lm and lmer differ", "comparison", (*words, *c.blocks()))


def _missing(c: Comparison) -> list[Note]:
    """Why numbers are missing from the tables, a reason a note."""
    reasons: dict[str, list[str]] = {}
    for row in c.rows:
        if row.note:
            reasons.setdefault(row.note, []).append(row.name)
    return [
        Note("info", "missing", f"{_several(names)}: {note}.") for note, names in reasons.items()
    ]


def _several(names: list[str]) -> str:
    """A list of names that a reader finishes."""
    if len(names) <= _NAMES:
        return ", ".join(names)
    return f"{', '.join(names[: _NAMES - 1])} and {len(names) - _NAMES + 1} more"


def _coefficients(c: Comparison) -> Table:
    """The three fits of every coefficient, formatted row by row: units differ between rows."""
    fields = [
        ("complete", "lm"),
        ("partial", "lmer"),
        ("within", "no pooling"),
        ("between", "between"),
        ("difference", "lmer - lm"),
    ]
    if not c.is_one_intercept:
        del fields[3]
    shown = [_line(row, [f[0] for f in fields]) for row in c.rows]
    names = tuple(r.name for r in c.rows)
    columns = [Field("term", "", names, names, numeric=False)]
    for i, (key, label) in enumerate(fields):
        values = tuple(float(getattr(r, key)) for r in c.rows)
        columns.append(Field(key, label, values, tuple(line[i] for line in shown)))
    if c.is_one_intercept:
        for key, label in (
            ("weight_between_lm", "% between, lm"),
            ("weight_between", "% between, lmer"),
        ):
            values = tuple(float(getattr(r, key)) for r in c.rows)
            columns.append(Field(key, label, values, tuple(_percent(v) for v in values)))
    legend = "no pooling: rows of one level compared with each other only"
    if c.is_one_intercept:
        legend += (
            "; between: the means of the levels; % between: the share of information from them"
        )
    return Table("coefficients", "Coefficients", tuple(columns), legend=legend)


def _line(row: Row, keys: list[str]) -> tuple[str, ...]:
    """One row; a difference by rounding is 0, and what there is not is a dash."""
    values = {key: float(getattr(row, key)) for key in keys}
    if abs(row.difference) <= _ROUNDING * max(abs(row.complete), abs(row.partial)):
        values["difference"] = 0.0
    return _shown(values.values())


def _shown(values: Iterable[float]) -> tuple[str, ...]:
    return tuple("-" if text == "NaN" else text for text in column(list(values)))


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}"


def _errors(c: Comparison) -> Table:
    """Standard errors, a row a coefficient."""
    frame = c.standard_errors
    frame.insert(len(frame.columns), "within", [r.within_se for r in c.rows])
    labels = {
        "lm": "lm",
        "lm_cr2": "lm, CR2",
        "lm_under_lmer": "lm, if lmer holds",
        "independent": "if independent",
        "lmer": "lmer",
        "within": "no pooling",
    }
    names = tuple(r.name for r in c.rows)
    fields = [Field("term", "", names, names, numeric=False)]
    shown = [_shown(float(v) for v in line) for line in frame.to_numpy()]
    for i, (key, label) in enumerate(labels.items()):
        values = tuple(float(v) for v in frame[key])
        fields.append(Field(key, label, values, tuple(line[i] for line in shown)))
    legend = (
        "lm: as printed; CR2: cluster-robust; if lmer holds: of lm's estimates under lmer's model; "
        "if independent: the same without correlations of rows"
    )
    return Table("standard_errors", "Standard errors", tuple(fields), legend=legend)


def _facts(c: Comparison) -> Facts:
    """The formula, and the numbers that describe the dependence."""
    items = [
        Fact("mixed", "lmer", c.mixed.spec.formula, c.mixed.spec.formula),
        Fact("ols", "lm", c.ols.spec.formula, c.ols.spec.formula),
    ]
    sizes = ", ".join(f"{g.name}, {len(g.levels)}" for g in c.mixed.rows.groups)
    items.append(Fact("rows", "Rows", f"{c.mixed.rows.nobs}; groups: {sizes}", c.mixed.rows.nobs))
    if c.is_one_intercept:
        items.append(Fact("ratio", c.ratio_name, number(c.ratio), c.ratio))
    if math.isfinite(c.icc):
        items += [
            Fact("icc", "Intraclass correlation", number(c.icc), c.icc),
            Fact("design_effect", "Design effect", number(c.design_effect), c.design_effect),
            Fact("effective_n", "Effective rows", number(c.effective_n), c.effective_n),
        ]
    joint_test = c.contextual
    if joint_test.is_tested:
        shown = (
            f"F({joint_test.num_df}, {joint_test.den_df:.1f}) = {number(joint_test.F)}, "
            f"p = {joint_test.p_value:.3g}"
        )
        items.append(Fact("contextual", "Contextual effects (Mundlak)", shown, joint_test.p_value))
    return Facts("facts", tuple(items))

"""An adapter through which Python's marginaleffects accepts our models.

It serves predictions, comparisons and slopes of the population: random effects are zero. Standard
errors are those of `cov_params`; limits and p-values are marginaleffects' own, by Student's t with
`df_resid`: for effects of whole groups that is too many degrees of freedom, and `emmeans`,
`emtrends` and `contrast` have the right ones. marginaleffects 0.6 does not run with polars 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import design, estimates
from .. import table as tables
from .._core import fill
from .._errors import SpecificationError, UnavailableError
from .._model import Model
from ..coding import Categorical

if TYPE_CHECKING:
    from .._types import FloatArray

__all__ = ["adapter"]


def adapter(model: Model) -> Any:
    """Wrap a fitted model for marginaleffects.

    Parameters
    ----------
    model : LinearModel or LinearMixedModel
        With its data: not one that was unpickled.

    Returns
    -------
    marginaleffects model
        Pass it where marginaleffects takes a model: ``avg_slopes(adapter(fit))``.

    Raises
    ------
    SpecificationError
        If `model` is no fitted model of ours.
    UnavailableError
        If marginaleffects or polars is not installed, or the data are gone.
    """
    if not isinstance(model, Model):
        raise SpecificationError(
            f"adapter(model) takes a fit of pp.lm or pp.lmer; found {type(model).__name__}."
        )
    try:
        from marginaleffects.classes.model import ModelAbstract, ModelVault
    except ImportError:
        raise UnavailableError(
            "The adapter needs the package marginaleffects, 0.6 or newer: "
            "pip install marginaleffects"
        ) from None
    return _adapter_class(ModelAbstract)(model, ModelVault(**_vault(model)))


def _vault(model: Model) -> dict[str, Any]:
    record = model._record
    names = [record.names[i] for i in record.kept]
    beta = estimates.coefficients(record)[record.kept]
    frame = _used_frame(record)
    variables = _variables(record)
    return {
        "coef": beta,
        "coefnames": np.array(names),
        # marginaleffects looks for column names in it, and knows no bars.
        "formula": f"{_response(model)} ~ {' + '.join(map(_quoted, variables)) or '1'}",
        "formula_engine": "partialpool",
        "modeldata": frame,
        "package": "partialpool",
        "vcov": estimates.covariance(record),
        "variables_type": {name: _kind(frame[name]) for name in frame.columns},
        "variable_names": variables,
    }


def _response(model: Model) -> str:
    return model.formula.split("~")[0].strip()


def _quoted(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"


def _variables(record: Any) -> list[str]:
    """Data columns of the fixed part."""
    found: dict[str, None] = {}
    for piece in record.schema.pieces:
        for name in _names_of(piece):
            found.setdefault(name)
    return list(found)


def _names_of(text: str) -> tuple[str, ...]:
    from .. import expression

    return tuple(expression.compile(text).names)


def _kind(column: Any) -> str:
    """A column's type in marginaleffects' words."""
    import polars as pl

    if column.dtype == pl.Boolean:
        return "boolean"
    if column.dtype.is_integer():
        return "integer"
    return "numeric" if column.dtype.is_numeric() else "character"


def _used_frame(record: Any) -> Any:
    """The used rows of the data as a polars frame; factors as text."""
    table = record.table
    if table is None or getattr(table, "native", None) is None:
        raise UnavailableError(
            "The adapter needs the data, which a pickled model leaves behind. Fit again."
        )
    try:
        import narwhals as nw
        import polars as pl
    except ImportError:
        raise UnavailableError("The adapter needs polars: pip install polars") from None
    native = table.native
    if isinstance(native, dict):
        frame = pl.DataFrame({k: np.asarray(v) for k, v in native.items()})
    else:
        frame = nw.from_native(native, eager_only=True).to_polars()
    if record.rows.kept is not None:
        frame = frame[record.rows.kept]
    frame = frame.with_columns(pl.col(pl.Categorical, pl.Enum).cast(pl.String))
    levels = _levels(record)
    casts = [
        pl.col(name).cast(pl.Enum(levels[name]) if name in levels else pl.Categorical)
        for name, kind in frame.schema.items()
        if kind == pl.String
    ]
    return frame.with_columns(casts)


def _levels(record: Any) -> dict[str, list[str]]:
    """The levels of the factors of text, in the order of the fit."""
    found = {}
    for text, piece in record.schema.pieces.items():
        names = _names_of(text)
        if isinstance(piece, Categorical) and all(isinstance(v, str) for v in piece.levels):
            found[names[0]] = list(piece.levels)
    return found


def _matrix(record: Any, frame: Any) -> FloatArray:
    """(n, r + 1) the kept columns of X in the rows of a frame, and their offset."""
    rows = design.rebuild(
        record.schema._replace(terms=(), groups=()), tables.of(frame), random=False
    )
    X = fill([rows.fixed[i] for i in record.kept], 0, rows.nobs)
    offset = np.zeros(rows.nobs) if rows.offset is None else rows.offset
    return np.column_stack([X, offset])


def _adapter_class(base: type[Any]) -> type[Any]:
    """The adapter, a subclass of marginaleffects' own base class."""

    class Adapter(base):  # type: ignore[misc]  # a class known at run time only
        """partialpool's models as marginaleffects sees them."""

        def get_exog(self, newdata: Any) -> FloatArray:
            return _matrix(self.model._record, newdata)

        def get_predict(self, params: Any, newdata: Any) -> Any:
            import polars as pl

            if not isinstance(newdata, np.ndarray):
                newdata = self.get_exog(newdata)
            value = newdata[:, :-1] @ np.asarray(params) + newdata[:, -1]
            return pl.DataFrame({"rowid": np.arange(len(value)), "estimate": value})

        def find_variables(self) -> list[str]:
            return _variables(self.model._record)

        def find_predictors(self) -> list[str]:
            return _variables(self.model._record)

        def find_response(self) -> str:
            return _response(self.model)

    return Adapter

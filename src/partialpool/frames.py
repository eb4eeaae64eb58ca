"""Arrays with their labels: the pandas objects that the attributes of a model return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from . import table as tables
from ._core import fill
from ._errors import DataError, UnavailableError
from ._types import FloatArray
from .estimates import sigma
from .ols import OlsRecord

if TYPE_CHECKING:
    import pandas as pd

    from .estimates import Record
    from .lmm import LmmRecord
    from .predict import Prediction

__all__ = [
    "PickledTable",
    "by_row",
    "by_term",
    "check_labels",
    "fixed_matrix",
    "limits",
    "one_line",
    "prediction",
    "restored",
    "square",
    "theta",
    "without_data",
]

_FORMULA = 60  # characters of a formula in a repr


def one_line(record: Record) -> str:
    """A model in one line."""
    text = record.spec.formula
    if len(text) > _FORMULA:
        text = text[: _FORMULA - 3] + "..."
    linear = isinstance(record, OlsRecord)
    name = "LinearModel" if linear else "LinearMixedModel"
    method = "" if linear else ", REML" if record.spec.reml else ", ML"
    return f"{name}({text!r}, {record.rows.nobs} rows{method}, sigma={sigma(record):.4g})"


def by_term(record: Record, values: FloatArray, name: str) -> pd.Series[float]:
    """A value a column of X."""
    import pandas as pd

    return pd.Series(values, index=list(record.names), name=name)


def limits(record: Record, values: tuple[FloatArray, FloatArray]) -> pd.DataFrame:
    """Lower and upper limits, a row a column of X."""
    import pandas as pd

    return pd.DataFrame({"lower": values[0], "upper": values[1]}, index=list(record.names))


def square(record: Record, values: FloatArray) -> pd.DataFrame:
    """A matrix over the columns of X that were kept."""
    import pandas as pd

    names = [record.names[i] for i in record.kept]
    return pd.DataFrame(values, index=names, columns=names)


def theta(record: LmmRecord) -> pd.Series[float]:
    """The relative covariance parameters."""
    import pandas as pd

    return pd.Series(record.solution.theta.copy(), index=list(record.layout.names), name="theta")


def by_row(record: Record, values: FloatArray, name: str) -> pd.Series[float]:
    """A value a used row, indexed like the data."""
    import pandas as pd

    return pd.Series(values, index=used_index(record), name=name)


def check_labels(record: Record, y: Any) -> None:
    """Refuse a Series for the used rows whose labels are not theirs: it would go by position.

    Raises
    ------
    DataError
    """
    if not (hasattr(y, "index") and hasattr(y, "to_numpy")):
        return
    if record.table is None or record.table.index is None:
        return
    labels = used_index(record)
    if len(y.index) == len(labels) and not y.index.equals(labels):
        raise DataError(
            "refit(y): y is a Series whose index differs from that of the used rows. Pass "
            "y.to_numpy() if its values are in the order of the rows."
        )


def fixed_matrix(record: Record) -> pd.DataFrame:
    """(nobs, r) the columns of X that were kept."""
    import pandas as pd

    rows = record.rows
    columns = [rows.fixed[i] for i in record.kept]
    values = fill(columns, 0, rows.nobs)
    return pd.DataFrame(values, index=used_index(record), columns=[c.name for c in columns])


def used_index(record: Record) -> Any:
    """Labels of the used rows in the user's data: its index, or row numbers."""
    import pandas as pd

    kept = record.rows.kept
    index = None if record.table is None else record.table.index
    if index is None:
        return pd.RangeIndex(record.rows.nobs) if kept is None else pd.Index(kept)
    return index if kept is None else index[kept]


def prediction(record: Record, found: Prediction, data: Any) -> Any:
    """An array, or the frame of what was asked for, in the library of the data."""
    if found.se is None:
        return found.fit
    columns = {"fit": found.fit, "se": found.se}
    if found.lower is not None and found.upper is not None:
        columns |= {"lower": found.lower, "upper": found.upper}
    if data is not None:
        return tables.of(data).like(columns, by_row=True)
    if record.table is None or record.table.index is not None or record.rows.kept is not None:
        import pandas as pd

        return pd.DataFrame(columns, index=used_index(record))
    return record.table.like(columns)


class PickledTable:
    """What is kept of the user's table in a pickle: its size, its names, the labels of its rows.

    Without them values a row of an unpickled fit would be numbered from 0, and pandas would match
    them with the wrong rows of the data without a word.
    """

    __slots__ = ("index", "names", "nrows")
    native = None
    moved = False

    def __init__(self, nrows: int, names: tuple[str, ...], index: Any) -> None:
        self.nrows, self.names, self.index = nrows, names, index

    def like(self, columns: Mapping[str, Any], *, by_row: bool = False) -> pd.DataFrame:
        """A pandas frame."""
        import pandas as pd

        return pd.DataFrame(dict(columns), index=self.index if by_row else None)

    def augment(self, columns: Mapping[str, Any], kept: Any = None) -> NoReturn:
        """Not without the data."""
        raise UnavailableError(
            "augment() needs the data, which a pickled model leaves behind. Fit again, or put "
            "fittedvalues and resid() beside the data yourself."
        )


def without_data(record: Record) -> tuple[Record, PickledTable | None]:
    """The record as it is pickled, and the labels of its data."""
    table = record.table
    if table is None or isinstance(table, PickledTable):
        return replace(record, table=None), table
    return replace(record, table=None), PickledTable(table.nrows, table.names, table.index)


def restored(record: Record, labels: Any) -> Record:
    """The record of a pickle with its labels."""
    return replace(record, table=labels)

"""Everything of a mixed model's fit before the first evaluation of its objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import covariance, design, products, qr
from . import formula as formulas
from . import table as tables
from ._errors import FormulaError, SpecificationError
from .control import Control
from .covariance import Layout

if TYPE_CHECKING:
    from .design import Rows, Schema, Spec
    from .products import CrossProducts, GroupColumns
    from .table import Table

__all__ = ["Stage", "checked", "of_rows", "prepare"]

_CONTROL = Control()
# Four dense matrices of this order take 13 GB, and an evaluation minutes.
_MAX_DENSE = 20_000
# The Hessian of so many takes 200 MB and an evaluation minutes.
_MAX_PARAMETERS = 5_000


@dataclass(frozen=True)
class Stage:
    """Everything before the first evaluation."""

    spec: Spec
    schema: Schema
    rows: Rows
    table: Table | None
    products: CrossProducts
    layout: Layout
    names: tuple[str, ...]
    kept: npt.NDArray[np.int64]
    aliases: tuple[tuple[int, tuple[int, ...]], ...]
    groups: list[GroupColumns]
    native_rows: Any


def checked(reml: bool, control: Control | None) -> Control:
    """The options of a fit, refused where they are of the wrong kind."""
    if not isinstance(reml, bool | np.bool_):
        raise SpecificationError(f"reml={reml!r} must be True or False.")
    if control is None:
        return _CONTROL
    if not isinstance(control, Control):
        raise SpecificationError(f"control must be a Control(...), not {type(control).__name__}.")
    return control


def prepare(
    formula: str,
    data: Any,
    reml: bool,
    weights: Any,
    offset: Any,
    contrasts: Mapping[str, Any] | None,
    missing: str,
) -> Stage:
    """Formula and table to cross-products and a layout; arguments as in `lmm.fit`."""
    mf = formulas.parse(formula)
    if not mf.bars:
        raise FormulaError(
            "A mixed model needs a random-effects term such as (1 | g); without one use pp.lm.",
            formula,
        )
    table = tables.of(data)
    built = design.build(
        mf, table, weights=weights, offset=offset, contrasts=contrasts, missing=missing
    )
    spec = design.Spec(
        formula=mf.text,
        kind="lmer",
        reml=bool(reml),
        weights=design.displayed(weights),
        offset=design.displayed(offset),
        contrasts=contrasts,
        missing=missing,
    )
    found = of_rows(built.rows, spec=spec, schema=built.schema, table=table)
    if found.aliases:
        qr.warn_dropped(found.names, found.aliases)
    return found


def of_rows(rows: Rows, *, spec: Spec, schema: Schema, table: Table | None) -> Stage:
    """Rows that are already there to cross-products and a layout; drops columns silently."""
    _check_terms(rows)
    groups = products.random_columns(rows)
    kept = tuple(range(len(rows.fixed)))
    native_rows = products.row_set(rows, kept, groups)
    native = products.first_pass(rows, kept, groups, native_rows)
    aliases: tuple[tuple[int, tuple[int, ...]], ...] = ()
    names = tuple([c.name for c in rows.fixed])
    if len(kept) >= rows.nobs or products.is_ill_conditioned(native):
        found = qr.factor(rows)
        if len(found.kept) >= rows.nobs:
            raise SpecificationError(
                f"The rank of X ({len(found.kept)}) is not below the number of rows "
                f"({rows.nobs}), so nothing is left to estimate variances from. Use fewer terms "
                "or more rows."
            )
        aliases = found.aliases
        if aliases:
            kept = tuple([int(i) for i in found.kept])
            native_rows = products.row_set(rows, kept, groups)
            native = products.first_pass(rows, kept, groups, native_rows)
        native = products.second_pass(rows, kept, groups, native_rows, native)
    if len(rows.groups) > 1:
        _check_size(rows, native.dense_columns())
    a = products.CrossProducts(native, kept)
    layout = covariance.layout([t.spec for t in rows.terms])
    return Stage(
        spec,
        schema,
        rows,
        table,
        a,
        layout,
        names,
        np.array(kept, dtype=np.int64),
        aliases,
        groups,
        native_rows,
    )


def _check_size(rows: Rows, columns: int) -> None:
    if columns <= _MAX_DENSE:
        return
    sizes = ", ".join(f"{g.name} {len(g.levels)}" for g in rows.groups)
    raise SpecificationError(
        f"The crossed grouping factors ({sizes} levels) leave {columns} coupled random effects and "
        f"coefficients, whose {columns} x {columns} matrices would take "
        f"{4 * 8 * columns**2 / 1e9:.0f} GB; the limit is {_MAX_DENSE}. One factor may have any "
        "number of levels, and so may factors nested in each other: drop or coarsen one of the "
        "others."
    )


def _check_repeats(rows: Rows) -> None:
    seen: dict[tuple[int, str], str] = {}
    for term in rows.terms:
        for column in term.columns:
            first = seen.setdefault((term.group, column.name), term.spec.text)
            if first is not term.spec.text:
                raise SpecificationError(
                    f"Terms {first} and {term.spec.text} both have the column {column.name!r} for "
                    f"{rows.groups[term.group].name!r}; the data cannot tell their variances "
                    "apart. Write the second without it, for instance with 0 + ...."
                )


def _check_terms(rows: Rows) -> None:
    if len(rows.terms) > len(rows.groups):
        _check_repeats(rows)
    for term in rows.terms:
        parameters = covariance.size(term.spec)
        if parameters > _MAX_PARAMETERS:
            raise SpecificationError(
                f"Term {term.spec.text} has {len(term.columns)} columns, whose covariance matrix "
                f"has {parameters} parameters; the limit is {_MAX_PARAMETERS}. Use fewer columns, "
                "or a double bar, (a || g)."
            )
        group = rows.groups[term.group]
        effects = len(group.levels) * len(term.columns)
        if effects >= rows.nobs:
            if len(term.columns) == 1:
                raise SpecificationError(
                    f"Grouping factor {group.name!r} has {len(group.levels)} levels for "
                    f"{rows.nobs} rows in term {term.spec.text}; its variance cannot be told from "
                    "the residual variance. Drop the term."
                )
            raise SpecificationError(
                f"Term {term.spec.text} has {len(group.levels)} levels x {len(term.columns)} "
                f"columns = {effects} random effects for {rows.nobs} rows; its variances cannot "
                "be told from the residual variance. Use fewer columns in the term."
            )

"""The arguments of a fit, as `update` changes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import formula as formulas
from ._errors import SpecificationError
from .ols import OlsRecord
from .schema import plan_of

if TYPE_CHECKING:
    from .estimates import Record

__all__ = ["changed", "updated_formula"]


def changed(record: Record, formula: str | None, changes: dict[str, Any]) -> dict[str, Any]:
    """Arguments of the fit of `record`, with `formula` and `changes` put in.

    Raises
    ------
    SpecificationError
        For an unknown option, or where the data or an array of weights are no longer there.
    """
    spec = record.spec
    old: dict[str, Any] = {
        "contrasts": spec.contrasts,
        "missing": spec.missing,
        "weights": spec.weights,
        "offset": spec.offset,
    }
    if not isinstance(record, OlsRecord):
        old |= {"reml": spec.reml, "control": record.control}
    unknown = sorted(set(changes) - set(old) - {"data"})
    if unknown:
        raise SpecificationError(
            f"update() got {', '.join(unknown)}; it takes: data, {', '.join(old)}."
        )
    data = None if record.table is None else record.table.native
    if "data" not in changes and data is None:
        raise SpecificationError(
            "update(): a model that was pickled no longer has its data. Give update(data=...)."
        )
    new = old | {"data": data} | changes
    for name in ("weights", "offset"):
        if name not in changes and name in record.schema.array_options:
            moved = "data" in changes or (record.table is not None and record.table.moved)
            new[name] = _array(record, name, moved)
    new["formula"] = spec.formula if formula is None else updated_formula(spec.formula, formula)
    if "contrasts" not in changes:
        new["contrasts"] = _still_used(spec.contrasts, new["formula"])
    return new


def updated_formula(old: str, new: str) -> str:
    """The formula `new`, its dots replaced by the sides of `old`.

    Examples
    --------
    >>> updated_formula("hwy ~ displ + (1 | class)", ". ~ . + year")
    'hwy ~ displ + (1 | class) + year'
    >>> updated_formula("hwy ~ displ + year", "log(.) ~ .^2")
    'log(hwy) ~ (displ + year)^2'
    """
    if not isinstance(new, str) or "~" not in new:
        formulas.parse(new)  # says so, with a caret
    sides = [side.strip() for side in old.split("~", 1)]
    left, right = (side.strip() for side in new.split("~", 1))
    return f"{_filled(left, sides[0])} ~ {_filled(right, sides[1])}"


_DOT = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|(?<![\w.])\.(?![\w.])")


def _filled(side: str, old: str) -> str:
    """One side with its dots replaced; in parentheses unless the dot is a summand of its own."""

    def put(match: re.Match[str]) -> str:
        if match[0] != ".":
            return match[0]
        before, after = side[: match.start()].rstrip(), side[match.end() :].lstrip()
        alone = before[-1:] in ("", "+") and after[:1] in ("", "+", "-")
        wrapped = before.endswith("(") and after.startswith(")")
        return old if alone or wrapped or re.fullmatch(r"[\w.]+", old) else f"({old})"

    return _DOT.sub(put, side)


def _still_used(contrasts: Mapping[str, Any] | None, formula: str) -> Mapping[str, Any] | None:
    """The contrasts of factors that the new formula has."""
    mf = formulas.parse(formula)
    if not contrasts or mf.dot:
        return contrasts
    used = {name for piece in plan_of(mf).pieces.values() for name in piece.names}
    return {name: coding for name, coding in contrasts.items() if name in used}


def _array(record: Record, name: str, moved: bool) -> Any:
    """The array that the fit was given, where the fit still knows all of it."""
    if moved or record.rows.kept is not None:
        raise SpecificationError(
            f"update(): this fit took {name} from an array, of which it has the used rows only, in "
            f"the order that they had. Give update({name}=...) again."
        )
    if name == "offset" and formulas.parse(record.spec.formula).offsets:
        raise SpecificationError(
            "update(): this fit took an offset from an array, of which it has the sum with the "
            "offset() of the formula only. Give update(offset=...) again."
        )
    return np.array(getattr(record.rows, name))

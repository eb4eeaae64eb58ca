"""A report as strict JSON.

Keys of the document: ``model`` (``"lm"`` or ``"lmer"``), ``title``; one key a list of facts
(``about``, ``fit``, ``size``, ``optimum``: objects) or a table (``fixed_effects``,
``random_effects``, ``correlation``: lists of objects, one a row; ``criteria``, ``residuals``: one
object); and ``notes`` (objects with ``kind``, ``topic``, ``text``). Numbers are exact; what is not
a finite number is null.
"""

from __future__ import annotations

import json
import math
import numbers
from typing import Any

from .structure import Facts, Note, Report, Table

__all__ = ["document", "plain", "render"]


def document(report: Report) -> dict[str, Any]:
    """The report as nested dicts and lists of plain Python values, without NaN."""
    out: dict[str, Any] = {"model": report.model, "title": report.title}
    for block in report.blocks:
        if isinstance(block, Facts):
            out.setdefault(block.key, {}).update({f.key: plain(f.value) for f in block.items})
        elif isinstance(block, Table):
            out[block.key] = _rows(block)
    out["notes"] = [
        {"kind": b.kind, "topic": b.topic, "text": b.text}
        for b in report.blocks
        if isinstance(b, Note)
    ]
    return out


def render(report: Report, *, indent: int | None = 2) -> str:
    """The report as JSON text, readable by any strict parser."""
    return json.dumps(document(report), indent=indent, allow_nan=False, ensure_ascii=False)


def plain(value: Any) -> Any:
    """A value that JSON knows: NumPy scalars become Python's, NaN and infinities None."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "item"):
        return plain(value.item())
    return str(value)


def _rows(table: Table) -> Any:
    keys = [f.key for f in table.fields]
    rows = [
        {k: plain(v) for k, v in zip(keys, row, strict=True)}
        for row in zip(*(f.values for f in table.fields), strict=True)
    ]
    return rows[0] if table.single and rows else rows

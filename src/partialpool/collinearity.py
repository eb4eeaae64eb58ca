"""How much each term's standard errors owe to the other terms: generalised variance inflation.

With C the covariance of the coefficients without the intercept, R = corr(C) and K = R^-1,

    GVIF_T = det R_TT det K_TT,

which for one coefficient is the variance inflation factor; to the power 1 / df it is on the scale
of the latter. Leaving other terms out of the model deletes their rows and columns of K.

Source: Fox & Monette (1992); the identity det R / det R_(other) = 1 / det K_TT.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ._types import FloatArray
from .estimates import covariance
from .schema import plan_of

if TYPE_CHECKING:
    from .estimates import Record

__all__ = ["Inflation", "inflation"]

_PARTNERS = 3


class Inflation(NamedTuple):
    """Variance inflation of a term.

    Attributes
    ----------
    term : str
        As in the formula: ``"displ:drv"``.
    df : int
        Its coefficients.
    gvif : float
        Generalised variance inflation factor.
    vif : float
        gvif^(1 / df), on the scale of an ordinary VIF.
    by_construction : bool
        True if `vif` is below the limit once terms that share a variable with this one are left
        out: powers, and main effects beside their interaction.
    partners : tuple of (str, float)
        Terms that must be left out for `vif` to fall below the limit, the one that matters most
        first, and the `vif` then; at most three.
    """

    term: str
    df: int
    gvif: float
    vif: float
    by_construction: bool
    partners: tuple[tuple[str, float], ...]


class _Term(NamedTuple):
    name: str
    variables: frozenset[str]
    at: list[int]  # among the coefficients without the intercept


def inflation(record: Record, *, limit: float = 10.0) -> tuple[Inflation, ...]:
    """Variance inflation of each term of the fixed part, the intercept's left out.

    Parameters
    ----------
    record : OlsRecord or LmmRecord
    limit : float
        Terms with a larger `vif` get their `partners`.

    Returns
    -------
    tuple of Inflation
        In the order of the formula; () for fewer than two terms. In a model without an intercept,
        and without dummies that add up to one, the factors are about zero, not about the means.

    Notes
    -----
    Of mixed models the covariance is that of the fixed effects, sigma^2 (X'V^-1 X)^-1.
    """
    C, terms = _without_intercept(record)
    if len(terms) < 2 or not np.isfinite(C).all():
        return ()
    sd = np.sqrt(np.diag(C))
    if not (sd > 0).all():
        return ()
    K = np.linalg.inv(C / np.outer(sd, sd))
    out = []
    for i, term in enumerate(terms):
        everything = list(range(len(terms)))
        gvif = _gvif(K, terms, i, everything)
        vif = gvif ** (1 / len(term.at))
        partners: tuple[tuple[str, float], ...] = ()
        related = [j for j in everything if j != i and terms[j].variables & term.variables]
        by_construction = False
        if vif > limit:
            left = [j for j in everything if j not in related]
            by_construction = bool(related) and _vif(K, terms, i, left) <= limit
            partners = _partners(K, terms, i, limit)
        out.append(Inflation(term.name, len(term.at), gvif, vif, by_construction, partners))
    return tuple(out)


def _gvif(K: FloatArray, terms: list[_Term], i: int, among: list[int]) -> float:
    """Of term i in the model with the terms `among`."""
    columns = [c for j in among for c in terms[j].at]
    own = [columns.index(c) for c in terms[i].at]
    part = K[np.ix_(columns, columns)]
    S = np.asarray(np.linalg.inv(part), dtype=np.float64)
    scale = np.prod(np.diag(part)[own]) * np.prod(np.diag(S)[own])
    first = part[np.ix_(own, own)] / _outer(part, own)
    second = S[np.ix_(own, own)] / _outer(S, own)
    return float(scale * np.linalg.det(first) * np.linalg.det(second))


def _outer(A: FloatArray, own: list[int]) -> FloatArray:
    root = np.sqrt(np.diag(A)[own])
    return np.outer(root, root)


def _vif(K: FloatArray, terms: list[_Term], i: int, among: list[int]) -> float:
    return float(_gvif(K, terms, i, among) ** (1 / len(terms[i].at)))


def _partners(
    K: FloatArray, terms: list[_Term], i: int, limit: float
) -> tuple[tuple[str, float], ...]:
    """Greedily, the terms without which the inflation is least."""
    among = list(range(len(terms)))
    found: list[tuple[str, float]] = []
    while len(found) < _PARTNERS and len(among) > 1:
        options = [(_vif(K, terms, i, [k for k in among if k != j]), j) for j in among if j != i]
        least, j = min(options)
        among.remove(j)
        found.append((terms[j].name, least))
        if least <= limit:
            break
    return tuple(found)


def _without_intercept(record: Record) -> tuple[FloatArray, list[_Term]]:
    """Covariance of the coefficients about the intercept, and the terms that they make up.

    Where dummies add up to one in place of an intercept, their differences from the first are the
    coefficients that they would have beside one.
    """
    C = covariance(record)
    plan = plan_of(record.schema.formula)
    kept = record.kept.tolist()
    spanning = set(record.rows.constant)
    dummies = spanning if len(spanning) > 1 and spanning <= set(kept) else set()
    L: list[FloatArray] = []
    terms: dict[tuple[str, ...], _Term] = {}
    base = next((i for i, column in enumerate(kept) if column in dummies), -1)
    for i, column in enumerate(kept):
        parts = record.schema.fixed[column].parts
        if not parts or i == base:
            continue
        row = np.zeros(len(kept))
        row[i] = 1.0
        if column in dummies:
            row[base] = -1.0
        keys = tuple(dict.fromkeys(part.key for part in parts))
        if keys not in terms:
            names = frozenset(n for key in keys for n in plan.pieces[key].names)
            terms[keys] = _Term(":".join(plan.pieces[key].text for key in keys), names, [])
        terms[keys].at.append(len(L))
        L.append(row)
    contrasts = np.array(L).reshape(len(L), len(kept))
    return np.asarray(contrasts @ C @ contrasts.T), list(terms.values())

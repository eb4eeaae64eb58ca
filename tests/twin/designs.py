"""Random small mixed-model designs, each as users would write it and as dense matrices.

A design is made here column by column, independently of the library's formula and design
layers, and carries the formula that must give the same columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from tests.twin.dense import Dense, Term

COUNT = 224  # seeds of the regular set, 14 a structure
SCALED = 24  # seeds of the set with tiny and huge columns


@dataclass
class Design:
    """One data set with a model for it.

    Attributes
    ----------
    options : keyword arguments of ``pp.objective``: reml, weights, offset
    names : names of the columns of X
    terms : (name of the group, names of the columns, dense Term), most levels first
    thetas : the values of theta to compare at; the last is singular
    """

    seed: int
    structure: str
    frame: pd.DataFrame
    formula: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    X: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    names: list[str] = field(default_factory=list)
    weights: np.ndarray | None = None
    offset: np.ndarray | None = None
    terms: list[tuple[str, tuple[str, ...], Term]] = field(default_factory=list)
    thetas: list[np.ndarray] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.seed}-{self.structure}"

    @property
    def theta_names(self) -> tuple[str, ...]:
        out = []
        for group, columns, term in self.terms:
            for b, right in enumerate(columns):
                for a in range(b, len(columns)):
                    if a == b:
                        out.append(f"{group}.{right}")
                    elif not term.diagonal:
                        out.append(f"{group}.{columns[a]}.{right}")
        return tuple(out)

    def dense(self) -> Dense:
        return Dense(
            self.frame["y"].to_numpy(),
            self.X,
            [term for _, _, term in self.terms],
            weights=self.weights,
            offset=self.offset,
            reml=self.options["reml"],
        )


class Maker:
    """The columns and grouping factors of one design under construction."""

    def __init__(self, seed: int, structure: str) -> None:
        self.rng = np.random.default_rng([seed, 20])
        self.structure = structure
        self.columns: dict[str, Any] = {}
        self.groups: dict[str, np.ndarray] = {}
        self.bars: list[str] = []
        self.terms: list[tuple[str, tuple[str, ...], Term]] = []

    def group(self, name: str, codes: np.ndarray) -> None:
        """Store codes under labels of a random kind whose level order is that of the codes."""
        codes = np.unique(codes, return_inverse=True)[1].ravel()
        self.groups[name] = codes
        labels = np.array([f"{name}{c:02d}" for c in range(codes.max() + 1)])
        kind = self.rng.integers(4)
        if kind == 0:
            self.columns[name] = labels[codes]
        elif kind == 1:
            self.columns[name] = 3 * codes - 5  # integers sort as numbers
        elif kind == 2:  # a category order that is not the sorted one, and an unused category
            labels = labels[::-1]
            self.columns[name] = pd.Categorical.from_codes(codes, [*labels, "unused"])
        else:
            self.columns[name] = pd.Categorical.from_codes(codes, labels, ordered=True)

    def nested(self, parents: np.ndarray, children: np.ndarray) -> np.ndarray:
        return np.unique(parents * (children.max() + 1) + children, return_inverse=True)[1].ravel()

    def number(self, name: str, n: int) -> np.ndarray:
        if name not in self.columns:
            self.columns[name] = np.round(self.rng.normal(size=n), 3)
        return self.columns[name]

    def factor(self, name: str, n: int, levels: int) -> np.ndarray:
        """(n, levels) indicators."""
        codes = self.rng.permutation(np.arange(n) % levels)
        self.columns[name] = np.array([f"{name}{'pqrst'[c]}" for c in codes])
        return np.eye(levels)[codes]

    def bar(self, left: str, group: str, pieces: dict[str, np.ndarray], codes=None) -> None:
        """A term; ``||`` and nesting are written by the caller, who passes the codes."""
        diagonal = left.endswith("|")
        codes = self.groups[group] if codes is None else codes
        term = Term(np.column_stack(list(pieces.values())), codes, diagonal)
        self.terms.append((group, tuple(pieces), term))


def _slopes(make: Maker, n: int, names: list[str], intercept: bool = True):
    """(left side of a bar, its columns)."""
    pieces = {"Intercept": np.ones(n)} if intercept else {}
    pieces |= {name: make.number(name, n) for name in names}
    left = " + ".join(([] if intercept and names else ["1" if intercept else "0"]) + names)
    return left, pieces


def _one_factor(make: Maker) -> int:
    rng, kind = make.rng, make.structure
    J = int(rng.integers(5, 9))
    if kind == "balanced":  # at least three rows a group: J + p < n, or ML has no minimum
        codes = np.repeat(np.arange(J), int(rng.integers(3, 7)))
    elif kind == "short groups":  # fewer rows than columns in most groups: legal
        J = 14
        codes = np.concatenate([np.repeat(np.arange(3), 8), np.arange(J), rng.integers(0, J, 6)])
    else:
        codes = np.concatenate([np.arange(J), rng.integers(0, J, int(rng.integers(25, 45)))])
    n = len(codes)
    if kind != "balanced" or rng.random() < 0.5:
        codes = rng.permutation(codes)
    make.group("g", codes)
    k = int(rng.integers(2, 5))
    xs = ["x1", "x2", "x3"][: k - 1]
    if kind in ("balanced", "unbalanced"):
        left, pieces = _slopes(make, n, [])
    elif kind == "short groups":
        left, pieces = _slopes(make, n, xs[: 2 if n > 3 * J else 1])
    elif kind == "no intercept":
        left, pieces = _slopes(make, n, [*xs, "x3"] if k < 4 else xs, intercept=False)
    elif kind == "factor slopes":
        levels, full = int(rng.integers(2, 4)), rng.random() < 0.5
        D = make.factor("h", n, levels)
        names = [f"h[{'' if full else 'T.'}h{c}]" for c in "pqrst"[:levels]]
        pieces = dict(zip(names, D.T, strict=True))
        if not full:
            pieces = {"Intercept": np.ones(n)} | {m: pieces[m] for m in names[1:]}
        left = "0 + h" if full else "h"
    elif kind == "two terms on one factor":
        left, pieces = _slopes(make, n, ["x1"] if k > 2 else [])
        make.bars.append(f"({left} | g)")
        make.bar(left, "g", pieces)
        left, pieces = _slopes(make, n, ["x2", "x3"][: k - 2 or 1], intercept=False)
    else:  # slopes, diagonal
        left, pieces = _slopes(make, n, xs)
    if kind == "diagonal":
        left += " |"
    make.bars.append(f"({left} | g)".replace("| |", "||"))
    make.bar(left, "g", pieces)
    return n


def _nested(make: Maker) -> int:
    rng, kind = make.rng, make.structure
    a = np.repeat(np.arange(int(rng.integers(4, 7))), 3)
    b = np.tile(np.arange(3), len(a) // 3)  # labels used again in every a
    keep = np.concatenate([np.arange(len(a)), rng.integers(0, len(a), len(a))])
    if kind == "nested 3":
        keep = np.concatenate([keep, rng.integers(0, len(a), 20)])
    a, b = a[keep], b[keep]
    n = len(a)
    make.group("a", a)
    if kind == "implicitly nested":  # labels of b unique over a, written as if crossed
        make.group("b", make.nested(a, b))
        left, pieces = _slopes(make, n, ["x1"])
        make.bars += ["(1 | b)", f"({left} | a)"]
        make.bar("1", "b", {"Intercept": np.ones(n)})
        make.bar(left, "a", pieces)
        return n
    make.group("b", b)
    ab = make.nested(make.groups["a"], make.groups["b"])
    if kind == "nested 3":
        make.group("c", rng.integers(0, 2, n))
        abc = make.nested(ab, make.groups["c"])
        make.bars.append("(1 | a/b/c)")
        for group, codes in (("c:b:a", abc), ("b:a", ab), ("a", make.groups["a"])):
            make.bar("1", group, {"Intercept": np.ones(n)}, codes)
        reorder = {"c:b:a": "cba", "b:a": "ba"}
    elif kind == "nested":
        left, pieces = _slopes(make, n, ["x1"] if len(np.unique(ab)) * 2 < n else [])
        make.bars.append(f"({left} | a/b)")
        for group, codes in (("b:a", ab), ("a", make.groups["a"])):
            make.bar(left, group, pieces, codes)
        reorder = {"b:a": "ba"}
    else:  # nested + crossed
        make.group("h", rng.permutation(np.arange(n) % 5))
        make.bars += ["(1 | a/b)", "(1 | h)"]
        for group, codes in (("b:a", ab), ("a", make.groups["a"]), ("h", make.groups["h"])):
            make.bar("1", group, {"Intercept": np.ones(n)}, codes)
        reorder = {"b:a": "ba"}
    # levels of an interaction run as in its name: the factor named first varies slowest
    for i, (group, columns, term) in enumerate(make.terms):
        if group in reorder:
            codes = make.groups[reorder[group][0]]
            for name in reorder[group][1:]:
                codes = make.nested(codes, make.groups[name])
            make.terms[i] = (group, columns, term._replace(codes=codes))
    return n


def _crossed(make: Maker) -> int:
    rng, kind = make.rng, make.structure
    J1, J2 = int(rng.integers(5, 9)), int(rng.integers(4, 7))
    g, h = (v.ravel() for v in np.meshgrid(np.arange(J1), np.arange(J2), indexing="ij"))
    if kind == "partially crossed":
        keep = np.concatenate([rng.permutation(len(g))[: len(g) // 2], rng.integers(0, len(g), 25)])
        g, h = g[keep], h[keep]
    n = len(g)
    make.group("g", g)
    make.group("h", h)
    short = len(np.unique(g)) * 3 < n and len(np.unique(h)) * 3 < n
    if kind == "crossed 3":
        make.group("m", rng.permutation(np.arange(n) % 3))
        sides = [("g", []), ("h", []), ("m", ["x1"] if rng.random() < 0.5 else [])]
    elif kind == "crossed":
        sides = [("g", []), ("h", [])]
    else:
        sides = [("g", ["x1"]), ("h", ["x1", "x2"] if short else ["x2"])]
    for group, xs in sides:
        left, pieces = _slopes(make, n, xs)
        if kind == "partially crossed" and rng.random() < 0.3:
            left += " |"
        make.bars.append(f"({left} | {group})".replace("| |", "||"))
        make.bar(left, group, pieces)
    return n


STRUCTURES = {
    "balanced": _one_factor,
    "unbalanced": _one_factor,
    "slopes": _one_factor,
    "diagonal": _one_factor,
    "no intercept": _one_factor,
    "factor slopes": _one_factor,
    "two terms on one factor": _one_factor,
    "short groups": _one_factor,
    "nested": _nested,
    "nested 3": _nested,
    "implicitly nested": _nested,
    "nested + crossed": _nested,
    "crossed": _crossed,
    "crossed 3": _crossed,
    "crossed with slopes": _crossed,
    "partially crossed": _crossed,
}


def _fixed(make: Maker, n: int) -> tuple[list[str], dict[str, np.ndarray]]:
    """Between one and six fixed columns, by degree and then by first appearance."""
    rng = make.rng
    p = int(rng.integers(1, 7))
    pieces: dict[str, np.ndarray] = {}
    if p > 2 and rng.random() < 0.25:  # cell means: no intercept, every level has a column
        D = make.factor("f", n, 3)
        texts = ["0", "f"]
        pieces = {f"f[f{c}]": D[:, i] for i, c in enumerate("pqr")}
    elif rng.random() < 0.1:
        texts = ["0", "x1"]
        pieces = {"x1": make.number("x1", n)}
    else:
        texts, pieces = ["1"], {"Intercept": np.ones(n)}
    mains = [x for x in ("x1", "x2", "x3") if x not in pieces]
    while len(pieces) < p and mains:
        name = mains.pop(0)
        texts.append(name)
        pieces[name] = make.number(name, n)
    if len(pieces) < p and "f" not in make.columns:
        full = "Intercept" not in pieces  # the first factor then spans it
        levels = max(2, min(3, p - len(pieces) + (not full)))
        D = make.factor("f", n, levels)
        texts.append("f")
        base = "" if full else "T."
        pieces |= {f"f[{base}f{'pqr'[i]}]": D[:, i] for i in range(not full, levels)}
    if len(pieces) < p and {"x1", "x2"} <= set(pieces):
        texts.append("x1:x2")
        pieces["x1:x2"] = pieces["x1"] * pieces["x2"]
    return texts, pieces


def thetas(design: Design, rng: np.random.Generator) -> list[np.ndarray]:
    """Three draws: order one, several orders of magnitude, singular."""
    m = len(design.theta_names)
    regular = rng.normal(size=m)
    wide = rng.normal(size=m) * np.exp(1.5 * rng.normal(size=m))
    singular = rng.normal(size=m)
    if rng.random() < 0.2:
        return [regular, wide, np.zeros(m)]
    start = 0
    for _, columns, term in design.terms:
        k = len(columns)
        places = [(a, b) for b in range(k) for a in range(b, k) if a == b or not term.diagonal]
        dead = rng.random(k) < 0.5  # whole columns of lambda, or only their diagonal element
        whole = rng.random(k) < 0.5
        for i, (a, b) in enumerate(places):
            if dead[b] and (a == b or whole[b]):
                singular[start + i] = 0.0
        start += len(places)
    if singular.all():
        singular[0] = 0.0
    return [regular, wide, singular]


def make_design(seed: int) -> Design:
    structure = list(STRUCTURES)[seed % len(STRUCTURES)]
    make = Maker(seed, structure)
    rng = make.rng
    n = STRUCTURES[structure](make)
    texts, pieces = _fixed(make, n)
    design = Design(seed, structure, pd.DataFrame(), names=list(pieces))
    design.X = np.column_stack(list(pieces.values()))
    levels = [int(term.codes.max()) + 1 for _, _, term in make.terms]
    design.terms = [make.terms[i] for i in np.argsort([-J for J in levels], kind="stable")]
    reml = bool(rng.random() < 0.5)
    design.options = {"reml": reml, "weights": None, "offset": None}
    if rng.random() < 0.4:
        design.weights = np.round(rng.uniform(0.2, 4.0, n), 3)
        make.columns["w"] = design.weights
        design.options["weights"] = "w" if rng.random() < 0.5 else design.weights
    if rng.random() < 0.4:
        design.offset = np.round(rng.normal(scale=3, size=n), 3)
        make.columns["o"] = design.offset
        way = rng.integers(3)
        if way == 2:
            texts.append("offset(o)")
        else:
            design.options["offset"] = "o" if way else design.offset
    y = design.X @ rng.normal(size=len(pieces)) + rng.normal(size=n)
    for _, _, term in design.terms:
        b = rng.normal(size=(term.codes.max() + 1, term.columns.shape[1]))
        y = y + np.sum(term.columns * b[term.codes], axis=1)
    make.columns["y"] = y if design.offset is None else y + design.offset
    design.frame = pd.DataFrame(make.columns)
    design.formula = "y ~ " + " + ".join(texts + make.bars)
    design.thetas = thetas(design, rng)
    return design


def make_scaled(seed: int) -> Design:
    """A design of the regular set with its columns, response and weights far from size one."""
    design = make_design(seed * 7 + 2)
    rng = np.random.default_rng([seed, 21])
    scale = {x: 10.0 ** rng.integers(-6, 7) for x in ("x1", "x2", "x3")}
    factor = {"Intercept": 1.0}
    for x, s in scale.items():
        factor[x] = s
        if x in design.frame:
            design.frame[x] *= s

    def size(name: str) -> float:
        return float(np.prod([factor.get(part, 1.0) for part in name.split(":")]))

    design.X = design.X * [size(name) for name in design.names]
    y_scale = 10.0 ** rng.integers(-6, 7)
    w_scale = 10.0 ** rng.integers(-4, 5)
    design.frame["y"] *= y_scale
    if design.offset is not None:
        design.offset = design.offset * y_scale
        design.frame["o"] *= y_scale
        if isinstance(design.options["offset"], np.ndarray):
            design.options["offset"] = design.offset
    if design.weights is not None:
        design.weights = design.weights * w_scale
        design.frame["w"] *= w_scale
        if isinstance(design.options["weights"], np.ndarray):
            design.options["weights"] = design.weights
    rows = []
    for i, (group, columns, term) in enumerate(design.terms):
        s = [size(name) for name in columns]
        design.terms[i] = (group, columns, term._replace(columns=term.columns * s))
        k = len(columns)
        rows += [s[a] for b in range(k) for a in range(b, k) if a == b or not term.diagonal]
    root = np.sqrt(w_scale) if design.weights is not None else 1.0
    design.thetas = [theta / np.array(rows) / root for theta in design.thetas]
    return design

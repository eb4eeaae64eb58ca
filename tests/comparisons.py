"""Data sets on which `lm` and `lmer` differ in different ways, one a situation."""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

import partialpool as pp


class Situation(NamedTuple):
    formula: str
    data: pd.DataFrame
    options: MappingProxyType = MappingProxyType({})


def simulated(groups, size, *, seed=1, slope=1.0, contextual=0.0, spread=1.0, mean_spread=1.0):
    """y = slope x + contextual mean(x) + effect + noise."""
    rng = np.random.default_rng(seed)
    sizes = np.full(groups, size) if np.isscalar(size) else np.asarray(size)
    g = np.repeat(np.arange(groups), sizes)
    center = mean_spread * rng.normal(size=groups)
    x = center[g] + rng.normal(size=len(g))
    effect = spread * rng.normal(size=groups)
    y = slope * x + contextual * center[g] + effect[g] + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "site": g})


def related():
    """Group effects that follow the covariate's group mean."""
    return Situation("y ~ x + (1 | site)", simulated(60, 8, contextual=2.0, seed=3))


def unrelated():
    """Many groups, effects unrelated to the covariate."""
    return Situation("y ~ x + (1 | site)", simulated(400, 10, seed=4, slope=3.0))


def constant_within():
    """A covariate of the group, and groups of very different sizes."""
    rng = np.random.default_rng(5)
    sizes = rng.integers(2, 40, 30)
    d = simulated(30, sizes, seed=5)
    z = rng.normal(size=30)
    return Situation("y ~ z + (1 | site)", d.assign(z=z[d.site], y=d.y + 2 * z[d.site]))


def zero():
    """Groups that are more alike than chance: the variance is estimated as zero."""
    rng = np.random.default_rng(6)
    g = np.repeat(np.arange(8), 6)
    noise = rng.normal(size=48)
    noise -= pd.Series(noise).groupby(g).transform("mean").to_numpy()
    x = rng.normal(size=48)
    return Situation("y ~ x + (1 | site)", pd.DataFrame({"y": 2 * x + noise, "x": x, "site": g}))


def balanced():
    """Every level has the same values of the covariate."""
    rng = np.random.default_rng(7)
    g = np.repeat(np.arange(12), 5)
    x = np.tile(np.arange(5.0), 12)
    y = 3 + 0.5 * x + rng.normal(size=12)[g] * 2 + rng.normal(size=60)
    return Situation("y ~ x + (1 | site)", pd.DataFrame({"y": y, "x": x, "site": g}))


def few():
    """Three levels."""
    return Situation("y ~ x + w + (1 | site)", _with_w(simulated(3, 20, seed=8, spread=3.0)))


def _with_w(d):
    rng = np.random.default_rng(9)
    return d.assign(w=rng.normal(size=len(d)) + d.site)


def mpg(random="(1 | class)", fixed="displ + year"):
    return Situation(f"hwy ~ {fixed} + {random}", pp.datasets.load("mpg"))


def sleepstudy(random="(Days | Subject)", drop=False):
    d = pp.datasets.load("sleepstudy")
    if drop:
        keep = np.random.default_rng(10).random(len(d)) < 0.6
        d = d[keep]
    return Situation(f"Reaction ~ Days + {random}", d)


def intercept_only():
    d = pp.datasets.load("Dyestuff")
    keep = np.arange(len(d)) % 7 != 0
    return Situation("Yield ~ 1 + (1 | Batch)", d[keep])


def exact():
    d = simulated(6, 5, seed=11)
    return Situation("y ~ x + (1 | site)", d.assign(y=2 * d.x + 1))


def partly_zero():
    """Slopes that do not vary beside intercepts that do."""
    d = simulated(12, 9, seed=12)
    return Situation("y ~ x + (1 | site) + (0 + x | site)", d)


def small():
    """So many rows that a contextual effect of no importance is found."""
    d = simulated(1500, 12, seed=13, slope=5.0, contextual=0.12, spread=0.3)
    return Situation("y ~ x + (1 | site)", d)


SITUATIONS = {
    "mpg": mpg(),
    "related": related(),
    "unrelated": unrelated(),
    "constant within": constant_within(),
    "zero": zero(),
    "balanced": balanced(),
    "few levels": few(),
    "small": small(),
    "partly zero": partly_zero(),
    "crossed": mpg("(1 | class) + (1 | manufacturer)"),
    "nested": Situation("strength ~ 1 + (1 | batch/cask)", pp.datasets.load("Pastes")),
    "slopes, balanced": sleepstudy(),
    "slopes, unbalanced": sleepstudy(drop=True),
    "intercept only": intercept_only(),
    "weights": Situation("hwy ~ displ + (1 | class)", pp.datasets.load("mpg"), {"weights": "cty"}),
    "ml": Situation("hwy ~ displ + drv + (1 | class)", pp.datasets.load("mpg"), {"reml": False}),
    "exact": exact(),
}

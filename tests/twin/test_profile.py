"""Profiles against a dense likelihood that knows nothing of them: the n x n covariance of y.

Two claims a point: the parameters that a profile reports there have the deviance that it reports,
and no general optimiser, started there, at the estimates and beside them, goes lower while it keeps
the parameter. The designs are those of the native tests, five to fourteen groups: deviances with
several minima, on the boundary and off it.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import partialpool as pp
from partialpool import lmm
from partialpool.inference import profile
from partialpool.inference._curves import BOUND, COEFFICIENT, CORRELATION, NONE, REACHED, SD, SIGMA
from partialpool.inference._traced import targets
from tests.twin.designs import make_design, make_scaled

SAME = 1e-9
"""Relative, of two deviances at the same parameters: the worst of all designs is 7e-10, where
reported standard deviations are differences of large numbers."""

LOWER = 1e-5
"""Deviance by which a general optimiser may not be lower: 2.5e-6 of zeta at the limits."""

SEEDS = [*range(32), 46, 58, 62]  # the last three: minima on the boundary and off it
STRUCTURES = range(16)  # one design each

pytestmark = pytest.mark.filterwarnings("ignore::partialpool.SingularFitWarning")


class DenseML:
    """ML deviance of a design from covariances of y, beta by generalised least squares."""

    def __init__(self, design):
        self.y = design.frame["y"].to_numpy(float)
        self.y = self.y - (0 if design.offset is None else design.offset)
        self.X = design.X
        self.w = np.ones(len(self.y)) if design.weights is None else design.weights
        self.terms = [term for _, _, term in design.terms]
        self.sizes = [(term.columns.shape[1], term.diagonal) for term in self.terms]
        self.Z = []
        for term in self.terms:
            block = np.zeros((len(self.y), term.codes.max() + 1, term.columns.shape[1]))
            block[np.arange(len(self.y)), term.codes] = term.columns
            self.Z.append(block)

    def deviance(self, sigma, covariances, *, beta=None, without=None):
        """At a beta, or least over it; `without` = (column, value) holds one coefficient."""
        V = np.diag(sigma**2 / self.w)
        for Z, S in zip(self.Z, covariances, strict=True):
            V = V + np.einsum("nja,ab,mjb->nm", Z, S, Z, optimize=True)
        L = np.linalg.cholesky(V)
        y, X = self.y, self.X
        if without is not None:
            y, X = y - X[:, without[0]] * without[1], np.delete(X, without[0], axis=1)
        y, X = np.linalg.solve(L, y), np.linalg.solve(L, X)
        if beta is None:
            beta = np.linalg.lstsq(X, y, rcond=None)[0]
        r = y - X @ beta
        return 2 * np.log(np.diag(L)).sum() + r @ r + len(r) * np.log(2 * np.pi)

    def split(self, row):
        """beta, sigma and covariances from a row of parameters."""
        p = self.X.shape[1]
        at, covariances = p + 1, []
        for k, diagonal in self.sizes:
            sd, at = row[at : at + k], at + k
            R = np.eye(k)
            if not diagonal:
                for c in range(k):
                    for r in range(c + 1, k):
                        R[r, c] = R[c, r] = np.nan_to_num(row[at])
                        at += 1
            covariances.append(R * np.outer(sd, sd))
        return row[:p], row[p], covariances

    def pack(self, row):
        """log sigma and lower factors."""
        _, sigma, covariances = self.split(row)
        out = [np.log(sigma)]
        for (k, diagonal), S in zip(self.sizes, covariances, strict=True):
            w, U = np.linalg.eigh(S)
            L = np.linalg.qr((U * np.sqrt(np.maximum(w, 0))).T)[1].T
            out += [L[r, c] for c in range(k) for r in range(c, k) if r == c or not diagonal]
        return np.array(out)

    def unpack(self, v):
        at, covariances = 1, []
        for k, diagonal in self.sizes:
            L = np.zeros((k, k))
            for c in range(k):
                for r in range(c, k):
                    if r == c or not diagonal:
                        L[r, c] = v[at]
                        at += 1
            covariances.append(L @ L.T)
        return np.exp(v[0]), covariances

    def least(self, target, value, start):
        """The least deviance that SLSQP finds with one parameter held."""
        kind, term, i, j = target
        without = (i, value) if kind == COEFFICIENT else None

        def deviance(v):
            try:
                return self.deviance(*self.unpack(v), without=without)
            except np.linalg.LinAlgError:
                return 1e10

        def gap(v):
            if kind == SIGMA:
                return v[0] - np.log(value)
            S = self.unpack(v)[1][term]
            if kind == SD:
                return np.sqrt(S[i, i]) - value
            return S[i, j] / np.sqrt(S[i, i] * S[j, j]) - value

        held = [] if kind == COEFFICIENT else [{"type": "eq", "fun": gap}]
        best = np.inf
        for _ in range(2):  # once more from where it stopped
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                found = minimize(
                    deviance, start, method="SLSQP", constraints=held,
                    options={"ftol": 1e-13, "maxiter": 300},
                )  # fmt: skip
                kept = not held or abs(gap(found.x)) < 1e-8
            start = found.x
            best = min(best, found.fun if kept else np.inf)
        return best


@lru_cache(maxsize=4)
def profiled(seed, scaled=False):
    design = make_scaled(seed) if scaled else make_design(seed)
    fit = lmm.refit_ml(pp.lmer(design.formula, design.frame, **design.options)._record)
    return design, fit, profile.profile(fit)


def check_points(seed, scaled=False):
    design, _, found = profiled(seed, scaled)
    dense = DenseML(design)
    for curve in found.curves:
        for row, deviance in zip(curve.parameters, curve.deviance, strict=True):
            beta, sigma, covariances = dense.split(row)
            direct = dense.deviance(sigma, covariances, beta=beta)
            assert deviance == pytest.approx(direct, rel=SAME, abs=1e-7), curve.name


@pytest.mark.parametrize("seed", SEEDS)
def test_parameters_of_each_point_have_its_deviance(seed):
    check_points(seed)


@pytest.mark.parametrize("seed", range(8))
def test_parameters_of_each_point_have_its_deviance_in_any_unit(seed):
    check_points(seed, scaled=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_point_has_an_optimum_and_the_estimate_is_the_lowest(seed):
    _, fit, found = profiled(seed)
    assert found.failures == ()
    for curve in found.curves:
        assert set(curve.ends) <= {REACHED, BOUND, NONE}
        if len(curve.u):
            assert curve.deviance.min() >= found.deviance - 1e-7
            assert curve.deviance[curve.centre] == pytest.approx(found.deviance, rel=1e-12)
            for side, end in zip((-1, 1), curve.ends, strict=True):
                assert (abs(curve.zeta[0 if side < 0 else -1]) >= 2.5758) == (end == REACHED)
    assert found.deviance == pytest.approx(fit.solution.objective, rel=1e-12)


@pytest.mark.parametrize("seed", [*STRUCTURES, 46, 58, 62])
def test_no_general_optimiser_finds_a_lower_point(seed):
    design, fit, found = profiled(seed)
    dense, rng = DenseML(design), np.random.default_rng(seed)
    where = targets(fit)
    names = [c.name for c in found.curves if len(c.u)]
    for name in rng.permutation(names)[:4]:
        curve = next(c for c in found.curves if c.name == name)
        at = rng.choice([i for i in range(len(curve.u)) if i != curve.centre])
        value = curve.value[at]
        if (curve.kind == SD and value == 0) or (
            curve.kind == CORRELATION and abs(value) > 1 - 1e-9
        ):
            continue  # no place to start from: a factor without a derivative
        starts = [dense.pack(curve.parameters[i]) for i in (at, curve.centre)]
        starts.append(starts[1] * np.exp(0.3 * rng.normal(size=len(starts[1]))))
        least = min(dense.least(where[name], value, start) for start in starts)
        assert curve.deviance[at] <= least + LOWER, (name, value)


def test_correlation_beside_a_standard_deviation_of_zero_excludes_nothing():
    rng = np.random.default_rng(1)
    g, x = np.repeat(np.arange(6), 5), np.tile(np.arange(5.0) - 2, 6)
    y = rng.normal(size=30)
    y -= np.repeat(y.reshape(6, 5).mean(axis=1), 5)  # no variance between groups
    y -= x * np.repeat((y * x).reshape(6, 5).sum(axis=1) / 10, 5)  # and none of slopes
    frame = pd.DataFrame({"y": y + 1 + x, "x": x, "g": g})
    found = profile.profile(pp.lmer("y ~ x + (x | g)", frame)._record)
    limits = found.conf_int()
    assert tuple(limits.loc["cor(Intercept, x | g)"]) == (-1, 1)
    assert limits.loc["sd(Intercept | g)", "lower"] == 0
    assert limits.loc["sd(x | g)", "lower"] == 0
    assert limits.loc["sd(x | g)", "upper"] > 0
    assert "cor(Intercept, x | g) has no estimate" in "\n".join(found.notes)
    assert np.isnan(next(c for c in found.curves if c.kind == CORRELATION).estimate)


def test_one_balanced_factor_has_the_closed_form_of_its_profile():
    """sigma_g = 0 is least squares, and the deviance of sigma_g depends on two mean squares."""
    rng = np.random.default_rng(3)
    J, n = 8, 6
    y = rng.normal(size=(J, n)) + rng.normal(size=(J, 1)) * 1.5
    within = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum()
    between = n * ((y.mean(axis=1) - y.mean()) ** 2).sum()
    frame = pd.DataFrame({"y": y.ravel(), "g": np.repeat(np.arange(J), n)})
    found = profile.profile(pp.lmer("y ~ 1 + (1 | g)", frame, reml=False)._record)
    curve = next(c for c in found.curves if c.kind == SD)

    def least(sd):
        def value(log_sigma):
            v = np.exp(2 * log_sigma)
            w = v + n * sd**2
            return (
                J * n * np.log(2 * np.pi) + J * (n - 1) * np.log(v) + J * np.log(w)
                + within / v + between / w
            )  # fmt: skip

        grid = np.linspace(-2, 2, 4001)
        best = grid[np.argmin([value(s) for s in grid])]
        return minimize(lambda s: value(s[0]), [best], method="BFGS", tol=1e-10).fun

    for sd, deviance in zip(curve.value, curve.deviance, strict=True):
        assert deviance == pytest.approx(least(sd), abs=1e-8)

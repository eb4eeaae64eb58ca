"""The native work space of a model: no memory of earlier questions, safe from several threads."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool import _core, _dense, lmm, predict
from partialpool.inference import degrees
from partialpool.inference.bootstrap import bootstrap
from partialpool.inference.profile import profile
from tests.twin import designs

SEEDS = (0, 2, 7, 10, 26, 35, 44, 58, 101, 150)
PARTS = ("u", "deviance", "slope", "parameters")


def crossed(seed=0):
    """More dense columns than our own kernels serve."""
    rng = np.random.default_rng(seed)
    n, a, b = 400, 60, 50
    d = pd.DataFrame({"a": rng.integers(0, a, n), "b": rng.integers(0, b, n)})
    d["x"] = rng.normal(size=n)
    d["y"] = d.x + rng.normal(size=a)[d.a] + rng.normal(size=b)[d.b] + rng.normal(size=n)
    return d.astype({"a": "category", "b": "category"})


def numbers(found):
    """All numbers in what a function returns, one after the other."""
    if found is None or isinstance(found, str):
        return np.empty(0)
    if isinstance(found, dict):
        found = [found[key] for key in sorted(found)]
    if isinstance(found, list | tuple):
        return np.concatenate([numbers(part) for part in found]) if found else np.empty(0)
    return np.asarray(found, dtype=np.float64).ravel()


def questions(record):
    theta = record.solution.theta
    noise = np.random.default_rng(1).normal(size=(3, record.rows.nobs))
    responses = record.rows.y + noise

    def problem():
        return lmm.problem(record)

    found = {
        "solve": lambda: problem().solve(theta)[1:],
        "solve elsewhere": lambda: problem().solve(0.9 * theta + 0.05)[1:],
        "average": lambda: problem().evaluate(theta, "average"),
        "exact": lambda: problem().evaluate(theta, "exact"),
        "derivatives": lambda: problem().derivatives(theta),
        "row variances": lambda: problem().row_variances(theta, record.rows),
        "covariances": lambda: problem().conditional_covariances(theta),
        "refits": lambda: lmm.refit_many(record, responses),
        "refit": lambda: lmm.refitted(record, responses[0]).solution[1:],
        "minimise": lambda: problem().native.minimise(None, 1e-9, 500)[1:9],
    }
    if record.spec.reml:
        found["kenward-roger"] = lambda: problem().kenward_roger(theta)
    else:
        at = record.optimum.scaled
        found["profile"] = lambda: [
            [problem().native.profile(at, kind, 0, 0, 0, [1.0, 2.0], 1e-9, 500)[p] for p in PARTS]
            for kind in (0, 1, 2)
        ]
    return found


def records():
    for seed in SEEDS:
        design = designs.make_design(seed)
        yield pytest.param(design.formula, design.frame, design.options, id=str(design))
    for reml in (True, False):
        yield pytest.param("y ~ x + (1 | a) + (1 | b)", crossed(), {"reml": reml}, id="wide")


@pytest.mark.filterwarnings("ignore::partialpool.PartialPoolWarning")
@pytest.mark.parametrize(("formula", "frame", "options"), list(records()))
def test_no_answer_depends_on_what_was_asked_before(formula, frame, options):
    record = pickle.loads(pickle.dumps(lmm.fit(formula, frame, **options)))
    asked = questions(record)
    alone = {}
    for name, ask in asked.items():
        record.workspace.clear()
        alone[name] = numbers(ask())
    record.workspace.clear()
    for name in np.random.default_rng(0).permutation(list(asked) * 3):
        np.testing.assert_array_equal(numbers(asked[name]()), alone[name], err_msg=name)


def jobs(record):
    responses = record.rows.y + np.random.default_rng(1).normal(size=(4, record.rows.nobs))
    L = np.eye(len(record.kept))

    def df(method):
        record.workspace.pop(method, None)
        return degrees.df(record, L, method)

    return (
        lambda: df("satterthwaite"),
        lambda: df("kenward-roger"),
        lambda: profile(record, parameters="sigma").conf_int().to_numpy(),
        lambda: lmm.refit_many(record, responses),
        lambda: lmm.refitted(record, responses[1]).solution[1:],
        lambda: bootstrap(record, 20, seed=3, progress=False).to_frame().to_numpy(),
        lambda: predict.predict(record, se=True)[:2],
    )


@pytest.mark.parametrize(
    ("formula", "frame"),
    [
        ("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy")),
        ("y ~ x + (1 | a) + (1 | b)", crossed()),
    ],
    ids=["patterns", "dense"],
)
def test_threads_share_a_model(formula, frame):
    record = lmm.fit(formula, frame)
    work = jobs(record)
    alone = [numbers(job()) for job in jobs(pickle.loads(pickle.dumps(record)))]
    places = np.random.default_rng(5).permutation(np.repeat(np.arange(len(work)), 6))
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda i: numbers(work[i]()), places))
    for i, found in zip(places, together, strict=True):
        np.testing.assert_array_equal(found, alone[i], err_msg=str(i))


def blas_threads():
    return [lib.num_threads for lib in _dense._limits._found()]


def test_overlapping_limits_of_threads_end():
    before = blas_threads()
    first, second = _dense.limited(2), _dense.limited(1)
    with ThreadPoolExecutor(1) as pool:
        with first:
            pool.submit(second.__enter__).result()
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
        pool.submit(second.__exit__, None, None, None).result()
    assert blas_threads() == before


def test_arrays_of_other_kinds_are_copied_and_kept():
    x = np.arange(200_000.0)
    for given in (x[::2], x[::2].astype(np.float32), x[::2].astype(np.int64)):
        found = _core.fill([("x", (given,), ())], 0, 100_000)
        np.testing.assert_array_equal(found[:, 0], x[::2])


def test_the_native_module_refuses_what_does_not_fit():
    record = lmm.fit("Reaction ~ Days + (Days | Subject)", pp.datasets.load("sleepstudy"))
    plan, ml = lmm.problem(record).native, lmm.problem(lmm.refit_ml(record)).native
    rows = lmm._native_rows(record)[1]
    y, short, theta = record.rows.y, [1.0], record.solution.theta
    codes, z = np.full(1, 99, dtype=np.int32), np.ones((1, 2))
    for call in (
        lambda: plan.minimise(short, 1e-9, 100),
        lambda: plan.refit(rows, y, short, 1e-9, 100),
        lambda: plan.refit_many(rows, y[None], short, 1e-9, 100),
        lambda: plan.profile(theta, 1, 0, 0, 0, [1.0], 1e-9, 100),
        lambda: ml.profile(theta, 0, 0, 2, 0, [1.0], 1e-9, 100),
        lambda: ml.profile(theta, 2, 1, 0, 0, [1.0], 1e-9, 100),
        lambda: ml.profile(theta, 3, 0, 0, 0, [1.0], 1e-9, 100),
        lambda: plan.row_variances(theta, [True], [codes], [z], np.ones((1, 2))),
        lambda: plan.row_variances(theta, [True], [codes * 0], [z], np.ones((1, 3))),
    ):
        with pytest.raises(ValueError):
            call()
    other = lmm.fit("Reaction ~ 1 + (1 | Subject)", pp.datasets.load("sleepstudy"))
    with pytest.raises(ValueError, match="another design"):
        plan.refit_many(lmm._native_rows(other)[1], y[None], theta.tolist(), 1e-9, 100)

"""Bootstrap: shapes, names, determinism, interrupts, failures, pickles, bad input."""

from __future__ import annotations

import importlib.util
import pickle
import threading
import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from partialpool.inference import _replicates
from partialpool.inference import bootstrap as module

SLEEP = "Reaction ~ Days + (Days | Subject)"
NAMES = [
    "Intercept",
    "Days",
    "sigma",
    "sd(Intercept | Subject)",
    "sd(Days | Subject)",
    "cor(Intercept, Days | Subject)",
]


@pytest.fixture(scope="module")
def fit() -> Any:
    return pp.lmer(SLEEP, pp.datasets.load("sleepstudy"))


@pytest.fixture(scope="module")
def crossed() -> Any:
    return pp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", pp.datasets.load("Penicillin"))


@pytest.fixture(scope="module")
def line() -> Any:
    return pp.lm("Reaction ~ Days", pp.datasets.load("sleepstudy"))


def same(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a.values, b.values, equal_nan=True)) and a.failures == b.failures


def ratio(fit: Any) -> float:
    return float(fit.params["Days"] / fit.params["Intercept"])


# -- what comes out -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", module.KINDS)
def test_frame_has_a_row_a_replicate_and_the_names_of_the_parameters(fit: Any, kind: str) -> None:
    found = fit.bootstrap(40, kind=kind, seed=1)
    frame = found.to_frame()
    assert list(frame.columns) == NAMES
    assert frame.shape == (40, 6)
    assert found.n == found.requested == 40
    assert found.failures == ()
    assert np.isfinite(frame.iloc[:, :5].to_numpy()).all()
    assert not found.values.flags.writeable
    expected = [*fit.params, fit.sigma, *np.sqrt(np.diag(fit.varcorr["Subject"]))]
    np.testing.assert_allclose(found.original[:5], expected, rtol=1e-12)


def test_parameters_of_several_terms_are_named_term_after_term() -> None:
    data = pp.datasets.load("Pastes")
    found = pp.lmer("strength ~ 1 + (1 | batch/cask)", data).bootstrap(5, seed=1)
    assert found.names == (
        "Intercept",
        "sigma",
        "sd(Intercept | cask:batch)",
        "sd(Intercept | batch)",
    )


def test_double_bar_has_no_correlation(fit: Any) -> None:
    data = pp.datasets.load("sleepstudy")
    found = pp.lmer("Reaction ~ Days + (Days || Subject)", data).bootstrap(5, seed=1)
    assert not any(name.startswith("cor") for name in found.names)


@pytest.mark.parametrize("kind", module.KINDS)
def test_lm_has_coefficients_and_sigma(line: Any, kind: str) -> None:
    frame = line.bootstrap(30, kind=kind, seed=1).to_frame()
    assert list(frame.columns) == ["Intercept", "Days", "sigma"]
    assert np.isfinite(frame.to_numpy()).all()


def test_dropped_columns_are_nan() -> None:
    data = pp.datasets.load("sleepstudy").assign(twice=lambda d: 2 * d["Days"])
    with pytest.warns(pp.RankDeficientWarning):
        fit = pp.lmer("Reaction ~ Days + twice + (1 | Subject)", data)
    for kind in module.KINDS:
        found = fit.bootstrap(45, kind=kind, seed=1)
        assert not found.failures
        assert np.isnan(found.to_frame()["twice"]).all()
        limits = found.conf_int()
        assert np.isnan(limits.loc["twice"]).all()
        assert np.isfinite(limits.drop(index="twice").to_numpy()).all()
        assert "NaN" in str(found)


@pytest.mark.parametrize("kind", ["parametric", "residual", "wild"])
def test_replicates_are_refits_of_the_responses_drawn(fit: Any, kind: str) -> None:
    """The fast path against one full refit a response."""
    full = fit.bootstrap(20, kind=kind, seed=3, statistic=lambda f: [*f.params, f.sigma, *f.theta])
    quick = fit.bootstrap(20, kind=kind, seed=3)
    np.testing.assert_allclose(quick.values[:, :3], full.values[:, :3], rtol=1e-6)
    sds = quick.values[:, [3, 4]]
    theta = full.values[:, 3:]
    expected = quick.values[:, 2:3] * np.sqrt(
        np.column_stack([theta[:, 0] ** 2, theta[:, 1] ** 2 + theta[:, 2] ** 2])
    )
    np.testing.assert_allclose(sds, expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("weights", [None, "1 + Days"])
@pytest.mark.parametrize("kind", ["parametric", "residual", "wild"])
def test_lm_replicates_are_refits_of_the_responses_drawn(kind: str, weights: Any) -> None:
    fit = pp.lm("Reaction ~ Days + C(Subject)", pp.datasets.load("sleepstudy"), weights=weights)
    full = fit.bootstrap(9, kind=kind, seed=3, statistic=lambda f: [*f.params, f.sigma])
    quick = fit.bootstrap(9, kind=kind, seed=3)
    np.testing.assert_allclose(quick.values, full.values, rtol=1e-9, atol=1e-9)


def test_singular_refits_are_right_answers() -> None:
    with pytest.warns(pp.SingularFitWarning):
        fit = pp.lmer("Yield ~ 1 + (1 | Batch)", pp.datasets.load("Dyestuff2"))
    for kind in ("parametric", "residual"):
        found = fit.bootstrap(60, kind=kind, seed=1)
        assert not found.failures
        column = found.to_frame()["sd(Intercept | Batch)"]
        assert (column < 1e-6).any()
        assert not column.isna().any()


# -- seeds, workers -----------------------------------------------------------------------------


def test_replicates_depend_on_the_seed_and_their_number_only(fit: Any) -> None:
    a = fit.bootstrap(300, seed=5)
    np.testing.assert_array_equal(a.values[:70], fit.bootstrap(70, seed=5).values)
    assert not same(a, fit.bootstrap(300, seed=6))
    fresh = fit.bootstrap(10)
    assert not np.array_equal(fresh.values, fit.bootstrap(10).values)
    np.testing.assert_array_equal(fresh.values, fit.bootstrap(10, seed=fresh.seed_entropy).values)


def test_seeds_of_every_kind(fit: Any) -> None:
    sequence = np.random.SeedSequence(5)
    assert same(fit.bootstrap(9, seed=5), fit.bootstrap(9, seed=sequence))
    assert same(fit.bootstrap(9, seed=5), fit.bootstrap(9, seed=sequence))  # spawned nothing
    child = sequence.spawn(1)[0]
    found = fit.bootstrap(9, seed=child)
    assert not same(found, fit.bootstrap(9, seed=5))
    assert same(found, fit.bootstrap(9, seed=found.seed_entropy))
    a = fit.bootstrap(9, seed=np.random.default_rng(1))
    assert same(a, fit.bootstrap(9, seed=np.random.default_rng(1)))
    assert same(a, fit.bootstrap(9, seed=a.seed_entropy))
    generator = np.random.default_rng(1)
    fit.bootstrap(9, seed=generator)
    assert not same(a, fit.bootstrap(9, seed=generator))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_change_no_bit(fit: Any, crossed: Any, line: Any, backend: str) -> None:
    cases: list[tuple[Any, dict[str, Any]]] = [
        (fit, {"n": 600}),
        (fit, {"n": 70, "kind": "cases"}),
        (fit, {"n": 70, "statistic": ratio}),
        (crossed, {"n": 70}),
        (line, {"n": 300}),
    ]
    for model, options in cases:
        one = model.bootstrap(seed=2, **options)
        assert same(one, model.bootstrap(seed=2, n_jobs=2, backend=backend, **options))


def test_backends_that_return_all_at_once_get_a_few_tasks_at_a_time() -> None:
    waves = []

    class Pool:
        n_jobs = 2

        def __call__(self, calls: list[int]) -> list[int]:
            waves.append(len(calls))
            return calls

    assert list(_replicates._in_waves(Pool(), list(range(40)))) == list(range(40))
    assert waves == [16, 16, 8]


def test_large_dense_blocks_change_no_bit() -> None:
    """BLAS has one thread everywhere: another number would change the last digits."""
    generator = np.random.default_rng(0)
    n = 1500
    data = pd.DataFrame(
        {
            "y": generator.standard_normal(n),
            "a": generator.integers(0, 250, n),
            "b": generator.integers(0, 230, n),
        }
    )
    data["y"] += (
        generator.standard_normal(250)[data["a"]] + generator.standard_normal(230)[data["b"]]
    )
    fit = pp.lmer("y ~ 1 + (1 | a) + (1 | b)", data)
    one = fit.bootstrap(6, seed=1)
    assert same(one, fit.bootstrap(6, seed=1, n_jobs=2, backend="threading"))
    assert same(one, fit.bootstrap(6, seed=1, n_jobs=2, backend="loky"))


@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="dask.distributed is not installed"
)
@pytest.mark.filterwarnings("ignore")  # of dask and of the event loop's end
def test_dask_changes_no_bit(fit: Any) -> None:
    import joblib
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, processes=False
        ) as cluster,
        Client(cluster),
    ):
        one = fit.bootstrap(600, seed=2)
        with joblib.parallel_config(backend="dask"):
            assert same(one, fit.bootstrap(600, seed=2, n_jobs=-1))
            assert same(one, fit.bootstrap(600, seed=2, n_jobs=None))
        assert same(one, fit.bootstrap(600, seed=2, n_jobs=2, backend="dask"))


def test_work_is_small_without_the_data(fit: Any) -> None:
    own = _replicates.standalone(fit._record)
    assert own.table.native is None
    assert len(pickle.dumps(own)) < 15_000


# -- a user's statistic -------------------------------------------------------------------------


class Pair(NamedTuple):
    first: float
    second: float


@pytest.mark.parametrize(
    ("statistic", "names"),
    [
        (lambda f: f.sigma, ("statistic",)),
        (lambda f: np.float64(f.sigma), ("statistic",)),
        (lambda f: np.array(f.sigma), ("statistic",)),
        (lambda f: {"a": f.sigma, "b": 1}, ("a", "b")),
        (lambda f: f.params, ("Intercept", "Days")),
        (lambda f: f.params.to_numpy(), ("statistic[0]", "statistic[1]")),
        (lambda f: [f.sigma, 2], ("statistic[0]", "statistic[1]")),
        (lambda f: Pair(f.sigma, 2.0), ("first", "second")),
        (lambda f: f.varcorr["Subject"].stack(), None),
    ],
)
def test_statistic_returns_numbers_in_any_form(fit: Any, statistic: Any, names: Any) -> None:
    found = fit.bootstrap(4, statistic=statistic, seed=1)
    assert names is None or found.names == names
    assert np.isfinite(found.values).all()


def test_a_named_function_names_its_value(fit: Any) -> None:
    found = fit.bootstrap(4, statistic=ratio, seed=1)
    assert found.names == ("ratio",)
    assert found.label == "ratio"
    assert found.original[0] == ratio(fit)


@pytest.mark.parametrize(
    ("statistic", "message"),
    [
        ("sigma", "must be a function"),
        (lambda f: f.no_such, "raised an error on the original fit.*AttributeError.*no_such"),
        (lambda f: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda f: None, "returned a value of type NoneType"),
        (lambda f: "text", "returned a value of type str"),
        (lambda f: {"a": "x"}, "returned list|returned a value"),
        (lambda f: 1j, "returned a value of type complex"),
        (lambda f: np.eye(2), r"returned ndarray of shape \(2, 2\)"),
        (lambda f: f.tidy(), "returned DataFrame of shape"),
        (lambda f: [], "returned no values"),
        (lambda f: pd.Series([1, 2], index=["a", "a"]), "the name 'a' more than once"),
        (lambda f: f.update(". ~ . - Days").sigma, "no longer has its data"),
    ],
)
def test_a_statistic_that_cannot_be_used_is_an_error_at_once(
    fit: Any, statistic: Any, message: str
) -> None:
    with pytest.raises(pp.SpecificationError, match=message):
        fit.bootstrap(4, statistic=statistic, seed=1)


def test_the_exception_of_a_statistic_is_shown(fit: Any) -> None:
    def broken(fit: Any) -> float:
        raise RuntimeError("the reason")

    with pytest.raises(
        pp.SpecificationError, match="broken raised .* RuntimeError: the reason"
    ) as e:
        fit.bootstrap(4, statistic=broken)
    assert isinstance(e.value.__cause__, RuntimeError)


def test_a_statistic_that_raises_sometimes_loses_those_replicates_only(fit: Any) -> None:
    limit = fit.params["Days"] + 1

    def picky(fit: Any) -> float:
        if fit.params["Days"] > limit:
            raise ValueError("too\nsteep")
        return float(fit.params["Days"])

    days = fit.bootstrap(80, seed=1).to_frame()["Days"].to_numpy()
    with pytest.warns(pp.ConvergenceWarning, match="of 80 replicates failed"):
        found = fit.bootstrap(80, seed=1, statistic=picky)
    lost = np.flatnonzero(days > limit)
    assert 0 < len(lost) < 40
    assert [f.replicate for f in found.failures] == lost.tolist()
    assert {f.reason for f in found.failures} == {"ValueError: too steep"}
    assert np.isnan(found.values[lost]).all()
    kept = np.delete(found.values[:, 0], lost)
    np.testing.assert_allclose(kept, np.delete(days, lost), rtol=1e-7)
    assert f"{len(lost)} of 80 replicates failed" in str(found)
    assert found.conf_int()["upper"].iloc[0] <= limit
    with pytest.warns(pp.ConvergenceWarning):
        assert same(found, fit.bootstrap(80, seed=1, statistic=picky, n_jobs=2, backend="loky"))


def test_a_statistic_that_changes_shape_is_a_counted_failure(fit: Any) -> None:
    days = fit.params["Days"]
    with pytest.warns(pp.ConvergenceWarning):
        found = fit.bootstrap(
            30, seed=1, statistic=lambda f: [1.0] if f.params["Days"] > days else [1.0, 2.0]
        )
    assert 0 < len(found.failures) < 30
    assert "returned one value (statistic[0]); of the original fit it returned 2 values" in (
        found.failures[0].reason
    )


def test_a_statistic_that_no_process_can_take_is_named(fit: Any) -> None:
    lock = threading.Lock()
    with pytest.raises(pp.SpecificationError, match="cannot pickle.*threading"):
        fit.bootstrap(4, statistic=lambda f: (lock, f.sigma)[1], n_jobs=2, backend="loky")
    found = fit.bootstrap(4, statistic=lambda f: (lock, f.sigma)[1], n_jobs=2, backend="threading")
    assert not found.failures


def test_levels_drawn_are_not_levels_of_the_data(fit: Any) -> None:
    """A drawn level has another effect than the level of that name, which would be silent."""
    data = pp.datasets.load("sleepstudy")
    with pytest.warns(pp.ConvergenceWarning):
        found = fit.bootstrap(5, seed=1, kind="cases", statistic=lambda f: f.predict(data.iloc[:3]))
    assert len(found.failures) == 5
    assert "has not seen" in found.failures[0].reason
    found = fit.bootstrap(
        5, seed=1, kind="cases", statistic=lambda f: f.predict(data.iloc[:3], random="none")
    )
    assert not found.failures


# -- interrupts ---------------------------------------------------------------------------------


def test_an_interrupt_keeps_what_was_done(fit: Any) -> None:
    calls = []

    def slow(fit: Any) -> float:
        calls.append(1)
        if len(calls) == 100:
            raise KeyboardInterrupt
        return float(fit.sigma)

    with pytest.warns(pp.PartialPoolWarning, match="interrupted after 96 of 500 replicates"):
        found = fit.bootstrap(500, statistic=slow, seed=1)
    assert (found.n, found.requested) == (96, 500)
    assert found.to_frame().shape == (96, 1)
    assert "96 of 500 replicates (interrupted)" in str(found)
    whole = fit.bootstrap(96, statistic=lambda f: float(f.sigma), seed=1)
    np.testing.assert_array_equal(found.values, whole.values)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_an_interrupt_stops_the_workers(
    fit: Any, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = _replicates._Bar.move

    def interrupted(self: Any, done: int) -> None:
        move(self, done)
        if done >= 512:
            raise KeyboardInterrupt

    monkeypatch.setattr(_replicates._Bar, "move", interrupted)
    with pytest.warns(pp.PartialPoolWarning, match="interrupted after 512 of 9000"):
        found = fit.bootstrap(9000, seed=1, n_jobs=2, backend=backend)
    monkeypatch.undo()
    np.testing.assert_array_equal(found.values, fit.bootstrap(512, seed=1).values)


def test_an_interrupt_before_anything_was_done_is_one(fit: Any) -> None:
    calls = []

    def stop(fit: Any) -> float:
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return 1.0

    with pytest.raises(KeyboardInterrupt):
        fit.bootstrap(500, statistic=stop, seed=1)


# -- failures of fits ---------------------------------------------------------------------------


def test_draws_that_lose_a_coefficient_are_failures() -> None:
    data = pp.datasets.load("sleepstudy")
    data["first"] = (data["Subject"].astype(str) == data["Subject"].astype(str).iloc[0]) * 1.0
    fit = pp.lmer("Reaction ~ Days + first + (1 | Subject)", data)
    with pytest.warns(pp.ConvergenceWarning, match="leave first without an estimate"):
        found = fit.bootstrap(90, kind="cases", seed=1)
    assert 15 < len(found.failures) < 50  # (17/18)^18 = 0.36 of the draws
    lost = [f.replicate for f in found.failures]
    assert np.isnan(found.values[lost]).all()
    assert not np.isnan(np.delete(found.values, lost, axis=0)).any()
    with pytest.raises(pp.SpecificationError, match="needs the fit without each Subject.*first"):
        found.conf_int(kind="bca")


def test_a_fit_that_is_not_certified_is_a_failure() -> None:
    data = pp.datasets.load("Penicillin").iloc[:120].drop(index=[3, 17, 18, 40, 41, 42, 77])
    fit = pp.lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", data)
    object.__setattr__(fit._record, "control", pp.Control(max_evaluations=1))
    with pytest.warns(pp.ConvergenceWarning, match="certified optimum.*limit of evaluations"):
        found = fit.bootstrap(12, seed=1)
    assert found.failures
    assert np.isnan(found.values[[f.replicate for f in found.failures]]).all()


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, -1, 2.5, "10", True, None, np.nan])
def test_the_number_of_replicates_is_a_whole_number(fit: Any, n: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="whole number of at least 1"):
        fit.bootstrap(n)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "magic"}, "kind='magic' must be 'parametric', 'residual', 'cases' or 'wild'"),
        ({"random": "old"}, "random='old' must be 'new' or 'fitted'"),
        ({"kind": "cases", "random": "fitted"}, "goes with kind='parametric'"),
        ({"kind": "wild", "random": "fitted"}, "goes with kind='parametric'"),
        ({"seed": -1}, "seed is None, a non-negative integer"),
        ({"seed": 1.5}, "seed is None"),
        ({"seed": "one"}, "seed is None"),
        ({"seed": True}, "seed is None"),
        ({"n_jobs": 0}, "n_jobs=0 must be"),
        ({"n_jobs": 1.5}, "n_jobs=1.5 must be"),
        ({"n_jobs": "2"}, "n_jobs='2' must be"),
        ({"backend": 3}, "backend=3 must be a name"),
        ({"n_jobs": 2, "backend": "nonsense"}, "Invalid backend: nonsense"),
        ({"progress": "yes"}, "progress='yes' must be True or False"),
    ],
)
def test_options_out_of_range_are_refused(fit: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(pp.SpecificationError, match=message):
        fit.bootstrap(10, **options)


@pytest.mark.parametrize("kind", ["cases", "wild"])
def test_crossed_factors_have_no_groups_to_draw(crossed: Any, kind: str) -> None:
    with pytest.raises(
        pp.SpecificationError, match=r"'plate' \(24 levels\), 'sample' \(6 levels\) are crossed"
    ):
        crossed.bootstrap(10, kind=kind)
    with pytest.raises(pp.SpecificationError, match="kind='bca' takes whole levels"):
        crossed.bootstrap(50, seed=1).conf_int(kind="bca")


def test_a_fit_without_residual_variance_has_nothing_to_draw() -> None:
    data = pp.datasets.load("sleepstudy").assign(Reaction=lambda d: 2.0 * d["Days"])
    with pytest.warns(pp.SingularFitWarning):
        fit = pp.lmer(SLEEP, data)
    with pytest.raises(pp.SpecificationError, match="nothing to draw"):
        fit.bootstrap(10)


def test_residual_bootstrap_needs_more_levels_than_columns() -> None:
    generator = np.random.default_rng(2)
    n = 60
    data = pd.DataFrame({"g": np.repeat(["a", "b"], n // 2), "x": generator.standard_normal(n)})
    data["y"] = generator.standard_normal(n) + np.where(data["g"] == "a", 3 + data["x"], -data["x"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.SingularFitWarning)
        fit = pp.lmer("y ~ x + (x || g)", data)
    assert min(fit._record.optimum.rank) == 2
    with pytest.raises(pp.SpecificationError, match=r"2 levels, 2 columns.*parametric"):
        fit.bootstrap(10, kind="residual")


def test_wild_bootstrap_needs_residuals() -> None:
    data = pp.datasets.load("sleepstudy")
    data["one"] = np.arange(len(data)) == 7
    fit = pp.lm("Reaction ~ Days + one", data)
    with pytest.raises(pp.SpecificationError, match="row 7 of the used rows has a leverage of 1"):
        fit.bootstrap(10, kind="wild")


def test_a_record_needs_a_factory_for_a_statistic(fit: Any) -> None:
    with pytest.raises(pp.SpecificationError, match="needs model="):
        module.bootstrap(fit._record, 10, statistic=lambda f: 1.0)


# -- the object ---------------------------------------------------------------------------------


def test_it_prints_and_is_frozen(fit: Any) -> None:
    found = fit.bootstrap(50, seed=1)
    text = str(found)
    assert text == repr(found)
    lines = text.splitlines()
    assert lines[0] == f"Bootstrap (parametric) of {SLEEP}: 50 replicates"
    assert lines[2].split() == ["estimate", "bias", "std_error", "lower", "upper"]
    assert [line.split("  ")[0] for line in lines[3:9]] == NAMES
    assert "<td>sd(Days | Subject)</td>" in found._repr_html_()
    assert "random effects kept" in str(fit.bootstrap(3, random="fitted"))
    assert "lower" not in str(fit.bootstrap(3))
    assert str(fit.bootstrap(1, seed=1))
    with pytest.raises(AttributeError):
        found.kind = "wild"
    frame = found.to_frame()
    frame.iloc[:] = 0
    assert found.values.any()


def test_it_pickles_small_and_without_the_data(fit: Any) -> None:
    found = fit.bootstrap(100, seed=1, statistic=lambda f: f.params)
    again = pickle.loads(pickle.dumps(found))
    assert same(found, again)
    assert str(again) == str(found)
    pd.testing.assert_frame_equal(again.conf_int(), found.conf_int())
    assert len(pickle.dumps(found)) < found.values.nbytes + 2000
    with pytest.raises(pp.UnavailableError, match="before pickling"):
        again.conf_int(kind="bca")
    expected = found.conf_int(0.8, kind="bca")
    again = pickle.loads(pickle.dumps(found))
    pd.testing.assert_frame_equal(again.conf_int(0.8, kind="bca"), expected)


def test_html_is_escaped(fit: Any) -> None:
    found = fit.bootstrap(3, statistic=lambda f: {"<b>": 1.0})
    assert "<b>" not in found._repr_html_()


@pytest.mark.skipif(importlib.util.find_spec("arviz") is None, reason="arviz is not installed")
@pytest.mark.filterwarnings("ignore")  # arviz announces its next version
def test_arviz_gets_the_replicates_as_one_chain(fit: Any) -> None:
    found = fit.bootstrap(20, seed=1)
    posterior = found.to_arviz().posterior
    assert dict(posterior.sizes)["draw"] == 20
    np.testing.assert_array_equal(
        posterior["cor(Intercept, Days | Subject)"].to_numpy()[0], found.values[:, 5]
    )


def test_a_bar_appears_only_where_there_is_something_to_wait_for(
    fit: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fit.bootstrap(1000, seed=1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(_replicates, "_WAIT", 0.0)
    fit.bootstrap(1000, seed=1)
    assert "bootstrap" in capsys.readouterr().err
    fit.bootstrap(1000, seed=1, progress=False)
    assert capsys.readouterr().err == ""


def test_limits_of_a_fit(fit: Any) -> None:
    found = module.limits(fit._record, 0.9, n=200, seed=4)
    expected = fit.bootstrap(200, seed=4).conf_int(0.9)
    pd.testing.assert_frame_equal(found, expected)
    assert list(found.index) == NAMES
    with pytest.raises(pp.SpecificationError, match="too few"):
        module.limits(fit._record, 0.99, n=100)
    pd.testing.assert_frame_equal(
        fit.conf_int(level=0.9, method="bootstrap", n=200, seed=4), expected
    )

"""The tasks of inference that are timed: data, what ours runs, what R runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cases
from cases import Columns

Action = Callable[[Any], Any]


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes
    ----------
    name : str
    data : callable
        Columns of the data.
    formula : str
    run : callable
        Of a fitted model whose caches are empty.
    target : float or None
        Seconds.
    target_of : str or None
        The key of `extra` that is the target where it is another time.
    extra : callable or None
        Of a fitted model: figures beside the time.
    r : bool
        Is there a counterpart in inference_worker.R?
    """

    name: str
    data: Callable[[], Columns]
    formula: str
    run: Action
    about: str
    target: float | None = None
    target_of: str | None = None
    extra: Callable[[Any, Any], dict[str, float]] | None = None
    r: bool = True


def fit_seconds(fit: Any, frame: Any) -> dict[str, float]:
    """How long the fit itself takes."""
    import statistics
    import time

    import partialpool as pp

    walls = []
    for _ in range(5):
        begin = time.perf_counter()
        pp.lmer(fit.formula, frame)
        walls.append(time.perf_counter() - begin)
    return {"fit": statistics.median(walls)}


def slopes_10k() -> Columns:
    return cases.slopes(rows=10_000, groups=200, seed=200)


def cake() -> Columns:
    return cases.read_table(
        "cake", angle="float", temperature="category", recipe="category", replicate="category"
    )


INST_EVAL = "y ~ service + (1 | s) + (1 | d) + (1 | dept)"
SLEEP = "Reaction ~ Days + (Days | Subject)"
CAKE = "angle ~ recipe * temperature + (1 | recipe:replicate)"
REPLICATES = 2_000

TASKS = (
    Task(
        "Satterthwaite, InstEval",
        cases.inst_eval,
        INST_EVAL,
        lambda fit: fit.df,
        "degrees of freedom of a fit that is there; target: the time of the fit. lmerTest: its "
        "fit less lme4's",
        target_of="fit",
        extra=fit_seconds,
    ),
    Task(
        "summary, sleepstudy",
        cases.sleepstudy_categorical,
        SLEEP,
        lambda fit: str(fit.summary()),
        "the printed summary with degrees of freedom, of a fit that is there",
    ),
    Task(
        "Kenward-Roger, 10,000 rows",
        slopes_10k,
        "y ~ x + (x | g)",
        lambda fit: fit.tidy(ddf="kenward-roger"),
        "200 groups, correlated slopes: adjusted covariance, degrees of freedom, p-values",
        target=30e-3,
    ),
    Task(
        "profile, sleepstudy",
        cases.sleepstudy_categorical,
        SLEEP,
        lambda fit: fit.profile().conf_int(),
        "all six parameters, and the limits",
        target=15e-3,
    ),
    Task(
        "bootstrap, sleepstudy",
        cases.sleepstudy_categorical,
        SLEEP,
        lambda fit: fit.bootstrap(REPLICATES, seed=1, progress=False),
        f"{REPLICATES:,} parametric replicates, all estimates; target 20,000 a second. R: 50 "
        "replicates by bootMer, times 40",
        target=REPLICATES / 20_000,
    ),
    Task(
        "anova type 3, cake",
        cake,
        CAKE,
        lambda fit: fit.anova(),
        "three terms, Satterthwaite",
    ),
    Task(
        "emmeans and pairs, cake",
        cake,
        CAKE,
        lambda fit: (
            fit.emmeans("recipe").pairs().to_frame()
            if hasattr(fit.emmeans("recipe").pairs(), "to_frame")
            else fit.emmeans("recipe").pairs()
        ),
        "means of three recipes, three comparisons by Tukey",
    ),
    Task(
        "Satterthwaite, slopes 10^6 rows",
        cases.slopes,
        "y ~ x + (x | g)",
        lambda fit: fit.df,
        "20,000 groups; target: the time of the fit",
        target_of="fit",
        extra=fit_seconds,
        r=False,
    ),
    Task(
        "Satterthwaite, crossed 10^6 rows",
        cases.crossed,
        "y ~ x + (1 | a) + (1 | b)",
        lambda fit: fit.df,
        "10,000 x 1,000 levels; target: the time of the fit",
        target_of="fit",
        extra=fit_seconds,
        r=False,
    ),
)


def named(name: str) -> Task:
    return next(task for task in TASKS if task.name == name)

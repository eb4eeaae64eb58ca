"""Simulations with few groups: how often tests reject what is true, and intervals cover it.

``python -m tests.calibration.studies`` writes docs/calibration.md; the tests run the same studies
and hold them to Monte Carlo error.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import partialpool as pp

PAGE = Path(__file__).parents[2] / "docs" / "calibration.md"
METHODS = ("satterthwaite", "kenward-roger")


@dataclass(frozen=True)
class Design:
    """A true null hypothesis in a small design.

    Attributes
    ----------
    name, about : str
    frame : callable
        The predictors and groups; the response is drawn from a normal model.
    formula : str
        Of the fit.
    sds : dict of str to float
        Standard deviation of each grouping factor's intercepts (the residual's is 1).
    tested : tuple of str
        Coefficients that are zero in truth.
    """

    name: str
    about: str
    frame: Callable[[], pd.DataFrame]
    formula: str
    sds: dict[str, float]
    tested: tuple[str, ...]


def one_way() -> pd.DataFrame:
    """Ten groups of 2 to 8 rows; a treatment of whole groups, a covariate within."""
    sizes = [2, 3, 4, 5, 6, 8, 3, 4, 5, 7]
    group = np.repeat(np.arange(10), sizes)
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"g": group, "treated": (group % 2).astype(float), "x": rng.normal(size=group.size)}
    )


def split_plot() -> pd.DataFrame:
    """Four blocks of three whole plots, each of four subplots; one cell in eight is lost."""
    rows = [
        {"block": b, "whole": f"w{w}", "sub": f"s{s}", "plot": f"{b}.{w}"}
        for b in range(4)
        for w in range(3)
        for s in range(4)
    ]
    return pd.DataFrame(rows).drop(index=[3, 14, 21, 30, 39, 44]).reset_index(drop=True)


def crossed() -> pd.DataFrame:
    """Eight subjects by six items; a covariate of items, a condition of subjects."""
    subject, item = np.divmod(np.arange(48), 6)
    frame = pd.DataFrame({"subject": subject, "item": item})
    return frame.assign(
        of_item=(item - 2.5) / 2, of_subject=(subject % 2) - 0.5, both=(subject + item) % 2 - 0.5
    )


DESIGNS = (
    Design(
        "one-way",
        "10 groups of 2 to 8 rows, ICC 0.5",
        one_way,
        "y ~ treated + x + (1 | g)",
        {"g": 1.0},
        ("treated", "x"),
    ),
    Design(
        "split-plot",
        "4 blocks x 3 whole plots x 4 subplots, 6 of 48 lost",
        split_plot,
        "y ~ whole + sub + (1 | plot)",
        {"plot": 1.0},
        ("whole[T.w1]", "sub[T.s1]"),
    ),
    Design(
        "crossed",
        "8 subjects x 6 items",
        crossed,
        "y ~ of_item + of_subject + both + (1 | subject) + (1 | item)",
        {"subject": 1.0, "item": 1.0},
        ("of_item", "of_subject", "both"),
    ),
)


def draws(design: Design, n: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """The frame with its first response, and (n, rows) responses with mean zero."""
    frame = design.frame()
    rng = np.random.default_rng(seed)
    Y = rng.normal(size=(n, len(frame)))
    for group, sd in design.sds.items():
        codes, levels = pd.factorize(frame[group])
        Y += sd * rng.normal(size=(n, len(levels)))[:, codes]
    return frame.assign(y=Y[0]), Y


def rejections(design: Design, n: int = 4000, seed: int = 20) -> dict[tuple[str, str], float]:
    """Share of 5 % tests that reject, by coefficient and method; also by the normal quantile."""
    frame, Y = draws(design, n, seed)
    count: dict[tuple[str, str], int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        fit = pp.lmer(design.formula, frame)
        for y in Y:
            again = fit.refit(y)
            for method in METHODS:
                tidy = again.tidy(ddf=method).set_index("term")
                for name in design.tested:
                    key = (name, method)
                    count[key] = count.get(key, 0) + int(tidy["p_value"][name] < 0.05)
            z = np.abs(again.tvalues)
            for name in design.tested:
                key = (name, "normal")
                count[key] = count.get(key, 0) + int(z[name] > 1.959964)
    return {key: k / n for key, k in count.items()}


def coverage(n: int = 400, replicates: int = 600, seed: int = 30) -> dict[tuple[str, str], float]:
    """Share of 95 % intervals that hold the truth: 12 subjects, intercepts and slopes."""
    days = np.tile(np.arange(6.0), 12)
    subject = np.repeat(np.arange(12), 6)
    frame = pd.DataFrame({"days": days, "subject": subject})
    truth = {"Intercept": 0.0, "days": 0.0, "sigma": 1.0, "sd(Intercept | subject)": 1.0}
    rng = np.random.default_rng(seed)
    hits: dict[tuple[str, str], int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pp.PartialPoolWarning)
        for i in range(n):
            b = rng.normal(size=(12, 2)) * [1.0, 0.5]
            y = b[subject, 0] + b[subject, 1] * days + rng.normal(size=days.size)
            fit = pp.lmer("y ~ days + (days | subject)", frame.assign(y=y))
            found = {
                "profile": fit.conf_int(method="profile"),
                "bootstrap, percentile": fit.bootstrap(
                    replicates, seed=i, progress=False
                ).conf_int(),
                "Wald, Satterthwaite": fit.conf_int(ddf="satterthwaite"),
            }
            for method, limits in found.items():
                for name, value in truth.items():
                    if name in limits.index:
                        low, high = limits.loc[name, "lower"], limits.loc[name, "upper"]
                        key = (name, method)
                        hits[key] = hits.get(key, 0) + int(low <= value <= high)
    return {key: k / n for key, k in hits.items()}


def error(share: float, n: int) -> float:
    """Monte Carlo standard error of a share."""
    return math.sqrt(share * (1 - share) / n)


def page() -> str:
    """The page of the docs."""
    n, m = 4000, 400
    lines = [
        "# Do the tests reject, and the intervals cover, as often as they say?",
        "",
        f"Simulations with few groups, where it is hard. Tests of true null hypotheses at 5 %, "
        f"{n:,} data sets a design: the share rejected, in percent (Monte Carlo standard error "
        f"{100 * error(0.05, n):.2f}).",
        "",
        "| design | coefficient | Satterthwaite | Kenward-Roger | normal quantile |",
        "|---|---|---:|---:|---:|",
    ]
    for design in DESIGNS:
        found = rejections(design, n)
        for name in design.tested:
            shares = [found[name, k] for k in (*METHODS, "normal")]
            shown = " | ".join(f"{100 * s:.1f}" for s in shares)
            lines.append(f"| {design.name}: {design.about} | `{name}` | {shown} |")
    covered: dict[tuple[str, str], float] = coverage(m)
    methods = list(dict.fromkeys(k[1] for k in covered))
    lines += [
        "",
        "The normal quantile is what a z test of the t value would use. With few groups it rejects "
        "too often; the degrees of freedom mend that.",
        "",
        f"Intervals at 95 %: 12 subjects, 6 days, intercepts and slopes that vary, {m} data sets: "
        f"the share that holds the truth, in percent (Monte Carlo standard error "
        f"{100 * error(0.95, m):.1f}).",
        "",
        f"| parameter | {' | '.join(methods)} |",
        f"|---|{'---:|' * len(methods)}",
    ]
    for name in dict.fromkeys(k[0] for k in covered):
        cells = [f"{100 * covered[name, k]:.1f}" if (name, k) in covered else "–" for k in methods]
        shown = name.replace("|", "\\|")
        lines.append(f"| `{shown}` | {' | '.join(cells)} |")
    lines += [
        "",
        "Profile limits are those of maximum likelihood, whose variances are a little too small "
        "with 12 subjects; so are those of the percentile bootstrap, which draws from the fit.",
        "",
        "`python -m tests.calibration.studies` makes this page; `make calibrate` tests its claims.",
        "",
    ]
    return "\n".join(lines)


def main() -> Any:
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

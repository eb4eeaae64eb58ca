"""How each Python package is asked to fit a case: one small adapter a package, ours included.

An adapter turns the pandas frame into what the package takes best (``prepare``, not timed), fits
(``fit``, timed) and reads the result (``outcome``, not timed). Packages are left at their default
options, REML. R's lme4 has the same steps in ``worker.R``.
"""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from cases import Case

if TYPE_CHECKING:
    import pandas as pd


class NotSupported(Exception):
    """The package has no way to say or do this; the message is printed in the table."""


class Outcome(NamedTuple):
    """What a package says about its fit.

    Attributes
    ----------
    objective : float
        REML criterion, -2 times the restricted log-likelihood with all constants.
    evaluations : int or None
        Evaluations of the objective (or of objective and gradient), where the package tells.
    converged : bool or None
    """

    objective: float
    evaluations: int | None
    converged: bool | None


class Adapter:
    """Base: what a package must answer."""

    name: str
    distribution: str
    # What a user imports to fit; some packages load the rest at the first fit.
    module: str
    # Statements of a new process that imports, reads `path`, fits and prints.
    session: str

    def version(self) -> str:
        return importlib.metadata.version(self.distribution)

    def prepare(self, case: Case, frame: pd.DataFrame) -> Any:
        """Data in the form that this package takes; not timed."""
        return frame

    def fit(self, case: Case, data: Any) -> Any:
        raise NotImplementedError

    def outcome(self, fitted: Any) -> Outcome:
        raise NotImplementedError

    def refit(self, case: Case, data: Any) -> Callable[[npt.NDArray[np.float64]], Any]:
        """A function of a new response, the model having been fitted once."""
        raise NotSupported("no refit")

    def refit_many(self, case: Case, data: Any) -> Callable[[npt.NDArray[np.float64]], Any]:
        """A function of a (responses, n) array that fits them all; its result has "objective"."""
        raise NotSupported("no refit of many responses")


class PartialPool(Adapter):
    name = "partialpool"
    distribution = "partialpool"
    module = "partialpool"
    session = (
        "import pandas, partialpool\n"
        "d = pandas.read_csv(path)\n"
        "print(partialpool.lmer('Reaction ~ Days + (Days | Subject)', d).summary())\n"
    )

    def version(self) -> str:
        import partialpool

        return str(partialpool.__version__)

    def fit(self, case: Case, data: Any) -> Any:
        import partialpool

        return partialpool.lmer(case.formula, data)

    def outcome(self, fitted: Any) -> Outcome:
        optimum = fitted.optimum
        return Outcome(
            float(fitted.reml_criterion), int(optimum.evaluations), bool(optimum.converged)
        )

    def refit(self, case: Case, data: Any) -> Callable[[npt.NDArray[np.float64]], Any]:
        return self.fit(case, data).refit

    def refit_many(self, case: Case, data: Any) -> Callable[[npt.NDArray[np.float64]], Any]:
        import partialpool.lmm as lmm

        if not hasattr(lmm, "refit_many"):
            raise NotSupported("lmm.refit_many is not there yet")
        record = lmm.fit(case.formula, data, reml=True)
        return lambda responses: lmm.refit_many(record, responses)


class Glmm(Adapter):
    name = "glmm"
    distribution = "glmm"
    module = "glmm"
    session = (
        "import pandas, glmm\n"
        "d = pandas.read_csv(path)\n"
        "print(glmm.fit(d, 'Reaction ~ Days + (Days | Subject)').summary())\n"
    )

    def fit(self, case: Case, data: Any) -> Any:
        import glmm

        return glmm.fit(data, case.formula)

    def outcome(self, fitted: Any) -> Outcome:
        return Outcome(-2.0 * fitted.loglik, int(fitted.n_eval), bool(fitted.converged))


class LmePython(Adapter):
    name = "lme-python"
    distribution = "lme-python"
    module = "lme_python"
    session = (
        "import polars, lme_python\n"
        "d = polars.read_csv(path, schema_overrides={'Subject': polars.String})\n"
        "m = lme_python.lmer('Reaction ~ Days + (Days | Subject)', data=d, reml=True)\n"
        "print(m.summary())\n"
    )

    def prepare(self, case: Case, frame: pd.DataFrame) -> Any:
        # Its own format, and twice as fast for it as pandas; groups must be strings.
        import polars

        return polars.DataFrame(
            {
                name: [str(value) for value in frame[name]]
                if name in case.groups
                else frame[name].to_numpy()
                for name in frame.columns
            }
        )

    def fit(self, case: Case, data: Any) -> Any:
        import lme_python

        return lme_python.lmer(case.formula, data=data, reml=True)

    def outcome(self, fitted: Any) -> Outcome:
        criterion = fitted.reml_criterion
        iterations = getattr(fitted, "iterations", None)
        return Outcome(
            float(criterion() if callable(criterion) else criterion),
            None if iterations is None else int(iterations),
            bool(fitted.converged),
        )

    def refit(self, case: Case, data: Any) -> Callable[[npt.NDArray[np.float64]], Any]:
        import lme_python

        prepared = lme_python.prepare_lmer(case.formula, data)
        return lambda y: prepared.fit(y=y.tolist(), reml=True)


class MixedLm(Adapter):
    name = "mixedlm"
    distribution = "mixedlm"
    module = "mixedlm"
    session = (
        "import pandas, mixedlm\n"
        "d = pandas.read_csv(path)\n"
        "print(mixedlm.lmer('Reaction ~ Days + (Days | Subject)', d).summary())\n"
    )

    def fit(self, case: Case, data: Any) -> Any:
        import mixedlm

        return mixedlm.lmer(case.formula, data)

    def outcome(self, fitted: Any) -> Outcome:
        return Outcome(float(fitted.REMLcrit()), int(fitted.function_evals), bool(fitted.converged))

    def refit(self, case: Case, data: Any) -> Callable[[npt.NDArray[np.float64]], Any]:
        return self.fit(case, data).refit


class StatsModels(Adapter):
    name = "statsmodels"
    distribution = "statsmodels"
    module = "statsmodels.formula.api"
    session = (
        "import pandas, statsmodels.formula.api as smf\n"
        "d = pandas.read_csv(path)\n"
        "m = smf.mixedlm('Reaction ~ Days', d, groups='Subject', re_formula='~Days')\n"
        "print(m.fit().summary())\n"
    )

    def prepare(self, case: Case, frame: pd.DataFrame) -> Any:
        if isinstance(case.statsmodels, str):
            raise NotSupported(case.statsmodels)
        return frame.assign(one=1)  # the single group that crossed terms need

    def fit(self, case: Case, data: Any) -> Any:
        from statsmodels.regression.mixed_linear_model import MixedLM

        assert isinstance(case.statsmodels, dict)
        return MixedLM.from_formula(data=data, **case.statsmodels).fit()

    def outcome(self, fitted: Any) -> Outcome:
        return Outcome(-2.0 * float(fitted.llf), None, bool(fitted.converged))


ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (PartialPool(), Glmm(), LmePython(), MixedLm(), StatsModels())
}


def quiet() -> None:
    """Warnings are part of the packages' work but not of the report."""
    warnings.simplefilter("ignore")

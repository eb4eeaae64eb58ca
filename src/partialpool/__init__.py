"""Linear models and linear mixed models: lme4's language, Newton's method, checked answers.

Names are loaded when they are first used, so importing the package costs next to nothing.

Examples
--------
>>> import partialpool as pp
>>> sleep = pp.datasets.load("sleepstudy")
>>> fit = pp.lmer("Reaction ~ Days + (Days | Subject)", sleep)
>>> fit.params.round(2)
Intercept    251.41
Days          10.47
Name: params, dtype: float64
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import datasets
    from ._errors import (
        ConvergenceError,
        ConvergenceWarning,
        DataError,
        FormulaError,
        MissingDataWarning,
        PartialPoolError,
        PartialPoolWarning,
        RankDeficientWarning,
        SingularFitWarning,
        SpecificationError,
        UnavailableError,
    )
    from .api import anova, compare, components, lm, lmer, objective
    from .control import Control

__all__ = [
    "Control",
    "ConvergenceError",
    "ConvergenceWarning",
    "DataError",
    "FormulaError",
    "MissingDataWarning",
    "PartialPoolError",
    "PartialPoolWarning",
    "RankDeficientWarning",
    "SingularFitWarning",
    "SpecificationError",
    "UnavailableError",
    "__version__",
    "anova",
    "compare",
    "components",
    "datasets",
    "lm",
    "lmer",
    "objective",
]

_HOME = {
    "anova": "api",
    "compare": "api",
    "components": "api",
    "lm": "api",
    "lmer": "api",
    "objective": "api",
    "Control": "control",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'partialpool' has no attribute {name!r}")
    from importlib import import_module

    if name == "datasets":
        value: Any = import_module(".datasets", __name__)
    else:
        value = getattr(import_module(f".{_HOME.get(name, '_errors')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""The names that users type: these, and no others."""

from __future__ import annotations

import inspect

import pytest

import partialpool as pp
from partialpool import _errors

ERRORS = {
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
}
FUNCTIONS = {"anova", "compare", "components", "lm", "lmer", "objective"}
NAMES = ERRORS | FUNCTIONS | {"Control", "datasets", "__version__"}

BOTH = {
    "aic augment bic bse conf_int cooks_distance cov_params deviance df_model df_resid",
    "fittedvalues formula glance hatvalues llf model_matrix nobs params predict refit resid",
    "rstudent scale sigma simulate summary tidy tvalues update df pvalues",
    "anova bootstrap check contrast drop1 emmeans emtrends influence plot r2 report wald_test",
}
LINEAR = {"f_pvalue fvalue rsquared rsquared_adj"}
MIXED = {
    "icc profile ranova",
    "coef is_singular ngroups objective optimum ranef refit_ml reml reml_criterion",
    "singular_terms theta varcorr",
}


def words(lines: set[str]) -> set[str]:
    return {word for line in lines for word in line.split()}


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def test_names_of_the_package() -> None:
    assert set(pp.__all__) == NAMES
    assert len(pp.__all__) == len(NAMES)


def test_all_errors_are_public() -> None:
    assert set(_errors.__all__) - {"one_of", "warn"} == ERRORS


@pytest.mark.parametrize("name", ["glm", "glmer", "families"])
def test_names_of_later_releases_are_absent(name: str) -> None:
    assert not hasattr(pp, name)


def test_names_of_models() -> None:
    from partialpool.models import LinearMixedModel, LinearModel

    assert public(LinearModel) == words(BOTH) | words(LINEAR)
    assert public(LinearMixedModel) == words(BOTH) | words(MIXED)


def test_everything_public_has_a_docstring() -> None:
    from partialpool.models import LinearMixedModel, LinearModel

    for kind in (LinearModel, LinearMixedModel):
        bare = [name for name in public(kind) if not inspect.getdoc(getattr(kind, name))]
        assert not bare
    assert all(inspect.getdoc(getattr(pp, name)) for name in NAMES - {"__version__"})


SIGNATURES = {
    "lm": "formula data * weights offset contrasts missing",
    "lmer": "formula data * reml weights offset contrasts missing control",
    "objective": "formula data * reml weights offset contrasts missing control",
    "anova": "models * names test n seed n_jobs progress refit",
    "compare": "first second options",
    "components": "model rows",
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    parameters = inspect.signature(getattr(pp, name)).parameters.values()
    listed: list[str] = []
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and "*" not in listed:
            listed.append("*")
        listed.append(p.name)
    assert " ".join(listed) == SIGNATURES[name]


def test_the_tree_of_errors() -> None:
    for name in ("FormulaError", "DataError", "SpecificationError"):
        assert issubclass(getattr(pp, name), pp.PartialPoolError)
        assert issubclass(getattr(pp, name), ValueError)
    assert issubclass(pp.UnavailableError, AttributeError)
    for name in ERRORS:
        if name.endswith("Warning"):
            assert issubclass(getattr(pp, name), pp.PartialPoolWarning)

"""What an import, a fit and a printed fit load; each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

HEAVY = ("scipy", "pandas", "formulaic", "narwhals", "matplotlib", "joblib", "tqdm", "polars")


def loaded_after(code: str) -> set[str]:
    """Top-level packages and `scipy.stats` in `sys.modules` after the code has run."""
    script = textwrap.dedent(code) + "\nimport sys\nprint('MODULES', *sys.modules)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.rpartition("MODULES")[2].split())


def test_import_loads_numpy_at_most() -> None:
    modules = loaded_after("import partialpool")
    assert not modules & set(HEAVY)


@pytest.mark.parametrize("name", ["lm", "lmer", "objective", "Control", "datasets"])
def test_public_names_load_nothing_heavy(name: str) -> None:
    modules = loaded_after(f"import partialpool as pp; pp.{name}")
    assert not modules & {"pandas", "formulaic", "narwhals", "matplotlib", "joblib", "polars"}


def test_printed_fits_do_not_load_scipy_stats() -> None:
    modules = loaded_after(
        """
        import partialpool as pp
        sleep = pp.datasets.load("sleepstudy")
        print(pp.lm("Reaction ~ Days", sleep).summary())
        print(pp.lmer("Reaction ~ Days + (Days | Subject)", sleep).summary())
        """
    )
    assert "scipy.stats" not in modules
    assert not modules & {"formulaic", "matplotlib", "joblib", "tqdm"}


def test_dir_and_all_agree() -> None:
    import partialpool

    for name in partialpool.__all__:
        assert getattr(partialpool, name) is not None
    assert set(partialpool.__all__) <= set(dir(partialpool))


def test_unknown_name_is_an_attribute_error() -> None:
    import partialpool

    with pytest.raises(AttributeError, match="glmmer"):
        partialpool.glmmer  # noqa: B018

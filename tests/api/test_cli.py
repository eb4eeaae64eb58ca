"""The command line as a newcomer types it, wrong ways too."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import partialpool as pp
from partialpool.cli import main

MIXED = "Reaction ~ Days + (Days | Subject)"


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "sleep.csv"
    pp.datasets.load("sleepstudy").to_csv(path, index=False)
    return path


def test_version_and_help_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--version")
    assert (code, out) == (0, f"partialpool {pp.__version__}\n")
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert all(word in out for word in ("demo", "fit", "datasets", "examples:"))
    assert run(capsys, "fit", "--help")[0] == 0


def test_later_commands_are_absent(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "fit", "--help")[1] + run(capsys, "--help")[1]
    assert "--family" not in out


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert code == 2
    assert out == ""
    assert "usage:" in err


def test_fit_prints_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "fit", "hwy ~ displ + year", "mpg")
    assert (code, err) == (0, "")
    assert out == f"{pp.lm('hwy ~ displ + year', pp.datasets.load('mpg')).summary()}\n"


def test_a_bar_makes_a_mixed_model(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    code, out, err = run(capsys, "fit", MIXED, str(table))
    assert (code, err) == (0, "")
    assert "REML criterion at convergence: 1743.6" in out
    code, out, _ = run(capsys, "fit", MIXED, "Sleepstudy", "--ml")
    assert code == 0
    assert "1751.9" in out


def test_weights_are_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "fit", "hwy ~ displ", "mpg", "--weights", "cyl")
    assert code == 0
    assert "Weights: cyl" in out


def test_json_is_strict_and_exact(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    code, out, _ = run(capsys, "fit", MIXED, "sleepstudy", "--format", "json")
    assert code == 0
    found: dict[str, Any] = json.loads(out, parse_constant=refuse)
    fit = pp.lmer(MIXED, pp.datasets.load("sleepstudy"))
    assert found["fixed_effects"][0]["estimate"] == fit.params["Intercept"]
    assert found["criteria"]["reml_criterion"] == fit.reml_criterion


def test_csv_is_the_tidy_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "fit", MIXED, "sleepstudy", "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [r["term"] for r in rows] == [
        *("Intercept", "Days", "sd(Intercept)", "sd(Days)", "cor(Intercept, Days)"),
        "sd(Observation)",
    ]
    fit = pp.lmer(MIXED, pp.datasets.load("sleepstudy"))
    assert float(rows[1]["estimate"]) == fit.params["Days"]
    assert rows[2]["std_error"] == ""


def test_datasets_are_listed_with_their_sources(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "datasets")
    assert code == 0
    for name in pp.datasets.names():
        assert any(line.startswith(name) and "rows" in line for line in out.splitlines())
    assert "234 rows, 11 columns" in out
    assert "fueleconomy.gov" in out


@pytest.mark.parametrize("name", pp.datasets.names())
def test_a_printed_data_set_is_the_data_set(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    import pandas as pd

    code, out, _ = run(capsys, "datasets", name.upper())
    assert code == 0
    frame = pp.datasets.load(name)
    read = pd.read_csv(io.StringIO(out))
    assert list(read.columns) == list(frame.columns)
    for column in frame:
        assert list(read[column].astype(str)) == list(frame[column].astype(str))


def test_the_demo_answers_and_writes_its_page(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "demo")
    assert (code, err) == (0, "")
    page = Path("demo") / "report.html"
    assert str(page) in out
    assert "-3.61" in out
    assert "-2.39" in out
    assert "There is no OLS option" in " ".join(out.split())
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_compare_prints_why_they_differ(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    formula = "Reaction ~ Days + (Days | Subject)"
    code, out, err = run(capsys, "compare", formula, "sleepstudy")
    assert (code, err) == (0, "")
    assert out == f"{pp.compare(formula, pp.datasets.load('sleepstudy'))}\n"
    page = tmp_path / "page.html"
    code, _, err = run(capsys, "compare", formula, "sleepstudy", "--report", str(page))
    assert code == 0
    assert err == f"partialpool: wrote {page}\n"
    assert page.stat().st_size > 10_000


def test_fit_writes_a_report(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code, out, err = run(capsys, "fit", "hwy ~ displ", "mpg", "--report", str(page))
    assert code == 0
    assert "displ" in out
    assert err == f"partialpool: wrote {page}\n"
    assert "<svg" in page.read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "fit", "hwy ~ displ", "mpg", "--report", "x" * 300 + ".html")
    assert code == 2
    assert "displ" in out
    assert "cannot be written to xxx" in err


def test_the_demo_runs_again_and_says_where_it_cannot_write(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "demo") == run(capsys, "demo")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "demo").write_text("in the way")
    monkeypatch.chdir(elsewhere)
    code, out, err = run(capsys, "demo")
    assert code == 2
    assert "-2.39" in out
    assert "cannot be written to demo" in err
    assert "--report FILE" in err


def test_compare_by_maximum_likelihood(capsys: pytest.CaptureFixture[str]) -> None:
    formula = "hwy ~ displ + year + (1 | class)"
    code, out, _ = run(capsys, "compare", formula, "mpg", "--ml")
    assert code == 0
    assert out == f"{pp.compare(formula, pp.datasets.load('mpg'), reml=False)}\n"


def test_odd_column_names_go_in_backticks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "odd.csv"
    rows = "1,a,2\n2,a,3\n3,b,1\n5,b,4\n4,c,2\n6,c,3\n"
    path.write_text(f"Größe (cm),my group,x.y\n{rows}", encoding="utf-8")
    page = tmp_path / "odd.html"
    formula = "`Größe (cm)` ~ x.y + (1 | `my group`)"
    code, out, _ = run(capsys, "compare", formula, str(path), "--report", str(page))
    assert code == 0
    assert "my group" in out
    assert "Größe (cm)" in page.read_text(encoding="utf-8")
    code, _, err = run(capsys, "fit", "Größe ~ x.y", str(path))
    assert code == 2
    assert "Did you mean 'Größe (cm)'?" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("fit", "hwy ~ displ"), "DATA"),
        (("fitt", "hwy ~ displ", "mpg"), "no command 'fitt'. Did you mean 'fit'? The"),
        (("comprae", "hwy ~ displ", "mpg"), "Did you mean 'compare'?"),
        (("lmer", "hwy ~ displ + (1 | class)", "mpg"), "fit does both"),
        (("help",), "partialpool --help"),
        (("version",), "partialpool --version"),
        (("mpg",), "The commands are demo, fit, compare, datasets"),
        (("hwy ~ displ", "mpg"), 'partialpool fit "hwy ~ displ" data.csv'),
        (("compare", "mpg"), 'first a formula, in quotes, then the data: partialpool compare "y'),
        (("compare",), "FORMULA, DATA; first a formula"),
        (("fit", "hwy", "~", "displ", "mpg"), "goes in quotes"),
        (("fit", "mpg", "hwy ~ displ"), "the formula comes first"),
        (("compare", "mpg", "hwy ~ displ"), 'partialpool compare "hwy ~ displ" mpg'),
        (("compare", "hwy ~ displ", "mpg"), "(1 | g)"),
        (("compare", "hwy", "~", "displ", "mpg"), 'partialpool compare "y ~ x + (1 | g)"'),
        (("fit", "hwy ~ dipsl", "mpg"), "displ"),
        (("fit", "hwy ~ displ +", "mpg"), "^"),
        (("fit", "hwy ~ displ + (1 | class", "mpg"), "^"),
        (("fit", "hwy ~ displ", "mgp"), "Did you mean 'mpg'"),
        (("fit", "hwy ~ displ", "nowhere.csv"), "nowhere.csv"),
        (("fit", "hwy ~ displ", "mpg.csv"), "The bundled data set is called mpg, without .csv"),
        (("fit", "hwy ~ displ", "."), "is a directory"),
        (("compare", "hwy ~ displ | class", "mpg"), "stands in parentheses"),
        (("compare", "hwy ~ (1 | class)", "mpg", "--format", "json"), "usage: partialpool compare"),
        (("compare", "hwy ~ (1 | class)", "mpg", "--report"), "expected one argument"),
        (("compare", "hwy ~ (1 | class)", "mpg", "--report", ""), "needs the name of a file"),
        (("compare", "hwy ~ (1 | class)", "mpg", "--report", "no/x.html"), "no folder 'no'"),
        (("compare", "hwy ~ (1 | class)", "mpg", "--report", "."), "name a file in it: --report"),
        (("fit", "hwy ~ displ", "mpg", "--report", "no/x.html"), "Make it first"),
        (("fit", "hwy ~ displ", "data/nowhere.parquet"), "nowhere.parquet"),
        (("fit", "hwy ~ displ", "mpg.xlsx"), ".csv or .parquet"),
        (("fit", "hwy ~ displ", "mpg", "--ml"), "--ml"),
        (("fit", "hwy ~ displ", "mpg", "--weights", "cyll"), "cyl"),
        (("fit", "hwy ~ displ", "mpg", "--format", "xml"), "xml"),
        (("fit", "hwy ~ displ", "mpg", "--wieghts", "cyl"), "--wieghts"),
        (("fit", "class ~ displ", "mpg"), "class"),
        (("fit", "hwy ~ system('ls')", "mpg"), "system"),
        (("fit", "", "mpg"), "formula"),
        (("datasets", "iris"), "There is no data set 'iris'"),
        (("demo", "please"), "please"),
    ],
)
def test_a_mistake_gets_one_message_and_code_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert "error: " in err
    assert words in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 6


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n", b"\xff\xfe\x00broken", b'a,b\n1,2\n3,"4\n', b"y,x\n1,2\n"],
    ids=["empty", "header only", "not text", "open quote", "one row"],
)
def test_a_broken_file_gets_a_message(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "broken.csv"
    path.write_bytes(content)
    code, out, err = run(capsys, "fit", "y ~ x", str(path))
    assert (code, out) == (2, "")
    assert "error: " in err


def test_warnings_are_one_line_each(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    frame = pp.datasets.load("mpg")
    frame.loc[[1, 2], "displ"] = float("nan")
    frame["twice"] = 2 * frame["displ"]
    path = tmp_path / "holes.csv"
    frame.to_csv(path, index=False)
    code, out, err = run(capsys, "fit", "hwy ~ displ + twice", str(path))
    assert code == 0
    assert "232 of 234 rows" in out
    lines = err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("partialpool: warning: ") for line in lines)


def process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "partialpool", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, **options
    )


def test_a_closed_pipe_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "partialpool", "datasets", "mpg"]
    done = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    os.close(write)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_poor_terminal_encoding_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "größe.csv"
    path.write_text("größe,y\n" + "\n".join(f"{i},{i * i}" for i in range(9)), encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = process("fit", "y ~ größe", str(path), env=environment)
    assert done.returncode == 0
    assert "gr\\xf6\\xdfe" in done.stdout


def test_parsing_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom partialpool.cli import main\n"
        "try:\n    main(['fit', '--help'])\nexcept SystemExit:\n    pass\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    modules = set(done.stdout.rpartition("MODULES")[2].split())
    assert not modules & {"pandas", "scipy", "narwhals", "formulaic", "polars", "partialpool.api"}

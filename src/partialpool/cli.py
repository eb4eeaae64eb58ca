"""The command line: ``partialpool demo``, ``fit``, ``compare`` and ``datasets``.

Results go to standard output; warnings, one line each, and errors to standard error. A user's
mistake ends with exit code 2 and one message; a traceback is always a defect of the library.
"""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
import warnings
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from ._errors import DataError, PartialPoolError, PartialPoolWarning, SpecificationError
from ._version import __version__

if TYPE_CHECKING:
    from .models import LinearMixedModel, LinearModel

    Model = LinearModel | LinearMixedModel

__all__ = ["main"]

_EXAMPLES = """\
examples:
  partialpool demo
  partialpool fit "hwy ~ displ + year" mpg
  partialpool fit "Reaction ~ Days + (Days | Subject)" sleepstudy --ml
  partialpool fit "yield ~ dose + (1 | field)" trial.csv --weights plots --format json
  partialpool compare "hwy ~ displ + year + (1 | class)" mpg --report mpg.html
  partialpool datasets mpg > mpg.csv

The formula goes in quotes, because shells read (, | and ~ themselves.
"""

_FIT = """\
Fit a model and print its summary: a linear model, or, when the formula has a
term with a bar such as (1 | class), a linear mixed model by REML.
"""

_COMPARE = """\
Fit a mixed model and the linear model with the same fixed part; say in words why
they differ, and print the coefficients of both beside those without pooling.
"""

_DEMO = os.path.join("demo", "report.html")

_DATA = "a .csv or .parquet file, or the name of a bundled data set"

_REPORT = "also write a page of HTML, complete in one file"

_FORMATS = """\
text: the summary (default); json: the same numbers, exact, null where there is
none; csv: the tidy table, a row a coefficient (mixed models: then a row a
standard deviation or correlation of the random effects)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process when left out.

    Returns
    -------
    int
        The exit code: 0, or 2 after a user's mistake.
    """
    for stream in (sys.stdout, sys.stderr):
        _encode_anything(stream)
    try:
        code = _run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, `head` say, has seen enough. Python would complain again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("partialpool: interrupted", file=sys.stderr)
        return 130
    return code


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    first = next(iter(sys.argv[1:] if argv is None else argv), "-")
    parser.fitting = first if first in ("fit", "compare") else ""
    if first not in parser.commands and not first.startswith("-"):
        listed = ", ".join(parser.commands)
        parser.error(f"there is no command {first!r}.{_meant(first)} The commands are {listed}.")
    options = parser.parse_args(argv)
    if options.command is None:
        parser.print_help(sys.stderr)
        return 2
    run = {"demo": _demo, "fit": _fit, "compare": _compare, "datasets": _datasets}[options.command]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", PartialPoolWarning)
        warnings.showwarning = _show_warning
        try:
            run(options)
        except PartialPoolError as error:
            print(f"partialpool: error: {error}", file=sys.stderr)
            return 2
    return 0


class _Parser(argparse.ArgumentParser):
    """Says what to do: about formulas that a shell took to pieces, and words that are no command.

    Attributes
    ----------
    fitting : str
        The command that is asked for, if it takes a formula.
    commands : dict of str to _Parser
    """

    fitting = ""
    commands: Mapping[str, _Parser] = MappingProxyType({})

    def error(self, message: str) -> NoReturn:
        example = '"y ~ x + (1 | g)" data.csv'
        head, _, rest = message.partition("unrecognized arguments: ")
        if not head and self.fitting:
            # The command's own usage helps more than that of the program.
            quotes = f"; a formula goes in quotes: partialpool {self.fitting} {example}"
            self.commands[self.fitting].error(message + ("" if rest[:1] == "-" else quotes))
        if "required: " in message and "DATA" in message:
            message += f"; first a formula, in quotes, then the data: {self.prog} {example}"
        super().error(message)


def _meant(word: str) -> str:
    if "~" in word:
        return f' Put fit or compare before the formula: partialpool fit "{word}" data.csv.'
    if word.lower() in ("lm", "lmer"):
        return " fit does both: a formula with a bar, (1 | g), is a mixed model."
    if word.lower() in ("help", "version"):
        return f" Type partialpool --{word.lower()}."
    from difflib import get_close_matches

    close = get_close_matches(word.lower(), ["demo", "fit", "compare", "datasets"], 1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _parser() -> _Parser:
    parser = _Parser(
        prog="partialpool",
        description="Linear models and linear mixed models.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"partialpool {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    commands.add_parser(
        "demo",
        help="the mpg example: lm, lmer, why they differ, and a report",
        description="Fit the mpg example by lm and by lmer, say why they differ, and write the "
        f"report to {_DEMO}.",
        allow_abbrev=False,
    )
    fit = commands.add_parser(
        "fit",
        help="fit a formula to data and print the summary",
        description=_FIT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    fit.add_argument("formula", metavar="FORMULA", help='in quotes: "y ~ x + (1 | g)"')
    fit.add_argument("data", metavar="DATA", help=_DATA)
    fit.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    fit.add_argument("--weights", metavar="COL", help="column with weights of the rows")
    fit.add_argument("--format", choices=("text", "json", "csv"), default="text", help=_FORMATS)
    fit.add_argument("--report", metavar="FILE", help=_REPORT)
    compare = commands.add_parser(
        "compare",
        help="say why lm and lmer differ on a formula with a bar",
        description=_COMPARE,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    compare.add_argument("formula", metavar="FORMULA", help='in quotes: "y ~ x + (1 | g)"')
    compare.add_argument("data", metavar="DATA", help=_DATA)
    compare.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    compare.add_argument("--weights", metavar="COL", help="column with weights of the rows")
    compare.add_argument("--report", metavar="FILE", help=_REPORT)
    data = commands.add_parser(
        "datasets",
        help="list the bundled data sets, or print one as CSV",
        description="List the bundled data sets, or print one as CSV.",
        allow_abbrev=False,
    )
    data.add_argument("name", metavar="NAME", nargs="?", help="data set to print as CSV")
    parser.commands = commands.choices
    return parser


def _fit(options: argparse.Namespace) -> None:
    from .api import lm, lmer
    from .formula import parse

    _check_order(options)
    _check_report(options.report)
    data = _data(options.data)
    fit: Model
    if parse(options.formula).bars:
        fit = lmer(options.formula, data, reml=not options.ml, weights=options.weights)
    elif options.ml:
        raise SpecificationError(
            "--ml chooses between maximum likelihood and REML, which differ for mixed models only: "
            "the formula has no term such as (1 | g). Leave --ml out."
        )
    else:
        fit = lm(options.formula, data, weights=options.weights)
    if options.format == "csv":
        effects = ["fixed", "ran_pars"] if hasattr(fit, "varcorr") else ["fixed"]
        _print_csv(fit, effects)
    elif options.format == "json":
        print(fit.summary().as_json())
    else:
        print(fit.summary())
    _write_report(fit, options.report)


def _check_order(options: argparse.Namespace) -> None:
    if "~" not in options.formula and "~" in options.data:
        raise SpecificationError(
            f"{options.formula!r} has no ~, but {options.data!r} has: the formula comes first, "
            f'then the data: partialpool {options.command} "{options.data}" {options.formula}'
        )


def _check_report(path: str | None) -> None:
    """Refuse a place where no page can be written, before a fit that may take long."""
    if path is None:
        return
    folder = os.path.dirname(path)
    if not path:
        raise DataError("--report needs the name of a file to write: --report report.html")
    if os.path.isdir(path):
        inside = os.path.join(path, "report.html")
        raise DataError(f"--report {path} is a folder; name a file in it: --report {inside}")
    if folder and not os.path.isdir(folder):
        raise DataError(
            f"--report {path}: there is no folder {folder!r}. Make it first, or name another."
        )


def _write_report(of: Any, path: str | None) -> None:
    """Write a page; say where on standard error, so that output can be piped."""
    if path is None:
        return
    try:
        of.report(path)
    except OSError as error:
        raise DataError(f"The report cannot be written to {path}: {error.strerror}.") from None
    print(f"partialpool: wrote {path}", file=sys.stderr)


def _compare(options: argparse.Namespace) -> None:
    from .api import compare

    _check_order(options)
    _check_report(options.report)
    data = _data(options.data)
    found = compare(options.formula, data, reml=not options.ml, weights=options.weights)
    print(found)
    _write_report(found, options.report)


def _print_csv(fit: Model, effects: list[str]) -> None:
    import math

    from .report.tidy import tidy_columns

    columns = tidy_columns(fit._record, effects=effects, conf_int=False, level=0.95)

    def cell(value: object) -> object:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        return value

    rows = zip(*columns.values(), strict=True)
    _write_csv([list(columns), *([cell(v) for v in row] for row in rows)])


def _write_csv(rows: Iterable[Sequence[object]]) -> None:
    import csv

    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)


def _data(text: str) -> Any:
    """A path, which the table reads and complains about, or a bundled data set."""
    from . import datasets

    stem, ending = os.path.splitext(text)
    if ending == ".csv" and stem in datasets.names() and not os.path.exists(text):
        raise DataError(
            f"There is no file {text!r}. The bundled data set is called {stem}, without .csv."
        )
    if ending or os.path.dirname(text):
        return text
    try:
        return datasets.load(text)
    except DataError as error:
        if os.path.exists(text):
            return text
        raise DataError(f"{error} Or name a .csv or .parquet file.") from None


def _demo(options: argparse.Namespace) -> None:
    from . import datasets
    from .api import compare

    del options
    formula = "hwy ~ displ + year + (1 | class)"
    found = compare(formula, datasets.load("mpg"))
    print(found)
    try:
        os.makedirs(os.path.dirname(_DEMO), exist_ok=True)
        found.report(_DEMO)
    except OSError as error:
        raise DataError(
            f"The report cannot be written to {_DEMO}: {error.strerror}. Go to a folder of your "
            "own, or name a file:\n"
            f'partialpool compare "{formula}" mpg --report FILE'
        ) from None
    print(f"\nThe same with pictures, and a slider from lm to no pooling, is in {_DEMO}.")


def _datasets(options: argparse.Namespace) -> None:
    from . import datasets

    if options.name is not None:
        columns = datasets.load(options.name, backend="dict")
        rows = zip(*(c.tolist() for c in columns.values()), strict=True)
        _write_csv([list(columns), *rows])
        return
    import shutil

    sources = _sources()
    names = datasets.names()
    edge = max(map(len, names)) + 2
    wide = min(shutil.get_terminal_size((80, 24)).columns, 100)
    for name in names:
        about = sources[name]
        size = f"{about['rows']} rows, {len(about['columns'])} columns"
        print(f"{name:<{edge}}{size}: {about['title']}")
        indent = " " * edge
        print(textwrap.fill(about["source"], wide, initial_indent=indent, subsequent_indent=indent))


def _sources() -> dict[str, Any]:
    """Title, size and printed source of each bundled data set."""
    import tomllib
    from importlib.resources import files

    text = files("partialpool.datasets").joinpath("PROVENANCE.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """One line a warning, without the place in the code, which is ours and not the user's."""
    del category, filename, lineno, file, line
    print(f"partialpool: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _encode_anything(stream: Any) -> None:
    """Print letters that the terminal's encoding lacks as escapes, instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")

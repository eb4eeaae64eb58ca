"""formula: lme4's language read as R reads it, and errors that point into the text."""

from __future__ import annotations

import gc
import pickle
import time

import pytest

from partialpool._errors import FormulaError
from partialpool.formula import ModelFormula, _parse, parse, parse_random


def labels(terms):
    return [":".join(factor.text for factor in term) if term else "1" for term in terms]


def fixed(text, columns=None):
    return labels(parse(text, columns).fixed)


def bars(text):
    return [
        (bar.text, ":".join(f.text for f in bar.group), labels(bar.terms), bar.diagonal)
        for bar in parse(text).bars
    ]


LIMIT = 0.1  # seconds of this thread's own time: other work on the machine does not count


def seconds(function, *args):
    """Best of three, without the garbage collector: the parser's own time on a busy machine."""
    times = []
    gc.disable()
    try:
        for _ in range(3):
            start = time.thread_time()
            function(*args)
            times.append(time.thread_time() - start)
    finally:
        gc.enable()
    return min(times)


def refused(text, **options):
    with pytest.raises(FormulaError) as caught:
        parse(text, **options)
    return caught.value


# Right-hand sides and what R 4's terms() makes of them (attr "term.labels", with 1 for the
# intercept), written down from R's documentation of formula and its rules.
R_TERMS = {
    "x": "1 x",
    "a + b": "1 a b",
    "b + a + b": "1 b a",
    "a:b": "1 a:b",
    "a*b": "1 a b a:b",
    "a*b*c": "1 a b c a:b a:c b:c a:b:c",
    "a*b + c:a": "1 a b a:b a:c",
    "c:a + a*b": "1 a b c:a a:b",
    "a/b": "1 a a:b",
    "a/b/c": "1 a a:b a:b:c",
    "(a + b)/c": "1 a b a:b:c",
    "a/(b + c)": "1 a a:b a:c",
    "a %in% b": "1 a:b",
    "a + b %in% a": "1 a a:b",
    "a*b %in% c": "1 a b:c a:b:c",
    "(a + b)^2": "1 a b a:b",
    "(a + b + c)^2": "1 a b c a:b a:c b:c",
    "(a + b + c)**2 - a:b": "1 a b c a:c b:c",
    "a^2": "1 a",
    "a*b - a": "1 b a:b",
    "x - 1": "x",
    "x + 0": "x",
    "0 + x": "x",
    "-1 + x": "x",
    "x + -1": "x",
    "x - 0": "1 x",
    "x + 0 + 1": "1 x",
    "1": "1",
    "0": "",
    "x + (z - 1)": "x z",
    "x - (z - 1)": "1 x",
    "x - (z + 1)": "x",
    "a - a + b + a": "1 b a",
    "y + x": "1 x",
    "a:b + b:a": "1 a:b",
    "a:a": "1 a",
    "x + log(x) + I(x^2)": "1 x log(x) I(x^2)",
    "((x))": "1 x",
    "a + b:c + d": "1 a d b:c",
    "a:(b + c)": "1 a:b a:c",
    "a/b:c": "1 a a:b:c",
}


@pytest.mark.parametrize(("right", "expected"), R_TERMS.items(), ids=list(R_TERMS))
def test_terms_are_those_of_r(right, expected):
    assert fixed(f"y ~ {right}") == expected.split()


def test_factors_of_a_term_follow_the_order_in_which_variables_first_appear():
    assert fixed("y ~ b + a:b + c:a:b") == ["1", "b", "b:a", "b:a:c"]


def test_a_deleted_variable_still_counts_for_the_order():
    assert fixed("y ~ b - b + a:b") == ["1", "b:a"]


def test_two_spellings_of_one_factor_are_one_term():
    assert fixed("y ~ log(x) + np.log( x ) + I(x^2) + I( x**2 )") == ["1", "log(x)", "I(x^2)"]


def test_the_response_is_dropped_from_the_right_side():
    assert fixed("log(y) ~ log(y) + y + x") == ["1", "y", "x"]
    assert fixed("y ~ y*x") == ["1", "x", "y:x"]


class TestNames:
    @pytest.mark.parametrize(
        "name", ["class", "lambda", "cond.var", ".x", "_x", "größe", "体重", "हिन्दी", "x1", "True"]
    )
    def test_any_word_is_a_column(self, name):
        mf = parse(f"{name} ~ {name} + z + (1 | {name})")
        assert mf.response[0].text == name
        assert mf.bars[0].group[0].text == name

    @pytest.mark.parametrize(
        "name",
        [
            "my col",
            "a+b",
            "a\nb",
            "1st",
            "log(x)",
            "x[0]",
            "a`b",
            "a\\b",
            "~",
            ".",
            "__init__",
            "🦆",
        ],
    )
    def test_back_ticks_take_any_name_and_source_reads_back(self, name):
        from partialpool import expression
        from partialpool._tokens import quote

        mf = parse(f"y ~ {quote(name)} + x:{quote(name)} + ({quote(name)} | {quote(name)})")
        factor = mf.fixed[1][0]
        assert factor.text == name
        assert mf.bars[0].group[0].text == name
        compiled = expression.compile(factor.source)
        assert compiled.is_name
        assert compiled.names == (name,)
        assert expression.of_column(name) == compiled

    def test_a_back_ticked_call_is_a_column_and_no_call(self):
        mf = parse("y ~ `log(x)` + log(x)")
        assert [term[0].text for term in mf.fixed[1:]] == ["log(x)", "log(x)"]
        assert [term[0].source for term in mf.fixed[1:]] == ["`log(x)`", "log(x)"]

    def test_back_ticks_around_a_plain_word_change_nothing(self):
        assert fixed("y ~ `x` + x + log(`x`)") == ["1", "x", "log(x)"]


class TestResponse:
    @pytest.mark.parametrize(
        ("typed", "shown"),
        [
            ("y", "y"),
            ("log( y )", "log(y)"),
            ("y/n", "y/n"),
            ("y-1", "y - 1"),
            ("cbind(incidence, size-incidence)", "cbind(incidence, size - incidence)"),
            ("I(y^2)", "I(y^2)"),
            ("(y)", "y"),
            ("`the y`", "the y"),
        ],
    )
    def test_response_is_any_expression(self, typed, shown):
        assert [f.text for f in parse(f"{typed} ~ x").response] == [shown]

    @pytest.mark.parametrize(
        "text", ["C(y) ~ x", "poly(y, 2) ~ x", "offset(y) ~ x", ". ~ x", "1 ~ x"]
    )
    def test_what_cannot_be_a_response_is_refused(self, text):
        refused(text)

    def test_a_one_sided_formula_needs_leave(self):
        assert parse("~ x", response=False).response == ()
        assert "no response" in refused("~ x").message


class TestRandom:
    def test_bars_are_read_in_order(self):
        assert bars("y ~ x + (1 | g) + (x|h) + (0+x | g) + (x - 1 + z||k)") == [
            ("(1 | g)", "g", ["1"], False),
            ("(x | h)", "h", ["1", "x"], False),
            ("(0 + x | g)", "g", ["x"], False),
            ("(x - 1 + z || k)", "k", ["x", "z"], True),
        ]

    def test_nesting_gives_the_inner_group_first(self):
        assert bars("y ~ (x | a/b)") == [
            ("(x | b:a)", "b:a", ["1", "x"], False),
            ("(x | a)", "a", ["1", "x"], False),
        ]
        assert [b[1] for b in bars("y ~ (1 | a/b/c)")] == ["c:b:a", "b:a", "a"]
        assert [b[1] for b in bars("y ~ (1 | a/(b/c))")] == ["c:b:a", "b:a", "a"]

    def test_interaction_groups_keep_their_order(self):
        assert [b[:2] for b in bars("y ~ (1 | a:b)")] == [("(1 | a:b)", "a:b")]
        assert [b[1] for b in bars("y ~ (1 | a:b/c)")] == ["c:a:b", "a:b"]
        assert [b[1] for b in bars("y ~ (1 | a/(b:c))")] == ["b:c:a", "a"]

    def test_expressions_and_products_stand_before_a_bar(self):
        assert bars("y ~ (log(x)*f | g)")[0][2] == ["1", "log(x)", "f", "log(x):f"]
        assert bars("y ~ (poly(x, 2) || g)")[0][2] == ["1", "poly(x, 2)"]

    def test_a_logical_or_inside_a_call_is_no_bar(self):
        mf = parse("y ~ I(a | b) + (I(a > 1 | b > 1) | g)")
        assert labels(mf.fixed) == ["1", "I(a | b)"]
        assert labels(mf.bars[0].terms) == ["1", "I(a > 1 | b > 1)"]

    def test_several_bars_on_one_group_are_legal(self):
        assert len(bars("y ~ (1 | g) + (x | g)")) == 2
        assert len(bars("y ~ (1 | g) + (0 + x | g)")) == 2
        assert len(bars("y ~ ((1 | g) + (1 | h))")) == 2

    def test_variables_of_a_bar_do_not_set_the_order_of_the_fixed_part(self):
        assert fixed("y ~ (b | g) + a:b") == ["1", "a:b"]

    @pytest.mark.parametrize(
        "text",
        ["y ~ (1|g) + (1|g)", "y ~ (1|a/b) + (1|b:a)", "y ~ (x+z|g) + (1 + z + x || g)"],
    )
    def test_the_same_bar_twice_is_refused(self, text):
        assert "twice" in refused(text).message

    @pytest.mark.parametrize(
        ("text", "position", "part"),
        [
            ("y ~ x | g", 6, "write (x | g)"),
            ("y ~ 1|g", 5, "write (x | g)"),
            ("y ~ (1 | g | h)", 11, "inside another"),
            ("y ~ ((1 | g) | h)", 13, "inside another"),
            ("y ~ (x + (1 | g) | h)", 17, "inside another"),
            ("y ~ (1 | (x | g))", 12, "inside another"),
            ("y ~ ( | g)", 6, "nothing before"),
            ("y ~ (1 | )", 9, "no grouping factor"),
            ("y ~ (0 | g)", 7, "no column"),
            ("y ~ (1 | factor(g))", 9, "not a call"),
            ("y ~ (1 | a + b)", 11, "(1 | a) + (1 | b)"),
            ("y ~ (1 | a*b)", 10, "(1 | a:b)"),
            ("y ~ (1 | 2)", 9, "column"),
            ("y ~ (1 | a:)", 11, "missing"),
            ("y ~ (1 | (a/b):c)", 14, "nesting"),
            ("y ~ (1 | .)", 9, "column"),
            ("y ~ (. | g)", 5, "'.'"),
            ("y ~ (offset(x) | g)", 12, "offset"),
            ("y ~ x*(1 | g)", 6, "only be added"),
            ("y ~ (1 | g):x", 4, "only be added"),
            ("y ~ (1 | g)^2", 4, "only be added"),
            ("y ~ x - (1 | g)", 8, "added"),
        ],
    )
    def test_a_wrong_bar_is_shown_with_its_place(self, text, position, part):
        error = refused(text)
        assert part in error.message
        assert error.position == position


class TestOffset:
    def test_offsets_are_cut_out(self):
        mf = parse("y ~ x + offset(log(n)) + offset( z )")
        assert [f.text for f in mf.offsets] == ["log(n)", "z"]
        assert labels(mf.fixed) == ["1", "x"]

    @pytest.mark.parametrize(
        "text",
        [
            "y ~ x:offset(z)",
            "y ~ x - offset(z)",
            "y ~ log(offset(z))",
            "y ~ offset()",
            "y ~ offset(1)",
            "y ~ offset(a, b)",
            "y ~ offset(C(a))",
            "y ~ offset(poly(a, 2))",
        ],
    )
    def test_an_offset_can_only_be_added(self, text):
        refused(text)


class TestDot:
    COLUMNS = ("y", "a", "b", "g", "n")

    def test_a_dot_waits_for_the_columns(self):
        assert parse("y ~ . + (1 | g)").dot
        assert parse("y ~ .:a + .^2").dot
        assert not parse("y ~ .", self.COLUMNS).dot

    def test_a_dot_is_what_is_not_used_elsewhere(self):
        assert fixed("y ~ .", self.COLUMNS) == ["1", "a", "b", "g", "n"]
        assert fixed("log(y) ~ . + offset(log(n)) + (b | g)", self.COLUMNS) == ["1", "a"]
        assert fixed("y ~ . - a", self.COLUMNS) == ["1", "b", "g", "n"]
        assert fixed("y ~ n + .", self.COLUMNS) == ["1", "n", "a", "b", "g"]

    def test_a_dot_takes_part_in_the_algebra(self):
        assert fixed("y ~ .^2 + (1 | g)", ("y", "a", "b", "g")) == ["1", "a", "b", "a:b"]
        assert fixed("y ~ .:a", ("y", "a", "b")) == ["1", "a", "a:b"]

    def test_names_with_spaces_pass_through_a_dot(self):
        mf = parse("y ~ .", ("y", "my col"))
        assert mf.fixed[1][0].text == "my col"
        assert mf.fixed[1][0].source == "`my col`"


class TestParseRandom:
    def test_bars_alone_are_read(self):
        mf = parse_random("~ (1 | Subject) + (0 + Days | Subject)")
        assert mf.fixed == ()
        assert [bar.text for bar in mf.bars] == ["(1 | Subject)", "(0 + Days | Subject)"]
        assert parse_random("~ 0").bars == ()

    @pytest.mark.parametrize("text", ["~ x + (1|g)", "y ~ (1|g)", "(1|g)", "~ .", "~ offset(x)"])
    def test_anything_else_is_refused(self, text):
        with pytest.raises(FormulaError):
            parse_random(text)


SYNTAX = [
    ("", 0, "empty"),
    ("   ", 0, "empty"),
    ("y", None, "no '~'"),
    ("y x", None, "no '~'"),
    ("y ~", 3, "right of '~'"),
    ("~ x", 0, "no response"),
    ("y ~ x ~ z", 6, "second '~'"),
    ("(y ~ x)", 3, "inside parentheses"),
    ("y ~ (x", 4, "not closed"),
    ("y ~ x)", 5, "closes nothing"),
    ("y ~ x +", 7, "needs something after it"),
    ("y ~ x + * z", 8, "needs something after it"),
    ("y ~ x z", 6, "operator is missing"),
    ("y ~ x 2", 6, "number 2"),
    ("y ~ 2*x", 4, "I(2*x)"),
    ("y ~ x > 2", 6, "comparison"),
    ("y ~ -x", 4, "I(-x)"),
    ("y ~ x:1", 5, "no column"),
    ("y ~ x^1.5", 6, "whole number"),
    ("y ~ x^0", 6, "whole number"),
    ("y ~ x^11", 6, "whole number"),
    ("y ~ x^z", 6, "whole number"),
    ("y ~ x^2^2", 7, "chained"),
    ("y ~ ()", 5, "needs something"),
    ("y ~ lgo(x)", 4, "Did you mean log()"),
    ("y ~ np.where(x, 1, 0)", 4, "in the data first"),
    ("y ~ log()", 8, "Did not expect"),
    ("y ~ log(x, 2, 3)", 4, "1 or 2 arguments"),
    ("y ~ sqrt(x, 2)", 4, "1 argument, not 2"),
    ("y ~ log(x", 7, "not closed"),
    ("y ~ cbind(a, b)", 4, "left of '~'"),
    ("y ~ 'a'", 4, "string"),
    ("y ~ x $ z", 6, "'$'"),
    ("y ~ 3x", 4, "runs into a name"),
    ("y ~ `x", 4, "not closed"),
    ("y ~ ``", 4, "no name"),
    ("y ~ I(3)", 4, "no column"),
    ("y ~ I(x = 3)", 8, "'=='"),
    ("y ~ I(1 < x < 3)", 12, "chained"),
    ("y ~ I(x:z)", 7, "no interaction"),
    ("y ~ I(drv == 'f')", 13, "string"),
    ("y ~ log(poly(x, 2))", 4, "several columns"),
    ("y ~ poly(x, 51)", 4, "from 1 to 50"),
    ("y ~ bs(x, df=51)", 4, "from 3 to 50"),
    ("y ~ cr(x, df=51)", 4, "from 2 to 50"),
]


@pytest.mark.parametrize(("text", "position", "part"), SYNTAX, ids=[case[0] for case in SYNTAX])
def test_a_syntax_error_points_into_the_formula(text, position, part):
    error = refused(text)
    assert part in error.message
    assert error.position == position
    assert error.formula == text
    if position is not None and text.strip():
        shown, caret = str(error).splitlines()[-2:]
        assert caret.index("^") == 4 + position
        assert shown[4:] == text


def test_unknown_functions_are_answered_with_the_list():
    message = refused("y ~ frobnicate(x)").message
    for name in ("log", "poly", "scale", "C", "I", "cr", "offset"):
        assert name in message


@pytest.mark.parametrize("value", [None, 3, b"y ~ x", ["y ~ x"], {"a": 1}, object()])
def test_what_is_not_a_string_is_named_by_type(value):
    assert type(value).__name__ in refused(value).message


HOSTILE = [
    "y ~ x.__class__",
    "y ~ x.__class__.__mro__",
    "y ~ I(x.__class__)",
    "y ~ __import__('os').system('true')",
    "y ~ I(__import__('os'))",
    "y ~ import os",
    "y ~ I(lambda: 0)",
    "y ~ lambda x: x",
    "y ~ [i for i in x]",
    "y ~ I([i for i in x])",
    "y ~ {x for x in y}",
    "y ~ {x}",
    "y ~ x.map(abs)",
    "y ~ I(x.real.conjugate())",
    "y ~ f'{x}'",
    'y ~ I(f"{x}")',
    "y ~ (z := x)",
    "y ~ I((z := x))",
    "y ~ x[0]",
    "y ~ I(x[0])",
    "y ~ eval('x')",
    "y ~ exec(x)",
    "y ~ getattr(x, 'y')",
    "y ~ open('x')",
    "y ~ np.load('x')",
    "y ~ np.testing(x)",
    "y ~ np.ndarray(x)",
    "y ~ os.system(x)",
    "y ~ log.__call__(x)",
    "y ~ np.log.reduce(x)",
    "y ~ (a + b + c)**14",
    "y ~ (a + b + c)^99999999999999999999",
    "y ~ I(9**9**9)",
    "y ~ I(x**9**9**9)",
    "y ~ I(x^101)",
    "y ~ I(2^-101 + x)",
    "y ~ I(x + 1e999)",
    "y ~ x\0",
    "y ~ `x\0`",
    "y ~ \ud800",
    "y ~ `\ud800`",
    "y ~ C(x, Treatment('\ud800'))",
    "y ~ x; z",
    "y ~ x # z",
    "y ~ x \\ z",
    "y ~ if x else z",
    "y ~ I(x if z else 1)",
    "y ~ I(not x)",
    "y ~ I(x and z)",
    "y ~ I(*x)",
    "y ~ log(**x)",
    "y ~ log(x)(z)",
    "y ~ (log)(x)",
    "y ~ `log`(x)",
    "y ~ I(x)[0]",
    "y ~ I(x).T",
    "y ~ x²",
    "y ~ 0x10",
    "y ~ I(x + 5j)",
    "y ~ I(x + 1_000)",
    "y ~ bs(x, knots=[1, 2])",
    "y ~ poly(x, degree=z)",
    "y ~ poly(x, **k)",
    "y ~ scale(x, center=print)",
    "y ~ C(x, eval)",
    "y ~ C(x, Treatment(eval('1')))",
    "y ~ @x",
    "y ~ " + "(" * 10**6,
    "y ~ " + "(" * 9_000 + "x" + ")" * 9_000,
    "y ~ " + "+".join(f"x{i}" for i in range(501)),
    "y ~ " + "*".join(f"x{i}" for i in range(10)),
    "y ~ (" + "+".join(f"x{i}" for i in range(40)) + ")^3",
    "y ~ (" + "+".join(f"x{i}" for i in range(490)) + ")^10",
    "y ~ " + "+".join(["(a+b+c+d+e+f+g+h)^10"] * 200),
    "y ~ " + "+".join(f"(1 | g{i})" for i in range(501)),
    "y ~ (1 | " + "/".join(f"g{i}" for i in range(30)) + ")",
    "y ~ " + "-" * 30_000 + "x",
    "y ~ I(" + "-" * 19_000 + "x)",
    "y ~ I(x + " + "*".join(["9"] * 400) + ")",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_refused_at_once(text):
    assert seconds(lambda: str(refused(text))) < LIMIT


def test_long_legal_formulas_stay_quick():
    texts = [
        "y ~ " + "+".join(f"x{i}" for i in range(499)),
        "y ~ " + "+".join(f"log(x{i})" for i in range(499)),
        "y ~ " + "+".join(["x"] * 2_400),
        "y ~ I(" + "^".join(["x"] * 2_400) + ")",
        "y ~ I(" + "-" * 4_000 + "x)",
        "y ~ " + "(" * 50 + "x" + ")" * 50,
        "y ~ " + "log(" * 50 + "x" + ")" * 50,
        "y ~ " + ":".join(f"x{i}" for i in range(900)),
        "y ~ (" + "+".join(f"x{i}" for i in range(31)) + ")^2",
    ]
    for text in texts:
        assert seconds(_parse.__wrapped__, text, None, True) < LIMIT


def test_a_formula_is_parsed_once_and_travels():
    mf = parse("y ~ log(x)*`a b` + offset(z) + (x || g/h)")
    assert parse("y ~ log(x)*`a b` + offset(z) + (x || g/h)") is mf
    copy = pickle.loads(pickle.dumps(mf))
    assert copy == mf
    assert isinstance(copy, ModelFormula)


def test_positions_point_at_the_factors():
    text = "log(y) ~ xx + zz:xx + offset(nn) + (1 | gg)"
    mf = parse(text)
    assert mf.fixed[1][0].position == text.index("xx")
    assert mf.fixed[2][1].position == text.index("zz")
    assert mf.offsets[0].position == text.index("nn")
    assert mf.bars[0].position == text.index("(1 |")
    assert mf.bars[0].group[0].position == text.index("gg")

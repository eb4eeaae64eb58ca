"""expression: an allow-list of functions, compiled once, learnt once, applied to any data."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

from partialpool import expression
from partialpool._errors import DataError, FormulaError
from partialpool.expression import Contrast

ROUNDING = 1e-12  # relative; a few operations in double precision
DATA = {
    "x": np.array([1.0, 2.0, 3.5, 4.0, 7.0, 9.0, 10.0, 12.5]),
    "z": np.array([0.5, -1.0, 2.0, 0.25, 3.0, 1.0, 2.5, -2.0]),
    "m": np.array([1.0, np.nan, 3.0, 2.0, 5.0, np.nan, 4.0, 6.0]),
    "my col": np.arange(8.0),
}


def value(text, data=DATA):
    compiled = expression.compile(text)
    return expression.apply(
        compiled, data.__getitem__, expression.learn(compiled, data.__getitem__)
    )


def rows(chosen):
    return {name: column[chosen] for name, column in DATA.items()}


def refused(text):
    with pytest.raises(FormulaError) as caught:
        expression.compile(text)
    return caught.value


class TestSpelling:
    @pytest.mark.parametrize(
        ("typed", "shown"),
        [
            ("log( x )", "log(x)"),
            ("np.log(x)", "np.log(x)"),
            ("I(age ^ 2)", "I(age^2)"),
            ("I(age ** 2)", "I(age**2)"),
            ("I(a+b)", "I(a + b)"),
            ("I( a-b * -c / d )", "I(a - b * -c/d)"),
            ("I(-x+ +z)", "I(-x + +z)"),
            ("I(x>=2&z!=1)", "I(x >= 2 & z != 1)"),
            ("I(a%%2)", "I(a %% 2)"),
            ("poly( x,2 , raw = TRUE )", "poly(x, 2, raw=TRUE)"),
            ("C(drv,Treatment( 'r' ))", "C(drv, Treatment('r'))"),
            ('C(drv, Treatment("r"))', 'C(drv, Treatment("r"))'),
            ("log(`my col`)", "log(`my col`)"),
            ("log(`x`)", "log(x)"),
            ("(x)", "x"),
            ("`my col`", "my col"),
            ("size-incidence", "size - incidence"),
            ("I(1e-3*x)", "I(1e-3 * x)"),
            ("log(\n x)", "log(x)"),
        ],
    )
    def test_spaces_are_normalised_and_powers_stay_as_typed(self, typed, shown):
        assert expression.compile(typed).text == shown

    @pytest.mark.parametrize(
        "text", ["x", "`my col`", "log(`my col`)", "I(x^2 - 1/z)", "C(x, Sum)", "bs(x, df=4)"]
    )
    def test_source_and_pickle_give_the_expression_back(self, text):
        compiled = expression.compile(text)
        assert expression.compile(compiled.source) == compiled
        copy = pickle.loads(pickle.dumps(compiled))
        assert copy == compiled
        assert copy.text == compiled.text

    def test_spellings_of_one_computation_are_equal(self):
        same = ["I(log(x)^2)", "I(np.log( x )**2)", "I((log(x)) ^ 2.0)"]
        assert len({expression.compile(text) for text in same}) == 1
        assert expression.compile("ceiling(x)") == expression.compile("np.ceil(x)")
        assert expression.compile("I(x - 1)") != expression.compile("I(1 - x)")


class TestAttributes:
    def test_names_come_in_order_of_appearance_once(self):
        assert expression.compile("I(z*x + z/`my col`)").names == ("z", "x", "my col")

    def test_kinds_are_told_apart(self):
        kinds = {
            text: (c.is_name, c.is_categorical, c.is_pair, c.stateful, c.width)
            for text in (
                "x",
                "log(x)",
                "C(x)",
                "factor(x)",
                "cbind(x, z)",
                "scale(x)",
                "poly(x, 3)",
            )
            for c in [expression.compile(text)]
        }
        assert kinds == {
            "x": (True, False, False, False, 1),
            "log(x)": (False, False, False, False, 1),
            "C(x)": (False, True, False, False, 1),
            "factor(x)": (False, True, False, False, 1),
            "cbind(x, z)": (False, False, True, False, 2),
            "scale(x)": (False, False, False, True, 1),
            "poly(x, 3)": (False, False, False, True, 3),
        }

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("log(x)", ("log(x)",)),
            ("scale(x)", ("scale(x)",)),
            ("poly(x)", ("poly(x)",)),
            ("bs(x, df=1, degree=1)", ("bs(x, df=1, degree=1)",)),
            ("poly(x, 2)", ("poly(x, 2)[1]", "poly(x, 2)[2]")),
            ("bs(x, df=4)", tuple(f"bs(x, df=4)[{k}]" for k in range(1, 5))),
            ("bs(x, knots=c(3, 5), degree=1)", ("[1]", "[2]", "[3]")),
            ("cr(x, df=3)", ("[1]", "[2]", "[3]")),
            ("cr(x, knots=c(3, 5))", ("[1]", "[2]", "[3]")),
            ("cbind(incidence, size-incidence)", ("incidence", "size - incidence")),
        ],
    )
    def test_columns_are_named_and_as_many_as_computed(self, text, names):
        compiled = expression.compile(text)
        prefix = compiled.text if names[0].startswith("[") else ""
        assert expression.column_names(compiled) == tuple(prefix + name for name in names)
        if "size" not in text:
            assert value(text).shape == ((8,) if len(names) == 1 else (8, len(names)))


class TestArithmetic:
    x, z = DATA["x"], DATA["z"]

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("I(x + z^2)", x + z**2),
            ("I(x + z**2)", x + z**2),
            ("I(-x^2)", -(x**2)),
            ("I(2^-x)", 2**-x),
            ("I(2^-x^2/z)", 2 ** -(x**2) / z),
            ("I(2^z^2)", 2 ** (z**2)),
            ("I((x + z)^2)", (x + z) ** 2),
            ("I(x - z - 1)", x - z - 1),
            ("I(x - (z - 1))", x - (z - 1)),
            ("I(x / z / 2)", x / z / 2),
            ("I(x*z + 3*-z)", x * z + 3 * -z),
            ("I(- - x)", x),
            ("I(x %% 2 * 3)", (x % 2) * 3),
            ("I(2 * x %% 3)", 2 * (x % 3)),
            ("I(z %% -2)", z % -2),
            ("I(x %/% 2)", x // 2),
            ("I(x > 3)", (x > 3) * 1.0),
            ("I(x > 3 & z <= 1 | z == 2)", ((x > 3) & (z <= 1) | (z == 2)) * 1.0),
            ("I(!x > 3)", (x <= 3) * 1.0),
            ("I((x > 3) + 1)", (x > 3) + 1.0),
            ("log(x + 1)", np.log(x + 1)),
            ("log(x, 2)", np.log2(x)),
            ("log(x, base=10)", np.log10(x)),
            ("log(x, 3)", np.log(x) / np.log(3)),
            ("sqrt(abs(z))", np.sqrt(abs(z))),
            ("pmax(x - 3, 0)", np.maximum(x - 3, 0)),
            ("np.minimum(x, z)", np.minimum(x, z)),
            ("numpy.exp(z)", np.exp(z)),
            ("I(x + log(10) * 2^3)", x + math.log(10) * 8),
            ("I(x^0.5)", np.sqrt(x)),
            ("`my col`", DATA["my col"]),
            ("I(`my col` + x)", DATA["my col"] + x),
        ],
        ids=str,
    )
    def test_arithmetic_is_that_of_r(self, text, expected):
        np.testing.assert_allclose(value(text), expected, rtol=ROUNDING)

    @pytest.mark.parametrize(
        "name",
        "log log2 log10 log1p exp exp2 expm1 sqrt cbrt abs sign floor ceil round sin cos tan "
        "arcsin arccos arctan sinh cosh tanh arcsinh arctanh".split(),
    )
    def test_functions_are_numpys_bare_and_prefixed(self, name):
        data = {"x": np.linspace(0.05, 0.95, 7)}
        expected = getattr(np, name)(data["x"])
        np.testing.assert_array_equal(value(f"{name}(x)", data), expected)
        np.testing.assert_array_equal(value(f"np.{name}(x)", data), expected)

    def test_r_names_are_known_bare_only(self):
        data = {"x": np.array([0.2, 0.7])}
        np.testing.assert_array_equal(value("asin(x)", data), np.arcsin(data["x"]))
        np.testing.assert_array_equal(value("ceiling(x)", data), [1.0, 1.0])
        refused("np.ceiling(x)")
        refused("np.pmin(x, 1)")
        refused("np.log(x, 2)")

    def test_squares_are_exact_products(self):
        x = np.array([0.1, 1e8 + 0.3, 3.3])
        np.testing.assert_array_equal(value("I(x^2)", {"x": x}), x * x)

    def test_missing_stays_missing_in_comparisons_and_logic(self):
        missing = np.isnan(DATA["m"])
        for text in (
            "I(m > 2)",
            "I(m == 1)",
            "I(!m)",
            "I(m > 2 | x > 0)",
            "I(m != m)",
            "pmax(m, 2)",
        ):
            np.testing.assert_array_equal(np.isnan(value(text)), missing)

    def test_infinite_and_undefined_values_come_back_without_a_warning(self):
        data = {"x": np.array([0.0, -1.0, 1e300])}
        np.testing.assert_array_equal(value("log(x)", data), [-np.inf, np.nan, np.log(1e300)])
        np.testing.assert_array_equal(value("I(x^2)", data), [0.0, 1.0, np.inf])
        np.testing.assert_array_equal(value("I(1/x)", data)[0], np.inf)
        assert np.isnan(value("sqrt(x)", data)[1])

    def test_the_data_are_not_changed(self):
        before = {name: column.copy() for name, column in DATA.items()}
        for text in ("I(-x)", "scale(x)", "poly(x, 2)", "bs(x, df=4)", "cr(x, df=3)", "I(x > z)"):
            value(text)
        for name, column in DATA.items():
            np.testing.assert_array_equal(column, before[name])

    def test_constants_are_folded_and_bounded(self):
        assert "exponent" in refused("I(x^(2*60))").message.lower()
        assert "exponent" in refused("I(9**9**9 * x)").message.lower()
        assert "finite" in refused("I(x + 1/0)").message
        assert "finite" in refused("I(x + log(-1))").message
        assert "finite" in refused("I(x + exp(710))").message
        assert value("I(x^100)").shape == (8,)


class TestScale:
    def test_scale_is_rs_with_one_degree_of_freedom(self):
        x = DATA["x"]
        np.testing.assert_allclose(value("scale(x)"), (x - x.mean()) / x.std(ddof=1), rtol=ROUNDING)
        np.testing.assert_allclose(value("scale(x, scale=False)"), x - x.mean(), rtol=ROUNDING)
        np.testing.assert_allclose(value("center(x)"), x - x.mean(), rtol=ROUNDING)
        root_mean_square = np.sqrt(np.sum(x**2) / 7)
        np.testing.assert_allclose(
            value("scale(x, center=FALSE)"), x / root_mean_square, rtol=ROUNDING
        )
        np.testing.assert_array_equal(value("scale(x, FALSE, FALSE)"), x)

    def test_missing_values_are_skipped_and_stay(self):
        m = DATA["m"]
        np.testing.assert_allclose(
            value("scale(m)"), (m - np.nanmean(m)) / np.nanstd(m, ddof=1), rtol=ROUNDING
        )

    def test_scaling_a_constant_is_a_data_error_at_any_size(self):
        for constant in (0.0, 1.0, 0.1, 1e12, -1e-9):
            with pytest.raises(DataError, match=r"scale\(x\).*constant"):
                value("scale(x)", {"x": np.full(7, constant)})

    @pytest.mark.parametrize("size", [1e-300, 1e-200, 1e160, 1e300])
    def test_extreme_sizes_are_scaled_as_any_other(self, size):
        expected = value("scale(x)")
        np.testing.assert_allclose(value("scale(x)", {"x": DATA["x"] * size}), expected, rtol=1e-12)
        with pytest.raises(DataError, match="overflows"):
            value("scale(x)", {"x": np.array([1.7e308, -1.7e308, 1.7e308, 1.7e308])})

    def test_states_nest(self):
        log = np.log(DATA["x"])
        standard = (log - log.mean()) / log.std(ddof=1)
        np.testing.assert_allclose(value("scale(log(x))"), standard, rtol=ROUNDING)
        np.testing.assert_allclose(value("I(scale(log(x))^2)"), standard**2, rtol=1e-10)
        np.testing.assert_allclose(
            value("I(center(x) * center(z))"),
            (DATA["x"] - DATA["x"].mean()) * (DATA["z"] - DATA["z"].mean()),
            rtol=1e-10,
        )


class TestPoly:
    def test_poly_is_rs(self):
        # R's poly(1:5, 2): exact values of the orthogonal contrasts (-2..2)/sqrt(10) and
        # (2, -1, -2, -1, 2)/sqrt(14).
        expected = np.array([[-2, -1, 0, 1, 2], [2, -1, -2, -1, 2]]).T / np.sqrt([10.0, 14.0])
        got = value("poly(x, 2)", {"x": np.arange(1.0, 6.0)})
        np.testing.assert_allclose(got, expected, atol=1e-15)

    @pytest.mark.parametrize("shift", [0.0, 1e6, -1e9])
    @pytest.mark.parametrize("scale", [1e-290, 1e-12, 1.0, 1e12, 1e290])
    def test_poly_does_not_feel_shift_and_scale(self, shift, scale):
        x = np.arange(20.0)
        expected = value("poly(x, 4)", {"x": x})
        got = value("poly(x, 4)", {"x": (x + shift) * scale})
        np.testing.assert_allclose(got, expected, atol=1e-6 if shift else 1e-12)

    @pytest.mark.parametrize("degree", [1, 2, 5, 12])
    def test_columns_are_orthonormal_and_centred(self, degree):
        x = np.random.default_rng(1).normal(size=60) * 3 + 100
        P = value(f"poly(x, {degree})", {"x": x})
        np.testing.assert_allclose(P.T @ P, np.eye(degree), atol=1e-8)
        np.testing.assert_allclose(P.sum(axis=0), 0, atol=1e-8)

    def test_poly_agrees_with_formulaic(self):
        from formulaic.transforms.poly import poly

        for degree in (1, 3, 5):
            expected = np.squeeze(poly(DATA["x"], degree))
            np.testing.assert_allclose(value(f"poly(x, {degree})"), expected, atol=1e-11)

    def test_raw_powers(self):
        expected = np.stack([DATA["x"], DATA["x"] ** 2, DATA["x"] ** 3], axis=1)
        np.testing.assert_allclose(value("poly(x, 3, raw=True)"), expected, rtol=ROUNDING)
        np.testing.assert_allclose(value("poly(x, degree=3, raw=TRUE)"), expected, rtol=ROUNDING)

    def test_too_few_distinct_values_are_a_data_error(self):
        with pytest.raises(DataError, match="at least 4 distinct values; its column has 3"):
            value("poly(x, 3)", {"x": np.array([1.0, 2, 3, 1, 2, 3])})

    def test_a_degree_that_rounding_defeats_is_a_data_error(self):
        with pytest.raises(DataError, match="lower degree"):
            value("poly(x, 50)", {"x": np.linspace(0, 1, 52)})


class TestSplines:
    def test_bs_has_rs_knots_and_columns(self):
        from scipy.interpolate import BSpline

        x = DATA["x"]
        inner = np.quantile(x, [1 / 3, 2 / 3])  # R: df - degree = 2 quantiles
        knots = np.r_[[x.min()] * 4, inner, [x.max()] * 4]
        expected = BSpline.design_matrix(x, knots, 3).toarray()[:, 1:]
        np.testing.assert_allclose(value("bs(x, df=5)"), expected, atol=1e-14)
        typed = f"bs(x, knots=c({inner[0]:.17g}, {inner[1]:.17g}))"
        np.testing.assert_allclose(value(typed), expected, atol=1e-14)

    def test_bs_with_intercept_adds_up_to_one(self):
        B = value("bs(x, df=6, intercept=True)")
        np.testing.assert_allclose(B.sum(axis=1), 1, rtol=ROUNDING)
        np.testing.assert_array_equal(B, value("bs(x, df=6, include_intercept=TRUE)"))

    def test_bs_continues_its_polynomials_beyond_the_data(self):
        compiled = expression.compile("bs(x, df=5)")
        state = expression.learn(compiled, DATA.__getitem__)
        far = np.linspace(12.5, 20, 9)  # one cubic piece beyond the last knot
        out = expression.apply(compiled, {"x": far}.__getitem__, state)
        assert np.abs(np.diff(out, n=4, axis=0)).max() < 1e-9
        assert np.abs(np.diff(out, n=3, axis=0)).max() > 1e-3

    def test_cr_is_a_centred_natural_cubic_spline(self):
        from scipy.interpolate import CubicSpline

        compiled = expression.compile("cr(x, df=4)")
        state = expression.learn(compiled, DATA.__getitem__)
        out = expression.apply(compiled, DATA.__getitem__, state)
        np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-12)
        knots = np.quantile(DATA["x"], np.linspace(0, 1, 5))

        def at(x):
            return expression.apply(compiled, {"x": x}.__getitem__, state)

        natural = CubicSpline(knots, at(knots), bc_type="natural")
        fine = np.linspace(1, 12.5, 200)
        np.testing.assert_allclose(at(fine), natural(fine), atol=1e-10)
        beyond = np.linspace(13, 20, 8)  # a straight line, as a natural spline's
        assert np.abs(np.diff(at(beyond), n=2, axis=0)).max() < 1e-10

    @pytest.mark.parametrize(
        ("text", "part"),
        [
            ("bs(x, knots=c(3, 100))", "knot at 100"),
            ("bs(x, knots=1)", "knot at 1,"),
            ("bs(x, knots=c(3, 3, 3, 3))", "4 knots at 3"),
            ("bs(x, knots=3, lower_bound=5)", "knot at 3"),
            ("bs(x, df=4, lower_bound=5, upper_bound=2)", "not below"),
            ("bs(x, df=4, upper_bound=1)", "not below"),
            ("cr(x, knots=c(3, 100))", "100"),
            ("cr(x, df=4, lower_bound=30)", "not below"),
        ],
    )
    def test_knots_and_bounds_that_make_no_basis_are_a_data_error(self, text, part):
        with pytest.raises(DataError, match=part):
            value(text)

    def test_ties_that_push_a_knot_to_the_edge_are_a_data_error(self):
        x = np.r_[np.zeros(10), np.arange(1.0, 6.0), np.full(20, 9.0)]
        with pytest.raises(DataError, match="many values tie"):
            value("bs(x, df=5)", {"x": x})

    def test_bs_may_start_inside_the_data(self):
        whole = value("bs(x, knots=6, lower_bound=2, upper_bound=12)")
        assert np.isfinite(whole).all()
        assert np.linalg.matrix_rank(np.c_[np.ones(8), whole]) == 5

    def test_missing_values_stay_missing_in_every_column(self):
        for text in ("bs(m, df=4)", "cr(m, df=3)", "poly(m, 2)", "poly(m, 2, raw=True)"):
            out = value(text)
            np.testing.assert_array_equal(
                np.isnan(out), np.repeat(np.isnan(DATA["m"])[:, None], out.shape[1], axis=1)
            )

    def test_what_the_data_cannot_carry_is_a_data_error(self):
        with pytest.raises(
            DataError, match=r"cr\(x, df=6\) needs at least 7 distinct values; its column has 3"
        ):
            value("cr(x, df=6)", {"x": np.array([1.0, 2, 3, 1, 2, 3])})
        for text in ("bs(x, df=4)", "cr(x, df=4)", "poly(x, 2)", "scale(x)", "center(x)"):
            with pytest.raises(DataError, match="all missing"):
                value(text, {"x": np.full(5, np.nan)})
            with pytest.raises(DataError, match="infinite"):
                value(text, {"x": np.array([1.0, 2, 3, 4, 5, np.inf])})


STATEFUL = [
    "scale(x)",
    "center(x)",
    "scale(x, center=False)",
    "poly(x, 3)",
    "poly(x, 2, raw=True)",
    "bs(x, df=5)",
    "bs(x, knots=c(3, 5), degree=2)",
    "bs(x, knots=4, lower_bound=0, upper_bound=20)",
    "cr(x, df=4)",
    "cr(x, knots=c(3, 5))",
    "scale(log(x))",
    "poly(log(x), 2)",
    "I(scale(x) * center(z) + scale(m))",
    "bs(scale(x), df=4)",
]


@pytest.mark.parametrize("text", STATEFUL)
def test_a_subset_of_the_rows_reuses_what_the_fit_learnt(text):
    compiled = expression.compile(text)
    state = expression.learn(compiled, DATA.__getitem__)
    whole = expression.apply(compiled, DATA.__getitem__, state)
    for chosen in (slice(2, 4), slice(5, 6), [7, 0, 3]):
        part = expression.apply(compiled, rows(chosen).__getitem__, state)
        np.testing.assert_allclose(part, whole[chosen], rtol=ROUNDING, atol=1e-15)


@pytest.mark.parametrize("text", STATEFUL)
def test_states_pickle_small_and_compare(text):
    compiled = expression.compile(text)
    state = expression.learn(compiled, DATA.__getitem__)
    packed = pickle.dumps(state)
    assert len(packed) < 1_000
    copy = pickle.loads(packed)
    assert copy == state
    np.testing.assert_array_equal(
        expression.apply(compiled, DATA.__getitem__, copy),
        expression.apply(compiled, DATA.__getitem__, state),
    )


@pytest.mark.parametrize("text", ["x", "log(x)", "I(x^2)", "cbind(x, z)"])
def test_expressions_without_memory_have_no_state(text):
    assert expression.learn(expression.compile(text), DATA.__getitem__) is None


def test_a_column_that_is_refused_says_so_itself():
    def column(name):
        raise DataError(f"Column {name!r} is text.")

    with pytest.raises(DataError, match="'x'"):
        expression.apply(expression.compile("log(x)"), column, None)


def test_a_pair_has_two_columns():
    np.testing.assert_array_equal(
        value("cbind(x, z - x)"), np.stack([DATA["x"], DATA["z"] - DATA["x"]], axis=1)
    )


class TestContrasts:
    @pytest.mark.parametrize(
        ("text", "contrast"),
        [
            ("f", None),
            ("C(f)", None),
            ("factor(f)", None),
            ("as.factor(f)", None),
            ("C(f, Treatment)", Contrast("treatment")),
            ("C(f, Treatment())", Contrast("treatment")),
            ("C(f, Treatment('r'))", Contrast("treatment", base="r")),
            ('C(f, Treatment(reference="r"))', Contrast("treatment", base="r")),
            ("C(f, Treatment(2008))", Contrast("treatment", base=2008)),
            ("C(f, Treatment(-1))", Contrast("treatment", base=-1)),
            ("C(f, Treatment(True))", Contrast("treatment", base=True)),
            ("C(f, contr.treatment)", Contrast("treatment")),
            ("C(f, contr.treatment(base=2))", Contrast("treatment", position=1)),
            ("C(f, contr.treatment(base='r'))", Contrast("treatment", base="r")),
            ("C(f, contr.treatment('r'))", Contrast("treatment", base="r")),
            ("C(f, Sum)", Contrast("sum")),
            ("C(f, contr.sum)", Contrast("sum")),
            ("C(f, contrasts=contr.sum())", Contrast("sum")),
            ("C(f, 'sum')", Contrast("sum")),
            ("C(f, Helmert)", Contrast("helmert")),
            ("C(f, contr.helmert)", Contrast("helmert")),
            ("C(f, Poly)", Contrast("poly")),
            ("C(f, contr.poly)", Contrast("poly")),
        ],
    )
    def test_spellings_of_python_and_r_are_read(self, text, contrast):
        assert expression.contrast_of(expression.compile(text)) == ("f", contrast)

    @pytest.mark.parametrize(
        "text",
        [
            "C()",
            "C(f, Foo)",
            "C(f, contr.treatment(4))",
            "C(f, contr.treatment(base=0))",
            "C(f, contr.treatment(base=1.5))",
            "C(f, Treatment(None))",
            "C(f, Treatment(x))",
            "C(f, Sum(2))",
            "C(f, Sum, 2)",
            "C(log(f))",
            "C(f + g)",
            "C(2)",
            "log(C(f))",
            "I(C(f) + 1)",
            "factor(f, Sum)",
            "Treatment(f)",
        ],
    )
    def test_wrong_contrasts_are_refused(self, text):
        refused(text)

    def test_a_number_without_contrast_has_none(self):
        with pytest.raises(TypeError):
            expression.contrast_of(expression.compile("log(x)"))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "empty"),
        ("x ~ z", "no '~'"),
        ("x z", "Did not expect 'z'"),
        ("poly(x, 0)", "from 1 to 50"),
        ("poly(x, 2.5)", "2.5"),
        ("poly(x, True)", "True"),
        ("poly(x, 2, raw=1)", "True or False"),
        ("poly(x, 2, raw=True, 4)", "degree, raw"),
        ("poly(x, 2, degree=3)", "degree, raw"),
        ("poly(x, foo=3)", "degree, raw"),
        ("poly(2, 2)", "column"),
        ("poly(x, z)", "not a constant"),
        ("scale(x, 3)", "True or False"),
        ("center(x, 3)", "none"),
        ("bs(x, df=2)", "from 3 to 50"),
        ("bs(x, df=4, knots=3)", "one of df= and knots="),
        ("bs(x, knots='a')", "number"),
        ("bs(x, knots=c(1, 'a'))", "number"),
        ("bs(x, df=4, lower_bound='a')", "number"),
        ("bs(x, degree=0)", "no column"),
        ("cr(x)", "one of df= and knots="),
        ("cr(x, df=1)", "from 2 to 50"),
        ("cr(x, df=3, constraints='none')", "centred"),
        ("cbind(x)", "two columns"),
        ("cbind(x, y, z)", "two columns"),
        ("I(cbind(x, y) + 1)", "inside another"),
        ("I()", "Did not expect"),
        ("I(x, y)", "Did not expect ','"),
        ("offset(x)", "only be added"),
        ("standardize(x)", "scale(x)"),
        ("min(x, 2)", "pmin"),
        ("ns(x, df=3)", "cr(x, df=k)"),
        ("I(x || z)", "'||'"),
        ("I(x ^ )", "needs something after it"),
        ("I(`log`(x))", "not a function"),
    ],
)
def test_wrong_calls_say_what_is_wrong(text, part):
    assert part in refused(text).message


@pytest.mark.parametrize("value", [None, 3, b"x"])
def test_what_is_not_a_string_is_named_by_type(value):
    assert type(value).__name__ in refused(value).message


def test_compiling_loads_nothing_but_numpy():
    import subprocess
    import sys

    code = (
        "import sys; from partialpool import formula, expression; "
        "formula.parse('y ~ log(x) + poly(x, 2) + (1 | g)'); expression.compile('bs(x, df=4)'); "
        "heavy = {'pandas', 'scipy', 'formulaic', 'narwhals'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

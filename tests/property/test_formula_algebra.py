"""Random bar-free formulas: our algebra of terms against formulaic's, and laws of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partialpool.formula import parse

NAMES = st.sampled_from(["a", "b", "c", "d", "log(a)"])


def binary(children):
    return st.builds(
        lambda left, op, right: f"({left}) {op} ({right})",
        children,
        st.sampled_from(["+", "+", ":", "*", "/", "-"]),
        children,
    )


def power(children):
    return st.builds(lambda inside, k: f"({inside})**{k}", children, st.integers(1, 3))


TREES = st.recursive(NAMES, lambda c: binary(c) | power(c), max_leaves=6)

# Without parentheses the two languages have to agree on binding strength as well.
FLAT = st.builds(
    lambda first, rest: first + "".join(f" {op} {name}" for op, name in rest),
    NAMES,
    st.lists(st.tuples(st.sampled_from(["+", ":", "*", "/", "-"]), NAMES), max_size=5),
)
ENDS = st.sampled_from(["", " + 0", " - 1", " + 1"])


def ours(right):
    return [frozenset(f.text for f in term) for term in parse(f"y ~ {right}").fixed]


def theirs(right):
    from formulaic.parser import DefaultFormulaParser

    terms = DefaultFormulaParser().get_terms(right)
    return [
        frozenset(str(f) for f in term.factors if str(f) != "1")
        for term in getattr(terms, "root", terms)
    ]


def comparable(right):
    """Whether no operand of `:` or `/` has been emptied by a minus: there we refuse."""
    from partialpool._errors import FormulaError

    try:
        parse(f"y ~ {right}")
    except FormulaError as error:
        problem = error.message
    else:
        return True
    assert "no column" in problem
    return False


@given(TREES, ENDS)
def test_terms_are_those_of_formulaic(tree, end):
    right = tree + end
    if comparable(right):
        assert set(ours(right)) == set(theirs(right))


@given(FLAT, ENDS)
def test_binding_strength_is_that_of_formulaic(flat, end):
    right = flat + end
    if comparable(right):
        assert set(ours(right)) == set(theirs(right))


@given(TREES)
def test_terms_are_sorted_by_degree_and_distinct(tree):
    if comparable(tree):
        found = ours(tree)
        assert len(set(found)) == len(found)
        degrees = [len(term) for term in found]
        assert degrees == sorted(degrees)


@given(TREES)
def test_factors_follow_the_first_appearance_of_their_variables(tree):
    if comparable(tree):
        places = {}
        for i in range(len(tree)):
            for name in ("log(a)", "a", "b", "c", "d"):
                if tree.startswith(name, i) and not tree[:i].endswith("log("):
                    places.setdefault(name, i)
        for term in parse(f"y ~ {tree}").fixed:
            order = [places[f.text] for f in term]
            assert order == sorted(order)


@given(TREES, TREES)
def test_star_is_main_effects_and_interaction(left, right):
    if comparable(f"({left}):({right})"):
        expected = ours(f"({left}) + ({right}) + ({left}):({right})")
        assert ours(f"({left})*({right})") == expected


@given(TREES, TREES)
def test_slash_is_the_left_side_and_everything_within_it(left, right):
    if comparable(f"({left}):({right})"):
        within = f"({right}) %in% ({left})"
        expected = {frozenset.union(*ours(left), t) for t in ours(right) if t} | set(ours(left))
        assert set(ours(f"({left})/({right})")) == expected
        assert set(ours(within)) - {frozenset()} <= expected


@given(TREES, st.integers(1, 3))
def test_caret_and_double_star_are_one_operator(tree, k):
    if comparable(tree):
        assert ours(f"({tree})^{k}") == ours(f"({tree})**{k}")


@given(TREES, ENDS)
def test_spaces_do_not_matter(tree, end):
    right = tree + end
    if comparable(right):
        assert ours(right.replace(" ", "")) == ours(right.replace(" ", "  \n"))


@given(TREES)
def test_bars_do_not_touch_the_fixed_part(tree):
    if comparable(tree):
        assert ours(f"(a*z | g) + {tree} + (0 + d || h)") == ours(tree)


@pytest.mark.parametrize("right", ["a*b*c - a:b:c", "(a + b + c)**2 - a", "a/b/c + d", "a + b:c*d"])
def test_known_cases_agree_with_formulaic(right):
    assert set(ours(right)) == set(theirs(right))

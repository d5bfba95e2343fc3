import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from convviz.core import display
from convviz.ui.widgets.scope import EACH, FIXED, ColourScope, own_levels

maps = st.builds(
    lambda seed, scale, shape: scale * np.random.default_rng(seed).normal(size=shape),
    st.integers(0, 1000),
    st.sampled_from([1e-6, 1.0, 1e6]),
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4)),
)


@given(maps=maps)
def test_each_map_has_its_own_largest_number(maps: NDArray[np.float64]) -> None:
    assert own_levels(maps).ravel().tolist() == [display.signed_levels(one) for one in maps]


def test_levels_leave_out_what_is_not_finite() -> None:
    maps = np.array([[[np.nan, -2.0]], [[np.inf, 0.0]], [[0.0, 0.0]]])
    assert own_levels(maps).ravel().tolist() == [2.0, 1.0, 1.0]


def test_a_fixed_level_is_that_of_the_moment() -> None:
    scope, small, large = ColourScope(), np.array([-2.0, 1.0]), np.array([5.0, 1.0])
    assert [scope.level("a", values) for values in (large, small)] == [5.0, 2.0]
    scope.choose(FIXED)
    assert [scope.level("a", small), scope.level("a", large), scope.level("b", large)] == [2.0, 2.0, 5.0]
    scope.forget()
    assert scope.level("a", large) == 5.0
    scope.choose(EACH)
    assert scope.level("a", small) is None
    scope.choose(FIXED)
    assert scope.level("a", small) == 2.0

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from convviz.core import statistics as module
from convviz.core.control import StoppedError, StopToken
from convviz.core.statistics import BINS, filter_facts, statistics

SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6)
NUMBERS = st.one_of(
    arrays.arrays(np.float32, SHAPES),
    arrays.arrays(np.float64, SHAPES, elements=st.floats(width=32)),
    *(arrays.arrays(dtype, SHAPES) for dtype in (np.int8, np.int64, np.uint16, np.bool_)),
)
FILTERS = arrays.arrays(np.float32, (4, 2, 2, 2), elements=st.integers(-2, 2).map(float))


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK", 7)


@given(NUMBERS)
def test_it_is_what_torch_says_of_the_finite_numbers(values: NDArray[np.generic]) -> None:
    found = statistics(values)
    tensor = torch.from_numpy(values.astype(np.float64)).flatten()
    finite = tensor[tensor.isfinite()]
    assert found.count == tensor.numel()
    assert found.nans == tensor.isnan().sum()
    assert found.infs == tensor.isinf().sum()
    assert found.zeros == (tensor == 0).sum()
    assert found.histogram.sum() == len(finite)
    if not len(finite):
        assert np.isnan([found.minimum, found.maximum, found.mean, found.std, *found.edges]).all()
        return
    assert found.minimum == finite.min()
    assert found.maximum == finite.max()
    size = float(finite.abs().max())
    assert found.mean == pytest.approx(float(finite.mean()), rel=1e-9, abs=1e-9 * size)
    if len(finite) == 1:
        assert np.isnan(found.std)
    else:
        assert found.std == pytest.approx(float(finite.std()), rel=1e-6, abs=1e-9 * size)


@given(arrays.arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e6, 1e6, width=32)))
def test_every_number_lies_between_the_edges_of_its_bar(values: NDArray[np.float64]) -> None:
    found = statistics(values)
    slack = 1e-9 * (1 + np.abs(values).max())
    assert np.all(np.diff(found.edges) >= 0)
    for bar in np.flatnonzero(found.histogram):
        low, high = found.edges[bar] - slack, found.edges[bar + 1] + slack
        assert np.count_nonzero((low <= values) & (values <= high)) >= found.histogram[bar]


def test_known_numbers() -> None:
    found = statistics(np.array([[0.0, 1.0], [np.nan, 63.0], [64.0, -np.inf]]))
    assert (found.count, found.zeros, found.nans, found.infs) == (6, 1, 1, 1)
    assert (found.minimum, found.maximum, found.mean) == (0.0, 64.0, 32.0)
    assert found.std == pytest.approx(36.37764)
    assert found.edges.tolist() == list(range(65))
    assert np.flatnonzero(found.histogram).tolist() == [0, 1, 63]
    assert found.histogram[63] == 2  # the last edge belongs to the last bar


def test_one_number_stands_in_the_middle() -> None:
    found = statistics(np.full(3, 2.0))
    assert (found.edges[0], found.edges[-1]) == (1.5, 2.5)
    assert found.histogram[BINS // 2] == 3


@pytest.mark.parametrize("values", [[1e308, -1e308], [5e-324, 0.0], [1.0, np.nextafter(1, 2)]])
def test_the_widest_and_the_narrowest_spans_have_a_histogram(values: list[float]) -> None:
    found = statistics(np.array(values))
    assert found.histogram.sum() == 2
    assert np.isfinite(found.edges).all()


def test_complex_numbers_are_measured_by_their_magnitude() -> None:
    found = statistics(np.array([3 + 4j, 0, complex(np.nan, 0)]))
    assert (found.minimum, found.maximum, found.zeros, found.nans) == (0.0, 5.0, 1, 1)


def test_views_are_read_in_pieces_and_not_copied() -> None:
    base = np.arange(24.0).reshape(4, 6)
    for view in (base.T, base[:, ::2], np.broadcast_to(np.arange(3.0), (5, 3))):
        assert statistics(view).mean == view.mean()


@given(FILTERS)
def test_filters_are_compared_one_by_one(weight: NDArray[np.float32]) -> None:
    facts = filter_facts(weight)
    rows = torch.from_numpy(weight).double().flatten(1)
    np.testing.assert_allclose(facts.norms, rows.norm(dim=1))
    np.testing.assert_allclose(facts.variances, rows.var(dim=1, correction=0))
    assert facts.broken == ()
    assert facts.dead == tuple(index for index, row in enumerate(rows) if not row.any())
    firsts = {tuple(row.tolist()): index for index, row in reversed(list(enumerate(rows)))}
    same = [(firsts[tuple(row.tolist())], index) for index, row in enumerate(rows) if row.any()]
    assert facts.duplicates == tuple(pair for pair in same if pair[0] != pair[1])


def test_faults_are_told_apart() -> None:
    weight = np.random.default_rng(0).normal(size=(7, 3, 2, 2))
    weight[1] = 0
    weight[2] = 0
    weight[3] = weight[0]
    weight[4, 0, 0, 0] = np.nan
    weight[5, 0, 0, 0] = np.inf
    facts = filter_facts(weight)
    assert (facts.dead, facts.duplicates, facts.broken) == ((1, 2), ((0, 3),), (4, 5))
    assert np.flatnonzero(~np.isfinite(facts.norms)).tolist() == [4, 5]


def test_huge_weights_are_not_broken() -> None:
    assert filter_facts(np.full((1, 1, 1, 2), 1e200)).broken == ()


@pytest.mark.parametrize("shape", [(0, 3, 3, 3), (2, 0, 3, 3)])
def test_no_filters_have_no_faults(shape: tuple[int, ...]) -> None:
    facts = filter_facts(np.zeros(shape, np.float32))
    assert len(facts.norms) == len(facts.variances) == shape[0]
    assert facts.duplicates == ()
    assert facts.broken == ()


def test_it_can_be_stopped() -> None:
    token = StopToken()
    token.request_stop()
    with pytest.raises(StoppedError):
        statistics(np.zeros(3), token)

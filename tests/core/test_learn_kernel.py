import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.core.learn_kernel import MAX_HISTORY, Descent, KernelState, KernelTask, step
from convviz.core.window import ShapeError


def edge_task() -> KernelTask:
    image = np.ones((6, 8))
    image[:, 2:6] = 0
    return KernelTask(image, np.array([[1.0, -1.0]]))


def run(state: KernelState, steps: int, rate: float, momentum: float = 0.0) -> list[KernelState]:
    states = [state]
    for _ in range(steps):
        states.append(step(states[-1], rate, momentum))
    return states


def test_known_losses() -> None:
    states = run(edge_task().start(), 10, rate=0.03)
    assert states[0].loss is None
    assert states[1].loss == 12
    losses = [states[number].loss for number in (2, 4, 6, 8, 10)]
    assert losses == pytest.approx([4.915, 0.825, 0.138, 0.023, 0.004], abs=5e-4)
    assert [state.num_steps for state in states] == list(range(11))
    assert states[0].error == pytest.approx(math.sqrt(2))
    assert states[-1].error < 0.03


def test_why_a_rate_diverges() -> None:
    task = edge_task()
    assert task.largest_curvature == pytest.approx(60)
    assert task.rate_limit() == pytest.approx(2 / 60)
    start = task.start([[0.5, 0.5]])
    assert run(start, 300, rate=0.033)[-1].error < 0.1
    assert run(start, 300, rate=0.034)[-1].error > 1e4


def test_divergence_ends_before_numbers_do() -> None:
    last = run(edge_task().start([[0.5, 0.5]]), 400, rate=10)[-1]
    assert last.diverged
    assert last.num_steps < 400
    assert last.loss is not None
    assert math.isfinite(last.loss)
    assert np.isfinite(last.kernel).all()
    assert step(last, rate=0.01).diverged


@settings(max_examples=40)
@given(
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(0, 6), st.integers(0, 6)),
    seed=st.integers(0, 2**32 - 1),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
)
def test_steps_are_those_of_torch(sizes: tuple[int, int, int, int], seed: int, momentum: float) -> None:
    kh, kw, more_rows, more_cols = sizes
    rng = np.random.default_rng(seed)
    task = KernelTask(rng.normal(size=(kh + more_rows, kw + more_cols)), rng.normal(size=(kh, kw)))
    start = rng.normal(size=(kh, kw))
    rate = task.rate_limit() / 2
    x, target = torch.tensor(task.input)[None, None], torch.tensor(task.target)[None, None]
    weight = torch.tensor(start)[None, None].requires_grad_()
    optimizer = torch.optim.SGD([weight], rate, momentum)
    state = task.start(start)
    for _ in range(4):
        state = step(state, rate, momentum)
        optimizer.zero_grad()
        loss = (torch.nn.functional.conv2d(x, weight) - target).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        assert state.loss == pytest.approx(loss.item(), rel=1e-9, abs=1e-9)
        np.testing.assert_allclose(state.kernel, weight.detach()[0, 0].numpy(), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(state.output, task.output(state.kernel))
    assert task.loss(state.kernel) == pytest.approx(((state.output - task.target) ** 2).sum(), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_the_limit_parts_convergence_from_divergence(momentum: float) -> None:
    rng = np.random.default_rng(1)
    task = KernelTask(rng.normal(size=(9, 9)), rng.normal(size=(3, 3)))
    limit = task.rate_limit(momentum)
    assert run(task.start(), 3000, 0.98 * limit, momentum)[-1].error < 1
    assert run(task.start(), 3000, 1.02 * limit, momentum)[-1].error > 1e6


def test_nothing_to_see_nothing_to_learn() -> None:
    task = KernelTask(np.zeros((3, 3)), np.ones((2, 2)))
    assert (task.largest_curvature, task.rate_limit()) == (0, math.inf)
    assert step(task.start(), rate=1).loss == 0


def test_what_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="The hidden kernel is 8×1; at most 7×7 would fit"):
        KernelTask(np.zeros((9, 9)), np.zeros((8, 1)))
    with pytest.raises(ShapeError, match="The hidden kernel is 3×3; at most 2×7 would fit"):
        KernelTask(np.zeros((2, 9)), np.zeros((3, 3)))
    with pytest.raises(ShapeError, match="input is 9; it must be rows × columns"):
        KernelTask(np.zeros(9), np.zeros((3, 3)))
    with pytest.raises(ValueError, match="input holds numbers that are not finite"):
        KernelTask(np.full((3, 3), np.nan), np.zeros((2, 2)))
    with pytest.raises(ShapeError, match="The kernel is 2×1, but the hidden one is 1×2"):
        edge_task().start([[1], [1]])


def descend(descent: Descent, steps: int, rate: float, momentum: float = 0.0) -> Descent:
    for _ in range(steps):
        descent.step(rate, momentum)
    return descent


def test_a_descent_remembers_its_way() -> None:
    descent = descend(Descent(edge_task().start()), 10, rate=0.03)
    steps, losses = descent.loss_curve
    assert steps.tolist() == list(range(1, 11))
    assert losses[[0, 1, 3, 5, 7, 9]] == pytest.approx([12, 4.915, 0.825, 0.138, 0.023, 0.004], abs=5e-4)
    steps, errors = descent.error_curve
    assert steps.tolist() == list(range(11))
    assert errors[[0, 10]] == pytest.approx([math.sqrt(2), descent.state.error])
    assert not descent.diverged


def test_a_descent_starts_with_nothing_but_its_error() -> None:
    descent = Descent(edge_task().start())
    assert [len(values) for values in descent.loss_curve] == [0, 0]
    assert [values.tolist() for values in descent.error_curve] == [[0], [math.sqrt(2)]]
    assert not descent.settled


def test_a_long_descent_keeps_its_last_steps() -> None:
    descent = descend(Descent(edge_task().start()), MAX_HISTORY + 5, rate=1e-9)
    for steps, values in (descent.loss_curve, descent.error_curve):
        assert len(steps) == len(values) == MAX_HISTORY
        assert steps[0] == 6
        assert steps[-1] == MAX_HISTORY + 5
    assert descent.error_curve[1][-1] == descent.state.error


@pytest.mark.parametrize(("rate", "momentum"), [(0.034, 0.0), (0.04, 0.0), (10, 0.0), (1e12, 0.0), (0.065, 0.9)])
def test_a_descent_ends_where_it_diverges(rate: float, momentum: float) -> None:
    descent = descend(Descent(edge_task().start([[0.5, 0.5]])), 1500, rate, momentum)
    assert descent.diverged
    ended = descent.state.num_steps
    assert ended < 1500
    assert np.isfinite(descent.loss_curve[1]).all()
    assert np.isfinite(descent.state.output).all()
    assert descend(descent, 3, 0.01).state.num_steps == ended


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), size=st.tuples(st.integers(1, 7), st.integers(1, 7)))
def test_a_rate_below_the_limit_settles(seed: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    task = KernelTask(rng.normal(size=(24, 24)), rng.normal(size=size))
    descent = Descent(task.start())
    while not descent.settled:
        descent.step(0.9 * task.rate_limit())
        assert descent.state.num_steps < 5000
    assert descent.state.error < 1e-11 * np.linalg.norm(task.hidden)
    np.testing.assert_allclose(descent.state.output, task.target, atol=1e-9)


def test_nothing_to_learn_settles_at_once() -> None:
    assert descend(Descent(KernelTask(np.zeros((3, 3)), np.ones((2, 2))).start()), 1, rate=1).settled
    assert descend(Descent(edge_task().start([[1, -1]])), 1, rate=0.03).settled

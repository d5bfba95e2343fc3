import math
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.core.control import StopToken
from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import GELU, ReLU
from convviz.core.explain import FloatArray
from convviz.core.layers import Conv2d, Drawn, GlobalMaxPool2d, Layer, MaxPool2d
from convviz.core.stack import Stack
from convviz.core.window import PaddingMode
from convviz.ui.lab import compute
from convviz.ui.lab import state as lab
from convviz.ui.lab.compute import FEW_CELLS, Outputs, is_complete, outputs_at_once, remaining_outputs
from convviz.ui.lab.state import Array, LabState
from tests.core.stack_cases import any_layers, inputs_of, stacks
from tests.ui.lab.lab_cases import PADDING_MODES, stack_changed, stack_states


@pytest.fixture(autouse=True, scope="module")
def _without_haste() -> Iterator[None]:
    """However busy the machine is, everything is computed at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compute, "BUDGET_S", math.inf)
        yield


def state_of(stack: Stack, values: Array | None = None) -> LabState:
    return LabState(lab.Source("custom"), inputs_of(stack) if values is None else values, stack)


def of_layers(shape: tuple[int, int, int], *layers: Layer) -> LabState:
    return state_of(Stack(shape, layers))


def assert_same_outputs(outputs: Outputs, state: LabState) -> None:
    """They are those of a whole pass, to 1e-9."""
    expected = state.stack.forward(state.input)
    assert len(outputs) == len(expected)
    for output, other in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(output, other, rtol=1e-9, atol=1e-9)


def edited(state: LabState, cells: list[tuple[int, int, int]], by: float = 5.0) -> LabState:
    values = state.input.copy()
    for cell in cells:
        values[cell] += by
    return replace(state, input=values)


# ---- at once


@given(state=stack_states())
def test_all_outputs_are_those_of_a_whole_pass(state: LabState) -> None:
    outputs = outputs_at_once(state)
    assert is_complete(state, outputs)
    assert_same_outputs(outputs, state)


@given(stack=stacks(), data=st.data())
@settings(max_examples=200)
def test_an_edit_of_few_cells_gives_what_a_whole_pass_would(stack: Stack, data: st.DataObject) -> None:
    state = state_of(stack)
    channels, height, width = stack.input_shape
    cell = st.tuples(st.integers(0, channels - 1), st.integers(0, height - 1), st.integers(0, width - 1))
    after = edited(state, data.draw(st.lists(cell, max_size=6)), data.draw(st.integers(-9, 9)))
    old_outputs = outputs_at_once(state)
    known = data.draw(st.integers(0, len(old_outputs)))  # as many as had been computed before the edit
    assert_same_outputs(outputs_at_once(after, state, old_outputs[:known]), after)


@given(stack=stacks(), data=st.data())
@settings(max_examples=100)
def test_an_edit_together_with_other_layers_gives_what_a_whole_pass_would(stack: Stack, data: st.DataObject) -> None:
    state = state_of(stack)
    changed = stack.insert(data.draw(st.integers(0, len(stack.layers))), data.draw(any_layers()))
    index = data.draw(st.integers(0, len(changed.layers) - 1))
    changed = changed.switch(index, data.draw(st.booleans())).fitted()
    after = replace(edited(state, data.draw(st.sampled_from([[], [(0, 1, 2)]]))), stack=changed)
    assert_same_outputs(outputs_at_once(after, state, outputs_at_once(state)), after)


@given(data=st.data())
@settings(max_examples=60)
def test_one_change_after_another_gives_what_a_whole_pass_would(data: st.DataObject) -> None:
    state = lab.initial_state()
    outputs = outputs_at_once(state)
    for _ in range(8):
        after = data.draw(stack_changed(state))
        outputs = outputs_at_once(after, state, outputs)
        state = after
        assert is_complete(state, outputs)
        for output, other in zip(outputs, state.stack.forward(state.input), strict=True):
            scale = max(1.0, float(np.abs(other, where=np.isfinite(other), out=np.zeros(other.shape)).max()))
            np.testing.assert_allclose(output, other, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("mode", PADDING_MODES)
@pytest.mark.parametrize("num_cells", [1, FEW_CELLS, FEW_CELLS + 1])
def test_an_edit_at_the_border_reaches_its_copies_in_the_padding(mode: PaddingMode, num_cells: int) -> None:
    weight = np.random.default_rng(1).normal(size=(2, 3, 3, 3))
    conv = Conv2d(3, 2, 3, stride=(1, 2), padding=(2, 3), padding_mode=mode, weight=weight)
    state = of_layers((3, 9, 11), conv, conv.changed(in_channels=2, weight=weight[:, :2]))
    values = state.input.copy()
    values[1].flat[:num_cells] += 5
    after = replace(state, input=values)
    assert_same_outputs(outputs_at_once(after, state, outputs_at_once(state)), after)


def test_only_what_reads_few_changed_cells_is_computed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = Conv2d(1, 1, 3, padding=1, weight=np.ones((1, 1, 3, 3)))
    state = of_layers((1, 80, 80), conv, conv)
    outputs = outputs_at_once(state)
    corners = edited(state, [(0, 0, 0), (0, 79, 79), (0, 40, 0)])
    diagonal = edited(
        state, [(0, i, i) for i in range(80)][:FEW_CELLS]
    )  # their rows × columns are more than MANY_CELLS
    whole = {id(after): outputs_at_once(after) for after in (corners, diagonal)}
    passes: list[Conv2d] = []
    forward = Conv2d.forward

    def counted(layer: Conv2d, x: Array) -> FloatArray:
        passes.append(layer)
        return forward(layer, x)

    monkeypatch.setattr(Conv2d, "forward", counted)
    for after, num_passes in ((corners, 0), (diagonal, 2)):
        passes.clear()
        kept = outputs_at_once(after, state, outputs)
        assert len(passes) == num_passes
        for output, other in zip(kept, whole[id(after)], strict=True):
            np.testing.assert_allclose(output, other, rtol=1e-12, atol=1e-9)


def test_an_edited_cell_that_nothing_reads_leaves_every_output() -> None:
    state = of_layers((1, 5, 5), MaxPool2d(2), ReLU())
    outputs = outputs_at_once(state)
    after = edited(state, [(0, 4, 4)])
    kept = outputs_at_once(after, state, outputs)
    assert [one is other for one, other in zip(kept, outputs, strict=True)] == [True, True]


def test_outputs_in_front_of_a_changed_layer_are_kept() -> None:
    state = of_layers((1, 6, 6), ReLU(), Conv2d(1, 1, 3), ReLU())
    outputs = outputs_at_once(state)
    after = replace(state, stack=state.stack.replace(1, Conv2d(1, 1, 5)))
    kept = outputs_at_once(after, state, outputs)
    assert kept[0] is outputs[0]
    assert [output.shape for output in kept] == [(1, 6, 6), (1, 2, 2), (1, 2, 2)]


def test_layers_that_are_equal_keep_their_outputs() -> None:
    state = of_layers((1, 6, 6), Conv2d(1, 1, 3, weight=Drawn(3)), MaxPool2d(2))
    outputs = outputs_at_once(state)
    again = replace(state, stack=Stack((1, 6, 6), [Conv2d(1, 1, 3, weight=Drawn(3)), MaxPool2d(2)]))
    kept = outputs_at_once(again, state, outputs)
    assert all(one is other for one, other in zip(kept, outputs, strict=True))


@pytest.mark.parametrize("by_hand_first", [True, False])
def test_weights_made_by_hand_are_not_the_drawn_ones(by_hand_first: bool) -> None:
    drawn = of_layers((1, 6, 6), Conv2d(1, 2, 3, weight=Drawn(3), bias=Drawn(3)))
    by_hand = replace(drawn, stack=Stack((1, 6, 6), [Conv2d(1, 2, 3, weight=np.ones((2, 1, 3, 3)), bias=[1, 2])]))
    before, after = (by_hand, drawn) if by_hand_first else (drawn, by_hand)
    assert_same_outputs(outputs_at_once(after, before, outputs_at_once(before)), after)


def test_a_layer_switched_off_passes_an_edit_on() -> None:
    state = state_of(Stack((1, 5, 5), [ReLU(), Conv2d(1, 1, 3), ReLU()], [0, 2]))
    after = edited(state, [(0, 2, 2)], -9)
    outputs = outputs_at_once(after, state, outputs_at_once(state))
    assert np.array_equal(outputs[0], after.input)
    assert outputs[2] is outputs[1]


def test_an_edit_behind_a_global_pooling_or_a_vector_is_computed_as_a_whole() -> None:
    for layers in ([GlobalMaxPool2d(), ReLU()], [Flatten(), Linear(16, 3, weight=np.ones((3, 16))), ReLU()]):
        state = of_layers((1, 4, 4), *layers)
        after = edited(state, [(0, 1, 1)], 100)
        assert_same_outputs(outputs_at_once(after, state, outputs_at_once(state)), after)


def test_the_old_outputs_are_not_written_into() -> None:
    state = of_layers((1, 5, 5), Conv2d(1, 1, 3, padding=1, weight=np.ones((1, 1, 3, 3))), ReLU())
    outputs = outputs_at_once(state)
    copies = [output.copy() for output in outputs]
    outputs_at_once(edited(state, [(0, 2, 2)]), state, outputs)
    assert all(np.array_equal(one, other) for one, other in zip(outputs, copies, strict=True))


def test_a_large_stack_is_computed_in_single_precision_and_a_small_one_in_double(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = of_layers((1, 5, 5), Conv2d(1, 1, 3), ReLU())
    small = outputs_at_once(state)
    assert [output.dtype for output in small] == [np.float64, np.float64]
    monkeypatch.setattr(compute, "LARGE_MULTIPLY_ADDS", state.stack.multiply_adds - 1)
    large = outputs_at_once(state)
    assert [output.dtype for output in large] == [np.float32, np.float32]
    assert [output.dtype for output in outputs_at_once(edited(state, [(0, 2, 2)]), state, large)] == [np.float32] * 2


def test_a_stack_that_becomes_large_keeps_no_output_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    state = of_layers((1, 5, 5), Conv2d(1, 1, 3))
    monkeypatch.setattr(compute, "LARGE_MULTIPLY_ADDS", state.stack.multiply_adds)
    after = replace(state, stack=Stack((1, 5, 5), [*state.stack.layers, Conv2d(1, 1, 3)]))
    outputs = outputs_at_once(after, state, outputs_at_once(state))
    assert [output.dtype for output in outputs] == [np.float32, np.float32]


# ---- the budget


def test_layers_switched_off_cost_nothing_and_the_first_that_does_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "BUDGET_S", 0)
    state = state_of(Stack((1, 5, 5), [ReLU(), Conv2d(1, 1, 3), ReLU()], [0]))
    outputs = outputs_at_once(state)
    assert len(outputs) == 1
    assert not is_complete(state, outputs)


@pytest.mark.parametrize(
    ("layers", "at_once"),
    [
        ([Flatten(), Linear(96 * 96, 4096, weight=Drawn(0), bias=Drawn(0))], 1),  # 38 million numbers to be drawn
        ([Flatten(), Linear(96 * 96, 10, weight=Drawn(0), bias=Drawn(0))], 2),
        ([ReLU(), Conv2d(1, 512, 15, padding=7), ReLU()], 1),
        ([ReLU(), Conv2d(1, 4, 3), GELU()], 3),
        ([MaxPool2d(2), MaxPool2d(2)], 2),
    ],
)
def test_slow_layers_are_not_computed_at_once(
    monkeypatch: pytest.MonkeyPatch, layers: list[Layer], at_once: int
) -> None:
    monkeypatch.setattr(compute, "BUDGET_S", 0.05)
    monkeypatch.setattr(compute, "time", SimpleNamespace(perf_counter=lambda: 0.0))
    assert len(outputs_at_once(of_layers((1, 96, 96), *layers))) == at_once


def test_no_preset_holds_the_window_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "BUDGET_S", 0.05)
    monkeypatch.setattr(compute, "time", SimpleNamespace(perf_counter=lambda: 0.0))
    for key in ("alexnet", "vgg16", "resnet50_main_path"):
        state = lab.with_preset(lab.initial_state(), key)
        outputs = outputs_at_once(state)
        products = sum(row.multiply_adds for row in state.stack.table[: len(outputs)])
        assert len(outputs) < len(state.stack.layers)
        assert compute.SECONDS_A_PRODUCT * products <= len(outputs) * compute.BUDGET_S
    for key in ("four_layers", "dilations"):
        state = lab.with_preset(lab.initial_state(), key)
        assert is_complete(state, outputs_at_once(state))


@pytest.mark.parametrize("key", ["four_layers", "dilations", "lenet5", "tutorial_cnn", "small_cnn"])
def test_a_small_preset_agrees_with_a_whole_pass(key: str) -> None:
    state = lab.with_preset(lab.initial_state(), key)
    assert_same_outputs(outputs_at_once(state), state)


# ---- layer by layer


@given(stack=stacks(), data=st.data())
def test_what_remains_comes_layer_by_layer(stack: Stack, data: st.DataObject) -> None:
    state = state_of(stack)
    whole = outputs_at_once(state)
    start = whole[: data.draw(st.integers(0, len(whole)))]
    seen = list(remaining_outputs(state, start, StopToken()))
    assert [len(outputs) for outputs in seen] == list(range(len(start) + 1, len(whole) + 1))
    if seen:
        assert_same_outputs(seen[-1], state)


def test_what_remains_is_returned_at_the_end() -> None:
    state = of_layers((1, 5, 5), ReLU(), ReLU())
    steps = remaining_outputs(state, (), StopToken())
    next(steps)
    next(steps)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert is_complete(state, end.value.value)


def test_computing_stops_between_two_layers_when_asked_to() -> None:
    state, token = of_layers((1, 5, 5), ReLU(), ReLU(), ReLU()), StopToken()
    steps = remaining_outputs(state, (), token)
    assert len(next(steps)) == 1
    token.request_stop()
    assert list(steps) == []


def test_a_stack_with_a_problem_is_complete_up_to_there() -> None:
    state = of_layers((1, 5, 5), ReLU(), Conv2d(3, 1, 3), ReLU())
    assert is_complete(state, outputs_at_once(state))
    assert len(outputs_at_once(state)) == 1

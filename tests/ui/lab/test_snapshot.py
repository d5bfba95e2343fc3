from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.core.dense import Flatten, Linear
from convviz.core.display import wrapped_shape
from convviz.core.elementwise import Dropout, ReLU, Sigmoid
from convviz.core.layers import AvgPool2d, Conv2d, Drawn, GlobalAvgPool2d, Layer, MaxPool2d
from convviz.core.stack import Stack
from convviz.ui.lab import state as lab
from convviz.ui.lab.snapshot import Cell, Cells, Snapshot, Step
from convviz.ui.lab.state import LabState
from tests.ui.lab.lab_cases import stack_states

RNG = np.random.default_rng(0)


def snapshot_of(state: LabState) -> Snapshot:
    return Snapshot(state, tuple(state.stack.forward(state.input)))


def step_of(layer: Layer, x: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Step:
    return Step(layer, x, np.asarray(layer.forward(x)), reads_network_input=False, is_grey=False)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """Layers at work in stacks that can be reached."""
    step = snapshot_of(draw(stack_states().filter(lambda state: state.stack.problem is None))).step
    assert step is not None
    return step


def cells_of(step: Step) -> list[Cell]:
    """Every cell of the output's map that stands for an output."""
    width = step.output_size[1]
    return [divmod(index, width) for index in range(step.num_positions)]


def some_cells(step: Step) -> st.SearchStrategy[list[Cell]]:
    return st.lists(st.sampled_from(cells_of(step)), min_size=1, max_size=8)


def is_in(cell: Cell, cells: Cells | None) -> bool:
    return cells is not None and cell[0] in cells[0] and cell[1] in cells[1]


# ---- every layer


@given(step=steps(), data=st.data())
@settings(max_examples=100)
def test_a_step_reads_what_the_explanation_of_its_output_says(step: Step, data: st.DataObject) -> None:
    for cell in data.draw(some_cells(step)):
        out_channel = data.draw(st.integers(0, step.output.shape[0] - 1))
        place = step.place(cell, out_channel)
        explanation = step.layer.explain(step.x, place)
        scale = max(1.0, abs(explanation.result)) if np.isfinite(explanation.result) else 1.0
        np.testing.assert_allclose(step.y[place], explanation.result, rtol=1e-9, atol=1e-9 * scale)
        np.testing.assert_allclose(step.output[(out_channel, *cell)], step.y[place])
        if step.y.ndim == 1:
            continue
        assert step.channels_read(out_channel) == explanation.input_channels
        rows, cols = step.taps(cell)
        beyond = [
            sum(tap > size + axis.pad_after - 1 for tap in taps)
            for axis, taps, size in zip(step.axes, (explanation.rows, explanation.cols), step.input_size, strict=True)
        ]
        assert rows == tuple(explanation.rows.tolist())[: len(explanation.rows) - beyond[0]]
        assert cols == tuple(explanation.cols.tolist())[: len(explanation.cols) - beyond[1]]
        real = (
            {int(row) for row in explanation.source_rows if row >= 0},
            {int(col) for col in explanation.source_cols if col >= 0},
        )
        assert step.real_taps(cell) == ((tuple(sorted(real[0])), tuple(sorted(real[1]))) if all(real) else None)


@given(step=steps(), data=st.data())
@settings(max_examples=100)
def test_readers_are_the_cells_whose_windows_read_a_cell(step: Step, data: st.DataObject) -> None:
    height, width = step.input_size
    count = step.x.size if step.x.ndim == 1 else height * width
    row, col = divmod(data.draw(st.integers(0, count - 1)), width)
    channel = data.draw(st.integers(0, step.input.shape[0] - 1))
    readers = step.readers((row, col), channel)
    for cell in data.draw(some_cells(step)):
        reads = is_in((row, col), step.real_taps(cell))
        if isinstance(step.layer, Flatten) and step.x.ndim == 3:
            reads = reads and step.place(cell, 0)[0] // (height * width) == channel
        assert is_in(cell, readers) == reads


@given(step=steps())
@settings(max_examples=60)
def test_maps_and_levels_hold_every_number(step: Step) -> None:
    assert step.input.ndim == step.output.ndim == step.padded.ndim == 3
    assert step.input.size >= step.x.size
    if step.x.ndim == 3:
        assert step.padded.shape[1:] == tuple(axis.padded_size for axis in step.axes)
    assert np.array_equal(step.output.ravel()[: step.y.size], step.y.ravel(), equal_nan=True)
    for values, level, signed in (
        (step.x, step.input_level, step.input_is_signed),
        (step.y, step.output_level, step.output_is_signed),
    ):
        finite = values[np.isfinite(values)]
        assert level > 0
        assert np.abs(finite).max(initial=0) <= level
        assert signed or (finite >= 0).all()


@given(step=steps())
@settings(max_examples=60)
def test_a_layer_that_keeps_the_scale_shows_both_sides_on_one(step: Step) -> None:
    if step.keeps_scale:
        assert step.output_level == step.input_level
        assert step.output_is_signed == step.input_is_signed


def test_a_first_step_in_numbers() -> None:
    step = snapshot_of(lab.initial_state()).step
    assert step is not None
    assert (step.input_size, step.output_size, step.num_positions) == ((7, 7), (4, 4), 16)
    assert step.padded.shape == (1, 9, 9)
    assert (step.reads_network_input, step.is_grey) == (True, False)
    assert step.taps((0, 3)) == ((-1, 0, 1), (5, 6, 7))
    assert step.real_taps((0, 3)) == ((0, 1), (5, 6))
    assert step.readers((1, 1)) == ((0, 1), (0, 1))
    assert step.place((2, 3), 0) == (0, 2, 3)
    assert (step.kernel_level, step.kernel_is_signed) == (2.0, True)


def test_a_cell_that_no_window_covers_has_no_readers() -> None:
    step = step_of(Conv2d(1, 1, 3, stride=3), np.zeros((1, 7, 7)))
    assert step.readers((6, 6)) == ((), ())
    assert step.readers((0, 0)) == ((0,), (0,))


def test_a_window_that_ceil_mode_lets_in_ends_with_the_padding() -> None:
    step = step_of(MaxPool2d(3, 2, 1, ceil_mode=True), RNG.normal(size=(1, 4, 4)))
    assert step.output_size == (3, 3)
    assert step.taps((2, 2)) == ((3, 4), (3, 4))
    assert step.real_taps((2, 2)) == ((3,), (3,))


def test_a_window_that_holds_only_padding_reads_nothing() -> None:
    step = step_of(MaxPool2d(2, 2, 1, dilation=2), np.zeros((1, 1, 1)))
    assert step.taps((0, 0)) == ((-1, 1), (-1, 1))
    assert step.real_taps((0, 0)) is None


# ---- channels


@pytest.mark.parametrize(
    ("groups", "expected"),
    [
        (1, [range(6)] * 6),
        (2, [range(3)] * 3 + [range(3, 6)] * 3),
        (3, [range(2)] * 2 + [range(2, 4)] * 2 + [range(4, 6)] * 2),
        (6, [range(channel, channel + 1) for channel in range(6)]),
    ],
)
def test_an_output_channel_reads_its_group(groups: int, expected: list[range]) -> None:
    step = step_of(Conv2d(6, 6, 1, groups=groups), np.zeros((6, 2, 2)))
    assert [step.channels_read(out_channel) for out_channel in range(6)] == expected


def test_pooling_and_activations_read_the_channel_of_the_same_number() -> None:
    for layer in (MaxPool2d(2), AvgPool2d(2), ReLU(), Dropout(), GlobalAvgPool2d()):
        step = step_of(layer, np.zeros((3, 4, 4)))
        assert step.keeps_channels
        assert [step.channels_read(channel) for channel in range(3)] == [range(0, 1), range(1, 2), range(2, 3)]


@pytest.mark.parametrize(
    ("layer", "keeps_channels", "shows_window", "keeps_scale"),
    [
        (Conv2d(2, 1, 1), False, False, False),
        (MaxPool2d(1), True, True, True),
        (AvgPool2d(1), True, True, True),
        (GlobalAvgPool2d(), True, True, True),
        (ReLU(), True, True, True),
        (Sigmoid(), True, True, False),
        (Dropout(), True, True, True),
        (Flatten(), False, True, True),
    ],
)
def test_what_a_layer_shows(layer: Layer, keeps_channels: bool, shows_window: bool, keeps_scale: bool) -> None:
    step = step_of(layer, np.ones((2, 3, 3)))
    assert (step.keeps_channels, step.shows_window, step.keeps_scale) == (keeps_channels, shows_window, keeps_scale)


# ---- vectors


@pytest.mark.parametrize("units", [1, 2, 3, 5, 10, 84, 120, 1000, 4096])
def test_units_of_a_linear_layer_stand_in_rows(units: int) -> None:
    x = RNG.normal(size=7)
    step = step_of(Linear(7, units, weight=Drawn(1), bias=Drawn(2)), x)
    rows, cols = wrapped_shape(units)
    assert step.output_size == (rows, cols)
    assert step.output.shape == (1, rows, cols)
    assert step.num_positions == units
    assert np.array_equal(step.output.ravel()[:units], step.y)
    assert not step.output.ravel()[units:].any()
    assert [step.place(cell, 0) for cell in cells_of(step)] == [(unit,) for unit in range(units)]
    assert step.layer.explain(x, step.place(cells_of(step)[-1], 0)).result == pytest.approx(step.y[-1])


@pytest.mark.parametrize("features", [1, 2, 7, 400, 4096])
def test_a_linear_layer_reads_all_of_a_vector(features: int) -> None:
    step = step_of(Linear(features, 3, weight=Drawn(1)), RNG.normal(size=features))
    rows, cols = wrapped_shape(features)
    assert step.input_size == (rows, cols)
    assert np.array_equal(step.input.ravel()[:features], step.x)
    for cell in cells_of(step):
        assert step.taps(cell) == step.real_taps(cell) == (tuple(range(rows)), tuple(range(cols)))
    out_rows, out_cols = wrapped_shape(3)
    assert step.readers((0, 0)) == (tuple(range(out_rows)), tuple(range(out_cols)))
    assert step.channels_read(0) == range(1)


def test_flatten_reads_one_cell_of_one_channel() -> None:
    step = step_of(Flatten(), np.arange(24.0).reshape(2, 3, 4))
    assert (step.input_size, step.output_size, step.num_positions) == ((3, 4), wrapped_shape(24), 24)
    units = cells_of(step)
    assert step.taps(units[17]) == ((1,), (1,))
    assert step.readers((1, 1), channel=1) == ((units[17][0],), (units[17][1],))
    assert step.readers((1, 1), channel=0) == ((units[5][0],), (units[5][1],))
    assert step.channels_read(0) == range(2)
    for cell in cells_of(step):
        (row,), (col,) = step.taps(cell)
        (unit,) = step.place(cell, 0)
        assert step.x[unit // 12, row, col] == step.output[(0, *cell)]


def test_an_activation_of_a_vector_reads_the_unit_at_the_same_place() -> None:
    step = step_of(ReLU(), RNG.normal(size=7))
    assert step.input_size == step.output_size == wrapped_shape(7)
    for cell in cells_of(step):
        assert step.taps(cell) == step.real_taps(cell) == step.readers(cell) == ((cell[0],), (cell[1],))


@pytest.mark.parametrize("layer", [Flatten(), Dropout(), Sigmoid()])
def test_a_vector_of_one(layer: Layer) -> None:
    step = step_of(layer, np.array([2.0]))
    assert (step.input_size, step.output_size, step.num_positions) == ((1, 1), (1, 1), 1)
    assert step.taps((0, 0)) == step.readers((0, 0)) == ((0,), (0,))


# ---- what there is of a state


def test_maps_are_the_input_and_the_outputs_there_are() -> None:
    state = lab.with_preset(lab.initial_state(), "four_layers")
    whole = snapshot_of(state)
    assert whole.maps[0] is state.input
    assert len(whole.maps) == 5
    assert whole.is_complete
    part = Snapshot(state, whole.outputs[:2])
    assert not part.is_complete
    assert part.step is None
    assert Snapshot(replace(state, current=1), whole.outputs[:2]).step is not None


def test_a_layer_behind_the_first_reads_the_output_before_it() -> None:
    whole = snapshot_of(replace(lab.with_preset(lab.initial_state(), "four_layers"), current=2))
    assert whole.step is not None
    assert whole.step.x is whole.outputs[1]
    assert whole.step.y is whole.outputs[2]
    assert not whole.step.reads_network_input


def test_there_is_no_step_of_a_layer_that_does_not_fit() -> None:
    stack = Stack((1, 4, 4), [ReLU(), Conv2d(2, 1, 3), ReLU()])
    state = lab.with_stack(lab.initial_state(), stack)
    steps_there = [snapshot_of(replace(state, current=index)).step is not None for index in range(3)]
    assert steps_there == [True, False, False]
    assert snapshot_of(state).is_complete


@given(state=stack_states())
@settings(max_examples=30)
def test_a_layer_switched_off_passes_its_input_on(state: LabState) -> None:
    step = snapshot_of(lab.with_switched_layer(state, state.current, False)).step
    if step is not None:
        assert isinstance(step.layer, Dropout)
        assert step.y is step.x
        assert step.output_size == step.input_size


def test_brightness_is_grey_only_in_the_input_and_without_negative_numbers() -> None:
    source = lab.Source("picture", is_brightness=True)
    state = lab.with_added_layer(lab.with_input(lab.initial_state(), np.ones((1, 8, 8)), source), "relu")
    first, second = (snapshot_of(replace(state, current=index)).step for index in (0, 1))
    assert first is not None
    assert second is not None
    assert (first.is_grey, second.is_grey) == (True, False)
    negative = snapshot_of(lab.with_input(replace(state, current=0), -np.ones((1, 8, 8)), source)).step
    assert negative is not None
    assert not negative.is_grey


def test_taps_times_weights_make_the_output() -> None:
    """The numbers that the marked cells hold add up to the output, channel by channel."""
    conv = Conv2d(4, 4, (2, 3), (2, 1), (1, 0), groups=2, padding_mode="circular", weight=Drawn(0))
    step = step_of(conv, RNG.normal(size=(4, 5, 6)))
    top, left = step.rows.pad_before, step.cols.pad_before
    for out_channel, cell in product(range(4), cells_of(step)):
        rows, cols = step.taps(cell)
        read = step.channels_read(out_channel)
        window = step.padded[read.start : read.stop][:, [row + top for row in rows]][:, :, [col + left for col in cols]]
        total = (window * conv.weight[out_channel]).sum()
        assert step.y[step.place(cell, out_channel)] == pytest.approx(total)

"""Whatever its user does to a stack, in any order, the Lab shows what torch computes."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from convviz.core.dense import Linear
from convviz.core.layers import Conv2d
from convviz.core.stack import Stack
from convviz.core.window import ShapeError
from convviz.nn.build import build
from convviz.ui.lab import compute
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.state import LabState
from tests.core.stack_cases import torch_outputs
from tests.ui.lab.lab_cases import (
    LAYER_CHANGES,
    STACK_CHANGES,
    STACK_INPUT_CHANGES,
    Change,
    affordable,
    after,
    check,
    same_state,
    starts,
)

pytestmark = [
    pytest.mark.usefixtures("qapp"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths"),  # torch's own remark
]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """On many layers that small, torch's threads only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class StackMachine(RuleBasedStateMachine):
    """A Lab whose user may do anything, and the states that undo and redo must bring back."""

    model: LabModel
    changes: list[tuple[LabState, LabState]]  # the state before and after every step that can be undone

    @initialize(state=starts())
    def start(self, state: LabState) -> None:
        self.model = LabModel(state)
        self.changes = []

    @property
    def state(self) -> LabState:
        return self.model.state

    def note_step(self, before: LabState, index: int) -> None:
        """Note the step that led on from `before`, when undo would have been step `index`; a stroke goes on in one."""
        if self.state is not before:
            merged = self.model.undo_stack.index() == index
            first = self.changes[index - 1][0] if merged else before
            self.changes[index - merged :] = [(first, self.state)]

    # ---- changes

    def change(self, data: st.DataObject, changes: tuple[Change, ...]) -> None:
        before, index = self.state, self.model.undo_stack.index()
        self.model.change(data.draw(after(changes, before)), "change")
        self.note_step(before, index)

    @rule(data=st.data())
    def change_the_layer(self, data: st.DataObject) -> None:
        self.change(data, LAYER_CHANGES)

    @rule(data=st.data())
    def change_the_stack(self, data: st.DataObject) -> None:
        self.change(data, STACK_CHANGES)

    @rule(data=st.data())
    def change_the_input(self, data: st.DataObject) -> None:
        self.change(data, STACK_INPUT_CHANGES)

    @rule(data=st.data(), value=st.integers(-9, 9), nudge=st.booleans(), stroke=st.none() | st.integers(0, 1))
    def edit_the_input(self, data: st.DataObject, value: int, nudge: bool, stroke: int | None) -> None:
        before, index = self.state, self.model.undo_stack.index()
        cell = st.tuples(st.integers(0, before.size[0] - 1), st.integers(0, before.size[1] - 1))
        cells = data.draw(st.lists(cell, min_size=1, max_size=4))
        self.model.edit_input(cells, float(value), "edit", stroke, nudge)
        self.note_step(before, index)

    @rule(data=st.data(), value=st.integers(-9, 9), nudge=st.booleans(), stroke=st.none() | st.integers(0, 1))
    def edit_the_kernel(self, data: st.DataObject, value: int, nudge: bool, stroke: int | None) -> None:
        before, index = self.state, self.model.undo_stack.index()
        layer, step = before.layer, self.model.step
        if isinstance(layer, Conv2d):
            rows, cols = layer.kernel_size
        elif isinstance(layer, Linear) and step is not None:
            rows, cols = step.input_size
        else:
            rows, cols = 1, 1
        cell = data.draw(st.tuples(st.integers(0, rows - 1), st.integers(0, cols - 1)))
        self.model.edit_kernel([cell], float(value), "edit", stroke, nudge)
        self.note_step(before, index)

    # ---- undo

    @rule(steps=st.integers(1, 4))
    def undo_and_redo(self, steps: int) -> None:
        for _ in range(steps):
            self.undo()
        for _ in range(steps):
            self.redo()

    @precondition(lambda self: self.model.undo_stack.canUndo())
    @rule()
    def undo_one(self) -> None:
        self.undo()

    @precondition(lambda self: self.model.undo_stack.canRedo())
    @rule()
    def redo_one(self) -> None:
        self.redo()

    def undo(self) -> None:
        index = self.model.undo_stack.index()
        if index > 0:
            self.model.undo_stack.undo()
            assert same_state(self.state, self.changes[index - 1][0])

    def redo(self) -> None:
        index = self.model.undo_stack.index()
        if index < len(self.changes):
            self.model.undo_stack.redo()
            assert same_state(self.state, self.changes[index][1])

    def teardown(self) -> None:
        """Go back to the first state and forth to the last."""
        try:
            for _ in self.changes:
                self.undo()
            for _ in self.changes:
                self.redo()
            self.shows_what_torch_computes()
        finally:
            self.model.undo_stack.clear()  # before the collector finds it

    # ---- looking

    @rule(data=st.data(), position=st.integers(0, 40))
    def choose_a_layer(self, data: st.DataObject, position: int) -> None:
        index = data.draw(st.integers(0, len(self.state.stack.layers) - 1))
        self.model.choose_layer(index, position)
        assert self.state.current == index

    @rule(index=st.integers(-3, 300))
    def go_to(self, index: int) -> None:
        self.model.go_to(index)

    @rule(data=st.data())
    def choose_a_map(self, data: st.DataObject) -> None:
        maps = self.model.snapshot.maps
        index = data.draw(st.integers(0, len(maps) - 1))
        channels = maps[index].shape[0] if maps[index].ndim == 3 else 1
        channel = data.draw(st.integers(0, channels - 1))
        self.model.choose_map(index, channel)
        assert self.model.channels[index] == channel

    @rule(data=st.data())
    def look_at_a_cell(self, data: st.DataObject) -> None:
        cell = data.draw(st.tuples(st.integers(0, 9), st.integers(0, 9)))
        self.model.pin(cell)
        self.model.hover(cell)
        self.model.show_all(data.draw(st.booleans()))

    # ---- what holds at any time

    @invariant()
    def shapes_fit(self) -> None:
        check(self.state)
        assert affordable(self.state)

    @invariant()
    def shows_what_torch_computes(self) -> None:
        stack, outputs = self.state.stack, self.model.snapshot.outputs
        assert self.model.snapshot.is_complete
        expected = torch_outputs(stack, torch.tensor(self.state.input)[None])
        scale = 1.0
        for output, shape, other in zip(outputs, stack.shapes[1:], expected, strict=True):
            assert output.dtype == np.float64
            assert output.shape == shape == tuple(other.shape[1:])
            finite = output[np.isfinite(output)]
            scale = max(scale, float(np.abs(finite).max(initial=0)))
            np.testing.assert_allclose(output, other[0].numpy(), rtol=1e-9, atol=1e-9 * scale)

    @invariant()
    def position_and_channels_are_there(self) -> None:
        model, step, state = self.model, self.model.step, self.state
        assert len(model.channels) == len(state.stack.layers) + 1
        for channel, shape in zip(model.channels, state.stack.shapes, strict=False):
            assert 0 <= channel < (shape[0] if len(shape) == 3 else 1)
        assert (step is None) == (state.current >= len(model.snapshot.outputs))
        if step is None:
            return
        assert 0 <= model.index < model.num_positions == step.num_positions
        for cell in (model.position, model.pinned, model.hovered):
            assert cell is None or cell[0] * step.output_size[1] + cell[1] < step.num_positions
        assert model.channel in step.channels_read(model.out_channel)
        explanation = model.explain(model.position)
        assert explanation is not None
        shown = float(step.output[(model.out_channel, *model.position)])
        scale = max(1.0, *(float(np.abs(part[np.isfinite(part)]).max(initial=0)) for part in (step.x, step.y)))
        np.testing.assert_allclose(explanation.result, shown, rtol=1e-9, atol=1e-9 * scale)
        assert model.slice == model.channel - explanation.input_channels.start or step.y.ndim == 1

    @invariant()
    def a_unit_sees_nothing_beyond_its_receptive_field(self) -> None:
        step, state = self.model.step, self.state
        if step is None:
            return
        layers = state.current + 1
        stack = Stack(state.stack.input_shape, state.stack.layers[:layers], {*range(layers)} & state.stack.switched_off)
        try:
            module = build(stack, torch.float64)
        except ShapeError:
            return  # torch writes outside its memory where a window of max pooling holds only padding
        place = step.place(self.model.position, self.model.out_channel)
        region = stack.input_region(state.current, place[-2:])
        x = torch.tensor(state.input)[None].requires_grad_()
        module(x)[(0, *place)].backward()
        assert x.grad is not None
        seen = np.zeros(state.size, np.bool_)
        seen[np.ix_(region.real_rows, region.real_cols)] = True
        assert not x.grad[0].numpy()[:, ~seen].any()


def test_whatever_is_done_the_lab_shows_what_torch_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "BUDGET_S", math.inf)
    run_state_machine_as_test(StackMachine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None))

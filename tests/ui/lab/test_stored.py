"""What the Lab remembers comes back; what is damaged gives the first state, never an error."""

import base64
import json
import tracemalloc
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.core.elementwise import BatchNorm2d
from convviz.core.layers import Conv2d, Drawn
from convviz.core.presets import PRESETS
from convviz.core.stack import Stack
from convviz.ui.lab import limits, stored
from convviz.ui.lab import state as lab
from convviz.ui.lab.state import LabState
from convviz.ui.lab.stored import LabView
from tests.ui.lab.lab_cases import affordable, check, same_state, stack_states, states


def again(state: LabState) -> LabState:
    """The state stored and restored."""
    restored = stored.from_json(stored.to_json(state))
    assert restored is not None
    return restored


@given(state=stack_states() | states())
@settings(max_examples=100)
def test_a_stored_state_comes_back(state: LabState) -> None:
    assert same_state(again(state), replace(state, aside=None))


@pytest.mark.parametrize("key", list(PRESETS))
def test_a_preset_comes_back(key: str) -> None:
    state = lab.with_preset(lab.initial_state(), key)
    text = stored.to_json(state)
    assert len(text) < 100_000
    assert same_state(again(state), state)


def test_a_picture_from_a_file_comes_back_with_its_numbers_and_path() -> None:
    values = np.arange(3 * 20 * 30, dtype=np.float64).reshape(3, 20, 30)
    source = lab.Source("picture", picture=b"bytes", path="/pictures/cat.png", is_brightness=True)
    restored = again(lab.with_input(lab.initial_state(), values, source))
    assert restored.source == replace(source, picture=b"")
    assert np.array_equal(restored.input, values)


def test_a_pasted_picture_comes_back_whole() -> None:
    source = lab.Source("picture", picture=b"\x89PNG bytes", is_brightness=True)
    assert again(lab.with_input(lab.initial_state(), np.ones((1, 4, 5)), source)).source == source


def test_numbers_come_back_exactly() -> None:
    values = np.array([[[0.1, -0.0, 1 / 3], [5e-324, 1.7e308, np.pi]]])
    restored = again(lab.with_input(lab.initial_state(), values, lab.Source("custom")))
    assert restored.input.tobytes() == values.tobytes()


def test_a_stack_with_a_problem_comes_back() -> None:
    state = lab.with_stack(lab.initial_state(), Stack((1, 7, 7), [Conv2d(3, 1, 3), Conv2d(1, 1, 9)], [0]))
    assert state.stack.problem is not None
    assert same_state(again(state), state)


def test_weights_by_the_million_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [Conv2d(1, 2, 3, weight=np.ones((2, 1, 3, 3)), bias=[1, 2]), BatchNorm2d(2, weight=[3, 4])]
    state = lab.with_stack(lab.initial_state(), Stack((1, 7, 7), layers))
    assert again(state).stack == state.stack
    monkeypatch.setattr(stored, "MOST_PARAMETERS", 21)
    restored = again(state)
    assert restored.stack.shapes == state.stack.shapes
    assert restored.stack.layers[0] == Conv2d(1, 2, 3, weight=Drawn(0), bias=Drawn(0))


def test_numbers_that_unpack_to_more_than_their_size_are_refused() -> None:
    fields = json.loads(stored.to_json(lab.with_input(lab.initial_state(), np.ones((1, 4, 5)), lab.Source("custom"))))
    fields["values"] = base64.b64encode(zlib.compress(bytes(50_000_000))).decode()
    text = json.dumps(fields)
    tracemalloc.start()
    assert stored.from_json(text) is None
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize(
    "shape", [(lab.MAX_CHANNELS + 1, 4, 4), (1, limits.MAX_INPUT + 1, 4), (1, 4, limits.MAX_INPUT + 1)]
)
def test_an_input_larger_than_the_lab_shows_is_refused(shape: tuple[int, int, int]) -> None:
    state = LabState(lab.Source("blob"), np.zeros(shape), Stack(shape, [BatchNorm2d(shape[0])]))
    assert stored.from_json(stored.to_json(state)) is None


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    first = lab.initial_state()
    odd_input = lab.with_input(first, np.full((1, 4, 4), number), lab.Source("custom"))
    odd_weight = lab.with_weight(first, np.full((1, 1, 3, 3), number))
    odd_bias = lab.with_bias(first, 0, number)
    for state in (odd_input, odd_weight, odd_bias):
        assert stored.from_json(stored.to_json(state)) is None


STRANGE: list[Any] = [
    *(None, True, -1, 0, 2, 2.5, 1e400, 10**30, 10**400, float("nan"), "", "conv", "12", "zeros", "picture", "custom"),
    *([], [1], [3, 3], [0, 0], [-1, 2], [16, 600], [10**9, 10**9], [1.5, 2], ["a", "b"], [[1]], [[[[1.0]]]]),
    *({}, {"a": 1}),
]


def survives(text: str) -> None:
    """Damaged text gives no state at all, or one that can be shown."""
    state = stored.from_json(text)
    if state is not None:
        assert 1 <= state.channels <= lab.MAX_CHANNELS
        assert max(state.size) <= limits.MAX_INPUT
        assert 0 <= state.source.seed <= lab.MAX_SEED
        if affordable(state):
            check(state)
        assert same_state(again(state), state)


TWO_LAYERS = lab.with_added_layer(lab.initial_state(), "relu")
CUSTOM = lab.with_input(lab.initial_state(), np.ones((1, 4, 5)), lab.Source("custom"))


@pytest.mark.parametrize("state", [lab.initial_state(), TWO_LAYERS, CUSTOM], ids=["first", "two layers", "custom"])
def test_a_damaged_field_never_raises(state: LabState) -> None:
    fields = json.loads(stored.to_json(state))
    for key in fields:
        for value in STRANGE:
            survives(json.dumps(fields | {key: value}))
        assert stored.from_json(json.dumps({name: value for name, value in fields.items() if name != key})) is None


@pytest.mark.parametrize(
    "key", ["kind", "in_channels", "kernel_size", "stride", "padding", "dilation", "groups", "weight", "switched_off"]
)
def test_a_damaged_layer_never_raises(key: str) -> None:
    fields = json.loads(stored.to_json(lab.initial_state()))
    stack = json.loads(fields["stack"])
    (layer,) = stack["layers"]
    for value in STRANGE:
        survives(json.dumps(fields | {"stack": json.dumps(stack | {"layers": [layer | {key: value}]})}))


@pytest.mark.parametrize(("current", "comes_back"), [(-1, False), (0, True), (1, True), (2, False), (10**30, False)])
def test_the_current_layer_must_be_there(current: int, comes_back: bool) -> None:
    fields = json.loads(stored.to_json(TWO_LAYERS)) | {"current": current}
    restored = stored.from_json(json.dumps(fields))
    assert (restored is not None) == comes_back
    assert restored is None or restored.current == current


def test_a_stack_without_layers_is_none() -> None:
    fields = json.loads(stored.to_json(lab.initial_state()))
    empty = json.dumps(json.loads(fields["stack"]) | {"layers": []})
    assert stored.from_json(json.dumps(fields | {"stack": empty})) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(STRANGE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(data=st.data())
@settings(max_examples=80)
def test_damaged_text_never_raises(data: st.DataObject) -> None:
    fields = json.loads(stored.to_json(data.draw(stack_states(4))))
    for key in data.draw(st.lists(st.sampled_from(sorted({*fields, "values"})), max_size=3)):
        fields[key] = data.draw(json_values)
    survives(json.dumps(fields))
    text = stored.to_json(lab.initial_state())
    start, stop = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))
    survives(text[:start] + data.draw(st.text(max_size=3)) + text[stop:])


NO_STATES = ["", "null", "[]", "{}", "3", '"blob"', "[" * 100_000, "\x00", '{"stack": "{}"', '{"stack": {}}']


@pytest.mark.parametrize("text", NO_STATES)
def test_what_is_not_a_stored_state_is_none(text: str) -> None:
    assert stored.from_json(text) is None


def test_what_an_earlier_version_stored_is_none() -> None:
    earlier = {"operation": "conv", "bias": 1.0, "kernel_size": [3, 3], "input": "blob", "seed": 0, "size": [7, 7]}
    assert stored.from_json(json.dumps(earlier)) is None


# ---- the view


VIEWS = [
    LabView(),
    LabView(0.5, True, True, 12, False, "stack"),
    LabView(8.0, False, True, 0, True, "learn"),
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_stored_view_comes_back(view: LabView) -> None:
    assert stored.view_from_json(stored.view_to_json(view)) == view


@pytest.mark.parametrize("key", json.loads(stored.view_to_json(LabView())))
def test_a_damaged_view_never_raises(key: str) -> None:
    fields = json.loads(stored.view_to_json(LabView()))
    for value in STRANGE:
        view = stored.view_from_json(json.dumps(fields | {key: value}))
        assert np.isfinite(view.speed)
        assert isinstance(view.position, int)
        assert view.controls is None or isinstance(view.controls, bool)
    del fields[key]
    assert stored.view_from_json(json.dumps(fields)) == LabView()


@pytest.mark.parametrize("text", NO_STATES)
def test_what_is_not_a_stored_view_is_the_first_one(text: str) -> None:
    assert stored.view_from_json(text) == LabView()

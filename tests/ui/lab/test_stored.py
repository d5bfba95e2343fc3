"""What the Lab remembers comes back; what is damaged gives the first state, never an error."""

import base64
import json
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.ui.lab import state as lab
from convviz.ui.lab import stored
from convviz.ui.lab.state import LabState
from tests.ui.lab.lab_cases import check, same_state, states


@given(state=states())
@settings(max_examples=60)
def test_a_stored_state_comes_back(state: LabState) -> None:
    again = stored.from_json(stored.to_json(state))
    assert again is not None
    assert same_state(again, state)


def test_a_picture_from_a_file_comes_back_with_its_numbers_and_path() -> None:
    values = np.arange(3 * 20 * 30, dtype=np.float64).reshape(3, 20, 30)
    source = lab.Source("picture", picture=b"bytes", path="/pictures/cat.png", is_brightness=True)
    again = stored.from_json(stored.to_json(lab.with_input(lab.initial_state(), values, source)))
    assert again is not None
    assert again.source == replace(source, picture=b"")
    assert np.array_equal(again.input, values)


def test_a_pasted_picture_comes_back_whole() -> None:
    source = lab.Source("picture", picture=b"\x89PNG bytes", is_brightness=True)
    again = stored.from_json(stored.to_json(lab.with_input(lab.initial_state(), np.ones((1, 4, 5)), source)))
    assert again is not None
    assert again.source == source


def test_numbers_that_unpack_to_more_than_their_size_are_refused() -> None:
    fields = json.loads(stored.to_json(lab.with_input(lab.initial_state(), np.ones((1, 4, 5)), lab.Source("custom"))))
    fields["values"] = base64.b64encode(zlib.compress(bytes(10_000_000))).decode()
    assert stored.from_json(json.dumps(fields)) is None


STRANGE: list[Any] = [
    *(None, True, -1, 0, 2, 2.5, 1e400, 10**30, 10**400, float("nan"), "", "conv", "12", "zeros", "picture", "custom"),
    *(
        [],
        [1],
        [3, 3],
        [0, 0],
        [-1, 2],
        [16, 600],
        [10**9, 10**9],
        [1.5, 2],
        ["a", "b"],
        [[1]],
        [[[[1.0]]]],
        [[[[[1.0]]]]],
        {},
        {"a": 1},
    ),
]


def survives(text: str) -> None:
    """Damaged text gives no state at all, or one that can be shown."""
    state = stored.from_json(text)
    if state is not None:
        check(state)
        assert state.channels in {1, 3}
        assert 0 <= state.source.seed < 10_000
        assert same_state(stored.from_json(stored.to_json(state)) or lab.initial_state(), state)


@pytest.mark.parametrize("key", json.loads(stored.to_json(lab.initial_state())))
@pytest.mark.parametrize("operation", ["conv", "max", "avg"])
def test_a_damaged_field_never_raises(key: str, operation: lab.Operation) -> None:
    fields = json.loads(stored.to_json(lab.with_operation(lab.initial_state(), operation)))
    for value in STRANGE:
        survives(json.dumps(fields | {key: value}))
    del fields[key]
    assert stored.from_json(json.dumps(fields)) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(STRANGE),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(data=st.data())
@settings(max_examples=80)
def test_damaged_text_never_raises(data: st.DataObject) -> None:
    fields = json.loads(stored.to_json(data.draw(states(4))))
    for key in data.draw(st.lists(st.sampled_from(sorted([*fields, "values"])), max_size=3)):
        fields[key] = data.draw(json_values)
    survives(json.dumps(fields))
    text = stored.to_json(lab.initial_state())
    start, stop = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))
    survives(text[:start] + data.draw(st.text(max_size=3)) + text[stop:])


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "3", '"blob"', "[" * 100_000, "\x00", '{"size": [7, 7]'])
def test_what_is_not_a_stored_state_is_none(text: str) -> None:
    assert stored.from_json(text) is None

import base64
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import BatchNorm2d, Dropout
from convviz.core.layers import Conv2d, Drawn, MaxPool2d
from convviz.core.presets import PRESETS
from convviz.core.stack import Stack
from convviz.core.stack_file import MOST_BYTES, StackFileError, from_json, load, to_json
from tests.core.stack_cases import stacks

RNG = np.random.default_rng(0)
STACK = Stack(
    (1, 8, 8),
    [
        Conv2d(1, 2, (3, 2), padding="same", flip=True, weight=RNG.normal(size=(2, 1, 3, 2)), bias=[1, 2]),
        BatchNorm2d(2, running_mean=np.array([1, 2], dtype=np.float32)),
        Dropout(0.25),
        MaxPool2d(2, ceil_mode=True),
        Flatten(),
        Linear(32, 3, weight=Drawn(4)),
    ],
    switched_off=[2],
)
TEXT = to_json(STACK)


def test_nothing_is_lost() -> None:
    restored = from_json(TEXT)
    assert restored == STACK
    conv, norm = restored.layers[:2]
    assert isinstance(conv, Conv2d)
    assert isinstance(norm, BatchNorm2d)
    assert conv.weight.dtype == np.float64
    assert norm.running_mean.dtype == np.float32
    assert to_json(restored) == TEXT


@given(stacks())
def test_every_stack_comes_back(stack: Stack) -> None:
    assert from_json(to_json(stack)) == stack


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_small_files(name: str) -> None:
    text = to_json(PRESETS[name]())
    assert len(text) < 50_000
    assert from_json(text) == PRESETS[name]()


def test_geometry_only() -> None:
    text = to_json(STACK, geometry_only=True)
    restored = from_json(text)
    assert "float" not in text
    assert [layer.settings for layer in restored.layers] == [layer.settings for layer in STACK.layers]
    assert restored.num_parameters == STACK.num_parameters
    assert restored.layers[0].arrays == {"weight": Drawn(0), "bias": Drawn(0)}
    assert restored.layers[1] == BatchNorm2d(2)


def test_numbers_that_are_not_finite_come_back() -> None:
    stack = Stack((1, 1, 1), [Conv2d(1, 1, 1, weight=[[[[np.nan]]]], bias=[np.inf])])
    (layer,) = from_json(to_json(stack)).layers
    assert isinstance(layer, Conv2d)
    assert np.isnan(layer.weight).all()
    assert layer.bias == np.inf


def changed(**parts: Any) -> str:
    return json.dumps({**json.loads(TEXT), **parts})


def one_layer(**entry: Any) -> str:
    return changed(layers=[entry])


CONV = {"kind": "Conv2d", "in_channels": 1, "out_channels": 1, "kernel_size": [1, 1]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "its text is not JSON"),
        (TEXT[:-20], "its text is not JSON"),
        ("[" * 100_000, "its text is not JSON"),
        ("[]", "it lacks the mark"),
        (changed(format="other"), "it lacks the mark"),
        (changed(version=2), "saved by a newer convviz; this one reads file version 1"),
        (changed(version="1"), "damaged: its parts are not those of a stack"),
        (changed(more=1), "damaged: its parts are not those of a stack"),
        (changed(input_shape=[0, 8, 8]), "input channels is 0; it must be at least 1"),
        (changed(input_shape=[1, 8.0, 8]), "input height is 8.0; it must be a whole number"),
        (changed(input_shape=[1000, 1000, 1000]), "an output has more than"),
        (changed(input_shape=8), "it must have an input shape"),
        (changed(layers=[None]), "layer 1 is not described"),
        (changed(layers=[{"kind": "ReLU"}] * 1001), "at most 1000 layers"),
        (one_layer(kind="System"), "layer 1: its kind is not known"),
        (one_layer(kind=["Conv2d"]), "layer 1: its kind is not known"),
        (one_layer(kind="Conv2d"), "layer 1: the settings are not those of Conv2d"),
        (one_layer(kind="ReLU", inplace=True), "layer 1: the settings are not those of ReLU"),
        (one_layer(**CONV, stride=0), "layer 1: stride is 0; it must be at least 1"),
        (one_layer(**CONV, padding=10**9), "layer 1: a size is greater than 1000000"),
        (one_layer(**CONV, flip="no"), "a switch is neither true nor false"),
        (one_layer(**CONV, weight=[1]), "weights are neither numbers nor a seed"),
        (one_layer(**CONV, weight={"float16": "AAA="}), "weights are neither numbers nor a seed"),
        (one_layer(**CONV, weight={"float32": "AAA="}), "there are 2 bytes of weights where 4 belong"),
        (one_layer(**CONV, weight={"float32": "A"}), "damaged: layer 1: "),
        (one_layer(**CONV, weight={"seed": -1}), "seed is -1; it must be at least 0"),
        (one_layer(kind="BatchNorm2d", num_features=1, bias={"seed": 1}), "bias of BatchNorm2d cannot be drawn"),
        (one_layer(kind="Dropout", p=float("nan")), "p is nan; it must be a number"),
        (one_layer(kind="MaxPool2d", kernel_size="2" * 500), "…. Nothing was changed."),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str) -> None:
    with pytest.raises(StackFileError) as caught:
        from_json(text)
    assert message in str(caught.value)
    assert str(caught.value).endswith("Nothing was changed.")
    assert len(str(caught.value)) < 300


def only_a_stack_or_the_error(text: str) -> None:
    try:
        stack = from_json(text)
    except StackFileError:
        return
    assert from_json(to_json(stack)) == stack
    assert len(stack.table) == len(stack.shapes) - 1


SNIPPETS = ["", "0", "-1", "9" * 400, "1e999", "NaN", "null", "true", '"', "{}", "[[", ",", "\\ud800", "\x00", "é", " "]


@settings(max_examples=400)
@given(st.data())
def test_damaged_text(data: st.DataObject) -> None:
    text = TEXT
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        stop = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(st.sampled_from(SNIPPETS) | st.text(max_size=3)) + text[stop:]
    only_a_stack_or_the_error(text)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**6, 2**63, 10**400])
    | st.floats()
    | st.text(max_size=4),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=4), values, max_size=2),
    max_leaves=6,
)


@settings(max_examples=400)
@given(st.data())
def test_hostile_values(data: st.DataObject) -> None:
    document = json.loads(TEXT)
    place: Any = document
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    place[key] = data.draw(VALUES)
    only_a_stack_or_the_error(json.dumps(document))


def test_hostile_sizes_cost_no_memory() -> None:
    size = 10**6
    kinds = [
        {"kind": "Conv2d", "in_channels": size, "out_channels": size, "kernel_size": [size, size]},
        {"kind": "Linear", "in_features": size, "out_features": size, "weight": {"seed": 1}, "bias": {"seed": 1}},
        {"kind": "Linear", "in_features": size, "out_features": size, "bias": {"seed": 1}},
        {"kind": "BatchNorm2d", "num_features": size},
        {"kind": "MaxPool2d", "kernel_size": [size, size], "padding": [size // 2, size // 2], "dilation": [size, size]},
    ]
    tracemalloc.start()
    for entry in kinds:
        for repeats in (1, 300):
            only_a_stack_or_the_error(changed(layers=[entry] * repeats))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


def test_weights_are_little_endian() -> None:
    code = base64.b64encode(bytes([0, 0, 128, 63])).decode()  # 1.0
    (layer,) = from_json(one_layer(**CONV, weight={"float32": code})).layers
    assert isinstance(layer, Conv2d)
    assert layer.weight.item() == 1


def test_a_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "ä stack.convviz"
    path.write_text(to_json(PRESETS["lenet5"]()), encoding="utf-8")
    assert load(path) == PRESETS["lenet5"]()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.convviz", "“missing.convviz” is not a file."),
        ("folder.convviz", "“folder.convviz” is not a file."),
        ("binary.convviz", "This is not a stack file: it is not text."),
        ("large.convviz", "This is not a stack file: it is too large for one."),
    ],
)
def test_what_is_no_stack_file_is_said(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "folder.convviz").mkdir()
    (tmp_path / "binary.convviz").write_bytes(b"\xff\xfe\x00")
    with (tmp_path / "large.convviz").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(StackFileError) as raised:
        load(tmp_path / name)
    assert str(raised.value) == f"{message} Nothing was changed."

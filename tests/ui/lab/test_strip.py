import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.core.explain import AvgExplanation, ConvExplanation
from convviz.core.layers import AvgPool2d, Conv2d, Layer, MaxPool2d
from convviz.core.numbers import format_number
from convviz.ui.lab import state as lab
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.state import LabState
from convviz.ui.lab.strip import DotProductStrip, Levels, span_text
from tests.ui.lab.lab_cases import states

RAMP = np.arange(9.0).reshape(1, 3, 3)
LEVELS = Levels(9.0, 3.0)


@pytest.fixture
def strip(qtbot: QtBot, light: QApplication) -> DotProductStrip:
    strip = DotProductStrip()
    qtbot.addWidget(strip)
    return strip


def describe(
    strip: DotProductStrip, layer: Layer, x: lab.Array, position: tuple[int, int, int], channel: int = 0
) -> str:
    strip.set_content([layer.explain(x, position)], LEVELS, channel, len(x))
    return " ".join(strip.describe().split())


def conv(weight: list[list[float]], bias: float, channels: int = 1) -> Conv2d:
    kernel = np.broadcast_to(np.array(weight), (1, channels, 2, 2))
    return Conv2d(channels, 1, 2, weight=kernel, bias=[bias])


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (conv([[0, 1], [2, 3]], 0), ["(0×0) + (1×1) + (3×2) + (4×3)", "= 19 + bias 0 = 19"]),
        (conv([[0, 1], [-2, 3]], -1.5), ["(0×0) + (1×1) + (3×−2) + (4×3)", "= 7 + bias −1.5 = 5.5"]),
        (MaxPool2d(2, 1), ["Maximum", "0, 1, 3, 4", "4"]),
        (MaxPool2d(2, 1, padding=1), ["Maximum", "−∞, −∞, −∞, 0", "0"]),
        (AvgPool2d(2, 1), ["Average", "0 + 1 + 3 + 4", "8 / 4 = 2"]),
        (AvgPool2d(2, 1, padding=1, count_include_pad=False), ["Average", "0 / 1 = 0"]),
    ],
)
def test_the_sum_is_spelled_out(strip: DotProductStrip, layer: Layer, words: list[str]) -> None:
    text = describe(strip, layer, RAMP, (0, 0, 0))
    assert "output (0, 0)" in text
    for word in words:
        assert word in text


def test_a_tied_maximum_is_told_once(strip: DotProductStrip) -> None:
    assert describe(strip, MaxPool2d(2), np.full((1, 2, 2), 7.0), (0, 0, 0)).endswith("7, 7, 7, 7 → 7")


def test_channels_are_told_with_their_partial_sums(strip: DotProductStrip) -> None:
    x = np.stack([RAMP[0], RAMP[0] + 1, RAMP[0] + 2])
    text = describe(strip, conv([[0, 1], [2, 3]], 2, channels=3), x, (0, 0, 0), channel=1)
    assert "(1×0) + (2×1) + (4×2) + (5×3) = 25" in text
    assert "R 19 + G 25 + B 31 = 75" in text
    assert text.endswith("+ bias 2 = 77")


def test_two_cells_are_told_one_after_the_other(strip: DotProductStrip) -> None:
    layer = conv([[0, 1], [2, 3]], 0)
    strip.set_content([layer.explain(RAMP, (0, 0, 0)), layer.explain(RAMP, (0, 1, 1))], LEVELS)
    first, second = strip.describe().split("Dot product")[1:]
    assert "output (0, 0)" in first
    assert first.rstrip().endswith("= 19")
    assert "output (1, 1)" in second
    assert second.endswith("= 43")


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("∞", "inf"))


def test_what_the_strip_says_is_what_the_model_computed(strip: DotProductStrip) -> None:
    @given(state=states(), data=st.data())
    @settings(max_examples=60)
    def agree(state: LabState, data: st.DataObject) -> None:
        weight = np.random.default_rng(1).integers(-3, 4, state.weight.shape).astype(np.float64)
        model = LabModel(replace(state, weight=weight))
        model.choose_channel(data.draw(st.integers(0, state.channels - 1)), colour=False)
        model.go_to(data.draw(st.integers(0, model.snapshot.num_positions - 1)))
        explanation = model.explain(model.position)
        strip.set_content([explanation], LEVELS, model.channel, state.channels)
        text = " ".join(strip.describe().split())
        output = model.snapshot.output[(model.channel if state.is_pooling else 0, *model.position)]
        assert text.endswith(" " + format_number(float(output)))
        terms = re.split(r"output \(\d+, \d+\)(?: · channel [RGB])? ", text)[1]
        if isinstance(explanation, ConvExplanation):
            products = [number(a) * number(b) for a, b in re.findall(r"\(([^()×]+)×([^()×]+)\)", terms)]
            assert len(products) == state.kernel_size[0] * state.kernel_size[1]
            assert sum(products) == pytest.approx(explanation.channel_sums[model.channel])
        elif isinstance(explanation, AvgExplanation):
            summands = terms.split(" = ")[0].split(" + ")
            assert len(summands) == explanation.counted.sum()
            assert sum(number(one.strip("()")) for one in summands) == pytest.approx(explanation.total)
        else:
            assert max(number(one) for one in terms.split(" → ")[0].split(", ")) == output

    agree()


@pytest.mark.parametrize("size", [(500, 160), (900, 200), (1600, 320), (3000, 900), (300, 60)])
def test_every_explanation_can_be_painted_at_every_size(strip: DotProductStrip, size: tuple[int, int]) -> None:
    strip.resize(*size)
    blank = strip.grab().toImage()
    for kernel in (1, 2, 9):
        for layer in (Conv2d(3, 1, kernel, padding=4, bias=[-1.0]), MaxPool2d(kernel), AvgPool2d(kernel)):
            explanation = layer.explain(np.random.default_rng(0).normal(size=(3, 9, 9)), (0, 0, 0))
            for count in (1, 2):
                strip.set_content([explanation] * count, LEVELS, 0, 3, "sees everything")
                assert strip.grab().toImage() != blank


@pytest.mark.parametrize(
    ("indices", "text"),
    [
        ([3], "3"),
        ([2, 3, 4], "2–4"),
        ([-1, 0, 1], "−1…1"),
        ([-2], "−2"),
        ([0, 2, 4], "0, 2, 4"),
        ([-3, 0, 3, 6], "−3, 0, 3, 6"),
        ([0, 2, 4, 6, 8], "0, 2, … 8"),
    ],
)
def test_spans_in_words(indices: list[int], text: str) -> None:
    assert span_text(indices) == text


def test_a_mean_of_one_cell_and_of_a_window_past_the_edge_is_told_exactly(strip: DotProductStrip) -> None:
    layer = AvgPool2d(2, stride=2, ceil_mode=True)
    x = np.arange(9.0).reshape(1, 3, 3)
    assert describe(strip, layer, x, (0, 1, 1)).endswith(" 8 = 8 / 1 = 8")
    assert describe(strip, layer, x, (0, 0, 0)).endswith(" 0 + 1 + 3 + 4 = 8 / 4 = 2")

import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QRectF, QSizeF
from PySide6.QtGui import QImage, QPainter
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import GELU, BatchNorm2d, Dropout, ReLU, Sigmoid, Tanh
from convviz.core.explain import AvgExplanation, ConvExplanation, FloatArray, MaxExplanation
from convviz.core.layers import AvgPool2d, Conv2d, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d
from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.lab.layer_text import kind_of
from convviz.ui.lab.strip import DotProductStrip
from convviz.ui.lab.strip_drawings import room_for_drawing
from convviz.ui.lab.strip_grids import SUM_UNITS, Levels, channel_rows
from convviz.ui.lab.strip_painter import StripPainter
from convviz.ui.lab.strip_result import shortened
from convviz.ui.lab.strip_words import Terms, span_text
from tests.core.layer_cases import Case, all_cases, vector_cases

RAMP = np.arange(9.0).reshape(1, 3, 3)
LEVELS = Levels(9.0, 3.0)


@pytest.fixture
def strip(qtbot: QtBot, light: QApplication) -> DotProductStrip:
    strip = DotProductStrip()
    qtbot.addWidget(strip)
    return strip


def names_of(num_channels: int) -> Sequence[str]:
    return {1: ("",), 3: ("R", "G", "B")}.get(num_channels) or [str(k) for k in range(num_channels)]


def show(
    strip: DotProductStrip,
    layer: Layer,
    x: FloatArray,
    position: tuple[int, ...],
    channel: int = 0,
    count: int = 1,
    sees: str = "",
) -> None:
    num_maps = layer.output_shape(x.shape)[0]
    explanations = [layer.explain(x, position)] * count
    strip.set_content(explanations, LEVELS, channel, names_of(len(x)), num_maps, sees, kind_of(layer))


def describe(strip: DotProductStrip, layer: Layer, x: FloatArray, position: tuple[int, ...], channel: int = 0) -> str:
    show(strip, layer, x, position, channel)
    return " ".join(strip.describe().split())


def conv(weight: list[list[float]], bias: float, channels: int = 1) -> Conv2d:
    kernel = np.broadcast_to(np.array(weight), (1, channels, 2, 2))
    return Conv2d(channels, 1, 2, weight=kernel, bias=[bias])


def ones(channels: int) -> tuple[Conv2d, FloatArray]:
    """A convolution whose partial sums are 9 times the channel's number."""
    x = np.broadcast_to(np.arange(channels, dtype=float)[:, None, None], (channels, 3, 3))
    return Conv2d(channels, 1, 3, weight=np.ones((1, channels, 3, 3))), x


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


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (ReLU(), ["ReLU at output (0, 1)", "max(0, x)", "max(0, −3) = 0"]),
        (Sigmoid(), ["Sigmoid at", "1 / (1 + e^−x)", "1 / (1 + e^3) = 0.0474"]),
        (Tanh(), ["Tanh at", "tanh(−3) = −0.995"]),
        (GELU(), ["GELU at", "−3 · 0.00135 = −0.00405"]),
        (Dropout(), ["Dropout passes its input on when not training", "−3 = −3"]),
        (
            BatchNorm2d(1, 0.5, [3], [-1], [-7], [3.5]),
            ["(x − mean) / √(var + eps) · weight + bias", "(−3 + 7) / √(3.5 + 0.5) · 3 − 1 = 2 · 3 − 1 = 5"],
        ),
        (
            BatchNorm2d(1, 0.5, [-3], [1], [1], [3.5]),
            ["(−3 − 1) / √(3.5 + 0.5) · (−3) + 1 = −2 · (−3) + 1 = 7"],
        ),
    ],
)
def test_functions_of_one_cell_are_told_with_its_number(strip: DotProductStrip, layer: Layer, words: list[str]) -> None:
    text = describe(strip, layer, np.array([[[2.0, -3.0]]]), (0, 0, 1))
    for word in words:
        assert word in text


def test_a_function_without_a_name_tells_its_value(strip: DotProductStrip) -> None:
    strip.set_content([ReLU().explain(np.array([[[-3.0]]]), (0, 0, 0))], LEVELS)
    assert strip.describe() == "Value at output (0, 0)\n−3\n= 0"


def test_a_flattened_cell_is_told_by_its_unit(strip: DotProductStrip) -> None:
    text = describe(strip, Flatten(), np.arange(12.0).reshape(2, 2, 3), (10,))
    assert text.startswith("Flatten at unit 10 ")
    assert text.endswith(" 10 = 10")


def test_a_tied_maximum_is_told_once(strip: DotProductStrip) -> None:
    assert describe(strip, MaxPool2d(2), np.full((1, 2, 2), 7.0), (0, 0, 0)).endswith("7, 7, 7, 7 → 7")


def test_channels_are_told_with_their_partial_sums(strip: DotProductStrip) -> None:
    x = np.stack([RAMP[0], RAMP[0] + 1, RAMP[0] + 2])
    text = describe(strip, conv([[0, 1], [2, 3]], 2, channels=3), x, (0, 0, 0), channel=1)
    assert "(1×0) + (2×1) + (4×2) + (5×3) = 25" in text
    assert "R 19 + G 25 + B 31 = 75" in text
    assert text.endswith("+ bias 2 = 77")


def test_pooling_says_that_it_stays_in_its_channel(strip: DotProductStrip) -> None:
    x = np.stack([RAMP[0], RAMP[0] + 1, RAMP[0] + 2])
    assert describe(strip, MaxPool2d(2), x, (2, 0, 0), channel=2).startswith(
        "Maximum at output (0, 0) · channel B alone "
    )
    assert describe(strip, AvgPool2d(2), x, (1, 0, 0)).startswith("Average at output (0, 0) · channel G alone ")


def test_of_many_channels_every_partial_sum_is_told(strip: DotProductStrip) -> None:
    text = describe(strip, *ones(64), (0, 0, 0), channel=7)
    assert "(7×1) + (7×1)" in text
    for k in range(64):
        assert f"ch {k} {9 * k} " in text
    assert text.endswith(f"ch 63 567 = {9 * 2016} + bias 0 = {9 * 2016}")


def test_the_text_is_of_sensible_length_for_any_number_of_channels(strip: DotProductStrip) -> None:
    layer, x = ones(600)
    show(strip, layer, x, (0, 0, 0), channel=500)
    text = strip.describe()
    assert "= 4500\n" in text
    assert "ch 255 2295 +\n… (344 more) = " in text
    assert max(map(len, text.splitlines())) < 160
    assert len(text.splitlines()) < 50


@pytest.mark.parametrize(("channel", "told"), [(0, 4), (5, 5), (7, 7), (99, 7)])
def test_a_group_tells_the_chosen_channel_or_the_nearest_that_it_reads(
    strip: DotProductStrip, channel: int, told: int
) -> None:
    x = np.arange(8.0).reshape(8, 1, 1)
    layer = Conv2d(8, 2, 2, padding=1, groups=2, weight=np.ones((2, 4, 2, 2)))
    text = describe(strip, layer, x, (1, 0, 0), channel)
    assert text.startswith("Dot product at map 1, cell (0, 0) ")
    assert f"({told}×1) = {told} " in text
    assert "ch 4 4 + ch 5 5 + ch 6 6 + ch 7 7 = 22" in text


def test_a_linear_unit_tells_the_first_of_its_terms(strip: DotProductStrip) -> None:
    layer = Linear(3136, 10, weight=np.full((10, 3136), 2.0), bias=np.ones(10))
    text = describe(strip, layer, np.ones(3136), (3,))
    assert text.startswith("Dot product at unit 3 (1×2) + (1×2) +")
    assert text.count("(1×2)") == 128
    assert text.endswith("… and 3008 more terms = 6272 + bias 1 = 6273")


def test_a_one_by_one_convolution_tells_a_term_a_channel(strip: DotProductStrip) -> None:
    layer = Conv2d(3, 1, 1, weight=[[[[1]], [[-2]], [[3]]]], bias=[1])
    text = describe(strip, layer, np.array([7.0, 4, 3]).reshape(3, 1, 1), (0, 0, 0))
    assert text.endswith("R (7×1) + G (4×−2) + B (3×3) = 8 + bias 1 = 9")


def test_two_cells_are_told_one_after_the_other(strip: DotProductStrip) -> None:
    layer = conv([[0, 1], [2, 3]], 0)
    strip.set_content([layer.explain(RAMP, (0, 0, 0)), layer.explain(RAMP, (0, 1, 1))], LEVELS)
    first, second = strip.describe().split("Dot product")[1:]
    assert "output (0, 0)" in first
    assert first.rstrip().endswith("= 19")
    assert "output (1, 1)" in second
    assert second.endswith("= 43")


def number(text: str) -> float:
    return float(text.strip("()").replace("−", "-").replace("∞", "inf"))


def test_what_the_strip_says_is_what_the_layer_computed(strip: DotProductStrip) -> None:
    @given(case=st.one_of(all_cases(), vector_cases()), data=st.data())
    @settings(max_examples=150)
    def agree(case: Case, data: st.DataObject) -> None:
        layer, x = case.layer, case.x
        output = layer.forward(x)
        position = tuple(data.draw(st.integers(0, size - 1)) for size in output.shape)
        channel = data.draw(st.integers(0, len(x) - 1))
        text = describe(strip, layer, x, position, channel)
        explanation = layer.explain(x, position)
        assert text.endswith(" " + format_number(explanation.result))
        assert explanation.result == pytest.approx(output[position], nan_ok=True)
        strip.resize(900, 200)
        strip.grab()
        if isinstance(explanation, ConvExplanation):
            products = [number(a) * number(b) for a, b in re.findall(r"\(([^()×]+)×([^()×]+)\)", text)]
            sums = explanation.channel_sums
            nearest = min(max(channel - explanation.input_channels.start, 0), len(sums) - 1)
            expected = explanation.total if explanation.values.shape[1:] == (1, 1) else sums[nearest]
            assert sum(products) == pytest.approx(expected, rel=0.02, abs=0.02)
        elif isinstance(explanation, AvgExplanation) and np.isfinite(explanation.total):
            terms = re.split(r" alone | \(\d+, \d+\) ", text)[-1].split(" = ")[0].split(" + ")
            if explanation.counted.any():
                assert len(terms) == explanation.counted.sum()
                assert sum(map(number, terms)) == pytest.approx(explanation.total, rel=0.02, abs=0.02)
        elif isinstance(explanation, MaxExplanation):
            terms = re.split(r" alone | \(\d+, \d+\) ", text)[-1].split(" → ")[0].split(", ")
            assert format_number(explanation.result) in terms

    agree()


LAYERS: list[tuple[Layer, tuple[int, ...]]] = [
    *((Conv2d(3, 1, kernel, padding=4, bias=[-1.0]), (3, 9, 9)) for kernel in (1, 2, 3, 5, 9)),
    *((Conv2d(channels, 2, 3), (channels, 4, 4)) for channels in (1, 2, 4, 8, 100)),
    (Conv2d(8, 8, 3, groups=8), (8, 4, 4)),
    *((kind(kernel), (3, 9, 9)) for kernel in (1, 2, 9) for kind in (MaxPool2d, AvgPool2d)),
    *((kind(), (2, 70, 70)) for kind in (GlobalMaxPool2d, GlobalAvgPool2d)),
    *((Linear(count, 2), (count,)) for count in (1, 13, 400)),
    *((layer, (2, 3, 3)) for layer in (ReLU(), Sigmoid(), Tanh(), GELU(), Dropout(), BatchNorm2d(2), Flatten())),
]


@pytest.mark.parametrize("size", [(500, 160), (900, 200), (1600, 320), (3000, 900), (700, 300), (300, 60)])
def test_every_explanation_can_be_painted_at_every_size(strip: DotProductStrip, size: tuple[int, int]) -> None:
    strip.resize(*size)
    blank = strip.grab().toImage()
    for layer, shape in LAYERS:
        x = np.random.default_rng(0).normal(size=shape)
        for count in (1, 2):
            show(strip, layer, x, (0,) * len(layer.output_shape(shape)), count=count, sees="sees everything")
            assert strip.grab().toImage() != blank


def test_what_was_painted_before_leaves_no_trace(qtbot: QtBot, strip: DotProductStrip) -> None:
    rng = np.random.default_rng(0)
    strip.resize(1200, 220)
    for channels, kernel in ((3, 3), (3, 3), (3, 2), (1, 3), (2, 3), (12, 3)):
        layer = Conv2d(channels, 1, kernel, weight=rng.normal(size=(1, channels, kernel, kernel)))
        x = rng.normal(size=(channels, 4, 4))
        for channel in range(min(2, channels)):
            show(strip, layer, x, (0, 1, 1), channel)
            fresh = DotProductStrip()
            qtbot.addWidget(fresh)
            fresh.resize(strip.size())
            show(fresh, layer, x, (0, 1, 1), channel)
            assert strip.grab().toImage() == fresh.grab().toImage()


@given(
    size=st.tuples(st.integers(300, 3000), st.integers(80, 900)),
    kernel=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    others=st.integers(1, 3),
)
@settings(max_examples=200)
def test_the_channels_dot_products_do_not_overlap(
    qapp: QApplication, size: tuple[int, int], kernel: tuple[int, int], others: int
) -> None:
    (width, height), (rows, cols), name = size, kernel, 30.0
    image = QImage(1, 1, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    pen = StripPainter(painter, qapp.palette(), 1.0)
    layout = channel_rows(pen, QSizeF(width, height), kernel, others, name)
    painter.end()
    if layout is None:
        return
    text = name + SUM_UNITS * theme.unit()
    chosen = QRectF(0, 0, text + 3 * cols * layout.cell, layout.cell * rows)
    other = QRectF(layout.left, layout.top, text + 3 * cols * layout.other_cell, layout.other_cell * rows)
    assert layout.other_cell <= layout.cell + 1e-9
    assert not chosen.intersects(other)
    assert layout.pitch >= other.height()
    assert other.bottom() + (others - 1) * layout.pitch <= height + 1e-6
    assert max(chosen.right(), other.right()) <= layout.right <= width


@given(
    rows=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    left_out=st.integers(0, 50),
    room=st.integers(1, 80),
    most=st.integers(0, 6),
)
def test_terms_that_have_no_room_are_counted(rows: list[int], left_out: int, room: int, most: int) -> None:
    count = sum(rows) + left_out
    lines = shortened(Terms([["(12)"] * length for length in rows], " + ", count), len, room, most)
    assert len(lines) <= most
    if lines:
        text = "".join(lines)
        assert "… and 0 more" not in text
        counted = re.search(r"… and (\d+) more terms$", text)
        assert text.count("(12)") + (int(counted[1]) if counted else 0) == count


@given(width=st.integers(100, 3000), text_units=st.integers(10, 60))
def test_a_drawing_stands_beside_the_text_or_nowhere(qapp: QApplication, width: int, text_units: int) -> None:
    image = QImage(1, 1, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    rest = QRectF(50, 0, width, 100)
    text, drawing = room_for_drawing(StripPainter(painter, qapp.palette(), 1.0), rest, text_units)
    painter.end()
    assert rest.contains(text)
    if drawing is not None:
        assert rest.contains(drawing)
        assert text.right() < drawing.left()
        assert text.width() >= (text_units - 2) * theme.unit()


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

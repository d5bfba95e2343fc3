import numpy as np
import pytest
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.core.statistics import statistics
from convviz.ui.widgets.histogram import Histogram


@pytest.fixture
def histogram(qtbot: QtBot, light: QApplication) -> Histogram:
    histogram = Histogram()
    qtbot.addWidget(histogram)
    histogram.resize(200, histogram.sizeHint().height())
    return histogram


def heights(histogram: Histogram, count: int) -> list[int]:
    """How many pixels of the bars' colour stand above the middle of each of so many ranges."""
    image = histogram.grab().toImage()
    color = histogram.palette().color(QPalette.ColorRole.Highlight).rgb()
    columns = [round((k + 0.5) * image.width() / count) for k in range(count)]
    return [sum(image.pixel(x, y) == color for y in range(image.height())) for x in columns]


def test_bars_are_as_high_as_what_they_count(histogram: Histogram) -> None:
    histogram.show_counts(np.array([10, 0, 5, 1]), np.linspace(-1, 1, 5))
    tall, none, half, small = heights(histogram, 4)
    assert none == 0
    assert half == pytest.approx(tall / 2, abs=1)
    assert small == pytest.approx(tall / 10, abs=1)


def test_a_single_number_among_a_million_is_seen(histogram: Histogram) -> None:
    histogram.show_counts(np.array([10**6, 1]), np.array([0.0, 1, 2]))
    assert heights(histogram, 2)[1] >= 1


def test_pointing_says_what_a_bar_counts(histogram: Histogram) -> None:
    histogram.show_counts(np.array([10, 0, 5, 1]), np.linspace(-1, 1, 5))
    assert histogram.words_at(10) == "−1 to −0.5: 10 numbers"
    assert histogram.words_at(199) == "0.5 to 1: 1 number"
    assert histogram.words_at(-1) == histogram.words_at(200) == ""


@pytest.mark.parametrize("values", [[], [3.0], [np.nan, np.inf], [-1e38, 1e38], [0.0, 0.0]])
def test_any_numbers_can_be_painted(histogram: Histogram, values: list[float]) -> None:
    found = statistics(np.array(values, np.float32))
    histogram.show_counts(found.histogram, found.edges)
    assert not histogram.grab().isNull()
    histogram.clear()
    assert heights(histogram, 3) == [0, 0, 0]
    assert histogram.words_at(10) == ""

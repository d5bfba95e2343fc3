import numpy as np
import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.ui import theme
from convviz.ui.widgets.bars import ClassBars, percent
from tests.ui.paints import look_alike, on_screen


def test_percentages() -> None:
    assert [percent(share) for share in (0.0, 0.714, 1.0, float("nan"))] == ["0 %", "71 %", "100 %", "–"]
    assert percent(0.9966, 1) == "99.7 %"
    assert [percent(share) for share in (1e-9, 0.004, 0.006)] == ["<1 %", "<1 %", "1 %"]
    assert [percent(share, 1) for share in (0.0, 0.0004, 0.0006)] == ["0.0 %", "<0.1 %", "0.1 %"]


def test_bars_are_as_long_as_their_shares(qtbot: QtBot, light: QApplication) -> None:
    bars = ClassBars("Accuracy", "How many.")
    qtbot.addWidget(bars)
    bars.resize(400, 60)
    bars.show_shares(("a", "b"), np.array([0.25, 1.0]))
    image, row = bars.viewport().grab().toImage(), round(2.5 * theme.unit())
    highlight = bars.palette().highlight().color()
    quarter, whole = (
        sum(image.pixelColor(x, round((k + 0.5) * row)) == highlight for x in range(image.width())) for k in (0, 1)
    )
    assert quarter == pytest.approx(whole / 4, abs=2)
    assert whole > 200


def test_what_changes_is_painted_anew(qtbot: QtBot, light: QApplication) -> None:
    bars = ClassBars("Accuracy", "How many.")
    qtbot.addWidget(bars)
    bars.resize(300, 90)
    bars.show()
    qtbot.waitExposed(bars)
    shares = np.array([0.25, 0.5, 0.75, 0.0, 1.0])
    for names, values, bold in (
        ("abcde", shares, 1),
        ("abcde", shares[::-1], 1),
        ("abcde", shares, 3),
        ("abXde", shares**2, 3),
        (["a much longer name", *"bcde"], shares**2, 3),
        ("abc", shares[:3], 0),
        ("abcdefghi", np.linspace(0, 1, 9), 0),
    ):
        bars.show_shares(tuple(names), values, bold)
        light.processEvents()
        assert look_alike(on_screen(bars), bars.grab().toImage())

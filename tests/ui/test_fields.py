import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.ui.widgets.fields import whole_number


@pytest.mark.parametrize(
    ("typed", "number"), [("7", 7), ("31", 15), ("15", 15), ("9" * 5000, 15), ("0", 3), ("2", 3), ("007", 7)]
)
def test_a_number_beyond_the_range_becomes_its_end(qtbot: QtBot, light: QApplication, typed: str, number: int) -> None:
    spin = whole_number("Kernel size", "How large.", 3, 15)
    qtbot.addWidget(spin)
    spin.setValue(5)
    spin.show()
    chosen: list[int] = []
    spin.valueChanged.connect(chosen.append)
    spin.selectAll()
    QApplication.clipboard().setText(typed)
    spin.lineEdit().paste()
    qtbot.keyClick(spin, Qt.Key.Key_Return)
    assert (spin.value(), spin.text(), chosen) == (number, str(number), [number])


@pytest.mark.parametrize("typed", ["x", "1.5", "-"])
def test_what_is_no_number_is_not_taken(qtbot: QtBot, light: QApplication, typed: str) -> None:
    spin = whole_number("Kernel size", "How large.", 3, 15)
    qtbot.addWidget(spin)
    spin.setValue(5)
    spin.selectAll()
    QApplication.clipboard().setText(typed)
    spin.lineEdit().paste()
    qtbot.keyClick(spin, Qt.Key.Key_Return)
    assert spin.value() == 5

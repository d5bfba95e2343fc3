from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QLineEdit
from pytestqt.qtbot import QtBot

from convviz.nn.network import Preprocessing
from convviz.ui.inspect.preprocessing_row import PreprocessingRow

CIFAR = Preprocessing((32, 32), (0.49139968, 0.48215841, 0.44653091), (0.2435, 0.2616, 1 / 3))


@pytest.fixture
def row(qtbot: QtBot, light: QApplication) -> PreprocessingRow:
    row = PreprocessingRow()
    qtbot.addWidget(row)
    row.show_preprocessing(CIFAR)
    row.show()
    return row


def write(qtbot: QtBot, field: QLineEdit, text: str) -> None:
    field.selectAll()
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


def test_what_is_not_touched_keeps_all_its_digits(qtbot: QtBot, row: PreprocessingRow) -> None:
    assert row.mean_field.text() == "0.4914, 0.4822, 0.4465"
    with qtbot.assertNotEmitted(row.chosen):
        qtbot.keyClick(row.mean_field, Qt.Key.Key_Return)
    with qtbot.waitSignal(row.chosen, check_params_cb=lambda chosen: chosen == replace(CIFAR, std=(0.25,) * 3)):
        write(qtbot, row.std_field, "0.25")


@pytest.mark.parametrize("text", ["0", "-0.5", "1e-300", "NaN", "0.5, 0.5", "", "0.5, x, 0.5"])
def test_a_deviation_that_cannot_be_used_changes_nothing(qtbot: QtBot, row: PreprocessingRow, text: str) -> None:
    with qtbot.assertNotEmitted(row.chosen):
        if text:
            write(qtbot, row.std_field, text)
        else:
            row.std_field.selectAll()
            qtbot.keyClick(row.std_field, Qt.Key.Key_Delete)
            qtbot.keyClick(row.std_field, Qt.Key.Key_Return)
    assert row._problem.text() == (
        "One number is accepted, or 3 with commas; the deviation is 1e−6 or more. Nothing was changed."
    )
    with qtbot.waitSignal(row.chosen):
        write(qtbot, row.std_field, "2, 3, 4")
    assert not row._problem.isVisible()

import pytest
from PySide6.QtWidgets import QApplication, QLabel
from pytestqt.qtbot import QtBot

from convviz.nn.source import DataProgress
from convviz.ui import theme
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.progress_row import ProgressRow, progress_text


@pytest.fixture
def row(qtbot: QtBot, light: QApplication) -> ProgressRow:
    row = ProgressRow()
    qtbot.addWidget(row)
    row.resize(700, 40)
    return row


def button(row: ProgressRow, text: str) -> FlatButton:
    (found,) = (one for one in row.findChildren(FlatButton) if one.text() == text)
    return found


def shown(row: ProgressRow) -> tuple[list[str], list[str]]:
    """The texts and the buttons that are seen."""
    labels = [label.text() for label in row.findChildren(QLabel) if label.isVisible()]
    return labels, [one.text() for one in row.findChildren(FlatButton) if one.isVisible()]


def test_it_is_hidden_while_nothing_is_computed(row: ProgressRow) -> None:
    assert row.isHidden()


def test_what_is_computed_can_be_cancelled(qtbot: QtBot, row: ProgressRow) -> None:
    row.show_progress("Computing layer 2 of 4", 0.25)
    assert shown(row) == (["Computing layer 2 of 4"], ["Cancel"])
    assert row.accessibleName() == "Computing layer 2 of 4"
    with qtbot.assertNotEmitted(row.asked_again), qtbot.waitSignal(row.cancelled):
        button(row, "Cancel").click()


def test_what_was_cancelled_can_be_asked_for_again(qtbot: QtBot, row: ProgressRow) -> None:
    row.show_progress("Computing layer 2 of 4", 0.25)
    row.show_cancelled("Layers 2 to 4 were not computed.")
    assert shown(row) == (["Layers 2 to 4 were not computed."], ["Compute"])
    assert row.accessibleName() == "Layers 2 to 4 were not computed."
    with qtbot.assertNotEmitted(row.cancelled), qtbot.waitSignal(row.asked_again):
        button(row, "Compute").click()
    row.show_progress("Computing layer 2 of 4", 0.25)
    assert shown(row) == (["Computing layer 2 of 4"], ["Cancel"])


def test_markup_is_text(row: ProgressRow) -> None:
    row.show_cancelled("<b>0 < 1</b>")
    (label,) = row.findChildren(QLabel)
    assert label.sizeHint().width() == pytest.approx(theme.text_width(theme.font(), "<b>0 < 1</b>"), abs=4)


def filled(row: ProgressRow) -> int:
    """How many pixels of the line through the middle of the bar have the colour of what is done."""
    picture, middle = row.grab().toImage(), row.height() // 2
    done = QApplication.palette().highlight().color()
    return sum(picture.pixelColor(x, middle) == done for x in range(button(row, "Cancel").x()))


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_the_bar_fills(light: QApplication, row: ProgressRow, mode: theme.Mode) -> None:
    theme.apply(light, mode, 1.0)
    lengths = []
    for share in (0.0, 0.25, 0.5, 1.0):
        row.show_progress("Computing", share)
        QApplication.processEvents()
        lengths.append(filled(row))
    empty, quarter, half, whole = lengths
    assert empty == 0
    assert quarter > 50
    assert half == pytest.approx(2 * quarter, abs=8)
    assert whole == pytest.approx(4 * quarter, abs=16)


@pytest.mark.parametrize("scale", [0.75, 1.0, 2.0, 3.0])
def test_nothing_is_cut_at_any_scale(qtbot: QtBot, light: QApplication, row: ProgressRow, scale: float) -> None:
    row.show_progress("Effective receptive field: PyTorch is being loaded", 0.5)
    theme.apply(light, "light", scale)
    cancel = button(row, "Cancel")
    qtbot.waitUntil(lambda: cancel.font().pixelSize() == round(theme.BASE_FONT_PX * scale))
    row.resize(row.minimumSizeHint())
    QApplication.processEvents()
    for child in (cancel, *row.findChildren(QLabel)):
        assert row.rect().contains(child.geometry())
        assert child.width() >= child.sizeHint().width()
        assert child.height() >= child.minimumSizeHint().height()


def test_buttons_have_a_name_and_a_sentence(row: ProgressRow) -> None:
    for one in row.findChildren(FlatButton):
        assert one.accessibleName() == one.text() != ""
        assert one.toolTip().endswith(".")


def test_progress_is_said_with_its_share() -> None:
    assert progress_text(DataProgress(1, 3, "Drawing pictures")) == "Drawing pictures… 33 %"
    assert progress_text(DataProgress(7, 0, "Unpacking CIFAR-10")) == "Unpacking CIFAR-10…"

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, Qt
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from convviz.core import display
from convviz.nn.evaluation import Evaluation
from convviz.ui import theme
from convviz.ui.train.confusion import row_shares
from convviz.ui.train.results import ResultsPanel
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.color_map import color_map
from convviz.ui.widgets.picture_pages import PAGE, PicturePages

CLASSES = ("cat", "dog", "<b>ship</b>")
LABELS = np.arange(300) % 3
IMAGES = np.random.default_rng(0).integers(0, 256, (300, 3, 8, 8), dtype=np.uint8)
LEFT = Qt.MouseButton.LeftButton


def evaluation_of(predictions: NDArray[np.int64]) -> Evaluation:
    """Answers to the pictures, the first one given with 0.9, the last one with 0.5."""
    confidence = np.linspace(0.9, 0.5, len(predictions))
    probabilities = np.repeat(((1 - confidence) / 2)[:, None], 3, axis=1)
    probabilities[np.arange(len(predictions)), predictions] = confidence
    confusion = np.bincount(LABELS * 3 + predictions, minlength=9).reshape(3, 3)
    return Evaluation(1.0, probabilities.astype(np.float32), predictions, confusion)


def some_answers() -> NDArray[np.int64]:
    """Pictures 0 and 30 are cats taken for dogs, 2 is a ship taken for a cat; all else is recognised."""
    predictions = LABELS.copy()
    predictions[[0, 30]], predictions[2] = 1, 0
    return predictions


@pytest.fixture
def panel(qtbot: QtBot, light: QApplication) -> ResultsPanel:
    panel = ResultsPanel()
    qtbot.addWidget(panel)
    panel.resize(700, 500)
    panel.show_evaluation(evaluation_of(some_answers()), CLASSES, IMAGES, LABELS)
    with qtbot.waitActive(panel):
        panel.show()
        panel.activateWindow()
    light.processEvents()
    return panel


def press(panel: QWidget, name: str) -> None:
    (found,) = (one for one in panel.findChildren(FlatButton) if one.accessibleName() == name)
    found.click()


def names(pages: PicturePages) -> list[str]:
    return [pages.pictures.name(k) for k in range(pages.pictures.num_maps)]


def words(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisible()]


# ---- the four views


def test_accuracy_by_class(panel: ResultsPanel) -> None:
    assert panel.bars.isVisible()
    assert panel.bars.accessibleDescription() == "cat 98 %, dog 100 %, <b>ship</b> 99 %"
    assert "99.0 % of 300 right" in words(panel)


def test_a_class_without_pictures_has_no_share(panel: ResultsPanel) -> None:
    confusion = np.array([[5, 0, 0], [0, 0, 0], [0, 0, 5]])
    empty = Evaluation(1.0, np.zeros((0, 3), np.float32), np.zeros(0, np.int64), confusion)
    panel.show_evaluation(empty, CLASSES, IMAGES[:0], LABELS[:0])
    assert panel.bars.accessibleDescription() == "cat 100 %, dog –, <b>ship</b> 100 %"


def test_the_matrix_has_the_colours_of_row_shares(panel: ResultsPanel) -> None:
    press(panel, "Confusion")
    matrix = panel.matrix
    image, cells = matrix.viewport().grab().toImage(), matrix.cells
    index = display.to_index(row_shares(evaluation_of(some_answers()).confusion), 1.0)
    for row in range(3):
        for col in range(3):
            corner = cells.cell_rect(row, col).topLeft() + QPointF(3, 3)
            assert image.pixel(corner.toPoint()) == color_map(False).argb[index[row, col]]


def test_a_cell_is_said_in_words(qtbot: QtBot, panel: ResultsPanel) -> None:
    press(panel, "Confusion")
    matrix = panel.matrix
    matrix.setFocus()
    qtbot.keyClick(matrix, Qt.Key.Key_Right)
    assert matrix.words == "cat recognised: 98 of 100 (98.0 %)"
    qtbot.keyClick(matrix, Qt.Key.Key_Right)
    assert matrix.words == "cat taken for dog: 2 of 100 (2.0 %)"
    assert matrix.accessibleDescription() == matrix.words
    qtbot.mouseMove(matrix.viewport(), matrix.cells.cell_rect(2, 0).center().toPoint())
    assert matrix.words == "<b>ship</b> taken for cat: 1 of 100 (1.0 %)"


def test_a_click_on_a_cell_shows_the_pictures_behind_it(qtbot: QtBot, panel: ResultsPanel) -> None:
    press(panel, "Confusion")
    place = panel.matrix.cells.cell_rect(0, 1).center().toPoint()
    qtbot.mouseClick(panel.matrix.viewport(), LEFT, pos=place)
    assert panel.behind.shown == [0, 30]
    assert names(panel.behind) == ["cat\n✗ dog 90 %", "cat\n✗ dog 86 %"]
    assert "cat taken for dog: 2" in words(panel)
    qtbot.keyClick(panel.behind.pictures, Qt.Key.Key_Escape)
    assert panel.matrix.isVisible()
    qtbot.keyClick(panel.matrix, Qt.Key.Key_Return)
    assert panel.behind.isVisible()
    press(panel, "Back to the confusion matrix")
    assert panel.matrix.hasFocus()


def test_pages_of_pictures_have_all_the_room(panel: ResultsPanel) -> None:
    panel.show_cell(0, 1)
    assert "99.0 % of 300 right" not in words(panel)
    assert "Page" not in words(panel)  # there is one only
    press(panel, "By class")
    assert "99.0 % of 300 right" in words(panel)


def test_the_most_confident_mistakes_come_first(panel: ResultsPanel) -> None:
    press(panel, "Mistakes")
    assert panel.mistakes.shown == [0, 2, 30]
    assert names(panel.mistakes) == ["cat\n✗ dog 90 %", "<b>ship</b>\n✗ cat 90 %", "cat\n✗ dog 86 %"]


def test_samples_come_in_pages(panel: ResultsPanel) -> None:
    press(panel, "Samples")
    assert panel.samples.shown == list(range(PAGE))
    assert names(panel.samples)[:2] == ["cat\n✗ dog 90 %", "dog\n✓ 90 %"]
    press(panel.samples, "Page: next")
    assert panel.samples.shown == list(range(PAGE, 2 * PAGE))
    panel.show_evaluation(evaluation_of(LABELS), CLASSES, IMAGES, LABELS)
    assert panel.samples.shown == list(range(PAGE, 2 * PAGE))
    assert "of 5" in words(panel)


def test_a_clicked_picture_is_told_by_its_index(qtbot: QtBot, panel: ResultsPanel) -> None:
    press(panel, "Samples")
    press(panel.samples, "Page: next")
    mosaic = panel.samples.pictures
    with qtbot.waitSignal(panel.sample_chosen) as chosen:
        qtbot.mouseClick(mosaic.viewport(), LEFT, pos=mosaic.map_rect(2).center().toPoint())
    assert chosen.args == [PAGE + 2]


def test_an_epoch_later_the_view_is_the_same_with_new_numbers(panel: ResultsPanel) -> None:
    panel.show_cell(0, 1)
    panel.show_evaluation(evaluation_of(LABELS), CLASSES, IMAGES, LABELS)
    assert panel.behind.isVisible()
    assert panel.behind.shown == []
    press(panel, "Mistakes")
    assert "The most confident of 0 mistakes first" in words(panel)


# ---- look


def test_before_the_first_epoch_it_says_when_there_will_be_results(panel: ResultsPanel) -> None:
    panel.clear()
    assert words(panel) == ["At the end of an epoch the results appear here."]
    assert not panel.bars.isVisible()
    panel.show_evaluation(evaluation_of(LABELS), CLASSES, IMAGES, LABELS)
    assert panel.bars.isVisible()


def test_the_theme_is_followed(light: QApplication, panel: ResultsPanel) -> None:
    theme.apply(light, "dark", 1.0)
    light.processEvents()
    assert panel.grab().toImage().pixelColor(panel.width() // 2, 3) == theme.DARK.surface

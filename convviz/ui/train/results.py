"""How well the network recognises the test pictures: by class, what it confuses, its mistakes, its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QWidget

from convviz.core.numbers import grouped
from convviz.ui import theme
from convviz.ui.train.confusion import ConfusionMatrix
from convviz.ui.widgets.bars import ClassBars, percent
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.card import Card, Hint
from convviz.ui.widgets.page_stack import PageStack
from convviz.ui.widgets.picture_pages import Indices, PicturePages, Pixels
from convviz.ui.widgets.tool_row import Heading, ToolRow

if TYPE_CHECKING:
    from convviz.nn.evaluation import Evaluation


class ResultsPanel(Card):
    """Shows an `Evaluation` in one of four ways: by class, as a confusion matrix, its mistakes, all test pictures."""

    sample_chosen = Signal(int)  # the index of a picture that was clicked

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._evaluation: Evaluation | None = None
        self._classes: tuple[str, ...] = ()
        self._images: Pixels = np.zeros((0, 1, 1, 1), np.uint8)
        self._labels: Indices = np.zeros(0, np.int64)
        self._view = "classes"
        self._cell: tuple[int, int] | None = None  # of the matrix, whose pictures are shown
        self._choices = Choices(
            (
                (
                    "classes",
                    self.tr("By class"),
                    self.tr("The share of each class's test pictures that is recognised."),
                ),
                ("confusion", self.tr("Confusion"), self.tr("Which class is taken for which.")),
                ("mistakes", self.tr("Mistakes"), self.tr("The wrong answers, the most confident first.")),
                ("samples", self.tr("Samples"), self.tr("All test pictures with truth and prediction.")),
            )
        )
        self._choices.choose(self._view)
        self._choices.setAccessibleName(self.tr("Results"))
        self._heading = Heading("")
        self.bars = ClassBars(
            self.tr("Accuracy by class"), self.tr("How many of each class's test pictures are recognised.")
        )
        self.matrix = ConfusionMatrix()
        self.mistakes = PicturePages(self.tr("Most confident mistakes"))
        self.samples = PicturePages(self.tr("Test pictures"))
        self._back = FlatButton("previous", self.tr("Matrix"))
        self._back.setToolTip(self.tr("Show the confusion matrix again (Esc)."))
        self._back.setAccessibleName(self.tr("Back to the confusion matrix"))
        self.behind = PicturePages(self.tr("Pictures behind a cell"), self._back)
        self._pages = PageStack()
        for page in (self.bars, self.matrix, self.mistakes, self.samples, self.behind):
            self._pages.add(page)
        self._tools = ToolRow(self._choices, self._heading)
        self._hint = Hint(self.tr("At the end of an epoch the results appear here."))
        self.add(self._hint, 1)
        self.add(self._tools)
        self.add(self._pages, 1)
        self._choices.chosen.connect(self.show_view)
        self.matrix.cell_activated.connect(self.show_cell)
        self._back.clicked.connect(self._leave_cell)
        for pages in (self.mistakes, self.samples, self.behind):
            pages.picture_chosen.connect(self.sample_chosen)
        self.clear()

    # ---- content

    def show_evaluation(
        self, evaluation: Evaluation, classes: tuple[str, ...], images_NCHW: Pixels, labels_N: Indices
    ) -> None:
        """Show the answers to the test pictures (N, 3 or 1, H, W) of the given classes (N,)."""
        self._evaluation, self._classes = evaluation, classes
        self._images, self._labels = images_NCHW, labels_N
        self._heading.setText(
            self.tr("{percent} of {count} right").format(
                percent=percent(evaluation.accuracy, 1), count=grouped(len(labels_N))
            )
        )
        self._hint.hide()
        self._tools.show()
        self._pages.show()
        self._show_current()

    def clear(self) -> None:
        """Say when there will be results."""
        self._evaluation, self._cell = None, None
        self._tools.hide()
        self._pages.hide()
        self._hint.show()

    @Slot(str)
    def show_view(self, view: str) -> None:
        """Show "classes", "confusion", "mistakes" or "samples"."""
        self._view, self._cell = view, None
        self._choices.choose(view)
        self._show_current()

    @Slot(int, int)
    def show_cell(self, truth: int, prediction: int) -> None:
        """Show the pictures of a class that were taken for a class."""
        self._view, self._cell = "confusion", (truth, prediction)
        self._choices.choose(self._view)
        self._show_current()
        self.behind.show_first_page()
        self.behind.pictures.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def _leave_cell(self) -> None:
        cell = self._cell
        self.show_view("confusion")
        self.matrix.set_current(cell)
        self.matrix.setFocus(Qt.FocusReason.OtherFocusReason)

    def _show_current(self) -> None:
        """Fill the page that is seen, and show it; the others are filled when they are asked for."""
        evaluation = self._evaluation
        if evaluation is None:
            return
        if self._view == "classes":
            self.bars.show_shares(self._classes, evaluation.class_accuracy)
            self._show_page(self.bars)
        elif self._view == "mistakes":
            mistakes = evaluation.mistakes(self._labels)
            words = self.tr("The most confident of {count} mistakes first").format(count=grouped(len(mistakes)))
            self.mistakes.show_pictures(words, self._images, mistakes, self._caption)
            self._show_page(self.mistakes)
        elif self._view == "samples":
            everything = np.arange(len(self._labels))
            words = self.tr("{count} test pictures").format(count=grouped(len(everything)))
            self.samples.show_pictures(words, self._images, everything, self._caption)
            self._show_page(self.samples)
        elif self._cell is None:
            self.matrix.show_confusion(evaluation.confusion, self._classes)
            self._show_page(self.matrix)
        else:
            self._show_behind(evaluation, *self._cell)

    def _show_behind(self, evaluation: Evaluation, truth: int, prediction: int) -> None:
        """Show the pictures behind a cell, the most confident answer first."""
        (indices,) = np.nonzero((self._labels == truth) & (evaluation.predictions == prediction))
        indices = indices[np.argsort(-evaluation.probabilities[indices, prediction], kind="stable")]
        template = self.tr("{truth} recognised: {count}")
        if truth != prediction:
            template = self.tr("{truth} taken for {prediction}: {count}")
        words = template.format(
            truth=self._classes[truth], prediction=self._classes[prediction], count=grouped(len(indices))
        )
        self.behind.show_pictures(words, self._images, indices, self._caption)
        self._show_page(self.behind)

    def _show_page(self, page: QWidget) -> None:
        self._tools.set_tool_visible(self._heading, page in {self.bars, self.matrix})  # pages of pictures need the room
        self._pages.show_page(page)

    def _caption(self, index: int) -> str:
        """Return the truth of a picture and, below it, whether it is recognised or what it was taken for."""
        if self._evaluation is None:
            return ""
        truth, prediction = int(self._labels[index]), int(self._evaluation.predictions[index])
        share = percent(float(self._evaluation.probabilities[index, prediction]))
        answer = f"✓ {share}" if truth == prediction else f"✗ {self._classes[prediction]} {share}"
        return f"{self._classes[truth]}\n{answer}"

    # ---- events

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave the pictures behind a cell with Escape."""
        if event.key() == Qt.Key.Key_Escape and self._cell is not None:
            self._leave_cell()
        else:
            super().keyPressEvent(event)

    def minimumSizeHint(self) -> QSize:
        """Return a size in which each view can be read, by scrolling where need be."""
        unit = theme.unit()
        return QSize(max(round(40 * unit), self._tools.minimumSizeHint().width() + round(2.5 * unit)), round(37 * unit))

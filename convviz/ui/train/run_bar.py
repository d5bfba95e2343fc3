"""The bar at the bottom: start, pause, stop and save a training, and how far it is."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QSizePolicy, QWidget

from convviz.core.numbers import grouped
from convviz.ui import theme
from convviz.ui.actions import Action
from convviz.ui.train.model import RUNNING, Phase
from convviz.ui.widgets.bar import Bar
from convviz.ui.widgets.buttons import FlatButton, Kind
from convviz.ui.widgets.live_text import LiveText

if TYPE_CHECKING:
    from convviz.nn.train import TrainSnapshot

BUTTONS: Final = ("run", "one_batch", "stop", "go_on", "open_run", "save_now")
MOST_SPEED: Final = 88_888
"""Images a second for which there is room."""
READABLE_SECONDS: Final = 0.5
"""A number stands for so long while it changes all the time."""
FOLDS: Final = (
    (False, True, 3),
    (False, False, 3),
    (True, True, 3),
    (True, False, 3),
    (True, False, 2),
    (True, False, 1),
)
"""From wide to narrow: whether the texts stand below the buttons, whether those have words, and how many texts."""


class RunBar(Bar):
    """Buttons for the training's actions, and beside them what is known of its progress."""

    def __init__(self, actions: Mapping[str, Action], parent: QWidget | None = None) -> None:
        super().__init__(Qt.Edge.BottomEdge, parent)
        self._actions = actions
        self._buttons = {
            name: FlatButton.for_action(actions[name], True, Kind.PRIMARY if name == "run" else Kind.OUTLINED)
            for name in BUTTONS
        }
        self._epoch, self._known = LiveText(self), LiveText(self)  # how far, and how fast
        self._num_epochs, self._num_known = 10, 3
        self._runs, self._is_saved = False, True
        self._snapshot: TrainSnapshot | None = None
        self._told: tuple[object, ...] = ()  # when the texts were made
        self._shown_epoch, self._known_texts = "", list[str]()
        self._progress = _Progress(self)
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._doing, self._knowing = QHBoxLayout(), QHBoxLayout()
        for button in self._buttons.values():
            self._doing.addWidget(button)
        self._doing.addStretch(1)
        for widget, stretch in ((self._epoch, 0), (self._progress, 1), (self._known, 0)):
            self._knowing.addWidget(widget, stretch)
        self._row.addLayout(self._doing)
        self._row.addLayout(self._knowing, 1)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.rescale()
        self.show_phase("idle", can_go_on=False, saves=False)

    def minimumSizeHint(self) -> QSize:
        """Return the least size, that of two rows."""
        return QSize(round(48 * theme.unit()), super().minimumSizeHint().height())

    def show_phase(self, phase: Phase, can_go_on: bool, saves: bool, is_saved: bool = True) -> None:
        """Offer what can be done in a phase.

        Args:
            phase: of the training.
            can_go_on: whether there is a run to go on with.
            saves: whether there is something to be saved.
            is_saved: whether what a training that has ended came to is saved.
        """
        running, loading = phase in RUNNING, phase == "loading"
        act = self._actions
        if running and phase != "paused":
            text, icon = self.tr("Pause"), "pause"
        elif phase == "paused":
            text, icon = self.tr("Resume"), "play"
        else:
            text, icon = self.tr("Start"), "play"
        act["run"].setText(text)
        self._buttons["run"].set_icon(icon)
        self._buttons["run"].setAccessibleName(text)
        self._buttons["run"].updateGeometry()
        act["run"].setEnabled(not loading)
        act["one_batch"].setEnabled(not loading)
        act["stop"].setEnabled(running)
        act["go_on"].setEnabled(can_go_on)
        act["open_run"].setEnabled(not running and is_saved)
        self._buttons["open_run"].setVisible(not running)
        act["save_now"].setEnabled(running and saves)
        self._buttons["go_on"].setVisible(can_go_on)
        self._runs, self._is_saved = running, is_saved
        if self._snapshot is not None:
            self._show_known(self._snapshot)
        self.fold()

    def show_snapshot(self, snapshot: TrainSnapshot, num_epochs: int) -> None:
        """Show how far the training is; what is said of it stays for as long as it takes to be read."""
        self._num_epochs = num_epochs
        self._snapshot = snapshot
        self._progress.show_share(snapshot.progress.step / snapshot.num_steps)
        told = num_epochs, snapshot.epoch, snapshot.saved_at, snapshot.progress.seconds // READABLE_SECONDS
        if told != self._told:
            self._told = told
            self._show_known(snapshot)

    def _show_known(self, snapshot: TrainSnapshot) -> None:
        if self._runs:
            known = self._running_texts(snapshot.images_per_second, snapshot.seconds_left)
            if snapshot.saved_at is not None:
                known.append(self._saved(time.time() - snapshot.saved_at))
        else:
            known = [self.tr("{time} trained").format(time=clock(snapshot.progress.seconds))]
            if not self._is_saved:
                known.append(self.tr("not saved"))
            elif snapshot.saved_at is not None:
                known.append(self.tr("saved"))
        self._shown_epoch, self._known_texts = self._epoch_text(snapshot.epoch), known
        width = self._epoch.width()
        self._show_texts()
        if width != self._epoch.width():
            self.fold()

    def _show_texts(self) -> None:
        """Show as much as there is room for; a text has the room of the widest that may come."""
        widest = [*self._running_texts(MOST_SPEED, 599), self._saved(88 * 60)]
        count = self._num_known
        self._epoch.set_text(self._shown_epoch, self._epoch_text(self._num_epochs))
        self._known.set_text(" · ".join(self._known_texts[:count]), " · ".join(widest[:count]))

    def _epoch_text(self, epoch: int) -> str:
        return self.tr("epoch {epoch} / {count}").format(epoch=epoch, count=self._num_epochs)

    def _running_texts(self, images_per_second: float, seconds_left: float) -> list[str]:
        texts = [self.tr("{count} images/s").format(count=grouped(_rounded(images_per_second)))]
        if math.isfinite(seconds_left):
            texts.append(self.tr("{time} left").format(time=clock(seconds_left)))
        return texts

    def _saved(self, seconds: float) -> str:
        if seconds < 60:
            return self.tr("saved {seconds} s ago").format(seconds=max(0, int(seconds)))
        return self.tr("saved {minutes} min ago").format(minutes=int(seconds / 60))

    def fold(self) -> None:
        """Drop the words of the lesser buttons, break the line, then drop what is less worth knowing, until it fits."""
        for stacked, words, num_known in FOLDS:
            self._num_known = num_known
            self._show_texts()
            for name, button in self._buttons.items():
                button.show_text(words or name == "run")
            if self._needed(stacked) <= self.width():
                break
        self._row.setDirection(QBoxLayout.Direction.TopToBottom if stacked else QBoxLayout.Direction.LeftToRight)
        self.updateGeometry()

    def _needed(self, stacked: bool) -> int:
        """Return the width of all, px: of the buttons, and of the texts beside or below them."""
        unit = theme.unit()
        buttons = [button.sizeHint().width() + unit for button in self._buttons.values() if not button.isHidden()]
        texts = [self._epoch.width() + unit, self._progress.minimumSizeHint().width() + unit, self._known.width()]
        return round(4 * unit + (max(sum(buttons), sum(texts)) if stacked else sum(buttons) + sum(texts)))

    def rescale(self) -> None:
        """Follow the font."""
        unit = theme.unit()
        self._row.setContentsMargins(round(2 * unit), round(unit), round(2 * unit), round(unit))
        for layout in (self._row, self._doing, self._knowing):
            layout.setSpacing(round(unit))
        self.fold()


class _Progress(QWidget):
    """A line that fills up."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._share = 0.0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.setAccessibleName(self.tr("Progress of the training"))
        self._describe()

    def show_share(self, share: float) -> None:
        """Show how much is done, 0 to 1."""
        before, self._share = self._share, share
        if share != before:
            self.update()
        if round(100 * share) != round(100 * before):
            self._describe()

    def _describe(self) -> None:
        self.setAccessibleDescription(self.tr("{percent} %").format(percent=round(100 * self._share)))

    def sizeHint(self) -> QSize:
        """Return a useful length."""
        return QSize(round(20 * theme.unit()), round(2.5 * theme.unit()))

    def minimumSizeHint(self) -> QSize:
        """Return the least useful length."""
        return QSize(round(6 * theme.unit()), round(2.5 * theme.unit()))

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the groove and what is done."""
        painter, colors, unit = QPainter(self), theme.colors(self.palette()), theme.unit()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        groove = QRectF(0, self.height() / 2 - 0.35 * unit, self.width(), 0.7 * unit)
        for width, color in ((groove.width(), colors.border), (self._share * groove.width(), colors.window)):
            painter.setBrush(color)
            painter.drawRoundedRect(QRectF(groove.left(), groove.top(), width, groove.height()), unit / 3, unit / 3)


def clock(seconds: float) -> str:
    """Return a duration as "0:07", or "1:02:03" from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _rounded(number: float) -> int:
    """Return a number to three digits, which is as much as can be read while it changes."""
    return int(float(f"{number:.3g}"))

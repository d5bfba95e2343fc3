"""The bar that moves a position: first, back, play, forward, last, a slider, the speed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from PySide6.QtCore import QElapsedTimer, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QLabel, QSizePolicy, QWidget

from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.actions import Action
from convviz.ui.widgets.bar import Bar
from convviz.ui.widgets.buttons import FlatButton, Kind
from convviz.ui.widgets.fields import FlatSlider
from convviz.ui.widgets.live_text import LiveText

MIN_SPEED, MAX_SPEED = 0.5, 60.0
WORDY_UNITS, COMPACT_UNITS, STACKED_UNITS = 172, 128, 79
"""Widths from which the switches have words, the rest has words, and all stand in one row; in spacing units."""


class Player(QObject):
    """Asks for steps at a steady speed. A step that comes late is still made: none is dropped."""

    step_requested = Signal()
    playing_changed = Signal(bool)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.speed = 2.0  # steps a second
        self._due = 0.0  # ms on the clock
        self._clock = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_timeout)

    @property
    def is_playing(self) -> bool:
        """Whether steps are being asked for."""
        return self._timer.isActive()

    def set_speed(self, speed: float) -> None:
        """Set the steps a second, from the next step on."""
        self.speed = min(MAX_SPEED, max(MIN_SPEED, speed))

    def start(self) -> None:
        """Ask for a step one interval from now, and go on."""
        self._clock.start()
        self._due = 1000 / self.speed
        self._timer.start(round(self._due))
        self.playing_changed.emit(True)

    def stop(self) -> None:
        """Ask for no more steps."""
        if self.is_playing:
            self._timer.stop()
            self.playing_changed.emit(False)

    def _on_timeout(self) -> None:
        now = self._clock.nsecsElapsed() / 1e6
        self._due = max(self._due + 1000 / self.speed, now - 1000 / self.speed)
        self._timer.start(max(0, round(self._due - now)))
        self.step_requested.emit()


class Transport(Bar):
    """Buttons for the stepping actions, the position and the speed. It becomes compact, then two rows, when narrow."""

    moved = Signal(int)
    speed_changed = Signal(float)

    def __init__(self, actions: Mapping[str, Action], parent: QWidget | None = None) -> None:
        super().__init__(Qt.Edge.BottomEdge, parent)
        self._play = actions["play"]
        names = ("first", "previous", "play", "next", "last")
        self._buttons = {
            name: FlatButton.for_action(actions[name], kind=Kind.PRIMARY if name == "play" else Kind.OUTLINED)
            for name in names
        }
        self._switches = [
            FlatButton.for_action(actions[name], with_text=True)
            for name in ("pin", "receptive_field", "pixel_use", "show_all")
        ]
        self._position = LiveText(self)
        self._slider = FlatSlider(colored_as_window=True, parent=self)
        self._slider.setAccessibleName(self.tr("Position of the window"))
        self._slider.setToolTip(self.tr("Drag to move the window."))
        self._slider.valueChanged.connect(self.moved)
        self._speed_label = QLabel(self)
        self._speed = FlatSlider(parent=self)
        self._speed.setRange(0, 100)
        self._speed.setAccessibleName(self.tr("Speed"))
        self._speed.setToolTip(self.tr("Steps a second while playing, 0.5 to 60."))
        self._speed.valueChanged.connect(self._on_speed)
        self._count = 1
        self._layer: int | None = None
        self._compact = False
        self._row = QBoxLayout(QBoxLayout.Direction.LeftToRight, self)
        self._moving, self._viewing = QHBoxLayout(), QHBoxLayout()
        for button in self._buttons.values():
            self._moving.addWidget(button)
        self._moving.addWidget(self._position)
        self._moving.addWidget(self._slider, 3)
        self._viewing.addWidget(self._speed_label)
        self._viewing.addWidget(self._speed, 1)
        for switch in self._switches:
            self._viewing.addWidget(switch)
        self._row.addLayout(self._moving, 5)
        self._row.addLayout(self._viewing, 3)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.rescale()

    def minimumSizeHint(self) -> QSize:
        """Return the least size, that of two rows, whichever way the bar is folded now."""
        unit = theme.unit()
        hint = super().minimumSizeHint()
        return QSize(round(48 * unit), hint.height())

    def show_position(self, index: int, count: int, layer: int | None = None) -> None:
        """Show position ``index`` (from 0) of ``count``, and in which ``layer`` (from 1) if that is to be said."""
        self._slider.blockSignals(True)
        self._slider.setRange(0, max(0, count - 1))
        self._slider.setValue(index)
        self._slider.blockSignals(False)
        self._slider.update()
        self._count, self._layer = count, layer
        self._show_position_text(index)

    def _show_position_text(self, index: int) -> None:
        template = "{index} / {count}" if self._compact else self.tr("position {index} / {count}")
        if self._layer is not None:
            layer = self.tr("layer {layer}") if not self._compact else self.tr("L{layer}")
            template = f"{layer.format(layer=self._layer)} · {template}"
        text, widest = (template.format(index=number, count=self._count) for number in (index + 1, self._count))
        self._position.set_text(text, widest)

    def show_playing(self, playing: bool) -> None:
        """Show the play button as pause, or as play."""
        self._buttons["play"].set_icon("pause" if playing else "play")
        self._play.setText(self.tr("Pause") if playing else self.tr("Play"))

    def show_speed(self, speed: float) -> None:
        """Show the steps a second."""
        self._speed.blockSignals(True)
        self._speed.setValue(round(100 * math.log(speed / MIN_SPEED) / math.log(MAX_SPEED / MIN_SPEED)))
        self._speed.blockSignals(False)
        self._show_speed_text(speed)

    def _show_speed_text(self, speed: float) -> None:
        template = self.tr("{speed}/s") if self._compact else self.tr("speed {speed}/s")
        self._speed_label.setText(template.format(speed=format_number(speed, 2)))
        self._speed_label.setFixedWidth(round(theme.text_width(theme.font(), template.format(speed="0.55"))))

    def _on_speed(self, value: int) -> None:
        self.speed_changed.emit(_speed_at(value))

    def fold(self) -> None:
        """Drop the words, then break the line, where the bar is narrow."""
        units = self.width() / theme.unit()
        self._compact = units < COMPACT_UNITS
        self._buttons["play"].show_text(not self._compact)
        for switch in self._switches:
            switch.show_text(units >= WORDY_UNITS)
        stacked = units < STACKED_UNITS
        self._row.setDirection(QBoxLayout.Direction.TopToBottom if stacked else QBoxLayout.Direction.LeftToRight)
        self._show_position_text(self._slider.value())
        self._show_speed_text(_speed_at(self._speed.value()))
        self.updateGeometry()

    def rescale(self) -> None:
        """Follow the font."""
        unit = theme.unit()
        self._row.setContentsMargins(round(2 * unit), round(unit), round(2 * unit), round(unit))
        for layout in (self._row, self._moving, self._viewing):
            layout.setSpacing(round(unit))
        self.fold()


def _speed_at(value: int) -> float:
    """Return the steps a second at a slider position from 0 to 100."""
    return float(MIN_SPEED * (MAX_SPEED / MIN_SPEED) ** (value / 100))

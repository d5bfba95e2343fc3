"""What the Inspect page shows before a file is open: what can be opened, and the shortest ways to something."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from convviz.core.plain_text import visible
from convviz.ui import theme
from convviz.ui.inspect.shipped import shipped_names
from convviz.ui.widgets.buttons import FlatButton, Kind
from convviz.ui.widgets.tooltips import name_tooltip

WIDTH_UNITS: Final = 72
NAME_LENGTH: Final = 60
"""Characters of a recent file's name on its button."""


class EmptyState(QWidget):
    """A column in the middle: Open, the shipped networks, recent files."""

    open_wanted = Signal()
    shipped_wanted = Signal(str)
    path_wanted = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel(self.tr("Look inside a trained network"))
        self.words = QLabel(
            self.tr(
                "Open a file of weights: .pt, .pth, .ckpt, .tar, .th, .t7 and .bin as torch saves them, or "
                ".safetensors. Drop one here, or press Ctrl+O. Only numbers are read; no code of a file is ever run."
            )
        )
        self.open = FlatButton("open", self.tr("Open…"), kind=Kind.PRIMARY)
        self.open.setToolTip(self.tr("Open a file of weights."))
        self.open.setAccessibleName(self.tr("Open a file of weights"))
        self.open.clicked.connect(self.open_wanted)
        self._middle = QWidget()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addStretch(1)
        row.addWidget(self._middle, 1000)
        row.addStretch(1)
        self._column = QVBoxLayout(self._middle)
        self._column.addStretch(1)
        for label in (self.title, self.words):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
            self._column.addWidget(label)
        self._column.addWidget(self.open, 0, Qt.AlignmentFlag.AlignHCenter)
        self._own = self._add_heading(self.tr("They come with convviz"))
        self.shipped = {}
        for key, name in shipped_names().items():
            button = self._button(name, self.tr("Open this network, trained on CIFAR-10."))
            button.clicked.connect(partial(self.shipped_wanted.emit, key))
            self._column.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
            self.shipped[key] = button
        self._recent_heading = self._add_heading(self.tr("Recent files"))
        self.recent: list[FlatButton] = []
        self._recent_column = QVBoxLayout()
        self._column.addLayout(self._recent_column)
        self._column.addStretch(2)
        self.show_recent(())
        self._restyle()

    def show_recent(self, paths: Sequence[Path]) -> None:
        """Show the files that were open last."""
        for button in self.recent:
            button.hide()
            button.deleteLater()
        self.recent = []
        for path in paths:
            button = self._button(visible(path.name), name_tooltip(str(path)))
            button.clicked.connect(partial(self.path_wanted.emit, path))
            self._recent_column.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
            self.recent.append(button)
        self._recent_heading.setVisible(bool(paths))

    def _add_heading(self, text: str) -> QLabel:
        label = QLabel(text)
        self._column.addWidget(label, 0, Qt.AlignmentFlag.AlignHCenter)
        return label

    def _button(self, name: str, tooltip: str) -> FlatButton:
        shown = name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"
        button = FlatButton(text=shown)
        button.setToolTip(tooltip)
        button.setAccessibleName(name)
        button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        return button

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_recent_column"):
            self._restyle()

    def _restyle(self) -> None:
        unit = theme.unit()
        self.title.setFont(theme.font(1.6, bold=True))
        self._middle.setMaximumWidth(round(WIDTH_UNITS * unit))
        self._column.setContentsMargins(*[round(3 * unit)] * 4)
        self._column.setSpacing(round(1.25 * unit))
        self._recent_column.setSpacing(round(0.75 * unit))
        for label in (self.words, self._own, self._recent_heading):
            theme.mute(label)
        width = max(button.sizeHint().width() for button in self.shipped.values())
        for button in self.shipped.values():
            button.setFixedWidth(width)

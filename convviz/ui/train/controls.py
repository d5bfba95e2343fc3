"""The Train page's control panel: the pictures, the network and how it is trained."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QSize, Qt, Slot
from PySide6.QtGui import QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QScrollArea, QVBoxLayout, QWidget

from convviz.ui import theme
from convviz.ui.train.data_section import DataSection
from convviz.ui.train.locks import Locks
from convviz.ui.train.model import LIVE_SETTINGS, TrainModel
from convviz.ui.train.model_section import ModelSection
from convviz.ui.train.training_section import TrainingSection


class Controls(QScrollArea):
    """The panel at the left of the page. While a training runs, only what can change then can be changed."""

    def __init__(self, model: TrainModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._width = 0
        self._locks = Locks(self.tr("Fixed while a training runs; stop it to change this."))
        self.data = DataSection(model, self._locks)
        self.network = ModelSection(model, self._locks)
        self.training = TrainingSection(model, self._locks)
        self._panel = QWidget(self)
        self._column = QVBoxLayout(self._panel)
        for part in (self.data, self.network, self.training):
            self._column.addWidget(part)
        self._column.addStretch(1)
        self.setWidget(self._panel)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._panel.setAutoFillBackground(True)
        self._panel.setBackgroundRole(QPalette.ColorRole.Base)
        self._panel.installEventFilter(self)
        self._rescale()
        model.phase_changed.connect(self._lock)
        model.chosen.connect(self._lock)
        self._lock()

    @Slot()
    def _lock(self) -> None:
        """Let only that be changed which can be."""
        model, fields = self._model, self.training.fields
        self._locks.lock(model.is_running)
        fields["nesterov"].setEnabled(model.settings.optimizer == "sgd" and not model.is_running)
        for name in LIVE_SETTINGS:
            fields[name].setEnabled(model.phase != "loading")

    # ---- look

    def sizeHint(self) -> QSize:
        """Return a width at which labels and fields stand in one line; it only grows, so that nothing beside moves."""
        bar = self.verticalScrollBar().sizeHint().width()
        self._width = max(self._width, self._panel.minimumSizeHint().width() + bar)
        return QSize(self._width, round(80 * theme.unit()))

    def minimumSizeHint(self) -> QSize:
        """Return the same width, and a height that scrolls."""
        return QSize(self.sizeHint().width(), round(10 * theme.unit()))

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_column"):
            self._rescale()
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the edge towards the plots."""
        super().paintEvent(event)
        painter = QPainter(self.viewport())
        painter.setPen(QPen(theme.colors(self.palette()).border, 1))
        right = self.viewport().width() - 1
        painter.drawLine(right, 0, right, self.viewport().height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Tell the page when the panel needs another width."""
        if watched is self._panel and event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._column.setContentsMargins(round(2 * unit), round(1.5 * unit), round(2 * unit), round(unit))
        self._column.setSpacing(round(unit))
        self._width = 0
        self.updateGeometry()

"""Controls in as many rows as they need."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, QSize, Qt, Signal, Slot
from PySide6.QtGui import QFont, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QWidget

from convviz.ui import theme
from convviz.ui.widgets.buttons import FlatButton, Kind
from convviz.ui.widgets.fields import fit_digits, show_value, whole_number

ROW, GAP, ROW_GAP = 4.25, 1.25, 0.75
"""Height of a row, and room between controls and between rows, in units."""


class ToolRow(QWidget):
    """Places controls beside each other, each in the size it asks for, and goes on below where there is no room."""

    def __init__(self, *tools: QWidget) -> None:
        super().__init__()
        self._tools = tools
        self._num_rows = 1
        for tool in tools:
            tool.setParent(self)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def set_tool_visible(self, tool: QWidget, visible: bool) -> None:
        """Show or leave out one of the controls."""
        if tool.isHidden() is visible:
            tool.setVisible(visible)
            self._arrange()

    def _shown(self) -> list[QWidget]:
        return [tool for tool in self._tools if not tool.isHidden()]

    @property
    def _needed_height(self) -> int:
        return round((self._num_rows * (ROW + ROW_GAP) - ROW_GAP) * theme.unit())

    def sizeHint(self) -> QSize:
        """Return the width of all controls in one row, and the height of the rows there are."""
        gap = round(GAP * theme.unit())
        return QSize(sum(tool.sizeHint().width() + gap for tool in self._shown()) - gap, self._needed_height)

    def minimumSizeHint(self) -> QSize:
        """Return the width of the widest control, and the height of the rows there are."""
        return QSize(max((tool.sizeHint().width() for tool in self._shown()), default=0), self._needed_height)

    def _arrange(self) -> None:
        if not self.isVisible():
            return  # its width may be any yet
        unit = theme.unit()
        gap, row, pitch = round(GAP * unit), round(ROW * unit), round((ROW + ROW_GAP) * unit)
        x, y, self._num_rows = 0, 0, 1
        for tool in self._shown():
            hint = tool.sizeHint()
            if x and x + hint.width() > self.width():
                x, y, self._num_rows = 0, y + pitch, self._num_rows + 1
            height = min(hint.height(), row)
            tool.setGeometry(x, y + (row - height) // 2, hint.width(), height)
            x += hint.width() + gap
        self.updateGeometry()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Break the row anew."""
        self._arrange()

    def showEvent(self, event: QShowEvent) -> None:
        """Follow what changed while nothing was seen."""
        self._arrange()

    def event(self, event: QEvent) -> bool:
        """Follow controls that ask for another size, and the font."""
        if event.type() in {QEvent.Type.LayoutRequest, QEvent.Type.FontChange}:
            self._arrange()
        return super().event(event)


class Stepper(QWidget):
    """Chooses one of many that are numbered: the one before, the number, the next one."""

    chosen = Signal(int)

    def __init__(self, name: str, tooltip: str, first: int) -> None:
        """Make a stepper for what is counted from ``first``; ``name`` is what is counted, ``tooltip`` a sentence."""
        super().__init__()
        self._first = first
        self._label = QLabel(name)
        self._number = whole_number(name, tooltip, first, first)
        self._previous, self._next = FlatButton("previous", kind=Kind.PLAIN), FlatButton("next", kind=Kind.PLAIN)
        for button, words, sentence in (
            (self._previous, self.tr("{name}: previous"), self.tr("Show the one before this one.")),
            (self._next, self.tr("{name}: next"), self.tr("Show the one after this one.")),
        ):
            button.setAccessibleName(words.format(name=name))
            button.setToolTip(sentence)
        self._of = QLabel()
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        for tool in (self._label, self._previous, self._number, self._of, self._next):
            self._row.addWidget(tool)
        self._is_left = False
        self._number.valueChanged.connect(self._choose)
        self._previous.clicked.connect(partial(self._step, -1))
        self._next.clicked.connect(partial(self._step, 1))
        self._restyle()
        self._enable()

    @property
    def number(self) -> int:
        """The chosen number."""
        return self._number.value()

    def set_count(self, count: int, named: bool = False) -> None:
        """Let ``count`` numbers, at least one, be chosen, and say how many there are if ``named``. Emits no signal."""
        self._number.blockSignals(True)
        self._number.setMaximum(self._first + max(1, count) - 1)
        self._number.blockSignals(False)
        self._of.setText(self.tr("of {count}").format(count=count) if named else "")
        self._of.setVisible(named)
        self._restyle()
        self._enable()

    def show_number(self, number: int) -> None:
        """Show a number without a signal, and if need be count further."""
        if number > self._number.maximum():
            self.set_count(number - self._first + 1)
        show_value(self._number, number)
        self._is_left = False
        self._enable()

    def set_left(self, on: bool) -> None:
        """Say whether what is shown is none of those that are numbered: both arrows then lead back to the number."""
        self._is_left = on
        self._enable()

    @Slot(int)
    def _choose(self, number: int) -> None:
        self._is_left = False
        self._enable()
        self.chosen.emit(number)

    def _step(self, by: int) -> None:
        if self._is_left:
            self._choose(self.number)
        else:
            self._number.stepBy(by)

    def _enable(self) -> None:
        self._previous.setEnabled(self._is_left or self.number > self._number.minimum())
        self._next.setEnabled(self._is_left or self.number < self._number.maximum())

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._restyle()

    def _restyle(self) -> None:
        unit = theme.unit()
        self._row.setSpacing(round(0.5 * unit))
        fit_digits(self._number)


class Heading(QLabel):
    """The bold name of what is below."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setTextFormat(Qt.TextFormat.PlainText)
        font = QFont()  # with nothing set but what is set here: its size goes on following the application's
        font.setBold(True)
        self.setFont(font)

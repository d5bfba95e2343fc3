"""Fields of a control panel: a pair of numbers for rows and columns, a slider, a section."""

from __future__ import annotations

from typing import TypeVar

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPalette, QPen, QValidator, QWheelEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QWidget,
)

from convviz.core.numbers import NumberError, format_number, parse_number
from convviz.ui import theme
from convviz.ui.widgets.buttons import FlatButton, Kind

Spin = TypeVar("Spin", bound=QSpinBox | QDoubleSpinBox)


LEAVE_KEYS = frozenset({Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape})
"""Keys that end the typing of a number, after which Space and the arrows step again."""


class FlatSlider(QSlider):
    """A horizontal slider in one colour that grows with the font; a click on the groove moves the handle there."""

    def __init__(self, colored_as_window: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._as_window = colored_as_window
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def sizeHint(self) -> QSize:
        """Return room for a handle that a finger can take."""
        unit = theme.unit()
        return QSize(round(14 * unit), round(3 * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the least useful length."""
        unit = theme.unit()
        return QSize(round(7 * unit), round(3 * unit))

    def _groove(self) -> QRectF:
        unit = theme.unit()
        return QRectF(self.rect()).adjusted(1.25 * unit, 0, -1.25 * unit, 0)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the groove, its filled part and the handle."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        unit, colors, groove = theme.unit(), theme.colors(self.palette()), self._groove()
        color = colors.window if self._as_window else self.palette().color(QPalette.ColorRole.Highlight)
        share = (self.value() - self.minimum()) / max(1, self.maximum() - self.minimum())
        x, y = groove.left() + share * groove.width(), groove.center().y()
        painter.setPen(QPen(colors.border, 0.6 * unit, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(QPointF(groove.left(), y), QPointF(groove.right(), y))
        painter.setPen(QPen(color, 0.6 * unit, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
        painter.drawLine(QPointF(groove.left(), y), QPointF(x, y))
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Text), 2) if self.hasFocus() else Qt.PenStyle.NoPen)
        painter.setBrush(color)
        painter.drawEllipse(QPointF(x, y), unit, unit)

    def event(self, event: QEvent) -> bool:
        """Keep the arrow keys, which step the window elsewhere, for the slider that has the focus."""
        if (
            event.type() == QEvent.Type.ShortcutOverride
            and isinstance(event, QKeyEvent)
            and event.key() in {Qt.Key.Key_Left, Qt.Key.Key_Right}
        ):
            event.accept()
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Move the handle to the pointer."""
        if event.button() == Qt.MouseButton.LeftButton:
            self._go_to(event.position().x())
            self.setSliderDown(True)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag the handle."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._go_to(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go of the handle."""
        self.setSliderDown(False)

    def _go_to(self, x: float) -> None:
        groove = self._groove()
        share = min(1.0, max(0.0, (x - groove.left()) / max(1.0, groove.width())))
        self.setValue(round(self.minimum() + share * (self.maximum() - self.minimum())))


class _Arrows(QObject):
    """Arrow buttons inside a spin box that grow with the font; Fusion's own keep their size."""

    def __init__(self, spin: QSpinBox | QDoubleSpinBox) -> None:
        super().__init__(spin)
        self._spin = spin
        self._buttons = []
        for icon, step in (("up", spin.stepUp), ("down", spin.stepDown)):
            button = FlatButton(icon, kind=Kind.PLAIN, parent=spin)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
            button.setAutoRepeat(True)
            button.clicked.connect(step)
            self._buttons.append(button)
        spin.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep the arrows at the right edge, leave the wheel to the panel, give the keyboard back after a number."""
        if event.type() == QEvent.Type.Wheel and not self._spin.hasFocus():
            event.ignore()
            return True
        if event.type() == QEvent.Type.KeyPress and isinstance(event, QKeyEvent) and event.key() in LEAVE_KEYS:
            self._spin.interpretText()
            self._spin.clearFocus()
            return True
        if event.type() == QEvent.Type.Resize:
            width, height = round(2.5 * theme.unit()), self._spin.height() // 2
            for k, button in enumerate(self._buttons):
                button.setGeometry(self._spin.width() - width - 1, 1 + k * (height - 1), width, height - 1)
            self._spin.lineEdit().setTextMargins(0, 0, width, 0)
        return super().eventFilter(watched, event)


def scaling(spin: Spin) -> Spin:
    """Give a spin box arrows that grow with the font, and let it report a number only when it is typed completely."""
    spin.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
    spin.setKeyboardTracking(False)
    spin.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    _Arrows(spin)
    return spin


class WholeSpin(QSpinBox):
    """A whole number. One that was typed beyond the range becomes the end of it, instead of losing its last digits."""

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Let a number be typed to its end, even if it is out of range."""
        if text.isdecimal() and not self.minimum() <= _whole(text) <= self.maximum():
            return QValidator.State.Intermediate, text, position
        state: tuple[QValidator.State, str, int] = super().validate(text, position)
        return state

    def fixup(self, text: str) -> str:
        """Return the nearest number of the range."""
        return str(min(max(_whole(text), self.minimum()), self.maximum())) if text.isdecimal() else text


def _whole(digits: str) -> int:
    return int(digits[:12])  # beyond every range


class NumberSpin(QDoubleSpinBox):
    """A number of any magnitude, written and typed as numbers are everywhere."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setDecimals(30)

    def textFromValue(self, value: float) -> str:
        """Return the number as it is written everywhere."""
        return format_number(value, 6)

    def valueFromText(self, text: str) -> float:
        """Return the number that an accepted text spells; all digits of the present one, if it is that."""
        return self.value() if text == self.textFromValue(self.value()) else parse_number(text)

    def validate(self, text: str, position: int) -> tuple[QValidator.State, str, int]:
        """Accept numbers of the range; what is not one yet may become one."""
        try:
            accepted = self.minimum() <= parse_number(text) <= self.maximum()
        except NumberError:
            accepted = False
        return QValidator.State.Acceptable if accepted else QValidator.State.Intermediate, text, position


class ComboBox(QComboBox):
    """A combo box that follows the font both ways: Qt's own keeps the least size of its largest font."""

    def minimumSizeHint(self) -> QSize:
        """Return the size hint, which does follow the font."""
        return self.sizeHint()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the panel, unless the box was chosen first."""
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()

    def changeEvent(self, event: QEvent) -> None:
        """Ask for another size."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()


def combo_box(name: str, tooltip: str) -> ComboBox:
    """Return a combo box with its accessible name, about eight letters wide."""
    combo = ComboBox()
    combo.setAccessibleName(name)
    combo.setToolTip(tooltip)
    combo.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    return combo


def whole_number(name: str, tooltip: str, least: int, most: int) -> QSpinBox:
    """Return a box for a whole number."""
    spin = scaling(WholeSpin())
    spin.setRange(least, most)
    spin.setAccessibleName(name)
    spin.setToolTip(tooltip)
    return spin


def fit_digits(spin: QSpinBox) -> None:
    """Make a box as wide as its greatest number of digits needs, at least two, beside its arrows."""
    digits = theme.text_width(theme.font(), "0" * max(2, len(str(spin.maximum()))))
    spin.setFixedWidth(round(digits + 5 * theme.unit()))


def decimal_number(name: str, tooltip: str) -> NumberSpin:
    """Return a box for any number from −999 to 999."""
    spin = scaling(NumberSpin())
    spin.setRange(-999, 999)
    spin.setAccessibleName(name)
    spin.setToolTip(tooltip)
    return spin


def show_value(spin: QSpinBox | QDoubleSpinBox, value: float) -> None:
    """Show a number without a signal."""
    if spin.value() == value:
        return
    spin.blockSignals(True)
    spin.setValue(value)  # type: ignore[arg-type]  # the box for whole numbers is given whole numbers
    spin.blockSignals(False)


class PairSpin(QWidget):
    """A number for the rows × a number for the columns, linked so that both change together, or apart."""

    changed = Signal(int, int)
    focused = Signal()

    def __init__(self, name: str, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(tooltip)
        self.ratio = 1.0  # columns for each row while linked
        self._rows = scaling(WholeSpin(self))
        self._cols = scaling(WholeSpin(self))
        self._link = FlatButton("link", kind=Kind.PLAIN, parent=self)
        self._link.setCheckable(True)
        self._link.setChecked(True)
        self._link.toggled.connect(lambda on: self._link.set_icon("link" if on else "unlink"))
        self._link.setToolTip(self.tr("Change rows and columns together"))
        self._link.setAccessibleName(self.tr("{name}: rows and columns together").format(name=name))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        times = QLabel("×", self)
        for spin, axis in ((self._rows, self.tr("rows")), (self._cols, self.tr("columns"))):
            spin.setAlignment(Qt.AlignmentFlag.AlignCenter)
            spin.setToolTip(tooltip)
            spin.setAccessibleName(f"{name}, {axis}")
            spin.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            spin.installEventFilter(self)
        layout.addWidget(self._rows, 1)
        layout.addWidget(times)
        layout.addWidget(self._cols, 1)
        layout.addWidget(self._link)
        self.setFocusProxy(self._rows)
        self._rows.valueChanged.connect(self._on_rows)
        self._cols.valueChanged.connect(self._on_cols)

    def values(self) -> tuple[int, int]:
        """Return the numbers for rows and columns."""
        return self._rows.value(), self._cols.value()

    def spin(self, axis: int) -> QSpinBox:
        """Return the box for the rows (0) or the columns (1)."""
        return (self._rows, self._cols)[axis]

    def show_values(self, values: tuple[int, int], ranges: tuple[tuple[int, int], tuple[int, int]]) -> None:
        """Show numbers and their (least, most) without a signal."""
        for spin, value, (least, most) in zip((self._rows, self._cols), values, ranges, strict=True):
            if (spin.minimum(), spin.maximum(), spin.value()) == (least, most, value):
                continue  # even the same range repaints a spin box
            spin.blockSignals(True)
            spin.setRange(least, most)
            spin.setValue(value)
            spin.blockSignals(False)
        if (
            self._link.isChecked()
            and values[1] != round(values[0] * self.ratio)
            and values[0] != round(values[1] / self.ratio)
        ):
            self._link.setChecked(False)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Say when one of the boxes is entered."""
        if event.type() == QEvent.Type.FocusIn:
            self.focused.emit()
        return super().eventFilter(watched, event)

    def _on_rows(self, value: int) -> None:
        self._follow(self._cols, round(value * self.ratio))

    def _on_cols(self, value: int) -> None:
        self._follow(self._rows, round(value / self.ratio))

    def _follow(self, other: QSpinBox, value: int) -> None:
        if self._link.isChecked():
            other.blockSignals(True)
            other.setValue(value)
            other.blockSignals(False)
        self.changed.emit(*self.values())


class FieldRow(QWidget):
    """Several fields beside each other; buttons keep their width, the others share the rest."""

    def __init__(self, *fields: QWidget) -> None:
        super().__init__()
        self._layout = QHBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        for field in fields:
            self._layout.addWidget(field, 0 if isinstance(field, FlatButton) else 1)
        self.setFocusProxy(fields[0])
        self.setToolTip(fields[0].toolTip())
        self._layout.setSpacing(round(theme.unit() / 2))

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange:
            self._layout.setSpacing(round(theme.unit() / 2))


class Section(QFrame):
    """A heading and rows of a label with its field."""

    def __init__(self, heading: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._grid = QGridLayout(self)
        self._grid.setColumnStretch(1, 1)
        self._heading = QLabel(heading, self)
        self._grid.addWidget(self._heading, 0, 0, 1, 2)
        self._restyle()

    def set_heading(self, heading: str) -> None:
        """Show another heading."""
        self._heading.setText(heading)

    def add_row(self, text: str, field: QWidget) -> QLabel:
        """Add a field with its label and return the label."""
        label = QLabel(text, self)
        label.setBuddy(field)
        label.setToolTip(field.toolTip())
        row = self._grid.rowCount()
        self._grid.addWidget(label, row, 0)
        self._grid.addWidget(field, row, 1)
        return label

    def add_wide(self, field: QWidget) -> None:
        """Add a field that takes the whole row."""
        self._grid.addWidget(field, self._grid.rowCount(), 0, 1, 2)

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_heading"):
            self._restyle()
        super().changeEvent(event)

    def _restyle(self) -> None:
        unit = theme.unit()
        self._heading.setFont(theme.font(0.85, bold=True))
        theme.mute(self._heading)
        self._grid.setContentsMargins(0, 0, 0, round(unit))
        self._grid.setHorizontalSpacing(round(unit))
        self._grid.setVerticalSpacing(round(0.75 * unit))

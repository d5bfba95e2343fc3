"""Flat buttons that follow the palette and the font: plain, outlined or primary; alone or joined to a switch."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import partial

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSizePolicy, QToolButton, QWidget

from convviz.ui import theme
from convviz.ui.actions import Action

_PRESS_KEYS = frozenset({Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter})


class Kind(Enum):
    """How much attention a button asks for."""

    PLAIN = "plain"
    OUTLINED = "outlined"
    PRIMARY = "primary"


class FlatButton(QToolButton):
    """A rounded button with an icon of ``resources/icons``, a text, or both. Its text comes from its action, if any."""

    def __init__(
        self, icon: str = "", text: str = "", kind: Kind = Kind.OUTLINED, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._icon = icon
        self._kind = kind
        self._show_text = bool(text)
        self.setText(text)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)

    @classmethod
    def for_action(cls, action: Action, with_text: bool = False, kind: Kind = Kind.OUTLINED) -> FlatButton:
        """Make a button that triggers an action and takes text, tooltip and state from it."""
        button = cls(action.icon_name, kind=kind)
        button.setDefaultAction(action)
        button.setAccessibleName(action.text())
        button.show_text(with_text)
        return button

    def show_text(self, on: bool) -> None:
        """Show icon and text, or the icon alone; a button without an icon always shows its text."""
        on = on or not self._icon
        if on != self._show_text:
            self._show_text = on
            self.updateGeometry()
            self.update()

    def set_icon(self, icon: str) -> None:
        """Show another icon."""
        if icon != self._icon:
            self._icon = icon
            self.update()

    def drop_down(self, menu: QMenu) -> None:
        """Open a menu below the button."""
        menu.popup(self.mapToGlobal(self.rect().bottomLeft()))

    def _words(self) -> str:
        action = self.defaultAction()
        return action.text() if action is not None else self.text()  # a tool button shortens its action's text

    def sizeHint(self) -> QSize:
        """Return the room that icon and text need at today's font."""
        unit = theme.unit()
        width = 1.5 * unit
        if self._icon:
            width += 2.25 * unit
        if self._show_text:
            width += theme.text_width(theme.font(bold=True), self._words()) + 0.75 * unit
        return QSize(round(width), round(4.25 * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the same as sizeHint: a button is never cut."""
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint background, border, icon, text and the focus ring."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        palette, colors, unit = self.palette(), theme.colors(self.palette()), theme.unit()
        strong = self.isChecked() or self._kind is Kind.PRIMARY
        group = QPalette.ColorGroup.Normal if self.isEnabled() else QPalette.ColorGroup.Disabled
        fill, border = QColor(Qt.GlobalColor.transparent), QColor(Qt.GlobalColor.transparent)
        ink = palette.color(group, QPalette.ColorRole.ButtonText)
        if self._kind is Kind.PLAIN and self.isChecked():
            fill = colors.border if self._show_text else fill
        elif strong and self.isEnabled():
            fill = palette.color(QPalette.ColorRole.Highlight)
            ink = palette.color(QPalette.ColorRole.HighlightedText)
        elif self._kind is Kind.OUTLINED:
            fill, border = colors.surface, colors.border
        if self.isEnabled() and self.isDown():
            fill = (fill if fill.alpha() else colors.border).darker(110)
        elif self.isEnabled() and self.underMouse():
            fill = fill.lighter(108) if strong else QColor(palette.color(QPalette.ColorRole.Button))
        box = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setBrush(fill)
        painter.setPen(QPen(border, 1) if border.alpha() else Qt.PenStyle.NoPen)
        painter.drawRoundedRect(box, 0.75 * unit, 0.75 * unit)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(palette.color(QPalette.ColorRole.Text if strong else QPalette.ColorRole.Highlight), 2))
            painter.drawRoundedRect(box.adjusted(1, 1, -1, -1), 0.65 * unit, 0.65 * unit)
        self._paint_content(painter, box, ink)

    def _paint_content(self, painter: QPainter, box: QRectF, ink: QColor) -> None:
        unit = theme.unit()
        font = theme.font(bold=self._kind is Kind.PRIMARY or self.isChecked())
        text_width = theme.text_width(font, self._words()) if self._show_text else 0.0
        icon_size = min(2.25 * unit, box.height()) if self._icon else 0.0
        gap = 0.75 * unit if self._icon and self._show_text else 0.0
        left = box.center().x() - (icon_size + gap + text_width) / 2
        if self._icon:
            ratio = self.devicePixelRatioF()
            pixmap = theme.icon(self._icon, ink, icon_size, ratio)
            top = box.center().y() - icon_size / 2
            painter.drawPixmap(QPoint(round(left), round(top)), pixmap)  # scaled to a fraction it would lose lines
        if self._show_text:
            painter.setFont(font)
            painter.setPen(ink)
            area = QRectF(left + icon_size + gap, box.top(), text_width + 2, box.height())
            painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, self._words())

    def event(self, event: QEvent) -> bool:
        """Let the space bar press a button that was reached by keyboard, and follow the font."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and event.key() in _PRESS_KEYS:
            event.accept()
            return True
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Press with Return as well as with the space bar."""
        if event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}:
            self.click()
        else:
            super().keyPressEvent(event)


class Segmented(QWidget):
    """A switch between a few choices, of which one is chosen; each choice is a checkable button."""

    def __init__(self, buttons: Sequence[FlatButton], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.buttons = tuple(buttons)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for button in self.buttons:
            button.setSizePolicy(QSizePolicy.Policy.MinimumExpanding, QSizePolicy.Policy.Fixed)
            layout.addWidget(button)


class Choices(Segmented):
    """A switch between named choices that belongs to no action."""

    chosen = Signal(str)

    def __init__(self, choices: Sequence[tuple[str, str, str]], parent: QWidget | None = None) -> None:
        """Make one button for each ``(id, text, tooltip)``."""
        self._by_id: dict[str, FlatButton] = {}
        for choice, text, tooltip in choices:
            button = FlatButton(text=text)
            button.setCheckable(True)
            button.setToolTip(tooltip)
            button.setAccessibleName(text)
            button.clicked.connect(partial(self._on_clicked, choice))
            self._by_id[choice] = button
        super().__init__(tuple(self._by_id.values()), parent)

    def choose(self, choice: str) -> None:
        """Check one choice without a signal. Every button stays a stop of the Tab key."""
        for name, button in self._by_id.items():
            button.setChecked(name == choice)

    def _on_clicked(self, choice: str) -> None:
        self.choose(choice)
        self.chosen.emit(choice)

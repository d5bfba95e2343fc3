"""The layers of a stack as cards: choose, reorder, switch off, duplicate and remove them, add others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAction,
    QColor,
    QContextMenuEvent,
    QFocusEvent,
    QFontMetrics,
    QHelpEvent,
    QIcon,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMenu, QScrollArea, QSizePolicy, QToolTip, QWidget

from convviz.core.presets import PRESETS
from convviz.core.stack import Stack
from convviz.ui import theme
from convviz.ui.lab.layer_text import change_text, kind_name, kind_tooltip, layer_name, preset_name, shape_text
from convviz.ui.widgets.buttons import FlatButton, Kind
from convviz.ui.widgets.fields import Section
from convviz.ui.widgets.numerals import draw_line

KIND_GROUPS = (
    ("conv", "max", "avg", "global_max", "global_avg"),
    ("relu", "sigmoid", "tanh", "gelu"),
    ("batch_norm", "dropout", "flatten", "linear"),
)
"""The kinds of layers as the menu groups them."""


class CardState(Enum):
    """How a layer takes part in the stack."""

    FITS = "fits"
    OFF = "off"
    MISFIT = "misfit"
    UNREACHED = "unreached"  # behind the layer that does not fit


@dataclass(frozen=True)
class Card:
    """What one card says.

    Attributes:
        title: number and name, "4 Conv 3×3".
        change: the shapes in and out in short, or what keeps the layer from having them.
        output: the shape out alone, for a card that is too narrow; "" if there is none.
        reason: why the layer does not fit, "" if it does.
        description: all of that in full.

    """

    title: str
    state: CardState
    change: str
    output: str
    reason: str
    description: str


def cards_of(stack: Stack) -> tuple[Card, ...]:
    """Return a card for each layer of a stack."""
    translate = partial(QCoreApplication.translate, "StackCards")
    first_misfit = len(stack.layers) if stack.problem is None else stack.problem.index
    cards = []
    for index, layer in enumerate(stack.layers):
        title = f"{index + 1} {layer_name(layer)}"
        output = reason = ""
        if not stack.is_on(index):
            state, change = CardState.OFF, translate("off")
            description = translate("{title} is off: it passes its input on.").format(title=title)
        elif index > first_misfit:
            state, change = CardState.UNREACHED, translate("not reached")
            description = translate("{title} is not reached: layer {number} does not fit.").format(
                title=title, number=first_misfit + 1
            )
        elif stack.problem is not None and index == first_misfit:
            state, change, reason = CardState.MISFIT, translate("does not fit"), stack.problem.message
            description = translate("{title} does not fit. {reason}").format(title=title, reason=reason)
        else:
            before, after = stack.shapes[index], stack.shapes[index + 1]
            state, change = CardState.FITS, change_text(before, after)
            output = "→" + shape_text(after)
            description = f"{title}: {shape_text(before)} → {shape_text(after)}"
        cards.append(Card(title, state, change, output, reason, description))
    return tuple(cards)


def place_at(y: float, boxes: Sequence[QRectF], index: int) -> int:
    """Return which box the one at ``index`` becomes, of boxes one below the other, when its middle comes to ``y``."""
    return sum(box.center().y() < y for other, box in enumerate(boxes) if other != index)


@dataclass
class Drag:
    """A card that was pressed, and follows the pointer once that has moved."""

    index: int
    start: QPoint
    y: float
    is_lifted: bool = False


class CardList(QWidget):
    """Paints the cards. One of them has the keyboard; it is the current layer until the arrow keys move on."""

    chosen = Signal(int)
    removed = Signal(int)
    duplicated = Signal(int)
    moved = Signal(int, int)
    switched = Signal(int, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.cards: tuple[Card, ...] = ()
        self.current = 0
        self.cursor_index = 0
        self._hovered = -1
        self._drag: Drag | None = None
        self._boxes: list[QRectF] = []
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setToolTip(self.tr("Choose a layer to step through; drag it to another place."))

    def show_cards(self, cards: tuple[Card, ...], current: int) -> None:
        """Show cards, the current layer's among them; a list that stays as it is is left alone."""
        if (cards, current) == (self.cards, self.current):
            return
        if current != self.current:
            self.cursor_index = current
        if cards != self.cards:
            needs_layout = [card.reason for card in cards] != [card.reason for card in self.cards]
            self.cards = cards
            self._let_go()
            if needs_layout:
                self._lay_out()
                self.updateGeometry()
        self.current = current
        self.cursor_index = max(0, min(self.cursor_index, len(cards) - 1))
        self._say_cursor()
        self.update()

    def _say_cursor(self) -> None:
        if not self.cards:
            return
        name = self.tr("Layer {number} of {count}, {card}").format(
            number=self.cursor_index + 1, count=len(self.cards), card=self.cards[self.cursor_index].description
        )
        if self.cursor_index == self.current:
            name += self.tr(", current")
        self.setAccessibleName(name)

    # ---- places

    def box(self, index: int) -> QRectF:
        """Return where a card is painted."""
        return self._boxes[index]

    def more_box(self, index: int) -> QRectF:
        """Return where a card's menu button is, px."""
        unit, box = theme.unit(), self._boxes[index]
        return QRectF(box.right() - 3.25 * unit, box.top() + 0.5 * unit, 2.75 * unit, 3 * unit)

    def _lay_out(self) -> None:
        self._boxes = self._boxes_at(self.width(), range(len(self.cards)))

    def _boxes_at(self, width: int, order: Sequence[int]) -> list[QRectF]:
        """Return the box of every card for cards in this order from top to bottom."""
        unit, top = theme.unit(), 1.0
        boxes = {}
        for index in order:
            height = 4 * unit
            if reason := self.cards[index].reason:
                height += self._reason_height(reason, width) + unit
            boxes[index] = QRectF(1, top, width - 2, height)
            top += height + 0.75 * unit
        return [boxes[index] for index in range(len(boxes))]

    def _reason_height(self, reason: str, width: int) -> int:
        metrics = QFontMetrics(theme.font(0.85))
        room = QRect(0, 0, max(1, round(width - 3 * theme.unit())), 1 << 16)
        return metrics.boundingRect(room, Qt.TextFlag.TextWordWrap, reason).height()

    def _index_at(self, point: QPointF) -> int:
        return next((index for index, box in enumerate(self._boxes) if box.contains(point)), -1)

    def heightForWidth(self, width: int) -> int:
        """Return the height of all cards, with the reason of a layer that does not fit wrapped."""
        boxes = self._boxes_at(width, range(len(self.cards)))
        return round(boxes[-1].bottom() + 1) if boxes else 0

    def sizeHint(self) -> QSize:
        """Return room for a name and its shapes."""
        width = round(30 * theme.unit())
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """Return the least useful width."""
        return QSize(round(20 * theme.unit()), 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Lay the cards out in another width."""
        self._lay_out()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange:
            self._lay_out()
            self.updateGeometry()
        super().changeEvent(event)

    def _show_box(self, box: QRectF) -> None:
        """Scroll the panel, if it lies in one, to where a card is."""
        parent = self.parentWidget()
        while parent is not None:
            if isinstance(parent, QScrollArea) and (panel := parent.widget()) is not None:
                center = self.mapTo(panel, box.center().toPoint())
                parent.ensureVisible(center.x(), center.y(), 0, round(box.height()))
                return
            parent = parent.parentWidget()

    # ---- keyboard

    def _command(self, event: QKeyEvent) -> Callable[[], None] | None:
        """Return what a key does, None for a key that is left to the page."""
        index, is_here = self.cursor_index, self.cursor_index == self.current
        modifiers = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        match modifiers, event.key():
            case (Qt.KeyboardModifier.NoModifier, Qt.Key.Key_Up):
                return partial(self._go_to, index - 1)
            case (Qt.KeyboardModifier.NoModifier, Qt.Key.Key_Down):
                return partial(self._go_to, index + 1)
            case (Qt.KeyboardModifier.NoModifier, Qt.Key.Key_Space | Qt.Key.Key_Return | Qt.Key.Key_Enter):
                return None if is_here else partial(self.chosen.emit, index)
            case (Qt.KeyboardModifier.NoModifier, Qt.Key.Key_Delete):
                return partial(self._remove, index)
            case (Qt.KeyboardModifier.NoModifier, Qt.Key.Key_Escape) if self._drag is not None:
                return self._let_go
            case (Qt.KeyboardModifier.ControlModifier, Qt.Key.Key_D):
                return partial(self.duplicated.emit, index)
            case (Qt.KeyboardModifier.AltModifier, Qt.Key.Key_Up):
                return partial(self._move, index, index - 1)
            case (Qt.KeyboardModifier.AltModifier, Qt.Key.Key_Down):
                return partial(self._move, index, index + 1)
        return None

    def event(self, event: QEvent) -> bool:
        """Keep the list's own keys from the page's shortcuts, and say all about the card under the pointer."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and self._command(event):
            event.accept()
            return True
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self._tooltip_at(QPointF(event.pos())), self)
            return True
        return super().event(event)

    def _tooltip_at(self, point: QPointF) -> str:
        index = self._index_at(point)
        if index < 0:
            return self.toolTip()
        if self.more_box(index).contains(point):
            return self.tr("Switch off, duplicate, move or remove the layer.")
        return self.cards[index].description

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move between cards, choose, reorder, duplicate, remove."""
        command = self._command(event) if self.cards else None
        if command is None:
            super().keyPressEvent(event)
        else:
            command()

    def focusInEvent(self, event: QFocusEvent) -> None:
        """Show which card has the keyboard."""
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Leave the keyboard with the current layer."""
        super().focusOutEvent(event)
        self.update()

    def _go_to(self, index: int) -> None:
        if 0 <= index < len(self.cards):
            self.cursor_index = index
            self._say_cursor()
            self._show_box(self._boxes[index])
            self.update()

    def _move(self, index: int, new_index: int) -> None:
        if 0 <= new_index < len(self.cards) and new_index != index:
            self.moved.emit(index, new_index)
            self._go_to(new_index)

    def _remove(self, index: int) -> None:
        if len(self.cards) > 1:
            self.removed.emit(index)

    # ---- pointer

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Open the menu, or take a card."""
        index = self._index_at(event.position())
        if event.button() != Qt.MouseButton.LeftButton or index < 0:
            return
        if self.more_box(index).contains(event.position()):
            self._open_menu(index, self.more_box(index).bottomLeft().toPoint())
        else:
            self._drag = Drag(index, event.position().toPoint(), self._boxes[index].center().y())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Lift the card that was taken and carry it, or show which card is pointed at."""
        drag, point = self._drag, event.position().toPoint()
        if drag is None:
            self._hover(self._index_at(event.position()))
            return
        if not drag.is_lifted and (point - drag.start).manhattanLength() >= QApplication.startDragDistance():
            drag.is_lifted = True
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        if drag.is_lifted:
            box = self._boxes[drag.index]
            drag.y = box.center().y() + point.y() - drag.start.y()
            self._show_box(QRectF(box.left(), point.y() - box.height() / 2, box.width(), box.height()))
            self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Put the card down where it is, or choose it if it was only clicked."""
        drag = self._drag
        if drag is None or event.button() != Qt.MouseButton.LeftButton:
            return
        self._let_go()
        if drag.is_lifted:
            self._move(drag.index, place_at(drag.y, self._boxes, drag.index))
        else:
            self._go_to(drag.index)
            self.chosen.emit(drag.index)

    def _let_go(self) -> None:
        self._drag = None
        self.unsetCursor()
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        """Point at no card any more."""
        self._hover(-1)

    def _hover(self, index: int) -> None:
        if index != self._hovered:
            self._hovered = index
            self.update()

    # ---- menu

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """Open the menu of the card under the pointer, or of the one that has the keyboard."""
        if event.reason() == QContextMenuEvent.Reason.Keyboard and self.cards:
            self._open_menu(self.cursor_index, self.more_box(self.cursor_index).bottomLeft().toPoint())
        elif (index := self._index_at(QPointF(event.pos()))) >= 0:
            self._open_menu(index, event.pos())

    def _open_menu(self, index: int, at: QPoint) -> None:
        menu = self.menu(index)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.mapToGlobal(at))

    def menu(self, index: int) -> QMenu:
        """Return a new menu of what can be done with a layer; its keys are those of the list."""
        menu = QMenu(self)
        is_off = self.cards[index].state is CardState.OFF
        last = len(self.cards) - 1
        switch = partial(self.switched.emit, index, is_off)
        self._add(
            menu, "eye" if is_off else "eye-off", self.tr("Switch on") if is_off else self.tr("Switch off"), switch
        )
        self._add(menu, "duplicate", self.tr("Duplicate"), partial(self.duplicated.emit, index), "Ctrl+D")
        menu.addSeparator()
        up = self._add(menu, "up", self.tr("Move up"), partial(self._move, index, index - 1), "Alt+Up")
        up.setEnabled(index > 0)
        down = self._add(menu, "down", self.tr("Move down"), partial(self._move, index, index + 1), "Alt+Down")
        down.setEnabled(index < last)
        menu.addSeparator()
        remove = self._add(menu, "delete", self.tr("Remove"), partial(self._remove, index), "Del")
        remove.setEnabled(last > 0)
        return menu

    def _add(self, menu: QMenu, icon: str, text: str, command: Callable[[], None], key: str = "") -> QAction:
        size = 2.25 * theme.unit()
        ink = self.palette().color(QPalette.ColorRole.Text)
        if key:
            text += "\t" + QKeySequence(key).toString(QKeySequence.SequenceFormat.NativeText)
        action = menu.addAction(QIcon(theme.icon(icon, ink, size, self.devicePixelRatioF())), text)
        action.triggered.connect(command)
        return action

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the cards in view. Under a lifted one, which follows the pointer, they make room where it would go."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        drag = self._drag if self._drag is not None and self._drag.is_lifted else None
        boxes = self._boxes
        if drag is not None:
            order = [index for index in range(len(boxes)) if index != drag.index]
            order.insert(place_at(drag.y, boxes, drag.index), drag.index)
            boxes = self._boxes_at(self.width(), order)
        for index, box in enumerate(boxes):
            if box.toAlignedRect().intersects(event.rect()) and (drag is None or drag.index != index):
                self._paint_card(painter, index, box)
        if drag is None:
            return
        unit, room, box = theme.unit(), boxes[drag.index], self._boxes[drag.index]
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 2, Qt.PenStyle.DashLine))
        painter.drawRoundedRect(room, unit, unit)
        painter.setOpacity(0.85)
        self._paint_card(painter, drag.index, box.translated(0, drag.y - box.center().y()))

    def _paint_card(self, painter: QPainter, index: int, box: QRectF) -> None:
        card, unit, colors, palette = self.cards[index], theme.unit(), theme.colors(self.palette()), self.palette()
        is_hovered = index == self._hovered and self._drag is None
        is_plain = card.state is CardState.FITS
        fill = (
            colors.surface if is_plain or card.state is CardState.MISFIT else palette.color(QPalette.ColorRole.Window)
        )
        if is_hovered:
            fill = palette.color(QPalette.ColorRole.Button)
        border = QPen(colors.border, 1)
        if card.state is CardState.MISFIT:
            border = QPen(colors.error, 1.5)
        if index == self.current:
            border = QPen(colors.window, 2)
        painter.setBrush(fill)
        painter.setPen(border)
        painter.drawRoundedRect(box, unit, unit)
        if self.hasFocus() and index == self.cursor_index:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(palette.color(QPalette.ColorRole.Highlight), 2))
            painter.drawRoundedRect(box.adjusted(3, 3, -3, -3), 0.7 * unit, 0.7 * unit)
        line = QRectF(box.left() + 1.5 * unit, box.top(), box.width() - 5 * unit, 4 * unit)
        ink = palette.color(QPalette.ColorRole.Text if is_plain else QPalette.ColorRole.PlaceholderText)
        if card.state is CardState.MISFIT:
            ink = palette.color(QPalette.ColorRole.Text)
        used = self._paint_change(painter, card, line)
        font = theme.font(bold=True)
        painter.setFont(font)
        painter.setPen(ink)
        room = round(line.width() - used - unit)
        title = QFontMetrics(font).elidedText(card.title, Qt.TextElideMode.ElideRight, room)
        draw_line(painter, line, title, font)
        if is_hovered or index == self.current:
            self._paint_icon(
                painter, "more", self.more_box(index).center() + box.center() - self._boxes[index].center()
            )
        if is_hovered:
            self._paint_icon(painter, "drag", QPointF(box.left() + 0.8 * unit, line.center().y()), 1.5)
        if card.reason:
            painter.setFont(theme.font(0.85))
            painter.setPen(colors.error)
            area = box.adjusted(1.5 * unit, 3.75 * unit, -1.5 * unit, 0)
            painter.drawText(area, Qt.TextFlag.TextWordWrap, card.reason)

    def _paint_change(self, painter: QPainter, card: Card, line: QRectF) -> float:
        """Paint at the right what the layer makes of shapes, or why it makes nothing; return the width used, px."""
        unit, colors, font = theme.unit(), theme.colors(self.palette()), theme.font(0.85)
        text = card.change
        title_width = theme.text_width(theme.font(bold=True), card.title)
        if card.output and title_width + unit + theme.text_width(font, text) > line.width():
            text = card.output
        icon = {CardState.OFF: "eye-off", CardState.MISFIT: "alert"}.get(card.state)
        color = colors.error if card.state is CardState.MISFIT else colors.muted
        painter.setFont(font)
        painter.setPen(color)
        draw_line(painter, line, text, font, right=True)
        used = theme.text_width(font, text)
        if icon is not None:
            self._paint_icon(painter, icon, QPointF(line.right() - used - 1.4 * unit, line.center().y()), color=color)
            used += 2.4 * unit
        return used

    def _paint_icon(
        self, painter: QPainter, name: str, center: QPointF, units: float = 2.0, color: QColor | None = None
    ) -> None:
        """Paint an icon around a point, ``units`` spacing units wide."""
        size = units * theme.unit()
        color = color or theme.colors(self.palette()).muted
        pixmap = theme.icon(name, color, size, self.devicePixelRatioF())
        painter.drawPixmap(QPoint(round(center.x() - size / 2), round(center.y() - size / 2)), pixmap)


class StackCards(Section):
    """The cards of a stack, with buttons that add a layer, take a ready-made stack, open and save.

    It changes nothing itself: its signals say what was asked for, in the terms of `Stack`'s edits.
    """

    chosen = Signal(int)
    add_requested = Signal(str)
    """A key of `LAYER_KINDS`."""
    removed = Signal(int)
    duplicated = Signal(int)
    moved = Signal(int, int)
    """Index and new index, as `Stack.move` takes them."""
    switched = Signal(int, bool)
    """Index, and whether the layer is to be on."""
    preset_chosen = Signal(str)
    """A key of `PRESETS`."""
    open_requested = Signal()
    save_requested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(QCoreApplication.translate("StackCards", "STACK"), parent)
        self.list = CardList(self)
        for source, own in (
            (self.list.chosen, self.chosen),
            (self.list.removed, self.removed),
            (self.list.duplicated, self.duplicated),
            (self.list.moved, self.moved),
            (self.list.switched, self.switched),
        ):
            source.connect(own)
        self.add_wide(self.list)
        self.add_wide(self._make_buttons())

    def show_stack(self, stack: Stack, current: int) -> None:
        """Show a stack and which of its layers is the current one; `INPUT` marks none."""
        self.list.show_cards(cards_of(stack), current)

    def _make_buttons(self) -> QWidget:
        buttons = QWidget(self)
        row = QHBoxLayout(buttons)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        self._add_menu = add_layer_menu(self, self.add_requested.emit)
        self._presets_menu = self._make_presets_menu()
        add = self._button("add", self.tr("Add layer"), self.tr("Add a layer behind the current one."))
        add.clicked.connect(lambda: add.drop_down(self._add_menu))
        presets = self._button("layers", self.tr("Presets"), self.tr("Replace the stack by a ready-made one."))
        presets.clicked.connect(lambda: presets.drop_down(self._presets_menu))
        open_file = self._button("open", self.tr("Open…"), self.tr("Open a stack from a .convviz file."), False)
        open_file.clicked.connect(self.open_requested)
        save = self._button(
            "save", self.tr("Save…"), self.tr("Save the stack with its weights to a .convviz file."), False
        )
        save.clicked.connect(self.save_requested)
        row.addWidget(add)
        row.addWidget(presets)
        row.addStretch(1)
        row.addWidget(open_file)
        row.addWidget(save)
        return buttons

    def _button(self, icon: str, text: str, tooltip: str, with_text: bool = True) -> FlatButton:
        button = FlatButton(icon, text, Kind.PLAIN)
        button.show_text(with_text)
        button.setToolTip(tooltip)
        button.setAccessibleName(text)
        return button

    def _make_presets_menu(self) -> QMenu:
        menu = QMenu(self)
        for preset in PRESETS:
            menu.addAction(preset_name(preset)).triggered.connect(partial(self.preset_chosen.emit, preset))
        return menu


def add_layer_menu(parent: QWidget, chosen: Callable[[str], object]) -> QMenu:
    """Return a menu of the kinds of layers; ``chosen`` is called with a key of `LAYER_KINDS`."""
    menu = QMenu(parent)
    menu.setToolTipsVisible(True)
    for kinds in KIND_GROUPS:
        menu.addSeparator()  # one before the first action is not shown
        for kind in kinds:
            action = menu.addAction(kind_name(kind))
            action.setToolTip(kind_tooltip(kind))
            action.triggered.connect(partial(chosen, kind))
    return menu

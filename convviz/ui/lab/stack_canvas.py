"""The stack view's canvas: the input and every layer's output side by side, with a unit's receptive field on each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, QSizeF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QPalette, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QFrame, QLabel, QScrollArea, QStyle, QVBoxLayout, QWidget

from convviz.core import display
from convviz.core.dense import Linear
from convviz.core.explain import FloatArray
from convviz.core.layers import times
from convviz.core.stack import INPUT, Stack
from convviz.ui import theme
from convviz.ui.lab.layer_text import layer_name, shape_text
from convviz.ui.lab.map_panel import MapFacts, MapPanel, Unit
from convviz.ui.lab.stack_layout import MARGIN, Layout, lay_out
from convviz.ui.widgets.grid_content import GridContent, Mark, Role

NOTE_WIDTH, SCROLL_STEP = 32.0, 5.0
READABLE_SIDE = 20.0
"""Where maps in rows come out smaller than this, the choice of the channel makes room for them; in spacing units."""


@dataclass(frozen=True, eq=False)
class StackPicture:
    """What the canvas draws. Arrays must not be written again after they were handed over.

    Attributes:
        stack: the layers; those from `stack.problem` on are not shown.
        maps: the input's array, then every fitting layer's output, (C, H, W) or (N,); None for one not computed yet.
        channels: the channel shown of each map, 0 for vectors.
        current: the layer whose unit is chosen, `INPUT` for the input itself.
        cell: its unit: (i, j), or n in a vector; None marks none.
        shown: how many cells of each map count as computed, in reading order; None for all.
        grey: whether the input is brightness.
        colour: whether the input, of 3 channels, is shown as an RGB picture.
        heat: (H, W), an effective receptive field shown in place of the input's numbers.

    """

    stack: Stack
    maps: tuple[FloatArray | None, ...]
    channels: tuple[int, ...]
    current: int
    cell: Unit | None
    shown: tuple[int | None, ...]
    grey: bool = False
    colour: bool = False
    heat: FloatArray | None = None


def seen_cells(picture: StackPicture, index: int) -> tuple[range, range] | None:
    """Return the rows and columns of map `index` (0: the input) that the chosen unit sees; None behind its layer.

    They reach into the padding. Of a vector, in the shape in which it is shown, that is one unit where units are passed
    on one by one, else all.
    """
    stack, cell, chosen = picture.stack, picture.cell, picture.current + 1
    if index > chosen or cell is None:
        return None
    shape = stack.shapes[index]
    if len(shape) == 1:
        rows, cols = display.grid_shape(shape)
        mixed = any(stack.is_on(i) and isinstance(stack.layers[i], Linear) for i in range(index, chosen))
        if mixed or not isinstance(cell, int):
            return range(rows), range(cols)
        row, col = divmod(cell, cols)
    elif index < chosen:
        region = stack.input_region(picture.current, (cell,) if isinstance(cell, int) else cell, index - 1)
        return region.rows, region.cols
    else:
        assert not isinstance(cell, int)
        row, col = cell
    return range(row, row + 1), range(col, col + 1)


@dataclass(frozen=True, eq=False)
class _Shown:
    """A map's content, and what it was made from."""

    source: FloatArray
    look: tuple[int, bool, bool]  # channel, brightness, colour
    content: GridContent


class _Note(QWidget):
    """Says why a stack ends before its last layer."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._title, self._message = QLabel(self), QLabel(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for label in (self._title, self._message):
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            layout.addWidget(label)
        self._restyle()

    def show_texts(self, title: str, message: str) -> None:
        self._title.setText(title)
        self._message.setText(message)

    def wanted_size(self) -> QSizeF:
        width = round(NOTE_WIDTH * theme.unit())
        return QSizeF(width, self.heightForWidth(width))

    def changeEvent(self, event: QEvent) -> None:
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_message"):
            self._restyle()
        super().changeEvent(event)

    def _restyle(self) -> None:
        self._title.setFont(theme.font(1.1, bold=True))
        palette = QApplication.palette()
        palette.setColor(QPalette.ColorRole.WindowText, theme.colors(palette).error)
        self._title.setPalette(palette)


class StackCanvas(QScrollArea):
    """Draws a :class:`StackPicture`. Only the maps in view have panels; these are reused for others when scrolling.

    The maps lie side by side, or in as many rows as show them all (`set_fit`), or one has the canvas for itself
    (`enlarge`).
    """

    cell_chosen = Signal(int, object)  # layer (`INPUT` for the input), cell
    cell_hovered = Signal(int, object)  # the same while the pointer moves; (layer, None) when it leaves
    layer_chosen = Signal(int)
    channel_chosen = Signal(int, int)  # map (0: the input), channel

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._picture: StackPicture | None = None
        self._facts: list[MapFacts] = []
        self._fit = False
        self._enlarged: int | None = None
        self._boxes: dict[int, QRect] = {}
        self._has_selectors = True
        self._panels: dict[int, MapPanel] = {}
        self._spare: list[MapPanel] = []
        self._kept: dict[int, _Shown] = {}
        self._hovered_layer: int | None = None
        self._followed: int | None = None
        self._sheet = QWidget()
        self._note = _Note(self._sheet)
        self.setWidget(self._sheet)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setAccessibleName(self.tr("Maps of the stack"))

    # ---- what is shown

    def set_picture(self, picture: StackPicture) -> None:
        """Show another picture; arrays that stayed the same are not looked at again."""
        before, self._picture = self._picture, picture
        sources = {id(source) for source in (picture.heat, *picture.maps)}
        self._kept = {index: kept for index, kept in self._kept.items() if id(kept.source) in sources}
        heated = picture.heat is not None
        if (
            before is None
            or picture.stack is not before.stack
            or (picture.colour, heated) != (before.colour, before.heat is not None)
        ):
            self._facts = [self._facts_of(picture, index) for index in range(len(picture.stack.shapes))]
            if self._enlarged is not None and self._enlarged >= len(self._facts):
                self._enlarged = None
            self._arrange()
        else:
            self._show()
        self._follow()

    @property
    def fit(self) -> bool:
        """Whether all maps are fitted into the window."""
        return self._fit

    def set_fit(self, on: bool) -> None:
        """Fit all maps into the window, in several rows where that makes them larger; or show them side by side."""
        if on != self._fit:
            self._fit = on
            self._arrange()
            self._scroll_to_current()

    @property
    def enlarged(self) -> int | None:
        """The map that has the canvas for itself, if one has; 0 is the input."""
        return self._enlarged

    def enlarge(self, index: int | None) -> None:
        """Show one map alone (0: the input), or all again; ``IndexError`` without such a map."""
        if index is not None and not 0 <= index < len(self._facts):
            raise IndexError(f"There is no map {index} among {len(self._facts)}.")
        if index != self._enlarged:
            self._enlarged = index
            self._arrange()
            if index is None:
                self._scroll_to_current()
            else:
                self.setFocus()  # so that Esc comes here

    def panel(self, index: int) -> MapPanel | None:
        """Return the panel of a map (0: the input) that is in view, None for others."""
        return self._panels.get(index)

    def _facts_of(self, picture: StackPicture, index: int) -> MapFacts:
        stack, layer = picture.stack, index - 1
        shape = stack.shapes[index]
        facts, channels = [shape_text(shape)], shape[0] if len(shape) == 3 else 1
        if layer == INPUT:
            if picture.heat is not None:
                facts.insert(0, self.tr("effective receptive field"))
            if picture.heat is not None or picture.colour:
                channels = 1
            return MapFacts(self.tr("Input"), tuple(facts), shape, channels)
        title = f"{index} {layer_name(stack.layers[layer])}"
        if not stack.is_on(layer):
            title = self.tr("{layer} (off)").format(layer=title)
        field = stack.receptive_field(layer)
        facts.append(self.tr("RF {size}").format(size=_pair_text(field.rows.size, field.cols.size)))
        if len(shape) == 3:
            facts.append(self.tr("jump {size}").format(size=_pair_text(field.rows.jump, field.cols.jump)))
        return MapFacts(title, tuple(facts), shape, channels)

    def _content(self, picture: StackPicture, index: int) -> GridContent | None:
        """Return what a map's grid shows, None while the map is being computed."""
        heat = picture.heat if index == 0 else None
        source = picture.maps[index] if heat is None else heat
        if source is None:
            return None
        plain = index > 0 or heat is not None
        look = (picture.channels[index], picture.grey and not plain, picture.colour and not plain)
        kept = self._kept.get(index)
        if kept is not None and kept.source is source and kept.look == look:
            return kept.content
        channel, grey, colour = look
        if kept is not None and kept.source is source:
            level, signed = kept.content.level, kept.content.signed
        else:
            level, signed = display.signed_levels(source), display.is_signed(source)
        content = GridContent(
            source if heat is not None else display.as_maps(source)[channel],
            level,
            signed,
            grey,
            picture=display.rgb_image(source, level) if colour else None,
            row_step=self._facts[index].row_step,
        )
        self._kept[index] = _Shown(source, look, content)
        return content

    def _marks(self, picture: StackPicture, index: int) -> list[Mark]:
        seen = seen_cells(picture, index)
        if seen is None:
            return []
        rows, cols = tuple(seen[0]), tuple(seen[1])
        marks = [Mark(rows, cols, Role.RECEPTIVE_FIELD, tinted=index > 0 or picture.heat is None)]
        if index == picture.current + 1:
            marks.append(Mark(rows, cols, Role.WINDOW))
        return marks

    def _show(self) -> None:
        """Show the picture on the panels in view."""
        corner = QPoint(self.horizontalScrollBar().value(), self.verticalScrollBar().value())
        view = QRect(corner, self.viewport().size())
        visible = [index for index, box in self._boxes.items() if box.intersects(view)]
        for index in self._panels.keys() - visible:
            self._panels[index].leave()
        for index in self._panels.keys() - visible:
            panel = self._panels.pop(index)
            if (focus := QApplication.focusWidget()) is not None and panel.isAncestorOf(focus):
                self.setFocus()  # else Qt would give it to a neighbour and scroll there
            panel.hide()
            self._spare.append(panel)
        fresh = [index for index in visible if index not in self._panels]
        for index in fresh:
            self._panels[index] = self._spare.pop() if self._spare else self._new_panel()
        for index in visible:
            self._show_map(index)
        for index in fresh:
            self._panels[index].arrange(self._boxes[index], self._has_selectors)
            self._panels[index].show()
        if fresh:
            for before, after in pairwise(self._panels[index] for index in visible):
                QWidget.setTabOrder(before.selector.next, after.title)

    def _show_map(self, index: int) -> None:
        picture, panel, facts = self._picture, self._panels[index], self._facts[index]
        assert picture is not None
        shown, chosen = picture.shown[index], picture.cell is not None and index == picture.current + 1
        if len(facts.shape) == 1:
            units = facts.shape[0]
            shown = min(units, units if shown is None else shown)  # the cells behind the last unit stay blank
        panel.show_map(index, facts, self._content(picture, index), shown)
        panel.show_state(picture.channels[index], chosen, self._enlarged == index)
        marks = self._marks(picture, index)
        panel.grid.set_marks(*marks)
        if chosen and self._hovered_layer is None:
            panel.grid.ensure_visible(marks[0].rows, marks[0].cols)

    def _new_panel(self) -> MapPanel:
        panel = MapPanel(self._sheet)
        panel.cell_chosen.connect(self.cell_chosen)
        panel.cell_hovered.connect(self._on_hovered)
        panel.layer_chosen.connect(self.layer_chosen)
        panel.channel_chosen.connect(self.channel_chosen)
        panel.enlarge_requested.connect(lambda index: self.enlarge(None if index == self._enlarged else index))
        return panel

    def _on_hovered(self, layer: int, cell: Unit | None) -> None:
        self._hovered_layer = None if cell is None else layer
        self.cell_hovered.emit(layer, cell)

    # ---- where it is shown

    def sizeHint(self) -> QSize:
        """Return a size at which four small maps show their digits."""
        unit = theme.unit()
        return QSize(round(100 * unit), round(60 * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the least size at which one map can be read."""
        unit = theme.unit()
        return QSize(round(32 * unit), round(23 * unit))

    def _arrange(self) -> None:
        """Find every map's place in the window."""
        if self._picture is None:
            return
        room, bar = self.maximumViewportSize(), self.style().pixelMetric(QStyle.PixelMetric.PM_ScrollBarExtent)
        size = self._place(room)
        if size.width() > room.width():
            room -= QSize(0, bar)
            size = self._place(room)
        elif size.height() > room.height():
            room -= QSize(bar, 0)
            size = self._place(room)
        self._sheet.resize(size.expandedTo(room))
        for scroll_bar in (self.horizontalScrollBar(), self.verticalScrollBar()):
            scroll_bar.setSingleStep(round(SCROLL_STEP * theme.unit()))
        self._show()
        for index, panel in self._panels.items():
            panel.arrange(self._boxes[index], self._has_selectors)

    def _place(self, room: QSize) -> QSize:
        """Place maps and note in some room; return how much they take."""
        assert self._picture is not None
        area, unit, problem = QSizeF(room), theme.unit(), self._picture.stack.problem
        self._has_selectors = True
        if self._enlarged is not None:
            self._note.hide()
            alone = self._facts[self._enlarged].room(brief=False, selector=True)
            box = QRect(QPoint(), alone.enlarged(area - QSizeF(2, 1) * MARGIN * unit).toSize())
            box.moveCenter(QRect(QPoint(), room).center())
            self._boxes = {self._enlarged: box}
            return room
        others = []
        if problem is not None:
            self._note.show_texts(
                self.tr("{number} {layer} does not fit").format(
                    number=problem.index + 1, layer=layer_name(self._picture.stack.layers[problem.index])
                ),
                problem.message,
            )
            others.append(self._note.wanted_size())
        layout = self._layout(others, area)
        if self._fit and layout.side < READABLE_SIDE * unit:
            self._has_selectors = False
            layout = self._layout(others, area)
        self._boxes = dict(enumerate(layout.boxes[: len(self._facts)]))
        self._note.setVisible(problem is not None)
        self._note.setGeometry(layout.boxes[-1])
        return layout.size

    def _layout(self, others: list[QSizeF], area: QSizeF) -> Layout:
        rooms = [facts.room(brief=self._fit, selector=self._has_selectors) for facts in self._facts]
        return lay_out(rooms, others, area, wrap=self._fit)

    def _follow(self) -> None:
        """Bring the current layer into view when it changes, unless the pointer on its map is what changed it."""
        assert self._picture is not None
        layer = self._picture.current
        if layer not in {self._hovered_layer, self._followed}:
            self._followed = layer
            self._scroll_to_current()

    def _scroll_to_current(self) -> None:
        box = None if self._picture is None else self._boxes.get(self._picture.current + 1)
        if box is None:
            return
        margin = round(MARGIN * theme.unit())
        for bar, first, last, room in (
            (self.horizontalScrollBar(), box.left(), box.right(), self.viewport().width()),
            (self.verticalScrollBar(), box.top(), box.bottom(), self.viewport().height()),
        ):
            least, most = last + margin - room, first - margin
            bar.setValue(most if least > most else min(max(bar.value(), least), most))

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        """Scroll, and give the maps that come into view their panels."""
        super().scrollContentsBy(dx, dy)
        self._show()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Use the new room."""
        super().resizeEvent(event)
        self._arrange()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.StyleChange} and hasattr(self, "_note"):
            self._arrange()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Scroll in the direction in which there is more."""
        turn, vertical = event.angleDelta(), self.verticalScrollBar()
        sideways = abs(turn.x()) > abs(turn.y()) or vertical.maximum() == 0
        QApplication.sendEvent(self.horizontalScrollBar() if sideways else vertical, event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Leave an enlarged map with Esc; other keys belong to the page."""
        if event.key() == Qt.Key.Key_Escape and self._enlarged is not None:
            self.enlarge(None)
        else:
            event.ignore()


def _pair_text(rows: int, cols: int) -> str:
    return str(rows) if rows == cols else times((rows, cols))

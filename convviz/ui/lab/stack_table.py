"""The card below a stack: what one unit sees of the input, and every layer's shape, cost and receptive field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from PySide6.QtCore import (
    QAbstractTableModel,
    QCoreApplication,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetrics,
    QGuiApplication,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPalette,
    QPen,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QHeaderView,
    QLabel,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from convviz.core.dense import Linear
from convviz.core.explain import Position
from convviz.core.layers import AvgPool2d, MaxPool2d, Weighted
from convviz.core.numbers import THIN_SPACE, grouped
from convviz.core.receptive_field import Region
from convviz.core.stack import INPUT, Stack
from convviz.ui import theme
from convviz.ui.lab.layer_text import layer_name, shape_text
from convviz.ui.lab.strip_words import span_text

Cell: TypeAlias = tuple[int, int] | int | None
"""A unit of the current layer: (i, j), n in a vector, or none."""
AnyIndex: TypeAlias = QModelIndex | QPersistentModelIndex

NO_INDEX = QModelIndex()
_translate = partial(QCoreApplication.translate, "StackTable")


# ---- words


def both(rows: str, cols: str, between: str = "×") -> str:
    """Return one text for both axes if they agree, else that of the rows and that of the columns."""
    return rows if rows == cols else f"{rows}{between}{cols}"


@dataclass(frozen=True)
class TableRow:
    """A row as text.

    Attributes:
        texts: one for each column.
        layer: index of the layer, `INPUT`, or None for the totals.
        is_on: whether the layer is not switched off.

    """

    texts: tuple[str, ...]
    layer: int | None
    is_on: bool = True


def rows_of(stack: Stack) -> tuple[TableRow, ...]:
    """Return the rows of the input, of the layers as far as they fit, and of the totals."""
    rows = [TableRow((_translate("Input"), shape_text(stack.input_shape), "", "", "1", "1", "0.5", ""), INPUT)]
    for index, row in enumerate(stack.table):
        is_on = stack.is_on(index)
        name = f"{index + 1} {layer_name(stack.layers[index])}"
        vertical, horizontal = row.receptive_field
        texts = (
            name if is_on else _translate("{layer}, off").format(layer=name),
            shape_text(row.output_shape),
            grouped(row.num_parameters),
            grouped(row.multiply_adds),
            both(str(vertical.jump), str(horizontal.jump)),
            both(str(vertical.size), str(horizontal.size)),
            both(_half(vertical.start), _half(horizontal.start), ", "),
            "—" if row.dense_parameters is None else grouped(row.dense_parameters),
        )
        rows.append(TableRow(texts, index, is_on))
    totals = (_translate("Total"), "", grouped(stack.num_parameters), grouped(stack.multiply_adds), "", "", "", "")
    return (*rows, TableRow(totals, None))


def _half(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")


def heading_of(stack: Stack, current: int, cell: Cell) -> str:
    """Return whose receptive field the card is about."""
    number = current + 1
    if current == INPUT:
        return _translate("Input {shape}").format(shape=shape_text(stack.input_shape))
    if stack.problem is not None and current >= stack.problem.index:
        if current == stack.problem.index:
            return _translate("Layer {number} does not fit").format(number=number)
        return _translate("Layer {number} is not reached").format(number=number)
    if cell is None:
        return _translate("Receptive field of layer {number}").format(number=number)
    unit = f"({cell[0]}, {cell[1]})" if isinstance(cell, tuple) else str(cell)
    return _translate("Receptive field of unit {unit} in layer {number}").format(unit=unit, number=number)


def sentence_of(stack: Stack, current: int, cell: Cell) -> str:
    """Return what the unit sees of the input and what of that is padding; `IndexError` if there is no such unit."""
    if current == INPUT:
        return _translate("Choose a layer to see what its units cover.")
    if current >= len(stack.table):
        return _translate("Choose a layer before it to see what its units cover.")
    if cell is not None:
        position = cell if isinstance(cell, tuple) else (cell,)
        return _covered(stack, current, position)
    rows, cols = stack.receptive_field(current)
    if len(stack.shapes[current + 1]) == 1:
        template = _translate("all units together cover {rows} × {cols} cells of the input")
    else:
        template = _translate("each unit covers {rows} × {cols} cells of the input")
    return template.format(rows=rows.size, cols=cols.size)


def _covered(stack: Stack, current: int, position: Position) -> str:
    region = stack.input_region(current, position)
    text = _translate("covers {rows}, {cols} of the input: {height} × {width}").format(
        rows=_rows_text(span_text(region.rows), len(region.rows)),
        cols=_cols_text(span_text(region.cols), len(region.cols)),
        height=len(region.rows),
        width=len(region.cols),
    )
    on_the_way = [layer for index, layer in enumerate(stack.layers[: current + 1]) if stack.is_on(index)]
    rounded_up = any(isinstance(layer, (MaxPool2d, AvgPool2d)) and layer.ceil_mode for layer in on_the_way)
    outside = outside_text(region, stack.input_shape[1:], rounded_up)
    return f"{text}; {outside}" if outside else text


def _rows_text(span: str, count: int) -> str:
    return (_translate("row {span}") if count == 1 else _translate("rows {span}")).format(span=span)


def _cols_text(span: str, count: int) -> str:
    return (_translate("column {span}") if count == 1 else _translate("columns {span}")).format(span=span)


def outside_text(region: Region, input_size: Sequence[int], rounded_up: bool = False) -> str:
    """Return which rows and columns of a region are not in the input of (height, width), "" if all are.

    They are padding, unless the size of a layer on the way is ``rounded_up``: its last windows run past the padding.
    """
    place = _translate("outside the input") if rounded_up else _translate("in the padding")
    if not region.real_rows or not region.real_cols:
        return _translate("all of it lies {place}").format(place=place)
    parts, total = [], 0
    for cells, size, say in zip((region.rows, region.cols), input_size, (_rows_text, _cols_text), strict=True):
        ends = range(cells.start, min(cells.stop, 0)), range(max(cells.start, size), cells.stop)
        count = sum(map(len, ends))
        if count:
            parts.append(say(", ".join(span_text(end) for end in ends if end), count))
        total += count
    if not parts:
        return ""
    template = _translate("{cells} lies {place}") if total == 1 else _translate("{cells} lie {place}")
    return template.format(cells=", ".join(parts), place=place)


def sharing_of(stack: Stack, current: int) -> str:
    """Return how many weights a layer has and how many a dense one in its place would have; "" where it has no row."""
    if not 0 <= current < len(stack.table):
        return ""
    layer, row = stack.layers[current], stack.table[current]
    if not stack.is_on(current):
        return _translate("The layer is off: it passes its input on and has no parameters.")
    if not isinstance(layer, Weighted):
        return _translate("{layer} has no parameters: there is nothing to learn.").format(layer=layer_name(layer))
    counts = _counts(layer)
    if row.dense_parameters is None:
        return _translate("{counts}: one pair for each channel, shared by all its cells.").format(counts=counts)
    if isinstance(layer, Linear):
        return _translate(
            "{counts}: a dense layer has a weight for every input of every output; none is shared."
        ).format(counts=counts)
    return _translate("{counts}, shared by all positions; a dense layer here would have {dense} parameters.").format(
        counts=counts, dense=grouped(row.dense_parameters)
    )


def _counts(layer: Weighted) -> str:
    weights = math.prod(layer.array_shapes["weight"])
    biases = layer.num_parameters - weights
    template = _translate("{count} weight") if weights == 1 else _translate("{count} weights")
    text = template.format(count=grouped(weights))
    if biases:
        template = _translate("{count} bias") if biases == 1 else _translate("{count} biases")
        text += " + " + template.format(count=grouped(biases))
    return text


# ---- the table


class StackTableModel(QAbstractTableModel):
    """The rows of a stack, of which the current layer's is bold."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.rows: tuple[TableRow, ...] = ()
        self.current = INPUT
        self.headers = (
            (self.tr("layer"), self.tr("The layer's number, kind and window.")),
            (self.tr("output"), self.tr("The shape of the layer's output: channels × rows × columns.")),
            (self.tr("parameters"), self.tr("Weights and biases of the layer: the numbers that training changes.")),
            (self.tr("multiply-adds"), self.tr("Products of a weight and an input that one forward pass adds up.")),
            (
                self.tr("jump"),
                self.tr("Input cells from one unit's receptive field to the next: all strides multiplied."),
            ),
            (self.tr("receptive field"), self.tr("Input cells on each side that one unit depends on.")),
            (
                self.tr("start"),
                self.tr("The middle of the first unit's receptive field, where input cell 0 reaches from 0 to 1."),
            ),
            (
                self.tr("as a dense layer"),
                self.tr("Parameters of a dense layer in this place: a weight from every input to every output cell."),
            ),
        )

    def show_rows(self, rows: tuple[TableRow, ...], current: int) -> bool:
        """Show other rows or another current layer; return whether a text changed."""
        changed = rows != self.rows
        if len(rows) != len(self.rows):
            self.beginResetModel()
            self.rows, self.current = rows, current
            self.endResetModel()
        elif changed or current != self.current:
            self.rows, self.current = rows, current
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(self.headers) - 1))
        return changed

    def row_of(self, layer: int) -> int:
        """Return the row of a layer or of the input, −1 if it has none."""
        return next((row for row, shown in enumerate(self.rows) if shown.layer == layer), -1)

    def is_bold(self, row: int) -> bool:
        """Whether a row is the current layer's."""
        return self.rows[row].layer == self.current

    def rowCount(self, parent: AnyIndex = NO_INDEX) -> int:
        """Return the number of rows: the input, the layers that fit, the totals."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: AnyIndex = NO_INDEX) -> int:
        """Return the number of columns."""
        return 0 if parent.isValid() else len(self.headers)

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a cell's text and how it is set."""
        row = self.rows[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return row.texts[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(index.column() == 0)
        if role == Qt.ItemDataRole.FontRole:
            return theme.font(bold=self.is_bold(index.row()))
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a column's name and what it means."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self.headers[section][0]
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return self.headers[section][1]
        return None

    def as_text(self, rows: Sequence[int]) -> str:
        """Return the header and these rows as tab-separated lines with plain numbers, for a spreadsheet."""
        lines = [[name for name, _ in self.headers], *(self.rows[row].texts for row in rows)]
        return "\n".join("\t".join(line) for line in lines).replace(THIN_SPACE, "").replace("−", "-")


def _alignment(is_first: bool) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignLeft if is_first else Qt.AlignmentFlag.AlignRight
    return side | Qt.AlignmentFlag.AlignVCenter


class RowDelegate(QStyledItemDelegate):
    """Paints a cell as text, with a line above the totals and a frame where the keyboard is."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        """Paint one cell."""
        model = index.model()
        assert isinstance(model, StackTableModel)
        row, palette, rect = model.rows[index.row()], option.palette, QRectF(option.rect)
        colors = theme.colors(palette)
        painter.save()
        if row.layer is None:
            painter.setPen(QPen(colors.border, 1))
            painter.drawLine(rect.topLeft(), rect.topRight())
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(QPen(palette.color(QPalette.ColorRole.Link), 2))
            painter.drawRect(rect.adjusted(1, 1, -1, -1))
        font = theme.font(bold=model.is_bold(index.row()))
        painter.setFont(font)
        painter.setPen(palette.color(QPalette.ColorRole.Text) if row.is_on else colors.muted)
        _draw_cell(painter, rect, index.column() == 0, row.texts[index.column()], font)
        painter.restore()


class TermHeader(QHeaderView):
    """Column names in small muted text above a line."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setSectionsClickable(False)
        self.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setMinimumSectionSize(1)

    def sizeHint(self) -> QSize:
        """Return the height of a line."""
        return QSize(super().sizeHint().width(), round(3 * theme.unit()))

    def paintSection(self, painter: QPainter, rect: QRect, logicalIndex: int) -> None:
        """Paint one column's name."""
        colors, font = theme.colors(self.palette()), theme.font(0.85)
        painter.fillRect(rect, colors.surface)
        painter.setPen(QPen(colors.border, 1))
        painter.drawLine(rect.bottomLeft(), rect.bottomRight())
        painter.setFont(font)
        painter.setPen(colors.muted)
        text = self.model().headerData(logicalIndex, Qt.Orientation.Horizontal)
        _draw_cell(painter, QRectF(rect), logicalIndex == 0, text, font)


def _draw_cell(painter: QPainter, rect: QRectF, is_first: bool, text: str, font: QFont) -> None:
    """Draw a cell's text between the gaps to its neighbours; only what has no room is elided."""
    gap = theme.unit()
    room = rect.adjusted(0, 0, -gap, 0) if is_first else rect.adjusted(gap / 2, 0, -gap / 2, 0)
    if theme.text_width(font, text) > room.width() + 1:
        text = QFontMetrics(font).elidedText(text, Qt.TextElideMode.ElideRight, round(room.width()))
    painter.drawText(room, _alignment(is_first), text)


class TableView(QTableView):
    """The table: rows can be selected and copied, and chosen with a click or Return."""

    row_chosen = Signal(int)

    def __init__(self, model: StackTableModel, parent: QWidget) -> None:
        super().__init__(parent)
        self._rows = model
        self._widths: list[int] = []
        self.setModel(model)
        self.setItemDelegate(RowDelegate(self))
        self.setHorizontalHeader(TermHeader(self))
        self.verticalHeader().hide()
        self.setShowGrid(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.setWordWrap(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAccessibleName(self.tr("Table of layers"))
        self.setToolTip(self.tr("Click a layer to step through; Ctrl+C copies the selected rows."))
        self.clicked.connect(self._on_clicked)
        self.rescale()

    def show_rows(self, rows: tuple[TableRow, ...], current: int) -> None:
        """Show rows, and scroll to the current layer's if that has changed."""
        moves_on = current != self._rows.current
        if self._rows.show_rows(rows, current):
            self._measure()
        if moves_on:
            index = self._current_row()
            if not self.selectionModel().isSelected(index):
                self.clearSelection()
                self.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.NoUpdate)
            self.scrollTo(index)

    def show_current(self) -> None:
        """Scroll to the current layer's row."""
        self.scrollTo(self._current_row())

    def _current_row(self) -> QModelIndex:
        return self._rows.index(self._rows.row_of(self._rows.current), 0)

    def showEvent(self, event: QShowEvent) -> None:
        """Show the first rows, or as many of them less as it takes to have the current layer in view."""
        super().showEvent(event)
        self.scrollToTop()
        self.show_current()

    def rescale(self) -> None:
        """Follow font and palette; selected rows are tinted."""
        unit = theme.unit()
        self.setFont(theme.font())
        palette = QPalette(QGuiApplication.palette())
        highlight, surface = palette.color(QPalette.ColorRole.Highlight), palette.color(QPalette.ColorRole.Base)
        palette.setColor(QPalette.ColorRole.Highlight, _mixed(highlight, surface, 0.16))
        self.setPalette(palette)
        rows = self.verticalHeader()
        rows.setMinimumSectionSize(1)
        rows.setDefaultSectionSize(round(3 * unit))
        self._measure()

    def _measure(self) -> None:
        """Find the least width of every column, px, and distribute what is left over."""
        bold, small, gap = theme.font(bold=True), theme.font(0.85), theme.unit()
        self._widths = []
        for column, (name, _) in enumerate(self._rows.headers):
            texts = {row.texts[column] for row in self._rows.rows}
            needed = max([theme.text_width(bold, text) for text in texts], default=0.0)
            self._widths.append(math.ceil(max(needed, theme.text_width(small, name)) + gap))
        self._distribute()

    def _distribute(self) -> None:
        spare = max(0, self.viewport().width() - sum(self._widths))
        count = len(self._widths)
        for column, width in enumerate(self._widths):
            share = spare * (column + 1) // count - spare * column // count
            self.setColumnWidth(column, width + share)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Distribute another width."""
        super().resizeEvent(event)
        self._distribute()

    def _choose(self, row: int) -> None:
        layer = self._rows.rows[row].layer
        if layer is not None:
            self.row_chosen.emit(layer)

    def _on_clicked(self, index: QModelIndex) -> None:
        self._choose(index.row())

    def event(self, event: QEvent) -> bool:
        """Keep the keys that copy and choose from the page's shortcuts."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent) and _is_own(event):
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Copy the selected rows, or all if none is; choose the row that has the keyboard."""
        if event.matches(QKeySequence.StandardKey.Copy):
            rows = sorted(index.row() for index in self.selectionModel().selectedRows())
            QGuiApplication.clipboard().setText(self._rows.as_text(rows or range(self._rows.rowCount())))
        elif _is_own(event):
            if self.currentIndex().isValid():
                self._choose(self.currentIndex().row())
        else:
            super().keyPressEvent(event)


def _mixed(color: QColor, ground: QColor, share: float) -> QColor:
    """Return a ground with a share of a colour in it."""
    parts = zip(color.getRgbF()[:3], ground.getRgbF()[:3], strict=True)  # type: ignore[index]  # a tuple
    return QColor.fromRgbF(*(share * part + (1 - share) * under for part, under in parts))


def _is_own(event: QKeyEvent) -> bool:
    return event.matches(QKeySequence.StandardKey.Copy) or event.key() in {Qt.Key.Key_Return, Qt.Key.Key_Enter}


# ---- the card


class WholeRows(QWidget):
    """Gives a table the height of as many rows as fit, so that none is cut."""

    def __init__(self, view: TableView, parent: QWidget) -> None:
        super().__init__(parent)
        self._view = view
        view.setParent(self)

    def arrange(self) -> None:
        """Fit the table in, with the current layer's row in view."""
        view, bar = self._view, self._view.horizontalScrollBar()
        around = view.horizontalHeader().sizeHint().height() + (bar.sizeHint().height() if bar.maximum() else 0)
        row = view.verticalHeader().defaultSectionSize()
        self.setMinimumHeight(around + row)
        view.setGeometry(0, 0, self.width(), around + max(1, (self.height() - around) // row) * row)
        view.show_current()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the rows into another height."""
        self.arrange()


class FieldText(QWidget):
    """Heading and sentence about one unit. Its height only grows, so that nothing moves while the unit does."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.heading = self.sentence = ""
        self._height = 0
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setToolTip(self.tr("The receptive field of a unit is the part of the input that it depends on."))

    def show_text(self, heading: str, sentence: str) -> None:
        """Show other words."""
        if (heading, sentence) != (self.heading, self.sentence):
            self.heading, self.sentence = heading, sentence
            self.setAccessibleName(f"{heading} {sentence}")
            self._grow()
            self.update()

    def fit(self) -> None:
        """Take no more room than today's words need."""
        self._height = 0
        self._grow()

    def _grow(self) -> None:
        needed = sum(self._block_height(text, font) for text, font, _ in self._blocks())
        if needed > self._height:
            self._height = needed
            self.setFixedHeight(needed)

    def _blocks(self) -> tuple[tuple[str, QFont, QColor], ...]:
        font = theme.font(bold=True)
        ink = self.palette().color(QPalette.ColorRole.WindowText)
        return (self.heading, font, ink), (self.sentence, font, theme.colors(self.palette()).receptive_field)

    def _block_height(self, text: str, font: QFont) -> int:
        metrics, leading = QFontMetrics(font), round(0.75 * theme.unit())
        if theme.text_width(font, text) < self.width():
            return metrics.height() + leading
        room = QRect(0, 0, max(1, self.width()), 1 << 16)
        return metrics.boundingRect(room, Qt.TextFlag.TextWordWrap, text).height() + leading

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the words into another width."""
        if event.size().width() != event.oldSize().width():
            self.fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint heading and sentence."""
        painter, top = QPainter(self), 0
        for text, font, color in self._blocks():
            height = self._block_height(text, font)
            painter.setFont(font)
            painter.setPen(color)
            painter.drawText(QRectF(0, top, self.width(), height), Qt.TextFlag.TextWordWrap, text)
            top += height


class StackTable(QWidget):
    """What a unit of the current layer sees, the table of all layers, and how the current layer shares its weights."""

    row_chosen = Signal(int)
    """Index of the layer whose row was chosen, or `INPUT`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._stack: Stack | None = None
        self._current = INPUT
        self._cell: Cell = None
        self.field = FieldText(self)
        self.view = TableView(StackTableModel(self), self)
        self._rows = WholeRows(self.view, self)
        self.view.row_chosen.connect(self.row_chosen)
        self._sharing = _wrapped_label(self.tr("Weight sharing"), self)
        self._problem = _wrapped_label(self.tr("Why the stack ends"), self)
        self._column = QVBoxLayout(self)
        self._column.addWidget(self.field)
        self._column.addWidget(self._rows, 1)
        self._column.addWidget(self._sharing)
        self._column.addWidget(self._problem)
        self._rescale()

    def show_stack(self, stack: Stack, current: int, cell: Cell) -> None:
        """Show a stack, its current layer or `INPUT`, and a unit of that; `IndexError` if there is no such unit.

        Where only the cell is another one, only the words about it change.
        """
        is_same = stack is self._stack and current == self._current
        if is_same and cell == self._cell:
            return
        heading, sentence = heading_of(stack, current, cell), sentence_of(stack, current, cell)
        self._stack, self._current, self._cell = stack, current, cell
        self.field.show_text(heading, sentence)
        if is_same:
            return
        self.field.fit()
        self.view.show_rows(rows_of(stack), current)
        self._rows.arrange()
        _say(self._sharing, sharing_of(stack, current))
        _say(self._problem, _problem_of(stack))

    def minimumSizeHint(self) -> QSize:
        """Return the least size, as high as the words are when they are wrapped into today's width."""
        least = super().minimumSizeHint()
        return QSize(least.width(), max(least.height(), self._column.minimumHeightForWidth(self.width())))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Ask for the room that the words need in another width."""
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_column"):
            self._rescale()
        super().changeEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint the card."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colors, unit = theme.colors(self.palette()), theme.unit()
        painter.setBrush(colors.surface)
        painter.setPen(QPen(colors.border, 1))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 1.5 * unit, 1.5 * unit)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._column.setContentsMargins(round(2 * unit), round(1.5 * unit), round(2 * unit), round(1.25 * unit))
        self._column.setSpacing(round(0.5 * unit))
        theme.mute(self._sharing)
        palette = self.palette()
        palette.setColor(QPalette.ColorRole.WindowText, theme.colors(palette).error)
        self._problem.setPalette(palette)
        for label in (self._sharing, self._problem):
            label.setFont(theme.font(0.9))
        self.field.fit()
        self.view.rescale()
        self._rows.arrange()


def _problem_of(stack: Stack) -> str:
    if stack.problem is None:
        return ""
    layer = stack.layers[stack.problem.index]
    return _translate("{number} {layer} does not fit: {reason}").format(
        number=stack.problem.index + 1, layer=layer_name(layer), reason=stack.problem.message
    )


def _wrapped_label(name: str, parent: QWidget) -> QLabel:
    label = QLabel(parent)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setAccessibleName(name)
    return label


def _say(label: QLabel, text: str) -> None:
    """Show a text; a label without one takes no room."""
    if text != label.text():
        label.setText(text)
    label.setVisible(bool(text))

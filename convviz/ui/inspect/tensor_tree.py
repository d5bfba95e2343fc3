"""The tensors of a file as a tree, or as a list while it is searched or sorted."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QSize,
    Qt,
    QTimer,
    Signal,
    Slot,
)
from PySide6.QtGui import QGuiApplication, QPalette, QPixmap, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFrame,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from convviz.core.layers import times
from convviz.core.numbers import format_number, grouped
from convviz.core.plain_text import visible
from convviz.core.statistics import Statistics
from convviz.ui import theme
from convviz.ui.inspect.session import TensorFacts
from convviz.ui.inspect.tensor_facts import faults, kind_name, shape_text
from convviz.ui.widgets.tooltips import name_tooltip

if TYPE_CHECKING:
    from convviz.nn.tensor_file import TensorInfo

AnyIndex = QModelIndex | QPersistentModelIndex
ScrollHint = QAbstractItemView.ScrollHint

NAME, SHAPE, KIND, DTYPE, COUNT, MINIMUM, MAXIMUM, MEAN, STD, ZEROS, NOT_FINITE = range(11)
FIRST_FACT: Final = MINIMUM
"""The columns from here on say what the numbers are; what is before is in the file's table of contents."""
LEAF_PARTS: Final = 2
"""How many dotted parts of a name stand in one row: a layer and its weight."""
MOST_EXPANDED: Final = 300
"""Tensors up to which every group is open at first."""
SORT_MS, SORT_REST = 400, 10
"""How often a sorted list makes room for facts that have become known: after so long, and so many times as long as it
takes."""
MOST_DEPTH: Final = 12
"""Groups inside one another; what has more dots goes on in one row."""
ROW_UNITS: Final = 3.25
LEAST_ROWS: Final = 4
NAME_UNITS: Final = 15
"""The least width of the names."""
MOST_TEXT_UNITS: Final = 24
"""The greatest width of a shape or a type; the whole of it is in the tooltip of the chosen tensor's facts."""
COLUMN_GAP: Final = 1.5
"""Between the texts of two columns, in units."""
ARROW_UNITS: Final = 4.5
"""Room for the arrow of the order beside a heading, which stands in the middle, on both sides."""
WIDEST_FACT: Final = "−8.888e−88"
"""The longest that ``format_number`` returns; "−8.88e−888" is as long."""

_SHAPE: Final = re.compile("x?[0-9]+(x[0-9]+)*x?")
"""A shape, or a part of one, as it is typed."""
_STATISTICS: Final[dict[int, Callable[[Statistics], float]]] = {
    MINIMUM: lambda each: each.minimum,
    MAXIMUM: lambda each: each.maximum,
    MEAN: lambda each: each.mean,
    STD: lambda each: each.std,
    ZEROS: lambda each: each.zeros,
    NOT_FINITE: lambda each: each.nans + each.infs,
}


@dataclass(eq=False)
class _Group:
    """A part of names, what is in it (tensors by their indices, further groups), and where it is itself."""

    label: str
    parent: _Group | None
    row: int = 0
    number: int = 0
    children: list[_Group | int] = field(default_factory=list)
    has_faults: bool = False


class TensorTreeModel(QAbstractItemModel):
    """A file's tensors in its order, grouped by the dots of their names; flat in an order of the user's choice.

    An index carries the tensor's index in the file; behind these come the groups' numbers.
    """

    def __init__(self, facts: Callable[[], Mapping[int, TensorFacts]], parent: QWidget | None = None) -> None:
        """Make an empty tree; ``facts`` returns what is known of tensors, by their indices."""
        super().__init__(parent)
        self._facts = facts
        self._infos: Sequence[TensorInfo] = ()
        self._texts: list[str] = []
        self._words: tuple[str, ...] = ()
        self._sort: tuple[int, Qt.SortOrder] | None = None
        self._root = _Group("", None)
        self._groups: list[_Group] = []
        self._place: dict[int, tuple[_Group, int]] = {}
        self._is_flat = False
        self._faulty: set[int] = set()
        self._sort_timer = QTimer(self)
        self._sort_timer.setSingleShot(True)
        self._sort_timer.setInterval(SORT_MS)
        self._sort_timer.timeout.connect(self._sort_again)
        self._headers = (
            self.tr("name"),
            self.tr("shape"),
            self.tr("kind"),
            self.tr("dtype"),
            self.tr("count"),
            self.tr("min"),
            self.tr("max"),
            self.tr("mean"),
            self.tr("std"),
            self.tr("zeros"),
            self.tr("NaN, inf"),
        )

    # ---- content

    def set_infos(self, infos: Sequence[TensorInfo]) -> None:
        """Show the tensors of another file."""
        self.beginResetModel()
        self._infos = infos
        self._texts = []
        self._words = ()
        self._faulty = set()
        self._build()
        self.endResetModel()

    def search(self, text: str) -> None:
        """Show only tensors whose name, shape and type contain every word."""
        words = tuple(word.replace("x", "×") if _SHAPE.fullmatch(word) else word for word in text.casefold().split())
        if words != self._words:
            if not self._texts:
                self._texts = [f"{info.name} {times(info.shape)} {info.dtype}".casefold() for info in self._infos]
            self.beginResetModel()
            self._words = words
            self._build()
            self.endResetModel()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """List all in the order of a column; column −1 brings back the file's order, in groups."""
        wanted = (column, order) if column >= 0 else None
        if wanted != self._sort:
            self.beginResetModel()
            self._sort = wanted
            self._build()
            self.endResetModel()

    def note_facts(self, indices: Iterable[int]) -> None:
        """Take in what has become known of tensors; views are painted anew, which costs less than a signal each."""
        for index in indices:
            self._mark(index)
        if self._sort is not None and self._sort[0] >= FIRST_FACT and not self._sort_timer.isActive():
            self._sort_timer.start()

    @property
    def num_shown(self) -> int:
        """How many tensors there are, or are found."""
        return len(self._place)

    @property
    def num_faulty(self) -> int:
        """How many tensors something is wrong with, as far as is known."""
        return len(self._faulty)

    @property
    def has_groups(self) -> bool:
        """Whether there are groups to be opened and closed."""
        return bool(self._groups)

    def index_of(self, tensor_index: int) -> QModelIndex:
        """Return where a tensor is shown; an invalid index where it is not."""
        if tensor_index not in self._place:
            return QModelIndex()
        return self.createIndex(self._place[tensor_index][1], 0, tensor_index)

    def tensor_at(self, index: AnyIndex) -> int | None:
        """Return the tensor of a row, None for a group."""
        return index.internalId() if index.isValid() and index.internalId() < len(self._infos) else None

    def _mark(self, index: int) -> None:
        """Remember that something is wrong with a tensor, and that it is inside its groups."""
        facts = self._facts().get(index)
        if facts is not None and faults(facts):
            self._faulty.add(index)
            group = self._place[index][0] if index in self._place else None
            while group is not None and not group.has_faults:
                group.has_faults = True
                group = group.parent

    def _build(self) -> None:
        self._sort_timer.stop()
        self._root, self._groups, self._place = _Group("", None), [], {}
        shown: Iterable[int] = range(len(self._infos))
        if self._words:
            shown = [index for index in shown if all(word in self._texts[index] for word in self._words)]
        self._is_flat = bool(self._words) or self._sort is not None
        if self._is_flat:
            self._root.children = list(self._sorted(list(shown)))
        else:
            self._group(shown)
        self._number(self._root)
        for index in self._faulty:
            self._mark(index)

    def _sorted(self, indices: list[int]) -> list[int]:
        if self._sort is None:
            return indices
        column, order = self._sort
        keys = {index: self._sort_key(index, column) for index in indices}
        known = sorted(
            (index for index in indices if keys[index] is not None),
            key=lambda index: keys[index],
            reverse=order == Qt.SortOrder.DescendingOrder,
        )
        return known + [index for index in indices if keys[index] is None]

    def _sort_key(self, index: int, column: int) -> Any:
        """Return what a tensor is sorted by; None where that is no number, or is not known."""
        info = self._infos[index]
        if column < FIRST_FACT:
            return (info.name.casefold(), info.shape, info.kind, info.dtype, info.count)[column]
        facts = self._facts().get(index)
        if facts is None or facts.statistics is None:
            return None
        value = _STATISTICS[column](facts.statistics)
        return None if math.isnan(value) else value

    def _group(self, indices: Iterable[int]) -> None:
        """Put tensors into a group for each dotted part of their names but the last two."""
        groups: dict[tuple[str, ...], _Group] = {(): self._root}
        for index in indices:
            path, _ = _split(self._infos[index].name)
            if path not in groups:
                for length in range(1, len(path) + 1):
                    part = path[:length]
                    if part not in groups:
                        outer = groups[part[:-1]]
                        groups[part] = _Group(part[-1], outer)
                        outer.children.append(groups[part])
            groups[path].children.append(index)
        for number, child in enumerate(self._root.children):
            self._root.children[number] = _merged(child)

    def _number(self, root: _Group) -> None:
        """Give every group its number, and every row its place."""
        pending = [root]
        while pending:
            group = pending.pop()
            for row, child in enumerate(group.children):
                if isinstance(child, _Group):
                    child.row, child.number, child.parent = row, len(self._infos) + len(self._groups), group
                    self._groups.append(child)
                    pending.append(child)
                else:
                    self._place[child] = group, row

    @Slot()
    def _sort_again(self) -> None:
        """Sort anew without losing what is chosen and where it is scrolled to."""
        started = time.monotonic()
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        self._build()
        after = [
            self.createIndex(self._place[each.internalId()][1], each.column(), each.internalId()) for each in before
        ]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()
        self._sort_timer.setInterval(max(SORT_MS, round(SORT_REST * 1000 * (time.monotonic() - started))))

    # ---- what views ask

    def _of(self, index: AnyIndex) -> _Group | int:
        """Return the group or tensor of an index; the root for an invalid one."""
        if not index.isValid():
            return self._root
        number = index.internalId()
        return number if number < len(self._infos) else self._groups[number - len(self._infos)]

    def _index_of(self, group: _Group) -> QModelIndex:
        return QModelIndex() if group is self._root else self.createIndex(group.row, 0, group.number)

    def index(self, row: int, column: int, parent: AnyIndex = QModelIndex()) -> QModelIndex:  # noqa: B008 - Qt's own
        """Return the index of a row in a group."""
        group = self._of(parent)
        if not isinstance(group, _Group) or not (0 <= row < len(group.children) and 0 <= column < len(self._headers)):
            return QModelIndex()
        child = group.children[row]
        return self.createIndex(row, column, child.number if isinstance(child, _Group) else child)

    def parent(self, index: AnyIndex) -> QModelIndex:  # type: ignore[override]  # QObject's has no argument
        """Return the group in which a row is."""
        if not index.isValid():
            return QModelIndex()
        item = self._of(index)
        group = item.parent if isinstance(item, _Group) else self._place[item][0]
        return QModelIndex() if group is None else self._index_of(group)

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's own
        """Return how many rows are in a group."""
        item = self._of(parent)
        return len(item.children) if isinstance(item, _Group) and parent.column() <= 0 else 0

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008 - Qt's own
        """Return how many columns there are."""
        return len(self._headers)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a column's name."""
        if orientation != Qt.Orientation.Horizontal:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return self._headers[section]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft if section == NAME else Qt.AlignmentFlag.AlignHCenter
        if role == Qt.ItemDataRole.ToolTipRole:
            return self.tr("Sort by this; the third click brings the file's order back.")
        return None

    def data(self, index: AnyIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what is shown of a row."""
        item, column = self._of(index), index.column()
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if isinstance(item, _Group):
            return self._group_data(item, column, role)
        info, facts = self._infos[item], self._facts().get(item)
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(info, facts, column)
            case Qt.ItemDataRole.ToolTipRole:
                wrong = [] if facts is None else faults(facts)
                return name_tooltip(info.name, *(f"⚠ {words}" for words in wrong))
            case Qt.ItemDataRole.DecorationRole if column == NAME and item in self._faulty:
                return _alert()
            case Qt.ItemDataRole.ForegroundRole if info.kind != "weight":
                return theme.colors(QApplication.palette()).muted
        return None

    def _group_data(self, group: _Group, column: int, role: int) -> Any:
        if column != NAME:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return visible(group.label)
            case Qt.ItemDataRole.ToolTipRole:
                wrong = [self.tr("⚠ Something is wrong with a tensor inside.")] if group.has_faults else []
                return name_tooltip(group.label, *wrong)
            case Qt.ItemDataRole.DecorationRole if group.has_faults:
                return _alert()
        return None

    def _text(self, info: TensorInfo, facts: TensorFacts | None, column: int) -> str:
        match column:
            case 0:
                return visible(info.name if self._is_flat else _split(info.name)[1]) or self.tr("(no name)")
            case 1:
                return shape_text(info.shape)
            case 2:
                return kind_name(info.kind)
            case 3:
                return visible(info.dtype)
            case 4:
                return grouped(info.count)
        if facts is None:
            return "…"
        found = facts.statistics
        if found is None:
            return "–"
        if column == NOT_FINITE:
            return grouped(found.nans + found.infs)
        value = _STATISTICS[column](found)
        return grouped(int(value)) if column == ZEROS else "–" if math.isnan(value) else format_number(value)


def _split(name: str) -> tuple[tuple[str, ...], str]:
    """Return the groups that a name lies in, and what of it stands in its row."""
    parts = name.split(".")
    groups = tuple(parts[:-LEAF_PARTS][:MOST_DEPTH])
    return groups, ".".join(parts[len(groups) :])


def _merged(item: _Group | int) -> _Group | int:
    """Return a group with each group that is alone in another joined to that."""
    if isinstance(item, _Group):
        while len(item.children) == 1 and isinstance(item.children[0], _Group):
            inner = item.children[0]
            item.label, item.children = f"{item.label}.{inner.label}", inner.children
        item.children = [_merged(child) for child in item.children]
    return item


def _longest_texts(infos: Sequence[TensorInfo]) -> dict[int, set[str]]:
    """Return what the columns behind the name hold at the longest, whatever becomes known of the tensors."""
    counts = {grouped(max((info.count for info in infos), default=0))}
    return {column: {WIDEST_FACT} for column in range(FIRST_FACT, NOT_FINITE)} | {
        SHAPE: {shape_text(shape) for shape in {info.shape for info in infos}},
        KIND: {kind_name(kind) for kind in {info.kind for info in infos}},
        DTYPE: {visible(dtype) for dtype in {info.dtype for info in infos}},
        COUNT: counts,
        ZEROS: counts,
        NOT_FINITE: counts,
    }


def _alignment(column: int) -> Qt.AlignmentFlag:
    sides = {
        NAME: Qt.AlignmentFlag.AlignLeft,
        KIND: Qt.AlignmentFlag.AlignHCenter,
        DTYPE: Qt.AlignmentFlag.AlignHCenter,
    }
    return sides.get(column, Qt.AlignmentFlag.AlignRight) | Qt.AlignmentFlag.AlignVCenter


def _alert() -> QPixmap:
    color = theme.colors(QApplication.palette()).error
    return theme.icon("alert", color, 2 * theme.unit(), QGuiApplication.primaryScreen().devicePixelRatio())


class _RowDelegate(QStyledItemDelegate):
    """Gives every row one height."""

    def sizeHint(self, option: QStyleOptionViewItem, index: AnyIndex) -> QSize:
        return QSize(round(4 * theme.unit()), round(ROW_UNITS * theme.unit()))


class TensorTree(QTreeView):
    """The tree. A click, or the arrow keys, choose a tensor."""

    tensor_chosen = Signal(int)
    rows_seen = Signal(object)
    """The tensors in view whose facts are not known, a list of their indices."""

    def __init__(self, facts: Callable[[], Mapping[int, TensorFacts]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._facts = facts
        self.tensors = TensorTreeModel(facts, self)
        self.setModel(self.tensors)
        self.setItemDelegate(_RowDelegate(self))
        self.setUniformRowHeights(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setAllColumnsShowFocus(True)
        self.setAccessibleName(self.tr("Tensors"))
        header = self.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        header.setSortIndicatorClearable(True)
        self.setSortingEnabled(True)
        self._seen_timer = QTimer(self)
        self._seen_timer.setSingleShot(True)
        self._seen_timer.setInterval(0)
        self._seen_timer.timeout.connect(self.report_rows)
        self.tensors.modelReset.connect(self._on_reset)
        self.verticalScrollBar().valueChanged.connect(self._seen_timer.start)
        self.expanded.connect(self._seen_timer.start)
        self.selectionModel().currentRowChanged.connect(self._on_current)
        self._shown: int | None = None
        self._longest: dict[int, set[str]] = {}
        self._text_widths: dict[int, float] = {}
        self.rescale()

    # ---- content

    def show_infos(self, infos: Sequence[TensorInfo]) -> None:
        """Show the tensors of another file."""
        self._shown = None
        self._longest = _longest_texts(infos)
        self.header().setSortIndicator(-1, Qt.SortOrder.AscendingOrder)
        self.tensors.set_infos(infos)
        self.rescale()

    def show_chosen(self, tensor_index: int | None) -> None:
        """Mark a tensor as the chosen one, and bring it into view."""
        self._shown = tensor_index
        index = QModelIndex() if tensor_index is None else self.tensors.index_of(tensor_index)
        if index.isValid() and index != self.currentIndex():
            self.selectionModel().setCurrentIndex(
                index, QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
            )
            self.scrollTo(index)

    def scrollTo(self, index: AnyIndex, hint: ScrollHint = ScrollHint.EnsureVisible) -> None:
        """Bring a row into view; the columns in view stay."""
        left = self.horizontalScrollBar().value()
        super().scrollTo(index, hint)
        self.horizontalScrollBar().setValue(left)

    def show_facts(self, indices: Iterable[int]) -> None:
        """Show what has become known of tensors."""
        self.tensors.note_facts(indices)
        self.viewport().update()

    @Slot()
    def _on_reset(self) -> None:
        self.setRootIsDecorated(self.tensors.has_groups)
        if self.tensors.has_groups and self.tensors.num_shown <= MOST_EXPANDED:
            self.expandAll()
        self.show_chosen(self._shown)
        self._seen_timer.start()

    @Slot(QModelIndex)
    def _on_current(self, current: QModelIndex) -> None:
        chosen = self.tensors.tensor_at(current)
        if chosen is not None and chosen != self._shown:
            self._shown = chosen
            self.tensor_chosen.emit(chosen)

    @Slot()
    def report_rows(self) -> None:
        """Say which rows are in view, so that what is looked at becomes known first."""
        index, bottom, rows = self.indexAt(self.viewport().rect().topLeft()), self.viewport().height(), []
        while index.isValid() and self.visualRect(index).top() < bottom:
            rows.append(self.tensors.tensor_at(index))
            index = self.indexBelow(index)
        facts = self._facts()
        self.rows_seen.emit([row for row in rows if row is not None and row not in facts])

    # ---- look

    def sizeHint(self) -> QSize:
        """Return a height of some rows; the tree takes what there is."""
        return QSize(round(30 * theme.unit()), self._height_of(2 * LEAST_ROWS))

    def minimumSizeHint(self) -> QSize:
        """Return the height of a few rows."""
        return QSize(round(24 * theme.unit()), self._height_of(LEAST_ROWS))

    def _height_of(self, rows: int) -> int:
        around = self.header().sizeHint().height() + self.horizontalScrollBar().sizeHint().height()
        return round(rows * ROW_UNITS * theme.unit()) + around

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the names the room that shapes leave, or all columns leave where they fit."""
        super().resizeEvent(event)
        self._fit_columns()
        self._seen_timer.start()

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.ApplicationFontChange, QEvent.Type.PaletteChange}:
            self.rescale()

    def rescale(self) -> None:
        """Follow font and palette; the chosen row is tinted."""
        unit, application = theme.unit(), QApplication.palette()
        palette = QPalette()  # with nothing set but what is set here: all other colours go on following the application
        palette.setColor(QPalette.ColorRole.Highlight, theme.colors(application).border)
        palette.setColor(QPalette.ColorRole.HighlightedText, application.color(QPalette.ColorRole.Text))
        if palette.color(QPalette.ColorRole.Highlight) != self.palette().color(QPalette.ColorRole.Highlight):
            self.setPalette(palette)
        self.setFont(theme.font())
        self.header().setFont(theme.font(0.9))
        self.setIndentation(round(2 * unit))
        self.setIconSize(QSize(round(2 * unit), round(2 * unit)))
        self._text_widths = {
            column: max((theme.text_width(theme.font(), text) for text in texts), default=0.0)
            for column, texts in self._longest.items()
        }
        self._fit_columns()

    def _width_of(self, column: int) -> int:
        """Return the width that a column's texts take, and its heading with the arrow beside it."""
        unit, heading = theme.unit(), self.tensors.headerData(column, Qt.Orientation.Horizontal)
        texts = self._text_widths.get(column, 0.0)
        if column in {SHAPE, DTYPE}:
            texts = min(texts, MOST_TEXT_UNITS * unit)
        with_arrow = theme.text_width(theme.font(0.9), heading) + ARROW_UNITS * unit
        return round(max(texts + COLUMN_GAP * unit, with_arrow))

    def _fit_columns(self) -> None:
        unit = theme.unit()
        others = {column: self._width_of(column) for column in range(1, self.tensors.columnCount())}
        for column, width in others.items():
            self.setColumnWidth(column, width)
        room = self.viewport().width()
        name = max(room - sum(others.values()), min(room - others[SHAPE], round(2 * NAME_UNITS * unit)))
        self.setColumnWidth(NAME, max(round(NAME_UNITS * unit), name))

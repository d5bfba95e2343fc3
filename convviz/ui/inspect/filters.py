"""The filters of a layer as a grid: in colour or channel by channel, sorted, beside those of another file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication, QPoint, QSize, Qt, Signal, Slot
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QMenu, QVBoxLayout, QWidget
from safetensors.numpy import save as safetensors_of

from convviz.core import display
from convviz.core.filters import Order, filter_maps, filter_order, filters_csv
from convviz.core.numbers import format_number
from convviz.core.plain_text import visible
from convviz.ui import theme
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.card import Card, Hint
from convviz.ui.widgets.color_bar import ColorBar
from convviz.ui.widgets.elided_label import ElidedLabel
from convviz.ui.widgets.enlarged import EnlargedView
from convviz.ui.widgets.grid_content import GridContent
from convviz.ui.widgets.mosaic import Mosaic
from convviz.ui.widgets.page_stack import PageStack
from convviz.ui.widgets.saving import Saver, png_of, svg_of
from convviz.ui.widgets.scope import EACH, FIXED, LAYER, ColourScope, own_levels
from convviz.ui.widgets.tool_row import Stepper, ToolRow

if TYPE_CHECKING:
    from convviz.core.statistics import FilterFacts

Floats = NDArray[np.floating]

MOST_MAPS: Final = 4096
"""So many maps are shown at most: of layers with more, one input channel at a time, and the first filters."""
MOST_PICTURE_SIDE: Final = 16_000
"""px of a picture that is saved."""
COLOURS: Final = 3
FILTERS: Final = "filters"
"""What the colour scope remembers levels for."""


@dataclass(frozen=True, eq=False)
class Filters:
    """The filters of a layer.

    Attributes:
        name: of the layer's weights.
        shape: of the weights, as they are in the file.
        weight: (O, I, kh, kw).
        facts: norms, variances and what is wrong.
        other: the same weights in the file that this one is compared with, if there is one.
        file_names: what tells the two files apart.
    """

    name: str
    shape: tuple[int, ...]
    weight: Floats
    facts: FilterFacts
    other: Floats | None = None
    file_names: tuple[str, str] = ("", "")


class FiltersPanel(Card):
    """Shows `Filters`. A click on one, or Return, enlarges it with its numbers; Escape shows all again."""

    filter_chosen = Signal(int)
    compare_wanted = Signal()
    compare_ended = Signal()
    enlarged_changed = Signal()
    """A filter is enlarged, or all are shown again."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._filters: Filters | None = None
        self._order: Order = "index"
        self._indices: NDArray[np.intp] = np.zeros(0, np.intp)
        self._scope = ColourScope()
        self._in_colour = True
        self._levels: tuple[float | None, ...] = ()
        """Of the filters, those of the other file, and the difference; None where each has its own."""
        self._enlarged: tuple[int, int | None] | None = None  # a filter, and one of its channels or all of them
        self._make_tools()
        self._make_views()
        self._connect()
        self.clear()

    def _make_tools(self) -> None:
        self._heading = ElidedLabel(bold=True)
        self._note = ElidedLabel(muted=True)
        self._orders = Choices(
            (
                ("index", self.tr("Index"), self.tr("The filters in their own order.")),
                ("norm", self.tr("Norm"), self.tr("The filter with the largest norm ‖w‖ first.")),
                ("variance", self.tr("Variance"), self.tr("The filter with the largest variance first.")),
            )
        )
        self._orders.choose(self._order)
        self._orders.setAccessibleName(self.tr("Order of the filters"))
        self._kinds = Choices(
            (
                ("colour", self.tr("Colour"), self.tr("Filters as pictures: red, green and blue together.")),
                ("channels", self.tr("Channels"), self.tr("Filters as signed numbers, a map for each channel.")),
            )
        )
        self._kinds.choose("colour")
        self._kinds.setAccessibleName(self.tr("Filters"))
        self._channel = Stepper(
            self.tr("Input channel"), self.tr("Which input channel of every filter is shown."), first=0
        )
        self._scopes = Choices(
            (
                (EACH, self.tr("Filter"), self.tr("Each map has colours up to its own largest number.")),
                (LAYER, self.tr("Layer"), self.tr("All filters share the colours of the largest number.")),
                (FIXED, self.tr("Fixed"), self.tr("The colours stay as they are, to compare layers.")),
            )
        )
        self._scopes.choose(self._scope.kind)
        self._scopes.setAccessibleName(self.tr("Colour scope"))
        self.bar = ColorBar(self.tr("Filters"))
        self._compare = FlatButton(text=self.tr("Compare with…"))
        self._compare.setToolTip(self.tr("Show these filters beside those of another file, and the difference."))
        self._compare.setAccessibleName(self.tr("Compare with another file"))
        self._alone = FlatButton("close", self.tr("End comparison"))
        self._alone.setToolTip(self.tr("Show the filters of this file alone."))
        self._alone.setAccessibleName(self.tr("End the comparison"))
        self._more = FlatButton("more")
        self._more.setToolTip(self.tr("Save these filters as a picture, a table or a file of tensors."))
        self._more.setAccessibleName(self.tr("Save the filters"))
        self.saver = Saver(self)
        self.saver.said.connect(self._note.set_text)
        self._menu = QMenu(self)
        save: Sequence[tuple[str, str, str, Callable[[Path], None]]] = (
            (self.tr("Save as PNG…"), ".png", self.tr("PNG pictures ({patterns})"), self.save_png),
            (self.tr("Save as SVG…"), ".svg", self.tr("SVG drawings ({patterns})"), self.save_svg),
            (self.tr("Save as CSV…"), ".csv", self.tr("Tables ({patterns})"), self.save_csv),
            (self.tr("Save as safetensors…"), ".safetensors", self.tr("Tensors ({patterns})"), self.save_tensors),
        )
        for text, suffix, kinds, write in save:
            self._menu.addAction(text).triggered.connect(partial(self._ask_where, suffix, kinds, write))
        self._tools = ToolRow(
            self._orders,
            self._kinds,
            self._channel,
            self._scopes,
            self.bar,
            self._compare,
            self._alone,
            self._more,
        )

    def _make_views(self) -> None:
        self.mosaics = tuple(Mosaic(wrapped=True, fits=True) for _ in range(3))
        names = (self.tr("This file"), self.tr("The other file"), self.tr("Second − first"))
        self._titles = tuple(ElidedLabel() for _ in names)
        self._titles[2].set_text(names[2])
        self.difference_bar = ColorBar(self.tr("Difference"))
        self._sides: list[QWidget] = []
        for mosaic, title, name in zip(self.mosaics, self._titles, names, strict=True):
            mosaic.setAccessibleName(self.tr("Filters: {name}").format(name=name))
            mosaic.setToolTip(
                self.tr("A click or Return enlarges one with its numbers; Ctrl with the wheel changes the size.")
            )
            side = QWidget()
            column = QVBoxLayout(side)
            column.setContentsMargins(0, 0, 0, 0)
            row = QHBoxLayout()
            row.addWidget(title, 1)
            if mosaic is self.mosaics[2]:
                row.addWidget(self.difference_bar)
            column.addLayout(row)
            column.addWidget(mosaic, 1)
            self._sides.append(side)
        grid = QWidget()
        sides = QHBoxLayout(grid)
        sides.setContentsMargins(0, 0, 0, 0)
        for side in self._sides:
            sides.addWidget(side, 1)
        self.enlarged = EnlargedView()
        self._pages = PageStack()
        self._pages.add(grid)
        self._pages.add(self.enlarged)
        self._all = grid
        self._hint = Hint("")
        head = QWidget()
        row = QHBoxLayout(head)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._heading, 2)
        row.addWidget(self._note, 1)
        self._head = head
        self.add(head)
        self.add(self._tools)
        self.add(self._hint, 1)
        self.add(self._pages, 1)

    def _connect(self) -> None:
        self._orders.chosen.connect(self._on_order)
        self._kinds.chosen.connect(self._on_kind)
        self._channel.chosen.connect(self._show)
        self._scopes.chosen.connect(self._on_scope)
        self._compare.clicked.connect(self.compare_wanted)
        self._alone.clicked.connect(self.compare_ended)
        self._more.clicked.connect(self._open_menu)
        self.enlarged.closed.connect(self.show_all)
        for mosaic in self.mosaics:
            mosaic.activated.connect(self._enlarge)
            for other in self.mosaics:
                if other is not mosaic:
                    mosaic.verticalScrollBar().valueChanged.connect(other.verticalScrollBar().setValue)
                    mosaic.chosen.connect(other.set_chosen)

    # ---- content

    def show_filters(self, filters: Filters) -> None:
        """Show the filters of a layer."""
        before, self._filters = self._filters, filters
        if before is None or (before.name, before.shape) != (filters.name, filters.shape):
            self._enlarged = None
            self._channel.show_number(0)
        for title, name in zip(self._titles, filters.file_names, strict=False):
            title.set_text(name)
        self._channel.set_count(filters.weight.shape[1], named=True)
        self._note.set_text("")
        self._hint.hide()
        for part in (self._head, self._tools, self._pages):
            part.show()
        self._show()

    def clear(self, why: str = "") -> None:
        """Show no filters, and say why there are none."""
        self._filters = self._enlarged = None
        for part in (self._head, self._tools, self._pages):
            part.hide()
        self._hint.setText(why)
        self._hint.show()
        self.enlarged_changed.emit()

    @property
    def shown_filters(self) -> list[int]:
        """The indices of the filters in the order in which they are shown."""
        shown: list[int] = self._indices.tolist()
        return shown

    @Slot()
    def _show(self) -> None:
        filters = self._filters
        if filters is None:
            return
        facts = filters.facts
        self._heading.set_text(
            (
                self.tr("Filters — {name}, {count} of {shape}")
                if len(filters.weight) <= MOST_MAPS
                else self.tr("Filters — {name}, {count} of {shape}, the first {shown} of this order")
            ).format(
                name=visible(filters.name),
                count=len(filters.weight),
                shape="×".join(map(str, filters.shape[1:])),
                shown=MOST_MAPS,
            )
        )
        self._indices = filter_order(self._order, facts.norms, facts.variances)[:MOST_MAPS]
        self._tools.set_tool_visible(self._kinds, self._has_colours and filters.other is None)
        self._tools.set_tool_visible(self._channel, self._shows_one_channel)
        self._tools.set_tool_visible(self._alone, filters.other is not None)
        self._tools.set_tool_visible(self._compare, filters.other is None)
        sides = self._compared(filters)
        level = self._scope.level(FILTERS, np.stack([_ends(values) for _, values in sides[:2]]))
        self.bar.show_scale(level, signed=True, grey=self._as_colours)
        self._levels = (level,) * 2
        if filters.other is not None:
            difference = None if self._scope.kind == EACH else display.signed_levels(sides[2][1])
            self.difference_bar.show_scale(difference, signed=True)
            self._levels = level, level, difference
        for (_, values), mosaic, level in zip(sides, self.mosaics, self._levels, strict=False):
            self._fill(mosaic, values, level, noted=filters.other is None)
        for k, side in enumerate(self._sides):
            side.setVisible(k == 0 or filters.other is not None)
            self._titles[k].setVisible(filters.other is not None)
            self._titles[k].setMinimumHeight(self.difference_bar.sizeHint().height())
        self._show_page()

    @property
    def _has_colours(self) -> bool:
        return self._filters is not None and self._filters.weight.shape[1] == COLOURS and not self._is_pointwise

    @property
    def _as_colours(self) -> bool:
        return self._in_colour and self._has_colours and self._filters is not None and self._filters.other is None

    @property
    def _is_pointwise(self) -> bool:
        return self._filters is not None and self._filters.weight.shape[2:] == (1, 1)

    @property
    def _shows_one_channel(self) -> bool:
        if self._filters is None or self._is_pointwise:
            return False
        count, channels = self._filters.weight.shape[:2]
        return bool(count * channels > MOST_MAPS and channels > 1)

    def _seen(self, weight: Floats) -> Floats:
        """Return the filters in their order, with the channels that are shown."""
        ordered: Floats = weight[self._indices]
        if self._shows_one_channel:
            ordered = ordered[:, self._channel.number : self._channel.number + 1]
        return ordered

    def _fill(self, mosaic: Mosaic, weight: Floats, level: float | None, noted: bool) -> None:
        seen = self._seen(weight)
        if self._as_colours:
            levels = own_levels(seen.reshape(len(seen), 1, -1))[..., None] if level is None else level
            mosaic.set_pictures(display.as_pictures(seen, levels), self._names(1, noted))
            return
        maps, shown = filter_maps(seen)
        scaled, level_shown = (maps / own_levels(maps), 1.0) if level is None else (maps, level)
        group = len(maps) // len(seen)
        mosaic.set_maps(scaled, level_shown, signed=True, shown=shown, names=self._names(group, noted), group=group)

    def _names(self, group: int, noted: bool) -> list[str]:
        """Return what stands below each of the maps shown: filter and channel, and its norm or what is wrong."""
        assert self._filters is not None
        facts, wrong = self._filters.facts, _words_of_faults(self._filters.facts)
        names = []
        for index in self.shown_filters:
            note = wrong.get(index) or f"‖w‖ {format_number(float(facts.norms[index]), 3)}"
            for k, channel in enumerate(display.names_of_channels(group)):
                name = str(index) if group == 1 else f"{index} {channel}" if group == COLOURS else f"{index}, {channel}"
                names.append(f"{name}\n{note if k == 0 else ''}" if noted else name)
        return names

    # ---- one of them enlarged

    @Slot(int)
    def _enlarge(self, place: int) -> None:
        group = self.mosaics[0].num_maps // len(self._indices)
        chosen = int(self._indices[place // group])
        if self._shows_one_channel:
            self._enlarged = chosen, self._channel.number
        else:
            self._enlarged = chosen, None if self._as_colours or self._is_pointwise else place % group
        self._show_page()
        self.enlarged.open()
        self.filter_chosen.emit(chosen)

    @Slot()
    def show_all(self) -> None:
        """Show all filters again, in place of the enlarged one."""
        if self._enlarged is not None:
            self._enlarged = None
            self._show_page()
            self.mosaics[0].setFocus(Qt.FocusReason.OtherFocusReason)

    @property
    def is_enlarged(self) -> bool:
        """Whether one filter is shown in place of all."""
        return self._enlarged is not None

    def _show_page(self) -> None:
        self._tools.setVisible(self._enlarged is None)  # the numbers need the room
        self.enlarged_changed.emit()
        if self._enlarged is None or self._filters is None:
            self._pages.show_page(self._all)
            return
        self._show_enlarged(self._filters, *self._enlarged)
        self._pages.show_page(self.enlarged)

    def _show_enlarged(self, filters: Filters, index: int, channel: int | None) -> None:
        """Show the numbers of a filter's channel; of all its channels (None) where those are colours or of one cell."""
        title = self.tr(
            "Filter {filter} of {name}" if channel is None else "Filter {filter} of {name}, channel {channel}"
        )
        channels = display.names_of_channels(filters.weight.shape[1])
        words = title.format(
            filter=index, name=visible(filters.name), channel="" if channel is None else channels[channel]
        )
        levels, shown = self._levels, None
        if self._as_colours:
            named = list(zip(channels, filters.weight[index], strict=True))
            levels = self._levels[:1] * len(named)
        else:
            named = []
            for label, weight in self._compared(filters):
                maps, shown = filter_maps(weight[index : index + 1])
                named.append((label, maps[channel or 0]))
        grids = [
            (
                label,
                GridContent(one, level or display.signed_levels(one), row_step=1 if shown is None else one.shape[1]),
            )
            for (label, one), level in zip(named, levels, strict=False)
        ]
        self.enlarged.show_grids(words, grids, shown)

    def _compared(self, filters: Filters) -> list[tuple[str, Floats]]:
        """Return what is shown beside each other, each with its title."""
        if filters.other is None:
            return [("", filters.weight)]
        sides = filters.weight, filters.other, filters.other - filters.weight
        return [(title.text, weight) for title, weight in zip(self._titles, sides, strict=True)]

    # ---- files

    @Slot()
    def _open_menu(self) -> None:
        self._menu.popup(self._more.mapToGlobal(QPoint(0, self._more.height())))

    def _ask_where(self, suffix: str, kinds: str, save: Callable[[Path], None]) -> None:
        path = self.saver.ask_where(self.tr("Save the filters"), self.tr("filters"), suffix, kinds)
        if path is not None:
            save(path)

    def save_png(self, path: Path) -> None:
        """Save the filters as they are shown, all of them."""
        if self._has_room():
            self.saver.write(path, png_of(self.mosaics[0].drawing_size, self.mosaics[0].draw))

    def save_svg(self, path: Path) -> None:
        """Save the filters as they are shown, all of them, as a drawing."""
        if self._has_room():
            mosaic = self.mosaics[0]
            self.saver.write(path, svg_of(mosaic.drawing_size, mosaic.draw, self._heading.text, self.logicalDpiX()))

    def _has_room(self) -> bool:
        """Whether the filters are no larger than a picture may be; say so if they are."""
        size = self.mosaics[0].drawing_size
        if max(size.width(), size.height()) <= MOST_PICTURE_SIDE:
            return True
        self.saver.rejected.emit(
            self.tr(
                "The picture would be {width} × {height}; up to {most} × {most} are saved. Make the filters smaller "
                "(Ctrl with the wheel), or save them as a table."
            ).format(width=size.width(), height=size.height(), most=MOST_PICTURE_SIDE)
        )
        return False

    def save_csv(self, path: Path) -> None:
        """Save the numbers: a row each with filter, channel, row, column and value."""
        if self._filters is not None:
            self.saver.write_later(path, partial(filters_csv, self._filters.weight))

    def save_tensors(self, path: Path) -> None:
        """Save the weights under their name, in their shape."""
        if self._filters is not None:
            name, weight = self._filters.name, self._filters.weight.reshape(self._filters.shape)
            self.saver.write_later(path, lambda: safetensors_of({name: np.ascontiguousarray(weight)}))

    # ---- choices

    @Slot(str)
    def _on_order(self, order: str) -> None:
        self._order = cast(Order, order)
        self._enlarged = None
        self._show()

    @Slot(str)
    def _on_kind(self, kind: str) -> None:
        self._in_colour = kind == "colour"
        self._enlarged = None
        self._show()

    @Slot(str)
    def _on_scope(self, kind: str) -> None:
        self._scope.choose(kind)
        self._show()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Show all filters again with Escape."""
        if event.key() == Qt.Key.Key_Escape and self._enlarged is not None:
            self.show_all()
        else:
            super().keyPressEvent(event)

    def minimumSizeHint(self) -> QSize:
        """Return a size in which one filter can be seen; what has no room is scrolled to."""
        unit = theme.unit()
        return QSize(round(44 * unit), self._tools.minimumSizeHint().height() + round(18 * unit))


def _ends(values: Floats) -> Floats:
    """Return the finite numbers that a colour level follows from: the smallest and the largest."""
    finite = values[np.isfinite(values)]
    return np.array([finite.min(initial=0.0), finite.max(initial=0.0)])


def _words_of_faults(facts: FilterFacts) -> dict[int, str]:
    """Return what is wrong with each filter with which something is."""
    tr = partial(QCoreApplication.translate, "FiltersPanel")
    words = {copy: tr("⚠ same as {filter}").format(filter=first) for first, copy in facts.duplicates}
    words |= dict.fromkeys(facts.dead, tr("⚠ dead: all 0"))
    return words | dict.fromkeys(facts.broken, tr("⚠ NaN or inf"))

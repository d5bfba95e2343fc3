"""What a number grid shows and where: frozen data, and the geometry that follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRect, QRectF

Cell = tuple[int, int]


class Role(Enum):
    """What a mark on the grid stands for."""

    WINDOW = "window"
    PINNED = "pinned"
    RECEPTIVE_FIELD = "receptive field"
    READER = "reader"


@dataclass(frozen=True)
class Mark:
    """Cells that belong together: the rows × columns of a window (with gaps where it is dilated), or one cell.

    Rows and columns ascend.
    """

    rows: tuple[int, ...]
    cols: tuple[int, ...]
    role: Role
    captions: tuple[tuple[str, ...], ...] = ()  # small text in each cell, by tap
    tinted: bool = True  # whether a receptive field tints its cells

    @property
    def has_gaps(self) -> bool:
        """Whether the taps leave cells out (dilation)."""
        return any(axis[-1] - axis[0] >= len(axis) for axis in (self.rows, self.cols))


@dataclass(frozen=True, eq=False)
class GridContent:
    """What a grid shows. Arrays must not be written again after they were handed over."""

    values: NDArray[np.floating]  # (H, W), padding included
    level: float = 1.0  # |value| of the strongest colour
    signed: bool = True  # whether the colour bar reaches below zero
    grey: bool = False  # brightness from black to white in place of the signed colours
    size: Cell | None = None  # rows and columns of real cells; None: all of them
    origin: Cell = (0, 0)  # index of the first row and column shown; negative where there is padding
    unread_rows: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    unread_cols: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    picture: NDArray[np.uint8] | None = None  # (H, W, 3): shown in place of the colour map
    row_step: int = 1  # what a row counts for in the row numbers: the columns, where a vector is wrapped into rows

    @property
    def real_size(self) -> Cell:
        """Rows and columns of real cells."""
        return self.size or (int(self.values.shape[0]), int(self.values.shape[1]))

    def is_real(self, row: int, col: int) -> bool:
        """Whether a cell is not padding."""
        height, width = self.real_size
        return 0 <= row < height and 0 <= col < width

    def looks_like(self, other: GridContent) -> bool:
        """Whether the other content differs in the values at most, so that cells can be painted one by one."""
        return (
            self.values.shape == other.values.shape
            and (self.level, self.signed, self.grey) == (other.level, other.signed, other.grey)
            and (self.real_size, self.origin, self.row_step) == (other.real_size, other.origin, other.row_step)
            and np.array_equal(self.unread_rows, other.unread_rows)
            and np.array_equal(self.unread_cols, other.unread_cols)
            and self.picture is None
            and other.picture is None
        )

    def is_unread(self, row: int, col: int) -> bool:
        """Whether a real cell is read by no window."""
        return (row < self.unread_rows.size and bool(self.unread_rows[row])) or (
            col < self.unread_cols.size and bool(self.unread_cols[col])
        )


@dataclass(frozen=True)
class GridGeometry:
    """Where the cells of an array lie on a widget: the first cell's corner, the side of a cell, the part in view."""

    shape: Cell
    origin: Cell  # index of the first row and column
    viewport: QRectF
    corner: QPointF
    cell: float  # px
    overhang: float = 0.0  # px around the cells that a mark on what lies outside may reach into

    @cached_property
    def all_cells(self) -> QRectF:
        """The place of the whole array."""
        return self.array_rect(QRect(0, 0, self.shape[1], self.shape[0]))

    @cached_property
    def mark_area(self) -> QRectF:
        """Where marks are painted: the viewport and, at the array's own edges, the overhang."""
        area, frame = self.viewport, 3.0
        cells, wide = self.all_cells.adjusted(1, 1, -1, -1), max(frame, self.overhang)  # corners are rounded
        return area.adjusted(
            -wide if cells.left() >= area.left() else -frame,
            -wide if cells.top() >= area.top() else -frame,
            wide if cells.right() <= area.right() else frame,
            wide if cells.bottom() <= area.bottom() else frame,
        )

    def array_rect(self, cells: QRect) -> QRectF:
        """Return the place of some cells, counted from the first one of the array (x: columns, y: rows)."""
        s = self.cell
        return QRectF(
            self.corner.x() + cells.x() * s, self.corner.y() + cells.y() * s, cells.width() * s, cells.height() * s
        )

    def cell_rect(self, row: int, col: int) -> QRectF:
        """Return the place of one cell, given by its indices."""
        return self.array_rect(QRect(col - self.origin[1], row - self.origin[0], 1, 1))

    def box(self, rows: tuple[int, ...], cols: tuple[int, ...]) -> QRectF:
        """Return the box around the first and the last of some rows and columns."""
        return self.cell_rect(rows[0], cols[0]).united(self.cell_rect(rows[-1], cols[-1]))

    def cell_at(self, point: QPointF) -> Cell | None:
        """Return the indices of the cell at a point, if one is in view there."""
        row = int((point.y() - self.corner.y()) // self.cell)
        col = int((point.x() - self.corner.x()) // self.cell)
        if not self.viewport.contains(point) or not (0 <= row < self.shape[0] and 0 <= col < self.shape[1]):
            return None
        return row + self.origin[0], col + self.origin[1]

    def visible_cells(self) -> QRect:
        """Return the cells in view, counted from the first one of the array."""
        area, s = self.viewport, self.cell
        left = max(0, int((area.left() - self.corner.x()) // s))
        top = max(0, int((area.top() - self.corner.y()) // s))
        right = min(self.shape[1], int((area.right() - self.corner.x()) // s) + 1)
        bottom = min(self.shape[0], int((area.bottom() - self.corner.y()) // s) + 1)
        return QRect(left, top, max(0, right - left), max(0, bottom - top))

    def moved(self, corner: QPointF, cell: float) -> GridGeometry:
        """Return the geometry with other cells, kept so that they fill the viewport where they can."""
        area = self.viewport
        width, height = self.shape[1] * cell, self.shape[0] * cell
        x = area.left() if width <= area.width() else min(area.left(), max(corner.x(), area.right() - width))
        y = area.top() if height <= area.height() else min(area.top(), max(corner.y(), area.bottom() - height))
        return replace(self, corner=QPointF(round(x), round(y)), cell=cell)

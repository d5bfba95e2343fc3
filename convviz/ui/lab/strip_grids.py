"""Dot products as grids: window ⊙ kernel = products, one of them or one a channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, QSizeF

from convviz.core import display
from convviz.core.explain import ConvExplanation
from convviz.ui.lab.strip_painter import SIGN_UNITS, StripPainter, Tile
from convviz.ui.widgets.kept_picture import KeptPicture

OTHER_SIGN_UNITS, SUM_UNITS = 2.0, 10.0
"""Widths of a sign between the smaller grids of other channels, and of a channel's partial sum."""
OTHERS_SHARE = 0.6
"""How large the cells of other channels are beside the chosen one's."""
TEXT_SHARE = 0.24
"""Share of the width that the text needs."""


@dataclass(frozen=True, eq=False)
class Levels:
    """|value| of the strongest colour: of the input, which may be brightness, and of the kernel."""

    input: float
    kernel: float
    grey: bool = False


@dataclass(frozen=True, eq=False)
class DotProduct:
    """One grid each of numbers read, weights and products (H, W), the last ``blanks`` cells none.

    ``level`` is the |product| of the strongest colour.
    """

    values: NDArray[np.floating]
    weights: NDArray[np.floating]
    products: NDArray[np.floating]
    level: float
    is_padding: NDArray[np.bool_] | None = None
    blanks: int = 0


def dot_product_of_channel(explanation: ConvExplanation, channel: int, level: float) -> DotProduct:
    """Return one of the channels that a cell reads; ``level`` is that of its products."""
    values, weights, products = (
        array[channel] for array in (explanation.values, explanation.weights, explanation.products)
    )
    return DotProduct(values, weights, products, level, explanation.is_padding)


def dot_product_over_channels(explanation: ConvExplanation) -> DotProduct:
    """Return a window of one cell in many channels, a cell a channel."""
    count = len(explanation.values)
    rows, cols = display.wrapped_shape(count)
    blanks = rows * cols - count
    values, weights, products = (
        np.pad(array.ravel(), (0, blanks)).reshape(rows, cols)
        for array in (explanation.values, explanation.weights, explanation.products)
    )
    is_padding = np.full((rows, cols), True) if explanation.is_padding.all() else None
    return DotProduct(values, weights, products, display.signed_levels(products), is_padding, blanks)


@dataclass(frozen=True)
class ChannelRows:
    """Where the dot products of few channels go, in px.

    Attributes:
        cell, other_cell: sizes of the cells of the chosen channel and of the others.
        left, top: the first one of the others, seen from the chosen one.
        pitch: from each of the others down to the next.
        right: where the text beside them may begin.

    """

    cell: float
    other_cell: float
    left: float
    top: float
    pitch: float
    right: float


def channel_rows(
    pen: StripPainter, size: QSizeF, shape: tuple[int, ...], others: int, name: float
) -> ChannelRows | None:
    """Place the other channels beside the chosen one or below it, wherever they become larger.

    ``size`` is the room for grids and text, ``shape`` the kernel's (kh, kw), ``name`` the width of a channel's name in
    px. None where the others have no room, or would take too much from the chosen one.
    """
    (rows, cols), width, height, unit = shape, size.width(), size.height(), pen.unit
    gap, text = 0.5 * unit, name + SUM_UNITS * unit
    signs, other_signs = (
        sum(pen.sign_width(sign, units) for sign in ("⊙", "=")) for units in (SIGN_UNITS, OTHER_SIGN_UNITS)
    )
    most = min(5 * unit, (height - gap) / rows)

    room = (1 - TEXT_SHARE) * width - 2 * text - signs - other_signs
    cell = min(most, room / (3 * cols * (1 + OTHERS_SHARE)))
    other_cell = min(OTHERS_SHARE * cell, (height / others - gap) / rows)
    left = text + signs + 3 * cols * cell
    right = left + text + other_signs + 3 * cols * other_cell
    beside = ChannelRows(cell, other_cell, left, 0, other_cell * rows + gap, right)

    cell = min(most, 0.5 * height / rows, (0.6 * width - text - signs) / (3 * cols))
    other_cell = min(cell, ((height - cell * rows - unit) / others - gap) / rows)
    right = text + signs + 3 * cols * cell
    below = ChannelRows(cell, other_cell, 0, cell * rows + unit, other_cell * rows + gap, right)

    chosen = max(beside, below, key=lambda layout: layout.cell + layout.other_cell)
    alone = min(most, (0.5 * width - 1.5 * signs) / (3 * cols))
    return chosen if chosen.other_cell >= unit and chosen.cell >= 0.75 * alone else None


def grid_cell(pen: StripPainter, body: QRectF, shape: tuple[int, ...], grids: int, share: float) -> float:
    """Return the size of a cell in px where ``grids`` grids with a sign each get a ``share`` of the width."""
    rows, cols = shape
    room = (share * body.width() - grids * SIGN_UNITS * pen.unit) / (grids * cols)
    return max(0.1, min(5 * pen.unit, (body.height() - 0.5 * pen.unit) / rows, room))


def paint_dot_product(
    pen: StripPainter,
    corner: QPointF,
    cell: float,
    product: DotProduct,
    levels: Levels,
    kept: KeptPicture,
    sign_units: float = SIGN_UNITS,
    name: str = "",
    name_width: float = 0.0,
) -> float:
    """Paint window ⊙ kernel = products, after a ``name`` if there is one, and return where the grids end.

    The name, the signs, the kernel and all lines stay the same at most steps and are ``kept`` as a picture.
    """
    (rows, cols), padding, blanks = product.values.shape, product.is_padding, product.blanks
    window = Tile(product.values, levels.input, levels.grey, padding, blanks)
    kernel = Tile(product.weights, levels.kernel, blanks=blanks)
    products = Tile(product.products, product.level, is_padding=padding, blanks=blanks)
    width, height = cols * cell, rows * cell
    signs = [(sign, pen.sign_width(sign, sign_units)) for sign in ("⊙", "=")]
    first = QPointF(name_width, 0)
    second = first + QPointF(width + signs[0][1], 0)
    third = second + QPointF(width + signs[1][1], 0)

    def paint_frame(inner: StripPainter) -> None:
        margin = QPointF(1, 1)
        if name:
            inner.write(QRectF(1, 1, name_width, height), name, inner.font(bold=True), inner.ink)
        inner.lines(margin + first, cell, window)
        inner.sign(1 + first.x() + width, 1, height, "⊙", sign_units)
        inner.tile(margin + second, cell, kernel)
        inner.sign(1 + second.x() + width, 1, height, "=", sign_units)
        inner.lines(margin + third, cell, products)

    origin = QPointF(corner.toPoint())  # whole, so that the picture fits what is painted below and above it
    pen.cells(origin + first, cell, window)
    pen.cells(origin + third, cell, products)
    key = (kernel.values.tobytes(), (rows, cols), levels.kernel, cell, sign_units, name, name_width)
    frame = QRectF(origin.x() - 1, origin.y() - 1, third.x() + width + 2, height + 2)
    pen.kept(kept, key, frame, paint_frame)
    pen.digits(origin + first, cell, window)
    pen.digits(origin + third, cell, products)
    return float(origin.x() + third.x() + width)

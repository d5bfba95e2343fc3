"""Drawings beside the numbers of the strip: partial sums as colours, a dot product's angle, a function's curve."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QCoreApplication, QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen

from convviz.core import display
from convviz.core.explain import ConvExplanation, FloatArray
from convviz.core.numbers import format_number
from convviz.ui.lab.layer_text import LAYER_KINDS
from convviz.ui.lab.strip_painter import TEXT_UNITS, StripPainter
from convviz.ui.widgets.color_map import color_map, image_of
from convviz.ui.widgets.kept_picture import KeptPicture

DRAWING_UNITS = 28
"""Width of a drawing."""
CURVES = ("relu", "sigmoid", "tanh", "gelu")
"""The kinds of layers whose curve is drawn."""
LEAST_REACH = 4.0
"""A curve is drawn from −4 to 4 at least."""
CELLS_A_ROW = 64
SUMS_UNITS = 3.5
"""Height of the partial sums as colours, with their caption."""


def room_for_drawing(pen: StripPainter, rest: QRectF, text_units: float) -> tuple[QRectF, QRectF | None]:
    """Divide the ``rest`` of the strip into text and, if there is room for text of this width, a drawing beside it."""
    width, text_width = DRAWING_UNITS * pen.unit, text_units * pen.unit
    left = min(rest.right() - width, rest.left() + 2 * text_width)
    if rest.width() - width < text_width:
        return rest, None
    drawing = QRectF(left, rest.top(), width, rest.height())
    return QRectF(rest.left(), rest.top(), left - 2 * pen.unit - rest.left(), rest.height()), drawing


def paint_sums(pen: StripPainter, box: QRectF, sums: FloatArray, chosen: int) -> None:
    """Paint the channels' partial sums (C,) as a row of colours, or as several, the chosen one framed."""
    unit = pen.unit
    caption = QCoreApplication.translate("StripDrawings", "partial sums by channel")
    pen.write(QRectF(box.left(), box.top(), box.width(), 1.75 * unit), caption, pen.font(0.85), pen.colors.muted)
    cols = min(CELLS_A_ROW, len(sums))
    rows = math.ceil(len(sums) / cols)
    width, height = min(1.5 * unit, box.width() / cols), min(1.5 * unit, (box.height() - 2 * unit) / rows)
    index = np.full(rows * cols, display.ZERO, np.uint8)
    index[: len(sums)] = display.to_index(sums, display.signed_levels(sums))
    cells = QRectF(box.left(), box.top() + 1.75 * unit, cols * width, rows * height)
    painter = pen.painter
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    pixels = color_map(pen.is_dark).pixels(index.reshape(rows, cols))
    painter.drawImage(cells, image_of(pixels))
    blanks = rows * cols - len(sums)
    painter.setPen(QPen(pen.colors.border, 1))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(cells)
    if width >= 0.75 * unit:
        xs = [cells.left() + k * width for k in range(1, cols)]
        painter.drawLines([QLineF(x, cells.top(), x, cells.bottom()) for x in xs])
    if blanks:
        empty = QRectF(cells.right() - blanks * width, cells.bottom() - height, blanks * width, height)
        painter.fillRect(empty.adjusted(1, 1, 1, 1), pen.colors.surface)
    painter.setPen(QPen(pen.colors.window, 2))
    row, col = divmod(chosen, cols)
    frame = QRectF(cells.left() + col * width, cells.top() + row * height, width, height)
    painter.drawRect(frame.adjusted(-1, -1, 1, 1))
    painter.restore()


def paint_angle(pen: StripPainter, box: QRectF, explanation: ConvExplanation) -> None:
    """Read the dot product as lengths and an angle, and draw the angle."""
    unit, muted = pen.unit, pen.colors.muted
    line = QRectF(box.left(), box.top(), box.width(), 2.4 * unit)
    small = pen.font(0.9)
    pen.write(line, QCoreApplication.translate("StripDrawings", "as lengths and an angle"), small, muted)
    line.translate(0, line.height())
    pen.write(line, QCoreApplication.translate("StripDrawings", "‖window‖ · ‖kernel‖ · cos θ"), small, muted)
    line.translate(0, line.height())
    if explanation.cosine is None:
        text = QCoreApplication.translate("StripDrawings", "no angle: one of them is all zeros")
        pen.write(line, text, small, muted)
        return
    lengths = (explanation.value_norm, explanation.weight_norm, explanation.cosine)
    text = " × ".join(format_number(value, 5) for value in lengths) + f" ≈ {format_number(explanation.total)}"
    pen.write(line, text, pen.font(0.95, bold=True), pen.ink)
    room = box.bottom() - line.bottom() - 0.5 * unit
    if math.isfinite(explanation.cosine) and room > 2 * unit:
        theta = math.acos(min(1.0, max(-1.0, explanation.cosine)))
        _draw_angle(pen, QPointF(box.left(), line.bottom() + 0.25 * unit), min(room, 7 * unit), theta)


def _draw_angle(pen: StripPainter, corner: QPointF, ray: float, theta: float) -> None:
    painter, unit, colors = pen.painter, pen.unit, pen.colors
    origin = corner + QPointF(unit if theta <= math.pi / 2 else unit + ray, ray)
    painter.setPen(QPen(pen.accent, 0.375 * unit))
    painter.drawLine(origin, origin + QPointF(ray, 0))
    painter.setPen(QPen(colors.window, 0.375 * unit))
    painter.drawLine(origin, origin + QPointF(ray * math.cos(theta), -ray * math.sin(theta)))
    painter.setPen(QPen(colors.muted, 1))
    arc = 0.4 * ray
    square = QRectF(origin.x() - arc, origin.y() - arc, 2 * arc, 2 * arc)
    painter.drawArc(square, 0, round(math.degrees(theta) * 16))
    label = QRectF(origin.x() + ray + unit, origin.y() - 2.4 * unit, 14 * unit, 2.4 * unit)
    pen.write(label, f"θ = {format_number(math.degrees(theta))}°", pen.font(0.95), colors.muted)


def paint_curve(pen: StripPainter, picture: KeptPicture, box: QRectF, kind: str, level: float, x: float) -> None:
    """Draw a function's curve over inputs as large as ``level``, with a dot at ``x``."""
    reach = max(LEAST_REACH, level)
    layer = LAYER_KINDS[kind]()
    xs = np.linspace(-reach, reach, 121)
    ys = layer.forward(xs)
    low, high = min(0.0, float(ys.min())), float(ys.max())
    unit = pen.unit
    labels_height = 0.8 * TEXT_UNITS * unit
    whole = QRectF(0, 0, min(box.width(), 24 * unit), min(box.height(), 16 * unit))
    plot = whole.adjusted(unit, unit, -unit, -labels_height)

    def place(at: float, value: float) -> QPointF:
        across, up = (at + reach) / (2 * reach), (value - low) / (high - low)
        return QPointF(plot.left() + across * plot.width(), plot.bottom() - up * plot.height())

    def paint_plot(inner: StripPainter) -> None:
        painter = inner.painter
        painter.setPen(QPen(inner.colors.border, 1))
        painter.drawLine(place(-reach, 0), place(reach, 0))
        painter.drawLine(place(0, low), place(0, high))
        painter.setPen(QPen(inner.accent, 0.3 * unit))
        painter.drawPolyline([place(at, value) for at, value in zip(xs.tolist(), ys.tolist(), strict=True)])
        labels = QRectF(plot.left(), plot.bottom(), plot.width(), labels_height)
        inner.write(labels, format_number(-reach), inner.font(0.8), inner.colors.muted)
        inner.write(labels, format_number(reach), inner.font(0.8), inner.colors.muted, right=True)

    pen.kept(picture, (kind, reach), box, paint_plot)
    if abs(x) <= reach:
        pen.painter.setPen(Qt.PenStyle.NoPen)
        pen.painter.setBrush(pen.colors.window)
        dot = place(x, float(layer.forward(np.array([x]))[0]))
        pen.painter.drawEllipse(box.topLeft() + dot, 0.6 * unit, 0.6 * unit)
        pen.painter.setBrush(Qt.BrushStyle.NoBrush)

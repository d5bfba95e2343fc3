"""The strip below the grids: one output cell taken apart, from the numbers read to the value written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QAccessible, QBrush, QColor, QFont, QHelpEvent, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from convviz.core import display
from convviz.core.explain import AvgExplanation, ConvExplanation, Explanation, MaxExplanation
from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.widgets.color_map import color_map, image_of
from convviz.ui.widgets.kept_picture import KeptPicture
from convviz.ui.widgets.numerals import draw_centered, draw_line, draw_table

CHANNEL_NAMES = ("R", "G", "B")
NATURAL_UNITS = (118, 18.5)
"""Width and height at which three 3×3 grids, the sum and the angle stand at the font's size; more enlarges them."""
LINE_UNITS = 7.5
"""Height at which the result alone is left."""

Pieces: TypeAlias = list[list[tuple[str, str]]]
"""Lines of (text, style); the styles are "plain", "strong" and "result"."""


@dataclass(frozen=True, eq=False)
class Levels:
    """|value| of the strongest colour: of the input, which may be brightness, and of the kernel."""

    input: float
    kernel: float
    grey: bool = False


def span_text(indices: NDArray[np.integer] | Sequence[int]) -> str:
    """Return "2–4", or "2, 4, 6" where a dilated window leaves cells out."""
    values = [int(value) for value in indices]
    if any(b - a != 1 for a, b in pairwise(values)):
        if len(values) > 4:
            return f"{signed(values[0])}, {signed(values[1])}, … {signed(values[-1])}"
        return ", ".join(signed(value) for value in values)
    if len(values) == 1:
        return signed(values[0])
    return f"{signed(values[0])}{'…' if values[0] < 0 else '–'}{signed(values[-1])}"


def signed(value: int) -> str:
    """Return a whole number with the minus sign of mathematics."""
    return str(value).replace("-", "−")


def _summand(value: float) -> str:
    text = format_number(value)
    return f"({text})" if text.startswith("−") else text


def wrapped(rows: Sequence[Sequence[str]], separator: str, width: Callable[[str], float], room: float) -> list[str]:
    """Return terms in lines no wider than ``room``: a line a row where the rows fit, else filled line by line."""
    lines = [separator.join(row) for row in rows]
    if all(width(line + separator) <= room for line in lines):
        return [line + (separator.rstrip() if line is not lines[-1] else "") for line in lines]
    lines = [""]
    terms = [term for row in rows for term in row]
    for k, term in enumerate(terms):
        piece = term + (separator if k < len(terms) - 1 else "")
        if lines[-1] and width(lines[-1] + piece) > room:
            lines.append("")
        lines[-1] += piece
    return lines


@dataclass(frozen=True, eq=False)
class Tile:
    """A small grid of the strip: its numbers, their colours, taps in the padding and taps that are marked."""

    values: NDArray[np.floating]
    level: float
    grey: bool = False
    is_padding: NDArray[np.bool_] | None = None
    marked: Sequence[tuple[int, int]] = ()
    stays: bool = False  # the same at most steps, so worth keeping as a picture


class DotProductStrip(QWidget):
    """Paints an explanation: window ⊙ kernel = products → Σ → + bias; the winner of a maximum; the average's mean."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._explanations: tuple[Explanation, ...] = ()
        self._channel, self._num_channels = 0, 1
        self._levels = Levels(1.0, 1.0)
        self._sees = ""
        self._kept_tile, self._kept_card = KeptPicture(), KeptPicture()
        self._set_look()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)  # nothing below it is painted with each step
        self.setAccessibleName(self.tr("Dot product"))

    def set_content(
        self,
        explanations: Sequence[Explanation],
        levels: Levels,
        channel: int = 0,
        num_channels: int = 1,
        receptive_field: str = "",
    ) -> None:
        """Show one explanation, or two beside each other; ``channel`` of the input's channels is spelled out."""
        self._explanations = tuple(explanations)
        self._channel, self._num_channels = channel, num_channels
        self._levels = levels
        self._sees = receptive_field
        if QAccessible.isActive():
            self.setAccessibleDescription(self.describe())
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for three 3×3 grids, the sum and the angle."""
        unit = theme.unit()
        return QSize(round(100 * unit), round(20 * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the least size at which nothing is cut."""
        unit = theme.unit()
        return QSize(round(48 * unit), round(LINE_UNITS * unit))

    def _set_look(self) -> None:
        """Set the colours, and how much larger than its natural size the strip is painted."""
        unit = theme.unit()
        zoom = min(self.width() / (NATURAL_UNITS[0] * unit), self.height() / (NATURAL_UNITS[1] * unit))
        self._zoom = min(2.5, max(1.0, zoom))
        self._unit = unit * self._zoom
        self._colors = theme.colors(self.palette())
        self._ink = self.palette().color(QPalette.ColorRole.WindowText)

    def _font(self, size: float = 1.0, bold: bool = False) -> QFont:
        return theme.font(size * self._zoom, bold)

    def changeEvent(self, event: QEvent) -> None:
        """Ask for other room in another font."""
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()
        super().changeEvent(event)

    def event(self, event: QEvent) -> bool:
        """Say everything, terms that had no room included, in the tooltip."""
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.describe(), self)
            return True
        return super().event(event)

    def describe(self) -> str:
        """Return all that the strip says as text, one line a kernel row."""
        lines = []
        for item in self._explanations:
            rows, separator = self._terms(item)
            terms = (separator.rstrip() + "\n").join(separator.join(row) for row in rows)
            lines += [self._title(item), terms, self._outcome(item)]
        return "\n".join(lines)

    # ---- words

    def _title(self, explanation: Explanation) -> str:
        channel, row, col = explanation.position
        if isinstance(explanation, MaxExplanation):
            title = self.tr("Maximum at output ({row}, {col})")
        elif isinstance(explanation, AvgExplanation):
            title = self.tr("Average at output ({row}, {col})")
        else:
            return self.tr("Dot product at output ({row}, {col})").format(row=row, col=col)
        if self._num_channels > 1:
            title += " · " + self.tr("channel {name}").format(name=CHANNEL_NAMES[channel])
        return title.format(row=row, col=col)

    def _reads(self, explanation: Explanation) -> str:
        text = self.tr("window rows {rows}, columns {cols}").format(
            rows=span_text(explanation.rows), cols=span_text(explanation.cols)
        )
        count = int(explanation.is_padding.sum())
        if count:
            text += " · " + self.tr("{count} of {taps} taps in the padding").format(
                count=count, taps=explanation.is_padding.size
            )
        return text

    def _sentence(self, explanation: Explanation) -> str:
        rows, separator = self._terms(explanation)
        return separator.join(term for row in rows for term in row) + " " + self._outcome(explanation)

    def _terms(self, explanation: Explanation) -> tuple[list[list[str]], str]:
        """Return the terms of the spelled-out sum by kernel row, and what stands between them."""
        if isinstance(explanation, ConvExplanation):
            values, weights = explanation.values[self._read_channel], explanation.weights[self._read_channel]
            return [
                [f"({format_number(float(v))}×{format_number(float(w))})" for v, w in zip(row, ws, strict=True)]
                for row, ws in zip(values, weights, strict=True)
            ], " + "
        if isinstance(explanation, AvgExplanation):
            rows = [
                [_summand(float(v)) for v, counted in zip(row, counts, strict=True) if counted]
                for row, counts in zip(explanation.values[0], explanation.counted, strict=True)
            ]
            return [row for row in rows if row], " + "
        return [[format_number(float(v)) for v in row] for row in explanation.values[0]], ", "

    @property
    def _read_channel(self) -> int:
        first = self._explanations[0]
        return min(self._channel, len(first.values) - 1)

    def _channel_line(self, explanation: ConvExplanation) -> str:
        """Return the partial sums of several channels, with their total."""
        sums = explanation.channel_sums
        if len(sums) == 1:
            return ""
        parts = " + ".join(f"{CHANNEL_NAMES[k]} {format_number(float(s))}" for k, s in enumerate(sums))
        return f"{parts} = {format_number(explanation.total)}"

    def _outcome(self, explanation: Explanation) -> str:
        result = format_number(explanation.result)
        if isinstance(explanation, ConvExplanation):
            bias = format_number(explanation.bias)
            channels = self._channel_line(explanation)
            own = format_number(float(explanation.channel_sums[self._read_channel]))
            head = f"= {own}" + (f"; {channels}" if channels else "")
            return self.tr("{head} + bias {bias} = {result}").format(head=head, bias=bias, result=result)
        if isinstance(explanation, AvgExplanation):
            return f"= {format_number(explanation.total)} / {explanation.divisor} = {result}"
        return f"→ {result}"

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint one explanation, or the pinned one and another beside it."""
        self._set_look()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        unit, colors = self._unit, self._colors
        is_dark, size = theme.is_dark(self.palette()), QSizeF(self.size())
        painter.drawPixmap(0, 0, self._kept_card.get(is_dark, size, self.devicePixelRatioF(), self._paint_card))
        card = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        if not self._explanations:
            return
        inner = card.adjusted(2 * unit, unit, -2 * unit, -unit)
        if self.height() < 0.75 * NATURAL_UNITS[1] * theme.unit():
            self._paint_line(painter, inner)
            return
        if len(self._explanations) == 1:
            self._paint_explanation(painter, inner, self._explanations[0], compact=False)
            return
        half = inner.width() / 2
        for k, explanation in enumerate(self._explanations):
            part = QRectF(inner.left() + k * half, inner.top(), half - 2 * unit, inner.height())
            self._paint_explanation(painter, part, explanation, compact=True, pinned=k == 0)
        painter.setPen(QPen(colors.border, 1))
        painter.drawLine(
            QPointF(inner.left() + half - unit, inner.top()), QPointF(inner.left() + half - unit, inner.bottom())
        )

    def _paint_card(self, painter: QPainter) -> None:
        painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.Window))
        painter.setBrush(self._colors.surface)
        painter.setPen(QPen(self._colors.border, 1))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 1.5 * self._unit, 1.5 * self._unit)

    def _paint_explanation(
        self, painter: QPainter, box: QRectF, explanation: Explanation, compact: bool, pinned: bool = False
    ) -> None:
        unit, colors = self._unit, self._colors
        title = self._title(explanation) + (" · " + self.tr("pinned") if pinned else "")
        line = 2.5 * unit
        head = QRectF(box.left(), box.top(), box.width(), line)
        used = self._write(painter, head, title, self._font(bold=True), self._ink)
        reads = self._reads(explanation)
        rest = head.adjusted(used + 3 * unit, 0, 0, 0)
        if self._sees and not compact:
            sees_font = self._font(0.9, bold=True)
            needed = theme.text_width(sees_font, self._sees)
            if needed + 3 * unit + theme.text_width(self._font(0.9), reads) > rest.width():
                reads = ""  # the receptive field says the same, less the padding
            self._write(painter, rest, self._sees, sees_font, colors.receptive_field)
            rest = rest.adjusted(needed + 3 * unit, 0, 0, 0)
        if compact:
            self._write(painter, head.translated(0, 0.9 * line), reads, self._font(0.9), colors.muted)
            body = box.adjusted(0, 1.9 * line, 0, 0)
        else:
            self._write(painter, rest, reads, self._font(0.9), colors.muted)
            body = box.adjusted(0, line, 0, 0)
        if isinstance(explanation, ConvExplanation):
            self._paint_convolution(painter, body, explanation, compact)
        else:
            self._paint_pooling(painter, body, explanation, compact)

    def _paint_line(self, painter: QPainter, box: QRectF) -> None:
        """Where there is no room for more, write the title and the whole sum in a line each."""
        colors, explanation = self._colors, self._explanations[-1]
        half = box.height() / 2
        ink = self._ink
        if len(self._explanations) > 1:
            for k, item in enumerate(self._explanations):
                name = self._title(item) + (" · " + self.tr("pinned") if k == 0 else "")
                row = QRectF(box.left(), box.top() + k * half, box.width(), half)
                used = self._write(painter, row, name, self._font(bold=True), ink)
                row.setLeft(row.left() + used + 2 * self._unit)
                self._write(painter, row, self._outcome(item), self._font(1.2, bold=True), colors.window_text)
            return
        upper = QRectF(box.left(), box.top(), box.width(), half)
        used = self._write(painter, upper, self._title(explanation), self._font(bold=True), ink)
        rest = upper.adjusted(used + 2 * self._unit, 0, 0, 0)
        if self._sees:
            self._write(painter, rest, self._sees, self._font(0.9, bold=True), colors.receptive_field, right=True)
        else:
            self._write(painter, rest, self._reads(explanation), self._font(0.9), colors.muted, right=True)
        lower, font = upper.translated(0, half), self._font(1.0)
        result_font = self._font(1.6, bold=True)
        result = format_number(explanation.result)
        room = box.width() - theme.text_width(result_font, result) - self._unit
        outcome = self._outcome(explanation).removesuffix(result)
        text = self._sentence(explanation).removesuffix(result)
        if theme.text_width(font, text) > 1.3 * room:
            text = "… " + outcome
        lower.setWidth(room)
        used = self._write(painter, lower, text, font, colors.muted)
        lower = QRectF(box.left() + used, lower.top(), box.width() - used, half)
        self._write(painter, lower, result, result_font, colors.window_text)

    def _write(
        self,
        painter: QPainter,
        box: QRectF,
        text: str,
        font: QFont,
        color: QColor,
        right: bool = False,
    ) -> float:
        """Write one line, in a smaller font where the box is too narrow for it, and return its width."""
        width = theme.text_width(font, text)
        if width > box.width():
            font.setPixelSize(max(7, int(font.pixelSize() * box.width() / width)))
        painter.setFont(font)
        painter.setPen(color)
        draw_line(painter, box, text, font, right)
        return min(width, box.width())

    def _grid_cell(self, body: QRectF, shape: tuple[int, ...], grids: int, share: float) -> float:
        unit = self._unit
        rows, cols = shape
        room = (share * body.width() - grids * 3 * unit) / (grids * cols)
        return max(2.0, min(5 * unit, (body.height() - 0.5 * unit) / rows, room))

    def _paint_convolution(self, painter: QPainter, body: QRectF, explanation: ConvExplanation, compact: bool) -> None:
        unit = self._unit
        k = self._read_channel
        values, weights, products = explanation.values[k], explanation.weights[k], explanation.products[k]
        cell = self._grid_cell(body, values.shape, 3, 0.66 if compact else 0.5)
        x, top = body.left(), body.top() + 0.25 * unit
        padding = explanation.is_padding
        for tile, sign in (
            (Tile(values, self._levels.input, self._levels.grey, padding), "⊙"),
            (Tile(weights, self._levels.kernel, stays=True), "="),
            (Tile(products, display.signed_levels(products), is_padding=padding), "Σ"),
        ):
            paint = self._paint_kept_tile if tile.stays else self._paint_tile
            x = paint(painter, QPointF(x, top), cell, tile)
            x = self._paint_sign(painter, x, top, cell * values.shape[0], sign)
        rest = QRectF(x + unit, body.top(), body.right() - x - unit, body.height())
        pieces = self._convolution_pieces(explanation, compact)
        if compact:
            self._paint_result(painter, rest, ([], ""), pieces)
            return
        rows, separator = self._terms(explanation)
        if len(explanation.values) > 1:
            rows[0][0] = f"{CHANNEL_NAMES[k]}: {rows[0][0]}"
        with_angle = rest.width() > 50 * unit
        text_box = rest.adjusted(0, 0, -30 * unit if with_angle else 0, 0)
        self._paint_result(painter, text_box, (rows, separator), pieces)
        if with_angle:
            left = min(rest.right() - 28 * unit, rest.left() + 42 * unit)
            self._paint_angle(painter, QRectF(left, rest.top(), 28 * unit, rest.height()), explanation)

    def _convolution_pieces(self, explanation: ConvExplanation, compact: bool) -> Pieces:
        """Return the closing lines: partial sums of the channels, total, bias, result."""
        bias = explanation.bias
        bias_text = f" {'−' if bias < 0 else '+'} " + self.tr("bias {bias}").format(bias=format_number(abs(bias)))
        total = [("= ", "plain"), (format_number(explanation.total), "strong"), (bias_text, "plain")]
        result = [(" = " if not compact else "= ", "plain"), (format_number(explanation.result), "result")]
        if compact:
            return [total, result]
        lines: Pieces = []
        if len(explanation.channel_sums) > 1:
            line: list[tuple[str, str]] = []
            for k, value in enumerate(explanation.channel_sums):
                style = "strong" if k == self._read_channel else "plain"
                line += [(" + " if k else "", "plain"), (f"{CHANNEL_NAMES[k]} {format_number(float(value))}", style)]
            lines.append(line)
        return [*lines, total + result]

    def _paint_pooling(self, painter: QPainter, body: QRectF, explanation: Explanation, compact: bool) -> None:
        unit = self._unit
        values = explanation.values[0]
        cell = self._grid_cell(body, values.shape, 1, 0.4)
        marked: list[tuple[int, int]] = []
        line = [("= ", "plain")]
        rows, separator = self._terms(explanation)
        if isinstance(explanation, MaxExplanation):
            sign, marked = self.tr("max"), list(explanation.ties)
            line += [(format_number(explanation.result), "result"), ("  " + self._winner_text(explanation), "plain")]
            rows[0][0] = "max(" + rows[0][0]
            rows[-1][-1] += ")"
        elif isinstance(explanation, AvgExplanation):
            sign = self.tr("mean")
            quotient = f"{format_number(explanation.total)} / {explanation.divisor} = "
            line += [(quotient, "plain"), (format_number(explanation.result), "result")]
            outside = explanation.counted.size - int(explanation.counted.sum())
            if outside:
                line.append(("  " + self.tr("{count} taps outside do not count").format(count=outside), "plain"))
            if sum(map(len, rows)) > 1:
                rows[0][0] = "(" + rows[0][0]
                rows[-1][-1] += ")"
            if rows:
                rows[-1][-1] += f" / {explanation.divisor}"
        top = body.top() + 0.25 * unit
        tile = Tile(values, self._levels.input, self._levels.grey, explanation.is_padding, marked)
        x = self._paint_tile(painter, QPointF(body.left(), top), cell, tile)
        x = self._paint_sign(painter, x, top, cell * values.shape[0], sign)
        rest = QRectF(x + unit, body.top(), body.right() - x - unit, body.height())
        self._paint_result(painter, rest, ([], "") if compact else (rows, separator), [line])

    def _winner_text(self, explanation: MaxExplanation) -> str:
        if explanation.winner is None:
            return self.tr("only padding in the window")
        row, col = (
            int(along[tap]) for along, tap in zip((explanation.rows, explanation.cols), explanation.winner, strict=True)
        )
        text = self.tr("from input row {row}, column {col}").format(row=row, col=col)
        ties = len(explanation.ties)
        return text if ties == 1 else text + " · " + self.tr("{count} cells tie, the first one wins").format(count=ties)

    def _paint_kept_tile(self, painter: QPainter, corner: QPointF, cell: float, tile: Tile) -> float:
        """Paint a small grid from a picture of it, made anew when its numbers or its look change."""
        key = (tile.values.tobytes(), tile.values.shape, tile.level, cell, theme.is_dark(self.palette()))
        size = QSizeF(tile.values.shape[1] * cell + 2, tile.values.shape[0] * cell + 2)
        picture = self._kept_tile.get(
            key, size, self.devicePixelRatioF(), lambda inner: self._paint_tile(inner, QPointF(1, 1), cell, tile)
        )
        painter.drawPixmap(corner - QPointF(1, 1), picture)
        return float(corner.x() + size.width() - 2)

    def _paint_tile(self, painter: QPainter, corner: QPointF, cell: float, tile: Tile) -> float:
        """Paint a small grid, taps in the padding hatched, and return where it ends."""
        colors, (rows, cols) = self._colors, tile.values.shape
        colour = color_map(theme.is_dark(self.palette()), tile.grey)
        index = display.to_index(np.asarray(tile.values, dtype=np.float64), tile.level)
        hatched = np.argwhere(tile.is_padding).tolist() if tile.is_padding is not None else []
        box = QRectF(corner.x(), corner.y(), cols * cell, rows * cell)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        pixels = colour.pixels(index)
        painter.drawImage(box, image_of(pixels))
        for row, col in hatched:
            place = QRectF(box.left() + col * cell, box.top() + row * cell, cell, cell)
            painter.fillRect(place, colors.padding)
            painter.fillRect(place, QBrush(colors.hatch, Qt.BrushStyle.BDiagPattern))
        painter.setPen(QPen(colors.border, 1))
        lines = [QLineF(x, box.top(), x, box.bottom()) for x in (box.left() + k * cell for k in range(cols + 1))]
        lines += [QLineF(box.left(), y, box.right(), y) for y in (box.top() + k * cell for k in range(rows + 1))]
        painter.drawLines(lines)
        inks = [[colour.ink(k) for k in row] for row in index.tolist()]
        for row, col in hatched:
            inks[row][col] = colors.muted
        self._paint_tile_digits(painter, box.topLeft(), cell, tile, inks)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for k, (row, col) in enumerate(tile.marked):
            style = Qt.PenStyle.DashLine if k else Qt.PenStyle.SolidLine
            painter.setPen(QPen(colors.window, 1.5 if k else 3, style))
            place = QRectF(box.left() + col * cell, box.top() + row * cell, cell, cell)
            painter.drawRect(place.adjusted(1, 1, -1, -1))
        painter.restore()
        return float(box.right())

    def _paint_tile_digits(
        self, painter: QPainter, corner: QPointF, cell: float, tile: Tile, inks: list[list[QColor]]
    ) -> None:
        """Write the numbers of a small grid in one size, or none where the longest would be too small to read."""
        if cell < 2 * self._unit:
            return
        for digits in (4, 3):
            texts = [[format_number(value, digits) for value in row] for row in tile.values.tolist()]
            font = self._font()
            font.setPixelSize(max(6, int(0.42 * cell)))
            widest = max(theme.text_width(font, text) for row in texts for text in row)
            fitting = font.pixelSize() * min(1.0, 0.92 * cell / max(1.0, widest))
            if fitting >= self._unit:
                break
        if fitting >= 0.75 * self._unit:
            font.setPixelSize(max(6, int(fitting)))
            draw_table(painter, corner, cell, texts, inks, font)

    def _paint_sign(self, painter: QPainter, x: float, top: float, height: float, sign: str) -> float:
        """Write a sign between two grids and return where it ends."""
        unit = self._unit
        font = self._font(1.4 if len(sign) == 1 else 1.0)
        width = max(3 * unit, theme.text_width(font, sign) + 1.5 * unit)
        painter.setFont(font)
        painter.setPen(self._colors.muted)
        draw_centered(painter, QPointF(x + width / 2, top + height / 2), sign, font)
        return x + width

    def _paint_result(
        self, painter: QPainter, box: QRectF, terms: tuple[list[list[str]], str], pieces: Pieces
    ) -> float:
        """Write the spelled-out sum, shortened where it does not fit, and the closing lines; return the width used."""
        unit, muted = self._unit, self._colors.muted
        line_height, result_height = 2.5 * unit, 4 * unit
        closing = (len(pieces) - 1) * line_height + result_height
        font = self._font(1.0)
        rows, separator = terms
        room = max(0, int((box.height() - closing) // line_height))
        lines = wrapped(rows, separator, partial(theme.text_width, font), box.width()) if rows and room else []
        if len(lines) > room:
            count = sum(len(row) for row in rows) - sum(line.count(separator) for line in lines[: room - 1])
            lines = [*lines[: room - 1], self.tr("… and {count} more terms").format(count=count)]
        y, used = box.top(), 0.0
        for text in lines:
            used = max(used, self._write(painter, QRectF(box.left(), y, box.width(), line_height), text, font, muted))
            y += line_height
        for line in pieces:
            height = result_height if any(style == "result" for _, style in line) else line_height
            used = max(used, self._paint_pieces(painter, QRectF(box.left(), y, box.width(), height), line))
            y += height
        return used

    def _paint_pieces(self, painter: QPainter, box: QRectF, line: list[tuple[str, str]]) -> float:
        """Write one line of differently styled pieces, smaller where the box is too narrow, and return its width."""
        colors = self._colors
        text_color = self._ink
        styles = {
            "plain": (self._font(1.1), colors.muted),
            "strong": (self._font(1.2, bold=True), text_color),
            "result": (self._font(2.0, bold=True), colors.window_text),
        }
        natural = sum(theme.text_width(styles[style][0], text) for text, style in line)
        shrink = min(1.0, box.width() / max(1.0, natural))
        x = box.left()
        for text, style in line:
            font, color = QFont(styles[style][0]), styles[style][1]
            font.setPixelSize(max(7, int(font.pixelSize() * shrink)))
            width = theme.text_width(font, text)
            self._write(painter, QRectF(x, box.top(), width + 4, box.height()), text, font, color)
            x += width
        return x - box.left()

    def _paint_angle(self, painter: QPainter, box: QRectF, explanation: ConvExplanation) -> None:
        """Read the dot product as lengths and an angle, and draw the angle."""
        unit, muted = self._unit, self._colors.muted
        line = QRectF(box.left(), box.top(), box.width(), 2.4 * unit)
        small = self._font(0.9)
        self._write(painter, line, self.tr("as lengths and an angle"), small, muted)
        line.translate(0, line.height())
        self._write(painter, line, self.tr("‖window‖ · ‖kernel‖ · cos θ"), small, muted)
        line.translate(0, line.height())
        if explanation.cosine is None:
            self._write(painter, line, self.tr("no angle: one of them is all zeros"), small, muted)
            return
        lengths = (explanation.value_norm, explanation.weight_norm, explanation.cosine)
        text = " × ".join(format_number(value, 5) for value in lengths) + f" ≈ {format_number(explanation.total)}"
        ink = self._ink
        self._write(painter, line, text, self._font(0.95, bold=True), ink)
        room = box.bottom() - line.bottom() - 0.5 * unit
        if math.isfinite(explanation.cosine) and room > 2 * unit:
            theta = math.acos(min(1.0, max(-1.0, explanation.cosine)))
            self._draw_angle(painter, QPointF(box.left(), line.bottom() + 0.25 * unit), min(room, 7 * unit), theta)

    def _draw_angle(self, painter: QPainter, corner: QPointF, ray: float, theta: float) -> None:
        unit, colors = self._unit, self._colors
        origin = corner + QPointF(unit if theta <= math.pi / 2 else unit + ray, ray)
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 0.375 * unit))
        painter.drawLine(origin, origin + QPointF(ray, 0))
        painter.setPen(QPen(colors.window, 0.375 * unit))
        painter.drawLine(origin, origin + QPointF(ray * math.cos(theta), -ray * math.sin(theta)))
        painter.setPen(QPen(colors.muted, 1))
        arc = 0.4 * ray
        square = QRectF(origin.x() - arc, origin.y() - arc, 2 * arc, 2 * arc)
        painter.drawArc(square, 0, round(math.degrees(theta) * 16))
        label = QRectF(origin.x() + ray + unit, origin.y() - 2.4 * unit, 14 * unit, 2.4 * unit)
        self._write(painter, label, f"θ = {format_number(math.degrees(theta))}°", self._font(0.95), colors.muted)

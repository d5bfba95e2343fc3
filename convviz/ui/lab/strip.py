"""The strip below the grids: one output cell taken apart, from the numbers read to the value written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from convviz.core import display
from convviz.core.explain import AvgExplanation, ConvExplanation, Explanation, MaxExplanation
from convviz.core.numbers import format_number
from convviz.ui import theme

CHANNEL_NAMES = ("R", "G", "B")


@dataclass(frozen=True, eq=False)
class Levels:
    """|value| of the strongest colour: of the input, of the kernel."""

    input: float
    kernel: float


def span_text(indices: NDArray[np.integer] | Sequence[int]) -> str:
    """Return "2–4", or "2, 4, 6" where a dilated window leaves cells out."""
    values = [int(value) for value in indices]
    if len(values) > 1 and any(b - a != 1 for a, b in pairwise(values)):
        if len(values) > 4:
            return f"{signed(values[0])}, {signed(values[1])}, … {signed(values[-1])}"
        return ", ".join(signed(value) for value in values)
    return signed(values[0]) if len(values) == 1 else f"{signed(values[0])}–{signed(values[-1])}"


def signed(value: int) -> str:
    """Return a whole number with the minus sign of mathematics."""
    return str(value).replace("-", "−")


def factor(value: float) -> str:
    """Return a number as it stands in a product: "(−2)" keeps its sign apart from the sign before it."""
    return format_number(value)


class DotProductStrip(QWidget):
    """Paints an explanation: window ⊙ kernel = products → Σ → + bias; the winner of a maximum; the average's mean."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._explanations: tuple[Explanation, ...] = ()
        self._channel = 0
        self._levels = Levels(1.0, 1.0)
        self._sees = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(self.tr("Dot product"))

    def set_content(
        self, explanations: Sequence[Explanation], channel: int, levels: Levels, receptive_field: str = ""
    ) -> None:
        """Show one explanation, or two beside each other; ``channel`` is the input channel that is spelled out."""
        self._explanations = tuple(explanations)
        self._channel = channel
        self._levels = levels
        self._sees = receptive_field
        self.update()

    def sizeHint(self) -> QSize:
        """Return room for three 3×3 grids, the sum and the angle."""
        unit = theme.unit()
        return QSize(round(100 * unit), round(25 * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the least size at which nothing is cut."""
        unit = theme.unit()
        return QSize(round(62 * unit), round(19 * unit))

    def changeEvent(self, event: QEvent) -> None:
        """Ask for other room in another font."""
        if event.type() == QEvent.Type.FontChange:
            self.updateGeometry()
        super().changeEvent(event)

    def describe(self) -> str:
        """Return what the strip says, as text."""
        return "\n".join(self._title(item) + ": " + self._sentence(item) for item in self._explanations)

    # ---- words

    def _title(self, explanation: Explanation) -> str:
        _, row, col = explanation.position
        if isinstance(explanation, MaxExplanation):
            return self.tr("Maximum at output ({row}, {col})").format(row=row, col=col)
        if isinstance(explanation, AvgExplanation):
            return self.tr("Average at output ({row}, {col})").format(row=row, col=col)
        return self.tr("Dot product at output ({row}, {col})").format(row=row, col=col)

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
        return " ".join(self._terms(explanation)) + " " + self._outcome(explanation)

    def _terms(self, explanation: Explanation) -> list[str]:
        """Return the spelled-out sum, one line a kernel row."""
        if isinstance(explanation, ConvExplanation):
            values, weights = explanation.values[self._read_channel], explanation.weights[self._read_channel]
            lines = [
                " + ".join(
                    f"({format_number(float(v))}×{format_number(float(w))})" for v, w in zip(row, ws, strict=True)
                )
                for row, ws in zip(values, weights, strict=True)
            ]
        elif isinstance(explanation, AvgExplanation):
            lines = [
                " + ".join(format_number(float(v)) for v, counted in zip(row, counts, strict=True) if counted)
                for row, counts in zip(explanation.values[0], explanation.counted, strict=True)
            ]
            lines = [line for line in lines if line]
        else:
            lines = [", ".join(format_number(float(v)) for v in row) for row in explanation.values[0]]
            return [line + ("," if k < len(lines) - 1 else "") for k, line in enumerate(lines)]
        return [line + (" +" if k < len(lines) - 1 else "") for k, line in enumerate(lines)]

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
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        unit, colors = theme.unit(), theme.colors(self.palette())
        card = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        painter.setBrush(colors.surface)
        painter.setPen(QPen(colors.border, 1))
        painter.drawRoundedRect(card, 1.5 * unit, 1.5 * unit)
        if not self._explanations:
            return
        inner = card.adjusted(2 * unit, 1.25 * unit, -2 * unit, -1.25 * unit)
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

    def _paint_explanation(
        self, painter: QPainter, box: QRectF, explanation: Explanation, compact: bool, pinned: bool = False
    ) -> None:
        unit, colors = theme.unit(), theme.colors(self.palette())
        title = self._title(explanation) + (" · " + self.tr("pinned") if pinned else "")
        bold, small = theme.font(1.0, bold=True), theme.font(0.9)
        line = 2.5 * unit
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.setFont(bold)
        painter.drawText(QRectF(box.left(), box.top(), box.width(), line), Qt.AlignmentFlag.AlignLeft, title)
        painter.setFont(small)
        painter.setPen(colors.muted)
        if compact:
            painter.drawText(
                QRectF(box.left(), box.top() + line, box.width(), line),
                Qt.AlignmentFlag.AlignLeft,
                self._reads(explanation),
            )
            body = box.adjusted(0, 2 * line, 0, 0)
        else:
            painter.drawText(
                QRectF(box.left(), box.top(), box.width(), line), Qt.AlignmentFlag.AlignRight, self._reads(explanation)
            )
            body = box.adjusted(0, line, 0, 0)
            if self._sees:
                painter.setPen(colors.receptive_field)
                painter.setFont(theme.font(0.9, bold=True))
                painter.drawText(
                    QRectF(box.left(), body.top(), box.width(), line), Qt.AlignmentFlag.AlignLeft, self._sees
                )
                body = body.adjusted(0, line, 0, 0)
        if isinstance(explanation, ConvExplanation):
            self._paint_convolution(painter, body, explanation, compact)
        else:
            self._paint_pooling(painter, body, explanation, compact)

    def _grid_cell(self, body: QRectF, shape: tuple[int, ...], grids: int, share: float) -> float:
        unit = theme.unit()
        rows, cols = shape
        room = (share * body.width() - grids * 3 * unit) / (grids * cols)
        return max(2.0, min(4.5 * unit, (body.height() - unit) / rows, room))

    def _paint_convolution(self, painter: QPainter, body: QRectF, explanation: ConvExplanation, compact: bool) -> None:
        unit = theme.unit()
        k = self._read_channel
        values, weights, products = explanation.values[k], explanation.weights[k], explanation.products[k]
        cell = self._grid_cell(body, values.shape, 3, 0.72 if compact else 0.5)
        x = body.left()
        several = explanation.values.shape[0] > 1
        label = CHANNEL_NAMES[k] if several else ""
        product_level = display.signed_levels(products)
        for grid, level, sign in (
            (values, self._levels.input, "⊙"),
            (weights, self._levels.kernel, "="),
            (products, product_level, "Σ"),
        ):
            x = self._paint_grid(painter, QPointF(x, body.top() + 0.5 * unit), grid, level, cell)
            x = self._paint_sign(painter, x, body.top() + 0.5 * unit, cell * grid.shape[0], sign)
        rest = QRectF(x, body.top(), body.right() - x, body.height())
        if compact:
            self._paint_result(painter, rest, [], self._convolution_pieces(explanation, short=True))
            return
        angle_width = 27 * unit
        lines = self._terms(explanation)
        if several:
            lines = [f"{label}:", *lines]
        with_angle = rest.width() > angle_width + 24 * unit
        text_box = rest.adjusted(0, 0, -angle_width if with_angle else 0, 0)
        self._paint_result(painter, text_box, lines, self._convolution_pieces(explanation, short=False))
        if with_angle:
            self._paint_angle(
                painter,
                QRectF(rest.right() - angle_width + unit, rest.top(), angle_width - unit, rest.height()),
                explanation,
            )

    def _convolution_pieces(self, explanation: ConvExplanation, short: bool) -> list[list[tuple[str, str]]]:
        """Return the closing lines as (text, style) pieces: partial sums, total, bias, result."""
        result = (format_number(explanation.result), "result")
        bias = explanation.bias
        sign = "−" if bias < 0 else "+"
        bias_text = f" {sign} " + self.tr("bias") + f" {format_number(abs(bias))} = "
        lines: list[list[tuple[str, str]]] = []
        sums = explanation.channel_sums
        if len(sums) > 1:
            line: list[tuple[str, str]] = []
            for k, value in enumerate(sums):
                shown = "strong" if k == self._read_channel else "plain"
                line += [(" + " if k else "", "plain"), (f"{CHANNEL_NAMES[k]} {format_number(float(value))}", shown)]
            lines.append(line)
        lines.append([("= ", "plain"), (format_number(explanation.total), "strong"), (bias_text, "plain"), result])
        return lines if not short else lines[-1:]

    def _paint_pooling(self, painter: QPainter, body: QRectF, explanation: Explanation, compact: bool) -> None:
        unit = theme.unit()
        values = explanation.values[0]
        cell = self._grid_cell(body, values.shape, 1, 0.35)
        marked: list[tuple[int, int]] = []
        pieces: list[list[tuple[str, str]]] = []
        result = (format_number(explanation.result), "result")
        lines = self._terms(explanation)
        if isinstance(explanation, MaxExplanation):
            lines = [self.tr("the largest of"), *lines]
            marked = list(explanation.ties)
            if explanation.winner is not None:
                row = int(explanation.rows[explanation.winner[0]])
                col = int(explanation.cols[explanation.winner[1]])
                where = self.tr("at input row {row}, column {col}").format(row=row, col=col)
                if len(marked) > 1:
                    where += " · " + self.tr("{count} cells tie, the first one wins").format(count=len(marked))
                pieces = [[("= ", "plain"), result, (" " + where, "plain")]]
            else:
                pieces = [[("= ", "plain"), result, (" " + self.tr("only padding in the window"), "plain")]]
        elif isinstance(explanation, AvgExplanation):
            pieces = [
                [
                    (f"= {format_number(explanation.total)} / {explanation.divisor} = ", "plain"),
                    result,
                ]
            ]
            lines = [self.tr("the sum of"), *lines]
        x = self._paint_grid(
            painter, QPointF(body.left(), body.top() + 0.5 * unit), values, self._levels.input, cell, marked
        )
        sign = "max" if isinstance(explanation, MaxExplanation) else self.tr("mean")
        x = self._paint_sign(painter, x, body.top() + 0.5 * unit, cell * values.shape[0], sign)
        rest = QRectF(x, body.top(), body.right() - x, body.height())
        self._paint_result(painter, rest, [] if compact else lines, pieces)

    def _paint_grid(
        self,
        painter: QPainter,
        corner: QPointF,
        values: NDArray[np.floating],
        level: float,
        cell: float,
        marked: Sequence[tuple[int, int]] = (),
    ) -> float:
        """Paint a small grid and return where it ends."""
        colors = theme.colors(self.palette())
        lut = display.diverging_lut(theme.is_dark(self.palette()))
        white = display.text_on(lut)
        index = display.to_index(np.asarray(values, dtype=np.float64), level)
        texts = [[format_number(float(v), 3) for v in row] for row in values]
        font = theme.font()
        font.setPixelSize(max(6, int(0.42 * cell)))
        longest = max((text for row in texts for text in row), key=len)
        fitting = font.pixelSize() * min(1.0, 0.88 * cell / max(1.0, theme.text_width(font, longest)))
        font.setPixelSize(max(6, int(fitting)))
        with_digits = cell >= 2 * theme.unit() and fitting >= 0.75 * theme.unit()
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setFont(font)
        for row in range(values.shape[0]):
            for col in range(values.shape[1]):
                box = QRectF(corner.x() + col * cell, corner.y() + row * cell, cell, cell)
                red, green, blue = (int(part) for part in lut[index[row, col]])
                painter.setPen(QPen(colors.border, 1))
                painter.setBrush(QColor(red, green, blue))
                painter.drawRect(box)
                if with_digits:
                    ink = display.WHITE_TEXT if white[index[row, col]] else display.BLACK_TEXT
                    painter.setPen(QColor(*ink))
                    painter.drawText(box, Qt.AlignmentFlag.AlignCenter, texts[row][col])
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for k, (row, col) in enumerate(marked):
            painter.setPen(
                QPen(colors.window, 3 if k == 0 else 1.5, Qt.PenStyle.SolidLine if k == 0 else Qt.PenStyle.DashLine)
            )
            painter.drawRect(
                QRectF(corner.x() + col * cell, corner.y() + row * cell, cell, cell).adjusted(1, 1, -1, -1)
            )
        painter.restore()
        return float(corner.x() + values.shape[1] * cell)

    def _paint_sign(self, painter: QPainter, x: float, top: float, height: float, sign: str) -> float:
        """Write a sign between two grids and return where it ends."""
        unit = theme.unit()
        font = theme.font(1.4 if len(sign) == 1 else 1.0)
        width = max(3 * unit, theme.text_width(font, sign) + 1.5 * unit)
        painter.setFont(font)
        painter.setPen(theme.colors(self.palette()).muted)
        painter.drawText(QRectF(x, top, width, height), Qt.AlignmentFlag.AlignCenter, sign)
        return x + width

    def _paint_result(
        self, painter: QPainter, box: QRectF, lines: list[str], pieces: list[list[tuple[str, str]]]
    ) -> None:
        """Write the spelled-out sum, shortened where it does not fit, and under it the closing lines."""
        unit, colors = theme.unit(), theme.colors(self.palette())
        x, y = box.left() + unit, box.top()
        width = box.width() - unit
        line_height = 2.6 * unit
        closing = (len(pieces) - 1) * line_height + 4 * unit
        font = theme.font(1.0)
        fitting = max(0, int((box.height() - closing) // line_height))
        if lines and fitting and len(lines) > fitting:
            hidden = len(lines) - fitting + 1
            more = self.tr("… and {count} more rows").format(count=hidden)
            lines = [*lines[: fitting - 1], more]
        painter.setFont(font)
        painter.setPen(colors.muted)
        metrics = painter.fontMetrics()
        for text in lines if fitting else []:
            shown = metrics.elidedText(text, Qt.TextElideMode.ElideRight, int(width))
            painter.drawText(QRectF(x, y, width, line_height), Qt.AlignmentFlag.AlignVCenter, shown)
            y += line_height
        styles = {
            "plain": (theme.font(1.1), colors.muted),
            "strong": (theme.font(1.2, bold=True), self.palette().color(QPalette.ColorRole.WindowText)),
            "result": (theme.font(1.9, bold=True), colors.window_text),
        }
        for line in pieces:
            tall = any(style == "result" for _, style in line)
            height = 4 * unit if tall else line_height
            natural = sum(theme.text_width(styles[style][0], text) for text, style in line)
            shrink = min(1.0, width / max(1.0, natural))
            left = x
            for text, style in line:
                piece_font, color = styles[style]
                piece_font.setPixelSize(max(8, int(piece_font.pixelSize() * shrink)))
                painter.setFont(piece_font)
                painter.setPen(color)
                piece_width = theme.text_width(piece_font, text)
                painter.drawText(QRectF(left, y, piece_width + 4, height), Qt.AlignmentFlag.AlignVCenter, text)
                left += piece_width
            y += height

    def _paint_angle(self, painter: QPainter, box: QRectF, explanation: ConvExplanation) -> None:
        """Read the dot product as lengths and an angle, and draw the angle."""
        unit, colors = theme.unit(), theme.colors(self.palette())
        line = 2.6 * unit
        painter.setFont(theme.font(0.9))
        painter.setPen(colors.muted)
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(box.left(), box.top(), box.width(), line), left, self.tr("as lengths and an angle"))
        painter.drawText(
            QRectF(box.left(), box.top() + line, box.width(), line), left, self.tr("‖window‖ · ‖kernel‖ · cos θ")
        )
        if explanation.cosine is None:
            painter.drawText(
                QRectF(box.left(), box.top() + 2 * line, box.width(), 2 * line),
                left | Qt.TextFlag.TextWordWrap,
                self.tr("No angle: the window or the kernel is all zeros."),
            )
            return
        lengths = " × ".join(
            format_number(value) for value in (explanation.value_norm, explanation.weight_norm, explanation.cosine)
        )
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        painter.setFont(theme.font(0.95, bold=True))
        text = f"{lengths} = {format_number(explanation.total)}"
        painter.drawText(QRectF(box.left(), box.top() + 2 * line, box.width(), line), left, text)
        if not math.isfinite(explanation.cosine) or box.height() < 3 * line + 3 * unit:
            return
        theta = math.acos(min(1.0, max(-1.0, explanation.cosine)))
        ray = min(box.height() - 3 * line - unit, 7 * unit)
        origin = QPointF(
            box.left() + (1.5 * unit if theta <= math.pi / 2 else 1.5 * unit + ray), box.top() + 3 * line + ray
        )
        painter.setPen(QPen(self.palette().color(QPalette.ColorRole.Highlight), 3))
        painter.drawLine(origin, origin + QPointF(ray, 0))
        painter.setPen(QPen(colors.window, 3))
        painter.drawLine(origin, origin + QPointF(ray * math.cos(theta), -ray * math.sin(theta)))
        painter.setPen(QPen(colors.muted, 1))
        arc = ray * 0.4
        painter.drawArc(
            QRectF(origin.x() - arc, origin.y() - arc, 2 * arc, 2 * arc), 0, round(math.degrees(theta) * 16)
        )
        painter.setFont(theme.font(0.95))
        label = QRectF(origin.x() + ray + unit, origin.y() - 2.4 * unit, 14 * unit, 2.6 * unit)
        painter.drawText(label, left, f"θ = {format_number(math.degrees(theta), 3)}°")

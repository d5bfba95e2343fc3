"""The strip below the grids: one output cell taken apart, from the numbers read to the value written."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QAccessible, QFont, QHelpEvent, QPainter, QPaintEvent, QPalette, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from convviz.core import display
from convviz.core.explain import (
    AvgExplanation,
    ConvExplanation,
    Explanation,
    MaxExplanation,
    NormExplanation,
    PointwiseExplanation,
)
from convviz.core.numbers import format_number
from convviz.ui import theme
from convviz.ui.lab.layer_text import LAYER_KINDS
from convviz.ui.lab.strip_drawings import CURVES, paint_angle, paint_curve, room_for_drawing
from convviz.ui.lab.strip_grids import (
    OTHER_SIGN_UNITS,
    SUM_UNITS,
    ChannelRows,
    DotProduct,
    Levels,
    channel_rows,
    dot_product_of_channel,
    dot_product_over_channels,
    grid_cell,
    paint_dot_product,
)
from convviz.ui.lab.strip_painter import SIGN_UNITS, TEXT_UNITS, Pieces, StripPainter, Tile
from convviz.ui.lab.strip_result import write_result
from convviz.ui.lab.strip_words import StripWords, reads_channels_as_window, shows_sums
from convviz.ui.widgets.kept_picture import KeptPicture

NATURAL_UNITS = (118, 18.5)
"""Width and height at which three 3×3 grids, the sum and the angle stand at the font's size; more enlarges them."""
CHANNELS_UNITS = 150
"""The same width where few channels have three grids each."""
LINE_UNITS = 7.5
"""Height at which the result alone is left."""
FEW_CHANNELS = 4
"""Up to so many channels, each one's dot product is painted if there is room; of more, the partial sums as colours."""
MOST_SHRINK = 1.2
"""Up to so many times as wide as its room, a line is written smaller; a wider one is divided or shortened."""
MOST_MARKED = 64
"""Up to so many cells that tie are marked."""


class DotProductStrip(QWidget):
    """Paints an explanation: window ⊙ kernel = products → Σ → + bias; the winner of a maximum; a mean."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._explanations: tuple[Explanation, ...] = ()
        self._words = StripWords()
        self._levels = Levels(1.0, 1.0)
        self._sees = ""
        self._kept_card, self._kept_curve = KeptPicture(), KeptPicture()
        self._kept_kernels = [KeptPicture() for _ in range(FEW_CHANNELS)]
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)  # nothing below it is painted with each step
        self.setAccessibleName(self.tr("Dot product"))

    def set_content(
        self,
        explanations: Sequence[Explanation],
        levels: Levels,
        channel: int = 0,
        channel_names: Sequence[str] = ("",),
        num_maps: int = 1,
        receptive_field: str = "",
        kind: str = "",
    ) -> None:
        """Show one explanation, or two beside each other.

        ``channel`` is the input channel that is spelled out, ``channel_names`` the names of all input channels,
        ``num_maps`` the number of output channels, ``kind`` the layer's kind, a key of `LAYER_KINDS`: functions of one
        cell are written out by it.
        """
        self._explanations = tuple(explanations)
        self._words = StripWords(channel, channel_names, num_maps, kind)
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
        return "\n".join(map(self._words.describe, self._explanations))

    # ---- painting

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint one explanation, or the pinned one and another beside it."""
        painter = QPainter(self)
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            self._paint(StripPainter(painter, self.palette(), self._zoom()))
        finally:
            painter.end()  # one that an error's traceback keeps alive would end the program

    def _zoom(self) -> float:
        """Return how much larger than its natural size the strip is painted."""
        unit = theme.unit()
        natural_width = CHANNELS_UNITS if any(map(self._shows_channels, self._explanations)) else NATURAL_UNITS[0]
        zoom = min(self.width() / (natural_width * unit), self.height() / (NATURAL_UNITS[1] * unit))
        return min(2.5, max(1.0, zoom))

    def _paint(self, pen: StripPainter) -> None:
        unit = pen.unit
        pen.kept(self._kept_card, None, QRectF(self.rect()), self._paint_card)
        if not self._explanations:
            return
        inner = QRectF(self.rect()).adjusted(1 + 2 * unit, 1 + unit, -1 - 2 * unit, -1 - unit)
        if self.height() < 0.75 * NATURAL_UNITS[1] * theme.unit():
            self._paint_line(pen, inner)
            return
        if len(self._explanations) == 1:
            self._paint_explanation(pen, inner, self._explanations[0], compact=False)
            return
        half = inner.width() / 2
        for k, explanation in enumerate(self._explanations):
            part = QRectF(inner.left() + k * half, inner.top(), half - 2 * unit, inner.height())
            self._paint_explanation(pen, part, explanation, compact=True, pinned=k == 0)
        x = inner.left() + half - unit
        pen.painter.setPen(QPen(pen.colors.border, 1))
        pen.painter.drawLine(QPointF(x, inner.top()), QPointF(x, inner.bottom()))

    def _paint_card(self, pen: StripPainter) -> None:
        pen.painter.fillRect(self.rect(), self.palette().color(QPalette.ColorRole.Window))
        pen.painter.setBrush(pen.colors.surface)
        pen.painter.setPen(QPen(pen.colors.border, 1))
        pen.painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 1.5 * pen.unit, 1.5 * pen.unit)

    def _paint_explanation(
        self, pen: StripPainter, box: QRectF, explanation: Explanation, compact: bool, pinned: bool = False
    ) -> None:
        unit, colors = pen.unit, pen.colors
        title = self._words.title(explanation) + (" · " + self.tr("pinned") if pinned else "")
        line = TEXT_UNITS * unit
        head = QRectF(box.left(), box.top(), box.width(), line)
        used = pen.write(head, title, pen.font(bold=True), pen.ink)
        rest = head.adjusted(used + 3 * unit, 0, 0, 0)
        phrases, small = self._words.reads(explanation), pen.font(0.9)
        if self._sees and not compact:
            sees_font = pen.font(0.9, bold=True)
            needed = theme.text_width(sees_font, self._sees)
            if needed + 3 * unit + theme.text_width(small, " · ".join(phrases)) > rest.width():
                phrases = []  # the receptive field says the same, less the padding
            pen.write(rest, self._sees, sees_font, colors.receptive_field)
            rest = rest.adjusted(needed + 3 * unit, 0, 0, 0)
        if compact:
            rest = head.translated(0, 0.9 * line)
        pen.write(rest, _joined(phrases, small, rest.width()), small, colors.muted)
        body = box.adjusted(0, 1.9 * line if compact else line, 0, 0)
        if isinstance(explanation, ConvExplanation):
            self._paint_convolution(pen, body, explanation, compact, self._kept_kernels[compact and not pinned])
        elif isinstance(explanation, PointwiseExplanation):
            self._paint_function(pen, body, explanation, compact)
        elif isinstance(explanation, MaxExplanation | AvgExplanation):
            self._paint_pooling(pen, body, explanation, compact)

    def _paint_line(self, pen: StripPainter, box: QRectF) -> None:
        """Where there is no room for more, write the title and the whole sum in a line each."""
        colors, words, explanation = pen.colors, self._words, self._explanations[-1]
        half = box.height() / 2
        if len(self._explanations) > 1:
            for k, item in enumerate(self._explanations):
                name = words.title(item) + (" · " + self.tr("pinned") if k == 0 else "")
                row = QRectF(box.left(), box.top() + k * half, box.width(), half)
                used = pen.write(row, name, pen.font(bold=True), pen.ink)
                row.setLeft(row.left() + used + 2 * pen.unit)
                pen.write(row, words.outcome(item, _sums_in_line(item)), pen.font(1.2, bold=True), colors.window_text)
            return
        upper = QRectF(box.left(), box.top(), box.width(), half)
        used = pen.write(upper, words.title(explanation), pen.font(bold=True), pen.ink)
        rest = upper.adjusted(used + 2 * pen.unit, 0, 0, 0)
        if self._sees:
            pen.write(rest, self._sees, pen.font(0.9, bold=True), colors.receptive_field, right=True)
        else:
            small = pen.font(0.9)
            pen.write(rest, _joined(words.reads(explanation), small, rest.width()), small, colors.muted, right=True)
        lower, font, result_font = upper.translated(0, half), pen.font(), pen.font(1.6, bold=True)
        result = format_number(explanation.result)
        room = box.width() - theme.text_width(result_font, result) - pen.unit
        outcome = words.outcome(explanation, _sums_in_line(explanation)).removesuffix(result)
        terms = words.terms(explanation)
        text = terms.separator.join(term for row in terms.rows for term in row) + " " + outcome
        if terms.left_out or theme.text_width(font, text) > 1.3 * room:
            text = "… " + outcome
        lower.setWidth(room)
        used = pen.write(lower, text, font, colors.muted)
        lower = QRectF(box.left() + used, lower.top(), box.width() - used, half)
        pen.write(lower, result, result_font, colors.window_text)

    # ---- dot products

    def _paint_convolution(
        self, pen: StripPainter, body: QRectF, explanation: ConvExplanation, compact: bool, kept: KeptPicture
    ) -> None:
        chosen, count = self._words.chosen(explanation), len(explanation.values)
        if reads_channels_as_window(explanation):
            x = self._paint_one(pen, body, dot_product_over_channels(explanation), compact, kept)
        else:
            rows = None
            if self._shows_channels(explanation):
                rows = self._channel_rows(pen, body, explanation)
            if rows is not None:
                x = self._paint_channels(pen, body, rows, explanation)
            else:
                level = display.signed_levels(explanation.products[chosen])
                x = self._paint_one(pen, body, dot_product_of_channel(explanation, chosen, level), compact, kept)
        rest = QRectF(x + pen.unit, body.top(), body.right() - x - pen.unit, body.height())
        if compact:
            write_result(pen, rest, None, self._closing(pen, explanation, rest.width(), compact))
            return
        is_many = shows_sums(explanation) and count > FEW_CHANNELS
        text_box, drawing = room_for_drawing(pen, rest, 50 if is_many else 21)
        sums = (explanation.channel_sums, chosen) if is_many else None
        closing = self._closing(pen, explanation, text_box.width(), compact)
        write_result(pen, text_box, self._words.formula(explanation), closing, sums)
        if drawing is not None:
            paint_angle(pen, drawing, explanation)

    def _paint_one(
        self, pen: StripPainter, body: QRectF, product: DotProduct, compact: bool, kept: KeptPicture
    ) -> float:
        """Paint window ⊙ kernel = products Σ as large as there is room for, and return where it ends."""
        cell = grid_cell(pen, body, product.values.shape, 3, 0.66 if compact else 0.5)
        corner = QPointF(body.left(), body.top() + 0.25 * pen.unit)
        x = paint_dot_product(pen, corner, cell, product, self._levels, kept)
        return pen.sign(x, corner.y(), cell * product.values.shape[0], "Σ")

    def _shows_channels(self, explanation: Explanation) -> bool:
        """Return whether each channel's dot product is painted if there is room."""
        if not isinstance(explanation, ConvExplanation) or len(self._explanations) > 1:
            return False
        return shows_sums(explanation) and len(explanation.values) <= FEW_CHANNELS

    def _label_width(self, pen: StripPainter, explanation: ConvExplanation) -> float:
        labels = (self._words.channel_label(explanation, k) for k in range(len(explanation.values)))
        font = pen.font(bold=True)
        return max(theme.text_width(font, label) for label in labels) + pen.unit

    def _channel_rows(self, pen: StripPainter, body: QRectF, explanation: ConvExplanation) -> ChannelRows | None:
        shape, others = explanation.values.shape[1:], len(explanation.values) - 1
        return channel_rows(pen, body.size(), shape, others, self._label_width(pen, explanation))

    def _paint_channels(
        self, pen: StripPainter, body: QRectF, rows: ChannelRows, explanation: ConvExplanation
    ) -> float:
        """Paint a dot product a channel, the chosen one large, and return where they end."""
        unit, label = pen.unit, self._label_width(pen, explanation)
        chosen, origin = self._words.chosen(explanation), QPointF(body.left(), body.top() + 0.25 * unit)
        others = [k for k in range(len(explanation.values)) if k != chosen]
        corners = [origin + QPointF(rows.left, rows.top + n * rows.pitch) for n in range(len(others))]
        level = display.signed_levels(explanation.products)
        for k, corner, kept in zip([chosen, *others], [origin, *corners], self._kept_kernels, strict=False):
            is_chosen = k == chosen
            cell, signs = (rows.cell, SIGN_UNITS) if is_chosen else (rows.other_cell, OTHER_SIGN_UNITS)
            height = cell * explanation.values.shape[1]
            product, name = dot_product_of_channel(explanation, k, level), self._words.channel_label(explanation, k)
            x = paint_dot_product(pen, corner, cell, product, self._levels, kept, signs, name, label)
            total = QRectF(x + 0.75 * unit, corner.y(), (SUM_UNITS - 1.5) * unit, height)
            text = f"Σ = {format_number(float(explanation.channel_sums[k]))}"
            pen.write(total, text, pen.font(bold=is_chosen), pen.ink if is_chosen else pen.colors.muted)
        return body.left() + rows.right

    def _closing(self, pen: StripPainter, explanation: ConvExplanation, room: float, compact: bool) -> list[Pieces]:
        """Return the closing lines: partial sums of the channels as far as there is room; total, bias, result."""
        bias_text = " + " + self.tr("bias {bias}").format(bias=format_number(explanation.bias))
        total: Pieces = [("= ", "plain"), (format_number(explanation.total), "strong"), (bias_text, "plain")]
        result: Pieces = [("= ", "plain"), (format_number(explanation.result), "result")]
        sums = [self._sums_line(pen, explanation, room)] if shows_sums(explanation) else []
        line = [*total, (" ", "plain"), *result]
        fits = pen.pieces_width(line) <= MOST_SHRINK * room
        return [*sums, line] if fits and not compact else [*sums, total, result]

    def _sums_line(self, pen: StripPainter, explanation: ConvExplanation, room: float) -> Pieces:
        """Return the partial sums: all of few channels; of many the chosen one's, then as many as there is room for."""
        count = len(explanation.channel_sums)
        is_many = count > FEW_CHANNELS
        width = partial(theme.text_width, pen.font(1.15))
        more = self._words.more_sums(count)
        line: Pieces = []
        used = 0.0
        for k, (text, is_chosen) in enumerate(self._words.sums(explanation, chosen_first=is_many)):
            piece = (" + " if k else "") + text
            used += width(piece)
            if is_many and k and used + (width(" + " + more) if k < count - 1 else 0) > room:
                line.append((" + " + self._words.more_sums(count - k), "plain"))
                break
            line += [(" + " if k else "", "plain"), (text, "strong" if is_chosen else "plain")]
        return line

    # ---- other operations

    def _paint_pooling(
        self, pen: StripPainter, body: QRectF, explanation: MaxExplanation | AvgExplanation, compact: bool
    ) -> None:
        marked: list[tuple[int, int]] = []
        result = (format_number(explanation.result), "result")
        if isinstance(explanation, MaxExplanation):
            sign = self.tr("max")
            if explanation.winner is not None:
                ties = map(tuple, np.argwhere(explanation.tied)[:MOST_MARKED].tolist())
                marked = [explanation.winner, *(tap for tap in ties if tap != explanation.winner)]
            line: Pieces = [("= ", "plain"), result, ("  " + self._words.winner(explanation), "plain")]
        else:
            sign = self.tr("mean")
            quotient = f"{format_number(explanation.total)} / {explanation.divisor} = "
            line = [("= ", "plain"), (quotient, "plain"), result]
            outside = explanation.counted.size - int(explanation.counted.sum())
            if outside:
                line.append(("  " + self.tr("{count} taps outside do not count").format(count=outside), "plain"))
        rest = self._paint_window(pen, body, explanation, sign, marked)
        write_result(pen, rest, None if compact else self._words.formula(explanation), [line])

    def _paint_function(
        self, pen: StripPainter, body: QRectF, explanation: PointwiseExplanation, compact: bool
    ) -> None:
        words, kind = self._words, self._words.kind
        rest = self._paint_window(pen, body, explanation, words.function_name() if kind in LAYER_KINDS else "→", [])
        applied = words.applied(explanation)
        lines: list[Pieces] = [[(words.definition(), "plain")]]
        outcome = words.outcome(explanation, 0).removesuffix(format_number(explanation.result))
        if isinstance(explanation, NormExplanation):
            lines.append([("= " + applied, "plain")])
        else:
            outcome = f"= {applied} = " if kind in CURVES else "= "
        lines.append([(outcome, "plain"), (format_number(explanation.result), "result")])
        text_box, drawing = rest, None
        if kind in CURVES and not compact:
            widest = max(map(pen.pieces_width, lines)) / pen.unit
            text_box, drawing = room_for_drawing(pen, rest, max(21, widest / 2 + 1))
        write_result(pen, text_box, None, lines)
        if drawing is not None:
            paint_curve(pen, self._kept_curve, drawing, kind, self._levels.input, explanation.value)

    def _paint_window(
        self, pen: StripPainter, body: QRectF, explanation: Explanation, sign: str, marked: Sequence[tuple[int, int]]
    ) -> QRectF:
        """Paint the numbers that one channel's window reads and a sign, and return the room beside them."""
        values = explanation.values[0]
        cell, top = grid_cell(pen, body, values.shape, 1, 0.4), body.top() + 0.25 * pen.unit
        corner, tile = (
            QPointF(body.left(), top),
            Tile(values, self._levels.input, self._levels.grey, explanation.is_padding),
        )
        x = pen.tile(corner, cell, tile)
        pen.mark(corner, cell, marked)
        x = pen.sign(x, top, cell * values.shape[0], sign) + pen.unit
        return QRectF(x, body.top(), body.right() - x, body.height())


def _joined(phrases: Sequence[str], font: QFont, room: float) -> str:
    """Return the phrases in a line; the last ones are left out where it would have to become much smaller to fit."""
    for count in range(len(phrases), 1, -1):
        text = " · ".join(phrases[:count])
        if theme.text_width(font, text) <= MOST_SHRINK * room:
            return text
    return "".join(phrases[:1])


def _sums_in_line(explanation: Explanation) -> int:
    """Return how many partial sums the one-line form tells: all of few channels, the first two of many."""
    count = len(explanation.values)
    return count if count <= FEW_CHANNELS else 2

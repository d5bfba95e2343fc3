"""What the strip says of an output cell: titles, terms, partial sums and outcomes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QCoreApplication

from convviz.core.display import wrapped_shape
from convviz.core.explain import (
    AvgExplanation,
    ConvExplanation,
    Explanation,
    MaxExplanation,
    NormExplanation,
    PointwiseExplanation,
)
from convviz.core.numbers import format_number
from convviz.ui.lab.layer_text import LAYER_KINDS, kind_name

MOST_TERMS = 128
"""Terms that are spelled out; the rest is counted."""
MOST_SUMS = 256
"""Partial sums that are told in the tooltip; the rest is counted."""
TERMS_A_LINE, SUMS_A_LINE = 12, 8
OFF = "off"
"""Stands for the kind of a layer that is switched off."""


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


def reads_channels_as_window(explanation: Explanation) -> bool:
    """Return whether the window is one cell of several channels: a 1×1 convolution, a unit of `Linear`."""
    return len(explanation.values) > 1 and explanation.values.shape[1:] == (1, 1)


@dataclass(frozen=True)
class Terms:
    """The terms of a spelled-out result, a list for each kernel row, and what stands between them.

    ``count`` is the number of all terms, those that were left out for their number included.
    """

    rows: list[list[str]]
    separator: str
    count: int

    @property
    def left_out(self) -> int:
        """Terms beyond ``rows``."""
        return self.count - sum(map(len, self.rows))


@dataclass(frozen=True)
class StripWords:
    """Says explanations of one layer's cells.

    Attributes:
        channel: the input channel that is spelled out.
        channel_names: the names of all input channels: "R", "G", "B", or their numbers.
        num_maps: output channels of the layer.
        kind: the layer's kind, a key of `LAYER_KINDS`.

    """

    channel: int = 0
    channel_names: Sequence[str] = ("",)
    num_maps: int = 1
    kind: str = ""

    def tr(self, text: str) -> str:
        """Return a text in the language of the interface."""
        return QCoreApplication.translate("StripWords", text)

    def chosen(self, explanation: Explanation) -> int:
        """Return which of the channels that a cell reads is spelled out: the chosen one, or the nearest it reads."""
        return min(max(self.channel - explanation.input_channels.start, 0), len(explanation.values) - 1)

    def channel_label(self, explanation: Explanation, index: int) -> str:
        """Return "R" or "ch 12" for one of the channels that a cell reads."""
        name = self.channel_names[explanation.input_channels[index]]
        return self.tr("ch {name}").format(name=name) if name.isdecimal() else name

    # ---- which cell, and what it reads

    def title(self, explanation: Explanation) -> str:
        """Return what was computed, at which output cell, and of which channel where each is taken by itself."""
        place, *cell = explanation.position
        if not cell:
            where = self.tr("unit {unit}").format(unit=place)
        elif isinstance(explanation, ConvExplanation) and self.num_maps > 1:
            where = self.tr("map {map}, cell ({row}, {col})").format(map=place, row=cell[0], col=cell[1])
        else:
            where = self.tr("output ({row}, {col})").format(row=cell[0], col=cell[1])
        title = self.tr("{operation} at {where}").format(operation=self._operation(explanation), where=where)
        if cell and len(self.channel_names) > 1 and not isinstance(explanation, ConvExplanation):
            title += " · " + self.tr("channel {name} alone").format(name=self.channel_names[place])
        return title

    def _operation(self, explanation: Explanation) -> str:
        if isinstance(explanation, ConvExplanation):
            return self.tr("Dot product")
        if isinstance(explanation, MaxExplanation):
            return self.tr("Maximum")
        if isinstance(explanation, AvgExplanation):
            return self.tr("Average")
        return self.function_name()

    def function_name(self) -> str:
        """Return what a function of one cell is called."""
        return kind_name(self.kind) if self.kind in LAYER_KINDS else self.tr("Value")

    def reads(self, explanation: Explanation) -> list[str]:
        """Return phrases that say what the window reads, the most important first."""
        first = explanation.input_channels.start
        row, col = int(explanation.rows[0]), int(explanation.cols[0])
        if isinstance(explanation, PointwiseExplanation):
            if len(explanation.position) == 3:
                return [self.tr("input row {row}, column {col}").format(row=row, col=col)]
            if self.kind == "flatten":
                text = self.tr("input channel {channel}, row {row}, column {col}")
                return [text.format(channel=first, row=row, col=col)]
            return [self.tr("input {unit}").format(unit=first)]
        count = len(explanation.values)
        if len(explanation.position) == 1:
            lines, cols = wrapped_shape(count)
            text = self.tr("{count} inputs, shown in rows of {cols}") if lines > 1 else self.tr("{count} inputs")
            return [text.format(count=count, cols=cols)]
        text = self.tr("window rows {rows}, columns {cols}")
        if explanation.is_padding.size == 1:
            text = self.tr("window row {rows}, column {cols}")
        phrases = [text.format(rows=span_text(explanation.rows), cols=span_text(explanation.cols))]
        if not isinstance(explanation, ConvExplanation) and len(self.channel_names) > 1:
            phrases.append(self.tr("each channel is pooled by itself"))
        elif reads_channels_as_window(explanation):
            lines, cols = wrapped_shape(count)
            text = self.tr("{count} channels, shown in rows of {cols}") if lines > 1 else self.tr("{count} channels")
            phrases.append(text.format(count=count, cols=cols))
        if isinstance(explanation, ConvExplanation) and count < len(self.channel_names):
            text = self.tr("input channel {span} only") if count == 1 else self.tr("input channels {span} only")
            phrases.append(text.format(span=span_text(explanation.input_channels)))
        in_padding = int(explanation.is_padding.sum())
        if in_padding:
            text = self.tr("{count} of {taps} taps in the padding")
            phrases.append(text.format(count=in_padding, taps=explanation.is_padding.size))
        return phrases

    # ---- how the numbers become the result

    def terms(self, explanation: Explanation) -> Terms:
        """Return what is summed up or compared: of a convolution with several channels, the chosen one's products."""
        if isinstance(explanation, PointwiseExplanation):
            return Terms([[self.applied(explanation)]], "", 1)
        if isinstance(explanation, ConvExplanation):
            if reads_channels_as_window(explanation):
                values, weights = explanation.values[None, :, 0, 0], explanation.weights[None, :, 0, 0]
            else:
                chosen = self.chosen(explanation)
                values, weights = explanation.values[chosen], explanation.weights[chosen]
            rows = [
                [f"({format_number(v)}×{format_number(w)})" for v, w in zip(row, ws, strict=True)]
                for row, ws in zip(_first(values), _first(weights), strict=True)
            ]
            if reads_channels_as_window(explanation) and len(explanation.position) == 3:
                rows = [[f"{self.channel_label(explanation, k)} {term}" for k, term in enumerate(rows[0])]]
            return Terms(rows, " + ", values.size)
        values = explanation.values[0]
        if isinstance(explanation, AvgExplanation):
            rows = [
                [_operand(v) for v, counts in zip(row, counted, strict=True) if counts]
                for row, counted in zip(_first(values), _first(explanation.counted), strict=True)
            ]
            return Terms([row for row in rows if row], " + ", int(explanation.counted.sum()))
        return Terms([[format_number(v) for v in row] for row in _first(values)], ", ", values.size)

    def formula(self, explanation: Explanation) -> Terms:
        """Return the terms as a formula: "R: (1×2) + …", "max(1, 2)", "(1 + 2) / 2"."""
        terms = self.terms(explanation)
        opening = closing = ""
        if isinstance(explanation, ConvExplanation):
            if len(self.channel_names) > 1 and not reads_channels_as_window(explanation):
                opening = f"{self.channel_label(explanation, self.chosen(explanation))}: "
        elif isinstance(explanation, AvgExplanation):
            opening, closing = ("(", ")") if terms.count > 1 else ("", "")
            closing += f" / {explanation.divisor}"
        elif isinstance(explanation, MaxExplanation):
            opening, closing = "max(", ")"
        if terms.rows:
            terms.rows[0][0] = opening + terms.rows[0][0]
            terms.rows[-1][-1] += closing
        return terms

    def sums(self, explanation: ConvExplanation, chosen_first: bool) -> Iterator[tuple[str, bool]]:
        """Yield each channel's partial sum, and whether it is the one spelled out."""
        sums, chosen = explanation.channel_sums.tolist(), self.chosen(explanation)
        order: Iterable[int] = range(len(sums))
        if chosen_first:
            order = (chosen, *range(chosen), *range(chosen + 1, len(sums)))
        for k in order:
            yield f"{self.channel_label(explanation, k)} {format_number(sums[k])}", k == chosen

    def more_sums(self, count: int) -> str:
        """Return what stands for partial sums that had no room."""
        return self.tr("… ({count} more)").format(count=count)

    def _total_of_channels(self, explanation: ConvExplanation, most: int) -> str:
        """Return up to ``most`` partial sums, `SUMS_A_LINE` a line, and their total."""
        texts = [text for text, _ in islice(self.sums(explanation, chosen_first=False), most)]
        if len(texts) < len(explanation.channel_sums):
            texts.append(self.more_sums(len(explanation.channel_sums) - len(texts)))
        lines = [" + ".join(texts[k : k + SUMS_A_LINE]) for k in range(0, len(texts), SUMS_A_LINE)]
        return " +\n".join(lines) + f" = {format_number(explanation.total)}"

    def outcome(self, explanation: Explanation, most_sums: int) -> str:
        """Return what follows the terms; of many channels, ``most_sums`` partial sums."""
        result = format_number(explanation.result)
        if isinstance(explanation, ConvExplanation):
            head = f"= {format_number(explanation.total)}"
            if shows_sums(explanation):
                own = float(explanation.channel_sums[self.chosen(explanation)])
                head = f"= {format_number(own)}; {self._total_of_channels(explanation, most_sums)}"
            bias = format_number(explanation.bias)
            return self.tr("{head} + bias {bias} = {result}").format(head=head, bias=bias, result=result)
        if isinstance(explanation, AvgExplanation):
            return f"= {format_number(explanation.total)} / {explanation.divisor} = {result}"
        if isinstance(explanation, MaxExplanation):
            return f"→ {result}"
        return f"{self.normalised(explanation)}= {result}"

    def winner(self, explanation: MaxExplanation) -> str:
        """Return where a maximum came from."""
        if explanation.winner is None:
            return self.tr("only padding in the window")
        a, b = explanation.winner
        row, col = int(explanation.rows[a]), int(explanation.cols[b])
        text = self.tr("from input row {row}, column {col}").format(row=row, col=col)
        ties = int(explanation.tied.sum())
        if ties == 1 or math.isnan(explanation.result):
            return text
        return text + " · " + self.tr("{count} cells tie, the first one wins").format(count=ties)

    # ---- functions of one cell

    def definition(self) -> str:
        """Return what a function of one cell computes; "" for a layer of another kind."""
        definitions = {
            "relu": "max(0, x)",
            "sigmoid": "1 / (1 + e^−x)",
            "tanh": "(e^x − e^−x) / (e^x + e^−x)",
            "gelu": self.tr("x · Φ(x), Φ: share of the normal distribution below x"),
            "batch_norm": self.tr("(x − mean) / √(var + eps) · weight + bias"),
            "dropout": self.tr("Dropout passes its input on when not training"),
            "flatten": self.tr("cells become units in reading order, channel by channel"),
            OFF: self.tr("the layer is off: it passes its input on"),
        }
        return definitions.get(self.kind, "")

    def applied(self, explanation: PointwiseExplanation) -> str:
        """Return the definition with the cell's numbers in it."""
        x = explanation.value
        number = format_number(x)
        if isinstance(explanation, NormExplanation):
            deviation = f"({number} {_minus(explanation.mean)})"
            spread = f"√({format_number(explanation.variance)} + {format_number(explanation.eps)})"
            return f"{deviation} / {spread} {self._affine(explanation)}"
        formulas = {
            "relu": f"max(0, {number})",
            "sigmoid": f"1 / (1 + e^{format_number(-x)})",
            "tanh": f"tanh({number})",
            "gelu": f"{number} · {format_number(math.erfc(-x / math.sqrt(2)) / 2)}",
        }
        return formulas.get(self.kind, number)

    def normalised(self, explanation: Explanation) -> str:
        """Return "= 1.2 · weight + bias " in numbers for a batch-normalised cell, "" for others."""
        if not isinstance(explanation, NormExplanation):
            return ""
        return f"= {format_number(explanation.normalised)} {self._affine(explanation)} "

    def _affine(self, explanation: NormExplanation) -> str:
        return f"· {_operand(explanation.weight)} {_plus(explanation.bias)}"

    # ---- everything

    def describe(self, explanation: Explanation) -> str:
        """Return all of it, a line a kernel row where the rows are short, and at most `MOST_TERMS` and `MOST_SUMS`."""
        terms = self.terms(explanation)
        rows = [row[k : k + TERMS_A_LINE] for row in terms.rows for k in range(0, len(row), TERMS_A_LINE)]
        lines = [terms.separator.join(row) for row in rows]
        if terms.left_out:
            lines.append(self.tr("… and {count} more terms").format(count=terms.left_out))
        definition = [self.definition()] if isinstance(explanation, PointwiseExplanation) and self.definition() else []
        spelled = (terms.separator.rstrip() + "\n").join(lines)
        outcome = self.outcome(explanation, MOST_SUMS).replace("; ", "\n", 1)
        return "\n".join([self.title(explanation), *definition, spelled, outcome])


def shows_sums(explanation: ConvExplanation) -> bool:
    """Return whether channels have partial sums that are worth telling."""
    return len(explanation.values) > 1 and not reads_channels_as_window(explanation)


def _first(array: NDArray[Any]) -> list[list[Any]]:
    """Return the first rows of an (H, W) array, in all at most `MOST_TERMS`."""
    rows: list[list[Any]] = array[: max(1, MOST_TERMS // array.shape[1]), :MOST_TERMS].tolist()
    return rows


def _operand(value: float) -> str:
    """Return a number as it stands after a sign."""
    text = format_number(value)
    return f"({text})" if text.startswith("−") else text


def _plus(value: float) -> str:
    return f"{'−' if value < 0 else '+'} {format_number(abs(value))}"


def _minus(value: float) -> str:
    return f"{'+' if value < 0 else '−'} {format_number(abs(value))}"

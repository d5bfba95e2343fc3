"""The chosen tensor: its histogram, what its numbers are, and what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QCoreApplication, QEvent, Qt, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from convviz.core.layers import times
from convviz.core.numbers import format_number, grouped
from convviz.core.plain_text import visible
from convviz.core.statistics import Statistics
from convviz.ui import theme
from convviz.ui.inspect.model import InspectModel
from convviz.ui.inspect.session import TensorFacts
from convviz.ui.refusals import said
from convviz.ui.widgets.elided_label import ElidedLabel
from convviz.ui.widgets.histogram import Histogram
from convviz.ui.widgets.tooltips import name_tooltip

if TYPE_CHECKING:
    from convviz.nn.weights import Kind

_translate = partial(QCoreApplication.translate, "TensorFacts")
MOST_LISTED: Final = 4
"""Filters with something wrong that are named; of more, the count is said."""


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as it is written everywhere; a tensor without dimensions is one number."""
    return times(shape) if shape else "1"


def kind_name(kind: Kind) -> str:
    """Return what a tensor is there for."""
    names = {
        "weight": _translate("weight"),
        "buffer": _translate("buffer"),
        "optimizer": _translate("optimizer"),
        "other": _translate("other"),
    }
    return names[kind]


def faults(facts: TensorFacts) -> list[str]:
    """Return what is wrong with a tensor, each in a few words."""
    if facts.refusal is not None:
        return [visible(said(facts.refusal))]
    words = []
    if facts.statistics is not None:
        for count, name in ((facts.statistics.nans, "NaN"), (facts.statistics.infs, "inf")):
            if count:
                words.append(f"{grouped(count)} {name}")
    if facts.filters is not None:
        dead = facts.filters.dead
        copies = [copy for _, copy in facts.filters.duplicates]
        if dead:
            words.append(_filters(_translate("1 dead filter"), _translate("{count} dead filters"), dead))
        if copies:
            words.append(_filters(_translate("1 duplicate filter"), _translate("{count} duplicate filters"), copies))
    return words


def _filters(one: str, many: str, indices: Sequence[int]) -> str:
    text = one if len(indices) == 1 else many.format(count=grouped(len(indices)))
    listed = ", ".join(map(str, indices[:MOST_LISTED])) + (", …" if len(indices) > MOST_LISTED else "")
    return f"{text} ({listed})"


class TensorFactsPanel(QWidget):
    """Shows the chosen tensor of the model."""

    def __init__(self, model: InspectModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.name = ElidedLabel(0.85, bold=True, muted=True)
        self.histogram = Histogram()
        self.histogram.setAccessibleName(self.tr("Histogram of the chosen tensor"))
        self.wrong = self._text_label(self.tr("What is wrong"))
        self.compared = self._text_label(self.tr("Comparison"))
        self.values: dict[str, QLabel] = {}
        self._rows: dict[str, QWidget] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.name)
        self._column.addWidget(self.histogram)
        for key, text in (
            ("range", self.tr("min / max")),
            ("mean", self.tr("mean ± std")),
            ("counts", self.tr("zeros · NaN · inf")),
            ("filters", self.tr("dead · duplicate filters")),
        ):
            self._add_row(key, text)
        self._column.addWidget(self.wrong)
        self._column.addWidget(self.compared)
        model.tensor_chosen.connect(self.show_tensor)
        model.tensor_changed.connect(self.show_tensor)
        model.other_changed.connect(self.show_tensor)
        model.facts_changed.connect(self._on_facts)
        self._restyle()
        self.show_tensor()

    def _add_row(self, key: str, text: str) -> None:
        label, value = ElidedLabel(muted=True), QLabel()
        label.set_text(text)
        value.setTextFormat(Qt.TextFormat.PlainText)
        value.setAccessibleName(text)
        value.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._rows[key], self.values[key] = QWidget(), value
        row = QHBoxLayout(self._rows[key])
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label, 1)
        row.addWidget(value)
        self._column.addWidget(self._rows[key])

    def _text_label(self, name: str) -> QLabel:
        label = QLabel()
        label.setTextFormat(Qt.TextFormat.PlainText)
        label.setWordWrap(True)
        label.setAccessibleName(name)
        return label

    @Slot(object)
    def _on_facts(self, indices: list[int]) -> None:
        if self._model.tensor_index in indices:
            self.show_tensor()

    @Slot()
    def show_tensor(self) -> None:
        """Show what is known of the chosen tensor."""
        model = self._model
        info = model.info
        facts = None if model.tensor_index is None else model.facts.get(model.tensor_index)
        self.setVisible(info is not None)
        if info is None:
            return
        self.name.set_text(f"{visible(info.short)} · {shape_text(info.shape)}")
        self.name.setToolTip(name_tooltip(info.name, f"{shape_text(info.shape)} · {visible(info.dtype)}"))
        found = None if facts is None else facts.statistics
        if found is None:
            self.histogram.clear()
        else:
            self.histogram.show_counts(found.histogram, found.edges)
        filters = None if facts is None else facts.filters
        counts = None if filters is None else (len(filters.dead), len(filters.duplicates))
        for key, text in _texts(found, pending=facts is None).items():
            self.values[key].setText(text)
        self.values["filters"].setText("" if counts is None else " · ".join(map(grouped, counts)))
        self._rows["filters"].setVisible(counts is not None)
        wrong = [] if facts is None else faults(facts)
        self.wrong.setText("\n".join(f"⚠ {words}" for words in wrong))
        self.wrong.setVisible(bool(wrong))
        self.compared.setText(self._comparison())
        self.compared.setVisible(bool(self.compared.text()))

    def _comparison(self) -> str:
        tensor, other = self._model.tensor, self._model.other
        if other is None or tensor is None:
            return ""
        _, name = self._model.file_names
        if tensor.other is None:
            return self.tr("{file} has no such tensor of this shape.").format(file=name)
        return self.tr("Compared with {file}.").format(file=name)

    def changeEvent(self, event: QEvent) -> None:
        """Follow font and palette."""
        super().changeEvent(event)
        if event.type() in {QEvent.Type.FontChange, QEvent.Type.PaletteChange} and hasattr(self, "_column"):
            self._restyle()

    def _restyle(self) -> None:
        self._column.setSpacing(round(0.25 * theme.unit()))
        theme.mute(self.compared)
        for value in self.values.values():
            value.setFont(theme.font(bold=True))


def _texts(found: Statistics | None, pending: bool) -> dict[str, str]:
    if found is None:
        return dict.fromkeys(("range", "mean", "counts"), "…" if pending else "–")
    return {
        "range": _joined(" / ", found.minimum, found.maximum),
        "mean": _joined(" ± ", found.mean, found.std),
        "counts": " · ".join(map(grouped, (found.zeros, found.nans, found.infs))),
    }


def _joined(sign: str, *values: float) -> str:
    """Return those of the values that there are."""
    return sign.join(format_number(value) for value in values if not math.isnan(value)) or "–"

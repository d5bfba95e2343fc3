"""The Inspect page's left panel: the file, its tensors, and what is known of the chosen one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, cast

from PySide6.QtCore import QCoreApplication, QEvent, QSize, Qt, Signal, Slot
from PySide6.QtWidgets import QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from convviz.core.numbers import grouped
from convviz.core.plain_text import visible
from convviz.ui import theme
from convviz.ui.inspect.model import InspectModel
from convviz.ui.inspect.tensor_facts import TensorFactsPanel
from convviz.ui.inspect.tensor_tree import TensorTree
from convviz.ui.refusals import said
from convviz.ui.widgets.buttons import FlatButton, Kind
from convviz.ui.widgets.elided_label import ElidedLabel
from convviz.ui.widgets.fields import FieldRow, Section, combo_box
from convviz.ui.widgets.side_panel import SidePanel
from convviz.ui.widgets.tooltips import name_tooltip

if TYPE_CHECKING:
    from convviz.nn.chain import Activation, ChainChoice, Pooling
    from convviz.nn.recognise import Recognition
    from convviz.nn.tensor_file import Contents

PANEL_UNITS: Final = 41
"""The panel's first width."""
STEP: Final = 1000
_translate = partial(QCoreApplication.translate, "FilePanel")


def size_text(num_bytes: int) -> str:
    """Return a file's size as people write it: "314 KB", "46.8 MB"."""
    size, units = float(num_bytes), ["B", "KB", "MB", "GB"]
    while size >= STEP - 0.5 and len(units) > 1:
        size, units = size / STEP, units[1:]
    return f"{size:.3g} {units[0]}" if size < STEP - 0.5 else f"{size:.0f} {units[0]}"


def contents_text(contents: Contents) -> str:
    """Return how much is in a file, and that it is nothing but numbers."""
    weights = sum(info.count for info in contents.infos if info.kind == "weight")
    dtypes = dict.fromkeys(info.dtype for info in contents.infos)
    count = len(contents.infos)
    return " · ".join(
        (
            (_translate("1 tensor") if count == 1 else _translate("{count} tensors")).format(count=grouped(count)),
            (_translate("1 parameter") if weights == 1 else _translate("{count} parameters")).format(
                count=grouped(weights)
            ),
            *map(visible, dtypes),
            _translate("no code inside"),
        )
    )


def choice_text(choice: ChainChoice) -> str:
    """Return what a proposed chain reads, and how its sizes follow."""
    ends = {"flatten": "", "max": _translate("global maximum"), "avg": _translate("global mean")}
    pooled = _translate("pooled after each")
    if choice.every > 1:
        pooled = _translate("pooled after every {count}").format(count=choice.every)
    parts = (
        f"{choice.size}×{choice.size}",
        _translate("padded") if choice.padded else _translate("not padded"),
        _translate("no pooling") if choice.pooling == "none" else pooled,
        ends[choice.end],
    )
    return ", ".join(part for part in parts if part)


class ProposalFields(QWidget):
    """What the weights do not say of a plain chain, to be confirmed."""

    confirmed = Signal(object)
    """A ChainChoice."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._choices: Sequence[ChainChoice] = ()
        self.words = _text_label(self.tr("About the network"))
        self.words.setText(
            self.tr("Its layers could be a plain chain. Confirm what the weights do not say, to look at pictures.")
        )
        self.shapes = combo_box(
            self.tr("Sizes"),
            self.tr("The picture's size, whether convolutions are padded, after how many of them maps are pooled."),
        )
        self.pooling = combo_box(self.tr("Pooling"), self.tr("What halves height and width."))
        self.pooling.addItem(self.tr("max pooling"), "max")
        self.pooling.addItem(self.tr("average pooling"), "avg")
        self.activation = combo_box(self.tr("Activation"), self.tr("What stands behind each layer but the last."))
        for key, name in (("relu", "ReLU"), ("sigmoid", "Sigmoid"), ("tanh", "Tanh"), ("gelu", "GELU")):
            self.activation.addItem(name, key)
        self.confirm = FlatButton(text=self.tr("Use this network"), kind=Kind.PRIMARY)
        self.confirm.setToolTip(self.tr("Look at pictures through the chain as it is described here."))
        self.confirm.setAccessibleName(self.confirm.text())
        self.confirm.clicked.connect(self._on_confirm)
        self.shapes.currentIndexChanged.connect(self._on_shapes)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self.words, self.shapes, FieldRow(self.pooling, self.activation), self.confirm):
            column.addWidget(part)

    def show_choices(self, choices: Sequence[ChainChoice]) -> None:
        """Offer other choices; the first is the likeliest."""
        self._choices = choices
        self.shapes.clear()
        self.shapes.addItems([choice_text(choice) for choice in choices])

    @Slot(int)
    def _on_shapes(self, index: int) -> None:
        if index >= 0:
            choice = self._choices[index]
            self.pooling.setEnabled(choice.pooling != "none")
            self.pooling.setCurrentIndex(max(0, self.pooling.findData(choice.pooling)))
            self.activation.setCurrentIndex(self.activation.findData(choice.activation))

    @Slot()
    def _on_confirm(self) -> None:
        choice = self._choices[self.shapes.currentIndex()]
        if choice.pooling != "none":
            choice = replace(choice, pooling=cast("Pooling", self.pooling.currentData()))
        self.confirmed.emit(replace(choice, activation=cast("Activation", self.activation.currentData())))


class FileSection(Section):
    """Says what the file is and which network it may hold, and lets that be chosen."""

    open_wanted = Signal()
    recent_wanted = Signal(QWidget)
    """The menu of recent files is wanted below this button."""

    def __init__(self, model: InspectModel, parent: QWidget | None = None) -> None:
        super().__init__(QCoreApplication.translate("FileSection", "FILE"), parent)
        self._model = model
        self.name = ElidedLabel(bold=True)
        self.size_and_format = ElidedLabel(muted=True)
        self.contents = _text_label(self.tr("What is in the file"))
        self.network = _text_label(self.tr("Network"))
        self.networks = combo_box(self.tr("Network"), self.tr("The shapes fit several networks; choose which it is."))
        self.networks.activated.connect(model.choose_network)
        self.look = FlatButton(text=self.tr("Look for its network"))
        self.look.setToolTip(self.tr("Compare names and shapes with those of known networks."))
        self.look.setAccessibleName(self.look.text())
        self.look.clicked.connect(model.recognise)
        self.proposal = ProposalFields()
        self.proposal.confirmed.connect(model.confirm)
        self.open = FlatButton("open", self.tr("Open…"))
        self.open.setToolTip(self.tr("Open another file of weights."))
        self.open.setAccessibleName(self.tr("Open a file of weights"))
        self.open.clicked.connect(self.open_wanted)
        self.recent = FlatButton("down")
        self.recent.setToolTip(self.tr("Recent files and the networks that come with convviz."))
        self.recent.setAccessibleName(self.tr("Recent files"))
        self.recent.clicked.connect(lambda: self.recent_wanted.emit(self.recent))
        row = QWidget()
        self._row = QHBoxLayout(row)
        self._row.setContentsMargins(0, 0, 0, 0)
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(self.name)
        names.addWidget(self.size_and_format)
        self._row.addLayout(names, 1)
        self._row.addWidget(self.open)
        self._row.addWidget(self.recent)
        for part in (row, self.contents, self.network, self.networks, self.look, self.proposal):
            self.add_wide(part)
        self._mute()
        model.contents_changed.connect(self.show_contents)
        model.network_changed.connect(self.show_network)
        model.opening_changed.connect(self.show_network)
        self.show_contents()

    @Slot()
    def show_contents(self) -> None:
        """Show what another file is."""
        contents = self._model.contents
        if contents is not None:
            self.name.set_text(visible(contents.path.name))
            self.name.setToolTip(name_tooltip(str(contents.path)))
            self.size_and_format.set_text(f"{size_text(contents.num_bytes)} · {contents.format}")
            self.contents.setText(contents_text(contents))
        self.show_network()

    @Slot()
    def show_network(self) -> None:
        """Show what its network may be."""
        model, found = self._model, self._recognition
        proposal = None if found is None else found.proposal
        names = [] if found is None else [network.name for network in found.networks]
        self.network.setText(self._network_text())
        self.network.setVisible(bool(self.network.text()))
        self.networks.setVisible(len(names) > 1)
        if [self.networks.itemText(index) for index in range(self.networks.count())] != names:
            self.networks.clear()
            self.networks.addItems(names)
        if model.network in model.networks:
            self.networks.setCurrentIndex(model.networks.index(model.network))
        self.look.setVisible(found is None and not model.is_opening)
        if proposal is not None and self.proposal.isHidden():
            self.proposal.show_choices(proposal.choices)
        self.proposal.setVisible(proposal is not None)
        self.proposal.words.setVisible(model.network is None)

    @property
    def _recognition(self) -> Recognition | None:
        return self._model.recognition if self._model.is_file_listed else None

    def _network_text(self) -> str:
        model, found = self._model, self._recognition
        if found is None:
            return self.tr("Looking for its network…") if model.is_opening else ""
        if found.reason is not None:
            return visible(said(found.reason))
        if len(found.networks) > 1:
            return self.tr("Its shapes fit several networks:")
        if model.network is None:
            return ""
        if found.proposal is not None:
            return self.tr("Seen as: {network}, as confirmed").format(network=model.network.name)
        return self.tr("Recognised as: {network}").format(network=model.network.name)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the palette."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_row"):
            self._mute()

    def _mute(self) -> None:
        theme.mute(self.contents)


class FilePanel(SidePanel):
    """The panel at the left of the page."""

    def __init__(self, model: InspectModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self.file = FileSection(model)
        self.search = QLineEdit()
        self.search.setPlaceholderText(self.tr("Search…"))
        self.search.setClearButtonEnabled(True)
        self.search.setAccessibleName(self.tr("Search tensors"))
        self.search.setToolTip(self.tr("Words of a name, a type, or a shape such as 3×3."))
        self.tree = TensorTree(lambda: model.listed_facts)
        self.found = _text_label(self.tr("Found tensors"))
        self.facts = TensorFactsPanel(model)
        tensors = Section(self.tr("TENSORS"))
        tensors.add_wide(self.search)
        tensors.add_wide(self.found)
        self.set_parts(self.file, tensors, self.tree, self.facts, stretched=self.tree)
        self.search.textChanged.connect(self._on_search)
        self.tree.tensor_chosen.connect(model.choose_tensor)
        self.tree.rows_seen.connect(model.prefer)
        model.contents_changed.connect(self.show_contents)
        model.file_changed.connect(self.tree.report_rows)
        model.tensor_chosen.connect(self._show_chosen)
        model.facts_changed.connect(self._on_facts)
        self.show_contents()

    @Slot()
    def show_contents(self) -> None:
        """List the tensors of another file."""
        model, contents = self._model, self._model.contents
        self.search.clear()
        self.tree.show_infos(() if contents is None else contents.infos)
        self.tree.show_facts(model.listed_facts)
        self._show_chosen()
        self._show_found()

    @Slot()
    def _show_chosen(self) -> None:
        if self._model.is_file_listed:
            self.tree.show_chosen(self._model.tensor_index)

    @Slot(object)
    def _on_facts(self, indices: list[int]) -> None:
        self.tree.show_facts(indices)
        self._show_found()

    @Slot(str)
    def _on_search(self, text: str) -> None:
        self.tree.tensors.search(text)
        self._show_found()

    @Slot()
    def _show_found(self) -> None:
        """Say how many tensors are found, and in how many something is wrong."""
        tensors, lines = self.tree.tensors, []
        if self.search.text():
            lines.append(self.tr("{count} found").format(count=grouped(tensors.num_shown)))
        if tensors.num_faulty:
            lines.append(
                self.tr("⚠ Something is wrong with 1 tensor.")
                if tensors.num_faulty == 1
                else self.tr("⚠ Something is wrong with {count} tensors.").format(count=grouped(tensors.num_faulty))
            )
        self.found.setText("\n".join(lines))
        self.found.setVisible(bool(lines))

    def sizeHint(self) -> QSize:
        """Return the first width; the user may give it another."""
        unit = theme.unit()
        return QSize(round(PANEL_UNITS * unit), round(80 * unit))

    def minimumSizeHint(self) -> QSize:
        """Return the width that everything inside needs, and a height that scrolls."""
        return QSize(super().sizeHint().width(), super().minimumSizeHint().height())


def _text_label(name: str) -> QLabel:
    label = QLabel()
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setAccessibleName(name)
    return label

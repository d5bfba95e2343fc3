"""The chosen file's network on a picture: a layer's maps, the answer, what a unit sees, what excites a channel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, QSize, Qt, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from convviz.core import display
from convviz.core.numbers import format_number
from convviz.core.plain_text import visible
from convviz.ui import theme
from convviz.ui.inspect.model import InspectModel
from convviz.ui.inspect.preprocessing_row import MOST_SIDE, PreprocessingRow, preprocessing_text
from convviz.ui.inspect.region_strip import RegionStrip, SeenPart
from convviz.ui.inspect.results import ResultView
from convviz.ui.inspect.session import Cover, Question, Seen
from convviz.ui.inspect.unit_facts import UnitFacts
from convviz.ui.widgets.bars import ClassBars
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.card import Card, Hint
from convviz.ui.widgets.color_bar import ColorBar
from convviz.ui.widgets.fields import combo_box, fit_digits, whole_number
from convviz.ui.widgets.folding import FoldingRow
from convviz.ui.widgets.live_text import LiveText
from convviz.ui.widgets.mosaic import Mosaic
from convviz.ui.widgets.page_stack import PageStack
from convviz.ui.widgets.picture_view import PictureView
from convviz.ui.widgets.progress_row import ProgressRow
from convviz.ui.widgets.scope import EACH, FIXED, LAYER, ColourScope, own_levels
from convviz.ui.widgets.tool_row import Heading, Stepper, ToolRow

if TYPE_CHECKING:
    from convviz.core.receptive_field import Region
    from convviz.nn.data import Dataset
    from convviz.nn.network import LayerInfo
    from convviz.nn.source import DataProgress

Floats = NDArray[np.floating]

MOST_CLASSES: Final = 3
"""How many of the most probable classes are listed."""
BESIDE_UNITS: Final = 66.0
"""The width from which picture, maps and unit stand beside each other."""
COVER_SHARE: Final = 4
"""A new cover is so many times smaller than the picture."""
EXAMPLE: Final = "−0.000e−00"


class ThroughPanel(Card):
    """Shows what the model sees through its network. A click on a cell of a map chooses the unit."""

    picture_wanted = Signal()
    data_folder_wanted = Signal()
    paste_wanted = Signal()
    result_shown = Signal()

    def __init__(self, model: InspectModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._shown: Seen | None = None
        self._dataset: Dataset | None = None
        self._scope = ColourScope()
        self._hovered: tuple[int, int, int] | None = None
        self._make_tools()
        self._make_views()
        self._lay_out()
        self._connect()
        self._show_network()

    def _make_tools(self) -> None:
        self._layer = combo_box(self.tr("Layer"), self.tr("The layer whose feature maps are shown."))
        self._layer.setMinimumContentsLength(26)
        self._scopes = Choices(
            (
                (EACH, self.tr("Map"), self.tr("Each map has colours up to its own largest number.")),
                (LAYER, self.tr("Layer"), self.tr("All maps share the colours of the layer's largest number.")),
                (FIXED, self.tr("Fixed"), self.tr("The colours stay as they are, to compare pictures.")),
            )
        )
        self._scopes.choose(self._scope.kind)
        self._scopes.setAccessibleName(self.tr("Colour scope"))
        self.bar = ColorBar(self.tr("Feature maps"))
        self._sample = Stepper(self.tr("Picture"), self.tr("Which test picture of the data set is shown."), first=0)
        self._pictures = FlatButton("open", self.tr("Picture…"))
        self._pictures.setToolTip(self.tr("Open or paste a picture, or take those of another data set."))
        self._pictures.setAccessibleName(self.tr("Choose a picture"))
        self._menu = QMenu(self)
        self._prepare = FlatButton(text=self.tr("Preprocessing"))
        self._prepare.setCheckable(True)
        self._prepare.setToolTip(self.tr("How a picture is prepared: size, mean and standard deviation."))
        self._tools = ToolRow(
            Heading(self.tr("Feature maps")),
            self._layer,
            self._scopes,
            self.bar,
            self._sample,
            self._pictures,
            self._prepare,
        )
        self.preprocessing = PreprocessingRow()
        self.preprocessing.hide()

    def _make_views(self) -> None:
        self.picture = PictureView()
        self.picture.setAccessibleName(self.tr("The picture as the network reads it"))
        self._caption = QLabel()
        self._caption.setTextFormat(Qt.TextFormat.PlainText)
        self._caption.setWordWrap(True)
        self.classes = ClassBars(
            self.tr("Prediction"), self.tr("How probable the network finds the classes, the most probable first.")
        )
        self._covers = FlatButton(text=self.tr("Grey patch"))
        self._covers.setCheckable(True)
        self._covers.setToolTip(self.tr("Cover a part of the picture; drag it to see what changes."))
        self._covers.setAccessibleName(self._covers.text())
        self._cover_side = whole_number(
            self.tr("Side of the patch"), self.tr("In pixels that the network reads."), 1, MOST_SIDE
        )
        self._cover_side.setValue(8)
        fit_digits(self._cover_side)
        self.maps = Mosaic(wrapped=True, fits=True)
        self.maps.setAccessibleName(self.tr("Feature maps"))
        self.maps.setToolTip(
            self.tr("A click on a cell shows what that unit sees; Ctrl with the wheel changes the size.")
        )
        self._reading = LiveText()
        self.regions = RegionStrip()
        self._region_area = QScrollArea()
        self._region_area.setFrameShape(QFrame.Shape.NoFrame)
        self._region_area.setWidget(self.regions)
        self._region_area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._region_area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.result = ResultView()
        self._leave = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        self._leave.setEnabled(False)
        self.unit = UnitFacts()
        self.progress = ProgressRow()
        self._hint = Hint("")

    def _lay_out(self) -> None:
        left, middle = QWidget(), QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 0, 0)
        patch = QHBoxLayout()
        patch.addWidget(self._covers)
        patch.addWidget(self._cover_side)
        patch.addStretch(1)
        self.classes.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        column.addWidget(self.picture, 1)
        column.addLayout(patch)
        column.addWidget(self._caption)
        column.addWidget(self.classes)
        self._map_page = QWidget()
        column = QVBoxLayout(self._map_page)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.maps, 1)
        column.addWidget(self._reading)
        self._pages = PageStack()
        self._pages.add(self._map_page)
        self._pages.add(self.result)
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._pages, 1)
        column.addWidget(self._region_area)
        self._views = QScrollArea()
        self._views.setFrameShape(QFrame.Shape.NoFrame)
        self._views.setWidgetResizable(True)
        self._views.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._views.setWidget(FoldingRow(BESIDE_UNITS, (left, 3), (middle, 6), (self.unit, 3)))
        self.add(self._tools)
        self.add(self.preprocessing)
        self.add(self.progress)
        self.add(self._hint, 1)
        self.add(self._views, 1)

    def _connect(self) -> None:
        model = self._model
        model.network_changed.connect(self._show_network)
        model.opening_changed.connect(self._show_hint)
        model.wish_changed.connect(self._show_wishes)
        model.seen_changed.connect(self._show_seen)
        model.data_changed.connect(self._show_data)
        model.work_changed.connect(self._show_work)
        self._layer.activated.connect(self._on_layer)
        self._scopes.chosen.connect(self._on_scope)
        self._sample.chosen.connect(model.show_sample)
        self._pictures.clicked.connect(self._open_menu)
        self._prepare.toggled.connect(self.preprocessing.setVisible)
        self.preprocessing.chosen.connect(model.set_preprocessing)
        self._covers.toggled.connect(self._on_cover)
        self._cover_side.valueChanged.connect(self._on_cover_side)
        self.picture.dragged.connect(self._drag_cover)
        self.maps.hovered.connect(self._on_hovered)
        self.maps.activated.connect(self._on_map)
        self.maps.chosen.connect(self._on_map_chosen)
        self.result.closed.connect(self._close_result)
        self._leave.activated.connect(self._close_result)
        self.unit.lab_wanted.connect(model.open_in_lab)
        self.unit.patches_wanted.connect(self._on_patches_wanted)
        self.unit.asked.connect(self._ask)
        self.progress.cancelled.connect(self._cancel)

    # ---- what there is

    @Slot()
    def _show_network(self) -> None:
        model = self._model
        self._layer.clear()
        for layer in model.layers:
            self._layer.addItem(f"{visible(layer.name)} · {'×'.join(map(str, layer.shape))} · {layer.kind}", layer.name)
        self._scope.forget()
        for part in (self._tools, self._views):
            part.setVisible(model.network is not None)
        if model.network is None:
            self.preprocessing.hide()
            self._prepare.setChecked(False)
        self._show_hint()
        self._show_wishes()

    @Slot()
    def _show_hint(self) -> None:
        """Say why there is nothing to be seen, where there is nothing."""
        model = self._model
        self._hint.setVisible(model.network is None)
        if model.file is None:
            self._hint.setText(self.tr("The feature maps of a picture appear here once a file is open."))
        elif model.is_opening:
            self._hint.setText(self.tr("Looking for the network that these weights belong to…"))
        elif model.recognition is not None and model.recognition.proposal is not None:
            self._hint.setText(
                self.tr("Confirm at the left what lies between the layers; then a picture can be shown.")
            )
        else:
            self._hint.setText(self.tr("The network of these weights is not known: filters only."))

    @Slot()
    def _show_wishes(self) -> None:
        """Let the controls say what was chosen."""
        model = self._model
        if model.layer is not None:
            self._layer.setCurrentIndex(self._layer.findData(model.layer.name))
        if model.preprocessing is not None:
            self._prepare.setText(preprocessing_text(model.preprocessing))
            self._prepare.setAccessibleName(self._prepare.text())
            self._prepare.updateGeometry()
            self.preprocessing.show_preprocessing(model.preprocessing)
        self._covers.blockSignals(True)
        self._covers.setChecked(model.cover is not None)
        self._covers.blockSignals(False)
        picture = model.picture
        if picture is not None:
            self._caption.setText(" · ".join(visible(part) for part in (picture.name, picture.label) if part))
        self._leave_samples()

    def _leave_samples(self) -> None:
        """Let the arrows lead back to the data set's pictures where another one is shown."""
        picture = self._model.picture
        self._sample.set_left(picture is not None and not picture.label)

    @Slot()
    def _show_data(self) -> None:
        model = self._model
        if model.dataset is not None and model.dataset is not self._dataset:
            self._dataset = model.dataset
            self._sample.set_count(len(model.dataset.test))
            self._sample.show_number(0)
            self._leave_samples()
        self._tools.set_tool_visible(self._sample, model.dataset is not None)
        self._show_progress()

    def _show_progress(self) -> None:
        model = self._model
        progress: DataProgress | None = model.work_progress if model.is_working else model.data_progress
        if model.is_working or model.is_loading_data:
            text = self.tr("Working") if progress is None else progress.what
            self.progress.show_progress(text, 0.0 if progress is None else progress.done / max(1, progress.total))
        else:
            self.progress.hide()

    @Slot()
    def _cancel(self) -> None:
        if self._model.is_working:
            self._model.cancel_work()
        else:
            self._model.cancel_data()

    # ---- what is seen

    @Slot()
    def _show_seen(self) -> None:
        before, seen = self._shown, self._model.seen
        self._shown = seen
        if seen is None:
            return
        if before is None or seen.look is not before.look:
            self.picture.show_picture(seen.read)
            self._show_maps(seen)
            self._show_classes(seen)
            if before is not None and before.look.layer_name != seen.look.layer_name:
                self._show_maps_again()
        self._show_unit(seen)
        self._read_hovered()

    def _show_maps(self, seen: Seen) -> None:
        maps, shown = display.laid_out(seen.look.maps)
        level, signed = self._scope.level("maps", maps), display.is_signed(maps)
        self.bar.show_scale(level, signed)
        scaled, level_shown = (maps / own_levels(maps), 1.0) if level is None else (maps, level)
        self.maps.set_maps(scaled, level_shown, signed, shown=shown)

    def _show_classes(self, seen: Seen) -> None:
        shares, names = seen.look.probabilities, seen.network.classes
        order = np.argsort(-shares, kind="stable")[:MOST_CLASSES]
        self.classes.show_shares(
            [names[k] if k < len(names) else self.tr("class {number}").format(number=k) for k in order], shares[order]
        )

    def _show_unit(self, seen: Seen) -> None:
        unit, regions = seen.unit, seen.regions
        sees = regions[0][1] if regions and not regions[0][0] else None
        self.picture.show_region(sees and sees.rows, sees and sees.cols)
        self.unit.show_unit(seen)
        layers = {layer.name: layer for layer in seen.network.layers}
        parts = [_seen_part(layers[name], region) for name, region in regions if name]
        self.regions.show_parts(parts)
        self.regions.resize(self.regions.sizeHint())
        self._region_area.setFixedHeight(
            self.regions.sizeHint().height() + self._region_area.horizontalScrollBar().sizeHint().height()
        )
        self._show_region_area(seen)
        if unit is None:
            self.maps.set_chosen(None)
            self.maps.set_mark((), ())
        else:
            channel, row, col = self._place_of(unit)
            self.maps.set_chosen(channel)
            self.maps.set_mark((row,), (col,))

    def _show_region_area(self, seen: Seen) -> None:
        """Keep room for the layers before this one, whether a unit is chosen or not, but none beside a result."""
        self._region_area.setVisible(
            not self._leave.isEnabled() and seen.look.layer_name != seen.network.layers[0].name
        )

    def _place_of(self, unit: tuple[int, ...]) -> tuple[int, int, int]:
        """Return map, row and column where a unit is shown; the units of a vector are the cells of one map."""
        if self._is_vector:
            row, col = divmod(unit[0], self._columns)
            return 0, row, col
        return unit[0], unit[1], unit[2]

    @property
    def _is_vector(self) -> bool:
        return self._shown is not None and self._shown.look.maps.shape[1:] == (1, 1)

    @property
    def _columns(self) -> int:
        assert self._shown is not None
        return display.wrapped_shape(len(self._shown.look.maps))[1]

    def _unit_at(self, cell: tuple[int, int, int]) -> tuple[int, int, int] | None:
        """Return the unit shown at map, row and column."""
        if not self._is_vector:
            return cell
        number = cell[1] * self._columns + cell[2]
        assert self._shown is not None
        return (number, 0, 0) if number < len(self._shown.look.maps) else None

    # ---- maps

    @Slot(object)
    def _on_hovered(self, cell: tuple[int, int, int] | None) -> None:
        self._hovered = cell
        self._read_hovered()

    def _read_hovered(self) -> None:
        """Say the value under the pointer."""
        unit = None if self._hovered is None or self._shown is None else self._unit_at(self._hovered)
        text = self.tr("channel {channel}, ({row}, {col}):  {value}")
        widest = text.format(channel=9999, row=999, col=999, value=EXAMPLE)
        if unit is None or self._shown is None:
            self._reading.set_text("", widest)
            return
        channel, row, col = unit
        value = format_number(float(self._shown.look.maps[channel, row, col]))
        self._reading.set_text(text.format(channel=channel, row=row, col=col, value=value), widest)

    @Slot(int)
    def _on_map(self, index: int) -> None:
        """Choose the unit under the pointer; with the keyboard the one in the middle of a map, or the same cell."""
        cell = self._hovered
        if cell is None or cell[0] != index:
            self._on_map_chosen(index)
            return
        unit = self._unit_at(cell)
        if unit is not None:
            self._model.choose_unit(unit)

    @Slot(int)
    def _on_map_chosen(self, index: int) -> None:
        if self._hovered is not None and self._hovered[0] == index:
            return  # the click that chose it says which unit
        seen = self._shown
        if seen is None or self._is_vector:
            return
        _, height, width = seen.look.maps.shape
        row, col = (height // 2, width // 2) if seen.unit is None else seen.unit[1:]
        self._model.choose_unit((index, row, col))

    # ---- what takes long

    @Slot()
    def _on_patches_wanted(self) -> None:
        self._model.find_patches()

    @Slot(str)
    def _ask(self, kind: str) -> None:
        seen = self._shown
        if seen is None:
            return
        side = max(2, min(seen.read.shape[1:]) // COVER_SHARE)
        if kind == "maximised":
            if seen.unit is not None:
                self._model.ask(Question("maximised", seen.unit[0]))
        else:
            likeliest = int(seen.look.probabilities.argmax())
            self._model.ask(
                Question("grad_cam" if kind == "grad_cam" else "occlusion", likeliest, side, max(1, side // 4))
            )

    @Slot()
    def _show_work(self) -> None:
        self._show_progress()
        model, seen = self._model, self._shown
        if seen is None:
            return
        if model.attribution is not None and model.attribution is not self.result.attribution:
            self.result.show_attribution(model.attribution)
            self._show_result()
        elif model.patches is not None and model.patches is not self.result.patches and seen.unit is not None:
            self.result.show_patches(model.patches, seen.unit[0])
            self._show_result()

    def _show_result(self) -> None:
        self._pages.show_page(self.result)
        self._leave.setEnabled(True)
        if self._shown is not None:
            self._show_region_area(self._shown)
        self.result_shown.emit()

    def reveal(self, part: QWidget) -> None:
        """Scroll to a part of the panel."""
        self._views.ensureWidgetVisible(part)

    @Slot()
    def _show_maps_again(self) -> None:
        self._pages.show_page(self._map_page)
        self._leave.setEnabled(False)
        if self._shown is not None:
            self._show_region_area(self._shown)

    @Slot()
    def _close_result(self) -> None:
        """Show the maps again, and compute no more of what was shown in their place."""
        if self._model.is_working:
            self._model.cancel_work()
        self._show_maps_again()

    # ---- choices

    @Slot(int)
    def _on_layer(self, place: int) -> None:
        self._model.choose_layer(self._layer.itemData(place))

    @Slot(str)
    def _on_scope(self, kind: str) -> None:
        self._scope.choose(kind)
        if self._shown is not None:
            self._show_maps(self._shown)

    @Slot(bool)
    def _on_cover(self, on: bool) -> None:
        if not on or self._shown is None:
            self._model.set_cover(None)
            return
        height, width = self._shown.read.shape[1:]
        self._cover_side.setMaximum(max(height, width))
        fit_digits(self._cover_side)
        self._drag_cover(height // 2, width // 2)

    @Slot()
    def _on_cover_side(self) -> None:
        cover = self._model.cover
        if cover is not None:
            self._drag_cover(cover.top + cover.height // 2, cover.left + cover.width // 2)

    @Slot(int, int)
    def _drag_cover(self, row: int, col: int) -> None:
        if self._covers.isChecked():
            side = self._cover_side.value()
            self._model.set_cover(Cover(row - side // 2, col - side // 2, side, side))

    @Slot()
    def _open_menu(self) -> None:
        menu, model = self._menu, self._model
        menu.clear()
        menu.addAction(self.tr("Open a picture…")).triggered.connect(self.picture_wanted)
        menu.addAction(self.tr("Paste a picture")).triggered.connect(self.paste_wanted)
        menu.addSeparator()
        for key, name in (("shapes10", self.tr("Shapes-10 (drawn)")), ("cifar10", self.tr("CIFAR-10"))):
            menu.addAction(name).triggered.connect(partial(model.load_data, key))
        menu.addAction(self.tr("Folder of pictures…")).triggered.connect(self.data_folder_wanted)
        menu.popup(self._pictures.mapToGlobal(QPoint(0, self._pictures.height())))

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_cover_side"):
            fit_digits(self._cover_side)

    def minimumSizeHint(self) -> QSize:
        """Return a size in which some maps can be seen; what has no room is scrolled to."""
        unit = theme.unit()
        return QSize(round(44 * unit), round(40 * unit))


def _seen_part(layer: LayerInfo, region: Region) -> SeenPart:
    size = (layer.shape[1], layer.shape[2]) if len(layer.shape) == 3 else (1, 1)
    return SeenPart(visible(layer.name), layer.kind, size, region.rows, region.cols)

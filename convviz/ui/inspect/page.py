"""The Inspect page: it puts the file's panel, its filters and what its network sees together."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from PySide6.QtCore import QEvent, QMimeData, QSize, Qt, Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication, QImage, QResizeEvent
from PySide6.QtWidgets import QMenu, QScrollArea, QSplitter, QVBoxLayout, QWidget

from convviz.core.plain_text import shortened, visible
from convviz.core.refusal import RefusalError
from convviz.nn.file_format import TooLargeError
from convviz.resources import resource
from convviz.ui import theme
from convviz.ui.actions import INSPECT_ACTIONS, make_actions
from convviz.ui.file_dialogs import PICTURE_FILTER, ask_for_file, ask_for_folder
from convviz.ui.inspect.empty_state import EmptyState
from convviz.ui.inspect.file_panel import FilePanel, size_text
from convviz.ui.inspect.filters import Filters, FiltersPanel
from convviz.ui.inspect.model import InspectModel, Shipped
from convviz.ui.inspect.session import MOST_FILTER_NUMBERS, LabUnit
from convviz.ui.inspect.shipped import shipped_names
from convviz.ui.inspect.through import ThroughPanel
from convviz.ui.refusals import said
from convviz.ui.settings import Settings
from convviz.ui.widgets.offer_bar import OfferBar
from convviz.ui.widgets.page_stack import PageStack
from convviz.ui.widgets.progress_row import ProgressRow, progress_text
from convviz.ui.widgets.saving import as_png
from convviz.ui.widgets.share_splitter import ShareSplitter

NARROW_UNITS: Final = 120
"""Width of the page below which panel and cards take turns, in spacing units."""
LOWER_SHARE: Final = 0.6
"""How much of the height the picture and its maps get."""
LONGEST_NAME: Final = 60
"""Characters of a tensor's name in a sentence."""
WEIGHTS: Final = "*.pt *.pth *.ckpt *.tar *.th *.t7 *.bin *.safetensors"
PICTURE_SUFFIXES: Final = frozenset(pattern.removeprefix("*") for pattern in PICTURE_FILTER.split())


class InspectPage(QWidget):
    """The third page of the application."""

    lab_wanted = Signal(object)
    """A `LabUnit` is to be stepped through in the Lab."""

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self.model = InspectModel(self)
        self.actions_by_name = make_actions(INSPECT_ACTIONS, self)
        self._controls_wanted: bool | None = None
        self._panel_moved = False
        self._make_widgets()
        self._connect()
        self._rescale()
        self.setAcceptDrops(True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)

    # ---- making

    def _make_widgets(self) -> None:
        self.message = OfferBar()
        self.progress = ProgressRow()
        self.empty = EmptyState()
        self.empty.show_recent(self._settings.recent_files)
        self.panel = FilePanel(self.model)
        self.filters = FiltersPanel()
        self.through = ThroughPanel(self.model)
        self._work = ShareSplitter(self.filters, self.through, self._lower_units)
        margin = QWidget()
        self._margin = QVBoxLayout(margin)
        self._margin.addWidget(self._work)
        self._content = QScrollArea()
        self._content.setFrameShape(QScrollArea.Shape.NoFrame)
        self._content.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._content.setWidgetResizable(True)
        self._content.setWidget(margin)
        self._split = QSplitter(Qt.Orientation.Horizontal)
        self._split.setChildrenCollapsible(False)
        self._split.addWidget(self.panel)
        self._split.addWidget(self._content)
        self._split.setStretchFactor(1, 1)
        self._pages = PageStack()
        self._first = QScrollArea()
        self._first.setFrameShape(QScrollArea.Shape.NoFrame)
        self._first.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._first.setWidgetResizable(True)
        self._first.setWidget(self.empty)
        self._pages.add(self._first)
        self._pages.add(self._split)
        self._recent = QMenu(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.message)
        column.addWidget(self.progress)
        column.addWidget(self._pages, 1)

    def _connect(self) -> None:
        model, act = self.model, self.actions_by_name
        act["open_weights"].triggered.connect(self.choose_file)
        act["paste_picture"].triggered.connect(self.paste)
        for part in (self.empty, self.panel.file):
            part.open_wanted.connect(self.choose_file)
        self.empty.shipped_wanted.connect(self.open_shipped)
        self.empty.path_wanted.connect(self.open)
        self.panel.file.recent_wanted.connect(self._open_menu)
        self._recent.aboutToShow.connect(self._fill_menu)
        self.progress.cancelled.connect(model.cancel_opening)
        model.opening_changed.connect(self._show_opening)
        model.contents_changed.connect(self._on_contents)
        model.file_changed.connect(self._on_file)
        model.tensor_changed.connect(self._show_filters)
        model.failed.connect(self._on_failed)
        model.lab_ready.connect(self._on_lab)
        self._split.splitterMoved.connect(self._on_panel_moved)
        self.filters.saver.folder = self._settings.last_folder
        self.filters.saver.rejected.connect(self.message.show_message)
        self.filters.compare_wanted.connect(self.choose_other)
        self.filters.compare_ended.connect(model.end_comparison)
        self.filters.enlarged_changed.connect(self._work.share)
        self.through.picture_wanted.connect(self.choose_picture)
        self.through.result_shown.connect(lambda: self.reveal(self.through.result))
        self.through.data_folder_wanted.connect(self.choose_folder)
        self.through.paste_wanted.connect(self.paste)
        self._show_filters()

    # ---- showing

    def _lower_units(self, height: float) -> float:
        """Return how much of the height the picture and its maps get, less while the numbers of a filter are shown."""
        return height * (1 - LOWER_SHARE if self.filters.is_enlarged else LOWER_SHARE)

    def reveal(self, part: QWidget) -> None:
        """Scroll to a part of what the network makes of the picture."""
        self.through.reveal(part)
        self._content.ensureWidgetVisible(part)

    @Slot()
    def _show_opening(self) -> None:
        model = self.model
        if model.is_opening:
            progress = model.opening
            share = progress.done / progress.total if progress is not None and progress.total else 0.0
            self.progress.show_progress(self.tr("Opening…") if progress is None else progress_text(progress), share)
        else:
            self.progress.hide()

    @Slot()
    def _on_contents(self) -> None:
        self._pages.show_page(self._first if self.model.contents is None else self._split)
        self.show_controls(self._controls_wanted)
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    @Slot()
    def _on_file(self) -> None:
        file = self.model.file
        if file is None:
            return
        self.message.clear()
        if file.path.parent != resource("weights"):
            self._settings.add_recent_file(file.path)

    @Slot()
    def _show_filters(self) -> None:
        model = self.model
        tensor, info = model.tensor, model.info
        if tensor is not None and tensor.kernels is not None and tensor.facts.filters is not None:
            name, shape = tensor.info.short, tensor.info.shape
            filters = Filters(name, shape, tensor.kernels, tensor.facts.filters, tensor.other_kernels, model.file_names)
            self.filters.show_filters(filters)
        elif model.file is None:
            self.filters.clear(self.tr("The filters appear here once a file is open."))
        elif info is None:
            self.filters.clear(self.tr("Choose a tensor to see its filters."))
        elif tensor is None:
            name = shortened(visible(info.short), LONGEST_NAME)
            self.filters.clear(self.tr("{name} cannot be shown.").format(name=name))
        else:
            why = (
                self.tr("{name} has too many numbers to be shown as filters; up to 134 million are.")
                if info.count > MOST_FILTER_NUMBERS
                else self.tr("{name} has no filters: it is no convolution's weight.")
            )
            self.filters.clear(why.format(name=shortened(visible(info.short), LONGEST_NAME)))

    @Slot(object)
    def _on_failed(self, error: RefusalError) -> None:
        message = visible(said(error))
        if isinstance(error, TooLargeError):
            text = self.tr("Open anyway with {size}").format(size=size_text(error.num_bytes))
            self.message.show_message(message, (text, partial(self.model.allow, error.num_bytes)))
        else:
            self.message.show_message(message)

    # ---- opening

    @Slot(object)
    def open(self, path: Path) -> None:
        """Open a file of weights."""
        self.message.clear()
        self.model.open(path)

    @Slot(str)
    def open_shipped(self, name: Shipped) -> None:
        """Open a network that comes with the program."""
        self.message.clear()
        self.model.open_shipped(name)

    @Slot()
    def choose_file(self) -> None:
        """Ask for a file of weights, and open it."""
        path = self._ask_for_weights(self.tr("Open weights"))
        if path is not None:
            self.open(path)

    @Slot()
    def choose_other(self) -> None:
        """Ask for a file to compare with."""
        path = self._ask_for_weights(self.tr("Compare with"))
        if path is not None:
            self.message.clear()
            self.model.compare(path)

    def _ask_for_weights(self, title: str) -> Path | None:
        return ask_for_file(self, self._settings, title, self.tr("Weights ({patterns})").format(patterns=WEIGHTS))

    @Slot()
    def choose_picture(self) -> None:
        """Ask for a picture, and look at it."""
        kinds = self.tr("Pictures ({patterns})").format(patterns=PICTURE_FILTER)
        path = ask_for_file(self, self._settings, self.tr("Open a picture"), kinds)
        if path is not None:
            self._load_picture(path)

    @Slot()
    def choose_folder(self) -> None:
        """Ask for a folder of pictures, and look at those."""
        path = ask_for_folder(self, self._settings, self.tr("Folder of pictures, one folder a class"))
        if path is not None:
            self.model.load_data(str(path))

    def _load_picture(self, path: Path) -> None:
        self.message.clear()
        self.model.load_picture(path, visible(path.name))

    @Slot(QWidget)
    def _open_menu(self, button: QWidget) -> None:
        self._recent.popup(button.mapToGlobal(button.rect().bottomLeft()))

    @Slot()
    def _fill_menu(self) -> None:
        """Offer the recent files and the shipped networks."""
        self._recent.clear()
        for path in self._settings.recent_files:
            action = self._recent.addAction(visible(path.name).replace("&", "&&"))
            action.triggered.connect(partial(self.open, path))
        self._recent.addSeparator()
        for key, name in shipped_names().items():
            self._recent.addAction(name).triggered.connect(partial(self.open_shipped, key))

    # ---- clipboard and drops

    @Slot()
    def paste(self) -> None:
        """Look at a picture, or open a file, from the clipboard."""
        self._take(QGuiApplication.clipboard().mimeData())

    def _take(self, data: QMimeData | None) -> None:
        if data is not None and data.hasUrls() and data.urls()[0].isLocalFile():
            path = Path(data.urls()[0].toLocalFile())
            if path.suffix.lower() in PICTURE_SUFFIXES:
                self._load_picture(path)
            else:
                self.open(path)
        elif data is not None and data.hasImage():
            self.message.clear()
            self.model.load_picture(as_png(QImage(data.imageData())), self.tr("Pasted picture"))
        else:
            self.message.show_message(self.tr("There is nothing to paste. A picture or a file is accepted."))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files and pictures."""
        data = event.mimeData()
        if data.hasUrls() or data.hasImage():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped."""
        self._take(event.mimeData())
        event.acceptProposedAction()

    @Slot(object)
    def _on_lab(self, unit: LabUnit) -> None:
        self.lab_wanted.emit(unit)

    # ---- window

    def stop(self) -> None:
        """End what is computed."""
        self.model.cancel()

    def show_controls(self, on: bool | None) -> None:
        """Show the panel, hide it, or (None) show it where there is room for it beside the cards."""
        self._controls_wanted = on
        narrow = self.width() < NARROW_UNITS * theme.unit()
        visible_panel = on if on is not None else not narrow
        self.panel.setVisible(visible_panel)
        self._content.setVisible(not (narrow and visible_panel))
        if not self._panel_moved:
            panel = self.panel.sizeHint().width()
            self._split.setSizes([panel, max(1, self.width() - panel)])

    @Slot()
    def _on_panel_moved(self) -> None:
        self._panel_moved = True

    @property
    def shows_controls(self) -> bool:
        """Whether the panel is shown, or will be once there is a file."""
        return not self.panel.isHidden()

    def minimumSizeHint(self) -> QSize:
        """Return the least size, that without the panel, which gives way when it is reached."""
        return self._content.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Make room: below a width the panel gives way to the cards."""
        self.show_controls(self._controls_wanted)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "_split"):
            self._rescale()
        super().changeEvent(event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._margin.setContentsMargins(*[round(1.5 * unit)] * 4)
        self._split.setHandleWidth(round(0.75 * unit))
        self.show_controls(self._controls_wanted)

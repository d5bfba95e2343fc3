"""The Train page: it puts controls, plots, maps, results and the run bar together and connects them to the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Slot
from PySide6.QtGui import QHideEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMessageBox, QScrollArea, QVBoxLayout, QWidget

from convviz.core.numbers import format_number
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.window import ShapeError
from convviz.ui import theme
from convviz.ui.actions import TRAIN_ACTIONS, make_actions
from convviz.ui.refusals import said
from convviz.ui.settings import Settings
from convviz.ui.train.batch_grid import BatchGrid
from convviz.ui.train.controls import Controls
from convviz.ui.train.data_section import progress_text
from convviz.ui.train.maps import MapsPanel
from convviz.ui.train.model import TrainModel
from convviz.ui.train.model_section import model_name
from convviz.ui.train.plots import RunPlots
from convviz.ui.train.results import ResultsPanel
from convviz.ui.train.run_bar import RunBar
from convviz.ui.train.session import Update, View
from convviz.ui.widgets.buttons import Choices, FlatButton, Kind
from convviz.ui.widgets.folding import FoldingRow
from convviz.ui.widgets.info_bar import InfoBar
from convviz.ui.widgets.page_stack import PageStack
from convviz.ui.widgets.progress_row import ProgressRow
from convviz.ui.widgets.share_splitter import ShareSplitter

NARROW_UNITS = 120
BESIDE_UNITS = 96
"""Width of the content from which maps and results stand beside each other, in spacing units."""
LOWER_SHARE = 0.6
"""How much of the height maps and results get."""
PAINT_MS = 100
"""How often the newest state is drawn."""


class TrainPage(QWidget):
    """The second page of the application."""

    def __init__(self, settings: Settings, lab_stack: Callable[[], Stack], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._lab_stack = lab_stack
        self.model = TrainModel(self)
        self.model.restore(settings.train_state)
        self.actions_by_name = make_actions(TRAIN_ACTIONS, self)
        self._controls_wanted: bool | None = None
        self._shown = Update()
        self._runs = 0
        self._run_name = ""
        self._remedy: Callable[[], None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAINT_MS)
        self._make_widgets()
        self._connect()
        self._rescale()
        self._show_phase()
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.model.load_data()

    # ---- making

    def _make_widgets(self) -> None:
        self.controls = Controls(self.model, self)
        self.plots = RunPlots()
        self.plots.folder = self._settings.last_folder
        self.maps = MapsPanel()
        self.results = ResultsPanel()
        self.batch = BatchGrid()
        self.run_bar = RunBar(self.actions_by_name)
        self.info_bar = InfoBar()
        self.progress = ProgressRow()
        self.remedy = FlatButton(text=" ", kind=Kind.PRIMARY)
        self.remedy.hide()
        self.beside = Choices(
            (
                ("results", self.tr("Results"), self.tr("How well the test pictures are recognised.")),
                ("batch", self.tr("Batch"), self.tr("The pictures of the training batch, varied as they are trained.")),
            )
        )
        self.beside.choose("results")
        self._beside_pages = PageStack()
        for panel in (self.results, self.batch):
            self._beside_pages.add(panel)
        right = QWidget()
        self._right = QVBoxLayout(right)
        self._right.setContentsMargins(0, 0, 0, 0)
        self._right.addWidget(self.beside)
        self._right.addWidget(self._beside_pages, 1)
        self._work = ShareSplitter(
            self.plots, FoldingRow(BESIDE_UNITS, (self.maps, 3), (right, 2)), lambda height: LOWER_SHARE * height
        )
        scroll = QScrollArea()
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidgetResizable(True)
        margin = QWidget()
        self._margin = QVBoxLayout(margin)
        self._margin.addWidget(self._work)
        scroll.setWidget(margin)
        self._info_row = QHBoxLayout()
        self._info_row.addWidget(self.info_bar, 1)
        self._info_row.addWidget(self.remedy)
        self._content = QWidget()
        content = QVBoxLayout(self._content)
        content.setContentsMargins(0, 0, 0, 0)
        content.setSpacing(0)
        content.addLayout(self._info_row)
        content.addWidget(self.progress)
        content.addWidget(scroll, 1)
        content.addWidget(self.run_bar)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(0)
        row.addWidget(self.controls)
        row.addWidget(self._content, 1)

    def _connect(self) -> None:
        model, act = self.model, self.actions_by_name
        model.phase_changed.connect(self._show_phase)
        model.updated.connect(self._show_soon)
        self._timer.timeout.connect(self.show_update)
        model.begun.connect(self._on_begun)
        model.failed.connect(self._on_failed)
        model.data_failed.connect(self._on_data_failed)
        model.chosen.connect(self._show_data)
        self.controls.data.folder_wanted.connect(self.choose_folder)
        self.controls.data.archive_wanted.connect(self.choose_archive)
        self.controls.network.lab_stack_wanted.connect(lambda: model.use_stack(self._lab_stack()))
        self.progress.cancelled.connect(model.stop)
        self.remedy.clicked.connect(self._use_remedy)
        act["run"].triggered.connect(self._start_or_pause)
        act["one_batch"].triggered.connect(self._one_batch)
        act["stop"].triggered.connect(model.stop)
        act["go_on"].triggered.connect(self._go_on)
        act["save_now"].triggered.connect(model.save_now)
        self.maps.layer_chosen.connect(lambda index: self._look(layer_index=index))
        self.maps.sample_chosen.connect(lambda index: self._look(sample_index=index))
        self.results.sample_chosen.connect(lambda index: self._look(sample_index=index))
        self.beside.chosen.connect(self._on_beside)
        self.plots.rejected.connect(self.info_bar.show_message)

    # ---- showing

    @Slot()
    def _show_soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()

    @Slot()
    def show_update(self) -> None:
        """Draw what is newer than what is drawn."""
        update, shown = self.model.update, self._shown
        self._shown = update
        if update.data is not None:
            self.progress.show_progress(
                progress_text(update.data), update.data.done / update.data.total if update.data.total else 0.0
            )
        begun, snapshot = update.begun, update.snapshot
        if begun is None:
            return
        if snapshot is not None and snapshot is not shown.snapshot:
            self.run_bar.show_snapshot(snapshot, begun.settings.epochs)
            progress = snapshot.progress
            self.plots.show_run(
                self._run_name, snapshot.curve, progress.epochs, progress.changes, snapshot.batches_per_epoch
            )
            evaluation = snapshot.evaluation
            if evaluation is not None and (shown.snapshot is None or evaluation is not shown.snapshot.evaluation):
                test = begun.dataset.test
                self.results.show_evaluation(evaluation, begun.dataset.classes, test.images, test.labels)
        if update.probe is not None and update.probe is not shown.probe:
            self.maps.show_probe(update.probe, begun.dataset.classes, begun.stack)
        if update.batch is not None and update.batch is not shown.batch:
            self.batch.show_batch(update.batch.images, update.batch.labels, begun.dataset.classes)

    @Slot()
    def _show_phase(self) -> None:
        model = self.model
        self.run_bar.show_phase(model.phase, model.can_go_on, saves=model.update.begun is not None)
        if model.phase == "loading":
            self.progress.show_progress(self.tr("Preparing…"), 0.0)
        else:
            self.progress.hide()

    @Slot()
    def _show_data(self) -> None:
        """Let all test pictures be chosen once there are some."""
        if self.model.is_loading_data:
            self._clear_message()
        if self.model.dataset is not None:
            self.maps.set_num_samples(len(self.model.dataset.test))

    @Slot()
    def _on_begun(self) -> None:
        """Make room for a new run, beside which the last one stays as a faint curve."""
        self._runs += 1
        settings = self.model.settings
        self._run_name = self.tr("{number} · {model} · rate {rate}").format(
            number=self._runs, model=model_name(self.model.model), rate=format_number(settings.lr)
        )
        self._shown = Update()
        self.plots.keep_run()
        self.results.clear()
        self.maps.clear()
        self._show_phase()

    # ---- doing

    @Slot()
    def _start_or_pause(self) -> None:
        model = self.model
        if model.phase == "paused":
            model.resume()
        elif model.is_running:
            model.pause()
        else:
            self._clear_message()
            model.start()

    @Slot()
    def _one_batch(self) -> None:
        self._clear_message()
        self.model.one_batch()

    @Slot()
    def _go_on(self) -> None:
        self._clear_message()
        self.model.go_on()

    def _look(self, layer_index: int | None = None, sample_index: int | None = None) -> None:
        view = self.model.view
        self.model.look(
            View(
                view.sample_index if sample_index is None else sample_index,
                view.layer_index if layer_index is None else layer_index,
                view.batch,
            )
        )

    @Slot(str)
    def _on_beside(self, name: str) -> None:
        self._beside_pages.show_page(self.batch if name == "batch" else self.results)
        self.model.look(replace(self.model.view, batch=name == "batch"))

    @Slot()
    def choose_folder(self) -> None:
        """Ask for a folder of pictures, and use it."""
        path = QFileDialog.getExistingDirectory(
            self, self.tr("Folder of pictures, one folder a class"), str(self._settings.last_folder)
        )
        if path:
            self._settings.last_folder = Path(path)
            self.model.choose_data(path)

    @Slot()
    def choose_archive(self) -> None:
        """Ask for the archive of CIFAR-10, and use it."""
        path, _ = QFileDialog.getOpenFileName(
            self,
            self.tr("Archive of CIFAR-10"),
            str(self._settings.last_folder),
            self.tr("Archives ({patterns})").format(patterns="*.tar.gz"),
        )
        if path:
            self._settings.last_folder = Path(path).parent
            self.model.choose_data(path)

    # ---- what went wrong

    @Slot(object)
    def _on_failed(self, error: RefusalError | ShapeError) -> None:
        self._timer.stop()
        self.show_update()
        model = self.model
        message = said(error) if isinstance(error, RefusalError) else str(error)
        if model.has_diverged:
            rate = format_number(model.smaller_rate)
            self._offer(message, self.tr("Go on with rate {rate}").format(rate=rate), model.go_back_with_smaller_rate)
        elif model.update.begun is not None:
            self._offer(message + " " + self.tr("The network is kept in memory."), self.tr("Try again"), model.go_on)
        else:
            self._offer(message)

    @Slot(object)
    def _on_data_failed(self, error: RefusalError) -> None:
        self._offer(said(error))

    def _offer(self, message: str, text: str = "", remedy: Callable[[], None] | None = None) -> None:
        """Show a message, and a button that does something about it."""
        self.info_bar.show_message(message)
        self._remedy = remedy
        self.remedy.setText(text)
        self.remedy.setAccessibleName(text)
        self.remedy.setToolTip(self.tr("Do this about what the message says."))
        self.remedy.setVisible(remedy is not None)

    def _clear_message(self) -> None:
        self.info_bar.clear()
        self.remedy.hide()

    @Slot()
    def _use_remedy(self) -> None:
        self._clear_message()
        if self._remedy is not None:
            self._remedy()

    # ---- window

    def asks_to_stop(self) -> bool:
        """Ask whether the training that runs should be stopped; if so, stop it, which takes a moment. Say whether."""
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setText(self.tr("A training is running."))
        box.setInformativeText(self.tr("If it is stopped it is saved, and can go on from there another time."))
        keep = box.addButton(self.tr("Keep training"), QMessageBox.ButtonRole.RejectRole)
        stop = box.addButton(self.tr("Stop and close"), QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(keep)
        box.setEscapeButton(keep)
        box.exec()
        if box.clickedButton() is not stop:
            return False
        self.model.stop()
        return True

    def stop(self) -> None:
        """End what is computed beside a training."""
        self._timer.stop()
        self.model.cancel()

    def save(self) -> None:
        """Remember what is chosen."""
        self._settings.train_state = self.model.to_json()

    def showEvent(self, event: QShowEvent) -> None:
        """Look at the network again."""
        super().showEvent(event)
        self.model.look(self.model.view)

    def hideEvent(self, event: QHideEvent) -> None:
        """Look at nothing while nothing is seen."""
        super().hideEvent(event)
        self.model.look(None)

    def show_controls(self, on: bool | None) -> None:
        """Show the controls, hide them, or (None) show them where there is room for both."""
        self._controls_wanted = on
        narrow = self.width() < NARROW_UNITS * theme.unit()
        visible = on if on is not None else not narrow
        self.controls.setVisible(visible)
        self._content.setVisible(not (narrow and visible))
        self.controls.setFixedWidth(self.width() if narrow and visible else self.controls.sizeHint().width())

    @property
    def shows_controls(self) -> bool:
        """Whether the controls are shown."""
        return self.controls.isVisibleTo(self)

    def minimumSizeHint(self) -> QSize:
        """Return the least size, that without the controls, which give way when it is reached."""
        return self._content.minimumSizeHint()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Make room: below a width the controls give way to the plots."""
        self.show_controls(self._controls_wanted)

    def event(self, event: QEvent) -> bool:
        """Give the controls the width that they ask for."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.show_controls(self._controls_wanted)
        return super().event(event)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "run_bar"):
            self._rescale()
            self.show_controls(self._controls_wanted)
        super().changeEvent(event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._margin.setContentsMargins(*[round(1.5 * unit)] * 4)
        self._info_row.setContentsMargins(round(2 * unit), 0, round(2 * unit), 0)
        self._info_row.setSpacing(round(unit))
        self._right.setSpacing(round(unit))

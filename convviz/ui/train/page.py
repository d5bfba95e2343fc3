"""The Train page: it puts controls, plots, maps, results and the run bar together and connects them to the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QEvent, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QMessageBox, QVBoxLayout, QWidget

from convviz.core import stack_file
from convviz.core.numbers import format_number
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.stack_file import StackFileError
from convviz.core.window import ShapeError
from convviz.ui import theme
from convviz.ui.actions import TRAIN_ACTIONS, make_actions
from convviz.ui.file_dialogs import ask_for_file, ask_for_folder, ask_for_folder_in
from convviz.ui.jobs import JobRunner
from convviz.ui.refusals import said
from convviz.ui.settings import Settings
from convviz.ui.train.batch_grid import BatchGrid
from convviz.ui.train.controls import Controls
from convviz.ui.train.maps import MapsPanel
from convviz.ui.train.model import TrainModel
from convviz.ui.train.model_section import model_name
from convviz.ui.train.plots import RunPlots
from convviz.ui.train.results import ResultsPanel
from convviz.ui.train.run_bar import RunBar
from convviz.ui.train.session import Update, View
from convviz.ui.widgets.buttons import Choices
from convviz.ui.widgets.folding import FoldingRow
from convviz.ui.widgets.offer_bar import OfferBar
from convviz.ui.widgets.page_stack import PageStack
from convviz.ui.widgets.progress_row import ProgressRow
from convviz.ui.widgets.scrolled import scrolled
from convviz.ui.widgets.share_splitter import ShareSplitter
from convviz.ui.widgets.side_panel import PanelPage

NARROW_UNITS = 120
BESIDE_UNITS = 96
"""Width of the content from which maps and results stand beside each other, in spacing units."""
LOWER_SHARE = 0.6
"""How much of the height maps and results get."""
PAINT_MS = 100
"""How often the newest state is drawn."""


class TrainPage(PanelPage):
    """The second page of the application."""

    lab_wanted = Signal(object)
    """A `ForLab` is to be stepped through in the Lab."""

    def __init__(self, settings: Settings, lab_stack: Callable[[], Stack], parent: QWidget | None = None) -> None:
        super().__init__(NARROW_UNITS, parent)
        self._settings = settings
        self._lab_stack = lab_stack
        self.model = TrainModel(self)
        self.model.restore(settings.train_state)
        self.actions_by_name = make_actions(TRAIN_ACTIONS, self)
        self._files = JobRunner(self)
        self._shown = Update()
        self._runs = 0
        self._question: QMessageBox | None = None
        self._run_name = ""
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
        self.plots.saver.folder = self._settings.last_folder
        self.maps = MapsPanel()
        self.results = ResultsPanel()
        self.batch = BatchGrid()
        self.run_bar = RunBar(self.actions_by_name)
        self.message = OfferBar()
        self.progress = ProgressRow()
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
        margin = QWidget()
        self._margin = QVBoxLayout(margin)
        self._margin.addWidget(self._work)
        work = QWidget()
        content = QVBoxLayout(work)
        content.setContentsMargins(0, 0, 0, 0)
        content.setSpacing(0)
        content.addWidget(self.message)
        content.addWidget(self.progress)
        content.addWidget(scrolled(margin), 1)
        content.addWidget(self.run_bar)
        self.set_parts(self.controls, work)

    def _connect(self) -> None:
        model, act = self.model, self.actions_by_name
        model.phase_changed.connect(self._show_phase)
        model.updated.connect(self._show_soon)
        self._timer.timeout.connect(self.show_update)
        model.begun.connect(self._on_begun)
        model.failed.connect(self._on_failed)
        model.data_failed.connect(self._on_data_failed)
        model.chosen.connect(self._show_data)
        model.chosen.connect(self._remember_live_settings)
        self.controls.data.folder_wanted.connect(self.choose_folder)
        self.controls.data.archive_wanted.connect(self.choose_archive)
        self.controls.network.lab_stack_wanted.connect(lambda: model.use_stack(self._lab_stack()))
        self.controls.network.stack_file_wanted.connect(self.choose_stack)
        self._files.succeeded.connect(model.use_stack)
        self._files.failed.connect(self._on_file_failed)
        self.progress.cancelled.connect(model.stop)
        act["run"].triggered.connect(self._start_or_pause)
        act["one_batch"].triggered.connect(self._one_batch)
        act["stop"].triggered.connect(model.stop)
        act["go_on"].triggered.connect(self._go_on)
        act["open_run"].triggered.connect(self.choose_run)
        act["save_now"].triggered.connect(model.save_now)
        self.maps.layer_chosen.connect(lambda index: self._look(layer_index=index))
        self.maps.lab_wanted.connect(model.open_in_lab)
        model.lab_ready.connect(self.lab_wanted)
        self.maps.sample_chosen.connect(lambda index: self._look(sample_index=index))
        self.results.sample_chosen.connect(lambda index: self._look(sample_index=index))
        self.beside.chosen.connect(self._on_beside)
        self.plots.saver.rejected.connect(self.message.show_message)

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
            self.progress.show_data(update.data)
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
        if model.is_running:
            self._files.cancel()  # the network of a training is fixed
        begun = model.update.begun is not None
        self.run_bar.show_phase(model.phase, model.can_go_on, saves=begun, is_saved=not model.has_unsaved)
        if model.phase == "loading":
            self.progress.show_progress(self.tr("Preparing…"), 0.0)
        else:
            self.progress.hide()

    @Slot()
    def _show_data(self) -> None:
        """Let all test pictures be chosen once there are some."""
        if self.model.is_loading_data:
            self.message.clear()
        if self.model.dataset is not None:
            self.maps.set_num_samples(len(self.model.dataset.test))

    @Slot()
    def _remember_live_settings(self) -> None:
        """Remember at once what is changed while a training runs: the program may be killed."""
        if self.model.is_running:
            self.save()

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
        self.save()  # now already: the run is then found again even if the program is killed

    # ---- doing

    @Slot()
    def _start_or_pause(self) -> None:
        model = self.model
        if model.phase == "paused":
            model.resume()
        elif model.is_running:
            model.pause()
        else:
            self._begin_anew(self._start)

    def _start(self) -> None:
        self.message.clear()
        self.model.start()

    @Slot()
    def _one_batch(self) -> None:
        self.message.clear()
        self.model.one_batch()

    @Slot()
    def _go_on(self) -> None:
        self.message.clear()
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
        path = ask_for_folder(self, self._settings, self.tr("Folder of pictures, one folder a class"))
        if path is not None:
            self.model.choose_data(str(path))

    @Slot()
    def choose_run(self) -> None:
        """Ask for the folder of a run, and go on with it."""
        runs = self.model.runs if self.model.runs.is_dir() else self._settings.last_folder
        folder = ask_for_folder_in(self, runs, self.tr("Folder of a run, with settings.json"))
        if folder is not None:
            self.message.clear()
            self.model.open_run(folder)

    @Slot()
    def choose_archive(self) -> None:
        """Ask for the archive of CIFAR-10, and use it."""
        kinds = self.tr("Archives ({patterns})").format(patterns="*.tar.gz")
        path = ask_for_file(self, self._settings, self.tr("Archive of CIFAR-10"), kinds)
        if path is not None:
            self.model.choose_data(str(path))

    @Slot()
    def choose_stack(self) -> None:
        """Ask for a stack, and take it as the network."""
        kinds = self.tr("Stacks ({patterns})").format(patterns=f"*{stack_file.SUFFIX}")
        path = ask_for_file(self, self._settings, self.tr("Open stack"), kinds)
        if path is not None:
            self.message.clear()
            self._files.start(lambda _: stack_file.load(path))

    # ---- what went wrong

    @Slot(object)
    def _on_file_failed(self, error: Exception) -> None:
        if not isinstance(error, StackFileError):
            raise error
        self.message.show_message(str(error))

    @Slot(object)
    def _on_failed(self, error: RefusalError | ShapeError) -> None:
        self._timer.stop()
        self.show_update()
        model = self.model
        message = said(error) if isinstance(error, RefusalError) else str(error)
        if model.has_diverged:
            rate = self.tr("Go on with rate {rate}").format(rate=format_number(model.smaller_rate))
            self.message.show_message(message, (rate, model.go_back_with_smaller_rate))
        elif model.has_unsaved:
            self.message.show_message(
                message + " " + self.tr("The network is kept in memory."),
                (self.tr("Try again"), model.go_on),
                (self.tr("Save elsewhere…"), self.save_elsewhere),
            )
        else:
            self.message.show_message(message)

    @Slot(object)
    def _on_data_failed(self, error: RefusalError) -> None:
        self.message.show_message(said(error))

    @Slot()
    def save_elsewhere(self) -> None:
        """Ask for a folder in which the run that could not be saved goes on, paused."""
        folder = ask_for_folder(self, self._settings, self.tr("Folder for the run"))
        if folder is not None and self.model.run_folder is not None:
            self.model.save_elsewhere(folder / self.model.run_folder.name)

    # ---- window

    def ask_to_close(self, close: Callable[[], None]) -> None:
        """Ask whether to close although something would be interrupted or lost; if so, call ``close``."""
        if self.model.is_running:
            self._ask(
                self.tr("A training is running."),
                self.tr("If it is stopped it is saved, and can go on from there another time."),
                (self.tr("Keep training"), self.tr("Stop and close")),
                close,
            )
        else:
            self._ask(
                self.tr("The trained network could not be saved."),
                self.tr("It is in memory only, and lost when the window closes."),
                (self.tr("Keep it"), self.tr("Close and lose it")),
                close,
            )

    def _begin_anew(self, begin: Callable[[], None]) -> None:
        """Begin a training, if need be after asking whether to lose one that could not be saved."""
        if self.model.has_unsaved:
            self._ask(
                self.tr("The trained network could not be saved."),
                self.tr("It is in memory only, and lost when another training begins."),
                (self.tr("Keep it"), self.tr("Begin and lose it")),
                begin,
            )
        else:
            begin()

    def _ask(self, text: str, detail: str, answers: tuple[str, str], go: Callable[[], None]) -> None:
        """Ask something that can be kept as it is, or gone on with; only one question at a time."""
        if self._question is not None:
            return
        box = QMessageBox(self)
        box.setIcon(QMessageBox.Icon.Question)
        box.setText(text)
        box.setInformativeText(detail)
        kept = box.addButton(answers[0], QMessageBox.ButtonRole.RejectRole)
        box.addButton(answers[1], QMessageBox.ButtonRole.AcceptRole).clicked.connect(go)
        box.setDefaultButton(kept)
        box.setEscapeButton(kept)
        box.finished.connect(self._forget_question)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._question = box
        box.open()

    @Slot()
    def _forget_question(self) -> None:
        self._question = None

    @property
    def must_ask_to_close(self) -> bool:
        """Whether closing would interrupt a training, or lose one that could not be saved."""
        return self.model.is_running or self.model.has_unsaved

    def stop(self) -> None:
        """End what is computed beside a training."""
        self._timer.stop()
        self.model.cancel()

    def save(self) -> None:
        """Remember what is chosen."""
        self._settings.train_state = self.model.to_json()
        self._settings.save()

    def showEvent(self, event: QShowEvent) -> None:
        """Look at the network again."""
        super().showEvent(event)
        self.model.look(self.model.view)

    def hideEvent(self, event: QHideEvent) -> None:
        """Look at nothing while nothing is seen."""
        super().hideEvent(event)
        self.model.look(None)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the font."""
        if event.type() == QEvent.Type.FontChange and hasattr(self, "run_bar"):
            self._rescale()
        super().changeEvent(event)

    def _rescale(self) -> None:
        unit = theme.unit()
        self._margin.setContentsMargins(*[round(1.5 * unit)] * 4)
        self._right.setSpacing(round(unit))

"""The tour: every page in telling states, rendered to PNG without a display."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QEventLoop, QSize, Qt, QThread
from PySide6.QtWidgets import QApplication

from convviz.core.numbers import NumberError, parse_number
from convviz.core.window import Pair
from convviz.ui import theme
from convviz.ui.jobs import JobRunner
from convviz.ui.lab import state as lab
from convviz.ui.lab.page import LabPage
from convviz.ui.main_window import MainWindow
from convviz.ui.refusals import said
from convviz.ui.settings import Settings

if TYPE_CHECKING:
    from convviz.ui.inspect.page import InspectPage
    from convviz.ui.train.page import TrainPage


def render_tour(out: Path, size: tuple[int, int], mode: theme.Mode, scale: float) -> list[Path]:
    """Write a PNG of each state, ``size`` px large, into the folder ``out`` and return the paths in order.

    Raises:
        OSError: a picture could not be written.
    """
    instance = QApplication.instance()
    application = instance if isinstance(instance, QApplication) else QApplication(["convviz"])
    written = []
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(STATES, 1):
            settings = Settings(Path(folder) / f"{name}.ini")
            settings.theme, settings.scale = mode, scale
            theme.apply(application, mode, scale)
            window = MainWindow(settings)
            window.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
            window.setFixedSize(QSize(*size))
            window.show()
            _settle()
            _prepare(window, name, Path(folder))
            _settle()
            picture = window.grab()
            if name in TRAIN_STATES:
                _end(window.train)
            window.close()
            window.deleteLater()
            application.processEvents()
            path = out / f"{number:02}_{name}_{mode}_{size[0]}x{size[1]}_{round(100 * scale)}.png"
            if not picture.save(str(path)):
                raise OSError(f"{path} cannot be written")
            written.append(path)
    for thread in application.findChildren(QThread):
        thread.wait()  # one that was asked to stop may still be at its layer
    return written


def _prepare(window: MainWindow, name: str, folder: Path) -> None:
    """Bring a window into a state; what it writes goes into the folder."""
    if name in LAB_STATES:
        LAB_STATES[name](window.lab)
        return
    if name in INSPECT_STATES:
        window.show_page(window.inspect)
        INSPECT_STATES[name](window.inspect)
        return
    window.train.model.runs = folder / "runs"
    window.show_page(window.train)
    TRAIN_STATES[name](window.train)


def _end(page: TrainPage) -> None:
    """Stop a training that runs, as closing the window would ask about it."""
    page.model.stop()
    _wait_until(lambda: not page.model.is_running)


def _settle() -> None:
    """Let nested layouts come to rest: each round of events may ask for another."""
    for _ in range(12):
        QApplication.processEvents()


def _change(page: LabPage, *changes: Callable[[lab.LabState], lab.LabState]) -> None:
    state = page.model.state
    for change in changes:
        state = change(state)
    page.model.change(state, "tour")


def _made(kind: str, size: Pair, channels: int = 1) -> Callable[[lab.LabState], lab.LabState]:
    return lambda state: lab.with_made_input(state, kind, size, 0, channels)


def _window(name: str, value: int) -> Callable[[lab.LabState], lab.LabState]:
    return lambda state: lab.with_parameter(state, name, (value, value))


def _kernel(kind: str) -> Callable[[lab.LabState], lab.LabState]:
    return lambda state: lab.with_kernel(state, kind)


def _operation(operation: lab.Operation) -> Callable[[lab.LabState], lab.LabState]:
    return lambda state: lab.with_operation(state, operation)


def _wait(runner: JobRunner) -> None:
    """Wait for the background."""
    _wait_until(lambda: not runner.busy)


def _wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)


def _convolution(page: LabPage) -> None:
    page.model.go_to(5)


def _receptive_field(page: LabPage) -> None:
    _change(page, _made("letter", (9, 9)), _window("stride", 1), _window("dilation", 2), _kernel("prewitt_y"))
    page.model.go_to(9)
    page.model.show_receptive_field(True)


def _max_pooling(page: LabPage) -> None:
    _change(page, _made("random", (8, 8)), _window("padding", 0), _operation("max"))
    page.model.go_to(4)


def _average_pooling(page: LabPage) -> None:
    _change(page, _made("ramp", (6, 6)), _operation("avg"))
    page.model.show_all(True)


def _pinned(page: LabPage) -> None:
    _change(page, _window("stride", 1), _kernel("laplacian"))
    page.model.show_all(True)
    page.model.go_to(8)
    page.model.pin((1, 1))
    page.model.hover((3, 4))


def _readers(page: LabPage) -> None:
    _change(page, _made("checkerboard", (8, 8)), _window("stride", 1))
    page.model.show_all(True)
    page.layer_view.canvas.input.grid.set_cursor_cell((3, 3))
    page.model.probe((3, 3))


def _pixel_use(page: LabPage) -> None:
    _change(page, _made("blob", (9, 9)), _window("padding", 0))
    page.model.show_all(True)
    page.model.show_pixel_use(True)
    page.model.go_to(5)


def _long_numbers(page: LabPage) -> None:
    values = np.random.default_rng(0).normal(0, 2000, (1, 7, 7))
    weight = np.random.default_rng(1).normal(0, 1, (1, 1, 3, 3))
    _change(
        page,
        lambda state: lab.with_input(state, values, lab.Source("custom")),
        lambda state: lab.with_weight(state, weight),
    )
    page.model.go_to(10)


def _colour(page: LabPage) -> None:
    _change(page, _made("blob", (12, 12), channels=3), _window("stride", 1), _kernel("gaussian"))
    page.model.show_colour()
    page.model.go_to(70)


def _picture(page: LabPage) -> None:
    """Show a large picture; this one is drawn here, so that the tour needs no file."""
    rows, cols = np.mgrid[0:256, 0:256] / 255
    disc = (np.hypot(rows - 0.45, cols - 0.55) < 0.27) * 90
    values = np.round(40 + 90 * cols + disc + 30 * np.sin(24 * rows * cols)).clip(0, 255)
    source = lab.Source("custom", is_brightness=True)
    _change(page, _window("stride", 1), lambda state: lab.with_input(state, values[None], source))
    page.model.show_all(True)
    page.model.go_to(256 * 120 + 130)


def _zoomed(page: LabPage) -> None:
    _picture(page)
    for panel in (page.layer_view.canvas.input, page.layer_view.canvas.output):
        panel.grid.zoom(40)
    page.model.go_to(256 * 80 + 100)


def _large_kernel(page: LabPage) -> None:
    _change(
        page,
        _made("diagonal_edge", (16, 16)),
        _window("stride", 1),
        _window("padding", 0),
        _window("kernel_size", 9),
        _kernel("gaussian"),
    )
    page.model.go_to(20)


def _error(page: LabPage) -> None:
    try:
        parse_number("twelve")
    except NumberError as error:
        page.layer_view.canvas.input.grid.rejected.emit(said(error))


def _feature_maps(page: LabPage) -> None:
    _change(
        page,
        _made("letter", (10, 10), channels=3),
        _window("stride", 1),
        lambda state: lab.with_out_channels(state, 6),
    )
    page.model.choose_map(1, 4)
    page.model.go_to(64)


def _depthwise(page: LabPage) -> None:
    _change(
        page,
        _made("random", (8, 8), channels=4),
        _window("stride", 1),
        lambda state: lab.with_out_channels(state, 4),
        lambda state: lab.with_groups(state, 4),
    )
    page.model.show_all(True)
    page.model.choose_map(1, 2)
    page.model.go_to(27)


def _linear(page: LabPage) -> None:
    page.choose_preset("lenet5")
    page.choose_view("layer")
    page.model.choose_layer(7, position=40)


def _batch_norm(page: LabPage) -> None:
    _change(page, lambda state: lab.with_added_layer(state, "batch_norm"))
    page.model.show_all(True)
    page.model.go_to(6)


def _stack(page: LabPage) -> None:
    page.choose_preset("four_layers")
    page.model.show_all(True)
    page.model.go_to(4)


def _stack_filling(page: LabPage) -> None:
    page.choose_preset("four_layers")
    page.model.choose_layer(2, position=12)


def _stack_padding(page: LabPage) -> None:
    _change(
        page,
        _made("letter", (9, 9)),
        lambda state: lab.with_added_layer(state, "relu"),
        lambda state: lab.with_added_layer(state, "conv"),
        _window("padding", 1),
    )
    page.choose_view("stack")
    page.model.show_all(True)
    page.model.go_to(1)


def _stack_effective(page: LabPage) -> None:
    page.choose_preset("dilations")
    page.model.show_all(True)
    page.model.go_to(14)
    page.stack_view.compute_effective()
    _wait(page.stack_view.runner)


def _stack_vgg16(page: LabPage) -> None:
    page.choose_preset("vgg16")
    page.model.forward.cancel()
    page.model.choose_layer(30, position=24)


def _stack_misfit(page: LabPage) -> None:
    page.choose_preset("four_layers")
    _change(page, _made("letter", (5, 5)))


def _shift(page: LabPage) -> None:
    _change(page, _made("letter", (10, 10)), _window("stride", 1))
    page.choose_view("shift")
    page.shift_view.move_by(0, 1)


def _learn(page: LabPage) -> None:
    page.choose_view("learn")
    for _ in range(10):
        page.learn_view.step()


def _learn_diverging(page: LabPage) -> None:
    page.choose_view("learn")
    page.learn_view.controls.start.chosen.emit("halves")
    page.learn_view.controls.rate.setValue(0.04)
    for _ in range(60):
        page.learn_view.step()


def _train_start(page: TrainPage) -> None:
    _wait_until(lambda: not page.model.is_loading_data)


def _train_running(page: TrainPage) -> None:
    _start_training(page)
    _wait_until(lambda: page.model.update.snapshot is not None and page.model.update.snapshot.progress.step > 200)
    page.show_update()


def _train_finished(page: TrainPage) -> None:
    _start_training(page)
    _wait_until(lambda: page.model.phase == "finished")
    page.show_update()


def _start_training(page: TrainPage) -> None:
    """Train in a moment: on a tenth of the pictures, in small batches."""
    model = page.model
    _wait_until(lambda: not model.is_loading_data)
    if model.dataset is None:
        return
    train, test = (
        replace(split, images=split.images[:count], labels=split.labels[:count])
        for split, count in ((model.dataset.train, 2000), (model.dataset.test, 400))
    )
    model.dataset = replace(model.dataset, train=train, test=test)
    model.settings = replace(model.settings, batch_size=16, epochs=3)
    model.chosen.emit()
    model.start()


def _inspect_empty(page: InspectPage) -> None:
    page.setFocus()


def _inspect_file(page: InspectPage) -> None:
    page.open_shipped("small_cnn")
    _wait_until(lambda: page.model.seen is not None and not page.model.is_busy)


def _seen(page: InspectPage) -> None:
    """Wait until everything that was asked for is seen."""
    _settle()
    _wait_until(lambda: not page.model.is_busy)
    _settle()


def _inspect_unit(page: InspectPage) -> None:
    _inspect_file(page)
    page.model.choose_layer("3")
    page.model.choose_unit((5, 4, 7))
    _seen(page)
    page.reveal(page.through.unit)


def _inspect_patches(page: InspectPage) -> None:
    _inspect_unit(page)
    page.model.find_patches()
    _seen(page)


def _inspect_occlusion(page: InspectPage) -> None:
    _inspect_unit(page)
    page.through.unit.asked.emit("occlusion")
    _seen(page)


def _inspect_filter(page: InspectPage) -> None:
    _inspect_file(page)
    page.filters.mosaics[0].activated.emit(4)


LAB_STATES: dict[str, Callable[[LabPage], None]] = {
    "lab_convolution": _convolution,
    "lab_receptive_field": _receptive_field,
    "lab_max_pooling": _max_pooling,
    "lab_average_pooling": _average_pooling,
    "lab_pinned": _pinned,
    "lab_readers": _readers,
    "lab_pixel_use": _pixel_use,
    "lab_long_numbers": _long_numbers,
    "lab_colour": _colour,
    "lab_picture": _picture,
    "lab_zoomed": _zoomed,
    "lab_large_kernel": _large_kernel,
    "lab_error": _error,
    "lab_feature_maps": _feature_maps,
    "lab_depthwise": _depthwise,
    "lab_linear": _linear,
    "lab_batch_norm": _batch_norm,
    "stack": _stack,
    "stack_filling": _stack_filling,
    "stack_padding": _stack_padding,
    "stack_effective": _stack_effective,
    "stack_vgg16": _stack_vgg16,
    "stack_misfit": _stack_misfit,
    "shift": _shift,
    "learn": _learn,
    "learn_diverging": _learn_diverging,
}
TRAIN_STATES: dict[str, Callable[[TrainPage], None]] = {
    "train_start": _train_start,
    "train_running": _train_running,
    "train_finished": _train_finished,
}
INSPECT_STATES: dict[str, Callable[[InspectPage], None]] = {
    "inspect_empty": _inspect_empty,
    "inspect_file": _inspect_file,
    "inspect_filter": _inspect_filter,
    "inspect_unit": _inspect_unit,
    "inspect_patches": _inspect_patches,
    "inspect_occlusion": _inspect_occlusion,
}
STATES = (*LAB_STATES, *TRAIN_STATES, *INSPECT_STATES)

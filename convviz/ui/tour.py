"""The tour: every page in telling states, rendered to PNG without a display."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QApplication

from convviz.core.numbers import NumberError, parse_number
from convviz.core.window import Pair
from convviz.ui import theme
from convviz.ui.lab import state as lab
from convviz.ui.lab.page import LabPage
from convviz.ui.main_window import MainWindow
from convviz.ui.refusals import said
from convviz.ui.settings import Settings


def render_tour(out: Path, size: tuple[int, int], mode: theme.Mode, scale: float) -> list[Path]:
    """Write a PNG of each state, ``size`` px large, into the folder ``out`` and return the paths in order.

    Raises:
        OSError: a picture could not be written.
    """
    instance = QApplication.instance()
    application = instance if isinstance(instance, QApplication) else QApplication(["convviz"])
    written = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, prepare) in enumerate(STATES.items(), 1):
            settings = Settings(Path(folder) / f"{name}.ini")
            settings.theme, settings.scale = mode, scale
            theme.apply(application, mode, scale)
            window = MainWindow(settings)
            window.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen)
            window.setFixedSize(QSize(*size))
            window.show()
            application.processEvents()
            prepare(window.lab)
            application.processEvents()
            picture = window.grab()
            window.close()
            window.deleteLater()
            application.processEvents()
            path = out / f"{number:02}_{name}_{mode}_{size[0]}x{size[1]}_{round(100 * scale)}.png"
            if not picture.save(str(path)):
                raise OSError(f"{path} cannot be written")
            written.append(path)
    return written


def _change(page: LabPage, state: lab.LabState) -> None:
    page.model.change(state, "tour")


def _made(page: LabPage, kind: str, size: Pair, channels: int = 1) -> lab.LabState:
    return lab.with_made_input(page.model.state, kind, size, 0, channels)


def _convolution(page: LabPage) -> None:
    page.model.go_to(5)


def _receptive_field(page: LabPage) -> None:
    state = replace(_made(page, "letter", (9, 9)), stride=(1, 1), dilation=(2, 2))
    _change(page, lab.with_kernel(state, "prewitt_y"))
    page.model.go_to(9)
    page.model.show_receptive_field(True)


def _max_pooling(page: LabPage) -> None:
    state = lab.with_operation(replace(_made(page, "random", (8, 8)), padding=(0, 0)), "max")
    _change(page, state)
    page.model.go_to(4)


def _average_pooling(page: LabPage) -> None:
    state = lab.with_operation(_made(page, "ramp", (6, 6)), "avg")
    _change(page, state)
    page.model.show_all(True)


def _pinned(page: LabPage) -> None:
    state = lab.legal(replace(_made(page, "blob", (7, 7)), stride=(1, 1)))
    _change(page, lab.with_kernel(state, "laplacian"))
    page.model.show_all(True)
    page.model.go_to(8)
    page.model.pin((1, 1))
    page.model.hover((3, 4))


def _readers(page: LabPage) -> None:
    _change(page, replace(_made(page, "checkerboard", (8, 8)), stride=(1, 1)))
    page.model.show_all(True)
    page.model.probe((3, 3))


def _long_numbers(page: LabPage) -> None:
    values = np.random.default_rng(0).normal(0, 2000, (1, 7, 7))
    state = lab.with_input(page.model.state, values, lab.Source("custom"))
    weight = np.random.default_rng(1).normal(0, 1, (1, 1, 3, 3))
    _change(page, lab.with_weight(state, weight))
    page.model.go_to(10)


def _colour(page: LabPage) -> None:
    state = lab.with_kernel(replace(_made(page, "blob", (12, 12), channels=3), stride=(1, 1)), "gaussian")
    _change(page, state)
    page.model.choose_channel(0, colour=True)
    page.model.go_to(70)


def _picture(page: LabPage) -> None:
    """Show a large picture; this one is drawn here, so that the tour needs no file."""
    rows, cols = np.mgrid[0:256, 0:256] / 255
    disc = (np.hypot(rows - 0.45, cols - 0.55) < 0.27) * 90
    values = np.round(40 + 90 * cols + disc + 30 * np.sin(24 * rows * cols)).clip(0, 255)
    state = replace(page.model.state, stride=(1, 1), bias=0.0)
    _change(page, lab.with_input(state, values[None], lab.Source("custom", is_brightness=True)))
    page.model.show_all(True)
    page.model.go_to(256 * 120 + 130)


def _zoomed(page: LabPage) -> None:
    _picture(page)
    for panel in (page.canvas.input, page.canvas.output):
        panel.grid.zoom(40)
    page.model.go_to(256 * 80 + 100)


def _large_kernel(page: LabPage) -> None:
    state = replace(_made(page, "diagonal_edge", (16, 16)), stride=(1, 1), padding=(0, 0))
    _change(page, lab.with_kernel(lab.with_kernel_size(state, (9, 9)), "gaussian"))
    page.model.go_to(20)


def _error(page: LabPage) -> None:
    try:
        parse_number("twelve")
    except NumberError as error:
        page.canvas.input.grid.rejected.emit(said(error))


STATES: dict[str, Callable[[LabPage], None]] = {
    "lab_convolution": _convolution,
    "lab_receptive_field": _receptive_field,
    "lab_max_pooling": _max_pooling,
    "lab_average_pooling": _average_pooling,
    "lab_pinned": _pinned,
    "lab_readers": _readers,
    "lab_long_numbers": _long_numbers,
    "lab_colour": _colour,
    "lab_picture": _picture,
    "lab_zoomed": _zoomed,
    "lab_large_kernel": _large_kernel,
    "lab_error": _error,
}

"""How fast the Lab answers: from a key press to the painted frame, from an edit to the painted frame, while playing."""

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
from PySide6.QtCore import QEventLoop, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from convviz.core.window import Pair
from convviz.ui import theme
from convviz.ui.lab import state as lab
from convviz.ui.lab.page import LabPage
from convviz.ui.main_window import MainWindow
from convviz.ui.settings import Settings
from tests.benchmarks.report import Result, judged, summed_up
from tests.ui.paints import PaintCounter

WINDOW_SIZE = (1920, 1080)
SMALL, LARGE = (32, 32), (512, 512)
SMALL_STEP_MS, LARGE_STEP_MS, EDIT_MS = 8.0, 16.0, 16.0
NETWORK_MS, NETWORK_STEP_MS = 1000.0, 16.0
PLAY_SPEED = 60.0
LEAST_SPEED = 59.0  # with a step of grace in the second
READABLE_CELL_PX = 40.0
LAST_CONV = 28
UNCOUNTED = 5
MOST_ROUNDS = 100


def the_application() -> QApplication:
    """Return the process's application, which is made if there is none."""
    instance = QApplication.instance()
    return instance if isinstance(instance, QApplication) else QApplication(["convviz"])


@contextmanager
def opened_window() -> Iterator[MainWindow]:
    """Make the main window as the application does; whoever asks for it shows it."""
    application = the_application()
    with tempfile.TemporaryDirectory() as folder:
        theme.apply(application, "light", 1.0)
        window = MainWindow(Settings(Path(folder) / "convviz.ini"))
        window.setFixedSize(*WINDOW_SIZE)
        try:
            yield window
        finally:
            window.close()
            window.deleteLater()
            application.processEvents()


@contextmanager
def opened_lab(size: Pair, channels: int, kernel_size: int, show_all: bool, colour: bool = False) -> Iterator[LabPage]:
    """Open the main window with random numbers as input and kernel, "same" padding, stride 1."""
    with opened_window() as window:
        page = window.lab
        state = lab.with_parameter(page.model.state, "stride", (1, 1))
        state = lab.with_made_input(state, "random", size, 0, channels)
        state = lab.with_parameter(state, "kernel_size", (kernel_size, kernel_size))
        page.model.change(lab.with_padding(lab.with_kernel(state, "random"), "same"), "benchmark")
        if colour:
            page.model.show_colour()
        else:
            page.model.choose_map(0, 0)
        page.model.show_all(show_all)
        window.show()
        window.activateWindow()
        if not QTest.qWaitForWindowActive(window):
            raise RuntimeError("the window did not become active, so it gets no keys")
        page.setFocus()
        gc.freeze()  # as the application does
        yield page


def times_to_frame(act: Callable[[], object], widget: QWidget, count: int) -> list[float]:
    """Return the seconds that ``act`` and all the painting it brings about take, ``count`` times.

    Qt paints all widgets of a window in one go, so the frame is complete once ``widget``, which ``act`` changes, was
    painted.
    """
    painted, times = PaintCounter(widget), []
    for _ in range(UNCOUNTED + count):
        QApplication.processEvents()
        before, begin = painted.count, time.perf_counter()
        act()
        for _ in range(MOST_ROUNDS):
            QApplication.processEvents()
            if painted.count > before:
                break
        else:
            raise RuntimeError("nothing was painted")
        times.append(time.perf_counter() - begin)
    return times[UNCOUNTED:]


def step(page: LabPage, most_ms: float, count: int) -> Result:
    """Press → ``count`` times, from the middle of a row a third of the way down."""
    rows, cols = page.model.output_size
    first = rows // 3 * cols + cols // 2
    page.model.go_to(first)
    times = times_to_frame(lambda: QTest.keyClick(page, Qt.Key.Key_Right), page.layer_view.strip, count)
    if page.model.index != first + UNCOUNTED + count:
        raise RuntimeError("a key press was not one step")
    return judged(summed_up(times), at_most={"p99_ms": most_ms})


def steps(count: int = 400) -> dict[str, Result]:
    results = {}
    for show_all in (False, True):
        shown = "all shown" if show_all else "shown as reached"
        for colour in (False, True):
            with opened_lab(SMALL, 3, 5, show_all, colour) as page:
                look = "as a picture" if colour else "one channel's numbers"
                results[f"3×32×32, 5×5, {look}, {shown}"] = step(page, SMALL_STEP_MS, count)
        for kernel_size in (3, 5):
            with opened_lab(LARGE, 1, kernel_size, show_all) as page:
                results[f"512×512, {kernel_size}×{kernel_size}, {shown}"] = step(page, LARGE_STEP_MS, count)
        with opened_lab(LARGE, 1, 3, show_all) as page:
            for panel in (page.layer_view.canvas.input, page.layer_view.canvas.output):
                panel.grid.zoom(READABLE_CELL_PX / panel.grid.cell_px)
            results[f"512×512, 3×3, zoomed to digits, {shown}"] = step(page, LARGE_STEP_MS, count)
    return results


def edits(count: int = 200) -> dict[str, Result]:
    """Enter values into random cells, then nudge one cell with its key, at 512×512."""
    results = {}
    for show_all in (False, True):
        shown = "all shown" if show_all else "shown as reached"
        with opened_lab(LARGE, 1, 5, show_all) as page:
            page.model.go_to(page.model.num_positions // 2)
            grid, rng = page.layer_view.canvas.input.grid, np.random.default_rng(0)

            def enter() -> None:
                row, col = rng.integers(LARGE)  # noqa: B023 - used before the loop goes on
                grid.value_entered.emit(int(row), int(col), float(rng.normal()))  # noqa: B023

            def nudge() -> None:
                QTest.keyClick(grid, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)  # noqa: B023

            entered = times_to_frame(enter, grid, count)
            results[f"512×512, 5×5, enter, {shown}"] = judged(summed_up(entered), at_most={"p99_ms": EDIT_MS})
            grid.setFocus()
            grid.set_cursor_cell((LARGE[0] // 2, LARGE[1] // 2))
            nudged = times_to_frame(nudge, grid, count)
            results[f"512×512, 5×5, nudge, {shown}"] = judged(summed_up(nudged), at_most={"p99_ms": EDIT_MS})
    return results


def play(page: LabPage, count: int) -> Result:
    """Play ``count`` steps at full speed; a step is dropped where a position is left out or was never painted."""
    model, player, loop = page.model, page.player, QEventLoop()
    painted, seen = PaintCounter(page.layer_view.strip), [model.index]
    paints: list[int] = []
    lateness: list[float] = []
    player.set_speed(PLAY_SPEED)

    def on_position() -> None:
        lateness.append(time.perf_counter() - begin - len(seen) / PLAY_SPEED)
        seen.append(model.index)
        paints.append(painted.count)
        if len(seen) > count:
            player.stop()
            QTimer.singleShot(0, loop.quit)

    model.position_changed.connect(on_position)
    QApplication.processEvents()
    begin = time.perf_counter()
    page.toggle_play()
    loop.exec()
    model.position_changed.disconnect(on_position)
    QApplication.processEvents()
    paints.append(painted.count)
    result = {
        "steps": count,
        "skipped": sum(b - a != 1 for a, b in pairwise(seen)),
        "unpainted": sum(b == a for a, b in pairwise(paints)),
        "steps_per_second": count / (count / PLAY_SPEED + lateness[-1]),
        "lateness_median_ms": 1000 * float(np.median(lateness)),
        "lateness_p99_ms": 1000 * float(np.percentile(lateness, 99)),
        "lateness_max_ms": 1000 * max(lateness),
    }
    return judged(result, at_most={"skipped": 0, "unpainted": 0}, at_least={"steps_per_second": LEAST_SPEED})


def plays(count: int = 240) -> dict[str, Result]:
    results = {}
    for show_all in (False, True):
        shown = "all shown" if show_all else "shown as reached"
        for name, size, channels in (("3×32×32", SMALL, 3), ("512×512", LARGE, 1)):
            with opened_lab(size, channels, 5, show_all) as page:
                rows, cols = page.model.output_size
                page.model.go_to(rows // 3 * cols)
                results[f"{name}, 5×5, {shown}"] = play(page, count)
    return results


def networks(count: int = 40) -> dict[str, Result]:
    """Open VGG-16 on 3×224×224 in the Lab, then step one of its layers once all are computed."""
    with opened_lab(SMALL, 1, 3, show_all=True) as page:
        sheet = page.stack_view.canvas.widget()
        assert sheet is not None
        painted, begin = PaintCounter(sheet), time.perf_counter()
        page.choose_preset("vgg16")
        while not painted.count:
            QApplication.processEvents()
        opened = 1000 * (time.perf_counter() - begin)
        while page.model.forward.busy:
            QApplication.processEvents()
        computed = time.perf_counter() - begin
        page.model.choose_layer(LAST_CONV)
        times = times_to_frame(lambda: QTest.keyClick(page, Qt.Key.Key_Right), page.stack_view.table, count)
    return {
        "VGG-16, opened": judged({"ms": opened}, at_most={"ms": NETWORK_MS}),
        "VGG-16, all layers computed": {"s": computed},
        "VGG-16, step of the last convolution": judged(summed_up(times), at_most={"p99_ms": NETWORK_STEP_MS}),
    }

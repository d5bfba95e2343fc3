"""How fast the stack view answers for VGG-16 on 3×224×224: its first frame, and a receptive field that moves."""

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from convviz.core.explain import FloatArray
from convviz.core.presets import vgg16
from convviz.ui import theme
from convviz.ui.lab.stack_canvas import StackCanvas, StackPicture
from tests.benchmarks.bench_lab import WINDOW_SIZE, the_application, times_to_frame
from tests.benchmarks.report import Result, judged, summed_up
from tests.ui.paints import PaintCounter

FIRST_MS, MOVE_MS = 500.0, 16.0
FIRST_CONV, LAST_CONV = 0, 28


def vgg16_picture() -> StackPicture:
    """Return VGG-16 with noise for every map, in float32 as a forward pass gives them, and the input in colour."""
    stack, rng = vgg16(), np.random.default_rng(0)
    maps: list[FloatArray] = [rng.standard_normal(shape, dtype=np.float32) for shape in stack.shapes]
    maps[0] = np.abs(maps[0])
    channels, shown = (0,) * len(maps), (None,) * len(maps)
    return StackPicture(stack, tuple(maps), channels, LAST_CONV, (7, 7), shown, colour=True)


@contextmanager
def opened_canvas(fit: bool) -> Iterator[StackCanvas]:
    """Open a window without a picture."""
    application = the_application()
    theme.apply(application, "light", 1.0)
    canvas = StackCanvas()
    canvas.set_fit(fit)
    canvas.setFixedSize(*WINDOW_SIZE)
    canvas.show()
    if not QTest.qWaitForWindowExposed(canvas):
        raise RuntimeError("the window was not shown")
    gc.freeze()  # as the application does
    try:
        yield canvas
    finally:
        canvas.close()
        canvas.deleteLater()
        application.processEvents()


def first(picture: StackPicture, fit: bool) -> Result:
    """Show the picture in a fresh window, once: nothing of it is known before."""
    with opened_canvas(fit) as canvas:
        QApplication.processEvents()
        sheet = canvas.widget()
        assert sheet is not None
        painted, begin = PaintCounter(sheet), time.perf_counter()
        canvas.set_picture(picture)
        QApplication.processEvents()
        seconds = time.perf_counter() - begin
    if not painted.count:
        raise RuntimeError("nothing was painted")
    return judged({"ms": 1000 * seconds}, at_most={"ms": FIRST_MS})


def move(picture: StackPicture, fit: bool, count: int) -> Result:
    """Choose ``count`` cells of one layer at random."""
    _, height, width = picture.stack.shapes[picture.current + 1]
    rng = np.random.default_rng(0)
    with opened_canvas(fit) as canvas:
        canvas.set_picture(picture)
        panel = canvas.panel(picture.current + 1)
        if panel is None:
            raise RuntimeError("the current layer is not in view")
        cell = picture.cell

        def go() -> None:
            nonlocal cell
            before = cell
            while cell == before:
                cell = int(rng.integers(height)), int(rng.integers(width))
            canvas.set_picture(replace(picture, cell=cell))

        times = times_to_frame(go, panel.grid, count)
    return judged(summed_up(times), at_most={"p99_ms": MOVE_MS})


def stack(count: int = 300) -> dict[str, Result]:
    results, picture = {}, vgg16_picture()
    for fit in (False, True):
        layout = "in rows" if fit else "side by side"
        results[f"VGG-16, first frame, {layout}"] = first(picture, fit)
        for layer, name in ((FIRST_CONV, "first"), (LAST_CONV, "last")):
            current = replace(picture, current=layer)
            results[f"VGG-16, a cell of the {name} convolution, {layout}"] = move(current, fit, count)
    return results

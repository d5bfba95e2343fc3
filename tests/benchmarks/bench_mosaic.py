"""How fast the mosaic scrolls, fills in while a window is stepped, and shows new values while a network trains."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PySide6.QtTest import QTest

from convviz.core import display
from convviz.ui import theme
from convviz.ui.widgets.mosaic import Mosaic
from tests.benchmarks.bench_lab import WINDOW_SIZE, the_application, times_to_frame
from tests.benchmarks.report import Result, judged, summed_up

STRIP_HEIGHT = 160
FRAME_MS, STEP_MS, REDUCED_MS = 16.0, 8.0, 33.0
SETS = ((64, 112), (512, 32), (4096, 1), (64, 224))
"""Number of maps, and their rows and columns. The last ones are larger than their pictures, which costs time."""
REDUCED_FROM = 200


@contextmanager
def opened_mosaic(num_maps: int, side: int, wrapped: bool, zoom: float = 1.0) -> Iterator[Mosaic]:
    """Open a mosaic of random maps in the benchmarks' window size, or a strip as wide."""
    application = the_application()
    theme.apply(application, "light", 1.0)
    mosaic = Mosaic(wrapped)
    mosaic.setFixedSize(WINDOW_SIZE[0], WINDOW_SIZE[1] if wrapped else STRIP_HEIGHT)
    mosaic.set_maps(_random_maps(num_maps, side, 0), 3.0, signed=True)
    mosaic.show()
    if not QTest.qWaitForWindowExposed(mosaic):
        raise RuntimeError("the mosaic did not appear")
    mosaic.zoom(zoom)
    try:
        yield mosaic
    finally:
        mosaic.close()
        mosaic.deleteLater()
        application.processEvents()


def _random_maps(num_maps: int, side: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(num_maps, side, side)).astype(np.float32)


def _measured(act: Callable[[], object], mosaic: Mosaic, count: int, most_ms: float) -> Result:
    return judged(summed_up(times_to_frame(act, mosaic.viewport(), count)), at_most={"p99_ms": most_ms})


def scroll(mosaic: Mosaic, wrapped: bool, stride: int, count: int) -> Result:
    """Scroll by ``stride`` px ``count`` times, to and fro over all maps."""
    bar = mosaic.verticalScrollBar() if wrapped else mosaic.horizontalScrollBar()
    if bar.maximum() < stride:
        raise RuntimeError("there is nothing to scroll")
    direction = 1

    def on() -> None:
        nonlocal direction
        if not 0 <= bar.value() + direction * stride <= bar.maximum():
            direction = -direction
        bar.setValue(bar.value() + direction * stride)

    return _measured(on, mosaic, count, FRAME_MS)


def step(mosaic: Mosaic, side: int, count: int, most_ms: float) -> Result:
    """Compute one cell more in every map and mark it."""
    mosaic.set_shown(0)
    index = 0

    def on() -> None:
        nonlocal index
        index += 1
        row, col = divmod(index - 1, side)
        mosaic.set_shown(index)
        mosaic.set_mark((row,), (col,))

    return _measured(on, mosaic, count, most_ms)


def renew(mosaic: Mosaic, num_maps: int, side: int, count: int, most_ms: float) -> Result:
    """Show other values in all maps."""
    sets = [_random_maps(num_maps, side, seed) for seed in (0, 1)]
    levels = [display.signed_levels(maps) for maps in sets]
    turn = 0

    def on() -> None:
        nonlocal turn
        turn = 1 - turn
        mosaic.set_maps(sets[turn], levels[turn], signed=True)

    return _measured(on, mosaic, count, most_ms)


def mosaics(count: int = 400) -> dict[str, Result]:
    results = {}
    for num_maps, side in SETS:
        step_ms, renew_ms = (FRAME_MS, REDUCED_MS) if side >= REDUCED_FROM else (STEP_MS, FRAME_MS)
        for wrapped in (False, True):
            where = f"{num_maps} maps of {side}×{side}, " + ("wrapped" if wrapped else "strip")
            with opened_mosaic(num_maps, side, wrapped, zoom=2.0) as mosaic:
                for kind, stride in (("notch", 40), ("page", 700)):
                    results[f"{where}, scroll by a {kind}"] = scroll(mosaic, wrapped, stride, count)
            with opened_mosaic(num_maps, side, wrapped) as mosaic:
                if side > 1:
                    results[f"{where}, step"] = step(mosaic, side, count, step_ms)
                results[f"{where}, new values"] = renew(mosaic, num_maps, side, count, renew_ms)
    return results

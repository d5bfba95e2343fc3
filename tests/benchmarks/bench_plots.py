"""How fast the curves of a training are shown again when batches were added."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from convviz.nn.checkpoint import Change, EpochResult
from convviz.nn.run_folder import BATCH, BatchRows
from convviz.ui import theme
from convviz.ui.train.plots import MOST_EARLIER, RunPlots
from convviz.ui.widgets.curves import CurvePlot
from tests.benchmarks.bench_lab import UNCOUNTED, the_application, times_to_frame
from tests.benchmarks.report import Result, judged, summed_up

SIZE = (900, 300)
NUM_BATCHES, PER_EPOCH, ADDED = 40_000, 782, 20
UPDATE_MS = 8.0
CHANGES = (Change(10_000, "lr", 0.01), Change(20_000, "momentum", 0.5))


def made_run(num_batches: int, seed: int) -> tuple[BatchRows, list[EpochResult]]:
    """Return a noisy run: its batches, and the epochs that are over."""
    random = np.random.default_rng(seed)
    batches = np.zeros(num_batches, BATCH)
    steps = np.arange(1, num_batches + 1)
    clean = 0.3 + 2 * np.exp(-steps / (3 * PER_EPOCH))
    batches["step"], batches["epoch"], batches["seconds"] = steps, 1 + (steps - 1) // PER_EPOCH, 0.007 * steps
    batches["loss"] = clean * np.exp(random.normal(0, 0.2, num_batches))
    batches["lr"], batches["momentum"] = 0.05 * np.exp(-steps / 20_000), 0.9
    batches["grad_norm"] = 2 * np.exp(random.normal(0, 0.4, num_batches))
    epochs = [
        EpochResult(k, k * PER_EPOCH, 0.007 * k * PER_EPOCH, loss, 0.9 - loss / 4, 1.1 * loss, 0.85 - loss / 4)
        for k, loss in enumerate(clean[PER_EPOCH - 1 :: PER_EPOCH].tolist(), 1)
    ]
    return batches, epochs


@contextmanager
def opened_plots() -> Iterator[RunPlots]:
    """Open the plots of no run."""
    application = the_application()
    theme.apply(application, "light", 1.0)
    plots = RunPlots()
    plots.setFixedSize(*SIZE)
    plots.show()
    if not QTest.qWaitForWindowExposed(plots):
        raise RuntimeError("the plots did not appear")
    try:
        yield plots
    finally:
        plots.close()
        plots.deleteLater()
        application.processEvents()


def grow(view: RunPlots, last_painted: QWidget, count: int) -> Result:
    """Add batches up to `NUM_BATCHES`, ``count`` times; ``last_painted`` is the last plot that they change."""
    batches, epochs = made_run(NUM_BATCHES, 0)
    num_batches = NUM_BATCHES - ADDED * (count + UNCOUNTED)

    def on() -> None:
        nonlocal num_batches
        num_batches += ADDED
        over = [result for result in epochs if result.step <= num_batches]
        view.show_run("small CNN", batches[:num_batches], over, CHANGES, PER_EPOCH)

    return judged(summed_up(times_to_frame(on, last_painted, count)), at_most={"p99_ms": UPDATE_MS})


def plots(count: int = 400) -> dict[str, Result]:
    results = {}
    for num_earlier in (0, MOST_EARLIER):
        for quantity in ("accuracy", "rate", "gradient"):
            with opened_plots() as view:
                for seed in range(1, num_earlier + 1):
                    batches, epochs = made_run(NUM_BATCHES, seed)
                    view.show_run(f"run {seed}", batches, epochs, (), PER_EPOCH)
                    view.keep_run()
                view.choose_quantity(quantity)
                loss, other = view.findChildren(CurvePlot)
                last_painted = loss if quantity == "accuracy" else other  # there are no accuracies within an epoch
                name = f"{NUM_BATCHES} batches, loss and {quantity}, {num_earlier} earlier runs"
                results[name] = grow(view, last_painted, count)
    return results

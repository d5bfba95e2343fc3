"""How fast the Inspect page's work is: a file opened, a look through a network, the strongest patches of a layer."""

import gc
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PySide6.QtCore import QEventLoop
from PySide6.QtWidgets import QApplication
from torchvision.models import resnet18

from convviz.nn.build import build
from convviz.nn.checkpoint import load_checkpoint
from convviz.nn.data import Dataset, Split
from convviz.nn.look import look
from convviz.nn.network import Network, network_of, to_unit_range
from convviz.nn.patches import share_out, stored_patches
from convviz.nn.tensor_file import open_tensor_file
from convviz.resources import resource
from convviz.ui.jobs import JobThread
from tests.benchmarks.bench_lab import opened_window, the_application
from tests.benchmarks.report import Result, judged
from tests.nn.steps import result_of
from tests.ui.paints import PaintCounter

WAITING = QEventLoop.ProcessEventsFlag.WaitForMoreEvents
CLASSES_OF_50_MB = 1800
"""With so many classes a ResNet-18's checkpoint has 50 MB."""


def inspect(count: int = 5, num_pictures: int = 10_000, num_tensors: int = 30_000) -> dict[str, Result]:
    return {
        f"{num_tensors} tensors are listed": listing(count, num_tensors),
        "a checkpoint of 50 MB is opened": opening(count),
        "ResNet-18 is looked through": looking(resnet(), 4 * count),
        "strongest patches of the small CNN": searching(small_cnn(), num_pictures),
    }


def opening(count: int, num_classes: int = CLASSES_OF_50_MB) -> Result:
    """Return the median time to open a ResNet-18's checkpoint; torch is loaded, and the file still in memory."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        torch.save({"state_dict": resnet18(num_classes=num_classes).state_dict()}, path)
        seconds = [timed(lambda: result_of(open_tensor_file(path))) for _ in range(count)]
        result = {"count": count, "MB": path.stat().st_size / 1e6, "s": statistics.median(seconds)}
    return judged(result, at_most={"s": 1.0})


def listing(count: int, num_tensors: int) -> Result:
    """Return the median time from opening a file of PyTorch to the frame with its tensors; torch is loaded."""
    with tempfile.TemporaryDirectory() as folder, opened_window() as window:
        path = Path(folder) / "many.pt"
        torch.save({f"{index // 100}.{index % 100}.weight": torch.zeros(4) for index in range(num_tensors)}, path)
        window.show_page(window.inspect)
        window.show()
        gc.freeze()  # as the application does
        page = window.inspect
        painted, seconds = PaintCounter(page.panel.tree.viewport()), []
        for _ in range(count):
            began, before = time.perf_counter(), page.model.contents
            page.open(path)
            while page.model.contents is before:
                QApplication.processEvents(WAITING)
            num_painted = painted.count
            while painted.count == num_painted:
                QApplication.processEvents(WAITING)
            seconds.append(time.perf_counter() - began)
            page.stop()
            while the_application().findChildren(JobThread):
                QApplication.processEvents(WAITING)
        return judged({"count": count, "s": statistics.median(seconds), "max_s": max(seconds)}, at_most={"s": 1.0})


def looking(network: Network, count: int) -> Result:
    """Return the median times of a look at the layer with the largest maps and of the bare forward pass, in turns."""
    x = np.random.default_rng(0).normal(size=network.input_shape).astype(np.float32)
    largest = max(network.layers, key=lambda layer: np.prod(layer.shape)).name

    def forward() -> None:
        with torch.inference_mode():
            network.module(torch.from_numpy(x)[None])

    share_out(network, 1)
    forward()
    pairs = [(timed(lambda: look(network, x, largest)), timed(forward)) for _ in range(count)]
    result = {
        "count": count,
        "median_ms": 1000 * statistics.median(seconds for seconds, _ in pairs),
        "bare_median_ms": 1000 * statistics.median(bare for _, bare in pairs),
        "ratio": statistics.median(seconds / bare for seconds, bare in pairs),
    }
    return judged(result, at_most={"ratio": 1.5})


def searching(network: Network, num_pictures: int) -> Result:
    """Return the time to search noise for the strongest patches of the last layer, and to find them stored."""
    images = np.random.default_rng(0).integers(0, 256, (num_pictures, *network.input_shape), np.uint8)
    split = Split(images, np.zeros(num_pictures, np.int64))
    dataset = Dataset("noise", "Noise", ("noise",), split, split, "noise")
    last = network.layers[-1].name
    with tempfile.TemporaryDirectory() as folder:
        first, again = (
            timed(lambda: result_of(stored_patches(network, last, dataset, folder=Path(folder)))) for _ in range(2)
        )
    return judged({"pictures": num_pictures, "s": first, "again_ms": 1000 * again}, at_most={"s": 10.0})


def resnet() -> Network:
    return network_of("ResNet-18", "torchvision", resnet18(), to_unit_range((3, 224, 224)))


def small_cnn() -> Network:
    stack = load_checkpoint(resource("weights/small_cnn.pt")).trained_stack()
    return network_of("Small CNN", "checkpoint", build(stack), to_unit_range(stack.input_shape))


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

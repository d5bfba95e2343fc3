"""Times of the numpy core beside torch on the CPU.

Times are medians in milliseconds; a ratio is ours divided by torch's, measured in the same run.
"""

import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from convviz.core.layers import AvgPool2d, Conv2d, Layer, MaxPool2d
from tests.benchmarks.report import Result, judged

SPIN_SECONDS = 0.3
"""After a call the thread pools of torch and numpy wait for more work on all cores; they give up sooner than this."""

RATIO_FLOAT64, RATIO_FLOAT32 = 1.0, 6.0
EXPLAIN_MS = 0.2


def medians_ms(*calls: Callable[[], object], repeats: int = 7, rounds: int = 3) -> list[float]:
    """Return each call's median time.

    The calls take turns in rounds, so that whatever slows the machine slows them all. Each round begins once the other
    library's threads have stopped spinning, with two calls that do not count.
    """
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, taken in zip(calls, times, strict=True):
            time.sleep(SPIN_SECONDS)
            call()
            call()
            for _ in range(repeats):
                start = time.perf_counter()
                call()
                taken.append(1000 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times]


def beside_torch(ours: Callable[[], object], theirs: Callable[[], object]) -> Result:
    threads = torch.get_num_threads()
    ours_ms, theirs_ms = medians_ms(ours, theirs)
    torch.set_num_threads(1)
    try:
        ours_again_ms, one_thread_ms = medians_ms(ours, theirs)
    finally:
        torch.set_num_threads(threads)
    return {
        "ms": ours_ms,
        "torch_ms": theirs_ms,
        "ratio": ours_ms / theirs_ms,
        "torch_one_thread_ms": one_thread_ms,
        "ratio_one_thread": ours_again_ms / one_thread_ms,
    }


def convolution(in_channels: int, out_channels: int, kernel_size: int, size: int, dtype: Any) -> Result:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(in_channels, size, size)).astype(dtype)
    weight = rng.normal(size=(out_channels, in_channels, kernel_size, kernel_size)).astype(dtype)
    bias = rng.normal(size=out_channels).astype(dtype)
    layer = Conv2d(in_channels, out_channels, kernel_size, padding="same", weight=weight, bias=bias)
    batch, torch_weight, torch_bias = torch.from_numpy(x)[None], torch.from_numpy(weight), torch.from_numpy(bias)
    half = kernel_size // 2
    return beside_torch(
        lambda: layer.forward(x),
        lambda: torch.nn.functional.conv2d(batch, torch_weight, torch_bias, padding=half),
    )


def pooling(layer: MaxPool2d | AvgPool2d, module: torch.nn.Module) -> Result:
    x = np.random.default_rng(0).normal(size=(1, 512, 512))
    batch = torch.from_numpy(x)[None]
    return beside_torch(lambda: layer.forward(x), lambda: module(batch))


def single_cells(layer: Layer) -> Result:
    x = np.random.default_rng(0).normal(size=(3, 512, 512))
    rows, cols = range(100, 105), range(507, 512)
    explain_ms, forward_at_ms = medians_ms(
        lambda: layer.explain(x, (0, 3, 511)), lambda: layer.forward_at(x, rows, cols), repeats=200
    )
    return judged({"explain_ms": explain_ms, "forward_at_5x5_ms": forward_at_ms}, at_most={"explain_ms": EXPLAIN_MS})


def peak_memory() -> Result:
    layer, x = Conv2d(3, 16, 15, padding="same"), np.zeros((3, 512, 512))
    tracemalloc.start()
    layer.forward(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"mib": peak / 2**20}


def core() -> dict[str, Result]:
    kernel = np.random.default_rng(0).normal(size=(4, 3, 5, 5))
    results = {
        f"conv 3→16, 5×5, 224×224, {dtype.__name__}": judged(
            convolution(3, 16, 5, 224, dtype), at_most={"ratio": most_ratio}
        )
        for dtype, most_ratio in ((np.float64, RATIO_FLOAT64), (np.float32, RATIO_FLOAT32))
    }
    results["conv 1→1, 5×5, 512×512, float64"] = convolution(1, 1, 5, 512, np.float64)
    results["conv 3→1, 15×15, 512×512, float64"] = convolution(3, 1, 15, 512, np.float64)
    results["conv 64→64, 3×3, 32×32, float32"] = convolution(64, 64, 3, 32, np.float32)
    results["max 5×5, stride 1, 512×512"] = pooling(MaxPool2d(5, 1, 2), torch.nn.MaxPool2d(5, 1, 2))
    results["max 2×2, 512×512"] = pooling(MaxPool2d(2), torch.nn.MaxPool2d(2))
    results["average 5×5, stride 1, 512×512"] = pooling(AvgPool2d(5, 1, 2), torch.nn.AvgPool2d(5, 1, 2))
    results["one cell, conv 5×5, 3×512×512"] = single_cells(Conv2d(3, 4, 5, padding=2, weight=kernel))
    results["one cell, max 5×5, 3×512×512"] = single_cells(MaxPool2d(5, 1, 2))
    results["one cell, average 5×5, 3×512×512"] = single_cells(AvgPool2d(5, 1, 2))
    results["peak memory, conv 3→16, 15×15, 512×512, float64"] = peak_memory()
    return results

"""The benchmarks work; their figures are read by people, not asserted here."""

import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PySide6.QtWidgets import QApplication

from convviz.core.layers import AvgPool2d, MaxPool2d
from convviz.core.presets import PRESETS
from tests.benchmarks import bench_core, bench_lab, bench_mosaic, bench_stack, bench_start
from tests.benchmarks.report import Result, judged, machine, missed, summed_up


def test_times_are_summed_up_in_milliseconds() -> None:
    assert summed_up([0.001, 0.003, 0.002]) == pytest.approx(
        {"count": 3, "median_ms": 2.0, "p99_ms": 2.98, "max_ms": 3.0}
    )


def test_targets_say_what_was_missed() -> None:
    met = judged({"p99_ms": 8.0, "speed": 59.0}, at_most={"p99_ms": 8.0}, at_least={"speed": 59.0})
    slow = judged({"p99_ms": 8.1, "speed": 58.0}, at_most={"p99_ms": 8.0}, at_least={"speed": 59.0})
    assert missed({"step": {"fast": met, "slow": slow, "untargeted": {"ms": 1.0}}}) == [
        "step: slow: p99_ms",
        "step: slow: speed",
    ]


def test_machine_facts_can_be_printed() -> None:
    assert json.loads(json.dumps(machine()))["numpy"] == np.__version__


def test_first_frames_are_timed() -> None:
    (result,) = bench_start.start(pairs=1).values()
    assert result["ratio"] == pytest.approx(result["median_ms"] / result["bare_median_ms"])
    assert result["bare_median_ms"] > 0


@pytest.mark.usefixtures("qapp")
@pytest.mark.parametrize(
    ("measure", "benchmarks"), [(bench_lab.steps, 10), (bench_lab.edits, 4), (bench_mosaic.mosaics, 30)]
)
def test_frames_are_timed(measure: Callable[[int], dict[str, Result]], benchmarks: int) -> None:
    results = measure(2)
    assert len(results) == benchmarks
    for result in results.values():
        assert result["count"] == 2
        assert 0 < result["median_ms"] <= result["p99_ms"] <= result["max_ms"]


def test_no_frame_is_an_error(qapp: QApplication) -> None:
    with (
        bench_lab.opened_lab((4, 4), 1, 3, show_all=True) as page,
        pytest.raises(RuntimeError, match="nothing was painted"),
    ):
        bench_lab.times_to_frame(lambda: None, page.layer_view.strip, 1)


@pytest.mark.usefixtures("qapp")
def test_playing_visits_every_position() -> None:
    for result in bench_lab.plays(3).values():
        assert (result["steps"], result["skipped"]) == (3, 0)


@pytest.mark.usefixtures("qapp")
def test_maps_of_a_stack_are_timed() -> None:
    results = bench_stack.stack(2)
    assert [result.get("count") for result in results.values()] == [None, 2, 2] * 2
    assert all((result["median_ms"] if "count" in result else result["ms"]) > 0 for result in results.values())


@pytest.mark.usefixtures("qapp")
def test_a_network_is_opened_and_stepped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "vgg16", PRESETS["lenet5"])  # a small one does
    opened, computed, stepped = bench_lab.networks(2).values()
    assert 0 < opened["ms"] <= 1000 * computed["s"]
    assert stepped["count"] == 2


def test_core_is_timed_beside_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_core, "SPIN_SECONDS", 0.0)
    convolution = bench_core.convolution(1, 1, 3, 8, np.float64)
    assert convolution["ratio"] == pytest.approx(convolution["ms"] / convolution["torch_ms"])
    assert bench_core.pooling(MaxPool2d(2), torch.nn.MaxPool2d(2))["ratio"] > 0
    assert bench_core.single_cells(AvgPool2d(3, 1, 1))["explain_ms"] > 0
    assert bench_core.peak_memory()["mib"] > 0


def test_one_command_prints_json() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", "--help"],
        cwd=bench_start.ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "--only" in ended.stdout

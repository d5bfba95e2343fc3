"""The benchmarks work; their figures are read by people, not asserted here."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PySide6.QtWidgets import QApplication

from convviz.core.layers import AvgPool2d, MaxPool2d
from convviz.core.presets import PRESETS
from convviz.core.refusal import RefusalError
from tests.benchmarks import bench_core, bench_lab, bench_mosaic, bench_stack, bench_start, bench_train, loops
from tests.benchmarks.one_training import memory_mb, opened
from tests.benchmarks.report import Result, judged, machine, missed, summed_up
from tests.benchmarks.window_training import window_training


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


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    """A folder of noise in two classes, 40 pictures each to train on."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 4)):
        for name in ("one", "other"):
            folder = tmp_path / "pictures" / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(folder / f"{index}.png")
    return str(tmp_path / "pictures")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # the tutorial's workers
@pytest.mark.parametrize("kind", ["trainer", "prepared", "tutorial", "terminal"])
def test_trainings_answer_requests(kind: str, pictures: str, tmp_path: Path) -> None:
    with opened(kind, pictures, "small_cnn", 16, tmp_path) as answer:
        done = answer("2")
        assert done["batches"] == 2
        assert done["seconds"] > 0
        assert answer("accuracy")["accuracy"] in np.arange(9) / 8


def test_a_training_ends_with_its_last_epoch(pictures: str, tmp_path: Path) -> None:
    with opened("terminal", pictures, "small_cnn", 40, tmp_path) as answer:
        assert answer("1000")["batches"] == 20
        assert len((tmp_path / "run" / "metrics.csv").read_text("utf-8").splitlines()) > 20


def test_the_limit_computes_what_the_trainer_does(pictures: str) -> None:
    dataset = bench_train.pictures(pictures)
    ours, limit = (loop("small_cnn", dataset, 16) for loop in (loops.trainer_loop, loops.prepared_loop))
    for loop in (ours, limit):
        loop.answer("1")
    for one, other in zip(ours.module.parameters(), limit.module.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_training_in_the_window_is_watched(qapp: QApplication, pictures: str, tmp_path: Path) -> None:
    with window_training(pictures, "small_cnn", 1, tmp_path) as training:
        for _ in range(2):
            done = training.do(5)
            assert done["batches"] >= 5
            assert done["seconds"] > sum(done["late"]) + 0.016 * len(done["late"])
            assert done["looked"] >= 1
            assert done["painted"] >= 0


def test_what_cannot_be_trained_is_not_waited_for(qapp: QApplication, tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="neither a folder nor a file"),
        window_training(str(tmp_path / "none"), "small_cnn", 1, tmp_path),
    ):
        pass


def test_a_process_trains_when_it_is_asked(pictures: str) -> None:
    with bench_train.training("trainer", pictures, 2) as ask:
        assert ask(3)["batches"] == 3
        assert 0 <= ask("accuracy")["accuracy"] <= 1


def test_the_median_of_the_ratios_counts() -> None:
    slow, fast = {"batches": 10, "seconds": 2.0}, {"batches": 10, "seconds": 1.0}
    result = bench_train.speeds(("a", "b"), 4, [[slow, fast, fast], [slow, slow, slow]])
    assert (result["a_images_per_second"], result["b_images_per_second"], result["ratio"]) == (40, 20, 2)
    assert (result["least_ratio"], result["greatest_ratio"]) == (1, 2)


@contextmanager
def made_up_training(kind: str, data: str, batch_size: int = 64, model: str = "small_cnn") -> Iterator[bench_train.Ask]:
    """Ours does ten times as many pictures a second, and each look finds a percent more than the last."""
    looks = 0

    def ask(request: object) -> Result:
        nonlocal looks
        if request == "accuracy":
            looks += 1
            return {"accuracy": 0.5 + looks / 100}
        seconds = int(str(request)) * batch_size / (100 if kind == "tutorial" else 1000)
        seen = {"late": [0.001, 0.03], "painted": 5, "looked": 6, "memory_mb": 260.0, "imported_mb": 100.0}
        return {"batches": request, "seconds": seconds} | seen | ({"memory_mb": 200.0} if kind == "nothing" else {})

    yield ask


def test_all_that_is_trained_is_held_against_its_target(monkeypatch: pytest.MonkeyPatch, pictures: str) -> None:
    monkeypatch.setattr(bench_train, "training", made_up_training)
    results = bench_train.train(pictures)
    assert [result["ratio"] for result in results.values()] == pytest.approx([1, 1, 10, 10, 1, 1.3])
    assert missed({"train": results}) == ["train: batch 64, the window open: late_p99_ms"]


def test_learning_is_timed_to_the_accuracy(monkeypatch: pytest.MonkeyPatch, pictures: str) -> None:
    monkeypatch.setattr(bench_train, "training", made_up_training)
    soon, end = bench_train.learning(pictures).values()
    assert (soon["seconds"], soon["tutorial_seconds"]) == pytest.approx((10 * 64 / 1000, 10 * 5 * 4 / 100))
    assert (soon["accuracy"], soon["tutorial_accuracy"]) == (0.6, 0.6)
    assert end["accuracy"] == 0.9
    (whole,) = bench_train.fast(pictures).values()
    assert whole["seconds"] == pytest.approx((12 * 1 + 1) * 128 / 1000)


def test_training_needs_pictures() -> None:
    ended = run_benchmarks("--only", "train")
    assert ended.returncode == 2
    assert "--only train needs --data" in ended.stderr
    with pytest.raises(RefusalError):
        bench_train.pictures("no such folder")


def test_memory_is_that_of_this_process() -> None:
    held = memory_mb()
    assert held is None or 50 < held < 10_000


def test_one_command_prints_json() -> None:
    assert "--only" in run_benchmarks("--help").stdout


def run_benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.benchmarks", *arguments],
        cwd=bench_start.ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from convviz.core.refusal import RefusalError
from convviz.nn.run_folder import (
    BATCH,
    BEST_FILE,
    LAST_FILE,
    LOCK_FILE,
    METRICS_FILE,
    SETTINGS_FILE,
    Metrics,
    RunFolder,
)
from convviz.nn.train import Trainer, resume
from tests.nn.train_cases import SETTINGS, info_of, tiny_dataset, tiny_stack, trained


@pytest.fixture
def trainer() -> Trainer:
    return Trainer(tiny_stack(), tiny_dataset(), SETTINGS)


@pytest.fixture
def run(trainer: Trainer, tmp_path: Path) -> RunFolder:
    """A run of 3 epochs of 6 batches that is over."""
    folder = RunFolder.create(tmp_path / "run", info_of(trainer))
    trained(trainer, folder)
    return folder


def test_a_run_has_four_files_and_a_lock(run: RunFolder) -> None:
    assert {path.name for path in run.path.iterdir()} == {
        BEST_FILE,
        LAST_FILE,
        METRICS_FILE,
        SETTINGS_FILE,
        LOCK_FILE,
    }


def test_the_settings_come_back(run: RunFolder) -> None:
    assert RunFolder.open(run.path).info == run.info


def test_metrics_as_text(run: RunFolder) -> None:
    lines = (run.path / METRICS_FILE).read_text().splitlines()
    assert lines[0] == "step,epoch,seconds,loss,lr,momentum,grad_norm,train_loss,train_accuracy,test_loss,test_accuracy"
    assert [tuple(map(int, line.split(",")[:2])) for line in lines[1:]] == [
        *((step, 1) for step in (1, 2, 3, 4, 5, 6, 6)),
        *((step, 2) for step in (7, 8, 9, 10, 11, 12, 12)),
        *((step, 3) for step in (13, 14, 15, 16, 17, 18, 18)),
    ]
    assert [line.split(",")[3] == "" for line in lines[1:]] == ([False] * 6 + [True]) * 3


def test_metrics_are_what_the_trainer_knows(run: RunFolder, trainer: Trainer) -> None:
    metrics = run.metrics()
    for name in BATCH.names or ():
        np.testing.assert_allclose(metrics.batches[name], trainer.curve[name], rtol=0, atol=1e-3 * (name == "seconds"))
    for told, known in zip(metrics.epochs, trainer.progress.epochs, strict=True):
        assert dataclasses.replace(told, seconds=0) == dataclasses.replace(known, seconds=0)
        assert told.seconds == pytest.approx(known.seconds, abs=1e-3)


def test_a_row_cut_off_is_left_out(run: RunFolder) -> None:
    text = (run.path / METRICS_FILE).read_text()
    (run.path / METRICS_FILE).write_text(text[: text.rindex("18,3") + 9])
    metrics = run.metrics()
    assert len(metrics.batches) == 18
    assert len(metrics.epochs) == 2


def test_rows_of_something_else_are_left_out(run: RunFolder) -> None:
    with (run.path / METRICS_FILE).open("a") as file:
        file.write("a,b,c,d,e,f,g,,,,\n\n1,2\n\x00\n")
    assert len(run.metrics().batches) == 18


def test_without_metrics_there_is_nothing_to_tell(run: RunFolder) -> None:
    (run.path / METRICS_FILE).unlink()
    metrics = run.metrics()
    assert (len(metrics.batches), metrics.epochs) == (0, ())


def test_to_begin_again_cuts_off_what_came_later(run: RunFolder, trainer: Trainer) -> None:
    whole = (run.path / METRICS_FILE).read_text()
    run.begin(Metrics(trainer.curve[:12], trainer.progress.epochs[:1]))
    text = (run.path / METRICS_FILE).read_text()
    assert whole.startswith(text)
    assert text.splitlines()[-1].startswith("12,2,")
    assert len(run.metrics().epochs) == 1  # that of step 12 is not evaluated yet


def test_new_settings_are_saved_with_a_checkpoint(run: RunFolder, trainer: Trainer) -> None:
    trainer.set_epochs(9)
    run.save(trainer.checkpoint())
    assert RunFolder.open(run.path).info.settings == dataclasses.replace(SETTINGS, epochs=9)


def test_the_best_checkpoint_is_that_of_the_highest_accuracy(run: RunFolder, trainer: Trainer) -> None:
    accuracies = [epoch.test_accuracy for epoch in trainer.progress.epochs]
    assert run.load(BEST_FILE).progress.epochs[-1].test_accuracy == max(accuracies)
    assert len(run.load(BEST_FILE).progress.epochs) == accuracies.index(max(accuracies)) + 1
    assert run.load(LAST_FILE).progress == trainer.progress


@pytest.mark.parametrize("name", [SETTINGS_FILE, METRICS_FILE, LAST_FILE])
def test_a_folder_with_a_run_is_not_begun_anew(tmp_path: Path, trainer: Trainer, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(RefusalError, match="holds a run already"):
        RunFolder.create(tmp_path, info_of(trainer))
    assert (tmp_path / name).read_text() == ""


def test_a_folder_without_a_run_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match=r"lacks settings\.json"):
        RunFolder.open(tmp_path)


def test_a_file_in_the_way_is_named(tmp_path: Path, trainer: Trainer) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RefusalError, match=r"run's folder .*file.* cannot be used"):
        RunFolder.create(tmp_path / "file", info_of(trainer))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-10],
        lambda text: "[]",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"lr": ', '"lr": -'),
        lambda text: text.replace('"convviz run"', '"other"'),
        lambda text: text.replace('"version": 1', '"version": 2'),
        lambda text: text.replace('"classes"', '"kinds"'),
    ],
)
def test_damaged_settings_are_refused(run: RunFolder, change: Callable[[str], str]) -> None:
    text = (run.path / SETTINGS_FILE).read_text()
    assert change(text) != text
    (run.path / SETTINGS_FILE).write_text(change(text))
    with pytest.raises(RefusalError, match=r"settings\.json in .* cannot be used"):
        RunFolder.open(run.path)


def test_names_of_classes_in_any_language(tmp_path: Path, trainer: Trainer) -> None:
    info = info_of(trainer)
    info = dataclasses.replace(info, data=dataclasses.replace(info.data, classes=("猫", "chien", "Löwe")))
    RunFolder.create(tmp_path, info)
    assert RunFolder.open(tmp_path).info == info
    assert "猫" in (tmp_path / SETTINGS_FILE).read_text(encoding="utf-8")
    assert json.loads((tmp_path / SETTINGS_FILE).read_text(encoding="utf-8"))["format"] == "convviz run"


def test_a_folder_that_is_gone_is_named(run: RunFolder, trainer: Trainer) -> None:
    shutil.rmtree(run.path)
    run.add_batch(tuple(range(7)))
    for access in (run.flush, run.load, lambda: run.save(trainer.checkpoint())):
        with pytest.raises(RefusalError, match=r"No such file|There is no file"):
            access()


# One process at a time

CLAIM = """
import sys
from pathlib import Path
from convviz.core.refusal import RefusalError
from convviz.nn.run_folder import RunFolder
folder = RunFolder.open(Path(sys.argv[1]))
try:
    folder.claim()
except RefusalError as error:
    print(error)
else:
    print("claimed", flush=True)
    sys.stdin.read()
"""


def claimed_elsewhere(run: RunFolder) -> tuple[subprocess.Popen[str], str]:
    """Another process that claims the run and keeps it until its stdin ends, and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.fixture
def other(run: RunFolder) -> Iterator[subprocess.Popen[str]]:
    """Another process, which has claimed the run."""
    run.release()
    process, said = claimed_elsewhere(run)
    with process:
        assert said == "claimed"
        yield process
        process.kill()


def test_a_run_that_is_open_elsewhere_is_read_but_not_written(
    other: subprocess.Popen[str], run: RunFolder, trainer: Trainer
) -> None:
    before = {path: path.read_bytes() for path in run.path.iterdir()}
    for write in (
        lambda: resume(RunFolder.open(run.path), trainer.dataset),
        lambda: RunFolder.create(run.path, run.info),
        run.claim,
    ):
        with pytest.raises(RefusalError, match=r"open in another convviz\. Close that one first; nothing was changed"):
            write()
    found = RunFolder.open(run.path)
    assert found.load().progress == trainer.progress
    assert len(found.metrics().batches) == 18
    assert {path: path.read_bytes() for path in run.path.iterdir()} == before


def test_a_killed_process_no_longer_has_its_run(other: subprocess.Popen[str], run: RunFolder) -> None:
    other.kill()
    other.wait()
    run.claim()


def test_a_run_is_claimed_from_its_beginning_until_it_is_released(run: RunFolder) -> None:
    RunFolder.open(run.path).claim()  # the same process may do so again
    process, said = claimed_elsewhere(run)
    with process:
        assert "is open in another convviz" in said
    run.release()
    process, said = claimed_elsewhere(run)
    with process:
        assert said == "claimed"
        process.kill()

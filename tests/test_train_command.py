import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convviz.app import main
from convviz.core.presets import PRESETS
from convviz.core.stack_file import to_json
from convviz.nn.run_folder import RunFolder
from tests.nn.train_cases import tiny_stack

ROOT = Path(__file__).parents[1]

ANSWER = """
import sys
from convviz.app import main
try:
    main({arguments!r})
except SystemExit:
    print({{name.partition(".")[0] for name in sys.modules}} & {{"torch", "torchvision", "PySide6"}})
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures in three classes, 12 to train on and 4 to test on of each, in which one channel is brighter."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for channel, name in enumerate(("red", "green", "blue")):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                picture = rng.integers(0, 160, (8, 8, 3), np.uint8)
                picture[..., channel] += 60
                Image.fromarray(picture).save(folder / split / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny.convviz"
    path.write_text(to_json(tiny_stack()))
    return path


@pytest.fixture
def options(data: Path, model: Path) -> list[str]:
    return ["train", "--data", str(data), "--model", str(model), "--batch-size", "12", "--device", "cpu"]


def losses(folder: Path) -> list[float]:
    values: list[float] = RunFolder.open(folder).metrics().batches["loss"].tolist()
    return values


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr, without the prefix."""
    said = capsys.readouterr().err
    assert said.startswith("convviz: ")
    assert said.count("\n") == 1
    return said.removeprefix("convviz: ")


@pytest.mark.parametrize("arguments", [["train", "--help"], ["--help"]])
def test_help_needs_neither_torch_nor_qt(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ANSWER.format(arguments=arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout.endswith("set()\n")
    assert "train" in done.stdout


def test_a_line_an_epoch_without_a_terminal(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "--out", str(tmp_path / "run"), "--epochs", "3"]) == 0
    out, err = capsys.readouterr()
    first, *epochs = out.splitlines()
    assert "36 pictures to train on, 12 to test on" in first
    assert [line.split()[:2] for line in epochs] == [["epoch", f"{number}/3"] for number in (1, 2, 3)]
    assert all("accuracy" in line and "images/s" in line for line in epochs)
    assert err == ""


def test_all_options_arrive(options: list[str], tmp_path: Path) -> None:
    given = (
        "--epochs 2 --lr 0.01 --schedule cosine --optimizer adamw --momentum 0.8 --no-nesterov --weight-decay 0.1 "
        "--label-smoothing 0.2 --seed 7 --no-mixed-precision --no-flip --crop 1 --cutout 2"
    )
    assert main([*options, "--out", str(tmp_path / "run"), *given.split()]) == 0
    info = RunFolder.open(tmp_path / "run").info
    assert info.settings.as_dict() == {
        "optimizer": "adamw",
        "lr": 0.01,
        "schedule": "cosine",
        "momentum": 0.8,
        "nesterov": False,
        "weight_decay": 0.1,
        "batch_size": 12,
        "epochs": 2,
        "label_smoothing": 0.2,
        "seed": 7,
        "device": "cpu",
        "mixed_precision": False,
        "flip": False,
        "crop": 1,
        "cutout": 2,
    }
    assert info.data.classes == ("blue", "green", "red")


def test_a_preset_gets_an_output_a_class(data: Path, tmp_path: Path) -> None:
    arguments = ["train", "--data", str(data), "--model", "small-cnn", "--epochs", "1", "--device", "cpu"]
    assert main([*arguments, "--out", str(tmp_path / "run")]) == 0
    stack = RunFolder.open(tmp_path / "run").load().trained_stack()
    assert stack.shapes[-1] == (3,)
    assert stack.layers[:-1] != PRESETS["small_cnn"]().layers[:-1]  # trained
    assert [type(layer) for layer in stack.layers] == [type(layer) for layer in PRESETS["small_cnn"]().layers]


def test_to_resume_with_more_epochs_and_a_smaller_rate(options: list[str], tmp_path: Path) -> None:
    run = ["train", "--out", str(tmp_path / "run"), "--resume"]
    assert main([*options, "--out", str(tmp_path / "run"), "--schedule", "constant", "--epochs", "2"]) == 0
    assert main([*run, "--epochs", "3", "--lr", "0.001", "--momentum", "0.5"]) == 0
    batches = RunFolder.open(tmp_path / "run").metrics().batches
    np.testing.assert_array_equal(batches["lr"], [0.02] * 6 + [0.001] * 3)
    np.testing.assert_array_equal(batches["momentum"], [0.9] * 6 + [0.5] * 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("--epochs 1", "epochs is 1; 2 have begun already"),
        ("--lr=-1", "lr is -1.0; it must be"),
    ],
)
def test_what_a_run_cannot_go_on_with_is_said(
    options: list[str], change: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*options, "--out", str(tmp_path / "run"), "--epochs", "2"]) == 0
    capsys.readouterr()
    assert main(["train", "--out", str(tmp_path / "run"), "--resume", *change.split()]) == 2
    assert words in complaint(capsys)
    assert len(losses(tmp_path / "run")) == 6


def test_a_run_that_another_process_trains_is_refused(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with begun([*options, "--out", str(tmp_path / "run"), "--epochs", "10000"], 1) as process:
        assert main(["train", "--out", str(tmp_path / "run"), "--resume"]) == 2
        assert "is open in another convviz" in complaint(capsys)
        process.kill()
        process.communicate(timeout=100)
    assert main(["train", "--out", str(tmp_path / "run"), "--resume", "--epochs", "10000", "--lr=-1"]) == 2
    assert "lr is -1.0" in complaint(capsys)  # it could be opened


def begun(arguments: list[str], num_epochs: int) -> subprocess.Popen[str]:
    """A process that trains and has come so far."""
    process = subprocess.Popen(
        [sys.executable, "-m", "convviz", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f"epoch {num_epochs}/"):
            return process
    raise AssertionError(process.communicate()[1])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_process_that_was_ended_is_resumed_to_the_same_course(
    number: signal.Signals, options: list[str], tmp_path: Path
) -> None:
    options = [*options, "--epochs", "60"]
    with begun([*options, "--out", str(tmp_path / "run")], 3) as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=100)
    if number == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + number
        assert "--resume" in said
        assert "Traceback" not in said
        assert len(losses(tmp_path / "run")) == RunFolder.open(tmp_path / "run").load().progress.step
    assert len(losses(tmp_path / "run")) < 180

    assert main(["train", "--out", str(tmp_path / "run"), "--resume"]) == 0
    assert main([*options, "--out", str(tmp_path / "whole")]) == 0
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 180


def test_a_loss_that_runs_away_is_said_in_one_line(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*options, "--out", str(tmp_path / "run"), "--epochs", "50"]
    assert main([*arguments, "--lr", "1000", "--schedule", "constant"]) == 1
    said = complaint(capsys)
    assert "learning rate of 1000" in said
    assert "The weights of step 0 are kept" in said
    assert main(["train", "--out", str(tmp_path / "run"), "--resume", "--lr", "0.01"]) == 0
    assert len(losses(tmp_path / "run")) == 150


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ["--out", "convviz train --help"]),
        ("--out RUN --optimizer lion", ["--optimizer", "sgd", "adamw"]),
        ("--out RUN --lr fast", ["--lr", "fast"]),
        ("--out RUN --lr=-1", ["lr is -1.0", "from 1e-09 to 1000"]),
        ("--out RUN --epochs 0", ["epochs is 0", "from 1 to 10000"]),
        ("--out RUN --model resnet", ["resnet is no model", "small-cnn", "fast-cnn", ".convviz"]),
        ("--out RUN --model missing.convviz", ["missing.convviz", "No such file"]),
        ("--out RUN --model README.convviz", ["not a stack file"]),
        ("--out RUN --data missing", ["missing is neither a folder nor a file"]),
        ("--out RUN --data cifar10", ["CIFAR-10 is not on this computer yet", "--download"]),
        ("--out RUN --resume", ["RUN holds no run"]),
        ("--out README.convviz", ["README.convviz cannot be used"]),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: str,
    words: list[str],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.convviz").write_text("Read me.")
    options = arguments.split()
    if "--data" not in options and "--resume" not in options:
        options += ["--data", str(data)]
    assert main(["train", *options]) == 2
    said = complaint(capsys)
    assert all(word in said for word in words)
    assert not (tmp_path / "RUN").exists()


def test_a_run_is_not_written_over(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--out", str(tmp_path / "run"), "--epochs", "1"]
    assert main([*options, *run]) == 0
    before = (tmp_path / "run" / "last.pt").read_bytes()
    capsys.readouterr()
    assert main([*options, *run]) == 2
    said = complaint(capsys)
    assert "holds a run already" in said
    assert "--resume" in said
    assert (tmp_path / "run" / "last.pt").read_bytes() == before


@pytest.mark.parametrize("changed", [["--batch-size", "6"], ["--model", "small-cnn"], ["--data", "shapes10"]])
def test_what_a_run_was_begun_with_stays(
    options: list[str], changed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["--out", str(tmp_path / "run")]
    assert main([*options, *run, "--epochs", "1"]) == 0
    capsys.readouterr()
    assert main(["train", *run, "--resume", "--epochs", "2", *changed]) == 2
    assert f"was begun with {changed[0].lstrip('-').replace('-', '_')} " in complaint(capsys)
    assert main([*options, *run, "--resume", "--epochs", "2"]) == 0  # the same as before may be said again


def test_a_stop_while_pictures_are_prepared(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    def interrupted(*_: object, **__: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("tqdm.tqdm.set_description", interrupted)
    assert main([*options, "--out", str(tmp_path / "run")]) == 130
    assert not (tmp_path / "run").exists()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers

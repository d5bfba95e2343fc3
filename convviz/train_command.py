"""``convviz train``: training in the terminal, into the same run folder as the window's. torch is imported late."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from convviz.core.control import StoppedError, StopToken
from convviz.core.presets import PRESETS
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.stack_file import StackFileError, from_json
from convviz.nn.settings import CHOICES, RECOMMENDED, TrainSettings
from convviz.startup import StartError

if TYPE_CHECKING:
    from convviz.nn.data import Dataset
    from convviz.nn.run_folder import RunFolder
    from convviz.nn.source import Steps
    from convviz.nn.train import Trainer, TrainSnapshot

MODELS: Final = {key.replace("_", "-"): key for key in RECOMMENDED}

FAILED: Final = 1
"""The exit code of a training that could not go on; what was trained is in the run's folder."""
SIGNALLED: Final = 128
"""The exit code of a training that a signal has stopped is this and the signal's number: 130 for Ctrl+C."""

_SETTINGS: Final = {
    "optimizer": "how the weights follow the gradient",
    "lr": "learning rate; with a schedule its highest value",
    "schedule": "course of the learning rate",
    "momentum": "of SGD, or the first beta of Adam",
    "nesterov": "Nesterov's momentum",
    "weight_decay": "pull of all weights towards 0",
    "batch_size": "pictures a step",
    "epochs": "passes through the pictures",
    "label_smoothing": "share of the target that is spread over all classes",
    "seed": "of weights, order and augmentation",
    "device": "where to compute",
    "mixed_precision": "compute in bfloat16 where that is faster",
    "flip": "mirror pictures at random",
    "crop": "shift pictures at random by up to N pixels",
    "cutout": "cover a square of N pixels at random",
}
_CHANGEABLE: Final = ("lr", "momentum", "epochs", "device")
"""The settings that `--resume` takes."""

_Result = TypeVar("_Result")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convviz train``."""
    models = ", ".join(MODELS)
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder for settings, metrics, weights")
    parser.add_argument("--data", metavar="D", help="shapes10, cifar10, or a folder of pictures (default: shapes10)")
    parser.add_argument("--model", metavar="M", help=f"{models}, or a .convviz stack (default: small-cnn)")
    parser.add_argument("--download", action="store_true", help="download CIFAR-10 if it is not on this computer")
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN; --epochs gives it more")

    settings = parser.add_argument_group("training", "Where they are not given, they are what suits the model.")
    for field in dataclasses.fields(TrainSettings):
        option, text = f"--{field.name.replace('_', '-')}", _SETTINGS[field.name]
        match field.default:
            case bool():
                settings.add_argument(option, action=argparse.BooleanOptionalAction, help=text)
            case str():
                settings.add_argument(option, choices=CHOICES[field.name], help=text)
            case number:
                settings.add_argument(option, type=type(number), metavar="N", help=text)


def run(options: argparse.Namespace) -> int:
    """Train as the options say and return the exit code. Raises StartError for what the user can put right."""
    names = [field.name for field in dataclasses.fields(TrainSettings)]
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    token = StopToken()
    with _stopping(token) as signals:
        try:
            trainer, folder = _resumed(options, given, token) if options.resume else _begun(options, given, token)
        except (RefusalError, StackFileError) as error:
            raise StartError(str(error)) from error
        except StoppedError:
            return SIGNALLED + signals[0]
        try:
            snapshot = _train(trainer, folder, token)
        except RefusalError as error:
            print("convviz:", " ".join(str(error).split()), file=sys.stderr)
            return FAILED
    if snapshot.phase == "stopped":
        print(f"Saved after {snapshot.progress.step} batches; --resume goes on.", file=sys.stderr)
        return SIGNALLED + signals[0]
    return 0


@contextmanager
def _stopping(token: StopToken) -> Iterator[list[int]]:
    """Let a signal ask to stop, and a second one of its kind end the program at once; yield those that came."""
    came: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        token.request_stop()
        signal.signal(number, earlier[signal.Signals(number)])

    earlier = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in earlier:
        signal.signal(number, stop)
    try:
        yield came
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _begun(options: argparse.Namespace, given: dict[str, Any], token: StopToken) -> tuple[Trainer, RunFolder]:
    from convviz.nn.run_folder import SETTINGS_FILE, RunFolder, RunInfo
    from convviz.nn.train import Trainer, with_classes

    if (options.out / SETTINGS_FILE).is_file():
        raise RefusalError("{folder} holds a run already; --resume goes on with it.", folder=options.out)
    model = options.model or "small-cnn"
    stack, settings = _model(model)
    settings = dataclasses.replace(settings, **given)
    dataset = _loaded(_data_key(options.data or "shapes10"), stack, options.download, token)
    trainer = Trainer(with_classes(stack, len(dataset.classes)), dataset, settings)
    return trainer, RunFolder.create(options.out, RunInfo(_model_key(model), trainer.data_info, settings))


def _resumed(options: argparse.Namespace, given: dict[str, Any], token: StopToken) -> tuple[Trainer, RunFolder]:
    from convviz.nn.run_folder import RunFolder
    from convviz.nn.train import resume

    folder = RunFolder.open(options.out)
    info = folder.info
    wanted = {
        "data": options.data and _data_key(options.data),
        "model": options.model and _model_key(options.model),
        **given,
    }
    was = {"data": info.data.key, "model": info.model, **info.settings.as_dict()}
    for name, value in wanted.items():
        if value is not None and value != was[name] and name not in _CHANGEABLE:
            raise RefusalError(
                "The run in {folder} was begun with {name} {was}, which cannot become {value}.",
                folder=options.out,
                name=name,
                was=was[name],
                value=value,
            )
    checkpoint = folder.load()
    dataset = _loaded(info.data.key, from_json(checkpoint.stack), options.download, token)
    trainer = resume(folder, dataset, given.get("device"))
    for name, change in (("lr", trainer.set_lr), ("momentum", trainer.set_momentum), ("epochs", trainer.set_epochs)):
        if name in given:
            change(given[name])
    return trainer, folder


def _data_key(data: str) -> str:
    return data if data in ("shapes10", "cifar10") else str(Path(data).absolute())


def _model_key(model: str) -> str:
    return MODELS.get(model, str(Path(model).absolute()))


def _model(name: str) -> tuple[Stack, TrainSettings]:
    if name in MODELS:
        return PRESETS[MODELS[name]](), RECOMMENDED[MODELS[name]]
    if not name.endswith(".convviz"):
        raise RefusalError(
            "{model} is no model; there are {models}, or the path of a .convviz stack.",
            model=name,
            models=", ".join(MODELS),
        )
    try:
        return from_json(Path(name).read_text(encoding="utf-8", errors="replace")), TrainSettings()
    except OSError as error:
        raise RefusalError("{file} cannot be read: {reason}.", file=name, reason=error.strerror) from error


def _loaded(key: str, stack: Stack, download: bool, token: StopToken) -> Dataset:
    """Return the data set in the size that the stack takes."""
    from convviz.nn.cifar10 import MissingError, download_cifar10
    from convviz.nn.data import load_dataset

    channels, *size = stack.input_shape
    try:
        return _followed(load_dataset(key, (size[0], size[1]), channels, token=token))
    except MissingError as error:
        if not download:
            raise RefusalError(f"{error} Or let --download fetch it.") from error
        _followed(download_cifar10(token=token))
        return _followed(load_dataset(key, (size[0], size[1]), channels, token=token))


def _followed(steps: Steps[_Result]) -> _Result:
    """Run a preparation to its end, with a bar if there is a terminal, and return its result."""
    from tqdm import tqdm

    with tqdm(disable=None, leave=False, unit_scale=True) as bar:
        while True:
            try:
                progress = next(steps)
            except StopIteration as end:
                result: _Result = end.value
                return result
            bar.set_description(progress.what, refresh=False)
            bar.total = progress.total or None
            bar.update(progress.done - bar.n)


def _train(trainer: Trainer, folder: RunFolder, token: StopToken) -> TrainSnapshot:
    """Train to the end, with a bar if there is a terminal and a line an epoch, and return the last snapshot."""
    from tqdm import tqdm

    from convviz.nn.train import train

    settings, data = trainer.settings, trainer.dataset
    print(f"{data.name}: {len(data.train)} pictures to train on, {len(data.test)} to test on; on {trainer.device.type}")
    steps = train(trainer, token, folder=folder)
    num_epochs = len(trainer.progress.epochs)
    with tqdm(disable=None, total=trainer.num_steps, initial=trainer.progress.step, unit="batch") as bar:
        while True:
            try:
                snapshot = next(steps)
            except StopIteration as end:
                last: TrainSnapshot = end.value
                return last
            bar.update(snapshot.progress.step - bar.n)
            bar.set_description(f"epoch {snapshot.epoch}/{settings.epochs}", refresh=False)
            bar.set_postfix_str(f"loss {snapshot.smoothed_loss:.4f}", refresh=False)
            if len(snapshot.progress.epochs) > num_epochs:
                num_epochs = len(snapshot.progress.epochs)
                bar.write(_epoch_line(snapshot, settings.epochs), file=sys.stdout)
                sys.stdout.flush()


def _epoch_line(snapshot: TrainSnapshot, num_epochs: int) -> str:
    result = snapshot.progress.epochs[-1]
    return (
        f"epoch {result.epoch}/{num_epochs}  {result.seconds:.0f} s  "
        f"train loss {result.train_loss:.4f}, accuracy {result.train_accuracy:.2%}  "
        f"test loss {result.test_loss:.4f}, accuracy {result.test_accuracy:.2%}  "
        f"{snapshot.images_per_second:.0f} images/s"
    )

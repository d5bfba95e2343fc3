"""Training a stack: a trainer that does one batch at a time, and a run of it with checkpoints and a record.

Plain torch, without any display. With the same seed, device and number of threads the losses are the same bit for bit,
whether or not the training was paused, looked at, or resumed from a checkpoint in a new process: the initial weights
are drawn from the seed, the order of pictures, their augmentation and dropout from seed, epoch and batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import nn

from convviz.core.control import StopToken
from convviz.core.dense import Linear
from convviz.core.elementwise import BatchNorm2d
from convviz.core.layers import Conv2d, Drawn, times
from convviz.core.numbers import format_number
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.stack_file import MOST_LAYERS, from_json, to_json
from convviz.nn.batches import Augment, Batches
from convviz.nn.build import build
from convviz.nn.checkpoint import Change, Checkpoint, DataInfo, EpochResult, Progress
from convviz.nn.control import TrainControl
from convviz.nn.data import Dataset
from convviz.nn.evaluation import Evaluation, evaluate
from convviz.nn.run_folder import BATCH, BEST_FILE, BatchRows, Metrics, RunFolder
from convviz.nn.settings import TrainSettings, scheduled
from convviz.nn.source import Labels, Pixels
from convviz.nn.threads import use_threads

Phase = Literal["training", "evaluating", "paused", "stopped", "finished"]

SMOOTHING: Final = 0.98
"""What the smoothed loss keeps of itself with each batch: it averages over some 50 batches."""

GOOD_STEPS: Final = 100
"""How often the trainer keeps its state in memory, to go back to when the loss runs away."""
GOOD_RISE: Final = 2.0
"""A state is worth going back to while the smoothed loss is at most so many times its lowest value."""

SAVE_SECONDS: Final = 120.0
"""The longest time between two checkpoints."""
FLUSH_SECONDS: Final = 1.0
PAUSED_SECONDS: Final = 0.05
"""How often a training that stands still looks whether it should stop, and lets its consumer have a turn."""


class DivergedError(RefusalError):
    """The loss or its gradient is no longer a finite number.

    Attributes:
        step: the batch at which it happened, counted from 1.
        lr: the rate at that batch.
        good_step: how many batches had been done in the state that the trainer has gone back to.
    """

    def __init__(self, step: int, loss: float, lr: float, grad_norm: float, good_step: int) -> None:
        super().__init__(
            "At step {step}, at a learning rate of {lr}, the loss was {loss} and the norm of its gradient {grad_norm}: "
            "the numbers ran away.",
            "The weights of step {good_step} are kept: go on from there with a smaller rate.",
            step=step,
            lr=format_number(lr),
            loss=format_number(loss),
            grad_norm=format_number(grad_norm),
            good_step=good_step,
        )
        self.step = step
        self.lr = lr
        self.good_step = good_step


def initialised(stack: Stack, seed: int) -> Stack:
    """Return the stack with new weights, drawn from `seed` as torch draws them by default."""
    for index, layer in enumerate(stack.layers):
        match layer:
            case Conv2d() | Linear():
                drawn = Drawn(seed * MOST_LAYERS + index)
                bias = None if layer.arrays["bias"] is None else drawn
                stack = stack.replace(index, layer.changed(weight=drawn, bias=bias))
            case BatchNorm2d():
                stack = stack.replace(index, BatchNorm2d(layer.num_features, layer.eps))
    return stack


def with_classes(stack: Stack, num_classes: int) -> Stack:
    """Return the stack with so many outputs, if a dense layer makes them."""
    last = len(stack.layers) - 1
    if last >= 0 and isinstance(stack.layers[last], Linear) and stack.shapes[-1] != (num_classes,):
        layer = stack.layers[last]
        bias = None if layer.arrays["bias"] is None else Drawn(last)
        return stack.replace(last, layer.changed(out_features=num_classes, weight=Drawn(last), bias=bias))
    return stack


def device_of(name: str) -> torch.device:
    """Return one of `DEVICES`; "auto" is CUDA, MPS or the CPU. Raises RefusalError if this machine has none."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, is_there in there.items() if is_there)
    if not there[name]:
        devices = ", ".join(device for device, is_there in there.items() if is_there)
        raise RefusalError("This machine has no {device} for torch; it has {devices}.", device=name, devices=devices)
    return torch.device(name)


def bfloat16_pays(device: torch.device) -> bool:
    """Whether the device trains faster in bfloat16 than in float32.

    Measured with AVX512-BF16, together with channels-last: 1.5 times as fast with the small CNN, 2.3 times with the
    fast CNN. Without such instructions it is emulated.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False


def warm_up() -> None:
    """Let torch import what its first optimizer needs: 900 modules, which take a second."""
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])


class Curve:
    """Rows of `BATCH`, one a batch. What `rows` gave is never written to again."""

    def __init__(self, rows: BatchRows | None = None) -> None:
        self._buffer = np.zeros(1024, BATCH) if rows is None else rows.copy()
        self._length = 0 if rows is None else len(rows)

    def append(self, row: tuple[float, ...]) -> None:
        """Add a row."""
        if self._length == len(self._buffer):
            self._buffer = np.concatenate([self._buffer, np.zeros(max(1024, self._length), BATCH)])
        self._buffer[self._length] = row
        self._length += 1

    @property
    def rows(self) -> BatchRows:
        """All rows, (N,), as a view that cannot be written to."""
        view = self._buffer[: self._length]
        view.flags.writeable = False
        return view


class Trainer:
    """Trains a stack on a data set, one batch at a time.

    Attributes:
        module: the network; whoever looks at it between two batches must leave it as it is.
        settings: with which it was begun, and the number of epochs as it is now.
        dataset: the pictures.
        progress: how far it is.
        device: where it computes.
        mixed_precision: whether it computes in bfloat16.
        work: multiply-adds of a batch, forward.

    Raises:
        RefusalError: stack, pictures and settings do not fit together, or the memory does not suffice.

    """

    def __init__(self, stack: Stack, dataset: Dataset, settings: TrainSettings) -> None:
        _check_fit(stack, dataset, settings)
        self.settings = settings
        self.dataset = dataset
        self.device = device_of(settings.device)
        self.progress = Progress(settings.lr, settings.momentum)
        self.mixed_precision = settings.mixed_precision and bfloat16_pays(self.device)
        self.work = settings.batch_size * stack.multiply_adds
        self._stack_text = to_json(stack, geometry_only=True)
        has_norm = any(isinstance(layer, BatchNorm2d) for layer in stack.layers)
        # Measured: 1.35 times as fast with batch normalisation, no faster without.
        memory_format = torch.channels_last if self.mixed_precision or has_norm else torch.contiguous_format
        with enough_memory(settings):
            self.module = build(initialised(stack, settings.seed)).to(memory_format=memory_format).to(self.device)
            self.module.train()
            self._batches = Batches(
                dataset.train,
                settings.batch_size,
                settings.seed,
                Augment(settings.flip, settings.crop, settings.cutout),
                self.device,
                # The few pictures of a last, smaller batch would be poor statistics.
                drop_last=has_norm and len(dataset.train) >= settings.batch_size,
                memory_format=memory_format,
            )
            self._parameters = list(self.module.parameters())
            self._optimizer = _optimizer(self._parameters, settings)
            self._has_dropout = any(isinstance(module, nn.Dropout) for module in self.module)
            self._good = self.checkpoint()
        self._lowest_loss = math.inf
        self._curve = Curve()

    # How far it is

    @property
    def batches_per_epoch(self) -> int:
        """Batches in each epoch."""
        return len(self._batches)

    @property
    def num_steps(self) -> int:
        """Batches of the whole run."""
        return self.settings.epochs * self.batches_per_epoch

    @property
    def epochs_begun(self) -> int:
        """Epochs of which at least one batch is done."""
        return math.ceil(self.progress.step / self.batches_per_epoch)

    @property
    def finished(self) -> bool:
        """Whether all batches are done; the last epoch may still be `unevaluated`."""
        return self.progress.step >= self.num_steps

    @property
    def unevaluated(self) -> bool:
        """Whether an epoch has ended that was not evaluated yet."""
        return self.progress.step == (len(self.progress.epochs) + 1) * self.batches_per_epoch

    @property
    def lr(self) -> float:
        """The learning rate of the next batch."""
        step = min(self.progress.step, self.num_steps - 1)
        return scheduled(self.progress.lr, self.settings.schedule, step, self.num_steps)

    @property
    def smoothed_loss(self) -> float:
        """The loss averaged over some 50 batches, newer ones counting more; NaN before the first."""
        step = self.progress.step
        return self.progress.loss_average / (1 - SMOOTHING**step) if step else math.nan

    @property
    def curve(self) -> BatchRows:
        """What is known of each batch so far, (N,) of `run_folder.BATCH`; never written to again."""
        return self._curve.rows

    @property
    def settings_now(self) -> TrainSettings:
        """The settings with all that was changed since the training began."""
        return dataclasses.replace(self.settings, lr=self.progress.lr, momentum=self.progress.momentum)

    @property
    def data_info(self) -> DataInfo:
        """Which data set it is."""
        data = self.dataset
        return DataInfo(data.key, data.name, data.classes, data.fingerprint)

    # Doing

    def set_lr(self, lr: float) -> None:
        """Change the learning rate, with a schedule its highest value, from the next batch on. Raises RefusalError."""
        self._change("lr", lr)

    def set_momentum(self, momentum: float) -> None:
        """Change the momentum from the next batch on. Raises RefusalError."""
        self._change("momentum", momentum)

    def set_epochs(self, epochs: int) -> None:
        """Change the number of epochs, and with it the course of the rate from the next batch on.

        Raises:
            RefusalError: more have begun, or it is out of range.

        """
        if epochs < self.epochs_begun:
            raise RefusalError(
                "epochs is {epochs}; {begun} have begun already, and no fewer are accepted.",
                epochs=epochs,
                begun=self.epochs_begun,
            )
        self._change("epochs", epochs)

    def _change(self, name: str, value: float) -> None:
        before = self.settings_now
        changed: dict[str, Any] = {name: value}
        now = dataclasses.replace(before, **changed)
        if now != before:
            changes = (*self.progress.changes, Change(self.progress.step, name, value))
            self.progress = dataclasses.replace(self.progress, lr=now.lr, momentum=now.momentum, changes=changes)
            self.settings = dataclasses.replace(self.settings, epochs=now.epochs)

    def step(self) -> tuple[float, ...]:
        """Do one batch and return its row of `BATCH`.

        Raises:
            DivergedError: its loss or gradient is not finite. No step was made, and the trainer is back in its last
                good state.
            RefusalError: the memory does not suffice. The weights are as before.

        """
        started = time.perf_counter()
        progress = self.progress
        epoch, index = divmod(progress.step, self.batches_per_epoch)
        lr = self.lr
        self._set_rates(lr, progress.momentum)
        with enough_memory(self.settings), self._own_dropout(progress.step):
            x, y = self._batches.batch(epoch, index)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision):
                logits = self.module(x)
            logits = logits.float()
            loss = nn.functional.cross_entropy(logits, y, label_smoothing=self.settings.label_smoothing)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            norm = nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])
            correct = (logits.detach().argmax(1) == y).sum()
            # The only wait for the device in a step.
            loss_value, norm_value, num_correct = torch.stack([loss.detach(), norm, correct]).tolist()
            if not math.isfinite(loss_value) or not math.isfinite(norm_value):
                raise self._diverged(loss_value, lr, norm_value)
            self._optimizer.step()
        new_epoch = index == 0
        count = len(y)
        self.progress = dataclasses.replace(
            progress,
            step=progress.step + 1,
            seconds=progress.seconds + time.perf_counter() - started,
            loss_average=SMOOTHING * progress.loss_average + (1 - SMOOTHING) * loss_value,
            seen=count if new_epoch else progress.seen + count,
            loss_sum=loss_value * count if new_epoch else progress.loss_sum + loss_value * count,
            correct=int(num_correct) if new_epoch else progress.correct + int(num_correct),
        )
        row = (self.progress.step, epoch + 1, self.progress.seconds, loss_value, lr, progress.momentum, norm_value)
        self._curve.append(row)
        self._keep_good()
        return row

    def evaluate(self, token: StopToken) -> Evaluation | None:
        """Evaluate the epoch that has ended and add its result to the progress; None if asked to stop before.

        Raises:
            DivergedError: the test loss is not finite; the trainer is back in its last good state.
            RefusalError: the memory does not suffice.

        """
        started = time.perf_counter()
        with enough_memory(self.settings):
            evaluation = evaluate(self.module, self.dataset.test, token)
        if evaluation is None:
            return None
        if not math.isfinite(evaluation.loss):
            norms = self.curve["grad_norm"]
            raise self._diverged(evaluation.loss, self.lr, float(norms[-1]) if len(norms) else math.nan)
        progress = self.progress
        seconds = progress.seconds + time.perf_counter() - started
        result = EpochResult(
            len(progress.epochs) + 1,
            progress.step,
            seconds,
            progress.loss_sum / progress.seen,
            progress.correct / progress.seen,
            evaluation.loss,
            evaluation.accuracy,
        )
        self.progress = dataclasses.replace(progress, seconds=seconds, epochs=(*progress.epochs, result))
        return evaluation

    def pictures(self) -> tuple[Pixels, Labels]:
        """Return the pictures of the newest batch, or of the first, as the network sees them, and their labels.

        They have the shapes (B, C, H, W) and (B,).
        """
        x, labels = self._batches.batch(*divmod(max(0, self.progress.step - 1), self.batches_per_epoch))
        pixels = x.add(1).mul(127.5).round().byte().contiguous()
        return pixels.cpu().numpy(), labels.cpu().numpy()

    def _set_rates(self, lr: float, momentum: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = lr
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum

    @contextlib.contextmanager
    def _own_dropout(self, step: int) -> Iterator[None]:
        """Let dropout depend on seed and step alone; torch's own random state stays as it was."""
        if not self._has_dropout:
            yield
            return
        devices = [self.device] if self.device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(int(np.random.SeedSequence((self.settings.seed, step)).generate_state(1, np.uint64)[0]))
            yield

    # Going back

    def _keep_good(self) -> None:
        self._lowest_loss = min(self._lowest_loss, self.smoothed_loss)
        if self.progress.step % GOOD_STEPS == 0 and self.smoothed_loss <= GOOD_RISE * self._lowest_loss:
            self._good = self.checkpoint()

    def _diverged(self, loss: float, lr: float, grad_norm: float) -> DivergedError:
        """Go back to the last good state, and return what to raise."""
        step = self.progress.step + 1
        self.restore(self._good)
        return DivergedError(step, loss, lr, grad_norm, self.progress.step)

    def checkpoint(self) -> Checkpoint:
        """Return a copy of all that is needed to go on from here."""
        memory: dict[int, dict[str, Any]] = self._optimizer.state_dict()["state"]
        return Checkpoint(
            self._stack_text,
            {name: _copied(tensor) for name, tensor in self.module.state_dict().items()},
            {
                index: {
                    name: _copied(value) if isinstance(value, torch.Tensor) else value for name, value in each.items()
                }
                for index, each in memory.items()
            },
            self.progress,
            self.settings,
            self.data_info,
        )

    def restore(self, checkpoint: Checkpoint, curve: BatchRows | None = None) -> None:
        """Go to where a checkpoint of the same stack was; what is known of the batches up to it is `curve`'s."""
        self.module.load_state_dict(checkpoint.weights)
        memory = {
            index: {name: self._placed(value, self._parameters[index]) for name, value in each.items()}
            for index, each in checkpoint.optimizer.items()
        }
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": memory, "param_groups": groups})
        self.progress = checkpoint.progress
        self.settings = dataclasses.replace(self.settings, epochs=checkpoint.settings.epochs)
        rows = self.curve if curve is None else curve
        self._curve = Curve(rows[rows["step"] <= checkpoint.progress.step])
        self._lowest_loss = math.inf
        self._good = checkpoint

    @staticmethod
    def _placed(value: Any, parameter: nn.Parameter) -> Any:
        """Return a copy of what the optimizer remembers, laid out in memory as the parameter is."""
        if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
            return torch.empty_like(parameter, requires_grad=False).copy_(value)
        return value.clone() if isinstance(value, torch.Tensor) else value


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _optimizer(parameters: list[nn.Parameter], settings: TrainSettings) -> torch.optim.Optimizer:
    lr, decay, momentum = settings.lr, settings.weight_decay, settings.momentum
    match settings.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, lr, (momentum, 0.999), weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, lr, (momentum, 0.999), weight_decay=decay, fused=True)
    # A momentum of 0 may become greater later, which torch does not expect of Nesterov's.
    sgd = torch.optim.SGD(parameters, lr, momentum, weight_decay=decay, fused=True)
    sgd.param_groups[0]["nesterov"] = settings.nesterov
    return sgd


def _check_fit(stack: Stack, dataset: Dataset, settings: TrainSettings) -> None:
    if stack.problem is not None:
        raise RefusalError(
            "Layer {number} does not fit: {message}", number=stack.problem.index + 1, message=stack.problem.message
        )
    if not stack.num_parameters:
        raise RefusalError("The network has no weights to be learned; add a convolution or a dense layer.")
    if stack.input_shape != dataset.shape:
        raise RefusalError(
            "The network takes pictures of {taken}; those of {data} are {given}.",
            taken=times(stack.input_shape),
            data=dataset.name,
            given=times(dataset.shape),
        )
    if stack.shapes[-1] != (len(dataset.classes),):
        raise RefusalError(
            "The network ends in {output}; {data} has {classes} classes, which takes a vector of {classes}.",
            output=times(stack.shapes[-1]),
            data=dataset.name,
            classes=len(dataset.classes),
        )
    side = min(dataset.shape[1:])
    for name in ("crop", "cutout"):
        if getattr(settings, name) > side:
            raise RefusalError(
                "{name} is {value}; the pictures are only {side} wide.",
                name=name,
                value=getattr(settings, name),
                side=side,
            )
    cells = [
        math.prod(shape[1:])
        for layer, shape in zip(stack.layers, stack.shapes[:-1], strict=True)
        if isinstance(layer, BatchNorm2d)
    ]
    if cells and min(cells) * min(settings.batch_size, len(dataset.train)) < 2:
        raise RefusalError("Batch normalisation of single cells needs batches of at least 2 pictures.")


@contextlib.contextmanager
def enough_memory(settings: TrainSettings) -> Iterator[None]:
    """Turn what torch and Python say when the memory does not suffice into a message."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        words = ("out of memory", "can't allocate memory", "not enough memory")
        if isinstance(error, RuntimeError) and not any(word in str(error) for word in words):
            raise
        raise RefusalError(
            "The memory does not suffice for batches of {batch_size} pictures. The weights are kept.",
            "Smaller batches or a smaller network need less.",
            batch_size=settings.batch_size,
        ) from error


def resume(folder: RunFolder, dataset: Dataset, device: str | None = None) -> Trainer:
    """Return a trainer that goes on where the run in a folder was saved last.

    Args:
        folder: the run, which is claimed.
        dataset: the pictures that it was begun with.
        device: another than that of the run.

    Raises:
        RefusalError: these are other pictures, the run cannot be read or is another process's, or the memory does not
            suffice.

    """
    folder.claim()
    checkpoint = folder.load()
    if dataset.fingerprint != checkpoint.data.fingerprint:
        raise RefusalError(
            "The pictures of {data} are not those that this run was begun with.", data=checkpoint.data.name
        )
    settings = dataclasses.replace(checkpoint.settings, device=device or checkpoint.settings.device)
    trainer = Trainer(from_json(checkpoint.stack), dataset, settings)
    trainer.restore(checkpoint, folder.metrics().batches)
    return trainer


@dataclass(frozen=True, eq=False)
class TrainSnapshot:
    """What there is to know of a training at one moment; it does not change.

    Attributes:
        phase: what the training is doing.
        progress: how far it is.
        num_steps: batches of the whole run.
        batches_per_epoch: batches of an epoch.
        smoothed_loss: averaged over some 50 batches; NaN before the first.
        curve: what is known of each batch so far, (N,) of `run_folder.BATCH`.
        evaluation: the answers to the test pictures after the newest epoch that this process has evaluated.
        images_per_second: at present, evaluations not counted; 0 before the first batch.
        seconds_left: of training, as far as the present speed tells; NaN before the first batch.
        saved_at: when the newest checkpoint was written, as `time.time`; None if there is none.
    """

    phase: Phase
    progress: Progress
    num_steps: int
    batches_per_epoch: int
    smoothed_loss: float
    curve: BatchRows
    evaluation: Evaluation | None
    images_per_second: float
    seconds_left: float
    saved_at: float | None

    @property
    def epoch(self) -> int:
        """The epoch of the newest batch, counted from 1."""
        return max(0, self.progress.step - 1) // self.batches_per_epoch + 1

    @property
    def batch(self) -> int:
        """How many batches of this epoch are done."""
        return self.progress.step - (self.epoch - 1) * self.batches_per_epoch

    @property
    def train_accuracy(self) -> float:
        """The share of this epoch's pictures that were recognised when they were trained with; NaN before any."""
        return self.progress.correct / self.progress.seen if self.progress.seen else math.nan


def train(
    trainer: Trainer, token: StopToken, control: TrainControl | None = None, folder: RunFolder | None = None
) -> Generator[TrainSnapshot, None, TrainSnapshot]:
    """Train to the end, yield a snapshot after each batch and return the last.

    Between two snapshots the consumer may look at `trainer.module`, in the thread that runs this. While the training
    stands still, the same is yielded again and again. A stop ends it after the batch that it is at, saved; `train` may
    then be called again with the same trainer, as it may after an error.

    Args:
        trainer: where to begin.
        token: asked whether to stop.
        control: what else is asked for while it runs.
        folder: where checkpoints and metrics are written; None for nowhere.

    Raises:
        DivergedError: loss or gradient are not finite. The trainer is back in its last good state, which is saved.
        RefusalError: the memory does not suffice, or the folder cannot be written. The trainer keeps its weights.

    """
    return _Run(trainer, token, control or TrainControl(), folder).snapshots()


class _Run:
    """One call of `train`."""

    def __init__(self, trainer: Trainer, token: StopToken, control: TrainControl, folder: RunFolder | None) -> None:
        self._trainer = trainer
        self._token = token
        self._control = control
        self._folder = folder
        self._evaluation: Evaluation | None = None
        self._saved_at: float | None = None
        self._saved: Progress | None = None
        self._flushed_at = 0.0
        self._batch_seconds = math.nan
        self._evaluation_seconds = 0.0

    def snapshots(self) -> Generator[TrainSnapshot, None, TrainSnapshot]:
        trainer = self._trainer
        use_threads(trainer.work)
        if self._folder is not None:
            self._folder.begin(Metrics(trainer.curve, trainer.progress.epochs))
        self._save()
        try:
            while True:
                if trainer.unevaluated:
                    yield self._snapshot("evaluating")
                    if not self._evaluate():
                        break
                    yield self._snapshot("training")
                self._grant_wishes()
                if trainer.finished or self._token.stop_requested:
                    break
                if self._control.may_go_on(PAUSED_SECONDS):
                    self._do_batch()
                    yield self._snapshot("training")
                else:
                    self._save_if_due()
                    yield self._snapshot("paused")
        except DivergedError:
            self._save()
            raise
        self._save()
        return self._snapshot("finished" if trainer.finished and not trainer.unevaluated else "stopped")

    def _do_batch(self) -> None:
        before = self._trainer.progress.seconds
        row = self._trainer.step()
        seconds = self._trainer.progress.seconds - before
        old = self._batch_seconds
        self._batch_seconds = seconds if math.isnan(old) else 0.95 * old + 0.05 * seconds
        if self._folder is not None:
            self._folder.add_batch(row)
            if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
                self._folder.flush()
                self._flushed_at = time.monotonic()
        self._save_if_due()

    def _evaluate(self) -> bool:
        """Evaluate the epoch that has ended and save; return whether it came to an end."""
        before = self._trainer.progress
        evaluation = self._trainer.evaluate(self._token)
        if evaluation is None:
            return False
        self._evaluation = evaluation
        progress = self._trainer.progress
        self._evaluation_seconds = progress.seconds - before.seconds
        if self._folder is not None:
            self._folder.add_epoch(progress.epochs[-1])
            # Before the last one: whoever is killed in between does this epoch's evaluation again.
            if all(epoch.test_accuracy < evaluation.accuracy for epoch in before.epochs):
                self._folder.save(dataclasses.replace(self._trainer.checkpoint(), optimizer={}), BEST_FILE)
        self._save()
        return True

    def _grant_wishes(self) -> None:
        wishes = self._control.take()
        if wishes.lr is not None:
            self._trainer.set_lr(wishes.lr)
        if wishes.momentum is not None:
            self._trainer.set_momentum(wishes.momentum)
        if wishes.epochs is not None:
            self._trainer.set_epochs(max(wishes.epochs, self._trainer.epochs_begun))
        if wishes.save:
            self._save()

    def _save_if_due(self) -> None:
        if self._saved_at is None or time.time() - self._saved_at > SAVE_SECONDS:
            self._save()

    def _save(self) -> None:
        if self._folder is not None and self._saved != self._trainer.progress:
            self._folder.save(self._trainer.checkpoint())
            self._saved = self._trainer.progress
            self._saved_at = time.time()

    def _snapshot(self, phase: Phase) -> TrainSnapshot:
        trainer, progress = self._trainer, self._trainer.progress
        epochs_left = trainer.settings.epochs - len(progress.epochs)
        steps_left = max(0, trainer.num_steps - progress.step)
        return TrainSnapshot(
            phase,
            progress,
            trainer.num_steps,
            trainer.batches_per_epoch,
            trainer.smoothed_loss,
            trainer.curve,
            self._evaluation,
            0.0 if math.isnan(self._batch_seconds) else trainer.settings.batch_size / self._batch_seconds,
            steps_left * self._batch_seconds + epochs_left * self._evaluation_seconds,
            self._saved_at,
        )

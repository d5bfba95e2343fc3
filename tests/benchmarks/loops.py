"""The loops whose speed `bench_train` compares. Each trains one of the presets, one batch a step."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils import data
from torchvision import transforms

from convviz.core.control import StopToken
from convviz.core.presets import PRESETS
from convviz.core.stack import Stack
from convviz.nn.batches import Augment, Batches
from convviz.nn.build import build
from convviz.nn.data import Dataset, Split
from convviz.nn.evaluation import evaluate
from convviz.nn.run_folder import RunFolder, RunInfo
from convviz.nn.settings import RECOMMENDED
from convviz.nn.threads import use_threads
from convviz.nn.train import Trainer, initialised, train, with_classes
from tests.benchmarks.report import Result

PREPARED_PICTURES = 12_800
NUM_WORKERS = 2


@dataclass
class Loop:
    """A training in which each step is a batch."""

    module: nn.Module
    steps: Iterator[None]
    test: Split

    def answer(self, request: str) -> Result:
        """Do what is asked for: a number of batches, as far as there are any left, or "accuracy"."""
        if request == "accuracy":
            evaluation = evaluate(self.module, self.test, StopToken())
            assert evaluation is not None
            return {"accuracy": evaluation.accuracy}
        began = time.perf_counter()
        done = sum(1 for _ in itertools.islice(self.steps, int(request)))
        return {"batches": done, "seconds": time.perf_counter() - began}


def _stack(model: str, dataset: Dataset) -> Stack:
    return with_classes(PRESETS[model](), len(dataset.classes))


def _trainer(model: str, dataset: Dataset, batch_size: int) -> Trainer:
    """Return a trainer with the application's defaults for a preset, but for the size of batches."""
    trainer = Trainer(_stack(model, dataset), dataset, replace(RECOMMENDED[model], batch_size=batch_size))
    use_threads(trainer.work)
    return trainer


def trainer_loop(model: str, dataset: Dataset, batch_size: int) -> Loop:
    """`Trainer.step` to the end of the run, without evaluations and without a folder."""
    trainer = _trainer(model, dataset, batch_size)

    def steps() -> Iterator[None]:
        while not trainer.finished:
            trainer.step()
            yield

    return Loop(trainer.module, steps(), dataset.test)


def prepared_loop(model: str, dataset: Dataset, batch_size: int) -> Loop:
    """What there is to compute in `Trainer.step`, on batches that lie in memory: the limit.

    The same are network, initial weights, device, threads, precision, memory layout, loss, optimizer with all its
    settings, the gradient's norm, the count of the recognised, and the one wait for these numbers. Left out are
    gathering, augmenting and normalising, the schedule of the rate, and what is recorded and kept to go back to.
    """
    trainer = _trainer(model, dataset, batch_size)
    settings, module, device = trainer.settings, trainer.module, trainer.device
    if settings.optimizer != "sgd":
        raise ValueError(f"the limit is not known for {settings.optimizer}")
    channels_last = next(module.parameters()).is_contiguous(memory_format=torch.channels_last)
    batches = Batches(
        dataset.train,
        batch_size,
        settings.seed,
        Augment(settings.flip, settings.crop, settings.cutout),
        device,
        memory_format=torch.channels_last if channels_last else torch.contiguous_format,
    )
    num_prepared = max(1, min(len(dataset.train), PREPARED_PICTURES) // batch_size)
    prepared = [batches.batch(0, index) for index in range(num_prepared)]
    parameters = list(module.parameters())
    optimizer = torch.optim.SGD(
        parameters,
        settings.lr,
        settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        fused=True,
    )

    def steps() -> Iterator[None]:
        for x, y in itertools.cycle(prepared):
            with torch.autocast(device.type, torch.bfloat16, enabled=trainer.mixed_precision):
                logits = module(x)
            logits = logits.float()
            loss = nn.functional.cross_entropy(logits, y, label_smoothing=settings.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
            correct = (logits.detach().argmax(1) == y).sum()
            torch.stack([loss.detach(), norm, correct]).tolist()
            optimizer.step()
            yield

    return Loop(module, steps(), dataset.test)


class TutorialPictures(data.Dataset[tuple[torch.Tensor, int]]):
    """Decoded pictures in memory, (N, H, W, C), handed out as `torchvision.datasets.CIFAR10` does: by way of PIL."""

    def __init__(self, split: Split) -> None:
        self._images = split.images.transpose(0, 2, 3, 1).copy()
        self._labels = split.labels.tolist()
        self._transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture: torch.Tensor = self._transform(Image.fromarray(self._images[index]))
        return picture, self._labels[index]


def tutorial_loop(model: str, dataset: Dataset, batch_size: int) -> Loop:
    """The loop of PyTorch's tutorial "Training a Classifier" on the CPU: `DataLoader` with two workers, plain SGD.

    Up to four batches are ready when it begins, as its workers read ahead.
    """
    module = build(initialised(_stack(model, dataset), seed=0)).train()
    loader = data.DataLoader(TutorialPictures(dataset.train), batch_size, shuffle=True, num_workers=NUM_WORKERS)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.001, momentum=0.9)

    def steps() -> Iterator[None]:
        running_loss = 0.0
        while True:
            for inputs, labels in loader:
                optimizer.zero_grad()
                loss = criterion(module(inputs), labels)
                loss.backward()
                optimizer.step()
                running_loss += loss.item()
                yield

    return Loop(module, steps(), dataset.test)


def terminal_loop(model: str, dataset: Dataset, batch_size: int, folder: Path) -> Loop:
    """What ``convviz train`` does: evaluations, checkpoints and metrics included."""
    trainer = _trainer(model, dataset, batch_size)
    run = RunFolder.create(folder, RunInfo(model, trainer.data_info, trainer.settings))

    def steps() -> Iterator[None]:
        step = 0
        for snapshot in train(trainer, StopToken(), folder=run):
            if snapshot.progress.step > step:
                step = snapshot.progress.step
                yield

    return Loop(trainer.module, steps(), dataset.test)

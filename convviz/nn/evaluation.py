"""How well a network recognises pictures that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from convviz.core.control import StopToken
from convviz.nn.batches import normalised
from convviz.nn.data import Split

Probabilities = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]

BATCH: Final = 100
"""Pictures at a time: so few that their feature maps stay in the cache and a stop is not waited for."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A network's answers to the test pictures.

    Attributes:
        loss: the mean cross-entropy.
        probabilities: of each class for each picture, (N, K).
        predictions: the most probable class, (N,).
        confusion: how often pictures of class i were taken for class j, (K, K).
    """

    loss: float
    probabilities: Probabilities
    predictions: Counts
    confusion: Counts

    @property
    def accuracy(self) -> float:
        """The share of pictures that were recognised."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    @property
    def class_accuracy(self) -> npt.NDArray[np.float64]:
        """The share of each class's pictures that were recognised, (K,); NaN where there are none."""
        pictures = self.confusion.sum(axis=1)
        shares = np.full(len(pictures), np.nan)
        np.divide(np.diagonal(self.confusion), pictures, out=shares, where=pictures > 0)
        return shares

    def mistakes(self, labels: Counts) -> Counts:
        """Return the pictures that were taken for something else, the most confident mistake first."""
        (wrong,) = np.nonzero(self.predictions != labels)
        confidence = self.probabilities[wrong, self.predictions[wrong]]
        return wrong[np.argsort(-confidence, kind="stable")]


def evaluate(module: nn.Module, split: Split, token: StopToken) -> Evaluation | None:
    """Return how the module, which ends in one logit a class, answers to the pictures; None if asked to stop.

    It answers in evaluation mode and in its own precision, and is then in the mode it was in.
    """
    parameter = next(module.parameters())
    channels_last = parameter.ndim == 4 and parameter.is_contiguous(memory_format=torch.channels_last)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    was_training = module.training
    module.eval()
    try:
        parts = []
        with torch.inference_mode():
            for start in range(0, len(split), BATCH):
                if token.stop_requested:
                    return None
                pixels = torch.from_numpy(split.images[start : start + BATCH].copy()).to(parameter.device)
                logits = module(normalised(pixels, parameter.dtype, memory_format))
                parts.append(logits.log_softmax(1).cpu())
        log_probabilities = torch.cat(parts).float().numpy()
    finally:
        module.train(was_training)
    labels = split.labels
    predictions: Counts = log_probabilities.argmax(axis=1)
    num_classes = log_probabilities.shape[1]
    confusion = np.bincount(labels * num_classes + predictions, minlength=num_classes**2)
    loss = -log_probabilities[np.arange(len(labels)), labels].mean(dtype=np.float64)
    return Evaluation(float(loss), np.exp(log_probabilities), predictions, confusion.reshape(num_classes, num_classes))

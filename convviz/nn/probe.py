"""A look inside a network: its kernels, and what it makes of one picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from convviz.nn.batches import normalised
from convviz.nn.data import Split
from convviz.nn.source import Pixels

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Probe:
    """What a network is and does at one moment. It shares no memory with the network.

    Attributes:
        kernels: of each convolution, its layer's index and its weights (O, I, kh, kw), as they are applied.
        maps: what the chosen layer makes of the picture, (C, H, W); a vector of N is N maps of one cell.
        picture: the chosen picture, (C, H, W).
        truth: the class of the picture.
        prediction: the most probable class.
        probabilities: of each class, (K,).
        layer_index: the chosen layer.
        sample_index: the chosen picture.
    """

    kernels: tuple[tuple[int, Floats], ...]
    maps: Floats
    picture: Pixels
    truth: int
    prediction: int
    probabilities: Floats
    layer_index: int
    sample_index: int


def probe(module: nn.Sequential, split: Split, sample_index: int, layer_index: int) -> Probe:
    """Return what a network that `build` made does with one picture; it is left as it was.

    The network answers in evaluation mode and in its own precision, and is then in the mode it was in. Batch
    normalisation keeps its statistics and torch its random state, so a training that is looked at stays the same.

    Raises:
        IndexError: there is no such picture or layer.

    """
    if not 0 <= sample_index < len(split):
        raise IndexError(f"There is no picture {sample_index} among {len(split)}.")
    if not 0 <= layer_index < len(module):
        raise IndexError(f"There is no layer {layer_index} among {len(module)}.")
    parameter = next(module.parameters())
    picture = split.images[sample_index].copy()
    was_training = module.training
    module.eval()
    try:
        with torch.inference_mode():
            x = maps = normalised(torch.from_numpy(picture[None]).to(parameter.device), parameter.dtype)
            for index, part in enumerate(module):
                x = part(x)
                if index == layer_index:
                    maps = x
            probabilities = _array(x[0].softmax(0))
            kernels = [(index, _array(part.weight)) for index, part in enumerate(module) if isinstance(part, nn.Conv2d)]
    finally:
        module.train(was_training)
    answer = _array(maps[0])
    return Probe(
        tuple(kernels),
        answer if answer.ndim == 3 else answer.reshape(-1, 1, 1),
        picture,
        int(split.labels[sample_index]),
        int(probabilities.argmax()),
        probabilities,
        layer_index,
        sample_index,
    )


def _array(tensor: torch.Tensor) -> Floats:
    """Return a copy of a tensor's numbers."""
    return np.array(tensor.detach().float().cpu().numpy(), order="C")

"""Which part of a picture speaks for a class, and what a channel looks for.

Written here rather than taken from a library. Captum 0.9 runs beside numpy 2.4 and torch 2.14, but it needs and imports
matplotlib, with what that needs 80 MB; it takes all uses of a module for one, cannot be stopped, and has no activation
maximisation. grad-cam adds OpenCV and scikit-learn to that; torchcam, with matplotlib too, has Grad-CAM alone.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import torch

from convviz.core.control import StopToken, go_on
from convviz.core.refusal import RefusalError
from convviz.nn.network import Network
from convviz.nn.patches import batch_size, layer_output, share_out
from convviz.nn.probe import Floats
from convviz.nn.source import DataProgress, Pixels, Steps

COVERING: Final = "Covering the picture"

_STEPS: Final = 128
_SHOWN_EVERY: Final = 8
_NOISE: Final = 0.02
_STEP: Final = 0.02
"""By how much a pixel changes in a step, root mean square; 1 is from black to white."""
_DECAY: Final = 0.03
"""The share of its distance from the mean colour that a pixel loses in a step."""
_JITTER: Final = 1 / 16
"""The longest shift, of the side."""


@dataclass(frozen=True, eq=False)
class Maximised:
    """A picture that a channel likes, as far as it is found.

    Attributes:
        picture: (C, H, W), of the size that the network reads.
        value: the mean of the channel's map when the network reads this picture.
        done: steps done.
        total: how many there are.
    """

    picture: Pixels
    value: float
    done: int
    total: int


def grad_cam(network: Network, x: Floats, class_index: int, layer_name: str) -> Floats:
    """Return where a layer's maps speak for a class, (H, W) of the layer: not negative, in units of the class's score.

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017,
    equations 1 and 2: each map is weighted with the mean of the gradient of the class's score (before the softmax) on
    it; what is negative in their sum becomes 0.

    Args:
        network: is left as it was.
        x: what it reads, (C, H, W), as `look.preprocessed` returns it.
        class_index: the class.
        layer_name: the layer, usually the last one with maps.

    Raises:
        KeyError: there is no such layer.
        IndexError: there is no such class.
        RefusalError: the layer yields no maps, or the network no scores.

    """
    maps: list[torch.Tensor] = []
    gradients: list[torch.Tensor] = []

    def see(_before: torch.Tensor, output: torch.Tensor) -> None:
        maps.append(output.detach().clone())
        # The hook has the gradient on these values, even if others are written over them later.
        output.register_hook(gradients.append)  # type: ignore[no-untyped-call]  # torch's own

    share_out(network, 1)
    picture = torch.tensor(x)[None].requires_grad_()
    with network.hook(layer_name, see), torch.enable_grad():
        score = _scores(network, picture, class_index)[0, class_index]
    if maps[0].dim() != 4:
        raise RefusalError("Grad-CAM weighs feature maps; {layer} yields a vector.", layer=layer_name)
    torch.autograd.grad(score, picture)
    if not gradients:  # the class does not depend on this layer
        gradients.append(torch.zeros_like(maps[0]))
    weights = gradients[0].mean(dim=(2, 3), keepdim=True)
    cam: Floats = (weights * maps[0]).sum(dim=1)[0].relu().numpy()
    return cam


def occlusion(
    network: Network, x: Floats, class_index: int, side: int, stride: int, token: StopToken | None = None
) -> Steps[Floats]:
    """Yield how far the work is and return by how much covering a place lowers the probability of a class, (H, W).

    After Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 4.2. A square of the
    mean colour (0, after preprocessing) covers one place after the other; a cell has the mean drop of all squares that
    cover it. It is negative where a cover makes the class more probable.

    Args:
        network: is left as it was.
        x: what it reads, (C, H, W), as `look.preprocessed` returns it.
        class_index: the class.
        side: of the square, in cells of `x`.
        stride: from one square to the next; at the lower and right edge they may lie closer.
        token: asked whether to stop.

    Raises:
        IndexError: there is no such class.
        RefusalError: the square is larger than the picture, the stride larger than the square, or there are no scores.
        StoppedError: `token` asked for it.

    """
    token = token or StopToken()
    height, width = x.shape[1:]
    if not 1 <= side <= min(height, width):
        raise RefusalError("The patch is {side} wide; it is 1 to {most}.", side=side, most=min(height, width))
    if not 1 <= stride <= side:
        raise RefusalError(
            "The patch moves by {stride}; it is 1 to {most}, or places would be left out.", stride=stride, most=side
        )
    places = list(product(_starts(height, side, stride), _starts(width, side, stride)))
    size = batch_size(network)
    share_out(network, size)
    picture = torch.tensor(x)
    drops, covers = np.zeros((height, width)), np.zeros((height, width))
    with torch.inference_mode():
        bare = _scores(network, picture[None], class_index).softmax(1)[0, class_index].item()
    for begin in range(0, len(places), size):
        go_on(token)
        yield DataProgress(begin, len(places), COVERING)
        batch = places[begin : begin + size]
        covered = picture.repeat(len(batch), 1, 1, 1)
        for each, (i, j) in zip(covered, batch, strict=True):
            each[:, i : i + side, j : j + side] = 0
        with torch.inference_mode():
            probabilities = _scores(network, covered, class_index).softmax(1)[:, class_index]
        for probability, (i, j) in zip(probabilities.tolist(), batch, strict=True):
            drops[i : i + side, j : j + side] += bare - probability
            covers[i : i + side, j : j + side] += 1
    return (drops / covers).astype(np.float32)


def _starts(size: int, side: int, stride: int) -> list[int]:
    last = size - side
    return [*range(0, last, stride), last]


def _scores(network: Network, x: torch.Tensor, class_index: int) -> torch.Tensor:
    """Return the scores of all classes, (N, K), of which `class_index` is one."""
    scores: torch.Tensor = network.module(x)
    if scores.dim() != 2:
        raise RefusalError("This network ends in maps; only one that ends in a vector has classes.")
    if not 0 <= class_index < scores.shape[1]:
        raise IndexError(f"There is no class {class_index} among {scores.shape[1]}.")
    return scores


def maximised(
    network: Network, layer_name: str, channel: int, seed: int, token: StopToken | None = None
) -> Generator[Maximised, None, Maximised]:
    """Yield a picture that excites a channel more and more, from the first to the last, which is also returned.

    Activation maximisation: Erhan, Bengio, Courville and Vincent, "Visualizing Higher-Layer Features of a Deep
    Network", 2009. From faint noise around the mean colour, drawn from `seed`, steps follow the gradient of the mean of
    the channel's map. So that it is a picture and no fine noise, it is shifted a little in each step (jitter), pulled
    back to the mean colour (L2 decay), and keeps to colours that pixels can have. The same seed gives the same picture.

    Whether to stop is looked at in each step; the picture then is that of the steps done.

    Raises:
        KeyError: there is no such layer.
        IndexError: there is no such channel.

    """
    token = token or StopToken()
    num_channels = network.graph.nodes[network.calls[layer_name].node].shape[1]
    if not 0 <= channel < num_channels:
        raise IndexError(f"There is no channel {channel} among {num_channels}.")
    share_out(network, 1)
    random = torch.Generator().manual_seed(seed)
    mean = torch.tensor(network.preprocessing.mean)[:, None, None]
    longest = [round(_JITTER * size) for size in network.preprocessing.size]
    colours = (mean + _NOISE * torch.randn(network.input_shape, generator=random)).clamp(0, 1)
    for done in range(_STEPS):
        if token.stop_requested:
            return _shown(network, layer_name, channel, colours, done)
        if done % _SHOWN_EVERY == 0:
            yield _shown(network, layer_name, channel, colours, done)
        shift = [int(torch.randint(-limit, limit + 1, (), generator=random)) for limit in longest]
        shifted = colours.roll(shift, (1, 2)).requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(_mean_of_map(network, layer_name, channel, shifted), shifted)
        length = gradient.square().mean().sqrt().item()
        if not math.isfinite(length):
            raise RefusalError("The gradient of this channel is not finite: the weights are too large, or no numbers.")
        if length:
            colours = colours + gradient.roll([-by for by in shift], (1, 2)) * (_STEP / length)
        colours = (mean + (1 - _DECAY) * (colours - mean)).clamp(0, 1)
    last = _shown(network, layer_name, channel, colours, _STEPS)
    yield last
    return last


def _mean_of_map(network: Network, layer_name: str, channel: int, colours: torch.Tensor) -> torch.Tensor:
    """Return the mean of a channel's map for a picture of colours from 0 to 1, (C, H, W)."""
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (network.preprocessing.mean, network.preprocessing.std)
    )
    return layer_output(network, layer_name, ((colours - mean) / std)[None])[0, channel].mean()


def _shown(network: Network, layer_name: str, channel: int, colours: torch.Tensor, done: int) -> Maximised:
    pixels = (255 * colours).round()
    with torch.inference_mode():
        value = _mean_of_map(network, layer_name, channel, pixels / 255).item()
    return Maximised(pixels.to(torch.uint8).numpy(), value, done, _STEPS)

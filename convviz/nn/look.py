"""A look through a network: what its layers make of one picture, and how far a unit sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from convviz.core.dense import Flatten, Linear
from convviz.core.explain import Position
from convviz.core.layers import check_position, times
from convviz.core.receptive_field import Region
from convviz.core.refusal import RefusalError
from convviz.core.stack import INPUT, Stack
from convviz.nn.checkpoint import with_weights
from convviz.nn.graph import layer_on
from convviz.nn.network import Network, Preprocessing
from convviz.nn.probe import Floats
from convviz.nn.source import Pixels

LUMA: Final = (0.299, 0.587, 0.114)


@dataclass(frozen=True, eq=False)
class Look:
    """What one layer makes of a picture. It shares no memory with the network.

    Attributes:
        layer_name: the layer.
        input_maps: what the layer reads, as `maps`; None where that is neither maps nor a vector.
        maps: what it makes of it, (C, H, W); a vector of N is N maps of one cell.
        probabilities: of each class, (K,): the softmax of the network's output; () if that is no vector.
        x: what the network reads, (C, H, W).
    """

    layer_name: str
    input_maps: Floats | None
    maps: Floats
    probabilities: Floats
    x: Floats


@dataclass(frozen=True, eq=False)
class ForLab:
    """A layer for the Lab.

    Attributes:
        stack: with the real weights, float32.
        input: of the stack, (C, H, W) float64.
        current: the layer's index in the stack.
    """

    stack: Stack
    input: npt.NDArray[np.float64]
    current: int


def preprocessed(picture: Pixels, preprocessing: Preprocessing) -> Floats:
    """Return a picture (C, H, W) of 1 or 3 channels as a network reads it, with as many channels as there are means.

    It is scaled (bilinear, antialiased) until it covers the size, and its centre is cut out. Grey is repeated for
    colour; colour becomes grey by the luma of ITU-R BT.601.
    """
    channels, height, width = preprocessing.shape
    pixels = torch.from_numpy(picture.astype(np.float32))
    if len(pixels) == 3 and channels == 1:
        pixels = torch.einsum("c,chw->hw", torch.tensor(LUMA), pixels)[None]
    pixels = pixels.expand(channels, -1, -1)
    old_height, old_width = pixels.shape[1:]
    scale = max(height / old_height, width / old_width)
    size = max(height, round(old_height * scale)), max(width, round(old_width * scale))
    if size != (old_height, old_width):
        pixels = functional.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    pixels = pixels[:, top : top + height, left : left + width]
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return _array((pixels / 255 - mean) / std)


def look(network: Network, x: Floats, layer_name: str) -> Look:
    """Return what a layer makes of `x` (C, H, W), which `preprocessed` returns.

    Raises:
        KeyError: there is no such layer.
        RefusalError: `x` has not the network's input shape.

    """
    if x.shape != network.input_shape:
        raise RefusalError(
            "The picture is {given}; the network reads {wanted}.",
            given=times(x.shape),
            wanted=times(network.input_shape),
        )
    seen: list[Floats | None] = []

    def see(maps_before: torch.Tensor, maps: torch.Tensor) -> None:
        seen.extend((_maps(maps_before), _maps(maps)))

    with network.hook(layer_name, see), torch.inference_mode():
        output = network.module(torch.tensor(x)[None])
    input_maps, maps = seen
    assert maps is not None  # as for every layer of a network
    probabilities = output.flatten().softmax(0) if output.dim() == 2 else output.new_empty(0)
    return Look(layer_name, input_maps, maps, _array(probabilities), x)


def _maps(tensor: torch.Tensor) -> Floats | None:
    if tensor.dim() == 2:
        return _array(tensor[0])[:, None, None]
    return _array(tensor[0]) if tensor.dim() == 4 else None


def _array(tensor: torch.Tensor) -> Floats:
    """Return a copy of a tensor's numbers."""
    return np.array(tensor.numpy(), order="C")


def regions(network: Network, layer_name: str, unit: Position) -> tuple[tuple[str, Region], ...]:
    """Return what the unit (c, i, j) of `Look.maps` sees: of the picture ("") first, then of each layer before it.

    A layer that the unit does not depend on is left out. Where the network branches, a region holds what the unit sees
    by any way; behind an operation that mixes everything, or one that is not known, it is the whole. What lies outside
    of a region does not matter to the unit.

    Raises:
        KeyError: there is no such layer.
        IndexError: there is no such unit.

    """
    call = network.calls[layer_name]
    shape = network.graph.nodes[call.node].shape[1:]
    check_position(unit, shape if len(shape) == 3 else (*shape, 1, 1))
    names = [layer.name for layer in network.layers]
    earlier = names[: names.index(layer_name)]
    if network.chain is not None:
        stack, chain = network.chain
        index = chain.index(layer_name)
        position = unit[1:] if len(shape) == 3 else unit[:1]
        ats = [(INPUT, ""), *((at, name) for at, name in enumerate(chain[:index]) if name is not None)]
        return tuple((name, stack.input_region(index, position, at)) for at, name in ats)
    found = network.graph.regions(call.node, (unit[1], unit[2]))
    nodes = [("", 0), *((name, network.calls[name].node) for name in earlier)]
    return tuple((name, found[node]) for name, node in nodes if node in found)


def for_lab(network: Network, look: Look) -> ForLab:
    """Return a layer for the Lab: in its chain, on the picture, or alone on its real input where the network branches.

    Raises:
        RefusalError: no layer of the Lab does what this one does.

    """
    if network.chain is not None and network.stack is not None:
        current = network.chain.names.index(look.layer_name)
        return ForLab(network.stack, look.x.astype(np.float64), current)
    path = network.calls[look.layer_name].path
    module = network.module.get_submodule(path)
    if look.input_maps is None:
        raise RefusalError("The Lab steps through layers on feature maps; {layer} reads none.", layer=look.layer_name)
    x = look.input_maps.astype(np.float64)
    layer = layer_on(module, x.shape)
    if layer is None:
        raise RefusalError(
            "The Lab has no layer that does what {layer} does: {kind}.",
            layer=look.layer_name,
            kind=type(module).__name__,
        )
    layers = [Flatten(), layer] if isinstance(layer, Linear) else [layer]
    current = len(layers) - 1
    weights = {f"{current}.{name}": tensor for name, tensor in module.state_dict().items()}
    return ForLab(with_weights(Stack(x.shape, layers), weights), x, current)

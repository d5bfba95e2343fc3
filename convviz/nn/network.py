"""A network one can look through: a module with real weights, and what is known of it."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Literal, NamedTuple, TypeAlias

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from convviz.core.dense import Flatten
from convviz.core.layers import Layer, Shape
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.nn.checkpoint import with_weights
from convviz.nn.graph import MAPS, Call, Graph, graph_of, layer_on

Origin: TypeAlias = Literal["checkpoint", "preset", "torchvision", "proposed"]


@dataclass(frozen=True)
class Preprocessing:
    """What a picture becomes before a network reads it: x = (pixel / 255 − mean) / std.

    Attributes:
        size: (H, W). The picture is scaled so that it covers this size, and its centre is cut out.
        mean: of each channel, (C,).
        std: of each channel, (C,).
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """What the network reads, (C, H, W)."""
        return len(self.mean), *self.size


def to_unit_range(input_shape: Shape) -> Preprocessing:
    """Return the preprocessing for (C, H, W) that makes pixels −1 to 1, as training in this program has it."""
    channels, height, width = input_shape
    return Preprocessing((height, width), (0.5,) * channels, (0.5,) * channels)


@dataclass(frozen=True)
class LayerInfo:
    """A layer of a network.

    Attributes:
        name: the path of its module, "layer1.0.conv1" or "0"; a module that is used again comes again, as "relu_1".
        kind: the name of the module's class, "Conv2d".
        shape: of its output, (C, H, W) or (N,).
        weight: the short name that its weight tensor has in the file, None without one.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weight: str | None


class Chain(NamedTuple):
    """A network without branches: a stack without its weights, and each layer's name; a `Flatten` may have none."""

    stack: Stack
    names: tuple[str | None, ...]


@dataclass(frozen=True, eq=False)
class Network:
    """A network with the weights of a file; `network_of` makes one.

    Attributes:
        name: for people: "Small CNN", "ResNet-18".
        origin: how it was found.
        module: in evaluation mode, float32, on the CPU, without gradients of weights; no part is told to work in place.
        preprocessing: of pictures, as far as it is known.
        classes: what the outputs stand for, () if that is not known.
        graph: how the layers hang together.
        layers: the leaf modules that yield maps or vectors, in the order in which they run.
        calls: of each of them, by its name.
        weight_names: short names in the file by names of the module's `state_dict`, where they differ.
    """

    name: str
    origin: Origin
    module: nn.Module
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    graph: Graph
    layers: tuple[LayerInfo, ...]
    calls: Mapping[str, Call] = field(repr=False)
    weight_names: Mapping[str, str] = field(repr=False)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """What the network reads, (C, H, W)."""
        return self.preprocessing.shape

    @cached_property
    def chain(self) -> Chain | None:
        """The network's layers one after the other; None where it branches, or where a layer is none that stacks have.

        A layer that passes on what it reads, such as one that was switched off, is `Dropout`.
        """
        layers: list[Layer] = []
        names: list[str | None] = []
        names_of = {call: name for name, call in self.calls.items()}
        node, last = 0, len(self.graph.nodes) - 1
        for call in self.graph.calls:
            if self._is_flattened(node, call.source):
                layers.append(Flatten())
                names.append(None)
            elif call.source != node:
                return None
            layer = layer_on(self.module.get_submodule(call.path), self.graph.nodes[call.source].shape[1:])
            if layer is None or call not in names_of:
                return None
            layers.append(layer)
            names.append(names_of[call])
            node = call.node
        if self._is_flattened(node, last):
            layers.append(Flatten())
            names.append(None)
        elif node != last:
            return None
        stack = Stack(self.input_shape, layers)
        return None if stack.problem else Chain(stack, tuple(names))

    def _is_flattened(self, node: int, later: int) -> bool:
        """Whether a later node is all that a node holds, as a vector."""
        shape, _, edges = self.graph.nodes[later]
        before = self.graph.nodes[node].shape
        is_next = [edge.source for edge in edges] == [node]
        return is_next and len(shape) == 2 < len(before) and math.prod(shape) == math.prod(before)

    @cached_property
    def stack(self) -> Stack | None:
        """The same network as a stack with its weights, copied when first asked for; None as for `chain`."""
        if self.chain is None:
            return None
        state = self.module.state_dict()
        weights = {
            f"{index}.{array}": state[f"{self.calls[name].path}.{array}"]
            for index, (name, layer) in enumerate(zip(self.chain.names, self.chain.stack.layers, strict=True))
            for array in layer.array_names
            if name is not None and f"{self.calls[name].path}.{array}" in state
        }
        return with_weights(self.chain.stack, weights)

    def hook(self, layer_name: str, see: Callable[[torch.Tensor, torch.Tensor], None]) -> RemovableHandle:
        """Let `see` have the input and the output of a layer in each forward pass of this thread.

        Both may be overwritten later in the pass: copy what is to be kept. It ends when the handle is removed, which is
        due after a pass that was broken off: uses of a module are counted through whole passes.

        Raises:
            KeyError: there is no such layer.

        """
        call = self.calls[layer_name]
        uses = sum(other.path == call.path for other in self.graph.calls)
        numbers, thread = count(), threading.get_ident()

        def look(_module: nn.Module, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            if threading.get_ident() == thread and next(numbers) % uses == call.use:
                see(args[0], output)

        return self.module.get_submodule(call.path).register_forward_hook(look)

    def with_preprocessing(self, preprocessing: Preprocessing) -> Network:
        """Return the network, with the same weights in the same memory, for pictures prepared in another way.

        Raises:
            RefusalError: the network does not take this size, or as many channels as there are means.

        """
        if preprocessing.shape == self.input_shape:
            return dataclasses.replace(self, preprocessing=preprocessing)
        try:
            return network_of(self.name, self.origin, self.module, preprocessing, self.classes, self.weight_names)
        except RefusalError as error:
            own = "×".join(map(str, self.input_shape))
            raise RefusalError(*error.sentences, "It is left at {own}.", **error.values, own=own) from error


def network_of(
    name: str,
    origin: Origin,
    module: nn.Module,
    preprocessing: Preprocessing,
    classes: tuple[str, ...] = (),
    weight_names: Mapping[str, str] | None = None,
) -> Network:
    """Return a network from a module, which becomes what `Network` says; see there for the arguments.

    `module` is float32 and on the CPU already.

    Raises:
        RefusalError: it does not take an input of this shape.

    """
    module.eval().requires_grad_(False)
    for part in module.modules():
        if hasattr(part, "inplace"):
            part.inplace = False  # type: ignore[assignment]  # a plain attribute
    graph = graph_of(module, preprocessing.shape)
    names = weight_names or {}
    paths = {path for path, _ in module.named_modules()}
    layers: list[LayerInfo] = []
    calls: dict[str, Call] = {}
    for call in graph.calls:
        shape, cells, _ = graph.nodes[call.node]
        if shape[0] == 1 and (len(shape) == 2 or (len(shape) == 4 and cells == MAPS)):
            part = module.get_submodule(call.path)
            weight = f"{call.path}.weight"
            layer_name = _unused_name(call, paths | calls.keys())
            has_weight = isinstance(getattr(part, "weight", None), torch.Tensor)
            layers.append(
                LayerInfo(layer_name, type(part).__name__, shape[1:], names.get(weight, weight) if has_weight else None)
            )
            calls[layer_name] = call
    return Network(name, origin, module, preprocessing, classes, graph, tuple(layers), calls, names)


def _unused_name(call: Call, used: set[str]) -> str:
    """Return the path of a first call; of another the path with a number behind it, as torchvision names them."""
    if call.use == 0:
        return call.path
    return next(name for number in count(call.use) if (name := f"{call.path}_{number}") not in used)

"""A plain chain of convolutions and linear layers, proposed from the shapes of weights alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import torch

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import GELU, BatchNorm2d, ReLU, Sigmoid, Tanh
from convviz.core.layers import (
    AvgPool2d,
    Conv2d,
    Drawn,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Layer,
    MaxPool2d,
    Shape,
    Weighted,
)
from convviz.core.plain_text import shortened
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.window import ShapeError
from convviz.nn.build import skeleton
from convviz.nn.network import Network, Origin, network_of, to_unit_range

Pooling: TypeAlias = Literal["max", "avg", "none"]
Activation: TypeAlias = Literal["relu", "sigmoid", "tanh", "gelu"]
End: TypeAlias = Literal["flatten", "max", "avg"]

_POOLINGS: Final[dict[Pooling, tuple[Layer, ...]]] = {"max": (MaxPool2d(2),), "avg": (AvgPool2d(2),), "none": ()}
_ACTIVATIONS: Final[dict[Activation, Layer]] = {"relu": ReLU(), "sigmoid": Sigmoid(), "tanh": Tanh(), "gelu": GELU()}
_ENDS: Final[dict[End, tuple[Layer, ...]]] = {"flatten": (), "max": (GlobalMaxPool2d(),), "avg": (GlobalAvgPool2d(),)}

_COMMON_SIZES: Final = (32, 28, 64, 224, 96, 128, 48, 227, 256)
_OTHER_SIZES: Final = range(8, 513)
_MOST_EVERY: Final = 3
_LONGEST_NAME: Final = 40
_TRACKED: Final = "num_batches_tracked"

Kind: TypeAlias = Literal["conv", "norm", "linear"]


@dataclass(frozen=True, eq=False)
class Part:
    """The tensors of one layer.

    Attributes:
        name: of the layer, what comes before the last dot of its tensors' names.
        kind: which layer it is.
        tensors: "weight", "bias", …
    """

    name: str
    kind: Kind
    tensors: Mapping[str, torch.Tensor]

    @property
    def shapes(self) -> tuple[Kind, dict[str, Shape]]:
        """What has to be the same for the tensors to be another layer's."""
        return self.kind, {name: tuple(tensor.shape) for name, tensor in self.tensors.items() if name != _TRACKED}

    @property
    def weight(self) -> Shape:
        """The shape of the weight."""
        return tuple(self.tensors["weight"].shape)


def parts_of(state: Mapping[str, torch.Tensor]) -> tuple[Part, ...]:
    """Return the layers to which tensors (by short name) belong, in the order in which each begins.

    Raises:
        RefusalError: a tensor belongs to none of the three kinds.

    """
    grouped: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in state.items():
        layer, _, last = name.rpartition(".")
        grouped.setdefault(layer, {})[last] = tensor
    return tuple(Part(name, _kind(name, tensors), tensors) for name, tensors in grouped.items())


def _kind(name: str, tensors: Mapping[str, torch.Tensor]) -> Kind:
    weight = tensors.get("weight")
    others = tensors.keys() - {"weight", _TRACKED}
    if weight is not None and weight.numel() and all(tensors[other].shape == weight.shape[:1] for other in others):
        if weight.dim() == 1 and others == {"bias", "running_mean", "running_var"}:
            return "norm"
        if weight.dim() in (2, 4) and others <= {"bias"}:
            return "conv" if weight.dim() == 4 else "linear"
    if not name:
        raise RefusalError("Its tensors are not named after layers, as “conv1.weight” is.")
    raise RefusalError(
        "Its layer “{layer}” is neither a convolution, nor a batch normalisation, nor a linear layer.",
        layer=shortened(name, _LONGEST_NAME),
    )


def in_natural_order(parts: Sequence[Part]) -> list[Part]:
    """Return the parts by name, numbers by their value: conv2 comes before conv10."""
    return sorted(parts, key=lambda part: _natural_key(part.name))


def _natural_key(name: str) -> list[tuple[int, str]]:
    """Return what sorts names naturally: numbers, which may have any length, by their digits; text as it is."""
    bits = re.split(r"0*([0-9]+)", name)
    return [(len(bit) if index % 2 else 0, bit) for index, bit in enumerate(bits)]  # text and number in turn


@dataclass(frozen=True)
class ChainChoice:
    """What the weights do not say of a chain.

    Attributes:
        size: height and width of the input.
        padded: whether each convolution is padded by half its kernel, which keeps the size, or not at all.
        pooling: what halves height and width.
        every: after every how many convolutions it does.
        end: what makes a vector of the last maps: all their cells ("flatten"), or the greatest or mean value of each.
        activation: behind every layer but the last; behind the batch normalisation where there is one.
    """

    size: int
    padded: bool = False
    pooling: Pooling = "max"
    every: int = 1
    end: End = "flatten"
    activation: Activation = "relu"


@dataclass(frozen=True, eq=False)
class Proposal:
    """Weights that follow one another as a plain chain; what they leave open is for the user to confirm.

    Attributes:
        choices: those that fit, the likeliest first; at least one. Where max pooling fits so does average pooling, and
            any activation does.
        parts: the layers, in their order.
    """

    choices: tuple[ChainChoice, ...]
    parts: tuple[Part, ...] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the layers in the file, in their order."""
        return tuple(part.name for part in self.parts)

    def network(self, choice: ChainChoice) -> Network:
        """Return the chain with this choice, origin "proposed".

        Raises:
            RefusalError: the layers do not fit one another.

        """
        try:
            stack = Stack((self.parts[0].weight[1], choice.size, choice.size), _layers(self.parts, choice))
            return network_of_parts("Plain chain", "proposed", stack, self.parts)
        except ShapeError as error:
            raise RefusalError("The layers do not fit one another. {reason}", reason=error) from error


def weighted(stack: Stack) -> list[int]:
    """Return the indices of the layers that have weights and are on."""
    return [index for index, layer in enumerate(stack.layers) if isinstance(layer, Weighted) and stack.is_on(index)]


def network_of_parts(
    name: str, origin: Origin, stack: Stack, parts: Sequence[Part], classes: tuple[str, ...] = ()
) -> Network:
    """Return the network of a stack whose layers with weights have the tensors of these parts, in their order.

    Raises:
        ShapeError: the layers do not fit one another.

    """
    module = skeleton(stack)
    state: dict[str, torch.Tensor] = {}
    names: dict[str, str] = {}
    for index, part in zip(weighted(stack), parts, strict=True):
        for array, tensor in part.tensors.items():
            state[f"{index}.{array}"] = torch.tensor(0) if array == _TRACKED else tensor.float()
            names[f"{index}.{array}"] = f"{part.name}.{array}" if part.name else array
        if part.kind == "norm":
            state.setdefault(f"{index}.{_TRACKED}", torch.tensor(0))
    module.load_state_dict(state, assign=True)
    return network_of(name, origin, module, to_unit_range(stack.input_shape), classes, names)


def propose(given: Sequence[Part]) -> Proposal:
    """Return the plain chain that these layers make.

    Raises:
        RefusalError: they make none; it says why.

    """
    parts = _chained(given) or _chained(_sorted_by_kind(given))
    if parts is None:
        raise RefusalError("Its layers do not follow one another as a plain chain of convolutions and linear layers.")
    if parts[0].weight[1] not in (1, 3):
        raise RefusalError(
            "Its first convolution reads {channels} channels; pictures have 1 or 3.", channels=parts[0].weight[1]
        )
    choices = tuple(_choices(parts))
    if not choices:
        raise RefusalError(
            "No picture size makes the {features} numbers that its first linear layer reads.",
            features=next(part.weight[1] for part in parts if part.kind == "linear"),
        )
    return Proposal(choices, parts)


def _sorted_by_kind(parts: Sequence[Part]) -> list[Part]:
    """Return parts that lie in alphabetical order as they may run: each normalisation behind the next one it fits."""
    ordered = in_natural_order(parts)
    norms = [part for part in ordered if part.kind == "norm"]
    chain: list[Part] = []
    for part in ordered:
        if part.kind == "conv":
            chain.append(part)
            if norms and norms[0].weight[0] == part.weight[0]:
                chain.append(norms.pop(0))
    return [*chain, *norms, *(part for part in ordered if part.kind == "linear")]


def _chained(parts: Sequence[Part]) -> tuple[Part, ...] | None:
    """Return the parts if each fits the one before: convolutions with their normalisations, then linear layers."""
    channels: int | None = None
    features: int | None = None
    before: Part | None = None
    for part in parts:
        match part.kind:
            case "conv" if features is None and (channels is None or _groups(part, channels)):
                channels = part.weight[0]
            case "norm" if before is not None and before.kind == "conv" and part.weight[0] == channels:
                pass
            case "linear" if channels is not None and features in (None, part.weight[1]):
                features = part.weight[0]
            case _:
                return None
        before = part
    return tuple(parts) if channels is not None else None


def _groups(conv: Part, channels: int) -> int | None:
    """Return in how many groups a convolution reads so many channels, None if it cannot."""
    groups, rest = divmod(channels, conv.weight[1])
    return groups if not rest and groups and conv.weight[0] % groups == 0 else None


def _choices(parts: Sequence[Part]) -> Iterator[ChainChoice]:
    """Yield what fits: of the common picture sizes, or of all where none of them does."""
    kernels = [part.weight[2:] for part in parts if part.kind == "conv"]
    channels = [part.weight[0] for part in parts if part.kind == "conv"][-1]
    features = next((part.weight[1] for part in parts if part.kind == "linear"), None)
    poolings: list[tuple[Pooling, int]] = [
        *(("max", every) for every in range(1, min(_MOST_EVERY, len(kernels)) + 1)),
        ("none", 1),
    ]
    for sizes in (_COMMON_SIZES, _OTHER_SIZES):
        found = False
        for size in sizes:
            for pooling, every in poolings:
                for padded in (False, True):
                    height, width = _last_size(size, kernels, padded, every if pooling == "max" else None)
                    if min(height, width) < 1:
                        continue
                    ends: dict[int, End] = {channels: "avg", channels * height * width: "flatten"}
                    end = "flatten" if features is None else ends.get(features)
                    if end is not None:
                        found = True
                        yield ChainChoice(size, padded, pooling, every, end)
        if found:
            return


def _last_size(size: int, kernels: Sequence[Shape], padded: bool, every: int | None) -> tuple[int, int]:
    """Return height and width behind convolutions, with pooling after every so many; below 1 if nothing is left."""
    sides = [size, size]
    for number, kernel in enumerate(kernels, 1):
        for axis, length in enumerate(kernel):
            sides[axis] += (2 * (length // 2) if padded else 0) - length + 1
        if min(sides) < 1:
            break
        if every is not None and number % every == 0:
            sides = [side // 2 for side in sides]
    return sides[0], sides[1]


def _layers(parts: Sequence[Part], choice: ChainChoice) -> list[Layer]:
    """Return the layers without numbers; those with weights are in the order of the parts."""
    layers: list[Layer] = []
    channels = parts[0].weight[1]
    convs = 0
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        bias = Drawn(0) if "bias" in part.tensors else None
        match part.kind:
            case "conv":
                out_channels, _, *kernel = part.weight
                padding = [length // 2 for length in kernel] if choice.padded else 0
                groups = _groups(part, channels) or 1
                layers.append(Conv2d(channels, out_channels, kernel, padding=padding, groups=groups, bias=bias))
                channels = out_channels
                convs += 1
            case "norm":
                layers.append(BatchNorm2d(channels))
            case "linear":
                out_features, in_features = part.weight
                layers.append(Linear(in_features, out_features, bias=bias))
        is_last_of_block = following is None or following.kind != "norm"
        if is_last_of_block and following is not None:
            layers.append(_ACTIVATIONS[choice.activation])
        if is_last_of_block and part.kind != "linear":
            if convs % choice.every == 0:
                layers.extend(_POOLINGS[choice.pooling])
            if following is not None and following.kind == "linear":
                layers.extend((*_ENDS[choice.end], Flatten()))
    return layers

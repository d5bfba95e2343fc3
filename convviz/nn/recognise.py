"""Which network the tensors of a file belong to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from convviz.core.control import StopToken, go_on
from convviz.core.elementwise import Sigmoid
from convviz.core.presets import PRESETS
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.core.stack_file import from_json
from convviz.nn import checkpoint
from convviz.nn.build import skeleton
from convviz.nn.chain import Part, Proposal, in_natural_order, network_of_parts, parts_of, propose, weighted
from convviz.nn.known_models import known_networks
from convviz.nn.network import Network
from convviz.nn.source import DataProgress, Steps
from convviz.nn.tensor_file import TensorFile

RECOGNISING: Final = "Looking for the network"

MOST_SHARED: Final = 4
"""How many times as large as its memory a file's tensors may be together: some networks use a layer twice."""

PRESET_NAMES: Final[dict[str, str]] = {
    "four_layers": "Four layers",
    "dilations": "Dilations",
    "lenet5": "LeNet-5",
    "lenet5_rgb": "LeNet-5 for colour",
    "tutorial_cnn": "PyTorch tutorial CNN",
    "small_cnn": "Small CNN",
    "fast_cnn": "Fast CNN",
    "alexnet": "AlexNet of 2014",
    "vgg16": "VGG-16",
    "resnet50_main_path": "ResNet-50 without shortcuts",
}
"""What people call the ready-made stacks."""


@dataclass(frozen=True, eq=False)
class Recognition:
    """What the tensors of a file may be.

    Attributes:
        networks: that fit, the likeliest first; several where the shapes fit several.
        proposal: a plain chain, where no network is known.
        reason: why there is neither: the file's filters can be looked at, nothing else.
    """

    networks: tuple[Network, ...] = ()
    proposal: Proposal | None = None
    reason: RefusalError | None = None


def recognise(file: TensorFile, token: StopToken | None = None) -> Steps[Recognition]:
    """Return what the tensors of a file may be; what they are not is a reason, not an error.

    What a checkpoint of this program says is taken first, then what fits among the ready-made stacks and torchvision's
    models, then a plain chain.

    Raises:
        StoppedError: `token` asked for it.

    """
    return recognised(file.state_dict(), file.document, token)


def recognised(
    state: Mapping[str, torch.Tensor], document: object = None, token: StopToken | None = None
) -> Steps[Recognition]:
    """Return the same for tensors by short name; `document` is the plain rest of the file."""
    yield DataProgress(0, 3, RECOGNISING)
    go_on(token or StopToken())
    try:
        _check(state.values())
        tensors = {name: tensor.dequantize() if tensor.is_quantized else tensor for name, tensor in state.items()}
        if networks := tuple(_own(tensors, document)):
            return Recognition(networks)
        yield DataProgress(1, 3, RECOGNISING)
        go_on(token or StopToken())
        if networks := tuple(known_networks(tensors)):
            return Recognition(networks)
        yield DataProgress(2, 3, RECOGNISING)
        go_on(token or StopToken())
        parts = parts_of(tensors)
        if networks := _presets(parts):
            return Recognition(networks)
        return Recognition(proposal=propose(parts))
    except RefusalError as error:
        sentences = ("Its network is not known; the filters can be looked at.", *error.sentences)
        return Recognition(reason=RefusalError(*sentences, **error.values))


def _check(tensors: Collection[torch.Tensor]) -> None:
    """Refuse tensors that no network can use, or that would take much more memory as weights than they do now."""
    if any(tensor.is_complex() or tensor.layout != torch.strided or tensor.is_meta for tensor in tensors):
        raise RefusalError("Some of its tensors are sparse or complex, or have no numbers.")
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    if sum(tensor.nbytes for tensor in tensors) > MOST_SHARED * sum(storages.values()):
        raise RefusalError("Its tensors repeat the same few numbers.")


def _own(tensors: Mapping[str, torch.Tensor], document: object) -> Iterator[Network]:
    """Yield the network that a checkpoint of this program describes; none if the file is no such checkpoint."""
    if not isinstance(document, dict) or document.get("format") != checkpoint.FORMAT:
        return
    try:
        stack = from_json(document["stack"])
        classes = checkpoint.data_info(document["data"]).classes
        parts = _assigned(parts_of(tensors), stack)
    except (LookupError, TypeError, ValueError):
        return  # damaged, but the tensors may still be known by their shapes
    if parts is not None:
        keys = (key for key, preset in PRESETS.items() if _geometry(preset()) == _geometry(stack))
        name = PRESET_NAMES.get(next(keys, ""), "Network of this checkpoint")
        has_names = stack.shapes[-1] == (len(classes),)
        yield network_of_parts(name, "checkpoint", stack, parts, classes if has_names else ())


def _geometry(stack: Stack) -> tuple[object, ...]:
    return stack.input_shape, [(type(layer), layer.settings) for layer in stack.layers], stack.switched_off


def _presets(parts: Sequence[Part]) -> tuple[Network, ...]:
    """Return the ready-made stacks that layers of these shapes fit.

    First come those whose own names the layers have, then those with ReLU before those with sigmoids.
    """
    found: list[tuple[tuple[bool, bool], Network]] = []
    for key, preset in PRESETS.items():
        stack = preset()
        assigned = _assigned(parts, stack)
        if assigned is not None:
            other_names = [part.name for part in assigned] != [str(index) for index in weighted(stack)]
            has_sigmoids = any(isinstance(layer, Sigmoid) for layer in stack.layers)
            network = network_of_parts(PRESET_NAMES[key], "preset", stack, assigned)
            found.append(((other_names, has_sigmoids), network))
    return tuple(network for _, network in sorted(found, key=lambda each: each[0]))


def _assigned(parts: Sequence[Part], stack: Stack) -> list[Part] | None:
    """Return the parts in the order of the stack's layers with weights; None if their shapes are not the same.

    In a file they mostly lie in that order. Otherwise each layer takes the first that fits it, by name.
    """
    if len(parts) != len(weighted(stack)):
        return None
    wanted = [part.shapes for part in parts_of(skeleton(stack).state_dict())]
    if [part.shapes for part in parts] == wanted:
        return list(parts)
    left = in_natural_order(parts)
    assigned: list[Part] = []
    for shapes in wanted:
        fitting = next((part for part in left if part.shapes == shapes), None)
        if fitting is None:
            return None
        left.remove(fitting)
        assigned.append(fitting)
    return assigned

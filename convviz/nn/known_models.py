"""torchvision's classification models, told by the names and shapes of their weights. Nothing is ever downloaded."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import torch
import torchvision
from torch import nn
from torch.overrides import TorchFunctionMode
from torchvision.models import ResNet, WeightsEnum, get_model, get_model_weights, list_models

from convviz.nn.network import Network, Preprocessing, network_of, to_unit_range

CIFAR10: Final = Preprocessing((32, 32), mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
"""Size, mean and standard deviation of CIFAR-10's pictures to train on."""

_BUFFERS: Final = (
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "relative_position_index",
    "relative_coords_table",
)
_AUXILIARY: Final = ("aux1.", "aux2.", "AuxLogits.")
"""Names of the heads by which GoogLeNet and Inception learn; a network in use does without."""
_COUNTED_AUXILIARY: Final = {"inception_v3": 3_326_696}
"""How many of the parameters that torchvision counts are those of such heads."""
_HEAD: Final = re.compile(r"(fc|head|heads\.head|classifier(\.[0-9]+)?)\.weight")
_RENAMED: Final = (
    (re.compile(r"(denselayer[0-9]+\.(?:norm|conv))\.([12])"), r"\1\2"),  # torchvision's own files of 2017
    (re.compile(r"\.shortcut\."), ".downsample."),  # ResNets for CIFAR-10 as many repositories have them
    (re.compile(r"^linear\."), "fc."),
)
_OUTPUTS: Final = 1000
"""Classes of ImageNet, for which torchvision counts parameters."""
_STEM: Final = (64, 3, 7, 7)
"""The first convolution of a ResNet for ImageNet."""


class _Variant(NamedTuple):
    """A model without numbers, what sets it apart, and what it reads."""

    suffix: str
    module: nn.Module
    preprocessing: Preprocessing


def known_networks(state: Mapping[str, torch.Tensor]) -> Iterator[Network]:
    """Yield the models that tensors (by short name) are the whole state of, whatever the number of classes.

    The auxiliary heads of GoogLeNet and Inception may be there or not. The first convolution of a ResNet may read grey
    pictures. If it is 3×3 the ResNet is taken for one for small pictures: with stride 1 there, and no pooling or,
    less likely, some. Of equal candidates the likelier comes first.
    """
    names = {_renamed(name): name for name in state if not name.startswith(_AUXILIARY)}
    tensors = {name: state[own] for name, own in names.items()}
    head = _head(tensors)
    if head is None:
        return
    num_classes = len(tensors[head])
    count = _count(tensors, head)
    for model in list_models(module=torchvision.models):
        weights = next((each for each in get_model_weights(model) if _fits(model, each, count, tensors)), None)
        if weights is not None:
            classes = tuple(weights.meta["categories"]) if num_classes == _OUTPUTS else ()
            for suffix, module, preprocessing in _variants(model, weights, num_classes, tensors):
                if _fill(module, tensors):
                    name = _display_name(weights) + suffix
                    yield network_of(name, "torchvision", module, preprocessing, classes, names)


def _renamed(name: str) -> str:
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    return name


def _display_name(weights: WeightsEnum) -> str:
    """Return torchvision's own spelling, with a hyphen before the first number: "ResNet-18", "VGG-11_BN"."""
    return re.sub(r"(?<=[A-Za-z]{3})(?=[0-9])", "-", type(weights).__name__.removesuffix("_Weights"), count=1)


def _head(tensors: Mapping[str, torch.Tensor]) -> str | None:
    """Return the name of the last layer's weight."""
    heads = [name for name, tensor in tensors.items() if tensor.dim() > 1 and len(tensor) and _HEAD.fullmatch(name)]
    return max(heads, default=None)


def _count(tensors: Mapping[str, torch.Tensor], head: str) -> int:
    """Return the number of parameters, if the last layer were one for ImageNet's classes."""
    weight, bias = tensors[head], head.removesuffix("weight") + "bias"
    of_one_class = weight[0].numel() + (bias in tensors)
    given = sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith(_BUFFERS))
    return given + (_OUTPUTS - len(weight)) * of_one_class


def _fits(model: str, weights: WeightsEnum, count: int, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Whether there are as many parameters as the model has: a cheap test, which few others pass."""
    expected = weights.meta["num_params"] - _COUNTED_AUXILIARY.get(model, 0)
    stem = tensors.get("conv1.weight")
    return expected == count or (stem is not None and expected == count - stem.numel() + math.prod(_STEM))


def _variants(
    model: str, weights: WeightsEnum, num_classes: int, tensors: Mapping[str, torch.Tensor]
) -> Iterator[_Variant]:
    """Yield the model in each form that weights of these shapes may have."""
    transforms = weights.transforms()
    (side,) = transforms.crop_size
    preprocessing = Preprocessing((side, side), tuple(transforms.mean), tuple(transforms.std))
    if model in ("googlenet", "inception_v3"):
        settings = {"aux_logits": False, "init_weights": False}
        if num_classes == _OUTPUTS:  # torchvision's own weights come from another library and its range of pixels
            module = make_skeleton(model, num_classes, **settings, transform_input=True)
            yield _Variant("", module, preprocessing)
            yield _Variant(", trained anew", make_skeleton(model, num_classes, **settings), preprocessing)
        else:
            yield _Variant("", make_skeleton(model, num_classes, **settings), preprocessing)
        return
    settings = {"image_size": side} if model.startswith("vit_") else {}
    module = make_skeleton(model, num_classes, **settings)
    stem = tuple(tensors["conv1.weight"].shape) if isinstance(module, ResNet) else _STEM
    match stem:
        case (64, 3, 7, 7):
            yield _Variant("", module, preprocessing)
        case (64, 1, 7, 7):
            module.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False, device="meta")
            yield _Variant(" for grey pictures", module, to_unit_range((1, side, side)))
        case (64, 1 | 3 as channels, 3, 3):
            small = CIFAR10 if channels == 3 else to_unit_range((1, *CIFAR10.size))
            for suffix, keeps_pooling in ((" for small pictures", False), (" for small pictures, pooled early", True)):
                module = make_skeleton(model, num_classes)
                module.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False, device="meta")
                if not keeps_pooling:
                    module.maxpool = nn.Identity()
                yield _Variant(suffix, module, small)


def _fill(module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> bool:
    """Give a module these numbers in float32, without a copy where they are that; False if they are not its own.

    Whole numbers, such as the places of neighbours and a counter that old files lack, are as the model makes them.
    """
    state = module.state_dict()  # it carries versions, which some models ask for
    if _shapes(state) != _shapes(tensors):
        return False
    for name, tensor in state.items():
        if tensor.is_floating_point():
            state[name] = tensors[name].float()
    module.load_state_dict(state, assign=True)
    return True


def _shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}


def make_skeleton(model: str, num_classes: int, **settings: Any) -> nn.Module:
    """Return a model whose weights are on the meta device, where nothing is drawn."""
    with _WeightsOnMeta():
        module: nn.Module = get_model(model, weights=None, num_classes=num_classes, **settings)
    return module


class _WeightsOnMeta(TorchFunctionMode):
    """Where modules are made without numbers. Unlike in `torch.device("meta")`, what they compute has its values."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.empty, torch.zeros, torch.ones):
            kwargs["device"] = "meta"
        return func(*args, **kwargs)

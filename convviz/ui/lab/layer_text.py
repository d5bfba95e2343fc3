"""Layers, shapes and ready-made stacks in words, the same on every card, title and table."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import GELU, BatchNorm2d, Dropout, ReLU, Sigmoid, Tanh
from convviz.core.layers import AvgPool2d, Conv2d, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d, times

LAYER_KINDS: dict[str, type[Layer]] = {
    "conv": Conv2d,
    "max": MaxPool2d,
    "avg": AvgPool2d,
    "global_max": GlobalMaxPool2d,
    "global_avg": GlobalAvgPool2d,
    "relu": ReLU,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "gelu": GELU,
    "batch_norm": BatchNorm2d,
    "dropout": Dropout,
    "flatten": Flatten,
    "linear": Linear,
}
"""The kinds of layers a stack is made of, in the order in which they are offered."""


def kind_of(layer: Layer) -> str:
    """Return the key of a layer's kind."""
    return next(kind for kind, made in LAYER_KINDS.items() if type(layer) is made)


def kind_name(kind: str) -> str:
    """Return what a kind of layer is called."""
    names = {
        "conv": QCoreApplication.translate("Layer", "Conv"),
        "max": QCoreApplication.translate("Layer", "MaxPool"),
        "avg": QCoreApplication.translate("Layer", "AvgPool"),
        "global_max": QCoreApplication.translate("Layer", "Global max"),
        "global_avg": QCoreApplication.translate("Layer", "Global average"),
        "relu": "ReLU",
        "sigmoid": "Sigmoid",
        "tanh": "Tanh",
        "gelu": "GELU",
        "batch_norm": "BatchNorm",
        "dropout": "Dropout",
        "flatten": "Flatten",
        "linear": "Linear",
    }
    return names[kind]


def layer_name(layer: Layer) -> str:
    """Return a layer's kind, with its window or its units where it has some: “Conv 3×3”, “ReLU”, “Linear 120”."""
    name = kind_name(kind_of(layer))
    if isinstance(layer, (Conv2d, MaxPool2d, AvgPool2d)):
        return f"{name} {times(layer.kernel_size)}"
    if isinstance(layer, Linear):
        return f"{name} {layer.out_features}"
    return name


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as people write it: “3×32×32”, or “120” for a vector."""
    return times(shape)


def change_text(before: Sequence[int], after: Sequence[int]) -> str:
    """Return what a layer makes of a shape: “7→4” where channels stay and grids are square, else in full."""
    if len(before) == len(after) == 3 and before[0] == after[0]:
        if before[1] == before[2] and after[1] == after[2]:
            return f"{before[1]}→{after[1]}"
        return f"{times(before[1:])}→{times(after[1:])}"
    return f"{times(before)}→{times(after)}"


def kind_tooltip(kind: str) -> str:
    """Return what a kind of layer does, in one sentence."""
    tooltips = {
        "conv": QCoreApplication.translate(
            "Layer", "Convolution: multiply the window with the kernel cell by cell, add up, add the bias."
        ),
        "max": QCoreApplication.translate("Layer", "Max pooling: keep the largest number of each window."),
        "avg": QCoreApplication.translate("Layer", "Average pooling: keep the mean of each window."),
        "global_max": QCoreApplication.translate("Layer", "Keep the largest number of each channel."),
        "global_avg": QCoreApplication.translate("Layer", "Keep the mean of each channel."),
        "relu": QCoreApplication.translate("Layer", "Replace negative numbers by 0."),
        "sigmoid": QCoreApplication.translate("Layer", "Squeeze every number between 0 and 1."),
        "tanh": QCoreApplication.translate("Layer", "Squeeze every number between −1 and 1."),
        "gelu": QCoreApplication.translate(
            "Layer", "A smooth ReLU: x times the share of a normal distribution below x."
        ),
        "batch_norm": QCoreApplication.translate(
            "Layer", "Shift and scale each channel by its mean and variance over the training data."
        ),
        "dropout": QCoreApplication.translate(
            "Layer", "In training, clear random cells; elsewhere pass the input on as it is."
        ),
        "flatten": QCoreApplication.translate("Layer", "Put all cells in one row: a vector for dense layers."),
        "linear": QCoreApplication.translate(
            "Layer", "Dense layer: every output adds up all inputs, each times its weight."
        ),
    }
    return tooltips[kind]


def preset_name(key: str) -> str:
    """Return what one of `PRESETS` is called."""
    names = {
        "four_layers": QCoreApplication.translate("Preset", "Four layers"),
        "dilations": QCoreApplication.translate("Preset", "Dilation 1, 2, 4"),
        "lenet5": "LeNet-5",
        "lenet5_rgb": QCoreApplication.translate("Preset", "LeNet-5 for colour"),
        "tutorial_cnn": QCoreApplication.translate("Preset", "Tutorial CNN"),
        "small_cnn": QCoreApplication.translate("Preset", "Small CNN"),
        "fast_cnn": QCoreApplication.translate("Preset", "Fast CNN"),
        "alexnet": "AlexNet",
        "vgg16": "VGG-16",
        "resnet50_main_path": QCoreApplication.translate("Preset", "ResNet-50 main path"),
    }
    return names[key]

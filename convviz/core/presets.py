"""Ready-made stacks: small ones to step through, and the networks everybody knows.

Weights are `Drawn`, as torch would draw them, from the layer's index: a stack of 138 million weights is made at once,
is the same every time, and its weights take room (float32) only when a forward pass reads them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import BatchNorm2d, Dropout, ReLU, Sigmoid
from convviz.core.kernels import make_kernel
from convviz.core.layers import AvgPool2d, Conv2d, Drawn, GlobalAvgPool2d, GlobalMaxPool2d, Layer, MaxPool2d, Shape
from convviz.core.stack import Stack


def four_layers() -> Stack:
    """Edges, ReLU, maximum, mean on 12×12: a unit of layer 4 sees 8×8 cells of `make_input("letter", (12, 12))`."""
    return Stack((1, 12, 12), [_known("sobel_x"), ReLU(), MaxPool2d(2), _known("box")])


def dilations() -> Stack:
    """Three 3×3 means with dilation 1, 2 and 4: with 9 weights each the last one's units see 15×15 cells."""
    return Stack((1, 20, 20), [_known("box", dilation) for dilation in (1, 2, 4)])


def lenet5() -> Stack:
    """LeNet-5 with sigmoids and average pooling, on 1×28×28."""
    return _lenet5((1, 28, 28), Conv2d(1, 6, 5, padding=2))


def lenet5_rgb() -> Stack:
    """LeNet-5 for colour, on 3×32×32: 32 is the size that its first convolution takes without padding."""
    return _lenet5((3, 32, 32), Conv2d(3, 6, 5))


def _lenet5(input_shape: Shape, first: Conv2d) -> Stack:
    return _drawn(
        input_shape,
        first,
        Sigmoid(),
        AvgPool2d(2),
        Conv2d(6, 16, 5),
        Sigmoid(),
        AvgPool2d(2),
        Flatten(),
        Linear(400, 120),
        Sigmoid(),
        Linear(120, 84),
        Sigmoid(),
        Linear(84, 10),
    )


def tutorial_cnn() -> Stack:
    """Two convolutions and three dense layers, on 3×32×32: the network of PyTorch's CIFAR-10 tutorial."""
    return _drawn(
        (3, 32, 32),
        Conv2d(3, 6, 5),
        ReLU(),
        MaxPool2d(2),
        Conv2d(6, 16, 5),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(400, 120),
        ReLU(),
        Linear(120, 84),
        ReLU(),
        Linear(84, 10),
    )


def small_cnn() -> Stack:
    """Two convolutions and two dense layers, on 3×32×32."""
    return _drawn(
        (3, 32, 32),
        Conv2d(3, 8, 5),
        ReLU(),
        MaxPool2d(2),
        Conv2d(8, 16, 3),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Linear(576, 128),
        ReLU(),
        Linear(128, 10),
    )


def fast_cnn() -> Stack:
    """Six convolutions with batch normalisation, on 3×32×32: much accuracy on CIFAR-10 for a short training.

    As in VGG, channels double where pooling halves the sides. Its 427 178 weights stay below 2 MB in float32.
    """
    layers: list[Layer] = []
    in_channels = 3
    for out_channels, pooled in ((32, True), (64, False), (64, True), (128, False), (128, True), (128, False)):
        layers += [*_normalised(in_channels, out_channels, 3), ReLU()]
        if pooled:
            layers.append(MaxPool2d(2))
        in_channels = out_channels
    return _drawn((3, 32, 32), *layers, GlobalMaxPool2d(), Flatten(), Linear(in_channels, 10))


def alexnet() -> Stack:
    """AlexNet as in "One weird trick" (Krizhevsky 2014), on 3×224×224; its first convolution has no padding."""
    return _drawn(
        (3, 224, 224),
        Conv2d(3, 64, 11, stride=4),
        ReLU(),
        MaxPool2d(3, 2),
        Conv2d(64, 192, 5, padding=2),
        ReLU(),
        MaxPool2d(3, 2),
        Conv2d(192, 384, 3, padding=1),
        ReLU(),
        Conv2d(384, 384, 3, padding=1),
        ReLU(),
        Conv2d(384, 256, 3, padding=1),
        ReLU(),
        MaxPool2d(3, 2),
        *_classifier(256 * 5 * 5),
    )


def vgg16() -> Stack:
    """VGG-16 (Simonyan and Zisserman 2014), on 3×224×224."""
    layers: list[Layer] = []
    in_channels = 3
    for out_channels, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            layers += [Conv2d(in_channels, out_channels, 3, padding=1), ReLU()]
            in_channels = out_channels
        layers.append(MaxPool2d(2))
    return _drawn((3, 224, 224), *layers, *_classifier(512 * 7 * 7))


def resnet50_main_path() -> Stack:
    """ResNet-50 (He et al. 2015) without its shortcuts, which do not widen what a unit sees, on 3×224×224.

    As in torchvision, the 3×3 convolution of a block is the one with the stride.
    """
    layers: list[Layer] = [*_normalised(3, 64, 7, stride=2), ReLU(), MaxPool2d(3, 2, padding=1)]
    in_channels = 64
    for width, blocks, first_stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            layers += [*_normalised(in_channels, width, 1), ReLU()]
            layers += [*_normalised(width, width, 3, stride), ReLU()]
            layers += [*_normalised(width, 4 * width, 1), ReLU()]
            in_channels = 4 * width
    return _drawn((3, 224, 224), *layers, GlobalAvgPool2d(), Flatten(), Linear(2048, 1000))


PRESETS: dict[str, Callable[[], Stack]] = {
    "four_layers": four_layers,
    "dilations": dilations,
    "lenet5": lenet5,
    "lenet5_rgb": lenet5_rgb,
    "tutorial_cnn": tutorial_cnn,
    "small_cnn": small_cnn,
    "fast_cnn": fast_cnn,
    "alexnet": alexnet,
    "vgg16": vgg16,
    "resnet50_main_path": resnet50_main_path,
}


def _known(kernel: str, dilation: int = 1) -> Conv2d:
    """Return a 3×3 convolution of one channel with a kernel of `KERNELS` and bias 0."""
    return Conv2d(1, 1, 3, dilation=dilation, weight=make_kernel(kernel, (3, 3))[None, None], bias=np.zeros(1))


def _normalised(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1) -> list[Layer]:
    """Return a convolution that keeps the size at stride 1, and the batch normalisation behind it."""
    conv = Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2)
    return [conv, BatchNorm2d(out_channels)]


def _classifier(in_features: int) -> list[Layer]:
    """Return the dense layers of AlexNet and VGG for a thousand classes."""
    return [
        Flatten(),
        Linear(in_features, 4096),
        ReLU(),
        Dropout(),
        Linear(4096, 4096),
        ReLU(),
        Dropout(),
        Linear(4096, 1000),
    ]


def _drawn(input_shape: Shape, *layers: Layer) -> Stack:
    """Return the stack with drawn weights and biases; a bias that batch normalisation would take away is left out."""
    drawn = list(layers)
    for index, (layer, following) in enumerate(zip(layers, (*layers[1:], None), strict=True)):
        if isinstance(layer, (Conv2d, Linear)):
            bias = None if isinstance(following, BatchNorm2d) else Drawn(index)
            drawn[index] = layer.changed(weight=Drawn(index), bias=bias)
    return Stack(input_shape, drawn)

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from convviz.core.dense import Flatten, Linear
from convviz.core.layers import Conv2d
from convviz.core.pictures import Grid
from convviz.core.refusal import RefusalError
from convviz.core.stack import Stack
from convviz.nn.build import build
from convviz.nn.known_models import make_skeleton
from convviz.nn.look import for_lab, look, preprocessed, regions
from convviz.nn.network import Network, Preprocessing, network_of, to_unit_range
from convviz.nn.probe import Floats
from tests.nn.network_cases import only_network, picture, random_state
from tests.nn.train_cases import norm_stack, tiny_stack

PLAIN = Preprocessing((4, 6), (0.0,) * 3, (1.0,) * 3)


def test_a_picture_of_the_size_keeps_its_pixels() -> None:
    pixels = picture((3, 4, 6))
    x = preprocessed(pixels, Preprocessing((4, 6), (0.5, 0.25, 0.0), (0.5, 1.0, 2.0)))
    assert x.dtype == np.float32
    expected = (pixels / 255 - [[[0.5]], [[0.25]], [[0.0]]]) / [[[0.5]], [[1.0]], [[2.0]]]
    np.testing.assert_allclose(x, expected, rtol=1e-5, atol=1e-6)


def test_the_centre_of_what_covers_the_size_is_cut_out() -> None:
    pixels = picture((3, 4, 10))
    np.testing.assert_array_equal(preprocessed(pixels, PLAIN), preprocessed(pixels[:, :, 2:8], PLAIN))
    assert preprocessed(picture((3, 1, 1)), PLAIN).shape == (3, 4, 6)
    assert preprocessed(picture((3, 301, 7)), PLAIN).shape == (3, 4, 6)


@pytest.mark.parametrize("shape", [(8, 12), (37, 20), (3, 4), (301, 600)])
def test_scaling_is_that_of_pillow(shape: tuple[int, int]) -> None:
    (pixels,) = picture((1, *shape))
    scale = max(4 / shape[0], 6 / shape[1])
    height, width = round(shape[0] * scale), round(shape[1] * scale)
    image = Image.fromarray(pixels.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    top, left = (height - 4) // 2, (width - 6) // 2
    expected = np.asarray(image)[top : top + 4, left : left + 6] / 255
    np.testing.assert_allclose(preprocessed(pixels[None], PLAIN)[0], expected, atol=1e-5)


def test_grey_is_repeated_and_colour_becomes_its_luma() -> None:
    grey = picture((1, 4, 6))
    np.testing.assert_array_equal(preprocessed(grey, PLAIN), preprocessed(grey.repeat(3, axis=0), PLAIN))
    colours = np.zeros((3, 1, 3), np.uint8)
    colours[range(3), 0, range(3)] = 255
    luma = preprocessed(colours, Preprocessing((1, 3), (0.0,), (1.0,)))
    np.testing.assert_allclose(luma, [[[0.299, 0.587, 0.114]]], rtol=1e-6)


def pair(model: str) -> tuple[Network, nn.Module, Floats]:
    """A network with torchvision's own module beside it, and a small picture."""
    extra = {"init_weights": False, "aux_logits": False} if model == "googlenet" else {}
    state = random_state(model, 7, **extra)
    module = make_skeleton(model, 7, **extra)
    module.load_state_dict(state, assign=True)
    side = 224 if model == "alexnet" else 96
    network = only_network(state)
    small = network.with_preprocessing(dataclasses.replace(network.preprocessing, size=(side, side)))
    return small, module.eval(), preprocessed(picture((3, 120, 100)), small.preprocessing)


@pytest.fixture(scope="module", params=["resnet18", "mobilenet_v2", "squeezenet1_0", "googlenet", "densenet121"])
def branched(request: pytest.FixtureRequest) -> tuple[Network, nn.Module, Floats]:
    return pair(request.param)


@pytest.fixture(scope="module")
def resnet() -> tuple[Network, nn.Module, Floats]:
    return pair("resnet18")


def assert_maps_are_those_of_hooks(network: Network, module: nn.Module, x: Floats) -> None:
    for name, layer in [*network.calls.items()][:: len(network.calls) // 5]:
        outputs: list[torch.Tensor] = []
        handle = module.get_submodule(layer.path).register_forward_hook(
            lambda _module, _args, output, outputs=outputs: outputs.append(output.clone())
        )
        with handle, torch.no_grad():
            logits = module(torch.tensor(x)[None])
        seen = look(network, x, name)
        output = outputs[layer.use][0].numpy()
        np.testing.assert_array_equal(seen.maps, output.reshape(seen.maps.shape))
        np.testing.assert_array_equal(seen.probabilities, logits[0].softmax(0).numpy())
        assert seen.maps.shape[: output.ndim] == next(info.shape for info in network.layers if info.name == name)


def test_maps_are_those_that_forward_hooks_see(branched: tuple[Network, nn.Module, Floats]) -> None:
    assert_maps_are_those_of_hooks(*branched)


def test_maps_of_alexnet_are_those_that_forward_hooks_see() -> None:
    assert_maps_are_those_of_hooks(*pair("alexnet"))


def test_vgg_has_the_maps_that_forward_hooks_see() -> None:
    network, module, x = pair("vgg11")
    outputs: list[torch.Tensor] = []
    handle = module.get_submodule("features.8").register_forward_hook(
        lambda _module, _args, output: outputs.append(output.clone())
    )
    with handle, torch.no_grad():
        module.get_submodule("features")(torch.tensor(x)[None])
    np.testing.assert_array_equal(look(network, x, "features.8").maps, outputs[0][0].numpy())


def test_what_is_done_in_place_later_does_not_show(resnet: tuple[Network, nn.Module, Floats]) -> None:
    network, _, x = resnet
    before, after = look(network, x, "layer1.0.bn2"), look(network, x, "layer1.0.relu_1")
    assert before.maps.min() < 0
    assert not np.array_equal(np.maximum(before.maps, 0), after.maps)  # the shortcut is added in between
    np.testing.assert_array_equal(look(network, x, "layer1.0.bn2").maps, before.maps)


def test_vectors_are_maps_of_one_cell(resnet: tuple[Network, nn.Module, Floats]) -> None:
    network, _, x = resnet
    seen = look(network, x, "fc")
    assert seen.input_maps is not None
    assert seen.input_maps.shape == (512, 1, 1)
    assert seen.maps.shape == (7, 1, 1)
    assert seen.probabilities.sum() == pytest.approx(1)
    assert look(network, x, "avgpool").maps.shape == (512, 1, 1)


def test_what_does_not_fit_is_refused() -> None:
    network = chain(tiny_stack())
    with pytest.raises(KeyError):
        look(network, np.zeros((3, 8, 8), np.float32), "no such layer")
    with pytest.raises(RefusalError, match="The picture is 3×9×8; the network reads 3×8×8"):
        look(network, np.zeros((3, 9, 8), np.float32), "0")


def test_maps_for_an_answer_have_no_probabilities() -> None:
    network = chain(Stack((3, 8, 8), [Conv2d(3, 2, 3)]))
    assert look(network, np.zeros((3, 8, 8), np.float32), "0").probabilities.shape == (0,)


def chain(stack: Stack) -> Network:
    return network_of("Chain", "preset", build(stack), to_unit_range(stack.input_shape))


def noise(shape: tuple[int, ...]) -> Floats:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def assert_close(actual: Grid | Floats, expected: Floats) -> None:
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("stack", [tiny_stack(), norm_stack()], ids=["tiny", "norm"])
def test_a_chain_goes_to_the_lab_as_it_is(stack: Stack) -> None:
    network, x = chain(stack), noise(stack.input_shape)
    for layer in network.layers:
        seen = look(network, x, layer.name)
        lab = for_lab(network, seen)
        assert lab.input.dtype == np.float64
        np.testing.assert_array_equal(lab.input, x)
        assert_close(lab.stack.forward(lab.input)[lab.current].reshape(seen.maps.shape), seen.maps)


def test_in_a_branched_network_a_layer_goes_to_the_lab_alone_with_what_it_reads(
    branched: tuple[Network, nn.Module, Floats],
) -> None:
    network, _, x = branched
    kinds: set[str] = set()
    for layer in network.layers:
        if layer.kind not in kinds:
            kinds.add(layer.kind)
            seen = look(network, x, layer.name)
            if layer.kind == "ReLU6":
                with pytest.raises(RefusalError, match=rf"no layer that does what {layer.name} does: ReLU6"):
                    for_lab(network, seen)
                continue
            lab = for_lab(network, seen)
            assert_close(lab.stack.forward(lab.input)[lab.current].reshape(seen.maps.shape), seen.maps)
    assert {"Conv2d", "ReLU"} & kinds


class Residual(nn.Module):
    """Layers of many kinds, none of which follows plainly on the one before."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(
            [
                nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2),
                nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect", bias=False),
                nn.BatchNorm2d(4),
                nn.Tanh(),
                nn.AvgPool2d(3, 1, 1, count_include_pad=False),
                nn.MaxPool2d(3, 1, 1),
                nn.AdaptiveAvgPool2d(4),
            ]
        )
        self.fc = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in self.parts:
            y = part(x)
            x = x + y if y.shape == x.shape else y
        result: torch.Tensor = self.fc(x.flatten(1))
        return result


def test_every_kind_of_layer_goes_alone() -> None:
    torch.manual_seed(0)
    preprocessing = Preprocessing((8, 8), (0.0,) * 4, (1.0,) * 4)
    network = network_of("Residual", "torchvision", Residual(), preprocessing)
    assert network.chain is None
    for layer in network.layers:
        seen = look(network, noise((4, 8, 8)), layer.name)
        lab = for_lab(network, seen)
        assert_close(lab.stack.forward(lab.input)[lab.current].reshape(seen.maps.shape), seen.maps)
    assert [type(layer) for layer in lab.stack.layers] == [Flatten, Linear]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_regions_in_a_chain_are_those_of_its_stack(data: st.DataObject) -> None:
    stack = data.draw(st.sampled_from([tiny_stack(), norm_stack()]))
    network = chain(stack)
    index = data.draw(st.integers(0, len(stack.layers) - 1))
    shape = stack.shapes[index + 1]
    unit = tuple(data.draw(st.integers(0, size - 1)) for size in (*shape, 1, 1)[:3])
    found = regions(network, str(index), unit)
    assert [name for name, _ in found] == ["", *map(str, range(index))]
    position = unit[1:] if len(shape) == 3 else unit[:1]
    assert [region for _, region in found] == [stack.input_region(index, position, at) for at in range(-1, index)]


def test_regions_in_a_branched_network_leave_out_what_the_unit_does_not_see() -> None:
    network, _, _ = pair("squeezenet1_0")
    found = dict(regions(network, "features.3.expand3x3", (0, 2, 3)))
    assert "features.3.expand1x1" not in found
    assert [*found][:3] == ["", "features.0", "features.1"]
    assert found["features.3.squeeze"].rows == range(1, 4)
    assert found[""].rows == range(4, 23)
    with pytest.raises(IndexError):
        regions(network, "features.3.expand3x3", (0, 2, 300))
    with pytest.raises(IndexError):
        regions(network, "features.3.expand3x3", (2, 3))
    with pytest.raises(KeyError):
        regions(network, "features.300", (0, 0, 0))

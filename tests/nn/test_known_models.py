import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from convviz.nn.known_models import known_networks
from tests.nn.network_cases import known_network, random_state, weightless

MODELS = {
    "alexnet": "AlexNet",
    "convnext_tiny": "ConvNeXt_Tiny",
    "densenet121": "DenseNet-121",
    "efficientnet_b0": "EfficientNet_B0",
    "mnasnet1_3": "MNASNet-1_3",
    "mobilenet_v2": "MobileNet_V2",
    "mobilenet_v3_small": "MobileNet_V3_Small",
    "regnet_x_400mf": "RegNet_X_400MF",
    "resnet18": "ResNet-18",
    "shufflenet_v2_x0_5": "ShuffleNet_V2_X0_5",
    "squeezenet1_0": "SqueezeNet-1_0",
    "swin_v2_t": "Swin_V2_T",
    "vgg11": "VGG-11",
    "vgg16_bn": "VGG-16_BN",
    "vit_b_32": "ViT_B_32",
}


@pytest.mark.parametrize(("model", "name"), MODELS.items())
def test_models_are_told_by_names_and_shapes_whatever_the_order_and_the_classes(model: str, name: str) -> None:
    network = known_network(weightless(model))
    assert (network.name, network.origin) == (name, "torchvision")
    assert network.classes[0] == "tench"
    assert network.layers[0].shape[0] == network.module.get_submodule(network.layers[0].name).out_channels
    assert not any(tensor.is_meta for tensor in network.module.state_dict().values())
    other = known_network(dict(sorted(weightless(model, num_classes=7).items())))
    assert (other.name, other.classes, other.layers[-1].shape[0]) == (name, (), 7)


def test_each_model_has_its_own_preprocessing() -> None:
    shapes = {model: known_network(weightless(model)).input_shape for model in ("efficientnet_b1", "resnet18")}
    assert shapes == {"efficientnet_b1": (3, 240, 240), "resnet18": (3, 224, 224)}
    preprocessing = known_network(weightless("resnet18")).preprocessing
    assert (preprocessing.mean, preprocessing.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_the_network_is_that_of_torchvision_with_the_files_own_numbers() -> None:
    state = random_state("resnet18", num_classes=5)
    network, model = known_network(state), resnet18(num_classes=5).eval()
    model.load_state_dict(state)
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(network.module(x), model(x))
    assert network.module.get_parameter("conv1.weight").data_ptr() == state["conv1.weight"].data_ptr()


def test_other_precisions_become_single() -> None:
    state = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in random_state("resnet18").items()
    }
    module = known_network(state).module
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert torch.equal(module.get_parameter("fc.bias"), state["fc.bias"].float())


@pytest.mark.parametrize("model", ["googlenet", "inception_v3"])
def test_heads_for_learning_may_be_there_and_the_pixels_range_is_a_choice(model: str) -> None:
    bare = weightless(model, init_weights=False, aux_logits=False)
    for state in (bare, weightless(model, init_weights=False)):
        likely, other = known_networks(state)
        assert likely.module.transform_input
        assert not other.module.transform_input
        assert (likely.name + ", trained anew") == other.name
    assert not known_network(weightless(model, 5, init_weights=False)).module.transform_input


def test_old_names_and_missing_counters_do_no_harm() -> None:
    state = {
        name.replace("norm1", "norm.1").replace("conv2", "conv.2"): tensor
        for name, tensor in weightless("densenet121").items()
        if not name.endswith("num_batches_tracked")
    }
    network = known_network(state)
    assert network.name == "DenseNet-121"
    weights = {layer.name: layer.weight for layer in network.layers}
    assert weights["features.denseblock1.denselayer1.norm1"] == "features.denseblock1.denselayer1.norm.1.weight"


def small_resnet(channels: int, maxpool: nn.Module) -> nn.Module:
    model: nn.Module = resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(channels, 64, 3, padding=1, bias=False)
    model.maxpool = maxpool
    return model.eval()


@pytest.mark.parametrize("channels", [1, 3])
def test_resnets_for_small_pictures_are_told_by_their_first_convolution(channels: int) -> None:
    model = small_resnet(channels, nn.Identity())
    state = {
        name.replace("downsample", "shortcut").replace("fc.", "linear."): tensor
        for name, tensor in model.state_dict().items()
    }
    network, pooled = known_networks(state)
    assert network.name == "ResNet-18 for small pictures"
    assert network.input_shape == pooled.input_shape == (channels, 32, 32)
    assert network.layers[-1].weight == "linear.weight"
    x = torch.randn(1, channels, 32, 32)
    assert torch.equal(network.module(x), model(x))
    model.maxpool = nn.MaxPool2d(3, 2, 1)
    assert torch.equal(pooled.module(x), model(x))


def test_resnets_for_grey_pictures() -> None:
    model = resnet18(num_classes=3).eval()
    model.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    network = known_network(model.state_dict())
    assert network.input_shape == (1, 224, 224)
    x = torch.randn(1, 1, 64, 64)
    assert torch.equal(network.module(x), model(x))


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.pop("layer1.0.bn1.weight"),
        lambda state: state.update({"extra.weight": torch.zeros(3)}),
        lambda state: state.update({"layer1.0.conv1.weight": torch.zeros(64, 64, 9, 1)}),
        lambda state: state.update({"fc.weight": torch.zeros(1000, 512, 1)}),
        lambda state: state.update({"conv1.weight": torch.zeros(64, 5, 7, 7)}),
        lambda state: state.update({"conv1.weight": torch.zeros(())}),
        lambda state: state.update({"fc.bias": torch.zeros(())}),
        lambda state: state.clear(),
    ],
)
def test_nearly_right_is_not_right(change: object) -> None:
    state = weightless("resnet18")
    assert callable(change)
    change(state)
    assert list(known_networks(state)) == []

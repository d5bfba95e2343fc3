import threading

import pytest
import torch
from torch import nn

from convviz.core.dense import Flatten
from convviz.core.elementwise import Dropout
from convviz.core.layers import AvgPool2d, Conv2d
from convviz.core.refusal import RefusalError
from convviz.nn.network import Network, Preprocessing, network_of
from tests.nn.network_cases import TutorialNet, known_network, weightless


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.relu_1 = nn.Tanh()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu_1(self.relu(self.relu(self.conv(x)) - 1))  # type: ignore[no-any-return]


def block() -> Network:
    return network_of("Block", "torchvision", Block(), Preprocessing((4, 5), (0.5,), (0.5,)))


def test_layers_are_listed_as_they_run_once_for_each_use() -> None:
    assert [(layer.name, layer.kind, layer.shape, layer.weight) for layer in block().layers] == [
        ("conv", "Conv2d", (2, 4, 5), "conv.weight"),
        ("relu", "ReLU", (2, 4, 5), None),
        ("relu_2", "ReLU", (2, 4, 5), None),
        ("relu_1", "Tanh", (2, 4, 5), None),
    ]


def test_the_module_is_ready_to_be_looked_through() -> None:
    module = block().module
    assert not any(part.training or getattr(part, "inplace", False) for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_hook_sees_its_own_use_in_every_pass_of_its_own_thread() -> None:
    network, x = block(), torch.randn(1, 1, 4, 5)
    seen: list[torch.Tensor] = []
    with network.hook("relu_2", lambda before, after: seen.extend((before, after))):
        network.module(x)
        network.module(x)
        other = threading.Thread(target=network.module, args=(x,))
        other.start()
        other.join()
    network.module(x)
    before = network.module.get_submodule("conv")(x).relu() - 1
    assert len(seen) == 4
    assert all(torch.equal(tensor, before if index % 2 == 0 else before.relu()) for index, tensor in enumerate(seen))
    with pytest.raises(KeyError):
        network.hook("no such layer", lambda before, after: None)


def test_the_size_can_be_changed_where_the_network_takes_it() -> None:
    network = known_network(weightless("resnet18"))
    larger = network.with_preprocessing(Preprocessing((96, 64), (0.0,) * 3, (1.0,) * 3))
    assert larger.input_shape == (3, 96, 64)
    assert larger.module is network.module
    assert [layer.name for layer in larger.layers] == [layer.name for layer in network.layers]
    assert larger.layers[0].shape == (64, 48, 32)
    shifted = network.with_preprocessing(Preprocessing(network.preprocessing.size, (0.0,) * 3, (1.0,) * 3))
    assert shifted.graph is network.graph
    with pytest.raises(RefusalError, match="does not take pictures of 1×224×224"):
        network.with_preprocessing(Preprocessing((224, 224), (0.0,), (1.0,)))


def test_a_chain_says_which_sizes_it_does_not_take() -> None:
    tutorial = network_of("Tutorial", "preset", TutorialNet(), Preprocessing((32, 32), (0.5,) * 3, (0.5,) * 3))
    with pytest.raises(RefusalError, match=r"does not take pictures of 3×40×40\. It is left at 3×32×32\."):
        tutorial.with_preprocessing(Preprocessing((40, 40), (0.5,) * 3, (0.5,) * 3))


def test_networks_that_branch_or_compute_between_layers_are_no_chains() -> None:
    assert known_network(weightless("squeezenet1_0")).chain is None
    assert block().chain is None
    assert block().stack is None


def test_vgg_is_a_chain_with_its_flattening_and_its_pooling_of_single_cells() -> None:
    chain = known_network(weightless("vgg11")).chain
    assert chain is not None
    assert chain.names[-9:-5] == ("avgpool", None, "classifier.0", "classifier.1")
    assert chain.stack.layers[-9:-7] == (AvgPool2d(1), Flatten())
    assert chain.stack.num_parameters == 132_863_336 - sum(
        layer.out_channels for layer in chain.stack.layers if isinstance(layer, Conv2d)
    ) - (4096 + 4096 + 1000)  # a layer without numbers has no bias


def test_what_passes_its_input_on_is_dropout_in_the_chain() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Identity(), nn.Dropout(0.2), nn.ReLU())
    network = network_of("Chain", "proposed", module, Preprocessing((6, 6), (0.5,), (0.5,)))
    assert network.chain is not None
    assert network.chain.names == ("0", "1", "2", "3")
    assert network.chain.stack.layers[1:3] == (Dropout(0), Dropout(0.2))


def test_the_stack_has_the_weights() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3, bias=False))
    network = network_of("Chain", "proposed", module, Preprocessing((4, 4), (0.5,), (0.5,)))
    assert network.stack is not None
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    (expected,) = module.double()(x)
    assert torch.allclose(torch.tensor(network.stack.forward(x[0].numpy())[-1]), expected, rtol=1e-5, atol=1e-6)

import dataclasses

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from convviz.core.refusal import RefusalError
from convviz.nn.chain import ChainChoice, End, Pooling, Proposal, in_natural_order, parts_of, propose
from tests.nn.network_cases import State


def proposal_for(module: nn.Module) -> Proposal:
    return propose(parts_of(module.state_dict()))


def mnist_net() -> nn.Sequential:
    """The convolutions and linear layers of PyTorch's MNIST example, which reads 1×28×28."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(9216, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def test_the_likeliest_choice_makes_what_the_first_linear_layer_reads() -> None:
    module = mnist_net()
    proposal = proposal_for(module)
    assert proposal.names == ("0", "2", "6", "8")
    assert proposal.choices[0] == ChainChoice(28, padded=False, pooling="max", every=2)
    network = proposal.network(proposal.choices[0])
    assert (network.origin, network.input_shape) == ("proposed", (1, 28, 28))
    x = torch.randn(1, 1, 28, 28)
    assert torch.equal(network.module(x), module(x))
    assert [layer.weight for layer in network.layers if layer.weight] == [
        "0.weight",
        "2.weight",
        "6.weight",
        "8.weight",
    ]


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from([1, 3, 5])), min_size=1, max_size=3),
    st.sampled_from([28, 32, 64]),
    st.booleans(),
    st.sampled_from([("max", 1), ("max", 2), ("none", 1)]),
    st.sampled_from(["flatten", "avg"]),
)
def test_the_true_choice_gives_the_network_back(
    convs: list[tuple[int, int]], size: int, padded: bool, pooling: tuple[Pooling, int], end: End
) -> None:
    layers: list[nn.Module] = []
    channels = 3
    for number, (out_channels, kernel) in enumerate(convs, 1):
        layers += [nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2 if padded else 0), nn.ReLU()]
        if pooling[0] == "max" and number % pooling[1] == 0:
            layers.append(nn.MaxPool2d(2))
        channels = out_channels
    layers += [nn.AdaptiveAvgPool2d(1)] if end == "avg" else []
    try:
        features = nn.Sequential(*layers)(torch.zeros(1, 3, size, size)).numel()
    except RuntimeError:  # nothing is left of so small a picture
        assume(False)
    whole = nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 4))
    proposal = proposal_for(whole)
    x = torch.randn(1, 3, size, size)
    network = proposal.network(ChainChoice(size, padded, *pooling, end))
    assert torch.allclose(network.module(x), whole(x), atol=1e-6)
    assert size in [choice.size for choice in proposal.choices]
    assert proposal.network(proposal.choices[0]).layers[-1].shape == (4,)


def test_pooling_and_activation_are_the_users() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 5), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(784, 10))
    proposal = proposal_for(module)
    (choice,) = (each for each in proposal.choices if each.size == 32 and not each.padded and each.pooling == "max")
    network = proposal.network(dataclasses.replace(choice, pooling="avg", activation="tanh"))
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(network.module(x), module(x))
    with pytest.raises(RefusalError, match="do not fit one another"):
        proposal.network(dataclasses.replace(choice, size=40))
    with pytest.raises(RefusalError, match="do not fit one another"):
        proposal.network(dataclasses.replace(choice, size=3))
    with pytest.raises(RefusalError, match="do not fit one another"):
        proposal.network(dataclasses.replace(choice, size=0))


def test_normalisations_groups_and_a_missing_end_are_followed() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU()
    )
    proposal = proposal_for(module)
    network = proposal.network(ChainChoice(16, pooling="none"))
    x = torch.randn(1, 3, 16, 16)
    module.eval()
    assert torch.equal(network.module(x), module[:-1](x))


def test_an_uncommon_size_is_found() -> None:
    proposal = proposal_for(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2 * 51 * 51, 3)))
    assert [choice.size for choice in proposal.choices if choice.pooling == "none"] == [51, 53]


def test_numbers_in_names_of_any_kind_are_put_in_order() -> None:
    ordered = ["1.a", "2", "a2", "a2b", "a007", "a10", "a" + "9" * 5000, "a²"]
    parts = parts_of({f"{name}.weight": torch.zeros(2, 2) for name in reversed(ordered)})
    assert [part.name for part in in_natural_order(parts)] == ordered


def test_files_in_alphabetical_order_are_put_in_order() -> None:
    state = {
        "bn1": nn.BatchNorm2d(4),
        "bn2": nn.BatchNorm2d(6),
        "conv1": nn.Conv2d(3, 4, 3),
        "conv10": nn.Conv2d(6, 5, 3),
        "conv2": nn.Conv2d(4, 6, 3),
        "a_head": nn.Linear(5, 2),
    }
    parts = parts_of(dict(sorted(nn.ModuleDict(state).state_dict().items())))
    assert propose(parts).names == ("conv1", "bn1", "conv2", "bn2", "conv10", "a_head")


def one_by_one(name: str) -> State:
    return {f"{name}.weight": torch.zeros(2, 1, 1, 1)}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, "do not follow one another"),
        ({"fc.weight": torch.zeros(3, 4)}, "do not follow one another"),
        ({**one_by_one("a"), "b.weight": torch.zeros(2, 3, 1, 1)}, "do not follow one another"),
        ({**one_by_one("a"), "n.weight": torch.zeros(2)}, "“n” is neither"),
        ({**one_by_one("a"), "scale": torch.zeros(())}, "not named after layers"),
        ({**one_by_one("a"), "n" * 99 + ".weight": torch.zeros(2)}, "“n{20}…n{19}” is neither"),
        ({"a.weight": torch.zeros(2, 1, 1, 1, 1)}, "“a” is neither"),
        ({"lstm.weight_ih_l0": torch.zeros(8, 2), "lstm.weight_hh_l0": torch.zeros(8, 2)}, "“lstm” is neither"),
        ({"a.weight": torch.zeros(2, 5, 1, 1)}, "reads 5 channels; pictures have 1 or 3"),
        ({**one_by_one("a"), "f.weight": torch.zeros(2, 11)}, "makes the 11 numbers"),
        ({"a.weight": torch.zeros(0, 0, 1, 1)}, "“a” is neither"),
    ],
)
def test_what_is_no_chain_says_why(state: State, reason: str) -> None:
    with pytest.raises(RefusalError, match=reason):
        propose(parts_of(state))

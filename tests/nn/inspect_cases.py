"""Networks so small that all of them can be computed another way, and a watch over what must not change in one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from convviz.nn.build import build
from convviz.nn.network import Network, network_of, to_unit_range
from tests.nn.train_cases import tiny_stack


def tiny_network() -> Network:
    return network_of("tiny", "preset", build(tiny_stack()), to_unit_range((3, 8, 8)))


class Branches(nn.Module):
    """A module used twice, maps that others are added to in place, and a way that leads nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.other = nn.Conv2d(4, 4, 3)
        self.side = nn.Conv2d(4, 2, 1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.relu(self.conv(x))
        self.side(maps)
        more = self.other(maps)
        more += maps[:, :, 1:-1, 1:-1]
        return self.scores(more)

    def scores(self, sums: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.fc(self.relu(sums).mean(dim=(2, 3)))
        return scores


def branched_network() -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Branches()
    return network_of("branches", "torchvision", module, to_unit_range((3, 8, 8)))


@contextmanager
def untouched(network: Network) -> Iterator[None]:
    """Check that weights, mode, gradients and hooks of a network, and torch's random state, are as before."""

    def about() -> list[object]:
        parts = list(network.module.modules())
        parameters = list(network.module.parameters())
        return [
            [tensor.tolist() for tensor in network.module.state_dict().values()],
            [part.training for part in parts],
            [(parameter.requires_grad, parameter.grad) for parameter in parameters],
            [list(part._forward_hooks) for part in parts],
            torch.random.get_rng_state().tolist(),
        ]

    before = about()
    yield
    assert about() == before

"""Networks to look through, and models whose weights take no memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from convviz.nn.known_models import known_networks, make_skeleton
from convviz.nn.network import Network
from convviz.nn.recognise import Recognition, recognised
from tests.nn.steps import result_of

State = dict[str, torch.Tensor]


def recognition_of(state: State, document: object = None) -> Recognition:
    return result_of(recognised(state, document))


def only_network(state: State) -> Network:
    (network,) = recognition_of(state).networks
    return network


def known_network(state: State) -> Network:
    (network,) = known_networks(state)
    return network


def weightless(model: str, num_classes: int = 1000, **settings: object) -> State:
    """The state of one of torchvision's models in which every tensor is one number, repeated."""
    state: State = make_skeleton(model, num_classes, **settings).state_dict()
    return {name: torch.ones((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in state.items()}


def random_state(model: str, num_classes: int = 1000, **settings: object) -> State:
    """The state of one of torchvision's models with numbers that keep the maps at a middling size."""
    generator = torch.Generator().manual_seed(0)
    state: State = make_skeleton(model, num_classes, **settings).state_dict()
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif tensor.dim() > 1:
            fan_in = tensor[0].numel()
            state[name] = torch.empty(tensor.shape).uniform_(-1, 1, generator=generator) * (6 / fan_in) ** 0.5
        else:
            state[name] = torch.empty(tensor.shape).uniform_(0.5, 1.5, generator=generator)
    return state


class TutorialNet(nn.Module):
    """The weights of PyTorch's CIFAR-10 tutorial, with its names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(self.conv1(x).relu(), 2)
        x = nn.functional.max_pool2d(self.conv2(x).relu(), 2)
        x = self.fc1(x.flatten(1)).relu()
        logits: torch.Tensor = self.fc3(self.fc2(x).relu())
        return logits


def picture(shape: tuple[int, ...], seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

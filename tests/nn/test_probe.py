from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from convviz.core.control import StopToken
from convviz.core.layers import Conv2d
from convviz.nn.build import build
from convviz.nn.probe import Probe, probe
from convviz.nn.train import Trainer, train
from tests.nn.train_cases import SETTINGS, norm_stack, tiny_dataset, tiny_stack


def trainer_after(num_steps: int) -> Trainer:
    trainer = Trainer(norm_stack(), tiny_dataset(), SETTINGS)
    for _ in range(num_steps):
        trainer.step()
    return trainer


@pytest.mark.parametrize("layer_index", range(5))
def test_maps_are_what_the_stack_makes_of_the_picture(layer_index: int) -> None:
    stack, test = tiny_stack(), tiny_dataset().test
    seen = probe(build(stack), test, 7, layer_index)
    x = test.images[7] / np.float32(127.5) - 1
    outputs = stack.forward(x)
    expected = outputs[layer_index]
    np.testing.assert_allclose(seen.maps, expected.reshape(seen.maps.shape), rtol=1e-4, atol=1e-5)
    assert seen.maps.shape == (expected.shape if expected.ndim == 3 else (len(expected), 1, 1))
    odds = np.exp(outputs[-1] - outputs[-1].max())
    np.testing.assert_allclose(seen.probabilities, odds / odds.sum(), rtol=1e-4)
    assert seen.prediction == outputs[-1].argmax()
    assert seen.truth == test.labels[7]
    assert (seen.layer_index, seen.sample_index) == (layer_index, 7)
    np.testing.assert_array_equal(seen.picture, test.images[7])


def test_kernels_are_those_that_are_applied_and_belong_to_the_probe() -> None:
    stack = norm_stack()
    module = build(stack)
    seen = probe(module, tiny_dataset().test, 0, 0)
    [(index, weight)] = seen.kernels  # layer 3 is switched off
    first = stack.layers[0]
    assert isinstance(first, Conv2d)
    assert index == 0
    assert weight.dtype == np.float32
    np.testing.assert_array_equal(weight, first.applied_weight)
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    assert weight.any()


def test_a_look_leaves_mode_statistics_and_random_state_as_they_were() -> None:
    trainer = trainer_after(3)
    before = {name: tensor.clone() for name, tensor in trainer.module.state_dict().items()}
    state = torch.random.get_rng_state()
    probe(trainer.module, trainer.dataset.test, 1, 0)
    assert all(part.training for part in trainer.module.modules())
    assert torch.equal(torch.random.get_rng_state(), state)
    after = trainer.module.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    trainer.module.eval()
    probe(trainer.module, trainer.dataset.test, 1, 0)
    assert not trainer.module.training


def test_the_curve_is_the_same_bit_for_bit_whether_watched_or_not() -> None:
    curves = []
    for watched in (False, True):
        trainer = trainer_after(0)
        looks: list[Probe] = []
        for snapshot in train(trainer, StopToken()):
            if watched:
                step = snapshot.progress.step
                looks.append(probe(trainer.module, trainer.dataset.test, step % 15, step % len(trainer.module)))
        epochs = tuple(dataclasses.replace(epoch, seconds=0.0) for epoch in trainer.progress.epochs)
        curves.append((trainer.curve["loss"].tobytes(), trainer.curve["grad_norm"].tobytes(), epochs))
        assert bool(looks) == watched
    assert curves[0] == curves[1]


def test_what_is_not_there_is_named() -> None:
    module, test = build(tiny_stack()), tiny_dataset().test
    for sample, layer in ((-1, 0), (15, 0), (0, -1), (0, 5)):
        with pytest.raises(IndexError, match="There is no"):
            probe(module, test, sample, layer)
    assert module.training is False

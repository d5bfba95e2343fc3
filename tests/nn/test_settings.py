import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convviz.core.presets import PRESETS
from convviz.core.refusal import RefusalError
from convviz.nn.settings import DEVICES, OPTIMIZERS, RECOMMENDED, SCHEDULES, TrainSettings, scheduled

SETTINGS = st.builds(
    TrainSettings,
    optimizer=st.sampled_from(OPTIMIZERS),
    lr=st.floats(1e-6, 10),
    schedule=st.sampled_from(SCHEDULES),
    momentum=st.floats(0, 0.99),
    nesterov=st.booleans(),
    weight_decay=st.floats(0, 1),
    batch_size=st.integers(1, 1024),
    epochs=st.integers(1, 100),
    label_smoothing=st.floats(0, 0.5),
    seed=st.integers(0, 2**31 - 1),
    device=st.sampled_from(DEVICES),
    mixed_precision=st.booleans(),
    flip=st.booleans(),
    crop=st.integers(0, 8),
    cutout=st.integers(0, 16),
)


@given(SETTINGS)
def test_settings_come_back_from_json(settings: TrainSettings) -> None:
    assert TrainSettings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings


def test_what_is_missing_has_its_default() -> None:
    assert TrainSettings.from_dict({"epochs": 3}) == TrainSettings(epochs=3)


def test_whole_numbers_are_taken_for_rates_and_keep_their_type() -> None:
    settings = TrainSettings.from_dict({"lr": 1, "batch_size": 32.0})
    assert (type(settings.lr), type(settings.batch_size)) == (float, int)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"optimizer": "lion"}, "optimizer is lion; it must be one of sgd, adam, adamw."),
        ({"schedule": None}, "schedule is None; it must be one of constant, cosine, one-cycle."),
        ({"device": "tpu"}, "device is tpu; it must be one of auto, cpu, cuda, mps."),
        ({"lr": 0}, "lr is 0; it must be a number from 1e-09 to 1000."),
        ({"lr": math.nan}, "lr is nan; it must be a number from 1e-09 to 1000."),
        ({"lr": "fast"}, "lr is fast; it must be a number from 1e-09 to 1000."),
        ({"lr": True}, "lr is True; it must be a number from 1e-09 to 1000."),
        ({"momentum": 1}, "momentum is 1; it must be a number from 0 to 0.9999."),
        ({"epochs": 2.5}, "epochs is 2.5; it must be a whole number from 1 to 10000."),
        ({"epochs": math.inf}, "epochs is inf; it must be a whole number from 1 to 10000."),
        ({"seed": -1}, "seed is -1; it must be a whole number from 0 to 2147483647."),
        ({"flip": 1}, "flip is 1; it must be true or false."),
        ({"rate": 0.1}, "There is no setting rate; there are optimizer, lr, "),
        ([], "These are no settings of a training run."),
    ],
)
def test_other_values_are_refused_with_what_is_accepted(values: Any, words: str) -> None:
    with pytest.raises(RefusalError) as refused:
        TrainSettings.from_dict(values)
    assert str(refused.value).startswith(words)


def test_a_long_value_is_shown_in_part() -> None:
    with pytest.raises(RefusalError) as refused:
        TrainSettings(optimizer="x" * 10_000)
    assert len(str(refused.value)) < 120


def test_constant_rate() -> None:
    assert {scheduled(0.1, "constant", step, 50) for step in range(50)} == {0.1}


def test_cosine_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    for step in range(40):
        assert scheduled(0.3, "cosine", step, 40) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        oracle.step()


def test_one_cycle() -> None:
    rates = [scheduled(2.0, "one-cycle", step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[25] == max(rates) == pytest.approx(2.0)
    assert rates[-1] == pytest.approx(2.0 / 75)
    np.testing.assert_allclose(np.diff(rates[:26]), 1.8 / 25)
    np.testing.assert_allclose(np.diff(rates[25:]), -2.0 / 75)


@given(st.sampled_from(SCHEDULES), st.integers(1, 500))
def test_rates_are_positive_and_never_above_the_highest(schedule: str, num_steps: int) -> None:
    rates = [scheduled(1.0, schedule, step, num_steps) for step in range(num_steps)]
    assert min(rates) > 0
    assert max(rates) <= 1


def test_what_is_recommended_is_a_preset() -> None:
    assert RECOMMENDED.keys() <= PRESETS.keys()
    assert all(dataclasses.replace(settings) == settings for settings in RECOMMENDED.values())

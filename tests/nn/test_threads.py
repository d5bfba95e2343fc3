import os
import subprocess
import sys

import pytest
import torch

from convviz.core.control import StopToken
from convviz.nn import threads
from convviz.nn.threads import LEAST_WORK, num_threads, using_threads
from convviz.nn.train import Trainer, train
from tests.nn.train_cases import SETTINGS, tiny_dataset, tiny_stack


@pytest.mark.parametrize(("cores", "expected"), [(1, 1), (2, 2), (3, 2), (8, 7)])
def test_one_core_of_many_is_left_to_others(cores: int, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert num_threads(LEAST_WORK) == expected


def test_without_affinities_the_cores_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert num_threads(LEAST_WORK) == 3


def test_little_work_is_not_shared_out() -> None:
    assert num_threads(LEAST_WORK - 1) == 1


@pytest.mark.parametrize("expected", [1, 2])
def test_training_uses_them(expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "num_threads", lambda work: expected)
    next(train(Trainer(tiny_stack(), tiny_dataset(), SETTINGS), StopToken()))
    assert torch.get_num_threads() == expected


@pytest.mark.parametrize("before", [1, 2])
def test_a_look_uses_its_own_number_and_leaves_the_training_its(before: int) -> None:
    torch.set_num_threads(before)
    with using_threads(LEAST_WORK - 1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("given", "expected"), [({}, "1000"), ({"GOMP_SPINCOUNT": "5"}, "5")])
def test_the_wait_is_set_before_torch_is_imported(given: dict[str, str], expected: str) -> None:
    program = "import sys, os, convviz.nn; print('torch' in sys.modules, os.environ['GOMP_SPINCOUNT'])"
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    done = subprocess.run(
        [sys.executable, "-c", program], env={**environment, **given}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", expected]

import numpy as np
import pytest
import torch
from torch import nn

from convviz.core.control import StopToken
from convviz.nn import evaluation as module_under_test
from convviz.nn.build import build
from convviz.nn.data import Split
from convviz.nn.evaluation import Evaluation, evaluate
from tests.nn.train_cases import norm_stack, tiny_dataset


class Told(nn.Module):
    """Answers with the first column of pixels of channel 0, as logits."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scale * x[:, 0, :, 0]


def told(logits: list[list[int]], labels: list[int]) -> tuple[Split, Evaluation]:
    images = np.zeros((len(labels), 1, len(logits[0]), 1), np.uint8)
    images[:, 0, :, 0] = logits
    split = Split(images, np.array(labels))
    evaluation = evaluate(Told(), split, StopToken())
    assert evaluation is not None
    return split, evaluation


def test_known_answers() -> None:
    split, evaluation = told([[255, 0, 0], [255, 0, 0], [0, 255, 200], [0, 255, 0], [0, 0, 255]], [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(evaluation.predictions, [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(evaluation.confusion, [[2, 1, 0], [0, 1, 1], [0, 0, 0]])
    assert evaluation.confusion.dtype == np.int64
    assert evaluation.accuracy == 3 / 5
    np.testing.assert_array_equal(evaluation.class_accuracy, [2 / 3, 1 / 2, np.nan])
    np.testing.assert_array_equal(evaluation.mistakes(split.labels), [4, 2])  # the second is less sure


def test_loss_and_probabilities_are_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_under_test, "BATCH", 4)  # the last batch is smaller
    dataset = tiny_dataset()
    module = build(norm_stack()).train()
    evaluation = evaluate(module, dataset.test, StopToken())
    assert evaluation is not None
    assert module.training
    x = torch.from_numpy(dataset.test.images / 127.5 - 1).float()
    with torch.no_grad():
        logits = module.eval()(x)
    labels = torch.from_numpy(dataset.test.labels)
    assert evaluation.loss == pytest.approx(nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)
    np.testing.assert_allclose(evaluation.probabilities, logits.softmax(1).numpy(), rtol=1e-4, atol=1e-6)
    assert evaluation.confusion.sum() == len(dataset.test)


def test_running_statistics_stay() -> None:
    module = build(norm_stack()).train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    evaluate(module, tiny_dataset().test, StopToken())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_it_stops_when_asked() -> None:
    token = StopToken()
    token.request_stop()
    module = build(norm_stack()).train()
    assert evaluate(module, tiny_dataset().test, token) is None
    assert module.training

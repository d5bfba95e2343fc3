import numpy as np
import pytest
import torch

from convviz.core.control import StopToken
from convviz.core.presets import PRESETS
from convviz.nn.build import build
from convviz.nn.checkpoint import load_checkpoint
from convviz.nn.data import Split
from convviz.nn.evaluation import evaluate
from convviz.nn.shapes10 import draw
from convviz.resources import resource


@pytest.mark.parametrize(("name", "accuracy"), [("small_cnn", 0.7067), ("fast_cnn", 0.8635)])
def test_the_shipped_networks_are_the_presets_trained(name: str, accuracy: float) -> None:
    path = resource(f"weights/{name}.pt")
    assert path.stat().st_size < 2_000_000
    assert isinstance(torch.load(path, weights_only=True), dict)
    checkpoint = load_checkpoint(path)
    stack, preset = checkpoint.trained_stack(), PRESETS[name]()
    assert [layer.settings for layer in stack.layers] == [layer.settings for layer in preset.layers]
    assert max(epoch.test_accuracy for epoch in checkpoint.progress.epochs) == pytest.approx(accuracy)
    assert checkpoint.data.key == "cifar10-images"
    assert f"{accuracy:.2%}".replace("%", " %") in resource("weights/README.md").read_text(encoding="utf-8")
    labels = np.arange(20) % 10
    images = draw(labels, (32, 32), 3, np.random.default_rng(0))
    answers = evaluate(build(stack), Split(images, labels), StopToken())
    assert answers is not None
    assert answers.probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)

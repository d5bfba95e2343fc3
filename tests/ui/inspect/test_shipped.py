import pytest

from convviz.nn.checkpoint import load_checkpoint
from convviz.resources import resource
from convviz.ui.inspect.shipped import accuracies, shipped_names


def test_the_accuracies_are_those_of_the_checkpoints() -> None:
    for name, accuracy in accuracies().items():
        epochs = load_checkpoint(resource(f"weights/{name}.pt")).progress.epochs
        assert accuracy == pytest.approx(100 * max(epoch.test_accuracy for epoch in epochs), abs=0.005)


def test_every_shipped_network_is_named_with_its_accuracy() -> None:
    files = {path.stem for path in resource("weights").glob("*.pt")}
    assert files == accuracies().keys() == shipped_names().keys()
    assert shipped_names()["small_cnn"] == "Small CNN, CIFAR-10, 70.7 %"

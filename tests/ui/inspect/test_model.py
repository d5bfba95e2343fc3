from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from pytestqt.qtbot import QtBot
from torch import nn

import convviz.nn.data
import convviz.nn.patches
import convviz.nn.recognise
from convviz.core.control import StoppedError, StopToken
from convviz.core.refusal import RefusalError
from convviz.nn.cache import default_cache
from convviz.nn.recognise import Recognition
from convviz.nn.source import DataProgress, Steps
from convviz.nn.tensor_file import TensorFile
from convviz.ui.inspect.model import InspectModel
from convviz.ui.inspect.session import Cover, Question
from tests.ui.inspect.file_cases import opened, picture, saved, settled, tutorial, tutorial_state, until


@pytest.fixture
def tutorial_model(model: InspectModel, qtbot: QtBot, tmp_path: Path) -> InspectModel:
    return opened(qtbot, model, tutorial(tmp_path))


def layer_name(model: InspectModel) -> str:
    assert model.layer is not None
    return model.layer.name


def short_name(model: InspectModel) -> str:
    assert model.info is not None
    return model.info.short


def chosen(model: InspectModel, short: str) -> int:
    assert model.file is not None
    return [info.short for info in model.file.infos].index(short)


# ---- opening


def test_a_file_is_opened_with_its_network_and_looked_through(tutorial_model: InspectModel) -> None:
    model = tutorial_model
    assert model.network is not None
    assert model.network.name == "PyTorch tutorial CNN"
    assert short_name(model) == "conv1.weight"
    assert layer_name(model) == "0"
    assert model.picture is not None
    assert model.picture.name == "Tiny 0"
    assert model.seen is not None
    assert model.seen.look.maps.shape == (6, 28, 28)
    assert sorted(model.facts) == list(range(10))
    assert model.tensor is not None
    assert (model.tensor.values == tutorial_state()["conv1.weight"].numpy()).all()


def test_a_refused_file_leaves_everything_as_it_was(tutorial_model: InspectModel, qtbot: QtBot, tmp_path: Path) -> None:
    model = tutorial_model
    before = model.file, model.recognition, model.tensor, model.seen, dict(model.facts)
    (tmp_path / "text.pt").write_text("hello")
    with qtbot.waitSignal(model.failed, timeout=30_000) as caught:
        model.open(tmp_path / "text.pt")
    assert isinstance(caught.args[0], RefusalError)
    settled(qtbot, model)
    assert (model.file, model.recognition, model.tensor, model.seen, dict(model.facts)) == before
    assert not model.is_opening


def test_of_two_files_the_newer_one_is_open(model: InspectModel, qtbot: QtBot, tmp_path: Path) -> None:
    model.open(tutorial(tmp_path, "first.pt"))
    opened(qtbot, model, tutorial(tmp_path, "second.pt"))


def test_opening_can_be_cancelled(tutorial_model: InspectModel, qtbot: QtBot, tmp_path: Path) -> None:
    model = tutorial_model
    before = model.file
    model.open(tutorial(tmp_path, "other.pt"))
    assert model.is_opening
    model.cancel_opening()
    assert not model.is_opening
    settled(qtbot, model)
    assert model.file is before


def test_a_network_is_looked_for_again_after_a_cancel(
    model: InspectModel, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(_file: TensorFile, token: StopToken) -> Steps[Recognition]:
        while not token.stop_requested:
            yield DataProgress(0, 3, "Looking for the network")
        raise StoppedError

    with monkeypatch.context() as patch:
        patch.setattr(convviz.nn.recognise, "recognise", stuck)
        model.open(tutorial(tmp_path))
        until(qtbot, lambda: model.file is not None)
        assert model.is_opening
        model.cancel_opening()
        settled(qtbot, model)
    assert (model.recognition, model.network) == (None, None)
    model.recognise()
    settled(qtbot, model)
    assert model.network is not None


def test_another_file_takes_the_place_of_all_that_was_known(
    tutorial_model: InspectModel, qtbot: QtBot, tmp_path: Path
) -> None:
    model = tutorial_model
    model.choose_unit((0, 1, 1))
    settled(qtbot, model)
    opened(qtbot, model, saved(tmp_path / "other.pt", {"a": torch.ones(2), "b.weight": torch.zeros(1, 1, 2, 2)}))
    assert (model.network, model.seen, model.layer, model.unit, model.patches) == (None,) * 5
    assert sorted(model.facts) == [0, 1]
    assert short_name(model) == "b.weight"
    assert model.recognition is not None
    assert model.recognition.reason is not None


def test_an_empty_picture_of_facts_has_no_network_and_no_tensor(model: InspectModel) -> None:
    assert (model.file, model.info, model.layers, model.networks) == (None, None, (), ())
    model.choose_unit((0, 0, 0))
    model.open_in_lab()
    model.find_patches()
    assert not model.is_busy


# ---- networks


def test_of_several_networks_another_can_be_chosen(tutorial_model: InspectModel, qtbot: QtBot) -> None:
    model = tutorial_model
    assert [network.name for network in model.networks] == ["PyTorch tutorial CNN", "LeNet-5 for colour"]
    before = model.seen
    model.choose_network(1)
    settled(qtbot, model)
    assert model.network is model.networks[1]
    assert model.seen is not None
    assert before is not None
    assert (model.seen.look.probabilities != before.look.probabilities).any()


def test_a_plain_chain_is_confirmed(model: InspectModel, qtbot: QtBot, tmp_path: Path) -> None:
    chain = nn.Sequential(nn.Conv2d(1, 7, 3), nn.Conv2d(7, 9, 3), nn.Linear(9 * 5 * 5, 11))
    opened(qtbot, model, saved(tmp_path / "chain.pt", chain.state_dict()))
    assert model.network is None
    assert model.recognition is not None
    assert model.recognition.proposal is not None
    choice = next(each for each in model.recognition.proposal.choices if each.pooling == "max")
    model.confirm(dataclasses.replace(choice, activation="tanh"))
    settled(qtbot, model)
    assert model.network is not None
    assert [layer.kind for layer in model.layers].count("Tanh") == 2
    assert model.seen is not None
    assert model.seen.look.probabilities.shape == (11,)
    model.confirm(dataclasses.replace(choice, size=9))
    with qtbot.waitSignal(model.failed, timeout=30_000):
        pass
    assert model.network.origin == "proposed"


# ---- tensors


def test_tensor_and_layer_follow_each_other(tutorial_model: InspectModel, qtbot: QtBot) -> None:
    model = tutorial_model
    model.choose_tensor(chosen(model, "conv2.weight"))
    assert layer_name(model) == "3"
    model.choose_tensor(chosen(model, "fc1.bias"))
    assert layer_name(model) == "3"
    model.choose_layer("0")
    assert short_name(model) == "conv1.weight"
    model.choose_layer("1")
    assert short_name(model) == "conv1.weight"
    settled(qtbot, model)
    assert model.seen is not None
    assert model.seen.look.layer_name == "1"
    assert model.tensor is not None
    assert model.tensor.info is model.info


def test_two_files_are_compared_tensor_by_tensor(tutorial_model: InspectModel, qtbot: QtBot, tmp_path: Path) -> None:
    model = tutorial_model
    other = tutorial_state(1)
    del other["conv2.weight"]
    model.compare(saved(tmp_path / "other.pt", {"state_dict": other}))
    assert model.is_opening
    settled(qtbot, model)
    assert model.tensor is not None
    assert model.tensor.other is not None
    assert (model.tensor.other == other["conv1.weight"].numpy()).all()
    model.choose_tensor(chosen(model, "conv2.weight"))
    settled(qtbot, model)
    assert model.tensor.other is None
    assert model.other is not None
    model.choose_tensor(0)
    model.end_comparison()
    settled(qtbot, model)
    assert (model.other, model.tensor.other) == (None, None)


def test_the_facts_of_what_is_in_view_come_first(model: InspectModel, qtbot: QtBot, tmp_path: Path) -> None:
    order: list[int] = []
    model.file_changed.connect(lambda: model.prefer([7]))
    model.facts_changed.connect(order.extend)
    opened(qtbot, model, tutorial(tmp_path))
    assert sorted(set(order)) == list(range(10))
    assert set(order[: order.index(7) + 1]) <= {0, 7}


# ---- looking


def test_the_last_of_many_wishes_is_seen_and_some_on_the_way(tutorial_model: InspectModel, qtbot: QtBot) -> None:
    model = tutorial_model
    found: list[Cover | None] = []
    model.seen_changed.connect(lambda: found.append(model.seen.wanted.cover if model.seen is not None else None))
    covers = [Cover(top, 0, 4, 4) for top in range(20)]
    for cover in covers:
        model.set_cover(cover)
    settled(qtbot, model)
    assert found[-1] == covers[-1]
    assert found == sorted(found, key=covers.index)  # type: ignore[arg-type]  # all are covers
    assert len(found) < len(covers)


def test_a_unit_is_seen_with_its_value_and_what_it_sees(tutorial_model: InspectModel, qtbot: QtBot) -> None:
    model = tutorial_model
    model.choose_unit((2, 5, 6))
    settled(qtbot, model)
    assert model.seen is not None
    assert model.seen.value == model.seen.look.maps[2, 5, 6]
    assert model.seen.regions[0][1].rows == range(5, 10)
    model.choose_layer("3")
    assert model.unit is None


def test_preprocessing_that_does_not_fit_goes_back(tutorial_model: InspectModel, qtbot: QtBot) -> None:
    model = tutorial_model
    before = model.preprocessing
    assert before is not None
    with qtbot.waitSignal(model.failed, timeout=30_000):
        model.set_preprocessing(dataclasses.replace(before, size=(64, 64)))
    assert model.preprocessing == before
    model.set_preprocessing(dataclasses.replace(before, mean=(0.0,) * 3))
    settled(qtbot, model)
    assert model.seen is not None
    assert model.seen.network.preprocessing.mean == (0.0,) * 3


def test_a_picture_file_is_looked_at_and_no_picture_is_refused(
    tutorial_model: InspectModel, qtbot: QtBot, tmp_path: Path
) -> None:
    model = tutorial_model
    model.show_picture(picture(3))
    settled(qtbot, model)
    assert model.seen is not None
    assert (model.seen.read == picture(3).pixels).all()
    with qtbot.waitSignal(model.failed, timeout=30_000):
        model.load_picture(tmp_path / "gone.png", "gone.png")
    assert model.picture is not None
    assert model.picture.name == "picture 3"


def test_a_picture_stays_when_another_file_is_opened(
    tutorial_model: InspectModel, qtbot: QtBot, tmp_path: Path
) -> None:
    model = tutorial_model
    model.show_picture(picture(3))
    opened(qtbot, model, tutorial(tmp_path, "other.pt", seed=1))
    assert model.seen is not None
    assert (model.seen.read == picture(3).pixels).all()


# ---- what takes long


def test_strongest_patches_are_found_and_dropped_with_the_layer(
    tutorial_model: InspectModel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(convviz.nn.patches, "default_cache", lambda: tmp_path / default_cache().name)
    model = tutorial_model
    model.find_patches()
    assert model.is_working
    settled(qtbot, model)
    assert model.patches is not None
    assert len(model.patches.channels) == 6
    model.choose_layer("3")
    assert model.patches is None
    model.find_patches()
    model.cancel_work()
    settled(qtbot, model)
    assert (model.patches, model.work_progress) == (None, None)


@pytest.mark.parametrize("kind", ["grad_cam", "occlusion", "maximised"])
def test_an_attribution_answers_what_was_asked(tutorial_model: InspectModel, qtbot: QtBot, kind: str) -> None:
    model = tutorial_model
    question = Question(kind, 2)  # type: ignore[arg-type]  # one of the three
    model.ask(question)
    settled(qtbot, model)
    assert model.attribution is not None
    assert model.seen is not None
    assert model.attribution.question == question
    assert model.attribution.seen.look is model.seen.look
    assert model.attribution.progress is None
    assert np.isfinite(model.attribution.values).all()


def test_an_attribution_that_cannot_be_had_is_refused(tutorial_model: InspectModel, qtbot: QtBot) -> None:
    with qtbot.waitSignal(tutorial_model.failed, timeout=30_000):
        tutorial_model.ask(Question("occlusion", 2, side=0))
    assert not tutorial_model.is_working


def test_a_unit_is_prepared_for_the_lab(tutorial_model: InspectModel, qtbot: QtBot) -> None:
    model = tutorial_model
    model.choose_layer("3")
    model.choose_unit((4, 1, 2))
    settled(qtbot, model)
    with qtbot.waitSignal(model.lab_ready, timeout=30_000) as caught:
        model.open_in_lab()
    unit = caught.args[0]
    outputs = unit.for_lab.stack.forward(unit.for_lab.input)
    assert model.seen is not None
    assert outputs[unit.for_lab.current][unit.unit] == pytest.approx(model.seen.value, rel=1e-5)
    until(qtbot, lambda: not model.is_busy)


# ---- data sets


def test_a_chosen_data_set_is_looked_at(tutorial_model: InspectModel, qtbot: QtBot) -> None:
    model = tutorial_model
    model.show_sample(3)
    model.load_data("shapes10")
    until(qtbot, lambda: not model.is_loading_data)
    assert model.picture is not None
    assert model.picture.name == "Tiny 0"
    assert model.data_key == "shapes10"


def test_a_data_set_that_cannot_be_had_leaves_everything_as_it_was(
    tutorial_model: InspectModel, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tutorial_model
    before = model.picture, model.dataset, model.data_key

    def refuse(*_: object, **__: object) -> Steps[None]:
        raise RefusalError("gone")
        yield

    monkeypatch.setattr(convviz.nn.data, "load_dataset", refuse)
    with qtbot.waitSignal(model.failed):
        model.load_data("/nowhere")
    assert (model.picture, model.dataset, model.data_key) == before

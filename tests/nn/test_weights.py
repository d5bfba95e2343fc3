from typing import Any

import pytest
import torch

from convviz.nn import weights
from convviz.nn.weights import Found, TooManyPartsError, find_weights
from tests.nn.file_corpus import DEPTH, training


def flat(*names: str) -> dict[str, torch.Tensor]:
    return {name: torch.ones(2) for name in names}


def of_network(loaded: object) -> list[str]:
    return [found.short for found in find_weights(loaded) if found.of_network]


def kinds(loaded: object) -> dict[str, str]:
    return {found.name: found.kind for found in find_weights(loaded)}


NAMES = ["conv.weight", "conv.bias"]
SD = flat(*NAMES)
OTHER = flat("fc.weight", "fc.bias", "fc2.weight")


@pytest.mark.parametrize(
    "loaded",
    [
        SD,
        *({nest: SD, "epoch": 3, "best": torch.tensor(1.0)} for nest in weights.NESTS),
        {"Model": {"State_Dict": SD}},
        {"ema": OTHER, "state_dict": SD},
        {"model_ema": OTHER, "model": SD, "optimizer": {"state": {0: {"x": torch.ones(2)}}}},
        {"discriminator": OTHER, "generator": SD},
        {"unheard of": SD, "epoch": 3},
        {"state_dict": flat("module.conv.weight", "module.conv.bias")},
        flat("module._orig_mod.model.conv.weight", "module._orig_mod.model.conv.bias"),
        {"state_dict": {"conv": {"weight": torch.ones(2), "bias": torch.ones(2)}}},
        {"conv": {"weight": torch.ones(2), "bias": torch.ones(2)}},
        [SD],
    ],
    ids=lambda loaded: str(list(loaded))[:60],
)
def test_the_weights_are_found(loaded: object) -> None:
    assert of_network(loaded) == NAMES


@pytest.mark.parametrize(
    ("loaded", "names"),
    [
        (flat("module.a.weight", "b.weight"), ["module.a.weight", "b.weight"]),
        (flat("net.weight"), ["weight"]),
        (flat("net."), ["net."]),
        ({"encoder": flat("a.weight"), "decoder": flat("a.weight")}, ["encoder.a.weight", "decoder.a.weight"]),
        (
            {**flat("a.weight", "b.weight", "c.weight"), "model": SD},
            ["a.weight", "b.weight", "c.weight", *map("model.{}".format, NAMES)],
        ),
        ({"a": SD, "b": SD}, ["a.conv.weight", "a.conv.bias", "b.conv.weight", "b.conv.bias"]),
        (torch.ones(3), ["tensor"]),
        ([torch.ones(3), (torch.ones(2),)], ["0", "1.0"]),
        ({0: torch.ones(1), None: torch.ones(1), (1, 2): torch.ones(1)}, ["0", "None", "(2)"]),
        ({"epoch": 3, "name": "x"}, []),
    ],
    ids=str,
)
def test_names_stay_where_they_are_no_nests(loaded: object, names: list[str]) -> None:
    assert of_network(loaded) == names


def test_kinds_are_told_apart() -> None:
    found = kinds(training())
    assert found["state_dict.module.0.weight"] == found["ema.0.weight"] == "weight"
    assert found["state_dict.module.1.running_mean"] == found["ema.1.num_batches_tracked"] == "buffer"
    assert found["optimizer.state.0.exp_avg"] == found["optimizer.state.0.step"] == "optimizer"
    assert found["rng"] == found["best"] == "other"


@pytest.mark.parametrize(
    ("loaded", "kind"),
    [
        ({"weight": torch.ones(2, dtype=torch.int8)}, "weight"),
        ({"ids": torch.ones(2, dtype=torch.int64)}, "buffer"),
        ({"mask": torch.ones(2, dtype=torch.bool)}, "buffer"),
        ({"gamma": torch.ones(2, dtype=torch.bfloat16)}, "weight"),
        ({"fc.exp_avg": torch.ones(2)}, "optimizer"),
        ({"g_opt": {"weight": torch.ones(2)}}, "optimizer"),
        ({"optimal": {"a.weight": torch.ones(2)}}, "weight"),
        ({"AdamW": {"state": {0: torch.ones(2)}, "param_groups": []}}, "optimizer"),
        ({"optimizers": [{"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": []}]}, "optimizer"),
        ({"opt.weight": torch.ones(2)}, "weight"),
    ],
    ids=str,
)
def test_kind(loaded: object, kind: str) -> None:
    assert list(kinds(loaded).values()) == [kind]


def test_a_part_within_itself_is_entered_once() -> None:
    endless: dict[str, Any] = {"weight": torch.ones(1)}
    endless["again"] = [endless, (endless,)]
    assert kinds(endless) == {"weight": "weight"}


def test_sharing_cannot_fill_the_memory() -> None:
    many: object = [torch.ones(1)]
    for _ in range(100):
        many = [many, many]
    with pytest.raises(TooManyPartsError):
        find_weights(many)


def test_no_depth_is_too_deep() -> None:
    deep: object = torch.ones(1)
    for _ in range(DEPTH):
        deep = {"a": deep}
    (found,) = find_weights(deep)
    assert found.name == ".".join("a" * DEPTH)


def test_shared_names_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "MOST_TEXT", 1000)
    with pytest.raises(TooManyPartsError):
        find_weights({"x" * 300: {index: torch.ones(1) for index in range(4)}})


def test_gradients_and_attributes_are_left_behind() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.detach = "hidden"  # type: ignore[assignment,method-assign]
    (found,) = find_weights({"weight": parameter})
    assert isinstance(found, Found)
    assert not found.tensor.requires_grad
    assert found.tensor.detach().equal(torch.ones(2))
    assert found.tensor.data_ptr() == parameter.data_ptr()

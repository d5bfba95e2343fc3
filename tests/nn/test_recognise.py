import pytest
import torch
from torch import nn

from convviz.core.control import StoppedError, StopToken
from convviz.core.presets import PRESETS
from convviz.core.stack import Stack
from convviz.core.stack_file import to_json
from convviz.nn.build import build
from convviz.nn.checkpoint import FORMAT
from convviz.nn.recognise import PRESET_NAMES, RECOGNISING, recognised
from convviz.resources import resource
from tests.nn.network_cases import State, TutorialNet, only_network, random_state, recognition_of, weightless
from tests.nn.steps import followed
from tests.nn.train_cases import norm_stack, tiny_stack


def document(stack: Stack) -> dict[str, object]:
    """What the program writes beside the tensors, as far as it matters."""
    data = {"key": "tiny", "name": "Tiny", "classes": ["red", "green", "blue"], "fingerprint": ""}
    return {"format": FORMAT, "version": 1, "stack": to_json(stack, geometry_only=True), "data": data}


@pytest.mark.parametrize("stack", [tiny_stack(), norm_stack()], ids=["tiny", "norm"])
def test_a_checkpoint_says_itself_what_it_is(stack: Stack) -> None:
    module = build(stack)
    (network,) = recognition_of(module.state_dict(), document(stack)).networks
    assert (network.name, network.origin) == ("Network of this checkpoint", "checkpoint")
    assert network.classes == ("red", "green", "blue")
    assert network.preprocessing.mean == network.preprocessing.std == (0.5, 0.5, 0.5)
    assert network.layers[0].weight == "0.weight"
    x = torch.randn(1, *stack.input_shape)
    assert torch.equal(network.module(x), module(x))


@pytest.mark.parametrize(("key", "name"), [("small_cnn", "Small CNN"), ("fast_cnn", "Fast CNN")])
def test_the_shipped_networks_are_recognised(key: str, name: str) -> None:
    content = torch.load(resource(f"weights/{key}.pt"), weights_only=True)
    (network,) = recognition_of(content["state_dict"], content).networks
    assert (network.name, network.origin, len(network.classes)) == (name, "checkpoint", 10)
    bare = only_network(content["state_dict"])
    assert (bare.name, bare.origin, bare.classes) == (name, "preset", ())


@pytest.mark.parametrize(
    "changes",
    [
        {"stack": "no stack"},
        {"stack": None},
        {"stack": to_json(Stack((1, 10**6, 1), []))},
        {"data": None},
        {"data": {}},
        {"stack": to_json(norm_stack(), geometry_only=True)},
        {"format": "convviz stack"},
    ],
)
def test_a_damaged_checkpoint_may_still_be_known_by_its_shapes(changes: dict[str, object]) -> None:
    stack = PRESETS["small_cnn"]()
    damaged = {**document(stack), **changes}
    (network,) = recognition_of(build(stack).state_dict(), damaged).networks
    assert (network.name, network.origin) == ("Small CNN", "preset")


def test_where_the_shapes_fit_several_the_likeliest_is_first() -> None:
    module = TutorialNet()
    tutorial, lenet = recognition_of(module.state_dict()).networks
    assert (tutorial.name, lenet.name) == ("PyTorch tutorial CNN", "LeNet-5 for colour")
    assert [layer.weight for layer in tutorial.layers if layer.weight] == [
        f"{name}.weight" for name in ("conv1", "conv2", "fc1", "fc2", "fc3")
    ]
    x = torch.randn(1, 3, 32, 32)
    assert torch.equal(tutorial.module(x), module(x))
    assert not torch.equal(lenet.module(x), module(x))


def test_presets_are_told_by_their_shapes_alone() -> None:
    for key in ("four_layers", "dilations", "lenet5", "tutorial_cnn", "small_cnn", "fast_cnn", "resnet50_main_path"):
        module = build(PRESETS[key]())
        renamed = {f"net.part{name}": tensor for name, tensor in module.state_dict().items()}
        network = recognition_of(renamed).networks[0]
        assert (network.name, network.origin) == (PRESET_NAMES[key], "preset")
        assert torch.equal(network.module.get_parameter("0.weight"), module.get_parameter("0.weight"))


def test_every_preset_has_a_name() -> None:
    assert PRESET_NAMES.keys() == PRESETS.keys()


def test_the_order_in_the_file_need_not_be_that_of_running() -> None:
    module = build(PRESETS["fast_cnn"]())
    names = dict(zip([name.partition(".")[0] for name in module.state_dict()], range(100), strict=False))
    assert len(names) == 13
    kinds = {nn.Conv2d: "conv", nn.BatchNorm2d: "bn", nn.Linear: "fc"}
    counts = dict.fromkeys(kinds.values(), 0)
    renamed: State = {}
    for index, part in enumerate(module):
        if type(part) in kinds:
            kind = kinds[type(part)]
            counts[kind] += 1
            for name, tensor in part.state_dict().items():
                renamed[f"{kind}{counts[kind]}.{name}"] = tensor + index
                if name == "num_batches_tracked":
                    del renamed[f"{kind}{counts[kind]}.{name}"]
    network = only_network(dict(sorted(renamed.items(), reverse=True)))
    assert network.name == "Fast CNN"
    for layer in network.layers:
        if layer.weight:
            assert torch.equal(network.module.get_parameter(f"{layer.name}.weight"), renamed[layer.weight])


def test_a_plain_chain_is_proposed() -> None:
    recognition = recognition_of(nn.Sequential(nn.Conv2d(3, 4, 5), nn.Flatten(), nn.Linear(784, 2)).state_dict())
    assert recognition.networks == ()
    assert recognition.proposal is not None
    assert recognition.proposal.names == ("0", "2")
    assert recognition.reason is None


def test_torchvisions_models_are_recognised() -> None:
    network = only_network(random_state("squeezenet1_1", num_classes=10))
    assert (network.name, network.origin) == ("SqueezeNet-1_1", "torchvision")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({}, "do not follow one another"),
        ({f"layer{index}.{name}": torch.zeros(4, 4) for index in range(150) for name in "qk"}, "“layer0” is neither"),
        (nn.LSTM(4, 4).state_dict(), "not named after layers"),
        (nn.TransformerEncoderLayer(4, 2, 4).state_dict(), "“self_attn” is neither"),
        ({"a.weight": torch.zeros(1, 1, 1, 1, dtype=torch.complex64)}, "sparse or complex"),
        ({"a.weight": torch.zeros(2, 2).to_sparse()}, "sparse or complex"),
        ({"a.weight": torch.zeros(1, 3, 3, 3, device="meta")}, "have no numbers"),
        ({"": torch.zeros(3)}, "not named after layers"),
        (weightless("resnet18"), "repeat the same few numbers"),
        ({"a.weight": torch.zeros(1, 1, 1, 1).expand(2, 3, 9, 9)}, "repeat the same few numbers"),
        ({"a.weight": torch.zeros(2, 1, 3, 3), "a.bias": torch.zeros(3)}, "“a” is neither"),
        ({"a.weight": torch.zeros(2, 0, 3, 3)}, "“a” is neither"),
        ({**nn.BatchNorm2d(2).state_dict(), "more": torch.zeros(2)}, "not named after layers"),
        ({"\u202e.{layer}.weight": torch.zeros(3)}, "“\u202e.{layer}” is neither"),
    ],
)
def test_what_is_not_known_has_a_reason(state: State, reason: str) -> None:
    recognition = recognition_of(state)
    assert recognition.networks == ()
    assert recognition.proposal is None
    assert str(recognition.reason).startswith("Its network is not known; the filters can be looked at.")
    assert reason in str(recognition.reason)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")  # files have such tensors all the same
@pytest.mark.parametrize("kind", ["int64", "bfloat16", "qint8"])
def test_all_numbers_become_single_precision(kind: str) -> None:
    numbers = torch.arange(4.0).reshape(1, 1, 2, 2)
    dtype = getattr(torch, kind)
    weight = torch.quantize_per_tensor(numbers, 0.5, 0, dtype) if kind == "qint8" else numbers.to(dtype)
    proposal = recognition_of({"0.weight": weight}).proposal
    assert proposal is not None
    module = proposal.network(proposal.choices[0]).module
    assert torch.equal(module.state_dict()["0.weight"], numbers)


def test_progress_is_told_and_stopping_possible() -> None:
    state = TutorialNet().state_dict()
    _, progress = followed(recognised(state))
    assert [(each.done, each.total, each.what) for each in progress] == [(done, 3, RECOGNISING) for done in range(3)]
    token = StopToken()
    steps = recognised(state, token=token)
    next(steps)
    token.request_stop()
    with pytest.raises(StoppedError):
        next(steps)

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from convviz.core.receptive_field import Region
from convviz.core.refusal import RefusalError
from convviz.core.stack import INPUT, Stack
from convviz.core.window import ShapeError
from convviz.nn.build import build
from convviz.nn.graph import MAPS, graph_of
from convviz.nn.known_models import make_skeleton
from tests.core.stack_cases import stacks

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch's own remark


@settings(max_examples=150)
@given(stacks(), st.data())
def test_in_a_chain_regions_are_those_of_the_stack(stack: Stack, data: st.DataObject) -> None:
    try:
        module = build(stack)
    except ShapeError:
        assume(False)
    indices = [index for index, shape in enumerate(stack.shapes[1:]) if len(shape) == 3]
    assume(indices)
    graph = graph_of(module, stack.input_shape)
    assert [graph.nodes[call.node].shape[1:] for call in graph.calls] == list(stack.shapes[1:])
    index = data.draw(st.sampled_from(indices))
    _, height, width = stack.shapes[index + 1]
    position = data.draw(st.tuples(st.integers(0, height - 1), st.integers(0, width - 1)))
    found = graph.regions(graph.calls[index].node, position)
    for at in range(INPUT, index + 1):
        if len(stack.shapes[at + 1]) == 3:
            node = 0 if at == INPUT else graph.calls[at].node
            expected = stack.input_region(index, position, at)
            assert found[node].rows == expected.rows
            assert found[node].cols == expected.cols
            if expected.real_rows and expected.real_cols:
                assert found[node] == expected
            else:
                assert not (found[node].real_rows and found[node].real_cols)


def opened(module: nn.Module) -> nn.Module:
    """The model with every way from input to output open: positive weights, averages, nothing shut; float64."""
    for path, part in [*module.named_modules()]:
        replacement: nn.Module | None = None
        if isinstance(part, nn.ReLU | nn.ReLU6 | nn.BatchNorm2d):
            replacement = nn.Identity()
        elif isinstance(part, nn.MaxPool2d):
            replacement = nn.AvgPool2d(part.kernel_size, part.stride, part.padding, part.ceil_mode)
        if replacement is not None:
            parent, _, name = path.rpartition(".")
            setattr(module.get_submodule(parent), name, replacement)
    one = torch.ones((), dtype=torch.float64)
    state = module.state_dict()
    state.update({name: one.expand(tensor.shape) for name, tensor in state.items()})
    module.load_state_dict(state, assign=True)
    return module.requires_grad_(False)


def hull(gradient: torch.Tensor) -> tuple[range, range]:
    rows, cols = (gradient[0] != 0).any(dim=0).nonzero().T.numpy()
    return range(rows.min(), rows.max() + 1), range(cols.min(), cols.max() + 1)


SETTINGS: dict[str, dict[str, object]] = {"googlenet": {"aux_logits": False, "init_weights": False}}
CASES = [
    ("resnet18", 224, "layer2.1.conv2", "layer1.0.conv1"),
    ("resnet18", 128, "layer3.0.downsample.0", "layer2.0.conv1"),
    ("resnet50", 96, "layer2.0.conv3", "layer1.1.conv2"),
    ("vgg11", 224, "features.13", "features.6"),
    ("alexnet", 224, "features.10", "features.3"),
    ("squeezenet1_0", 96, "features.7.expand3x3", "features.4.squeeze"),
    ("densenet121", 96, "features.transition2.conv", "features.denseblock1.denselayer3.conv2"),
    ("mobilenet_v2", 64, "features.5.conv.1.0", "features.3.conv.0.0"),
    ("shufflenet_v2_x0_5", 96, "stage3.1.branch2.3", "stage2.2.branch2.0"),
    ("googlenet", 96, "inception4a.branch3.1.conv", "inception3a.branch2.0.conv"),
    ("mnasnet0_5", 96, "layers.9.1.layers.3", "layers.8.1.layers.0"),
]


@pytest.mark.parametrize(("model", "side", "layer", "earlier"), CASES)
def test_regions_are_where_the_gradient_is(model: str, side: int, layer: str, earlier: str) -> None:
    module = make_skeleton(model, 5, **SETTINGS.get(model, {})).eval()
    graph = graph_of(module, (3, side, side))
    module = opened(module)
    calls = {call.path: call for call in graph.calls}
    x = torch.ones(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    maps, earlier_maps = outputs_until(module, x, layer, earlier)
    _, _, height, width = maps.shape
    for i, j in ((0, 0), (height // 2, width // 3)):
        found = graph.regions(calls[layer].node, (i, j))
        gradients = torch.autograd.grad(maps[0, 0, i, j], (x, earlier_maps), retain_graph=True)
        for node, gradient in zip((0, calls[earlier].node), gradients, strict=True):
            assert (found[node].real_rows, found[node].real_cols) == hull(gradient)


class ReachedError(Exception):
    """Ends a forward pass where the rest is not needed."""


def outputs_until(module: nn.Module, x: torch.Tensor, layer: str, earlier: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What two layers make of `x`, the later one first."""
    outputs: dict[str, torch.Tensor] = {}

    def keep(path: str) -> None:
        def hook(_module: nn.Module, _args: object, output: torch.Tensor) -> None:
            outputs[path] = output
            if path == layer:
                raise ReachedError

        module.get_submodule(path).register_forward_hook(hook)

    keep(earlier)
    keep(layer)
    with pytest.raises(ReachedError):
        module(x)
    return outputs[layer], outputs[earlier]


def test_whoever_mixes_everything_sees_everything() -> None:
    graph = graph_of(make_skeleton("mobilenet_v3_small", 5).eval(), (3, 64, 64))
    squeezed = next(call for call in graph.calls if call.path == "features.1.block.1.avgpool")
    scaled = next(call for call in graph.calls if call.path == "features.1.block.2.0")
    assert graph.regions(squeezed.node, (0, 0))[0].real_rows == range(64)
    assert graph.regions(scaled.node, (5, 5))[squeezed.source].real_rows == range(16)
    assert graph.regions(squeezed.source, (5, 5))[0].real_rows == range(17, 24)


class Branching(nn.Module):
    """One way is shifted against the other, and a third is read channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.near = nn.Conv2d(1, 2, 1)
        self.far = nn.Conv2d(1, 2, 3, dilation=4, padding=4)
        self.mix = nn.Linear(2, 2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last = self.mix(self.relu(self.near(x)).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        both = torch.cat([last, self.far(x)[:, :1]], dim=1)
        result: torch.Tensor = self.relu(both)
        return result


def test_ways_are_joined_and_channels_followed() -> None:
    graph = graph_of(Branching().eval(), (1, 20, 20))
    assert [(call.path, call.use) for call in graph.calls] == [
        ("near", 0),
        ("relu", 0),
        ("mix", 0),
        ("far", 0),
        ("relu", 1),
    ]
    near, _, mix, far, relu = (call.node for call in graph.calls)
    assert graph.nodes[mix].cells == (1, 2)
    assert graph.nodes[relu].cells == MAPS
    found = graph.regions(relu, (2, 10))
    assert found[near] == found[far] == Region(range(2, 3), range(10, 11), range(2, 3), range(10, 11))
    assert found[0] == Region(range(-2, 7), range(6, 15), range(7), range(6, 15))


class Refusing(nn.Module):
    def __init__(self, result: object) -> None:
        super().__init__()
        self.result = result

    def forward(self, x: torch.Tensor) -> object:
        return self.result


@pytest.mark.parametrize("module", [nn.Conv2d(1, 1, 3), nn.Linear(7, 2), nn.LSTM(4, 2), nn.Embedding(3, 3)], ids=repr)
def test_what_takes_no_such_picture_is_refused(module: nn.Module) -> None:
    with pytest.raises(RefusalError, match="does not take pictures of 3×8×8"):
        graph_of(module, (3, 8, 8))


@pytest.mark.parametrize("result", [None, (1, 2), torch.zeros(1, 2)], ids=repr)
def test_results_that_do_not_come_from_the_picture_are_refused(result: object) -> None:
    with pytest.raises(RefusalError, match="none that depends on the picture"):
        graph_of(Refusing(result), (3, 8, 8))


def test_the_module_is_left_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(inplace=True))
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    graph_of(module, (1, 5, 5))
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())

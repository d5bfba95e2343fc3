import contextlib
import io

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from convviz.core.explain import FloatArray
from convviz.core.inputs import make_input
from convviz.core.layers import Conv2d
from convviz.core.presets import PRESETS, four_layers
from convviz.core.pytorch_code import as_pytorch
from convviz.core.stack import INPUT, Stack
from tests.core.stack_cases import inputs_of, stacks

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch's own remark


def printed(code: str) -> float:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(code, {})
    return float(output.getvalue())


def check(stack: Stack, x: FloatArray, layer_index: int, position: tuple[int, ...], tolerance: float = 1e-9) -> None:
    shown = stack.forward(x)[layer_index][position]
    assert printed(as_pytorch(stack, x, layer_index, position)) == pytest.approx(shown, rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("name", ["four_layers", "dilations", "lenet5", "tutorial_cnn", "small_cnn"])
def test_presets(name: str) -> None:
    stack = PRESETS[name]()
    channels, *size = stack.input_shape
    x = make_input("letter", (size[0], size[1]), channels=channels)
    for index, shape in enumerate(stack.shapes[1:]):
        check(stack, x, index, tuple(length // 2 for length in shape))


@pytest.mark.parametrize(
    ("name", "layers", "size"), [("alexnet", 13, 67), ("vgg16", 31, 32), ("resnet50_main_path", 148, 32)]
)
def test_large_presets_on_a_small_input(name: str, layers: int, size: int) -> None:
    whole = PRESETS[name]()
    stack = Stack((3, size, size), whole.layers[:layers])
    x = np.random.default_rng(0).random((3, size, size), dtype=np.float32)
    for index in (0, len(stack.layers) - 1):
        check(stack, x, index, (0, 0, 0), tolerance=1e-5)


@settings(max_examples=60)
@given(stacks(), st.data())
def test_any_stack(stack: Stack, data: st.DataObject) -> None:
    assume(len(stack.shapes) > 1)
    index = data.draw(st.integers(0, len(stack.shapes) - 2))
    position = tuple(data.draw(st.integers(0, size - 1)) for size in stack.shapes[index + 1])
    check(stack, inputs_of(stack), index, position)


def test_the_whole_program() -> None:
    stack = Stack((1, 2, 2), [Conv2d(1, 1, 2, padding=1, flip=True, weight=[[[[0, 1], [2, 3]]]])])
    assert as_pytorch(stack, [[[1, 2], [3, 4]]], 0, (0, 1, 1)) == (
        "import torch\n"
        "from torch import nn\n"
        "\n"
        "x = torch.tensor([[[1.0, 2.0],\n"
        "    [3.0, 4.0]]], dtype=torch.float64)\n"
        "model = nn.Sequential(\n"
        "    nn.Conv2d(1, 1, 2, padding=1, bias=False),\n"
        ").to(x.dtype).eval()\n"
        "with torch.no_grad():\n"
        "    model[0].weight.copy_(torch.tensor([[[[0.0, 1.0],\n"
        "    [2.0, 3.0]]]], dtype=torch.float64).flip(2, 3))\n"
        "    output = model(x[None])[0]\n"
        "print(output[0, 1, 1].item())\n"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e-300, 1 / 3])
def test_numbers_are_exact(value: float) -> None:
    for size in (2, 40):
        stack, x = Stack((1, size, size)), np.full((1, size, size), value)
        x[0, 0, 0] = 5
        np.testing.assert_equal(printed(as_pytorch(stack, x, INPUT, (0, 1, 1))), value)


def test_layers_switched_off_pass_their_input_on() -> None:
    stack = four_layers().switch(0, on=False)
    check(stack, make_input("letter", (12, 12)), 3, (0, 2, 1))


def test_large_programs_stay_short() -> None:
    stack = PRESETS["vgg16"]()
    x = np.zeros(stack.input_shape, dtype=np.float32)
    x[0, 0, 0] = 0.5
    assert len(as_pytorch(stack, x, len(stack.layers) - 1, (999,))) < 1.5 * x.nbytes


def test_cells_that_are_not_there() -> None:
    stack = four_layers()
    x = make_input("letter", (12, 12))
    for layer, position in ((4, (0, 0, 0)), (-2, (0, 0, 0)), (3, (0, 0, 3)), (3, (0,))):
        with pytest.raises(IndexError, match="There is no"):
            as_pytorch(stack, x, layer, position)

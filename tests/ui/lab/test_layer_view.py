from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from convviz.core.dense import Flatten, Linear
from convviz.core.elementwise import ReLU
from convviz.core.layers import Conv2d, Layer
from convviz.core.numbers import NumberError, format_number, format_table
from convviz.core.presets import PRESETS
from convviz.core.stack import Stack
from convviz.ui import theme
from convviz.ui.lab import compute
from convviz.ui.lab import state as lab
from convviz.ui.lab.layer_text import LAYER_KINDS
from convviz.ui.lab.layer_view import LayerView
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.snapshot import Cell
from tests.ui.lab.driving import (
    LEFT,
    MISFIT,
    TWO_LAYERS,
    Key,
    at,
    click,
    click_map,
    kernel_of,
    open_stack,
    press,
    random_conv,
    sobel,
    step_of,
    texts,
    use_conv,
    wait_for_threads,
)

BRUSH = 6.0


@pytest.fixture
def model(qapp: QApplication) -> LabModel:
    return LabModel(lab.initial_state())


@pytest.fixture
def view(qtbot: QtBot, light: QApplication, model: LabModel) -> LayerView:
    """The view of the first layer, shown and active."""
    view = LayerView(model, lambda: BRUSH)
    qtbot.addWidget(view)
    view.resize(1000, 700)
    with qtbot.waitActive(view):
        view.show()
        view.activateWindow()
    return view


@pytest.fixture
def said(view: LayerView) -> Callable[[], str]:
    """Return what the view said last."""
    lines = [""]
    view.said.connect(lines.append)
    return lambda: lines[-1]


def shown_input(view: LayerView) -> lab.Array:
    """The numbers of the input grid, without the padding."""
    content = view.canvas.input.grid.content
    (top, left), (height, width) = content.origin, content.real_size
    inside: lab.Array = content.values[-top : height - top, -left : width - left].astype(np.float64)
    return inside


def linear_stack() -> Stack:
    weight = np.arange(24.0).reshape(4, 6) / 8 - 1
    return Stack((1, 2, 3), [Flatten(), Linear(6, 4, weight=weight, bias=np.arange(4.0))])


# ---- what is shown


def every_layer() -> list[tuple[str, Stack]]:
    """A stack for every kind of layer, with that layer at its end."""
    state = lab.with_made_input(lab.initial_state(), "blob", (6, 6), 0, 2)
    return [(kind, lab.with_added_layer(state, kind).stack) for kind in LAYER_KINDS]


@pytest.mark.parametrize(("kind", "stack"), every_layer(), ids=LAYER_KINDS)
def test_every_kind_of_layer_is_shown(view: LayerView, model: LabModel, kind: str, stack: Stack) -> None:
    open_stack(model, stack)
    model.choose_layer(len(stack.layers) - 1, 2)
    step = step_of(model)
    assert type(step.layer) is LAYER_KINDS[kind]
    assert np.array_equal(shown_input(view), step.input[model.channel])
    assert np.array_equal(view.canvas.output.grid.content.values, step.output[model.out_channel])
    value = step.y[step.place(model.position, model.out_channel)]
    assert view.strip.describe().rstrip().endswith(format_number(float(value)))
    for cell in ((0, 0), model.position):
        model.pin(cell)
        model.show_receptive_field(True)
        model.show_pixel_use(True)
        view.grab()


@pytest.mark.parametrize("preset", ["four_layers", "lenet5", "tutorial_cnn"])
def test_a_layer_reads_the_output_of_the_one_before(view: LayerView, model: LabModel, preset: str) -> None:
    open_stack(model, PRESETS[preset]())
    assert texts(view).startswith("Input")
    for index in range(1, len(model.state.stack.layers)):
        model.choose_layer(index)
        assert texts(view).startswith(f"Layer {index} · ")
        assert step_of(model).x is model.snapshot.outputs[index - 1]
        assert np.array_equal(shown_input(view), step_of(model).input[model.channel])


def test_a_layer_that_is_off_is_not_named_as_another_kind(view: LayerView, model: LabModel) -> None:
    model.change(lab.with_switched_layer(model.state, 0, False), "Switch")
    words = view.strip.describe()
    assert "the layer is off" in words
    assert "Dropout" not in words


def test_a_layer_switched_off_passes_its_input_on(view: LayerView, model: LabModel) -> None:
    open_stack(model, TWO_LAYERS)
    model.change(lab.with_switched_layer(model.state, 0, False), "Switch")
    assert np.array_equal(view.canvas.output.grid.content.values, model.state.input[0])


def test_only_the_network_s_input_is_edited(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    grid = view.canvas.input.grid
    open_stack(model, TWO_LAYERS)
    model.choose_layer(1)
    before = model.state
    click(qtbot, grid, (0, 0))
    qtbot.keyClicks(grid, "7")
    press(qtbot, Key.Key_Return)
    assert model.state is before
    model.choose_layer(0)
    click(qtbot, grid, (0, 0))
    qtbot.keyClicks(grid, "7")
    press(qtbot, Key.Key_Return)
    assert model.state.input[0, 0, 0] == 7


@pytest.mark.parametrize("index", [1, 2])
def test_a_layer_that_does_not_fit_says_why(
    view: LayerView, model: LabModel, said: Callable[[], str], index: int
) -> None:
    open_stack(model, MISFIT)
    assert model.step is not None
    model.choose_layer(index)
    problem = MISFIT.problem
    assert problem is not None
    assert texts(view) == f"Layer 2 does not fit. {problem.message}"
    assert said() == ""
    model.choose_layer(0)
    assert "Kernel 3×3" in texts(view)


def test_a_layer_that_is_not_computed_says_so(
    qtbot: QtBot, view: LayerView, model: LabModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "BUDGET_S", 0.0)
    open_stack(model, TWO_LAYERS)
    assert texts(view) == "The output of layer 1 is being computed."
    model.forward.cancel()
    assert texts(view) == "The output of layer 1 was not computed."
    model.compute()
    assert texts(view) == "The output of layer 1 is being computed."
    qtbot.waitUntil(lambda: model.snapshot.is_complete)
    assert "Kernel 2×2" in texts(view)
    wait_for_threads(qtbot)


# ---- pointing


def test_clicking_an_output_cell_goes_there(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    for cell in [(0, 0), (3, 3), (1, 2)]:
        click(qtbot, view.canvas.output.grid, cell)
        assert model.position == cell
        assert f"({cell[0]}, {cell[1]})" in view.strip.describe()


def test_clicking_an_input_cell_tells_who_reads_it(
    qtbot: QtBot, view: LayerView, model: LabModel, said: Callable[[], str]
) -> None:
    click(qtbot, view.canvas.input.grid, (3, 3))
    assert model.probed == (3, 3)
    qtbot.mouseMove(view, pos=QPoint(1, 1))
    assert said() == "Input (3, 3) is read by 4 output cells: rows 1–2, columns 1–2."
    click(qtbot, view.canvas.input.grid, (2, 2))
    qtbot.mouseMove(view, pos=QPoint(1, 1))
    assert said() == "Input (2, 2) is read by one output cell: (1, 1)."
    press(qtbot, Key.Key_Escape)
    assert model.probed is None
    assert said().startswith("Space plays")


def test_an_input_cell_that_nobody_reads(
    qtbot: QtBot, view: LayerView, model: LabModel, said: Callable[[], str]
) -> None:
    model.change(lab.with_parameter(model.state, "stride", (6, 6)), "Stride")
    click(qtbot, view.canvas.input.grid, (3, 3))
    qtbot.mouseMove(view, pos=QPoint(1, 1))
    assert said() == "Input (3, 3) is read by no window."


@pytest.mark.parametrize(
    ("name", "cell", "text"),
    [
        ("input", (3, 3), "input (3, 3) = 9"),
        ("input", (-1, 0), "input (−1, 0) · padding = 0"),
        ("kernel", (1, 2), "kernel (1, 2) = 2"),
        ("output", (0, 0), "output (0, 0) = 2"),
        ("output", (2, 1), "output (2, 1) · not computed yet"),
    ],
)
def test_pointing_names_the_cell_and_its_value(
    qtbot: QtBot, view: LayerView, said: Callable[[], str], name: str, cell: Cell, text: str
) -> None:
    grid = getattr(view.canvas, name).grid
    qtbot.mouseMove(grid, pos=at(grid, cell))
    assert said() == text


def test_pointing_at_a_colour_picture_names_three_numbers(
    qtbot: QtBot, view: LayerView, model: LabModel, said: Callable[[], str]
) -> None:
    use_conv(model, sobel(3))
    model.show_colour()
    grid = view.canvas.input.grid
    qtbot.mouseMove(grid, pos=at(grid, (2, 1)))
    red, green, blue = (format_number(float(value)) for value in model.state.input[:, 2, 1])
    assert said() == f"input (2, 1) = R {red}  G {green}  B {blue}"


def test_pixel_use_counts_the_windows_that_read_a_cell(
    qtbot: QtBot, view: LayerView, model: LabModel, said: Callable[[], str]
) -> None:
    before, grid = model.state, view.canvas.input.grid
    model.show_pixel_use(True)
    along = np.array([1, 2, 1, 2, 1, 2, 1])  # windows of 3 at −1, 1, 3 and 5
    assert np.array_equal(grid.content.values, np.outer(along, along))
    assert "Pixel use" in texts(view)
    qtbot.mouseMove(grid, pos=at(grid, (3, 4)))
    assert said() == "pixel use (3, 4) = 2"
    click(qtbot, grid, (3, 4))
    qtbot.keyClicks(grid, "7")
    press(qtbot, Key.Key_Return)
    assert model.state is before
    model.show_pixel_use(False)
    assert np.array_equal(shown_input(view), before.input[0])


def test_the_receptive_field_reaches_back_to_the_input(
    view: LayerView, model: LabModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [""]
    monkeypatch.setattr(view.strip, "set_content", lambda *arguments, **_: words.append(arguments[5]))
    open_stack(model, PRESETS["four_layers"]())
    model.choose_layer(3, 4)
    assert words[-1] == ""
    model.show_receptive_field(True)
    assert words[-1] == "receptive field: input rows 2–9, columns 2–9 · 8×8"
    model.choose_layer(0, 0)
    assert words[-1] == "receptive field: input rows 0–2, columns 0–2 · 3×3"
    use_conv(model, Conv2d(1, 1, 1, padding=1))
    assert words[-1] == "receptive field: nothing but padding"


# ---- maps


def test_thumbnails_choose_channel_slice_and_map(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    use_conv(model, random_conv(3, 2))
    canvas, conv = view.canvas, lab.conv_of(model.state)
    assert (canvas.input_maps.num_maps, canvas.kernel_maps.num_maps, canvas.output_maps.num_maps) == (3, 3, 2)
    click_map(qtbot, canvas.input_maps, 2)
    assert (model.channel, model.slice, canvas.kernel_maps.chosen_map) == (2, 2, 2)
    assert np.array_equal(shown_input(view), model.state.input[2])
    click_map(qtbot, canvas.kernel_maps, 1)
    assert (model.channel, canvas.input_maps.chosen_map) == (1, 1)
    assert np.array_equal(canvas.kernel.grid.content.values, conv.weight[0, 1])
    click_map(qtbot, canvas.output_maps, 1)
    assert (model.out_channel, model.channel) == (1, 1)
    assert np.array_equal(canvas.kernel.grid.content.values, conv.weight[1, 1])
    assert np.array_equal(canvas.output.grid.content.values, step_of(model).y[1])


def test_a_single_map_needs_no_thumbnails(view: LayerView, model: LabModel) -> None:
    maps = (view.canvas.input_maps, view.canvas.kernel_maps, view.canvas.output_maps)
    assert [one.isVisible() for one in maps] == [False] * 3
    use_conv(model, random_conv(1, 2))
    assert [one.isVisible() for one in maps] == [False, False, True]


def test_a_depthwise_map_goes_with_its_channel(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    use_conv(model, random_conv(4, 4, groups=4))
    canvas = view.canvas
    click_map(qtbot, canvas.input_maps, 3)
    assert (model.channel, model.out_channel, model.slice) == (3, 3, 0)
    assert not canvas.kernel_maps.isVisible()
    click_map(qtbot, canvas.output_maps, 1)
    assert (model.channel, model.out_channel) == (1, 1)
    assert np.array_equal(canvas.kernel.grid.content.values, lab.conv_of(model.state).weight[1, 0])


def test_a_group_reads_its_own_channels(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    use_conv(model, random_conv(4, 2, groups=2))
    canvas = view.canvas
    click_map(qtbot, canvas.output_maps, 1)
    assert [canvas.kernel_maps.name(index) for index in range(2)] == ["2", "3"]
    assert model.channel == 2
    click_map(qtbot, canvas.kernel_maps, 1)
    assert (model.channel, model.slice) == (3, 1)
    click_map(qtbot, canvas.input_maps, 0)
    assert (model.channel, model.out_channel, model.slice) == (0, 0, 0)


def test_pooling_shows_the_map_of_the_channel(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    use_conv(model, random_conv(3, 3))
    model.change(lab.with_operation(model.state, "max"), "Operation")
    click_map(qtbot, view.canvas.input_maps, 2)
    assert (model.channel, model.out_channel) == (2, 2)
    click_map(qtbot, view.canvas.output_maps, 1)
    assert np.array_equal(shown_input(view), model.state.input[1])


def test_colour_shows_one_picture_until_a_channel_is_chosen(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    use_conv(model, sobel(3))
    model.show_colour()
    grid = view.canvas.input.grid
    assert grid.content.picture is not None
    click(qtbot, grid, (1, 1))
    qtbot.keyClicks(grid, "7")
    press(qtbot, Key.Key_Return)
    assert model.state.input[:, 1, 1].tolist() == [7, 7, 7]
    click_map(qtbot, view.canvas.input_maps, 1)
    assert grid.content.picture is None
    click(qtbot, grid, (0, 0))
    qtbot.keyClicks(grid, "8")
    press(qtbot, Key.Key_Return)
    assert model.state.input[1, 0, 0] == 8
    assert (model.state.input[[0, 2], 0, 0] != 8).all()
    assert [view.canvas.input_maps.name(index) for index in range(3)] == ["R", "G", "B"]


# ---- editing


def test_a_typed_number_changes_input_kernel_and_output(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    before = step_of(model).y
    click(qtbot, view.canvas.input.grid, (1, 1))
    qtbot.keyClicks(view.canvas.input.grid, "7")
    press(qtbot, Key.Key_Return)
    assert model.state.input[0, 1, 1] == 7
    assert model.state.source.kind == "custom"
    assert not np.array_equal(step_of(model).y, before)
    click(qtbot, view.canvas.kernel.grid, (1, 1))
    qtbot.keyClicks(view.canvas.kernel.grid, "5")
    press(qtbot, Key.Key_Return)
    assert kernel_of(model)[1, 1] == 5
    np.testing.assert_allclose(step_of(model).y, model.state.layer.forward(model.state.input))


def test_the_weight_of_a_unit_is_typed_in(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    stack = linear_stack()
    open_stack(model, stack)
    model.choose_layer(1, 2)
    grid = view.canvas.kernel.grid
    assert "Weights of unit 2" in texts(view)
    rows, cols = grid.content.values.shape
    assert rows * cols == 6
    click(qtbot, grid, (1, 0))
    qtbot.keyClicks(grid, "5")
    press(qtbot, Key.Key_Return)
    layer, before = model.state.layer, stack.layers[1]
    assert isinstance(layer, Linear)
    assert isinstance(before, Linear)
    expected = before.weight.copy()
    expected[2, cols] = 5
    np.testing.assert_array_equal(layer.weight, expected)
    np.testing.assert_allclose(step_of(model).y, layer.weight @ model.state.input.ravel() + np.arange(4.0))


def test_a_layer_without_weights_has_nothing_to_type(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    layers: list[Layer] = [ReLU()]
    open_stack(model, Stack((1, 3, 3), layers))
    before, grid = model.state, view.canvas.kernel.grid
    click(qtbot, grid, (0, 0))
    qtbot.keyClicks(grid, "5")
    press(qtbot, Key.Key_Return)
    assert model.state is before


def test_the_brush_paints(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    grid = view.canvas.kernel.grid
    qtbot.mousePress(grid, LEFT, pos=at(grid, (0, 0)))
    qtbot.mouseMove(grid, pos=at(grid, (0, 2)))
    qtbot.mouseRelease(grid, LEFT, pos=at(grid, (0, 2)))
    assert kernel_of(model)[0].tolist() == [BRUSH] * 3
    assert model.undo_stack.count() == 1


def test_filling_reaches_the_grid_in_use(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    use_conv(model, random_conv(2, 2))
    before = lab.conv_of(model.state).weight
    view.fill(2.0)
    assert (model.state.input == 2).all()
    click(qtbot, view.canvas.kernel.grid, (0, 0))
    model.choose_map(1, 1)
    view.fill(3.0)
    assert (lab.conv_of(model.state).weight[1] == 3).all()
    assert np.array_equal(lab.conv_of(model.state).weight[0], before[0])
    view.fill_randomly()
    assert not (kernel_of(model) == 3).any()
    assert (model.state.input == 2).all()
    model.change(lab.with_operation(model.state, "max"), "Operation")
    view.fill(4.0)
    assert (model.state.input == 4).all()


def test_a_kernel_that_does_not_fit_is_refused(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    before = model.state
    click(qtbot, view.canvas.kernel.grid, (0, 0))
    with pytest.raises(NumberError, match=r"A 10 × 2 kernel does not fit this input\. Up to 9 × 9 is accepted\."):
        view.paste_table(format_table(np.ones((10, 2))))
    assert model.state is before


def test_the_table_in_use_is_the_grid_s(qtbot: QtBot, view: LayerView, model: LabModel) -> None:
    use_conv(model, random_conv(2, 2).changed(padding=1))
    model.choose_channel(1)
    for name in ("input", "kernel", "output"):
        click(qtbot, getattr(view.canvas, name).grid, (1, 1))
        expected = {"input": model.state.input[1], "kernel": kernel_of(model), "output": step_of(model).y[0]}[name]
        assert np.array_equal(view.table_in_use, expected)
        assert view.grid_in_use is getattr(view.canvas, name).grid


# ---- looks


@pytest.mark.parametrize("scale", [0.75, 1.0, 2.0])
def test_nothing_overlaps(qtbot: QtBot, view: LayerView, model: LabModel, scale: float) -> None:
    use_conv(model, random_conv(3, 4))
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    theme.apply(application, "light", scale)
    qtbot.waitUntil(lambda: view.canvas.input.grid.font().pixelSize() == round(theme.BASE_FONT_PX * scale))
    view.resize(round(1000 * scale), round(700 * scale))
    QApplication.processEvents()
    canvas = view.canvas
    panels = (canvas.input, canvas.kernel, canvas.output)
    maps = (canvas.input_maps, canvas.kernel_maps, canvas.output_maps)
    boxes = [part.geometry() for part in (*panels, *maps)]
    for number, box in enumerate(boxes):
        assert canvas.rect().contains(box)
        assert not any(box.intersects(other) for other in boxes[number + 1 :])


def test_the_weights_of_a_unit_are_filled_drawn_and_pasted(view: LayerView, model: LabModel) -> None:
    model.change(lab.with_preset(model.state, "lenet5"), "preset")
    model.choose_layer(9, position=3)  # 84 units of 120 inputs
    view.canvas.kernel.grid.entered.emit()
    before = model.state.input

    def weights() -> list[float]:
        layer = model.state.layer
        assert isinstance(layer, Linear)
        weights: list[float] = layer.weight[3].tolist()
        return weights

    view.fill(2.5)
    assert weights() == [2.5] * 120
    view.fill_randomly()
    assert set(weights()) == {-2, -1, 0, 1, 2}
    view.paste_table("\t".join(map(str, range(120))))
    assert weights() == list(range(120))
    with pytest.raises(NumberError, match="which has 120 weights"):
        view.paste_table("1\t2")
    assert model.state.input is before

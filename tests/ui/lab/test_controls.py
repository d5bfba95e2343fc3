from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox, QDoubleSpinBox, QLabel, QLineEdit, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from convviz.core.dense import Linear
from convviz.core.inputs import INPUTS, make_input
from convviz.core.kernels import KERNELS, make_kernel
from convviz.core.layers import AvgPool2d, Conv2d, MaxPool2d
from convviz.core.numbers import format_number
from convviz.core.presets import PRESETS
from convviz.core.stack import Stack
from convviz.ui.lab import limits
from convviz.ui.lab import state as lab
from convviz.ui.lab.controls import Controls
from convviz.ui.lab.limits import MAX_INPUT, PARAMETERS, Range, WindowLayer
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.state import LabState
from convviz.ui.main_window import MainWindow
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.fields import PairSpin
from tests.ui.lab.driving import MISFIT, Key, button, kernel_of, open_stack, press, random_conv, step_of, use_conv
from tests.ui.lab.lab_cases import LARGEST_SIDE, stack_states, states, window_ranges

one_layer_or_many = pytest.mark.parametrize("of", [states(), stack_states()], ids=["one layer", "many"])

NAMES = {
    "size": "Input size",
    "kernel_size": "Kernel size",
    "stride": "Stride",
    "padding": "Padding",
    "dilation": "Dilation",
}


@pytest.fixture
def controls(window: MainWindow) -> Controls:
    return window.lab.controls


def pair(controls: Controls, name: str) -> PairSpin:
    (found,) = (
        one for one in controls.findChildren(PairSpin) if one.spin(0).accessibleName() == f"{NAMES[name]}, rows"
    )
    return found


def linking(box: PairSpin) -> FlatButton:
    (found,) = (one for one in box.findChildren(FlatButton) if one.isCheckable())
    return found


def whole(controls: Controls, name: str) -> QSpinBox:
    (found,) = (one for one in controls.findChildren(QSpinBox) if one.accessibleName() == name)
    return found


def decimal(controls: Controls, name: str) -> QDoubleSpinBox:
    boxes = controls.findChildren(QDoubleSpinBox)
    (found,) = (one for one in boxes if one.accessibleName() == name and one.isVisibleTo(controls))
    return found


def combo(controls: Controls, name: str) -> QComboBox:
    (found,) = (one for one in controls.findChildren(QComboBox) if one.accessibleName() == name)
    return found


def choose(controls: Controls, name: str, data: object) -> None:
    box = combo(controls, name)
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())


def shown_texts(controls: Controls) -> list[str]:
    return [label.text() for label in controls.findChildren(QLabel) if label.isVisibleTo(controls)]


def for_many_states(check: Callable[[LabState], None], max_examples: int, of: st.SearchStrategy[LabState]) -> None:
    settings(max_examples=max_examples)(given(state=of)(check))()


# ---- ranges


def size_range(state: LabState, axis: int) -> Range:
    first = state.stack.layers[0]
    return limits.ranges(first, state.size, axis).size if isinstance(first, WindowLayer) else Range(1, MAX_INPUT)


def ranges_are_shown(controls: Controls, state: LabState) -> None:
    spans = {(name, axis): span for name, axis, span in window_ranges(state)}
    for name in PARAMETERS:
        box = pair(controls, name)
        for axis in (0, 1):
            span = spans.get((name, axis))
            assert (box.isVisibleTo(controls) and box.isEnabled()) is (span is not None), name
            if span is not None:
                value, spin = limits.parameter(lab.window_of(state), name)[axis], box.spin(axis)
                assert (spin.minimum(), spin.maximum()) == (min(span.least, value), max(span.most, value)), name
                assert spin.value() == value, name
    for axis in (0, 1):
        spin, span, value = pair(controls, "size").spin(axis), size_range(state, axis), state.size[axis]
        assert (spin.minimum(), spin.maximum(), spin.value()) == (min(span.least, value), span.most, value)


def fits(state: LabState, layer: int) -> bool:
    """Whether everything up to a layer fits."""
    problem = state.stack.problem
    return problem is None or problem.index > layer


@one_layer_or_many
def test_boxes_have_the_ranges_of_the_state(
    controls: Controls, model: LabModel, of: st.SearchStrategy[LabState]
) -> None:
    def check(state: LabState) -> None:
        model.change(state, "test")
        ranges_are_shown(controls, state)

    for_many_states(check, 40, of)


@one_layer_or_many
@pytest.mark.parametrize("linked", [True, False])
def test_both_ends_of_every_box_are_legal(
    controls: Controls, model: LabModel, linked: bool, of: st.SearchStrategy[LabState]
) -> None:
    def check(state: LabState) -> None:
        for name in NAMES:
            box = pair(controls, name)
            link = linking(box)
            for axis in (0, 1):
                for end in (QSpinBox.minimum, QSpinBox.maximum):
                    model.change(state, "test")
                    link.setChecked(linked)
                    spin = box.spin(axis)
                    if not spin.isEnabled() or not spin.isVisibleTo(controls):
                        continue
                    value = max(spin.minimum(), min(end(spin), LARGEST_SIDE)) if name == "size" else end(spin)
                    spin.setValue(value)
                    after = model.state
                    size = after.size if name == "size" else limits.parameter(lab.window_of(after), name)
                    assert size[axis] == value
                    bounding = 0 if name == "size" else after.current
                    assert fits(after, bounding) or not fits(state, bounding)
                    ranges_are_shown(controls, after)

    for_many_states(check, 6, of)


def test_the_largest_input_is_legal(controls: Controls, model: LabModel) -> None:
    size = pair(controls, "size")
    size.spin(0).setValue(size.spin(0).maximum())
    assert model.state.size == (MAX_INPUT, MAX_INPUT)


@one_layer_or_many
def test_every_button_and_choice_leads_to_a_state_that_is_shown(
    controls: Controls, model: LabModel, of: st.SearchStrategy[LabState]
) -> None:
    def opens_something(one: FlatButton) -> bool:
        action = one.defaultAction()
        return (action is not None and action.objectName() == "open") or controls.stack.isAncestorOf(one)

    def check(state: LabState) -> None:
        def is_kept() -> None:
            assert fits(model.state, 0) or not fits(state, 0)
            ranges_are_shown(controls, model.state)

        for one in controls.findChildren(FlatButton):
            model.change(state, "test")
            if not opens_something(one) and one.isVisibleTo(controls) and one.isEnabled():
                one.click()
                is_kept()
        for name in ("Input", "Kernel", "Padding mode", "Groups"):
            for index in range(combo(controls, name).count()):
                model.change(state, "test")
                data = combo(controls, name).itemData(index)
                if data != "picture" and combo(controls, name).isVisibleTo(controls):
                    choose(controls, name, data)
                    is_kept()

    for_many_states(check, 4, of)


def test_a_window_that_only_ceil_mode_lets_in_shrinks_without_it(controls: Controls, model: LabModel) -> None:
    open_stack(model, Stack((1, 2, 2), [MaxPool2d(3, stride=2, ceil_mode=True)]))
    button(controls, "Round size up").click()
    assert model.state.layer == MaxPool2d(2, stride=2)


def test_an_input_that_is_too_small_is_shown_as_it_is(controls: Controls, model: LabModel) -> None:
    open_stack(model, Stack((1, 5, 6), [Conv2d(1, 1, 7)]))
    assert pair(controls, "size").values() == (5, 6)
    assert pair(controls, "kernel_size").values() == (7, 7)


@pytest.mark.parametrize(
    ("name", "axis", "note"),
    [
        ("kernel_size", 0, "Kernel size 1–9: d(k − 1) + 1 must fit in n + 2p, 1·(3 − 1) + 1 ≤ 7 + 2·1 = 9."),
        ("stride", 0, "Stride 1–16: what the Lab can show."),
        ("padding", 1, "Padding 0–16: what the Lab can show."),
        ("dilation", 0, "Dilation 1–4: d(k − 1) + 1 must fit in n + 2p, 1·(3 − 1) + 1 ≤ 7 + 2·1 = 9."),
        ("size", 0, "Input size 1–512: what the Lab can show."),
    ],
)
def test_a_box_that_is_looked_at_says_what_bounds_it(
    qtbot: QtBot, controls: Controls, name: str, axis: int, note: str
) -> None:
    with qtbot.waitSignal(controls.noted) as noted:
        pair(controls, name).spin(axis).setFocus()
    assert noted.args == [note]
    assert note in shown_texts(controls)


def test_a_layer_without_a_window_has_no_bounds_to_note(qtbot: QtBot, controls: Controls, model: LabModel) -> None:
    pair(controls, "stride").spin(0).setFocus()
    open_stack(model, PRESETS["four_layers"]())
    model.choose_layer(1)
    assert not any("what the Lab can show" in text for text in shown_texts(controls))


# ---- what each control does


@pytest.mark.parametrize("kind", INPUTS)
def test_inputs(controls: Controls, model: LabModel, kind: str) -> None:
    choose(controls, "Input", kind)
    assert np.array_equal(model.state.input, make_input(kind, (7, 7)))


@pytest.mark.parametrize("kind", [kind for kind in KERNELS if kind != "random"])
def test_kernels(controls: Controls, model: LabModel, kind: str) -> None:
    choose(controls, "Kernel", kind)
    assert np.array_equal(kernel_of(model), make_kernel(kind, (3, 3)))


def test_a_random_kernel_is_another_each_time(controls: Controls, model: LabModel) -> None:
    choose(controls, "Kernel", "random")
    first = kernel_of(model)
    choose(controls, "Kernel", "random")
    assert not np.array_equal(kernel_of(model), first)


def test_linked_sizes_change_together_and_unlinked_ones_apart(controls: Controls, model: LabModel) -> None:
    kernel = pair(controls, "kernel_size")
    kernel.spin(0).setValue(5)
    assert lab.window_of(model.state).kernel_size == (5, 5)
    linking(kernel).click()
    kernel.spin(1).setValue(2)
    assert lab.window_of(model.state).kernel_size == (5, 2)


def test_same_and_valid(controls: Controls, model: LabModel) -> None:
    button(controls, "Same").click()
    assert limits.is_same(model.state.layer)
    assert step_of(model).output_size == model.state.size
    assert not pair(controls, "padding").isEnabled()
    button(controls, "Valid").click()
    assert lab.conv_of(model.state).padding == (0, 0)
    button(controls, "Number").click()
    assert limits.parameter(lab.conv_of(model.state), "padding") == (1, 1)
    assert not limits.is_same(model.state.layer)


def test_what_padding_holds(controls: Controls, model: LabModel) -> None:
    for mode in ("reflect", "replicate", "circular", "zeros"):
        choose(controls, "Padding mode", mode)
        assert lab.conv_of(model.state).padding_mode == mode


@pytest.mark.parametrize(
    ("operation", "text", "name"),
    [
        ("conv", "Flip kernel", "flip"),
        ("max", "Round size up", "ceil_mode"),
        ("avg", "Count padding", "count_include_pad"),
    ],
)
def test_switches_of_a_layer(
    controls: Controls, model: LabModel, operation: lab.Operation, text: str, name: str
) -> None:
    model.change(lab.with_operation(model.state, operation), "Operation")
    before = getattr(model.state.layer, name)
    for expected in (not before, before):
        button(controls, text).click()
        assert getattr(model.state.layer, name) is expected
        assert button(controls, text).isChecked() is expected


def test_channels(controls: Controls, model: LabModel) -> None:
    button(controls, "RGB").click()
    assert model.state.input.shape == (3, 7, 7)
    assert lab.conv_of(model.state).weight.shape == (1, 3, 3, 3)
    button(controls, "B").click()
    assert model.channel == 2
    button(controls, "Colour").click()
    assert model.shows_colour
    button(controls, "G").click()
    assert (model.shows_colour, model.channel) == (False, 1)
    button(controls, "Grey").click()
    assert model.state.input.shape == (1, 7, 7)
    assert model.channel == 0
    whole(controls, "Channels").setValue(5)
    assert model.state.input.shape == (5, 7, 7)
    assert model.state.stack.problem is None
    assert not any(one.isChecked() for one in (button(controls, "Grey"), button(controls, "RGB")))


def test_feature_maps(controls: Controls, model: LabModel) -> None:
    maps = whole(controls, "Feature maps")
    first = kernel_of(model)
    maps.setValue(4)
    assert step_of(model).y.shape == (4, 4, 4)
    weight = lab.conv_of(model.state).weight
    assert np.array_equal(weight[0, 0], first)
    assert len({one.tobytes() for one in weight}) == 4
    maps.setValue(1)
    assert np.array_equal(lab.conv_of(model.state).weight, first[None, None])


def test_each_map_has_its_kernel_and_its_bias(controls: Controls, model: LabModel) -> None:
    use_conv(model, random_conv(2, 3))
    bias = decimal(controls, "Bias")
    for channel in (2, 1):
        model.choose_map(1, channel)
        assert bias.value() == channel
        choose(controls, "Kernel", "box")
        bias.setValue(-1.5)
        assert lab.conv_of(model.state).bias is not None
    conv = lab.conv_of(model.state)
    assert conv.bias is not None
    assert conv.bias.tolist() == [0, -1.5, -1.5]
    assert np.array_equal(conv.weight[0], random_conv(2, 3).weight[0])
    assert combo(controls, "Kernel").currentData() == "box"
    model.choose_map(1, 0)
    assert combo(controls, "Kernel").currentData() == "custom"


def test_groups(controls: Controls, model: LabModel) -> None:
    use_conv(model, random_conv(4, 8))
    groups = combo(controls, "Groups")
    assert [groups.itemText(index) for index in range(groups.count())] == ["1", "2", "4 (depthwise)"]
    for count in (2, 4, 1):
        choose(controls, "Groups", count)
        conv = lab.conv_of(model.state)
        assert (conv.groups, conv.weight.shape) == (count, (8, 4 // count, 3, 3))
        assert groups.currentData() == count
    whole(controls, "Feature maps").setValue(3)
    assert not groups.isVisibleTo(controls)
    for maps, most in ((2, 2), (8, 4)):
        whole(controls, "Feature maps").setValue(maps)
        assert groups.itemData(groups.count() - 1) == most


def test_a_bias_that_is_only_looked_at_keeps_all_its_digits(controls: Controls, model: LabModel) -> None:
    model.change(lab.with_bias(model.state, 0, -1 / 3), "Bias")
    bias = decimal(controls, "Bias")
    assert bias.text() == "−0.33333"
    before = bias.value()
    bias.interpretText()
    assert bias.value() == before


def test_the_panel_keeps_its_width_whatever_layer_is_shown(controls: Controls, model: LabModel) -> None:
    width = controls.sizeHint().width()
    for operation in ("max", "avg", "conv"):
        model.change(lab.with_operation(model.state, operation), "Operation")
        QApplication.processEvents()
        assert controls.sizeHint().width() == width


def test_units_and_their_biases(qtbot: QtBot, controls: Controls, model: LabModel) -> None:
    open_stack(model, PRESETS["tutorial_cnn"]())
    index = next(i for i, layer in enumerate(model.state.stack.layers) if isinstance(layer, Linear))
    model.choose_layer(index)
    units = whole(controls, "Units")
    assert units.value() == 120
    units.setValue(5)
    assert step_of(model).y.shape == (5,)
    assert model.state.stack.problem is None
    following = model.state.stack.layers[index + 2]
    assert isinstance(following, Linear)
    assert following.in_features == 5
    bias = decimal(controls, "Bias")
    before = step_of(model).y
    press(qtbot, Key.Key_Right)
    press(qtbot, Key.Key_Right)
    layer = model.state.layer
    assert isinstance(layer, Linear)
    assert layer.bias is not None
    assert bias.value() == float(layer.bias[2])
    assert bias.text() == format_number(float(layer.bias[2]), 6)
    bias.setValue(7.25)
    np.testing.assert_allclose(step_of(model).y[[0, 1, 3, 4]], before[[0, 1, 3, 4]])
    np.testing.assert_allclose(step_of(model).y[2], before[2] - float(layer.bias[2]) + 7.25, atol=1e-6)
    press(qtbot, Key.Key_Left)
    assert bias.value() == float(layer.bias[1])


def test_the_panel_follows_the_layer(controls: Controls, model: LabModel) -> None:
    open_stack(model, PRESETS["lenet5"]())
    expected = {
        0: ("LAYER 1 · CONV 5×5", "WINDOW"),
        1: ("LAYER 2 · SIGMOID", "This layer has nothing to set."),
        2: ("LAYER 3 · AVGPOOL 2×2",),
        6: ("LAYER 7 · FLATTEN",),
        7: ("LAYER 8 · LINEAR 120",),
    }
    for index, headings in expected.items():
        model.choose_layer(index)
        shown = shown_texts(controls)
        assert [text for text in headings if text not in shown] == []
        assert pair(controls, "stride").isVisibleTo(controls) is isinstance(model.state.layer, WindowLayer)
    assert "WINDOW" not in shown_texts(controls)


def test_a_layer_that_does_not_fit_can_be_mended(controls: Controls, model: LabModel) -> None:
    open_stack(model, MISFIT)
    model.choose_layer(1)
    kernel = pair(controls, "kernel_size")
    assert (kernel.spin(0).value(), kernel.spin(0).maximum()) == (9, 9)
    kernel.spin(0).setValue(5)
    assert model.state.stack.problem is None
    assert kernel.spin(0).maximum() == 5


def test_behind_a_layer_that_does_not_fit_nothing_is_set(controls: Controls, model: LabModel) -> None:
    open_stack(model, Stack((1, 7, 7), [*MISFIT.layers[:2], AvgPool2d(2)]))
    model.choose_layer(2)
    assert [name for name in PARAMETERS if pair(controls, name).isEnabled()] == []


def test_fill_clear_and_random(controls: Controls, model: LabModel) -> None:
    tools = {one.toolTip().split(" ")[0]: one for one in controls.input.findChildren(FlatButton) if one.toolTip()}
    decimal(controls, "Brush").setValue(-2.5)
    tools["Fill"].click()
    assert (model.state.input == -2.5).all()
    tools["Set"].click()
    assert (model.state.input == 0).all()
    tools["New"].click()
    first = model.state.input
    tools["New"].click()
    assert not np.array_equal(model.state.input, first)
    for _ in range(3):
        model.undo_stack.undo()
    assert (model.state.input == -2.5).all()


def test_the_seed_makes_the_same_numbers_again(controls: Controls, model: LabModel) -> None:
    choose(controls, "Input", "random")
    seed = whole(controls, "Seed of the random input")
    for value in (7, 8, 7):
        seed.setValue(value)
        assert np.array_equal(model.state.input, make_input("random", (7, 7), value))


def test_bias_and_flip(controls: Controls, model: LabModel) -> None:
    before = step_of(model).y
    decimal(controls, "Bias").setValue(3.25)
    np.testing.assert_allclose(step_of(model).y, before + 2.25)
    button(controls, "Flip kernel").click()
    np.testing.assert_allclose(step_of(model).y - 3.25, -(before - 1))


# ---- for everybody


VIEWS = ("layer", "stack", "shift", "learn")


def show_everything(window: MainWindow) -> list[Callable[[], None]]:
    """What brings each view and each kind of panel on the screen."""
    page = window.lab
    shows: list[Callable[[], None]] = [lambda view=view: page.choose_view(view) for view in VIEWS]  # type: ignore[misc]
    for index in (0, 1, 2, 6, 7):
        shows.append(lambda index=index: page.model.choose_layer(index))  # type: ignore[misc]
    return [lambda: page.choose_preset("lenet5"), *shows]


def test_every_control_has_a_name_and_a_sentence(window: MainWindow) -> None:
    for show in show_everything(window):
        show()
        without = [
            widget
            for widget in window.findChildren(QWidget)
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            and widget.isVisibleTo(window)
            and not (isinstance(widget, QLineEdit) and isinstance(widget.parent(), QSpinBox | QDoubleSpinBox))
            and not (widget.accessibleName() and widget.toolTip())
        ]
        assert without == []


@pytest.mark.parametrize("view", VIEWS)
def test_tab_reaches_every_control(qtbot: QtBot, window: MainWindow, view: str) -> None:
    window.lab.model.change(lab.with_preset(window.lab.model.state, "four_layers"), "Preset")
    window.lab.choose_view(view)
    QApplication.processEvents()
    window.lab.setFocus()
    reached = set()
    for _ in range(200):
        focus = QApplication.focusWidget()
        if focus in reached:
            break
        reached.add(focus)
        qtbot.keyClick(focus, Qt.Key.Key_Tab)
    for control in (*window.findChildren(PairSpin), *window.findChildren(QComboBox), *window.findChildren(FlatButton)):
        wanted = control.focusProxy() or control
        if wanted.focusPolicy() & Qt.FocusPolicy.TabFocus and control.isVisibleTo(window) and control.isEnabled():
            assert wanted in reached, control.accessibleName()


def test_the_wheel_over_the_panel_changes_nothing(qtbot: QtBot, window: MainWindow) -> None:
    model, controls = window.lab.model, window.lab.controls
    before = model.state
    fields = [
        *controls.findChildren(QComboBox),
        *controls.findChildren(QSpinBox),
        *controls.findChildren(QDoubleSpinBox),
    ]
    window.lab.setFocus()
    for field in fields:
        center = QPointF(field.rect().center())
        turn = QWheelEvent(
            center,
            field.mapToGlobal(center),
            QPoint(),
            QPoint(0, -120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(field, turn)
    assert model.state is before


def test_every_choice_is_a_stop_of_the_tab_key(window: MainWindow) -> None:
    choices = window.lab.controls.findChildren(Choices)
    assert choices
    for one in choices:
        for choice in one.buttons:
            assert choice.focusPolicy() & Qt.FocusPolicy.TabFocus
            assert choice.group() is None

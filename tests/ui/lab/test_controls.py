from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox, QDoubleSpinBox, QLineEdit, QSpinBox, QWidget
from pytestqt.qtbot import QtBot

from convviz.core.inputs import INPUTS, make_input
from convviz.core.kernels import KERNELS, make_kernel
from convviz.ui.lab import state as lab
from convviz.ui.lab.controls import Controls
from convviz.ui.lab.model import LabModel
from convviz.ui.lab.state import LabState
from convviz.ui.main_window import MainWindow
from convviz.ui.widgets.buttons import Choices, FlatButton
from convviz.ui.widgets.fields import PairSpin
from tests.ui.lab.lab_cases import LARGEST_SIDE, states

NAMES = {
    "size": "Input size",
    "kernel_size": "Kernel size",
    "stride": "Stride",
    "padding": "Padding",
    "dilation": "Dilation",
}


@pytest.fixture
def model(window: MainWindow) -> LabModel:
    return window.lab.model


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


def button(controls: Controls, text: str) -> FlatButton:
    (found,) = (one for one in controls.findChildren(FlatButton) if one.text() == text)
    return found


def combo(controls: Controls, name: str) -> QComboBox:
    (found,) = (one for one in controls.findChildren(QComboBox) if one.accessibleName() == name)
    return found


def choose(controls: Controls, name: str, data: str) -> None:
    box = combo(controls, name)
    box.setCurrentIndex(box.findData(data))
    box.activated.emit(box.currentIndex())


def for_many_states(check: Callable[[LabState], None], max_examples: int) -> None:
    settings(max_examples=max_examples)(given(state=states())(check))()


def ranges_are_shown(controls: Controls, state: LabState) -> None:
    for axis in (0, 1):
        limits = lab.ranges(state, axis)
        for name in NAMES:
            spin, span = pair(controls, name).spin(axis), getattr(limits, name)
            assert (spin.minimum(), spin.maximum()) == (span.least, span.most), name
            assert spin.value() == getattr(state, name)[axis], name
            assert span.least <= spin.value() <= span.most, name


def test_spin_boxes_have_the_ranges_of_the_state(controls: Controls, model: LabModel) -> None:
    def check(state: LabState) -> None:
        model.change(state, "test")
        ranges_are_shown(controls, state)

    for_many_states(check, 25)


@pytest.mark.parametrize("linked", [True, False])
def test_both_ends_of_every_spin_box_are_legal(controls: Controls, model: LabModel, linked: bool) -> None:
    def check(state: LabState) -> None:
        for name in NAMES:
            box = pair(controls, name)
            link = linking(box)
            for axis in (0, 1):
                for end in (QSpinBox.minimum, QSpinBox.maximum):
                    model.change(state, "test")
                    link.setChecked(linked)
                    spin = box.spin(axis)
                    value = min(end(spin), LARGEST_SIDE) if name == "size" else end(spin)
                    spin.setValue(value)
                    after = model.state
                    assert getattr(after, name)[axis] == value
                    assert after.layer.output_shape(after.input.shape) == model.snapshot.output.shape
                    ranges_are_shown(controls, after)

    for_many_states(check, 6)


def test_the_largest_input_is_legal(controls: Controls, model: LabModel) -> None:
    size = pair(controls, "size")
    size.spin(0).setValue(size.spin(0).maximum())
    assert model.state.size == (lab.MAX_INPUT, lab.MAX_INPUT)


def test_every_button_and_choice_leads_to_a_legal_state(controls: Controls, model: LabModel) -> None:
    def opens_a_dialog(one: FlatButton) -> bool:
        action = one.defaultAction()
        return action is not None and action.objectName() == "open"

    def check(state: LabState) -> None:
        for one in controls.findChildren(FlatButton):
            model.change(state, "test")
            if not opens_a_dialog(one) and one.isVisibleTo(controls) and one.isEnabled():
                one.click()
                after = model.state
                assert after.layer.output_shape(after.input.shape) == model.snapshot.output.shape
                ranges_are_shown(controls, after)
        for name in ("Input", "Kernel", "Padding mode"):
            for index in range(combo(controls, name).count()):
                model.change(state, "test")
                data = combo(controls, name).itemData(index)
                if data != "picture" and combo(controls, name).isVisibleTo(controls):
                    choose(controls, name, data)
                    ranges_are_shown(controls, model.state)

    for_many_states(check, 4)


def test_a_window_that_only_ceil_mode_lets_in_shrinks_without_it(controls: Controls, model: LabModel) -> None:
    state = lab.with_made_input(lab.with_operation(lab.initial_state(), "max"), "ramp", (2, 2), 0, 1)
    model.change(replace(state, kernel_size=(3, 3), padding=(0, 0), stride=(2, 2), ceil_mode=True), "test")
    button(controls, "Round size up").click()
    assert (model.state.ceil_mode, model.state.kernel_size) == (False, (2, 2))


# ---- what each control does


@pytest.mark.parametrize("kind", INPUTS)
def test_inputs(controls: Controls, model: LabModel, kind: str) -> None:
    choose(controls, "Input", kind)
    assert np.array_equal(model.state.input, make_input(kind, (7, 7)))


@pytest.mark.parametrize("kind", [kind for kind in KERNELS if kind != "random"])
def test_kernels(controls: Controls, model: LabModel, kind: str) -> None:
    choose(controls, "Kernel", kind)
    assert np.array_equal(model.state.weight[0, 0], make_kernel(kind, (3, 3)))


def test_a_random_kernel_is_another_each_time(controls: Controls, model: LabModel) -> None:
    choose(controls, "Kernel", "random")
    first = model.state.weight
    choose(controls, "Kernel", "random")
    assert not np.array_equal(model.state.weight, first)


def test_linked_sizes_change_together_and_unlinked_ones_apart(controls: Controls, model: LabModel) -> None:
    kernel = pair(controls, "kernel_size")
    kernel.spin(0).setValue(5)
    assert model.state.kernel_size == (5, 5)
    linking(kernel).click()
    kernel.spin(1).setValue(2)
    assert model.state.kernel_size == (5, 2)


def test_same_and_valid(controls: Controls, model: LabModel) -> None:
    button(controls, "Same").click()
    assert model.state.same
    assert model.snapshot.output_size == model.state.size
    assert not pair(controls, "padding").isEnabled()
    button(controls, "Valid").click()
    assert (model.state.same, model.state.padding) == (False, (0, 0))
    button(controls, "Number").click()
    assert min(model.state.padding) > 0


def test_channels(controls: Controls, model: LabModel) -> None:
    button(controls, "RGB").click()
    assert model.state.input.shape == (3, 7, 7)
    assert model.state.weight.shape == (1, 3, 3, 3)
    button(controls, "B").click()
    assert model.channel == 2
    button(controls, "Grey").click()
    assert model.state.input.shape == (1, 7, 7)
    assert model.channel == 0


def test_fill_clear_and_random(controls: Controls, model: LabModel) -> None:
    tools = {one.toolTip().split(" ")[0]: one for one in controls.findChildren(FlatButton) if one.toolTip()}
    (brush,) = (one for one in controls.findChildren(QDoubleSpinBox) if one.accessibleName() == "Brush")
    brush.setValue(-2.5)
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
    (seed,) = (one for one in controls.findChildren(QSpinBox) if "Seed" in one.accessibleName())
    for value in (7, 8, 7):
        seed.setValue(value)
        assert np.array_equal(model.state.input, make_input("random", (7, 7), value))


def test_bias_and_flip(controls: Controls, model: LabModel) -> None:
    (bias,) = (one for one in controls.findChildren(QDoubleSpinBox) if one.accessibleName() == "Bias")
    before = model.snapshot.output
    bias.setValue(3.25)
    np.testing.assert_allclose(model.snapshot.output, before + 2.25)
    button(controls, "Flip kernel").click()
    np.testing.assert_allclose(model.snapshot.output - 3.25, -(before - 1))


# ---- for everybody


def test_every_control_has_a_name_and_a_sentence(window: MainWindow) -> None:
    operations: tuple[lab.Operation, ...] = ("conv", "max", "avg")
    for operation in operations:
        window.lab.model.change(lab.with_operation(window.lab.model.state, operation), "test")
        without = [
            widget
            for widget in window.findChildren(QWidget)
            if widget.focusPolicy() & Qt.FocusPolicy.TabFocus
            and widget.isVisibleTo(window)
            and not (isinstance(widget, QLineEdit) and isinstance(widget.parent(), QSpinBox | QDoubleSpinBox))
            and not (widget.accessibleName() and widget.toolTip())
        ]
        assert without == []


def test_tab_reaches_every_control(qtbot: QtBot, window: MainWindow) -> None:
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
        for button in one.buttons:
            assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
            assert button.group() is None

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtGui import QValidator
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QApplication, QDoubleSpinBox, QLabel, QWidget
from pytestqt.qtbot import QtBot

from convviz.core.inputs import INPUTS, make_input
from convviz.ui import theme
from convviz.ui.lab.learn import LearnView, RateSpin, first_kernel, round_level
from convviz.ui.widgets.curves import CurvePlot
from convviz.ui.widgets.grid_painter import DIGITS_FROM_PX
from convviz.ui.widgets.info_bar import InfoBar
from convviz.ui.widgets.live_text import LiveText
from convviz.ui.widgets.number_grid import NumberGrid


@pytest.fixture
def view(qtbot: QtBot, light: QApplication) -> LearnView:
    view = LearnView()
    qtbot.addWidget(view)
    view.resize(1200, 750)
    view.show()
    return view


def button(view: LearnView, name: str) -> QAbstractButton:
    (found,) = (one for one in view.findChildren(QAbstractButton) if one.accessibleName() == name)
    return found


def click(qtbot: QtBot, view: LearnView, name: str, times: int = 1) -> None:
    for _ in range(times):
        qtbot.mouseClick(button(view, name), Qt.MouseButton.LeftButton)


def spin(view: LearnView, name: str) -> QAbstractSpinBox:
    (found,) = (one for one in view.findChildren(QAbstractSpinBox) if one.accessibleName() == name)
    return found


def type_number(qtbot: QtBot, view: LearnView, name: str, text: str) -> None:
    """Type a number and leave it so, without the Return key."""
    field = spin(view, name)
    field.selectAll()
    qtbot.keyClicks(field, text)


def grid(view: LearnView, name: str) -> NumberGrid:
    (found,) = (one for one in view.findChildren(NumberGrid) if one.accessibleName() == name)
    return found


def reading(view: LearnView) -> str:
    plot = view.findChild(CurvePlot)
    assert isinstance(plot, CurvePlot)
    return plot.reading


def note(view: LearnView) -> str:
    (found,) = (one for one in view.findChildren(QLabel) if one.accessibleName() == "Limit of the rate")
    return found.text()


def message(view: LearnView) -> str:
    bar = view.findChild(InfoBar)
    assert isinstance(bar, InfoBar)
    return bar.message


def position(view: LearnView) -> str:
    line = view.findChild(LiveText)
    assert isinstance(line, LiveText)
    return line.text


def test_the_known_losses_appear_step_by_step(qtbot: QtBot, view: LearnView) -> None:
    assert grid(view, "Input grid").content.values.shape == (6, 8)
    assert spin(view, "Learning rate").text() == "0.03"
    assert note(view) == "Rates below 2/60 = 0.0333 converge: the largest curvature is 60."
    assert reading(view) == "step 0, loss, error 1.414"
    readings = []
    for _ in range(10):
        click(qtbot, view, "Step")
        readings.append(reading(view))
    losses = [float(text.split(", ")[1].removeprefix("loss ")) for text in readings]
    assert losses[0] == 12
    assert losses[1::2] == pytest.approx([4.915, 0.825, 0.138, 0.023, 0.004], abs=5e-4)
    assert readings[-1] == "step 10, loss 0.00389, error 0.0163"
    assert position(view) == "step 10"
    kernel, output = grid(view, "Kernel grid").content, grid(view, "Output grid").content
    np.testing.assert_array_equal(kernel.values, view.descent.state.kernel)
    np.testing.assert_allclose(kernel.values, [[1, -1]], atol=0.02)
    np.testing.assert_allclose(output.values, view.descent.state.output, atol=1e-12)
    np.testing.assert_array_equal(grid(view, "Target output grid").content.values, view.descent.state.task.target)


def test_the_hidden_kernel_stays_hidden_until_it_is_revealed(qtbot: QtBot, view: LearnView) -> None:
    hidden = grid(view, "Hidden kernel grid")
    blank = hidden.grab().toImage()
    assert not hidden.content.values.any()
    click(qtbot, view, "Reveal hidden kernel")
    np.testing.assert_array_equal(hidden.content.values, [[1, -1]])
    assert hidden.grab().toImage() != blank
    click(qtbot, view, "Reveal hidden kernel")
    assert hidden.grab().toImage() == blank


@pytest.mark.parametrize(
    ("rate", "momentum", "limit"),
    [("0.04", "0", "2/60 = 0.0333"), ("0.034", "0", "2/60 = 0.0333"), ("0.07", "0.9", "2·(1 + 0.9)/60 = 0.0633")],
)
def test_a_rate_above_the_limit_is_said_to_diverge_and_does(
    qtbot: QtBot, view: LearnView, rate: str, momentum: str, limit: str
) -> None:
    click(qtbot, view, "0.5")
    type_number(qtbot, view, "Momentum", momentum)
    type_number(qtbot, view, "Learning rate", rate)
    click(qtbot, view, "Step")
    why = f"The rate {rate} is above {limit}, the limit that the largest curvature 60 sets"
    assert note(view).startswith(why)
    assert message(view) == ""
    while button(view, "Step").isEnabled():
        view.step()
        assert view.descent.state.num_steps < 1500
    steps = view.descent.state.num_steps
    assert message(view).startswith(f"Stopped at step {steps}: the loss has grown more than 1e12-fold. {why}")
    assert not button(view, "Run").isEnabled()
    view.toggle_run()
    assert view.descent.state.num_steps == steps
    shown = " ".join([reading(view), note(view), message(view), position(view)])
    assert not {"NaN", "∞", "nan", "inf"} & set(shown.replace(",", " ").split())
    for name in ("Kernel grid", "Output grid"):
        assert np.isfinite(grid(view, name).content.values).all()

    click(qtbot, view, "Reset")
    assert message(view) == ""
    assert reading(view) == "step 0, loss, error 1.581"
    assert button(view, "Step").isEnabled()
    type_number(qtbot, view, "Learning rate", "0.03")
    click(qtbot, view, "Step")
    assert note(view).startswith(f"Rates below {limit} converge")


def test_every_rate_up_to_a_thirtieth_converges_from_halves(qtbot: QtBot, view: LearnView) -> None:
    click(qtbot, view, "0.5")
    type_number(qtbot, view, "Learning rate", "0.033")
    click(qtbot, view, "Step", 300)
    assert view.descent.state.error < 0.1


def test_momentum_is_that_of_sgd(qtbot: QtBot, view: LearnView) -> None:
    type_number(qtbot, view, "Momentum", "0.5")
    click(qtbot, view, "Step", 3)
    kernel, velocity = np.zeros(2), np.zeros(2)
    for _ in range(3):
        velocity = 0.5 * velocity + 2 * np.array([[18, 12], [12, 18]]) @ (kernel - [1, -1])
        kernel = kernel - 0.03 * velocity
    np.testing.assert_allclose(view.descent.state.kernel[0], kernel)
    click(qtbot, view, "Reset")
    assert not view.descent.state.velocity.any()


def test_running_stops_when_it_has_settled(qtbot: QtBot, view: LearnView) -> None:
    click(qtbot, view, "600")
    click(qtbot, view, "Run")
    assert button(view, "Run").text() == "Pause"
    qtbot.waitUntil(lambda: view.descent.settled)
    assert button(view, "Run").text() == "Run"
    assert position(view) == f"step {view.descent.state.num_steps}, settled"
    np.testing.assert_allclose(view.descent.state.kernel, [[1, -1]], atol=1e-13)


@pytest.mark.parametrize("way", ["Run", "Step", "Reset", "hide"])
def test_ways_to_pause(qtbot: QtBot, view: LearnView, way: str) -> None:
    click(qtbot, view, "60")
    click(qtbot, view, "Run")
    qtbot.waitUntil(lambda: view.descent.state.num_steps >= 3)
    if way == "hide":
        view.hide()
    else:
        click(qtbot, view, way)
    assert button(view, "Run").text() == "Run"
    assert position(view) == f"step {view.descent.state.num_steps}"
    assert (view.descent.state.num_steps == 0) == (way == "Reset")


def test_a_random_start_follows_its_seed(qtbot: QtBot, view: LearnView) -> None:
    assert not spin(view, "Seed of the random start").isVisible()
    click(qtbot, view, "Random")
    first = view.descent.state.kernel
    assert (first != 0).all()
    assert np.abs(first).max() <= 1
    spin(view, "Seed of the random start").stepUp()
    assert (view.descent.state.kernel != first).any()
    spin(view, "Seed of the random start").stepDown()
    np.testing.assert_array_equal(view.descent.state.kernel, first)
    click(qtbot, view, "Zeros")
    assert not view.descent.state.kernel.any()
    assert not spin(view, "Seed of the random start").isVisible()


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    more=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    kind=st.sampled_from(sorted(INPUTS)),
    seed=st.integers(0, 100),
)
def test_any_kernel_on_any_input_of_the_lab(
    qtbot: QtBot, view: LearnView, size: tuple[int, int], more: tuple[int, int], kind: str, seed: int
) -> None:
    picture = make_input(kind, (size[0] + more[0], size[1] + more[1]), seed)[0]
    kernel = first_kernel("random", size, seed)
    view.set_lab(picture, kernel)
    click(qtbot, view, "From the Lab")
    assert grid(view, "Kernel grid").content.values.shape == size
    assert grid(view, "Hidden kernel grid").content.values.shape == size
    np.testing.assert_array_equal(view.descent.state.task.hidden, kernel)
    click(qtbot, view, "Step", 30)
    losses = view.descent.loss_curve[1]
    assert (np.diff(losses) <= 1e-9 * losses[0]).all()
    assert message(view) == ""
    view.grab()


def test_the_largest_kernel_can_be_read(qtbot: QtBot, view: LearnView) -> None:
    view.set_lab(make_input("random", (12, 12))[0], first_kernel("random", (7, 7), seed=0))
    click(qtbot, view, "From the Lab")
    assert grid(view, "Kernel grid").cell_px >= DIGITS_FROM_PX
    assert grid(view, "Hidden kernel grid").cell_px == grid(view, "Kernel grid").cell_px


@pytest.mark.parametrize(
    ("picture", "kernel", "refusal"),
    [
        ((9, 9), None, "Pooling has no kernel to learn. Choose Conv in the Lab first."),
        ((9, 9), (9, 3), "The Lab's kernel is 9×3. On this input, one of up to 7×7 can be learned."),
        ((2, 9), (3, 3), "The Lab's kernel is 3×3. On this input, one of up to 2×7 can be learned."),
    ],
)
def test_what_cannot_be_learned_is_refused(
    qtbot: QtBot, view: LearnView, picture: tuple[int, int], kernel: tuple[int, int] | None, refusal: str
) -> None:
    click(qtbot, view, "Step", 2)
    view.set_lab(np.zeros(picture), np.zeros(kernel) if kernel else None)
    with qtbot.waitSignal(view.rejected, check_params_cb=lambda text: text == refusal):
        click(qtbot, view, "From the Lab")
    assert button(view, "Edges").isChecked()
    assert view.descent.state.num_steps == 2


def test_the_lab_may_change_while_it_is_learned(qtbot: QtBot, view: LearnView) -> None:
    picture, kernel = make_input("blob", (9, 9))[0], np.array([[1.0, 2.0], [3.0, 4.0]])
    view.set_lab(picture, kernel)
    click(qtbot, view, "From the Lab")
    click(qtbot, view, "Step", 2)
    click(qtbot, view, "Reveal hidden kernel")
    view.set_lab(picture.copy(), kernel.copy())
    assert view.descent.state.num_steps == 2
    view.set_lab(picture, -kernel)
    assert view.descent.state.num_steps == 0
    assert not button(view, "Reveal hidden kernel").isChecked()
    np.testing.assert_array_equal(view.descent.state.task.hidden, -kernel)
    with qtbot.waitSignal(view.rejected):
        view.set_lab(picture, None)
    assert button(view, "Edges").isChecked()
    assert view.descent.state.task.input.shape == (6, 8)


def test_an_input_of_zeros_has_nothing_to_teach(qtbot: QtBot, view: LearnView) -> None:
    view.set_lab(np.zeros((5, 5)), np.ones((3, 3)))
    click(qtbot, view, "From the Lab")
    assert note(view) == "The input is zero wherever the kernel reads it: there is nothing to learn from."
    click(qtbot, view, "Step")
    assert position(view) == "step 1, settled"


@pytest.mark.parametrize(
    ("typed", "value"), [("0.04", 0.04), ("1/30", 1 / 30), ("3e-10", 3e-10), ("−1", None), ("0", None), ("abc", None)]
)
def test_a_rate_is_any_positive_number(qtbot: QtBot, light: QApplication, typed: str, value: float | None) -> None:
    rate = RateSpin()
    qtbot.addWidget(rate)
    rate.setValue(0.03)
    state = rate.validate(typed, 0)[0]
    assert (state == QValidator.State.Acceptable) == (value is not None)
    rate.lineEdit().setText(typed)
    rate.interpretText()
    assert rate.value() == pytest.approx(0.03 if value is None else value)


def test_the_arrows_change_the_second_digit_of_the_rate(qtbot: QtBot, light: QApplication) -> None:
    rate = RateSpin()
    qtbot.addWidget(rate)
    for value, text in ((0.03, "0.031"), (0.099, "0.1"), (3.8e-10, "3.9e−10"), (12, "13")):
        rate.setValue(value)
        rate.stepUp()
        assert rate.text() == text


@given(values=st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=9))
def test_a_level_is_round_and_holds_all_numbers(values: list[float]) -> None:
    array = np.array(values)
    level, most = round_level(array), np.abs(array).max()
    assert most <= level
    assert most == 0 or level <= 1.5 * most or most < 1e-300


@pytest.mark.parametrize(
    ("scale", "size"), [(1.0, (900, 560)), (1.0, (1600, 900)), (2.0, (1920, 1080)), (0.75, (900, 560))]
)
@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_nothing_is_cut(qtbot: QtBot, view: LearnView, scale: float, size: tuple[int, int], momentum: float) -> None:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    theme.apply(app, "dark", scale)
    field = spin(view, "Momentum")
    assert isinstance(field, QDoubleSpinBox)
    field.setValue(momentum)
    view.resize(*size)
    QApplication.processEvents()
    for child in view.findChildren(QWidget):
        parent = child.parentWidget()
        if (
            child.isVisible()
            and isinstance(child, QAbstractButton | QLabel | NumberGrid | CurvePlot | LiveText)
            and child.accessibleName()
        ):
            assert parent is not None
            assert parent.rect().contains(child.geometry()), child
            least = child.minimumSizeHint()
            assert child.width() >= least.width(), child
            box = child.rect().translated(child.mapTo(view, child.rect().topLeft()))
            assert view.rect().contains(box), child


def test_every_control_says_what_it_is(view: LearnView) -> None:
    controls = [
        *view.findChildren(QAbstractButton),
        *view.findChildren(QAbstractSpinBox),
        *view.findChildren(NumberGrid),
    ]
    for control in controls:
        if not isinstance(control.parentWidget(), QAbstractSpinBox) and control.objectName() != "qt_spinbox_lineedit":
            assert control.accessibleName(), control
            assert control.toolTip(), control

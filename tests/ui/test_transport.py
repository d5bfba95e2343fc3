import pytest
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from convviz.ui.actions import LAB_ACTIONS, Action, make_actions
from convviz.ui.widgets.buttons import FlatButton
from convviz.ui.widgets.fields import FlatSlider
from convviz.ui.widgets.live_text import LiveText
from convviz.ui.widgets.transport import MAX_SPEED, MIN_SPEED, Player, Transport


@pytest.fixture
def player(qapp: QApplication) -> Player:
    return Player()


@pytest.fixture
def owner(qtbot: QtBot, light: QApplication) -> QWidget:
    """The window that holds the bar and its actions."""
    owner = QWidget()
    qtbot.addWidget(owner)
    owner.resize(1800, 400)
    return owner


@pytest.fixture
def actions(owner: QWidget) -> dict[str, Action]:
    return make_actions(LAB_ACTIONS, owner)


@pytest.fixture
def transport(owner: QWidget, actions: dict[str, Action]) -> Transport:
    transport = Transport(actions, owner)
    transport.resize(1400, 60)
    owner.show()
    return transport


def slider(transport: Transport, name: str) -> FlatSlider:
    (found,) = (one for one in transport.findChildren(FlatSlider) if one.accessibleName() == name)
    return found


def texts(transport: Transport) -> list[str]:
    labels = [label.text() for label in transport.findChildren(QLabel)]
    return labels + [line.text for line in transport.findChildren(LiveText)]


def test_a_player_asks_for_steps_until_it_is_stopped(qtbot: QtBot, player: Player) -> None:
    steps: list[int] = []
    states: list[bool] = []
    player.step_requested.connect(lambda: steps.append(len(steps)))
    player.playing_changed.connect(states.append)
    player.set_speed(MAX_SPEED)
    player.start()
    assert player.is_playing
    qtbot.waitUntil(lambda: len(steps) >= 12)
    player.stop()
    player.stop()
    assert not player.is_playing
    assert states == [True, False]


def test_a_step_may_stop_the_player(qtbot: QtBot, player: Player) -> None:
    player.step_requested.connect(player.stop)
    player.set_speed(MAX_SPEED)
    with qtbot.waitSignal(player.step_requested):
        player.start()
    assert not player.is_playing


@pytest.mark.parametrize(("asked", "speed"), [(0, MIN_SPEED), (0.5, 0.5), (7, 7), (60, 60), (1e9, MAX_SPEED)])
def test_speed_has_limits(player: Player, asked: float, speed: float) -> None:
    player.set_speed(asked)
    assert player.speed == speed


def test_showing_a_position_is_silent(qtbot: QtBot, transport: Transport) -> None:
    with qtbot.assertNotEmitted(transport.moved):
        transport.show_position(4, 16)
        transport.show_position(0, 1)
        transport.show_position(11, 12)
    assert any("12 / 12" in text for text in texts(transport))
    assert slider(transport, "Position of the window").value() == 11


@pytest.mark.parametrize(
    ("width", "layer", "text"),
    [
        (1400, None, "position 5 / 16"),
        (1400, 2, "layer 2 · position 5 / 16"),
        (800, None, "5 / 16"),
        (800, 2, "L2 · 5 / 16"),
    ],
)
def test_it_says_where_the_window_is(transport: Transport, width: int, layer: int | None, text: str) -> None:
    transport.resize(width, 60)
    QApplication.processEvents()
    transport.show_position(4, 16, layer)
    (line,) = transport.findChildren(LiveText)
    assert line.text == line.accessibleName() == text
    transport.resize(1400 if width == 800 else 800, 60)
    QApplication.processEvents()
    assert line.text != text
    assert "5 / 16" in line.text


def test_the_layer_keeps_the_width_while_stepping(transport: Transport) -> None:
    (line,) = transport.findChildren(LiveText)
    widths = set()
    for index in (0, 9, 99, 143):
        transport.show_position(index, 144, 3)
        widths.add(line.width())
    assert len(widths) == 1


def test_dragging_the_slider_moves(qtbot: QtBot, transport: Transport) -> None:
    transport.show_position(0, 16)
    with qtbot.waitSignal(transport.moved, check_params_cb=lambda index: index == 9):
        slider(transport, "Position of the window").setValue(9)


@pytest.mark.parametrize("end", [0, 1])
def test_the_speed_slider_reaches_both_limits(qtbot: QtBot, transport: Transport, end: int) -> None:
    speed = slider(transport, "Speed")
    transport.show_speed(5)
    limit, value = ((MIN_SPEED, speed.minimum()), (MAX_SPEED, speed.maximum()))[end]
    with qtbot.waitSignal(transport.speed_changed, check_params_cb=lambda asked: asked == pytest.approx(limit)):
        speed.setValue(value)


def test_showing_a_speed_is_silent(qtbot: QtBot, transport: Transport) -> None:
    with qtbot.assertNotEmitted(transport.speed_changed):
        for speed in (MIN_SPEED, 2.0, 13.7, MAX_SPEED):
            transport.show_speed(speed)
    assert any("60/s" in text for text in texts(transport))


def test_the_play_button_becomes_pause(transport: Transport, actions: dict[str, Action]) -> None:
    transport.show_playing(True)
    assert actions["play"].text() == "Pause"
    transport.show_playing(False)
    assert actions["play"].text() == "Play"


def test_the_switches_show_what_is_on(transport: Transport, actions: dict[str, Action]) -> None:
    for name in ("pin", "receptive_field", "pixel_use", "show_all"):
        (switch,) = (one for one in transport.findChildren(FlatButton) if one.defaultAction() is actions[name])
        for on in (True, False):
            switch.click()
            assert actions[name].isChecked() is on
            assert switch.isChecked() is on


@pytest.mark.parametrize("width", [320, 480, 640, 800, 1000, 1200, 1600])
@pytest.mark.parametrize("layer", [None, 174])
def test_nothing_is_cut_at_any_width_that_it_allows(transport: Transport, width: int, layer: int | None) -> None:
    transport.resize(width, 60)
    transport.resize(max(width, transport.minimumSizeHint().width()), transport.sizeHint().height())
    transport.show_position(99_999, 100_000, layer)
    QApplication.processEvents()
    for child in transport.findChildren(QWidget):
        if child.isVisible():
            parent = child.parentWidget()
            assert parent is not None
            assert parent.rect().contains(child.geometry()), child
            assert child.width() >= child.minimumSizeHint().width(), child

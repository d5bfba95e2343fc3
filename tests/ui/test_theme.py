import numpy as np
import pytest
from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication, QComboBox, QLabel, QScrollArea, QWidget
from pytestqt.qtbot import QtBot

from convviz.core.display import contrast
from convviz.ui import theme
from convviz.ui.main_window import SCALE_STEPS, MainWindow
from convviz.ui.top_bar import TopBar
from convviz.ui.widgets.transport import Transport

Roles = QPalette.ColorRole
MODES: tuple[theme.Mode, ...] = ("dark", "light")
VIEWS = ("layer", "stack", "shift", "learn")
SCALES = (0.75, 1.0, 2.0, 3.0)
SMALL_SCREEN = QRect(0, 0, 1280, 720)


@pytest.fixture(params=["light", "dark"])
def palette(request: pytest.FixtureRequest, light: QApplication) -> QPalette:
    theme.apply(light, request.param, 1.0)
    return light.palette()


def ratio(text: QColor, ground: QColor) -> float:
    colour = np.array([[ground.red(), ground.green(), ground.blue()]], np.uint8)
    return float(contrast(colour, (text.red(), text.green(), text.blue()))[0])


# ---- palettes


@pytest.mark.parametrize(
    ("text", "ground"),
    [
        (Roles.WindowText, Roles.Window),
        (Roles.Text, Roles.Base),
        (Roles.Text, Roles.AlternateBase),
        (Roles.ButtonText, Roles.Button),
        (Roles.ButtonText, Roles.Base),
        (Roles.HighlightedText, Roles.Highlight),
        (Roles.ToolTipText, Roles.ToolTipBase),
        (Roles.PlaceholderText, Roles.Base),
        (Roles.Link, Roles.Base),
    ],
)
def test_text_of_the_palette_can_be_read(palette: QPalette, text: Roles, ground: Roles) -> None:
    assert ratio(palette.color(text), palette.color(ground)) >= 4.5


@pytest.mark.parametrize(
    ("name", "ground"),
    [
        ("muted", Roles.Window),
        *((name, Roles.Base) for name in ("muted", "window_text", "receptive_field", "error")),
    ],
)
def test_coloured_text_can_be_read(palette: QPalette, name: str, ground: Roles) -> None:
    text: QColor = getattr(theme.colors(palette), name)
    assert ratio(text, palette.color(ground)) >= 4.5


@pytest.mark.parametrize("name", ["window", "receptive_field", "reader"])
def test_outlines_stand_out(palette: QPalette, name: str) -> None:
    """3:1 is what WCAG 2 asks of what is not text."""
    line: QColor = getattr(theme.colors(palette), name)
    assert ratio(line, palette.color(Roles.Base)) >= 2.9


def test_the_palette_tells_its_theme(light: QApplication) -> None:
    for mode in MODES:
        theme.apply(light, mode, 1.0)
        assert theme.is_dark(light.palette()) is (mode == "dark")
        assert theme.colors(light.palette()) is (theme.DARK if mode == "dark" else theme.LIGHT)


# ---- sizes


@pytest.mark.parametrize(
    ("asked", "scale"), [(0.1, theme.MIN_SCALE), (-3.0, theme.MIN_SCALE), (1.0, 1.0), (1.5, 1.5), (99.0, 3.0)]
)
def test_scale_has_limits(light: QApplication, asked: float, scale: float) -> None:
    theme.apply(light, "light", asked)
    assert light.font().pixelSize() == round(theme.BASE_FONT_PX * scale)
    assert theme.unit() == pytest.approx(8 * scale, rel=0.05)


def test_everything_follows_the_font(light: QApplication) -> None:
    widths = []
    for scale in (1.0, 2.0):
        theme.apply(light, "light", scale)
        assert theme.font(1.25).pixelSize() == round(1.25 * light.font().pixelSize())
        assert theme.font(0.01).pixelSize() >= 6
        widths.append(theme.text_width(theme.font(), "12345"))
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.1)


def test_digits_are_equally_wide(light: QApplication) -> None:
    assert len({theme.text_width(theme.font(), digit * 8) for digit in "0123456789"}) == 1


@pytest.mark.parametrize("ratio_of_screen", [1.0, 2.0, 1.5])
def test_an_icon_has_its_size_and_colour(light: QApplication, ratio_of_screen: float) -> None:
    pixmap = theme.icon("play", QColor("#2A62DB"), 24, ratio_of_screen)
    assert pixmap.deviceIndependentSize().toSize().toTuple() == (24, 24)
    image = pixmap.toImage()
    colours = {image.pixelColor(x, y).name() for x in range(image.width()) for y in range(image.height())}
    assert "#2a62db" in colours


# ---- an open window


def in_effect(window: MainWindow, qtbot: QtBot, scale: float) -> None:
    """Wait until the font, which Qt hands out by events, has reached the window and its layouts have settled."""
    qtbot.waitUntil(
        lambda: window.lab.layer_view.canvas.input.grid.font().pixelSize() == round(theme.BASE_FONT_PX * scale)
    )
    QApplication.processEvents()


def is_cut(child: QWidget) -> bool:
    parent = child.parentWidget()
    return parent is not None and not parent.rect().contains(child.geometry())


@pytest.fixture(params=SCALES)
def scaled(request: pytest.FixtureRequest, qtbot: QtBot, window: MainWindow) -> MainWindow:
    """The main window on a small screen, its scale changed while it is open."""
    theme.apply(application(), "light", request.param)
    in_effect(window, qtbot, request.param)
    window.resize(SMALL_SCREEN.size())
    QApplication.processEvents()
    return window


def application() -> QApplication:
    found = QApplication.instance()
    assert isinstance(found, QApplication)
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_the_window_stays_on_a_small_screen(scaled: MainWindow, view: str) -> None:
    scaled.lab.choose_preset("lenet5")
    scaled.lab.choose_view(view)
    QApplication.processEvents()
    scaled.grab()
    assert SMALL_SCREEN.size().expandedTo(scaled.minimumSizeHint()) == SMALL_SCREEN.size()
    assert scaled.size() == SMALL_SCREEN.size()


@pytest.mark.parametrize("kind", [TopBar, Transport])
def test_nothing_in_the_bars_is_cut(scaled: MainWindow, kind: type[QWidget]) -> None:
    scaled.lab.choose_preset("lenet5")
    QApplication.processEvents()
    (bar,) = scaled.findChildren(kind)
    shown = [child for child in bar.findChildren(QWidget) if child.isVisible()]
    assert len(shown) > 5
    for child in shown:
        assert not is_cut(child), child
        assert child.width() >= child.minimumSizeHint().width(), child
    assert SMALL_SCREEN.contains(QRect(bar.mapTo(scaled, bar.rect().topLeft()), bar.size()))


@pytest.mark.parametrize("layer", [0, 1, 2, 7])
def test_no_row_of_the_controls_is_wider_than_the_controls(scaled: MainWindow, layer: int) -> None:
    scaled.lab.choose_preset("lenet5")
    scaled.lab.model.choose_layer(layer)
    scaled.lab.show_controls(True)
    QApplication.processEvents()
    controls = scaled.lab.controls
    assert isinstance(controls, QScrollArea)
    panel = controls.widget()
    assert panel is not None
    assert panel.width() <= controls.viewport().width()
    assert [child for child in panel.findChildren(QWidget) if child.isVisible() and is_cut(child)] == []


def test_theme_and_scale_change_while_the_window_is_open(qtbot: QtBot, window: MainWindow) -> None:
    actions = {action.objectName(): action for action in window.actions()}
    for name in [*["larger"] * len(SCALE_STEPS), "theme", *["smaller"] * (2 * len(SCALE_STEPS)), "theme"]:
        actions[name].trigger()
        QApplication.processEvents()
        window.grab()
    assert application().font().pixelSize() == round(theme.BASE_FONT_PX * theme.MIN_SCALE)
    actions["normal_size"].trigger()
    in_effect(window, qtbot, 1.0)
    assert application().font().pixelSize() == theme.BASE_FONT_PX


@pytest.mark.parametrize("view", VIEWS)
def test_every_label_can_be_read_after_a_switch_of_theme(window: MainWindow, view: str) -> None:
    window.lab.choose_view(view)
    for mode in MODES:
        theme.apply(application(), mode, 1.0)
        QApplication.processEvents()
        for label in window.findChildren(QLabel):
            if label.isVisible() and label.text():
                palette = label.palette()
                contrast_ratio = ratio(palette.color(Roles.WindowText), palette.color(Roles.Window))
                assert contrast_ratio >= 4.5, label.text()


@pytest.mark.parametrize("view", VIEWS)
def test_both_themes_look_different_everywhere(window: MainWindow, view: str) -> None:
    lab = window.lab
    lab.choose_view(view)
    QApplication.processEvents()
    parts: dict[str, tuple[QWidget, ...]] = {
        "layer": (lab.layer_view.canvas, lab.layer_view.strip, lab.transport, lab.controls),
        "stack": (lab.stack_view.canvas, lab.stack_view.table, lab.stack_view),
        "shift": (lab.shift_view.table, lab.shift_view.strip, lab.shift_view),
        "learn": (lab.learn_view,),
    }
    before = [part.grab().toImage() for part in parts[view]]
    theme.apply(application(), "dark", 1.0)
    QApplication.processEvents()
    for part, picture in zip(parts[view], before, strict=True):
        after = part.grab().toImage()
        corner = after.pixelColor(after.width() - 3, after.height() - 3)
        assert after != picture
        assert corner.lightness() < 100


def test_the_controls_are_as_before_after_the_largest_scale(qtbot: QtBot, window: MainWindow) -> None:
    controls = window.lab.controls
    fields = controls.findChildren(QComboBox)
    before = [controls.width(), *(field.height() for field in fields)]
    for scale in (theme.MAX_SCALE, 1.0):
        theme.apply(application(), "light", scale)
        in_effect(window, qtbot, scale)
    window.lab.show_controls(True)
    qtbot.waitUntil(lambda: [controls.width(), *(field.height() for field in fields)] == before)


def test_the_grids_follow_a_switch_of_theme_at_once(window: MainWindow) -> None:
    grid = window.lab.layer_view.canvas.input.grid
    theme.apply(application(), "light", 1.0)
    QApplication.processEvents()
    light = grid.grab().toImage()
    theme.apply(application(), "dark", 1.0)
    QApplication.processEvents()
    corner = QPoint(grid.width() - 1, grid.height() - 1)
    assert grid.grab().toImage().pixelColor(corner) == window.palette().color(Roles.Window)
    assert light.pixelColor(corner) != window.palette().color(Roles.Window)
